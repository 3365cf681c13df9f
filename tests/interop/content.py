"""The lab's torrent: content of our own and its metainfo, nothing borrowed.

The bytes are SHAKE-256 of a seed, so every run knows every piece, and the
bencoder is this file's, so the truth does not come from the program.
"""
import hashlib
import os

PIECE = 65536
# (path, bytes, pad): a folder whose files share pieces, one padding file, an
# empty file, and a last piece that is short.
FILES = (
	("film/part one.bin", 3 * 1024 * 1024 + 12345, False),
	("film/part two.bin", 2 * 1024 * 1024 + 777, False),
	(".pad/38", 0, True),		# filled in: up to a piece boundary
	("read me.txt", 4321, False),
	("empty", 0, False),
	("extras/\u00e9t\u00e9.bin", 900001, False),
)


def bencode(value):
	if isinstance(value, int):
		return b"i%de" % value
	if isinstance(value, str):
		value = value.encode()
	if isinstance(value, bytes):
		return b"%d:%s" % (len(value), value)
	if isinstance(value, dict):
		items = sorted((k.encode() if isinstance(k, str) else k, v)
		    for k, v in value.items())
		return b"d" + b"".join(bencode(k) + bencode(v)
		    for k, v in items) + b"e"
	return b"l" + b"".join(map(bencode, value)) + b"e"


def bdecode(data, at=0):
	"""(value, end); for replies of the lab's own tracker and clients."""
	c = data[at:at + 1]
	if c == b"i":
		end = data.index(b"e", at)
		return int(data[at + 1:end]), end + 1
	if c == b"l" or c == b"d":
		items, at = [], at + 1
		while data[at:at + 1] != b"e":
			value, at = bdecode(data, at)
			items.append(value)
		if c == b"d":
			items = dict(zip(items[::2], items[1::2]))
		return items, at + 1
	colon = data.index(b":", at)
	end = colon + 1 + int(data[at:colon])
	return data[colon + 1:end], end


class Content:
	def __init__(self, name, seed, trackers):
		"""trackers: a list of tiers, each a list of URLs."""
		self.name, self.files, at = name, [], 0
		parts = []
		for path, size, pad in FILES:
			if pad:
				size = -at % PIECE
				path = ".pad/%d" % size
				parts.append(bytes(size))
			else:
				parts.append(hashlib.shake_256(("%s %s" %
				    (seed, path)).encode()).digest(size))
			self.files.append((path, at, size, pad))
			at += size
		self.data = b"".join(parts)
		self.pieces = -(-len(self.data) // PIECE)
		self.sha1 = [hashlib.sha1(self.piece(i)).hexdigest()
		    for i in range(self.pieces)]
		info = {"name": name, "piece length": PIECE,
		    "pieces": bytes.fromhex("".join(self.sha1)),
		    "files": [dict({"length": size, "path": path.split("/")},
			**({"attr": "p"} if pad else {}))
			for path, _, size, pad in self.files]}
		self.info_hash = hashlib.sha1(bencode(info)).digest()
		self.infohash = self.info_hash.hex()
		self.torrent = bencode({"announce": trackers[0][0],
		    "announce-list": trackers, "created by": "swarmwitness lab",
		    "creation date": 1700000000, "info": info})
		self.all = frozenset(range(self.pieces))

	def piece(self, i):
		return self.data[i * PIECE:(i + 1) * PIECE]

	def write(self, folder, held=None):
		"""The files in folder/name, right in the pieces held only."""
		data = self.data
		if held is not None:
			data = b"".join(self.piece(i) if i in held else
			    bytes(len(self.piece(i)))
			    for i in range(self.pieces))
		for path, at, size, _ in self.files:
			file = os.path.join(folder, self.name, path)
			os.makedirs(os.path.dirname(file), exist_ok=True)
			with open(file, "wb") as f:
				f.write(data[at:at + size])


def bits(data, pieces):
	"""The set of pieces in a bitfield, high bit first."""
	return frozenset(i for i in range(pieces)
	    if data[i >> 3] & 0x80 >> (i & 7))
