#!/usr/bin/env python3
"""Slices and live captures of others. A slice alone proves the digests of the
`closed` record it belongs to; and what `capture --interface` dissects at a
peer's own host says of each conversation what the monitor's ledger says.
"""
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

import clients					# noqa: E402
import lab as laboratory			# noqa: E402
from holding import holds		# noqa: E402
from lab import Lab, as_root, PROGRAM	# noqa: E402
from pcap import Capture			# noqa: E402
from processes import children			# noqa: E402
from tap import Tap				# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

tap = Tap()
UTP = {"enable_outgoing_utp": True, "enable_incoming_utp": True,
    "enable_outgoing_tcp": False, "enable_incoming_tcp": False}


class View:
	"""A case's records, read with sqlite3 and json alone."""

	def __init__(self, case):
		self.case = case
		db = sqlite3.connect("file:%s/evidence.db?mode=ro" % case,
		    uri=True)
		self.all = [(seq, kind, conn, ip, port, json.loads(d))
		    for seq, kind, conn, ip, port, d in db.execute("SELECT "
		    "seq, kind, conn, ip, port, detail FROM record "
		    "ORDER BY seq")]
		db.close()

	def of(self, *kinds):
		return [r for r in self.all if r[1] in kinds]

	def conversations(self):
		"""conn -> (opening record, closed detail), of those that said
		something both ways."""
		closed = {r[2]: r[5] for r in self.of("closed")}
		return {r[0]: (r, closed[r[0]]) for r in self.of("dial",
		    "accept", "flow") if r[0] in closed and
		    any(closed[r[0]].get(k) for k in ("rx_bytes",
		    "initiator_bytes"))}


def run(*args, status=0):
	p = subprocess.run([PROGRAM, *map(str, args)], capture_output=True,
	    text=True, timeout=300)
	if p.returncode != status:
		print("# %s: %d\n# %s" % (args, p.returncode,
		    p.stderr.replace("\n", "\n# ")))
	return p


def sha(data):
	return hashlib.sha256(data).hexdigest()


def packets_in(path):
	"""(link type, number of packets) of a nanosecond pcap."""
	with open(path, "rb") as f:
		data = f.read()
	assert struct.unpack_from("<I", data)[0] == 0xa1b23c4d
	at, n = 24, 0
	while at < len(data):
		at += 16 + struct.unpack_from("<I", data, at + 8)[0]
		n += 1
	return struct.unpack_from("<I", data, 20)[0], n, at == len(data)


def slice_of(case, out, *which, status=0):
	return run("capture", case, "--extract", *which, "-o", out,
	    status=status)


def tcp_digests(out, closed):
	"""Whether the slice's streams begin with what `closed` counted; read
	without the program."""
	streams = [s for s in Capture(out).streams]
	got = {(len(d), sha(d)) for s in streams for d in [s.data()]}
	prefixes = {sha(s.data()[:n]) for s in streams
	    for n in (closed["rx_bytes"], closed["tx_bytes"])}
	return closed["rx_sha256"] in prefixes and \
	    closed["tx_sha256"] in prefixes, (len(streams), got)


def flow_digests(folder, name, out, torrent):
	"""What an import of nothing but the slice says of its flows."""
	case = os.path.join(folder, name)
	run("capture", "--key", os.path.join(folder, "key2"), "--torrent",
	    torrent, case, out)
	flows = {frozenset([(c["initiator_bytes"], c["initiator_sha256"]),
	    (c["responder_bytes"], c["responder_sha256"])])
	    for _, c in View(case).conversations().values()}
	shutil.rmtree(case)
	return flows


