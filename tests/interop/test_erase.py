#!/usr/bin/env python3
"""Erasures: the case holds before and after by both verifiers, no byte of it
has the address, others' proofs and excerpts still hold; a kill at any moment
leaves a case that holds; and an erasure that says something else than was done
is found out.

ERASE_KILLS says how many kills (12)."""
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import peopled			# noqa: E402
from caseview import edit		# noqa: E402
from holding import PAGE, holds	# noqa: E402
from tap import Tap		# noqa: E402
from test_excerpt import rows	# noqa: E402

tap = Tap()
PEERS = 40
GROUND = "asked for by the person, case 7"
A_GONE = "(SELECT min(seq) FROM gone WHERE what = 'record')"
TAMPER = {
	"a leaf left changed": ["UPDATE gone SET hash = zeroblob(32) "
	    "WHERE what = 'record' AND seq = " + A_GONE],
	"a leaf left removed": ["DELETE FROM gone WHERE what = 'record' AND "
	    "seq = " + A_GONE],
	"a leaf of named changed": ["UPDATE gone SET hash = zeroblob(32) "
	    "WHERE what = 'named'"],
	"a node changed": ["UPDATE gone SET hash = zeroblob(32) "
	    "WHERE what = 'subject'"],
	"a node moved": ["UPDATE gone SET n = n * 2 WHERE what = 'subject'"],
	"a list that was written down changed": ["UPDATE subject SET seqs = "
	    "substr(seqs, instr(seqs, ',') + 1) WHERE seqs NOTNULL"],
	"a list that was written down removed": ["UPDATE subject SET seqs = "
	    "NULL WHERE seqs NOTNULL"],
	"another erasure named": ["UPDATE gone SET erased = 0"],
	"more gone than was named": ["INSERT INTO gone SELECT max(seq), 'raw', "
	    "0, NULL, (SELECT max(erased) FROM gone) FROM raw",
	    "DELETE FROM raw WHERE seq = (SELECT max(seq) FROM raw)"],
	"raw bytes put back": ["INSERT INTO raw SELECT seq, x'00' FROM gone "
	    "WHERE what = 'raw' LIMIT 1"],
	"the ground changed": ["UPDATE record SET detail = replace(detail, "
	    "'case 7', 'case 8') WHERE kind = 'erased'"],
}


def make(folder, name, peers=PEERS, times=3, *cut):
	case, key = os.path.join(folder, name), os.path.join(folder,
	    name + ".key")
	return case, key, peopled.make(case, key, peers, times, *cut)


def erase(case, key, ip, *options):
	return peopled.sw("erase", case, "--ip", ip, "--ground", GROUND, "--key",
	    key, *options)


def whole(folder):
	case, key, peers = make(folder, "case")
	excerpts = {}
	holds(tap, case, "the case before")
	for i in 2, 0, 4, 3, 5:
		ip, port = peers[i]
		r = erase(case, key, ip)
		tap.equal((r.returncode, r.stderr.count("error")), (0, 0),
		    "peer %d (%s) is erased" % (i, ip))
		holds(tap, case, "the case without peer %d" % i)
		tap.equal(peopled.seen(case, [peers[i]]), set(),
		    "no file of it has the address: text, hex, packed")
		excerpts[ip] = i
	left = [p for p in peers if p[0] not in excerpts]
	tap.equal(peopled.seen(case, left), {p[0] for p in left},
	    "all others are there still")
	grounds = rows(case, "SELECT DISTINCT json_extract(detail, '$.ground') "
	    "FROM record WHERE kind = 'erased'")
	tap.equal(grounds, [(GROUND,)], "the ground is on record")
	for i in 1, 9, 10:	# talked with, named by, named beside those
		out = os.path.join(folder, "out%d" % i)
		r = peopled.sw("excerpt", case, "--ip", peers[i][0], out)
		tap.equal(r.returncode, 0, "an excerpt of peer %d" % i)
		holds(tap, out, "of a case with erasures")
		tap.equal(peopled.seen(out, [peers[k] for k in (2, 0, 4, 3, 5)]),
		    set(), "which has nothing of those erased")
	tap.claim(rows(os.path.join(folder, "out1"), "SELECT count(*) FROM gone "
	    "WHERE what = 'record'")[0][0] > 0,
	    "and says what of its own list was erased")
	r = erase(case, key, peers[2][0])
	tap.claim(r.returncode == 1 and "nothing of" in r.stderr or
	    "cannot be proved" in r.stderr, "a second time there is nothing to "
	    "erase", r.stderr)
	holds(tap, case, "and the case is as it was")
	report = os.path.join(folder, "report")
	r = peopled.sw("report", case, "-o", report)
	with open(os.path.join(report, "report.json")) as f:
		tap.claim('"erasures":5' in f.read().replace(": ", ":"),
		    "a report counts the erasures")
	return case, key


def tamper(case, folder):
	copy = os.path.join(folder, "copy")
	for what, sqls in TAMPER.items():
		shutil.copytree(case, copy)
		tap.claim(edit(copy, *sqls), "there is something to "
		    "change: " + what)
		holds(tap, copy, what, expected=1)
		shutil.rmtree(copy)


