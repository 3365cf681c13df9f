#!/usr/bin/python3
"""`report --reference`: time ranges, of media that ffmpeg makes here.

Where packets lie is found here in other ways than the program's: in Matroska
by walking its elements (RFC 9559), in MP4 as ffprobe says in JSON. And whatever
is in a range is looked for in the torrent's own, altered file: `ffmpeg -c copy
-f framemd5` gives a digest of each packet, which must be that of the copy."""
import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import synthetic		# noqa: E402
from content import bencode	# noqa: E402
from pages import Page		# noqa: E402
from tap import Tap		# noqa: E402

PROGRAM = os.environ.get("SWARMWITNESS") or \
    os.path.join(synthetic.ROOT, "build/san/swarmwitness")
PIECE = 16384
BEFORE = 5000		# of a sample, which shares the film's first piece
tap = Tap()
tmp = tempfile.mkdtemp(prefix="test_reference_time.")


def at(*name):
	return os.path.join(tmp, *name)


def run(*args, **more):
	return subprocess.run(args, capture_output=True, text=True,
	    stdin=subprocess.DEVNULL, check=True, **more).stdout


def make(name, *args):
	"""Twelve seconds of picture with B-frames, sound and subtitles."""
	with open(at("s.srt"), "w") as f:
		for i in range(6):
			f.write("%d\n00:00:%02d,000 --> 00:00:%02d,500\nline %d"
			    "\n\n" % (i + 1, 2 * i, 2 * i + 1, i))
	run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
	    "testsrc2=size=320x240:rate=25", "-f", "lavfi", "-i",
	    "sine=frequency=440:sample_rate=44100", "-i", at("s.srt"), "-t",
	    "12", "-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264",
	    "-bf", "2", "-g", "50", "-c:a", "aac", *args, at(name))


# --- where packets lie, and when ----------------------------------------------

def vint(data, p, marked):
	n = 8 - data[p].bit_length() + 1
	v = int.from_bytes(data[p:p + n], "big")
	return (v if marked else v & ((1 << 7 * n) - 1)), p + n


def blocks(data):
	"""(first byte, end) of each Matroska block, as it lies there."""
	found = []

	def walk(p, end):
		while p < end:
			ident, p = vint(data, p, True)
			size, p = vint(data, p, False)
			# Segment, Cluster, BlockGroup; SimpleBlock, Block
			if ident in (0x18538067, 0x1f43b675, 0xa0):
				walk(p, min(p + size, end))
			elif ident in (0xa3, 0xa1):
				found.append((p, p + size))
			p += size
	walk(0, len(data))
	return found


def packets(path):
	"""Those that are presented: (stream, pts, duration, place, end at most,
	true end), in order of streams and times."""
	with open(path, "rb") as f:
		data = f.read()
	mkv = path.endswith(".mkv")
	ends = dict(blocks(data)) if mkv else {}
	starts = sorted(ends) + [len(data)]
	behind = dict(zip(starts, starts[1:]))
	got = []
	for p in json.loads(run("ffprobe", "-v", "error", "-fflags",
	    "+noparse+nofillin", "-show_packets", "-of", "json",
	    path))["packets"]:
		if "D" in p["flags"]:
			continue
		pos = int(p["pos"])
		end = ends[pos] if mkv else pos + int(p["size"])
		got.append((p["stream_index"], round(float(p["pts_time"]) *
		    10 ** 6), p.get("duration_time"), pos,
		    behind[pos] if mkv else end, end))
	return sorted(got)


def ranges(listed, bytes_):
	"""[stream, from, to, packets] by the words of docs/derived-tables.md."""
	got, before = [], None
	for i, (stream, pts, length, pos, end, _) in enumerate(listed):
		within = any(a <= pos and end <= b for a, b in bytes_)
		after = listed[i + 1][1] if i + 1 < len(listed) and \
		    listed[i + 1][0] == stream else None
		if within:
			until = pts + round(float(length) * 10 ** 6) \
			    if length else pts if after is None else after
			if after is not None:
				until = min(until, after)
			if before != stream:
				got.append([stream, pts, until, 0])
			got[-1][2:] = until, got[-1][3] + 1
		before = stream if within else None
	return got


