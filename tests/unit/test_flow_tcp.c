#include "tests/flow_kit.h"

#include <setjmp.h>

#include <cmocka.h>

#include "tests/exact.h"

/*
 * Scripts: packets apart by ';', each "side flags seq ack data". Numbers are
 * relative to each side's ISN, which lies just below the wrap. "+MS" lets time
 * pass; "x" is a packet of side a that was cut to data's length, of 8.
 */
#define ISN_A 0xfffffffdu
#define ISN_B 0x7ffffffeu

static unsigned flags_of(const char *s)
{
	unsigned f = 0;

	for (; *s; s++)
		f |= *s == 'S' ? PACKET_SYN : *s == 'F' ? PACKET_FIN :
		    *s == 'R' ? PACKET_RST : *s == 'A' ? PACKET_ACK : 0u;
	return f;
}

static void play(struct ear *e, const char *script, unsigned family)
{
	char line[128], flags[8], data[64];
	long seq, ack;

	while (*script) {
		size_t n = strcspn(script, ";");

		assert_true(n < sizeof(line));
		memcpy(line, script, n);
		line[n] = '\0';
		script += n + (script[n] == ';');
		const char *l = line + strspn(line, " ");
		if (*l == '+') {
			e->packet.utc_ns += strtol(l + 1, NULL, 10) * 1000000;
			continue;
		}
		data[0] = '\0';
		ack = 0;
		assert_true(sscanf(l + 1, "%7s %ld %ld %63s", flags, &seq,
		    &ack, data) >= 2);
		bool b = *l == 'b';
		size_t have = strlen(data);
		if (*l == 'x')
			memset(data + have, 'x', 9 - have);
		data[8 > have && *l == 'x' ? 8 : have] = '\0';
		uint32_t mine = b ? ISN_B : ISN_A, other = b ? ISN_A : ISN_B;
		struct bytes p = tcp_packet(family, b ? 2 : 1, b ? 22 : 11,
		    b ? 1 : 2, b ? 11 : 22, mine + (uint32_t)seq,
		    flags_of(flags) & PACKET_ACK ? other + (uint32_t)ack : 0,
		    flags_of(flags), span_str(data));
		ear_give_cut(e, &p, *l == 'x' ? p.n - (8 - have) : p.n);
		e->packet.utc_ns += 1000000;
	}
}

#define OPEN "a S 0;b SA 0 1;a A 1 1;"
#define TOLD "open(11>22 1,2) "
#define ENDS "the capture ended by 0@"

