#!/usr/bin/env python3
"""A fresh case verified three ways, then tampered with.

docs/verify-by-hand.md's commands as written, tests/verify_case.py, and
`swarmwitness verify`: all must hold on what the monitor wrote, and both
programs must refuse every copy in which something was changed.
"""
import base64
import hashlib
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab as laboratory	# noqa: E402
import peopled			# noqa: E402
import test_swarm		# noqa: E402
from caseview import Case, edit	# noqa: E402
from holding import PAGE, holds		# noqa: E402
from tap import Tap		# noqa: E402
from tsa_lab import Authority, Server	# noqa: E402
from watching import LIMIT_S, Watch	# noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
import verify_case		# noqa: E402

ROOT = laboratory.ROOT
GUIDE = os.path.join(ROOT, "docs/verify-by-hand.md")
PROGRAM = [laboratory.PROGRAM, "verify"]
tap = test_swarm.tap = Tap()

A_RAW = "(SELECT max(r.seq) FROM raw r JOIN record USING (seq) " \
    "WHERE kind='handshake')"
MIDDLE = "(SELECT max(seq) / 2 FROM record)"
LAST = "(SELECT max(seq) FROM record)"
NAMED = "(seq, n) = (SELECT seq, n FROM named ORDER BY seq DESC, n DESC " \
    "LIMIT 1)"
# What is done to a copy: SQL on evidence.db, or a function of its folder.
TAMPER = {
	"a time moved by 1 ns": "UPDATE record SET utc_ns = utc_ns + 1 "
	    "WHERE seq = " + MIDDLE,
	"a monotonic time dropped": "UPDATE record SET mono_ns = NULL "
	    "WHERE seq = " + MIDDLE,
	"an address changed": "UPDATE record SET ip = '192.0.2.1' "
	    "WHERE seq = " + A_RAW,
	"a port changed": "UPDATE record SET port = port + 1 "
	    "WHERE seq = " + A_RAW,
	"a kind changed": "UPDATE record SET kind = 'message' "
	    "WHERE seq = " + A_RAW,
	"a detail changed": "UPDATE record SET detail = "
	    "replace(detail, 'true', 'false') WHERE seq = " + A_RAW,
	"a salt changed": "UPDATE record SET salt = "
	    "'00112233445566778899aabbccddeeff' WHERE seq = 0",
	"a record removed": "DELETE FROM record WHERE seq = " + A_RAW,
	"the last record removed": "DELETE FROM record WHERE seq = " + LAST,
	"a record appended": "INSERT INTO record SELECT seq + 1, utc_ns, "
	    "mono_ns, kind, swarm, conn, ip, port, detail, NULL, salt FROM "
	    "record WHERE seq = " + LAST,
	"a record put in its neighbour's place": "UPDATE record SET (utc_ns, detail) = "
	    "(SELECT utc_ns, detail FROM record WHERE seq = %s + 1) "
	    "WHERE seq = %s" % (MIDDLE, MIDDLE),
	"raw bytes changed": "UPDATE raw SET bytes = CAST(substr(bytes, 1, "
	    "length(bytes) - 1) || x'00' AS BLOB) WHERE seq = " + A_RAW,
	"raw bytes removed": "DELETE FROM raw WHERE seq = " + A_RAW,
	"raw bytes added": "INSERT INTO raw SELECT seq, x'00' FROM record "
	    "WHERE kind = 'end'",
	"a named endpoint changed": "UPDATE named SET port = port + 1 "
	    "WHERE " + NAMED,
	"a named endpoint removed": "DELETE FROM named "
	    "WHERE " + NAMED,
	"a named endpoint added": "INSERT INTO named SELECT seq, n + 1, "
	    "'192.0.2.1', 1, salt FROM named ORDER BY seq DESC, n DESC "
	    "LIMIT 1",
	"a checkpoint's root changed": "UPDATE checkpoint SET root = "
	    "'%064d'" % 0,
	"a checkpoint's note changed": "UPDATE checkpoint SET note = "
	    "replace(note, char(10) || size || char(10), "
	    "char(10) || (size - 1) || char(10))",
	"all checkpoints removed": "DELETE FROM checkpoint",
	"another case's id": "UPDATE meta SET value = '%032d' "
	    "WHERE name = 'case_id'" % 0,
	"a port that is 2^32 too large": "UPDATE record SET port = "
	    "port + 4294967296 WHERE seq = " + A_RAW,
	"a named port that is 2^32 too large": "UPDATE named SET port = "
	    "port + 4294967296 WHERE " + NAMED,
	"a subject's salt changed": "UPDATE subject SET salt = "
	    "'00112233445566778899aabbccddeeff'",
	"a subject removed": "DELETE FROM subject WHERE subject = "
	    "(SELECT max(subject) FROM subject)",
	"a subject added": "INSERT INTO subject SELECT seq, "
	    "'192.0.2.1|2026-01-01', salt, NULL, NULL FROM subject LIMIT 1",
	"a list put beside a subject": "UPDATE subject SET seqs = '1'",
	"something gone that nobody erased": "INSERT INTO gone VALUES (%s, "
	    "'record', 0, zeroblob(32), 0)" % MIDDLE,
	"a record gone that nobody erased": lambda c: gone(c),
	"a proof in a case": "INSERT INTO proof VALUES (1, NULL, zeroblob(32))",
	"an omission in a case": "INSERT INTO omitted VALUES (1, 'raw', 0, "
	    "NULL, 'why')",
	"another fact in meta": "INSERT INTO meta VALUES ('operator', 'B')",
	"a trigger dropped": lambda c: script(c,
	    "DROP TRIGGER record_update"),
	"a view added": lambda c: script(c, "CREATE VIEW listed AS "
	    "SELECT * FROM record WHERE kind = 'listed'"),
	"a view in a table's place": lambda c: script(c, "ALTER TABLE tile "
	    "RENAME TO kept; CREATE VIEW tile AS SELECT * FROM kept"),
	"a tile changed": "UPDATE tile SET hashes = "
	    "CAST(x'00' || substr(hashes, 2) AS BLOB)",
	"a tile removed": "DELETE FROM tile",
	"checkpoint.txt changed": lambda c: change(c, "checkpoint.txt", -4),
	"checkpoint.txt removed": lambda c: os.remove(
	    os.path.join(c, "checkpoint.txt")),
	"the torrent's copy changed": lambda c: change(c, torrent(c), 9),
	"one byte of a savefile changed": lambda c: change(c, savefile(c),
	    500),
	"a savefile cut": lambda c: os.truncate(
	    os.path.join(c, savefile(c)), 400),
	"a savefile removed": lambda c: os.remove(
	    os.path.join(c, savefile(c))),
}


