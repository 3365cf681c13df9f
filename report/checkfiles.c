#include "report/check_index.h"
#include "report/checkpart.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/casedir.h"
#include "schema/derive.h"
#include "schema/log.h"

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

/* "CASE/a.b", to be freed. */
static char *file_of(const char *path, const char *a, const char *b)
{
	char *file;

	if (asprintf(&file, "%s/%s%s", path, a, b) < 0)
		log_die("out of memory");
	return file;
}

static void check_savefile(struct check *c, sqlite3 *db, const char *path,
    int64_t seq, const char *name, const char *stated, int64_t stated_bytes)
{
	char *file, hex[65], now[65], was[65];
	int64_t bytes = 0, now_bytes;

	if (!name || !stated || !casedir_is_savefile(name)) {
		check_wrong(c, seq, "its file is not in packets/");
		return;
	}
	file = file_of(path, name, "");
	if (!casedir_plain(file))
		check_tell(c, true, "%s (record %" PRId64 "): is a link or no "
		    "file", name, seq);
	else if (casedir_digest(file, hex, &bytes) < 0)
		check_tell(c, true, "%s (record %" PRId64 "): cannot be read",
		    name, seq);
	else if (c->erasures &&
	    check_erased_packets(c, db, name, now, was, &now_bytes)) {
		if (strcmp(hex, was) == 0)
			check_tell(c, false, "%s: packets are still to be "
			    "erased from it; run erase again", name);
		else if (strcmp(hex, now) != 0 || bytes != now_bytes)
			check_tell(c, true, "%s (record %" PRId64 "): its "
			    "SHA-256 is %s, since packets were erased from it "
			    "it should be %s", name, seq, hex, now);
	} else if (strcmp(hex, stated) != 0)
		check_tell(c, true, "%s (record %" PRId64 "): its SHA-256 is "
		    "%s, the record says %s", name, seq, hex, stated);
	else if (bytes != stated_bytes)
		check_wrong(c, seq, "its file has another length");
	c->savefiles++;
	c->savefile_bytes += bytes;
	free(file);
}

/* The savefiles that records speak of, by name once sorted. */
struct known {
	char **name;
	size_t n, room;
};

static void known_add(struct known *k, const char *name)
{
	if (k->n == k->room) {
		k->room = 2 * k->room + 16;
		k->name = realloc(k->name, k->room * sizeof(*k->name));
	}
	if (!k->name || !(k->name[k->n] = strdup(name)))
		log_die("out of memory");
	k->n++;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A savefile that no record speaks of. */
static void check_stray(struct check *c, const struct known *k,
    const char *name)
{
	char safe[600];

	if (k->n == 0 || !bsearch(&name, k->name, k->n, sizeof(*k->name),
	    by_name))
		check_tell(c, false, "%s: no record speaks of it",
		    log_safe(span_str(name), safe, sizeof(safe)));
}

static void check_savefiles(struct check *c, sqlite3 *db, const char *path)
{
	sqlite3_stmt *s = check_query(c, db, "SELECT seq, "
	    "json_extract(detail,'$.file'), raw_sha256, "
	    "json_extract(detail,'$.sha256'), json_extract(detail,'$.bytes') "
	    "FROM record WHERE kind='packets' AND json_valid(detail) "
	    "ORDER BY seq");
	char *folder = file_of(path, "packets", "");
	DIR *d = opendir(folder);
	struct known k = { 0 };

	while (check_step(c, s)) {
		int64_t seq = sqlite3_column_int64(s, 0);

		if (text(s, 1) && casedir_is_savefile(text(s, 1)))
			known_add(&k, text(s, 1));
		check_savefile(c, db, path, seq, text(s, 1), text(s, 3),
		    sqlite3_column_int64(s, 4));
		if (text(s, 2) && text(s, 3) &&
		    strcmp(text(s, 2), text(s, 3)) != 0)
			check_wrong(c, seq, "its sha256 and raw_sha256 differ");
	}
	if (k.n)
		qsort(k.name, k.n, sizeof(*k.name), by_name);
	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		char name[300];

		snprintf(name, sizeof(name), "packets/%s", e->d_name);
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			check_stray(c, &k, name);
	}
	if (d)
		closedir(d);
	while (k.n)
		free(k.name[--k.n]);
	free(k.name);
	free(folder);
	sqlite3_finalize(s);
}

/* The copies for convenience, where they are there. */
static void check_torrents(struct check *c, sqlite3 *db, const char *path)
{
	sqlite3_stmt *s = check_query(c, db, "SELECT seq, swarm, raw_sha256 "
	    "FROM record WHERE kind='torrent' AND swarm IS NOT NULL "
	    "AND swarm NOT GLOB '*[^0-9a-f]*' AND raw_sha256 IS NOT NULL");

	while (check_step(c, s)) {
		char *name = file_of("torrents", text(s, 1), ".torrent");
		char *file = file_of(path, name, ""), hex[65];

		if (access(file, F_OK) == 0 &&
		    (!casedir_plain(file) ||
		    casedir_digest(file, hex, NULL) < 0 ||
		    strcmp(hex, text(s, 2)) != 0))
			check_tell(c, true, "%s: is not what record %lld "
			    "recorded", name,
			    (long long)sqlite3_column_int64(s, 0));
		free(name);
		free(file);
	}
	sqlite3_finalize(s);
}

void check_derived(struct check *c, const char *path)
{
	char why[200];

	switch (derive_check(path, why, sizeof(why))) {
	case DERIVED_SAME:
		c->derived_checked = true;
		break;
	case DERIVED_NONE:
		break;
	case DERIVED_OTHER:
		check_tell(c, true, "derived.db: %s; the ledger is not "
		    "touched by it: remove it, and it is made anew", why);
		break;
	case DERIVED_UNCHECKED:
		check_tell(c, false, "derived.db was not held against the "
		    "ledger: %s", why);
		break;
	}
}

void check_files(struct check *c, sqlite3 *db, const char *path)
{
	check_savefiles(c, db, path);
	check_torrents(c, db, path);
}
