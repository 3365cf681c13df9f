#include "schema/witness.h"

#include <assert.h>
#include <stdlib.h>

#include "schema/describe.h"
#include "schema/log.h"
#include "schema/observe.h"

static void *must(void *p)
{
	if (!p)
		log_die("out of memory for a conversation");
	return p;
}

struct witness *witness_begin(const struct witness_hooks *hooks,
    const struct swarmref *swarm, int64_t conn, const struct endpoint *who)
{
	struct witness *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->hooks = *hooks;
	observe_target(w, swarm);
	w->conn = conn;
	w->who = *who;
	talk_init(&w->talk, w->torrent ? w->torrent->mi.pieces : 0);
	for (int i = 0; i < 2; i++)
		SHA256_Init(&w->flow[i].digest);
	return w;
}

struct witness *witness_new(const struct witness_hooks *hooks,
    const struct torrent *torrent, int64_t conn, const struct endpoint *who)
{
	struct witness *w = witness_begin(hooks, NULL, conn, who);

	if (w && torrent) {
		swarmref_init(&w->own, torrent);
		observe_target(w, &w->own);
		talk_pieces(&w->talk, torrent->mi.pieces);
	}
	return w;
}

struct witness *witness_between(const struct witness_hooks *hooks,
    const struct swarmref *swarm, int64_t conn, const struct endpoint end[2])
{
	struct witness *w = witness_begin(hooks, swarm, conn,
	    &end[SIDE_PEER]);

	if (!w)
		return NULL;
	w->between = must(calloc(1, sizeof(*w->between)));
	memcpy(w->between->end, end, sizeof(w->between->end));
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
	proven_free(w->proven);
	free(w->between);
	veil_free(w->veil);
	free(w);
}

/* --- bytes ----------------------------------------------------------------- */

static void read_events(struct witness *w, enum side by, struct cur *c,
    struct stamp at)
{
	struct event ev;

	while (talk_next(&w->talk, by, c, &ev) == WIRE_OK)
		observe_event(w, &ev, at);
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

/* Bytes of the conversation itself, whatever hid them. */
static void feed(struct witness *w, enum side by, const void *bytes, size_t n,
    struct stamp at)
{
	struct flow *f = &w->flow[by];
	struct cur c = cur_of(span_of(bytes, n));

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
}

static void record_veil(struct witness *w, const char *outcome,
    struct stamp at)
{
	size_t n;
	uint8_t *raw = veil_raw(w->veil, &n);
	struct json j;

	json_init(&j, JSON_MOST);
	veil_detail(w->veil, outcome, w->between != NULL, &j);
	observe_put(w, w->veil->initiator, at, "encrypted", &j, span_of(raw, n), NULL);
	veil_recorded(w->veil);
	free(raw);
}

/* The same of bytes under a veil. What one side says may make held bytes of
 * the other readable: these wait for that side's turn. */
static void unveil(struct witness *w, enum side by, const void *bytes,
    size_t n, struct stamp at)
{
	size_t room = veil_room(w->veil, by, n), clear;
	uint8_t *out;

	if (room == 0)
		return;
	out = must(malloc(room));
	clear = veil_open(w->veil, by, span_of(bytes, n), out);
	if (veil_due(w->veil))
		record_veil(w, NULL, at);
	if (clear)
		feed(w, by, out, clear, at);
	free(out);
	if (w->veil && veil_lifted(w->veil)) {
		veil_free(w->veil);
		w->veil = NULL;
	}
}

/* What is held of both sides and can be read by now. */
static void unveil_held(struct witness *w, struct stamp at)
{
	for (int i = 0; i < 4 && w->veil; i++) {
		enum side by = i % 2 ? SIDE_US : SIDE_PEER;

		w->flow[by].busy = true;
		unveil(w, by, NULL, 0, at);
		w->flow[by].busy = false;
	}
}

static bool readable(const struct witness *w, enum side by)
{
	return !w->talk.side[by].opaque &&
	    !(w->veil && w->veil->mse.fault.reason);
}

int witness_bytes(struct witness *w, enum side by, const void *bytes, size_t n,
    struct stamp at)
{
	struct flow *f = &w->flow[by];

