#include "utp.h"

#define STRIKES 3u		/* malformed packets that end it */
#define BACKOFF_MAX 6u		/* doublings of the time-out */

static const char *const end_names[] = {
#define X(id, text) [UTP_END_##id] = (text),
	UTP_ENDS(X)
#undef X
};

const char *utp_end_name(enum utp_end e)
{
	return e <= UTP_END_LOCAL ? end_names[e] : "unknown";
}

/* --- states --------------------------------------------------------------- */

static void finish(struct utp *u, enum utp_end why)
{
	u->state = UTP_CLOSED;
	u->end = why;
	u->rto_at = u->until_us = 0;
}

static void connected(struct utp *u)
{
	u->state = UTP_CONNECTED;
	u->proven = true;
	u->until_us = 0;
}

static void arm(struct utp *u, uint64_t now_us)
{
	unsigned shift = u->timeouts < BACKOFF_MAX ? u->timeouts : BACKOFF_MAX;

	u->rto_at = now_us + (ledbat_rto_us(&u->out.pace) << shift);
}

/* Closing is done when both FINs are, unless ours has still to be sent. */
static void settle(struct utp *u)
{
	if (u->state == UTP_CLOSING && !u->close_wanted && u->in.eof &&
	    utpout_underway(&u->out) == 0)
		finish(u, UTP_END_FIN);
}

/* All that was written is under way: now the FIN may go. */
static void close_if_drained(struct utp *u)
{
	if (u->state == UTP_CLOSING && u->close_wanted &&
	    u->out.cut == u->out.tail && utpout_control(&u->out, UTP_ST_FIN))
		u->close_wanted = false;
}

/* --- beginning ------------------------------------------------------------ */

static void begin(struct utp *u, const struct utp_conf *conf,
    const struct utp_memory *m, uint16_t seq)
{
	uint64_t most = (uint64_t)m->nblocks * UTP_BLOCK;

	*u = (struct utp){ .conf = *conf, .close_reason = -1 };
	if (u->conf.window > UTP_WINDOW_MAX)
		u->conf.window = UTP_WINDOW_MAX;
	if (u->conf.window > most)
		u->conf.window = (uint32_t)most;
	if (u->conf.mtu < UTP_MTU_MIN)
		u->conf.mtu = UTP_MTU_MIN;
	utpout_init(&u->out, m->ring, m->ring_n, seq,
	    u->conf.mtu - UTP_HEADER);
	utpin_init(&u->in, m->blocks, m->nblocks, u->conf.window, 0);
}

void utp_connect(struct utp *u, const struct utp_conf *conf,
    const struct utp_memory *m, uint16_t recv_id, uint16_t seq, uint64_t now_us)
{
	begin(u, conf, m, seq);
	u->recv_id = recv_id;
	u->send_id = (uint16_t)(recv_id + 1);
	u->syn = seq;
	utpout_control(&u->out, UTP_ST_SYN);
	arm(u, now_us);
}

/* Their clock against ours; what wraps on the way out wraps back. */
static void note_delay(struct utp *u, const struct utp_packet *p,
    uint64_t now_us)
{
	if (p->stamp_us != 0)
		u->reply_us = (uint32_t)now_us - p->stamp_us;
}

void utp_accept(struct utp *u, const struct utp_conf *conf,
    const struct utp_memory *m, const struct utp_packet *syn, uint16_t seq,
    uint64_t now_us)
{
	begin(u, conf, m, seq);
	u->accepted = true;
	u->recv_id = (uint16_t)(syn->conn_id + 1);
	u->send_id = syn->conn_id;
	u->syn = syn->seq;
	u->in.ack = syn->seq;
	u->their_window = syn->window;
	u->until_us = now_us + u->conf.prove_us;
	u->ack_due = true;
	u->count.packets_in = 1;
	note_delay(u, syn, now_us);
}

