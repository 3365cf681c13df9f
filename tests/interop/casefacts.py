"""What CASE 1.5.0 and UCO 1.5.0 ask of the nodes that `report --case-uco`
writes, and whoever holds a graph against it.

Facts of their ontologies' class shapes, looked up on 26 November 2026 in the
release that the CASE project's own validator carries (casework/
CASE-Utilities-Python, case_utils/ontology/case-1.5.0.ttl): of each class its
superclasses and, for each property that its shape names and this program
writes, what the value must be and how often it may stand. A name's prefix says
which ontology file of ucoProject/UCO or casework/CASE it comes from:
uco-core is ontology/uco/core/core.ttl, and so on. Of the shapes not named here
none speaks of a property written here."""
import re

import rdflib

CASE = "https://ontology.caseontology.org/case/"
UCO = "https://ontology.unifiedcyberontology.org/uco/"
XSD = "http://www.w3.org/2001/XMLSchema#"
SPACES = {"case-investigation": CASE + "investigation/", "xsd": XSD} | {
    "uco-" + n: UCO + n + "/" for n in ("action", "core", "identity",
    "observable", "tool", "types")}
OURS = "urn:swarmwitness:terms:"
MANY = 10 ** 9

# class: (superclasses, {property: (datatype or class, least, most)})
SHAPES = {
	"uco-core:UcoThing": ((), {}),
	"uco-core:UcoObject": (("uco-core:UcoThing",), {
	    "uco-core:name": ("xsd:string", 0, 1),
	    "uco-core:description": ("xsd:string", 0, MANY),
	    "uco-core:hasFacet": ("uco-core:Facet", 0, MANY)}),
	"uco-core:UcoInherentCharacterizationThing": (("uco-core:UcoThing",),
	    {}),
	"uco-core:Facet": (("uco-core:UcoInherentCharacterizationThing",), {}),
	"uco-core:Item": (("uco-core:UcoObject",), {}),
	"uco-core:Compilation": (("uco-core:UcoObject",), {}),
	"uco-core:ContextualCompilation": (("uco-core:Compilation",), {
	    "uco-core:object": ("uco-core:UcoObject", 0, MANY)}),
	"uco-core:IdentityAbstraction": (("uco-core:UcoObject",), {}),
	"uco-core:Relationship": (("uco-core:UcoObject",), {
	    "uco-core:source": ("uco-core:UcoObject", 1, MANY),
	    "uco-core:target": ("uco-core:UcoObject", 1, 1),
	    "uco-core:isDirectional": ("xsd:boolean", 1, 1),
	    "uco-core:kindOfRelationship": ("xsd:string", 0, 1)}),
	"uco-identity:Identity": (("uco-core:IdentityAbstraction",), {}),
	"uco-tool:Tool": (("uco-core:UcoObject",), {
	    "uco-tool:toolType": ("xsd:string", 0, 1),
	    "uco-tool:version": ("xsd:string", 0, 1)}),
	"uco-action:Action": (("uco-core:UcoObject",), {
	    "uco-action:startTime": ("xsd:dateTime", 0, 1),
	    "uco-action:endTime": ("xsd:dateTime", 0, 1),
	    "uco-action:performer": ("uco-core:UcoObject", 0, 1),
	    "uco-action:instrument": ("uco-core:UcoObject", 0, MANY),
	    "uco-action:result": ("uco-core:UcoObject", 0, MANY)}),
	"case-investigation:InvestigativeAction": (("uco-action:Action",), {}),
	"case-investigation:ProvenanceRecord": ((
	    "uco-core:ContextualCompilation",), {}),
	"uco-observable:Observable": (("uco-core:UcoObject",), {}),
	"uco-observable:ObservableObject": (("uco-core:Item",
	    "uco-observable:Observable"), {}),
	# The class of these two is a warning until UCO 2.0.0.
	"uco-observable:ObservableRelationship": (("uco-core:Relationship",
	    "uco-observable:Observable"), {
	    "uco-core:source": ("uco-observable:Observable", 0, MANY),
	    "uco-core:target": ("uco-observable:Observable", 0, MANY)}),
	"uco-observable:Address": (("uco-observable:ObservableObject",), {}),
	"uco-observable:DigitalAddress": (("uco-observable:Address",), {}),
	"uco-observable:IPAddress": (("uco-observable:DigitalAddress",), {}),
	"uco-observable:IPv4Address": (("uco-observable:IPAddress",), {}),
	"uco-observable:IPv6Address": (("uco-observable:IPAddress",), {}),
	"uco-observable:DigitalAddressFacet": (("uco-core:Facet",), {
	    "uco-observable:addressValue": ("xsd:string", 0, 1)}),
	"uco-observable:IPAddressFacet": ((
	    "uco-observable:DigitalAddressFacet",), {}),
	"uco-observable:IPv4AddressFacet": (("uco-observable:IPAddressFacet",),
	    {}),
	"uco-observable:IPv6AddressFacet": (("uco-observable:IPAddressFacet",),
	    {}),
	"uco-observable:FileSystemObject": ((
	    "uco-observable:ObservableObject",), {}),
	"uco-observable:File": (("uco-observable:FileSystemObject",), {}),
	"uco-observable:FileFacet": (("uco-core:Facet",), {
	    "uco-observable:fileName": ("xsd:string", 0, MANY),
	    "uco-observable:filePath": ("xsd:string", 0, MANY),
	    "uco-observable:sizeInBytes": ("xsd:integer", 0, 1)}),
	"uco-observable:ContentData": (("uco-observable:ObservableObject",),
	    {}),
	"uco-observable:ContentDataFacet": (("uco-core:Facet",), {
	    "uco-observable:hash": ("uco-types:Hash", 0, MANY),
	    "uco-observable:sizeInBytes": ("xsd:integer", 0, 1)}),
	"uco-observable:NetworkConnection": ((
	    "uco-observable:ObservableObject",), {}),
	"uco-observable:NetworkConnectionFacet": (("uco-core:Facet",), {
	    "uco-observable:src": ("uco-core:UcoObject", 0, MANY),
	    "uco-observable:dst": ("uco-observable:ObservableObject", 0, MANY),
	    "uco-observable:sourcePort": ("xsd:integer", 0, 1),
	    "uco-observable:destinationPort": ("xsd:integer", 0, 1),
	    "uco-observable:startTime": ("xsd:dateTime", 0, 1),
	    "uco-observable:endTime": ("xsd:dateTime", 0, 1),
	    "uco-observable:protocols": ("uco-types:ControlledDictionary", 0,
		1)}),
	"uco-types:Hash": (("uco-core:UcoInherentCharacterizationThing",), {
	    "uco-types:hashMethod": ("xsd:string", 1, 1),
	    "uco-types:hashValue": ("xsd:hexBinary", 1, 1)}),
	"uco-types:Dictionary": ((
	    "uco-core:UcoInherentCharacterizationThing",), {
	    "uco-types:entry": ("uco-types:DictionaryEntry", 0, MANY)}),
	"uco-types:ControlledDictionary": (("uco-types:Dictionary",), {
	    "uco-types:entry": ("uco-types:ControlledDictionaryEntry", 0,
		MANY)}),
	"uco-types:DictionaryEntry": ((
	    "uco-core:UcoInherentCharacterizationThing",), {
	    "uco-types:key": ("xsd:string", 1, 1),
	    "uco-types:value": ("xsd:string", 1, 1)}),
	"uco-types:ControlledDictionaryEntry": (("uco-types:DictionaryEntry",),
	    {}),
}
# An open vocabulary: another name is no error, but nobody would know it.
HASHES = "MD5 MD6 SHA1 SHA224 SHA256 SHA384 SHA512 SHA3-224 SHA3-256 " \
    "SHA3-384 SHA3-512 SSDEEP".split()
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-5][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$"
LEXICAL = {"xsd:string": ".*", "xsd:boolean": "true|false|0|1",
    "xsd:integer": r"[+-]?\d+", "xsd:hexBinary": "([0-9a-fA-F]{2})*",
    "xsd:dateTime": r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?"
	r"(Z|[+-]\d\d:\d\d)?"}


def iri(name):
	prefix, rest = name.split(":")
	return rdflib.URIRef(SPACES[prefix] + rest)


def ancestors(name):
	"""The class and all above it."""
	found = {name}
	for above in SHAPES[name][0]:
		found |= ancestors(above)
	return found


BY_IRI = {iri(n): n for n in SHAPES}


def types_of(g, node):
	"""Known classes of a node, with those above them."""
	return set().union(*(ancestors(BY_IRI[t]) for t in g.objects(node,
	    rdflib.RDF.type) if t in BY_IRI)) if isinstance(node,
	    rdflib.URIRef) else set()


def value_fault(g, value, want):
	if want in SHAPES:
		return None if isinstance(value, rdflib.URIRef) and want in \
		    types_of(g, value) else "is no %s" % want
	if not isinstance(value, rdflib.Literal):
		return "is no literal"
	datatype = value.datatype or iri("xsd:string")
	if value.language or datatype != iri(want):
		return "is of %s, not of %s" % (datatype, want)
	return None if re.fullmatch(LEXICAL[want], value, re.S) else \
	    "is malformed"


def faults(g):
	"""What of a graph (rdflib) is not as the shapes have it."""
	found = []
	for node in set(g.subjects()):
		types = types_of(g, node)
		if isinstance(node, rdflib.BNode) or not types:
			found.append((node, "has no name or no known class",
			    list(g.objects(node, rdflib.RDF.type))))
			continue
		if not re.search(UUID, node):
			found.append((node, "its name ends with no UUID"))
		named = {}
		for t in types:
			for p, rule in SHAPES[t][1].items():
				named.setdefault(iri(p), []).append(rule)
		for p in set(g.predicates(node)):
			if p not in named and p != rdflib.RDF.type and \
			    not p.startswith(OURS):
				found.append((node, "no shape of its class has",
				    p))
		for p, rules in named.items():
			values = list(g.objects(node, p))
			for want, least, most in rules:
				if not least <= len(values) <= most:
					found.append((node, p, "stands %d times"
					    % len(values)))
				found += [(node, p, fault) for v in values if
				    (fault := value_fault(g, v, want))]
		if {"uco-core:UcoObject",
		    "uco-core:UcoInherentCharacterizationThing"} <= types:
			found.append((node, "is object and characterization"))
	return found + across(g)


def across(g):
	"""What no single class's shape says."""
	found = [(f, "is the facet of two objects") for f in set(g.objects(None,
	    iri("uco-core:hasFacet"))) if len(set(g.subjects(iri(
	    "uco-core:hasFacet"), f))) > 1]
	for d in set(g.subjects(iri("uco-types:entry"))):
		keys = [k for e in g.objects(d, iri("uco-types:entry"))
		    for k in g.objects(e, iri("uco-types:key"))]
		if len(keys) != len(set(keys)):
			found.append((d, "has a key twice"))
	return found + [(n, "hash of no name", m) for n, m in g.subject_objects(
	    iri("uco-types:hashMethod")) if str(m) not in HASHES]
