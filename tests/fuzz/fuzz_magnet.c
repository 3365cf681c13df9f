/* Links, and addresses: the texts people and peers hand us. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/magnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const keys[] = { "dn", "tr", "x.pe" };
	struct wire_error err = { 0 };
	char buf[32], text[ENDPOINT_TEXT_MAX];
	struct endpoint e, again;
	struct magnet m;

	if (magnet_read(span_of(data, n), &m, &err) == WIRE_OK)
		demand(m.v1 || m.v2);
	else
		demand(err.reason && err.offset <= n);
	for (size_t k = 0; k < 3; k++)
		for (unsigned i = 0; i < 4; i++) {
			long len = magnet_param(&m, keys[k], i, buf,
			    sizeof(buf));

			demand(len == magnet_param(&m, keys[k], i, NULL, 0));
			demand(len <= (long)n);
		}
	if (endpoint_parse(span_of(data, n), &e)) {
		demand(e.family == 4 || e.family == 6);
		endpoint_text(&e, text);
		demand(endpoint_parse(span_str(text), &again));
		demand(endpoint_cmp(&e, &again) == 0);
	}
	if (endpoint_parse_ip(span_of(data, n), &e)) {
		endpoint_special(&e);
		endpoint_ip(&e, text);
		demand(endpoint_parse_ip(span_str(text), &again));
		demand(endpoint_same_ip(&e, &again));
	}
	return 0;
}
