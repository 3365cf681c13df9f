"""What we sent to each peer, from the packets alone and, where it was
encrypted, with the secrets that the case gives away.
"""
import hashlib
import struct

import pcap

PIECE_ID = 7
BLOCK = 16384


def rc4(key, skip):
	s, j = list(range(256)), 0
	for i in range(256):
		j = (j + s[i] + key[i % len(key)]) & 255
		s[i], s[j] = s[j], s[i]
	i = j = n = 0
	while True:
		i = (i + 1) & 255
		j = (j + s[i]) & 255
		s[i], s[j] = s[j], s[i]
		if n >= skip:
			yield s[(s[i] + s[j]) & 255]
		n += 1


def open_veil(data, d):
	"""The payload that we sent in an encrypted conversation."""
	first = d["by"] == "us"
	head = d["bytes_a" if first else "bytes_b"]
	clear = 96 + (d["pad_a"] + 40 if first else d["pad_b"])
	key = hashlib.sha1((b"keyA" if first else b"keyB") +
	    bytes.fromhex(d["secret"]) + bytes.fromhex(d["skey"])).digest()
	veiled = len(data) - head if d["select"] == 2 else \
	    (d["ia"] or 0) if first else 0
	stream = rc4(key, 1024 + head - clear)
	data = data[head:]
	return bytes(a ^ b for a, b in zip(data[:veiled], stream)) + \
	    data[veiled:]


class Wire:
	"""read: how many conversations were; pieces: those with a piece
	message of ours; dark: unread ones that could hold one; dialled_us."""

	def __init__(self, paths, case, us, port):
		self.us, self.read, self.pieces, self.dark = us, 0, [], []
		seen = pcap.Capture(*paths)
		self.veils = {}
		for r in case.records("encrypted"):
			if r.d["outcome"] == "ok":
				self.veils.setdefault((r.ip, r.port),
				    []).append(r.d)
		self.dialled_us = {s.source[0] for s in seen.streams
		    if s.opens and s.destination[0] in us and
		    s.destination[1] == port} | {a[0]
		    for _, a, b, data in seen.datagrams if b[0] in us and
		    b[1] == port and data[:1] == b"\x41"}
		for s in seen.streams:
			if s.source[0] in us:
				self.judge(s.destination, s.data())
		for to, data in utp_streams(seen.datagrams, us, port):
			self.judge(to, data)

	def judge(self, to, data):
		"""A tracker gets less from us than any peer may."""
		texts = [data] + [open_veil(data, d)
		    for d in self.veils.get(to, ())]
		for text in texts:
			head, messages = pcap.peer_wire(text)
			if head is None:
				continue
			self.read += 1
			if any(i == PIECE_ID for i, _ in messages):
				self.pieces.append(to)
			return
		if len(data) >= BLOCK:
			self.dark.append((to, len(data)))


def utp_streams(datagrams, us, port):
	"""(to, what we sent) of each uTP conversation."""
	parts = {}
	for _, a, b, d in datagrams:
		if a[0] not in us or a[1] != port or len(d) < 20 or \
		    d[0] & 15 != 1 or d[0] >> 4 > 1:
			continue
		following, at = d[1], 20
		while following and at + 2 <= len(d):
			following, at = d[at], at + 2 + d[at + 1]
		number, = struct.unpack_from(">H", d, 2)
		seq, = struct.unpack_from(">H", d, 16)
		if at < len(d):
			first, kept = parts.setdefault((b, number), (seq, {}))
			kept.setdefault((seq - first + 32768) % 65536, d[at:])
	for (to, _), (_, kept) in parts.items():
		yield to, b"".join(kept[k] for k in sorted(kept))
