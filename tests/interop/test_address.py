#!/usr/bin/env python3
"""Address records of a made-up case: every statement's SQL gives its result
again with sqlite3 alone, levels and words as the ladder has them, days and
ports apart, hostile text inert, and no sentence that says more."""
import calendar
import csv
import io
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(HERE, "../geo")]

import lab_mmdb			# noqa: E402
import synthetic		# noqa: E402
from built import ROOT, SANITIZED as PROGRAM	# noqa: E402
from pages import Page, ODD	# noqa: E402
from scratch import at		# noqa: E402
from tap import Tap		# noqa: E402

ALL = ("10.77.1.1", "10.77.1.2", "10.77.1.3", "fd77:1::4", "10.77.1.66",
    "10.77.1.9", "10.77.2.1", "10.77.0.1")
tap = Tap()


def report(*args):
	return subprocess.run([PROGRAM, "report", *args], capture_output=True,
	    text=True)


def read(folder, name):
	with open(os.path.join(folder, name), encoding="utf-8",
	    newline="") as f:
		return f.read()


def record(case, ip, *more, out=None):
	out = out or at("out." + ip.replace(":", "_"))
	p = report("--geo", at("lab.mmdb"), case, "--ip", ip, *more, "-o", out)
	if p.returncode:
		print("# " + p.stderr.strip())
		return None
	return json.loads(read(out, "address.json")), \
	    Page(read(out, "address.html")), \
	    list(csv.DictReader(io.StringIO(read(out, "address.csv")))), out


def sqlite(case, sql):
	return subprocess.run(["sqlite3", "-init", "/dev/null", "-batch",
	    "-noheader", "-list", "-readonly", os.path.join(case,
	    "derived.db"), "ATTACH 'file:%s/evidence.db?mode=ro' AS evidence" %
	    case, sql], capture_output=True, text=True).stdout


def statements(doc):
	return [s for c in doc["cases"] for f in c["findings"]
	    for s in f["statements"]]


def reproduced(case, records):
	wrong, n = [], 0
	for doc, page, _, _ in records.values():
		for s in statements(doc):
			n += 1
			got = sqlite(case, s["sql"])
			if got != s["result"] + "\n":
				wrong.append((s["id"], s["sql"], got,
				    s["result"]))
			elif s["text"] not in page.text or s["sql"] not in \
			    page.text:
				wrong.append((s["id"], "not in the page"))
			last = s["result"].rsplit("|", 1)[1]
			if last != ",".join(map(str, s["records"])):
				wrong.append((s["id"], last, s["records"]))
	for w in wrong[:3]:
		print("# %s" % (w,))
	tap.claim(not wrong and n > 40, "sqlite3 gives each of %d statements' "
	    "results again, and the page has sentence and SQL" % n)


def findings(doc):
	return [(f["infohash"][0], f["utc_day"][-2:], f["port"], f["level"])
	    for c in doc["cases"] for f in c["findings"]]


def levels(records):
	want = {
		"10.77.1.1": [("a", "01", 6881, 5), ("a", "02", 6881, 5)],
		"10.77.1.2": [("a", "01", 6882, 4), ("a", "02", 6882, 2)],
		"10.77.1.3": [("a", "01", 6883, 3), ("a", "02", 6883, 2)],
		"fd77:1::4": [("a", "01", 6884, 1)],
		"10.77.1.66": [("a", "01", 9, 0)],
		"10.77.1.9": [("a", "01", 40123, 2)],
		"10.77.2.1": [("b", "01", 51413, 0)],
		"10.77.0.1": [("a", "01", 4000, 0)],
	}
	got = {ip: findings(r[0]) for ip, r in records.items()}
	tap.claim(got == want, "each torrent, day and port apart, with its level")
	if got != want:
		print("# %s" % got)
	with open(os.path.join(ROOT, "report/ladder.c")) as f:
		words = re.sub(r'"\s+"', "", f.read())
	ok = True
	for doc, page, _, _ in records.values():
		for c in doc["cases"]:
			for f in c["findings"]:
				ok = ok and f["observed"] in words and \
				    f["not_shown"] in words and \
				    f["observed"] in page.text and \
				    f["not_shown"] in page.text
	tap.claim(ok, "the ladder's sentences, both of them, in every finding")
	text = records["10.77.1.66"][1].text
	tap.claim("matched the torrent" not in text.split("The SQL")[0] and
	    "sent a handshake bearing" not in text.split("The SQL")[0],
	    "level 0: no word of a higher level")


