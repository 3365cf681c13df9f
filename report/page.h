/* The pages of a report: no script, nothing fetched from anywhere. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include <stdio.h>

#include "report/endpoints.h"
#include "report/facts.h"
#include "report/geo.h"
#include "report/manifest.h"

struct references;
/* What is reported on. */
struct subject {
	const struct facts *cases;
	size_t n;
	const struct geo *geo;
	const char *swarm;	/* only this one, or NULL: all */
	struct endpoints_of of;	/* with an ip: an address record */
	const struct references *references;	/* lawful copies, or NULL */
	bool case_uco;		/* also as a graph of CASE/UCO */
	bool pseudonyms;	/* no address in it is the real one */
};

struct address;
/* address.html; addresses: one for each case. -1 logged. */
int page_address(FILE *f, const struct subject *s, const struct address *a);

/* index.html, the case report, with the exhibits that m holds so far. -1
 * logged. */
int page_write(FILE *f, const struct subject *s, const struct manifest *m);

/* A page of a swarm, and of its list of endpoints. */
struct page_of {
	int swarm;		/* from 1, over all cases */
	int page, pages;	/* of the list, from 1 */
};
#define PAGE_ROWS 1000
#define PAGES_MOST 50		/* of one list; the CSV has all */
#define PAGE_NAME_MAX 64

struct composition;
/* swarm-N.html; rows: endpoints it has in all. -1 logged. */
int page_swarm(FILE *f, const struct subject *s, const struct facts *c,
    const char *swarm, const struct composition *m, const struct page_of *of,
    int64_t rows);

/* swarm-N-endpoints-K.html: r, the first of its rows, is there already; after
 * it r is the first of the next page. 1 if there is one, 0 if that was the
 * last. */
int page_list(FILE *f, const struct subject *s, struct endpoints *e,
    struct endpoint_row *r, const struct page_of *of);
void page_list_name(char name[PAGE_NAME_MAX], int swarm, int page);

/* The columns of table swarm for the swarms of the subject; ?1 is s->swarm or
 * an empty text. */
#define SUBJECT_SWARMS \
	SWARM_STEPS " SELECT swarm, name, total_bytes, piece_bytes, pieces, " \
	"version, private FROM swarm WHERE ?1 IN ('', swarm) UNION " \
	"SELECT swarm, NULL, NULL, NULL, NULL, NULL, NULL " \
	"FROM s WHERE ?1 IN ('', swarm) AND swarm NOT IN " \
	"(SELECT swarm FROM swarm) ORDER BY swarm"
/* Those of one that is known to be there. */
#define SUBJECT_SWARM \
	"SELECT ?1, name, total_bytes, piece_bytes, pieces, version, private " \
	"FROM (SELECT 1) LEFT JOIN swarm ON swarm = ?1"

/* What each source named, what of that was tried and answered, and for how
 * many decoys it named peers of how many: ?1 the swarm. */
#define SUBJECT_SOURCES \
	"SELECT s.source, s.witness, count(*), sum(EXISTS (SELECT 1 FROM " \
	"endpoint AS e WHERE e.swarm = s.swarm AND e.ip = s.ip AND e.port = " \
	"s.port AND e.port_kind = 'remote')), sum(EXISTS (SELECT 1 FROM " \
	"endpoint AS e WHERE e.swarm = s.swarm AND e.ip = s.ip AND e.port = " \
	"s.port AND e.port_kind = 'remote' AND e.level > 0)), " \
	"coalesce((SELECT d.named FROM decoy_source AS d WHERE d.source = " \
	"s.source AND d.witness = s.witness), 0), coalesce((SELECT d.asked " \
	"FROM decoy_source AS d WHERE d.source = s.source AND d.witness = " \
	"s.witness), 0) " \
	"FROM sighting AS s WHERE s.swarm = ?1 AND s.source <> 'incoming' " \
	"GROUP BY 1, 2 ORDER BY 1, 2"

#define SUBJECT_COVERAGE \
	"SELECT source, from_utc_ns, to_utc_ns, polls, failures FROM " \
	"coverage WHERE swarm = ?1 ORDER BY source, from_utc_ns, to_utc_ns"

#endif
