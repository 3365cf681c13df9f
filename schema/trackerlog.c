#include "schema/trackerlog.h"

#include <stdlib.h>

#include "schema/log.h"
#include "schema/now.h"

#define FAULT_BYTES 4096u	/* of a malformed reply that are kept */

static const char *const outcomes[] = {
	[EXCHANGE_OK] = "ok",
	[EXCHANGE_FAILURE] = "failure",
	[EXCHANGE_MALFORMED] = "malformed",
	[EXCHANGE_TIMEOUT] = "timeout",
	[EXCHANGE_ERROR] = "error",
	[EXCHANGE_REFUSED] = "refused",
	[EXCHANGE_UNSEEN] = "unseen"
};

static const char *const events[] = { "none", "completed", "started",
	"stopped" };

static bool over_udp(const struct asked *a)
{
	return a->transport != NULL && strcmp(a->transport, "udp") == 0;
}

static void put_count(struct json *j, const char *key, int64_t v)
{
	if (v < 0)
		json_null(j, key);
	else
		json_int(j, key, v);
}

static void put_span(struct json *j, const char *key, struct span s)
{
	if (s.p == NULL)
		json_null(j, key);
	else
		json_text(j, key, s);
}

/* by_client: it is what the asker said; else the tracker. */
static int64_t put_record(struct trackerlog *l, const struct asked *a,
    const struct exchange *x, bool by_client, struct record *r)
{
	struct overheard heard = { .file = x->file };

	r->at = x->at;
	r->swarm = a->swarm;
	r->conn = CONN_NONE;
	r->who = x->who.family ? &x->who : NULL;
	if (x->client) {
		heard.to = by_client ? x->who : *x->client;
		heard.frame = by_client ? x->asked_frame : x->told_frame;
		overheard_put(&l->json, &heard);
		if (by_client)
			r->who = x->client;
	}
	json_close(&l->json, '}');
	r->detail = json_done(&l->json);
	if (r->detail == NULL)
		log_die("tracker record too long");
	return l->add(l->ctx, r);
}

static void put_outcome(struct json *j, const struct exchange *x,
    enum exchange_outcome outcome)
{
	json_int(j, "sent_utc_ns", x->sent.utc_ns);
	json_int(j, "took_ms", (x->client ? x->at.utc_ns - x->sent.utc_ns :
	    x->at.mono_ns - x->sent.mono_ns) / NS_PER_MS);
	json_str(j, "outcome", outcomes[outcome]);
	put_count(j, "http_status", x->http_status ? x->http_status : -1);
	if (x->error[0])
		json_str(j, "error", x->error);
	else if (x->http_status && x->http_status != 200 &&
	    outcome != EXCHANGE_OK)
		json_str(j, "error", "HTTP status is not 200");
	else
		json_null(j, "error");
}

static void put_said(struct json *j, const struct asked *a, const char *key,
    enum asked_absent what, uint64_t v)
{
	if (a->absent & what)
		json_null(j, key);
	else
		json_uint(j, key, v);
}

static int64_t put_announce(struct trackerlog *l, const struct asked *a,
    const struct exchange *x, enum exchange_outcome outcome)
{
	struct json *j = &l->json;
	uint8_t key[4];

	put_u32(key, a->ask->key);
	json_reset(j);
	json_open(j, NULL, '{');
	json_str(j, "tracker", a->url);
	if (x->client)
		json_null(j, "tier");
	else
		json_uint(j, "tier", a->tier);
	json_str(j, "transport", a->transport);
	json_hex(j, "infohash", span_of(a->ask->infohash, 20));
	json_str(j, "event", events[a->ask->event]);
	json_int(j, "family", a->family);
	put_said(j, a, "port", ASKED_PORT, a->ask->port);
	put_said(j, a, "uploaded", ASKED_UPLOADED, a->ask->uploaded);
	put_said(j, a, "downloaded", ASKED_DOWNLOADED, a->ask->downloaded);
	put_said(j, a, "left", ASKED_LEFT, a->ask->left);
	json_int(j, "numwant", a->ask->numwant);
	if (a->absent & ASKED_KEY)
		json_null(j, "key");
	else
		json_hex(j, "key", span_of(key, sizeof(key)));
	if (a->absent & ASKED_PEER_ID)
		json_null(j, "peer_id");
	else
		json_hex(j, "peer_id", span_of(a->ask->peer_id, 20));
	put_outcome(j, x, outcome);
	if (x->client) {
		json_null(j, "stalled");
		json_null(j, "ignored");
	} else {
		json_bool(j, "stalled", a->stalled);
		json_uint(j, "ignored", x->ignored);
	}
	return put_record(l, a, x, true, &(struct record){ .kind = "announce",
	    .raw = x->request.n ? x->request : span_of(NULL, 0) });
}

