/* What authorities answer, held against one request whose true answer is among
 * the seeds: nothing else may pass for it. */
#include <stdlib.h>
#include <string.h>

#include "schema/json.h"
#include "schema/tsa.h"
#include "tests/fuzz/fuzz.h"

static const char asked[] = "30430201013031300d0609608648016503040201050004"
    "206b6d77a5b382a9f319a42fbdefe0b3a5b37c1ddbd67598fa5f01de57a4a2c23b020801"
    "2838f33e268f3c0101ff";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static uint8_t request[(sizeof(asked) - 1) / 2];
	struct tsa_token t;
	char why[TSA_WHY_MAX];
	uint8_t imprint[32];
	enum tsa_outcome o;

	if (request[0] == 0 && !hex_read(span_str(asked), request,
	    sizeof(request)))
		abort();
	o = tsa_check(span_of(request, sizeof(request)), span_of(data, n), &t,
	    why);
	if (strlen(why) >= sizeof(why) || (o == TSA_OK) != (why[0] == '\0'))
		abort();
	/* The authority signed one token for this request. */
	if (o == TSA_OK && (t.gen_utc_ns != 1795718857ll * 1000000000 ||
	    strcmp(t.serial, "0aa1163e4a7e97") != 0 || t.accuracy_ns !=
	    1500100000 || strcmp(t.policy, "1.2.3.4.1") != 0))
		abort();
	/* Any bytes may stand as a request on record. */
	if (tsa_request_read(span_of(data, n), imprint) &&
	    n > TSA_REQUEST_MAX)
		abort();
	return 0;
}
