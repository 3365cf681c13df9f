/*
 * A script of two sides' bytes, gaps and learnt piece counts, played three
 * times: whole, cut at random, and byte by byte. The events must be the same.
 * Each step: what (0 peer's bytes, 1 ours, 2 and 3 gaps, 4 pieces), a length
 * of two bytes, and for the first two that many bytes.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/talk_text.h"

static void digest(void *arg, const char *s, size_t n)
{
	uint64_t *h = arg;

	for (size_t i = 0; i < n; i++)
		*h = (*h ^ (uint8_t)s[i]) * 0x100000001b3u;
}

/* The step's bytes in chunks of at most most; 0: all; else at random. */
static void feed(struct talk_feeder *f, enum side by, struct span s,
    size_t most, uint64_t *rng)
{
	while (s.n > 0) {
		size_t n = most ? most : s.n;

		if (rng) {
			*rng = *rng * 6364136223846793005u + 1;
			n = 1 + (size_t)(*rng >> 33) % s.n;
		}
		if (n > s.n)
			n = s.n;
		talk_feed(f, by, s.p, n);
		s = span_of(s.p + n, s.n - n);
	}
}

static uint64_t play(struct span script, size_t most, uint64_t *rng)
{
	uint64_t h = 0xcbf29ce484222325u;
	struct talk_feeder f = { .put = digest, .arg = &h };
	struct cur c = cur_of(script);

	talk_init(&f.talk, cur_u16(&c));
	while (!c.bad && cur_left(&c) > 0) {
		uint8_t what = cur_u8(&c) % 5;
		uint16_t n = cur_u16(&c);
		enum side by = what & 1 ? SIDE_US : SIDE_PEER;

		if (c.bad)
			break;
		if (what == 4)
			talk_pieces(&f.talk, n * 9u);
		else if (what >= 2)
			talk_feed_gap(&f, by, n);
		else
			feed(&f, by, cur_take(&c, n < cur_left(&c) ? n :
			    cur_left(&c)), most, rng);
	}
	talk_feeder_fini(&f);
	return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span script = span_of(data, n);
	uint64_t rng = n, whole = play(script, 0, NULL);

	for (size_t i = 0; i < n; i++)
		rng = rng * 31 + data[i];
	talk_demand(play(script, 0, &rng) == whole);
	if (n <= 4096)
		talk_demand(play(script, 1, NULL) == whole);
	return 0;
}
