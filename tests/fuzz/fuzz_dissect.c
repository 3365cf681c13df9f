/*
 * What flows tell, to records. The input is steps: conversations open, say
 * bytes of the input or messages that make sense, lose bytes and end;
 * datagrams; time. Two dissectors get them, one with its bytes in small cuts
 * and digests on threads. Both must write the same records, of printable ASCII
 * only, each of a conversation that is open, and nothing of it after `closed`.
 */
#include "capture/dissect.h"
#include "capture/lineup.h"
#include "schema/gather.h"
#include "tests/fuzz/fuzz.h"
#include "tests/torrent_kit.h"
#include "wire/peerwire.h"

#define FLOWS 8u
#define CUT 37u

struct run {
	struct known *known;
	struct dissect *d;
	struct flow_sink sink;
	struct lineup *lineup;
	struct digester *digester;	/* NULL: at once */
	void *flow[FLOWS];
	SHA256_CTX records;
	int64_t count;
	int64_t open[4096];	/* seqs of open conversations */
	unsigned opens;
	struct flow_at at;
};

static struct kit kits[2];	/* v1, hybrid */
static const struct kit *kit;
static struct digester *threads;

static void need_open(struct run *r, const struct record *rec)
{
	unsigned i;

	if (rec->conn == CONN_SELF) {
		demand(strcmp(rec->kind, "flow") == 0);
		demand(r->opens < sizeof(r->open) / sizeof(r->open[0]));
		r->open[r->opens++] = r->count;
		return;
	}
	if (rec->conn < 0)
		return;
	for (i = 0; i < r->opens && r->open[i] != rec->conn; i++)
		;
	demand(i < r->opens && rec->who);
	if (strcmp(rec->kind, "closed") == 0)
		r->open[i] = r->open[--r->opens];
}

static int64_t keep(void *ctx, const struct record *rec)
{
	struct run *r = ctx;
	size_t n = strlen(rec->detail);

	demand(n >= 2 && rec->detail[0] == '{' && rec->detail[n - 1] == '}');
	for (size_t i = 0; i < n; i++)
		demand(rec->detail[i] >= ' ' && rec->detail[i] <= '~');
	need_open(r, rec);
	SHA256_Update(&r->records, rec->kind, strlen(rec->kind));
	/* How much had come of an illegal head when that showed depends on how
	 * its bytes were cut. */
	if (strcmp(rec->kind, "encrypted") == 0 &&
	    !strstr(rec->detail, "\"fault_by\":null"))
		return r->count++;
	SHA256_Update(&r->records, rec->detail, n);
	SHA256_Update(&r->records, &rec->conn, sizeof(rec->conn));
	if (rec->who)
		SHA256_Update(&r->records, rec->who, sizeof(*rec->who));
	if (rec->raw.n)
		SHA256_Update(&r->records, rec->raw.p, rec->raw.n);
	for (size_t i = 0; i < rec->names; i++)
		SHA256_Update(&r->records, &rec->named[i].at.port, 2);
	return r->count++;
}

static int64_t on_add(void *ctx, const struct record *rec)
{
	return lineup_add(((struct run *)ctx)->lineup, rec);
}

static int64_t on_later(void *ctx, const struct record *rec,
    struct promise *p)
{
	return lineup_later(((struct run *)ctx)->lineup, rec, p);
}

static bool on_secret(void *ctx, const uint8_t key[MSE_KEY],
    struct dissect_secret *s)
{
	(void)ctx;
	if (key[0] != 's')
		return false;
	memset(s, 's', sizeof(*s));
	s->skey_known = key[1] == 's';
	memcpy(s->skey, kit->t->wire_hash[0], 20);
	return true;
}

static void begin(struct run *r, bool threaded)
{
	struct dissect_conf conf = { .ctx = r, .add = on_add,
		.secret = on_secret };
	struct wire_error err;

	*r = (struct run){ .known = known_new(), .at = { 1000000000, 1 } };
	r->lineup = lineup_new(LINEUP_MEMORY, keep, r);
	SHA256_Init(&r->records);
	if (threaded) {
		conf.digester = threads;
		conf.later = on_later;
	}
	conf.known = r->known;
	known_add(r->known, torrent_new(span_of(kits[0].file, kits[0].n),
	    &err));
	r->d = dissect_new(&conf);
	r->sink = dissect_sink(r->d);
	dissect_file(r->d, "packets/000001.pcap", NULL);
}

static struct endpoint end(unsigned n)
{
	uint8_t a[4] = { 192, 0, 2, (uint8_t)n };

	return endpoint_of(span_of(a, 4), (uint16_t)(1000 + n));
}

static void open_flow(struct run *r, unsigned slot, unsigned how)
{
	struct flow_open o = { .transport = how & 1 ? FLOW_UTP : FLOW_TCP,
		.end = { end(how >> 2 & 3), end(4 + (how >> 4 & 3)) },
		.opened = (how & 2) != 0, .at = r->at };

	if (r->flow[slot])
		r->sink.closed(r->sink.ctx, r->flow[slot], FLOW_REUSED, 0,
		    r->at);
	r->flow[slot] = r->sink.open(r->sink.ctx, &o);
}

