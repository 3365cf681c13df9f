#include "utpin.h"

#define NONE UINT16_MAX
#define AHEAD(seq, from) ((uint16_t)((uint16_t)(seq) - (uint16_t)(from)))

void utpin_init(struct utpin *in, struct utp_block *blocks, uint16_t nblocks,
    uint32_t window, uint16_t first)
{
	*in = (struct utpin){ .blocks = blocks, .nblocks = nblocks,
	    .spare = NONE, .head = NONE, .tail = NONE, .window = window,
	    .ack = (uint16_t)(first - 1) };
	memset(in->slot, 0xff, sizeof(in->slot));
}

/* --- blocks --------------------------------------------------------------- */

static uint16_t take_block(struct utpin *in)
{
	uint16_t i = in->spare;

	if (i != NONE)
		in->spare = in->blocks[i].next;
	else
		i = in->fresh++;
	in->used++;
	return i;
}

static void give_block(struct utpin *in, uint16_t i)
{
	in->blocks[i].next = in->spare;
	in->spare = i;
	in->used--;
}

static uint32_t blocks_for(size_t n)
{
	return n <= UTP_BLOCK ? 1 : (uint32_t)((n - 1) / UTP_BLOCK + 1);
}

/* Copies a payload into blocks, which are there. */
static uint16_t make_chain(struct utpin *in, struct span payload)
{
	uint16_t first = NONE, last = NONE;
	struct cur c = cur_of(payload);

	do {
		size_t n = cur_left(&c) < UTP_BLOCK ? cur_left(&c) : UTP_BLOCK;
		uint16_t i = take_block(in);
		struct utp_block *b = &in->blocks[i];

		b->next = NONE;
		b->n = (uint16_t)n;
		if (n)
			memcpy(b->data, cur_take(&c, n).p, n);
		if (last == NONE)
			first = i;
		else
			in->blocks[last].next = i;
		last = i;
	} while (cur_left(&c));
	return first;
}

static uint32_t drop_chain(struct utpin *in, uint16_t i)
{
	uint32_t bytes = 0;

	while (i != NONE) {
		uint16_t next = in->blocks[i].next;

		bytes += in->blocks[i].n;
		give_block(in, i);
		i = next;
	}
	return bytes;
}

/* As many of the bytes as the last block in order has room for join it: small
 * packets must not take a block each. */
static size_t top_up(struct utpin *in, struct span bytes)
{
	if (in->tail == NONE)
		return 0;
	struct utp_block *b = &in->blocks[in->tail];
	size_t n = UTP_BLOCK - b->n;

	if (n > bytes.n)
		n = bytes.n;
	if (n == 0)
		return 0;
	memcpy(b->data + b->n, bytes.p, n);
	b->n = (uint16_t)(b->n + n);
	in->ready += (uint32_t)n;
	return n;
}

/* A packet's chain joins the bytes in order. */
static void queue_chain(struct utpin *in, uint16_t i)
{
	while (i != NONE) {
		struct utp_block *b = &in->blocks[i];
		uint16_t next = b->next;

		if (in->deaf || b->n == 0) {
			give_block(in, i);
		} else if (in->tail != NONE &&
		    b->n <= UTP_BLOCK - in->blocks[in->tail].n) {
			top_up(in, span_of(b->data, b->n));
			give_block(in, i);
		} else {
			b->next = NONE;
			if (in->tail == NONE)
				in->head = i;
			else
				in->blocks[in->tail].next = i;
			in->tail = i;
			in->ready += b->n;
		}
		i = next;
	}
}

/* A payload in order: straight to its place. */
static void queue_bytes(struct utpin *in, struct span payload)
{
	struct cur c = cur_of(payload);

	if (in->deaf)
		return;
	cur_take(&c, top_up(in, payload));
	if (cur_left(&c))
		queue_chain(in, make_chain(in, cur_rest(&c)));
}

/* --- packets -------------------------------------------------------------- */

static uint16_t *slot_of(struct utpin *in, uint16_t seq)
{
	return &in->slot[seq % UTP_REORDER];
}

static uint32_t chain_bytes(const struct utpin *in, uint16_t i)
{
	uint32_t bytes = 0;

	for (; i != NONE; i = in->blocks[i].next)
		bytes += in->blocks[i].n;
	return bytes;
}

/* The FIN is reached: whatever lies beyond it is nobody's. */
static void finish(struct utpin *in)
{
	in->eof = true;
	for (size_t i = 0; in->ahead && i < UTP_REORDER; i++)
		if (in->slot[i] != NONE) {
			in->kept -= drop_chain(in, in->slot[i]);
			in->slot[i] = NONE;
			in->ahead--;
		}
}

