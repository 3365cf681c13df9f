#!/usr/bin/env python3
"""Time-stamps (RFC 3161) by a real authority, `openssl ts -reply`, over http
and https, among authorities that are away, slow, or lie: during a run, after
its end, and by `swarmwitness stamp`. Every token is held against its
checkpoint by `openssl ts -verify` too."""
import hashlib
import os
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import tsa_lab				# noqa: E402
from built import SANITIZED as PROGRAM	# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from tap import Tap			# noqa: E402
from tsa_lab import OTHER_POLICY, POLICY, Authority, Server	# noqa: E402

tap = Tap()


def other_nonce(query):
	"""The nonce is the INTEGER before the closing BOOLEAN."""
	return query[:-4] + bytes([query[-4] ^ 1]) + query[-3:]


def other_imprint(query):
	at = query.index(b"\x04\x20") + 2
	return query[:at] + hashlib.sha256(b"another").digest() + query[at + 32:]


def without_policy(query):
	"""Takes the OBJECT IDENTIFIER behind the imprint out."""
	at = query.index(b"\x04\x20") + 34
	size = 2 + query[at + 1]
	return query[:1] + bytes([query[1] - size]) + query[2:at] + \
	    query[at + size:]


def turned(answer):
	return answer[:-1] + bytes([answer[-1] ^ 1])


def run(*words, **options):
	return subprocess.run([PROGRAM, *words], capture_output=True,
	    text=True, timeout=300, **options)


def openssl_verifies(folder, authority, request, note, response):
	"""By the question, and by the checkpoint's note."""
	for name, data in (("tsq", request), ("note", note), ("tsr", response)):
		with open(os.path.join(folder, name), "wb") as f:
			f.write(data)
	said = [subprocess.run(["openssl", "ts", "-verify", *about, "-in",
	    "tsr", "-CAfile", authority.ca], cwd=folder, capture_output=True,
	    text=True) for about in (("-queryfile", "tsq"), ("-data", "note"))]
	return all(r.returncode == 0 and "Verification: OK" in r.stdout
	    for r in said)


def check_tokens(case, folder, authorities, what):
	"""authorities: URL -> Authority, of those that are good."""
	notes = dict(case.db.execute("SELECT size, note FROM checkpoint"))
	good = [r for r in case.records("stamp") if r.d["outcome"] == "ok"]
	bad = []
	for r in good:
		note = notes.get(r.d["size"], "").encode()
		if not (r.d["size"] <= r.seq and hashlib.sha256(note)
		    .hexdigest() == r.d["imprint"] and openssl_verifies(folder,
		    authorities[r.d["tsa"]], bytes.fromhex(r.d["request"]),
		    note, r.raw)):
			bad.append(r.d)
	tap.claim(good and not bad, "%s: openssl ts verifies all %d tokens, by "
	    "question and by checkpoint" % (what, len(good)), bad[:1])


def dead_port():
	s = socket.socket()
	s.bind(("127.0.0.1", 0))
	return s	# bound, not listening: refused


