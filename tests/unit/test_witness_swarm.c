/*
 * Swarms known by infohash before their metadata; claims in every order; what
 * peers say of metadata, other peers and hashes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/witness_kit.h"
#include "schema/proven.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define HELLO "> greet; < greet; "

/* A witness of a magnet's swarm; it learns the torrent from `ref`. */
static void magnet(struct wit *t, struct swarmref *ref, struct kit kit,
    bool dialled)
{
	struct endpoint who = endpoint_of(span_of("\300\0\2\7", 4), 6881);
	struct witness_hooks hooks = { .ctx = t, .add = wit_add,
		.event = wit_event, .piece = wit_piece };

	wit_start(t, kit, true);
	witness_free(t->w);
	swarmref_init_hashes(ref, t->kit.t->mi.v1 ? t->kit.t->mi.hash_v1 : NULL,
	    t->kit.t->mi.v2 ? t->kit.t->mi.hash_v2 : NULL);
	assert_string_equal(ref->swarm, t->kit.t->swarm);
	t->w = witness_begin(&hooks, dialled ? ref : NULL, 7, &who);
	assert_non_null(t->w);
}

static void learn(struct wit *t, struct swarmref *ref)
{
	ref->torrent = t->kit.t;
	witness_metadata(t->w, wit_now(t));
}

/* The same claims before and after the metadata: the same in the end. */
static void early_claims(void **state)
{
	static const struct {
		const char *said, *settled, *bits;
	} rows[] = {
		{ "< all", "null 4/4", "1111" },
		{ "< none", "null 0/4", "0000" },
		{ "< bits f0", "null 4/4", "1111" },
		{ "< bits b0; < have 1", "null 4/4", "1111" },	/* lazy */
		{ "< bits b0; < dont 0; < dont 1", "null 2/4", "0011" },
		{ "< have 3; < have 2; < dont 3", "null 1/4", "0010" },
		{ "< bits f0; < bits 80", "null 1/4", "1000" },	/* repeated */
		{ "< none; < have 1; < have 2", "null 2/4", "0110" },
		{ "< all; < dont 2", "null 3/4", "1101" },
		{ "< all; < dont 2; < have 2", "null 4/4", "1111" },
		{ "< have 0; < bits 40", "null 1/4", "0100" },
		{ "< have 4; < have 4000000000", "null 0/4", "0000" },
		{ "< all; < none", "null 0/4", "0000" },
		{ "< bits f8", "bitfield with spare bits set 0/4", "0000" },
		{ "< bits f000; < have 1",
		    "bitfield of the wrong size 1/4", "0100" },
		{ "< bits f000; < all", "null 4/4", "1111" }
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct swarmref ref;
		struct wit t, after;
		char got[5] = "";

		magnet(&t, &ref, kit_make(true, false), true);
		t.chunk = i % 3;
		wit_say(&t, HELLO "> ext");
		assert_true(wit_greeted(&t));
		wit_say(&t, rows[i].said);
		assert_string_equal(wit_ask(&t, "SELECT count(*) FROM r WHERE "
		    "detail->>'claimed' IS NOT NULL OR kind='malformed'"),
		    "0");
		learn(&t, &ref);
		learn(&t, &ref);
		assert_string_equal(wit_ask(&t, "SELECT coalesce(group_concat("
		    "coalesce(detail->>'fault','null')||' '||"
		    "(detail->>'claimed')||'/'||(detail->>'pieces')), '') "
		    "FROM r WHERE kind='claims'"), rows[i].settled);
		for (uint32_t p = 0; p < 4; p++)
			got[p] = claims_has(witness_claims(t.w, SIDE_PEER), p) ?
			    '1' : '0';
		if (strcmp(got, rows[i].bits) != 0)
			fail_msg("%s: %s", rows[i].said, got);
		assert_string_equal(wit_ask(&t, "SELECT count(*) FROM r WHERE "
		    "swarm IS NULL"), "0");
		wit_say(&t, "close x");
		wit_shut(&t);

		wit_open(&after, true, false, true);
		wit_say(&after, HELLO "> ext");
		wit_say(&after, rows[i].said);
		for (uint32_t p = 0; p < 4; p++)
			assert_int_equal(claims_has(witness_claims(after.w,
			    SIDE_PEER), p), rows[i].bits[p] == '1');
		wit_shut(&after);
	}
}

