#include "capture/import.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/caserun.h"
#include "capture/privilege.h"
#include "capture/reading.h"
#include "capture/recorder.h"
#include "capture/twice.h"
#include "schema/derive.h"
#include "schema/log.h"

static const char custody[] = "these packets were recorded by others: what "
    "happened to them before this import is not known to this program";
static const char stamps[] = "the time stamps are as the savefiles give "
    "them: nobody measured that clock, and no bound of its error is known";

struct import {
	const struct import_conf *conf;
	struct caserun run;
	struct reading reading;
	int *fds;		/* the savefiles, opened while we may */
	int folder;		/* CASE/packets */
	int next;		/* number of the next copy */
	bool failed;
};

static void put_config(void *ctx, struct json *j)
{
	const struct import_conf *conf = ((struct import *)ctx)->conf;

	json_bool(j, "import", true);
	runlog_list(j, "files", (const char *const *)conf->files, conf->count);
	runlog_list(j, "torrents", conf->torrents, conf->torrent_count);
	runlog_text(j, "secrets", conf->secrets);
	json_bool(j, "sandbox", !conf->no_sandbox);
	json_str(j, "custody", custody);
	json_str(j, "clock", stamps);
}

/* --- before there is anything to undo --------------------------------------------- */

/* Whether a record of the case says that it has this file already. */
static bool has_digest(sqlite3 *db, const char *digest)
{
	sqlite3_stmt *q = NULL;
	bool has = false;

	if (sqlite3_prepare_v2(db, "SELECT 1 FROM record WHERE kind='packets' "
	    "AND raw_sha256=?1", -1, &q, NULL) == SQLITE_OK) {
		sqlite3_bind_text(q, 1, digest, -1, SQLITE_STATIC);
		has = sqlite3_step(q) == SQLITE_ROW;
	}
	sqlite3_finalize(q);
	return has;
}

/* The digest is taken only if a savefile of that size is there. */
static bool has_size(sqlite3 *db, int64_t bytes)
{
	sqlite3_stmt *q = NULL;
	bool has = false;

	if (sqlite3_prepare_v2(db, "SELECT 1 FROM record WHERE kind='packets' "
	    "AND json_extract(detail,'$.bytes')=?1", -1, &q, NULL) ==
	    SQLITE_OK) {
		sqlite3_bind_int64(q, 1, bytes);
		has = sqlite3_step(q) == SQLITE_ROW;
	}
	sqlite3_finalize(q);
	return has;
}

static int refuse_known(const struct import_conf *conf, sqlite3 *db)
{
	char digest[65], safe[512];
	struct stat st;
	int rc = 0;

	for (size_t i = 0; i < conf->count; i++) {
		if (stat(conf->files[i], &st) < 0 ||
		    !has_size(db, st.st_size) ||
		    casedir_digest(conf->files[i], digest, NULL) < 0 ||
		    !has_digest(db, digest))
			continue;
		log_warn("%s: the case has these packets already: a run's own, "
		    "or an earlier import's, are not evidence twice",
		    log_safe(span_str(conf->files[i]), safe, sizeof(safe)));
		rc = -1;
	}
	return rc;
}

/* Two savefiles are rarely alike for long; rotated ones often are of one size. */
static bool same_start(const char *a, const char *b)
{
	char x[4096], y[sizeof(x)];
	FILE *f = fopen(a, "re"), *g = fopen(b, "re");
	size_t n = f ? fread(x, 1, sizeof(x), f) : 0;
	bool same = n && g && fread(y, 1, sizeof(y), g) == n &&
	    memcmp(x, y, n) == 0;

	if (f)
		fclose(f);
	if (g)
		fclose(g);
	return same;
}

static bool same_bytes(const char *a, const char *b)
{
	char x[65], y[65];

	return same_start(a, b) && casedir_digest(a, x, NULL) == 0 &&
	    casedir_digest(b, y, NULL) == 0 && strcmp(x, y) == 0;
}

/* Nor twice in one import, whatever the names. */
static int refuse_twins(const struct import_conf *conf)
{
	char safe[512];
	int rc = 0;

	for (size_t i = 0; i < conf->count; i++)
		for (size_t j = 0; j < i; j++) {
			if (!same_bytes(conf->files[i], conf->files[j]))
				continue;
			log_warn("%s: these packets are given twice", log_safe(
			    span_str(conf->files[i]), safe, sizeof(safe)));
			rc = -1;
		}
	return rc;
}

/* What an existing case knows: its torrents and secrets. */
static int read_case(struct import *im)
{
	struct casedir dir = { .path = (char *)im->conf->case_path };
	char *file = casedir_file(&dir, "evidence.db");
	sqlite3 *db;
	int rc = access(file, F_OK);

	free(file);
	if (rc < 0)
		return 0;	/* a new one */
	if (casedir_open(&dir, im->conf->case_path) < 0)
		return -1;
	db = dir.fresh ? NULL : casedir_read(dir.path);
	if (db)
		rc = refuse_known(im->conf, db);
	else if (!dir.fresh)
		rc = -1;
	if (db && rc == 0)
		rc = reading_case(&im->reading, db);
	sqlite3_close(db);
	casedir_close(&dir);
	return rc;
}

