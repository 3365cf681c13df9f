#include "capture/source.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "schema/json.h"
#include "tests/exact.h"

#define ROOM 400000u

/* A savefile being made, in either byte order. */
struct file {
	uint8_t b[ROOM];
	size_t n;
	bool big;
};

static struct file file;

static void raw(const void *p, size_t n)
{
	assert_true(n <= ROOM - file.n);
	if (n)
		memcpy(file.b + file.n, p, n);
	file.n += n;
}

static void u16(unsigned v)
{
	uint8_t b[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

	if (file.big)
		put_u16(b, (uint16_t)v);
	raw(b, 2);
}

static void u32(uint32_t v)
{
	uint8_t b[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
	    (uint8_t)(v >> 24) };

	if (file.big)
		put_u32(b, v);
	raw(b, 4);
}

static void begin(bool big)
{
	file.n = 0;
	file.big = big;
}

static void pcap(bool nano, uint32_t link)
{
	u32(nano ? 0xa1b23c4d : 0xa1b2c3d4);
	u16(2);
	u16(4);
	u32(0);
	u32(0);
	u32(65535);
	u32(link);
}

static void record(uint32_t s, uint32_t part, uint32_t kept, uint32_t length,
    const char *text)
{
	u32(s);
	u32(part);
	u32(kept);
	u32(length);
	raw(text, strlen(text));
}

/* A block around a body; total 0: as it should be. */
static size_t block(uint32_t type)
{
	size_t at = file.n;

	u32(type);
	u32(0);
	return at;
}

static void end_block(size_t at, uint32_t first, uint32_t last)
{
	while ((file.n - at) % 4)
		raw("", 1);
	uint32_t total = (uint32_t)(file.n - at) + 4;
	size_t end = file.n;

	file.n = at + 4;
	u32(first ? first : total);
	file.n = end;
	u32(last ? last : total);
}

static void section(void)
{
	size_t at = block(0x0a0d0d0a);

	u32(0x1a2b3c4d);
	u16(1);
	u16(0);
	u32(0xffffffff);
	u32(0xffffffff);
	end_block(at, 0, 0);
}

static void interface(unsigned link, uint32_t snaplen, const char *options,
    size_t n)
{
	size_t at = block(1);

	u16(link);
	u16(0);
	u32(snaplen);
	raw(options, n);
	end_block(at, 0, 0);
}

static void option(unsigned code, const void *p, unsigned n)
{
	u16(code);
	u16(n);
	raw(p, n);
	while (file.n % 4)
		raw("", 1);
}

static void enhanced_of(uint32_t interface_number, uint64_t stamp,
    uint32_t kept, uint32_t length, const char *text, uint32_t first,
    uint32_t last)
{
	size_t at = block(6);

	u32(interface_number);
	u32((uint32_t)(stamp >> 32));
	u32((uint32_t)stamp);
	u32(kept);
	u32(length);
	raw(text, strlen(text));
	end_block(at, first, last);
}

static void enhanced(uint32_t interface_number, uint64_t stamp,
    const char *text)
{
	uint32_t n = (uint32_t)strlen(text);

	enhanced_of(interface_number, stamp, n, n, text, 0, 0);
}

static void simple(uint32_t length, const char *text)
{
	size_t at = block(3);

	u32(length);
	raw(text, strlen(text));
	end_block(at, 0, 0);
}

static int descriptor(const uint8_t *p, size_t n)
{
	int fd = memfd_create("source", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* What a source says, a line for each thing. */
static char said[1 << 16];

static void say(struct source *s)
{
	struct source_item item;
	size_t n = 0;

	said[0] = '\0';
	if (s == NULL) {
		snprintf(said, sizeof(said), "none");
		return;
	}
	do {
		const struct source_packet *p = &item.packet;

		assert_int_equal(source_next(s, &item), 0);
		if (n > sizeof(said) - 200)
			continue;
		switch (item.kind) {
		case SOURCE_PACKET:
			assert_true(p->bytes.n <= p->length);
			n += (size_t)snprintf(said + n, 200,
			    "%llu@%lld.%09lld%s if%u link%u %.*s/%u ",
			    (unsigned long long)p->frame,
			    (long long)(p->utc_ns / 1000000000),
			    (long long)(p->utc_ns % 1000000000),
			    p->stamped ? "" : "?", p->interface, p->link,
			    p->bytes.n < 40 ? (int)p->bytes.n : 3,
			    (const char *)p->bytes.p, p->length);
			break;
		case SOURCE_SECRETS:
			n += (size_t)snprintf(said + n, 100, "secrets %.*s ",
			    (int)item.secrets.n,
			    (const char *)item.secrets.p);
			break;
		case SOURCE_DAMAGE:
			n += (size_t)snprintf(said + n, 100, "[%s @%llu] ",
			    item.reason, (unsigned long long)item.offset);
			break;
		case SOURCE_WAIT:
			n += (size_t)snprintf(said + n, 10, "wait ");
			return;
		case SOURCE_END:
			n += (size_t)snprintf(said + n, 10, "end");
			break;
		}
	} while (item.kind != SOURCE_END);
}

static void reads(const char *name, const char *want)
{
	struct source_conf conf = { .digest = true, .copy = -1 };
	struct source *s = source_of(descriptor(file.b, file.n), name, &conf);
	char sha[65], expected[65];
	uint8_t sum[32];
	uint64_t bytes;

	say(s);
	if (strcmp(said, want) != 0)
		fail_msg("%s (%s): %s", name, file.big ? "big" : "little",
		    said);
	if (s == NULL)
		return;
	assert_int_equal(source_digest(s, sha, &bytes), 0);
	assert_int_equal(bytes, file.n);
	SHA256(file.b, file.n, sum);
	assert_string_equal(sha, hex_of(sum, 32, expected));
	source_close(s);
}

static void pcaps(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		begin(big);
		pcap(false, 1);
		record(1, 999999, 3, 3, "abc");
		record(2, 0, 2, 60, "de");
		reads("micro", "1@1.999999000 if0 link1 abc/3 "
		    "2@2.000000000 if0 link1 de/60 end");
		begin(big);
		pcap(true, 276 | 0xf0000000);
		record(4000000000u, 999999999, 1, 1, "x");
		reads("nano, FCS length", "1@4000000000.999999999 if0 "
		    "link276 x/1 end");
		begin(big);
		pcap(false, 1);
		reads("empty", "end");
		record(1, 1, 5, 3, "abcde");
		reads("length below what was kept",
		    "1@1.000001000 if0 link1 abcde/5 end");
	}
}

static void damaged_pcaps(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		begin(big);
		pcap(false, 1);
		record(1, 1, 3, 3, "abc");
		record(1, 2, 0xffffffff, 0xffffffff, "4 GB");
		reads("4 GB claimed", "1@1.000001000 if0 link1 abc/3 "
		    "[a packet longer than any is @43] end");
		record(1, 3, 2, 2, "de");
		record(1, 4, 2, 2, "fg");
		record(1, 5, 2, 2, "hi");
		reads("and read on", "1@1.000001000 if0 link1 abc/3 "
		    "[a packet longer than any is @43] "
		    "2@1.000003000 if0 link1 de/2 3@1.000004000 if0 link1 "
		    "fg/2 4@1.000005000 if0 link1 hi/2 end");
		begin(big);
		pcap(false, 1);
		record(1, 1, 3, 3, "abc");
		record(1, 2, 200000, 200000, "wrong");
		record(1, 3, 2, 2, "de");
		record(1, 4, 2, 2, "fg");
		reads("past the end", "1@1.000001000 if0 link1 abc/3 "
		    "[the file ends within a packet @43] "
		    "2@1.000003000 if0 link1 de/2 3@1.000004000 if0 link1 "
		    "fg/2 end");
		begin(big);
		pcap(false, 1);
		record(1, 1, 3, 3, "abc");
		record(1, 2, 9, 9, "cut");
		reads("cut short", "1@1.000001000 if0 link1 abc/3 "
		    "[the file ends within a packet @43] end");
		begin(big);
		pcap(false, 1);
		record(1, 1, 3, 3, "abc");
		u32(1);
		reads("cut in a header", "1@1.000001000 if0 link1 abc/3 "
		    "[the file ends within a packet @43] end");
		begin(big);
		pcap(false, 1);
		record(1, 1, 3, 3, "abc");
		record(0, 0, 0, 0, "");
		record(0, 0, 0, 0, "");
		reads("zeros", "1@1.000001000 if0 link1 abc/3 "
		    "[no packet's header @43] end");
		begin(big);
		pcap(true, 1);
		record(1, 1000000000, 3, 3, "abc");
		reads("a fraction of a whole second",
		    "[no packet's header @24] end");
		begin(big);
		raw("not a savefile at all, by any means", 35);
		reads("neither", "none");
		begin(big);
		u32(0xa1b2c3d4);
		u16(3);
		reads("version", "none");
		begin(big);
		reads("nothing", "none");
	}
}

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

static unsigned packets_said(void)
{
	unsigned n = 0;

	for (const char *p = said; (p = strchr(p, '@')) != NULL; p++)
		n += p > said && p[-1] != ' ';
	return n;
}

/* Three packets; where each ends is kept. */
static void three(bool ng, bool big, size_t ends[3])
{
	begin(big);
	if (ng) {
		section();
		interface(1, 0, "", 0);
	} else {
		pcap(false, 1);
	}
	for (unsigned i = 0; i < 3; i++) {
		if (ng)
			enhanced(0, 1000000 + i, "abcdef");
		else
			record(1, i, 6, 6, "abcdef");
		ends[i] = file.n;
	}
}

static void say_of(size_t n)
{
	struct source *s = source_of(descriptor(file.b, n), "property", NULL);

	say(s);
	source_close(s);
}

/* Cut anywhere: what is whole before the cut is read, the cut is told. */
static void cut_anywhere(void **state)
{
	size_t ends[3];

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		three(kind & 1, kind & 2, ends);
		for (size_t n = ends[0]; n < file.n; n++) {
			say_of(n);
			assert_int_equal(packets_said(), n < ends[1] ? 1 : 2);
			assert_int_equal(strstr(said, "file ends") != NULL,
			    n != ends[0] && n != ends[1]);
		}
		for (size_t n = 0; n < ends[0]; n++)
			say_of(n);
	}
}

