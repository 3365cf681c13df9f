#!/usr/bin/env python3
"""Every query that a report prints, run again with sqlite3 alone, gives the
numbers that stand beside its mark. A query that nothing here knows how to
compare is a failure."""
import csv
import html
import io
import json
import os
import re
import sqlite3
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.join(HERE, "../geo")]

import lab_mmdb			# noqa: E402
import synthetic		# noqa: E402
from built import SANITIZED as PROGRAM	# noqa: E402
from scratch import at		# noqa: E402
from tap import Tap		# noqa: E402

SHOWN = 12			# rows of a chart's list, the rest is one row
tap = Tap()


def read(folder, name):
	with open(os.path.join(folder, name), encoding="utf-8",
	    newline="") as f:
		return f.read()


def sqlite(case, sql):
	"""Rows of texts, as the page says to ask for them."""
	r = subprocess.run(["sqlite3", "-init", "/dev/null", "-batch",
	    "-noheader", "-csv", "-readonly", os.path.join(case,
	    "derived.db"), "ATTACH 'file:%s/evidence.db?mode=ro' AS evidence" %
	    case, sql], capture_output=True, text=True)
	if r.returncode or r.stderr:
		raise ValueError(r.stderr)
	return list(csv.reader(io.StringIO(r.stdout)))


def words(markup):
	"""What a reader sees of it; thin spaces within numbers are none."""
	text = html.unescape(re.sub(r"<br>|</t[dhr]>", " ", markup))
	text = re.sub(r"<[^>]*>", "", text)
	return " ".join(re.sub(r"(?<=\d)[\u2009\u202f](?=\d)", "",
	    text).replace("\xa0", " ").split())


class Asked:
	"""A page, its queries, and where each is cited."""

	def __init__(self, case, folder, name):
		self.case, self.folder, self.name = case, folder, name
		self.page = read(folder, name)
		self.queries = [(int(n), html.unescape(what),
		    html.unescape(sql)) for n, what, sql in re.findall(
		    r"<h3 class=sid id=q(\d+)>Q\d+\. (.*?)</h3>\n"
		    r"<pre class=sql>(.*?)</pre>", self.page, re.S)]
		self.cited = {int(n) for n in re.findall(
		    r'<a class=q href="#q(\d+)"', self.page)}

	def around(self, n, before, after):
		"""The markup from the last `before` to the next `after`."""
		mark = self.page.index('<a class=q href="#q%d"' % n)
		return self.page[self.page.rindex(before, 0, mark):
		    self.page.index(after, mark)]

	def cells(self, n):
		"""Of the table that the mark stands in: words of each row."""
		part = self.page[self.page.index('<a class=q href="#q%d"' % n):]
		body = part[part.index("<tbody>"):part.index("</tbody>")]
		return [[words(c) for c in re.findall(
		    r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)]
		    for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)]


