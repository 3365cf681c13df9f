#!/usr/bin/python3
"""A libtorrent peer of the lab: seed, holder of some pieces, or leech.

    seed.py LISTEN TORRENT FOLDER ROLE BYTES_PER_SECOND [SETTINGS]

ROLE is seed, partial (asks nobody for anything) or leech; "+pex" behind it
lets it exchange peers, "+super" super-seed. Half-second lines of JSON on
stdout say what it holds by its own account. SETTINGS, a JSON object, are
libtorrent's and come before our own. A line "ADDRESS PORT" on stdin makes it
dial that peer. Ends on end of stdin.
"""
import json
import select
import sys

import libtorrent as lt

listen, torrent, folder, role = sys.argv[1:5]
settings = {
	"listen_interfaces": listen,
	"enable_dht": False, "enable_lsd": False,
	"enable_upnp": False, "enable_natpmp": False,
	"enable_outgoing_utp": False, "enable_incoming_utp": False,
	"out_enc_policy": 2, "in_enc_policy": 2,	# plain handshakes only
	"allow_multiple_connections_per_ip": True,
	"announce_to_all_tiers": True, "announce_to_all_trackers": True,
	"alert_mask": 0,
}
settings.update(json.loads(sys.argv[6]) if len(sys.argv) > 6 else {})
session = lt.session(settings)
p = lt.add_torrent_params()
p.ti = lt.torrent_info(torrent)
p.save_path = folder
p.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
p.flags |= lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd
role, *more = role.split("+")
if "pex" not in more:
	p.flags |= lt.torrent_flags.disable_pex
if "super" in more:
	p.flags |= lt.torrent_flags.super_seeding
if role == "partial":
	p.flags |= lt.torrent_flags.upload_mode
if role == "leech":
	p.download_limit = int(sys.argv[5])
handle = session.add_torrent(p)

met = {}	# who -> the most payload that came from there and went there
while True:
	for q in handle.get_peer_info():
		down, up = met.get(q.ip, (0, 0))
		met[q.ip] = (max(down, q.total_download),
		    max(up, q.total_upload))
	s = handle.status(lt.status_flags_t.query_pieces
	    if hasattr(lt, "status_flags_t") else 0xffffffff)
	print(json.dumps({"state": str(s.state), "port": session.listen_port(),
	    "pieces": [i for i, have in enumerate(s.pieces) if have],
	    "met": [[*who, *n] for who, n in met.items()],
	    "error": s.errc.message() if s.errc.value() else None}),
	    flush=True)
	if select.select([sys.stdin], [], [], 0.5)[0]:
		peer = sys.stdin.readline().split()
		if not peer:
			break
		handle.connect_peer((peer[0], int(peer[1])))
