#!/usr/bin/env python3
"""Every way that peers are reached: uTP, TCP, encrypted, dialled and dialling.

Real clients that speak one way only, and some that only connect out, all at
once. Each must reach level 5 the one way it can, and the case must say which.
"""
import hashlib
import os
import random
import socket
import sqlite3
import struct
import sys
import tempfile
from collections import namedtuple

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clients				# noqa: E402
import lab as laboratory		# noqa: E402
import pcap				# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from tap import Tap			# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

PORT = 6881
tap = Tap()
Row = namedtuple("Row", "name number kind options way")

# libtorrent's words: who speaks what, and to whom.
UTP = {"enable_outgoing_utp": True, "enable_incoming_utp": True,
    "enable_outgoing_tcp": False, "enable_incoming_tcp": False}
RC4 = {"out_enc_policy": 0, "in_enc_policy": 0, "allowed_enc_level": 2}
PLAINTEXT = dict(RC4, allowed_enc_level=1)
OUT = {"enable_incoming_tcp": False, "enable_incoming_utp": False}
ARIA2 = {"bt-require-crypto": "true", "bt-force-encryption": "true"}


def lt(name, number, way, settings, **options):
	return Row(name, number, clients.Libtorrent, dict(options,
	    settings=settings), way)


def rows(few):
	"""name, host, client, and (direction, transport, encryption)"""
	leech = {"role": "leech", "held": few, "rate": 30000}
	return [
	    lt("lt-utp", 11, ("out", "utp", "none"), UTP),
	    lt("lt-tcp", 21, ("out", "tcp", "none"), {}),
	    lt("lt-rc4", 12, ("out", "tcp", "rc4"), RC4),
	    lt("lt-plaintext", 13, ("out", "tcp", "plaintext"), PLAINTEXT),
	    lt("lt-utp-rc4", 14, ("out", "utp", "rc4"), dict(UTP, **RC4)),
	    Row("aria2-rc4", 15, clients.Aria2, {"settings": ARIA2},
		("out", "tcp", "rc4")),
	    Row("aria2-crypto", 16, clients.Aria2, {"settings":
		{"bt-require-crypto": "true"}}, ("out", "tcp", "plaintext")),
	    Row("transm-rc4", 17, clients.Transmission, {"settings":
		{"encryption": 2}}, ("out", "tcp", "rc4")),
	    lt("lt-utp-v6", 0x12, ("out", "utp", "none"), UTP, v6=True,
		port=6895),
	    Row("qb-utp", 19, clients.QBittorrent, {"settings":
		{"BTProtocol": "UTP"}}, ("out", "utp", "none")),
	    Row("qb-rc4", 20, clients.QBittorrent, {"settings":
		{"BTProtocol": "UTP", "Encryption": 1}},
		("out", "utp", "rc4")),
	    lt("out-utp", 31, ("in", "utp", "none"), dict(UTP, **OUT),
		**leech),
	    lt("out-tcp", 32, ("in", "tcp", "none"), OUT, **leech),
	    lt("out-rc4", 33, ("in", "tcp", "rc4"), dict(RC4, **OUT),
		**leech),
	    lt("out-plaintext", 34, ("in", "tcp", "plaintext"),
		dict(PLAINTEXT, **OUT), **leech),
	    lt("out-utp-rc4", 35, ("in", "utp", "rc4"), dict(UTP, **RC4,
		**OUT), **leech),
	]


def matched(case):
	"""(ip, direction) of those that gave a whole right piece so far."""
	return {(ip, "in" if kind == "accept" else "out")
	    for ip, kind in case.db.execute("SELECT p.ip, d.kind FROM record p "
	    "JOIN record d ON d.seq = p.conn WHERE p.kind = 'piece' AND "
	    "json_extract(p.detail, '$.match')")}