static const struct ear_case cases[] = {
	{ "from SYN to FIN", OPEN "a A 1 1 hello;b A 1 6 world;a FA 6 6;"
	    "b FA 6 7;a A 7 7",
	    TOLD "0:hello@4 1:world@5 both ended by 0@7 " },
	{ "half-closed", OPEN "a FA 1 1;b A 1 2 one;b A 4 2 two;b FA 7 2",
	    TOLD "1:one@5 1:two@6 both ended by 0@7 " },
	{ "data behind a FIN", OPEN "a A 1 1 abc;a FA 4 1;a A 4 1 zz;"
	    "a A 5 1 yy", TOLD "0:abc@4 " ENDS "7 " },
	{ "held, and behind a FIN", OPEN "a A 6 1 zz;a FA 4 1;a A 1 1 abc",
	    TOLD "0:abc@6 " ENDS "6 " },
	{ "says nothing", OPEN "a FA 1 1;b FA 1 2", "" },
	{ "SYN alone", "a S 0;+1;a S 0;a S 0", "" },
	{ "refused", "a S 0;b RA 0 1", "" },
	{ "repeated", OPEN "a A 1 1 abc;a A 1 1 abc;a A 4 1 d",
	    TOLD "0:abc@4 0:d@6 " ENDS "6 " },
	{ "repeated and more", OPEN "a A 1 1 abc;a A 2 1 bcdef",
	    TOLD "0:abc@4 0:def@5 " ENDS "5 " },
	{ "reordered", OPEN "a A 4 1 def;a A 1 1 abc;a A 7 1 g",
	    TOLD "0:abc@5 0:def@4 0:g@6 " ENDS "6 " },
	{ "reordered FIN", OPEN "a FA 4 1;a A 1 1 abc;b FA 1 5",
	    TOLD "0:abc@5 both ended by 0@6 " },
	{ "reordered, filled by one", OPEN "a A 3 1 c;a A 5 1 e;"
	    "a A 1 1 abcdef", TOLD "0:ab@6 0:c@4 0:d@6 0:e@5 0:f@6 "
	    ENDS "6 " },
	{ "lost; acknowledged twice", OPEN "a A 1 1 abc;a A 7 1 ghi;b A 1 10;"
	    "b A 1 10;+20;b A 1 10;b A 1 10",
	    TOLD "0:abc@4 0:gap 3 0:ghi@5 " ENDS "9 " },
	{ "lost; acknowledged once, then the end", OPEN "a A 1 1 abc;"
	    "a A 7 1 ghi;b A 1 10",
	    TOLD "0:abc@4 0:gap 3 0:ghi@5 " ENDS "6 " },
	{ "late, but within the wait", OPEN "a A 1 1 abc;a A 7 1 ghi;b A 1 10;"
	    "b A 1 10;a A 4 1 def", TOLD "0:abc@4 0:def@8 0:ghi@5 "
	    ENDS "8 " },
	{ "later than the wait", OPEN "a A 1 1 abc;a A 7 1 ghi;b A 1 10;"
	    "b A 1 10;+20;b A 1 10;b A 1 10;a A 4 1 def;a A 10 1 j",
	    TOLD "0:abc@4 0:gap 3 0:ghi@5 0:j@11 " ENDS "11 " },
	{ "the first is lost", OPEN "a A 4 1 def;+50;b A 1 7;b A 1 7;b A 1 7",
	    TOLD "0:gap 3 0:def@4 " ENDS "7 " },
	{ "the last is lost", OPEN "a A 1 1 abc;b A 1 9;b A 1 9",
	    TOLD "0:abc@4 0:gap 4 " ENDS "6 " },
	{ "the last is lost, the FIN not", OPEN "a A 1 1 abc;a FA 9 1;"
	    "b A 1 10", TOLD "0:abc@4 0:gap 5 " ENDS "6 " },
	{ "the FIN is lost", OPEN "a A 1 1 abc;b A 1 5;b FA 1 5",
	    TOLD "0:abc@4 " ENDS "6 " },
	{ "a forged acknowledgement", OPEN "a A 1 1 abc;b A 1 50000;b A 1 4;"
	    "b A 1 4;+50;b A 1 4;b A 1 4;a A 4 1 def;b A 1 7",
	    TOLD "0:abc@4 0:def@10 " ENDS "11 " },
	{ "acknowledged before it came", OPEN "b A 1 4 answer;a A 1 1 ask",
	    TOLD "0:ask@5 1:answer@4 " ENDS "5 " },
	{ "acknowledged and never came", OPEN "b A 1 4 one;b A 4 4 two;+20;"
	    "b A 7 4 three;b A 12 4",
	    TOLD "1:one@4 0:gap 2 1:two@5 1:three@6 " ENDS "7 " },
	{ "cut by the capture", OPEN "x A 1 1 abc;x A 9 1 defgh;a A 17 1 i",
	    TOLD "0:abc@4 0:gap 5 0:defgh@5 0:gap 3 0:i@6 " ENDS "6 " },
	{ "wholly cut", OPEN "x A 1 1;a A 9 1 i",
	    TOLD "0:gap 8 0:i@5 " ENDS "5 " },
	{ "cut, over what is held", OPEN "a A 4 1 d;a A 6 1 f;x A 1 1 ab;"
	    "b A 1 7;b A 1 9;b A 1 9;+50;b A 1 9",
	    TOLD "0:ab@6 0:gap 1 0:d@4 0:gap 1 0:f@5 0:gap 1 " ENDS "10 " },
	{ "overlap of what is held", OPEN "a A 3 1 cd;a A 2 1 bcde;a A 1 1 a",
	    TOLD "0:a@6 0:b@5 0:cd@4 0:e@5 " ENDS "6 " },
	{ "and differs", OPEN "a A 3 1 cd;a A 2 1 bXde;a A 1 1 a",
	    TOLD "0:differs 2+1@5 0:a@6 0:b@5 0:cd@4 0:e@5 " ENDS "6 " },
	{ "overlap of what was told differs", OPEN "a A 1 1 abc;a A 4 1 def;"
	    "a A 2 1 bXdeYg", TOLD "0:abc@4 0:def@5 0:differs 5+1@6 "
	    "0:differs 2+1@6 0:g@6 " ENDS "6 " },
	{ "held and told first differ", OPEN "a A 1 1 ab;a A 5 1 ef;"
	    "a A 5 1 eX;a A 3 1 cd", TOLD "0:ab@4 0:differs 5+1@6 0:cd@7 "
	    "0:ef@5 " ENDS "7 " },
	{ "keepalive", OPEN "a A 1 1 abc;a A 3 1 X;a A 3 1;b A 1 4;a A 4 1 d",
	    TOLD "0:abc@4 0:d@8 " ENDS "8 " },
	{ "reset", OPEN "a A 1 1 abc;b RA 1 4;a A 4 1 d",
	    TOLD "0:abc@4 reset by 1@5 " },
	{ "reset outside the window", OPEN "a A 1 1 abc;b R -5000;a A 4 1 d",
	    TOLD "0:abc@4 0:d@6 " ENDS "6 " },
	{ "reset of a number that is not the next", OPEN "a A 1 1 abc;"
	    "b R 500;a A 4 1 d", TOLD "0:abc@4 0:d@6 " ENDS "6 " },
	{ "reset behind what was not captured", OPEN "a A 1 1 abc;b A 1 9;"
	    "a R 9", TOLD "0:abc@4 0:gap 4 reset by 0@6 " },
	{ "reset tells what waits", OPEN "a A 4 1 def;a RA 7 1",
	    TOLD "0:gap 3 0:def@4 reset by 0@5 " },
	{ "in mid-stream", "b A 100 50 one;a A 50 103 two;b A 103 53 three",
	    "middle(22>11 1,0) 0:one@1 1:two@2 0:three@3 " ENDS "3 " },
	{ "in mid-stream, one way", "a A 50 100 one;a A 53 200 two;"
	    "a A 56 300 three", "middle(11>22 1,0) 0:one@1 0:two@2 0:three@3 "
	    ENDS "3 " },
	{ "the SYN was missed", "b SA 0 1;a A 1 1 abc;b A 1 4 def",
	    "open(11>22 1,1) 0:abc@2 1:def@3 " ENDS "3 " },
	{ "both open", "a S 0;b S 0;a SA 0 1;b SA 0 1;a A 1 1 abc;b A 1 4 d",
	    TOLD "0:abc@5 1:d@6 " ENDS "6 " },
	{ "data in the SYN", "a S 0 0 abc;b SA 0 4;a A 4 1 def",
	    "open(11>22 1,0) 0:abc@1 0:def@3 " ENDS "3 " },
	{ "data in both SYNs", "a S 0 0 abc;b SA 0 4 xyz;a A 4 4 def",
	    "open(11>22 1,0) 0:abc@1 1:xyz@2 0:def@3 " ENDS "3 " },
	{ "data in the SYN, the answer's first is lost", "a S 0 0 abc;b SA 0 4;"
	    "b A 4 4 two;a A 4 7;a A 4 7;+20;b A 7 4 three;a A 4 12",
	    "open(11>22 1,0) 0:abc@1 1:gap 3 1:two@3 1:three@6 " ENDS "7 " },
	{ "a SYN's data is not taken", "a S 0 0 abc;b SA 0 1 xyz;"
	    "a A 1 4 abcdef",
	    "open(11>22 1,0) 0:abc@1 1:xyz@2 0:def@3 " ENDS "3 " },
	{ "data in the SYN, refused", "a S 0 0 abc;b RA 0 4",
	    "open(11>22 1,0) 0:abc@1 reset by 1@2 " },
	{ "the next of the same ends", OPEN "a A 1 1 abc;a FA 4 1;b FA 1 5;"
	    "a A 5 2;a S 7000;b SA 9000 7001;a A 7001 9001 def",
	    TOLD "0:abc@4 both ended by 0@6 open(11>22 8,9) 0:def@10 "
	    ENDS "10 " },
	{ "the next, its SYN was missed", OPEN "a A 1 1 abc;a FA 4 1;"
	    "b FA 1 5;b SA 9000 7001;a A 7001 9001 def", TOLD "0:abc@4 "
	    "both ended by 0@6 open(11>22 7,7) 0:def@8 " ENDS "8 " },
	{ "a late SYN-ACK of what is over", OPEN "a A 1 1 abc;a FA 4 1;"
	    "b FA 1 5;b SA 0 1;a A 5 2", TOLD "0:abc@4 both ended by 0@6 " },
	{ "the next, the end of the first was missed", OPEN "a A 1 1 abc;"
	    "a S 7000;b SA 9000 7001;a A 7001 9001 def", TOLD "0:abc@4 "
	    "its ends began another by 0@4 open(11>22 6,6) 0:def@7 "
	    ENDS "7 " },
	{ "a forged SYN", OPEN "a A 1 1 abc;a S 7000;a A 4 1 def;b S 5;"
	    "b A 1 7 ghi", TOLD "0:abc@4 0:def@6 1:ghi@8 " ENDS "8 " },
	{ "another ISN before any answer", "a S 0;a S 500;b SA 0 501;"
	    "a A 501 1 abc", "open(11>22 2,3) 0:abc@4 " ENDS "4 " },
	{ "silent for long", OPEN "a A 1 1 abc;+901000;a A 4 1 def",
	    TOLD "0:abc@4 0:def@5 " ENDS "5 " },
	{ "a straggler begins nothing", OPEN "a A 1 1 abc;a FA 4 1;b FA 1 5;"
	    "a A 5 2;a A 1 1 abc;b A 2 5 late", TOLD
	    "0:abc@4 both ended by 0@6 " },
	{ "a number beyond any window", OPEN "a A 1 1 abc;"
	    "a A 1500000000 1 zzz;a A 4 1 def",
	    TOLD "0:abc@4 0:def@6 " ENDS "6 " },
};

