#!/usr/bin/env python3
"""`report --pseudonymise`: no output holds an address of the case, the mapping
is what openssl gives by another implementation, and record numbers stay. Also
`report --csv`."""
import csv
import hashlib
import io
import ipaddress
import json
import os
import re
import sqlite3
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../geo")]

import lab_mmdb			# noqa: E402
import synthetic		# noqa: E402
from built import SANITIZED as PROGRAM	# noqa: E402
from scratch import at, tmp		# noqa: E402
from tap import Tap		# noqa: E402

KEY = hashlib.sha256(b"a key for a test").digest()
ADDRESS = re.compile(r"10\.77\.\d+\.\d+|fd77:[0-9a-f:]+")
tap = Tap()


def aes(data):
	return subprocess.run(["openssl", "enc", "-aes-128-ecb", "-nopad",
	    "-K", KEY[:16].hex()], input=data, capture_output=True,
	    check=True).stdout


def pseudonym(ip):
	"""Crypto-PAn in arithmetic of whole numbers."""
	a = ipaddress.ip_address(ip)
	bits, n = a.max_prefixlen, int(a)
	pad = int.from_bytes(aes(KEY[16:]), "big")
	top = n << 128 - bits
	blocks = b"".join(((top >> 128 - i << 128 - i) |
	    (pad & (1 << 128 - i) - 1)).to_bytes(16, "big")
	    for i in range(bits))
	out = aes(blocks)
	flip = 0
	for i in range(bits):
		flip = flip << 1 | out[16 * i] >> 7
	return str(type(a)(n ^ flip))


def report(*args, status=0):
	os.makedirs(at("tmp"), exist_ok=True)
	r = subprocess.run([PROGRAM, "report", *args], capture_output=True,
	    text=True, env=dict(os.environ, TMPDIR=at("tmp")))
	if r.returncode != status:
		print("# %s: %d %s" % (args, r.returncode, r.stderr))
	return r


def files(folder):
	found = {}
	for name in sorted(os.listdir(folder)):
		with open(os.path.join(folder, name), "rb") as f:
			found[name] = f.read()
	return found


def rows(data):
	return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def add_texts(case):
	"""Addresses in every kind of text a record can hold, and raw bytes."""
	db = sqlite3.connect(os.path.join(case, "evidence.db"))
	n = db.execute("SELECT max(seq) FROM record").fetchone()[0]
	for i, (kind, detail) in enumerate((
	    ("listed", {"source": "lsd", "witness": "[fd77:9::9]:6771",
	    "named": 1, "named_root": "0" * 64}),
	    ("listed", {"source": "magnet", "witness":
	    "magnet:?tr=http%3A%2F%2F10.77.9.9%3A80%2Fa", "named": 1,
	    "named_root": "0" * 64}),
	    ("announce", {"tracker": "http://10.77.9.8/a", "outcome": "error",
	    "sent_utc_ns": synthetic.START, "error":
	    "connect to 10.77.9.8 port 80: refused"}))):
		db.execute("INSERT INTO record SELECT ?, max(utc_ns) + 1, "
		    "max(mono_ns), ?, ?, NULL, '10.77.9.7', 80, ?, NULL, ? FROM "
		    "record", (n + 1 + i, kind, synthetic.A, json.dumps(detail,
		    separators=(",", ":")), "%032x" % i))
		if kind == "listed":
			db.execute("INSERT INTO named VALUES (?, 0, ?, 5, ?)",
			    (n + 1 + i, "10.77.9.%d" % i, "%032x" % i))
	db.execute("INSERT INTO raw VALUES (0, ?)", (b"10.77.1.1",))
	db.commit()
	db.close()


def addresses(case):
	"""All that any text of the ledger has."""
	db = sqlite3.connect(os.path.join(case, "evidence.db"))
	text = "\n".join(str(v) for sql in ("SELECT * FROM record",
	    "SELECT * FROM named") for row in db.execute(sql) for v in row)
	db.close()
	return set(ADDRESS.findall(text))


def traces(data, ip):
	"""The forms in which bytes have an address: text, hex and packed, each
	forwards and backwards."""
	a = ipaddress.ip_address(ip)
	texts = {str(a), a.exploded, str(a)[::-1], a.reverse_pointer}
	if a.version == 4:
		texts.add(".".join(str(a).split(".")[::-1]))
	forms = {a.packed, a.packed[::-1]}
	texts |= {p.hex() for p in forms}
	low = data.lower()
	found = [f for f in forms if f in data]
	for t in texts:
		i = low.find(t.encode())
		while i >= 0:	# by itself: 1.2.3.4 is in 11.2.3.45
			around = low[i - 1:i] + low[i + len(t):i + len(t) + 1]
			if a.version == 6 or not any(
			    c in b"0123456789." for c in around):
				found.append(t)
				break
			i = low.find(t.encode(), i + 1)
	return found


