#include "report/passkey.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schema/log.h"

#define SECRET_LEAST 16u

/* Where in a URL the next character stands. */
enum part { OUTSIDE, SLASH, HOST, PATH, QUERY_NAME, QUERY_VALUE };

struct mask {
	char *out;
	size_t n, room;
};

static void put(struct mask *m, const char *p, size_t n)
{
	if (n > m->room - 1 - m->n)
		n = m->room - 1 - m->n;
	memcpy(m->out + m->n, p, n);
	m->n += n;
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

/* A separator, as it is or percent-encoded; n: its length. */
static char separator(struct span s, size_t *n)
{
	static const char hex[][4] = { "%2f", "%3a", "%3f", "%3d", "%26",
		"%40", "%23" };
	static const char plain[] = "/:?=&@#";

	*n = 1;
	for (size_t i = 0; s.n >= 3 && i < sizeof(hex) / sizeof(hex[0]); i++)
		if (strncasecmp((const char *)s.p, hex[i], 3) == 0) {
			*n = 3;
			return plain[i];
		}
	return (char)s.p[0];
}

static bool looks_secret(struct span word)
{
	bool digit = false;

	for (size_t i = 0; i < word.n; i++)
		digit = digit || (word.p[i] >= '0' && word.p[i] <= '9');
	return digit && word.n >= SECRET_LEAST;
}

/* encoded: the separator was percent-encoded, as all are of a URL within a
 * link, whose own end it. */
static enum part after(enum part p, char c, bool encoded, bool link)
{
	if (link && !encoded && (c == '&' || c == '='))
		return OUTSIDE;
	switch (c) {
	case '/':
		if (p == SLASH)
			return HOST;
		return p == OUTSIDE ? SLASH : p >= QUERY_NAME ? p : PATH;
	case '?':
		return p == HOST || p == PATH ? QUERY_NAME : p;
	case '#':
		return p == OUTSIDE ? p : PATH;
	case '=':
		return p == QUERY_NAME ? QUERY_VALUE : p;
	case '&':
		return p == QUERY_VALUE ? QUERY_NAME : p;
	default:
		return p == SLASH ? OUTSIDE : p;
	}
}

static bool holds(struct span text, const char *what)
{
	return memmem(text.p, text.n, what, strlen(what)) != NULL;
}

size_t passkey_mask(struct span text, char *out, size_t room)
{
	struct mask m = { out, 0, room };
	bool link = text.n >= 7 &&
	    strncasecmp((const char *)text.p, "magnet:", 7) == 0;
	enum part part = OUTSIDE, was;
	size_t at = 0, n, host = 0;

	if (!link && !holds(text, "://")) {
		put(&m, (const char *)text.p, text.n);
		at = text.n;
	}
	while (at < text.n) {
		struct span rest = span_of(text.p + at, text.n - at), word;
		size_t from = at;
		char c;

		while (at < text.n && is_word((char)text.p[at]))
			at++;
		word = span_of(text.p + from, at - from);
		if (word.n > 0) {
			if (part == SLASH)
				part = OUTSIDE;
			if (part >= PATH && part < QUERY_VALUE &&
			    looks_secret(word))
				put(&m, PASSKEY_MARK, strlen(PASSKEY_MARK));
			else if (part != QUERY_VALUE)
				put(&m, (const char *)word.p, word.n);
			continue;
		}
		c = separator(rest, &n);
		if (part == HOST && c == '@') {
			m.n = host;
			put(&m, PASSKEY_MARK, strlen(PASSKEY_MARK));
		}
		was = part;
		part = after(part, c, n == 3, link);
		if (was != QUERY_VALUE || part != QUERY_VALUE)
			put(&m, (const char *)rest.p, n);
		if (was != QUERY_VALUE && part == QUERY_VALUE)
			put(&m, PASSKEY_MARK, strlen(PASSKEY_MARK));
		if (part == HOST && c == '/')
			host = m.n;
		at += n;
	}
	m.out[m.n] = '\0';
	return m.n;
}

static void masked(sqlite3_context *x, int n, sqlite3_value **v)
{
	const unsigned char *text = sqlite3_value_text(v[0]);
	size_t bytes = text ? (size_t)sqlite3_value_bytes(v[0]) : 0;
	size_t room = (bytes + 1) * sizeof(PASSKEY_MARK);
	char *out;

	(void)n;
	if (text == NULL || (memmem(text, bytes, "://", 3) == NULL &&
	    memmem(text, bytes, "magnet:", 7) == NULL)) {
		sqlite3_result_value(x, v[0]);
		return;
	}
	out = malloc(room);
	if (out == NULL) {
		sqlite3_result_error_nomem(x);
		return;
	}
	bytes = passkey_mask(span_of(text, bytes), out, room);
	sqlite3_result_text64(x, out, bytes, free, SQLITE_UTF8);
}

int passkey_hide(sqlite3 *db)
{
	static const char views[] =
	    "CREATE TEMP VIEW sighting AS SELECT swarm, ip, port, source, "
	    "masked(witness) AS witness, first_utc_ns, last_utc_ns, times, "
	    "first_seq FROM main.sighting;"
	    "CREATE TEMP VIEW coverage AS SELECT swarm, masked(source) AS "
	    "source, from_utc_ns, to_utc_ns, polls, failures FROM "
	    "main.coverage;"
	    "CREATE TEMP VIEW decoy_source AS SELECT source, masked(witness) "
	    "AS witness, asked, named FROM main.decoy_source;";

	if (sqlite3_create_function(db, "masked", 1, SQLITE_UTF8 |
	    SQLITE_DETERMINISTIC, NULL, masked, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(db, views, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	log_warn("report: %s", sqlite3_errmsg(db));
	return -1;
}
