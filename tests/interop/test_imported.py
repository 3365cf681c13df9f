#!/usr/bin/env python3
"""A savefile of somebody else's, imported with `capture` and reported on: every
page of every kind of output repeats what its custody and its clock are, levels
come from the packets, and the case verifies."""
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

from built import ROOT, SANITIZED as PROGRAM	# noqa: E402
from content import bencode	# noqa: E402
from pages import Page		# noqa: E402
from scratch import at		# noqa: E402
from tap import Tap		# noqa: E402

PIECE = 16384
SEED, LEECH = ("10.77.3.1", 6881), ("10.77.3.2", 50001)
BEGAN = 1767300000 * 10 ** 9
SAID = "Custody is proved from the import on only. The clock is as given in " \
    "the files, and its bound is unknown."
tap = Tap()


def run(*args, **more):
	r = subprocess.run([PROGRAM, *args], capture_output=True, text=True,
	    **more)
	if r.returncode:
		print("# %s: %d %s" % (args[0], r.returncode, r.stderr))
	return r.returncode


class Wire:
	"""TCP between two ends, packet by packet, into a savefile."""

	def __init__(self, file):
		self.file, self.at_ns = file, BEGAN
		self.next = {SEED: 1000, LEECH: 2000}
		file.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 65535,
		    1))

	def send(self, a, b, flags, data=b""):
		for i in range(0, max(len(data), 1), 1400):
			self.packet(a, b, flags, data[i:i + 1400])

	def packet(self, a, b, flags, data):
		self.at_ns += 1_000_000
		tcp = struct.pack(">HHIIBBHHH", a[1], b[1], self.next[a],
		    self.next[b], 0x50, flags, 65535, 0, 0)
		ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + len(data), 0, 0,
		    64, 6, 0, socket.inet_aton(a[0]), socket.inet_aton(b[0]))
		frame = b"\2" * 12 + b"\x08\0" + ip + tcp + data
		self.file.write(struct.pack("<IIII", self.at_ns // 10 ** 9,
		    self.at_ns % 10 ** 9, len(frame), len(frame)) + frame)
		self.next[a] += len(data) + bool(flags & 3)


def message(kind, payload=b""):
	return struct.pack(">IB", 1 + len(payload), kind) + payload


def record(name, info_hash, data):
	"""A seed gives one piece of the torrent to a leech."""
	with open(name, "wb") as f:
		w = Wire(f)
		hello = b"\x13BitTorrent protocol" + bytes(8) + info_hash
		w.send(LEECH, SEED, 2)
		w.send(SEED, LEECH, 0x12)
		w.send(LEECH, SEED, 0x10)
		w.send(LEECH, SEED, 0x18, hello + b"-A21360-" + b"l" * 12)
		w.send(SEED, LEECH, 0x18, hello + b"-TR3000-" + b"s" * 12)
		w.send(SEED, LEECH, 0x18, message(5, b"\xe0"))
		w.send(LEECH, SEED, 0x18, message(2))
		w.send(SEED, LEECH, 0x18, message(1))
		w.send(LEECH, SEED, 0x18, message(6, struct.pack(">III", 1, 0,
		    PIECE)))
		w.send(SEED, LEECH, 0x18, message(7, struct.pack(">II", 1, 0) +
		    data[PIECE:2 * PIECE]))
		w.send(LEECH, SEED, 0x11)
		w.send(SEED, LEECH, 0x11)


def pages(folder):
	return {n: open(os.path.join(folder, n), encoding="utf-8").read()
	    for n in sorted(os.listdir(folder)) if n.endswith(".html")}


def says_so(what, want, folder):
	"""On the screen above all else, and in the margin of each printed page."""
	made = pages(folder)
	silent = [n for n, t in made.items() if SAID not in " ".join(
	    Page(t).text.split()).split("Made by swarmwitness")[0] or
	    "imported: custody from the import on, clock as given" not in
	    t.split("</style>")[0]]
	tap.claim(want <= set(made) and not silent, "%s: each of %d pages says "
	    "what its custody and its clock are" % (what, len(made)),
	    (silent, want - set(made)))


def any_name():
	"""A case, and what is made of it, in a folder whose name has what paths
	and SQLite's URIs take for something else."""
	odd = "/" + at("50%41 a?b#c'd\"e")
	case, out = odd + "/case", (odd + "/%d" % i for i in range(9))
	os.makedirs(odd)
	key = ("--key", at("key"))
	for words in (("capture", *key, "--torrent", at("theirs.torrent"), case,
	    at("theirs.pcap")), ("verify", case), ("report", case, "-o",
	    next(out)), ("report", "--ip", SEED[0], case, "-o", next(out)),
	    ("report", "--pseudonymise", at("veil"), case, "-o", next(out)),
	    ("audit", case, at("claims.csv"), "-o", next(out)), ("excerpt",
	    *key, "--ip", SEED[0], case, odd + "/excerpt"), ("verify", odd +
	    "/excerpt"), ("erase", *key, "--ip", SEED[0], "--ground",
	    "a test", case), ("verify", case)):
		tap.equal(run(*words), 0, "in a folder with an odd name: %s" %
		    " ".join(w for w in words[:2] if "/" not in w))
	for words in (("capture", *key, "file:x?mode=memory", at("theirs.pcap")),
	    ("verify", "file:x?mode=memory")):
		tap.equal(run(*words, cwd=odd), 0, "and in one that looks like a "
		    "URI: " + words[0])
	tap.claim(subprocess.run([sys.executable, os.path.join(ROOT,
	    "tests/verify_case.py"), case], capture_output=True).returncode ==
	    0, "and verify_case.py agrees")


