"""A case made up for tests of reports: the rows that a monitor would write,
without a valid tree. Times start at 2026-01-01T23:59:00Z, so that a midnight
falls into the run."""
import hashlib
import json
import os
import sqlite3

from built import ROOT
from content import bencode

S = 10 ** 9
START = 1767311940 * S

# What a stranger can put into a name.
HOSTILE = ('<script>alert(1)</script><img src=x onerror=alert(2)> & "q" \'s\' '
		   '\u202egnp.exe\u202c \u0007\u001b[31m\u200b \u05e9\u05dc\u05d5\u05dd '
		   'a\u0301\u0302\u0303\u0304\u0305 ' + 'w' * 300)
FORMULA = '=HYPERLINK("http://x","y"),1'


class Case:
	def __init__(self, folder, start=START):
		os.makedirs(folder)
		self.db = sqlite3.connect(os.path.join(folder, "evidence.db"),
								  isolation_level=None)
		with open(os.path.join(ROOT, "schema/evidence.sql")) as f:
			self.db.executescript("PRAGMA synchronous=OFF;" + f.read())
		self.db.execute("BEGIN")
		self.db.execute("INSERT INTO meta VALUES ('case_id', ?)",
						(hashlib.md5(folder.encode()[:0]).hexdigest(),))
		self.seq, self.at, self.live = 0, start, True

	def add(self, kind, detail, swarm=None, conn=None, ip=None, port=None,
			names=(), after=0.1):
		self.at += int(after * S)
		seq, self.seq = self.seq, self.seq + 1
		if names:
			detail = dict(detail, named=len(names), named_root="0" * 64)
		salt = hashlib.md5(b"%d" % seq).hexdigest()
		self.db.execute(
			"INSERT INTO record VALUES (?,?,?,?,?,?,?,?,?,NULL,?)",
			(seq, self.at, self.at - START if self.live else None, kind, swarm,
			 seq if conn == "self" else conn, ip, port,
			 json.dumps(detail, separators=(",", ":")), salt))
		self.db.executemany(
			"INSERT INTO named VALUES (?,?,?,?,?)",
			[(seq, n, a, p, salt) for n, (a, p) in enumerate(names)])
		return seq

	def run(self, bound_ns=12_345_678, geo=None):
		self.add("run", {
			"program": "swarmwitness", "version": "0.1", "commit": "abc",
			"executable_sha256": "e" * 64, "libraries": {},
			"command": ["swarmwitness", "monitor", "case", "a<b>.torrent"],
			"config": {}, "operator": "A. Operator <b>", "purpose": "a test",
			"ground": None, "retention": "30 days",
			"host": {"name": "lab", "system": "Linux", "release": "6",
					 "machine": "x"},
			"vantage": ["10.77.0.1", "fd77::1"], "boot_id": "b",
			"case_id": "c", "key_run": 1, "key_prev": "0" * 64,
			"previous": None})
		self.add("key", {"vkey": "swarmwitness-x+00+AA",
						 "fingerprint": "f" * 64})
		self.add("clock", {"source": "sntp", "server": "10.77.0.9",
						   "outcome": "ok", "bound_ns": bound_ns})
		if geo:
			self.add("geo", {"file": "lab.mmdb", "sha256": geo})

	def torrent(self, swarm, name, pieces=64):
		self.add("torrent", {
			"source": "file", "version": "1", "infohash_v1": swarm,
			"infohash_v2": None, "name": name,
			"total_bytes": pieces * 16384 - 5, "piece_bytes": 16384,
			"pieces": pieces, "private": False, "files": [], "trackers": [],
			"notes": []}, swarm)

	def announce(self, swarm, names, tracker="http://10.77.0.9:6969/announce",
				 outcome="ok"):
		seq = self.add("announce", {
			"tracker": tracker, "sent_utc_ns": self.at, "outcome": outcome},
			swarm, ip="10.77.0.9", port=6969)
		if outcome == "ok":
			self.add("listed", {"source": "tracker", "witness": tracker,
								"announce": seq}, swarm, ip="10.77.0.9",
					 port=6969, names=names)

	def dial(self, swarm, ip, port, up=True, why="refused"):
		c = self.add("dial", {"transport": "tcp", "encryption": "none",
							  "source": "tracker", "attempt": 1}, swarm,
					 "self", ip, port)
		if up:
			self.add("reached", {"local": "10.77.0.1:4000", "took_ms": 3},
					 swarm, c, ip, port)
		else:
			self.add("unreached", {"why": why, "error": "x", "took_ms": 3,
								   "stalled": False}, swarm, c, ip, port)
		return c

	def accept(self, ip, port):
		return self.add("accept", {"transport": "tcp", "encryption": "rc4",
								   "local": "10.77.0.1:4000"}, None, "self",
						ip, port)

	def peer(self, conn, swarm, from_ip, from_port, kind, **detail):
		self.add(kind, dict({"by": "peer"}, **detail), swarm, conn, from_ip,
				 from_port)

	def handshake(self, conn, swarm, ip, port, client, expected=True,
				  peer_id=None):
		self.peer(conn, swarm, ip, port, "handshake",
				  infohash=swarm or "d" * 40,
				  peer_id=peer_id or hashlib.sha1(
					  f"{ip}{port}".encode()).hexdigest(),
				  client=client, expected=expected)

	def piece(self, conn, swarm, ip, port, piece, complete=True, match=True,
			  came=16384):
		self.peer(conn, swarm, ip, port, "piece", piece=piece, bytes=16384,
				  came=came, complete=complete, match=match,
				  files=[{"path": HOSTILE[:60], "from": piece * 16384,
						  "to": piece * 16384 + came, "pad": False}],
				  files_more=0)

	def close(self, conn, swarm, ip, port, by="us", why="sampled enough"):
		self.add("closed", {"by": by, "why": why, "rx_bytes": 99_000,
							"tx_bytes": 900}, swarm, conn, ip, port)

	def end(self, ended=True):
		if ended:
			self.add("end", {"why": "duration reached", "ok": True,
							 "records": self.seq, "connections": 4,
							 "duration_ms": 30000, "piece_bytes_sent": 0})
		self.db.execute(
			"INSERT INTO checkpoint VALUES (?,?,?,?)",
			(self.seq, self.at, "ab" * 32,
			 f"swarmwitness/c\n{self.seq}\nqqqq\n\n\u2014 swarmwitness-x AAAA\n"))
		self.db.execute("COMMIT")
		self.db.close()


