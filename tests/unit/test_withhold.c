/* Which packets carry what must not be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/sha.h>

#include "report/withhold.h"
#include "wire/utppacket.h"

#define PEX "\0\0\0\7\24\1secre"	/* length 7, five letters */

static const struct endpoint me = { .addr = { 1, 2, 3, 4 }, .port = 6881,
	.family = 4 };
static const struct endpoint us = { .addr = { 5, 6, 7, 8 }, .port = 50000,
	.family = 4 };

static struct packet tcp(uint32_t seq, const char *p, size_t n, uint8_t flags)
{
	return (struct packet){ .kind = PACKET_TCP, .from = me, .to = us,
		.payload = span_of(p, n), .seq = seq, .flags = flags };
}

/* What is left out of the packets given: a character each. */
static const char *ask(struct withhold *w, const struct packet *p, size_t n)
{
	static char out[32];

	for (size_t i = 0; i < n; i++)
		withhold_look(w, &p[i]);
	withhold_find(w);
	for (size_t i = 0; i < n; i++)
		out[i] = withhold_is(w, &p[i]) ? 'x' : '.';
	out[n] = '\0';
	withhold_free(w);
	return out;
}

static struct withhold *hiding(const char *raw, size_t n)
{
	struct withhold *w = withhold_new();

	withhold_message(w, &me, -1, span_of(raw, n));
	return w;
}

static void where_it_is(void **state)
{
	const struct packet whole[] = { tcp(99, "", 0, PACKET_SYN),
		tcp(100, "hello", 5, PACKET_ACK),
		tcp(105, "ab" PEX "cd", 15, PACKET_ACK),
		tcp(120, "piece", 5, PACKET_ACK),
		tcp(105, "ab" PEX "cd", 15, PACKET_ACK) };	/* again */
	const struct packet split[] = { tcp(0xfffffff0, "", 0, PACKET_SYN),
		tcp(0xfffffff1, "0123456789abc" "\0\0", 15, PACKET_ACK),
		tcp(0, "\0\7\24\1se", 6, PACKET_ACK),
		tcp(6, "cre", 3, PACKET_ACK),
		tcp(9, "after", 5, PACKET_ACK) };
	const struct packet late[] = { tcp(9, "", 0, PACKET_SYN),
		tcp(15, PEX + 5, 6, PACKET_ACK),
		tcp(10, PEX, 5, PACKET_ACK), tcp(21, "more", 4, PACKET_ACK) };

	(void)state;
	assert_string_equal(ask(hiding(PEX, 11), whole, 5), "..x.x");
	assert_string_equal(ask(hiding(PEX, 11), split, 5), ".xxx.");
	assert_string_equal(ask(hiding(PEX, 11), late, 4), ".xx.");
}

static void where_it_cannot_be_found(void **state)
{
	const struct packet other[] = { tcp(99, "", 0, PACKET_SYN),
		tcp(100, "rc4rc4", 6, PACKET_ACK), tcp(106, "", 0, PACKET_ACK) };
	const struct packet middle[] = { tcp(100, PEX, 11, PACKET_ACK),
		tcp(111, "x", 1, PACKET_ACK) };
	struct packet udp = { .kind = PACKET_UDP, .from = me, .to = us,
		.payload = span_of("utp", 3) };
	struct packet elsewhere = other[1];

	(void)state;
	/* Encrypted: everything that holds bytes; bare acknowledgements stay. */
	assert_string_equal(ask(hiding(PEX, 11), other, 3), ".x.");
	/* No beginning: what came before is not known. */
	assert_string_equal(ask(hiding(PEX, 11), middle, 2), "xx");
	assert_string_equal(ask(hiding(PEX, 11), &udp, 1), "x");
	/* Bytes that are not known, or are no message. */
	assert_string_equal(ask(hiding(NULL, 0), other, 3), ".x.");
	assert_string_equal(ask(hiding("\0\0\0\11ab", 6), other, 3), ".x.");
	elsewhere.from.port = 1;
	assert_string_equal(ask(hiding(PEX, 11), &elsewhere, 1), ".");
}

/* Two messages of one record, apart in the stream; and a connection that takes
 * the ports of one before. */
static void more_than_one(void **state)
{
	const struct packet apart[] = { tcp(9, "", 0, PACKET_SYN),
		tcp(10, "\0\0\0\2ab", 6, PACKET_ACK),
		tcp(16, "between", 7, PACKET_ACK),
		tcp(23, "\0\0\0\2cd", 6, PACKET_ACK) };
	const struct packet twice[] = { tcp(9, "", 0, PACKET_SYN),
		tcp(10, "first", 5, PACKET_ACK),
		tcp(900000009, "", 0, PACKET_SYN),
		tcp(900000010, PEX, 11, PACKET_ACK) };

	(void)state;
	assert_string_equal(ask(hiding("\0\0\0\2ab\0\0\0\2cd", 12), apart, 4),
	    ".x.x");
	assert_string_equal(ask(hiding(PEX, 11), twice, 4), "...x");
}

