/* Imported captures: both ends of a flow, and what was overheard. */
#include "tests/derive_kit.h"

#define OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define A_IP "10.0.0.1"
#define B_IP "2001:db8::2"

static int64_t flow(const char *swarm, const char *began)
{
	char detail[200];

	imported = true;
	snprintf(detail, sizeof(detail), "{\"transport\":\"tcp\","
	    "\"initiator\":\"10.0.0.1:4000\",\"responder\":"
	    "\"[2001:db8::2]:6881\",\"began\":\"%s\",\"file\":"
	    "\"packets/000001.pcap\",\"frame\":1}", began);
	return add(NIGHT, "flow", swarm, -2, A_IP, 4000, detail);
}

static void closed(int64_t at, int64_t c, const char *by)
{
	char detail[200];

	snprintf(detail, sizeof(detail), "{\"by\":\"%s\",\"why\":\"fin\","
	    "\"initiator_bytes\":70,\"responder_bytes\":900}", by);
	add(at, "closed", HASH, c, A_IP, 4000, detail);
}

static const char contacts[] = "SELECT ip, port, ifnull(swarm, ''), origin, "
    "direction, transport, ifnull(encryption, '-'), "
    "(opened_utc_ns - 1767225600000000000) / 1000000000, outcome, "
    "ifnull(client, '-'), ifnull(pieces_claimed, '-'), ifnull(rx_bytes, '-'), "
    "ifnull(tx_bytes, '-'), pieces_matched, pieces_failed, level "
    "FROM contact ORDER BY ip";

static const char endpoints[] = "SELECT ip, port, port_kind, level, "
    "(first_utc_ns - 1767225600000000000) / 1000000000, "
    "(last_utc_ns - 1767225600000000000) / 1000000000, contacts, "
    "pieces_matched FROM endpoint ORDER BY ip, port_kind DESC, port";

static void both_ends(void **state)
{
	sqlite3 *db;
	int64_t c;

	(void)state;
	torrent();
	c = flow(HASH, "handshake");
	handshake(NIGHT + 1 * S, HASH, c, A_IP, 4000, true);
	handshake(NIGHT + 2 * S, HASH, c, B_IP, 6881, true);
	add(NIGHT + 3 * S, "extended", HASH, c, A_IP, 4000,
	    "{\"by\":\"peer\",\"client\":\"a/1\",\"port\":7000}");
	add(NIGHT + 3 * S, "have_all", HASH, c, B_IP, 6881,
	    "{\"by\":\"peer\",\"claimed\":10,\"pieces\":10}");
	add(NIGHT + 4 * S, "request", HASH, c, A_IP, 4000, "{\"by\":\"peer\"}");
	piece(NIGHT + 5 * S, c, B_IP, 6881, 16, "true", "true");
	add(NIGHT + 6 * S, "encrypted", HASH, c, A_IP, 4000,
	    "{\"by\":\"peer\",\"outcome\":\"ok\",\"select\":2}");
	closed(NIGHT + 9 * S, c, "responder");
	run(ev, "COMMIT");
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, contacts,
	    A_IP "|4000|" HASH "|import|observed|tcp|rc4|0|fin|a/1|-|70|900|"
	    "0|0|2\n" B_IP "|6881|" HASH "|import|observed|tcp|rc4|0|fin|"
	    "qBittorrent 4.5.9|10|900|70|1|0|5\n");
	expect(db, endpoints, A_IP "|4000|remote|2|0|6|1|0\n"
	    A_IP "|7000|listen|2|3|6|1|0\n" B_IP "|6881|remote|5|0|9|1|1\n");
	expect(db, "SELECT ip, port, bytes, ok FROM piece_check",
	    B_IP "|6881|16|1\n");
	expect(db, "SELECT last_seq - conn FROM extent", "8\n");
	expect(db, "SELECT count(*) FROM sighting", "0\n");
	sqlite3_close(db);
}

/* What a capture that began in the middle shows of an end that was silent,
 * and of one whose handshake named another torrent. */
static void one_end(void **state)
{
	static const char *const began[] = { "middle", "handshake" };
	sqlite3 *db;

	for (int i = 0; i < 2; i++) {
		int64_t c;

		if (i)
			setup(state);
		torrent();
		c = flow(HASH, began[i]);
		handshake(NIGHT + 1 * S, HASH, c, A_IP, 4000, true);
		closed(NIGHT + 2 * S, c, "capture");
		run(ev, "COMMIT");
		db = derive_build(evidence, ":memory:");
		assert_non_null(db);
		expect(db, "SELECT level FROM contact ORDER BY ip", i ?
		    "2\n1\n" : "2\n0\n");
		expect(db, "SELECT level FROM endpoint ORDER BY ip", i ?
		    "2\n1\n" : "2\n0\n");
		sqlite3_close(db);
		if (i == 0)
			teardown(state);
	}
	teardown(state);
	setup(state);
	torrent();
	{
		int64_t c = flow(HASH, "handshake");

		handshake(NIGHT + 1 * S, HASH, c, A_IP, 4000, true);
		handshake(NIGHT + 2 * S, OTHER, c, B_IP, 6881, false);
		add(NIGHT + 3 * S, "have_all", HASH, c, B_IP, 6881,
		    "{\"by\":\"peer\",\"claimed\":10,\"pieces\":10}");
	}
	run(ev, "COMMIT");
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, "SELECT level, ifnull(pieces_claimed, '-') FROM contact "
	    "ORDER BY ip", "2|-\n1|-\n");
	sqlite3_close(db);
}

