#!/usr/bin/env python3
"""Peers and trackers that misbehave: each leaves its record, none any harm."""
import os
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import hostile				# noqa: E402
import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from content import Content		# noqa: E402
from holding import holds		# noqa: E402
from processes import memory_kb		# noqa: E402
from tap import Tap			# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

PORT = 6881
MEMORY_KB = 200 * 1024
tap = Tap()

# peer: (kinds of which one must be there, highest level it may reach). A
# malformed record must give its reason and offset.
FATES = {
	"silent": (("closed",), 1),
	"slow": (("closed",), 1),
	"other_hash": (("handshake",), 1),
	"web_server": (("malformed",), 1),
	"too_early": (("malformed",), 1),
	"absurd_length": (("malformed",), 2),
	"short_bitfield": (("malformed",), 2),
	"spare_bits": (("malformed",), 3),
	"have_beyond": (("malformed",), 2),
	"nested": (("malformed",), 2),
	"cut": (("closed",), 2),
	"flood": (("have",), 3),
	"chatter": (("choke", "unchoke"), 2),
	"repeats": (("bitfield",), 2),
	"lazy": (("have",), 3),
	"again": (("bitfield",), 3),
	"mute": (("closed",), 2),
	"unasked": (("block",), 3),
	"liar": (("piece",), 3),
	"shifted": (("piece", "block"), 4),
	"trickle": (("piece", "closed"), 4),
}
# What the `announce` record must say, where it is known.
OUTCOMES = {
	"good": ("ok",), "gzip": ("ok",), "odd": ("ok",),
	"html": ("malformed",), "gzip_untold": ("malformed",),
	"nested": ("malformed",), "truncated": ("malformed",),
	"endless": ("malformed", "error"), "loop": ("error", "failure"),
	"nothing": ("timeout", "error"), "hangs_up": ("error",),
	"error": ("failure", "error", "malformed"), "refuses": ("failure",),
}


class Swarm:
	"""The lab, a torrent whose trackers are hostile's, and its peers."""

	def __init__(self, lab):
		tracker = lab.host("tracker", 1)
		self.watch = lab.watch = lab.host("monitor", 100)
		hosts = [(what, lab.host(what.__name__.replace("_", "-"),
		    10 + i)) for i, what in enumerate(hostile.PEERS)]
		self.trackers = hostile.Trackers(tracker, [(host.address, PORT)
		    for _, host in hosts])
		self.content = Content("hostile swarm", "hostile",
		    [[self.trackers.url(n)] for n in self.trackers.answers])
		self.peers = {what.__name__: hostile.Peer(what.__name__, host,
		    self.content, what, PORT) for what, host in hosts}
		self.caller = lab.host("caller", 90)
		self.torrent = lab.torrent = os.path.join(lab.folder,
		    "hostile.torrent")
		with open(self.torrent, "wb") as f:
			f.write(self.content.torrent)

	def call(self):
		"""Dials the monitor and misbehaves, too."""
		for what in (hostile.web_server, hostile.silent,
		    lambda s, c: s.sendall(hostile.handshake(b"x" * 20)),
		    lambda s, c: s.sendall(hostile.handshake(c.info_hash) +
			b"\xff" * 9),
		    lambda s, c: s.close()):
			s = self.caller.socket()
			s.settimeout(5)
			try:
				s.connect((self.watch.address, PORT))
			except OSError:
				continue
			threading.Thread(target=hostile.talk, daemon=True,
			    args=(what, s, self.content)).start()


def left_traces(case, swarm):
	"""Every peer, caller and tracker has done its worst."""
	done = {(r.ip, r.kind) for r in case.records("malformed", "handshake",
	    "have", "choke", "bitfield", "block", "piece", "request")}
	ends = {(r.ip, r.d["why"]) for r in case.records("closed")}
	for name, p in swarm.peers.items():
		kinds = FATES[name][0]
		if name in ("mute", "trickle"):	# they end with the run
			kinds = ("handshake", "request")
		elif name in ("silent", "slow", "cut"):
			kinds = ()
		if not (any((p.address, k) in done for k in kinds) or
		    not kinds and any(a == p.address for a, _ in ends)):
			return False
	flooded = {swarm.peers[n].address
	    for n in ("flood", "chatter", "repeats")}
	asked = {r.d["tracker"] for r in case.records("announce")
	    if r.d["event"] == "started" and r.d["family"] == 4}
	return flooded <= {a for a, why in ends if "flooding" in why} and \
	    {swarm.trackers.url(n) for n in OUTCOMES} <= asked and \
	    (swarm.caller.address, "malformed") in done and \
	    any(not r.d["match"] for r in case.records("piece",
	    ip=swarm.peers["liar"].address) if r.d["complete"])


