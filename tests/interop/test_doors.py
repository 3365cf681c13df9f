#!/usr/bin/env python3
"""Every door that peers come through, and liars at some: what level each
reaches beside the one that the truth allows, and who named it.

One run watches a swarm of each kind: v1, multi-file, hybrid, v2 only, private
and two by magnet alone. The truth is what each client is and holds, what our
own trackers say they told, and the packets.

The firewall and the address translator are the kernel's nf_tables, spoken to
directly. Where it has none, that is said: the two clients behind one address
are left out, and the one that only connects out just does not listen. Decoys
are offered a minute after a conversation, so the peer that takes any hash goes
soon, and some honest ones go for a moment and come back.
"""
import glob
import os
import random
import sqlite3
import subprocess
import sys
import time
import types
import urllib.parse
from collections import namedtuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clients				# noqa: E402
import doors_peers as peers		# noqa: E402
import doors_swarms			# noqa: E402
import doors_wire			# noqa: E402
import hostile				# noqa: E402
import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from tap import Tap			# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

PORT = 6881
UTP = {"enable_outgoing_utp": True, "enable_incoming_utp": True}
UTP_ONLY = dict(UTP, enable_outgoing_tcp=False, enable_incoming_tcp=False)
MADE_UP = [("10.77.66.%d" % i, 6000 + i) for i in (1, 2, 3)]
# sources: those besides trackers, whose own log is the truth; way: transport
# and encryption of a conversation at that level, None where either will do.
Row = namedtuple("Row", "swarm name address level sources way")
tap = Tap()


