#include "schema/observe.h"

#include <stdio.h>
#include <stdlib.h>

#include "schema/describe.h"
#include "schema/gossip.h"
#include "schema/log.h"

/* Files a conversation may make us look at for the roots of its hashes. */
#define ROOTS_MOST (1u << 22)

static enum side other(enum side by)
{
	return by == SIDE_PEER ? SIDE_US : SIDE_PEER;
}

static void *must(void *p)
{
	if (!p)
		log_die("out of memory for a conversation");
	return p;
}

void observe_target(struct witness *w, const struct swarmref *target)
{
	w->target = target;
	w->torrent = target ? target->torrent : NULL;
}

/* --- writing down ---------------------------------------------------------- */

enum side observe_as(const struct witness *w, enum side by)
{
	return w->between ? SIDE_PEER : by;
}

static void put_place(struct witness *w, enum side by, struct record *r)
{
	r->swarm = w->target ? w->target->swarm : NULL;
	r->conn = w->conn;
	r->who = w->between ? &w->between->end[by] : &w->who;
}

static void put_names(struct witness *w, enum side by, struct record *r,
    struct json *detail)
{
	put_place(w, by, r);
	r->detail = json_done(detail);
	if (!r->detail)
		log_die("the detail of a %s record does not fit", r->kind);
	w->hooks.add(w->hooks.ctx, r);
	json_fini(detail);
}

void observe_put(struct witness *w, enum side by, struct stamp at,
    const char *kind, struct json *detail, struct span raw,
    const uint8_t *raw_sha256)
{
	struct record r = { .at = at, .kind = kind, .raw = raw,
		.raw_sha256 = raw_sha256 };

	put_names(w, by, &r, detail);
}

void observe_put_later(struct witness *w, enum side by, struct stamp at,
    const char *kind, struct promise *p)
{
	struct record r = { .at = at, .kind = kind };

	put_place(w, by, &r);
	w->hooks.later(w->hooks.ctx, &r, p);
}

/* The side's claims, if they are about the torrent. */
static const struct claims *told(const struct flow *f)
{
	return f->counts ? &f->claims : NULL;
}

void observe_flush(struct witness *w, enum side by)
{
	struct flow *f = &w->flow[by];
	struct burst b = f->burst;
	struct json j;

	if (!b.key.kind)
		return;
	f->burst = (struct burst){ 0 };
	json_init(&j, JSON_MOST);
	burst_detail(&b, describe_side(observe_as(w, by)), told(f), &j);
	observe_put(w, by, b.first, b.key.kind, &j, span_of(b.raw, b.n), NULL);
	burst_fini(&b);
}

/* Adds a message to the side's run; one that does not join ended it before. */
static void join(struct witness *w, enum side by, const struct burst_key *key,
    struct span raw, struct stamp at)
{
	struct flow *f = &w->flow[by];
	struct burst one = { .key = *key, .first = at, .last = at, .count = 1 };
	struct json j;

	if (raw.n <= BURST_MOST) {
		burst_add(&f->burst, key, raw, at);
		if (key->id == PW_REQUEST && observe_as(w, by) == SIDE_US)
			burst_heard(&f->burst, w->flow[SIDE_PEER].bytes);
		return;
	}
	json_init(&j, JSON_MOST);
	burst_detail(&one, describe_side(observe_as(w, by)), told(f), &j);
	observe_put(w, by, at, key->kind, &j, raw, NULL);
}

static void note_pex(struct witness *w, const struct event *ev,
    struct stamp at)
{
	struct named names[GOSSIP_NAMES_MAX];
	struct record r = { .at = at, .kind = "pex", .raw = ev->raw,
		.named = names };
	struct json j;

	json_init(&j, JSON_MOST);
	r.names = gossip_pex(&ev->pex, describe_side(observe_as(w, ev->by)),
	    &j, names);
	put_names(w, ev->by, &r, &j);
}

/* --- hashes of v2 files ------------------------------------------------------ */

