#include "schema/casedir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/log.h"

static char *join(const char *path, const char *name)
{
	char *out;

	if (asprintf(&out, "%s/%s", path, name) < 0)
		log_die("out of memory");
	return out;
}

char *casedir_file(const struct casedir *c, const char *name)
{
	return join(c->path, name);
}

/* --- opening for writing --------------------------------------------------- */

/* What a first open may have left behind when it was cut short. */
static bool ours(const char *name)
{
	static const char *const names[] = { ".", "..", ".lock", "packets",
		"torrents" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* True with *fresh said, or false, logged: not a folder, or somebody else's. */
static bool look(const char *path, bool *fresh)
{
	char *db = join(path, "evidence.db");
	DIR *d = opendir(path);
	struct dirent *e;
	bool ok = d != NULL;

	*fresh = access(db, F_OK) < 0;
	free(db);
	if (d == NULL)
		log_warn("%s: %s", path, strerror(errno));
	while (ok && *fresh && (e = readdir(d)) != NULL)
		if (!ours(e->d_name)) {
			log_warn("%s: holds other things (%s) and no "
			    "evidence.db; name a new or empty folder", path,
			    e->d_name);
			ok = false;
		}
	if (d)
		closedir(d);
	return ok;
}

static int take_lock(struct casedir *c)
{
	static const struct timespec wait = { .tv_nsec = 20000000 };
	char *file = casedir_file(c, ".lock");
	int got = -1, err = 0;

	c->lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->lock < 0)
		err = errno;
	/* A reader that asks whether somebody writes holds it for a moment. */
	for (int i = 0; c->lock >= 0 && got < 0 && i < 10; i++) {
		got = flock(c->lock, LOCK_EX | LOCK_NB);
		err = errno;
		if (got < 0 && err == EWOULDBLOCK)
			nanosleep(&wait, NULL);
	}
	if (got < 0 && c->lock >= 0 && err == EWOULDBLOCK)
		log_warn("another run is writing to %s", c->path);
	else if (got < 0)
		log_warn("%s: %s", file, strerror(err));
	free(file);
	return got;
}

static int subfolder(const struct casedir *c, const char *name)
{
	char *path = casedir_file(c, name);
	struct stat st;
	int got = 0;

	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		log_warn("%s: %s", path, strerror(errno));
		got = -1;
	} else if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		log_warn("%s: not a folder", path);
		got = -1;
	}
	free(path);
	return got;
}

static bool pragma_is(sqlite3 *db, const char *sql, int64_t want);

/* A writer that was killed in its first moments, or while sealing, left a
 * journal, which no reader may roll back: it is done here, under the lock. Of
 * the first it leaves nothing. What a log holds stays there; what is damaged is
 * told by whoever reads it. */
static int mend(struct casedir *c)
{
	char *file = casedir_file(c, "evidence.db");
	sqlite3 *db = NULL;
	int got = -1;

	if (!casedir_plain(file)) {
		log_warn("%s: not a regular file", file);
		goto out;
	}
	got = 0;
	if (sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL) !=
	    SQLITE_OK)
		goto out;
	sqlite3_busy_timeout(db, 60000);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	c->fresh = pragma_is(db, "SELECT count(*) FROM sqlite_schema", 0) &&
	    pragma_is(db, "PRAGMA application_id", 0);
out:
	sqlite3_close(db);
	free(file);
	return got;
}

int casedir_open(struct casedir *c, const char *path)
{
	*c = (struct casedir){ .path = strdup(path), .lock = -1 };
	if (c->path == NULL)
		log_die("out of memory");
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		log_warn("%s: %s", path, strerror(errno));
		goto fail;
	}
	if (!look(path, &c->fresh) || take_lock(c) < 0 ||
	    subfolder(c, "packets") < 0 || subfolder(c, "torrents") < 0 ||
	    (!c->fresh && mend(c) < 0))
		goto fail;
	return 0;
fail:
	casedir_close(c);
	return -1;
}

void casedir_close(struct casedir *c)
{
	if (c->lock >= 0)
		close(c->lock);
	free(c->path);
	*c = (struct casedir){ .lock = -1 };
}

