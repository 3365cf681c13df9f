#!/usr/bin/env python3
"""What stands against a case that is cut back or rewritten: a checkpoint seen
earlier, the key's log of runs, tokens; and what `verify --from` leaves out.
Cases of several runs, one key."""
import base64
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from built import SANITIZED as PROGRAM	# noqa: E402
from caseview import tampering		# noqa: E402
from holding import PAGE, holds		# noqa: E402
from tap import Tap			# noqa: E402
from tsa_lab import Authority, Server	# noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
import verify_case			# noqa: E402

LINK = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a"
tap = Tap()


class Work:
	def __init__(self, folder):
		self.folder = folder
		self.key, self.log = self.at("key"), self.at("key.runs")
		self.tsa = Authority(self.at("tsa"))
		self.server = Server(self.tsa.reply)

	def at(self, name):
		return os.path.join(self.folder, name)

	def run(self, case):
		r = subprocess.run([PROGRAM, "monitor", "--allow-local",
		    "--no-packets", "--no-dht", "--bind", "127.0.0.1",
		    "--listen", "0", "--key", self.key, "--duration", "1",
		    "--tsa", self.server.url, case, LINK],
		    capture_output=True, text=True, timeout=120)
		if r.returncode:
			print(r.stderr[-2000:])
		return r

	def copy(self, case):
		copy = self.at("copy")
		shutil.rmtree(copy, ignore_errors=True)
		shutil.copytree(case, copy)
		return copy

	def keep(self, case, name):
		shutil.copy(os.path.join(case, "checkpoint.txt"), self.at(name))
		return self.at(name)


def verify(case, *options):
	return subprocess.run([PROGRAM, "verify", *options, case],
	    capture_output=True, text=True, timeout=120)


def page(case, *options):
	return subprocess.run([*PAGE, *options, case], capture_output=True,
	    text=True, timeout=120)


def both(case, expected, what, *options, said=""):
	holds(tap, case, what, *options, said=said, expected=expected,
	    program=PROGRAM)


def edit(case, *statements):
	with tampering(case) as db:
		for sql, values in statements:
			db.execute(sql, values)


def cut(case, size):
	"""Back to a checkpoint that it once had: anybody can."""
	edit(case, *[("DELETE FROM %s WHERE seq >= ?" % t, (size,)) for t in
	    ("record", "raw", "named", "subject")],
	    ("DELETE FROM checkpoint WHERE size > ?", (size,)))
	db = sqlite3.connect(os.path.join(case, "evidence.db"))
	note, = db.execute("SELECT note FROM checkpoint WHERE size = ?",
	    (size,)).fetchone()
	db.close()
	with open(os.path.join(case, "checkpoint.txt"), "w",
	    encoding="utf-8") as f:
		f.write(note)
	os.remove(os.path.join(case, "derived.db"))


def rewrite(case, key, *statements):
	"""Another story, signed by the true key: who holds it can."""
	edit(case, *((sql, ()) for sql in statements))
	db = sqlite3.connect(os.path.join(case, "evidence.db"))
	tree, roots = verify_case.Tree(), {}
	for line, in db.execute("SELECT %s FROM record r ORDER BY seq" %
	    verify_case.LINE):
		tree.add(verify_case.leaf(line))
		roots[tree.size] = tree.root()
	note, vkey = db.execute("SELECT note, (SELECT json_extract(detail, "
	    "'$.vkey') FROM record WHERE kind = 'key') FROM checkpoint "
	    "ORDER BY size DESC").fetchone()
	sizes = [s for s, in db.execute("SELECT size FROM checkpoint")]
	db.close()
	k = verify_case.Key(vkey)
	for size in sizes:
		text = "%s\n%d\n%s\n" % (note.split("\n")[0], size,
		    base64.b64encode(roots[size]).decode())
		with open(case + ".signed", "w") as f:
			f.write(text)
		signature = subprocess.run(["openssl", "pkeyutl", "-sign",
		    "-inkey", key, "-rawin", "-in", case + ".signed"],
		    check=True, capture_output=True).stdout
		new = "%s\n\u2014 %s %s\n" % (text, k.name,
		    base64.b64encode(k.id + signature).decode())
		edit(case, ("UPDATE checkpoint SET root = ?, note = ? "
		    "WHERE size = ?", (roots[size].hex(), new, size)))
	with open(os.path.join(case, "checkpoint.txt"), "w",
	    encoding="utf-8") as f:
		f.write(new)
	os.remove(case + ".signed")
	os.remove(os.path.join(case, "derived.db"))


