/* Tables of claims as they come: encodings, separators, quotes, names of
 * columns, addresses, infohashes; and rows that are none. */
#include "report/claim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "report/when.h"
#include "tests/exact.h"

#define H "aabbccddeeff00112233445566778899aabbccdd"
#define H2 H "00112233445566778899aabb"

/* What was read, a row a line: "line ip port time infohash" or its fault. */
static char *read_as(struct span table, const struct claim_options *o)
{
	static const struct claim_options plain;
	struct claimlist c;
	struct span copy = exact(table.p, table.n);
	char *out = NULL;
	size_t n;
	FILE *f = open_memstream(&out, &n);

	if (claimlist_read(&c, "x.csv", copy, o ? o : &plain) < 0)
		fputs("refused\n", f);
	for (size_t i = 0; i < c.n; i++) {
		const struct claim *k = &c.at[i];
		char t[WHEN_MAX];

		fprintf(f, "%lld ", (long long)k->line);
		if (k->fault)
			fprintf(f, "%s\n", k->fault);
		else
			fprintf(f, "%s %d %.19s %.8s\n", k->ip, k->port,
			    when_text(k->from_utc_ns, BOUND_UNKNOWN, t),
			    k->infohash);
	}
	fclose(f);
	claimlist_fini(&c);
	unexact(copy);
	return out;
}

static void same(const char *what, char *got, const char *want)
{
	if (strcmp(got, want))
		fail_msg("%s:\n%s", what, got);
	free(got);
}

#define HEAD "IP Address,Port,Hit Date UTC,Info Hash\n"
#define ROW "1.2.3.4,6881,2026-01-31 23:59:59," H "\n"
#define READ "2 1.2.3.4 6881 2026-01-31T23:59:59 aabbccdd\n"