def clean(folder, real, what):
	"""No file's bytes nor its name has a trace of a real address."""
	out = files(folder)
	found = {(name, ip, str(t)) for name, data in out.items()
	    for ip in real for t in traces(name.encode() + b"\0" + data, ip)}
	tap.claim(out and len(real) > 1 and not found, what + ": no trace of "
	    "%d addresses, in no form, in any of %d files" % (len(real),
	    len(out)), sorted(found)[:5])
	return out


def digest(case):
	with open(os.path.join(case, "evidence.db"), "rb") as f:
		return hashlib.sha256(f.read()).hexdigest()


def compare(case, what):
	before, real = digest(case), addresses(case)
	report(case, "-o", at("plain"))
	r = report("--pseudonymise", at("key"), "--case-uco", case, "-o",
	    at("out"))
	out, plain = files(at("out")), files(at("plain"))
	tap.equal(r.returncode, 0, what + ": a report is made")
	clean(at("out"), real, what)
	tap.claim(not ADDRESS.search(b"".join(out.values()).decode()), what +
	    ": nor any other of their networks")
	for name in ("endpoint.csv", "contact.csv", "piece_check.csv",
	    "sighting.csv"):
		a, b = rows(plain[name]), rows(out[name])
		key = lambda r: sorted(r.items())	# noqa: E731
		drop = ("witness", "peer_id")
		for r in a:
			r["ip"] = pseudonym(r["ip"])
		same = sorted(({k: v for k, v in r.items() if k not in drop}
		    for r in a), key=key) == sorted(({k: v
		    for k, v in r.items() if k not in drop} for r in b),
		    key=key)
		tap.claim(same, what + ": %s is the same but for addresses, "
		    "which are openssl's" % name, (a[:1], b[:1]))
	tap.equal(len({r["peer_id"] for r in rows(out["contact.csv"])}),
	    len({r["peer_id"] for r in rows(plain["contact.csv"])}), what +
	    ": as many peer ids, all of them others")
	tap.claim(not {r["peer_id"] for r in rows(out["contact.csv"])} &
	    {r["peer_id"] for r in rows(plain["contact.csv"])} - {""},
	    what + ": none the same")
	tap.claim(all(b"Pseudonyms." in data for name, data in out.items()
	    if name.endswith(".html")), what + ": every page says so")
	tap.claim(json.loads(out["report.json"])["pseudonyms"] is True and
	    not [n for n in out if n.startswith("certificate")], what +
	    ": so does the JSON, and there are no certificates to swear to")
	tap.equal(json.loads(out["report.json"])["cases"][0]
	    ["evidence_sha256"], before, what + ": the digest is the case's")
	report("--pseudonymise", at("key"), case, "--case-uco", "-o",
	    at("again"))
	tap.claim(files(at("again")) == out, what + ": again, the same bytes")
	tap.equal((digest(case), os.listdir(at("tmp"))), (before, []), what +
	    ": the case is as it was, and nothing is left behind")
	csv_of = report("--csv", "endpoint", case, "--pseudonymise", at("key"))
	tap.claim(csv_of.stdout.encode() == out["endpoint.csv"].replace(
	    b"\r\n", b"\n"), what + ": --csv gives the same to standard output")


def records_of_one(case, ips, what):
	"""--ip: the findings of the real address, under its pseudonym."""
	real = addresses(case)
	for ip in ips:
		out, plain = at("one"), at("one.plain")
		r = report("--pseudonymise", at("key"), case, "--ip", ip, "-o",
		    out)
		p = report(case, "--ip", ip, "-o", plain)
		made = clean(out, real, "%s --ip %s" % (what, ip))
		a, b = (json.loads(files(f)["address.json"])
		    for f in (plain, out))
		keys = ("infohash", "utc_day", "port", "level", "first_utc",
		    "pieces_matched", "pieces_failed", "claimed_client")
		tap.claim(r.returncode == p.returncode == 0 and
		    b["ip"] == pseudonym(ip) and b["pseudonyms"] is True and
		    [[f[k] for k in keys] for c in a["cases"]
		    for f in c["findings"]] == [[f[k] for k in keys]
		    for c in b["cases"] for f in c["findings"]] and
		    ip not in r.stderr + r.stdout and not [n for n in made
		    if n.startswith("certificate")], "%s --ip %s: the same "
		    "findings, under its pseudonym, and nothing to swear to" %
		    (what, ip), r.stderr)


