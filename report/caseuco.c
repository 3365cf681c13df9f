#include "report/caseuco.h"

#include <stdarg.h>
#include <string.h>

#include <openssl/evp.h>

#include "report/ladder.h"
#include "report/rows.h"
#include "report/when.h"
#include "schema/json.h"
#include "schema/log.h"

#define PART_MOST (16u << 20)
#define ID_MAX 128

/* A graph being written: one node at a time goes out. */
struct graph {
	FILE *f;
	struct json j;
	const struct subject *s;
	const struct facts *c;
};

/* UUID of version 5 (RFC 9562) of a name; space has 32 hex digits, else zeros
 * are used. */
static void make_uuid(const char *space, const char name[ID_MAX], char out[37])
{
	uint8_t in[16 + ID_MAX] = { 0 }, sum[EVP_MAX_MD_SIZE];
	size_t n = strnlen(name, ID_MAX);
	char hex[33];

	if (space)
		hex_read(span_str(space), in, 16);
	memcpy(in + 16, name, n);
	/* RFC 9562 names SHA-1; nothing rests on its strength */
	if (!EVP_Digest(in, 16 + n, sum, NULL, EVP_sha1(), NULL))
		log_die("SHA-1 is not to be had");
	sum[6] = (uint8_t)((sum[6] & 0x0f) | 0x50);
	sum[8] = (uint8_t)((sum[8] & 0x3f) | 0x80);
	hex_of(sum, 16, hex);
	snprintf(out, 37, "%.8s-%.4s-%.4s-%.4s-%s", hex, hex + 8, hex + 12,
	    hex + 16, hex + 20);
}

/* --- pieces of JSON-LD ----------------------------------------------------------- */

/* kb:KIND-UUID, the UUID of "KIND/what" in the space of the case. */
__attribute__((format(printf, 4, 5)))
static const char *id_of(const struct graph *g, char buf[ID_MAX],
    const char *kind, const char *what, ...)
{
	char name[ID_MAX], uuid[37];
	size_t n = (size_t)snprintf(name, sizeof(name), "%s/", kind);
	va_list ap;

	va_start(ap, what);
	vsnprintf(name + n, sizeof(name) - n, what, ap);
	va_end(ap);
	make_uuid(g->c->case_id, name, uuid);
	snprintf(buf, ID_MAX, "kb:%s-%s", kind, uuid);
	return buf;
}

static void flush(struct graph *g)
{
	if (g->j.n)
		fwrite(g->j.text, 1, g->j.n, g->f);
	g->j.n = 0;
}

static void begin(struct graph *g, const char *id, const char *type)
{
	json_open(&g->j, NULL, '{');
	json_str(&g->j, "@id", id);
	json_str(&g->j, "@type", type);
}

static void end(struct graph *g)
{
	json_close(&g->j, '}');
	flush(g);
}

static void ref(struct graph *g, const char *key, const char *id)
{
	json_open(&g->j, key, '{');
	json_str(&g->j, "@id", id);
	json_close(&g->j, '}');
}

static void typed(struct graph *g, const char *key, const char *type,
    const char *value)
{
	json_open(&g->j, key, '{');
	json_str(&g->j, "@type", type);
	json_str(&g->j, "@value", value);
	json_close(&g->j, '}');
}

static void moment(struct graph *g, const char *key, int64_t utc_ns)
{
	char t[WHEN_MAX];

	typed(g, key, "xsd:dateTime", when_exact(utc_ns, t));
}

static void text(struct graph *g, const char *key, const char *value)
{
	if (value)
		json_text(&g->j, key, span_str(value));
}

static void whole(struct graph *g, const char *key, int64_t n)
{
	char t[24];

	snprintf(t, sizeof(t), "%lld", (long long)n);
	typed(g, key, "xsd:integer", t);
}

