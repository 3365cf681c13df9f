#!/usr/bin/env python3
"""Reports of a made-up case: the same bytes twice, hostile text inert, tables
as promised, levels worded as the ladder says, and pages that a browser prints.
SHOTS=FOLDER keeps the screenshots and PDFs, to be looked at.
"""
import csv
import datetime
import difflib
import hashlib
import json
import os
import re
import shutil
import sqlite3
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(HERE, "../geo")]

import lab_mmdb			# noqa: E402
import synthetic		# noqa: E402
from built import ROOT, SANITIZED as PROGRAM	# noqa: E402
from pages import Page, chromium, axe, ODD	# noqa: E402
from scratch import at, tmp		# noqa: E402
from tap import Tap		# noqa: E402

TABLES = {
	"swarm": "swarm,name,total_bytes,piece_bytes,pieces,version,private",
	"sighting": "swarm,ip,port,source,witness,first_utc_ns,last_utc_ns,"
	    "times,first_seq",
	"contact": "conn,origin,swarm,ip,port,listen_port,direction,transport,"
	    "encryption,opened_utc_ns,closed_utc_ns,outcome,peer_id,client,"
	    "pieces_claimed,pieces_total,rx_bytes,tx_bytes,pieces_matched,"
	    "pieces_failed,level",
	"piece_check": "seq,conn,swarm,ip,port,piece,utc_ns,bytes,ok",
	"endpoint": "swarm,ip,port,port_kind,utc_day,level,first_utc_ns,"
	    "last_utc_ns,sightings,contacts,pieces_matched,pieces_failed",
	"coverage": "swarm,source,from_utc_ns,to_utc_ns,polls,failures",
	"decoy_source": "source,witness,asked,named",
	"decoy_endpoint": "conn,ip,port,utc_ns,accepted",
}
LAB = {
	"10.77.0.0/16": {"country": "DE", "asn": 64512, "org": "<b>Lab & one"},
	"fd77::/16": {"country": "FR", "asn": 64514, "org": "Labo trois"},
}
tap = Tap()


def report(*args, status=0):
	p = subprocess.run([PROGRAM, "report", *args], capture_output=True,
	    text=True)
	if p.returncode != status:
		print("# %s: %d\n# %s" % (args, p.returncode,
		    p.stderr.replace("\n", "\n# ")))
	return p


def files(folder):
	return {n: open(os.path.join(folder, n), "rb").read()
	    for n in sorted(os.listdir(folder))}


def the_same_twice(case, geo):
	ok = report("--geo", geo, case, "-o", at("out")).returncode == 0
	first = files(at("out"))
	ok = ok and report("--geo", geo, case, "-o", at("out")).returncode == 0
	tap.claim(ok and files(at("out")) == first,
	    "made again over the former report, byte for byte the same")
	os.unlink(os.path.join(case, "derived.db"))
	report("--geo", geo, "-o", at("out2"), case)
	tap.claim(files(at("out2")) == first,
	    "the same from tables built anew, options before operands")
	views = {"levels", "present", "moves", "held", "clients", "countries",
	    "networks", "sources", "reached", "transports", "encryption"}
	some = {"levels", "held", "sources", "reached"}	# B was only named
	tap.claim(set(first) == {"index.html", "report.json", "MANIFEST.sha256",
	    "certificate-902-13.html", "certificate-902-14.html",
	    "checklist.html", "swarm-1.html", "swarm-2.html",
	    "swarm-1-endpoints-1.html", "swarm-2-endpoints-1.html"} |
	    {t + ".csv" for t in TABLES} | {"swarm-1-%s.csv" % v for v in views} |
	    {"swarm-2-%s.csv" % v for v in some}, "all files, and no other")
	p = subprocess.run(["sha256sum", "--strict", "-c", "MANIFEST.sha256"],
	    cwd=at("out"), capture_output=True, text=True)
	tap.claim(p.returncode == 0 and p.stdout.count(": OK") == len(first) - 1,
	    "sha256sum -c MANIFEST.sha256 covers every other file")
	return first


