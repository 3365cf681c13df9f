#!/usr/bin/env python3
"""The waiting game: a real seed whose few upload slots others keep busy.

A qBittorrent with two slots and three slow leeches that want all it has. The
monitor never uploads, so the seed's optimistic slot is all it can hope for: it
must stay, interested, asking for no more than what BEP 6 allows everybody,
until its turn comes, and then get its pieces. How long that takes is the seed's
affair.

Which is libtorrent's: every 30 s of its ticks it gives the optimistic slot to
whoever waits and had it longest ago, a newcomer before all but those who never
had it either. Behind three leeches that is the fourth time at the latest.
"""
import json
import os
import random
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clients				# noqa: E402
import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from tap import Tap			# noqa: E402
from watching import Watch		# noqa: E402

SLOTS = 2
TURN_S = 300		# four times 30 s, on a machine that is late
RATE = 10000		# a leech takes ten minutes for all of it
TRIES = 6
SAMPLE = 10		# more than the seed allows everybody (BEP 6)
tap = Tap()


def build(lab):
	lab.swarm(only=())
	c = lab.content
	# While as many are served as a torrent may serve itself, nobody is
	# given the optimistic slot: then it might never come round.
	seed = clients.QBittorrent(lab.host("qb-seed", 11), c, port=6881,
	    settings={"MaxUploads": SLOTS, "MaxUploadsPerTorrent": -1})
	few = random.Random(lab.seed).sample(range(c.pieces), 3)
	leeches = [kind(lab.host("leech%d" % i, 20 + i), c, port=6881 + i,
	    role="leech", held=few, rate=RATE) for i, kind in enumerate((
	    clients.Aria2, clients.Libtorrent, clients.Aria2))]
	lab.begin(seed)
	lab.listed(seed)
	lab.begin(*leeches)
	lab.wait(lambda: sum(len(l.pieces()) > len(l.held)
	    for l in leeches) >= 2, 300, "leeches that the seed serves")
	return seed, leeches


def flags(seed):
	"""{address: flags}, as the seed says of its peers: U, it wants and has
	a slot; u, it wants and has none."""
	try:
		r = seed.host.http(8080, "GET", "/api/v2/sync/torrentPeers"
		    "?hash=" + seed.content.infohash)
		return {at.rsplit(":", 1)[0]: set(p["flags"].split())
		    for at, p in json.loads(r)["peers"].items()}
	except (OSError, ValueError, LookupError, TypeError):
		return {}


def taken(seed):
	"""Whether every slot is. One that somebody left, whoever comes next has
	at once, for the seed's turn comes only every 15 s."""
	return sum("U" in f for f in flags(seed).values()) >= SLOTS


class Game:
	"""One run, from an address that the seed does not know."""

	def __init__(self, lab, seed, folder, n):
		self.lab, self.seed = lab, seed
		self.kept_waiting = False
		self.case = os.path.join(folder, "case%d" % n)
		lab.watch = lab.host("watch%d" % n, 101 + n)

	def over(self, case):
		"""A slot, and then a piece that is no gift."""
		if not self.kept_waiting:
			self.kept_waiting = "u" in flags(self.seed).get(
			    self.lab.watch.address, ())
		return any(self.earned(case, conn) for conn in {r.conn for r
		    in case.records("unchoke", ip=self.seed.address,
		    by="peer")})

	def earned(self, case, conn):
		"""Right pieces since the slot came."""
		slot = case.records("unchoke", conn=conn, by="peer")[0]
		return [p for p in case.records("piece", conn=conn, by="peer")
		    if p.seq > slot.seq and p.d["match"] is True]

	def play(self):
		watch = Watch(self.lab.monitor(self.case, "--no-dht",
		    "--no-utp", "--sample", str(SAMPLE), duration=2 * TURN_S),
		    self.case, self.lab.content.pieces)
		self.won = bool(watch.until("slot of the busy seed and a piece",
		    self.over, TURN_S))
		_, err = watch.end()
		if not tap.equal(watch.monitor.returncode, 0, "the monitor "
		    "ends well"):
			print(err[-2000:])


def check(game, case):
	talks = case.records("handshake", ip=game.seed.address, by="peer")
	if not tap.equal(len(talks), 1, "one conversation with the seed, kept "
	    "from the start to the slot"):
		return
	conn = talks[0].conn
	wants = case.records("interested", conn=conn, by="us")
	slots = case.records("unchoke", conn=conn, by="peer")
	if not tap.claim(wants and slots, "interest, and a slot for it",
	    (wants, slots)):
		return
	want, slot = wants[0], slots[0]
	print("# it waited %.1f s for its slot" %
	    ((slot.utc_ns - want.utc_ns) / 1e9))
	tap.claim(want.seq < slot.seq, "it was interested before", (want,
	    slot))
	tap.equal([r.kind for r in case.records("not_interested", "closed",
	    conn=conn, by="us") if r.seq < slot.seq], [], "and stayed so, "
	    "and stayed")
	gifts = {p for r in case.records("allowed_fast", conn=conn, by="peer")
	    for p in r.d["pieces"]}
	asked = {b[0] for r in case.records("request", conn=conn, by="us")
	    if r.seq < slot.seq for b in r.d["blocks"]}
	tap.claim(asked <= gifts, "while choked it asked for nothing but "
	    "pieces that are free to all", (asked, gifts))
	earned = {p.d["piece"] for p in game.earned(case, conn)}
	print("# asked while choked: %s, of %s; since: %s" % (sorted(asked),
	    sorted(gifts), sorted(earned)))
	tap.claim(earned, "whole pieces came when it had its slot")
	end, = case.records("closed", conn=conn)
	tap.equal(end.d["piece_bytes_tx"], 0, "no piece byte was sent for it")


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-wait-") as folder, \
	    laboratory.Lab() as lab:
		os.chmod(folder, 0o755)
		seed, leeches = build(lab)
		for n in range(TRIES):
			game = Game(lab, seed, folder, n)
			lab.wait(lambda: taken(seed), TURN_S, "every slot of "
			    "the seed taken")
			game.play()
			if game.kept_waiting or not game.won:
				break
			print("# by chance its turn was now: once more")
		tap.claim(game.won, "a slot and a piece within %d s" % TURN_S)
		tap.claim(game.kept_waiting, "the seed says that it kept the "
		    "monitor waiting")
		case = Case(game.case, lab.content.pieces)
		check(game, case)
		case.close()
		tap.claim(all(len(l.pieces()) < lab.content.pieces
		    for l in leeches), "the others wanted more to the end")
		holds(tap, game.case)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
