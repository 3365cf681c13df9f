#!/usr/bin/env python3
"""The systemd unit, by a systemd of its own: PID 1 of new namespaces, whose
only service is docs/swarmwitness@.service, word for word. It is started as its
user with its hardening, captures packets, reloads, and ends in order at stop.

What is the test's own: the targets the unit names, the user, its folder under
/var/lib, the file of OPTIONS, and a drop-in that says where its messages go.
All of it is mounted over, and gone with the namespaces. Not tried: that it is
started at boot, restarted after a crash, and ordered behind network and clock.
"""
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from content import Content		# noqa: E402
from holding import holds		# noqa: E402
from processes import children		# noqa: E402
from tap import Tap			# noqa: E402

SYSTEMD = "/lib/systemd/systemd"
UNIT, NAME = "swarmwitness@.service", "swarmwitness@lab"
TARGETS = ("sysinit", "basic", "shutdown", "network-online", "time-sync",
    "sockets", "timers", "paths", "slices", "umount", "final")
OPTIONS = "--allow-local --bind 127.0.0.1 --interface lo --no-dht"
LIMIT_S = 120
BOOT = """set -e
mount --make-rprivate /
umount -R /sys/fs/cgroup
mount -t tmpfs tmpfs /sys/fs/cgroup
mkdir /sys/fs/cgroup/systemd
mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd ||
    { umount /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup; }
mount -t tmpfs tmpfs /run
mkdir over
mount -t tmpfs tmpfs over
mkdir over/upper over/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=over/upper,workdir=over/work /etc
cp -r etc/. /etc
mount --bind bin /usr/local/bin
mount --bind lib /var/lib
mount --bind console /dev/console
ip link set lo up
export container=docker SYSTEMD_UNIT_PATH="$PWD/units"
exec %s --system --log-target=console --show-status=no
""" % SYSTEMD
tap = Tap()


def put(path, text):
	os.makedirs(os.path.dirname(path), exist_ok=True)
	with open(path, "w") as f:
		f.write(text)


class Machine:
	"""What systemd finds, and systemd."""

	def __init__(self, folder):
		self.folder = folder
		os.chmod(folder, 0o755)
		self.state = self.path("lib/swarmwitness/lab")
		for name in TARGETS:
			put(self.path("units/%s.target" % name), "[Unit]\n"
			    "DefaultDependencies=no\n")
		put(self.path("units/default.target"), "[Unit]\nRequires="
		    "%s.service\n" % NAME)
		with open(os.path.join(laboratory.ROOT, "docs", UNIT)) as f:
			put(self.path("units/" + UNIT), f.read())
		put(self.path("units/%s.service.d/messages.conf" % NAME),
		    "[Service]\nStandardError=append:%s\n" %
		    self.path("messages"))
		put(self.path("etc/swarmwitness/lab"), 'OPTIONS="%s"\n' % OPTIONS)
		put(self.path("console"), "")
		for name, line in ("passwd", "swarmwitness:x:990:990::"
		    "/var/lib/swarmwitness:/usr/sbin/nologin\n"), \
		    ("group", "swarmwitness:x:990:\n"):
			with open("/etc/" + name) as f:
				put(self.path("etc/" + name), f.read() +
				    line)
		os.mkdir(self.path("bin"))
		subprocess.run(["cp", laboratory.PROGRAM,
		    self.path("bin/swarmwitness")], check=True)
		self.torrents = os.path.join(self.state, "torrents")
		os.makedirs(self.torrents)
		subprocess.run(["chown", "-R", "990:990",
		    self.path("lib/swarmwitness")], check=True)
		self.group = None
		self.log = open(self.path("boot"), "w+")

	def path(self, name):
		return os.path.join(self.folder, name)

	def boot(self):
		self.p = subprocess.Popen(["unshare", "--fork", "--pid",
		    "--mount", "--uts", "--ipc", "--net", "--cgroup",
		    "--kill-child", "--mount-proc", "sh", "-c", BOOT],
		    cwd=self.folder, stdin=subprocess.DEVNULL,
		    stdout=self.log, stderr=self.log,
		    preexec_fn=self.apart)
		self.init = wait(lambda: children(self.p.pid), 20)
		return self.init and wait(lambda: self.ask("ActiveState") in
		    ("active", "failed") or self.p.poll() is not None, 30) and \
		    self.p.poll() is None

	def apart(self):
		"""In a control group of its own, which is its root."""
		laboratory.die_with_parent()
		for top in "/sys/fs/cgroup/systemd", "/sys/fs/cgroup":
			if os.path.exists(top + "/cgroup.procs"):
				group = "%s/sw-unit-%d" % (top, os.getpid())
				os.mkdir(group)
				put(group + "/cgroup.procs", str(os.getpid()))
				return

	def run(self, *command):
		return subprocess.run(["nsenter", "-t", str(self.init[0]), "-a",
		    *command], capture_output=True, text=True, timeout=180)

	def ask(self, what):
		return self.run("systemctl", "show", "-P", what,
		    NAME).stdout.strip()

	def end(self):
		self.p.kill()
		self.p.wait()
		for top in "/sys/fs/cgroup/systemd", "/sys/fs/cgroup":
			group = "%s/sw-unit-%d" % (top, self.p.pid)
			if os.path.exists(group):
				wait(lambda: clear(group), 20)


