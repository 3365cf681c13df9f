#!/usr/bin/env python3
"""A true case holds: what packets and a run can see differently, provoked.

The monitor is stopped where it matters, so that what a peer sends lies in the
kernel, captured and not read, when the monitor next says something; a peer
sends urgent bytes, a reset that nobody heeds, takes nothing of what it is told;
a call is taken up only when its caller has called again from the same port; a
route goes away before the first word; a tracker's answer comes in fragments.
"""
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import hostile				# noqa: E402
import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from content import Content		# noqa: E402
from holding import holds		# noqa: E402
from hostile import handshake, message, read	# noqa: E402
from tap import Tap			# noqa: E402
from test_history import rewrite	# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

PORT, BLOCK = 6881, 16384
EXTENDED = bytes(5) + b"\x10\0\4"
ETH_P_ALL, TIOCINQ, TIOCOUTQ = 3, 0x541b, 0x5411
tap = Tap()


class Scene:
	"""The lab, and what the peers must know of the monitor."""

	def __init__(self, lab):
		tracker = lab.host("tracker", 1)
		self.lab, self.watch = lab, lab.host("monitor", 100)
		lab.watch = self.watch
		self.done, self.said, self.case = set(), {}, None
		hosts = [(what, lab.host(what.__name__, 10 + i))
		    for i, what in enumerate(PEERS)]
		self.caller = lab.host("caller", 90)
		self.many = Fragments(tracker)
		self.content = Content("replayed swarm", "replayed",
		    [["udp://%s:%d/announce" % (tracker.address,
		    Fragments.PORT)]])
		self.torrent = lab.torrent = os.path.join(lab.folder,
		    "replayed.torrent")
		with open(self.torrent, "wb") as f:
			f.write(self.content.torrent)
		self.hosts = {what.__name__: host for what, host in hosts}
		self.peers = {what.__name__: hostile.Peer(what.__name__, host,
		    self.content, self.of(what), PORT)
		    for what, host in hosts}
		self.many.peers = [(p.address, PORT)
		    for p in self.peers.values()]
		laboratory.ip(self.hosts["mute"].ns,
		    "route replace blackhole 10.77.0.0/16")
		self.turn = threading.Lock()	# one at a time stops it

	def of(self, what):
		def play(s, c):
			if what.__name__ in self.done:
				return
			try:
				what(self, s, c)
			except OSError as e:
				self.said[what.__name__] = e
				raise
			self.done.add(what.__name__)
		return play

	def stop(self):
		self.turn.acquire()
		os.kill(self.pid, signal.SIGSTOP)
		while self.state() != "T":
			time.sleep(0.01)

	def go_on(self):
		os.kill(self.pid, signal.SIGCONT)
		self.turn.release()

	def state(self):
		with open("/proc/%d/stat" % self.pid) as f:
			return f.read().rsplit(")", 1)[1].split()[0]


