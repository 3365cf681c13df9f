#include "capture/ledgered.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/json.h"
#include "schema/log.h"

#define SLACK_NS 2000000000LL	/* stamps of two clocks' readers differ so much */

/* An answer of a tracker or node, by kind and bytes. */
struct answer {
	char key[80];
	int64_t seq;
	size_t heards;		/* of those with this key, in the first */
	bool heard;
	bool cut;		/* a datagram that may have come in fragments */
};

#define UNCUT_MOST 1232		/* bytes: RFC 8200 lets no link be narrower */

static void *grown(void *p, size_t n, size_t one)
{
	if ((n & (n - 1)) == 0)
		p = realloc(p, (n ? 2 * n : 1) * one);
	if (!p)
		log_die("out of memory for a replay");
	return p;
}

static const char *text(sqlite3_stmt *s, int col)
{
	return (const char *)sqlite3_column_text(s, col);
}

static sqlite3_stmt *query(struct ledgered *l, const char *sql)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(l->db, sql, -1, &s, NULL) != SQLITE_OK)
		log_warn("evidence.db: %s", sqlite3_errmsg(l->db));
	return s;
}

/* --- runs and savefiles ------------------------------------------------------------- */

static void add_vantage(struct ledgered *l, const char *ip)
{
	struct endpoint e;

	if (!ip || !endpoint_parse_ip(span_str(ip), &e))
		return;
	for (size_t i = 0; i < l->vantages; i++)
		if (endpoint_same_ip(&l->vantage[i], &e))
			return;
	l->vantage = grown(l->vantage, l->vantages, sizeof(*l->vantage));
	l->vantage[l->vantages++] = e;
}

static void open_run(struct ledgered *l, sqlite3_stmt *s)
{
	l->run = grown(l->run, l->runs, sizeof(*l->run));
	l->run[l->runs++] = (struct ledgered_run){
		.seq = sqlite3_column_int64(s, 0), .end_seq = INT64_MAX,
		.utc_ns = sqlite3_column_int64(s, 6), .crashed = l->crashed,
		.listen = (uint16_t)sqlite3_column_int(s, 3),
		.from = (uint16_t)sqlite3_column_int(s, 4),
		.to = (uint16_t)sqlite3_column_int(s, 5) };
}

static bool read_runs(struct ledgered *l)
{
	sqlite3_stmt *s = query(l, "SELECT seq, kind, "
	    "json_extract(detail,'$.config.import'), "
	    "json_extract(detail,'$.config.listen'), "
	    "json_extract(detail,'$.config.ports_from'), "
	    "json_extract(detail,'$.config.ports_to'), utc_ns FROM record "
	    "WHERE kind IN ('run','end') AND json_valid(detail) ORDER BY seq");
	sqlite3_stmt *v = query(l, "SELECT DISTINCT value FROM record, "
	    "json_each(detail,'$.vantage') WHERE kind='run' "
	    "AND json_valid(detail)");
	bool open = false;	/* a live run */

	while (s && sqlite3_step(s) == SQLITE_ROW) {
		if (strcmp(text(s, 1), "end") == 0) {
			if (open)
				l->run[l->runs - 1].end_seq =
				    sqlite3_column_int64(s, 0);
			open = false;
			continue;
		}
		l->crashed |= open;
		open = sqlite3_column_type(s, 2) == SQLITE_NULL;
		if (open)
			open_run(l, s);
	}
	l->crashed |= open;
	while (v && sqlite3_step(v) == SQLITE_ROW)
		add_vantage(l, text(v, 0));
	sqlite3_finalize(s);
	sqlite3_finalize(v);
	return s && v;
}

