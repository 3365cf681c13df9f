#include "capture/slice.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture/packet.h"
#include "capture/pcapout.h"
#include "capture/source.h"
#include "schema/casedir.h"
#include "schema/digester.h"
#include "schema/gather.h"
#include "schema/log.h"

#define BEFORE_NS 1000000000LL
#define AFTER_NS 60000000000LL
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17

/* What is wanted. */
struct wanted {
	bool conn;		/* else all of end[0]'s address */
	struct endpoint end[2];	/* family 0: any */
	uint8_t protocol;
	int64_t from_ns, to_ns;
};

struct slice {
	const struct slice_conf *conf;
	sqlite3 *db;
	struct wanted wanted;
	uint32_t link;		/* of what is written */
	bool mixed, found;
	uint64_t savefiles, faults;
	struct digester *digester;	/* of the savefiles, while out; or NULL */
	struct pcapout *out;
};

/* --- what the ledger says ----------------------------------------------------- */

static bool column_endpoint(sqlite3_stmt *q, int i, struct endpoint *e)
{
	const char *text = (const char *)sqlite3_column_text(q, i);

	return text && endpoint_parse(span_str(text), e);
}

/* The connection's ends and time. A dial's local end is in its `reached`. */
static const char conn_sql[] =
    "SELECT o.kind, o.ip, o.port, json_extract(o.detail, '$.transport'),"
    " coalesce(json_extract(o.detail, '$.local'),"
    "  (SELECT json_extract(detail, '$.local') FROM record WHERE conn = ?1"
    "   AND kind = 'reached')),"
    " json_extract(o.detail, '$.initiator'),"
    " json_extract(o.detail, '$.responder'),"
    " (SELECT min(utc_ns) FROM record WHERE conn = ?1),"
    " (SELECT max(utc_ns) FROM record WHERE conn = ?1)"
    " FROM record o WHERE o.seq = ?1 AND o.conn = ?1";

static int want_conn(struct slice *s)
{
	struct wanted *w = &s->wanted;
	const char *transport;
	sqlite3_stmt *q = NULL;
	int rc = -1;

	if (sqlite3_prepare_v2(s->db, conn_sql, -1, &q, NULL) != SQLITE_OK ||
	    sqlite3_bind_int64(q, 1, s->conf->conn) != SQLITE_OK) {
		log_warn("%s: %s", s->conf->case_path, sqlite3_errmsg(s->db));
		sqlite3_finalize(q);
		return -1;
	}
	if (sqlite3_step(q) == SQLITE_ROW) {
		const char *ip = (const char *)sqlite3_column_text(q, 1);

		w->conn = true;
		transport = (const char *)sqlite3_column_text(q, 3);
		w->protocol = transport && strcmp(transport, "utp") == 0 ?
		    PROTOCOL_UDP : PROTOCOL_TCP;
		if (column_endpoint(q, 5, &w->end[0])) {
			rc = column_endpoint(q, 6, &w->end[1]) ? 0 : -1;
		} else if (ip && endpoint_parse_ip(span_str(ip),
		    &w->end[0])) {
			w->end[0].port = (uint16_t)sqlite3_column_int(q, 2);
			column_endpoint(q, 4, &w->end[1]);
			rc = 0;
		}
		w->from_ns = sqlite3_column_int64(q, 7) - BEFORE_NS;
		w->to_ns = sqlite3_column_int64(q, 8) + AFTER_NS;
	}
	sqlite3_finalize(q);
	if (rc < 0)
		log_warn("%s: %" PRId64 " is not the record that opened a "
		    "connection (dial, accept or flow)", s->conf->case_path,
		    s->conf->conn);
	return rc;
}

static int want(struct slice *s)
{
	char safe[128];

	if (s->conf->conn >= 0)
		return want_conn(s);
	if (endpoint_parse_ip(span_str(s->conf->ip), &s->wanted.end[0]))
		return 0;
	log_warn("--ip %s: not an IP address", log_safe(span_str(s->conf->ip),
	    safe, sizeof(safe)));
	return -1;
}

/* Whether a packet of an endpoint's address is of the end; port too if so. */
static bool is_end(const struct endpoint *end, const struct endpoint *e,
    bool port)
{
	return end->family == 0 || (endpoint_same_ip(end, e) &&
	    (!port || end->port == e->port));
}

static bool between(const struct wanted *w, const struct packet *p, bool port)
{
	return (is_end(&w->end[0], &p->from, port) &&
	    is_end(&w->end[1], &p->to, port)) ||
	    (is_end(&w->end[1], &p->from, port) &&
	    is_end(&w->end[0], &p->to, port));
}

/* Of an IPv6 fragment the transport may stand behind extension headers that
 * only the first one has. */
static bool may_be(uint8_t protocol, const struct packet *p)
{
	return p->protocol == protocol || (p->kind == PACKET_FRAGMENT &&
	    p->from.family == 6 && p->protocol != PROTOCOL_TCP &&
	    p->protocol != PROTOCOL_UDP);
}

static bool is_wanted(const struct wanted *w, const struct packet *p,
    const struct source_packet *s)
{
	if (p->from.family == 0)
		return false;
	if (!w->conn)
		return endpoint_same_ip(&w->end[0], &p->from) ||
		    endpoint_same_ip(&w->end[0], &p->to);
	if (!may_be(w->protocol, p) || (s->stamped &&
	    (s->utc_ns < w->from_ns || s->utc_ns > w->to_ns)))
		return false;
	return between(w, p, p->kind == PACKET_TCP || p->kind == PACKET_UDP);
}

