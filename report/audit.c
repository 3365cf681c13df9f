#include "report/audit.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "report/audit_impl.h"
#include "report/manifest.h"
#include "report/reader.h"
#include "schema/casedir.h"
#include "schema/duration.h"
#include "schema/log.h"

#define MAPS_MOST 32
#define WITHIN_S 60
#define WITHIN_MOST_S (366 * 86400)

static void usage(FILE *f)
{
	fputs("usage: swarmwitness audit [options] CASE CLAIMS.csv -o OUT\n"
	    "Holds each row of CLAIMS.csv (address, port, time, infohash and "
	    "more) against\nthe case's evidence. Writes OUT/index.html, "
	    "audit.csv, audit.json, a page for\neach of the first 1000 claims "
	    "and MANIFEST.sha256. OUT is made; it may be empty\nor hold a "
	    "former report, which is replaced.\n"
	    "  -o, --output OUT      the folder to write\n"
	    "      --map THEIRS=OURS their column THEIRS is our OURS: ip, "
	    "port, utc, date,\n"
	    "                        time, zone, end, infohash, client, "
	    "pieces, bytes, file;\n"
	    "                        may be repeated\n"
	    "      --require LEVEL   the level that supports a claim, 0 to 5 "
	    "(5)\n"
	    "      --within T        how near in time, such as 90, 5m, 1h "
	    "(60)\n"
	    "      --zone Z          of times without a zone: UTC or an offset "
	    "such as +02:00\n"
	    "      --dates ORDER     of dates such as 1/2/2026: mdy or dmy "
	    "(the column tells)\n"
	    "      --no-sandbox      do not confine this process\n"
	    "      --help\n", f);
}

struct options {
	const char *out, *zone;
	const char *map[MAPS_MOST];
	size_t maps;
	int require;
	int64_t within_ns;
	int32_t zone_s;
	enum dateorder order;
	bool no_sandbox;
};

static int misused(const char *what)
{
	log_warn("audit: %s", what);
	return 2;
}

static int one_option(int c, struct options *o)
{
	int64_t s;

	switch (c) {
	case 'o':
		o->out = optarg;
		return -1;
	case 'm':
		if (o->maps == MAPS_MOST)
			return misused("more than 32 --map");
		if (strchr(optarg, '=') == NULL)
			return misused("--map wants THEIRS=OURS");
		o->map[o->maps++] = optarg;
		return -1;
	case 'r':
		if (strlen(optarg) != 1 || optarg[0] < '0' || optarg[0] > '5')
			return misused("--require wants a level from 0 to 5");
		o->require = optarg[0] - '0';
		return -1;
	case 'w':
		s = duration_s(optarg);
		o->within_ns = s * 1000000000;
		return s >= 0 && s <= WITHIN_MOST_S ? -1 :
		    misused("--within wants a time such as 90, 5m or 1h, at "
		    "most a year");
	case 'z':
		o->zone = optarg;
		return claimtime_zone(span_str(optarg), &o->zone_s) ? -1 :
		    misused("--zone wants UTC or an offset such as +02:00");
	case 'd':
		o->order = strcmp(optarg, "mdy") == 0 ? DATES_MDY :
		    strcmp(optarg, "dmy") == 0 ? DATES_DMY : DATES_UNKNOWN;
		return o->order != DATES_UNKNOWN ? -1 :
		    misused("--dates wants mdy or dmy");
	case 's':
		o->no_sandbox = true;
		return -1;
	case 'h':
		usage(stdout);
		return 0;
	default:
		usage(stderr);
		return 2;
	}
}

/* -1: go on; else the exit status. */
static int read_options(int argc, char **argv, struct options *o)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "map", required_argument, NULL, 'm' },
		{ "require", required_argument, NULL, 'r' },
		{ "within", required_argument, NULL, 'w' },
		{ "zone", required_argument, NULL, 'z' },
		{ "dates", required_argument, NULL, 'd' },
		{ "no-sandbox", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		int r = one_option(c, o);

		if (r >= 0)
			return r;
	}
	if (argc - optind != 2 || o->out == NULL) {
		log_warn("audit: wants a case, a table of claims and -o OUT");
		usage(stderr);
		return 2;
	}
	return -1;
}

