/*
 * For tests/interop/test_crash: ingests until it is killed, and says what it
 * handed over when.
 *
 *   ingest CASE KEY PACE	"past SIZE ENDED", then "SEQ MONO_NS" for each
 *				record (PACE us apart; 0: as fast as it goes,
 *				and every hundredth is said)
 *   ingest CASE KEY end	"past SIZE ENDED", adds an `end`, seals
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "schema/ledger.h"

static struct stamp now(void)
{
	struct timespec u, m;

	clock_gettime(CLOCK_REALTIME, &u);
	clock_gettime(CLOCK_MONOTONIC, &m);
	return (struct stamp){
		.utc_ns = (int64_t)u.tv_sec * 1000000000 + u.tv_nsec,
		.mono_ns = (int64_t)m.tv_sec * 1000000000 + m.tv_nsec };
}

static void ingest(struct ledger *l, long pace_us)
{
	struct timespec wait = { .tv_nsec = pace_us * 1000 };
	struct named names[50];
	uint8_t raw[700] = { 0 };

	for (unsigned i = 0; i < 50; i++)
		names[i].at = (struct endpoint){ .addr = { 10, 0, 0,
			(uint8_t)i }, .port = 6881, .family = 4 };
	for (unsigned i = 0;; i++) {
		bool lists = i % 20 == 3;
		struct record r = { .at = now(), .conn = CONN_NONE,
			.kind = i == 0 ? "run" : i == 1 ? "key" :
			    lists ? "listed" : "have",
			.detail = "{\"by\":\"peer\",\"why\":\"it's killed\"}",
			.raw = i % 3 ? (struct span){ 0 } :
			    span_of(raw, i % sizeof(raw)),
			.named = lists ? names : NULL, .names = i % 50 };
		int64_t seq = ledger_add(l, &r);

		if (pace_us || seq % 100 == 0)
			printf("%lld %lld\n", (long long)seq,
			    (long long)r.at.mono_ns);
		if (pace_us)
			nanosleep(&wait, NULL);
	}
}

int main(int argc, char **argv)
{
	struct casedir dir;
	struct note_key key;
	struct ledger_past past;
	struct ledger *l;
	int got;

	if (argc != 4)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (casedir_open(&dir, argv[1]) < 0 ||
	    note_key_open(&key, argv[2], NULL) < 0)
		return 1;
	l = ledger_open(&(struct ledger_conf){ .dir = &dir, .key = &key,
		.queue_bytes = 1 << 20 }, &past);
	if (l == NULL)
		return 1;
	printf("past %lld %s\n", (long long)past.size,
	    past.ended ? "ended" : past.run_seq < 0 ? "new" : "cut");
	if (strcmp(argv[3], "end") != 0)
		ingest(l, strtol(argv[3], NULL, 10));
	ledger_add(l, &(struct record){ .at = now(), .conn = CONN_NONE,
		.kind = "end", .detail = "{}" });
	got = ledger_close(l, NULL, NULL);
	note_key_close(&key);
	casedir_close(&dir);
	return got == 0 ? 0 : 1;
}
