#!/usr/bin/env python3
"""A case, the same after an erasure, and an excerpt of it, changed a thousand
random ways: rows of every table changed, removed, added, exchanged and
back-dated; bytes of every file turned, cut and put elsewhere. `swarmwitness
verify` must find each, and name what is wrong. (test_verify.py, test_excerpt.py
and test_twin.py have the changes that somebody would think of.)

What changes nothing that can be read (a bit of a page's unused part) is no
tampering and counted apart; so is what docs/evidence-format.md says no case
shows. TAMPER_TRIES says how often (1000), TAMPER_SEED with which numbers."""
import collections
import concurrent.futures
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory	# noqa: E402
from holding import PAGE		# noqa: E402
from tap import Tap		# noqa: E402
from tsa_lab import Authority, Server	# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

TRIES = int(os.environ.get("TAMPER_TRIES", "1000"))
SEED = int(os.environ.get("TAMPER_SEED", "20260131"))
SECOND_EVERY = 6		# of these, verify_case.py looks at one
HOUR = 3600 * 10 ** 9
TABLES = ("record", "raw", "named", "tile", "checkpoint", "meta", "subject",
    "gone", "proof", "omitted")
# What docs/evidence-format.md says that nothing in a case shows.
UNSIGNED = {("checkpoint", "utc_ns"), ("omitted", "why"),
    ("omitted", "n")}
# A convenience; and what no digest covers but those of the streams in it.
LOOSE = ("torrents/N.torrent removed", "packets/excerpt.pcap")
# What random ways found once; (base, SQL).
ONCE = (("case", "UPDATE meta SET value = value || '0'"),
    ("case", "UPDATE subject SET path = zeroblob(32)"),
    ("case", "INSERT INTO subject SELECT seq + 4294967296, subject, salt, NULL, "
	"NULL FROM subject LIMIT 1"),
    ("erased", "UPDATE gone SET hash = zeroblob(32) WHERE what = 'raw'"),
    ("excerpt", "INSERT INTO omitted VALUES (1, 'ra', 0, NULL, 'x')"),
    ("excerpt", "UPDATE subject SET path = CAST(path || x'00' AS BLOB)"),
    ("excerpt", "UPDATE omitted SET n = 7 WHERE what = 'raw'"))
tap = Tap()


# --- the cases ---------------------------------------------------------------

def make_case(folder):
	"""Two runs of one key, the second with nothing to fetch."""
	path = os.path.join(folder, "case")
	authority = Authority(os.path.join(folder, "authority"))
	with laboratory.Lab() as lab:
		lab.swarm(only=("lt-seed", "lt-partial"))
		tsa = Server(authority.reply, sock=lab.probe.socket(),
		    address=lab.probe.address)
		key = os.path.join(folder, "key")
		options = ("--key", key, "--tsa", tsa.url, "--on-checkpoint", "cat >/dev/null")
		watch = Watch(lab.monitor(path, "--sample", "all", *options,
		    duration=LIMIT_S), path, lab.content.pieces)
		watch.until("end of two samples", lambda case: len({r.ip
		    for r in case.records("not_interested", by="us")}) == 2)
		watch.end()
		again = lab.monitor(path, "--observe-only", "--no-packets",
		    *options, duration=2)
		_, err = again.communicate(timeout=120)
		tap.equal((watch.monitor.returncode, again.returncode), (0, 0),
		    "two runs")
		seed = lab.peers["lt-seed"].address
		dead = lab.dead["refusing"][0].address
	return path, key, seed, dead


def sw(*words):
	return subprocess.run([laboratory.PROGRAM, *words], capture_output=True,
	    text=True, errors="replace", timeout=300)


def files(case):
	return sorted(os.path.relpath(os.path.join(at, f), case)
	    for at, _, names in os.walk(case) for f in names if f != ".lock")