/* The gap before what was kept may have closed. */
static void advance(struct utpin *in)
{
	for (;;) {
		uint16_t *slot = slot_of(in, (uint16_t)(in->ack + 1));

		if (in->fin_known && in->ack == in->fin) {
			finish(in);
			return;
		}
		if (in->ahead == 0 || *slot == NONE)
			return;
		in->kept -= chain_bytes(in, *slot);
		queue_chain(in, *slot);
		*slot = NONE;
		in->ahead--;
		in->ack++;
	}
}

/* Room for it? A packet ahead leaves room for the one that closes the gap: a
 * packet that was acknowledged is never thrown away again. */
static bool fits(const struct utpin *in, struct span payload, bool next)
{
	uint32_t left = (uint32_t)in->nblocks - in->used;
	uint32_t need = blocks_for(payload.n), keep = blocks_for(in->largest);

	if (next && in->tail != NONE &&
	    payload.n <= UTP_BLOCK - in->blocks[in->tail].n)
		need = 0;
	if (next)
		return in->deaf || (need <= left && (in->ready == 0 ||
		    payload.n <= in->window - in->ready));
	return need + (need > keep ? need : keep) <= left &&
	    payload.n <= in->window &&
	    in->kept + in->ready <= in->window - payload.n;
}

enum utpin_result utpin_put(struct utpin *in, uint16_t seq, struct span payload,
    bool fin)
{
	uint16_t d = AHEAD(seq, in->ack + 1);

	if (d >= 0x8000)
		return UTPIN_DUPLICATE;
	if (d >= UTP_REORDER || in->eof ||
	    (in->fin_known && AHEAD(in->fin, seq) >= 0x8000))
		return UTPIN_OUTSIDE;
	if (*slot_of(in, seq) != NONE)
		return UTPIN_DUPLICATE;
	if (!fits(in, payload, d == 0))
		return UTPIN_OUTSIDE;
	if (payload.n > in->largest)
		in->largest = (uint32_t)payload.n;
	if (fin && !in->fin_known) {
		in->fin_known = true;
		in->fin = seq;
	}
	if (d == 0) {
		queue_bytes(in, payload);
		in->ack++;
		advance(in);
		return UTPIN_NEW;
	}
	*slot_of(in, seq) = make_chain(in, payload);
	if (in->ahead == 0 || AHEAD(seq, in->high) < 0x8000)
		in->high = seq;
	in->ahead++;
	in->kept += (uint32_t)payload.n;
	return UTPIN_NEW;
}

struct span utpin_read(const struct utpin *in)
{
	if (in->head == NONE)
		return (struct span){ NULL, 0 };
	const struct utp_block *b = &in->blocks[in->head];
	return span_of(b->data + in->at, b->n - in->at);
}

void utpin_consume(struct utpin *in, size_t n)
{
	size_t left = utpin_read(in).n;

	if (n > left)
		n = left;
	in->at += n;
	in->ready -= (uint32_t)n;
	if (n == 0 || n < left)
		return;
	uint16_t i = in->head;
	in->head = in->blocks[i].next;
	in->at = 0;
	if (in->head == NONE)
		in->tail = NONE;
	give_block(in, i);
}

void utpin_deafen(struct utpin *in)
{
	in->deaf = true;
}

uint32_t utpin_window(const struct utpin *in)
{
	uint32_t taken = in->kept + in->ready;
	uint32_t bytes = taken < in->window ? in->window - taken : 0;
	uint32_t spare = (uint32_t)in->nblocks - in->used;
	uint32_t keep = blocks_for(in->largest);
	uint32_t least = in->window / 4 < UTP_BLOCK ? in->window / 4 :
	    UTP_BLOCK;

	spare = spare > keep ? (spare - keep) * UTP_BLOCK : 0;
	if (spare < bytes)
		bytes = spare;
	if (in->deaf)
		return in->window;
	/* A sliver of a window makes slivers of packets (RFC 1122). */
	return bytes < least ? 0 : bytes;
}

size_t utpin_sack(const struct utpin *in, uint8_t *out, size_t room)
{
	if (in->ahead == 0 || room < 4)
		return 0;
	size_t bits = AHEAD(in->high, in->ack + 2) + 1u;
	size_t n = (bits + 31) / 32 * 4;
	if (n > room)
		n = room / 4 * 4;
	if (n * 8 < bits)
		bits = n * 8;
	memset(out, 0, n);
	for (size_t i = 0; i < bits; i++) {
		uint16_t seq = (uint16_t)(in->ack + 2 + i);

		if (in->slot[seq % UTP_REORDER] != NONE)
			out[i / 8] |= (uint8_t)(1u << i % 8);
	}
	return n;
}
