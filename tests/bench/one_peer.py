#!/usr/bin/python3
"""The seed or the leech of one exchange between two libtorrent clients, with
libtorrent's defaults but for one transport, plain, and nobody else to find:

	one_peer.py seed|leech HOST:PORT TORRENT FOLDER tcp|utp HOST:PORT

The last is whom the leech dials. Says "up", then "done" and the time in ns; ends
with its standard input."""
import sys
import time

import libtorrent as lt

role, at, torrent, folder, transport, peer = sys.argv[1:]
tcp = transport == "tcp"
s = lt.session({"listen_interfaces": at, "enable_dht": False,
    "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "enable_outgoing_tcp": tcp, "enable_incoming_tcp": tcp,
    "enable_outgoing_utp": not tcp, "enable_incoming_utp": not tcp,
    "out_enc_policy": 2, "in_enc_policy": 2, "min_reconnect_time": 1,
    "alert_mask": 0})
while not s.listen_port():
	time.sleep(0.01)
p = lt.add_torrent_params()
p.ti, p.save_path = lt.torrent_info(torrent), folder
p.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
if role == "seed":
	p.flags |= lt.torrent_flags.seed_mode
p.trackers = []
h = s.add_torrent(p)
if role == "leech":
	host, port = peer.split(":")
	h.connect_peer((host, int(port)))
print("up", flush=True)
while not h.status().is_seeding:
	time.sleep(0.005)
print("done", time.time_ns(), flush=True)
sys.stdin.read()
