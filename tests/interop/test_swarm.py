#!/usr/bin/env python3
"""The demo's swarm, observed; the case against what is known of each peer.

The truth is the clients' own accounts, the content's hashes computed here, the
packets read by tests/interop/pcap.py and by tshark, and opentracker's counts:
none of it comes from the program.
"""
import glob
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from urllib.parse import unquote_to_bytes

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clients				# noqa: E402
import lab as laboratory		# noqa: E402
import pcap				# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from tap import Tap			# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

IDS = {"aria2": b"A2-1-36-", "Transmission": b"-TR3000-",
    "libtorrent": b"-LT2080-"}
BITFIELD, HAVE, PIECE, EXTENDED, HAVE_ALL, HAVE_NONE = 5, 4, 7, 20, 14, 15
tap = Tap()


class Truth:
	"""What the lab knew when it was taken down."""

	def __init__(self, lab):
		self.content, self.us = lab.content, (lab.watch.address,
		    lab.watch.address6)
		self.http = (lab.tracker.host.address, lab.tracker.port)
		self.tracker6 = lab.tracker6.asked
		self.url6 = "http://[%s]:6970/announce" % \
		    lab.tracker.host.address6
		self.peers = lab.peers
		self.dead = {name: (host.address, port)
		    for name, (host, port) in lab.dead.items()}
		self.after = {name: p.pieces()
		    for name, p in lab.peers.items()}
		self.met = {name: [q for q in p.last["met"]
			if q[0] in self.us]
		    for name, p in lab.peers.items()
		    if isinstance(p, clients.Libtorrent)}
		self.counts = lab.tracker.counts()


def observe(lab, case):
	lab.swarm(lambda text: print("#", text))
	p = lab.peers["lt-partial"]
	_, messages = clients.ask(lab.probe, p.address, p.port,
	    lab.content.info_hash, 1)
	tap.equal([clients.bits(m[1], lab.content.pieces)
	    for m in messages if m[0] == BITFIELD], [p.held],
	    "a plain peer of ours gets the partial seed's exact bitfield")
	before = lab.tracker.counts()
	watch = Watch(lab.monitor(case, duration=LIMIT_S), case,
	    lab.content.pieces)
	watch.until("announce", lambda case: case.records("listed"))
	lab.late()
	watch.until("end of what there is to see",
	    lambda case: seen_all(case, lab))
	_, err = watch.end()
	if not tap.equal(watch.monitor.returncode, 0, "monitor exits with 0"):
		print(err[-3000:])
	for p in lab.peers.values():
		if isinstance(p, clients.Libtorrent):
			p.hears()
	truth = Truth(lab)
	tap.equal(truth.counts, (before[0], before[1] + 1),
	    "opentracker no longer counts the monitor, only the late leech")
	return truth


def seen_all(case, lab):
	"""The dead were tried, seeds are done with, leeches made a claim."""
	over = {r.ip for r in case.records("not_interested", by="us")}
	claim = {r.ip for r in case.records("bitfield", "have", "have_all",
	    by="peer")}
	tcp = {r.seq for r in case.records("dial") if r.d["transport"] == "tcp"}
	fate = {r.ip for r in case.records("unreached") if r.conn in tcp}
	return {h.address for h, _ in lab.dead.values()} <= fate and all(
	    p.address in (claim if p.role == "leech" else over)
	    for p in lab.peers.values()) and \
	    case.records("accept", ip=lab.peers["lt-late"].address) and \
	    all(p.pieces() > p.held for p in lab.peers.values()
	    if p.role == "leech") and quiet(case, lab)


def quiet(case, lab):
	"""Nothing that was asked of a libtorrent peer is still to come: the end
	would cut it off, and the two accounts would differ."""
	for p in lab.peers.values():
		if not isinstance(p, clients.Libtorrent):
			continue
		asked = {(r.conn, *b) for r in case.records("request",
		    ip=p.address, by="us") for b in r.d["blocks"]}
		pieces = case.records("piece", ip=p.address, by="peer")
		came = {(r.conn, r.d["piece"], *b[:2]) for r in pieces
		    for b in r.d["blocks"]}
		came |= {(r.conn, *b) for r in case.records("reject",
		    ip=p.address, by="peer") for b in r.d["blocks"]}
		if asked - came:
			return False
	return True


