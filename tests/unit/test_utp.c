#include "wire/utp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define B(s) s, sizeof(s) - 1
#define MS 1000u
#define S 1000000u

/* --- the codec ------------------------------------------------------------ */

/* 20 bytes: type and version, first extension, conn id 0x1234, stamp 1, diff
 * 2, window 0xf000, seq 0xfffe, ack 0x0102. */
#define HEAD(type_ver, ext) type_ver ext "\x12\x34\0\0\0\1\0\0\0\2\0\0\xf0\0" \
	"\xff\xfe\1\2"

static const struct {
	const char *name;
	const char *in;
	size_t n;
	const char *want;
	bool plausible;
} packets[] = {
	{ "data", B(HEAD("\x01", "\0") "abc"), "data +3", true },
	{ "fin", B(HEAD("\x11", "\0")), "fin", true },
	{ "state", B(HEAD("\x21", "\0")), "state", true },
	{ "reset", B(HEAD("\x31", "\0")), "reset", true },
	{ "state with bytes behind", B(HEAD("\x21", "\0") "x"), "state +1",
	    false },
	{ "version 2", B(HEAD("\x02", "\0")), "0 unknown uTP version", false },
	{ "type 5", B(HEAD("\x51", "\0")), "0 unknown uTP type", false },
	{ "selective ack", B(HEAD("\x21", "\1") "\0\4\1\2\3\4"),
	    "state sack 4", true },
	{ "selective ack of 8", B(HEAD("\x01", "\1") "\0\10" "abcdefgh" "z"),
	    "data sack 8 +1", true },
	{ "selective ack of nothing", B(HEAD("\x21", "\1") "\0\0"),
	    "state", true },
	{ "libtorrent's selective ack", B(HEAD("\x01", "\1") "\0\3" "abc"
	    "d"), "data sack 3 +1", true },
	{ "unknown extension", B(HEAD("\x21", "\2") "\0\10" "abcdefgh"),
	    "state unknown 1", true },
	{ "unknown, then selective ack",
	    B(HEAD("\x01", "\2") "\1\2" "ab" "\0\4" "cdef" "!"),
	    "data sack 4 unknown 1 +1", true },
	{ "unknown of nothing", B(HEAD("\x01", "\377") "\0\0" "!"),
	    "data unknown 1 +1", true },
	{ "close reason", B(HEAD("\x11", "\3") "\0\4\0\0\1\2"),
	    "fin reason 258", true },
	{ "close reason too long", B(HEAD("\x31", "\3") "\0\5\0\0\1\2\3"),
	    "reset unknown 1", true },
	{ "two selective acks: the first",
	    B(HEAD("\x21", "\1") "\1\4" "abcd" "\0\10" "efghijkl"),
	    "state sack 4", true },
	{ "chain without end", B(HEAD("\x21", "\2") "\2\0\2\0\2\0"),
	    "26 extension past the end", false },
	{ "extension longer than the packet", B(HEAD("\x21", "\2") "\0\5" "abcd"),
	    "20 extension past the end", false },
	{ "syn that answers", B(HEAD("\x41", "\0")), "syn", false },
	{ "syn", B("\x41\0\x02\x10\xee\xb2\xf0\0\0\0\0\0\0\0\0\0\xe7\xf5\0\0"),
	    "syn", true },
	{ "syn with the extension bits", B("\x41\2\x02\x10\xee\xb2\xf0\0\0\0\0\0"
	    "\0\0\0\0\xe7\xf5\0\0" "\0\10\0\0\0\0\0\0\0\0"), "syn unknown 1",
	    true },
	{ "a DNS query", B("\x41\0\1\0\0\1\0\0\0\0\0\0" "\1a\0" "\0\1\0\1"),
	    "19 shorter than a uTP header", false },
	{ "a DNS query of 20 bytes",
	    B("\x41\0\1\0\0\1\0\0\0\0\0\0" "\2aa\0" "\0\1\0\1"), "syn", false },
	{ "a DHT ping", B("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa"
	    "1:y1:qe"), "0 unknown uTP version", false },
	{ "a tracker's answer", B("\0\0\0\0\1\2\3\4\1\2\3\4\1\2\3\4\0\0\0\0"),
	    "0 unknown uTP version", false },
};

static const char *const type_names[] = {
#define X(name, text, type) [type] = (text),
	UTP_TYPES(X)
#undef X
};

static const char *const state_names[] = {
#define X(id, text) [UTP_##id] = (text),
	UTP_STATES(X)
#undef X
};

