#include "wire/metainfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/sha.h>

#define H20 "01234567890123456789"
#define R32 "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
#define LEAF(len) "d0:d6:lengthi" len "e11:pieces root32:" R32 "ee"

static struct span exact(const void *s, size_t n)
{
	uint8_t *p = malloc(n ? n : 1);

	assert_non_null(p);
	memcpy(p, s, n);
	return span_of(p, n);
}

static void drop(struct span s)
{
	free((void *)(uintptr_t)s.p);
}

/* Reads and indexes; the index is the caller's to free, NULL if refused. */
static struct mi_file *open_torrent(struct span file, struct metainfo *mi,
    struct wire_error *err)
{
	struct mi_file *index;

	*err = (struct wire_error){ 0 };
	if (mi_read(file, mi, err) != WIRE_OK)
		return NULL;
	assert_true(mi->files > 0 && mi->pieces > 0);
	index = calloc(mi->files, sizeof(*index));
	assert_non_null(index);
	if (mi_index(mi, index, mi->files, err) == WIRE_OK)
		return index;
	free(index);
	return NULL;
}

/*
 * Each torrent, and what is expected: for accepted ones "pieces files
 * total/span notes: path path ...", for refused ones a part of the reason.
 */
static const struct {
	const char *name, *in;
	size_t n;
	const char *want;
} cases[] = {
#define B(s) s, sizeof(s) - 1
	{ "single", B("d4:infod6:lengthi20000e4:name1:a12:piece lengthi16384e"
	    "6:pieces40:" H20 H20 "ee"), "2 1 20000/20000 0: a" },
	{ "exactly one piece", B("d4:infod6:lengthi16384e4:name1:a"
	    "12:piece lengthi16384e6:pieces20:" H20 "ee"),
	    "1 1 16384/16384 0: a" },
	{ "odd piece length", B("d4:infod6:lengthi7e4:name1:a"
	    "12:piece lengthi5e6:pieces40:" H20 H20 "ee"),
	    "2 1 7/7 0: a" },
	{ "trailing", B("d4:infod6:lengthi1e4:name1:a12:piece lengthi5e"
	    "6:pieces20:" H20 "eex"), "1 1 1/1 8: a" },
	{ "unsorted", B("d4:infod4:name1:a6:lengthi1e12:piece lengthi5e"
	    "6:pieces20:" H20 "ee"), "1 1 1/1 1: a" },
	{ "repeated: the first counts", B("d4:infod6:lengthi1e6:lengthi9e"
	    "4:name1:a12:piece lengthi5e6:pieces20:" H20 "ee"),
	    "1 1 1/1 2: a" },
	{ "leading zero", B("d4:infod6:lengthi01e4:name1:a12:piece lengthi5e"
	    "6:pieces20:" H20 "ee"), "1 1 1/1 4: a" },
	{ "UTF-8 name wins", B("d4:infod6:lengthi1e4:name1:a10:name.utf-81:b"
	    "12:piece lengthi5e6:pieces20:" H20 "ee"), "1 1 1/1 0: b" },
	{ "files", B("d4:infod5:filesld6:lengthi3e4:pathl1:x1:yeed6:lengthi4e"
	    "4:pathl1:zeee4:name1:d12:piece lengthi5e6:pieces40:" H20 H20 "ee"),
	    "2 2 7/7 0: d/x/y d/z" },
	{ "padding", B("d4:infod5:filesld6:lengthi3e4:pathl1:xeed4:attr1:p"
	    "6:lengthi2eed6:lengthi4e4:pathl1:zeee4:name1:d12:piece lengthi5e"
	    "6:pieces40:" H20 H20 "ee"), "2 3 7/9 0: d/x  d/z" },
	{ "padding by name", B("d4:infod5:filesld6:lengthi3e4:pathl1:xee"
	    "d6:lengthi2e4:pathl18:_____padding_file_eee4:name1:d"
	    "12:piece lengthi5e6:pieces20:" H20 "ee"),
	    "1 2 3/5 4096: d/x d/_____padding_file_" },
	{ "symlink with length", B("d4:infod5:filesld6:lengthi3e4:pathl1:xee"
	    "d4:attr1:l6:lengthi9e4:pathl1:yeee4:name1:d12:piece lengthi5e"
	    "6:pieces20:" H20 "ee"), "1 2 3/3 2048: d/x d/y" },
	{ "symlink without", B("d4:infod5:filesld6:lengthi3e4:pathl1:xee"
	    "d4:attr1:l4:pathl1:yeee4:name1:d12:piece lengthi5e"
	    "6:pieces20:" H20 "ee"), "1 2 3/3 0: d/x d/y" },
	{ "duplicate", B("d4:infod5:filesld6:lengthi1e4:pathl1:xeed6:lengthi1e"
	    "4:pathl1:xeee4:name1:d12:piece lengthi5e6:pieces20:" H20 "ee"),
	    "1 2 2/2 128: d/x d/x" },
	{ "dots", B("d4:infod5:filesld6:lengthi1e4:pathl2:..1:xeee4:name1:d"
	    "12:piece lengthi5e6:pieces20:" H20 "ee"),
	    "1 1 1/1 16: d/../x" },
	{ "bad text", B("d4:infod6:lengthi1e4:name2:\xc0\x80"
	    "12:piece lengthi5e6:pieces20:" H20 "ee"),
	    "1 1 1/1 32: \xc0\x80" },
	{ "surrogate", B("d4:infod6:lengthi1e4:name3:\xed\xa0\x80"
	    "12:piece lengthi5e6:pieces20:" H20 "ee"),
	    "1 1 1/1 32: \xed\xa0\x80" },
	{ "cut sequence", B("d4:infod6:lengthi1e4:name2:\xe2\x82"
	    "12:piece lengthi5e6:pieces20:" H20 "ee"),
	    "1 1 1/1 32: \xe2\x82" },
	{ "good text", B("d4:infod6:lengthi1e4:name9:\xc3\xa9\xe2\x82\xac"
	    "\xf0\x9f\x98\x80""12:piece lengthi5e6:pieces20:" H20 "ee"),
	    "1 1 1/1 0: \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
	{ "both lengths", B("d4:infod5:filesld6:lengthi1e4:pathl1:xeee"
	    "6:lengthi9e4:name1:d12:piece lengthi5e6:pieces20:" H20 "ee"),
	    "1 1 1/1 8192: d/x" },
	{ "v2", B("d4:infod9:file treed1:a" LEAF("5") "e12:meta versioni2e"
	    "4:name1:a12:piece lengthi16384eee"), "1 1 5/5 0: a" },
	{ "v2 of another name", B("d4:infod9:file treed1:b" LEAF("5")
	    "e12:meta versioni2e4:name1:a12:piece lengthi16384eee"),
	    "1 1 5/5 0: a/b" },
	{ "v2 nested in its name", B("d4:infod9:file treed1:ad1:a" LEAF("5")
	    "ee12:meta versioni2e4:name1:a12:piece lengthi16384eee"),
	    "1 1 5/5 0: a/a/a" },
	{ "v2 tree", B("d4:infod9:file treed1:ad1:bd1:c" LEAF("5") "1:d"
	    LEAF("16384") "e1:e" LEAF("1") "e1:f" LEAF("1") "1:gd1:h"
	    "d0:d6:lengthi0eee1:i" LEAF("2") "ee12:meta versioni2e4:name1:n"
	    "12:piece lengthi16384eee"), "5 6 16393/65538 0: n/a/b/c n/a/b/d "
	    "n/a/e n/f n/g/h n/g/i" },
	{ "v2 without layers", B("d4:infod9:file treed1:a" LEAF("16385")
	    "e12:meta versioni2e4:name1:a12:piece lengthi16384eee"),
	    "2 1 16385/16385 64: a" },
	{ "v2 with a false layer", B("d4:infod9:file treed1:a" LEAF("16385")
	    "e12:meta versioni2e4:name1:a12:piece lengthi16384ee"
	    "12:piece layersd32:" R32 "64:" R32 R32 "ee"),
	    "2 1 16385/16385 1088: a" },
	{ "v2 with a stray layer", B("d4:infod9:file treed1:a" LEAF("5")
	    "e12:meta versioni2e4:name1:a12:piece lengthi16384ee"
	    "12:piece layersd32:" H20 "012345678901" "0:ee"),
	    "1 1 5/5 16384: a" },
	{ "v2 symlink", B("d4:infod9:file treed1:ad0:d4:attr1:lee1:b"
	    LEAF("5") "e12:meta versioni2e4:name1:n12:piece lengthi16384eee"),
	    "1 2 5/5 0: n/a n/b" },
	{ "hybrid, single", B("d4:infod9:file treed1:a" LEAF("5") "e"
	    "6:lengthi5e12:meta versioni2e4:name1:a12:piece lengthi16384e"
	    "6:pieces20:" H20 "ee"), "1 1 5/5 512: a" },
	{ "hybrid", B("d4:infod9:file treed1:a" LEAF("5") "1:b" LEAF("6")
	    "e5:filesld6:lengthi5e4:pathl1:aeed4:attr1:p6:lengthi16379eed6:"
	    "lengthi6e4:pathl1:beee12:meta versioni2e4:name1:n"
	    "12:piece lengthi16384e6:pieces40:" H20 H20 "ee"),
	    "2 3 11/16390 512: n/a  n/b" },
	{ "hybrid with a tail pad", B("d4:infod9:file treed1:a" LEAF("5")
	    "e5:filesld6:lengthi5e4:pathl1:aeed4:attr1:p6:lengthi16379eee"
	    "12:meta versioni2e4:name1:n12:piece lengthi16384e"
	    "6:pieces20:" H20 "ee"), "1 2 5/16384 0: n/a " },
	/* --- refused --- */
	{ "hybrid, tail pad too short", B("d4:infod9:file treed1:a" LEAF("5")
	    "e5:filesld6:lengthi5e4:pathl1:aeed4:attr1:p6:lengthi7eee"
	    "12:meta versioni2e4:name1:n12:piece lengthi16384e"
	    "6:pieces20:" H20 "ee"), "padding at the end" },
	{ "hybrid, tail pad too long", B("d4:infod9:file treed1:a" LEAF("5")
	    "e5:filesld6:lengthi5e4:pathl1:aeed4:attr1:p6:lengthi32763eee"
	    "12:meta versioni2e4:name1:n12:piece lengthi16384e"
	    "6:pieces40:" H20 H20 "ee"), "padding at the end" },
	{ "hybrid, unaligned", B("d4:infod9:file treed1:a" LEAF("5") "1:b"
	    LEAF("6") "e5:filesld6:lengthi5e4:pathl1:aeed6:lengthi6e4:path"
	    "l1:beee12:meta versioni2e4:name1:n12:piece lengthi16384e"
	    "6:pieces20:" H20 "ee"), "do not match" },
	{ "hybrid, other size", B("d4:infod9:file treed1:a" LEAF("6") "e"
	    "6:lengthi5e12:meta versioni2e4:name1:a12:piece lengthi16384e"
	    "6:pieces20:" H20 "ee"), "do not match" },
	{ "hybrid, other name", B("d4:infod9:file treed1:b" LEAF("5") "e"
	    "6:lengthi5e12:meta versioni2e4:name1:a12:piece lengthi16384e"
	    "6:pieces20:" H20 "ee"), "do not match" },
	{ "hybrid, v1 has more", B("d4:infod9:file treed1:a" LEAF("5")
	    "e5:filesld6:lengthi5e4:pathl1:aeed6:lengthi0e4:path"
	    "l1:beee12:meta versioni2e4:name1:n12:piece lengthi16384e"
	    "6:pieces20:" H20 "ee"), "do not match" },
	{ "hybrid, v2 has more", B("d4:infod9:file treed1:a" LEAF("5") "1:b"
	    LEAF("5") "e5:filesld6:lengthi5e4:pathl1:aeee12:meta versioni2e"
	    "4:name1:n12:piece lengthi16384e6:pieces20:" H20 "ee"),
	    "do not match" },
	{ "hybrid, deeper path", B("d4:infod9:file treed1:a" LEAF("5")
	    "e5:filesld6:lengthi5e4:pathl1:a1:beee12:meta versioni2e"
	    "4:name1:n12:piece lengthi16384e6:pieces20:" H20 "ee"),
	    "do not match" },
	{ "hybrid without a v1 list", B("d4:infod9:file treed1:a" LEAF("5")
	    "e12:meta versioni2e4:name1:n12:piece lengthi16384e"
	    "6:pieces20:" H20 "ee"), "neither files" },
	{ "v2 unsorted", B("d4:infod9:file treed1:b" LEAF("5") "1:a" LEAF("5")
	    "e12:meta versioni2e4:name1:n12:piece lengthi16384eee"),
	    "unsorted" },
	{ "v2 repeated", B("d4:infod9:file treed1:b" LEAF("5") "1:b" LEAF("5")
	    "e12:meta versioni2e4:name1:n12:piece lengthi16384eee"),
	    "repeated" },
	{ "v2 leading zero", B("d4:infod9:file treed1:b" LEAF("05")
	    "e12:meta versioni2e4:name1:n12:piece lengthi16384eee"),
	    "leading zero" },
	{ "v2 empty folder", B("d4:infod9:file treed1:ade1:b" LEAF("5")
	    "e12:meta versioni2e4:name1:n12:piece lengthi16384eee"),
	    "empty folder" },
	{ "v2 empty tree", B("d4:infod9:file treede12:meta versioni2e"
	    "4:name1:n12:piece lengthi16384eee"), "no files" },
	{ "v2 file in a file", B("d4:infod9:file treed1:ad0:d6:lengthi5e"
	    "11:pieces root32:" R32 "e1:b" LEAF("5") "ee12:meta versioni2e"
	    "4:name1:n12:piece lengthi16384eee"), "a folder too" },
	{ "v2 nameless", B("d4:infod9:file tree" LEAF("5")
	    "12:meta versioni2e4:name1:n12:piece lengthi16384eee"),
	    "without a name" },
	{ "v2 number for a file", B("d4:infod9:file treed1:ai5ee"
	    "12:meta versioni2e4:name1:n12:piece lengthi16384eee"),
	    "not a dictionary" },
	{ "v2 number for a leaf", B("d4:infod9:file treed1:ad0:i5eee"
	    "12:meta versioni2e4:name1:n12:piece lengthi16384eee"),
	    "not a dictionary" },
	{ "v2 without root", B("d4:infod9:file treed1:ad0:d6:lengthi5eee"
	    "e12:meta versioni2e4:name1:n12:piece lengthi16384eee"),
	    "no pieces root" },
	{ "v2 short root", B("d4:infod9:file treed1:ad0:d6:lengthi5e"
	    "11:pieces root20:" H20 "eee12:meta versioni2e4:name1:n"
	    "12:piece lengthi16384eee"), "no pieces root" },
	{ "v2 padding", B("d4:infod9:file treed1:ad0:d4:attr1:p6:lengthi5e"
	    "11:pieces root32:" R32 "eee12:meta versioni2e4:name1:n"
	    "12:piece lengthi16384eee"), "marked as padding" },
	{ "v2 piece length", B("d4:infod9:file treed1:a" LEAF("5")
	    "e12:meta versioni2e4:name1:n12:piece lengthi16385eee"),
	    "power of two" },
	{ "v2 small piece length", B("d4:infod9:file treed1:a" LEAF("5")
	    "e12:meta versioni2e4:name1:n12:piece lengthi8192eee"),
	    "power of two" },
	{ "v2 layer too short", B("d4:infod9:file treed1:a" LEAF("16385")
	    "e12:meta versioni2e4:name1:a12:piece lengthi16384ee"
	    "12:piece layersd32:" R32 "32:" R32 "ee"), "size" },
	{ "v2 layer of half hashes", B("d4:infod9:file treed1:a"
	    LEAF("16385") "e12:meta versioni2e4:name1:a12:piece lengthi16384e"
	    "e12:piece layersd32:" R32 "20:" H20 "ee"), "whole hashes" },
	{ "v2 layer number", B("d4:infod9:file treed1:a" LEAF("16385")
	    "e12:meta versioni2e4:name1:a12:piece lengthi16384ee"
	    "12:piece layersd32:" R32 "i5eee"), "whole hashes" },
	{ "v2 layer key", B("d4:infod9:file treed1:a" LEAF("16385")
	    "e12:meta versioni2e4:name1:a12:piece lengthi16384ee"
	    "12:piece layersd20:" H20 "0:ee"), "32 bytes" },
	{ "v2 layers a list", B("d4:infod9:file treed1:a" LEAF("16385")
	    "e12:meta versioni2e4:name1:a12:piece lengthi16384ee"
	    "12:piece layerslee"), "not a dictionary" },
	{ "count too small", B("d4:infod6:lengthi20000e4:name1:a"
	    "12:piece lengthi16384e6:pieces20:" H20 "ee"),
	    "number of piece hashes" },
	{ "count too large", B("d4:infod6:lengthi1e4:name1:a"
	    "12:piece lengthi16384e6:pieces40:" H20 H20 "ee"),
	    "number of piece hashes" },
	{ "too many pieces", B("d4:infod6:lengthi16777217e4:name1:a"
	    "12:piece lengthi1e6:pieces20:" H20 "ee"), "16777216 pieces" },
	{ "overflow", B("d4:infod5:filesld6:lengthi9223372036854775807e"
	    "4:pathl1:xeee4:name1:d12:piece lengthi16384e6:pieces20:" H20 "ee"),
	    "16777216 pieces" },
	{ "negative", B("d4:infod6:lengthi-1e4:name1:a12:piece lengthi1e"
	    "6:pieces20:" H20 "ee"), "negative" },
	{ "nothing", B("d4:infod6:lengthi0e4:name1:a12:piece lengthi1e"
	    "6:pieces0:ee"), "no content" },
	{ "no file", B("d4:infod5:filesle4:name1:d12:piece lengthi16384e"
	    "6:pieces0:ee"), "no files" },
	{ "not a dict", B("4:spam"), "not a dictionary" },
	{ "empty", B(""), "ends too early" },
};

static void describe(const struct metainfo *mi, const struct mi_file *index,
    char *out, size_t n)
{
	size_t at = (size_t)snprintf(out, n, "%u %u %llu/%llu %u:",
	    mi->pieces, mi->files, (unsigned long long)mi->total_bytes,
	    (unsigned long long)mi->span_bytes, mi->notes);

	for (uint32_t i = 0; i < mi->files; i++) {
		size_t len = mi_path(mi, &index[i], NULL, 0);
		char *buf = malloc(len ? len : 1);

		/* every shorter room too: no byte beyond it */
		for (size_t room = 0; room <= len; room++)
			assert_int_equal(mi_path(mi, &index[i], buf, room),
			    len);
		at += (size_t)snprintf(out + at, n - at, " %.*s", (int)len,
		    buf);
		free(buf);
	}
}

static void check_case(size_t i, struct span s)
{
	struct metainfo mi;
	struct wire_error err;
	struct mi_file *index = open_torrent(s, &mi, &err);
	char got[512] = "";

	if (index)
		describe(&mi, index, got, sizeof(got));
	if (index ? strcmp(got, cases[i].want) != 0 :
	    strstr(err.reason, cases[i].want) == NULL)
		fail_msg("%s: got \"%s\" (%s at %zu), want \"%s\"",
		    cases[i].name, got, err.reason, err.offset,
		    cases[i].want);
	assert_true(index || err.offset <= s.n);
	free(index);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct span s = exact(cases[i].in, cases[i].n);

		check_case(i, s);
		drop(s);
	}
}

