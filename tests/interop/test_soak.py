#!/usr/bin/env python3
"""Full load for a while: a synthetic swarm that comes and goes, packets that
rotate, checkpoints, and others who read the database all the time. Memory and
descriptors stay flat, records are soon on disk, none is lost, and the case
holds. SOAK_S: for how many seconds new peers come (45); SOAK_RATE: how many a
second (150).
"""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
import test_census as census		# noqa: E402
from caseview import Case		# noqa: E402

SECONDS = int(os.environ.get("SOAK_S", 45))
RATE = int(os.environ.get("SOAK_RATE", 150))
OPEN = 1000		# conversations that the swarm keeps; the oldest goes
READERS = 2
# What a second half may hold more than the first did: the allocator's own
# ups and downs. A thousand bytes kept of each peer would be more.
GROWTH_KB = 8 * 1024
LATE_S = 10		# of a loaded machine; a commit is due every second
READER = """
import json, sqlite3, sys, time
seen, late, asked = -1, 0.0, 0
while True:
    try:
        db = sqlite3.connect('file:%s/evidence.db?mode=ro' % sys.argv[1],
            uri=True)
        rows = db.execute("SELECT seq, utc_ns FROM record WHERE seq > ? AND "
            "kind = 'handshake' ORDER BY seq", (seen,)).fetchall()
        now = time.time_ns()
        if rows:
            seen = rows[-1][0]
            late = max(late, max(now - at for _, at in rows) / 1e9)
        asked += 1
        if asked % 20 == 0:
            db.execute('SELECT kind, count(*) FROM record GROUP BY kind'
                ).fetchall()
        db.close()
    except sqlite3.OperationalError:
        pass                    # it is being made
    print(json.dumps([seen, late, asked]), flush=True)
    time.sleep(0.05)
"""
tap = census.tap


class Reader:
	def __init__(self, case):
		self.said = -1, 0.0, 0
		self.p = subprocess.Popen([sys.executable, "-c", READER, case],
		    stdout=subprocess.PIPE, text=True,
		    preexec_fn=laboratory.die_with_parent)
		threading.Thread(target=self.read, daemon=True).start()

	def read(self):
		for line in self.p.stdout:
			if line.endswith("\n"):
				self.said = json.loads(line)

	def end(self):
		self.p.terminate()
		self.p.wait()


class Weight(threading.Thread):
	"""(memory in kB, descriptors) of a process, twice a second."""

	def __init__(self, pid):
		super().__init__(daemon=True)
		self.pid, self.samples, self.over = pid, [], threading.Event()
		self.start()

	def run(self):
		while not self.over.wait(0.5):
			try:
				with open("/proc/%d/status" % self.pid) as f:
					kb = next(int(l.split()[1]) for l in f
					    if l.startswith("VmRSS"))
				self.samples.append((kb, len(os.listdir(
				    "/proc/%d/fd" % self.pid))))
			except (OSError, StopIteration):
				return

	def halves(self, i):
		"""The most of each half of the time since the swarm was as
		large as it gets."""
		full = next((n for n, s in enumerate(self.samples)
		    if s[1] >= OPEN), len(self.samples))
		s = [s[i] for s in self.samples[full:]]
		return max(s[:len(s) // 2], default=0), \
		    max(s[len(s) // 2:], default=0)


def soak(folder):
	case = os.path.join(folder, "case")
	swarm = census.Swarm(folder, SECONDS + 600, "--open", str(OPEN))
	p = subprocess.Popen([laboratory.PROGRAM, "monitor", "--bind",
	    "127.0.0.1", "--allow-local", "--interface", "lo", "--no-dht",
	    "--no-utp", "--encryption", "off", "--listen", "0", "--sample",
	    "1", "--max-connections", "4000", "--dial-rate", str(RATE),
	    "--key", os.path.join(folder, "key"), case] + swarm.torrents,
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
	    preexec_fn=laboratory.die_with_parent)
	readers = [Reader(case) for _ in range(READERS)]
	weight = Weight(p.pid)
	swarm.all.wait(SECONDS + 240)
	weight.over.set()
	weight.join()
	census.settled(case, swarm, 60)
	for r in readers:
		r.end()
	p.terminate()
	_, err = p.communicate(timeout=120)
	tap.claim(p.returncode == 0, "the monitor ends well", err[-600:])
	peers = swarm.end()
	return case, peers, swarm.said, weight, readers


def judge(case, peers, said, weight, readers):
	kb, fds = weight.halves(0), weight.halves(1)
	print("# memory %d then %d kB, descriptors %d then %d; of %d samples" %
	    (*kb, *fds, len(weight.samples)))
	tap.claim(0 < kb[1] <= kb[0] + GROWTH_KB, "memory is flat: the second "
	    "half's most is %d kB, the first's %d" % (kb[1], kb[0]))
	tap.claim(0 < fds[1] <= fds[0] + 64, "so are descriptors: %d, %d" %
	    (fds[1], fds[0]))
	view = Case(case, census.PIECES)
	last = view.db.execute("SELECT max(seq) FROM record WHERE kind = "
	    "'handshake'").fetchone()[0]
	checkpoints = view.db.execute("SELECT count(*) FROM checkpoint"
	    ).fetchone()[0]
	saved = len(view.records("packets"))
	view.close()
	for r in readers:
		seen, late, asked = r.said
		tap.claim(seen == last, "a reader saw the last handshake, "
		    "and asked %d times" % asked, (seen, last))
		tap.claim(late < LATE_S, "and each within %.2f s of its "
		    "time" % late, late)
	tap.claim(saved > 1, "packets rotated: %d savefiles" % saved)
	tap.claim(checkpoints > 1, "%d checkpoints" % checkpoints)
	tap.claim(said["displaced"] > len(peers) // 4, "peers went as others "
	    "came: %d of %d" % (said["displaced"], len(peers)))
	census.agrees("soak", case, peers, said)
	census.holds("soak", case)


def main():
	laboratory.as_root()
	census.alone()
	census.PEERS = RATE * SECONDS
	with tempfile.TemporaryDirectory(prefix="sw-soak-",
	    ignore_cleanup_errors=True) as folder:
		judge(*soak(folder))
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
