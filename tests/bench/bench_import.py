#!/usr/bin/env python3
"""Import of captures: one of at least 1 GB that two libtorrent clients made
(1,448-byte segments, nothing lost), and one of 100,000 short conversations.

Beside it, in the same run and of the same file: tshark listing the piece
messages, and `openssl dgst` SHA-1, then SHA-256. Rounds alternate, each reads the
file from memory, and the case lies in memory too where there is room (/dev/shm):
on a disk, its speed is what is measured. Before each, as much memory as a case
takes is written to and freed: a virtual machine's host takes free memory back, and
whoever first writes to it then waits for the host (up to 2.5 s for a case, on the
machine of docs/performance.md). Figures are medians of wall time, and the most
memory that the importing process held. BENCH_ROUNDS=N, BENCH_BYTES=N, BENCH_SHORT=N,
BENCH_KEEP=FOLDER (keeps or finds the captures there) choose.
"""
import hashlib
import os
import resource
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

BENCH = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(BENCH, "../interop"))

from content import bencode				# noqa: E402
from lab import PROGRAM, Lab, as_root, ip		# noqa: E402

MIB = 1 << 20
BYTES = int(os.environ.get("BENCH_BYTES", 1024 * MIB))
SHORT = int(os.environ.get("BENCH_SHORT", 100000))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", 3))
PIECE = 1 * MIB
PORT = 6901
PATIENCE_S = 240


