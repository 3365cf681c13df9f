#!/usr/bin/env python3
"""What a synthetic swarm of two thousand peers did equals what the case holds:
whoever answered has its handshake on record, every piece served is a piece that
matched, the dead are listed, the silent reached, the partial ones' claims exact,
and the limits given were kept."""
import collections
import csv
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from tap import Tap			# noqa: E402

MANY = os.path.join(laboratory.ROOT, "build/release/bench/manypeers")
PEERS, TORRENTS, PIECES = 2000, 20, 24
RATE = 6000000		# bytes a second that the sampling run may read
SHARES = {"partial": 20, "slow": 2, "silent": 5, "dead": 6, "lost": 2}
Peer = collections.namedtuple("Peer",
    "ip port kind swarm claims accepted handshakes pieces")
tap = Tap()


def alone():
	"""A network namespace of this process's own: loopback and no more."""
	libc = ctypes.CDLL(None, use_errno=True)
	if libc.unshare(laboratory.CLONE_NEWNET) != 0:
		raise OSError(ctypes.get_errno(), "unshare")
	subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Swarm:
	def __init__(self, folder, seconds, *more):
		self.folder = os.path.join(folder, "swarm")
		self.detail = os.path.join(folder, "detail")
		os.mkdir(self.folder)
		self.p = subprocess.Popen([MANY, "--peers", str(PEERS),
		    "--torrents", str(TORRENTS), "--pieces", str(PIECES),
		    "--slow-ms", "200", "--seconds", str(seconds), "--detail",
		    self.detail] + ["--%s=%d" % s for s in SHARES.items()] +
		    [*more, self.folder], stdin=subprocess.PIPE,
		    stdout=subprocess.PIPE, text=True,
		    preexec_fn=laboratory.die_with_parent)
		self.ready = json.loads(self.p.stdout.readline())
		self.torrents = sorted(os.path.join(self.folder, f)
		    for f in os.listdir(self.folder) if f.endswith(".torrent"))
		self.all = threading.Event()
		self.said = {}
		self.reader = threading.Thread(target=self.read, daemon=True)
		self.reader.start()

	def read(self):
		for line in self.p.stdout:
			self.said.update(json.loads(line))
			if "all" in self.said:
				self.all.set()

	def end(self):
		self.p.stdin.close()
		self.p.wait()
		self.reader.join()
		with open(self.detail, newline="") as f:
			return [Peer(r[0], int(r[1]), r[2], r[3],
			    *map(int, r[4:])) for r in csv.reader(f)]


def watch(folder, name, seconds, tracker, *options):
	"""The case, what the swarm did, and what the monitor said."""
	folder = os.path.join(folder, name)
	os.mkdir(folder)
	swarm = Swarm(folder, 200, *tracker)
	case = os.path.join(folder, "case")
	p = subprocess.Popen([laboratory.PROGRAM, "monitor", "--bind",
	    "127.0.0.1", "--allow-local", "--no-packets", "--no-dht",
	    "--no-utp", "--encryption", "off", "--listen", "0", "--key",
	    os.path.join(folder, "key"), "--max-connections", "4000",
	    "--dial-rate", "1000", *options, case] + swarm.torrents,
	    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
	    preexec_fn=laboratory.die_with_parent)
	swarm.all.wait(90)
	settled(case, swarm, seconds)
	p.terminate()
	_, err = p.communicate(timeout=90)
	tap.claim(p.returncode == 0, "%s: the monitor ends well" % name,
	    err[-600:])
	return case, swarm.end(), swarm.said


def settled(case, swarm, seconds):
	"""Until the case has not grown for two seconds."""
	end = time.monotonic() + seconds
	size, still = -1, 0
	while time.monotonic() < end and still < 20:
		time.sleep(0.1)
		try:
			view = Case(case, PIECES)
			now = view.db.execute("SELECT max(seq) FROM record"
			    ).fetchone()[0]
			view.close()
		except Exception:		# it is being made
			continue
		still = still + 1 if now == size else 0
		size = now


def unlike(found, expected):
	return sorted((k, found.get(k), expected.get(k)) for k in set(found) |
	    set(expected) if found.get(k) != expected.get(k))[:5]


