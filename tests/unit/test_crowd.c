#include "monitor/crowd.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "ledger_case.h"
#include "schema/now.h"
#include "tests/torrent_kit.h"

#define HAVES 50000
#define ROOM 10		/* of the address book */

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

static uint16_t port_of(int fd)
{
	struct sockaddr_in at;
	socklen_t n = sizeof(at);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	return ntohs(at.sin_port);
}

/* A socket at some port of 127.0.0.1. */
static int bound(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void rig_open(struct rig *g, size_t queue_bytes)
{
	struct clockwatch_conf clock = { .loop = &g->loop, .ctx = g,
		.add = on_add };
	struct crowd_conf conf = { .loop = &g->loop, .policy = &g->policy,
		.book = { .allow_local = true, .half_open = 10,
			.dial_rate = 50, .connections = 50, .in_all = ROOM },
		.bind4 = { .family = 4, .addr = { 127, 0, 0, 1 } } };
	struct wire_error err;

	*g = (struct rig){ .policy = { .peer_id = "-SW0100-testtesttes",
		.version = "test", .outstanding = 1 } };
	open_with(&g->c, (struct ledger_conf){ .queue_bytes = queue_bytes });
	uv_loop_init(&g->loop);
	g->clock = clockwatch_new(&clock);
	assert_non_null(g->clock);
	conf.ledger = g->c.l;
	conf.clock = g->clock;
	assert_int_equal(crowd_open(&g->crowd, &conf), 0);
	g->port = g->policy.listen_port = port_of(g->crowd.listen4.fd);
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

/* Whatever was late before has been noticed, and is over. */
static bool calm(struct rig *g)
{
	return !g->crowd.env.stalled(&g->crowd, INT64_MAX);
}

static void a_full_queue_pauses(void **state)
{
	int64_t before;
	sqlite3 *other;
	struct rig g;
	pthread_t t;

	(void)state;
	rig_open(&g, 1 << 20);
	ledger_flush(g.c.l);
	other = db_rw();
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL,
	    NULL), SQLITE_OK);
	assert_true(turn(&g, calm, 10000));
	pthread_create(&t, NULL, tell_haves, &g);
	assert_true(turn(&g, paused, 10000));
	before = g.crowd.env.rx_bytes;
	/* Nobody is read, and what times out now proves nothing. */
	turn(&g, never, 300);
	assert_int_equal(g.crowd.env.rx_bytes, before);
	assert_false(calm(&g));
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

/* --- memory is short ------------------------------------------------------------- */

static bool lingers(struct rig *g)
{
	return !TAILQ_EMPTY(&g->crowd.env.lingering);
}

static bool has_met(struct rig *g)
{
	return g->crowd.env.met == 2;
}

static bool one_went(struct rig *g)
{
	return g->crowd.squeezed > 0;
}

static bool is_full(struct rig *g)
{
	return g->crowd.env.paused && g->crowd.squeezed == 2;	/* both */
}

static bool is_read(struct rig *g)
{
	return !g->crowd.env.paused;
}

static bool turned_away(struct rig *g)
{
	return g->crowd.refused_tight > 0;
}

/* Tight: nobody new, and who has nothing more to say goes. Full: nobody is
 * read, and others go too. All of it on record. */
static void memory_is_short(void **state)
{
	struct memory m;
	sqlite3 *db;
	struct rig g;
	int fd[3];

	(void)state;
	rig_open(&g, 0);
	assert_int_equal(memory_open(&m, INT64_C(1) << 40), 0);
	g.crowd.memory = &m;
	fd[0] = call(&g);
	greet(&g, fd[0]);
	assert_true(turn(&g, lingers, 20000));
	fd[1] = call(&g);
	greet(&g, fd[1]);
	assert_true(turn(&g, has_met, 5000));
	m.most = m.held * 100 / 85;
	assert_true(turn(&g, one_went, 5000));
	assert_int_equal(g.crowd.memory_said, MEMORY_TIGHT);
	assert_false(g.crowd.env.paused);
	fd[2] = call(&g);
	assert_true(turn(&g, turned_away, 5000));
	m.most = m.held * 100 / 95;
	assert_true(turn(&g, is_full, 5000));
	m.most = INT64_C(1) << 40;
	assert_true(turn(&g, is_read, 5000));
	rig_close(&g);
	for (int i = 0; i < 3; i++)
		close(fd[i]);
	memory_close(&m);
	case_holds();
	db = casedir_read(path);
	assert_int_equal(number(db, "SELECT count(*) FROM record WHERE kind = "
	    "'memory' AND detail->>'state' IN ('tight', 'full') AND "
	    "detail->>'held' > 0.8 * (detail->>'bound')"), 2);
	assert_in_range(number(db, "SELECT count(*) FROM record WHERE kind = "
	    "'closed' AND detail->>'why' = 'nothing more to ask, and memory is "
	    "short'"), 1, 2);
	/* The second too, if this machine was so slow. */
	assert_int_equal(number(db, "SELECT count(*) FROM record WHERE kind = "
	    "'closed' AND detail->>'why' IN ('nothing more to ask, and memory "
	    "is short', 'memory is full (--max-memory)')"), 2);
	assert_int_equal(number(db, "SELECT count(*) FROM record WHERE kind = "
	    "'stall' AND detail->>'cause' = 'memory'"), 1);
	sqlite3_close(db);
}

static bool heard_first(struct rig *g)
{
	return g->crowd.unkept > 0;
}

/* What the book cannot keep is told, then and at the end. */
static void a_full_book_says_so(void **state)
{
	struct endpoint at = { .family = 4, .addr = { 127, 0, 9, 1 },
		.port = 9 };
	sqlite3 *db;
	struct rig g;

	(void)state;
	rig_open(&g, 0);
	for (int i = 0; i < 2 * ROOM; i++, at.addr[3]++)
		crowd_hear(&g.crowd, g.swarm, &at, BOOK_TRACKER);
	assert_true(turn(&g, heard_first, 5000));
	for (int i = 0; i < 2 * ROOM; i++, at.addr[3]++)
		crowd_hear(&g.crowd, g.swarm, &at, BOOK_TRACKER);
	rig_close(&g);
	case_holds();
	db = casedir_read(path);
	assert_int_equal(number(db, "SELECT count(*) FROM record WHERE kind = "
	    "'book' AND detail->>'most' = 10"), 2);
	assert_int_equal(number(db, "SELECT max((detail->>'forgotten') + "
	    "(detail->>'refused')) FROM record WHERE kind = 'book'"),
	    3 * ROOM);
	sqlite3_close(db);
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
	fd = bound();
	at.port = port_of(fd);
	close(fd);
	crowd_hear(&g.crowd, g.swarm, &at, BOOK_TRACKER);
	fd = call(&g);
	ledger_flush(g.c.l);	/* each commit needs one for checkpoint.txt */
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

/* --- who spoke ---------------------------------------------------------------- */

static int listener;

/* Greeted, it closes without a word: an encrypted dial may do better. */
static bool dialled_twice(struct rig *g)
{
	uint8_t in[PW_HANDSHAKE];
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);

	for (int i = 0; fd >= 0 && i < 1000 && recv(fd, in, sizeof(in),
	    0) <= 0; i++) {
		uv_run(&g->loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	if (fd >= 0)
		close(fd);
	return g->crowd.env.dialled >= 2;
}

/* Its second dial comes at once after a handshake from its address, though
 * that conversation goes on, and after a minute without one. */
static void a_handshake_speaks(void **state)
{
	struct endpoint at = { .family = 4, .addr = { 127, 0, 0, 1 } };
	struct rig g;
	int fd;

	(void)state;
	for (int spoke = 0; spoke < 2; spoke++) {
		rig_open(&g, 0);
		listener = bound();
		assert_int_equal(listen(listener, 4), 0);
		fcntl(listener, F_SETFL, O_NONBLOCK);
		fd = call(&g);
		if (spoke) {
			greet(&g, fd);
			assert_true(turn(&g, lingers, 20000));
		} else {
			assert_true(turn(&g, one_waits, 5000));
		}
		at.port = port_of(listener);
		crowd_hear(&g.crowd, g.swarm, &at, BOOK_TRACKER);
		assert_int_equal(turn(&g, dialled_twice, spoke ? 10000 : 2000),
		    spoke);
		assert_int_equal(g.crowd.env.dialled, 1 + spoke);
		close(listener);
		rig_close(&g);
		close(fd);
		next_case(state);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, next_case)
	const struct CMUnitTest tests[] = {
		T(a_full_queue_pauses), T(memory_is_short),
		T(a_full_book_says_so), T(no_descriptors),
		T(a_handshake_speaks),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
