#include "ledger_case.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

/* --- what goes in comes out ------------------------------------------------ */

static void keeps_records(void **state)
{
	struct endpoint who = { .addr = { 0x20, 1, 0xd, 0xb8, [15] = 1 },
		.port = 6881, .family = 6 };
	struct endpoint nobody = { 0 };
	static const uint8_t digest[32] = { 0xab, 0xcd };
	struct open_case c;
	struct ledger *l = open_it(&c);
	char sum[65], again[65], note[NOTE_MAX], file[128];
	struct record r = plain(0);
	struct stat st;
	sqlite3 *db;
	int fd;

	(void)state;
	assert_non_null(l);
	assert_int_equal(past.size, 0);
	assert_int_equal(past.run_seq, -1);
	assert_false(past.ended);
	assert_int_equal(strlen(past.case_id), 32);

	assert_int_equal(ledger_add(l, &r), 0);
	r.swarm = "0123456789012345678901234567890123456789";
	r.kind = "dial";
	r.conn = CONN_SELF;
	r.who = &who;
	assert_int_equal(ledger_add(l, &r), 1);
	r.kind = "handshake";
	r.conn = 1;
	r.at = (struct stamp){ -5, -1 };
	r.raw = span_of("a\0b", 3);
	r.who = &nobody;
	assert_int_equal(ledger_add(l, &r), 2);
	r.kind = "piece";
	r.raw = (struct span){ 0 };
	r.raw_sha256 = digest;
	assert_int_equal(ledger_add(l, &r), 3);
	r.raw_sha256 = NULL;
	r.raw = span_of("", 0);
	r.swarm = "01234567890123456789012345678901"
	    "0123456789012345678901234567abcd";
	assert_int_equal(ledger_add(l, &r), 4);
	assert_int_equal(ledger_close(l, sum, note), 0);

	/* Sealed: one file, whose digest was told, and its checkpoint. */
	snprintf(file, sizeof(file), "%s/evidence.db", path);
	assert_int_equal(casedir_digest(file, again, NULL), 0);
	assert_string_equal(sum, again);
	snprintf(file, sizeof(file), "%s/evidence.db-wal", path);
	assert_int_equal(stat(file, &st), -1);
	snprintf(file, sizeof(file), "%s/checkpoint.txt", path);
	fd = open(file, O_RDONLY);
	memset(file, 0, sizeof(file));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, strlen(note));
	assert_true(read(fd, told_note, sizeof(told_note)) == st.st_size);
	close(fd);
	assert_memory_equal(told_note, note, (size_t)st.st_size);
	casedir_close(&c.dir);

	db = casedir_read(path);
	assert_int_equal(holds(db), 5);
	assert_string_equal(text(db, "SELECT group_concat(seq||' '||utc_ns||' '"
	    "||ifnull(mono_ns,'-')||' '||kind||' '||ifnull(swarm,'-')||' '||"
	    "ifnull(conn,'-')||' '||ifnull(ip,'-')||' '||ifnull(port,'-')||' '"
	    "||substr(ifnull(raw_sha256,'-'),1,6)||' '||ifnull((SELECT "
	    "hex(bytes) FROM raw WHERE raw.seq=record.seq),'-'), x'0a') "
	    "FROM record"),
	    "0 1700000000000000000 0 stall - - - - - -\n"
	    "1 1700000000000000000 0 dial "
	    "0123456789012345678901234567890123456789 1 2001:db8::1 6881 - -\n"
	    "2 -5 - handshake "
	    "0123456789012345678901234567890123456789 1 - - 59b271 610062\n"
	    "3 -5 - piece "
	    "0123456789012345678901234567890123456789 1 - - abcd00 -\n"
	    "4 -5 - piece "
	    "012345678901234567890123456789010123456789012345678901234567abcd"
	    " 1 - - e3b0c4 ");
	assert_int_equal(number(db, "SELECT count(DISTINCT salt) FROM record"),
	    5);
	sqlite3_close(db);
}

/* As docs/evidence-format.md says it, by the shell: the leaf hash that a
 * tile holds is that of the line that sqlite3 prints. */