class Base:
	"""What is tampered with, in copies that share all but what changes.
	Without derived.db: it would tell of a change too, and hide that nothing
	else does."""

	def __init__(self, name, path):
		self.name, self.path = name, path
		for f in "derived.db", "index.db":
			if os.path.exists(os.path.join(path, f)):
				os.remove(os.path.join(path, f))
		db = sqlite3.connect(self.at("evidence.db"))
		db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
		db.execute("PRAGMA journal_mode = DELETE")
		db.execute("VACUUM")
		self.counts = {t: db.execute("SELECT count(*) FROM " + t
		    ).fetchone()[0] for t in TABLES}
		self.stamped = {n for n, in db.execute("SELECT json_extract("
		    "detail, '$.size') FROM record WHERE kind = 'stamp'")}
		self.newest, = db.execute("SELECT max(size) FROM checkpoint"
		    ).fetchone()
		db.close()
		with open(self.at("evidence.db"), "rb") as f:
			self.bytes = f.read()
		self.dump = dump(self.at("evidence.db"))
		self.others = [f for f in files(path) if f not in
		    ("evidence.db", "README.txt")]

	def at(self, name):
		return os.path.join(self.path, name)

	def copy(self, folder):
		shutil.rmtree(folder, ignore_errors=True)
		for name in self.others:
			to = os.path.join(folder, name)
			os.makedirs(os.path.dirname(to), exist_ok=True)
			os.link(self.at(name), to)
		shutil.copy(self.at("evidence.db"), folder)


def dump(file):
	"""All that can be read in it, types included; None if not all can."""
	try:
		db = sqlite3.connect("file:%s?immutable=1" % file, uri=True)
		db.text_factory = bytes
		try:
			return [repr(db.execute(q).fetchall()) for q in
			    ("PRAGMA application_id", "PRAGMA user_version",
			    "SELECT type, name, tbl_name, sql FROM sqlite_schema "
			    "ORDER BY type, name",
			    *("SELECT * FROM " + t for t in TABLES))]
		finally:
			db.close()
	except (sqlite3.Error, OverflowError, MemoryError, ValueError):
		return None


# --- ways to tamper ------------------------------------------------------------

def columns(db, table):
	"""(name, type, is of the key)"""
	return [(c[1], c[2], c[5] > 0) for c in
	    db.execute("PRAGMA table_info(%s)" % table)]


def a_row(db, base, pick, table=None):
	"""A table that has rows, and the key of one of them as SQL."""
	table = table or pick.choice([t for t in TABLES if base.counts[t]])
	keys = [c[0] for c in columns(db, table) if c[2]] or ["rowid"]
	row = db.execute("SELECT %s FROM %s LIMIT 1 OFFSET ?" %
	    (", ".join("quote(%s)" % k for k in keys), table),
	    (pick.randrange(base.counts[table]),)).fetchone()
	return table, " AND ".join("%s IS %s" % p for p in zip(keys, row))


def another(pick, value, kind):
	"""A value that is not this one."""
	if value is None:
		return {"INTEGER": 1, "TEXT": "a" * pick.choice((1, 40, 64)),
		    "BLOB": bytes(32)}[kind]
	if isinstance(value, int):
		return value + pick.choice((1, -1, 2 ** 32, -HOUR, 1000, 2 ** 16))
	at = pick.randrange(len(value)) if value else 0
	if isinstance(value, bytes):
		return pick.choice((value[:at] + bytes([value[at] ^ 1 <<
		    pick.randrange(8)]) + value[at + 1:], value + b"\0",
		    value[:-1], value[::-1] + b"x")) if value else b"x"
	new = pick.choice("0123456789abcdef{}\": ")
	return pick.choice((value[:at] + (new if value[at:at + 1] != new else
	    "Z") + value[at + 1:], value + " ", value[:-1] or "0", value + "0"))


def changed(db, base, pick):
	table, where = a_row(db, base, pick)
	name, kind, _ = pick.choice(columns(db, table))
	old, = db.execute("SELECT %s FROM %s WHERE %s" %
	    (name, table, where)).fetchone()
	new = None if old is not None and pick.random() < 0.1 else \
	    another(pick, old, kind)
	db.execute("UPDATE %s SET %s = ? WHERE %s" % (table, name, where),
	    (new,))
	return (table, name), "%s.%s" % (table, name), "%s: %.90r, was %.90r" % (
	    where, new, old)