def near(a, b):
	return len(a) == len(b) and all(x[0] == y[0] and x[3] == y[3] and
	    abs(x[1] - y[1]) < 1 and abs(x[2] - y[2]) < 1
	    for x, y in zip(a, b))


def digests(path, streams):
	"""{(stream, pts in its units): digest} of a file's packets."""
	got = {}
	for line in run("ffmpeg", "-v", "error", "-i", path, "-map", "0",
	    "-copyts", "-c", "copy", "-f", "framemd5", "-").splitlines():
		if not line.startswith("#"):
			stream, _, pts, _, _, digest = line.split(",")[:6]
			got.setdefault((int(stream), int(pts)), []).append(
			    digest.strip())
	return got


# --- the case -------------------------------------------------------------------

def case_of(name, copy, changed):
	"""A torrent of the copy with bytes changed, a sample before it and text
	behind; pieces that three addresses delivered of it. The rest is as long
	as it has to be."""
	with open(copy, "rb") as f:
		film = bytearray(f.read())
	for i in changed:
		film[i] ^= 0xff
	with open(at(name + ".torrent-has" + os.path.splitext(copy)[1]),
	    "wb") as f:
		f.write(film)
	files = (("Sample/" + name, hashlib.shake_256(b"s").digest(BEFORE)),
	    (name, bytes(film)), ("read.txt", b"x" * 20000))
	data = b"".join(d for _, d in files)
	info = {"name": "T", "piece length": PIECE, "pieces": b"".join(
	    hashlib.sha1(data[i:i + PIECE]).digest()
	    for i in range(0, len(data), PIECE)),
	    "files": [{"length": len(d), "path": p.split("/")}
	    for p, d in files]}
	swarm = hashlib.sha1(bencode(info)).hexdigest()
	c = synthetic.Case(at("case-" + name))
	c.run()
	c.torrent(swarm, "T")
	c.db.execute("INSERT INTO raw VALUES (?, ?)", (c.seq - 1, bencode(
	    {"info": info})))
	bad = (BEFORE + changed[0]) // PIECE
	talks = []
	for ip, pieces in (("10.77.1.1", (5, 3, 4, 4)), ("10.77.1.2", (9,)),
	    ("10.77.1.3", (bad, 0))):
		conn = c.dial(swarm, ip, 6881)
		c.handshake(conn, swarm, ip, 6881, "qBittorrent")
		for i in pieces:
			c.piece(conn, swarm, ip, 6881, i)
		c.close(conn, swarm, ip, 6881)
		talks.append((conn, ip, pieces))
	c.end()
	return at("case-" + name), talks, len(film)


def report(case, *args, **env):
	r = subprocess.run([PROGRAM, "report", case, "-o", at("out"), *args],
	    capture_output=True, text=True, env=dict(os.environ, **env))
	if r.returncode:
		print("# %s: %d %s" % (args, r.returncode, r.stderr))
	return r.returncode == 0


def read(name):
	with open(at("out", name), encoding="utf-8", newline="") as f:
		return f.read()


def rows(name):
	return list(csv.DictReader(io.StringIO(read(name))))


def us(text):
	whole, part = text.lstrip("-").split(".")
	return (int(whole) * 10 ** 6 + int(part)) * (-1 if text[0] == "-"
	    else 1)


