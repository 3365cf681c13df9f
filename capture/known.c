#include "capture/known.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/draw.h"
#include "schema/log.h"
#include "wire/metadata.h"
#include "wire/mix.h"
#include "wire/mse.h"

#define BUCKETS 4096u
#define TRIES_MOST 16u		/* metadata that proved wrong, of one swarm */

/* Metadata under way. */
struct draft {
	uint32_t total, blocks, came;
	char source[KNOWN_SOURCE_MAX - 8];
	bool *have;
	uint8_t bytes[];
};

struct entry {
	struct known_swarm swarm;	/* first */
	struct torrent *torrent;	/* owned; NULL: not known */
	unsigned holds, tries;
	struct draft *draft;
};

/* An entry stands in the chain of each of its hashes, and in that of what an
 * encrypted handshake says for it. */
struct link {
	struct link *next, *next_meant;
	struct entry *entry;
	uint8_t hash[20], req2[20];
};

struct known {
	struct link *chain[BUCKETS], *meant[BUCKETS];
	uint64_t key[MIX_KEYS(20)];	/* of the hash: nobody can aim */
	size_t heap, drafts, learnt;
};

static void *must(void *p)
{
	if (!p)
		log_die("out of memory for a swarm");
	return p;
}

static struct entry *entry_of(struct known_swarm *s)
{
	return (struct entry *)s;
}

/* Infohashes are digests, but handshakes and questions may bear any bytes. */
static unsigned bucket(const struct known *k, const uint8_t hash[20])
{
	return (unsigned)(mix_bytes(k->key, hash, 20) >> 32) % BUCKETS;
}

static struct link *find(const struct known *k, const uint8_t hash[20])
{
	struct link *l = k->chain[bucket(k, hash)];

	while (l && memcmp(l->hash, hash, 20) != 0)
		l = l->next;
	return l;
}

static void enter(struct known *k, struct entry *e, int i)
{
	const uint8_t *hash = e->swarm.ref.wire_hash[i];
	struct link *l = must(malloc(sizeof(*l)));
	struct link **at = &k->chain[bucket(k, hash)];

	*l = (struct link){ .next = *at, .entry = e };
	memcpy(l->hash, hash, 20);
	*at = l;
	mse_req2(hash, l->req2);
	at = &k->meant[bucket(k, l->req2)];
	l->next_meant = *at;
	*at = l;
	k->heap += sizeof(*l);
}

static void unmean(struct known *k, const struct link *l)
{
	struct link **at = &k->meant[bucket(k, l->req2)];

	while (*at != l)
		at = &(*at)->next_meant;
	*at = l->next_meant;
}

static void leave(struct known *k, struct entry *e)
{
	for (int i = 0; i < e->swarm.ref.wire_hashes; i++) {
		struct link **at =
		    &k->chain[bucket(k, e->swarm.ref.wire_hash[i])];

		for (struct link *l; (l = *at);) {
			if (l->entry != e) {
				at = &l->next;
				continue;
			}
			*at = l->next;
			unmean(k, l);
			k->heap -= sizeof(*l);
			free(l);
		}
	}
}

static void drop_draft(struct known *k, struct entry *e)
{
	if (!e->draft)
		return;
	k->drafts -= sizeof(*e->draft) + e->draft->total + e->draft->blocks;
	free(e->draft->have);
	free(e->draft);
	e->draft = NULL;
}

static void drop_entry(struct known *k, struct entry *e)
{
	leave(k, e);
	drop_draft(k, e);
	torrent_free(e->torrent);
	k->heap -= sizeof(*e);
	free(e);
}

struct known *known_new(void)
{
	struct known *k = must(calloc(1, sizeof(*k)));

	draw_bits(k->key, sizeof(k->key));
	return k;
}

void known_free(struct known *k)
{
	if (!k)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		while (k->chain[i])
			drop_entry(k, k->chain[i]->entry);
	free(k);
}

static struct entry *entry_new(struct known *k)
{
	struct entry *e = must(calloc(1, sizeof(*e)));

	k->heap += sizeof(*e);
	return e;
}

bool known_add(struct known *k, struct torrent *t)
{
	struct entry *e;

	for (int i = 0; i < t->wire_hashes; i++) {
		if (!find(k, t->wire_hash[i]))
			continue;
		torrent_free(t);
		return false;
	}
	e = entry_new(k);
	e->torrent = t;
	swarmref_init(&e->swarm.ref, t);
	for (int i = 0; i < e->swarm.ref.wire_hashes; i++)
		enter(k, e, i);
	return true;
}

struct known_swarm *known_find(const struct known *k, const uint8_t hash[20])
{
	const struct link *l = find(k, hash);

	return l ? &l->entry->swarm : NULL;
}

struct known_swarm *known_hold(struct known *k, const uint8_t hash[20])
{
	struct known_swarm *s = known_find(k, hash);
	struct entry *e;

	if (!s) {
		e = entry_new(k);
		s = &e->swarm;
		swarmref_init_hashes(&s->ref, hash, NULL);
		enter(k, e, 0);
	}
	entry_of(s)->holds++;
	return s;
}