def stamp(ns):
	"""To the second, as pages round down at least."""
	ns = int(ns)
	r = subprocess.run(["sqlite3", ":memory:", "SELECT "
	    "strftime('%%Y-%%m-%%dT%%H:%%M:%%S', %d, 'unixepoch')" %
	    (ns // 10 ** 9)], capture_output=True, text=True)
	return r.stdout.strip()


def chart(a, n, rows):
	"""A chart's table and CSV have the rows, in the query's order but where
	a chart has its own."""
	figure = a.around(n, "<figure>", "</figure>")
	if "There is nothing to show" in figure:
		return not rows
	name = re.search(r"Also in (\S+\.csv)", figure)[1]
	file = list(csv.reader(io.StringIO(read(a.folder, name))))[1:]
	if name.endswith(("countries.csv", "networks.csv")):
		return sum(int(r[1]) for r in file) == len(rows)
	if name.endswith("levels.csv"):
		return {r[0].split(" ")[0]: r[1] for r in file
		    if r[1] != "0"} == dict(rows)
	if name.endswith("held.csv"):
		return {r[0]: r[1] for r in file if r[1] != "0"} == dict(rows)
	if name.endswith(("present.csv", "moves.csv")):
		return [r[1:] for r in file] == [r[1:] for r in rows] and all(
		    q[0].replace(" ", "T").startswith(p[0].rstrip("Z"))
		    for p, q in zip(file, rows))
	want = [["not said" if r[0] == "" else r[0], r[1]]
	    for r in rows[:SHOWN]]
	if len(rows) > SHOWN:
		want.append(["%d others" % (len(rows) - SHOWN),
		    str(sum(int(r[1]) for r in rows[SHOWN:]))])
	return unformula(file) == want


def unformula(file):
	"""Cells without the quote that defuses a formula."""
	return [[c[1:] if c[:2] in ("'=", "'+", "'-", "'@") else c
	    for c in row] for row in file]


def numbers(text):
	return [int(x) for x in re.findall(r"\d+", text)]


def of_table(columns):
	"""Columns of the answer that stand, as numbers, in the rows."""
	def compare(a, n, rows):
		cells = a.cells(n)
		return len(cells) == len(rows) and all(
		    numbers(c[k])[:1] == [int(r[i])] for c, r in
		    zip(cells, rows) for k, i in columns.items())
	return compare


def of_words(before, after, pattern, columns):
	"""Numbers that the words around the mark have."""
	def compare(a, n, rows):
		m = re.search(pattern, words(a.around(n, before, after)))
		return m is not None and [int(g) for g in m.groups()] == \
		    [int(rows[0][i] or 0) for i in columns]
	return compare


def ladder(a, n, rows):
	"""The case report's table: swarms by infohash, the highest level
	first."""
	over = {}
	for swarm, level, count in rows:
		over.setdefault(swarm, [0] * 6)[5 - int(level)] = int(count)
	return [x for x in ([int(v) for v in c[2:]] for c in a.cells(n))
	    if any(x)] == [over[s] for s in sorted(over)]


def addresses(a, n, rows):
	return [c[1] for c in a.cells(n) if c[1] != "0"] == [r[1]
	    for r in rows]


def endpoints(a, n, rows):
	"""Every row of the lists: address, port, day, level and counts."""
	want, got = [], []
	for r in rows:
		want.append((r[0], r[1], r[3], r[4], int(r[7]), int(r[8]),
		    int(r[9])))
	pages = sorted(f for f in os.listdir(a.folder) if f.startswith(
	    a.name[:a.name.index("-endpoints-")] + "-endpoints-"))
	for name in pages:
		level = None
		for head, row in re.findall(r"<h2>(.*?)</h2>|<tr>(<th scope=row>"
		    r".*?)</tr>", read(a.folder, name), re.S):
			if head:
				level = words(head)[0]
				continue
			text = words(row)
			def count(word):
				m = re.search(r"(\d+) " + word, text)
				return int(m[1]) if m else 0
			got.append((*re.match(r"(\S+) port (\d+)",
			    text).groups(), re.search(r"class=day>(\S{10})<",
			    row)[1], level, count("matched"), count("failed"),
			    count("times? \\(first|times?,")))
	# the page shows when it was last seen: days are the query's
	return sorted(want) == sorted(got)


def conversations(a, n, rows):
	seen = {int(x) for x in re.findall(r"#(\d+)", " ".join(words(c)
	    for c in re.findall(r"<span class=how>(named .*?|conversation.*?|"
	    r"\d+ conversations.*?|attempt.*?)</span>", a.page)))}
	firsts = {int(x) for x in re.findall(r"\(first #(\d+)\)", a.page)}
	conns = {int(r[0]) for r in rows}
	return bool(rows or not seen - firsts) and seen - firsts <= conns


def torrent(a, n, rows):
	text = words(a.around(n, "<dl>", "</dl>"))
	size = re.search(r"(\d+) bytes in (\d+) pieces? of (\d+) byte", text)
	r, = rows
	return r[0] in text and (r[2] == "" and "not in the ledger" in text or
	    size is not None and list(size.groups()) == [r[2], r[4], r[3]])


def times_in(before, after, columns):
	def compare(a, n, rows):
		text = words(a.around(n, before, after))
		return all(stamp(rows[0][i]) in text for i in columns)
	return compare


def run_itself(a, n, rows):
	text = words(a.around(n, "<h3>Run", "</dl>"))
	d = json.loads(rows[0][2])
	return all(stamp(rows[0][i]) in text for i in (0, 1)) and all(
	    str(d[k]) in text for k in ("program", "version", "commit",
	    "executable_sha256"))


def settings(a, n, rows):
	"""The page's sentences name those that are set."""
	part = words(a.page[a.page.index('<a class=q href="#q%d"' % n):])
	part = part[:re.search("What came of it|Run \\d|How to check",
	    part).start()]
	return len(rows) == 1 and all(v in part or k not in (0, 16)
	    for k, v in enumerate(rows[0]) if v)


def ended(a, n, rows):
	text = words(a.around(n, "<h3>Run", "</dl>"))
	return rows[0][1] in text if rows else "no end record" in text


def clock(a, n, rows):
	text = words(a.around(n, "<dt>Clock", "</dd>"))
	r = [int(x or 0) for x in rows[0][:5]]
	if "as the imported files have it" in text:
		return r[1] == 0 and r[4] == 0
	m = re.search(r"(\d+) of (\d+) questions", text)
	return [int(x) for x in m.groups()] == [r[1], r[0]] and \
	    ("ever reached" in text) == (r[1] == 0) and \
	    (r[1] == 0 or r[2] > 0 or "± %d ms" % -(-r[4] // 10 ** 6) in text)


def packets(a, n, rows):
	text = words(a.around(n, "<dt>Packets", "</dd>"))
	m = re.search(r"(\d+) packets? in (\d+) savefiles?, (\d+) bytes?; "
	    r"dropped by the kernel (\d+), by the interface (\d+)", text)
	r = [int(x or 0) for x in rows[0][:5]]
	return "none were kept" in text if r[0] == 0 else \
	    [int(x) for x in m.groups()] == [r[1], r[0], r[2], r[3], r[4]]


def stalls(a, n, rows):
	text = words(a.around(n, "<dt>Stalls", "</dd>"))
	m = re.search(r"(\d+) times? the observer lagged.*dropped: (\d+)", text)
	return text.startswith("Stallsnone") if rows[0][0] == "0" else \
	    m is not None and list(m.groups()) == [rows[0][0], rows[0][2]]


def ledger(a, n, rows):
	text = words(a.around(n, "<dl>", "</dl>"))
	m = re.search(r"Ledger(\d+) records?.*Erasures(\d+)", text)
	return list(m.groups()) == [rows[0][0], rows[0][2]] and \
	    rows[0][1] in text


def counts(a, n, rows):
	"""Of the estimate, if there is one."""
	text = words(a.around(n, "<h2 id=size>", "<h2 id=unseen>"))
	if "No estimate" in text:
		return len(rows) == 1
	m = re.search(r"First count(\d+).*Second count(\d+).*In both(\d+)",
	    text)
	return list(m.groups()) == rows[0]


def stamps(a, n, rows):
	return [c[0].lstrip("#") for c in a.cells(n)] == [r[0] for r in rows]


def checkpoint(a, n, rows):
	part = a.page[a.page.index('<a class=q href="#q%d"' % n):]
	return html.unescape(re.search(r"<pre>(.*?)</pre>", part,
	    re.S)[1]) == rows[0][1]


def shares(a, n, rows):
	return [numbers(" ".join(c[1:4])) for c in a.cells(n)] == [
	    [int(x) for x in r[2:5]] for r in rows]


def held(a, n, rows):
	"""A claim's table, row by row."""
	got = a.cells(n)
	return len(got) == len(rows) and all(
	    numbers(c[1])[:1] == numbers(r[2])[:1] and
	    c[4].replace("\u2013", "") == r[7] and
	    c[5].lstrip("#").replace("\u2013", "") == r[6] and
	    (stamp(r[3]) in c[2] and stamp(r[4]) in c[2] if r[3] else
	    c[2] == "\u2013") and
	    c[0].startswith(r[0] + (" " + r[1] if r[1] else ""))
	    for c, r in zip(got, rows))


def other(a, n, rows):
	text = words(a.around(n, "<li>", "</li>"))
	return re.search(r"at (\S+) port (\d+).*#(\d+)", text).groups() == \
	    tuple(rows[0][i] for i in (1, 2, 4)) and \
	    ("at no third" not in text or rows[0][0] == "1")


def watched(a, n, rows):
	"""The last or the first of all that was watched."""
	text = words(a.around(n, "<li>", "</li>"))
	if "nothing" in text:
		return all(r[0] != "live, this torrent" for r in rows) or \
		    "watched this torrent then" in text
	return stamp(max(r[3] for r in rows) if "later" in text else
	    min(r[2] for r in rows)) in text


KNOWN = (
	(r"What the case holds about the claim", held),
	(r"Other addresses that the torrent", other),
	(r"When what was watched$", watched),
	(r"Each swarm’s addresses$", addresses),
	(r"Each swarm’s endpoints by level$", ladder),
	(r"The ledger: ", ledger),
	(r"The run of record #\d+: what it recorded", run_itself),
	(r"The run of record #\d+: how it ended$", ended),
	(r"The run of record #\d+: its clock", clock),
	(r"The run of record #\d+: its packets", packets),
	(r"The run of record #\d+: its stalls", stalls),
	(r"The run of record #\d+: its settings$", settings),
	(r"The run of record #\d+: dials", of_words("<p>What came", "</p>",
	    r"(\d+) dials?, of which (\d+) got a connection; (\d+) incoming "
	    r"connections?; (\d+) conversations? .*?; (\d+) pieces? that "
	    r"matched and (\d+) that", range(6))),
	(r"What each source named", shares),
	(r"The newest checkpoint$", checkpoint),
	(r"Time stamps$", stamps),
	(r"The torrent$", torrent),
	(r"Where the hashes are from$", lambda a, n, rows: all("#" + r[0] in
	    a.page and r[1] in words(a.page) for r in rows) and rows),
	(r"Addresses$", of_words("<p class=lead>", "</p>",
	    r"^(\d+) address", [0])),
	(r"Endpoints by level$", lambda a, n, rows: int(re.search(
	    r"(\d+) endpoints?", words(a.around(n, "<p class=lead>",
	    "</p>")))[1]) == sum(int(r[1]) for r in rows)),
	(r"The observer’s own addresses$", of_words("<p class=lead>", "</p>",
	    r"own: (\d+)", [0])),
	(r"Endpoints that connected$", of_words("<p>", "</p>", r"^(\d+)",
	    [0])),
	(r"Sources$", of_table({1: 2, 2: 3, 3: 4})),
	(r"Coverage$", of_table({3: 3, 4: 4})),
	(r"Two counts of the swarm", counts),
	(r"When sources were asked$", times_in("<dt>Time", "</dd>", (0, 1))),
	(r"Rows of all pages", endpoints),
	(r"Conversations of the swarm", conversations),
	(r"Finding \d+: its level$", lambda a, n, rows: re.search(
	    r"Level (\d), ", words(a.around(n, "<li>", "</li>")))[1] ==
	    rows[0][0] and re.findall(r"#(\d+)", a.around(n, "<li>", "<a c"))
	    == rows[0][5].split(",")[:8]),
	(r"Finding \d+: its conversations$", lambda a, n, rows:
	    [(c[0], c[5], c[6]) for c in a.cells(n)] == [("#" + r[0],
	    r[10] or "0", r[11] or "0") for r in rows]),
	(r"Finding \d+: pieces that matched$", lambda a, n, rows: sum(
	    int(words(c[1])) for c in a.cells(n)) > 0 and rows),
	(r"Endpoints of the address", lambda a, n, rows: all(r[3] in a.page
	    and r[1] in a.page for r in rows) and rows),
	(r"The records of the address in order", lambda a, n, rows:
	    [(c[0], c[2]) for c in a.cells(n)] == [("#" + r[0], r[6])
	    for r in rows] and all(c[5] == " ".join(r[8].split()) or
	    "U+" in c[5] for c, r in zip(a.cells(n), rows))),
	(r"Self-tests recorded$", of_words("<p>Self-tests", "</p>",
	    r"(\d+) of (\d+) passed", (0, 1))),
)


def ask(a, what):
	"""Runs all of a page's queries."""
	wrong = []
	for n, name, sql in a.queries:
		compare = [f for p, f in KNOWN if re.match(p, name)] or [chart]
		try:
			if not compare[0](a, n, sqlite(a.case, sql)):
				wrong.append((n, name, "differs"))
		except (ValueError, TypeError, AttributeError, IndexError,
		    KeyError) as e:
			wrong.append((n, name, repr(e)))
	tap.claim(a.queries and not wrong and a.cited == {n for n, _, _ in
	    a.queries} == set(range(1, len(a.queries) + 1)), "%s: sqlite3 "
	    "gives again what stands beside each of %d marks" % (what,
	    len(a.queries)), wrong)
	return len(a.queries)


def pages(case, what, *args, skip=()):
	out = at("out." + what)
	r = subprocess.run([PROGRAM, "report", *args, case, "-o", out],
	    capture_output=True, text=True)
	if r.returncode:
		print("# " + r.stderr)
	n = sum(ask(Asked(case, out, name), "%s, %s" % (what, name))
	    for name in sorted(os.listdir(out)) if name.endswith(".html") and
	    "class=q href" in read(out, name))
	return n


def several(first, second):
	"""One report of two cases: each swarm's page says whose its is."""
	out = at("out.both")
	subprocess.run([PROGRAM, "report", first, second, "-o", out],
	    capture_output=True)
	for case, name in ((first, "swarm-1.html"), (second, "swarm-3.html"),
	    (second, "swarm-3-endpoints-1.html")):
		a = Asked(case, out, name)
		ask(a, "two cases, " + name)
		said = words(a.around(1, "<p>" if "endpoints" in name else
		    "<dl>", '<a class=q href="#q1"'))
		own = os.path.basename(case)
		tap.claim(("of case " + own if "endpoints" in name else
		    "Case" + own) in said and "CASE is the one that is named" in
		    a.page, "two cases, %s: names its own" % name, said)


CLAIMS = """ip,port,utc,infohash,bytes,pieces
10.77.1.1,6881,%(s)s,%(a)s,,
10.77.1.1,,%(s)s,%(a)s,,
10.77.1.1,7,%(s)s,%(a)s,,
10.77.1.1,6881,%(s)s,%(b)s,,
10.77.1.1,6881,%(s)s,%(a)s,1000000000,70000
10.77.1.2,6882,%(s)s,%(a)s,,
10.77.1.2,7,2026-01-03T00:00:00Z,%(a)s,,
10.77.1.3,6883,%(m)s,%(a)s,,
10.77.1.3,6883,2025-12-31T00:00:00Z,%(a)s,,
10.77.1.66,9,%(s)s,%(a)s,,
fd77:1::4,6884,%(s)s,%(a)s,,
10.77.1.1,6881,%(s)s,%(d)s,,
10.77.1.1,6881,%(s)s,%(a)s,,,x
fd77:1::4,6884,%(s)s,%(d)s,,
10.77.1.9,6999,%(s)s,%(a)s,,
10.77.0.1,4000,%(s)s,%(a)s,,
10.77.2.1,51413,%(s)s,%(b)s,,
10.77.9.9,6881,%(s)s,%(a)s,,
10.77.3.1,6881,%(s)s,%(a)s,,
10.77.3.2,50001,%(s)s,%(a)s,,
10.77.3.2,50001,2027-01-01T00:00:00Z,%(a)s,,
10.77.3.2,50001,%(s)s,%(c)s,,
10.77.3.2,50001,soon,%(c)s,,
""" % {"s": "2026-01-01T23:59:04Z", "m": "2026-01-02T00:00:14Z",
    "a": synthetic.A, "b": synthetic.B, "c": "c" * 40, "d": "d" * 40}


def follows(db, queries, row, require):
	"""What audit.json says of a claim, from its query's answer alone."""
	def ask(name):
		return db.execute(queries[name], {k[1:]: v for k, v in
		    row["query_values"].items()}).fetchall()
	rows = ask("case")
	levels = [(r[1], r[3], r[5], r[6]) for r in rows if r[0] == "level"]
	at = row["query_values"][":from_ns"], row["query_values"][":to_ns"]
	there = [r[0] for r in levels if r[2] <=
	    row["query_values"][":reach_ns"]]
	level = max(there, default=None)
	least = -1 if level is None else min(level, require)
	near = min(((r[2], -r[0], r) for r in levels if r[0] >= least),
	    default=(None, 0, (None,) * 4))[2]
	records = {r[6] for r in rows} | {r[4] for r in ask("others")} | {None}
	for r in row["reasons"]:
		m = re.search(r"another port than .* (\S+)Z\)$", r["text"])
		if m and m[1] != stamp([min(max(x[3], at[0]), x[4])
		    for x in rows if x[0] == "another port"][0]):
			return False
	return (level, near[2]) == (row["level"], row["distance_ns"]) and \
	    all(r["record"] in records for r in row["reasons"])


def audit(case, what, *options):
	"""The pages of claims, and the same from audit.json and sqlite3."""
	out, table = at("audit." + what), at("claims.csv")
	with open(table, "w") as f:
		f.write(CLAIMS)
	r = subprocess.run([PROGRAM, "audit", *options, case, table, "-o",
	    out], capture_output=True, text=True)
	if not tap.claim(r.returncode == 0, what + ": audited", r.stderr):
		return 0
	n = sum(ask(Asked(case, out, name), "%s, %s" % (what, name))
	    for name in sorted(os.listdir(out)) if name.endswith(".html") and
	    "class=q href" in read(out, name))
	d = json.loads(read(out, "audit.json"))
	db = sqlite3.connect("file:%s/derived.db?mode=ro" % case, uri=True)
	db.execute("ATTACH 'file:%s/evidence.db?mode=ro' AS evidence" % case)
	queries = {q["name"]: q["sql"] for q in d["queries"]}
	wrong = [row for row in d["rows"] if row["query_values"] and
	    not follows(db, queries, row, d["require"])]
	db.close()
	tap.claim(not wrong and len(d["rows"]) == CLAIMS.count("\n") - 1,
	    what + ": level, distance and records of every claim follow from "
	    "the queries of audit.json", wrong)
	if "packets" not in what:
		said = {(r["written"]["ip"], r["written"]["infohash"]):
		    [(g["side"], g["text"]) for g in r["reasons"]]
		    for r in d["rows"]}
		asked = said["fd77:1::4", synthetic.A]
		unasked = said["10.77.1.1", "d" * 40]
		tap.claim(("against", "at that time it spoke under another "
		    "infohash, %s, when it was asked for the one claimed" %
		    ("d" * 40)) in asked and not any("several at once" in t
		    for _, t in asked), what + ": asked for one torrent, it "
		    "spoke under another", asked)
		tap.claim(("against", "at that time it spoke under another "
		    "infohash, " + synthetic.A) in unasked and any(s == "for"
		    and "several at once" in t for s, t in unasked), what +
		    ": a conversation about another torrent says so", unasked)
	tap.claim({r["level"] for r in d["rows"] if any(
	    g["text"].startswith("another address") for g in r["reasons"])} <=
	    {None, 0}, what + ": another address is a ground only where the "
	    "one claimed was not reached")
	tap.claim(any("has 7 cells, the table 6 columns" in g["text"]
	    for r in d["rows"] for g in r["reasons"]), what + ": a row with "
	    "too many cells is said to have them")
	tap.claim(all(r["record"] is not None or r["query"] != "case" or
	    re.match("nothing is recorded|more data|in \\d+ conv|this is an "
	    "addr|it also|the port claimed", r["text"]) for row in d["rows"]
	    for r in row["reasons"]), what + ": a ground in the evidence "
	    "names its record")
	return n


def changed(case):
	"""The comparison notices a number that is not the ledger's."""
	out = at("out.live")
	name = os.path.join(out, "swarm-1.html")
	page = read(out, "swarm-1.html")
	with open(name, "w", encoding="utf-8", newline="") as f:
		f.write(re.sub(r"(<p class=lead>)\d+( address)", r"\g<1>77\2",
		    page))
	a = Asked(case, out, "swarm-1.html")
	n, _, sql = next(q for q in a.queries if q[1] == "Addresses")
	compare, = (f for p, f in KNOWN if p == "Addresses$")
	tap.claim(not compare(a, n, sqlite(case, sql)),
	    "a number that is not the ledger's is noticed")


def main():
	with open(at("lab.mmdb"), "wb") as f:
		f.write(lab_mmdb.build({"10.77.0.0/16": {"country": "DE",
		    "asn": 64512, "org": "<b>Lab"}}))
	synthetic.story(at("live"))
	synthetic.imported(at("theirs"))
	synthetic.two_sources(at("two"))
	synthetic.crowd(at("crowd"), 2500)
	n = pages(at("live"), "live", "--geo", at("lab.mmdb"))
	for ip in ("10.77.1.1", "10.77.1.2", "10.77.1.3", "fd77:1::4",
	    "10.77.1.9", "10.77.1.66"):
		n += pages(at("live"), "address." + ip.replace(":", "_"),
		    "--ip", ip)
	n += pages(at("theirs"), "theirs.ip", "--ip", "10.77.3.2")
	n += pages(at("theirs"), "imported")
	n += pages(at("two"), "estimated")
	n += pages(at("crowd"), "crowd")
	n += audit(at("live"), "audit")
	n += audit(at("live"), "audit at 2", "--require", "2")
	n += audit(at("theirs"), "audit of packets", "--within", "1h")
	tap.claim(n > 150, "%d queries were run" % n)
	several(at("live"), at("two"))
	changed(at("live"))
	return tap.status()


sys.exit(main())