def iso_utc(ns):
	"""ISO 8601, of an integer in a CSV."""
	if not ns:
		return ""
	whole = datetime.datetime.fromtimestamp(int(ns) // 10 ** 9,
	    datetime.timezone.utc)
	return whole.strftime("%Y-%m-%dT%H:%M:%S") + ".%09dZ" % (int(ns) %
	    10 ** 9)


def tables(first, case):
	db = sqlite3.connect(os.path.join(case, "derived.db"))
	for name, columns in TABLES.items():
		text = first[name + ".csv"].decode()
		rows = list(csv.DictReader(text.splitlines()))
		count, = db.execute("SELECT count(*) FROM " + name).fetchone()
		# Where the times are a run's, how far they can be off.
		times = [c for c in columns.split(",") if c.endswith("utc_ns")]
		head = ",".join([columns] + ["bound_ns"] * bool(times) +
		    [c[:-3] for c in times])
		iso = all(r[c[:-3]] == iso_utc(r[c]) and r["bound_ns"] ==
		    "12345678" for r in rows for c in times)
		tap.claim(text.split("\r\n")[0] == head and iso and
		    len(rows) == count,
		    "%s.csv: the contract's columns, all %d rows" %
		    (name, count))
		have = [r[1] for r in
		    db.execute("PRAGMA table_info(%s)" % name)]
		tap.claim(have == columns.split(","), "table %s likewise" % name)
	contacts = first["contact.csv"].decode()
	tap.claim("\"'=HYPERLINK(" in contacts and ",=HYPER" not in contacts and
	    '"=HYPER' not in contacts, "a formula is defused in CSV")
	tap.claim(not any(ODD.search(data.decode().replace("\t", ""))
	    for name, data in first.items()), "no control or bidi mark in any file")
	return db


def plain_sql(case, db):
	"""docs/derived-tables.md's command, without the program."""
	subprocess.run(["sqlite3", at("plain.db"), "ATTACH 'file:%s/evidence.db"
	    "?mode=ro' AS evidence" % case, ".read schema/derived.sql"],
	    cwd=ROOT, check=True)
	plain = sqlite3.connect(at("plain.db"))
	same = all(sorted(plain.execute("SELECT * FROM " + t), key=repr) ==
	    sorted(db.execute("SELECT * FROM " + t), key=repr) for t in TABLES)
	tap.claim(same, "sqlite3 and derived.sql alone make the same tables")


def page(first):
	"""Every page of the report."""
	html = {n: d.decode() for n, d in first.items() if n.endswith(".html")}
	pages = {n: Page(t) for n, t in html.items()}
	every = "".join(p.text for p in pages.values())
	tags = set().union(*(p.tags for p in pages.values()))
	tap.claim(not tags & {"script", "img", "iframe", "link", "object", "base",
	    "form", "image", "use", "foreignobject", "animate"},
	    "no tag of a stranger's, none that fetches")
	tap.claim(not set().union(*(p.attributes for p in pages.values())) - {
	    "lang", "charset", "name", "content", "http-equiv", "class", "id",
	    "scope", "href", "role", "tabindex", "open", "viewbox", "width",
	    "height", "x", "y", "x1", "x2", "y1", "y2", "text-anchor",
	    "preserveaspectratio", "aria-hidden", "aria-label",
	    "aria-labelledby", "aria-current"}, "no attribute of a stranger's")
	broken = [(n, h) for n, p in pages.items() for h in p.links
	    if (h.split("#")[0] or n) not in first or "#" in h and
	    h.split("#")[1] not in pages[h.split("#")[0] or n].ids]
	tap.claim(not broken, "every link leads to a place in the report")
	for b in broken[:3]:
		print("# %s" % (b,))
	twice = [n for n, p in pages.items() if len(p.ids) != len(set(p.ids))]
	tap.claim(not twice, "no id stands twice in a page")
	tap.claim("<script>alert(1)</script>" in every and
	    "onerror=alert(2)" in every and "U+202E" in every,
	    "hostile text is shown as text")
	tap.claim(not any("http" in re.sub(r"<bdi>.*?</bdi>", "", t.replace(
	    "http-equiv", "")) for t in html.values()),
	    "no address outside quoted text")
	lists = pages["swarm-1-endpoints-1.html"].text
	tap.claim("<b>Lab" not in "".join(html.values()) and "AS64512" in lists
	    and "Labo trois" in lists, "network names, escaped")
	words = "A third party named this address|A transport connection to or" \
	    "|It sent a handshake bearing|It claimed to hold pieces|too little " \
	    "to check|matched the torrent’s hash"
	tap.claim(all(w in lists for w in words.split("|")), "the ladder's words")
	front = pages["index.html"].text
	tap.claim("yes: a run recorded this digest" in front,
	    "the database's digest is found in the ledger")
	tap.claim("± 13 ms" in front and "bound of every time is unknown" not in
	    front, "times with the clock's bound")
	digests = dict(reversed(line.split("  ")) for line in
	    first["MANIFEST.sha256"].decode().splitlines())
	tap.claim(all(n in front and digests[n][:16] in front for n in digests
	    if n != "index.html"), "the front page lists every exhibit")
	copies = pages["certificate-902-14.html"].text
	later = {"index.html", "certificate-902-14.html"}
	tap.claim(all(digests[n] in copies for n in digests if n not in later)
	    and "1" * 64 in copies and json.loads(first["report.json"])
	    ["cases"][0]["evidence_sha256"] in copies,
	    "the draft for FRE 902(14) holds the digests of all copies")
	tap.claim(not re.search(r"infring|pirat|guilt|defendant|illegal|culprit|"
	    r"offender|stole|thief", every, re.I),
	    "no page knows a word of conclusions")
	made = pages["certificate-902-13.html"].text
	tap.claim("e" * 64 in made and "± 13 ms" in made and "A draft." in made
	    and "A draft." in copies, "the draft for FRE 902(13): program, "
	    "clock, and that it is a draft")


