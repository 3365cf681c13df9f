#include "tracker.h"

#include <stdio.h>

#include "sink.h"

static enum wire_status fault(struct wire_error *err, const char *reason,
    size_t offset)
{
	*err = (struct wire_error){ reason, offset };
	return WIRE_BAD;
}

/* --- HTTP replies --------------------------------------------------------- */

static int64_t get_num(const struct ben *dict, const char *key)
{
	struct ben v;

	return ben_get(dict, key, BEN_INT, &v) && v.num >= 0 ? v.num : -1;
}

static struct span get_str(const struct ben *dict, const char *key)
{
	struct ben v;

	return ben_get(dict, key, BEN_STR, &v) ? v.text : span_of(NULL, 0);
}

static enum wire_status read_dict(struct span body, struct ben *dict,
    unsigned *notes, struct wire_error *err)
{
	struct cur in = cur_of(body);

	switch (ben_next(&in, dict, notes, err)) {
	case WIRE_OK:
		break;
	case WIRE_MORE:
		return fault(err, "tracker's reply ends too early", body.n);
	case WIRE_BAD:
		return WIRE_BAD;
	}
	if (dict->type != BEN_DICT)
		return fault(err, "tracker's reply is not a dictionary", 0);
	if (cur_left(&in) != 0)
		*notes |= BEN_TRAILING;
	return WIRE_OK;
}

static const struct tracker_reply no_reply = { .interval = -1,
	.min_interval = -1, .retry_min = -1, .seeders = -1, .leechers = -1,
	.downloaded = -1 };

enum wire_status tracker_http_read(struct span body, struct tracker_reply *r,
    struct wire_error *err)
{
	struct ben dict, v;

	*r = no_reply;
	if (read_dict(body, &dict, &r->notes, err) != WIRE_OK)
		return WIRE_BAD;
	if (ben_get(&dict, "failure reason", BEN_STR, &v)) {
		/* Set even if it is empty: .p is then not NULL. */
		r->failure = v.text;
		r->retry_min = span_eq(get_str(&dict, "retry in"),
		    span_str("never")) ? INT64_MAX :
		    get_num(&dict, "retry in");
		return WIRE_OK;
	}
	r->warning = get_str(&dict, "warning message");
	r->trackerid = get_str(&dict, "tracker id");
	r->interval = get_num(&dict, "interval");
	r->min_interval = get_num(&dict, "min interval");
	r->seeders = get_num(&dict, "complete");
	r->leechers = get_num(&dict, "incomplete");
	r->downloaded = get_num(&dict, "downloaded");
	r->external_ip = get_str(&dict, "external ip");
	if (r->external_ip.n != 4 && r->external_ip.n != 16)
		r->external_ip = span_of(NULL, 0);
	r->peers = get_str(&dict, "peers");
	r->peers6 = get_str(&dict, "peers6");
	r->has_dicts = ben_get(&dict, "peers", BEN_LIST, &r->peer_dicts);
	r->odd_bytes = (uint32_t)(r->peers.n % 6 + r->peers6.n % 18);
	if (!r->peers.p && !r->peers6.p && !r->has_dicts && r->interval < 0)
		return fault(err, "neither peers nor an interval nor a failure",
		    0);
	return WIRE_OK;
}

static bool read_peer_dict(const struct ben *d, struct tracker_peer *p)
{
	int64_t port = get_num(d, "port");

	if (!endpoint_parse_ip(get_str(d, "ip"), &p->at) || port < 0 ||
	    port > UINT16_MAX)
		return false;
	p->at.port = (uint16_t)port;
	p->peer_id = get_str(d, "peer id");
	return true;
}

bool tracker_peer(const struct tracker_reply *r, struct tracker_peers *it,
    struct tracker_peer *p)
{
	struct ben d;

	if (!it->begun) {
		it->p4 = cur_of(r->peers);
		it->p6 = cur_of(r->peers6);
		if (r->has_dicts)
			it->dicts = cur_of(r->peer_dicts.text);
		it->begun = true;
	}
	*p = (struct tracker_peer){ 0 };
	if (cur_left(&it->p4) >= 6) {
		p->at = endpoint_take4(&it->p4);
		return true;
	}
	if (cur_left(&it->p6) >= 18) {
		p->at = endpoint_take6(&it->p6);
		return true;
	}
	while (ben_item(&it->dicts, &d)) {
		if (d.type == BEN_DICT && read_peer_dict(&d, p))
			return true;
		it->skipped++;
	}
	return false;
}

enum wire_status tracker_http_scrape(struct span body,
    const uint8_t infohash[20], struct tracker_scrape *s,
    struct wire_error *err)
{
	struct ben dict, files, v;
	struct span key;
	unsigned notes = 0;

