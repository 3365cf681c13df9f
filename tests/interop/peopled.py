"""Cases in which many peers are named in every way that records know, made by
tests/unit/peopled.c, and whoever looks into one for an address."""
import ipaddress
import os
import sqlite3
import subprocess

from lab import PROGRAM, ROOT

PEOPLED = os.path.join(ROOT, "build/san/unit/peopled")


def build():
	return subprocess.run(["make", "-s", "-C", ROOT,
	    "build/san/unit/peopled"]).returncode


def make(case, key, peers, times, *cut):
	"""[(address, port)]"""
	out = subprocess.run([PEOPLED, case, key, str(peers), str(times), *cut],
	    stdout=subprocess.PIPE, text=True, check=True).stdout
	return [(ip, int(port)) for ip, port in map(str.split,
	    out.splitlines())]


def sw(*args):
	return subprocess.run([PROGRAM, *args], capture_output=True, text=True,
	    timeout=300)


def forms(ip, port):
	"""Every way to write an address, and how far they are to be looked for:
	whether four bytes or eight digits that hashes have by chance."""
	ip = ipaddress.ip_address(ip)
	packed, end = ip.packed, port.to_bytes(2, "big")
	sure = {str(ip), ip.exploded, str(ip).upper(), ip.exploded.upper(),
	    (packed + end).hex(), (packed + end).hex().upper()}
	sure = {s.encode() for s in sure} | {packed + end}
	short = {packed, packed.hex().encode(), packed.hex().upper().encode()}
	return (sure, short) if ip.version == 4 else (sure | short, set())


def texts(file):
	"""What a database says, hashes and salts left out."""
	db = sqlite3.connect("file:%s?mode=ro" % file, uri=True)
	db.text_factory = bytes
	said = [b"\n".join(x for x in row if isinstance(x, bytes)) for sql in
	    ("SELECT kind, swarm, ip, detail FROM record",
	    "SELECT bytes FROM raw", "SELECT ip FROM named",
	    "SELECT subject, seqs FROM subject", "SELECT why FROM omitted",
	    "SELECT name, value FROM meta") for row in db.execute(sql)]
	db.close()
	return b"\n".join(said)


def bare(data, ip):
	"""Whether a v4 text stands there by itself: 1.2.3.4 is in 11.2.3.45."""
	at = data.find(ip)
	while at >= 0:
		around = data[at - 1:at] + data[at + len(ip):at + len(ip) + 1]
		if not any(c in b"0123456789." for c in around):
			return True
		at = data.find(ip, at + 1)
	return False


def seen(folder, peers):
	"""The peers of whom any file in the folder has any trace."""
	found = set()
	for at, _, names in os.walk(folder):
		for name in names:
			file = os.path.join(at, name)
			with open(file, "rb") as f:
				data = f.read()
			plain = texts(file) if name == "evidence.db" else data
			for ip, port in peers:
				sure, short = forms(ip, port)
				if any(bare(data, s) if s == ip.encode() and
				    b"." in s else s in data for s in sure) or \
				    any(s in plain for s in short):
					found.add(ip)
	return found