A, B = "a" * 40, "b" * 40


def story(folder, geo=None, ended=True, bound_ns=12_345_678):
	"""One swarm with an endpoint at every level and every caution."""
	c = Case(folder)
	c.run(bound_ns, geo)
	c.torrent(A, HOSTILE)
	c.torrent(B, "A plain name.iso", 1000)
	c.announce(A, [("10.77.1.1", 6881), ("10.77.1.2", 6882),
				   ("10.77.1.3", 6883), ("fd77:1::4", 6884),
				   ("10.77.1.66", 9),
				   ("10.77.0.1", 4000), ("10.77.0.10", 4000)])
	c.announce(A, [("10.77.1.1", 6881)], "udp://10.77.0.9:6969")
	c.announce(A, [], "http://dead.example/announce", "timeout")
	c.announce(B, [("10.77.2.1", 51413)])
	seed = c.dial(A, "10.77.1.1", 6881)
	partial = c.dial(A, "10.77.1.2", 6882)
	liar = c.dial(A, "10.77.1.3", 6883)
	mute = c.dial(A, "fd77:1::4", 6884)
	c.dial(A, "10.77.1.66", 9, up=False)
	c.handshake(seed, A, "10.77.1.1", 6881, "qBittorrent 4.5.2")
	c.peer(seed, A, "10.77.1.1", 6881, "extended", client="qBittorrent/4.5.2",
		   port=6881, m={})
	c.peer(seed, A, "10.77.1.1", 6881, "have_all", claimed=64, pieces=64)
	c.handshake(partial, A, "10.77.1.2", 6882, "Transmission 3.00")
	c.peer(partial, A, "10.77.1.2", 6882, "bitfield", claimed=20, pieces=64)
	c.peer(partial, A, "10.77.1.2", 6882, "have", count=1, pieces=[7],
		   claimed=21)
	c.handshake(liar, A, "10.77.1.3", 6883, HOSTILE)
	c.peer(liar, A, "10.77.1.3", 6883, "extended", client=FORMULA, port=None)
	c.peer(liar, A, "10.77.1.3", 6883, "have_all", claimed=64, pieces=64)
	c.handshake(mute, None, "fd77:1::4", 6884, None, expected=False)
	caller = c.accept("10.77.1.9", 40123)
	c.handshake(caller, A, "10.77.1.9", 40123, "aria2 1.36.0")
	c.peer(caller, A, "10.77.1.9", 40123, "extended", client=None, port=6999)
	stranger = c.accept("10.77.1.10", 40999)
	for i in (3, 17, 40):
		c.piece(seed, A, "10.77.1.1", 6881, i)
	c.piece(partial, A, "10.77.1.2", 6882, 7, False, None, 8192)
	c.add("stall", {"cause": "loop", "from_utc_ns": c.at - 2 * S,
					"to_utc_ns": c.at - S, "lag_ms": 1000, "dropped": 0})
	c.at += 70 * S                          # past midnight
	c.piece(liar, A, "10.77.1.3", 6883, 1, True, False)
	c.piece(seed, A, "10.77.1.1", 6881, 50)
	c.close(seed, A, "10.77.1.1", 6881)
	c.close(partial, A, "10.77.1.2", 6882, "peer", "eof")
	c.close(liar, A, "10.77.1.3", 6883)
	c.close(mute, A, "fd77:1::4", 6884)
	c.close(stranger, None, "10.77.1.10", 40999, "peer", "eof")
	c.add("packets", {"file": "packets/000001.pcap", "sha256": "1" * 64,
					  "bytes": 123456, "packets": 789,
					  "first_utc_ns": c.at - 90 * S, "last_utc_ns": c.at,
					  "dropped_kernel": 2, "dropped_interface": 0,
					  "interface": "eth0", "filter": "tcp", "salvaged": False})
	c.end(ended)


