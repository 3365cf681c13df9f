"""The lab's tracker and BitTorrent clients, and what each says it holds.

Every client runs on one host of the lab (lab.Host) with DHT, PEX, local
discovery, uTP and encryption off unless its settings say otherwise, so that
who can know whom is known. `pieces()` is the client's own account, over its
own interface.
"""
import base64
import json
import os
import socket
import struct
import subprocess
import threading
import time

from content import bdecode, bencode, bits

HERE = os.path.dirname(os.path.abspath(__file__))


class Client:
	"""role: seed, partial or leech. held: pieces on its disk at start.
	settings: in the client's own words, instead of the usual ones."""
	name = "?"

	def __init__(self, host, content, role="seed", held=None, port=6881,
	    rate=0, v6=False, settings=None):
		self.settings = settings or {}
		self.host, self.content, self.role = host, content, role
		self.address = host.address6 if v6 else host.address
		self.port, self.rate = port, rate
		self.held = content.all if held is None else frozenset(held)
		content.write(host.folder, self.held)

	def ready(self):
		"""It serves what it is meant to serve."""
		return self.pieces() >= self.held


class Libtorrent(Client):
	name = "libtorrent"

	def start(self):
		self.now, self.last, self.said = frozenset(), {}, 0
		self.process = self.host.run(["/usr/bin/python3",
		    os.path.join(HERE, "seed.py"),
		    ("[%s]:%d" if ":" in self.address else "%s:%d") %
		    (self.address, self.port), self.host.lab.torrent,
		    self.host.folder, self.role,
		    str(self.rate), json.dumps(self.settings)],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
		threading.Thread(target=self.read, daemon=True).start()

	def read(self):
		for line in self.process.stdout:
			self.last = json.loads(line)
			self.now = frozenset(self.last["pieces"])
			self.said += 1

	def pieces(self):
		return self.now

	def hears(self, seconds=60):
		"""Waits for two lines more: the last is of a later time."""
		end, n = time.monotonic() + seconds, self.said + 2
		while self.said < n and self.process.poll() is None and \
		    time.monotonic() < end:
			time.sleep(0.05)

	def ready(self):
		return self.last.get("state") in ("seeding", "downloading") \
		    and self.now >= self.held


class Aria2(Client):
	name = "aria2"

	def start(self):
		self.process = self.host.run(["aria2c", "--no-conf", "--quiet",
		    "--dir", self.host.folder, "--listen-port", str(self.port),
		    "--check-integrity=true", "--allow-overwrite=true",
		    "--seed-ratio=0", "--file-allocation=none",
		    "--enable-dht=false", "--enable-dht6=false",
		    "--enable-peer-exchange=false", "--bt-enable-lpd=false",
		    "--bt-save-metadata=false", "--bt-max-peers=0",
		    "--max-overall-download-limit=%d" % self.rate,
		    "--enable-rpc", "--rpc-listen-port=6800",
		    *("--%s=%s" % o for o in self.settings.items()),
		    self.host.lab.torrent])

	def pieces(self):
		try:
			r = self.host.http(6800, "POST", "/jsonrpc", json.dumps(
			    {"jsonrpc": "2.0", "id": "1", "method":
			    "aria2.tellActive", "params": [["bitfield"]]}))
			return bits(bytes.fromhex(
			    json.loads(r)["result"][0]["bitfield"]),
			    self.content.pieces)
		except (OSError, LookupError, ValueError):
			return frozenset()


class Transmission(Client):
	name = "Transmission"

	def start(self):
		folder = self.host.folder
		with open(os.path.join(folder, "settings.json"), "w") as f:
			json.dump(dict({"dht-enabled": False,
			    "lpd-enabled": False,
			    "pex-enabled": False, "utp-enabled": False,
			    "encryption": 0, "peer-port": self.port,
			    "port-forwarding-enabled": False,
			    "download-dir": folder, "rpc-port": 9091,
			    "rpc-bind-address": "127.0.0.1",
			    "bind-address-ipv4": self.host.address,
			    "rpc-whitelist-enabled": False,
			    "speed-limit-down": max(self.rate // 1000, 1),
			    "speed-limit-down-enabled": bool(self.rate)},
			    **self.settings), f)
		self.process = self.host.run(["transmission-daemon", "-f",
		    "--config-dir", folder, "--log-error"])
		self.session = None

	def rpc(self, method, **arguments):
		for _ in range(2):
			headers = {"X-Transmission-Session-Id":
			    self.session or "-"}
			r = self.host.http(9091, "POST", "/transmission/rpc",
			    json.dumps({"method": method,
			    "arguments": arguments}), headers)
			if isinstance(r, bytes):
				return json.loads(r)["arguments"]
			self.session = r["X-Transmission-Session-Id"]
		raise OSError("transmission refuses its session id")

	def pieces(self):
		try:
			t = self.rpc("torrent-get", fields=["pieces"])
			if not t["torrents"]:
				with open(self.host.lab.torrent, "rb") as f:
					self.rpc("torrent-add", metainfo=
					    base64.b64encode(f.read()).decode())
				return frozenset()
			return bits(base64.b64decode(
			    t["torrents"][0]["pieces"]), self.content.pieces)
		except (OSError, LookupError, ValueError):
			return frozenset()


class QBittorrent(Client):
	"""Needs a seed's content: it is told not to check it."""
	name = "qBittorrent"

	def start(self):
		config = os.path.join(self.host.folder, "qBittorrent/config")
		os.makedirs(config)
		session = dict({"Port": self.port, "DHTEnabled": False,
		    "LSDEnabled": False, "PeXEnabled": False,
		    "BTProtocol": "TCP", "Encryption": 2}, **self.settings)
		with open(os.path.join(config, "qBittorrent.conf"), "w") as f:
			f.write("[LegalNotice]\nAccepted=true\n\n[BitTorrent]\n")
			f.writelines("Session\\%s=%s\n" %
			    (k, str(v).lower() if isinstance(v, bool) else v)
			    for k, v in session.items())
			f.write("\n[Preferences]\nWebUI\\Address=127.0.0.1\n"
			    "WebUI\\LocalHostAuth=false\nWebUI\\Port=8080\n"
			    "WebUI\\UseUPnP=false\n")
		self.process = self.host.run(["env", "HOME=" +
		    self.host.folder, "qbittorrent-nox", "--profile=" +
		    self.host.folder, "--save-path=" + self.host.folder,
		    "--skip-hash-check", "--add-paused=false",
		    self.host.lab.torrent])

	def pieces(self):
		try:
			r = self.host.http(8080, "GET", "/api/v2/torrents/"
			    "pieceStates?hash=" + self.content.info_hash.hex())
			return frozenset(i for i, s in enumerate(json.loads(r))
			    if s == 2)
		except (OSError, ValueError, TypeError):
			return frozenset()


class Tracker:
	"""opentracker over HTTP and UDP; Debian's serves a whitelist only."""

	def __init__(self, host, port=6969):
		self.host, self.port = host, port

	def start(self, info_hash):
		self.info_hash = info_hash
		folder = self.host.folder
		with open(os.path.join(folder, "whitelist"), "w") as f:
			f.write(info_hash.hex() + "\n")
		with open(os.path.join(folder, "conf"), "w") as f:
			f.write("listen.tcp_udp %s:%d\naccess.whitelist "
			    "/whitelist\ntracker.rootdir %s\ntracker.user "
			    "nobody\n" % (self.host.address, self.port,
			    folder))
		os.chmod(folder, 0o755)
		self.process = self.host.run(["opentracker", "-f",
		    os.path.join(folder, "conf")])

	def counts(self):
		"""(seeders, others) as it scrapes."""
		for _ in range(5):
			try:
				r = self.host.http(self.port, "GET",
				    "/scrape?info_hash=" +
				    escape(self.info_hash),
				    address=self.host.address)
				f = bdecode(r)[0][b"files"][self.info_hash]
				return f[b"complete"], f[b"incomplete"]
			except TimeoutError:	# a busy machine
				continue
			except (OSError, LookupError, ValueError, TypeError):
				break
		return 0, 0


class Tracker6(threading.Thread):
	"""A tracker over IPv6 that names one peer; keeps what it was asked.

	opentracker is built for one family, Debian's for IPv4.
	"""

	def __init__(self, host, peer, info_hash, port=6970):
		super().__init__(daemon=True)
		self.counts = {"files": {info_hash: {"complete": 1,
		    "downloaded": 0, "incomplete": 0}}}
		self.asked = []		# (address, request with headers)
		self.reply = {"interval": 1800, "peers": b"", "peers6":
		    socket.inet_pton(socket.AF_INET6, peer[0]) +
		    struct.pack(">H", peer[1])}
		self.listener = host.socket(socket.AF_INET6)
		self.listener.bind((host.address6, port))
		self.listener.listen(16)
		self.start()

	def run(self):
		while True:
			s, who = self.listener.accept()
			s.settimeout(2)
			with s:
				try:
					self.answer(s, who[0])
				except OSError:
					pass

	def answer(self, s, who):
		got = b""
		while b"\r\n\r\n" not in got and len(got) < 8192:
			got += s.recv(4096)
		self.asked.append((who, got.decode("latin-1")))
		body = bencode(self.counts if got.startswith(b"GET /scrape")
		    else dict(self.reply, **{"external ip":
		    socket.inet_pton(socket.AF_INET6, who)}))
		s.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
		    b"Connection: close\r\nContent-Length: %d\r\n\r\n" %
		    len(body) + body)


def escape(data):
	return "".join("%%%02x" % b for b in data)


def announce(host, tracker, info_hash, port, left=1):
	"""Says that host has a peer at port, from host's own address."""
	return bdecode(host.http(tracker.port, "GET", "/announce?info_hash=%s"
	    "&peer_id=%s&port=%d&uploaded=0&downloaded=0&left=%d&compact=1"
	    "&event=started" % (escape(info_hash), escape(b"-XX0000-" +
	    os.urandom(12)), port, left), address=tracker.host.address))[0]


def ask(host, address, port, info_hash, wait_s=2.0):
	"""A peer that only listens: (handshake, [(id, payload), ...])."""
	s = host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
	s.settimeout(wait_s)
	got, end = b"", time.monotonic() + wait_s
	with s:
		s.connect((address, port))
		s.sendall(b"\x13BitTorrent protocol" + bytes(8) + info_hash +
		    b"-XX0000-" + os.urandom(12))
		try:
			while time.monotonic() < end and (more := s.recv(65536)):
				got += more
		except OSError:
			pass
	messages, at = [], 68
	while len(got) >= at + 4:
		n = struct.unpack_from(">I", got, at)[0]
		if n and len(got) >= at + 4 + n:
			messages.append((got[at + 4], got[at + 5:at + 4 + n]))
		at += 4 + n
	return got[:68], messages