static const struct proven *proven_of(const struct witness *w)
{
	return w->target && w->target->proven ? w->target->proven : w->proven;
}

/* Hashes that lead to a file's root are kept, for pieces to be held against. */
static enum hashes_verdict judge(struct witness *w, const struct event *ev,
    const char **why)
{
	const struct torrent *t = w->torrent;
	const struct mi_file *f;
	enum hashes_verdict v;
	struct hashes_tree tree;

	*why = "the metadata is not known";
	if (!t || !w->flow[ev->by].counts)
		return HASHES_OPEN;
	*why = "too many hashes to look up";
	if (w->roots > ROOTS_MOST)
		return HASHES_OPEN;
	w->roots += t->mi.files;
	*why = "no file of the torrent has this root";
	f = torrent_root(t, ev->msg.root);
	if (!f)
		return HASHES_OPEN;
	tree = hashes_tree(&t->mi, f);
	v = hashes_check(&ev->msg, &tree, why);
	if (v != HASHES_PROVEN)
		return v;
	if (!proven_of(w))
		w->proven = must(proven_new());
	proven_add(w->target->proven ? w->target->proven : w->proven,
	    &ev->msg);
	return v;
}

static void note_hashes(struct witness *w, const struct event *ev,
    struct stamp at)
{
	enum hashes_verdict v = HASHES_OPEN;
	const char *why = hashes_fault(&ev->msg);
	bool proven;
	struct json j;

	if (ev->msg.id == PW_HASHES)
		v = judge(w, ev, &why);
	proven = v == HASHES_PROVEN;
	json_init(&j, JSON_MOST);
	describe_hashes(ev, observe_as(w, ev->by), v == HASHES_OPEN ? NULL :
	    &proven, why, &j);
	observe_put(w, ev->by, at, "hashes", &j, describe_raw(ev), NULL);
}

/* An event with a record of its own; its claims are applied already. */
static void note(struct witness *w, const struct event *ev, struct stamp at)
{
	struct flow *f = &w->flow[ev->by];
	bool ordered = ev->kind == EV_EXTENDED && (ev->ext == EXT_HANDSHAKE ||
	    ev->ext == EXT_UT_METADATA) && observe_as(w, ev->by) == SIDE_US;
	const char *kind;
	struct json j;

	if (ev->kind == EV_EXTENDED && ev->ext == EXT_UT_PEX) {
		note_pex(w, ev, at);
		return;
	}
	if (ev->kind == EV_MESSAGE && (ev->msg.id == PW_HASH_REQUEST ||
	    ev->msg.id == PW_HASHES || ev->msg.id == PW_HASH_REJECT)) {
		note_hashes(w, ev, at);
		return;
	}
	json_init(&j, JSON_MOST);
	kind = describe_event(ev, observe_as(w, ev->by), f->counts, told(f),
	    ordered ? &w->flow[SIDE_PEER].bytes : NULL, &j);
	if (kind)
		observe_put(w, ev->by, at, kind, &j, describe_raw(ev), NULL);
	json_fini(&j);
}

/* --- pieces ---------------------------------------------------------------- */

/* What is left to say of a whole piece once its digests are there. */
struct piece_promise {
	struct promise promise;
	struct underway *u;
	const struct torrent *torrent;
	const char *by;
	struct witness *report;	/* whose hook wants the result, or NULL */
	bool kept;
	char state[64];
};

static bool piece_ready(struct promise *p)
{
	return underway_settled(((struct piece_promise *)p)->u);
}

static const uint8_t *piece_keep(struct promise *p, struct json *j)
{
	struct piece_promise *pp = (struct piece_promise *)p;

	underway_settle(pp->u);
	underway_detail(pp->u, pp->torrent, pp->by, pp->state, j);
	pp->kept = true;
	return underway_sha256(pp->u);
}

static void report_piece(const struct witness *w, const struct underway *u)
{
	struct piece_result r = {
		.piece = underway_piece(u),
		.complete = underway_complete(u),
		.matched = underway_matched(u),
		.proven = underway_proven(u)
	};

	w->hooks.piece(w->hooks.ctx, &r);
}

