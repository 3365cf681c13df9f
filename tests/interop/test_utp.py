#!/usr/bin/python3
"""wire/utp against a real libtorrent that speaks uTP only, on loopback.

Dialling and being dialled, on a clean path and through ones that lose 3 %,
delay 50 ms, reorder and repeat; every piece held against its hash, and the
rate beside what libtorrent gets from libtorrent on the same paths.
"""
import ctypes
import glob
import hashlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from built import ROOT		# noqa: E402
from content import bencode	# noqa: E402
from tap import Tap		# noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
LIBC = ctypes.CDLL(None)
PIECE = 65536
CLEAN = ("0", "0", "0", "0")
LOSSY = ("0.03", "0", "25", "0")	# 3 % each way, 50 ms there and back
ROUGH = ("0.03", "0.02", "20", "10")	# and out of order, and twice
BEGUN = time.monotonic()
tap = Tap()


def port():
	"""A free UDP port below the ephemeral ones."""
	port.next += 1
	while True:
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		try:
			s.bind(("127.0.0.1", port.next))
			return port.next
		except OSError:
			port.next += 1
		finally:
			s.close()


port.next = 20000 + os.getpid() * 37 % 10000


class Part:
	"""A process of the test: lives as long as it at most."""
	all = []

	def __init__(self, *command):
		self.p = subprocess.Popen([str(c) for c in command],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
		    preexec_fn=lambda: LIBC.prctl(1, signal.SIGKILL))
		Part.all.append(self.p)
		if self.line() != "ready":
			raise RuntimeError("%s is not ready" % command[1])

	def line(self, seconds=120):
		"""The next line it says, or nothing if that takes too long."""
		end, text = time.monotonic() + seconds, b""
		while not text.endswith(b"\n"):
			left = end - time.monotonic()
			if left <= 0 or not select.select([self.p.stdout], [],
			    [], left)[0]:
				return ""
			c = os.read(self.p.stdout.fileno(), 1)
			if not c:
				break
			text += c
		return text.decode().strip()

	def tell(self, text):
		self.p.stdin.write(text.encode() + b"\n")
		self.p.stdin.flush()

	def end(self):
		self.p.stdin.close()
		self.p.wait(60)


def python(name, *arguments):
	return Part("/usr/bin/python3", os.path.join(HERE, name), *arguments)


class Content:
	def __init__(self, folder, size):
		self.name, self.size = "utp-%d" % size, size
		self.folder = os.path.join(folder, self.name)
		self.data = hashlib.shake_256(self.name.encode()).digest(size)
		os.mkdir(self.folder)
		with open(os.path.join(self.folder, self.name), "wb") as f:
			f.write(self.data)
		self.sha1 = [hashlib.sha1(self.data[i:i + PIECE]).digest()
		    for i in range(0, size, PIECE)]
		info = {"length": size, "name": self.name,
		    "piece length": PIECE, "pieces": b"".join(self.sha1)}
		self.infohash = hashlib.sha1(bencode(info)).hexdigest()
		self.torrent = os.path.join(folder, self.name + ".torrent")
		with open(self.torrent, "wb") as f:
			f.write(bencode({"info": info}))

	def right(self, path):
		"""How many pieces of a file are right."""
		with open(path, "rb") as f:
			data = f.read()
		return sum(hashlib.sha1(data[i * PIECE:(i + 1) * PIECE])
		    .digest() == h for i, h in enumerate(self.sha1))


class Bench:
	def __init__(self, folder):
		self.folder = folder
		self.fetch = os.path.join(folder, "sw-u-fetch")
		subprocess.run(["gcc", "-std=gnu11", "-O2", "-g", "-I.",
		    "-D_GNU_SOURCE", "-DOPENSSL_API_COMPAT=0x10100000L",
		    "-o", self.fetch, "tests/interop/utp_fetch.c"] +
		    glob.glob(ROOT + "/wire/*.c") + ["-lcrypto"], cwd=ROOT,
		    check=True)
		self.out = 0

	def seed(self, content):
		at = port()
		seed = python("utp_lt.py", "seed", at, content.torrent,
		    content.folder)
		seed.port = at
		return seed

	def path(self, to, how, number=1):
		at = port()
		relay = python("utp_relay.py", at, to, *how, number)
		relay.port = at
		return relay

	def start_fetch(self, mode, content, peer, *options):
		at = port()
		self.out += 1
		out = os.path.join(self.folder, "out%d" % self.out)
		f = Part(self.fetch, mode, at, "127.0.0.1", peer,
		    content.infohash, PIECE, content.size, out, *options)
		f.port, f.out = at, out
		return f

	def end_fetch(self, f, content):
		"""(whether every byte came right, seconds, how it went)."""
		words = f.line(200).replace('="timed out"', "=silence").split()
		said = dict(w.split("=") for w in words[1:])
		f.p.wait(60)
		n = content.right(f.out) if os.path.exists(f.out) else 0
		good = words[:1] == ["done"] and n == len(content.sha1) and \
		    said["malformed"] == "0"
		return good, float(said.get("seconds", 0)), \
		    "%d of %d pieces right, %s" % (n, len(content.sha1),
		    " ".join(words))

	def leech(self, content, peer):
		folder = tempfile.mkdtemp(dir=self.folder)
		leech = python("utp_lt.py", "leech", port(), content.torrent,
		    folder)
		leech.tell("connect %d" % peer)
		return leech