def removed(db, base, pick):
	table, where = a_row(db, base, pick)
	size = table == "checkpoint" and db.execute("SELECT size FROM checkpoint "
	    "WHERE " + where).fetchone()[0]
	db.execute("DELETE FROM %s WHERE %s" % (table, where))
	if table == "checkpoint" and size != base.newest and \
	    size not in base.stamped:
		return ("checkpoint", None), "an older checkpoint removed"
	return (table, None), table + " removed"


def added(db, base, pick):
	"""A row like another, under a key that is free."""
	table, where = a_row(db, base, pick)
	cols = columns(db, table)
	row = list(db.execute("SELECT %s FROM %s WHERE %s" % (", ".join(
	    c[0] for c in cols), table, where)).fetchone())
	for _ in range(20):
		i = pick.choice([i for i, c in enumerate(cols) if c[2]] or [0])
		row[i] = another(pick, row[i], cols[i][1])
		try:
			db.execute("INSERT INTO %s VALUES (%s)" % (table,
			    ",".join("?" * len(row))), row)
			return (table, None), table + " added", "%.300r" % row
		except sqlite3.IntegrityError:
			pass
	return None


def exchanged(db, base, pick):
	"""Two rows in each other's place: a record, with all it has, in another's;
	or the values of one column."""
	table = pick.choice([t for t in TABLES if base.counts[t] > 1])
	one, two = (a_row(db, base, pick, table)[1] for _ in range(2))
	if one == two:
		return None
	names = [c[0] for c in columns(db, table) if not c[2]]
	if not names:
		return None
	if pick.random() < 0.5:
		names = [pick.choice(names)]
	get = "SELECT %s FROM %s WHERE " % (", ".join(names), table)
	put = "UPDATE %s SET %s WHERE " % (table, ", ".join("%s = ?" % n
	    for n in names))
	a, b = (db.execute(get + w).fetchone() for w in (one, two))
	db.execute(put + one, b)
	db.execute(put + two, a)
	return (table, names[0] if len(names) == 1 else None), \
	    table + " exchanged"


def reordered(db, base, pick):
	"""A record moved from its place to another, those between moved up."""
	n = base.counts["record"]
	seqs = [s for s, in db.execute("SELECT seq FROM record ORDER BY seq")]
	i, j = sorted(pick.sample(range(n), 2))
	part = seqs[i:j + 1]
	for table in "record", "raw", "named":
		for old, new in zip(part, part[1:] + part[:1]):
			db.execute("UPDATE %s SET seq = ? WHERE seq = ?" % table,
			    (-1 - new, old))
		db.execute("UPDATE %s SET seq = -1 - seq WHERE seq < 0" % table)
	return ("record", None), "records reordered"


def back_dated(db, base, pick):
	"""All from a record on, or up to it, by hours, and what is derived."""
	_, where = a_row(db, base, pick, "record")
	seq, = db.execute("SELECT seq FROM record WHERE " + where).fetchone()
	by = pick.choice((1, 24, 24 * 365)) * HOUR
	db.execute("UPDATE record SET utc_ns = utc_ns - ? WHERE seq %s ?" %
	    pick.choice(("<=", ">=", "=")), (by, seq))
	db.execute("UPDATE checkpoint SET utc_ns = utc_ns - ?", (by,))
	return ("record", "utc_ns"), "records back-dated"


