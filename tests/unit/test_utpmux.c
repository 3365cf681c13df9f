#include "monitor/utpmux.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "schema/draw.h"
#include "schema/now.h"
#include "wire/utp.h"

#define MUCH 300000u

/* One end: its sockets, its conversations, and what came over the last. */
struct end {
	struct utpmux *mux;
	struct datagrams *udp;
	struct endpoint at;
	struct stream *s;
	bool deny, many, opened, over;
	unsigned asked, accepted, ended;
	const char *failed, *why;
	size_t got, put, rooms;
};

static uv_loop_t loop;
static struct end a, b;

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static void on_opened(void *ctx, struct stamp at)
{
	struct end *e = ctx;

	(void)at;
	assert_false(e->opened);
	e->opened = true;
}

static void on_failed(void *ctx, const char *why, const char *error,
    struct stamp at)
{
	struct end *e = ctx;

	(void)error;
	(void)at;
	e->failed = why;
	stream_close(e->s);
	e->s = NULL;
}

static void on_bytes(void *ctx, struct span s, struct stamp at)
{
	struct end *e = ctx;

	assert_true(e->opened && at.mono_ns > 0 && at.utc_ns > 0);
	for (size_t i = 0; i < s.n; i++)
		assert_int_equal(s.p[i], byte_at(e->got + i));
	e->got += s.n;
}

/* Says what is left to be said. */
static void fill(struct end *e)
{
	uint8_t out[5000];

	while (e->put < MUCH) {
		size_t n = MUCH - e->put < sizeof(out) ? MUCH - e->put :
		    sizeof(out);
		ssize_t took;

		for (size_t i = 0; i < n; i++)
			out[i] = byte_at(e->put + i);
		took = stream_write(e->s, out, n);
		assert_true(took >= 0);
		e->put += (size_t)took;
		if ((size_t)took < n)
			return;
	}
}

static void on_room(void *ctx, struct stamp at)
{
	struct end *e = ctx;

	(void)at;
	e->rooms++;
	fill(e);
}

static void on_ended(void *ctx, const char *by, const char *why,
    struct stamp at)
{
	struct end *e = ctx;

	(void)by;
	(void)at;
	e->over = true;
	e->why = why;
	stream_close(e->s);
	e->s = NULL;
}

static const struct stream_hooks hooks = { .opened = on_opened,
	.failed = on_failed, .bytes = on_bytes, .room = on_room,
	.ended = on_ended };

/* Of one conversation among many of b's. */
static void one_opened(void *ctx, struct stamp at)
{
	(void)ctx;
	(void)at;
	b.opened = true;
}

static void one_said(void *ctx, struct span s, struct stamp at)
{
	(void)ctx;
	(void)at;
	b.got += s.n;
}

static void one_ended(void *ctx, const char *by, const char *why,
    struct stamp at)
{
	(void)by;
	(void)at;
	b.ended++;
	b.why = why;
	stream_close(ctx);
}

static const struct stream_hooks one = { .opened = one_opened,
	.bytes = one_said, .ended = one_ended };

static bool on_admit(void *ctx, const struct endpoint *from)
{
	struct end *e = ctx;

	(void)from;
	e->asked++;
	return !e->deny;
}

static void on_accepted(void *ctx, struct stream *s,
    const struct endpoint *from, const struct endpoint *local)
{
	struct end *e = ctx;
	struct endpoint same;

	(void)from;
	e->accepted++;
	e->s = s;
	assert_int_equal(endpoint_cmp(local, &e->at), 0);
	assert_true(stream_local(s, &same));
	assert_int_equal(endpoint_cmp(&same, &e->at), 0);
	assert_string_equal(s->ops->transport, "utp");
	if (e->many)
		stream_start(s, &one, s);
	else
		stream_start(s, &hooks, e);
}

static bool never(void *ctx)
{
	(void)ctx;
	return false;
}

static void no_stall(void *ctx, const char *cause, int64_t from, int64_t to,
    int64_t lag, int64_t dropped)
{
	(void)ctx;
	(void)cause;
	(void)from;
	(void)to;
	(void)lag;
	(void)dropped;
}

