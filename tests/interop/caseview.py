"""What a case says, read with sqlite3 and json alone."""
import contextlib
import json
import os
import re
import sqlite3
from collections import namedtuple

from content import bits

FORMAT = os.path.join(os.path.dirname(os.path.abspath(__file__)),
    "../../docs/evidence-format.md")
Record = namedtuple("Record", "seq utc_ns kind conn ip port d raw")


class Case:
	def __init__(self, path, pieces):
		self.path, self.pieces = path, pieces
		self.db = sqlite3.connect("file:%s?mode=ro" %
		    os.path.join(os.path.abspath(path), "evidence.db"),
		    uri=True)

	def close(self):
		"""An open reader keeps the run from sealing the case."""
		self.db.close()

	def records(self, *kinds, ip=None, conn=None, by=None):
		"""In order; of these kinds, address, conversation and side."""
		sql = ("SELECT r.seq, utc_ns, kind, conn, ip, port, detail, "
		    "bytes FROM record r LEFT JOIN raw w ON w.seq = r.seq "
		    "WHERE kind IN (%s)" % ",".join("?" * len(kinds)))
		values = list(kinds)
		for column, value in (("ip", ip), ("conn", conn)):
			if value is not None:
				sql += " AND %s = ?" % column
				values.append(value)
		found = [Record(*row[:6], json.loads(row[6]), row[7])
		    for row in self.db.execute(sql + " ORDER BY r.seq",
		    values)]
		return [r for r in found if by is None or r.d.get("by") == by]

	def claims(self, ip):
		"""The last claim of each of an address's conversations."""
		return {conn: claim for conn in sorted({r.conn
		    for r in self.records("handshake", ip=ip, by="peer")})
		    if (claim := self.claim(conn)) is not None}

	def claim(self, conn):
		"""From the raw messages, not from what was read in them."""
		held = None
		for r in self.records("bitfield", "have", "have_all",
		    "have_none", conn=conn, by="peer"):
			if r.kind == "bitfield":
				held = bits(r.raw[5:], self.pieces)
			elif r.kind == "have":
				held = (held or frozenset()) | {
				    int.from_bytes(r.raw[i + 5:i + 9], "big")
				    for i in range(0, len(r.raw), 9)}
			else:
				held = frozenset(range(self.pieces)
				    if r.kind == "have_all" else ())
		return held

	def checked(self, ip):
		"""(pieces that matched, pieces that failed)"""
		done = self.records("piece", ip=ip, by="peer")
		return ({r.d["piece"] for r in done if r.d["match"] is True},
		    {r.d["piece"] for r in done if r.d["match"] is False})

	def named(self, seq):
		return {(ip, port) for ip, port in self.db.execute(
		    "SELECT ip, port FROM named WHERE seq = ?", (seq,))}

	def levels(self):
		"""address -> highest level; from derived.db."""
		db = sqlite3.connect("file:%s?mode=ro" % os.path.join(
		    os.path.abspath(self.path), "derived.db"), uri=True)
		return dict(db.execute("SELECT ip, max(level) FROM endpoint "
		    "GROUP BY ip"))

	def undocumented(self):
		"""Kinds and keys that are not as docs/evidence-format.md says:
		one record of each."""
		with open(FORMAT, encoding="utf-8") as f:
			forms = documented(f.read())
		return sorted({(kind, keys) for kind, keys in ((kind,
		    tuple(json.loads(detail))) for kind, detail in
		    self.db.execute("SELECT kind, detail FROM record"))
		    if keys not in forms.get(kind, ())})


def documented(text):
	"""kind -> the tuples of keys, in order, that its rows allow."""
	forms = {}
	for kinds, keys in re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", text,
	    re.M):
		last = None
		while keys != last:	# what stands in brackets is not a key
			last, keys = keys, re.sub(
			    r"\([^()]*\)|\{[^{}]*\}|\[[^][]*\]", "", keys)
		keys = tuple(re.match(r"\w+", k.strip()).group()
		    for k in keys.split(",") if k.strip())
		for kind in re.findall(r"`(\w+)`", kinds):
			forms.setdefault(kind, set()).add(keys)
			if keys[-1:] == ("named_root",):
				forms[kind].add(keys[:-2])	# nobody named
	return forms


@contextlib.contextmanager
def tampering(path):
	"""The ledger as one opens it who has the schema's triggers out of the
	way; they are put back."""
	db = sqlite3.connect(os.path.join(path, "evidence.db"))
	triggers = list(db.execute("SELECT name, sql FROM sqlite_schema "
	    "WHERE type = 'trigger'"))
	db.execute("PRAGMA foreign_keys = OFF")
	db.execute("PRAGMA ignore_check_constraints = ON")
	for name, _ in triggers:
		db.execute('DROP TRIGGER "%s"' % name)
	yield db
	for _, text in triggers:
		db.execute(text)
	db.commit()
	db.close()


def edit(path, *sqls):
	"""How many rows were changed so."""
	with tampering(path) as db:
		return sum(db.execute(sql).rowcount for sql in sqls)
