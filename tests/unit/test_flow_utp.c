#include "tests/flow_kit.h"

#include <setjmp.h>

#include <cmocka.h>

#include "tests/exact.h"
#include "wire/utppacket.h"

/*
 * Scripts: packets apart by ';', each "side type id seq ack data", type one of
 * S(yn) D(ata) F(in) T (state) R(eset); "+MS" lets time pass; "u text" is
 * another datagram. Numbers are relative to ones below the wrap.
 */
#define SEQ_A 0xfffe
#define SEQ_B 0x7ffe
#define ID 0xffff

static size_t datagram(uint8_t *out, size_t room, char type, uint16_t id,
    uint16_t seq, uint16_t ack, const char *data)
{
	struct utp_packet p = { .conn_id = id, .seq = seq, .ack = ack,
	    .type = type == 'S' ? UTP_ST_SYN : type == 'D' ? UTP_ST_DATA :
	    type == 'F' ? UTP_ST_FIN : type == 'R' ? UTP_ST_RESET :
	    UTP_ST_STATE, .window = 9999, .diff_us = type == 'S' ? 0 : 5,
	    .close_reason = -1 };
	size_t n = utp_packet_put(out, room, &p);

	assert_true(n && strlen(data) <= room - n);
	memcpy(out + n, data, strlen(data));
	return n + strlen(data);
}

static void play(struct ear *e, const char *script, unsigned family)
{
	char line[128], data[64];
	uint8_t d[256];
	int id, seq, ack;
	char type;

	while (*script) {
		size_t n = strcspn(script, ";"), cut = 0;

		assert_true(n < sizeof(line));
		memcpy(line, script, n);
		line[n] = '\0';
		script += n + (script[n] == ';');
		const char *l = line + strspn(line, " ");
		bool b = *l == 'b';
		if (*l == '+') {
			e->packet.utc_ns += strtol(l + 1, NULL, 10) * 1000000;
			continue;
		}
		if (*l == 'u') {
			n = strlen(l + 2);
			memcpy(d, l + 2, n);
		} else {
			data[0] = '\0';
			assert_true(sscanf(l + 1, " %c %d %d %d %63s", &type,
			    &id, &seq, &ack, data) >= 4);
			char *bar = strchr(data, '|');
			if (bar)
				cut = strlen(bar);
			n = datagram(d, sizeof(d), type, (uint16_t)(ID + id),
			    (uint16_t)((b ? SEQ_B : SEQ_A) + seq),
			    type == 'S' ? 0 :
			    (uint16_t)((b ? SEQ_A : SEQ_B) + ack), data);
		}
		struct bytes p = udp_packet(family, b ? 2 : 1, b ? 22 : 11,
		    b ? 1 : 2, b ? 11 : 22, span_of(d, n));
		ear_give_cut(e, &p, p.n - cut);
		e->packet.utc_ns += 1000000;
	}
}

/* The initiator sends under ID + 1, the other end under ID. */
#define OPEN "a S 0 0 0;b T 0 1 0;"
#define TOLD "open(11>22 1,2) "
#define ENDS "the capture ended by 0@"

