#!/usr/bin/env python3
"""Excerpts of a real run, packets and all, in which the address names others in
every way a client does: by PEX in one torrent and in another from the same port,
over uTP, from its DHT node on the port of its uTP, as a tracker, and by PEX that
came when the monitor had closed. No
other peer's address may be in any byte of any file of the excerpt."""
import ipaddress
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory				# noqa: E402
import pcap						# noqa: E402
import peopled						# noqa: E402
from content import Content, bdecode, bencode		# noqa: E402
from holding import holds				# noqa: E402
from hostile import handshake, http, message, read	# noqa: E402
from tap import Tap					# noqa: E402
from test_census import alone				# noqa: E402
from watching import LIMIT_S				# noqa: E402

tap = Tap()
ME, PORT, LISTEN = "127.0.5.1", 6881, 16881
EXTENDED = bytes(5) + b"\x10\0\4"
# Who is named, and how.
WAYS = ("pex", "other swarm", "utp", "dht", "tracker", "late")
OTHERS = {way: [("127.0.6.%d" % (10 * i + k), 7100 + 10 * i + k)
    for k in (1, 2)] + [("fd0a:77::ab:%x" % (0xcd00 + i), 7200 + i)]
    for i, way in enumerate(WAYS, 1)}
said = {way: 0 for way in WAYS}
# An address that has spoken is dialled by uTP as soon as TCP is refused; of one
# that has not that takes a minute.
spoke = threading.Event()


def compact(way, family):
	return b"".join(ipaddress.ip_address(ip).packed + struct.pack(">H", port)
	    for ip, port in OTHERS[way]
	    if ipaddress.ip_address(ip).version == family)


def pex(number, way):
	said[way] += 1
	return message(20, bytes([number]) + bencode({
	    "added": compact(way, 4), "added.f": b"\0\0", "dropped": b"",
	    "added6": compact(way, 6), "added6.f": b"\0", "dropped6": b""}))


class Wire:
	"""One conversation's bytes, over whatever carries them."""

	def __init__(self, contents):
		self.contents, self.got, self.blocks = contents, b"", 0
		self.pex = self.content = None

	def hear(self, data):
		"""What to answer, a list of bytes."""
		self.got += data
		out = []
		while True:
			if self.content is None:
				if len(self.got) < 68:
					return out
				self.content = self.contents[self.got[28:48]]
				self.got = self.got[68:]
				out.append(self.greeting())
				continue
			if len(self.got) < 4:
				return out
			n, = struct.unpack(">I", self.got[:4])
			if len(self.got) < 4 + n:
				return out
			m, self.got = self.got[4:4 + n], self.got[4 + n:]
			out += self.answer(m)

	def greeting(self):
		return handshake(self.content.info_hash, EXTENDED) + message(20,
		    b"\0" + bencode({"m": {"ut_pex": 1}, "v": "x"})) + \
		    message(14)

	def answer(self, m):
		if m[:2] == b"\x14\0":
			self.pex = bdecode(m[2:])[0][b"m"].get(b"ut_pex")
			return [pex(self.pex, self.way()), message(1)]
		if m[:1] == b"\6":
			i, at, n = struct.unpack(">III", m[1:])
			self.blocks += 1
			return [message(7, m[1:9] +
			    self.content.piece(i)[at:at + n])]
		return []


class Tcp(Wire):
	def __init__(self, contents, s, goes):
		super().__init__(contents)
		self.s, self.goes = s, goes

	def way(self):
		return self.content.name.split("-")[0]

	def serve(self):
		self.s.settimeout(60)
		with self.s:
			try:
				while data := self.s.recv(65536):
					for part in self.hear(data):
						self.s.sendall(part)
					if self.goes and self.blocks == 8:
						time.sleep(0.5)
						return
				# It has closed: whatever comes now it does not
				# read, but its recorder does.
				if self.pex:
					self.s.sendall(pex(self.pex, "late"))
			except OSError:
				pass