/* Looked at before there is a case; fd stays, and stands at its front. */
static bool is_savefile(int fd, const char *path)
{
	int again = dup(fd);
	struct source *s = again < 0 ? NULL : source_of(again, path, NULL);

	source_close(s);
	return s && lseek(fd, 0, SEEK_SET) == 0;
}

static int open_files(struct import *im)
{
	const char *why;
	char safe[512];
	struct stat st;
	int rc = 0;

	im->fds = calloc(im->conf->count, sizeof(*im->fds));
	if (!im->fds)
		log_die("out of memory");
	for (size_t i = 0; i < im->conf->count; i++) {
		im->fds[i] = open(im->conf->files[i], O_RDONLY | O_CLOEXEC |
		    O_NONBLOCK);
		if (im->fds[i] < 0 || fstat(im->fds[i], &st) < 0)
			why = strerror(errno);
		else if (!S_ISREG(st.st_mode))
			why = "it is no regular file";
		else if (is_savefile(im->fds[i], im->conf->files[i]))
			continue;
		else
			why = NULL;	/* said already */
		if (why)
			log_warn("%s: %s", log_safe(span_str(
			    im->conf->files[i]), safe, sizeof(safe)), why);
		rc = -1;
	}
	return rc;
}

/* --- one savefile -------------------------------------------------------------------- */

struct copy {
	char hidden[32], name[32], file[64];
	int fd;
};

static int copy_open(struct import *im, struct copy *c)
{
	int number = im->next++;

	if (number > 999999) {
		log_warn("the case has too many savefiles");
		return -1;
	}
	snprintf(c->name, sizeof(c->name), "%06d.pcap", number % 1000000);
	snprintf(c->hidden, sizeof(c->hidden), ".%06d.pcap.part",
	    number % 1000000);
	snprintf(c->file, sizeof(c->file), "packets/%s", c->name);
	c->fd = openat(im->folder, c->hidden, O_WRONLY | O_CREAT | O_EXCL |
	    O_CLOEXEC, 0600);
	if (c->fd >= 0)
		return 0;
	log_warn("%s: %s", c->file, strerror(errno));
	return -1;
}

/* Durable, then visible. */
static int copy_close(struct import *im, struct copy *c)
{
	int rc = fsync(c->fd) < 0 || renameat(im->folder, c->hidden,
	    im->folder, c->name) < 0 || fsync(im->folder) < 0 ? -1 : 0;

	if (rc < 0)
		log_warn("%s: %s", c->file, strerror(errno));
	close(c->fd);
	c->fd = -1;
	return rc;
}