static void say(char *buf, size_t n, enum wire_status st,
    const struct utp_packet *p, const struct wire_error *err)
{
	if (st != WIRE_OK) {
		snprintf(buf, n, "%zu %s", err->offset, err->reason);
		return;
	}
	int at = snprintf(buf, n, "%s", type_names[p->type]);
	if (p->sack.n)
		at += snprintf(buf + at, n - (size_t)at, " sack %zu",
		    p->sack.n);
	if (p->unknown)
		at += snprintf(buf + at, n - (size_t)at, " unknown %u",
		    p->unknown);
	if (p->close_reason >= 0)
		at += snprintf(buf + at, n - (size_t)at, " reason %d",
		    (int)p->close_reason);
	if (p->payload.n)
		snprintf(buf + at, n - (size_t)at, " +%zu", p->payload.n);
}

static uint8_t *exact(const void *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);

	assert_non_null(copy);
	if (n)
		memcpy(copy, p, n);
	return copy;
}

static void codec(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		size_t n = packets[i].n;

		for (size_t cut = 0; cut <= n; cut++) {
			uint8_t *p = exact(packets[i].in, cut);
			struct wire_error err = { NULL, 0 };
			struct utp_packet k;
			char buf[128];
			enum wire_status st = utp_packet_read(span_of(p, cut),
			    &k, &err);

			say(buf, sizeof(buf), st, &k, &err);
			if (cut == n && strcmp(buf, packets[i].want) != 0)
				fail_msg("%s: %s", packets[i].name, buf);
			if (cut < UTP_HEADER)
				assert_int_equal(st, WIRE_BAD);
			if (st == WIRE_BAD)
				assert_true(err.reason && err.offset <= cut);
			bool ok = utp_packet_plausible(span_of(p, cut), &k);
			if (cut == n && ok != packets[i].plausible)
				fail_msg("%s: plausible %d", packets[i].name,
				    ok);
			assert_true(!ok || st == WIRE_OK);
			free(p);
		}
	}
}

static void codec_fields(void **state)
{
	struct wire_error err;
	struct utp_packet p, q;
	uint8_t out[UTP_HEADER + 2 + 8];

	(void)state;
	assert_int_equal(utp_packet_read(span_of(HEAD("\x01", "\0"), 20), &p,
	    &err), WIRE_OK);
	assert_int_equal(p.conn_id, 0x1234);
	assert_int_equal(p.stamp_us, 1);
	assert_int_equal(p.diff_us, 2);
	assert_int_equal(p.window, 0xf000);
	assert_int_equal(p.seq, 0xfffe);
	assert_int_equal(p.ack, 0x0102);
	for (size_t n = 0; n <= 8; n += 4) {
		p.sack = span_of("abcdefgh", n);
		size_t want = 20 + (n ? 2 + n : 0);
		for (size_t room = 0; room < want; room++)
			assert_int_equal(utp_packet_put(out, room, &p), 0);
		assert_int_equal(utp_packet_put(out, want, &p), want);
		assert_int_equal(utp_packet_read(span_of(out, want), &q, &err),
		    WIRE_OK);
		assert_true(span_eq(q.sack, p.sack));
		assert_int_equal(q.seq, 0xfffe);
		assert_int_equal(q.payload.n, 0);
	}
}

static void ids(void **state)
{
	struct utp_packet p = { .type = UTP_ST_DATA, .conn_id = 0xffff };
	uint16_t id[3];

	(void)state;
	assert_int_equal(utp_packet_ids(&p, id), 1);
	assert_int_equal(id[0], 0xffff);
	p.type = UTP_ST_SYN;
	assert_int_equal(utp_packet_ids(&p, id), 1);
	assert_int_equal(id[0], 0);
	p.type = UTP_ST_RESET;
	assert_int_equal(utp_packet_ids(&p, id), 3);
	assert_int_equal(id[1], 0xfffe);
	assert_int_equal(id[2], 0);
}

/* --- the receiving half --------------------------------------------------- */

static size_t drain(struct utpin *in, char *to, size_t room)
{
	size_t n = 0;

	for (struct span s; (s = utpin_read(in)).n; utpin_consume(in, s.n)) {
		assert_true(s.n <= room - n);
		memcpy(to + n, s.p, s.n);
		n += s.n;
	}
	return n;
}

