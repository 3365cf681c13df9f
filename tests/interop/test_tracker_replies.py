#!/usr/bin/env python3
"""Trackers whose replies are hostile: intervals that make no sense, replies as
large as they may be, refusals that say when to come back, or never.

All clocks of the monitor are moved on together (movedclock.py), through more
than a day. None of them is asked sooner than a minute after it named peers, or
15 s after it did not; each is asked again within a day. When each was asked
comes from the monitor's own clock, how often from the trackers.
"""
import os
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from built import RELEASE		# noqa: E402
from caseview import Case		# noqa: E402
from holding import holds		# noqa: E402
from lab import as_root			# noqa: E402
from movedclock import Clock, S		# noqa: E402
from processes import memory_kb		# noqa: E402
from tap import Tap			# noqa: E402
from trackers import (Http, Seen, Udp,	# noqa: E402
    after_connect, compact, enter_namespace, reply, torrent)
from watching import Watch		# noqa: E402

MINUTE, USUAL, DAY = 60, 1800, 86400	# least waits, of monitor/tier.h
BACKOFF = 15
# Moved on by: so far nobody but who failed; a minute; half an hour; a day.
STEPS = ((45, BACKOFF), (30, MINUTE), (USUAL, USUAL), (DAY, DAY))
SLACK = 600		# what the test itself may take
CPU_S = 10		# all replies read, 160,000 endpoints named
MEMORY_KB = 256 * 1024
CROWD = compact([("11.%d.%d.%d" % (i >> 16 & 255, i >> 8 & 255, i & 255),
    6881) for i in range(100000)])
CROWD6 = b"".join(struct.pack(">QQH", 0x20010000 << 32, i, 6881)
    for i in range(50000))
tap = Tap()


def said(interval=b"", least=b"", peers=b"5:peers0:"):
	return b"d" + (b"8:interval" + interval if interval else b"") + (
	    b"12:min interval" + least if least else b"") + peers + b"e"


def refused(retry=b"", words=b"no"):
	return b"d14:failure reason%d:%s%se" % (len(words), words,
	    b"8:retry in" + retry if retry else b"")


def once(body, then):
	"""What is large comes once: the case need not hold it for each day."""
	left = [body]

	def answer(s, path):
		b = left.pop() if path.startswith("/announce") and left else \
		    then
		s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
		    b"Connection: close\r\n\r\n" % len(b) + b)
	return answer


SOON = said(b"i1e")
# name: (what it answers, outcome, least wait after it)
HTTP = {
	"zero": (said(b"i0e"), "ok", USUAL),
	"one": (said(b"i1e"), "ok", MINUTE),
	"negative": (said(b"i-1e"), "ok", USUAL),
	"31 bits": (said(b"i2147483648e"), "ok", DAY),
	"63 bits": (said(b"i9223372036854775807e"), "ok", DAY),
	"64 bits": (said(b"i9223372036854775808e"), "malformed", BACKOFF),
	"fraction": (said(b"i1.5e"), "malformed", BACKOFF),
	"text": (said(b"2:60"), "ok", USUAL),
	"missing": (said(), "ok", USUAL),
	"least zero": (said(b"i1e", b"i0e"), "ok", MINUTE),
	"least negative": (said(b"i1e", b"i-9e"), "ok", MINUTE),
	"least huge": (said(b"i1e", b"i9223372036854775807e"), "ok", DAY),
	"least alone": (said(b"", b"i1e"), "ok", MINUTE),
	"crowd": (once(reply(interval=1, peers=CROWD), SOON), "ok", MINUTE),
	"crowd6": (once(reply(interval=1, peers=b"", peers6=CROWD6), SOON),
	    "ok", MINUTE),
	"too many": (reply(peers=CROWD + CROWD), "malformed", BACKOFF),
	"id": (reply(interval=1, **{"tracker id": b"\xff" * 1000000}), "ok",
	    MINUTE),
	"long id": (reply(interval=1, **{"tracker id": b"\xff" * 512}), "ok",
	    MINUTE),
	"refuses": (refused(), "failure", BACKOFF),
	"at once": (refused(b"i0e"), "failure", BACKOFF),
	"backwards": (refused(b"i-30e"), "failure", BACKOFF),
	"half an hour": (refused(b"i30e"), "failure", USUAL),
	"for ever": (refused(b"i9223372036854775807e"), "failure", DAY),
	"never": (refused(b"5:never"), "failure", DAY),
	"words": (once(refused(words=b"\1" * 1000000), refused()), "failure",
	    BACKOFF),
	"warning": (once(reply(interval=1, **{"warning message":
	    b"\1" * 1000000}), SOON), "ok", MINUTE),
}


def told(interval, peers=b""):
	return after_connect(lambda m, b, send: send(b[8:16] + struct.pack(
	    ">III", interval, 0, 0) + peers))