/* --- files ----------------------------------------------------------------- */

static int sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), got;

	if (fd < 0)
		return -1;
	got = fsync(fd);
	close(fd);
	return got;
}

int casedir_sync(const struct casedir *c)
{
	int got = sync_folder(c->path);

	if (got < 0)
		log_warn("%s: %s", c->path, strerror(errno));
	return got;
}

static int write_whole(const char *file, struct span bytes, bool sync)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC |
	    O_NOFOLLOW, 0600);

	if (fd < 0)
		return -1;
	while (bytes.n) {
		ssize_t n = write(fd, bytes.p, bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			close(fd);
			return -1;
		}
		bytes = span_of(bytes.p + n, bytes.n - (size_t)n);
	}
	if (sync && fsync(fd) < 0) {
		close(fd);
		return -1;
	}
	return close(fd);
}

static int put(const struct casedir *c, const char *name, struct span bytes,
    bool sync, bool quiet)
{
	const char *slash = strrchr(name, '/');
	int head = slash ? (int)(slash - name) + 1 : 0, got;
	char *file = casedir_file(c, name), *hidden, *folder;

	if (asprintf(&hidden, "%s/%.*s.%s.part", c->path, head, name,
	    name + head) < 0 ||
	    asprintf(&folder, "%s/%.*s", c->path, head, name) < 0)
		log_die("out of memory");
	got = write_whole(hidden, bytes, sync);
	if (got == 0)
		got = rename(hidden, file);
	if (got == 0 && sync)
		got = sync_folder(folder);
	if (got < 0 && !quiet)
		log_warn("%s: %s", file, strerror(errno));
	if (got < 0)
		unlink(hidden);
	free(folder);
	free(hidden);
	free(file);
	return got < 0 ? -1 : 0;
}

int casedir_put(const struct casedir *c, const char *name, struct span bytes)
{
	return put(c, name, bytes, true, false);
}

int casedir_put_soon(const struct casedir *c, const char *name,
    struct span bytes, bool sync)
{
	return put(c, name, bytes, sync, true);
}

static char *hidden_file(const char *folder, const char *name)
{
	char *file;

	if (asprintf(&file, "%s/.%s.part", folder, name) < 0)
		log_die("out of memory");
	return file;
}

/* Behind one sync of all that was written. */
static int show(const char *folder, const char *name)
{
	char *hidden = hidden_file(folder, name), *file;
	int got;

	if (asprintf(&file, "%s/%s", folder, name) < 0)
		log_die("out of memory");
	got = rename(hidden, file);
	free(hidden);
	free(file);
	return got;
}

static int sync_all(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), got;

	if (fd < 0)
		return -1;
	got = syncfs(fd);
	close(fd);
	return got;
}

int casedir_put_all(const struct casedir *c, const char *folder, size_t n,
    struct span (*each)(void *ctx, size_t i, char name[CASEDIR_NAME]),
    void *ctx)
{
	char *at = casedir_file(c, folder), *hidden, name[CASEDIR_NAME];
	struct span bytes;
	int got = 0;

	for (size_t i = 0; i < n && got == 0; i++) {
		bytes = each(ctx, i, name);
		hidden = hidden_file(at, name);
		got = write_whole(hidden, bytes, false);
		free(hidden);
	}
	if (got == 0)
		got = sync_all(at);
	for (size_t i = 0; i < n && got == 0; i++) {
		each(ctx, i, name);
		got = show(at, name);
	}
	if (got == 0)
		got = sync_folder(at);
	if (got < 0)
		log_warn("%s: %s", at, strerror(errno));
	free(at);
	return got < 0 ? -1 : 0;
}

/* No pipe is waited for; and none is read. */
static int regular(const char *file, int flags)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		errno = EINVAL;
		return -1;
	}
	return fd;
}

int casedir_fd(const char *file)
{
	return regular(file, O_NOFOLLOW);
}

bool casedir_plain(const char *file)
{
	struct stat st;

	return lstat(file, &st) < 0 ? errno == ENOENT : S_ISREG(st.st_mode);
}