def forge(lab):
	"""A SYN of one that hears no answer, and a guess at what follows it."""
	with lab.probe.socket(kind=socket.SOCK_DGRAM) as s:
		for kind, number, ack, data in ((4, 5, 0, b""),
		    (0, 6, 7, b"\x13BitTorrent protocol")):
			s.sendto(struct.pack(">BBHIIIHH", kind << 4 | 1, 0,
			    900 + (kind == 0), 1, 0, 65536, number, ack) +
			    data, (lab.watch.address, PORT))


def observe(lab, path):
	lab.swarm(only=())
	c = lab.content
	few = frozenset(random.Random(1).sample(range(c.pieces), 9))
	table = rows(few)
	for r in table:
		lab.peers[r.name] = r.kind(lab.host(r.name, r.number), c,
		    **dict({"port": 6900 + r.number}, **r.options))
	seeds = [p for p in lab.peers.values() if p.role == "seed"]
	lab.begin(*seeds)
	lab.listed(*seeds)
	watch = Watch(lab.monitor(path, duration=LIMIT_S), path, c.pieces)
	watch.until("run", lambda case: case.records("announce"))
	forge(lab)
	lab.begin(*(p for p in lab.peers.values() if p.role != "seed"))
	wanted = {(lab.peers[r.name].address, r.way[0]) for r in table}
	watch.until("piece of each", lambda case: wanted <= matched(case) and
	    case.records("accept", ip=lab.probe.address))
	_, err = watch.end()
	tap.equal(watch.monitor.returncode, 0, "the monitor ends well")
	if watch.monitor.returncode:
		print(err[-2000:])
	restricted(lab, path)
	return table, {r.name: lab.peers[r.name].address for r in table}, \
	    (lab.watch.address, lab.watch.address6), \
	    {name: p.last.get("met") for name, p in lab.peers.items()
	    if isinstance(p, clients.Libtorrent)}


def restricted(lab, path):
	"""The same swarm, for a while, by fewer ways."""
	quiet = lab.peers["lt-utp-rc4"].address
	for how, wanted, options in (
	    ("sealed", {"tcp", "utp"}, ("--encryption", "require")),
	    ("plain", {"tcp"}, ("--no-utp", "--encryption", "off"))):
		watch = Watch(lab.monitor(path + how, *options, "--no-dht",
		    duration=LIMIT_S), path + how, lab.content.pieces)

		def met(case):
			hands = case.records("handshake", by="peer")
			over = {r.seq: r.d["transport"]
			    for r in case.records("dial", "accept")}
			return {over[r.conn] for r in hands} >= wanted and \
			    (how == "plain" or quiet in {r.ip for r in hands})
		watch.until("handshakes over " + " and ".join(wanted), met)
		_, err = watch.end()
		tap.claim(watch.monitor.returncode == 0, "the monitor ends "
		    "well with " + " ".join(options), err[-2000:])


def check_restricted(path, address):
	met = {how: {(ip, t, e) for _, ip, _, t, e, level, _ in
	    contacts(path + how) if level >= 2}
	    for how in ("plain", "sealed")}
	tap.claim(met["plain"] and {w[1:] for w in met["plain"]} ==
	    {("tcp", "none")}, "--no-utp --encryption off: TCP and plain, "
	    "nothing else", met["plain"])
	tap.claim(met["sealed"] and all(e in ("plaintext", "rc4")
	    for _, _, e in met["sealed"]) and
	    {t for _, t, _ in met["sealed"]} == {"tcp", "utp"},
	    "--encryption require: TCP and uTP, all encrypted",
	    met["sealed"])
	tap.claim((address["lt-utp-rc4"], "utp", "rc4") in met["sealed"],
	    "libtorrent knew that the uTP conversation of a moment ago was "
	    "over", met["sealed"])
	case = Case(path + "plain", 1)
	tap.equal({(r.d["transport"], r.d["encryption"])
	    for r in case.records("dial", "accept")}, {("tcp", "none")},
	    "--no-utp --encryption off: nothing else was tried")
	case.close()
	folder = os.path.join(path + "plain", "packets")
	seen = pcap.Capture(*sorted(os.path.join(folder, f)
	    for f in os.listdir(folder)))
	tap.equal([a for _, a, _, _ in seen.datagrams if a[1] == PORT], [],
	    "and no datagram left our listening port")
	holds(tap, path + "sealed")


