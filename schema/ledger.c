#include "schema/ledger.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/rand.h>

#include "schema/evidence.h"
#include "schema/index.h"
#include "schema/json.h"
#include "schema/log.h"

#define QUEUE_BYTES (64u << 20)
#ifdef SW_SANITIZED	/* a block for each entry, so that its ends are watched */
#define QUEUE_BLOCK 1
#else
#define QUEUE_BLOCK (256u << 10)
#endif
#define COMMIT_MS 500
#define COMMIT_RECORDS 32768	/* a transaction's most */
#define KEEP_S 60		/* and evidence.sql lets no fewer be kept */
/* While a commit is due anyway the writer is woken for this share of the queue,
 * far below the half that stops reading. Woken for less, it takes a core from
 * those who serve a burst, for records that nobody sees before the commit. */
#define WAKE_SHARE 8
/* The writer hashes, too, unless more than this share waits for it: then whoever
 * hands entries over does, but for large ones, since the loop must not stall. */
#define HELP_SHARE 6
#define SMALL_BYTES 16384
#define DAY_NS 86400000000000

struct ledger {
	const struct casedir *dir;
	struct evidence *evidence;	/* the writer's while it runs, */
	struct index *index;		/* and so is this */
	size_t queue_bytes;
	int64_t commit_ns;
	void (*on_checkpoint)(void *ctx, const char *note);
	void *ctx;
	bool (*on_erased)(void *ctx, sqlite3 *db, int64_t seq);
	void *erased_ctx;
	pthread_t writer;

	/* Producers, one at a time, so that the queue is in order of seq. */
	pthread_mutex_t adding;
	int64_t next;
	struct entry_scratch scratch;
	uint8_t salts[256][RECORD_SALT];
	unsigned salts_left;
	int64_t day;		/* latest of the records made here; 0: none */
	bool behind;		/* an index is due behind the `key` */

	/* Both sides. */
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	struct shelf shelf;	/* of their entries */
	struct entry *head, **tail;
	size_t waiting;		/* bytes of them */
	bool idle;		/* the writer has nothing uncommitted */
	bool stop;
	int64_t flush_to;	/* somebody waits for this many records */
	uint64_t keep, kept;	/* checkpoints asked to stay, and made so */
	char note[NOTE_MAX];	/* the newest of those */
	int64_t handed;
	int64_t committed, committed_utc_ns;
	atomic_size_t queued;	/* bytes handed over and not yet inserted */
};

static int64_t mono_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

bool ledger_full(const struct ledger *l)
{
	return atomic_load(&l->queued) > l->queue_bytes / 2;
}

/* --- the writer ------------------------------------------------------------ */

struct turn {
	int64_t due_ns;		/* the open transaction's */
	int64_t uncommitted;	/* records in it */
	bool keyless;		/* a run's `key` has not come yet */
	bool erasing;		/* an `erased` record is to be followed */
};

static void commit(struct ledger *l, struct turn *t)
{
	const struct evidence_head *h = evidence_head(l->evidence);

	if (t->uncommitted == 0)
		return;
	evidence_commit(l->evidence);
	t->uncommitted = 0;
	lasthead_put(l->dir, h->note, h->kept);
	pthread_mutex_lock(&l->lock);
	l->committed = h->size;
	l->committed_utc_ns = h->utc_ns;
	pthread_cond_broadcast(&l->done);
	pthread_mutex_unlock(&l->lock);
	if (h->kept && l->on_checkpoint)
		l->on_checkpoint(l->ctx, h->note);
}

/* A checkpoint's key is among the records it covers: a `run` waits for the
 * `key` behind it. */
static void commit_due(struct ledger *l, struct turn *t)
{
	if (t->keyless || t->erasing)
		t->due_ns = mono_now() + l->commit_ns;
	else
		commit(l, t);
}

/* An index record is made when all before it are in. */
static struct entry *indexed(struct ledger *l, struct entry *e)
{
	uint8_t salt[RECORD_SALT];
	struct entry *made;