/* Opens "uco-core:hasFacet":[{ ; the node's name gives the facet's. */
static void facet(struct graph *g, const char *kind, const char *type,
    const char *of)
{
	char id[ID_MAX];

	json_open(&g->j, NULL, '{');
	json_str(&g->j, "@id", id_of(g, id, kind, "%s", of));
	json_str(&g->j, "@type", type);
}

static void hash(struct graph *g, const char *method, const char *value,
    const char *of)
{
	char id[ID_MAX];

	if (value == NULL)
		return;
	json_open(&g->j, NULL, '{');
	json_str(&g->j, "@id", id_of(g, id, "hash", "%s/%s", method, of));
	json_str(&g->j, "@type", "uco-types:Hash");
	json_str(&g->j, "uco-types:hashMethod", method);
	typed(g, "uco-types:hashValue", "xsd:hexBinary", value);
	json_close(&g->j, '}');
}

static void bound(struct graph *g, int64_t utc_ns)
{
	int64_t ns = facts_bound(g->c, utc_ns);

	if (ns >= 0)
		whole(g, "sw:clockBoundNanoseconds", ns);
	else
		json_str(&g->j, "sw:clockBound", "unknown");
}

/* --- what the nodes are ---------------------------------------------------------- */

static int put_torrents(struct graph *g)
{
	struct rows q;

	rows_open(&q, g->c->db, SUBJECT_SWARMS, g->s->swarm ? g->s->swarm :
	    "");
	while (rows_next(&q)) {
		char id[ID_MAX];

		begin(g, id_of(g, id, "torrent", "%s", rows_text(&q, 0)),
		    "uco-observable:ObservableObject");
		text(g, "uco-core:name", rows_text(&q, 1));
		json_str(&g->j, "uco-core:description", "A BitTorrent torrent, "
		    "by its infohash; its name is its maker’s word.");
		json_str(&g->j, "sw:infohash", rows_text(&q, 0));
		if (!rows_null(&q, 2))
			whole(g, "sw:totalBytes", rows_int(&q, 2));
		end(g);
	}
	return rows_close(&q);
}

/* Whose conversations ?1 chooses: those of a swarm, or all but decoys'. */
#define NO_DECOY "coalesce(c.swarm, '') NOT IN (SELECT infohash FROM decoy) "
#define OF_SWARM "(?1 = '' OR c.swarm = ?1) AND " NO_DECOY

static int put_addresses(struct graph *g)
{
	struct rows q;

	rows_open(&q, g->c->db, "SELECT DISTINCT c.ip FROM contact AS c WHERE "
	    "c.level > 0 AND " OF_SWARM " ORDER BY c.ip", g->s->swarm ?
	    g->s->swarm : "");
	while (rows_next(&q)) {
		const char *ip = rows_text(&q, 0);
		bool six = strchr(ip, ':') != NULL;
		char id[ID_MAX];

		begin(g, id_of(g, id, "address", "%s", ip), six ?
		    "uco-observable:IPv6Address" :
		    "uco-observable:IPv4Address");
		json_open(&g->j, "uco-core:hasFacet", '[');
		facet(g, "address-facet", six ?
		    "uco-observable:IPv6AddressFacet" :
		    "uco-observable:IPv4AddressFacet", ip);
		json_str(&g->j, "uco-observable:addressValue", ip);
		json_close(&g->j, '}');
		json_close(&g->j, ']');
		end(g);
	}
	return rows_close(&q);
}

enum { CONN, IP, PORT, DIRECTION, TRANSPORT, OPENED, CLOSED, SWARM, CLIENT,
	LEVEL, OTHER_IP, OTHER_PORT, RX, OTHER_LEVEL };

