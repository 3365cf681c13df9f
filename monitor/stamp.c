#include "monitor/stamp.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/privilege.h"
#include "monitor/confine.h"
#include "schema/casekey.h"
#include "schema/derive.h"
#include "schema/ledger.h"
#include "schema/log.h"
#include "schema/publish.h"
#include "schema/stamping.h"

static const char usage[] =
"usage: swarmwitness stamp [options] CASE\n"
"Asks time-stamping authorities (RFC 3161) about the case's newest checkpoint,\n"
"and keeps what they answer in the case, under a new checkpoint.\n"
"  --tsa URL          ask this one, http or https; repeatable\n"
"  --tsa-policy OID   ask for stamps under this policy\n"
"  --key FILE         signing key (~/.config/swarmwitness/key): one of the case's\n"
"  --on-checkpoint CMD  hand the new checkpoint to this shell command's input\n"
"  --no-sandbox       do not confine this process\n"
"  --help\n"
"Exit status: 0 every authority gave a stamp, 1 one did not, 2 misuse.\n";

struct stamp_run {
	const char *url[TSAPOST_MANY];
	const char *policy, *key, *path, *command;
	bool no_sandbox;
	struct stamping stamping;
	struct ledger *ledger;
	struct publisher *publisher;	/* NULL: no --on-checkpoint */
};

static int64_t on_add(void *ctx, const struct record *r)
{
	const struct stamp_run *s = ctx;

	return ledger_add(s->ledger, r);
}

static int stamp_case(struct stamp_run *s, const struct casedir *dir,
    const struct note_key *key)
{
	struct ledger_past past;
	struct ledger_conf conf = { .dir = dir, .key = key };
	char note[NOTE_MAX];
	unsigned given = 0;
	int rc = -1;

	if (casekey_known(s->path, key) &&
	    (s->ledger = ledger_open(&conf, &past)) != NULL) {
		ledger_checkpoint(s->ledger, note);
		s->stamping.ctx = s;
		s->stamping.add = on_add;
		given = stamping_round(&s->stamping, note,
		    (1u << s->stamping.n) - 1);
		rc = ledger_hand_over(s->ledger, note);
		publisher_put(s->publisher, note);
		if (given != (1u << s->stamping.n) - 1)
			rc = -1;
	}
	return rc;
}

/* Opens the case; nothing is made where none is. */
static int open_case(struct casedir *dir, const char *path)
{
	const struct casedir there = { .path = (char *)path };
	char *file = casedir_file(&there, "evidence.db");
	int got = access(file, F_OK);
	sqlite3 *db;

	if (got < 0)
		log_warn("%s: %s", file, strerror(errno));
	free(file);
	if (got < 0 || casedir_open(dir, path) < 0)
		return -1;
	db = casedir_read(path);
	sqlite3_close(db);
	if (db)
		return 0;
	casedir_close(dir);
	return -1;
}

static int go(struct stamp_run *s)
{
	struct casedir dir;
	struct note_key key = { 0 };
	int rc;

	signal(SIGPIPE, SIG_IGN);
	if (stamping_init() < 0 || (s->command && !(s->publisher =
	    publisher_start(s->command, privilege_drop))))
		return 1;
	if (note_key_open(&key, s->key, NULL) < 0 ||
	    confine_stamp(s->path, s->no_sandbox) < 0 ||
	    open_case(&dir, s->path) < 0) {
		note_key_close(&key);
		publisher_close(s->publisher);
		return 1;
	}
	publisher_begin(s->publisher, NULL, NULL);
	rc = stamp_case(s, &dir, &key);
	note_key_close(&key);
	casedir_close(&dir);
	publisher_close(s->publisher);
	if (s->ledger && derive_update(s->path) < 0)
		rc = -1;
	return rc < 0 ? 1 : 0;
}

static int misuse(const char *why)
{
	fprintf(stderr, "swarmwitness stamp: %s (see stamp --help)\n", why);
	return 2;
}

int stamp_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "tsa", required_argument, NULL, 't' },
		{ "tsa-policy", required_argument, NULL, 'p' },
		{ "key", required_argument, NULL, 'k' },
		{ "on-checkpoint", required_argument, NULL, 'c' },
		{ "no-sandbox", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	struct stamp_run s = { 0 };
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 't':
			if (s.stamping.n == TSAPOST_MANY)
				return misuse("so many authorities cannot be "
				    "asked");
			s.url[s.stamping.n++] = optarg;
			break;
		case 'p':
			s.policy = optarg;
			break;
		case 'k':
			s.key = optarg;
			break;
		case 'c':
			s.command = optarg;
			break;
		case 'n':
			s.no_sandbox = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (argc - optind != 1)
		return misuse("which case?");
	if (s.stamping.n == 0)
		return misuse("which authority? --tsa URL");
	s.path = argv[optind];
	s.stamping.url = s.url;
	s.stamping.policy = s.policy;
	if (!stamping_usable(&s.stamping, "swarmwitness stamp"))
		return 2;
	return go(&s);
}