/* Of live runs alone: an import's are made again by capture/remake. */
static bool read_saved(struct ledgered *l)
{
	sqlite3_stmt *s = query(l, "SELECT json_extract(detail,'$.file'), "
	    "json_extract(detail,'$.first_utc_ns'), "
	    "json_extract(detail,'$.last_utc_ns'), "
	    "coalesce(json_extract(detail,'$.dropped_kernel'),0) + "
	    "coalesce(json_extract(detail,'$.dropped_interface'),0), "
	    "json_extract(detail,'$.dropped_kernel') = -1, "
	    "CASE WHEN json_extract(detail,'$.salvaged') THEN 0 ELSE utc_ns END "
	    "FROM record WHERE kind='packets' AND json_valid(detail) AND "
	    "json_extract(detail,'$.imported') IS NULL ORDER BY 1");
	sqlite3_stmt *n = query(l, "SELECT count(*), (SELECT count(*) FROM "
	    "gone) FROM record WHERE kind='no_packets'");

	while (s && sqlite3_step(s) == SQLITE_ROW) {
		struct saved f = { .first_utc_ns = sqlite3_column_int64(s, 1),
			.last_utc_ns = sqlite3_column_int64(s, 2),
			.dropped = sqlite3_column_int64(s, 3),
			.told_utc_ns = sqlite3_column_int64(s, 5) };
		const char *name = text(s, 0);

		if (!name || strncmp(name, "packets/", 8) != 0 ||
		    strstr(name, "..") || strlen(name) >= sizeof(f.file))
			continue;	/* verify's other checks say so */
		snprintf(f.file, sizeof(f.file), "%s", name);
		if (sqlite3_column_int(s, 4))
			f.dropped = -1;		/* not known */
		l->saved = grown(l->saved, l->saves, sizeof(*l->saved));
		l->saved[l->saves++] = f;
	}
	if (n && sqlite3_step(n) == SQLITE_ROW) {
		l->patchy = sqlite3_column_int64(n, 0) > 0;
		l->erased = sqlite3_column_int64(n, 1) > 0;
	}
	sqlite3_finalize(s);
	sqlite3_finalize(n);
	return s && n;
}

struct ledgered *ledgered_new(sqlite3 *db)
{
	struct ledgered *l = calloc(1, sizeof(*l));

	if (!l)
		log_die("out of memory for a replay");
	l->db = db;
	l->ends = query(l, "SELECT json_extract(?1,'$.rx_bytes'), "
	    "json_extract(?1,'$.tx_bytes'), json_extract(?1,'$.rx_sha256'), "
	    "json_extract(?1,'$.tx_sha256')");
	l->order = query(l, "SELECT value FROM json_each(?1,'$.heard')");
	if (!l->ends || !l->order || !read_runs(l) || !read_saved(l)) {
		ledgered_free(l);
		return NULL;
	}
	return l;
}

bool ledgered_is_ours(const struct ledgered *l, const struct endpoint *e)
{
	bool here = false;

	for (size_t i = 0; i < l->vantages && !here; i++)
		here = endpoint_same_ip(&l->vantage[i], e);
	for (size_t i = 0; i < l->runs && here; i++)
		if (e->port == l->run[i].listen ||
		    (e->port >= l->run[i].from && e->port <= l->run[i].to))
			return true;
	return false;
}

bool ledgered_covers(const struct ledgered *l, int64_t utc_ns)
{
	for (size_t i = 0; i < l->saves; i++)
		if (l->saved[i].first_utc_ns &&
		    utc_ns >= l->saved[i].first_utc_ns - SLACK_NS &&
		    utc_ns <= l->saved[i].last_utc_ns + SLACK_NS)
			return true;
	return false;
}

/* Drops are counted when a file is closed. They may lie between its packets
 * and those of the one before; and behind all of its packets, since the ring
 * whose packets it holds was full by then. */
static bool may_lack(const struct ledgered *l, size_t i, int64_t from_ns,
    int64_t to_ns)
{
	const struct saved *f = &l->saved[i];
	int64_t first = f->first_utc_ns, last = f->last_utc_ns;

	if (i > 0 && l->saved[i - 1].last_utc_ns > 0 &&
	    l->saved[i - 1].last_utc_ns < first)
		first = l->saved[i - 1].last_utc_ns;
	if (f->told_utc_ns > last)
		last = f->told_utc_ns;
	return f->dropped != 0 && from_ns <= last + SLACK_NS &&
	    to_ns >= first - SLACK_NS;
}

