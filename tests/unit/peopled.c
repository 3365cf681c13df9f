/*
 * For tests/interop/test_excerpt and test_erase: a case in which many peers
 * are named in every way that records know, through the ledger itself.
 *
 *   peopled CASE KEY PEERS TIMES	two days of a run, sealed
 *   peopled CASE KEY PEERS TIMES cut	no `end`: as a crash would leave it
 *
 * Prints a peer's address a line. Peer i's address follows from i alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "schema/ledger.h"

#define DAY 86400000000000
#define START (1767225600000000000 + DAY - 5000000000)	/* 5 s to midnight */
#define SWARM "c12fe1c06bba254a9dc9f519b335aa7c1367a88a"

static struct ledger *ledger;
static int64_t now_ns = START, step_ns;
static unsigned peers;

static struct endpoint peer(unsigned i)
{
	struct endpoint e = { 0 };
	uint8_t sum[32];
	char text[32];

	SHA256((const uint8_t *)text, (size_t)snprintf(text, sizeof(text),
	    "peer %u", i), sum);
	e.port = (uint16_t)(1024 + i);
	if (i % 5 == 4) {
		e.family = 6;
		memcpy(e.addr, sum, 16);
		e.addr[0] = 0x20;
		e.addr[1] = 0x01;
	} else {
		e.family = 4;
		memcpy(e.addr, sum, 4);
		e.addr[0] = (uint8_t)(60 + e.addr[0] % 60);
	}
	return e;
}

static const struct endpoint tracker = { .addr = { 192, 0, 2, 200 },
	.port = 6969, .family = 4 };

static int64_t add(const char *kind, int64_t conn, const struct endpoint *who,
    const char *detail, struct span raw, const struct named *named, size_t n)
{
	now_ns += step_ns;
	return ledger_add(ledger, &(struct record){ .at = { now_ns,
		now_ns - START }, .kind = kind,
		.swarm = who || strcmp(kind, "torrent") == 0 ? SWARM : NULL,
		.conn = conn, .who = who, .detail = detail, .raw = raw,
		.named = named, .names = n });
}

static int64_t plain(const char *kind, const char *detail)
{
	return add(kind, CONN_NONE, NULL, detail, (struct span){ 0 }, NULL, 0);
}

/* n peers from the i-th on, and their packed bytes. */
static size_t some(unsigned i, size_t n, struct named *named, uint8_t *packed)
{
	size_t at = 0;

	for (size_t k = 0; k < n; k++) {
		struct endpoint e = peer((i + (unsigned)k * 7) % peers);
		size_t len = e.family == 4 ? 4 : 16;

		named[k].at = e;
		memcpy(packed + at, e.addr, len);
		packed[at + len] = (uint8_t)(e.port >> 8);
		packed[at + len + 1] = (uint8_t)e.port;
		at += len + 2;
	}
	return at;
}

static void begin(const struct note_key *key, const struct ledger_past *past)
{
	static const char metainfo[] = "d8:announce35:http://192.0.2.200:6969/"
	    "announce  4:infod4:name1:aee";
	char vkey[NOTE_VKEY_MAX], fingerprint[65], text[1024];

	snprintf(text, sizeof(text), "{\"program\":\"swarmwitness\","
	    "\"vantage\":[\"192.0.2.1\"],\"case_id\":\"%s\",\"key_run\":1,\"key_prev\":"
	    "\"%064d\",\"previous\":null}", past->case_id, 0);
	plain("run", text);
	note_vkey(key, vkey);
	note_fingerprint(key, fingerprint);
	snprintf(text, sizeof(text), "{\"vkey\":\"%s\",\"fingerprint\":\"%s\"}",
	    vkey, fingerprint);
	plain("key", text);
	plain("clock", "{\"source\":\"sntp\",\"server\":\"192.0.2.123\"}");
	add("torrent", CONN_NONE, NULL, "{\"source\":\"a.torrent\",\"trackers\":"
	    "[\"http://192.0.2.200:6969/announce\"]}", span_str(metainfo), NULL,
	    0);
}