def cut_off(db, base, pick):
	"""The last records gone, with their raw bytes, named rows, checkpoints
	and tiles, up to where no checkpoint was."""
	n = pick.randint(1, base.counts["record"] // 2)
	seqs = [s for s, in db.execute("SELECT seq FROM record ORDER BY seq")]
	first = seqs[-n]
	if db.execute("SELECT 1 FROM checkpoint WHERE size = ?",
	    (first,)).fetchone():
		return None
	for table in "record", "raw", "named", "subject":
		db.execute("DELETE FROM %s WHERE seq >= ?" % table, (first,))
	db.execute("DELETE FROM checkpoint WHERE size > ?", (first,))
	return ("record", None), "the last records cut off"


def rule(db, base, pick):
	"""The schema: a trigger or a check less, a view or a trigger more."""
	names = [n for n, in db.execute("SELECT name FROM sqlite_schema WHERE "
	    "type = 'table'")]
	t = pick.choice(names)
	sql = pick.choice(("CREATE VIEW v%d AS SELECT * FROM %s" %
	    (pick.randrange(1000), t), "CREATE TRIGGER v%d AFTER INSERT ON %s "
	    "BEGIN SELECT 1; END" % (pick.randrange(1000), t),
	    "CREATE TABLE v%d (a)" % pick.randrange(1000), "ALTER TABLE %s ADD "
	    "COLUMN more TEXT" % t, "PRAGMA user_version = %d" %
	    pick.randint(2, 99), "PRAGMA application_id = %d" %
	    pick.randint(2, 99)))
	db.execute(sql)
	return ("schema", None), "schema changed"


ROWS = ((changed, 6), (removed, 2), (added, 2), (exchanged, 2), (reordered, 1),
    (back_dated, 1), (cut_off, 1), (rule, 1))


def without_triggers(db, what):
	triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE "
	    "type = 'trigger'").fetchall()
	db.execute("PRAGMA synchronous = OFF")
	db.execute("PRAGMA ignore_check_constraints = ON")
	for name, _ in triggers:
		db.execute('DROP TRIGGER "%s"' % name)
	done = what()
	for _, text in triggers:
		db.execute(text)
	db.commit()
	return done


def in_rows(base, folder, pick):
	base.copy(folder)
	way = pick.choices([w for w, _ in ROWS], [n for _, n in ROWS])[0]
	db = sqlite3.connect(os.path.join(folder, "evidence.db"))
	try:
		done = without_triggers(db, lambda: way(db, base, pick))
	except sqlite3.IntegrityError:		# a key that is there
		done = None
	db.close()
	if not done:
		return None
	what, said = done[:2]
	return said + " {%s}" % done[2] if done[2:] else said, what in UNSIGNED or said == "an older checkpoint removed"


def spoil(data, pick):
	"""Bytes that are not these, and how."""
	at = pick.randrange(len(data))
	n = pick.choice((1, 1, 1, 16, 512))
	way = pick.randrange(6)
	if way < 3:
		return data[:at] + bytes([data[at] ^ 1 << pick.randrange(8)]) + \
		    data[at + 1:], "a bit turned"
	if way == 3:
		return data[:at] + pick.randbytes(min(n, len(data) - at)) + \
		    data[at + n:], "bytes overwritten"
	if way == 4:
		return data[:at], "cut"
	to = pick.randrange(len(data))
	return data[:at] + data[to:to + n] + data[at + len(data[to:to + n]):], \
	    "bytes put elsewhere"


def in_ledger(base, folder, pick):
	"""Bytes of evidence.db, or whole pages exchanged."""
	base.copy(folder)
	if pick.random() < 0.15:
		pages = len(base.bytes) // 4096
		a, b = (4096 * i for i in pick.sample(range(1, pages), 2))
		data = bytearray(base.bytes)
		data[a:a + 4096], data[b:b + 4096] = \
		    base.bytes[b:b + 4096], base.bytes[a:a + 4096]
		how = "pages exchanged"
	else:
		data, how = spoil(base.bytes, pick)
	with open(os.path.join(folder, "evidence.db"), "wb") as f:
		f.write(data)
	return "evidence.db: " + how, False


def in_file(base, folder, pick):
	base.copy(folder)
	name = pick.choice(base.others)
	file = os.path.join(folder, name)
	with open(file, "rb") as f:
		data = f.read()
	os.remove(file)
	what = re.sub(r"[0-9a-f]{6,}", "N", name)
	if pick.random() < 0.1:
		what += " removed"
		return what, what.startswith(LOOSE)
	new, how = spoil(data, pick)
	if pick.random() < 0.1:
		new, how = data + pick.randbytes(9), "bytes added"
	with open(file, "wb") as f:
		f.write(new)
	return what + ": " + how, new == data or what.startswith(LOOSE)


# --- what verify says ------------------------------------------------------------