	if (!hex_read(span_of(e->salt, 2 * RECORD_SALT), salt, RECORD_SALT))
		log_die("evidence could not be kept: a salt that is none");
	made = entry_new(&(struct record){
		.at = { .utc_ns = e->utc_ns, .mono_ns = e->mono_ns },
		.kind = "index", .conn = CONN_NONE,
		.detail = index_make(l->index, e->seq) }, e->seq, salt, NULL);
	made->bytes = e->bytes;	/* what it counts for in the queue */
	made->index = true;
	entry_free(e, &l->shelf);
	return made;
}

static void insert(struct ledger *l, struct turn *t, struct entry *e,
    struct entry_scratch *scratch)
{
	size_t most = l->queue_bytes, before;

	if (t->uncommitted == 0)
		t->due_ns = mono_now() + l->commit_ns;
	if (e->index)
		e = indexed(l, e);
	entry_complete(e, scratch);
	evidence_add(l->evidence, e);
	if (e->index)
		index_keep(l->index, e->seq);
	index_add(l->index, e);
	if (l->on_erased && strcmp(e->kind, "erased") == 0)
		t->erasing = l->on_erased(l->erased_ctx,
		    evidence_db(l->evidence), e->seq);
	t->uncommitted++;
	if (strcmp(e->kind, "run") == 0)
		t->keyless = true;
	else if (strcmp(e->kind, "key") == 0)
		t->keyless = false;
	before = atomic_fetch_sub(&l->queued, e->bytes);
	if (before > most / 2 && before - e->bytes <= most / 2) {
		pthread_mutex_lock(&l->lock);
		pthread_cond_broadcast(&l->done);
		pthread_mutex_unlock(&l->lock);
	}
	entry_free(e, &l->shelf);
	if (t->uncommitted >= COMMIT_RECORDS || mono_now() >= t->due_ns)
		commit_due(l, t);
}

/* Somebody wants the newest checkpoint kept, now that all is committed. */
static void keep(struct ledger *l, uint64_t ticket)
{
	const struct evidence_head *h = evidence_head(l->evidence);

	bool fresh = evidence_keep(l->evidence);

	if (fresh)
		lasthead_put(l->dir, h->note, true);
	if (fresh && l->on_checkpoint)
		l->on_checkpoint(l->ctx, h->note);
	pthread_mutex_lock(&l->lock);
	memcpy(l->note, h->note, sizeof(l->note));
	l->kept = ticket;
	pthread_cond_broadcast(&l->done);
	pthread_mutex_unlock(&l->lock);
}

/* Waits for work: the whole queue, or NULL when only a commit is due. */
static struct entry *take(struct ledger *l, struct turn *t, bool *late,
    bool *flush, uint64_t *ticket, bool *stop)
{
	struct timespec due = { .tv_sec = t->due_ns / 1000000000,
		.tv_nsec = t->due_ns % 1000000000 };
	struct entry *list;

	*late = false;
	pthread_mutex_lock(&l->lock);
	l->idle = t->uncommitted == 0;
	while (!l->stop && l->flush_to <= l->committed &&
	    l->keep == l->kept && !*late &&
	    (l->idle ? l->head == NULL :
	    l->waiting < l->queue_bytes / WAKE_SHARE)) {
		if (l->idle)
			pthread_cond_wait(&l->work, &l->lock);
		else
			*late = pthread_cond_timedwait(&l->work, &l->lock,
			    &due) == ETIMEDOUT;
	}
	list = l->head;
	l->head = NULL;
	l->tail = &l->head;
	l->waiting = 0;
	*ticket = l->keep;
	*flush = l->flush_to > l->committed || *ticket != l->kept;
	*stop = l->stop;
	pthread_mutex_unlock(&l->lock);
	/* What waited belongs into the commit that is due. */
	if (*late)
		t->due_ns += l->commit_ns / 2;
	return list;
}

static void *writer(void *arg)
{
	struct ledger *l = arg;
	struct entry_scratch scratch = { 0 };
	struct turn t = { 0 };
	bool late, flush, stop;
	uint64_t ticket = 0, served = 0;

	do {
		struct entry *e = take(l, &t, &late, &flush, &ticket,
		    &stop), *next;

		for (; e; e = next) {
			next = e->next;
			insert(l, &t, e, &scratch);
		}
		if (flush || stop)
			commit(l, &t);
		else if (late)
			commit_due(l, &t);
		if (ticket != served)
			keep(l, served = ticket);
	} while (!stop);
	free(scratch.line);
	return NULL;
}

