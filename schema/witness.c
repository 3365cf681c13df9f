#include "schema/witness.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/describe.h"
#include "schema/log.h"
#include "schema/observe.h"

#define STREAM_ALONE 16384u	/* bytes; a longer one's digest is a thread's */

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
		if (f->is_long) {
			hashing_wait(&f->sum->hashing);
			free(f->sum);
		}
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

/* Counts bytes and takes their digest: where they can be read from then on. */
static const uint8_t *count(struct witness *w, struct flow *f,
    const uint8_t *bytes, size_t n, struct digester_chunk **pin)
{
	struct digester *g = w->hooks.digester;

	*pin = NULL;
	f->bytes += n;
	if (f->gap)
		return bytes;
	if (g && !f->is_long && f->bytes > STREAM_ALONE) {
		struct stream_sum *sum = must(malloc(sizeof(*sum)));

		sum->digest = f->digest;
		f->sum = sum;
		f->is_long = true;
		hashing_sha256(&f->sum->hashing, g, &f->sum->digest);
	}
	if (!f->is_long) {
		SHA256_Update(&f->digest, bytes, n);
		return bytes;
	}
	bytes = digester_hold(g, bytes, n, pin);
	hashing_add(&f->sum->hashing, bytes, n);
	return bytes;
}

int witness_bytes(struct witness *w, enum side by, const void *bytes, size_t n,
    struct stamp at)
{
	struct flow *f = &w->flow[by];
	struct digester_chunk *pin;

	assert(!f->busy);
	if (w->closed)
		return -1;
	f->busy = true;
	bytes = count(w, f, bytes, n, &pin);
	if (w->veil)
		unveil(w, by, bytes, n, at);
	else
		feed(w, by, bytes, n, at);
	digester_unpin(w->hooks.digester, pin);
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
		veil_gap(w->veil, by, n, talk_outlives(&w->talk, by, n));
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

/* What `closed` says, which may have to wait for its digests. By enum side. */
struct ending {
	struct promise promise;
	bool between;
	char by[16], *why;
	uint64_t bytes[2], keepalives[2], piece_bytes[2];
	struct between counts;
	bool gap[2];
	SHA256_CTX digest[2];
	struct stream_sum *sum[2];
};

static void put_digest(struct json *j, const char *key, struct ending *e,
    enum side by)
{
	uint8_t digest[32];

	if (e->gap[by]) {
		json_null(j, key);
		return;
	}
	if (e->sum[by])
		hashing_wait(&e->sum[by]->hashing);
	SHA256_Final(digest, e->sum[by] ? &e->sum[by]->digest :
	    &e->digest[by]);
	json_hex(j, key, span_of(digest, sizeof(digest)));
}

static void put_ours(struct json *j, struct ending *e)
{
	json_uint(j, "rx_bytes", e->bytes[SIDE_PEER]);
	json_uint(j, "tx_bytes", e->bytes[SIDE_US]);
	put_digest(j, "rx_sha256", e, SIDE_PEER);
	put_digest(j, "tx_sha256", e, SIDE_US);
	json_uint(j, "keepalives_rx", e->keepalives[SIDE_PEER]);
	json_uint(j, "keepalives_tx", e->keepalives[SIDE_US]);
	json_uint(j, "piece_bytes_tx", e->piece_bytes[SIDE_US]);
}

/* SIDE_US opened the conversation, or spoke first. */
static void put_theirs(struct json *j, struct ending *e)
{
	const enum side a = SIDE_US, b = SIDE_PEER;

	json_uint(j, "initiator_bytes", e->bytes[a]);
	json_uint(j, "responder_bytes", e->bytes[b]);
	put_digest(j, "initiator_sha256", e, a);
	put_digest(j, "responder_sha256", e, b);
	json_uint(j, "initiator_keepalives", e->keepalives[a]);
	json_uint(j, "responder_keepalives", e->keepalives[b]);
	json_uint(j, "initiator_piece_bytes", e->piece_bytes[a]);
	json_uint(j, "responder_piece_bytes", e->piece_bytes[b]);
	json_uint(j, "initiator_missing", e->counts.missing[a]);
	json_uint(j, "responder_missing", e->counts.missing[b]);
	json_uint(j, "initiator_overlaps", e->counts.unlike[a]);
	json_uint(j, "responder_overlaps", e->counts.unlike[b]);
}

static bool ending_ready(struct promise *p)
{
	struct ending *e = (struct ending *)p;

	return (!e->sum[0] || hashing_done(&e->sum[0]->hashing)) &&
	    (!e->sum[1] || hashing_done(&e->sum[1]->hashing));
}

static const uint8_t *ending_keep(struct promise *p, struct json *j)
{
	struct ending *e = (struct ending *)p;

	json_open(j, NULL, '{');
	json_str(j, "by", e->by);
	json_str(j, "why", e->why);
	if (e->between)
		put_theirs(j, e);
	else
		put_ours(j, e);
	json_close(j, '}');
	return NULL;
}

static void ending_drop(struct promise *p)
{
	struct ending *e = (struct ending *)p;

	for (int i = 0; i < 2; i++) {
		if (e->sum[i])
			hashing_wait(&e->sum[i]->hashing);
		free(e->sum[i]);
	}
	free(e->why);
	free(e);
}

/* Takes the sums along. */
static struct ending *ending_of(struct witness *w, const char *by,
    const char *why)
{
	struct ending *e = must(calloc(1, sizeof(*e)));

	e->promise = (struct promise){ ending_ready, ending_keep,
		ending_drop };
	e->between = w->between != NULL;
	if (w->between)
		e->counts = *w->between;
	snprintf(e->by, sizeof(e->by), "%s", by);
	e->why = must(strdup(why));
	for (int i = 0; i < 2; i++) {
		struct flow *f = &w->flow[i];

		e->bytes[i] = f->bytes;
		e->keepalives[i] = f->keepalives;
		e->piece_bytes[i] = f->piece_bytes;
		e->gap[i] = f->gap;
		if (f->is_long)
			e->sum[i] = f->sum;
		else
			e->digest[i] = f->digest;
		f->is_long = false;
	}
	return e;
}

static void put_ending(struct witness *w, const char *by, const char *why,
    struct stamp at)
{
	struct ending *e = ending_of(w, by, why);
	struct json j;

	if (w->hooks.later && !ending_ready(&e->promise)) {
		observe_put_later(w, SIDE_US, at, "closed", &e->promise);
		return;
	}
	json_init(&j, JSON_MOST);
	ending_keep(&e->promise, &j);
	observe_put(w, SIDE_US, at, "closed", &j, span_of(NULL, 0), NULL);
	ending_drop(&e->promise);
}

void witness_close(struct witness *w, const char *by, const char *why,
    struct stamp at)
{
	assert(!w->flow[SIDE_PEER].busy && !w->flow[SIDE_US].busy);
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
	put_ending(w, by, why, at);
}

const struct claims *witness_claims(const struct witness *w, enum side by)
{
	return &w->flow[by].claims;
}

size_t witness_memory(const struct witness *w)
{
	size_t n = sizeof(*w) + proven_memory(w->proven);

	if (w->veil)
		n += veil_memory(w->veil);
	for (int i = 0; i < 2; i++) {
		const struct flow *f = &w->flow[i];

		n += f->room + f->burst.room +
		    (f->burst.heard ? 2 * f->burst.count * sizeof(uint64_t) : 0) +
		    claims_memory(&f->claims);
		if (f->pieces)
			n += sizeof(*f->pieces) + f->pieces->heap;
	}
	return n;
}