def claims(c, *pieces):
	held = bytearray((c.pieces + 7) // 8)
	for i in pieces:
		held[i >> 3] |= 0x80 >> (i & 7)
	return message(5, bytes(held))


def requests(s, n):
	"""The next n requests: [(piece, begin, bytes)]"""
	found = []
	while len(found) < n:
		m = read(s, struct.unpack(">I", read(s, 4))[0])
		if m[:1] == b"\6":
			found.append(struct.unpack(">III", m[1:]))
	return found


def block(c, i, at, n):
	return message(7, struct.pack(">II", i, at) + c.piece(i)[at:at + n])


def taken(s):
	"""Whether the other kernel has acknowledged all that was sent."""
	left = bytearray(4)
	fcntl.ioctl(s, TIOCOUTQ, left)
	return struct.unpack("I", left)[0] == 0


def until(held, seconds=60):
	end = time.monotonic() + seconds
	while not held():
		if time.monotonic() > end:
			raise OSError("it never came to be")
		time.sleep(0.02)


# --- peers -------------------------------------------------------------------

def ahead(scene, s, c):
	"""Gives a block before it can have been asked for, behind one that was:
	both lie in the kernel when the monitor, having read the first, asks for
	the second."""
	read(s, 68)
	s.sendall(handshake(c.info_hash) + claims(c, 0, 1) + message(1))
	first = requests(s, 4)
	for r in first[:3]:
		s.sendall(block(c, *r))
	second = requests(s, 3)
	piece = second[0][0]
	scene.stop()
	try:
		# The monitor reads a block and 1 KiB at most.
		s.sendall(block(c, *first[3]) + message(99, bytes(1100)) +
		    block(c, piece, 3 * BLOCK, BLOCK))
		until(lambda: taken(s))
	finally:
		scene.go_on()
	for r in second:
		s.sendall(block(c, *r))
	requests(s, 1)


def eager(scene, s, c):
	"""Uses an id of the monitor's before it can have been told."""
	read(s, 68)
	scene.stop()
	try:
		peer = socket.inet_aton("203.0.113.7") + b"\x1a\xe1"
		s.sendall(handshake(c.info_hash, EXTENDED) +
		    message(99, bytes(17400)) + message(20, b"\1" +
		    b"d5:added6:" + peer + b"e"))
		until(lambda: taken(s))
	finally:
		scene.go_on()


def urgent(scene, s, c):
	"""Urgent bytes, in the midst of a message and as its last."""
	read(s, 68)
	s.sendall(handshake(c.info_hash))
	for i in range(3):
		m = message(99, b"urgent %d" % i)
		s.sendall(m[:8])
		s.send(m[8:9], socket.MSG_OOB)
		s.sendall(m[9:-1])
		s.send(m[-1:], socket.MSG_OOB)
	s.sendall(claims(c, 2))


def shut(scene, s, c):
	"""Takes nothing any more; then what is written to it stays behind."""
	read(s, 68)
	s.sendall(handshake(c.info_hash) + claims(c, 3))
	while (n := struct.unpack(">I", read(s, 4))[0]) != 1 or \
	    read(s, n) != b"\2":
		if n != 1:
			read(s, n)
	s.sendall(b"".join(message(6, struct.pack(">III", 3, i * BLOCK % 65536,
	    BLOCK)) for i in range(900)))
	left, before = bytearray(4), -1
	while before != (now := struct.unpack("I", left)[0]) or now == 0:
		before = now
		time.sleep(1)
		fcntl.ioctl(s, TIOCINQ, left)
	s.sendall(message(1))
	address = scene.peers["shut"].address
	until(lambda: scene.ask(lambda case: case.records("request",
	    ip=address, by="us") or case.records("closed", ip=address)))
	s.close()		# with bytes unread: a reset


def alarm(scene, s, c):
	"""A reset of the right number and a wrong checksum comes, which no
	kernel heeds; and goes on."""
	host = scene.hosts["alarm"]
	tap_ = host.socket(socket.AF_PACKET, socket.SOCK_RAW)
	tap_.bind(("eth0", ETH_P_ALL))
	read(s, 68)
	s.sendall(handshake(c.info_hash))
	us, them = s.getsockname(), s.getpeername()
	while True:
		f = tap_.recv(2048)
		if f[12:14] != b"\x08\0" or f[23] != 6:
			continue
		head = (f[14] & 15) * 4 + 14
		if f[26:30] == socket.inet_aton(us[0]) and \
		    f[30:34] == socket.inet_aton(them[0]) and struct.unpack(
		    ">HH", f[head:head + 4]) == (us[1], them[1]):
			n = struct.unpack(">H", f[16:18])[0] + 14 - head - \
			    (f[head + 12] >> 4) * 4
			if n == 68:
				break
	seq, ack = struct.unpack(">II", f[head + 4:head + 12])
	ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 7, 0, 64, 6, 0,
	    socket.inet_aton(us[0]), socket.inet_aton(them[0]))
	total = sum(struct.unpack(">10H", ip))
	total = (total & 0xffff) + (total >> 16)
	total = ~((total & 0xffff) + (total >> 16)) & 0xffff
	ip = ip[:10] + struct.pack(">H", total) + ip[12:]
	tap_.send(f[:14] + ip + struct.pack(">HHIIBBHHH", us[1], them[1],
	    seq + 68, ack, 0x50, 0x14, 0, 0xdead, 0))
	time.sleep(0.2)
	s.sendall(claims(c, 4) + message(99, b"still there"))
	time.sleep(1)


