"""Trackers that answer as they are told, and what a case says of each.

The truth of the tests that use them is what these got.
"""
import ctypes
import os
import socket
import struct
import subprocess
import threading
import time
from urllib.parse import parse_qs, urlsplit

from content import bencode, hashlib

PUBLIC = "11.22.33.44"	# of the namespace, and to the monitor a global one
PEERS = [("10.9.8.7", 6881), ("10.9.8.6", 51413)]
PEERS6 = [("2001:db8::7", 6881), ("2001:db8::8", 1)]
CONNECTION = b"\x01\x02\x03\x04\x05\x06\x07\x08"


def compact(peers):
	return b"".join(socket.inet_pton(socket.AF_INET6 if ":" in a else
	    socket.AF_INET, a) + struct.pack(">H", p) for a, p in peers)


class Http(threading.Thread):
	"""Answers with body, or lets body(self, socket, path) answer."""

	def __init__(self, body, address="127.0.0.1", tls=None, head=""):
		super().__init__(daemon=True)
		self.body, self.tls, self.head = body, tls, head
		self.requests, self.events = [], []
		self.s = socket.create_server((address, 0),
		    family=socket.AF_INET6 if ":" in address else
		    socket.AF_INET)
		self.url = "%s://%s:%d/announce" % ("https" if tls else
		    "http", "[%s]" % address if ":" in address else address,
		    self.s.getsockname()[1])
		self.start()

	def run(self):
		while True:
			s, _ = self.s.accept()
			threading.Thread(target=self.serve, args=(s,),
			    daemon=True).start()

	def serve(self, s):
		s.settimeout(60)
		try:
			if self.tls:
				s = self.tls.wrap_socket(s, server_side=True)
			got = b""
			while not got.endswith(b"\r\n\r\n"):
				more = s.recv(4096)
				if not more:
					return
				got += more
			self.requests.append(got)
			path = got.split()[1].decode()
			self.events += parse_qs(urlsplit(path).query).get(
			    "event", ["-"])
			if callable(self.body):
				self.body(s, path)
			else:
				s.sendall(("HTTP/1.1 200 OK\r\n%sContent-"
				    "Length: %d\r\nConnection: close\r\n\r\n" %
				    (self.head, len(self.body))).encode() +
				    self.body)
		except OSError:
			pass
		finally:
			s.close()


def reply(**more):
	return bencode({"interval": 1800, "peers": compact(PEERS), **more})


class Udp(threading.Thread):
	"""answer(self, request, send): says what to do with a request."""

	def __init__(self, answer, path=""):
		super().__init__(daemon=True)
		self.answer, self.requests, self.t = answer, [], []
		self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		self.s.bind(("127.0.0.1", 0))
		self.port = self.s.getsockname()[1]
		self.url = "udp://127.0.0.1:%d%s" % (self.port, path)
		self.start()

	def run(self):
		while True:
			b, who = self.s.recvfrom(4096)
			self.requests.append(b)
			self.t.append(time.monotonic())
			self.answer(self, b, lambda out:
			    self.s.sendto(out, who))


def connected(b):
	return struct.pack(">I", 0) + b[12:16] + CONNECTION


def told(b):
	return struct.pack(">I", 1) + b[12:16] + struct.pack(">III", 1800, 3,
	    4) + compact(PEERS)


def behave(m, b, send):
	action = struct.unpack(">I", b[8:12])[0]
	if action == 0:
		send(connected(b))
	elif action == 1:
		send(told(b))
	else:
		send(struct.pack(">I", 2) + b[12:16] + struct.pack(">III", 4,
		    99, 3))


def after_connect(answer):
	def both(m, b, send):
		if b[8:12] == bytes(4):
			send(connected(b))
		else:
			answer(m, b, send)
	return both


def enter_namespace():
	if ctypes.CDLL(None).unshare(0x40000000) != 0:
		raise PermissionError("needs the right to make a namespace")
	for words in ("link set lo up", "addr add %s/32 dev lo" % PUBLIC,
	    "addr add fd77::5/128 dev lo"):
		subprocess.run(["ip"] + words.split(), check=True)


def torrent(folder, name, tiers, private=False):
	info = {"length": 40000, "name": name, "piece length": 16384,
	    "pieces": bytes(60)}
	if private:
		info["private"] = 1
	path = os.path.join(folder, name + ".torrent")
	with open(path, "wb") as f:
		f.write(bencode({"announce-list": tiers, "info": info,
		    "announce": tiers[0][0]}))
	return path, hashlib.sha1(bencode(info)).digest()


class Seen:
	"""A case's records of one tracker."""

	def __init__(self, case, url):
		self.case, self.url = case, url
		self.announces = [r for r in case.records("announce")
		    if r.d["tracker"] == url]
		self.first = next((r for r in self.announces
		    if r.d["family"] == 4), None)
		self.listed = [r for r in case.records("listed")
		    if r.d["witness"] == url]
		self.malformed = [r for r in case.records("malformed")
		    if r.d["where"] == url]
		self.scrapes = [r for r in case.records("scrape")
		    if r.d["tracker"] == url]

	def outcomes(self, event="started", family=4):
		return {r.d["outcome"] for r in self.announces
		    if r.d["event"] == event and r.d["family"] == family}
