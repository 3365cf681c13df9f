#!/usr/bin/env python3
"""SIGKILL while ingesting, at any moment: after each kill the case holds, told
from docs/evidence-format.md with Python's standard library alone; nothing that
was handed over more than a second before is lost; and the next run is told
that the one before did not end.

CRASH_ROUNDS says how often (20)."""
import base64
import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from built import ROOT
from late import Lateness
from tap import Tap

INGEST = os.path.join(ROOT, "build/san/unit/ingest")
LINE = ("quote(seq)||','||quote(utc_ns)||','||quote(mono_ns)||','||"
    "quote(kind)||','||quote(swarm)||','||quote(conn)||','||quote(ip)||','||"
    "quote(port)||','||quote(detail)||','||quote(raw_sha256)||','||"
    "quote(salt)")
NAMED = ("quote(seq)||','||quote(n)||','||quote(ip)||','||quote(port)||','||"
    "quote(salt)")


def h(*parts):
	return hashlib.sha256(b"".join(parts)).digest()


def root(leaves):
	"""Merkle tree hash of RFC 9162: pairs, an odd last one moves up."""
	if not leaves:
		return h()
	while len(leaves) > 1:
		odd = leaves[-1:] if len(leaves) % 2 else []
		leaves = [h(b"\1", a, b)
		    for a, b in zip(leaves[::2], leaves[1::2])] + odd
	return leaves[0]


