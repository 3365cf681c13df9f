/*
 * What the two runs of `capture` that write into a case have in common, the
 * import of savefiles and the recording of others' packets: the case, its key
 * and ledger, what the run says of itself, the torrents kept beside, signals.
 */
#ifndef CAPTURE_CASERUN_H
#define CAPTURE_CASERUN_H

#include <signal.h>

#include "capture/import.h"
#include "capture/sandbox.h"
#include "schema/casedir.h"
#include "schema/clocklog.h"
#include "schema/publish.h"
#include "schema/runlog.h"
#include "schema/swarmref.h"

struct caserun {
	const struct import_conf *conf;
	struct casedir dir;
	struct note_key key;
	char *keyfile;
	struct ledger *ledger;	/* NULL: not begun, or ended */
	struct runlog run;
	bool sound;		/* its self-tests held */
};

/* SIGINT or SIGTERM came; caserun_watch looks for them. */
extern volatile sig_atomic_t caserun_interrupted;
void caserun_watch(void);

/* The case and the key. -1 logged; close in any case. */
int caserun_open(struct caserun *c, const struct import_conf *conf);

/* What it reads is open by now: from here on whoever takes this process over
 * through packets has the case and the key's log, and nothing else of this
 * host. Before there are threads. 0, or -1 with the reason logged. */
int caserun_confine(const struct caserun *c, enum sandbox_role role);

/* The ledger, and the run's first records; config as in struct runlog. p may be
 * NULL. -1 logged. */
int caserun_begin(struct caserun *c, void (*config)(void *ctx, struct json *j),
    void *ctx, struct publisher *p);

void caserun_clock(struct caserun *c, const struct clock_said *said);

/* Hooks for reading.h, whose ctx is the caserun: a record; a torrent, kept in
 * the case; one that was named, recorded too. */
int64_t caserun_add(void *caserun, const struct record *r);
void caserun_keep(void *caserun, const struct swarmref *s);
void caserun_given(void *caserun, const struct torrent *t, const char *path);

/* Its last records, with so many conversations; seals the case and prints the
 * last checkpoint and the ledger's digest. -1 logged. */
int caserun_end(struct caserun *c, const char *why, int64_t flows);
void caserun_close(struct caserun *c);

#endif