/* Strict: what no conversation is proved to have carried is not shown. */
static struct withhold *talking(const char *bytes, size_t n, const char *raw,
    size_t raw_n)
{
	struct withhold *w = withhold_new();
	uint8_t sum[32];

	SHA256((const uint8_t *)bytes, n, sum);
	withhold_talk(w, &me, 7, n, sum);
	if (raw)
		withhold_message(w, &me, 7, span_of(raw, raw_n));
	return w;
}

static void what_nobody_accounts_for(void **state)
{
	const struct packet stream[] = { tcp(99, "", 0, PACKET_SYN),
		tcp(100, "hello", 5, PACKET_ACK),
		tcp(105, PEX, 11, PACKET_ACK),
		tcp(116, "end", 3, PACKET_ACK),
		tcp(119, "unread", 6, PACKET_ACK),
		tcp(119, "", 0, PACKET_ACK | PACKET_FIN) };
	const struct packet mixed[] = { tcp(99, "", 0, PACKET_SYN),
		tcp(105, PEX "end", 14, PACKET_ACK),	/* early */
		tcp(100, "hello", 5, PACKET_ACK),
		tcp(100, "HELLO", 5, PACKET_ACK),	/* again, and other */
		tcp(100, "hello", 5, PACKET_ACK) };
	const struct packet over[] = { tcp(99, "", 0, PACKET_SYN),
		tcp(100, "hel", 3, PACKET_ACK),
		tcp(103, "lo, and", 7, PACKET_ACK),
		tcp(900000009, "", 0, PACKET_SYN),
		tcp(900000010, "hello", 5, PACKET_ACK) };
	struct withhold *w = withhold_new();

	(void)state;
	assert_string_equal(ask(talking("hello" PEX "end", 19, PEX, 11),
	    stream, 6), "..x.x.");
	/* It is not found, though it should be: all of the conversation. */
	assert_string_equal(ask(talking("hello" PEX "end", 19, "\0\0\0\1q", 5),
	    stream, 6), ".xxxx.");
	/* Other bytes than it read; less than it read; nothing at all. */
	assert_string_equal(ask(talking("hallo", 5, NULL, 0), stream, 6),
	    ".xxxx.");
	assert_string_equal(ask(talking("hello" PEX "end, and more", 29, NULL,
	    0), stream, 6), ".xxxx.");
	withhold_strict(w);
	assert_string_equal(ask(w, stream, 6), ".xxxx.");
	/* A segment that is read in part; the next of the same ports. */
	assert_string_equal(ask(talking("hello", 5, NULL, 0), over, 3), "..x");
	assert_string_equal(ask(talking("hello", 5, NULL, 0), over, 5),
	    ".xx..");
	assert_string_equal(ask(talking("hello, and", 10, NULL, 0), over, 5),
	    "....x");
	/* What comes again is held against what came first, or withheld. */
	assert_string_equal(ask(talking("hello" PEX "en", 18, PEX, 11), mixed,
	    5), ".x.x.");
	assert_string_equal(ask(talking("hello" PEX "end", 19, PEX, 11), mixed,
	    5), ".x.xx");
}

static struct packet utp(unsigned type, uint16_t seq, const char *p, size_t n,
    uint8_t out[64])
{
	struct utp_packet u = { .type = (enum utp_type)type, .conn_id = 77,
		.seq = seq, .close_reason = -1 };
	size_t at = utp_packet_put(out, 64, &u);

	memcpy(out + at, p, n);
	return (struct packet){ .kind = PACKET_UDP, .from = me, .to = us,
		.payload = span_of(out, at + n) };
}

static void over_utp(void **state)
{
	uint8_t b[7][64];
	const struct packet stream[] = { utp(UTP_ST_STATE, 65534, "", 0, b[0]),
		utp(UTP_ST_DATA, 65534, "hello", 5, b[1]),
		utp(UTP_ST_DATA, 0, "end", 3, b[2]),	/* early */
		utp(UTP_ST_DATA, 65535, PEX, 11, b[3]),
		utp(UTP_ST_DATA, 0, "end", 3, b[4]),	/* again */
		utp(UTP_ST_DATA, 1, "unread", 6, b[5]),
		{ .kind = PACKET_UDP, .from = me, .to = us,
		    .payload = span_of("d1:ad2:id20:", 12) } };

	(void)state;
	assert_string_equal(ask(talking("hello" PEX "end", 19, PEX, 11),
	    stream, 7), "...x.xx");
	assert_string_equal(ask(talking("hello", 5, NULL, 0), stream, 7),
	    "..xxxxx");
	assert_string_equal(ask(talking("hallo", 5, NULL, 0), stream, 7),
	    ".xxxxxx");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_it_is),
		cmocka_unit_test(where_it_cannot_be_found),
		cmocka_unit_test(more_than_one),
		cmocka_unit_test(what_nobody_accounts_for),
		cmocka_unit_test(over_utp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
