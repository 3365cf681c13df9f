#!/usr/bin/python3
"""`report --reference`: lawful copies held against torrents of all versions.
The truth comes from content that the test wrote; v2 torrents are libtorrent's."""
import csv
import hashlib
import io
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import libtorrent		# noqa: E402
import synthetic		# noqa: E402
from built import SANITIZED as PROGRAM	# noqa: E402
from content import bencode	# noqa: E402
from pages import Page		# noqa: E402
from scratch import at, tmp		# noqa: E402
from tap import Tap		# noqa: E402

PIECE = 32768
PAD = 7 * PIECE - 200010	# up to the next piece
# (path, bytes, padding)
FILES = (("film.mkv", 200000, False), ("Sample/film.mkv", 10, False),
    (".pad/%d" % PAD, PAD, True), ("film.srt", 40000, False),
    ("film=2.mkv", 70000, False))
tap = Tap()


def content(path, n):
	return hashlib.shake_256(path.encode()).digest(n)


def write():
	for path, n, pad in FILES:
		file = at("T", path)
		os.makedirs(os.path.dirname(file), exist_ok=True)
		with open(file, "wb") as f:
			f.write(bytes(n) if pad else content(path, n))


def torrent_v1():
	data = b"".join(bytes(n) if pad else content(path, n)
	    for path, n, pad in FILES)
	info = {"name": "T", "piece length": PIECE, "pieces": b"".join(
	    hashlib.sha1(data[i:i + PIECE]).digest()
	    for i in range(0, len(data), PIECE)),
	    "files": [dict({"length": n, "path": path.split("/")},
	    **({"attr": "p"} if pad else {})) for path, n, pad in FILES]}
	return bencode({"info": info}), hashlib.sha1(bencode(info)).hexdigest()


def torrent_lt(flags, layers=True):
	fs = libtorrent.file_storage()
	for path, n, pad in FILES:
		if not pad:
			fs.add_file("T/" + path, n)
	t = libtorrent.create_torrent(fs, PIECE, flags)
	libtorrent.set_piece_hashes(t, tmp)
	entry = t.generate()
	if not layers:
		del entry[b"piece layers"]
	raw = libtorrent.bencode(entry)
	info = libtorrent.bencode(entry[b"info"])
	return raw, hashlib.sha1(info).hexdigest() if b"pieces" in \
	    entry[b"info"] else hashlib.sha256(info).hexdigest()


def make_case(name, *torrents, pieces=()):
	c = synthetic.Case(at(name))
	c.run()
	for raw, swarm in torrents:
		c.torrent(swarm, "T")
		c.db.execute("INSERT INTO raw VALUES (?, ?)", (c.seq - 1, raw))
	swarm = torrents[0][1]
	conn = c.dial(swarm, "10.77.1.1", 6881)
	c.handshake(conn, swarm, "10.77.1.1", 6881, "qBittorrent")
	c.peer(conn, swarm, "10.77.1.1", 6881, "have_all", claimed=9, pieces=9)
	seqs = []
	for i in pieces:
		seqs.append(c.seq)
		c.piece(conn, swarm, "10.77.1.1", 6881, i)
	c.close(conn, swarm, "10.77.1.1", 6881)
	c.end()
	return at(name), seqs


def report(case, *args, status=0):
	r = subprocess.run([PROGRAM, "report", case, "-o", at("out"), *args],
	    capture_output=True, text=True)
	if r.returncode != status:
		print("# %s: %d %s" % (args, r.returncode, r.stderr))
	return r


def read(name):
	with open(at("out", name), encoding="utf-8", newline="") as f:
		return f.read()


def rows(name):
	return list(csv.DictReader(io.StringIO(read(name))))


def copy(path, change=None, name=None):
	"""A copy of the file, one byte of it changed at `change`."""
	file = at("copy." + (name or path.replace("/", "_")))
	data = bytearray(open(at("T", path), "rb").read())
	if change is not None:
		data[change] ^= 1
	with open(file, "wb") as f:
		f.write(data)
	return file


def refer(case, *pairs, more=()):
	args = [a for file, path in pairs
	    for a in ("--reference", "%s=%s" % (file, path))]
	if report(case, *args, *more).returncode:
		return None
	return json.loads(read("report.json" if "--ip" not in more else
	    "address.json"))


