/*
 * What the witness's records hold, key by key; torrents of each version;
 * incoming connections; hooks; memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schema/assembly.h"
#include "schema/burst.h"
#include "tests/witness_kit.h"

#define HELLO "> greet; < greet; "

/* The newest detail of a kind, the swarm's hash written HASH. */
static const char *detail(struct wit *t, const char *kind)
{
	char sql[256];

	snprintf(sql, sizeof(sql), "SELECT replace(detail, '%s', 'HASH') FROM r "
	    "WHERE kind='%s' ORDER BY seq DESC", t->kit.t->swarm, kind);
	return wit_ask(t, sql);
}

static void details(void **state)
{
	static const struct {
		const char *kind, *want;
	} rows[] = {
		{ "greeted", "{'by':'us','infohash':'HASH','peer_id':"
		    "'2d5357303130302d757575757575757575757575','reserved':"
		    "'0000000000100004'}" },
		{ "handshake", "{'by':'peer','infohash':'HASH','peer_id':"
		    "'2d7142343532302d707070707070707070707070','client':"
		    "'qBittorrent 4.5.2','reserved':'0000000000100004',"
		    "'fast':true,'extended':true,'dht':false,'v2':false,"
		    "'expected':true}" },
		{ "extended", "{'by':'peer','client':'kit\\ufffd\\u0001','port':6881,"
		    "'reqq':250,'upload_only':null,'encrypt':null,"
		    "'metadata_size':null,'yourip':'1.2.3.4',"
		    "'m':{'lt_donthave':3,'ut_pex':1}}" },
		{ "bitfield", "{'by':'peer','claimed':2,'pieces':4}" },
		{ "have", "{'by':'peer','count':2,'last_utc_ns':1000000000000,"
		    "'pieces':[1,3],'claimed':4}" },
		{ "unchoke", "{'by':'peer'}" },
		{ "request", "{'by':'us','count':2,'last_utc_ns':1000000000000,"
		    "'blocks':[[3,0,16384],[3,16384,15312]],'heard':[182,182]}" },
		{ "message", "{'by':'peer','id':99,'ext_id':null,"
		    "'extension':null,'count':1,'last_utc_ns':1002000000000}" },
		{ "block", "{'by':'peer','why':'not asked for','count':1,"
		    "'last_utc_ns':1002000000000,'blocks':[[0,0,16384]]}" },
		{ "port", "{'by':'peer','port':43707}" },
		{ "hashes", "{'by':'peer','message':'request','root':'ffffffffffff"
		    "ffffffffffffffffffffffffffffffffffffffffffffffffffff','base'"
		    ":1,'index':2,'count':3,'proofs':4,'verified':null,'why':"
		    "'the count is no power of two from 2 on'}" },
		{ "malformed", "{'by':'peer','where':'peer','reason':'length does "
		    "not fit the message','offset':0,'stream_offset':48314,"
		    "'fatal':false}" },
		{ "allowed_fast", "{'by':'peer','count':1,"
		    "'last_utc_ns':1002000000000,'pieces':[2]}" }
	};
	struct wit t;

	(void)state;
	wit_open(&t, true, false, true);
	wit_say(&t, HELLO "< ext; < bits a0; < have 1; < have 3; < unchoke; "
	    "> req 3 0; > req 3 1; wait 2; < blk 3 0; wait 1; < blk 3 1");
	t.now_s--;
	wit_say(&t, "< raw 0000000263ff; < blk 0 0; < raw 0000000309aabb; "
	    "< raw 000000020400; > keepalive; < allow 2; < raw 0000003115"
	    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
	    "00000001000000020000000300000004; close bye");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *want = strdup(rows[i].want);

		for (char *p = want; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		if (strcmp(rows[i].kind, "malformed") == 0)
			assert_string_equal(wit_ask(&t, "SELECT length(raw) "
			    "FROM r WHERE kind='malformed'"), "6");
		assert_string_equal(detail(&t, rows[i].kind), want);
		free(want);
	}
	wit_shut(&t);
}

