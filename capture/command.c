#include "capture/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/import.h"
#include "capture/live.h"
#include "capture/slice.h"
#include "schema/log.h"

static const char usage[] =
"usage: swarmwitness capture [options] CASE FILE...\n"
"       swarmwitness capture [options] --interface IFACE CASE\n"
"       swarmwitness capture CASE --extract --conn N | --ip A -o OUT.pcap\n"
"Reads savefiles (pcap, pcapng) that others recorded, writes what they show into\n"
"a case, as a run of its own, and keeps copies of them there.\n"
"  --torrent FILE    a torrent to hold pieces against; repeatable (and those of\n"
"                    the case)\n"
"  --secrets FILE    secrets of encrypted conversations (and those of the case):\n"
"                    lines of public key, secret and infohash, in hex\n"
"  --print           no case: list what the files show, one line each\n"
"  --interface IFACE no import: record what passes there (any: all of them) into\n"
"                    savefiles of the case, until a signal\n"
"  --filter BPF      only the packets that this pcap-filter(7) takes\n"
"  --duration T      stop after T (90, 30m, 12h)\n"
"  --dissect         also write what they show into the case, as an import does\n"
"  --no-sandbox      the recorder's process is not confined\n"
"  --extract         no import: cut packets out of the case's savefiles\n"
"  --conn N          those of the connection that record N opened\n"
"  --ip A            those from and to an address\n"
"  -o OUT.pcap       into this new file\n"
"  --key FILE        signing key (~/.config/swarmwitness/key)\n"
"  --operator S      who runs it, for the record\n"
"  --purpose S       why, for the record\n"
"  --no-sandbox      do not confine the process\n"
"  --help\n"
"Exit status: 0 everything was read, 1 it was not, 2 misuse.\n";

static int misuse(const char *why)
{
	fprintf(stderr, "swarmwitness capture: %s (see capture --help)\n", why);
	return 2;
}

static int with_operands(struct import_conf *conf, bool print, char **operands,
    int n)
{
	if (n == 0)
		return misuse(print ? "no FILE" : "no CASE");
	if (!print && n == 1)
		return misuse("no FILE");
	conf->case_path = print ? NULL : operands[0];
	conf->files = operands + !print;
	conf->count = (size_t)(n - !print);
	return print ? import_print(conf) : import_run(conf);
}

static int extract(struct slice_conf *conf, char **operands, int n)
{
	if (n != 1)
		return misuse(n ? "--extract takes a CASE and no FILE" :
		    "no CASE");
	if ((conf->conn >= 0) == (conf->ip != NULL))
		return misuse("--extract wants either --conn or --ip");
	if (conf->out == NULL)
		return misuse("--extract wants -o OUT.pcap");
	conf->case_path = operands[0];
	return slice_run(conf);
}

static int record(struct live_conf *conf, char **operands, int n)
{
	if (n != 1)
		return misuse(n ? "--interface takes a CASE and no FILE" :
		    "no CASE");
	if (!conf->dissect && (conf->import.torrent_count ||
	    conf->import.secrets))
		return misuse("with --interface, --torrent and --secrets want "
		    "--dissect");
	conf->import.case_path = operands[0];
	return live_run(conf);
}

/* "90", "90s", "30m", "12h", "2d" in seconds; -1 for anything else. */
static int64_t seconds(const char *text)
{
	static const struct {
		const char *unit;
		int64_t s;
	} units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 },
	    { "d", 86400 } };
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 9)
		return -1;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(text + digits, units[i].unit) == 0)
			return strtoll(text, NULL, 10) * units[i].s;
	return -1;
}

/* The seq of a record; -1 for anything else. */
static int64_t record_number(const char *text)
{
	char *end;
	long long n;

	errno = 0;
	n = strtoll(text, &end, 10);
	return text[0] < '0' || text[0] > '9' || *end || errno || n < 0 ? -1 :
	    n;
}

int capture_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "torrent", required_argument, NULL, 't' },
		{ "secrets", required_argument, NULL, 's' },
		{ "print", no_argument, NULL, 'p' },
		{ "interface", required_argument, NULL, 'I' },
		{ "filter", required_argument, NULL, 'f' },
		{ "duration", required_argument, NULL, 'd' },
		{ "dissect", no_argument, NULL, 'D' },
		{ "no-sandbox", no_argument, NULL, 'S' },
		{ "extract", no_argument, NULL, 'x' },
		{ "conn", required_argument, NULL, 'c' },
		{ "ip", required_argument, NULL, 'i' },
		{ "key", required_argument, NULL, 'k' },
		{ "operator", required_argument, NULL, 'O' },
		{ "purpose", required_argument, NULL, 'P' },
		{ "no-sandbox", no_argument, NULL, 'N' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	struct import_conf conf = { .argc = argc, .argv = argv };
	const char **torrents = calloc((size_t)argc, sizeof(*torrents));
	char **given = calloc((size_t)argc, sizeof(*given));
	struct slice_conf slice = { .conn = -1 };
	struct live_conf live = { .duration_s = 0 };
	bool print = false, extracts = false;
	int c, rc = -1;

	if (!torrents || !given)
		log_die("out of memory");
	/* For the `run` record: getopt moves the operands. */
	for (int i = 0; i < argc; i++)
		given[i] = argv[i];
	conf.argv = given;
	conf.torrents = torrents;
	opterr = 0;
	while (rc < 0 && (c = getopt_long(argc, argv, "o:", options, NULL)) !=
	    -1) {
		switch (c) {
		case 't':
			torrents[conf.torrent_count++] = optarg;
			break;
		case 's':
			conf.secrets = optarg;
			break;
		case 'p':
			print = true;
			break;
		case 'I':
			live.interface = optarg;
			break;
		case 'f':
			live.filter = optarg;
			break;
		case 'd':
			live.duration_s = seconds(optarg);
			if (live.duration_s <= 0)
				rc = misuse("--duration wants a time such as "
				    "90, 30m, 12h");
			break;
		case 'D':
			live.dissect = true;
			break;
		case 'S':
			live.no_sandbox = true;
			break;
		case 'x':
			extracts = true;
			break;
		case 'c':
			slice.conn = record_number(optarg);
			if (slice.conn < 0)
				rc = misuse("--conn wants a record's number");
			break;
		case 'i':
			slice.ip = optarg;
			break;
		case 'o':
			slice.out = optarg;
			break;
		case 'k':
			conf.key = optarg;
			break;
		case 'O':
			conf.operator = optarg;
			break;
		case 'P':
			conf.purpose = optarg;
			break;
		case 'N':
			conf.no_sandbox = true;
			break;
		case 'h':
			fputs(usage, stdout);
			rc = 0;
			break;
		default:
			rc = misuse("unknown option, or one without its "
			    "value");
		}
	}
	if (rc < 0 && extracts)
		rc = extract(&slice, argv + optind, argc - optind);
	else if (rc < 0 && (slice.conn >= 0 || slice.ip || slice.out))
		rc = misuse("--conn, --ip and -o go with --extract");
	live.import = conf;
	if (rc < 0 && live.interface)
		rc = print ? misuse("--print reads files") :
		    record(&live, argv + optind, argc - optind);
	else if (rc < 0 && (live.filter || live.duration_s || live.dissect ||
	    live.no_sandbox))
		rc = misuse("--filter, --duration, --dissect and --no-sandbox "
		    "go with --interface");
	if (rc < 0)
		rc = with_operands(&conf, print, argv + optind,
		    argc - optind);
	free(torrents);
	free(given);
	return rc;
}