static void common_tools_agree(void **state)
{
	struct open_case c;
	struct ledger *l = open_it(&c);
	char cmd[1200];

	(void)state;
	add_plain(l, 300);
	close_it(&c);
	snprintf(cmd, sizeof(cmd), "q() { sqlite3 -init /dev/null -batch "
	    "-noheader -list -readonly %s/evidence.db \"$1\"; }; "
	    "want=$(q \"SELECT lower(hex(substr(hashes,1+32*77,32))) FROM tile"
	    " WHERE level=0 AND n=0\"); "
	    "got=$( { printf '\\000'; q \"SELECT "
	    "quote(seq)||','||quote(utc_ns)||','||quote(mono_ns)||','||"
	    "quote(kind)||','||quote(swarm)||','||quote(conn)||','||"
	    "quote(ip)||','||quote(port)||','||quote(detail)||','||"
	    "quote(raw_sha256)||','||quote(salt) FROM record WHERE seq=77\" | "
	    "tr -d '\\n'; } | sha256sum | cut -d' ' -f1); "
	    "test -n \"$want\" && test \"$want\" = \"$got\"", path);
	assert_int_equal(system(cmd), 0);
}

static void names_endpoints(void **state)
{
	enum { MANY = 3000 };
	static struct named many[MANY];
	struct endpoint a = { .addr = { 1, 2, 3, 4 }, .port = 1, .family = 4 };
	struct endpoint b = { .addr = { 1, 2, 3, 4 }, .port = 2, .family = 4 };
	struct endpoint s = { .addr = { 0x20, 1, [15] = 7 }, .port = 1,
		.family = 6 };
	struct named few[] = { { b }, { a }, { b }, { s }, { { .family = 0 } },
		{ a }, { s } };
	struct open_case c;
	struct ledger *l = open_it(&c);
	struct record r = plain(0);
	char sql[200], hex[65], want[200];
	sqlite3 *db;

	(void)state;
	r.kind = "listed";
	r.named = few;
	r.names = 7;
	ledger_add(l, &r);
	r.detail = "{}";
	r.names = 0;
	ledger_add(l, &r);
	/* Large enough to be hashed by the writer; every one named twice. */
	for (int i = 0; i < MANY; i++)
		many[i].at = (struct endpoint){ .addr = { 9, 9,
			(uint8_t)(i / 2 >> 8), (uint8_t)(i / 2) },
			.port = 6881, .family = 4 };
	r.named = many;
	r.names = MANY;
	ledger_add(l, &r);
	close_it(&c);

	db = casedir_read(path);
	assert_int_equal(holds(db), 3);
	assert_string_equal(text(db, "SELECT group_concat(n||' '||ip||' '||port"
	    ", ';') FROM named WHERE seq = 0"),
	    "0 1.2.3.4 2;1 1.2.3.4 1;2 2001::7 1");
	assert_int_equal(number(db, "SELECT count(*) FROM named "
	    "WHERE seq = 2"), MANY / 2);
	for (int i = 0; i < 3; i++) {
		struct merkle m;
		struct hash h;

		snprintf(sql, sizeof(sql), "SELECT " NAMED_LINE " FROM named "
		    "WHERE seq = %d ORDER BY n", i);
		m = tree_of(db, sql);
		h = merkle_root(&m);
		snprintf(want, sizeof(want), "{%s\"named\":%d,\"named_root\":"
		    "\"%s\"}", i ? "" : "\"cause\":\"it's a test\",",
		    i == 0 ? 3 : i == 1 ? 0 : MANY / 2, hex_of(h.b, 32, hex));
		snprintf(sql, sizeof(sql), "SELECT detail FROM record "
		    "WHERE seq = %d", i);
		assert_string_equal(text(db, sql), want);
	}
	assert_int_equal(number(db, "SELECT count(DISTINCT salt) FROM named"),
	    3 + MANY / 2);
	sqlite3_close(db);
}

