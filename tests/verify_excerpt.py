"""The part of verify_case.py that is about excerpts. Written from
docs/evidence-format.md alone."""
import json
import os
import verify_packets
from verify_index import COMMON, DEPTH, EMPTY, climb, h, ip_of, key_of, \
    share, subject_leaf


def node(left, right):
	return h(b"\1", left, right)


def included(leaf, index, size, path, root):
	"""RFC 9162 section 2.1.3.2."""
	if not 0 <= index < size or len(path) % 32:
		return False
	fn, sn, r = index, size - 1, leaf
	for i in range(0, len(path), 32):
		p = path[i:i + 32]
		if sn == 0:
			return False
		if fn & 1 or fn == sn:
			r = node(p, r)
			while fn and not fn & 1:
				fn, sn = fn >> 1, sn >> 1
		else:
			r = node(r, p)
		fn, sn = fn >> 1, sn >> 1
	return sn == 0 and r == root


def is_common(kind, conn, ip):
	return conn is None and (kind in COMMON or kind == "dht" and ip is None)


class Excerpt:
	"""case: a Case of verify_case.py that has an `excerpt` in meta."""

	def __init__(self, case, line, named_line, note_read, holds):
		self.case, self.db = case, case.db
		self.line, self.named_line = line, named_line
		self.note_read, self.holds = note_read, holds
		self.asked = json.loads(case.one("SELECT value FROM meta WHERE "
		    "name='excerpt'"))
		case.count.update(indexes=0, subjects=0, erased=0, omitted=0)
		self.proofs = {}
		for seq, n, path in self.db.execute("SELECT seq, n, path FROM "
		    "proof"):
			if (seq, n) in self.proofs:
				case.wrong("record %d: two paths" % seq)
			self.proofs[seq, n] = path
		self.gone = {(s, w, n): x for s, w, n, x in self.db.execute(
		    "SELECT seq, what, n, hash FROM gone")}
		self.omitted = {(s, w, n): x for s, w, n, x in self.db.execute(
		    "SELECT seq, what, n, sha256 FROM omitted")}

	def verify(self):
		case = self.case
		print("excerpt of %s" % ", ".join("%s %s" % (k, v) for k, v in
		    self.asked.items() if v not in (None, False)))
		rows = self.db.execute("SELECT size, root, note FROM checkpoint"
		    ).fetchall()
		if len(rows) != 1:
			case.wrong("%d checkpoints" % len(rows))
			return
		self.size, root, note = rows[0]
		self.root = bytes.fromhex(root)
		self.checkpoint(note)
		self.here = {r[0] for r in self.db.execute("SELECT seq FROM "
		    "record")}
		self.away = {s for s, what, _ in [*self.gone, *self.omitted]
		    if what == "record"}
		for seq in self.here & self.away:
			case.wrong("record %d is said not to be here" % seq)
		self.mine = set()
		self.indexes()
		self.records()
		self.named()
		self.packets()
		for seq, n in self.proofs:
			case.wrong("record %d: a path of what is not here" % seq)
		for what in "tile", "raw WHERE seq NOT IN (SELECT seq FROM record)":
			if case.one("SELECT count(*) FROM " + what):
				case.wrong("rows that no excerpt has: " + what)
		for by in {r[0] for r in self.db.execute("SELECT erased FROM "
		    "gone")}:
			if case.one("SELECT kind FROM record WHERE seq=%d" % by) \
			    != "erased":
				case.wrong("record %d erased nothing" % by)

	def checkpoint(self, note):
		case = self.case
		case.count["checkpoints"] += 1
		text, origin, size, root, signed = self.note_read(note)
		if (size, root) != (self.size, self.root) or \
		    origin != "swarmwitness/%s" % case.case_id:
			case.wrong("the checkpoint is of another case, size or "
			    "root")
		by = {key.fingerprint for _, key in case.keys
		    for name, id, signature in signed
		    if name == key.name and id == key.id and
		    self.holds(key.public, text.encode(), signature)}
		if not by:
			case.wrong("no key of the case signed the checkpoint")
		case.signers |= by
		if case.fingerprint and case.fingerprint not in by:
			case.wrong("the checkpoint is not signed by the key " +
			    case.fingerprint)
		try:
			with open(case.path + "/checkpoint.txt",
			    encoding="utf-8", newline="") as f:
				same = f.read() == note
		except (OSError, UnicodeDecodeError):
			same = False
		if not same:
			case.wrong("checkpoint.txt is not the checkpoint")

	def proved(self, seq, n, leaf, index, size, root):
		path = self.proofs.pop((seq, n), None)
		return path is not None and included(leaf, index, size, path,
		    root)

	# --- the address's lists ------------------------------------------------

	def indexes(self):
		case, to = self.case, 0
		rows = {(s, subject): row for s, subject, *row in
		    self.db.execute("SELECT seq, subject, salt, seqs, path "
		    "FROM subject")}
		for seq, detail in self.db.execute("SELECT seq, detail FROM "
		    "record WHERE kind='index' ORDER BY seq"):
			d = json.loads(detail)
			case.count["indexes"] += 1
			if d["from"] != to or d["to"] != seq:
				case.wrong("record %d (index): the one before it "
				    "is missing" % seq)
			to = seq
			for day in d["days"]:
				if self.asked["from"] and day < self.asked["from"] \
				    or self.asked["to"] and day > self.asked["to"]:
					continue
				subject = "%s|%s" % (self.asked["ip"], day)
				row = rows.pop((seq, subject), None)
				if row is None:
					case.wrong("record %d (index): whether it "
					    "has %s is not shown" % (seq, subject))
				else:
					self.subject(seq, d, subject, *row)
		for seq, subject in rows:
			case.wrong("record %d (index): %s was not asked for" %
			    (seq, subject))
		behind = self.size - to - sum(s >= to
		    for s in self.here | self.away)
		if behind:
			case.note("%d records behind the newest index are not "
			    "shown" % behind)

	def subject(self, seq, d, subject, salt, seqs, path):
		case = self.case
		where = "record %d (index): %s: " % (seq, subject)
		path = [path[i:i + 32] for i in range(0, len(path), 32)]
		others, path = path[:-DEPTH], path[-DEPTH:]
		if salt is None:
			leaf = EMPTY[0]
			if seqs is not None or others:
				case.wrong(where + "half absent")
		else:
			case.count["subjects"] += 1
			leaf = share(others + [subject_leaf(bytes.fromhex(salt),
			    subject, h(seqs.encode()))])
			for s in map(int, seqs.split(",")):
				if not d["from"] <= s < d["to"]:
					case.wrong(where + "record %d is not its" % s)
				if s not in self.here and s not in self.away:
					case.wrong("record %d is of the address, and "
					    "is missing" % s)
				self.mine.add(s)
		if len(path) != DEPTH or climb(leaf, key_of(subject), DEPTH, 0,
		    path).hex() != d["root"]:
			case.wrong(where + "does not follow from the root")

	# --- records --------------------------------------------------------------

	def records(self):
		case = self.case
		asked = {json.loads(r[0]).get("announce") for r in
		    self.db.execute("SELECT detail FROM record WHERE "
		    "kind='listed'")}
		for seq, kind, conn, ip, digest, detail, line, has_raw, raw in \
		    self.db.execute("SELECT r.seq, r.kind, r.conn, r.ip, "
		    "r.raw_sha256, r.detail, %s, w.seq, w.bytes FROM record r "
		    "LEFT JOIN raw w ON w.seq=r.seq ORDER BY r.seq" % self.line):
			case.count["records"] += 1
			case.count["runs"] += kind == "run"
			where = "record %d (%s): " % (seq, kind)
			try:
				leaf = h(b"\0", line.encode("ascii"))
			except (UnicodeEncodeError, AttributeError):
				leaf = b""
			if "\0" in (line or "") or not detail.isprintable() or \
			    not self.proved(seq, None, leaf, seq, self.size,
			    self.root):
				case.wrong(where + "not in the tree by its path")
			if not is_common(kind, conn, ip) and \
			    seq not in self.mine and \
			    not (kind == "announce" and seq in asked):
				case.wrong(where + "not of this address, nor "
				    "about the run")
			if has_raw is not None:
				case.count["raw"] += 1
				if digest is None or h(raw).hex() != digest:
					case.wrong(where + "raw bytes have "
					    "another digest")
			elif digest is not None and \
			    kind not in ("piece", "packets") and \
			    (seq, "raw", 0) not in self.gone and \
			    self.omitted.get((seq, "raw", 0)) != digest:
				case.wrong(where + "its raw bytes are missing")
		for things, count, decode in (
		    (self.gone, "erased", lambda x: x),
		    (self.omitted, "omitted", bytes.fromhex)):
			for (seq, what, _), leaf in things.items():
				if what != "record":
					continue
				case.count[count] += 1
				if not self.proved(seq, None, decode(leaf), seq,
				    self.size, self.root):
					case.wrong("record %d: its leaf is not in "
					    "the tree by its path" % seq)

	def packets(self):
		file = os.path.join(self.case.path, "packets/excerpt.pcap")
		if not os.path.exists(file):
			return
		self.case.count["savefiles"] += 1
		closed = []
		for seq, detail, kind, port, opened in self.db.execute("SELECT "
		    "r.seq, r.detail, o.kind, o.port, o.detail FROM record r JOIN "
		    "record o ON o.seq=r.conn WHERE r.kind='closed'"):
			d, o = json.loads(detail), json.loads(opened)
			if o.get("transport") != "tcp":
				continue
			if kind != "flow":
				closed += [(seq, port, True, d.get("rx_bytes"),
				    d.get("rx_sha256")), (seq, port, False,
				    d.get("tx_bytes"), d.get("tx_sha256"))]
				continue
			for end, other in (("initiator", "responder"),
			    ("responder", "initiator")):
				if ip_of(o[end]) == self.asked["ip"]:
					port = int(o[end].rpartition(":")[2])
					closed += [(seq, port, who == end,
					    d[who + "_bytes"], d[who + "_sha256"])
					    for who in (end, other)]
		try:
			verify_packets.check(self.case, file, self.asked["ip"],
			    closed)
		except (OSError, ValueError) as e:
			self.case.wrong("packets/excerpt.pcap: %s" % e)

	def named(self):
		case = self.case
		details = {}
		for seq, n, ip, line in self.db.execute("SELECT seq, n, ip, %s "
		    "FROM named ORDER BY seq, n" % self.named_line):
			case.count["named"] += 1
			if seq not in details:
				detail = case.one("SELECT detail FROM record WHERE "
				    "seq=%d" % seq)
				details = {seq: json.loads(detail or "{}")}
			d = details[seq]
			if ip != self.asked["ip"]:
				case.wrong("record %d shows that it names %s" %
				    (seq, ip))
			if "named_root" not in d or "\0" in line or \
			    not self.proved(seq, n, h(b"\0", line.encode()), n,
			    d["named"], bytes.fromhex(d["named_root"])):
				case.wrong("record %d: does not name row %d of "
				    "named" % (seq, n))
