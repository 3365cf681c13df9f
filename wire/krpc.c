#include "krpc.h"

#include "sink.h"

static const char *const method_names[] = {
#define X(id, name) [KRPC_##id] = name,
	KRPC_METHODS(X)
#undef X
};

const char *krpc_method_name(enum krpc_method method)
{
	return method < KRPC_OTHER ? method_names[method] : "other";
}

/* --- writing --------------------------------------------------------------- */

static void put_hash(struct sink *s, const char *key, const uint8_t hash[20])
{
	sink_str(s, key);
	sink_ben_span(s, span_of(hash, 20));
}

static void put_flag(struct sink *s, const char *key, bool set)
{
	if (!set)
		return;
	sink_str(s, key);
	sink_ben_int(s, 1);
}

static void put_want(struct sink *s, unsigned want)
{
	if (want == 0)
		return;
	sink_str(s, "4:wantl");
	if (want & KRPC_WANT4)
		sink_str(s, "2:n4");
	if (want & KRPC_WANT6)
		sink_str(s, "2:n6");
	sink_str(s, "e");
}

size_t krpc_put(uint8_t *out, size_t room, const struct krpc_ask *ask)
{
	struct sink s = sink_of(out, room);

	put_hash(&s, "d1:ad2:id", ask->id);
	switch (ask->method) {
	case KRPC_PING:
		break;
	case KRPC_FIND_NODE:
		put_hash(&s, "6:target", ask->target);
		put_want(&s, ask->want);
		break;
	case KRPC_GET_PEERS:
		put_hash(&s, "9:info_hash", ask->target);
		put_flag(&s, "6:scrape", ask->scrape);
		put_want(&s, ask->want);
		break;
	case KRPC_ANNOUNCE_PEER:
		put_flag(&s, "12:implied_port", ask->implied_port);
		put_hash(&s, "9:info_hash", ask->target);
		sink_str(&s, "4:port");
		sink_ben_int(&s, ask->port);
		sink_str(&s, "5:token");
		sink_ben_span(&s, ask->token);
		break;
	case KRPC_OTHER:
		return 0;
	}
	sink_str(&s, "e1:q");
	sink_ben_span(&s, span_str(krpc_method_name(ask->method)));
	put_flag(&s, "2:ro", ask->read_only);
	sink_str(&s, "1:t");
	sink_ben_span(&s, ask->t);
	if (ask->v.n) {
		sink_str(&s, "1:v");
		sink_ben_span(&s, ask->v);
	}
	sink_str(&s, "1:y1:qe");
	return sink_end(&s);
}

/* --- reading --------------------------------------------------------------- */

static enum wire_status fault(struct wire_error *err, const char *reason,
    size_t offset)
{
	*err = (struct wire_error){ reason, offset };
	return WIRE_BAD;
}

/* The takers read a key once: a repeat does not overrule it. */
static void take_text(const struct ben *v, struct span *text, unsigned *odd)
{
	if (v->type != BEN_STR || text->p)
		*odd |= KRPC_ODD_TYPE;
	else
		*text = v->text;
}

/* Flags are integers; what is not 0 sets. */
static void take_flag(const struct ben *v, bool *flag, unsigned *odd)
{
	if (v->type != BEN_INT)
		*odd |= KRPC_ODD_TYPE;
	else
		*flag = v->num != 0;
}

static void take_port(const struct ben *v, uint16_t *port, unsigned *odd)
{
	if (v->type != BEN_INT)
		*odd |= KRPC_ODD_TYPE;
	else if (v->num < 1 || v->num > UINT16_MAX)
		*odd |= KRPC_ODD_PORT;
	else
		*port = (uint16_t)v->num;
}

static void take_bloom(const struct ben *v, struct span *bloom, unsigned *odd)
{
	take_text(v, bloom, odd);
	if (bloom->p && bloom->n != 256) {
		*bloom = span_of(NULL, 0);
		*odd |= KRPC_ODD_BLOOM;
	}
}

static void take_want(const struct ben *v, struct krpc_msg *m)
{
	struct cur c = cur_of(v->text);
	struct ben item;

	if (v->type != BEN_LIST) {
		m->odd |= KRPC_ODD_TYPE;
		return;
	}
	while (ben_item(&c, &item))
		if (item.type == BEN_STR && span_is(item.text, "n4"))
			m->want |= KRPC_WANT4;
		else if (item.type == BEN_STR && span_is(item.text, "n6"))
			m->want |= KRPC_WANT6;
}

