#include "report/queries.h"

#include <stdlib.h>
#include <string.h>

#include "report/html.h"
#include "report/page.h"
#include "report/rows.h"
#include "schema/log.h"

static char *copy(const char *s)
{
	char *c = strdup(s);

	if (c == NULL)
		log_die("out of memory");
	return c;
}

/* Without comments, which no shell's command line takes at its start, tabs and
 * empty lines. Quoted text stays. */
static void tidy(char *sql)
{
	char *to = sql, quote = '\0';

	for (const char *p = sql; *p; p++) {
		if (quote == '\0' && p[0] == '-' && p[1] == '-') {
			p += strcspn(p, "\n");
			if (*p == '\0')
				break;
		}
		if (quote == '\0' && (*p == '\t' || *p == ' '))
			*to++ = ' ';
		else if (*p != '\n' || quote || (to > sql && to[-1] != '\n'))
			*to++ = *p;
		if (quote ? *p == quote : *p == '\'' || *p == '"')
			quote = quote ? '\0' : *p;
	}
	while (to > sql && (to[-1] == '\n' || to[-1] == ' '))
		to--;
	*to = '\0';
}

char *queries_tidy(const char *sql)
{
	char *own = copy(sql);

	tidy(own);
	return own;
}

char *queries_text(sqlite3_stmt *st)
{
	char *text = st ? sqlite3_expanded_sql(st) : NULL, *own;

	if (text == NULL)
		return NULL;
	own = queries_tidy(text);
	sqlite3_free(text);
	return own;
}

char *queries_bound(sqlite3 *db, const char *sql, const char *key)
{
	struct rows r;
	char *text;

	rows_open(&r, db, sql, key);
	text = queries_text(r.st);
	rows_close(&r);
	return text;
}

void queries_cite(struct queries *q, FILE *f, const char *what,
    const char *sql)
{
	size_t i = 0;

	if (sql == NULL)
		return;
	while (i < q->n && strcmp(q->at[i].sql, sql))
		i++;
	if (i == q->n) {
		struct query *more = realloc(q->at, (q->n + 1) *
		    sizeof(*more));

		if (more == NULL)
			log_die("out of memory");
		q->at = more;
		q->at[q->n++] = (struct query){ copy(what), copy(sql) };
	}
	fprintf(f, " <a class=q href=\"#q%zu\">Q%zu</a>", i + 1, i + 1);
}

void queries_cite_st(struct queries *q, FILE *f, const char *what,
    sqlite3_stmt *st)
{
	char *sql = queries_text(st);

	queries_cite(q, f, what, sql);
	free(sql);
}

void queries_cite_sql(struct queries *q, FILE *f, const char *what,
    sqlite3 *db, const char *sql, const char *key)
{
	char *text = queries_bound(db, sql, key);

	queries_cite(q, f, what, text);
	free(text);
}

void queries_write(struct queries *q, FILE *f, const struct subject *s)
{
	if (q->n == 0)
		return;
	fputs("<section>\n<h2 id=queries>The SQL behind the numbers</h2>\n<p>A "
	    "number is marked with the query that gives it again. The tables "
	    "of derived.db are made of evidence.db alone, by "
	    "schema/derived.sql. To run a query:</p>\n<pre>sqlite3 -readonly "
	    "CASE/derived.db \"ATTACH 'file:CASE/evidence.db?mode=ro' AS "
	    "evidence\" \"SQL\"</pre>\n", f);
	if (s->n > 1)
		fputs("<p>CASE is the one that is named where the mark "
		    "stands.</p>\n", f);
	if (s->pseudonyms)
		fputs("<p>They ran on the copy under pseudonyms. On the case "
		    "itself they give the same numbers, and the real "
		    "addresses.</p>\n", f);
	for (size_t i = 0; i < q->n; i++) {
		fprintf(f, "<h3 class=sid id=q%zu>Q%zu. ", i + 1, i + 1);
		html_plain(f, q->at[i].what);
		fputs("</h3>\n<pre class=sql>", f);
		html_plain(f, q->at[i].sql);
		fputs("</pre>\n", f);
	}
	fputs("</section>\n", f);
	queries_free(q);
}

void queries_free(struct queries *q)
{
	for (size_t i = 0; i < q->n; i++) {
		free(q->at[i].what);
		free(q->at[i].sql);
	}
	free(q->at);
	*q = (struct queries){ 0 };
}
