#include "monitor/run.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/privilege.h"
#include "monitor/confine.h"
#include "monitor/limits.h"
#include "monitor/packets.h"
#include "monitor/sock.h"
#include "monitor/tsa.h"
#include "monitor/upkeep.h"
#include "monitor/watched.h"
#include "schema/draw.h"
#include "schema/derive.h"
#include "schema/log.h"
#include "schema/publish.h"
#include "version.h"

#define TRACKERS_WAIT_MS 5000
#define CLOCK_WAIT_MS 2000
#define LAST_PACKETS_MS 300	/* our own FINs and their answers */
#define HALF_OPEN(rate) ((rate) > 50 ? 2 * (rate) : 100u)	/* two seconds' */

struct run {
	struct options opt;
	struct casedir dir;
	struct note_key key;
	char *keyfile;
	struct memory memory;
	struct memory_share share;	/* of --max-memory */
	struct vantage vantage;
	struct session_conf policy;
	struct account account;
	struct ledger *ledger;
	struct packets packets;
	struct clockwatch *clock;
	struct trackers *trackers;
	struct tsa *tsa;		/* NULL: none is asked */
	struct publisher *publisher;	/* NULL: no --on-checkpoint */
	struct finders finders;
	struct decoys *decoys;		/* NULL: none */
	struct crowd crowd;
	struct status status;
	struct wanted wanted;		/* of the command line and --list */
	struct watched watched;
	struct upkeep upkeep;
	uv_loop_t loop;
	uv_signal_t sigint, sigterm, sighup;
	uv_timer_t duration, last;
	int waiting;			/* for trackers and clock to end */
	bool stopping, hurried, sound;
	const char *why;
};

/* --- the end --------------------------------------------------------------------- */

static void close_handle(uv_handle_t *h, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void on_last(uv_timer_t *timer)
{
	struct run *r = timer->data;

	uv_stop(&r->loop);
}

static void on_done(void *ctx)
{
	struct run *r = ctx;

	if (--r->waiting == 0)
		uv_timer_start(&r->last, on_last, LAST_PACKETS_MS, 0);
}

static void stop(struct run *r, const char *why)
{
	if (r->stopping)
		return;
	r->stopping = true;
	r->why = why;
	log_info("stopping: %s", why);
	status_say(&r->status);
	watched_stop(&r->watched);
	finders_stop(&r->finders);
	crowd_stop(&r->crowd, "the run ended");
	r->waiting = 2;
	trackers_stop(r->trackers, TRACKERS_WAIT_MS, on_done);
	clockwatch_stop(r->clock, CLOCK_WAIT_MS, on_done);
}

static void on_sighup(uv_signal_t *sig, int number)
{
	struct run *r = sig->data;

	(void)number;
	if (!r->stopping)
		watched_again(&r->watched);
}

static void on_duration(uv_timer_t *timer)
{
	stop(timer->data, "duration");
}

static void on_end(void *ctx, const char *why)
{
	stop(ctx, why);
}

static void on_signal(uv_signal_t *sig, int number)
{
	struct run *r = sig->data;

	if (r->stopping) {	/* once more: without waiting for anybody */
		r->hurried = true;
		uv_stop(&r->loop);
		return;
	}
	stop(r, number == SIGINT ? "SIGINT" : "SIGTERM");
}

/* `end`, and time-stamps of it. */
static void put_end(struct run *r)
{
	if (r->tsa)
		tsa_stop(r->tsa);
	publisher_quiet(r->publisher);
	runlog_end(&r->account.run, r->why, r->crowd.env.dialled +
	    r->crowd.env.accepted, r->crowd.env.piece_bytes_sent, &r->sound);
	if (r->tsa && !r->hurried)
		tsa_last(r->tsa);
}

/* Seals the case and says what it came to. */
static int seal(struct run *r)
{
	int rc = r->sound && !r->upkeep.ended_early ? 0 : 1;

	if (r->account.run.first < 0) {	/* not even that */
		ledger_close(r->ledger, NULL, NULL);
		return 1;
	}
	put_end(r);
	if (ledger_hand_over(r->ledger, NULL) < 0)
		rc = 1;
	r->ledger = NULL;
	casedir_close(&r->dir);
	if ((r->opt.max_memory < MEMORY_DEFAULT ? derive_update_small :
	    derive_update)(r->opt.case_path) < 0)
		rc = 1;
	return r->sound ? rc : 1;
}

/* --- the beginning ----------------------------------------------------------------- */

/* All that the command line names, before there is a case; and every fault is
 * named before we refuse. */
static int load_all(struct run *r)
{
	const struct options *o = &r->opt;
	int rc = wanted_read(&r->wanted, o);

	for (size_t i = 0; i < o->geos; i++)
		if (account_check_geo(o->geo[i]) < 0)
			rc = -1;
	return upkeep_read(&r->upkeep, o, &r->account) < 0 ? -1 : rc;
}

static void make_policy(struct run *r)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct session_conf *p = &r->policy;
	size_t prefix = strlen(r->opt.peer_id_prefix);

	draw_bits(p->seed, sizeof(p->seed));
	draw_bits(p->peer_id, sizeof(p->peer_id));
	for (size_t i = prefix; i < sizeof(p->peer_id); i++)
		p->peer_id[i] = (uint8_t)digits[p->peer_id[i] %
		    (sizeof(digits) - 1)];
	memcpy(p->peer_id, r->opt.peer_id_prefix, prefix);
	p->listen_port = r->opt.listen ? r->opt.listen :
	    sock_free_port(r->opt.ports_from, r->opt.ports_to);
	p->version = "swarmwitness " SW_VERSION;
	p->sample = r->opt.observe_only ? 0 : r->opt.sample;
	p->outstanding = r->opt.outstanding;
	p->no_pex = r->opt.no_pex;
	p->dht = !r->opt.no_dht;
	draw_bits(&r->account.tracker_key, sizeof(r->account.tracker_key));
}

