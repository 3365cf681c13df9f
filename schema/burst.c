#include "schema/burst.h"

#include <stdlib.h>

#include "schema/log.h"

struct burst_key burst_key(const struct event *ev)
{
	struct burst_key key = { .id = ev->msg.id };

	if (ev->kind == EV_EXTENDED) {
		if (ev->ext == EXT_HANDSHAKE || ev->ext == EXT_LT_DONTHAVE ||
		    ev->ext == EXT_UT_METADATA || ev->ext == EXT_UT_PEX)
			return key;
		key.kind = "message";
		key.wire_id = ev->msg.wire_id;
		key.ext_id = ev->msg.ext_id;
		if (ev->ext != EXT_UNKNOWN)
			key.extension = talk_ext_name(ev->ext);
		return key;
	}
	if (ev->kind != EV_MESSAGE)
		return key;
	switch (ev->msg.id) {
	case PW_HAVE:
	case PW_REQUEST:
	case PW_CANCEL:
	case PW_REJECT:
	case PW_ALLOWED_FAST:
	case PW_SUGGEST:
		key.kind = pw_name(ev->msg.id);
		break;
	case PW_UNKNOWN:
		key.kind = "message";
		key.wire_id = ev->msg.wire_id;
		break;
	case PW_CHOKE:
	case PW_UNCHOKE:
	case PW_INTERESTED:
	case PW_NOT_INTERESTED:
	case PW_BITFIELD:
	case PW_PIECE:
	case PW_PORT:
	case PW_HAVE_ALL:
	case PW_HAVE_NONE:
	case PW_EXTENDED:
	case PW_HASH_REQUEST:
	case PW_HASHES:
	case PW_HASH_REJECT:
	case PW_KEEPALIVE:
		break;
	}
	return key;
}

/* Monotonic where both have it: UTC may be stepped. */
static int64_t since(struct stamp first, struct stamp at)
{
	if (first.mono_ns >= 0 && at.mono_ns >= 0)
		return at.mono_ns - first.mono_ns;
	return at.utc_ns - first.utc_ns;
}

bool burst_old(const struct burst *b, struct stamp at)
{
	return b->key.kind && since(b->first, at) >= BURST_NS;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool burst_joins(const struct burst *b, const struct burst_key *key, size_t n,
    struct stamp at)
{
	return b->key.kind && b->key.id == key->id &&
	    b->key.wire_id == key->wire_id && b->key.ext_id == key->ext_id &&
	    same_text(b->key.why, key->why) && n <= BURST_MOST &&
	    b->n <= BURST_MOST - n && !burst_old(b, at);
}

void burst_add(struct burst *b, const struct burst_key *key, struct span raw,
    struct stamp at)
{
	size_t room = b->room ? b->room : raw.n;

	if (!b->key.kind) {
		b->key = *key;
		b->first = at;
	}
	while (room < b->n + raw.n)
		room *= 2;
	if (room > b->room) {
		uint8_t *p = realloc(b->raw, room);

		if (!p)
			log_die("out of memory for a peer's messages");
		b->raw = p;
		b->room = room;
	}
	memcpy(b->raw + b->n, raw.p, raw.n);
	b->n += raw.n;
	b->last = at;
	b->count++;
}

void burst_heard(struct burst *b, uint64_t bytes)
{
	uint32_t i = b->count - 1;

	if ((i & (i - 1)) == 0) {	/* the room doubles */
		b->heard = realloc(b->heard, (i ? 2 * (size_t)i : 1) *
		    sizeof(*b->heard));
		if (!b->heard)
			log_die("out of memory for a peer's messages");
	}
	b->heard[i] = bytes;
}

static void put_heard(const struct burst *b, struct json *j)
{
	json_open(j, "heard", '[');
	for (uint32_t i = 0; i < b->count; i++)
		json_uint(j, NULL, b->heard[i]);
	json_close(j, ']');
}

/* The fields are where the wire put them, behind length prefix and id. */
static void put_pieces(const struct burst *b, struct json *j)
{
	struct cur c = cur_of(span_of(b->raw, b->n));

	json_open(j, "pieces", '[');
	while (cur_left(&c) >= 9) {
		cur_take(&c, 5);
		json_uint(j, NULL, cur_u32(&c));
	}
	json_close(j, ']');
}

static void put_block(struct json *j, uint32_t piece, uint32_t offset,
    uint32_t length)
{
	json_open(j, NULL, '[');
	json_uint(j, NULL, piece);
	json_uint(j, NULL, offset);
	json_uint(j, NULL, length);
	json_close(j, ']');
}

/* Of request, cancel and reject; heads: of the 13 bytes before a block. */
static void put_blocks(const struct burst *b, bool heads, struct json *j)
{
	struct cur c = cur_of(span_of(b->raw, b->n));

	json_open(j, "blocks", '[');
	while (cur_left(&c) >= (heads ? 13 : 17)) {
		uint32_t length = cur_u32(&c), piece, offset;

		cur_take(&c, 1);
		piece = cur_u32(&c);
		offset = cur_u32(&c);
		put_block(j, piece, offset, heads ? length - 9 : cur_u32(&c));
	}
	json_close(j, ']');
}

void burst_detail(const struct burst *b, const char *by,
    const struct claims *claims, struct json *j)
{
	bool message = strcmp(b->key.kind, "message") == 0;

	json_open(j, NULL, '{');
	json_str(j, "by", by);
	if (message) {
		json_uint(j, "id", b->key.wire_id);
		if (b->key.wire_id == PW_EXTENDED)
			json_uint(j, "ext_id", b->key.ext_id);
		else
			json_null(j, "ext_id");
		json_str(j, "extension", b->key.extension);
	}
	if (b->key.id == PW_PIECE)
		json_str(j, "why", b->key.why);
	json_uint(j, "count", b->count);
	json_int(j, "last_utc_ns", b->last.utc_ns);
	if (b->key.id == PW_PIECE)
		put_blocks(b, true, j);
	else if (b->key.id == PW_REQUEST || b->key.id == PW_CANCEL ||
	    b->key.id == PW_REJECT)
		put_blocks(b, false, j);
	else if (!message)
		put_pieces(b, j);
	if (b->key.id == PW_HAVE) {
		if (claims && claims->pieces)
			json_uint(j, "claimed", claims->count);
		else
			json_null(j, "claimed");
	}
	if (b->heard)
		put_heard(b, j);
	json_close(j, '}');
}

void burst_fini(struct burst *b)
{
	free(b->raw);
	free(b->heard);
	*b = (struct burst){ 0 };
}