def check_discovery(case, truth):
	listed = {}
	for r in case.records("listed"):
		listed.setdefault(r.d["witness"], set()).update(
		    case.named(r.seq))
	v4 = {(p.address, p.port) for name, p in truth.peers.items()
	    if name != "lt-late" and ":" not in p.address} | \
	    set(truth.dead.values())
	for scheme in "http", "udp":
		url = "%s://%s:%d/announce" % ((scheme,) + truth.http)
		found = {e for e in listed.get(url, ())
		    if e[0] not in truth.us}
		tap.claim(v4 <= found, "the %s tracker named every peer" %
		    scheme, v4 - found)
	p = truth.peers["lt-seed-v6"]
	tap.equal(listed.get(truth.url6), {(p.address, p.port)},
	    "the tracker over IPv6 named its one peer")
	for name, why in (("silent", "timeout"), ("refusing", "refused")):
		ip, port = truth.dead[name]
		tcp = {r.conn for r in case.records("dial", ip=ip)
		    if r.d["transport"] == "tcp"}
		fates = {r.d["why"] for r in case.records("unreached", ip=ip)
		    if r.conn in tcp}
		tap.equal(fates, {why}, "the %s address is unreached: %s" %
		    (name, why))
		tap.claim(not case.records("reached", "handshake", ip=ip),
		    "nothing was reached at the %s address" % name)


def check_peers(case, truth):
	content = truth.content
	for name, p in truth.peers.items():
		hands = [r for r in case.records("handshake", ip=p.address,
		    by="peer") if r.d["infohash"] == content.infohash]
		ids = {bytes.fromhex(r.d["peer_id"])[:8] for r in hands}
		tap.equal(ids, {IDS[p.name]}, "%s shook hands as %s" %
		    (name, p.name))
		claims = case.claims(p.address)
		if p.role == "leech":
			check_leech(case, truth, name, p, claims)
			continue
		tap.claim(claims and set(claims.values()) == {p.held},
		    "%s claims exactly the %d pieces it holds" %
		    (name, len(p.held)), claims)
		good, bad = case.checked(p.address)
		tap.claim(good and good <= p.held and not bad,
		    "%s delivered pieces, all right, all of those it holds" %
		    name, (good, bad))
		tap.equal(truth.after[name], p.held,
		    "%s holds by its own account what it held" % name)


def check_leech(case, truth, name, p, claims):
	after = truth.after[name]
	tap.claim(len(p.held) < len(after) < truth.content.pieces,
	    "%s is still partial (%d of %d)" % (name, len(after),
	    truth.content.pieces))
	tap.claim(claims and all(p.held <= c <= after
	    for c in claims.values()), "%s claims what it held, and no more "
	    "than it holds at the end" % name, claims)
	good, bad = case.checked(p.address)
	tap.claim(good <= after and not bad,
	    "%s delivered nothing it does not hold" % name, (good, bad))
	if name == "lt-late":
		tap.claim(case.records("accept", ip=p.address),
		    "the late leech dialled the monitor")


def check_pieces(case, content):
	wrong, n = [], 0
	for r in case.records("piece", by="peer"):
		i, d = r.d["piece"], r.d
		data, at = content.piece(i), i * 65536
		files = [{"path": content.name + "/" + path,
			"from": max(at - start, 0),
			"to": min(at + len(data) - start, size), "pad": pad}
		    for path, start, size, pad in content.files
		    if size and start < at + len(data) and at < start + size]
		if d["bytes"] != len(data) or d["expected_sha1"] != \
		    content.sha1[i] or d["files"] != files:
			wrong.append((r.seq, d, files))
		if not d["complete"]:
			continue
		n += 1
		came = sorted((b[0], b[1]) for b in d["blocks"])
		whole = [(o, min(16384, len(data) - o))
		    for o in range(0, len(data), 16384)]
		if (d["sha1"], d["sha256"], d["match"], came) != \
		    (content.sha1[i], hashlib.sha256(data).hexdigest(), True,
		    whole):
			wrong.append((r.seq, d))
	tap.claim(n and not wrong, "%d pieces have the hashes, files and "
	    "blocks that the content has" % n, wrong[:1])


def check_packets(case, truth):
	files = sorted(glob.glob(os.path.join(case.path, "packets",
	    "*.pcap")))
	if not tap.claim(files, "packets were captured"):
		return
	capture = pcap.Capture(*files)
	ours = [s for s in capture.streams if s.source[0] in truth.us]
	theirs = [s for s in capture.streams if s.destination[0] in truth.us]
	hosts = {p.address for p in truth.peers.values()} | set(truth.us) | \
	    {a for a, _ in truth.dead.values()} | {truth.http[0]} | \
	    {who for who, _ in truth.tracker6 if who in truth.us} | \
	    {truth.url6.split("[")[1].split("]")[0]}
	seen = {e[0] for s in capture.streams
	    for e in (s.source, s.destination)}
	tap.claim(seen <= hosts, "no stranger's packets were captured",
	    seen - hosts)

	said = [(s, *pcap.peer_wire(s.data())) for s in ours]
	said = [t for t in said if t[1]]
	heard = check_streams(case, ours, theirs)
	sent = [i for _, _, messages in said for i, _ in messages]
	tap.claim(said and PIECE not in sent, "the packets hold no piece "
	    "message of ours, in %d conversations" % len(said))
	tap.claim(not {BITFIELD, HAVE, HAVE_ALL} & set(sent),
	    "nor a bitfield, have or have_all of ours")
	tap.equal({h[48:56] for _, h, _ in said}, {b"-SW0100-"},
	    "every handshake of ours bears -SW0100-")
	fast = {s.source + s.destination: h[27] & 4 for s, h, _ in heard}
	tap.claim(all(fast.get(s.destination + s.source)
	    for s, _, messages in said
	    if any(i == HAVE_NONE for i, _ in messages)),
	    "have_none went only to peers with the Fast extension")
	extended = [m for _, _, messages in said for i, m in messages
	    if i == EXTENDED and m[:1] == b"\0"]
	tap.claim(extended and all(b"upload_only" not in m and
	    b"holepunch" not in m and b"swarmwitness" in m
	    for m in extended), "our extended handshake names the program, "
	    "no upload_only, no holepunch", extended)
	check_same(case, said, heard)
	check_tshark(case, files, truth)


