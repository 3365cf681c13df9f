#include "tests/savefile_kit.h"

static void pcapngs(void **state)
{
	static const struct {
		uint8_t resolution;
		uint64_t units;
		const char *want;
	} clocks[] = {
		{ 0, 5, "1@5.000000000 if0 link1 x/1 end" },
		{ 3, 5001, "1@5.001000000 if0 link1 x/1 end" },
		{ 6, 5000001, "1@5.000001000 if0 link1 x/1 end" },
		{ 9, 5000000001, "1@5.000000001 if0 link1 x/1 end" },
		{ 12, 5000000001000, "1@5.000000001 if0 link1 x/1 end" },
		{ 19, UINT64_MAX, "1@1.844674407 if0 link1 x/1 end" },
		{ 20, 5, "1@0.000000000? if0 link1 x/1 end" },
		{ 0x80, 5, "1@5.000000000 if0 link1 x/1 end" },
		{ 0x8a, 5 * 1024 + 512, "1@5.500000000 if0 link1 x/1 end" },
		{ 0xa8, (5ull << 40) + (1ull << 39),
		    "1@5.500000000 if0 link1 x/1 end" },
		{ 0xbf, 1ull << 62, "1@0.500000000 if0 link1 x/1 end" },
		{ 0xc0, 5, "1@0.000000000? if0 link1 x/1 end" },
		{ 0, UINT64_MAX, "1@0.000000000? if0 link1 x/1 end" },
	};
	int64_t back = -3600;

	(void)state;
	for (int big = 0; big < 2; big++) {
		for (size_t i = 0; i < COUNT(clocks); i++) {
			begin(big);
			section();
			size_t at = block(1);
			u16(1);
			u16(0);
			u32(0);
			option(9, &clocks[i].resolution, 1);
			option(0, "", 0);
			end_block(at, 0, 0);
			enhanced(0, clocks[i].units, "x");
			reads("clock", clocks[i].want);
		}
		begin(big);
		section();
		size_t at = block(1);
		u16(113);
		u16(0);
		u32(0);
		uint8_t offset[8];
		put_u64(offset, (uint64_t)back);
		if (!big)
			memcpy(offset, &back, 8);
		option(14, offset, 8);
		end_block(at, 0, 0);
		interface(276, 0, "", 0);
		interface(1, 4, "", 0);
		enhanced(0, 3601000000u, "one");
		enhanced(1, 2000000, "two");
		simple(9, "th");
		enhanced(2, 3000000, "four");
		reads("interfaces, offset", "1@1.000000000 if0 link113 one/3 "
		    "2@2.000000000 if1 link276 two/3 "
		    "[a packet longer than its block @172] "
		    "4@3.000000000 if2 link1 four/4 end");
		begin(big);
		section();
		interface(1, 4, "", 0);
		simple(9, "abcd");
		simple(2, "ef");
		reads("simple", "1@0.000000000? if0 link1 abcd/9 "
		    "2@0.000000000? if0 link1 ef/2 end");
		begin(big);
		section();
		interface(1, 0, "", 0);
		at = block(2);
		u16(0);
		u16(7);
		u32(0);
		u32(1000000);
		u32(3);
		u32(64);
		raw("old", 3);
		end_block(at, 0, 0);
		at = block(10);
		u32(0x544c534b);
		u32(6);
		raw("keylog", 6);
		end_block(at, 0, 0);
		at = block(4);
		u32(0);
		end_block(at, 0, 0);
		file.big = !big;	/* a section of the other order */
		section();
		interface(101, 0, "", 0);
		enhanced(0, 2000000, "new");
		reads("obsolete, secrets, a second section",
		    "1@1.000000000 if0 link1 old/64 secrets keylog "
		    "2@2.000000000 if0 link101 new/3 end");
	}
}

#define FIRST "1@1.000000000 if0 link1 abc/3 "
#define LAST "2@3.000000000 if0 link1 def/3 end"