/* --- the file that is made ------------------------------------------------------- */

static void put_packet(struct slice *s, const struct source_packet *k,
    const struct packet *p)
{
	pcapout_put(s->out, k, s->mixed ? p->ip : 0);
}

/* --- the savefiles ----------------------------------------------------------------- */

static void fault(struct slice *s, const char *file, const char *why)
{
	log_warn("%s/%s: %s", s->conf->case_path, file, why);
	s->faults++;
}

/* Erasure makes a savefile anew; then an `erased` record has its digest. */
static bool erased_to(struct slice *s, const char *sha256)
{
	sqlite3_stmt *q = NULL;
	bool is = false;

	if (sqlite3_prepare_v2(s->db, "SELECT 1 FROM record, json_each(detail,"
	    " '$.packets') e WHERE kind = 'erased' AND json_extract(e.value,"
	    " '$.sha256') = ?1", -1, &q, NULL) == SQLITE_OK) {
		sqlite3_bind_text(q, 1, sha256, -1, SQLITE_STATIC);
		is = sqlite3_step(q) == SQLITE_ROW;
	}
	sqlite3_finalize(q);
	return is;
}

/* The first pass looks which link types there are, the second writes. */
static void one_packet(struct slice *s, const struct source_packet *k)
{
	struct packet p;

	packet_read(k->link, k->bytes, k->length, &p);
	if (!is_wanted(&s->wanted, &p, k))
		return;
	if (s->out) {
		put_packet(s, k, &p);
		return;
	}
	s->mixed |= s->found && k->link != s->link;
	s->link = k->link;
	s->found = true;
}

static int one_savefile(struct slice *s, const char *file, const char *sha256)
{
	struct source_conf conf = { .digest = s->out != NULL,
		.digester = s->digester, .copy = -1 };
	struct source_item item = { .kind = SOURCE_PACKET };
	struct source *src;
	char got[65];
	uint64_t bytes;
	int rc = 0;

	/* A name that an altered ledger could point elsewhere. */
	if (!casedir_is_savefile(file)) {
		if (s->out)
			fault(s, "evidence.db", "a `packets` record names no "
			    "savefile of this case");
		return 0;
	}
	src = source_of_case(s->conf->case_path, file, &conf);
	if (src == NULL) {
		if (s->out)
			fault(s, file, "the savefile cannot be read");
		return 0;
	}
	while (rc == 0 && item.kind != SOURCE_END) {
		rc = source_next(src, &item);
		if (rc == 0 && item.kind == SOURCE_PACKET)
			one_packet(s, &item.packet);
	}
	if (rc == 0 && s->out) {
		s->savefiles++;
		rc = source_digest(src, got, &bytes);
		if (rc == 0 && strcmp(got, sha256) != 0 && !erased_to(s, got))
			fault(s, file, "the savefile is not what its record "
			    "says (see verify)");
	}
	source_close(src);
	return rc;
}

static int pass(struct slice *s)
{
	sqlite3_stmt *q = NULL;
	int rc = 0;

	if (sqlite3_prepare_v2(s->db, "SELECT json_extract(detail, '$.file'),"
	    " json_extract(detail, '$.sha256') FROM record"
	    " WHERE kind = 'packets' ORDER BY seq", -1, &q, NULL) !=
	    SQLITE_OK) {
		log_warn("%s: %s", s->conf->case_path, sqlite3_errmsg(s->db));
		return -1;
	}
	while (rc == 0 && sqlite3_step(q) == SQLITE_ROW) {
		const char *file = (const char *)sqlite3_column_text(q, 0);
		const char *sha = (const char *)sqlite3_column_text(q, 1);

		if (file && sha)
			rc = one_savefile(s, file, sha);
	}
	sqlite3_finalize(q);
	return rc;
}

/* --- the story -------------------------------------------------------------------- */

static int write_out(struct slice *s)
{
	const char *out = s->conf->out;
	int64_t packets;
	char hex[65];
	int rc;

	s->out = pcapout_open(out, s->link);
	if (s->out == NULL)
		return -1;
	s->digester = digester_new(1, GATHER_LONG_NS);
	rc = pass(s);
	digester_free(s->digester);
	if (pcapout_close(s->out, hex, NULL, &packets) < 0)
		return -1;
	s->out = NULL;
	if (rc < 0) {
		unlink(out);
		return -1;
	}
	printf("%s  %s\n", hex, out);
	log_info("%" PRId64 " packets out of %" PRIu64 " savefiles%s",
	    packets, s->savefiles, s->mixed ?
	    ", from their IP headers on (link types differ)" : "");
	return s->faults ? -1 : 0;
}

static int cut(struct slice *s)
{
	if (want(s) < 0 || pass(s) < 0)
		return -1;
	if (!s->found) {
		log_warn("%s: no savefile has a packet of it",
		    s->conf->case_path);
		return -1;
	}
	if (s->mixed)
		s->link = LINK_RAW;
	return write_out(s);
}

int slice_run(const struct slice_conf *conf)
{
	struct slice s = { .conf = conf,
		.db = casedir_read(conf->case_path) };
	int rc = s.db ? cut(&s) : -1;

	sqlite3_close(s.db);
	return rc < 0 ? 1 : 0;
}
