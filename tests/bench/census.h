/*
 * A made-up census: the ledger of a run that watches twenty swarms of ten
 * thousand addresses for three days, written straight into the tables of
 * schema/evidence.sql. Kinds, their order in a conversation and the length of
 * their details are those of real runs; of a hundred dials 75 are in vain,
 * 400 conversations go on at once, and trackers, the DHT and peers name
 * endpoints. Hashes are made up, salts come from a fixed sequence, and there
 * are no raw bytes, no tree and no signatures: derived.sql reads none of them
 * (salts and heads only to know the ledger again).
 */
#ifndef TESTS_BENCH_CENSUS_H
#define TESTS_BENCH_CENSUS_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "evidence_sql.h"

#define CENSUS_SWARMS 20
#define CENSUS_PEERS 10000	/* of each swarm */
#define CENSUS_LIVE 400
#define CENSUS_NIGHT 1767225600000000000LL	/* 2026-01-01T00:00:00Z */
#define CENSUS_DAYS 3

struct census_talk {
	int64_t conn;
	unsigned swarm, peer, step;
	bool up;
};

struct census {
	sqlite3 *db;
	sqlite3_stmt *add, *name;
	uint64_t seed;
	int64_t seq, total, utc_ns;
	int64_t named;
	struct census_talk live[CENSUS_LIVE];
};

static inline uint64_t census_roll(struct census *c)
{
	uint64_t x = c->seed;	/* xorshift64 */

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return c->seed = x;
}

static inline void census_check(struct census *c, int r)
{
	if (r == SQLITE_OK || r == SQLITE_DONE)
		return;
	fprintf(stderr, "census: %s\n", sqlite3_errmsg(c->db));
	exit(1);
}

static inline void census_sql(struct census *c, const char *sql)
{
	census_check(c, sqlite3_exec(c->db, sql, NULL, NULL, NULL));
}

static inline const char *census_swarm(unsigned i)
{
	static char hex[CENSUS_SWARMS][41];

	if (hex[i][0] == '\0')
		snprintf(hex[i], sizeof(hex[i]), "%08x%s", (i + 1) * 2654435761u,
		    "c12fe1c06bba254a9dc9f519b335aa7c");
	return hex[i];
}

/* Every tenth has an IPv6 address; half listen on one of two usual ports. */
static inline int census_peer(unsigned swarm, unsigned peer, char ip[46])
{
	unsigned n = swarm * CENSUS_PEERS + peer, mix = n * 2654435761u;

	if (peer % 10 == 0)
		snprintf(ip, 46, "2001:db8:%x:%x::%x", mix >> 16, n >> 8,
		    n & 255);
	else
		snprintf(ip, 46, "%u.%u.%u.%u", 11 + (mix >> 24) % 200,
		    mix >> 16 & 255, n >> 8 & 255, 1 + (n & 127));
	return peer % 2 ? 1024 + (int)(mix % 60000) :
	    peer % 4 ? 6881 : 51413;
}

static inline void census_salt(struct census *c, char hex[33])
{
	snprintf(hex, 33, "%016" PRIx64 "%016" PRIx64, census_roll(c),
	    census_roll(c));
}

