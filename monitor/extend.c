#include "monitor/extend.h"

#include <stdio.h>

#include "wire/bencode.h"

#define S (1000000000ll)
#define GOSSIP_EVERY (50 * S)	/* one a minute (BEP 11), roughly */
#define HASTY_MOST 3
#define VERSION_MOST 100

/* Our ids of extensions. */
#define ID_PEX 1
#define ID_METADATA 2
#define ID_DONTHAVE 7

size_t extend_handshake(const uint8_t infohash[20], const uint8_t peer_id[20],
    bool v2, bool dht, uint8_t *out)
{
	struct pw_handshake h = { .reserved = { [5] = 0x10, [7] = 0x04 } };

	if (v2)
		h.reserved[7] |= 0x10;
	/* BEP 5: who sees it sends `port`. We send none: our node is read-
	 * only. */
	if (dht)
		h.reserved[7] |= 0x01;
	memcpy(h.infohash, infohash, sizeof(h.infohash));
	memcpy(h.peer_id, peer_id, sizeof(h.peer_id));
	pw_handshake_put(out, &h);
	return PW_HANDSHAKE;
}

size_t extend_hello(const struct extend_offer *o, uint8_t *out)
{
	char dict[EXTEND_ROOM];
	size_t version = strlen(o->version);
	/* lt_donthave is a claim withdrawn, and worth hearing. reqq: the least
	 * there is, since we answer no request. All is said again the second
	 * time: libtorrent forgets what is not. */
	int n = snprintf(dict, sizeof(dict), "d1:md11:lt_donthavei%de%s%se"
	    "1:pi%ue4:reqqi1e1:v%zu:%.*se", ID_DONTHAVE, o->metadata ?
	    "11:ut_metadatai2e" : o->again ? "11:ut_metadatai0e" : "",
	    o->pex ? "6:ut_pexi1e" : o->again ? "6:ut_pexi0e" : "", o->port,
	    version < VERSION_MOST ? version : (size_t)VERSION_MOST, VERSION_MOST,
	    o->version);

	_Static_assert(ID_PEX == 1 && ID_METADATA == 2, "as in the text");
	return pw_put_extended(out, EXTEND_ROOM, 0, span_of(dict, (size_t)n));
}

static size_t put_metadata(const struct extend *x, enum metadata_type type,
    uint32_t piece, uint8_t *out)
{
	uint8_t text[METADATA_SENT_MAX];
	size_t n = metadata_put(text, sizeof(text), type, piece);

	return pw_put_extended(out, EXTEND_ROOM, x->metadata_id,
	    span_of(text, n));
}

size_t extend_fetch(struct extend *x, uint32_t block, uint8_t *out)
{
	if (!x->metadata_id)
		return 0;
	x->asked = true;
	return put_metadata(x, METADATA_REQUEST, block, out);
}

bool extend_asked(const struct extend *x, const struct event *ev)
{
	return x->asked && ev->kind == EV_EXTENDED &&
	    ev->ext == EXT_UT_METADATA && ev->metadata.type == METADATA_DATA;
}

/* Its dict may come again and add to what it said (BEP 10). */
static void read_ids(struct extend *x, struct span m)
{
	struct cur c = cur_of(m);
	struct span key;
	struct ben v;

	while (ben_pair(&c, &key, &v))
		if (span_is(key, "ut_metadata") && v.type == BEN_INT &&
		    v.num >= 0 && v.num <= UINT8_MAX)
			x->metadata_id = (uint8_t)v.num;
}

static const char *hear_gossip(struct extend *x, int64_t now_ns)
{
	x->gossip = x->gossip_ns == 0 || now_ns - x->gossip_ns >= GOSSIP_EVERY;
	if (!x->gossip)
		return ++x->hasty > HASTY_MOST ?
		    "peer exchange far more often than once a minute" : NULL;
	x->gossip_ns = now_ns;
	return NULL;
}

const char *extend_event(struct extend *x, const struct event *ev,
    int64_t now_ns, uint8_t *out, size_t *n)
{
	*n = 0;
	if (ev->ext == EXT_HANDSHAKE) {
		read_ids(x, ev->xh.m);
	} else if (ev->ext == EXT_UT_PEX) {
		return hear_gossip(x, now_ns);
	} else if (ev->ext == EXT_UT_METADATA) {
		if (ev->metadata.type == METADATA_DATA ||
		    ev->metadata.type == METADATA_REJECT)
			x->asked = false;
		if (ev->metadata.type == METADATA_REQUEST && x->metadata_id)
			*n = put_metadata(x, METADATA_REJECT,
			    ev->metadata.piece, out);
	}
	return NULL;
}