static const struct {
	const char *what, *table, *want;
} tables[] = {
	{ "plain", HEAD ROW, READ },
	{ "CRLF", "ip,port,utc,hash\r\n1.2.3.4,6881,2026-01-31 23:59:59," H
	    "\r\n", READ },
	{ "CR", "ip,port,utc,hash\r1.2.3.4,6881,2026-01-31 23:59:59," H "\r",
	    READ },
	{ "no line end at the end", "ip,port,utc,hash\n1.2.3.4,6881,"
	    "2026-01-31 23:59:59," H, READ },
	{ "semicolons, BOM", "\xef\xbb\xbf" "IP;Port;Timestamp;Infohash\n"
	    "1.2.3.4;6881;2026-01-31 23:59:59;" H "\n", READ },
	{ "tabs, any order", "Hash\tTime\tIP\tPort\n" H "\t2026-01-31 23:59:59"
	    "\t1.2.3.4\t6881\n", READ },
	{ "a spreadsheet's hint", "sep=;\nip;port;utc;hash\n1.2.3.4;6881;"
	    "2026-01-31 23:59:59;" H "\n",
	    "3 1.2.3.4 6881 2026-01-31T23:59:59 aabbccdd\n" },
	{ "quotes", "\"IP\",\"Port\",\"Date, Time\",\"Hash\"\n\"1.2.3.4\","
	    "\"6881\",\"2026-01-31 23:59:59\",\"" H "\"\n", READ },
	{ "quoted separators, quotes and line ends", "ip,port,utc,title,hash\n"
	    "1.2.3.4,6881,2026-01-31 23:59:59,\"a \"\"film\"\", or\ntwo\"," H
	    "\n\"1.2.3.4\",\" 6881 \",\"2026-01-31 23:59:59\",," H "\n",
	    READ "4 1.2.3.4 6881 2026-01-31T23:59:59 aabbccdd\n" },
	{ "a quote that never ends costs its row alone", HEAD
	    "1.2.3.4,6881,\"2026-01-31 23:59:59," H "\n" ROW,
	    "2 a quote is opened and not closed\n"
	    "3 1.2.3.4 6881 2026-01-31T23:59:59 aabbccdd\n" },
	{ "a name given twice", "ip,IP,utc,hash\n", "refused\n" },
	{ "text behind a quote", HEAD "\"1.2.3.4\"x,6881,2026-01-31 23:59:59,"
	    H "\n", "2 something stands behind a closing quote\n" },
	{ "empty lines", HEAD "\n,,,\n" ROW,
	    "4 1.2.3.4 6881 2026-01-31T23:59:59 aabbccdd\n" },
	{ "a short row", HEAD "1.2.3.4,6881\n", "2 infohash: there is none\n" },
	{ "date and time apart", "ip,date,time,port,hash\n1.2.3.4,31.01.2026,"
	    "23:59:59,6881," H "\n", READ },
	{ "a column of zones", "ip,port,utc,tz,hash\n1.2.3.4,6881,2026-02-01 "
	    "01:59:59,+02:00," H "\n", READ },
	{ "no port claimed", "ip,utc,hash\n1.2.3.4,2026-01-31 23:59:59," H
	    "\n", "2 1.2.3.4 -1 2026-01-31T23:59:59 aabbccdd\n" },
	{ "the port beside the address", "ip,utc,hash\n1.2.3.4:6881,"
	    "2026-01-31 23:59:59," H "\n", READ },
	{ "two ports", HEAD "1.2.3.4:99,6881,2026-01-31 23:59:59," H "\n",
	    "2 ip: it has a port that is not that of the port's column\n" },
	/* addresses */
	{ "IPv6", HEAD "2001:DB8:0:0:0:0:0:1,1,2026-01-31 23:59:59," H "\n"
	    "[2001:db8::1],1,2026-01-31 23:59:59," H "\n"
	    "::ffff:1.2.3.4,1,2026-01-31 23:59:59," H "\n"
	    "[2001:db8::1]:1,,2026-01-31 23:59:59," H "\n",
	    "2 2001:db8::1 1 2026-01-31T23:59:59 aabbccdd\n"
	    "3 2001:db8::1 1 2026-01-31T23:59:59 aabbccdd\n"
	    "4 1.2.3.4 1 2026-01-31T23:59:59 aabbccdd\n"
	    "5 2001:db8::1 1 2026-01-31T23:59:59 aabbccdd\n" },
	{ "no addresses", HEAD "1.2.3,1,2026-01-31 23:59:59," H "\n"
	    "example.org,1,2026-01-31 23:59:59," H "\n,1,2026-01-31 23:59:59,"
	    H "\n", "2 ip: it is no IPv4 or IPv6 address\n"
	    "3 ip: it is no IPv4 or IPv6 address\n4 ip: there is no address\n" },
	{ "no ports", HEAD "1.2.3.4,0,2026-01-31 23:59:59," H "\n"
	    "1.2.3.4,65536,2026-01-31 23:59:59," H "\n"
	    "1.2.3.4,-1,2026-01-31 23:59:59," H "\n"
	    "1.2.3.4,x,2026-01-31 23:59:59," H "\n",
	    "2 port: it is no number from 1 to 65535\n"
	    "3 port: it is no number from 1 to 65535\n"
	    "4 port: it is no number from 1 to 65535\n"
	    "5 port: it is no number from 1 to 65535\n" },
	/* infohashes */
	{ "infohashes", "ip,utc,hash\n"
	    "1.2.3.4,1769903999,AABBCCDDEEFF00112233445566778899AABBCCDD\n"
	    "1.2.3.4,1769903999,VK54ZXPO74ABCIRTIRKWM54ITGVLXTG5\n"
	    "1.2.3.4,1769903999," H2 "\n"
	    "1.2.3.4,1769903999,urn:btih:" H "\n"
	    "1.2.3.4,1769903999,1220" H2 "\n"
	    "1.2.3.4,1769903999,\"magnet:?xt=urn:btih:" H "&dn=x,y\"\n"
	    "1.2.3.4,1769903999,0123\n",
	    "2 1.2.3.4 -1 2026-01-31T23:59:59 aabbccdd\n"
	    "3 1.2.3.4 -1 2026-01-31T23:59:59 aabbccdd\n"
	    "4 1.2.3.4 -1 2026-01-31T23:59:59 aabbccdd\n"
	    "5 1.2.3.4 -1 2026-01-31T23:59:59 aabbccdd\n"
	    "6 1.2.3.4 -1 2026-01-31T23:59:59 aabbccdd\n"
	    "7 1.2.3.4 -1 2026-01-31T23:59:59 aabbccdd\n"
	    "8 infohash: it is no infohash of 40 or 64 hex digits or 32 of "
	    "base32\n" },
	/* the column decides */
	{ "month first, as one row shows", "ip,utc,hash\n1.2.3.4,1/2/2026 "
	    "10:00:00 PM," H "\n1.2.3.4,1/31/2026 10:00:00 PM," H "\n",
	    "2 1.2.3.4 -1 2026-01-02T22:00:00 aabbccdd\n"
	    "3 1.2.3.4 -1 2026-01-31T22:00:00 aabbccdd\n" },
	{ "day first, as one row shows", "ip,utc,hash\n1.2.3.4,1/2/2026 "
	    "10:00:00," H "\n1.2.3.4,31/1/2026 10:00:00," H "\n",
	    "2 1.2.3.4 -1 2026-02-01T10:00:00 aabbccdd\n"
	    "3 1.2.3.4 -1 2026-01-31T10:00:00 aabbccdd\n" },
	{ "nothing shows", "ip,utc,hash\n1.2.3.4,1/2/2026 10:00:00," H "\n",
	    "2 time: day and month could each come first, and nothing in the "
	    "column tells which\n" },
	{ "rows of both kinds", "ip,utc,hash\n1.2.3.4,1/2/2026 10:00:00," H
	    "\n1.2.3.4,31/1/2026 10:00:00," H "\n1.2.3.4,1/31/2026 10:00:00,"
	    H "\n", "2 time: day and month could each come first, and the "
	    "column has rows of both orders\n"
	    "3 1.2.3.4 -1 2026-01-31T10:00:00 aabbccdd\n"
	    "4 1.2.3.4 -1 2026-01-31T10:00:00 aabbccdd\n" },
	/* refused as a whole */
	{ "empty", "", "refused\n" },
	{ "no names of columns", "1.2.3.4,6881,2026-01-31 23:59:59," H "\n",
	    "refused\n" },
	{ "no infohash", "ip,port,utc\n", "refused\n" },
	{ "two of one kind", "ip,ip address,utc,hash\n", "refused\n" },
	{ "no rows", HEAD, "" },
};