/* Cut anywhere but behind its own end, nothing is a torrent. */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t cut = 0; cut + 1 < cases[i].n; cut++) {
			struct span s = exact(cases[i].in, cut);
			struct metainfo mi;
			struct wire_error err = { 0 };

			if (mi_read(s, &mi, &err) != WIRE_BAD ||
			    err.reason == NULL || err.offset > cut)
				fail_msg("%s cut at %zu", cases[i].name, cut);
			drop(s);
		}
}

/* Every byte changed to the letters that matter: no crash, and what is
 * accepted can be indexed or is refused then. */
static void test_mangled(void **state)
{
	static const char letters[] = "delidx0129:-\xff";

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t at = 0; at < cases[i].n; at++)
			for (const char *l = letters; *l; l++) {
				struct span s = exact(cases[i].in, cases[i].n);
				struct metainfo mi;
				struct wire_error err;
				struct mi_file *x;
				char out[512];

				((uint8_t *)(uintptr_t)s.p)[at] = (uint8_t)*l;
				x = open_torrent(s, &mi, &err);
				if (x)
					describe(&mi, x, out, sizeof(out));
				free(x);
				drop(s);
			}
}

static void test_hashes(void **state)
{
	static const char info[] = "d9:file treed1:a" LEAF("5") "e6:lengthi5e"
	    "12:meta versioni2e4:name1:a12:piece lengthi16384e6:pieces20:" H20
	    "e";
	char file[512];
	uint8_t want[32];
	struct metainfo mi;
	struct wire_error err;

	(void)state;
	snprintf(file, sizeof(file), "d1:a1:b4:info%s1:zi1ee", info);
	assert_int_equal(mi_read(span_str(file), &mi, &err), WIRE_OK);
	assert_true(mi.v1 && mi.v2);
	assert_true(span_is(mi.info, info));
	assert_memory_equal(mi.hash_v1, SHA1((const uint8_t *)info,
	    sizeof(info) - 1, want), 20);
	assert_memory_equal(mi.hash_v2, SHA256((const uint8_t *)info,
	    sizeof(info) - 1, want), 32);
}

