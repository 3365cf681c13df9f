#include "report/report.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/address.h"
#include "report/bundle.h"
#include "report/endpoints.h"
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
};

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "geo", required_argument, NULL, 'g' },
		{ "swarm", required_argument, NULL, 's' },
		{ "ip", required_argument, NULL, 'i' },
		{ "port", required_argument, NULL, 'p' },
		{ "from", required_argument, NULL, 'f' },
		{ "to", required_argument, NULL, 't' },
		{ "reference", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			o->out = optarg;
			break;
		case 'g':
			if (o->geos == GEO_MOST) {
				log_warn("report: more than %d --geo",
				    GEO_MOST);
				return 2;
			}
			o->geo[o->geos++] = optarg;
			break;
		case 'r':
			if (o->references == REFERENCE_MOST) {
				log_warn("report: more than %u --reference",
				    REFERENCE_MOST);
				return 2;
			}
			o->reference[o->references++] = optarg;
			break;
		case 's':
			o->swarm = optarg;
			break;
		case 'i':
			if (!select_ip(optarg, o->ip)) {
				log_warn("report: --ip wants an address");
				return 2;
			}
			break;
		case 'p':
			o->port = select_port(optarg);
			if (o->port < 0) {
				log_warn("report: --port wants 0 to 65535");
				return 2;
			}
			break;
		case 'f':
		case 't':
			if (!select_day(optarg, c == 'f' ? o->from_day :
			    o->to_day)) {
				log_warn("report: --%s wants a UTC day or "
				    "time, as 2026-01-31 or "
				    "2026-01-31T12:00:00Z", c == 'f' ?
				    "from" : "to");
				return 2;
			}
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (o->swarm && strspn(o->swarm, "0123456789abcdef") !=
	    strlen(o->swarm)) {
		log_warn("report: --swarm wants the infohash in lower-case "
		    "hex");
		return 2;
	}
	if (o->ip[0] == '\0' && (o->port >= 0 || o->from_day[0] ||
	    o->to_day[0])) {
		log_warn("report: --port, --from and --to go with --ip");
		return 2;
	}
	if (optind == argc || o->out == NULL) {
		log_warn("report: wants a case and -o OUT");
		usage(stderr);
		return 2;
	}
	return -1;
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

static int check_address(const struct subject *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (address_known(&s->cases[i], s->of.ip))
			return 0;
	log_warn("report: --ip %s: no case given names it", s->of.ip);
	return -1;
}

int report_main(int argc, char **argv)
{
	struct options o = { .port = -1 };
	struct geo geo = { 0 };
	struct facts *cases = NULL;
	struct references references = { 0 };
	struct subject s = { .geo = &geo };
	int status = read_options(argc, argv, &o), r = 0;

	if (status >= 0)
		return status;
	cases = calloc((size_t)(argc - optind), sizeof(*cases));
	if (cases == NULL)
		log_die("out of memory");
	s.cases = cases;
	s.swarm = o.swarm;
	s.of = (struct endpoints_of){ .ip = o.ip[0] ? o.ip : NULL,
		.port = o.port,
		.from_day = o.from_day[0] ? o.from_day : NULL,
		.to_day = o.to_day[0] ? o.to_day : NULL };
	for (size_t i = 0; i < o.geos && r == 0; i++)
		r = geo_add(&geo, o.geo[i]);
	for (int i = optind; i < argc && r == 0; i++) {
		r = facts_open(&cases[s.n], argv[i], s.of.ip == NULL);
		s.n++;
		if (r == 0)
			r = endpoints_prepare(&cases[s.n - 1], &s.of, s.swarm);
	}
	if (r == 0 && s.swarm)
		r = check_swarm(&s);
	if (r == 0 && s.of.ip)
		r = check_address(&s);
	if (r == 0 && o.references) {
		r = references_read(&references, o.reference, o.references,
		    cases, s.n, o.swarm);
		s.references = &references;
	}
	if (r == 0)
		r = bundle_write(o.out, &s);
	if (r == 0)
		log_info("report: %s/%s.html", o.out, s.of.ip ? "address" :
		    "index");
	references_free(&references);
	for (size_t i = 0; i < s.n; i++)
		facts_close(&cases[i]);
	free(cases);
	geo_close(&geo);
	return r == 0 ? 0 : 1;
}
