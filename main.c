/*
 * swarmwitness: one table of subcommands drives dispatch and --help. The man
 * page's synopsis is held against it by tests/interop/test_cli.
 */
#include <stdio.h>
#include <string.h>

#include <sqlite3.h>

#include "version.h"

#include "capture/command.h"
#include "monitor/run.h"
#include "monitor/stamp.h"
#include "report/audit.h"
#include "report/erase.h"
#include "report/excerpt.h"
#include "report/report.h"
#include "report/torrent.h"
#include "report/verify.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *operands;
	const char *does;
} commands[] = {
	{ "monitor", monitor_main, "[options] CASE TORRENT|MAGNET|INFOHASH...",
	    "observe swarms until --duration, or a signal" },
	{ "capture", capture_main, "[options] CASE [FILE...]",
	    "savefiles that others recorded, or what passes an interface" },
	{ "report", report_main, "[options] CASE... -o OUT",
	    "what the evidence shows: HTML, CSV, JSON" },
	{ "audit", audit_main, "[options] CASE CLAIMS.csv -o OUT",
	    "hold somebody's claims against the case's evidence" },
	{ "verify", verify_main, "[options] CASE",
	    "check ledger, signatures, raw bytes and savefiles" },
	{ "stamp", stamp_main, "[options] CASE",
	    "ask time-stamping authorities about the newest checkpoint" },
	{ "excerpt", excerpt_main, "[options] CASE --ip A OUT",
	    "one address's records, with proofs" },
	{ "erase", erase_main, "[options] CASE --ip A --ground TEXT",
	    "remove an address's records, keeping every proof" },
	{ "torrent", torrent_main, "[--json] FILE|MAGNET...",
	    "what a torrent says: hashes, files, pieces, oddities" },
};

static void usage(FILE *f)
{
	fputs("usage:\n", f);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(f, "  swarmwitness %-8s %s\n      %s\n",
		    commands[i].name, commands[i].operands, commands[i].does);
	fputs("  swarmwitness COMMAND --help     says a command's options\n"
	    "  swarmwitness --version\n", f);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("swarmwitness %s (%s)\n", SW_VERSION, SW_COMMIT);
		return 0;
	}
	/* Nobody asks how much memory SQLite uses, and counting it costs a lock
	 * in each of its allocations. Pages come by the MiB: outside of the
	 * first thread malloc would ask the kernel for each. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	/* Debian's takes any name that begins with "file:" for a URI. */
	sqlite3_config(SQLITE_CONFIG_URI, 0);
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, -4096);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "swarmwitness: no command \"%s\"; --help lists them\n",
	    argv[1]);
	return 2;
}
