#include "peerwire.h"

#define LENGTH_BYTES 4u
#define PIECE_LENGTH_MAX (1u + 8u + PW_BLOCK_MAX)

static const uint8_t greeting[20] = "\x13" "BitTorrent protocol";

struct rule {
	const char *name;	/* NULL: no such message */
	uint32_t least, most;	/* bytes after the id */
};

static const struct rule rules[] = {
#define X(name, text, id, least, most) [id] = { text, least, most },
	PW_MESSAGES(X)
#undef X
};

static const struct rule *find_rule(unsigned id)
{
	if (id >= sizeof(rules) / sizeof(rules[0]) || !rules[id].name)
		return NULL;
	return &rules[id];
}

const char *pw_name(enum pw_id id)
{
	const struct rule *r = find_rule(id);

	if (id == PW_KEEPALIVE)
		return "keepalive";
	return r ? r->name : "unknown";
}

static enum wire_status fault(struct wire_error *err, const char *reason,
    size_t offset)
{
	*err = (struct wire_error){ reason, offset };
	return WIRE_BAD;
}

/* --- handshake ------------------------------------------------------------ */

enum wire_status pw_handshake_next(struct cur *in, struct pw_handshake *h,
    struct wire_error *err)
{
	struct cur c = *in;

	for (size_t i = 0; i < sizeof(greeting) && i < cur_left(in); i++)
		if (in->p[i] != greeting[i])
			return fault(err, "not a BitTorrent handshake", i);
	cur_take(&c, sizeof(greeting));
	struct span reserved = cur_take(&c, sizeof(h->reserved));
	struct span infohash = cur_take(&c, sizeof(h->infohash));
	struct span peer_id = cur_take(&c, sizeof(h->peer_id));
	if (c.bad)
		return WIRE_MORE;
	memcpy(h->reserved, reserved.p, reserved.n);
	memcpy(h->infohash, infohash.p, infohash.n);
	memcpy(h->peer_id, peer_id.p, peer_id.n);
	*in = c;
	return WIRE_OK;
}

void pw_handshake_put(uint8_t out[PW_HANDSHAKE], const struct pw_handshake *h)
{
	memcpy(out, greeting, sizeof(greeting));
	memcpy(out + 20, h->reserved, sizeof(h->reserved));
	memcpy(out + 28, h->infohash, sizeof(h->infohash));
	memcpy(out + 48, h->peer_id, sizeof(h->peer_id));
}

/* --- messages ------------------------------------------------------------- */

/* The fields of a whole frame whose length fits its kind. */
static void read_fields(struct pw_msg *m, struct span body)
{
	struct cur c = cur_of(body);

	switch (m->id) {
	case PW_REQUEST:
	case PW_CANCEL:
	case PW_REJECT:
		m->index = cur_u32(&c);
		m->begin = cur_u32(&c);
		m->bytes = cur_u32(&c);
		break;
	case PW_HAVE:
	case PW_SUGGEST:
	case PW_ALLOWED_FAST:
		m->index = cur_u32(&c);
		break;
	case PW_PORT:
		m->port = cur_u16(&c);
		break;
	case PW_EXTENDED:
		m->ext_id = cur_u8(&c);
		m->payload = cur_rest(&c);
		break;
	case PW_HASH_REQUEST:
	case PW_HASHES:
	case PW_HASH_REJECT:
		m->root = cur_take(&c, 32);
		m->base = cur_u32(&c);
		m->at = cur_u32(&c);
		m->count = cur_u32(&c);
		m->proofs = cur_u32(&c);
		m->payload = cur_rest(&c);
		break;
	case PW_BITFIELD:
	case PW_UNKNOWN:
		m->payload = body;
		break;
	case PW_CHOKE:
	case PW_UNCHOKE:
	case PW_INTERESTED:
	case PW_NOT_INTERESTED:
	case PW_HAVE_ALL:
	case PW_HAVE_NONE:
	case PW_PIECE:		/* streamed: pw_next reads its head */
	case PW_KEEPALIVE:
		break;
	}
}

