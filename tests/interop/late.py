"""How late this machine is: what a promise of seconds may be exceeded by.

A thread that sleeps, and a file that is synced, as a commit is. Held against
it, a test of "within a second" fails when the program is late, not when the
whole machine is.
"""
import os
import threading
import time

TICK_S = 0.05


class Lateness(threading.Thread):
	"""since(when): by how much the worst tick since then came late, s."""

	def __init__(self, folder):
		super().__init__(daemon=True)
		self.path, self.ticks = os.path.join(folder, "tick"), []
		self.running = True
		self.start()

	def run(self):
		with open(self.path, "wb", buffering=0) as f:
			while self.running:
				begun = time.monotonic()
				time.sleep(TICK_S)
				f.write(b"x" * 4096)
				os.fsync(f.fileno())
				now = time.monotonic()
				self.ticks.append((now, now - begun - TICK_S))

	def since(self, when):
		return max((late for at, late in self.ticks if at >= when),
		    default=0.0)

	def end(self):
		self.running = False
		self.join()
		os.unlink(self.path)
