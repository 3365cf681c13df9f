#!/usr/bin/env python3
"""The twin: a live run with real clients, then its packets read again.

Over TCP, uTP, IPv6 and encryption, dialled and dialling, both must say the
same, event by event. Then a ledger that says something else, and packets that
do, must be found out.
"""
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory		# noqa: E402
import test_transports			# noqa: E402
from caseview import edit		# noqa: E402
from holding import keep		# noqa: E402
from tap import Tap			# noqa: E402

tap = Tap()


def verify(path, *options):
	r = subprocess.run([laboratory.PROGRAM, "verify", "--json", *options,
	    path], capture_output=True, text=True)
	return json.loads(r.stdout), r.returncode


def ways(path):
	"""How the conversations of the case went."""
	db = sqlite3.connect("file:%s/evidence.db?mode=ro" % path, uri=True)
	try:
		return set(db.execute("SELECT kind, json_extract(detail, "
		    "'$.transport'), instr(ip, ':') > 0, EXISTS (SELECT 1 FROM "
		    "record e WHERE e.conn = r.seq AND e.kind = 'encrypted') "
		    "FROM record r WHERE kind IN ('dial', 'accept') AND EXISTS "
		    "(SELECT 1 FROM record p WHERE p.conn = r.seq AND "
		    "p.kind = 'piece' AND json_extract(p.detail, '$.match'))"))
	finally:
		db.close()


def altered(path, folder, what, *changes):
	"""A copy of the case in which a record says something else."""
	copy = os.path.join(folder, "altered")
	shutil.rmtree(copy, ignore_errors=True)
	shutil.copytree(path, copy)
	for change in changes:
		assert edit(copy, change) > 0, change
	found, status = verify(copy)
	replay = found["replay"]
	tap.claim(status == 1 and replay["missing"] + replay["extra"] +
	    replay["different"] + replay["answers_missing"] > 0,
	    what + ": the packets say otherwise", replay)
	return found


def twin(path):
	found, status = verify(path)
	sound = tap.equal((status, found["faults"]), (0, []), "the case holds")
	r = found["replay"]
	print("# %(conversations)d conversations, %(events)d events, "
	    "%(answers)d answers" % r)
	tap.claim(r["conversations"] >= 16 and r["events"] > 150 and
	    r["answers"] > 0, "conversations were held against each other", r)
	sound &= tap.equal((r["same"], r["unsupported"], r["missing"],
	    r["extra"], r["different"], r["answers_missing"]),
	    (r["conversations"], 0, 0, 0, 0, 0), "and say the same, without a "
	    "difference")
	if not sound:
		keep(path)
	found, _ = verify(path, "--no-replay")
	tap.equal(found["replay"], None, "--no-replay does without")
	seen = ways(path)
	for way in ((kind, transport, 0, veiled) for kind in ("dial", "accept")
	    for transport in ("tcp", "utp") for veiled in (0, 1)):
		tap.claim(way in seen, "%s over %s, %s" % (way[0], way[1],
		    "encrypted" if way[3] else "plain"), seen)
	tap.claim(any(way[2] for way in seen), "and IPv6", seen)


def tampered(path, folder):
	first = ("(SELECT min(seq) FROM record WHERE kind = '%s' AND "
	    "substr(detail, 1, 12) = '{\"by\":\"peer\"')")
	altered(path, folder, "another client's name", "UPDATE record SET "
	    "detail = json_set(detail, '$.client', 'Another') WHERE seq = " +
	    first % "extended")
	altered(path, folder, "a piece that did not match", "UPDATE record "
	    "SET detail = replace(detail, '\"match\":true', '\"match\":false') "
	    "WHERE seq = " + first % "piece")
	altered(path, folder, "a handshake's bytes", "UPDATE raw SET bytes = "
	    "zeroblob(68) WHERE seq = " + first % "handshake", "UPDATE record "
	    "SET raw_sha256 = '%064d' WHERE seq = " % 0 + first % "handshake")
	altered(path, folder, "a request that was not made", "UPDATE raw SET "
	    "bytes = CAST(bytes || bytes AS BLOB) WHERE seq = (SELECT min(seq) FROM record "
	    "WHERE kind = 'request')")
	altered(path, folder, "a tracker's reply", "UPDATE record SET "
	    "raw_sha256 = '%064d' WHERE seq = (SELECT min(seq) FROM record "
	    "WHERE kind = 'listed')" % 0)
	altered(path, folder, "more bytes than came", "UPDATE record SET "
	    "detail = json_set(detail, '$.rx_bytes', "
	    "json_extract(detail, '$.rx_bytes') + 100) WHERE seq = (SELECT "
	    "min(seq) FROM record WHERE kind = 'closed' AND "
	    "json_extract(detail, '$.rx_bytes') > 1000)")


def lost(path, folder):
	"""Packets that were dropped, and are said to have been."""
	copy = os.path.join(folder, "lossy")
	shutil.copytree(path, copy)
	edit(copy, "UPDATE record SET detail = replace(detail, "
	    "'\"dropped_kernel\":0', '\"dropped_kernel\":7') "
	    "WHERE kind = 'packets'")
	db = sqlite3.connect(os.path.join(copy, "evidence.db"))
	name, = db.execute("SELECT json_extract(detail, '$.file') FROM record "
	    "WHERE kind = 'packets'").fetchone()
	db.close()
	whole = os.path.join(copy, name)
	subprocess.run(["editcap", "-F", "nsecpcap", whole, whole + ".new",
	    "300-420"], check=True, stdout=subprocess.DEVNULL)
	os.rename(whole + ".new", whole)
	found, _ = verify(copy)
	r = found["replay"]
	tap.claim(r["unsupported"] > 0 and r["missing"] + r["extra"] +
	    r["different"] == 0 and any("no full support" in text for text in
	    found["remarks"]), "dropped packets: which conversations lack "
	    "support is said, and no more", (r, found["remarks"]))


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-twin-",
	    ignore_cleanup_errors=True) as folder:
		path = os.path.join(folder, "case")
		with laboratory.Lab() as lab:
			test_transports.observe(lab, path)
		twin(path)
		tampered(path, folder)
		lost(path, folder)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