/* Across tiles of two levels, closed and opened again at awkward sizes. */
static void grows_over_openings(void **state)
{
	static const int steps[] = { 1, 254, 1, 1, 300, 65536 - 557, 3, 600 };
	struct open_case c;
	int64_t size = 0;
	char id[33];

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_non_null(open_it(&c));
		assert_int_equal(past.size, size);
		if (i)
			assert_string_equal(past.case_id, id);
		memcpy(id, past.case_id, sizeof(id));
		add_plain(c.l, steps[i]);
		size += steps[i];
		close_it(&c);
		assert_int_equal(case_holds(), size);
	}
	/* Nothing added: nothing changed. */
	assert_non_null(open_it(&c));
	close_it(&c);
	assert_int_equal(case_holds(), size);
}

static void says_how_the_run_before_ended(void **state)
{
	struct open_case c;
	struct record r = plain(0);

	(void)state;
	open_it(&c);
	add_plain(c.l, 3);
	r.kind = "run";
	r.at.utc_ns = 1000;
	ledger_add(c.l, &r);
	r.kind = "end";
	r.at.utc_ns = 2000;
	ledger_add(c.l, &r);
	r.kind = "stamp";
	ledger_add(c.l, &r);
	close_it(&c);
	open_it(&c);
	assert_int_equal(past.run_seq, 3);
	assert_true(past.ended);
	assert_int_equal(past.last_utc_ns, 2000);
	r.kind = "run";
	r.at.utc_ns = 3000;
	ledger_add(c.l, &r);
	add_plain(c.l, 2);
	close_it(&c);
	open_it(&c);
	assert_int_equal(past.run_seq, 7);	/* an index before the end */
	assert_false(past.ended);
	assert_int_equal(past.last_utc_ns, 1700000000000000001);
	close_it(&c);
}

static int64_t mono_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* --- committing ------------------------------------------------------------ */

/* A checkpoint's key is on record under it. */
static void a_run_waits_for_its_key(void **state)
{
	static const struct timespec wait = { .tv_nsec = 200000000 };
	struct ledger_state s;
	struct open_case c;
	struct record r = plain(0);

	(void)state;
	open_with(&c, (struct ledger_conf){ .commit_ms = 20 });
	r.kind = "run";
	ledger_add(c.l, &r);
	add_plain(c.l, 300);
	nanosleep(&wait, NULL);
	ledger_state(c.l, &s);
	assert_int_equal(s.committed, 0);
	r.kind = "key";
	ledger_add(c.l, &r);
	for (int i = 0; i < 20 && s.committed == 0; i++) {
		nanosleep(&wait, NULL);
		ledger_state(c.l, &s);
	}
	assert_int_equal(s.committed, 302);
	close_it(&c);
	assert_int_equal(case_holds(), 302);
}

static void commits_in_time(void **state)
{
	static const struct timespec wait = { .tv_nsec = 10000000 };
	struct open_case c;
	struct ledger_state s;
	int64_t began;
	int ms = 0;

	(void)state;
	open_it(&c);
	began = mono_ms();
	add_plain(c.l, 5);
	do {
		nanosleep(&wait, NULL);
		ledger_state(c.l, &s);
	} while (s.committed < 5 && (ms += 10) < 3000);
	/* 500 ms, and what sanitizers add; a sleep that a busy machine makes
	 * longer counts for no more than it was to be. */
	assert_true(mono_ms() - began >= 500);
	assert_in_range(ms, 0, 1500);
	assert_int_equal(s.records, 5);
	assert_int_equal(s.checkpoint_size, 5);
	assert_int_equal(s.queued_bytes, 0);
	assert_true(s.checkpoint_utc_ns > 1700000000000000000);
	close_it(&c);
}

static int64_t checkpoints(int keep_s, int commits, int64_t *took_ms)
{
	static const struct timespec wait = { .tv_nsec = 100000000 };
	struct open_case c;
	sqlite3 *db;
	int64_t n;

	*took_ms = -mono_ms();
	assert_non_null(open_with(&c, (struct ledger_conf){
		.checkpoint_s = keep_s }));
	for (int i = 0; i < commits; i++) {
		add_plain(c.l, 1);
		ledger_flush(c.l);
		nanosleep(&wait, NULL);
	}
	close_it(&c);
	*took_ms += mono_ms();
	db = casedir_read(path);
	holds(db);
	n = number(db, "SELECT count(*) FROM checkpoint");
	assert_string_equal(text(db, "SELECT note FROM checkpoint "
	    "ORDER BY size DESC LIMIT 1"), told_note);
	sqlite3_close(db);
	return n;
}

