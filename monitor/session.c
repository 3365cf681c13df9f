#include "monitor/session.h"

#define S (1000000000ll)
#define GREET_WAIT (15 * S)
#define SETTLE_WAIT (3 * S)	/* after the last claim; lazy bitfields */
#define SETTLE_MOST (15 * S)	/* and after the first */
#define WANT_WAIT (600 * S)	/* optimistic slots come round in minutes */
#define FAST_WAIT (10 * S)	/* choked so long, allowed_fast will do */
#define ASK_WAIT (60 * S)	/* without a whole block */
#define LINGER_WAIT (120 * S)
#define METADATA_WAIT (600 * S)	/* it may come from another peer */
#define HASHES_WAIT (20 * S)
#define KEEPALIVE (90 * S)	/* clients close at 120 s of silence */

#define REFUSED_MOST 3
#define PICKY_MOST 40	/* requests */
#define UNPROVED_MOST 3

static void go(struct session *s, enum session_state to, int64_t until_ns)
{
	s->state = to;
	s->until_ns = until_ns;
}

static void leave(struct session *s, struct session_out *out, const char *why)
{
	out->close = why;
	go(s, S_CLOSED, INT64_MAX);
}

static uint8_t *tail(const struct session_out *out)
{
	return out->bytes + out->n;
}

/* --- the sample ------------------------------------------------------------- */

static struct sample_offer offer(const struct session_in *in)
{
	const struct session_swarm *w = in->swarm;

	if (!w)
		return (struct sample_offer){ 0 };
	return (struct sample_offer){ in->claimed, in->claimed_count,
		w->pieces, w->ctx, w->piece_bytes };
}

static bool pick(const struct session *s, const struct session_in *in,
    struct sample_draw *d)
{
	struct sample_offer o = offer(in);

	return !s->picky && s->refused < REFUSED_MOST && sample_next(&s->sample, &o, d);
}

/* Nothing could tell whether it is right, but somebody can say. */
static bool unproven(const struct session_in *in, uint32_t piece)
{
	return in->swarm->unproven &&
	    in->swarm->unproven(in->swarm->ctx, piece);
}

static bool ask_hashes(struct session *s, const struct session_in *in,
    struct session_out *out, uint32_t piece, bool blocks)
{
	size_t n = in->swarm->hash_request(in->swarm->ctx, piece, blocks,
	    tail(out));

	out->n += n;
	s->hashes_due += n > 0;
	return n > 0;
}

static void choose(struct session *s, const struct session_in *in,
    struct session_out *out, uint32_t piece)
{
	/* So that an unfinished piece proves its blocks. */
	if (in->swarm->hash_request && s->unproved < UNPROVED_MOST &&
	    !sample_is_large(s->conf->sample))
		ask_hashes(s, in, out, piece, true);
	for (int i = 0; i < 2; i++)
		if (s->newest[i] == piece)
			s->newest[i] = UINT32_MAX;
	sample_take(&s->sample, piece);
	s->in_hand = true;
	s->piece = piece;
	s->piece_bytes = in->swarm->piece_bytes(in->swarm->ctx, piece);
	s->next = 0;
}

/* --- asking ----------------------------------------------------------------- */

static bool is_fast(const struct session *s, uint32_t piece)
{
	for (unsigned i = 0; s->fast && i < s->fast_count; i++)
		if (s->fast_pieces[i] == piece)
			return true;
	return false;
}

static bool may_ask(const struct session *s, uint32_t piece)
{
	return !s->choked || is_fast(s, piece);
}

static void send_ask(struct session_ask *a, struct session_out *out)
{
	out->n += pw_put_request(tail(out), a->piece, a->begin, a->bytes);
	a->state = ASK_SENT;
}

static void cut(struct session *s, struct session_out *out)
{
	uint32_t left = s->piece_bytes - s->next;

	for (int i = 0; i < SESSION_ASKS_MAX; i++) {
		if (s->ask[i].state != ASK_FREE)
			continue;
		s->ask[i].piece = s->piece;
		s->ask[i].begin = s->next;
		s->ask[i].bytes = left < PW_BLOCK ? left : PW_BLOCK;
		s->next += s->ask[i].bytes;
		s->in_hand = s->next < s->piece_bytes;
		send_ask(&s->ask[i], out);
		return;
	}
}

