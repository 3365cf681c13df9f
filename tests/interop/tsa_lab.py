"""Time-stamping authorities to test with: `openssl ts -reply` behind a small
HTTP(S) server, and liars of every kind."""
import os
import socket
import ssl
import subprocess
import threading

POLICY, OTHER_POLICY = "1.2.3.4.1", "1.2.3.4.9"
CONF = """
[tsa]
dir = %(dir)s
serial = $dir/serial
crypto_device = builtin
signer_cert = $dir/%(signer)s.crt
certs = $dir/%(signer)s.crt
signer_key = $dir/%(signer)s.pem
signer_digest = sha256
default_policy = %(policy)s
other_policies = %(others)s
digests = sha256
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
tsa_name = yes
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def openssl(*words, **options):
	return subprocess.run(["openssl", *words], check=True,
	    capture_output=True, **options).stdout


class Authority:
	"""A CA, a certificate for time-stamping, and one for TLS."""

	def __init__(self, folder, policy=POLICY, others=OTHER_POLICY):
		self.folder = folder
		os.makedirs(folder, exist_ok=True)
		self.ca = os.path.join(folder, "ca.crt")
		self.lock = threading.Lock()
		openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
		    "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
		    "-subj", "/CN=Test root/O=Nobody", "-keyout", self.at("ca.pem"),
		    "-out", self.ca)
		self.certificate("tsa", "Test, TSA", "extendedKeyUsage="
		    "critical,timeStamping\nkeyUsage=critical,digitalSignature")
		self.certificate("wrong", "Test no TSA",
		    "extendedKeyUsage=serverAuth")
		self.certificate("tls", "localhost",
		    "subjectAltName=IP:127.0.0.1")
		for signer in "tsa", "wrong":
			with open(self.at(signer + ".cnf"), "w") as f:
				f.write(CONF % {"dir": folder, "policy": policy,
				    "others": others, "signer": signer})
		with open(self.at("serial"), "w") as f:
			f.write("0A%s\n" % os.urandom(6).hex())

	def at(self, name):
		return os.path.join(self.folder, name)

	def certificate(self, name, subject, extensions):
		with open(self.at(name + ".ext"), "w") as f:
			f.write(extensions + "\n")
		openssl("req", "-newkey", "ec", "-pkeyopt",
		    "ec_paramgen_curve:P-256", "-nodes", "-subj",
		    "/CN=%s" % subject, "-keyout", self.at(name + ".pem"),
		    "-out", self.at(name + ".csr"))
		openssl("x509", "-req", "-in", self.at(name + ".csr"), "-CA",
		    self.ca, "-CAkey", self.at("ca.pem"), "-CAcreateserial",
		    "-days", "30", "-extfile", self.at(name + ".ext"), "-out",
		    self.at(name + ".crt"))

	def reply(self, query, signer="tsa"):
		with self.lock:
			with open(self.at("query"), "wb") as f:
				f.write(query)
			openssl("ts", "-reply", "-config", self.at(signer +
			    ".cnf"), "-section", "tsa", "-queryfile",
			    self.at("query"), "-out", self.at("answer"))
			with open(self.at("answer"), "rb") as f:
				return f.read()

	def tls(self):
		c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		c.load_cert_chain(self.at("tls.crt"), self.at("tls.pem"))
		return c


class Server:
	"""One authority's address. answer(query) gives the body, or a function
	that is given the connection and does as it likes."""

	def __init__(self, answer, tls=None, status="200 OK",
	    kind="application/timestamp-reply", address="127.0.0.1", sock=None):
		self.answer, self.tls, self.status = answer, tls, status
		self.kind, self.queries, self.requests = kind, [], []
		self.s = sock or socket.socket()
		self.s.bind((address, 0))
		self.s.listen(16)
		self.url = "%s://%s:%d/tsa" % ("https" if tls else "http",
		    address, self.s.getsockname()[1])
		threading.Thread(target=self.serve, daemon=True).start()

	def serve(self):
		while True:
			try:
				c, _ = self.s.accept()
			except OSError:
				return
			threading.Thread(target=self.one, args=(c,),
			    daemon=True).start()

	def one(self, c):
		try:
			c.settimeout(60)
			if self.tls:
				c = self.tls.wrap_socket(c, server_side=True)
			data = b""
			while b"\r\n\r\n" not in data:
				data += c.recv(4096) or (_ for _ in ()).throw(
				    OSError("closed"))
			head, body = data.split(b"\r\n\r\n", 1)
			size = [int(l.split(b":")[1]) for l in
			    head.split(b"\r\n") if
			    l.lower().startswith(b"content-length:")][0]
			while len(body) < size:
				body += c.recv(4096)
			self.requests.append(head)
			self.queries.append(body)
			got = self.answer(body)
			if callable(got):
				got(c)
			else:
				c.sendall(("HTTP/1.1 %s\r\nContent-Type: %s\r\n"
				    "Content-Length: %d\r\nConnection: close"
				    "\r\n\r\n" % (self.status, self.kind,
				    len(got))).encode() + got)
		except (OSError, IndexError):
			pass
		finally:
			c.close()


def endless(query):
	def pour(c):
		c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: "
		    b"application/timestamp-reply\r\n\r\n")
		while True:
			c.sendall(bytes(65536))
	return pour


def silent(query):
	return lambda c: c.recv(1)