def observe(path):
	with laboratory.Lab() as lab:
		swarm = Swarm(lab)
		watch = Watch(lab.monitor(path, "--listen", str(PORT),
		    duration=LIMIT_S, stdout=subprocess.DEVNULL,
		    stderr=open(os.path.join(lab.folder, "log"), "w+")), path,
		    swarm.content.pieces)
		watch.until("announce", lambda case: case.records("listed"))
		swarm.call()
		watch.until("trace of each",
		    lambda case: left_traces(case, swarm))
		peak = 0 if watch.monitor.poll() is not None else memory_kb(
		    watch.monitor.pid, "VmHWM")
		watch.end()
		if not tap.equal(watch.monitor.poll(), 0, "the monitor ends "
		    "with 0"):
			with open(os.path.join(lab.folder, "log")) as f:
				print(f.read()[-3000:])
		tap.claim(0 < peak < MEMORY_KB, "its memory stays below %d MB "
		    "(%d)" % (MEMORY_KB // 1024, peak // 1024), peak)
	return swarm


def check_peers(case, swarm):
	levels = case.levels()
	for name, (kinds, most) in FATES.items():
		p = swarm.peers[name]
		tap.claim(p.accepted, "%s was dialled" % name)
		found = [r for r in case.records(*kinds, ip=p.address)
		    if r.kind != "closed" and r.d["by"] == "peer" or
		    r.kind == "closed"]
		tap.claim(found and all(r.d["reason"] and
		    r.d["offset"] is not None for r in found
		    if r.kind == "malformed"), "%s left its %s" %
		    (name, " or ".join(kinds)), [(r.kind, r.d)
		    for r in case.records("malformed", "closed",
		    "piece", ip=p.address)])
		tap.claim(levels.get(p.address, 0) <= most, "%s is at level "
		    "%d at most" % (name, most), levels.get(p.address))
		opened = len(case.records("reached", ip=p.address))
		tap.equal(len(case.records("closed", ip=p.address)), opened,
		    "%s: every connection was closed" % name)


def check_details(case, swarm):
	tap.equal(case.undocumented(), [], "every record's kind and keys are as "
	    "docs/evidence-format.md says")
	def at(name, kind, by="peer"):
		return case.records(kind, ip=swarm.peers[name].address, by=by)

	tap.claim(not at("short_bitfield", "bitfield") or
	    case.levels()[swarm.peers["short_bitfield"].address] == 2,
	    "a bitfield of the wrong size is no claim")
	tap.claim(at("other_hash", "handshake") and
	    not any(r.d["expected"] for r in at("other_hash", "handshake")),
	    "another infohash is recorded as not the expected one")
	lies = [r.d["match"] for r in at("liar", "piece") if r.d["complete"]]
	tap.claim(lies and not any(lies), "the liar's pieces do not match",
	    lies)
	n = sum(r.d["count"] for r in at("flood", "have"))
	m = sum(len(r.raw) for r in at("flood", "have")) // 9
	tap.claim(n == m and n > 1000, "every have of the flood that was read "
	    "is in the record (%d)" % n, (n, m))
	for name in "flood", "chatter", "repeats":
		why = {r.d["why"] for r in at(name, "closed", by=None)
		    if r.d["by"] == "us"}
		tap.claim(any("flooding" in w for w in why),
		    "%s is left for flooding" % name, why)
	for name, kinds in ("chatter", ("choke", "unchoke")), \
	    ("repeats", ("bitfield",)):
		ip = swarm.peers[name].address
		n = len(case.records(*kinds, ip=ip))
		of = len(case.records("closed", ip=ip))
		tap.claim(0 < n <= 1500 * of, "%s left few records (%d in %d "
		    "conversations)" % (name, n, of), (n, of))
	pieces = swarm.content.pieces
	said = at("lazy", "bitfield") + at("lazy", "have")
	tap.claim(said and said[0].d["claimed"] == pieces - 24 and
	    said[-1].d["claimed"] == pieces, "a lazy bitfield and its haves "
	    "claim all pieces", [r.d["claimed"] for r in said])
	tap.claim([r.d["claimed"] for r in at("again", "bitfield")][:2] ==
	    [(pieces + 7) // 8 * 8 - 16, 8], "a second bitfield replaces the "
	    "first, which stays on record",
	    [r.d["claimed"] for r in at("again", "bitfield")])
	called = case.records("accept", ip=swarm.caller.address)
	tap.claim(called, "calls from a hostile address are recorded")
	bad = [r.d["reason"] for r in case.records("malformed",
	    ip=swarm.caller.address)]
	tap.claim(bad, "and what was malformed in them")


def check_trackers(case, swarm):
	for name, outcomes in OUTCOMES.items():
		url = swarm.trackers.url(name)
		found = [r.d["outcome"] for r in case.records("announce")
		    if r.d["tracker"] == url and r.d["event"] == "started" and
		    r.d["family"] == 4]
		tap.claim(found and set(found) <= set(outcomes),
		    "tracker %s: %s" % (name, " or ".join(outcomes)), found)
	where = {r.d["where"] for r in case.records("malformed")
	    if r.d["by"] == "tracker"}
	for name in "html", "gzip_untold", "nested", "truncated":
		tap.claim(swarm.trackers.url(name) in where,
		    "tracker %s: what it sent is kept as malformed" % name)
	odd = [r.d["odd_bytes"] for r in case.records("listed")
	    if r.d["witness"] == swarm.trackers.url("odd")]
	tap.claim(odd and set(odd) == {3}, "tracker odd: three odd bytes", odd)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-hostile-",
	    ignore_cleanup_errors=True) as folder:
		path = os.path.join(folder, "case")
		swarm = observe(path)
		if not os.path.exists(os.path.join(path, "evidence.db")):
			tap.claim(False, "there is a case")
			return tap.status()
		case = Case(path, swarm.content.pieces)
		tap.each((check_peers, check_details, check_trackers), case,
		    swarm)
		holds(tap, path)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
