#!/usr/bin/env python3
"""Callers over uTP that shut their window for ever, shrink it to a byte, take
nothing, or have more answered than they take.

Each is heard, costs a bounded number of datagrams, and is left within minutes,
with the reason on record. The clocks of the monitor are moved on together.
"""
import os
import selectors
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from built import RELEASE		# noqa: E402
from caseview import Case		# noqa: E402
from content import Content		# noqa: E402
from holding import holds		# noqa: E402
from hostile import handshake, message	# noqa: E402
from lab import as_root			# noqa: E402
from movedclock import Clock		# noqa: E402
from processes import memory_kb		# noqa: E402
from tap import Tap			# noqa: E402
from trackers import Http, enter_namespace, reply	# noqa: E402
from watching import Watch		# noqa: E402

PORT = 16881
DATA, FIN, STATE, RESET, SYN = range(5)
EACH = 4		# callers of a kind
STEP_S, MOST_S = 30, 900
MEMORY_KB = 128 * 1024
tap = Tap()


def seq(n):
	return n & 0xffff


class Caller:
	"""window(bytes we got of it) is what it says; acks: it takes anything;
	owed: bytes that it says again and again behind its handshake."""

	def __init__(self, address, words, window, acks=True, owed=b""):
		self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.s.bind((address, 0))
		self.s.connect(("127.0.0.1", PORT))
		self.address, self.window, self.acks = address, window, acks
		self.unsaid = words + owed
		self.seq, self.acked, self.theirs = 1, 0, None
		self.got = self.sent = self.datagrams = self.bytes = 0
		self.over = None
		self.put(SYN, b"")

	def put(self, kind, payload):
		self.sent += 1
		self.s.send(struct.pack(">BBHIIIHH", kind << 4 | 1, 0,
		    77 if kind == SYN else 78, int(time.monotonic() * 1e6) &
		    0xffffffff, 0, self.window(self.got), seq(self.seq),
		    seq(self.theirs or 0)) + payload)

	def read(self):
		b = self.s.recv(4096)
		self.datagrams += 1
		self.bytes += len(b)
		kind, ext, _, _, _, window, number, ack = struct.unpack(
		    ">BBHIIIHH", b[:20])
		kind >>= 4
		at = 20
		while ext:
			ext, at = b[at], at + 2 + b[at + 1]
		if kind == RESET:
			self.over = self.over or "reset"
			return
		if self.theirs is None:
			self.theirs = seq(number - 1)
		elif kind in (DATA, FIN):
			if self.acks and number == seq(self.theirs + 1):
				self.theirs = number
				self.got += len(b) - at
				if kind == FIN:
					self.over = "fin"
			self.put(STATE, b"")
		if kind == STATE or kind == DATA:
			self.say(seq(ack), window)

	def say(self, ack, window):
		"""One datagram under way at a time: nothing is lost here."""
		if ack != seq(self.seq) or not self.unsaid or window < 1000:
			return
		self.seq += 1
		part, self.unsaid = self.unsaid[:1000], self.unsaid[1000:]
		self.put(DATA, part)


def callers(c):
	have = handshake(c.info_hash) + message(5, b"\xff" * (c.pieces // 8) +
	    (bytes([0xff << (8 - c.pieces % 8) & 0xff]) if c.pieces % 8
	    else b""))
	free = message(1)
	ask = message(2) + b"".join(message(6, struct.pack(">III", i %
	    c.pieces, 0, 16384)) for i in range(40000))
	kinds = {
		"shut": lambda a: Caller(a, have, lambda got: 0),
		"shut, unchoking": lambda a: Caller(a, have + free,
		    lambda got: 0),
		"shrinking": lambda a: Caller(a, have + free, lambda got:
		    65536 if got < 68 else 1),
		"deaf": lambda a: Caller(a, have + free, lambda got: 65536,
		    acks=False),
		"owed": lambda a: Caller(a, have + free, lambda got: 0,
		    owed=ask),
	}
	return {"127.0.%d.%d" % (i + 1, k + 1): (name, make)
	    for i, (name, make) in enumerate(kinds.items())
	    for k in range(EACH)}


class Run:
	def __init__(self, folder):
		self.path = os.path.join(folder, "case")
		self.content = Content("hostile", "utp", [[Http(reply(
		    peers=b"")).url]])
		file = os.path.join(folder, "h.torrent")
		with open(file, "wb") as f:
			f.write(self.content.torrent)
		self.clock, self.moved = Clock(folder), 0
		self.watch = Watch(subprocess.Popen([RELEASE, "monitor",
		    "--no-packets", "--no-dht", "--allow-local", "--listen",
		    str(PORT), "--key", os.path.join(folder, "key"),
		    "--duration", "1d", self.path, file], env=self.clock.env,
		    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
		    text=True), self.path)
		self.selector, self.all = selectors.DefaultSelector(), {}
		self.most_kb = 0

	def call(self):
		self.watch.until("a tracker's answer", lambda case:
		    case.records("listed"))
		for address, (name, make) in callers(self.content).items():
			c = self.all[address] = make(address)
			c.name = name
			self.selector.register(c.s, selectors.EVENT_READ, c)
		threading.Thread(target=self.turn, daemon=True).start()

	def turn(self):
		while True:
			for key, _ in self.selector.select():
				try:
					key.data.read()
				except OSError:
					pass

	def ended(self, case):
		self.most_kb = max(self.most_kb, memory_kb(
		    self.watch.monitor.pid))
		return {r.ip for r in case.records("closed")} >= set(self.all)

	def go(self):
		self.call()
		self.watch.until("handshakes of all", lambda case: {r.ip
		    for r in case.records("handshake", by="peer")} >=
		    set(self.all))
		while not self.watch.ask(self.ended) and self.moved < MOST_S:
			time.sleep(1)
			self.clock.move_on(STEP_S)
			self.moved += STEP_S
		print("# moved on by %d s" % self.moved)
		time.sleep(7)	# what is closed lingers for 5 s


def check(case, run):
	tap.claim(run.most_kb < MEMORY_KB, "memory: %d MiB at most" %
	    (run.most_kb >> 10))
	reasons = {}
	for address, c in run.all.items():
		end = case.records("closed", ip=address)
		tap.equal(len(end), 1, "%s: one conversation, and its end" %
		    c.name)
		reasons.setdefault(c.name, set()).update((r.d["by"],
		    r.d["why"]) for r in end)
		tap.claim(c.datagrams < c.sent + 100, "%s: %d datagrams of %d "
		    "bytes for its %d" % (c.name, c.datagrams, c.bytes,
		    c.sent))
	for name, found in reasons.items():
		tap.claim(found and all(reason for _, reason in found),
		    "%s: %s" % (name, sorted(found)))


def main():
	as_root()
	with tempfile.TemporaryDirectory(prefix="sw-shut-") as folder:
		enter_namespace()
		run = Run(folder)
		run.go()
		run.watch.end_well(tap)
		holds(tap, run.path)
		tap.each((check,), Case(run.path, run.content.pieces), run)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
