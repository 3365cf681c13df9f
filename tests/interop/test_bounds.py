#!/usr/bin/env python3
"""The bounds of a run, reached by a synthetic swarm: every place taken, and
memory short. What is held stays below --max-memory, as the kernel counts it,
and connections below --max-connections; everybody who answers is met all the
same, because who has nothing more to say makes room; and all of it is on
record."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
import test_census as census		# noqa: E402
from built import RELEASE		# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from processes import memory_kb		# noqa: E402
from tap import Tap			# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

PLACES = 40
MEMORY, MEMORY_KB = "96M", 96 * 1024
tap = Tap()


def met(case):
	return {r.ip for r in case.records("handshake", by="peer")}


def run(folder, name, peers, *options):
	"""The case, who answers, what the metrics said last, and the most that
	was held, once everybody was met."""
	folder = os.path.join(folder, name)
	os.mkdir(folder)
	census.PEERS = peers
	swarm = census.Swarm(folder, LIMIT_S)
	path, metrics = (os.path.join(folder, n) for n in ("case", "metrics"))
	watch = Watch(subprocess.Popen([RELEASE, "monitor", "--bind",
	    "127.0.0.1", "--allow-local", "--no-packets", "--no-dht",
	    "--no-utp", "--encryption", "off", "--listen", "0", "--key",
	    os.path.join(folder, "key"), "--dial-rate", "2000", "--sample",
	    "1", "--metrics", metrics, *options, path] + swarm.torrents,
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
	    preexec_fn=laboratory.die_with_parent), path, census.PIECES)
	swarm.all.wait(LIMIT_S)
	# What it holds when it stops is told by its last metrics.
	most = memory_kb(watch.monitor.pid, "VmHWM")
	_, err = watch.end()
	if not tap.equal(watch.monitor.returncode, 0, "%s: the monitor ends "
	    "well" % name):
		print(err[-2000:])
	with open(metrics) as f:
		said = {k: float(v) for k, v in re.findall(
		    r"^swarmwitness_(\S+) (\S+)$", f.read(), re.M)}
	answer = {p.ip for p in swarm.end() if p.handshakes}
	holds(tap, path, name)
	case = Case(path, census.PIECES)
	tap.equal(swarm.said.get("all"), swarm.said.get("answering"),
	    "%s: all %s that answer were met" % (name,
	    swarm.said.get("answering")))
	tap.equal(met(case) ^ answer, set(), "%s: and that is on record" % name)
	tap.equal(case.undocumented(), [], "%s: every record is as "
	    "docs/evidence-format.md says" % name)
	return case, said, most


def open_at_once(case):
	"""Conversations and dials that were open at a time, by their records."""
	now = most = 0
	for kind, in case.db.execute("SELECT kind FROM record WHERE kind IN "
	    "('dial', 'accept', 'unreached', 'closed') ORDER BY seq"):
		now += 1 if kind in ("dial", "accept") else -1
		most = max(most, now)
	return most


def closed(case, why):
	return [r for r in case.records("closed") if why in r.d["why"]]


def places(folder):
	case, said, _ = run(folder, "places", 400, "--max-connections",
	    str(PLACES))
	most = open_at_once(case)
	tap.claim(most <= PLACES, "places: at most %d of %d were open at once"
	    % (most, PLACES), most)
	gave = closed(case, "its place goes to a peer never met")
	tap.claim(len(gave) > 400 // 2, "places: %d made room for others" %
	    len(gave), len(gave))
	tap.equal(said["gave_way_total"], len(gave), "places: the metrics say "
	    "the same")
	asked = {r.conn for r in case.records("piece", by="peer")
	    if r.d["match"]}
	tap.claim({r.conn for r in gave} <= asked, "places: each of them had "
	    "given what it was asked for")
	case.close()


def memory(folder):
	case, said, most = run(folder, "memory", 13000, "--max-connections",
	    "13000", "--max-memory", MEMORY)
	states = [r.d["state"] for r in case.records("memory")]
	short = closed(case, "memory is short")
	print("# memory: %d kB at most; %d changes of state; %d conversations "
	    "made room; %d at once" % (most, len(states), len(short),
	    open_at_once(case)))
	tap.claim(most < MEMORY_KB, "memory: resident memory stays below %d kB "
	    "(%d)" % (MEMORY_KB, most), most)
	tap.equal(case.records("run")[0].d["config"]["max_memory"],
	    MEMORY_KB * 1024, "memory: the bound is in the run's record")
	tap.claim(states[:1] == ["tight"], "memory: that it was tight is on "
	    "record", states[:5])
	tap.claim(len(short) > 100, "memory: who had nothing more to say made "
	    "room", len(short))
	tap.claim(all(r.d["held"] <= r.d["bound"] for r in
	    case.records("memory")), "memory: no record says that more was held")
	tap.equal((said["memory_bound_bytes"], said["memory_ended_total"]),
	    (MEMORY_KB * 1024, len(short) + len(closed(case,
	    "memory is full"))), "memory: the metrics say the same")
	tap.equal(case.records("memory")[-1].d["ended"],
	    said["memory_ended_total"], "memory: and so does the last record")
	tap.claim(said["memory_highest_bytes"] <= MEMORY_KB * 1024, "memory: "
	    "and that no more was held", said["memory_highest_bytes"])
	case.close()


def main():
	laboratory.as_root()
	census.alone()
	with tempfile.TemporaryDirectory(prefix="sw-bounds-",
	    ignore_cleanup_errors=True) as folder:
		places(folder)
		memory(folder)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