static int check_owner(const struct run *r)
{
	struct stat st;

	/* Root's capabilities go, and only the owner may write then. */
	if (geteuid() != 0 || stat(r->dir.path, &st) < 0 || st.st_uid == 0)
		return 0;
	log_warn("%s belongs to another user: run as its owner (for packets, "
	    "with cap_net_raw)", r->dir.path);
	return -1;
}

static int64_t on_add(void *ctx, const struct record *rec)
{
	struct run *r = ctx;

	return ledger_add(r->ledger, rec);
}

static int open_case(struct run *r)
{
	struct ledger_conf conf = { .dir = &r->dir, .key = &r->key, .run = true,
		.queue_bytes = r->share.queue_bytes,
		.on_checkpoint = publisher_put };
	struct ledger_past past;

	if (casedir_open(&r->dir, r->opt.case_path) < 0 ||
	    check_owner(r) < 0 ||
	    note_key_open(&r->key, r->opt.key, &r->keyfile) < 0)
		return -1;
	vantage_find(&r->vantage, &r->opt);
	packets_start(&r->packets, &r->opt, &r->vantage, &r->dir,
	    r->policy.listen_port, r->share.ring_mib);
	if (privilege_drop(-1) < 0) {
		log_warn("cannot give up privilege: %s", strerror(errno));
		return -1;
	}
	if (r->opt.on_checkpoint && !(r->publisher =
	    publisher_start(r->opt.on_checkpoint, privilege_drop)))
		return -1;
	conf.ctx = r->publisher;
	/* After the processes that are not to be confined so: they begin. */
	if (confine(&r->opt, &r->dir, r->keyfile, r->wanted.first,
	    &r->account.sandbox) < 0)
		return -1;
	r->ledger = ledger_open(&conf, &past);
	if (!r->ledger)
		return -1;
	r->account.run.ledger = r->ledger;
	r->account.options = &r->opt;
	r->account.run.key = &r->key;
	r->account.policy = &r->policy;
	r->account.vantage = &r->vantage;
	if (account_begin(&r->account, &past, r->keyfile, &r->sound) < 0)
		return -1;
	publisher_begin(r->publisher, on_add, r);
	packets_account(&r->packets, &r->account.run);
	for (size_t i = 0; i < r->opt.geos; i++)
		if (account_geo(&r->account, r->opt.geo[i]) < 0)
			return -1;
	return 0;
}

static void on_found(void *ctx, struct swarm *s, const struct endpoint *at,
    enum book_source source)
{
	struct run *r = ctx;

	if (at->port == r->policy.listen_port &&
	    vantage_is_local(&r->vantage, at))
		return;	/* that is us */
	crowd_hear(&r->crowd, s, at, source);
}

static void on_node(void *ctx, const struct swarm *s,
    const struct endpoint *at)
{
	struct run *r = ctx;

	finders_node(&r->finders, s, at);
}

static void on_named(void *ctx, void *list_ctx, const char *url, int64_t seq,
    const struct named *peers, size_t n)
{
	(void)url;
	(void)seq;
	for (size_t i = 0; i < n && list_ctx; i++)	/* a decoy has none */
		on_found(ctx, list_ctx, &peers[i].at, BOOK_TRACKER);
}

