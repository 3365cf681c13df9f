"""The part of verify_case.py that is about `index` records and erasures.
Written from docs/evidence-format.md alone."""
import hashlib
import ipaddress
import json
from bisect import bisect_left
from datetime import datetime, timedelta, timezone

DEPTH = 64
COMMON = frozenset("clock decoy end erased geo index key no_packets packets published "
    "run selftest stall stamp torrent".split())
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def h(*parts):
	return hashlib.sha256(b"".join(parts)).digest()


EMPTY = [bytes(32)]
for _ in range(DEPTH):
	EMPTY.append(h(b"\3", EMPTY[-1], EMPTY[-1]))


def day(utc_ns):
	return (EPOCH + timedelta(seconds=utc_ns // 10**9)).strftime("%Y-%m-%d")


def key_of(subject):
	return int.from_bytes(h(subject.encode())[:8], "big")


def subject_leaf(salt, subject, list_digest):
	return h(b"\2", salt, subject.encode(), b"\n", list_digest)


def share(leaves):
	"""What subjects of one key have in common."""
	return leaves[0] if len(leaves) == 1 else h(b"\4", *sorted(leaves))


def climb(node, key, depth, floor, siblings):
	"""From a node at depth up to floor; siblings: the lowest first."""
	for d, other in zip(range(depth, floor, -1), siblings):
		right = key >> (DEPTH - d) & 1
		node = h(b"\3", other, node) if right else h(b"\3", node, other)
	return node


def root_of(nodes, depth=0):
	"""nodes: sorted (key, depth, hash), none within another."""
	if not nodes:
		return EMPTY[DEPTH - depth]
	if len(nodes) == 1:
		key, at, node = nodes[0]
		return climb(node, key, at, depth, EMPTY[DEPTH - at:])
	if any(at <= depth for _, at, _ in (nodes[0], nodes[-1])):
		if depth == DEPTH:
			return share([n[2] for n in nodes])
		raise ValueError("a node of the tree lies within another")
	bit = 1 << (DEPTH - 1 - depth)
	middle = bisect_left(nodes, ((nodes[0][0] & -(2 * bit)) | bit,))
	return h(b"\3", root_of(nodes[:middle], depth + 1),
	    root_of(nodes[middle:], depth + 1))


def place(number):
	"""(key, depth) of a node by its number: 1 is the root."""
	if number < 1:
		raise ValueError("no node has the number %d" % number)
	depth = number.bit_length() - 1
	return (number << (DEPTH - depth)) & (2**DEPTH - 1), depth


def ip_of(text):
	"""The address of `ip:port`, as the ip column would have it."""
	try:
		ip, _, port = text.rpartition(":")
		if not port.isascii() or not port.isdigit():
			return None
		if ip.startswith("["):
			ip = ip[1:-1]
		ip = ipaddress.ip_address(ip)
		mapped = getattr(ip, "ipv4_mapped", None)
		return str(mapped or ip)
	except ValueError:
		return None


def owners(kind, conn, ip, d, ends, names):
	"""The addresses that a record belongs to."""
	found = {ip} | set(names)
	if conn is not None:
		found |= set(ends)
	elif isinstance(d.get("to"), str):
		found.add(ip_of(d["to"]))
	found.discard(None)
	return found


def ends_of(kind, ip, d):
	"""The far end of a conversation, by its opening record; of a flow both."""
	if kind == "flow":
		return {ip_of(d["initiator"]), ip_of(d["responder"])}
	return {ip}


class Index:
	"""Makes every index again; fed with all records in order."""

	def __init__(self, case):
		self.case = case
		self.to = 0
		self.lists = {}		# subject: [running digest, first?, last]
		self.conns = {}
		self.gone = {(seq, what, n): node for seq, what, n, node in
		    case.db.execute("SELECT seq, what, n, hash FROM gone")}
		self.unowned = {seq for seq, what, _ in self.gone
		    if what in ("record", "named")}
		self.tail = False
		self.packets = None	# file: what erasures left of it
		case.count.update(indexes=0, subjects=0, erased=0)

	def record(self, seq, utc_ns, kind, conn, ip, d, names):
		if kind == "index":
			self.check(seq, d)
		if conn == seq:
			self.conns[seq] = ends_of(kind, ip, d)
		self.tail = self.tail or ip is not None or bool(names)
		for owner in owners(kind, conn, ip, d, self.conns.get(conn, ()),
		    names):
			subject = "%s|%s" % (owner, day(utc_ns))
			entry = self.lists.get(subject)
			if entry is None:
				self.lists[subject] = [hashlib.sha256(
				    b"%d" % seq), [seq]]
			else:
				entry[0].update(b",%d" % seq)
				entry[1].append(seq)

	def check(self, seq, d):
		case = self.case
		where = "record %d (index): " % seq
		case.count["indexes"] += 1
		if d["from"] != self.to or d["to"] != seq:
			case.wrong(where + "does not follow the index before")
		nodes = []
		for subject, salt, seqs in case.db.execute("SELECT subject, "
		    "salt, seqs FROM subject WHERE seq=? ORDER BY subject",
		    (seq,)):
			entry = self.lists.pop(subject, None)
			digest = entry and entry[0].digest()
			if subject[-10:] not in d["days"]:
				case.wrong(where + "does not list the day of " +
				    subject)
			if seqs is not None:
				digest = h(seqs.encode())
				self.stated(where, subject, seqs, entry, d)
			elif entry is None:
				case.wrong(where + subject + " has no record")
				digest = h(b"")
			nodes.append((key_of(subject), DEPTH, subject_leaf(
			    bytes.fromhex(salt), subject, digest)))
		for subject in self.lists:
			case.wrong(where + "does not have " + subject)
		for (owner, what, n), node in self.gone.items():
			if owner == seq and what == "subject":
				nodes.append((*place(n), node))
		case.count["subjects"] += len(nodes)
		if d["subjects"] != len(nodes):
			case.wrong(where + "counts %d subjects; there are %d" %
			    (d["subjects"], len(nodes)))
		nodes.sort()
		if root_of(nodes).hex() != d["root"]:
			case.wrong(where + "its root is not that of records "
			    "%d to %d" % (d["from"], seq - 1))
		self.lists.clear()
		self.to = seq
		self.tail = False

	def stated(self, where, subject, seqs, entry, d):
		"""A list that is written down: some of it was erased."""
		have = set(entry[1]) if entry else set()
		stated = [int(s) for s in seqs.split(",")]
		if stated != sorted(set(stated)):
			self.case.wrong(where + "the list of %s does not rise" %
			    subject)
		lost = [s for s in stated if s not in have and not
		    (s in self.unowned and d["from"] <= s < d["to"])]
		if lost or not have <= set(stated):
			self.case.wrong(where + "the list of %s is not that of "
			    "its records" % subject)

	def end(self):
		case = self.case
		if self.tail:
			case.note("records from %d on are in no index" % self.to)
		self.erasures()
		if case.one("SELECT EXISTS (SELECT 1 FROM proof) OR EXISTS "
		    "(SELECT 1 FROM omitted)"):
			case.wrong("proof and omitted hold rows")
		if case.one("SELECT count(*) FROM subject s LEFT JOIN record r "
		    "ON r.seq=s.seq AND r.kind='index' WHERE r.seq IS NULL"):
			case.wrong("subjects of what is no index")
		if case.one("SELECT count(*) FROM subject WHERE path NOTNULL"):
			case.wrong("a path in subject is for excerpts")
		if case.one("SELECT count(*) FROM gone WHERE (hash IS NULL) <> "
		    "(what = 'raw')"):
			case.wrong("gone: a hash where there must be none, or none")

	def erasures(self):
		"""What is gone is what `erased` records name, and no more."""
		case = self.case
		said = {}
		for seq, detail in case.db.execute("SELECT seq, detail FROM "
		    "record WHERE kind='erased' ORDER BY seq"):
			d = json.loads(detail)
			said.update({(s, "record", 0): seq for s in d["records"]})
			said.update({(s, "raw", 0): seq for s in d["raws"]})
			said.update({(s, "named", n): seq for s, n in d["lines"]})
			said.update({(s, "subject", n): seq
			    for s, n in d["subjects"]})
		rows = {(seq, what, n): by for seq, what, n, by in
		    case.db.execute("SELECT seq, what, n, erased FROM gone")}
		for thing in sorted(said.keys() ^ rows.keys()):
			case.wrong("%s %d of record %d: gone, or said to be, "
			    "but not both" % (thing[1], thing[2], thing[0]))
		for thing in said.keys() & rows.keys():
			if said[thing] != rows[thing]:
				case.wrong("%s of record %d: another erasure "
				    "names it" % (thing[1], thing[0]))
		for what, sql in (
		    ("record", "SELECT g.seq FROM gone g JOIN record r ON "
		    "r.seq=g.seq WHERE g.what='record'"),
		    ("raw bytes", "SELECT g.seq FROM gone g JOIN raw r ON "
		    "r.seq=g.seq WHERE g.what IN ('record','raw')"),
		    ("named", "SELECT g.seq FROM gone g JOIN named n ON "
		    "n.seq=g.seq WHERE g.what='record' OR g.what='named' AND "
		    "g.n=n.n")):
			for (seq,) in case.db.execute(sql):
				case.wrong("record %d: its %s is said to be "
				    "erased, and is there" % (seq, what))

	def packets_now(self, file):
		"""(digest, bytes, digest before) since packets were erased."""
		if self.packets is None:
			self.packets = {}
			for (detail,) in self.case.db.execute("SELECT detail "
			    "FROM record WHERE kind='erased' ORDER BY seq"):
				for p in json.loads(detail)["packets"]:
					self.packets[p["file"]] = (p["sha256"],
					    p["bytes"], p["was"])
		return self.packets.get(file)
