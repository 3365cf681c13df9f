#!/usr/bin/env python3
"""How many distinct peers of a synthetic swarm are handshaken, and recorded, a
second: ours, python3-libtorrent as the monitor, and a bare handshaker that
records nothing, one after the other on the same swarm in the same run.

Rates are of the swarm's own count: distinct addresses greeted, from its first
accepted connection to the last new address; "committed" counts until a signed
checkpoint covers the last of their `handshake` records. Ours counts only if
every one of them is such a record. Beside it stands the rate of the first nine
tenths, since some programs take long for the last. Each number of peers comes as one torrent
and as ten: libtorrent dials 255 of each torrent at once. At the end stands
which aim was met where. CENSUS=1000x1,50000x10 takes other numbers of peers
and torrents, CENSUS_ONLY=ours,bare some of the programs, CENSUS_ROUNDS so many
rounds, and CENSUS_OPTIONS other options of our monitor.
"""
import ctypes
import json
import os
import queue
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BENCH = os.path.join(ROOT, "build/release/bench")
PROGRAM = os.path.join(ROOT, "build/release/swarmwitness")
LT_PYTHON = "/usr/bin/python3"
CASES = [tuple(map(int, c.split("x"))) for c in os.environ.get("CENSUS",
    "1000x1,1000x10,10000x1,10000x10,50000x1,50000x10").split(",")]
ROUNDS = int(os.environ.get("CENSUS_ROUNDS", 0))
AIMS = {"libtorrent": 6, "bare": 0.4}
ONLY = os.environ.get("CENSUS_ONLY", "bare,libtorrent,recording,ours").split(",")
EXTRA = os.environ.get("CENSUS_OPTIONS", "--observe-only").split()
# Connections that the swarm keeps, of which the oldest goes: of its 20,000
# descriptors libtorrent uses four fifths, and then waits for ever.
OPEN = 12000
LIMIT = 40	# seconds; who has not greeted all by then is cut short
CLONE_NEWNET = 0x40000000
PAGE = os.sysconf("SC_PAGE_SIZE")
HERTZ = os.sysconf("SC_CLK_TCK")


