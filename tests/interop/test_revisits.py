#!/usr/bin/env python3
"""Visits of one endpoint on a schedule: a history in one run.

Who was met is visited again a quarter of an hour after. A real libtorrent seed
is met four times while the monitor's clocks, all of them together
(skewed_clock.c), are moved on between visits: to just before the next is due,
when none may come, and past that, when it must. Times are the monitor's own.
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
from built import RELEASE		# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from movedclock import Clock, moves	# noqa: E402
from tap import Tap			# noqa: E402
from watching import Watch	# noqa: E402

# Not the sanitized one: what is preloaded would stand before its runtime.
S = 10**9
REVISIT_S = 900
VISITS = 4
DURATION_S = 2 * VISITS * REVISIT_S	# by clocks that are moved on
tap = Tap()


def ends(case, seed):
	"""Of each conversation that is over, in which it was met."""
	met = {r.conn for r in case.records("handshake", ip=seed.address,
	    by="peer")}
	return [r for r in case.records("closed", ip=seed.address)
	    if r.conn in met]


def had_enough(case, seed, n):
	"""Conversation n is one in which nothing more is wanted."""
	return len({r.conn for r in case.records("not_interested",
	    ip=seed.address, by="us")}) >= n


class Run:
	def __init__(self, lab, path, clock):
		self.clock, self.moves = clock, 0
		self.watch = Watch(lab.watch.run([RELEASE, "monitor",
		    "--allow-local", "--no-packets", "--no-dht", "--no-utp",
		    "--duration", str(DURATION_S), "--key",
		    os.path.join(lab.folder, "key"), path, lab.torrent],
		    env=clock.env, stdout=subprocess.PIPE,
		    stderr=subprocess.PIPE, text=True), path,
		    lab.content.pieces)

	def move_on(self, seconds):
		"""And waits until the monitor has seen it."""
		self.clock.move_on(seconds)
		self.moves += 1
		return self.watch.until("move %d of the clocks" % self.moves,
		    lambda case: len(moves(case)) >= self.moves)


def observe(lab, path, clock):
	seed = lab.peers["lt-seed"]
	lab.listed(seed)
	run, early = Run(lab, path, clock), []
	watch = run.watch
	for n in range(1, VISITS + 1):
		# It stays for two minutes when it has had enough.
		if not watch.until("visit %d" % n, lambda case:
		    had_enough(case, seed, n)) or not run.move_on(130) or \
		    not watch.until("end of visit %d" % n, lambda case:
		    len(ends(case, seed)) >= n):
			break
		if n < VISITS:
			run.move_on(REVISIT_S - 120)
			early.append(watch.until("dial", lambda case:
			    len(case.records("dial", ip=seed.address))))
			run.move_on(130)
	watch.end_well(tap)
	return seed, early


def check(case, seed, early):
	talks = ends(case, seed)
	tap.equal(len(talks), VISITS, "conversations with one endpoint in one "
	    "run")
	dials = case.records("dial", ip=seed.address)
	tap.equal({(r.ip, r.port) for r in dials}, {(seed.address,
	    seed.port)}, "dialled at one address and port")
	tap.equal([(r.d["attempt"], r.d["try"]) for r in dials],
	    [(n + 1, 1) for n in range(VISITS)], "each dial is a visit of its "
	    "own, and they are counted")
	tap.equal([r.conn for r in talks], [r.seq for r in dials],
	    "each is a conversation")
	gaps = [(d.utc_ns - t.utc_ns) / S for t, d in zip(talks, dials[1:])]
	print("# from the end of one to the next: " + ", ".join("%.1f s" % g
	    for g in gaps))
	# One that began within a tick of the end's record.
	tap.claim(len(gaps) == VISITS - 1 and all(g >= REVISIT_S - 1
	    for g in gaps), "a quarter of an hour between them, at least",
	    gaps)
	tap.equal(early, list(range(1, VISITS)), "two minutes before, nobody "
	    "was dialled again")
	got = [{p.d["piece"] for p in case.records("piece", conn=t.conn,
	    by="peer") if p.d["match"] is True} for t in talks]
	print("# pieces of each: %s" % [sorted(g) for g in got])
	tap.claim(got and all(got), "pieces came in each", got)
	tap.equal([len(case.claim(t.conn) or ()) for t in talks],
	    [case.pieces] * VISITS, "what it claims is on record each time")


def history(path, seed):
	"""The tables that reports are made from hold each conversation."""
	return Watch(None, path).derived("SELECT count(*), count(DISTINCT "
	    "conn) FROM contact WHERE ip = ? AND level >= 2", seed.address)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-again-") as folder, \
	    laboratory.Lab() as lab:
		os.chmod(folder, 0o755)
		lab.swarm(only=("lt-seed",))
		path = os.path.join(folder, "case")
		seed, early = observe(lab, path, Clock(folder))
		case = Case(path, lab.content.pieces)
		check(case, seed, early)
		case.close()
		tap.equal(history(path, seed), [(VISITS, VISITS)], "the table "
		    "of contacts holds them all")
		holds(tap, path)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
