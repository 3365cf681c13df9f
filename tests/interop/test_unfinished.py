#!/usr/bin/env python3
"""Reports that were cut short: known as such, replaced by the next run, and
never by two runs at the same time.
"""
import fcntl
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

import synthetic		# noqa: E402
from built import SANITIZED as PROGRAM	# noqa: E402
from scratch import at		# noqa: E402
from tap import Tap		# noqa: E402

MARK = "UNFINISHED-REPORT"
LIMIT_S = 300
tap = Tap()


def report(out):
	return subprocess.run([PROGRAM, "report", at("case"), "-o", out],
	    capture_output=True, text=True)


def files(folder):
	return {n: open(os.path.join(folder, n), "rb").read()
	    for n in sorted(os.listdir(folder))}


def killed(out):
	"""Killed as soon as the mark stands there and a former report does
	not. Whether that was before its end, which takes a second or more."""
	p = subprocess.Popen([PROGRAM, "report", at("case"), "-o", out],
	    stderr=subprocess.DEVNULL)
	limit = time.monotonic() + LIMIT_S
	while p.poll() is None and time.monotonic() < limit and \
	    not (os.path.exists(os.path.join(out, MARK)) and
	    not os.path.exists(os.path.join(out, "MANIFEST.sha256"))):
		time.sleep(0.001)
	p.kill()
	return p.wait() == -signal.SIGKILL


def main():
	synthetic.crowd(at("case"))
	ok = report(at("whole")).returncode == 0
	whole = files(at("whole"))
	tap.claim(ok and MARK not in whole, "a whole report bears no mark")
	for what, out in (("a new folder", at("new")),
	    ("one with a former report", at("whole"))):
		cut = any(killed(out) for _ in range(10))
		left = os.listdir(out)
		tap.claim(cut and MARK in left and "MANIFEST.sha256" not in left,
		    "killed while it writes into %s: the mark tells" % what)
		p = report(out)
		tap.claim(p.returncode == 0 and "cut short" in p.stderr and
		    files(out) == whole, "the next run says so, and replaces it")
	with open(os.path.join(at("new"), MARK), "w") as f:
		fcntl.flock(f, fcntl.LOCK_EX)
		before = files(at("new"))
		p = report(at("new"))
		tap.claim(p.returncode == 1 and "another report" in p.stderr and
		    p.stderr.count("\n") == 1 and files(at("new")) == before,
		    "two at once into one folder: the second is refused")
	open(at("new", "letter.txt"), "w").close()
	p = report(at("new"))
	tap.claim(p.returncode == 1 and "letter.txt" in p.stderr and
	    len(os.listdir(at("new"))) == len(whole) + 2,
	    "with something else beside the mark it is left alone")


main()
sys.exit(tap.status())
