#include "report/excerpt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/excerpt_part.h"
#include "report/reader.h"
#include "report/select.h"
#include "schema/casekey.h"
#include "schema/lasthead.h"
#include "schema/ledger.h"
#include "schema/log.h"
#include "schema/now.h"

static const char usage[] =
"usage: swarmwitness excerpt [options] CASE --ip A OUT\n"
"Makes the folder OUT: one address's records out of CASE, with proofs that each\n"
"is in the signed tree and that these are all, and no other peer's address.\n"
"  --ip A           the address; of one that is not in the case, its absence\n"
"  --port P         only what is about this port of it\n"
"  --from T, --to T only the UTC days from T to T\n"
"  --swarm H        only this torrent, by its infohash\n"
"  --witnesses      also records in which other peers name the address; they\n"
"                   bear those peers' addresses\n"
"  --all-packets    also packets that carry other peers' addresses\n"
"  --key FILE       signing key of the case: an index of records that are in\n"
"                   none yet is added to CASE first\n"
"  --no-sandbox     do not confine this process\n"
"  --help\n"
"Exit status: 0 done, 1 it failed, 2 misuse.\n";

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct excerpt *e)
{
	static const struct option options[] = {
		SELECT_OPTIONS,
		{ "witnesses", no_argument, NULL, 'w' },
		{ "all-packets", no_argument, NULL, 'a' },
		{ "key", required_argument, NULL, 'k' },
		{ "no-sandbox", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	const struct selection of = { "excerpt", e->ip, &e->port, e->from_day,
		e->to_day, &e->swarm };
	int o;

	e->port = -1;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'w':
			e->witnesses = true;
			break;
		case 'a':
			e->all_packets = true;
			break;
		case 'k':
			e->key = optarg;
			break;
		case 'n':
			e->no_sandbox = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case '?':
			return 2;
		default:
			if (!select_option(&of, o, optarg))
				return 2;
		}
	}
	if (argc - optind != 2 || e->ip[0] == '\0') {
		fputs(usage, stderr);
		return 2;
	}
	e->path = argv[optind];
	e->out_path = argv[optind + 1];
	return -1;
}

/* What is in no index gets one. */
static int add_index(const struct excerpt *e, const struct note_key *key)
{
	struct casedir dir = { .lock = -1 };
	struct ledger_past past;
	struct ledger *l = NULL;
	int got = -1;

	if (casekey_known(e->path, key) &&
	    casedir_open(&dir, e->path) == 0 &&
	    (l = ledger_open(&(struct ledger_conf){ .dir = &dir, .key = key },
	    &past)) != NULL) {
		if (ledger_behind(l))
			ledger_index(l, stamp_now());
		got = ledger_close(l, NULL, NULL);
	}
	casedir_close(&dir);
	return got;
}

/* The case may be anybody's. Of it the lists are written where it may be. */
static int confine(const struct excerpt *e)
{
	char *out = reader_folder(e->out_path);
	const struct sandbox_path paths[] = { { e->path, true },
		{ out, true } };
	int rc = reader_confine(paths, sizeof(paths) / sizeof(paths[0]),
	    e->no_sandbox);

	free(out);
	return rc;
}

/* The case as of its newest checkpoint, which covers all of it. */
int excerpt_open_case(struct excerpt *e)
{
	sqlite3_stmt *s = NULL;
	struct lasthead head;

	lasthead_read(&head, e->path);
	e->db = casedir_read(e->path);
	if (e->db == NULL)
		return -1;
	lasthead_look(&head, e->path, e->db);
	sqlite3_exec(e->db, "BEGIN", NULL, NULL, NULL);
	if (sqlite3_prepare_v2(e->db, "SELECT max(size), EXISTS (SELECT 1 "
	    "FROM meta WHERE name = 'excerpt') FROM checkpoint", -1, &s,
	    NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW &&
	    sqlite3_column_int64(s, 0) > 0)
		e->size = sqlite3_column_int64(s, 0);
	if (e->size == 0)
		log_warn("%s: no checkpoint; there is nothing to prove by",
		    e->path);
	else if (sqlite3_column_int(s, 1)) {
		log_warn("%s: is itself an excerpt", e->path);
		e->size = 0;
	}
	sqlite3_finalize(s);
	if (e->size)
		e->tree = treeread_new(e->db, (uint64_t)e->size);
	return e->tree ? 0 : -1;
}

void excerpt_close_case(struct excerpt *e)
{
	treeread_free(e->tree);
	sqlite3_finalize(e->known);
	sqlite3_close(e->db);
	sqlite3_close(e->out);
	sqlite3_close(e->lists);
	for (size_t i = 0; i < e->subjects; i++) {
		free(e->subject[i].seqs);
		free(e->subject[i].path);
	}
	free(e->subject);
	free(e->index);
	free(e->allowed);
	seqs_free(&e->common);
	seqs_free(&e->mine);
	seqs_free(&e->context);
	e->tree = NULL;
	e->known = NULL;
	e->db = e->out = e->lists = NULL;
	e->subject = NULL;
	e->index = NULL;
	e->allowed = NULL;
	e->subjects = e->indexes = e->allowed_n = 0;
}

/* The lists that were made in OUT, where the case cannot be written. */
static void tidy(const struct excerpt *e)
{
	char *file;

	if (asprintf(&file, "%s/index.db", e->out_path) < 0)
		log_die("out of memory");
	unlink(file);
	free(file);
}

int excerpt_main(int argc, char **argv)
{
	struct excerpt e = { 0 };
	struct note_key key = { 0 };
	int rc = read_options(argc, argv, &e);
	bool opened = false;

	if (rc >= 0)
		return rc;
	rc = 1;
	if ((e.key && note_key_open(&key, e.key, NULL) < 0) ||
	    confine(&e) < 0 || (e.key && add_index(&e, &key) < 0) ||
	    excerpt_open_case(&e) < 0)
		goto end;
	opened = excerpt_open_out(&e) == 0;
	if (!opened || excerpt_find(&e) < 0 || excerpt_write(&e) < 0 ||
	    excerpt_packets(&e) < 0 || excerpt_close_out(&e) < 0)
		goto end;
	if (e.indexes == 0)
		log_warn("%s: it has no index: that these are all cannot be "
		    "shown (--key FILE adds one)", e.path);
	else if (e.uncovered)
		log_warn("%s: its last %" PRId64 " records are in no index "
		    "yet, and not in this excerpt (--key FILE)", e.path,
		    e.uncovered);
	printf("%s: %" PRId64 " record%s, %" PRId64 " left out, %" PRId64
	    " erased; %" PRId64 " packet%s, %" PRId64 " left out; "
	    "%zu subject%s in %zu index%s\n", e.ip, e.shown,
	    e.shown == 1 ? "" : "s", e.omitted, e.gone, e.packets,
	    e.packets == 1 ? "" : "s", e.packets_omitted, e.subjects,
	    e.subjects == 1 ? "" : "s", e.indexes,
	    e.indexes == 1 ? "" : "es");
	rc = 0;
end:
	if (opened)
		tidy(&e);
	if (rc && opened)
		log_warn("%s: is not complete; remove it", e.out_path);
	excerpt_close_case(&e);
	note_key_close(&key);
	return rc;
}
