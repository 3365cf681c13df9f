#include "report/verify.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/check.h"
#include "report/reader.h"
#include "report/when.h"
#include "schema/json.h"

#define PROGRESS_LEAST 200000	/* records; a smaller case is checked at once */

static const char usage[] =
"usage: swarmwitness verify [options] CASE\n"
"Recomputes every record's leaf, the tree, its tiles and the root of every signed\n"
"checkpoint, and holds raw bytes, named endpoints, runs, time-stamps, savefiles\n"
"and derived.db against what the ledger says of them; reads the packets again and\n"
"holds what was said in them against the records.\n"
"  --key FINGERPRINT   the key its runs must be signed by: proves origin\n"
"  --checkpoint FILE   a checkpoint seen earlier, which the case must extend\n"
"  --key-log FILE      the key's log of runs (KEYFILE.runs): none may be missing\n"
"  --tsa-ca FILE       certificates (PEM, or a folder of them) that the signers\n"
"                      of time-stamps must lead to\n"
"  --from SIZE         read only what is behind this many records, whose leaves\n"
"                      are taken from the tiles; say so\n"
"  --no-replay         do not read the packets again\n"
"  --json              one JSON object on standard output\n"
"  --no-sandbox        do not confine this process\n"
"  --help\n"
"Exit status: 0 the case holds, 1 it does not, 2 misuse.\n";

struct told {
	bool json, bar, drawn;
	struct json faults, remarks;
};

static void wipe(struct told *t)
{
	if (t->drawn)
		fputs("\r\033[K", stderr);
	t->drawn = false;
}

static void hear(void *ctx, bool wrong, const char *text)
{
	struct told *t = ctx;

	wipe(t);
	if (t->json)
		json_str(wrong ? &t->faults : &t->remarks, NULL, text);
	else
		printf("%s: %s\n", wrong ? "WRONG" : "note", text);
}

static void draw(void *ctx, int64_t done, int64_t of)
{
	static const char full[] = "##############################";
	struct told *t = ctx;
	int n;

	if (!t->bar || of < PROGRESS_LEAST || done < 0 || done > of)
		return;
	n = (int)((double)done / (double)of * 30);
	fprintf(stderr, "\r[%.*s%*s] %" PRId64 " of %" PRId64 " records",
	    n < 30 ? n : 30, full, n < 30 ? 30 - n : 0, "", done, of);
	t->drawn = true;
}

/* --- for people -------------------------------------------------------------- */

static int64_t bound_of(const struct check *c)
{
	return c->unbounded ? BOUND_UNKNOWN : c->bound_ns;
}

static const char *s(int64_t n)
{
	return n == 1 ? "" : "s";
}

static void say_times(const struct check *c)
{
	char a[WHEN_MAX], b[WHEN_MAX], t[WHEN_MAX];
	int64_t bound = bound_of(c);

	if (c->records == 0) {
		printf("case %s\n", c->case_id);
		return;
	}
	printf("case %s, %s to %s, %s\n", c->case_id, when_text(c->first_utc_ns,
	    bound, a), when_text(c->last_utc_ns, bound, b), when_bound(bound,
	    t));
	if (c->clock_answered == 0)
		printf("  no time source was ever reached (%" PRId64 " asked): "
		    "these times are the observer's own\n", c->clock_asked);
	else if (bound < 0)
		printf("  in %" PRId64 " of %" PRId64 " run%s no time source "
		    "was ever reached: their times are the observer's own; in "
		    "the others the bound is %s\n", c->unbounded, c->runs,
		    s(c->runs), when_bound(c->bound_ns, t));
	else
		printf("  by the observer's clock; the bound from %" PRId64
		    " of %" PRId64 " question%s to time sources\n",
		    c->clock_answered, c->clock_asked, s(c->clock_asked));
	if (c->steps)
		printf("  the clock was set %" PRId64 " time%s\n", c->steps,
		    s(c->steps));
	if (c->suspends)
		printf("  the host slept %" PRId64 " time%s\n", c->suspends,
		    s(c->suspends));
}

static void say_runs(const struct check *c)
{
	printf("%" PRId64 " run%s (%" PRId64 " ended), %" PRId64 " that follow%s "
	    "their key's run before without another between; ", c->runs,
	    s(c->runs), c->ended, c->chained, c->chained == 1 ? "s" : "");
	if (c->key_log)
		printf("the key's log chains %" PRId64 " run%s, %" PRId64
		    " of them of this case\n", c->log_runs, s(c->log_runs),
		    c->logged);
	else
		printf("the key's log was not given (--key-log)\n");
}

