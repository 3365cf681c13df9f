#!/usr/bin/env python3
"""Tests again and again on a machine that has no time for them: does every
case that they make hold?

	again.py TIMES TEST...		again.py 5 hostile twin flood

Not part of make check. Each time another part is starved (WAYS; AGAIN_WAY has
the one that is wanted): everything
beside two busy processes; everything on one processor; the monitor by the
scheduler's idle class; the recorder alone by the same. What a test demands of
times may fail then; counted are the verdicts of `verify`. Cases that do not
hold are kept in KEEP_BAD_CASES, if that names a folder.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from built import HERE, PROGRAM		# noqa: E402
from lab import die_with_parent		# noqa: E402

LONG_S = int(os.environ.get("AGAIN_S", 540))	# for a test
# way: (before the test, before the monitor, of the monitor's child)
WAYS = {
	"busy": ([], "", ""),
	"one core": (["taskset", "-c", "0"], "", ""),
	"idle monitor": ([], "chrt -i 0", ""),
	"idle recorder": ([], "", "chrt -i -p 0"),
	"nice monitor on one core": (["taskset", "-c", "0"], "nice -n 19", ""),
}
WRAPPER = """#!/bin/sh
if [ "$1" = monitor ]; then
	if [ -n "%(child)s" ]; then
		(i=0; while [ $i -lt 40 ]; do i=$((i + 1)); sleep 0.05
		for p in $(cat /proc/$$/task/$$/children); do
			grep -q swarmwitness /proc/$p/comm && %(child)s $p
		done; done) >/dev/null 2>&1 &
	fi
	exec %(monitor)s "%(program)s" "$@"
fi
exec "%(program)s" "$@"
"""
# The verdict on a case that must hold.
VERDICT = re.compile(r"^(not )?ok - (?:.*: )?(swarmwitness verify: holds|"
    r"the case holds$|and say the same|both verifiers hold it|verify holds)")


def once(name, way, folder):
	"""(held, did not), and what was said."""
	before, monitor, child = WAYS[way]
	wrapper = os.path.join(folder, "swarmwitness")
	with open(wrapper, "w") as f:
		f.write(WRAPPER % {"monitor": monitor, "child": child,
		    "program": PROGRAM})
	os.chmod(wrapper, 0o755)
	busy = [subprocess.Popen(before + [sys.executable, "-c",
	    "while True: pass"], preexec_fn=die_with_parent)
	    for _ in range(2)]
	try:
		r = subprocess.run(before + [sys.executable, os.path.join(HERE,
		    "test_%s.py" % name)], capture_output=True, text=True,
		    env=dict(os.environ, SWARMWITNESS=wrapper),
		    timeout=LONG_S, preexec_fn=die_with_parent)
		said = r.stdout + r.stderr
	except subprocess.TimeoutExpired as e:
		said = (e.stdout or b"").decode(errors="replace")
	finally:
		for p in busy:
			p.kill()
			p.wait()
	found = [m.group(1) for m in map(VERDICT.match, said.splitlines()) if m]
	return found.count(None), found.count("not "), said


def main():
	times, names = int(sys.argv[1]), sys.argv[2:]
	held = broke = 0
	with tempfile.TemporaryDirectory(prefix="sw-again-") as folder:
		os.chmod(folder, 0o755)
		for i in range(times):
			for k, name in enumerate(names):
				way = os.environ.get("AGAIN_WAY") or \
				    list(WAYS)[(i + k) % len(WAYS)]
				good, bad, said = once(name, way, folder)
				held, broke = held + good, broke + bad
				print("%-12s %-24s %d held, %d did not" %
				    (name, way, good, bad), flush=True)
				for line in said.splitlines():
					if bad and (line.startswith("# WRONG")
					    or line.startswith("# kept")):
						print("    " + line, flush=True)
				if good + bad == 0:
					print("    no verdict: %.300s" %
					    said[-300:], flush=True)
	print("%d cases, %d did not hold" % (held + broke, broke))
	return broke != 0


if __name__ == "__main__":
	sys.exit(main())
