#!/usr/bin/env python3
"""What a monitor does when something runs out or is not there: refused before
it begins; a full disk; no descriptors; killed in mid-sentence; meeting itself;
a long list that changes."""
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import closing

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import hostile				# noqa: E402
import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from content import Content, bencode	# noqa: E402
from holding import holds		# noqa: E402
from hostile import greet, message	# noqa: E402
from late import Lateness		# noqa: E402
from tap import Tap			# noqa: E402

PORT = 6881
NOBODY = 65534
tap = Tap()
told = []		# (when, index) of the haves of tells()


# --- peers -------------------------------------------------------------------

def tells(s, c):
	"""A have every 20 ms, and nothing else that would end their run."""
	greet(s, c)
	for i in range(100000):
		s.sendall(message(4, struct.pack(">I", i % c.pieces)))
		told.append((time.clock_gettime_ns(time.CLOCK_REALTIME), i))
		time.sleep(0.02)


def talks(s, c):
	"""Enough to fill a small disk: unknown messages, each on record."""
	greet(s, c)
	while True:
		s.sendall(message(99, os.urandom(12000)))
		time.sleep(0.02)


def stays(s, c):
	greet(s, c)


def mirror(swarm, host):
	"""Whoever dials this port of the host meets himself."""
	def relay(s, c):
		back = host.socket()
		back.connect((swarm.watch.address, PORT))
		with back:
			back.settimeout(20)
			back.sendall(hostile.read(s, 68))
			s.sendall(back.recv(68))
	return relay


class Swarm:
	def __init__(self, lab, **peers):
		self.lab = lab
		self.watch = lab.watch = lab.hosts.get("monitor") or \
		    lab.host("monitor", 100)
		hosts = {name: lab.hosts.get(name) or lab.host(name, 10 + i)
		    for i, name in enumerate(peers)}
		self.trackers = hostile.Trackers(lab.hosts.get("tracker") or
		    lab.host("tracker", 1), [(h.address, PORT)
		    for h in hosts.values()])
		self.content = Content("limits", "limits",
		    [[self.trackers.url("good")]])
		self.peers = {name: hostile.Peer(name, hosts[name],
		    self.content, what if isinstance(what, type(tells)) else
		    what[0](self, hosts[name]), PORT)
		    for name, what in peers.items()}
		self.torrent = lab.torrent = os.path.join(lab.folder,
		    "limits.torrent")
		with open(self.torrent, "wb") as f:
			f.write(self.content.torrent)
		os.chmod(self.torrent, 0o644)

	def monitor(self, path, *options, duration=600, **more):
		return self.lab.monitor(path, "--listen", str(PORT), *options,
		    duration=duration, **more)


def waits(monitor, held, seconds=120):
	end = time.monotonic() + seconds
	while monitor.poll() is None and time.monotonic() < end:
		try:
			if held():
				return True
		except Exception:		# the case is being made
			pass
		time.sleep(0.1)
	return False


def read(path):
	with open(path) as f:
		return f.read()


def counts(path, swarm, *kinds, **where):
	with closing(Case(path, swarm.content.pieces)) as case:
		return len(case.records(*kinds, **where))


def stop(monitor, number=signal.SIGINT):
	if monitor.poll() is None:
		monitor.send_signal(number)
	try:
		return monitor.communicate(timeout=90)
	except subprocess.TimeoutExpired:
		monitor.kill()
		return monitor.communicate()


# --- before it begins ----------------------------------------------------------

def refused(swarm, folder):
	few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
	junk = os.path.join(folder, "junk")
	with open(junk, "w") as f:
		f.write("this is neither\n")
	key = os.path.join(folder, "nobody.key")
	locked = os.path.join(folder, "locked")
	os.mkdir(locked, 0o755)
	for what, path, options, torrents, begin, word in (
	    ("a --geo that is no database", "a", ["--geo", junk], [], None,
		junk),
	    ("a torrent that is none", "b", [], [junk], None, junk),
	    ("a list with a bad torrent", "c", ["--list",
		listing(folder, junk)], [], None, junk),
	    ("a case that is a file", "junk", [], [], None, junk),
	    ("a case that may not be written", "locked", [], [], NOBODY,
		locked),
	    ("too few descriptors", "d", [], [], few, "descriptors")):
		more = {"user": begin} if isinstance(begin, int) else \
		    {"preexec_fn": begin}
		path = os.path.join(folder, path)
		r = subprocess.run([laboratory.PROGRAM, "monitor", "--key",
		    key + str(isinstance(begin, int)), "--duration", "1",
		    *options, "--", path, *torrents, swarm.torrent],
		    capture_output=True, text=True, timeout=120, **more)
		tap.claim(r.returncode == 1 and r.stderr.count("\n") == 1 and
		    word in r.stderr, "%s: refused in one line" % what,
		    (r.returncode, r.stderr))
		tap.claim(not os.path.exists(os.path.join(path,
		    "evidence.db")), "%s: no case is made" % what)