def verdict(folder):
	"""(exit status, what it named)"""
	r = sw("verify", "--no-replay", "--json", folder)
	try:
		named = [f if isinstance(f, str) else json.dumps(f)
		    for f in json.loads(r.stdout)["faults"]]
	except (ValueError, KeyError):
		named = r.stderr.strip().splitlines()
	return r.returncode, named


class Count:
	def __init__(self):
		self.lock = threading.Lock()
		self.tried, self.found = collections.Counter(), \
		    collections.Counter()
		self.idle = self.unsigned = self.second = self.seen = 0
		self.missed, self.nameless, self.refused = [], [], []

	def one(self, base, folder, number):
		pick = random.Random(SEED * 10007 + number)
		way = pick.choices((in_rows, in_ledger, in_file), (10, 4, 2))[0]
		done = None
		while not done:
			done = way(base, folder, pick)
		what, beyond = done
		at = (number, base.name, what)
		what = what.split(" {")[0]
		same = way is not in_file and \
		    dump(os.path.join(folder, "evidence.db")) == base.dump
		status, named = verdict(folder)
		second = number % SECOND_EVERY == 0 and subprocess.run(
		    [*PAGE, folder], capture_output=True, text=True,
		    errors="replace", timeout=120)
		with self.lock:
			if status not in (0, 1):
				self.refused.append((at, status, named))
			if same or beyond:
				self.idle += same
				self.unsigned += not same
				self.seen += status != 0
				return
			self.tried[what] += 1
			self.found[what] += status == 1
			if status == 0:
				self.missed.append(at)
			elif not named or not all(named):
				self.nameless.append((at, named))
			if second:
				self.second += 1
				if second.returncode not in (1, 2) or \
				    "Traceback" in second.stderr:
					self.missed.append((at, "verify_case.py",
					    second.returncode,
					    second.stderr[-300:]))


def once(bases, folder):
	for name, sql in ONCE:
		base, = (b for b in bases if b.name == name)
		base.copy(folder)
		db = sqlite3.connect(os.path.join(folder, "evidence.db"))
		n = without_triggers(db, lambda: db.execute(sql).rowcount)
		db.close()
		status, named = verdict(folder)
		tap.claim(n > 0 and status == 1 and named, "%s: found: %s" %
		    (name, sql), (n, status, named))


def random_ways(bases, folder):
	count = Count()

	def lane(which):
		for number in range(which, TRIES, 2):
			count.one(bases[number % 5 % len(bases) if number % 5 else
			    0], os.path.join(folder, "try%d" % which), number)
	with concurrent.futures.ThreadPoolExecutor(2) as pool:
		for done in [pool.submit(lane, i) for i in range(2)]:
			done.result()
	for what in sorted(count.tried):
		print("# %4d of %4d  %s" % (count.found[what],
		    count.tried[what], what))
	tried, found = sum(count.tried.values()), sum(count.found.values())
	tap.equal(count.missed, [], "tampered with %d times at random: %d found; "
	    "verify_case.py, asked about %d, found all" % (tried, found,
	    count.second))
	tap.equal(count.nameless, [], "each with what is wrong named")
	tap.equal(count.refused, [], "and exit status 1")
	print("# counted apart: %d that changed nothing that can be read, %d of "
	    "what no case shows; verify objected to %d of these" %
	    (count.idle, count.unsigned, count.seen))
	tap.claim(tried > TRIES * 0.7, "most tries changed something", tried)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-tamper-") as folder:
		path, key, seed, dead = make_case(folder)
		excerpt = os.path.join(folder, "excerpt")
		tap.equal(sw("excerpt", path, "--ip", seed, excerpt).returncode,
		    0, "an excerpt")
		erased = os.path.join(folder, "erased")
		shutil.copytree(path, erased)
		r = sw("erase", erased, "--ip", dead, "--ground",
		    "a test", "--key", key)
		tap.claim(r.returncode == 0, "an erasure", r.stderr)
		bases = [Base("case", path), Base("erased", erased),
		    Base("excerpt", excerpt)]
		for base in bases:
			tap.equal(verdict(base.path), (0, []), base.name +
			    " holds")
		once(bases, os.path.join(folder, "once"))
		random_ways(bases, folder)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
