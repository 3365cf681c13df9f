"""Parts of verify_case.py: time-stamps, the chain of a key's runs, and a
checkpoint seen earlier. Written from docs/evidence-format.md alone."""
import calendar
import hashlib
import re
import time

LATE_S = 60		# a run is entered in the key's log so long before its record


def h(data):
	return hashlib.sha256(data).digest()


# --- as much of DER (X.690) as a token needs ----------------------------------

def der(data, at, tag=None):
	"""(tag, where the value begins, where it ends)"""
	if len(data) < at + 2:
		raise ValueError("DER: cut short")
	found, size, at = data[at], data[at + 1], at + 2
	if size == 0x80:
		raise ValueError("not DER: of indefinite length")
	if size > 0x80:
		n = size & 0x7f
		size, at = int.from_bytes(data[at:at + n], "big"), at + n
	if at + size > len(data) or tag not in (None, found):
		raise ValueError("DER: not what was due at %d" % at)
	return found, at, at + size


def members(data, begin, end):
	"""[(tag, begin, end)] of what a constructed value holds."""
	found = []
	while begin < end:
		found.append(der(data, begin))
		begin = found[-1][2]
	return found


def imprint_of(data, begin, end):
	"""MessageImprint: SHA-256's OID, and the digest."""
	alg, digest = members(data, begin, end)
	oid = members(data, alg[1], alg[2])[0]
	if data[oid[1]:oid[2]].hex() != "608648016503040201":
		raise ValueError("imprint is not of SHA-256")
	return data[digest[1]:digest[2]]


def request_read(data):
	"""TimeStampReq: (imprint, nonce)"""
	_, begin, end = der(data, 0, 0x30)
	parts = members(data, begin, end)
	nonce = [p for p in parts[2:] if p[0] == 2]
	return (imprint_of(data, parts[1][1], parts[1][2]),
	    int.from_bytes(data[nonce[0][1]:nonce[0][2]], "big"))


def info_of(data):
	"""TimeStampResp -> ContentInfo -> SignedData -> the TSTInfo in it."""
	_, begin, end = der(data, 0, 0x30)
	status, token = members(data, begin, end)[:2]
	if data[members(data, status[1], status[2])[0][1]:][:1] not in \
	    (b"\0", b"\1"):
		raise ValueError("not granted")
	_, explicit = members(data, token[1], token[2])
	_, begin, end = der(data, explicit[1], 0x30)
	content = members(data, begin, end)[2]
	kind, explicit = members(data, content[1], content[2])
	if data[kind[1]:kind[2]].hex() != "2a864886f70d0109100104":
		raise ValueError("no TSTInfo")
	_, begin, end = der(data, explicit[1], 4)
	return data[begin:end]


def token_read(data):
	"""(imprint, nonce or None, genTime in ns)"""
	info = info_of(data)
	_, begin, end = der(info, 0, 0x30)
	parts = members(info, begin, end)
	when = info[parts[4][1]:parts[4][2]].decode("ascii")
	m = re.fullmatch(r"(\d{14})(?:\.(\d+))?Z", when)
	if parts[4][0] != 0x18 or not m:
		raise ValueError("genTime %r" % when)
	gen = calendar.timegm(time.strptime(m[1], "%Y%m%d%H%M%S")) * 10**9 + \
	    int((m[2] or "0")[:9].ljust(9, "0"))
	nonce = [p for p in parts[5:] if p[0] == 2]
	return (imprint_of(info, parts[2][1], parts[2][2]), int.from_bytes(
	    info[nonce[0][1]:nonce[0][2]], "big") if nonce else None, gen)


# --- time-stamps ----------------------------------------------------------------

