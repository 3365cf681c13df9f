"""Who is met at the doors besides clients.py's: a tracker that knows what it
said, peers that lie, rTorrent, an address translator.
"""
import os
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

import clients
import hostile
from content import bencode
from lab import CLONE_NEWNET, LIBC, ip


class Tracker:
	"""One over HTTP and both families. told: (url, infohash, ip, port) of
	each endpoint it named to the monitor. Only the monitor and those in
	hears are told of anybody."""

	def __init__(self, host, port, monitor, made_up=()):
		self.host, self.port, self.made_up = host, port, list(made_up)
		self.monitor = {monitor.address, monitor.address6}
		self.peers, self.hears, self.told = {}, set(), set()
		self.lock = threading.Lock()
		self.url = "http://%s:%d/announce" % (host.address, port)
		self.url6 = "http://[%s]:%d/announce" % (host.address6, port)
		for family, address, url in (
		    (socket.AF_INET, host.address, self.url),
		    (socket.AF_INET6, host.address6, self.url6)):
			s = host.socket(family)
			s.bind((address, port))
			s.listen(32)
			threading.Thread(target=self.serve, args=(s, url),
			    daemon=True).start()

	def add(self, content, address, port):
		for h in content.hashes:
			self.peers.setdefault(h, set()).add((address, port))

	def knows(self, content, address):
		return any(address == a for h in content.hashes
		    for a, _ in self.peers.get(h, ()))

	def serve(self, listener, url):
		while True:
			s, who = listener.accept()
			threading.Thread(target=self.talk, args=(s, who[0],
			    url), daemon=True).start()

	def talk(self, s, who, url):
		s.settimeout(5)
		with s:
			try:
				got = b""
				while b"\r\n\r\n" not in got:
					more = s.recv(4096)
					if not more:
						return
					got += more
				s.sendall(hostile.http(self.answer(got, who,
				    url)))
			except OSError:
				pass

	def answer(self, got, who, url):
		path, _, query = got.split(b" ")[1].decode(
		    "latin-1").partition("?")
		q = dict(urllib.parse.parse_qsl(query, encoding="latin-1",
		    keep_blank_values=True))
		h = q.get("info_hash", "").encode("latin-1")
		if not path.endswith("/announce") or len(h) != 20:
			return bencode({"failure reason": "no"})
		with self.lock:
			known = self.peers.setdefault(h, set())
			me = who, int(q.get("port", 0))
			if q.get("event") == "stopped":
				known.discard(me)
			else:
				known.add(me)
			tell = set(self.made_up)
			if who in self.monitor:
				tell |= {p for p in known
				    if p[0] not in self.monitor}
				self.told |= {(url, h, *p) for p in tell}
			elif who in self.hears:
				# Of its own family: it is met at one address.
				tell |= {p for p in known if p[0] in
				    self.monitor and (":" in p[0]) ==
				    (":" in who)}
		packed = {4: b"", 6: b""}
		for address, port in sorted(tell):
			f = 6 if ":" in address else 4
			packed[f] += socket.inet_pton(socket.AF_INET6 if f == 6
			    else socket.AF_INET, address) + \
			    struct.pack(">H", port)
		return bencode({"interval": 60, "complete": len(known),
		    "incomplete": 0, "peers": packed[4], "peers6": packed[6]})


# --- peers that lie --------------------------------------------------------------


def never_unchokes(s, c):
	hostile.greet(s, c)
	s.sendall(hostile.message(5, bits(c)))


