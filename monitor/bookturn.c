#include "monitor/book_impl.h"

/* --- the heap: whose turn is next in a swarm --------------------------------- */

static uint32_t meld(struct book *b, uint32_t x, uint32_t y)
{
	uint32_t swap;

	if (x == BOOK_NONE || y == BOOK_NONE)
		return x == BOOK_NONE ? y : x;
	if (b->cand[y].due_ns < b->cand[x].due_ns) {
		swap = x;
		x = y;
		y = swap;
	}
	b->cand[y].prev = x;
	b->cand[y].next = b->cand[x].child;
	if (b->cand[x].child != BOOK_NONE)
		b->cand[b->cand[x].child].prev = y;
	b->cand[x].child = y;
	return x;
}

/* Melds a list of siblings in pairs, then the pairs: without recursion. */
static uint32_t meld_all(struct book *b, uint32_t list)
{
	uint32_t pairs = BOOK_NONE, root = BOOK_NONE, x, y, rest;

	for (; list != BOOK_NONE; list = rest) {
		x = list;
		y = b->cand[x].next;
		rest = y == BOOK_NONE ? BOOK_NONE : b->cand[y].next;
		x = meld(b, x, y);
		b->cand[x].next = pairs;
		pairs = x;
	}
	for (; pairs != BOOK_NONE; pairs = rest) {
		rest = b->cand[pairs].next;
		b->cand[pairs].next = BOOK_NONE;
		root = meld(b, root, pairs);
	}
	return root;
}

/* Its first candidate is another: so is its turn. */
void turn_rank(struct book *b, struct room *r)
{
	if (r->in_line)
		return;		/* which it is told when it comes to it */
	if (r->root == BOOK_NONE)
		due_drop(&b->later, &r->due);
	else if (r->due.place == 0 || r->due.at_ns != b->cand[r->root].due_ns)
		due_put(&b->later, &r->due, b->cand[r->root].due_ns);
}

void turn_add(struct book *b, uint32_t i)
{
	struct room *r = b->swarm[b->cand[i].swarm];

	b->cand[i].child = b->cand[i].next = b->cand[i].prev = BOOK_NONE;
	r->root = meld(b, r->root, i);
	b->cand[r->root].prev = b->cand[r->root].next = BOOK_NONE;
	turn_rank(b, r);
}

void turn_remove(struct book *b, uint32_t i)
{
	struct room *r = b->swarm[b->cand[i].swarm];
	struct candidate *c = &b->cand[i];
	uint32_t rest = meld_all(b, c->child);

	if (r->root != i) {
		if (b->cand[c->prev].child == i)
			b->cand[c->prev].child = c->next;
		else
			b->cand[c->prev].next = c->next;
		if (c->next != BOOK_NONE)
			b->cand[c->next].prev = c->prev;
		rest = meld(b, r->root, rest);
	}
	r->root = rest;
	if (rest != BOOK_NONE)
		b->cand[rest].prev = b->cand[rest].next = BOOK_NONE;
	c->child = c->next = c->prev = BOOK_NONE;
	turn_rank(b, r);
}

/* --- whose turn it is among swarms ------------------------------------------- */

void turn_line_up(struct book *b, struct room *r)
{
	r->in_line = true;
	r->next = BOOK_NONE;
	*(b->last == BOOK_NONE ? &b->first : &b->swarm[b->last]->next) =
	    r->number;
	b->last = r->number;
}

/* The first in line leaves it, in_line until it is told its place; NULL:
 * nobody is. */
struct room *turn_step_up(struct book *b, int64_t now_ns)
{
	struct due_item *i;
	struct room *r;

	while ((i = due_first(&b->later)) != NULL && i->at_ns <= now_ns) {
		due_drop(&b->later, i);
		turn_line_up(b, (struct room *)i);
	}
	if (b->first == BOOK_NONE)
		return NULL;
	r = b->swarm[b->first];
	b->first = r->next;
	if (b->first == BOOK_NONE)
		b->last = BOOK_NONE;
	return r;
}
