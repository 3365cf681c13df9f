#include "monitor/swarm.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "monitor/fetch.h"
#include "schema/log.h"
#include "schema/proven.h"
#include "wire/mse.h"

/* Length of a piece whose content can be checked, if need be once its peers
 * have told its hash, else 0. */
static uint32_t checkable(const void *ctx, uint32_t piece)
{
	const struct swarm *s = ctx;
	struct expect e;
	uint32_t nth;

	torrent_expect(s->torrent, piece, &e);
	if (!e.v1.n && !e.v2.n && !torrent_tree(s->torrent, piece, &nth))
		return 0;
	return torrent_piece_bytes(s->torrent, piece);
}

/* Its hash is not in the torrent, and no peer has told it yet. */
static bool unproven(const void *ctx, uint32_t piece)
{
	const struct swarm *s = ctx;
	const struct mi_file *f;
	uint8_t root[32];
	struct expect e;
	uint32_t nth;

	torrent_expect(s->torrent, piece, &e);
	if (e.v1.n || e.v2.n)
		return false;
	f = torrent_tree(s->torrent, piece, &nth);
	return f && !proven_piece(s->ref.proven, f->root, nth,
	    s->torrent->mi.piece_bytes / MI_BLOCK, root);
}

static uint32_t power_of_two(uint64_t n)
{
	uint32_t p = 1;

	while (p < n && p < HASHES_COUNT_MAX)
		p *= 2;
	return p;
}

/* What to ask a peer for: the hashes of a piece's blocks, or of the pieces
 * around it. 0: there are none to be asked for. */
static size_t hash_request(const void *ctx, uint32_t piece, bool blocks,
    uint8_t out[HASHES_REQUEST_BYTES])
{
	const struct swarm *s = ctx;
	const struct mi_file *f;
	struct hashes_tree tree;
	uint32_t nth, layer = 0, count;

	/* A hybrid's pieces are told by v1. */
	if (s->torrent->mi.v1 || (f = torrent_tree(s->torrent, piece, &nth))
	    == NULL || f->bytes <= s->torrent->mi.piece_bytes)
		return 0;
	tree = hashes_tree(&s->torrent->mi, f);
	if (blocks) {
		if (tree.piece_blocks < 2 ||
		    tree.piece_blocks > HASHES_COUNT_MAX ||
		    proven_block(s->ref.proven, f->root,
		    (uint64_t)nth * tree.piece_blocks))
			return 0;
		return hashes_put_request(out, &tree, 0,
		    nth * tree.piece_blocks, tree.piece_blocks);
	}
	while (UINT64_C(1) << layer < tree.piece_blocks)
		layer++;
	count = power_of_two((tree.blocks - 1) / tree.piece_blocks + 1);
	return hashes_put_request(out, &tree, layer, nth - nth % count, count);
}

static struct swarm *make(const char *path)
{
	struct swarm *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->book = UINT32_MAX;
	s->path = strdup(path);
	s->policy.ctx = s;
	s->policy.piece_bytes = checkable;
	s->policy.unproven = unproven;
	s->policy.hash_request = hash_request;
	s->ref.proven = proven_new();
	if (s->path && s->ref.proven)
		return s;
	swarm_free(s);
	return NULL;
}

/* How handshakes name it: a hybrid by its v1 hash first. */
static void set_hashes(struct swarm *s)
{
	s->policy.hashes = s->ref.wire_hashes;
	memcpy(s->policy.infohash, s->ref.wire_hash, sizeof(s->ref.wire_hash));
	s->policy.v2 = s->magnet.v2;
	if (s->torrent) {
		memcpy(s->policy.infohash, s->torrent->wire_hash,
		    sizeof(s->torrent->wire_hash));
		s->policy.pieces = s->torrent->mi.pieces;
		s->policy.v2 = s->torrent->mi.v2;
		s->policy.is_private = s->torrent->mi.is_private;
	}
}