def check_streams(case, ours, theirs):
	"""Each conversation's bytes, of both directions, by their digests.

	What lay unread when we closed is in the packets alone: the streams
	heard are returned up to the bytes that `closed` says were read.
	"""
	ends = {}		# (remote, ours) -> the conversation's `closed`
	for r in case.records("reached", "accept"):
		ip, port = r.d["local"].rsplit(":", 1)
		ends[(r.ip, r.port), (ip.strip("[]"), int(port))] = \
		    case.records("closed", conn=r.conn)[0].d
	heard, wrong, n = [], [], 0
	for way, streams in ("rx", theirs), ("tx", ours):
		for s in streams:
			end = ends.get((s.source, s.destination) if
			    way == "rx" else (s.destination, s.source))
			if end is None:
				continue
			data = s.data()[:end[way + "_bytes"]]
			n += 1
			if len(data) != end[way + "_bytes"] or \
			    hashlib.sha256(data).hexdigest() != \
			    end[way + "_sha256"]:
				wrong.append((way, s.source, end))
			if way == "rx" and pcap.peer_wire(data)[0]:
				heard.append((s, *pcap.peer_wire(data)))
	tap.claim(n == 2 * len(ends) > 0 and not wrong, "the packets' bytes "
	    "give the digests in closed, both ways, in %d conversations" %
	    len(ends), (n, wrong))
	return heard


def check_same(case, said, heard):
	"""Handshakes, claims and times: the ledger against the packets."""
	def key(record):
		return record.ip, record.port

	shakes = sorted((s.source, h) for s, h, _ in heard)
	tap.equal(sorted((key(r), r.raw) for r in case.records("handshake",
	    by="peer")), shakes, "the ledger's %d handshakes are those in the "
	    "packets" % len(shakes))
	tap.equal(sorted((key(r), r.raw) for r in case.records("greeted")),
	    sorted((s.destination, h) for s, h, _ in said),
	    "so are the ones we sent")
	for name, i, n in (("bitfield", BITFIELD, 5), ("have", HAVE, 5),
	    ("have_all", HAVE_ALL, 5)):
		packets, ledger = {}, {}
		for s, _, messages in heard:
			packets.setdefault(s.source, []).extend(
			    m for k, m in messages if k == i)
		for r in case.records(name, by="peer"):
			size = 9 if name == "have" else len(r.raw)
			ledger.setdefault(key(r), []).extend(
			    r.raw[at + n:at + size]
			    for at in range(0, len(r.raw), size))
		packets = {k: v for k, v in packets.items() if v}
		tap.equal(ledger, packets, "the ledger's %s messages are those "
		    "in the packets, in order" % name)
	late = [r.utc_ns - s.arrived[0] for s, _, _ in heard
	    for r in case.records("handshake", ip=s.source[0], by="peer")
	    if r.port == s.source[1] and 0 in s.arrived]
	# A machine so busy that the loop came late says so in a stall.
	slow = sum(r.d["lag_ms"] * 1e6 for r in case.records("stall"))
	tap.claim(late and -1e6 <= min(late) and max(late) < 2.5e8 + slow,
	    "handshakes are stamped within a quarter second of their packet, "
	    "and the loop's stalls", late and (min(late), max(late), slow))


def check_tshark(case, files, truth):
	def fields(wanted, *names):
		lines = []
		for f in files:
			lines += subprocess.run(["tshark", "-r", f, "-Y",
			    wanted, "-T", "fields"] + [a for n in names
			    for a in ("-e", n)], capture_output=True,
			    text=True, check=True).stdout.splitlines()
		return lines

	us = "(ip.src == %s || ipv6.src == %s)" % truth.us
	tap.equal(fields("bittorrent.msg.type == 7 && " + us,
	    "frame.number"), [], "tshark finds no piece message of ours")
	asked = [line for line in fields("http.request && " + us,
	    "http.request.uri") if "/announce" in line]
	check_http(case, asked, truth)
	udp = fields("udp.dstport == %d && " % truth.http[1] + us,
	    "udp.payload")
	check_udp(bytes.fromhex(line) for line in udp)