static void open_decoys(struct run *r)
{
	struct decoys_conf conf = { .sources = r->opt.decoys,
		.endpoints = r->opt.decoy_endpoints, .ctx = r, .add = on_add };

	if (conf.sources || conf.endpoints)
		r->decoys = decoys_new(&conf);
}

static void on_learnt(void *ctx, struct swarm *s, const char *source)
{
	struct run *r = ctx;

	watched_learnt(&r->watched, s, source);
}

static bool on_no_contact(void *ctx, const struct endpoint *at)
{
	struct run *r = ctx;

	return blocklist_has(&r->upkeep.blocked, at);
}

static int open_crowd(struct run *r)
{
	struct crowd_conf conf = { .loop = &r->loop, .ledger = r->ledger,
		.clock = r->clock, .policy = &r->policy,
		.book = { .allow_local = r->opt.allow_local,
			.blocked = upkeep_blocked, .ctx = &r->upkeep,
			.half_open = HALF_OPEN(r->opt.dial_rate),
			.dial_rate = r->opt.dial_rate,
			.in_all = r->share.endpoints,
			.addresses = r->share.endpoints,
			.connections = r->opt.max_connections },
		.bind4 = r->vantage.bind4, .bind6 = r->vantage.bind6,
		.listen_port = r->policy.listen_port,
		.ports_from = r->opt.ports_from, .ports_to = r->opt.ports_to,
		.udp = r->opt.no_utp ? NULL : r->finders.net,
		.crypt = r->opt.encryption, .max_rate = r->opt.max_rate,
		.decoys = r->decoys, .memory = &r->memory,
		.ctx = r, .node = on_node, .found = on_found,
		.learnt = on_learnt };

	draw_bits(conf.book.key, sizeof(conf.book.key));
	return crowd_open(&r->crowd, &conf);
}

static bool on_stalled(void *ctx, int64_t since_mono_ns)
{
	const struct run *r = ctx;

	return clockwatch_stalled(r->clock, since_mono_ns);
}

static void open_trackers(struct run *r)
{
	struct trackers_conf conf = { .loop = &r->loop, .ctx = r,
		.add = on_add, .named = on_named,
		.key = r->account.tracker_key, .port = r->policy.listen_port,
		.bind4 = r->opt.bind4, .bind6 = r->opt.bind6,
		.want4 = r->vantage.bind4.family != 0,
		.want6 = r->vantage.bind6.family != 0,
		.ports_from = r->opt.ports_from, .ports_to = r->opt.ports_to,
		.allow_local = r->opt.allow_local,
		.user_agent = "swarmwitness/" SW_VERSION,
		.stalled = on_stalled };

	memcpy(conf.peer_id, r->policy.peer_id, sizeof(conf.peer_id));
	r->trackers = trackers_new(&conf);
	if (!r->trackers)
		log_die("out of memory");
}

static bool on_full(void *ctx)
{
	const struct run *r = ctx;

	return ledger_full(r->ledger);
}

static void on_stall(void *ctx, const char *cause, int64_t from_utc_ns,
    int64_t to_utc_ns, int64_t lag_ns, int64_t dropped)
{
	const struct run *r = ctx;

	clockwatch_stall(r->clock, cause, from_utc_ns, to_utc_ns, lag_ns,
	    dropped);
}

static int open_finders(struct run *r)
{
	struct finders_conf conf = { .loop = &r->loop, .opt = &r->opt,
		.vantage = &r->vantage, .dir = &r->dir,
		.port = r->policy.listen_port, .ctx = r, .add = on_add,
		.found = on_found, .blocked = on_no_contact,
		.stalled = on_stalled, .full = on_full,
		.stall = on_stall };

	return finders_open(&r->finders, &conf);
}

static void open_timers(struct run *r)
{
	uv_signal_init(&r->loop, &r->sigint);
	uv_signal_init(&r->loop, &r->sigterm);
	uv_signal_init(&r->loop, &r->sighup);
	uv_timer_init(&r->loop, &r->duration);
	uv_timer_init(&r->loop, &r->last);
	r->sigint.data = r->sigterm.data = r->sighup.data = r;
	r->duration.data = r->last.data = r;
	uv_signal_start(&r->sigint, on_signal, SIGINT);
	uv_signal_start(&r->sigterm, on_signal, SIGTERM);
	uv_signal_start(&r->sighup, on_sighup, SIGHUP);
	if (r->opt.duration_s)
		uv_timer_start(&r->duration, on_duration,
		    (uint64_t)r->opt.duration_s * 1000, 0);
	packets_watch(&r->packets, &r->loop);
	r->status.crowd = &r->crowd;
	r->status.trackers = r->trackers;
	r->status.finders = &r->finders;
	r->status.ledger = r->ledger;
	r->status.clock = r->clock;
	r->status.recorder = &r->packets.recorder;
	status_start(&r->status, &r->loop);
	r->upkeep.ctx = r;
	r->upkeep.end = on_end;
	upkeep_start(&r->upkeep, &r->loop, &r->opt, &r->status, &r->account);
}

