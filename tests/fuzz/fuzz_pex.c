/* The bytes as the payload of a ut_pex message. */
#include "tests/fuzz/fuzz.h"
#include "wire/pex.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	struct wire_error err = { NULL, 0 };
	struct pex_peers it = { 0 };
	struct pex_peer p;
	struct pex_msg m;
	size_t added = 0, dropped = 0, flags = 0;

	demand(copy != NULL);
	if (n)
		memcpy(copy, data, n);
	if (pex_read(span_of(copy, n), &m, &err) != WIRE_OK) {
		demand(err.reason && err.offset <= n);
		free(copy);
		return 0;
	}
	while (pex_peer(&m, &it, &p)) {
		demand(p.at.family == 4 || p.at.family == 6);
		demand(!p.dropped || !p.has_flags);
		demand(p.dropped || dropped == 0);	/* added come first */
		added += !p.dropped;
		dropped += p.dropped;
		flags += p.has_flags;
	}
	demand(added == m.n_added && dropped == m.n_dropped);
	demand(flags <= m.flags.n + m.flags6.n);
	demand(6 * (added + dropped) <= n);
	free(copy);
	return 0;
}
