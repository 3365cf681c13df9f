#!/usr/bin/env python3
"""How many distinct peers of a synthetic swarm are handshaken, and recorded, a
second: ours, python3-libtorrent as the monitor, and a bare handshaker that
records nothing, one after the other on the same swarm in the same run.

Rates are of the swarm's own count: distinct addresses greeted, from its first
accepted connection to the last new address. Ours counts only if every one of
them is a `handshake` record too. CENSUS=1000,10000 takes other numbers of
peers; CENSUS_ONLY=ours one of the three.
"""
import ctypes
import json
import os
import queue
import resource
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
PEERS = [int(n) for n in os.environ.get("CENSUS",
    "1000,10000,50000").split(",")]
ONLY = os.environ.get("CENSUS_ONLY", "bare,libtorrent,ours").split(",")
EXTRA = os.environ.get("CENSUS_OPTIONS", "--observe-only").split()
TORRENTS = int(os.environ.get("CENSUS_TORRENTS", "10"))
LIMIT = 120
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
	def __init__(self, folder, peers, *options):
		self.folder = os.path.join(folder, "swarm%d" % peers)
		self.detail = os.path.join(folder, "detail%d" % peers)
		os.makedirs(self.folder, exist_ok=True)
		self.p = subprocess.Popen([os.path.join(BENCH, "manypeers"),
		    "--peers", str(peers), "--torrents",
		    str(min(TORRENTS, peers)), "--seconds", str(2 * LIMIT),
		    "--detail", self.detail, *options, self.folder],
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


# --- the three ----------------------------------------------------------------

def bare(folder, peers):
	swarm = Swarm(folder, peers)
	before = resource.getrusage(resource.RUSAGE_CHILDREN)
	r = subprocess.run([os.path.join(BENCH, "shaker"), swarm.targets],
	    stdout=subprocess.PIPE, text=True)
	after = resource.getrusage(resource.RUSAGE_CHILDREN)
	end = swarm.end()
	cpu = after.ru_utime + after.ru_stime - before.ru_utime - \
	    before.ru_stime
	assert r.returncode == 0, r.stdout
	return {"rate": end["distinct"] / end["took_s"], "distinct":
	    end["distinct"], "cpu_us": 1e6 * cpu / peers}


LIBTORRENT = """
import sys, time
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
for path in sys.argv[2:]:
    s.add_torrent({'ti': lt.torrent_info(path), 'save_path': sys.argv[1],
        'flags': lt.torrent_flags.upload_mode |
        lt.torrent_flags.update_subscribe})
sys.stdin.read()
"""


def libtorrent(folder, peers):
	swarm = Swarm(folder, peers)
	p = subprocess.Popen([LT_PYTHON, "-c", LIBTORRENT, folder] +
	    swarm.torrents, stdin=subprocess.PIPE)
	try:
		swarm.all()
		cpu, held = spent(p.pid)
	finally:
		p.kill()
		p.wait()
	end = swarm.end()
	return {"rate": end["distinct"] / end["took_s"], "distinct":
	    end["distinct"], "cpu_us": 1e6 * cpu / end["distinct"],
	    "rss": held}


def committed(case):
	with closing(sqlite3.connect("file:%s/evidence.db?mode=ro" % case,
	    uri=True)) as db:
		return db.execute("SELECT max(size) FROM checkpoint").fetchone()[0]


def watch(case, seen, over):
	"""(time, records committed), many times a second."""
	while not over.is_set():
		try:
			seen.append((time.time_ns(), committed(case) or 0))
		except sqlite3.Error:
			pass
		time.sleep(0.02)


def ours(folder, peers):
	swarm = Swarm(folder, peers)
	case = os.path.join(folder, "case%d" % peers)
	listed = os.path.join(folder, "list%d" % peers)
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
	watcher.start()
	try:
		swarm.all()
		cpu, held = spent(p.pid)
		time.sleep(3)
		ended, _ = spent(p.pid)
	finally:
		over.set()
		watcher.join()
		_, err = stop(p)
	end = swarm.end()
	if p.returncode != 0 or end["distinct"] < peers:
		print(err, file=sys.stderr)
	with closing(sqlite3.connect("file:%s/evidence.db?mode=ro" % case,
	    uri=True)) as db:
		began, = db.execute("SELECT min(utc_ns) FROM record WHERE "
		    "kind = 'dial'").fetchone()
		count, = db.execute("SELECT count(DISTINCT ip) FROM record "
		    "WHERE kind = 'handshake' AND detail ->> 'by' = 'peer'"
		    ).fetchone()
		last, when = db.execute("SELECT max(seq), max(utc_ns) FROM ("
		    "SELECT min(seq) AS seq, utc_ns FROM record WHERE kind = "
		    "'handshake' AND detail ->> 'by' = 'peer' GROUP BY ip)"
		    ).fetchone()
	kept = min((at for at, size in seen if size > last), default=0)
	return {"rate": end["distinct"] / end["took_s"], "distinct":
	    end["distinct"], "recorded": count, "cpu_us": 1e6 * cpu / peers,
	    "cpu_all_us": 1e6 * ended / peers, "rss": held,
	    "kept_s": (kept - began) / 1e9, "said_s": (when - began) / 1e9,
	    "records": last, "kept": count / ((kept - began) / 1e9)}


def main():
	alone()
	for n in PEERS:
		got = {}
		with tempfile.TemporaryDirectory(prefix="sw-census-",
		    ignore_cleanup_errors=True) as folder:
			for name, f in ("bare", bare), ("libtorrent",
			    libtorrent), ("ours", ours):
				if name in ONLY:
					got[name] = f(folder, n)
					print(n, name, got[name], flush=True)


if __name__ == "__main__":
	main()