/* conn -1: none, -2: its own seq. */
__attribute__((format(printf, 7, 8)))
static inline int64_t census_put(struct census *c, const char *kind,
    const char *swarm, int64_t conn, const char *ip, int port,
    const char *fmt, ...)
{
	char detail[2048], salt[33];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	census_salt(c, salt);
	sqlite3_bind_int64(c->add, 1, c->seq);
	sqlite3_bind_int64(c->add, 2, c->utc_ns);
	sqlite3_bind_int64(c->add, 3, c->utc_ns - CENSUS_NIGHT + 1);
	sqlite3_bind_text(c->add, 4, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(c->add, 5, swarm, -1, SQLITE_STATIC);
	if (conn == -1)
		sqlite3_bind_null(c->add, 6);
	else
		sqlite3_bind_int64(c->add, 6, conn == -2 ? c->seq : conn);
	sqlite3_bind_text(c->add, 7, ip, -1, SQLITE_STATIC);
	if (ip)
		sqlite3_bind_int(c->add, 8, port);
	else
		sqlite3_bind_null(c->add, 8);
	sqlite3_bind_text(c->add, 9, detail, -1, SQLITE_STATIC);
	sqlite3_bind_text(c->add, 10, salt, -1, SQLITE_STATIC);
	census_check(c, sqlite3_step(c->add));
	sqlite3_reset(c->add);
	c->utc_ns += CENSUS_DAYS * 86400000000000LL / c->total;
	return c->seq++;
}

static inline void census_name(struct census *c, int64_t seq, unsigned swarm,
    int n)
{
	char ip[46], salt[33];
	uint64_t from = census_roll(c);

	for (int i = 0; i < n; i++) {
		int port = census_peer(swarm, (unsigned)((from +
		    (uint64_t)i * 37) % CENSUS_PEERS), ip);

		census_salt(c, salt);
		sqlite3_bind_int64(c->name, 1, seq);
		sqlite3_bind_int(c->name, 2, i);
		sqlite3_bind_text(c->name, 3, ip, -1, SQLITE_STATIC);
		sqlite3_bind_int(c->name, 4, port);
		sqlite3_bind_text(c->name, 5, salt, -1, SQLITE_STATIC);
		census_check(c, sqlite3_step(c->name));
		sqlite3_reset(c->name);
		c->named++;
	}
}

#define CENSUS_SHA1 "d4f0740ab2d62340e1c03f5e1f35e413c12d04f4"
#define CENSUS_SHA256 \
	"72ccbd13df3d742c5a90c7be13161eaa08578d2cd882be7c31446b6a4cac3d09"
#define CENSUS_US "2d5357303130302d5261424a61686e3652424330"

static inline void census_piece(struct census *c, const struct census_talk *t,
    const char *swarm, const char *ip, int port)
{
	unsigned piece = (unsigned)(census_roll(c) % 1400);
	bool match = census_roll(c) % 500 != 0, whole = census_roll(c) % 10;
	int64_t at = c->utc_ns;

	census_put(c, "piece", swarm, t->conn, ip, port, "{\"by\":\"peer\","
	    "\"piece\":%u,\"bytes\":65536,\"came\":%u,\"blocks\":[[0,16384,"
	    "%" PRId64 "],[16384,16384,%" PRId64 "],[32768,16384,%" PRId64
	    "],[49152,16384,%" PRId64 "]],\"blocks_total\":4,\"complete\":%s,"
	    "\"why\":%s,\"expected_sha1\":\"" CENSUS_SHA1 "\",\"sha1\":\""
	    CENSUS_SHA1 "\",\"sha256\":\"" CENSUS_SHA256 "\","
	    "\"expected_root\":null,\"root\":null,\"match\":%s,"
	    "\"blocks_proven\":0,\"blocks_refuted\":0,\"files\":[{\"path\":"
	    "\"a film/part one.bin\",\"from\":%u,\"to\":%u,\"pad\":false}],"
	    "\"files_more\":0}", piece, whole ? 65536 : 49152, at, at, at, at,
	    whole ? "true" : "false", whole ? "null" :
	    "\"closed, choked at 3 of 4 blocks\"",
	    !whole ? "null" : match ? "true" : "false", piece * 65536,
	    (piece + 1) * 65536);
}

/* One record of a conversation; false when that was its last. */
static inline bool census_step(struct census *c, struct census_talk *t)
{
	const char *swarm = census_swarm(t->swarm);
	char ip[46];
	int port = census_peer(t->swarm, t->peer, ip);
	int64_t seq;

#define PUT(kind, ...) census_put(c, kind, swarm, t->conn, ip, port, \
	    __VA_ARGS__)
	switch (t->step++) {
	case 0:
		t->conn = -2;
		t->conn = PUT("dial", "{\"transport\":\"%s\",\"encryption\":"
		    "\"none\",\"source\":\"tracker\",\"attempt\":1,\"try\":1}",
		    t->up ? "tcp" : t->peer % 3 ? "utp" : "tcp");
		return true;
	case 1:
		if (!t->up) {
			PUT("unreached", "{\"why\":\"timeout\",\"error\":null,"
			    "\"took_ms\":10000,\"stalled\":false}");
			return false;
		}
		PUT("reached", "{\"local\":\"192.0.2.1:20048\","
		    "\"took_ms\":31}");
		return true;
	case 2:
		PUT("greeted", "{\"by\":\"us\",\"infohash\":\"%s\",\"peer_id\":"
		    "\"" CENSUS_US "\",\"reserved\":\"0000000000100005\"}",
		    swarm);
		return true;
	case 3:
		PUT("handshake", "{\"by\":\"peer\",\"infohash\":\"%s\","
		    "\"peer_id\":\"2d4c54323038302d%08x36446f63434a\","
		    "\"client\":\"libtorrent 2.0.8\",\"reserved\":"
		    "\"0000000000100005\",\"fast\":true,\"extended\":true,"
		    "\"dht\":true,\"v2\":false,\"expected\":true}", swarm,
		    t->peer);
		return true;
	case 4:
		PUT("extended", "{\"by\":\"peer\",\"client\":\"libtorrent/2.0.8"
		    "\",\"port\":%d,\"reqq\":512,\"upload_only\":1,\"encrypt\":"
		    "0,\"metadata_size\":2217,\"yourip\":null,\"m\":{"
		    "\"ut_metadata\":3,\"ut_pex\":1,\"lt_donthave\":7}}",
		    port);
		return true;
	case 5:
		PUT("have_none", "{\"by\":\"us\",\"claimed\":0,\"pieces\":"
		    "1400}");
		return true;
	case 6:
		PUT(t->peer % 3 ? "have_all" : "bitfield", "{\"by\":\"peer\","
		    "\"claimed\":%d,\"pieces\":1400}",
		    t->peer % 3 ? 1400 : (int)(t->peer % 1399));
		return true;
	case 7:
		PUT("unchoke", "{\"by\":\"peer\"}");
		return true;
	case 8:
		PUT("interested", "{\"by\":\"us\"}");
		return true;
	case 9:
		PUT("allowed_fast", "{\"by\":\"peer\",\"count\":5,"
		    "\"last_utc_ns\":%" PRId64 ",\"pieces\":[63,84,8,19,20]}",
		    c->utc_ns);
		return true;
	case 10:
	case 12:
		PUT("request", "{\"by\":\"us\",\"count\":4,\"last_utc_ns\":%"
		    PRId64 ",\"blocks\":[[77,0,16384],[77,16384,16384],"
		    "[77,32768,16384],[77,49152,16384]]}", c->utc_ns);
		return true;
	case 11:
	case 13:
		census_piece(c, t, swarm, ip, port);
		return true;
	case 14:
		PUT("not_interested", "{\"by\":\"us\"}");
		return true;
	case 15:
	case 16:
		PUT("have", "{\"by\":\"peer\",\"count\":1,\"last_utc_ns\":%"
		    PRId64 ",\"pieces\":[71],\"claimed\":%d}", c->utc_ns,
		    t->peer % 3 ? 1400 : (int)(t->peer % 1399) + 1);
		return true;
	case 17:
		if (t->peer % 3 == 0) {
			seq = PUT("pex", "{\"by\":\"peer\",\"added\":10,"
			    "\"dropped\":0,\"named_added\":10,\"flags\":"
			    "\"00000000000000000000\",\"skipped\":0,\"odd\":[],"
			    "\"named\":10,\"named_root\":\"" CENSUS_SHA256
			    "\"}");
			census_name(c, seq, t->swarm, 10);
			return true;
		}
		/* fall through */
	default:
		PUT("closed", "{\"by\":\"us\",\"why\":\"done\",\"rx_bytes\":"
		    "131373,\"tx_bytes\":300,\"rx_sha256\":\"" CENSUS_SHA256
		    "\",\"tx_sha256\":\"" CENSUS_SHA256 "\",\"keepalives_rx\":"
		    "0,\"keepalives_tx\":0,\"piece_bytes_tx\":0}");
		return false;
	}
#undef PUT
}

