#!/usr/bin/env python3
"""Trackers and time servers, real and hostile, asked by `swarmwitness monitor`.

All of it in one network namespace that leads nowhere. The truth is what the
servers here sent and got: opentracker's own counts, chrony's clock, which is
ours, and the bytes that the mocks saw. (test_hostile has more trackers that
misbehave over HTTP.)
"""
import gzip
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from caseview import Case		# noqa: E402
from content import bencode, bdecode	# noqa: E402
from lab import PROGRAM, ROOT, as_root	# noqa: E402
from tap import Tap			# noqa: E402
from trackers import (CONNECTION, Http, PEERS, PEERS6, PUBLIC,	# noqa: E402
    Seen, Udp, after_connect, behave, compact, enter_namespace, reply, told,
    torrent)
from tsa_lab import Authority	# noqa: E402

DURATION_S = 37		# longer than HTTP's 30 s and UDP's first 15 s
SHUT = ["udp://127.0.0.1:3/a", "udp://[::1]:3/a"]	# nobody listens
UNIX_NTP = 2208988800
tap = Tap()


# --- mocks -------------------------------------------------------------------


def drip(s, path):
	s.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
	while True:
		s.sendall(b"d")
		time.sleep(1)


def moved(to):
	def answer(s, path):
		if path.startswith("/announce"):
			s.sendall(b"HTTP/1.1 302 Found\r\nContent-Length: 3"
			    b"\r\nConnection: close\r\nLocation: %s\r\n\r\nxxx" % to)
		else:
			body = reply()
			s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
			    b"Connection: close\r\n\r\n" % len(body) + body)
	return answer


def wrong_first(m, b, send):
	good = []
	behave(m, b, good.append)
	for i in 1, 2:
		send(good[0][:4] + bytes(x ^ i for x in good[0][4:8]) +
		    good[0][8:])
	send(b"\0\0")
	send(good[0])


def late(m, b, send):
	if len(m.requests) > 1:
		behave(m, b, send)


class Elsewhere(Udp):
	"""Answers well, from another port than was asked."""

	def run(self):
		out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		while True:
			b, them = self.s.recvfrom(4096)
			self.requests.append(b)
			behave(self, b, lambda x: out.sendto(x, them))


class Ntp(threading.Thread):
	def __init__(self, change=lambda p: p, shift_s=0):
		super().__init__(daemon=True)
		self.change, self.shift, self.n = change, shift_s, 0
		self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.s.bind(("127.0.0.1", 0))
		self.name = "127.0.0.1:%d" % self.s.getsockname()[1]
		self.start()

	def run(self):
		while True:
			b, who = self.s.recvfrom(512)
			self.n += 1
			now = int((time.time() + self.shift + UNIX_NTP) *
			    2**32)
			p = self.change(struct.pack(">BBbbII4s8s8sQQ", 0x24, 2,
			    6, -20, 0x100, 0x200, b"TEST", bytes(8),
			    b[40:48], now, now))
			if p:
				self.s.sendto(p, who)


# --- the place ---------------------------------------------------------------


class Servers:
	"""chronyd and opentracker, ended by their process ids."""

	def __init__(self, folder):
		self.folder, self.processes = folder, []

	def __enter__(self):
		return self

	def __exit__(self, *_):
		for p in self.processes:
			p.terminate()
		for p in self.processes:
			try:
				p.wait(5)
			except subprocess.TimeoutExpired:
				p.kill()
				p.wait()

	def run(self, *command):
		log = open(os.path.join(self.folder, os.path.basename(
		    command[0]) + ".log"), "wb")
		self.processes.append(subprocess.Popen(command, stdout=log,
		    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL))

	def chrony(self):
		conf = os.path.join(self.folder, "chrony.conf")
		with open(conf, "w") as f:
			f.write("local stratum 5\nallow\nport 12300\ncmdport 0"
			    "\nbindaddress 127.0.0.1\npidfile %s/chrony.pid\n"
			    "user root\nbindcmdaddress /\n" % self.folder)
		# tests/deps unpacks it where the machine has none.
		own = os.path.join(ROOT, ".tools/usr/sbin/chronyd")
		self.run(own if os.path.exists(own) else "/usr/sbin/chronyd",
		    "-x", "-d", "-f", conf)
		return "127.0.0.1:12300"

	def opentracker(self, *hashes):
		home = os.path.join(self.folder, "opentracker")
		os.mkdir(home)
		os.chmod(home, 0o755)
		with open(os.path.join(home, "white"), "w") as f:
			f.write("".join(h + "\n" for h in hashes))
		self.run("opentracker", "-i", "127.0.0.1", "-p", "6969", "-P",
		    "6969", "-d", home, "-w", "white")
		for _ in range(50):
			try:
				socket.create_connection(("127.0.0.1",
				    6969)).close()
				return
			except OSError:
				time.sleep(0.1)


