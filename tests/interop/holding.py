"""Both verifiers on a case: the page of Python that was written from the
format's text, and the program's own."""
import os
import subprocess
import sys

from lab import PROGRAM, ROOT

PAGE = [sys.executable, os.path.join(ROOT, "tests/verify_case.py")]


def holds(tap, case, what="the case", *options, said="", expected=0,
    program=PROGRAM):
	"""Both find that it holds, or end with the status expected; and print
	what is to be said."""
	for name, command in (("verify_case.py", PAGE), ("swarmwitness verify",
	    [program, "verify"])):
		r = subprocess.run([*command, *options, case],
		    capture_output=True, text=True, timeout=600)
		tap.claim(r.returncode == expected and said in r.stdout,
		    "%s: %s: %s%s" % (what, name, "exit %d" % expected
		    if expected else "holds", said and ', and says "%s"' %
		    said), "%d %s %s" % (r.returncode, r.stdout[-900:],
		    r.stderr[-500:]))
