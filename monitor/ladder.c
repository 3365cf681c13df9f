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
	l->way.utp = conf->utp && (known & LADDER_UTP || !(known & LADDER_TCP));
	l->way.offer = first_offer(l);
}

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