static void put_ends(struct graph *g, const struct rows *q)
{
	const char *way = rows_text(q, DIRECTION);
	bool out = strcmp(way, "out") == 0;
	const char *peer = out ? "uco-observable:dst" : "uco-observable:src";
	const char *port = out ? "uco-observable:destinationPort" :
	    "uco-observable:sourcePort";
	char id[ID_MAX];

	ref(g, peer, id_of(g, id, "address", "%s", rows_text(q, IP)));
	whole(g, port, rows_int(q, PORT));
	if (strcmp(way, "observed") != 0) {
		ref(g, out ? "uco-observable:src" : "uco-observable:dst",
		    id_of(g, id, "observer", "%s", ""));
	} else if (!rows_null(q, OTHER_IP)) {
		ref(g, "uco-observable:dst", id_of(g, id, "address", "%s",
		    rows_text(q, OTHER_IP)));
		whole(g, "uco-observable:destinationPort", rows_int(q,
		    OTHER_PORT));
	}
}

static void put_protocols(struct graph *g, const struct rows *q,
    const char *seq)
{
	char id[ID_MAX];

	if (rows_null(q, TRANSPORT))
		return;
	json_open(&g->j, "uco-observable:protocols", '{');
	json_str(&g->j, "@id", id_of(g, id, "protocols", "%s", seq));
	json_str(&g->j, "@type", "uco-types:ControlledDictionary");
	json_open(&g->j, "uco-types:entry", '[');
	json_open(&g->j, NULL, '{');
	json_str(&g->j, "@id", id_of(g, id, "protocol", "%s", seq));
	json_str(&g->j, "@type", "uco-types:ControlledDictionaryEntry");
	json_str(&g->j, "uco-types:key", "Transport Layer");
	json_str(&g->j, "uco-types:value", strcmp(rows_text(q, TRANSPORT),
	    "utp") == 0 ? "uTP" : "TCP");
	json_close(&g->j, '}');
	json_close(&g->j, ']');
	json_close(&g->j, '}');
}

/* An imported conversation has a row for each end: src is who opened it. */
static int put_connections(struct graph *g)
{
	struct rows q;

	rows_open(&q, g->c->db, "SELECT c.conn, c.ip, c.port, c.direction, "
	    "c.transport, c.opened_utc_ns, c.closed_utc_ns, c.swarm, c.client, "
	    "c.level, o.ip, o.port, c.rx_bytes, o.level FROM contact AS c JOIN "
	    "evidence.record AS r ON r.seq = c.conn LEFT JOIN contact AS o ON "
	    "c.direction = 'observed' AND o.conn = c.conn AND (o.ip, o.port) "
	    "<> (c.ip, c.port) WHERE max(c.level, coalesce(o.level, 0)) > 0 "
	    "AND " OF_SWARM " AND (c.direction <> 'observed' OR (c.ip, c.port) "
	    "= (r.ip, r.port)) ORDER BY c.conn", g->s->swarm ? g->s->swarm :
	    "");
	while (rows_next(&q)) {
		int level = (int)rows_int(&q, LEVEL);
		char id[ID_MAX], seq[24];

		snprintf(seq, sizeof(seq), "%lld", (long long)rows_int(&q,
		    CONN));
		begin(g, id_of(g, id, "connection", "%s", seq),
		    "uco-observable:NetworkConnection");
		json_str(&g->j, "uco-core:description", ladder_at(level)->
		    observed);
		json_open(&g->j, "uco-core:hasFacet", '[');
		facet(g, "connection-facet",
		    "uco-observable:NetworkConnectionFacet", seq);
		put_ends(g, &q);
		moment(g, "uco-observable:startTime", rows_int(&q, OPENED));
		if (!rows_null(&q, CLOSED))
			moment(g, "uco-observable:endTime", rows_int(&q,
			    CLOSED));
		put_protocols(g, &q, seq);
		json_close(&g->j, '}');
		json_close(&g->j, ']');
		whole(g, "sw:record", rows_int(&q, CONN));
		whole(g, "sw:level", level);
		json_str(&g->j, "sw:doesNotShow", ladder_at(level)->not_shown);
		if (!rows_null(&q, OTHER_LEVEL))
			whole(g, "sw:responderLevel", rows_int(&q,
			    OTHER_LEVEL));
		bound(g, rows_int(&q, OPENED));
		if (!rows_null(&q, SWARM))
			ref(g, "sw:torrent", id_of(g, id, "torrent", "%s",
			    rows_text(&q, SWARM)));
		text(g, "sw:claimedClient", rows_text(&q, CLIENT));
		if (!rows_null(&q, RX))
			whole(g, "sw:receivedBytes", rows_int(&q, RX));
		end(g);
	}
	return rows_close(&q);
}

