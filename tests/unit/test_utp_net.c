/*
 * Two ends of a uTP conversation and a net between them that loses, delays,
 * reorders and repeats, on a clock of its own: what one writes the other reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/exact.h"
#include "wire/utp.h"

#define MS 1000u
#define S 1000000u

struct net {
	const char *name;
	unsigned loss, twice;		/* per mille */
	uint64_t delay, jitter;		/* microseconds, one way */
	uint64_t rate;			/* bytes a second each way; 0: any */
	uint32_t window;
	uint16_t mtu;
	uint16_t seq_a, seq_b;
	uint32_t bytes_a, bytes_b;	/* written by each end */
	uint64_t most;			/* microseconds it may take */
};

struct flying {
	uint64_t at;
	struct span bytes;
	int to;
};

struct end {
	struct utp u;
	struct utp_memory m;
	uint32_t to_write, written, to_read, got;
	uint64_t skew;		/* its clock's */
	uint64_t free_at;	/* its link's */
	bool open;
	uint64_t queue_max;	/* microseconds a packet waited */
};

struct world {
	const struct net *net;
	struct end e[2];
	struct flying *f;
	size_t nf, room;
	uint64_t now, rng;
	uint32_t slow_read;	/* bytes an end reads a turn; 0: all */
};

static uint32_t dice(struct world *w)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)(w->rng >> 32);
}

/* The byte at an offset of what an end writes. */
static uint8_t content(int who, uint32_t at)
{
	uint32_t x = at * 2654435761u + (uint32_t)who;

	return (uint8_t)(x >> 24 ^ x >> 11);
}

static void launch(struct world *w, int from, const uint8_t *p, size_t n)
{
	struct end *e = &w->e[from];
	uint64_t at = w->now;

	if (w->net->rate) {
		if (e->free_at < at)
			e->free_at = at;
		if (e->free_at - at > 400 * MS)
			return;		/* a full queue */
		if (e->free_at - at > e->queue_max)
			e->queue_max = e->free_at - at;
		e->free_at += (n + 28) * S / w->net->rate;
		at = e->free_at;
	}
	at += w->net->delay;
	if (w->net->jitter)
		at += dice(w) % w->net->jitter;
	if (w->nf == w->room) {
		w->room = w->room ? 2 * w->room : 64;
		w->f = realloc(w->f, w->room * sizeof(*w->f));
		assert_non_null(w->f);
	}
	w->f[w->nf++] = (struct flying){ at, exact(p, n), !from };
}

static void fly(struct world *w, int from, const uint8_t *p, size_t n)
{
	if (dice(w) % 1000 < w->net->loss)
		return;
	launch(w, from, p, n);
	if (dice(w) % 1000 < w->net->twice)
		launch(w, from, p, n);
}

static uint64_t clock_of(const struct world *w, int who)
{
	return w->now + w->e[who].skew;
}

static void lend(struct end *e, const struct net *net)
{
	e->m.nblocks = UTP_BLOCKS(net->window);
	e->m.blocks = calloc(e->m.nblocks, sizeof(*e->m.blocks));
	e->m.ring_n = 100001;	/* no power of two */
	e->m.ring = malloc(e->m.ring_n);
	assert_non_null(e->m.blocks);
	assert_non_null(e->m.ring);
}

static struct utp_conf conf_of(const struct net *net)
{
	struct utp_conf c = UTP_CONF_DEFAULT;

	c.window = net->window;
	c.mtu = net->mtu;
	c.syns = 10;
	c.tries = 12;
	c.prove_us = c.linger_us = 500 * S;
	return c;
}