/* Each byte lies: what lies elsewhere is still read. */
static void each_byte_lies(void **state)
{
	size_t ends[3];

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		three(kind & 1, kind & 2, ends);
		for (size_t at = 0; at < file.n; at++) {
			uint8_t was = file.b[at];
			const uint8_t lies[] = { 0, 4, 0x7f, 0x80, 0xff,
			    (uint8_t)(was + 1), (uint8_t)(was - 1) };

			for (size_t v = 0; v < COUNT(lies); v++) {
				file.b[at] = lies[v];
				say_of(file.n);
				if (at >= ends[0] && at < ends[1])
					assert_true(packets_said() >= 2 ||
					    !(kind & 1));
			}
			file.b[at] = was;
		}
	}
}

/* What was read is what was hashed and copied, whatever the pieces it came in. */
static void pipes_and_copies(void **state)
{
	struct source_conf conf = { .digest = true };
	struct source_item item;
	char sha[65], want[65];
	uint8_t sum[32], back[4096];
	uint64_t bytes;
	size_t ends[3];
	int fd[2];

	(void)state;
	three(true, false, ends);
	SHA256(file.b, file.n, sum);
	hex_of(sum, 32, want);
	assert_int_equal(pipe(fd), 0);
	conf.copy = memfd_create("copy", MFD_CLOEXEC);
	assert_int_equal(write(fd[1], file.b, 40), 40);
	assert_int_equal(write(fd[1], file.b + 40, file.n - 40),
	    (ssize_t)file.n - 40);
	close(fd[1]);
	struct source *s = source_of(fd[0], "pipe", &conf);
	say(s);
	assert_int_equal(packets_said(), 3);
	assert_int_equal(source_digest(s, sha, &bytes), 0);
	assert_string_equal(sha, want);
	assert_int_equal(bytes, file.n);
	assert_int_equal(source_again(s, 0, back, 4), 0);
	source_close(s);
	assert_int_equal(pread(conf.copy, back, sizeof(back), 0), file.n);
	assert_memory_equal(back, file.b, file.n);
	close(conf.copy);

	/* A copy that cannot be made is told. */
	conf.copy = open("/dev/full", O_WRONLY);
	s = source_of(descriptor(file.b, file.n), "full", &conf);
	while (source_next(s, &item) == 0 && item.kind != SOURCE_END)
		;
	assert_int_equal(source_digest(s, sha, &bytes), -1);
	source_close(s);
	close(conf.copy);

	/* So is one that cannot be read. */
	assert_null(source_open("/", NULL));
	assert_null(source_open("/nonexistent", NULL));
}