/* What sources say: an announce and its answer, a DHT node's, a lookup. */
static inline void census_source(struct census *c, unsigned what)
{
	unsigned s = (unsigned)(census_roll(c) % CENSUS_SWARMS);
	const char *swarm = census_swarm(s);
	char ip[46];
	int64_t seq;

	if (what < 10) {
		census_put(c, "announce", swarm, -1, "192.0.2.9", 6969,
		    "{\"tracker\":\"http://t%u.example/announce\",\"tier\":0,"
		    "\"transport\":\"http\",\"infohash\":\"%s\",\"event\":null,"
		    "\"family\":4,\"port\":6881,\"uploaded\":0,\"downloaded\":"
		    "0,\"left\":6160324,\"numwant\":200,\"key\":\"9fd97383\","
		    "\"peer_id\":\"" CENSUS_US "\",\"sent_utc_ns\":%" PRId64
		    ",\"took_ms\":40,\"outcome\":\"ok\",\"http_status\":200,"
		    "\"error\":null,\"stalled\":false,\"ignored\":0}", what % 3,
		    swarm, c->utc_ns - 40000000);
		seq = census_put(c, "listed", swarm, -1, "192.0.2.9", 6969,
		    "{\"source\":\"tracker\",\"witness\":\"http://t%u.example/"
		    "announce\",\"announce\":%" PRId64 ",\"failure\":null,"
		    "\"warning\":null,\"interval\":1643,\"min_interval\":821,"
		    "\"seeders\":3,\"leechers\":6,\"downloaded\":0,"
		    "\"external_ip\":null,\"odd_bytes\":0,\"skipped\":0,"
		    "\"named\":50,\"named_root\":\"" CENSUS_SHA256 "\"}",
		    what % 3, c->seq - 1);
		census_name(c, seq, s, 50);
		return;
	}
	if (what == 10) {
		census_put(c, "dht", swarm, -1, NULL, 0, "{\"lookup\":"
		    "\"get_peers\",\"infohash\":\"%s\",\"family\":4,"
		    "\"began_utc_ns\":%" PRId64 ",\"took_ms\":9000,\"ended\":"
		    "\"done\",\"queries\":60,\"answered\":40,\"errors\":0,"
		    "\"silent\":20,\"unsent\":0,\"malformed\":0}", swarm,
		    c->utc_ns - 9000000000);
		return;
	}
	snprintf(ip, sizeof(ip), "198.51.%u.%u", s, (unsigned)
	    (census_roll(c) % 100));
	seq = census_put(c, "dht", swarm, -1, ip, 6881, "{\"query\":"
	    "\"get_peers\",\"infohash\":\"%s\",\"scrape\":false,\"node_id\":"
	    "\"24bb442f54d81ff3df29eb1db69f99418dc95dc0\",\"node_id_ok\":true,"
	    "\"named_as\":null,\"version\":\"LT\",\"took_ms\":80,"
	    "\"external_ip\":null,\"token\":true,\"values\":8,\"nodes\":8,"
	    "\"skipped\":0,\"seeds\":null,\"peers\":null,\"error\":null,"
	    "\"error_text\":null,\"odd\":[],\"request\":\"64313a6164323a6964"
	    "32303a24bb442f54d81ff3df29eb1db69f99418dc95dc0393a696e666f5f6861"
	    "736832303a\",\"named\":8,\"named_root\":\"" CENSUS_SHA256 "\"}",
	    swarm);
	census_name(c, seq, s, 8);
}

