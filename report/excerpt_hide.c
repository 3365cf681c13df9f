#include "report/excerpt_part.h"

#include <stdio.h>
#include <stdlib.h>

#include "schema/log.h"

/* --- addresses --------------------------------------------------------------- */

static bool is_allowed(const struct excerpt *e, const char *ip)
{
	if (strcmp(ip, e->ip) == 0)
		return true;
	for (size_t i = 0; i < e->allowed_n; i++)
		if (strcmp(e->allowed[i], ip) == 0)
			return true;
	return false;
}

/* Whether the case has records of this address: what merely looks like one, a
 * version say, is no matter. */
static bool is_known(struct excerpt *e, const char *ip)
{
	char from[ENDPOINT_IP_MAX + 1], to[ENDPOINT_IP_MAX + 1];
	bool known = false;

	if (e->known == NULL && sqlite3_prepare_v2(e->db, "SELECT 1 FROM "
	    "subject WHERE seq = ?1 AND subject >= ?2 AND subject < ?3 LIMIT 1",
	    -1, &e->known, NULL) != SQLITE_OK)
		return true;
	snprintf(from, sizeof(from), "%s|", ip);
	snprintf(to, sizeof(to), "%s}", ip);	/* the next byte */
	for (size_t i = 0; !known && i < e->indexes; i++) {
		sqlite3_bind_int64(e->known, 1, e->index[i].seq);
		sqlite3_bind_text(e->known, 2, from, -1, SQLITE_STATIC);
		sqlite3_bind_text(e->known, 3, to, -1, SQLITE_STATIC);
		known = sqlite3_step(e->known) == SQLITE_ROW;
		sqlite3_reset(e->known);
	}
	return known;
}

typedef bool found_fn(struct excerpt *e, const char *ip, void *ctx);

static bool is_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

static bool try_ip(struct excerpt *e, const char *p, size_t n, found_fn *found,
    void *ctx)
{
	char ip[ENDPOINT_IP_MAX];
	struct endpoint at;

	return endpoint_parse_ip(span_of(p, n), &at) &&
	    found(e, endpoint_ip(&at, ip), ctx);
}

/* Every address that is written in text, with a port or without. True as soon
 * as found says so. */
static bool scan_text(struct excerpt *e, const char *text, size_t size,
    found_fn *found, void *ctx)
{
	static const char quad[] = "0123456789.";
	static const char six[] = "0123456789abcdefABCDEF:.";

	for (size_t i = 0, n; i < size; i += n ? n : 1) {
		size_t dots = 0, colons = 0, last = 0;

		for (n = 0; i + n < size && is_of(text[i + n], six); n++) {
			dots += text[i + n] == '.';
			if (text[i + n] == ':') {
				colons++;
				last = n;
			}
		}
		if (colons >= 2 && (try_ip(e, text + i, n, found, ctx) ||
		    try_ip(e, text + i, last, found, ctx)))
			return true;
		/* Quads within: "1.2.3.4:80", "udp:1.2.3.4". */
		for (size_t k = 0, m; dots >= 3 && k < n; k += m ? m : 1) {
			for (m = 0; k + m < n && is_of(text[i + k + m], quad);
			    m++)
				;
			for (size_t z = m; z > 6 && z + 2 > m; z--)
				if (try_ip(e, text + i + k, z, found, ctx))
					return true;
		}
	}
	return false;
}

static bool allow(struct excerpt *e, const char *ip, void *ctx)
{
	(void)ctx;
	if (is_allowed(e, ip) || e->allowed_n == ALLOWED_MOST)
		return false;
	if (e->allowed == NULL)
		e->allowed = malloc(ALLOWED_MOST * sizeof(*e->allowed));
	if (e->allowed == NULL)
		log_die("out of memory");
	snprintf(e->allowed[e->allowed_n++], sizeof(*e->allowed), "%s", ip);
	return false;
}

