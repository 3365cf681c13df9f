#!/usr/bin/python3
"""Message Stream Encryption against real clients, on loopback: every offer,
dialling and dialled, and a v2 torrent whose hashes come with their proof.

What each client chooses is what was measured of it before
(libtorrent and aria2 take what is offered, plain where both are; Transmission
told to encrypt takes RC4 only).
"""
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from built import ROOT		# noqa: E402
from tap import Tap	# noqa: E402

LIBTORRENT = """
import sys, time
import libtorrent as lt
port, path, folder, dial = sys.argv[1:5]
s = lt.session({"listen_interfaces": "127.0.0.1:" + port,
    "enable_dht": False, "enable_lsd": False, "enable_upnp": False,
    "enable_natpmp": False, "enable_outgoing_utp": False,
    "enable_incoming_utp": False, "allowed_enc_level": 3, "prefer_rc4": False,
    "out_enc_policy": 0, "in_enc_policy": 1, "min_reconnect_time": 1,
    "allow_multiple_connections_per_ip": True, "alert_mask": 0})
h = s.add_torrent({"ti": lt.torrent_info(path), "save_path": folder})
end = time.time() + 600
while time.time() < end:
    time.sleep(0.3)
    if dial != "0" and h.status().is_seeding:
        h.connect_peer(("127.0.0.1", int(dial)))
"""
MAKE = """
import sys
import libtorrent as lt
folder, kind, out = sys.argv[1:4]
fs = lt.file_storage()
fs.add_file("data.bin", 1000000)
t = lt.create_torrent(fs, 65536, flags=getattr(lt.create_torrent, kind))
lt.set_piece_hashes(t, folder)
open(out, "wb").write(lt.bencode(t.generate()))
"""
tap = Tap()
started = []


def port():
	port.next += 1
	while True:
		with socket.socket() as s:
			try:
				s.bind(("127.0.0.1", port.next))
				return port.next
			except OSError:
				port.next += 1


port.next = 14000 + os.getpid() * 31 % 5000


def start(*command):
	p = subprocess.Popen(command, stdout=subprocess.DEVNULL,
	    stderr=subprocess.DEVNULL)
	started.append(p)
	return p


def stop(p):
	if p.poll() is None:
		p.send_signal(signal.SIGTERM)
		try:
			p.wait(5)
		except subprocess.TimeoutExpired:
			p.kill()
			p.wait()


def wait_for(number):
	"""Until something listens there."""
	end = time.time() + 90
	while time.time() < end:
		try:
			socket.create_connection(("127.0.0.1", number), 1).close()
			return
		except OSError:
			time.sleep(0.1)


def records(text):
	found = {}
	for line in text.splitlines():
		kind, _, detail = line.partition(" ")
		if detail.startswith("{"):
			found.setdefault(kind, []).append(json.loads(detail))
	return found


def talk(work, how, number, torrent, offer):
	done = subprocess.run([work + "/mse_talk", how, str(number),
	    "%s/%s.torrent" % (work, torrent), str(offer)],
	    capture_output=True, text=True, timeout=150)
	return records(done.stdout), done.stderr


def talk_well(work, how, number, torrent, offer, select):
	"""Again if nothing came: a client may still be checking what it has,
	and Transmission often drops an encrypted handshake."""
	end = time.time() + 60
	while True:
		found, errors = talk(work, how, number, torrent, offer)
		if not select or "piece" in found or time.time() > end:
			return found, errors
		time.sleep(0.5)


def judge(name, found, errors, offer, select, by="us"):
	veil = found.get("encrypted", [{}])[0]
	pieces = found.get("piece", [])
	good = veil.get("by") == by
	if select:
		good = good and veil.get("outcome") == "ok" and \
		    veil.get("select") == select and \
		    any(p["match"] for p in pieces) and \
		    found.get("handshake", [{}])[0].get("expected")
	else:
		good = good and not pieces and \
		    veil.get("outcome") == "closed before its end"
	tap.claim(good, "%s, offer %d: %s" % (name, offer, {0: "refused",
	    1: "plain", 2: "RC4"}[select]))
	if not good:
		print("# %s %s %s" % (veil, list(found), errors))


