#include "report/check_run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/log.h"

#define UTC_GONE INT64_MIN	/* of a record that was erased */
#define LOG_LINE_MAX 256
/* A run is entered in the log, then recorded: so much later at most. */
#define LOG_LATE_S 60

/* A run as its record and its key's say. */
struct link {
	int64_t seq, utc_ns, number;	/* number 0: not stated */
	char prev[65], fingerprint[65];
	bool logged;			/* the key's log has it */
};

struct check_run {
	struct check *c;
	sqlite3 *db;
	sqlite3_stmt *run;
	int64_t open;		/* seq of the run not yet ended, -1 */
	int64_t last;		/* seq of the newest run, ended or not, -1 */
	int64_t last_utc_ns;	/* of the record before */
	struct link *link;
	size_t links;
	FILE *log;
};

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

/* --- the story ------------------------------------------------------------- */

/* What a run says of the one before, against the ledger. */
static bool tells_of_last(const struct check_run *r, sqlite3_stmt *s,
    int64_t seq)
{
	if (r->last < 0)
		return text(s, 0) == NULL;
	return sqlite3_column_type(s, 1) == SQLITE_INTEGER &&
	    sqlite3_column_int64(s, 1) == r->last &&
	    sqlite3_column_type(s, 2) == SQLITE_INTEGER &&
	    (sqlite3_column_int(s, 2) != 0) == (r->open < 0) &&
	    sqlite3_column_int64(s, 3) == seq &&
	    (r->last_utc_ns == UTC_GONE ||
	    sqlite3_column_int64(s, 4) == r->last_utc_ns);
}

static void add_link(struct check_run *r, sqlite3_stmt *s, int64_t seq,
    int64_t utc_ns)
{
	struct link *more = realloc(r->link, (r->links + 1) * sizeof(*more));

	if (!more)
		log_die("out of memory");
	r->link = more;
	more += r->links++;
	*more = (struct link){ .seq = seq, .utc_ns = utc_ns,
		.number = sqlite3_column_int64(s, 6) };
	if (text(s, 7))
		snprintf(more->prev, sizeof(more->prev), "%s", text(s, 7));
	if (more->number <= 0 || strlen(more->prev) != 64)
		check_wrong(r->c, seq, "does not say which run of its key it "
		    "is");
}

static void begin_run(struct check_run *r, int64_t seq, int64_t utc_ns)
{
	sqlite3_stmt *s = r->run;

	if (r->open >= 0)
		check_tell(r->c, false, "the run of record %" PRId64 " did not "
		    "end; the next begins at record %" PRId64, r->open, seq);
	if (check_ask(r->c, s, seq)) {
		if (!tells_of_last(r, s, seq))
			check_wrong(r->c, seq, "the run before is not as it "
			    "says");
		if (!text(s, 5) || strcmp(text(s, 5), r->c->case_id) != 0)
			check_wrong(r->c, seq, "is a run of another case");
		add_link(r, s, seq, utc_ns);
		if (sqlite3_column_type(s, 8) == SQLITE_INTEGER)
			check_tell(r->c, false, "record %" PRId64 " (run): a "
			    "checkpoint had been signed for %lld records, %"
			    PRId64 " were there: the others were lost or cut",
			    seq, (long long)sqlite3_column_int64(s, 8), seq);
	}
	r->open = r->last = seq;
	r->c->runs++;
}

/* Kinds that may follow an `end`. */
static bool needs_run(const char *kind)
{
	return strcmp(kind, "stamp") != 0 && strcmp(kind, "index") != 0 &&
	    strcmp(kind, "erased") != 0;
}

void check_run_record(struct check_run *r, int64_t seq, int64_t utc_ns,
    const char *kind)
{
	if (strcmp(kind, "run") == 0) {
		begin_run(r, seq, utc_ns);
	} else if (r->open < 0) {
		if (needs_run(kind))
			check_wrong(r->c, seq, "belongs to no run");
	} else if (strcmp(kind, "end") == 0) {
		r->open = -1;
		r->c->ended++;
	}
	r->last_utc_ns = utc_ns;
}

void check_run_gone(struct check_run *r)
{
	r->last_utc_ns = UTC_GONE;
}