def listing(folder, *paths):
	name = os.path.join(folder, "list")
	with open(name, "w") as f:
		f.write("\n".join(paths) + "\n")
	return name


# --- while it runs -------------------------------------------------------------

def killed(swarm, folder):
	"""At most a second of what came is lost."""
	path = os.path.join(folder, "killed")
	worst, slow = 0, Lateness(folder)
	for i in range(3):
		begun = time.monotonic()
		monitor = swarm.monitor(path)
		seen = len(told)
		waits(monitor, lambda: len(told) > seen + 50)
		time.sleep(random.uniform(1.5, 2.5))
		now = time.clock_gettime_ns(time.CLOCK_REALTIME)
		stop(monitor, signal.SIGKILL)
		with closing(Case(path, swarm.content.pieces)) as case:
			last = max(r.d["last_utc_ns"] for r in
			    case.records("have", by="peer"))
		worst = max(worst, (now - last) / 1e9 - slow.since(begun))
	slow.end()
	# 20 ms between haves, and a busy machine's share.
	tap.claim(worst < 1.15, "SIGKILL loses no more than the last second, "
	    "and by how much the machine is late (%.2f s)" % worst, worst)
	holds(tap, path, "killed thrice", said="did not end")


def full(swarm, folder):
	"""What was committed before the disk was full holds."""
	path = os.path.join(folder, "full")
	os.mkdir(path)
	subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs",
	    path], check=True)
	try:
		monitor = swarm.monitor(path, "--disk-spare", "0")
		_, err = monitor.communicate(timeout=300)
		tap.claim(monitor.returncode == 1 and
		    "evidence could not be kept" in err and "full" in err,
		    "a full disk: exit 1, and said",
		    (monitor.returncode, err[-600:]))
		copy = path + ".copy"
		shutil.copytree(path, copy)
	finally:
		subprocess.run(["umount", path])
	holds(tap, copy, "a full disk", said="did not end")
	tap.claim(counts(copy, swarm, "message") > 5, "a full disk: what came "
	    "before is there")


def table(pid):
	"""Descriptors that the kernel has room for, of this process."""
	return int(next(l.split()[1] for l in read("/proc/%d/status" %
	    pid).splitlines() if l.startswith("FDSize:")))


def starved(swarm, folder):
	"""Descriptors run out for a while."""
	path = os.path.join(folder, "starved")
	said = path + ".said"
	monitor = swarm.monitor(path, "--no-packets", stderr=open(said, "w"))
	caller = swarm.peers["stays"].host
	waits(monitor, lambda: counts(path, swarm, "handshake", by="peer") >= 2)
	room = table(monitor.pid)
	tap.claim(room >= 500, "the table of descriptors need not grow while "
	    "threads share it", room)
	limit = resource.prlimit(monitor.pid, resource.RLIMIT_NOFILE)
	resource.prlimit(monitor.pid, resource.RLIMIT_NOFILE,
	    (3, limit[1]))	# those it has stay
	s = caller.socket()
	s.connect((swarm.watch.address, PORT))
	s.sendall(hostile.handshake(swarm.content.info_hash))
	waits(monitor, lambda: "Too many open files" in read(said))
	time.sleep(1)		# for what must not come to be
	accepted = counts(path, swarm, "accept", ip=caller.address)
	resource.prlimit(monitor.pid, resource.RLIMIT_NOFILE, limit)
	waits(monitor, lambda: counts(path, swarm, "accept",
	    ip=caller.address))
	stop(monitor)
	err = read(said)
	tap.equal(monitor.returncode, 0, "no descriptors: it goes on")
	tap.claim("Too many open files" in err and
	    err.count("Too many open files") < 4, "no descriptors: said, not "
	    "over and over", err[-800:])
	tap.claim(accepted == 0 and counts(path, swarm, "accept",
	    ip=caller.address) == 1, "no descriptors: a caller waits until "
	    "there are some")
	holds(tap, path, "no descriptors")
	s.close()


def itself(swarm, folder):
	path = os.path.join(folder, "itself")
	monitor = swarm.monitor(path)
	waits(monitor, lambda: counts(path, swarm, "closed",
	    ip=swarm.peers["mirror"].address) >= 2)
	laboratory.ip(swarm.watch.ns, "addr add 10.77.9.9/16 dev eth0")
	waits(monitor, lambda: counts(path, swarm, "no_packets"))
	stop(monitor)
	case = Case(path, swarm.content.pieces)
	ip = swarm.peers["mirror"].address
	tap.claim(any("met ourselves" in r.d["why"]
	    for r in case.records("closed", ip=ip)), "through a translator we "
	    "know ourselves", [r.d for r in case.records("closed", ip=ip)])
	tap.claim(case.levels().get(ip, 0) <= 1, "and are no peer of the swarm",
	    case.levels().get(ip))
	filters = {r.d["filter"] for r in case.records("packets")}
	tap.claim(filters and all(swarm.watch.address in f and
	    swarm.watch.address6 in f for f in filters), "the packet filter "
	    "names our addresses", filters)
	late = [r.d["why"] for r in case.records("no_packets")]
	tap.claim(len(late) == 1 and late[0].startswith("10.77.9.9 is new"),
	    "an address that came later is said to be missing", late)
	case.close()
	holds(tap, path, "itself")


