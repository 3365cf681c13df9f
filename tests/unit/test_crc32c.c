#include "wire/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/exact.h"

/* RFC 3720 B.4, the usual check string, and the examples of BEP 40. */
static const struct {
	const char *in;
	size_t n;
	uint32_t want;
} vectors[] = {
	{ B(""), 0 },
	{ B("123456789"), 0xe3069283 },
	{ B("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
	    0x8a9136aa },
	{ B("\x62\x4c\x14\x00\x7b\xd5\x00\x00"), 0xec2d7224 },
	{ B("\x7b\xd5\x20\x0a\x7b\xd5\x20\xea"), 0x99568189 }
};

static void known_sums(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(vectors); i++) {
		struct span in = exact(vectors[i].in, vectors[i].n);

		assert_int_equal(crc32c(in), vectors[i].want);
		unexact(in);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_sums)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
