#include "schema/witness.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/sha.h>

#include "schema/assembly.h"
#include "schema/burst.h"
#include "schema/describe.h"
#include "schema/log.h"

/* One direction of the conversation. */
struct flow {
	uint64_t bytes;		/* seen on the wire */
	SHA256_CTX digest;
	uint8_t *kept;		/* the start of a message, exactly or nearly */
	size_t n, room;
	uint64_t keepalives, piece_bytes;
	struct burst burst;
	struct claims claims;
	struct assembly *pieces;	/* that this side sends; NULL: none */
	bool busy;		/* its bytes are being read */
	bool counts;		/* its handshake bears the torrent's hash */
	bool gap;		/* bytes are missing: no digest */
	bool unchoked;		/* it lets the other side ask */
	bool fast;		/* its handshake has the Fast bit (BEP 6) */
};

struct witness {
	struct witness_hooks hooks;
	const struct torrent *torrent;
	const char *swarm;
	int64_t conn;
	struct endpoint who;
	struct talk talk;
	struct flow flow[2];	/* by enum side */
	bool closed;
};

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

struct witness *witness_new(const struct witness_hooks *hooks,
    const struct torrent *torrent, int64_t conn, const struct endpoint *who)
{
	struct witness *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->hooks = *hooks;
	w->torrent = torrent;
	w->swarm = torrent ? torrent->swarm : NULL;
	w->conn = conn;
	w->who = *who;
	talk_init(&w->talk, torrent ? torrent->mi.pieces : 0);
	for (int i = 0; i < 2; i++)
		SHA256_Init(&w->flow[i].digest);
	return w;
}

void witness_free(struct witness *w)
{
	if (!w)
		return;
	for (int i = 0; i < 2; i++) {
		struct flow *f = &w->flow[i];

		assert(!f->busy);
		if (f->pieces)
			assembly_fini(f->pieces);
		free(f->pieces);
		free(f->kept);
		burst_fini(&f->burst);
		claims_fini(&f->claims);
	}
	free(w);
}

/* --- writing down ---------------------------------------------------------- */

static void put(struct witness *w, struct stamp at, const char *kind,
    struct json *detail, struct span raw, const uint8_t *raw_sha256)
{
	struct record r = {
		.at = at,
		.kind = kind,
		.swarm = w->swarm,
		.conn = w->conn,
		.who = &w->who,
		.detail = json_done(detail),
		.raw = raw,
		.raw_sha256 = raw_sha256
	};

	if (!r.detail)
		log_die("the detail of a %s record does not fit", kind);
	w->hooks.add(w->hooks.ctx, &r);
	json_fini(detail);
}

/* The side's claims, if they are about the torrent. */
static const struct claims *told(const struct flow *f)
{
	return f->counts ? &f->claims : NULL;
}

/* Ends the side's run, if one is under way. */
static void flush(struct witness *w, enum side by)
{
	struct flow *f = &w->flow[by];
	struct burst b = f->burst;
	struct json j;

	if (!b.key.kind)
		return;
	f->burst = (struct burst){ 0 };
	json_init(&j, JSON_MOST);
	burst_detail(&b, describe_side(by), told(f), &j);
	put(w, b.first, b.key.kind, &j, span_of(b.raw, b.n), NULL);
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
		return;
	}
	json_init(&j, JSON_MOST);
	burst_detail(&one, describe_side(by), told(f), &j);
	put(w, at, key->kind, &j, raw, NULL);
}

/* An event with a record of its own; its claims are applied already. */
static void note(struct witness *w, const struct event *ev, struct stamp at)
{
	struct flow *f = &w->flow[ev->by];
	const char *kind;
	struct json j;

	json_init(&j, JSON_MOST);
	kind = describe_event(ev, f->counts, told(f), &j);
	if (kind)
		put(w, at, kind, &j, describe_raw(ev), NULL);
	json_fini(&j);
}

/* --- pieces ---------------------------------------------------------------- */

/*
 * A piece is complete, or given up for the reason. What was asked for stands
 * before what came of it: the runs of both sides end here. report: to the
 * hook, which may answer with bytes of ours.
 */
