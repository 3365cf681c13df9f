#!/usr/bin/python3
"""A libtorrent host of the DHT's lab: a node, and with a torrent a peer.

    dht_lt.py LISTEN NODES FINDS [TORRENT FOLDER]

LISTEN: address:port. NODES: address/port,... to begin with. FINDS: "dht",
"lsd" or "none", what it finds peers by; trackers, PEX and uTP are off. Lines
of JSON on stdout; ends on end of stdin.
"""
import json
import select
import sys

import libtorrent as lt

listen, nodes, finds = sys.argv[1:4]
session = lt.session({
	"listen_interfaces": listen,
	"enable_dht": finds == "dht", "enable_lsd": finds == "lsd",
	"enable_upnp": False, "enable_natpmp": False,
	"enable_outgoing_utp": False, "enable_incoming_utp": False,
	"out_enc_policy": 2, "in_enc_policy": 2,	# plain handshakes only
	"allow_multiple_connections_per_ip": True,
	"dht_bootstrap_nodes": "", "dht_restrict_routing_ips": False,
	"dht_restrict_search_ips": False, "dht_ignore_dark_internet": False,
	"dht_announce_interval": 10, "local_service_announce_interval": 5,
	"min_reconnect_time": 5, "alert_mask": 0,
})
for node in filter(None, nodes.split(",")):
	address, port = node.split("/")
	session.add_dht_node((address, int(port)))
handle = None
if len(sys.argv) > 4:
	p = lt.add_torrent_params()
	p.ti = lt.torrent_info(sys.argv[4])
	p.save_path = sys.argv[5]
	p.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
	p.flags |= lt.torrent_flags.disable_pex
	handle = session.add_torrent(p)
met = set()
while True:
	s = session.status()
	if handle:
		met |= {q.ip[0] for q in handle.get_peer_info()}
	print(json.dumps({"nodes": s.dht_nodes, "port": session.listen_port(),
	    "state": str(handle.status().state) if handle else "node",
	    "met": sorted(met)}), flush=True)
	if select.select([sys.stdin], [], [], 0.5)[0]:
		break
