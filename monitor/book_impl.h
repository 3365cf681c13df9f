/*
 * The address book's insides, and whose turn it is: among the candidates of a
 * swarm (a pairing heap by when they are due), and among the swarms.
 */
#ifndef MONITOR_BOOK_IMPL_H
#define MONITOR_BOOK_IMPL_H

#include "monitor/book.h"
#include "monitor/due.h"
#include "monitor/hosts.h"

/* Who waits, by what would be lost with it; each by age. */
enum book_line {
	LINE_VAIN,	/* no peer of this swarm, as far as we know */
	LINE_UNTRIED,
	LINE_MET,
	LINES,
	LINE_NONE = LINES	/* it is being visited */
};

/* One endpoint of one swarm. Links are indices; BOOK_NONE ends a chain. */
struct candidate {
	struct endpoint at;
	uint8_t sources;
	bool held;		/* visited now: in no heap */
	bool reached;		/* and connected */
	bool met;		/* once, at least */
	uint8_t failures, known;
	uint16_t mark;		/* of a visit that is not over; 0: it is */
	uint32_t swarm, host;
	uint32_t attempts;
	int64_t due_ns;
	uint32_t chain;		/* same bucket; free list */
	uint32_t child, next, prev;	/* pairing heap by due_ns */
	uint32_t older, newer;	/* in line */
	uint8_t line;
};

/* A swarm. It is in line while something of it may be due, else in the heap
 * by its first candidate's time: so no call looks at every swarm. */
struct room {
	struct due_item due;	/* first: the heap's item is the room */
	uint32_t number;
	uint32_t next;		/* in line; among the free */
	bool in_line;
	uint32_t root;		/* heap of its candidates */
	uint32_t oldest[LINES], newest[LINES];
	uint32_t untried;	/* so many of those waiting */
	uint32_t waiting, held;
	uint8_t sources;	/* of these only */
	bool open;
};

struct book {
	struct book_conf conf;
	struct candidate *cand;
	struct hosts hosts;
	struct room **swarm;
	struct due later;	/* swarms that nothing is due in */
	uint32_t first, last;	/* in line */
	uint32_t *cand_bucket;	/* a power of two */
	uint32_t cands, cand_room, cand_free, cand_buckets;
	uint32_t swarms, swarm_room, swarm_free;
	uint32_t largest, looked;	/* swarms: see crowd_of */
	uint32_t heard, half_open, open, in_open;
	uint64_t forgotten, refused;
	bool yielding;			/* some connection gives way */
	int64_t tokens, token_ns;	/* dials allowed, in ns of 1/rate */
};

/* Puts a candidate, due at its due_ns, into its swarm's heap; takes it out. */
void turn_add(struct book *b, uint32_t cand);
void turn_remove(struct book *b, uint32_t cand);

/* The swarm's first candidate is another: so is its turn. */
void turn_rank(struct book *b, struct room *r);
void turn_line_up(struct book *b, struct room *r);
/* The first in line leaves it, in_line until it is told its place; NULL:
 * nobody is. */
struct room *turn_step_up(struct book *b, int64_t now_ns);

#endif
