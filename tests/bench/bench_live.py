#!/usr/bin/env python3
"""What `capture --interface` loses of an exchange of 100 MB/s between two
network namespaces, segments of 1448 bytes (no segmentation by the card), with
and without --dissect. BENCH_MBPS, BENCH_S choose another rate and time.
"""
import ctypes
import fcntl
import json
import os
import sqlite3
import struct
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/interop"))

from lab import PROGRAM, Lab, as_root		# noqa: E402

RATE = float(os.environ.get("BENCH_MBPS", 100)) * 1e6
SECONDS = float(os.environ.get("BENCH_S", 6))
ETHTOOL, OFFLOADS = 0x8946, (0x1f, 0x24, 0x2c)	# TSO, GSO, GRO


def plain(host):
	"""No packet longer than the wire has them."""
	with host.socket() as s:
		for command in OFFLOADS:
			off = ctypes.create_string_buffer(struct.pack("II",
			    command, 0))
			fcntl.ioctl(s, ETHTOOL, struct.pack("16sQ16x",
			    b"eth0", ctypes.addressof(off)))


def swallow(listener, got):
	c, _ = listener.accept()
	with c:
		while data := c.recv(1 << 20):
			got.append(len(data))


def exchange(a, b):
	"""(bytes, seconds) from a to b."""
	got, block = [], os.urandom(1 << 18)
	listener, s = b.socket(), a.socket()
	listener.bind((b.address, 6881))
	listener.listen(1)
	reader = threading.Thread(target=swallow, args=(listener, got))
	reader.start()
	s.connect((b.address, 6881))
	began, sent = time.monotonic(), 0
	while (passed := time.monotonic() - began) < SECONDS:
		if sent > RATE * passed:
			time.sleep(0.0005)
			continue
		s.sendall(block)
		sent += len(block)
	s.close()
	reader.join()
	listener.close()
	return sum(got), time.monotonic() - began


def captured(lab, b, name, *options):
	case = os.path.join(lab.folder, name)
	p = b.run([PROGRAM, "capture", "--interface", "eth0", "--key",
	    os.path.join(lab.folder, "key"), *options, case],
	    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
	for line in p.stderr:
		if "recording" in line:
			break
	rest = threading.Thread(target=p.stderr.read)
	rest.start()
	sent, took = exchange(lab.hosts["a"], b)
	time.sleep(1)
	p.terminate()
	p.wait(120)
	rest.join()
	db = sqlite3.connect(os.path.join(case, "evidence.db"))
	kept = [json.loads(d) for d, in db.execute("SELECT detail FROM record "
	    "WHERE kind = 'packets'")]
	db.close()
	print("%s: %.0f MB in %.1f s, %.0f MB/s; %d packets in %d savefiles; "
	    "dropped by the kernel %d, by the interface %d; exit %d" %
	    (" ".join(["capture"] + list(options)), sent / 1e6, took,
	    sent / 1e6 / took, sum(k["packets"] for k in kept), len(kept),
	    sum(k["dropped_kernel"] for k in kept),
	    sum(k["dropped_interface"] for k in kept), p.returncode))
	return p.returncode


def main():
	as_root()
	with Lab() as lab:
		a, b = lab.host("a", 1), lab.host("b", 2)
		plain(a)
		plain(b)
		return captured(lab, b, "kept") or \
		    captured(lab, b, "read", "--dissect")


if __name__ == "__main__":
	sys.exit(main())