void excerpt_allow(struct excerpt *e, const char *text)
{
	scan_text(e, text, strlen(text), allow, NULL);
}

/* ctx: an address besides those that are allowed, or NULL. */
static bool is_other(struct excerpt *e, const char *ip, void *ctx)
{
	return !is_allowed(e, ip) && !(ctx && strcmp(ip, ctx) == 0) &&
	    is_known(e, ip);
}

/* Packed as the protocols do, 4 or 16 bytes anywhere. */
static bool scan_packed(struct excerpt *e, struct span s)
{
	char ip[ENDPOINT_IP_MAX];
	struct endpoint at;

	for (size_t i = 0; i + 4 <= s.n; i++) {
		at = endpoint_of(span_of(s.p + i, 4), 0);
		if (is_other(e, endpoint_ip(&at, ip), NULL))
			return true;
		if (i + 16 > s.n)
			continue;
		at = endpoint_of(span_of(s.p + i, 16), 0);
		if (is_other(e, endpoint_ip(&at, ip), NULL))
			return true;
	}
	return false;
}

static bool names_others(struct excerpt *e, struct span s)
{
	return scan_text(e, (const char *)s.p, s.n, is_other, NULL) ||
	    scan_packed(e, s);
}

/* --- records ------------------------------------------------------------------ */

static bool is(const struct excerpt_record *r, const char *kind)
{
	return strcmp(r->kind, kind) == 0;
}

/* A text member of its detail; "" if there is none. */
static void member(const struct excerpt *e, const struct excerpt_record *r,
    const char *path, char *out, size_t room)
{
	sqlite3_stmt *s = NULL;

	out[0] = '\0';
	if (sqlite3_prepare_v2(e->db, "SELECT CASE WHEN json_valid(?1) THEN "
	    "json_extract(?1, ?2) END", -1, &s, NULL) == SQLITE_OK) {
		sqlite3_bind_text(s, 1, r->detail, -1, SQLITE_STATIC);
		sqlite3_bind_text(s, 2, path, -1, SQLITE_STATIC);
		if (sqlite3_step(s) == SQLITE_ROW &&
		    sqlite3_column_type(s, 0) == SQLITE_TEXT)
			snprintf(out, room, "%s",
			    (const char *)sqlite3_column_text(s, 0));
	}
	sqlite3_finalize(s);
}

/* The other end of this address's own conversation, observed. */
static void partner(struct excerpt *e, const struct excerpt_record *r,
    char ip[ENDPOINT_IP_MAX])
{
	static const char *const ends[] = { "$.initiator", "$.responder" };
	struct excerpt_record flow = { .kind = "flow" };
	sqlite3_stmt *s = NULL;
	struct endpoint at;
	char text[80], end[ENDPOINT_IP_MAX];

	ip[0] = '\0';
	if (r->conn < 0 || sqlite3_prepare_v2(e->db, "SELECT detail FROM "
	    "record WHERE seq = ? AND kind = 'flow'", -1, &s, NULL) !=
	    SQLITE_OK)
		return;
	sqlite3_bind_int64(s, 1, r->conn);
	if (sqlite3_step(s) == SQLITE_ROW) {
		flow.detail = (const char *)sqlite3_column_text(s, 0);
		for (int i = 0; flow.detail && i < 2; i++) {
			member(e, &flow, ends[i], text, sizeof(text));
			if (endpoint_parse(span_str(text), &at) &&
			    strcmp(endpoint_ip(&at, end), e->ip) != 0)
				memcpy(ip, end, sizeof(end));
		}
	}
	sqlite3_finalize(s);
}

