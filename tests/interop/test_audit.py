#!/usr/bin/env python3
"""Claims with every defect planted, held against a live run of real clients and
two liars, and against the packets of that run imported as somebody else's:
each row's verdict and its ground."""
import base64
import csv
import datetime
import glob
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import closing

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clients			# noqa: E402
import hostile			# noqa: E402
import lab as laboratory	# noqa: E402
from caseview import Case	# noqa: E402
from holding import PAGE		# noqa: E402
from pages import Page, ODD	# noqa: E402
from tap import Tap		# noqa: E402
from watching import Watch, LIMIT_S	# noqa: E402

SEEDS = "aria2-seed", "transm-seed", "lt-seed"
COLUMNS = ("IP Address", "Port", "Hit Date UTC", "Session End", "Info Hash",
    "Client", "Pieces", "Bytes", "File Name")
HOSTILE = '<script>alert(1)</script>\u202e"=cmd|x!A0'
UTC = datetime.timezone.utc
tap = Tap()


def run(*args):
	return subprocess.run([laboratory.PROGRAM, *args],
	    capture_output=True, text=True, timeout=300)


def iso(ns, zone_h=0, form="%Y-%m-%dT%H:%M:%S"):
	t = datetime.datetime.fromtimestamp(ns // 10 ** 9, UTC) + \
	    datetime.timedelta(hours=zone_h)
	return t.strftime(form)


# --- the case ---------------------------------------------------------------

class Truth:
	"""Where each peer was, and when each piece came or failed."""

	def __init__(self, lab, liars):
		self.where = {n: (p.address, p.port)
		    for n, p in lab.peers.items()}
		self.where |= {n: (p.address, p.port) for n, p in liars.items()}
		self.where["refusing"] = (lab.dead["refusing"][0].address,
		    lab.dead["refusing"][1])
		self.hash = lab.content.info_hash.hex()

	def times(self, case):
		self.at, self.held = {}, {}
		for r in case.records("piece", by="peer"):
			for n, (ip, _) in self.where.items():
				if r.ip == ip and r.d["complete"]:
					self.at.setdefault(n, r.utc_ns)
		for r in case.records("handshake", ip=self.where["other_hash"][0],
		    by="peer"):
			self.at.setdefault("other_hash", r.utc_ns)
		for r in case.records("unreached", ip=self.where["refusing"][0]):
			self.at.setdefault("refusing", r.utc_ns)
		return self.at.keys() >= self.where.keys()


def observe(path):
	with laboratory.Lab() as lab:
		lab.swarm(only=SEEDS)
		liars = {}
		for number, what in (80, hostile.liar), (81, hostile.other_hash):
			host = lab.host(what.__name__.replace("_", "-"), number)
			liars[what.__name__] = hostile.Peer(what.__name__, host,
			    lab.content, what, 6881)
			clients.announce(host, lab.tracker,
			    lab.content.info_hash, 6881)
		truth = Truth(lab, liars)
		watch = Watch(lab.monitor(path, "--no-dht", duration=LIMIT_S,
		    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), path,
		    lab.content.pieces)
		watch.until("a trace of each", truth.times)
		watch.end()
		tap.equal(watch.monitor.poll(), 0, "the monitor ends with 0")
		with open(lab.torrent, "rb") as f:
			metainfo = f.read()
	return truth, metainfo


def holds(case):
	p = run("verify", case)
	q = subprocess.run([*PAGE, case], capture_output=True,
	    text=True, timeout=300)
	return p.returncode == 0 and q.returncode == 0 or \
	    p.stdout + p.stderr + q.stdout + q.stderr


# --- claims ------------------------------------------------------------------

def planted(t):
	"""(cells or a raw line, verdict, what a reason says; where imported
	packets say otherwise, verdict and reason there too)"""
	h, other = t.hash, "%040x" % (int(t.hash, 16) ^ 1)
	seed, s_at = t.where["lt-seed"], t.at["lt-seed"]
	good = iso(s_at + 5 * 10 ** 9)

	def row(name="lt-seed", at=None, **more):
		ip, port = t.where[name]
		cells = dict(zip(COLUMNS, (ip, port, at or
		    iso(t.at[name] + 10 ** 9), "", h, "", "", "", "")))
		cells.update({k.replace("_", " "): v for k, v in more.items()})
		return cells

	base32 = base64.b32encode(bytes.fromhex(h)).decode()
	yes = "level 5 .hash-matched. was reached"
	return [
	    (row(at=good, Client="libtorrent", File_Name=HOSTILE), "supported",
		yes),
	    (row(at=good), "supported", "duplicate row.*line 2$"),
	    (row(Port=""), "supported", "port missing"),
	    (row(at=iso(s_at, 2) + "+02:00"), "supported", yes),
	    (row(at=iso(s_at, form="%d.%m.%Y %H:%M:%S")), "supported", yes),
	    (row(at=iso(s_at, form="%b %d, %Y %I:%M:%S %p")), "supported", yes),
	    (row(at=s_at // 10 ** 9), "supported", yes),
	    (row(at=s_at // 10 ** 6), "supported", yes),
	    (row(Info_Hash=base32), "supported", yes),
	    (row(IP_Address="::ffff:" + seed[0]), "supported", yes),
	    (row("transm-seed"), "supported", yes),
	    (row("aria2-seed", Bytes="16384", Pieces="1"), "supported", yes),
	    (row(at=good, Session_End=good), "supported",
		"zero-length session"),
	    (row(at=iso(s_at, form="%Y-%m-%d %H:%M")), "supported",
		"time rounded"),
	    (row(Info_Hash=other), "contradicted", "another infohash, " + h),
	    (row("other_hash"), "contradicted", "another infohash, "),
	    (row("liar"), "contradicted", "hash failed"),
	    (row("refusing"), "contradicted", "refused or not answered",
		"not supported", "level 0 .listed."),
	    (row("aria2-seed", Bytes=10 ** 12), "contradicted",
		"more data claimed than the records hold"),
	    (row("aria2-seed", Pieces=10 ** 6), "contradicted",
		"more data claimed than the records hold"),
	    (row(Port=9), "not supported", "at another port than the 9"),
	    (row(IP_Address="10.77.0.200"), "not supported",
		"another address: .*%s port %d" % seed),
	    (row(at=iso(s_at + 2 * 86400 * 10 ** 9)), "outside coverage",
		"time outside the capture: later"),
	    (row(at=iso(s_at - 86400 * 10 ** 9)), "outside coverage",
		"time outside the capture: earlier"),
	    (row(IP_Address="10.77.0.200", Info_Hash=other),
		"outside coverage", "torrent not watched"),
	    (row(IP_Address="=1+2"), "unreadable", "ip: "),
	    (row(Port="70000"), "unreadable", "port: "),
	    (row(at="soon"), "unreadable", "time: "),
	    (row(at=iso(s_at) + " EST"), "unreadable", "names a zone"),
	    (row(Info_Hash="abc"), "unreadable", "infohash: "),
	    (row(Bytes="some"), "unreadable", "bytes: "),
	    ('%s,1,"%s,,%s' % (seed[0], good, h), "unreadable",
		"quote is opened and not closed"),
	    (row(), "supported", yes),
	]


def table(rows, separator=",", columns=COLUMNS):
	out = io.StringIO()
	w = csv.writer(out, delimiter=separator, lineterminator="\r\n")
	w.writerow(columns)
	for r in rows:
		if isinstance(r, str):
			out.write(r + "\r\n")
		else:
			w.writerow([r[c] for c in columns])
	return out.getvalue()


class Audit:
	"""What audit says of a table."""

	def __init__(self, folder, case, text, *options, encoding="utf-8"):
		self.out = tempfile.mkdtemp(dir=folder, prefix="audit")
		self.file = os.path.join(folder, "claims.csv")
		with open(self.file, "wb") as f:
			f.write(text.encode(encoding))
		self.p = run("audit", *options, case, self.file, "-o", self.out)
		self.rows = self.json = None
		if self.p.returncode == 0:
			with open(os.path.join(self.out, "audit.csv"),
			    encoding="utf-8", newline="") as f:
				self.csv = f.read()
			self.rows = list(csv.DictReader(io.StringIO(self.csv)))
			with open(os.path.join(self.out, "audit.json")) as f:
				self.json = json.load(f)
		else:
			print("# " + self.p.stderr.strip())


def check_planted(folder, case, truth, imported):
	what = "imported packets" if imported else "a live case"
	claims = planted(truth)
	a = Audit(folder, case, table([c[0] for c in claims]))
	if not tap.claim(a.rows is not None, what + ": the table is read"):
		return None
	tap.equal(len(a.rows), len(claims), what + ": every row has a verdict")
	for i, (claim, got) in enumerate(zip(claims, a.rows)):
		verdict, ground = claim[1:3]
		if imported and len(claim) > 3:
			verdict, ground = claim[3:5]
		tap.claim(got["line"] == str(i + 2) and
		    got["verdict"] == verdict and
		    any(re.search(ground, g)
		    for g in got["reasons"].split("; ")),
		    "%s, line %d: %s, %s" % (what, i + 2, verdict, ground), got)
	tap.equal([r["text"] for r in a.json["rows"][1]["reasons"]],
	    a.rows[1]["reasons"].split("; "), what + ": JSON has the same "
	    "reasons, one by one")
	far = a.rows[0]
	tap.claim(far["level"] == "5" and 0 < float(far["distance_s"]) < 60 and
	    abs(datetime.datetime.fromisoformat(far["nearest_utc"][:26] +
	    "+00:00").timestamp() - truth.at["lt-seed"] / 1e9) < 60,
	    what + ": the nearest observation, and how far it is", far)
	return a


def check_files(a, folder, case):
	p = subprocess.run(["sha256sum", "-c", "--quiet", "MANIFEST.sha256"],
	    cwd=a.out, capture_output=True, text=True)
	tap.claim(p.returncode == 0 and not p.stdout, "the manifest holds")
	names = set(os.listdir(a.out))
	tap.equal(sum(n.startswith("claim-") for n in names), len(a.rows),
	    "a page for each claim")
	dead, odd, scripts = [], [], set()
	for n in sorted(n for n in names if n.endswith(".html")):
		with open(os.path.join(a.out, n), encoding="utf-8") as f:
			text = f.read()
		page = Page(text)
		dead += [u for u in page.links if not u.startswith("#") and
		    u.split("#")[0] not in names]
		odd += ODD.findall(page.text)
		scripts |= page.tags & {"script", "img", "iframe"}
	tap.claim(not dead and not odd and not scripts, "pages link to pages, "
	    "and what strangers wrote stays inert", (dead, odd, scripts))
	tap.claim(any(r["ip"] == "'=1+2" for r in a.rows), "no cell is a formula")
	before = {n: open(os.path.join(a.out, n), "rb").read() for n in names}
	run("audit", case, a.file, "-o", a.out)
	after = {n: open(os.path.join(a.out, n), "rb").read()
	    for n in os.listdir(a.out)}
	tap.claim(before == after, "made again: the same bytes")


def check_forms(folder, case, truth):
	rows = [c[0] for c in planted(truth) if not isinstance(c[0], str)]
	want = Audit(folder, case, table(rows)).csv
	for encoding, separator, stated in ("utf-8-sig", ",", "UTF-8"), \
	    ("utf-16", ";", "UTF-16LE"), ("utf-16-be", "\t", "UTF-16BE"), \
	    ("latin-1", "|", "Latin-1"):
		text = table(rows, separator)
		if encoding == "latin-1":
			text = text.replace(HOSTILE[25:26], "\xef")
		a = Audit(folder, case, text, encoding=encoding)
		tap.claim(a.rows is not None and a.csv == want and
		    a.json["claims"]["encoding"] == stated and
		    a.json["claims"]["separator"] == separator,
		    "the same of %s with %r, and stated" % (stated, separator),
		    a.json and a.json["claims"])


def check_shift(folder, case, truth):
	def claims(off_s, form="%Y-%m-%d %H:%M:%S"):
		return "".join(["Who,When,What,Door\n"] + ["%s,%s,%s,%d\n" %
		    (truth.where[n][0], iso(truth.at[n] + off_s * 10 ** 9,
		    form=form), truth.hash, truth.where[n][1])
		    for n in SEEDS])

	names = ("--map", "who=ip", "--map", "When=utc", "--map",
	    "What=infohash", "--map", "Door=port")
	a = Audit(folder, case, claims(-5 * 3600), *names)
	s = a.json["shift"]
	tap.claim(s and s["by_ns"] == 5 * 3600 * 10 ** 9 and s["quarter_hours"]
	    and not s["applied"] and s["fit"] == 3, "a zone mistaken is said "
	    "to explain it", s)
	tap.claim(all(r["verdict"] == "outside coverage" and
	    "shift: 5 h 00 min later" in r["reasons"] for r in a.rows),
	    "and is not applied", a.rows)
	b = Audit(folder, case, claims(-5 * 3600), *names, "--zone", "-05:00")
	tap.claim(all(r["verdict"] == "supported" for r in b.rows) and
	    b.json["shift"] is None, "read with --zone the claims hold",
	    b.rows)
	c = Audit(folder, case, claims(437), *names)
	s = c.json["shift"]
	tap.claim(s and not s["quarter_hours"] and
	    abs(s["by_ns"] + 437 * 10 ** 9) < 61 * 10 ** 9, "a clock that was "
	    "off is said to explain it", s)
	d = Audit(folder, case, claims(90), *names, "--within", "2m")
	tap.claim(all(r["verdict"] == "supported" for r in d.rows),
	    "--within reaches farther", d.rows)
	e = Audit(folder, case, claims(0, "%m/%d/%Y %H:%M:%S"), *names,
	    "--dates", "mdy")
	tap.claim(all(r["verdict"] == "supported" for r in e.rows),
	    "--dates says what comes first", e.rows)


def check_levels(folder, case, truth):
	ip, port = truth.where["liar"]
	text = "ip,port,utc,hash\n%s,%d,%s,%s\n" % (ip, port,
	    iso(truth.at["liar"]), truth.hash)
	got = [Audit(folder, case, text, "--require", str(n)).rows[0]["verdict"]
	    for n in range(6)]
	tap.claim(got[:4] == ["supported"] * 4 and got[5] == "contradicted",
	    "the liar's claim of pieces is supported as what it is", got)


def check_patterns(folder, case, truth):
	at = truth.at["lt-seed"] // (60 * 10 ** 9) * 60 * 10 ** 9
	text = "ip,port,utc,hash\n" + "".join("10.77.0.%d,1,%s,%s\n" %
	    (100 + i, iso(at), truth.hash) for i in range(12))
	a = Audit(folder, case, text)
	tap.claim(all("time rounded: a whole minute" in r["reasons"] and
	    "time repeated: 12 rows" in r["reasons"] for r in a.rows),
	    "times rounded and repeated are said to be", a.rows[0])
	many = "ip,port,utc,hash\n" + "".join("10.%d.%d.%d,%d,%s,%s\n" %
	    (i % 200, i // 200 % 250, i % 250, 1 + i % 60000, iso(at +
	    i * 10 ** 9), truth.hash) for i in range(20000))
	a = Audit(folder, case, many)
	pages = glob.glob(os.path.join(a.out, "claim-*.html"))
	tap.claim(a.rows and len(a.rows) == 20000 and len(pages) == 1000 and
	    os.path.getsize(os.path.join(a.out, "index.html")) < 4 << 20,
	    "20 000 claims: all in the CSV, pages for the first 1000",
	    (a.rows and len(a.rows), len(pages)))


def check_misuse(folder, case):
	def refused(text, *options, status=1):
		a = Audit(folder, case, text, *options)
		return a.p.returncode == status and a.p.stderr.count("\n") == 1
	tap.claim(refused("a,b,c\n1,2,3\n"), "a table without known columns "
	    "is refused in one line")
	tap.claim(refused("") and refused("\n\n"), "an empty file too")
	p = Audit(folder, case, "").p
	tap.claim("it is empty; expected a line of column names" in p.stderr,
	    "and the line says what was expected", p.stderr)
	tap.claim(refused("ip,utc,hash\n", "--require", "9", status=2),
	    "a level that is none: misused")
	tap.claim(refused("ip,utc,hash\n", "--zone", "CET", status=2),
	    "a zone that is none: misused")
	p = run("audit", os.path.join(folder, "nowhere"),
	    os.path.join(folder, "claims.csv"), "-o",
	    os.path.join(folder, "x"))
	tap.claim(p.returncode == 1 and not os.path.exists(os.path.join(folder,
	    "x")), "a case that is none: nothing is written")


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-audit-",
	    ignore_cleanup_errors=True) as folder:
		live, theirs = (os.path.join(folder, n)
		    for n in ("live", "theirs"))
		truth, metainfo = observe(live)
		with closing(Case(live, 1)) as case:
			if not tap.claim(truth.times(case), "each peer left "
			    "its trace", truth.at):
				return tap.status()
		torrent = os.path.join(folder, "lab.torrent")
		with open(torrent, "wb") as f:
			f.write(metainfo)
		p = run("capture", "--key", os.path.join(folder, "key"),
		    "--torrent", torrent, theirs,
		    *sorted(glob.glob(os.path.join(live, "packets/*.pcap"))))
		tap.claim(p.returncode == 0, "the packets are imported",
		    p.stderr)
		a = check_planted(folder, live, truth, False)
		if a:
			check_files(a, folder, live)
		check_planted(folder, theirs, truth, True)
		check_forms(folder, live, truth)
		for case in live, theirs:
			check_shift(folder, case, truth)
			check_levels(folder, case, truth)
		check_patterns(folder, live, truth)
		check_misuse(folder, live)
		for case in live, theirs:
			good = holds(case)
			tap.claim(good is True, "both verifiers find the %s "
			    "case whole" % os.path.basename(case), good)
	return tap.status()


sys.exit(main())