/* One a minute and the newest: over two seconds, the first and the last; told
 * of each that stays, and of no other. */
static void keeps_few_checkpoints(void **state)
{
	int64_t took_ms;

	(void)state;
	assert_int_equal(checkpoints(0, 8, &took_ms), 2);
	assert_int_equal(told, 2);
	/* What an opening finds stays. */
	assert_int_equal(checkpoints(0, 2, &took_ms), 3);
	assert_int_equal(told, 3);
}

static void keeps_checkpoints_as_often_as_said(void **state)
{
	int64_t n, took_ms;

	(void)state;
	n = checkpoints(1, 25, &took_ms);
	/* The first, one a second, the last. */
	assert_in_range(n, 3, 2 + took_ms / 1000);
	assert_int_equal(told, n);
}

/* What somebody outside was asked about stays, whatever follows; and its note
 * is of all that was handed over. */
static void keeps_checkpoints_asked_for(void **state)
{
	char first[NOTE_MAX], again[NOTE_MAX], more[NOTE_MAX];
	struct open_case c;
	sqlite3 *db;

	(void)state;
	open_with(&c, (struct ledger_conf){ .commit_ms = 60000 });
	add_plain(c.l, 3);
	ledger_flush(c.l);	/* the first stays anyway */
	add_plain(c.l, 4);
	ledger_checkpoint(c.l, first);
	assert_int_equal(told, 2);
	assert_string_equal(told_note, first);
	ledger_checkpoint(c.l, again);
	assert_string_equal(again, first);
	assert_int_equal(told, 2);
	for (int i = 0; i < 5; i++) {
		add_plain(c.l, 1);
		ledger_flush(c.l);
	}
	ledger_checkpoint(c.l, more);
	add_plain(c.l, 1);
	close_it(&c);
	db = casedir_read(path);
	assert_int_equal(holds(db), 13);
	assert_string_equal(text(db, "SELECT group_concat(size) FROM "
	    "(SELECT size FROM checkpoint ORDER BY size)"), "3,7,12,13");
	assert_string_equal(text(db, "SELECT note FROM checkpoint "
	    "WHERE size = 7"), first);
	assert_string_equal(text(db, "SELECT note FROM checkpoint "
	    "WHERE size = 12"), more);
	sqlite3_close(db);
}

static void flush_waits(void **state)
{
	struct open_case c;
	struct ledger_state s;
	sqlite3 *db;

	(void)state;
	open_with(&c, (struct ledger_conf){ .commit_ms = 60000 });
	ledger_flush(c.l);
	for (int i = 1; i < 20; i++) {
		add_plain(c.l, i);
		ledger_flush(c.l);
		ledger_state(c.l, &s);
		assert_int_equal(s.committed, s.records);
		assert_int_equal(s.records, i * (i + 1) / 2);
	}
	/* Readers see it while the run goes on. */
	db = casedir_read(path);
	assert_int_equal(holds(db), 190);
	sqlite3_close(db);
	close_it(&c);
}

/* --- the queue ------------------------------------------------------------- */

static void waits_when_full(void **state)
{
	static uint8_t bytes[300000];
	struct open_case c;
	struct record r = plain(0);
	struct ledger_state s;

	(void)state;
	open_with(&c, (struct ledger_conf){ .queue_bytes = 200000 });
	for (int i = 0; i < 400; i++) {
		/* Small, middling, and larger than the queue. */
		r.raw = span_of(bytes, i % 100 == 99 ? sizeof(bytes) :
		    (size_t)(i % 7) * 3000);
		assert_int_equal(ledger_add(c.l, &r), i);
		ledger_state(c.l, &s);
		assert_in_range(s.queued_bytes, 0, 100000 + 310000);
	}
	ledger_flush(c.l);
	assert_false(ledger_full(c.l));
	close_it(&c);
	assert_int_equal(case_holds(), 400);
}

