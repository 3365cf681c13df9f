#!/usr/bin/env python3
"""What can happen to a run: each of its processes killed at any moment under
load, files torn, another who holds the lock, no right to write, a key that is
missing, wrong or another's, a clock set back. Whatever a reader saw before is
there after, the next run goes on, verify holds, and the record tells of it.

(test_crash.py kills what ingests alone; test_limits.py has the full disk and two
monitors; test_clock.py a clock that is set during a run.) FAULT_ROUNDS says how
many kills (100), FAULT_SEED with which numbers."""
import collections
import concurrent.futures
import glob
import json
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory	# noqa: E402
import processes		# noqa: E402
from holding import PAGE		# noqa: E402
from tap import Tap		# noqa: E402
from test_census import MANY, alone	# noqa: E402

ROUNDS = int(os.environ.get("FAULT_ROUNDS", "100"))
SEED = int(os.environ.get("FAULT_SEED", "20260131"))
PER_CASE = 10
NOBODY = 65534
MAGNET = "magnet:?xt=urn:btih:" + "c1" * 20
tap = Tap()


class Swarm:
	"""Some hundred peers on loopback until this process ends."""

	def __init__(self, folder):
		os.mkdir(folder)
		self.p = subprocess.Popen([MANY, "--peers", "300", "--torrents",
		    "3", "--pieces", "24", "--seconds", "900", folder],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
		    preexec_fn=laboratory.die_with_parent)
		json.loads(self.p.stdout.readline())
		threading.Thread(target=self.p.stdout.read, daemon=True).start()
		self.torrents = sorted(glob.glob(os.path.join(folder,
		    "*.torrent")))


def command(case, key, *options, targets=(MAGNET,)):
	return [laboratory.PROGRAM, "monitor", "--bind", "127.0.0.1",
	    "--allow-local", "--no-dht", "--no-utp", "--encryption", "off",
	    "--listen", "0", "--key", key, *options, case, *targets]


def short(case, key, *options, **more):
	"""A run of a second, without packets."""
	return subprocess.run(command(case, key, "--no-packets", "--duration",
	    "1", *options), capture_output=True, text=True, timeout=120, **more)


def start(case, key, swarm, *options):
	return subprocess.Popen(command(case, key, "--sample", "all",
	    "--interface", "lo", "--duration", "60", *options,
	    targets=swarm.torrents), stdout=subprocess.DEVNULL,
	    stderr=subprocess.PIPE, text=True,
	    preexec_fn=laboratory.die_with_parent)


def ask(case, sql, *values):
	"""As any reader would; [] while the case is being made."""
	try:
		with closing(sqlite3.connect("file:%s/evidence.db?mode=ro" %
		    case, uri=True, timeout=60)) as db:
			return db.execute(sql, values).fetchall()
	except sqlite3.OperationalError as e:
		if not str(e).startswith(("unable to open", "no such table")):
			raise
		return []


def seen(case):
	"""What a reader can see now: records, and the newest checkpoint's note."""
	rows = ask(case, "SELECT (SELECT count(*) FROM record), (SELECT note FROM "
	    "checkpoint ORDER BY size DESC LIMIT 1), (SELECT count(*) FROM "
	    "record WHERE kind = 'run')")
	return rows[0] if rows else (0, None, 0)


def verify(case, note=None, *options):
	words = [laboratory.PROGRAM, "verify", "--json", *options]
	if note:
		with open(case + ".seen", "w") as f:
			f.write(note)
		words += ["--checkpoint", case + ".seen"]
	r = subprocess.run(words + [case], capture_output=True, text=True,
	    timeout=300)
	return r.returncode, json.loads(r.stdout) if r.stdout else r.stderr


def wrong(case, note=None, *options):
	"""None if it holds, and extends what was seen."""
	status, said = verify(case, note, *options)
	if status == 0 and (not note or said["extends_checkpoint"]):
		return None
	return status, said["faults"] if isinstance(said, dict) else said


