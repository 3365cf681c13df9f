#!/usr/bin/env python3
"""A watched folder of ten thousand torrents: time to take them up, memory,
descriptors, and processor time while nothing happens there, while a hundred
files go and come back, and while somebody writes there all the time. In a
network namespace that leads nowhere; no tracker answers.
"""
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "../interop"))

from built import RELEASE		# noqa: E402
from content import bencode		# noqa: E402
from lab import as_root			# noqa: E402
from processes import memory_kb		# noqa: E402
from trackers import enter_namespace	# noqa: E402

MANY, SOME = 10000, 100
IDLE_S, NOISE_S = 70, 30


def fill(folder, n):
	os.mkdir(folder)
	rnd = random.Random(1)
	for i in range(n):
		with open("%s/%05d.torrent" % (folder, i), "wb") as f:
			f.write(bencode({"announce": "http://127.0.0.1:9/a",
			    "info": {"length": 40 << 14, "name": "t%05d" % i,
			    "piece length": 1 << 14,
			    "pieces": rnd.randbytes(20 * 40)}}))


class Monitor:
	def __init__(self, folder, watched):
		self.log = os.path.join(folder, "log")
		self.metrics = os.path.join(folder, "numbers.prom")
		self.began = time.monotonic()
		with open(self.log, "w") as log:
			self.p = subprocess.Popen([RELEASE, "monitor",
			    "--no-packets", "--no-dht", "--bind", "127.0.0.1",
			    "--listen", "16881", "--metrics", self.metrics,
			    "--key", os.path.join(folder, "key"), "--watch",
			    watched, "--duration", "10m",
			    os.path.join(folder, "case")], stderr=log,
			    stdout=subprocess.DEVNULL)
		while "listening on port" not in open(self.log).read():
			if self.p.poll() is not None:
				sys.exit(open(self.log).read())
			time.sleep(0.05)
		self.loaded_s = time.monotonic() - self.began

	def cpu_s(self):
		with open("/proc/%d/stat" % self.p.pid) as f:
			row = f.read().rpartition(")")[2].split()
		return (int(row[11]) + int(row[12])) / os.sysconf("SC_CLK_TCK")

	def swarms(self):
		with open(self.metrics) as f:
			return int(next(line for line in f if line.startswith(
			    "swarmwitness_swarms ")).split()[1])

	def until(self, n):
		"""Processor time until it watches n."""
		was, end = self.cpu_s(), time.monotonic() + 60
		while self.swarms() != n:
			if time.monotonic() > end:
				sys.exit("no %d swarms" % n)
			time.sleep(0.2)
		return self.cpu_s() - was


def noise(folder):
	end = time.monotonic() + NOISE_S
	while time.monotonic() < end:
		path = os.path.join(folder, "noise.log")
		open(path, "w").close()
		os.unlink(path)
		time.sleep(0.02)


def move(names, a, b):
	for n in names:
		os.rename(os.path.join(a, n), os.path.join(b, n))


def main():
	as_root()
	with tempfile.TemporaryDirectory(prefix="sw-watch-") as folder:
		enter_namespace()
		full, aside = (os.path.join(folder, n)
		    for n in ("full", "aside"))
		os.mkdir(aside)
		fill(full, MANY)
		m = Monitor(folder, full)
		print("taken up: %d torrents, %.2f s of processor time, %.1f s" %
		    (MANY, m.cpu_s(), m.loaded_s), flush=True)
		time.sleep(15)		# the first announces, which fail
		was = m.cpu_s()
		time.sleep(IDLE_S)
		print("idle: %.4f s of processor time a second, one look and "
		    "announces that fail within; %d descriptors; %.1f KiB a "
		    "torrent" % ((m.cpu_s() - was) / IDLE_S,
		    len(os.listdir("/proc/%d/fd" % m.p.pid)),
		    memory_kb(m.p.pid) / MANY), flush=True)
		names = sorted(os.listdir(full))[:SOME]
		move(names, full, aside)
		gone = m.until(MANY - SOME)
		move(names, aside, full)
		print("%d go: %.2f s; come back: %.2f s" % (SOME, gone,
		    m.until(MANY)), flush=True)
		was = m.cpu_s()
		noise(full)
		print("written to all the time: %.4f s a second" %
		    ((m.cpu_s() - was) / NOISE_S))
		m.p.send_signal(signal.SIGINT)
		m.p.wait(60)
	return m.p.returncode


if __name__ == "__main__":
	sys.exit(main())