static void *produce(void *arg)
{
	struct ledger *l = arg;
	int64_t last = -1;

	for (int i = 0; i < 2000; i++) {
		struct record r = plain(i);
		int64_t seq = ledger_add(l, &r);

		if (seq <= last)
			return arg;
		last = seq;
		if (i % 500 == 0)
			ledger_flush(l);
	}
	return NULL;
}

static void many_producers(void **state)
{
	struct open_case c;
	pthread_t t[3];
	void *bad;

	(void)state;
	open_with(&c, (struct ledger_conf){ .queue_bytes = 20000,
		.commit_ms = 5 });
	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, produce, c.l);
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], &bad);
		assert_null(bad);
	}
	close_it(&c);
	assert_int_equal(case_holds(), 6000);
}

static int64_t committed(struct ledger *l)
{
	struct ledger_state s;

	ledger_state(l, &s);
	return s.committed;
}

static size_t queued(struct ledger *l)
{
	struct ledger_state s;

	ledger_state(l, &s);
	return s.queued_bytes;
}

/* Until so few bytes are queued. */
static bool drains(struct ledger *l, size_t bytes)
{
	struct timespec tick = { 0, 5000000 };

	for (int i = 0; i < 4000; i++, nanosleep(&tick, NULL))
		if (queued(l) <= bytes)
			return true;
	return false;
}

/* What is handed over while a commit is due waits for it, and is in it whole. */
static void waits_for_the_commit(void **state)
{
	struct timespec tick = { 0, 5000000 };
	struct open_case c;

	(void)state;
	open_with(&c, (struct ledger_conf){ .commit_ms = 3000 });
	add_plain(c.l, 1);
	assert_true(drains(c.l, 0));
	add_plain(c.l, 500);
	nanosleep(&tick, NULL);
	assert_true(queued(c.l) > 0);
	while (committed(c.l) == 0)
		nanosleep(&tick, NULL);
	assert_int_equal(committed(c.l), 501);
	close_it(&c);
	assert_int_equal(case_holds(), 501);
}

/* Not for ever: an eighth of the queue waits for nothing. */
static void waits_for_an_eighth(void **state)
{
	static uint8_t bytes[1000];
	struct open_case c;
	struct record r = plain(0);

	(void)state;
	open_with(&c, (struct ledger_conf){ .queue_bytes = 8 << 20,
		.commit_ms = 60000 });
	add_plain(c.l, 1);
	assert_true(drains(c.l, 0));
	r.raw = span_of(bytes, sizeof(bytes));
	for (int i = 0; i < 1100; i++)
		ledger_add(c.l, &r);
	assert_true(drains(c.l, 1 << 20));
	assert_int_equal(committed(c.l), 0);
	close_it(&c);
	assert_int_equal(case_holds(), 1101);
}

/* --- crashes and failures -------------------------------------------------- */

static void survives_a_crash(void **state)
{
	struct open_case c;
	int status;

	(void)state;
	for (int round = 1; round < 4; round++) {
		if (fork() == 0) {
			if (open_with(&c, (struct ledger_conf){
			    .commit_ms = 60000 }) == NULL)
				_exit(1);
			add_plain(c.l, 300);
			ledger_flush(c.l);
			add_plain(c.l, 5);
			_exit(past.size == (round - 1) * 300 ? 0 : 2);
		}
		wait(&status);
		assert_int_equal(status, 0);
		assert_int_equal(case_holds(), round * 300);
	}
	assert_non_null(open_it(&c));
	assert_int_equal(past.size, 900);
	add_plain(c.l, 1);
	close_it(&c);
	assert_int_equal(case_holds(), 901);
}

static void fill_disk(void)
{
	struct rlimit most = { 1 << 20, 1 << 20 };
	struct open_case c;

	signal(SIGXFSZ, SIG_IGN);
	open_with(&c, (struct ledger_conf){ .commit_ms = 60000 });
	add_plain(c.l, 100);
	ledger_flush(c.l);
	setrlimit(RLIMIT_FSIZE, &most);
	for (;;)
		add_plain(c.l, 1000);
}

