/*
 * A whole conversation, both ends hostile. The input is steps: raw bytes,
 * messages that make sense, gaps, time. Two witnesses get it, one of them in
 * small cuts. Both must write the same records, of printable ASCII only, in
 * bounded memory, and nothing after `closed`. The first byte says which
 * torrent, whether the swarm is known from the start, whether its metadata
 * comes later, and whether all of it is encrypted, and how.
 */
#include "schema/assembly.h"
#include "schema/burst.h"
#include "schema/veil.h"
#include "schema/witness.h"
#include "tests/fuzz/fuzz.h"
#include "tests/torrent_kit.h"

#define CUT 61u
/* Two messages not yet whole (room may be double), two runs, blocks ahead,
 * pieces under way, and the witness itself. */
#define MEMORY_MAX (2 * (2 * TALK_FRAME_UNKNOWN + 65536u) + 2 * 2 * BURST_MOST + \
	2 * ASSEMBLY_AHEAD * 16500u + 2 * ASSEMBLY_LIVE * 1024u + 4096u + \
	2 * 3 * CLAIMS_EARLY_PIECES / 8 + 32 * PROVEN_HASHES_MAX + \
	2 * 2 * VEIL_HOLD_MAX)

enum how {
	HOW_DIALLED = 4,
	HOW_MAGNET = 8,		/* the metadata comes with a step */
	HOW_SEALED = 16,
	HOW_RC4 = 32
};

struct run {
	struct witness *w;
	SHA256_CTX records;
	uint64_t count;
	int64_t now_ns;
	size_t cut;
	bool closed;
	struct swarmref swarm;
	struct mse_seal seal[2];	/* by enum side */
};

static struct kit kits[3];	/* v1, v2, hybrid */
static const struct kit *kit;

static int64_t add(void *ctx, const struct record *r)
{
	struct run *run = ctx;
	size_t n = strlen(r->detail);

	demand(!run->closed && r->conn == 7 && n >= 2 && r->detail[0] == '{' &&
	    r->detail[n - 1] == '}');
	for (size_t i = 0; i < n; i++)
		demand(r->detail[i] >= ' ' && r->detail[i] <= '~');
	demand(r->raw.n <= TALK_FRAME_UNKNOWN);
	SHA256_Update(&run->records, r->kind, strlen(r->kind));
	SHA256_Update(&run->records, &r->at.utc_ns, sizeof(r->at.utc_ns));
	SHA256_Update(&run->records, r->detail, n);
	SHA256_Update(&run->records, r->raw.p, r->raw.n);
	run->closed = strcmp(r->kind, "closed") == 0;
	return (int64_t)run->count++;
}

static const struct swarmref *find(void *ctx, const uint8_t infohash[20])
{
	struct run *run = ctx;

	return swarmref_is(&run->swarm, infohash) ? &run->swarm : NULL;
}

static bool skey(void *ctx, const uint8_t req2[20], uint8_t out[20])
{
	uint8_t mine[20];

	(void)ctx;
	memcpy(out, kit->t->wire_hash[0], 20);
	mse_req2(out, mine);
	return memcmp(req2, mine, 20) == 0;
}

static void give(struct run *run, enum side by, const uint8_t *p, size_t n)
{
	struct stamp at = { run->now_ns, run->now_ns };

	for (size_t now; n; p += now, n -= now) {
		uint8_t *copy;

		now = run->cut && run->cut < n ? run->cut : n;
		copy = malloc(now);
		demand(copy != NULL);
		memcpy(copy, p, now);
		mse_seal(&run->seal[by], copy, now);
		witness_bytes(run->w, by, copy, now, at);
		free(copy);
		demand(witness_memory(run->w) <= MEMORY_MAX);
	}
}

/* A message that makes sense; of a block, perhaps only half. */
static void sensible(struct run *run, enum side by, uint8_t id, uint8_t piece,
    uint8_t block, bool half)
{
	static uint8_t out[17 + MI_BLOCK];
	uint32_t index = piece % 16, begin = block % 3 * MI_BLOCK, bytes = 0;
	uint32_t length = index < kit->t->mi.pieces ?
	    torrent_piece_bytes(kit->t, index) : 0;

	if (begin < length)
		bytes = length - begin < MI_BLOCK ? length - begin : MI_BLOCK;
	out[4] = id % 24;
	put_u32(out + 5, index);
	put_u32(out + 9, begin);
	if (out[4] == PW_PIECE) {
		put_u32(out, 9 + bytes);
		if (bytes)
			memcpy(out + 13, kit->data + (size_t)index * KIT_PIECE +
			    begin, bytes);
		give(run, by, out, 13 + (half ? bytes / 2 : bytes));
		return;
	}
	put_u32(out + 13, bytes);
	put_u32(out, 13);
	if (out[4] == PW_HAVE || out[4] == PW_SUGGEST ||
	    out[4] == PW_ALLOWED_FAST)
		put_u32(out, 5);
	else if (out[4] < PW_HAVE || out[4] == PW_HAVE_ALL ||
	    out[4] == PW_HAVE_NONE)
		put_u32(out, 1);
	else if (out[4] == PW_BITFIELD) {
		put_u32(out, 2);
		out[5] = piece;
	}
	give(run, by, out, 4 + ((size_t)out[2] << 8 | out[3]));
}

