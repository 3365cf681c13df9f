#include "report/claimtime.h"

#define S 1000000000LL
#define MOST_TOKENS 24
#define LAST_S 7258118400LL	/* 2200-01-01 */

/* A text as numbers, words and the marks between them. */
enum kind { NUMBER, WORD, MARK };

struct token {
	enum kind kind;
	const uint8_t *p;
	size_t n;
	int64_t v;		/* of a number, 19 digits at most */
	bool spaced;		/* white space stood before it */
};

struct tokens {
	struct token at[MOST_TOKENS];
	size_t n, i;
};

static bool digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool letter(uint8_t c)
{
	return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static const char *split(struct span s, struct tokens *t)
{
	bool spaced = false;

	*t = (struct tokens){ 0 };
	for (size_t i = 0; i < s.n;) {
		struct token *k = &t->at[t->n];
		size_t from = i;

		if (s.p[i] == ' ' || s.p[i] == '\t') {
			spaced = true;
			i++;
			continue;
		}
		if (t->n == MOST_TOKENS)
			return "the time has too many parts";
		*k = (struct token){ .kind = MARK, .p = s.p + i,
		    .spaced = spaced };
		if (digit(s.p[i])) {
			k->kind = NUMBER;
			while (i < s.n && digit(s.p[i])) {
				int d = s.p[i++] - '0';

				if (k->v > (INT64_MAX - d) / 10)
					return "the time holds a number of "
					    "more than 18 digits";
				k->v = k->v * 10 + d;
			}
		} else if (letter(s.p[i])) {
			k->kind = WORD;
			while (i < s.n && letter(s.p[i]))
				i++;
		} else {
			i++;
		}
		k->n = i - from;
		spaced = false;
		t->n++;
	}
	return NULL;
}

static const struct token *peek(const struct tokens *t, size_t ahead)
{
	return t->i + ahead < t->n ? &t->at[t->i + ahead] : NULL;
}

static bool is(const struct token *k, enum kind kind)
{
	return k && k->kind == kind;
}

static bool mark(const struct token *k, char c)
{
	return is(k, MARK) && k->p[0] == (uint8_t)c;
}

static bool word(const struct token *k, const char *w)
{
	if (!is(k, WORD) || k->n != strlen(w))
		return false;
	for (size_t i = 0; i < k->n; i++)
		if ((k->p[i] | 32) != (uint8_t)w[i])
			return false;
	return true;
}

/* 1 .. 12 for an English name of at least three letters, else 0. */
static int month_of(const struct token *k)
{
	static const char *const names[] = { "january", "february", "march",
	    "april", "may", "june", "july", "august", "september", "october",
	    "november", "december" };

	if (!is(k, WORD) || k->n < 3)
		return 0;
	for (int m = 0; m < 12; m++) {
		size_t i = 0;

		while (i < k->n && names[m][i] &&
		    (k->p[i] | 32) == (uint8_t)names[m][i])
			i++;
		if (i == k->n || (m == 8 && word(k, "sept")))
			return m + 1;
	}
	return 0;
}

static int month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
	    31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month == 2 && leap ? 29 : days[month - 1];
}

/* Days since 1970-01-01 of a date in the Gregorian calendar. */
static int64_t day_number(int y, int m, int d)
{
	int64_t n = 0;

	y -= m <= 2;
	n = (int64_t)y / 400 * 146097;
	y %= 400;
	return n + y * 365 + y / 4 - y / 100 + (153 * (m + (m > 2 ? -3 : 9)) +
	    2) / 5 + d - 1 - 719468;
}

static const char *year_of(const struct token *k, int *year)
{
	if (k->n != 4)
		return "the year is not of four digits";
	if (k->v < 1970 || k->v > 2200)
		return "the year is not within 1970 and 2200";
	*year = (int)k->v;
	return NULL;
}

/* --- the date ------------------------------------------------------------------ */