static void settle(struct witness *w, enum side by, struct underway *u,
    const char *reason, bool report, struct stamp at)
{
	struct piece_result r = {
		.piece = underway_piece(u),
		.complete = underway_complete(u),
		.matched = underway_matched(u)
	};
	char state[64];
	struct json j;

	/* What we were asked for and never gave is told by `request`. */
	if (by == SIDE_US && underway_came(u) == 0) {
		underway_free(u);
		return;
	}
	flush(w, SIDE_US);
	flush(w, SIDE_PEER);
	snprintf(state, sizeof(state), "%s%s", reason,
	    !w->flow[by].unchoked ? ", choked" :
	    underway_rejected(u) ? ", rejected" : "");
	json_init(&j, JSON_MOST);
	underway_detail(u, w->torrent, describe_side(by), state, &j);
	put(w, at, "piece", &j, span_of(NULL, 0), underway_sha256(u));
	underway_free(u);
	if (report && by == SIDE_PEER && w->hooks.piece)
		w->hooks.piece(w->hooks.ctx, &r);
}

static void asked(struct witness *w, const struct event *ev, struct stamp at)
{
	enum side giver = other(ev->by);
	struct flow *f = &w->flow[giver];
	struct underway *out;

	if (!f->counts)
		return;
	if (!f->pieces) {
		f->pieces = must(malloc(sizeof(*f->pieces)));
		assembly_init(f->pieces, w->torrent);
	}
	assembly_ask(f->pieces, &ev->msg, &out);
	if (out)
		settle(w, giver, out, "displaced", false, at);
}

static void block(struct witness *w, const struct event *ev, struct stamp at)
{
	struct flow *f = &w->flow[ev->by];
	struct burst_key key = { .kind = "block", .id = PW_PIECE };
	struct underway *done = NULL;

	f->piece_bytes += ev->part.n;
	if (!f->counts)
		key.why = ev->raw.n ? "not of this torrent" : NULL;
	else if (!f->pieces)
		key.why = ev->raw.n ? "not asked for" : NULL;
	else
		key.why = assembly_block(f->pieces, ev, at, &done);
	if (key.why) {
		if (!burst_joins(&f->burst, &key, ev->raw.n, at))
			flush(w, ev->by);
		join(w, ev->by, &key, ev->raw, at);
	}
	if (done)
		settle(w, ev->by, done, "complete", true, at);
}

/* --- what events change ---------------------------------------------------- */