def clean(b, content):
	"""Loopback as it is: dial, be dialled, a small window."""
	seed = b.seed(content)
	f = b.start_fetch("dial", content, seed.port, 64)
	good, ours, how = b.end_fetch(f, content)
	tap.claim(good, "dials libtorrent: " + how)
	f = b.start_fetch("accept", content, seed.port, 64)
	seed.tell("connect %d" % f.port)
	good, _, how = b.end_fetch(f, content)
	tap.claim(good, "libtorrent dials: " + how)
	leech = b.leech(content, seed.port)
	theirs = leech.line().split()
	leech.end()
	seed.end()
	if good and len(theirs) == 2:
		print("# clean: %.1f MB/s, libtorrent from libtorrent "
		    "%.1f MB/s" % (content.size / ours / 1e6,
		    content.size / float(theirs[1]) / 1e6))


def rough(b, content):
	"""Lost, late, out of order, twice; both directions of dialling."""
	seed = b.seed(content)
	relay = b.path(seed.port, ROUGH, 5)
	f = b.start_fetch("dial", content, relay.port, 16, 65536)
	good, _, how = b.end_fetch(f, content)
	tap.claim(good, "dials through a rough path, window 64 KiB: " + how)
	# libtorrent gives up, and says nothing, when the path loses one packet
	# three times: then it dials again.
	for number in (6, 7, 8):
		f = b.start_fetch("accept", content, 1, 16, 65536)
		back = b.path(f.port, ROUGH, number)
		seed.tell("connect %d" % back.port)
		good, _, how = b.end_fetch(f, content)
		back.end()
		if good:
			break
	tap.claim(good, "is dialled through a rough path: " + how)
	for p in (relay, seed):
		p.end()


def compare(b, content, pairs):
	"""3 % lost, 50 ms round trip: ours beside libtorrent's, at once."""
	runs, ours, theirs = [], [], []
	for i in range(pairs):
		seed = b.seed(content)
		one, two = (b.path(seed.port, LOSSY, 10 * i + k)
		    for k in (1, 2))
		runs.append((b.leech(content, two.port), b.start_fetch("dial",
		    content, one.port, 64)))
	for leech, f in runs:
		good, seconds, how = b.end_fetch(f, content)
		tap.claim(good, "through 3 % loss and 50 ms: " + how)
		if good:
			ours.append(content.size / seconds / 1e3)
	for leech, f in runs:
		words = leech.line(max(1, BEGUN + 300 - time.monotonic())).split()
		if len(words) == 2:
			theirs.append(content.size / float(words[1]) / 1e3)
	if not ours or not theirs:
		return
	a, z = sum(ours) / len(ours), sum(theirs) / len(theirs)
	# Chance moves both, and a conversation given up costs 8 s of stall.
	tap.claim(a > 0.5 * z, "3 %% loss, 50 ms: %.0f kB/s, libtorrent from "
	    "libtorrent %.0f kB/s: ratio %.2f" % (a, z, a / z))


def main():
	with tempfile.TemporaryDirectory(prefix="sw-u-") as folder:
		try:
			b = Bench(folder)
			clean(b, Content(folder, 64 << 20))
			rough(b, Content(folder, 1 << 20))
			compare(b, Content(folder, 2 << 20), 4)
		finally:
			for p in Part.all:
				if p.poll() is None:
					p.kill()
				p.wait()
	sys.exit(tap.status())


if __name__ == "__main__":
	main()