static const struct ear_case cases[] = {
	{ "from SYN to FIN", OPEN "a D 1 1 0 hello;b D 0 1 1 world;"
	    "a F 1 2 1;b F 0 2 2", TOLD "0:hello@3 1:world@4 "
	    "both ended by 0@6 " },
	{ "answered by data", "a S 0 0 0;b D 0 1 0 hi;a D 1 1 1 ho",
	    TOLD "1:hi@2 0:ho@3 " ENDS "3 " },
	{ "a SYN alone", "a S 0 0 0;a S 0 0 0;+3000;a S 0 0 0", "" },
	{ "a SYN that is not acknowledged", "a S 0 0 0;b T 0 1 -300;"
	    "a D 1 1 0 no", "" },
	{ "a SYN answered under another id", "a S 0 0 0;b T 1 1 0;"
	    "a D 1 1 0 no", "" },
	{ "refused", "a S 0 0 0;b R 0 1 0;b T 0 1 0", "" },
	{ "a repeated SYN", "a S 0 0 0;a S 0 0 0;b T 0 1 0;a S 0 0 0;"
	    "a D 1 1 0 yes", "open(11>22 1,3) 0:yes@5 " ENDS "5 " },
	{ "data before the answer", "a S 0 0 0;a D 1 1 0 early;b T 0 1 0;"
	    "b T 0 1 1", "open(11>22 1,3) 0:early@2 " ENDS "4 " },
	{ "repeated", OPEN "a D 1 1 0 abc;a D 1 1 0 abc;a D 1 2 0 d",
	    TOLD "0:abc@3 0:d@5 " ENDS "5 " },
	{ "repeated, and differs", OPEN "a D 1 1 0 abc;a D 1 1 0 aXc;"
	    "a D 1 2 0 d", TOLD "0:abc@3 0:differs 3+1@4 0:d@5 "
	    ENDS "5 " },
	{ "held, and differs", OPEN "a D 1 2 0 abc;a D 1 2 0 abX;a D 1 1 0 d",
	    TOLD "0:differs 1+1@4 0:d@5 0:abc@3 " ENDS "5 " },
	{ "reordered", OPEN "a D 1 3 0 c;a D 1 2 0 b;a D 1 1 0 a;a D 1 4 0 d",
	    TOLD "0:a@5 0:b@4 0:c@3 0:d@6 " ENDS "6 " },
	{ "lost, acknowledged twice", OPEN "a D 1 1 0 a;a D 1 4 0 d;b T 0 1 4;"
	    "b T 0 1 4;+20;b T 0 1 4;b T 0 1 4",
	    TOLD "0:a@3 0:gap 0/2 0:d@4 " ENDS "8 " },
	{ "late, but within the wait", OPEN "a D 1 1 0 a;a D 1 3 0 c;"
	    "b T 0 1 3;b T 0 1 3;a D 1 2 0 b", TOLD
	    "0:a@3 0:b@7 0:c@4 " ENDS "7 " },
	{ "acknowledged before it came", OPEN "b D 0 1 1 re;a D 1 1 0 q",
	    TOLD "0:q@4 1:re@3 " ENDS "4 " },
	{ "cut by the capture", OPEN "a D 1 1 0 abc|de;a D 1 2 0 f",
	    TOLD "0:abc@3 0:gap 3/0 0:f@4 " ENDS "4 " },
	{ "reset", OPEN "a D 1 1 0 a;b R 0 1 1;a D 1 2 0 late",
	    TOLD "0:a@3 reset by 1@4 " },
	{ "reset under the sender's own id", OPEN "a D 1 1 0 a;b R 1 1 1",
	    TOLD "0:a@3 reset by 1@4 " },
	{ "a reset of another id", OPEN "a D 1 1 0 a;b R 7 1 1;a D 1 2 0 b",
	    TOLD "0:a@3 0:b@5 " ENDS "5 " },
	{ "in mid-stream", "a D 1 50 70 a;b D 0 71 50 b;a T 1 51 71;"
	    "a D 1 51 71 c", "middle(11>22 1,2) 0:a@1 1:b@2 0:c@4 "
	    ENDS "4 " },
	{ "in mid-stream, by the other end first", "b T 0 70 50;"
	    "a D 1 51 69 a;b D 0 70 51 b",
	    "middle(22>11 1,2) 1:a@2 0:b@3 " ENDS "3 " },
	{ "in mid-stream, inconsistent numbers", "a D 1 50 70 a;"
	    "b D 0 5000 50 b;b D 0 71 4000 b", "" },
	{ "in mid-stream, inconsistent ids", "a D 1 50 70 a;b D 3 71 50 b",
	    "" },
	{ "in mid-stream, one way", "a D 1 50 70 a;a D 1 51 70 b;"
	    "a D 1 52 70 c", "" },
	{ "two at once", OPEN "a S 100 500 0;b T 100 900 500;a D 101 501 0 x;"
	    "a D 1 1 0 a;b D 100 900 501 y",
	    "open(11>22 3,4) 0:x@5 open(11>22 1,2) 0:a@6 1:y@7 "
	    ENDS "6 " ENDS "7 " },
	{ "both ends open one", OPEN "b S 100 900 0;a T 100 500 900;"
	    "b D 101 901 499 x;a D 1 1 0 a",
	    "open(22>11 3,4) 0:x@5 open(11>22 1,2) 0:a@6 "
	    ENDS "5 " ENDS "6 " },
	{ "the id again, later", OPEN "a D 1 1 0 a;a F 1 2 0;b F 0 1 2;"
	    "a S 0 700 0;b T 0 1 700;a D 1 701 0 b",
	    TOLD "0:a@3 both ended by 0@5 open(11>22 6,7) 0:b@8 "
	    ENDS "8 " },
	{ "other datagrams", "u d1:ad2:id20;" OPEN "u d1:q;a D 1 1 0 a",
	    "datagram(11>22 d1:ad2:id20/0) datagram(11>22 d1:q/0) "
	    "open(11>22 2,3) 0:a@5 " ENDS "5 " },
};

static void scripts(void **state)
{
	(void)state;
	assert_int_equal(ear_all(cases, COUNT(cases), play), 0);
}

