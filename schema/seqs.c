#include "schema/seqs.h"

#include <stdio.h>
#include <stdlib.h>

#include "schema/log.h"

void seqs_add(struct seqs *s, int64_t seq)
{
	if (s->n == s->room) {
		s->room = 2 * s->room + 64;
		s->seq = realloc(s->seq, s->room * sizeof(*s->seq));
		if (s->seq == NULL)
			log_die("out of memory");
	}
	s->seq[s->n++] = seq;
}

void seqs_free(struct seqs *s)
{
	free(s->seq);
	*s = (struct seqs){ 0 };
}

static int by_number(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void seqs_sort(struct seqs *s)
{
	size_t n = 0;

	if (s->n)
		qsort(s->seq, s->n, sizeof(*s->seq), by_number);
	for (size_t i = 0; i < s->n; i++)
		if (n == 0 || s->seq[n - 1] != s->seq[i])
			s->seq[n++] = s->seq[i];
	s->n = n;
}

bool seqs_has(const struct seqs *s, int64_t seq)
{
	return s->n && bsearch(&seq, s->seq, s->n, sizeof(seq), by_number);
}

char *seqs_text(const struct seqs *s)
{
	char *out = malloc(s->n * 21 + 1), *p = out;

	if (out == NULL)
		log_die("out of memory");
	*p = '\0';
	for (size_t i = 0; i < s->n; i++)
		p += snprintf(p, 22, "%s%lld", i ? "," : "",
		    (long long)s->seq[i]);
	return out;
}

bool seqs_read(const char *text, struct seqs *s)
{
	while (*text) {
		int64_t v = 0;
		const char *from = text;

		for (; *text >= '0' && *text <= '9'; text++) {
			if (v > (INT64_MAX - 9) / 10)
				return false;
			v = v * 10 + (*text - '0');
		}
		if (text == from || (*from == '0' && text - from > 1) ||
		    (s->n && v <= s->seq[s->n - 1]) ||
		    (*text == ',' && text[1] == '\0') ||
		    (*text != ',' && *text != '\0'))
			return false;
		seqs_add(s, v);
		text += *text == ',';
	}
	return true;
}