UDP = {
	"udp zero": (told(0), "ok", USUAL),
	"udp one": (told(1), "ok", MINUTE),
	"udp 31 bits": (told(1 << 31), "ok", DAY),
	"udp 32 bits": (told((1 << 32) - 1), "ok", DAY),
	"udp crowd": (told(1, CROWD[:60000]), "ok", MINUTE),
	"udp words": (after_connect(lambda m, b, send: send(b"\0\0\0\3" +
	    b[12:16] + b"\1" * 60000)), "failure", BACKOFF),
}
ALL = {**HTTP, **UDP}


def cpu_s(pid):
	with open("/proc/%d/stat" % pid) as f:
		row = f.read().rpartition(")")[2].split()
	return (int(row[11]) + int(row[12])) / os.sysconf("SC_CLK_TCK")


def asked(case, url):
	"""The announces that are over, but the one that says farewell."""
	return [r for r in case.records("announce")
	    if r.d["tracker"] == url and r.d["event"] != "stopped"]


class Run:
	def __init__(self, folder):
		self.trackers = {name: Http(answer)
		    for name, (answer, _, _) in HTTP.items()}
		self.trackers.update({name: Udp(answer)
		    for name, (answer, _, _) in UDP.items()})
		self.path = os.path.join(folder, "case")
		file, _ = torrent(folder, "replies", [[t.url]
		    for t in self.trackers.values()])
		self.clock = Clock(folder)
		self.watch = Watch(subprocess.Popen([RELEASE, "monitor",
		    "--no-packets", "--no-dht", "--allow-local", "--dial-rate",
		    "1", "--key", os.path.join(folder, "key"), "--duration",
		    "7d", self.path, file], env=self.clock.env,
		    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
		    text=True), self.path)
		self.pid, self.most_kb = self.watch.monitor.pid, 0

	def times(self, case):
		self.most_kb = max(self.most_kb, memory_kb(self.pid))
		urls = [r.d["tracker"] for r in case.records("announce")]
		return {name: urls.count(t.url)
		    for name, t in self.trackers.items()}

	def go(self):
		"""Through all the moves; after each those are asked again
		whose time has come."""
		waits = {name: wait for name, (_, _, wait) in ALL.items()}
		want = dict.fromkeys(ALL, 1)
		self.watch.until("answers of all", lambda case:
		    min(self.times(case).values()) >= 1)
		self.cpu = cpu_s(self.pid)
		for seconds, longest in ((0, 0),) + STEPS:
			# Scrapes and the like end before time is moved.
			time.sleep(3)
			self.clock.move_on(seconds)
			want = {name: n + (waits[name] <= longest)
			    for name, n in want.items()}
			self.watch.until("those whose wait is %d s" % longest,
			    lambda case: (t := self.times(case)) and
			    all(t[n] >= want[n] for n in t))


def check(case, run):
	tap.claim(run.cpu < CPU_S, "processor time of all these replies: "
	    "%.1f s" % run.cpu)
	tap.claim(run.most_kb < MEMORY_KB, "memory: %d MiB at most" %
	    (run.most_kb >> 10))
	tap.equal(run.watch.late, [], "everyone was asked again, within a day")
	for name, (_, outcome, wait) in ALL.items():
		t = run.trackers[name]
		found = asked(case, t.url)
		# What a move of the clocks cut short says so.
		tap.equal({r.d["outcome"] for r in found
		    if not r.d["stalled"]}, {outcome}, "%s: %s" %
		    (name, outcome))
		gaps = [(b.d["sent_utc_ns"] - a.utc_ns) / S
		    for a, b in zip(found, found[1:])]
		tap.claim(gaps and min(gaps) >= wait - 0.5 and
		    gaps[0] <= DAY + USUAL + SLACK, "%s: asked again, not "
		    "sooner than after %d s" % (name, wait), gaps)
	for name, n in (("crowd", 100000), ("crowd6", 50000),
	    ("udp crowd", 10000), ("too many", 0)):
		s = Seen(case, run.trackers[name].url)
		tap.equal(len(s.listed and case.named(s.listed[0].seq)), n,
		    "%s: %d are on record" % (name, n))
	tap.equal({name: max(len(q) for q in run.trackers[name].requests) < 3000
	    for name in ("id", "long id")}, {"id": True, "long id": True},
	    "no request grows long of a tracker id")
	tap.equal([b"trackerid=%FF" in run.trackers[name].requests[-1]
	    for name in ("id", "long id")], [False, True],
	    "one of 512 bytes is given back, one of a million not")
	for name, key in (("words", "failure"), ("warning", "warning")):
		s = Seen(case, run.trackers[name].url)
		tap.equal(s.listed[0].d[key], "\1" * 1000000,
		    "%s: all of them are on record" % name)


def main():
	as_root()
	with tempfile.TemporaryDirectory(prefix="sw-replies-") as folder:
		enter_namespace()
		run = Run(folder)
		run.go()
		run.watch.end_well(tap)
		holds(tap, run.path)
		tap.each((check,), Case(run.path, 3), run)
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