def during_a_run(folder, good, stranger):
	case_path = os.path.join(folder, "case")
	gone = dead_port()
	servers = {
	    "http": Server(good.reply),
	    "https": Server(good.reply, tls=good.tls()),
	    "stranger": Server(stranger.reply, tls=stranger.tls()),
	    "silent": Server(tsa_lab.silent),
	    "endless": Server(tsa_lab.endless),
	    "html": Server(lambda q: b"<html>Please log in</html>" * 400,
		kind="text/html"),
	    "garbage": Server(lambda q: b"\x30\x82\xff\xff" + os.urandom(99)),
	    "busy": Server(lambda q: b"later", status="503 Busy"),
	    "moved": Server(lambda q: b"", status="302 Found\r\nLocation: /x"),
	    "imprint": Server(lambda q: good.reply(other_imprint(q))),
	    "nonce": Server(lambda q: good.reply(other_nonce(q))),
	    "turned": Server(lambda q: turned(good.reply(q))),
	    "behind": Server(lambda q: good.reply(q) + b"\0"),
	}
	urls = {name: s.url for name, s in servers.items()}
	urls["gone"] = "http://127.0.0.1:%d/" % gone.getsockname()[1]
	peer = dead_port()
	r = run("monitor", "--allow-local", "--no-packets", "--no-dht", "--bind",
	    "127.0.0.1", "--listen", "0", "--key", os.path.join(folder, "key"),
	    "--duration", "9", "--stamp-every", "2",
	    *(w for u in urls.values() for w in ("--tsa", u)), case_path,
	    "magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&"
	    "x.pe=127.0.0.1:%d" % peer.getsockname()[1],
	    env=dict(os.environ, SSL_CERT_FILE=good.ca))
	tap.equal(r.returncode, 0, "the run is sound, whatever authorities do")
	if r.returncode:
		print(r.stderr[-3000:])
	case = Case(case_path, 1)
	stamps = {name: [s for s in case.records("stamp")
	    if s.d["tsa"] == url] for name, url in urls.items()}
	end, = case.records("end")
	dials = case.records("dial")
	for name in "http", "https":
		got = stamps[name]
		tap.equal({s.d["outcome"] for s in got}, {"ok"},
		    name + ": every question gets its token")
		tap.claim(len(got) >= 3 and got[0].d["size"] <= dials[0].seq and
		    got[0].d["sent_utc_ns"] <= dials[0].utc_ns,
		    name + ": asked before the first dial", got[0].d)
		tap.claim(got[-1].seq > end.seq and got[-1].d["size"] ==
		    end.seq + 1, name + ": the last one is about the end",
		    (got[-1].d["size"], end.seq))
		tap.equal([s.d["request"] for s in got],
		    [q.hex() for q in servers[name].queries],
		    name + ": the requests are on record as sent")
		tap.claim(all(b"content-type: application/timestamp-query" in
		    h.lower() for h in servers[name].requests),
		    name + ": and of their media type")
		tap.claim(all((s.d["policy"], s.d["accuracy_ns"],
		    s.d["signer"]) == (POLICY, 1500100000,
		    "CN=Test\\, TSA") and abs(s.d["gen_utc_ns"] - s.utc_ns) <
		    600e9 and s.ip == "127.0.0.1" for s in got),
		    name + ": time, policy, accuracy and signer are read",
		    got[0].d)
	der = tsa_lab.openssl("x509", "-in", good.at("tsa.crt"), "-outform",
	    "DER")
	tap.equal({s.d["signer_sha256"] for s in stamps["http"]},
	    {hashlib.sha256(der).hexdigest()}, "the signer's certificate")
	for name, outcome, error, raw in (
	    ("stranger", "error", "certificate", False),
	    ("endless", "malformed", "longer than 65536 bytes", True),
	    ("html", "malformed", "no time-stamp response", True),
	    ("garbage", "malformed", "no time-stamp response", True),
	    ("behind", "malformed", "no time-stamp response", True),
	    ("busy", "error", "HTTP status 503", True),
	    ("moved", "error", "HTTP status 302", False),
	    ("imprint", "mismatch", "its imprint is another", True),
	    ("nonce", "mismatch", "its nonce is another", True),
	    ("turned", "unsigned", "", True),
	    ("gone", "error", "onnect", False)):
		got = stamps[name]
		tap.claim(got and all(s.d["outcome"] == outcome and error in
		    s.d["error"] and (s.raw is not None) == raw for s in got),
		    "%s: %s, on record each time" % (name, outcome),
		    [s.d for s in got][:1])
		tap.claim(len(got) >= 3, name + ": and asked again", len(got))
	tap.equal(stranger_heard(servers), [], "a server whose certificate is "
	    "not trusted learns nothing")
	tap.claim(max(len(s.raw) for n in ("html", "endless")
	    for s in stamps[n]) == 4096, "of what is no answer 4096 bytes are "
	    "kept")
	silent = stamps["silent"]
	tap.claim(silent[0].seq > dials[0].seq and silent[0].d["outcome"] ==
	    "timeout" and len(silent) == 2, "one that never answers holds "
	    "nothing up, in the run or at its end", [s.d for s in silent])
	tap.equal(case.undocumented(), [], "every record is as the format says")
	check_tokens(case, folder, {urls["http"]: good, urls["https"]: good},
	    "the run")
	case.close()
	return case_path


