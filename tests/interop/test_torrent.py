#!/usr/bin/python3
"""`swarmwitness torrent` over the shared vectors, and over bad input made here.

The vectors' truth is expected.tsv: infohashes by an independent parser, and
what libtorrent's own test demands / what libtorrent 2.0.8 did."""
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import PROGRAM, ROOT		# noqa: E402
from tap import Tap			# noqa: E402

VECTORS = os.path.join(os.path.dirname(ROOT), "shared/vectors/torrents")

# Where libtorrent's test refuses and libtorrent 2.0.8 does not: we accept, and
# a note says what is odd. Piece layers lie outside the info dict, so a wrong
# one says nothing against the infohash or the files; it is left out.
OURS = {
	"v2_invalid_piece_layer_root.torrent": "does not give its file's root",
	"v2_unknown_piece_layer_entry.torrent": "layer of no file",
}

tap = Tap()


def tell(holds, what, why=""):
	tap.claim(holds, what + (": " + why if why else ""))


def run(*args, limit=60):
	p = subprocess.run([PROGRAM, "torrent", *args], capture_output=True,
	    timeout=limit)
	return p.returncode, p.stdout.decode(), p.stderr.decode("latin-1")


# --- the vectors ------------------------------------------------------------

def vectors():
	table = os.path.join(VECTORS, "expected.tsv")
	if not os.path.exists(table):
		print("ok - skipped: no ../shared/vectors here")
		return
	with open(table, newline="") as f:
		rows = list(csv.DictReader(f, delimiter="\t",
		    quoting=csv.QUOTE_NONE))
	files = [os.path.join(VECTORS, r["path"]) for r in rows]
	code, out, err = run("--json", *files)
	lines = [json.loads(l) for l in out.splitlines()]
	by_path = {l["path"]: l for l in lines}
	refusals = {}
	for line in err.splitlines():
		for f in files:
			if f + ": " in line:
				refusals[f] = line.split(f + ": ", 1)[1]
	tell(code == 1, "exit status 1, because some are refused", str(code))
	order = [f for f in files if f in by_path]
	tell([l["path"] for l in lines] == order, "printed in the order given")
	tell(len(by_path) + len(refusals) == len(files),
	    "every vector is printed or refused, none both",
	    "%d + %d of %d" % (len(by_path), len(refusals), len(files)))
	for row, f in zip(rows, files):
		name = os.path.basename(f)
		theirs = [p.strip() == "2.0.8: ok" or p.strip() == "ok" or
		    p.strip().startswith("(2.1)")
		    for p in row["reference_result"].split(" / ")]
		want = name in OURS or theirs[-1]
		if name not in OURS and theirs[0] != theirs[-1]:
			tell(False, name,
			    "libtorrent disagrees with itself; say why in OURS")
			continue
		got = by_path.get(f)
		if got is None:
			tell(not want, name, "refused, " + refusals.get(f,
			    "silently"))
			continue
		faults = []
		if not want:
			faults.append("accepted, libtorrent: " +
			    row["reference_result"])
		if (got["infohash_v1"] or "") != row["infohash_v1"]:
			faults.append("v1 " + str(got["infohash_v1"]))
		if (got["infohash_v2"] or "") != row["infohash_v2"]:
			faults.append("v2 " + str(got["infohash_v2"]))
		if str(got["piece_bytes"]) != row["piece_length"]:
			faults.append("piece length %s" % got["piece_bytes"])
		if got["version"] != "2" and str(got["pieces"]) != \
		    row["pieces"]:
			faults.append("pieces %s" % got["pieces"])
		if ("private" in row["notes"].split(", ")) != got["private"]:
			faults.append("private %s" % got["private"])
		for word, note in ((r"trailing \d+ bytes",
		    "bytes after the end"),
		    ("unsorted", "out of order"),
		    ("", OURS.get(name, ""))):
			if note and re.search(word,
			    row["notes"]) and not any(note in n for n
			    in got["notes"]):
				faults.append("no note that says " + note)
		tell(not faults, name, ", ".join(faults) or
		    "; ".join(got["notes"]))


