"""What the tests run, and where it lies. SWARMWITNESS names another program."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# For what is measured, or has something preloaded: never the sanitized one.
RELEASE = os.path.join(ROOT, "build/release/swarmwitness")
PROGRAM = os.environ.get("SWARMWITNESS") or RELEASE
SANITIZED = os.environ.get("SWARMWITNESS") or \
    os.path.join(ROOT, "build/san/swarmwitness")