	*s = (struct tracker_scrape){ -1, -1, -1, { NULL, 0 } };
	if (read_dict(body, &dict, &notes, err) != WIRE_OK)
		return WIRE_BAD;
	if (!ben_get(&dict, "files", BEN_DICT, &files)) {
		s->failure = get_str(&dict, "failure reason");
		if (s->failure.p)
			return WIRE_OK;
		return fault(err, "scrape reply without files", 0);
	}
	for (struct cur c = cur_of(files.text); ben_pair(&c, &key, &v);) {
		if (v.type != BEN_DICT || !span_eq(key, span_of(infohash, 20)))
			continue;
		s->seeders = get_num(&v, "complete");
		s->leechers = get_num(&v, "incomplete");
		s->downloaded = get_num(&v, "downloaded");
		break;
	}
	return WIRE_OK;
}

/* --- URLs ----------------------------------------------------------------- */

static void put_num(struct sink *t, const char *name, uint64_t v)
{
	char buf[24];

	snprintf(buf, sizeof(buf), "%llu", (unsigned long long)v);
	sink_str(t, name);
	sink_str(t, buf);
}

/* RFC 3986: all but unreserved characters percent-encoded. */
static void put_encoded(struct sink *t, struct span s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n && !t->full; i++) {
		uint8_t c = s.p[i];
		char buf[3] = { '%', hex[c >> 4], hex[c & 15] };
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
		    (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
		    c == '_' || c == '~';

		sink_span(t, plain ? span_of(s.p + i, 1) : span_of(buf, 3));
	}
}

/* Text in buf: a byte of n is kept for the NUL. */
static struct sink text_of(char *buf, size_t n)
{
	struct sink t = sink_of((uint8_t *)buf, n ? n - 1 : 0);

	t.full = n == 0;
	return t;
}

/* Ends the text with a NUL; 0 if all of it did not fit. */
static size_t text_end(struct sink *t)
{
	if (t->full)
		return 0;
	t->p[t->n] = '\0';
	return t->n;
}

static size_t find(struct span s, size_t from, uint8_t c)
{
	while (from < s.n && s.p[from] != c)
		from++;
	return from;
}

/* A URL fit to be extended: printable, without blanks; its fragment goes. */
static bool clean_url(struct span *url)
{
	for (size_t i = 0; i < url->n; i++)
		if (url->p[i] <= ' ' || url->p[i] > '~')
			return false;
	url->n = find(*url, 0, '#');
	return url->n != 0;
}

static void put_query(struct sink *t, struct span url)
{
	size_t q = find(url, 0, '?');

	if (q == url.n)
		sink_str(t, "?");
	else if (q + 1 < url.n && url.p[url.n - 1] != '&')
		sink_str(t, "&");
}

size_t tracker_http_url(char *buf, size_t n, struct span announce,
    const struct tracker_ask *ask)
{
	static const char *const events[] = {
		[TRACKER_COMPLETED] = "&event=completed",
		[TRACKER_STARTED] = "&event=started",
		[TRACKER_STOPPED] = "&event=stopped"
	};
	struct sink t = text_of(buf, n);
	char key[16];

	if (!clean_url(&announce))
		return 0;
	sink_span(&t, announce);
	put_query(&t, announce);
	sink_str(&t, "info_hash=");
	put_encoded(&t, span_of(ask->infohash, sizeof(ask->infohash)));
	sink_str(&t, "&peer_id=");
	put_encoded(&t, span_of(ask->peer_id, sizeof(ask->peer_id)));
	put_num(&t, "&port=", ask->port);
	put_num(&t, "&uploaded=", ask->uploaded);
	put_num(&t, "&downloaded=", ask->downloaded);
	put_num(&t, "&left=", ask->left);
	snprintf(key, sizeof(key), "&key=%08X", ask->key);
	sink_str(&t, key);
	sink_str(&t, "&compact=1&no_peer_id=1");
	if (ask->numwant >= 0)
		put_num(&t, "&numwant=", (uint64_t)ask->numwant);
	if (ask->event != TRACKER_NONE)
		sink_str(&t, events[ask->event]);
	if (ask->trackerid.n) {
		sink_str(&t, "&trackerid=");
		put_encoded(&t, ask->trackerid);
	}
	return text_end(&t);
}

/* Where the last element of the path starts; url.n or more if it has none. */
static size_t last_element(struct span url, size_t query)
{
	size_t from = find(url, 0, ':'), last;

	if (query - (from < query ? from : query) < 3 ||
	    memcmp(url.p + from, "://", 3) != 0)
		return url.n;
	last = from = find(url, from + 3, '/');
	for (size_t i = from; i < query; i++)
		if (url.p[i] == '/')
			last = i;
	return last + 1;
}

