#!/usr/bin/env python3
"""docs/method.md's commands, as they stand, on a made-up case: each succeeds
and shows something."""
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import synthetic		# noqa: E402
from built import ROOT, SANITIZED as PROGRAM	# noqa: E402
from tap import Tap		# noqa: E402

# Blocks that print nothing on this case, which has no decoys.
QUIET = ("ask() {", "decoy_source", "sha256sum -c --quiet")
MARK = "-- block %d --"
tap = Tap()


def main():
	with open(os.path.join(ROOT, "docs/method.md"),
	    encoding="utf-8") as f:
		text = f.read()
	blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
	tap.claim(len(blocks) > 20, "the page has commands", len(blocks))
	script = "".join("%s\necho '%s'\n" % (b, MARK % i)
	    for i, b in enumerate(blocks))
	with tempfile.TemporaryDirectory(prefix="test_method.") as folder:
		synthetic.story(os.path.join(folder, "case"))
		os.symlink(os.path.join(ROOT, "tests"),
		    os.path.join(folder, "tests"))
		r = subprocess.run(["bash", "-e", "-o", "pipefail", "-c",
		    script], cwd=folder, capture_output=True, text=True,
		    timeout=300, env=dict(os.environ, PATH=os.path.dirname(
		    PROGRAM) + ":" + os.environ["PATH"]))
	tap.claim(r.returncode == 0, "every command succeeds as written",
	    r.stdout[-500:] + r.stderr[-1500:])
	left = r.stdout
	for i, block in enumerate(blocks):
		said, mark, left = left.partition((MARK % i) + "\n")
		if not any(q in block for q in QUIET):
			tap.claim(mark and said.strip(), "shows something: " +
			    block.split("\n")[0][:60])
	rows = re.findall(r"^\*\*(\d+)\. ", text, re.M)
	tap.equal([int(n) for n in rows], list(range(1, 24)),
	    "every criticism has its row, in order")
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