static void scripts(void **state)
{
	(void)state;
	assert_int_equal(ear_all(cases, COUNT(cases), play), 0);
}

/*
 * Conversations at random: bytes of both sides are known, what was captured of
 * them is known, and what is told must be just that.
 */
#define LENGTH 4000u
#define PACKETS 2000u

struct sent {
	unsigned side;
	uint32_t at, n;		/* bytes [at, at + n) of the side */
	uint32_t acks;		/* bytes of the other side */
	unsigned flags;
	bool lost;
};

static struct world {
	uint32_t isn[2];
	uint32_t length[2];
	struct sent sent[PACKETS];
	unsigned n;
	uint8_t covered[2][LENGTH];
	uint32_t need[2][LENGTH];	/* by byte: acknowledged with it */
	uint64_t seed;
} world;

static unsigned draw(unsigned below)
{
	world.seed = world.seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((world.seed >> 33) % below);
}

static uint8_t truth(unsigned side, uint32_t at)
{
	return (uint8_t)(at * 31 + at / 251 + side * 101);
}

static void send_one(unsigned side, uint32_t at, uint32_t n, uint32_t acks,
    unsigned flags)
{
	if (world.n < PACKETS)
		world.sent[world.n++] = (struct sent){ side, at, n, acks,
		    flags, false };
}