bool ledgered_lossy(const struct ledgered *l, int64_t from_ns, int64_t to_ns)
{
	for (size_t i = 0; i < l->saves; i++)
		if (may_lack(l, i, from_ns, to_ns))
			return true;
	return l->patchy || l->erased;
}

/* --- conversations -------------------------------------------------------------------- */

static struct talked *find_seq(const struct ledgered *l, int64_t seq)
{
	size_t low = 0, high = l->talks;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->talk[mid]->seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->talks && l->talk[low]->seq == seq ? l->talk[low] :
	    NULL;
}

static const struct ledgered_run *run_of(const struct ledgered *l, int64_t seq)
{
	for (size_t i = l->runs; i-- > 0;)
		if (l->run[i].seq < seq)
			return &l->run[i];
	return NULL;
}

static bool run_ended(const struct ledgered *l, int64_t seq)
{
	const struct ledgered_run *r = run_of(l, seq);

	return r && seq < r->end_seq && r->end_seq != INT64_MAX;
}

/* The packets of a killed run hold dials that its ledger has lost. Those of the
 * next run go to the same peers, perhaps from the same ports: but they came
 * later, unless the clock was set back since that run began. */
static int64_t not_before(const struct ledgered *l, const struct talked *t)
{
	const struct ledgered_run *r = run_of(l, t->seq);

	return r && r->crashed && t->dialled && t->utc_ns >= r->utc_ns ?
	    r->utc_ns : INT64_MIN;
}

/* Columns of the walk. */
enum { SEQ, UTC, KIND, SWARM, CONN, IP, PORT, DETAIL, DIGEST, RAW, TRANSPORT,
	LOCAL, SOURCE, SECRET, SKEY };

static void read_local(struct talked *t, sqlite3_stmt *s)
{
	const char *local = text(s, LOCAL);

	if (local)
		endpoint_parse(span_str(local), &t->local);
}

static void open_talk(struct ledgered *l, sqlite3_stmt *s)
{
	const char *transport = text(s, TRANSPORT), *ip = text(s, IP);
	struct talked *t = calloc(1, sizeof(*t));

	if (!t)
		log_die("out of memory for a replay");
	t->seq = sqlite3_column_int64(s, SEQ);
	t->utc_ns = t->end_ns = sqlite3_column_int64(s, UTC);
	t->utp = transport && strcmp(transport, "utp") == 0;
	t->dialled = strcmp(text(s, KIND), "dial") == 0;
	t->veiled = text(s, SECRET) && strcmp(text(s, SECRET), "mse") == 0;
	t->run_ended = run_ended(l, t->seq);
	t->not_before_ns = not_before(l, t);
	if (ip && endpoint_parse_ip(span_str(ip), &t->peer))
		t->peer.port = (uint16_t)sqlite3_column_int(s, PORT);
	read_local(t, s);
	l->talk = grown(l->talk, l->talks, sizeof(struct talked *));
	l->talk[l->talks++] = t;
}

static void close_talk(struct ledgered *l, struct talked *t,
    const char *detail)
{
	sqlite3_stmt *s = l->ends;

	sqlite3_bind_text(s, 1, detail, -1, SQLITE_STATIC);
	if (sqlite3_step(s) == SQLITE_ROW && text(s, 2) && text(s, 3)) {
		t->closed = true;
		t->rx_bytes = sqlite3_column_int64(s, 0);
		t->tx_bytes = sqlite3_column_int64(s, 1);
		snprintf(t->rx_sha256, sizeof(t->rx_sha256), "%s", text(s, 2));
		snprintf(t->tx_sha256, sizeof(t->tx_sha256), "%s", text(s, 3));
		t->spoken |= t->rx_bytes > 0;
	}
	sqlite3_reset(s);
}

static void add_answer(struct ledgered *l, const char *kind,
    const char *sha256, int64_t seq, bool cut)
{
	struct answer *a;

	l->answer = grown(l->answer, l->answers, sizeof(*l->answer));
	a = &l->answer[l->answers++];
	*a = (struct answer){ .seq = seq, .cut = cut };
	snprintf(a->key, sizeof(a->key), "%s %s", kind, sha256);
}

