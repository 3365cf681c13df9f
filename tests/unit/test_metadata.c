#include "wire/metadata.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "tests/exact.h"

static const struct {
	const char *in;
	size_t n;
	size_t least;		/* from this length on it is whole */
	const char *want;	/* NULL: refused */
} cases[] = {
	/* BEP 9's examples */
	{ B("d8:msg_typei0e5:piecei0ee"), 25, "request 0" },
	{ B("d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxxxxxx"), 46,
	    "data 0 of 34256: 8" },
	{ B("d8:msg_typei2e5:piecei0ee"), 25, "reject 0" },
	{ B("d8:msg_typei1e5:piecei7eeDATA"), 26, "data 7 of -1: 4" },
	{ B("d8:msg_typei1e5:piecei4294967295eex"), 35, "data 4294967295 of "
	    "-1: 1" },
	{ B("d8:msg_typei0e5:piecei0eejunk"), 25, "request 0 odd" },
	{ B("d8:msg_typei3e5:piecei0ee"), 25, "unknown 3" },
	{ B("d8:msg_typei9999eeany"), 18, "unknown 9999" },
	{ B("d5:piecei1e8:msg_typei0ee"), 25, "request 1 odd" },
	{ B("d8:msg_typei0e8:msg_typei1e5:piecei1ee"), 38, "request 1 odd" },
	{ B("d8:msg_typei1e5:piecei0e10:total_sizei-5eex"), 43,
	    "data 0 of -1: 1 odd" },
	{ B("d8:msg_typei1e5:piecei0e10:total_size1:5ex"), 42,
	    "data 0 of -1: 1 odd" },
	{ B("d8:msg_typei1e5:piecei0ee"), 0, NULL },	/* no data */
	{ B("d8:msg_typei-1e5:piecei0ee"), 0, NULL },
	{ B("d8:msg_type1:05:piecei0ee"), 0, NULL },
	{ B("d8:msg_typei0ee"), 0, NULL },
	{ B("d8:msg_typei0e5:piecei-1ee"), 0, NULL },
	{ B("d8:msg_typei0e5:piecei4294967296ee"), 0, NULL },
	{ B("d5:piecei0ee"), 0, NULL },
	{ B("de"), 0, NULL },
	{ B("le"), 0, NULL },
	{ B("8:msg_type"), 0, NULL },
	{ B(""), 0, NULL },
	{ B("xyz"), 0, NULL }
};

static void say(char *buf, size_t n, const struct metadata_msg *m)
{
	switch (m->type) {
	case METADATA_REQUEST:
		snprintf(buf, n, "request %u%s", m->piece,
		    m->odd ? " odd" : "");
		break;
	case METADATA_DATA:
		snprintf(buf, n, "data %u of %lld: %zu%s", m->piece,
		    (long long)m->total_size, m->data.n, m->odd ? " odd" : "");
		break;
	case METADATA_REJECT:
		snprintf(buf, n, "reject %u%s", m->piece,
		    m->odd ? " odd" : "");
		break;
	case METADATA_UNKNOWN:
		snprintf(buf, n, "unknown %lld%s", (long long)m->wire_type,
		    m->odd ? " odd" : "");
		break;
	}
}

static void messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t cut = 0; cut <= cases[i].n; cut++) {
			struct span in = exact(cases[i].in, cut);
			struct wire_error err = { NULL, 0 };
			struct metadata_msg m;
			char got[128] = "";
			bool good = cases[i].want && cut >= cases[i].least;

			if (metadata_read(in, &m, &err) != (good ? WIRE_OK :
			    WIRE_BAD))
				fail_msg("case %zu at %zu", i, cut);
			if (!good)
				assert_true(err.reason && err.offset <= cut);
			else if (cut == cases[i].n)
				say(got, sizeof(got), &m);
			if (cut == cases[i].n && cases[i].want)
				assert_string_equal(got, cases[i].want);
			unexact(in);
		}
}

static void block_sizes(void **state)
{
	static const char head[] = "d8:msg_typei1e5:piecei0ee";
	static uint8_t buf[sizeof(head) + METADATA_BLOCK];
	struct wire_error err;
	struct metadata_msg m;

	(void)state;
	memcpy(buf, head, sizeof(head) - 1);
	assert_int_equal(metadata_read(span_of(buf, sizeof(head) - 1 +
	    METADATA_BLOCK), &m, &err), WIRE_OK);
	assert_int_equal(m.data.n, METADATA_BLOCK);
	assert_int_equal(metadata_read(span_of(buf, sizeof(head) +
	    METADATA_BLOCK), &m, &err), WIRE_BAD);
	assert_int_equal(err.offset, sizeof(head) - 1 + METADATA_BLOCK);
}

static void written(void **state)
{
	static const struct {
		enum metadata_type type;
		uint32_t piece;
		const char *want;
	} puts[] = {
		{ METADATA_REQUEST, 0, "d8:msg_typei0e5:piecei0ee" },
		{ METADATA_REQUEST, UINT32_MAX,
		    "d8:msg_typei0e5:piecei4294967295ee" },
		{ METADATA_REJECT, 12, "d8:msg_typei2e5:piecei12ee" },
		{ METADATA_DATA, 0, "" },	/* we give nothing */
		{ METADATA_UNKNOWN, 0, "" }
	};

	(void)state;
	for (size_t i = 0; i < COUNT(puts); i++) {
		size_t len = strlen(puts[i].want);

		for (size_t room = 0; room <= METADATA_SENT_MAX; room++) {
			uint8_t *out = malloc(room ? room : 1);
			size_t n = metadata_put(out, room, puts[i].type,
			    puts[i].piece);

			assert_int_equal(n, room < len ? 0 : len);
			assert_memory_equal(out, puts[i].want, n);
			free(out);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages),
		cmocka_unit_test(block_sizes),
		cmocka_unit_test(written)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
