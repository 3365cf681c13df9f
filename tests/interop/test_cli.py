#!/usr/bin/python3
"""The command line as people meet it: the table of commands, --help, misuse,
and a man page that says the same."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import PROGRAM, ROOT		# noqa: E402
from tap import Tap			# noqa: E402

MAN = os.path.join(ROOT, "docs/swarmwitness.1")
OPTION = r"(?<![\w-])--[a-z][a-z-]*"
tap = Tap()


def run(*args):
	return subprocess.run([PROGRAM, *args], capture_output=True, text=True,
	    timeout=30)


def man_page(table):
	"""The options it describes."""
	lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", MAN],
	    capture_output=True, text=True, timeout=30)
	tap.equal(lint.stdout, "", "mandoc finds nothing wrong with the man "
	    "page")
	p = subprocess.run(["mandoc", "-T", "ascii", "-O", "width=1000", MAN],
	    capture_output=True, text=True, timeout=30)
	man = re.sub(r".\x08", "", p.stdout)
	body = man.split("SYNOPSIS")[1].split("DESCRIPTION")[0]
	# mandoc keeps an option and its argument together with a no-break space
	synopsis = [" ".join(x.split())
	    for x in re.split(r"\bswarmwitness\b", body)[1:]]
	tap.equal(synopsis, ["%s %s" % row for row in table.items()],
	    "the man page's synopsis is the program's table")
	return set(re.findall(OPTION, man))


def helps(table):
	"""The options that --help tells."""
	helped = set()
	for name in table:
		p = run(name, "--help")
		tap.claim(p.returncode == 0 and p.stdout and not p.stderr,
		    name + " --help: on standard output, exit 0", p)
		helped |= set(re.findall(OPTION, p.stdout))
		p = run(name, "--no-such-option")
		tap.claim(p.returncode == 2 and p.stderr and not p.stdout,
		    name + " with an unknown option: exit 2, said on standard "
		    "error", p)
		p = run(name)
		tap.claim(p.returncode == 2 and p.stderr and not p.stdout,
		    name + " without operands: exit 2", p)
	return helped


def ranges():
	told = re.findall(r"(--[a-z-]+) +\S+ +.*?\b(\d+) to (\d+)\b",
	    run("monitor", "--help").stdout)
	tap.claim("--outstanding" in [option for option, _, _ in told],
	    "monitor --help tells the ranges of numbers", told)
	for option, low, high in told:
		for value in int(low) - 1, int(high) + 1:
			p = run("monitor", option, str(value), "case",
			    "x.torrent")
			tap.claim(p.returncode == 2 and option in p.stderr and
			    re.search(r"\b%s to %s\b" % (low, high), p.stderr),
			    "monitor %s %d: refused, with the range that "
			    "--help tells" % (option, value), p)


def misuse():
	tap.equal(run().returncode, 2, "no command: exit 2")
	tap.equal(run("conclude").returncode, 2, "an unknown command: exit 2")
	tap.claim(re.match(r"swarmwitness \d+\.\d+ \(\S+\)\n$",
	    run("--version").stdout), "--version says a version")
	with tempfile.TemporaryDirectory() as empty:
		out, case = (os.path.join(empty, x) for x in ("out", "case"))
		for what, p in (("verify", run("verify", empty)),
		    ("report", run("report", empty, "-o", out))):
			tap.claim(p.returncode == 1 and
			    p.stderr.count("\n") == 1 and empty in p.stderr,
			    what + " of what is no case: one line, exit 1", p)
		p = run("monitor", case, "/nonexistent.torrent")
		tap.claim(p.returncode == 1 and "/nonexistent.torrent" in
		    p.stderr and not os.path.exists(case), "monitor of no "
		    "torrent: one line that names it, exit 1, no case made", p)


def main():
	table = {name: " ".join(operands.split()) for name, operands in
	    re.findall(r"^  swarmwitness ([a-z]+) +(.*)\n      ",
	    run("--help").stdout, re.M)}
	tap.claim({"monitor", "report", "verify", "torrent"} <= set(table),
	    "--help lists the commands", table)
	tap.equal(helps(table) ^ man_page(table), {"--help"}, "every option is "
	    "in the man page, and none more")
	ranges()
	misuse()
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
