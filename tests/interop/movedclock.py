"""Clocks that a test moves on, all of a program's together, as if time had
passed (skewed_clock.c). Not for the sanitized program: what is preloaded would
stand before its runtime.
"""
import os
import struct
import subprocess

S = 10**9


class Clock:
	def __init__(self, folder):
		self.file, self.so = (os.path.join(folder, n)
		    for n in ("passed", "skew.so"))
		subprocess.run(["cc", "-O1", "-Wall", "-shared", "-fPIC", "-o",
		    self.so, os.path.join(os.path.dirname(os.path.abspath(
		    __file__)), "skewed_clock.c"),
		    "-ldl"], check=True)
		self.s = 0
		self.write("wb")
		self.env = dict(os.environ, LD_PRELOAD=self.so,
		    SKEW_FILE=self.file)

	def write(self, mode):
		with open(self.file, mode, buffering=0) as f:
			f.write(struct.pack("=q", self.s * S))

	def move_on(self, seconds):
		self.s += seconds
		self.write("r+b")


def moves(case):
	"""The moves, as a monitor saw them: its loop was away so long."""
	return [r for r in case.records("stall") if r.d["lag_ms"] > 60000]
