/* The node against a made-up DHT on loopback addresses, in one loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/dht.h"
#include "monitor/dhtask.h"
#include "schema/now.h"
#include "tests/loop_kit.h"
#include "wire/krpc.h"

#define NODES 12u
#define PORT 7881

static struct node {
	uv_poll_t poll;
	int fd;
	uint8_t id[20];
	unsigned asked, announced;
	int64_t last_ns, least_ns;	/* the shortest gap */
} node[NODES];

static const uint8_t hash[1][20] = { "the hash that we see" };
static const char swarm[] = "7468652068617368207468617420776520736565";
static uv_loop_t loop;
static struct datagrams *net;
static struct dht *dht;
static struct casedir dir = { .lock = -1 };
static char folder[64];
static struct endpoint us;
static char log_text[1 << 20];
static size_t log_n;
static unsigned peers, records;
static int owner;
static bool saw_scrape, all_read_only;

/* --- the made-up nodes ------------------------------------------------------ */

static struct endpoint address(unsigned i)
{
	return (struct endpoint){ .family = 4, .port = PORT,
		.addr = { 127, 0, 1, (uint8_t)(i + 1) } };
}

static size_t put_node(uint8_t *out, unsigned i)
{
	memcpy(out, node[i].id, 20);
	memcpy(out + 20, address(i).addr, 4);
	put_u16(out + 24, PORT);
	return 26;
}

/* Each knows the next three. The last has two peers; all say we are 8.8.4.4. */
static void reply(unsigned i, const struct krpc_msg *q,
    const struct endpoint *to)
{
	uint8_t out[1024];
	size_t n = 0;
	char head[64];
	bool nodes = q->method == KRPC_FIND_NODE ||
	    q->method == KRPC_GET_PEERS;

	n += (size_t)snprintf((char *)out, sizeof(out),
	    "d2:ip6:%c%c%c%c%c%c1:rd2:id20:", 8, 8, 4, 4, 1, 1);
	memcpy(out + n, node[i].id, 20);
	n += 20;
	if (nodes) {
		unsigned last = i + 4 < NODES ? i + 4 : NODES;

		n += (size_t)snprintf(head, sizeof(head), "5:nodes%u:",
		    26 * (last - i - 1));
		memcpy(out + n - strlen(head), head, strlen(head));
		for (unsigned k = i + 1; k < last; k++)
			n += put_node(out + n, k);
	}
	if (q->method == KRPC_GET_PEERS)
		n += (size_t)snprintf((char *)out + n, sizeof(out) - n,
		    "5:token3:tok");
	if (q->method == KRPC_GET_PEERS && i == NODES - 1 && !q->scrape) {
		memcpy(out + n, "6:valuesl6:\1\2\3\4\0\5" "6:\5\6\7\10\0\0e",
		    26);
		n += 26;
	}
	n += (size_t)snprintf((char *)out + n, sizeof(out) - n, "e1:t%zu:",
	    q->t.n);
	memcpy(out + n, q->t.p, q->t.n);
	n += q->t.n;
	memcpy(out + n, "1:y1:re", 7);
	assert_true(sock_send(node[i].fd, to, span_of(out, n + 7)));
}

static void on_node(uv_poll_t *poll, int status, int events)
{
	unsigned i = (unsigned)((struct node *)poll->data - node);
	struct sock_datagram d;
	struct krpc_msg q;
	struct wire_error err;
	uint8_t in[2048];

	(void)status;
	(void)events;
	while (sock_recv(node[i].fd, in, sizeof(in), &d)) {
		assert_int_equal(krpc_read(d.bytes, &q, &err), WIRE_OK);
		all_read_only &= q.read_only && q.type == KRPC_QUERY;
		saw_scrape |= q.scrape;
		node[i].asked++;
		if (node[i].last_ns && (node[i].least_ns == 0 ||
		    d.mono_ns - node[i].last_ns < node[i].least_ns))
			node[i].least_ns = d.mono_ns - node[i].last_ns;
		node[i].last_ns = d.mono_ns;
		if (q.method == KRPC_ANNOUNCE_PEER) {
			node[i].announced++;
			assert_int_equal(q.port, 4321);
			assert_false(q.implied_port);
			assert_true(span_is(q.token, "tok"));
		}
		reply(i, &q, &d.from);
	}
}

