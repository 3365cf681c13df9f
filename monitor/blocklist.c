#include "monitor/blocklist.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/log.h"

#define BAD_LINES 20		/* named of one file */

static void wide(const struct endpoint *e, uint8_t out[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (e->family == 4) {
		memcpy(out, mapped, 12);
		memcpy(out + 12, e->addr, 4);
	} else {
		memcpy(out, e->addr, 16);
	}
}

static struct span trim(struct span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = span_of(s.p + 1, s.n - 1);
	while (s.n && memchr(" \t\r\n", s.p[s.n - 1], 4))
		s.n--;
	return s;
}

/* DAT files write 001.002.003.004. */
static bool read_ip(struct span text, struct endpoint *e)
{
	char plain[64];
	size_t n = 0;

	text = trim(text);
	if (text.n >= sizeof(plain))
		return false;
	for (size_t i = 0; i < text.n; i++) {
		bool starts = i == 0 || text.p[i - 1] == '.';

		while (starts && i + 1 < text.n && text.p[i] == '0' &&
		    text.p[i + 1] >= '0' && text.p[i + 1] <= '9' &&
		    !memchr(text.p, ':', text.n))
			i++;
		plain[n++] = (char)text.p[i];
	}
	return endpoint_parse_ip(span_of(plain, n), e);
}

static struct span before(struct span s, const uint8_t *at)
{
	return span_of(s.p, (size_t)(at - s.p));
}

static struct span after(struct span s, const uint8_t *at)
{
	return span_of(at + 1, s.n - (size_t)(at - s.p) - 1);
}

static bool read_number(struct span s, unsigned most, unsigned *v)
{
	s = trim(s);
	*v = 0;
	if (s.n < 1 || s.n > 3)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		*v = *v * 10 + (unsigned)(s.p[i] - '0');
	}
	return *v <= most;
}

static bool read_prefix(struct span s, const uint8_t *slash,
    struct blocklist_range *r)
{
	struct endpoint e;
	unsigned bits;

	if (!read_ip(before(s, slash), &e) ||
	    !read_number(after(s, slash), e.family == 4 ? 32 : 128, &bits))
		return false;
	bits += e.family == 4 ? 96 : 0;
	wide(&e, r->from);
	memcpy(r->to, r->from, 16);
	for (unsigned i = bits; i < 128; i++) {
		uint8_t bit = (uint8_t)(0x80 >> i % 8);

		r->from[i / 8] &= (uint8_t)~bit;
		r->to[i / 8] |= bit;
	}
	return true;
}

static bool read_pair(struct span s, struct blocklist_range *r)
{
	const uint8_t *dash = s.n ? memchr(s.p, '-', s.n) : NULL;
	struct endpoint from, to;

	if (!dash || !read_ip(before(s, dash), &from) ||
	    !read_ip(after(s, dash), &to) || from.family != to.family)
		return false;
	wide(&from, r->from);
	wide(&to, r->to);
	return memcmp(r->from, r->to, 16) <= 0;
}

enum entry { ENTRY_BAD, ENTRY_NONE, ENTRY_RANGE };

/* "FROM - TO , LEVEL , NAME" */
static enum entry read_dat(struct span s, const uint8_t *comma,
    struct blocklist_range *r)
{
	struct span rest = after(s, comma);
	const uint8_t *next = rest.n ? memchr(rest.p, ',', rest.n) : NULL;
	unsigned level;

	if (!read_pair(before(s, comma), r) ||
	    !read_number(next ? before(rest, next) : rest, 999, &level))
		return ENTRY_BAD;
	return level < 128 ? ENTRY_RANGE : ENTRY_NONE;
}

static enum entry read_line(struct span s, struct blocklist_range *r)
{
	const uint8_t *at;
	struct endpoint e;

	s = trim(s);
	if (s.n == 0 || s.p[0] == '#' || s.p[0] == ';')
		return ENTRY_NONE;
	if (read_ip(s, &e)) {
		wide(&e, r->from);
		wide(&e, r->to);
		return ENTRY_RANGE;
	}
	if (read_pair(s, r))
		return ENTRY_RANGE;
	at = memchr(s.p, '/', s.n);
	if (at && read_prefix(s, at, r))
		return ENTRY_RANGE;
	at = memchr(s.p, ',', s.n);
	if (at && read_dat(s, at, r) != ENTRY_BAD)
		return read_dat(s, at, r);
	at = memrchr(s.p, ':', s.n);
	return at && read_pair(after(s, at), r) ? ENTRY_RANGE : ENTRY_BAD;
}

static void add(struct blocklist *b, const struct blocklist_range *r)
{
	struct blocklist_range *more = b->range;

	if ((b->ranges & (b->ranges - 1)) == 0)		/* a power of two */
		more = realloc(b->range, (b->ranges ? 2 * b->ranges : 1) *
		    sizeof(*more));
	if (!more)
		log_die("out of memory");
	b->range = more;
	b->range[b->ranges++] = *r;
}

int blocklist_read(struct blocklist *b, const char *file)
{
	FILE *f = fopen(file, "re");
	char *line = NULL, safe[120];
	struct blocklist_range r;
	int64_t number = 0, bad = 0;
	size_t room = 0;
	ssize_t n;

	if (!f) {
		log_warn("%s: %s", file, strerror(errno));
		return -1;
	}
	while ((n = getline(&line, &room, f)) >= 0) {
		struct span s = span_of(line, (size_t)n);

		number++;
		switch (read_line(s, &r)) {
		case ENTRY_RANGE:
			add(b, &r);
			break;
		case ENTRY_NONE:
			break;
		case ENTRY_BAD:
			if (bad++ < BAD_LINES)
				log_warn("%s, line %" PRId64 ": \"%s\" is no "
				    "address, range or prefix", file, number,
				    log_safe(trim(s), safe, sizeof(safe)));
			break;
		}
	}
	if (ferror(f)) {
		log_warn("%s: %s", file, strerror(errno));
		bad++;
	}
	if (bad > BAD_LINES)
		log_warn("%s: %" PRId64 " bad lines in all", file, bad);
	free(line);
	fclose(f);
	return bad ? -1 : 0;
}

static int by_start(const void *a, const void *b)
{
	const struct blocklist_range *x = a, *y = b;

	return memcmp(x->from, y->from, 16);
}

void blocklist_ready(struct blocklist *b)
{
	size_t n = 0;

	if (b->ranges)
		qsort(b->range, b->ranges, sizeof(*b->range), by_start);
	for (size_t i = 0; i < b->ranges; i++) {
		struct blocklist_range *r = &b->range[i];

		if (n && memcmp(r->from, b->range[n - 1].to, 16) <= 0) {
			if (memcmp(r->to, b->range[n - 1].to, 16) > 0)
				memcpy(b->range[n - 1].to, r->to, 16);
		} else {
			b->range[n++] = *r;
		}
	}
	b->ranges = n;
}

bool blocklist_has(const struct blocklist *b, const struct endpoint *at)
{
	size_t low = 0, high = b->ranges;
	uint8_t key[16];

	wide(at, key);
	while (low < high) {	/* the first range that ends at or behind it */
		size_t mid = low + (high - low) / 2;

		if (memcmp(b->range[mid].to, key, 16) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < b->ranges && memcmp(b->range[low].from, key, 16) <= 0;
}

void blocklist_fini(struct blocklist *b)
{
	free(b->range);
	*b = (struct blocklist){ 0 };
}