static void handshake(struct witness *w, const struct event *ev)
{
	struct flow *f = &w->flow[ev->by];

	if (!w->torrent && w->hooks.torrent) {
		w->torrent = w->hooks.torrent(w->hooks.ctx, ev->hs.infohash);
		if (w->torrent)
			w->swarm = w->torrent->swarm;
	}
	f->fast = PW_HAS_FAST(ev->hs.reserved);
	f->counts = w->torrent && torrent_is(w->torrent, ev->hs.infohash);
	if (f->counts)
		claims_pieces(&f->claims, w->torrent->mi.pieces);
	/* Who speaks of another torrent is not measured by this one. */
	if (f->counts || ev->by == SIDE_PEER)
		talk_pieces(&w->talk, f->counts ? w->torrent->mi.pieces : 0);
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

/* Applies the event and writes it down, in the order the records need: what
 * it ends, what it changes, itself. */
static void observe(struct witness *w, const struct event *ev, struct stamp at)
{
	struct flow *f = &w->flow[ev->by];
	struct burst_key key = burst_key(ev);
	bool silent = ev->kind == EV_BLOCK ||
	    (ev->kind == EV_MESSAGE && ev->msg.id == PW_KEEPALIVE);

	if (!silent && !(key.kind &&
	    burst_joins(&f->burst, &key, ev->raw.n, at)))
		flush(w, ev->by);
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

/* --- bytes ----------------------------------------------------------------- */

static void read_events(struct witness *w, enum side by, struct cur *c,
    struct stamp at)
{
	struct event ev;

	while (talk_next(&w->talk, by, c, &ev) == WIRE_OK)
		observe(w, &ev, at);
}

/* Puts bytes behind what is kept. The room doubles, or a peer that sends a
 * long message in drops would have all of it copied for each. */
static void keep(struct flow *f, const void *bytes, size_t n)
{
	size_t room = f->room;

	if (n > room - f->n) {
		room = f->n == 0 ? n : f->n + (n > f->n ? n : f->n);
		f->kept = must(realloc(f->kept, room));
		f->room = room;
	}
	memcpy(f->kept + f->n, bytes, n);
	f->n += n;
}

static void drop_kept(struct flow *f)
{
	free(f->kept);
	f->kept = NULL;
	f->n = f->room = 0;
}

/* Only the last bytes of what is kept stay. */
static void keep_rest(struct flow *f, struct span rest)
{
	uint8_t *p;

	f->n = rest.n;
	memmove(f->kept, rest.p, rest.n);
	if (f->room < 4096 || rest.n > f->room / 4)
		return;
	p = realloc(f->kept, rest.n);
	if (p) {
		f->kept = p;
		f->room = rest.n;
	}
}

int witness_bytes(struct witness *w, enum side by, const void *bytes, size_t n,
    struct stamp at)
{
	struct flow *f = &w->flow[by];
	struct cur c = cur_of(span_of(bytes, n));

	assert(!f->busy);
	if (w->closed)
		return -1;
	f->busy = true;
	f->bytes += n;
	SHA256_Update(&f->digest, bytes, n);
	if (f->n) {
		keep(f, bytes, n);
		c = cur_of(span_of(f->kept, f->n));
	}
	read_events(w, by, &c, at);
	if (cur_left(&c) == 0) {
		drop_kept(f);
	} else if (f->n == 0) {
		keep(f, c.p, cur_left(&c));
	} else {
		keep_rest(f, cur_rest(&c));
	}
	f->busy = false;
	return w->talk.side[by].opaque ? -1 : 0;
}

void witness_gap(struct witness *w, enum side by, uint64_t n, struct stamp at)
{
	struct flow *f = &w->flow[by];
	struct underway *u;
	struct event ev;

	if (w->closed)
		return;
	f->gap = true;
	u = f->pieces ? assembly_gap(f->pieces) : NULL;
	if (u)
		settle(w, by, u, "bytes missing", true, at);
	talk_gap(&w->talk, by, n, &ev);
	ev.offset += f->n;	/* talk has not seen what is kept */
	drop_kept(f);
	observe(w, &ev, at);
}

/* --- time and the end ------------------------------------------------------ */

void witness_tick(struct witness *w, struct stamp at)
{
	for (int i = 0; i < 2; i++)
		if (burst_old(&w->flow[i].burst, at))
			flush(w, (enum side)i);
}

static void put_digest(struct json *j, const char *key, struct flow *f)
{
	uint8_t digest[32];

	SHA256_Final(digest, &f->digest);
	if (f->gap)
		json_null(j, key);
	else
		json_hex(j, key, span_of(digest, sizeof(digest)));
}

void witness_close(struct witness *w, const char *by, const char *why,
    struct stamp at)
{
	struct flow *rx = &w->flow[SIDE_PEER], *tx = &w->flow[SIDE_US];
	struct json j;

	assert(!rx->busy && !tx->busy);
	if (w->closed)
		return;
	w->closed = true;
	flush(w, SIDE_US);
	flush(w, SIDE_PEER);
	for (int i = 0; i < 2; i++) {
		struct assembly *a = w->flow[i].pieces;
		struct underway *u;

		while (a && (u = assembly_take(a)) != NULL)
			settle(w, (enum side)i, u, "closed", true, at);
	}
	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "by", by);
	json_str(&j, "why", why);
	json_uint(&j, "rx_bytes", rx->bytes);
	json_uint(&j, "tx_bytes", tx->bytes);
	put_digest(&j, "rx_sha256", rx);
	put_digest(&j, "tx_sha256", tx);
	json_uint(&j, "keepalives_rx", rx->keepalives);
	json_uint(&j, "keepalives_tx", tx->keepalives);
	json_uint(&j, "piece_bytes_tx", tx->piece_bytes);
	json_close(&j, '}');
	put(w, at, "closed", &j, span_of(NULL, 0), NULL);
}

const struct claims *witness_claims(const struct witness *w, enum side by)
{
	return &w->flow[by].claims;
}

const struct torrent *witness_torrent(const struct witness *w)
{
	return w->torrent;
}

bool witness_greeted(const struct witness *w)
{
	return w->flow[SIDE_PEER].counts;
}

uint64_t witness_count(const struct witness *w, enum side by)
{
	return w->flow[by].bytes;
}

size_t witness_memory(const struct witness *w)
{
	size_t n = sizeof(*w);

	for (int i = 0; i < 2; i++) {
		const struct flow *f = &w->flow[i];

		n += f->room + f->burst.room;
		if (f->claims.bits)
			n += ((size_t)f->claims.pieces + 7) / 8;
		if (f->pieces)
			n += sizeof(*f->pieces) + f->pieces->heap;
	}
	return n;
}