def libtorrent_agrees():
	"""Names, sizes, files: held against libtorrent itself."""
	try:
		import libtorrent as lt
	except ImportError:
		print("ok - skipped: no python3-libtorrent here")
		return
	if not os.path.isdir(VECTORS):
		return
	files = [os.path.join(d, f) for d, _, fs in os.walk(VECTORS)
	    for f in sorted(fs) if f.endswith(".torrent")]
	_, out, _ = run("--json", *files)
	compared = 0
	for line in out.splitlines():
		got = json.loads(line)
		try:
			ti = lt.torrent_info(got["path"])
		except RuntimeError:
			continue
		fs = ti.files()
		pad = lt.file_storage.flag_pad_file
		theirs = [(fs.file_size(i), bool(fs.file_flags(i) & pad))
		    for i in range(fs.num_files())]
		ours = [(f["bytes"], f["pad"]) for f in got["files"]]
		# It places padding of its own there.
		if got["version"] != "1":
			theirs = [t for t in theirs if not t[1]]
			ours = [o for o in ours if not o[1]]
		total = sum(b for b, p in theirs if not p)
		faults = []
		if ours != theirs:
			faults.append("files %s, theirs %s" % (ours[:5],
			    theirs[:5]))
		if got["total_bytes"] != total:
			faults.append("total %d, theirs %d" %
			    (got["total_bytes"], total))
		if got["pieces"] != ti.num_pieces():
			faults.append("pieces %d, theirs %d" % (got["pieces"],
			    ti.num_pieces()))
		if got["private"] != ti.priv():
			faults.append("private")
		if sorted(got["trackers"]) != sorted(t.url for t
		    in ti.trackers()):
			faults.append("trackers %s, theirs %s" % (
			    got["trackers"], [t.url for t in ti.trackers()]))
		# It cleans odd paths and cuts long ones; we show them as they
		# are.
		if not got["notes"] and len(got["name"]) < 240:
			names = [fs.file_path(i) for i in range(fs.num_files())
			    if not fs.file_flags(i) & pad]
			mine = [f["path"] for f in got["files"] if not f["pad"]]
			if names != mine:
				faults.append("paths %s, theirs %s" % (mine[:4],
				    names[:4]))
		compared += 1
		if faults:
			tell(False, "as libtorrent reads " +
			    os.path.basename(got["path"]),
			    "; ".join(faults))
	tell(compared > 60,
	    "files, sizes, pieces, trackers as libtorrent reads them",
	    "%d torrents" % compared)


# --- bad input --------------------------------------------------------------

def enc(v):
	if isinstance(v, int):
		return b"i%de" % v
	if isinstance(v, str):
		v = v.encode()
	if isinstance(v, bytes):
		return b"%d:%s" % (len(v), v)
	if isinstance(v, list):
		return b"l" + b"".join(map(enc, v)) + b"e"
	return b"d" + b"".join(enc(k) + enc(x) for k, x
	    in sorted(v.items())) + b"e"


def single(**over):
	info = {"name": "a", "piece length": 16384, "length": 20000,
	    "pieces": b"x" * 40}
	info.update({k.replace("_", " "): v for k, v in over.items()})
	return enc({"info": {k: v for k, v in info.items() if v is not None}})


def multi(*files, pieces=1):
	return single(length=None, pieces=b"x" * 20 * pieces, files=list(files))


def write(folder, name, data):
	path = os.path.join(folder, name)
	with open(path, "wb") as f:
		f.write(data)
	return path


REFUSED = {
	"empty": b"",
	"HTML": b"<html><body>404</body></html>",
	"negative length": single(length=-1),
	"length beyond int64": single(length=0).replace(b"i0e",
	    b"i9223372036854775808e"),
	"length of the largest int64": single(length=2**63 - 1),
	"lengths that overflow when summed": multi(
	    *[{"length": 2**62, "path": ["f%d" % i]} for i in range(5)]),
	"one hash too few": single(pieces=b"x" * 20),
	"one hash too many": single(pieces=b"x" * 60),
	"half a hash": single(pieces=b"x" * 50),
	"no hashes": single(pieces=None),
	"no content": single(length=0, pieces=b""),
	"piece length 0": single(piece_length=0),
	"piece length beyond the most": single(piece_length=2**29 + 1,
	    pieces=b"x" * 20),
	"no name": single(name=None),
	"a single file named ..": single(name=".."),
	"a single file without a name": single(name=""),
	"neither files nor length": single(length=None),
	"files that are no list": single(length=None, files={"a": 1}),
	"a file that is a number": multi(7),
	"a file without path": multi({"length": 1}),
	"a file with an empty path list": multi({"length": 1, "path": []}),
	"a path element that is a number": multi({"length": 1, "path": [1]}),
	"a file without length": multi({"path": ["a"]}),
	"unknown meta version": single(meta_version=3),
	"file tree without meta version": single(file_tree={}),
	"v2 without file tree": single(meta_version=2),
	"info that is a list": enc({"info": []}),
	"no info": enc({"announce": "http://x/"}),
	"nesting beyond the most": b"d4:infod1:x" + b"l" * 200 + b"e" * 202,
}

