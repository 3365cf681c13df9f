"""A small real swarm in network namespaces of its own.

	with Lab() as lab:
		lab.swarm()
		lab.monitor(case, duration=30)

Every host is a namespace with one address of 10.77.0.0/16 and one of
fd77::/64, all on one bridge that leads nowhere. Names bear the process id. All
is torn down when the block ends, however it ends; what a killed run left is
removed by the next one. Needs root: see as_root.
"""
import ctypes
import glob
import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clients		# noqa: E402
from built import HERE, PROGRAM, ROOT	# noqa: E402
from content import Content	# noqa: E402

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1


def as_root():
	"""Namespaces need root: runs this program again through sudo."""
	if os.geteuid() == 0:
		return
	if shutil.which("sudo") is None:
		sys.exit("network namespaces need root, and there is no sudo")
	print("network namespaces need root; asking sudo", file=sys.stderr)
	os.execvp("sudo", ["sudo", "--", sys.executable] + sys.argv)


def ip(ns, *lines):
	"""Runs ip's batch lines, in a namespace or (None) out of all."""
	subprocess.run(["ip"] + (["-n", ns] if ns else []) + ["-batch", "-"],
	    input="\n".join(lines) + "\n", text=True, check=True)


def die_with_parent():
	LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Host:
	"""A namespace with a folder, an IPv4 and an IPv6 address."""

	def __init__(self, lab, name, number):
		self.lab, self.name = lab, name
		self.ns = "%s-%s" % (lab.prefix, name)
		self.folder = os.path.join(lab.folder, name)
		os.mkdir(self.folder)
		self.address = "10.77.0.%d" % number
		self.address6 = "fd77::%x" % number
		end = "v%d" % number
		ip(None, "netns add " + self.ns,
		    "link add %s netns %s type veth peer name eth0 netns %s" %
		    (end, lab.ns, self.ns))
		ip(lab.ns, "link set %s master br0 up" % end)
		ip(self.ns, "link set lo up",
		    "addr add %s/16 dev eth0" % self.address,
		    "addr add %s/64 dev eth0 nodad" % self.address6,
		    "link set eth0 up")

	def run(self, command, **options):
		"""Starts a process on this host; it ends with the lab."""
		options.setdefault("stdin", subprocess.DEVNULL)
		if "stdout" not in options:
			options["stdout"] = open(os.path.join(self.folder,
			    "log"), "ab")
			options.setdefault("stderr", subprocess.STDOUT)
		p = subprocess.Popen(["ip", "netns", "exec", self.ns] +
		    list(command), preexec_fn=die_with_parent, **options)
		self.lab.processes.append(p)
		return p

	def inside(self, call):
		"""Calls it in a thread that is on this host, and waits."""
		# Only the thread that enters a namespace is in it.
		def enter():
			with open("/run/netns/" + self.ns) as f:
				if LIBC.setns(f.fileno(), CLONE_NEWNET) == 0:
					call()
		t = threading.Thread(target=enter)
		t.start()
		t.join()

	def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
		"""A socket of this host, for this process to use."""
		made = []
		self.inside(lambda: made.append(socket.socket(family, kind)))
		if not made:
			raise OSError("cannot enter " + self.ns)
		return made[0]

	def http(self, port, method, path, body=None, headers=None,
	    address="127.0.0.1"):
		"""The body of a reply with status 200, else its headers."""
		c = http.client.HTTPConnection(address, port, timeout=5)
		c.sock = self.socket(socket.AF_INET6 if ":" in address else
		    socket.AF_INET)
		c.sock.settimeout(5)
		try:
			c.sock.connect((address, port))
			c.request(method, path, body, headers or {})
			r = c.getresponse()
			data = r.read()
			return data if r.status == 200 else r.headers
		finally:
			c.close()


