#include "monitor/upkeep.h"

#include "schema/casedir.h"
#include "schema/log.h"

int upkeep_read(struct upkeep *u, const struct options *o, struct account *a)
{
	int rc = 0;

	for (size_t i = 0; i < o->blocklists; i++)
		if (blocklist_read(&u->blocked, o->blocklist[i]) < 0 ||
		    casedir_digest(o->blocklist[i], a->blocklist_sha256[i],
		    NULL) < 0)
			rc = -1;
	blocklist_ready(&u->blocked);
	return rc;
}

bool upkeep_blocked(void *upkeep, const struct endpoint *at, bool incoming)
{
	struct blocklist *b = &((struct upkeep *)upkeep)->blocked;
	bool has = blocklist_has(b, at);

	*(incoming ? &b->refused : &b->withheld) += has;
	return has;
}

/* What is there is sealed while it still can be; and whoever started this is
 * told by the exit status that it ended early. */
static void on_full(void *ctx, const char *why)
{
	struct upkeep *u = ctx;

	log_warn("%s", why);
	u->ended_early = true;
	u->end(u->ctx, u->disk.budget > 0 && u->disk.used >= u->disk.budget ?
	    "disk budget" : "disk nearly full");
}

void upkeep_start(struct upkeep *u, uv_loop_t *loop, const struct options *o,
    const struct status *status, const struct account *a)
{
	u->disk.path = o->case_path;
	u->disk.budget = o->disk_budget;
	u->disk.spare = o->disk_spare;
	u->disk.ctx = u;
	u->disk.full = on_full;
	disk_watch(&u->disk, loop);
	if (!o->metrics)
		return;
	u->metrics.file = o->metrics;
	u->metrics.of = status;
	u->metrics.disk = &u->disk;
	u->metrics.blocked = &u->blocked;
	u->metrics.began_utc_ns = a->run.began.utc_ns;
	metrics_start(&u->metrics, loop);
}

void upkeep_end(struct upkeep *u, struct account *a)
{
	if (a->options->blocklists)
		account_blocked(a, &u->blocked);
	metrics_end(&u->metrics);
}

void upkeep_fini(struct upkeep *u)
{
	blocklist_fini(&u->blocked);
}