static void put_delivery(struct graph *g, const char *seq, int64_t conn,
    const char *ip)
{
	char id[ID_MAX];

	begin(g, id_of(g, id, "delivery", "%s", seq),
	    "uco-observable:ObservableRelationship");
	ref(g, "uco-core:source", id_of(g, id, "address", "%s", ip));
	ref(g, "uco-core:target", id_of(g, id, "piece", "%s", seq));
	json_str(&g->j, "uco-core:kindOfRelationship", "Sent");
	json_bool(&g->j, "uco-core:isDirectional", true);
	ref(g, "sw:over", id_of(g, id, "connection", "%lld", (long long)
	    conn));
	end(g);
}

static int put_pieces(struct graph *g)
{
	struct rows q;

	rows_open(&q, g->c->db, "SELECT c.seq, c.conn, c.ip, c.piece, c.bytes, "
	    "c.ok, c.utc_ns, r.detail ->> 'sha1', r.detail ->> 'sha256', "
	    "c.swarm FROM piece_check AS c JOIN evidence.record AS r ON r.seq = "
	    "c.seq WHERE c.bytes > 0 AND " OF_SWARM " ORDER BY c.seq",
	    g->s->swarm ? g->s->swarm : "");
	while (rows_next(&q)) {
		char id[ID_MAX], seq[24];

		snprintf(seq, sizeof(seq), "%lld", (long long)rows_int(&q, 0));
		begin(g, id_of(g, id, "piece", "%s", seq),
		    "uco-observable:ContentData");
		json_str(&g->j, "uco-core:description", rows_null(&q, 5) ?
		    "Data of a piece, too little to check." : rows_int(&q, 5) ?
		    "A whole piece that matched the torrent’s hash." :
		    "A whole piece that did not match the torrent’s hash.");
		json_open(&g->j, "uco-core:hasFacet", '[');
		facet(g, "content", "uco-observable:ContentDataFacet", seq);
		whole(g, "uco-observable:sizeInBytes", rows_int(&q, 4));
		if (!rows_null(&q, 7) || !rows_null(&q, 8)) {
			json_open(&g->j, "uco-observable:hash", '[');
			hash(g, "SHA1", rows_text(&q, 7), seq);
			hash(g, "SHA256", rows_text(&q, 8), seq);
			json_close(&g->j, ']');
		}
		json_close(&g->j, '}');
		json_close(&g->j, ']');
		whole(g, "sw:record", rows_int(&q, 0));
		whole(g, "sw:piece", rows_int(&q, 3));
		if (!rows_null(&q, 5))
			json_bool(&g->j, "sw:matched", rows_int(&q, 5));
		moment(g, "sw:receivedTime", rows_int(&q, 6));
		bound(g, rows_int(&q, 6));
		if (!rows_null(&q, 9))
			ref(g, "sw:torrent", id_of(g, id, "torrent", "%s",
			    rows_text(&q, 9)));
		end(g);
		put_delivery(g, seq, rows_int(&q, 1), rows_text(&q, 2));
	}
	return rows_close(&q);
}

