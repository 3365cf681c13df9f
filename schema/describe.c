#include "schema/describe.h"

#include "wire/bencode.h"
#include "wire/endpoint.h"

#define NAME_MAX_BYTES 64u	/* of an extension, as a key */
#define NAMES_MAX 100u

const char *describe_side(enum side by)
{
	return by == SIDE_US ? "us" : "peer";
}

static const char *put_handshake(const struct event *ev, bool us,
    bool expected, struct json *j)
{
	const struct pw_handshake *h = &ev->hs;
	char client[PW_CLIENT_MAX];

	json_hex(j, "infohash", span_of(h->infohash, 20));
	json_hex(j, "peer_id", span_of(h->peer_id, 20));
	if (!us)
		json_text(j, "client", span_str(pw_client(h->peer_id, client)));
	json_hex(j, "reserved", span_of(h->reserved, 8));
	if (us)
		return "greeted";
	json_bool(j, "fast", PW_HAS_FAST(h->reserved));
	json_bool(j, "extended", PW_HAS_EXT(h->reserved));
	json_bool(j, "dht", PW_HAS_DHT(h->reserved));
	json_bool(j, "v2", PW_HAS_V2(h->reserved));
	json_bool(j, "expected", expected);
	return "handshake";
}

static void put_text(struct json *j, const char *key, struct span s)
{
	if (!s.p)
		json_null(j, key);
	else
		json_text(j, key, span_of(s.p, s.n < DESCRIBE_TEXT_MAX ? s.n :
		    DESCRIBE_TEXT_MAX));
}

/* -1 is how pw_extended says that a number is absent. */
static void put_number(struct json *j, const char *key, int64_t v)
{
	if (v == -1)
		json_null(j, key);
	else
		json_int(j, key, v);
}

static void put_names(struct json *j, struct span m)
{
	char key[NAME_MAX_BYTES + 1];
	struct cur c = cur_of(m);
	struct span name;
	struct ben id;
	unsigned n = 0;

	json_open(j, "m", '{');
	while (n < NAMES_MAX && ben_pair(&c, &name, &id)) {
		size_t len = name.n < NAME_MAX_BYTES ? name.n : NAME_MAX_BYTES;

		if (id.type != BEN_INT)
			continue;
		if (len)
			memcpy(key, name.p, len);
		key[len] = '\0';
		json_int(j, key, id.num);
		n++;
	}
	json_close(j, '}');
}

static const char *put_extended(const struct event *ev, struct json *j)
{
	const struct pw_extended *x = &ev->xh;
	struct endpoint us = endpoint_of(x->yourip, 0);
	char ip[ENDPOINT_IP_MAX];

	put_text(j, "client", x->v);
	put_number(j, "port", x->p);
	put_number(j, "reqq", x->reqq);
	put_number(j, "upload_only", x->upload_only);
	put_number(j, "encrypt", x->e);
	put_number(j, "metadata_size", x->metadata_size);
	json_str(j, "yourip", us.family ? endpoint_ip(&us, ip) : NULL);
	put_names(j, x->m);
	return "extended";
}

static void put_claimed(struct json *j, const struct claims *claims,
    bool pieces)
{
	if (claims && claims->pieces) {
		json_uint(j, "claimed", claims->count);
		if (pieces)
			json_uint(j, "pieces", claims->pieces);
		return;
	}
	json_null(j, "claimed");
	if (pieces)
		json_null(j, "pieces");
}

void describe_hashes(const struct event *ev, enum side by,
    const bool *verified, const char *why, struct json *j)
{
	const struct pw_msg *m = &ev->msg;

	json_open(j, NULL, '{');
	json_str(j, "by", describe_side(by));
	json_str(j, "message", m->id == PW_HASH_REQUEST ? "request" :
	    m->id == PW_HASHES ? "hashes" : "reject");
	json_hex(j, "root", m->root);
	json_uint(j, "base", m->base);
	json_uint(j, "index", m->at);
	json_uint(j, "count", m->count);
	json_uint(j, "proofs", m->proofs);
	if (verified)
		json_bool(j, "verified", *verified);
	else
		json_null(j, "verified");
	json_str(j, "why", why);
	json_close(j, '}');
}

