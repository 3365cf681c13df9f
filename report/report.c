#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/address.h"
#include "report/bundle.h"
#include "report/endpoints.h"
#include "report/manifest.h"
#include "report/pseudonym.h"
#include "report/reader.h"
#include "report/reference.h"
#include "report/select.h"
#include "schema/log.h"

#define GEO_MOST 16

static void usage(FILE *f)
{
	fputs("usage: swarmwitness report [options] CASE... -o OUT\n"
	    "Writes OUT/index.html, OUT/report.json, a CSV of each derived "
	    "table\n(of several cases 1-TABLE.csv, 2-TABLE.csv ...) and "
	    "OUT/MANIFEST.sha256.\nOUT is made; it may be empty or hold a "
	    "former report, which is replaced.\n"
	    "  -o, --output OUT    the folder to write\n"
	    "      --geo FILE      a MaxMind DB for countries and networks; "
	    "may be repeated\n"
	    "      --swarm H       only this infohash (hex)\n"
	    "      --ip A          an address record instead: what is recorded "
	    "of one address,\n                      in OUT/address.html, .json "
	    "and .csv\n"
	    "      --port P        of that address only this port\n"
	    "      --from T, --to T  only the UTC days from T to T "
	    "(2026-01-31, or with\n                      a time of day, "
	    "T12:00:00Z)\n"
	    "      --reference FILE=PATH  hold PATH, a lawful copy of the "
	    "torrent's FILE,\n                      against the piece hashes; "
	    "may be repeated\n"
	    "      --pseudonymise KEYFILE  pseudonyms for all addresses, by a "
	    "key that is made if\n                      absent\n"
	    "      --case-uco      also OUT/case-uco.jsonld, a graph of "
	    "CASE/UCO\n"
	    "      --csv TABLE     no -o: write this table of the one CASE to "
	    "standard output\n"
	    "      --no-sandbox    do not confine this process\n"
	    "      --help\n", f);
}

struct options {
	const char *out, *swarm;
	char ip[ENDPOINT_IP_MAX], from_day[11], to_day[11];
	int port;
	const char *geo[GEO_MOST];
	size_t geos;
	const char *reference[REFERENCE_MOST];
	size_t references;
	const char *key_file, *csv;
	bool case_uco, no_sandbox;
};

static int misused(const char *what)
{
	log_warn("report: %s", what);
	return 2;
}

/* -1: go on; else the exit status. */
static int one_option(int c, struct options *o, const struct selection *of)
{
	switch (c) {
	case 'o':
		o->out = optarg;
		return -1;
	case 'g':
		if (o->geos == GEO_MOST)
			return misused("more than 16 --geo");
		o->geo[o->geos++] = optarg;
		return -1;
	case 'r':
		if (o->references == REFERENCE_MOST)
			return misused("more than 64 --reference");
		o->reference[o->references++] = optarg;
		return -1;
	case 'k':
		o->key_file = optarg;
		return -1;
	case 'u':
		o->case_uco = true;
		return -1;
	case 'c':
		o->csv = optarg;
		return -1;
	case 'n':
		o->no_sandbox = true;
		return -1;
	case 'h':
		usage(stdout);
		return 0;
	case '?':
		usage(stderr);
		return 2;
	default:
		return select_option(of, c, optarg) ? -1 : 2;
	}
}

/* The same, of all together. */
static int check_options(const struct options *o, int cases)
{
	if (o->ip[0] == '\0' && (o->port >= 0 || o->from_day[0] ||
	    o->to_day[0]))
		return misused("--port, --from and --to go with --ip");
	if (o->case_uco && (o->ip[0] || o->csv))
		return misused("--case-uco goes without --ip and --csv");
	if (o->csv && (o->out || o->ip[0] || o->references || cases != 1 ||
	    !bundle_has(o->csv)))
		return misused("--csv wants a table (swarm, sighting, contact, "
		    "piece_check, endpoint, coverage, decoy_source, "
		    "decoy_endpoint) and one case, and goes without -o, --ip "
		    "and --reference");
	if (cases == 0 || (o->out == NULL && o->csv == NULL)) {
		misused("wants a case and -o OUT");
		usage(stderr);
		return 2;
	}
	return -1;
}

static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		SELECT_OPTIONS,
		{ "output", required_argument, NULL, 'o' },
		{ "geo", required_argument, NULL, 'g' },
		{ "pseudonymise", required_argument, NULL, 'k' },
		{ "case-uco", no_argument, NULL, 'u' },
		{ "csv", required_argument, NULL, 'c' },
		{ "reference", required_argument, NULL, 'r' },
		{ "no-sandbox", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const struct selection of = { "report", o->ip, &o->port, o->from_day,
		o->to_day, &o->swarm };
	int c, r;

	optind = 0;
	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1)
		if ((r = one_option(c, o, &of)) >= 0)
			return r;
	return check_options(o, argc - optind);
}

/* A swarm asked for must be in one of the cases at least. */
static int check_swarm(const struct subject *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (rows_number(s->cases[i].db, "SELECT EXISTS (SELECT 1 FROM "
		    "swarm WHERE swarm = ?1) OR EXISTS (SELECT 1 FROM endpoint "
		    "WHERE swarm = ?1)", s->swarm, 0))
			return 0;
	log_warn("report: --swarm %s: no case given holds it", s->swarm);
	return -1;
}

/* asked: as the user wrote it, under pseudonyms too. */
static int check_address(const struct subject *s, const char *asked)
{
	for (size_t i = 0; i < s->n; i++)
		if (address_known(&s->cases[i], s->of.ip))
			return 0;
	log_warn("report: --ip %s: no case given names it", asked);
	return -1;
}

