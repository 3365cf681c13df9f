#include "capture/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define OURS "192.0.2.1"
#define OURS6 "2001:db8::1"
#define PEER "198.51.100.7"
#define PEER6 "2001:db8:ffff::7"

/* --- packets ------------------------------------------------------------- */

struct packet {
	uint8_t b[512];
	size_t n;
};

static struct endpoint at(const char *ip, unsigned port)
{
	struct endpoint e = { 0 };

	assert_true(endpoint_parse_ip(span_str(ip), &e));
	e.port = (uint16_t)port;
	return e;
}

static void head(struct packet *p, const struct endpoint *from,
    const struct endpoint *to, unsigned protocol)
{
	uint8_t *b = p->b + p->n;

	if (from->family == 4) {
		b[0] = 0x45;
		put_u16(b + 2, 400);
		b[8] = 64;
		b[9] = (uint8_t)protocol;
		memcpy(b + 12, from->addr, 4);
		memcpy(b + 16, to->addr, 4);
		p->n += 20;
	} else {
		b[0] = 0x60;
		put_u16(b + 4, 400);
		b[6] = (uint8_t)protocol;
		b[7] = 64;
		memcpy(b + 8, from->addr, 16);
		memcpy(b + 24, to->addr, 16);
		p->n += 40;
	}
}

static void ports(struct packet *p, const struct endpoint *from,
    const struct endpoint *to)
{
	put_u16(p->b + p->n, from->port);
	put_u16(p->b + p->n + 2, to->port);
	p->n += 20;
}

static void link_head(struct packet *p, int dlt, int family)
{
	unsigned type = family == 4 ? 0x0800 : 0x86dd;

	*p = (struct packet){ .n = dlt == DLT_EN10MB ? 14 :
	    dlt == DLT_LINUX_SLL2 ? 20 : 0 };
	if (dlt == DLT_EN10MB)
		put_u16(p->b + 12, (uint16_t)type);
	if (dlt == DLT_LINUX_SLL2)
		put_u16(p->b, (uint16_t)type);
}

/* from asked to something; error: 0, or the ICMP type with which a router
 * answers it. */
static void make(struct packet *p, int dlt, const struct endpoint *from,
    const struct endpoint *to, unsigned protocol, unsigned error)
{
	struct endpoint router = at(from->family == 4 ? "203.0.113.1" :
	    "2001:db8:aaaa::1", 0);

	link_head(p, dlt, from->family);
	if (error) {
		head(p, &router, from, from->family == 4 ? 1 : 58);
		p->b[p->n] = (uint8_t)error;
		p->n += 8;
	}
	head(p, from, to, protocol);
	ports(p, from, to);
}

/* --- cases --------------------------------------------------------------- */

static const struct {
	const char *what, *from;
	unsigned from_port;
	const char *to;
	unsigned to_port, protocol, error;
	bool range, host;	/* taken by which filter */
} cases[] = {
	{ "our TCP", OURS, 40005, PEER, 6881, 6, 0, true, true },
	{ "our UDP", OURS, 40000, PEER, 6881, 17, 0, true, true },
	{ "top of the range", OURS, 40099, PEER, 80, 6, 0, true, true },
	{ "past the range", OURS, 40100, PEER, 80, 6, 0, false, true },
	{ "before the range", OURS, 39999, PEER, 80, 6, 0, false, true },
	{ "their answer", PEER, 6881, OURS, 40005, 6, 0, true, true },
	{ "to our listener", PEER, 50000, OURS, 6999, 6, 0, true, true },
	{ "from our listener", OURS, 6999, PEER, 50000, 17, 0, true, true },
	{ "the host's ssh", PEER, 40005, OURS, 22, 6, 0, false, true },
	{ "their port in our range", OURS, 22, PEER, 40005, 6, 0, false,
	    true },
	{ "another host", "192.0.2.9", 40005, PEER, 6881, 6, 0, false,
	    false },
	{ "to another host", PEER, 6881, "192.0.2.9", 6999, 6, 0, false,
	    false },
	{ "our TCP, v6", OURS6, 40005, PEER6, 6881, 6, 0, true, true },
	{ "to our listener, v6", PEER6, 1, OURS6, 6999, 17, 0, true, true },
	{ "the host's ssh, v6", PEER6, 1, OURS6, 22, 6, 0, false, true },
	{ "another host, v6", "2001:db8::9", 40005, PEER6, 1, 6, 0, false,
	    false },
	{ "unreachable", OURS, 40005, PEER, 1, 17, 3, true, true },
	{ "unreachable, listener", OURS, 6999, PEER, 1, 17, 3, true, true },
	{ "time exceeded", OURS, 40005, PEER, 1, 6, 11, true, true },
	{ "unreachable, not ours", OURS, 22, PEER, 40005, 6, 3, false, true },
	{ "an error about ICMP", OURS, 40005, PEER, 1, 1, 3, false, false },
	{ "an echo", OURS, 40005, PEER, 1, 17, 8, false, false },
	{ "another's error", "192.0.2.9", 40005, PEER, 1, 17, 3, false,
	    false },
	{ "unreachable, v6", OURS6, 40005, PEER6, 1, 17, 1, true, true },
	{ "too big, v6", OURS6, 6999, PEER6, 1, 6, 2, true, true },
	{ "unreachable, not ours, v6", OURS6, 22, PEER6, 40005, 6, 1, false,
	    true },
	{ "an echo, v6", OURS6, 40005, PEER6, 1, 17, 128, false, false },
	{ "another's error, v6", "2001:db8::9", 40005, PEER6, 1, 17, 1, false,
	    false },
};