/* The definition, in as few words as can be: pad to a power of two, halve. */
static void naive_root(const uint8_t *hashes, size_t n, const uint8_t pad[32],
    uint8_t root[32])
{
	uint8_t row[64][32];
	size_t w = 1;

	while (w < n)
		w *= 2;
	for (size_t i = 0; i < w; i++)
		memcpy(row[i], i < n ? hashes + 32 * i : pad, 32);
	for (; w > 1; w /= 2)
		for (size_t i = 0; i < w / 2; i++)
			SHA256(row[2 * i], 64, row[i]);
	memcpy(root, row[0], 32);
}

static void test_merkle(void **state)
{
	uint8_t hashes[33 * 32], pad[32], want[32], got[32];

	(void)state;
	memset(pad, 7, 32);
	for (size_t i = 0; i < sizeof(hashes); i++)
		hashes[i] = (uint8_t)(i * 31 + i / 32);
	for (size_t n = 0; n <= 33; n++) {
		naive_root(hashes, n, pad, want);
		mi_merkle_root(hashes, n, pad, got);
		assert_memory_equal(got, want, 32);
	}
}

/* A v2 torrent whose layer is right: three pieces of 32 KiB. */
static void test_layer(void **state)
{
	uint8_t layer[96], zero[64] = { 0 }, pad[32], root[32], file[512];
	uint8_t twice[sizeof(file) + 134];
	struct metainfo mi;
	struct wire_error err;
	struct mi_file *x;
	size_t n;

	(void)state;
	memset(layer, 'h', sizeof(layer));
	SHA256(zero, 64, pad);
	naive_root(layer, 3, pad, root);
	n = (size_t)snprintf((char *)file, sizeof(file), "d4:infod9:file tree"
	    "d1:ad0:d6:lengthi65537e11:pieces root32:%32seee12:meta version"
	    "i2e4:name1:a12:piece lengthi32768ee12:piece layersd32:%32s96:"
	    "%96see", "", "", "");
	for (size_t i = 0; i + 32 < n; i++)
		if (memcmp(file + i, "32:  ", 5) == 0)
			memcpy(file + i + 3, root, 32);
		else if (memcmp(file + i, "96:  ", 5) == 0)
			memcpy(file + i + 3, layer, 96);
	x = open_torrent(span_of(file, n), &mi, &err);
	assert_non_null(x);
	assert_int_equal(mi.notes, 0);
	assert_int_equal(x[0].layer.n, 96);
	assert_memory_equal(x[0].layer.p, layer, 96);
	assert_int_equal(mi_piece_bytes(&mi, x, 1), 32768);
	assert_int_equal(mi_piece_bytes(&mi, x, 2), 1);
	assert_int_equal(mi_piece_bytes(&mi, x, 3), 0);
	free(x);
	file[n - 4] ^= 1;	/* in the layer */
	x = open_torrent(span_of(file, n), &mi, &err);
	assert_non_null(x);
	assert_int_equal(mi.notes, MI_BAD_LAYER | MI_NO_LAYERS);
	assert_int_equal(x[0].layer.n, 0);
	free(x);
	/* Given again, right this time: the first counts, so that no layer is
	 * held against all files of its root more than once. */
	memcpy(twice, file, n - 2);
	memcpy(twice + n - 2, file + n - 2 - 134, 134);
	twice[n - 2 + 134 - 2] ^= 1;
	memcpy(twice + n - 2 + 134, "ee", 2);
	x = open_torrent(span_of(twice, n + 134), &mi, &err);
	assert_non_null(x);
	assert_int_equal(mi.notes, MI_BAD_LAYER | MI_NO_LAYERS | MI_REPEATED);
	assert_int_equal(x[0].layer.n, 0);
	free(x);
}