static void greet(struct run *run, enum side by, uint8_t how)
{
	uint8_t out[PW_HANDSHAKE];
	struct pw_handshake h = { .reserved = { 0, 0, 0, 0, 0, 0x10, 0,
		(uint8_t)(how & 4) } };

	memcpy(h.infohash, kit->t->wire_hash[0], 20);
	h.infohash[3] ^= how & 8;
	pw_handshake_put(out, &h);
	give(run, by, out, sizeof(out));
}

static void play(struct run *run, struct cur c)
{
	static const uint8_t ext[] = "\0\0\0\x25\x14\0"
	    "d1:md11:lt_donthavei3e6:ut_pexi1eee";

	while (cur_left(&c) && !c.bad) {
		uint8_t op = cur_u8(&c), a = cur_u8(&c), b = cur_u8(&c);
		enum side by = op & 1 ? SIDE_US : SIDE_PEER;
		struct stamp at = { run->now_ns, run->now_ns };
		struct span raw;

		switch (op >> 1 & 7) {
		case 0:
			raw = cur_take(&c, a < cur_left(&c) ? a : cur_left(&c));
			give(run, by, raw.p, raw.n);
			break;
		case 1:
			greet(run, by, a);
			break;
		case 2:
			give(run, by, ext, sizeof(ext) - 1);
			break;
		case 3:
			if (b & 8) {
				run->swarm.torrent = kit->t;
				witness_metadata(run->w, at);
				break;
			}
			if (a) {	/* our end goes on as if it had */
				static uint8_t lost[255 << 7];

				mse_seal(&run->seal[by], lost,
				    (size_t)a << (b & 7));
			}
			witness_gap(run->w, by, (uint64_t)a << (b & 7), at);
			break;
		case 4:
			run->now_ns += a * INT64_C(100000000);
			witness_tick(run->w, at);
			break;
		default:
			sensible(run, by, op & 16 ? a : PW_PIECE, b, op >> 5,
			    a & 1);
			break;
		}
	}
}

/* The two ends' handshakes, as the witness hears them; whoever dialled began. */
static void seal(struct run *run, uint8_t how)
{
	enum side by[2] = { how & HOW_DIALLED ? SIDE_US : SIDE_PEER,
		how & HOW_DIALLED ? SIDE_PEER : SIDE_US };
	struct mse_shake *s = calloc(2, sizeof(*s));
	uint8_t secret[MSE_KEY] = { how };
	struct stamp at = { 0, 0 };

	demand(s != NULL);
	witness_encrypted(run->w, by[MSE_A]);
	witness_secret(run->w, secret, at);
	for (int i = 0; i < 2; i++) {
		struct mse_conf conf = { .end = (enum mse_end)i, .find = skey,
			.allow = how & HOW_RC4 ? MSE_RC4 : 3, .pad1 = how,
			.pad2 = how * 2u };

		memcpy(conf.skey, kit->t->wire_hash[0], 20);
		mse_shake_init(&s[i], &conf);
	}
	for (int i = 0; s[0].out_n || s[1].out_n; i = !i) {
		if (mse_shake_bytes(&s[!i], span_of(s[i].out, s[i].out_n)) ==
		    MSE_WANT_SECRET)
			mse_shake_secret(&s[!i], secret);
		give(run, by[i], s[i].out, s[i].out_n);
		s[i].out_n = 0;
	}
	for (int i = 0; i < 2; i++) {
		demand(s[i].want == MSE_DONE);
		run->seal[by[i]] = s[i].seal;
	}
	free(s);
}

static void whole(struct run *run, size_t cut, uint8_t how, struct span in)
{
	struct witness_hooks hooks = { .ctx = run, .add = add, .swarm = find,
		.skey = skey };
	struct endpoint who = endpoint_of(span_of("\300\0\2\7", 4), 6881);
	struct stamp end = { 0, -1 };

	*run = (struct run){ .cut = cut, .seal = { { .plain = true },
		{ .plain = true } } };
	swarmref_init(&run->swarm, kit->t);
	if (how & HOW_MAGNET)
		run->swarm.torrent = NULL;
	SHA256_Init(&run->records);
	run->w = witness_begin(&hooks, how & HOW_DIALLED ? &run->swarm : NULL,
	    7, &who);
	demand(run->w != NULL);
	if (how & HOW_SEALED)
		seal(run, how);
	play(run, cur_of(in));
	witness_close(run->w, "peer", "end", end);
	demand(run->closed);
	witness_tick(run->w, end);
	give(run, SIDE_PEER, (const uint8_t *)"abc", 3);
	witness_free(run->w);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t a[32], b[32];
	struct run run;
	struct cur c = cur_of(span_of(p, n));
	uint8_t how = cur_u8(&c);

	if (!kits[0].t) {
		kits[0] = kit_of(true, false, KIT_PIECE, 400000);
		kits[1] = kit_make(false, true);
		kits[2] = kit_make(true, true);
	}
	if (n == 0 || n > 4096)
		return 0;
	kit = &kits[how % 3];
	whole(&run, 0, how, span_of(p + 1, n - 1));
	SHA256_Final(a, &run.records);
	whole(&run, CUT, how, span_of(p + 1, n - 1));
	SHA256_Final(b, &run.records);
	demand(memcmp(a, b, 32) == 0);
	return 0;
}