/* --- ours ---------------------------------------------------------------------- */

static int64_t on_add(void *ctx, const struct record *r)
{
	(void)ctx;
	log_n += (size_t)snprintf(log_text + log_n, sizeof(log_text) - log_n,
	    "%s %s %u %s\n", r->kind, r->swarm ? r->swarm : "-",
	    (unsigned)r->names, r->detail);
	assert_true(log_n < sizeof(log_text));
	return records++;
}

static void on_peer(void *ctx, void *swarm_ctx, const struct endpoint *at)
{
	(void)ctx;
	assert_ptr_equal(swarm_ctx, &owner);
	assert_true(at->family == 4);
	peers++;
}

static bool on_stalled(void *ctx, int64_t since)
{
	(void)ctx;
	(void)since;
	return false;
}

static bool on_full(void *ctx)
{
	(void)ctx;
	return false;
}

static void on_stall(void *ctx, const char *cause, int64_t from, int64_t to,
    int64_t lag, int64_t dropped)
{
	(void)ctx, (void)cause, (void)from, (void)to, (void)lag, (void)dropped;
}

static void open_dht(bool announce)
{
	struct datagrams_conf nc = { .loop = &loop, .full = on_full,
		.stalled = on_stall };
	struct dht_conf dc = { .loop = &loop, .dir = &dir, .port = 4321,
		.allow_local = true, .announce = announce, .add = on_add,
		.peer = on_peer, .stalled = on_stalled };

	endpoint_parse_ip(span_str("127.0.0.1"), &nc.bind4);
	for (us = nc.bind4, us.port = 7900; net == NULL; us.port++) {
		nc.port = us.port;
		net = datagrams_open(&nc);
		if (net)
			break;
	}
	dc.net = net;
	dht = dht_new(&dc);
	assert_non_null(dht);
}

static void close_dht(void)
{
	dht_stop(dht);
	datagrams_close(net);
	net = NULL;
}

static int begin(void **state)
{
	(void)state;
	log_n = 0;
	log_text[0] = '\0';
	peers = records = 0;
	saw_scrape = false;
	all_read_only = true;
	snprintf(folder, sizeof(folder), "/tmp/test_dht.XXXXXX");
	assert_non_null(mkdtemp(folder));
	dir.path = folder;
	uv_loop_init(&loop);
	for (unsigned i = 0; i < NODES; i++) {
		struct endpoint at = address(i);

		memset(&node[i], 0, sizeof(node[i]));
		/* The later, the nearer to the hash. */
		memcpy(node[i].id, hash[0], 20);
		node[i].id[i] ^= 0x80;
		node[i].fd = sock_open(4, SOCK_DGRAM, &at, PORT, PORT);
		assert_true(node[i].fd >= 0);
		uv_poll_init(&loop, &node[i].poll, node[i].fd);
		node[i].poll.data = &node[i];
		uv_poll_start(&node[i].poll, UV_READABLE, on_node);
	}
	return 0;
}

static int finish(void **state)
{
	char name[128];

	(void)state;
	for (unsigned i = 0; i < NODES; i++) {
		uv_close((uv_handle_t *)&node[i].poll, NULL);
		close(node[i].fd);
	}
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(uv_loop_close(&loop), 0);
	dht_free(dht);
	dht = NULL;
	snprintf(name, sizeof(name), "%s/dht4.nodes", folder);
	unlink(name);
	return rmdir(folder);
}

static unsigned asked(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NODES; i++)
		n += node[i].asked;
	return n;
}

static unsigned announced_in_all(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NODES; i++)
		n += node[i].announced;
	return n;
}

