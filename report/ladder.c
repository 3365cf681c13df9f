#include "report/ladder.h"

static const struct ladder levels[LADDER_TOP + 1] = {
	{ "listed", "A third party named this address.",
	    "that anything answers there, or ever did" },
	{ "reached", "A transport connection to or from it completed.",
	    "that it speaks BitTorrent, or knows this torrent" },
	{ "handshaked", "It sent a handshake bearing this infohash.",
	    "that it holds any of the torrent" },
	{ "advertised", "It claimed to hold pieces of the torrent.",
	    "that the claim is true" },
	{ "delivered", "It sent piece data that was asked for, too little to "
	    "check against a hash.",
	    "that the data belongs to the torrent" },
	{ "hash-matched", "It sent at least one whole piece, all of it over "
	    "one connection, and the piece matched the torrent’s hash.",
	    "that it gave data to anyone but this observer, who asked for it; "
	    "that the data was stored there and not relayed; that it holds "
	    "the rest; that the torrent is the work it is named after; who "
	    "used the device" },
};

const char ladder_never[] =
    "No level shows who was at the keyboard, whose account held the address, "
    "or whether anything was lawful.";

const struct ladder *ladder_at(long long level)
{
	return &levels[level < 0 ? 0 : level > LADDER_TOP ? LADDER_TOP :
	    level];
}
