#include "capture/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/import.h"
#include "capture/live.h"
#include "capture/slice.h"
#include "schema/duration.h"
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
"  --on-checkpoint CMD  hand each kept checkpoint to this command's input\n"
"  --extract         no import: cut packets out of the case's savefiles\n"
"  --conn N          those of the connection that record N opened\n"
"  --ip A            those from and to an address\n"
"  -o OUT.pcap       into this new file\n"
"  --key FILE        signing key (~/.config/swarmwitness/key)\n"
"  --operator S      who runs it, for the record\n"
"  --purpose S       why, for the record\n"
"  --no-sandbox      do not confine the process\n"
"  --help\n"
"Exit status: 0 the files were read (what is damaged in them is named), 1 one\n"
"was not, 2 misuse.\n";

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

enum {
	OPT_TORRENT = 256, OPT_SECRETS, OPT_PRINT, OPT_INTERFACE, OPT_FILTER,
	OPT_DURATION, OPT_DISSECT, OPT_ON_CHECKPOINT, OPT_EXTRACT, OPT_CONN,
	OPT_IP, OPT_KEY, OPT_OPERATOR, OPT_PURPOSE, OPT_NO_SANDBOX, OPT_HELP
};

static const struct option options[] = {
	{ "torrent", required_argument, NULL, OPT_TORRENT },
	{ "secrets", required_argument, NULL, OPT_SECRETS },
	{ "print", no_argument, NULL, OPT_PRINT },
	{ "interface", required_argument, NULL, OPT_INTERFACE },
	{ "filter", required_argument, NULL, OPT_FILTER },
	{ "duration", required_argument, NULL, OPT_DURATION },
	{ "dissect", no_argument, NULL, OPT_DISSECT },
	{ "on-checkpoint", required_argument, NULL, OPT_ON_CHECKPOINT },
	{ "extract", no_argument, NULL, OPT_EXTRACT },
	{ "conn", required_argument, NULL, OPT_CONN },
	{ "ip", required_argument, NULL, OPT_IP },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "operator", required_argument, NULL, OPT_OPERATOR },
	{ "purpose", required_argument, NULL, OPT_PURPOSE },
	{ "no-sandbox", no_argument, NULL, OPT_NO_SANDBOX },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 }
};

struct wanted {
	struct import_conf import;
	struct live_conf live;
	struct slice_conf slice;
	const char **torrents;
	bool print, extract;
};

/* What is wrong with it, or NULL. */
static const char *take(struct wanted *w, int option, const char *value)
{
	switch (option) {
	case OPT_TORRENT:
		w->torrents[w->import.torrent_count++] = value;
		break;
	case OPT_SECRETS:
		w->import.secrets = value;
		break;
	case OPT_PRINT:
		w->print = true;
		break;
	case OPT_INTERFACE:
		w->live.interface = value;
		break;
	case OPT_FILTER:
		w->live.filter = value;
		break;
	case OPT_DURATION:
		w->live.duration_s = duration_s(value);
		if (w->live.duration_s <= 0)
			return "--duration wants a time such as 90, 30m, 12h";
		break;
	case OPT_DISSECT:
		w->live.dissect = true;
		break;
	case OPT_ON_CHECKPOINT:
		w->live.on_checkpoint = value;
		break;
	case OPT_EXTRACT:
		w->extract = true;
		break;
	case OPT_CONN:
		w->slice.conn = record_number(value);
		if (w->slice.conn < 0)
			return "--conn wants a record's number";
		break;
	case OPT_IP:
		w->slice.ip = value;
		break;
	case 'o':
		w->slice.out = value;
		break;
	case OPT_KEY:
		w->import.key = value;
		break;
	case OPT_OPERATOR:
		w->import.operator = value;
		break;
	case OPT_PURPOSE:
		w->import.purpose = value;
		break;
	case OPT_NO_SANDBOX:
		w->import.no_sandbox = true;
		break;
	default:
		return "unknown option, or one without its value";
	}
	return NULL;
}

/* Options that belong to another use than the one that is meant. */
static const char *clash(const struct wanted *w)
{
	const struct live_conf *l = &w->live;

	if (w->print + w->extract + (l->interface != NULL) > 1)
		return "--print, --interface and --extract exclude each other";
	if (!l->interface && (l->filter || l->duration_s || l->dissect ||
	    l->on_checkpoint))
		return "--filter, --duration, --dissect and --on-checkpoint go "
		    "with --interface";
	if (!w->extract && (w->slice.conn >= 0 || w->slice.ip ||
	    w->slice.out))
		return "--conn, --ip and -o go with --extract";
	return NULL;
}

static int go(struct wanted *w, char **operands, int n)
{
	if (w->extract)
		return extract(&w->slice, operands, n);
	if (!w->live.interface)
		return with_operands(&w->import, w->print, operands, n);
	w->live.import = w->import;
	return record(&w->live, operands, n);
}

static int read_options(struct wanted *w, int argc, char **argv)
{
	const char *why;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		if (c == OPT_HELP) {
			fputs(usage, stdout);
			return 0;
		}
		why = take(w, c, optarg);
		if (why)
			return misuse(why);
	}
	why = clash(w);
	return why ? misuse(why) : go(w, argv + optind, argc - optind);
}

int capture_main(int argc, char **argv)
{
	char **given = calloc((size_t)argc, sizeof(*given));
	struct wanted w = { .slice = { .conn = -1 } };
	int rc;

	w.torrents = calloc((size_t)argc, sizeof(*w.torrents));
	if (!w.torrents || !given)
		log_die("out of memory");
	/* For the `run` record: getopt moves the operands. */
	for (int i = 0; i < argc; i++)
		given[i] = argv[i];
	w.import.argc = argc;
	w.import.argv = given;
	w.import.torrents = w.torrents;
	rc = read_options(&w, argc, argv);
	free(w.torrents);
	free(given);
	return rc;
}