def alone():
	"""A network namespace of this process's own: loopback and no more."""
	if os.geteuid() != 0:
		os.execvp("sudo", ["sudo", "--", sys.executable] + sys.argv)
	if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
		raise OSError(ctypes.get_errno(), "unshare")
	subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Swarm:
	def __init__(self, folder, peers, torrents):
		self.folder = os.path.join(folder, "swarm%d" % peers)
		self.detail = os.path.join(folder, "detail%d" % peers)
		os.makedirs(self.folder, exist_ok=True)
		self.p = subprocess.Popen([os.path.join(BENCH, "manypeers"),
		    "--peers", str(peers), "--torrents",
		    str(torrents), "--seconds", str(2 * LIMIT), "--open",
		    str(OPEN),
		    "--detail", self.detail, self.folder],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
		self.said = queue.Queue()
		threading.Thread(target=self.read, daemon=True).start()
		self.ready = self.said.get(timeout=20)
		self.targets = os.path.join(self.folder, "targets")
		self.torrents = sorted(os.path.join(self.folder, f)
		    for f in os.listdir(self.folder) if f.endswith(".torrent"))

	def read(self):
		for line in self.p.stdout:
			self.said.put(json.loads(line))
		self.said.put(None)

	def all(self, seconds=LIMIT):
		"""Once every peer that answers is greeted; None: they are not."""
		try:
			return self.said.get(timeout=seconds)
		except queue.Empty:
			return None

	def end(self):
		self.p.stdin.close()
		self.p.wait()
		while True:
			line = self.said.get(timeout=10)
			if line is None or "end" in line:
				return line


def spent(pid):
	"""CPU seconds and resident bytes of a process."""
	with open("/proc/%d/stat" % pid) as f:
		row = f.read().rpartition(")")[2].split()
	return (int(row[11]) + int(row[12])) / HERTZ, int(row[21]) * PAGE


def stop(p, number=signal.SIGTERM):
	p.send_signal(number)
	try:
		return p.communicate(timeout=60)
	except subprocess.TimeoutExpired:
		p.kill()
		return p.communicate()


def rates(end):
	"""Of all that were greeted, over the whole time if some were not, and
	of the first nine tenths, if so many were."""
	most = end["answering"] - end["answering"] // 10
	took = end["took_s"] if end["distinct"] == end["answering"] else LIMIT
	return {"rate": end["distinct"] / took, "most": most / end["most_s"]
	    if end["most_s"] else 0, "distinct": end["distinct"]}


# --- the three ----------------------------------------------------------------

def bare(folder, peers, torrents):
	swarm = Swarm(folder, peers, torrents)
	before = resource.getrusage(resource.RUSAGE_CHILDREN)
	r = subprocess.run([os.path.join(BENCH, "shaker"), swarm.targets],
	    stdout=subprocess.PIPE, text=True)
	after = resource.getrusage(resource.RUSAGE_CHILDREN)
	end = swarm.end()
	cpu = after.ru_utime + after.ru_stime - before.ru_utime - \
	    before.ru_stime
	assert r.returncode == 0, r.stdout
	return {**rates(end), "cpu_us": 1e6 * cpu / peers, "held": 0}


# Recording, it does what a monitor in Python does: asks each torrent twice a
# second for its peers, and puts those that are new into SQLite.
LIBTORRENT = """
import sqlite3, sys, time
import libtorrent as lt
s = lt.session({'listen_interfaces': '127.0.0.1:0', 'enable_dht': False,
    'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False,
    'connections_limit': 19900, 'connection_speed': 100000,
    'torrent_connect_boost': 255, 'max_peerlist_size': 0,
    'enable_outgoing_utp': False, 'enable_incoming_utp': False,
    'out_enc_policy': 2, 'in_enc_policy': 2, 'alert_mask': 0,
    'close_redundant_connections': False, 'peer_timeout': 600,
    'announce_to_all_tiers': True, 'active_downloads': -1,
    'active_limit': 100000, 'active_tracker_limit': 100000,
    'unchoke_slots_limit': 0})
hs = [s.add_torrent({'ti': lt.torrent_info(path), 'save_path': sys.argv[1],
    'flags': lt.torrent_flags.upload_mode |
    lt.torrent_flags.update_subscribe}) for path in sys.argv[3:]]
if sys.argv[2] == '':
    sys.stdin.read()
db = sqlite3.connect(sys.argv[2])
db.execute('PRAGMA journal_mode = wal')
db.execute('CREATE TABLE peer (utc REAL, torrent INTEGER, ip TEXT, port '
    'INTEGER, client BLOB, pieces INTEGER, PRIMARY KEY (torrent, ip, port))')
while True:
    for i, h in enumerate(hs):
        db.executemany('INSERT OR IGNORE INTO peer VALUES (?,?,?,?,?,?)',
            [(time.time(), i, *p.ip, p.client, p.num_pieces)
            for p in h.get_peer_info()
            if not p.flags & (p.handshake | p.connecting)])
    db.commit()
    time.sleep(0.5)
"""


def libtorrent(folder, peers, torrents, record=False):
	swarm = Swarm(folder, peers, torrents)
	kept = os.path.join(folder, "lt.db") if record else ""
	p = subprocess.Popen([LT_PYTHON, "-c", LIBTORRENT, folder, kept] +
	    swarm.torrents, stdin=subprocess.PIPE)
	try:
		swarm.all()
		cpu, held = spent(p.pid)
		time.sleep(2)
	finally:
		p.kill()
		p.wait()
	end = swarm.end()
	count = end["distinct"]
	if record:
		with closing(sqlite3.connect(kept)) as db:
			count, = db.execute("SELECT count(DISTINCT ip) FROM "
			    "peer").fetchone()
		for name in kept, kept + "-wal", kept + "-shm":
			if os.path.exists(name):
				os.unlink(name)
	return {**rates(end), "cpu_us": 1e6 * cpu / end["distinct"],
	    "held": held, "recorded": count}


def recording(folder, peers, torrents):
	return libtorrent(folder, peers, torrents, True)


def watch(case, seen, over):
	"""(time, records committed). Begun once all are greeted: who reads takes
	from one of two processors, which the clock of the others never bears."""
	while not over.wait(0.02):
		try:
			with closing(sqlite3.connect("file:%s/evidence.db?"
			    "mode=ro" % case, uri=True)) as db:
				while not over.wait(0.02):
					size, = db.execute("SELECT max(size) "
					    "FROM checkpoint").fetchone()
					seen.append((time.time_ns(), size or 0))
		except sqlite3.Error:		# it is being made
			pass


def ours(folder, peers, torrents):
	swarm = Swarm(folder, peers, torrents)
	case = os.path.join(folder, "case")
	listed = os.path.join(folder, "list")
	with open(listed, "w") as f:
		f.write("\n".join(swarm.torrents) + "\n")
	p = subprocess.Popen([PROGRAM, "monitor", "--bind", "127.0.0.1",
	    "--allow-local", "--no-packets", "--no-dht", "--no-utp",
	    "--encryption", "off", "--listen", "0", "--list", listed,
	    "--max-connections", "19900", "--dial-rate", "100000", "--key",
	    os.path.join(folder, "key"), *EXTRA, case],
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
	seen, over = [], threading.Event()
	watcher = threading.Thread(target=watch, args=(case, seen, over))
	try:
		swarm.all()
		watcher.start()
		_, held = spent(p.pid)
		time.sleep(2)		# what is on record by now is paid
		cpu, _ = spent(p.pid)
	finally:
		over.set()
		if watcher.ident:
			watcher.join()
		_, err = stop(p)
	end = swarm.end()
	if p.returncode != 0:
		sys.exit("the monitor failed:\n" + err)
	with closing(sqlite3.connect("file:%s/evidence.db?mode=ro" % case,
	    uri=True)) as db:
		first = "SELECT min(seq) AS seq FROM record WHERE kind = " \
		    "'handshake' AND detail ->> 'by' = 'peer' GROUP BY ip"
		count, last = db.execute("SELECT count(*), max(seq) FROM (%s)" %
		    first).fetchone()
		began, = db.execute("SELECT min(utc_ns) FROM record WHERE kind "
		    "= 'dial'").fetchone()
	kept = min((at for at, size in seen if size > last), default=None)
	shutil.rmtree(case)
	if count != end["distinct"] or kept is None:
		sys.exit("%d greeted, %d recorded" % (end["distinct"], count))
	return {**rates(end), "recorded": count, "cpu_us": 1e6 * cpu / peers,
	    "held": held, "kept": count / ((kept - began) / 1e9),
	    "records": last / ((kept - began) / 1e9)}


# --- the story ----------------------------------------------------------------

ALL = {"bare": bare, "libtorrent": libtorrent, "recording": recording,
    "ours": ours}


def middle(rounds, key):
	values = sorted(r[key] for r in rounds)
	return values[len(values) // 2]


def spread(rounds):
	values = sorted(r["rate"] for r in rounds)
	return "%.0f" % values[0] if len(values) == 1 else \
	    "%.0f (%.0f to %.0f)" % (values[len(values) // 2], values[0],
	    values[-1])


def tell(n, torrents, got):
	print("%d peers, %d torrent%s, %s" % (n, torrents, "s" * (torrents > 1),
	    " ".join(EXTRA)))
	names = {"bare": "bare handshaker", "libtorrent": "libtorrent, which "
	    "records nothing", "recording": "libtorrent, recorded from Python",
	    "ours": "ours"}
	for name, rounds in got.items():
		what = "%s: %s greeted/s, the first nine tenths %s" % (
		    names[name], spread(rounds), "%.0f" % middle(rounds,
		    "most") if middle(rounds, "most") else "never")
		if name in ("recording", "ours"):
			what += "; recorded %d of %d" % (min(r["recorded"]
			    for r in rounds), min(r["distinct"]
			    for r in rounds))
		if name == "ours":
			what += "; greeted and committed %.0f/s; %.0f records/s" % \
			    (middle(rounds, "kept"), middle(rounds, "records"))
		if min(r["distinct"] for r in rounds) < n:
			what += "; cut short after %d s with %d greeted" % (
			    LIMIT, min(r["distinct"] for r in rounds))
		what += "; %.0f us of CPU each" % middle(rounds, "cpu_us")
		if name != "bare":
			what += "; %.0f MB resident" % (middle(rounds, "held") /
			    1e6)
		print("  " + what)
	for other in "libtorrent", "recording", "bare":
		if other not in got or "ours" not in got:
			continue
		ratio = middle(got["ours"], "rate") / middle(got[other], "rate")
		aim = AIMS.get(other)
		most = middle(got[other], "most")
		print("  ours / %s = %.2f%s; of the first nine tenths %s" %
		    (names[other], ratio, "" if aim is None else
		    " (aim %g: %s)" % (aim, "met" if ratio >= aim else
		    "MISSED"), "%.2f" % (middle(got["ours"], "most") / most)
		    if most else "it did not greet as many"))
		if aim is not None:
			yield other, ratio >= aim
	sys.stdout.flush()


def rounds_of(n):
	return ROUNDS or (5 if n <= 1000 else 3 if n <= 10000 else 1)


def main():
	alone()
	verdicts = {other: ([], []) for other in AIMS}
	for n, torrents in CASES:
		got = {name: [] for name in ALL if name in ONLY}
		if n * torrents > 10000:	# it would take minutes
			got.pop("recording", None)
		for i in range(rounds_of(n)):
			for name in got:
				if name == "recording" and i > 0:
					continue
				with tempfile.TemporaryDirectory(
				    prefix="sw-census-",
				    ignore_cleanup_errors=True) as folder:
					got[name].append(ALL[name](folder, n,
					    torrents))
		for other, met in tell(n, torrents, got):
			verdicts[other][not met].append("%d of %d" % (n,
			    torrents))
	for other, (met, missed) in verdicts.items():
		print("aim %g times %s: met at peers of torrents %s; missed at "
		    "%s" % (AIMS[other], other, ", ".join(met) or "none",
		    ", ".join(missed) or "none"))


if __name__ == "__main__":
	main()
