#include "monitor/crowd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>

#include "ledger_case.h"
#include "schema/now.h"
#include "tests/torrent_kit.h"

#define HAVES 50000

/* A crowd with one swarm on loopback, and the ledger it writes to. */
struct rig {
	uv_loop_t loop;
	struct open_case c;
	struct clockwatch *clock;
	struct session_conf policy;
	struct crowd crowd;
	struct kit kit;
	struct swarm *swarm;
	uint16_t port;
};

static int64_t on_add(void *ctx, const struct record *r)
{
	struct rig *g = ctx;

	return ledger_add(g->c.l, r);
}

static uint16_t free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	close(fd);
	return ntohs(at.sin_port);
}

static void rig_open(struct rig *g, size_t queue_bytes)
{
	struct clockwatch_conf clock = { .loop = &g->loop, .ctx = g,
		.add = on_add };
	struct crowd_conf conf = { .loop = &g->loop, .policy = &g->policy,
		.book = { .allow_local = true, .half_open = 10,
			.dial_rate = 50, .connections = 50 },
		.bind4 = { .family = 4, .addr = { 127, 0, 0, 1 } } };

	struct wire_error err;

	*g = (struct rig){ .policy = { .peer_id = "-SW0100-testtesttes",
		.version = "test", .outstanding = 1 } };
	open_with(&g->c, (struct ledger_conf){ .queue_bytes = queue_bytes });
	uv_loop_init(&g->loop);
	g->clock = clockwatch_new(&clock);
	assert_non_null(g->clock);
	g->port = g->policy.listen_port = free_port();
	conf.ledger = g->c.l;
	conf.clock = g->clock;
	conf.listen_port = g->port;
	assert_int_equal(crowd_open(&g->crowd, &conf), 0);
	g->kit = kit_make(true, false);
	g->swarm = swarm_new(torrent_new(span_of(g->kit.file, g->kit.n), &err),
	    "kit");
	assert_int_equal(crowd_watch(&g->crowd, g->swarm), 0);
}

static void close_any(uv_handle_t *h, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void on_done(void *ctx)
{
	struct rig *g = ctx;

	uv_stop(&g->loop);
}

static void rig_close(struct rig *g)
{
	crowd_stop(&g->crowd, "the test ended");
	clockwatch_stop(g->clock, 100, on_done);
	uv_run(&g->loop, UV_RUN_DEFAULT);
	uv_walk(&g->loop, close_any, NULL);
	uv_run(&g->loop, UV_RUN_DEFAULT);
	uv_loop_close(&g->loop);
	clockwatch_free(g->clock);
	crowd_free(&g->crowd);
	kit_free(&g->kit);
	close_it(&g->c);
}

/* Turns the loop until it holds, or for so long. */
static bool turn(struct rig *g, bool (*held)(struct rig *g), int ms)
{
	int64_t end = clock_ns(CLOCK_MONOTONIC) + ms * NS_PER_MS;
	static const struct timespec rest = { .tv_nsec = 1000000 };

	while (!held(g)) {
		if (clock_ns(CLOCK_MONOTONIC) > end)
			return false;
		uv_run(&g->loop, UV_RUN_NOWAIT);
		nanosleep(&rest, NULL);
	}
	return true;
}

static int call(const struct rig *g)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_port = htons(g->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void greet(const struct rig *g, int fd)
{
	struct pw_handshake h = { .reserved = { [7] = 4 },
		.peer_id = "-XX0000-otherotherot" };
	uint8_t out[PW_HANDSHAKE];

	memcpy(h.infohash, g->swarm->policy.infohash[0], 20);
	pw_handshake_put(out, &h);
	assert_int_equal(write(fd, out, sizeof(out)), sizeof(out));
}

/* --- the queue is full ---------------------------------------------------------- */

static void *tell_haves(void *arg)
{
	const struct rig *g = arg;
	uint8_t have[9] = { 0, 0, 0, 5, 4 };
	static uint8_t all[HAVES * sizeof(have)];
	int fd = call(g);

	greet(g, fd);
	for (size_t i = 0; i < HAVES; i++) {
		have[8] = (uint8_t)(i % 4);
		memcpy(all + i * sizeof(have), have, sizeof(have));
	}
	for (size_t n = 0; n < sizeof(all);) {
		ssize_t took = write(fd, all + n, sizeof(all) - n);

		if (took <= 0)
			break;
		n += (size_t)took;
	}
	while (read(fd, all, sizeof(all)) > 0)
		;
	close(fd);
	return NULL;
}

static bool paused(struct rig *g)
{
	return g->crowd.env.paused;
}

static bool never(struct rig *g)
{
	(void)g;
	return false;
}

static bool all_came(struct rig *g)
{
	return !g->crowd.env.paused &&
	    g->crowd.env.rx_bytes == HAVES * 9 + PW_HANDSHAKE;
}

static void a_full_queue_pauses(void **state)
{
	int64_t before, now = clock_ns(CLOCK_MONOTONIC);
	sqlite3 *other;
	struct rig g;
	pthread_t t;

	(void)state;
	rig_open(&g, 1 << 20);
	ledger_flush(g.c.l);
	other = db_rw();
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL,
	    NULL), SQLITE_OK);
	assert_false(g.crowd.env.stalled(&g.crowd, now));
	pthread_create(&t, NULL, tell_haves, &g);
	assert_true(turn(&g, paused, 10000));
	before = g.crowd.env.rx_bytes;
	/* Nobody is read, and what times out now proves nothing. */
	turn(&g, never, 300);
	assert_int_equal(g.crowd.env.rx_bytes, before);
	assert_true(g.crowd.env.stalled(&g.crowd, now));
	sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
	sqlite3_close(other);
	assert_true(turn(&g, all_came, 20000));
	rig_close(&g);
	pthread_join(t, NULL);
	case_holds();
	other = casedir_read(path);
	assert_int_equal(number(other, "SELECT sum(detail->>'count') FROM "
	    "record WHERE kind = 'have'"), HAVES);
	assert_in_range(number(other, "SELECT max(detail->>'lag_ms') FROM "
	    "record WHERE kind = 'stall' AND detail->>'cause' = 'queue' AND "
	    "detail->>'from_utc_ns' < detail->>'to_utc_ns'"), 300, 10000);
	sqlite3_close(other);
}

/* --- no descriptors are left ------------------------------------------------------ */

static bool one_waits(struct rig *g)
{
	return g->crowd.env.accepted > 0;
}

static void no_descriptors(void **state)
{
	struct endpoint at = { .family = 4, .addr = { 127, 0, 0, 1 } };
	struct rlimit lim, none;
	struct book_state bs;
	struct rig g;
	int fd, last;

	(void)state;
	rig_open(&g, 0);
	last = dup(0);
	close(last);
	at.port = free_port();
	crowd_hear(&g.crowd, g.swarm, &at, BOOK_TRACKER);
	fd = call(&g);
	getrlimit(RLIMIT_NOFILE, &lim);
	none = lim;
	none.rlim_cur = (rlim_t)last + 1;	/* fd has the last */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_false(turn(&g, one_waits, 1500));
	/* It was not the address that failed. */
	assert_int_equal(g.crowd.env.dialled, 0);
	book_state(g.crowd.book, &bs);
	assert_int_equal(bs.half_open, 0);
	setrlimit(RLIMIT_NOFILE, &lim);
	assert_true(turn(&g, one_waits, 3000));
	close(fd);
	rig_close(&g);
	case_holds();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, next_case)
	const struct CMUnitTest tests[] = {
		T(a_full_queue_pauses), T(no_descriptors),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