/* Both ends send all they have; whatever is sent arrives there at once. */
static void converse(bool repeats)
{
	uint32_t next[2] = { 0, 0 };

	world.n = 0;
	for (unsigned i = 0; i < 2; i++) {
		world.isn[i] = draw(2) ? draw(1u << 31) * 2 + draw(2) :
		    0u - draw(LENGTH);
		world.length[i] = draw(LENGTH);
	}
	send_one(0, 0, 0, 0, PACKET_SYN);
	send_one(1, 0, 0, 0, PACKET_SYN | PACKET_ACK);
	send_one(0, 0, 0, 0, PACKET_ACK);
	while (next[0] < world.length[0] || next[1] < world.length[1]) {
		unsigned side = draw(2);
		uint32_t n = draw(draw(4) ? 100 : 2);

		if (n > world.length[side] - next[side])
			n = world.length[side] - next[side];
		if (repeats && next[side] && draw(8) == 0) {
			uint32_t at = draw(next[side]);

			send_one(side, at, draw(next[side] - at + 1),
			    next[!side], PACKET_ACK);
			continue;
		}
		for (uint32_t i = 0; i < n; i++)
			world.need[side][next[side] + i] = next[!side];
		send_one(side, next[side], n, next[!side], PACKET_ACK);
		next[side] += n;
	}
	send_one(0, next[0], 0, next[1], PACKET_FIN | PACKET_ACK);
	send_one(1, next[1], 0, next[0] + 1, PACKET_FIN | PACKET_ACK);
	send_one(0, next[0] + 1, 0, next[1] + 1, PACKET_ACK);
}

static void swap_some(void)
{
	for (unsigned i = 4; i + 1 < world.n; i += 3)
		if (draw(3) == 0) {
			struct sent s = world.sent[i];

			world.sent[i] = world.sent[i + 1];
			world.sent[i + 1] = s;
		}
}

