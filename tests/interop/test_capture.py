#!/usr/bin/env python3
"""Captures of others: a swarm of real clients, recorded beside two leeches,
imported, and held against tshark's reading of the same files and against what
the clients say; then damaged in every way, and imported again."""
import glob
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import closing

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from holding import PAGE		# noqa: E402
from tap import Tap			# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

VECTORS = os.path.join(laboratory.ROOT, "../shared/vectors/pcaps")
# id: what tshark tells of it beside its index
BEGIN, LENGTH = (6, 7, 8, 16), (6, 8, 16)
INDEX = (4, 13, 17) + BEGIN
BITFIELD, HAVE, PIECE = 5, 4, 7
# Why one side has what the other has not; all else is a failure.
EXPLAINED = {
    "utp": "uTP: tshark does not put it together",
    "mse": "encrypted: tshark cannot read it"}
# Where the ends agreed on a plain payload behind encrypted heads, tshark comes
# upon a handshake in mid-stream; we claim nothing without the secret.
LOST = {"mse": "encrypted heads, plain payload: not claimed"}
tap = Tap()


def run(*args, **options):
	return subprocess.run([laboratory.PROGRAM, *args],
	    capture_output=True, text=True, timeout=300, **options)


def capture(folder, case, *args):
	return run("capture", "--key", os.path.join(folder, "key"), case,
	    *args)


def holds(case):
	a = run("verify", case)
	b = subprocess.run([*PAGE, case],
	    capture_output=True, text=True, timeout=300)
	return a.returncode == 0 and b.returncode == 0 or a.stdout + b.stdout


# --- what tshark finds ------------------------------------------------------

FIELDS = ["ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst",
    "tcp.dstport", "bittorrent.msg.type", "bittorrent.piece.index",
    "bittorrent.piece.begin", "bittorrent.piece.length",
    "bittorrent.msg.bitfield", "bittorrent.info_hash", "bittorrent.peer_id"]


def tshark(path):
	"""{(source, destination): Counter of what was said}, TCP alone."""
	out = subprocess.run(["tshark", "-n", "-r", path, "-o",
	    "tcp.try_heuristic_first:TRUE", "-Y", "bittorrent && tcp",
	    "-T", "fields", "-E", "aggregator=;",
	    *[x for f in FIELDS for x in ("-e", f)]],
	    capture_output=True, text=True, check=True, timeout=300).stdout
	said = defaultdict(Counter)
	for line in out.splitlines():
		row = [c.split(";") if c else [] for c in line.split("\t")]
		ends = (row[0] or row[1])[0], int(row[2][0]), \
		    (row[3] or row[4])[0], int(row[5][0])
		to = said[ends[:2], ends[2:]]
		for h, i in zip(row[11], row[12]):
			to["handshake", h.replace(":", ""),
			    i.replace(":", "")] += 1
		index, begin, bits = (iter(row[k]) for k in (7, 8, 10))
		for kind in (int(t, 0) for t in row[6]):
			i = next(index) if kind in INDEX else None
			b = next(begin) if kind in BEGIN else None
			if kind == BITFIELD:
				to["bitfield", next(bits).replace(":", "")] += 1
			elif kind == HAVE:
				to["have", int(i, 0)] += 1
			elif kind == PIECE:
				to["piece", int(i, 0), int(b, 0)] += 1
	return said


# --- what the case says -------------------------------------------------------

def text(endpoint):
	host, port = endpoint.rsplit(":", 1)
	return host.strip("[]"), int(port)