/* BEP 42 says address and port; the port is left off by some. */
static void take_ip(const struct ben *v, struct krpc_msg *m)
{
	struct cur c = cur_of(v->text);

	if (v->type != BEN_STR)
		m->odd |= KRPC_ODD_TYPE;
	else if (v->text.n == 6)
		m->ip = endpoint_take4(&c);
	else if (v->text.n == 18)
		m->ip = endpoint_take6(&c);
	else if (v->text.n == 4 || v->text.n == 16)
		m->ip = endpoint_of(v->text, 0);
	else
		m->odd |= KRPC_ODD_IP;
}

/* The dict that a query's or a reply's content is in. *target: infohash or
 * target, whichever the method has, or empty. */
static void read_body(const struct ben *body, struct krpc_msg *m,
    struct span *id, struct span *target)
{
	bool query = m->type == KRPC_QUERY;
	const char *target_key = m->method == KRPC_FIND_NODE ? "target" :
	    "info_hash";
	struct cur c = cur_of(body->text);
	struct span key;
	struct ben v;

	while (ben_pair(&c, &key, &v)) {
		if (span_is(key, "id"))
			take_text(&v, id, &m->odd);
		else if (span_is(key, "token"))
			take_text(&v, &m->token, &m->odd);
		else if (query && span_is(key, target_key))
			take_text(&v, target, &m->odd);
		else if (query && span_is(key, "want"))
			take_want(&v, m);
		else if (query && span_is(key, "scrape"))
			take_flag(&v, &m->scrape, &m->odd);
		else if (query && span_is(key, "seed"))
			take_flag(&v, &m->seed, &m->odd);
		else if (query && span_is(key, "implied_port"))
			take_flag(&v, &m->implied_port, &m->odd);
		else if (query && span_is(key, "port"))
			take_port(&v, &m->port, &m->odd);
		else if (!query && span_is(key, "nodes"))
			take_text(&v, &m->nodes, &m->odd);
		else if (!query && span_is(key, "nodes6"))
			take_text(&v, &m->nodes6, &m->odd);
		else if (!query && span_is(key, "BFsd"))
			take_bloom(&v, &m->bloom_seeds, &m->odd);
		else if (!query && span_is(key, "BFpe"))
			take_bloom(&v, &m->bloom_peers, &m->odd);
		else if (!query && span_is(key, "values")) {
			if (v.type != BEN_LIST || m->values.p)
				m->odd |= KRPC_ODD_TYPE;
			else
				m->values = v.text;
		}
	}
	if (m->nodes.n % KRPC_NODE4 || m->nodes6.n % KRPC_NODE6)
		m->odd |= KRPC_ODD_NODES;
}

static void read_error(const struct ben *list, struct krpc_msg *m)
{
	struct cur c = cur_of(list->text);
	struct ben v;

	if (ben_item(&c, &v)) {
		if (v.type == BEN_INT && v.num >= 0)
			m->code = v.num;
		else
			m->odd |= KRPC_ODD_TYPE;
	}
	if (ben_item(&c, &v))
		take_text(&v, &m->text, &m->odd);
}

/* The outermost keys. */
struct outer {
	struct span y, q;
	struct ben a, r, e;
	bool has_a, has_r, has_e;
};

static void take_ben(const struct ben *v, enum ben_type want, struct ben *into,
    bool *has, unsigned *odd)
{
	if (v->type != want || *has) {
		*odd |= KRPC_ODD_TYPE;
		return;
	}
	*into = *v;
	*has = true;
}

static void read_outer(const struct ben *dict, struct krpc_msg *m,
    struct outer *o)
{
	struct cur c = cur_of(dict->text);
	struct span key;
	struct ben v;

	while (ben_pair(&c, &key, &v)) {
		if (span_is(key, "y"))
			take_text(&v, &o->y, &m->odd);
		else if (span_is(key, "q"))
			take_text(&v, &o->q, &m->odd);
		else if (span_is(key, "t"))
			take_text(&v, &m->t, &m->odd);
		else if (span_is(key, "v"))
			take_text(&v, &m->v, &m->odd);
		else if (span_is(key, "ip"))
			take_ip(&v, m);
		else if (span_is(key, "ro"))
			take_flag(&v, &m->read_only, &m->odd);
		else if (span_is(key, "a"))
			take_ben(&v, BEN_DICT, &o->a, &o->has_a, &m->odd);
		else if (span_is(key, "r"))
			take_ben(&v, BEN_DICT, &o->r, &o->has_r, &m->odd);
		else if (span_is(key, "e"))
			take_ben(&v, BEN_LIST, &o->e, &o->has_e, &m->odd);
	}
}