def charts(first):
	"""Each chart's CSV says what the page's table says."""
	page = first["swarm-1.html"].decode()
	for name, want in (("levels", [["5 hash-matched", "2"],
	    ["4 delivered", "1"], ["3 advertised", "1"], ["2 handshaked", "3"],
	    ["1 reached", "1"], ["0 listed", "3"]]),
	    ("encryption", [["none", "4"]]),
	    ("transports", [["TCP, dialled", "4"], ["TCP, dialling in", "1"]]),
	    ("countries", [["DE", "4"], ["FR", "1"]]),
	    ("reached", [["dialled, and answered", "4"],
	    ["called the observer", "1"], ["dialled in vain", "1"],
	    ["named only, never dialled", "2"]])):
		rows = list(csv.reader(first["swarm-1-%s.csv" % name].decode()
		    .splitlines()))[1:]
		tap.claim(sorted(rows) == sorted(want), "chart " + name)
		if sorted(rows) != sorted(want):
			print("# %s" % rows)
	for name in ("present", "moves"):
		rows = list(csv.reader(first["swarm-1-%s.csv" % name].decode()
		    .splitlines()))
		shown = re.search(r"<figure>(?:(?!</figure>).)*swarm-1-%s\.csv" %
		    name, page, re.S).group()
		cells = re.findall(r"<th scope=row>([^<]*)</th>((?:<td class=n>"
		    r"\d+</td>)+)", shown)
		got = [[a] + re.findall(r"\d+", b.replace("class=n", ""))
		    for a, b in cells]
		tap.claim([[g[0].replace(" ", "T") + "Z"] + g[1:] for g in
		    got] == rows[1:] and len(rows) > 10,
		    "chart %s: %d rows, the page's as the CSV's" %
		    (name, len(rows) - 1))
		tap.claim(re.search(r"<svg class=columns [^>]*role=img "
		    r'aria-labelledby="(\S+) (\S+)">\s*<title id=\1>.+?</title>'
		    r"\s*<desc id=\2>", shown), name + ": title, desc and role")
	moves = list(csv.reader(first["swarm-1-moves.csv"].decode()
	    .splitlines()))[1:]
	tap.claim(sum(int(r[1]) for r in moves) == sum(int(r[2]) for r in moves)
	    == 5, "who answered came once and went once")
	tap.claim("No estimate is given: fewer than 7" in page or
	    "No estimate is given: only one of" in page,
	    "no estimate where the counts are too small")


