#include "schema/lasthead.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/log.h"

#define NAME "checkpoint.txt"

void lasthead_read(struct lasthead *h, const char *case_path)
{
	const struct casedir dir = { .path = (char *)case_path };
	char *file = casedir_file(&dir, NAME);
	ssize_t n;

	*h = (struct lasthead){ 0 };
	n = casedir_slurp(file, h->note, sizeof(h->note));
	free(file);
	h->there = n >= 0;
	h->n = n < 0 ? 0 : (size_t)n;
	h->reads = h->n > 0 && h->n < NOTE_MAX &&
	    note_read(span_of(h->note, h->n), &h->is) == NULL;
	h->note[h->n < sizeof(h->note) ? h->n : sizeof(h->note) - 1] = '\0';
}

bool lasthead_lost(const struct lasthead *h, const char *case_id,
    int64_t records)
{
	char origin[NOTE_NAME_MAX];

	snprintf(origin, sizeof(origin), "swarmwitness/%s", case_id);
	return h->reads && (strcmp(h->is.origin, origin) != 0 ||
	    h->is.size > (uint64_t)records);
}

void lasthead_warn(const struct lasthead *h, const char *case_path,
    int64_t records)
{
	log_warn("%s: checkpoint.txt is signed for %" PRIu64 " records, "
	    "evidence.db holds %" PRId64 ": records were lost or cut",
	    case_path, h->is.size, records);
}

bool lasthead_look(const struct lasthead *h, const char *case_path,
    sqlite3 *db)
{
	sqlite3_stmt *s = NULL;
	bool lost = false;

	if (sqlite3_prepare_v2(db, "SELECT (SELECT value FROM meta WHERE "
	    "name = 'case_id'), (SELECT coalesce(max(seq) + 1, 0) FROM "
	    "record)", -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW && sqlite3_column_text(s, 0))
		lost = lasthead_lost(h, (const char *)
		    sqlite3_column_text(s, 0), sqlite3_column_int64(s, 1));
	if (lost)
		lasthead_warn(h, case_path, sqlite3_column_int64(s, 1));
	sqlite3_finalize(s);
	return lost;
}

void lasthead_put(const struct casedir *c, const char *note, bool sync)
{
	casedir_put_soon(c, NAME, span_str(note), sync);
}

int lasthead_end(const struct casedir *c, const char *note)
{
	return casedir_put(c, NAME, span_str(note));
}