static void world_open(struct world *w, const struct net *net, uint64_t seed)
{
	struct utp_conf c = conf_of(net);

	*w = (struct world){ .net = net, .now = S, .rng = seed * 2 + 1 };
	for (int i = 0; i < 16; i++)
		dice(w);
	for (int i = 0; i < 2; i++)
		lend(&w->e[i], net);
	w->e[0].skew = 0xffffffffull - 3 * S;	/* wraps under way */
	w->e[1].skew = 77 * S;
	w->e[0].to_write = w->e[1].to_read = net->bytes_a;
	w->e[1].to_write = w->e[0].to_read = net->bytes_b;
	utp_connect(&w->e[0].u, &c, &w->e[0].m, 0xffff, net->seq_a,
	    clock_of(w, 0));
	w->e[0].open = true;
}

static void world_close(struct world *w)
{
	for (size_t i = 0; i < w->nf; i++)
		unexact(w->f[i].bytes);
	free(w->f);
	for (int i = 0; i < 2; i++) {
		free(w->e[i].m.blocks);
		free(w->e[i].m.ring);
	}
}

static void arrive(struct world *w, int who, struct span bytes)
{
	struct end *e = &w->e[who];
	struct utp_conf c = conf_of(w->net);
	struct wire_error err;
	struct utp_packet k;
	uint16_t id[3];

	assert_true(utp_packet_plausible(bytes, &k));
	assert_true(bytes.n <= w->net->mtu);
	if (!e->open) {
		if (k.type != UTP_ST_SYN)
			return;
		utp_accept(&e->u, &c, &e->m, &k, w->net->seq_b,
		    clock_of(w, who));
		e->open = true;
		return;
	}
	size_t nid = utp_packet_ids(&k, id);
	bool known = false;
	for (size_t i = 0; i < nid; i++)
		known = known || id[i] == e->u.recv_id;
	assert_true(known);
	assert_true(utp_takes(&e->u, &k));
	if (utp_input(&e->u, &k, clock_of(w, who), &err) == UTP_MALFORMED)
		fail_msg("%s: %s", w->net->name, err.reason);
}

/* What an application does in a turn: reads, writes, closes. */
static void live(struct world *w, int who)
{
	struct end *e = &w->e[who];
	uint32_t left = w->slow_read ? w->slow_read : UINT32_MAX;
	uint8_t buf[777];
	struct span s;

	while (left && (s = utp_read(&e->u)).n) {
		size_t n = s.n < left ? s.n : left;

		for (size_t i = 0; i < n; i++)
			if (s.p[i] != content(!who, e->got + (uint32_t)i))
				fail_msg("%s: wrong byte at %zu", w->net->name,
				    e->got + i);
		e->got += (uint32_t)n;
		left -= (uint32_t)n;
		assert_true(e->got <= e->to_read);
		assert_true(utp_proven(&e->u));
		utp_consume(&e->u, n);
	}
	while (e->written < e->to_write) {
		size_t n = e->to_write - e->written;

		if (n > sizeof(buf))
			n = sizeof(buf);
		for (size_t i = 0; i < n; i++)
			buf[i] = content(who, e->written + (uint32_t)i);
		size_t took = utp_write(&e->u, span_of(buf, n));
		e->written += (uint32_t)took;
		if (took < n)
			break;
	}
	if (e->written == e->to_write && e->got == e->to_read)
		utp_close(&e->u, clock_of(w, who));
}

static void turn(struct world *w, int who)
{
	struct end *e = &w->e[who];
	uint8_t *out = malloc(w->net->mtu);
	size_t n;

	assert_non_null(out);
	if (e->open && utp_deadline(&e->u) <= clock_of(w, who))
		utp_timeout(&e->u, clock_of(w, who));
	if (e->open)
		live(w, who);
	while (e->open &&
	    (n = utp_output(&e->u, out, w->net->mtu, clock_of(w, who))) != 0) {
		assert_true(n <= w->net->mtu);
		assert_true(e->u.in.kept + e->u.in.ready <= w->net->window ||
		    e->u.in.kept == 0);
		fly(w, who, out, n);
	}
	free(out);
}