static void piece_detail(void **state)
{
	char want[1024], sha1[41], sha256[65];
	uint8_t hash[32];
	struct wit t;

	(void)state;
	wit_open(&t, true, false, true);
	wit_say(&t, HELLO "< unchoke; > req 1 0; > req 1 1; < blk 1 1; wait 1; "
	    "< blk 1 0");
	SHA1(t.kit.data + KIT_PIECE, KIT_PIECE, hash);
	hex_of(hash, 20, sha1);
	SHA256(t.kit.data + KIT_PIECE, KIT_PIECE, hash);
	hex_of(hash, 32, sha256);
	snprintf(want, sizeof(want), "{\"by\":\"peer\",\"piece\":1,\"bytes\":32768,"
	    "\"came\":32768,\"blocks\":[[0,16384,1001000000000],"
	    "[16384,16384,1000000000000]],\"blocks_total\":2,\"complete\":true,"
	    "\"why\":null,\"expected_sha1\":\"%s\",\"sha1\":\"%s\","
	    "\"sha256\":\"%s\",\"expected_root\":null,\"root\":null,"
	    "\"match\":true,\"blocks_proven\":0,\"blocks_refuted\":0,"
	    "\"files\":[{\"path\":\"kit/a\",\"from\":32768,"
	    "\"to\":40000,\"pad\":false},{\"path\":\"kit/b\",\"from\":0,"
	    "\"to\":20000,\"pad\":false},{\"path\":\"kit/c\",\"from\":0,"
	    "\"to\":5536,\"pad\":false}],\"files_more\":0}", sha1, sha1, sha256);
	assert_string_equal(detail(&t, "piece"), want);
	assert_string_equal(wit_ask(&t, "SELECT lower(hex(sha256)) FROM r WHERE "
	    "kind='piece' AND raw IS NULL"), sha256);
	assert_int_equal(t.pieces, 1);
	assert_int_equal(t.matched, 1);
	wit_say(&t, "> req 0 1; < blk 0 1; close x");
	assert_string_equal(wit_ask(&t, "SELECT detail->>'came'||' '||"
	    "coalesce(detail->>'sha1', detail->>'sha256', detail->>'match', "
	    "'unknown')||' '||(sha256 IS NULL) FROM r WHERE kind='piece' "
	    "AND NOT detail->>'complete'"), "16384 unknown 1");
	assert_int_equal(t.pieces, 2);
	assert_int_equal(t.incomplete, 1);
	wit_shut(&t);
}

static void closed(void **state)
{
	char want[512], rx[65], tx[65];
	uint8_t hash[32], bytes[80];
	struct wit t;
	size_t n;

	(void)state;
	wit_open(&t, true, false, true);
	wit_say(&t, HELLO "< keepalive; < keepalive; < have 1; > keepalive; "
	    "close no more to ask");
	n = wit_greet(&t, bytes, SIDE_PEER, "");
	memset(bytes + n, 0, 8);
	SHA256_CTX sum;
	SHA256_Init(&sum);
	SHA256_Update(&sum, bytes, n + 8);
	wit_message(&t, SIDE_PEER, "have 1", bytes);
	SHA256_Update(&sum, bytes, 9);
	SHA256_Final(hash, &sum);
	hex_of(hash, 32, rx);
	n = wit_greet(&t, bytes, SIDE_US, "");
	memset(bytes + n, 0, 4);
	SHA256(bytes, n + 4, hash);
	hex_of(hash, 32, tx);
	snprintf(want, sizeof(want), "{\"by\":\"us\",\"why\":\"no more to ask\","
	    "\"rx_bytes\":85,\"tx_bytes\":72,\"rx_sha256\":\"%s\","
	    "\"tx_sha256\":\"%s\",\"keepalives_rx\":2,\"keepalives_tx\":1,"
	    "\"piece_bytes_tx\":0}", rx, tx);
	assert_string_equal(detail(&t, "closed"), want);
	wit_shut(&t);
}