def levels(first):
	doc = json.loads(first["report.json"])
	swarm = {s["infohash"]: s for s in doc["cases"][0]["swarms"]}
	a = swarm[synthetic.A]
	got = {(e["ip"], e["utc_day"][-2:]): e for e in a["endpoints"]}
	want = {("10.77.1.1", "01"): 5, ("10.77.1.1", "02"): 5,
	    ("10.77.1.2", "01"): 4, ("10.77.1.2", "02"): 2,
	    ("10.77.1.3", "01"): 3, ("10.77.1.3", "02"): 2,
	    ("10.77.1.9", "01"): 2, ("fd77:1::4", "01"): 1,
	    ("10.77.1.66", "01"): 0,
	    ("10.77.0.1", "01"): 0, ("10.77.0.10", "01"): 0}
	tap.claim({k: e["level"] for k, e in got.items()} == want,
	    "report.json: each endpoint's level, days apart")
	tap.claim(a["endpoints_by_level"] == [3, 1, 3, 1, 1, 2], "counts by level")
	cautions = {
		("10.77.0.1", "01"): {"the observer", "one source"},
		("10.77.0.10", "01"): {"one source"},
		("10.77.1.1", "01"): {"sample", "stall", "packet drops"},
		("10.77.1.3", "02"): {"one source", "failed hash", "stall",
		    "packet drops"},
		("10.77.1.9", "01"): {"its own port", "no end recorded",
		    "packet drops"},
		("fd77:1::4", "01"): {"one source", "other infohash", "stall",
		    "packet drops"},
	}
	for k, marks in cautions.items():
		tap.claim(set(got[k]["cautions"]) == marks,
		    "cautions of %s: %s" % (k[0], ", ".join(sorted(marks))))
	tap.claim([got[k]["says_it_listens_on"] for k in cautions] ==
	    [None, None, 6881, None, 6999, None], "ports that peers said they listen on")
	tap.claim(a["endpoints"] == sorted(a["endpoints"], key=lambda e:
	    -e["level"]), "the highest level first")
	named = {s["witness"]: (s["named"], s["tried"], s["answered"])
	    for s in a["sources"]}
	tap.claim(named == {"http://10.77.0.9:6969/announce": (7, 5, 4),
	    "udp://10.77.0.9:6969": (1, 1, 1)}, "what each source named")


def refusals(case, geo):
	os.makedirs(at("taken"))
	open(at("taken/letter.txt"), "w").close()
	p = report(case, "-o", at("taken"), status=1)
	tap.claim(p.returncode == 1 and "letter.txt" in p.stderr and
	    os.listdir(at("taken")) == ["letter.txt"],
	    "a folder with other things is refused and left alone")
	p = report(tmp + "/nowhere", "-o", at("x"), status=1)
	tap.claim(p.returncode == 1 and p.stderr.count("\n") == 1 and
	    not os.path.exists(at("x")), "no case: one line, nothing written")
	with open(at("bad.mmdb"), "wb") as f:
		f.write(open(geo, "rb").read()[:900])
	p = report("--geo", at("bad.mmdb"), case, "-o", at("x"), status=1)
	tap.claim(p.returncode == 1 and p.stderr.count("\n") == 1 and
	    "bad.mmdb" in p.stderr, "a damaged database: one line")
	p = report("--swarm", "c" * 40, case, "-o", at("x"), status=1)
	tap.claim(p.returncode == 1 and "c" * 40 in p.stderr, "a swarm not there")
	for args in ([], [case], ["-o", at("x")], ["--bogus", case, "-o",
	    at("x")], ["--swarm", "XY", case, "-o", at("x")]):
		if report(*args, status=2).returncode != 2:
			break
	else:
		tap.claim(True, "misuse has status 2")
	p = report("--help")
	tap.claim(p.returncode == 0 and "--geo" in p.stdout and not p.stderr,
	    "--help goes to stdout")


