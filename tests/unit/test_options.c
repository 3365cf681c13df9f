#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "monitor/options.h"

#define ARGS_MAX 40

/* Splits at blanks; the words live in buf. */
static int split(const char *line, char *buf, size_t n, char *argv[ARGS_MAX])
{
	int argc = 0;
	char *p = buf;

	snprintf(buf, n, "%s", line);
	while (*p) {
		argv[argc++] = p;
		p += strcspn(p, " ");
		if (*p)
			*p++ = '\0';
	}
	argv[argc] = NULL;
	return argc;
}

static enum options_result read_line(struct options *o, const char *line)
{
	static char buf[1024];
	static char *argv[ARGS_MAX];
	int argc = split(line, buf, sizeof(buf), argv);

	return options_read(o, argc, argv);
}

static void test_defaults(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(read_line(&o, "monitor case a.torrent b.torrent"),
	    OPTIONS_GO);
	assert_string_equal(o.case_path, "case");
	assert_int_equal(o.torrent_count, 2);
	assert_string_equal(o.torrents[1], "b.torrent");
	assert_int_equal(o.listen, 6881);
	assert_int_equal(o.ports_from, 20000);
	assert_int_equal(o.ports_to, 29999);
	assert_int_equal(o.sample, 2);
	assert_int_equal(o.outstanding, 4);
	assert_int_equal(o.duration_s, 0);
	assert_int_equal(o.bind4.family, 0);
	assert_false(o.observe_only || o.allow_local || o.no_packets);
}

/* Options may stand before, between and behind the operands. */
static void test_everywhere(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(read_line(&o, "monitor --sample all case "
	    "--bind 10.0.0.1 t --bind 2001:db8::7 --ports 100-200 --listen 0 "
	    "--ntp a --ntp b:5 --geo g --duration=30m --allow-local "
	    "--max-connections 7 --dial-rate 3"), OPTIONS_GO);
	assert_string_equal(o.case_path, "case");
	assert_int_equal(o.torrent_count, 1);
	assert_int_equal(o.sample, SAMPLE_ALL);
	assert_int_equal(o.bind4.family, 4);
	assert_int_equal(o.bind6.family, 6);
	assert_int_equal(o.ports_from, 100);
	assert_int_equal(o.listen, 0);
	assert_int_equal(o.ntps, 2);
	assert_string_equal(o.ntp[1], "b:5");
	assert_int_equal(o.geos, 1);
	assert_int_equal(o.duration_s, 1800);
	assert_int_equal(o.max_connections, 7);
	assert_int_equal(o.dial_rate, 3);
	assert_true(o.allow_local);
	assert_int_equal(read_line(&o, "monitor case --list l"), OPTIONS_GO);
	assert_int_equal(o.torrent_count, 0);
	assert_int_equal(read_line(&o, "monitor case -- --list"), OPTIONS_GO);
	assert_string_equal(o.torrents[0], "--list");
}

static void test_nodes(void **state)
{
	struct options o;
	struct span host;
	uint16_t port;

	(void)state;
	assert_int_equal(read_line(&o, "monitor case t"), OPTIONS_GO);
	assert_false(o.no_dht || o.announce_dht || o.lsd);
	assert_int_equal(o.dht_nodes, 0);
	assert_int_equal(read_line(&o, "monitor case t --dht-node "
	    "dht.example.org:6881 --dht-node [2001:db8::1]:7 --announce-dht "
	    "--lsd"), OPTIONS_GO);
	assert_true(o.announce_dht && o.lsd);
	assert_int_equal(o.dht_nodes, 2);
	assert_false(o.no_utp);
	assert_int_equal(o.encryption, LADDER_ALLOW);
	assert_int_equal(read_line(&o, "monitor case t --no-utp --encryption "
	    "require"), OPTIONS_GO);
	assert_true(o.no_utp);
	assert_int_equal(o.encryption, LADDER_REQUIRE);
	assert_int_equal(read_line(&o, "monitor case t --encryption off"),
	    OPTIONS_GO);
	assert_int_equal(o.encryption, LADDER_OFF);
	assert_int_equal(read_line(&o, "monitor case t --encryption maybe"),
	    OPTIONS_MISUSE);
	assert_int_equal(read_line(&o, "monitor case t --dht-node "
	    "dht.example.org:6881 --dht-node [2001:db8::1]:7"), OPTIONS_GO);
	assert_true(options_node(o.dht_node[0], &host, &port));
	assert_true(span_is(host, "dht.example.org"));
	assert_int_equal(port, 6881);
	assert_true(options_node(o.dht_node[1], &host, &port));
	assert_true(span_is(host, "2001:db8::1"));
	assert_int_equal(port, 7);
}

static void test_misuse(void **state)
{
	static const char *const lines[] = {
		"monitor", "monitor case", "monitor case t --listen",
		"monitor case t --listen 65536", "monitor case t --listen 1x",
		"monitor case t --listen 20000",
		"monitor case t --ports 30-20", "monitor case t --ports 0-20",
		"monitor case t --ports 20", "monitor case t --ports 1-65536",
		"monitor case t --ports 6000-7000",
		"monitor case t --sample 0", "monitor case t --sample some",
		"monitor case t --outstanding 33",
		"monitor case t --outstanding 0",
		"monitor case t --duration 0", "monitor case t --duration soon",
		"monitor case t --bind host", "monitor case t --bind 1.2.3.4:5",
		"monitor case t --dht-node", "monitor case t --dht-node host",
		"monitor case t --dht-node host:0",
		"monitor case t --dht-node :6881",
		"monitor case t --dht-node 2001:db8::1:6881",
		"monitor case t --no-dht --announce-dht",
		"monitor case t --no-dht --dht-node a:1",
		"monitor case t -x", "monitor case t --observe-only=1",
		"monitor case t --max-connections 0",
		"monitor case t --dial-rate 0",
		"monitor case t --max-rate 16383",
		"monitor case t --max-rate 8000000001",
		"monitor case t --max-rate 20000k",
		"monitor case t --peer-id-prefix -MUCHTOOLONG-",
		"monitor case t --interface=",
	};
	struct options o;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (read_line(&o, lines[i]) != OPTIONS_MISUSE)
			fail_msg("accepted: %s", lines[i]);
	}
	assert_int_equal(read_line(&o, "monitor --help"), OPTIONS_HELP);
	assert_int_equal(read_line(&o, "monitor case t --help"), OPTIONS_HELP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_everywhere),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_misuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
