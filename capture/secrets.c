#include "capture/secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/draw.h"
#include "schema/json.h"
#include "schema/log.h"
#include "wire/mix.h"

#define BUCKETS 4096u
#define LINE_MAX_BYTES 1024

struct entry {
	struct entry *next;
	uint8_t key[MSE_KEY];
	struct dissect_secret secret;
};

struct secrets {
	struct entry *bucket[BUCKETS];
	uint64_t key[MIX_KEYS(MSE_KEY)];	/* of the hash */
};

static void *must(void *p)
{
	if (!p)
		log_die("out of memory for secrets");
	return p;
}

/* Public keys are as good as random, if those who draw them like. */
static struct entry **chain(struct secrets *s, const uint8_t key[MSE_KEY])
{
	return &s->bucket[(mix_bytes(s->key, key, MSE_KEY) >> 32) % BUCKETS];
}

struct secrets *secrets_new(void)
{
	struct secrets *s = must(calloc(1, sizeof(*s)));

	draw_bits(s->key, sizeof(s->key));
	return s;
}

void secrets_free(struct secrets *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct entry *e; (e = s->bucket[i]); free(e))
			s->bucket[i] = e->next;
	free(s);
}

static void add(struct secrets *s, const uint8_t key[MSE_KEY],
    const struct dissect_secret *secret)
{
	struct entry **at = chain(s, key), *e = must(malloc(sizeof(*e)));

	*e = (struct entry){ .next = *at, .secret = *secret };
	memcpy(e->key, key, MSE_KEY);
	*at = e;
}

bool secrets_find(void *secrets, const uint8_t key[MSE_KEY],
    struct dissect_secret *secret)
{
	struct entry *e = *chain(secrets, key);

	while (e && memcmp(e->key, key, MSE_KEY) != 0)
		e = e->next;
	if (e)
		*secret = e->secret;
	return e != NULL;
}

/* --- where they come from --------------------------------------------------------- */

static struct span text(sqlite3_stmt *q, int column)
{
	return span_of(sqlite3_column_text(q, column),
	    (size_t)sqlite3_column_bytes(q, column));
}

int secrets_case(struct secrets *s, sqlite3 *db)
{
	static const char sql[] = "SELECT substr(raw.bytes, 1, 96), "
	    "json_extract(detail, '$.secret'), json_extract(detail, '$.skey') "
	    "FROM record JOIN raw USING (seq) WHERE kind = 'encrypted' AND "
	    "json_extract(detail, '$.secret') IS NOT NULL";
	sqlite3_stmt *q;
	int rc;

	if (sqlite3_prepare_v2(db, sql, -1, &q, NULL) != SQLITE_OK) {
		log_warn("the case's secrets: %s", sqlite3_errmsg(db));
		return -1;
	}
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		struct dissect_secret one = { .skey_known = false };

		if (sqlite3_column_bytes(q, 0) != MSE_KEY ||
		    !hex_read(text(q, 1), one.secret, MSE_KEY))
			continue;
		one.skey_known = hex_read(text(q, 2), one.skey, 20);
		add(s, sqlite3_column_blob(q, 0), &one);
	}
	sqlite3_finalize(q);
	if (rc == SQLITE_DONE)
		return 0;
	log_warn("the case's secrets: %s", sqlite3_errmsg(db));
	return -1;
}

static struct span field(struct cur *c)
{
	struct span f;

	while (cur_left(c) && (*c->p == ' ' || *c->p == '\t'))
		c->p++;
	f = span_of(c->p, 0);
	while (cur_left(c) && *c->p != ' ' && *c->p != '\t' &&
	    *c->p != '\r' && *c->p != '\n') {
		c->p++;
		f.n++;
	}
	return f;
}

static const char *read_line(struct secrets *s, struct span l)
{
	struct dissect_secret one = { .skey_known = false };
	uint8_t key[MSE_KEY];
	struct cur c = cur_of(l);
	struct span skey;

	if (!hex_read(field(&c), key, MSE_KEY))
		return "a public key of 192 hex digits was expected";
	if (!hex_read(field(&c), one.secret, MSE_KEY))
		return "a secret of 192 hex digits was expected";
	skey = field(&c);
	if (skey.n && !hex_read(skey, one.skey, 20))
		return "an infohash of 40 hex digits was expected";
	one.skey_known = skey.n != 0;
	if (field(&c).n)
		return "three fields were expected, and no more";
	add(s, key, &one);
	return NULL;
}

/* The rest of a comment. */
static bool pass_line(FILE *f)
{
	int c;

	while ((c = getc(f)) != EOF && c != '\n')
		;
	return true;
}

int secrets_file(struct secrets *s, const char *file)
{
	char line[LINE_MAX_BYTES], safe[256];
	FILE *f = fopen(file, "re");
	const char *why = NULL;
	int number = 0;

	log_safe(span_str(file), safe, sizeof(safe));
	if (!f) {
		log_warn("%s: %s", safe, strerror(errno));
		return -1;
	}
	while (!why && fgets(line, sizeof(line), f)) {
		number++;
		bool whole = strchr(line, '\n') || feof(f);

		if (!whole && line[0] == '#')
			whole = pass_line(f);
		if (!whole)
			why = "a line longer than any is";
		else if (line[strspn(line, " \t\r\n")] && line[0] != '#')
			why = read_line(s, span_str(line));
	}
	if (!why && ferror(f))
		why = "it cannot be read";
	fclose(f);
	if (why)
		log_warn("%s: line %d: %s", safe, number, why);
	return why ? -1 : 0;
}