	assert(!f->busy);
	if (w->closed)
		return -1;
	f->busy = true;
	f->bytes += n;
	SHA256_Update(&f->digest, bytes, n);
	if (w->veil)
		unveil(w, by, bytes, n, at);
	else
		feed(w, by, bytes, n, at);
	f->busy = false;
	return readable(w, by) ? 0 : -1;
}

void witness_gap(struct witness *w, enum side by, uint64_t n, struct stamp at)
{
	struct flow *f = &w->flow[by];
	struct underway *u;
	struct event ev;

	if (w->closed)
		return;
	f->gap = true;
	if (w->between)
		w->between->missing[by] += n;
	if (w->veil) {
		veil_gap(w->veil, by, n);
		if (veil_due(w->veil))
			record_veil(w, NULL, at);
	}
	u = f->pieces ? assembly_gap(f->pieces) : NULL;
	if (u)
		observe_piece(w, by, u, "bytes missing", true, at);
	talk_gap(&w->talk, by, n, &ev);
	ev.offset += f->n;	/* talk has not seen what is kept */
	drop_kept(f);
	observe_event(w, &ev, at);
}

void witness_overlap(struct witness *w, enum side by, uint64_t offset,
    uint64_t n, uint64_t frame, struct stamp at)
{
	struct json j;

	if (w->closed)
		return;
	if (w->between)
		w->between->unlike[by] += n;
	observe_flush(w, by);
	json_init(&j, JSON_MOST);
	describe_overlap(observe_as(w, by), offset, n, frame, &j);
	observe_put(w, by, at, "overlap", &j, span_of(NULL, 0), NULL);
}

/* --- what is learnt from elsewhere ------------------------------------------- */

static bool mine(void *ctx, const uint8_t req2[20], uint8_t skey[20])
{
	const struct witness *w = ctx;
	uint8_t h[20];

	for (int i = 0; w->target && i < w->target->wire_hashes; i++) {
		mse_req2(w->target->wire_hash[i], h);
		if (memcmp(h, req2, 20) != 0)
			continue;
		memcpy(skey, w->target->wire_hash[i], 20);
		return true;
	}
	return !w->target && w->hooks.skey &&
	    w->hooks.skey(w->hooks.ctx, req2, skey);
}

void witness_encrypted(struct witness *w, enum side initiator)
{
	assert(!w->veil && w->flow[0].bytes == 0 && w->flow[1].bytes == 0);
	w->veil = must(veil_new(initiator, mine, w));
}

void witness_secret(struct witness *w, const uint8_t secret[MSE_KEY],
    struct stamp at)
{
	if (w->closed || !w->veil)
		return;
	mse_secret(&w->veil->mse, secret);
	unveil_held(w, at);
}

void witness_give_up(struct witness *w, struct stamp at)
{
	if (w->closed || !w->veil)
		return;
	if (!w->veil->recorded)
		record_veil(w, "the secret is not known", at);
	veil_free(w->veil);
	w->veil = NULL;
	w->talk.side[0].opaque = w->talk.side[1].opaque = true;
}

void witness_metadata(struct witness *w, struct stamp at)
{
	if (w->closed || w->torrent || !w->target || !w->target->torrent)
		return;
	w->torrent = w->target->torrent;
	for (int i = 0; i < 2; i++) {
		struct flow *f = &w->flow[i];
		uint32_t pieces = w->torrent->mi.pieces;
		bool any = f->claims.early != NULL;
		struct json j;

		if (!f->counts)
			continue;
		observe_flush(w, (enum side)i);
		json_init(&j, JSON_MOST);
		json_open(&j, NULL, '{');
		json_str(&j, "by", describe_side(observe_as(w,
		    (enum side)i)));
		json_str(&j, "fault", claims_pieces(&f->claims, pieces));
		json_uint(&j, "claimed", f->claims.count);
		json_uint(&j, "pieces", pieces);
		json_close(&j, '}');
		if (any)
			observe_put(w, (enum side)i, at, "claims", &j, span_of(NULL, 0), NULL);
		json_fini(&j);
	}
	/* Until it greets, the peer is taken to speak of our torrent. */
	if (w->flow[SIDE_PEER].counts || !w->talk.side[SIDE_PEER].greeted)
		talk_pieces(&w->talk, w->torrent->mi.pieces);
}

/* --- time and the end ------------------------------------------------------ */

void witness_tick(struct witness *w, struct stamp at)
{
	if (!w->closed)
		unveil_held(w, at);
	for (int i = 0; i < 2; i++)
		if (burst_old(&w->flow[i].burst, at))
			observe_flush(w, (enum side)i);
}

bool witness_waiting(const struct witness *w)
{
	return !w->closed && (w->flow[SIDE_PEER].burst.key.kind ||
	    w->flow[SIDE_US].burst.key.kind ||
	    (w->veil && veil_holds(w->veil)));
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

static void put_ours(struct json *j, struct flow *rx, struct flow *tx)
{
	json_uint(j, "rx_bytes", rx->bytes);
	json_uint(j, "tx_bytes", tx->bytes);
	put_digest(j, "rx_sha256", rx);
	put_digest(j, "tx_sha256", tx);
	json_uint(j, "keepalives_rx", rx->keepalives);
	json_uint(j, "keepalives_tx", tx->keepalives);
	json_uint(j, "piece_bytes_tx", tx->piece_bytes);
}

/* a opened the conversation, or spoke first. */
static void put_theirs(struct json *j, const struct between *w,
    struct flow *a, struct flow *b)
{
	json_uint(j, "initiator_bytes", a->bytes);
	json_uint(j, "responder_bytes", b->bytes);
	put_digest(j, "initiator_sha256", a);
	put_digest(j, "responder_sha256", b);
	json_uint(j, "initiator_keepalives", a->keepalives);
	json_uint(j, "responder_keepalives", b->keepalives);
	json_uint(j, "initiator_piece_bytes", a->piece_bytes);
	json_uint(j, "responder_piece_bytes", b->piece_bytes);
	json_uint(j, "initiator_missing", w->missing[SIDE_US]);
	json_uint(j, "responder_missing", w->missing[SIDE_PEER]);
	json_uint(j, "initiator_overlaps", w->unlike[SIDE_US]);
	json_uint(j, "responder_overlaps", w->unlike[SIDE_PEER]);
}

void witness_close(struct witness *w, const char *by, const char *why,
    struct stamp at)
{
	struct flow *rx = &w->flow[SIDE_PEER], *tx = &w->flow[SIDE_US];
	struct json j;

	assert(!rx->busy && !tx->busy);
	if (w->closed)
		return;
	unveil_held(w, at);
	if (w->veil && !w->veil->recorded)
		record_veil(w, w->veil->mse.secret_known ?
		    "closed before its end" : "the secret is not known", at);
	w->closed = true;
	observe_flush(w, SIDE_US);
	observe_flush(w, SIDE_PEER);
	for (int i = 0; i < 2; i++) {
		struct assembly *a = w->flow[i].pieces;
		struct underway *u;

		while (a && (u = assembly_take(a)) != NULL)
			observe_piece(w, (enum side)i, u, "closed", true, at);
	}
	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "by", by);
	json_str(&j, "why", why);
	if (w->between)
		put_theirs(&j, w->between, tx, rx);
	else
		put_ours(&j, rx, tx);
	json_close(&j, '}');
	observe_put(w, SIDE_US, at, "closed", &j, span_of(NULL, 0), NULL);
}

const struct claims *witness_claims(const struct witness *w, enum side by)
{
	return &w->flow[by].claims;
}

const struct swarmref *witness_swarm(const struct witness *w)
{
	return w->target;
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
	size_t n = sizeof(*w) + proven_memory(w->proven);

	if (w->veil)
		n += veil_memory(w->veil);
	for (int i = 0; i < 2; i++) {
		const struct flow *f = &w->flow[i];

		n += f->room + f->burst.room + claims_memory(&f->claims);
		if (f->pieces)
			n += sizeof(*f->pieces) + f->pieces->heap;
	}
	return n;
}