static void piece_drop(struct promise *p)
{
	struct piece_promise *pp = (struct piece_promise *)p;

	if (pp->kept && pp->report)
		report_piece(pp->report, pp->u);
	underway_free(pp->u);
	free(pp);
}

static void put_piece(struct witness *w, enum side by, struct underway *u,
    const char *state, bool report, struct stamp at)
{
	struct piece_promise *p = must(malloc(sizeof(*p)));
	const uint8_t *sha256;
	struct json j;

	*p = (struct piece_promise){ { piece_ready, piece_keep, piece_drop },
		.u = u, .torrent = w->torrent,
		.by = describe_side(observe_as(w, by)),
		.report = report && w->hooks.piece ? w : NULL };
	snprintf(p->state, sizeof(p->state), "%s", state);
	if (w->hooks.later && !piece_ready(&p->promise)) {
		observe_put_later(w, by, at, "piece", &p->promise);
		return;
	}
	json_init(&j, JSON_MOST);
	sha256 = piece_keep(&p->promise, &j);
	observe_put(w, by, at, "piece", &j, span_of(NULL, 0), sha256);
	piece_drop(&p->promise);
}

void observe_piece(struct witness *w, enum side by, struct underway *u,
    const char *reason, bool report, struct stamp at)
{
	char state[64];

	/* What we were asked for and never gave is told by `request`. */
	if (observe_as(w, by) == SIDE_US && underway_came(u) == 0) {
		underway_free(u);
		return;
	}
	observe_flush(w, SIDE_US);
	observe_flush(w, SIDE_PEER);
	snprintf(state, sizeof(state), "%s%s", reason,
	    !w->flow[by].unchoked ? ", choked" :
	    underway_rejected(u) ? ", rejected" : "");
	put_piece(w, by, u, state, report && by == SIDE_PEER, at);
}

static void asked(struct witness *w, const struct event *ev, struct stamp at)
{
	enum side giver = other(ev->by);
	struct flow *f = &w->flow[giver];
	struct underway *out;

	if (!f->counts || !w->torrent)
		return;
	if (!f->pieces) {
		f->pieces = must(malloc(sizeof(*f->pieces)));
		assembly_init(f->pieces, w->torrent, w->between ?
		    ASSEMBLY_LIVE_MOST : ASSEMBLY_LIVE);
	}
	f->pieces->proven = proven_of(w);
	f->pieces->digester = w->hooks.digester;
	f->pieces->later = w->hooks.later != NULL;
	assembly_ask(f->pieces, &ev->msg, &out);
	if (out)
		observe_piece(w, giver, out, "displaced", false, at);
}

static void block(struct witness *w, const struct event *ev, struct stamp at)
{
	struct flow *f = &w->flow[ev->by];
	struct burst_key key = { .kind = "block", .id = PW_PIECE };
	struct underway *done = NULL;

	f->piece_bytes += ev->part.n;
	if (f->pieces)
		f->pieces->proven = proven_of(w);
	if (!f->counts)
		key.why = ev->raw.n ? "not of this torrent" : NULL;
	else if (!w->torrent)
		key.why = ev->raw.n ? "the metadata is not known" : NULL;
	else if (!f->pieces)
		key.why = ev->raw.n ? "not asked for" : NULL;
	else
		key.why = assembly_block(f->pieces, ev, at, &done);
	if (key.why) {
		if (!burst_joins(&f->burst, &key, ev->raw.n, at))
			observe_flush(w, ev->by);
		join(w, ev->by, &key, ev->raw, at);
	}
	if (done)
		observe_piece(w, ev->by, done, "complete", true, at);
}

/* --- what events change ---------------------------------------------------- */