def slices(lab, case):
	view, seen = View(case), set()
	out = os.path.join(lab.folder, "slice.pcap")
	for conn, (opened, closed) in view.conversations().items():
		transport = opened[5]["transport"]
		p = slice_of(case, out, "--conn", conn)
		link, n, whole = packets_in(out)
		tap.claim(p.returncode == 0 and n > 4 and whole and
		    p.stdout.split()[0] == sha(open(out, "rb").read()) and
		    "%d packets" % n in p.stderr,
		    "conn %d (%s): its packets, and the digest of the file" %
		    (conn, transport), p.stdout + p.stderr)
		if transport == "tcp":
			good, found = tcp_digests(out, closed)
			tap.claim(good, "conn %d: the slice alone gives "
			    "rx_sha256 and tx_sha256 of its `closed`" % conn,
			    (found, closed))
		want = frozenset([(closed["rx_bytes"], closed["rx_sha256"]),
		    (closed["tx_bytes"], closed["tx_sha256"])])
		found = flow_digests(lab.folder, "again", out, lab.torrent)
		# What the monitor had not read when it closed is more.
		whole = [f for f in found if {n for n, _ in f} ==
		    {n for n, _ in want}]
		tap.claim(want in whole if whole else transport == "tcp",
		    "conn %d (%s): so does an import of the slice" %
		    (conn, transport), (want, found))
		seen.add(transport)
		os.unlink(out)
	tap.claim(seen >= {"tcp", "utp"}, "conversations over both transports",
	    seen)
	ip = lab.peers["aria2-seed"].address
	p = slice_of(case, out, "--ip", ip)
	link, n, whole = packets_in(out)
	shown = subprocess.run(["tshark", "-r", out, "-T", "fields", "-e",
	    "ip.src", "-e", "ip.dst", "-E", "occurrence=f"], capture_output=True, text=True)
	lines = shown.stdout.splitlines()
	tap.claim(len(lines) == n and all(ip in line.split() for line in lines),
	    "a slice by address: Wireshark reads it, and each packet is of "
	    "the address", (n, len(lines), shown.stderr))
	total = 0
	for r in view.of("packets"):
		more = subprocess.run(["tshark", "-r", os.path.join(case,
		    r[5]["file"]), "-Y", "ip.addr == " + ip, "-T", "fields",
		    "-e", "frame.number"], capture_output=True, text=True)
		total += len(more.stdout.splitlines())
	tap.equal(n, total, "and no packet of it is missing")
	before = open(out, "rb").read()
	p = slice_of(case, out, "--ip", ip, status=1)
	tap.claim(p.returncode == 1 and open(out, "rb").read() == before,
	    "a file that is there already is left alone", p.stderr)
	os.unlink(out)
	for what, args in (("a record that opened nothing", ("--conn", 0)),
	    ("no such record", ("--conn", 10 ** 9)),
	    ("an address without packets", ("--ip", "192.0.2.1")),
	    ("no address", ("--ip", "example"))):
		p = slice_of(case, out, *args, status=1)
		tap.claim(p.returncode == 1 and p.stderr.count("\n") == 1 and
		    not os.path.exists(out), what + ": one line, no file",
		    p.stderr)
	tap.equal(slice_of(case, out, status=2).returncode, 2,
	    "--extract of nothing is misuse")


def altered(lab, case):
	"""A savefile that is not what its record says: told, still cut."""
	copy = os.path.join(lab.folder, "altered")
	out = os.path.join(lab.folder, "altered.pcap")
	shutil.copytree(case, copy)
	name = os.path.join(copy, View(copy).of("packets")[0][5]["file"])
	with open(name, "r+b") as f:
		f.seek(-1, 2)
		last = f.read(1)
		f.seek(-1, 2)
		f.write(bytes([last[0] ^ 1]))
	p = slice_of(copy, out, "--ip", lab.peers["aria2-seed"].address,
	    status=1)
	tap.claim(p.returncode == 1 and os.path.exists(out) and
	    "not what its record says" in p.stderr,
	    "a slice of an altered savefile says so, exit 1", p.stderr)


# --- packets made here: fragments, two link types, other traffic -------------