/* The pieces of a v2 torrent end with its files; empty files have none. */
static void test_piece_bytes(void **state)
{
	static const char file[] = "d4:infod9:file treed1:ad0:d6:lengthi0eee"
	    "1:b" LEAF("16385") "1:cd0:d6:lengthi0eee1:d" LEAF("3") "1:ed0:"
	    "d6:lengthi0eeee12:meta versioni2e4:name1:n"
	    "12:piece lengthi16384eee";
	static const uint32_t want[] = { 16384, 1, 3, 0 };
	struct metainfo mi;
	struct wire_error err;
	struct mi_file *x = open_torrent(span_str(file), &mi, &err);

	(void)state;
	assert_non_null(x);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(mi_piece_bytes(&mi, x, i), want[i]);
	assert_int_equal(mi_index(&mi, x, mi.files - 1, &err), WIRE_BAD);
	free(x);
}

static const struct {
	const char *head, *want;
} trackers[] = {
	{ "", "" },
	{ "8:announce3:u:1", "0 u:1;" },
	{ "8:announce3:u:113:announce-listll3:a:13:b:1el3:c:1ee",
	    "0 a:1;0 b:1;1 c:1;" },
	{ "8:announce3:u:113:announce-listle", "0 u:1;" },
	{ "8:announce3:u:113:announce-listlleli5eee", "0 u:1;" },
	{ "13:announce-listl3:a:1l3:b:1ee", "0 a:1;1 b:1;" },
	{ "8:announce7: u:1 \t\n", "0 u:1;*" },
	{ "8:announce2:  ", "" },
	{ "8:announcei5e", "" },
};