def others(case):
	report(case, "--swarm", synthetic.B, "-o", at("one"))
	one = files(at("one"))
	tap.claim(synthetic.A.encode() not in b"".join(one[n] for n in one),
	    "--swarm leaves the other one out of every file")
	synthetic.story(at("crash"), ended=False, bound_ns=None)
	report(at("crash"), case, "-o", at("two"))
	two = files(at("two"))
	tap.claim({"1-swarm.csv", "2-swarm.csv"} <= set(two) and
	    "swarm.csv" not in two, "two cases, each with its tables")
	text = "".join(Page(d.decode()).text for n, d in two.items()
	    if n.endswith(".html"))
	tap.claim("it crashed or was killed" in text and "Case crash" in text and
	    "no time source was ever reached" in text and "± unknown" in text,
	    "a run without end or clock says so")
	report(case, "-o", at("two"))
	tap.claim("1-swarm.csv" not in os.listdir(at("two")),
	    "a former report is replaced whole")


def custody(case):
	"""Imported packets: every page says so, printed or not."""
	synthetic.imported(at("theirs"))
	ok = report(at("theirs"), "-o", at("imported")).returncode == 0 and \
	    report(at("theirs"), "--ip", "10.77.3.1", "-o",
	    at("imported.ip")).returncode == 0 and \
	    report(case, at("theirs"), "-o", at("both")).returncode == 0
	pages = {os.path.join(d, n): t.decode() for d in ("imported",
	    "imported.ip", "both") for n, t in files(at(d)).items()
	    if n.endswith(".html")}
	said = "Custody is proved from the import on only. The clock is as given"
	tap.claim(ok and len(pages) > 12 and all(said in " ".join(
	    Page(t).text.split()) and "imported: custody from the import on" in
	    t.split("</style>")[0] for t in pages.values()),
	    "every page of an imported case says what its custody and clock are")
	tap.claim(said not in " ".join(Page(open(at("out/index.html")).read())
	    .text.split()), "and none of a case that was observed")
	with open(at("imported.ip/address.json")) as f:
		found = json.load(f)["cases"][0]["findings"]
	text = " ".join(s["text"] for f in found for s in f["statements"])
	tap.claim([f["level"] for f in found] == [5] and "Neither end of these "
	    "conversations is the observer" in text and "the opening was not "
	    "captured" in text and "In 1 place bytes are missing" in text and
	    "Challenge" not in text and "95 %" not in text,
	    "an imported conversation is nobody's challenge")
	front = Page(pages["imported/index.html"]).text
	tap.claim("This run observed nothing itself" in front and
	    "theirs.pcap" in front, "the method says that it was an import")


def pass_keys():
	"""A private tracker's secret is in the ledger, and in no report."""
	key = "7f3e9a0c" * 4
	c = synthetic.Case(at("keys"))
	c.run()
	c.torrent(synthetic.A, "members only")
	c.announce(synthetic.A, [("10.77.1.1", 6881)],
	    "http://10.77.0.9/%s/announce" % key)
	c.announce(synthetic.A, [], "http://10.77.0.9/a?pass=" + key, "timeout")
	c.end()
	ok = report(at("keys"), "-o", at("masked")).returncode == 0 and \
	    report(at("keys"), "--ip", "10.77.1.1", "-o",
	    at("masked.ip")).returncode == 0
	made = {n: t for d in ("masked", "masked.ip")
	    for n, t in files(at(d)).items()}
	tap.claim(ok and not [n for n, t in made.items() if key.encode() in t]
	    and b"http://10.77.0.9/[masked]/announce" in made["sighting.csv"]
	    and b"http://10.77.0.9/a?pass=[masked]" in made["coverage.csv"],
	    "pass keys of trackers are masked in every file of a report",
	    [n for n, t in made.items() if key.encode() in t])


def sizes():
	"""Chapman's estimate, held against numbers counted here."""
	a, b, both = synthetic.two_sources(at("counted"))
	report(at("counted"), "-o", at("count"))
	text = Page(files(at("count"))["swarm-1.html"].decode()).text
	size = (a + 1) * (b + 1) // (both + 1) - 1
	m = re.search(r"About (\d+) endpoints; with 95 % confidence (\d+) to "
	    r"(\d+), if the assumptions", text)
	tap.claim(m and int(m[1]) == size and int(m[2]) < 500 < int(m[3]) and
	    int(m[2]) < size < int(m[3]), "the swarm's size is estimated: %s of "
	    "500, %s to %s" % (m and (m[1], m[2], m[3]) or (0, 0, 0)))
	front = Page(files(at("count"))["index.html"].decode()).text
	tap.claim("http://tsa.example/<b>" in front and "timeout: no answer" in
	    front and "2026-01-01T23:59:00Z" in front,
	    "stamps, those that failed too")


