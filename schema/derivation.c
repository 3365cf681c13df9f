#include "schema/derivation.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "derived_days_sql.h"
#include "derived_end_sql.h"
#include "derived_named_sql.h"
#include "derived_results_sql.h"
#include "derived_said_sql.h"
#include "derived_tables_sql.h"
#include "derived_talk_sql.h"
#include "schema/derivedb.h"
#include "schema/json.h"
#include "schema/log.h"

/* Few large steps, for each goes through the tables anew. */
#define STEP_RECORDS 2500000

/* For the pages of `work`, which is looked up all over, and of `days`, which is
 * written and read in its order. */
#define WORK_KIB 65536
#define ORDER_KIB 2048
#define SMALL_KIB 8192

/* In the order of schema/derived.sql. */
enum text { TABLES, NAMED, SAID, TALK, DAYS, RESULTS, END, TEXTS };

static const struct {
	const unsigned char *sql;
	size_t n;
} texts[TEXTS] = {
#define TEXT(name) { name, sizeof(name) - 1 }
	[TABLES] = TEXT(derived_tables_sql),
	[NAMED] = TEXT(derived_named_sql),
	[SAID] = TEXT(derived_said_sql),
	[TALK] = TEXT(derived_talk_sql),
	[DAYS] = TEXT(derived_days_sql),
	[RESULTS] = TEXT(derived_results_sql),
	[END] = TEXT(derived_end_sql),
};

static int run_text(sqlite3 *db, enum text t)
{
	return derivedb_run(db, (const char *)texts[t].sql);
}

const char *derivation_digest(void)
{
	static char hex[65];
	uint8_t md[32];
	SHA256_CTX c;

	SHA256_Init(&c);
	for (int i = 0; i < TEXTS; i++)
		SHA256_Update(&c, texts[i].sql, texts[i].n);
	SHA256_Final(md, &c);
	return hex_of(md, sizeof(md), hex);
}

/* One statement with one value. */
static int with(sqlite3 *db, const char *sql, int64_t number, const char *text)
{
	sqlite3_stmt *st = NULL;
	int r = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (r == SQLITE_OK) {
		if (text)
			sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
		else
			sqlite3_bind_int64(st, 1, number);
		sqlite3_step(st);
		r = sqlite3_finalize(st);
	}
	if (r == SQLITE_OK)
		return 0;
	log_warn("derived tables: %s", sqlite3_errmsg(db));
	return -1;
}

static int set_step(sqlite3 *db, int64_t most)
{
	return derivedb_run(db, "CREATE TEMP TABLE IF NOT EXISTS step (most "
	    "INTEGER NOT NULL); DELETE FROM temp.step") ||
	    with(db, "INSERT INTO temp.step VALUES (?)", most, NULL) ? -1 : 0;
}

static bool has_work(sqlite3 *db)
{
	return derivedb_number(db, "SELECT count(*) FROM pragma_database_list "
	    "WHERE name = 'work'", 0) != 0;
}

static int own_work(sqlite3 *db, int kib)
{
	return derivedb_work(db, "work", "", kib) ||
	    derivedb_work(db, "days", "", ORDER_KIB) ? -1 : 0;
}

int derivation_step(sqlite3 *db, int64_t most)
{
	if (!has_work(db) && own_work(db, SMALL_KIB))
		return -1;
	if (set_step(db, most))
		return -1;
	for (enum text t = TABLES; t < TEXTS; t++)
		if (run_text(db, t))
			return -1;
	return derivedb_number(db, "SELECT size < (SELECT coalesce(max(seq) "
	    "+ 1, 0) FROM evidence.record) FROM built", 0) != 0;
}

static int64_t reached(sqlite3 *db)
{
	return derivedb_number(db, "SELECT size FROM built", 0);
}

static int in_steps(sqlite3 *db, const struct derivation *d)
{
	int64_t size = d->size, left = size - reached(db);
	int r;

	if (own_work(db, d->small ? SMALL_KIB : WORK_KIB))
		return -1;
	do {
		r = derivation_step(db, left < STEP_RECORDS ? left :
		    STEP_RECORDS);
		left = size - reached(db);
	} while (r > 0 && left > 0);
	return r < 0 ? -1 : 0;
}

/* --- two at once --------------------------------------------------------------- */

/* The conversations, on a connection of their own. */
struct aside {
	sqlite3 *db;
	pthread_t thread;
	sem_t talked;		/* what they came to can be read, or never will */
	int talk, days;		/* results */
};

static int and_commit(sqlite3 *db)
{
	return derivedb_run(db, "COMMIT; BEGIN");
}

static void *talks(void *arg)
{
	struct aside *a = arg;

	a->talk = run_text(a->db, SAID) || run_text(a->db, TALK) ||
	    and_commit(a->db) ? -1 : 0;
	sem_post(&a->talked);
	a->days = a->talk || run_text(a->db, DAYS) || and_commit(a->db) ?
	    -1 : 0;
	return NULL;
}

