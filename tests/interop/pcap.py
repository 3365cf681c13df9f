"""Savefiles read without libpcap or the program: the packets' own word.

Enough of pcap, Ethernet, IP, TCP and the peer wire to say what a conversation
of the lab carried. IP fragments do not occur there and are refused.
"""
import ipaddress
import struct

ETHERNET, RAW, SLL, SLL2 = 1, 101, 113, 276


def packets(path):
	"""(time in ns, IP packet) of a savefile."""
	with open(path, "rb") as f:
		magic = f.read(4)
		for order, scale, number in (("<", 1, 0xa1b23c4d),
		    (">", 1, 0xa1b23c4d), ("<", 1000, 0xa1b2c3d4),
		    (">", 1000, 0xa1b2c3d4)):
			if magic == struct.pack(order + "I", number):
				break
		else:
			raise ValueError("%s: no pcap savefile" % path)
		link = struct.unpack(order + "HHiIII", f.read(20))[5] & 0xffff
		skip = {ETHERNET: 14, RAW: 0, SLL: 16, SLL2: 20}[link]
		while head := f.read(16):
			s, part, kept, length = struct.unpack(order + "IIII",
			    head)
			data = f.read(kept)
			if kept < length:
				raise ValueError("%s: a packet was cut" % path)
			if skip == 14 and data[12:14] not in (b"\x08\0",
			    b"\x86\xdd"):
				continue
			yield s * 10**9 + part * scale, data[skip:]


def segments(path):
	"""(ns, protocol, source, destination, transport header and data)"""
	for at, p in packets(path):
		if p[0] >> 4 == 4:
			if struct.unpack_from(">H", p, 6)[0] & 0x3fff:
				raise ValueError("%s: a fragment" % path)
			end = struct.unpack_from(">H", p, 2)[0]
			yield (at, p[9], str(ipaddress.ip_address(p[12:16])),
			    str(ipaddress.ip_address(p[16:20])),
			    p[(p[0] & 15) * 4:end])
		elif p[0] >> 4 == 6:
			end = 40 + struct.unpack_from(">H", p, 4)[0]
			yield (at, p[6], str(ipaddress.ip_address(p[8:24])),
			    str(ipaddress.ip_address(p[24:40])), p[40:end])


class Stream:
	"""One direction of a TCP connection, from its SYN on."""

	def __init__(self, at, source, destination, isn, opens):
		self.at, self.opens = at, opens	# opens: sent the first SYN
		self.source, self.destination = source, destination
		self.base, self.parts = (isn + 1) & 0xffffffff, {}
		self.arrived = {}	# offset -> ns of its first packet

	def add(self, at, seq, data):
		offset = (seq - self.base) & 0xffffffff
		if data and offset < 1 << 31 and \
		    len(data) > len(self.parts.get(offset, b"")):
			self.parts[offset] = data
			self.arrived.setdefault(offset, at)

	def data(self):
		"""What came, up to the first byte that was not captured."""
		out = bytearray()
		for offset in sorted(self.parts):
			if offset > len(out):
				break
			out += self.parts[offset][len(out) - offset:]
		return bytes(out)


class Capture:
	"""streams, in order of their SYNs, and datagrams."""

	def __init__(self, *paths):
		self.streams, self.datagrams, self.packets = [], [], 0
		live = {}
		for path in paths:
			for at, protocol, src, dst, t in segments(path):
				self.packets += 1
				if protocol == 6:
					self.tcp(live, at, src, dst, t)
				elif protocol == 17:
					a, b = struct.unpack_from(">HH", t)
					self.datagrams.append((at, (src, a),
					    (dst, b), t[8:]))

	def tcp(self, live, at, src, dst, t):
		a, b, seq, _, off, flags = struct.unpack_from(">HHIIBB", t)
		source, destination = (src, a), (dst, b)
		key = source + destination
		if flags & 2:		# SYN
			s = live.get(key)
			if s is None or s.base != (seq + 1) & 0xffffffff:
				s = Stream(at, source, destination, seq,
				    not flags & 16)
				live[key] = s
				self.streams.append(s)
			seq = (seq + 1) & 0xffffffff
		if key in live:
			live[key].add(at, seq, t[(off >> 4) * 4:])


def peer_wire(data):
	"""(68 bytes of handshake, [(id, payload)]), or (None, []). A message
	that was cut short is there with what came of it."""
	if data[:20] != b"\x13BitTorrent protocol" or len(data) < 68:
		return None, []
	messages, at = [], 68
	while len(data) >= at + 5:
		n = struct.unpack_from(">I", data, at)[0]
		if n:
			messages.append((data[at + 4], data[at + 5:at + 4 + n]))
		at += 4 + n
	return data[:68], messages
