#include <stdio.h>
#include <stdlib.h>

#include "capture/dissect_impl.h"
#include "schema/draw.h"
#include "schema/log.h"

/*
 * Questions wait for their answers by both endpoints and transaction id; what
 * nobody answered within PENDING_NS is given up, the oldest first where there
 * are too many. BEP 15's connections are such entries too.
 */
#define PENDING_MOST 32768u
#define PENDING_HEAP (8u << 20)
#define PENDING_NS (120LL * 1000000000)
#define BUCKETS 8192u
#define ID_MAX 16u
#define KEPT_MAX 2048u		/* bytes of a question */
#define PATH_MAX_BYTES 255u	/* of BEP 41's that are shown */

#define UDP_MAGIC 0x41727101980ull

enum wait {
	WAIT_CONNECT,		/* BEP 15: asked for a connection id */
	WAIT_CONNECTED,		/* has one: the id is its key */
	WAIT_ANNOUNCE,
	WAIT_SCRAPE,
	WAIT_DHT
};

struct pending {
	struct pending *next;		/* of its bucket */
	struct pending *younger, *elder;
	enum wait what;
	bool proven;		/* BEP 15: the tracker gave the id it uses */
	struct endpoint asker, asked;
	uint8_t id[ID_MAX], id_n;
	struct flow_at at;
	const char *file;
	size_t n;
	uint8_t bytes[];	/* the question */
};

struct overhear {
	struct dissect *d;
	struct pending *bucket[BUCKETS];
	struct pending *eldest, *youngest;
	unsigned count;
	size_t heap;
	uint64_t key[3 * ENDPOINT_KEYS];	/* of asker, asked and id */
};

struct overhear *overhear_new(struct dissect *d)
{
	struct overhear *o = calloc(1, sizeof(*o));

	if (!o)
		log_die("out of memory for a capture");
	draw_bits(o->key, sizeof(o->key));
	o->d = d;
	return o;
}

/* --- questions that wait -------------------------------------------------------- */

/* id: of ID_MAX bytes at most. */
static unsigned bucket(const struct overhear *o, const struct endpoint *asker,
    const struct endpoint *asked, struct span id)
{
	struct endpoint as = { .port = (uint16_t)id.n };
	const uint64_t *k = o->key;

	if (id.n)
		memcpy(as.addr, id.p, id.n);
	return (unsigned)((endpoint_mix(k, asker) +
	    endpoint_mix(k + ENDPOINT_KEYS, asked) +
	    endpoint_mix(k + 2 * ENDPOINT_KEYS, &as)) >> 32) % BUCKETS;
}

static struct pending **find(struct overhear *o, const struct endpoint *asker,
    const struct endpoint *asked, struct span id, unsigned whats)
{
	struct pending **at = &o->bucket[bucket(o, asker, asked, id)];

	for (; *at; at = &(*at)->next)
		if ((whats >> (*at)->what & 1) && (*at)->id_n == id.n &&
		    memcmp((*at)->id, id.p, id.n) == 0 &&
		    endpoint_cmp(&(*at)->asker, asker) == 0 &&
		    endpoint_cmp(&(*at)->asked, asked) == 0)
			break;
	return at;
}

/* Out of all lists; the caller's to free. */
static struct pending *take(struct overhear *o, struct pending **at)
{
	struct pending *p = *at;

	*at = p->next;
	*(p->elder ? &p->elder->younger : &o->eldest) = p->younger;
	*(p->younger ? &p->younger->elder : &o->youngest) = p->elder;
	o->count--;
	o->heap -= sizeof(*p) + p->n;
	return p;
}

static void unanswered(struct overhear *o, const struct pending *p,
    struct flow_at at);

static void give_up(struct overhear *o, struct flow_at at)
{
	struct pending *p = o->eldest;
	struct pending **slot = &o->bucket[bucket(o, &p->asker, &p->asked,
	    span_of(p->id, p->id_n))];

	while (*slot != p)
		slot = &(*slot)->next;
	take(o, slot);
	unanswered(o, p, at);
	free(p);
}

static void add(struct overhear *o, enum wait what,
    const struct endpoint *asker, const struct endpoint *asked,
    struct span id, struct span bytes, bool proven, struct flow_at at)
{
	struct pending *p, **slot;

