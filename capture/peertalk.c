#include <stdio.h>
#include <stdlib.h>

#include "capture/dissect_impl.h"
#include "schema/log.h"

#define UNREAD_MOST (8u << 20)	/* the kernel's default is less (tcp_rmem) */

/* --- swarms -------------------------------------------------------------------- */

static void join_swarm(struct conv *c, struct known_swarm *s)
{
	c->swarm = s;
	c->mate = s->users;
	if (c->mate)
		c->mate->mate_at = &c->mate;
	c->mate_at = &s->users;
	s->users = c;
}

static void leave_swarm(struct conv *c)
{
	if (!c->swarm)
		return;
	*c->mate_at = c->mate;
	if (c->mate)
		c->mate->mate_at = c->mate_at;
	known_drop(c->d->conf.known, c->swarm);
	c->swarm = NULL;
}

/* The first handshake names the swarm; of our own run only those of the case
 * are any. */
static const struct swarmref *on_swarm(void *ctx, const uint8_t infohash[20])
{
	struct conv *c = ctx;
	struct dissect *d = c->d;

	if (c->swarm)
		return &c->swarm->ref;
	if (d->conf.ours && !known_find(d->conf.known, infohash))
		return NULL;
	join_swarm(c, known_hold(d->conf.known, infohash));
	return &c->swarm->ref;
}

static bool on_skey(void *ctx, const uint8_t req2[20], uint8_t skey[20])
{
	const struct conv *c = ctx;

	return known_skey(c->d->conf.known, req2, skey);
}

/* A message of ours that says what was heard before it. */
static bool is_ordered(const struct event *ev)
{
	return (ev->kind == EV_MESSAGE && ev->msg.id == PW_REQUEST) ||
	    (ev->kind == EV_EXTENDED && (ev->ext == EXT_HANDSHAKE ||
	    ev->ext == EXT_UT_METADATA));
}

static void on_event(void *ctx, const struct event *ev)
{
	struct conv *c = ctx;
	struct dissect *d = c->d;
	char from[ENDPOINT_TEXT_MAX], text[ENDPOINT_TEXT_MAX + 40];
	unsigned side;

	if (c->us >= 0 && ev->by == SIDE_US && is_ordered(ev))
		c->said++;

	if (ev->kind != EV_EXTENDED || ev->ext != EXT_UT_METADATA ||
	    ev->metadata.type != METADATA_DATA || !c->swarm || d->learnt ||
	    d->conf.ours)
		return;
	side = conv_side(c, 0) == ev->by ? 0 : 1;
	snprintf(text, sizeof(text), "%s (conn %lld)",
	    endpoint_text(&c->end[side], from), (long long)c->seq);
	if (known_metadata(d->conf.known, c->swarm, ev->metadata.piece,
	    ev->metadata.total_size, ev->metadata.data, text, d->givers))
		d->learnt = c->swarm;
}

static int64_t on_add(void *ctx, const struct record *r)
{
	const struct conv *c = ctx;

	return c->d->conf.add(c->d->conf.ctx, r);
}

static int64_t on_later(void *ctx, const struct record *r, struct promise *p)
{
	const struct conv *c = ctx;

	return c->d->conf.later(c->d->conf.ctx, r, p);
}

/* --- the record that opens it ------------------------------------------------------ */

static int64_t put_opening(struct conv *c, struct record *r, struct json *j)
{
	struct dissect *d = c->d;

	r->at = dissect_stamp(c->began);
	r->conn = CONN_SELF;
	r->detail = json_done(j);
	c->seq = d->conf.add(d->conf.ctx, r);
	json_fini(j);
	return c->seq;
}

static void put_flow(struct conv *c)
{
	struct record r = { .kind = "flow", .who = &c->end[c->lead] };
	char text[ENDPOINT_TEXT_MAX];
	struct json j;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "transport", flow_transport_text(c->transport));
	json_str(&j, "initiator", endpoint_text(&c->end[c->lead], text));
	json_str(&j, "responder", endpoint_text(&c->end[!c->lead], text));
	json_str(&j, "began", c->opened ? "handshake" : "middle");
	json_str(&j, "file", c->file);
	json_uint(&j, "frame", c->began.frame);
	json_close(&j, '}');
	put_opening(c, &r, &j);
}

