#include "capture/live.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/caserun.h"
#include "capture/packetlog.h"
#include "capture/privilege.h"
#include "capture/reading.h"
#include "capture/recorder.h"
#include "schema/derive.h"
#include "schema/log.h"
#include "schema/now.h"

#define END_WAIT (RECORDER_END_S * NS_PER_S)
#define WHY 256

struct live {
	const struct live_conf *conf;
	struct caserun run;
	struct reading reading;
	char *folder;
	struct publisher *publisher;	/* NULL: no --on-checkpoint */
	struct recorder *recorder;
	struct recorder_file *left;	/* by runs that were killed */
	size_t lefts;
	char why[WHY];
	bool failed;
};

/* --- records ------------------------------------------------------------------- */

static void put_config(void *ctx, struct json *j)
{
	const struct live *l = ctx;
	const struct live_conf *c = l->conf;

	json_bool(j, "capture", true);
	json_str(j, "interface", c->interface);
	runlog_text(j, "filter", c->filter);
	json_int(j, "duration_s", c->duration_s);
	json_bool(j, "dissect", c->dissect);
	runlog_list(j, "torrents", c->import.torrents,
	    c->import.torrent_count);
	runlog_text(j, "secrets", c->import.secrets);
	json_int(j, "buffer_mib", LIVE_BUFFER_MIB);
	json_bool(j, "sandbox", !c->import.no_sandbox);
	runlog_text(j, "on_checkpoint", c->on_checkpoint);
	json_text(j, "recorder", span_str(recorder_describe(l->recorder)));
}

/* The stamps of packets are this host's: what the kernel says of its clock. */
static void put_clock(struct live *l)
{
	struct clock_said said = clocklog_kernel();

	caserun_clock(&l->run, &said);
}

static void put_packets(struct live *l, const struct recorder_file *f,
    bool salvaged)
{
	packetlog_file(&l->run.run, f, l->conf->interface, l->conf->filter,
	    salvaged);
	log_info("%s: %" PRId64 " packets, %" PRId64 " bytes%s", f->file,
	    f->packets, f->bytes, salvaged ? ", left by a run that did not end"
	    : "");
}

/* --- savefiles ------------------------------------------------------------------- */

static void keep_left(struct live *l, const struct recorder_file *f)
{
	l->left = realloc(l->left, (l->lefts + 1) * sizeof(*f));
	if (l->left == NULL)
		log_die("out of memory");
	l->left[l->lefts++] = *f;
}

/* What killed runs left: finished but in no record, then hidden. They are
 * recorded, not dissected: what they were for is not known. */
static void salvage(struct live *l)
{
	struct recorder_file f;
	int newest = recorder_number(l->folder) == 1 ? -1 :
	    recorder_recorded(l->run.dir.path);

	while (newest >= 0 && recorder_left(l->folder, &newest, &f) == 1)
		keep_left(l, &f);
	while (recorder_salvage(l->folder, &f) == 1)
		keep_left(l, &f);
}

/* Into the same flows as the ones before. */
static void dissect(struct live *l, const struct recorder_file *f)
{
	struct read_file read = { .file = f->file };
	char *path = casedir_file(&l->run.dir, f->file);
	struct source *src = source_open(path, NULL);

	free(path);
	if (src == NULL || reading_source(&l->reading, src, &read, NULL) < 0)
		l->failed = true;
	source_close(src);
}

/* Those that are finished. False once the recorder is gone. */
static bool take(struct live *l)
{
	struct recorder_file f;
	int rc;

	while ((rc = recorder_next(l->recorder, &f)) == 1) {
		if (l->conf->dissect)
			dissect(l, &f);
		put_packets(l, &f, false);
	}
	return rc == 0;
}

/* --- the run ---------------------------------------------------------------------- */

/* Without privilege only the owner may write there. */
static int check_owner(const struct live *l)
{
	struct stat st;

	if (stat(l->run.dir.path, &st) == 0 && st.st_uid == geteuid())
		return 0;
	log_warn("%s belongs to another user: run as its owner, with "
	    "cap_net_raw", l->run.dir.path);
	return -1;
}

static int start_recorder(struct live *l)
{
	const struct live_conf *c = l->conf;
	struct recorder_conf conf = { .interface = c->interface,
		.filter = c->filter, .folder = l->folder,
		.no_sandbox = c->import.no_sandbox, .buffer_mib = LIVE_BUFFER_MIB,
		.rotate_s = c->dissect ? LIVE_DISSECT_S : 0,
		.promiscuous = true };

	salvage(l);
	conf.first = recorder_number(l->folder);
	l->recorder = recorder_start(&conf, l->why);
	if (l->recorder)
		return 0;
	log_warn("nothing can be recorded: %s", l->why);
	return -1;
}

