#!/usr/bin/env python3
"""One 256 MiB torrent, fully verified, from one libtorrent seed: swarmwitness
with evidence and packet capture on, beside libtorrent and aria2.

Each runs alone on one host of a lab, the seed on another, a bridge between
them. Counted is the time from the first content that crosses the host's
interface until the program's own word that the last piece is verified: for
ours, the time of the record that says so, which is when the piece's last byte
was read, and as long as its digests may wait for others (schema/gather.h).
Rounds alternate; figures are
medians. BENCH_ROUNDS=N, BENCH_ONLY=ours-tcp,... choose. Beside each rate: the
processor time of the seed and of the leech (ours: with its recorder, from its
start to the sealed case).
"""
import hashlib
import os
import re
import resource
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

BENCH = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(BENCH, "../interop"))

from content import bencode				# noqa: E402
from lab import CLONE_NEWNET, LIBC, PROGRAM, Lab, as_root	# noqa: E402

MIB = 1 << 20
BYTES = 256 * MIB
PIECE = 256 * 1024
PIECES = BYTES // PIECE
PATIENCE_S = 60
GATHER_NS = 20000000
# The monitor's first dial of a stranger is over TCP, the next a minute later.
PATIENCE_OURS_S = {"tcp": PATIENCE_S, "utp": PATIENCE_S + 65}
TRACKER_PORT = 6969
PORT = {"tcp": 6901, "utp": 6902}


def make_content(folder):
	"""The file and its torrent."""
	data = os.urandom(BYTES)
	with open(os.path.join(folder, "bench.bin"), "wb") as f:
		f.write(data)
	url = "http://10.77.0.1:%d/announce" % TRACKER_PORT
	info = {b"name": b"bench.bin", b"length": BYTES,
	    b"piece length": PIECE,
	    b"pieces": b"".join(hashlib.sha1(data[i:i + PIECE]).digest()
		for i in range(0, BYTES, PIECE))}
	path = os.path.join(folder, "bench.torrent")
	with open(path, "wb") as f:
		f.write(bencode({b"announce": url.encode(), b"info": info}))
	return path, data


class Counter:
	"""Bytes that a host's interface received."""

	def __init__(self, host):
		def enter():
			with open("/run/netns/" + host.ns) as f:
				if LIBC.setns(f.fileno(), CLONE_NEWNET) == 0:
					self.file = open(
					    "/proc/thread-self/net/dev")
		t = threading.Thread(target=enter)
		t.start()
		t.join()

	def read(self):
		self.file.seek(0)
		return int(re.search(r"eth0:\s*(\d+)",
		    self.file.read()).group(1))


class Tracker(BaseHTTPRequestHandler):
	"""Names the one seed to everybody."""
	peer = b""

	def do_GET(self):
		body = bencode({b"interval": 1800, b"peers": self.peer})
		self.send_response(200)
		self.send_header("Content-Length", str(len(body)))
		self.end_headers()
		self.wfile.write(body)

	def log_message(self, *_):
		pass


def serve_tracker(host):
	server = HTTPServer((host.address, TRACKER_PORT), Tracker,
	    bind_and_activate=False)
	server.socket = host.socket()
	server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	server.socket.bind((host.address, TRACKER_PORT))
	server.server_activate()
	threading.Thread(target=server.serve_forever, daemon=True).start()


def spent(pid):
	"""Processor seconds of a process that runs."""
	with open("/proc/%d/stat" % pid) as f:
		user, system = f.read().rsplit(")", 1)[1].split()[11:13]
	return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def spent_by_ended():
	use = resource.getrusage(resource.RUSAGE_CHILDREN)
	return use.ru_utime + use.ru_stime


