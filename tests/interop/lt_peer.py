#!/usr/bin/python3
"""A libtorrent peer with everything said on the command line, as JSON.

    lt_peer.py '{"listen": "IP:PORT", "torrent": FILE or "magnet": LINK,
	"folder": ..., "seed": true, "super": false, "pex": false,
	"dht": ["IP", PORT], "peers": [["IP", PORT], ...]}'

Half-second lines of JSON on stdout say its state. Ends on end of stdin.
"""
import json
import select
import sys

import libtorrent as lt

o = json.loads(sys.argv[1])
session = lt.session({
	"listen_interfaces": o["listen"],
	"enable_dht": bool(o.get("dht")), "enable_lsd": False,
	"dht_bootstrap_nodes": "", "dht_ignore_dark_internet": False,
	"dht_restrict_routing_ips": False, "dht_restrict_search_ips": False,
	"enable_upnp": False, "enable_natpmp": False,
	"enable_outgoing_utp": False, "enable_incoming_utp": False,
	"out_enc_policy": 2, "in_enc_policy": 2,
	"allow_multiple_connections_per_ip": True,
	"announce_to_all_tiers": True, "announce_to_all_trackers": True,
	"close_redundant_connections": False,
	"alert_mask": 0, "dht_announce_interval": 10,
})
if o.get("dht"):
	session.add_dht_node(tuple(o["dht"]))
if "magnet" in o:
	p = lt.parse_magnet_uri(o["magnet"])
else:
	p = lt.add_torrent_params()
	p.ti = lt.torrent_info(o["torrent"])
p.save_path = o["folder"]
p.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
p.flags |= lt.torrent_flags.disable_lsd
if not o.get("pex"):
	p.flags |= lt.torrent_flags.disable_pex
if not o.get("dht"):
	p.flags |= lt.torrent_flags.disable_dht
if o.get("super"):
	p.flags |= lt.torrent_flags.super_seeding
if not o.get("seed"):
	p.flags |= lt.torrent_flags.upload_mode
handle = session.add_torrent(p)
for ip, port in o.get("peers", ()):
	handle.connect_peer((ip, port))
met = {}	# who -> the most payload that came from there and went there
while True:
	for q in handle.get_peer_info():
		down, up = met.get(q.ip, (0, 0))
		met[q.ip] = (max(down, q.total_download),
		    max(up, q.total_upload))
	s = handle.status()
	print(json.dumps({"state": str(s.state), "port": session.listen_port(),
	    "peers": len(met), "met": [[*who, *n] for who, n in met.items()],
	    "error": s.errc.message() if s.errc.value() else None}),
	    flush=True)
	if select.select([sys.stdin], [], [], 0.5)[0]:
		break