/* What it claims next it may give. */
static bool hopes(const struct session *s)
{
	return s->picky && !sample_complete(&s->sample);
}

/* A super-seed gives the pieces that it told last. */
static bool choose_newest(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	struct sample_offer o = offer(in);

	for (int i = 0; i < 2; i++) {
		uint32_t piece = s->newest[i];

		s->newest[i] = UINT32_MAX;
		if (piece < o.pieces && sample_may(&s->sample, &o, piece) &&
		    !unproven(in, piece)) {
			choose(s, in, out, piece);
			return true;
		}
	}
	return false;
}

/* Sends what may be sent now. */
static void fill(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	unsigned sent = asks_count(s->ask, ASK_SENT);
	struct sample_draw d;

	for (int i = 0; i < SESSION_ASKS_MAX; i++)
		if (sent < s->conf->outstanding &&
		    s->ask[i].state == ASK_AGAIN &&
		    may_ask(s, s->ask[i].piece)) {
			send_ask(&s->ask[i], out);
			sent++;
		}
	/* Many at once cost the peer and us less than one by one. */
	if (sent > 0 && sent + s->conf->outstanding / 4 > s->conf->outstanding)
		return;
	while (asks_count(s->ask, ASK_FREE) > 0 && sent < s->conf->outstanding) {
		if (!s->in_hand) {
			if (s->choked ||
			    asks_pieces(s->ask) >= SESSION_PIECES_MAX)
				return;
			if (hopes(s)) {
				if (!choose_newest(s, in, out))
					return;
				continue;
			}
			if (!pick(s, in, &d) || unproven(in, d.piece))
				return;
			choose(s, in, out, d.piece);
			s->sample.draws = d.draws;
		}
		if (!may_ask(s, s->piece))
			return;
		cut(s, out);
		sent++;
	}
}

static void linger(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	if (s->interested)
		out->n += pw_put_empty(tail(out), PW_NOT_INTERESTED);
	s->interested = false;
	if (s->leave_ns == 0)
		s->leave_ns = in->now_ns + (in->swarm->pieces ? LINGER_WAIT :
		    METADATA_WAIT);
	go(s, S_LINGER, s->leave_ns);
}

/* The next piece's hash has to be asked for first. */
static void want_hashes(struct session *s, const struct session_in *in,
    struct session_out *out, const struct sample_draw *d)
{
	s->wanted = *d;
	if (s->unproved < UNPROVED_MOST &&
	    ask_hashes(s, in, out, d->piece, false))
		go(s, S_HASHES, in->now_ns + HASHES_WAIT);
	else
		linger(s, in, out);
}

/* Something changed while we are interested: ask, wait or be done. */
static void proceed(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	struct sample_draw d;

	if (!s->interested || s->state == S_HASHES)
		return;
	fill(s, in, out);
	if (asks_count(s->ask, ASK_SENT) > 0) {
		if (s->state != S_ASK)
			go(s, S_ASK, in->now_ns + ASK_WAIT);
	} else if (!s->in_hand && asks_count(s->ask, ASK_AGAIN) == 0 &&
	    !hopes(s) && !pick(s, in, &d)) {
		linger(s, in, out);
	} else if (!s->in_hand && asks_count(s->ask, ASK_AGAIN) == 0 &&
	    !hopes(s) && unproven(in, d.piece)) {
		want_hashes(s, in, out, &d);
	} else {
		if (s->state != S_WANT) {
			s->want_ns = in->now_ns;
			go(s, S_WANT, in->now_ns + WANT_WAIT);
		}
	}
}

/* Claims have settled. */
static void begin(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	struct sample_draw d;

	if (!pick(s, in, &d)) {
		linger(s, in, out);
		return;
	}
	if (unproven(in, d.piece)) {
		want_hashes(s, in, out, &d);
		return;
	}
	s->interested = true;
	out->n += pw_put_empty(tail(out), PW_INTERESTED);
	proceed(s, in, out);
}

/* Choked for a while: a piece it promised to give all the same. */
static void ask_fast(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	struct sample_offer o = offer(in);

	for (unsigned i = s->fast_tried; i < s->fast_count; i++) {
		s->fast_tried = i + 1;
		if (!s->in_hand && s->refused < REFUSED_MOST &&
		    sample_may(&s->sample, &o, s->fast_pieces[i]) &&
		    !unproven(in, s->fast_pieces[i])) {
			choose(s, in, out, s->fast_pieces[i]);
			break;
		}
	}
	proceed(s, in, out);
}

