"""The swarms of the doors' lab: one torrent of every kind.

libtorrent makes the metainfo, so neither the trees of v2 nor the infohashes
come from the program; the bytes are ours.
"""
import hashlib
import json
import os
import subprocess

from content import bdecode, bencode

PIECE = 32768
# kind: (the way libtorrent is told of it, (path, bytes) ...)
KINDS = {
	"v1": ("v1_only", (("one file.bin", 30 * PIECE + 77),)),
	"multi": ("v1_only", (("a/first.bin", 9 * PIECE + 1),
	    ("a/second.bin", 5), ("third.bin", 11 * PIECE - 3))),
	"hybrid": ("", (("both.bin", 20 * PIECE + 4097),)),
	"v2": ("v2_only", (("tree.bin", 20 * PIECE + 20000),)),
	"private": ("v1_only", (("hidden.bin", 12 * PIECE),)),
	"magnet": ("v1_only", (("linked.bin", 14 * PIECE + 9),)),
	"magnet2": ("", (("linked too.bin", 14 * PIECE + 9),)),
}
MAKE = """
import json, sys
import libtorrent as lt
for name, how, files, folder, private in json.load(sys.stdin):
    fs = lt.file_storage()
    for path, size in files:
        fs.add_file(name + "/" + path if len(files) > 1 else path, size)
    t = lt.create_torrent(fs, int(sys.argv[1]), *([getattr(
        lt.create_torrent, how)] if how else []))
    t.set_priv(private)
    lt.set_piece_hashes(t, folder)
    with open(folder + "/bare.torrent", "wb") as f:
        f.write(lt.bencode(t.generate()))
"""


class Made:
	"""A torrent and its bytes; what clients.Client asks of a Content."""

	def __init__(self, kind, folder):
		self.kind, self.name = kind, "doors " + kind
		how, self.files = KINDS[kind]
		self.folder = os.path.join(folder, "torrents", kind)
		os.makedirs(self.folder)
		self.data = b"".join(hashlib.shake_256(("%s %s" % (kind,
		    path)).encode()).digest(n) for path, n in self.files)
		self.pieces = -(-len(self.data) // PIECE)
		self.all = frozenset(range(self.pieces))
		self.write(self.folder)
		self.job = [self.name, how, self.files, self.folder,
		    kind == "private"]

	def piece(self, i):
		return self.data[i * PIECE:(i + 1) * PIECE]

	def write(self, folder, held=None):
		data = self.data if held is None else b"".join(self.piece(i)
		    if i in held else bytes(len(self.piece(i)))
		    for i in range(self.pieces))
		for path, size in self.files:
			path = os.path.join(folder, self.name, path) \
			    if len(self.files) > 1 else \
			    os.path.join(folder, path)
			os.makedirs(os.path.dirname(path), exist_ok=True)
			with open(path, "wb") as f:
				f.write(data[:size])
			data = data[size:]

	def read(self):
		"""What libtorrent made of it."""
		with open(os.path.join(self.folder, "bare.torrent"), "rb") as f:
			self.meta = bdecode(f.read())[0]
		info = bencode(self.meta[b"info"])
		v1 = hashlib.sha1(info).digest()
		v2 = hashlib.sha256(info).digest()
		has1 = b"pieces" in self.meta[b"info"]
		has2 = b"meta version" in self.meta[b"info"]
		self.hashes = [v1] * has1 + [v2[:20]] * has2	# on the wire
		self.info_hash = self.hashes[0]
		self.swarm = v1.hex() if has1 else v2.hex()
		self.xt = ["urn:btih:" + v1.hex()] * has1 + \
		    ["urn:btmh:1220" + v2.hex()] * has2

	def torrent(self, name, trackers=()):
		"""The path of one that names these trackers, a tier each."""
		path = os.path.join(self.folder, name + ".torrent")
		meta = dict(self.meta)
		if trackers:
			meta[b"announce"] = trackers[0]
			meta[b"announce-list"] = [[t] for t in trackers]
		with open(path, "wb") as f:
			f.write(bencode(meta))
		return path


def make(folder):
	"""kind -> Made"""
	made = {kind: Made(kind, folder) for kind in KINDS}
	subprocess.run(["/usr/bin/python3", "-W", "ignore", "-c", MAKE,
	    str(PIECE)], input=json.dumps([m.job for m in made.values()]),
	    text=True, check=True)
	for m in made.values():
		m.read()
	return made