/* Over HTTPS the bytes are not in the clear; by local discovery they are not in
 * the savefiles. */
static void take_answer(struct ledgered *l, sqlite3_stmt *s, const char *kind)
{
	const char *source = text(s, SOURCE), *digest = text(s, DIGEST);

	if (!digest || !source || strcmp(source, "lsd") == 0 ||
	    strcmp(source, "magnet") == 0 ||
	    !ledgered_covers(l, sqlite3_column_int64(s, UTC)) ||
	    !run_ended(l, sqlite3_column_int64(s, SEQ)))
		return;
	if (strncmp(source, "https:", 6) == 0)
		l->in_tls++;
	else
		add_answer(l, kind, digest, sqlite3_column_int64(s, SEQ),
		    (strcmp(kind, "dht") == 0 ||
		    strncmp(source, "udp:", 4) == 0) &&
		    sqlite3_column_bytes(s, RAW) > UNCUT_MOST);
}

static void read_secret(struct talked *t, sqlite3_stmt *s)
{
	const char *secret = text(s, SECRET), *skey = text(s, SKEY);
	struct dissect_secret got = { 0 };

	t->veiled = true;
	if (t->secret || !secret || !hex_read(span_str(secret), got.secret,
	    sizeof(got.secret)))
		return;
	got.skey_known = skey && hex_read(span_str(skey), got.skey,
	    sizeof(got.skey));
	t->secret = malloc(sizeof(*t->secret));
	if (!t->secret)
		log_die("out of memory for a replay");
	*t->secret = got;
}

/* One number, or those of a run. */
static void read_order(struct ledgered *l, struct talked *t,
    const char *detail)
{
	sqlite3_stmt *s = l->order;

	t->unordered |= strncmp(detail, "{\"by\":\"us\"", 10) == 0 &&
	    strstr(detail, "\"heard\":") == NULL;
	sqlite3_bind_text(s, 1, detail, -1, SQLITE_STATIC);
	while (sqlite3_step(s) == SQLITE_ROW) {
		int64_t n = sqlite3_column_int64(s, 0);

		t->order = grown(t->order, t->orders, sizeof(*t->order));
		t->order[t->orders++] = n > 0 ? (uint64_t)n : 0;
	}
	sqlite3_reset(s);
}

static bool is_ordered(const char *kind)
{
	return strcmp(kind, "request") == 0 || strcmp(kind, "extended") == 0 ||
	    strcmp(kind, "metadata") == 0;
}

static bool is_peer(const struct talked *t, sqlite3_stmt *s)
{
	const char *ip = text(s, IP);
	struct endpoint e;

	return ip && endpoint_parse_ip(span_str(ip), &e) &&
	    endpoint_same_ip(&e, &t->peer) &&
	    sqlite3_column_int(s, PORT) == t->peer.port;
}

static void take_row(struct ledgered *l, struct tally *t, sqlite3_stmt *s)
{
	const char *kind = text(s, KIND), *detail = text(s, DETAIL);
	struct talked *talk;

	if (!kind || !detail)
		return;
	if (strcmp(kind, "dial") == 0 || strcmp(kind, "accept") == 0) {
		open_talk(l, s);
		return;
	}
	if (sqlite3_column_type(s, CONN) == SQLITE_NULL) {
		take_answer(l, s, kind);
		return;
	}
	talk = find_seq(l, sqlite3_column_int64(s, CONN));
	if (!talk)
		return;		/* a flow's */
	talk->end_ns = sqlite3_column_int64(s, UTC);
	if (!talk->elsewhere && !is_peer(talk, s))
		talk->elsewhere = sqlite3_column_int64(s, SEQ);
	if (strcmp(kind, "reached") == 0) {
		read_local(talk, s);
	} else if (strcmp(kind, "closed") == 0) {
		close_talk(l, talk, detail);
	} else if (strcmp(kind, "claims") == 0) {
		talk->early = true;
	} else if (tally_counts(kind)) {
		if (strcmp(kind, "encrypted") == 0)
			read_secret(talk, s);
		else if (is_ordered(kind))
			read_order(l, talk, detail);
		talk->spoken = true;
		tally_add(t, talk->told, kind, detail,
		    span_of(sqlite3_column_blob(s, RAW),
		    (size_t)sqlite3_column_bytes(s, RAW)), text(s, DIGEST),
		    sqlite3_column_int64(s, SEQ));
	}
}

