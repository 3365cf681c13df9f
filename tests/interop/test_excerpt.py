#!/usr/bin/env python3
"""Excerpts of a case in which trackers, DHT nodes, PEX, local discovery and
observed conversations name peers: each holds by both verifiers, shows all of
its address and nothing of any other, and is found out if anything of it is
changed."""
import json
import os
import shutil
import sqlite3
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peopled			# noqa: E402
from caseview import edit		# noqa: E402
from holding import holds	# noqa: E402
from tap import Tap		# noqa: E402

tap = Tap()
PEERS = 40
A_NAMED = "(seq, n) = (SELECT seq, n FROM named LIMIT 1)"
MINE = "(SELECT max(seq) FROM record WHERE kind = 'handshake')"
TAMPER = {
	"a detail changed": ["UPDATE record SET detail = "
	    "replace(detail, 'peer', 'Peer') WHERE seq = " + MINE],
	"a time changed": ["UPDATE record SET utc_ns = utc_ns + 1 "
	    "WHERE seq = " + MINE],
	"a record of it removed": ["DELETE FROM record WHERE seq = " + MINE,
	    "DELETE FROM proof WHERE seq = " + MINE,
	    "DELETE FROM raw WHERE seq = " + MINE],
	"a path changed": ["UPDATE proof SET path = "
	    "CAST(zeroblob(32) || substr(path, 33) AS BLOB) WHERE seq = " + MINE],
	"a path cut": ["UPDATE proof SET path = "
	    "substr(path, 33) WHERE seq = " + MINE],
	"a path removed": ["DELETE FROM proof WHERE seq = " + MINE],
	"raw bytes changed": ["UPDATE raw SET bytes = x'00' WHERE seq = " + MINE],
	"raw bytes removed": ["DELETE FROM raw WHERE seq = " + MINE],
	"an omission forgotten": ["DELETE FROM omitted WHERE (seq, what) = "
	    "(SELECT seq, what FROM omitted WHERE what = 'raw' LIMIT 1)"],
	"a record left out forgotten": ["DELETE FROM proof WHERE seq = (SELECT "
	    "min(seq) FROM omitted WHERE what = 'record')",
	    "DELETE FROM omitted WHERE seq = (SELECT min(seq) FROM omitted "
	    "WHERE what = 'record')"],
	"a leaf left out changed": ["UPDATE omitted SET sha256 = '%064d' "
	    "WHERE what = 'record'" % 0],
	"a line of named changed": ["UPDATE named SET port = port + 1 WHERE " +
	    A_NAMED],
	"a line of named moved": ["UPDATE proof SET n = n + 1 WHERE n NOTNULL"],
	"a list cut": ["UPDATE subject SET seqs = "
	    "substr(seqs, 1, length(seqs) - 5)"],
	"a list extended": ["UPDATE subject SET seqs = "
	    "seqs || ',' || (SELECT max(seq) FROM record)"],
	"a salt changed": ["UPDATE subject SET salt = '%032d'" % 0],
	"a path to the root changed": ["UPDATE subject SET path = "
	    "CAST(substr(path, 1, 2016) || zeroblob(32) AS BLOB)"],
	"a day's subject removed": ["DELETE FROM subject WHERE subject = "
	    "(SELECT max(subject) FROM subject)"],
	"a subject said to be absent": ["UPDATE subject SET salt = NULL, "
	    "seqs = NULL"],
	"an index removed": ["DELETE FROM record WHERE seq = (SELECT min(seq) "
	    "FROM record WHERE kind = 'index')", "DELETE FROM proof WHERE seq "
	    "= (SELECT min(seq) FROM subject)", "DELETE FROM subject WHERE "
	    "seq = (SELECT min(seq) FROM subject)"],
	"another address said": ["UPDATE meta SET value = json_set(value, "
	    "'$.ip', '9.9.9.9') WHERE name = 'excerpt'"],
	"the checkpoint changed": ["UPDATE checkpoint SET root = '%064d'" % 0],
	"a key changed": ["UPDATE record SET detail = replace(detail, '+', '-') "
	    "WHERE kind = 'key'"],
	"a tile added": ["INSERT INTO tile VALUES (0, 0, zeroblob(8192))"],
	"a record said to be erased": ["INSERT INTO gone SELECT " + MINE +
	    ", 'raw', 0, NULL, 0", "DELETE FROM raw WHERE seq = " + MINE],
}


def rows(case, sql):
	db = sqlite3.connect("file:%s/evidence.db?mode=ro" % case, uri=True)
	got = db.execute(sql).fetchall()
	db.close()
	return got