/* Moves to the next thing that happens. */
static void step(struct world *w)
{
	uint64_t next = w->slow_read ? w->now + 5 * MS : UINT64_MAX;

	for (int i = 0; i < 2; i++) {
		uint64_t at = w->e[i].open ? utp_deadline(&w->e[i].u) :
		    UINT64_MAX;

		if (at != UINT64_MAX && at - w->e[i].skew < next)
			next = at - w->e[i].skew;
	}
	for (size_t i = 0; i < w->nf; i++)
		if (w->f[i].at < next)
			next = w->f[i].at;
	if (next == UINT64_MAX)
		fail_msg("%s: nothing will ever happen", w->net->name);
	if (next > w->now)
		w->now = next;
	for (size_t i = 0; i < w->nf; ) {
		struct flying f = w->f[i];

		if (f.at > w->now) {
			i++;
			continue;
		}
		memmove(&w->f[i], &w->f[i + 1], (--w->nf - i) * sizeof(f));
		arrive(w, f.to, f.bytes);
		unexact(f.bytes);
	}
	turn(w, 0);
	turn(w, 1);
}

static const char *const state_names[] = {
#define X(id, text) [UTP_##id] = (text),
	UTP_STATES(X)
#undef X
};

static const struct net nets[] = {
	{ .name = "a clean net", .delay = 10 * MS, .window = 65536,
	  .mtu = 1400, .seq_a = 1, .seq_b = 100, .bytes_a = 300000,
	  .bytes_b = 300000, .most = 3 * S },
	{ .name = "numbers that wrap", .delay = MS, .window = 65536,
	  .mtu = 300, .seq_a = 65530, .seq_b = 65535, .bytes_a = 20000000,
	  .bytes_b = 100, .most = 20 * S },
	{ .name = "3 % lost", .loss = 30, .delay = 10 * MS,
	  .window = 65536, .mtu = 1400, .seq_a = 65530, .seq_b = 7,
	  .bytes_a = 200000, .bytes_b = 200000, .most = 30 * S },
	{ .name = "30 % lost", .loss = 300, .delay = 10 * MS,
	  .window = 65536, .mtu = 1400, .seq_a = 65535, .seq_b = 65535,
	  .bytes_a = 50000, .bytes_b = 50000, .most = 2000 * S },
	{ .name = "out of order", .delay = 5 * MS, .jitter = 40 * MS,
	  .window = 65536, .mtu = 1400, .seq_a = 65500, .seq_b = 65500,
	  .bytes_a = 300000, .bytes_b = 300000, .most = 30 * S },
	{ .name = "everything twice", .twice = 1000, .delay = 10 * MS,
	  .jitter = 3 * MS, .window = 65536, .mtu = 1400, .seq_a = 9,
	  .seq_b = 65533, .bytes_a = 200000, .bytes_b = 200000,
	  .most = 30 * S },
	{ .name = "all of it", .loss = 50, .twice = 50, .delay = 20 * MS,
	  .jitter = 20 * MS, .window = 20000, .mtu = 600, .seq_a = 65000,
	  .seq_b = 65000, .bytes_a = 300000, .bytes_b = 300000,
	  .most = 120 * S },
	{ .name = "a window of 2000", .loss = 10, .delay = 5 * MS,
	  .window = 2000, .mtu = 1400, .seq_a = 1, .seq_b = 1,
	  .bytes_a = 50000, .bytes_b = 50000, .most = 60 * S },
	{ .name = "a window of 300", .delay = 5 * MS, .window = 300,
	  .mtu = 1400, .seq_a = 1, .seq_b = 1, .bytes_a = 10000,
	  .bytes_b = 10000, .most = 60 * S },
	{ .name = "a narrow link", .delay = 10 * MS, .rate = 100000,
	  .window = 262144, .mtu = 1400, .seq_a = 1, .seq_b = 1,
	  .bytes_a = 1500000, .bytes_b = 0, .most = 25 * S },
};

static bool over(const struct world *w)
{
	return w->e[0].u.state == UTP_CLOSED && w->e[1].open &&
	    w->e[1].u.state == UTP_CLOSED;
}

