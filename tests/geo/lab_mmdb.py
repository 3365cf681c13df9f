#!/usr/bin/env python3
"""Writes a small MaxMind DB (format 2.0) for networks of a laboratory.

	lab_mmdb.py OUT.mmdb PREFIX=COUNTRY[,ASN[,ORGANISATION]]...
	lab_mmdb.py OUT.mmdb NETWORKS.json

The JSON maps a prefix to {"country": "DE", "asn": 64512, "org": "..."}.
Longer prefixes win. --built SECONDS sets the build time (default
2026-01-01, so that the same input gives the same file; 0 is refused by readers). Standard library only; the format is that
of https://maxmind.github.io/MaxMind-DB/ .
"""
import argparse
import ipaddress
import json
import struct

MAP, UINT16, UINT32, UTF8, UINT64, ARRAY = 7, 5, 6, 2, 9, 11
BUILT = 1767225600
METADATA = b"\xab\xcd\xefMaxMind.com"


def control(kind, size):
	extended = b""
	if kind > 7:
		extended, kind = bytes([kind - 7]), 0
	if size < 29:
		return bytes([kind << 5 | size]) + extended
	if size < 285:
		return bytes([kind << 5 | 29]) + extended + bytes([size - 29])
	return bytes([kind << 5 | 30]) + extended + struct.pack(">H", size - 285)


def number(kind, value):
	data = value.to_bytes(8, "big").lstrip(b"\0")
	return control(kind, len(data)) + data


def encode(value):
	if isinstance(value, dict):
		return control(MAP, len(value)) + b"".join(
			encode(k) + encode(v) for k, v in value.items())
	if isinstance(value, list):
		return control(ARRAY, len(value)) + b"".join(map(encode, value))
	if isinstance(value, tuple):            # (kind, number)
		return number(*value)
	data = value.encode()
	return control(UTF8, len(data)) + data


def build(networks, description="laboratory networks", built=BUILT,
		  database_type="Lab-Country-ASN"):
	"""networks: {prefix: {"country", "asn", "org"}} -> the file's bytes."""
	tree, data, at = [[None, None]], b"", {}
	entries = []
	for prefix, facts in networks.items():
		net = ipaddress.ip_network(prefix)
		bits = format(int(net.network_address), f"0{net.max_prefixlen}b")
		bits = bits[:net.prefixlen]
		if net.version == 4:                # IPv4 lives under ::/96
			bits = "0" * 96 + bits
		entries.append((len(bits), bits, facts))
	for _, bits, facts in sorted(entries, key=lambda e: e[:2]):
		value = {}
		if facts.get("country"):
			value["country"] = {"iso_code": facts["country"]}
		if facts.get("asn"):
			value["autonomous_system_number"] = (UINT32, int(facts["asn"]))
		if facts.get("org"):
			value["autonomous_system_organization"] = facts["org"]
		value = value or facts.get("other", {"other": "nothing"})
		raw = encode(value)
		if raw not in at:
			at[raw] = len(data)
			data += raw
		node = 0
		for i, bit in enumerate(bits):
			side = int(bit)
			if i == len(bits) - 1:
				# A shorter prefix was placed before: replace, or a subtree
				# of longer ones cannot exist yet, because of the order.
				tree[node][side] = ("data", at[raw])
				break
			below = tree[node][side]
			if not isinstance(below, int):
				tree.append([below, below])  # what covers it covers both
				below = tree[node][side] = len(tree) - 1
			node = below
	count, packed = len(tree), b""
	for node in tree:
		for side in node:
			if side is None:
				v = count
			elif isinstance(side, int):
				v = side
			else:
				v = count + 16 + side[1]
			packed += v.to_bytes(4, "big")
	meta = encode({
		"binary_format_major_version": (UINT16, 2),
		"binary_format_minor_version": (UINT16, 0),
		"build_epoch": (UINT64, built),
		"database_type": database_type,
		"description": {"en": description},
		"ip_version": (UINT16, 6),
		"languages": ["en"],
		"node_count": (UINT32, count),
		"record_size": (UINT16, 32),
	})
	return packed + bytes(16) + data + METADATA + meta


def main():
	p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	p.add_argument("out")
	p.add_argument("networks", nargs="+")
	p.add_argument("--built", type=int, default=BUILT)
	p.add_argument("--type", default="Lab-Country-ASN")
	a = p.parse_args()
	networks = {}
	for n in a.networks:
		if "=" in n:
			prefix, facts = n.split("=", 1)
			country, asn, org = (facts.split(",", 2) + ["", ""])[:3]
			networks[prefix] = {"country": country, "asn": int(asn or 0),
								"org": org}
		else:
			with open(n) as f:
				networks.update(json.load(f))
	with open(a.out, "wb") as f:
		f.write(build(networks, built=a.built, database_type=a.type))


if __name__ == "__main__":
	main()