def truth(case, ip):
	"""The seqs that belong to an address, by the rule as the documents state
	it, in SQL."""
	return {r[0] for r in rows(case, """
	    WITH ends AS (SELECT seq, ip FROM record WHERE conn = seq UNION
	        SELECT seq, rtrim(rtrim(json_extract(detail, '$.initiator'),
	        '0123456789'), ':') FROM record WHERE kind = 'flow' UNION
	        SELECT seq, rtrim(rtrim(json_extract(detail, '$.responder'),
	        '0123456789'), ':') FROM record WHERE kind = 'flow')
	    SELECT r.seq FROM record r WHERE ip = '%s' OR conn IN (SELECT seq
	        FROM ends WHERE trim(ip, '[]') = '%s') OR EXISTS (SELECT 1 FROM
	        named n WHERE n.seq = r.seq AND n.ip = '%s') OR (conn IS NULL AND
	        trim(rtrim(rtrim(json_extract(detail, '$.to'), '0123456789'),
	        ':'), '[]') = '%s')""" % (ip, ip, ip, ip))}


def excerpt(case, folder, peers, i):
	ip, port = peers[i]
	out = os.path.join(folder, "out%d" % i)
	r = peopled.sw("excerpt", case, "--ip", ip, out)
	if not tap.equal(r.returncode, 0, "peer %d (%s): an excerpt is made" %
	    (i, ip)):
		print(r.stderr)
		return out
	holds(tap, out, "the excerpt of peer %d" % i)
	mine = truth(case, ip)
	shown = {r[0] for r in rows(out, "SELECT seq FROM record")}
	left = {r[0] for r in rows(out, "SELECT seq FROM omitted WHERE "
	    "what = 'record'")}
	tap.claim(mine and mine <= shown | left, "it has all %d records of the "
	    "address (%d of them left out)" % (len(mine), len(mine & left)),
	    sorted(mine - shown - left)[:9])
	# The other end of its own observed conversations.
	pair = {ip for n, (ip, _) in enumerate(peers)
	    if (i % 10 == 0 and n == i + 1) or (i % 10 == 1 and n == i - 1)}
	others = [p for p in peers if p[0] != ip and p[0] not in pair]
	tap.equal(peopled.seen(out, others), set(), "nothing in it names any of "
	    "the %d other peers" % len(others))
	tap.equal(peopled.seen(out, [peers[i]]), {ip}, "and it names its own")
	named = rows(out, "SELECT DISTINCT ip FROM named")
	tap.equal(named, [(ip,)], "of every list only its own line")
	kinds = {r[0] for r in rows(out, "SELECT DISTINCT kind FROM record")}
	tap.claim({"run", "key", "clock", "torrent", "index", "end", "dial",
	    "handshake", "pex", "listed", "closed"} <= kinds,
	    "it has what everybody needs, and its conversation", kinds)
	return out


def narrowed(case, folder, peers):
	ip, port = peers[2]
	days = [r[0] for r in rows(case, "SELECT DISTINCT substr(subject, -10) "
	    "FROM subject ORDER BY 1")]
	out = os.path.join(folder, "narrow")
	for what, options in (
	    ("a day", ["--from", days[1], "--to", days[1]]),
	    ("a port", ["--port", str(port)]),
	    ("another port", ["--port", "9"]),
	    ("another swarm", ["--swarm", "ab" * 20])):
		r = peopled.sw("excerpt", case, "--ip", ip, *options, out)
		tap.equal(r.returncode, 0, "an excerpt of %s" % what)
		holds(tap, out, "narrowed to " + what)
		asked, = json.loads(rows(out, "SELECT value FROM meta WHERE "
		    "name = 'excerpt'")[0][0]),
		tap.claim(any(str(v) == options[1] for v in asked.values()),
		    "it says so", asked)
		shown = len(rows(out, "SELECT 1 FROM record WHERE ip = '%s'" %
		    ip))
		tap.equal(shown > 0, not what.startswith("another"),
		    "and shows records of the address, or none")
		shutil.rmtree(out)
	r = peopled.sw("excerpt", case, "--ip", ip, "--witnesses", out)
	holds(tap, out, "with witnesses")
	tap.equal(rows(out, "SELECT count(*) FROM omitted WHERE what = "
	    "'record'"), [(0,)], "--witnesses leaves out no record")
	shutil.rmtree(out)


