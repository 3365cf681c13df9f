#include "capture/command.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "capture/import.h"
#include "schema/log.h"

static const char usage[] =
"usage: swarmwitness capture [options] CASE FILE...\n"
"Reads savefiles (pcap, pcapng) that others recorded, writes what they show into\n"
"a case, as a run of its own, and keeps copies of them there.\n"
"  --torrent FILE    a torrent to hold pieces against; repeatable (and those of\n"
"                    the case)\n"
"  --secrets FILE    secrets of encrypted conversations (and those of the case):\n"
"                    lines of public key, secret and infohash, in hex\n"
"  --print           no case: list what the files show, one line each\n"
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

int capture_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "torrent", required_argument, NULL, 't' },
		{ "secrets", required_argument, NULL, 's' },
		{ "print", no_argument, NULL, 'p' },
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
	bool print = false;
	int c, rc = -1;

	if (!torrents || !given)
		log_die("out of memory");
	/* For the `run` record: getopt moves the operands. */
	for (int i = 0; i < argc; i++)
		given[i] = argv[i];
	conf.argv = given;
	conf.torrents = torrents;
	opterr = 0;
	while (rc < 0 && (c = getopt_long(argc, argv, "", options, NULL)) !=
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
	if (rc < 0)
		rc = with_operands(&conf, print, argv + optind,
		    argc - optind);
	free(torrents);
	free(given);
	return rc;
}