class Utp(Wire):
	"""The far end of a dial over uTP: nothing is lost on loopback."""

	def __init__(self, contents, s, to, syn):
		super().__init__(contents)
		self.s, self.to = s, to
		self.id, self.seq, self.ack = syn[0], 1000, syn[1]
		self.send(2, b"")

	def way(self):
		return "utp"

	def send(self, kind, data):
		self.s.sendto(struct.pack(">BBHIIIHH", kind << 4 | 1, 0, self.id,
		    int(time.monotonic() * 1e6) & 0xffffffff, 0, 1 << 16,
		    self.seq & 0xffff, self.ack) + data, self.to)

	def take(self, kind, seq, data):
		if kind == 1:			# FIN
			self.ack = seq
			self.send(2, b"")
		if kind or seq != self.ack + 1 & 0xffff:
			return
		self.ack = seq
		self.send(2, b"")
		for part in self.hear(data):
			for i in range(0, len(part), 1000):
				self.send(0, part[i:i + 1000])
				self.seq += 1


def datagrams(contents, s):
	talks = {}
	while True:
		data, to = s.recvfrom(65536)
		if len(data) < 20 or data[0] & 15 != 1:
			continue
		kind, ext, number, _, _, _, seq, _ = struct.unpack(">BBHIIIHH",
		    data[:20])
		kind >>= 4
		at = 20
		while ext:
			ext, n = data[at], data[at + 1]
			at += 2 + n
		if kind == 4:
			talks[to, number + 1 & 0xffff] = Utp(contents, s, to,
			    (number, seq))
			# Its DHT node answers from the same port.
			said["dht"] += 1
			s.sendto(bencode({"t": b"aa", "y": "r", "r": {
			    "id": bytes(20), "values": [ipaddress.ip_address(
			    ip).packed + struct.pack(">H", port)
			    for ip, port in OTHERS["dht"]]}}), to)
		elif (to, number) in talks:
			talks[to, number].take(kind, seq, data[at:])


def tracker(listener, peers):
	"""Of the address itself: what it answers names others, too."""
	while True:
		s, _ = listener.accept()
		with s:
			got = b""
			while b"\r\n\r\n" not in got:
				more = s.recv(4096)
				if not more:
					break
				got += more
			spoke.wait(20)
			said["tracker"] += 1
			s.sendall(http(bencode({"interval": 1800,
			    "peers": peers + compact("tracker", 4),
			    "peers6": compact("tracker", 6)})))


def bound(kind, port):
	s = socket.socket(socket.AF_INET, kind)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	s.bind((ME, port))
	if kind == socket.SOCK_STREAM:
		s.listen(16)
	return s


def begin(call, *args):
	threading.Thread(target=call, args=args, daemon=True).start()


def dial(contents, wanted):
	"""The monitor, once it listens: once for each swarm, from one port."""
	for content in wanted:
		for _ in range(200):
			s = socket.socket()
			s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
			try:
				s.bind((ME, 6999))
				s.connect(("127.0.0.1", LISTEN))
				break
			except OSError:
				s.close()
				time.sleep(0.1)
		t = Tcp(contents, s, content is wanted[0])
		t.content = content
		s.sendall(t.greeting())
		try:
			read(s, 68)
			spoke.set()
			t.serve()
		except OSError:
			s.close()