def check_http(case, asked, truth):
	for where, uris in (("opentracker", [u for u in asked]),
	    ("the IPv6 tracker's own log", [r.split(" ")[1]
	    for who, r in truth.tracker6 if who in truth.us and
	    "/announce" in r])):
		q = [dict(re.findall(r"([a-z_0-9]+)=([^&]*)", u))
		    for u in uris]
		tap.claim(q and all(a["uploaded"] == "0" and
		    int(a["left"]) > 0 and a.get("event") != "completed" and
		    unquote_to_bytes(a["info_hash"]) ==
		    truth.content.info_hash and
		    unquote_to_bytes(a["peer_id"])[:8] == b"-SW0100-"
		    for a in q), "%s: HTTP announces say uploaded=0, left>0, "
		    "never completed, and our name" % where, uris)
		tap.claim(q and q[0].get("event") == "started" and
		    q[-1].get("event") == "stopped",
		    "%s: first started, last stopped" % where, uris)


def check_udp(datagrams):
	sent = [d for d in datagrams if len(d) >= 98 and
	    d[8:12] == b"\0\0\0\1"]
	events = [int.from_bytes(d[80:84], "big") for d in sent]
	tap.claim(sent and all(d[36:44] == b"-SW0100-" and
	    int.from_bytes(d[64:72], "big") > 0 and
	    d[72:80] == bytes(8) for d in sent) and
	    1 not in events and events[0] == 2 and events[-1] == 3,
	    "UDP announces: uploaded 0, left > 0, started first, stopped "
	    "last, never completed", events)


def check_conduct(case, truth):
	closed = case.records("closed")
	tap.claim(closed and all(r.d["piece_bytes_tx"] == 0 for r in closed),
	    "closed: no piece byte was sent, in %d conversations" %
	    len(closed))
	opened = {r.conn for r in case.records("reached", "accept")}
	tap.equal({r.conn for r in closed}, opened,
	    "every conversation that opened was closed")
	end = case.records("end")
	tap.claim(len(end) == 1 and end[0].d["piece_bytes_sent"] == 0 and
	    end[0].d["ok"] is True, "the run ended, piece_bytes_sent 0",
	    [r.d for r in end])
	came = {name: sum(r.d["came"] for r in case.records("piece",
	    ip=truth.peers[name].address, by="peer"))
	    for name in truth.met}
	tap.claim(any(truth.met.values()) and all(down == 0
	    for met in truth.met.values() for _, _, down, _ in met),
	    "libtorrent's own counts: not a payload byte came from us",
	    truth.met)
	tap.equal({name: sum(up for _, _, _, up in met)
	    for name, met in truth.met.items()}, came,
	    "and what it counts as sent to us is what the case says came")


def check_format(case, truth):
	tap.equal(case.undocumented(), [], "every record's kind and keys are as "
	    "docs/evidence-format.md says")


def check_levels(case, truth):
	levels = case.levels()
	for name, (ip, _) in truth.dead.items():
		tap.equal(levels.get(ip), 0, "the %s address is at level 0" %
		    name)
	for name, p in truth.peers.items():
		if p.role != "leech":
			tap.equal(levels.get(p.address), 5,
			    "%s is at level 5" % name)
		else:
			tap.claim(levels.get(p.address, 0) >= 3,
			    "%s is at level 3 or above" % name,
			    levels.get(p.address))


def table(case, truth):
	print("# %-12s %-18s %9s %9s %8s" % ("peer", "address", "holds",
	    "claims", "verified"))
	for name, p in truth.peers.items():
		claims = [len(c) for c in case.claims(p.address).values()]
		print("# %-12s %-18s %9s %9s %8d" % (name, p.address,
		    len(p.held) if p.role != "leech" else "%d-%d" %
		    (len(p.held), len(truth.after[name])),
		    max(claims) if claims else "-",
		    len(case.checked(p.address)[0])))


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-case-") as folder:
		path = os.path.join(folder, "case")
		with laboratory.Lab() as lab:
			truth = observe(lab, path)
		if not os.path.exists(os.path.join(path, "evidence.db")):
			tap.claim(False, "there is a case")
			return tap.status()
		case = Case(path, truth.content.pieces)
		check_pieces(case, truth.content)
		tap.each((check_discovery, check_peers, check_packets,
		    check_conduct, check_levels, check_format, table), case, truth)
		holds(tap, path)
		return tap.status()


if __name__ == "__main__":
	sys.exit(main())