static void put_file(struct graph *g, const char *name, int64_t bytes,
    const char *sha256)
{
	const char *slash = strrchr(name, '/');
	char id[ID_MAX];

	begin(g, id_of(g, id, "file", "%s", name), "uco-observable:File");
	json_open(&g->j, "uco-core:hasFacet", '[');
	facet(g, "file-facet", "uco-observable:FileFacet", name);
	json_str(&g->j, "uco-observable:fileName", slash ? slash + 1 : name);
	json_str(&g->j, "uco-observable:filePath", name);
	if (bytes >= 0)
		whole(g, "uco-observable:sizeInBytes", bytes);
	json_close(&g->j, '}');
	if (sha256) {
		facet(g, "content", "uco-observable:ContentDataFacet", name);
		json_open(&g->j, "uco-observable:hash", '[');
		hash(g, "SHA256", sha256, name);
		json_close(&g->j, ']');
		json_close(&g->j, '}');
	}
	json_close(&g->j, ']');
	end(g);
}

#define SAVEFILES "SELECT r.detail ->> 'file', r.detail ->> 'bytes', " \
	"r.detail ->> 'sha256' FROM about AS a JOIN evidence.record AS r ON " \
	"r.seq = a.seq WHERE a.kind = 'packets' AND a.seq BETWEEN CAST(?1 AS " \
	"INTEGER) AND ?2 ORDER BY a.seq"

static int put_files(struct graph *g)
{
	struct rows q;

	put_file(g, "evidence.db", -1, g->c->digest[0] ? g->c->digest : NULL);
	rows_open(&q, g->c->db, SAVEFILES, "0");
	if (!q.failed)
		sqlite3_bind_int64(q.st, 2, g->c->records);
	while (rows_next(&q))
		if (!rows_null(&q, 0))
			put_file(g, rows_text(&q, 0), rows_null(&q, 1) ? -1 :
			    rows_int(&q, 1), rows_text(&q, 2));
	return rows_close(&q);
}

/* The ids of a query's first column, as objects of an open array. */
static int put_ids(struct graph *g, const char *sql, const char *kind,
    const struct run_fact *r)
{
	char from[24], id[ID_MAX];
	struct rows q;

	snprintf(from, sizeof(from), "%lld", (long long)r->seq);
	rows_open(&q, g->c->db, sql, from);
	if (!q.failed) {
		sqlite3_bind_int64(q.st, 2, r->last_seq);
		sqlite3_bind_text(q.st, 3, g->s->swarm ? g->s->swarm : "", -1,
		    SQLITE_STATIC);
	}
	while (rows_next(&q)) {
		ref(g, NULL, id_of(g, id, kind, "%s", rows_text(&q, 0)));
		flush(g);
	}
	return rows_close(&q);
}

#define IN_RUN " BETWEEN CAST(?1 AS INTEGER) AND ?2 "

static int put_provenance(struct graph *g, const struct run_fact *r)
{
	char id[ID_MAX], seq[24];
	int status;

	snprintf(seq, sizeof(seq), "%lld", (long long)r->seq);
	begin(g, id_of(g, id, "provenance", "%s", seq),
	    "case-investigation:ProvenanceRecord");
	json_str(&g->j, "uco-core:description", "What a run recorded: the "
	    "ledger, its savefiles, and the conversations and pieces that the "
	    "ledger’s records are about.");
	json_open(&g->j, "uco-core:object", '[');
	ref(g, NULL, id_of(g, id, "file", "evidence.db"));
	status = put_ids(g, SAVEFILES, "file", r) ||
	    put_ids(g, "SELECT DISTINCT conn FROM contact AS c WHERE level > 0 "
	    "AND conn" IN_RUN "AND (?3 = '' OR swarm = ?3) AND " NO_DECOY
	    "ORDER BY conn",
	    "connection", r) ||
	    put_ids(g, "SELECT seq FROM piece_check AS c WHERE bytes > 0 AND "
	    "seq" IN_RUN "AND (?3 = '' OR swarm = ?3) AND " NO_DECOY
	    "ORDER BY seq", "piece", r) ?
	    -1 : 0;
	json_close(&g->j, ']');
	end(g);
	return status;
}