/* What comes after the metadata joins what came before; pieces are checked. */
static void magnet_goes_on(void **state)
{
	struct swarmref ref;
	struct wit t;

	(void)state;
	magnet(&t, &ref, kit_make(true, false), true);
	wit_say(&t, HELLO "> ext; < bits 80; < unchoke; > req 0 0; < blk 0 0; "
	    "< have 1");
	learn(&t, &ref);
	wit_say(&t, "< have 2; > req 0 0; > req 0 1; < blk 0 0; < blk 0 1; "
	    "close x");
	assert_string_equal(wit_story(&t), ">greeted; handshake; >extended; "
	    "bitfield ?; unchoke; block[[0,0,16384]] the metadata is not known; "
	    "have[1]; claims; >request[[0,0,16384]]; "
	    ">request[[0,0,16384],[0,16384,16384]]; have[2]3; piece 0 match; >closed");
	assert_int_equal(t.matched, 1);
	wit_shut(&t);
}

/* Long bitfields and far haves of a torrent not known yet: bounded. */
static void early_bounds(void **state)
{
	uint8_t *big = calloc(1, 1u << 20);
	struct swarmref ref;
	struct wit t;

	(void)state;
	magnet(&t, &ref, kit_make(true, false), true);
	wit_say(&t, HELLO);
	put_u32(big, 200001);
	big[4] = PW_BITFIELD;
	wit_give(&t, SIDE_PEER, big, 200005);
	assert_true(witness_memory(t.w) < 2000);
	put_u32(big, 100001);
	wit_give(&t, SIDE_PEER, big, 100005);
	for (uint32_t i = 0; i < CLAIMS_EARLY_PIECES; i += 40000) {
		char step[32];

		snprintf(step, sizeof(step), "< have %u", i);
		wit_say(&t, step);
	}
	wit_say(&t, "< have 1048575; < have 1048576; < have 4294967295; "
	    "wait 11");
	assert_true(witness_memory(t.w) < 100000 + 131072 + 2000);
	put_u32(big, 200001);
	wit_give(&t, SIDE_PEER, big, 200005);
	learn(&t, &ref);
	assert_string_equal(wit_ask(&t, "SELECT detail->>'fault' FROM r WHERE "
	    "kind='claims'"),
	    "bitfield longer than is kept before the metadata");
	wit_shut(&t);
	free(big);
}

static const struct swarmref *known_swarm;

static const struct swarmref *find_swarm(void *ctx, const uint8_t infohash[20])
{
	(void)ctx;
	return swarmref_is(known_swarm, infohash) ? known_swarm : NULL;
}

static void incoming_magnet(void **state)
{
	struct endpoint who = endpoint_of(span_of("\300\0\2\7", 4), 6881);
	struct witness_hooks hooks = { .add = wit_add, .swarm = find_swarm };
	struct swarmref ref;
	struct wit t;

	(void)state;
	magnet(&t, &ref, kit_make(true, true), false);
	witness_free(t.w);
	known_swarm = &ref;
	hooks.ctx = &t;
	t.w = witness_begin(&hooks, NULL, 7, &who);
	wit_say(&t, "< greet; > greet; < all");
	assert_string_equal(wit_ask(&t, "SELECT DISTINCT swarm FROM r"),
	    ref.swarm);
	learn(&t, &ref);
	assert_int_equal(witness_claims(t.w, SIDE_PEER)->count, 6);
	wit_shut(&t);

	magnet(&t, &ref, kit_make(true, false), false);
	witness_free(t.w);
	hooks.ctx = &t;
	t.w = witness_begin(&hooks, NULL, 7, &who);
	wit_say(&t, "< greet other; < all");
	assert_string_equal(wit_ask(&t, "SELECT count(swarm) FROM r"), "0");
	learn(&t, &ref);
	wit_say(&t, "close x");
	assert_string_equal(wit_story(&t), "handshake other; have_all ?; "
	    ">closed");
	wit_shut(&t);
}