static bool fast_left(const struct session *s)
{
	return s->state == S_WANT && s->fast && s->choked && !s->in_hand &&
	    s->fast_tried < s->fast_count;
}

/* It will not give this piece: the blocks still under way may come. */
static void give_up(struct session *s, uint32_t piece)
{
	for (int i = 0; i < SESSION_ASKS_MAX; i++)
		if (s->ask[i].piece == piece && s->ask[i].state == ASK_AGAIN)
			s->ask[i].state = ASK_FREE;
	if (s->in_hand && s->piece == piece)
		s->in_hand = false;
	s->refused++;
	s->picky = s->bare && s->refused < PICKY_MOST;
	if (s->bare)
		sample_drop(&s->sample, piece);
}

/* --- what the peer says ------------------------------------------------------ */

/* The hashes asked for came, or do not come. */
static void on_hashes(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	if (s->state != S_HASHES)
		return;
	if (unproven(in, s->wanted.piece)) {
		s->unproved++;
		s->sample.draws = s->wanted.draws;	/* passed over */
	}
	go(s, S_SETTLE, in->now_ns);
	if (s->interested)
		proceed(s, in, out);
	else
		begin(s, in, out);
}

static void put_extended(const struct session *s, const struct session_in *in,
    struct session_out *out)
{
	struct extend_offer o = { .port = s->conf->listen_port,
		.version = s->conf->version,
		.metadata = in->swarm->pieces == 0,
		.again = s->answered,
		.pex = !s->conf->no_pex && !in->swarm->is_private };

	out->n += extend_hello(&o, tail(out));
}

static void put_handshake(const struct session *s, const struct session_in *in,
    const uint8_t infohash[20], struct session_out *out)
{
	out->n += extend_handshake(infohash, s->conf->peer_id, in->swarm->v2,
	    s->conf->dht && !in->swarm->is_private, tail(out));
}

static bool is_ours(const struct session_swarm *swarm,
    const uint8_t infohash[20])
{
	for (int i = 0; swarm && i < swarm->hashes; i++)
		if (memcmp(swarm->infohash[i], infohash, 20) == 0)
			return true;
	return false;
}

static void on_handshake(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	const struct pw_handshake *h = &in->ev->hs;

	if (memcmp(h->peer_id, s->conf->peer_id, sizeof(h->peer_id)) == 0) {
		s->outcome = SESSION_SELF;
		leave(s, out, "our own peer id: we met ourselves");
		return;
	}
	if (!is_ours(in->swarm, h->infohash)) {
		s->outcome = SESSION_OTHER;
		leave(s, out, s->incoming ? "the infohash is none of ours" :
		    "the handshake bears another infohash");
		return;
	}
	s->outcome = SESSION_MET;
	if (in->swarm->decoy) {
		leave(s, out, "it answered to a decoy infohash");
		return;
	}
	s->fast = PW_HAS_FAST(h->reserved);
	s->extended = PW_HAS_EXT(h->reserved);
	budget_claims(&s->budget, in->swarm->pieces);
	/* libtorrent wants a hybrid's v2 hash from whoever says that it knows
	 * v2, though it came with the other (BEP 52 calls that an upgrade). */
	if (s->incoming)
		put_handshake(s, in, in->swarm->hashes == 2 && in->swarm->v2 &&
		    PW_HAS_V2(h->reserved) ? in->swarm->infohash[1] :
		    h->infohash, out);
	if (s->extended)
		put_extended(s, in, out);
	if (s->fast)	/* rTorrent closes at once if it did not offer it */
		out->n += pw_put_empty(tail(out), PW_HAVE_NONE);
	s->answered = s->bare = true;
	s->settled_ns = in->now_ns + SETTLE_MOST;
	go(s, S_SETTLE, in->now_ns + SETTLE_WAIT);
}

/* It claimed something: conclude nothing before it is done claiming, nor look
 * for something to ask at every word. */
