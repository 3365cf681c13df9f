#include "capture/replay.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/reading.h"
#include "capture/remake.h"
#include "capture/ledgered.h"
#include "schema/json.h"
#include "schema/log.h"
#include "wire/talk.h"

#define MATCH_NS (120LL * 1000000000)	/* a dial is that near its first packet */
#define DISORDER_NS (60LL * 1000000000)
#define TOLD_MOST 40

void replay_tell(struct replay *r, bool wrong, const char *fmt, ...)
{
	char text[640];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->tell(r->ctx, wrong, text);
}

/* --- what the packets say -------------------------------------------------------- */

/* Of one of our own conversations, in the savefiles. */
struct heard {
	struct talked *talked;	/* the ledger's; NULL: it has none */
	struct told told[LANES];
	struct endpoint peer;
	int64_t began_ns;
	bool sent;		/* something of ours */
	bool doubt;
};

struct hear {
	struct replay *r;
	struct ledgered *l;
	struct tally tally;
	struct heard **at;	/* by the number that stands for its seq */
	size_t n, room;
	struct talked *met;	/* of the conversation that is being opened */
};

static bool on_ours(void *ctx, const struct endpoint *e)
{
	const struct hear *h = ctx;

	return ledgered_is_ours(h->l, e);
}

/* How far a record is from the packet it goes with: a dial stands before its
 * first packet, an accepted call behind it. Only a clock that was set makes it
 * otherwise, and then what is far in the right order is no better. */
static int64_t distance(const struct talked *t, int64_t utc_ns)
{
	int64_t d = t->dialled ? utc_ns - t->utc_ns : t->utc_ns - utc_ns;

	return d >= 0 ? d : DISORDER_NS - d;
}

/* Whether a is the likelier one. Calls may wait for being taken up until others
 * from the same port wait behind them; those that said nothing are no flow. */
static bool likelier(const struct talked *a, const struct talked *b,
    int64_t utc_ns)
{
	if (!a->dialled && a->spoken != b->spoken)
		return a->spoken;
	return distance(a, utc_ns) < distance(b, utc_ns);
}

/* The ledger's conversation that is nearest in time, NULL if none is near. */
static struct talked *find(const struct hear *h, const struct dissect_met *m)
{
	struct talked *best = NULL;
	size_t n;
	struct talked **t = ledgered_find(h->l, m->transport == FLOW_UTP,
	    &m->peer, m->utc_ns - MATCH_NS, m->utc_ns + MATCH_NS, &n);

	for (size_t i = 0; i < n; i++) {
		if (t[i]->heard || t[i]->dialled != m->dialled ||
		    m->utc_ns < t[i]->not_before_ns ||
		    distance(t[i], m->utc_ns) > MATCH_NS ||
		    (t[i]->local.family &&
		    endpoint_cmp(&t[i]->local, &m->us) != 0))
			continue;
		if (!best || likelier(t[i], best, m->utc_ns))
			best = t[i];
	}
	return best;
}

static bool on_live(void *ctx, const struct dissect_met *m,
    struct dissect_live *l)
{
	const struct talked *t = find(ctx, m);

	if (!t)
		return false;
	l->veiled = t->veiled;
	l->secret_known = t->secret != NULL;
	if (t->secret)
		l->secret = *t->secret;
	return true;
}

static void on_met(void *ctx, const struct dissect_met *m,
    struct dissect_did *did)
{
	struct hear *h = ctx;
	struct talked *best = find(h, m);

	h->met = best;
	if (!best)
		return;
	best->heard = true;
	if (best->closed) {
		did->most[SIDE_PEER] = (uint64_t)best->rx_bytes;
		did->most[SIDE_US] = (uint64_t)best->tx_bytes;
	}
	did->heard = best->order;
	did->heards = best->orders;
}

static void on_doubt(void *ctx, int64_t conn)
{
	struct hear *h = ctx;

	if (conn >= 0 && (size_t)conn < h->n && h->at[conn])
		h->at[conn]->doubt = true;
}

static int64_t open_one(struct hear *h, const struct record *rec)
{
	struct heard *c = calloc(1, sizeof(*c));

	if (h->n == h->room) {
		h->room = h->room ? 2 * h->room : 256;
		h->at = realloc(h->at, h->room * sizeof(struct heard *));
	}
	if (!c || !h->at)
		log_die("out of memory for a replay");
	c->talked = h->met;
	c->peer = *rec->who;
	c->began_ns = rec->at.utc_ns;
	h->met = NULL;
	h->at[h->n] = c;
	return (int64_t)h->n++;
}

static void drop(struct hear *h, int64_t conn)
{
	tally_free(h->at[conn]->told);
	free(h->at[conn]);
	h->at[conn] = NULL;
}

/* "rx_bytes" and so on out of `closed`, as the packets have it. */
struct ends {
	int64_t rx_bytes, tx_bytes;
	char rx[65], tx[65];
};