def size_of(file):
	with open(file, encoding="utf-8") as f:
		return int(f.read().split("\n")[1])


def grown(w, case, first, second):
	both(case, 0, "two runs, a checkpoint of the first", "--checkpoint",
	    first)
	both(case, 0, "and of the second", "--checkpoint", second)
	r = verify(case, "--checkpoint", first)
	tap.claim("this case extends it" in r.stdout, "verify: says that the "
	    "case extends it", r.stdout)
	r = verify(case, "--key-log", w.log, "--json")
	found = json.loads(r.stdout)
	tap.equal((r.returncode, found["runs"], found["runs_chained"],
	    found["key_log_runs"], found["key_log_runs_here"]),
	    (0, 3, 1, 4, 3), "verify --key-log: four runs of the key, three "
	    "of them here, two without another between")
	tap.equal((found["stamps"]["tokens"], found["extends_checkpoint"],
	    found["not_read"]), (6, None, 0), "verify --json: tokens")
	r = page(case)
	tap.claim("between: 1\n" in r.stdout and "6 tokens" in r.stdout,
	    "verify_case.py: counts the same", r.stdout)
	r = verify(case, "--tsa-ca", w.tsa.ca)
	tap.claim(r.returncode == 0 and "6 lead to the certificates" in
	    r.stdout, "verify --tsa-ca: every signer leads to the root", r)
	r = verify(case)
	tap.claim("signers not checked against any root" in r.stdout and
	    "the key's log was not given" in r.stdout and "had 1 more" in
	    r.stdout, "verify: says what it was not given", r.stdout)
	other = Authority(w.at("other"))
	r = verify(case, "--tsa-ca", other.ca)
	tap.claim(r.returncode == 1 and r.stdout.count("leads to no "
	    "certificate") == 6, "verify --tsa-ca: another root", r.stdout)


def changed(w, case, first, second, elsewhere):
	copy = w.copy(case)
	cut(copy, size_of(first))
	both(copy, 0, "cut back to its first run, it holds")
	both(copy, 1, "but not with the later checkpoint", "--checkpoint",
	    second, said="it was cut back")
	both(copy, 0, "with the earlier it does", "--checkpoint", first)
	r = verify(copy, "--key-log", w.log)
	tap.claim(r.returncode == 1 and r.stdout.count("holds nothing of it") ==
	    2, "verify --key-log: names both runs that are gone", r.stdout)
	copy = w.copy(case)
	rewrite(copy, w.key, "UPDATE record SET detail = replace(detail, "
	    "'\"no_packets\":true', '\"no_packets\":false') WHERE seq = 0")
	both(copy, 1, "rewritten by whoever holds the key, tokens say no")
	both(copy, 1, "and a checkpoint seen earlier", "--checkpoint", first,
	    said="the case was rewritten")
	# The last stamp: nothing but the last checkpoint stands behind it.
	last = "(SELECT max(seq) FROM record WHERE kind = 'stamp')"
	for what, statements in (
	    ("the token of another checkpoint", (
		"UPDATE raw SET bytes = (SELECT bytes FROM raw WHERE seq = "
		"(SELECT min(seq) FROM record WHERE kind = 'stamp')) WHERE "
		"seq = " + last, "UPDATE record SET raw_sha256 = (SELECT "
		"raw_sha256 FROM record WHERE kind = 'stamp' ORDER BY seq) "
		"WHERE seq = " + last)),
	    ("another time than the token's", ("UPDATE record SET detail = "
		"json_set(detail, '$.gen_utc_ns', 1700000000000000000) WHERE "
		"seq = " + last,)),
	    ("another checkpoint", ("UPDATE record SET detail = "
		"json_set(detail, '$.size', (SELECT min(size) FROM "
		"checkpoint)) WHERE seq = " + last,))):
		copy = w.copy(case)
		rewrite(copy, w.key, *statements)
		both(copy, 1, "a stamp with %s, signed anew" % what)
		r = verify(copy)
		tap.claim(r.stdout.count("WRONG") == 1, "verify: and nothing "
		    "else is wrong", r.stdout)
	both(case, 1, "the checkpoint of another case", "--checkpoint",
	    elsewhere, said="of another case")
	with open(first, encoding="utf-8") as f:
		text = f.read()
	with open(w.at("turned"), "w", encoding="utf-8") as f:
		f.write(text[:-8] + ("A" if text[-8] != "A" else "B") +
		    text[-7:])
	both(case, 1, "a checkpoint whose signature was changed",
	    "--checkpoint", w.at("turned"))
	for file in w.at("none"), w.key:
		r = verify(case, "--checkpoint", file)
		tap.claim(r.returncode == 1 and r.stderr.count("\n") == 1 and
		    not r.stdout, "verify --checkpoint: %s: one line" %
		    os.path.basename(file), r)