bool utp_takes(const struct utp *u, const struct utp_packet *p)
{
	switch (p->type) {
	case UTP_ST_SYN:
		return u->accepted && p->conn_id == u->send_id &&
		    p->seq == u->syn;
	case UTP_ST_RESET:
		return p->conn_id == u->recv_id || p->conn_id == u->send_id;
	case UTP_ST_DATA:
	case UTP_ST_FIN:
	case UTP_ST_STATE:
		return p->conn_id == u->recv_id;
	}
	return false;
}

/* --- input ---------------------------------------------------------------- */

static enum utp_result malformed(struct utp *u, struct wire_error *err)
{
	*err = (struct wire_error){ "acknowledges what was never sent", 18 };
	u->count.malformed++;
	if (++u->strikes >= STRIKES) {
		utp_reset(u);
		u->end = UTP_END_MALFORMED;
	}
	return UTP_MALFORMED;
}

/* A RESET must know what we sent last, or it is a guess. The one that answers
 * an unexpected packet acknowledges that packet, which for a STATE is the
 * number that comes next. */
static enum utp_result take_reset(struct utp *u, const struct utp_packet *p,
    struct wire_error *err)
{
	uint16_t back = (uint16_t)(u->out.next - p->ack);

	if (back > UTP_UNDERWAY + 1 || back > u->out.acked +
	    utpout_underway(&u->out) + 1)
		return malformed(u, err);
	u->close_reason = p->close_reason;
	finish(u, u->state == UTP_CONNECTING && !u->accepted ?
	    UTP_END_REFUSED : UTP_END_RESET);
	return UTP_TAKEN;
}

/* The first word of an answered SYN. The number its STATE bears is that of
 * the data that will follow (so every client, whatever BEP 29 says). */
static enum utp_result take_answer(struct utp *u, const struct utp_packet *p,
    struct wire_error *err)
{
	if (p->ack != u->syn || u->out.order == 0)
		return malformed(u, err);
	if (p->type != UTP_ST_STATE)
		return UTP_IGNORED;
	u->in.ack = (uint16_t)(p->seq - 1);
	connected(u);
	return UTP_TAKEN;
}

static enum utp_result take_payload(struct utp *u, const struct utp_packet *p)
{
	/* Whatever becomes of it, they hear where we stand. */
	u->ack_due = true;
	switch (utpin_put(&u->in, p->seq, p->payload, p->type == UTP_ST_FIN)) {
	case UTPIN_NEW:
		return UTP_TAKEN;
	case UTPIN_DUPLICATE:
		u->count.duplicate++;
		return UTP_IGNORED;
	case UTPIN_OUTSIDE:
		u->count.outside++;
		return UTP_IGNORED;
	}
	return UTP_IGNORED;
}

enum utp_result utp_input(struct utp *u, const struct utp_packet *p,
    uint64_t now_us, struct wire_error *err)
{
	enum utp_result r = UTP_TAKEN;

	u->count.packets_in++;
	if (u->state == UTP_CLOSED) {
		/* Our last word may have been lost. */
		if (p->type == UTP_ST_FIN && u->end == UTP_END_FIN)
			u->ack_due = true;
		return UTP_IGNORED;
	}
	if (p->type == UTP_ST_RESET)
		return take_reset(u, p, err);
	if (p->type == UTP_ST_SYN) {
		u->ack_due = true;
		return UTP_IGNORED;
	}
	if (u->state == UTP_CONNECTING && !u->accepted) {
		r = take_answer(u, p, err);
		if (r != UTP_TAKEN)
			return r;
	}
	switch (utpout_ack(&u->out, p, now_us)) {
	case UTPOUT_NEVER_SENT:
		return malformed(u, err);
	case UTPOUT_OLD:
		r = UTP_IGNORED;
		break;
	case UTPOUT_PROGRESS:
		u->timeouts = 0;
		arm(u, now_us);
		if (u->state == UTP_CLOSING)
			u->until_us = now_us + u->conf.linger_us;
		/* fallthrough */
	case UTPOUT_SAME:
		u->their_window = p->window;
		/* Full, but alive. */
		if (p->window < u->out.pace.mss && u->timeouts > 1)
			u->timeouts = 1;
		if (u->state == UTP_CONNECTING)
			connected(u);
		break;
	}
	if (utpout_underway(&u->out) == 0 && u->out.cut == u->out.tail)
		u->rto_at = 0;
	note_delay(u, p, now_us);
	if (p->close_reason >= 0)
		u->close_reason = p->close_reason;
	if (p->type == UTP_ST_DATA || p->type == UTP_ST_FIN)
		r = take_payload(u, p);
	settle(u);
	return r;
}