def left_in_wal_mode():
	"""A case whose writer was killed when the log was emptied, and before the
	mode was: it is read as it is, and nothing is made beside it."""
	case = at("left")
	for empty in False, True:
		shutil.copytree(at("case"), case)
		db = sqlite3.connect(os.path.join(case, "evidence.db"))
		db.execute("PRAGMA journal_mode = wal")
		db.close()
		if empty:
			open(os.path.join(case, "evidence.db-wal"), "w").close()
		before, wrong = os.listdir(case), []
		for words in (("verify", case), ("verify", "--no-sandbox", case),
		    ("report", case, "-o", at("left_out")), ("report",
		    "--pseudonymise", at("veil"), case, "-o", at("left_out"))):
			if run(*words) or set(os.listdir(case)) != set(before):
				wrong.append((words, os.listdir(case)))
			shutil.rmtree(at("left_out"), ignore_errors=True)
		tap.claim(not wrong, "left in WAL mode, %s: read, and nothing made "
		    "beside it" % ("its log empty" if empty else "without a log"),
		    wrong)
		shutil.rmtree(case)


def main():
	data = hashlib.shake_256(b"theirs").digest(3 * PIECE)
	info = {"name": "theirs.mkv", "length": len(data),
	    "piece length": PIECE, "pieces": b"".join(hashlib.sha1(
	    data[i:i + PIECE]).digest() for i in range(0, len(data), PIECE))}
	info_hash = hashlib.sha1(bencode(info)).digest()
	with open(at("theirs.torrent"), "wb") as f:
		f.write(bencode({"info": info}))
	with open(at("lawful.mkv"), "wb") as f:
		f.write(data)
	record(at("theirs.pcap"), info_hash, data)
	tap.equal(run("capture", "--key", at("key"), "--torrent",
	    at("theirs.torrent"), at("case"), at("theirs.pcap")), 0,
	    "the savefile is imported")
	tap.claim(run("verify", at("case")) == 0 and subprocess.run(
	    [sys.executable, os.path.join(ROOT, "tests/verify_case.py"),
	    at("case")], capture_output=True).returncode == 0,
	    "both programs verify the case")
	run("report", "--reference", "theirs.mkv=" + at("lawful.mkv"),
	    at("case"), "-o", at("report"))
	says_so("report", {"index.html", "swarm-1.html", "checklist.html",
	    "swarm-1-endpoints-1.html", "certificate-902-13.html",
	    "certificate-902-14.html", "reference.html"}, at("report"))
	run("report", "--ip", SEED[0], at("case"), "-o", at("address"))
	says_so("address record", {"address.html", "checklist.html",
	    "certificate-902-13.html", "certificate-902-14.html"},
	    at("address"))
	run("report", "--pseudonymise", at("veil"), at("case"), "-o",
	    at("veiled"))
	says_so("under pseudonyms", {"index.html", "swarm-1.html"},
	    at("veiled"))
	with open(at("claims.csv"), "w") as f:
		f.write("ip,port,time,infohash\n%s,%d,2026-01-01T20:40:00Z,%s\n"
		    "10.77.3.9,1,2026-01-01T20:40:00Z,%s\n" % (*SEED,
		    info_hash.hex(), info_hash.hex()))
	run("audit", at("case"), at("claims.csv"), "-o", at("audit"))
	says_so("audit", {"index.html", "claim-0001.html", "claim-0002.html"},
	    at("audit"))
	draft = Page(pages(at("report"))["certificate-902-13.html"]).text
	tap.claim("In 1 of its 1 run it observed nothing itself" in draft and
	    "joined BitTorrent swarms" not in draft, "the draft certificate "
	    "says that the process was an import")
	with open(at("address/address.json")) as f:
		found, = json.load(f)["cases"][0]["findings"]
	front = Page(pages(at("report"))["index.html"]).text
	tap.claim((found["level"], found["pieces_matched"], found["bound_ns"])
	    == (5, 1, None) and "This run observed nothing itself" in front and
	    "as the imported files have it" in front and "± unknown" in front
	    and "± 0" not in front and not re.search(r"\.\d{3}Z", front),
	    "level 5 from the packets, times without bound or fractions",
	    found["level"])
	left_in_wal_mode()
	any_name()
	return tap.status()


sys.exit(main())
