#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "report/passkey.h"
#include "tests/exact.h"

#define KEY "0123456789abcdef0123456789abcdef"

static const struct {
	const char *text, *want;
} cases[] = {
	{ "http://t.example:6969/announce", "http://t.example:6969/announce" },
	{ "udp://[2001:db8::7]:6969", "udp://[2001:db8::7]:6969" },
	{ "http://t.example/" KEY "/announce",
	    "http://t.example/[masked]/announce" },
	{ "https://t.example/announce.php?passkey=" KEY,
	    "https://t.example/announce.php?passkey=[masked]" },
	{ "https://t.example/a?uid=7&pass=x.y!z&c=", "https://t.example/a"
	    "?uid=[masked]&pass=[masked]&c=[masked]" },
	{ "http://joe:secret@t.example/a", "http://[masked]@t.example/a" },
	{ "http://tracker0123456789abcdef.example/a",
	    "http://tracker0123456789abcdef.example/a" },
	{ "http://t.example?x=1", "http://t.example?x=[masked]" },
	{ "http://t.example/announceannounceannounce",
	    "http://t.example/announceannounceannounce" },
	{ "10.0.0.1:6881", "10.0.0.1:6881" },
	{ "dht", "dht" },
	{ "", "" },
	{ "magnet:?xt=urn:btih:" KEY "01234567&dn=a0123456789abcdef&tr="
	    "http%3A%2F%2Ft.example%2F" KEY "%2Fannounce&x.pe=10.0.0.1:1",
	    "magnet:?xt=urn:btih:" KEY "01234567&dn=a0123456789abcdef&tr="
	    "http%3A%2F%2Ft.example%2F[masked]%2Fannounce&x.pe=10.0.0.1:1" },
	{ "magnet:?tr=http%3a%2f%2ft.example%2fa%3fkey%3dabc%26u%3d1&dn=x",
	    "magnet:?tr=http%3a%2f%2ft.example%2fa%3fkey%3d[masked]%26u%3d"
	    "[masked]&dn=x" },
	{ "magnet:?tr=udp://t.example/" KEY, "magnet:?tr=udp://t.example/"
	    "[masked]" },
};

static void test_cases(void **state)
{
	char out[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].text);
		struct span text = exact(cases[i].text, n);

		assert_int_equal(passkey_mask(text, out,
		    sizeof(out)), strlen(cases[i].want));
		assert_string_equal(out, cases[i].want);
		unexact(text);
	}
}

/* Of every text made of what URLs are made of, cut anywhere, no long word with
 * digits is left outside of a host. */
static void test_room(void **state)
{
	static const char text[] = "http://u:p@h.example/" KEY "?a=" KEY "&b";
	char out[sizeof(text) * 4], whole[sizeof(text) * 4];
	size_t n = passkey_mask(span_of(text, sizeof(text) - 1), whole,
	    sizeof(whole));

	(void)state;
	assert_null(strstr(whole, KEY));
	for (size_t room = 1; room <= n + 1; room++) {
		memset(out, 'x', sizeof(out));
		assert_true(passkey_mask(span_of(text, sizeof(text) - 1), out,
		    room) < room);
		assert_int_equal(out[room], 'x');
		assert_null(strstr(out, "0123456789"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
