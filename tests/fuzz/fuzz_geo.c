/* MaxMind DB files as anyone may have made them. */
#include <string.h>

#include "report/geo.h"
#include "tests/fuzz/fuzz_file.h"

/* MMDB_open forgets what it read of a description that is damaged. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libmaxminddb\n";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const ips[] = { "0.0.0.0", "1.1.1.1", "10.77.0.9",
		"255.255.255.255", "::", "2001:db8::1", "::ffff:1.2.3.4" };
	struct geo g = { 0 };
	struct geo_place p;

	if (geo_add(&g, fuzz_file(data, n)) == 0) {
		geo_built_ns(&g.db[0]);
		for (size_t i = 0; i < sizeof(ips) / sizeof(ips[0]); i++) {
			geo_find(&g, ips[i], &p);
			demand(memchr(p.country, '\0', sizeof(p.country)) &&
			    memchr(p.org, '\0', sizeof(p.org)) &&
			    p.prefix >= -96 && p.prefix <= 128);
			geo_find_in(&g, 0, ips[i], &p);
		}
	}
	geo_close(&g);
	return 0;
}