/* Of our own run: what of `dial` and `accept` packets tell. */
static void put_live(struct conv *c, bool veiled)
{
	bool dialled = (unsigned)c->us == c->lead;
	struct record r = { .kind = dialled ? "dial" : "accept",
		.who = &c->end[!c->us],
		.swarm = dialled && c->swarm ? c->swarm->ref.swarm : NULL };
	struct dissect_met m = { .transport = c->transport,
		.us = c->end[c->us], .peer = c->end[!c->us],
		.dialled = dialled, .utc_ns = c->began.utc_ns };
	struct json j;

	c->did = (struct dissect_did){ .most = { UINT64_MAX, UINT64_MAX } };
	if (c->d->conf.met)
		c->d->conf.met(c->d->conf.ctx, &m, &c->did);
	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "transport", flow_transport_text(c->transport));
	json_str(&j, "encryption", veiled ? "mse" : "none");
	json_close(&j, '}');
	put_opening(c, &r, &j);
}

static void doubt(struct conv *c)
{
	if (c->us >= 0 && c->d->conf.doubt)
		c->d->conf.doubt(c->d->conf.ctx, c->seq);
}

/* A dial of ours is for one swarm from the first: our handshake says which, or
 * the hash that the encryption is keyed by. */
static void find_target(struct conv *c, const struct dissect_secret *s)
{
	const uint8_t *hash = NULL;
	struct known *known = c->d->conf.known;

	if (c->us < 0 || (unsigned)c->us != c->lead)
		return;
	if (s && s->skey_known)
		hash = s->skey;
	else if (!s && c->held_n[c->lead] >= 48)
		hash = c->held[c->lead] + 28;
	if (hash && known_find(known, hash))
		join_swarm(c, known_hold(known, hash));
}

void peertalk_begin(struct conv *c, bool veiled,
    const struct dissect_secret *s, struct flow_at at)
{
	struct witness_hooks hooks = { .ctx = c, .add = on_add,
		.event = on_event, .swarm = on_swarm, .skey = on_skey,
		.digester = c->d->conf.digester,
		.later = c->d->conf.later ? on_later : NULL };
	enum side lead;

	c->kind = TALK_PEER;
	c->d->counts.flows++;
	find_target(c, s);
	if (s && s->skey_known && !c->swarm && !c->d->conf.ours)
		join_swarm(c, known_hold(c->d->conf.known, s->skey));
	if (c->us >= 0)
		put_live(c, veiled);
	else
		put_flow(c);
	lead = conv_side(c, c->lead);
	if (c->us >= 0) {
		c->w = witness_begin(&hooks, c->swarm ? &c->swarm->ref : NULL,
		    c->seq, &c->end[!c->us]);
	} else {
		struct endpoint end[2];

		end[lead] = c->end[c->lead];
		end[!lead] = c->end[!c->lead];
		c->w = witness_between(&hooks, c->swarm ? &c->swarm->ref :
		    NULL, c->seq, end);
	}
	if (!c->w)
		log_die("out of memory for a conversation");
	if (veiled) {
		witness_encrypted(c->w, lead);
		if (s)
			witness_secret(c->w, s->secret, dissect_stamp(at));
	}
	for (unsigned i = 0; i < 2; i++) {
		if (c->hole[i])
			peertalk_gap(c, i, 0, c->began);
		c->unsure[i] = !c->opened && !c->hole[i];
	}
}

void peertalk_blind(struct conv *c, struct flow_at at)
{
	witness_give_up(c->w, dissect_stamp(at));
}

/* --- our own: in the order in which the live run read and said it ------------------ */

/* Bytes of the peer's that the live run read before what it said next. */
static void hear(struct conv *c, struct span s, struct flow_at at)
{
	c->heard += s.n;
	witness_bytes(c->w, SIDE_PEER, s.p, s.n, dissect_stamp(at));
}

static size_t may_hear(const struct conv *c, size_t n)
{
	const struct dissect_did *did = &c->did;
	uint64_t until;

	if (c->said >= did->heards)
		return n;
	until = did->heard[c->said];
	if (until <= c->heard)
		return 0;
	return until - c->heard < n ? (size_t)(until - c->heard) : n;
}

/* What was not read yet is, as far as it was by now. */
static void pour(struct conv *c, struct flow_at at)
{
	size_t n = may_hear(c, c->unread_n);

	if (n == 0)
		return;
	hear(c, span_of(c->unread + c->unread_at, n), at);
	c->unread_at += n;
	c->unread_n -= n;
	if (c->unread_n)
		return;
	free(c->unread);
	c->unread = NULL;
	c->unread_at = c->unread_room = 0;
}