ACCEPTED = {
	"plain": (single(), None),
	"..": (multi({"length": 5, "path": ["..", "..", "etc", "passwd"]}),
	    "separator"),
	"absolute": (multi({"length": 5, "path": ["/etc/passwd"]}), "separator"),
	"backslash": (multi({"length": 5, "path": ["a\\b"]}), "separator"),
	"empty element": (multi({"length": 5, "path": ["a", "", "b"]}),
	    "separator"),
	"same path twice": (multi({"length": 5, "path": ["a"]},
	    {"length": 5, "path": ["a"]}), "twice"),
	"not UTF-8": (single(name=b"\xff\xfe"), "UTF-8"),
	"control characters": (single(name="a\x1b[2Jb\n"), "control"),
	"trailing bytes": (single() + b"\n", "after the end"),
	"blank URL": (enc({"announce": " http://x/ ", "info": {
	    "name": "a", "piece length": 16384, "length": 5, "pieces": b"x" * 20}}),
	    "blanks"),
	"both lengths": (single(files=[{"length": 20000, "path": ["a"]}]), "both"),
	"symlink with a length": (multi(
	    {"length": 5, "path": ["a"]},
	    {"attr": "l", "length": 9, "path": ["b"], "symlink path": ["a"]}),
	    "symbolic"),
}


def bad_input(folder):
	for what, data in REFUSED.items():
		path = write(folder, "bad.torrent", data)
		code, out, err = run("--json", path)
		lines = err.splitlines()
		tell(code == 1 and not out and len(lines) == 1 and path
		    in lines[0] and
		    "offset" in lines[0], "refused: " + what, err.strip() or
		    out)
	for what, (data, note) in ACCEPTED.items():
		path = write(folder, "good.torrent", data)
		code, out, err = run("--json", path)
		notes = json.loads(out)["notes"] if code == 0 else []
		tell(code == 0 and not err and (notes == [] if note is None else
		    any(note in n for n in notes)), "accepted: " + what,
		    "; ".join(notes) or err.strip())
		code, out, err = run(path)
		tell(code == 0 and out.isascii() and not
		    [c for c in out if c < " " and c != "\n"],
		    "summary in plain ASCII: " + what)


def truncated(folder):
	whole = single()
	paths = [write(folder, "cut%03d.torrent" % n, whole[:n])
	    for n in range(len(whole))]
	code, out, err = run("--json", *paths)
	lines = err.splitlines()
	tell(code == 1 and not out and len(lines) == len(paths) and
	    all(p in l for p, l in zip(paths, lines)),
	    "refused at every length but the whole", "%d" % len(paths))
	code, out, err = run("--json", paths[9], write(folder, "whole.torrent",
	    whole),
	    paths[5])
	tell(code == 1 and len(out.splitlines()) == 1 and
	    len(err.splitlines()) == 2, "the others are still printed")


def timed(what, limit, path, want):
	t = time.monotonic()
	code, out, err = run("--json", path, limit=120)
	t = time.monotonic() - t
	tell(code == want and t < limit, what, "%.1f s, %s" % (
	    t, err.strip()[-70:] or "%d bytes out" % len(out)))


