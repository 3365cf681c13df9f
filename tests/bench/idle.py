#!/usr/bin/env python3
"""Memory per connected idle peer: ours beside libtorrent's, in one run.

N seeds on 127.1.0.0/16, all one asyncio server here, send a handshake, an
extended handshake and a bitfield, and choke for ever. Counted is the heap in
use (mallinfo2), once a fifth of N were connected and once N more were. What is
there once does not count: so the first peers make our ledger write until
SQLite's page cache is full. Usage: idle.py BENCH_IDLE
"""
import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LT_PYTHON = "/usr/bin/python3"
N = int(os.environ.get("IDLE_PEERS", "1000"))
WARM = N // 5
PIECES = 4096
AIM = 4096
CHATTER = 400	# chokes and unchokes, each of them a record


def bencode(x):
	if isinstance(x, int):
		return b"i%de" % x
	if isinstance(x, bytes):
		return b"%d:%s" % (len(x), x)
	if isinstance(x, list):
		return b"l" + b"".join(map(bencode, x)) + b"e"
	return b"d" + b"".join(bencode(k) + bencode(x[k])
	    for k in sorted(x)) + b"e"


class Torrent:
	def __init__(self, folder, name, first, count, tracker):
		info = {b"name": name.encode(), b"piece length": 1 << 20,
		    b"length": PIECES << 20, b"pieces": bytes(20 * PIECES)}
		self.hash = hashlib.sha1(bencode(info)).digest()
		self.path = os.path.join(folder, name + ".torrent")
		self.hosts = [(1 + (first + i) // 65000 % 100,
		    (first + i) // 250 % 256, 1 + (first + i) % 250)
		    for i in range(count)]
		with open(self.path, "wb") as f:
			f.write(bencode({b"announce": tracker.encode(),
			    b"info": info}))


class Peers:
	"""The seeds: they greet whoever calls, and then say nothing more."""

	def __init__(self):
		self.greeted = 0
		self.port = 0
		ready = threading.Event()
		threading.Thread(target=self.run, args=(ready,),
		    daemon=True).start()
		ready.wait()

	def run(self, ready):
		asyncio.run(self.serve(ready))

	async def serve(self, ready):
		server = await asyncio.start_server(self.talk, "0.0.0.0", 0,
		    backlog=4096)
		self.port = server.sockets[0].getsockname()[1]
		ready.set()
		await server.serve_forever()

	async def talk(self, reader, writer):
		try:
			hello = await reader.readexactly(68)
			n = self.greeted
			self.greeted += 1
			ext = bencode({b"m": {}, b"v": b"idle 1"})
			bits = b"\xff" * (PIECES // 8)
			writer.write(hello[:20] + b"\0\0\0\0\0\x10\0\0" +
			    hello[28:48] + b"-ID0001-%012d" % n +
			    (len(ext) + 2).to_bytes(4, "big") + b"\x14\0" + ext +
			    (len(bits) + 1).to_bytes(4, "big") + b"\x05" + bits)
			if n < WARM and hello[48:51] == b"-SW":
				writer.write(b"\0\0\0\1\1\0\0\0\1\0" * CHATTER)
			while await reader.read(4096):
				pass
		except (OSError, asyncio.IncompleteReadError):
			pass
		writer.close()

	def wait(self, count, seconds=60):
		"""Until so many are greeted and the conversations are quiet."""
		end = time.monotonic() + seconds
		while self.greeted < count and time.monotonic() < end:
			time.sleep(0.1)
		time.sleep(6)
		return self.greeted >= count


def tracker_of(torrents, peers):
	class Handler(BaseHTTPRequestHandler):
		def do_GET(self):
			reply = bencode({b"interval": 1800, b"peers": b"".join(
			    bytes((127,) + h) + peers.port.to_bytes(2, "big")
			    for t in torrents if self.quoted(t.hash)
			    for h in t.hosts)})
			self.send_response(200)
			self.send_header("Content-Length", str(len(reply)))
			self.end_headers()
			self.wfile.write(reply)

		def quoted(self, infohash):
			from urllib.parse import unquote_to_bytes
			return infohash in unquote_to_bytes(self.path)

		def log_message(self, *args):
			pass

	server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
	threading.Thread(target=server.serve_forever, daemon=True).start()
	return server


def used(p):
	"""The heap in use, by the process's own account."""
	p.send_signal(signal.SIGUSR2)
	for line in p.stdout:
		if line.startswith("used "):
			return int(line.split()[1])
	return 0


def ours(folder, peers, warm, many):
	listed = os.path.join(folder, "list")
	with open(listed, "w") as f:
		f.write(warm.path + "\n")
	p = subprocess.Popen([sys.argv[1], "monitor", "--bind", "127.0.0.1",
	    "--allow-local", "--no-packets", "--listen", "0", "--list", listed,
	    "--max-connections", str(2 * N + 100), "--dial-rate", "400",
	    "--key", os.path.join(folder, "key"),
	    os.path.join(folder, "case")], stdout=subprocess.PIPE,
	    stderr=subprocess.DEVNULL, text=True)
	try:
		if not peers.wait(WARM):
			return None
		before, n = used(p), peers.greeted
		with open(listed, "a") as f:
			f.write(many.path + "\n")
		p.send_signal(signal.SIGHUP)
		if not peers.wait(WARM + N):
			return None
		return (used(p) - before) / (peers.greeted - n)
	finally:
		p.send_signal(signal.SIGTERM)
		try:
			p.communicate(timeout=30)
		except subprocess.TimeoutExpired:
			p.kill()


LIBTORRENT = """
import ctypes, signal, sys
import libtorrent as lt
class Info(ctypes.Structure):
    _fields_ = [(n, ctypes.c_size_t) for n in 'arena ordblks smblks hblks '
        'hblkhd usmblks fsmblks uordblks fordblks keepcost'.split()]
mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Info
def tell(*args):
    m = mallinfo2()
    print('used', m.uordblks + m.hblkhd, flush=True)
signal.signal(signal.SIGUSR2, tell)
s = lt.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False,
    'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False,
    'connections_limit': 100000, 'connection_speed': 400,
    'enable_outgoing_utp': False, 'out_enc_policy': 2, 'torrent_connect_boost':
    0, 'alert_mask': 0})
for line in sys.stdin:
    path, folder, port, *hosts = line.split()
    h = s.add_torrent({'ti': lt.torrent_info(path), 'save_path': folder,
        'flags': lt.torrent_flags.update_subscribe})
    h.set_max_connections(100000)
    for a in hosts:
        h.connect_peer((a, int(port)))
"""


def libtorrent(folder, peers, warm, many):
	p = subprocess.Popen([LT_PYTHON, "-c", LIBTORRENT],
	    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
	    stderr=subprocess.DEVNULL, text=True)

	def add(t):
		p.stdin.write(" ".join([t.path, folder, str(peers.port)] +
		    ["127.%d.%d.%d" % h for h in t.hosts]) + "\n")
		p.stdin.flush()

	start = peers.greeted
	try:
		add(warm)
		if not peers.wait(start + WARM):
			return None
		before, n = used(p), peers.greeted
		add(many)
		if not peers.wait(start + WARM + N):
			return None
		return (used(p) - before) / (peers.greeted - n)
	except OSError:
		return None
	finally:
		p.kill()
		p.communicate()


def main():
	with tempfile.TemporaryDirectory(prefix="sw-idle-") as folder:
		peers = Peers()
		torrents = []
		server = tracker_of(torrents, peers)
		url = "http://127.0.0.1:%d/announce" % server.server_address[1]
		torrents += [Torrent(folder, "warm", 0, WARM, url),
		    Torrent(folder, "many", WARM, N, url)]
		own = ours(folder, peers, *torrents)
		other = libtorrent(folder, peers, *torrents)
	if own is None:
		print("the monitor did not reach its peers")
		return 1
	print("idle peers: %d, pieces %d; swarmwitness %.0f bytes a peer "
	    "(aim %d), libtorrent %s" % (N, PIECES, own, AIM,
	    "%.0f" % other if other is not None else "not measured"))
	return 0 if own <= AIM else 1


if __name__ == "__main__":
	sys.exit(main())
