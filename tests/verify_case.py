#!/usr/bin/env python3
"""Verifies a swarmwitness case without swarmwitness.

    python3 tests/verify_case.py CASE [--key FINGERPRINT] [--checkpoint FILE]

Written from docs/evidence-format.md alone; Python's standard library only,
Ed25519 (RFC 8032) included. Prints what it counted, then "holds", or one line
for each thing that is wrong. Exit status 0 holds, 1 does not, 2 misused.
"""
import argparse
import base64
import binascii
import hashlib
import json
import os
import sqlite3
import sys
from urllib.parse import quote as url_quote

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from verify_excerpt import Excerpt
from verify_history import Chain, Seen, Stamps
from verify_index import Index

SHOWN = 100		# complaints printed; the rest are counted


def h(data):
	return hashlib.sha256(data).digest()


# --- Ed25519, RFC 8032 section 5.1, points in extended coordinates ----------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_M1 = pow(2, (P - 1) // 4, P)


def x_of(y, sign):
	"""The x that belongs to y (5.1.3), or None if there is none."""
	if y >= P:
		return None
	u, v = (y * y - 1) % P, (D * y * y + 1) % P
	x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
	if v * x * x % P != u:
		x = x * ROOT_M1 % P
	if v * x * x % P != u or (x == 0 and sign):
		return None
	return P - x if x & 1 != sign else x


def plus(a, b):
	e = (a[1] - a[0]) * (b[1] - b[0]) % P
	f = (a[1] + a[0]) * (b[1] + b[0]) % P
	g = 2 * a[3] * b[3] * D % P
	k = 2 * a[2] * b[2] % P
	e, f, g, k = f - e, k - g, k + g, f + e
	return e * f % P, g * k % P, f * g % P, e * k % P


def times(n, point):
	total = (0, 1, 1, 0)
	while n:
		if n & 1:
			total = plus(total, point)
		point = plus(point, point)
		n >>= 1
	return total


def unpack(data):
	y = int.from_bytes(data, "little")
	sign, y = y >> 255, y & (1 << 255) - 1
	x = x_of(y, sign)
	return None if x is None else (x, y, 1, x * y % P)