bool excerpt_selects(const struct excerpt *e, const struct excerpt_record *r)
{
	sqlite3_stmt *s = NULL;
	bool hit;

	if (e->swarm && r->swarm && strcmp(r->swarm, e->swarm) != 0)
		return false;
	if (e->port < 0 || r->port == e->port)
		return true;
	/* It may name the port, or belong to a conversation at it. */
	if (sqlite3_prepare_v2(e->db, "SELECT EXISTS (SELECT 1 FROM named "
	    "WHERE seq = ?1 AND ip = ?2 AND port = ?3) OR EXISTS (SELECT 1 "
	    "FROM record WHERE seq = ?4 AND port = ?3)", -1, &s, NULL) !=
	    SQLITE_OK)
		return true;
	sqlite3_bind_int64(s, 1, r->seq);
	sqlite3_bind_text(s, 2, e->ip, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, e->port);
	sqlite3_bind_int64(s, 4, r->conn);
	hit = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	return hit;
}

static bool is_mine(struct excerpt *e, const char *ip, void *ctx)
{
	(void)ctx;
	return strcmp(ip, e->ip) == 0;
}

bool excerpt_is_named(struct excerpt *e, const char *text)
{
	return scan_text(e, text, strlen(text), is_mine, NULL);
}

bool excerpt_is_conn(struct excerpt *e, int64_t conn)
{
	sqlite3_stmt *s = NULL;
	bool is = false;

	if (sqlite3_prepare_v2(e->db, "SELECT kind = 'flow', ip, "
	    "coalesce(detail, '') FROM record WHERE seq = ?", -1, &s, NULL) != SQLITE_OK)
		return false;
	sqlite3_bind_int64(s, 1, conn);
	if (sqlite3_step(s) == SQLITE_ROW) {
		const char *ip = (const char *)sqlite3_column_text(s, 1);

		is = (ip && strcmp(ip, e->ip) == 0) ||
		    (sqlite3_column_int(s, 0) && excerpt_is_named(e,
		    (const char *)sqlite3_column_text(s, 2)));
	}
	sqlite3_finalize(s);
	return is;
}

const char *excerpt_hides(struct excerpt *e, const struct excerpt_record *r)
{
	char other[ENDPOINT_IP_MAX], source[24], to[80];
	struct endpoint at;

	if (r->common || e->witnesses)
		return NULL;
	partner(e, r, other);
	if (!other[0] && (is(r, "announce") || is(r, "scrape"))) {
		/* Ours: the tracker's address. Overheard: where it went. */
		member(e, r, "$.to", to, sizeof(to));
		if (!to[0] && r->ip)
			snprintf(other, sizeof(other), "%s", r->ip);
		else if (endpoint_parse(span_str(to), &at))
			endpoint_ip(&at, other);
	}
	if (!other[0] && is(r, "listed") && r->ip) {
		member(e, r, "$.source", source, sizeof(source));
		if (strcmp(source, "tracker") == 0)
			snprintf(other, sizeof(other), "%s", r->ip);
	}
	if (r->ip && strcmp(r->ip, e->ip) != 0 && strcmp(r->ip, other) != 0)
		return "it bears the address of another peer, its witness "
		    "(--witnesses)";
	if (scan_text(e, r->detail, strlen(r->detail), is_other, other))
		return "its detail names the address of another peer "
		    "(--witnesses)";
	return NULL;
}

const char *excerpt_hides_raw(struct excerpt *e,
    const struct excerpt_record *r, struct span raw)
{
	/* What these hold is fixed by the protocol, and is no address. */
	static const char *const plain[] = { "allowed_fast", "bitfield",
		"block", "cancel", "choke", "clock", "donthave", "encrypted",
		"greeted", "handshake", "hashes", "have", "have_all",
		"have_none", "interested", "metadata", "not_interested", "port",
		"reject", "request", "stamp", "suggest", "torrent", "unchoke" };

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (is(r, plain[i]))
			return NULL;
	/* These can hold anything; they are small. */
	if (is(r, "extended") || is(r, "announce"))
		return names_others(e, raw) ?
		    "they hold the address of another peer" : NULL;
	return "they can hold addresses of other peers";
}
