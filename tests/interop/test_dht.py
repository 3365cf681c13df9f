#!/usr/bin/env python3
"""The DHT and local discovery: real libtorrent nodes, and one that lies.

A seed that only the DHT knows over IPv4, one over IPv6, one that only local
discovery knows, a leech that must find the monitor in the DHT; a private and
a hybrid torrent. The truth is where each client is, and the packets: that we
answer nobody, are marked read-only, and ask no host too often.
"""
import glob
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from caseview import Case		# noqa: E402
from content import Content, bdecode, bencode, hashlib	# noqa: E402
from lab import Lab, HERE, as_root	# noqa: E402
from pcap import Capture		# noqa: E402
from tap import Tap			# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

GHOSTS = [("10.77.66.%d" % i, 6881) for i in range(1, 9)]
MADE_UP = [("10.77.67.1", 1111), ("10.77.67.2", 0), ("10.77.67.3", 1),
    ("127.0.0.1", 6881), ("224.0.0.1", 6881)]
HYBRID = """
import sys, libtorrent as lt
fs = lt.file_storage()
fs.add_file("hybrid.bin", 70000)
t = lt.create_torrent(fs, 16384)
open(sys.argv[1] + "/hybrid.bin", "wb").write(bytes(70000))
lt.set_piece_hashes(t, sys.argv[1])
open(sys.argv[1] + "/hybrid.torrent", "wb").write(lt.bencode(t.generate()))
h = lt.torrent_info(sys.argv[1] + "/hybrid.torrent").info_hashes()
print(str(h.v1), str(h.v2)[:40])
"""
tap = Tap()


def compact(address, port):
	return socket.inet_pton(socket.AF_INET6 if ":" in address else
	    socket.AF_INET, address) + port.to_bytes(2, "big")


# --- the lab -------------------------------------------------------------------