/* --- handing over ---------------------------------------------------------- */

static const uint8_t *salt(struct ledger *l)
{
	if (l->salts_left == 0) {
		if (RAND_bytes(l->salts[0], sizeof(l->salts)) != 1)
			log_die("evidence could not be kept: no random bytes");
		l->salts_left = sizeof(l->salts) / sizeof(l->salts[0]);
	}
	return l->salts[--l->salts_left];
}

/* One entry into the queue; l->adding is held. */
static int64_t hand(struct ledger *l, const struct record *r, bool index)
{
	int64_t seq = l->next++;
	struct entry *e = entry_new(r, seq, salt(l), &l->shelf);
	size_t wake = l->queue_bytes / WAKE_SHARE;

	e->index = index;
	if (!index && e->bytes <= SMALL_BYTES &&
	    atomic_load(&l->queued) > l->queue_bytes / HELP_SHARE)
		entry_complete(e, &l->scratch);

	pthread_mutex_lock(&l->lock);
	/* Once full, wait until half is free. A record larger than that still
	 * passes. */
	if (atomic_load(&l->queued) + e->bytes > l->queue_bytes)
		while (ledger_full(l))
			pthread_cond_wait(&l->done, &l->lock);
	atomic_fetch_add(&l->queued, e->bytes);
	*l->tail = e;
	l->tail = &e->next;
	l->waiting += e->bytes;
	l->handed = seq + 1;
	if (l->idle || (l->waiting >= wake && l->waiting - e->bytes < wake))
		pthread_cond_signal(&l->work);
	pthread_mutex_unlock(&l->lock);
	return seq;
}

static int64_t hand_index(struct ledger *l, struct stamp at)
{
	return hand(l, &(struct record){ .at = at, .kind = "index",
		.conn = CONN_NONE, .detail = "{}" }, true);
}

/* Whether an index record stands before r. Packets' stamps tell no midnight. */
static bool index_due(struct ledger *l, const struct record *r)
{
	int64_t day = r->at.utc_ns / DAY_NS, was = l->day;

	if (strcmp(r->kind, "end") == 0)
		return true;
	if (r->at.mono_ns < 0 || day <= was)
		return false;
	l->day = day;
	return was != 0;
}

int64_t ledger_add(struct ledger *l, const struct record *r)
{
	int64_t seq;

	pthread_mutex_lock(&l->adding);
	if (r->kind && index_due(l, r))
		hand_index(l, r->at);
	seq = hand(l, r, false);
	if (l->behind && strcmp(r->kind, "key") == 0) {
		l->behind = false;
		hand_index(l, r->at);
	}
	pthread_mutex_unlock(&l->adding);
	return seq;
}

bool ledger_behind(const struct ledger *l)
{
	return l->behind;
}

int64_t ledger_index(struct ledger *l, struct stamp at)
{
	int64_t seq;

	pthread_mutex_lock(&l->adding);
	seq = hand_index(l, at);
	pthread_mutex_unlock(&l->adding);
	return seq;
}

void ledger_flush(struct ledger *l)
{
	int64_t to;

	pthread_mutex_lock(&l->lock);
	to = l->handed;
	if (to > l->flush_to)
		l->flush_to = to;
	pthread_cond_signal(&l->work);
	while (l->committed < to)
		pthread_cond_wait(&l->done, &l->lock);
	pthread_mutex_unlock(&l->lock);
}

void ledger_checkpoint(struct ledger *l, char note[NOTE_MAX])
{
	uint64_t mine;

	pthread_mutex_lock(&l->lock);
	mine = ++l->keep;
	pthread_cond_signal(&l->work);
	while (l->kept < mine)
		pthread_cond_wait(&l->done, &l->lock);
	memcpy(note, l->note, NOTE_MAX);
	pthread_mutex_unlock(&l->lock);
}

void ledger_state(const struct ledger *l, struct ledger_state *s)
{
	pthread_mutex_t *lock = (pthread_mutex_t *)&l->lock;

	pthread_mutex_lock(lock);
	*s = (struct ledger_state){ .records = l->handed,
		.committed = l->committed,
		.queued_bytes = atomic_load(&l->queued),
		.checkpoint_size = l->committed,
		.checkpoint_utc_ns = l->committed_utc_ns };
	pthread_mutex_unlock(lock);
}

