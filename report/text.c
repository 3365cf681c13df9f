#include "report/text.h"

#include <string.h>

struct range {
	uint32_t from, to;
};

static bool in(uint32_t v, const struct range *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v >= r[i].from && v <= r[i].to)
			return true;
	return false;
}

/* Unicode 15: Cc, Cf, Zl, Zp, Co, Cn's noncharacters, and what has no shape
 * of its own; spaces other than U+0020 that look like it. */
static const struct range inert[] = {
	{ 0x0000, 0x001f }, { 0x007f, 0x00a0 }, { 0x00ad, 0x00ad },
	{ 0x034f, 0x034f }, { 0x0600, 0x0605 }, { 0x061c, 0x061c },
	{ 0x06dd, 0x06dd }, { 0x070f, 0x070f }, { 0x0890, 0x0891 },
	{ 0x08e2, 0x08e2 }, { 0x115f, 0x1160 }, { 0x1680, 0x1680 },
	{ 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, { 0x2000, 0x200f },
	{ 0x2028, 0x202f }, { 0x205f, 0x206f }, { 0x2800, 0x2800 },
	{ 0x3000, 0x3000 }, { 0x3164, 0x3164 }, { 0xd800, 0xf8ff },
	{ 0xfdd0, 0xfdef }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
	{ 0xffa0, 0xffa0 }, { 0xfff0, 0xffff }, { 0x110bd, 0x110bd },
	{ 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a }, { 0x1fffe, 0x1ffff }, { 0x2fffe, 0x2ffff },
	{ 0xe0000, 0x10ffff },
};

static const struct range marks[] = {
	{ 0x0300, 0x036f }, { 0x0483, 0x0489 }, { 0x0591, 0x05bd },
	{ 0x0610, 0x061a }, { 0x064b, 0x065f }, { 0x0e31, 0x0e3a },
	{ 0x0e47, 0x0e4e }, { 0x1ab0, 0x1aff }, { 0x1dc0, 0x1dff },
	{ 0x20d0, 0x20ff }, { 0x302a, 0x302f }, { 0xfe20, 0xfe2f },
};

/* RFC 3629. The length, 0 if these bytes are no code point. */
static size_t decode(struct span s, uint32_t *point)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t b = s.p[0];
	size_t n = b < 0x80 ? 1 : b >> 5 == 6 ? 2 : b >> 4 == 14 ? 3 :
	    b >> 3 == 30 ? 4 : 0;
	uint32_t v = n < 2 ? b : b & 0x7fu >> n;

	if (n == 0 || n > s.n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if (s.p[i] >> 6 != 2)
			return 0;
		v = v << 6 | (s.p[i] & 0x3fu);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 0;
	*point = v;
	return n;
}

bool text_next(struct text *t, uint32_t *point, bool *odd)
{
	size_t n;

	if (t->left.n == 0)
		return false;
	n = decode(t->left, point);
	if (n == 0) {
		*point = 0xfffd;
		n = 1;
	}
	t->left = span_of(t->left.p + n, t->left.n - n);
	if (*point >= ' ' && *point <= '~') {	/* nearly always */
		t->marks = 0;
		*odd = false;
		return true;
	}
	if (in(*point, marks, sizeof(marks) / sizeof(marks[0])))
		t->marks++;
	else
		t->marks = 0;
	*odd = t->marks > 2 ||
	    in(*point, inert, sizeof(inert) / sizeof(inert[0]));
	return true;
}

struct span text_run(struct text *t, size_t most)
{
	struct span s = t->left;
	size_t n = 0;

	while (n < s.n && n < most && s.p[n] >= ' ' && s.p[n] <= '~' &&
	    strchr("<>&\"'", s.p[n]) == NULL)
		n++;
	if (n)
		t->marks = 0;
	t->left = span_of(s.p + n, s.n - n);
	return span_of(s.p, n);
}

size_t text_utf8(uint32_t v, char out[4])
{
	size_t n = v < 0x80 ? 1 : v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

	for (size_t i = n - 1; i > 0; i--) {
		out[i] = (char)(0x80 | (v & 0x3f));
		v >>= 6;
	}
	out[0] = (char)(lead[n] | v);
	return n;
}