/* The case under pseudonyms is the case all the same: its name and its ledger's
 * digest are shown, not the copy's. */
static void relabel(const struct pseudonym *p, struct facts *c,
    const char *path, const char digest[65])
{
	size_t n = strlen(path), from;
	char *name;

	while (n > 1 && path[n - 1] == '/')
		n--;
	for (from = n; from > 0 && path[from - 1] != '/'; from--)
		;
	name = strndup(path + from, n - from);
	if (name == NULL)
		log_die("out of memory");
	free(c->name);
	c->name = pseudonym_copy(p, name);
	free(name);
	c->sealed = digest[0] != '\0';
	memcpy(c->digest, digest, sizeof(c->digest));
}

/* An address asked for, as the copy has it. */
static void veil_ip(const struct pseudonym *p, char ip[ENDPOINT_IP_MAX])
{
	struct endpoint e = { 0 };

	if (!endpoint_parse_ip(span_str(ip), &e))
		return;
	e = pseudonym_of(p, &e);
	endpoint_ip(&e, ip);
}

/* p: NULL unless under pseudonyms; *copy is then what was made. */
static int open_case(struct facts *c, const char *path,
    const struct pseudonym *p, char **copy, bool whole)
{
	char digest[65] = "";

	if (p && pseudonym_case(p, path, copy, digest))
		return -1;
	if (facts_open(c, p ? *copy : path, whole))
		return -1;
	if (p)
		relabel(p, c, path, digest);
	return 0;
}

/* Cases and reference copies come from others. Derived tables are brought up to
 * date in the case itself, and the report lies beside others. */
static int confine(const struct options *o, char **cases, size_t n)
{
	struct sandbox_path *paths;
	char *out = o->out ? reader_folder(o->out) : NULL;
	size_t k = 0, most = n + 1;
	int rc;

	for (size_t i = 0; i < o->references; i++)
		most += strlen(o->reference[i]);
	paths = calloc(most, sizeof(*paths));
	if (paths == NULL)
		log_die("out of memory");
	for (size_t i = 0; i < n; i++)
		paths[k++] = (struct sandbox_path){ cases[i], true };
	/* Which '=' ends the torrent's FILE only the cases tell. */
	for (size_t i = 0; i < o->references; i++)
		for (const char *eq = o->reference[i];
		    (eq = strchr(eq, '=')); eq++)
			paths[k++] = (struct sandbox_path){ eq + 1, false };
	paths[k++] = (struct sandbox_path){ out, true };
	rc = reader_confine(paths, k, o->no_sandbox);
	free(out);
	free(paths);
	return rc;
}

int report_main(int argc, char **argv)
{
	struct options o = { .port = -1 };
	struct geo geo = { 0 };
	struct facts *cases = NULL;
	struct references references = { 0 };
	struct pseudonym pseudonym = { 0 };
	char **copies, asked[ENDPOINT_IP_MAX];
	struct subject s = { .geo = &geo };
	int status = read_options(argc, argv, &o), r = 0;

	if (status >= 0)
		return status;
	cases = calloc((size_t)(argc - optind), sizeof(*cases));
	copies = calloc((size_t)(argc - optind), sizeof(*copies));
	if (cases == NULL || copies == NULL)
		log_die("out of memory");
	s.cases = cases;
	s.swarm = o.swarm;
	s.case_uco = o.case_uco;
	s.of = (struct endpoints_of){ .ip = o.ip[0] ? o.ip : NULL,
		.port = o.port,
		.from_day = o.from_day[0] ? o.from_day : NULL,
		.to_day = o.to_day[0] ? o.to_day : NULL };
	for (size_t i = 0; i < o.geos && r == 0; i++)
		r = geo_add(&geo, o.geo[i]);
	snprintf(asked, sizeof(asked), "%s", o.ip);
	if (o.key_file && r == 0) {
		r = pseudonym_open(&pseudonym, o.key_file);
		s.pseudonyms = true;
		references.veil = &pseudonym;
	}
	if (r == 0 && o.references)
		references_probe(&references, o.reference, o.references);
	if (r == 0)
		r = confine(&o, argv + optind, (size_t)(argc - optind));
	if (s.pseudonyms && r == 0) {
		geo_veil(&geo, &pseudonym);
		veil_ip(&pseudonym, o.ip);
	}
	for (int i = optind; i < argc && r == 0; i++) {
		r = open_case(&cases[s.n], argv[i], o.key_file ? &pseudonym :
		    NULL, &copies[s.n], s.of.ip == NULL && !o.csv);
		s.n++;
		if (r == 0)
			r = endpoints_prepare(&cases[s.n - 1], &s.of, s.swarm);
	}
	if (r == 0 && s.swarm)
		r = check_swarm(&s);
	if (r == 0 && s.of.ip)
		r = check_address(&s, asked);
	if (r == 0 && o.references) {
		r = references_read(&references, o.reference, o.references,
		    cases, s.n, o.swarm);
		s.references = &references;
	}
	if (r == 0)
		r = o.csv ? bundle_table(stdout, &s, o.csv) :
		    bundle_write(o.out, &s);
	if (r == 0 && !o.csv)
		log_info("report: %s%s%s.html", o.out, manifest_slash(o.out),
		    s.of.ip ? "address" : "index");
	references_free(&references);
	for (size_t i = 0; i < s.n; i++)
		facts_close(&cases[i]);
	for (size_t i = 0; i < s.n; i++)
		pseudonym_remove(copies[i]);
	free(copies);
	pseudonym_fini(&pseudonym);
	free(cases);
	geo_close(&geo);
	return r == 0 ? 0 : 1;
}
