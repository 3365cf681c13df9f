#!/usr/bin/python3
"""`report --case-uco`: as rdflib reads it, each node held against what the
shapes of CASE and UCO 1.5.0 ask (casefacts.py); every reference resolved, ids
that Python's uuid gives too, and the facts of the tables."""
import csv
import io
import json
import os
import re
import subprocess
import sys
import uuid

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import rdflib			# noqa: E402
import casefacts		# noqa: E402
import synthetic		# noqa: E402
from built import SANITIZED as PROGRAM	# noqa: E402
from scratch import at		# noqa: E402
from tap import Tap		# noqa: E402

LITERALS = {"xsd:dateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z",
    "xsd:integer": r"-?\d+", "xsd:hexBinary": r"([0-9a-f]{2})+"}
tap = Tap()


def read(name):
	with open(at("out", name), encoding="utf-8", newline="") as f:
		return f.read()


def rows(name):
	return list(csv.DictReader(io.StringIO(read(name))))


def graph(*args):
	r = subprocess.run([PROGRAM, "report", "--case-uco", *args, "-o",
	    at("out")], capture_output=True, text=True)
	if r.returncode:
		print("# " + r.stderr)
	return json.loads(read("case-uco.jsonld"))


def walk(node):
	if isinstance(node, dict):
		yield node
		for v in node.values():
			yield from walk(v)
	elif isinstance(node, list):
		for v in node:
			yield from walk(v)


def structure(g, what):
	prefixes = set(g["@context"])
	defined, refs, bad = [], set(), []
	for node in walk(g["@graph"]):
		if "@value" in node:
			if set(node) != {"@type", "@value"} or not re.fullmatch(
			    LITERALS.get(node["@type"], "(?!)"),
			    node["@value"]):
				bad.append(node)
			continue
		if set(node) == {"@id"}:
			refs.add(node["@id"])
			continue
		defined.append(node["@id"])
		bad += [k for k in node if k[0] != "@" and
		    k.split(":")[0] not in prefixes]
		if not re.fullmatch(r"kb:[a-z-]+-[0-9a-f]{8}-[0-9a-f]{4}-5"
		    r"[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
		    node["@id"]):
			bad.append(node["@id"])
	tap.equal(bad, [], what + ": known prefixes, literals, ids")
	tap.claim(len(defined) == len(set(defined)), what +
	    ": every id is defined once")
	tap.equal(refs - set(defined), set(), what + ": every reference leads "
	    "to a node")


def read_graph(text):
	return rdflib.Graph().parse(data=text, format="json-ld")


def shapes(what):
	"""As triples, against the classes' shapes."""
	g = read_graph(read("case-uco.jsonld"))
	faults = casefacts.faults(g)
	used = {t for t in g.objects(None, rdflib.RDF.type)}
	tap.claim(len(g) > 40 and not faults, what + ": %d triples, of %d "
	    "classes, are as the shapes have it" % (len(g), len(used)),
	    faults[:5])


def planted():
	"""The check finds what is wrong."""
	text = read("case-uco.jsonld")
	for what, old, new in (
	    ("no such class", '"uco-tool:Tool"', '"uco-tool:Tol"'),
	    ("no such property", '"uco-tool:version"', '"uco-tool:versoin"'),
	    ("of another class", '"uco-core:kindOfRelationship"',
	    '"uco-core:object"'),
	    ("another datatype", '"@type":"xsd:hexBinary"',
	    '"@type":"xsd:string"'),
	    ("malformed", '"@type":"xsd:integer","@value":"',
	    '"@type":"xsd:integer","@value":"x'),
	    ("missing", '"uco-core:isDirectional"', '"sw:isDirectional"'),
	    ("not the right class", '"uco-observable:IPv4Address"',
	    '"uco-observable:FileFacet"'),
	    ("a hash of another name", '"SHA256"', '"SHA-256"')):
		wrong = text.replace(old, new)
		tap.claim(wrong != text and casefacts.faults(read_graph(wrong)),
		    "a graph with %s is noticed" % what)


def of(g, name):
	return [n for n in g["@graph"] if n["@type"].endswith(":" + name)]


def number(v):
	return int(v["@value"])


def facts(g, case_id):
	by_id = {n["@id"]: n for n in g["@graph"]}
	space = uuid.UUID(case_id)
	found = {}
	for n in of(g, "NetworkConnection"):
		f, = n["uco-core:hasFacet"]
		out = "uco-observable:destinationPort" in f
		end = by_id[f["uco-observable:dst" if out else
		    "uco-observable:src"]["@id"]]
		found[number(n["sw:record"])] = (end["uco-core:hasFacet"][0]
		    ["uco-observable:addressValue"], number(f[
		    "uco-observable:destinationPort" if out else
		    "uco-observable:sourcePort"]), number(n["sw:level"]))
		tap.claim(n["@id"] == "kb:connection-%s" % uuid.uuid5(space,
		    "connection/%d" % number(n["sw:record"])),
		    "id of connection %d" % number(n["sw:record"]))
	tap.equal(found, {int(r["conn"]): (r["ip"], int(r["port"]),
	    int(r["level"])) for r in rows("contact.csv")
	    if int(r["level"]) > 0}, "connections are those of table contact")
	tap.equal({(number(n["sw:record"]), number(n["sw:piece"]),
	    n.get("sw:matched")) for n in of(g, "ContentData")}, {(int(r["seq"]), int(r["piece"]),
	    {"1": True, "0": False, "": None}[r["ok"]])
	    for r in rows("piece_check.csv")}, "pieces are those of "
	    "table piece_check")
	action, = of(g, "InvestigativeAction")
	provenance = by_id[action["uco-action:result"]["@id"]]
	named = {o["@id"] for o in provenance["uco-core:object"]}
	tap.claim({n["@id"] for k in ("NetworkConnection", "File")
	    for n in of(g, k)} <= named, "the run's provenance record names "
	    "its files and conversations")
	tap.equal((by_id[action["uco-action:performer"]["@id"]]
	    ["uco-core:name"], by_id[action["uco-action:instrument"]["@id"]]
	    ["uco-core:name"]), ("A. Operator <b>", "swarmwitness"),
	    "by whom and with what")


def main():
	synthetic.story(at("case"))
	g = graph(at("case"))
	first = read("case-uco.jsonld")
	structure(g, "live")
	shapes("live")
	planted()
	case_id = json.loads(read("report.json"))["cases"][0]["case_id"]
	facts(g, case_id)
	tap.claim(first.isascii() and "case-uco.jsonld" in
	    read("MANIFEST.sha256"), "ASCII, and in the manifest")
	graph(at("case"))
	tap.claim(read("case-uco.jsonld") == first, "again, the same bytes")
	synthetic.imported(at("imported"))
	g = graph(at("imported"))
	structure(g, "imported")
	shapes("imported")
	n, = of(g, "NetworkConnection")
	f, = n["uco-core:hasFacet"]
	tap.equal((number(f["uco-observable:sourcePort"]), number(f[
	    "uco-observable:destinationPort"]), number(n["sw:level"]),
	    number(n["sw:responderLevel"])), (50001, 6881, 2, 5),
	    "an imported conversation has both ends, and the level of each")
	g = graph(at("case"), "--swarm", synthetic.B)
	structure(g, "one swarm")
	shapes("one swarm")
	tap.equal(len(of(g, "NetworkConnection")), 0,
	    "--swarm leaves the others out")
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
