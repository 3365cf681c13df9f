/*
 * What a conversation is, told by its first bytes and by who said them when.
 * Ports say nothing. Pure.
 */
#ifndef CAPTURE_GUESS_H
#define CAPTURE_GUESS_H

#include "wire/cur.h"

enum guess {
	GUESS_MORE,		/* too little was said */
	GUESS_PEER,		/* BitTorrent's handshake, in the clear */
	GUESS_HTTP,		/* a request that bears an infohash */
	GUESS_CRYPT,		/* two keys of Message Stream Encryption, and
				 * more, as far as that can be seen */
	GUESS_OTHER		/* none of these */
};

#define GUESS_NEXT 56u	/* bytes: two hashes, VC, provide, two lengths */
#define GUESS_KEEP 2048u	/* bytes of both ends together, by which it is
				 * told or never */

struct guess_view {
	bool opened;		/* the opening was seen: side 0 opened it */
	struct span first[2];	/* each side's bytes so far, from the first */
	size_t flight[2];	/* so many of them came before the other side's
				 * first (side 0) or side 0's next (side 1) */
	bool hole[2];		/* bytes are missing before or among them */
};

/*
 * PEER: a side's first 20 bytes are BEP 3's. HTTP: the first side's are a GET
 * with "info_hash=" in its target. CRYPT: of a conversation whose opening was
 * seen, the first flights of both sides are 96 to 608 bytes (a key and up to
 * 512 of padding), the first 96 of each look like chance (no known protocol's
 * beginning, not mostly text, few bytes twice), and then the first side says
 * the GUESS_NEXT bytes or more that come next. That is no proof.
 */
enum guess guess(const struct guess_view *v);

#endif