/* The first handshake names the swarm of both ends. */
static void named_later(void **state)
{
	sqlite3 *db;
	int64_t c;

	(void)state;
	torrent();
	c = flow("", "handshake");
	handshake(NIGHT + 1 * S, "", c, A_IP, 4000, true);
	closed(NIGHT + 2 * S, c, "initiator");
	run(ev, "COMMIT");
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, "SELECT swarm, level FROM contact ORDER BY ip",
	    HASH "|2\n" HASH "|1\n");
	expect(db, endpoints, A_IP "|4000|remote|2|0|2|1|0\n"
	    B_IP "|6881|remote|1|0|0|1|0\n");
	expect(db, "SELECT count(*) FROM sighting", "0\n");
	sqlite3_close(db);
}

/* Trackers, the DHT, PEX and local discovery between others. */
static void overheard(void **state)
{
	sqlite3 *db;
	int64_t c, seq;

	(void)state;
	torrent();
	imported = true;
	add(NIGHT, "announce", HASH, -1, "10.0.0.5", 50000,
	    "{\"tracker\":\"http://t/a\",\"port\":6881,\"outcome\":\"ok\","
	    "\"to\":\"10.0.0.1:80\",\"file\":\"x\",\"frame\":1}");
	seq = add(NIGHT + S, "listed", HASH, -1, "10.0.0.1", 80,
	    "{\"source\":\"tracker\",\"witness\":\"http://t/a\","
	    "\"to\":\"10.0.0.5:50000\"}");
	name(seq, 0, "10.0.0.6", 6);
	add(NIGHT + 2 * S, "dht", HASH, -1, "10.0.0.7", 7,
	    "{\"ask\":\"get_peers\",\"to\":\"10.0.0.8:8\"}");
	add(NIGHT + 3 * S, "dht", HASH, -1, "10.0.0.7", 7,
	    "{\"ask\":\"announce_peer\",\"port\":77,\"implied_port\":false,"
	    "\"to\":\"10.0.0.8:8\"}");
	add(NIGHT + 4 * S, "dht", HASH, -1, "10.0.0.7", 7,
	    "{\"ask\":\"announce_peer\",\"port\":77,\"implied_port\":true,"
	    "\"to\":\"10.0.0.8:8\"}");
	seq = add(NIGHT + 5 * S, "dht", HASH, -1, "10.0.0.8", 8,
	    "{\"query\":\"get_peers\",\"to\":\"10.0.0.7:7\"}");
	name(seq, 0, "10.0.0.6", 6);
	c = flow(HASH, "handshake");
	handshake(NIGHT + 1 * S, HASH, c, B_IP, 6881, true);
	seq = add(NIGHT + 6 * S, "pex", HASH, c, B_IP, 6881,
	    "{\"by\":\"peer\",\"added\":1,\"dropped\":1,\"named_added\":1}");
	name(seq, 0, "10.0.0.6", 6);
	name(seq, 1, "10.0.0.9", 9);
	seq = add(NIGHT + 7 * S, "listed", HASH, -1, "10.0.0.4", 6771,
	    "{\"source\":\"lsd\",\"witness\":\"10.0.0.4:6771\"}");
	name(seq, 0, "10.0.0.4", 4);
	run(ev, "COMMIT");
	db = derive_build(evidence, ":memory:");
	assert_non_null(db);
	expect(db, "SELECT ip, port, source, witness, times FROM sighting",
	    "10.0.0.4|4|lsd|10.0.0.4:6771|1\n"
	    "10.0.0.5|6881|announce|http://t/a|1\n"
	    "10.0.0.6|6|dht|10.0.0.8:8|1\n"
	    "10.0.0.6|6|pex|[2001:db8::2]:6881|1\n"
	    "10.0.0.6|6|tracker|http://t/a|1\n"
	    "10.0.0.7|7|announce|10.0.0.8:8|1\n"
	    "10.0.0.7|77|announce|10.0.0.8:8|1\n");
	expect(db, "SELECT ip, port, level, sightings FROM endpoint "
	    "WHERE port_kind = 'listed'", "10.0.0.4|4|0|1\n"
	    "10.0.0.5|6881|0|1\n10.0.0.6|6|0|3\n10.0.0.7|7|0|1\n"
	    "10.0.0.7|77|0|1\n");
	/* Nobody was asked by us. */
	expect(db, "SELECT count(*) FROM coverage", "0\n");
	sqlite3_close(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_ends), T(one_end), T(named_later), T(overheard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
