/*
 * Statements about one endpoint on one day: a sentence, the SQL whose result
 * it was worded from, that result, and the records behind it. The SQL printed
 * is the SQL that ran: `sqlite3 derived.db` with the evidence attached gives
 * the same result again. Sentences hold our words and numbers only; what
 * strangers wrote stands in tables.
 */
#ifndef REPORT_STATEMENT_H
#define REPORT_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

enum side {
	SIDE_OBSERVED,		/* what was observed */
	SIDE_LIMITS		/* what speaks against it, or limits it */
};

struct statement {
	enum side side;
	char *text;
	char *sql;
	char *result;		/* as sqlite3 prints it: columns by | */
	char *records;		/* seqs, comma-separated; NULL: none */
};

struct statements {
	struct statement *at;
	size_t n;
};

/* A conversation, and how far its records reach. */
struct talk {
	int64_t conn, last_seq;
	bool ours;		/* the observer was one end */
};

/* Whom and when statements are about. */
struct scope {
	sqlite3 *db;
	const char *swarm, *ip;
	int port;
	int64_t from_utc_ns, to_utc_ns;		/* to: exclusive */
	const struct talk *talk;
	size_t talks;
};

/* Adds all that the rules have to say. -1 logged. */
int statements_make(struct statements *out, const struct scope *s);
void statements_free(struct statements *out);

#endif