/* The order is not known any more, or of no use: as the packets have it. */
static void pour_all(struct conv *c, struct flow_at at)
{
	c->did.heards = 0;
	pour(c, at);
}

static void keep_unread(struct conv *c, struct span s, struct flow_at at)
{
	size_t room = c->unread_room ? c->unread_room : 4096;

	if (s.n == 0)
		return;
	if (c->unread_at > c->unread_n) {
		memmove(c->unread, c->unread + c->unread_at, c->unread_n);
		c->unread_at = 0;
	}
	while (room < c->unread_at + c->unread_n + s.n)
		room *= 2;
	if (room > c->unread_room) {
		c->unread = realloc(c->unread, room);
		if (!c->unread)
			log_die("out of memory for a conversation");
		c->unread_room = room;
	}
	memcpy(c->unread + c->unread_at + c->unread_n, s.p, s.n);
	c->unread_n += s.n;
	if (c->unread_n > UNREAD_MOST) {
		doubt(c);
		pour_all(c, at);
	}
}

static void peer_bytes(struct conv *c, struct span s, struct flow_at at)
{
	size_t n = c->unread_n ? 0 : may_hear(c, s.n);

	if (n)
		hear(c, span_of(s.p, n), at);
	keep_unread(c, span_of(s.p + n, s.n - n), at);
}

/* While something of the peer's waits, each message of ours may let go of some:
 * a byte at a time ends with each. */
static void our_bytes(struct conv *c, struct span s, struct flow_at at)
{
	while (s.n) {
		size_t n = c->unread_n ? 1 : s.n;

		witness_bytes(c->w, SIDE_US, s.p, n, dissect_stamp(at));
		s = span_of(s.p + n, s.n - n);
		if (c->unread_n)
			pour(c, at);
	}
}

static void live_bytes(struct conv *c, enum side by, struct span s,
    struct flow_at at)
{
	uint64_t *most = &c->did.most[by];

	if (s.n > *most)
		s.n = (size_t)*most;
	*most -= s.n;
	if (by == SIDE_US)
		our_bytes(c, s, at);
	else
		peer_bytes(c, s, at);
}

/* --- what the dissector tells -------------------------------------------------------- */

void peertalk_bytes(struct conv *c, unsigned side, struct span s,
    struct flow_at at)
{
	/* Unless this is how a stream begins, what came before is missing. */
	if (c->unsure[side] && s.p[0] != 19)
		peertalk_gap(c, side, 0, at);
	c->unsure[side] = false;
	if (c->us >= 0)
		live_bytes(c, conv_side(c, side), s, at);
	else
		witness_bytes(c->w, conv_side(c, side), s.p, s.n,
		    dissect_stamp(at));
}

bool peertalk_over(const struct conv *c)
{
	return c->us >= 0 && c->did.most[SIDE_PEER] == 0 &&
	    c->did.most[SIDE_US] == 0;
}

void peertalk_gap(struct conv *c, unsigned side, uint64_t n,
    struct flow_at at)
{
	if (c->us >= 0 && c->did.most[conv_side(c, side)] == 0)
		return;
	doubt(c);
	pour_all(c, at);
	witness_gap(c->w, conv_side(c, side), n, dissect_stamp(at));
}

void peertalk_differs(struct conv *c, unsigned side, uint64_t offset,
    uint64_t n, struct flow_at at)
{
	doubt(c);
	if (c->us < 0)
		witness_overlap(c->w, conv_side(c, side), offset, n,
		    at.frame, dissect_stamp(at));
}

void peertalk_close(struct conv *c, enum flow_end end, unsigned by,
    struct flow_at at)
{
	bool said = end == FLOW_FIN || end == FLOW_RESET;
	const char *who = "capture";

	if (said && c->us >= 0)
		who = by == (unsigned)c->us ? "us" : "peer";
	else if (said)
		who = by == c->lead ? "initiator" : "responder";
	if (end == FLOW_IDLE || end == FLOW_DISPLACED)
		doubt(c);
	pour_all(c, at);
	witness_close(c->w, who, flow_end_text(end), dissect_stamp(at));
}

void peertalk_tick(struct conv *c, struct flow_at at)
{
	witness_tick(c->w, dissect_stamp(at));
}

void peertalk_free(struct conv *c)
{
	witness_free(c->w);
	c->w = NULL;
	free(c->unread);
	leave_swarm(c);
}

size_t peertalk_memory(const struct conv *c)
{
	return (c->w ? witness_memory(c->w) : 0) + c->unread_room;
}