static void compile(const char *text, int dlt, struct bpf_program *program)
{
	pcap_t *p = pcap_open_dead(dlt, 262144);

	assert_non_null(p);
	if (pcap_compile(p, program, text, 1, PCAP_NETMASK_UNKNOWN) != 0)
		fail_msg("%s: %s", pcap_geterr(p), text);
	pcap_close(p);
}

static bool takes(const struct bpf_program *program, const struct packet *p)
{
	struct pcap_pkthdr h = { .caplen = (uint32_t)p->n,
	    .len = (uint32_t)p->n };
	uint8_t *copy = malloc(p->n);
	bool got;

	assert_non_null(copy);
	memcpy(copy, p->b, p->n);
	got = pcap_offline_filter(program, &h, copy) != 0;
	free(copy);
	return got;
}

static void ours_and_nobody_elses(void **state)
{
	static const int links[] = { DLT_LINUX_SLL2, DLT_EN10MB, DLT_RAW };
	struct endpoint local[] = { at(OURS, 0), at(OURS6, 0) };
	char ranged[CAPTURE_FILTER_MAX], host[CAPTURE_FILTER_MAX];
	struct bpf_program by_range, by_host;
	struct packet p;

	(void)state;
	assert_true(capture_filter(ranged, sizeof(ranged), local, 2, 40000,
	    40099, 6999) > 0);
	assert_true(capture_filter(host, sizeof(host), local, 2, 0, 0, 0) > 0);
	for (size_t k = 0; k < COUNT(links); k++) {
		compile(ranged, links[k], &by_range);
		compile(host, links[k], &by_host);
		for (size_t i = 0; i < COUNT(cases); i++) {
			struct endpoint from = at(cases[i].from,
			    cases[i].from_port);
			struct endpoint to = at(cases[i].to,
			    cases[i].to_port);

			make(&p, links[k], &from, &to, cases[i].protocol,
			    cases[i].error);
			if (takes(&by_range, &p) != cases[i].range)
				fail_msg("%s, link type %d", cases[i].what,
				    links[k]);
			if (takes(&by_host, &p) != cases[i].host)
				fail_msg("%s, host, link type %d",
				    cases[i].what, links[k]);
		}
		pcap_freecode(&by_range);
		pcap_freecode(&by_host);
	}
}

static void any_address(void **state)
{
	struct endpoint ours = at(OURS6, 6999), peer = at(PEER6, 1);
	char text[CAPTURE_FILTER_MAX];
	struct bpf_program program;
	struct packet p;

	(void)state;
	assert_true(capture_filter(text, sizeof(text), NULL, 0, 0, 0, 6999) >
	    0);
	compile(text, DLT_LINUX_SLL2, &program);
	make(&p, DLT_LINUX_SLL2, &ours, &peer, 6, 0);
	assert_true(takes(&program, &p));
	make(&p, DLT_LINUX_SLL2, &ours, &peer, 6, 1);
	assert_true(takes(&program, &p));
	ours.port = 6998;
	make(&p, DLT_LINUX_SLL2, &ours, &peer, 6, 0);
	assert_false(takes(&program, &p));
	pcap_freecode(&program);
}

static void many_addresses_or_no_room(void **state)
{
	struct endpoint local[16];
	char text[CAPTURE_FILTER_MAX];
	struct bpf_program program;
	int n;

	(void)state;
	for (size_t i = 0; i < COUNT(local); i++) {
		local[i] = at(i % 2 ? OURS6 : OURS, 0);
		local[i].addr[3] = (uint8_t)i;
	}
	n = capture_filter(text, sizeof(text), local, COUNT(local), 1, 65535,
	    65535);
	assert_true(n > 0 && strlen(text) == (size_t)n);
	compile(text, DLT_LINUX_SLL2, &program);
	pcap_freecode(&program);
	for (size_t room = 0; room <= (size_t)n + 1; room++) {
		char *exact = malloc(room ? room : 1);

		assert_non_null(exact);
		assert_int_equal(capture_filter(exact, room, local,
		    COUNT(local), 1, 65535, 65535), room > (size_t)n ? n : -1);
		free(exact);
	}
}

/* As many as a monitor gives, all long: the kernel takes 4096 instructions. */
static void fits_the_kernel(void **state)
{
	struct endpoint local[64];
	char text[CAPTURE_FILTER_MAX];
	struct bpf_program program;

	(void)state;
	for (size_t i = 0; i < COUNT(local); i++) {
		local[i] = at("2001:db8:ffff:ffff:ffff:ffff:ffff:fff0", 0);
		local[i].addr[13] = (uint8_t)(i | 0x80);
		local[i].addr[4] = (uint8_t)(i | 0x80);
	}
	assert_true(capture_filter(text, sizeof(text), local, COUNT(local),
	    20000, 29999, 26881) > 0);
	compile(text, DLT_LINUX_SLL2, &program);
	assert_in_range(program.bf_len, 1, 4096);
	pcap_freecode(&program);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ours_and_nobody_elses),
		cmocka_unit_test(any_address),
		cmocka_unit_test(many_addresses_or_no_room),
		cmocka_unit_test(fits_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