def logs(w, case):
	with open(w.log) as f:
		lines = f.read().splitlines()
	def with_lines(new):
		with open(w.at("log"), "w") as f:
			f.write("".join(l + "\n" for l in new))
		return verify(case, "--key-log", w.at("log"))
	prev = verify_case.h(lines[-1].encode()).hex()
	n, _, case_id, _, _ = lines[0].split(" ")
	r = with_lines(lines + ["%d 2026-01-01T00:00:00Z %s %d %s" %
	    (len(lines) + 1, case_id, 10**6, prev)])
	tap.claim(r.returncode == 1 and "holds nothing of it" in r.stdout,
	    "verify --key-log: a run that the case does not hold", r.stdout)
	r = with_lines([lines[0], lines[2], lines[3]])
	tap.claim(r.returncode == 1 and "line 2 does not chain" in r.stdout,
	    "verify --key-log: a line taken out", r.stdout)
	r = with_lines(lines[:-1])
	tap.claim(r.returncode == 1 and "is not in the key's log" in r.stdout,
	    "verify --key-log: a run that is not in it", r.stdout)
	r = with_lines([])
	tap.equal(r.returncode, 1, "verify --key-log: an empty one")


def from_size(w, case, first):
	size = size_of(first)
	db = sqlite3.connect(os.path.join(case, "evidence.db"))
	records, = db.execute("SELECT count(*) FROM record").fetchone()
	db.close()
	for at in (1, size, records - 1, records):
		r = verify(case, "--from", str(at), "--json")
		found = json.loads(r.stdout or "{}")
		tap.claim(r.returncode == 0 and (found["not_read"],
		    found["records"]) == (at, records - at), "verify --from "
		    "%d: holds, and says so" % at, r.stdout[-600:] + r.stderr)
	r = verify(case, "--from", str(size))
	tap.claim("NOT READ: records 0 to %d" % (size - 1) in r.stdout,
	    "verify --from: says what was not read", r.stdout)
	r = verify(case, "--from", str(records + 1))
	tap.claim(r.returncode == 1 and r.stderr.count("\n") == 1,
	    "verify --from: more than there are: one line", r)
	copy = w.copy(case)
	edit(copy, ("UPDATE record SET utc_ns = utc_ns + 1 WHERE seq = ?",
	    (size + 2,)))
	r = verify(copy, "--from", str(size))
	tap.equal(r.returncode, 1, "verify --from: a change behind it is found")
	for sql in ("UPDATE record SET utc_ns = utc_ns + 1 WHERE seq = 2",
	    "UPDATE record SET utc_ns = utc_ns + 1 WHERE seq = 1"):
		copy = w.copy(case)
		edit(copy, (sql, ()))
		r = verify(copy, "--from", str(size))
		tap.equal(r.returncode, 1, "verify --from: so is one below, "
		    "where no full tile is")


def main():
	with tempfile.TemporaryDirectory(prefix="sw-history-") as folder:
		w = Work(folder)
		case, other = w.at("case"), w.at("second")
		ran = [w.run(case)]
		first = w.keep(case, "first")
		ran.append(w.run(case))
		second = w.keep(case, "second.txt")
		ran.append(w.run(other))
		elsewhere = w.keep(other, "elsewhere")
		ran.append(w.run(case))
		if not tap.equal([r.returncode for r in ran], [0] * 4,
		    "four runs, of two cases"):
			return tap.status()
		grown(w, case, first, second)
		changed(w, case, first, second, elsewhere)
		logs(w, case)
		from_size(w, case, first)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