/* Torrents and secrets of a case that is there already. */
static int read_case(struct live *l)
{
	sqlite3 *db;
	int rc;

	if (l->run.dir.fresh)
		return 0;
	db = casedir_read(l->run.dir.path);
	rc = db ? reading_case(&l->reading, db) : -1;
	sqlite3_close(db);
	return rc;
}

/* The child is forked before there is a thread, and gives its privilege up by
 * itself. */
static int begin(struct live *l)
{
	if (reading_load(&l->reading, &l->conf->import) < 0 ||
	    caserun_open(&l->run, &l->conf->import) < 0 ||
	    check_owner(l) < 0 || read_case(l) < 0)
		return -1;
	l->folder = casedir_file(&l->run.dir, "packets");
	if (start_recorder(l) < 0)
		return -1;
	if (privilege_drop(-1) < 0) {
		log_warn("cannot give up privilege: %s", strerror(errno));
		return -1;
	}
	/* Confined, no process is begun. */
	if (l->conf->on_checkpoint && !(l->publisher =
	    publisher_start(l->conf->on_checkpoint, privilege_drop)))
		return -1;
	/* The line to the recorder is a socket. */
	if (caserun_confine(&l->run, SANDBOX_NETWORK) < 0 ||
	    caserun_begin(&l->run, put_config, l, l->publisher) < 0)
		return -1;
	for (size_t i = 0; i < l->lefts; i++)
		put_packets(l, &l->left[i], true);
	put_clock(l);
	if (l->conf->dissect) {
		reading_begin(&l->reading, caserun_add, caserun_keep, &l->run);
		reading_given(&l->reading, caserun_given, &l->run);
	}
	log_info("recording: %s", recorder_describe(l->recorder));
	return 0;
}

static void say_status(const struct live *l)
{
	int64_t packets, dropped;
	char row[128];

	recorder_counts(l->recorder, &packets, &dropped);
	snprintf(row, sizeof(row), "%" PRId64 " packets, %" PRId64 " dropped",
	    packets, dropped);
	log_status(row);
}

/* Until the time is up, a signal, or the recorder's end. Why. */
static const char *watch(struct live *l)
{
	int64_t until = l->conf->duration_s ? stamp_now().mono_ns +
	    l->conf->duration_s * NS_PER_S : INT64_MAX;
	struct pollfd fd = { recorder_fd(l->recorder), POLLIN, 0 };

	while (!caserun_interrupted && stamp_now().mono_ns < until) {
		poll(&fd, 1, 200);
		if (!take(l)) {
			l->failed = true;
			packetlog_none(&l->run.run,
			    recorder_end(l->recorder));
			return "the recorder ended";
		}
		say_status(l);
	}
	return caserun_interrupted ? "signal" : "duration";
}

static void stop(struct live *l)
{
	int64_t until = stamp_now().mono_ns + END_WAIT;
	struct pollfd fd = { recorder_fd(l->recorder), POLLIN, 0 };

	recorder_stop(l->recorder);
	while (take(l)) {
		if (stamp_now().mono_ns > until) {
			log_warn("the packet recorder does not end");
			l->failed = true;
			return;
		}
		poll(&fd, 1, 100);
	}
}

static int seal(struct live *l, const char *why)
{
	int64_t flows = 0;
	int rc;

	if (l->conf->dissect) {
		reading_finish(&l->reading);
		flows = (int64_t)reading_counts(&l->reading).flows;
	}
	put_clock(l);
	publisher_quiet(l->publisher);
	rc = caserun_end(&l->run, why, flows);
	return derive_update(l->conf->import.case_path) < 0 ? -1 : rc;
}

static int go(struct live *l)
{
	const char *why;

	caserun_watch();
	if (begin(l) < 0)
		return -1;
	why = watch(l);
	stop(l);
	return seal(l, why);
}

int live_run(const struct live_conf *conf)
{
	struct live l = { .conf = conf, .run = { .dir = { .lock = -1 } } };
	int rc = go(&l);

	caserun_close(&l.run);
	publisher_close(l.publisher);
	recorder_free(l.recorder);
	reading_free(&l.reading);
	free(l.left);
	free(l.folder);
	return rc < 0 || l.failed || !l.run.sound ? 1 : 0;
}
