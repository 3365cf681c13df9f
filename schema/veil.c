#include "schema/veil.h"

#include <stdlib.h>

#include "schema/log.h"

#define RAW_MOST (2 * MSE_HEAD_MAX)	/* of a side, where it was illegal */

static enum mse_end end_of(const struct veil *v, enum side by)
{
	return by == v->initiator ? MSE_A : MSE_B;
}

static enum side side_of(const struct veil *v, enum mse_end end)
{
	return (end == MSE_A) == (v->initiator == SIDE_PEER) ? SIDE_PEER :
	    SIDE_US;
}

static const struct mse_flow *flow_of(const struct veil *v, enum side by)
{
	return &v->mse.flow[end_of(v, by)];
}

static bool past_head(const struct mse_flow *f)
{
	return f->state == MSE_AT_IA || f->state == MSE_AT_PAYLOAD;
}

struct veil *veil_new(enum side initiator, mse_find *find, void *ctx)
{
	struct veil *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->initiator = initiator;
	mse_init(&v->mse, find, ctx);
	return v;
}

void veil_free(struct veil *v)
{
	if (!v)
		return;
	free(v->half[0].wire);
	free(v->half[1].wire);
	free(v);
}

static void hold(struct veil_half *h, struct span s)
{
	size_t room = h->room ? h->room : 256;
	uint8_t *p;

	if (s.n == 0)
		return;
	while (room < h->n + s.n)
		room *= 2;
	if (room > h->room) {
		p = realloc(h->wire, room);
		if (!p)
			log_die("out of memory for a conversation");
		h->wire = p;
		h->room = room;
	}
	memcpy(h->wire + h->n, s.p, s.n);
	h->n += s.n;
}

/* What was read goes, but the head stays until it is recorded. */
static void trim(struct veil *v, enum side by)
{
	const struct mse_flow *f = flow_of(v, by);
	struct veil_half *h = &v->half[by];
	size_t base = h->used;

	if (v->recorded)
		base = 0;
	else if (past_head(f) && f->head < base)
		base = f->head;
	if (h->used > base) {
		memmove(h->wire + base, h->wire + h->used, h->n - h->used);
		h->n -= h->used - base;
		h->used = base;
	}
	if (h->n == 0) {
		free(h->wire);
		*h = (struct veil_half){ 0 };
	}
}

size_t veil_room(const struct veil *v, enum side by, size_t n)
{
	return v->half[by].n - v->half[by].used + n;
}

size_t veil_open(struct veil *v, enum side by, struct span bytes,
    uint8_t *out)
{
	const struct mse_flow *f = flow_of(v, by);
	struct veil_half *h = &v->half[by];
	size_t room = veil_room(v, by, bytes.n), n;
	bool direct = h->used == h->n &&
	    (past_head(f) || f->state == MSE_AT_FAULT);
	struct cur c;

	if (!direct)
		hold(h, bytes);
	c = cur_of(direct ? bytes :
	    span_of(h->wire + h->used, h->n - h->used));
	n = mse_read(&v->mse, end_of(v, by), &c, out, room);
	if (direct)
		hold(h, cur_rest(&c));
	else
		h->used = h->n - cur_left(&c);
	trim(v, by);
	if (h->n - h->used > VEIL_HOLD_MAX)
		mse_refuse(&v->mse, end_of(v, by), v->mse.secret_known ?
		    "more before the other end's head than is held" :
		    "more without a secret than is held");
	return n;
}

bool veil_gap(struct veil *v, enum side by, uint64_t n, bool read_on)
{
	struct veil_half *h = &v->half[by];

	if (h->used == h->n && (read_on ? mse_gap : mse_pass)(&v->mse,
	    end_of(v, by), n))
		return true;
	mse_refuse(&v->mse, end_of(v, by), "bytes missing");
	return false;
}

bool veil_due(const struct veil *v)
{
	return !v->recorded && (v->mse.fault.reason ||
	    (past_head(&v->mse.flow[0]) && past_head(&v->mse.flow[1])));
}