def family(pid):
	"""{name: pid} of a monitor's processes."""
	found = {"monitor": pid}
	for child in processes.children(pid):
		try:
			found["publisher" if processes.name(child) ==
			    "checkpoints" else "recorder"] = child
		except OSError:		# it has just ended
			pass
	return found


def until(held, seconds=60):
	end = time.monotonic() + seconds
	while time.monotonic() < end:
		if held():
			return True
		time.sleep(0.05)
	return False


# --- kills -----------------------------------------------------------------------

class Count:
	def __init__(self):
		self.lock = threading.Lock()
		self.tried, self.held = collections.Counter(), \
		    collections.Counter()
		self.bad = []
		self.records = self.salvaged = self.cut = 0

	def one(self, what, bad):
		with self.lock:
			self.tried[what] += 1
			self.held[what] += not bad
			if bad:
				self.bad.append((what, bad))


def kill_one(case, key, swarm, pick, victim, replay):
	"""What did not hold, or None."""
	runs = seen(case)[2]
	options = ["--on-checkpoint", "cat >/dev/null"] if victim in \
	    ("publisher", "all") or pick.random() < 0.3 else []
	p = start(case, key, swarm, *options)
	early = victim == "monitor" and pick.random() < 0.25
	# The publisher has the recorder's name until it gets to say its own.
	whole = {"monitor", "recorder"} | ({"publisher"} if options else set())
	if not early and not until(lambda: p.poll() is not None or
	    seen(case)[2] > runs and (victim not in ("recorder",
	    "publisher") or set(family(p.pid)) == whole)):
		p.kill()
		return "no run came to be"
	time.sleep(pick.uniform(0.0, 0.4 if early else 1.2))
	if p.poll() is not None:
		return "it ended: " + p.stderr.read()[-400:]
	size, note, _ = seen(case)
	pids = family(p.pid)
	if victim == "ending":
		p.send_signal(signal.SIGINT)
		time.sleep(pick.uniform(0, 0.4))
	pids["ending"] = p.pid
	for pid in pids.values() if victim == "all" else [pids.get(victim)]:
		if pid:
			try:
				os.kill(pid, signal.SIGKILL)
			except ProcessLookupError:
				pass
	if victim in ("recorder", "publisher"):
		if victim == "recorder":
			until(lambda: ask(case, "SELECT 1 FROM record WHERE kind "
			    "= 'no_packets' AND seq > ?", size - 1), 30)
		size, note, _ = seen(case)
		p.send_signal(signal.SIGINT)
	_, err = p.communicate(timeout=120)
	if victim in ("recorder", "publisher") and p.returncode != 0:
		return "the run did not go on: " + err[-400:]
	if victim == "recorder" and not ask(case, "SELECT 1 FROM record WHERE "
	    "kind = 'no_packets' AND seq >= (SELECT max(seq) FROM record "
	    "WHERE kind = 'run')"):
		return "no record that no packets are taken any more"
	after = seen(case)[0]
	if after < size:
		return "%d records were seen, %d are left" % (size, after)
	if after == 0:
		return None
	return wrong(case, note, *([] if replay else ["--no-replay"]))


def told(case):
	"""Every run says of the one before what the records say."""
	runs = ask(case, "SELECT seq, json_extract(detail, '$.previous.seq'), "
	    "json_extract(detail, '$.previous.ended'), json_extract(detail, "
	    "'$.previous.records') FROM record WHERE kind = 'run' ORDER BY seq")
	ends = [s for s, in ask(case, "SELECT seq FROM record WHERE "
	    "kind = 'end'")]
	cut, before = 0, None
	for seq, prev, ended, records in runs:
		want = (None, None, None)
		if before is not None:
			over = any(before < e < seq for e in ends)
			cut += not over
			want = (before, int(over), seq)
		if (prev, ended, records) != want:
			return cut, "run %d says %s of the run before, not %s" % (
			    seq, (prev, ended, records), want)
		before = seq
	return cut, None