	if (id.n > ID_MAX || bytes.n > KEPT_MAX)
		return;
	while (o->eldest && (o->count >= PENDING_MOST ||
	    o->heap > PENDING_HEAP ||
	    at.utc_ns - o->eldest->at.utc_ns > PENDING_NS))
		give_up(o, at);
	slot = find(o, asker, asked, id, 1u << what);
	if (*slot) {	/* sent again: the answer is to the last */
		p = take(o, slot);
		free(p);
	}
	p = malloc(sizeof(*p) + bytes.n);
	if (!p)
		log_die("out of memory for a capture");
	*p = (struct pending){ .what = what, .proven = proven,
		.asker = *asker, .asked = *asked, .id_n = (uint8_t)id.n,
		.at = at, .file = o->d->file, .n = bytes.n };
	if (id.n)
		memcpy(p->id, id.p, id.n);
	if (bytes.n)
		memcpy(p->bytes, bytes.p, bytes.n);
	slot = &o->bucket[bucket(o, asker, asked, id)];
	p->next = *slot;
	*slot = p;
	p->elder = o->youngest;
	*(o->youngest ? &o->youngest->younger : &o->eldest) = p;
	o->youngest = p;
	o->count++;
	o->heap += sizeof(*p) + p->n;
}

/* --- UDP trackers (BEP 15, 41) ----------------------------------------------------- */

static bool is_ours(const struct overhear *o, const struct endpoint *e)
{
	const struct dissect_conf *conf = &o->d->conf;

	return conf->ours && conf->ours(conf->ctx, e);
}

/* Of our own run, only what we asked. */
static bool of_interest(const struct overhear *o, const struct endpoint *asker)
{
	return !o->d->conf.ours || is_ours(o, asker);
}

static void ask_read(const struct pending *p, struct tracker_ask *ask)
{
	struct cur c = cur_of(span_of(p->bytes, p->n));
	uint32_t event;

	*ask = (struct tracker_ask){ .numwant = -1 };
	cur_take(&c, 16);
	memcpy(ask->infohash, cur_take(&c, 20).p, 20);
	if (p->what == WAIT_SCRAPE)
		return;
	memcpy(ask->peer_id, cur_take(&c, 20).p, 20);
	ask->downloaded = cur_u64(&c);
	ask->left = cur_u64(&c);
	ask->uploaded = cur_u64(&c);
	event = cur_u32(&c);
	ask->event = event <= TRACKER_STOPPED ? (enum tracker_event)event :
	    TRACKER_NONE;
	cur_u32(&c);
	ask->key = cur_u32(&c);
	ask->numwant = (int32_t)cur_u32(&c);
	ask->port = cur_u16(&c);
}

/* "udp://ip:port" and the path that BEP 41's options give. */
static void put_url(const struct pending *p, char *url, size_t n)
{
	char text[ENDPOINT_TEXT_MAX], safe[PATH_MAX_BYTES + 1];
	struct cur c = cur_of(span_of(p->bytes, p->n));
	struct span path = { NULL, 0 };

	cur_take(&c, 98);
	while (p->what == WAIT_ANNOUNCE && cur_left(&c)) {
		uint8_t type = cur_u8(&c);

		if (type == 1)
			continue;
		if (type != 2)
			break;
		path = cur_take(&c, cur_u8(&c));
		break;
	}
	snprintf(url, n, "udp://%s%s", endpoint_text(&p->asked, text),
	    log_safe(path, safe, sizeof(safe)));
}

static void told(struct overhear *o, const struct pending *p,
    enum exchange_outcome outcome, struct span body, struct flow_at at)
{
	struct dissect *d = o->d;
	bool ours = d->conf.ours != NULL;
	struct exchange x = { .outcome = outcome,
		.sent = dissect_stamp(p->at), .at = dissect_stamp(at),
		.who = p->asked, .client = ours ? NULL : &p->asker,
		.file = p->file, .asked_frame = p->at.frame,
		.told_frame = at.frame, .request = span_of(p->bytes, p->n),
		.body = body };
	char url[ENDPOINT_TEXT_MAX + PATH_MAX_BYTES + 8], hex[41];
	struct tracker_ask ask;
	struct told t;
	struct asked a = { .url = url, .transport = "udp",
		.family = p->asked.family, .ask = &ask };

