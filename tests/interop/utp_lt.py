"""A libtorrent that speaks uTP only, on 127.0.0.1.

    utp_lt.py seed|leech PORT TORRENT FOLDER

Each line "connect PORT" on stdin makes it dial that port. A leech says
"done SECONDS" when it has all, counted from its first payload byte. Ends on
end of stdin.
"""
import select
import sys
import time

import libtorrent as lt

role, port, torrent, folder = sys.argv[1:5]
session = lt.session({
	"listen_interfaces": "127.0.0.1:" + port,
	"enable_dht": False, "enable_lsd": False,
	"enable_upnp": False, "enable_natpmp": False,
	"enable_outgoing_tcp": False, "enable_incoming_tcp": False,
	"enable_outgoing_utp": True, "enable_incoming_utp": True,
	"out_enc_policy": 2, "in_enc_policy": 2,	# plain handshakes only
	"allow_multiple_connections_per_ip": True,
	"min_reconnect_time": 1, "unchoke_slots_limit": -1,
	"alert_mask": 0,
})
p = lt.add_torrent_params()
p.ti = lt.torrent_info(torrent)
p.save_path = folder
p.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
p.flags |= lt.torrent_flags.disable_pex | lt.torrent_flags.disable_dht | \
    lt.torrent_flags.disable_lsd
if role == "seed":
	p.flags |= lt.torrent_flags.seed_mode
handle = session.add_torrent(p)
begun = said = None
ready = False
while True:
	s = handle.status()
	if not ready and session.listen_port() and \
	    (role == "leech" or s.is_seeding):
		print("ready", flush=True)
		ready = True
	if role == "leech" and begun is None and s.total_payload_download > 0:
		begun = time.monotonic()
	if role == "leech" and s.is_seeding and not said:
		said = True
		print("done %.3f" % (time.monotonic() - (begun or 0)),
		    flush=True)
	if select.select([sys.stdin], [], [], 0.02)[0]:
		words = sys.stdin.readline().split()
		if not words:
			break
		handle.connect_peer(("127.0.0.1", int(words[1])))