BASE = unpack((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_holds(public, message, signature):
	a, r = unpack(public), unpack(signature[:32])
	s = int.from_bytes(signature[32:], "little")
	if len(signature) != 64 or a is None or r is None or s >= L:
		return False
	k = int.from_bytes(hashlib.sha512(
	    signature[:32] + public + message).digest(), "little") % L
	left, right = times(s, BASE), plus(r, times(k, a))
	return (left[0] * right[2] - right[0] * left[2]) % P == 0 and \
	    (left[1] * right[2] - right[1] * left[2]) % P == 0


# --- the tree, RFC 9162 section 2.1 -----------------------------------------

class Tree:
	"""Grows leaf by leaf, keeping the roots of its complete subtrees."""

	def __init__(self):
		self.size, self.edge = 0, []

	def add(self, leaf, done=None):
		"""done(level, n, root) hears of each subtree completed."""
		n, level = self.size, 0
		self.size += 1
		while n & 1:
			leaf = h(b"\1" + self.edge.pop() + leaf)
			n, level = n >> 1, level + 1
			if done:
				done(level, n, leaf)
		self.edge.append(leaf)

	def root(self):
		if not self.edge:
			return h(b"")
		root = self.edge[-1]
		for left in reversed(self.edge[:-1]):
			root = h(b"\1" + left + root)
		return root


def leaf(line):
	return h(b"\0" + line.encode("ascii"))


# --- signed notes -----------------------------------------------------------

class Key:
	def __init__(self, vkey):
		self.name, digest, key = vkey.split("+", 2)
		data = base64.b64decode(key, validate=True)
		if len(data) != 33 or data[0] != 1:
			raise ValueError("not an Ed25519 key")
		self.id = h(self.name.encode() + b"\n" + data)[:4]
		if self.id.hex() != digest:
			raise ValueError("its hash is not that of its key")
		self.public = data[1:]
		self.fingerprint = h(self.public).hex()


def note_read(note):
	"""(text, origin, size, root, [(name, id, signature)])"""
	head, _, tail = note.partition("\n\n")
	text = head + "\n"
	lines = text.split("\n")
	if len(lines) < 4 or not tail.endswith("\n"):
		raise ValueError("not a signed note")
	origin, size = lines[0], lines[1]
	if not size.isascii() or not size.isdigit() or str(int(size)) != size:
		raise ValueError("size is no plain number")
	signatures = []
	for line in tail[:-1].split("\n"):
		dash, name, data = line.split(" ")
		data = base64.b64decode(data, validate=True)
		if dash != "\u2014":
			raise ValueError("a signature line is malformed")
		signatures.append((name, data[:4], data[4:]))
	return (text, origin, int(size),
	    base64.b64decode(lines[2], validate=True), signatures)


# --- the case ---------------------------------------------------------------

LINE = "||','||".join("quote(r.%s)" % c for c in (
    "seq utc_ns mono_ns kind swarm conn ip port detail raw_sha256 salt"
    .split()))
NAMED_LINE = "||','||".join("quote(%s)" % c for c in
    "seq n ip port salt".split())
# SHA-256 of the schema as version 1 has it; see Case.schema.
SCHEMA = "2ef8b4f7c3a465da73db6c73a7615e83" \
    "04c8594b5d5fd552abef1b2d9a10b07f"
ELSEWHERE = ("piece", "packets")	# kinds whose bytes are not in raw
AFTER_END = ("stamp", "index", "erased")	# kinds that need no open run


class Case:
	def __init__(self, path, fingerprint, seen=None):
		self.path, self.fingerprint = path, fingerprint
		self.wrongs = self.notes = 0
		self.count = dict.fromkeys(("records", "raw", "named", "tiles",
		    "checkpoints", "savefiles", "runs"), 0)
		self.keys, self.signers = [], set()
		self.txt = self.last_signed()	# first: the case may grow
		self.db = self.open()
		self.stamps, self.chain = Stamps(self), Chain(self)
		self.seen = seen and Seen(self, seen, note_read)

	def last_signed(self):
		try:
			with open(os.path.join(self.path, "checkpoint.txt"),
			    encoding="utf-8", newline="") as f:
				return f.read(4096)
		except (OSError, UnicodeDecodeError):
			return None

	def open(self):
		file = os.path.join(self.path, "evidence.db")
		# A sealed case has no WAL: then reading changes no byte of it.
		sealed = not any(os.path.exists(file + end) and
		    os.path.getsize(file + end) for end in ("-wal", "-journal"))
		with open(file, "rb") as f:	# 2: WAL, which sealing ends
			self.unsealed = not sealed or f.read(20)[18:19] == b"\2"
		db = sqlite3.connect("file://%s?%s" % (
		    url_quote(os.path.abspath(file)),
		    "immutable=1" if sealed else "mode=ro"), uri=True)
		db.execute("PRAGMA trusted_schema=OFF")
		db.execute("PRAGMA query_only=ON")
		db.execute("BEGIN")	# one moment of a case still growing
		if db.execute("PRAGMA application_id").fetchone()[0] \
		    != 0x53574531:
			raise ValueError("%s is no swarmwitness case" % file)
		if db.execute("PRAGMA user_version").fetchone()[0] != 1:
			raise ValueError("%s: version is not 1" % file)
		return db

	def wrong(self, text):
		self.wrongs += 1
		if self.wrongs <= SHOWN:
			print("wrong:", text)

	def note(self, text):
		self.notes += 1
		if self.notes <= SHOWN:
			print("note:", text)

	def one(self, sql):
		row = self.db.execute(sql).fetchone()
		return row[0] if row else None

	def verify(self):
		for row in self.db.execute("PRAGMA integrity_check"):
			if row[0] != "ok":
				self.wrong("evidence.db: " + row[0])
		tables = {r[0] for r in self.db.execute(
		    "SELECT name FROM sqlite_schema WHERE type='table'")}
		for t in ("record raw named tile checkpoint meta subject gone "
		    "proof omitted").split():
			if t not in tables:
				raise ValueError("there is no table " + t)
		self.schema()
		self.case_id = self.one(
		    "SELECT value FROM meta WHERE name='case_id'")
		excerpt = self.one("SELECT count(*) FROM meta WHERE "
		    "name='excerpt'")
		if self.one("SELECT count(*) FROM meta") != 1 + excerpt:
			self.wrong("meta says more, or less, than the case_id")
		self.read_keys()
		if excerpt and self.seen:
			self.wrong("whether a case extends a checkpoint, no "
			    "excerpt shows")
		if excerpt:
			Excerpt(self, LINE, NAMED_LINE, note_read,
			    ed25519_holds).verify()
			return
		self.walk()
		self.strays()
		self.packet_files()
		self.newest_note()
		if self.seen:
			self.seen.end(self.tree, ed25519_holds)

	def schema(self):
		"""To the letter: a view or a trigger can change what is shown."""
		text = "".join("%s %s %s\n" % row for row in self.db.execute(
		    "SELECT type, name, coalesce(sql, '') FROM sqlite_schema "
		    "ORDER BY type, name"))
		if h(text.encode()).hex() != SCHEMA:
			self.wrong("tables and triggers are not those of "
			    "format version 1")

	def read_keys(self):
		for seq, detail in self.db.execute("SELECT seq, detail FROM "
		    "record WHERE kind='key' ORDER BY seq"):
			try:
				d = json.loads(detail)
				key = Key(d["vkey"])
				if d["fingerprint"] != key.fingerprint:
					raise ValueError("its fingerprint is "
					    "not that of its key")
				self.keys.append((seq, key))
				if self.fingerprint not in (None,
				    key.fingerprint):
					self.wrong("key record %d: is not the "
					    "key asked for" % seq)
			except (ValueError, KeyError, TypeError) as e:
				self.wrong("key record %d: %s" % (seq, e))

	def walk(self):
		"""Every record in order; heads and tiles as they fall due."""
		self.tree = Tree()
		self.tiles = {}		# level: hashes of the tile being filled
		self.run = None		# seq of the open run
		self.last_run = None	# (seq, ended)
		self.last_utc_ns = None
		self.heads = self.db.execute("SELECT size, utc_ns, root, note "
		    "FROM checkpoint ORDER BY size")
		self.head = self.heads.fetchone()
		self.named = self.db.execute("SELECT seq, n, %s, ip FROM named "
		    "ORDER BY seq, n" % NAMED_LINE)
		self.endpoint = self.named.fetchone()
		self.index = Index(self)
		for row in self.db.execute("SELECT r.seq, r.utc_ns, r.kind, "
		    "r.swarm, r.detail, r.raw_sha256, %s, w.seq, w.bytes, "
		    "r.conn, r.ip FROM record r LEFT JOIN raw w ON "
		    "w.seq = r.seq ORDER BY r.seq" % LINE):
			self.erased_before(row[0])
			self.record(*row)
		self.index.end()
		if self.head:
			self.wrong("checkpoint of %d records, but there are "
			    "%d" % (self.head[0], self.tree.size))
		if self.endpoint:
			self.wrong("named endpoints of record %d, which does "
			    "not exist" % self.endpoint[0])
		if self.run is not None:
			self.note("the run of record %d did not end" % self.run)
		if self.tree.size == 0:
			self.wrong("there are no records")

	def erased_before(self, seq):
		"""The leaves of records that are not there."""
		while self.index.gone and self.tree.size < seq:
			node = self.index.gone.get((self.tree.size, "record", 0))
			if node is None:
				return
			self.count["erased"] += 1
			self.last_utc_ns = None
			self.grow(node)

	def grow(self, hashed):
		self.into_tile(0, self.tree.size, hashed)
		self.tree.add(hashed, lambda level, n, root: level % 8 or
		    self.into_tile(level // 8, n, root))
		if self.seen and self.seen.size == self.tree.size:
			self.seen.tree(self.tree)
		while self.head and self.head[0] <= self.tree.size:
			self.checkpoint(*self.head)
			self.head = self.heads.fetchone()

	def record(self, seq, utc_ns, kind, swarm, detail, digest, line,
	    has_raw, raw, conn, ip):
		self.count["records"] += 1
		if seq != self.tree.size:
			self.wrong("record %d where %d was due" %
			    (seq, self.tree.size))
		try:
			hashed = leaf(line)
		except (UnicodeEncodeError, AttributeError):
			self.wrong("record %d: not printable ASCII" % seq)
			hashed = bytes(32)
		self.grow(hashed)
		self.raw_bytes(seq, kind, digest, has_raw, raw)
		try:
			d = json.loads(detail)
			if not isinstance(d, dict):
				raise ValueError("not an object")
			names = self.named_rows(seq, d)
			self.index.record(seq, utc_ns, kind, conn, ip, d, names)
			self.runs(seq, utc_ns, kind, d)
			if kind == "packets":
				self.packets(seq, d, digest)
			if kind == "torrent":
				self.torrent(seq, swarm, digest)
			if kind == "stamp":
				self.stamps.record(seq, d, raw)
			if kind == "key":
				self.chain.key(d["fingerprint"])
			self.last_utc_ns = utc_ns
		except (ValueError, KeyError, TypeError) as e:
			self.wrong("record %d (%s): detail: %s %s" %
			    (seq, kind, type(e).__name__, e))

	def into_tile(self, level, n, root):
		"""Root n of the subtrees over 256^level leaves is complete."""
		tile = self.tiles.setdefault(level, [])
		tile.append(root)
		if len(tile) < 256:
			return
		number = n // 256
		row = self.db.execute("SELECT hashes FROM tile WHERE level=? "
		    "AND n=?", (level, number)).fetchone()
		if row is None:
			self.wrong("tile %d of level %d is missing" %
			    (number, level))
		elif row[0] != b"".join(tile):
			self.wrong("tile %d of level %d is not the tree's" %
			    (number, level))
		self.count["tiles"] += 1
		tile.clear()

	def checkpoint(self, size, utc_ns, root, note):
		self.count["checkpoints"] += 1
		where = "checkpoint of %d records: " % size
		if size != self.tree.size:
			self.wrong(where + "no tree of that size")
			return
		if root != self.tree.root().hex():
			self.wrong(where + "root is not the records'")
		try:
			text, origin, n, noted, signed = note_read(note)
		except (ValueError, AttributeError, binascii.Error) as e:
			self.wrong(where + "note: %s" % e)
			return
		if n != size or noted.hex() != root:
			self.wrong(where + "its note says another size or root")
		if origin != "swarmwitness/%s" % self.case_id:
			self.wrong(where + "its note is of another case")
		# A key counts from its own record on.
		by = [key for seq, key in self.keys if seq < size
		    for name, id, signature in signed
		    if name == key.name and id == key.id and
		    ed25519_holds(key.public, text.encode(), signature)]
		if not by:
			self.wrong(where + "no signature by a key of the case")
		self.newest_by = {key.fingerprint for key in by}
		self.signers |= self.newest_by

	def raw_bytes(self, seq, kind, digest, has_raw, raw):
		if has_raw is None:
			if digest is not None and kind not in ELSEWHERE and \
			    (seq, "raw", 0) not in self.index.gone:
				self.wrong("record %d (%s): its raw bytes are "
				    "missing" % (seq, kind))
			return
		self.count["raw"] += 1
		if digest is None or kind in ELSEWHERE:
			self.wrong("record %d (%s): raw bytes it does not "
			    "own" % (seq, kind))
		elif not isinstance(raw, bytes) or h(raw).hex() != digest:
			self.wrong("record %d (%s): raw bytes have another "
			    "digest" % (seq, kind))

	def named_rows(self, seq, d):
		tree, names, gone = Tree(), [], self.index.gone
		while self.endpoint and self.endpoint[0] <= seq:
			owner, n, line, ip = self.endpoint
			while (seq, "named", tree.size) in gone:
				tree.add(gone[seq, "named", tree.size])
			self.endpoint = self.named.fetchone()
			self.count["named"] += 1
			if owner != seq:
				self.wrong("named endpoints of record %d, "
				    "which does not exist" % owner)
				continue
			if n != tree.size:
				self.wrong("record %d: named endpoint %d "
				    "where %d was due" % (seq, n, tree.size))
			tree.add(leaf(line))
			names.append(ip)
		while (seq, "named", tree.size) in gone:
			tree.add(gone[seq, "named", tree.size])
		if "named" not in d:
			if tree.size:
				self.wrong("record %d: %d named endpoints it "
				    "does not count" % (seq, tree.size))
		elif d["named"] != tree.size or \
		    d["named_root"] != tree.root().hex():
			self.wrong("record %d: named endpoints are not those "
			    "it was recorded with" % seq)
		return names

	def runs(self, seq, utc_ns, kind, d):
		if kind == "run":
			self.count["runs"] += 1
			if self.run is not None:
				self.note("the run of record %d did not end" %
				    self.run)
			was = d["previous"]
			now = self.last_run and {"seq": self.last_run[0],
			    "ended": self.last_run[1], "records": seq,
			    "last_utc_ns": self.last_utc_ns}
			if self.last_utc_ns is None and now and was:
				now["last_utc_ns"] = was["last_utc_ns"]	# erased
			if was != now:
				self.wrong("record %d (run): the run before is "
				    "not as it says" % seq)
			if d["case_id"] != self.case_id:
				self.wrong("record %d (run): another case" %
				    seq)
			if d.get("lost"):
				self.note("record %d (run): %d records were "
				    "signed, %d were there: the others were "
				    "lost or cut" % (seq, d["lost"]["size"],
				    seq))
			self.run, self.last_run = seq, (seq, False)
			self.chain.begin(seq, utc_ns, d)
		elif self.run is None and kind not in AFTER_END:
			self.wrong("record %d (%s): outside any run" %
			    (seq, kind))
		elif kind == "end":
			self.last_run = (self.run, True)
			self.run = None

	def packets(self, seq, d, digest):
		self.count["savefiles"] += 1
		where = "record %d (packets): %s " % (seq, d["file"])
		if not d["file"].startswith("packets/") or ".." in d["file"]:
			self.wrong(where + "does not lie in packets/")
			return
		try:
			got, size = self.file_digest(d["file"])
		except OSError as e:
			self.wrong(where + e.strerror)
			return
		now = self.index.packets_now(d["file"])
		if now:
			if got == now[2]:
				self.note(where + "packets are still to be "
				    "erased from it")
			elif (got, size) != now[:2]:
				self.wrong(where + "is not the file that the "
				    "erasure left")
		elif got != d["sha256"] or size != d["bytes"] or \
		    digest not in (None, got):
			self.wrong(where + "is not the file recorded")

	def torrent(self, seq, swarm, digest):
		file = "torrents/%s.torrent" % swarm
		if os.path.exists(os.path.join(self.path, file)) and \
		    self.file_digest(file)[0] != digest:
			self.wrong("record %d (torrent): %s is not what was "
			    "recorded" % (seq, file))

	def file_digest(self, name):
		digest, size = hashlib.sha256(), 0
		with open(os.path.join(self.path, name), "rb") as f:
			while block := f.read(1 << 20):
				digest.update(block)
				size += len(block)
		return digest.hexdigest(), size

	def strays(self):
		"""What no record owns, and conversations that do not begin."""
		n = self.one("SELECT count(*) FROM raw w WHERE NOT EXISTS "
		    "(SELECT 1 FROM record r WHERE r.seq = w.seq)")
		if n:
			self.wrong("%d raw rows of no record" % n)
		n = self.one("SELECT count(*) FROM record r LEFT JOIN record c "
		    "ON c.seq = r.conn WHERE r.conn IS NOT NULL AND (c.seq IS "
		    "NULL OR c.seq > r.seq OR c.kind NOT IN "
		    "('dial','accept','flow') OR c.conn IS NOT c.seq)")
		if n:
			self.wrong("%d records of a conversation that did not "
			    "begin" % n)
		n = self.one("SELECT count(*) FROM tile")
		if n != self.count["tiles"]:
			self.wrong("%d tiles, but the tree has %d full ones" %
			    (n, self.count["tiles"]))

	def packet_files(self):
		folder = os.path.join(self.path, "packets")
		known = {json.loads(r[0]).get("file") for r in self.db.execute(
		    "SELECT detail FROM record WHERE kind='packets'")}
		for name in sorted(os.listdir(folder)
		    if os.path.isdir(folder) else []):
			if "packets/" + name not in known:
				self.note("packets/%s has no record" % name)

	def newest_note(self):
		row = self.db.execute("SELECT size, note FROM checkpoint "
		    "ORDER BY size DESC LIMIT 1").fetchone()
		if row is None:
			self.wrong("there is no checkpoint")
			return
		if row[0] != self.tree.size:
			self.wrong("%d records, but the newest checkpoint "
			    "covers %d" % (self.tree.size, row[0]))
		note = self.txt
		try:
			_, origin, signed, _, _ = note_read(note or "")
		except ValueError:
			origin, signed = None, 0
		if signed > self.tree.size or origin not in (None,
		    "swarmwitness/%s" % self.case_id):
			self.wrong("checkpoint.txt is signed for %d records of "
			    "%s, there are %d: records were lost or cut" %
			    (signed, origin, self.tree.size))
			return
		same = note == row[1]
		earlier = note and self.db.execute("SELECT 1 FROM checkpoint "
		    "WHERE note=? AND (SELECT kind FROM record ORDER BY seq DESC "
		    "LIMIT 1)<>'end'", (note,)).fetchone()
		if not same and (self.run is not None or self.unsealed or
		    earlier):
			self.note("checkpoint.txt is not the newest "
			    "checkpoint (what wrote last did not end)")
		elif not same:
			self.wrong("checkpoint.txt is not the newest "
			    "checkpoint")
		if self.fingerprint and \
		    self.fingerprint not in getattr(self, "newest_by", ()):
			self.wrong("the newest checkpoint is not signed by "
			    "the key " + self.fingerprint)


def main():
	parser = argparse.ArgumentParser(
	    description="Verifies a swarmwitness case.")
	parser.add_argument("case")
	parser.add_argument("--key", metavar="FINGERPRINT",
	    help="SHA-256 of the public key that all of it must be signed by")
	parser.add_argument("--checkpoint", metavar="FILE",
	    help="a checkpoint seen earlier, which the case must extend")
	args = parser.parse_args()
	try:
		case = Case(args.case, args.key and args.key.lower(),
		    args.checkpoint)
		case.verify()
	except (OSError, ValueError, sqlite3.Error) as e:
		print("%s: %s" % (args.case, e), file=sys.stderr)
		return 2 if isinstance(e, OSError) or \
		    "unable to open" in str(e) else 1
	print(", ".join("%s: %d" % row for row in case.count.items()))
	case.stamps.say()
	print("runs that follow their key's run before without another "
	    "between: %d" % case.chain.followed)
	print("signed by", ", ".join(sorted(case.signers)) or "nobody")
	if case.wrongs:
		print("does not hold: %d wrong" % case.wrongs)
		return 1
	print("holds" if args.key else
	    "holds (integrity only; no --key was given, origin unproved)")
	return 0


if __name__ == "__main__":
	sys.exit(main())