static void say_stamps(const struct check *c)
{
	char a[WHEN_MAX], b[WHEN_MAX], gap[WHEN_MAX], t[WHEN_MAX];

	printf("%" PRId64 " question%s to time-stamping authorities, %" PRId64
	    " token%s", c->stamps, s(c->stamps), c->tokens, s(c->tokens));
	if (c->tokens == 0) {
		printf(": nothing but the observer's word says when\n");
		return;
	}
	printf(", each signed, and of its checkpoint\n");
	if (c->tsa_ca)
		printf("  signers: %" PRId64 " lead%s to the certificates of "
		    "--tsa-ca (revocation not looked up)\n", c->rooted,
		    c->rooted == 1 ? "s" : "");
	else
		printf("  signers not checked against any root (--tsa-ca)\n");
	printf("  tokens from %s to %s, %s by their authorities' word; widest "
	    "gap between two %s", when_text(c->first_token_ns, BOUND_UNKNOWN,
	    a), when_text(c->last_token_ns, BOUND_UNKNOWN, b),
	    when_bound(c->inaccurate ? BOUND_UNKNOWN : c->accuracy_ns, t),
	    when_span(c->widest_gap_ns, gap));
	if (c->widest_gap_ns)
		printf(", after %s", when_text(c->widest_from_ns,
		    BOUND_UNKNOWN, a));
	printf("\n");
	if (c->from == 0 && c->before_tokens + c->after_tokens == 0)
		printf("  every record lies between two tokens\n");
	else if (c->from == 0)
		printf("  records before the first token: %" PRId64 ", behind "
		    "the last: %" PRId64 "; all others lie between two\n",
		    c->before_tokens, c->after_tokens);
	if (c->stamps_apart)
		printf("  tokens that contradict the observer's clock: %" PRId64
		    "\n", c->stamps_apart);
}

static void say_excerpt(const struct check *c)
{
	printf("case %s, an excerpt\n", c->case_id);
	printf("%" PRId64 " record%s, each in the tree by its path; %" PRId64
	    " raw (%" PRId64 " byte%s), %" PRId64 " named endpoint%s\n",
	    c->records, s(c->records), c->raws, c->raw_bytes,
	    s(c->raw_bytes), c->names, s(c->names));
	printf("%" PRId64 " record%s left out, %" PRId64 " erased from the "
	    "case, each with its leaf in the tree\n", c->omitted,
	    s(c->omitted), c->erased);
	printf("%" PRId64 " index%s; subjects of theirs that are the address "
	    "on a day: %" PRId64 "\n", c->indexes, c->indexes == 1 ? "" : "es",
	    c->subjects);
}

static void say_replay(const struct check *c)
{
	const struct replay *r = &c->replay;

	if (!c->replayed) {
		printf("the packets were NOT read again\n");
		return;
	}
	printf("%" PRId64 " packet%s of %" PRId64 " savefile%s read again: %"
	    PRId64 " of %" PRId64 " conversation%s the same (%" PRId64
	    " event%s), %" PRId64 " without full support; events missing: %"
	    PRId64 ", extra: %" PRId64 ", different: %" PRId64 "\n",
	    r->packets, s(r->packets), r->savefiles, s(r->savefiles), r->same,
	    r->conversations, r->conversations == 1 ? " says" : "s say",
	    r->events, s(r->events),
	    r->unsupported, r->missing, r->extra, r->different);
	printf("  answers of trackers and DHT nodes in the packets: %" PRId64
	    ", not there: %" PRId64 ", over HTTPS: %" PRId64
	    "; conversations in the packets that were never taken up: %"
	    PRId64 "\n", r->exchanges, r->exchanges_missing, r->in_tls,
	    r->untaken);
	if (r->imported)
		printf("  %" PRId64 " record%s of imports and dissected "
		    "captures made again, the same\n", r->imported,
		    s(r->imported));
}

static void say_case(const struct check *c)
{
	say_times(c);
	if (c->from)
		printf("NOT READ: records 0 to %" PRId64 " (--from): their "
		    "leaves are those of the tiles, under the same checkpoints; "
		    "texts, raw bytes, named endpoints, indexes, runs and "
		    "stamps there were not checked\n", c->from - 1);
	printf("%" PRId64 " record%s, %" PRId64 " raw (%" PRId64 " byte%s), %"
	    PRId64 " named endpoint%s\n", c->records, s(c->records), c->raws,
	    c->raw_bytes, s(c->raw_bytes), c->names, s(c->names));
	printf("%" PRId64 " tile%s, %" PRId64 " key%s, %" PRId64 " checkpoint%s, "
	    "each consistent with all: its root computed anew at its size\n",
	    c->tiles, s(c->tiles), c->keys, s(c->keys), c->checkpoints,
	    s(c->checkpoints));
	say_runs(c);
	say_stamps(c);
	printf("%" PRId64 " savefile%s (%" PRId64 " byte%s)\n", c->savefiles,
	    s(c->savefiles), c->savefile_bytes, s(c->savefile_bytes));
	say_replay(c);
	printf("%" PRId64 " index%s, %" PRId64 " subject%s; %" PRId64
	    " erasure%s, %" PRId64 " record%s erased\n", c->indexes,
	    c->indexes == 1 ? "" : "es", c->subjects, s(c->subjects),
	    c->erasures, s(c->erasures), c->erased, s(c->erased));
	printf("derived.db: %s\n", c->derived_checked ? "made anew, and the "
	    "same" : "not there, or not checked");
}