static const char *read_named(struct tokens *t, struct claimtime *out)
{
	const struct token *a = peek(t, 0), *b;

	/* Jan 31, 2026 or 31 Jan 2026, with - or / or , between. */
	if (is(a, WORD)) {
		out->first = month_of(a);
		t->i++;
		if (mark(peek(t, 0), '.') || mark(peek(t, 0), '-'))
			t->i++;
		b = peek(t, 0);
		if (!is(b, NUMBER) || b->n > 2)
			return "no day of the month follows its name";
		out->second = (int)b->v;
		t->i++;
	} else {
		out->second = (int)a->v;
		t->i++;
		if (is(peek(t, 0), MARK))
			t->i++;
		out->first = month_of(peek(t, 0));
		t->i++;
	}
	if (out->first == 0)
		return "a word in it is no month";
	while (is(peek(t, 0), MARK))
		t->i++;
	if (!is(peek(t, 0), NUMBER))
		return "it has no year";
	return year_of(&t->at[t->i++], &out->year);
}

static const char *read_numeric(struct tokens *t, struct claimtime *out)
{
	const struct token *a = peek(t, 0), *m = peek(t, 1), *b = peek(t, 2),
	    *n = peek(t, 3), *c = peek(t, 4);

	if (!is(m, MARK) || !is(b, NUMBER) || !is(n, MARK) || !is(c, NUMBER) ||
	    m->p[0] != n->p[0] || !memchr("-/.", m->p[0], 3) ||
	    b->n > 2)
		return "it is no date and time that we know";
	t->i += 5;
	if (a->n == 4) {	/* 2026-01-31 */
		out->first = (int)b->v;
		out->second = c->n <= 2 ? (int)c->v : 0;
		return year_of(a, &out->year);
	}
	if (a->n > 2)
		return "it is no date and time that we know";
	out->first = (int)a->v;
	out->second = (int)b->v;
	out->numeric = true;
	out->dotted = m->p[0] == '.';
	return year_of(c, &out->year);
}

/* --- the time of day ------------------------------------------------------------ */

static const char *read_fraction(struct tokens *t, struct claimtime *out)
{
	const struct token *k = peek(t, 1);
	int64_t unit = S;

	if (!mark(peek(t, 0), '.') && !mark(peek(t, 0), ','))
		return NULL;
	if (!is(k, NUMBER) || k->n > 9)
		return "the seconds' fraction is no number of at most nine "
		    "digits";
	for (size_t i = 0; i < k->n; i++)
		unit /= 10;
	out->of_day_ns += k->v * unit;
	out->step_ns = unit;
	t->i += 2;
	return NULL;
}

static const char *read_clock(struct tokens *t, struct claimtime *out)
{
	const struct token *h = peek(t, 0), *m = peek(t, 2), *s = NULL;
	int64_t hour;
	bool pm;

	if (!is(h, NUMBER) || h->n > 2 || !mark(peek(t, 1), ':') ||
	    !is(m, NUMBER) || m->n != 2)
		return "it has no time of day";
	t->i += 3;
	out->step_ns = 60 * S;
	if (mark(peek(t, 0), ':')) {
		s = peek(t, 1);
		if (!is(s, NUMBER) || s->n != 2)
			return "its seconds are no two digits";
		t->i += 2;
		out->step_ns = S;
	}
	hour = h->v;
	if (hour > 23 || m->v > 59 || (s && s->v > 59))
		return s && s->v == 60 ? "it is a leap second, which no clock "
		    "here counts" : "it is no time of day";
	out->of_day_ns = ((hour * 60 + m->v) * 60 + (s ? s->v : 0)) * S;
	if (s) {
		const char *why = read_fraction(t, out);

		if (why)
			return why;
	}
	pm = word(peek(t, 0), "pm");
	if (pm || word(peek(t, 0), "am")) {
		if (hour == 0 || hour > 12)
			return "AM or PM stands beside an hour that is not 1 "
			    "to 12";
		out->of_day_ns += (hour % 12 + (pm ? 12 : 0) - hour) * 3600 * S;
		t->i++;
	}
	return NULL;
}

/* --- the zone -------------------------------------------------------------------- */

