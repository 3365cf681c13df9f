#!/usr/bin/env python3
"""A clock that is set forward, set back by an hour, or gains, held against a
real NTP server (chronyd): steps are on record, and whatever prints a time says
how far it can be off, or that nobody knows."""
import csv
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import test_trackers			# noqa: E402
from built import RELEASE, ROOT		# noqa: E402
from caseview import Case		# noqa: E402
from holding import PAGE		# noqa: E402
from tap import Tap			# noqa: E402
from test_trackers import Ntp, Servers	# noqa: E402

DURATION_S = 22		# servers are asked again 15 s after they were
HOUR = 3600 * 10**9
tap = Tap()


class Once(Ntp):
	"""Answers its first question alone."""

	def __init__(self):
		super().__init__(lambda p: p if self.n <= 1 else None)


def start(folder, name, skew, *options):
	case = os.path.join(folder, name)
	peer = os.path.join(folder, name + ".txt")
	env = dict(os.environ, LD_PRELOAD=os.path.join(folder, "skew.so"),
	    **{k: str(v) for k, v in skew.items()})
	return case, subprocess.Popen([RELEASE, "monitor", "--allow-local",
	    "--no-packets", "--no-dht", "--bind", "127.0.0.1", "--listen", "0",
	    "--key", os.path.join(folder, name + ".key"), "--duration",
	    str(DURATION_S), *options, case,
	    "magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a&"
	    "x.pe=127.0.0.1:1"], env=env, stdout=subprocess.DEVNULL,
	    stderr=open(peer, "w"), text=True), peer


class Found:
	def __init__(self, folder, name, case):
		view = Case(case, 1)
		self.clock = [r.d for r in view.records("clock")]
		view.close()
		self.steps = [d["offset_ns"] for d in self.clock
		    if d["source"] == "step"]
		self.answers = [d for d in self.clock if d["source"] == "sntp"
		    and d["bound_ns"] is not None]
		self.text = self.verify(case)
		self.json = json.loads(self.verify(case, "--json"))
		out = os.path.join(folder, name + ".report")
		r = subprocess.run([RELEASE, "report", case, "-o", out],
		    capture_output=True, text=True, timeout=300)
		tap.equal(r.returncode, 0, name + ": a report")
		with open(os.path.join(out, "report.json")) as f:
			told = json.load(f)["cases"][0]
		self.run, = told["runs"]
		self.cautions = ["clock" in e["cautions"] for s in
		    told["swarms"] for e in s["endpoints"]]
		with open(os.path.join(out, "index.html")) as f:
			self.page = f.read()
		with open(os.path.join(out, "contact.csv"), newline="") as f:
			self.contacts = list(csv.DictReader(f))
		r = subprocess.run([*PAGE, case], capture_output=True,
		    text=True, timeout=300)
		tap.equal(r.returncode, 0, name + ": verify_case.py holds")

	def verify(self, case, *options):
		r = subprocess.run([RELEASE, "verify", *options, case],
		    capture_output=True, text=True, timeout=300)
		tap.equal(r.returncode, 0, "verify holds")
		return r.stdout

	def bound(self):
		"""The one bound, if all outputs give the same."""
		found = {self.json["bound_ns"], self.run["bound_ns"]} | {
		    int(c["bound_ns"]) if c["bound_ns"] else None
		    for c in self.contacts}
		return found.pop() if len(found) == 1 and self.contacts \
		    else found


def near(value, want, by=2 * 10**9):
	return isinstance(value, int) and abs(value - want) < by