static void as_they_come(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tables); i++)
		same(tables[i].what, read_as(span_str(tables[i].table), NULL),
		    tables[i].want);
}

/* The same table in every encoding. */
static void encodings(void **state)
{
	static const char table[] = "ip,port,utc,title,hash\n1.2.3.4,6881,"
	    "2026-01-31 23:59:59,na" "\xef" "ve," H "\n";
	char wide[2 * sizeof(table) + 2];
	struct claimlist c;
	static const struct claim_options plain;

	(void)state;
	for (int kind = 0; kind < 5; kind++) {
		static const char *const names[] = { "Latin-1", "UTF-16LE",
		    "UTF-16BE", "UTF-16LE", "UTF-16BE" };
		size_t n = 0;

		if (kind == 1 || kind == 2) {
			wide[n++] = kind == 1 ? (char)0xff : (char)0xfe;
			wide[n++] = kind == 1 ? (char)0xfe : (char)0xff;
		}
		for (size_t i = 0; kind && i < sizeof(table) - 1; i++) {
			wide[n++] = kind % 2 ? table[i] : 0;
			wide[n++] = kind % 2 ? 0 : table[i];
		}
		assert_int_equal(claimlist_read(&c, "x", kind ?
		    span_of(wide, n) : span_of(table, sizeof(table) - 1),
		    &plain), 0);
		assert_string_equal(c.table.encoding, names[kind]);
		assert_int_equal(c.n, 1);
		assert_null(c.at[0].fault);
		assert_string_equal(c.at[0].file, "na" "\xc3\xaf" "ve");
		claimlist_fini(&c);
	}
}

static void maps(void **state)
{
	static const char table[] = "Where,When,What,date\n1.2.3.4,"
	    "2026-01-31 23:59:59," H ",x\n";
	static const char *const good[] = { "where=ip", "When=utc",
	    "What=infohash" };
	static const struct {
		const char *map;
	} bad[] = { { "Where" }, { "Where=address" }, { "Nowhere=ip" } };
	struct claim_options o = { .map = good, .maps = 3 };

	(void)state;
	same("mapped", read_as(span_str(table), &o),
	    "2 1.2.3.4 -1 2026-01-31T23:59:59 aabbccdd\n");
	for (size_t i = 0; i < COUNT(bad); i++) {
		o = (struct claim_options){ .map = &bad[i].map, .maps = 1 };
		same(bad[i].map, read_as(span_str(table), &o), "refused\n");
	}
}