static void capture(struct ear *e, unsigned loss, unsigned twice)
{
	uint8_t data[LENGTH];

	memset(world.covered, 0, sizeof(world.covered));
	for (unsigned i = 0; i < world.n; i++) {
		struct sent *s = &world.sent[i];

		s->lost = i > 2 && loss && draw(loss) == 0;
		if (s->lost)
			continue;
		for (uint32_t k = 0; k < s->n; k++) {
			data[k] = truth(s->side, s->at + k);
			world.covered[s->side][s->at + k] = 1;
		}
		bool syn = s->flags & PACKET_SYN;
		struct bytes p = tcp_packet(4, 1 + s->side, 11 + s->side,
		    2 - s->side, 12 - s->side,
		    world.isn[s->side] + s->at + !syn,
		    s->flags & PACKET_ACK ?
		    world.isn[!s->side] + s->acks + 1 : 0, s->flags,
		    span_of(data, s->n));

		for (unsigned k = twice && draw(twice) == 0 ? 2 : 1; k; k--)
			ear_give(e, &p);
		e->packet.utc_ns += 1000000;
	}
	flows_finish(e->flows);
}

static uint64_t covered(unsigned side)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < LENGTH; i++)
		n += world.covered[side][i];
	return n;
}

/* No byte is told before those it acknowledges. */
static void in_order(struct ear *e, const struct heard *h, unsigned side)
{
	(void)e;
	assert_true(h->n[!side] + 1 >= world.need[side][h->n[side]]);
}

static void true_bytes(const struct heard *h)
{
	for (unsigned side = 0; side < 2; side++) {
		assert_true(h->n[side] <= world.length[side]);
		assert_int_equal(h->n[side], h->got[side] + h->missed[side]);
		for (uint32_t i = 0; i < h->n[side]; i++)
			if (h->bytes[side][i] != truth(side, i))
				assert_true(h->bytes[side][i] == 0 &&
				    h->missed[side] > 0);
	}
}

static void random_conversations(void **state)
{
	struct ear e;

	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		unsigned loss = round % 3 == 1 ? 4 + draw(30) : 0;
		bool repeats = round % 3 == 2, swaps = round % 2;
		const struct heard *h;

		world.seed = round;
		ear_begin(&e, 400000);
		e.quiet = true;
		converse(repeats);
		if (swaps)
			swap_some();
		if (loss == 0 && !repeats)
			e.check = in_order;
		capture(&e, loss, round % 5 ? 0 : 6);
		h = &e.heard[0];
		if (e.count == 0) {
			assert_int_equal(covered(0) + covered(1), 0);
			ear_end(&e);
			continue;
		}
		assert_int_equal(e.count, 1);
		assert_true(h->closed && h->open.opened);
		true_bytes(h);
		assert_int_equal(h->differs, 0);
		for (unsigned side = 0; side < 2; side++) {
			assert_int_equal(h->got[side], covered(side));
			if (loss == 0)
				assert_int_equal(h->got[side],
				    world.length[side]);
		}
		if (loss == 0)
			assert_int_equal(h->end, FLOW_FIN);
		ear_end(&e);
	}
}

/* --- bounds --- */

static void half_open(void **state)
{
	struct ear e;

	(void)state;
	ear_begin(&e, 0);
	for (unsigned i = 0; i < 1000000; i++) {
		struct bytes p;

		p.n = 0;
		add_ip(&p, 4, 2 + i / 50000, 1, 6, 20, 0, 0);
		add_tcp(&p, 1 + i % 50000, 80, i * 7919u, 0, PACKET_SYN,
		    span_str(""));
		ear_give(&e, &p);
		e.packet.utc_ns += 1000;
		assert_true(flows_memory(e.flows) <= FLOW_MEMORY);
	}
	flows_finish(e.flows);
	assert_int_equal(e.count, 0);
	assert_int_equal(flows_counts(e.flows).half_open, 1000000);
	assert_true(flows_memory_most(e.flows) <= FLOW_MEMORY);
	ear_end(&e);
}

/* One-byte segments behind a hole that is never filled nor acknowledged. */
static void one_byte_segments(void **state)
{
	enum { N = 400000 };
	struct ear e;

	(void)state;
	for (int backwards = 0; backwards < 2; backwards++) {
		ear_begin(&e, 0);
		e.quiet = true;
		play(&e, OPEN, 4);
		for (uint32_t i = 0; i < N; i++) {
			struct bytes p;

			p.n = 0;
			add_ip(&p, 4, 1, 2, 6, 21, 0, 0);
			add_tcp(&p, 11, 22, ISN_A + 2 +
			    2 * (backwards ? N - i : i), ISN_B + 1,
			    PACKET_ACK, span_str("z"));
			ear_give(&e, &p);
			assert_true(flows_memory(e.flows) <= FLOW_MEMORY);
		}
		flows_finish(e.flows);
		assert_true(flows_memory_most(e.flows) <= FLOW_MEMORY);
		assert_int_equal(e.count, 1);
		if (!backwards) {
			assert_int_equal(e.heard[0].got[0], N);
			assert_int_equal(e.heard[0].missed[0], N);
		}
		ear_end(&e);
	}
}