def bits(c):
	n = c.pieces
	return ((1 << n) - 1 << (-n % 8)).to_bytes((n + 7) // 8, "big")


def any_hash(s, c):
	"""Has whatever it is asked for. It goes soon: a minute after that it
	is offered a hash that nobody has."""
	said = hostile.read(s, 68)
	s.sendall(hostile.handshake(said[28:48]))
	s.sendall(hostile.message(14))
	time.sleep(1)
	s.close()


# --- clients that clients.py has not ------------------------------------------------


class RTorrent(clients.Client):
	name = "rTorrent"

	def start(self):
		rc = os.path.join(self.host.folder, "rc")
		os.makedirs(os.path.join(self.host.folder, "session"),
		    exist_ok=True)
		with open(rc, "w") as f:
			f.write("\n".join(("system.daemon.set = true",
			    "session.path.set = %s/session" % self.host.folder,
			    "directory.default.set = " + self.host.folder,
			    "network.port_range.set = %d-%d" % (self.port,
			    self.port), "network.port_random.set = no",
			    "network.bind_address.set = " + self.address,
			    "dht.mode.set = disable",
			    "protocol.pex.set = no",
			    "trackers.use_udp.set = no",
			    "protocol.encryption.set = none",
			    'load.start = "%s"' % self.host.lab.torrent, "")))
		self.process = self.host.run(["env", "TERM=dumb", "HOME=" +
		    self.host.folder, "rtorrent", "-n", "-o", "import=" + rc])

	def pieces(self):
		"""By what it tells a peer that asks: it has no other door."""
		try:
			said = clients.ask(self.host, self.address, self.port,
			    self.content.info_hash, 0.7)[1]
		except OSError:
			return frozenset()
		return next((clients.bits(p, self.content.pieces)
		    for i, p in said if i == 5), frozenset())


# --- an address translator ------------------------------------------------------------


def inside(host, gate, number):
	"""Moves a host behind gate: its only way out."""
	end = "in%d" % number
	ip(host.ns, "link del eth0")
	ip(None, "link add %s netns %s type veth peer name eth0 netns %s" %
	    (end, gate.ns, host.ns))
	host.address = "10.78.%d.2" % number
	ip(gate.ns, "addr add 10.78.%d.1/24 dev %s" % (number, end),
	    "link set %s up" % end)
	ip(host.ns, "addr add %s/24 dev eth0" % host.address,
	    "link set eth0 up", "route add default via 10.78.%d.1" % number)


def translate(gate):
	"""Whatever leaves it bears its address. False if the kernel cannot."""
	subprocess.run(["ip", "netns", "exec", gate.ns, "sh", "-c",
	    "echo 1 > /proc/sys/net/ipv4/ip_forward"], check=True)
	return rule(gate, "nat", 4, 100, (("masq", b""),))


def connects_out_only(host):
	"""Nothing comes in but answers. False if the kernel cannot."""
	new = struct.pack("=I", 8)
	return rule(host, "filter", 1, 0, (
	    ("ct", number(1, 1) + number(2, 0)),	# its state to register 1
	    ("bitwise", number(1, 1) + number(2, 1) + number(3, 4) +
		attribute(4 | NESTED, attribute(1, new)) +
		attribute(5 | NESTED, attribute(1, bytes(4)))),
	    ("cmp", number(1, 1) + number(2, 1) +	# is not 0
		attribute(3 | NESTED, attribute(1, bytes(4)))),
	    ("immediate", number(1, 0) + attribute(2 | NESTED,
		attribute(2 | NESTED, number(1, 0)))),	# drop
	))


# --- nftables without nft: its messages to the kernel, linux/netfilter/nf_tables.h ---


NESTED = 0x8000


def attribute(kind, data):
	size = len(data) + 4
	return struct.pack("=HH", size, kind) + data + bytes(-size % 4)


def text(kind, value):
	return attribute(kind, value.encode() + b"\0")


def number(kind, value):
	return attribute(kind, struct.pack(">i", value))


def message(kind, flags, seq, family, resource, data=b""):
	body = struct.pack(">BBH", family, 0, resource) + data
	return struct.pack("=IHHII", 16 + len(body), kind, flags, seq, 0) + body


def rule(host, kind, hook, priority, steps):
	"""A chain of one rule at a hook of a host; False if it was refused."""
	said = []

	def enter():
		with open("/run/netns/" + host.ns) as f:
			if LIBC.setns(f.fileno(), CLONE_NEWNET) == 0:
				said.append(send(kind, hook, priority, steps))
	t = threading.Thread(target=enter)
	t.start()
	t.join()
	return said == [True]


def send(kind, hook, priority, steps):
	add = 0x405		# request, acknowledge, create
	batch = message(16, 1, 1, 0, 10)
	for seq, (what, flags, data) in enumerate((
	    (0, add, text(1, "doors")),
	    (3, add, text(1, "doors") + text(3, "chain") +
		attribute(4 | NESTED, number(1, hook) + number(2, priority)) +
		text(7, kind)),
	    (6, add | 0x800, text(1, "doors") + text(2, "chain") +
		attribute(4 | NESTED, b"".join(attribute(1 | NESTED,
		text(1, name) + attribute(2 | NESTED, data))
		for name, data in steps)))), 2):
		batch += message(10 << 8 | what, flags, seq, 2, 0, data)
	batch += message(17, 1, 9, 0, 10)
	try:
		s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
	except OSError:
		return False
	with s:
		s.settimeout(3)
		s.bind((0, 0))
		s.send(batch)
		wanted = {2, 3, 4}
		try:
			while wanted:
				got = s.recv(65536)
				while len(got) >= 20:
					n, what, _, seq, _, bad = \
					    struct.unpack_from("=IHHIIi", got)
					if what == 2 and bad:
						return False
					wanted.discard(seq)
					got = got[n + 3 & ~3:]
		except OSError:
			return False
	return True
