"""What /proc tells of processes."""
import os


def children(pid):
	"""The processes that its threads began; those of one that has just
	ended are left out."""
	found = []
	try:
		tasks = os.listdir("/proc/%d/task" % pid)
	except OSError:
		return found
	for task in tasks:
		try:
			with open("/proc/%d/task/%s/children" % (pid, task)) as f:
				found += map(int, f.read().split())
		except OSError:
			pass
	return found


def name(pid):
	with open("/proc/%d/comm" % pid) as f:
		return f.read().rstrip("\n")


def status(pid, task=None):
	"""{"VmRSS": "1234 kB", ...}, of a thread if task is one's number."""
	with open("/proc/%d/status" % pid if task is None else
	    "/proc/%d/task/%s/status" % (pid, task)) as f:
		return {k: v.strip() for k, v in
		    (line.split(":", 1) for line in f if ":" in line)}


def memory_kb(pid, what="VmRSS"):
	"""What it holds now, or (VmHWM) has held at most. ProcessLookupError:
	it has ended."""
	said = status(pid).get(what)
	if said is None:
		raise ProcessLookupError(pid)
	return int(said.split()[0])