/* --- opening and closing --------------------------------------------------- */

static void start(struct ledger *l)
{
	pthread_condattr_t attr;

	shelf_init(&l->shelf, QUEUE_BLOCK);
	pthread_mutex_init(&l->adding, NULL);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->done, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->work, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&l->writer, NULL, writer, l) != 0)
		log_die("cannot start the writer thread");
	pthread_setname_np(l->writer, "ledger");
}

struct ledger *ledger_open(const struct ledger_conf *conf,
    struct ledger_past *past)
{
	int keep_s = conf->checkpoint_s;
	struct ledger *l = calloc(1, sizeof(*l));
	struct lasthead head;

	if (l == NULL)
		log_die("out of memory");
	if (keep_s <= 0 || keep_s > KEEP_S)
		keep_s = KEEP_S;
	l->dir = conf->dir;
	l->queue_bytes = conf->queue_bytes ? conf->queue_bytes : QUEUE_BYTES;
	l->commit_ns = (int64_t)(conf->commit_ms > 0 ? conf->commit_ms :
	    COMMIT_MS) * 1000000;
	l->on_checkpoint = conf->on_checkpoint;
	l->ctx = conf->ctx;
	l->on_erased = conf->on_erased;
	l->erased_ctx = conf->erased_ctx;
	l->tail = &l->head;
	l->idle = true;
	lasthead_read(&head, conf->dir->path);
	l->evidence = evidence_open(conf->dir, conf->key, keep_s, past);
	if (l->evidence == NULL) {
		free(l);
		return NULL;
	}
	past->head = head;
	past->lost = lasthead_lost(&head, past->case_id, past->size);
	if (past->lost)
		lasthead_warn(&head, conf->dir->path, past->size);
	if (past->lost && !conf->run) {
		log_warn("%s: only a new run goes on here, and says so",
		    conf->dir->path);
		evidence_close(l->evidence);
		free(l);
		return NULL;
	}
	l->next = l->handed = l->committed = past->size;
	l->committed_utc_ns = evidence_head(l->evidence)->utc_ns;
	l->index = index_new(l->dir, evidence_db(l->evidence), past->size);
	l->behind = index_behind(l->index);
	start(l);
	return l;
}

static int finish(const struct ledger *l, const struct evidence_head *h,
    char digest[65], char note[NOTE_MAX])
{
	char sum[65], *file = casedir_file(l->dir, "evidence.db");
	int put = 0, got;

	/* First the checkpoint: sealing may wait for a reader. */
	if (h->size)
		put = lasthead_end(l->dir, h->note);
	got = evidence_seal(l->evidence);
	if (got == 0)
		got = casedir_digest(file, sum, NULL);
	free(file);
	if (put < 0)
		got = -1;
	if (digest)
		memcpy(digest, got == 0 ? sum : "", got == 0 ? 65 : 1);
	if (note)
		memcpy(note, h->note, NOTE_MAX);
	return got;
}

int ledger_close(struct ledger *l, char digest[65], char note[NOTE_MAX])
{
	const struct evidence_head *h;
	int got;

	if (l == NULL)
		return 0;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->work);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->writer, NULL);
	h = evidence_head(l->evidence);
	/* The last one stays, so whoever follows them is told of it. */
	if (h->size && !h->kept && l->on_checkpoint)
		l->on_checkpoint(l->ctx, h->note);
	index_free(l->index);
	got = finish(l, h, digest, note);
	evidence_close(l->evidence);
	shelf_fini(&l->shelf);
	pthread_mutex_destroy(&l->adding);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->work);
	pthread_cond_destroy(&l->done);
	free(l->scratch.line);
	free(l);
	return got;
}

int ledger_hand_over(struct ledger *l, char note[NOTE_MAX])
{
	char digest[65], last[NOTE_MAX];
	int got = ledger_close(l, digest, last);

	fputs(last, stdout);
	if (digest[0])
		printf("%s  evidence.db\n", digest);
	fflush(stdout);
	if (note)
		memcpy(note, last, NOTE_MAX);
	return got;
}