/* Then by time: with one peer there may be very many. */
static int by_peer(const void *a, const void *b)
{
	const struct talked *x = *(struct talked *const *)a;
	const struct talked *y = *(struct talked *const *)b;
	int r = x->utp != y->utp ? (x->utp ? 1 : -1) :
	    endpoint_cmp(&x->peer, &y->peer);

	if (r == 0 && x->utc_ns != y->utc_ns)
		r = x->utc_ns < y->utc_ns ? -1 : 1;
	return r ? r : (x->seq > y->seq) - (x->seq < y->seq);
}

static int by_key(const void *a, const void *b)
{
	const struct answer *x = a, *y = b;
	int r = strcmp(x->key, y->key);

	return r ? r : (x->seq > y->seq) - (x->seq < y->seq);
}

/* A conversation whose swarm had no torrent yet when it began. */
static bool read_early(struct ledgered *l)
{
	sqlite3_stmt *s = query(l, "WITH known AS (SELECT swarm, min(seq) AS "
	    "seq FROM record WHERE kind='torrent' AND conn IS NULL GROUP BY "
	    "swarm) SELECT DISTINCT r.conn FROM record r LEFT JOIN known USING "
	    "(swarm) WHERE r.kind IN ('dial','greeted','handshake') AND "
	    "r.swarm IS NOT NULL AND (known.seq IS NULL OR known.seq > "
	    "r.conn)");

	while (s && sqlite3_step(s) == SQLITE_ROW) {
		struct talked *t = find_seq(l, sqlite3_column_int64(s, 0));

		if (t)
			t->early = true;
	}
	sqlite3_finalize(s);
	return s != NULL;
}

int ledgered_read(struct ledgered *l, struct tally *t)
{
	sqlite3_stmt *s = query(l, "SELECT r.seq, utc_ns, kind, swarm, conn, "
	    "ip, port, detail, raw_sha256, w.bytes, "
	    "CASE WHEN kind IN ('dial','accept') THEN "
	    "json_extract(detail,'$.transport') END, "
	    "CASE WHEN kind IN ('accept','reached') THEN "
	    "json_extract(detail,'$.local') END, "
	    "CASE WHEN conn IS NULL THEN CASE kind "
	    "WHEN 'listed' THEN CASE json_extract(detail,'$.source') "
	    "WHEN 'tracker' THEN json_extract(detail,'$.witness') ELSE "
	    "json_extract(detail,'$.source') END "
	    "WHEN 'scrape' THEN json_extract(detail,'$.tracker') "
	    "WHEN 'dht' THEN json_extract(detail,'$.query') END END, "
	    "CASE kind WHEN 'encrypted' THEN json_extract(detail,'$.secret') "
	    "WHEN 'dial' THEN json_extract(detail,'$.encryption') END, "
	    "CASE kind WHEN 'encrypted' THEN json_extract(detail,'$.skey') END "
	    "FROM record r LEFT JOIN raw w ON w.seq = r.seq "
	    "WHERE json_valid(detail) AND (conn IS NOT NULL OR kind IN "
	    "('listed','scrape','dht')) ORDER BY r.seq");
	int rc;

	while (s && (rc = sqlite3_step(s)) == SQLITE_ROW)
		take_row(l, t, s);
	if (!s || rc != SQLITE_DONE) {
		log_warn("evidence.db: %s", sqlite3_errmsg(l->db));
		sqlite3_finalize(s);
		return -1;
	}
	sqlite3_finalize(s);
	if (l->answers)
		qsort(l->answer, l->answers, sizeof(*l->answer), by_key);
	l->by_peer = malloc((l->talks + 1) * sizeof(struct talked *));
	if (!l->by_peer)
		log_die("out of memory for a replay");
	if (l->talks)
		memcpy(l->by_peer, l->talk, l->talks *
		    sizeof(struct talked *));
	qsort(l->by_peer, l->talks, sizeof(struct talked *), by_peer);
	return read_early(l) ? 0 : -1;
}