def recorded(case):
	"""The same of a case, and {(source, destination): transport or mse}."""
	said, how = defaultdict(Counter), {}
	flows = {r.seq: r for r in case.records("flow")}
	sealed = {r.conn for r in case.records("encrypted")}
	for r in flows.values():
		a, b = text(r.d["initiator"]), text(r.d["responder"])
		how[a, b] = how[b, a] = "mse" if r.seq in sealed else \
		    r.d["transport"]
	for r in case.records("handshake", "bitfield", "have", "piece",
	    "block"):
		flow = flows[r.conn]
		ends = text(flow.d["initiator"]), text(flow.d["responder"])
		source = r.ip, r.port
		to = said[source, ends[source == ends[0]]]
		if r.kind == "handshake":
			to["handshake", r.d["infohash"], r.d["peer_id"]] += 1
		elif r.kind == "bitfield":
			to["bitfield", r.raw[5:].hex()] += 1
		elif r.kind == "have":
			to.update(("have", i) for i in r.d["pieces"])
		elif r.kind == "piece":
			to.update(("piece", r.d["piece"], b[0])
			    for b in r.d["blocks"])
		else:
			to.update(("piece", b[0], b[1])
			    for b in r.d["blocks"])
	return said, how


def compare(case, path, what):
	theirs, (ours, how) = tshark(path), recorded(case)
	lost, more, reasons = [], [], Counter()
	for ends in set(theirs) | set(ours):
		missing = theirs[ends] - ours[ends]
		extra = ours[ends] - theirs[ends]
		why = EXPLAINED.get(how.get(ends))
		if extra and why:
			reasons[why] += sum(extra.values())
		elif extra:
			more.append((ends, extra))
		why = LOST.get(how.get(ends))
		if missing and why:
			reasons[why] += sum(missing.values())
		elif missing:
			lost.append((ends, missing))
	for why, n in reasons.items():
		print("# %d messages: %s" % (n, why))
	kinds = Counter(k[0] for c in theirs.values() for k in c.elements())
	tap.equal(lost, [], "%s: whatever tshark finds is recorded (%s)" %
	    (what, ", ".join("%d %s" % (n, k) for k, n in
	    sorted(kinds.items()))))
	tap.equal(more, [], "%s: and nothing else, but for what tshark cannot "
	    "see" % what)
	return kinds


# --- the swarm --------------------------------------------------------------

LEECHES = ("aria2-leech", "lt-leech")
PEERS = ("aria2-seed", "transm-seed", "lt-seed") + LEECHES


