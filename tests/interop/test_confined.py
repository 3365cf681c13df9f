#!/usr/bin/env python3
"""The commands that read what others made are confined while they do so: each
is held up at its first byte from outside, by a FIFO or a lock, and the kernel
is asked; with --no-sandbox it says what is lost. What a confined process can
do, test_sandbox.c tries.
"""
import os
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
from tap import Tap			# noqa: E402

tap = Tap()


def state(pid):
	"""Seccomp and NoNewPrivs of each thread."""
	said = set()
	for task in os.listdir("/proc/%d/task" % pid):
		with open("/proc/%d/task/%s/status" % (pid, task)) as f:
			s = dict(line.split(":", 1) for line in f)
		said.add((s["Seccomp"].strip(), s["NoNewPrivs"].strip()))
	return said


def waits_at(pid, holds):
	"""Until it stands where it is held up, or 60 s are over. It opens
	libraries, too, and a slow disk may keep it there for a moment."""
	end, stood = time.monotonic() + 60, 0
	while time.monotonic() < end:
		try:
			with open("/proc/%d/syscall" % pid) as f:
				stood = stood + 1 if f.read().split()[0] in \
				    holds else 0
		except (OSError, IndexError):
			return False
		if stood >= (10 if holds is OPENING else 1):
			return True
		time.sleep(0.02)
	return False


OPENING, SLEEPING = {"2", "257"}, {"230", "35"}	# open, openat; nanosleeps


def held(what, command, holds, out=iter(())):
	"""OUT in the command is another folder each time."""
	for more in (), ("--no-sandbox",):
		folder = next(out, None)
		words = [folder if w == "OUT" else w for w in command]
		p = subprocess.Popen([laboratory.PROGRAM, words[0], *more,
		    *words[1:]], stdout=subprocess.DEVNULL,
		    stderr=subprocess.PIPE, text=True)
		found = waits_at(p.pid, holds)
		said = state(p.pid) if found else None
		p.kill()
		err = p.communicate()[1]
		tap.equal(said, {("0", "0")} if more else {("2", "1")},
		    "%s %s" % (what, "with --no-sandbox is not, " if more else
		    "is confined where it meets a stranger's file"))
		tap.equal("can do what its user can" in err, bool(more),
		    "... and says so" if more else "... without a word")


def locked(case, name):
	lock = sqlite3.connect(os.path.join(case, name), isolation_level=None)
	lock.execute("BEGIN EXCLUSIVE")
	return lock


def held_at_the_case(case, key, folder):
	"""Of stamp no authority is asked by then."""
	out = iter(os.path.join(folder, "out%d" % i) for i in range(4))
	about = ["--ip", "127.0.0.1"]
	lock = locked(case, "index.db")
	held("excerpt", ["excerpt", *about, case, "OUT"], SLEEPING, out)
	lock.close()
	lock = locked(case, "evidence.db")
	held("excerpt with a key", ["excerpt", *about, "--key", key, case,
	    "OUT"], SLEEPING, out)
	held("erase", ["erase", *about, "--ground", "a test", "--key", key,
	    case], SLEEPING)
	held("stamp", ["stamp", "--tsa", "http://127.0.0.1:1/", "--key", key,
	    case], SLEEPING)
	lock.close()


def writes(case, folder):
	"""Confined, they do what they are for, and write nothing elsewhere."""
	out = os.path.join(folder, "out")
	seen = os.path.join(case, "checkpoint.txt")
	for command in (["verify", "--checkpoint", seen, case],
	    ["report", case, "-o", out], ["report", case, "-o", out]):
		r = subprocess.run([laboratory.PROGRAM] + command,
		    capture_output=True, text=True)
		tap.equal(r.returncode, 0, command[0] + " does its work")
	tap.claim(os.path.exists(os.path.join(out, "MANIFEST.sha256")),
	    "the report is whole")


def main():
	with tempfile.TemporaryDirectory(prefix="sw-confined-") as folder:
		case, fifo = (os.path.join(folder, n) for n in ("case", "fifo"))
		r = subprocess.run([laboratory.PROGRAM, "monitor", "--bind",
		    "127.0.0.1", "--listen", "0", "--no-packets", "--no-dht",
		    "--duration", "1", "--key", os.path.join(folder, "key"),
		    case, "ab" * 20], capture_output=True, text=True)
		tap.equal(r.returncode, 0, "there is a case")
		os.mkfifo(fifo)
		out = os.path.join(folder, "nowhere")
		held("torrent", ["torrent", fifo], OPENING)
		held("verify", ["verify", "--key-log", fifo, case], OPENING)
		held("audit", ["audit", case, fifo, "-o", out], OPENING)
		lock = locked(case, "derived.db")
		held("report", ["report", case, "-o", out], SLEEPING)
		lock.close()
		writes(case, folder)
		held_at_the_case(case, os.path.join(folder, "key"), folder)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