def savefile(case):
	return os.path.join("packets", sorted(f for f in os.listdir(
	    os.path.join(case, "packets")) if not f.startswith("."))[0])


def torrent(case):
	return os.path.join("torrents",
	    os.listdir(os.path.join(case, "torrents"))[0])


def script(case, sql, file="evidence.db"):
	db = sqlite3.connect(os.path.join(case, file))
	db.executescript(sql)
	db.close()


def change(case, name, at):
	with open(os.path.join(case, name), "r+b") as f:
		f.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
		byte = f.read(1)
		f.seek(-1, os.SEEK_CUR)
		# stays base64 in a note
		f.write(b"B" if byte == b"A" else b"A")


def gone(case):
	"""A record taken out with its right leaf left, and no erasure."""
	line = "||','||".join("quote(%s)" % c for c in "seq utc_ns mono_ns kind "
	    "swarm conn ip port detail raw_sha256 salt".split())
	db = sqlite3.connect(os.path.join(case, "evidence.db"))
	seq, text = db.execute("SELECT seq, %s FROM record WHERE seq = %s" %
	    (line, MIDDLE)).fetchone()
	db.close()
	edit(case, "INSERT INTO gone VALUES (%d, 'record', 0, x'%s', 0)" % (seq,
	    hashlib.sha256(b"\0" + text.encode()).hexdigest()))
	for table in "record", "raw", "named":
		edit(case, "DELETE FROM %s WHERE seq = %d" % (table, seq))


def run(command, case, *options):
	return subprocess.run(command + list(options) + [case],
	    capture_output=True, text=True, timeout=120)


def make_case(folder, authority):
	case = os.path.join(folder, "case")
	with laboratory.Lab() as lab:
		lab.swarm(only=("lt-seed", "lt-partial"))
		tsa = Server(authority.reply, sock=lab.probe.socket(),
		    address=lab.probe.address)
		watch = Watch(lab.monitor(case, "--sample", "all", "--tsa",
		    tsa.url, duration=LIMIT_S, key=os.path.join(folder, "key")),
		    case, lab.content.pieces)
		# Not interested any more: all that it claims was checked.
		watch.until("end of two samples", lambda case: len({r.ip
		    for r in case.records("not_interested", by="us")}) == 2)
		_, err = watch.end()
		if watch.monitor.returncode != 0:
			print(err[-2000:])
	return case, lab.content