def faults(case):
	"""What does not hold in a case, how many records it has, and what its
	next run is to be told of the one before. Works on a copy, so that looking
	mends nothing."""
	copy = tempfile.mkdtemp(prefix="crash-look.")
	for name in os.listdir(case):
		if name.startswith("evidence.db"):
			shutil.copy(os.path.join(case, name), copy)
	db = sqlite3.connect(os.path.join(copy, "evidence.db"))
	bad = []
	if db.execute("PRAGMA application_id").fetchone()[0] == 0:
		# Killed before there was a schema: all or nothing of it.
		if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
			bad.append("half a schema")
		shutil.rmtree(copy)
		return bad, 0, "new"
	if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
		bad.append("integrity_check")
	rows = db.execute("SELECT seq, " + LINE + " FROM record ORDER BY seq"
	    ).fetchall()
	if [r[0] for r in rows] != list(range(len(rows))):
		bad.append("seq is not dense")
	leaves = [h(b"\0", r[1].encode()) for r in rows]
	head = db.execute("SELECT size, root, note FROM checkpoint "
	    "ORDER BY size DESC LIMIT 1").fetchone()
	if head or rows:
		size, hexroot, note = head or (0, "", "\n\n\n")
		lines = note.split("\n")
		if size != len(rows) or lines[1] != str(size):
			bad.append("checkpoint covers %s of %d" %
			    (size, len(rows)))
		if hexroot != root(leaves).hex() or \
		    base64.b64decode(lines[2]) != root(leaves):
			bad.append("root")
		if lines[0] != "swarmwitness/" + db.execute("SELECT value FROM "
		    "meta WHERE name = 'case_id'").fetchone()[0]:
			bad.append("origin")
	tiles = db.execute("SELECT n, hashes FROM tile WHERE level = 0 "
	    "ORDER BY n").fetchall()
	if [t[0] for t in tiles] != list(range(len(rows) // 256)) or \
	    b"".join(t[1] for t in tiles) != \
	    b"".join(leaves[:len(rows) // 256 * 256]):
		bad.append("tiles")
	digests = dict(db.execute("SELECT seq, raw_sha256 FROM record "
	    "WHERE raw_sha256 IS NOT NULL"))
	raws = {s: hashlib.sha256(b).hexdigest()
	    for s, b in db.execute("SELECT seq, bytes FROM raw")}
	if raws != digests:
		bad.append("raw")
	named = {}
	for seq, line in db.execute("SELECT seq, " + NAMED +
	    " FROM named ORDER BY seq, n"):
		named.setdefault(seq, []).append(h(b"\0", line.encode()))
	for seq, n, want in db.execute("SELECT seq, detail->>'named', "
	    "detail->>'named_root' FROM record WHERE kind = 'listed'"):
		got = named.pop(seq, [])
		if len(got) != n or root(got).hex() != want:
			bad.append("named of %d" % seq)
	if named:
		bad.append("named of none")
	# An `end` alone, of a first run that was only to seal, ends no run.
	newest = db.execute("SELECT kind FROM record WHERE kind IN ('run', 'end') "
	    "AND EXISTS (SELECT 1 FROM record WHERE kind = 'run') "
	    "ORDER BY seq DESC LIMIT 1").fetchone()
	db.close()
	shutil.rmtree(copy)
	return bad, len(rows), {None: "new", ("run",): "cut",
	    ("end",): "ended"}[newest]


def crash(case, key, pace, delay, slow):
	"""Ingests for a while; returns what the run was told of the one before,
	and how many records it had handed over a second before it was killed,
	and by as much earlier as the machine is late."""
	begun = time.monotonic()
	child = subprocess.Popen([INGEST, case, key, str(pace)],
	    stdout=open(case + ".said", "w"))
	time.sleep(delay)
	killed_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
	child.kill()
	child.wait()
	said = open(case + ".said").read().split("\n")[:-1]
	handed = [tuple(map(int, s.split())) for s in said[1:]]
	second = 10 ** 9 * (1 + slow.since(begun))
	old = [seq + 1 for seq, at in handed if at < killed_ns - second]
	return (said[0].split() if said else None), max(old, default=0), \
	    handed[-1][0] + 1 if handed else 0


def main():
	tap = Tap()
	subprocess.check_call(["make", "-s", "build/san/unit/ingest"], cwd=ROOT)
	seed = int(os.environ.get("CRASH_SEED", random.randrange(10 ** 6)))
	rounds = int(os.environ.get("CRASH_ROUNDS", "20"))
	random.seed(seed)
	print("seed %d" % seed)
	work = tempfile.mkdtemp(prefix="crash.")
	key = os.path.join(work, "key")
	case, size, cut = os.path.join(work, "case"), 0, "new"
	slow = Lateness(work)
	for i in range(rounds):
		pace = 0 if i % 3 == 2 else random.choice((100, 1000, 5000))
		# Early kills meet the opening, late ones the commits, and some
		# the sealing.
		delay = random.uniform(0.5, 2.5)
		if i % 3 == 0:
			delay = random.uniform(0.01, 0.4)
			pace = random.choice((pace, "end"))
		told, old, handed = crash(case, key, pace, delay, slow)
		if not os.path.exists(os.path.join(case, "evidence.db")):
			continue
		bad, kept, newest = faults(case)
		what = "kill %d, after %.2f s, pace %s: " % (i, delay, pace)
		tap.claim(not bad, what + "what was committed holds (%d "
		    "records)" % kept, bad)
		tap.claim(kept >= max(size, old), what + "at most the last second "
		    "is lost (%d of %d)" % (max(handed - kept, 0), handed),
		    (kept, size, old))
		if told:
			tap.equal(told[1:], [str(size), cut], what +
			    "the run was told of the one before")
		size, cut = kept, newest
	out = subprocess.run([INGEST, case, key, "end"], stdout=subprocess.PIPE,
	    text=True)
	tap.equal((out.returncode, out.stdout.split()), (0, ["past", str(size),
	    cut]), "the last run ends and seals")
	tap.equal(faults(case), ([], size + 2, "ended"), "the sealed case holds, "
	    "an index before its end")
	tap.equal(sorted(os.listdir(case)), [".lock", "checkpoint.txt",
	    "evidence.db", "index.db", "packets", "torrents"],
	    "nothing else lies in it")
	slow.end()
	shutil.rmtree(work)
	return tap.status()


sys.exit(main())