static void reorder(void **state)
{
	struct utp_block blocks[16];
	struct utpin in;
	uint8_t sack[UTP_SACK_MAX];
	char got[64];

	(void)state;
	utpin_init(&in, blocks, 16, 8192, 0xfffe);
	assert_int_equal(utpin_window(&in), 8192);
	assert_int_equal(utpin_sack(&in, sack, sizeof(sack)), 0);
	assert_int_equal(utpin_put(&in, (uint16_t)(0xfffe + UTP_REORDER),
	    span_str("x"), false), UTPIN_OUTSIDE);
	/* fffe is missing; ffff, 1 and 31 come */
	assert_int_equal(utpin_put(&in, 0xffff, span_str("bc"), false),
	    UTPIN_NEW);
	assert_int_equal(utpin_put(&in, 0xffff, span_str("XX"), false),
	    UTPIN_DUPLICATE);
	assert_int_equal(utpin_put(&in, 1, span_str("f"), false), UTPIN_NEW);
	assert_int_equal(utpin_sack(&in, sack, sizeof(sack)), 4);
	assert_memory_equal(sack, "\5\0\0\0", 4);
	assert_int_equal(utpin_put(&in, 31, span_str("far"), true), UTPIN_NEW);
	assert_int_equal(utpin_sack(&in, sack, sizeof(sack)), 8);
	assert_memory_equal(sack, "\5\0\0\0\1\0\0\0", 8);
	assert_int_equal(utpin_sack(&in, sack, 7), 4);
	assert_int_equal(utpin_sack(&in, sack, 3), 0);
	assert_int_equal(utpin_put(&in, 0xfffd, span_str("old"), false),
	    UTPIN_DUPLICATE);
	assert_int_equal(utpin_put(&in, 32, span_str("beyond the FIN"), false),
	    UTPIN_OUTSIDE);
	assert_int_equal(drain(&in, got, sizeof(got)), 0);
	assert_int_equal(utpin_window(&in), 8192 - 6);
	assert_int_equal(utpin_put(&in, 0xfffe, span_str("a"), false),
	    UTPIN_NEW);
	assert_int_equal(utpin_put(&in, 0, span_str("de"), false), UTPIN_NEW);
	assert_int_equal(drain(&in, got, sizeof(got)), 6);
	assert_memory_equal(got, "abcdef", 6);
	assert_int_equal(in.ack, 1);
	for (uint16_t seq = 2; seq < 31; seq++) {
		assert_false(in.eof);
		assert_int_equal(utpin_put(&in, seq, span_str(""), false),
		    UTPIN_NEW);
	}
	assert_true(in.eof);
	assert_int_equal(drain(&in, got, sizeof(got)), 3);
	assert_int_equal(in.used, 0);
	assert_int_equal(utpin_put(&in, 32, span_str("more"), false),
	    UTPIN_OUTSIDE);
}

/* Packets ahead never take the room of the one that closes the gap. */
static void reorder_full(void **state)
{
	static uint8_t full[UTP_BLOCK], big[9 * UTP_BLOCK];
	struct utp_block *blocks = calloc(8, sizeof(*blocks));
	struct utpin in;
	uint16_t seq = 1;

	(void)state;
	assert_non_null(blocks);
	utpin_init(&in, blocks, 8, 8 * UTP_BLOCK, 0);
	while (utpin_put(&in, seq, span_of(full, UTP_BLOCK), false) ==
	    UTPIN_NEW)
		seq++;
	assert_int_equal(seq, 8);
	assert_int_equal(utpin_window(&in), 0);
	assert_int_equal(utpin_put(&in, 0, span_of(full, 1), false),
	    UTPIN_NEW);
	assert_int_equal(in.ack, 7);
	assert_int_equal(in.ready, 7 * UTP_BLOCK + 1);
	/* small packets take whole blocks: the window says so */
	while (in.ready)
		utpin_consume(&in, 100);
	for (seq = 9; utpin_put(&in, seq, span_of(full, 1), false) ==
	    UTPIN_NEW; )
		seq++;
	assert_int_equal(seq, 9 + 7);
	assert_true(utpin_window(&in) <= UTP_BLOCK);
	assert_int_equal(utpin_put(&in, 8, span_of(big, sizeof(big)), false),
	    UTPIN_OUTSIDE);
	assert_int_equal(utpin_put(&in, 8, span_of(full, UTP_BLOCK), false),
	    UTPIN_NEW);
	utpin_deafen(&in);
	assert_int_equal(utpin_put(&in, 16, span_of(full, 9), false),
	    UTPIN_NEW);
	assert_int_equal(in.ready, UTP_BLOCK + 7);
	assert_int_equal(in.used, 2);
	while (in.ready)
		utpin_consume(&in, UTP_BLOCK);
	assert_int_equal(in.used, 0);
	free(blocks);
}

/* --- two ends and a net between them -------------------------------------- */

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
	uint8_t *p;
	size_t n;
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
	w->f[w->nf++] = (struct flying){ at, exact(p, n), n, !from };
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
		free(w->f[i].p);
	free(w->f);
	for (int i = 0; i < 2; i++) {
		free(w->e[i].m.blocks);
		free(w->e[i].m.ring);
	}
}

static void arrive(struct world *w, int who, const uint8_t *p, size_t n)
{
	struct end *e = &w->e[who];
	struct utp_conf c = conf_of(w->net);
	struct wire_error err;
	struct utp_packet k;
	uint16_t id[3];

	assert_true(utp_packet_plausible(span_of(p, n), &k));
	assert_true(n <= w->net->mtu);
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
		known = known || id[i] == utp_id(&e->u);
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
		arrive(w, f.to, f.p, f.n);
		free(f.p);
	}
	turn(w, 0);
	turn(w, 1);
}

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