static const char *read_zone(struct tokens *t, bool *has, int32_t *zone_s)
{
	const struct token *k = peek(t, 0), *h = peek(t, 1), *m = NULL;
	int64_t hours, minutes = 0;

	if (k == NULL)
		return NULL;
	if (is(k, WORD) && (word(k, "z") || word(k, "utc") || word(k, "gmt"))) {
		t->i++;
		*has = true;
		*zone_s = 0;
		k = peek(t, 0);
		h = peek(t, 1);
		if (k == NULL)
			return NULL;
	} else if (is(k, WORD)) {
		return "it names a zone that is not UTC by letters, which "
		    "several zones share: write the offset, or say --zone";
	}
	if ((!mark(k, '+') && !mark(k, '-')) || !is(h, NUMBER))
		return "something stands behind the time";
	t->i += 2;
	hours = h->v;
	if (mark(peek(t, 0), ':')) {
		m = peek(t, 1);
		t->i += 2;
	} else if (h->n == 4) {
		hours = h->v / 100;
		minutes = h->v % 100;
	}
	if ((h->n > 2 && h->n != 4) || (m && (!is(m, NUMBER) || m->n != 2)))
		return "its offset from UTC is none";
	if (m)
		minutes = m->v;
	if (hours > 14 || minutes > 59)
		return "its offset from UTC is none";
	*has = true;
	*zone_s = (int32_t)(hours * 3600 + minutes * 60) *
	    (mark(k, '-') ? -1 : 1);
	return peek(t, 0) ? "something stands behind the time" : NULL;
}

bool claimtime_zone(struct span text, int32_t *zone_s)
{
	struct tokens t;
	bool has = false;
	int32_t z = 0;

	if (split(text, &t) || read_zone(&t, &has, &z) || !has)
		return false;
	*zone_s = z;
	return true;
}

/* --- the whole ------------------------------------------------------------------- */

static const char *read_epoch(struct tokens *t, struct claimtime *out)
{
	const struct token *k = peek(t, 0);
	size_t n = k->n;

	out->epoch = true;
	t->i++;
	if (n == 9 || n == 10) {
		const char *why;

		if (k->v >= LAST_S)
			return "it is seconds beyond the year 2200";
		out->step_ns = S;
		why = read_fraction(t, out);
		if (why)
			return why;
		out->utc_ns = k->v * S + out->of_day_ns;
	} else if (n == 12 || n == 13) {
		if (k->v / 1000 >= LAST_S)
			return "it is milliseconds beyond the year 2200";
		out->utc_ns = k->v * 1000000;
		out->step_ns = 1000000;
	} else if (n == 15 || n == 16) {
		if (k->v / 1000000 >= LAST_S)
			return "it is microseconds beyond the year 2200";
		out->utc_ns = k->v * 1000;
		out->step_ns = 1000;
	} else if (n == 18 || n == 19) {	/* as in our own tables */
		if (k->v / S >= LAST_S)
			return "it is nanoseconds beyond the year 2200";
		out->utc_ns = k->v;
		out->step_ns = 1;
	} else if (n == 5) {
		return "it looks like a spreadsheet's day number, whose zone "
		    "and origin the table does not say: export times as text";
	} else {
		return "it is a number, but no seconds, milliseconds or "
		    "microseconds since 1970";
	}
	return peek(t, 0) ? "something stands behind the number" : NULL;
}

/* 20260131T235959Z, ISO 8601's basic form. */
static bool basic(const struct tokens *t)
{
	const struct token *d = peek(t, 0), *c = peek(t, 2);

	return is(d, NUMBER) && d->n == 8 && word(peek(t, 1), "t") &&
	    is(c, NUMBER) && (c->n == 6 || c->n == 4);
}

