"""Both verifiers on a case: the page of Python that was written from the
format's text, and the program's own."""
import os
import shutil
import subprocess
import sys

from lab import PROGRAM, ROOT

PAGE = [sys.executable, os.path.join(ROOT, "tests/verify_case.py")]
# A folder where cases that do not hold are kept, to be looked into.
KEEP = os.environ.get("KEEP_BAD_CASES")


def keep(case):
	for i in range(1000 if KEEP else 0):
		to = os.path.join(KEEP, "bad-%d-%d" % (os.getpid(), i))
		if not os.path.exists(to):
			shutil.copytree(case, to)
			print("# kept in " + to, flush=True)
			return


def holds(tap, case, what="the case", *options, said="", expected=0,
    program=PROGRAM):
	"""Both find that it holds, or end with the status expected; and print
	what is to be said. If not, all that they say is shown."""
	sound = True
	for name, command in (("verify_case.py", PAGE), ("swarmwitness verify",
	    [program, "verify"])):
		r = subprocess.run([*command, *options, case],
		    capture_output=True, text=True, timeout=600)
		if tap.claim(r.returncode == expected and said in r.stdout,
		    "%s: %s: %s%s" % (what, name, "exit %d" % expected
		    if expected else "holds", said and ', and says "%s"' %
		    said), "exit %d" % r.returncode):
			continue
		sound = False
		for line in (r.stdout + r.stderr).splitlines():
			print("# " + line, flush=True)
	if not sound:
		keep(case)
