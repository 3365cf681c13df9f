/*
 * The bytes as the payload of a ut_metadata message; and as the acts of peers,
 * some of them liars, from whom metadata of three blocks is put together.
 */
#include "tests/fuzz/fuzz.h"
#include "wire/metafetch.h"

#include <stdlib.h>

#define CAP (4 * METADATA_BLOCK)
#define TRUE_SIZE (2 * METADATA_BLOCK + 5)

static void check(const struct metafetch *f)
{
	uint32_t have = 0;

	demand(f->total <= CAP && f->blocks <= 4);
	for (uint32_t i = 0; i < f->blocks; i++)
		have += f->block[i].have;
	demand(have == f->have);
	for (unsigned i = 0; i < METAFETCH_PEERS; i++)
		demand(f->peer[i].asked == METAFETCH_NONE ||
		    (f->peer[i].asked < f->blocks && !f->peer[i].gone));
}

/* Peers 0, 2, 4 ... are honest in what they give, all of zeros. */
static void act(struct metafetch *f, uint8_t what, unsigned slot, int64_t now)
{
	static const uint8_t zeros[METADATA_BLOCK + 1], ones[METADATA_BLOCK +
	    1] = { 1 };
	struct metafetch_peer *p = &f->peer[slot];
	struct metadata_msg m = { .type = METADATA_DATA, .piece = p->asked,
		.total_size = what & 0x40 ? -1 : (int64_t)p->size };
	uint32_t left;
	int64_t size = what & 0x20 && slot % 2 ? CAP - what : TRUE_SIZE;
	const char *why;

	if (!p->used) {
		(void)metafetch_join(f, size, &why);
		return;
	}
	switch (what % 6) {
	case 0:
	case 1:
	case 2:
		if (p->asked == METAFETCH_NONE)
			(void)metafetch_next(f, slot, now, &m.piece);
		if (p->asked == METAFETCH_NONE)
			break;
		left = p->size - m.piece * METADATA_BLOCK;
		m.data = span_of(what % 6 == 2 && slot % 2 ? ones : zeros,
		    left < METADATA_BLOCK ? left : METADATA_BLOCK);
		m.data.n += what & 0x80 && slot % 2;
		(void)metafetch_data(f, slot, &m, now);
		break;
	case 3:
		metafetch_reject(f, slot, m.piece, now);
		break;
	case 4:
		metafetch_leave(f, slot);
		break;
	case 5:
		(void)metafetch_next(f, slot, now, &left);
		break;
	}
}

static void fetch(struct span all)
{
	static uint8_t buf[CAP];
	static struct metafetch_block block[4];
	static const uint8_t truth[TRUE_SIZE];
	static struct metafetch f;
	struct cur c = cur_of(all);
	int64_t now = 0;

	metafetch_init(&f, buf, sizeof(buf), block, 4);
	while (cur_left(&c) >= 3) {
		uint8_t what = cur_u8(&c), who = cur_u8(&c);

		now += cur_u8(&c) * 100;
		act(&f, what, who % METAFETCH_PEERS, now);
		check(&f);
		struct span whole = metafetch_whole(&f);
		if (whole.n == 0)
			continue;
		metafetch_verdict(&f, whole.n == TRUE_SIZE &&
		    memcmp(whole.p, truth, TRUE_SIZE) == 0);
		check(&f);
		for (unsigned i = 0; i < METAFETCH_PEERS; i += 2)
			demand(f.peer[i].lie == NULL || f.peer[i].size !=
			    TRUE_SIZE);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1), out[METADATA_SENT_MAX];
	struct wire_error err = { NULL, 0 };
	struct metadata_msg m, again;
	size_t len;

	demand(copy != NULL);
	if (n)
		memcpy(copy, data, n);
	if (metadata_read(span_of(copy, n), &m, &err) == WIRE_OK) {
		demand(m.data.n <= METADATA_BLOCK && m.total_size >= -1);
		demand((m.data.n > 0) == (m.type == METADATA_DATA));
		len = metadata_put(out, sizeof(out), m.type, m.piece);
		demand((len > 0) == (m.type == METADATA_REQUEST || m.type ==
		    METADATA_REJECT));
		if (len) {
			demand(metadata_read(span_of(out, len), &again, &err) ==
			    WIRE_OK);
			demand(again.type == m.type && again.piece == m.piece &&
			    !again.odd);
		}
	} else {
		demand(err.reason && err.offset <= n);
	}
	fetch(span_of(copy, n));
	free(copy);
	return 0;
}