/* --- bytes ---------------------------------------------------------------- */

struct span utp_read(const struct utp *u)
{
	return utpin_read(&u->in);
}

void utp_consume(struct utp *u, size_t n)
{
	uint32_t before = u->in.ready;

	utpin_consume(&u->in, n);
	u->count.bytes_in += before - u->in.ready;
	if (u->state != UTP_CONNECTED)
		return;
	/* A window that was (nearly) shut is open again. */
	uint32_t now = utpin_window(&u->in);
	uint32_t least = u->in.window / 2 < 2 * UTP_BLOCK ?
	    u->in.window / 2 : 2 * UTP_BLOCK;
	if (u->told_window < least && now >= least)
		u->ack_due = true;
}

bool utp_eof(const struct utp *u)
{
	return u->in.eof && u->in.ready == 0;
}

size_t utp_write(struct utp *u, struct span bytes)
{
	if (u->state != UTP_CONNECTING && u->state != UTP_CONNECTED)
		return 0;
	return utpout_write(&u->out, bytes);
}

size_t utp_unsent(const struct utp *u)
{
	return (size_t)(u->out.tail - u->out.head);
}

/* --- output --------------------------------------------------------------- */

/* A packet that says where we stand; its length. */
static size_t head(struct utp *u, uint8_t *out, size_t room,
    enum utp_type type, uint16_t seq, uint64_t now_us)
{
	uint8_t sack[UTP_SACK_MAX];
	size_t most = room < UTP_HEADER + 2 + sizeof(sack) ?
	    room - UTP_HEADER - (room < UTP_HEADER + 2 ? 0 : 2) : sizeof(sack);
	struct utp_packet p = { .type = type, .conn_id = u->send_id,
	    .stamp_us = (uint32_t)now_us, .diff_us = u->reply_us,
	    .window = utpin_window(&u->in), .seq = seq, .ack = u->in.ack };

	if (type == UTP_ST_SYN) {
		p.conn_id = u->recv_id;
		p.ack = 0;
	} else if (type != UTP_ST_RESET) {
		p.sack = span_of(sack, utpin_sack(&u->in, sack, most));
		u->told_window = p.window;
		/* A data packet has no room for a long one: that goes
		 * alone. */
		if (type == UTP_ST_STATE || u->in.ahead == 0)
			u->ack_due = false;
	}
	u->sent_at = now_us;
	u->count.packets_out++;
	return utp_packet_put(out, room, &p);
}

static size_t say(struct utp *u, uint8_t *out, enum utp_type type,
    uint64_t now_us)
{
	return head(u, out, u->conf.mtu, type, u->out.next, now_us);
}

/* Our FIN has its number. */
static bool is_finished(const struct utp *u)
{
	return !u->close_wanted && (u->state == UTP_CLOSING ||
	    (u->state == UTP_CLOSED && u->end == UTP_END_FIN));
}

/* Behind a FIN a STATE bears the number that comes next, says BEP 29 and wants
 * libutp; libtorrent goes by the FIN's own, and hears nothing beyond it, not
 * even that its own FIN arrived. So it is said both ways. */
static size_t say_state(struct utp *u, uint8_t *out, uint64_t now_us)
{
	uint16_t seq = u->out.next;

	if (u->ack_due) {
		u->ack_again = is_finished(u);
	} else {
		u->ack_again = false;
		seq--;
	}
	return head(u, out, u->conf.mtu, UTP_ST_STATE, seq, now_us);
}