static enum krpc_method method_of(struct span name)
{
	unsigned i = 0;

	while (i < KRPC_OTHER && !span_is(name, method_names[i]))
		i++;
	return (enum krpc_method)i;
}

/* A query or reply: what it must have. */
static enum wire_status read_content(const struct ben *body,
    struct krpc_msg *m, size_t offset, struct wire_error *err)
{
	struct span id = { NULL, 0 }, target = { NULL, 0 };

	read_body(body, m, &id, &target);
	if (id.n != NODEID_BYTES)
		return fault(err, "sender's id is not of 20 bytes", offset);
	memcpy(m->id, id.p, NODEID_BYTES);
	if (m->type != KRPC_QUERY || m->method == KRPC_PING ||
	    (m->method == KRPC_OTHER && target.n != 20))
		return WIRE_OK;
	if (target.n != 20)
		return fault(err, "target or infohash is not of 20 bytes",
		    offset);
	memcpy(m->target, target.p, 20);
	return WIRE_OK;
}

enum wire_status krpc_read(struct span datagram, struct krpc_msg *m,
    struct wire_error *err)
{
	struct cur in = cur_of(datagram);
	struct outer o = { 0 };
	struct ben dict;

	*m = (struct krpc_msg){ .method = KRPC_OTHER, .code = -1 };
	switch (ben_next(&in, &dict, &m->notes, err)) {
	case WIRE_OK:
		break;
	case WIRE_MORE:
		return fault(err, "DHT message ends too early", datagram.n);
	case WIRE_BAD:
		return WIRE_BAD;
	}
	if (dict.type != BEN_DICT)
		return fault(err, "DHT message is not a dictionary", 0);
	if (cur_left(&in) != 0)
		m->notes |= BEN_TRAILING;
	read_outer(&dict, m, &o);
	if (!m->t.p)
		return fault(err, "DHT message without a transaction", 0);
	if (span_is(o.y, "q")) {
		m->type = KRPC_QUERY;
		m->name = o.q;
		m->method = method_of(o.q);
		if (!o.q.p || !o.has_a)
			return fault(err, "DHT query without its arguments",
			    0);
		return read_content(&o.a, m, (size_t)(o.a.raw.p -
		    datagram.p), err);
	}
	if (span_is(o.y, "r")) {
		m->type = KRPC_REPLY;
		if (!o.has_r)
			return fault(err, "DHT reply without its content", 0);
		return read_content(&o.r, m, (size_t)(o.r.raw.p -
		    datagram.p), err);
	}
	if (span_is(o.y, "e")) {
		m->type = KRPC_ERROR;
		if (!o.has_e)
			return fault(err, "DHT error without its list", 0);
		read_error(&o.e, m);
		return WIRE_OK;
	}
	return fault(err, "DHT message of no known type", 0);
}

bool krpc_node(const struct krpc_msg *m, struct krpc_nodes *it,
    struct krpc_named *n)
{
	bool four;
	struct cur *c;
	struct span id;

	if (!it->begun) {
		it->n4 = cur_of(m->nodes);
		it->n6 = cur_of(m->nodes6);
		it->begun = true;
	}
	four = cur_left(&it->n4) >= KRPC_NODE4;
	c = four ? &it->n4 : &it->n6;
	if (!four && cur_left(c) < KRPC_NODE6)
		return false;
	id = cur_take(c, NODEID_BYTES);
	memcpy(n->id, id.p, NODEID_BYTES);
	n->at = four ? endpoint_take4(c) : endpoint_take6(c);
	return true;
}

bool krpc_value(const struct krpc_msg *m, struct krpc_values *it,
    struct endpoint *peer)
{
	struct ben v;

	if (!it->begun) {
		it->c = cur_of(m->values);
		it->begun = true;
	}
	while (ben_item(&it->c, &v)) {
		struct cur c = cur_of(v.text);

		if (v.type == BEN_STR && (v.text.n == 6 || v.text.n == 18)) {
			*peer = v.text.n == 6 ? endpoint_take4(&c) :
			    endpoint_take6(&c);
			return true;
		}
		it->skipped++;
	}
	return false;
}
