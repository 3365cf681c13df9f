#!/usr/bin/env python3
"""Full load for a while: a synthetic swarm that comes and goes, packets that
rotate, checkpoints, and others who read the database all the time. Memory and
descriptors stay flat, records are soon on disk, none is lost, and the case
holds. SOAK_S: for how many seconds new peers come (45); SOAK_RATE: how many a
second (150). Beyond a quarter of an hour the case is checked by `verify` alone,
without derived.db, since the rest would take as long as the run; and peers met a
quarter of an hour ago are visited again, for which there are two more dials for
each new peer. SOAK_DIR: an empty folder that keeps the case. SOAK_MEMORY: what
the monitor is given as --max-memory (1G), of which its address book has a share.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
import test_census as census		# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from processes import children, memory_kb	# noqa: E402

SECONDS = int(os.environ.get("SOAK_S", 45))
RATE = int(os.environ.get("SOAK_RATE", 150))
MEMORY = os.environ.get("SOAK_MEMORY", "1G")
LONG = SECONDS > 900
# Conversations that the swarm keeps, of which the oldest goes: it has as many
# after a seventh of the time.
OPEN = min(4000, RATE * SECONDS // 7)
FOLLOWERS = 2
# What a second half may usually hold more than the first did: the allocator's
# own ups and downs. A thousand bytes kept of each peer would be more.
GROWTH_KB = 8 * 1024
# And at most, while records wait for the disk: the ledger's queue.
QUEUE_KB = 64 * 1024
# Of descriptors; were one lost of 10,000 connections, an hour's would be more.
WAVER = 0.05
LATE_S = 10		# of a loaded machine; a commit is due every second
BUCKET_S = 0.1		# of the latencies counted
SPARE = "20G"		# the run ends in order before a disk has less left
FOLLOWER = """
import json, sqlite3, sys, time
seen, asked, late = -1, 0, {}
while True:
    try:
        db = sqlite3.connect('file:%s/evidence.db?mode=ro' % sys.argv[1],
            uri=True)
        rows = db.execute("SELECT seq, utc_ns FROM record WHERE seq > ? AND "
            "kind = 'handshake' ORDER BY seq", (seen,)).fetchall()
        now = time.time_ns()
        db.close()
        for seen, at in rows:
            bucket = int((now - at) / 1e9 / float(sys.argv[2]))
            late[bucket] = late.get(bucket, 0) + 1
        asked += 1
    except sqlite3.OperationalError:
        pass                    # it is being made
    print(json.dumps([seen, asked, late]), flush=True)
    time.sleep(0.2)
"""
# Who reads all of it, again and again.
SCANNER = """
import json, sqlite3, sys, time
asked = 0
while True:
    try:
        db = sqlite3.connect('file:%s/evidence.db?mode=ro' % sys.argv[1],
            uri=True)
        rows = db.execute('SELECT kind, count(*) FROM record GROUP BY kind'
            ).fetchall()
        db.close()
        asked += 1
        print(json.dumps([sum(n for _, n in rows), asked, {}]), flush=True)
    except sqlite3.OperationalError:
        pass
    time.sleep(float(sys.argv[2]))
