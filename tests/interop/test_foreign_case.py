#!/usr/bin/env python3
"""Cases that a stranger made to do harm: values of other types, texts that are
none, numbers far away, JSON without an end, a view in a table's place, files that
are links, pipes or folders, or far too long. Every command that reads a case
ends, says in plain lines what is wrong, leaves what is not the case's alone, and
the sanitizers find nothing."""
import concurrent.futures
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import peopled			# noqa: E402
from built import SANITIZED as PROGRAM	# noqa: E402
from tap import Tap		# noqa: E402

LIMIT_S = int(os.environ.get("FOREIGN_LIMIT_S", "240"))
tap = Tap()
EVIL = b"\x1b[2J\x1b]0;x\x07\nswarmwitness: all is well\xff\xc2\x9b\xe2\x80\xae"


def rows(*sqls):
	"""With the triggers, the types and the checks out of the way."""
	def change(case, victim):
		db = sqlite3.connect(case + "/evidence.db")
		db.executescript("PRAGMA writable_schema = ON;"
		    "DELETE FROM sqlite_schema WHERE type = 'trigger';"
		    "UPDATE sqlite_schema SET sql = replace(replace(replace(sql, "
		    "'STRICT, ', ''), ') STRICT', ')'), ' NOT NULL', '');")
		db.close()
		db = sqlite3.connect(case + "/evidence.db")
		db.execute("PRAGMA ignore_check_constraints = ON")
		for sql in sqls:
			db.execute(*(sql if isinstance(sql, tuple) else (sql,)))
		db.commit()
		db.close()
	return change


def detail(kind, text):
	return rows(("UPDATE record SET detail = ? WHERE kind = '%s'" % kind,
	    (text,)))


def packets(name):
	"""A `packets` record that names this file."""
	return rows(("UPDATE record SET kind = 'packets', conn = NULL, detail = "
	    "json_object('file', ?, 'sha256', printf('%064d', 0), 'bytes', 9) "
	    "WHERE seq = (SELECT min(seq) FROM record WHERE kind = 'closed')",
	    (name,)))


def replaced(name, how):
	"""A file of the case by something else."""
	def change(case, victim):
		file = os.path.join(case, name)
		if name.startswith("packets/"):
			packets(name)(case, victim)
		if os.path.lexists(file):
			os.remove(file)
		if how == "pipe":
			os.mkfifo(file)
		elif how == "folder":
			os.mkdir(file)
		elif how == "link":
			os.symlink(victim, file)
		elif how == "link to a pipe":
			os.mkfifo(case + "/a pipe")
			os.symlink("a pipe", file)
		elif how == "nothing's link":
			os.symlink("/nonexistent/x", file)
		elif how == "empty":
			open(file, "w").close()
		elif how == "a gigabyte":
			os.truncate(os.open(file, os.O_CREAT | os.O_WRONLY), 1 << 30)
		else:
			with open(file, "wb") as f:
				f.write(how)
	return change


def foreign_tables(case, victim):
	"""index.db and derived.db with tables that never end."""
	for name, version in (("index.db", 1), ("derived.db", 0)):
		file = os.path.join(case, name)
		if os.path.exists(file):
			os.remove(file)
		db = sqlite3.connect(file)
		for table in "list", "part", "built", "contact", "endpoint":
			db.execute("CREATE VIEW %s AS WITH RECURSIVE n(seq) AS "
			    "(SELECT 1 UNION ALL SELECT seq + 1 FROM n) SELECT "
			    "seq, seq AS subject, seq AS seqs, seq AS part, seq AS "
			    "nodes, seq AS size, seq AS script FROM n" % table)
		db.execute("PRAGMA user_version = %d" % version)
		db.commit()
		db.close()


def view(table):
	def change(case, victim):
		rows()(case, victim)
		db = sqlite3.connect(case + "/evidence.db")
		db.execute("ALTER TABLE %s RENAME TO was" % table)
		db.execute("CREATE VIEW %s AS WITH RECURSIVE n(i) AS (SELECT 1 "
		    "UNION ALL SELECT i + 1 FROM n) SELECT was.*, i FROM was, n" %
		    table)
		db.commit()
		db.close()
	return change