def kill_rounds(swarm, folder, count, lane):
	victims = ["monitor"] * 5 + ["all"] * 2 + ["ending", "recorder", "publisher"]
	key = os.path.join(folder, "key%d" % lane)
	for first in range(lane * PER_CASE, ROUNDS, 2 * PER_CASE):
		case = os.path.join(folder, "case%d" % first)
		for n in range(first, min(first + PER_CASE, ROUNDS)):
			pick = random.Random(SEED * 1009 + n)
			victim = pick.choice(victims)
			what = {"all": "all its processes", "ending":
			    "the monitor as it ends"}.get(victim, "the " + victim)
			count.one("kill -9 of " + what, kill_one(case, key,
			    swarm, pick, victim, n % 5 == 0))
		r = short(case, key)
		cut, bad = told(case)
		left = glob.glob(os.path.join(case, "packets", ".*"))
		count.one("the next run goes on, and tells of the runs before",
		    (r.stderr[-400:] if r.returncode else None) or bad or
		    left or wrong(case))
		with count.lock:
			count.cut += cut
			count.records += seen(case)[0]
			count.salvaged += ask(case, "SELECT count(*) FROM record "
			    "WHERE kind = 'packets' AND json_extract(detail, "
			    "'$.salvaged')")[0][0]


def dialled_again(swarm, folder, count):
	"""Dials that a kill took from the ledger are in its packets, and the next
	run makes them again, many from the same port: each has its own."""
	key, again = os.path.join(folder, "again.key"), ("--ports",
	    "30000-30003")
	for n in range(2):
		case = os.path.join(folder, "again%d" % n)
		p = start(case, key, swarm, *again)
		until(lambda: seen(case)[0] > 100)
		time.sleep(0.3)
		p.kill()
		p.communicate()
		size = seen(case)[0]
		p = start(case, key, swarm, *again)
		until(lambda: seen(case)[0] > size + 300)
		p.send_signal(signal.SIGINT)
		p.communicate(timeout=120)
		count.one("what a killed run dialled is dialled again", wrong(
		    case))