def read_only(case, first, geo):
	"""A mount that refuses root too, in a namespace of its own."""
	os.makedirs(at("ro"))
	shutil.copy(os.path.join(case, "evidence.db"), at("ro/evidence.db"))
	os.makedirs(at("mnt/case"))
	script = ('mount --bind "$1" "$2" && mount -o remount,bind,ro "$2" && '
	    'exec "$3" report --geo "$4" "$2" -o "$5"')
	p = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", at("ro"),
	    at("mnt/case"), PROGRAM, geo, at("roout")], capture_output=True,
	    text=True)
	if "unshare" in p.stderr or "mount:" in p.stderr:
		print("# no mounts here: " + p.stderr.strip())
		return
	tap.claim(p.returncode == 0 and files(at("roout")) == first,
	    "a case on a read-only medium gives the same report")
	tap.claim(os.listdir(at("ro")) == ["evidence.db"],
	    "and nothing was written into it")


def crowd():
	synthetic.crowd(at("crowd"))
	p = report(at("crowd"), "-o", at("many"))
	many = files(at("many"))
	pages = [d for n, d in many.items() if n.endswith(".html")]
	rows = re.findall(b"<span class=ip>([^<]*)<", b"".join(pages))
	tap.claim(p.returncode == 0 and len(set(rows)) == 10000 and
	    max(map(len, pages)) < 1 << 20, "10 000 addresses, %d rows, in "
	    "pages of %.2f MB at most" % (len(rows), max(map(len, pages)) / 1e6))
	estimate = Page(many["swarm-1.html"].decode()).text
	tap.claim("No estimate is given" in estimate,
	    "no estimate where each endpoint was named once")


def accessible(scratch):
	"""No fault that axe-core finds, light, narrow and dark."""
	if shutil.which("chromium") is None:
		print("# no chromium here")
		return
	source = open(at("out/index.html"), encoding="utf-8").read()
	found = axe(source.replace("</main>", "<img src=x><p style='color:"
	    "#999;background:#aaa'>pale</p></main>"), scratch)
	if found is None:
		print("# no axe-core here: tests/deps fetches it through npm")
		return
	tap.claim({"image-alt", "color-contrast"} <= {f[0] for f in found},
	    "the accessibility checker finds planted faults")
	dark = "--blink-settings=preferredColorScheme=0"
	looks = ([], [dark], ["--window-size=400,900"])
	every = [(name, args) for name in ("out/index.html",
	    "out/swarm-1.html", "out/swarm-1-endpoints-1.html",
	    "out/certificate-902-13.html", "out/certificate-902-14.html",
	    "out/checklist.html", "address/address.html",
	    "refer/reference.html", "audit/index.html",
	    "audit/claim-0001.html", "veiled/index.html",
	    "veiled/swarm-1.html", "imported/index.html") for args in looks]
	for name, args in every if "SHOTS" in os.environ else (
	    ("out/index.html", []), ("out/index.html", [dark]),
	    ("out/swarm-1.html", []), ("out/swarm-1.html", [dark]),
	    ("out/swarm-1-endpoints-1.html", []),
	    ("out/swarm-1-endpoints-1.html", ["--window-size=400,900"]),
	    ("out/certificate-902-13.html", []),
	    ("out/certificate-902-14.html", []), ("out/checklist.html", []),
	    ("address/address.html", []),
	    ("address/address.html", ["--window-size=400,900"]),
	    ("refer/reference.html", [dark]), ("audit/index.html", []),
	    ("audit/claim-0001.html", [])):
		with open(at(name), encoding="utf-8") as f:
			found = axe(f.read(), scratch, *args)
		tap.claim(found == [], "%s is accessible %s" % (name,
		    " ".join(args)))
		for f in found[:3]:
			print("# %s" % f)


