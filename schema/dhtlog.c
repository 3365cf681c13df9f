#include "schema/dhtlog.h"

#include "schema/log.h"
#include "schema/now.h"
#include "wire/bloom.h"

#define FAULT_BYTES 4096u	/* of a malformed datagram that are kept */

void dhtlog_init(struct dhtlog *l, void *ctx,
    int64_t (*add)(void *ctx, const struct record *r))
{
	*l = (struct dhtlog){ .ctx = ctx, .add = add };
	json_init(&l->json, JSON_MOST);
}

void dhtlog_fini(struct dhtlog *l)
{
	json_fini(&l->json);
}

static void begin(struct dhtlog *l)
{
	json_reset(&l->json);
	json_open(&l->json, NULL, '{');
}

static void put(struct dhtlog *l, struct record *r)
{
	json_close(&l->json, '}');
	r->conn = CONN_NONE;
	r->detail = json_done(&l->json);
	if (r->detail == NULL)
		log_die("DHT record too long");
	l->add(l->ctx, r);
}

static void put_span(struct json *j, const char *key, struct span s)
{
	if (s.p == NULL)
		json_null(j, key);
	else
		json_text(j, key, s);
}

/* --- answers --------------------------------------------------------------- */

static void put_odd(struct json *j, const struct krpc_msg *m)
{
	static const char *const odd[] = { "type", "nodes", "ip", "bloom",
		"port" };
	static const char *const notes[] = { "unsorted", "repeated",
		"leading zero", "trailing" };

	json_open(j, "odd", '[');
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (m->odd >> i & 1)
			json_str(j, NULL, odd[i]);
	for (unsigned i = 0; i < sizeof(notes) / sizeof(notes[0]); i++)
		if (m->notes >> i & 1)
			json_str(j, NULL, notes[i]);
	json_close(j, ']');
}

static void put_rule(struct json *j, const struct krpc_msg *m,
    const struct endpoint *at)
{
	switch (nodeid_check(m->id, at)) {
	case NODEID_WRONG:
		json_bool(j, "node_id_ok", false);
		return;
	case NODEID_OBEYS:
		json_bool(j, "node_id_ok", true);
		return;
	case NODEID_EXEMPT:
		break;
	}
	json_null(j, "node_id_ok");
}

static void put_estimate(struct json *j, const char *key, double n)
{
	if (n < 0)
		json_null(j, key);
	else
		json_int(j, key, (int64_t)(n + 0.5));
}

static void put_filter(struct json *j, const char *key, struct span filter)
{
	put_estimate(j, key, filter.n == BLOOM_BYTES ?
	    bloom_estimate(filter.p) : -1);
}

/* How many values there are; the first of them are kept. */
static uint64_t collect(struct dhtlog *l, const struct krpc_msg *m,
    uint32_t *skipped)
{
	struct krpc_values it = { 0 };
	struct endpoint peer;
	uint64_t n = 0;

	l->names = 0;
	while (krpc_value(m, &it, &peer)) {
		if (l->names < DHTLOG_NAMED)
			l->named[l->names++].at = peer;
		n++;
	}
	*skipped = it.skipped;
	return n;
}

static uint64_t count_nodes(const struct krpc_msg *m)
{
	struct krpc_nodes it = { 0 };
	struct krpc_named node;
	uint64_t n = 0;

	while (krpc_node(m, &it, &node))
		n++;
	return n;
}

static void put_asked(struct json *j, const struct dhtlog_told *t)
{
	json_str(j, "query", krpc_method_name(t->method));
	json_hex(j, "infohash", span_of(t->target, 20));
}

void dhtlog_answer(struct dhtlog *l, const char *swarm,
    const struct dhtlog_told *t)
{
	const struct krpc_msg *m = t->msg;
	bool reply = m->type == KRPC_REPLY;
	struct json *j = &l->json;
	char ip[ENDPOINT_IP_MAX];
	uint32_t skipped;
	uint64_t values = collect(l, m, &skipped);

	begin(l);
	put_asked(j, t);
	json_bool(j, "scrape", t->scrape);
	if (reply) {
		json_hex(j, "node_id", span_of(m->id, NODEID_BYTES));
		put_rule(j, m, &t->from);
	} else {
		json_null(j, "node_id");
		json_null(j, "node_id_ok");
	}
	if (t->named_as)
		json_hex(j, "named_as", span_of(t->named_as, NODEID_BYTES));
	else
		json_null(j, "named_as");
	put_span(j, "version", m->v);
	json_int(j, "took_ms", (t->heard ? t->at.utc_ns - t->sent.utc_ns :
	    t->at.mono_ns - t->sent.mono_ns) / NS_PER_MS);
	json_str(j, "external_ip", m->ip.family ? endpoint_ip(&m->ip, ip) :
	    NULL);
	json_bool(j, "token", m->token.p != NULL);
	json_uint(j, "values", values);
	json_uint(j, "nodes", count_nodes(m));
	json_uint(j, "skipped", skipped);
	put_filter(j, "seeds", m->bloom_seeds);
	put_filter(j, "peers", m->bloom_peers);
	if (m->type == KRPC_ERROR && m->code >= 0)
		json_int(j, "error", m->code);
	else
		json_null(j, "error");
	put_span(j, "error_text", reply ? span_of(NULL, 0) : m->text);
	put_odd(j, m);
	json_hex(j, "request", t->request);
	overheard_put(j, t->heard);
	put(l, &(struct record){ .at = t->at, .kind = "dht", .swarm = swarm,
	    .who = &t->from, .raw = t->bytes,
	    .named = l->names ? l->named : NULL, .names = l->names });
}