void check_run_key(struct check_run *r, const char *fingerprint)
{
	struct link *l = r->links ? &r->link[r->links - 1] : NULL;

	if (l && l->seq == r->last)
		snprintf(l->fingerprint, sizeof(l->fingerprint), "%s",
		    fingerprint);
}

bool check_run_open(const struct check_run *r)
{
	return r->open >= 0;
}

/* --- the chain, by the case alone ------------------------------------------- */

static void digest(const char *line, size_t n, char out[65])
{
	uint8_t sum[32];

	SHA256((const uint8_t *)line, n, sum);
	hex_of(sum, sizeof(sum), out);
}

/* Whether the log's line of run l has that digest. It bears the second in which
 * the run was entered, a little before its record. */
static bool line_gives(const struct check_run *r, const struct link *l,
    const char *want)
{
	time_t at = (time_t)(l->utc_ns / 1000000000);
	char line[LOG_LINE_MAX], when[32], hex[65];
	struct tm tm;

	for (int late = 0; late <= LOG_LATE_S; late++, at--) {
		int n;

		gmtime_r(&at, &tm);
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
		n = snprintf(line, sizeof(line), "%" PRId64 " %s %s %" PRId64
		    " %s", l->number, when, r->c->case_id, l->seq, l->prev);
		digest(line, (size_t)n, hex);
		if (strcmp(hex, want) == 0)
			return true;
	}
	return false;
}

static void check_chain(struct check_run *r)
{
	for (size_t i = 0; i < r->links; i++) {
		const struct link *l = &r->link[i], *before = NULL;

		for (size_t k = i; k-- > 0 && !before;)
			if (strcmp(r->link[k].fingerprint, l->fingerprint) == 0)
				before = &r->link[k];
		if (!before || l->number <= 0)
			continue;
		if (l->number <= before->number)
			check_wrong(r->c, l->seq, "its key counts backwards");
		else if (l->number == before->number + 1 &&
		    !line_gives(r, before, l->prev))
			check_wrong(r->c, l->seq, "it does not chain to its "
			    "key's run before, which is in this case too");
		else if (l->number == before->number + 1)
			r->c->chained++;
		else if (!r->log)
			check_tell(r->c, false, "between the runs of records %"
			    PRId64 " and %" PRId64 " its key had %" PRId64
			    " more: --key-log says where", before->seq, l->seq,
			    l->number - before->number - 1);
	}
}

/* --- the chain, by the key's log --------------------------------------------- */

struct entry {
	int64_t number, first_seq;
	char case_id[40], prev[65];
};

static bool read_entry(const char *line, struct entry *e)
{
	char when[40];
	int end = 0;

	return sscanf(line, "%" SCNd64 " %39s %39s %" SCNd64 " %64s%n",
	    &e->number, when, e->case_id, &e->first_seq, e->prev, &end) == 5 &&
	    line[end] == '\0' && strlen(e->prev) == 64;
}

/* An entry about this case: which of its runs is it? */
static void meet_entry(struct check_run *r, const struct entry *e,
    const struct entry *next, int64_t records)
{
	for (size_t i = 0; i < r->links; i++) {
		struct link *l = &r->link[i];

		if (l->seq != e->first_seq || l->number != e->number)
			continue;
		l->logged = strcmp(l->prev, e->prev) == 0;
		if (!l->logged)
			check_wrong(r->c, l->seq, "its key_prev is not that of "
			    "the key's log");
		return;
	}
	if (e->first_seq < r->c->from)
		return;
	if (next && strcmp(next->case_id, e->case_id) == 0 &&
	    next->first_seq == e->first_seq)
		check_tell(r->c, false, "run %" PRId64 " of the key left no "
		    "record here: it was cut short at once", e->number);
	else
		check_tell(r->c, true, "run %" PRId64 " of the key wrote to "
		    "this case from record %" PRId64 " on, says the key's log; "
		    "the case, of %" PRId64 " records, holds nothing of it: it "
		    "was cut back, or that run was cut short at once",
		    e->number, e->first_seq, records);
}