class Stamps:
	"""Which token is about which checkpoint; their signatures are left to
	`openssl ts`."""

	def __init__(self, case):
		self.case, self.asked, self.tokens = case, 0, []

	def record(self, seq, d, raw):
		self.asked += 1
		note = self.case.db.execute("SELECT root, note FROM checkpoint "
		    "WHERE size=?", (d["size"],)).fetchone()
		imprint, nonce = request_read(bytes.fromhex(d["request"]))
		if note is None or d["size"] > seq:
			raise ValueError("there is no checkpoint of %d records"
			    % d["size"])
		if h(note[1].encode()) != imprint or d["root"] != note[0] or \
		    d["imprint"] != imprint.hex() or int(d["nonce"], 16) != \
		    nonce:
			raise ValueError("request and checkpoint differ")
		if d["outcome"] != "ok":
			return
		if token_read(raw) != (imprint, nonce, d["gen_utc_ns"]):
			raise ValueError("token and request differ")
		self.tokens.append((d["gen_utc_ns"], seq, d["size"]))

	def say(self):
		print("%d questions to time-stamping authorities, %d tokens" %
		    (self.asked, len(self.tokens)), end="")
		if not self.tokens:
			print()
			return
		times = sorted(t for t, _, _ in self.tokens)
		gap = max([b - a for a, b in zip(times, times[1:])] or [0])
		covered = max(size for _, _, size in self.tokens)
		behind, = self.case.db.execute("SELECT count(*) FROM record "
		    "WHERE seq >= ? AND kind <> 'stamp'", (covered,)).fetchone()
		print(" (their signatures are for `openssl ts`); widest gap "
		    "%.1f s; records before the first %d, behind the last %d" %
		    (gap / 1e9, min(seq for _, seq, _ in self.tokens), behind))


# --- runs of a key --------------------------------------------------------------

class Chain:
	def __init__(self, case):
		self.case, self.run = case, None
		self.last = {}		# fingerprint: (seq, utc_ns, number, prev)
		self.followed = 0

	def begin(self, seq, utc_ns, d):
		self.run = (seq, utc_ns, d["key_run"], d["key_prev"])

	def key(self, fingerprint):
		if self.run is None:
			return
		seq, _, number, prev = self.run
		was, self.last[fingerprint] = self.last.get(fingerprint), \
		    self.run
		self.run = None
		if was is None:
			return
		if number <= was[2]:
			raise ValueError("run %d: its key counts backwards" %
			    seq)
		if number != was[2] + 1:
			self.case.note("between the runs of records %d and %d "
			    "their key had %d more" % (was[0], seq,
			    number - was[2] - 1))
			return
		if prev not in self.lines(*was):
			raise ValueError("run %d: it does not chain to the one "
			    "before" % seq)
		self.followed += 1

	def lines(self, seq, utc_ns, number, prev):
		"""Digests of the log's line, of each second it may bear."""
		for late in range(LATE_S + 1):
			when = time.strftime("%Y-%m-%dT%H:%M:%SZ",
			    time.gmtime(utc_ns // 10**9 - late))
			yield h(("%d %s %s %d %s" % (number, when,
			    self.case.case_id, seq, prev)).encode()).hex()


# --- a checkpoint seen earlier --------------------------------------------------

class Seen:
	def __init__(self, case, file, read):
		self.case = case
		with open(file, encoding="utf-8", newline="") as f:
			self.text, self.origin, self.size, self.root, \
			    self.signed = read(f.read())
		self.met = self.same = False

	def tree(self, tree):
		if tree.size == self.size:
			self.met, self.same = True, tree.root() == self.root

	def end(self, tree, holds):
		self.tree(tree)
		if self.origin != "swarmwitness/%s" % self.case.case_id:
			self.case.wrong("the checkpoint seen earlier is of "
			    "another case")
			return
		if not any(name == key.name and id == key.id and
		    holds(key.public, self.text.encode(), signature)
		    for _, key in self.case.keys
		    for name, id, signature in self.signed):
			self.case.wrong("the checkpoint seen earlier is signed "
			    "by no key of this case")
		if not self.met:
			self.case.wrong("the checkpoint seen earlier covers %d "
			    "records, this case holds %d: it was cut back" %
			    (self.size, tree.size))
		elif not self.same:
			self.case.wrong("the checkpoint seen earlier is of "
			    "other records: the case was rewritten")