def others_killed(swarm, folder, count):
	"""`stamp` while an authority is silent; an import."""
	case, key = os.path.join(folder, "others"), os.path.join(folder, "k")
	p = start(case, key, swarm)
	until(lambda: seen(case)[0] > 300)
	p.send_signal(signal.SIGINT)
	p.communicate(timeout=120)
	silent = socket.socket()
	silent.bind(("127.0.0.1", 0))
	silent.listen(16)
	pick = random.Random(SEED)
	packets = glob.glob(os.path.join(case, "packets", "*.pcap"))
	for n in range(6):
		size, note, _ = seen(case)
		p = subprocess.Popen([laboratory.PROGRAM, "stamp", "--key", key,
		    "--tsa", "http://127.0.0.1:%d/" % silent.getsockname()[1],
		    case], stderr=subprocess.DEVNULL)
		time.sleep(pick.uniform(0, 0.5))
		p.kill()
		p.wait()
		count.one("kill -9 of stamp", wrong(case, note, "--no-replay") or
		    seen(case)[0] < size)
		into = os.path.join(folder, "import%d" % (n // 3))
		size, note, _ = seen(into)
		p = subprocess.Popen([laboratory.PROGRAM, "capture", "--key",
		    key, into, *packets], stderr=subprocess.DEVNULL,
		    stdout=subprocess.DEVNULL)
		time.sleep(pick.uniform(0.01, 0.12))
		p.kill()
		p.wait()
		count.one("kill -9 of an import", seen(into)[0] < size or
		    seen(into)[0] and wrong(into, note, "--no-replay"))
	silent.close()
	for path in (os.path.join(folder, "import%d" % i) for i in range(2)):
		r = subprocess.run([laboratory.PROGRAM, "capture", "--key", key,
		    path, *packets], capture_output=True, text=True,
		    timeout=120)
		# Refused as known is only what was read to its end.
		whole = ask(path, "SELECT count(*) FROM record WHERE kind = "
		    "'packets' AND json_extract(detail, '$.imported.name') "
		    "NOTNULL")[0][0]
		count.one("the next import goes on, or all was imported",
		    (r.returncode or whole != len(packets)) and not (whole and
		    "already" in r.stderr) and r.stderr[-300:] or
		    told(path)[1] or wrong(path))
	return case, key


# A writer that is killed while a rollback journal stands: first what is in the
# database, then what was under way.
HALF = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.executescript(sys.argv[2])
db.execute("PRAGMA cache_size = 1")
db.execute("BEGIN")
db.execute("CREATE TABLE half(b)")
for _ in range(100):
	db.execute("INSERT INTO half VALUES (zeroblob(9000))")
os._exit(0)
"""


def half_made(case, key, folder, count):
	"""Killed in a case's first moments, and while it was sealed."""
	packets = glob.glob(os.path.join(case, "packets", "*.pcap"))[:1]
	begun = {"an empty file": None, "a journal": "", "an empty log":
	    "PRAGMA journal_mode = wal"}
	for what, sql in begun.items():
		path = os.path.join(folder, "half")
		os.makedirs(path)
		file = os.path.join(path, "evidence.db")
		open(file, "w").close()
		if sql is not None:
			subprocess.run([sys.executable, "-c", HALF, file, sql],
			    check=True)
		r = subprocess.run([laboratory.PROGRAM, "capture", "--key",
		    key, path, *packets], capture_output=True, text=True,
		    timeout=120)
		count.one("killed as a case was begun, %s left" % what,
		    r.stderr[-300:] if r.returncode else wrong(path))
		shutil.rmtree(path)
	path = os.path.join(folder, "half")
	for what in (["capture", "--key", key, path, *packets], ["erase",
	    "--ip", "192.0.2.9", "--ground", "a test", "--key", key, path],
	    ["monitor"]):
		shutil.copytree(case, path)
		subprocess.run([sys.executable, "-c", HALF, os.path.join(path,
		    "evidence.db"), "PRAGMA journal_mode = delete"], check=True)
		if not os.path.exists(path + "/evidence.db-journal"):
			raise RuntimeError("no journal was left")
		size, note, _ = seen(case)
		if what[0] == "monitor":
			r = short(path, key)
		else:
			r = subprocess.run([laboratory.PROGRAM, *what],
			    capture_output=True, text=True, timeout=120)
		count.one("a journal left while sealing, then " + what[0],
		    ("sealing" in r.stderr and r.stderr[-300:]) or
		    wrong(path, note) or (seen(path)[0] < size and "lost"))
		shutil.rmtree(path)
	# Between the commit of the `end` and its checkpoint.txt.
	for what in "not there", "of the run before":
		shutil.copytree(case, path)
		db = sqlite3.connect(path + "/evidence.db")
		db.execute("PRAGMA journal_mode = wal")
		db.close()
		last = path + "/checkpoint.txt"
		os.remove(last)
		if what != "not there":
			with open(last, "w") as f:
				f.write(ask(path, "SELECT note FROM checkpoint "
				    "ORDER BY size")[0][0])
		count.one("an end without its checkpoint.txt, %s" % what,
		    wrong(path) or subprocess.run([*PAGE, path],
		    stdout=subprocess.DEVNULL).returncode)
		r = short(path, key)
		count.one("and the next run goes on", "lost" in r.stderr and
		    r.stderr[-300:] or wrong(path) or told(path)[1])
		shutil.rmtree(path)


# --- torn files ---------------------------------------------------------------------

def tear(path, pick):
	"""Of what a kill left: the log's tail or the last page, garbled or cut."""
	log = path + "-wal"
	where = pick.choice(["tail of the log", "log", "database"])
	file = path if where == "database" else log
	size = os.path.getsize(file)
	with open(file, "r+b") as f:
		if where == "tail of the log":
			f.seek(0, os.SEEK_END)
			f.write(pick.randbytes(pick.randint(1, 9000)))
			return where
		at = size - pick.randint(1, min(size - 1, 4096))
		if pick.random() < 0.5:
			f.truncate(at)
		else:
			f.seek(at)
			f.write(pick.randbytes(size - at))
	return where


def torn(swarm, folder, count):
	pick = random.Random(SEED + 1)
	key = os.path.join(folder, "torn.key")
	for n in range(4):
		case = os.path.join(folder, "torn%d" % n)
		p = start(case, key, swarm)
		until(lambda: seen(case)[0] > 200)
		time.sleep(pick.uniform(0.1, 1))
		p.kill()
		p.communicate()
		# What a tear takes is then missed by whoever saw this: before
		# the kill there might have been a commit more.
		note = seen(case)[1]
		for i in range(4):
			copy = case + ".copy%d" % i
			shutil.copytree(case, copy)
			if not os.path.exists(copy + "/evidence.db-wal"):
				count.one("torn", "a kill left no log")
				continue
			where = tear(os.path.join(copy, "evidence.db"), pick)
			came, bad = after_tear(copy, key, note, where)
			count.one("torn: %s: %s" % (where, came), bad)


def after_tear(copy, key, note, where):
	"""What came of it, and what did not hold. All that was seen is there; or
	that it is not is said: by the run that would go on, in one line, or by
	verify, which is given the checkpoint that was seen."""
	lost = wrong(copy, note, "--no-replay")
	r = short(copy, key)
	if r.returncode:
		return "the next run refuses", None if lost and \
		    where != "tail of the log" and r.stderr.count("\n") == 1 \
		    else (lost, r.stderr[-400:])
	now = wrong(copy, note)
	if lost is None:
		return "nothing is lost", now
	if now is None and "not an SQLite database" in lost[1]:
		# A database's first bytes alone, which the log has, too.
		return "verify does not read it; the next run loses nothing", \
		    where != "database" and lost
	return "verify says that it is none that extends what was seen", \
	    where == "tail of the log" and lost or now is None and \
	    "not after the next run"


def lose(log, how):
	size = os.path.getsize(log)
	if how == "deleted":
		os.remove(log)
	elif how == "cut":
		os.truncate(log, size // 2)
	else:
		with open(log, "r+b") as f:
			f.seek(size // 2)
			f.write(random.Random(SEED).randbytes(4096))


def lost(swarm, folder, count):
	"""A log whose checksums are broken, or which is gone: SQLite opens what is
	left without a word. checkpoint.txt says that more was signed."""
	key = os.path.join(folder, "lost.key")
	# Of three kills one may fall between a commit and its checkpoint.txt.
	for n in range(3):
		case = os.path.join(folder, "lost%d" % n)
		p = start(case, key, swarm)
		until(lambda: seen(case)[0] > 500)
		time.sleep(1.5)
		p.kill()
		p.communicate()
		with open(case + "/checkpoint.txt") as f:
			signed = int(f.read().split("\n")[1])
		if signed == seen(case)[0]:
			break
	count.one("checkpoint.txt is of the last commit", signed !=
	    seen(case)[0] and (signed, seen(case)))
	for how in "garbled", "cut", "deleted":
		copy = "%s.%s" % (case, how)
		shutil.copytree(case, copy)
		lose(copy + "/evidence.db-wal", how)
		what = "a log %s: " % how
		left = seen(copy)[0]
		status, said = verify(copy, None, "--no-replay")
		told = said["faults"] if isinstance(said, dict) else \
		    [said] if said.count("\n") == 1 else []
		page = subprocess.run(PAGE + [copy], capture_output=True,
		    text=True, timeout=120)
		count.one(what + "verify finds it, and names it", status != 1 or
		    page.returncode not in (1, 2) or (not any("lost or cut" in
		    f for f in told) if left else not told) and
		    (status, said, page.stdout))
		r = subprocess.run([laboratory.PROGRAM, "erase", "--ip",
		    "9.9.9.9", "--ground", "x", "--key", key, copy],
		    capture_output=True, text=True, timeout=120)
		count.one(what + "nothing is erased from it", r.returncode != 1
		    or seen(copy)[0] != left and r.stderr)
		r = short(copy, key)
		rows = ask(copy, "SELECT seq, json_extract(detail, "
		    "'$.lost.size') FROM record WHERE kind = 'run' ORDER BY "
		    "seq DESC LIMIT 1")
		count.one(what + "the next run says so, and has it on record",
		    (r.returncode != 0 or "lost or cut" not in r.stderr or
		    rows != [(left, signed)] or wrong(copy, None,
		    "--no-replay")) and (r.returncode, r.stderr[-300:], rows,
		    left, signed, wrong(copy, None, "--no-replay")))


# --- the machine says no ---------------------------------------------------------

def refused(what, r, count, case, before, word=""):
	count.one(what, None if r.returncode == 1 and r.stderr.count("\n") == 1
	    and word in r.stderr and seen(case)[:2] == before and
	    not wrong(case) else (r.returncode, r.stderr[-400:], seen(case)[0],
	    before[0], wrong(case)))


def rights(case, key, folder, count):
	before = seen(case)[:2]
	subprocess.run(["mount", "--bind", case, case], check=True)
	try:
		subprocess.run(["mount", "-o", "remount,ro,bind", case],
		    check=True)
		refused("a case on a read-only disk", short(case, key), count,
		    case, before, case)
	finally:
		subprocess.run(["umount", case], check=True)
	os.chmod(case, 0o755)
	for file in glob.glob(case + "/*") + [case + "/.lock"]:
		os.chmod(file, 0o755 if os.path.isdir(file) else 0o644)
	mine = os.path.join(folder, "nobody.key")
	shutil.copy(key, mine)
	os.chown(mine, NOBODY, NOBODY)
	refused("a case that belongs to another", short(case, mine,
	    user=NOBODY, group=NOBODY, extra_groups=[]), count, case, before)


def keys(case, key, folder, count):
	before = seen(case)[:2]
	for what, content, mode in (("a key that is none", b"nothing\n", 0o600),
	    ("an empty key", b"", 0o600), ("half a key", None, 0o600),
	    ("a key that all may read", None, 0o644)):
		file = os.path.join(folder, "bad.key")
		with open(key, "rb") as f:
			whole = f.read()
		with open(file, "wb") as f:
			f.write(whole[:len(whole) // 2] if what == "half a key"
			    else whole if content is None else content)
		os.chmod(file, mode)
		refused(what, short(case, file), count, case, before, file)
	locked = os.path.join(folder, "locked.key")
	shutil.copy(key, locked)
	os.chmod(locked, 0o600)
	other = os.path.join(folder, "other")
	os.mkdir(other)
	os.chown(other, NOBODY, NOBODY)
	refused("another's key", short(other, locked,
	    user=NOBODY, group=NOBODY, extra_groups=[]), count, case, before,
	    locked)
	r = short(case, os.path.join(folder, "made.key"))
	status, said = verify(case, before[1])
	count.one("a key that is missing is made, and verify tells of both",
	    None if (r.returncode, status) == (0, 0) and said["keys"] >= 2 else
	    (r.returncode, r.stderr[-300:], said))


def busy(swarm, case, key, count):
	"""Another process writes, or could, for some seconds."""
	for n in range(3):
		runs = seen(case)[2]
		p = start(case, key, swarm)
		until(lambda: seen(case)[2] > runs)
		got = "the lock"
		db = sqlite3.connect(case + "/evidence.db", timeout=20,
		    isolation_level=None)
		try:
			db.execute("BEGIN IMMEDIATE")
		except sqlite3.OperationalError:
			got = "no lock"
		time.sleep(1 + 2 * n)
		db.close()
		size, note, _ = seen(case)
		p.send_signal(signal.SIGINT)
		_, err = p.communicate(timeout=120)
		count.one("SQLite busy for %d s (%s)" % (1 + 2 * n, got), None
		    if p.returncode == 0 and seen(case)[0] > size and
		    not wrong(case, note) else (p.returncode, err[-400:],
		    wrong(case, note)))


def ports(case, key, count):
	"""Every second port there is taken for UDP, and still --listen 0 listens."""
	was = resource.getrlimit(resource.RLIMIT_NOFILE)
	resource.setrlimit(resource.RLIMIT_NOFILE, (max(was[1], 17000),) * 2)
	held = []
	for port in range(1024, 32768, 2):
		held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
		try:
			held[-1].bind(("127.0.0.1", port))
		except OSError:			# taken already
			pass
	for _ in range(6):
		r = short(case, key)
		count.one("--listen 0 where half the ports are taken",
		    r.stderr[-300:] if r.returncode else None)
	for s in held:
		s.close()
	resource.setrlimit(resource.RLIMIT_NOFILE, was)


def clock(case, key, folder, count):
	"""Set back by an hour between two runs, and again."""
	skew = os.path.join(folder, "skew.so")
	subprocess.run(["cc", "-O1", "-Wall", "-shared", "-fPIC", "-o", skew,
	    os.path.join(laboratory.ROOT, "tests/interop/skewed_clock.c"),
	    "-ldl"], check=True)
	for hours in 1, 2:
		_, note, _ = seen(case)
		r = short(case, key, env=dict(os.environ, LD_PRELOAD=skew,
		    SKEW_AT_MS="1", SKEW_BY_MS=str(-3600000 * hours)))
		back = ask(case, "SELECT utc_ns - json_extract(detail, "
		    "'$.previous.last_utc_ns') FROM record WHERE kind = 'run' "
		    "ORDER BY seq DESC LIMIT 1")[0][0]
		count.one("the clock set back an hour between two runs", None
		    if r.returncode == 0 and back < -1800 * 10 ** 9 and
		    not wrong(case, note) else (r.returncode, r.stderr[-300:],
		    back, wrong(case, note)))


def main():
	laboratory.as_root()
	alone()
	count = Count()
	with tempfile.TemporaryDirectory(prefix="sw-faults-",
	    ignore_cleanup_errors=True) as folder:
		os.chmod(folder, 0o755)
		swarm = Swarm(os.path.join(folder, "swarm"))
		with concurrent.futures.ThreadPoolExecutor(2) as pool:
			for done in [pool.submit(kill_rounds, swarm, folder,
			    count, lane) for lane in range(2)]:
				done.result()
		case, key = others_killed(swarm, folder, count)
		half_made(case, key, folder, count)
		dialled_again(swarm, folder, count)
		torn(swarm, folder, count)
		lost(swarm, folder, count)
		busy(swarm, case, key, count)
		rights(case, key, folder, count)
		keys(case, key, folder, count)
		clock(case, key, folder, count)
		ports(case, key, count)
		for path in sorted(glob.glob(folder + "/case*[0-9]"))[:3] + [case]:
			r = subprocess.run([*PAGE, path], capture_output=True,
			    text=True, timeout=300)
			count.one("verify_case.py holds", r.stdout[-400:] +
			    r.stderr[-300:] if r.returncode else None)
	for what in sorted(count.tried):
		print("# %3d of %3d  %s" % (count.held[what], count.tried[what],
		    what))
	for what, bad in count.bad:
		print("# %s: %.900s" % (what, bad))
	tap.equal(len(count.bad), 0, "tried %d things, held %d times" %
	    (sum(count.tried.values()), sum(count.held.values())))
	tap.claim(count.salvaged > 0 and count.cut > 0, "%d runs were cut short "
	    "and said to be, %d savefiles of theirs kept, in cases of %d "
	    "records" % (count.cut, count.salvaged, count.records),
	    (count.salvaged, count.cut))
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