def mute(scene, s, c):
	"""See break_off: nothing that the monitor writes ever leaves it."""


PEERS = (ahead, eager, urgent, shut, alarm, mute)


def break_off(scene):
	"""Its answer to the SYN gets through while the monitor is stopped, and
	before that goes on there is no route to it any more."""
	host = scene.hosts["mute"]
	until(lambda: scene.ask(lambda case: case.records("dial",
	    ip=host.address)))
	scene.stop()
	try:
		laboratory.ip(host.ns, "route del blackhole 10.77.0.0/16",
		    "route replace 10.77.0.0/16 dev eth0")
		until(lambda: scene.peers["mute"].accepted, 20)
		laboratory.ip(scene.watch.ns, "route add blackhole %s/32" %
		    host.address)
	finally:
		scene.go_on()
	scene.done.add("mute")


def call_again(scene):
	"""Two calls from one port, the first without a word, before either is
	taken up."""
	def call():
		s = scene.caller.socket()
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
		    struct.pack("ii", 1, 0))	# closing resets
		s.bind((scene.caller.address, 40000))
		s.settimeout(60)
		s.connect((scene.watch.address, PORT))
		return s
	scene.stop()
	try:
		call().close()
		s = call()
		s.sendall(b"what is this?")
		until(lambda: taken(s))
		s.close()
		s = call()
		s.sendall(handshake(scene.content.info_hash, EXTENDED))
		until(lambda: taken(s))
	finally:
		scene.go_on()
	read(s, 68)
	s.sendall(message(99, b"it is me"))
	time.sleep(1)
	s.close()
	scene.done.add("caller")


# --- the tracker ---------------------------------------------------------------

class Fragments:
	"""A UDP tracker (BEP 15) whose answer is longer than a link carries in
	one packet."""
	PORT = 7000

	def __init__(self, host):
		self.peers, self.answered = [], 0
		self.s = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.s.bind((host.address, self.PORT))
		threading.Thread(target=self.serve, daemon=True).start()

	def serve(self):
		while True:
			q, who = self.s.recvfrom(2048)
			action, number = struct.unpack(">II", q[8:16])
			if action == 0:
				self.s.sendto(struct.pack(">IIQ", 0, number,
				    1), who)
			elif action == 1:
				# 224.0.0.0/4 is nobody's: not dialled.
				fill = [("224.1.%d.%d" % (i >> 8, i & 255), 1)
				    for i in range(400)]
				self.s.sendto(struct.pack(">IIIII", 1, number,
				    1800, 0, 1) + b"".join(
				    socket.inet_aton(a) + struct.pack(">H", p)
				    for a, p in self.peers + fill), who)
				self.answered += 1


# --- the story -------------------------------------------------------------------

def observe(lab, path):
	scene = Scene(lab)
	watch = Watch(lab.monitor(path, "--listen", str(PORT), "--no-utp",
	    "--max-rate", "100000000", "--encryption", "off", "--no-dht",
	    key=os.path.join(os.path.dirname(path), "key"),
	    duration=LIMIT_S, stdout=subprocess.DEVNULL,
	    stderr=open(os.path.join(lab.folder, "log"), "w+")), path,
	    scene.content.pieces)
	scene.ask, scene.pid = watch.ask, watch.monitor.pid
	watch.until("dial", lambda case: case.records("dial"))
	for job in (break_off, call_again):
		try:
			job(scene)
		except OSError as e:
			scene.said[job.__name__] = e
	expected = {what.__name__ for what in PEERS} | {"caller"}
	watch.until("end of each", lambda case: scene.done >= expected, 120)
	watch.end()
	tap.equal(watch.monitor.poll(), 0, "the monitor ends with 0")
	tap.equal(sorted(expected - scene.done), [], "every peer could play "
	    "its part %s" % (scene.said or ""))
	return scene