/* A file that grows is read as far as it goes, packet by packet. */
static void growing(void **state)
{
	struct source_conf conf = { .growing = true, .copy = -1 };
	struct source_item item;
	size_t ends[3], n;

	(void)state;
	for (int ng = 0; ng < 2; ng++) {
		unsigned packets = 0;

		three(ng, false, ends);
		n = ends[0] - 5;
		int fd = descriptor(file.b, n), end = dup(fd);
		struct source *s = source_of(fd, "growing", &conf);

		for (; n < file.n; n++) {
			do {
				assert_int_equal(source_next(s, &item), 0);
				packets += item.kind == SOURCE_PACKET;
			} while (item.kind == SOURCE_PACKET);
			assert_int_equal(item.kind, SOURCE_WAIT);
			assert_int_equal(packets, (n >= ends[0]) +
			    (n >= ends[1]));
			assert_int_equal(pwrite(end, file.b + n, 1,
			    (off_t)n), 1);
		}
		source_whole(s);
		assert_int_equal(source_next(s, &item), 0);
		assert_int_equal(item.kind, SOURCE_PACKET);
		assert_int_equal(item.packet.frame, 3);
		assert_int_equal(source_next(s, &item), 0);
		assert_int_equal(item.kind, SOURCE_END);
		close(end);
		source_close(s);
	}
}