def words(records):
	said = {ip: " ".join(s["text"] for s in statements(r[0]))
	    for ip, r in records.items()}
	for ip, text in (
	    ("10.77.1.1", "3 of 3 pieces asked for were delivered and matched. "
		"With 95 % confidence it held at least 25 of the 64 pieces it "
		"then claimed (39.0 % of the torrent's 64)."),
	    ("10.77.1.1", "2 third parties named this endpoint, 2 times"),
	    ("10.77.1.1", "1 conversation opened on an earlier day went on."),
	    ("10.77.1.2", "Of 1 piece asked for, too little came to tell."),
	    ("10.77.1.2", "Challenge in conversation #14: 0 of 1 piece"),
	    ("10.77.1.3", "1 whole piece did not match the torrent's hash."),
	    ("10.77.1.3", "Only one source ever named this endpoint."),
	    ("fd77:1::4", "1 handshake it sent bore another infohash."),
	    ("10.77.1.66", "1 of 1 dial got no connection: 1 refused"),
	    ("10.77.1.9", "It connected to the observer 1 time."),
	    ("10.77.1.9", "No third party named this endpoint")):
		tap.claim(text in said[ip], "%s: %s" % (ip, text))
		if text not in said[ip]:
			print("# " + said[ip])
	both = [s["side"] for s in statements(records["10.77.1.1"][0])]
	tap.claim({"observed", "limits"} == set(both), "both sides are heard")
	style = read(records["10.77.1.1"][3], "address.html").split("</style>")[0]
	tap.claim(re.search(r"\.scales \{[^}]*1fr 1fr", style) and not
	    re.search(r"\.scales[^{]*\{[^}]*font-size", style),
	    "for and against: columns of one width, one size of type")


def received(records):
	f = records["10.77.1.1"][0]["cases"][0]["findings"][0]["received"]
	tap.claim(f["bytes"] == 3 * 16384 and len(f["files"]) == 1 and
	    f["files"][0]["ranges"] == "49152-65535, 278528-294911, "
	    "655360-671743" and f["files"][0]["bytes"] == 3 * 16384,
	    "bytes received by file and range")
	f = records["10.77.1.3"][0]["cases"][0]["findings"][1]["received"]
	tap.claim(f["bytes"] == 0 and f["files"] == [],
	    "what failed its hash counts as nothing received")


def inert(records):
	ok = True
	for _, page, _, out in records.values():
		ok = ok and not page.tags & {"script", "img", "iframe", "link",
		    "object", "base", "form"} and not page.attributes - {
		    "lang", "charset", "name", "content", "http-equiv", "class",
		    "id", "scope", "href", "role", "tabindex", "aria-label"} and all(h.startswith("#")
		    for h in page.links)
		ok = ok and not any(ODD.search(read(out, n).replace("\t", " "))
		    for n in os.listdir(out))
	tap.claim(ok, "no tag, attribute, link or control of a stranger's")
	rows = records["10.77.1.3"][2]
	tap.claim(any("=HYPERLINK" in r["text"] for r in rows) and not
	    any(v and v[0] in "=+@" for r in rows for v in r.values()),
	    "a formula is no cell's beginning")
	tap.claim([int(r["seq"]) for r in rows] == sorted(int(r["seq"])
	    for r in rows) and all(r["bound_ns"] == "12345678" for r in rows),
	    "address.csv: in order of records, each with its bound")
	net = records["10.77.1.1"][0]["networks"]
	tap.claim([(n["country"], n["asn"], n["accuracy_radius_km"]) for n in
	    net] == [("DE", 64512, None)] and len(net[0]["sha256"]) == 64,
	    "the network's facts name their database")


def frame(a, pa, b, pb, n=0):
	"""Ethernet, IPv4, TCP, n bytes of payload."""
	ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + n, 0, 0, 64, 6, 0,
	    socket.inet_aton(a), socket.inet_aton(b))
	return b"\2" * 12 + b"\x08\0" + ip + struct.pack(">HHIIBBHHH", pa, pb,
	    1, 1, 0x50, 0x10, 99, 0, 0) + b"x" * n