DEEP = '{"a":' * 3000 + "1" + "}" * 3000
DAMAGE = {
	"kinds that are numbers": rows("UPDATE record SET kind = seq"),
	"kinds that are null": rows("UPDATE record SET kind = NULL WHERE "
	    "seq % 3 = 0"),
	"details that are blobs": rows("UPDATE record SET detail = "
	    "CAST(detail AS BLOB)"),
	"details that are null": rows("UPDATE record SET detail = NULL"),
	"details that are no JSON": rows("UPDATE record SET detail = "
	    "'{' || detail WHERE seq % 2"),
	"details without end": rows(("UPDATE record SET detail = ? WHERE "
	    "seq % 5 = 2", (DEEP,))),
	"a run that is a list": detail("run", "[]"),
	"a key that is none": detail("key", '{"vkey":"' + "x" * 100000 + '"}'),
	"an index that leads in circles": rows("UPDATE record SET detail = "
	    "json_set(detail, '$.from', seq, '$.to', seq) WHERE kind = 'index'"),
	"an index of all numbers": rows("UPDATE record SET detail = "
	    "json_set(detail, '$.from', 0, '$.to', 9223372036854775807, "
	    "'$.subjects', -1) WHERE kind = 'index'"),
	"days that are none": rows("UPDATE record SET detail = json_set(detail, "
	    "'$.days', json('[\"9999-99-99\",null,{},\"0000000000\"]')) WHERE "
	    "kind = 'index'"),
	"texts that move the cursor": rows(("UPDATE record SET detail = "
	    "json_object('by', CAST(? AS TEXT)), ip = CAST(? AS TEXT) WHERE "
	    "seq % 4 = 1", (EVIL, EVIL))),
	"a case_id that moves the cursor": rows(("UPDATE meta SET value = "
	    "CAST(? AS TEXT)", (EVIL * 3,))),
	"a case_id that is a blob": rows("UPDATE meta SET value = zeroblob(32)"),
	"ports that are negative": rows("UPDATE record SET port = -port",
	    "UPDATE named SET port = -9223372036854775807"),
	"addresses that are none": rows("UPDATE record SET ip = 'x' || ip",
	    "UPDATE named SET ip = zeroblob(300) WHERE n % 2"),
	"an address of a megabyte": rows("UPDATE record SET ip = "
	    "replace(hex(zeroblob(500000)), '0', '1') WHERE seq = 20"),
	"conversations of the future": rows("UPDATE record SET conn = seq + 9 "
	    "WHERE conn IS NOT NULL"),
	"conversations before all": rows("UPDATE record SET conn = "
	    "-9223372036854775807 - 1 WHERE conn IS NOT NULL"),
	"times at the ends of time": rows("UPDATE record SET utc_ns = CASE seq % 2 "
	    "WHEN 0 THEN 9223372036854775807 ELSE -9223372036854775808 END"),
	"numbers with holes": rows("DELETE FROM record WHERE seq % 7 = 3"),
	"a number far away": rows("UPDATE record SET seq = 4611686018427387904 "
	    "WHERE seq = (SELECT max(seq) FROM record)"),
	"numbers below zero": rows("UPDATE record SET seq = -seq WHERE "
	    "seq % 5 = 1"),
	"tiles of a wrong size": rows("UPDATE tile SET hashes = "
	    "substr(hashes, 1, 31)", "INSERT INTO tile VALUES "
	    "(9223372036854775807, -1, x'00')"),
	"checkpoints of other types": rows("UPDATE checkpoint SET note = "
	    "zeroblob(100000), root = 7"),
	"a checkpoint of more than there is": rows("UPDATE checkpoint SET size = "
	    "9223372036854775807 WHERE size = (SELECT max(size) FROM "
	    "checkpoint)"),
	"no checkpoint": rows("DELETE FROM checkpoint"),
	"no record": rows("DELETE FROM record"),
	"subjects that are none": rows("UPDATE subject SET subject = "
	    "substr(subject, 12), salt = zeroblob(16)", "UPDATE subject SET "
	    "seqs = '9,8,,-1,99999999999999999999'"),
	"raw bytes that are text": rows("UPDATE raw SET bytes = 'text' WHERE "
	    "seq % 2", "UPDATE raw SET bytes = zeroblob(20000000) WHERE seq = "
	    "(SELECT min(seq) FROM raw)"),
	"what was erased is nonsense": rows("INSERT INTO gone VALUES "
	    "(5, 'subject', -1, x'00', 'x'), (6, 'record', 1, NULL, -1), "
	    "(7, 'nothing', 0, zeroblob(32), 0)"),
	"a savefile above": packets("packets/../../victim.pcap"),
	"a savefile that is all": packets("packets/.."),
	"a savefile with a line more": packets("packets/a\nWRONG: no\x1b[1m"),
	"a view in record's place": view("record"),
	"a view in checkpoint's place": view("checkpoint"),
	"evidence.db: a pipe": replaced("evidence.db", "pipe"),
	"evidence.db: a folder": replaced("evidence.db", "folder"),
	"evidence.db: a link": replaced("evidence.db", "link"),
	"evidence.db: no database": replaced("evidence.db", b"x" * 5000),
	"evidence.db: empty": replaced("evidence.db", "empty"),
	"checkpoint.txt: a pipe": replaced("checkpoint.txt", "pipe"),
	"checkpoint.txt: a link": replaced("checkpoint.txt", "link"),
	"checkpoint.txt: a gigabyte": replaced("checkpoint.txt", "a gigabyte"),
	"checkpoint.txt: what moves the cursor": replaced("checkpoint.txt", EVIL),
	"a savefile: a pipe": replaced("packets/000001.pcap", "pipe"),
	"a savefile: a link": replaced("packets/000001.pcap", "link"),
	"a savefile: a link to a pipe": replaced("packets/000001.pcap",
	    "link to a pipe"),
	"a savefile: a folder": replaced("packets/000001.pcap", "folder"),
	"derived.db: a pipe": replaced("derived.db", "pipe"),
	"derived.db: a link": replaced("derived.db", "link"),
	"index.db: a pipe": replaced("index.db", "pipe"),
	"index.db: a link": replaced("index.db", "link"),
	".lock: a pipe": replaced(".lock", "pipe"),
	"the log: a link": replaced("evidence.db-wal", "link"),
	"caches that never end": foreign_tables,
}