def stranger_heard(servers):
	return servers["stranger"].queries


def by_command(folder, case_path, good, stranger):
	"""`stamp`: policies, one authority more, and a case that grows."""
	key = ("--key", os.path.join(folder, "key"))
	plain = Server(good.reply)
	lies = Server(lambda q: good.reply(without_policy(q)))
	narrow = Authority(os.path.join(folder, "narrow"), "1.2.9", "1.2.9.1")
	refuses = Server(narrow.reply)
	told = os.path.join(folder, "told")
	r = run("stamp", *key, "--tsa", plain.url, "--on-checkpoint", "cat >" +
	    told, case_path)
	with open(told) as f:
		tap.claim(f.read() in r.stdout, "stamp --on-checkpoint: the new "
		    "checkpoint is handed out", r)
	tap.claim(r.returncode == 0 and "evidence.db" in r.stdout and
	    r.stdout.startswith("swarmwitness/"), "stamp: a token, a new "
	    "checkpoint, exit 0", r)
	r = run("stamp", *key, "--tsa-policy", OTHER_POLICY, "--tsa",
	    plain.url, "--tsa", lies.url, "--tsa", refuses.url, case_path)
	tap.equal(r.returncode, 1, "stamp: exit 1 if one gave none")
	case = Case(case_path, 1)
	last = {s.d["tsa"]: s for s in case.records("stamp")}
	tap.equal([last[s.url].d["outcome"] for s in (plain, lies, refuses)],
	    ["ok", "mismatch", "refused"], "stamp: the policy asked for, "
	    "another, and a refusal")
	tap.equal((last[plain.url].d["policy"], last[lies.url].d["error"]),
	    (OTHER_POLICY, "its policy is another"), "stamp: and why")
	tap.claim(last[refuses.url].d["error"].startswith("status 2"),
	    "stamp: the refusal's status", last[refuses.url].d)
	check_tokens(case, folder, {u: good for u in {s.d["tsa"]
	    for s in case.records("stamp")}}, "after `stamp`")
	n, = case.db.execute("SELECT count(*) FROM record").fetchone()
	case.close()
	for what, words, said in (
	    ("a key that the case does not name", ("--key", os.path.join(folder,
		"new.key"), "--tsa", plain.url, case_path), "none of this"),
	    ("no case", (*key, "--tsa", plain.url, os.path.join(folder,
		"none")), "none")):
		r = run("stamp", *words)
		tap.claim(r.returncode == 1 and said in r.stderr and
		    r.stderr.count("\n") == 1, "stamp: %s: one line, exit 1" %
		    what, r)
	for what, words in (
	    ("no authority", (case_path,)),
	    ("no URL", ("--tsa", "authority", case_path)),
	    ("another scheme", ("--tsa", "ftp://127.0.0.1/", case_path)),
	    ("no OID", ("--tsa", plain.url, "--tsa-policy", "x", case_path))):
		r = run("stamp", *key, *words)
		tap.claim(r.returncode == 2 and r.stderr.count("\n") == 1,
		    "stamp: %s: one line, exit 2" % what, r)
	case = Case(case_path, 1)
	tap.equal(case.db.execute("SELECT count(*) FROM record").fetchone(),
	    (n,), "and none of that added a record")
	case.close()


