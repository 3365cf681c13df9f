#include "talk.h"

#include "bencode.h"

static const char *const ext_names[] = {
	[EXT_HANDSHAKE] = "handshake",
#define X(id, name) [EXT_##id] = (name),
	TALK_EXTENSIONS(X)
#undef X
	[EXT_UNKNOWN] = "unknown"
};

const char *talk_ext_name(enum talk_ext x)
{
	return x <= EXT_UNKNOWN ? ext_names[x] : "unknown";
}

void talk_init(struct talk *t, uint32_t pieces)
{
	*t = (struct talk){ .pieces = pieces };
}

void talk_pieces(struct talk *t, uint32_t pieces)
{
	t->pieces = pieces;
}

static size_t bitfield_bytes(uint32_t pieces)
{
	return pieces / 8 + (pieces % 8 != 0);
}

size_t talk_keep_max(const struct talk *t)
{
	size_t bitfield = 5 + bitfield_bytes(t->pieces);

	if (t->pieces == 0)
		return TALK_FRAME_UNKNOWN;
	return bitfield > TALK_FRAME_MIN ? bitfield : TALK_FRAME_MIN;
}

const char *talk_bitfield_fault(struct span bits, uint32_t pieces)
{
	if (bits.n != bitfield_bytes(pieces))
		return "bitfield of the wrong size";
	if (pieces % 8 != 0 && (bits.p[bits.n - 1] & (0xff >> pieces % 8)) != 0)
		return "bitfield with spare bits set";
	return NULL;
}

/* Moves *in on by n bytes, which are there, and gives them. */
static struct span take(struct talk_side *s, struct cur *in, size_t n)
{
	s->offset += n;
	return cur_take(in, n);
}

static enum wire_status malformed(struct event *ev, const char *reason,
    size_t offset)
{
	ev->kind = EV_MALFORMED;
	ev->err = (struct wire_error){ reason, offset };
	return WIRE_OK;
}

/* --- the parts of a conversation ------------------------------------------ */

static enum wire_status greet(struct talk_side *s, struct cur *in,
    struct event *ev)
{
	struct cur c = *in;

	switch (pw_handshake_next(&c, &ev->hs, &ev->err)) {
	case WIRE_MORE:
		break;
	case WIRE_BAD:
		ev->raw = take(s, in, ev->err.offset + 1);
		ev->fatal = s->opaque = true;
		return malformed(ev, ev->err.reason, ev->err.offset);
	case WIRE_OK:
		ev->kind = EV_HANDSHAKE;
		ev->raw = take(s, in, PW_HANDSHAKE);
		memcpy(s->reserved, ev->hs.reserved, sizeof(s->reserved));
		s->greeted = true;
		return WIRE_OK;
	}
	return WIRE_MORE;
}

/* The next part of the block, as much as there is. */
static void block_part(struct talk_side *s, struct cur *in, struct event *ev)
{
	size_t left = s->bytes - s->done;
	size_t n = cur_left(in) < left ? cur_left(in) : left;

	ev->kind = EV_BLOCK;
	ev->offset = s->offset;
	ev->msg = (struct pw_msg){ .id = PW_PIECE, .wire_id = PW_PIECE,
		.length = s->bytes + 9, .index = s->index, .begin = s->begin,
		.bytes = s->bytes };
	ev->at = s->done;
	ev->part = take(s, in, n);
	s->done += (uint32_t)n;
	ev->last = s->done == s->bytes;
	s->in_block = !ev->last;
}

/* A block comes in many parts, and most of an event is for other kinds: that is
 * not cleared for each. */
static void more_of_block(struct talk_side *s, enum side by, struct cur *in,
    struct event *ev)
{
	ev->by = by;
	ev->raw = span_of(NULL, 0);
	ev->ext = EXT_HANDSHAKE;
	ev->err = (struct wire_error){ NULL, 0 };
	ev->fatal = false;
	block_part(s, in, ev);
}

static bool beyond(const struct talk *t, uint32_t index)
{
	return t->pieces != 0 && index >= t->pieces;
}

static const char no_such_piece[] = "the torrent has no such piece";

static enum wire_status block_begin(struct talk *t, struct talk_side *s,
    struct cur *in, struct event *ev)
{
	s->index = ev->msg.index;
	s->begin = ev->msg.begin;
	s->bytes = ev->msg.bytes;
	s->done = 0;
	s->skip = beyond(t, s->index);
	s->in_block = s->bytes > 0;
	if (s->skip)
		return malformed(ev, no_such_piece, 5);
	block_part(s, in, ev);
	return WIRE_OK;
}

/*
 * What a side announces in its extended handshake: additive, 0 disables. An id
 * that comes to mean something else stops meaning what it did.
 */
static void learn(struct talk_side *s, struct pw_extended *xh)
{
	struct span name;
	struct ben id;

	for (struct cur c = cur_of(xh->m); ben_pair(&c, &name, &id);) {
		if (id.type != BEN_INT || id.num < 0 || id.num > UINT8_MAX) {
			xh->odd = true;
			continue;
		}
		for (int x = EXT_HANDSHAKE + 1; x < EXT_UNKNOWN; x++) {
			if (span_is(name, ext_names[x]))
				s->ext[x] = (uint8_t)id.num;
			else if (s->ext[x] == id.num)
				s->ext[x] = 0;
		}
	}
}

