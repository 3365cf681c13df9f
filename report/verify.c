#include "report/verify.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report/check.h"
#include "schema/json.h"
#include "schema/note.h"

static const char usage[] =
"usage: swarmwitness verify [options] CASE\n"
"Recomputes every record's leaf, the tree, its tiles and signed checkpoints,\n"
"and holds raw bytes, named endpoints and savefiles against their digests.\n"
"  --key FINGERPRINT   the key its runs must be signed by: proves origin\n"
"  --json              one JSON object on standard output\n"
"  --help\n"
"Exit status: 0 the case holds, 1 it does not, 2 misuse.\n";

struct told {
	bool json;
	struct json faults, remarks;
};

static void hear(void *ctx, bool wrong, const char *text)
{
	struct told *t = ctx;

	if (t->json)
		json_str(wrong ? &t->faults : &t->remarks, NULL, text);
	else
		printf("%s: %s\n", wrong ? "WRONG" : "note", text);
}

static void say(const struct check *c, bool origin)
{
	printf("case %s, %s to %s\n", c->case_id, c->first_utc, c->last_utc);
	printf("%" PRId64 " records, %" PRId64 " raw (%" PRId64 " bytes), %"
	    PRId64 " named endpoints\n", c->records, c->raws, c->raw_bytes,
	    c->names);
	printf("%" PRId64 " tiles, %" PRId64 " checkpoints, %" PRId64 " keys, %"
	    PRId64 " runs (%" PRId64 " ended)\n", c->tiles, c->checkpoints,
	    c->keys, c->runs, c->ended);
	printf("%" PRId64 " savefiles (%" PRId64 " bytes)\n", c->savefiles,
	    c->savefile_bytes);
	printf("%" PRId64 " indexes, %" PRId64 " subjects; %" PRId64
	    " erasures, %" PRId64 " records erased\n", c->indexes,
	    c->subjects, c->erasures, c->erased);
	printf("root %s\n", c->root);
	if (origin && c->all_keys_match)
		printf("key %s: origin proved\n", c->fingerprint);
	else
		printf("key %s: integrity only; origin unproved%s\n",
		    c->fingerprint, origin ? "" : " (--key FINGERPRINT)");
	if (c->bad_record >= 0)
		printf("first bad record: %" PRId64 "\n", c->bad_record);
	if (c->wrongs)
		printf("DOES NOT HOLD: %" PRId64 " things are wrong\n",
		    c->wrongs);
	else
		printf("holds\n");
}

static void say_json(const struct check *c, bool origin, struct told *t)
{
	struct json j;

	json_close(&t->faults, ']');
	json_close(&t->remarks, ']');
	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_bool(&j, "holds", c->wrongs == 0);
	json_int(&j, "wrong", c->wrongs);
	json_str(&j, "case_id", c->case_id);
	json_str(&j, "first_utc", c->first_utc);
	json_str(&j, "last_utc", c->last_utc);
	json_int(&j, "records", c->records);
	json_int(&j, "raw", c->raws);
	json_int(&j, "named", c->names);
	json_int(&j, "tiles", c->tiles);
	json_int(&j, "checkpoints", c->checkpoints);
	json_int(&j, "keys", c->keys);
	json_int(&j, "runs", c->runs);
	json_int(&j, "ended", c->ended);
	json_int(&j, "savefiles", c->savefiles);
	json_int(&j, "indexes", c->indexes);
	json_int(&j, "subjects", c->subjects);
	json_int(&j, "erasures", c->erasures);
	json_int(&j, "records_erased", c->erased);
	json_str(&j, "root", c->root);
	json_str(&j, "fingerprint", c->fingerprint);
	json_bool(&j, "origin_proved", origin && c->all_keys_match);
	if (c->bad_record >= 0)
		json_int(&j, "first_bad_record", c->bad_record);
	else
		json_null(&j, "first_bad_record");
	json_close(&j, '}');
	/* The two lists are objects' last members, put in as they stand. */
	if (json_done(&j) && json_done(&t->faults) && json_done(&t->remarks))
		printf("%.*s,\"faults\":%s,\"remarks\":%s}\n", (int)j.n - 1,
		    j.text, t->faults.text, t->remarks.text);
	json_fini(&j);
}

int verify_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	struct check c = { 0 };
	struct told told = { 0 };
	const char *key = NULL;
	uint8_t digest[32];
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'k':
			key = optarg;
			break;
		case 'j':
			told.json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			return 2;
		}
	}
	if (key && !hex_read(span_str(key), digest, 32)) {
		fprintf(stderr, "swarmwitness verify: --key: \"%s\" is not a "
		    "fingerprint of 64 hex digits\n", key);
		return 2;
	}
	if (argc - optind != 1) {
		fputs(usage, stderr);
		return 2;
	}
	json_init(&told.faults, JSON_MOST);
	json_init(&told.remarks, JSON_MOST);
	json_open(&told.faults, NULL, '[');
	json_open(&told.remarks, NULL, '[');
	c.tell = hear;
	c.ctx = &told;
	if (check_case(&c, argv[optind], key) < 0)
		return 1;
	if (told.json)
		say_json(&c, key != NULL, &told);
	else
		say(&c, key != NULL);
	json_fini(&told.faults);
	json_fini(&told.remarks);
	return c.wrongs ? 1 : 0;
}