def places(case):
	"""--geo: what the databases say of the real addresses, and no more."""
	name = at("10.77.1.1.mmdb")
	with open(name, "wb") as f:
		f.write(lab_mmdb.build({"10.77.1.0/31": {"country": "DE",
		    "asn": 64512, "org": "Net of 10.77.1.1"}, "10.77.1.2/31":
		    {"country": "FR", "asn": 64513, "org": "Autre"},
		    "fd77::/16": {"country": "NL", "asn": 64514, "org":
		    "fd77:1::4 and others"}}))
	report(case, "--geo", name, "-o", at("geo.plain"))
	report("--pseudonymise", at("key"), case, "--geo", name, "-o",
	    at("geo"))
	out = clean(at("geo"), addresses(case), "--geo")
	def told(folder, change):
		doc = json.loads(files(folder)["report.json"])
		return sorted((change(e["ip"]), e["country"], e["asn"])
		    for s in doc["cases"][0]["swarms"] for e in s["endpoints"]
		    if e["country"])
	tap.claim(told(at("geo"), str) == told(at("geo.plain"), pseudonym) and
	    len(told(at("geo"), str)) > 3, "--geo: countries and networks are "
	    "those of the real addresses")
	tap.claim(all(b"they narrow them down" in data for n, data in
	    out.items() if n.endswith(".html")), "--geo: every page says what "
	    "that gives away")
	report("--pseudonymise", at("key"), case, "--geo", name, "--ip",
	    "10.77.1.1", "-o", at("geo.one"))
	one = clean(at("geo.one"), addresses(case), "--geo --ip")
	net, = json.loads(one["address.json"])["networks"]
	tap.claim((net["country"], net["asn"], net["prefix"],
	    net["accuracy_radius_km"]) == ("DE", 64512, None, None),
	    "--geo --ip: not how large a block it lies in", net)


def copies():
	"""--reference: compared as ever; names with addresses replaced."""
	data = synthetic.copied(at("copied"), "10.77.1.1 film.mkv")
	with open(at("10.77.1.1.copy"), "wb") as f:
		f.write(data)
	for more in ((), ("--ip", "10.77.1.1")):
		r = report("--pseudonymise", at("key"), at("copied"),
		    "--reference", "10.77.1.1 film.mkv=" + at("10.77.1.1.copy"),
		    *more, "-o", at("ref"))
		out = clean(at("ref"), addresses(at("copied")), "--reference " +
		    " ".join(more))
		got = rows(out.get("reference-received.csv", b""))
		tap.claim(r.returncode == 0 and [(g["ip"], g["verdict"],
		    g["file"]) for g in got] == [(pseudonym("10.77.1.1"),
		    "agrees", pseudonym("10.77.1.1") + " film.mkv")] and
		    len(rows(out["reference.csv"])) == 1,
		    "--reference %s: what it delivered agrees with the copy" %
		    " ".join(more), (got, r.stderr))


def faults(case):
	made = report("--pseudonymise", at("new"), case, "-o", at("o1"))
	tap.equal((made.returncode, os.stat(at("new")).st_mode & 0o777,
	    os.stat(at("new")).st_size), (0, 0o600, 32),
	    "a key is made where there is none")
	tap.claim(files(at("o1"))["endpoint.csv"] != files(at("out"))
	    ["endpoint.csv"], "another key, other pseudonyms")
	with open(at("short"), "wb") as f:
		f.write(KEY[:31])
	os.chmod(at("short"), 0o600)
	with open(at("open"), "wb") as f:
		f.write(KEY)
	os.chmod(at("open"), 0o644)
	for status, words, args in (
	    (1, "32 bytes", ("--pseudonymise", at("short"))),
	    (1, "0600", ("--pseudonymise", at("open"))),
	    (1, "not a file", ("--pseudonymise", tmp)),
	    (1, "--ip 10.77.200.1: no case", ("--pseudonymise", at("key"),
	    "--ip", "10.77.200.1"))):
		r = report(case, "-o", at("o2"), *args, status=status)
		tap.claim(r.returncode == status and words in r.stderr and
		    not os.path.exists(at("o2")), "refused: " + words,
		    r.stderr)
	for args in (("--csv", "nothing", case), ("--csv", "swarm", case,
	    case), ("--csv", "swarm", case, "-o", at("o3"))):
		tap.claim(report(*args, status=2).returncode == 2 and
		    not os.path.exists(at("o3")), "refused: " +
		    " ".join(args[:2]))


def main():
	with open(at("key"), "wb") as f:
		f.write(KEY)
	os.chmod(at("key"), 0o600)
	synthetic.story(at("10.77.1.1-story"))
	add_texts(at("10.77.1.1-story"))
	synthetic.imported(at("imported"))
	compare(at("10.77.1.1-story"), "live")
	faults(at("10.77.1.1-story"))
	compare(at("imported"), "imported")
	records_of_one(at("10.77.1.1-story"), ("10.77.1.1", "fd77:1::4",
	    "10.77.1.3"), "live")
	records_of_one(at("imported"), ("10.77.3.1",), "imported")
	places(at("10.77.1.1-story"))
	copies()
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