"""
tap = census.tap


class Reader:
	def __init__(self, script, case, number):
		self.said = -1, 0, {}
		self.p = subprocess.Popen([sys.executable, "-c", script, case,
		    str(number)], stdout=subprocess.PIPE, text=True,
		    preexec_fn=laboratory.die_with_parent)
		threading.Thread(target=self.read, daemon=True).start()

	def read(self):
		for line in self.p.stdout:
			if line.endswith("\n"):
				self.said = json.loads(line)

	def end(self):
		self.p.terminate()
		self.p.wait()

	def late(self, share):
		"""Seconds within which this share was seen."""
		left = share * sum(self.said[2].values())
		for bucket in sorted(self.said[2], key=int):
			left -= self.said[2][bucket]
			if left <= 0:
				return (int(bucket) + 1) * BUCKET_S
		return 0.0


class Weight(threading.Thread):
	"""(memory in kB without files mapped, descriptors, memory of the
	recorder, all memory) of a monitor, twice a second. Mapped is the index of
	SQLite's log, as long as the longest reading beside the run makes it."""

	def __init__(self, pid):
		super().__init__(daemon=True)
		self.pid, self.samples, self.over = pid, [], threading.Event()
		self.times, self.full_ns = [], 0
		self.start()

	def recorder(self):
		return sum(map(memory_kb, children(self.pid)))

	def run(self):
		while not self.over.wait(0.5):
			try:
				self.samples.append((
				    memory_kb(self.pid, "RssAnon"),
				    len(os.listdir("/proc/%d/fd" % self.pid)),
				    self.recorder(), memory_kb(self.pid)))
			except OSError:
				return
			self.times.append(time.time_ns())

	def full(self):
		"""Those since the swarm, and then the address book, was as large
		as it gets."""
		at = next((n for n, s in enumerate(self.samples) if s[1] >= OPEN
		    and self.times[n] >= self.full_ns), len(self.samples))
		return self.samples[at:]

	def halves(self, i, of=lambda h: statistics.quantiles(h, n=4)[2]):
		"""What was not exceeded for three quarters of each half."""
		s = [s[i] for s in self.full()]
		return [int(of(h)) if len(h) > 1 else 0
		    for h in (s[:len(s) // 2], s[len(s) // 2:])]

	def tenths(self, i):
		"""The most of each tenth of that time."""
		s = [s[i] for s in self.full()]
		return [max(s[len(s) * k // 10:len(s) * (k + 1) // 10],
		    default=0) for k in range(10)]


def soak(folder):
	case = os.path.join(folder, "case")
	swarm = census.Swarm(folder, SECONDS + 600, "--once", "--open",
	    str(OPEN), "--come", str(RATE))
	p = subprocess.Popen([laboratory.PROGRAM, "monitor", "--bind",
	    "127.0.0.1", "--allow-local", "--interface", "lo", "--no-dht",
	    "--no-utp", "--encryption", "off", "--listen", "0", "--sample",
	    "1", "--max-connections", str(2 * OPEN + 2000), "--dial-rate",
	    str(3 * RATE if LONG else RATE), "--max-memory", MEMORY,
	    "--disk-spare", SPARE if LONG else "256M", "--key",
	    os.path.join(folder, "key"), case] + swarm.torrents,
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
	    preexec_fn=laboratory.die_with_parent)
	began = time.monotonic()
	readers = [Reader(FOLLOWER, case, BUCKET_S) for _ in range(FOLLOWERS)]
	readers.append(Reader(SCANNER, case, max(1, SECONDS / 40)))
	weight = Weight(p.pid)
	while p.poll() is None and not swarm.all.wait(1) and \
	    time.monotonic() - began < SECONDS + 240:
		pass
	took = time.monotonic() - began
	weight.over.set()
	weight.join()
	# Those met long ago are visited anew all the time.
	census.settled(case, swarm, 10 if LONG else 60)
	for r in readers:
		r.end()
	p.terminate()
	_, err = p.communicate(timeout=3600 if LONG else 900)
	tap.claim(p.returncode == 0, "the monitor ends well", err[-600:])
	peers = swarm.end()
	return case, peers, swarm.said, weight, readers, took


def weigh(weight):
	kb, fds, other, whole = (weight.halves(i) for i in range(4))
	most = max(weight.halves(3, max))
	print("# of %d samples, %d of them when swarm and book were full, the "
	    "most in each tenth of these: memory %s kB; descriptors %s; the "
	    "recorder's memory %s kB; memory with mapped files %s kB" %
	    (len(weight.samples), len(weight.full()),
	    *(" ".join(map(str, weight.tenths(i))) for i in range(4))))
	tap.claim(0 < kb[1] <= kb[0] + GROWTH_KB, "memory is flat: at most %d "
	    "kB for three quarters of the second half, %d of the first" %
	    (kb[1], kb[0]))
	tap.claim(0 < most <= whole[0] + QUEUE_KB, "and with mapped files never "
	    "more than records on their way to the disk account for: %d kB, "
	    "usually %d" % (most, whole[0]))
	tap.claim(0 < other[1] <= other[0] + GROWTH_KB, "the recorder's too: "
	    "%d kB, %d" % (other[1], other[0]))
	tap.claim(0 < fds[1] <= fds[0] + max(64, WAVER * fds[0]), "so are "
	    "descriptors: %d, %d" % (fds[1], fds[0]))


def size(folder):
	return sum(os.path.getsize(os.path.join(at, f)) for at, _, files
	    in os.walk(folder) for f in files)


def judge(case, peers, said, weight, readers, took):
	view = Case(case, census.PIECES)
	one = lambda sql, *values: view.db.execute(sql, values).fetchone()
	weight.full_ns = one("SELECT ifnull(min(utc_ns), 0) FROM record WHERE "
	    "kind = 'book'")[0]
	weigh(weight)
	records, = one("SELECT max(seq) + 1 FROM record")
	dials, reached = one("SELECT count(*) FILTER (WHERE kind = 'dial'), "
	    "count(*) FILTER (WHERE kind = 'reached') FROM record")
	print("# %d peers met in %.0f s (%.0f a second), %d dials, %d "
	    "connections (%.0f a second), %d records (%.0f a second), "
	    "evidence.db %.0f MB, packets %.0f MB" % (said["distinct"],
	    took, said["distinct"] / took, dials, reached, reached / took,
	    records, records / took,
	    os.path.getsize(os.path.join(case, "evidence.db")) / 1e6,
	    size(os.path.join(case, "packets")) / 1e6))
	for r in readers[:-1]:
		seen, asked, late = r.said
		count, last = one("SELECT count(*), max(seq) FROM record WHERE "
		    "kind = 'handshake' AND seq <= ?", seen)
		tap.claim(count == sum(late.values()) and last == seen and
		    count >= said["distinct"], "a reader saw every handshake, "
		    "and asked %d times" % asked, (count, said["distinct"]))
		tap.claim(r.late(1) < LATE_S, "half within %.1f s of its time, "
		    "99 of 100 within %.1f, each within %.1f" % (r.late(0.5),
		    r.late(0.99), r.late(1)))
	tap.claim(readers[-1].said[1] > 1, "another read all records %d times" %
	    readers[-1].said[1])
	saved = len(view.records("packets"))
	tap.claim(saved > 1, "packets rotated: %d savefiles" % saved)
	checkpoints, = one("SELECT count(*) FROM checkpoint")
	tap.claim(checkpoints > 1, "%d checkpoints" % checkpoints)
	view.close()
	tap.claim(said["displaced"] > len(peers) // 4, "peers went as others "
	    "came: %d of %d" % (said["displaced"], len(peers)))
	census.agrees("soak", case, peers, said)
	if not LONG:
		holds(tap, case, "soak")
		return
	os.unlink(os.path.join(case, "derived.db"))
	began = time.monotonic()
	r = subprocess.run([laboratory.PROGRAM, "verify", "--no-replay", case],
	    capture_output=True, text=True)
	tap.claim(r.returncode == 0, "swarmwitness verify holds",
	    r.stdout[-600:] + r.stderr[-600:])
	print("# verify took %.0f s" % (time.monotonic() - began))


def main():
	laboratory.as_root()
	census.alone()
	census.PEERS = RATE * SECONDS
	if "SOAK_DIR" in os.environ:
		judge(*soak(os.environ["SOAK_DIR"]))
		return tap.status()
	with tempfile.TemporaryDirectory(prefix="sw-soak-",
	    ignore_cleanup_errors=True) as folder:
		judge(*soak(folder))
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
