/*
 * The witness: scripted conversations give exactly these records, however the
 * bytes are cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/witness_kit.h"

#define HELLO "> greet; < greet; "
#define HELLO_S ">greeted; handshake"

static const struct talk_case {
	const char *name, *script, *story;
} cases[] = {
	{ "a seed",
	  HELLO "> ext; > none; < ext; < all; < unchoke; > want",
	  HELLO_S "; >extended; >have_none 0/4; extended; have_all 4/4; "
	  "unchoke; >interested" },
	{ "lazy bitfield, then the rest",
	  HELLO "< bits b0; < have 1; < keepalive; < have 1; < have 0; close x",
	  HELLO_S "; bitfield 3/4; have[1,1,0]4; >closed" },
	{ "claims go up and down",
	  HELLO "> ext; < all; < dont 2; < dont 2; < none; < have 3; < bits 40; "
	  "close x",
	  HELLO_S "; >extended; have_all 4/4; donthave 2 3; donthave 2 3; "
	  "have_none 0/4; have[3]1; bitfield 1/4; >closed" },
	{ "bitfield of the wrong size, spare bits, no such piece",
	  HELLO "< bits ; < bits f000; < bits f8; < have 4; < have 1; close x",
	  HELLO_S "; malformed bitfield of the wrong size; "
	  "malformed bitfield of the wrong size; "
	  "malformed bitfield with spare bits set; "
	  "malformed the torrent has no such piece; have[1]1; >closed" },
	{ "a piece that matches",
	  HELLO "< all; < unchoke; > req 1 0; > req 1 1; < blk 1 0; < blk 1 1",
	  HELLO_S "; have_all 4/4; unchoke; >request[[1,0,16384],"
	  "[1,16384,16384]]; piece 1 match" },
	{ "the last piece, blocks out of order",
	  HELLO "< unchoke; > req 3 0; > req 3 1; < blk 3 1; < have 2; < blk 3 0",
	  HELLO_S "; unchoke; >request[[3,0,16384],[3,16384,15312]]; have[2]1; "
	  "piece 3 match" },
	{ "a piece that fails, then matches",
	  HELLO "< unchoke; > req 0 0; > req 0 1; < blk 0 0; < bad 0 1; "
	  "> req 0 1; > req 0 0; < blk 0 1; < blk 0 0",
	  HELLO_S "; unchoke; >request[[0,0,16384],[0,16384,16384]]; "
	  "piece 0 FAIL; >request[[0,16384,16384],[0,0,16384]]; "
	  "piece 0 match" },
	{ "blocks twice: the first copy counts",
	  HELLO "< unchoke; > req 0 0; > req 0 1; < blk 0 0; < bad 0 0; "
	  "< blk 0 1; < blk 0 1; close x",
	  HELLO_S "; unchoke; >request[[0,0,16384],[0,16384,16384]]; "
	  "block[[0,0,16384]] came before; piece 0 match; "
	  "block[[0,16384,16384]] not asked for; >closed" },
	{ "blocks nobody asked for share a record",
	  HELLO "> req 1 0; < blk 0 0; < blk 0 1; < blk 1 1; close x",
	  HELLO_S "; >request[[1,0,16384]]; block[[0,0,16384],"
	  "[0,16384,16384],[1,16384,16384]] not asked for; "
	  "piece 1 closed, choked at 0 of 2 blocks; >closed" },
	{ "not on the grid, and no such piece",
	  HELLO "> req 0 0; < raw 0000000a0700000000000000057a; "
	  "< raw 00000009070000000000000000; "
	  "< raw 0000000a0700000009000000007a; < choke; close x",
	  HELLO_S "; block[[0,5,1],[0,0,0]] not a block of the 16 KiB grid; "
	  "malformed the torrent has no such piece; choke; >request[[0,0,16384]]; "
	  "piece 0 closed, choked at 0 of 2 blocks; >closed" },
	{ "choked in between, resumed",
	  HELLO "< unchoke; > req 0 0; > req 0 1; < blk 0 0; < choke; "
	  "< reject 0 1; < unchoke; > req 0 1; < blk 0 1",
	  HELLO_S "; unchoke; choke; reject[[0,16384,16384]]; unchoke; "
	  ">request[[0,0,16384],[0,16384,16384],[0,16384,16384]]; "
	  "piece 0 match" },
	{ "choked for good",
	  HELLO "< unchoke; > req 0 0; > req 0 1; < blk 0 0; < choke; close bye",
	  HELLO_S "; unchoke; choke; >request[[0,0,16384],[0,16384,16384]]; "
	  "piece 0 closed, choked at 1 of 2 blocks; >closed" },
	{ "a choke does not void requests with Fast",
	  HELLO "< unchoke; > req 2 0; > req 2 1; < choke; < blk 2 0; < blk 2 1",
	  HELLO_S "; unchoke; choke; >request[[2,0,16384],[2,16384,16384]]; "
	  "piece 2 match" },
	{ "it does without",
	  "> greet; < greet plain; < unchoke; > req 2 0; < choke; < blk 2 0; "
	  "close x",
	  HELLO_S "; unchoke; choke; >request[[2,0,16384]]; "
	  "block[[2,0,16384]] not asked for; "
	  "piece 2 closed, choked at 0 of 2 blocks; >closed" },
	{ "rejected",
	  HELLO "< unchoke; > req 0 1; > req 0 0; < blk 0 1; < reject 0 0; "
	  "< blk 0 0; close x",
	  HELLO_S "; unchoke; reject[[0,0,16384]]; >request[[0,16384,16384],"
	  "[0,0,16384]]; block[[0,0,16384]] not asked for; "
	  "piece 0 closed, rejected at 1 of 2 blocks; >closed" },
	{ "closed within a block",
	  HELLO "< unchoke; > req 0 0; < raw 00004009070000000000000000aabb; "
	  "close x",
	  HELLO_S "; unchoke; >request[[0,0,16384]]; "
	  "piece 0 closed at 0 of 2 blocks; >closed" },
	{ "two pieces at once",
	  HELLO "< unchoke; > req 0 0; > req 1 0; > req 0 1; > req 1 1; "
	  "< blk 0 0; < blk 1 0; < blk 1 1; < blk 0 1",
	  HELLO_S "; unchoke; >request[[0,0,16384],[1,0,16384],"
	  "[0,16384,16384],[1,16384,16384]]; piece 1 match; piece 0 match" },
	{ "another infohash: recorded, and no claim",
	  "> greet; < greet other; < bits ff; < have 77; < unchoke; > req 0 0; "
	  "< blk 0 0; < blk 0 1; close x",
	  ">greeted; handshake other; bitfield ?; have[77]; unchoke; "
	  ">request[[0,0,16384]]; block[[0,0,16384],[0,16384,16384]] "
	  "not of this torrent; >closed" },
	{ "a run ends within half a second",
	  HELLO "< have 0; < have 1; wait 1; < have 2; wait 1; < choke",
	  HELLO_S "; have[0,1]2; have[2]3; choke" },
	{ "runs of each kind",
	  HELLO "< allow 1; < allow 2; < suggest 3; < have 0; > req 0 0; "
	  "> cancel 0 0; < reject 0 0; < raw 0000000263ff; < raw 000000026301; "
	  "< raw 0000000262ff; < raw 000000021409; < raw 000000021409; close x",
	  HELLO_S "; allowed_fast[1,2]; suggest[3]; >request[[0,0,16384]]; "
	  "have[0]1; reject[[0,0,16384]]; message 99/- x2; "
	  "message 98/- x1; >cancel[[0,0,16384]]; message 20/- x2; "
	  "piece 0 closed, choked at 0 of 2 blocks; >closed" },
	{ "an extension that we announced",
	  HELLO "> ext; < raw 0000000414016465; < raw 00000004140164aa; "
	  "< raw 0000000414036465; < raw 000000031400ff; close x",
	  HELLO_S "; >extended; pex; malformed not the start of a bencoded value; "
	  "malformed lt_donthave is not one index; malformed not the start of a bencoded value; "
	  ">closed" },
	{ "not BitTorrent",
	  "> greet; < raw 485454502f312e3120; < raw 0000; close x",
	  ">greeted; malformed not a BitTorrent handshake; >closed" },
	{ "an absurd length",
	  HELLO "< have 1; < raw 7fffffff05; < have 2; close x",
	  HELLO_S "; have[1]1; malformed frame longer than its bound; >closed" },
	{ "bytes missing between messages",
	  HELLO "< have 1; < raw 0000; gap< 100; < have 2; close x",
	  HELLO_S "; have[1]1; gap 100; >closed" },
	{ "bytes missing within a block",
	  HELLO "< unchoke; > req 0 0; > req 0 1; < blk 0 0; "
	  "< raw 00004009070000000000004000aabb; gap< 16382; < have 2; close x",
	  HELLO_S "; unchoke; >request[[0,0,16384],[0,16384,16384]]; "
	  "piece 0 bytes missing at 1 of 2 blocks; gap 16382; have[2]1; "
	  ">closed" },
	{ "the peer asks us, in vain",
	  HELLO "> choke; < req 0 0; < req 1 1; > reject 0 0; close x",
	  HELLO_S "; >choke; >reject[[0,0,16384]]; request[[0,0,16384],"
	  "[1,16384,16384]]; >closed" },
	{ "after the end nothing is added",
	  HELLO "close x; < have 1; gap< 4; wait 20; close y",
	  HELLO_S "; >closed" }
};

/* Runs a case and gives its whole table as text, to be freed. */
static char *play(const struct talk_case *c, size_t chunk, bool check)
{
	struct wit t;
	char *all;

	wit_open(&t, true, false, true);
	t.chunk = chunk;
	wit_say(&t, c->script);
	/* The ledger's own demands: printable ASCII, JSON. */
	assert_string_equal(wit_ask(&t, "SELECT count(*) FROM r WHERE detail "
	    "GLOB '*[^ -~]*' OR NOT json_valid(detail) OR length(detail) <> "
	    "length(CAST(detail AS BLOB)) OR conn <> 7 OR ip <> '192.0.2.7' OR "
	    "swarm IS NULL"), "0");
	if (check)
		assert_string_equal(wit_story(&t), c->story);
	all = strdup(wit_ask(&t, "SELECT group_concat(utc_ns||kind||detail||"
	    "hex(raw)||coalesce(hex(sha256),'-'), char(10)) FROM r"));
	wit_shut(&t);
	return all;
}

static void conversations(void **state)
{
	static const size_t chunks[] = { 1, 2, 7, 13, 16000 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *whole;

		print_message("  %s\n", cases[i].name);
		whole = play(&cases[i], 0, true);
		for (size_t n = 0; n < sizeof(chunks) / sizeof(chunks[0]); n++) {
			char *cut = play(&cases[i], chunks[n], false);

			assert_string_equal(cut, whole);
			free(cut);
		}
		free(whole);
	}
}

/* Every step's bytes cut in two, at every place of the short ones. */
static void cuts(void **state)
{
	static const char script[] = HELLO "> ext; < ext; < bits b0; < have 1; "
	    "< dont 0; < allow 2; < raw 0000000263ff; < unchoke; > req 3 1; "
	    "< raw 0000000a0700000000000000057a; < raw 7fffffff05; close x";
	char *whole = NULL;

	(void)state;
	for (size_t cut = 0; cut < 120; cut++) {
		struct talk_case c = { "", script, NULL };
		char *all = play(&c, cut, false);

		if (!whole)
			whole = strdup(all);
		assert_string_equal(all, whole);
		free(all);
	}
	free(whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conversations),
		cmocka_unit_test(cuts)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
