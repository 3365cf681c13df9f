#include "report/statement.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/rows.h"
#include "report/rule.h"
#include "schema/log.h"

static void put_talk(FILE *f, const struct talk *t, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%s(%" PRId64 ", %" PRId64 ")", i ? ", " : "",
		    t[i].conn, t[i].last_seq);
}

/* A literal, whatever a stranger's derived.db holds. */
static void put_text(FILE *f, const char *s)
{
	fputc('\'', f);
	for (; *s; s++) {
		if (*s == '\'')
			fputc('\'', f);
		fputc(*s, f);
	}
	fputc('\'', f);
}

/* The SQL with its words replaced. */
static char *filled(const char *sql, const struct scope *s)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (f == NULL)
		log_die("out of memory");
	for (const char *p = sql; *p; p++) {
		if (strncmp(p, "$swarm", 6) == 0) {
			put_text(f, s->swarm);
			p += 5;
		} else if (strncmp(p, "$ip", 3) == 0) {
			put_text(f, s->ip);
			p += 2;
		} else if (strncmp(p, "$port", 5) == 0) {
			fprintf(f, "%d", s->port);
			p += 4;
		} else if (strncmp(p, "$from", 5) == 0) {
			fprintf(f, "%" PRId64, s->from_utc_ns);
			p += 4;
		} else if (strncmp(p, "$to", 3) == 0) {
			fprintf(f, "%" PRId64, s->to_utc_ns);
			p += 2;
		} else if (strncmp(p, "$talk", 5) == 0) {
			put_talk(f, s->talk, s->talks);
			p += 4;
		} else {
			fputc(*p, f);
		}
	}
	if (fclose(f))
		log_die("out of memory");
	return text;
}

/* The row as sqlite3's list mode prints it. */
static char *result_of(const struct rows *q)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (f == NULL)
		log_die("out of memory");
	for (int i = 0; i < sqlite3_column_count(q->st); i++)
		fprintf(f, "%s%s", i ? "|" : "", rows_text(q, i) ?
		    rows_text(q, i) : "");
	if (fclose(f))
		log_die("out of memory");
	return text;
}

static void trim(char *s)
{
	size_t n = strlen(s);

	while (n && s[n - 1] == ' ')
		s[--n] = '\0';
}

static void add(struct statements *out, enum side side, char *text,
    const char *sql, const char *result, const char *records)
{
	struct statement *more;

	trim(text);
	if (*text == '\0') {
		free(text);
		return;
	}
	more = realloc(out->at, (out->n + 1) * sizeof(*more));
	if (more == NULL)
		log_die("out of memory");
	out->at = more;
	out->at[out->n++] = (struct statement){ .side = side, .text = text,
		.sql = strdup(sql), .result = strdup(result),
		.records = records ? strdup(records) : NULL };
}

static int run(struct statements *out, const struct scope *s,
    const struct rule *rule, const char *sql_template, int64_t conn)
{
	char *sql = filled(sql_template, s), *result, *text[2] = { NULL, NULL };
	size_t n[2];
	FILE *f[2];
	struct rows q;

	rows_open(&q, s->db, sql, NULL);
	if (rows_next(&q)) {
		result = result_of(&q);
		for (int i = 0; i < 2; i++) {
			f[i] = open_memstream(&text[i], &n[i]);
			if (f[i] == NULL)
				log_die("out of memory");
		}
		if (rule)
			rule->say(&q, f[0], f[1]);
		else
			rule_challenge(&q, f[0], f[1], conn);
		for (int i = 0; i < 2; i++)
			if (fclose(f[i]))
				log_die("out of memory");
		for (int i = 0; i < 2; i++)
			add(out, i ? SIDE_LIMITS : SIDE_OBSERVED, text[i], sql,
			    result, rows_text(&q, sqlite3_column_count(q.st)
			    - 1));
		free(result);
	}
	free(sql);
	return rows_close(&q);
}

/* What was observed first, each side in the rules' order. */
static void order(struct statements *out)
{
	struct statement *s = calloc(out->n ? out->n : 1, sizeof(*s));
	size_t n = 0;

	if (s == NULL)
		log_die("out of memory");
	for (int side = SIDE_OBSERVED; side <= SIDE_LIMITS; side++)
		for (size_t i = 0; i < out->n; i++)
			if ((int)out->at[i].side == side)
				s[n++] = out->at[i];
	free(out->at);
	out->at = s;
}

int statements_make(struct statements *out, const struct scope *s)
{
	int r = run(out, s, &rule_named, rule_named.sql, 0);

	for (size_t i = 0; r == 0 && s->talks &&
	    i < rules_n; i++)
		r = run(out, s, &rules[i], rules[i].sql, 0);
	for (size_t i = 0; r == 0 && i < s->talks; i++) {
		struct scope one = *s;

		if (!s->talk[i].ours)
			continue;
		one.talk = &s->talk[i];
		one.talks = 1;
		r = run(out, &one, NULL, rule_challenge_sql, s->talk[i].conn);
	}
	order(out);
	return r;
}

void statements_free(struct statements *out)
{
	for (size_t i = 0; i < out->n; i++) {
		free(out->at[i].text);
		free(out->at[i].sql);
		free(out->at[i].result);
		free(out->at[i].records);
	}
	free(out->at);
	*out = (struct statements){ 0 };
}