def crowd(folder, peers=10_000):
	"""Many endpoints, for the size of a page."""
	c = Case(folder)
	c.run()
	c.torrent(A, "A crowd.iso", 2000)
	def ip(i):
		return f"10.{77 + (i >> 16)}.{i >> 8 & 255}.{i & 255}"
	for i in range(0, peers, 200):
		c.announce(A, [(ip(k), 6881) for k in range(i, min(i + 200, peers))])
	for i in range(0, peers, 2):
		conn = c.dial(A, ip(i), 6881, up=i % 3 != 0)
		if i % 3:
			c.handshake(conn, A, ip(i), 6881, "µTorrent 3.6")
			c.peer(conn, A, ip(i), 6881, "bitfield", claimed=i % 2000,
				   pieces=2000)
			if i % 5 == 0:
				c.piece(conn, A, ip(i), 6881, i % 2000)
			c.close(conn, A, ip(i), 6881)
	c.end()


def imported(folder):
	"""Somebody else's packets: a seed that gives a piece to another, seen
	from the middle on. Neither end is the observer."""
	c = Case(folder)
	c.add("run", {
		"program": "swarmwitness", "version": "0.1", "commit": "abc",
		"executable_sha256": "e" * 64, "libraries": {},
		"command": ["swarmwitness", "capture", "case", "theirs.pcap"],
		"config": {"import": True, "files": ["theirs.pcap"], "torrents": [],
				   "secrets": None, "custody": "Custody is proved from the "
				   "import on only.", "clock": "The clock is as given; its "
				   "bound is unknown."},
		"operator": None, "purpose": "an import", "ground": None,
		"retention": None, "host": {"name": "lab", "system": "Linux",
									"release": "6", "machine": "x"},
		"vantage": [], "boot_id": "b", "case_id": "c", "key_run": 1,
		"key_prev": "0" * 64, "previous": None})
	c.add("key", {"vkey": "swarmwitness-x+00+AA", "fingerprint": "f" * 64})
	c.add("clock", {"source": "packets", "outcome": "as given",
					"bound_ns": None})
	c.torrent(A, "theirs.iso")
	c.live = False
	seed, leech = ("10.77.3.1", 6881), ("10.77.3.2", 50001)
	f = c.add("flow", {"transport": "tcp", "initiator": "%s:%d" % leech,
					   "responder": "%s:%d" % seed, "began": "middle",
					   "file": "packets/000001.pcap", "frame": 7}, A, "self",
			  *leech)
	c.handshake(f, A, *leech, "aria2 1.36.0")
	c.handshake(f, A, *seed, "Transmission 3.00")
	c.peer(f, A, *seed, "have_all", claimed=64, pieces=64)
	c.peer(f, A, *leech, "request", count=1, blocks=[[5, 0, 16384]])
	c.piece(f, A, *seed, 5)
	c.peer(f, A, *seed, "gap", bytes=99, stream_offset=7, fatal=True)
	c.add("closed", {"by": "capture", "why": "the capture ended"}, A, f, *leech)
	c.live = True
	c.end()


