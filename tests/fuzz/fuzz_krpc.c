/*
 * The bytes as one DHT datagram; and, cut into datagrams by a length byte
 * each, as what comes back to a lookup and its routing table.
 */
#include "tests/fuzz/fuzz.h"
#include "wire/dhtnode.h"
#include "wire/krpc.h"
#include "wire/lookup.h"

#include <stdlib.h>

static bool within(struct span s, struct span all)
{
	return s.n == 0 || (s.p >= all.p && s.n <= (size_t)(all.p + all.n -
	    s.p));
}

static void walk(const struct krpc_msg *m, struct span all)
{
	struct krpc_values vals = { 0 };
	struct krpc_nodes nodes = { 0 };
	struct krpc_named node;
	struct endpoint e;
	size_t count = 0;

	demand(within(m->t, all) && within(m->v, all) && within(m->name, all));
	demand(within(m->token, all) && within(m->text, all));
	demand(m->code >= -1 && m->t.p != NULL);
	demand(!m->bloom_seeds.p || m->bloom_seeds.n == 256);
	demand(!m->bloom_peers.p || m->bloom_peers.n == 256);
	demand(within(m->bloom_seeds, all) && within(m->bloom_peers, all));
	while (krpc_node(m, &nodes, &node)) {
		demand(node.at.family == 4 || node.at.family == 6);
		count++;
	}
	demand(count == m->nodes.n / KRPC_NODE4 + m->nodes6.n / KRPC_NODE6);
	for (count = 0; krpc_value(m, &vals, &e); count++)
		demand(e.family == 4 || e.family == 6);
	demand(count + vals.skipped <= m->values.n);
}

/* Every message we can make of what was read is read back the same. */
static void again(const struct krpc_msg *m)
{
	struct krpc_ask ask = { .method = m->method, .t = m->t, .v = m->v,
		.want = m->want, .read_only = m->read_only, .scrape =
		m->scrape, .token = m->token, .port = m->port,
		.implied_port = m->implied_port };
	uint8_t out[KRPC_SENT_MAX];
	struct wire_error err;
	struct krpc_msg got;
	size_t n;

	memcpy(ask.id, m->id, 20);
	memcpy(ask.target, m->target, 20);
	n = krpc_put(out, sizeof(out), &ask);
	if (m->type != KRPC_QUERY || n == 0)
		return;
	demand(krpc_read(span_of(out, n), &got, &err) == WIRE_OK);
	demand(got.method == m->method && span_eq(got.t, m->t));
	demand(memcmp(got.id, m->id, 20) == 0 && got.notes == 0);
	demand(m->method == KRPC_PING || memcmp(got.target, m->target, 20) ==
	    0);
	if (m->method == KRPC_ANNOUNCE_PEER)
		demand(got.port == m->port && span_eq(got.token, m->token));
}

static void check_lookup(const struct lookup *l)
{
	unsigned seen[LOOKUP_NODES] = { 0 };

	demand(l->n <= LOOKUP_NODES && l->asked <= LOOKUP_QUERIES_MAX);
	for (unsigned i = 0; i < l->n; i++) {
		const struct lookup_node *a = &l->node[l->order[i]], *b;

		demand(l->order[i] < l->n && seen[l->order[i]]++ == 0);
		demand(a->at.family == 4 && a->at.port != 0);
		if (i == 0)
			continue;
		b = &l->node[l->order[i - 1]];
		demand(b->has_id || !a->has_id);
		demand(!a->has_id || nodeid_nearer(l->target, b->id, a->id) <=
		    0);
	}
}

static void check_table(const struct dht_table *t)
{
	static uint8_t saved[DHT_SAVE_MAX];
	static struct dht_table u;
	const uint8_t id[20] = { 0x77 };
	size_t n = dht_save(t, 0, saved, sizeof(saved));

	for (unsigned k = 0; k < DHT_BUCKETS; k++) {
		demand(t->bucket[k].n <= DHT_K);
		for (unsigned i = 0; i < t->bucket[k].n; i++) {
			unsigned bits = nodeid_shared(t->id,
			    t->bucket[k].node[i].id);

			demand(bits == k || (k == DHT_BUCKETS - 1 && bits > k));
		}
	}
	dht_init(&u, id, 4);
	demand(dht_load(&u, span_of(saved, n)));
}

static void converse(struct span all)
{
	static struct lookup l;
	static struct dht_table t;
	const uint8_t own[20] = { 0x20 };
	uint8_t target[20] = "mnopqrstuvwxyz123456";
	struct endpoint boot = endpoint_of(span_of((uint8_t[]){ 10, 0, 0, 1 },
	    4), 1);
	struct cur c = cur_of(all);
	struct wire_error err;
	struct krpc_msg m;
	unsigned slot = 0, fresh;
	int64_t now = 0, wake;

	lookup_init(&l, target, 4, true);
	dht_init(&t, own, 4);
	lookup_add(&l, NULL, &boot);
	for (int turn = 0; turn < 400; turn++) {
		enum lookup_step step = lookup_next(&l, now, &slot, &wake);

		check_lookup(&l);
		if (step == LOOKUP_DONE)
			break;
		if (step == LOOKUP_WAIT) {
			demand(wake > now);
			now = wake;
			continue;
		}
		demand(slot < l.n);
		if (step == LOOKUP_SILENT) {
			dht_failed(&t, &l.node[slot].at);
			continue;
		}
		struct span one = cur_take(&c, cur_left(&c) ? cur_u8(&c) : 0);
		if (c.bad || one.n == 0)
			continue;
		if (krpc_read(one, &m, &err) != WIRE_OK)
			lookup_failed(&l, slot);
		else if (lookup_answered(&l, slot, &m, &fresh))
			dht_answered(&t, m.id, &l.node[slot].at, now / 1000);
		now += one.p[0];
	}
	check_table(&t);
	demand(lookup_nearest(&l, l.answered) == NULL);
	demand(l.answered == 0 || lookup_nearest(&l, l.answered - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	struct span all = span_of(copy, n);
	struct wire_error err = { NULL, 0 };
	static struct dht_table t;
	struct krpc_msg m;

	demand(copy != NULL);
	if (n)
		memcpy(copy, data, n);
	if (krpc_read(all, &m, &err) == WIRE_OK) {
		walk(&m, all);
		again(&m);
	} else {
		demand(err.reason && err.offset <= n);
	}
	converse(all);
	for (uint8_t family = 4; family <= 6; family += 2) {
		dht_init(&t, (const uint8_t *)"abcdefghij0123456789", family);
		demand(dht_load(&t, all) == (n % (family == 4 ? 26 : 38) == 0));
		demand(dht_count(&t, 0, NULL) <= n / 26);
	}
	free(copy);
	return 0;
}