/* Every piece of every version, in order and backwards, good and bad. */
static void versions(void **state)
{
	static const struct {
		bool v1, v2;
		uint32_t pieces;
	} rows[] = {
		{ true, false, 4 }, { false, true, 6 }, { true, true, 6 }
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wit t;
		char step[64], want[64];

		wit_open(&t, rows[i].v1, rows[i].v2, true);
		assert_int_equal(t.kit.t->mi.pieces, rows[i].pieces);
		wit_say(&t, HELLO "< all; < unchoke");
		for (unsigned bad = 0; bad < 2; bad++)
		for (unsigned turn = 0; turn < 2; turn++)
		for (unsigned p = 0; p < rows[i].pieces; p++) {
			unsigned blocks = (torrent_piece_bytes(t.kit.t, p) +
			    MI_BLOCK - 1) / MI_BLOCK;

			for (unsigned b = 0; b < blocks; b++) {
				snprintf(step, sizeof(step), "> req %u %u", p, b);
				wit_say(&t, step);
			}
			for (unsigned b = 0; b < blocks; b++) {
				snprintf(step, sizeof(step), "< %s %u %u",
				    bad && !b ? "bad" : "blk", p,
				    turn ? blocks - 1 - b : b);
				wit_say(&t, step);
			}
		}
		assert_int_equal(t.pieces, 4 * rows[i].pieces);
		assert_int_equal(t.matched, 2 * rows[i].pieces);
		snprintf(want, sizeof(want), "%u %u %u", rows[i].pieces * 4,
		    rows[i].v1 ? rows[i].pieces * 4 : 0,
		    rows[i].v2 ? rows[i].pieces * 4 : 0);
		assert_string_equal(wit_ask(&t, "SELECT count(*)||' '||"
		    "count(detail->>'sha1')||' '||count(detail->>'root') "
		    "FROM r WHERE kind='piece'"), want);
		wit_shut(&t);
	}
}

static void incoming(void **state)
{
	struct wit t;

	(void)state;
	wit_open(&t, true, false, false);
	wit_say(&t, "< greet; > greet; < bits f8; < have 2");
	assert_true(wit_greeted(&t));
	assert_true(claims_has(witness_claims(t.w, SIDE_PEER), 2));
	assert_false(claims_has(witness_claims(t.w, SIDE_PEER), 1));
	wit_say(&t, "close x");
	assert_string_equal(wit_story(&t), "handshake; >greeted; malformed "
	    "bitfield with spare bits set; have[2]1; >closed");
	assert_string_equal(wit_ask(&t, "SELECT count(*) FROM r WHERE swarm IS "
	    "NULL"), "0");
	wit_shut(&t);

	wit_open(&t, true, false, false);
	t.known = false;
	wit_say(&t, "< greet; < bits f8ff; < all; < have 2; close x");
	assert_false(wit_greeted(&t));
	assert_string_equal(wit_story(&t), "handshake other; bitfield ?; "
	    "have_all ?; have[2]; >closed");
	assert_string_equal(wit_ask(&t, "SELECT count(swarm) FROM r"), "0");
	wit_shut(&t);
}

/* Nine pieces under way: the one longest untouched goes, and no hook is told,
 * since it was our own doing. */