def by_hand(folder):
	case = os.path.join(folder, "case")
	db = sqlite3.connect("file:%s/evidence.db?mode=ro" % case, uri=True)
	ip, = db.execute("SELECT ip FROM record WHERE kind = 'piece'").fetchone()
	db.close()
	subprocess.run([laboratory.PROGRAM, "excerpt", "--ip", ip, case,
	    os.path.join(folder, "excerpt")], capture_output=True, timeout=120)
	with open(GUIDE, encoding="utf-8") as f:
		commands = "".join(re.findall(r"```sh\n(.*?)```", f.read(),
		    re.S))
	r = subprocess.run(["bash", "-e", "-o", "pipefail", "-c", commands],
	    cwd=folder, capture_output=True, text=True, timeout=120)
	tap.claim(r.returncode == 0, "docs/verify-by-hand.md: every command "
	    "succeeds as written", r.stdout[-800:] + r.stderr[-800:])
	for said in ("Signature Verified Successfully", ".pcap: OK",
	    "the handshake is in the packets", "the record is in the tree",
	    "the list is the one committed to", "Verification: OK",
	    "subject=CN = \"Test, TSA\""):
		tap.claim(said in r.stdout, "docs/verify-by-hand.md: " + said,
		    r.stdout[-800:])


def check(case, expected, what, *options):
	holds(tap, case, what, *options, expected=expected)


def tamper(case, folder):
	copy = os.path.join(folder, "copy")
	db = sqlite3.connect("file:%s/evidence.db?mode=ro" % case, uri=True)
	has_tile = db.execute("SELECT count(*) FROM tile").fetchone()[0]
	db.close()
	for what, how in TAMPER.items():
		if "tile" in what and not has_tile:
			tap.claim(False, "a case large enough for " + what)
			continue
		shutil.copytree(case, copy)
		if callable(how):
			how(copy)
		elif not edit(copy, how):
			tap.claim(False, "something to tamper with: " + what)
		check(copy, 1, what)
		shutil.rmtree(copy)


def excerpt(case, folder):
	"""With real packets: every stream of the excerpt is as recorded, and
	nobody else is in it."""
	out = os.path.join(folder, "excerpt2")
	db = sqlite3.connect("file:%s/evidence.db?mode=ro" % case, uri=True)
	peers = db.execute("SELECT DISTINCT ip, port FROM record WHERE conn = seq"
	    ).fetchall()
	ip, = db.execute("SELECT ip FROM record WHERE kind = 'piece' AND "
	    "ip NOT GLOB '*:*'").fetchone()
	db.close()
	r = subprocess.run([laboratory.PROGRAM, "excerpt", "--ip", ip, case, out],
	    capture_output=True, text=True, timeout=120)
	tap.equal(r.returncode, 0, "an excerpt of %s" % ip)
	check(out, 0, "the excerpt holds")
	for command in PAGE, PROGRAM:
		said = re.search(r"packets: (\d+) of (\d+) directions",
		    run(command, out).stdout)
		tap.claim(said and said[1] == said[2] != "0", "all its streams "
		    "are in its packets (%s)" % command[-1], said)
	tap.equal(peopled.seen(out, [p for p in peers if p[0] != ip]), set(),
	    "and no other peer is in it")
	file = os.path.join(out, "packets/excerpt.pcap")
	with open(file, "r+b") as f:
		data = f.read()
		at = data.rindex(b"BitTorrent protocol")
		f.seek(at)
		f.write(b"b")
	check(out, 1, "a byte of the excerpt's packets changed")


def erased(case, folder):
	"""With real packets: no byte of the folder has the address, and what is
	left is proved as before."""
	copy, out = os.path.join(folder, "copy"), os.path.join(folder, "other")
	shutil.copytree(case, copy)
	db = sqlite3.connect("file:%s/evidence.db?mode=ro" % case, uri=True)
	(ip, port), (other, _) = db.execute("SELECT ip, max(port) FROM record "
	    "WHERE kind = 'piece' GROUP BY ip ORDER BY ip LIMIT 2").fetchall()
	db.close()
	r = subprocess.run([laboratory.PROGRAM, "erase", "--ip", ip, "--ground",
	    "a test", "--key", os.path.join(folder, "key"), copy],
	    capture_output=True, text=True, timeout=120)
	tap.claim(r.returncode == 0, "%s is erased" % ip, r.stderr)
	check(copy, 0, "the case without it")
	tap.equal(peopled.seen(copy, [(ip, port)]), set(),
	    "nothing is left of it, in packets neither")
	r = subprocess.run([laboratory.PROGRAM, "excerpt", "--ip", other, copy,
	    out], capture_output=True, text=True, timeout=120)
	said = re.search(r"packets: (\d+) of (\d+) directions",
	    run(PROGRAM, out).stdout)
	tap.claim(said and said[1] == said[2] != "0", "the streams of %s are "
	    "whole still" % other, said)
	check(out, 0, "and its excerpt holds")
	said = run(PROGRAM, copy).stdout
	same = re.search(r"(\d+) of (\d+) conversations? says? the same", said)
	tap.claim(same and int(same[1]) > 0 and "records were erased" in said,
	    "the packets that are left are read again, and it is said that some "
	    "are gone", said)
	change(copy, savefile(copy), 500)
	check(copy, 1, "a byte of what was left of a savefile changed")
	shutil.rmtree(copy)


