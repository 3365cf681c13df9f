#include "capture/caserun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/log.h"

#define QUEUE_BYTES (8u << 20)

volatile sig_atomic_t caserun_interrupted;

static void on_signal(int number)
{
	(void)number;
	caserun_interrupted = 1;
}

void caserun_watch(void)
{
	struct sigaction act = { .sa_handler = on_signal };

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
}

int caserun_open(struct caserun *c, const struct import_conf *conf)
{
	*c = (struct caserun){ .conf = conf, .dir = { .lock = -1 } };
	return casedir_open(&c->dir, conf->case_path) < 0 ||
	    note_key_open(&c->key, conf->key, &c->keyfile) < 0 ? -1 : 0;
}

int caserun_confine(const struct caserun *c, enum sandbox_role role)
{
	struct sandbox_path paths[2] = { { c->dir.path, true } };
	struct sandbox got;
	char *runs;
	int fd, rc;

	if (c->conf->no_sandbox) {
		log_warn("--no-sandbox: whoever takes this program over "
		    "through a packet can do what its user can");
		return 0;
	}
	if (asprintf(&runs, "%s.runs", c->keyfile) < 0)
		log_die("out of memory");
	paths[1] = (struct sandbox_path){ runs, true };
	/* SQLite's temporary files must lie where it may write. */
	setenv("SQLITE_TMPDIR", c->dir.path, 1);
	fd = open(runs, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	rc = fd < 0 ? -1 : sandbox_enter(role, paths, 2, &got);
	if (rc < 0)
		log_warn("cannot confine this process: %s (--no-sandbox does "
		    "without)", strerror(errno));
	if (fd >= 0)
		close(fd);
	free(runs);
	return rc;
}

int caserun_begin(struct caserun *c, void (*config)(void *ctx, struct json *j),
    void *ctx, struct publisher *p)
{
	struct ledger_conf conf = { .dir = &c->dir, .key = &c->key,
		.run = true, .queue_bytes = QUEUE_BYTES,
		.on_checkpoint = publisher_put, .ctx = p };
	struct ledger_past past;

	c->ledger = ledger_open(&conf, &past);
	if (c->ledger == NULL)
		return -1;
	c->run = (struct runlog){ .ledger = c->ledger, .key = &c->key,
		.argc = c->conf->argc, .argv = c->conf->argv,
		.operator = c->conf->operator, .purpose = c->conf->purpose,
		.config = config, .ctx = ctx, .first = -1 };
	if (runlog_begin(&c->run, &past, c->keyfile, &c->sound) < 0)
		return -1;
	publisher_begin(p, caserun_add, c);
	return 0;
}

void caserun_clock(struct caserun *c, const struct clock_said *said)
{
	struct json j;

	json_init(&j, JSON_MOST);
	clocklog_detail(said, &j);
	runlog_put(&c->run, "clock", &j, NULL);
}

int64_t caserun_add(void *caserun, const struct record *r)
{
	return ledger_add(((struct caserun *)caserun)->ledger, r);
}

void caserun_keep(void *caserun, const struct swarmref *s)
{
	struct caserun *c = caserun;
	char name[128];

	snprintf(name, sizeof(name), "torrents/%s.torrent", s->swarm);
	casedir_put(&c->dir, name, s->torrent->mi.file);
}

void caserun_given(void *caserun, const struct torrent *t, const char *path)
{
	struct caserun *c = caserun;
	struct swarmref ref;

	swarmref_init(&ref, t);
	runlog_torrent(&c->run, ref.swarm, t, path);
	caserun_keep(c, &ref);
}

int caserun_end(struct caserun *c, const char *why, int64_t flows)
{
	int rc;

	runlog_end(&c->run, why, flows, 0, &c->sound);
	rc = ledger_hand_over(c->ledger, NULL);
	c->ledger = NULL;
	casedir_close(&c->dir);
	return rc;
}

void caserun_close(struct caserun *c)
{
	if (c->ledger)
		ledger_close(c->ledger, NULL, NULL);
	free(c->keyfile);
	note_key_close(&c->key);
	casedir_close(&c->dir);
}
