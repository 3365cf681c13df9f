#include "capture/guess.h"

#define PSTR "\x13" "BitTorrent protocol"
#define PSTR_N 20u
#define KEY 96u
#define FLIGHT_MAX (KEY + 512u)
#define DISTINCT_LEAST 64u	/* of 96 bytes; by chance about 80 +- 4 */
#define TEXT_MOST 60u		/* printable; by chance about 36 +- 5 */
#define TARGET_MAX 1024u	/* bytes of a request by which it is told */

static bool begins(struct span s, const char *text, size_t n)
{
	return s.n >= n && memcmp(s.p, text, n) == 0;
}

/* Whether s could still come to begin so. */
static bool may_begin(struct span s, const char *text, size_t n)
{
	return memcmp(s.p, text, s.n < n ? s.n : n) == 0;
}

static bool printable(uint8_t c)
{
	return (c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n' || c == '\t';
}

/* 96 bytes as chance would give them. */
static bool by_chance(struct span s)
{
	bool seen[256] = { false };
	unsigned distinct = 0, text = 0;

	for (size_t i = 0; i < KEY; i++) {
		distinct += !seen[s.p[i]];
		seen[s.p[i]] = true;
		text += printable(s.p[i]);
	}
	return distinct >= DISTINCT_LEAST && text <= TEXT_MOST;
}

/* TLS and SSL 3 records of any type; SSH; plain text of whatever kind. */
static bool other_protocol(struct span s)
{
	size_t text = 0;

	if (s.n >= 3 && s.p[0] >= 20 && s.p[0] <= 24 && s.p[1] == 3 &&
	    s.p[2] <= 4)
		return true;
	while (text < s.n && text < 16 && printable(s.p[text]))
		text++;
	return text == 16;
}

static enum guess request(struct span s)
{
	static const char key[] = "info_hash=";
	size_t n = s.n < TARGET_MAX ? s.n : TARGET_MAX;

	for (size_t i = 0; i < n && s.p[i] != '\r' && s.p[i] != '\n'; i++)
		if (n - i >= sizeof(key) - 1 &&
		    memcmp(s.p + i, key, sizeof(key) - 1) == 0)
			return GUESS_HTTP;
	if (s.n >= TARGET_MAX || memchr(s.p, '\n', s.n))
		return GUESS_OTHER;
	return GUESS_MORE;
}

static enum guess encrypted(const struct guess_view *v)
{
	if (!v->opened || v->hole[0] || v->hole[1])
		return GUESS_OTHER;
	for (unsigned i = 0; i < 2; i++) {
		struct span s = v->first[i];

		if (s.n && other_protocol(s))
			return GUESS_OTHER;
		if (v->flight[i] > FLIGHT_MAX)
			return GUESS_OTHER;
		if (s.n >= KEY && !by_chance(s))
			return GUESS_OTHER;
	}
	/* The answer came before the whole key: that is another protocol. */
	if (v->first[1].n && v->flight[0] < KEY)
		return GUESS_OTHER;
	if (v->first[1].n < KEY || v->first[0].n - v->flight[0] < GUESS_NEXT)
		return GUESS_MORE;
	return v->flight[1] < KEY ? GUESS_OTHER : GUESS_CRYPT;
}

enum guess guess(const struct guess_view *v)
{
	enum guess g;

	for (unsigned i = 0; i < 2; i++) {
		/* Who opened speaks first, if it was captured. */
		if (v->first[i].n == 0 || (v->opened && i == 1 &&
		    v->first[0].n == 0 && !v->hole[0]))
			continue;
		if (begins(v->first[i], PSTR, PSTR_N))
			return v->hole[i] ? GUESS_OTHER : GUESS_PEER;
		if (!v->hole[i] && v->first[i].n < PSTR_N &&
		    may_begin(v->first[i], PSTR, PSTR_N))
			return GUESS_MORE;
	}
	if (v->first[0].n && !v->hole[0] &&
	    may_begin(v->first[0], "GET ", 4)) {
		if (v->first[0].n < 4)
			return GUESS_MORE;
		return request(v->first[0]);
	}
	g = encrypted(v);
	if (g == GUESS_MORE && v->first[0].n + v->first[1].n >= GUESS_KEEP)
		return GUESS_OTHER;
	return g;
}