static const char *put_metadata(const struct metadata_msg *m, struct json *j)
{
	static const char *const names[] = {
		[METADATA_REQUEST] = "request", [METADATA_DATA] = "data",
		[METADATA_REJECT] = "reject", [METADATA_UNKNOWN] = "unknown"
	};

	json_str(j, "message", names[m->type]);
	if (m->type == METADATA_UNKNOWN)
		json_null(j, "piece");
	else
		json_uint(j, "piece", m->piece);
	put_number(j, "total_size", m->total_size);
	json_uint(j, "bytes", m->data.n);
	return "metadata";
}

static const char *put_message(const struct event *ev,
    const struct claims *claims, struct json *j)
{
	switch (ev->msg.id) {
	case PW_BITFIELD:
	case PW_HAVE_ALL:
	case PW_HAVE_NONE:
		put_claimed(j, claims, true);
		return pw_name(ev->msg.id);
	case PW_CHOKE:
	case PW_UNCHOKE:
	case PW_INTERESTED:
	case PW_NOT_INTERESTED:
		return pw_name(ev->msg.id);
	case PW_PORT:
		json_uint(j, "port", ev->msg.port);
		return "port";
	case PW_HASH_REQUEST:	/* describe_hashes */
	case PW_HASHES:
	case PW_HASH_REJECT:
	case PW_HAVE:		/* these share records: burst.h */
	case PW_REQUEST:
	case PW_CANCEL:
	case PW_REJECT:
	case PW_SUGGEST:
	case PW_ALLOWED_FAST:
	case PW_UNKNOWN:
	case PW_EXTENDED:	/* an event of its own */
	case PW_PIECE:		/* likewise */
	case PW_KEEPALIVE:	/* only counted */
		break;
	}
	return NULL;
}

static const char *put_malformed(const struct event *ev, struct json *j)
{
	json_str(j, "where", "peer");
	json_str(j, "reason", ev->err.reason);
	json_uint(j, "offset", ev->err.offset);
	json_uint(j, "stream_offset", ev->offset);
	json_bool(j, "fatal", ev->fatal);
	return "malformed";
}

static const char *put_gap(const struct event *ev, struct json *j)
{
	if (ev->at)
		json_uint(j, "bytes", ev->at);
	else
		json_null(j, "bytes");	/* not known how many */
	json_uint(j, "stream_offset", ev->offset);
	json_bool(j, "fatal", ev->fatal);
	return "gap";
}

void describe_overlap(enum side by, uint64_t offset, uint64_t n,
    uint64_t frame, struct json *j)
{
	json_open(j, NULL, '{');
	json_str(j, "by", describe_side(by));
	json_uint(j, "bytes", n);
	json_uint(j, "stream_offset", offset);
	json_str(j, "used", "first");
	json_uint(j, "frame", frame);
	json_close(j, '}');
}

const char *describe_event(const struct event *ev, enum side by,
    bool expected, const struct claims *claims, const uint64_t *heard,
    struct json *j)
{
	const char *kind = NULL;

	json_open(j, NULL, '{');
	json_str(j, "by", describe_side(by));
	switch (ev->kind) {
	case EV_HANDSHAKE:
		kind = put_handshake(ev, by == SIDE_US, expected, j);
		break;
	case EV_MESSAGE:
		kind = put_message(ev, claims, j);
		break;
	case EV_EXTENDED:
		if (ev->ext == EXT_HANDSHAKE) {
			kind = put_extended(ev, j);
		} else if (ev->ext == EXT_LT_DONTHAVE) {
			json_uint(j, "piece", ev->msg.index);
			put_claimed(j, claims, false);
			kind = "donthave";
		} else if (ev->ext == EXT_UT_METADATA) {
			kind = put_metadata(&ev->metadata, j);
		}
		break;
	case EV_MALFORMED:
		kind = put_malformed(ev, j);
		break;
	case EV_GAP:
		kind = put_gap(ev, j);
		break;
	case EV_BLOCK:
		break;
	}
	if (heard)
		json_uint(j, "heard", *heard);
	json_close(j, '}');
	return kind;
}

struct span describe_raw(const struct event *ev)
{
	if (ev->kind == EV_MALFORMED && ev->raw.n > DESCRIBE_RAW_MAX)
		return span_of(ev->raw.p, DESCRIBE_RAW_MAX);
	return ev->raw;
}