static void say(const struct check *c)
{
	if (c->excerpt)
		say_excerpt(c);
	else
		say_case(c);
	printf("root %s\n", c->root);
	if (c->seen)
		printf("the checkpoint of %" PRId64 " record%s seen earlier: "
		    "%s\n", c->seen_size, s(c->seen_size), c->extends ?
		    "this case extends it" : "NOT of this case");
	if (c->key && c->other_keys == 0 && c->keys)
		printf("key %s: origin proved\n", c->fingerprint);
	else
		printf("key %s: integrity only; origin unproved%s\n",
		    c->fingerprint, c->key ? "" : " (--key FINGERPRINT)");
	if (c->bad_record >= 0)
		printf("first bad record: %" PRId64 "\n", c->bad_record);
	if (c->wrongs)
		printf("DOES NOT HOLD: %" PRId64 " thing%s wrong\n", c->wrongs,
		    c->wrongs == 1 ? " is" : "s are");
	else
		printf("holds\n");
}

/* --- for machines ------------------------------------------------------------ */

static void put_time(struct json *j, const char *key, bool known, int64_t ns)
{
	char t[WHEN_MAX];

	json_str(j, key, known ? when_exact(ns, t) : NULL);
}

static void put_if(struct json *j, const char *key, bool known, int64_t v)
{
	if (known)
		json_int(j, key, v);
	else
		json_null(j, key);
}

static void put_stamps(struct json *j, const struct check *c)
{
	bool any = c->tokens > 0;

	json_open(j, "stamps", '{');
	json_int(j, "asked", c->stamps);
	json_int(j, "tokens", c->tokens);
	put_if(j, "signers_rooted", c->tsa_ca != NULL, c->rooted);
	json_int(j, "contradict_the_clock", c->stamps_apart);
	put_time(j, "first_utc", any, c->first_token_ns);
	put_time(j, "last_utc", any, c->last_token_ns);
	put_if(j, "accuracy_ns", any && c->inaccurate == 0, c->accuracy_ns);
	put_if(j, "widest_gap_ns", any, c->widest_gap_ns);
	put_time(j, "widest_gap_from_utc", c->widest_gap_ns > 0,
	    c->widest_from_ns);
	put_if(j, "records_before_first", c->from == 0, c->before_tokens);
	put_if(j, "records_behind_last", c->from == 0, c->after_tokens);
	json_close(j, '}');
}

static void put_replay(struct json *j, const struct check *c)
{
	const struct replay *r = &c->replay;

	if (!c->replayed) {
		json_null(j, "replay");
		return;
	}
	json_open(j, "replay", '{');
	json_int(j, "savefiles", r->savefiles);
	json_int(j, "packets", r->packets);
	json_int(j, "dropped", r->dropped);
	json_int(j, "conversations", r->conversations);
	json_int(j, "same", r->same);
	json_int(j, "unsupported", r->unsupported);
	json_int(j, "events", r->events);
	json_int(j, "missing", r->missing);
	json_int(j, "extra", r->extra);
	json_int(j, "different", r->different);
	json_int(j, "answers", r->exchanges);
	json_int(j, "answers_missing", r->exchanges_missing);
	json_int(j, "answers_unrecorded", r->exchanges_extra);
	json_int(j, "answers_in_tls", r->in_tls);
	json_int(j, "untaken", r->untaken);
	json_int(j, "imported", r->imported);
	json_close(j, '}');
}