static void displaced(void **state)
{
	struct wit t;

	(void)state;
	wit_start(&t, kit_of(true, false, KIT_PIECE, 400000), true);
	wit_say(&t, HELLO "< unchoke; > req 0 0; > req 1 0; > req 2 0; "
	    "> req 3 0; > req 4 0; > req 5 0; > req 6 0; > req 7 0; "
	    "< blk 0 0; < blk 1 0; > req 8 0; < blk 2 0");
	assert_string_equal(wit_ask(&t, "SELECT detail->>'why' FROM r WHERE "
	    "kind='piece'"), "displaced at 0 of 2 blocks");
	assert_string_equal(wit_ask(&t, "SELECT detail->>'why' FROM r WHERE "
	    "kind='block'"), "(none)");
	wit_say(&t, "> req 9 0; > req 10 0; > req 11 0; > req 12 0; "
	    "> req 11 1; > req 10 1; > req 9 1; > req 8 1; > req 2 0; > req 3 0");
	assert_int_equal(t.pieces, 0);
	wit_say(&t, "close x");
	assert_int_equal(t.pieces, ASSEMBLY_LIVE);
	assert_string_equal(wit_ask(&t, "SELECT group_concat((detail->>'piece')"
	    "||' '||(detail->>'why'), ', ') FROM r WHERE kind='piece'"),
	    "2 displaced at 0 of 2 blocks, 3 displaced at 0 of 2 blocks, "
	    "4 displaced at 0 of 2 blocks, 5 displaced at 0 of 2 blocks, "
	    "6 displaced at 0 of 2 blocks, 7 displaced at 0 of 2 blocks, "
	    "0 displaced at 1 of 2 blocks, 1 closed at 1 of 2 blocks, "
	    "12 closed at 0 of 2 blocks, 11 closed at 0 of 2 blocks, "
	    "10 closed at 0 of 2 blocks, 9 closed at 0 of 2 blocks, "
	    "8 closed at 0 of 2 blocks, 2 closed at 0 of 2 blocks, "
	    "3 closed at 0 of 2 blocks");
	wit_shut(&t);
}

/* 32 blocks may wait for the first; the next one does not count until it is
 * asked for and comes again. */
static void far_ahead(void **state)
{
	char step[32];
	struct wit t;

	(void)state;
	wit_start(&t, kit_of(true, false, 1u << 20, 2u << 20), true);
	wit_say(&t, HELLO "< unchoke");
	for (unsigned b = 0; b < 64; b++) {
		snprintf(step, sizeof(step), "> req 0 %u", b);
		wit_say(&t, step);
	}
	for (unsigned b = 0; b <= ASSEMBLY_AHEAD; b++) {
		snprintf(step, sizeof(step), "< blk 0 %u", 63 - b);
		wit_say(&t, step);
	}
	assert_true(t.most_memory < ASSEMBLY_AHEAD * 17000);
	for (unsigned b = 0; b < 32; b++) {
		snprintf(step, sizeof(step), "< blk 0 %u", b);
		wit_say(&t, step);
	}
	assert_string_equal(wit_ask(&t, "SELECT (detail->>'why')||"
	    "(detail->>'blocks') FROM r WHERE kind='block'"),
	    "too far ahead of its turn[[0,507904,16384]]");
	assert_int_equal(t.matched, 1);
	assert_true(witness_memory(t.w) < 1200);
	wit_shut(&t);
}

/* A long message is kept once, and not a byte longer than it must. */
static void memory(void **state)
{
	uint8_t *big = calloc(1, 32000);
	struct wit t;

	(void)state;
	wit_open(&t, true, false, true);
	wit_say(&t, HELLO "> ext; < ext; < bits e0; < have 1");
	wit_say(&t, "wait 11");
	/* Idle: the aim is 4 KiB for all of a connection. */
	assert_true(witness_memory(t.w) < 1024);
	put_u32(big, 32000 - 4);
	big[4] = 99;
	wit_give(&t, SIDE_PEER, big, 31999);
	assert_true(witness_memory(t.w) < 32000 + 1024);
	wit_give(&t, SIDE_PEER, big + 31999, 1);
	assert_true(witness_memory(t.w) < 1024);
	assert_string_equal(wit_ask(&t, "SELECT length(raw) FROM r WHERE "
	    "kind='message'"), "32000");
	t.chunk = 100;
	t.most_memory = 0;
	wit_give(&t, SIDE_PEER, big, 32000);
	assert_true(t.most_memory < 66000);
	assert_true(witness_memory(t.w) < 1024);
	/* A run of haves: 16 KiB, and then another. */
	t.chunk = 0;
	for (unsigned i = 0; i < BURST_MOST / 9 + 5; i++)
		wit_say(&t, "< have 1");
	wit_say(&t, "close x");
	assert_string_equal(wit_ask(&t, "SELECT group_concat(detail->>'count') "
	    "FROM r WHERE kind='have'"), "1,1820,5");
	assert_true(t.most_memory < 66000);
	free(big);
	wit_shut(&t);
}