def triggers(case, folder):
	"""What the schema lets nobody do by accident."""
	copy = os.path.join(folder, "copy")
	shutil.copytree(case, copy)
	db = sqlite3.connect(os.path.join(copy, "evidence.db"))
	for sql in (
	    "DELETE FROM record WHERE seq = 20", "DELETE FROM named",
	    "DELETE FROM raw", "DELETE FROM subject WHERE seq = 0",
	    "DELETE FROM gone", "UPDATE gone SET n = n + 1",
	    "UPDATE subject SET salt = '%032d'" % 0,
	    "INSERT INTO gone VALUES (20, 'record', 0, zeroblob(32), 0)",
	    "INSERT INTO gone SELECT 20, 'record', 0, zeroblob(32), max(seq) "
	    "FROM record", "INSERT INTO proof VALUES (1, 1, x'')",
	    "INSERT INTO omitted VALUES (1, 'raw', 0, NULL, '')"):
		try:
			n = db.execute(sql).rowcount
			tap.claim(n == 0, "refused: " + sql, n)
		except sqlite3.IntegrityError:
			tap.claim(True, "refused: " + sql)
		db.rollback()
	db.close()
	shutil.rmtree(copy)


def narrowed(folder):
	case, key, peers = make(folder, "narrow")
	days = [r[0] for r in rows(case, "SELECT DISTINCT substr(subject, -10) "
	    "FROM subject ORDER BY 1")]
	ip, port = peers[2]
	r = erase(case, key, ip, "--from", days[1], "--to", days[1])
	tap.equal(r.returncode, 0, "one day is erased")
	holds(tap, case, "without one day of an address")
	tap.equal(rows(case, "SELECT subject FROM subject WHERE subject GLOB "
	    "'%s|*'" % ip), [("%s|%s" % (ip, days[0]),)], "the other day stays")
	ip, port = peers[6]
	r = erase(case, key, ip, "--port", str(port))
	tap.equal(r.returncode, 0, "one port is erased")
	holds(tap, case, "without one port of an address")
	tap.equal(rows(case, "SELECT count(*) FROM record WHERE ip = '%s'" %
	    ip), [(0,)], "its records are gone")
	r = erase(case, key, peers[7][0], "--swarm", "ab" * 20)
	tap.equal((r.returncode, rows(case, "SELECT count(*) > 0 FROM record "
	    "WHERE ip = '%s'" % peers[7][0])), (1, [(1,)]),
	    "of another swarm nothing is")


def killed(folder):
	"""At any moment: what is left holds, and a second try ends it."""
	made, key, peers = make(folder, "killed", PEERS, 6)
	ip, port = peers[2]
	case = os.path.join(folder, "kill")
	began = time.monotonic()
	shutil.copytree(made, case)
	erase(case, key, ip)
	took = time.monotonic() - began
	shutil.rmtree(case)
	rolls = random.Random(os.environ.get("SEED") or random.randrange(10**6))
	done = {True: 0, False: 0}
	for i in range(int(os.environ.get("ERASE_KILLS", 12))):
		shutil.copytree(made, case)
		p = subprocess.Popen([peopled.PROGRAM, "erase", case, "--ip", ip,
		    "--ground", GROUND, "--key", key],
		    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
		time.sleep(rolls.uniform(0, took))
		p.send_signal(signal.SIGKILL)
		p.wait()
		bad = [r.stdout[-300:] + r.stderr[-300:] for r in (
		    subprocess.run(command + [case], capture_output=True,
		    text=True) for command in (PAGE,
		    [peopled.PROGRAM, "verify"])) if r.returncode]
		# Sealing has a moment in which readers may not read.
		sealing = len(bad) == 2 and "the next run mends it" in bad[1]
		tap.claim(not bad or sealing, "killed %d: what is left %s" % (i,
		    "waits for the next to mend it" if sealing else "holds"),
		    bad)
		r = erase(case, key, ip)
		done[r.returncode == 0] += 1
		again = peopled.sw("verify", case)
		tap.claim(again.returncode == 0 and
		    not peopled.seen(case, [peers[2]]),
		    "and once more, it is gone, and the case holds",
		    (r.stderr[-300:], again.stdout[-300:]))
		shutil.rmtree(case)
	print("# killed before it was done: %d, after: %d" % (done[True],
	    done[False]))


def misuse(case, key, folder):
	other = os.path.join(folder, "other.key")
	for what, args, status in (
	    ("no ground", [case, "--ip", "9.9.9.9"], 2),
	    ("a ground that says the address", [case, "--ip", "9.9.9.9",
	        "--ground", "for 9.9.9.9"], 2),
	    ("no address", [case, "--ground", "x"], 2),
	    ("an absent address", [case, "--ip", "9.9.9.9", "--ground", "x",
	        "--key", key], 1),
	    ("another key", [case, "--ip", "9.9.9.9", "--ground", "x", "--key",
	        other], 1),
	    ("no case", [os.path.join(folder, "none"), "--ip", "9.9.9.9",
	        "--ground", "x", "--key", key], 1)):
		r = peopled.sw("erase", *args)
		tap.claim(r.returncode == status and r.stderr, "%s: exit %d" %
		    (what, status), r)
	tap.claim(not os.path.exists(os.path.join(folder, "none")),
	    "no case is made of none")
	holds(tap, case, "nothing was changed by all that")


def main():
	if peopled.build() != 0:
		print("not ok - tests/unit/peopled.c is built")
		return 1
	with tempfile.TemporaryDirectory() as folder:
		case, key = whole(folder)
		tamper(case, folder)
		triggers(case, folder)
		narrowed(folder)
		killed(folder)
		misuse(case, key, folder)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