ssize_t casedir_slurp(const char *file, void *buf, size_t room)
{
	int fd = casedir_fd(file), err;
	size_t n = 0;
	ssize_t got = 0;

	if (fd < 0)
		return -1;
	while (n < room && (got = read(fd, (char *)buf + n, room - n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		n += (size_t)got;
	}
	err = errno;
	close(fd);
	errno = err;
	return got < 0 ? -1 : (ssize_t)n;
}

bool casedir_is_savefile(const char *name)
{
	return strncmp(name, "packets/", 8) == 0 && name[8] &&
	    strcmp(name + 8, ".") != 0 && strcmp(name + 8, "..") != 0 &&
	    strchr(name + 8, '/') == NULL;
}

int casedir_digest(const char *file, char hex[65], int64_t *bytes)
{
	static const size_t room = 1 << 16;
	int fd = regular(file, 0);
	uint8_t *buf = malloc(room), sum[32];
	int64_t all = 0;
	SHA256_CTX ctx;
	ssize_t n = -1;

	if (buf == NULL)
		log_die("out of memory");
	SHA256_Init(&ctx);
	while (fd >= 0 && (n = read(fd, buf, room)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		SHA256_Update(&ctx, buf, (size_t)n);
		all += n;
	}
	if (n < 0)
		log_warn("%s: %s", file, strerror(errno));
	SHA256_Final(sum, &ctx);
	hex_of(sum, sizeof(sum), hex);
	if (bytes)
		*bytes = all;
	free(buf);
	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : 0;
}

/* --- opening for reading --------------------------------------------------- */

enum state {
	CASE_NONE,	/* no SQLite file; logged */
	CASE_WRITTEN,	/* a run has it open */
	CASE_WHOLE,	/* nobody has it open, and all of it is in the file */
	CASE_CRASHED	/* nobody has it open, and a log or journal is beside */
};

/* Whether a file beside it holds anything. */
static bool beside(const char *db, const char *end)
{
	struct stat st;
	char *file;
	bool any;

	if (asprintf(&file, "%s%s", db, end) < 0)
		log_die("out of memory");
	any = stat(file, &st) == 0 && st.st_size > 0;
	free(file);
	return any;
}

bool casedir_logged(const char *evidence)
{
	return beside(evidence, "-wal") || beside(evidence, "-journal");
}

/* Whether somebody holds the case's lock. Without write access to the folder
 * a lock can still be asked for; without a lock file nobody holds it. */
static bool locked(const char *path)
{
	char *file = join(path, ".lock");
	int fd = casedir_fd(file);
	bool held = false;

	if (fd >= 0) {
		held = flock(fd, LOCK_SH | LOCK_NB) < 0;
		close(fd);
	}
	free(file);
	return held;
}

static enum state state_of(const char *path, const char *db)
{
	int fd = casedir_fd(db);
	char head[16];
	ssize_t n;

	if (fd < 0) {
		log_warn("%s: %s", db, errno == EINVAL || errno == ELOOP ?
		    "not a regular file" : strerror(errno));
		return CASE_NONE;
	}
	n = pread(fd, head, sizeof(head), 0);
	close(fd);
	if (n != (ssize_t)sizeof(head) ||
	    memcmp(head, "SQLite format 3", 16) != 0) {
		log_warn("%s: not an SQLite database", db);
		return CASE_NONE;
	}
	if (locked(path))
		return CASE_WRITTEN;
	return casedir_logged(db) ? CASE_CRASHED : CASE_WHOLE;
}

/* SQLite's file format, section 1.3: bytes 18 and 19 are 1 for a rollback
 * journal and 2 for WAL. */
bool casedir_sealed(const char *evidence)
{
	uint8_t head[20];

	return casedir_slurp(evidence, head, sizeof(head)) == sizeof(head) &&
	    head[18] == 1;
}

const char *casedir_attached(const char *path, const char *evidence)
{
	return casedir_sealed(evidence) || casedir_logged(evidence) ||
	    locked(path) ? "?mode=ro" : "?mode=ro&immutable=1";
}

char *casedir_uri(const char *file, const char *query)
{
	char *out = malloc(5 + 3 * strlen(file) + strlen(query) + 1), *p = out;
	static const char digits[] = "0123456789abcdef";

	if (out == NULL)
		log_die("out of memory");
	p = stpcpy(p, "file:");
	/* "//" at the start would be read as an authority. */
	while (file[0] == '/' && file[1] == '/')
		file++;
	for (; *file; file++) {
		uint8_t c = (uint8_t)*file;

		if (c == '?' || c == '#' || c == '%') {
			*p++ = '%';
			*p++ = digits[c >> 4];
			*p++ = digits[c & 15];
		} else {
			*p++ = *file;
		}
	}
	stpcpy(p, query);
	return out;
}

static bool pragma_is(sqlite3 *db, const char *sql, int64_t want)
{
	sqlite3_stmt *s;
	bool ok = sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK &&
	    sqlite3_step(s) == SQLITE_ROW &&
	    sqlite3_column_int64(s, 0) == want;

	sqlite3_finalize(s);
	return ok;
}

/*
 * While a run writes, its -wal and -shm exist and readers share them: a plain
 * read-only open. A case with nothing beside it, sealed or copied without its
 * -wal, is opened immutable: SQLite would make a -wal for the latter. What a
 * crashed run left lies partly in the -wal; a plain open would write an -shm
 * beside it, and so would change the folder that is to be examined. As nobody
 * holds the case's lock, no locking is needed (vfs unix-none), and in exclusive
 * mode SQLite keeps the WAL's index on the heap: no byte is changed.
 */
static sqlite3 *open_as(const char *file, enum state state)
{
	static const char *const query[] = {
		[CASE_WRITTEN] = "?mode=ro",
		[CASE_WHOLE] = "?mode=ro&immutable=1",
		[CASE_CRASHED] = "?mode=ro&vfs=unix-none"
	};
	char *name = casedir_uri(file, query[state]);
	sqlite3 *db = NULL;
	int got = sqlite3_open_v2(name, &db, SQLITE_OPEN_READONLY |
	    SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);

	free(name);
	if (got == SQLITE_OK) {
		sqlite3_busy_timeout(db, 60000);
		sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		got = sqlite3_exec(db, "PRAGMA cell_size_check = on;"
		    "PRAGMA query_only = on", NULL, NULL, NULL);
	}
	if (got == SQLITE_OK && state == CASE_CRASHED)
		got = sqlite3_exec(db, "PRAGMA locking_mode = exclusive",
		    NULL, NULL, NULL);
	/* The first read: here a damaged file shows. */
	if (got == SQLITE_OK)
		got = sqlite3_exec(db, "SELECT count(*) FROM sqlite_schema",
		    NULL, NULL, NULL);
	if (got == SQLITE_OK)
		return db;
	log_warn("%s: %s%s", file, sqlite3_errmsg(db),
	    got == SQLITE_READONLY_ROLLBACK || got == SQLITE_READONLY ?
	    " (a run was cut short while sealing; the next run mends it)" : "");
	sqlite3_close(db);
	return NULL;
}

bool casedir_tables(sqlite3 *db, const char *schema)
{
	char sql[160];

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s.sqlite_schema "
	    "WHERE type = 'view' OR (type = 'table' AND rootpage IS NOT NULL "
	    "AND rootpage < 1)", schema);
	return pragma_is(db, sql, 0);
}

sqlite3 *casedir_read(const char *path)
{
	char *file = join(path, "evidence.db");
	enum state state = state_of(path, file);
	sqlite3 *db = state == CASE_NONE ? NULL : open_as(file, state);

	if (db && !pragma_is(db, "PRAGMA application_id",
	    EVIDENCE_APPLICATION_ID)) {
		log_warn("%s: not swarmwitness's (application_id)", file);
		sqlite3_close(db);
		db = NULL;
	}
	if (db && !pragma_is(db, "PRAGMA user_version", EVIDENCE_VERSION)) {
		log_warn("%s: another version of the evidence format "
		    "(user_version)", file);
		sqlite3_close(db);
		db = NULL;
	}
	if (db && !casedir_tables(db, "main")) {
		log_warn("%s: a view or a virtual table is in it: none is in "
		    "any case", file);
		sqlite3_close(db);
		db = NULL;
	}
	free(file);
	return db;
}