/* A DNS query of 20 bytes is no SYN, and its answer proves none. */
static void dns(void **state)
{
	static const char query[20] = "\x41\0\1\0\0\1\0\0\0\0\0\0\1" "a"
	    "\0\0\1\0\1";
	static const char answer[] = "\x41\0\x81\x80\0\1\0\1\0\0\0\0\1" "a"
	    "\0\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\1";
	struct ear e;
	struct bytes p;

	(void)state;
	ear_begin(&e, 0);
	p = udp_packet(4, 1, 4444, 2, 53, span_of(query, sizeof(query)));
	ear_give(&e, &p);
	p = udp_packet(4, 2, 53, 1, 4444, span_of(answer, sizeof(answer) - 1));
	ear_give(&e, &p);
	flows_finish(e.flows);
	assert_int_equal(e.count, 0);
	assert_non_null(strstr(e.text, "datagram(4444>53"));
	assert_non_null(strstr(e.text, "datagram(53>4444"));
	ear_end(&e);
}

/* Random datagrams of uTP's shape between one pair prove nothing by chance,
 * and take bounded memory. */
static void noise(void **state)
{
	uint64_t seed = 7;
	uint8_t d[64];
	struct ear e;

	(void)state;
	ear_begin(&e, 0);
	e.quiet = true;
	for (unsigned i = 0; i < 200000; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		uint16_t id = (uint16_t)(seed >> 48);
		size_t n = datagram(d, sizeof(d), "DSTF"[i % 4], id,
		    (uint16_t)(seed >> 32), (uint16_t)(seed >> 16),
		    i % 4 == 1 || i % 4 == 2 ? "" : "data");
		bool b = seed >> 60 & 1;
		unsigned pair = i % 3 ? 0 : i % 50000;
		struct bytes p = udp_packet(4, b ? 2 : 1, b ? 22 : 11 + pair,
		    b ? 1 : 2, b ? 11 + pair : 22, span_of(d, n));

		ear_give(&e, &p);
		assert_true(flows_memory(e.flows) <= FLOW_MEMORY);
	}
	flows_finish(e.flows);
	assert_int_equal(e.count, 0);
	ear_end(&e);
}

/* Unproven ones hold what they were sent, within the bound of all. */
static void unproven_memory(void **state)
{
	static uint8_t d[1400];
	struct ear e;

	(void)state;
	ear_begin(&e, 0);
	for (unsigned i = 0; i < 100000; i++) {
		size_t n = datagram(d, sizeof(d), 'D', 7, (uint16_t)(i / 2000),
		    9, "");
		struct bytes p = udp_packet(4, 1, 1 + i % 2000, 2, 22,
		    span_of(d, sizeof(d)));

		assert_int_equal(n, UTP_HEADER);
		ear_give(&e, &p);
		assert_true(flows_memory(e.flows) <= FLOW_MEMORY);
	}
	flows_finish(e.flows);
	assert_int_equal(e.count, 0);
	assert_true(flows_memory_most(e.flows) > 20u << 20);
	ear_end(&e);
}

/* A long transfer across the wrap of seq_nr, reordered and repeated. */
static void wraps(void **state)
{
	enum { PACKETS = 70000 };
	uint8_t d[64];
	char text[16];
	struct ear e;

	(void)state;
	ear_begin(&e, 0);
	play(&e, OPEN, 4);
	e.quiet = true;
	for (int i = 0; i < PACKETS; i++) {
		int at = i ^ 1;		/* each pair the wrong way round */
		size_t n;

		snprintf(text, sizeof(text), "%08d", at);
		n = datagram(d, sizeof(d), 'D', (uint16_t)(ID + 1),
		    (uint16_t)(SEQ_A + 1 + at), (uint16_t)SEQ_B,
		    text);
		struct bytes p = udp_packet(4, 1, 11, 2, 22, span_of(d, n));
		ear_give(&e, &p);
		if (i % 5 == 0)
			ear_give(&e, &p);
		e.packet.utc_ns += 1000000;
	}
	flows_finish(e.flows);
	assert_int_equal(e.count, 1);
	assert_int_equal(e.heard[0].got[0], PACKETS * 8);
	assert_int_equal(e.heard[0].missed_packets[0], 0);
	for (int i = 0; i < (int)HEARD_BYTES / 8; i++) {
		snprintf(text, sizeof(text), "%08d", i);
		assert_memory_equal(e.heard[0].bytes[0] + i * 8, text, 8);
	}
	ear_end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts),
		cmocka_unit_test(dns),
		cmocka_unit_test(noise),
		cmocka_unit_test(unproven_memory),
		cmocka_unit_test(wraps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