bool veil_holds(const struct veil *v)
{
	return v->mse.secret_known && !v->mse.fault.reason &&
	    (v->half[0].used < v->half[0].n || v->half[1].used < v->half[1].n);
}

bool veil_lifted(const struct veil *v)
{
	return v->recorded && v->mse.select == MSE_PLAIN &&
	    mse_settled(&v->mse) && v->half[0].n == 0 && v->half[1].n == 0;
}

/* --- the record ------------------------------------------------------------- */

/* How much of a side's kept bytes is its head; of an illegal one, all. */
static size_t head_bytes(const struct veil *v, enum side by)
{
	const struct mse_flow *f = flow_of(v, by);
	size_t n = v->half[by].n;

	if (past_head(f))
		return f->head < n ? f->head : n;
	return n < RAW_MOST ? n : RAW_MOST;
}

static void put_size(struct json *j, const char *key, bool known, uint64_t n)
{
	if (known)
		json_uint(j, key, n);
	else
		json_null(j, key);
}

static void put_secret(struct json *j, const char *key, bool known,
    const uint8_t *p, size_t n)
{
	if (known)
		json_hex(j, key, span_of(p, n));
	else
		json_null(j, key);
}

static bool read_past(const struct mse_flow *f, enum mse_state state)
{
	return f->state > state && f->state != MSE_AT_FAULT;
}

static const char *end_name(const struct veil *v, enum mse_end end,
    bool between)
{
	if (between)
		return end == MSE_A ? "initiator" : "responder";
	return side_of(v, end) == SIDE_US ? "us" : "peer";
}

void veil_detail(const struct veil *v, const char *outcome, bool between,
    struct json *j)
{
	const struct mse *m = &v->mse;
	const struct mse_flow *a = &m->flow[MSE_A], *b = &m->flow[MSE_B];

	json_open(j, NULL, '{');
	json_str(j, "by", between ? "peer" : end_name(v, MSE_A, false));
	json_str(j, "outcome", outcome ? outcome : m->fault.reason ?
	    m->fault.reason : "ok");
	if (m->fault.reason) {
		json_str(j, "fault_by", end_name(v, m->fault_by, between));
		json_uint(j, "fault_offset", m->fault.offset);
	} else {
		json_null(j, "fault_by");
		json_null(j, "fault_offset");
	}
	put_secret(j, "secret", m->secret_known, m->secret, MSE_KEY);
	put_secret(j, "skey", m->skey_known, m->skey, sizeof(m->skey));
	put_size(j, "provide", m->provide, m->provide);
	put_size(j, "select", m->select, m->select);
	put_size(j, "pad_a", read_past(a, MSE_AT_SYNC), a->pad1);
	put_size(j, "pad_b", read_past(b, MSE_AT_SYNC), b->pad1);
	put_size(j, "pad_c", read_past(a, MSE_AT_HEAD), a->pad2);
	put_size(j, "pad_d", read_past(b, MSE_AT_HEAD), b->pad2);
	put_size(j, "ia", past_head(a), m->ia);
	json_uint(j, "bytes_a", head_bytes(v, side_of(v, MSE_A)));
	json_uint(j, "bytes_b", head_bytes(v, side_of(v, MSE_B)));
	json_close(j, '}');
}

uint8_t *veil_raw(const struct veil *v, size_t *n)
{
	enum side a = side_of(v, MSE_A), b = side_of(v, MSE_B);
	size_t na = head_bytes(v, a), nb = head_bytes(v, b);
	uint8_t *p = malloc(na + nb + 1);

	if (!p)
		log_die("out of memory for a conversation");
	if (na)
		memcpy(p, v->half[a].wire, na);
	if (nb)
		memcpy(p + na, v->half[b].wire, nb);
	*n = na + nb;
	return p;
}

void veil_recorded(struct veil *v)
{
	v->recorded = true;
	for (int i = 0; i < 2; i++) {
		if (v->mse.fault.reason)
			v->half[i].used = v->half[i].n;
		trim(v, (enum side)i);
	}
}

size_t veil_memory(const struct veil *v)
{
	return sizeof(*v) + v->half[0].room + v->half[1].room;
}