static void full_disk_loses_nothing_committed(void **state)
{
	char said[1000];
	struct open_case c;

	(void)state;
	assert_int_equal(child(fill_disk, said, sizeof(said)), 1);
	assert_non_null(strstr(said, "evidence could not be kept: "));
	assert_non_null(strstr(said, "evidence.db: "));
	assert_int_equal(case_holds(), 100);
	assert_non_null(open_it(&c));
	add_plain(c.l, 1);
	close_it(&c);
	assert_int_equal(case_holds(), 101);
}

static struct record wrong;

static void add_wrong(void)
{
	struct open_case c;

	open_it(&c);
	add_plain(c.l, 2);
	ledger_add(c.l, &wrong);
}

static void our_own_faults(void **state)
{
	static const struct {
		const char *kind, *swarm, *detail, *why;
		int64_t conn, mono;
	} t[] = {
		{ "x", NULL, NULL, "detail", -1, 0 },
		{ "x", NULL, "", "detail", -1, 0 },
		{ "x", NULL, "{", "detail", -1, 0 },
		{ "x", NULL, "[]", "detail", -1, 0 },
		{ "x", NULL, "{\"a\":\"\n\"}", "detail", -1, 0 },
		{ "x", NULL, "{\"a\":\"\xc3\xa4\"}", "detail", -1, 0 },
		{ "x", NULL, "{\"a\":\"\x7f\"}", "detail", -1, 0 },
		{ NULL, NULL, "{}", "kind", -1, 0 },
		{ "", NULL, "{}", "kind", -1, 0 },
		{ "Dial", NULL, "{}", "kind", -1, 0 },
		{ "a_kind_that_is_far_too_long_to_be_one", NULL, "{}", "kind",
		    -1, 0 },
		{ "x", "", "{}", "swarm", -1, 0 },
		{ "x", "012345678901234567890123456789012345678", "{}",
		    "swarm", -1, 0 },
		{ "x", "012345678901234567890123456789012345678A", "{}",
		    "swarm", -1, 0 },
		{ "x", NULL, "{}", "conversation", 3, 0 },
		{ "x", NULL, "{}", "conversation", -3, 0 },
		{ "x", NULL, "{}", "monotonic", -1, -2 },
		{ "x", NULL, "{}", NULL, 2, 0 },	/* nothing wrong */
	};
	char said[500];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		int status;

		next_case(NULL);
		wrong = (struct record){ .kind = t[i].kind,
			.swarm = t[i].swarm, .detail = t[i].detail,
			.conn = t[i].conn, .at.mono_ns = t[i].mono };
		status = child(add_wrong, said, sizeof(said));
		assert_int_equal(status, t[i].why != NULL);
		if (t[i].why)
			assert_non_null(strstr(said, t[i].why));
	}
}

/* A reader that is still there when the run ends is waited for. */
static void *read_a_while(void *arg)
{
	static const struct timespec wait = { .tv_nsec = 600000000 };

	nanosleep(&wait, NULL);
	sqlite3_close(arg);
	return NULL;
}

static void seals_after_readers(void **state)
{
	struct open_case c;
	sqlite3 *reader;
	pthread_t t;

	(void)state;
	open_it(&c);
	add_plain(c.l, 10);
	ledger_flush(c.l);
	reader = casedir_read(path);
	assert_int_equal(holds(reader), 10);
	add_plain(c.l, 10);
	pthread_create(&t, NULL, read_a_while, reader);
	close_it(&c);
	pthread_join(t, NULL);
	assert_int_equal(case_holds(), 20);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, next_case)
	const struct CMUnitTest tests[] = {
		T(keeps_records),
		T(common_tools_agree),
		T(names_endpoints),
		T(grows_over_openings),
		T(says_how_the_run_before_ended),
		T(a_run_waits_for_its_key),
		T(commits_in_time),
		T(keeps_few_checkpoints),
		T(keeps_checkpoints_as_often_as_said),
		T(keeps_checkpoints_asked_for),
		T(flush_waits),
		T(waits_when_full),
		T(many_producers),
		T(waits_for_the_commit),
		T(waits_for_an_eighth),
		T(survives_a_crash),
		T(full_disk_loses_nothing_committed),
		T(our_own_faults),
		T(seals_after_readers),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