def two_sources(folder):
	"""A swarm of 500, of which trackers name 200 and the DHT 150, at random
	but always the same."""
	import random
	c = Case(folder)
	c.run()
	c.torrent(A, "counted.iso")
	whole = [("10.78.%d.%d" % (i >> 8, i & 255), 6881) for i in range(500)]
	draw = random.Random(2)
	a, b = draw.sample(whole, 200), draw.sample(whole, 150)
	c.announce(A, a)
	for i in range(0, len(b), 50):
		c.add("dht", {"query": "get_peers", "infohash": A}, A,
			  ip="10.77.0.77", port=6881, names=b[i:i + 50])
	c.add("dht", {"lookup": "get_peers", "infohash": A,
				  "began_utc_ns": c.at - 9 * S, "answered": 3}, A)
	c.add("stamp", {"tsa": "http://tsa.example/<b>", "outcome": "ok",
					"error": None, "http_status": 200, "size": 5,
					"gen_utc_ns": START, "accuracy_ns": 1000000000})
	c.add("stamp", {"tsa": "http://other.example", "outcome": "timeout",
					"error": "no answer", "http_status": 0, "size": 5,
					"gen_utc_ns": None, "accuracy_ns": None})
	c.end()
	return len(set(a)), len(set(b)), len(set(a) & set(b))


def copied(folder, name, announce="http://10.77.0.9/announce"):
	"""One file of that name, a piece of which a seed delivered, its metainfo
	in the ledger. The file's bytes."""
	data = hashlib.shake_256(b"copy").digest(70000)
	info = {"name": name, "length": len(data), "piece length": 32768,
			"pieces": b"".join(hashlib.sha1(data[i:i + 32768]).digest()
							   for i in range(0, len(data), 32768))}
	swarm = hashlib.sha1(bencode(info)).hexdigest()
	c = Case(folder)
	c.run()
	c.torrent(swarm, name)
	c.db.execute("INSERT INTO raw VALUES (?, ?)", (c.seq - 1, bencode(
		{"announce": announce, "info": info})))
	conn = c.dial(swarm, "10.77.1.1", 6881)
	c.handshake(conn, swarm, "10.77.1.1", 6881, "qBittorrent")
	c.piece(conn, swarm, "10.77.1.1", 6881, 1)
	c.close(conn, swarm, "10.77.1.1", 6881)
	c.end()
	return data