static void on_claim(struct session *s, const struct session_in *in)
{
	if (s->state == S_LINGER && !sample_complete(&s->sample) &&
	    s->refused < REFUSED_MOST) {
		s->settled_ns = in->now_ns + SETTLE_MOST;
		go(s, S_SETTLE, in->now_ns + SETTLE_WAIT);
	} else if (s->state == S_SETTLE) {
		go(s, S_SETTLE, in->now_ns + SETTLE_WAIT < s->settled_ns ?
		    in->now_ns + SETTLE_WAIT : s->settled_ns);
	}
}

static void on_reject(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	struct session_ask *a = asks_find(s->ask, &in->ev->msg);

	if (!a)
		return;
	if (s->choked && !is_fast(s, a->piece)) {
		a->state = ASK_AGAIN;	/* for when it unchokes us */
	} else {
		a->state = ASK_FREE;
		give_up(s, a->piece);
	}
	proceed(s, in, out);
}

static void on_choke(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	s->choked = true;
	/* Without the Fast extension a choke voids the requests; with it each
	 * is answered still (BEP 6). */
	for (int i = 0; i < SESSION_ASKS_MAX && !s->fast; i++)
		if (s->ask[i].state == ASK_SENT)
			s->ask[i].state = ASK_AGAIN;
	proceed(s, in, out);
}

static void on_message(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	const struct pw_msg *m = &in->ev->msg;

	switch (m->id) {
	case PW_CHOKE:
		on_choke(s, in, out);
		break;
	case PW_UNCHOKE:
		s->choked = false;
		proceed(s, in, out);
		break;
	case PW_HAVE_NONE:
		s->bare = true;
		on_claim(s, in);
		break;
	case PW_BITFIELD:
	case PW_HAVE_ALL:
		s->bare = s->picky = false;
		on_claim(s, in);
		break;
	case PW_HAVE:
		s->newest[1] = s->newest[0];
		s->newest[0] = m->index;
		if (s->picky)
			proceed(s, in, out);
		else
			on_claim(s, in);
		break;
	case PW_REQUEST:	/* without Fast it stays choked and knows */
		if (s->fast)
			out->n += pw_put_reject(tail(out), m->index, m->begin,
			    m->bytes);
		break;
	case PW_REJECT:
		on_reject(s, in, out);
		break;
	case PW_ALLOWED_FAST:
		if (s->fast && s->fast_count < SESSION_FAST_MAX &&
		    !is_fast(s, m->index))
			s->fast_pieces[s->fast_count++] = m->index;
		break;
	case PW_HASHES:
	case PW_HASH_REJECT:
		on_hashes(s, in, out);
		break;
	case PW_INTERESTED:
	case PW_NOT_INTERESTED:
	case PW_PIECE:
	case PW_CANCEL:
	case PW_PORT:
	case PW_SUGGEST:
	case PW_EXTENDED:
	case PW_HASH_REQUEST:
	case PW_KEEPALIVE:
	case PW_UNKNOWN:
		break;
	}
}

static void on_block(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	struct session_ask *a = asks_find(s->ask, &in->ev->msg);

	if (!a || !in->ev->last)
		return;	/* bytes that trickle win no time */
	a->state = ASK_FREE;
	if (s->state == S_ASK)
		go(s, S_ASK, in->now_ns + ASK_WAIT);
	proceed(s, in, out);
}

static void on_extended(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	size_t n;
	const char *why = extend_event(&s->extend, in->ev, in->now_ns,
	    tail(out), &n);

	out->n += n;
	if (why)
		leave(s, out, why);
	else if (in->ev->ext == EXT_LT_DONTHAVE)
		on_claim(s, in);
}

/* The swarm got its torrent: now the claims mean something. */
static void on_learnt(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	if (!s->answered)
		return;
	budget_claims(&s->budget, in->swarm->pieces);
	if (s->extended)
		put_extended(s, in, out);
	s->leave_ns = 0;
	s->settled_ns = in->now_ns + SETTLE_MOST;
	go(s, S_SETTLE, in->now_ns + SETTLE_WAIT);
}

/* Whether it was asked for this; once. */
static bool was_asked(struct session *s, const struct event *ev)
{
	if (ev->kind == EV_BLOCK)
		return asks_find(s->ask, &ev->msg) != NULL;
	if (ev->kind == EV_MESSAGE && ev->msg.id == PW_HASHES &&
	    s->hashes_due > 0) {
		s->hashes_due--;
		return true;
	}
	return extend_asked(&s->extend, ev);
}