class Bench:
	def __init__(self, lab):
		self.lab = lab
		self.seed, self.leech = lab.host("seed", 1), lab.host("leech", 2)
		self.counter = Counter(self.leech)
		self.torrent, self.data = make_content(self.seed.folder)
		self.runs = 0
		self.lost = {t: 0 for t in PORT}
		self.seeds = {}
		serve_tracker(self.seed)
		for transport, port in PORT.items():
			p = self.libtorrent("seed", self.seed, port, transport)
			assert p.stdout.readline() == "up\n"
			self.seeds[transport] = p.pid

	def libtorrent(self, role, host, port, transport):
		return host.run([os.path.join(BENCH, "one_peer.py"), role,
		    "%s:%d" % (host.address, port), self.torrent, host.folder,
		    transport, "%s:%d" % (self.seed.address, PORT[transport])],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

	def watch(self, base, done, seconds=PATIENCE_S):
		"""When content came first; then until done() says when last."""
		end = time.monotonic() + seconds
		first = None
		while time.monotonic() < end:
			if first is None and \
			    self.counter.read() > base + 64 * 1024:
				first = time.time_ns()
			last = done()
			if last is not None:
				return BYTES / MIB / ((last - first) / 1e9)
			time.sleep(0.001 if first is None else 0.01)
		return None

	def run(self, who, transport):
		"""MiB/s, or None."""
		self.runs += 1
		Tracker.peer = socket.inet_aton(self.seed.address) + \
		    PORT[transport].to_bytes(2, "big")
		subprocess.run(["sync"])
		seed, leech = spent(self.seeds[transport]), spent_by_ended()
		rate = getattr(self, who)(transport)
		self.cpu = (spent(self.seeds[transport]) - seed,
		    spent_by_ended() - leech)
		return rate

	def lt(self, transport):
		base = self.counter.read()
		p = self.libtorrent("leech", self.leech, 6910, transport)
		said = []
		threading.Thread(target=lambda: said.extend(
		    line.split() for line in p.stdout), daemon=True).start()
		try:
			return self.watch(base, lambda: next((int(s[1])
			    for s in list(said) if s[0] == "done"), None))
		finally:
			p.stdin.close()
			p.wait(10)
			os.remove(os.path.join(self.leech.folder, "bench.bin"))

	def aria2(self, transport):
		folder = os.path.join(self.leech.folder, "aria%d" % self.runs)
		os.mkdir(folder)
		mark = os.path.join(folder, "done")
		hook = os.path.join(folder, "hook")
		with open(hook, "w") as f:
			f.write("#!/bin/sh\ndate +%%s%%N >%s.new && "
			    "mv %s.new %s\n" % (mark, mark, mark))
		os.chmod(hook, 0o755)

		def done():
			if not os.path.exists(mark):
				return None
			with open(mark) as f:
				return int(f.read())

		base = self.counter.read()
		p = self.leech.run(["aria2c", "--no-conf", "--quiet",
		    "--dir", folder, "--listen-port", "6911",
		    "--file-allocation=none", "--enable-dht=false",
		    "--enable-dht6=false", "--enable-peer-exchange=false",
		    "--bt-enable-lpd=false", "--bt-save-metadata=false",
		    "--seed-time=0", "--on-bt-download-complete=" + hook,
		    self.torrent])
		try:
			return self.watch(base, done)
		finally:
			p.terminate()
			p.wait(10)
			subprocess.run(["rm", "-rf", folder])

	def ours(self, transport):
		folder = os.path.join(self.leech.folder, "ours%d" % self.runs)
		os.mkdir(folder)
		case = os.path.join(folder, "case")
		base = self.counter.read()
		log = open(os.path.join(folder, "log"), "w+")
		p = self.leech.run([PROGRAM, "monitor", "--allow-local",
		    "--interface", "eth0", "--sample", "all",
		    "--outstanding", os.environ.get("BENCH_OUTSTANDING", "32"),
		    "--no-dht",
		    *(["--no-utp"] if transport == "tcp" else []),
		    "--duration", str(PATIENCE_OURS_S[transport]),
		    "--key", os.path.join(folder, "key"), case, self.torrent],
		    stdout=log, stderr=log)
		end = []

		def done():
			now = self.counter.read()
			quiet = now == done.last
			done.last = now
			done.quiet = done.quiet + 1 if quiet else 0
			return time.time_ns() if now > base + BYTES and \
			    done.quiet > 200 else None

		done.last = done.quiet = 0
		first = []
		try:
			self.first_of(base, first, PATIENCE_OURS_S[transport])
			self.watch(base, done)
			p.send_signal(signal.SIGINT)
			if p.wait(30) != 0 or not first:
				log.seek(0)
				print(log.read()[-2000:], file=sys.stderr)
				return None
			return self.judge(case, transport, first[0])
		finally:
			if os.environ.get("BENCH_KEEP"):
				subprocess.run(["cp", "-r", case,
				    os.environ["BENCH_KEEP"]])
			subprocess.run(["rm", "-rf", folder])

	def first_of(self, base, first, seconds):
		def wait():
			end = time.monotonic() + seconds
			while time.monotonic() < end:
				if self.counter.read() > base + 64 * 1024:
					first.append(time.time_ns())
					return
				time.sleep(0.001)
		t = threading.Thread(target=wait)
		t.start()
		t.join()

	def judge(self, case, transport, first):
		db = sqlite3.connect("file:%s?mode=ro" %
		    os.path.join(case, "evidence.db"), uri=True)
		n, last = db.execute("SELECT count(DISTINCT "
		    "json_extract(detail, '$.piece')), max(utc_ns) FROM record "
		    "WHERE kind = 'piece' AND json_extract(detail, '$.match')"
		    ).fetchone()
		over = {t for t, in db.execute("SELECT DISTINCT "
		    "json_extract(detail, '$.transport') FROM record WHERE "
		    "kind IN ('connected', 'dial') AND conn IN (SELECT conn FROM "
		    "record WHERE kind = 'piece')")}
		kept, lost = db.execute("SELECT coalesce(sum(json_extract("
		    "detail, '$.bytes')), 0), coalesce(sum(json_extract(detail, "
		    "'$.dropped_kernel')), 0) FROM record "
		    "WHERE kind = 'packets'").fetchone()
		self.lost[transport] += lost
		self.note = "%d of %d pieces verified over %s, %.0f MiB of " \
		    "packets kept; %d dropped in all rounds" % (n, PIECES,
		    "+".join(sorted(str(o) for o in over)), kept / MIB,
		    self.lost[transport])
		if n != PIECES:
			print(self.note, file=sys.stderr)
			return None
		return BYTES / MIB / ((last + GATHER_NS - first) / 1e9)

	# --- what could be had at most -----------------------------------------

	def hashing(self):
		"""The three digests we make of every byte, on one core."""
		t = time.monotonic()
		for make in (hashlib.sha1, hashlib.sha256, hashlib.sha256):
			h = make()
			for i in range(0, BYTES, MIB):
				h.update(memoryview(self.data)[i:i + MIB])
		return BYTES / MIB / (time.monotonic() - t)

	def copying(self):
		"""The same bytes over the same bridge, read and forgotten."""
		listener = self.seed.socket()
		listener.bind((self.seed.address, 6920))
		listener.listen(1)

		def give():
			s, _ = listener.accept()
			s.sendall(self.data)
			s.close()
		threading.Thread(target=give, daemon=True).start()
		s = self.leech.socket()
		s.connect((self.seed.address, 6920))
		t, room, left = time.monotonic(), bytearray(65536), BYTES
		while left:
			left -= s.recv_into(room)
		s.close()
		listener.close()
		return BYTES / MIB / (time.monotonic() - t)


def main():
	as_root()
	names = {"ours": "swarmwitness", "lt": "libtorrent", "aria2": "aria2"}
	kinds = [("ours", "tcp"), ("lt", "tcp"), ("aria2", "tcp"),
	    ("ours", "utp"), ("lt", "utp")]
	only = os.environ.get("BENCH_ONLY")
	kinds = [k for k in kinds if not only or "-".join(k) in only.split(",")]
	rates = {k: [] for k in kinds}
	cpu = {k: [] for k in kinds}
	notes = {}
	failed = False
	with Lab() as lab:
		bench = Bench(lab)
		for _ in range(int(os.environ.get("BENCH_ROUNDS", "3"))):
			for k in kinds:
				bench.note = None
				rate = bench.run(*k)
				failed |= rate is None
				rates[k] += [rate] if rate else []
				cpu[k].append(bench.cpu)
				notes[k] = bench.note
		hashing, copying = bench.hashing(), bench.copying()
	middle = {k: statistics.median(r) for k, r in rates.items() if r}
	for k in kinds:
		line = "%s over %s: " % (names[k[0]], k[1])
		if k not in middle:
			print(line + "did not finish")
			continue
		line += "%.0f MiB/s (%.0f to %.0f in %d rounds)" % (middle[k],
		    min(rates[k]), max(rates[k]), len(rates[k]))
		line += "; seed %.2f s, leech %.2f s of processor" % tuple(
		    map(statistics.median, zip(*cpu[k])))
		if k[0] == "ours":
			for other, aim in (("lt", {"tcp": 0.9, "utp": 0.7}[k[1]]),
			    ("aria2", None)):
				if (other, k[1]) in middle:
					line += "; %.2f of %s%s" % (middle[k] /
					    middle[other, k[1]], names[other],
					    " (aim %.1f)" % aim if aim else "")
			line += "; " + notes[k]
		print(line)
	print("at most: SHA-1 and twice SHA-256 on one core %.0f MiB/s; "
	    "one TCP stream over the same bridge, unhashed, %.0f MiB/s" %
	    (hashing, copying))
	return 1 if failed else 0


if __name__ == "__main__":
	sys.exit(main())