static struct ends read_ends(struct hear *h, const char *detail)
{
	struct ends e = { 0 };
	sqlite3_stmt *s = h->l->ends;

	sqlite3_bind_text(s, 1, detail, -1, SQLITE_STATIC);
	if (sqlite3_step(s) == SQLITE_ROW) {
		const char *rx = (const char *)sqlite3_column_text(s, 2);
		const char *tx = (const char *)sqlite3_column_text(s, 3);

		e.rx_bytes = sqlite3_column_int64(s, 0);
		e.tx_bytes = sqlite3_column_int64(s, 1);
		snprintf(e.rx, sizeof(e.rx), "%s", rx ? rx : "");
		snprintf(e.tx, sizeof(e.tx), "%s", tx ? tx : "");
	}
	sqlite3_reset(s);
	return e;
}

static bool sane_ends(const struct talked *t, const struct ends *e)
{
	if (!t->closed)
		return true;
	if (e->rx_bytes != t->rx_bytes || strcmp(e->rx, t->rx_sha256) != 0)
		return false;
	/* What was written when a connection broke need not have left. */
	return e->tx_bytes < t->tx_bytes ||
	    strcmp(e->tx, t->tx_sha256) == 0;
}

/* These packets are of another call between the same ports, which was not
 * taken up: nothing of ours is in them, and they are not what was heard. */
static bool is_other(const struct talked *t, const struct ends *e,
    int64_t end_ns)
{
	return !t->dialled && e->tx_bytes == 0 && t->closed &&
	    ((t->rx_bytes == 0 && end_ns < t->utc_ns) || !sane_ends(t, e));
}

static void untold(struct hear *h, const struct heard *c, int64_t end_ns)
{
	char at[ENDPOINT_TEXT_MAX];

	if (!c->sent) {
		h->r->untaken++;
		return;
	}
	if (ledgered_lossy(h->l, c->began_ns, end_ns)) {
		h->r->unsupported++;
		return;
	}
	h->r->extra++;
	replay_tell(h->r, !h->l->crashed, "packets: a conversation with %s, to "
	    "which this observer spoke, is not in the ledger%s",
	    endpoint_text(&c->peer, at), h->l->crashed ? "; a run that did "
	    "not end lost its last records" : "");
}

static void compare(struct hear *h, struct heard *c, const struct ends *e)
{
	struct talked *t = c->talked;
	struct replay *r = h->r;
	struct tally_result got;
	bool excused = c->doubt || t->early || !t->closed || !t->run_ended;
	bool unsent = t->closed && e->tx_bytes < t->tx_bytes, ends;

	t->spoken = true;
	tally_end(c->told);
	tally_end(t->told);
	tally_compare(t->told, c->told, unsent || !t->closed, &got);
	ends = sane_ends(t, e);
	excused |= unsent && ends && tally_hinges(t->told, c->told);
	/* In which order it read and asked, such a run did not say. */
	excused |= t->unordered && ends &&
	    tally_order_alone(t->told, c->told);
	r->events += got.same + got.missing;
	if (got.missing == 0 && got.extra == 0 && ends) {
		r->same++;
	} else if (excused || ledgered_lossy(h->l, t->utc_ns, t->end_ns)) {
		r->unsupported++;
	} else {
		int64_t both = got.missing < got.extra ? got.missing :
		    got.extra;
		char at[ENDPOINT_TEXT_MAX], first[80] = "", more[80] = "";

		r->different += both + !ends;
		r->missing += got.missing - both;
		r->extra += got.extra - both;
		if (got.first_missing >= 0)
			snprintf(first, sizeof(first), "; the first is %s, "
			    "record %" PRId64, got.missing_kind,
			    got.first_missing);
		if (got.extra_kind)
			snprintf(more, sizeof(more), "; the packets' first is "
			    "%s", got.extra_kind);
		replay_tell(r, true, "conversation %" PRId64 " with %s: %"
		    PRId64 " events of the ledger are not in the packets, %"
		    PRId64 " of the packets not in the ledger%s%s%s", t->seq,
		    endpoint_text(&t->peer, at), got.missing, got.extra, first,
		    more, ends ? "" : "; the streams' lengths or digests in closed "
		    "are not those of the packets");
	}
	tally_free(t->told);
}

static int64_t hear_exchange(struct hear *h, const struct record *rec)
{
	uint8_t d[32];
	char hex[65];

	if (!rec->raw.p || (strcmp(rec->kind, "listed") != 0 &&
	    strcmp(rec->kind, "scrape") != 0 && strcmp(rec->kind, "dht") != 0))
		return -1;
	SHA256(rec->raw.p, rec->raw.n, d);
	hex_of(d, 32, hex);
	ledgered_answer(h->l, rec->kind, hex, rec->detail);
	return -1;
}