def run(folder, key, *options):
	listener = bound(socket.SOCK_STREAM, 0)
	at = "http://%s:%d/announce" % listener.getsockname()
	all_of = [Content(way + "-swarm", way, [[at]])
	    for way in ("pex", "other swarm")]
	contents = {c.info_hash: c for c in all_of}
	here = ipaddress.ip_address(ME).packed + struct.pack(">H", PORT)
	begin(tracker, listener, here)
	begin(datagrams, contents, bound(socket.SOCK_DGRAM, PORT))
	torrents = []
	for c in all_of:
		torrents.append(os.path.join(folder, c.infohash + ".torrent"))
		with open(torrents[-1], "wb") as f:
			f.write(c.torrent)
	case = os.path.join(folder, "case")
	p = subprocess.Popen([laboratory.PROGRAM, "monitor", "--bind",
	    "127.0.0.1", "--allow-local", "--no-dht", "--interface", "lo",
	    "--encryption", "off", "--listen", str(LISTEN), "--sample", "2",
	    "--key", key, "--duration", str(LIMIT_S), *options, case,
	    *torrents], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
	    text=True, preexec_fn=laboratory.die_with_parent)
	begin(dial, contents, all_of)
	# What comes late comes when it ends.
	while p.poll() is None and not all(said[w] for w in WAYS[:-1]):
		time.sleep(0.1)
	time.sleep(5)		# for what is said more than once
	p.send_signal(signal.SIGINT)
	_, err = p.communicate(timeout=120)
	tap.equal(p.returncode, 0, "a run of two swarms")
	if p.returncode:
		print(err)
	return case, [c.infohash for c in all_of]


def rows(case, sql):
	db = sqlite3.connect("file:%s/evidence.db?mode=ro" % case, uri=True)
	got = db.execute(sql).fetchall()
	db.close()
	return got


def found(folder):
	"""The ways whose addresses any byte of any file has: as text, with a port
	packed; without one, in all but the pages of a database, which are full of
	random hashes: there, in what the tables say."""
	ways = set()
	for at, _, names in os.walk(folder):
		for name in names:
			with open(os.path.join(at, name), "rb") as f:
				data = f.read()
			plain = peopled.texts(os.path.join(at, name)) \
			    if name == "evidence.db" else data
			for way, peers in OTHERS.items():
				for peer in peers:
					sure, short = peopled.forms(*peer)
					if any(s in data for s in sure) or \
					    any(s in plain for s in short):
						ways.add(way)
	return ways


def payloads(out):
	"""Bytes that the address sent, as the excerpt shows them."""
	file = os.path.join(out, "packets/excerpt.pcap")
	return sum(len(t) - ((t[12] >> 4) * 4 if protocol == 6 else 28)
	    for _, protocol, src, _, t in pcap.segments(file) if src == ME)


def main():
	laboratory.as_root()
	alone()
	with tempfile.TemporaryDirectory(prefix="sw-excerpt-") as folder:
		key = os.path.join(folder, "key")
		case, swarms = run(folder, key)
		tap.equal([w for w in WAYS if not said[w]], [],
		    "the peer named others in each of %d ways" % len(WAYS))
		holds(tap, case, "the case")
		tap.equal(found(case), set(WAYS), "and all are in the case's "
		    "files")
		day, = {r[0] for r in rows(case, "SELECT substr(subject, -10) "
		    "FROM subject WHERE subject LIKE '%s|%%'" % ME)} or {""}
		for what, options in (("all", []), ("one swarm", ["--swarm",
		    swarms[0]]), ("the other", ["--swarm", swarms[1]]),
		    ("a port", ["--port", str(PORT)]), ("a day", ["--from",
		    day, "--to", day])):
			out = os.path.join(folder, what)
			r = peopled.sw("excerpt", case, "--ip", ME, *options,
			    out)
			tap.equal(r.returncode, 0, "an excerpt of " + what)
			holds(tap, out, "the excerpt of " + what)
			tap.equal(found(out), set(), "no byte of it has any "
			    "other's address")
			tap.claim(payloads(out) > 0, "and it shows what the "
			    "address sent", r.stdout + r.stderr)
			print("# " + r.stdout.strip())
		out = os.path.join(folder, "whole")
		r = peopled.sw("excerpt", case, "--ip", ME, "--all-packets", out)
		tap.claim(r.returncode == 0 and found(out) >= {"pex", "utp",
		    "late", "dht"}, "--all-packets has them", found(out))
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
