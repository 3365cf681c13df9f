/* Words of command lines, links and ledgers, each a short text: all readers of
 * such are given the same. */
#include <string.h>

#include <sqlite3.h>

#include "monitor/options.h"
#include "monitor/trackerurl.h"
#include "report/checkjson.h"
#include "report/select.h"
#include "schema/json.h"
#include "schema/log.h"
#include "schema/utf8.h"
#include "tests/fuzz/fuzz_file.h"

/* What verify takes for an object, SQL reads as one. */
static void object(const char *text, size_t n)
{
	static sqlite3_stmt *judge;
	static sqlite3 *db;

	if (judge == NULL)
		demand(sqlite3_open(":memory:", &db) == SQLITE_OK &&
		    sqlite3_prepare_v2(db, "SELECT json_valid(?1) AND "
		    "json_type(?1) = 'object'", -1, &judge, NULL) ==
		    SQLITE_OK);
	if (!checkjson_object(text, n))
		return;
	sqlite3_bind_text(judge, 1, text, (int)n, SQLITE_STATIC);
	demand(sqlite3_step(judge) == SQLITE_ROW &&
	    sqlite3_column_int(judge, 0) == 1);
	sqlite3_reset(judge);
}

static void selected(const char *text)
{
	char ip[ENDPOINT_IP_MAX], again[ENDPOINT_IP_MAX], day[11];

	if (select_ip(text, ip))
		demand(select_ip(ip, again) && strcmp(ip, again) == 0);
	if (select_day(text, day))
		demand(strncmp(day, text, 10) == 0);
	demand(select_port(text) >= -1 && select_port(text) <= 65535);
}

static void node(const char *text)
{
	struct span host;
	uint16_t port;

	if (options_node(text, &host, &port))
		demand(host.n > 0 && host.n < strlen(text) && port != 0);
}

/* A command line: its words are apart by newlines. */
static void line(const char *text)
{
	char *copy = strdup(text), *argv[64], *p = copy;
	struct options o;
	int argc = 1;

	demand(copy != NULL);
	argv[0] = (char *)"monitor";
	while (argc < 63 && p) {
		argv[argc++] = p;
		p = strchr(p, '\n');
		if (p)
			*p++ = '\0';
	}
	argv[argc] = NULL;
	if (options_read(&o, argc, argv) == OPTIONS_GO)
		demand(o.case_path != NULL && o.ports_from <= o.ports_to);
	free(copy);
}

static void url(struct span s)
{
	struct tracker_url t;

	if (!tracker_url_init(&t, s))
		return;
	if (t.scheme == SCHEME_UDP)
		demand(t.host != NULL && t.path != NULL && t.port != 0);
	tracker_url_fini(&t);
}

/* Whatever is put into JSON is JSON, and ASCII; a line for operators likewise. */
static void written(struct span s)
{
	char safe[64];
	struct json j;
	uint32_t v;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_text(&j, "a", s);
	json_close(&j, '}');
	demand(json_done(&j) != NULL && checkjson_object(j.text, j.n));
	for (size_t i = 0; i < j.n; i++)
		demand(j.text[i] >= ' ' && j.text[i] <= '~');
	json_fini(&j);
	log_safe(s, safe, sizeof(safe));
	demand(strlen(safe) < sizeof(safe));
	for (size_t i = 0, n; i < s.n; i += n ? n : 1) {
		n = utf8_next(span_of(s.p + i, s.n - i), &v);
		demand(n <= 4 && n <= s.n - i && v <= 0x10ffff);
	}
	log_warn("%.*s", (int)s.n, (const char *)s.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = fuzz_text(data, n);
	uint8_t hex[32];

	fuzz_file(data, 0);
	object(text, n);
	selected(text);
	node(text);
	line(text);
	url(span_of(text, n));
	written(span_of(text, n));
	hex_read(span_of(text, n), hex, sizeof(hex));
	free(text);
	return 0;
}