static void say_json(const struct check *c, struct told *t)
{
	struct json j;

	json_close(&t->faults, ']');
	json_close(&t->remarks, ']');
	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_bool(&j, "holds", c->wrongs == 0);
	json_int(&j, "wrong", c->wrongs);
	json_str(&j, "case_id", c->case_id);
	put_time(&j, "first_utc", c->records > 0, c->first_utc_ns);
	put_time(&j, "last_utc", c->records > 0, c->last_utc_ns);
	put_if(&j, "bound_ns", c->unbounded == 0, c->bound_ns);
	json_int(&j, "runs_without_bound", c->unbounded);
	json_int(&j, "time_sources_asked", c->clock_asked);
	json_int(&j, "time_sources_answered", c->clock_answered);
	json_int(&j, "clock_steps", c->steps);
	json_int(&j, "suspends", c->suspends);
	json_int(&j, "not_read", c->from);
	json_int(&j, "records", c->records);
	json_int(&j, "raw", c->raws);
	json_int(&j, "raw_bytes", c->raw_bytes);
	json_int(&j, "named", c->names);
	json_int(&j, "tiles", c->tiles);
	json_int(&j, "checkpoints", c->checkpoints);
	json_int(&j, "keys", c->keys);
	json_int(&j, "runs", c->runs);
	json_int(&j, "ended", c->ended);
	json_int(&j, "runs_chained", c->chained);
	put_if(&j, "key_log_runs", c->key_log != NULL, c->log_runs);
	put_if(&j, "key_log_runs_here", c->key_log != NULL, c->logged);
	put_stamps(&j, c);
	json_int(&j, "savefiles", c->savefiles);
	json_int(&j, "savefile_bytes", c->savefile_bytes);
	put_replay(&j, c);
	json_int(&j, "indexes", c->indexes);
	json_int(&j, "subjects", c->subjects);
	json_int(&j, "erasures", c->erasures);
	json_int(&j, "records_erased", c->erased);
	json_bool(&j, "excerpt", c->excerpt);
	json_int(&j, "records_omitted", c->omitted);
	json_bool(&j, "derived_checked", c->derived_checked);
	json_str(&j, "root", c->root);
	json_str(&j, "fingerprint", c->fingerprint);
	json_bool(&j, "origin_proved", c->key && c->other_keys == 0 && c->keys);
	if (c->seen)
		json_bool(&j, "extends_checkpoint", c->extends);
	else
		json_null(&j, "extends_checkpoint");
	put_if(&j, "first_bad_record", c->bad_record >= 0, c->bad_record);
	json_close(&j, '}');
	/* The two lists are objects' last members, put in as they stand. */
	if (json_done(&j) && json_done(&t->faults) && json_done(&t->remarks))
		printf("%.*s,\"faults\":%s,\"remarks\":%s}\n", (int)j.n - 1,
		    j.text, t->faults.text, t->remarks.text);
	json_fini(&j);
}

/* --- the command ------------------------------------------------------------- */

static int misuse(const char *option, const char *value, const char *wanted)
{
	fprintf(stderr, "swarmwitness verify: %s: \"%s\" is not %s\n", option,
	    value, wanted);
	return 2;
}

static bool read_size(const char *text, int64_t *out)
{
	char *end;

	*out = strtoll(text, &end, 10);
	return *text >= '0' && *text <= '9' && *end == '\0' && *out >= 0 &&
	    *out < INT64_MAX / 2;
}

/* The case may be anybody's, and so is all that is asked of it. */
static int confine(const struct check *c, const char *path, bool none)
{
	const struct sandbox_path paths[] = { { path, reader_writes(path) },
		{ c->seen, false }, { c->key_log, false },
		{ c->tsa_ca, false } };

	return reader_confine(paths, sizeof(paths) / sizeof(paths[0]), none);
}

int verify_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "checkpoint", required_argument, NULL, 'c' },
		{ "key-log", required_argument, NULL, 'l' },
		{ "tsa-ca", required_argument, NULL, 't' },
		{ "from", required_argument, NULL, 'f' },
		{ "no-replay", no_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "no-sandbox", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	struct told told = { .bar = isatty(STDERR_FILENO) == 1 };
	struct check c = { .tell = hear, .progress = draw, .ctx = &told };
	bool no_sandbox = false;
	uint8_t digest[32];
	int o, rc;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'k':
			c.key = optarg;
			if (!hex_read(span_str(optarg), digest, 32))
				return misuse("--key", optarg,
				    "a fingerprint of 64 hex digits");
			break;
		case 'c':
			c.seen = optarg;
			break;
		case 'l':
			c.key_log = optarg;
			break;
		case 't':
			c.tsa_ca = optarg;
			break;
		case 'f':
			if (!read_size(optarg, &c.from))
				return misuse("--from", optarg,
				    "a number of records");
			break;
		case 'r':
			c.no_replay = true;
			break;
		case 'j':
			told.json = true;
			break;
		case 's':
			no_sandbox = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return 2;
	}
	if (confine(&c, argv[optind], no_sandbox) < 0)
		return 1;
	json_init(&told.faults, JSON_MOST);
	json_init(&told.remarks, JSON_MOST);
	json_open(&told.faults, NULL, '[');
	json_open(&told.remarks, NULL, '[');
	rc = check_case(&c, argv[optind]);
	wipe(&told);
	if (rc == 0 && told.json)
		say_json(&c, &told);
	else if (rc == 0)
		say(&c);
	json_fini(&told.faults);
	json_fini(&told.remarks);
	return rc < 0 || c.wrongs ? 1 : 0;
}