static void check_log(struct check_run *r, int64_t records)
{
	struct entry e[2] = { 0 };	/* this line's and the next */
	char *line = NULL, prev[65];
	size_t room = 0;
	int64_t due = 1;
	bool have = false;
	ssize_t n;

	memset(prev, '0', 64);
	prev[64] = '\0';
	while ((n = getline(&line, &room, r->log)) > 0 && line[n - 1] == '\n') {
		line[n - 1] = '\0';
		if (!read_entry(line, &e[1]) || e[1].number != due ||
		    strcmp(e[1].prev, prev) != 0) {
			check_tell(r->c, true, "the key's log: line %" PRId64
			    " does not chain to the one before", due);
			break;
		}
		digest(line, (size_t)n - 1, prev);
		due++;
		if (have && strcmp(e[0].case_id, r->c->case_id) == 0)
			meet_entry(r, &e[0], &e[1], records);
		e[0] = e[1];
		have = true;
	}
	if (have && strcmp(e[0].case_id, r->c->case_id) == 0)
		meet_entry(r, &e[0], NULL, records);
	free(line);
	r->c->log_runs = due - 1;
	for (size_t i = 0; i < r->links; i++)
		if (strcmp(r->link[i].fingerprint, r->c->fingerprint) == 0 &&
		    !r->link[i].logged)
			check_wrong(r->c, r->link[i].seq, "is not in the key's "
			    "log");
		else if (r->link[i].logged)
			r->c->logged++;
}

void check_run_end(struct check_run *r, int64_t records)
{
	check_chain(r);
	if (r->log)
		check_log(r, records);
	if (r->open >= 0)
		check_tell(r->c, false, "the run of record %" PRId64
		    " did not end, or has not yet", r->open);
}

/* --- beginning ------------------------------------------------------------- */

void check_run_prefix(struct check_run *r)
{
	sqlite3_stmt *s = check_query(r->c, r->db, "SELECT seq, utc_ns, kind FROM "
	    "record WHERE seq < ?1 AND kind IN ('run','end') ORDER BY seq");
	sqlite3_stmt *last = check_query(r->c, r->db, "SELECT seq, utc_ns FROM "
	    "record WHERE seq < ?1 ORDER BY seq DESC LIMIT 1");

	sqlite3_bind_int64(s, 1, r->c->from);
	while (check_step(r->c, s)) {
		bool run = strcmp(text(s, 2), "run") == 0;

		r->open = run ? sqlite3_column_int64(s, 0) : -1;
		if (run)
			r->last = r->open;
	}
	sqlite3_bind_int64(last, 1, r->c->from);
	r->last_utc_ns = UTC_GONE;
	if (check_step(r->c, last) &&
	    sqlite3_column_int64(last, 0) == r->c->from - 1)
		r->last_utc_ns = sqlite3_column_int64(last, 1);
	sqlite3_finalize(s);
	sqlite3_finalize(last);
}

struct check_run *check_run_new(struct check *c, sqlite3 *db)
{
	struct check_run *r = calloc(1, sizeof(*r));
	char safe[200];

	if (!r)
		log_die("out of memory");
	r->c = c;
	r->db = db;
	r->open = r->last = -1;
	r->run = check_query(c, db, "SELECT json_extract(detail,'$.previous'), "
	    "json_extract(detail,'$.previous.seq'), "
	    "json_extract(detail,'$.previous.ended'), "
	    "json_extract(detail,'$.previous.records'), "
	    "json_extract(detail,'$.previous.last_utc_ns'), "
	    "json_extract(detail,'$.case_id'), "
	    "json_extract(detail,'$.key_run'), "
	    "json_extract(detail,'$.key_prev'), "
	    "json_extract(detail,'$.lost.size') FROM record "
	    "WHERE seq=?1 AND json_valid(detail)");
	if (c->key_log && !(r->log = fopen(c->key_log, "re"))) {
		log_warn("%s: %s", log_safe(span_str(c->key_log), safe,
		    sizeof(safe)), strerror(errno));
		check_run_free(r);
		return NULL;
	}
	return r;
}

void check_run_free(struct check_run *r)
{
	if (!r)
		return;
	sqlite3_finalize(r->run);
	if (r->log)
		fclose(r->log);
	free(r->link);
	free(r);
}