static void told(void **state)
{
	static const char table[] = "ip,utc,hash\n1.2.3.4,1/2/2026 10:00:00,"
	    H "\n1.2.3.4,2026-01-02T10:00:00Z," H "\n";
	struct claim_options o = { .zone_s = 7200, .order = DATES_MDY };

	(void)state;
	same("told", read_as(span_str(table), &o),
	    "2 1.2.3.4 -1 2026-01-02T08:00:00 aabbccdd\n"
	    "3 1.2.3.4 -1 2026-01-02T10:00:00 aabbccdd\n");
}

/* Duplicates, repeated and rounded times, sessions, amounts. */
static void as_a_whole(void **state)
{
	static const char table[] = "ip,port,start,end,hash,bytes,pieces\n"
	    "1.2.3.4,1,2026-01-01 10:00:00,2026-01-01 10:00:00," H
	    ",\"1,234,567\",3\n"
	    "1.2.3.4,1,2026-01-01 10:00:00,2026-01-01 10:05:00," H ",12,\n"
	    "1.2.3.4,2,2026-01-01 10:00:00,2026-01-01 09:00:00," H ",1,1\n"
	    "1.2.3.5,1,2026-01-01 10:07:00,," H ",x,1\n";
	static const struct claim_options plain;
	struct claimlist c;

	(void)state;
	assert_int_equal(claimlist_read(&c, "x", span_str(table), &plain), 0);
	assert_int_equal(c.n, 4);
	assert_int_equal(c.readable, 3);
	assert_int_equal(c.at[0].bytes, 1234567);
	assert_int_equal(c.at[0].pieces, 3);
	assert_int_equal(c.at[1].pieces, -1);
	assert_int_equal(c.at[0].same, 0);
	assert_int_equal(c.at[1].same, 2);
	assert_int_equal(c.at[2].same, 0);
	assert_int_equal(c.at[2].at_once, 3);
	assert_true(c.at[0].session && c.at[0].from_utc_ns ==
	    c.at[0].to_utc_ns && !c.at[0].ends_first);
	assert_int_equal(c.at[1].to_utc_ns - c.at[1].from_utc_ns,
	    300000000000);
	assert_true(c.at[2].ends_first);
	assert_string_equal(c.at[3].fault, "bytes: it is no number");
	assert_false(c.whole_minutes);	/* of three nothing follows */
	claimlist_fini(&c);
}

/* Cells at the limits. */
static void large(void **state)
{
	char *many = NULL;
	size_t n;
	FILE *f = open_memstream(&many, &n);

	(void)state;
	fputs("ip,port,utc,hash\n", f);
	for (int i = 0; i < 120; i++)
		fputs("1,", f);
	fputs("\n\"", f);
	for (int i = 0; i < 70000; i++)
		fputc('x', f);
	fputs("\",1\n" ROW, f);
	fclose(f);
	same("large", read_as(span_of(many, n), NULL),
	    "2 it has more than 100 cells\n"
	    "3 a quote is not closed within 65536 bytes\n"
	    "4 1.2.3.4 6881 2026-01-31T23:59:59 aabbccdd\n");
	free(many);
}

/* A zero byte hides nothing, and a row with too many cells is known. */
static void within(void **state)
{
	static const char table[] = "ip,port,utc,hash,client\n"
	    "1.2.3.4\0,6881,2026-01-31 23:59:59," H ",a\0b\n"
	    "1.2.3.4,6881,2026-01-31 23:59:59," H ",Film, part two\n";
	static const struct claim_options plain;
	struct claimlist c;
	struct span copy = exact(table, sizeof(table) - 1);

	(void)state;
	assert_int_equal(claimlist_read(&c, "x.csv", copy, &plain), 0);
	assert_string_equal(c.at[0].text[0], "1.2.3.4\xef\xbf\xbd");
	assert_string_equal(c.at[0].client, "a\xef\xbf\xbd""b");
	assert_int_equal(c.at[0].cells, 0);
	assert_int_equal(c.at[1].cells, 6);
	assert_int_equal(c.columns, 5);
	claimlist_fini(&c);
	unexact(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_they_come), cmocka_unit_test(encodings),
		cmocka_unit_test(maps), cmocka_unit_test(told),
		cmocka_unit_test(as_a_whole), cmocka_unit_test(large),
		cmocka_unit_test(within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
