#include "monitor/budget.h"

#define S (1000000000ll)
#define AT_ONCE (512 << 10)
#define HAVES (3 << 20)		/* most for haves */
#define HAVE 12
#define RATE 2048		/* a second */
#define RECORD 1024		/* what a record of its own costs us */
#define JOINS (S / 4)		/* messages so close share one: see burst.h */

void budget_init(struct budget *b, int64_t now_ns)
{
	*b = (struct budget){ .left = AT_ONCE, .most = AT_ONCE,
		.paid_ns = now_ns, .heard = PW_KEEPALIVE };
}

void budget_claims(struct budget *b, uint32_t pieces)
{
	int64_t haves = (int64_t)pieces * HAVE;
	int64_t n = pieces / 4 + (haves < HAVES ? haves : HAVES);

	b->left += n;
	b->most += n;
}

/* Whether messages of this kind share a record (schema/burst.h). */
static bool runs(enum pw_id id)
{
	return id == PW_HAVE || id == PW_REQUEST || id == PW_CANCEL ||
	    id == PW_REJECT || id == PW_ALLOWED_FAST || id == PW_SUGGEST ||
	    id == PW_UNKNOWN;
}

static int64_t message(struct budget *b, const struct event *ev, bool news,
    int64_t now_ns)
{
	enum pw_id id = ev->msg.id;
	bool joined = runs(id) && id == b->heard &&
	    now_ns - b->heard_ns < JOINS;
	int64_t bytes = (int64_t)ev->raw.n;

	if (id == PW_KEEPALIVE)
		return bytes;
	b->heard = id;
	if (!joined)
		b->heard_ns = now_ns;
	/* Whoever fetches the torrent tells each piece once. */
	return joined || (id == PW_HAVE && news) ? bytes : bytes + RECORD;
}

static int64_t price(struct budget *b, const struct event *ev, bool asked,
    bool news, int64_t now_ns)
{
	if (asked)
		return 0;
	switch (ev->kind) {
	case EV_BLOCK:
		return (int64_t)ev->part.n + (ev->at == 0 ? RECORD : 0);
	case EV_MESSAGE:
		return message(b, ev, news, now_ns);
	case EV_HANDSHAKE:
	case EV_EXTENDED:
	case EV_MALFORMED:
	case EV_GAP:
		break;
	}
	b->heard = PW_KEEPALIVE;
	return (int64_t)ev->raw.n + RECORD;
}

bool budget_pay(struct budget *b, const struct event *ev, bool asked,
    uint32_t claimed, int64_t now_ns)
{
	bool news = claimed > b->claimed;

	b->claimed = claimed;
	b->left += (now_ns - b->paid_ns) / (S / RATE);
	b->paid_ns = now_ns;
	if (b->left > b->most)
		b->left = b->most;
	b->left -= price(b, ev, asked, news, now_ns);
	return b->left >= 0;
}