class Doors:
	def __init__(self, lab):
		self.lab, self.rows, self.late, self.now = lab, [], [], []
		self.met = {}
		self.made = doors_swarms.make(lab.folder)
		host = lab.host("tracker", 1)
		self.watch = lab.watch = lab.host("monitor", 100)
		self.tracker = peers.Tracker(host, 7000, self.watch)
		self.inventor = peers.Tracker(host, 7001, self.watch, MADE_UP)
		# Whom the link names by its v2 hash alone is known by that.
		m = self.made["magnet2"]
		m.swarm = m.xt[-1].rpartition("urn:btmh:1220")[2]
		for kind, m in self.made.items():
			lone = kind == "private"
			m.full = m.torrent("full", [self.tracker.url] if lone
			    else [self.tracker.url, self.tracker.url6] +
			    [self.inventor.url] * (kind == "v1"))
			m.v4 = m.torrent("v4", [self.tracker.url])
			m.v6 = m.torrent("v6", [self.tracker.url6])
			m.bare = os.path.join(m.folder, "bare.torrent")

	def row(self, swarm, name, address, level, *sources, way=None):
		self.rows.append(Row(swarm, name, address, level,
		    frozenset(sources), way))

	def host(self, name, number, torrent):
		h = self.lab.host(name, number)
		# What a client knows of the lab: its torrent.
		h.lab = types.SimpleNamespace(torrent=torrent,
		    processes=self.lab.processes)
		return h

	def client(self, kind, swarm, name, number, level=5, sources=(),
	    way=None, tracker="v4", late=False, **options):
		m = self.made[swarm]
		c = kind(self.host(name, number, getattr(m, tracker)), m,
		    **dict({"port": PORT}, **options))
		c.listed = tracker != "bare"
		(self.late if late else self.now).append(c)
		if level is not None:
			self.row(swarm, name, c.address, level, *sources,
			    way=way)
		return c

	def found(self, swarm, name, number, finds, *source):
		"""One that a DHT node's words or a multicast alone lead to."""
		h, m = self.lab.host(name, number), self.made[swarm]
		m.write(h.folder)
		h.run(["/usr/bin/python3", "-W", "ignore", os.path.join(
		    laboratory.HERE, "dht_lt.py"), "%s:%d" % (h.address, PORT),
		    "10.77.0.2/6881", finds, m.bare, h.folder],
		    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
		self.row(swarm, name, h.address, 5, *source)

	def nodes(self):
		for number in (2, 3):
			h = self.lab.host("node%d" % number, number)
			h.run(["/usr/bin/python3", "-W", "ignore",
			    os.path.join(laboratory.HERE, "dht_lt.py"),
			    "%s:%d" % (h.address, PORT), "" if number == 2
			    else "10.77.0.2/6881", "dht"],
			    stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

	def liar(self, swarm, name, number, what, level):
		h, m = self.lab.host(name, number), self.made[swarm]
		p = hostile.Peer(name, h, m, what, PORT)
		self.tracker.add(m, h.address, PORT)
		self.row(swarm, name, h.address, level)
		return p

	def ghosts(self, swarm):
		m = self.made[swarm]
		for name, number in ("silent", 66), ("refusing", 67):
			h = self.lab.host(name, number)
			self.tracker.add(m, h.address, PORT)
			self.row(swarm, "ghost " + name, h.address, 0)
			if name == "silent":
				laboratory.ip(h.ns, "route replace blackhole "
				    "10.77.0.0/16")
		for address, _ in MADE_UP:
			self.row(swarm, "made up", address, 0)

	def leech(self, swarm, name, number, **options):
		m = self.made[swarm]
		few = random.Random(name).sample(range(m.pieces), 5)
		options.setdefault("sources", ("incoming",))
		c = self.client(clients.Libtorrent, swarm, name, number,
		    role="leech", held=few, rate=30000, late=True, **options)
		self.tracker.hears.add(c.address)
		return c

	def firewalled(self):
		c = self.leech("v1", "firewalled", 31, way=("tcp", "none"))
		if not peers.connects_out_only(c.host):
			print("# this kernel filters no packets: who only "
			    "connects out does not listen")
			c.settings = {"enable_incoming_tcp": False,
			    "enable_incoming_utp": False}

	def translated(self):
		self.gate = gate = self.lab.host("gate", 60)
		if not peers.translate(gate):
			print("# this kernel translates no addresses: the two "
			    "clients behind one address are left out")
			return
		self.tracker.hears.add(gate.address)
		for i in (1, 2):
			c = self.leech("hybrid", "inside%d" % i, 60 + i,
			    level=None, port=PORT + i)
			peers.inside(c.host, gate, i)
			c.address = c.host.address
		self.row("hybrid", "two as one", gate.address, 5, "incoming")

	def start(self, some):
		begun = time.monotonic()
		for c in some:
			c.start()
		for c in some:
			self.lab.wait(c.ready, 120, c.host.name)
			# What comes from inside has the gate's address.
			at = self.gate.address if c.address.startswith(
			    "10.78.") else c.address
			if c.listed:
				self.lab.wait(lambda: self.tracker.knows(
				    c.content, at), 120, "announce of %s" %
				    c.host.name)
		print("# %d clients took %.0f s" % (len(some),
		    time.monotonic() - begun))

	def leave(self, c):
		if isinstance(c, clients.Libtorrent):
			self.met[c.host.name + " before"] = c.last.get("met")
		c.process.terminate()
		c.process.wait(60)

	def comes_back(self, c):
		"""So that its conversation is over, and it still listens."""
		self.leave(c)
		c.start()
		self.lab.wait(c.ready, 120, c.host.name)

	def move(self, c, address):
		"""It goes, and comes back from another address."""
		self.leave(c)
		laboratory.ip(c.host.ns, "addr del %s/16 dev eth0" % c.address,
		    "addr add %s/16 dev eth0" % address)
		c.host.address = c.address = address
		self.tracker.hears.add(address)
		c.start()


def build(d):
	lt = clients.Libtorrent
	d.nodes()
	d.client(lt, "v1", "lt-both", 11, settings=UTP)
	d.client(lt, "v1", "lt-utp-only", 12, settings=UTP_ONLY,
	    way=("utp", "none"))
	d.client(lt, "v1", "lt-ipv6-only", 0x13, v6=True, tracker="v6")
	d.client(lt, "v1", "lt-super-seeding", 14, role="seed+super")
	# Over TCP: who is killed in a uTP conversation does not say so.
	d.goers = [d.client(clients.Aria2, "v1", "aria2-plain", 15,
	    way=("tcp", "none"))]
	d.client(clients.Aria2, "v1", "aria2-mse", 16, way=("tcp", "rc4"),
	    settings={"bt-require-crypto": "true",
	    "bt-force-encryption": "true"})
	d.client(clients.Transmission, "v1", "transmission-mse", 17,
	    settings={"encryption": 2}, way=("tcp", "rc4"))
	d.client(clients.QBittorrent, "v1", "qbittorrent-utp", 18,
	    settings={"BTProtocol": "UTP"}, way=("utp", "none"))
	d.client(peers.RTorrent, "v1", "rtorrent", 20, way=("tcp", "none"))
	d.liars = [d.liar("v1", *l) for l in (
	    ("corrupt-pieces", 51, hostile.liar, 3),
	    ("never-unchokes", 52, peers.never_unchokes, 3),
	    ("accepts-any-hash", 53, peers.any_hash, 3),
	    ("wrong-infohash", 54, hostile.other_hash, 1))]
	d.ghosts("v1")
	d.firewalled()
	# Leeches, since no seed dials.
	few = random.Random("pex").sample(range(d.made["multi"].pieces), 12)
	d.connector = d.client(lt, "multi", "lt-pex", 21, role="leech+pex",
	    held=few[:8], rate=30000)
	d.pexed = d.client(lt, "multi", "pex-alone", 22, sources=("pex",),
	    tracker="bare", role="leech", held=few[4:], rate=30000)
	d.found("multi", "dht-alone", 23, "dht", "dht")
	d.found("multi", "lsd-alone", 24, "lsd", "lsd")
	d.goers.append(d.client(lt, "hybrid", "lt-hybrid", 25))
	d.translated()
	d.client(lt, "v2", "lt-v2", 26)
	d.mover = d.leech("v2", "moves", 27)
	d.client(lt, "private", "lt-private", 28)
	d.client(lt, "magnet", "lt-magnet", 29)
	d.client(lt, "magnet", "named-by-link", 30, tracker="bare",
	    sources=("magnet",))
	d.client(lt, "magnet2", "lt-hybrid-magnet", 32)


def link(d, kind, *more):
	m = d.made[kind]
	return "magnet:?" + "&".join(["xt=" + m.xt[-1]] + ["tr=" +
	    urllib.parse.quote(d.tracker.url, "")] + list(more))


def observe(d, path):
	d.start(d.now)
	d.connector.process.stdin.write("%s %d\n" % (d.pexed.address, PORT))
	d.connector.process.stdin.flush()
	listed = os.path.join(d.lab.folder, "list")
	with open(listed, "w") as f:
		f.write("\n".join([d.made[k].full for k in ("multi", "hybrid",
		    "v2", "private")] + [link(d, "magnet", "x.pe=%s:%d" %
		    (d.lab.hosts["named-by-link"].address, PORT)),
		    link(d, "magnet2"), ""]))
	watch = Watch(d.lab.monitor(path, "--list", listed, "--lsd", "--dht-node",
	    "10.77.0.2:6881", "--dht-node", "10.77.0.3:6881",
	    "--decoys", "2", "--decoy-endpoints", duration=2 * LIMIT_S,
	    targets=[d.made["v1"].full], stdout=subprocess.DEVNULL,
	    stderr=open(os.path.join(d.lab.folder, "log"), "w+")), path)
	watch.until("announce", lambda case: case.records("listed"))
	d.start(d.late)
	for c in d.goers:
		watch.until("piece of %s" % c.host.name,
		    lambda case: case.checked(c.address)[0])
		d.comes_back(c)
	watch.until("piece of the one that moves",
	    lambda case: case.checked(d.mover.address)[0])
	d.move(d.mover, "10.77.0.127")
	d.row("v2", "moved", "10.77.0.127", 5, "incoming")
	watch.until("end of it all", lambda case: is_done(d, watch, case))
	watch.end()
	if not tap.equal(watch.monitor.returncode, 0, "the monitor ends with "
	    "0"):
		with open(os.path.join(d.lab.folder, "log")) as f:
			print(f.read()[-3000:])
	for c in d.now + d.late:
		if isinstance(c, clients.Libtorrent):
			d.met[c.host.name] = c.last.get("met")


def is_done(d, watch, case):
	"""Everybody got as far as can be, each source has said its word, and
	decoys were offered. Whether that is all is for the checks."""
	level = {(s, a): n for s, a, n in watch.derived("SELECT swarm, ip, "
	    "max(level) FROM endpoint GROUP BY 1, 2")}
	said = set(watch.derived("SELECT swarm, ip, source FROM sighting"))
	offered = {a for a, in watch.derived("SELECT ip FROM decoy_endpoint")}
	asked = {w for w, in watch.derived("SELECT witness FROM decoy_source")}
	for r in d.rows:
		at = d.made[r.swarm].swarm, r.address
		if level.get(at, -1) < r.level or any((*at, s) not in said
		    for s in r.sources):
			return False
	wall = d.lab.hosts["firewalled"].address
	return offered >= {c.address for c in d.goers} | \
	    {d.lab.hosts["accepts-any-hash"].address} and \
	    asked >= {d.tracker.url, d.inventor.url} and \
	    case.checked(d.lab.hosts["corrupt-pieces"].address)[1] and \
	    {r.conn for r in case.records("dial", ip=wall)} == \
	    {r.conn for r in case.records("unreached", ip=wall)} and \
	    all(p.accepted for p in d.liars)


# --- what is claimed --------------------------------------------------------------


class Derived:
	def __init__(self, path):
		self.db = sqlite3.connect("file:%s?mode=ro" % os.path.join(
		    path, "derived.db"), uri=True)
		self.levels, self.sources, self.ways = {}, {}, {}
		for swarm, address, level in self.db.execute(
		    "SELECT swarm, ip, max(level) FROM endpoint GROUP BY 1, 2"):
			self.levels[swarm, address] = level
		self.sightings = self.db.execute("SELECT swarm, ip, port, "
		    "source, witness FROM sighting").fetchall()
		for swarm, address, _, source, _ in self.sightings:
			self.sources.setdefault((swarm, address),
			    set()).add(source)
		for swarm, address, level, *way in self.db.execute(
		    "SELECT swarm, ip, level, transport, encryption FROM "
		    "contact WHERE swarm IS NOT NULL"):
			self.ways.setdefault((swarm, address, level),
			    set()).add(tuple(way))


def told(d):
	"""(swarm, ip, port, url) by the trackers' own account."""
	of = {h: m.swarm for m in d.made.values() for h in m.hashes}
	return {(of[h], address, port, url) for t in (d.tracker, d.inventor)
	    for url, h, address, port in t.told if h in of}


def check_table(d, found, wire):
	named = {(s, a) for s, a, _, _ in told(d)}
	print("# %-8s %-17s %-12s %-5s %-5s %-17s %-17s %s" % ("swarm", "peer",
	    "address", "level", "found", "named by", "found",
	    "met over, at its level"))
	results = []
	for r in d.rows:
		at = d.made[r.swarm].swarm, r.address
		want = set(r.sources) | ({"tracker"} if at in named else set())
		got = found.sources.get(at, set())
		level = found.levels.get(at)
		ways = found.ways.get(at + (level,), set())
		# Some like to dial too: then the packets say so.
		if "incoming" not in want and r.address in wire.dialled_us:
			want |= got & {"incoming"}
		print("# %-8s %-17s %-12s %5d %5s %-17s %-17s %s" % (r.swarm,
		    r.name, r.address, r.level, level, ",".join(sorted(want)),
		    ",".join(sorted(got)), " ".join("/".join(str(x) for x in w)
		    for w in sorted(ways, key=str))))
		results.append((r, level, want, got, ways))
	for r, level, want, got, ways in results:
		name = "%s: %s" % (r.swarm, r.name)
		tap.equal(level, r.level, "%s is at level %d" % (name,
		    r.level))
		tap.equal(got, want, "%s is named by %s" % (name,
		    " and ".join(sorted(want))))
		if r.way:
			tap.equal(ways, {r.way}, "%s is met over %s, %s" %
			    ((name,) + r.way))
	known = {(d.made[r.swarm].swarm, r.address) for r in d.rows} | \
	    {(d.made["multi"].swarm, d.watch.address)}
	tap.equal(set(found.levels) - known, set(),
	    "no other endpoint is in any swarm")


def check_sightings(d, found):
	by = {}
	for swarm, address, port, source, witness in found.sightings:
		by.setdefault(source, set()).add((swarm, address, port,
		    witness))
	tap.equal(by.get("tracker", set()) ^ told(d), set(), "every sighting "
	    "by a tracker is what that tracker said, and all of it")
	multi = d.made["multi"].swarm
	for source, addresses, witnesses in (
	    ("dht", {"10.77.0.23"}, {"10.77.0.2:6881", "10.77.0.3:6881",
		"10.77.0.23:6881"}),
	    # It knows us, too, and what it dialled us from may be any port.
	    ("pex", {d.pexed.address, d.watch.address},
		{d.connector.address})):
		got = by.get(source, set())
		tap.equal({g[:3] for g in got}, {(multi, a, PORT)
		    for a in addresses}, "%s named whom it knew, no other" %
		    source)
		tap.claim(all({g[3], g[3].split(":")[0]} & witnesses
		    for g in got), "... and its witnesses are right", got)
	host = d.lab.hosts["lsd-alone"].address
	got = by.get("lsd", set())
	tap.claim(got and all(g[:3] == (multi, host, PORT) and
	    g[3].startswith(host + ":") for g in got),
	    "local discovery named the one that speaks it", got)
	tap.equal({g[:3] for g in by.get("magnet", set())},
	    {(d.made["magnet"].swarm, d.lab.hosts["named-by-link"].address,
	    PORT)}, "the magnet named the peer in it")


def tell_when(d, case):
	"""Who took longest: strangers are dialled once a minute."""
	began, first = case.records("run")[0].utc_ns, {}
	for r in case.records("piece", by="peer"):
		if r.d["match"]:
			first.setdefault(r.ip, (r.utc_ns - began) / 1e9)
	names = {r.address: r.name for r in d.rows}
	print("# first whole pieces, the last of them: " + ", ".join(
	    "%s after %.1f s" % (names.get(ip, ip), s) for ip, s in
	    sorted(first.items(), key=lambda f: f[1])[-6:]))


def check_peers(d, case, found):
	tell_when(d, case)
	for p in d.liars:
		tap.claim(p.accepted, "%s was dialled" % p.name)
	failed = case.checked(d.lab.hosts["corrupt-pieces"].address)
	tap.claim(failed[1] and not failed[0], "corrupt pieces fail their "
	    "hashes, each", failed)
	wall = d.lab.hosts["firewalled"].address
	dialled = {r.conn for r in case.records("dial", ip=wall)}
	tap.claim(dialled and not dialled & {r.conn
	    for r in case.records("reached", ip=wall)},
	    "the firewalled peer was dialled in vain", dialled)
	if "inside1" in d.lab.hosts:
		ids = {r.d["peer_id"] for r in case.records("handshake",
		    ip=d.gate.address, by="peer")}
		ports = {r.d["port"] for r in case.records("extended",
		    ip=d.gate.address, by="peer")}
		# libtorrent takes a new peer id with every connection.
		tap.claim(len(ids) >= 2 and {PORT + 1, PORT + 2} <= ports,
		    "two clients are told apart behind one address",
		    (ids, ports))
		n = {port for port, in found.db.execute("SELECT listen_port "
		    "FROM contact WHERE ip = ? AND level = 5",
		    (d.gate.address,))}
		tap.equal(n, {PORT + 1, PORT + 2},
		    "... and both proved a piece")
	both = {r.d["infohash"] for r in case.records("handshake",
	    ip=d.lab.hosts["lt-hybrid"].address, by="peer")}
	tap.claim(both and both <= {h.hex() for h in d.made["hybrid"].hashes},
	    "the hybrid's peer answers under its hash", both)
	names = {r.d["name"] for r in case.records("torrent")}
	tap.equal(names, {m.name if len(m.files) > 1 else m.files[0][0]
	    for m in d.made.values()}, "every torrent is on record, those of "
	    "the magnets too")


def check_decoys(d, found):
	"""Who makes things up, and nobody else."""
	offered = dict(found.db.execute("SELECT ip, max(accepted) FROM "
	    "decoy_endpoint GROUP BY ip"))
	tap.equal({a for a, accepted in offered.items() if accepted},
	    {d.lab.hosts["accepts-any-hash"].address},
	    "of %d offered a decoy the one that takes any hash took it" %
	    len(offered))
	tap.equal([offered.get(c.address) for c in d.goers],
	    [0] * len(d.goers), "and honest peers refused it")
	named = {w or s: (asked, n) for s, w, asked, n in found.db.execute(
	    "SELECT source, witness, asked, named FROM decoy_source")}
	tap.claim({w for w, (_, n) in named.items() if n} ==
	    {d.inventor.url} and d.tracker.url in named,
	    "the tracker that makes up peers does so for decoys, no other",
	    named)


def check_conduct(d, case, wire):
	tap.equal([r.d["piece_bytes_sent"] for r in case.records("end")], [0],
	    "the run says that it sent no piece byte")
	tap.equal({n: rows for n, met in d.met.items() for rows in [[m for m in
	    met or () if m[0] in wire.us and m[2]]] if rows}, {},
	    "libtorrent's own counts: not a payload byte came from us")
	# Who is offered a decoy, encrypted, never gets as far as a key.
	mute = {r.conn for r in case.records("encrypted")
	    if r.d["outcome"] != "ok"}
	spoken = len([r for r in case.records("greeted")
	    if r.conn not in mute])
	tap.claim(spoken > 25 and wire.read >= spoken and not wire.pieces,
	    "the packets hold no piece message of ours, in %d conversations "
	    "read of %d" % (wire.read, spoken), wire.pieces)
	tap.claim(not wire.dark, "and what of ours was not read is too small "
	    "to hold one", wire.dark)
	tap.equal(case.undocumented(), [], "every record is as "
	    "docs/evidence-format.md says")
	holds(tap, case.path)


def main():
	laboratory.as_root()
	with laboratory.Lab("doors") as lab:
		d = Doors(lab)
		path = os.path.join(lab.folder, "case")
		build(d)
		observe(d, path)
		if os.environ.get("DOORS_KEEP"):
			subprocess.run(["cp", "-r", path,
			    os.environ["DOORS_KEEP"]])
		case, found = Case(path, 0), Derived(path)
		wire = doors_wire.Wire(sorted(glob.glob(os.path.join(path,
		    "packets/*.pcap"))), case, {lab.watch.address,
		    lab.watch.address6}, PORT)
		check_table(d, found, wire)
		for check in (lambda: check_sightings(d, found),
		    lambda: check_peers(d, case, found),
		    lambda: check_decoys(d, found),
		    lambda: check_conduct(d, case, wire)):
			check()
		case.close()
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