def ip_packet(protocol, src, dst, data, ident=1, part=0):
	return struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(data), ident,
	    part, 64, protocol, 0, bytes([10, 1, 0, src]),
	    bytes([10, 1, 0, dst])) + data


def segment(port, to, seq, ack, flags, data=b""):
	return struct.pack(">HHIIBBHHH", port, to, seq, ack, 0x50, flags,
	    65535, 0, 0) + data


def in_parts(src, dst, ident, data):
	"""A TCP packet in fragments of 32 bytes."""
	for at in range(0, len(data), 32):
		more = 0x2000 if at + 32 < len(data) else 0
		yield ip_packet(6, src, dst, data[at:at + 32], ident,
		    more | at // 8)


def savefile(path, link, head, packets, second):
	with open(path, "wb") as f:
		f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535,
		    link))
		for n, p in enumerate(packets):
			p = head + p
			f.write(struct.pack("<IIII", second, n, len(p),
			    len(p)) + p)


def made_up(folder):
	case, out = (os.path.join(folder, n) for n in ("made", "made.pcap"))
	key = os.path.join(folder, "key2")
	greeting = b"\x13BitTorrent protocol" + bytes(8) + b"h" * 20
	a, b = greeting + b"-AA0001-" + b"a" * 12, greeting + b"-BB0001-" + \
	    b"b" * 12
	other = ip_packet(6, 1, 2, segment(7, 8, 1, 1, 0x10, b"others"))
	first = [ip_packet(6, 1, 2, segment(1111, 2222, 0, 0, 2)),
	    ip_packet(6, 2, 1, segment(2222, 1111, 0, 1, 18)), other,
	    *in_parts(1, 2, 77, segment(1111, 2222, 1, 1, 24, a))]
	second = [ip_packet(6, 2, 1, segment(2222, 1111, 1, 69, 24, b)), other,
	    ip_packet(6, 1, 2, segment(1111, 2222, 69, 69, 17)),
	    ip_packet(6, 2, 1, segment(2222, 1111, 69, 70, 17)),
	    ip_packet(17, 1, 2, struct.pack(">HHHH", 1111, 2222, 9, 0) +
		b"u")]
	files = [os.path.join(folder, n) for n in ("one.pcap", "two.pcap")]
	savefile(files[0], 1, bytes(12) + b"\x08\0", first, 1000)
	savefile(files[1], 276, b"\x08\0" + bytes(18), second, 1001)
	run("capture", "--key", key, case, *files)
	talks = View(case).conversations()
	tap.equal([(c["initiator_bytes"], c["initiator_sha256"],
	    c["responder_sha256"]) for _, c in talks.values()],
	    [(68, sha(a), sha(b))],
	    "one conversation, across two savefiles, one packet in fragments")
	if not talks:
		return
	conn = next(iter(talks))
	slice_of(case, out, "--conn", conn)
	link, n, _ = packets_in(out)
	tap.equal((link, n), (101, len(first) + len(second) - 3), "its slice: "
	    "every packet of it and every fragment, no other; from the IP "
	    "header on, since link types differ")
	alone = os.path.join(folder, "alone")
	run("capture", "--key", key, alone, out)
	tap.equal([(c["initiator_sha256"], c["responder_sha256"])
	    for _, c in View(alone).conversations().values()],
	    [(sha(a), sha(b))], "the slice alone gives both digests")
	os.unlink(out)
	slice_of(case, out, "--ip", "10.1.0.2")
	tap.equal(packets_in(out)[:2], (101, len(first) + len(second)),
	    "all packets of an address")
	holds(tap, case, "the case of two imports")


class Live:
	"""`capture --interface` on a host, and what it says."""

	def __init__(self, host, case, *options, key):
		self.said = []
		self.p = host.run([PROGRAM, "capture", "--interface", "eth0",
		    "--key", key, *options, case], stdout=subprocess.PIPE,
		    stderr=subprocess.PIPE, text=True)
		self.reader = threading.Thread(target=self.read, daemon=True)
		self.reader.start()

	def read(self):
		for line in self.p.stderr:
			self.said.append(line)

	def recording(self):
		return any("recording" in line for line in self.said)

	def end(self, how=None):
		if how:
			self.p.send_signal(how)
		status = self.p.wait(120)
		self.reader.join(10)
		return status


