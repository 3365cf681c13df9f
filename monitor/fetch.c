#include "monitor/fetch.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/log.h"
#include "schema/now.h"

#define BLOCKS (FETCH_MOST / METADATA_BLOCK)
#define SOURCE_MOST 4096u

/* Whom a slot stands for, or stood for last. */
struct giver {
	int64_t conn;
	struct endpoint who;
	bool told;		/* its lie is on record */
};

struct fetch {
	struct fetch_conf conf;
	uint8_t hash_v1[20], hash_v2[32];
	struct metafetch meta;
	struct metafetch_block block[BLOCKS];
	struct giver giver[METAFETCH_PEERS];
	bool hopeless;		/* it is there, and is no torrent */
	uint8_t buf[FETCH_MOST];	/* touched as far as it is used */
};

struct fetch *fetch_new(const struct fetch_conf *conf)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->conf = *conf;
	if (conf->hash_v1) {
		memcpy(f->hash_v1, conf->hash_v1, sizeof(f->hash_v1));
		f->conf.hash_v1 = f->hash_v1;
	}
	if (conf->hash_v2) {
		memcpy(f->hash_v2, conf->hash_v2, sizeof(f->hash_v2));
		f->conf.hash_v2 = f->hash_v2;
	}
	metafetch_init(&f->meta, f->buf, sizeof(f->buf), f->block, BLOCKS);
	return f;
}

void fetch_free(struct fetch *f)
{
	free(f);
}

/* --- what is on record ------------------------------------------------------ */

static void put_fault(struct fetch *f, const struct giver *g, const char *why,
    int64_t size, uint32_t blocks, struct stamp at)
{
	struct record r = { .at = at, .kind = "metadata_fault",
		.swarm = f->conf.swarm, .conn = g ? g->conn : CONN_NONE,
		.who = g ? &g->who : NULL };
	struct json j;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "why", why);
	json_int(&j, "metadata_size", size);
	json_uint(&j, "blocks", blocks);
	json_close(&j, '}');
	r.detail = json_done(&j);
	f->conf.add(f->conf.ctx, &r);
	json_fini(&j);
}

static void tell_lies(struct fetch *f, struct stamp at)
{
	for (unsigned i = 0; i < METAFETCH_PEERS; i++) {
		const struct metafetch_peer *p = &f->meta.peer[i];

		if (!p->used || !p->lie || f->giver[i].told)
			continue;
		f->giver[i].told = true;
		put_fault(f, &f->giver[i], p->lie, p->size, p->gave, at);
	}
}

/* --- peers ------------------------------------------------------------------ */

static int64_t ms(struct stamp at)
{
	return at.mono_ns / NS_PER_MS;
}

int fetch_join(struct fetch *f, int64_t size, int64_t conn,
    const struct endpoint *who, struct stamp at)
{
	struct giver g = { .conn = conn, .who = *who };
	const char *why;
	int slot = metafetch_join(&f->meta, size, &why);

	if (slot < 0)
		put_fault(f, &g, why, size, 0, at);
	else
		f->giver[slot] = g;
	return slot < 0 ? FETCH_NONE : slot;
}

void fetch_leave(struct fetch *f, int slot)
{
	metafetch_leave(&f->meta, (unsigned)slot);
}

bool fetch_next(struct fetch *f, int slot, struct stamp at, uint32_t *piece)
{
	return !f->hopeless &&
	    metafetch_next(&f->meta, (unsigned)slot, ms(at), piece);
}

void fetch_answer(struct fetch *f, int slot, const struct metadata_msg *m,
    struct stamp at)
{
	const struct metafetch_peer *p = &f->meta.peer[slot];
	const char *why;

	if (m->type == METADATA_REJECT) {
		metafetch_reject(&f->meta, (unsigned)slot, m->piece, ms(at));
	} else if (m->type == METADATA_DATA) {
		why = metafetch_data(&f->meta, (unsigned)slot, m, ms(at));
		if (why)
			put_fault(f, &f->giver[slot], why, p->size, p->gave,
			    at);
	}
}

/* --- the verdict ------------------------------------------------------------ */

static bool is_it(const struct fetch *f, struct span info)
{
	uint8_t digest[32];

	if (f->conf.hash_v1) {
		SHA1(info.p, info.n, digest);
		if (memcmp(digest, f->hash_v1, 20) != 0)
			return false;
	}
	if (f->conf.hash_v2) {
		SHA256(info.p, info.n, digest);
		if (memcmp(digest, f->hash_v2, 32) != 0)
			return false;
	}
	return true;
}

/* A .torrent of this info dict and nothing else. */
static struct torrent *wrap(struct span info, struct wire_error *err)
{
	uint8_t *p = malloc(info.n + 8);
	struct torrent *t;

	if (!p)
		log_die("out of memory for metadata");
	memcpy(p, "d4:info", 7);
	memcpy(p + 7, info.p, info.n);
	p[7 + info.n] = 'e';
	t = torrent_new(span_of(p, info.n + 8), err);
	free(p);
	return t;
}

static char *source_of(const struct fetch *f)
{
	char *text = malloc(SOURCE_MOST);
	bool gave[METAFETCH_PEERS] = { false };
	size_t n = 0;

	if (!text)
		log_die("out of memory for metadata");
	for (uint32_t i = 0; i < f->meta.blocks; i++)
		gave[f->block[i].by] = true;
	for (unsigned i = 0; i < METAFETCH_PEERS; i++) {
		if (!gave[i] || n + 100 > SOURCE_MOST)
			continue;
		n += (size_t)snprintf(text + n, SOURCE_MOST - n,
		    "%s conn %lld", n ? "," : "peers:",
		    (long long)f->giver[i].conn);
	}
	return text;
}

struct torrent *fetch_take(struct fetch *f, struct stamp at, char **source)
{
	struct span info = metafetch_whole(&f->meta);
	struct torrent *t = NULL;
	struct wire_error err;
	bool matches;

	if (info.n == 0 || f->hopeless)
		return NULL;
	matches = is_it(f, info);
	if (matches) {
		t = wrap(info, &err);
		*source = source_of(f);
	}
	metafetch_verdict(&f->meta, matches);
	tell_lies(f, at);
	if (!matches || t)
		return t;
	free(*source);
	put_fault(f, NULL, err.reason, (int64_t)info.n, f->meta.blocks, at);
	log_warn("%s: its metadata is no torrent: %s", f->conf.swarm,
	    err.reason);
	f->hopeless = true;
	return NULL;
}