static void test_trackers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(trackers) / sizeof(*trackers); i++) {
		struct mi_trackers it = { 0 };
		struct metainfo mi;
		struct wire_error err;
		struct span url;
		unsigned tier;
		char file[512], got[128] = "";
		size_t n = 0;

		snprintf(file, sizeof(file), "d%s4:infod6:lengthi1e4:name1:a"
		    "12:piece lengthi5e6:pieces20:" H20 "ee",
		    trackers[i].head);
		assert_int_equal(mi_read(span_str(file), &mi, &err), WIRE_OK);
		while (mi_tracker(&mi, &it, &url, &tier))
			n += (size_t)snprintf(got + n, sizeof(got) - n,
			    "%u %.*s;", tier, (int)url.n, (const char *)url.p);
		assert_false(mi_tracker(&mi, &it, &url, &tier));
		if (mi.notes & MI_BLANK_URL)
			snprintf(got + n, sizeof(got) - n, "*");
		assert_string_equal(got, trackers[i].want);
	}
}

static void test_nodes(void **state)
{
	static const struct {
		const char *nodes, *want;
	} lists[] = {
		{ "", "" },
		{ "5:nodesle", "" },
		{ "5:nodesi1e", "" },
		{ "5:nodesll1:ai1eel3:::1i65535eee", "a 1;::1 65535;" },
		{ "5:nodesll1:ai0eel1:bi65536eel0:i1eel1:celi1ei1eei7e1:x"
		    "l1:d1:1el1:ei9e1:zee", "e 9;" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		struct metainfo mi;
		struct wire_error err;
		struct span host;
		struct cur c;
		uint16_t port;
		char file[512], got[128] = "";
		size_t n = 0;

		snprintf(file, sizeof(file), "d4:infod6:lengthi1e4:name1:a"
		    "12:piece lengthi5e6:pieces20:" H20 "e%se",
		    lists[i].nodes);
		assert_int_equal(mi_read(span_str(file), &mi, &err), WIRE_OK);
		c = cur_of(mi.nodes);
		while (mi_node(&c, &host, &port))
			n += (size_t)snprintf(got + n, sizeof(got) - n,
			    "%.*s %u;", (int)host.n, (const char *)host.p,
			    port);
		assert_string_equal(got, lists[i].want);
	}
}

static void test_notes(void **state)
{
	(void)state;
	for (unsigned bit = 1; bit <= MI_NOTE_LAST; bit <<= 1)
		assert_non_null(mi_note_text(bit));
	assert_null(mi_note_text(0));
	assert_null(mi_note_text(MI_NOTE_LAST << 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_mangled),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_merkle),
		cmocka_unit_test(test_layer),
		cmocka_unit_test(test_piece_bytes),
		cmocka_unit_test(test_trackers),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_notes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