def v1(case, seqs):
	film = copy("film.mkv")
	j = refer(case, ("T/film.mkv", film))
	r = j["references"][0]
	tap.equal((r["pieces_agree"], r["pieces_differ"], r["pieces_open"]),
	    (6, 0, 1), "v1: whole pieces agree; that shared with the sample is "
	    "open")
	tap.equal((r["bytes_agree"], r["bytes_open"], r["bytes"], r["sha256"]),
	    (6 * PIECE, 200000 - 6 * PIECE, 200000, hashlib.sha256(content(
	    "film.mkv", 200000)).hexdigest()), "its bytes, size and digest")
	tap.equal(r["file_root_agrees"], None, "v1 has no root of files")
	j = refer(case, ("T/film.mkv", film), ("T/Sample/film.mkv",
	    copy("Sample/film.mkv")))
	tap.equal([r["pieces_agree"] for r in j["references"]], [7, 1],
	    "with a copy of the sample the shared piece agrees: padding is "
	    "zeros")
	bad = copy("film.mkv", 3 * PIECE + 5, "bad")
	r = refer(case, ("T/film.mkv", bad))["references"][0]
	tap.equal([(g["from_piece"], g["to_piece"], g["from_byte"],
	    g["to_byte"], g["verdict"]) for g in r["ranges"]],
	    [(0, 2, 0, 3 * PIECE, "agrees"),
	    (3, 3, 3 * PIECE, 4 * PIECE, "differs"),
	    (4, 5, 4 * PIECE, 6 * PIECE, "agrees"),
	    (6, 6, 6 * PIECE, 200000, "open")],
	    "one changed byte: that piece differs, and no other")
	tap.equal([(r["from_piece"], r["verdict"])
	    for r in rows("reference.csv")], [("0", "agrees"),
	    ("3", "differs"), ("4", "agrees"), ("6", "open")],
	    "the CSV has the same")
	got = [(int(r["seq"]), r["file"], r["kind"], int(r["from_byte"]),
	    int(r["to_byte"]), r["verdict"]) for r in
	    rows("reference-received.csv")]
	tap.equal(got, [(seqs[0], "T/film.mkv", "video", 0, PIECE, "agrees"),
	    (seqs[1], "T/film.mkv", "video", 3 * PIECE, 4 * PIECE, "differs"),
	    (seqs[2], "T/film.mkv", "video", 6 * PIECE, 200000, "open"),
	    (seqs[2], "T/Sample/film.mkv", "sample", 0, 10, "no copy given"),
	    (seqs[2], "T/.pad/%d" % PAD, "padding", 0, PAD, "no copy given"),
	    (seqs[3], "T/film.srt", "subtitles", 0, PIECE, "no copy given")],
	    "delivered pieces: film, sample, padding and subtitles told apart")
	page = Page(read("reference.html"))
	text = " ".join(page.text.split())
	tap.claim("Time ranges were not determined: ffprobe does not read it"
	    in text and "no delivered piece agrees with a copy whose time "
	    "ranges were determined" in text and "script" not in page.tags,
	    "the page says that no time is stated, and why")
	tap.claim("reference.html" in read("index.html") and
	    "reference.csv" in read("MANIFEST.sha256"),
	    "in the exhibits and the manifest")
	first = read("reference.html") + read("report.json")
	refer(case, ("T/film.mkv", bad))
	tap.claim(first == read("reference.html") + read("report.json"),
	    "made again, the same bytes")
	j = refer(case, ("T/film=2.mkv", copy("film=2.mkv", name="a=b")),
	    more=("--ip", "10.77.1.1"))
	tap.equal((j["references"][0]["pieces_agree"],
	    j["references"][0]["pieces_open"]), (2, 1),
	    "names with '=', in an address record")


def v2(case, name):
	pairs = [("T/" + p, copy(p)) for p in ("film.mkv", "film.srt")]
	for r in refer(case, *pairs)["references"]:
		tap.equal((r["file_root_agrees"], r["pieces_differ"],
		    r["pieces_open"], r["bytes_agree"]), (True, 0, 0,
		    r["bytes"]), name + ": every piece and the root agree: " +
		    r["file"])
	r = refer(case, ("T/film.mkv", copy("film.mkv", 199999, "end")))
	r = r["references"][0]
	tap.equal((r["file_root_agrees"], r["pieces_agree"],
	    r["pieces_differ"]), (False, 6, 1), name + ": the last byte wrong")


def faults(case, twice):
	film = copy("film.mkv")
	for args, words, what in (
	    ((case, "--reference", "T/none.mkv=" + film), "no torrent of",
	    "no such file in the torrent"),
	    ((case, "--reference", "film.mkv"), "FILE=PATH", "no '='"),
	    ((case, "--reference", "T/film.mkv=" + at("absent")),
	    "No such file", "no such copy"),
	    ((case, "--reference", "T/film.mkv=" + tmp), "not a file",
	    "a folder"),
	    ((case, "--reference", "T/film.srt=" + film), "200000 bytes; the "
	    "torrent's file has 40000", "another size"),
	    ((case, "--reference", "T/.pad/%d=%s" % (PAD, film)), "padding",
	    "padding"),
	    ((case, "--reference", "T/film.mkv=" + film, "--reference",
	    "T/film.mkv=" + film), "second copy", "one file twice"),
	    ((twice, "--reference", "T/film.mkv=" + film), "--swarm says",
	    "a name of two torrents")):
		r = report(*args, status=1)
		tap.claim(r.returncode == 1 and words in r.stderr,
		    "refused with a clear line: " + what, r.stderr)


def main():
	write()
	one = torrent_v1()
	hybrid = torrent_lt(0)
	case, seqs = make_case("v1", one, pieces=(0, 3, 6, 7))
	v1(case, seqs)
	v2(make_case("hybrid", hybrid)[0], "hybrid")
	v2_only = libtorrent.create_torrent.v2_only
	v2(make_case("v2", torrent_lt(v2_only))[0], "v2")
	r = refer(make_case("bare", torrent_lt(v2_only, False))[0],
	    ("T/film.mkv", copy("film.mkv")))["references"][0]
	tap.equal((r["file_root_agrees"], r["pieces_open"]), (True, 7),
	    "v2 without layers: the root alone tells")
	twice = make_case("twice", one, hybrid)[0]
	faults(case, twice)
	r = refer(twice, ("T/film.mkv", copy("film.mkv")), more=("--swarm",
	    one[1]))
	tap.claim(r and r["references"][0]["infohash"] == one[1],
	    "--swarm says which")
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