/* --- metadata and PEX ----------------------------------------------------------- */

static void give_ext(struct wit *t, enum side by, uint8_t id, const char *dict,
    size_t n)
{
	uint8_t out[512];

	put_u32(out, (uint32_t)n + 2);
	out[4] = PW_EXTENDED;
	out[5] = id;
	memcpy(out + 6, dict, n);
	wit_give(t, by, out, n + 6);
}

static void gossip(void **state)
{
	static const char ours[] = "d1:md11:ut_metadatai1e6:ut_pexi2eee";
	static const char pex[] = "d5:added18:\1\2\3\4\0\6\5\6\7\x8\0\7\1\2\3\4\0\6"
	    "7:added.f3:\1\2\0077:dropped12:\1\2\3\4\0\6\x9\x9\x9\x9\0\x9" "e";
	static const char pex6[] = "d6:added618:\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0"
	    "\1\x1a\xe1" "e";
	static const char request[] = "d8:msg_typei0e5:piecei3ee";
	static const char data[] = "d8:msg_typei1e5:piecei0e10:total_sizei5ee"
	    "hello";
	struct wit t;

	(void)state;
	wit_open(&t, true, false, true);
	wit_say(&t, HELLO);
	give_ext(&t, SIDE_US, 0, ours, sizeof(ours) - 1);
	give_ext(&t, SIDE_PEER, 2, pex, sizeof(pex) - 1);
	assert_string_equal(wit_ask(&t, "SELECT detail FROM r WHERE "
	    "kind='pex'"), "{\"by\":\"peer\",\"added\":3,\"dropped\":2,"
	    "\"named_added\":2,\"flags\":\"0102\",\"skipped\":0,\"odd\":[]}");
	assert_string_equal(wit_ask(&t, "SELECT names FROM r WHERE "
	    "kind='pex'"), "1.2.3.4:6 5.6.7.8:7 9.9.9.9:9");
	give_ext(&t, SIDE_PEER, 2, pex6, sizeof(pex6) - 1);
	assert_string_equal(wit_ask(&t, "SELECT names FROM r WHERE "
	    "kind='pex' ORDER BY seq DESC"), "[2001:db8::1]:6881");
	give_ext(&t, SIDE_PEER, 2, "de", 2);
	assert_string_equal(wit_ask(&t, "SELECT names||(detail->>'added')||"
	    "(detail->>'flags' IS NULL) FROM r WHERE kind='pex' "
	    "ORDER BY seq DESC"), "01");
	give_ext(&t, SIDE_PEER, 1, request, sizeof(request) - 1);
	assert_string_equal(wit_ask(&t, "SELECT detail FROM r WHERE "
	    "kind='metadata'"), "{\"by\":\"peer\",\"message\":\"request\","
	    "\"piece\":3,\"total_size\":null,\"bytes\":0}");
	give_ext(&t, SIDE_PEER, 1, data, sizeof(data) - 1);
	assert_string_equal(wit_ask(&t, "SELECT detail FROM r WHERE "
	    "kind='metadata' ORDER BY seq DESC"), "{\"by\":\"peer\","
	    "\"message\":\"data\",\"piece\":0,\"total_size\":5,\"bytes\":5}");
	wit_say(&t, "close x");
	assert_string_equal(wit_story(&t), ">greeted; handshake; >extended; "
	    "pex; pex; pex; metadata; metadata; >closed");
	wit_shut(&t);
}