def many(swarm, folder):
	"""--list with 1500 torrents; SIGHUP takes some away, adds others."""
	path = os.path.join(folder, "many")
	names = []
	for i in range(1600):
		names.append(os.path.join(folder, "t%d.torrent" % i))
		with open(names[-1], "wb") as f:
			f.write(bencode({"info": {"name": "t%d" % i, "length": 1,
			    "piece length": 16384, "pieces": bytes(20)}}))
	listing(folder, *names[:1500])
	said = path + ".said"
	monitor = swarm.monitor(path, "--list", os.path.join(folder, "list"),
	    "--no-packets", stderr=open(said, "w"))
	waits(monitor, lambda: counts(path, swarm, "torrent") == 1501)
	tap.equal(counts(path, swarm, "torrent"), 1501, "1501 torrents")
	listing(folder, *names[100:])
	monitor.send_signal(signal.SIGHUP)
	waits(monitor, lambda: counts(path, swarm, "torrent") == 1601)
	tap.equal(counts(path, swarm, "torrent"), 1601, "after SIGHUP the new "
	    "ones too")
	tap.equal(counts(path, swarm, "closed",
	    ip=swarm.peers["stays"].address), 0, "whose torrent stays is not "
	    "left")
	listing(folder, *names[100:], os.path.join(folder, "missing"))
	monitor.send_signal(signal.SIGHUP)
	waits(monitor, lambda: "left as it was" in read(said))
	began = time.monotonic()
	stop(monitor)
	err = read(said)
	tap.claim("left as it was" in err and "missing" in err, "a list with a "
	    "fault changes nothing, and says which", err[-600:])
	tap.claim(monitor.returncode == 0 and time.monotonic() - began < 60,
	    "it ends in good time", (monitor.returncode, err[-600:]))
	holds(tap, path, "1600 torrents")


def leaves(swarm, folder):
	"""A swarm that is being talked to leaves the list and comes back."""
	path = os.path.join(folder, "leaves")
	other = os.path.join(folder, "other.torrent")
	ip = swarm.peers["stays"].address
	with open(other, "wb") as f:
		f.write(bencode({"info": {"name": "other", "length": 1,
		    "piece length": 16384, "pieces": bytes(20)}}))
	listing(folder, swarm.torrent)
	monitor = swarm.monitor(path, "--list", os.path.join(folder, "list"),
	    targets=[other])
	waits(monitor, lambda: counts(path, swarm, "handshake", ip=ip,
	    by="peer"))
	listing(folder)
	monitor.send_signal(signal.SIGHUP)
	waits(monitor, lambda: counts(path, swarm, "closed", ip=ip))
	s = swarm.peers["stays"].host.socket()
	s.connect((swarm.watch.address, PORT))
	s.sendall(hostile.handshake(swarm.content.info_hash))
	waits(monitor, lambda: counts(path, swarm, "closed", ip=ip) == 2)
	listing(folder, swarm.torrent)
	monitor.send_signal(signal.SIGHUP)
	waits(monitor, lambda: counts(path, swarm, "torrent") == 3)
	s = swarm.peers["stays"].host.socket()
	s.connect((swarm.watch.address, PORT))
	s.sendall(hostile.handshake(swarm.content.info_hash))
	waits(monitor, lambda: counts(path, swarm, "handshake", ip=ip,
	    by="peer") == 3)
	monitor.send_signal(signal.SIGTERM)
	time.sleep(0.1)
	stop(monitor, signal.SIGTERM)
	tap.equal(monitor.returncode, 0, "a second SIGTERM while it ends: it "
	    "ends well")
	case = Case(path, swarm.content.pieces)
	why = [r.d["why"] for r in case.records("closed", ip=ip)]
	tap.equal(why, ["its torrent left the list",
	    "the infohash is none of ours", "the run ended"], "a swarm leaves "
	    "the list, is none of ours, and is again")
	tap.equal([r.d["event"] for r in case.records("announce")
	    if r.d["tracker"] == swarm.trackers.url("good")][:3],
	    ["started", "stopped", "started"], "its tracker is told")
	case.close()
	holds(tap, path, "hurried")


def main():
	laboratory.as_root()
	only = sys.argv[1:]
	with tempfile.TemporaryDirectory(prefix="sw-limits-",
	    ignore_cleanup_errors=True) as folder, laboratory.Lab() as lab:
		os.chmod(folder, 0o755)
		swarm = Swarm(lab, tells=tells, talks=talks, stays=stays,
		    mirror=(mirror,))
		for test in refused, killed, full, starved, itself, many, \
		    leaves:
			if only and test.__name__ not in only:
				continue
			try:
				test(swarm, folder)
			except Exception as e:
				tap.claim(False, "%s: %s: %s" % (test.__name__,
				    type(e).__name__, e))
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