/* Everything that is said of peer i once. */
static void meet(unsigned i)
{
	struct endpoint me = peer(i), other = peer((i + 1) % peers);
	struct named named[20];
	uint8_t packed[20 * 18];
	char text[400], who[ENDPOINT_TEXT_MAX], them[ENDPOINT_TEXT_MAX];
	size_t n = some(i, 12, named, packed);
	int64_t seq;

	seq = add("announce", CONN_NONE, &tracker, "{\"tracker\":"
	    "\"http://192.0.2.200:6969/announce\"}",
	    span_str("GET /announce HTTP/1.1\r\nHost: 192.0.2.200:6969\r\n"),
	    NULL, 0);
	snprintf(text, sizeof(text), "{\"source\":\"tracker\",\"witness\":"
	    "\"http://192.0.2.200:6969/announce\",\"announce\":%lld}",
	    (long long)seq);
	add("listed", CONN_NONE, &tracker, text, span_of(packed, n), named, 12);
	n = some(i + 3, 5, named, packed);
	add("dht", CONN_NONE, &me, "{\"query\":\"get_peers\",\"node_id_ok\":true}",
	    span_of(packed, n), named, 5);
	snprintf(text, sizeof(text), "{\"source\":\"lsd\",\"witness\":\"%s\"}",
	    endpoint_text(&me, who));
	named[0].at = me;
	add("listed", CONN_NONE, &me, text, span_str(who), named, 1);

	seq = add("dial", CONN_SELF, &me, "{\"transport\":\"tcp\"}",
	    (struct span){ 0 }, NULL, 0);
	add("reached", seq, &me, "{\"local\":\"192.0.2.1:50000\"}",
	    (struct span){ 0 }, NULL, 0);
	add("handshake", seq, &me, "{\"by\":\"peer\"}",
	    span_str("\023BitTorrent protocol and so on"), NULL, 0);
	/* A version that looks like an address, and every seventh peer names
	 * another in its own words. */
	snprintf(text, sizeof(text), "{\"by\":\"peer\",\"client\":\"it's 4.5.2.1"
	    "%s%s\"}", i % 7 == 3 ? " of " : "", i % 7 == 3 ?
	    endpoint_text(&other, them) : "");
	add("extended", seq, &me, text, i % 7 == 3 ? span_str(them) :
	    span_str("d1:v6:it's 4e"), NULL, 0);
	n = some(i + 2, 9, named, packed);
	add("pex", seq, &me, "{\"by\":\"peer\",\"added\":9}",
	    span_of(packed, n), named, 9);
	add("message", seq, &me, "{\"by\":\"peer\",\"extension\":\"ut_holepunch\"}",
	    span_of(packed, n), NULL, 0);
	add("closed", seq, &me, "{\"by\":\"peer\",\"why\":\"done\"}",
	    (struct span){ 0 }, NULL, 0);

	snprintf(text, sizeof(text), "{\"transport\":\"tcp\",\"initiator\":\"%s\","
	    "\"responder\":\"%s\"}", endpoint_text(&me, who),
	    endpoint_text(&other, them));
	if (i % 10 == 0) {
		seq = add("flow", CONN_SELF, &me, text, (struct span){ 0 },
		    NULL, 0);
		add("have", seq, &other, "{\"by\":\"peer\",\"pieces\":[1]}",
		    span_str("\0\0\0\5\4\0\0\0\1"), NULL, 0);
	}
	if (i % 10 == 5) {
		snprintf(text, sizeof(text), "{\"ask\":\"get_peers\",\"to\":"
		    "\"%s\"}", endpoint_text(&other, them));
		add("dht", CONN_NONE, &me, text, span_str("d1:q9:get_peerse"),
		    NULL, 0);
	}
}

int main(int argc, char **argv)
{
	char ip[ENDPOINT_IP_MAX];
	struct ledger_past past;
	struct casedir dir;
	struct note_key key;
	unsigned times;

	if (argc < 5)
		return 2;
	peers = (unsigned)strtoul(argv[3], NULL, 10);
	times = (unsigned)strtoul(argv[4], NULL, 10);
	step_ns = 10000000000 / (14 * peers * times + 20);
	if (casedir_open(&dir, argv[1]) < 0 ||
	    note_key_open(&key, argv[2], NULL) < 0)
		return 1;
	ledger = ledger_open(&(struct ledger_conf){ .dir = &dir, .key = &key },
	    &past);
	if (ledger == NULL)
		return 1;
	begin(&key, &past);
	for (unsigned t = 0; t < times; t++)
		for (unsigned i = 0; i < peers; i++)
			meet(i);
	for (unsigned i = 0; i < peers; i++) {
		struct endpoint e = peer(i);

		printf("%s %u\n", endpoint_ip(&e, ip), e.port);
	}
	fflush(stdout);
	if (argc == 6) {
		ledger_flush(ledger);
		_exit(0);
	}
	plain("end", "{\"why\":\"done\"}");
	times = ledger_close(ledger, NULL, NULL) < 0;
	note_key_close(&key);
	casedir_close(&dir);
	return (int)times;
}