class Lab:
	def __init__(self, seed="swarmwitness"):
		self.seed = seed
		self.prefix = "sw%d" % os.getpid()
		self.processes, self.hosts, self.peers = [], {}, {}

	def __enter__(self):
		if os.geteuid() != 0:
			raise PermissionError("the lab needs root")
		remove_left_overs()
		self.handlers = {s: signal.signal(s, interrupted)
		    for s in (signal.SIGTERM, signal.SIGHUP)}
		self.folder = tempfile.mkdtemp(prefix=self.prefix + "-")
		os.chmod(self.folder, 0o755)
		self.ns = self.prefix + "-net"
		try:
			ip(None, "netns add " + self.ns)
			ip(self.ns, "link set lo up",
			    "link add br0 type bridge stp_state 0 "
			    "forward_delay 0 mcast_snooping 0",
			    "link set br0 up")
		except BaseException:
			self.__exit__()
			raise
		return self

	def __exit__(self, *_):
		for p in self.processes:
			if p.poll() is None:
				p.terminate()
		end = time.monotonic() + 3
		for p in self.processes:
			try:
				p.wait(max(0.0, end - time.monotonic()))
			except subprocess.TimeoutExpired:
				p.kill()
				p.wait()
		remove_namespaces(self.prefix)
		shutil.rmtree(self.folder, ignore_errors=True)
		for s, handler in self.handlers.items():
			signal.signal(s, handler)

	def host(self, name, number):
		self.hosts[name] = Host(self, name, number)
		return self.hosts[name]

	def swarm(self, say=lambda text: None, only=None):
		"""
		The swarm of the demo: seeds, one peer that holds only some
		pieces, leeches too slow to finish, one listed address that
		never answers and one that refuses. self.peers: name -> Client;
		self.dead: name -> (host, port); self.watch: the monitor's host.
		only: the names of the peers wanted, if not all.
		"""
		host = self.host("tracker", 1)
		self.tracker = clients.Tracker(host)
		at = "%s:%d" % (host.address, self.tracker.port)
		self.content = c = Content("lab swarm", self.seed, [
		    ["http://%s/announce" % at], ["udp://%s/announce" % at],
		    ["http://[%s]:6970/announce" % host.address6]])
		self.torrent = os.path.join(self.folder, "lab.torrent")
		with open(self.torrent, "wb") as f:
			f.write(c.torrent)
		os.chmod(self.torrent, 0o644)
		self.tracker.start(c.info_hash)

		pick = random.Random(self.seed)
		some = frozenset(pick.sample(range(c.pieces), 37))
		few = frozenset(pick.sample(range(c.pieces), 9))
		leech = {"role": "leech", "held": few, "rate": 30000}
		for name, number, kind, port, options in (
		    ("aria2-seed", 11, clients.Aria2, 6881, {}),
		    ("transm-seed", 12, clients.Transmission, 51413, {}),
		    ("lt-seed", 13, clients.Libtorrent, 6891, {}),
		    ("lt-partial", 14, clients.Libtorrent, 6892,
			{"role": "partial", "held": some}),
		    ("aria2-leech", 15, clients.Aria2, 6882, leech),
		    ("lt-leech", 16, clients.Libtorrent, 6893, leech),
		    ("lt-late", 17, clients.Libtorrent, 6894, leech),
		    ("lt-seed-v6", 0x12, clients.Libtorrent, 6895,
			{"v6": True})):
			if only is None or name in only:
				self.peers[name] = kind(self.host(name,
				    number), c, port=port, **options)
		self.tracker6 = clients.Tracker6(host, ("fd77::12", 6895),
		    c.info_hash)
		self.watch = self.host("monitor", 100)
		self.probe = self.host("probe", 99)
		self.dead = {"silent": (self.host("silent", 66), 6666),
		    "refusing": (self.host("refusing", 67), 6667)}
		self.wait(self.announce_dead, 60, "tracker")
		say("%d hosts are up; the clients check what they hold" %
		    len(self.hosts))
		# Leeches last: the less they have got when we look, the better.
		now = [p for p in self.peers.values() if p.host.name != "lt-late"]
		self.begin(*(p for p in now if p.role != "leech"))
		self.begin(*(p for p in now if p.role == "leech"))
		v4 = [p for p in now if ":" not in p.address]
		seeds = sum(p.role == "seed" for p in v4)
		self.wait(lambda: self.tracker.counts() == (seeds,
		    len(v4) - seeds + len(self.dead)), 90,
		    "announces of all clients")

	def late(self):
		"""One more leech: it learns of the monitor and dials it."""
		self.begin(self.peers["lt-late"])

	def begin(self, *peers):
		for p in peers:
			p.start()
		for p in peers:
			self.wait(p.ready, 90, p.host.name)

	def listed(self, *seeds):
		"""Waits until the tracker lists as many: a client that is ready
		may have announced nothing yet, and the monitor asks once."""
		n = sum(":" not in p.address for p in seeds)
		self.wait(lambda: self.tracker.counts()[0] >= n, 90,
		    "announces of %d seeds" % n)

	def announce_dead(self):
		"""Lists the dead; then one refuses, one answers nothing."""
		try:
			for host, port in self.dead.values():
				clients.announce(host, self.tracker,
				    self.content.info_hash, port)
		except OSError:
			return False
		ip(self.dead["silent"][0].ns,
		    "route replace blackhole 10.77.0.0/16")
		return True

	def wait(self, held, seconds, what):
		end = time.monotonic() + seconds
		while not held():
			if time.monotonic() > end:
				raise TimeoutError("no %s within %d s" %
				    (what, seconds))
			time.sleep(0.1)

	def monitor(self, case, *options, duration=30, targets=None, key=None,
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE):
		"""Starts `swarmwitness monitor` on its own host."""
		return self.watch.run([PROGRAM, "monitor", "--allow-local",
		    "--interface", "eth0", "--duration", str(duration),
		    "--key", key or os.path.join(self.folder, "key"),
		    *options, case, *(targets or [self.torrent])],
		    stdout=stdout, stderr=stderr, text=True)


def interrupted(number, _):
	sys.exit(128 + number)


def namespaces():
	folder = "/run/netns"
	return os.listdir(folder) if os.path.isdir(folder) else []


def remove_namespaces(prefix):
	"""And whatever still runs in them."""
	for name in namespaces():
		if not name.startswith(prefix + "-"):
			continue
		for pid in subprocess.run(["ip", "netns", "pids", name],
		    capture_output=True, text=True).stdout.split():
			try:
				os.kill(int(pid), signal.SIGKILL)
			except ProcessLookupError:
				pass
		subprocess.run(["ip", "netns", "del", name],
		    stderr=subprocess.DEVNULL)


def remove_left_overs():
	"""What labs left whose process is gone."""
	for name in namespaces():
		pid = name.split("-")[0][2:]
		if name.startswith("sw") and pid.isdigit() and \
		    not os.path.exists("/proc/" + pid):
			remove_namespaces("sw" + pid)
			for folder in glob.glob(os.path.join(
			    tempfile.gettempdir(), "sw%s-*" % pid)):
				shutil.rmtree(folder, ignore_errors=True)


def main():
	"""Brings the swarm up and leaves it so until end of stdin."""
	as_root()
	with Lab() as lab:
		lab.swarm(print)
		lab.late()
		for name, p in lab.peers.items():
			print("%-12s %-12s %s:%d holds %d of %d" % (name,
			    p.name, p.address, p.port, len(p.pieces()),
			    p.content.pieces))
		print("torrent", lab.torrent, "in namespace", lab.watch.ns)
		sys.stdin.read()


if __name__ == "__main__":
	main()
