#!/usr/bin/env python3
"""What a long run needs: a folder that is watched, addresses that are never
contacted, an end before the disk is full, numbers for whoever looks after it,
and a unit that systemd finds in order.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from content import bencode		# noqa: E402
from holding import holds		# noqa: E402
from tap import Tap			# noqa: E402

UNIT = os.path.join(laboratory.ROOT, "docs/swarmwitness@.service")
LINE = re.compile(r'swarmwitness_([a-z0-9_]+) (-?[0-9.e+]+)$')
MANY = 200
tap = Tap()


def metrics(path):
	"""{name: value}; every sample after its HELP and TYPE."""
	found, about = {}, {}
	with open(path) as f:
		for line in f.read().splitlines():
			if line.startswith("# "):
				_, what, name, rest = line.split(" ", 3)
				about.setdefault(name, {})[what] = rest
				continue
			name, value = LINE.match(line).groups()
			kind = about["swarmwitness_" + name]
			assert kind["TYPE"] in ("gauge", "counter") and \
			    kind["HELP"].endswith("."), line
			assert (kind["TYPE"] == "counter") == \
			    name.endswith("_total"), line
			assert name not in found, line
			found[name] = float(value)
	return found


def matched(path, pieces):
	try:
		with closing(Case(path, pieces)) as case:
			return {r.ip for r in case.records("piece", by="peer")
			    if r.d["match"] is True}
	except Exception:	# no tables yet
		return set()


def watched(lab, folder):
	"""Torrents come and go while the run goes on."""
	case, seen = os.path.join(folder, "case"), os.path.join(folder, "in")
	numbers = os.path.join(folder, "numbers", "swarm.prom")
	log = open(os.path.join(folder, "log"), "w+")
	os.mkdir(seen)
	os.mkdir(os.path.dirname(numbers))
	trap = os.path.join(folder, "numbers", "elsewhere")
	with open(trap, "w") as f:
		f.write("kept\n")
	os.symlink("elsewhere", os.path.join(folder, "numbers",
	    ".swarm.prom.new"))
	blocked = lab.peers["aria2-seed"].address
	with open(os.path.join(folder, "blocked"), "w") as f:
		f.write("# not these\n%s/32\nfirm:%s-%s\n" % (blocked,
		    lab.peers["lt-late"].address, lab.peers["lt-late"].address))
	monitor = lab.watch.run([laboratory.PROGRAM, "monitor",
	    "--allow-local", "--interface", "eth0", "--duration", "300",
	    "--key", os.path.join(lab.folder, "key"), "--watch", seen,
	    "--metrics", numbers, "--blocklist",
	    os.path.join(folder, "blocked"), case], stdout=subprocess.PIPE,
	    stderr=log, text=True)
	lab.wait(lambda: os.path.exists(numbers), 30, "metrics")
	tap.equal(metrics(numbers)["swarms"], 0, "an empty folder is watched")
	with open(trap) as f:
		tap.equal(f.read(), "kept\n", "no link in the metrics' folder "
		    "is followed")
	with open(lab.torrent, "rb") as f:
		torrent = f.read()
	# Somebody writes there all the time, and a file is none.
	noise = subprocess.Popen(["sh", "-c", "while :; do date > noise.log; "
	    "sleep 0.2; done"], cwd=seen,
	    preexec_fn=laboratory.die_with_parent)
	os.mkfifo(os.path.join(seen, "fifo.torrent"))
	os.symlink("loop.torrent", os.path.join(seen, "loop.torrent"))
	half = os.path.join(seen, "lab.torrent")
	with open(half, "wb") as f:
		f.write(torrent[:len(torrent) // 2])
	with open(os.path.join(seen, "notes.txt"), "w") as f:
		f.write("no torrent\n")
	lab.wait(lambda: "lab.torrent" in open(log.name).read(), 30,
	    "word of the half-written file")
	with open(half, "wb") as f:
		f.write(torrent)
	lab.wait(lambda: matched(case, lab.content.pieces) >=
	    {lab.peers["lt-seed"].address}, 90, "piece")
	tap.claim(True, "a torrent that is put into the folder is watched, "
	    "one that is half written once it is whole")
	noise.kill()
	noise.wait()
	one = os.path.join(seen, "one.magnet")
	link = "magnet:?xt=urn:btih:%s\n" % ("ab" * 20)
	with open(one, "w") as f:
		f.write("x" * len(link))
	lab.wait(lambda: "one.magnet" in open(log.name).read(), 30,
	    "word of what is no link")
	was = os.stat(one)
	with open(one, "r+") as f:	# as long as before, and as old
		f.write(link)
	os.utime(one, ns=(was.st_atime_ns, was.st_mtime_ns))
	lab.wait(lambda: metrics(numbers)["swarms"] == 2, 60, "second swarm")
	many_at_once(lab, case, seen, numbers, log.name)
	lab.begin(lab.peers["lt-late"])		# it would dial us
	time.sleep(6)
	os.remove(half)
	lab.wait(lambda: metrics(numbers)["swarms"] == 1, 60, "end of the first")
	tap.claim(True, "a link too; and what is taken out ends")
	monitor.terminate()
	monitor.communicate(timeout=60)
	tap.equal(monitor.returncode, 0, "exit 0")
	check_case(lab, case, numbers, blocked)
	log.close()


def many_at_once(lab, case, seen, numbers, log):
	"""One look takes them all up, behind one sync of their copies."""
	def looks():
		with open(log) as f:
			return f.read().count(seen + ": swarms: ")
	before, names = looks(), ["%03d.torrent" % i for i in range(MANY)]
	aside = seen + ".aside"
	os.mkdir(aside)
	for n in names:
		with open(os.path.join(aside, n), "wb") as f:
			f.write(bencode({"info": {"length": 40000, "name": n,
			    "piece length": 16384, "pieces": bytes(60)}}))
	for n in names:
		os.rename(os.path.join(aside, n), os.path.join(seen, n))
	lab.wait(lambda: metrics(numbers)["swarms"] == 2 + MANY, 60,
	    "%d swarms" % MANY)
	tap.claim(looks() - before <= 2, "%d files that are put there at once "
	    "are taken up at once" % MANY, looks() - before)
	tap.equal(len(os.listdir(os.path.join(case, "torrents"))), MANY + 1,
	    "and all are copied into the case")
	for n in names:
		os.rename(os.path.join(seen, n), os.path.join(aside, n))
	lab.wait(lambda: metrics(numbers)["swarms"] == 2, 60, "end of these")


def check_case(lab, path, numbers, blocked):
	last = metrics(numbers)
	case = Case(path, lab.content.pieces)
	torrents = case.records("torrent")
	sources = [os.path.basename(r.d["source"]) for r in torrents]
	tap.equal((len(sources), sources.count("lab.torrent")), (MANY + 1, 1),
	    "its torrent is on record, with the file it came from")
	stopped = [r.d["event"] for r in case.records("announce")
	    if r.d["outcome"] == "ok"]
	tap.claim("stopped" in stopped, "its tracker was told stopped", stopped)
	late = lab.peers["lt-late"].address
	touched = [(r.kind, r.ip) for r in case.records("dial", "accept",
	    "unreached", "handshake") if r.ip in (blocked, late)]
	tap.equal(touched, [], "who is on the blocklist was never contacted")
	named = {ip for r in case.records("listed") for ip, _ in
	    case.named(r.seq)}
	tap.claim(blocked in named, "though the tracker named it", named)
	run = case.records("run")[0].d["config"]
	tap.claim(len(run["blocklist"]) == 1 and
	    re.fullmatch("[0-9a-f]{64}", run["blocklist"][0]["sha256"]),
	    "the run names the blocklist and its digest", run["blocklist"])
	said = [r.d for r in case.records("blocked")]
	tap.claim(len(said) == 1 and said[0]["ranges"] == 2 and
	    said[0]["withheld"] > 0, "and says what it did", said)
	tap.equal((last["records_total"] <= case.records("end")[0].seq + 1,
	    last["piece_bytes_sent_total"], last["handshaked_total"] > 0,
	    last["blocked_addresses_total"] > 0), (True, 0, True, True),
	    "the last metrics agree with the case")
	saved = case.records("packets")
	tap.claim(saved, "packets were kept")
	case.close()
	r = subprocess.run(["tcpdump", "-nr", os.path.join(path,
	    saved[0].d["file"]), "src host %s and tcp and dst host %s" % (
	    lab.watch.address, blocked)], capture_output=True, text=True)
	tap.claim(r.returncode == 0 and r.stdout == "",
	    "no packet went to it", r.stdout[:300] + r.stderr)
	holds(tap, path, "watched")


def budget(lab, folder):
	path = os.path.join(folder, "small")
	monitor = lab.monitor(path, "--sample", "all", "--disk-budget", "1M",
	    "--outstanding", "32", duration=200)
	out, err = monitor.communicate(timeout=220)
	tap.claim(monitor.returncode == 1 and "--disk-budget is used up" in err,
	    "a budget that is used up: exit 1, and said", (monitor.returncode,
	    err[-300:]))
	with closing(Case(path, lab.content.pieces)) as case:
		tap.equal([r.d["why"] for r in case.records("end")],
		    ["disk budget"], "the run ended in order")
		mode = case.db.execute("PRAGMA journal_mode").fetchone()[0]
	tap.equal(mode, "delete", "and the case is sealed")
	holds(tap, path, "budget")


def nearly_full(lab, folder):
	path = os.path.join(folder, "full")
	os.mkdir(path)
	subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs",
	    path], check=True)
	try:
		case = os.path.join(path, "case")
		monitor = lab.monitor(case, "--disk-spare", "39M",
		    "--sample", "all", "--outstanding", "32", duration=200)
		_, err = monitor.communicate(timeout=220)
		tap.claim(monitor.returncode == 1 and "--disk-spare" in err,
		    "a disk with too little left: exit 1, and said",
		    (monitor.returncode, err[-300:]))
		shutil.copytree(case, path + ".copy")
	finally:
		subprocess.run(["umount", path])
	with closing(Case(path + ".copy", lab.content.pieces)) as c:
		tap.equal([r.d["why"] for r in c.records("end")],
		    ["disk nearly full"], "the run ended in order")
	holds(tap, path + ".copy", "nearly full")


def refused(folder):
	"""Before there is a case."""
	bad = os.path.join(folder, "bad")
	with open(bad, "w") as f:
		f.write("192.0.2.1\n<html>\n")
	for options, says in ((("--blocklist", bad), "bad, line 2"),
	    (("--blocklist", "/nowhere"), "/nowhere"),
	    (("--disk-budget", "much"), "a size such as"),
	    (("--disk-budget", "9999999T"), "a size such as")):
		case = os.path.join(folder, "none")
		r = subprocess.run([laboratory.PROGRAM, "monitor", *options,
		    case, "ab" * 20], capture_output=True, text=True)
		tap.claim(r.returncode in (1, 2) and says in r.stderr and
		    r.stderr.count("\n") == 1 and not os.path.exists(case),
		    "%s %s is refused in one line" % options,
		    (r.returncode, r.stderr))


def unit(folder):
	"""The unit is one that systemd reads without a word."""
	copy = os.path.join(folder, "swarmwitness@case.service")
	with open(UNIT) as f:
		text = f.read()
	with open(copy, "w") as f:
		f.write(text.replace("/usr/local/bin/swarmwitness",
		    '"%s"' % laboratory.PROGRAM))
	r = subprocess.run(["systemd-analyze", "verify", "--man=no", copy],
	    capture_output=True, text=True)
	about = [line for line in r.stderr.splitlines() if "swarmwitness" in
	    line]
	tap.claim(r.returncode == 0 and not about, "systemd-analyze verify",
	    r.stderr)
	r = subprocess.run(["systemd-analyze", "security", "--offline=true",
	    "--threshold=25", copy], capture_output=True, text=True)
	level = [line for line in r.stdout.splitlines() if "Overall" in line]
	print("# " + " ".join(level))
	tap.claim(r.returncode == 0, "systemd-analyze security: 2.5 or less",
	    level)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-operation-",
	    ignore_cleanup_errors=True) as folder:
		refused(folder)
		unit(folder)
		with laboratory.Lab() as lab:
			lab.swarm(only=("lt-seed", "aria2-seed", "lt-late"))
			watched(lab, folder)
			budget(lab, folder)
			nearly_full(lab, folder)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