def absent(case, folder):
	out = os.path.join(folder, "absent")
	for ip in "9.9.9.9", "2001:db8::9":
		r = peopled.sw("excerpt", case, "--ip", ip, out)
		tap.equal((r.returncode, rows(out, "SELECT count(*), "
		    "count(salt) FROM subject")), (0, [(2, 0)]),
		    "of %s, who is not there, two absences" % ip)
		holds(tap, out, "the absence of " + ip)
		edit(out, "UPDATE subject SET path = CAST(substr(path, 1, "
		    "2016) || zeroblob(32) AS BLOB)")
		holds(tap, out, "but not by another path", expected=1)
		shutil.rmtree(out)


def tamper(out, folder):
	copy = os.path.join(folder, "copy")
	for what, sqls in TAMPER.items():
		shutil.copytree(out, copy)
		tap.claim(edit(copy, *sqls), "there is something to "
		    "change: " + what)
		holds(tap, copy, what, expected=1)
		shutil.rmtree(copy)


def lists(case, folder, peers):
	"""index.db is no evidence: without it, or with a wrong one, the same."""
	out = os.path.join(folder, "again")
	file = os.path.join(case, "index.db")
	want = rows(os.path.join(folder, "out2"), "SELECT * FROM subject")

	def same(what):
		r = peopled.sw("excerpt", case, "--ip", peers[2][0], out)
		tap.equal((r.returncode, rows(out, "SELECT * FROM subject")),
		    (0, want), "the same excerpt " + what)
		shutil.rmtree(out)

	os.remove(file)
	same("without index.db")
	tap.claim(os.path.exists(file), "which is made again")
	db = sqlite3.connect(file)
	db.execute("UPDATE list SET seqs = x'01' WHERE subject <> ''")
	db.commit()
	db.close()
	same("where index.db says otherwise")
	with open(file, "wb") as f:
		f.write(b"no database" * 100)
	same("where index.db is none")


def crashed(folder):
	case, key = os.path.join(folder, "cut"), os.path.join(folder, "key2")
	peers = peopled.make(case, key, 12, 2, "cut")
	out = os.path.join(folder, "of-cut")
	r = peopled.sw("excerpt", case, "--ip", peers[3][0], out)
	tap.claim(r.returncode == 0 and "in no index" in r.stderr,
	    "a crashed case: what is in no index is told", r.stderr)
	holds(tap, out, "what its indexes cover")
	shutil.rmtree(out)
	other = os.path.join(folder, "key3")
	r = peopled.sw("excerpt", case, "--ip", peers[3][0], "--key", other, out)
	tap.claim(r.returncode == 1 and r.stderr.count("\n") == 1 and
	    not os.path.exists(out), "another key is refused", r.stderr)
	r = peopled.sw("excerpt", case, "--ip", peers[3][0], "--key", key, out)
	tap.claim(r.returncode == 0 and "in no index" not in r.stderr,
	    "--key: they get an index first", r.stderr)
	holds(tap, out, "and the excerpt covers all")
	holds(tap, case, "and the case holds")


def misuse(case, folder, peers):
	out = os.path.join(folder, "misuse")
	for what, args, status in (
	    ("no address", [case, out], 2),
	    ("no OUT", [case, "--ip", "9.9.9.9"], 2),
	    ("an address that is none", [case, "--ip", "9.9.9", out], 2),
	    ("a port that is none", [case, "--ip", "9.9.9.9", "--port",
	        "70000", out], 2),
	    ("a swarm that is none", [case, "--ip", "9.9.9.9", "--swarm",
	        "XY", out], 2),
	    ("a day that is none", [case, "--ip", "9.9.9.9", "--from",
	        "2026-13-01", out], 2),
	    ("no case", [folder, "--ip", "9.9.9.9", out], 1),
	    ("an excerpt", [os.path.join(folder, "out2"), "--ip", "9.9.9.9",
	        out], 1),
	    ("a folder that is not empty", [case, "--ip", "9.9.9.9", case],
	        1)):
		r = peopled.sw("excerpt", *args)
		tap.claim(r.returncode == status and r.stderr and
		    not os.path.exists(out), "%s: exit %d, and no OUT" % (what,
		    status), r)


def main():
	if peopled.build() != 0:
		print("not ok - tests/unit/peopled.c is built")
		return 1
	with tempfile.TemporaryDirectory() as folder:
		case = os.path.join(folder, "case")
		peers = peopled.make(case, os.path.join(folder, "key"), PEERS, 3)
		holds(tap, case, "the case holds")
		tap.equal(peopled.seen(case, peers), {p[0] for p in peers},
		    "the whole case names all peers, so that they can be found")
		for i in 2, 0, 1, 3, 4, 5:
			excerpt(case, folder, peers, i)
		tamper(os.path.join(folder, "out2"), folder)
		narrowed(case, folder, peers)
		absent(case, folder)
		lists(case, folder, peers)
		misuse(case, folder, peers)
		crashed(folder)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