def handed_out(folder):
	"""--on-checkpoint: its input, its surroundings, its failures."""
	seen, case_path = os.path.join(folder, "seen"), os.path.join(folder,
	    "out")
	command = "cat >>%s; ls -l /proc/self/fd >%s.fd; id -u >%s.id; " \
	    "grep -E 'Cap(Eff|Prm|Bnd)|NoNewPrivs' /proc/self/status " \
	    ">>%s.id" % (seen, seen, seen, seen)
	words = ("monitor", "--allow-local", "--no-packets", "--no-dht", "--bind",
	    "127.0.0.1", "--listen", "0", "--key", os.path.join(folder, "key"),
	    "--duration", "2")
	link = "c12fe1c06bba254a9dc9f519b335aa7c1367a88a"
	r = run(*words, "--on-checkpoint", command, case_path, link)
	tap.equal(r.returncode, 0, "--on-checkpoint: the run is sound")
	case = Case(case_path, 1)
	notes = [n for n, in case.db.execute("SELECT note FROM checkpoint "
	    "ORDER BY size")]
	said = case.records("published")
	tap.equal(case.undocumented(), [], "--on-checkpoint: the records are as "
	    "the format says")
	case.close()
	with open(seen, encoding="utf-8") as f:
		got = f.read()
	with open(os.path.join(case_path, "checkpoint.txt"),
	    encoding="utf-8") as f:
		newest = f.read()
	tap.claim(len(notes) >= 2 and got == "".join(notes) and
	    got.endswith(newest) and newest in r.stdout, "--on-checkpoint: "
	    "every kept checkpoint, byte for byte, the last one too",
	    (got, notes))
	tap.claim(said and all(s.d["outcome"] == "ok" and s.d["exit_status"] == 0
	    for s in said) and said[0].d["size"] == int(notes[0]
	    .split("\n")[1]), "--on-checkpoint: on record", said)
	with open(seen + ".fd") as f:
		fds = [l.split()[-3:] for l in f if "->" in l]
	tap.claim(all("evidence" not in fd[-1] and "socket" not in fd[-1]
	    for fd in fds) and len(fds) <= 5, "--on-checkpoint: none of "
	    "our descriptors", fds)
	with open(seen + ".id") as f:
		_, *status = f.read().split("\n")
	tap.claim("NoNewPrivs:\t1" in status and all(l.split()[1] == "0" * 16
	    for l in status if l.startswith("Cap") and "Bnd" not in l),
	    "--on-checkpoint: no privilege", status)
	failing = os.path.join(folder, "failing")
	r = run(*words, "--on-checkpoint", "exit 3", failing, link)
	case = Case(failing, 1)
	last = case.records("published")[-1]
	case.close()
	tap.claim(r.returncode == 0 and (last.d["outcome"],
	    last.d["exit_status"]) == ("failed", 3) and "--on-checkpoint" in
	    r.stderr, "--on-checkpoint: its failure, on record and in the log",
	    (last.d, r.stderr[-500:]))
	r = run(*words, "--on-checkpoint", "sleep 1000", case_path, link)
	case = Case(case_path, 1)
	tap.claim(r.returncode == 0 and case.records("end")[-1].seq <
	    case.db.execute("SELECT count(*) FROM record").fetchone()[0] and
	    "timeout" in r.stderr, "--on-checkpoint: one that hangs holds up "
	    "no record and is ended", r.stderr[-500:])
	case.close()
	holds(tap, case_path, program=PROGRAM)
	holds(tap, failing, program=PROGRAM)


def main():
	with tempfile.TemporaryDirectory(prefix="sw-stamp-") as folder:
		good = Authority(os.path.join(folder, "good"))
		stranger = Authority(os.path.join(folder, "stranger"))
		case_path = during_a_run(folder, good, stranger)
		holds(tap, case_path, program=PROGRAM)
		by_command(folder, case_path, good, stranger)
		holds(tap, case_path, program=PROGRAM)
		handed_out(folder)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