void known_drop(struct known *k, struct known_swarm *s)
{
	struct entry *e;

	if (!s)
		return;
	e = entry_of(s);
	if (--e->holds == 0 && !e->torrent)
		drop_entry(k, e);
}

bool known_skey(const struct known *k, const uint8_t req2[20],
    uint8_t skey[20])
{
	const struct link *l = k->meant[bucket(k, req2)];

	while (l && memcmp(l->req2, req2, 20) != 0)
		l = l->next_meant;
	if (l)
		memcpy(skey, l->hash, 20);
	return l != NULL;
}

const char *known_text(const struct known *k, const uint8_t hash[20],
    char hex[41])
{
	const struct known_swarm *s = known_find(k, hash);

	return s ? s->ref.swarm : hex_of(hash, 20, hex);
}

/* --- metadata ---------------------------------------------------------------- */

static bool draft_begin(struct known *k, struct entry *e, uint32_t total)
{
	uint32_t blocks = (total + METADATA_BLOCK - 1) / METADATA_BLOCK;
	size_t heap = sizeof(*e->draft) + total + blocks;

	if (total == 0 || total > KNOWN_METADATA_MAX ||
	    heap > KNOWN_METADATA_ALL - k->drafts)
		return false;
	e->draft = must(calloc(1, sizeof(*e->draft) + total));
	e->draft->have = must(calloc(blocks, 1));
	e->draft->total = total;
	e->draft->blocks = blocks;
	k->drafts += heap;
	return true;
}

static size_t torrent_bytes(const struct torrent *t)
{
	return sizeof(*t) + t->mi.file.n + t->mi.files * sizeof(*t->files);
}

/* "from" joins the sources, once. */
static void credit(struct draft *d, const char *from)
{
	size_t n = strlen(d->source);

	if (strstr(d->source, from))
		return;
	if (n + strlen(from) + 3 > sizeof(d->source))
		return;
	snprintf(d->source + n, sizeof(d->source) - n, "%s%s",
	    n ? ", " : "", from);
}

/* The torrent of an info dictionary whose hash is one of the swarm's. */
static struct torrent *read_draft(const struct entry *e)
{
	const struct draft *d = e->draft;
	uint8_t v1[20], v2[32], *whole;
	struct wire_error err;
	struct torrent *t;

	SHA1(d->bytes, d->total, v1);
	SHA256(d->bytes, d->total, v2);
	if (!swarmref_is(&e->swarm.ref, v1) && !swarmref_is(&e->swarm.ref, v2))
		return NULL;
	whole = must(malloc(d->total + 8));
	memcpy(whole, "d4:info", 7);
	memcpy(whole + 7, d->bytes, d->total);
	whole[7 + d->total] = 'e';
	t = torrent_new(span_of(whole, d->total + 8), &err);
	free(whole);
	return t;
}

/* Found under its other hash too, if it has two; its records go on to bear the
 * name they began with. */
static void settle(struct known *k, struct entry *e, struct torrent *t)
{
	char name[sizeof(e->swarm.ref.swarm)];

	leave(k, e);
	e->torrent = t;
	k->learnt += torrent_bytes(t);
	memcpy(name, e->swarm.ref.swarm, sizeof(name));
	swarmref_init(&e->swarm.ref, t);
	memcpy(e->swarm.ref.swarm, name, sizeof(name));
	for (int i = 0; i < e->swarm.ref.wire_hashes; i++)
		enter(k, e, i);
}

bool known_metadata(struct known *k, struct known_swarm *s, uint32_t piece,
    int64_t total, struct span data, const char *from,
    char source[KNOWN_SOURCE_MAX])
{
	struct entry *e = entry_of(s);
	struct draft *d = e->draft;
	struct torrent *t;
	uint32_t want;

	if (e->torrent || e->tries >= TRIES_MOST || total < 1 ||
	    total > KNOWN_METADATA_MAX)
		return false;
	if (d && d->total != (uint32_t)total) {
		e->tries++;
		drop_draft(k, e);
		d = NULL;
	}
	if (!d && !draft_begin(k, e, (uint32_t)total))
		return false;
	d = e->draft;
	if (piece >= d->blocks || d->have[piece])
		return false;
	want = piece + 1 < d->blocks ? METADATA_BLOCK :
	    d->total - piece * METADATA_BLOCK;
	if (data.n != want)
		return false;
	memcpy(d->bytes + (size_t)piece * METADATA_BLOCK, data.p, data.n);
	d->have[piece] = true;
	credit(d, from);
	if (++d->came < d->blocks)
		return false;
	t = read_draft(e);
	e->tries++;
	if (t && torrent_bytes(t) > KNOWN_LEARNT_ALL - k->learnt) {
		torrent_free(t);
		t = NULL;
	}
	if (t) {
		snprintf(source, KNOWN_SOURCE_MAX, "peers: %s", d->source);
		settle(k, e, t);
	}
	drop_draft(k, e);
	return t != NULL;
}

size_t known_memory(const struct known *k)
{
	return k->heap + k->drafts + k->learnt;
}