/* A flood in one message: named up to the bound, the rest counted. */
static void pex_flood(void **state)
{
	enum { PEERS = 5000 };
	uint8_t *out = malloc(PEERS * 6 + 100);
	struct wit t;
	int n;

	(void)state;
	wit_open(&t, true, false, true);
	wit_say(&t, HELLO "> ext");
	n = snprintf((char *)out + 6, 60, "d5:added%d:", PEERS * 6);
	for (uint32_t i = 0; i < PEERS; i++) {
		put_u32(out + 6 + n + i * 6, 0x01000000 + i);
		put_u16(out + 6 + n + i * 6 + 4, 6881);
	}
	n += PEERS * 6;
	out[6 + n++] = 'e';
	put_u32(out, (uint32_t)n + 2);
	out[4] = PW_EXTENDED;
	out[5] = 1;
	wit_give(&t, SIDE_PEER, out, (size_t)n + 6);
	assert_string_equal(wit_ask(&t, "SELECT (detail->>'added')||' '||"
	    "(detail->>'named_added')||' '||(detail->>'skipped')||' '||"
	    "(detail->'odd') FROM r WHERE kind='pex'"),
	    "5000 1000 4000 [\"more than 50 added or dropped\"]");
	wit_shut(&t);
	free(out);
}

/* --- hashes --------------------------------------------------------------------- */

/* Has the peer send a range of file a's or c's leaves with the whole proof,
 * the hash numbered wrong spoilt (UINT32_MAX: none). */
static void send_hashes(struct wit *t, uint32_t file, uint32_t at,
    uint32_t count, uint32_t wrong)
{
	size_t bytes = t->kit.sizes[file], width = kit_width(bytes);
	const struct mi_file *f = &t->kit.t->files[file];
	const uint8_t *data = t->kit.data + f->offset;
	uint8_t out[2000];
	uint32_t n = count;

	assert_int_equal(f->bytes, bytes);
	memcpy(out + 5, f->root.p, 32);
	put_u32(out + 37, 0);
	put_u32(out + 41, at);
	put_u32(out + 45, count);
	put_u32(out + 49, 0);
	for (uint32_t i = 0; i < count; i++)
		kit_root(data, bytes, at + i, 1, out + 53 + 32 * i);
	for (uint32_t span = count, i = at / count; span < width;
	    span *= 2, i /= 2, n++)
		kit_root(data, bytes, (i ^ 1) * span, span, out + 53 + 32 * n);
	if (wrong < n)
		out[53 + 32 * wrong] ^= 1;
	put_u32(out, 49 + 32 * n);
	out[4] = PW_HASHES;
	wit_give(t, SIDE_PEER, out, 53 + 32 * (size_t)n);
}

static struct kit without_layers(void)
{
	struct kit k = kit_make(false, true);
	uint8_t *layers = memmem(k.file, k.n, "12:piece layers", 15);
	struct wire_error err;

	assert_non_null(layers);
	torrent_free(k.t);
	*layers = 'e';
	k.n = (size_t)(layers - k.file) + 1;
	k.t = torrent_new(span_of(k.file, k.n), &err);
	assert_non_null(k.t);
	return k;
}

static void hashes(void **state)
{
	struct wit t;

	(void)state;
	wit_open(&t, false, true, true);
	wit_say(&t, HELLO);
	send_hashes(&t, 2, 0, 2, UINT32_MAX);
	send_hashes(&t, 2, 0, 2, 0);
	send_hashes(&t, 2, 4, 2, 3);
	wit_say(&t, "< raw 00000031" "16"
	    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	    "00000000000000000000000200000000; close x");
	assert_string_equal(wit_ask(&t, "SELECT group_concat("
	    "CASE detail->>'verified' WHEN 1 THEN 'yes' WHEN 0 THEN 'no' "
	    "ELSE '?' END||' '||coalesce(detail->>'why','-'), '; ') FROM r "
	    "WHERE kind='hashes'"), "yes -; no does not lead to the root; "
	    "no does not lead to the root; "
	    "? no file of the torrent has this root");
	wit_shut(&t);
}

/* A v2 torrent without piece layers: whole pieces by proven leaves, and single
 * blocks of pieces that were not completed, in turn or ahead of it. */