def check_forged(case, path, probe):
	mine = case.records("accept", ip=probe)
	tap.equal([r.d["transport"] for r in mine], ["utp"],
	    "a forged SYN is on record")
	tap.equal([r.kind for r in case.records("reached", "handshake",
	    "malformed", conn=mine[0].seq)] if mine else None, [],
	    "and nothing of what it claimed was believed")
	tap.equal([(level, swarm) for level, swarm in sqlite3.connect(
	    "file:%s?mode=ro" % os.path.join(path, "derived.db"),
	    uri=True).execute("SELECT level, swarm FROM contact WHERE ip = ?",
	    (probe,))], [(0, None)], "its level is 0, and it is in no swarm")


def contacts(path):
	db = sqlite3.connect("file:%s?mode=ro" % os.path.join(path,
	    "derived.db"), uri=True)
	return db.execute("SELECT conn, ip, direction, transport, encryption, "
	    "level, outcome FROM contact ORDER BY conn").fetchall()


def check_levels(path, table, address):
	found = contacts(path)
	print("# %-14s %-12s %-4s %-4s %-10s %s" % ("peer", "address", "way",
	    "over", "encryption", "level"))
	for r in table:
		mine = [(d, t, e, level) for _, ip, d, t, e, level, _ in found
		    if ip == address[r.name]]
		top = max((m for m in mine if m[0] == r.way[0]),
		    key=lambda m: m[3], default=None)
		print("# %-14s %-12s %-4s %-4s %-10s %s" % (r.name,
		    address[r.name], *(top or ("-",) * 4)))
		tap.equal(top, r.way + (5,), "%s: %s over %s, %s, level 5" %
		    (r.name, *r.way))
		wrong = [m for m in mine if m[3] >= 2 and
		    (m[1], m[2]) != r.way[1:]]
		tap.equal(wrong, [], "%s: and no other way got further than a "
		    "connection" % r.name)
	tap.equal({e for _, _, _, _, e, level, _ in found if level >= 2} -
	    {"none", "plaintext", "rc4"}, set(), "every conversation that "
	    "came about is plain, plaintext or rc4")


def check_order(case, address):
	"""TCP, uTP, then encrypted; each attempt on record, and a minute apart
	until it answered over uTP or shook hands. libtorrent without TCP takes
	a connection and closes it at once."""
	for name, want in (
	    ("lt-tcp", [("tcp", "none")]),
	    ("lt-utp", [("tcp", "none"), ("utp", "none")]),
	    ("lt-rc4", [("tcp", "none"), ("tcp", "mse")]),
	    ("lt-utp-rc4", [("tcp", "none"), ("utp", "none"),
		("utp", "mse")])):
		dials = case.records("dial", ip=address[name])
		first = [r for r in dials if r.d["attempt"] == 1]
		tap.equal([(r.d["transport"], r.d["encryption"])
		    for r in first], want, "%s: dialled %s" % (name,
		    ", ".join("%s %s" % w for w in want)))
		tap.equal([r.d["try"] for r in first],
		    list(range(1, len(want) + 1)), "%s: tries are numbered" %
		    name)
		tap.claim(all(b.utc_ns - a.utc_ns > 59e9 for a, b in
		    zip(first, first[1:]) if a.d["transport"] == "tcp"),
		    "%s: until it said something, a minute apart" % name,
		    [r.utc_ns for r in first])
		ends = case.records("unreached", "closed",
		    ip=address[name])
		tap.equal({r.conn for r in dials} - {r.conn for r in ends},
		    set(), "%s: every attempt's outcome is on record" % name)


