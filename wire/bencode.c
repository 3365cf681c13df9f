#include "bencode.h"

/* A string longer than this is refused before it is waited for. */
#define STR_MAX 0x7fffffffu

/* An open list or dict while checking. */
struct frame {
	const uint8_t *open;
	struct span last;	/* dict: the last key */
	bool dict, keyed, any;	/* keyed: a key waits for its value */
};

static enum wire_status fail(struct wire_error *err, const char *reason,
    const uint8_t *start, const uint8_t *at)
{
	*err = (struct wire_error){ reason, (size_t)(at - start) };
	return WIRE_BAD;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* "i", perhaps a minus, digits, "e". */
static enum wire_status take_int(struct cur *c, struct ben *v, unsigned *notes,
    const char **why)
{
	const uint8_t *start = c->p++, *digits;
	uint64_t sum = 0, most = INT64_MAX;
	bool minus = cur_left(c) && *c->p == '-';

	if (minus) {
		c->p++;
		most++;
	}
	for (digits = c->p; cur_left(c) && is_digit(*c->p); c->p++) {
		uint64_t d = (uint64_t)(*c->p - '0');

		if (sum > (most - d) / 10) {
			*why = "integer does not fit in 64 bits";
			return WIRE_BAD;
		}
		sum = sum * 10 + d;
	}
	if (cur_left(c) == 0)
		return WIRE_MORE;
	if (*c->p != 'e' || c->p == digits) {
		*why = "not a digit in an integer";
		return WIRE_BAD;
	}
	if (*digits == '0' && (c->p - digits > 1 || minus))
		*notes |= BEN_LEADING_ZERO;
	v->type = BEN_INT;
	v->num = minus ? (int64_t)(0 - sum) : (int64_t)sum;
	v->text = span_of(start + 1, (size_t)(c->p - start) - 1);
	c->p++;
	v->raw = span_of(start, (size_t)(c->p - start));
	return WIRE_OK;
}

/* Digits, ":", that many bytes. */
static enum wire_status take_str(struct cur *c, struct ben *v, unsigned *notes,
    const char **why)
{
	const uint8_t *start = c->p;
	size_t n = 0;

	for (; cur_left(c) && is_digit(*c->p); c->p++) {
		n = n * 10 + (size_t)(*c->p - '0');
		if (n > STR_MAX) {
			*why = "string length is absurd";
			return WIRE_BAD;
		}
	}
	if (cur_left(c) == 0)
		return WIRE_MORE;
	if (*c->p != ':') {
		*why = "no colon after a string's length";
		return WIRE_BAD;
	}
	if (*start == '0' && c->p - start > 1)
		*notes |= BEN_LEADING_ZERO;
	c->p++;
	v->type = BEN_STR;
	v->num = 0;
	v->text = cur_take(c, n);
	if (c->bad)
		return WIRE_MORE;
	v->raw = span_of(start, (size_t)(c->p - start));
	return WIRE_OK;
}

static enum wire_status take_token(struct cur *c, struct ben *v,
    unsigned *notes, const char **why)
{
	if (cur_left(c) == 0)
		return WIRE_MORE;
	if (is_digit(*c->p))
		return take_str(c, v, notes, why);
	switch (*c->p) {
	case 'i':
		return take_int(c, v, notes, why);
	case 'l':
		v->type = BEN_LIST;
		break;
	case 'd':
		v->type = BEN_DICT;
		break;
	case 'e':
		v->type = BEN_END;
		break;
	default:
		*why = "not the start of a bencoded value";
		return WIRE_BAD;
	}
	v->num = 0;
	v->raw = cur_take(c, 1);
	v->text = (struct span){ NULL, 0 };
	return WIRE_OK;
}

/* By bytes, the shorter first: the order BEP 3 demands of keys. */
static int compare(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int r = n ? memcmp(a.p, b.p, n) : 0;

	return r ? r : (a.n > b.n) - (a.n < b.n);
}

static void note_key(struct frame *f, struct span key, unsigned *notes)
{
	if (f->any) {
		int r = compare(f->last, key);

		if (r > 0)
			*notes |= BEN_UNSORTED;
		else if (r == 0)
			*notes |= BEN_REPEATED;
	}
	f->any = true;
	f->last = key;
}

enum wire_status ben_next(struct cur *in, struct ben *v, unsigned *notes,
    struct wire_error *err)
{
	struct frame stack[BEN_DEPTH_MAX];
	const uint8_t *start = in->p, *why_at;
	struct cur c = *in;
	unsigned ignored = 0, depth = 0;
	const char *why = NULL;

	if (notes == NULL)
		notes = &ignored;
	do {
		struct frame *f = depth ? &stack[depth - 1] : NULL;
		struct ben t;
		enum wire_status st;

		why_at = c.p;
		st = take_token(&c, &t, notes, &why);
		if (st == WIRE_BAD)
			return fail(err, why, start, why_at);
		if (st == WIRE_MORE) {
			*err = (struct wire_error){ "ends too early",
			    cur_left(in) };
			return WIRE_MORE;
		}
		if (t.type == BEN_END) {
			if (f == NULL)
				return fail(err, "an end without a start",
				    start, why_at);
			if (f->keyed)
				return fail(err, "a key without a value",
				    start, why_at);
			t.type = f->dict ? BEN_DICT : BEN_LIST;
			t.text = span_of(f->open + 1,
			    (size_t)(why_at - f->open) - 1);
			t.raw = span_of(f->open, (size_t)(c.p - f->open));
			depth--;
			*v = t;
			continue;
		}
		if (f && f->dict) {
			if (!f->keyed && t.type != BEN_STR)
				return fail(err, "a key that is not a string",
				    start, why_at);
			if (!f->keyed)
				note_key(f, t.text, notes);
			f->keyed = !f->keyed;
		}
		if (t.type == BEN_LIST || t.type == BEN_DICT) {
			if (depth == BEN_DEPTH_MAX)
				return fail(err, "nested too deep", start,
				    why_at);
			stack[depth++] = (struct frame){ .open = why_at,
			    .dict = t.type == BEN_DICT };
		}
		*v = t;
	} while (depth);
	*in = c;
	return WIRE_OK;
}

bool ben_token(struct cur *c, struct ben *v)
{
	unsigned notes = 0;
	const char *why;

	return take_token(c, v, &notes, &why) == WIRE_OK;
}

bool ben_item(struct cur *inside, struct ben *v)
{
	const uint8_t *open = inside->p;
	unsigned depth = 0;
	struct ben t;

	if (!ben_token(inside, v))
		return false;
	if (v->type == BEN_INT || v->type == BEN_STR)
		return true;
	for (depth = 1; depth && ben_token(inside, &t); )
		if (t.type == BEN_END)
			depth--;
		else if (t.type == BEN_LIST || t.type == BEN_DICT)
			depth++;
	v->raw = span_of(open, (size_t)(inside->p - open));
	v->text = span_of(open + 1, v->raw.n - 2);
	return true;
}

bool ben_pair(struct cur *inside, struct span *key, struct ben *v)
{
	struct ben k;

	if (!ben_token(inside, &k))
		return false;
	*key = k.text;
	return ben_item(inside, v);
}

bool ben_get(const struct ben *dict, const char *key, enum ben_type want,
    struct ben *v)
{
	struct span name = span_str(key), k;
	struct cur c = cur_of(dict->text);

	while (ben_pair(&c, &k, v))
		if (span_eq(k, name))
			return v->type == want;
	return false;
}

enum wire_status ben_dict(struct cur *in, struct ben *dict, unsigned *notes,
    const char *ends_early, const char *no_dict, struct wire_error *err)
{
	size_t n = cur_left(in);

	switch (ben_next(in, dict, notes, err)) {
	case WIRE_OK:
		if (dict->type == BEN_DICT)
			return WIRE_OK;
		*err = (struct wire_error){ no_dict, 0 };
		break;
	case WIRE_MORE:
		*err = (struct wire_error){ ends_early, n };
		break;
	case WIRE_BAD:
		break;
	}
	return WIRE_BAD;
}

void ben_take_count(const struct ben *v, int64_t *num, bool *odd)
{
	if (v->type != BEN_INT || v->num < 0 || *num != -1)
		*odd = true;
	else
		*num = v->num;
}
