#include "schema/entry.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/rand.h>
#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/log.h"

/* What named appends to the detail: two keys, a count, a digest. */
#define NAMED_ROOM 128

/* --- our own faults -------------------------------------------------------- */

static bool is_hex(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f'))
			return false;
	return true;
}

static bool is_word(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'z') &&
		    s[i] != '_')
			return false;
	return true;
}

static bool printable(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~')
			return false;
	return true;
}

static const char *fault(const struct record *r, int64_t seq, size_t kind,
    size_t swarm, size_t detail)
{
	if (kind == 0 || kind >= sizeof(((struct entry *)0)->kind) ||
	    !is_word(r->kind, kind))
		return "its kind is no word";
	if (r->swarm && ((swarm != 40 && swarm != 64) ||
	    !is_hex(r->swarm, swarm)))
		return "its swarm is no infohash";
	if (detail < 2 || r->detail[0] != '{' || r->detail[detail - 1] != '}' ||
	    !printable(r->detail, detail))
		return "its detail is no JSON object of printable ASCII";
	if (r->conn > seq || r->conn < CONN_SELF)
		return "its conversation is none before it";
	if (r->at.mono_ns < -1)
		return "its monotonic time is negative";
	return NULL;
}

/* --- copying --------------------------------------------------------------- */

struct entry *entry_new(const struct record *r, int64_t seq,
    const uint8_t salt[RECORD_SALT], struct shelf *shelf)
{
	size_t kind = r->kind ? strlen(r->kind) : 0;
	size_t swarm = r->swarm ? strlen(r->swarm) : 0;
	size_t detail = r->detail ? strlen(r->detail) : 0;
	size_t names = r->named ? r->names : 0;
	size_t text = detail + 1 + (r->named ? NAMED_ROOM : 0);
	size_t bytes = sizeof(struct entry) +
	    names * sizeof(struct entry_named) + text + r->raw.n;
	const char *why = fault(r, seq, kind, swarm, detail);
	struct shelf_block *block = NULL;
	struct entry *e;

	if (why)
		log_die("evidence could not be kept: a record of kind %.31s: "
		    "%s", r->kind ? r->kind : "(none)", why);
	e = shelf ? shelf_take(shelf, bytes, &block) : malloc(bytes);
	if (e == NULL)
		log_die("evidence could not be kept: out of memory");
	memset(e, 0, sizeof(*e));
	e->block = block;
	e->bytes = bytes;
	e->seq = seq;
	e->utc_ns = r->at.utc_ns;
	e->mono_ns = r->at.mono_ns;
	e->conn = r->conn == CONN_SELF ? seq : r->conn;
	e->port = -1;
	memcpy(e->kind, r->kind, kind);
	hex_of(salt, RECORD_SALT, e->salt);
	if (r->swarm) {
		e->has_swarm = true;
		memcpy(e->swarm, r->swarm, swarm);
	}
	if (r->who && r->who->family) {
		e->has_ip = true;
		endpoint_ip(r->who, e->ip);
		e->port = r->who->port;
	}
	e->named = (struct entry_named *)(e + 1);
	for (size_t i = 0; i < names; i++)
		if (r->named[i].at.family)
			e->named[e->names++].at = r->named[i].at;
	e->has_named = r->named != NULL;
	e->detail = (char *)(e->named + names);
	memcpy(e->detail, r->detail, detail + 1);
	e->detail_n = detail;
	e->raw = (uint8_t *)e->detail + text;
	if (r->raw.p) {
		e->has_raw = e->has_digest = true;
		e->raw_n = r->raw.n;
		if (r->raw.n)
			memcpy(e->raw, r->raw.p, r->raw.n);
	} else if (r->raw_sha256) {
		e->has_digest = true;
		hex_of(r->raw_sha256, 32, e->raw_sha256);
	}
	return e;
}

void entry_free(struct entry *e, struct shelf *shelf)
{
	if (e->block)
		shelf_give(shelf, e->block);
	else
		free(e);
}

/* --- completing ------------------------------------------------------------ */