def dump(host, path):
	p = host.run(["tcpdump", "-i", "eth0", "-s", "0", "-U", "-w", path],
	    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
	for line in p.stderr:
		if "listening on" in line:
			return p
	raise RuntimeError("tcpdump does not start")


def record_swarm(lab, folder):
	"""Savefiles of both leeches' traffic, once each has got pieces."""
	dumps, paths = [], []
	starts = lab.begin

	def begin(*peers):
		for p in peers:
			if p.host.name in LEECHES:
				paths.append(os.path.join(lab.folder,
				    p.host.name + ".pcap"))
				dumps.append(dump(p.host, paths[-1]))
		starts(*peers)
	lab.begin = begin
	lab.swarm(only=PEERS)
	lab.wait(lambda: all(len(lab.peers[n].pieces()) >=
	    len(lab.peers[n].held) + 8 for n in LEECHES), 180,
	    "pieces at both leeches")
	time.sleep(1)
	for p in dumps:
		p.terminate()
		p.wait(30)
	kept = []
	for path in paths:
		kept.append(os.path.join(folder, os.path.basename(path)))
		subprocess.run(["cp", path, kept[-1]], check=True)
	torrent = os.path.join(folder, "swarm.torrent")
	subprocess.run(["cp", lab.torrent, torrent], check=True)
	return torrent, kept


def check_swarm(folder):
	with laboratory.Lab() as lab:
		torrent, paths = record_swarm(lab, folder)
		for n, path in enumerate(paths):
			check_one(folder, lab, n, path, torrent)
		check_encrypted(folder, lab, torrent)
	both = os.path.join(folder, "both")
	p = capture(folder, both, "--torrent", torrent, *paths)
	tap.equal((p.returncode, holds(both)), (0, True),
	    "both in one import: holds")
	p = capture(folder, both, paths[0])
	tap.claim(p.returncode == 1 and "already" in p.stderr and
	    os.path.basename(paths[0]) in p.stderr,
	    "what the case has already is refused", p.stderr)
	tap.equal(holds(both), True, "and the case is as it was")
	return torrent, paths


def check_one(folder, lab, n, path, torrent):
	path_case = os.path.join(folder, "case%d" % n)
	name = os.path.basename(path)
	p = capture(folder, path_case, path, "--torrent", torrent)
	tap.equal((p.returncode, holds(path_case)), (0, True),
	    "%s is imported, and the case holds" % name)
	case = Case(path_case, lab.content.pieces)
	compare(case, path, name)
	check_pieces(case, lab, name)
	tap.claim(case.records("announce") and case.records("listed"),
	    "its announces and what trackers listed are recorded")
	case.close()


def check_pieces(case, lab, name):
	"""Pieces that matched are pieces that the client says it has, once it
	has read what the kernel keeps for it."""
	matched = defaultdict(set)
	flows = {r.seq: r for r in case.records("flow")}
	whole = [r for r in case.records("piece") if r.d["complete"]]
	for r in whole:
		ends = [text(flows[r.conn].d[k])[0]
		    for k in ("initiator", "responder")]
		matched[ends[r.ip == ends[0]]].add(r.d["piece"])
	tap.equal([r.seq for r in whole if not r.d["match"]], [],
	    name + ": every whole piece matched")
	for p in lab.peers.values():
		got = matched[p.address]
		if not got:
			continue
		tap.claim(not got & p.held, "%s had none of these %d before" %
		    (p.host.name, len(got)), got & p.held)
		lab.wait(lambda p=p, got=got: got <= p.pieces(), 180,
		    "%s to have what came to it" % p.host.name)
		tap.claim(True, "%s has them all now" % p.host.name)
	tap.claim(len(whole) >= 4, "%s: whole pieces: %d" % (name,
	    len(whole)))


# --- an observer's own packets, as others see them --------------------------

def observe(folder, lab):
	"""A run over encryption alone; its case."""
	case = os.path.join(folder, "observer")
	watch = Watch(lab.monitor(case, "--encryption", "require", "--no-utp",
	    "--no-dht", "--sample", "2", duration=LIMIT_S,
	    key=os.path.join(folder, "key")), case, lab.content.pieces)
	watch.until("pieces over encryption", lambda c: len({r.conn
	    for r in c.records("piece", by="peer") if r.d["match"]}) >= 2)
	watch.end()
	return case


def block(kind, body):
	body += bytes(-len(body) % 4)
	n = 12 + len(body)
	return struct.pack("<II", kind, n) + body + struct.pack("<I", n)


def remade(path):
	"""A savefile's packets in other files."""
	data, packets = records_of(path)
	link, = struct.unpack_from("<I", data, 20)
	heads = [struct.unpack_from("<IIII", data, a) for a, _ in packets]
	bodies = [data[a + 16:b] for a, b in packets]
	yield "behind half", data[:24] + data[packets[len(packets) // 2][0]:]
	yield "an hour later", data[:24] + b"".join(struct.pack("<IIII",
	    h[0] + 3600, *h[1:]) + p for h, p in zip(heads, bodies))
	yield "cut to 96 bytes", data[:24] + b"".join(struct.pack("<IIII",
	    h[0], h[1], min(96, len(p)), h[3]) + p[:96]
	    for h, p in zip(heads, bodies))
	noise = struct.pack("<IIII", 1, 1, 60, 60) + bytes(60)
	yield "among others", data[:24] + b"".join(noise + data[a:b]
	    for a, b in packets)
	yield "as pcapng", block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d,
	    1, 0, -1)) + block(1, struct.pack("<HHI", link, 0, 0)) + \
	    b"".join(block(6, struct.pack("<IIIII", 0, 0, 0, len(p),
	    h[3]) + p) for h, p in zip(heads, bodies))


def check_encrypted(folder, lab, torrent):
	live = observe(folder, lab)
	with closing(Case(live, lab.content.pieces)) as case:
		met = [r for r in case.records("encrypted")
		    if r.d["outcome"] == "ok"]
		want = {(r.ip, r.port, r.d["piece"], r.d["sha256"])
		    for r in case.records("piece", by="peer")
		    if r.d["match"]}
		asked = {(r.ip, r.port, b[0]) for r in case.records(
		    "request", by="us") for b in r.d["blocks"]}
	files = sorted(glob.glob(os.path.join(live, "packets", "*.pcap")))
	p = capture(folder, live, *files)
	tap.claim(p.returncode == 1 and p.stderr.count("already") ==
	    len(files), "a run's own packets are refused in its own case",
	    p.stderr)
	for name, data in remade(max(files, key=os.path.getsize)):
		path = os.path.join(folder, "remade." + name)
		with open(path, "wb") as f:
			f.write(data)
		size = os.path.getsize(os.path.join(live, "evidence.db"))
		p = capture(folder, live, path)
		tap.claim(p.returncode == 1 and "already" in p.stderr and
		    path in p.stderr and "packets/" in p.stderr and size ==
		    os.path.getsize(os.path.join(live, "evidence.db")),
		    "and so they are " + name, p.stderr)
	secrets = os.path.join(folder, "secrets")
	with open(secrets, "w") as f:
		f.write("# key, secret, infohash\n")
		for r in met:
			f.write("%s %s %s\n" % (r.raw[:96].hex(),
			    r.d["secret"], r.d["skey"]))
	for name, options in (("with", ["--secrets", secrets]),
	    ("without", [])):
		path = os.path.join(folder, "others " + name)
		p = capture(folder, path, "--torrent", torrent, *options,
		    *files)
		tap.equal((p.returncode, holds(path)), (0, True),
		    "imported elsewhere, %s the secrets: holds" % name)
		with closing(Case(path, lab.content.pieces)) as case:
			found = {(r.ip, r.port, r.d["piece"],
			    r.d["sha256"]) for r in case.records("piece")
			    if r.d["match"]}
			said = Counter(r.d["outcome"]
			    for r in case.records("encrypted"))
			us = case.records("handshake", "piece", by="us")
		if options:
			tap.equal((want - found, us), (set(), []), "its "
			    "encrypted conversations give the same %d pieces "
			    "of the same ends" % len(want))
			# What lay unread when the run ended is in the packets.
			tap.equal({f[:3] for f in found - want} - asked, set(),
			    "and no other but what it had asked for")
		else:
			tap.claim(not found & want and
			    said["the secret is not known"] >= len(met) and
			    set(said) == {"the secret is not known"},
			    "%d say only that they are encrypted, it seems" %
			    len(met), said)


# --- damage -------------------------------------------------------------------

def records_of(path):
	"""Byte ranges of a pcap file's packets, headers included."""
	with open(path, "rb") as f:
		data = f.read()
	at, out = 24, []
	while at < len(data):
		n = struct.unpack_from("<I", data, at + 8)[0]
		out.append((at, at + 16 + n))
		at += 16 + n
	return data, out


def damage(data, packets, how, pick):
	if how == "cut within a packet":
		return data[:packets[len(packets) // 2][1] - 7]
	if how == "cut within a header":
		return data[:packets[len(packets) // 2][0] + 9]
	if how == "snaplen 96":
		out = [data[:24]]
		for a, b in packets:
			n = min(96, b - a - 16)
			out.append(data[a:a + 8] + struct.pack("<I", n) +
			    data[a + 12:a + 16 + n])
		return b"".join(out)
	if how == "every third packet lost":
		return data[:24] + b"".join(data[a:b]
		    for i, (a, b) in enumerate(packets) if i % 3)
	if how == "packets twice and out of order":
		some = [p for p in packets for _ in (0, 1)]
		for i in range(0, len(some) - 6, 6):
			part = some[i:i + 6]
			pick.shuffle(part)
			some[i:i + 6] = part
		return data[:24] + b"".join(data[a:b] for a, b in some)
	out = bytearray(data)
	if how == "a length of 4 GB":
		a = packets[len(packets) // 2][0]
		out[a + 8:a + 16] = b"\xff" * 8
	elif how == "noise in every packet":
		for a, b in packets:
			if b - a > 16:
				out[pick.randrange(a + 16, b)] ^= 0xff
	elif how == "noise in headers too":
		for a, b in pick.sample(packets, len(packets) // 50):
			out[pick.randrange(a, b)] ^= 0xff
	return bytes(out)


def check_damage(folder, torrent, path):
	data, packets = records_of(path)
	packets = packets[:6000]
	data = data[:packets[-1][1]]
	for how in ("cut within a packet", "cut within a header",
	    "snaplen 96", "every third packet lost",
	    "packets twice and out of order", "a length of 4 GB",
	    "noise in every packet", "noise in headers too"):
		bad = os.path.join(folder, "bad.pcap")
		case = os.path.join(folder, "bad " + how)
		with open(bad, "wb") as f:
			f.write(damage(data, packets, how,
			    random.Random(how)))
		p = capture(folder, case, "--torrent", torrent, bad)
		good = holds(case)
		tap.claim(p.returncode == 0 and good is True,
		    "%s: imported, and the case holds" % how,
		    p.stderr + str(good))
		c = Case(case, 0)
		file = c.records("packets")[0].d["imported"]
		broken = how.startswith("cut") or "4 GB" in how
		tap.equal(file["damaged"] > 0, broken or "headers" in how and
		    file["damaged"] > 0, "%s: %d damaged places, %d frames" %
		    (how, file["damaged"], file["frames"]))
		tap.equal(file["cut"] > 0, "96" in how or
		    "headers" in how and file["cut"] > 0,
		    "%s: %d frames are cut" % (how, file["cut"]))
		if "lost" in how or "96" in how:
			tap.claim(c.records("gap"), how +
			    ": what is missing is a gap")
			tap.claim(all(r.d["initiator_sha256"] is None or
			    not r.d["initiator_missing"]
			    for r in c.records("closed")),
			    how + ": no digest of what is not whole")
		c.close()
		p = run("capture", "--print", bad)
		tap.claim(p.returncode == 0 and p.stdout.isascii(),
		    "%s: listed" % how, p.stderr)


def check_halves(folder, torrent, path):
	"""A capture that goes on in the next savefile says the same."""
	data, packets = records_of(path)
	cut = len(packets) // 2
	halves = [os.path.join(folder, "half%d.pcap" % n) for n in (1, 2)]
	with open(halves[0], "wb") as f:
		f.write(data[:packets[cut][0]])
	with open(halves[1], "wb") as f:
		f.write(data[:24] + data[packets[cut][0]:])
	found = []
	for name, files in (("one", [path]), ("two", halves)):
		case = os.path.join(folder, "in " + name)
		p = capture(folder, case, "--torrent", torrent, *files)
		tap.equal((p.returncode, holds(case)), (0, True),
		    "in %s: imported, and holds" % name)
		with closing(Case(case, 0)) as c:
			flows = [(r.d["initiator"], r.d["file"],
			    r.d["frame"]) for r in c.records("flow")]
			if files == halves:
				flows = [(a, "packets/000001.pcap", n + cut *
				    (file == "packets/000002.pcap"))
				    for a, file, n in flows]
			found.append((Counter((r.kind, r.ip,
			    r.d.get("sha256"), r.d.get("initiator_sha256"),
			    r.d.get("responder_sha256"))
			    for r in c.records("handshake", "bitfield",
			    "have", "piece", "closed", "gap", "announce",
			    "listed")), sorted(flows)))
	tap.equal(found[1], found[0], "in two savefiles: the same "
	    "conversations, each with the file and frame it began in")


# --- the command line ------------------------------------------------------------

def check_command(folder, path):
	p = subprocess.run("'%s' capture --print '%s' | head -1" %
	    (laboratory.PROGRAM, path), shell=True, capture_output=True,
	    text=True, timeout=60)
	tap.equal((p.stdout.count("\n"), p.stderr), (1, ""),
	    "a listing whose reader has had enough ends without a word")
	with open("/dev/full", "w") as full:
		p = subprocess.run([laboratory.PROGRAM, "capture", "--print",
		    path], stdout=full, stderr=subprocess.PIPE, text=True,
		    timeout=60)
	tap.claim(p.returncode == 1 and "No space left" in p.stderr,
	    "a listing that cannot be written fails and says so", p.stderr)
	twin = os.path.join(folder, "twin.pcap")
	subprocess.run(["cp", path, twin], check=True)
	p = capture(folder, os.path.join(folder, "never"), path, twin)
	tap.claim(p.returncode == 1 and twin in p.stderr and
	    not os.path.exists(os.path.join(folder, "never")),
	    "the same packets twice in one import are refused", p.stderr)
	none = os.path.join(folder, "none")
	with open(none, "w") as f:
		f.write("this is no savefile")
	case = os.path.join(folder, "never")
	p = capture(folder, case, none)
	tap.claim(p.returncode == 1 and p.stderr.count("\n") == 1 and
	    none in p.stderr and not os.path.exists(case),
	    "no savefile: one line that names it, and no case", p.stderr)
	p = capture(folder, case, path, "--secrets", none)
	tap.claim(p.returncode == 1 and "line 1" in p.stderr and
	    not os.path.exists(case), "no secrets: the line is named",
	    p.stderr)


def check_said(folder):
	"""What a savefile's packets lack is on record beside what they say."""
	def ip(part, data, length=None):
		return struct.pack(">BBHHHBBH8B", 0x45, 0, length or 20 +
		    len(data), 7, part, 64, 17, 0, 192, 0, 2, 1, 192, 0, 2,
		    2) + data
	frames = [ip(0x2000, b"abcdefgh"), ip(0x2001, b"ABCDEFGH"),
	    ip(0x2001, b"ABCDEFGX"), ip(0, b"abc", 2000), ip(0, b"abc", 2000)]
	path = os.path.join(folder, "timeless.pcapng")
	with open(path, "wb") as f:
		f.write(block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1,
		    0, -1)) + block(1, struct.pack("<HHI", 101, 0, 0)) +
		    b"".join(block(3, struct.pack("<I", len(p)) + p)
		    for p in frames))
		f.write(b"\xff" * 5)
	case = os.path.join(folder, "timeless")
	p = capture(folder, case, path)
	c = Case(case, 0)
	d = c.records("packets")[0].d["imported"]
	c.close()
	tap.equal((p.returncode, d["unstamped"], d["fragments_lost"],
	    d["skipped"]), (0, 5, 1, 2),
	    "frames without a time, lost fragments, wrong headers are counted")
	tap.equal(sorted((o["frame"], o["times"]) for o in d["odd"]),
	    [(3, 1), (4, 2)], "the first frame and the times of what is odd")
	tap.claim(len(d["damage"]) == 1 and all(w["reason"] in p.stderr
	    for w in d["odd"] + d["damage"]), "and each is said in a line",
	    p.stderr)
	p = subprocess.run([laboratory.PROGRAM, "capture", "--print", path],
	    capture_output=True, text=True, timeout=60)
	tap.claim("# frame 4 and others: " in p.stdout and
	    "5 without a time" in p.stdout, "a listing says it too", p.stdout)


def check_routed(folder):
	"""IPv6 in fragments behind extension headers, by way of a router: the
	ends are the ends, and a slice has all of it."""
	ends = [bytes.fromhex("20010db8" + "00" * 11) + bytes([n])
	    for n in (1, 2, 9)]
	frames, at = [], [1000, 2000]

	def send(side, flags, data=b""):
		tcp = struct.pack(">HHIIBBHHH", *(40000, 6881)[::1 - 2 * side],
		    at[side], at[1 - side] if flags & 16 else 0, 0x50, flags,
		    9000, 0, 0) + data
		whole = b"\6\0\1\4\0\0\0\0" + tcp
		route = b"\x2c\2\0\1\0\0\0\0" + ends[1 - side]
		ident = len(frames)
		for i in range(0, len(whole), 40):
			part = whole[i:i + 40]
			body = route + struct.pack(">BBHI", 60, 0, i |
			    (i + 40 < len(whole)), ident) + part
			frames.append(struct.pack(">IHBB", 6 << 28, len(body),
			    43, 64) + ends[side] + ends[2] + body)
		at[side] += len(data) + bool(flags & 3)

	send(0, 2)
	send(1, 18)
	send(0, 16)
	for side in 0, 1:
		send(side, 24, b"\x13BitTorrent protocol" + bytes(8) + b"i" * 20 +
		    bytes([side]) * 20)
	send(0, 17)
	send(1, 17)
	send(0, 16)
	path = os.path.join(folder, "routed.pcap")
	with open(path, "wb") as f:
		f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535,
		    101) + b"".join(struct.pack("<IIII", 1700000000 + i, 0,
		    len(p), len(p)) + p for i, p in enumerate(frames)))
	case = os.path.join(folder, "routed")
	capture(folder, case, path)
	c = Case(case, 0)
	flow, closed = c.records("flow", "closed")
	c.close()
	tap.equal((flow.d["initiator"], flow.d["responder"],
	    closed.d["initiator_bytes"], closed.d["responder_bytes"]),
	    ("[2001:db8::1]:40000", "[2001:db8::2]:6881", 68, 68),
	    "the ends are those of the routing header")
	part = os.path.join(folder, "routed slice.pcap")
	subprocess.run([laboratory.PROGRAM, "capture", case, "--extract",
	    "--conn", str(flow.seq), "-o", part], check=True, timeout=60,
	    capture_output=True)
	case = os.path.join(folder, "routed again")
	capture(folder, case, part)
	c = Case(case, 0)
	tap.equal([r.d for r in c.records("closed")], [closed.d],
	    "a slice has its fragments, whatever headers are in them")
	c.close()


# --- others' captures ------------------------------------------------------------

def check_vectors(folder):
	"""Recorded by others, elsewhere; they lie beside the project."""
	found = []
	for at, _, names in os.walk(VECTORS):
		found += [os.path.join(at, n) for n in names
		    if n.endswith((".pcap", ".pcapng"))]
	if not found:
		print("# no captures of others beside the project")
		return
	case = os.path.join(folder, "vectors")
	p = capture(folder, case, *sorted(found))
	tap.equal((p.returncode, holds(case)), (0, True),
	    "%d captures of others are imported, and the case holds" %
	    len(found))
	c = Case(case, 0)
	kinds = Counter(r.kind for r in c.records("flow", "announce",
	    "listed", "dht", "handshake", "bitfield", "have"))
	tap.equal(kinds, Counter({"dht": 16, "have": 14, "listed": 3,
	    "announce": 2, "handshake": 2, "bitfield": 2, "flow": 1}),
	    "what is in them is found, and in the false ones nothing")
	c.close()


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory() as folder:
		check_vectors(folder)
		check_said(folder)
		check_routed(folder)
		torrent, paths = check_swarm(folder)
		check_command(folder, paths[0])
		check_halves(folder, torrent, paths[0])
		check_damage(folder, torrent, paths[0])
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
