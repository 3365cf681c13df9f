#!/usr/bin/env python3
"""Swarms known by a link or a hash alone, and all versions of torrents.

Real clients seed torrents that this test made; the monitor gets magnets, bare
hashes, a v2 torrent, a private one. Who is found how, what the metadata is,
who lies about it and who makes peers up is known here.
"""
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import hostile				# noqa: E402
import lab as laboratory		# noqa: E402
import magnets				# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from magnets import Content, Torrent, metadata_peer	# noqa: E402
from tap import Tap			# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
tap = Tap()


class Client:
	"""libtorrent on a host of its own."""

	def __init__(self, lab, name, number, torrent, port=6881, **options):
		self.host = lab.host(name, number)
		self.address, self.port = self.host.address, port
		self.at, self.last = (self.address, port), {}
		options = dict({"listen": "%s:%d" % self.at, "seed": True,
		    "torrent": torrent.write(self.host.folder),
		    "folder": self.host.folder}, **options)
		self.process = self.host.run(["/usr/bin/python3",
		    os.path.join(HERE, "lt_peer.py"), json.dumps(options)],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
		threading.Thread(target=self.read, daemon=True).start()

	def read(self):
		for line in self.process.stdout:
			self.last = json.loads(line)

	def ready(self):
		return self.last.get("state") == "seeding"


class Scene:
	"""Everybody there is, and what is true of them: .expect holds
	(swarm, address) -> (level, sources)."""

	def __init__(self, lab):
		host = lab.host("tracker", 1)
		self.true = magnets.Tracker(host, 7001)
		self.inventor = magnets.Tracker(host, 7002,
		    [("10.77.0.200", 6000), ("10.77.0.201", 6001)])
		urls = [self.true.url, self.inventor.url]
		self.expect, self.clients = {}, {}
		self.torrents = t = {
		    "tracked": Torrent("tracked", trackers=[self.true.url]),
		    "named": Torrent("named", sizes=(500000, 300001)),
		    "found": Torrent("found", sizes=(400000,)),
		    "hybrid": Torrent("hybrid", "hybrid"),
		    "two": Torrent("two", "2", (1300000, 40000)),
		    "twofile": Torrent("twofile", "2", (700000, 5, 300000),
			trackers=[self.true.url]),
		    "private": Torrent("private", private=True,
			trackers=[self.true.url]),
		    "hidden": Torrent("hidden", private=True),
		    "large": Torrent("large", sizes=(3000000,),
			piece=16384)}
		lab.watch = lab.host("monitor", 100)
		# Liars are asked first.
		self.lies = set()
		self.true.after[lab.watch.address, t["tracked"].wire] = \
		    lambda: self.lies >= {"a block", "a size"}
		self.targets = [
		    t["tracked"].magnet(urls[::-1]),
		    t["named"].magnet(peers=[("10.77.0.20", 6881)]),
		    t["hybrid"].magnet([self.true.url]),
		    t["two"].magnet([self.true.url]),
		    t["hidden"].magnet([self.true.url]),
		    t["large"].magnet([self.true.url])]
		self.seeds(lab)
		self.liars(lab)
		folder = lab.host("files", 98).folder
		self.targets += [t[n].write(folder)
		    for n in ("twofile", "private")]
		lists = os.path.join(folder, "list")
		with open(lists, "w", encoding="ascii") as f:
			f.write("# a bare infohash\n" +
			    t["found"].v1.hex().upper() + "\n")
		self.options = ["--list", lists, "--decoys", "3",
		    "--decoy-endpoints", "--dht-node", "%s:%d" %
		    self.node.at]

	def add(self, name, swarm, at, level, *sources):
		self.expect[(name, self.torrents[swarm].swarm, at[0])] = \
		    level, set(sources)

	def tell(self, swarm, *endpoints):
		self.true.name(self.torrents[swarm].wire, *endpoints)

	def seeds(self, lab):
		t = self.torrents
		c = self.clients
		for name, number, swarm, options in (
		    ("lt-tracked", 10, "tracked", {}),
		    ("lt-named", 20, "named", {"pex": True,
			"peers": [["10.77.0.21", 6881]]}),
		    ("lt-pex", 21, "named", {"pex": True}),
		    ("lt-hybrid", 40, "hybrid", {}),
		    ("lt-two", 50, "two", {}),
		    ("lt-twofile", 51, "twofile", {}),
		    ("lt-super", 70, "large", {"super": True}),
		    ("lt-large", 71, "large", {})):
			c[name] = Client(lab, name, number, t[swarm], **options)
		self.node = c["lt-node"] = Client(lab, "lt-node", 31,
		    Torrent("elsewhere"), dht=["10.77.0.32", 6881])
		c["lt-dht"] = Client(lab, "lt-dht", 32, t["found"],
		    dht=["10.77.0.31", 6881])
		self.add("lt-tracked", "tracked", c["lt-tracked"].at, 5,
		    "tracker")
		self.add("lt-named", "named", c["lt-named"].at, 5, "magnet",
		    "pex")
		self.add("lt-pex", "named", c["lt-pex"].at, 5, "pex")
		self.add("lt-dht", "found", c["lt-dht"].at, 5, "dht")
		for name, swarm in (("lt-hybrid", "hybrid"), ("lt-two", "two"),
		    ("lt-twofile", "twofile"), ("lt-super", "large"),
		    ("lt-large", "large")):
			self.add(name, swarm, c[name].at, 5, "tracker")
			self.tell(swarm, c[name].at)
		self.aria2 = self.seed(lab, "aria2", 11, lambda h, torrent: [
		    "aria2c", "--no-conf", "--quiet", "--dir", h.folder,
		    "--listen-port=6881", "--check-integrity=true",
		    "--seed-ratio=0", "--enable-dht=false",
		    "--enable-dht6=false", "--enable-peer-exchange=false",
		    "--bt-enable-lpd=false", "--allow-overwrite=true",
		    torrent])
		self.tell("tracked", c["lt-tracked"].at,
		    ("10.77.0.11", 6881))
		self.add("aria2", "tracked", ("10.77.0.11", 6881), 5,
		    "tracker")

	def seed(self, lab, name, number, command):
		host = lab.host(name, number)
		torrent = self.torrents["tracked"].write(host.folder)
		return host.run(command(host, torrent))

	def liars(self, lab):
		t = self.torrents
		size = len(t["tracked"].info)
		self.peers = {}

		def put(name, number, swarm, what, level, faults, *sources):
			p = self.peers[name] = hostile.Peer(name,
			    lab.host(name, number), Content(t[swarm]), what)
			p.faults = faults
			if swarm == "tracked":
				self.inventor.name(t[swarm].wire,
				    (p.address, p.port))
			elif not sources:
				self.tell(swarm, (p.address, p.port))
			self.add(name, swarm, (p.address, p.port), level,
			    *(sources or ("tracker",)))
		put("wrong", 80, "tracked", metadata_peer(size, lambda i:
		    bytes(min(16384, size - 16384 * i)), lambda what:
		    what == "block" and self.lies.add("a block")), 2, True)
		put("huge", 81, "tracked", metadata_peer(2 << 30,
		    lambda i: bytes(16384), lambda what: self.lies.add(
		    "a size")), 2, True)
		put("mute", 82, "tracked", metadata_peer(size,
		    lambda i: b""), 2, False)
		put("flood", 83, "tracked", magnets.gossip(
		    [("10.77.0.210", 7000)], 30, 0.2), 2, False)
		put("gossip", 84, "private", magnets.gossip(
		    [("10.77.0.220", 7000)]), 2, False)
		put("anything", 85, "tracked", magnets.any_infohash, 3, False)
		put("proper", 86, "tracked", magnets.one_infohash, 3, False)
		# Private, which is known once the metadata is: by then it was
		# said who else there is, one that is met, one that refuses.
		away = lab.host("away", 89).address
		met = threading.Event()

		def is_met(s, c):
			hostile.mute(s, c)
			met.set()
		put("insider", 88, "hidden", is_met, 2, False, "pex")
		put("teller", 87, "hidden", magnets.tells_late(t["hidden"].info,
		    [("10.77.0.88", 6881), (away, 6881)],
		    met.is_set), 2, False)
		self.add("away", "hidden", (away, 6881), 0, "pex")
		for i, at in enumerate(self.inventor.invents):
			self.add("invented%d" % i, "tracked", at, 0,
			    "tracker")
		self.add("rumour", "tracked", ("10.77.0.210", 7000), 0, "pex")


def is_done(watch, scene):
	"""Everybody was found and got as far as can be, decoys were offered,
	and the flood of gossip is over."""
	level = {(s, ip): n for s, ip, n in watch.derived("SELECT swarm, ip, "
	    "max(level) FROM endpoint GROUP BY swarm, ip")}
	said = {(s, ip, source) for s, ip, source in watch.derived("SELECT "
	    "swarm, ip, source FROM sighting")}
	# Which of two sources tells first of lt-named is chance.
	return all(level.get((swarm, ip), -1) >= n and (name == "lt-named" or
	    all((swarm, ip, source) in said for source in sources))
	    for (name, swarm, ip), (n, sources) in scene.expect.items()) and \
	    len(watch.derived("SELECT DISTINCT ip FROM "
	    "decoy_endpoint")) == 2 and \
	    watch.derived("SELECT 1 FROM contact WHERE ip = ? AND outcome LIKE "
	    "'%far more often%'", scene.peers["flood"].address)


def check_levels(case, scene):
	db = sqlite3.connect("file:%s/derived.db?mode=ro" % case.path, uri=True)
	levels = {(s, ip): n for s, ip, n in db.execute("SELECT swarm, ip, "
	    "max(level) FROM endpoint GROUP BY swarm, ip")}
	sources = {}
	for s, ip, source in db.execute("SELECT swarm, ip, source FROM "
	    "sighting"):
		sources.setdefault((s, ip), set()).add(source)
	print("# %-12s %-14s %8s %8s  %s" % ("peer", "address", "expected",
	    "found", "sources"))
	for (name, swarm, ip), (level, said) in scene.expect.items():
		found = levels.get((swarm, ip))
		heard = sources.get((swarm, ip), set()) - {"incoming"}
		print("# %-12s %-14s %8s %8s  %s" % (name, ip, level, found,
		    " ".join(sorted(heard))))
		tap.equal(found, level, "%s is at level %d" % (name, level))
		tap.claim(heard and (heard == said or (name == "lt-named" and
		    heard <= said)), "%s was heard of by %s" % (name,
		    " and ".join(sorted(said))), heard)
	known = {(s, ip) for _, s, ip in scene.expect} | \
	    {(s, scene.us) for s in {s for _, s, _ in scene.expect}}
	tap.equal({k for k in levels if k not in known}, set(),
	    "and nobody else stands in the tables")


def check_metadata(case, scene):
	got = {r.d["infohash_v1"] or r.d["infohash_v2"]: r
	    for r in case.records("torrent")}
	for name, t in scene.torrents.items():
		r = got.get(t.swarm)
		if not tap.claim(r, "there is a torrent of \"%s\"" % name,
		    sorted(got)):
			continue
		tap.claim(t.info in r.raw, "its info dictionary is the true "
		    "one, byte for byte")
		if name in ("twofile", "private"):
			continue
		tap.claim(r.d["source"].startswith("peers: conn "),
		    "its source names the conversations", r.d["source"])
		with open(os.path.join(case.path, "torrents", t.swarm +
		    ".torrent"), "rb") as f:
			tap.equal(f.read(), r.raw, "and the case has a copy")
	for name, p in scene.peers.items():
		faults = case.records("metadata_fault", ip=p.address)
		tap.equal(bool(faults), p.faults, "%s %s at fault for its "
		    "metadata" % (name, "is" if p.faults else "is not"))
		for r in faults:
			print("# %s: %s" % (name, r.d))
	asked = case.records("metadata", by="us")
	tap.claim(asked and {r.d["message"] for r in asked} <=
	    {"request", "reject"}, "of metadata we sent requests and "
	    "refusals alone")


def check_conduct(case, scene):
	closed = case.records("closed")
	tap.claim(closed and all(r.d["piece_bytes_tx"] == 0 for r in closed),
	    "no piece byte was sent")
	tap.claim(all(not met[2] for c in scene.clients.values()
	    for met in c.last.get("met", ()) if met[0] == scene.us),
	    "nor did libtorrent count one")
	hello = case.records("extended", by="us")
	tap.claim(hello and all(r.d["metadata_size"] is None
	    for r in hello), "we state no metadata_size")
	tap.claim(not case.records("pex", by="us"), "and sent no PEX")
	private = scene.peers["gossip"].address
	tap.claim(not case.records("pex", ip=private) and all("ut_pex"
	    not in r.d["m"] for r in case.records("extended", ip=private,
	    by="us")), "the private torrent's PEX is neither wanted nor read")
	tap.claim(not case.records("dial", ip="10.77.0.220"),
	    "and whom it names is not dialled")
	flood = case.records("pex", ip=scene.peers["flood"].address, by="peer")
	tap.claim(1 <= len(flood) <= 8, "a PEX flood is cut short", len(flood))
	tap.claim(flood and flood[0].d["dropped"] == 1 and
	    ("10.77.0.250", 6881) in case.named(flood[0].seq),
	    "dropped peers are on record")
	ends = {r.d["why"] for r in case.records("closed",
	    ip=scene.peers["flood"].address)}
	tap.claim(any("far more often" in e for e in ends),
	    "and said to be a flood", ends)


def check_hidden(case, scene):
	"""A magnet that proves private leaves whom no tracker named."""
	ip = scene.peers["insider"].address
	known = [r for r in case.records("torrent")
	    if r.d["infohash_v1"] == scene.torrents["hidden"].swarm]
	tap.equal([r.d["private"] for r in known], [True], "a magnet proves "
	    "private")
	said = case.records("no_dials")
	tap.equal([r.d["ended"] for r in said], [1], "what follows from that "
	    "is on record")
	tap.claim(any("private" in r.d["why"] for r in case.records("closed",
	    ip=ip)), "who was met by peer exchange is left",
	    [r.d for r in case.records("closed", ip=ip)])
	tap.claim(not any("private" in r.d["why"] for r in case.records(
	    "closed", ip=scene.peers["teller"].address)),
	    "whom the tracker named is not")
	tap.claim(case.records("dial", ip="10.77.0.89") and not [r for r in
	    case.records("dial", ip="10.77.0.89") + case.records("dial", ip=ip)
	    if said and r.seq > said[0].seq], "and the others are dialled no "
	    "more", [r.seq for r in case.records("dial", ip="10.77.0.89")])


def check_versions(case, scene):
	t = scene.torrents
	for name, v1, v2 in (("hybrid", True, True), ("two", False, True)):
		ip = scene.clients["lt-" + name].address
		ours = case.records("greeted", ip=ip)
		tap.claim(ours and all(r.d["infohash"] == t[name].wire.hex() and
		    bytes.fromhex(r.d["reserved"])[7] & 0x10 for r in ours),
		    "%s is greeted by its %s hash, with the v2 bit" %
		    (name, "v1" if v1 else "truncated v2"),
		    [r.d for r in ours])
	two = scene.clients["lt-two"].address
	proofs = [r for r in case.records("hashes", ip=two, by="peer")
	    if r.d["message"] == "hashes"]
	tap.claim(proofs and all(r.d["verified"] for r in proofs),
	    "a v2 magnet's hashes came with proofs to the root",
	    [r.d for r in case.records("hashes", ip=two)])
	pieces = case.records("piece", ip=two, by="peer")
	tap.claim(pieces and all(r.d["match"] and r.d["expected_root"] ==
	    r.d["root"] for r in pieces), "its pieces are held against them",
	    [r.d for r in pieces][:1])
	superseed = case.records("have_none", "have", "have_all", "bitfield",
	    ip=scene.clients["lt-super"].address, by="peer")
	tap.claim(superseed and superseed[0].kind == "have_none" and
	    superseed[-1].d["claimed"] < t["large"].pieces,
	    "the super-seed claims little",
	    [(r.kind, r.d["claimed"]) for r in superseed])


def check_decoys(case, scene):
	drawn = [r.d["infohash"] for r in case.records("decoy")
	    if r.d.get("use") == "sources"]
	tap.equal(len(drawn), 3, "three decoys were drawn")
	truth = {t.wire.hex() for t in scene.torrents.values()}
	tap.claim(len(set(drawn)) == 3 and not set(drawn) & truth,
	    "of hashes that are nobody's")
	for tracker, made in (scene.true, 0), (scene.inventor, 2):
		asked = {w.hex() for _, w, q in tracker.asked} & set(drawn)
		tap.equal(asked, set(drawn), "%s was asked for all three" %
		    tracker.url)
	db = sqlite3.connect("file:%s/derived.db?mode=ro" % case.path, uri=True)
	said = {w: (n, k) for w, n, k in db.execute("SELECT witness, asked, "
	    "named FROM decoy_source WHERE source = 'tracker'")}
	tap.equal(said, {scene.true.url: (3, 0), scene.inventor.url: (3, 3)},
	    "one tracker made peers up for 3 of 3, the other for none")
	anything = scene.peers["anything"].address
	accepted = {ip for ip, in db.execute("SELECT ip FROM decoy_endpoint "
	    "WHERE accepted")}
	tap.equal({ip for ip, in db.execute("SELECT ip FROM decoy_endpoint")},
	    {anything, scene.peers["proper"].address}, "endpoints whose "
	    "conversation was over were offered a decoy")
	tap.equal(accepted, {anything}, "one endpoint answered to a decoy "
	    "infohash, the one that answers to any")


def check_report(case, scene):
	out = os.path.join(os.path.dirname(case.path), "report")
	r = subprocess.run([laboratory.PROGRAM, "report", case.path, "-o", out],
	    capture_output=True, text=True)
	tap.equal(r.returncode, 0, "a report is written")
	with open(os.path.join(out, "report.json"), encoding="utf-8") as f:
		swarms = {s["infohash"]: s for s in
		    json.load(f)["cases"][0]["swarms"]}
	tap.equal(set(swarms), {t.swarm for t in scene.torrents.values()},
	    "of these torrents and no decoy")
	tracked = swarms[scene.torrents["tracked"].swarm]
	told = {s["witness"]: (s["decoys_named"], s["decoys_asked"])
	    for s in tracked["sources"] if s["source"] == "tracker"}
	tap.equal(told, {scene.true.url: (0, 3), scene.inventor.url: (3, 3)},
	    "which says how often each source made peers up")
	marks = {e["ip"]: e["cautions"] for e in tracked["endpoints"]}
	tap.equal({ip for ip, m in marks.items() if "answered to a decoy" in m},
	    {scene.peers["anything"].address}, "who answered to a decoy")
	tap.claim("source made peers up" in marks["10.77.0.200"] and
	    "source made peers up" not in marks[
	    scene.clients["lt-tracked"].address],
	    "and whom a source named that made peers up", marks)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-case-") as folder:
		path = os.path.join(folder, "case")
		with laboratory.Lab("magnets") as lab:
			scene = Scene(lab)
			scene.us = lab.watch.address
			for name, c in scene.clients.items():
				lab.wait(c.ready, 90, name)
			watch = Watch(lab.monitor(path, *scene.options,
			    duration=LIMIT_S, targets=scene.targets), path)
			watch.until("end of it all", lambda case:
			    is_done(watch, scene))
			out, err = watch.end()
			if not tap.equal(watch.monitor.returncode, 0,
			    "monitor exits with 0") or "-v" in sys.argv:
				print(err[-6000:])
		case = Case(path, 0)
		tap.each((check_levels, check_metadata, check_conduct,
		    check_hidden, check_versions, check_decoys, check_report),
		    case, scene)
		tap.equal(case.undocumented(), [], "every record's kind and "
		    "keys are as docs/evidence-format.md says")
		holds(tap, path)
		case.close()
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