static void test_lookup(void **state)
{
	struct dht_search *s;
	struct dht_count c;

	(void)state;
	open_dht(true);
	s = dht_watch(dht, swarm, hash, 1, &owner);
	assert_non_null(s);
	loop_run_ms(&loop, 300);
	assert_int_equal(asked(), 0);	/* we know nobody */
	assert_true(dht_bootstrap(dht, span_str("127.0.1.1"), PORT));
	assert_false(dht_bootstrap(dht, span_str(""), PORT));
	assert_false(dht_bootstrap(dht, span_str("a b"), PORT));
	loop_run_until(&loop, strstr(log_text, "\"ended\":\"the nearest "
	    "answered\"") != NULL && announced_in_all() == 8, 60);
	assert_true(peers >= 2);
	assert_true(all_read_only);
	assert_true(saw_scrape);
	/* Of the time between two, less what sending took. */
	for (unsigned i = 0; i < NODES; i++)
		if (node[i].least_ns)
			assert_true(node[i].least_ns >
			    (DHTASK_LEAST_MS - 50) * NS_PER_MS);
	assert_int_equal(announced_in_all(), 8);
	assert_true(node[NODES - 1].announced == 1);
	assert_non_null(strstr(log_text, "{\"own_id\":"));
	assert_non_null(strstr(log_text, "\"values\":2,"));
	assert_non_null(strstr(log_text, "\"lookup\":\"get_peers\""));
	assert_non_null(strstr(log_text, "\"announced\":8,"
	    "\"announces_taken\":8,"));
	assert_non_null(strstr(log_text, "\"ended\":\"the nearest "
	    "answered\""));
	/* They agree on where we are, so our id is of that address. */
	assert_non_null(strstr(log_text, "\"external_ip\":\"8.8.4.4\"}"));
	dht_counts(dht, &c);
	assert_true(c.nodes[0] >= 8);
	assert_int_equal(c.lookups, 0);
	dht_unwatch(s);
	close_dht();
}

/* What one run learnt serves the next; without a name or announce. */
static void test_kept(void **state)
{
	(void)state;
	open_dht(false);
	dht_bootstrap(dht, span_str("127.0.1.1"), PORT);
	assert_non_null(dht_watch(dht, swarm, hash, 1, &owner));
	loop_run_until(&loop, peers >= 2, 60);
	assert_true(peers >= 2);
	close_dht();
	loop_run_ms(&loop, 50);
	dht_free(dht);
	peers = 0;
	open_dht(false);
	assert_non_null(dht_watch(dht, swarm, hash, 1, &owner));
	loop_run_until(&loop, peers >= 2, 60);
	assert_true(peers >= 2);
	for (unsigned i = 0; i < NODES; i++)
		assert_int_equal(node[i].announced, 0);
	close_dht();
}

/* A `port` message; an end in the middle; a node not to be asked. */
static void test_heard(void **state)
{
	struct endpoint at = address(0), never = at;

	(void)state;
	open_dht(false);
	assert_non_null(dht_watch(dht, swarm, hash, 1, &owner));
	never.port = 0;
	dht_heard(dht, &never);
	never = (struct endpoint){ .family = 6, .port = 1 };
	dht_heard(dht, &never);
	for (int i = 0; i < 100; i++)
		dht_heard(dht, &at);
	/* A ping, and the lookup's question. */
	loop_run_until(&loop, node[0].asked > 1, 60);
	assert_true(node[0].asked > 1);
	close_dht();
	assert_non_null(strstr(log_text, "\"lookup\":\"get_peers\""));
}

/* Whoever asks us, or sends what nobody asked for, gets nothing. */
static void test_passive(void **state)
{
	static const char query[] = "d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:"
	    "ping1:t2:aa1:y1:qe";
	struct sock_datagram d;
	uint8_t in[64];
	int fd;

	(void)state;
	open_dht(false);
	fd = sock_open(4, SOCK_DGRAM, &us, 30000, 40000);
	for (int i = 0; i < 500; i++)
		assert_true(sock_send(fd, &us, span_of(query,
		    sizeof(query) - 1)));
	loop_run_ms(&loop, 300);
	assert_false(sock_recv(fd, in, sizeof(in), &d));
	assert_int_equal(records, 1);	/* our id */
	close(fd);
	close_dht();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, begin, finish)
	const struct CMUnitTest tests[] = {
		T(test_lookup), T(test_kept), T(test_heard), T(test_passive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