def clock(v):
	ms = v // 1000
	sign, ms = ("-", -ms) if ms < 0 else ("", ms)
	return "%s%d:%02d:%02d.%03d" % (sign, ms // 3600000, ms // 60000 % 60,
	    ms // 1000 % 60, ms % 1000)


def of_json(found):
	return [[r["stream"], us(r["from_s"]), us(r["to_s"]), r["packets"]]
	    for r in found]


def of_csv(found):
	return [[int(r["stream"]), us(r["from_s"]), us(r["to_s"]),
	    int(r["packets"])] for r in found if r["from_s"]]


def bytes_of(r):
	return [(g["from_byte"], g["to_byte"]) for g in r["ranges"]
	    if g["verdict"] == "agrees"]


def sound(what, copy, theirs, listed, found):
	"""Every packet in a range is the torrent's file's own, too; none that
	was changed is in one."""
	ours, others = digests(copy, 3), digests(theirs, 3)
	base = {int(s["index"]): [int(x) for x in s["time_base"].split("/")]
	    for s in json.loads(run("ffprobe", "-v", "error", "-show_streams",
	    "-of", "json", copy))["streams"]}
	inside = differs = wrong = 0
	for (stream, pts), digest in ours.items():
		num, den = base[stream]
		t = pts * num * 10 ** 6 / den
		hit = any(s == stream and a - 1 <= t < b - 1
		    for s, a, b, _ in found)
		other = others.get((stream, pts)) != digest
		inside += hit
		differs += other
		wrong += hit and other
	tap.claim(inside > 100 and differs > 1 and wrong == 0, "%s: %d packets "
	    "lie in ranges, and all are in the torrent's file; %d are not in "
	    "it, none of these in a range" % (what, inside, differs),
	    (inside, differs, wrong))


def time_of(name, *how):
	make(name, *how)
	copy = at("-" + name)		# a name that looks like an option
	os.rename(at(name), copy)
	size = os.path.getsize(copy)
	listed = packets(copy)
	changed = [size // 2, size // 2 + 1, size * 3 // 4]
	case, talks, _ = case_of(name, copy, changed)
	args = ("--reference", "T/%s=-%s" % (name, name))
	here = os.getcwd()
	os.chdir(tmp)
	tap.claim(report(case, *args), name + ": a report")
	os.chdir(here)
	j = json.loads(read("report.json"))
	r = j["references"][0]
	t = r["time"]
	found = of_json(t["ranges"])
	want = ranges(listed, bytes_of(r))
	tap.claim(near(found, want) and len(found) > 6, "%s: %d time ranges "
	    "are those computed here" % (name, len(found)), (found, want))
	tap.claim(all(any(a <= p[3] and p[5] <= b for a, b in bytes_of(r))
	    for p in listed if any(s == p[0] and a <= p[1] < b
	    for s, a, b, _ in found)), name + ": what begins in one lies in "
	    "bytes that agree, to its last byte")
	sound(name, copy, at(name + ".torrent-has" +
	    os.path.splitext(name)[1]), listed, found)
	version = run("ffprobe", "-version").split()[2]
	tap.equal((t["ffprobe"], t["copy_sha256"], t["not_determined"]),
	    (version, hashlib.sha256(open(copy, "rb").read()).hexdigest(),
	    None), name + ": by which ffprobe, of which bytes")
	tap.equal([(s["type"], s["of_packets"], s["packets"], s[
	    "not_determined"]) for s in t["streams"]],
	    [(kind, sum(p[0] == i for p in listed),
	    sum(f[3] for f in found if f[0] == i), None)
	    for i, kind in enumerate(("video", "audio", "subtitle"))],
	    name + ": packets of each stream")
	table = rows("reference-time.csv")
	tap.claim(of_csv(table) == found and all(r["from"] == clock(us(
	    r["from_s"])) and r["to"] == clock(us(r["to_s"])) and r["ffprobe"]
	    == version and r["copy_sha256"] == t["copy_sha256"] and
	    r["not_determined"] == "" for r in table if r["from_s"]),
	    name + ": the CSV has the same, in both ways of writing", table)
	page = " ".join(Page(read("reference.html")).text.split())
	tap.claim(version in page and all(clock(f[1]) in page for f in found)
	    and page.count(t["copy_sha256"]) > 1, name + ": and the page")
	received(name, j, talks, listed, r)
	made = {n: read(n) for n in os.listdir(at("out"))}
	os.chdir(tmp)
	report(case, *args)
	os.chdir(here)
	tap.claim(made == {n: read(n) for n in os.listdir(at("out"))},
	    name + ": made again, the same bytes")
	return case, copy


def received(name, j, talks, listed, r):
	got = j["references_received_time"]
	want = []
	for conn, ip, pieces in talks[:2]:
		first, last = min(pieces), max(pieces)
		want.append((conn, ip, len(set(pieces)), ranges(listed,
		    [(first * PIECE - BEFORE, (last + 1) * PIECE - BEFORE)])))
	tap.claim([(g["conn"], g["address"], g["pieces"]) for g in got] ==
	    [w[:3] for w in want] and all(near(of_json(g["ranges"]), w[3])
	    for g, w in zip(got, want)) and len(want[0][3]) >= 2,
	    name + ": the time that each connection delivered; none for a "
	    "piece that differs or is open", (got, want))
	table = rows("reference-received-time.csv")
	tap.equal([(int(t["conn"]), t["ip"], *f) for t, f in zip(table,
	    of_csv(table))], [(g["conn"], g["address"], *f) for g in got
	    for f in of_json(g["ranges"])], name + ": in the CSV, too")
	tap.claim("Which time of the copies that is" in read("reference.html")
	    and (not want[1][3] or clock(want[1][3][0][1]) in
	    read("reference.html")), name + ": and on the page")


def one_address(case, name, copy):
	tap.claim(report(case, "--ip", "10.77.1.2", "--reference", "T/%s=%s" %
	    (name, copy)) and {g["address"] for g in json.loads(read(
	    "address.json"))["references_received_time"]} == {"10.77.1.2"},
	    "an address record has its own time alone")


def not_determined(case, name, copy):
	"""Whatever is wrong with ffprobe: that is said, and all else stands."""
	def look():
		j = json.loads(read("report.json"))
		t = j["references"][0].pop("time")
		received = j.pop("references_received_time")
		return j, read("reference.csv"), \
		    read("reference-received.csv"), t, received
	args = ("--reference", "T/%s=%s" % (name, copy))
	report(case, *args)
	well = look()
	for what, script, why in (("no ffprobe", None, "could not be run"),
	    ("one that fails", "exit 3", "exit status 3"),
	    ("one that is killed", "kill -9 $$", "signal 9"),
	    ("one that writes something else", "echo '<b>hello'",
	    "a line of another kind")):
		folder = tempfile.mkdtemp(dir=tmp)
		if script:
			file = os.path.join(folder, "ffprobe")
			with open(file, "w") as f:
				f.write("#!/bin/sh\n" + script + "\n")
			os.chmod(file, 0o755)
		ok = report(case, *args, PATH=folder)
		now = look()
		row = rows("reference-time.csv")
		page = " ".join(Page(read("reference.html")).text.split())
		tap.claim(ok and now[:3] == well[:3] and why in now[3][
		    "not_determined"] and now[3]["streams"] == [] and now[3][
		    "ranges"] == [] and now[4] == [] and len(row) == 1 and
		    why in row[0]["not_determined"] and
		    "Time ranges were not determined: ffprobe" in page,
		    what + ": said with its reason, and nothing else changes",
		    now[3:])


def no_media():
	"""Lists that name other files, and what is no media."""
	make("list.mkv", "-c:s", "srt")
	for name, text in (("list.mkv", None),
	    ("concat.mkv", b"ffconcat version 1.0\nfile list.mkv\n"),
	    ("hls.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n"
	    b"list.mkv\n#EXT-X-ENDLIST\n"),
	    ("text.mkv", b"nothing to see\n" * 9)):
		if text:
			with open(at(name), "wb") as f:
				f.write(text * 1000 if name == "text.mkv" else
				    text)
		case = case_of("x" + name, at(name), (1,))[0]
		report(case, "--reference", "T/x%s=%s" % (name, at(name)))
		t = json.loads(read("report.json"))["references"][0]["time"]
		tap.equal(t["not_determined"] is None, text is None,
		    "%s: %s" % (name, t["not_determined"] or "is read"))


def main():
	case, copy = time_of("film.mp4", "-c:s", "mov_text")
	one_address(case, "film.mp4", copy)
	not_determined(case, "film.mp4", copy)
	time_of("fast.mp4", "-c:s", "mov_text", "-movflags", "+faststart")
	time_of("fragments.mp4", "-c:s", "mov_text", "-movflags",
	    "+frag_keyframe+empty_moov")
	time_of("film.mkv", "-c:s", "srt")
	no_media()
	return tap.status()


if __name__ == "__main__":
	status = main()
	subprocess.run(["rm", "-rf", tmp])
	sys.exit(status)