static void put_malformed(struct trackerlog *l, const struct asked *a,
    const struct exchange *x, const struct wire_error *err, int64_t announce)
{
	struct json *j = &l->json;
	struct span head = x->body;

	if (head.n > FAULT_BYTES)
		head.n = FAULT_BYTES;
	json_reset(j);
	json_open(j, NULL, '{');
	json_str(j, "by", "tracker");
	json_str(j, "where", a->url);
	json_str(j, "reason", err->reason);
	json_uint(j, "offset", err->offset);
	put_count(j, "announce", announce);
	put_record(l, a, x, false, &(struct record){ .kind = "malformed",
	    .raw = head.n ? head : span_of(NULL, 0) });
}

/* --- the peers of a reply ------------------------------------------------ */

/* By endpoint, then by place: of those that are the same the first is first. */
static int by_endpoint(const void *a, const void *b)
{
	const struct named *x = *(const struct named *const *)a;
	const struct named *y = *(const struct named *const *)b;
	int order = endpoint_cmp(&x->at, &y->at);

	return order != 0 ? order : x < y ? -1 : x > y;
}

/* Each endpoint once, in order. Sorted, not hashed: nobody can choose
 * addresses that make this take long. */
static void collect(struct told *t, uint32_t *skipped)
{
	struct tracker_peers it = { 0 };
	struct tracker_peer p;
	size_t most = 1, n = 0;
	struct named **order;

	while (tracker_peer(&t->reply, &it, &p))
		most++;
	t->peers = calloc(most, sizeof(*t->peers));
	order = calloc(most, sizeof(struct named *));
	if (t->peers == NULL || order == NULL)
		log_die("out of memory for %zu peers", most);
	it = (struct tracker_peers){ 0 };
	while (tracker_peer(&t->reply, &it, &p)) {
		t->peers[n].at = p.at;
		order[n] = &t->peers[n];
		n++;
	}
	qsort(order, n, sizeof(struct named *), by_endpoint);
	for (size_t i = n; i-- > 1;)
		if (endpoint_cmp(&order[i - 1]->at, &order[i]->at) == 0)
			order[i]->at.family = 0;	/* named before */
	for (size_t i = 0; i < n; i++)
		if (t->peers[i].at.family != 0)
			t->peers[t->n++] = t->peers[i];
	*skipped = it.skipped;
	free(order);
}

static void put_listed(struct trackerlog *l, const struct asked *a,
    const struct exchange *x, int64_t announce, struct told *t)
{
	const struct tracker_reply *r = &t->reply;
	struct json *j = &l->json;
	char ip[ENDPOINT_IP_MAX];
	struct endpoint external = endpoint_of(r->external_ip, 0);
	uint32_t skipped = 0;

	if (r->failure.p == NULL)
		collect(t, &skipped);
	json_reset(j);
	json_open(j, NULL, '{');
	json_str(j, "source", "tracker");
	json_str(j, "witness", a->url);
	json_int(j, "announce", announce);
	put_span(j, "failure", r->failure);
	put_span(j, "warning", r->warning);
	put_count(j, "interval", r->interval);
	put_count(j, "min_interval", r->min_interval);
	put_count(j, "seeders", r->seeders);
	put_count(j, "leechers", r->leechers);
	put_count(j, "downloaded", r->downloaded);
	json_str(j, "external_ip", external.family ?
	    endpoint_ip(&external, ip) : NULL);
	json_uint(j, "odd_bytes", r->odd_bytes);
	json_uint(j, "skipped", skipped);
	t->listed = put_record(l, a, x, false, &(struct record){ .kind = "listed",
	    .raw = x->body, .named = t->peers, .names = t->n });
}

/* --- reading ------------------------------------------------------------- */

static enum wire_status read_udp(const struct exchange *x, int family,
    enum udp_action want, struct udp_reply *r, struct wire_error *err)
{
	if (tracker_udp_read(x->body, family, r, err) != WIRE_OK)
		return WIRE_BAD;
	if (r->action == want || r->action == UDP_ACT_ERROR)
		return WIRE_OK;
	*err = (struct wire_error){ "an answer to something else", 0 };
	return WIRE_BAD;
}

