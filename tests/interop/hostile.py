"""Peers and trackers that misbehave, one way each.

A peer is a function of an accepted (or made) socket; a tracker is what it
answers. Each runs in threads of the lab's process, its sockets in the
namespace of its host.
"""
import gzip
import socket
import struct
import threading
import time

from content import bencode

ID = b"-XX0000-hostilehosti"
FAST = bytes(7) + b"\4"


def handshake(info_hash, reserved=FAST):
	return b"\x13BitTorrent protocol" + reserved + info_hash + ID


def message(number, payload=b""):
	return struct.pack(">IB", len(payload) + 1, number) + payload


def read(s, n):
	got = b""
	while len(got) < n:
		more = s.recv(n - len(got))
		if not more:
			raise OSError("closed")
		got += more
	return got


class Peer:
	"""what(socket, content) is the conversation after accept."""

	def __init__(self, name, host, content, what, port=6881):
		self.name, self.host, self.what = name, host, what
		self.address, self.port, self.content = host.address, port, \
		    content
		self.accepted = 0
		self.listener = host.socket()
		self.listener.bind((self.address, port))
		self.listener.listen(8)
		threading.Thread(target=self.serve, daemon=True).start()

	def serve(self):
		while True:
			s, _ = self.listener.accept()
			self.accepted += 1
			threading.Thread(target=talk, args=(self.what, s,
			    self.content), daemon=True).start()


def talk(what, s, content):
	with s:
		s.settimeout(90)
		try:
			what(s, content)
			while s.recv(65536):	# until the other side closes
				pass
		except OSError:
			pass


def greet(s, c, reserved=FAST):
	read(s, 68)
	s.sendall(handshake(c.info_hash, reserved))


def silent(s, c):
	pass


def slow(s, c):
	for b in handshake(c.info_hash):
		s.sendall(bytes([b]))
		time.sleep(5)


def other_hash(s, c):
	read(s, 68)
	s.sendall(handshake(b"another torrent hash"))


def web_server(s, c):
	s.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n"
	    b"\r\n<html>This is no BitTorrent client, and it says so at "
	    b"some length.</html>")


def too_early(s, c):
	s.sendall(message(1) + message(5, b"\xff" * 12) + bytes(100))


def absurd_length(s, c):
	greet(s, c)
	s.sendall(b"\xff\xff\xff\xff\x07" + bytes(2000))