def derived(case, folder):
	"""derived.db is no evidence, but reports believe it."""
	copy = os.path.join(folder, "copy")
	for what, sql in (
	    ("a level raised", "UPDATE endpoint SET level = 5"),
	    ("a contact removed", "DELETE FROM contact WHERE conn = "
		"(SELECT max(conn) FROM contact)"),
	    ("a view in a table's place", "ALTER TABLE sighting RENAME TO s; "
		"CREATE VIEW sighting AS SELECT * FROM s")):
		shutil.copytree(case, copy)
		script(copy, sql, "derived.db")
		r = run(PROGRAM, copy)
		tap.claim(r.returncode == 1 and "derived.db" in r.stdout,
		    "swarmwitness verify: derived.db: " + what, r)
		os.remove(os.path.join(copy, "derived.db"))
		r = run(PROGRAM, copy)
		tap.claim(r.returncode == 0, "and without the file it holds",
		    r)
		shutil.rmtree(copy)


def forge_stamp(case, seq, d, heads, roots):
	"""No authority would sign this: the forger says that none answered."""
	imprint = verify_case.h(heads[d["size"]].encode()).hex()
	d["request"] = d["request"].replace(d["imprint"], imprint)
	d.update(imprint=imprint, root=roots[d["size"]].hex(),
	    outcome="timeout", error="gone")
	for name in ("gen_utc_ns", "accuracy_ns", "serial", "policy", "signer",
	    "signer_sha256"):
		d[name] = None
	edit(case, "UPDATE record SET raw_sha256 = NULL, detail = '%s' WHERE "
	    "seq = %d" % (json.dumps(d, separators=(",", ":")), seq))
	edit(case, "DELETE FROM raw WHERE seq = %d" % seq)