def commands(case, key, ip, out):
	return {
	    "verify": ["verify", case],
	    "verify --json": ["verify", "--json", "--no-replay", case],
	    "report": ["report", case, "-o", out],
	    "audit": ["audit", case, out + ".csv", "-o", out + ".audit"],
	    "excerpt": ["excerpt", case, "--ip", ip, out + ".excerpt"],
	    "capture --extract": ["capture", "--extract", "--ip", ip, "-o",
	        out + ".pcap", case],
	    "stamp": ["stamp", "--tsa", "http://127.0.0.1:1/", "--key", key,
	        case],
	    "erase": ["erase", "--ip", ip, "--ground", "a test", "--key", key,
	        case],
	}


def names(what):
	"""Where a file is another, all commands; of values those that look most."""
	return [name for name in commands("", "", "", "") if ":" in what or
	    "savefile" in what or name.split()[0] in ("verify", "report",
	    "excerpt", "erase")]


def state(folder):
	found = {}
	for at, folders, files in os.walk(folder):
		for name in files:
			with open(os.path.join(at, name), "rb") as f:
				found[os.path.join(at, name)] = hashlib.sha256(
				    f.read()).hexdigest()
		found[at] = sorted(folders)
	return found


def plain(data):
	"""Lines of text and nothing that moves a cursor."""
	try:
		text = data.decode()
	except UnicodeDecodeError:
		return False
	return all(c == "\n" or c.isprintable() for c in text)