static void proven_blocks(void **state)
{
	static const char all[] = "SELECT group_concat((detail->>'piece')||' '||"
	    "coalesce(detail->>'match', 'open')||' '||"
	    "(detail->>'blocks_proven')||'+'||(detail->>'blocks_refuted')||"
	    "' '||(detail->>'expected_root' IS NOT NULL), '; ') FROM "
	    "(SELECT * FROM r WHERE kind='piece' ORDER BY seq)";
	struct wit t;

	(void)state;
	wit_start(&t, without_layers(), true);
	wit_say(&t, HELLO "< all; < unchoke");
	/* pieces 0, 1: a (3 blocks); 2: b; 3, 4, 5: c (5 blocks) */
	send_hashes(&t, 2, 0, 4, UINT32_MAX);
	wit_say(&t, "> req 3 0; > req 3 1; < blk 3 0; < blk 3 1");
	assert_string_equal(wit_ask(&t, all), "3 1 2+0 1");
	wit_say(&t, "> req 3 0; > req 3 1; < blk 3 0; < bad 3 1");
	wit_say(&t, "> req 4 0; > req 4 1; < blk 4 1");	/* ahead */
	wit_say(&t, "> req 5 0; < blk 5 0");		/* no leaf known */
	wit_say(&t, "> req 0 0; > req 0 1; < bad 0 0");
	send_hashes(&t, 0, 0, 2, 1);			/* a lie */
	wit_say(&t, "> req 1 0; < blk 1 0");
	send_hashes(&t, 0, 0, 2, UINT32_MAX);		/* afterwards */
	wit_say(&t, "close x");
	assert_string_equal(wit_ask(&t, all), "3 1 2+0 1; 3 0 1+1 1; 5 open "
	    "0+0 0; 1 open 0+0 0; 4 open 1+0 0; 0 open 0+1 0");
	assert_int_equal(t.matched, 1);
	wit_shut(&t);

	/* All of it by leaves alone. */
	wit_start(&t, without_layers(), true);
	wit_say(&t, HELLO "< all; < unchoke");
	send_hashes(&t, 0, 0, 4, UINT32_MAX);
	send_hashes(&t, 2, 0, 8, UINT32_MAX);
	for (uint32_t p = 0; p < 6; p++) {
		char step[64];
		uint32_t two = torrent_piece_bytes(t.kit.t, p) > MI_BLOCK;

		snprintf(step, sizeof(step), two ? "> req %u 0; > req %u 1" :
		    "> req %u 0", p, p);
		wit_say(&t, step);
		snprintf(step, sizeof(step), two ? "< blk %u 1; < blk %u 0" :
		    "< blk %u 0", p, p);
		wit_say(&t, step);
	}
	assert_int_equal(t.matched, 6);
	assert_string_equal(wit_ask(&t, all), "0 1 2+0 1; 1 1 1+0 1; "
	    "2 1 0+0 1; 3 1 2+0 1; 4 1 2+0 1; 5 1 1+0 1");
	wit_shut(&t);
}

/* What one conversation's peer proved serves another's. */
static void shared(void **state)
{
	struct swarmref ref;
	struct wit t, u;

	(void)state;
	magnet(&t, &ref, without_layers(), true);
	ref.proven = proven_new();
	wit_say(&t, HELLO);
	learn(&t, &ref);
	send_hashes(&t, 0, 0, 4, UINT32_MAX);
	assert_true(proven_memory(ref.proven) > 128);
	wit_shut(&t);
	{
		struct endpoint who = endpoint_of(span_of("\300\0\2\7", 4), 1);
		struct witness_hooks hooks = { .ctx = &u, .add = wit_add,
			.piece = wit_piece };

		wit_start(&u, without_layers(), true);
		witness_free(u.w);
		ref.torrent = u.kit.t;
		u.w = witness_begin(&hooks, &ref, 7, &who);
	}
	wit_say(&u, HELLO "< all; < unchoke; > req 0 0; > req 0 1; < blk 0 0; "
	    "< blk 0 1");
	assert_int_equal(u.matched, 1);
	wit_shut(&u);
	proven_free(ref.proven);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(early_claims),
		cmocka_unit_test(magnet_goes_on),
		cmocka_unit_test(early_bounds),
		cmocka_unit_test(incoming_magnet),
		cmocka_unit_test(gossip),
		cmocka_unit_test(pex_flood),
		cmocka_unit_test(hashes),
		cmocka_unit_test(proven_blocks),
		cmocka_unit_test(shared)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