static size_t send_next(struct utp *u, uint8_t *out, uint64_t now_us)
{
	struct utp_sent *e;
	uint16_t seq;

	close_if_drained(u);
	bool any = utpout_next(&u->out, u->their_window, u->probe, now_us,
	    &seq, &e);
	/* What waits for a window waits with a timer. */
	if (u->rto_at == 0 && (any || u->out.cut != u->out.tail))
		arm(u, now_us);
	if (!any)
		return 0;
	u->probe = false;
	if (e->times > 1)
		u->count.resent++;
	else
		u->count.bytes_out += e->n;
	size_t n = head(u, out, (size_t)u->conf.mtu - e->n,
	    (enum utp_type)e->type, seq, now_us);
	utpout_copy(&u->out, e, out + n);
	return n + e->n;
}

size_t utp_output(struct utp *u, uint8_t *out, size_t room, uint64_t now_us)
{
	size_t n;

	if (room < u->conf.mtu)
		return 0;
	if (u->reset_due) {
		u->reset_due = u->ack_due = u->ack_again = false;
		return say(u, out, UTP_ST_RESET, now_us);
	}
	/* Before it is proven nothing but the answer goes to that address. */
	if (u->state != UTP_CLOSED && (u->proven || !u->accepted) &&
	    (n = send_next(u, out, now_us)) != 0)
		return n;
	if (u->ack_due || u->ack_again)
		return say_state(u, out, now_us);
	return 0;
}

/* --- time ----------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return b != 0 && b < a ? b : a;
}

static uint64_t keepalive_at(const struct utp *u)
{
	return u->state == UTP_CONNECTED && u->conf.keepalive_us ?
	    u->sent_at + u->conf.keepalive_us : 0;
}

uint64_t utp_deadline(const struct utp *u)
{
	uint64_t at = earlier(UINT64_MAX, u->rto_at);

	at = earlier(at, u->until_us);
	return earlier(at, keepalive_at(u));
}

static bool is_due(uint64_t at, uint64_t now_us)
{
	return at != 0 && now_us >= at;
}

/* No acknowledgement came in time. */
static void retry(struct utp *u, uint64_t now_us)
{
	unsigned most = u->state == UTP_CONNECTING ? u->conf.syns :
	    u->conf.tries;

	/* A shut window is not silence: ask, more and more seldom. */
	if (utpout_underway(&u->out) == 0) {
		u->probe = true;
		if (u->timeouts < BACKOFF_MAX)
			u->timeouts++;
		arm(u, now_us);
		return;
	}
	if (++u->timeouts >= most) {
		if (u->proven)
			u->reset_due = true;
		finish(u, UTP_END_TIMEOUT);
		return;
	}
	utpout_timeout(&u->out);
	arm(u, now_us);
}

void utp_timeout(struct utp *u, uint64_t now_us)
{
	if (u->state == UTP_CLOSED)
		return;
	if (is_due(u->until_us, now_us)) {
		if (u->state == UTP_CONNECTING) {
			finish(u, UTP_END_TIMEOUT);
		} else {
			u->reset_due = true;
			finish(u, UTP_END_LOCAL);
		}
		return;
	}
	if (is_due(u->rto_at, now_us))
		retry(u, now_us);
	if (is_due(keepalive_at(u), now_us))
		u->ack_due = true;
}

void utp_close(struct utp *u, uint64_t now_us)
{
	if (u->state == UTP_CONNECTING) {
		utp_reset(u);
	} else if (u->state == UTP_CONNECTED) {
		u->state = UTP_CLOSING;
		u->close_wanted = true;
		u->until_us = now_us + u->conf.linger_us;
		utpin_deafen(&u->in);
	}
}

void utp_reset(struct utp *u)
{
	if (u->state == UTP_CLOSED)
		return;
	u->reset_due = u->proven || (!u->accepted && u->out.order > 0);
	finish(u, UTP_END_LOCAL);
}