static inline void census_open(struct census *c, const char *file,
    int64_t total)
{
	char *text = strdup((const char *)evidence_sql);

	*c = (struct census){ .seed = 88172645463325252ULL, .total = total,
	    .utc_ns = CENSUS_NIGHT };
	census_check(c, sqlite3_open(file, &c->db));
	census_sql(c, "PRAGMA journal_mode = off; PRAGMA synchronous = off;"
	    "PRAGMA ignore_check_constraints = on; PRAGMA cache_size = -65536");
	*strstr(text, "CREATE TRIGGER") = '\0';
	census_sql(c, text);
	free(text);
	census_check(c, sqlite3_prepare_v2(c->db, "INSERT INTO record VALUES "
	    "(?,?,?,?,?,?,?,?,?,NULL,?)", -1, &c->add, NULL));
	census_check(c, sqlite3_prepare_v2(c->db, "INSERT INTO named VALUES "
	    "(?,?,?,?,?)", -1, &c->name, NULL));
	census_sql(c, "BEGIN");
	census_put(c, "run", NULL, -1, NULL, 0, "{\"program\":\"swarmwitness\","
	    "\"version\":\"0.1\",\"config\":{\"listen\":6881,\"peer_id\":\""
	    CENSUS_US "\"},\"vantage\":[\"192.0.2.1\"]}");
	for (unsigned i = 0; i < CENSUS_SWARMS; i++)
		census_put(c, "torrent", census_swarm(i), -1, NULL, 0,
		    "{\"source\":\"file\",\"version\":\"1\",\"infohash_v1\":"
		    "\"%s\",\"infohash_v2\":null,\"name\":\"a film %u\","
		    "\"total_bytes\":91750400,\"piece_bytes\":65536,"
		    "\"pieces\":1400,\"private\":false}", census_swarm(i), i);
	census_sql(c, "COMMIT");
}

/* Up to `size` records, a few more where one comes with another. */
static inline void census_fill(struct census *c, int64_t size)
{
	census_sql(c, "BEGIN");
	while (c->seq < size) {
		struct census_talk *t = &c->live[census_roll(c) % CENSUS_LIVE];
		unsigned what = (unsigned)(census_roll(c) % 2000);

		if (what < 70)	/* 3 % answers, 1 % announces with theirs */
			census_source(c, what);
		if (t->step == 0) {
			t->swarm = (unsigned)(census_roll(c) % CENSUS_SWARMS);
			t->peer = (unsigned)(census_roll(c) % CENSUS_PEERS);
			t->up = census_roll(c) % 4 == 0;
		}
		if (!census_step(c, t))
			t->step = 0;
	}
	census_sql(c, "COMMIT");
}

static inline void census_close(struct census *c)
{
	sqlite3_finalize(c->add);
	sqlite3_finalize(c->name);
	sqlite3_close(c->db);
}

#endif
