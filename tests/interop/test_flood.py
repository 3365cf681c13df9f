#!/usr/bin/env python3
"""A swarm that attacks: floods, ten thousand connections from one address,
bytes a second apart, 2^31 pieces, blocks of another piece, a wrong bit, and
tens of thousands of false names by tracker, DHT and PEX. The monitor stays
small, sees every honest peer of the swarm in full, and leaves in peace who is
named. All is counted by others: the attackers, and those who are named.

Addresses are of a public network that leads nowhere here, so that the monitor
runs without --allow-local, as it would outside.
"""
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import flooder				# noqa: E402
import hostile				# noqa: E402
import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from processes import children, memory_kb	# noqa: E402
from tap import Tap			# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

PORT = 6881
CROWD, CROWD6 = "11.77.1.1", "2d77::1:1"
HONEST, CALLERS = 5, 2
# Some 40,000 names and a thousand conversations are a few MB each; a
# monitor that kept what the attackers send would hold hundreds.
MEMORY, MEMORY_KB = "192M", 192 * 1024
# Of one core. What is read before an attacker is left is a few MB in all.
CPU_SHARE = 0.5
PACKET_OUTGOING, SO_TIMESTAMPNS = 4, 35
# way: (kinds of which it leaves one, highest level it may reach)
FATES = {
	"haves": (("have",), 3),
	"bitfields": (("bitfield",), 3),
	"handshakes": (("malformed",), 2),
	"trickles": (("handshake",), 3),
	"huge_have": (("malformed",), 2),
	"huge_bitfield": (("malformed",), 2),
	"huge_metadata": (("extended",), 2),
	"other_blocks": (("block", "piece"), 4),
	"one_bit": (("piece",), 5),
	"mid_piece": (("piece", "closed"), 4),
	"exchanges": (("pex",), 2),
	"dictionaries": (("extended",), 2),
	"sizes": (("extended",), 2),
	"long_exchange": (("malformed",), 2),
	"hash_requests": (("hashes", "message"), 2),
	"fasts": (("allowed_fast",), 2),
	"rejects": (("reject",), 2),
	"requests": (("request",), 2),
	"ports": (("port",), 2),
	"keepalives": (("closed",), 2),
}
# Of the kinds that the attackers repeat.
MANY = ("bitfield", "have", "pex", "block", "extended", "hashes", "message",
    "allowed_fast", "reject", "request", "port", "metadata")
tap = Tap()


def public(lab, name, number):
	"""A host whose address is one of the public network's."""
	host = lab.host(name, number)
	host.private = host.address
	host.address = "11.77.0.%d" % number
	host.address6 = "2d77::%x" % number
	laboratory.ip(host.ns, "addr add %s/16 dev eth0" % host.address,
	    "addr add %s/64 dev eth0 nodad" % host.address6)
	return host


class Named:
	"""Counts what comes to a host that has nothing to do with it. A dial is
	a connection's SYN, over TCP or uTP, however often it is repeated."""

	def __init__(self, host, interface="eth0"):
		# (when, to, port); who dials how, once each.
		self.syns, self.datagrams, self.dials = [], [], {}
		self.s = host.socket(socket.AF_PACKET, socket.SOCK_RAW)
		self.s.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
		self.s.bind((interface, 3))		# ETH_P_ALL
		threading.Thread(target=self.read, daemon=True).start()

	def read(self):
		while True:
			try:
				data, notes, _, who = self.s.recvmsg(65536, 64)
			except OSError:		# the host is gone
				return
			# When it came, not when this thread got to it.
			when = sum(n * unit for n, unit in zip(struct.unpack(
			    "qq", notes[0][2]), (1, 1e-9)))
			if who[2] == PACKET_OUTGOING or data[12:14] != b"\x08\0":
				continue
			ip = data[14:]
			rest = ip[(ip[0] & 15) * 4:]
			at = (when, socket.inet_ntoa(ip[16:20]),
			    struct.unpack(">H", rest[2:4])[0])
			if ip[9] == 6 and rest[13] & 0x12 == 2:
				first = ("tcp", ip[12:20], rest[:8])
				if first not in self.dials:
					self.syns.append(at)
				self.dials.setdefault(first, at)
			elif ip[9] == 17 and rest[8:9] == b"\x41":
				self.dials.setdefault(("utp", ip[12:20],
				    rest[:4], rest[10:12]), at)
			elif ip[9] == 17:
				self.datagrams.append(at)

	def dialled(self, address):
		"""When, and whether over TCP or uTP."""
		return sorted((at[0], who[0]) for who, at in
		    list(self.dials.items()) if at[1] == address)


