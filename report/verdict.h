/*
 * What the evidence says of one claim. Pure: times and what was seen go in, a
 * verdict and the grounds for it come out.
 *
 *	supported	the level asked for was reached within `within` plus the
 *			clock's bound of the claimed time, and nothing below
 *	contradicted	evidence of that address and time speaks against it
 *	outside coverage	the torrent or the time was not watched
 *	not supported	none of these
 */
#ifndef REPORT_VERDICT_H
#define REPORT_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verdict {
	VERDICT_SUPPORTED,
	VERDICT_NOT_SUPPORTED,
	VERDICT_CONTRADICTED,
	VERDICT_OUTSIDE,
	VERDICT_UNREADABLE
};

/* Of the claimed address; all but the last of the claimed port too, or of any
 * where none is claimed. */
enum seen {
	SEEN_LEVEL,		/* this torrent, at a level of the ladder */
	SEEN_OTHER_TORRENT,	/* it spoke under another infohash */
	SEEN_FAILED,		/* a whole piece of this torrent failed its hash */
	SEEN_VAIN,		/* it was dialled, and refused or stayed silent */
	SEEN_STALLED,		/* the same while the observer lagged */
	SEEN_OTHER_PORT		/* this torrent, but another port than claimed */
};

struct sight {
	enum seen what;
	int level;		/* of SEEN_LEVEL and SEEN_OTHER_PORT; of
				 * SEEN_OTHER_TORRENT 1 if it was asked for
				 * the one claimed */
	int64_t from_ns, to_ns;	/* when it was so */
	int64_t seq;		/* a record behind it */
};

struct verdict_of {
	int64_t from_ns, to_ns;		/* the claimed time, or session */
	int64_t within_ns, bound_ns;	/* both >= 0 */
	int require;			/* 0 .. 5 */
	bool watched;			/* the torrent, at that time */
	const struct sight *sight;
	size_t n;
	int64_t claimed_bytes, held_bytes;	/* -1: not claimed, not known */
	int64_t claimed_pieces, held_pieces;
};

struct verdict_is {
	enum verdict verdict;
	int level;		/* the highest within reach, -1: none there */
	int64_t nearest;	/* index of the sight that is nearest and says
				 * this level, or any if none is; of equally
				 * near ones the highest; -1: none */
	int64_t nearest_ns;	/* its moment that is nearest */
	int64_t distance_ns;	/* from the claim, never negative */
	bool before;		/* it was earlier than the claim */
	int64_t elsewhen;	/* where the level asked for is not reached:
				 * index of the nearest that does, ever, -1 */
	int64_t elsewhen_ns, elsewhen_distance_ns;
	int64_t other_torrent, failed, vain, stalled;	/* index within reach of
				 * the nearest of the highest level, -1 */
	bool too_many_bytes, too_many_pieces;
	int64_t other_port;	/* index of the nearest, -1 */
	int64_t other_port_ns;	/* its moment that is nearest */
	bool other_port_there;	/* it is within reach */
};

/* Fills all of *r; sights are lent, in any order. */
void verdict_find(const struct verdict_of *v, struct verdict_is *r);

/* "supported", "not supported" ... */
const char *verdict_name(enum verdict v);

/* How far [a, b] is from [from, to], 0 if they touch; the moment of [a, b]
 * that is nearest goes to *at. INT64_MAX where it would not fit. */
int64_t verdict_distance(int64_t from, int64_t to, int64_t a, int64_t b,
    int64_t *at);

#endif
