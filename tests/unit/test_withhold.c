/* Which packets carry what must not be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "report/withhold.h"

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

	withhold_message(w, &me, span_of(raw, n));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_it_is),
		cmocka_unit_test(where_it_cannot_be_found),
		cmocka_unit_test(more_than_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