def start(lab, name, number, finds, *torrent, v6=False):
	"""A libtorrent host; its last word is in .last."""
	h = lab.host(name, number)
	listen = ["[%s]:6881" % h.address6] if v6 else ["%s:6881" % h.address]
	if v6 is None:
		listen = ["%s:6881" % h.address, "[%s]:6881" % h.address6]
	nodes = ["fd77::1/6881"] * (v6 is not False) + \
	    ["10.77.0.1/6881"] * (not v6)
	if torrent and name.startswith("seed"):
		lab.content.write(h.folder)
	p = h.run(["/usr/bin/python3", "-W", "ignore", os.path.join(HERE,
	    "dht_lt.py"), ",".join(listen), "" if number == 1 else
	    ",".join(nodes), finds] + ([*torrent, h.folder] if torrent
	    else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
	h.last = {}

	def read():
		for line in p.stdout:
			h.last = json.loads(line)
	threading.Thread(target=read, daemon=True).start()
	return h


class Liar(threading.Thread):
	"""A DHT node next to whatever is sought, all of whose words are false."""

	def __init__(self, host):
		super().__init__(daemon=True)
		self.address = host.address
		self.asked, self.answers = [], []	# (when, who, query)
		self.s = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.s.bind((host.address, 6881))
		self.other = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.other.bind((host.address, 6882))
		self.start()

	def run(self):
		while True:
			data, who = self.s.recvfrom(65536)
			q, at = bdecode(data)[0], time.monotonic()
			if q.get(b"y") != b"q":
				self.answers.append(data)
				continue
			self.asked.append((at, who, q))
			self.lie(q, who)

	def lie(self, q, who):
		target = q[b"a"].get(b"info_hash") or q[b"a"].get(b"target")
		if not target:
			return
		near = lambda i: target[:19] + bytes([target[19] ^ i])
		r = {"id": near(255), "token": "t", "values": [compact(*e)
		    for e in MADE_UP], "nodes": b"".join(near(i) +
		    compact(*e) for i, e in enumerate(GHOSTS, 1))}
		t = q[b"t"]
		for out in (b"d1:rd2:id20:", bencode({"y": "r", "t": t,
		    "r": {"id": "short"}}), bencode({"y": "r", "t": b"\0" * 4,
		    "r": dict(r, values=[compact("10.77.68.1", 6881)])}),
		    bencode({"y": "q", "t": "zz", "q": "ping", "a": {"id":
			near(9)}})):
			self.s.sendto(out, who)
		self.other.sendto(bencode({"y": "r", "t": t, "r": dict(r,
		    values=[compact("10.77.68.2", 6881)])}), who)
		self.s.sendto(bencode({"y": "r", "t": t, "r": r}), who)


class Asker(threading.Thread):
	"""Asks the monitor's port this and that; nothing may come back."""

	def __init__(self, host, to, infohash):
		super().__init__(daemon=True)
		self.s = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.to, self.infohash, self.back = to, infohash, []
		self.start()

	def run(self):
		self.s.settimeout(0.3)
		me = {"id": b"q" * 20, "target": b"x" * 20, "info_hash":
		    self.infohash, "port": 1, "token": "x"}
		for _ in range(8):
			for name in ("ping", "find_node", "get_peers",
			    "announce_peer", "vote"):
				self.s.sendto(bencode({"y": "q", "t": "aa",
				    "q": name, "a": me}), self.to)
			self.s.sendto(b"d" * 1400, self.to)
			try:
				self.back.append(self.s.recv(4096))
			except OSError:
				pass


class Noise(threading.Thread):
	"""Local announcements: of a private torrent, senseless, too many."""

	def __init__(self, host, plain, private):
		super().__init__(daemon=True)
		self.s = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
		    socket.inet_aton(host.address))
		self.sent = [b"BT-SEARCH * HTTP/1.1\r\nPort: 0\r\n\r\n",
		    b"\xff" * 5000, said(7, private), said(7, bytes(20))] + \
		    [said(2000 + i, plain) for i in range(50)]
		self.start()

	def run(self):
		for data in self.sent:
			self.s.sendto(data, ("239.192.152.143", 6771))


def said(port, infohash):
	return ("BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\n"
	    "Port: %d\r\nInfohash: %s\r\n\r\n\r\n" % (port,
	    infohash.hex())).encode()


def write(lab, name, data):
	path = os.path.join(lab.folder, name)
	with open(path, "wb") as f:
		f.write(data)
	return path


def build(lab):
	lab.content = c = Content("found without trackers", "dht", [["-"]])
	info = bdecode(c.torrent)[0][b"info"]
	lab.torrent = write(lab, "plain.torrent", bencode({"info": info}))
	lab.rooted = write(lab, "rooted.torrent", bencode({"info": info,
	    "nodes": [["10.77.0.1", 6881], ["", 1], "x", ["fd77::1", 6881]]}))
	hidden = dict(info, private=1)
	lab.private = hashlib.sha1(bencode(hidden)).digest()
	lab.hidden = write(lab, "hidden.torrent", bencode({"info": hidden}))
	lab.hybrid = subprocess.run(["/usr/bin/python3", "-W", "ignore", "-c",
	    HYBRID, lab.folder], capture_output=True, text=True,
	    check=True).stdout.split()
	lab.watch = lab.host("monitor", 100)
	lab.asker = lab.host("asker", 98)
	lab.liar = Liar(lab.host("liar", 66))
	nodes = [start(lab, "node1", 1, "dht", v6=None)]
	lab.wait(lambda: nodes[0].last, 60, "first node")
	nodes += [start(lab, "node%d" % i, i, "dht", v6=None)
	    for i in (2, 3, 4)]
	lab.wait(lambda: all(n.last.get("nodes", 0) >= 1 for n in nodes), 90,
	    "DHT of nodes")
	lab.seeds = {"dht": start(lab, "seed-dht", 21, "dht", lab.torrent),
	    "dht6": start(lab, "seed-dht6", 22, "dht", lab.torrent, v6=True),
	    "lsd": start(lab, "seed-lsd", 23, "lsd", lab.torrent)}
	lab.probe = lab.host("probe", 99)
	lab.wait(lambda: known(lab, "10.77.0.1") and known(lab, "fd77::1"), 90,
	    "announces of the seeds")


def known(lab, address):
	"""Does the first node name a peer of the torrent?"""
	s = lab.probe.socket(socket.AF_INET6 if ":" in address else
	    socket.AF_INET, socket.SOCK_DGRAM)
	s.settimeout(0.5)
	with s:
		s.sendto(bencode({"t": "aa", "y": "q", "q": "get_peers",
		    "ro": 1, "a": {"id": b"p" * 20,
		    "info_hash": lab.content.info_hash}}), (address, 6881))
		try:
			return bdecode(s.recv(4096))[0][b"r"].get(b"values")
		except (OSError, KeyError):
			return None


def monitor(lab, path, *options, until=(), targets=None, duration=LIMIT_S):
	"""until: (what, held) of each thing to wait for before it is ended;
	without any it ends by itself."""
	watch = Watch(lab.monitor(path, *options, duration=duration,
	    targets=targets), path, lab.content.pieces)
	for what, held in until:
		watch.until(what, held)
	_, err = watch.end() if until else watch.wait()
	if not tap.equal(watch.monitor.returncode, 0, "monitor exits with 0"):
		print(err[-2000:])


def looked_up(lab):
	"""Whether each lookup of the first round is over, in both families."""
	hashes = [lab.content.infohash, *lab.hybrid]

	def held(case):
		return {(r.d["infohash"], r.d["family"])
		    for r in case.records("dht") if "lookup" in r.d} >= {
		    (h, f) for h in hashes for f in (4, 6)} and \
		    any(r.d.get("announces_taken") and r.d["family"] == 4 and
		    r.d["infohash"] == lab.content.infohash
		    for r in case.records("dht"))
	return held


def is_done(lab):
	"""What the claims are about has come to be."""
	seeds = {lab.seeds["dht"].address, lab.seeds["dht6"].address6,
	    lab.seeds["lsd"].address}

	def held(case):
		return seeds <= {r.ip for r in case.records("piece",
		    by="peer") if r.d["match"]} and case.records("accept",
		    ip=lab.leech.address) and \
		    lab.watch.address in lab.leech.last.get("met", ()) and \
		    case.records("port", ip=lab.seeds["dht"].address,
		    by="peer") and case.records("malformed",
		    ip=lab.liar.address) and not lab.asking.is_alive()
	return held


# --- what is claimed ---------------------------------------------------------------


def sightings(case):
	db = sqlite3.connect("file:%s?mode=ro" % os.path.join(case,
	    "derived.db"), uri=True)
	found = {}
	for address, port, source, witness in db.execute(
	    "SELECT ip, port, source, witness FROM sighting"):
		found.setdefault((address, port), set()).add((source,
		    witness))
	return found


def outgoing(case, us):
	"""(ns, destination, bytes) of each UDP datagram from our port."""
	c = Capture(*sorted(glob.glob(os.path.join(case, "packets/*.pcap"))))
	return [(at, dst, data) for at, src, dst, data in c.datagrams
	    if src[0] in us and src[1] == 6881]


def check_sources(lab, path, case):
	levels, found = case.levels(), sightings(path)
	liar = "%s:6881" % lab.liar.address
	for name, family in (("dht", 4), ("dht6", 6)):
		h = lab.seeds[name]
		at = h.address if family == 4 else h.address6
		got = found.get((at, 6881), set())
		tap.claim(got and {s for s, _ in got} == {"dht"},
		    "the seed known to the DHT alone was found there (IPv%d)"
		    % family, got)
		tap.claim(all(w.endswith(":6881") and "10.77.0." in w or
		    w.startswith("[fd77::") for _, w in got),
		    "... and its witnesses are nodes", got)
		tap.equal(levels.get(at), 5, "... and it proved a piece")
	h = lab.seeds["lsd"]
	got = found.get((h.address, 6881), set())
	tap.equal({s for s, _ in got}, {"lsd"},
	    "the seed known to local discovery alone was found by it")
	tap.claim(all(w.startswith(h.address + ":") for _, w in got),
	    "... and its witness is its own address", got)
	tap.equal(levels.get(h.address), 5, "... and it proved a piece")
	for e in MADE_UP:
		tap.equal(found.get(e), {("dht", liar)},
		    "the made-up %s:%d is on record as the liar's word" % e)
		tap.claim(not case.records("reached", ip=e[0]) and
		    levels.get(e[0], 0) == 0, "... and stays at level 0")
	tap.claim(not case.records("dial", ip="224.0.0.1") and not [r
	    for r in case.records("dial", ip="10.77.67.2")],
	    "what cannot be a peer is not dialled")
	tap.claim(not any(e[0].startswith("10.77.68.") for e in found),
	    "answers of another transaction or port count for nothing")


def check_records(lab, path, case):
	dht = case.records("dht")
	liar = [r for r in case.records("dht", ip=lab.liar.address)
	    if r.d["values"]]
	tap.claim(liar and all(r.d["values"] == len(MADE_UP) and
	    r.d["node_id_ok"] is None for r in liar),
	    "the liar's answers are recorded", liar[:1])
	tap.claim(liar and all(bdecode(r.raw)[0][b"r"][b"values"] and
	    bdecode(bytes.fromhex(r.d["request"]))[0][b"t"] ==
	    bdecode(r.raw)[0][b"t"] for r in liar),
	    "both directions are there raw, of one transaction")
	bad = case.records("malformed", ip=lab.liar.address)
	tap.claim(bad and {r.d["where"] for r in bad} == {"dht"},
	    "its nonsense is recorded as malformed", bad[:1])
	done = [r for r in dht if "lookup" in r.d]
	by = {(r.d["infohash"], r.d["family"]) for r in done}
	for name, h in (("plain", lab.content.infohash),
	    ("hybrid, v1", lab.hybrid[0]), ("hybrid, v2", lab.hybrid[1])):
		tap.claim({(h, 4), (h, 6)} <= by,
		    "the %s hash was looked up in both families" % name, by)
	tap.claim(all(0 < r.d["answered"] <= r.d["queries"] <= 40
	    for r in done), "lookups stay small", [(r.d["queries"],
	    r.d["answered"]) for r in done])
	tap.claim(any(r.d["seeds"] is not None and 1 <= r.d["seeds"] +
	    r.d["peers"] <= 4 for r in done if r.d["infohash"] ==
	    lab.content.infohash), "the scrape estimates a handful",
	    [(r.d["scraped"], r.d["seeds"], r.d["peers"]) for r in done])
	tap.claim(not any(r.d.get("infohash") == lab.private.hex()
	    for r in dht), "the private torrent was not looked up")
	tap.equal({r.d["family"] for r in dht if "own_id" in r.d}, {4, 6},
	    "our ids are recorded")
	tap.equal(case.undocumented(), [], "all is as the format says")
	said = case.records("lsd")
	tap.claim(said and not any(lab.private.hex() in r.d["infohashes"]
	    for r in said) and all(lab.content.infohash in
	    r.d["infohashes"] for r in said),
	    "our local announcements are recorded, none of them private")
	noise = case.records("listed", ip=lab.asker.address)
	tap.claim([r.d["port"] for r in noise] == list(range(2000, 2006)),
	    "of a flood of local announcements the first are read, and none "
	    "of private or unknown torrents", [r.d["port"] for r in noise])
	tap.equal([(r.d["by"], r.d["where"]) for r in case.records(
	    "malformed", ip=lab.asker.address)], [("host", "lsd")] * 2,
	    "senseless ones are recorded as malformed")
	for n in ("dht4.nodes", "dht6.nodes"):
		size = os.path.getsize(os.path.join(path, n))
		tap.claim(size and size % (26 if "4" in n else 38) == 0,
		    "%s is kept" % n, size)
	db = sqlite3.connect("file:%s?mode=ro" % os.path.join(path,
	    "derived.db"), uri=True)
	polls = db.execute("SELECT sum(polls), sum(failures) FROM coverage "
	    "WHERE source = 'dht'").fetchone()
	tap.equal(polls, (len(done), 0), "coverage counts the lookups")


def check_packets(lab, path):
	sent = outgoing(path, {lab.watch.address, lab.watch.address6})
	queries = [(at, dst, bdecode(d)[0]) for at, dst, d in sent
	    if d[:1] == b"d"]
	tap.claim(len(queries) > 20, "the packets hold our queries",
	    len(queries))
	utp = [d for _, _, d in sent if len(d) >= 20 and d[0] & 15 == 1 and
	    d[0] >> 4 < 5]
	tap.claim(all(q.get(b"y") == b"q" and q.get(b"ro") == 1
	    for _, _, q in queries) and
	    len(queries) + len(utp) == len(sent),
	    "all we sent are uTP, and queries marked read-only")
	tap.claim(not any(lab.private in (q[b"a"].get(b"info_hash"),
	    q[b"a"].get(b"target")) for _, _, q in queries),
	    "no query names the private torrent")
	gaps, last, count = [], {}, {}
	for at, dst, _ in queries:
		if dst[0] in last:
			gaps.append((at - last[dst[0]]) / 1e9)
		last[dst[0]] = at
		count.setdefault(dst[0], []).append(at)
	worst = max(sum(a <= t < a + 10e9 for t in ts)
	    for ts in count.values() for a in ts)
	# 0.4 s apart, and when the monitor comes late no less than 0.2 s.
	tap.claim(min(gaps) > 0.15 and worst <= 30,
	    "no host got more than 30 queries in 10 s", (min(gaps), worst))
	tap.claim(all(q[b"a"][b"port"] == 6881 and not
	    q[b"a"].get(b"implied_port") for _, _, q in queries
	    if q[b"q"] == b"announce_peer"),
	    "announces name our listening port")


def main():
	as_root()
	with Lab("dht") as lab:
		build(lab)
		us = lab.watch.address
		path = os.path.join(lab.folder, "case")

		def ask(case):
			lab.asking = Asker(lab.asker, (us, 6881),
			    lab.content.info_hash)
			return lab.asking

		def noise(case):
			return Noise(lab.asker, lab.content.info_hash,
			    lab.private)

		def leech(case):
			lab.leech = start(lab, "leech", 31, "dht", lab.torrent)
			return lab.leech
		monitor(lab, path, "--dht-node", "10.77.0.1:6881",
		    "--dht-node", "[fd77::1]:6881", "--dht-node",
		    lab.liar.address + ":6881", "--announce-dht", "--lsd",
		    targets=[lab.torrent, lab.hidden,
		    os.path.join(lab.folder, "hybrid.torrent")], until=(
		    # Both listen from the start.
		    ("local announcement", lambda case: case.records("lsd")),
		    ("asker", ask), ("noise", noise),
		    # We announce at the end of the first lookups, and do not
		    # ask again so soon.
		    ("end of the first lookups", looked_up(lab)),
		    ("leech", leech), ("end", is_done(lab))))
		case = Case(path, lab.content.pieces)
		check_sources(lab, path, case)
		check_records(lab, path, case)
		check_packets(lab, path)
		tap.claim(case.records("accept", ip=lab.leech.address),
		    "the leech found us in the DHT and dialled us")
		tap.claim(us in lab.leech.last.get("met", ()),
		    "... by its own account", lab.leech.last)
		tap.claim(not lab.asking.back and not lab.liar.answers,
		    "nobody's query was answered", lab.asking.back)
		tap.claim({r.ip for r in case.records("port", by="peer")} &
		    {lab.seeds["dht"].address}, "a peer said where its "
		    "node is")
		case.close()

		# From where nobody has met us: who dials says where a node is.
		alone, watch = os.path.join(lab.folder, "alone"), lab.watch
		lab.watch = lab.host("stranger", 101)
		monitor(lab, alone, duration=3)
		tap.equal(outgoing(alone, {lab.watch.address,
		    lab.watch.address6}), [], "who knows no node contacts "
		    "nobody")
		lab.watch = watch

		named = os.path.join(lab.folder, "named")
		monitor(lab, named, targets=[lab.rooted], until=[("seeds",
		    lambda case: {lab.seeds["dht"].address,
		    lab.seeds["dht6"].address6} <= {r.ip
		    for r in case.records("dial")})])
		found = sightings(named)
		tap.claim({(lab.seeds["dht"].address, 6881),
		    (lab.seeds["dht6"].address6, 6881)} <= set(found),
		    "nodes that the torrent names lead to the seeds", found)

		monitor(lab, named, until=[("values", lambda case: any(
		    r.seq > case.records("run")[-1].seq and r.d.get("values")
		    for r in case.records("dht")) and
		    len(case.records("run")) == 2)])
		again = Case(named, lab.content.pieces)
		runs = [r.seq for r in again.records("run")]
		tap.claim(any(r.seq > runs[1] and r.d.get("values")
		    for r in again.records("dht")),
		    "kept tables serve the next run")
		again.close()
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