static void on_event(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	bool asked = was_asked(s, in->ev);

	if (!budget_pay(&s->budget, in->ev, asked, in->claimed_count,
	    in->now_ns)) {
		leave(s, out, "flooding: far more than was asked for");
		return;
	}
	switch (in->ev->kind) {
	case EV_HANDSHAKE:
		on_handshake(s, in, out);
		break;
	case EV_MESSAGE:
		on_message(s, in, out);
		break;
	case EV_EXTENDED:
		on_extended(s, in, out);
		break;
	case EV_BLOCK:
		on_block(s, in, out);
		break;
	case EV_MALFORMED:
		if (in->ev->fatal)
			leave(s, out, in->ev->err.reason);
		break;
	case EV_GAP:
		break;
	}
}

/* --- the story -------------------------------------------------------------- */

static void on_deadline(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	switch (s->state) {
	case S_GREET:
		leave(s, out, "no handshake within 15 s");
		break;
	case S_SETTLE:
		begin(s, in, out);
		break;
	case S_HASHES:
		on_hashes(s, in, out);
		break;
	case S_WANT:
		leave(s, out, s->choked ? "no unchoke within 600 s" :
		    "it gives nothing of what it claims");
		break;
	case S_ASK:
		leave(s, out, "a request unanswered for 60 s");
		break;
	case S_LINGER:
		leave(s, out, "nothing more to ask");
		break;
	case S_CLOSED:
		break;
	}
}

static void on_timeout(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	if (in->now_ns >= s->until_ns) {
		on_deadline(s, in, out);
		return;
	}
	if (fast_left(s) && in->now_ns >= s->want_ns + FAST_WAIT)
		ask_fast(s, in, out);
	if (s->answered && out->n == 0 && in->now_ns >= s->spoke_ns + KEEPALIVE)
		out->n += pw_put_keepalive(tail(out));
}

static void on_end(struct session *s, struct session_out *out)
{
	for (int i = 0; i < SESSION_ASKS_MAX; i++)
		if (s->ask[i].state == ASK_SENT)
			out->n += pw_put_cancel(tail(out), s->ask[i].piece,
			    s->ask[i].begin, s->ask[i].bytes);
	if (s->interested)
		out->n += pw_put_empty(tail(out), PW_NOT_INTERESTED);
	go(s, S_CLOSED, INT64_MAX);
}

void session_init(struct session *s, const struct session_conf *conf,
    const struct endpoint *who, bool incoming, int64_t now_ns)
{
	*s = (struct session){ .conf = conf, .who = *who, .incoming = incoming,
		.choked = true, .newest = { UINT32_MAX, UINT32_MAX }, .spoke_ns = now_ns,
		.sample = { .want = conf->sample, .seed = conf->seed,
			.who = *who } };
	budget_init(&s->budget, now_ns);
	go(s, S_GREET, now_ns + GREET_WAIT);
}

void session_map(struct session *s, uint8_t *map)
{
	s->sample.map = map;
}

void session_step(struct session *s, const struct session_in *in,
    struct session_out *out)
{
	size_t before = out->n;

	if (s->state == S_CLOSED)
		return;
	switch (in->kind) {
	case IN_CONNECTED:
		go(s, S_GREET, in->now_ns + GREET_WAIT);
		if (!s->incoming)
			put_handshake(s, in, in->swarm->infohash[0], out);
		break;
	case IN_EVENT:
		on_event(s, in, out);
		break;
	case IN_TIMEOUT:
		on_timeout(s, in, out);
		break;
	case IN_FETCH:
		out->n += extend_fetch(&s->extend, in->block, tail(out));
		break;
	case IN_LEARNT:
		on_learnt(s, in, out);
		break;
	case IN_END:
		on_end(s, out);
		break;
	}
	if (out->n > before)
		s->spoke_ns = in->now_ns;
}

int64_t session_deadline(const struct session *s)
{
	int64_t at = s->until_ns;

	if (s->answered && s->spoke_ns + KEEPALIVE < at)
		at = s->spoke_ns + KEEPALIVE;
	if (fast_left(s) && s->want_ns + FAST_WAIT < at)
		at = s->want_ns + FAST_WAIT;
	return at;
}