def agrees(name, case, peers, said):
	view = Case(case, PIECES)
	count = lambda kind, match="": dict(view.db.execute(
	    "SELECT ip, count(*) FROM record WHERE kind = ? AND "
	    "detail ->> 'by' = 'peer' %s GROUP BY ip" % match, (kind,)))
	answer = [p for p in peers if p.handshakes]
	tap.equal(said.get("all"), said.get("answering"), "%s: every peer that "
	    "answers was met" % name)
	tap.equal(unlike(count("handshake"), {p.ip: p.handshakes
	    for p in answer}), [], "%s: every handshake answered is a record, "
	    "and no other (%d)" % (name, said["handshakes"]))
	tap.equal(unlike(count("piece", "AND detail ->> 'match'"), {p.ip:
	    p.pieces for p in peers if p.pieces}), [], "%s: every piece served "
	    "is a piece that matched (%d)" % (name, said["pieces"]))
	tap.equal(sum(count("piece", "AND NOT detail ->> 'match'").values()),
	    0, "%s: and none that failed" % name)
	view.db.execute("ATTACH ? AS d", ("file:%s?mode=ro" %
	    os.path.join(case, "derived.db"),))
	derived = dict(view.db.execute("SELECT ip, max(pieces_claimed) FROM "
	    "d.contact WHERE pieces_claimed IS NOT NULL GROUP BY ip"))
	tap.equal(unlike(derived, {p.ip: p.claims for p in answer}), [],
	    "%s: pieces_claimed are the swarm's" % name)
	levels = view.levels()
	want = {p.ip: 5 if p.pieces else 3 if p.handshakes else 1
	    if p.accepted else 0 for p in peers}
	tap.equal(unlike({p.ip: levels.get(p.ip) for p in peers}, want), [],
	    "%s: dead level 0, silent 1, answering 3, delivering 5" % name)
	kinds = {p.kind for p in peers if want[p.ip] == 1}
	tap.equal(kinds, {"silent"}, "%s: only the silent end at 1" % name)
	dials = view.db.execute("SELECT ip, utc_ns FROM record WHERE kind = "
	    "'dial' ORDER BY ip, utc_ns").fetchall()
	tap.claim(all(a[0] != b[0] or b[1] - a[1] > 59e9
	    for a, b in zip(dials, dials[1:])), "%s: no address is dialled "
	    "twice in a minute" % name)
	# A swarm that no tracker has told of yet has nobody to be dialled.
	swarms = [s for s, in view.db.execute("SELECT swarm FROM record WHERE "
	    "kind = 'dial' AND seq > (SELECT max(told) FROM (SELECT min(seq) "
	    "AS told FROM record WHERE kind = 'announce' GROUP BY swarm)) "
	    "ORDER BY seq LIMIT ?", (3 * TORRENTS,))]
	tap.claim(len(swarms) == 3 * TORRENTS and
	    max(collections.Counter(swarms).values()) <= 6, "%s: no swarm is "
	    "served before the others" % name,
	    collections.Counter(swarms).most_common(3))
	view.close()


def announced(name, case, said, scheme):
	"""Every torrent had an answer from the tracker; none that it did not
	give."""
	view = Case(case, PIECES)
	kinds = [(r.d["transport"], r.d["outcome"], r.d["event"])
	    for r in view.records("announce")]
	begun = sum(k == (scheme, "ok", "started") for k in kinds)
	tap.equal({k[0] for k in kinds}, {scheme}, "%s: the tracker was asked "
	    "by %s" % (name, scheme))
	tap.claim(begun == TORRENTS and said["announces"] >=
	    sum(k[1] == "ok" for k in kinds), "%s: about every torrent it "
	    "answered (%d announces)" % (name, said["announces"]), kinds[:5])
	view.close()


def bounded(name, case):
	"""Blocks that came in any second: no more than may be read in one, a
	quarter's worth saved up, and what one read and a turn of the loop add."""
	view = Case(case, PIECES)
	came = sorted((block[2], block[1]) for r in view.records("piece",
	    by="peer") for block in r.d["blocks"])
	most = now = first = 0
	for at, n in came:
		now += n
		while came[first][0] < at - 10 ** 9:
			now -= came[first][1]
			first += 1
		most = max(most, now)
	tap.claim(most < 1.25 * RATE + 2 * 65536, "%s: at most %d bytes came in "
	    "a second, of %d that may" % (name, most, RATE), most)
	tap.claim(most > 0.5 * RATE, "%s: and no fewer than half of them" % name,
	    most)
	late = view.db.execute("SELECT count(*) FROM record WHERE kind = "
	    "'closed' AND detail ->> 'why' GLOB 'a request*'").fetchone()[0]
	tap.equal(late, 0, "%s: none is blamed for what waited" % name)
	view.close()


def main():
	laboratory.as_root()
	alone()
	with tempfile.TemporaryDirectory(prefix="sw-census-",
	    ignore_cleanup_errors=True) as folder:
		for name, scheme, options in (
		    ("sampling", "http", ["--sample", "1", "--max-rate",
		    str(RATE)]), ("observing", "udp", ["--observe-only"])):
			case, peers, said = watch(folder, name, 25, ["--udp"] *
			    (scheme == "udp"), *options)
			agrees(name, case, peers, said)
			announced(name, case, said, scheme)
			tap.claim((said["pieces"] > 0) == (name == "sampling"),
			    "%s: %d pieces served" % (name, said["pieces"]))
			if name == "sampling":
				bounded(name, case)
			holds(tap, case, name)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