struct talked **ledgered_find(const struct ledgered *l, bool utp,
    const struct endpoint *peer, int64_t from_ns, int64_t to_ns, size_t *n)
{
	struct talked want = { .utp = utp, .peer = *peer, .utc_ns = from_ns,
		.seq = -1 }, *key = &want;
	size_t low = 0, high = l->talks;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (by_peer(&l->by_peer[mid], &key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	want.utc_ns = to_ns;
	want.seq = INT64_MAX;
	for (*n = 0; low + *n < l->talks &&
	    by_peer(&l->by_peer[low + *n], &key) <= 0; ++*n)
		;
	return l->by_peer + low;
}

void ledgered_swarms(struct ledgered *l, struct known *k)
{
	sqlite3_stmt *s = query(l, "SELECT DISTINCT swarm FROM record WHERE "
	    "kind='dial' AND swarm IS NOT NULL");
	uint8_t hash[20];

	while (s && sqlite3_step(s) == SQLITE_ROW) {
		struct span hex = span_str(text(s, 0));

		if (hex.n >= 40 && hex_read(span_of(hex.p, 40), hash, 20))
			known_hold(k, hash);
	}
	sqlite3_finalize(s);
}

/* --- answers ------------------------------------------------------------------------------ */

void ledgered_answer(struct ledgered *l, const char *kind,
    const char *sha256, const char *detail)
{
	struct answer want = { 0 };
	size_t low = 0, high = l->answers;

	if (strcmp(kind, "dht") == 0 && strncmp(detail, "{\"query\"", 8) != 0)
		return;		/* a question */
	snprintf(want.key, sizeof(want.key), "%s %s", kind, sha256);
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(l->answer[mid].key, want.key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	high = low < l->answers ? low + l->answer[low].heards : low;
	if (high < l->answers && strcmp(l->answer[high].key, want.key) == 0) {
		l->answer[high].heard = true;
		l->answer[low].heards++;
	} else {
		l->extra++;	/* too late for who asked, or told twice */
	}
}

void ledgered_settle(struct ledgered *l, struct replay *r)
{
	int64_t first = -1, cut = 0;

	for (size_t i = 0; i < l->answers; i++) {
		if (l->answer[i].heard) {
			r->exchanges++;
			continue;
		}
		r->exchanges_missing++;
		cut += l->answer[i].cut;
		if (l->answer[i].cut)
			continue;
		if (first < 0 || l->answer[i].seq < first)
			first = l->answer[i].seq;
	}
	r->exchanges_extra = l->extra;
	r->in_tls = l->in_tls;
	if (cut)
		replay_tell(r, false, "%" PRId64 " answers of trackers or nodes "
		    "are longer than what every link carries whole: no filter by "
		    "ports takes the fragments after a packet's first", cut);
	if (r->exchanges_missing > cut)
		replay_tell(r, !ledgered_lossy(l, INT64_MIN / 2,
		    INT64_MAX / 2), "%" PRId64 " answers of trackers or nodes "
		    "are not in the packets; the first is record %" PRId64,
		    r->exchanges_missing - cut, first);
}

void ledgered_free(struct ledgered *l)
{
	if (!l)
		return;
	sqlite3_finalize(l->ends);
	sqlite3_finalize(l->order);
	for (size_t i = 0; i < l->talks; i++) {
		tally_free(l->talk[i]->told);
		free(l->talk[i]->secret);
		free(l->talk[i]->order);
		free(l->talk[i]);
	}
	free(l->talk);
	free(l->by_peer);
	free(l->vantage);
	free(l->run);
	free(l->saved);
	free(l->answer);
	free(l);
}
