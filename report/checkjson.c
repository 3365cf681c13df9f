#include "report/checkjson.h"

#include <string.h>

struct text {
	const char *p, *end;
};

static bool take(struct text *t, char c)
{
	if (t->p == t->end || *t->p != c)
		return false;
	t->p++;
	return true;
}

static void blanks(struct text *t)
{
	while (t->p < t->end && (*t->p == ' ' || *t->p == '\t' ||
	    *t->p == '\n' || *t->p == '\r'))
		t->p++;
}

static bool word(struct text *t, const char *w, size_t n)
{
	if ((size_t)(t->end - t->p) < n || memcmp(t->p, w, n) != 0)
		return false;
	t->p += n;
	return true;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
	    (c >= 'A' && c <= 'F');
}

static bool escape(struct text *t)
{
	if (t->p == t->end)
		return false;
	if (*t->p != 'u') {
		if (*t->p == '\0' || !strchr("\"\\/bfnrt", *t->p))
			return false;
		t->p++;
		return true;
	}
	t->p++;
	for (int i = 0; i < 4; i++, t->p++)
		if (t->p == t->end || !is_hex(*t->p))
			return false;
	return true;
}

static bool string(struct text *t)
{
	if (!take(t, '"'))
		return false;
	while (t->p < t->end) {
		char c = *t->p++;

		if (c == '"')
			return true;
		if ((unsigned char)c < ' ' || (c == '\\' && !escape(t)))
			return false;
	}
	return false;
}

static bool digits(struct text *t)
{
	const char *from = t->p;

	while (t->p < t->end && *t->p >= '0' && *t->p <= '9')
		t->p++;
	return t->p > from;
}

static bool number(struct text *t)
{
	take(t, '-');
	if (!take(t, '0') && !digits(t))
		return false;
	if (take(t, '.') && !digits(t))
		return false;
	if (take(t, 'e') || take(t, 'E')) {
		if (!take(t, '+'))
			take(t, '-');
		return digits(t);
	}
	return true;
}

/* What may stand where a value is due, brackets aside. */
static bool plain(struct text *t)
{
	if (t->p == t->end)
		return false;
	switch (*t->p) {
	case '"':
		return string(t);
	case 't':
		return word(t, "true", 4);
	case 'f':
		return word(t, "false", 5);
	case 'n':
		return word(t, "null", 4);
	default:
		return number(t);
	}
}

static bool key(struct text *t)
{
	blanks(t);
	if (!string(t))
		return false;
	blanks(t);
	if (!take(t, ':'))
		return false;
	blanks(t);
	return true;
}

bool checkjson_object(const char *p, size_t n)
{
	struct text t = { p, p + n };
	bool object[CHECKJSON_DEPTH];	/* of each open bracket; else array */
	unsigned depth = 0;

	blanks(&t);
	if (t.p == t.end || *t.p != '{')
		return false;
	for (;;) {
		/* A value is due. */
		if (t.p < t.end && (*t.p == '{' || *t.p == '[')) {
			bool brace = *t.p++ == '{';

			if (depth == CHECKJSON_DEPTH)
				return false;
			object[depth++] = brace;
			blanks(&t);
			if (!take(&t, brace ? '}' : ']')) {
				if (brace && !key(&t))
					return false;
				continue;
			}
			depth--;
		} else if (!plain(&t)) {
			return false;
		}
		/* A value ended: what follows it. */
		for (;;) {
			blanks(&t);
			if (depth == 0)
				return t.p == t.end;
			if (take(&t, ','))
				break;
			if (!take(&t, object[depth - 1] ? '}' : ']'))
				return false;
			depth--;
		}
		blanks(&t);
		if (object[depth - 1] && !key(&t))
			return false;
	}
}
