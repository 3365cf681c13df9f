/*
 * The rooms of the audit command: what was found of each claim, and the
 * writers of its files.
 */
#ifndef REPORT_AUDIT_IMPL_H
#define REPORT_AUDIT_IMPL_H

#include <stdio.h>

#include "report/claim.h"
#include "report/page.h"
#include "report/rows.h"
#include "report/shift.h"
#include "report/sights.h"
#include "report/verdict.h"

#define AUDIT_PAGES 1000	/* of the first claims; all are in the CSV */
#define AUDIT_ROWS 5000		/* of the summary page's table */

/* The SQL that gives the numbers of a claim's page again. */
enum asked {
	ASK_CASE,		/* what the case holds about it, kind by kind */
	ASK_OTHERS,		/* who else was seen with the torrent then */
	ASK_WATCHED,		/* when what was watched */
	ASK_COUNT,
	ASK_NOTHING = ASK_COUNT	/* the row itself says it, or its table */
};

/* One ground of a verdict, in our words. */
struct reason {
	bool against;		/* speaks against the claim, or limits it */
	char *text;
	int64_t seq;		/* a record behind it, -1 */
	enum asked asked;
};

struct judged {
	enum verdict verdict;
	int level;		/* -1: none */
	bool has_nearest;
	int64_t nearest_ns, distance_ns, nearest_seq;
	int64_t from_ns, to_ns;	/* of the nearest: when it was so */
	bool before;
	char swarm[65];
	int64_t reach_ns;	/* --within and the clock's bound */
	struct reason *reason;
	size_t reasons;
};

struct audit {
	const char *file;	/* of the claims, its last part */
	char sha256[65];	/* of its bytes */
	int64_t bytes;
	struct subject subject;	/* the one case */
	struct claimlist claims;
	struct judged *judged;	/* one for each claim */
	const struct claim **order;	/* all, those of one address together:
					 * see sights_of */
	int require;
	int64_t within_ns;
	const char *zone;	/* as given, or NULL: UTC */
	const char *const *map;
	size_t maps;
	struct shift shift;
	size_t over[VERDICT_UNREADABLE + 1];
	size_t duplicates, portless, zero_sessions, at_once;
};

/* Judges claim i. -1 logged. */
int audit_judge(struct audit *a, struct sights *s, size_t i);
/* The shift, looked for over all; adds its reasons. -1 logged. */
int audit_shift(struct audit *a, struct sights *s);
void audit_free(struct audit *a);

/* Each a file of the audit. -1 logged; whether f took it, its closer sees. */
int audit_csv(FILE *f, const struct audit *a);
int audit_json(FILE *f, const struct audit *a);
int audit_index(FILE *f, const struct audit *a);
int audit_claim(FILE *f, const struct audit *a, size_t i);

/* What the query finds, and its text, in which the values of a claim stand
 * where audit_bind puts them: :ip, :port, :infohash, :swarm, :from_ns, :to_ns,
 * :reach_ns. Some texts are others for a low --require. */
const char *audit_ask_name(enum asked which);	/* NULL: nothing */
const char *audit_asks(enum asked which);
const char *audit_sql(const struct audit *a, enum asked which);
/* The statement with the values of claim i, which are lent; rows_close it. */
void audit_bind(const struct audit *a, size_t i, enum asked which,
    struct rows *q);

/* "1 h 00 min later", "90.0 s earlier". */
const char *audit_shift_text(int64_t ns, char buf[64]);
/* "12.345" */
const char *audit_seconds(int64_t ns, char buf[32]);
/* The claimed time in ISO 8601, as fine as it was written. */
const char *audit_utc(const struct claim *c, char buf[48]);

#endif
