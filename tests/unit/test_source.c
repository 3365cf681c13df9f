#include "tests/savefile_kit.h"

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
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(each_byte_lies),
		cmocka_unit_test(pipes_and_copies),
		cmocka_unit_test(much_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