class Weight(threading.Thread):
	"""Memory and processor time of the monitor and its children."""

	def __init__(self, pid):
		super().__init__(daemon=True)
		self.pid, self.most_kb, self.ticks = pid, 0, {}
		self.start()

	def run(self):
		while True:
			kb = 0
			for pid in family(self.pid):
				try:
					kb += memory_kb(pid)
					with open("/proc/%d/stat" % pid) as f:
						row = f.read().rpartition(
						    ")")[2].split()
				except OSError:
					continue
				self.ticks[pid] = int(row[11]) + int(row[12])
			self.most_kb = max(self.most_kb, kb)
			time.sleep(0.2)

	def cpu_s(self):
		return sum(self.ticks.values()) / os.sysconf("SC_CLK_TCK")


def family(pid):
	return [pid] + [p for child in children(pid) for p in family(child)]


def seed(s, c):
	hostile.serve(s, c, lambda s, i, at, n: s.sendall(hostile.message(7,
	    struct.pack(">II", i, at) + c.piece(i)[at:at + n])))


class Swarm:
	def __init__(self, lab):
		self.lab = lab
		self.watch = lab.watch = public(lab, "monitor", 100)
		self.victim = public(lab, "victim", 70)
		self.crowd = public(lab, "crowd", 80)
		laboratory.ip(self.crowd.ns, *("addr add %s/16 dev eth0" % a
		    for a in flooder.addresses(CROWD)),
		    *("addr add %s/64 dev eth0 nodad" % a
		    for a in flooder.addresses6(CROWD6)))
		hosts = [public(lab, "honest%d" % i, 10 + i)
		    for i in range(HONEST)]
		self.callers = [public(lab, "caller%d" % i, 30 + i)
		    for i in range(CALLERS)]
		self.url = "http://%s:%d/announce" % (flooder.tracker_of(CROWD),
		    flooder.TRACKER_PORT)
		self.content = flooder.content(self.url)
		self.honest = [hostile.Peer("honest", h, self.content, seed,
		    flooder.PEER_PORT) for h in hosts]
		self.server = hostile.Peer("victim", self.victim, self.content,
		    hostile.web_server, flooder.VICTIM_PORT)
		self.named = Named(self.victim)
		self.inside = Named(self.watch, "lo")
		lab.torrent = os.path.join(lab.folder, "flood.torrent")
		with open(lab.torrent, "wb") as f:
			f.write(self.content.torrent)
		self.did, self.over = {}, threading.Event()
		self.p = self.crowd.run([sys.executable, flooder.__file__,
		    CROWD, CROWD6, self.watch.address, self.watch.address6,
		    str(PORT), self.victim.address,
		    self.victim.private, ",".join(h.address for h in hosts)],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
		json.loads(self.p.stdout.readline())

	def attack(self):
		self.p.stdin.write("\n")
		self.p.stdin.flush()
		threading.Thread(target=self.read, daemon=True).start()

	def read(self):
		for line in self.p.stdout:
			self.did = json.loads(line)

	def call(self, host):
		"""An honest peer that dials in amid all that."""
		def dial():
			while not self.over.is_set():
				try:
					s = host.socket()
					s.settimeout(30)
					s.connect((self.watch.address, PORT))
					s.sendall(hostile.handshake(
					    self.content.info_hash))
					hostile.talk(called, s, self.content)
				except OSError:
					pass
				self.over.wait(10)
		threading.Thread(target=dial, daemon=True).start()


def called(s, c):
	"""As seed, but we greeted first: what is left is to serve."""
	hostile.read(s, 68)
	s.sendall(hostile.message(14) + hostile.message(1))
	while True:
		n = struct.unpack(">I", hostile.read(s, 4))[0]
		m = hostile.read(s, n)
		if m[:1] == b"\6":
			i, at, n = struct.unpack(">III", m[1:])
			s.sendall(hostile.message(7, struct.pack(">II", i, at) +
			    c.piece(i)[at:at + n]))


def proven(case, swarm):
	"""Every honest peer gave every piece, and the floods are done."""
	right = {}
	for r in case.records("piece", by="peer"):
		if r.d["match"]:
			right.setdefault(r.ip, set()).add(r.d["piece"])
	honest = [p.address for p in swarm.honest] + \
	    [h.address for h in swarm.callers]
	return all(len(right.get(a, ())) == swarm.content.pieces
	    for a in honest) and \
	    swarm.did.get("connections", 0) >= flooder.TIMES and \
	    swarm.did.get("connections6", 0) >= flooder.TIMES6 and \
	    swarm.did.get("utp", 0) >= 2 * flooder.TIMES_UTP and \
	    swarm.did.get("forged", 0) >= flooder.TIMES_UTP and \
	    swarm.did.get("padded") and \
	    all(swarm.did.get(name) for name in FATES) and \
	    swarm.did.get("pex", 0) >= flooder.TIMES and \
	    swarm.did.get("dht", 0) >= flooder.TIMES and \
	    len({r.ip for r in case.records("closed")}) > HONEST and \
	    all(any("flooding" in r.d["why"] for r in case.records("closed",
	    ip=flooder.utp_of(first))) for first in (CROWD, CROWD6)) and \
	    len(swarm.named.dialled(swarm.victim.address)) >= 3


def observe(path):
	with laboratory.Lab() as lab:
		swarm = Swarm(lab)
		log = open(os.path.join(lab.folder, "log"), "w+")
		watch = Watch(swarm.watch.run([laboratory.PROGRAM, "monitor",
		    "--bind", swarm.watch.address, "--bind",
		    swarm.watch.address6, "--listen", str(PORT),
		    "--max-memory", MEMORY,
		    "--interface", "eth0", "--duration", str(LIMIT_S),
		    "--dht-node", "%s:%d" % (flooder.node_of(CROWD),
		    flooder.PEER_PORT), "--sample", "all", "--key",
		    os.path.join(lab.folder, "key"), path, lab.torrent],
		    stdout=subprocess.DEVNULL, stderr=log, text=True), path,
		    swarm.content.pieces)
		weight, begun = Weight(watch.monitor.pid), time.monotonic()
		watch.until("handshake", lambda case:
		    case.records("handshake"))
		swarm.attack()
		for host in swarm.callers:
			swarm.call(host)
		watch.until("end of the attack", lambda case:
		    proven(case, swarm))
		took, cpu = time.monotonic() - begun, weight.cpu_s()
		swarm.p.stdin.close()		# its last words are read
		swarm.over.set()
		watch.end()
		if not tap.equal(watch.monitor.poll(), 0, "the monitor ends "
		    "with 0"):
			log.seek(0)
			print(log.read()[-3000:])
		print("# %.0f s, %.1f s of CPU, %d MB at most; the attackers: "
		    "%s" % (took, cpu, weight.most_kb // 1024, swarm.did))
		tap.claim(0 < weight.most_kb < MEMORY_KB, "its processes hold "
		    "less than %d MB (%d)" % (MEMORY_KB // 1024,
		    weight.most_kb // 1024))
		tap.claim(cpu < CPU_SHARE * took, "and take less than %.1f of "
		    "a core" % CPU_SHARE, (cpu, took))
	return swarm


def check_honest(case, swarm):
	levels = case.levels()
	for address in [p.address for p in swarm.honest] + \
	    [h.address for h in swarm.callers]:
		right, wrong = case.checked(address)
		tap.claim(levels.get(address) == 5 and
		    right == swarm.content.all and not wrong, "the honest %s "
		    "gave every piece, and is at level 5" % address,
		    (levels.get(address), len(right), wrong))
		tap.claim(swarm.content.all in case.claims(address).values(),
		    "... its claim is whole")
		tap.equal({r.d["why"] for r in case.records("closed",
		    ip=address)}, {"the run ended"}, "... and it was never "
		    "left before the end")


def check_crowd(case, swarm):
	levels = case.levels()
	at = {way.__name__: flooder.address(CROWD, i)
	    for i, way in enumerate(flooder.WAYS)}
	for name, (kinds, most) in FATES.items():
		found = [r for r in case.records(*kinds, ip=at[name])
		    if r.kind == "closed" or r.d["by"] == "peer"]
		tap.claim(found, "%s left its %s" % (name,
		    " or ".join(kinds)))
		tap.claim(levels.get(at[name], 0) <= most, "%s is at level %d "
		    "at most" % (name, most), levels.get(at[name]))
	right, wrong = case.checked(at["one_bit"])
	tap.equal((wrong, right), ({flooder.BAD_PIECE}, swarm.content.all -
	    {flooder.BAD_PIECE}), "one wrong bit: that piece fails, and no "
	    "other")
	right, wrong = case.checked(at["other_blocks"])
	tap.claim(not right, "blocks of another piece prove none", right)
	begun = case.records("run")[0].utc_ns
	minutes = (case.records("end")[0].utc_ns - begun) / 60e9
	for i, address in enumerate(flooder.dials_of(CROWD)):
		n = len(case.records("accept", ip=address))
		tap.claim(0 < n <= 12 * (minutes + 1), "of the connections of "
		    "%s a dozen a minute are taken (%d of %s)" % (address, n,
		    swarm.did["connected"] if i == 0 else "many"), n)
	for i, address in enumerate(flooder.dials6_of(CROWD6)):
		n = len(case.records("accept", ip=address))
		tap.claim(0 < n <= 12 * (minutes + 1), "nor more over IPv6: %d "
		    "of %s" % (n, address), n)
	for first in CROWD, CROWD6:
		ip = flooder.utp_of(first)
		n = len(case.records("accept", ip=ip))
		heard = {r.conn for r in case.records("handshake", ip=ip)}
		tap.claim(0 < n <= minutes + 1, "of %d conversations over uTP "
		    "from %s one a minute is taken up (%d)" %
		    (flooder.TIMES_UTP, ip, n), n)
		tap.claim(heard, "... and heard once it was proven", n)
		tap.claim(any("flooding" in r.d["why"] for r in
		    case.records("closed", ip=ip)), "... and left for flooding",
		    [r.d["why"] for r in case.records("closed", ip=ip)])
	ip = flooder.pads_of(CROWD)
	said = [(r.kind, r.d) for r in case.records("encrypted", "malformed",
	    ip=ip)]
	tap.claim(any(k == "malformed" or d["outcome"] != "ok"
	    for k, d in said), "endless padding is no handshake", said[:2])
	n = len(case.records("accept", ip=ip))
	tap.claim(0 < n <= 12 * (minutes + 1), "... nor taken up often (%d)" % n)
	forged = case.db.execute("SELECT kind, count(*) FROM record WHERE ip "
	    "LIKE '11.77.1__.%' AND kind IN ('accept', 'closed', 'handshake') "
	    "GROUP BY 1").fetchall()
	print("# of %d forged SYNs over uTP: %s" % (flooder.TIMES_UTP, forged))
	n = dict(forged).get("accept", 0)
	tap.claim(0 < n < flooder.TIMES_UTP and "handshake" not in dict(forged),
	    "forged SYNs are taken up, few of them, and never heard", forged)
	for ip in set(at.values()) | set(flooder.dials_of(CROWD)) | \
	    set(flooder.addresses6(CROWD6)) | {flooder.utp_of(CROWD)}:
		of = len(case.records("closed", ip=ip))
		n = len(case.records(*MANY, ip=ip, by="peer"))
		tap.claim(n <= 1500 * of, "%s left few records (%d in %d "
		    "conversations)" % (ip, n, of))


def check_named(case, swarm):
	victim, private = swarm.victim.address, swarm.victim.private
	sources = {source for source, in case.db.execute("SELECT CASE kind "
	    "WHEN 'listed' THEN detail ->> 'source' ELSE kind END FROM record "
	    "WHERE kind IN ('listed', 'dht', 'pex') AND seq IN (SELECT seq "
	    "FROM named WHERE ip = ?)", (victim,))}
	tap.equal(sources, {"tracker", "dht", "pex"}, "the victim was named by "
	    "all three, and that is on record")
	tap.claim(case.db.execute("SELECT count(*) FROM named WHERE ip = ?",
	    (private,)).fetchone()[0], "so was the private address")
	dials = swarm.named.dialled(victim)
	print("# the victim was dialled %d times in %.0f s, over %s" % (
	    len(dials), dials[-1][0] - dials[0][0] if dials else 0,
	    " ".join(way for _, way in dials)))
	tap.equal(busiest([at for at, _ in dials]), 1, "the victim, named ten "
	    "thousand times, gets one dial in any minute, by its own count")
	began = [r.utc_ns for r in case.records("dial", ip=victim)]
	tap.claim(len(began) > 2 and all(b - a >= 60e9
	    for a, b in zip(began, began[1:])), "and on record they are a "
	    "minute apart", began)
	tap.equal(len(began), len(dials), "each of them on record")
	tap.equal(swarm.server.accepted, sum(port == flooder.VICTIM_PORT
	    for _, to, port in swarm.named.syns if to == victim),
	    "its own server counts the same")
	# Those that are no dials: the DHT asks whom it was told of.
	heard = [at for at, to, _ in swarm.named.datagrams if to == victim]
	tap.claim(busiest(heard) <= 30, "and few datagrams (%d in a minute)" %
	    busiest(heard))
	other = [e for e in swarm.named.syns + swarm.named.datagrams
	    if e[1] == private or e[1].startswith("224.")]
	tap.equal(other, [], "a private address gets nothing, and no group of "
	    "multicast")
	tap.equal(swarm.inside.syns, [], "and the loopback no dial")
	for ip in private, "127.%", "224.%":
		tap.equal(case.db.execute("SELECT count(*) FROM record WHERE "
		    "kind = 'dial' AND ip LIKE ?", (ip,)).fetchone()[0], 0,
		    "no dial of %s on record" % ip)


def busiest(times):
	"""Most of them within a minute; a little less, for two clocks."""
	return max((sum(a <= t < a + 59.5 for t in times) for a in times),
	    default=0)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-flood-",
	    ignore_cleanup_errors=True) as folder:
		path = os.path.join(folder, "case")
		swarm = observe(path)
		if not os.path.exists(os.path.join(path, "evidence.db")):
			tap.claim(False, "there is a case")
			return tap.status()
		case = Case(path, swarm.content.pieces)
		tap.each((check_honest, check_crowd, check_named), case, swarm)
		holds(tap, path)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