enum wire_status pw_next(struct cur *in, size_t frame_max, struct pw_msg *m,
    struct wire_error *err)
{
	size_t most = frame_max > LENGTH_BYTES ? frame_max - LENGTH_BYTES : 0;
	struct cur c = *in;
	uint32_t length = cur_u32(&c);

	*m = (struct pw_msg){ .id = PW_KEEPALIVE, .length = length };
	if (c.bad)
		return WIRE_MORE;
	if (length == 0) {
		*in = c;
		return WIRE_OK;
	}
	m->id = PW_UNKNOWN;
	if (length > most && length > PIECE_LENGTH_MAX) {
		m->lost = true;
		*in = c;
		return fault(err, "frame longer than its bound", 0);
	}
	m->wire_id = cur_u8(&c);
	if (c.bad)
		return WIRE_MORE;
	const struct rule *rule = find_rule(m->wire_id);
	if (rule)
		m->id = (enum pw_id)m->wire_id;
	if (length > (m->id == PW_PIECE ? PIECE_LENGTH_MAX : most)) {
		m->lost = true;
		*in = c;
		return fault(err, "frame longer than its bound", 0);
	}
	if (m->id == PW_PIECE && length >= 1 + rule->least) {
		m->index = cur_u32(&c);
		m->begin = cur_u32(&c);
		m->bytes = length - 1 - rule->least;
		if (c.bad)
			return WIRE_MORE;
		*in = c;
		return WIRE_OK;
	}
	struct span body = cur_take(&c, length - 1);
	if (c.bad)
		return WIRE_MORE;
	*in = c;
	if (rule && (body.n < rule->least || body.n > rule->most))
		return fault(err, "length does not fit the message", 0);
	read_fields(m, body);
	if (m->id == PW_HASHES && m->payload.n % 32 != 0)
		return fault(err, "hashes are not whole",
		    LENGTH_BYTES + length - m->payload.n % 32);
	return WIRE_OK;
}

/* --- what we send --------------------------------------------------------- */

static size_t put_head(uint8_t *out, uint32_t length, enum pw_id id)
{
	put_u32(out, length);
	out[4] = (uint8_t)id;
	return LENGTH_BYTES + length;
}

size_t pw_put_empty(uint8_t *out, enum pw_id id)
{
	if (id != PW_CHOKE && id != PW_UNCHOKE && id != PW_INTERESTED &&
	    id != PW_NOT_INTERESTED && id != PW_HAVE_NONE)
		return 0;
	return put_head(out, 1, id);
}

size_t pw_put_keepalive(uint8_t *out)
{
	put_u32(out, 0);
	return LENGTH_BYTES;
}

static size_t put_range(uint8_t *out, enum pw_id id, uint32_t index,
    uint32_t begin, uint32_t bytes)
{
	put_u32(out + 5, index);
	put_u32(out + 9, begin);
	put_u32(out + 13, bytes);
	return put_head(out, 13, id);
}

size_t pw_put_request(uint8_t *out, uint32_t index, uint32_t begin,
    uint32_t bytes)
{
	return put_range(out, PW_REQUEST, index, begin, bytes);
}

size_t pw_put_cancel(uint8_t *out, uint32_t index, uint32_t begin,
    uint32_t bytes)
{
	return put_range(out, PW_CANCEL, index, begin, bytes);
}

size_t pw_put_reject(uint8_t *out, uint32_t index, uint32_t begin,
    uint32_t bytes)
{
	return put_range(out, PW_REJECT, index, begin, bytes);
}

size_t pw_put_extended(uint8_t *out, size_t room, uint8_t ext_id,
    struct span payload)
{
	if (room < 6 || payload.n > room - 6 || payload.n > UINT32_MAX - 2)
		return 0;
	out[5] = ext_id;
	if (payload.n)
		memcpy(out + 6, payload.p, payload.n);
	return put_head(out, (uint32_t)payload.n + 2, PW_EXTENDED);
}