/* What the figures of issue 3 ask of the receiver, against our own sender. */
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

/* Delays count from their lowest, on clocks that wrap. */
static void delays(void **state)
{
	struct ledbat l;
	uint32_t base = 0xffffff00u;

	(void)state;
	ledbat_init(&l, 1000);
	ledbat_rtt(&l, 300 * MS);
	ledbat_ack(&l, 1000, 4000, base, S);
	assert_int_equal(l.cwnd, 5000);
	for (int i = 0; i < 4; i++)
		ledbat_ack(&l, 1000, l.cwnd, base + 90 * MS, S);
	assert_false(l.slow_start);
	uint32_t cwnd = l.cwnd;
	for (int i = 0; i < 20; i++)
		ledbat_ack(&l, 1000, l.cwnd, base + 150 * MS, S);
	assert_true(l.cwnd < cwnd);
	cwnd = l.cwnd;
	ledbat_ack(&l, 1000, l.cwnd, 0, S);		/* none given */
	ledbat_ack(&l, 1000, l.cwnd, INT32_MAX, S);
	assert_true(l.cwnd <= cwnd);
	for (int i = 0; i < 200; i++)
		ledbat_ack(&l, 1000, l.cwnd, base + 280 * MS, S);
	assert_int_equal(l.cwnd, 2000);
	/* What is not used does not grow. */
	for (int i = 0; i < 100; i++)
		ledbat_ack(&l, 100, 100, base, 2 * S);
	assert_int_equal(l.cwnd, 2000);
	/* After minutes the path is another one. */
	for (uint64_t m = 1; m <= LEDBAT_BASE + 1; m++)
		ledbat_ack(&l, 1000, l.cwnd, base + 280 * MS,
		    S + m * 61 * S);
	cwnd = l.cwnd;
	for (int i = 0; i < 50; i++)
		ledbat_ack(&l, 1000, l.cwnd, base + 280 * MS, 800 * S);
	assert_true(l.cwnd > cwnd);
	ledbat_timeout(&l);
	assert_int_equal(l.cwnd, 1000);
	assert_true(ledbat_rto_us(&l) >= 500 * MS);
}

/* --- hostile and odd ------------------------------------------------------ */

struct lone {
	struct utp u;
	struct utp_memory m;
	uint8_t out[1400];
	struct utp_packet said;	/* what it sent last */
};

static void lone_memory(struct lone *l)
{
	*l = (struct lone){ 0 };
	l->m.nblocks = UTP_BLOCKS(65536);
	l->m.blocks = calloc(l->m.nblocks, sizeof(*l->m.blocks));
	l->m.ring_n = 4096;
	l->m.ring = malloc(l->m.ring_n);
	assert_non_null(l->m.blocks);
	assert_non_null(l->m.ring);
}

static void lone_free(struct lone *l)
{
	free(l->m.blocks);
	free(l->m.ring);
}

static size_t lone_out(struct lone *l, uint64_t now)
{
	struct wire_error err;
	size_t n = utp_output(&l->u, l->out, sizeof(l->out), now);

	if (n)
		assert_int_equal(utp_packet_read(span_of(l->out, n), &l->said,
		    &err), WIRE_OK);
	return n;
}

static void lone_accept(struct lone *l)
{
	struct utp_conf c = UTP_CONF_DEFAULT;
	struct utp_packet syn = { .type = UTP_ST_SYN, .conn_id = 700,
	    .seq = 65535, .window = 100000, .stamp_us = 5 };

	lone_memory(l);
	utp_accept(&l->u, &c, &l->m, &syn, 4000, 1000);
	assert_int_equal(l->u.state, UTP_CONNECTING);
	assert_int_equal(utp_id(&l->u), 701);
	assert_int_equal(lone_out(l, 1000), 20);
	assert_int_equal(l->said.type, UTP_ST_STATE);
	assert_int_equal(l->said.conn_id, 700);
	assert_int_equal(l->said.seq, 4000);
	assert_int_equal(l->said.ack, 65535);
	assert_int_equal(l->said.diff_us, 995);
	assert_int_equal(lone_out(l, 1000), 0);
}

static enum utp_result lone_in(struct lone *l, enum utp_type type,
    uint16_t seq, uint16_t ack, const char *payload)
{
	struct wire_error err;
	struct utp_packet p = { .type = type, .conn_id = 701, .seq = seq,
	    .ack = ack, .window = 50000, .stamp_us = 9, .close_reason = -1,
	    .payload = span_str(payload) };

	assert_true(utp_takes(&l->u, &p));
	return utp_input(&l->u, &p, 2000, &err);
}