static void say(struct run *r, unsigned slot, unsigned side, struct span s,
    size_t cut)
{
	while (s.n && r->flow[slot]) {
		size_t n = cut && cut < s.n ? cut : s.n;
		uint8_t *exact = malloc(n);

		demand(exact);
		memcpy(exact, s.p, n);
		if (!r->sink.bytes(r->sink.ctx, r->flow[slot], side,
		    span_of(exact, n), r->at))
			r->flow[slot] = NULL;
		free(exact);
		s.p += n;
		s.n -= n;
	}
}

/* A message that makes sense; its bytes in out. */
static size_t message(unsigned what, unsigned arg, uint8_t *out)
{
	struct pw_handshake h = { .reserved = { 0, 0, 0, 0, 0, 0x10, 0, 4 } };
	struct span info = kit->t->mi.info;
	uint32_t piece = arg % kit->t->mi.pieces, at = arg & 64 ? 16384 : 0;
	uint32_t bytes = torrent_piece_bytes(kit->t, piece);
	size_t n;

	switch (what % 5) {
	case 0:
		memcpy(h.infohash, kit->t->wire_hash[0], 20);
		memset(h.peer_id, (int)arg, 20);
		pw_handshake_put(out, &h);
		return PW_HANDSHAKE;
	case 1:
		bytes = at < bytes ? bytes - at : 0;
		return pw_put_request(out, piece, at, bytes < 16384 ? bytes :
		    16384);
	case 2:
		bytes = at < bytes ? bytes - at : 0;
		if (bytes > 16384)
			bytes = 16384;
		put_u32(out, bytes + 9);
		out[4] = PW_PIECE;
		put_u32(out + 5, piece);
		put_u32(out + 9, at);
		memcpy(out + 13, kit->data + (size_t)piece * KIT_PIECE + at,
		    bytes);
		return bytes + 13;
	case 3:
		return pw_put_extended(out, 200, 0,
		    span_str("d1:md11:ut_metadatai3e6:ut_pexi1eee"));
	default:
		n = (size_t)snprintf((char *)out + 6, 100, "d8:msg_typei1e5:"
		    "piecei0e10:total_sizei%zuee", info.n) + 6;
		memcpy(out + n, info.p, info.n);
		put_u32(out, (uint32_t)(n + info.n) - 4);
		out[4] = PW_EXTENDED;
		out[5] = 3;
		return n + info.n;
	}
}

static void step(struct run *r, struct cur *c, size_t cut)
{
	static uint8_t out[40000];
	unsigned what = cur_u8(c), arg = cur_u8(c), slot = arg % FLOWS;
	unsigned side = arg >> 3 & 1;
	struct endpoint a = end(arg & 3), b = end(4 + (arg >> 2 & 3));
	size_t n;

	r->at.frame++;
	switch (what % 8) {
	case 0:
		open_flow(r, slot, arg >> 3 << 1 | (what >> 3 & 1));
		break;
	case 1:
	case 2:
		n = what >> 3;
		if (n > cur_left(c))
			n = cur_left(c);
		n = n == 31 ? cur_left(c) / 2 : n;
		say(r, slot, side, cur_take(c, n), cut);
		break;
	case 3:
		n = message(what >> 3, cur_u8(c), out);
		say(r, slot, side, span_of(out, n), cut);
		break;
	case 4:
		if (r->flow[slot] && what & 8)
			r->sink.gap(r->sink.ctx, r->flow[slot], side,
			    what >> 4, 1, r->at);
		else if (r->flow[slot])
			r->sink.differs(r->sink.ctx, r->flow[slot], side,
			    what, arg + 1u, r->at);
		break;
	case 5:
		n = (size_t)cur_u8(c) * (what & 8 ? 4 : 1);
		if (n > cur_left(c))
			n = cur_left(c);
		r->sink.datagram(r->sink.ctx, what & 16 ? &b : &a,
		    what & 16 ? &a : &b, cur_take(c, n), what >> 7, r->at);
		break;
	case 6:
		if (r->flow[slot])
			r->sink.closed(r->sink.ctx, r->flow[slot],
			    (enum flow_end)(what >> 3) % 6, side, r->at);
		r->flow[slot] = NULL;
		break;
	default:
		r->at.utc_ns += (int64_t)arg << (what >> 3);
		break;
	}
}

static void finish(struct run *r)
{
	for (unsigned i = 0; i < FLOWS; i++)
		if (r->flow[i])
			r->sink.closed(r->sink.ctx, r->flow[i],
			    FLOW_CAPTURE_END, 0, r->at);
	dissect_finish(r->d);
	lineup_drain(r->lineup);
	demand(r->opens == 0);
	demand(dissect_memory_most(r->d) < DISSECT_MEMORY);
	dissect_free(r->d);
	lineup_free(r->lineup);
	known_free(r->known);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct run whole, cut;
	struct cur a = cur_of(span_of(p, n)), b;
	uint8_t x[32], y[32];

	if (!kits[0].t) {
		kits[0] = kit_make(true, false);
		kits[1] = kit_make(true, true);
		threads = digester_new(2, GATHER_LONG_NS);
	}
	kit = &kits[cur_u8(&a) & 1];
	b = a;
	begin(&whole, false);
	begin(&cut, true);
	while (cur_left(&a))
		step(&whole, &a, 0);
	while (cur_left(&b))
		step(&cut, &b, CUT);
	finish(&whole);
	finish(&cut);
	SHA256_Final(x, &whole.records);
	SHA256_Final(y, &cut.records);
	demand(whole.count == cut.count && memcmp(x, y, 32) == 0);
	return 0;
}