def same_conversations(lab, case, seen):
	"""The peer's side of every conversation, from both."""
	view, other = View(case), View(seen)
	flows = {frozenset([(c["initiator_bytes"], c["initiator_sha256"]),
	    (c["responder_bytes"], c["responder_sha256"])])
	    for _, c in other.conversations().values()}
	ip, checked = lab.peers["lt-seed"].address, 0
	for conn, (opened, c) in view.conversations().items():
		if opened[3] != ip or any(r[1] == "encrypted" and r[2] == conn
		    for r in view.all):
			continue
		checked += 1
		tap.claim(frozenset([(c["rx_bytes"], c["rx_sha256"]),
		    (c["tx_bytes"], c["tx_sha256"])]) in flows,
		    "conn %d: the capture at the peer has the same bytes of "
		    "both sides" % conn, (c, flows))
	tap.claim(checked > 0, "the monitor talked to the peer", checked)
	matched = [r[5]["piece"] for r in other.of("piece")
	    if r[5]["match"] and r[3] == ip]
	ours = [r[5]["piece"] for r in view.of("piece")
	    if r[5]["match"] and r[3] == ip]
	tap.claim(ours and set(ours) <= set(matched),
	    "and every piece that matched", (ours, matched))


def live_faults(lab):
	host, key = lab.peers["lt-seed"].host, os.path.join(lab.folder, "key3")
	for what, args in (("no such interface", ["--interface", "none7"]),
	    ("a filter that is none", ["--interface", "eth0", "--filter",
		"port is"])):
		case = os.path.join(lab.folder, "fault")
		p = host.run([PROGRAM, "capture", *args, "--key", key, case],
		    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
		_, err = p.communicate(timeout=60)
		tap.claim(p.returncode == 1 and err.count("\n") == 1 and
		    args[-1].split()[0] in err or "filter" in err,
		    what + ": one line, exit 1", err)
	case = os.path.join(lab.folder, "fault")
	live = Live(host, case, "--duration", "2", "--filter", "icmp", key=key)
	tap.equal(live.end(), 0, "and the same case is recorded into later; "
	    "--duration ends it")
	view = View(case)
	run_ = view.of("run")[0][5]["config"]
	end = view.of("end")[-1][5]
	tap.claim(run_["filter"] == "icmp" and run_["interface"] == "eth0" and
	    end["why"] == "duration" and end["ok"],
	    "`run` and `end` say what was done", (run_, end))
	holds(tap, case, "a capture of nothing")
	live = Live(host, case, "--filter", "udp port 9", key=key)
	lab.wait(live.recording, 60, "recorder")
	for to in "down", "up":
		laboratory.ip(host.ns, "link set eth0 " + to)
		time.sleep(1)
	host.run(["bash", "-c", "echo > /dev/udp/%s/9" %
	    lab.watch.address]).wait(60)
	time.sleep(1)
	tap.equal(live.end(signal.SIGTERM), 0, "an interface that goes down and "
	    "comes up again ends nothing")
	tap.claim(View(case).of("packets")[-1][5]["packets"] > 0,
	    "and what passes then is recorded")
	laboratory.ip(host.ns, "link add gone0 type veth peer name gone1")
	laboratory.ip(host.ns, "link set gone0 up")
	other = os.path.join(lab.folder, "gone")
	p = host.run([PROGRAM, "capture", "--interface", "gone0", "--key", key,
	    other], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
	lab.wait(lambda: os.path.isdir(os.path.join(other, "packets")) and
	    os.path.exists(os.path.join(other, "evidence.db")), 60, "recorder")
	laboratory.ip(host.ns, "link del gone0")
	_, err = p.communicate(timeout=60)
	why = [r[5]["why"] for r in View(other).of("no_packets")]
	tap.claim(p.returncode == 1 and len(why) == 1 and
	    why[0].startswith("the recorder ended: gone0: ") and
	    why[0][len("the recorder ended: "):] in err,
	    "one that disappears ends the run, exit 1, and the record says so",
	    (why, err))
	holds(tap, other, "its case")
	live = Live(host, case, key=key)
	lab.wait(live.recording, 60, "recorder")
	os.kill(children(live.p.pid)[0], signal.SIGKILL)
	tap.equal(live.end(), 1, "a recorder that was killed ends the run, "
	    "exit 1")
	live = Live(host, case, "--duration", "1", key=key)
	tap.equal(live.end(), 0, "the next run")
	view = View(case)
	files = [(r[5]["file"], r[5]["salvaged"]) for r in view.of("packets")]
	tap.claim([r[5]["why"] for r in view.of("no_packets")] ==
	    ["the recorder ended"] and len(files) == 4 and
	    len(set(files)) == 4 and files[2][1] and not files[3][1],
	    "what it left is recorded by the next, once", files)
	holds(tap, case, "the case after it")


def main():
	as_root()
	with Lab() as lab:
		made_up(lab.folder)
		lab.swarm(only=["aria2-seed", "lt-seed"])
		lab.peers["lt-utp"] = utp = clients.Libtorrent(
		    lab.host("lt-utp", 21), lab.content, port=6899,
		    settings=UTP)
		lab.begin(utp)
		lab.listed(*(p for p in lab.peers.values()))
		case = os.path.join(lab.folder, "case")
		seen = os.path.join(lab.folder, "seen")
		live = Live(lab.peers["lt-seed"].host, seen, "--dissect",
		    "--torrent", lab.torrent, "--filter",
		    "host " + lab.watch.address, "--on-checkpoint",
		    "cat >>" + os.path.join(lab.folder, "handed"),
		    key=os.path.join(lab.folder, "key3"))
		lab.wait(live.recording, 60, "recorder")
		# uTP is tried a minute after TCP.
		watch = Watch(lab.monitor(case, duration=LIMIT_S), case)
		for p in lab.peers.values():
			watch.until("pieces of " + p.address, lambda view:
			    len(view.records("piece", ip=p.address)) > 1)
		watch.end()
		tap.equal(watch.monitor.returncode, 0, "the monitor's run")
		# Stragglers of closed connections pass within a moment.
		time.sleep(1)
		tap.equal(live.end(signal.SIGINT), 0,
		    "a signal ends the capture cleanly")
		holds(tap, case, "the monitor's case")
		holds(tap, seen, "the case of the live capture")
		again = re.search(r"(\d+) records? of imports and dissected "
		    "captures made again", run("verify", seen).stdout)
		spoken, = sqlite3.connect("file:%s/evidence.db?mode=ro" % seen,
		    uri=True).execute("SELECT count(*) FROM record WHERE conn "
		    "IS NOT NULL").fetchone()
		tap.claim(again and int(again[1]) >= spoken > 0, "whose records "
		    "are made again from its savefiles, and are the same",
		    (again and again[1], spoken))
		with open(os.path.join(lab.folder, "handed"),
		    encoding="utf-8") as f:
			handed = f.read()
		with open(os.path.join(seen, "checkpoint.txt"),
		    encoding="utf-8") as f:
			tap.claim(handed.endswith(f.read()) and
			    View(seen).of("published"), "its checkpoints were "
			    "handed to a command", handed)
		drops = [(r[5]["dropped_kernel"], r[5]["dropped_interface"])
		    for r in View(seen).of("packets")]
		tap.claim(drops and all(d == (0, 0) for d in drops),
		    "drops are counted for each savefile", drops)
		same_conversations(lab, case, seen)
		slices(lab, case)
		altered(lab, case)
		live_faults(lab)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