size_t tracker_scrape_url(char *buf, size_t n, struct span announce,
    const uint8_t infohash[20])
{
	struct sink t = text_of(buf, n);

	if (!clean_url(&announce))
		return 0;
	size_t query = find(announce, 0, '?');
	size_t at = last_element(announce, query);
	if (at > query || query - at < 8 ||
	    memcmp(announce.p + at, "announce", 8) != 0)
		return 0;
	sink_span(&t, span_of(announce.p, at));
	sink_str(&t, "scrape");
	sink_span(&t, span_of(announce.p + at + 8, announce.n - at - 8));
	put_query(&t, announce);
	sink_str(&t, "info_hash=");
	put_encoded(&t, span_of(infohash, 20));
	return text_end(&t);
}

/* --- UDP ------------------------------------------------------------------ */

#define UDP_MAGIC 0x41727101980ull	/* BEP 15 */
#define OPTION_URL 2			/* BEP 41 */

static void udp_head(uint8_t *out, uint64_t connection, enum udp_action action,
    uint32_t transaction)
{
	put_u64(out, connection);
	put_u32(out + 8, action);
	put_u32(out + 12, transaction);
}

size_t tracker_udp_connect(uint8_t *out, uint32_t transaction)
{
	udp_head(out, UDP_MAGIC, UDP_ACT_CONNECT, transaction);
	return UDP_CONNECT;
}

size_t tracker_udp_announce(uint8_t *out, uint64_t connection,
    uint32_t transaction, const struct tracker_ask *ask, struct span path)
{
	struct cur c = cur_of(path);
	size_t at = 98;

	if (path.n > UDP_PATH_MAX)
		return 0;
	udp_head(out, connection, UDP_ACT_ANNOUNCE, transaction);
	memcpy(out + 16, ask->infohash, 20);
	memcpy(out + 36, ask->peer_id, 20);
	put_u64(out + 56, ask->downloaded);
	put_u64(out + 64, ask->left);
	put_u64(out + 72, ask->uploaded);
	put_u32(out + 80, ask->event);
	put_u32(out + 84, 0);		/* the address it came from */
	put_u32(out + 88, ask->key);
	put_u32(out + 92, (uint32_t)ask->numwant);
	put_u16(out + 96, ask->port);
	while (cur_left(&c) > 0) {
		size_t n = cur_left(&c) < 255 ? cur_left(&c) : 255;

		out[at] = OPTION_URL;
		out[at + 1] = (uint8_t)n;
		memcpy(out + at + 2, cur_take(&c, n).p, n);
		at += 2 + n;
	}
	return at;
}

size_t tracker_udp_scrape(uint8_t *out, uint64_t connection,
    uint32_t transaction, const uint8_t (*infohash)[20], size_t n)
{
	if (n == 0 || n > TRACKER_SCRAPES_MAX)
		return 0;
	udp_head(out, connection, UDP_ACT_SCRAPE, transaction);
	memcpy(out + 16, infohash, 20 * n);
	return 16 + 20 * n;
}

static void read_announce(struct cur *c, int family, struct tracker_reply *a)
{
	a->interval = cur_u32(c);
	a->leechers = cur_u32(c);
	a->seeders = cur_u32(c);
	if (c->bad)
		return;
	if (family == 6) {
		a->peers6 = cur_rest(c);
		a->odd_bytes = (uint32_t)(a->peers6.n % 18);
	} else {
		a->peers = cur_rest(c);
		a->odd_bytes = (uint32_t)(a->peers.n % 6);
	}
}

enum wire_status tracker_udp_read(struct span datagram, int family,
    struct udp_reply *r, struct wire_error *err)
{
	struct cur c = cur_of(datagram);
	uint32_t action = cur_u32(&c);

	*r = (struct udp_reply){ .announce = no_reply };
	r->transaction = cur_u32(&c);
	if (c.bad)
		return fault(err, "tracker's datagram is too short",
		    datagram.n);
	if (action > UDP_ACT_ERROR)
		return fault(err, "no such tracker action", 0);
	r->action = (enum udp_action)action;
	switch (r->action) {
	case UDP_ACT_CONNECT:
		r->connection = cur_u64(&c);
		break;
	case UDP_ACT_ANNOUNCE:
		read_announce(&c, family, &r->announce);
		break;
	case UDP_ACT_SCRAPE:
		r->scrapes = cur_rest(&c);
		break;
	case UDP_ACT_ERROR:
		r->error = cur_rest(&c);
		break;
	}
	if (c.bad)
		return fault(err, "tracker's datagram is too short",
		    datagram.n);
	return WIRE_OK;
}

bool tracker_udp_scraped(const struct udp_reply *r, size_t i,
    struct tracker_scrape *s)
{
	struct cur c = cur_of(r->scrapes);

	*s = (struct tracker_scrape){ -1, -1, -1, { NULL, 0 } };
	if (i >= r->scrapes.n / 12)
		return false;
	cur_take(&c, 12 * i);
	s->seeders = cur_u32(&c);
	s->downloaded = cur_u32(&c);
	s->leechers = cur_u32(&c);
	return true;
}
