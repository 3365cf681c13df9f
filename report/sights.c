#include "report/sights.h"

#include <stdio.h>
#include <stdlib.h>

#include "report/rows.h"
#include "schema/log.h"

static int prepare(struct sights *s, sqlite3_stmt **st, const char *sql)
{
	if (sqlite3_prepare_v2(s->facts->db, sql, -1, st, NULL) == SQLITE_OK)
		return 0;
	log_warn("audit: %s", sqlite3_errmsg(s->facts->db));
	return -1;
}

/* What a torrent is called: by either hash of a hybrid, and by the first 20
 * bytes of the v2 one, which is what stands on the wire. And since when, in
 * each live run, it was watched. */
static int make_tables(struct sights *s, int require)
{
	static const char base[] =
	    "CREATE TEMP TABLE alias (hash TEXT PRIMARY KEY, swarm TEXT) "
	    "WITHOUT ROWID;"
	    "INSERT OR IGNORE INTO alias SELECT h, swarm FROM ("
	    "SELECT r.swarm, json_extract(r.detail, '$.infohash_v1') AS h FROM "
	    "about AS a JOIN evidence.record AS r ON r.seq = a.seq "
	    "WHERE a.kind = 'torrent' UNION ALL "
	    "SELECT r.swarm, json_extract(r.detail, '$.infohash_v2') FROM "
	    "about AS a JOIN evidence.record AS r ON r.seq = a.seq "
	    "WHERE a.kind = 'torrent' UNION ALL "
	    "SELECT r.swarm, substr(json_extract(r.detail, '$.infohash_v2'), "
	    "1, 40) FROM about AS a JOIN evidence.record AS r ON r.seq = a.seq "
	    "WHERE a.kind = 'torrent') WHERE h IS NOT NULL AND swarm IS NOT "
	    "NULL;"
	    "CREATE TEMP TABLE live (swarm TEXT, from_ns INTEGER, to_ns "
	    "INTEGER);"
	    "INSERT INTO live SELECT w.swarm, r.utc_ns, coalesce((SELECT "
	    "utc_ns FROM evidence.record WHERE seq = coalesce((SELECT min(seq) "
	    "FROM about WHERE kind = 'run' AND seq > w.run), (SELECT max(seq) "
	    "+ 1 FROM evidence.record)) - 1), r.utc_ns) FROM ("
	    "SELECT r.swarm, (SELECT max(seq) FROM about WHERE kind = 'run' "
	    "AND seq < a.seq) AS run FROM about AS a JOIN evidence.record AS r "
	    "ON r.seq = a.seq WHERE a.kind = 'torrent' UNION "
	    "SELECT swarm, run FROM poll) AS w "
	    "JOIN evidence.record AS r ON r.seq = w.run WHERE w.swarm IS NOT "
	    "NULL AND coalesce(json_extract(r.detail, '$.config.import'), 0) "
	    "= 0;"
	    "CREATE INDEX temp.live_swarm ON live (swarm);";
	static const char pieces[] =
	    "CREATE TEMP TABLE moment AS SELECT swarm, utc_ns, ip, port, seq "
	    "FROM piece_check WHERE ok = 1 AND swarm IS NOT NULL;"
	    "CREATE INDEX temp.moment_at ON moment (swarm, utc_ns);";
	static const char greetings[] =
	    "CREATE TEMP TABLE moment AS SELECT c.swarm, g.greeted_utc_ns AS "
	    "utc_ns, c.ip, c.port, g.greeted_seq AS seq FROM rung AS g JOIN "
	    "contact AS c ON c.conn = g.conn AND c.ip = g.ip AND c.port = "
	    "g.port WHERE c.swarm IS NOT NULL;"
	    "CREATE INDEX temp.moment_at ON moment (swarm, utc_ns);";

	if (sqlite3_exec(s->facts->db, base, NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_exec(s->facts->db, require >= 4 ? pieces : greetings, NULL,
	    NULL, NULL) == SQLITE_OK)
		return 0;
	log_warn("audit: %s", sqlite3_errmsg(s->facts->db));
	return -1;
}

static void widen(struct sights *s, int64_t from, int64_t to)
{
	if (s->first_ns > s->last_ns) {
		s->first_ns = from;
		s->last_ns = to;
	}
	s->first_ns = from < s->first_ns ? from : s->first_ns;
	s->last_ns = to > s->last_ns ? to : s->last_ns;
}

/* The packets of each imported savefile, and the span of all. */
static int read_windows(struct sights *s)
{
	struct rows q;
	size_t room = 0;

	s->first_ns = 0;
	s->last_ns = -1;
	rows_open(&q, s->facts->db, "SELECT json_extract(r.detail, "
	    "'$.first_utc_ns'), json_extract(r.detail, '$.last_utc_ns') FROM "
	    "about AS a CROSS JOIN evidence.record AS r ON r.seq = a.seq "
	    "WHERE a.kind = 'packets' AND json_extract(r.detail, '$.imported') "
	    "IS NOT NULL ORDER BY a.seq", NULL);
	while (rows_next(&q)) {
		if (rows_null(&q, 0) || rows_null(&q, 1))
			continue;
		if (s->imports == room) {
			room = room ? 2 * room : 16;
			s->import = realloc(s->import,
			    room * sizeof(*s->import));
			if (s->import == NULL)
				log_die("out of memory");
		}
		s->import[s->imports++] = (struct watch){ rows_int(&q, 0),
		    rows_int(&q, 1), true };
		widen(s, rows_int(&q, 0), rows_int(&q, 1));
	}
	if (rows_close(&q))
		return -1;
	rows_open(&q, s->facts->db, "SELECT min(from_ns), max(to_ns) FROM live",
	    NULL);
	if (rows_next(&q) && !rows_null(&q, 0))
		widen(s, rows_int(&q, 0), rows_int(&q, 1));
	return rows_close(&q);
}

int sights_open(struct sights *s, const struct facts *f, int require)
{
	*s = (struct sights){ .facts = f };
	if (make_tables(s, require) || read_windows(s) ||
	    prepare(s, &s->resolve, "SELECT swarm FROM alias WHERE hash = ?1") ||
	    prepare(s, &s->contacts,
	    "SELECT c.conn, c.origin, c.swarm, c.port, c.listen_port, "
	    "c.direction, c.opened_utc_ns, coalesce(c.closed_utc_ns, (SELECT "
	    "max(utc_ns, c.opened_utc_ns) FROM evidence.record WHERE seq = "
	    "x.last_seq), c.opened_utc_ns), c.outcome, c.peer_id IS NOT NULL, "
	    "c.rx_bytes, c.pieces_matched + c.pieces_failed, c.level, "
	    "g.greeted_seq, g.greeted_utc_ns, g.claimed_seq, g.claimed_utc_ns, "
	    "coalesce(x.last_seq, c.conn), c.pieces_claimed IS 0 "
	    "FROM contact AS c LEFT JOIN rung AS g ON g.conn = c.conn AND "
	    "g.ip = c.ip AND g.port = c.port LEFT JOIN extent AS x ON x.conn = "
	    "c.conn WHERE c.ip = ?1 ORDER BY c.conn, c.port") ||
	    prepare(s, &s->pieces, "SELECT seq, utc_ns, ok, bytes FROM "
	    "piece_check WHERE seq > ?1 AND seq <= ?2 AND conn = ?1 AND ip = "
	    "?3 AND port = ?4 ORDER BY seq") ||
	    prepare(s, &s->hash, "SELECT json_extract(detail, '$.infohash') "
	    "FROM evidence.record WHERE seq = ?1") ||
	    prepare(s, &s->spoke, "SELECT json_extract(detail, '$.infohash'), "
	    "seq FROM evidence.record WHERE seq > ?1 AND seq <= ?2 AND conn = "
	    "?1 AND kind = 'handshake' AND ip = ?3 AND port = ?4 "
	    "ORDER BY seq LIMIT 1") ||
	    prepare(s, &s->listed, "SELECT e.port, e.first_utc_ns, "
	    "e.last_utc_ns, (SELECT min(first_seq) FROM sighting AS s WHERE "
	    "s.swarm = e.swarm AND s.ip = e.ip AND s.port = e.port) FROM "
	    "endpoint AS e WHERE e.swarm = ?1 AND e.ip = ?2 AND e.port_kind = "
	    "'listed' ORDER BY e.utc_day, e.port") ||
	    prepare(s, &s->known, "SELECT EXISTS (SELECT 1 FROM swarm WHERE "
	    "swarm = ?1) OR EXISTS (SELECT 1 FROM endpoint WHERE swarm = ?1) "
	    "OR EXISTS (SELECT 1 FROM live WHERE swarm = ?1), EXISTS (SELECT 1 "
	    "FROM decoy_endpoint WHERE ip = ?2 AND accepted)") ||
	    prepare(s, &s->live, "SELECT from_ns, to_ns FROM live WHERE "
	    "swarm = ?1") ||
	    prepare(s, &s->others, "SELECT count(DISTINCT ip), ip, port, "
	    "seq, max(port = ?5) FROM moment WHERE swarm = ?1 AND utc_ns "
	    "BETWEEN ?2 AND ?3 AND ip <> ?4"))
		return -1;
	return 0;
}

void sights_close(struct sights *s)
{
	sqlite3_stmt *all[] = { s->resolve, s->contacts, s->pieces, s->spoke,
	    s->hash, s->listed, s->known, s->live, s->others };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		sqlite3_finalize(all[i]);
	free(s->import);
	free(s->at);
	*s = (struct sights){ 0 };
}

static void add(struct sights *s, enum seen what, int level, int64_t from,
    int64_t to, int64_t seq)
{
	if (s->n == SIGHTS_MOST) {
		s->cut = true;
		return;
	}
	if (s->n == s->room) {
		s->room = s->room ? 2 * s->room : 256;
		s->at = realloc(s->at, s->room * sizeof(*s->at));
		if (s->at == NULL)
			log_die("out of memory");
	}
	s->at[s->n++] = (struct sight){ what, level, from, to < from ? from :
	    to, seq };
}

/* --- one conversation ------------------------------------------------------------ */

struct contact {
	int64_t conn, from, to, last_seq;
	int port;
	const char *ip;
	struct rows q;
};

/* Of this conversation and end: the query's first four. */
static struct rows rows_of(sqlite3_stmt *st, const struct contact *c)
{
	sqlite3_reset(st);
	sqlite3_bind_int64(st, 1, c->conn);
	sqlite3_bind_int64(st, 2, c->last_seq);
	sqlite3_bind_text(st, 3, c->ip, -1, SQLITE_STATIC);
	sqlite3_bind_int(st, 4, c->port);
	return (struct rows){ .st = st };
}

static int add_pieces(struct sights *s, const struct contact *c, bool port,
    struct verdict_of *v)
{
	struct rows q = rows_of(s->pieces, c);

	while (rows_next(&q)) {
		int64_t seq = rows_int(&q, 0), at = rows_int(&q, 1);
		bool known = !rows_null(&q, 2);
		int level = known ? 5 : 4;

		if (!known && rows_int(&q, 3) <= 0)
			continue;
		v->held_pieces += port;
		if (known && rows_int(&q, 2) == 0) {
			if (port)
				add(s, SEEN_FAILED, 0, at, at, seq);
			continue;
		}
		add(s, port ? SEEN_LEVEL : SEEN_OTHER_PORT, level, at, at, seq);
	}
	return q.failed ? -1 : 0;
}

/* Under which infohash it spoke: 1 the claimed one, of a torrent unknown to
 * the case; 0 another. *seq: by which record, else that of the conversation.
 * -1 logged. */
static int other_hash(struct sights *s, const struct contact *c,
    const struct claim *k, struct beside *b, int64_t *seq)
{
	struct rows q = rows_of(s->spoke, c);

	*seq = c->conn;
	if (rows_next(&q) && !rows_null(&q, 0)) {
		*seq = rows_int(&q, 1);
		if (strncmp(rows_text(&q, 0), k->infohash, 40) == 0) {
			b->spoke_seq = *seq;
			return q.failed ? -1 : 1;
		}
	}
	return q.failed ? -1 : 0;
}

int sights_hash(struct sights *s, int64_t seq, char hash[65])
{
	struct rows q = { .st = s->hash };

	sqlite3_reset(s->hash);
	sqlite3_bind_int64(s->hash, 1, seq);
	snprintf(hash, 65, "%s", rows_next(&q) && !rows_null(&q, 0) ?
	    rows_text(&q, 0) : "");
	sqlite3_reset(s->hash);
	return q.failed ? -1 : 0;
}

/* A conversation under the claimed torrent, or a dial for it. */
static int add_ours(struct sights *s, const struct contact *c, bool port,
    const struct claim *k, struct verdict_of *v, struct beside *b)
{
	const struct rows *q = &c->q;
	enum seen what = port ? SEEN_LEVEL : SEEN_OTHER_PORT;
	int level = (int)rows_int(q, 12);
	int64_t seq;
	int r;

	if (level == 0) {
		bool vain = strcmp(rows_text(q, 8), "open") != 0 &&
		    strcmp(rows_text(q, 5), "out") == 0 && port;

		if (vain)
			add(s, windows_touch(&s->facts->stall, c->from, c->to) ?
			    SEEN_STALLED : SEEN_VAIN, 0, c->from, c->to,
			    c->conn);
		return 0;
	}
	add(s, what, 1, c->from, c->to, c->conn);
	if (port) {
		b->import |= strcmp(rows_text(q, 1), "import") == 0;
		b->withdrawn += rows_int(q, 18) != 0;
		if (rows_null(q, 10))
			v->held_bytes = -1;
		else if (v->held_bytes >= 0)
			v->held_bytes += rows_int(q, 10);
	}
	if (port && level == 1 && rows_int(q, 9)) {
		r = other_hash(s, c, k, b, &seq);
		if (r == 0)
			add(s, SEEN_OTHER_TORRENT, 1, c->from, c->to, seq);
		return r < 0 ? -1 : 0;
	}
	if (!rows_null(q, 13))
		add(s, what, 2, rows_int(q, 14), c->to, rows_int(q, 13));
	if (!rows_null(q, 15))
		add(s, what, 3, rows_int(q, 16), c->to, rows_int(q, 15));
	return level >= 2 ? add_pieces(s, c, port, v) : 0;
}

/* One under another torrent, or under one that is none of ours. */
static int add_other(struct sights *s, const struct contact *c, bool port,
    const struct claim *k, struct beside *b)
{
	const struct rows *q = &c->q;
	int64_t seq;
	int r;

	if (!port || !rows_int(q, 9))
		return 0;
	r = other_hash(s, c, k, b, &seq);
	if (r == 1) {
		add(s, SEEN_LEVEL, 1, c->from, c->to, c->conn);
		b->torrent_known = true;
	} else if (r == 0) {
		add(s, SEEN_OTHER_TORRENT, 0, rows_null(q, 14) ? c->from :
		    rows_int(q, 14), c->to, seq);
	}
	return r < 0 ? -1 : 0;
}

static int add_contacts(struct sights *s, const struct claim *k,
    struct verdict_of *v, struct beside *b)
{
	struct contact c = { .ip = k->ip, .q = { .st = s->contacts } };
	bool by_listen = false, by_remote = false;
	int r = 0;

	sqlite3_reset(s->contacts);
	sqlite3_bind_text(s->contacts, 1, k->ip, -1, SQLITE_STATIC);
	while (r == 0 && rows_next(&c.q)) {
		const char *swarm = rows_text(&c.q, 2);
		bool remote, listens;

		c.conn = rows_int(&c.q, 0);
		c.port = (int)rows_int(&c.q, 3);
		c.from = rows_int(&c.q, 6);
		c.to = rows_int(&c.q, 7);
		c.last_seq = rows_int(&c.q, 17);
		remote = k->port < 0 || c.port == k->port;
		listens = !remote && rows_int(&c.q, 4) == k->port;
		if (swarm && strcmp(swarm, b->swarm) == 0) {
			r = add_ours(s, &c, remote || listens, k, v, b);
			by_listen |= listens && rows_int(&c.q, 12) > 0;
			by_remote |= remote && rows_int(&c.q, 12) > 0;
		} else {
			r = add_other(s, &c, remote || listens, k, b);
		}
	}
	b->listen_port = by_listen && !by_remote;
	return c.q.failed ? -1 : r;
}

static int add_listed(struct sights *s, const struct claim *k,
    const struct beside *b)
{
	struct rows q = { .st = s->listed };

	sqlite3_reset(s->listed);
	sqlite3_bind_text(s->listed, 1, b->swarm, -1, SQLITE_STATIC);
	sqlite3_bind_text(s->listed, 2, k->ip, -1, SQLITE_STATIC);
	while (rows_next(&q)) {
		enum seen what = k->port < 0 || rows_int(&q, 0) == k->port ?
		    SEEN_LEVEL : SEEN_OTHER_PORT;
		int64_t first = rows_int(&q, 1), last = rows_int(&q, 2),
		    seq = rows_null(&q, 3) ? -1 : rows_int(&q, 3);

		add(s, what, 0, first, first, seq);
		if (last > first)
			add(s, what, 0, last, last, seq);
	}
	return q.failed ? -1 : 0;
}

/* --- what was watched ---------------------------------------------------------------- */

static bool touches(int64_t from, int64_t to, int64_t bound, int64_t a,
    int64_t b)
{
	int64_t at;

	return verdict_distance(from, to, a, b, &at) <= bound;
}

static int watched(struct sights *s, const struct claim *k, int64_t bound,
    struct verdict_of *v, struct beside *b)
{
	struct rows q = { .st = s->known };
	bool import = false;

	sqlite3_reset(s->known);
	sqlite3_bind_text(s->known, 1, b->swarm, -1, SQLITE_STATIC);
	sqlite3_bind_text(s->known, 2, k->ip, -1, SQLITE_STATIC);
	if (rows_next(&q)) {
		b->torrent_known |= rows_int(&q, 0) != 0;
		b->decoy = rows_int(&q, 1) != 0;
	}
	if (q.failed)
		return -1;
	for (size_t i = 0; i < s->imports && !import; i++)
		import = touches(k->from_utc_ns, k->to_utc_ns, bound,
		    s->import[i].from_ns, s->import[i].to_ns);
	v->watched = import && b->torrent_known;
	q = (struct rows){ .st = s->live };
	sqlite3_reset(s->live);
	sqlite3_bind_text(s->live, 1, b->swarm, -1, SQLITE_STATIC);
	while (rows_next(&q))
		if (touches(k->from_utc_ns, k->to_utc_ns, bound,
		    rows_int(&q, 0), rows_int(&q, 1)))
			v->watched = true;
	return q.failed ? -1 : 0;
}

/* What the case has of its address, port and torrent, at whatever time. */
static int read_case(struct sights *s, const struct claim *c)
{
	struct rows q = { .st = s->resolve };
	struct beside *b = &s->beside;

	s->whose = false;
	*b = (struct beside){ .others = -1, .spoke_seq = -1 };
	s->held = (struct verdict_of){ .held_bytes = 0 };
	s->n = 0;
	s->cut = false;
	sqlite3_reset(s->resolve);
	sqlite3_bind_text(s->resolve, 1, c->infohash, -1, SQLITE_STATIC);
	snprintf(b->swarm, sizeof(b->swarm), "%s", rows_next(&q) ?
	    rows_text(&q, 0) : c->infohash);
	sqlite3_reset(s->resolve);
	if (q.failed || add_contacts(s, c, &s->held, b) ||
	    add_listed(s, c, b))
		return -1;
	b->own = facts_own(s->facts, c->ip);
	s->held.sight = s->at;
	s->held.n = s->n;
	s->whose = true;
	s->port = c->port;
	snprintf(s->ip, sizeof(s->ip), "%s", c->ip);
	snprintf(s->infohash, sizeof(s->infohash), "%s", c->infohash);
	return 0;
}

static bool is_whose(const struct sights *s, const struct claim *c)
{
	return s->whose && s->port == c->port && strcmp(s->ip, c->ip) == 0 &&
	    strcmp(s->infohash, c->infohash) == 0;
}

int sights_of(struct sights *s, const struct claim *c, int64_t bound_ns,
    struct verdict_of *v, struct beside *b)
{
	if (!is_whose(s, c) && read_case(s, c))
		return -1;
	*b = s->beside;
	*v = s->held;
	v->from_ns = c->from_utc_ns;
	v->to_ns = c->to_utc_ns;
	v->claimed_bytes = c->bytes;
	v->claimed_pieces = c->pieces;
	return watched(s, c, bound_ns, v, b);
}

int sights_others(struct sights *s, const struct claim *c, int64_t reach_ns,
    struct beside *b)
{
	struct rows q = { .st = s->others };

	sqlite3_reset(s->others);
	sqlite3_bind_text(s->others, 1, b->swarm, -1, SQLITE_STATIC);
	sqlite3_bind_int64(s->others, 2, c->from_utc_ns - reach_ns);
	sqlite3_bind_int64(s->others, 3, c->to_utc_ns + reach_ns);
	sqlite3_bind_text(s->others, 4, c->ip, -1, SQLITE_STATIC);
	sqlite3_bind_int(s->others, 5, c->port);
	if (rows_next(&q)) {
		b->others = rows_int(&q, 0);
		if (b->others > 0) {
			snprintf(b->other_ip, sizeof(b->other_ip), "%s",
			    rows_text(&q, 1));
			b->other_port = (int)rows_int(&q, 2);
			b->other_seq = rows_int(&q, 3);
			b->same_port = rows_int(&q, 4) != 0;
		}
	}
	sqlite3_reset(s->others);
	return q.failed ? -1 : 0;
}
