#!/usr/bin/env python3
"""The monitor's uTP with real qBittorrent and Transmission, over paths that
lose 3 % each way, take 50 ms there and back, reorder and repeat.

The monitor is told of the paths alone, which carry datagrams and nothing else:
no TCP reaches a client. Metadata and pieces come through them.
"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clients				# noqa: E402
import lab as laboratory		# noqa: E402
from caseview import Case		# noqa: E402
from content import Content		# noqa: E402
from holding import holds		# noqa: E402
from tap import Tap			# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

PORT = 6881
SAMPLE = 4
ROUGH = ("0.03", "0.02", "20", "10")	# as in test_utp.py
tap = Tap()


class Path:
	"""A host that passes datagrams on to a client's port."""

	def __init__(self, lab, client, number):
		self.host = lab.host("path%d" % number, number)
		self.client, self.address = client, self.host.address
		self.p = self.host.run([sys.executable, os.path.join(
		    laboratory.HERE, "utp_relay.py"), str(PORT), str(PORT),
		    *ROUGH, str(number), self.address, client.address],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
		if self.p.stdout.readline() != "ready\n":
			raise RuntimeError("no path to " + client.name)

	def end(self):
		"""What it did: carried, lost, twice, overtook."""
		said, _ = self.p.communicate(timeout=60)
		return dict((k, int(n)) for k, n in (w.split("=")
		    for w in said.split()))


def observe(lab, folder):
	# The tracker that the torrent names is not there: nobody is told of
	# anybody but by the link below.
	c = lab.content = Content("lab swarm", lab.seed,
	    [["http://10.77.0.1:6969/announce"]])
	lab.torrent = os.path.join(lab.folder, "lab.torrent")
	with open(lab.torrent, "wb") as f:
		f.write(c.torrent)
	os.chmod(lab.torrent, 0o644)
	lab.watch = lab.host("monitor", 100)
	seeds = (clients.QBittorrent(lab.host("qb", 11), c, port=PORT,
	    settings={"BTProtocol": "UTP"}),
	    clients.Transmission(lab.host("tr", 12), c, port=PORT,
	    settings={"utp-enabled": True}))
	lab.begin(*seeds)
	paths = [Path(lab, s, 21 + i) for i, s in enumerate(seeds)]
	case = os.path.join(folder, "case")
	watch = Watch(lab.monitor(case, "--no-dht", "--sample", str(SAMPLE),
	    duration=LIMIT_S, targets=["magnet:?xt=urn:btih:" + c.infohash +
	    "".join("&x.pe=%s:%d" % (p.address, PORT) for p in paths)]), case,
	    c.pieces)
	watch.until("whole piece through each path", lambda view:
	    all(view.checked(p.address)[0] for p in paths))
	watch.end_well(tap)
	return c, case, paths


def check(c, view, path):
	name = path.client.name
	right, wrong = view.checked(path.address)
	print("# %s: %d pieces right, %d wrong" % (name, len(right),
	    len(wrong)))
	tap.claim(right and not wrong, name + ": a whole piece came right "
	    "through loss, delay, reordering and repeats", (right, wrong))
	done = view.records("piece", ip=path.address, by="peer")
	over = {r.seq: r.d["transport"]
	    for r in view.records("dial", "accept")}
	tap.equal({over[r.conn] for r in done}, {"utp"}, name +
	    ": over uTP alone")
	hands = view.records("handshake", by="peer", ip=path.address)
	tap.equal({over[r.conn] for r in hands}, {"utp"}, name +
	    ": no TCP came through")
	did = path.end()
	print("# %s: its path %s" % (name, " ".join("%s=%d" % d
	    for d in did.items())))
	tap.claim(did["lost"] and did["twice"] and did["overtook"], name +
	    ": the path did lose, repeat and reorder", did)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-utp-") as folder, \
	    laboratory.Lab() as lab:
		os.chmod(folder, 0o755)
		c, case, paths = observe(lab, folder)
		view = Case(case, c.pieces)
		for p in paths:
			check(c, view, p)
		view.close()
		holds(tap, case)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