/* An incoming conversation: which swarm its handshake names. */
static void find(struct witness *w, const uint8_t infohash[20])
{
	const struct torrent *t;

	if (w->hooks.swarm) {
		observe_target(w, w->hooks.swarm(w->hooks.ctx, infohash));
	} else if (w->hooks.torrent) {
		t = w->hooks.torrent(w->hooks.ctx, infohash);
		if (!t)
			return;
		swarmref_init(&w->own, t);
		observe_target(w, &w->own);
	}
}

static void handshake(struct witness *w, const struct event *ev)
{
	struct flow *f = &w->flow[ev->by];
	uint32_t pieces;

	if (!w->target)
		find(w, ev->hs.infohash);
	pieces = w->torrent ? w->torrent->mi.pieces : 0;
	f->fast = PW_HAS_FAST(ev->hs.reserved);
	f->counts = w->target && swarmref_is(w->target, ev->hs.infohash);
	if (f->counts)
		claims_pieces(&f->claims, pieces);
	/* Who speaks of another torrent is not measured by this one. */
	if (f->counts || ev->by == SIDE_PEER)
		talk_pieces(&w->talk, f->counts ? pieces : 0);
}

static void choke(struct witness *w, enum side by)
{
	struct flow *f = &w->flow[by];

	f->unchoked = false;
	if (f->pieces && !(f->fast && w->flow[other(by)].fast))
		assembly_choke(f->pieces);
}

static void message(struct witness *w, const struct event *ev, struct stamp at)
{
	struct flow *f = &w->flow[ev->by];

	switch (ev->msg.id) {
	case PW_CHOKE:
		choke(w, ev->by);
		break;
	case PW_UNCHOKE:
		f->unchoked = true;
		break;
	case PW_REQUEST:
		asked(w, ev, at);
		break;
	case PW_REJECT:
		if (f->pieces)
			assembly_reject(f->pieces, &ev->msg);
		break;
	case PW_KEEPALIVE:
		f->keepalives++;
		break;
	case PW_BITFIELD:
		if (f->counts)
			claims_bitfield(&f->claims, ev->msg.payload);
		break;
	case PW_HAVE:
		if (f->counts)
			claims_add(&f->claims, ev->msg.index);
		break;
	case PW_HAVE_ALL:
		if (f->counts)
			claims_all(&f->claims);
		break;
	case PW_HAVE_NONE:
		if (f->counts)
			claims_none(&f->claims);
		break;
	case PW_INTERESTED:
	case PW_NOT_INTERESTED:
	case PW_CANCEL:		/* what was on its way may still come */
	case PW_PIECE:
	case PW_PORT:
	case PW_SUGGEST:
	case PW_ALLOWED_FAST:
	case PW_EXTENDED:
	case PW_HASH_REQUEST:
	case PW_HASHES:
	case PW_HASH_REJECT:
	case PW_UNKNOWN:
		break;
	}
}

void observe_event(struct witness *w, const struct event *ev, struct stamp at)
{
	struct flow *f = &w->flow[ev->by];
	struct burst_key key = burst_key(ev);
	bool silent = ev->kind == EV_BLOCK ||
	    (ev->kind == EV_MESSAGE && ev->msg.id == PW_KEEPALIVE);

	if (!silent && !(key.kind &&
	    burst_joins(&f->burst, &key, ev->raw.n, at)))
		observe_flush(w, ev->by);
	switch (ev->kind) {
	case EV_HANDSHAKE:
		handshake(w, ev);
		break;
	case EV_MESSAGE:
		message(w, ev, at);
		break;
	case EV_EXTENDED:
		if (ev->ext == EXT_LT_DONTHAVE && f->counts)
			claims_remove(&f->claims, ev->msg.index);
		break;
	case EV_BLOCK:
		block(w, ev, at);
		break;
	case EV_MALFORMED:
	case EV_GAP:
		break;
	}
	if (key.kind)
		join(w, ev->by, &key, ev->raw, at);
	else if (!silent)
		note(w, ev, at);
	if (w->hooks.event)
		w->hooks.event(w->hooks.ctx, ev);
}