def self_signed(folder):
	pem = os.path.join(folder, "tls.pem")
	subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
	    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
	    "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
	    "-keyout", pem, "-out", pem + ".crt"], check=True,
	    stderr=subprocess.DEVNULL)
	c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
	c.load_cert_chain(pem + ".crt", pem)
	return c


def monitor(folder, case, *options, torrents, duration=DURATION_S,
    pause=False):
	"""pause: it is stopped for a second, as by a busy host."""
	start = time.monotonic()
	p = subprocess.Popen([PROGRAM, "monitor", "--no-packets", "--key",
	    os.path.join(folder, "key"), "--duration", str(duration),
	    "--listen", "16881", "--observe-only", *options, case, *torrents],
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
	if pause:
		time.sleep(6)
		p.send_signal(signal.SIGSTOP)
		time.sleep(1)
		p.send_signal(signal.SIGCONT)
	try:
		out, err = p.communicate(timeout=duration + 30)
	except subprocess.TimeoutExpired:
		p.send_signal(signal.SIGKILL)
		out, err = p.communicate()
	if not tap.equal(p.returncode, 0, "monitor exits with 0"):
		print(err[-2000:])
	tap.claim(time.monotonic() - start < duration + 12,
	    "and no dead tracker keeps it much longer than --duration")


# --- what is expected --------------------------------------------------------


def check_http(case, m):
	s = Seen(case, m["plain"].url)
	tap.equal([r.d["event"] for r in s.announces
	    if r.d["family"] == 4], ["started", "stopped"],
	    "plain: started, then stopped")
	tap.equal([r.raw for r in s.announces if r.d["family"] == 4],
	    [q for q in m["plain"].requests if b"/announce" in q],
	    "plain: the records hold the requests byte for byte")
	q = parse_qs(urlsplit(m["plain"].requests[0].split()[1].decode()).query)
	tap.equal([q[k] for k in ("uploaded", "downloaded", "left", "compact",
	    "event", "port")], [["0"], ["0"], ["40000"], ["1"], ["started"],
	    ["16881"]], "plain: uploaded 0, left is all of it")
	tap.claim(all(b"event=completed" not in r for x in m.values()
	    for r in x.requests), "nobody hears completed")
	tap.equal(case.named(s.listed[0].seq), set(PEERS), "plain: its peers")
	tap.equal(s.listed[0].raw, m["plain"].body, "plain: its reply, raw")
	tap.equal(Seen(case, m["gzip"].url).listed[0].raw, reply(),
	    "gzip: its reply, decoded")
	s = Seen(case, m["bomb"].url)
	tap.equal(s.outcomes(), {"malformed"}, "gzip bomb: malformed")
	tap.equal([(r.d["offset"], len(r.raw)) for r in s.malformed][:1],
	    [(1 << 20, 4096)], "gzip bomb: cut at 1 MiB, 4096 bytes kept")
	s = Seen(case, m["dicts"].url)
	tap.equal(case.named(s.listed[0].seq), {("10.9.8.7", 6881),
	    ("2001:db8::7", 80)}, "dictionary peers of both families")
	tap.equal(s.listed[0].d["skipped"], 1, "a host name is skipped")
	s = Seen(case, m["six"].url)
	tap.equal(case.named(s.listed[0].seq), set(PEERS + PEERS6),
	    "peers6 beside peers")
	tap.equal(s.listed[0].d["external_ip"], "192.0.2.77", "external ip")
	for name in "hasty", "patient":
		s = Seen(case, m[name].url)
		tap.equal(len([r for r in s.announces if r.d["family"] == 4]),
		    2, "%s: an absurd interval neither hurries nor kills us" %
		    name)
	s = Seen(case, m["moved"].url)
	tap.equal(s.outcomes(), {"ok"}, "a redirect is followed")
	tap.claim(s.first.raw.count(b"\r\n\r\n") == 2,
	    "redirect: both requests are in the record")
	s = Seen(case, m["drip"].url)
	tap.equal(s.outcomes(), {"timeout"}, "a byte a second: timeout")
	tap.claim(29000 <= s.first.d["took_ms"] <= 32000,
	    "a byte a second: 30 s", s.first.d["took_ms"])
	tap.claim(any(r.d["cause"] == "loop" and r.d["lag_ms"] >= 700
	    for r in case.records("stall")), "the second that we took from it "
	    "is a stall")
	tap.equal((s.first.d["stalled"], Seen(case,
	    m["plain"].url).first.d["stalled"]), (True, False),
	    "and the time-out says that it fell into one")
	s = Seen(case, m["tls"].url)
	tap.equal(s.outcomes(), {"error"}, "unknown certificate: error")
	tap.claim("certificate" in (s.first.d["error"] or ""),
	    "and the record says so", s.first.d["error"])
	tap.equal(m["tls"].requests, [], "and it learns nothing of us")
	s = Seen(case, m["secure"].url)
	tap.equal((s.outcomes(), s.first.d["transport"], s.first.d["http_status"],
	    case.named(s.listed[0].seq)), ({"ok"}, "https", 200, set(PEERS)),
	    "a certificate of an authority in SSL_CERT_FILE: asked over https")
	tap.equal([r.raw for r in s.announces if r.d["family"] == 4],
	    [q for q in m["secure"].requests if b"/announce" in q],
	    "and the records hold what was in the tunnel")
	opened(case, m["secure"])
	tap.equal(case.records("run")[0].d["config"]["ssl_cert_file"],
	    os.environ["SSL_CERT_FILE"], "and whose certificates were trusted")
	s = Seen(case, m["v6"].url)
	tap.equal((s.outcomes(family=6), s.outcomes(family=4)),
	    ({"ok"}, set()), "an IPv6 tracker: asked over IPv6 alone")
	tap.equal({r.d["key"] for r in case.records("announce")}.__len__(), 1,
	    "the same key over both families")
	s = Seen(case, "wss://127.0.0.1:1/")
	tap.equal(s.outcomes(), {"refused"}, "wss: refused, and on record")


def opened(case, tracker):
	"""Packets of the HTTPS exchanges, read with the keys on record."""
	lines = [line for r in case.records("tls") for line in
	    r.d["key_log"]]
	keys, packets = DUMP + ".keys", DUMP
	with open(keys, "w") as f:
		f.write("".join(line + "\n" for line in lines))
	port = urlsplit(tracker.url).port
	r = subprocess.run(["tshark", "-r", packets, "-o",
	    "tls.keylog_file:" + keys, "-d", "tcp.port==%d,tls" % port, "-Y",
	    "http.request and tcp.dstport == %d" % port, "-T", "fields", "-e",
	    "http.request.uri"], capture_output=True, text=True)
	asked = [q.split(b" ")[1].decode() for q in tracker.requests
	    if b"/announce" in q]
	tap.claim(asked and set(asked) <= set(r.stdout.split()),
	    "tshark reads the packets with the TLS secrets on record",
	    (asked, r.stdout, r.stderr[-300:], len(lines)))


def check_udp(case, m):
	s = Seen(case, m["udp"].url)
	tap.equal([(r.d["event"], r.d["outcome"]) for r in s.announces
	    if r.d["family"] == 4], [("started", "ok"), ("stopped", "ok")],
	    "UDP: started, then stopped")
	asked = [b for b in m["udp"].requests if b[8:12] == b"\0\0\0\1"]
	tap.equal([r.raw for r in s.announces if r.d["family"] == 4], asked,
	    "UDP: the records hold the datagrams byte for byte")
	up, left, down, event = struct.unpack(">QQQI", asked[0][56:84])
	tap.equal((asked[0][:8], up, left, down, event), (CONNECTION, 0, 40000,
	    0, 2), "UDP: connection id, downloaded, left, uploaded, event")
	tap.equal(case.named(s.listed[0].seq), set(PEERS), "UDP: its peers")
	tap.equal([(r.d["seeders"], r.d["downloaded"], r.d["leechers"])
	    for r in s.scrapes], [(4, 99, 3)], "UDP: scraped once")
	tap.equal(len([b for b in m["udp"].requests if b[8:12] == bytes(4)]),
	    1, "UDP: one connection id serves announce and scrape")
	s = Seen(case, m["refusing"].url)
	tap.equal(s.outcomes(), {"failure"}, "UDP error: failure")
	tap.equal(s.listed[0].d["failure"], "go away \ufffd",
	    "UDP error: its words")
	s = Seen(case, m["wrong"].url)
	tap.equal(s.outcomes(), {"ok"}, "wrong transaction ids: ignored")
	tap.claim(s.first.d["ignored"] >= 3, "and counted",
	    s.first.d["ignored"])
	for name in "short", "action":
		s = Seen(case, m[name].url)
		tap.equal((s.outcomes(), len(s.malformed) > 0),
		    ({"malformed"}, True), "UDP %s: malformed" % name)
	s = Seen(case, m["late"].url)
	tap.equal(s.outcomes(), {"ok"}, "UDP: asked again and answered")
	gap = m["late"].t[1] - m["late"].t[0]
	tap.claim(14.5 < gap < 17, "UDP: after 15 s", gap)
	for name in "silent", "elsewhere":
		s = Seen(case, m[name].url)
		tap.equal(s.outcomes(), {"timeout"}, "UDP %s: timeout" % name)
		tap.claim(all(b[8:12] == bytes(4) for b in m[name].requests),
		    "UDP %s: never got more than connect" % name)
	for url, family, who in ((SHUT[0], 4, "127.0.0.1"), (SHUT[1], 6, "::1")):
		said = {(r.d["outcome"], r.d["error"])
		    for r in Seen(case, url).announces
		    if r.d["event"] == "started" and r.d["family"] == family}
		tap.equal(said, {("error", "Connection refused (ICMP of %s)" %
		    who)}, "UDP, nobody there: the host says so, %s" % who)
	tap.equal(m["path"].requests[1][98:], b"\x02\x0b/a?pass=1&b",
	    "UDP: BEP 41 path and query")


def check_tiers(case, m):
	def events(name):
		return [e for e in m[name].events if e != "-"]
	tap.equal([events("tier0"), events("tier1")],
	    [["started", "stopped"]] * 2, "public: every tier is told")
	tap.equal([events("first"), events("second")],
	    [["started", "stopped"], []], "private: one tracker at a time")
	tap.equal(Seen(case, "http://127.0.0.1:2/announce").outcomes(),
	    {"error"}, "private: the first tier's tracker is dead")
	tap.equal(events("third"), ["started", "stopped"],
	    "private: so the next tier's is asked")


def check_real(case, hash_):
	for url in "http://127.0.0.1:6969/announce", "udp://127.0.0.1:6969":
		s = Seen(case, url)
		tap.equal((s.outcomes(), s.outcomes("stopped")), ({"ok"},
		    {"ok"}), "opentracker, %s: started and stopped" % url)
		tap.claim(s.listed and s.listed[0].ip == "127.0.0.1" and
		    s.listed[0].port == 6969, "opentracker's address")
		tap.equal([r.d["outcome"] for r in s.scrapes], ["ok"],
		    "opentracker, %s: scraped" % url)
	s = socket.create_connection(("127.0.0.1", 6969))
	s.sendall(b"GET /scrape?info_hash=%s HTTP/1.0\r\n\r\n" %
	    "".join("%%%02x" % x for x in hash_).encode())
	got = b""
	while more := s.recv(4096):
		got += more
	files = bdecode(got[got.index(b"\r\n\r\n") + 4:])[0][b"files"]
	mine = files.get(hash_, {b"complete": 0, b"incomplete": 0})
	tap.equal((mine[b"complete"], mine[b"incomplete"]), (0, 0),
	    "opentracker no longer counts us")


def check_clock(case, chrony, m):
	said = case.records("clock")
	by = {}
	for r in said:
		by.setdefault(r.d["server"] or r.d["source"], []).append(r)
	tap.claim(len(by["kernel"]) >= 2 and all(r.d["synchronised"] in (True,
	    False) for r in by["kernel"]), "the kernel's clock, twice")
	got = [r.d for r in by[chrony]]
	tap.equal([d["outcome"] for d in got], ["ok", "ok"],
	    "chrony: asked at start and end")
	tap.claim(all(abs(d["offset_ns"]) < 50e6 and d["stratum"] == 5 and
	    d["bound_ns"] >= abs(d["offset_ns"]) + d["delay_ns"] // 2
	    for d in got), "chrony has our clock", got)
	tap.claim(all(len(r.raw) >= 48 for r in by[chrony]), "its answers, raw")
	got = [r.d for r in by[m["ahead"].name]]
	tap.claim(got and all(abs(d["offset_ns"] - 10e9) < 1e8 and
	    d["bound_ns"] >= 10e9 - 1e8 for d in got), "10 s ahead", got)
	# The last question may be cut short by the end of the run.
	for name, want, records, times in (
	    ("deny", ("kiss", "DENY"), 1, (1,)),
	    ("rate", ("kiss", "RATE"), 1, (1,)),
	    ("unset", ("unsynchronised", "its clock is not synchronised"), 2,
		(2,)),
	    ("token", ("timeout", "what came did not bear our token"), 2,
		(3, 4)),
	    ("dumb", ("timeout", None), 2, (3, 4))):
		got = [r.d for r in by[m[name].name]]
		tap.equal((got[0]["outcome"], got[0]["error"]), want,
		    "SNTP %s: %s" % (name, want[0]))
		tap.equal([d["outcome"] for d in got], [want[0]] * records,
		    "SNTP %s: every question is on record" % name)
		tap.claim(m[name].n in times, "SNTP %s: and no more were asked"
		    % name, m[name].n)
	tap.claim(all(r.d["offset_ns"] is None for name in ("deny", "unset",
	    "token") for r in by[m[name].name]), "and no offset from these")


def check_refused(folder):
	"""Without --allow-local, by address, by redirect, over UDP."""
	inside = Http(reply())
	outside = Http(moved(inside.url.replace("announce", "real").encode()),
	    address=PUBLIC)
	good = Http(reply(), address=PUBLIC)
	udp = Udp(behave)
	path, _ = torrent(folder, "refused", [[inside.url], [outside.url],
	    [good.url], [udp.url]])
	place = os.path.join(folder, "refused")
	monitor(folder, place, torrents=[path], duration=4)
	case = Case(place, 3)
	for name, m in ("address", inside), ("redirect", outside), \
	    ("datagram", udp):
		s = Seen(case, m.url)
		tap.equal((s.outcomes(), s.first and s.first.d["error"]),
		    ({"refused"}, "loopback address"),
		    "a local %s: refused, with the reason" % name)
	tap.equal((inside.requests, udp.requests), ([], []),
	    "nothing was sent there")
	tap.equal(Seen(case, good.url).outcomes(), {"ok"},
	    "a global one is asked")


def main():
	as_root()
	with tempfile.TemporaryDirectory(prefix="sw-trackers-") as folder, \
	    Servers(folder) as servers:
		os.chmod(folder, 0o755)
		enter_namespace()
		authority = Authority(os.path.join(folder, "authority"))
		os.environ["SSL_CERT_FILE"] = authority.ca
		m = {
		    "plain": Http(reply()),
		    "gzip": Http(gzip.compress(reply()),
			head="Content-Encoding: gzip\r\n"),
		    "bomb": Http(gzip.compress(bytes(200 << 20), 1),
			head="Content-Encoding: gzip\r\n"),
		    "dicts": Http(bencode({"interval": 900, "peers": [
			{"ip": "10.9.8.7", "port": 6881, "peer id": "x" * 20},
			{"ip": "tracker.example", "port": 1},
			{"ip": "2001:db8::7", "port": 80}]})),
		    "six": Http(reply(**{"peers6": compact(PEERS6),
			"external ip": b"\xc0\0\2M"})),
		    "hasty": Http(reply(interval=1)),
		    "patient": Http(b"d8:intervali9223372036854775807e12:min "
			b"intervali9223372036854775807e5:peers0:e"),
		    "moved": Http(moved(b"/real")),
		    "drip": Http(drip),
		    "tls": Http(reply(), tls=self_signed(folder)),
		    "secure": Http(reply(), tls=authority.tls()),
		    "v6": Http(reply(), address="::1"),
		    "udp": Udp(behave),
		    "refusing": Udp(after_connect(lambda m, b, send:
			send(b"\0\0\0\3" + b[12:16] + b"go away \xff"))),
		    "wrong": Udp(wrong_first),
		    "short": Udp(after_connect(lambda m, b, send:
			send(told(b)[:14]))),
		    "action": Udp(after_connect(lambda m, b, send:
			send(b"\0\0\0\x09" + told(b)[4:]))),
		    "late": Udp(late),
		    "silent": Udp(lambda m, b, send: None),
		    "elsewhere": Elsewhere(None),
		    "path": Udp(behave, "/a?pass=1&b"),
		}
		path, _ = torrent(folder, "faults", [[x.url]
		    for x in m.values()] + [[u] for u in SHUT] +
		    [["wss://127.0.0.1:1/"]])
		t = {name: Http(reply()) for name in ("tier0", "tier1",
		    "first", "second", "third")}
		public, _ = torrent(folder, "public", [[t["tier0"].url],
		    [t["tier1"].url]])
		private, _ = torrent(folder, "private", [[t["first"].url],
		    [t["second"].url]], True)
		fallen, _ = torrent(folder, "fallen", [[
		    "http://127.0.0.1:2/announce"], [t["third"].url]], True)
		real, hash_ = torrent(folder, "real", [[
		    "http://127.0.0.1:6969/announce"],
		    ["udp://127.0.0.1:6969"]])
		servers.opentracker(hash_.hex())
		chrony = servers.chrony()
		n = {
		    "ahead": Ntp(shift_s=10),
		    "deny": Ntp(lambda p: p[:1] + b"\0" + p[2:12] + b"DENY" +
			p[16:]),
		    "rate": Ntp(lambda p: p[:1] + b"\0" + p[2:12] + b"RATE" +
			p[16:]),
		    "unset": Ntp(lambda p: b"\xe4\x10" + p[2:]),
		    "token": Ntp(lambda p: p[:24] + bytes(8) + p[32:]),
		    "dumb": Ntp(lambda p: None),
		}
		time.sleep(1)
		place = os.path.join(folder, "case")
		global DUMP
		DUMP = os.path.join(folder, "secure.pcap")
		dump = subprocess.Popen(["tcpdump", "-i", "lo", "-U", "-Z",
		    "root", "-w", DUMP, "tcp port %d" %
		    urlsplit(m["secure"].url).port],
		    stderr=subprocess.PIPE)
		servers.processes.append(dump)
		dump.stderr.readline()		# it listens
		monitor(folder, place, "--allow-local", "--ntp", chrony,
		    *(w for x in n.values() for w in ("--ntp", x.name)),
		    torrents=[path, public, private, fallen, real], pause=True)
		time.sleep(2)			# it writes what it has
		dump.terminate()
		dump.wait(60)
		case = Case(place, 3)
		check_http(case, m)
		check_udp(case, m)
		check_tiers(case, t)
		check_real(case, hash_)
		check_clock(case, chrony, n)
		check_refused(folder)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