static int open_watched(struct run *r)
{
	r->watched = (struct watched){ .opt = &r->opt, .dir = &r->dir,
		.account = &r->account, .crowd = &r->crowd,
		.trackers = r->trackers, .finders = &r->finders,
		.decoys = r->decoys };
	return watched_begin(&r->watched, &r->wanted, &r->loop);
}

/* --- the story ------------------------------------------------------------------- */

/* Observes until something ends it. -1: it could not begin. */
static int observe(struct run *r)
{
	struct clockwatch_conf clock = { .loop = &r->loop, .ctx = r,
		.add = on_add, .ntp = r->opt.ntp, .ntps = r->opt.ntps,
		.ports_from = r->opt.ports_from, .ports_to = r->opt.ports_to };

	if (!r->vantage.bind4.family && !r->vantage.bind6.family) {
		log_warn("no address of this host leads anywhere "
		    "(--allow-local takes local ones)");
		return -1;
	}
	if (!r->vantage.bind4.family || !r->vantage.bind6.family)
		log_info("IPv%d is not used: no address%s",
		    r->vantage.bind4.family ? 6 : 4, r->opt.bind4.family ||
		    r->opt.bind6.family ? " given" : " that leads anywhere");
	uv_loop_init(&r->loop);
	r->clock = clockwatch_new(&clock);
	if (!r->clock)
		log_die("out of memory");
	open_decoys(r);
	if (open_finders(r) < 0 || open_crowd(r) < 0)
		return -1;
	open_trackers(r);
	open_timers(r);
	if (r->opt.tsas)
		r->tsa = tsa_start(&r->loop, r->ledger, &r->opt);
	if (open_watched(r) < 0)
		return -1;
	log_info("watching %u swarm%s, listening on port %u",
	    r->crowd.swarms.count, r->crowd.swarms.count == 1 ? "" : "s",
	    r->policy.listen_port);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	upkeep_end(&r->upkeep, &r->account);
	return 0;
}

/* Frees what the loop held. Hurried, it is left to the kernel. */
static void clear(struct run *r)
{
	if (r->hurried)
		return;
	finders_close(&r->finders);
	uv_walk(&r->loop, close_handle, NULL);
	uv_run(&r->loop, UV_RUN_DEFAULT);
	uv_loop_close(&r->loop);
	trackers_free(r->trackers);
	tsa_free(r->tsa);
	finders_free(&r->finders);
	clockwatch_free(r->clock);
	crowd_free(&r->crowd);
	decoys_free(r->decoys);
	note_key_close(&r->key);
	free(r->keyfile);
	packets_free(&r->packets);
	upkeep_fini(&r->upkeep);
}

int monitor_main(int argc, char **argv)
{
	static struct run run;
	struct run *r = &run;
	bool began = false;
	int rc;

	*r = (struct run){ .sound = true, .dir = { .lock = -1 },
		.account = { .run = { .first = -1 } } };
	switch (options_read(&r->opt, argc, argv)) {
	case OPTIONS_HELP:
		options_help(stdout);
		return 0;
	case OPTIONS_MISUSE:
		return 2;
	case OPTIONS_GO:
		break;
	}
	r->account.run.argc = argc;
	r->account.run.argv = argv;
	if (limits_raise(&r->opt) < 0)
		return 1;
	make_policy(r);
	memory_share(r->opt.max_memory, !r->opt.no_packets, &r->share);
	if (memory_open(&r->memory, r->share.own) < 0) {
		log_warn("/proc/self/statm: %s: --max-memory cannot be kept",
		    strerror(errno));
		return 1;
	}
	if (load_all(r) < 0)
		return 1;
	began = open_case(r) == 0 && observe(r) == 0;
	if (!began) {	/* what has begun is ended all the same */
		r->why = "it could not begin";
		r->sound = false;
	}
	packets_end(&r->packets);
	if (!r->ledger)
		return 1;
	rc = seal(r);
	if (began)
		clear(r);
	publisher_close(r->publisher);
	return began ? rc : 1;
}