GOLDEN = os.path.join(HERE, "golden")


def golden(first, case, geo):
	"""Whole pages against files in golden/, so that a change of wording is
	seen where it is reviewed. GOLDEN=write writes them anew."""
	report("--geo", geo, case, "--ip", "10.77.1.3", "-o", at("liar"))
	version = subprocess.run([PROGRAM, "--version"], capture_output=True,
	    text=True).stdout
	commit = re.search(r"\((\S+)\)", version)[1]
	digest = json.loads(first["report.json"])["cases"][0]["evidence_sha256"]
	pages = {n: first[n].decode() for n in ("index.html", "swarm-1.html",
	    "swarm-1-endpoints-1.html", "certificate-902-13.html",
	    "certificate-902-14.html")}
	for name, file in (("address.html", "liar/address.html"),
	    ("address.csv", "liar/address.csv"),
	    ("checklist.html", "out/checklist.html"),
	    ("audit.html", "audit/index.html"), ("audit.csv", "audit/audit.csv"),
	    ("claim-0001.html", "audit/claim-0001.html"),
	    ("claim-0002.html", "audit/claim-0002.html"),
	    ("reference.html", "refer/reference.html")):
		with open(at(file), encoding="utf-8", newline="") as f:
			pages[name] = f.read().replace(tmp, "TMP")
	for name, text in pages.items():
		text = re.sub(r"<style>.*?</style>", "", text, flags=re.S)
		text = text.replace(commit, "COMMIT").replace(digest, "DIGEST")
		# digests of files; the case's own are one digit throughout
		text = re.sub(r"<code>(?!([0-9a-f])\1{9})[0-9a-f]{16}(?:[0-9a-f]"
		    r"{48})?</code>", "<code>DIGEST</code>", text)
		file = os.path.join(GOLDEN, name)
		if os.environ.get("GOLDEN") == "write":
			os.makedirs(GOLDEN, exist_ok=True)
			with open(file, "w", encoding="utf-8",
			    newline="") as f:
				f.write(text)
		with open(file, encoding="utf-8", newline="") as f:
			want = f.read()
		tap.claim(text == want, "%s is golden/%s, byte for byte" %
		    (name, name))
		if text != want:
			for line in list(difflib.unified_diff(want.split("\n"),
			    text.split("\n"), "golden", "now", n=0,
			    lineterm=""))[:12]:
				print("# " + line[:300])


def others_to_look_at(case, geo):
	"""Copies held against a torrent with a hostile name, claims with
	hostile words, and a report under pseudonyms."""
	data = synthetic.copied(at("copied"), synthetic.HOSTILE)
	with open(at("copy.mkv"), "wb") as f:
		f.write(data)
	report(at("copied"), "--reference", synthetic.HOSTILE + "=" +
	    at("copy.mkv"), "-o", at("refer"))
	with open(at("claims.csv"), "w", encoding="utf-8") as f:
		f.write("ip,port,time,infohash,client,file\n")
		for ip, port in (("10.77.1.1", 6881), ("10.77.1.3", 6883),
		    ("10.77.1.66", 9), ("10.77.9.9", 1), ("nobody", "x")):
			f.write('%s,%s,2026-01-01T23:59:03Z,%s,"%s","%s"\n' % (
			    ip, port, synthetic.A, synthetic.FORMULA.replace(
			    '"', '""'), synthetic.HOSTILE.replace('"', '""')))
	made = []
	for _ in range(2):
		subprocess.run([PROGRAM, "audit", case, at("claims.csv"), "-o",
		    at("audit")], capture_output=True)
		made.append(files(at("audit")))
	tap.claim(made[0] == made[1] and len(made[0]) > 6,
	    "an audit made again is the same, byte for byte")
	made = {n: Page(d.decode()) for n, d in (*made[0].items(),
	    *files(at("refer")).items()) if n.endswith(".html")}
	tap.claim(len(made) > 8 and not set().union(*(p.tags for p in
	    made.values())) & {"script", "img", "iframe", "link"} and
	    not any(ODD.search(p.text.replace("\t", "")) for p in
	    made.values()), "hostile names and claims stay inert")
	if "SHOTS" in os.environ:
		report("--pseudonymise", at("veil"), "--geo", geo, case, "-o",
		    at("veiled"))