static void unproven(void **state)
{
	struct utp_packet syn = { .type = UTP_ST_SYN, .conn_id = 700,
	    .seq = 65535 };
	struct wire_error err;
	struct lone l;

	(void)state;
	lone_accept(&l);
	/* Nothing goes to an address that may be forged, but one answer for
	 * each SYN. */
	assert_int_equal(utp_write(&l.u, span_str("hello")), 5);
	assert_int_equal(lone_out(&l, 1100), 0);
	assert_true(utp_takes(&l.u, &syn));
	assert_int_equal(utp_input(&l.u, &syn, 1200, &err), UTP_IGNORED);
	assert_int_equal(lone_out(&l, 1200), 20);
	assert_int_equal(lone_out(&l, 1200), 0);
	syn.seq = 1;
	assert_false(utp_takes(&l.u, &syn));
	/* Guesses. */
	assert_int_equal(lone_in(&l, UTP_ST_DATA, 0, 3998, "x"),
	    UTP_MALFORMED);
	assert_int_equal(lone_in(&l, UTP_ST_DATA, 0, 4000, "x"),
	    UTP_MALFORMED);
	assert_false(utp_proven(&l.u));
	assert_int_equal(utp_read(&l.u).n, 0);
	assert_int_equal(lone_out(&l, 1300), 0);
	/* It knows our number: now we talk. */
	assert_int_equal(lone_in(&l, UTP_ST_DATA, 0, 3999, "abc"), UTP_TAKEN);
	assert_true(utp_proven(&l.u));
	assert_int_equal(l.u.state, UTP_CONNECTED);
	assert_true(span_is(utp_read(&l.u), "abc"));
	assert_int_equal(lone_out(&l, 2000), 25);
	assert_int_equal(l.said.type, UTP_ST_DATA);
	assert_int_equal(l.said.seq, 4000);
	assert_int_equal(l.said.ack, 0);
	/* The third guess ends it. */
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 1, 4001, ""),
	    UTP_MALFORMED);
	assert_int_equal(l.u.state, UTP_CLOSED);
	assert_int_equal(l.u.end, UTP_END_MALFORMED);
	assert_int_equal(lone_out(&l, 2000), 20);
	assert_int_equal(l.said.type, UTP_ST_RESET);
	assert_int_equal(lone_out(&l, 2000), 0);
	assert_true(utp_deadline(&l.u) == UINT64_MAX);
	lone_free(&l);

	/* Without a proof it ends by itself, silently. */
	lone_accept(&l);
	assert_true(utp_deadline(&l.u) == 1000 + 10 * S);
	utp_timeout(&l.u, 1000 + 10 * S);
	assert_int_equal(l.u.end, UTP_END_TIMEOUT);
	assert_int_equal(lone_out(&l, 11 * S), 0);
	lone_free(&l);

	lone_accept(&l);
	for (unsigned i = 0; i < 3; i++)
		lone_in(&l, UTP_ST_DATA, 0, (uint16_t)(5000 + i), "x");
	assert_int_equal(l.u.end, UTP_END_MALFORMED);
	assert_int_equal(lone_out(&l, 3000), 0);
	lone_free(&l);
}

static void acknowledgements(void **state)
{
	struct wire_error err;
	struct lone l;

	(void)state;
	lone_accept(&l);
	lone_in(&l, UTP_ST_STATE, 0, 3999, "");
	for (int i = 0; i < 5; i++) {
		utp_write(&l.u, span_str("12345"));
		assert_int_equal(lone_out(&l, 2000 + (uint64_t)i), 25);
	}
	/* late, fine, beyond, in a selective ack beyond */
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 0, 4001, ""), UTP_TAKEN);
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 0, 4000, ""), UTP_IGNORED);
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 0, 3999, ""), UTP_IGNORED);
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 0, 4005, ""),
	    UTP_MALFORMED);
	assert_int_equal(lone_in(&l, UTP_ST_STATE, 0, 3998, ""),
	    UTP_MALFORMED);
	struct utp_packet p = { .type = UTP_ST_STATE, .conn_id = 701,
	    .ack = 4001, .window = 50000, .close_reason = -1,
	    .sack = span_of("\1\0\0\0", 4) };
	assert_int_equal(utp_input(&l.u, &p, 2100, &err), UTP_TAKEN);
	assert_int_equal(l.u.out.under_way, 10);
	p.sack = span_of("\2\0\0\0", 4);	/* 4004: the last sent */
	assert_int_equal(utp_input(&l.u, &p, 2100, &err), UTP_TAKEN);
	assert_int_equal(l.u.out.under_way, 5);
	p.sack = span_of("\4\0\0\0", 4);
	assert_int_equal(utp_input(&l.u, &p, 2100, &err), UTP_MALFORMED);
	assert_int_equal(l.u.end, UTP_END_MALFORMED);
	lone_free(&l);
}