def make_torrent(folder, path):
	pieces = []
	with open(os.path.join(folder, "bench.bin"), "wb") as f:
		for _ in range(BYTES // PIECE):
			piece = os.urandom(PIECE)
			pieces.append(hashlib.sha1(piece).digest())
			f.write(piece)
	with open(path, "wb") as f:
		f.write(bencode({b"info": {b"name": b"bench.bin",
		    b"length": BYTES, b"piece length": PIECE,
		    b"pieces": b"".join(pieces)}}))


class Dump:
	"""tcpdump of a host's interface; what it dropped fails the run."""

	def __init__(self, host, path):
		self.p = host.run(["tcpdump", "-i", "eth0", "-s", "0", "-B",
		    "262144", "-w", path, "tcp"], stdout=subprocess.DEVNULL,
		    stderr=subprocess.PIPE, text=True)
		for line in self.p.stderr:
			if "listening on" in line:
				return
		raise RuntimeError("tcpdump does not start")

	def end(self):
		time.sleep(1)
		self.p.terminate()
		said = self.p.stderr.read()
		self.p.wait(30)
		if "\n0 packets dropped by kernel" not in said:
			raise RuntimeError("the capture is not whole: " + said)


def exchange(path, torrent):
	"""One file from one libtorrent to another, captured where it arrives."""
	with Lab() as lab:
		seed, leech = lab.host("seed", 1), lab.host("leech", 2)
		for h in (seed, leech):
			ip(h.ns, "link set dev eth0 gso_max_segs 1")
		make_torrent(seed.folder, torrent)

		def client(role, host):
			return host.run([os.path.join(BENCH, "one_peer.py"),
			    role, "%s:%d" % (host.address, PORT), torrent,
			    host.folder, "tcp",
			    "%s:%d" % (seed.address, PORT)],
			    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
			    text=True)
		assert client("seed", seed).stdout.readline() == "up\n"
		dump = Dump(leech, path)
		p = client("leech", leech)
		timer = threading.Timer(PATIENCE_S, p.kill)
		timer.start()
		said = [line for line in iter(p.stdout.readline, "")
		    if line == "up\n" or p.stdin.close()]
		timer.cancel()
		if p.wait(30) != 0 or said != ["up\n"]:
			raise RuntimeError("the leech did not finish")
		dump.end()


def short(path):
	"""Conversations of a handshake, a bitfield and a close, one by one."""
	hello = b"\x13BitTorrent protocol" + bytes(8) + b"swarm of short talks"
	asks = hello + b"-AA0000-" + bytes(12)
	tells = hello + b"-BB0000-" + bytes(12) + b"\0\0\0\2\5\xff"
	with Lab() as lab:
		a, b = lab.host("a", 1), lab.host("b", 2)
		ports = range(7000, 7004)
		servers = []
		for port in ports:
			s = b.socket()
			s.bind((b.address, port))
			s.listen(128)
			servers.append(s)

		def serve(s):
			while True:
				try:
					c, _ = s.accept()
				except OSError:
					return
				try:
					c.recv(256)
					c.sendall(tells)
					c.recv(256)
				except ConnectionResetError:
					pass
				c.close()
		for s in servers:
			threading.Thread(target=serve, args=(s,),
			    daemon=True).start()
		dump = Dump(b, path)
		made = []

		def dial():
			for i in range(SHORT):
				s = socket.socket()
				s.settimeout(10)
				s.connect((b.address, ports[i % len(ports)]))
				s.sendall(asks)
				s.recv(256)
				s.setsockopt(socket.SOL_SOCKET,
				    socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
				s.close()
				made.append(1)
		a.inside(dial)
		dump.end()
		for s in servers:
			s.close()
		if len(made) != SHORT:
			raise RuntimeError("%d of %d conversations" %
			    (len(made), SHORT))


def timed(command, **options):
	t = time.monotonic()
	p = subprocess.run(command, **options)
	if p.returncode != 0:
		raise RuntimeError("%s: status %d" % (command[0],
		    p.returncode))
	return time.monotonic() - t


def roomy():
	room = os.statvfs("/dev/shm")
	return room.f_bavail * room.f_frsize > 3 * BYTES + 1024 * MIB


def ready(path):
	if roomy():
		subprocess.run([sys.executable, "-c", "import mmap; mmap.mmap("
		    "-1, %d, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | "
		    "mmap.MAP_POPULATE)" % (BYTES + 256 * MIB)], check=True)
	with open(path, "rb") as f:
		while f.read(16 * MIB):
			pass


def import_it(folder, path, torrents):
	"""Wall seconds and peak MiB of one import into a new case."""
	case = os.path.join(folder, "case")
	subprocess.run(["rm", "-rf", case])
	ready(path)
	t = time.monotonic()
	p = subprocess.Popen([PROGRAM, "capture", "--key",
	    os.path.join(folder, "key"), *[x for f in torrents
	    for x in ("--torrent", f)], case, path],
	    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
	said = p.stderr.read()
	_, status, use = os.wait4(p.pid, 0)
	took = time.monotonic() - t
	if status != 0:
		raise RuntimeError(said.decode())
	return took, use.ru_maxrss / 1024, case


def count(case, where):
	db = sqlite3.connect("file:%s?mode=ro" % os.path.join(case,
	    "evidence.db"), uri=True)
	return db.execute("SELECT count(*) FROM record WHERE " +
	    where).fetchone()[0]


def tshark_pieces(path):
	"""tshark's list of the piece messages; its lines."""
	ready(path)
	t = time.monotonic()
	p = subprocess.run(["tshark", "-n", "-r", path, "-Y",
	    "bittorrent.msg.type == 7", "-T", "fields", "-e", "frame.number",
	    "-e", "bittorrent.piece.index", "-e", "bittorrent.piece.begin"],
	    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
	return time.monotonic() - t, p.stdout.count(b"\n")


def openssl(path):
	ready(path)
	return sum(timed(["openssl", "dgst", "-" + h, path],
	    stdout=subprocess.DEVNULL) for h in ("sha1", "sha256"))


def say_large(folder, path, torrent):
	size = os.path.getsize(path)
	ours, shark, digest, memory = [], [], [], []
	for i in range(ROUNDS):
		took, peak, case = import_it(folder, path, [torrent])
		ours.append(took)
		memory.append(peak)
		matched = count(case, "kind = 'piece' AND "
		    "json_extract(detail, '$.match')")
		digest.append(openssl(path))
		if i == 0:
			took, lines = tshark_pieces(path)
			shark.append(took)
	a, b, c = map(statistics.median, (ours, shark, digest))
	print("capture of %.0f MB: import %.2f s (%.0f MB/s), %d of %d pieces "
	    "verified, %.0f MiB of memory at most" % (size / 1e6, a,
	    size / 1e6 / a, matched, BYTES // PIECE, max(memory)))
	print("tshark, listing its piece messages (%d frames): %.2f s: import "
	    "is %.1f times as fast" % (lines, b, b / a))
	print("openssl dgst -sha1 and -sha256: %.2f s: import takes %.2f times "
	    "as long" % (c, a / c))
	return matched == BYTES // PIECE


def say_short(folder, path):
	size = os.path.getsize(path)
	took, peak, case = import_it(folder, path, [])
	n = count(case, "kind = 'flow'")
	hello = count(case, "kind = 'handshake'")
	print("capture of %d short conversations (%.0f MB): import %.2f s, %d "
	    "conversations with %d handshakes, %.0f MiB of memory at most" %
	    (SHORT, size / 1e6, took, n, hello, peak))
	return n == SHORT and hello == 2 * SHORT


def main():
	as_root()
	resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
	keep = os.environ.get("BENCH_KEEP")
	in_memory = roomy()
	folder = tempfile.mkdtemp(dir="/dev/shm" if in_memory else None)
	print("load average %.1f; captures and cases in %s" % (
	    os.getloadavg()[0], "memory" if in_memory else "files"))
	try:
		large = os.path.join(keep or folder, "large.pcap")
		torrent = os.path.join(keep or folder, "large.torrent")
		many = os.path.join(keep or folder, "short.pcap")
		if not os.path.exists(large):
			exchange(large, torrent)
		good = say_large(folder, large, torrent)
		if not os.path.exists(many):
			short(many)
		good = say_short(folder, many) and good
	finally:
		shutil.rmtree(folder)
	return 0 if good else 1


if __name__ == "__main__":
	sys.exit(main())
