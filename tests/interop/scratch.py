"""A folder for what one test makes: it goes when the test ends."""
import atexit
import os
import shutil
import sys
import tempfile

tmp = tempfile.mkdtemp(prefix=os.path.splitext(os.path.basename(
    sys.argv[0]))[0] + ".")
atexit.register(shutil.rmtree, tmp, ignore_errors=True)


def at(*name):
	return os.path.join(tmp, *name)
