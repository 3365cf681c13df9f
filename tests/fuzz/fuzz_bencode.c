/* Whatever ben_next accepts, walking it must find the same bytes again. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "wire/bencode.h"

static void walk(const struct ben *v, unsigned depth)
{
	struct cur c = cur_of(v->text);
	const uint8_t *at = c.p;
	struct span key;
	struct ben x;

	demand(depth <= BEN_DEPTH_MAX);
	if (v->type == BEN_LIST)
		while (ben_item(&c, &x)) {
			demand(x.raw.p == at);
			at += x.raw.n;
			walk(&x, depth + 1);
		}
	else if (v->type == BEN_DICT)
		while (ben_pair(&c, &key, &x)) {
			at = x.raw.p + x.raw.n;
			demand(key.p + key.n == x.raw.p);
			walk(&x, depth + 1);
		}
	else
		return;
	demand(at == v->text.p + v->text.n && cur_left(&c) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cur c = cur_of(span_of(data, n)), tokens;
	struct wire_error err = { 0 };
	unsigned notes = 0, open = 0;
	struct ben v, t;
	enum wire_status st = ben_next(&c, &v, &notes, &err);

	if (st != WIRE_OK) {
		demand(c.p == data && err.reason && err.offset <= n);
		return 0;
	}
	demand(v.raw.p == data && v.raw.p + v.raw.n == c.p);
	walk(&v, 0);
	tokens = cur_of(v.raw);
	while (ben_token(&tokens, &t)) {
		if (t.type == BEN_LIST || t.type == BEN_DICT)
			open++;
		else if (t.type == BEN_END)
			demand(open-- > 0);
	}
	demand(open == 0 && cur_left(&tokens) == 0);
	return 0;
}