/* Many flows, each with a hole and as much behind it as it may. */
static void many_holes(void **state)
{
	static uint8_t zeros[1400];
	struct ear e;
	uint64_t got = 0;

	(void)state;
	ear_begin(&e, 0);
	e.quiet = true;
	for (uint32_t i = 0; i < 60 * 1000; i++) {
		unsigned flow = i % 60;
		struct bytes p;

		p.n = 0;
		add_ip(&p, 4, 1, 2, 6, 20 + sizeof(zeros), 0, 0);
		add_tcp(&p, 1000 + flow, 22, 7 + i / 60 * 1400 +
		    (i >= 60 ? 100 : 0u), 1, PACKET_ACK,
		    span_of(zeros, sizeof(zeros)));
		ear_give(&e, &p);
		assert_true(flows_memory(e.flows) <= FLOW_MEMORY);
	}
	flows_finish(e.flows);
	assert_int_equal(e.count, 60);
	for (unsigned i = 0; i < 60; i++) {
		got += e.heard[i].got[0];
		assert_int_equal(e.heard[i].missed[0], 100);
	}
	assert_int_equal(got, 60 * 1000 * 1400);
	assert_true(flows_memory_most(e.flows) <= FLOW_MEMORY);
	ear_end(&e);
}

static void unwanted(void **state)
{
	struct ear e;

	(void)state;
	ear_begin(&e, 1000);
	e.refuse = 1;
	play(&e, OPEN "a A 1 1 abc;b A 1 4 def;a A 9 1 ghi;a FA 12 1;b FA 4 13;"
	    "a S 900;b SA 900 901;a A 901 901 next", 4);
	flows_finish(e.flows);
	assert_string_equal(e.text, "refused open(11>22 9,10) 0:next@11 "
	    ENDS "11 ");
	ear_end(&e);
	ear_begin(&e, 1000);
	e.stop_after = 2;
	play(&e, OPEN "a A 4 1 def;a A 7 1 ghi;a A 1 1 abc;b A 1 10 no", 4);
	flows_finish(e.flows);
	assert_string_equal(e.text, TOLD "0:abc@6 0:def@4 ");
	ear_end(&e);
}

/* A stamp far ahead, or back, ends nothing. */
static void clocks(void **state)
{
	struct ear e;

	(void)state;
	ear_begin(&e, 0);
	play(&e, OPEN "a A 1 1 abc;+999999999;b A 1 4 def;"
	    "+-999999999;a A 4 4 ghi;+-99999;b A 4 7 jkl", 4);
	flows_finish(e.flows);
	assert_string_equal(e.text, TOLD "0:abc@4 1:def@5 0:ghi@6 1:jkl@7 "
	    ENDS "7 ");
	ear_end(&e);
}

/* A flow that was silent for long ends when time is seen to have passed. */
static void idle(void **state)
{
	struct ear e;
	struct bytes p = udp_packet(4, 8, 8, 9, 9, span_str("x"));

	(void)state;
	ear_begin(&e, 0);
	play(&e, OPEN "a A 1 1 abc", 4);
	e.packet.utc_ns += FLOW_IDLE_NS + 1000000000;
	ear_give(&e, &p);
	e.packet.utc_ns++;
	ear_give(&e, &p);
	play(&e, "a A 4 1 def", 4);
	flows_finish(e.flows);
	assert_string_equal(e.text, TOLD "0:abc@4 datagram(8>9 x/0) "
	    "datagram(8>9 x/0) silent for long by 0@4 "
	    "middle(11>22 7,0) 0:def@7 " ENDS "7 ");
	ear_end(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scripts),
		cmocka_unit_test(random_conversations),
		cmocka_unit_test(half_open),
		cmocka_unit_test(one_byte_segments),
		cmocka_unit_test(many_holes),
		cmocka_unit_test(unwanted),
		cmocka_unit_test(clocks),
		cmocka_unit_test(idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