/* The whole file, to be freed; NULL logged. */
static uint8_t *read_file(const char *path, size_t *n)
{
	FILE *f = fopen(path, "rbe");
	uint8_t *p = NULL;
	struct stat st;

	if (f == NULL || fstat(fileno(f), &st) < 0) {
		log_warn("%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_size > CLAIMTABLE_MOST) {
		log_warn("%s: a table of claims is a file of at most %u bytes",
		    path, CLAIMTABLE_MOST);
	} else {
		p = malloc((size_t)st.st_size + 1);
		if (p == NULL)
			log_die("out of memory");
		*n = fread(p, 1, (size_t)st.st_size, f);
		if (ferror(f)) {
			log_warn("%s: %s", path, strerror(errno));
			free(p);
			p = NULL;
		}
	}
	if (f)
		fclose(f);
	return p;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static int by_address(const void *a, const void *b)
{
	const struct claim *x = *(const struct claim *const *)a;
	const struct claim *y = *(const struct claim *const *)b;
	int r = strcmp(x->ip, y->ip);

	if (r == 0)
		r = x->port - y->port;
	if (r == 0)
		r = strcmp(x->infohash, y->infohash);
	return r ? r : (x > y) - (x < y);
}

static int judge_all(struct audit *a)
{
	struct sights s;
	int r;

	a->judged = calloc(a->claims.n + 1, sizeof(*a->judged));
	a->order = calloc(a->claims.n + 1, sizeof(*a->order));
	if (a->judged == NULL || a->order == NULL)
		log_die("out of memory");
	for (size_t i = 0; i < a->claims.n; i++)
		a->order[i] = &a->claims.at[i];
	qsort(a->order, a->claims.n, sizeof(*a->order), by_address);
	r = sights_open(&s, a->subject.cases, a->require);
	for (size_t i = 0; i < a->claims.n && r == 0; i++)
		r = audit_judge(a, &s, (size_t)(a->order[i] - a->claims.at));
	if (r == 0)
		r = audit_shift(a, &s);
	sights_close(&s);
	return r;
}

static int put(struct manifest *m, const char *name, const char *what,
    int (*writer)(FILE *, const struct audit *), const struct audit *a)
{
	FILE *f = manifest_file(m, name, what);

	return f == NULL || writer(f, a) || manifest_put(m) ? -1 : 0;
}

static int write_all(const char *out, const struct audit *a)
{
	struct manifest m;
	int r = manifest_open(&m, out);

	if (r == 0)
		r = put(&m, "index.html", "A: audit of claims", audit_index, a);
	if (r == 0)
		r = put(&m, "audit.csv", "every claim", audit_csv, a);
	if (r == 0)
		r = put(&m, "audit.json", "every claim, reasons one by one",
		    audit_json, a);
	for (size_t i = 0; i < a->claims.n && i < AUDIT_PAGES && r == 0; i++) {
		char name[32];
		FILE *f;

		snprintf(name, sizeof(name), "claim-%04zu.html", i + 1);
		f = manifest_file(&m, name, "one claim");
		r = f == NULL || audit_claim(f, a, i) || manifest_put(&m) ?
		    -1 : 0;
	}
	if (r == 0)
		r = manifest_write(&m);
	manifest_close(&m);
	return r;
}

/* The case and the claims may be anybody's. */
static int confine(const struct options *o, const char *case_path,
    const char *file)
{
	char *out = reader_folder(o->out);
	const struct sandbox_path paths[] = { { case_path, true },
		{ file, false }, { out, true } };
	int rc = reader_confine(paths, sizeof(paths) / sizeof(paths[0]),
	    o->no_sandbox);

	free(out);
	return rc;
}

static int audit(const struct options *o, const char *case_path,
    const char *file)
{
	struct facts facts = { 0 };
	struct audit a = {
		.file = last_part(file),
		.subject = { .cases = &facts, .n = 1 },
		.require = o->require,
		.within_ns = o->within_ns,
		.zone = o->zone,
	};
	struct claim_options how = { o->map, o->maps, o->zone_s, o->order };
	size_t n = 0;
	uint8_t *bytes = NULL;
	int r = confine(o, case_path, file);

	if (r == 0 && (bytes = read_file(file, &n)) == NULL)
		r = -1;
	if (r == 0) {
		a.bytes = (int64_t)n;
		r = casedir_digest(file, a.sha256, NULL);
	}
	if (r == 0)
		r = claimlist_read(&a.claims, file, span_of(bytes, n), &how);
	free(bytes);
	if (r == 0)
		r = facts_open(&facts, case_path, true);
	if (r == 0)
		r = judge_all(&a);
	if (r == 0)
		r = write_all(o->out, &a);
	if (r == 0)
		log_info("audit: %zu claims: %zu supported, %zu contradicted, "
		    "%zu not supported, %zu outside coverage, %zu unreadable; "
		    "%s%sindex.html", a.claims.n, a.over[VERDICT_SUPPORTED],
		    a.over[VERDICT_CONTRADICTED],
		    a.over[VERDICT_NOT_SUPPORTED], a.over[VERDICT_OUTSIDE],
		    a.over[VERDICT_UNREADABLE], o->out,
		    manifest_slash(o->out));
	audit_free(&a);
	facts_close(&facts);
	return r == 0 ? 0 : 1;
}

int audit_main(int argc, char **argv)
{
	struct options o = { .require = 5,
	    .within_ns = WITHIN_S * 1000000000LL };
	int status = read_options(argc, argv, &o);

	return status >= 0 ? status : audit(&o, argv[optind],
	    argv[optind + 1]);
}