/* Removes what those left who were killed before theirs had lost its name. Who
 * lives holds a lock on it. */
static void sweep(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL) {
		struct stat st;
		int fd = fnmatch("derived.work.??????", e->d_name, 0) ? -1 :
		    openat(dirfd(dir), e->d_name, O_RDONLY | O_CLOEXEC |
		    O_NOFOLLOW | O_NONBLOCK);

		if (fd < 0)
			continue;
		if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		    st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(dir), e->d_name, 0);
		close(fd);
	}
	if (dir)
		closedir(dir);
}

/* A new file, and its name, to be freed; locked while it is open. -1 logged. */
static int make_work(const char *folder, char **file)
{
	struct stat st;
	int fd;

	sweep(folder);
	for (;;) {
		*file = derivedb_text("%s/derived.work.XXXXXX", folder);
		fd = mkostemp(*file, O_CLOEXEC);
		if (fd < 0) {
			log_warn("%s: %s", *file, strerror(errno));
			return -1;
		}
		flock(fd, LOCK_EX);
		if (fstat(fd, &st) < 0 || st.st_nlink > 0)
			return fd;
		/* Another swept it away before it was locked. */
		close(fd);
		free(*file);
	}
}

/* Both connections open the file, and then it has no name any more. */
static int share(sqlite3 *reads, sqlite3 *writes, const char *as, int kib,
    const char *folder)
{
	char *file;
	int fd = make_work(folder, &file), r = -1;

	if (fd >= 0) {
		r = derivedb_work(reads, as, file, ORDER_KIB) ||
		    derivedb_work(writes, as, file, kib) ? -1 : 0;
		unlink(file);
		close(fd);
	}
	free(file);
	return r;
}

/*
 * A connection in which nothing was derived yet, with the records that db's
 * step takes in. It must see them as db does: had some been erased between the
 * two looks, a record of that would stand behind them.
 */
static int aside_open(struct aside *a, sqlite3 *db, const struct derivation *d)
{
	int64_t z = derivedb_number(db, "SELECT z FROM temp.part", 0);
	char *erased = derivedb_text("SELECT count(*) FROM evidence.record "
	    "WHERE seq >= %lld AND kind = 'erased'", (long long)z);
	int r = -1;

	a->db = derivedb_open(":memory:", d->evidence, DERIVEDB_HALF);
	if (a->db && share(db, a->db, "work", WORK_KIB, d->folder) == 0 &&
	    share(db, a->db, "days", ORDER_KIB, d->folder) == 0 &&
	    derivedb_run(a->db, "BEGIN") == 0 && set_step(a->db, z) == 0 &&
	    run_text(a->db, TABLES) == 0) {
		r = derivedb_number(a->db, erased, -1) ==
		    derivedb_number(db, erased, 0) ? 0 : -1;
		if (r)
			log_warn("derived tables: records were erased "
			    "meanwhile; try again");
	}
	free(erased);
	return r;
}

/* What nothing is derived of yet: who named whom here, and meanwhile the
 * conversations on a thread; then what became of each here, and of all by day
 * there. */
static int at_once(sqlite3 *db, const struct derivation *d)
{
	struct aside a = { 0 };
	int r = -1;

	sem_init(&a.talked, 0, 0);
	if (set_step(db, d->size) || run_text(db, TABLES) ||
	    aside_open(&a, db, d))
		goto out;
	if (pthread_create(&a.thread, NULL, talks, &a)) {
		log_warn("derived tables: no thread");
		goto out;
	}
	r = derivedb_room(db, DERIVEDB_HALF) || run_text(db, NAMED) ? -1 : 0;
	if (r == 0) {
		while (sem_wait(&a.talked) < 0)
			;	/* a signal */
		r = a.talk || run_text(db, RESULTS) ? -1 : 0;
	}
	if (r)
		sqlite3_interrupt(a.db);
	pthread_join(a.thread, NULL);
	sqlite3_close(a.db);	/* and give its memory back */
	a.db = NULL;
	r = r || a.days || run_text(db, END) ||
	    derivedb_room(db, DERIVEDB_LARGE) ? -1 : 0;
out:
	sqlite3_close(a.db);
	sem_destroy(&a.talked);
	return r;
}

int derivation_make(sqlite3 *db, const struct derivation *d)
{
	if (derivedb_run(db, "BEGIN IMMEDIATE"))
		return -1;
	if ((d->small || reached(db) > 0 ? in_steps(db, d) :
	    at_once(db, d)) || with(db, "UPDATE built SET script = ?", 0,
	    derivation_digest()) || derivedb_run(db, "COMMIT"))
		return -1;
	return has_work(db) ? derivedb_run(db, "DETACH work; DETACH days") :
	    0;
}