/* A sound packet, what is wrong, a sound packet. */
static void start(bool big)
{
	begin(big);
	section();
	interface(1, 0, "", 0);
	enhanced(0, 1000000, "abc");
}

static void finish(const char *name, const char *want)
{
	enhanced(0, 3000000, "def");
	reads(name, want);
}

static void damaged_pcapngs(void **state)
{
	size_t at;

	(void)state;
	for (int big = 0; big < 2; big++) {
		start(big);
		enhanced_of(0, 2000000, 3, 3, "bad", 0, 32);
		finish("the second length is wrong", FIRST
		    "[a block's two lengths differ @84] " LAST);
		start(big);
		enhanced_of(0, 2000000, 3, 3, "bad", 32, 0);
		finish("the first length is wrong", FIRST
		    "[a block's two lengths differ @84] " LAST);
		start(big);
		enhanced_of(0, 2000000, 3, 3, "bad", 8, 8);
		finish("a length of 8", FIRST
		    "[no block has such a length @84] " LAST);
		start(big);
		enhanced_of(0, 2000000, 3, 3, "bad", 37, 37);
		finish("a length of 37", FIRST
		    "[no block has such a length @84] " LAST);
		start(big);
		enhanced_of(0, 2000000, 3, 3, "bad", 0xfffffffc, 0xfffffffc);
		finish("4 GB claimed", FIRST
		    "[a block longer than any is @84] " LAST);
		start(big);
		enhanced_of(0, 2000000, 3, 3, "bad", 400, 400);
		finish("past the end", FIRST
		    "[the file ends within a block @84] " LAST);
		start(big);
		enhanced_of(0, 2000000, 0xffffffff, 3, "bad", 0, 0);
		finish("a packet past its block", FIRST
		    "[a packet longer than its block @84] "
		    "3@3.000000000 if0 link1 def/3 end");
		start(big);
		enhanced_of(7, 2000000, 3, 3, "bad", 0, 0);
		finish("no such interface", FIRST
		    "[a packet of an interface that is not described @84] "
		    "3@3.000000000 if0 link1 def/3 end");
		start(big);
		at = block(6);
		u32(0);
		end_block(at, 0, 0);
		finish("too short for a packet", FIRST
		    "[a packet block too short @84] "
		    "3@3.000000000 if0 link1 def/3 end");
		start(big);
		at = block(1);
		u16(1);
		end_block(at, 0, 0);
		finish("too short for an interface", FIRST
		    "[an interface block too short @84] " LAST);
		start(big);
		at = block(1);		/* its option lies; the block stands */
		u16(1);
		u16(0);
		u32(0);
		u16(9);
		u16(60000);
		end_block(at, 0, 0);
		finish("an option's length", FIRST LAST);
		start(big);
		raw("noise of 17 bytes", 17);
		finish("noise", FIRST
		    "[no block has such a length @84] " LAST);
		start(big);
		at = block(0x0a0d0d0a);
		u32(0x12345678);
		u32(0);
		u32(0);
		end_block(at, 0, 0);
		finish("no byte order", FIRST
		    "[no block has such a length @84] " LAST);
		start(big);
		u32(6);
		reads("cut in a block's head", FIRST
		    "[the file ends within a block @84] end");
		start(big);
		at = block(10);
		u32(0x544c534b);
		u32(99);
		end_block(at, 0, 0);
		finish("secrets past their block", FIRST LAST);
		/* A long block of another kind is passed over. */
		start(big);
		at = file.n;
		u32(0x0bad);
		u32(0);
		file.n += 300000;
		end_block(at, 0, 0);
		finish("a long custom block", FIRST LAST);
		begin(big);
		at = block(0x0a0d0d0a);
		u32(0x1a2b3c4d);
		u16(2);
		u16(0);
		u32(0);
		u32(0);
		end_block(at, 0, 0);
		reads("version 2",
		    "[a section of another version than 1 @0] end");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcapngs),
		cmocka_unit_test(damaged_pcapngs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
