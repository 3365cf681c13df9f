/* Whatever mi_read accepts keeps its promises. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/metainfo.h"

static bool lies_in(struct span s, struct span whole)
{
	return s.n == 0 || (s.p >= whole.p &&
	    s.p + s.n <= whole.p + whole.n);
}

static void check_index(struct metainfo *mi, struct mi_file *x)
{
	uint64_t total = 0, bytes = 0;
	struct wire_error err = { 0 };
	char buf[64];

	if (mi_index(mi, x, mi->files, &err) != WIRE_OK) {
		demand(err.reason && err.offset <= mi->file.n);
		return;
	}
	for (uint32_t i = 0; i < mi->files; i++) {
		demand(lies_in(x[i].path, mi->info));
		demand(lies_in(x[i].root, mi->info));
		demand(lies_in(x[i].layer, mi->file));
		demand(i == 0 || x[i].offset >= x[i - 1].offset +
		    x[i - 1].bytes);
		demand(x[i].first_piece == x[i].offset / mi->piece_bytes);
		demand(mi_path(mi, &x[i], buf, sizeof(buf)) ==
		    mi_path(mi, &x[i], NULL, 0));
		total += x[i].pad ? 0 : x[i].bytes;
	}
	demand(total == mi->total_bytes);
	if (mi->pieces > 4096)
		return;
	for (uint32_t i = 0; i < mi->pieces; i++) {
		uint32_t b = mi_piece_bytes(mi, x, i);

		demand(b > 0 && b <= mi->piece_bytes);
		bytes += b;
	}
	demand(bytes == (mi->v1 ? mi->span_bytes : mi->total_bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mi_trackers it = { 0 };
	struct wire_error err = { 0 };
	struct metainfo mi;
	struct mi_file *x;
	struct span url;
	unsigned tier;

	if (mi_read(span_of(data, n), &mi, &err) != WIRE_OK) {
		demand(err.reason && err.offset <= n);
		return 0;
	}
	demand(mi.files && mi.pieces && (mi.v1 || mi.v2));
	demand(lies_in(mi.info, mi.file) && lies_in(mi.name, mi.info));
	demand(!mi.v1 || mi.piece_hashes.n == 20 * (size_t)mi.pieces);
	while (mi_tracker(&mi, &it, &url, &tier))
		demand(url.n && lies_in(url, mi.file));
	x = calloc(mi.files, sizeof(*x));
	demand(x != NULL);
	check_index(&mi, x);
	free(x);
	return 0;
}
