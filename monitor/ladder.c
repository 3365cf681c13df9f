#include "monitor/ladder.h"

#define PLAIN 0u
#define RC4 2u			/* as in wire/mse.h */
#define ANY 3u
#define WAYS (LADDER_PLAIN | LADDER_ANY | LADDER_RC4 | LADDER_SHUT)

static uint8_t first_offer(const struct ladder *l)
{
	if (l->conf.crypt == LADDER_OFF)
		return PLAIN;
	if (l->known & LADDER_PLAIN && l->conf.crypt == LADDER_ALLOW)
		return PLAIN;
	if (l->known & LADDER_RC4)
		return RC4;
	if (l->known & (LADDER_ANY | LADDER_SHUT | LADDER_SAID_CRYPT) ||
	    l->conf.crypt == LADDER_REQUIRE)
		return ANY;
	return PLAIN;
}

static uint8_t bit_of(uint8_t offer)
{
	return offer == PLAIN ? LADDER_PLAIN :
	    offer == ANY ? LADDER_ANY : LADDER_RC4;
}

void ladder_begin(struct ladder *l, const struct ladder_conf *conf,
    uint8_t known)
{
	*l = (struct ladder){ .conf = *conf, .known = known };
	l->way.utp = conf->utp && (known & LADDER_UTP ||
	    (known & (LADDER_SAID_UTP | LADDER_TCP)) == LADDER_SAID_UTP);
	l->way.offer = first_offer(l);
}

bool ladder_hesitates(const struct ladder *l)
{
	return l->conf.utp && !l->way.utp && !l->tried[1] &&
	    !(l->known & LADDER_TCP);
}

/* --- between two attempts ------------------------------------------------------ */

enum {
	TRIES = 7,		/* the lowest three bits */
	UTP = 8,
	OFFER = 16,		/* two bits from here */
	TRIED_TCP = 64,
	TRIED_UTP = 128,
	TRIED_PLAIN = 256
};

uint16_t ladder_mark(const struct ladder *l)
{
	return (uint16_t)(l->tries | (l->way.utp ? UTP : 0) |
	    l->way.offer * OFFER | (l->tried[0] ? TRIED_TCP : 0) |
	    (l->tried[1] ? TRIED_UTP : 0) | (l->tried_plain ? TRIED_PLAIN : 0));
}

void ladder_resume(struct ladder *l, const struct ladder_conf *conf,
    uint8_t known, uint16_t mark)
{
	ladder_begin(l, conf, known);
	if (mark == 0)
		return;
	l->tries = mark & TRIES;
	l->way.utp = mark & UTP;
	l->way.offer = mark / OFFER & ANY;
	l->tried[0] = mark & TRIED_TCP;
	l->tried[1] = mark & TRIED_UTP;
	l->tried_plain = mark & TRIED_PLAIN;
}

/* --- the next -------------------------------------------------------------------- */

/* The transport works: with another handshake. */
static bool other_offer(struct ladder *l)
{
	if (l->conf.crypt == LADDER_OFF)
		return false;
	if (l->way.offer == PLAIN)
		l->way.offer = ANY;
	else if (l->way.offer == ANY)
		l->way.offer = RC4;
	else if (l->conf.crypt == LADDER_ALLOW && !l->tried_plain &&
	    l->tries == LADDER_TRIES - 1)
		l->way.offer = PLAIN;	/* it may have changed its mind */
	return true;	/* RC4 again: some drop it several times in a row */
}

bool ladder_next(struct ladder *l, enum ladder_end how)
{
	uint8_t transport = l->way.utp ? LADDER_UTP : LADDER_TCP;

	l->tries++;
	l->tried[l->way.utp] = true;
	l->tried_plain = l->tried_plain || l->way.offer == PLAIN;
	if (how == LADDER_SILENT) {
		l->known &= (uint8_t)~transport;
		l->way.utp = !l->way.utp;
		return l->tries < LADDER_TRIES && l->conf.utp &&
		    !l->tried[l->way.utp];
	}
	l->known |= transport;
	if (how == LADDER_MET) {
		l->known = (uint8_t)((l->known & ~WAYS) | bit_of(l->way.offer));
		return false;
	}
	if (l->way.offer == PLAIN)
		l->known = (uint8_t)((l->known & ~LADDER_PLAIN) | LADDER_SHUT);
	return l->tries < LADDER_TRIES && other_offer(l);
}