def check(case, scene):
	"""That each did provoke what it is here for."""
	def at(name, kind, by="peer"):
		return case.records(kind, ip=scene.peers[name].address, by=by)

	pieces = [r.d["match"] for r in at("ahead", "piece")]
	tap.equal((pieces, len(at("ahead", "block"))), ([True, True], 0),
	    "ahead: the block that came before its request was taken up, "
	    "since it was read behind it")
	tap.claim(len(at("eager", "pex")) == 1, "eager: an id was known when "
	    "it was read, not when it came")
	raw = b"".join(r.raw for r in at("urgent", "message"))
	tap.claim(all(b"urgent %d" % i in raw for i in range(3)) and
	    at("urgent", "bitfield"), "urgent: the bytes stay in the stream",
	    raw)
	tap.claim(at("shut", "request", "us") and [r.d["came"]
	    for r in at("shut", "piece")] == [0], "shut: it was asked for a "
	    "piece and gave nothing")
	tap.claim(at("alarm", "bitfield"), "alarm: what came behind the reset "
	    "was read")
	ends = case.records("closed", ip=scene.peers["mute"].address)
	tap.claim(at("mute", "greeted", "us") and
	    [r.d["rx_bytes"] for r in ends] == [0], "mute: it was greeted, "
	    "and said nothing", [r.d for r in ends])
	called = case.records("accept", ip=scene.caller.address)
	tap.claim(len(called) >= 2 and case.records("handshake",
	    ip=scene.caller.address, by="peer"), "caller: its last call was "
	    "heard", [r.port for r in called])
	tap.claim(scene.many.answered and any(len(r.raw) > 1500
	    for r in case.records("listed")), "the tracker's answer is "
	    "longer than a packet")
	tap.equal(case.undocumented(), [], "every record's kind and keys are "
	    "as docs/evidence-format.md says")


def check_older(path):
	"""The same case as it was before there was `heard`: it holds, and what
	does not hang on that order is held against the packets still."""
	key, older = os.path.join(os.path.dirname(path), "key"), path + " older"
	strip = "UPDATE record SET detail = json_remove(detail, '$.heard') " \
	    "WHERE json_extract(detail, '$.heard') IS NOT NULL"
	for sql, status, said in (
	    ([], 0, "have no full support"),
	    (["UPDATE record SET detail = json_set(detail, '$.infohash', "
	    "'%s') WHERE kind = 'handshake'" % ("ab" * 20)], 1,
	    "of the ledger are not in the packets"),
	    (["UPDATE record SET ip = '10.77.9.9' WHERE kind = 'piece'"], 1,
	    "bears another endpoint")):
		shutil.rmtree(older, ignore_errors=True)
		shutil.copytree(path, older)
		rewrite(older, key, strip, *sql)
		p = subprocess.run([laboratory.PROGRAM, "verify", older],
		    capture_output=True, text=True, timeout=600)
		tap.claim(p.returncode == status and said in p.stdout +
		    p.stderr, "without heard%s: exit %d, and it says \"%s\"" %
		    (", and altered" if sql else "", status, said), p.stdout +
		    p.stderr)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-replay-",
	    ignore_cleanup_errors=True) as folder:
		path = os.path.join(folder, "case")
		with laboratory.Lab() as lab:
			scene = observe(lab, path)
		case = Case(path, scene.content.pieces)
		check(case, scene)
		case.close()
		holds(tap, path)
		check_older(path)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