static void run(struct world *w)
{
	uint64_t begun = w->now;

	turn(w, 0);
	while (!over(w)) {
		step(w);
		if (w->now - begun > w->net->most)
			fail_msg("%s: not done: %u of %u, %s, %s and %u of %u,"
			    " %s, %s", w->net->name, w->e[0].got,
			    w->e[0].to_read,
			    state_names[w->e[0].u.state],
			    utp_end_name(w->e[0].u.end), w->e[1].got,
			    w->e[1].to_read,
			    state_names[w->e[1].u.state],
			    utp_end_name(w->e[1].u.end));
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(w->e[i].got, w->e[i].to_read);
		assert_int_equal(w->e[i].u.in.used, 0);
	}
}

static void transfers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++)
		for (uint64_t seed = 1; seed <= 4; seed++) {
			struct world w;

			world_open(&w, &nets[i], seed);
			run(&w);
			/* Loss may take the last words, and nothing else. */
			if (nets[i].loss == 0)
				for (int k = 0; k < 2; k++)
					assert_int_equal(w.e[k].u.end,
					    UTP_END_FIN);
			if (seed == 1)
				printf("%-20s %6.2f s, %llu + %llu sent "
				    "again, queue %llu ms\n", nets[i].name,
				    (double)(w.now - S) / S,
				    (unsigned long long)
				    w.e[0].u.count.resent,
				    (unsigned long long)
				    w.e[1].u.count.resent,
				    (unsigned long long)
				    w.e[0].queue_max / MS);
			world_close(&w);
		}
}

/* LEDBAT: a long transfer fills a link and keeps its queue near the target. */
static void queue_stays_short(void **state)
{
	struct net net = nets[9];
	struct world w;

	(void)state;
	assert_string_equal(net.name, "a narrow link");
	net.bytes_a = 3000000;
	net.most = 40 * S;
	world_open(&w, &net, 1);
	turn(&w, 0);
	while (w.now < 8 * S)
		step(&w);
	w.e[0].queue_max = 0;
	uint64_t begun = w.now;
	uint32_t got = w.e[1].got;
	while (!over(&w) && w.now < 20 * S)
		step(&w);
	uint64_t rate = (uint64_t)(w.e[1].got - got) * S / (w.now - begun);
	printf("%llu of 100000 bytes a second, queue at most %llu ms\n",
	    (unsigned long long)rate,
	    (unsigned long long)w.e[0].queue_max / MS);
	assert_true(rate > 85000);
	assert_true(w.e[0].queue_max < 200 * MS);
	world_close(&w);
}

/* A reader slower than the net: the window shuts and opens again. */
static void slow_reader(void **state)
{
	struct net net = nets[0];
	struct world w;

	(void)state;
	net.window = 8000;
	net.bytes_b = 100;
	net.bytes_a = 100000;
	net.most = 60 * S;
	world_open(&w, &net, 1);
	w.slow_read = 500;
	run(&w);
	assert_true(w.now > 100000 / 500 * 5 * MS);
	assert_true(w.now < 10 * S);
	world_close(&w);
}

/* What tests/interop/test_utp.py asks against libtorrent, against ourselves. */
static void lossy_rate(void **state)
{
	static const struct net net = { .name = "3 % and 50 ms", .loss = 30,
	    .delay = 25 * MS, .window = 1048576, .mtu = 1400, .seq_a = 65000,
	    .seq_b = 65000, .bytes_a = 1000, .bytes_b = 1000000,
	    .most = 60 * S };
	uint64_t sum = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct world w;

		world_open(&w, &net, seed);
		run(&w);
		sum += w.now - S;
		world_close(&w);
	}
	printf("1 MB through 3 %% loss and 50 ms round trip: %.2f s, "
	    "%.0f kB/s\n", (double)sum / 5 / S, 5e6 / 1e3 / ((double)sum / S));
	assert_true(sum / 5 < 15 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transfers),
		cmocka_unit_test(queue_stays_short),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(lossy_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