/* A v2 torrent without its piece layers: only files of one piece can be
 * checked, and the others say so. */
static void no_layers(void **state)
{
	struct kit k = kit_make(false, true);
	struct wire_error err;
	struct wit t;
	uint8_t *layers = memmem(k.file, k.n, "12:piece layers", 15);

	(void)state;
	assert_non_null(layers);
	torrent_free(k.t);
	*layers = 'e';
	k.n = (size_t)(layers - k.file) + 1;
	k.t = torrent_new(span_of(k.file, k.n), &err);
	assert_non_null(k.t);
	wit_start(&t, k, true);
	wit_say(&t, HELLO "< unchoke; > req 0 0; > req 0 1; > req 2 0; "
	    "> req 2 1; < blk 0 0; < blk 0 1; < blk 2 0; < bad 2 1");
	assert_string_equal(wit_story(&t), ">greeted; handshake; unchoke; "
	    ">request[[0,0,16384],[0,16384,16384],[2,0,16384],[2,16384,3616]]; "
	    "piece 0 the torrent gives no hash for this piece; piece 2 FAIL");
	assert_string_equal(wit_ask(&t, "SELECT (detail->>'complete')||"
	    "coalesce(detail->>'match', 'unknown') FROM r WHERE kind='piece'"),
	    "1unknown");
	assert_int_equal(t.matched, 0);
	wit_shut(&t);
}

/* Given up without its end: nothing more is written, nothing leaks. */
static void dropped(void **state)
{
	struct wit t;

	(void)state;
	wit_open(&t, true, false, true);
	wit_say(&t, HELLO "< unchoke; > req 0 0; > req 0 1; < blk 0 1; "
	    "> req 1 0; > req 1 1; < have 1; "
	    "< raw 00004009070000000100004000aabb");
	wit_shut(&t);
}

/* A session that answers each unchoke with a request, from within the hook. */
static struct wit *answering;

static void answer(void *ctx, const struct event *ev)
{
	(void)ctx;
	if (ev->kind == EV_MESSAGE && ev->msg.id == PW_UNCHOKE)
		wit_say(answering, "> want; > req 0 0; > req 0 1");
}

static void within_hooks(void **state)
{
	struct endpoint who = endpoint_of(span_of("\300\0\2\7", 4), 6881);
	struct witness_hooks hooks = { .add = wit_add, .torrent = wit_torrent,
		.event = answer, .piece = wit_piece };
	uint8_t *bytes = malloc(33000);
	struct wit t;
	size_t n;

	(void)state;
	wit_open(&t, true, false, true);
	witness_free(t.w);
	hooks.ctx = answering = &t;
	t.w = witness_begin(&hooks, &t.ref, 7, &who);
	wit_say(&t, HELLO);
	n = wit_message(&t, SIDE_PEER, "have 3", bytes);
	n += wit_message(&t, SIDE_PEER, "unchoke", bytes + n);
	n += wit_message(&t, SIDE_PEER, "blk 0 0", bytes + n);
	n += wit_message(&t, SIDE_PEER, "blk 0 1", bytes + n);
	witness_bytes(t.w, SIDE_PEER, bytes, n, wit_now(&t));
	assert_string_equal(wit_story(&t), ">greeted; handshake; have[3]1; "
	    "unchoke; >interested; >request[[0,0,16384],[0,16384,16384]]; "
	    "piece 0 match");
	assert_int_equal(t.matched, 1);
	free(bytes);
	wit_shut(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(details),
		cmocka_unit_test(piece_detail),
		cmocka_unit_test(closed),
		cmocka_unit_test(versions),
		cmocka_unit_test(incoming),
		cmocka_unit_test(displaced),
		cmocka_unit_test(far_ahead),
		cmocka_unit_test(memory),
		cmocka_unit_test(no_layers),
		cmocka_unit_test(dropped),
		cmocka_unit_test(within_hooks)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