def set_to(found, name, by):
	tap.claim(len(found.steps) == 1 and near(found.steps[0], by, 10**9),
	    name + ": the step is on record", found.steps)
	tap.claim(len(found.answers) >= 2 and abs(found.answers[0]
	    ["offset_ns"]) < 10**9 and near(found.answers[-1]["offset_ns"],
	    -by), name + ": the server is asked anew, and says the clock is "
	    "off", found.answers)
	tap.claim(near(found.bound(), abs(by)), name + ": verify, report.json "
	    "and CSV all say ± as much", found.bound())
	tap.claim(found.cautions and all(found.cautions), name + ": a caution "
	    "stands beside every endpoint", found.cautions)
	tap.claim("the clock was set 1 time" in found.text and
	    "the clock was set" in found.page, name + ": verify and report "
	    "say that the clock was set", found.text)


def main():
	test_trackers.as_root()
	with tempfile.TemporaryDirectory(prefix="sw-clock-") as folder, \
	    Servers(folder) as servers:
		os.chmod(folder, 0o755)
		test_trackers.enter_namespace()
		subprocess.run(["cc", "-O1", "-Wall", "-shared", "-fPIC", "-o",
		    os.path.join(folder, "skew.so"), os.path.join(ROOT,
		    "tests/interop/skewed_clock.c"), "-ldl"], check=True)
		chrony, once = servers.chrony(), Once()
		runs = {name: start(folder, name, skew, *options)
		    for name, skew, options in (
		    ("forward", {"SKEW_AT_MS": 5000, "SKEW_BY_MS": 30000},
			("--ntp", chrony)),
		    ("back", {"SKEW_AT_MS": 5000, "SKEW_BY_MS": -3600000},
			("--ntp", chrony)),
		    ("gains", {"SKEW_PPM": 50000}, ("--ntp", chrony)),
		    ("silent", {"SKEW_AT_MS": 5000, "SKEW_BY_MS": 7200000},
			("--ntp", once.name)),
		    ("alone", {"SKEW_AT_MS": 5000, "SKEW_BY_MS": 3600000},
			("--ntp", "127.0.0.1:1")),
		    ("true", {}, ("--ntp", chrony)))}
		found = {}
		for name, (case, p, log) in runs.items():
			p.wait(timeout=DURATION_S + 120)
			if not tap.equal(p.returncode, 0, name + ": the run "
			    "ends well"):
				with open(log) as f:
					print(f.read()[-2000:])
			found[name] = Found(folder, name, case)
			found[name].log = open(log).read()
	set_to(found["forward"], "set forward by 30 s", 30 * 10**9)
	set_to(found["back"], "set back by an hour", -HOUR)
	f = found["gains"]
	tap.claim(f.steps == [] and len(f.answers) >= 2 and
	    f.answers[-1]["offset_ns"] < f.answers[0]["offset_ns"] - 10**8 and
	    near(f.bound(), -f.answers[-1]["offset_ns"], 10**9) and
	    f.bound() >= -f.answers[-1]["offset_ns"], "a clock that gains "
	    "5 %: no step, and the bound grows with what the server says",
	    (f.steps, f.answers, f.bound()))
	f = found["silent"]
	tap.claim(len(f.steps) == 1 and len(f.answers) == 1 and
	    near(f.bound(), 2 * HOUR), "set, and no server answered since: "
	    "the bound is widened by the step", (f.steps, f.answers,
	    f.bound()))
	f, known = found["alone"], any(d["source"] == "kernel" and
	    d["bound_ns"] is not None for d in found["alone"].clock)
	tap.claim(len(f.steps) == 1, "no server at all: the step is on record",
	    f.steps)
	if not known:
		tap.claim(f.bound() is None and "no time source was ever "
		    "reached" in f.text and "± unknown" in f.text and
		    "no time source was ever reached" in f.page and
		    "clock: no time source reached" in f.log and
		    f.cautions and all(f.cautions), "and verify, "
		    "report, CSV and status say that no source was reached",
		    (f.bound(), f.text))
	f = found["true"]
	tap.claim(f.steps == [] and near(f.bound(), 0, 10**9) and
	    f.cautions and not any(f.cautions) and "clock +- " in f.log and "± " in f.text, "a clock that is left "
	    "alone: a small bound, in the status too", (f.bound(), f.log))
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