def large(folder):
	path = write(folder, "deep.torrent", b"l" * (100 << 20))
	timed("100 MB of lists in lists", 5, path, 1)
	path = write(folder, "deep.torrent", b"d1:a" * (25 << 20))
	timed("100 MB of dicts in dicts", 5, path, 1)
	n = 60
	tree = b"d" + b"".join(b"5:%05d" % i + b"d1:a" * n +
	    b"d0:d6:lengthi1e11:pieces root32:" +
	    b"r" * 32 + b"ee" + b"e" * n for i in range(100000)) + b"e"
	path = write(folder, "wide.torrent", b"d4:infod9:file tree" + tree +
	    b"12:meta versioni2e4:name1:a12:piece lengthi16384eee")
	timed("100000 files, 60 folders deep each", 20, path, 0)
	files = b"".join(b"d6:lengthi20e4:pathl4:%04x4:%04xee" % (i >> 10, i)
	    for i in range(1 << 16))
	path = write(folder, "many.torrent", b"d4:infod5:filesl" + files +
	    b"e4:name1:a12:piece lengthi16384e6:pieces1600:" + b"x" * 1600 +
	    b"ee")
	timed("65536 files", 5, path, 0)
	count = (1 << 20) - 2
	roots = [b"%032d" % (i * 7919 % 1000003) for i in range(count // 4)]
	tree = b"d" + b"".join(b"7:%07d" % i +
	    b"d0:d6:lengthi16385e11:pieces root32:" +
	    r + b"ee" for i, r in enumerate(roots)) + b"e"
	layers = b"d" + b"".join(b"32:" + r + b"64:" + b"h" * 64
	    for r in reversed(roots)) + b"e"
	path = write(folder, "layers.torrent", b"d4:infod9:file tree" + tree +
	    b"12:meta versioni2e4:name1:a12:piece lengthi16384ee"
	    b"12:piece layers" +
	    layers + b"e")
	timed("262143 files with a layer each, in the wrong order", 20, path, 0)
	with open(os.path.join(folder, "huge.torrent"), "wb") as f:
		f.truncate((128 << 20) + 1)
	timed("more than 128 MiB", 5, f.name, 1)
	timed("an endless file", 10, "/dev/zero", 1)
	timed("a folder", 5, folder, 1)
	timed("no file", 5, os.path.join(folder, "none"), 1)


# --- magnets, usage ---------------------------------------------------------

V1, V2 = "631a31dd0a46257d5078c0dee4e66e26f73e42ac", \
    "d8dd32ac93357c368556af3ac1d95c9d76bd0dff6fa9833ecdac3d53134efabb"


def magnets():
	link = ("magnet:?xt=urn:btih:%s&xt=urn:btmh:1220%s&dn=a+%%22b%%22%%0a&"
	    "tr=http%%3A%%2F%%2Ft.example%%2Fannounce&tr=udp://u.example:1" %
	    (V1, V2))
	code, out, _ = run(link, "--json", "magnet:?xt=urn:btih:" + V1.upper(),
	    V2)
	got = [json.loads(l) for l in out.splitlines()]
	tell(code == 0 and [g["version"] for g in got] == ["hybrid", "1", "2"],
	    "three links, the option between them")
	tell(got[0]["path"] == link and got[0]["name"] == 'a "b"\n' and
	    got[0]["infohash_v1"] == V1 and got[0]["infohash_v2"] == V2 and
	    got[0]["trackers"] == ["http://t.example/announce",
	    "udp://u.example:1"]
	    and got[0]["files"] is None and got[0]["total_bytes"] is None,
	    "a hybrid link", json.dumps(got[0]))
	code, out, err = run("--json", "magnet:?dn=x", link)
	tell(code == 1 and len(out.splitlines()) == 1 and "no infohash" in err,
	    "a link without infohash is refused", err.strip())


def usage():
	code, out, err = run("--help")
	tell(code == 0 and "usage" in out and not err, "--help")
	code, out, err = run()
	tell(code == 2 and "usage" in err and not out, "no operand is misuse")
	code, out, err = run("--wrong", "x")
	tell(code == 2 and not out, "an unknown option is misuse")
	p = subprocess.run([PROGRAM, "torrent", "--json", V1],
	    stderr=subprocess.PIPE,
	    stdout=open("/dev/full", "w"))
	tell(p.returncode == 1 and b"writing failed" in p.stderr,
	    "a full disk is an error")


def main():
	if not os.access(PROGRAM, os.X_OK):
		print("not ok - no " + PROGRAM + ": run make")
		return 1
	vectors()
	libtorrent_agrees()
	with tempfile.TemporaryDirectory() as folder:
		bad_input(folder)
		truncated(folder)
		large(folder)
	magnets()
	usage()
	return tap.status()


if __name__ == "__main__":
	sys.exit(main())