def check_accepts(case, probe):
	utp = [r for r in case.records("accept")
	    if r.d["transport"] == "utp" and r.ip != probe]
	proven = {r.conn: r.seq for r in case.records("reached")}
	said = {}
	for r in case.records("handshake", by="peer"):
		said.setdefault(r.conn, r.seq)
	tap.claim(utp and all(r.seq in proven and
	    proven[r.seq] < said.get(r.seq, 1 << 60) for r in utp),
	    "%d incoming uTP conversations were proven before they were "
	    "heard" % len(utp))
	tap.claim(all(r.d["local"].endswith(":%d" % PORT) for r in utp),
	    "and came to our listening port", [r.d for r in utp])


def check_conduct(case, us, met):
	closed = case.records("closed")
	tap.claim(closed and all(r.d["piece_bytes_tx"] == 0 for r in closed),
	    "no piece byte was sent in %d conversations" % len(closed))
	end = case.records("end")
	tap.claim(len(end) == 1 and end[0].d["piece_bytes_sent"] == 0,
	    "nor in all")
	heard = {name: sum(down for ip, _, down, _ in rows or ()
	    if ip in us) for name, rows in met.items()}
	tap.equal({n: d for n, d in heard.items() if d}, {},
	    "libtorrent's own counts: not a payload byte came from us")
	secrets = case.records("encrypted")
	tap.claim(secrets and all(r.d["secret"] for r in secrets
	    if r.d["outcome"] == "ok"), "the secret of every encrypted "
	    "conversation is on record")
	tap.equal(case.undocumented(), [], "every record is as "
	    "docs/evidence-format.md says")


def utp_stream(datagrams, source, to, conn_id):
	"""What one end of a conversation said, from the packets alone."""
	parts, first = {}, None
	for _, a, b, d in datagrams:
		if (a, b) != (source, to) or len(d) < 20 or d[0] & 15 != 1:
			continue
		kind, following, at = d[0] >> 4, d[1], 20
		if int.from_bytes(d[2:4], "big") != conn_id or kind > 1:
			continue
		while following:
			following, at = d[at], at + 2 + d[at + 1]
		seq = int.from_bytes(d[16:18], "big")
		if first is None:
			first = seq
		parts.setdefault((seq - first + 32768) % 65536, d[at:])
	return b"".join(parts[k] for k in sorted(parts))


def check_packets(path, case, address, us):
	folder = os.path.join(path, "packets")
	seen = pcap.Capture(*sorted(os.path.join(folder, f)
	    for f in os.listdir(folder)))
	n, wrong = 0, []
	for name in "lt-utp", "lt-utp-rc4", "qb-utp", "lt-utp-v6":
		for r in case.records("closed", ip=address[name]):
			if r.d["rx_bytes"] == 0:
				continue
			us_at = us[":" in r.ip], PORT
			ids = {int.from_bytes(d[2:4], "big")
			    for _, a, b, d in seen.datagrams
			    if (a, b) == ((r.ip, r.port), us_at) and
			    len(d) > 20 and d[0] == 1}
			n += 1
			if not any(hashlib.sha256(utp_stream(seen.datagrams,
			    (r.ip, r.port), us_at, i)[:r.d["rx_bytes"]])
			    .hexdigest() == r.d["rx_sha256"] for i in ids):
				wrong.append((name, r.d))
	tap.claim(n and not wrong, "the packets' bytes give closed's digests, "
	    "of %d uTP conversations" % n, wrong)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-case-") as folder:
		path = os.path.join(folder, "case")
		with laboratory.Lab("transports") as lab:
			table, address, us, met = observe(lab, path)
			pieces = lab.content.pieces
			probe = lab.probe.address
		case = Case(path, pieces)
		check_levels(path, table, address)
		check_order(case, address)
		check_accepts(case, probe)
		check_forged(case, path, probe)
		check_restricted(path, address)
		check_conduct(case, us, met)
		check_packets(path, case, address, us)
		holds(tap, path)
		return tap.status()


if __name__ == "__main__":
	sys.exit(main())