struct swarm *swarm_new(struct torrent *t, const char *path)
{
	struct swarm *s = make(path);
	struct proven *proven;

	if (!s) {
		torrent_free(t);
		return NULL;
	}
	proven = s->ref.proven;
	s->torrent = t;
	swarmref_init(&s->ref, t);
	s->ref.proven = proven;
	set_hashes(s);
	return s;
}

struct swarm *swarm_new_magnet(const char *link)
{
	struct swarm *s = make(link);
	struct wire_error err;
	struct proven *proven;
	char safe[200];

	if (!s)
		log_die("out of memory");
	if (magnet_read(span_str(s->path), &s->magnet, &err) != WIRE_OK) {
		log_warn("%s: offset %zu: %s", log_safe(span_str(link), safe,
		    sizeof(safe)), err.offset, err.reason);
		swarm_free(s);
		return NULL;
	}
	proven = s->ref.proven;
	s->is_magnet = true;
	swarmref_init_hashes(&s->ref, s->magnet.v1 ? s->magnet.hash_v1 : NULL,
	    s->magnet.v2 ? s->magnet.hash_v2 : NULL);
	s->ref.proven = proven;
	set_hashes(s);
	return s;
}

struct swarm *swarm_new_decoy(const uint8_t hash[20])
{
	struct swarm *s = make("");
	struct proven *proven;

	if (!s)
		return NULL;
	proven = s->ref.proven;
	swarmref_init_hashes(&s->ref, hash, NULL);
	s->ref.proven = proven;
	s->decoy = s->policy.decoy = true;
	set_hashes(s);
	return s;
}

void swarm_free(struct swarm *s)
{
	if (!s)
		return;
	fetch_free(s->fetch);
	torrent_free(s->torrent);
	proven_free(s->ref.proven);
	free(s->path);
	free(s);
}

bool swarm_is_link(const char *text)
{
	size_t n = strlen(text);

	return strncasecmp(text, "magnet:", 7) == 0 ||
	    ((n == 40 || n == 64) &&
	    strspn(text, "0123456789abcdefABCDEF") == n);
}

void swarm_learn(struct swarm *s, struct torrent *t)
{
	s->torrent = t;
	s->ref.torrent = t;
	for (int i = 0; i < t->wire_hashes && s->ref.wire_hashes < 2; i++)
		if (!swarmref_is(&s->ref, t->wire_hash[i]))
			memcpy(s->ref.wire_hash[s->ref.wire_hashes++],
			    t->wire_hash[i], 20);
	set_hashes(s);
	fetch_free(s->fetch);
	s->fetch = NULL;
}

uint64_t swarm_left(const struct swarm *s)
{
	return s->torrent && s->torrent->mi.total_bytes ?
	    s->torrent->mi.total_bytes : 1;
}

bool swarm_named(const struct swarm *s, unsigned i, struct endpoint *at)
{
	char text[128];
	long n;

	*at = (struct endpoint){ 0 };
	if (!s->is_magnet)
		return false;
	n = magnet_param(&s->magnet, "x.pe", i, text, sizeof(text));
	if (n < 0)
		return false;
	if ((size_t)n > sizeof(text) ||
	    !endpoint_parse(span_of(text, (size_t)n), at))
		*at = (struct endpoint){ 0 };
	return true;
}

bool swarm_url(void *urls, struct span *url, unsigned *tier)
{
	struct swarm_urls *u = urls;
	long n;

	if (!u->swarm->is_magnet)
		return mi_tracker(&u->swarm->torrent->mi, &u->it, url, tier);
	do {
		n = magnet_next(&u->swarm->magnet, &u->values, "tr", u->text,
		    sizeof(u->text));
		*tier = u->n++;		/* all of them (BEP 9 has no tiers) */
	} while (n > (long)sizeof(u->text));
	*url = span_of(u->text, n > 0 ? (size_t)n : 0);
	return n >= 0;
}