static enum talk_ext meaning(const struct talk_side *receiver, uint8_t id)
{
	if (id == 0)
		return EXT_HANDSHAKE;
	for (int x = EXT_HANDSHAKE + 1; x < EXT_UNKNOWN; x++)
		if (receiver->ext[x] == id)
			return (enum talk_ext)x;
	return EXT_UNKNOWN;
}

/* lt_donthave: one index, BEP 54. */
static enum wire_status donthave(const struct talk *t, struct event *ev)
{
	struct cur c = cur_of(ev->msg.payload);

	ev->msg.index = cur_u32(&c);
	if (c.bad || cur_left(&c) != 0)
		return malformed(ev, "lt_donthave is not one index", 6);
	if (beyond(t, ev->msg.index))
		return malformed(ev, no_such_piece, 6);
	return WIRE_OK;
}

static enum wire_status extended(struct talk *t, enum side by,
    struct event *ev)
{
	struct span payload = ev->msg.payload;
	enum wire_status st = WIRE_OK;

	ev->kind = EV_EXTENDED;
	ev->ext = meaning(&t->side[by == SIDE_PEER ? SIDE_US : SIDE_PEER],
	    ev->msg.ext_id);
	switch (ev->ext) {
	case EXT_HANDSHAKE:
		st = pw_extended_read(payload, &ev->xh, &ev->err);
		if (st == WIRE_OK)
			learn(&t->side[by], &ev->xh);
		break;
	case EXT_UT_METADATA:
		st = metadata_read(payload, &ev->metadata, &ev->err);
		break;
	case EXT_UT_PEX:
		st = pex_read(payload, &ev->pex, &ev->err);
		break;
	case EXT_LT_DONTHAVE:
		return donthave(t, ev);
	case EXT_UPLOAD_ONLY:
	case EXT_UT_HOLEPUNCH:
	case EXT_UNKNOWN:
		break;
	}
	if (st != WIRE_OK)
		return malformed(ev, ev->err.reason, 6 + ev->err.offset);
	return WIRE_OK;
}

static enum wire_status message(struct talk *t, struct event *ev)
{
	const char *reason;

	ev->kind = EV_MESSAGE;
	switch (ev->msg.id) {
	case PW_HAVE:
	case PW_REQUEST:
	case PW_CANCEL:
	case PW_SUGGEST:
	case PW_REJECT:
	case PW_ALLOWED_FAST:
		if (beyond(t, ev->msg.index))
			return malformed(ev, no_such_piece, 5);
		break;
	case PW_BITFIELD:
		if (t->pieces == 0)
			break;
		reason = talk_bitfield_fault(ev->msg.payload, t->pieces);
		if (reason && ev->msg.payload.n == bitfield_bytes(t->pieces))
			return malformed(ev, reason, ev->raw.n - 1);
		if (reason)
			return malformed(ev, reason, 0);
		break;
	case PW_CHOKE:
	case PW_UNCHOKE:
	case PW_INTERESTED:
	case PW_NOT_INTERESTED:
	case PW_PIECE:
	case PW_PORT:
	case PW_HAVE_ALL:
	case PW_HAVE_NONE:
	case PW_EXTENDED:
	case PW_HASH_REQUEST:
	case PW_HASHES:
	case PW_HASH_REJECT:
	case PW_KEEPALIVE:
	case PW_UNKNOWN:
		break;
	}
	return WIRE_OK;
}

static enum wire_status frame(struct talk *t, enum side by, struct cur *in,
    struct event *ev)
{
	struct talk_side *s = &t->side[by];
	struct cur c = *in;
	enum wire_status st = pw_next(&c, talk_keep_max(t), &ev->msg, &ev->err);

	if (st == WIRE_MORE)
		return WIRE_MORE;
	ev->raw = take(s, in, (size_t)(c.p - in->p));
	if (st == WIRE_BAD) {
		ev->fatal = s->opaque = ev->msg.lost;
		return malformed(ev, ev->err.reason, ev->err.offset);
	}
	if (ev->msg.id == PW_PIECE)
		return block_begin(t, s, in, ev);
	if (ev->msg.id == PW_EXTENDED)
		return extended(t, by, ev);
	return message(t, ev);
}

/* --- the story ------------------------------------------------------------ */

enum wire_status talk_next(struct talk *t, enum side by, struct cur *in,
    struct event *ev)
{
	struct talk_side *s = &t->side[by];

	if (cur_left(in) == 0)
		return WIRE_MORE;
	if (s->in_block && s->skip) {
		block_part(s, in, ev);
		if (s->in_block)
			return WIRE_MORE;
	}
	if (s->in_block && !s->opaque) {
		more_of_block(s, by, in, ev);
		return WIRE_OK;
	}
	*ev = (struct event){ .by = by, .offset = s->offset };
	if (s->opaque) {
		take(s, in, cur_left(in));
		return WIRE_MORE;
	}
	if (!s->greeted)
		return greet(s, in, ev);
	return frame(t, by, in, ev);
}

bool talk_outlives(const struct talk *t, enum side by, uint64_t n)
{
	const struct talk_side *s = &t->side[by];

	return !s->opaque && s->in_block && n && n <= s->bytes - s->done;
}

void talk_gap(struct talk *t, enum side by, uint64_t n, struct event *ev)
{
	struct talk_side *s = &t->side[by];

	*ev = (struct event){ .kind = EV_GAP, .by = by, .offset = s->offset,
		.at = n };
	s->offset += n;
	if (talk_outlives(t, by, n)) {
		s->done += (uint32_t)n;
		s->in_block = s->done < s->bytes;
		return;
	}
	ev->fatal = s->opaque = true;
	s->in_block = false;
}