def build(work):
	objects = []
	for room in ("wire", "schema"):
		folder = ROOT + "/build/release/" + room
		objects += [folder + "/" + f for f in sorted(os.listdir(folder))
		    if f.endswith(".o")]
	# An archive: only what is called is linked.
	subprocess.run(["ar", "rcs", work + "/rooms.a"] + objects, check=True)
	libs = subprocess.run(["pkg-config", "--libs", "libcrypto", "sqlite3"],
	    capture_output=True, text=True, check=True).stdout.split()
	subprocess.run(["gcc", "-std=gnu11", "-O1", "-g", "-I.", "-D_GNU_SOURCE",
	    "-DOPENSSL_API_COMPAT=0x10100000L", "-Wall", "-Wextra", "-Werror",
	    "-o", work + "/mse_talk", "tests/interop/mse_talk.c",
	    work + "/rooms.a"] +
	    libs + ["-lm", "-lpthread"] + ["-lIPSec_MB"] *
	    (os.uname().machine == "x86_64"), cwd=ROOT, check=True)


def libtorrent(work):
	for kind in ("v1", "v2"):
		number = port()
		seed = start(sys.executable, "-c", LIBTORRENT, str(number),
		    "%s/%s.torrent" % (work, kind), work, "0")
		wait_for(number)
		for offer, select in ((1, 1), (2, 2), (3, 1)):
			found, errors = talk_well(work, "dial", number, kind,
			    offer, select)
			judge("libtorrent dialled, " + kind, found, errors,
			    offer, select)
			answers = [h for h in found.get("hashes", ())
			    if h["message"] == "hashes"]
			if kind == "v2":
				tap.claim(len(answers) == 1 and
				    answers[0]["verified"] is True,
				    "its hashes lead to the root")
		stop(seed)
	for offer, select in ((1, 1), (2, 2), (3, 1)):
		ours = port()
		seed = start(sys.executable, "-c", LIBTORRENT, str(port()),
		    work + "/v1.torrent", work, str(ours))
		found, errors = talk_well(work, "accept", ours, "v1", offer,
		    select)
		judge("libtorrent dials", found, errors, offer, select, "peer")
		stop(seed)


def aria2(work):
	number = port()
	seed = start("aria2c", "-q", "--interface=127.0.0.1",
	    "--bt-require-crypto=true", "--bt-min-crypto-level=plain",
	    "--seed-time=1", "--listen-port=%d" % number,
	    "--enable-dht=false", "--enable-dht6=false",
	    "--bt-enable-lpd=false", "--check-integrity=true", "-d", work,
	    work + "/v1.torrent")
	wait_for(number)
	for offer, select in ((1, 1), (2, 2), (3, 1)):
		found, errors = talk_well(work, "dial", number, "v1", offer,
		    select)
		judge("aria2 dialled", found, errors, offer, select)
	stop(seed)


def transmission(work):
	number, rpc = port(), port()
	os.makedirs(work + "/tr")
	with open(work + "/tr/settings.json", "w") as f:
		json.dump({"encryption": 2, "peer-port": number,
		    "bind-address-ipv4": "127.0.0.1",
		    "bind-address-ipv6": "::1", "dht-enabled": False,
		    "lpd-enabled": False, "pex-enabled": False,
		    "utp-enabled": False, "port-forwarding-enabled": False,
		    "rpc-port": rpc, "rpc-bind-address": "127.0.0.1",
		    "download-dir": work}, f)
	seed = start("transmission-daemon", "-f", "-g", work + "/tr")
	wait_for(rpc)
	subprocess.run(["transmission-remote", str(rpc), "-a",
	    work + "/v1.torrent"], capture_output=True)
	end = time.time() + 90
	while time.time() < end and "100%" not in subprocess.run(
	    ["transmission-remote", str(rpc), "-l"], capture_output=True,
	    text=True).stdout:
		time.sleep(0.3)
	for offer, select in ((1, 0), (2, 2), (3, 2)):
		found, errors = talk_well(work, "dial", number, "v1", offer,
		    select)
		judge("Transmission dialled", found, errors, offer, select)
	stop(seed)


def main():
	with tempfile.TemporaryDirectory(prefix="mse-") as work:
		with open(work + "/data.bin", "wb") as f:
			f.write(hashlib.shake_256(b"mse").digest(1000000))
		for kind in ("v1", "v2"):
			subprocess.run([sys.executable, "-c", MAKE, work,
			    kind + "_only", "%s/%s.torrent" % (work, kind)],
			    check=True)
		build(work)
		try:
			libtorrent(work)
			aria2(work)
			transmission(work)
		finally:
			for p in started:
				stop(p)
	sys.exit(tap.status())


main()