def clear(group):
	"""Its members end a moment after their namespace."""
	for path, _, _ in os.walk(group, topdown=False):
		try:
			os.rmdir(path)
		except OSError:
			return False
	return True


def wait(held, seconds=LIMIT_S):
	end = time.monotonic() + seconds
	while time.monotonic() < end:
		got = held()
		if got:
			return got
		time.sleep(0.2)
	return None


def said(path):
	try:
		with open(path) as f:
			return f.read()
	except OSError:
		return ""


def records(m, kind):
	try:
		case = Case(os.path.join(m.state, "case"), 1)
	except Exception:		# it is being made
		return []
	try:
		return case.records(kind)
	except Exception:
		return []
	finally:
		case.close()


def status(m):
	"""/proc's account of the monitor's own process."""
	pid = m.ask("MainPID")
	text = m.run("cat", "/proc/%s/status" % pid).stdout
	return pid, dict((k, v.strip()) for k, _, v in (l.partition(":")
	    for l in text.splitlines()))


def check_running(m):
	tap.equal(m.ask("ActiveState"), "active", "the unit is active")
	pid, s = status(m)
	tap.equal(s.get("Uid", "").split(), ["990"] * 4, "it runs as its user")
	tap.equal((s.get("CapEff"), s.get("CapPrm"), s.get("CapAmb")),
	    ("0" * 16,) * 3, "and has given its capability up")
	tap.equal((s.get("NoNewPrivs"), s.get("Seccomp")), ("1", "2"),
	    "no new privileges, and a seccomp filter")
	tap.claim(int(s.get("Seccomp_filters", "0")) > 1, "systemd's and its "
	    "own", s.get("Seccomp_filters"))
	mine = ("nsenter", "-t", pid, "-m")
	for what, command in (("/usr", "touch /usr/x"),
	    ("/etc", "touch /etc/x"), ("homes", "ls /root/*")):
		r = m.run(*mine, "sh", "-c", command)
		tap.claim(r.returncode != 0, "%s: nothing to be had there" %
		    what, r.stdout)
	r = m.run(*mine, "sh", "-c", "ls -A /tmp /dev")
	tap.claim("sda" not in r.stdout and "kmsg" not in r.stdout.split(),
	    "/dev is its own", r.stdout)
	tap.equal(m.run(*mine, "ls", "-A", "/tmp").stdout, "", "so is /tmp")


def check_case(m):
	case = Case(os.path.join(m.state, "case"), 1)
	config = case.records("run")[0].d["config"]
	tap.claim(config["sandbox"]["seccomp"] is True, "its own sandbox could "
	    "be entered", config["sandbox"])
	tap.equal([r.d["why"] for r in case.records("no_packets")], [],
	    "it may capture packets with the capability given")
	kept = case.records("packets")
	tap.claim(kept and sum(r.d["packets"] for r in kept), "and did",
	    [r.d for r in kept])
	tap.equal([r.d["why"] for r in case.records("end")], ["SIGTERM"],
	    "the end is on record, and why")
	case.close()
	holds(tap, os.path.join(m.state, "case"), "the unit's case")


def observe(m):
	c = Content("unit", "unit", [["http://127.0.0.1:7/announce"]])
	begun = wait(lambda: m.ask("ActiveState") == "active" and
	    records(m, "run"))
	if not tap.claim(begun, "the unit starts", said(m.path("messages")) +
	    said(m.path("console"))[-2000:]):
		return
	put(os.path.join(m.torrents, "new"), "")
	with open(os.path.join(m.torrents, "new"), "wb") as f:
		f.write(c.torrent)
	os.rename(os.path.join(m.torrents, "new"),
	    os.path.join(m.torrents, "unit.torrent"))
	tap.claim(wait(lambda: records(m, "torrent")), "a torrent put into its "
	    "folder is watched")
	tap.claim(wait(lambda: records(m, "announce")), "and its tracker is "
	    "asked")
	check_running(m)
	r = m.run("systemctl", "reload", NAME)
	tap.claim(r.returncode == 0 and m.ask("ActiveState") == "active",
	    "reload: it goes on", r.stderr)
	tap.claim(wait(lambda: "swarmwitness_swarms 1\n" in said(os.path.join(
	    m.state, "swarmwitness.prom"))), "its numbers are kept")
	begun = time.monotonic()
	r = m.run("systemctl", "stop", NAME)
	print("# stop took %.1f s of the %s that it may" % (time.monotonic() -
	    begun, m.ask("TimeoutStopUSec")))
	tap.equal((r.returncode, m.ask("ActiveState"), m.ask("Result"),
	    m.ask("ExecMainStatus")), (0, "inactive", "success", "0"),
	    "stop: SIGTERM, and an end in order")
	check_case(m)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-unit-",
	    ignore_cleanup_errors=True) as folder:
		m = Machine(folder)
		try:
			if os.path.exists(SYSTEMD) and m.boot():
				observe(m)
			else:
				print("# systemd cannot be PID 1 of namespaces "
				    "here: the unit was not started")
				print("# " + (said(m.path("boot")) +
				    said(m.path("console")))[-600:])
				return 0
		finally:
			m.end()
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