static int index_swarm(struct swarms *set, struct swarm *s)
{
	uint8_t req2[20];

	for (int i = 0; i < s->ref.wire_hashes; i++) {
		mse_req2(s->ref.wire_hash[i], req2);
		if (hashindex_add(&set->by_hash, s->ref.wire_hash[i], s, i) < 0
		    || hashindex_add(&set->by_req2, req2, s, i) < 0)
			return -1;
	}
	return 0;
}

static void unindex_swarm(struct swarms *set, struct swarm *s)
{
	uint8_t req2[20];

	for (int i = 0; i < s->ref.wire_hashes; i++) {
		mse_req2(s->ref.wire_hash[i], req2);
		hashindex_remove(&set->by_hash, s->ref.wire_hash[i], s);
		hashindex_remove(&set->by_req2, req2, s);
	}
}

void swarms_learnt(struct swarms *set, struct swarm *s)
{
	if (index_swarm(set, s) < 0)
		log_die("out of memory for a swarm");
}

int swarms_add(struct swarms *set, struct swarm *s)
{
	if (s->book >= set->room) {
		uint32_t room = set->room ? set->room : 8;
		struct swarm **made;

		while (room <= s->book)
			room *= 2;
		made = realloc(set->by_book, room * sizeof(struct swarm *));
		if (!made)
			return -1;
		for (uint32_t i = set->room; i < room; i++)
			made[i] = NULL;
		set->by_book = made;
		set->room = room;
	}
	if (index_swarm(set, s) < 0) {
		unindex_swarm(set, s);
		return -1;
	}
	s->next = NULL;
	s->link = set->first ? set->last : &set->first;
	*s->link = s;
	set->last = &s->next;
	set->by_book[s->book] = s;
	set->count += !s->decoy;
	return 0;
}

void swarms_remove(struct swarms *set, struct swarm *s)
{
	*s->link = s->next;
	*(s->next ? &s->next->link : &set->last) = s->link;
	set->by_book[s->book] = NULL;
	unindex_swarm(set, s);
	set->count -= !s->decoy;
	if (!set->first) {
		hashindex_fini(&set->by_hash);
		hashindex_fini(&set->by_req2);
		free(set->by_book);
		set->by_book = NULL;
		set->room = 0;
	}
}

struct swarm *swarms_find(const struct swarms *set,
    const uint8_t infohash[20])
{
	const struct hashindex_row *r = hashindex_find(&set->by_hash,
	    infohash);

	return r ? r->value : NULL;
}

struct swarm *swarms_meant(const struct swarms *set, const uint8_t req2[20],
    uint8_t infohash[20])
{
	const struct hashindex_row *r = hashindex_find(&set->by_req2, req2);
	struct swarm *s = r ? r->value : NULL;

	if (s)
		memcpy(infohash, s->ref.wire_hash[r->n], 20);
	return s;
}

int swarm_list(const char *file, int (*each)(void *ctx, const char *path),
    void *ctx)
{
	FILE *f = fopen(file, "re");
	char *line = NULL, *p;
	int64_t number = 0;
	size_t room = 0;
	ssize_t n;
	int rc = 0, got;

	if (!f) {
		log_warn("%s: %s", file, strerror(errno));
		return -1;
	}
	while ((n = getline(&line, &room, f)) >= 0) {
		number++;
		/* What stands behind it would be passed over in silence. */
		if (memchr(line, '\0', (size_t)n)) {
			log_warn("%s, line %" PRId64 ": a NUL byte in it", file,
			    number);
			rc = -1;
			continue;
		}
		while (n > 0 && strchr(" \t\r\n", line[n - 1]))
			line[--n] = '\0';
		p = line + strspn(line, " \t");
		if (*p == '\0' || *p == '#')
			continue;
		got = each(ctx, p);
		if (got < 0)
			rc = got;
	}
	if (ferror(f)) {
		log_warn("%s: %s", file, strerror(errno));
		rc = -1;
	}
	free(line);
	fclose(f);
	return rc;
}
