/* The bytes as a BEP 14 datagram; what was read is written and read again. */
#include "tests/fuzz/fuzz.h"
#include "wire/lsd.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t hash[64][20], got[20], out[8192];
	uint8_t *copy = malloc(n ? n : 1);
	struct wire_error err = { NULL, 0 };
	struct lsd_msg m, again;
	struct cur c;
	size_t hashes = 0, len;

	demand(copy != NULL);
	if (n)
		memcpy(copy, data, n);
	if (lsd_read(span_of(copy, n), &m, &err) != WIRE_OK) {
		demand(err.reason && err.offset <= n);
		free(copy);
		return 0;
	}
	demand(m.port != 0 && m.hashes > 0);
	for (c = cur_of(m.lines); lsd_hash(&c, got); hashes++)
		if (hashes < 64)
			memcpy(hash[hashes], got, 20);
	demand(hashes == m.hashes && 40 * hashes < n);
	hashes = hashes < 64 ? hashes : 64;
	len = lsd_put(out, sizeof(out), n & 1 ? 4 : 6, m.port, m.cookie,
	    (const uint8_t (*)[20])hash, hashes);
	/* A cookie may hold a lone CR, but not a line's end. */
	if (len) {
		demand(lsd_read(span_of(out, len), &again, &err) == WIRE_OK);
		demand(again.port == m.port && again.hashes == hashes);
		demand(again.odd == 0);
		demand(span_eq(again.cookie, m.cookie) || m.cookie.n == 0);
	}
	free(copy);
	return 0;
}