static void put_action(struct graph *g, const struct run_fact *r)
{
	char id[ID_MAX], seq[24], version[128];

	snprintf(seq, sizeof(seq), "%lld", (long long)r->seq);
	snprintf(version, sizeof(version), "%.40s, commit %.60s", r->version ?
	    r->version : "unknown", r->commit ? r->commit : "unknown");
	begin(g, id_of(g, id, "tool", "%s", seq), "uco-tool:Tool");
	text(g, "uco-core:name", r->program);
	json_str(&g->j, "uco-tool:toolType", "BitTorrent observer");
	json_str(&g->j, "uco-tool:version", version);
	text(g, "sw:executableSha256", r->executable_sha256);
	end(g);
	if (r->operator) {
		begin(g, id_of(g, id, "operator", "%s", seq),
		    "uco-identity:Identity");
		text(g, "uco-core:name", r->operator);
		end(g);
	}
	begin(g, id_of(g, id, "action", "%s", seq),
	    "case-investigation:InvestigativeAction");
	json_str(&g->j, "uco-core:name", g->c->imported ? "run: observation or "
	    "import of packets" : "run: observation of BitTorrent swarms");
	text(g, "uco-core:description", r->purpose);
	moment(g, "uco-action:startTime", r->from_utc_ns);
	if (r->ended)
		moment(g, "uco-action:endTime", r->to_utc_ns);
	ref(g, "uco-action:instrument", id_of(g, id, "tool", "%s", seq));
	if (r->operator)
		ref(g, "uco-action:performer", id_of(g, id, "operator", "%s",
		    seq));
	ref(g, "uco-action:result", id_of(g, id, "provenance", "%s", seq));
	whole(g, "sw:record", r->seq);
	bound(g, r->from_utc_ns);
	end(g);
}

static int put_case(struct graph *g)
{
	char id[ID_MAX];

	begin(g, id_of(g, id, "observer", "%s", ""),
	    "uco-observable:ObservableObject");
	json_str(&g->j, "uco-core:name", "the observer");
	text(g, "sw:caseId", g->c->case_id);
	json_str(&g->j, "sw:neverShown", ladder_never);
	end(g);
	for (size_t i = 0; i < g->c->runs; i++) {
		put_action(g, &g->c->run[i]);
		if (put_provenance(g, &g->c->run[i]))
			return -1;
	}
	return put_files(g) || put_torrents(g) || put_addresses(g) ||
	    put_connections(g) || put_pieces(g) ? -1 : 0;
}

static void put_context(struct json *j)
{
	static const char *const context[][2] = {
		{ "kb", "urn:swarmwitness:kb:" },
		{ "sw", "urn:swarmwitness:terms:" },
		{ "case-investigation",
		    "https://ontology.caseontology.org/case/investigation/" },
#define UCO(name) { "uco-" name, \
	"https://ontology.unifiedcyberontology.org/uco/" name "/" }
		UCO("action"), UCO("core"), UCO("identity"),
		UCO("observable"), UCO("tool"), UCO("types"),
		{ "xsd", "http://www.w3.org/2001/XMLSchema#" },
	};

	json_open(j, "@context", '{');
	for (size_t i = 0; i < sizeof(context) / sizeof(context[0]); i++)
		json_str(j, context[i][0], context[i][1]);
	json_close(j, '}');
}

int caseuco_write(FILE *f, const struct subject *s)
{
	struct graph g = { .f = f, .s = s };
	int status = 0;

	json_init(&g.j, PART_MOST);
	json_open(&g.j, NULL, '{');
	put_context(&g.j);
	json_open(&g.j, "@graph", '[');
	for (size_t i = 0; i < s->n && status == 0; i++) {
		g.c = &s->cases[i];
		status = put_case(&g);
	}
	json_close(&g.j, ']');
	json_close(&g.j, '}');
	flush(&g);
	fputc('\n', f);
	if (g.j.failed) {
		log_warn("case-uco.jsonld: a node is larger than memory "
		    "allows");
		status = -1;
	}
	json_fini(&g.j);
	return status;
}
