#!/usr/bin/env python3
"""One case through three runs: killed, interrupted, terminated.

After SIGKILL the case holds and the next run says that the one before did not
end and keeps its packets; SIGINT and SIGTERM end a run cleanly; a case has one
writer, and readers while it writes.
"""
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
import processes			# noqa: E402
from caseview import Case		# noqa: E402
from holding import PAGE, holds		# noqa: E402
from tap import Tap			# noqa: E402

tap = Tap()


def confined(pid):
	"""Every thread has its seccomp filter and can gain no privilege."""
	said = []
	for task in os.listdir("/proc/%d/task" % pid):
		s = processes.status(pid, task)
		said.append((s["Seccomp"], s["NoNewPrivs"],
		    int(s["CapEff"], 16)))
	return said


def begin(lab, path):
	"""A run that has checked some piece, or all that it wants."""
	def pieces():
		try:
			with closing(Case(path, lab.content.pieces)) as case:
				return len(case.records("piece"))
		except sqlite3.OperationalError:	# no tables yet
			return 0

	before = pieces()
	monitor = lab.monitor(path, duration=600)
	lab.wait(lambda: pieces() > before or monitor.poll() is not None, 120,
	    "piece")
	return monitor


def stop(monitor, number):
	"""Sends the signal; (exit status, stdout, stderr)."""
	monitor.send_signal(number)
	try:
		out, err = monitor.communicate(timeout=90)
	except subprocess.TimeoutExpired:
		monitor.kill()
		out, err = monitor.communicate()
	return monitor.returncode, out, err


def killed(lab, path):
	pieces = lab.content.pieces
	monitor = begin(lab, path)
	recorder = processes.children(monitor.pid)
	tap.claim(recorder, "packets are recorded by a child process")
	threads = confined(monitor.pid)
	tap.claim(len(threads) > 2 and set(threads) == {("2", "1", 0)},
	    "every thread of the monitor is confined", threads)
	tap.equal([set(confined(p)) for p in recorder],
	    [{("2", "1", 0)}] * len(recorder),
	    "and so is every thread of the recorder")
	stop(monitor, signal.SIGKILL)
	end = time.monotonic() + 60
	alive = recorder
	while alive and time.monotonic() < end:
		time.sleep(0.1)
		alive = [p for p in alive
		    if os.path.exists("/proc/%d/exe" % p)]
	tap.equal(alive, [], "the recorder ends with its monitor")
	with closing(Case(path, pieces)) as case:
		tap.claim(case.records("piece"), "what was committed before "
		    "the kill is there")
		records = case.records("run", "piece", "dial", "handshake")
	holds(tap, path, "killed", said="did not end")
	return records


def interrupted(lab, path, records):
	monitor = begin(lab, path)
	listed = lab.tracker.counts()
	status, out, err = stop(monitor, signal.SIGINT)
	tap.equal(status, 0, "SIGINT: exit 0")
	case = Case(path, lab.content.pieces)
	runs = case.records("run")
	was = runs[-1].d["previous"]
	tap.claim(len(runs) == 2 and was["seq"] == 0 and
	    was["ended"] is False and was["records"] == runs[-1].seq,
	    "the next run says that the one before did not end", was)
	now = case.records("run", "piece", "dial", "handshake")
	tap.claim(len(now) > len(records) and now[:len(records)] == records,
	    "nothing that was there is gone or changed")
	saved = [r.d for r in case.records("packets")]
	tap.claim(len(saved) == 2 and saved[0]["salvaged"] is True and
	    not saved[1]["salvaged"] and saved[0]["packets"] > 0,
	    "it keeps the packets that the killed run left", saved)
	after = lab.tracker.counts()
	tap.claim(after[1] == listed[1] - 1, "opentracker was told stopped",
	    (listed, after))
	end = case.records("end")
	tap.claim(len(end) == 1 and case.records("announce")[-1].d["event"] ==
	    "stopped", "announce and end are the last words")
	with open(os.path.join(path, "checkpoint.txt")) as f:
		tap.claim(f.read() in out + err,
		    "the newest checkpoint is printed")
	case.close()
	holds(tap, path, "interrupted")


def terminated(lab, path):
	monitor = begin(lab, path)
	second = lab.monitor(path, duration=5)
	_, err = second.communicate(timeout=120)
	tap.claim(second.returncode == 1 and err.count("\n") <= 2 and
	    "another" in err, "a second writer is refused in one line",
	    (second.returncode, err))
	r = subprocess.run(PAGE + [path], capture_output=True, text=True)
	tap.equal((r.returncode, "did not end" in r.stdout), (0, True),
	    "a reader sees the growing case hold")
	status, _, _ = stop(monitor, signal.SIGTERM)
	tap.equal(status, 0, "SIGTERM: exit 0")
	case = Case(path, lab.content.pieces)
	tap.claim(case.records("run")[-1].d["previous"]["ended"] is True,
	    "the third run says that the second ended")
	mode = case.db.execute("PRAGMA journal_mode").fetchone()[0]
	tap.equal((mode, os.path.exists(os.path.join(path,
	    "evidence.db-wal"))), ("delete", False), "the case is sealed")
	tap.equal([r.d["key_run"] for r in case.records("run")], [1, 2, 3],
	    "the key's runs are numbered")
	case.close()
	holds(tap, path, "terminated")
	before = open(os.path.join(path, "evidence.db"), "rb").read()
	subprocess.run([laboratory.PROGRAM, "verify", path],
	    capture_output=True)
	tap.claim(before == open(os.path.join(path, "evidence.db"),
	    "rb").read(), "reading a sealed case changes no byte of it")


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-signals-",
	    ignore_cleanup_errors=True) as folder:
		path = os.path.join(folder, "case")
		with laboratory.Lab() as lab:
			lab.swarm(only=("lt-seed", "aria2-seed"))
			records = killed(lab, path)
			interrupted(lab, path, records)
			terminated(lab, path)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