static void open_end(struct end *e)
{
	struct datagrams_conf net = { .loop = &loop, .ctx = e,
		.bind4 = { .family = 4, .addr = { 127, 0, 0, 1 } },
		.full = never, .stalled = no_stall };
	struct utpmux_conf conf = { .loop = &loop, .bind4 = net.bind4,
		.ctx = e, .admit = on_admit, .accepted = on_accepted };

	*e = (struct end){ 0 };
	for (int i = 0; i < 100 && !e->udp; i++) {
		draw_bits(&net.port, sizeof(net.port));
		net.port = (uint16_t)(10000 + net.port % 20000);
		e->udp = datagrams_open(&net);
	}
	assert_non_null(e->udp);
	e->at = net.bind4;
	e->at.port = conf.port = net.port;
	conf.udp = e->udp;
	e->mux = utpmux_open(&conf);
	assert_non_null(e->mux);
}

static int setup(void **state)
{
	(void)state;
	uv_loop_init(&loop);
	open_end(&a);
	open_end(&b);
	return 0;
}

static void close_handle(uv_handle_t *h, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static int teardown(void **state)
{
	(void)state;
	datagrams_close(a.udp);
	datagrams_close(b.udp);
	uv_walk(&loop, close_handle, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	utpmux_free(a.mux);
	utpmux_free(b.mux);
	return 0;
}

static void on_beat(uv_timer_t *t)
{
	(void)t;
}

/* Until it holds, for so many seconds at most. */
#define AWAIT(held, seconds) do { \
	uint64_t end_ns = uv_hrtime() + (uint64_t)(seconds) * 1000000000u; \
	while (!(held) && uv_hrtime() < end_ns) \
		turn(); \
} while (0)

static void turn(void)
{
	static uv_timer_t beat;

	uv_timer_init(&loop, &beat);
	uv_timer_start(&beat, on_beat, 5, 0);
	uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&beat, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
}

static void dial(struct end *from, const struct end *to)
{
	from->s = utpmux_dial(from->mux, &to->at);
	assert_non_null(from->s);
	stream_start(from->s, &hooks, from);
}

/* Much more than a window or the ring, in order, both ways, with a pause. */
static void conversation(void **state)
{
	size_t held;

	(void)state;
	dial(&a, &b);
	AWAIT(a.opened && b.accepted, 5);
	assert_true(a.opened);
	assert_int_equal(b.accepted, 1);
	/* Who dialled proves itself with its first word. */
	for (int i = 0; i < 5; i++)
		turn();
	assert_false(b.opened);
	stream_read(b.s, false);
	fill(&a);
	AWAIT(b.opened, 5);
	assert_true(b.opened);
	fill(&b);
	AWAIT(a.got == MUCH, 10);
	assert_int_equal(a.got, MUCH);
	for (int i = 0; i < 30; i++)
		turn();
	held = b.got;
	assert_in_range(a.put, 1, 65536 + 16384);	/* it is not taken */
	for (int i = 0; i < 10; i++)
		turn();
	assert_int_equal(b.got, held);
	stream_read(b.s, true);
	AWAIT(b.got == MUCH, 10);
	assert_int_equal(b.got, MUCH);
	assert_true(a.rooms > 0);
	stream_close(a.s);
	AWAIT(b.over, 5);
	assert_true(b.over);
	assert_string_equal(b.why, "closed the connection");
}

static void nobody_there(void **state)
{
	struct endpoint gone = b.at;

	(void)state;
	b.deny = true;
	dial(&a, &b);
	AWAIT(a.failed, 6);
	assert_string_equal(a.failed, "timeout");
	assert_true(b.asked > 0);
	assert_int_equal(b.accepted, 0);
	/* One that is stopped accepts nobody, and a dial may be given up. */
	b.deny = false;
	utpmux_stop(b.mux);
	a.s = utpmux_dial(a.mux, &gone);
	stream_start(a.s, &hooks, &a);
	turn();
	stream_close(a.s);
	a.s = utpmux_dial(a.mux, &gone);
	stream_close(a.s);	/* never begun */
	turn();
	assert_int_equal(b.accepted, 0);
	gone.family = 6;
	assert_null(utpmux_dial(a.mux, &gone));
}

/* SYNs whose source is forged: counted, never heard, and never more sent out
 * than came in. */
static void forged(void **state)
{
	struct sockaddr_storage ss;
	socklen_t n = sock_addr(&b.at, &ss);
	size_t in = 0, out = 0, answers = 0;
	uint8_t bytes[64], data[64];
	int fd[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct endpoint me = { .family = 4, .addr = { 127, 0, 0, 1 } };

		fd[i] = sock_open(4, SOCK_DGRAM, &me, 0, 0);
		assert_true(fd[i] >= 0);
	}
	for (unsigned i = 0; i < 200; i++) {
		struct utp_packet syn = { .type = UTP_ST_SYN,
			.conn_id = (uint16_t)(i * 3), .seq = 7,
			.window = 65536 };
		struct utp_packet more = { .type = UTP_ST_DATA,
			.conn_id = (uint16_t)(i * 3 + 1), .seq = 8,
			.ack = (uint16_t)i };	/* a guess */
		size_t k = utp_packet_put(bytes, sizeof(bytes), &syn);

		sendto(fd[0], bytes, k, 0, (struct sockaddr *)&ss, n);
		in += k;
		k = utp_packet_put(data, sizeof(data), &more);
		memcpy(data + k, "believe me", 10);
		sendto(fd[0], data, k + 10, 0, (struct sockaddr *)&ss, n);
		in += k + 10;
		turn();
		while (recv(fd[0], bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
			out += UTP_HEADER;
			answers++;
		}
	}
	assert_in_range(b.accepted, 1, 200);
	assert_false(b.opened);
	assert_int_equal(b.got, 0);
	assert_true(answers > 0 && out <= in);
	/* A RESET, and what is no uTP at all, is answered by nothing. */
	struct utp_packet reset = { .type = UTP_ST_RESET, .conn_id = 5 };

	in = utp_packet_put(bytes, sizeof(bytes), &reset);
	sendto(fd[1], bytes, in, 0, (struct sockaddr *)&ss, n);
	sendto(fd[1], "\x01 not that", 10, 0, (struct sockaddr *)&ss, n);
	for (int i = 0; i < 5; i++)
		turn();
	assert_true(recv(fd[1], bytes, sizeof(bytes), MSG_DONTWAIT) < 0);
	for (int i = 0; i < 2; i++)
		close(fd[i]);
}

static void syns(int fd, unsigned from, unsigned n)
{
	struct sockaddr_storage ss;
	socklen_t len = sock_addr(&b.at, &ss);
	uint8_t bytes[64];

	for (unsigned i = from; i < from + n; i++) {
		struct utp_packet syn = { .type = UTP_ST_SYN,
			.conn_id = (uint16_t)(i * 3), .seq = 7,
			.window = 65536 };
		size_t k = utp_packet_put(bytes, sizeof(bytes), &syn);

		sendto(fd, bytes, k, 0, (struct sockaddr *)&ss, len);
		if (i % 50 == 0)
			turn();
	}
	for (int i = 0; i < 20; i++)
		turn();
}

/* Not more than 64 that may be forged at a time. After a second the oldest
 * gives way, and whoever is honest is heard. */
static void a_flood(void **state)
{
	struct endpoint me = { .family = 4, .addr = { 127, 0, 0, 1 } };
	int fd = sock_open(4, SOCK_DGRAM, &me, 0, 0);
	int64_t began = clock_ns(CLOCK_MONOTONIC);

	(void)state;
	b.many = true;
	syns(fd, 0, 1000);
	if (clock_ns(CLOCK_MONOTONIC) - began < NS_PER_S)
		assert_int_equal(b.accepted, 64);
	dial(&a, &b);
	if (clock_ns(CLOCK_MONOTONIC) - began < NS_PER_S)
		assert_false(a.opened);
	/* It says its SYN again. */
	AWAIT(a.failed || a.opened, 4);
	assert_true(a.opened);
	assert_int_equal(stream_write(a.s, (const uint8_t *)"", 1), 1);
	AWAIT(b.opened, 4);
	assert_true(b.opened && b.got == 1);
	assert_int_equal(b.ended, 1);
	assert_string_equal(b.why, "it never proved that it receives");
	/* Nor do more than 64 in a second make them give way. */
	began = clock_ns(CLOCK_MONOTONIC);
	syns(fd, 2000, 1000);
	if (clock_ns(CLOCK_MONOTONIC) - began < NS_PER_S)
		assert_in_range(b.accepted, 65, 64 + 1 + 64);
	stream_close(a.s);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(conversation), T(nobody_there), T(forged), T(a_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