/* Three repeated acks, or packets past the gap, send it again at once. */
static void fast_retransmit(void **state)
{
	static const uint8_t past[3][4] = { { 1 }, { 3 }, { 7 } };
	struct wire_error err;
	struct lone l;

	(void)state;
	for (int selective = 0; selective < 2; selective++) {
		lone_accept(&l);
		lone_in(&l, UTP_ST_STATE, 0, 3999, "");
		for (int i = 0; i < 5; i++) {
			utp_write(&l.u, span_str("12345"));
			assert_int_equal(lone_out(&l, 2000), 25);
		}
		struct utp_packet p = { .type = UTP_ST_STATE, .conn_id = 701,
		    .ack = 3999, .window = 50000, .close_reason = -1 };
		for (int i = 0; i < 3; i++) {
			assert_int_equal(lone_out(&l, 2100), 0);
			if (selective)
				p.sack = span_of(past[i], 4);
			assert_int_equal(utp_input(&l.u, &p, 2100, &err),
			    UTP_TAKEN);
		}
		assert_int_equal(lone_out(&l, 2200), 25);
		assert_int_equal(l.said.seq, 4000);
		assert_true(span_is(l.said.payload, "12345"));
		assert_int_equal(lone_out(&l, 2200), 0);
		assert_int_equal(l.u.count.resent, 1);
		lone_free(&l);
	}
}

static void timeouts(void **state)
{
	struct utp_conf c = UTP_CONF_DEFAULT;
	uint64_t now = 5 * S, waits[3] = { S, 2 * S, 4 * S };
	struct lone l;

	(void)state;
	/* Nobody answers the SYN. */
	lone_memory(&l);
	utp_connect(&l.u, &c, &l.m, 65535, 65535, now);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(lone_out(&l, now), 20);
		assert_int_equal(l.said.type, UTP_ST_SYN);
		assert_int_equal(l.said.conn_id, 65535);
		assert_int_equal(l.said.seq, 65535);
		assert_int_equal(l.said.ack, 0);
		assert_true(utp_packet_plausible(span_of(l.out, 20),
		    &l.said));
		assert_int_equal(lone_out(&l, now), 0);
		assert_true(utp_deadline(&l.u) == now + waits[i]);
		utp_timeout(&l.u, now + waits[i] - 1);
		assert_int_equal(lone_out(&l, now), 0);
		now += waits[i];
		utp_timeout(&l.u, now);
	}
	assert_int_equal(l.u.state, UTP_CLOSED);
	assert_int_equal(l.u.end, UTP_END_TIMEOUT);
	assert_int_equal(lone_out(&l, now), 0);
	lone_free(&l);

	/* Silence later on. */
	lone_accept(&l);
	lone_in(&l, UTP_ST_STATE, 0, 3999, "");
	utp_write(&l.u, span_str("hello"));
	assert_int_equal(lone_out(&l, 2000), 25);
	unsigned sent = 1;
	while (l.u.state != UTP_CLOSED) {
		now = utp_deadline(&l.u);
		utp_timeout(&l.u, now);
		while (lone_out(&l, now))
			sent += l.said.type == UTP_ST_DATA;
	}
	assert_int_equal(sent, 5);
	assert_int_equal(l.u.end, UTP_END_TIMEOUT);
	assert_true(now < 40 * S);
	lone_free(&l);
}

/* Of a packet sent twice nobody knows which copy was acknowledged (Karn). */
static void no_rtt_of_copies(void **state)
{
	struct wire_error err;
	struct lone l;

	(void)state;
	lone_accept(&l);
	lone_in(&l, UTP_ST_STATE, 0, 3999, "");
	utp_write(&l.u, span_str("hello"));
	assert_int_equal(lone_out(&l, 2000), 25);
	utp_timeout(&l.u, 2000 + S);
	assert_int_equal(lone_out(&l, 2000 + S), 25);
	struct utp_packet p = { .type = UTP_ST_STATE, .conn_id = 701,
	    .ack = 4000, .window = 50000, .close_reason = -1 };
	utp_input(&l.u, &p, 2001 + S, &err);
	assert_int_equal(l.u.out.pace.srtt_us, 0);
	utp_write(&l.u, span_str("hello"));
	assert_int_equal(lone_out(&l, 2 * S), 25);
	p.ack = 4001;
	utp_input(&l.u, &p, 2 * S + 3000, &err);
	assert_int_equal(l.u.out.pace.srtt_us, 3000);
	lone_free(&l);
}

static void keepalive(void **state)
{
	struct lone l;

	(void)state;
	lone_accept(&l);
	lone_in(&l, UTP_ST_STATE, 0, 3999, "");
	assert_true(utp_deadline(&l.u) == 1000 + 29 * S);
	utp_timeout(&l.u, 1000 + 29 * S);
	assert_int_equal(lone_out(&l, 1000 + 29 * S), 20);
	assert_int_equal(l.said.type, UTP_ST_STATE);
	assert_true(utp_deadline(&l.u) == 1000 + 58 * S);
	lone_free(&l);
}