def packets(case, records):
	"""Frame numbers, held against tshark's."""
	rows = [r for r in records["10.77.1.1"][2] if r["conn"]]
	at_ns = {int(r["seq"]): nanoseconds(r["utc"]) for r in rows}
	conn = int(rows[0]["conn"])
	them, us = ("10.77.1.1", 6881), ("10.77.0.1", 4000)
	made, want = [], {}
	for r in rows:
		seq, t = int(r["seq"]), nanoseconds(r["utc"])
		made.append((t - 3000, frame(*("10.77.1.2", 6881), *us)))
		if r["by"] == "peer" or r["kind"] == "reached":
			made.append((t - 2000, frame(*them, *us, 9)))
			want[seq] = len(made)
		made.append((t - 1000, frame(*us, *them, 5)))
	made.append((max(at_ns.values()) + 60 * 10 ** 9, frame(*them, *us)))
	os.makedirs(os.path.join(case, "packets"), exist_ok=True)
	name = os.path.join(case, "packets/000001.pcap")
	with open(name, "wb") as f:
		f.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
		for t, data in made:
			f.write(struct.pack("<IIII", t // 10 ** 9, t % 10 ** 9,
			    len(data), len(data)) + data)
	doc, page, rows, _ = record(case, "10.77.1.1", out=at("frames"))
	got = {int(r["seq"]): int(r["frame"]) for r in rows if r["frame"]}
	tap.claim(got == want and len(want) > 5, "each record's packet")
	if got != want:
		print("# %s %s" % (got, want))
	shown = subprocess.run(["tshark", "-r", name, "-Y", "ip.addr==10.77.1.1"
	    " && frame.time_epoch < %d" % (max(at_ns.values()) // 10 ** 9 + 30),
	    "-T", "fields", "-e", "frame.number"], capture_output=True,
	    text=True).stdout.split()
	talk = doc["cases"][0]["findings"][0]["conversations"]
	tap.claim(len(talk) == 1 and talk[0]["conn"] == conn and
	    talk[0]["claimed_client"] == "qBittorrent/4.5.2" and
	    len(talk[0]["peer_id"]) == 40 and talk[0]["packets"] == [{
	    "file": "packets/000001.pcap", "first_frame": int(shown[0]),
	    "last_frame": int(shown[-1]), "packets": len(shown)}],
	    "a conversation's packets are those that tshark finds")
	tap.claim("000001.pcap" in page.text and "begins in that packet or an "
	    "earlier one" in page.text, "and the page names them, and says "
	    "what a number does not tell")
	with open(name, "r+b") as f:
		f.truncate(200)
	r = record(case, "10.77.1.1", out=at("cut"))
	tap.claim(r is not None, "a damaged savefile stops nothing")
	shutil.rmtree(os.path.join(case, "packets"))
	r = record(case, "10.77.1.1", out=at("cut"))
	tap.claim(r and "Savefiles that could not be read here: 1" in r[1].text,
	    "a missing savefile is said to be")


def nanoseconds(utc):
	whole, part = utc.rstrip("Z").split(".")
	return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) * \
	    10 ** 9 + int(part)


def choices(case):
	r = record(case, "10.77.1.1", "--from", "2026-01-02", out=at("from"))
	tap.claim(r and findings(r[0]) == [("a", "02", 6881, 5)], "--from")
	r = record(case, "10.77.1.1", "--to", "2026-01-01T12:00:00Z",
	    out=at("to"))
	tap.claim(r and findings(r[0]) == [("a", "01", 6881, 5)], "--to")
	tap.claim("whole UTC days to 2026-01-01, as asked for" in r[1].text and
	    "They are whole, whatever time of day was given" in r[1].text,
	    "the page says that days are whole, though a time was given")
	r = record(case, "10.77.1.9", "--port", "6999", out=at("port"))
	tap.claim(r and findings(r[0]) == [("a", "01", 40123, 2)],
	    "--port: also who says it listens there")
	r = record(case, "10.77.1.1", "--port", "1", out=at("none"))
	tap.claim(r and findings(r[0]) == [] and "Nothing about this address is recorded in case case for" in
	    r[1].text, "a port not there: said so")
	r = record(case, "10.77.2.1", "--swarm", synthetic.A, out=at("other"))
	tap.claim(r and findings(r[0]) == [], "--swarm")
	p = report(case, "--ip", "10.99.9.9", "-o", at("x"))
	tap.claim(p.returncode == 1 and p.stderr.count("\n") == 1 and
	    "10.99.9.9" in p.stderr and not os.path.exists(at("x")),
	    "an address not there: one line, nothing written")
	bad = (["--ip", "nobody"], ["--ip", "10.0.0.1", "--port", "70000"],
	    ["--ip", "10.0.0.1", "--from", "2026-02-30"], ["--port", "1"],
	    ["--ip", "10.0.0.1", "--to", "tomorrow"])
	tap.claim(all(report(case, *b, "-o", at("x")).returncode == 2
	    for b in bad), "misuse has status 2")


def main():
	case = at("case")
	with open(at("lab.mmdb"), "wb") as f:
		f.write(lab_mmdb.build({"10.77.0.0/16": {"country": "DE",
		    "asn": 64512, "org": "<b>Lab"}}))
	synthetic.story(case)
	records = {ip: record(case, ip) for ip in ALL}
	tap.claim(all(records.values()), "an address record of each")
	reproduced(case, records)
	levels(records)
	words(records)
	received(records)
	inert(records)
	choices(case)
	packets(case, records)
	before = {n: read(records["10.77.1.3"][3], n)
	    for n in os.listdir(records["10.77.1.3"][3])}
	record(case, "10.77.1.3")
	tap.claim(before == {n: read(records["10.77.1.3"][3], n)
	    for n in os.listdir(records["10.77.1.3"][3])},
	    "made again over the former one, byte for byte the same")
	p = subprocess.run(["sha256sum", "--strict", "-c", "MANIFEST.sha256"],
	    cwd=records["10.77.1.3"][3], capture_output=True, text=True)
	tap.claim(p.returncode == 0 and p.stdout.count(": OK") ==
	    len(before) - 1, "the manifest covers every file")


main()
sys.exit(tap.status())