static void put_packets(struct import *im, const struct read_file *f,
    const char *name, const char *sha256, uint64_t bytes)
{
	uint8_t digest[32];
	struct json j;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "file", f->file);
	json_str(&j, "sha256", sha256);
	json_uint(&j, "bytes", bytes);
	json_uint(&j, "packets", f->frames);
	json_int(&j, "first_utc_ns", f->first_utc_ns);
	json_int(&j, "last_utc_ns", f->last_utc_ns);
	json_null(&j, "dropped_kernel");
	json_null(&j, "dropped_interface");
	json_null(&j, "interface");
	json_null(&j, "filter");
	json_bool(&j, "salvaged", false);
	json_open(&j, "imported", '{');
	json_text(&j, "name", span_str(name));
	json_uint(&j, "frames", f->frames);
	json_uint(&j, "cut", f->cut);
	json_uint(&j, "skipped", f->skipped);
	json_open(&j, "damage", '[');
	for (size_t i = 0; i < f->damages; i++) {
		json_open(&j, NULL, '{');
		json_uint(&j, "offset", f->damage[i].offset);
		json_uint(&j, "frame", f->damage[i].frame);
		json_str(&j, "reason", f->damage[i].reason);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_uint(&j, "damaged", f->damaged);
	json_uint(&j, "flows", f->flows);
	json_uint(&j, "unclaimed", f->unclaimed);
	json_uint(&j, "datagrams", f->datagrams);
	json_uint(&j, "unstamped", f->unstamped);
	json_uint(&j, "fragments_lost", f->fragments_lost);
	json_open(&j, "odd", '[');
	for (size_t i = 0; i < f->odds; i++) {
		json_open(&j, NULL, '{');
		json_uint(&j, "frame", f->odd[i].frame);
		json_uint(&j, "times", f->odd[i].times);
		json_str(&j, "reason", f->odd[i].reason);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_close(&j, '}');
	runlog_put(&im->run.run, "packets", &j,
	    hex_read(span_str(sha256), digest, 32) ? digest : NULL);
}

static int take_file(struct import *im, size_t i)
{
	struct read_file f = { .last = i + 1 == im->conf->count };
	struct copy c = { .fd = -1 };
	struct source_conf conf = { .digest = true,
		.digester = im->reading.digester };
	struct source *src;
	char sha256[65];
	uint64_t bytes;
	int rc;

	if (copy_open(im, &c) < 0)
		return -1;
	conf.copy = c.fd;
	f.file = c.file;
	src = source_of(im->fds[i], im->conf->files[i], &conf);
	im->fds[i] = -1;
	if (!src) {
		close(c.fd);
		unlinkat(im->folder, c.hidden, 0);
		return -1;
	}
	rc = reading_source(&im->reading, src, &f, &caserun_interrupted);
	if (rc < 0 || source_digest(src, sha256, &bytes) < 0)
		log_die("%s cannot be kept whole", c.file);
	source_close(src);
	if (copy_close(im, &c) < 0)
		log_die("%s cannot be kept", c.file);
	put_packets(im, &f, im->conf->files[i], sha256, bytes);
	for (size_t k = 0; k < f.damages; k++)
		log_warn("%s: offset %" PRIu64 ", behind frame %" PRIu64
		    ": %s", c.file, f.damage[k].offset, f.damage[k].frame,
		    f.damage[k].reason);
	for (size_t k = 0; k < f.odds; k++)
		log_warn("%s: frame %" PRIu64 "%s: %s", c.file,
		    f.odd[k].frame, f.odd[k].times > 1 ? " and others" : "",
		    f.odd[k].reason);
	log_info("%s: %" PRIu64 " frames, %" PRIu64 " conversations, %" PRIu64
	    " damaged places", c.file, f.frames, f.flows, f.damaged);
	return 0;
}

/* --- the run ---------------------------------------------------------------------------- */

/* By the packets themselves, which may come in another file than the case's;
 * so when confined. */
static int refuse_twice(struct import *im)
{
	sqlite3 *db;
	int rc;

	if (im->run.dir.fresh)
		return 0;
	db = casedir_read(im->run.dir.path);
	rc = db ? twice_refuse(db, im->run.dir.path, im->fds, im->conf->files,
	    im->conf->count) : -1;
	sqlite3_close(db);
	return rc;
}

static int begin(struct import *im)
{
	const struct clock_said as_given = { .source = "packets",
		.outcome = "as given", .bound_ns = -1 };
	char *folder;

	if (caserun_open(&im->run, im->conf) < 0)
		return -1;
	folder = casedir_file(&im->run.dir, "packets");
	im->next = recorder_number(folder);
	im->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	if (im->folder < 0 || privilege_drop(-1) < 0) {
		log_warn("%s: %s", im->conf->case_path, strerror(errno));
		return -1;
	}
	if (caserun_confine(&im->run, SANDBOX_FILES) < 0 ||
	    refuse_twice(im) < 0 ||
	    caserun_begin(&im->run, put_config, im, NULL) < 0)
		return -1;
	caserun_clock(&im->run, &as_given);
	return 0;
}

static int seal(struct import *im)
{
	int rc = caserun_end(&im->run, caserun_interrupted ? "interrupted: not "
	    "every packet was read" : im->failed ? "not every savefile could "
	    "be read" : "the savefiles were read",
	    (int64_t)reading_counts(&im->reading).flows);

	/* What read the packets gives its memory to what derives tables. */
	reading_free(&im->reading);
	malloc_trim(0);
	return derive_update_small(im->conf->case_path) < 0 ? -1 : rc;
}

static int go(struct import *im)
{
	if (reading_load(&im->reading, im->conf) < 0 || open_files(im) < 0 ||
	    refuse_twins(im->conf) < 0 || read_case(im) < 0)
		return -1;
	caserun_watch();
	if (begin(im) < 0)
		return -1;
	reading_begin(&im->reading, caserun_add, caserun_keep, &im->run);
	reading_given(&im->reading, caserun_given, &im->run);
	for (size_t i = 0; i < im->conf->count && !caserun_interrupted; i++)
		if (take_file(im, i) < 0)
			im->failed = true;
	reading_finish(&im->reading);
	return seal(im);
}

int import_run(const struct import_conf *conf)
{
	struct import im = { .conf = conf, .run = { .dir = { .lock = -1 } },
		.folder = -1 };
	int rc = go(&im);

	caserun_close(&im.run);
	reading_free(&im.reading);
	if (im.folder >= 0)
		close(im.folder);
	for (size_t i = 0; im.fds && i < conf->count; i++)
		if (im.fds[i] >= 0)
			close(im.fds[i]);
	free(im.fds);
	return rc < 0 || im.failed || !im.run.sound || caserun_interrupted ?
	    1 : 0;
}