	put_url(p, url, sizeof(url));
	ask_read(p, &ask);
	a.swarm = known_text(d->conf.known, ask.infohash, hex);
	d->counts.exchanges++;
	if (p->what == WAIT_SCRAPE) {
		for (; 16 + 20 * (size_t)a.nth < p->n &&
		    trackerlog_scrape_fits(&a, &x); a.nth++) {
			memcpy(ask.infohash, p->bytes + 16 + 20 * a.nth, 20);
			a.swarm = known_text(d->conf.known, ask.infohash,
			    hex);
			trackerlog_scrape(&d->tracker, &a, &x);
		}
		return;
	}
	trackerlog_announce(&d->tracker, &a, &x, &t);
	free(t.peers);
}

static void unanswered(struct overhear *o, const struct pending *p,
    struct flow_at at)
{
	if (p->proven && (p->what == WAIT_ANNOUNCE || p->what == WAIT_SCRAPE))
		told(o, p, EXCHANGE_UNSEEN, span_of(NULL, 0), at);
}

static bool tracker_question(struct overhear *o, const struct endpoint *from,
    const struct endpoint *to, struct span s, struct flow_at at)
{
	struct cur c = cur_of(s);
	struct span head = cur_take(&c, 8);
	uint32_t action = cur_u32(&c);
	struct span id = cur_take(&c, 4);
	bool proven;

	if (c.bad || !of_interest(o, from))
		return false;
	if (s.n >= UDP_CONNECT && action == UDP_ACT_CONNECT) {
		struct cur m = cur_of(head);

		if (cur_u64(&m) != UDP_MAGIC)
			return false;
		add(o, WAIT_CONNECT, from, to, id, span_of(NULL, 0), true, at);
		return true;
	}
	if (!(action == UDP_ACT_ANNOUNCE && s.n >= 98) &&
	    !(action == UDP_ACT_SCRAPE && s.n >= 36 && (s.n - 16) % 20 == 0))
		return false;
	/* Its connection id may be older than the capture: then only an
	 * answer shows what this was. */
	proven = *find(o, from, to, head, 1u << WAIT_CONNECTED) != NULL;
	add(o, action == UDP_ACT_ANNOUNCE ? WAIT_ANNOUNCE : WAIT_SCRAPE, from,
	    to, id, s, proven, at);
	return proven;
}

static bool tracker_answer(struct overhear *o, const struct endpoint *from,
    const struct endpoint *to, struct span s, struct flow_at at)
{
	struct cur c = cur_of(s);
	uint32_t action = cur_u32(&c);
	struct span id = cur_take(&c, 4);
	struct pending **slot, *p;
	unsigned whats = action == UDP_ACT_CONNECT ? 1u << WAIT_CONNECT :
	    action == UDP_ACT_ANNOUNCE ? 1u << WAIT_ANNOUNCE :
	    action == UDP_ACT_SCRAPE ? 1u << WAIT_SCRAPE :
	    action == UDP_ACT_ERROR ? 1u << WAIT_ANNOUNCE | 1u << WAIT_SCRAPE :
	    0;

	if (c.bad || !whats)
		return false;
	slot = find(o, to, from, id, whats);
	if (!*slot)
		return false;
	p = take(o, slot);
	if (p->what == WAIT_CONNECT && s.n >= 16)
		add(o, WAIT_CONNECTED, to, from, cur_take(&c, 8),
		    span_of(NULL, 0), true, at);
	else if (p->what != WAIT_CONNECT)
		told(o, p, EXCHANGE_OK, s, at);
	free(p);
	return true;
}

/* --- the DHT (BEP 5) ----------------------------------------------------------------- */

static bool about_swarm(const struct krpc_msg *m)
{
	return m->method == KRPC_GET_PEERS || m->method == KRPC_ANNOUNCE_PEER;
}

static void dht_question(struct overhear *o, const struct endpoint *from,
    const struct endpoint *to, const struct krpc_msg *m, struct span s,
    struct flow_at at)
{
	struct overheard heard = { *to, o->d->file, at.frame };
	struct dissect *d = o->d;
	char hex[41];

