#include "capture/reading.h"

#include <stdlib.h>

#include "schema/gather.h"
#include "schema/log.h"

#define THREADS 2u

/* A torrent that the command named. */
struct given {
	struct given *next;
	const char *path;
	uint8_t hash[20];
};

static void *must(void *p)
{
	if (!p)
		log_die("out of memory for a capture");
	return p;
}

/* --- what is known beforehand ---------------------------------------------------- */

static int load_torrent(struct reading *r, const char *path)
{
	struct torrent *t = torrent_load(path);
	struct given *g, **end = &r->given;
	uint8_t hash[20];

	if (!t)
		return -1;
	memcpy(hash, t->wire_hash[0], 20);
	if (!known_add(r->known, t))
		return 0;	/* given twice */
	g = must(calloc(1, sizeof(*g)));
	g->path = path;
	memcpy(g->hash, hash, 20);
	while (*end)
		end = &(*end)->next;
	*end = g;
	return 0;
}

int reading_load(struct reading *r, const struct import_conf *conf)
{
	int rc = 0;

	*r = (struct reading){ .known = known_new(),
		.secrets = secrets_new() };
	for (size_t i = 0; i < conf->torrent_count; i++)
		if (load_torrent(r, conf->torrents[i]) < 0)
			rc = -1;
	if (conf->secrets && secrets_file(r->secrets, conf->secrets) < 0)
		rc = -1;
	return rc;
}

int reading_case(struct reading *r, sqlite3 *db)
{
	struct wire_error err;
	sqlite3_stmt *q;
	int rc;

	if (sqlite3_prepare_v2(db, "SELECT raw.bytes FROM record JOIN raw "
	    "USING (seq) WHERE kind = 'torrent'", -1, &q, NULL) != SQLITE_OK) {
		log_warn("the case's torrents: %s", sqlite3_errmsg(db));
		return -1;
	}
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		struct torrent *t = torrent_new(span_of(
		    sqlite3_column_blob(q, 0),
		    (size_t)sqlite3_column_bytes(q, 0)), &err);

		if (t)
			known_add(r->known, t);
	}
	sqlite3_finalize(q);
	if (rc != SQLITE_DONE) {
		log_warn("the case's torrents: %s", sqlite3_errmsg(db));
		return -1;
	}
	return secrets_case(r->secrets, db);
}

void reading_given(struct reading *r, void (*tell)(void *ctx,
    const struct torrent *t, const char *path), void *ctx)
{
	for (const struct given *g = r->given; g; g = g->next)
		tell(ctx, known_find(r->known, g->hash)->ref.torrent, g->path);
}

/* --- packets --------------------------------------------------------------------- */

static int64_t on_add(void *ctx, const struct record *rec)
{
	return lineup_add(((struct reading *)ctx)->lineup, rec);
}

static int64_t on_later(void *ctx, const struct record *rec,
    struct promise *p)
{
	return lineup_later(((struct reading *)ctx)->lineup, rec, p);
}

static void on_learnt(void *ctx, const struct swarmref *s)
{
	const struct reading *r = ctx;

	r->learnt(r->ctx, s);
}

static bool on_ours(void *ctx, const struct endpoint *e)
{
	const struct reading *r = ctx;

	return r->ours(r->ctx, e);
}

static bool on_live(void *ctx, const struct dissect_met *m,
    struct dissect_live *l)
{
	const struct reading *r = ctx;

	/* Of the conversation before it between these ends the last word may
	 * still wait for its digest. */
	lineup_drain(r->lineup);
	return r->live(r->ctx, m, l);
}

static void on_met(void *ctx, const struct dissect_met *m,
    struct dissect_did *did)
{
	const struct reading *r = ctx;

	lineup_drain(r->lineup);
	r->met(r->ctx, m, did);
}

static void on_doubt(void *ctx, int64_t conn)
{
	const struct reading *r = ctx;

	r->doubt(r->ctx, conn);
}

static void on_odd(void *ctx, const char *reason, struct flow_at at)
{
	struct read_file *f = ((struct reading *)ctx)->file;
	size_t i = 0;

	while (i < f->odds && f->odd[i].reason != reason)
		i++;
	if (i == READ_ODDS)
		return;
	if (i == f->odds)
		f->odd[f->odds++] = (struct read_odd){ reason, at.frame, 0 };
	f->odd[i].times++;
}

