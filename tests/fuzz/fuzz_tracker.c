/*
 * The same bytes as an HTTP reply, a scrape, a datagram of either family, and
 * an announce URL.
 */
#include "tests/fuzz/fuzz.h"
#include "wire/tracker.h"

#include <stdlib.h>

static bool within(struct span s, struct span all)
{
	return s.n == 0 || (s.p >= all.p && s.n <= (size_t)(all.p + all.n -
	    s.p));
}

static void walk(const struct tracker_reply *r, struct span all)
{
	struct tracker_peers it = { 0 };
	struct tracker_peer p;
	char text[ENDPOINT_TEXT_MAX];
	size_t peers = 0;

	demand(within(r->failure, all) && within(r->warning, all) &&
	    within(r->trackerid, all) && within(r->peers, all) &&
	    within(r->peers6, all));
	demand(r->interval >= -1 && r->min_interval >= -1 &&
	    r->seeders >= -1 && r->leechers >= -1 && r->downloaded >= -1);
	demand(r->odd_bytes == r->peers.n % 6 + r->peers6.n % 18);
	while (tracker_peer(r, &it, &p)) {
		demand(p.at.family == 4 || p.at.family == 6);
		demand(memchr(endpoint_text(&p.at, text), 0, sizeof(text)) !=
		    NULL);
		demand(within(p.peer_id, all));
		peers++;
	}
	demand(peers >= r->peers.n / 6 + r->peers6.n / 18);
	demand(peers + it.skipped <= all.n / 2 + 1);
}

static void try_url(struct span url)
{
	struct tracker_ask ask = { .numwant = -1, .trackerid = url };
	size_t room = url.n < 4096 ? url.n * 4 + 1024 : 64;
	char *buf = malloc(room);

	demand(buf != NULL);
	for (int i = 0; i < 2; i++) {
		size_t len = i ? tracker_scrape_url(buf, room, url,
		    ask.infohash) : tracker_http_url(buf, room, url, &ask);

		demand(len < room && (len == 0 || strlen(buf) == len));
		for (size_t k = 0; k < len; k++)
			demand(buf[k] > ' ' && buf[k] <= '~' &&
			    buf[k] != '#');
		/* what does not fit by one byte is refused */
		if (len == 0)
			continue;
		char *less = malloc(len);
		demand(less != NULL);
		demand((i ? tracker_scrape_url(less, len, url, ask.infohash) :
		    tracker_http_url(less, len, url, &ask)) == 0);
		free(less);
	}
	free(buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint8_t hash[21] = "aaaaaaaaaaaaaaaaaaaa";
	uint8_t *copy = malloc(n ? n : 1), out[UDP_ANNOUNCE_MAX];
	struct span all = span_of(copy, n);
	struct wire_error err = { NULL, 0 };
	struct tracker_ask ask = { .port = 1 };
	struct tracker_scrape s;
	struct tracker_reply r;
	struct udp_reply u;

	demand(copy != NULL);
	if (n)
		memcpy(copy, data, n);
	if (tracker_http_read(all, &r, &err) == WIRE_OK)
		walk(&r, all);
	else
		demand(err.reason && err.offset <= n);
	if (tracker_http_scrape(all, hash, &s, &err) == WIRE_OK)
		demand(within(s.failure, all) && s.seeders >= -1);
	for (int family = 4; family <= 6; family += 2) {
		if (tracker_udp_read(all, family, &u, &err) != WIRE_OK) {
			demand(err.offset <= n);
			continue;
		}
		walk(&u.announce, all);
		demand(within(u.error, all) && within(u.scrapes, all));
		size_t i = 0;
		while (tracker_udp_scraped(&u, i, &s))
			i++;
		demand(i == u.scrapes.n / 12);
	}
	try_url(all);
	size_t len = tracker_udp_announce(out, 1, 2, &ask, all);
	demand(n > UDP_PATH_MAX ? len == 0 : len == 98 + n + 2 * ((n + 254) /
	    255));
	free(copy);
	return 0;
}
