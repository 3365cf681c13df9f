#include "monitor/decoy.h"

#include <stdlib.h>

#include "schema/draw.h"
#include "schema/json.h"
#include "schema/log.h"
#include "schema/now.h"

#define WAIT_NS (61 * NS_PER_S)
#define QUEUE 1024u		/* peers that wait; more are not asked */
#define URLS_MOST 1024u

struct decoy {
	uint8_t hash[1][20];
	char text[41];
};

struct waiting {
	struct endpoint who;
	int64_t due_ns;
};

struct decoys {
	struct decoys_conf conf;
	struct decoy source[DECOYS_MOST];
	struct swarm *swarm;
	char *url[URLS_MOST];
	unsigned urls;
	struct waiting queue[QUEUE];	/* in order of time, a ring */
	uint32_t first, n;
};

static void put(struct decoys *d, struct json *j, const struct record *like)
{
	struct record r = *like;

	json_close(j, '}');
	r.kind = "decoy";
	r.detail = json_done(j);
	d->conf.add(d->conf.ctx, &r);
	json_fini(j);
}

static void draw(struct decoys *d, unsigned number, const char *use,
    struct decoy *out)
{
	struct record r = { .at = stamp_now(), .conn = CONN_NONE };
	struct json j;

	draw_bits(out->hash[0], sizeof(out->hash[0]));
	hex_of(out->hash[0], sizeof(out->hash[0]), out->text);
	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "infohash", out->text);
	json_uint(&j, "number", number);
	json_str(&j, "use", use);
	put(d, &j, &r);
}

struct decoys *decoys_new(const struct decoys_conf *conf)
{
	struct decoys *d = calloc(1, sizeof(*d));
	struct decoy one;

	if (!d)
		log_die("out of memory");
	d->conf = *conf;
	for (unsigned i = 0; i < conf->sources; i++)
		draw(d, i, "sources", &d->source[i]);
	if (!conf->endpoints)
		return d;
	draw(d, 0, "endpoints", &one);
	d->swarm = swarm_new_decoy(one.hash[0]);
	if (!d->swarm)
		log_die("out of memory");
	return d;
}

void decoys_free(struct decoys *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->urls; i++)
		free(d->url[i]);
	swarm_free(d->swarm);
	free(d);
}

/* --- sources ---------------------------------------------------------------- */

bool decoys_hash(const struct decoys *d, unsigned i, const uint8_t **hash,
    const char **text)
{
	if (!d || i >= d->conf.sources)
		return false;
	*hash = d->source[i].hash[0];
	*text = d->source[i].text;
	return true;
}

static bool is_new(const struct decoys *d, struct span url)
{
	for (unsigned i = 0; i < d->urls; i++)
		if (span_eq(span_str(d->url[i]), url))
			return false;
	return url.n > 0 && d->urls < URLS_MOST;
}

/* Trackers that were not asked before, each in a tier of its own. */
struct fresh {
	const struct decoys *d;
	unsigned at, first;
};

static bool next_fresh(void *ctx, struct span *url, unsigned *tier)
{
	struct fresh *f = ctx;

	if (f->at == f->d->urls)
		return false;
	*tier = f->at - f->first;
	*url = span_str(f->d->url[f->at++]);
	return true;
}

void decoys_ask(struct decoys *d, struct trackers *ts, const struct swarm *s)
{
	struct swarm_urls urls = { .swarm = s };
	unsigned first, tier;
	struct span url;

	if (!d || d->conf.sources == 0)
		return;
	first = d->urls;
	while (swarm_url(&urls, &url, &tier)) {
		if (!is_new(d, url))
			continue;
		d->url[d->urls] = strndup((const char *)url.p, url.n);
		if (!d->url[d->urls++])
			log_die("out of memory");
	}
	for (unsigned i = 0; i < d->conf.sources && first < d->urls; i++) {
		const struct decoy *c = &d->source[i];
		struct fresh f = { .d = d, .at = first, .first = first };
		struct tracker_watch w = { .swarm = c->text, .hash = c->hash,
			.hashes = 1, .left = 1, .url = next_fresh,
			.url_ctx = &f };

		if (!trackers_watch(ts, &w))
			log_die("out of memory");
	}
}

/* --- endpoints -------------------------------------------------------------- */

struct swarm *decoys_swarm(struct decoys *d)
{
	struct swarm *s = d ? d->swarm : NULL;

	if (d)
		d->swarm = NULL;
	return s;
}

static void answered(struct decoys *d, const struct peer *p, struct stamp at)
{
	struct record r = { .at = at, .swarm = p->swarm->ref.swarm,
		.conn = p->conn, .who = &p->who };
	struct json j;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "infohash", p->swarm->ref.swarm);
	json_bool(&j, "accepted", p->session.outcome == SESSION_MET);
	put(d, &j, &r);
}

void decoys_gone(struct decoys *d, const struct peer *p, struct stamp at)
{
	if (!d || !d->conf.endpoints || !p->connected || !p->swarm)
		return;
	if (p->swarm->decoy) {
		answered(d, p, at);
		return;
	}
	/* Only where it listens can it be found again. */
	if (p->incoming || p->session.outcome != SESSION_MET || !p->claimed ||
	    d->n == QUEUE)
		return;
	d->queue[(d->first + d->n++) % QUEUE] = (struct waiting){ p->who,
		at.mono_ns + WAIT_NS };
}

bool decoys_due(struct decoys *d, int64_t now_ns, struct endpoint *who)
{
	if (!d || d->n == 0 || d->queue[d->first].due_ns > now_ns)
		return false;
	*who = d->queue[d->first].who;
	d->first = (d->first + 1) % QUEUE;
	d->n--;
	return true;
}