void reading_begin(struct reading *r, int64_t (*add)(void *ctx,
    const struct record *rec), void (*learnt)(void *ctx,
    const struct swarmref *s), void *ctx)
{
	struct dissect_conf conf = { .ctx = r, .add = on_add,
		.later = on_later, .odd = on_odd,
		.learnt = learnt ? on_learnt : NULL,
		.known = r->known, .secrets = r->secrets,
		.secret = secrets_find };
	struct flow_sink sink;

	if (r->ours) {
		conf.ours = on_ours;
		conf.live = on_live;
		conf.met = on_met;
		conf.doubt = on_doubt;
	}
	r->learnt = learnt;
	r->ctx = ctx;
	r->lineup = lineup_new(LINEUP_MEMORY, add, ctx);
	r->digester = digester_new(THREADS, GATHER_LONG_NS);
	conf.digester = r->digester;
	r->dissect = must(dissect_new(&conf));
	sink = dissect_sink(r->dissect);
	r->flows = must(flows_new(&sink));
}

static void note_damage(struct reading *r, struct read_file *f,
    const struct source_item *item)
{
	if (f->damages == READ_DAMAGES)
		return;
	f->damage[f->damages++] = (struct read_damage){ item->offset,
	    source_packets(r->source), item->reason };
}

static void note_packet(struct read_file *f, const struct source_packet *p)
{
	f->cut += p->bytes.n < p->length;
	f->unstamped += !p->stamped;
	if (!p->stamped)
		return;
	if (f->first_utc_ns == 0 || p->utc_ns < f->first_utc_ns)
		f->first_utc_ns = p->utc_ns;
	if (p->utc_ns > f->last_utc_ns)
		f->last_utc_ns = p->utc_ns;
}

/* The dissector lends a file's name to records that come later. */
static const char *keep_name(struct reading *r, const char *file)
{
	r->names = must(realloc(r->names, (r->named + 1) *
	    sizeof(*r->names)));
	r->names[r->named] = must(strdup(file));
	return r->names[r->named++];
}

static int read_items(struct reading *r, struct read_file *f,
    volatile sig_atomic_t *stop)
{
	struct source_item item;

	for (;;) {
		if (source_next(r->source, &item) < 0)
			return -1;
		switch (item.kind) {
		case SOURCE_PACKET:
			note_packet(f, &item.packet);
			item.packet.frame |= (uint64_t)r->named <<
			    DISSECT_FRAME_BITS;
			if (!stop || !*stop)
				flows_packet(r->flows, &item.packet);
			break;
		case SOURCE_DAMAGE:
			note_damage(r, f, &item);
			break;
		case SOURCE_SECRETS:
			break;
		case SOURCE_END:
			return 0;
		}
	}
}

int reading_source(struct reading *r, struct source *src,
    struct read_file *f, volatile sig_atomic_t *stop)
{
	struct dissect_counts was = dissect_counts(r->dissect), now;
	struct flow_counts before = flows_counts(r->flows), after;
	int rc;

	dissect_file(r->dissect, keep_name(r, f->file), src);
	r->source = src;
	r->file = f;
	flows_file(r->flows);
	rc = read_items(r, f, stop);
	if (f->last)
		reading_finish(r);
	lineup_drain(r->lineup);
	r->source = NULL;
	r->file = NULL;
	dissect_file(r->dissect, r->names[r->named - 1], NULL);
	now = dissect_counts(r->dissect);
	after = flows_counts(r->flows);
	f->frames = source_packets(src);
	f->damaged = source_damages(src);
	f->fragments_lost = after.fragments_lost - before.fragments_lost;
	f->skipped = after.other + after.malformed - before.other -
	    before.malformed;
	f->flows = now.flows - was.flows;
	f->unclaimed = now.unclaimed - was.unclaimed;
	f->datagrams = now.datagrams - was.datagrams;
	return rc;
}

void reading_finish(struct reading *r)
{
	flows_finish(r->flows);
	dissect_finish(r->dissect);
	lineup_drain(r->lineup);
}

struct dissect_counts reading_counts(const struct reading *r)
{
	return dissect_counts(r->dissect);
}

void reading_free(struct reading *r)
{
	struct given *g;

	flows_free(r->flows);
	dissect_free(r->dissect);
	lineup_free(r->lineup);
	digester_free(r->digester);
	known_free(r->known);
	secrets_free(r->secrets);
	while ((g = r->given)) {
		r->given = g->next;
		free(g);
	}
	for (size_t i = 0; i < r->named; i++)
		free(r->names[i]);
	free(r->names);
	*r = (struct reading){ 0 };
}