/* A shut window is asked about for as long as somebody answers. */
static void zero_window(void **state)
{
	struct wire_error err;
	struct lone l;
	uint64_t now = 2000;

	(void)state;
	lone_accept(&l);
	struct utp_packet p = { .type = UTP_ST_STATE, .conn_id = 701,
	    .ack = 3999, .window = 0, .close_reason = -1 };
	utp_input(&l.u, &p, now, &err);
	utp_write(&l.u, span_str("hello"));
	assert_int_equal(lone_out(&l, now), 0);
	for (int i = 0; i < 20; i++) {
		now = utp_deadline(&l.u);
		assert_true(now <= S * 200);
		utp_timeout(&l.u, now);
		while (lone_out(&l, now))
			;
		utp_input(&l.u, &p, now, &err);
	}
	assert_int_equal(l.u.state, UTP_CONNECTED);
	assert_true(l.u.count.resent > 5);
	p.window = 1000;
	p.ack = 4000;
	utp_input(&l.u, &p, now, &err);
	utp_write(&l.u, span_str("again"));
	assert_int_equal(lone_out(&l, now), 25);
	assert_int_equal(l.said.seq, 4001);
	assert_true(span_is(l.said.payload, "again"));
	lone_free(&l);
}

static void resets(void **state)
{
	struct utp_conf c = UTP_CONF_DEFAULT;
	struct wire_error err;
	struct utp_packet p, q;
	uint8_t out[UTP_HEADER];
	struct lone l;

	(void)state;
	/* A SYN refused: by somebody who saw it, and by somebody who did
	 * not. */
	lone_memory(&l);
	utp_connect(&l.u, &c, &l.m, 10, 20, 1);
	lone_out(&l, 1);
	assert_int_equal(utp_packet_refuse(out, &l.said, 99, 7), 20);
	assert_int_equal(utp_packet_read(span_of(out, 20), &p, &err), WIRE_OK);
	assert_int_equal(utp_packet_refuse(out, &p, 99, 7), 0);
	q = p;
	q.ack = 400;
	assert_true(utp_takes(&l.u, &q));
	assert_int_equal(utp_input(&l.u, &q, 2, &err), UTP_MALFORMED);
	assert_int_equal(l.u.state, UTP_CONNECTING);
	assert_true(utp_takes(&l.u, &p));
	assert_int_equal(utp_input(&l.u, &p, 2, &err), UTP_TAKEN);
	assert_int_equal(l.u.end, UTP_END_REFUSED);
	assert_string_equal(utp_end_name(l.u.end), "refused");
	assert_int_equal(lone_out(&l, 2), 0);
	lone_free(&l);

	/* Theirs bears either id. */
	lone_accept(&l);
	lone_in(&l, UTP_ST_DATA, 0, 3999, "kept");
	p = (struct utp_packet){ .type = UTP_ST_RESET, .conn_id = 700,
	    .ack = 4000, .close_reason = 77 };
	assert_true(utp_takes(&l.u, &p));
	p.conn_id = 702;
	assert_false(utp_takes(&l.u, &p));
	p.conn_id = 701;
	assert_int_equal(utp_input(&l.u, &p, 3, &err), UTP_TAKEN);
	assert_int_equal(l.u.end, UTP_END_RESET);
	assert_int_equal(l.u.close_reason, 77);
	assert_true(span_is(utp_read(&l.u), "kept"));
	assert_int_equal(utp_write(&l.u, span_str("x")), 0);
	lone_free(&l);

	/* Ours; unsaid before a SYN went out. */
	lone_accept(&l);
	lone_in(&l, UTP_ST_DATA, 0, 3999, "x");
	utp_reset(&l.u);
	assert_int_equal(lone_out(&l, 3), 20);
	assert_int_equal(l.said.type, UTP_ST_RESET);
	assert_int_equal(l.said.conn_id, 700);
	assert_int_equal(l.said.ack, 0);
	assert_int_equal(lone_out(&l, 3), 0);
	lone_free(&l);
	lone_memory(&l);
	utp_connect(&l.u, &c, &l.m, 10, 20, 1);
	utp_close(&l.u, 2);
	assert_int_equal(l.u.end, UTP_END_LOCAL);
	assert_int_equal(lone_out(&l, 3), 0);
	lone_free(&l);
}