static const char *read_basic(struct tokens *t, struct claimtime *out)
{
	int64_t d = t->at[0].v, c = t->at[2].v;

	if (t->at[2].n == 4)
		c *= 100;
	out->year = (int)(d / 10000);
	out->first = (int)(d / 100 % 100);
	out->second = (int)(d % 100);
	out->step_ns = t->at[2].n == 4 ? 60 * S : S;
	if (c / 10000 > 23 || c / 100 % 100 > 59 || c % 100 > 59)
		return "it is no time of day";
	if (out->year < 1970 || out->year > 2200)
		return "the year is not within 1970 and 2200";
	out->of_day_ns = ((c / 10000 * 60 + c / 100 % 100) * 60 + c % 100) * S;
	t->i = 3;
	return read_zone(t, &out->has_zone, &out->zone_s);
}

const char *claimtime_read(struct span text, struct claimtime *out)
{
	struct tokens t;
	const char *why = split(text, &t);
	const struct token *k, *second;

	*out = (struct claimtime){ 0 };
	if (why)
		return why;
	k = peek(&t, 0);
	if (k == NULL)
		return "there is no time";
	second = peek(&t, 1);
	if (basic(&t))
		return read_basic(&t, out);
	if (is(k, NUMBER) && (second == NULL || (k->n > 4 &&
	    mark(second, '.'))))
		return read_epoch(&t, out);
	/* Fri, 31 Jan 2026 */
	if (is(k, WORD) && month_of(k) == 0 && (mark(second, ',') ||
	    is(second, NUMBER) || is(second, WORD))) {
		static const char *const days[] = { "mon", "tue", "wed", "thu",
		    "fri", "sat", "sun" };

		for (size_t i = 0; i < 7; i++)
			if (k->n >= 3 && (k->p[0] | 32) == days[i][0] &&
			    (k->p[1] | 32) == days[i][1] &&
			    (k->p[2] | 32) == days[i][2])
				t.i = mark(second, ',') ? 2 : 1;
		k = peek(&t, 0);
	}
	if (k == NULL || (is(k, MARK)))
		return "it is no date and time that we know";
	if (is(k, WORD) || month_of(peek(&t, 1)) || (is(peek(&t, 1), MARK) &&
	    month_of(peek(&t, 2))))
		why = read_named(&t, out);
	else
		why = read_numeric(&t, out);
	if (why)
		return why;
	if (mark(peek(&t, 0), ','))
		t.i++;
	if (word(peek(&t, 0), "t") || word(peek(&t, 0), "at"))
		t.i++;
	why = read_clock(&t, out);
	if (why)
		return why;
	why = read_zone(&t, &out->has_zone, &out->zone_s);
	if (why)
		return why;
	if (!out->numeric && (out->first < 1 || out->first > 12 ||
	    out->second < 1 || out->second > month_days(out->year, out->first)))
		return "there is no such day";
	if (out->numeric && (out->first < 1 || out->second < 1 ||
	    out->first > 31 || out->second > 31 ||
	    (out->first > 12 && out->second > 12)))
		return "there is no such day";
	return NULL;
}

enum dateorder claimtime_order(const struct claimtime *t)
{
	if (t->epoch || !t->numeric)
		return DATES_UNKNOWN;
	if (t->dotted || t->first > 12)
		return DATES_DMY;
	return t->second > 12 ? DATES_MDY : DATES_UNKNOWN;
}

const char *claimtime_utc(const struct claimtime *t, enum dateorder order,
    int32_t zone_s, int64_t *utc_ns)
{
	int month = t->first, day = t->second;

	if (t->epoch) {
		*utc_ns = t->utc_ns;
		return NULL;
	}
	if (t->numeric) {
		if (t->dotted)
			order = DATES_DMY;
		if (t->first == t->second && order == DATES_UNKNOWN)
			order = DATES_DMY;	/* either way the same */
		if (order == DATES_UNKNOWN)
			return "day and month could each come first, and "
			    "nothing in the column tells which";
		if (order == DATES_DMY) {
			day = t->first;
			month = t->second;
		}
	}
	if (month > 12 || day > month_days(t->year, month))
		return "there is no such day";
	if (t->has_zone)
		zone_s = t->zone_s;
	*utc_ns = day_number(t->year, month, day) * CLAIMTIME_DAY_NS +
	    t->of_day_ns - zone_s * S;
	return NULL;
}