/* Megabytes of noise between two sound parts, longer than any buffer. */
static void much_noise(void **state)
{
	enum { NOISE = 5000000 };
	uint8_t *all = malloc(NOISE + 4096);
	size_t ends[3];

	(void)state;
	assert_non_null(all);
	for (unsigned kind = 0; kind < 4; kind++) {
		size_t n;

		three(kind & 1, kind & 2, ends);
		memcpy(all, file.b, file.n);
		n = file.n;
		for (size_t i = 0; i < NOISE; i++)
			all[n++] = (uint8_t)(0x80 | i * 7 | i >> 9);
		size_t from = kind & 1 ? ends[0] - 40 : 24;
		memcpy(all + n, file.b + from, file.n - from);
		n += file.n - from;
		struct source *s = source_of(descriptor(all, n), "noise",
		    NULL);
		say(s);
		assert_int_equal(packets_said(), 6);
		assert_int_equal(source_damages(s), 1);
		source_close(s);
	}
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcaps),
		cmocka_unit_test(damaged_pcaps),
		cmocka_unit_test(pcapngs),
		cmocka_unit_test(damaged_pcapngs),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(each_byte_lies),
		cmocka_unit_test(pipes_and_copies),
		cmocka_unit_test(growing),
		cmocka_unit_test(much_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
