"""Torrents of all versions, a tracker that takes any, and peers that lie.

The bencoder is the lab's own, and so is the Merkle tree (BEP 52): what
libtorrent then accepts as its torrent is the truth here.
"""
import hashlib
import os
import socket
import struct
import threading
import time
from urllib.parse import unquote_to_bytes

import hostile
from content import bencode, bdecode

BLOCK = 16384


def sha256(data):
	return hashlib.sha256(data).digest()


def merkle(hashes, pad):
	while len(hashes) > 1:
		if len(hashes) % 2:
			hashes = hashes + [pad]
		hashes = [sha256(a + b)
		    for a, b in zip(hashes[::2], hashes[1::2])]
		pad = sha256(pad + pad)
	return hashes[0]


class Torrent:
	"""version: "1", "2" or "hybrid" (of one file)."""

	def __init__(self, name, version="1", sizes=(900001,), piece=65536,
	    trackers=(), private=False):
		self.name, self.version, self.piece_bytes = name, version, piece
		self.files = [("part %d" % i, hashlib.shake_256(("%s %d" %
		    (name, i)).encode()).digest(n))
		    for i, n in enumerate(sizes)]
		self.multi = len(sizes) > 1
		info = {"name": name, "piece length": piece}
		if private:
			info["private"] = 1
		self.layers = {}
		if version != "2":
			data = b"".join(d for _, d in self.files)
			info["pieces"] = b"".join(
			    hashlib.sha1(data[i:i + piece]).digest()
			    for i in range(0, len(data), piece))
			if self.multi:
				info["files"] = [{"length": len(d),
				    "path": [p]} for p, d in self.files]
			else:
				info["length"] = len(data)
			self.pieces = -(-len(data) // piece)
		if version != "1":
			info["meta version"] = 2
			info["file tree"] = {(p if self.multi else name):
			    {"": {"length": len(d), "pieces root":
			    self.root(d)}} for p, d in self.files}
			self.pieces = sum(-(-len(d) // piece)
			    for _, d in self.files)
		self.info = bencode(info)
		self.v1 = hashlib.sha1(self.info).digest()
		self.v2 = sha256(self.info)
		self.swarm = self.v2.hex() if version == "2" else self.v1.hex()
		self.wire = self.v2[:20] if version == "2" else self.v1
		whole = {"info": 0}
		if trackers:
			whole["announce"] = trackers[0]
		if self.layers:
			whole["piece layers"] = self.layers
		self.torrent = bencode(whole).replace(b"4:infoi0e",
		    b"4:info" + self.info)

	def root(self, data):
		leaves = [sha256(data[i:i + BLOCK])
		    for i in range(0, len(data), BLOCK)]
		if len(data) <= self.piece_bytes:
			return merkle(leaves, bytes(32))
		each = self.piece_bytes // BLOCK
		layer = [merkle(leaves[i:i + each] + [bytes(32)] *
		    (each - len(leaves[i:i + each])), bytes(32))
		    for i in range(0, len(leaves), each)]
		pad = merkle([bytes(32)] * each, bytes(32))
		root = merkle(layer, pad)
		self.layers[root] = b"".join(layer)
		return root

	def magnet(self, trackers=(), peers=(), v1=True, v2=True):
		xt = []
		if v1 and self.version != "2":
			xt.append("xt=urn:btih:" + self.v1.hex())
		if v2 and self.version != "1":
			xt.append("xt=urn:btmh:1220" + self.v2.hex())
		return "magnet:?" + "&".join(xt + ["dn=a+name"] +
		    ["tr=" + t.replace(":", "%3A").replace("/", "%2F")
		    for t in trackers] + ["x.pe=%s:%d" % p for p in peers])

	def write(self, folder):
		"""The content, and the torrent beside it: its path."""
		at = os.path.join(folder, self.name)
		if self.multi:
			os.makedirs(at, exist_ok=True)
		for path, data in self.files:
			with open(os.path.join(at, path) if self.multi else at,
			    "wb") as f:
				f.write(data)
		with open(at + ".torrent", "wb") as f:
			f.write(self.torrent)
		return at + ".torrent"


class Tracker(threading.Thread):
	"""Tells of any infohash who announced it, and those it is given; if
	it invents, two peers more that are nowhere."""

	def __init__(self, host, port, invents=()):
		super().__init__(daemon=True)
		self.host, self.invents = host, list(invents)
		self.url = "http://%s:%d/announce" % (host.address, port)
		self.peers, self.asked, self.lock = {}, [], threading.Lock()
		# (who asks, infohash) -> what must have come to be before.
		self.after = {}
		self.listener = host.socket()
		self.listener.setsockopt(socket.SOL_SOCKET,
		    socket.SO_REUSEADDR, 1)
		self.listener.bind((host.address, port))
		self.listener.listen(64)
		self.start()

	def name(self, wire, *endpoints):
		self.peers.setdefault(wire, set()).update(endpoints)

	def run(self):
		while True:
			s, who = self.listener.accept()
			threading.Thread(target=self.answer, args=(s, who[0]),
			    daemon=True).start()

	def answer(self, s, ip):
		with s:
			s.settimeout(5)
			try:
				got = b""
				while b"\r\n\r\n" not in got:
					got += s.recv(4096) or b"\r\n\r\n"
				s.sendall(hostile.http(self.reply(
				    got.split(b" ")[1].decode("latin-1"), ip)))
			except (OSError, LookupError, ValueError):
				pass

	def reply(self, uri, ip):
		q = dict(p.split("=", 1) for p in uri.split("?")[1].split("&"))
		wire = unquote_to_bytes(q["info_hash"])
		if "/scrape" in uri:
			return bencode({"files": {}})
		held, end = self.after.get((ip, wire)), time.monotonic() + 25
		while held and not held() and time.monotonic() < end:
			time.sleep(0.1)		# who asks waits for 30 s
		with self.lock:
			self.asked.append((ip, wire, q))
			known = self.peers.setdefault(wire, set())
			me = ip, int(q["port"])
			(known.discard if q.get("event") == "stopped" else
			    known.add)(me)
			named = sorted(known) + self.invents
		return bencode({"interval": 1800, "peers": b"".join(
		    socket.inet_aton(a) + struct.pack(">H", p)
		    for a, p in named)})


# --- peers that lie; each a function for hostile.Peer ---------------------------

EXTENDED = bytes(5) + b"\x10\0\4"


def extended(number, payload):
	return hostile.message(20, bytes([number]) + payload)


def metadata_peer(size, block, said=lambda what: None):
	"""States this metadata_size and answers with block(piece), if any.
	said: called with "size" and "block" once that was sent."""
	def what(s, c):
		hostile.greet(s, c, EXTENDED)
		s.sendall(extended(0, bencode({"m": {"ut_metadata": 3},
		    "metadata_size": size})) + hostile.message(15))
		said("size")
		while True:
			n = struct.unpack(">I", hostile.read(s, 4))[0]
			m = hostile.read(s, n)
			if m[:2] != b"\x14\3":
				continue
			q, _ = bdecode(m, 2)
			if q[b"msg_type"] != 0:
				continue
			s.sendall(extended(2, bencode({"msg_type": 1, "piece":
			    q[b"piece"], "total_size": size}) +
			    block(q[b"piece"])))
			said("block")
	return what


def gossip(named, times=1, pause=0.0):
	"""Names peers by PEX, whether it is wanted or not."""
	def what(s, c):
		hostile.greet(s, c, EXTENDED)
		s.sendall(extended(0, bencode({"m": {"ut_pex": 1}})) +
		    hostile.message(15))
		for _ in range(times):
			time.sleep(pause or 0.5)
			s.sendall(extended(1, bencode({"added": b"".join(
			    socket.inet_aton(a) + struct.pack(">H", p)
			    for a, p in named), "added.f":
			    bytes([2]) * len(named), "dropped":
			    socket.inet_aton("10.77.0.250") + b"\x1a\xe1"})))
	return what


def tells_late(info, named, met):
	"""Names these by PEX, and gives the metadata once met() says that they
	were met. By then whoever heard it knows them."""
	def what(s, c):
		hostile.greet(s, c, EXTENDED)
		s.sendall(extended(0, bencode({"m": {"ut_metadata": 3,
		    "ut_pex": 1}, "metadata_size": len(info)})) +
		    hostile.message(15))
		while True:
			n = struct.unpack(">I", hostile.read(s, 4))[0]
			m = hostile.read(s, n)
			if m[:2] == b"\x14\0":	# it says that it wants PEX
				s.sendall(extended(1, bencode({"added": b"".join(
				    socket.inet_aton(a) + struct.pack(">H", p)
				    for a, p in named), "added.f":
				    bytes(len(named))})))
			if m[:2] != b"\x14\3" or bdecode(m, 2)[0][
			    b"msg_type"] != 0:
				continue
			while not met():
				time.sleep(0.1)
			s.sendall(extended(2, bencode({"msg_type": 1,
			    "piece": 0, "total_size": len(info)}) + info))
	return what


def any_infohash(s, c):
	"""Answers whatever it is offered, and claims to have all of it."""
	got = hostile.read(s, 68)
	s.sendall(got[:20] + hostile.FAST + got[28:48] + hostile.ID +
	    hostile.message(14))
	leave(s)


def one_infohash(s, c):
	"""Answers for its torrent alone."""
	if hostile.read(s, 68)[28:48] == c.info_hash:
		s.sendall(hostile.handshake(c.info_hash) + hostile.message(14))
		leave(s)
	raise OSError


def leave(s):
	time.sleep(7)
	raise OSError


class Content:
	"""What hostile.Peer's conversations need to know of a torrent."""

	def __init__(self, torrent):
		self.info_hash, self.pieces = torrent.wire, torrent.pieces