def run(args):
	try:
		r = subprocess.run([PROGRAM, *args], stdin=subprocess.DEVNULL,
		    capture_output=True, timeout=LIMIT_S)
		return r.returncode, r.stdout, r.stderr
	except subprocess.TimeoutExpired:
		return "no end", b"", b""


def objections(name, got):
	status, out, err = got
	if status not in (0, 1):
		yield "%s: exit %s: %r" % (name, status, err[-600:])
	if b"Sanitizer" in err or b"runtime error" in err:
		yield "%s: %s" % (name, err[-1500:].decode(errors="replace"))
	if not plain(err) or not plain(out):
		yield "%s: not plain: %r" % (name, (err + out)[-600:])
	if status == 1 and not err and b"WRONG" not in out and \
	    b'"faults"' not in out:
		yield "%s: says nothing" % name
	for line in err.split(b"\n"):
		if line and not line.startswith(b"swarmwitness"):
			yield "%s: a line of its own: %r" % (name, line)


def one(base, key, ip, folder, number, what):
	"""What is objected to."""
	here = os.path.join(folder, "try%d" % number)
	case, victim = os.path.join(here, "case"), os.path.join(here, "victim")
	os.mkdir(here)
	os.mkdir(victim)
	db = sqlite3.connect(victim + "/theirs.db")
	db.execute("CREATE TABLE dear (to_them)")
	db.commit()
	db.close()
	for name in "victim.pcap", "kept":
		with open(os.path.join(here, name), "w") as f:
			f.write("theirs")
	bad = []
	for name in names(what):
		shutil.copytree(base, case)
		DAMAGE[what](case, victim + "/theirs.db")
		out = os.path.join(here, "out")
		shutil.copy(os.path.join(folder, "claims.csv"), out + ".csv")
		was = state(victim), open(here + "/victim.pcap").read()
		got = run(commands(case, key, ip, out)[name])
		bad += objections(name, got)
		if (state(victim), open(here + "/victim.pcap").read()) != was:
			bad.append(name + ": wrote to another's file")
		allowed = {"case", "victim", "victim.pcap", "kept", "out",
		    "out.csv", "out.audit", "out.excerpt", "out.pcap"}
		if set(os.listdir(here)) - allowed:
			bad.append("%s: made %s" % (name, os.listdir(here)))
		if name == "verify" and got[0] == 0 and what not in MAY_HOLD:
			bad.append("verify: it holds")
		for path in case, out, out + ".audit", out + ".excerpt":
			shutil.rmtree(path, ignore_errors=True)
	shutil.rmtree(here)
	return bad


# No evidence; what stands in derived.db's place is told, and not looked at.
MAY_HOLD = {"index.db: a pipe", "index.db: a link", ".lock: a pipe",
    "derived.db: a pipe", "derived.db: a link"}


def main():
	if peopled.build() != 0:
		print("not ok - tests/unit/peopled.c is built")
		return 1
	with tempfile.TemporaryDirectory(prefix="sw-foreign-") as folder:
		base, key = os.path.join(folder, "base"), \
		    os.path.join(folder, "key")
		peers = peopled.make(base, key, 8, 3)
		with open(os.path.join(folder, "claims.csv"), "w") as f:
			f.write("ip,port,utc,infohash\n%s,%d,2026-01-02T00:00:00Z,"
			    "c12fe1c06bba254a9dc9f519b335aa7c1367a88a\n" % peers[2])
		for args in commands(base, key, peers[2][0],
		    os.path.join(folder, "first")).values():
			if args[0] in ("verify", "report"):
				tap.equal(run(args)[0], 0, "before: " + args[0])
		with concurrent.futures.ThreadPoolExecutor(2) as pool:
			tries = {what: pool.submit(one, base, key, peers[2][0],
			    folder, n, what) for n, what in enumerate(DAMAGE)}
			for what, done in tries.items():
				bad = done.result()
				tap.claim(not bad, "%s: each of %d commands ends, "
				    "in plain words" % (what, len(names(what))),
				    "\n# ".join(bad)[:3000])
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
