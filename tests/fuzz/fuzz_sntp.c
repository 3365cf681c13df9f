/*
 * The first eight bytes are our clock, the rest is what a server sent. The
 * token is the fuzzer's own, or it would never be met.
 */
#include "tests/fuzz/fuzz.h"
#include "wire/sntp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cur c = cur_of(span_of(data, n));
	/* From 1970 to 2106, as clocks are. */
	int64_t near = (int64_t)(cur_u64(&c) >> 2);
	struct span all = cur_rest(&c);
	uint8_t token[SNTP_TOKEN] = { 0 };
	struct sntp_reply r;
	struct sntp_offset o;
	struct wire_error err = { NULL, 0 };

	if (all.n >= SNTP_BYTES)
		memcpy(token, all.p + 24, sizeof(token));
	if (sntp_read(all, token, near, &r, &err) != WIRE_OK) {
		demand(err.reason != NULL && err.offset <= all.n);
		return 0;
	}
	demand(strlen(r.kiss) <= 4 && r.precision_ns > 0);
	if (sntp_unusable(&r) == NULL && sntp_offset(&r, near, near +
	    300000000, &o)) {
		demand(o.delay_ns >= 0 && o.delay_ns <= 300000000);
		demand(o.bound_ns >= o.delay_ns / 2);
	}
	return 0;
}