void dhtlog_malformed(struct dhtlog *l, const char *swarm,
    const struct dhtlog_told *t)
{
	struct json *j = &l->json;
	struct span head = t->bytes;

	if (head.n > FAULT_BYTES)
		head.n = FAULT_BYTES;
	begin(l);
	json_str(j, "by", "node");
	json_str(j, "where", "dht");
	json_str(j, "reason", t->err->reason);
	json_uint(j, "offset", t->err->offset);
	put_asked(j, t);
	overheard_put(j, t->heard);
	put(l, &(struct record){ .at = t->at, .kind = "malformed",
	    .swarm = swarm, .who = &t->from, .raw = head });
}

void dhtlog_asked(struct dhtlog *l, const char *swarm,
    const struct krpc_msg *m, const struct endpoint *from, struct span bytes,
    const struct overheard *heard, struct stamp at)
{
	struct json *j = &l->json;

	begin(l);
	json_str(j, "ask", krpc_method_name(m->method));
	json_hex(j, "infohash", span_of(m->target, 20));
	json_hex(j, "node_id", span_of(m->id, NODEID_BYTES));
	put_rule(j, m, from);
	put_span(j, "version", m->v);
	json_bool(j, "read_only", m->read_only);
	json_bool(j, "scrape", m->scrape);
	if (m->port)
		json_uint(j, "port", m->port);
	else
		json_null(j, "port");
	json_bool(j, "implied_port", m->implied_port);
	json_bool(j, "seed", m->seed);
	put_odd(j, m);
	overheard_put(j, heard);
	put(l, &(struct record){ .at = at, .kind = "dht", .swarm = swarm,
	    .who = from, .raw = bytes });
}

/* --- the node's own doings ------------------------------------------------- */

void dhtlog_sum(struct dhtlog *l, const struct dhtlog_sum *s)
{
	struct json *j = &l->json;

	begin(l);
	json_str(j, "lookup", krpc_method_name(KRPC_GET_PEERS));
	json_hex(j, "infohash", span_of(s->infohash, 20));
	json_int(j, "family", s->family);
	json_int(j, "began_utc_ns", s->began.utc_ns);
	json_int(j, "took_ms", (s->at.mono_ns - s->began.mono_ns) / NS_PER_MS);
	json_str(j, "ended", s->ended);
	json_uint(j, "queries", s->queries);
	json_uint(j, "answered", s->answered);
	json_uint(j, "errors", s->errors);
	json_uint(j, "silent", s->silent);
	json_uint(j, "unsent", s->unsent);
	json_uint(j, "malformed", s->malformed);
	json_uint(j, "closest_bits", s->closest_bits);
	json_uint(j, "nearest", s->nearest);
	json_uint(j, "obeying", s->obeying);
	json_uint(j, "values", s->values);
	json_uint(j, "scraped", s->scraped);
	put_estimate(j, "seeds", s->seeds);
	put_estimate(j, "peers", s->peers);
	json_uint(j, "announced", s->announced);
	json_uint(j, "announces_taken", s->announces_taken);
	json_bool(j, "stalled", s->stalled);
	put(l, &(struct record){ .at = s->at, .kind = "dht",
	    .swarm = s->swarm });
}

void dhtlog_id(struct dhtlog *l, int family, const uint8_t id[NODEID_BYTES],
    const uint8_t *was, const struct endpoint *external, struct stamp at)
{
	struct json *j = &l->json;
	char ip[ENDPOINT_IP_MAX];

	begin(l);
	json_hex(j, "own_id", span_of(id, NODEID_BYTES));
	json_int(j, "family", family);
	if (was)
		json_hex(j, "was", span_of(was, NODEID_BYTES));
	else
		json_null(j, "was");
	json_str(j, "external_ip", external->family ?
	    endpoint_ip(external, ip) : NULL);
	put(l, &(struct record){ .at = at, .kind = "dht" });
}