static int64_t on_add(void *ctx, const struct record *rec)
{
	struct hear *h = ctx;
	struct heard *c;
	struct ends e;
	char hex[65];

	if (rec->conn == CONN_SELF)
		return open_one(h, rec);
	if (rec->conn < 0 || (size_t)rec->conn >= h->n || !h->at[rec->conn])
		return hear_exchange(h, rec);
	c = h->at[rec->conn];
	if (strcmp(rec->kind, "closed") == 0) {
		e = read_ends(h, rec->detail);
		c->sent = e.tx_bytes > 0;
		if (c->talked && !c->doubt &&
		    is_other(c->talked, &e, rec->at.utc_ns)) {
			c->talked->heard = false;
			c->talked = NULL;
		}
		if (c->talked)
			compare(h, c, &e);
		else
			untold(h, c, rec->at.utc_ns);
		drop(h, rec->conn);
	} else if (c->talked && tally_counts(rec->kind)) {
		if (rec->raw_sha256)
			hex_of(rec->raw_sha256, 32, hex);
		tally_add(&h->tally, c->told, rec->kind, rec->detail,
		    rec->raw, rec->raw_sha256 ? hex : rec->raw.p ?
		    tally_digest(rec->raw, hex) : NULL, -1);
	}
	return -1;
}

/* --- the savefiles ------------------------------------------------------------------ */

static int hear_file(struct hear *h, struct reading *reading,
    const char *path, const struct saved *f)
{
	struct read_file rf = { .file = f->file };
	struct source *src = source_of_case(path, f->file, NULL);
	int rc;

	if (!src)
		return -1;
	rc = reading_source(reading, src, &rf, NULL);
	source_close(src);
	h->r->savefiles++;
	h->r->packets += (int64_t)rf.frames;
	return rc;
}

static int hear_all(struct hear *h, sqlite3 *db, const char *path)
{
	struct reading reading = { .known = known_new(),
		.secrets = secrets_new(), .ours = on_ours, .live = on_live,
		.met = on_met, .doubt = on_doubt };
	int rc = reading_case(&reading, db);

	ledgered_swarms(h->l, reading.known);
	reading_begin(&reading, on_add, NULL, h);
	for (size_t i = 0; i < h->l->saves && rc == 0; i++) {
		const struct saved *f = &h->l->saved[i];

		if (hear_file(h, &reading, path, f) < 0)
			replay_tell(h->r, true, "%s cannot be read again",
			    f->file);
		h->r->dropped += f->dropped > 0 ? f->dropped : 0;
	}
	reading_finish(&reading);
	reading_free(&reading);
	return rc;
}

/* What the ledger tells and no packet did. */
static void unheard(struct hear *h)
{
	struct replay *r = h->r;
	int64_t told = 0;

	for (size_t i = 0; i < h->l->talks; i++) {
		struct talked *t = h->l->talk[i];
		char at[ENDPOINT_TEXT_MAX];

		if (t->elsewhere) {
			r->different++;
			replay_tell(r, true, "record %" PRId64 " of "
			    "conversation %" PRId64 " with %s bears another "
			    "endpoint", t->elsewhere, t->seq,
			    endpoint_text(&t->peer, at));
		}
		if (!t->spoken)
			continue;
		r->conversations++;
		if (t->heard)
			continue;
		/* Nothing came back: nothing need have left this host. */
		if (!ledgered_covers(h->l, t->utc_ns) || !t->run_ended ||
		    !t->closed || t->rx_bytes == 0 ||
		    ledgered_lossy(h->l, t->utc_ns, t->end_ns)) {
			r->unsupported++;
			continue;
		}
		r->missing++;
		if (told++ < TOLD_MOST)
			replay_tell(r, true, "conversation %" PRId64 " with %s "
			    "is not in the packets", t->seq,
			    endpoint_text(&t->peer, at));
	}
}

int replay_case(struct replay *r, sqlite3 *db, const char *path)
{
	struct hear h = { .r = r };
	int rc = remake_imports(r, db, path);

	h.l = ledgered_new(db);
	if (!h.l)
		return -1;
	if (h.l->saves > 0) {
		tally_init(&h.tally);
		rc = ledgered_read(h.l, &h.tally) < 0 ||
		    hear_all(&h, db, path) < 0 ? -1 : rc;
		unheard(&h);
		ledgered_settle(h.l, r);
		if (r->unsupported)
			replay_tell(r, false, "%" PRId64 " conversations have "
			    "no full support in the packets: %" PRId64
			    " packets were dropped, or they lie outside what "
			    "was captured, or bytes came twice and differ, or "
			    "what was written was not sent, or the version "
			    "that recorded them did not say (heard) what it "
			    "had read when it asked", r->unsupported,
			    r->dropped);
		if (h.l->erased)
			replay_tell(r, false, "records were erased, and packets "
			    "with them: what differs is counted as having no "
			    "full support, and is not called wrong");
		tally_fini(&h.tally);
	}
	for (size_t i = 0; i < h.n; i++)
		if (h.at[i])
			drop(&h, (int64_t)i);
	free(h.at);
	ledgered_free(h.l);
	return rc;
}