def forge(case):
	"""A forger's best: another story, all recomputed, another key."""
	pem = os.path.join(case, "forger")
	subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out",
	    pem], check=True)
	public = subprocess.run(["openssl", "pkey", "-in", pem, "-pubout",
	    "-outform", "DER"], check=True, capture_output=True).stdout[-32:]
	data, name = b"\1" + public, "forger"
	id = verify_case.h(name.encode() + b"\n" + data)[:4]
	edit(case, "UPDATE record SET detail = replace(detail, "
	    "'\"match\":true', '\"match\":false')")
	edit(case, "UPDATE record SET detail = json_set(detail, '$.vkey', "
	    "'%s+%s+%s', '$.fingerprint', '%s') WHERE kind = 'key'" % (name,
	    id.hex(), base64.b64encode(data).decode(),
	    verify_case.h(public).hex()))
	db = sqlite3.connect(os.path.join(case, "evidence.db"))
	tree, tiles, roots, heads = verify_case.Tree(), {}, {}, {}
	origin = db.execute("SELECT note FROM checkpoint").fetchone()[0] \
	    .split("\n")[0]
	sizes = {size for size, in db.execute("SELECT size FROM checkpoint")}

	def done(level, n, root):
		if level % 8 == 0:
			tiles.setdefault((level // 8, n // 256), []).append(root)

	def sign(size):
		text = "%s\n%d\n%s\n" % (origin, size,
		    base64.b64encode(roots[size]).decode())
		signed = os.path.join(case, "signed")
		with open(signed, "w") as f:
			f.write(text)
		signature = subprocess.run(["openssl", "pkeyutl", "-sign",
		    "-inkey", pem, "-rawin", "-in", signed], check=True,
		    capture_output=True).stdout
		heads[size] = "%s\n\u2014 %s %s\n" % (text, name,
		    base64.b64encode(id + signature).decode())

	for seq, kind, detail in list(db.execute("SELECT seq, kind, detail "
	    "FROM record ORDER BY seq")):
		if kind == "stamp":
			forge_stamp(case, seq, json.loads(detail), heads, roots)
		line, = db.execute("SELECT %s FROM record r WHERE seq = ?" %
		    verify_case.LINE, (seq,)).fetchone()
		leaf = verify_case.leaf(line)
		done(0, tree.size, leaf)
		tree.add(leaf, done)
		roots[tree.size] = tree.root()
		if tree.size in sizes:
			sign(tree.size)
	db.close()
	for (level, n), hashes in tiles.items():
		if len(hashes) == 256:
			edit(case, "UPDATE tile SET hashes = x'%s' WHERE "
			    "level = %d AND n = %d" %
			    (b"".join(hashes).hex(), level, n))
	for size, note in heads.items():
		edit(case, "UPDATE checkpoint SET root = '%s', note = '%s' "
		    "WHERE size = %d" % (roots[size].hex(), note, size))
	with open(os.path.join(case, "checkpoint.txt"), "w") as f:
		f.write(heads[max(heads)])
	for name in "signed", "forger":
		os.remove(os.path.join(case, name))


def tables(case):
	"""All that the tables hold, or None if they cannot be read."""
	try:
		db = sqlite3.connect("file:%s/evidence.db?immutable=1" % case,
		    uri=True)
		return [list(db.execute("SELECT * FROM " + t)) for t in
		    ("record", "raw", "named", "tile", "checkpoint", "meta")]
	except sqlite3.Error:
		return None


def damage(case, folder, times=20):
	"""One bit of the file turned, anywhere: never unnoticed, no crash."""
	copy = os.path.join(folder, "copy")
	pick = random.Random(20240607)
	whole, bad, noticed = tables(case), [], 0
	shutil.copytree(case, copy)
	file = os.path.join(copy, "evidence.db")
	with open(file, "rb") as f:
		data = f.read()
	for _ in range(times):
		at, bit = pick.randrange(len(data)), 1 << pick.randrange(8)
		with open(file, "wb") as f:
			f.write(data[:at] + bytes([data[at] ^ bit]) +
			    data[at + 1:])
		same = tables(copy) == whole
		for command in PAGE, PROGRAM:
			r = run(command, copy)
			noticed += r.returncode != 0
			if r.returncode not in (0, 1, 2) or "Traceback" in \
			    r.stderr or r.returncode == 0 and not same:
				bad.append((at, bit, command[-1],
				    r.returncode, r.stderr[-300:]))
	shutil.rmtree(copy)
	tap.claim(noticed and not bad, "a bit of evidence.db turned, %d "
	    "times: what it changed is always noticed" % times, bad)


def main():
	laboratory.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-verify-") as folder:
		authority = Authority(os.path.join(folder, "authority"))
		shutil.copy(authority.ca, os.path.join(folder, "tsa-root.pem"))
		case, content = make_case(folder, authority)
		if not tap.claim(os.path.exists(os.path.join(case,
		    "evidence.db")), "the monitor made a case"):
			return tap.status()
		test_swarm.check_pieces(Case(case, content.pieces), content)
		by_hand(folder)
		db = sqlite3.connect("file:%s/evidence.db?mode=ro" % case,
		    uri=True)
		fingerprint, = db.execute("SELECT json_extract(detail, "
		    "'$.fingerprint') FROM record WHERE kind = 'key'"
		    ).fetchone()
		db.close()
		check(case, 0, "the case holds")
		check(case, 0, "by its key", "--key", fingerprint)
		check(case, 1, "by another key", "--key", "0" * 64)
		for command in PAGE, PROGRAM:
			r = run(command, os.path.join(folder, "none"))
			tap.claim(r.returncode in (1, 2) and
			    r.stderr.count("\n") == 1 and not r.stdout,
			    "%s: no case: one line on stderr" % command[-1],
			    r)
		tamper(case, folder)
		excerpt(case, folder)
		erased(case, folder)
		derived(case, folder)
		damage(case, folder)
		copy = os.path.join(folder, "forged")
		shutil.copytree(case, copy)
		forge(copy)
		for command in PAGE, PROGRAM + ["--no-replay"]:
			tap.equal(run(command, copy).returncode, 0, "%s: a whole "
			    "forgery under another key is whole" %
			    os.path.basename(command[-1]))
		tap.equal(run(PROGRAM, copy).returncode, 1, "but its packets "
		    "tell another story")
		r = run(PROGRAM, copy)
		tap.claim("0 tokens: nothing but the observer's word" in
		    r.stdout, "but has no time-stamp", r.stdout)
		check(copy, 1, "but not under ours", "--key", fingerprint)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