	if (!about_swarm(m) || !of_interest(o, from))
		return;
	if (!d->conf.ours) {
		d->counts.exchanges++;
		dhtlog_asked(&d->dht, known_text(d->conf.known, m->target,
		    hex), m, from, s, &heard, dissect_stamp(at));
	}
	add(o, WAIT_DHT, from, to, m->t, s, true, at);
}

static void dht_answer(struct overhear *o, const struct endpoint *from,
    const struct endpoint *to, const struct krpc_msg *m,
    const struct wire_error *err, struct span s, struct pending **slot,
    struct flow_at at)
{
	struct overheard heard = { *to, o->d->file, at.frame };
	struct pending *p = take(o, slot);
	struct dissect *d = o->d;
	struct krpc_msg asked;
	struct wire_error none;
	struct dhtlog_told t = { .request = span_of(p->bytes, p->n),
		.sent = dissect_stamp(p->at), .from = *from, .bytes = s,
		.at = dissect_stamp(at), .msg = m, .err = err,
		.heard = d->conf.ours ? NULL : &heard };
	char hex[41];

	/* It was read before it was kept. */
	if (krpc_read(t.request, &asked, &none) == WIRE_OK) {
		const char *swarm = known_text(d->conf.known, asked.target,
		    hex);

		t.method = asked.method;
		t.scrape = asked.scrape;
		t.target = asked.target;
		d->counts.exchanges++;
		dhtlog_answer(&d->dht, swarm, &t);
	}
	free(p);
}

static bool dht(struct overhear *o, const struct endpoint *from,
    const struct endpoint *to, struct span s, struct flow_at at)
{
	struct wire_error err;
	struct pending **slot;
	struct krpc_msg m;

	if (s.n < 10 || s.p[0] != 'd' ||
	    krpc_read(s, &m, &err) != WIRE_OK)
		return false;
	if (m.type == KRPC_QUERY) {
		dht_question(o, from, to, &m, s, at);
		return true;
	}
	if (m.t.n > ID_MAX)
		return true;
	slot = find(o, to, from, m.t, 1u << WAIT_DHT);
	if (*slot)
		dht_answer(o, from, to, &m, NULL, s, slot, at);
	return true;
}

/* --- local discovery (BEP 14) ---------------------------------------------------------- */

static bool lsd(struct overhear *o, const struct endpoint *from,
    const struct endpoint *to, struct span s, struct flow_at at)
{
	struct overheard heard = { *to, o->d->file, at.frame };
	struct dissect *d = o->d;
	struct lsd_heard h = { .from = *from, .bytes = s,
		.at = dissect_stamp(at),
		.heard = d->conf.ours ? NULL : &heard };
	struct wire_error err = { "longer than 4 KiB", LSD_HEARD_MAX };
	uint8_t hash[20];
	struct lsd_msg m;
	char hex[41];
	struct cur lines;

	if (s.n < 9 || memcmp(s.p, "BT-SEARCH", 9) != 0)
		return false;
	if (is_ours(o, from))
		return true;
	d->counts.exchanges++;
	/* A record for each infohash, and each keeps the datagram. */
	if (s.n > LSD_HEARD_MAX || lsd_read(s, &m, &err) != WIRE_OK) {
		lsdlog_malformed(&d->lsd, &h, &err);
		return true;
	}
	lines = cur_of(m.lines);
	while (lsd_hash(&lines, hash))
		lsdlog_listed(&d->lsd, known_text(d->conf.known, hash, hex),
		    &h, &m, hash);
	return true;
}

/* --- all of them ----------------------------------------------------------------------- */

bool overhear_datagram(struct overhear *o, const struct endpoint *from,
    const struct endpoint *to, struct span s, struct flow_at at)
{
	return tracker_answer(o, from, to, s, at) ||
	    tracker_question(o, from, to, s, at) ||
	    dht(o, from, to, s, at) || lsd(o, from, to, s, at);
}

void overhear_finish(struct overhear *o)
{
	while (o->eldest)
		give_up(o, o->eldest->at);
}

size_t overhear_memory(const struct overhear *o)
{
	return sizeof(*o) + o->heap;
}

void overhear_free(struct overhear *o)
{
	if (!o)
		return;
	while (o->eldest) {
		struct pending *p = o->eldest;

		o->eldest = p->younger;
		free(p);
	}
	free(o);
}
