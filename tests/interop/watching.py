"""A monitor while it runs: what is on record so far, and its end.

A test says what must come to be on record, waits for that, up to a limit which
only a broken program reaches however busy the machine is, and ends the run:

	watch = Watch(lab.monitor(path, duration=LIMIT_S), path)
	watch.until("a piece", lambda case: case.records("piece"))
	out, err = watch.end()

Nothing is written to the case, and no reader is left open when the run ends.
"""
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

from built import ROOT
from caseview import Case

LIMIT_S = 300


def script():
	"""schema/derived.sql, with the files that it reads in their places."""
	with open(os.path.join(ROOT, "schema/derived.sql"),
	    encoding="utf-8") as f:
		lines = f.readlines()
	for i, line in enumerate(lines):
		if line.startswith(".read "):
			with open(os.path.join(ROOT, line.split()[1]),
			    encoding="utf-8") as f:
				lines[i] = f.read()
	return "".join(lines)


class Watch:
	def __init__(self, monitor, path, pieces=0):
		"""pieces: as Case wants them."""
		self.monitor, self.path, self.pieces = monitor, path, pieces
		self.begun = time.monotonic()
		self.tables = sqlite3.connect(":memory:", uri=True,
		    isolation_level=None)
		self.late = []		# what did not come to be

	def ask(self, held):
		"""held(case), or None while the case is being made."""
		try:
			with closing(Case(self.path, self.pieces)) as case:
				return held(case)
		except (sqlite3.Error, LookupError):
			return None

	def derived(self, sql, *values):
		"""Rows of the derived tables as of now; none if there is no
		case yet."""
		try:
			self.tables.execute("ATTACH ? AS evidence",
			    ("file:%s?mode=ro" % os.path.join(
			    os.path.abspath(self.path), "evidence.db"),))
		except sqlite3.Error:
			return []
		try:
			self.tables.executescript(script())
			return self.tables.execute(sql, values).fetchall()
		except sqlite3.Error:
			return []
		finally:
			for _, name, _ in self.tables.execute(
			    "PRAGMA database_list").fetchall():
				if name not in ("main", "temp"):
					self.tables.execute("DETACH " + name)

	def until(self, what, held, seconds=LIMIT_S):
		"""Waits until held(case); what it gave, or None if the limit
		passed or the monitor ended first, and what is then late."""
		end = time.monotonic() + seconds
		while True:
			got = self.ask(held)
			if got:
				return got
			if self.monitor.poll() is not None or \
			    time.monotonic() > end:
				self.late.append(what)
				print("# after %d s: no %s" % (time.monotonic()
				    - self.begun, what), flush=True)
				return None
			time.sleep(0.5)

	def end(self, number=signal.SIGINT, seconds=90):
		"""Ends the run if it has not ended: (stdout, stderr)."""
		took = time.monotonic() - self.begun
		if self.monitor.poll() is None:
			self.monitor.send_signal(number)
		said = self.wait(seconds)
		print("# the monitor ran for %.0f s, and took %.1f s to end" %
		    (took, time.monotonic() - self.begun - took), flush=True)
		return said

	def end_well(self, tap):
		"""Ends the run, which must be as it should."""
		_, err = self.end()
		if not tap.equal(self.monitor.returncode, 0,
		    "the monitor ends well"):
			print(err[-2000:])

	def wait(self, seconds=LIMIT_S):
		"""It ends by itself, or is killed: (stdout, stderr)."""
		try:
			return self.monitor.communicate(timeout=seconds)
		except subprocess.TimeoutExpired:
			self.monitor.kill()
			return self.monitor.communicate()
