#include "report/pseudonym.h"

#include <ctype.h>
#include <string.h>

#include "schema/log.h"

/* Values of these keys look like addresses without being any. */
static const char *const wary[] = { "client", "name", "path", "file", "files",
    "version", NULL };
/* Ids: stable, and known to whoever met the same client elsewhere. */
static const struct {
	const char *key;
	size_t keep;		/* bytes: of a peer id, what client it says */
} ids[] = {
	{ "peer_id", 8 }, { "node_id", 0 }, { "named_as", 0 }, { "own_id", 0 },
};
/* Bytes in hex that hold or open what raw bytes would. */
static const char *const bytes[] = { "token", "request", "secret", "pad_a",
    "pad_b", "pad_c", "pad_d", "ia", "cookie", NULL };

static bool among(const char *const *list, struct span key)
{
	for (; *list; list++)
		if (span_is(key, *list))
			return true;
	return false;
}

static bool word(int c)
{
	return isalnum(c) || c == '_';
}

static bool put(const struct pseudonym_text *t, struct span text, bool only,
    FILE *out)
{
	char ip[ENDPOINT_IP_MAX];
	struct endpoint e;

	if (!endpoint_parse_ip(text, &e))
		return false;
	endpoint_ip(&e, ip);
	if (only && !t->known(t->ctx, ip))
		return false;
	e = pseudonym_of(t->p, &e);
	fputs(endpoint_ip(&e, ip), out);
	return true;
}

/* The end of `groups` numbers with a dot between each two, from `from` on; 0:
 * there are not so many. */
static size_t numbers(const uint8_t *p, size_t n, size_t from, unsigned groups)
{
	size_t i = from;

	for (unsigned g = 0; g < groups; g++) {
		size_t start = i;

		while (i < n && p[i] != '.')
			i++;
		if (i == start)
			return 0;
		if (g + 1 < groups && i++ == n)
			return 0;
	}
	return i;
}

/* The run of digits and dots at p: each four numbers of it in a row. */
static size_t put_dotted(const struct pseudonym_text *t, const uint8_t *p,
    size_t n, bool only, FILE *out)
{
	size_t i = 0, end;

	while (i < n) {
		if ((i == 0 || p[i - 1] == '.') &&
		    (end = numbers(p, n, i, 4)) != 0) {
			/* more than four are no address, unless we know it */
			bool more = (i > 1) || (end + 1 < n);

			if (put(t, span_of(p + i, end - i), only || more,
			    out)) {
				i = end;
				continue;
			}
		}
		fputc(p[i++], out);
	}
	return n;
}

/* The run of hex digits, colons and dots at p, if it is an IPv6 address. */
static size_t put_colons(const struct pseudonym_text *t, const uint8_t *p,
    size_t n, int before, int after, bool only, FILE *out)
{
	size_t from = 0, to = n, colons = 0;

	while (to > from && p[to - 1] == '.')
		to--;
	if (to - from > 1 && p[to - 1] == ':' && p[to - 2] != ':')
		to--;
	if (to - from > 1 && p[0] == ':' && p[1] != ':')
		from++;
	for (size_t i = from; i < to; i++)
		colons += p[i] == ':';
	if (colons < 2 || (from == 0 && word(before)) ||
	    (to == n && word(after)))
		return 0;
	if (!endpoint_parse_ip(span_of(p + from, to - from),
	    &(struct endpoint){ 0 }))
		return 0;
	fwrite(p, 1, from, out);
	if (!put(t, span_of(p + from, to - from), only, out))
		fwrite(p + from, 1, to - from, out);
	fwrite(p + to, 1, n - to, out);
	return n;
}

static size_t run_of(const uint8_t *p, size_t n, const char *set)
{
	size_t i = 0;

	while (i < n && p[i] && strchr(set, p[i]))
		i++;
	return i;
}

/* json: backslashes are escapes, and what follows one is no digit of ours. */
static void scan(const struct pseudonym_text *t, struct span text, bool only,
    bool json, FILE *out)
{
	const uint8_t *p = text.p;
	size_t n = text.n, i = 0, k;
	int before = ' ';

	while (i < n) {
		if (json && p[i] == '\\') {
			k = i + 1 < n && p[i + 1] == 'u' ? 6 : 2;
			k = k < n - i ? k : n - i;
			fwrite(p + i, 1, k, out);
			i += k;
			before = ' ';
			continue;
		}
		if (p[i] == '%' && n - i > 2 && isxdigit(p[i + 1]) &&
		    isxdigit(p[i + 2])) {	/* as URLs have it */
			fwrite(p + i, 1, 3, out);
			i += 3;
			before = ' ';
			continue;
		}
		k = run_of(p + i, n - i, "0123456789abcdefABCDEF:.");
		if (k && memchr(p + i, ':', k) && put_colons(t, p + i, k,
		    before, i + k < n ? p[i + k] : ' ', only, out)) {
			i += k;
			before = p[i - 1];
			continue;
		}
		k = run_of(p + i, n - i, "0123456789.");
		if (k) {
			i += put_dotted(t, p + i, k, only, out);
		} else {
			/* the rest of a word, so that no run begins in it */
			k = run_of(p + i, n - i, "abcdefABCDEF");
			k = k ? k : 1;
			fwrite(p + i, 1, k, out);
			i += k;
		}
		before = p[i - 1];
	}
}

void pseudonym_text(const struct pseudonym_text *t, struct span text,
    bool only, FILE *out)
{
	scan(t, text, only, false, out);
}

static bool nowhere(void *ctx, const char *ip)
{
	(void)ctx;
	(void)ip;
	return false;
}

char *pseudonym_copy(const struct pseudonym *p, const char *text)
{
	struct pseudonym_text t = { p, nowhere, NULL };
	char *made = NULL;
	size_t n;
	FILE *f = open_memstream(&made, &n);

	if (f == NULL)
		log_die("out of memory");
	if (p)
		pseudonym_text(&t, span_str(text), false, f);
	else
		fputs(text, f);
	if (fclose(f) != 0)
		log_die("out of memory");
	return made;
}

static bool hex_id(struct span v)
{
	return v.n > 0 && v.n <= 64 && v.n % 2 == 0 &&
	    run_of(v.p, v.n, "0123456789abcdef") == v.n;
}

/* A string value. */
static void put_value(const struct pseudonym_text *t, struct span key,
    struct span v, FILE *out)
{
	char id[65];

	if (among(bytes, key)) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (span_is(key, ids[i].key) && hex_id(v)) {
			pseudonym_id(t->p, v, ids[i].keep, id);
			fprintf(out, "%s\"", id);
			return;
		}
	scan(t, v, among(wary, key), true, out);
	fputc('"', out);
}

void pseudonym_detail(const struct pseudonym_text *t, struct span json,
    FILE *out)
{
	struct span key = span_str("");
	size_t i = 0;

	while (i < json.n) {
		size_t from = i + 1, end = from, next;

		if (json.p[i] != '"') {
			fputc(json.p[i++], out);
			continue;
		}
		while (end < json.n && json.p[end] != '"')
			end += json.p[end] == '\\' ? 2 : 1;
		if (end > json.n)
			end = json.n;
		next = end < json.n ? end + 1 : json.n;
		if (next < json.n && json.p[next] == ':') {
			key = span_of(json.p + from, end - from);
			fputc('"', out);
			scan(t, key, false, true, out);
			fputc('"', out);
		} else {
			put_value(t, key, span_of(json.p + from, end - from),
			    out);
		}
		i = next;
	}
}