static void fins(void **state)
{
	struct lone l;

	(void)state;
	/* Theirs first, out of order. */
	lone_accept(&l);
	lone_in(&l, UTP_ST_FIN, 2, 3999, "");
	lone_in(&l, UTP_ST_DATA, 3, 3999, "beyond");
	assert_false(utp_eof(&l.u));
	lone_in(&l, UTP_ST_DATA, 1, 3999, "b");
	lone_in(&l, UTP_ST_DATA, 0, 3999, "a");
	assert_false(utp_eof(&l.u));
	while (utp_read(&l.u).n)
		utp_consume(&l.u, 1);
	assert_true(utp_eof(&l.u));
	assert_int_equal(lone_out(&l, 3), 20);
	assert_int_equal(l.said.ack, 2);
	utp_write(&l.u, span_str("bye"));
	utp_close(&l.u, 3);
	assert_int_equal(utp_write(&l.u, span_str("late")), 0);
	assert_int_equal(lone_out(&l, 3), 23);
	assert_int_equal(lone_out(&l, 3), 20);
	assert_int_equal(l.said.type, UTP_ST_FIN);
	assert_int_equal(l.said.seq, 4001);
	assert_int_equal(l.u.state, UTP_CLOSING);
	lone_in(&l, UTP_ST_STATE, 3, 4001, "");
	assert_int_equal(l.u.state, UTP_CLOSED);
	assert_int_equal(l.u.end, UTP_END_FIN);
	/* their FIN again: our word was lost */
	lone_in(&l, UTP_ST_FIN, 2, 4001, "");
	assert_int_equal(lone_out(&l, 3), 20);
	assert_int_equal(l.said.ack, 2);
	lone_free(&l);

	/* Ours first, and nothing comes back but data. */
	lone_accept(&l);
	lone_in(&l, UTP_ST_DATA, 0, 3999, "a");
	utp_close(&l.u, 1000);
	assert_int_equal(lone_out(&l, 1000), 20);
	assert_int_equal(l.said.type, UTP_ST_FIN);
	lone_in(&l, UTP_ST_DATA, 1, 4000, "dropped");
	assert_int_equal(lone_out(&l, 2000), 20);
	assert_int_equal(l.said.ack, 1);
	assert_true(span_is(utp_read(&l.u), "a"));
	assert_true(utp_deadline(&l.u) == 2000 + 5 * S);
	utp_timeout(&l.u, 2000 + 5 * S);
	assert_int_equal(l.u.end, UTP_END_LOCAL);
	assert_int_equal(lone_out(&l, 6 * S), 20);
	assert_int_equal(l.said.type, UTP_ST_RESET);
	lone_free(&l);
}

/* Absurd numbers are bounded by what was lent. */
static void absurd(void **state)
{
	struct utp_conf c = { .window = UINT32_MAX, .mtu = 0 };
	struct wire_error err;
	struct utp_packet p = { .type = UTP_ST_STATE, .conn_id = 10, .ack = 20,
	    .window = UINT32_MAX, .stamp_us = UINT32_MAX,
	    .diff_us = UINT32_MAX, .close_reason = -1 };
	struct lone l;

	(void)state;
	lone_memory(&l);
	utp_connect(&l.u, &c, &l.m, 10, 20, 1);
	assert_true(l.u.conf.window <= l.m.nblocks * UTP_BLOCK);
	assert_int_equal(l.u.conf.mtu, UTP_MTU_MIN);
	lone_out(&l, 1);
	utp_input(&l.u, &p, 2, &err);
	assert_int_equal(l.u.state, UTP_CONNECTED);
	static uint8_t zeros[8192];
	assert_int_equal(utp_write(&l.u, span_of(zeros, 8192)), 4096);
	size_t sent = 0, n;
	while ((n = lone_out(&l, 3)) != 0) {
		assert_true(n <= UTP_MTU_MIN);
		sent += n;
	}
	assert_true(sent <= 4 * UTP_MTU_MIN);
	for (uint32_t i = 0; i < 200; i++) {
		p.diff_us = i * 0x12345678u;
		p.ack = (uint16_t)(l.u.out.next - 1);
		utp_input(&l.u, &p, 4 + i, &err);
		utp_write(&l.u, span_of(zeros, 4096));
		while (lone_out(&l, 4 + i))
			;
		assert_true(l.u.out.pace.cwnd <= LEDBAT_CWND_MAX);
		assert_true(utpout_underway(&l.u.out) <= UTP_UNDERWAY);
	}
	assert_int_equal(utp_output(&l.u, l.out, UTP_MTU_MIN - 1, 5), 0);
	lone_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codec),
		cmocka_unit_test(codec_fields),
		cmocka_unit_test(ids),
		cmocka_unit_test(reorder),
		cmocka_unit_test(reorder_full),
		cmocka_unit_test(transfers),
		cmocka_unit_test(queue_stays_short),
		cmocka_unit_test(slow_reader),
		cmocka_unit_test(lossy_rate),
		cmocka_unit_test(delays),
		cmocka_unit_test(unproven),
		cmocka_unit_test(acknowledgements),
		cmocka_unit_test(fast_retransmit),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(no_rtt_of_copies),
		cmocka_unit_test(keepalive),
		cmocka_unit_test(zero_window),
		cmocka_unit_test(resets),
		cmocka_unit_test(fins),
		cmocka_unit_test(absurd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