static int by_endpoint(const void *a, const void *b)
{
	const struct entry_named *x = *(const struct entry_named *const *)a;
	const struct entry_named *y = *(const struct entry_named *const *)b;
	int c = endpoint_cmp(&x->at, &y->at);

	return c ? c : (x > y) - (x < y);
}

/* Each endpoint once, the first of equals, in the order given. By sorting: a
 * hash table's worst case would be the peers' to choose. */
static void once_each(struct entry *e)
{
	const struct entry_named **order;
	bool *again;
	size_t n = 0;

	if (e->names < 2)
		return;
	order = malloc(e->names * sizeof(*order));
	again = calloc(e->names, sizeof(*again));
	if (order == NULL || again == NULL)
		log_die("evidence could not be kept: out of memory");
	for (size_t i = 0; i < e->names; i++)
		order[i] = &e->named[i];
	qsort(order, e->names, sizeof(*order), by_endpoint);
	for (size_t i = 1; i < e->names; i++)
		if (endpoint_cmp(&order[i - 1]->at, &order[i]->at) == 0)
			again[order[i] - e->named] = true;
	for (size_t i = 0; i < e->names; i++)
		if (!again[i])
			e->named[n++] = e->named[i];
	e->names = n;
	free(order);
	free(again);
}

/* Many at a time: each request to OpenSSL has its price. */
static void salt_names(struct entry *e)
{
	uint8_t drawn[256][RECORD_SALT];

	for (size_t i = 0; i < e->names; i++) {
		size_t at = i % 256, left = e->names - i;

		if (at == 0 && RAND_bytes(drawn[0], RECORD_SALT *
		    (left < 256 ? (int)left : 256)) != 1)
			log_die("evidence could not be kept: no random bytes");
		memcpy(e->named[i].salt, drawn[at], RECORD_SALT);
	}
}

static void name(struct entry *e)
{
	char line[160], ip[ENDPOINT_IP_MAX], salt[2 * RECORD_SALT + 1];
	char root[65];
	struct merkle tree;
	struct hash h;
	size_t n;

	once_each(e);
	salt_names(e);
	merkle_init(&tree);
	for (size_t i = 0; i < e->names; i++) {
		struct entry_named *at = &e->named[i];

		n = named_line(line, sizeof(line), e->seq, (int64_t)i,
		    endpoint_ip(&at->at, ip), at->at.port,
		    hex_of(at->salt, sizeof(at->salt), salt));
		h = merkle_leaf(line, n);
		merkle_add(&tree, &h);
	}
	h = merkle_root(&tree);
	e->detail_n += (size_t)snprintf(e->detail + e->detail_n - 1,
	    NAMED_ROOM, "%s\"named\":%zu,\"named_root\":\"%s\"}",
	    e->detail_n > 2 ? "," : "", e->names,
	    hex_of(h.b, sizeof(h.b), root)) - 1;
}

void entry_complete(struct entry *e, struct entry_scratch *s)
{
	uint8_t sum[32];
	SHA256_CTX sha;
	size_t n;

	if (e->complete)
		return;
	e->complete = true;
	if (e->has_named)
		name(e);
	if (e->has_raw) {
		SHA256_Init(&sha);	/* SHA256 looks its method up each time */
		SHA256_Update(&sha, e->raw, e->raw_n);
		SHA256_Final(sum, &sha);
		hex_of(sum, sizeof(sum), e->raw_sha256);
	}
	/* Quotes may double the detail; all else is below 512. */
	if (s->room < 2 * e->detail_n + 512) {
		free(s->line);
		s->room = 2 * e->detail_n + 4096;
		s->line = malloc(s->room);
		if (s->line == NULL)
			log_die("evidence could not be kept: out of memory");
	}
	n = record_line(s->line, s->room, e->seq, e->utc_ns, e->mono_ns,
	    e->kind, e->has_swarm ? e->swarm : NULL, e->conn,
	    e->has_ip ? e->ip : NULL, e->port, e->detail,
	    e->has_digest ? e->raw_sha256 : NULL, e->salt);
	e->leaf = merkle_leaf(s->line, n);
}
