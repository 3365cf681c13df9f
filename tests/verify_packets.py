"""The part of verify_case.py that holds an excerpt's packets against what
`closed` records say: TCP alone, from nanosecond pcap as excerpts have it."""
import hashlib
import ipaddress
import struct

ETHERNET, RAW, IPV4, IPV6, SLL, SLL2 = 1, 101, 228, 229, 113, 276


def frames(file):
	"""(link, bytes) of each packet."""
	with open(file, "rb") as f:
		head = f.read(24)
		if len(head) < 24 or head[:4] != b"\x4d\x3c\xb2\xa1":
			raise ValueError("no nanosecond pcap")
		link, = struct.unpack("<I", head[20:])
		while (h := f.read(16)):
			if len(h) < 16:
				raise ValueError("cut within a packet")
			_, _, n, _ = struct.unpack("<IIII", h)
			data = f.read(n)
			if len(data) < n:
				raise ValueError("cut within a packet")
			yield link, data


def ip_packet(link, data):
	"""(from, to, protocol, what it carries); None if it is no IP."""
	at = {ETHERNET: 14, RAW: 0, IPV4: 0, IPV6: 0, SLL: 16, SLL2: 20}.get(link)
	if at is None:
		raise ValueError("link type %d" % link)
	if link == ETHERNET:
		while data[at - 2:at] in (b"\x81\x00", b"\x88\xa8"):
			at += 4
	data = data[at:]
	if len(data) >= 20 and data[0] >> 4 == 4:
		total = int.from_bytes(data[2:4], "big")
		return (ipaddress.ip_address(data[12:16]),
		    ipaddress.ip_address(data[16:20]), data[9],
		    data[(data[0] & 15) * 4:total])
	if len(data) >= 40 and data[0] >> 4 == 6:
		total = 40 + int.from_bytes(data[4:6], "big")
		return (ipaddress.ip_address(data[8:24]),
		    ipaddress.ip_address(data[24:40]), data[6], data[40:total])
	return None


class Stream:
	"""One direction, from its SYN on."""

	def __init__(self, seq):
		self.next, self.bytes, self.early = seq, bytearray(), {}

	def add(self, seq, data):
		at = (seq - self.next) & 0xffffffff
		if at >= 1 << 31:	# it began before: what is new of it
			data, at = data[-at & 0xffffffff:], 0
		if not data:
			return
		if at:
			self.early.setdefault(self.next + at, data)
			return
		self.bytes += data
		self.next = (self.next + len(data)) & 0xffffffff
		for seq in sorted(self.early):
			if (seq - self.next) & 0xffffffff == 0 or \
			    (self.next - seq) & 0xffffffff < 1 << 31:
				self.add(seq & 0xffffffff, self.early.pop(seq))


def streams(file, me):
	"""{(the address's port, whether it sent it): [bytes]} of TCP; and how many
	packets are not of the address."""
	found, strange = {}, 0
	for link, data in frames(file):
		p = ip_packet(link, data)
		if p is None or me not in p[:2]:
			strange += 1
			continue
		src, dst, protocol, tcp = p
		if protocol != 6 or len(tcp) < 20:
			continue
		sport, dport, seq, _, off = struct.unpack(">HHIIB", tcp[:13])
		key = src, sport, dst, dport
		if tcp[13] & 2:
			runs = found.setdefault(key, [])
			if not runs or runs[-1][0] != seq:
				runs.append((seq, Stream(seq + 1 & 0xffffffff)))
		elif key in found:
			found[key][-1][1].add(seq, tcp[(off >> 4) * 4:])
	out = {}
	for (src, sport, dst, dport), runs in found.items():
		mine = src == me
		out.setdefault((sport if mine else dport, mine), []).extend(
		    bytes(s.bytes) for _, s in runs)
	return out, strange


def check(case, file, me, closed):
	"""closed: (seq, the address's port, whether it sent it, bytes, digest).
	A stream that has as many bytes has that digest, or is wrong."""
	found, strange = streams(file, ipaddress.ip_address(me))
	if strange:
		case.wrong("packets/excerpt.pcap: %d packets are not of the "
		    "address" % strange)
	proved = 0
	for seq, port, mine, size, digest in closed:
		whole = [s for s in found.get((port, mine), ())
		    if size and len(s) >= size]
		same = any(hashlib.sha256(s[:size]).hexdigest() == digest
		    for s in whole)
		proved += same
		if whole and not same:
			case.wrong("record %d (closed): the packets have other "
			    "bytes" % seq)
	case.note("packets: %d of %d directions of TCP conversations are there "
	    "whole, and as recorded" % (proved, len(closed)))