def printed(shots, case, geo):
	"""As a browser prints and shows them."""
	if shutil.which("chromium") is None:
		print("# no chromium here")
		return
	looked = "SHOTS" in os.environ	# all of them only for eyes
	report("--geo", geo, case, "--ip", "10.77.1.1", "-o", at("address"))
	pages = {"case": at("out/index.html"), "swarm": at("out/swarm-1.html"),
	    "list": at("out/swarm-1-endpoints-1.html"),
	    "copies": at("out/certificate-902-14.html"),
	    "process": at("out/certificate-902-13.html"),
	    "checklist": at("out/checklist.html"),
	    "address": at("address/address.html"),
	    "reference": at("refer/reference.html"),
	    "audit": at("audit/index.html"),
	    "claim": at("audit/claim-0001.html")}
	if looked:
		pages |= {"veiled": at("veiled/swarm-1.html"),
		    "crowd": at("many/swarm-1-endpoints-3.html"),
		    "crowded": at("many/swarm-1.html"),
		    "imported": at("imported/index.html")}
	for name, file in pages.items():
		with open(file, encoding="utf-8") as f:
			source = f.read()
		for paper, points in (("A4", (595, 842)), ("letter", (612, 792))):
			if paper == "letter" and name != "case" and not looked:
				continue
			with open(at("print.html"), "w") as f:
				f.write(source.replace("</style>", "@page{size:%s}"
				    "</style>" % paper))
			pdf = os.path.join(shots, "%s-%s.pdf" % (name, paper))
			chromium("--print-to-pdf=" + pdf, "file://" +
			    at("print.html"))
			info = subprocess.run(["pdfinfo", pdf],
			    capture_output=True, text=True).stdout
			size = re.search(r"Page size: +([\d.]+) x ([\d.]+)", info)
			n = re.search(r"Pages: +(\d+)", info)
			text = subprocess.run(["pdftotext", pdf, "-"],
			    capture_output=True, text=True).stdout
			tap.claim(size and abs(float(size[1]) - points[0]) < 1 and
			    abs(float(size[2]) - points[1]) < 1 and
			    "page 1 of %s" % n[1] in text and
			    "page %s of %s" % (n[1], n[1]) in text and
			    "Exhibit " in text, "%s printed on %s: %s pages, "
			    "numbered" % (name, paper, n and n[1]))
		for look, width, extra in (("light", 1200, ()),
		    ("narrow", 400, ()), ("dark", 1200,
		    ("--blink-settings=preferredColorScheme=0",))):
			if name != "swarm" and not looked:
				continue
			png = os.path.join(shots, "%s-%s.png" % (name, look))
			chromium("--window-size=%d,3000" % width,
			    "--screenshot=" + png, *extra, "file://" + file)
			ok = os.path.exists(png)
			if ok:
				with open(png, "rb") as f:
					ok = struct.unpack(">II",
					    f.read(24)[16:]) == (width, 3000)
			tap.claim(ok, "a picture of %s, %s" % (name, look))


def main():
	case, geo = at("case"), at("lab.mmdb")
	shots = os.environ.get("SHOTS") or at("shots")
	os.makedirs(shots, exist_ok=True)
	built = lab_mmdb.build(LAB)
	with open(geo, "wb") as f:
		f.write(built)
	synthetic.story(case, hashlib.sha256(built).hexdigest())
	before = open(os.path.join(case, "evidence.db"), "rb").read()
	first = the_same_twice(case, geo)
	db = tables(first, case)
	plain_sql(case, db)
	db.close()
	page(first)
	charts(first)
	levels(first)
	refusals(case, geo)
	others(case)
	read_only(case, first, geo)
	custody(case)
	pass_keys()
	sizes()
	crowd()
	others_to_look_at(case, geo)
	golden(first, case, geo)
	printed(shots, case, geo)
	accessible(tmp)
	tap.claim(open(os.path.join(case, "evidence.db"), "rb").read() == before,
	    "no byte of the evidence changed")


main()
sys.exit(tap.status())