static enum wire_status read_announce(const struct asked *a,
    const struct exchange *x, struct tracker_reply *r, struct wire_error *err)
{
	struct udp_reply u;

	if (!over_udp(a))
		return tracker_http_read(x->body, r, err);
	if (read_udp(x, a->family, UDP_ACT_ANNOUNCE, &u, err) != WIRE_OK)
		return WIRE_BAD;
	*r = u.announce;
	if (u.action == UDP_ACT_ERROR)
		r->failure = u.error.p ? u.error : span_str("");
	return WIRE_OK;
}

/* Before the exchange whose packets they open. */
static void put_keys(struct trackerlog *l, const struct exchange *x)
{
	struct record r = { .at = x->at, .kind = "tls", .conn = CONN_NONE };
	struct span rest = x->key_log;
	struct json *j = &l->json;

	if (!rest.n)
		return;
	json_reset(j);
	json_open(j, NULL, '{');
	json_open(j, "key_log", '[');
	while (rest.n) {
		const uint8_t *end = memchr(rest.p, '\n', rest.n);
		size_t n = end ? (size_t)(end - rest.p) : rest.n;

		json_text(j, NULL, span_of(rest.p, n));
		n += end != NULL;
		rest = span_of(rest.p + n, rest.n - n);
	}
	json_close(j, ']');
	json_close(j, '}');
	r.detail = json_done(j);
	l->add(l->ctx, &r);
}

void trackerlog_announce(struct trackerlog *l, const struct asked *a,
    const struct exchange *x, struct told *t)
{
	struct wire_error err = { x->error, x->body.n };
	bool bad = x->outcome == EXCHANGE_MALFORMED;
	int64_t seq;

	put_keys(l, x);
	*t = (struct told){ .outcome = x->outcome, .listed = -1 };
	if (x->outcome == EXCHANGE_OK) {
		bad = read_announce(a, x, &t->reply, &err) != WIRE_OK;
		if (bad)
			t->outcome = EXCHANGE_MALFORMED;
		else if (t->reply.failure.p != NULL)
			t->outcome = EXCHANGE_FAILURE;
	}
	seq = put_announce(l, a, x, t->outcome);
	if (bad)
		put_malformed(l, a, x, &err, seq);
	else if (x->outcome == EXCHANGE_OK)
		put_listed(l, a, x, seq, t);
}

static enum wire_status read_scrape(const struct asked *a,
    const struct exchange *x, struct tracker_scrape *s, struct wire_error *err)
{
	struct udp_reply u;

	if (!over_udp(a))
		return tracker_http_scrape(x->body, a->ask->infohash, s, err);
	if (read_udp(x, a->family, UDP_ACT_SCRAPE, &u, err) != WIRE_OK)
		return WIRE_BAD;
	*s = (struct tracker_scrape){ -1, -1, -1, { NULL, 0 } };
	if (u.action == UDP_ACT_ERROR) {
		s->failure = u.error.p ? u.error : span_str("");
		return WIRE_OK;
	}
	if (tracker_udp_scraped(&u, (size_t)a->nth, s))
		return WIRE_OK;
	*err = (struct wire_error){ "scrape without an entry", x->body.n };
	return WIRE_BAD;
}

bool trackerlog_scrape_fits(const struct asked *a, const struct exchange *x)
{
	return a->nth == 0 || x->body.n <= TRACKERLOG_SCRAPE_MOST /
	    (a->nth + 1);
}

void trackerlog_scrape(struct trackerlog *l, const struct asked *a,
    const struct exchange *x)
{
	struct tracker_scrape s = { -1, -1, -1, { NULL, 0 } };
	enum exchange_outcome outcome = x->outcome;
	struct wire_error err = { x->error, x->body.n };
	bool bad = outcome == EXCHANGE_MALFORMED;
	struct json *j = &l->json;

	put_keys(l, x);
	if (outcome == EXCHANGE_OK) {
		bad = read_scrape(a, x, &s, &err) != WIRE_OK;
		outcome = bad ? EXCHANGE_MALFORMED : s.failure.p ?
		    EXCHANGE_FAILURE : EXCHANGE_OK;
	}
	json_reset(j);
	json_open(j, NULL, '{');
	json_str(j, "tracker", a->url);
	json_hex(j, "infohash", span_of(a->ask->infohash, 20));
	put_outcome(j, x, outcome);
	put_count(j, "seeders", s.seeders);
	put_count(j, "leechers", s.leechers);
	put_count(j, "downloaded", s.downloaded);
	put_span(j, "failure", s.failure);
	put_record(l, a, x, false, &(struct record){ .kind = "scrape",
	    .raw = outcome == EXCHANGE_OK || outcome == EXCHANGE_FAILURE ?
	    x->body : span_of(NULL, 0) });
	if (bad)
		put_malformed(l, a, x, &err, -1);
}
