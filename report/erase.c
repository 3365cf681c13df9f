#include "report/erase.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/erase_part.h"
#include "report/reader.h"
#include "report/select.h"
#include "schema/casekey.h"
#include "schema/ledger.h"
#include "schema/log.h"
#include "schema/now.h"

static const char usage[] =
"usage: swarmwitness erase [options] CASE --ip A --ground TEXT\n"
"Removes an address's records, raw bytes and packets from CASE, and the lines\n"
"that name it in others' records, for a stated ground. What goes leaves its\n"
"salted hash, an `erased` record says what went and why, and CASE still verifies.\n"
"There is no way back.\n"
"  --ip A           the address\n"
"  --ground TEXT    why; it stays on record, and must not say the address\n"
"  --port P         only what is about this port of it\n"
"  --from T, --to T only the UTC days from T to T\n"
"  --swarm H        only this torrent, by its infohash\n"
"  --key FILE       signing key (~/.config/swarmwitness/key): one of the case's\n"
"  --no-sandbox     do not confine this process\n"
"  --help\n"
"Exit status: 0 erased, 1 nothing to erase or it failed, 2 misuse.\n";

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct erase *x)
{
	static const struct option options[] = {
		SELECT_OPTIONS,
		{ "ground", required_argument, NULL, 'g' },
		{ "key", required_argument, NULL, 'k' },
		{ "no-sandbox", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	const struct selection of = { "erase", x->e.ip, &x->e.port,
		x->e.from_day, x->e.to_day, &x->e.swarm };
	int o;

	x->e.port = -1;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'g':
			x->ground = optarg;
			break;
		case 'k':
			x->e.key = optarg;
			break;
		case 'n':
			x->e.no_sandbox = true;
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
	if (argc - optind != 1 || x->e.ip[0] == '\0' || x->ground == NULL ||
	    x->ground[0] == '\0') {
		fputs(usage, stderr);
		return 2;
	}
	if (strlen(x->ground) > 4096 || excerpt_is_named(&x->e, x->ground)) {
		log_warn("erase: --ground stays on record: it must not say the "
		    "address, and is 4096 bytes at most");
		return 2;
	}
	x->e.path = x->e.out_path = argv[optind];
	return -1;
}

/* --- what is beside the ledger ------------------------------------------------- */

/* Caches that hold addresses. The derived tables are made again by whoever
 * reports: that takes longer than all the rest. */
static void drop_caches(const struct casedir *dir)
{
	static const char *const names[] = { "derived.db", "dht4.nodes",
		"dht6.nodes", "index.db" };
	size_t n = sizeof(names) / sizeof(names[0]);

	if (indexfile_forget(dir->path) == 0)
		n--;
	for (size_t i = 0; i < n; i++) {
		char *file = casedir_file(dir, names[i]);

		if (unlink(file) < 0 && errno != ENOENT)
			log_warn("%s: %s", file, strerror(errno));
		free(file);
	}
	casedir_sync(dir);
}

static int sync_file(const char *file)
{
	int fd = open(file, O_RDWR | O_CLOEXEC), got;

	if (fd < 0)
		return -1;
	got = fsync(fd);
	close(fd);
	return got;
}

/* Pages that are free, and what a page has behind its cells, go too: into a
 * new file, put in the old one's place at once, so that a crash leaves one or
 * the other. */
static int vacuum(const struct casedir *dir)
{
	char *file = casedir_file(dir, "evidence.db"), *sql;
	char *fresh = casedir_file(dir, ".evidence.db.part");
	sqlite3 *db = NULL;
	int got = -1;

	sql = sqlite3_mprintf("VACUUM INTO %Q", fresh);
	if (sql == NULL)
		log_die("out of memory");
	unlink(fresh);
	if (sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL) !=
	    SQLITE_OK || sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		log_warn("%s: %s; run erase again", file, sqlite3_errmsg(db));
	else if (sync_file(fresh) < 0 || rename(fresh, file) < 0)
		log_warn("%s: %s; run erase again", file, strerror(errno));
	else
		got = casedir_sync(dir);
	sqlite3_close(db);
	sqlite3_free(sql);
	free(fresh);
	free(file);
	return got;
}

/* --- the story ------------------------------------------------------------------ */

static int record_all(struct erase *x, struct ledger *l)
{
	int got = 0;

	for (size_t k = 0; got == 0 && k < erase_chunks(x); k++) {
		struct json j;

		json_init(&j, JSON_MOST);
		got = erase_detail(x, k, &j);
		if (got == 0)
			ledger_add(l, &(struct record){ .at = stamp_now(),
				.kind = "erased", .conn = CONN_NONE,
				.detail = json_done(&j) });
		json_fini(&j);
	}
	if (got < 0)
		log_warn("%s: too much at once: erase by --from and --to",
		    x->e.path);
	return got;
}

static bool erased_before(struct erase *x)
{
	sqlite3_stmt *s = NULL;
	bool was = sqlite3_prepare_v2(x->e.db, "SELECT 1 FROM gone LIMIT 1", -1,
	    &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW;

	sqlite3_finalize(s);
	return was;
}

static int plan(struct erase *x)
{
	if (excerpt_open_case(&x->e) < 0)
		return -1;
	x->before = erased_before(x);
	if (excerpt_find(&x->e) < 0 || erase_plan(x) < 0 ||
	    erase_packets(x) < 0)
		return -1;
	if (x->records.n == 0 && x->names == 0 && x->raws.n == 0 &&
	    x->files == 0) {
		log_warn("%s: nothing of %s is in it", x->e.path, x->e.ip);
		return -1;
	}
	return 0;
}

static int erase(struct erase *x, struct ledger *l)
{
	bool planned;

	/* All that is there is in an index, and so found. */
	if (ledger_behind(l)) {
		ledger_index(l, stamp_now());
		ledger_flush(l);
	}
	planned = plan(x) == 0;
	excerpt_close_case(&x->e);	/* nobody reads while it goes */
	return planned ? record_all(x, l) : -1;
}

static void say(const struct erase *x, const char *note, const char *digest)
{
	int64_t packets = 0;

	for (size_t i = 0; i < x->files; i++)
		packets += x->file[i].gone;
	printf("%s: records: %zu, lines that named it: %zu, others' records "
	    "whose raw bytes went: %zu, subjects: %zu, packets: %" PRId64
	    ", of savefiles: %zu\n", x->e.ip, x->records.n, x->names, x->raws.n,
	    x->subjects, packets, x->files);
	printf("%s%s  evidence.db\n", note, digest);
}

static int open_dir(const struct erase *x, struct casedir *dir)
{
	const struct casedir there = { .path = (char *)x->e.path };
	char *file = casedir_file(&there, "evidence.db");
	int got = access(file, W_OK);

	/* Nothing is made where no case is. */
	if (got < 0)
		log_warn("%s: %s", file, strerror(errno));
	free(file);
	if (got < 0)
		return -1;
	return casedir_open(dir, x->e.path);
}

/* Its key is its keeper's, its rows are what peers said. */
static int confine(const struct erase *x)
{
	return reader_confine(&(struct sandbox_path){ x->e.path, true }, 1,
	    x->e.no_sandbox);
}

static int erase_case(struct erase *x, struct casedir *dir)
{
	char note[NOTE_MAX] = "", digest[65] = "", *file;
	struct ledger_past past;
	struct note_key key;
	struct ledger_conf conf = { .dir = dir, .key = &key,
		.on_erased = erase_take, .erased_ctx = x };
	struct ledger *l = NULL;
	int got = -1;

	if (note_key_open(&key, x->e.key, NULL) < 0)
		return -1;
	if (confine(x) == 0 && open_dir(x, dir) == 0 &&
			casekey_known(x->e.path, &key) &&
			(l = ledger_open(&conf, &past)) != NULL) {
		got = erase(x, l);
		if (ledger_close(l, NULL, note) < 0)
			got = -1;
	}
	note_key_close(&key);
	if (l == NULL || (got < 0 && !x->before))
		return -1;
	/* Also what an erasure before left when it was cut short. */
	if (erase_settle(x) < 0 || vacuum(dir) < 0)
		got = -1;
	drop_caches(dir);
	file = casedir_file(dir, "evidence.db");
	if (casedir_digest(file, digest, NULL) < 0)
		got = -1;
	free(file);
	if (got == 0)
		say(x, note, digest);
	return got;
}

int erase_main(int argc, char **argv)
{
	struct erase x = { 0 };
	struct casedir dir = { .lock = -1 };
	int rc = read_options(argc, argv, &x);

	if (rc >= 0)
		return rc;
	rc = erase_case(&x, &dir) < 0 ? 1 : 0;
	casedir_close(&dir);
	excerpt_close_case(&x.e);
	erase_free(&x);
	return rc;
}