def short_bitfield(s, c):
	greet(s, c)
	s.sendall(message(5, b"\xff" * ((c.pieces + 7) // 8 - 1)))


def spare_bits(s, c):
	greet(s, c)
	s.sendall(message(5, b"\xff" * ((c.pieces + 7) // 8)))


def have_beyond(s, c):
	greet(s, c)
	s.sendall(message(4, struct.pack(">I", c.pieces + 1000)))


def nested(s, c):
	greet(s, c, bytes(5) + b"\x10\0\4")
	s.sendall(message(20, b"\0d1:m" + b"l" * 20000))


def cut(s, c):
	greet(s, c)
	s.sendall(b"\0\0\0\x64\x05abc")
	s.shutdown(socket.SHUT_WR)


def flood(s, c):
	greet(s, c)
	have = b"".join(message(4, struct.pack(">I", i))
	    for i in range(c.pieces))
	for _ in range(2000):	# 1.7 MB of claims
		s.sendall(have)


def chatter(s, c):
	greet(s, c)
	while True:
		s.sendall(message(0) + message(1))


def repeats(s, c):
	greet(s, c)
	while True:
		s.sendall(message(5, bytes((c.pieces + 7) // 8)))


def lazy(s, c):
	"""A bitfield without its first 24 pieces, then a have for each."""
	greet(s, c)
	held = bytearray(c.pieces // 8 + (c.pieces % 8 > 0))
	for i in range(24, c.pieces):
		held[i >> 3] |= 0x80 >> (i & 7)
	s.sendall(message(5, bytes(held)))
	for i in range(24):
		time.sleep(0.05)
		s.sendall(message(4, struct.pack(">I", i)))


def again(s, c):
	"""Claims all but two bytes of them, and then eight pieces: the last
	bitfield replaces the first."""
	greet(s, c)
	n = (c.pieces + 7) // 8
	for held in b"\xff" * (n - 2), b"\xff":
		s.sendall(message(5, held + bytes(n - len(held))))
		time.sleep(0.5)


def mute(s, c):
	greet(s, c)


def unasked(s, c):
	greet(s, c)
	s.sendall(message(14) + message(7, struct.pack(">II", 0, 0) +
	    c.piece(0)[:16384]))


def serve(s, c, answer):
	"""Seeds, but each request is answered by answer()."""
	greet(s, c)
	s.sendall(message(14) + message(1))
	while True:
		n = struct.unpack(">I", read(s, 4))[0]
		m = read(s, n)
		if m[:1] == b"\6":
			answer(s, *struct.unpack(">III", m[1:]))


def liar(s, c):
	serve(s, c, lambda s, i, at, n: s.sendall(message(7,
	    struct.pack(">II", i, at) + bytes(n))))


def shifted(s, c):
	"""The right bytes, but of another block than was asked for."""
	serve(s, c, lambda s, i, at, n: s.sendall(message(7,
	    struct.pack(">II", i, at + n) + c.piece(i)[:n])))


def trickle(s, c):
	def answer(s, i, at, n):
		s.sendall(struct.pack(">IBII", n + 9, 7, i, at))
		for b in c.piece(i)[at:at + n]:
			s.sendall(bytes([b]))
			time.sleep(1)
	serve(s, c, answer)


PEERS = (silent, slow, other_hash, web_server, too_early, absurd_length,
    short_bitfield, spare_bits, have_beyond, nested, cut, flood, chatter,
    repeats, lazy, again, mute, unasked, liar, shifted, trickle)


def http(body, *headers, status="200 OK"):
	return "\r\n".join(("HTTP/1.1 " + status, "Connection: close") +
	    headers).encode() + b"\r\n\r\n" + body


def endless(s):
	s.sendall(http(b"d8:intervali1800e5:peers"))
	while True:
		s.sendall(b"9" * 65536)


class Trackers:
	"""One listener each, on ports from 7000 up; url(name) has its URL.

	"good" names the peers given; every other misbehaves.
	"""

	def __init__(self, host, peers):
		compact = b"".join(socket.inet_aton(a) + struct.pack(">H", p)
		    for a, p in peers)
		reply = {"interval": 1800, "peers": compact}
		self.host, self.asked = host, {}
		self.answers = {
		    "good": http(bencode(reply)),
		    "html": http(b"<html><body>It works!</body></html>"),
		    "gzip": http(gzip.compress(bencode(reply)),
			"Content-Encoding: gzip"),
		    "gzip_untold": http(gzip.compress(bencode(reply))),
		    "endless": endless,
		    "loop": http(b"", "Location: /announce?again",
			status="302 Found"),
		    "nothing": lambda s: time.sleep(90),
		    "hangs_up": b"",
		    "error": http(b"no", status="500 Internal Server Error"),
		    "refuses": http(bencode({"failure reason":
			"not\x1b[31m here"})),
		    "odd": http(bencode(dict(reply, peers=compact[:6] +
			b"abc"))),
		    "nested": http(b"d5:peers" + b"l" * 500000),
		    "truncated": http(bencode(reply)[:-20]),
		}
		self.ports = {name: 7000 + i
		    for i, name in enumerate(self.answers)}
		for name, port in self.ports.items():
			s = host.socket()
			s.bind((host.address, port))
			s.listen(8)
			threading.Thread(target=self.serve, daemon=True,
			    args=(name, s)).start()

	def url(self, name):
		return "http://%s:%d/announce" % (self.host.address,
		    self.ports[name])

	def serve(self, name, listener):
		while True:
			s, _ = listener.accept()
			self.asked[name] = self.asked.get(name, 0) + 1
			threading.Thread(target=self.answer, daemon=True,
			    args=(self.answers[name], s)).start()

	def answer(self, answer, s):
		with s:
			s.settimeout(90)
			try:
				got = b""
				while b"\r\n\r\n" not in got:
					got += s.recv(4096) or b"\r\n\r\n"
				if callable(answer):
					answer(s)
				else:
					s.sendall(answer)
			except OSError:
				pass
