#include "report/checkbatch.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/sha.h>

#include "report/checkjson.h"
#include "schema/json.h"
#include "schema/log.h"

#define BATCHES 4u
#define ROOM (1u << 20)

enum state { EMPTY, READ, WORKED };

struct batch {
	struct check_row row[CHECKBATCH_ROWS];
	size_t n;
	char *text;		/* what the rows point into */
	size_t used, room;
	_Atomic enum state state;
};

struct checkbatch {
	struct checkbatch_conf conf;
	bool record_row, raw_row;	/* a row is at hand */
	struct batch batch[BATCHES];
	size_t reading, giving, given;	/* batch numbers; rows of giving */
	bool end;			/* nothing is left to read */
	char *line;			/* the worker's */
	size_t line_room;
	pthread_t worker;
	pthread_mutex_t lock;		/* of the states and stop */
	pthread_cond_t work, done;
	bool stop;
};

/* --- the work -------------------------------------------------------------- */

static const char *const unprintable[6] = {
	"kind is not printable ASCII", "swarm is not printable ASCII",
	"ip is not printable ASCII", "detail is not printable ASCII",
	"raw_sha256 is not printable ASCII", "salt is not printable ASCII"
};

static bool printable(const char *t, size_t n)
{
	unsigned char bad = 0;

	for (size_t i = 0; i < n; i++)
		bad |= (unsigned char)((unsigned char)(t[i] - ' ') > '~' - ' ');
	return !bad;
}

static const char *fault_of(const struct check_row *r)
{
	const char *const text[6] = { r->kind, r->swarm, r->ip, r->detail,
		r->raw_sha256, r->salt };

	for (int i = 0; i < 6; i++)
		if (text[i] && !printable(text[i], r->length[i]))
			return unprintable[i];
	/* record_line writes these as NULL, and a port as 32 bits.
	 * integrity_check passes over CHECKs of a file that is opened for
	 * reading. */
	if (r->negative)
		return "mono_ns, conn or port is negative";
	if (r->port > 65535)
		return "port is none";
	return NULL;
}

static void work_row(struct checkbatch *b, struct check_row *r)
{
	size_t need = r->length[3] * 2 + 1024, n;

	for (int i = 0; i < 6; i++)
		need += r->length[i] * 2;
	if (need > b->line_room) {
		free(b->line);
		b->line_room = need;
		b->line = malloc(need);
		if (!b->line)
			log_die("out of memory");
	}
	r->fault = fault_of(r);
	n = record_line(b->line, b->line_room, r->seq, r->utc_ns, r->mono_ns,
	    r->kind ? r->kind : "", r->swarm, r->conn, r->ip,
	    r->port > 65535 ? 65535 : (int32_t)r->port,
	    r->detail ? r->detail : "", r->raw_sha256, r->salt ? r->salt : "");
	r->leaf = merkle_leaf(b->line, n);
	r->no_object = !r->detail || !checkjson_object(r->detail, r->length[3]);
	r->raw_differs = false;
	if (r->has_raw && r->raw_sha256) {
		uint8_t is[32], want[32];
		SHA256_CTX ctx;		/* SHA256() looks its method up anew */

		SHA256_Init(&ctx);
		SHA256_Update(&ctx, r->raw.p, r->raw.n);
		SHA256_Final(is, &ctx);
		r->raw_differs = !hex_read(span_of(r->raw_sha256,
		    r->length[4]), want, 32) || memcmp(is, want, 32) != 0;
	}
}

static void *worker(void *arg)
{
	struct checkbatch *b = arg;

	for (size_t at = 0;; at = (at + 1) % BATCHES) {
		struct batch *t = &b->batch[at];

		pthread_mutex_lock(&b->lock);
		while (t->state != READ && !b->stop)
			pthread_cond_wait(&b->work, &b->lock);
		pthread_mutex_unlock(&b->lock);
		if (t->state != READ)
			return NULL;
		for (size_t i = 0; i < t->n; i++)
			work_row(b, &t->row[i]);
		pthread_mutex_lock(&b->lock);
		t->state = WORKED;
		pthread_cond_signal(&b->done);
		pthread_mutex_unlock(&b->lock);
	}
}

/* --- reading --------------------------------------------------------------- */

static bool step(struct checkbatch *b, sqlite3_stmt *s)
{
	int got = sqlite3_step(s);

	if (got != SQLITE_ROW && got != SQLITE_DONE)
		b->conf.failed(b->conf.ctx, s);
	return got == SQLITE_ROW;
}

static int64_t number(sqlite3_stmt *s, int col, struct check_row *r)
{
	int64_t v;

	if (sqlite3_column_type(s, col) == SQLITE_NULL)
		return -1;
	v = sqlite3_column_int64(s, col);
	if (v < 0)
		r->negative = true;
	return v;
}

static const char *copy(struct batch *t, const char *text, size_t n)
{
	char *at = t->text + t->used;

	if (text == NULL)
		return NULL;
	memcpy(at, text, n);
	at[n] = '\0';
	t->used += n + 1;
	return at;
}

/* Raw rows before this record belong to none. */
static bool has_raw(struct checkbatch *b, int64_t seq)
{
	while (b->raw_row && sqlite3_column_int64(b->conf.raw, 0) < seq) {
		b->conf.stray(b->conf.ctx,
		    sqlite3_column_int64(b->conf.raw, 0));
		b->raw_row = step(b, b->conf.raw);
	}
	return b->raw_row && sqlite3_column_int64(b->conf.raw, 0) == seq;
}

/* False: it does not fit any more. */
static bool read_row(struct checkbatch *b, struct batch *t)
{
	static const int column[6] = { 3, 4, 6, 8, 9, 10 };
	sqlite3_stmt *s = b->conf.record;
	struct check_row *r = &t->row[t->n];
	const char *text[6], **out[6] = { &r->kind, &r->swarm, &r->ip,
		&r->detail, &r->raw_sha256, &r->salt };
	const void *raw = NULL;
	size_t need = 8, raw_n = 0;

	*r = (struct check_row){ .seq = sqlite3_column_int64(s, 0) };
	for (int i = 0; i < 6; i++) {
		text[i] = (const char *)sqlite3_column_text(s, column[i]);
		r->length[i] = (size_t)sqlite3_column_bytes(s, column[i]);
		need += r->length[i] + 1;
	}
	r->has_raw = has_raw(b, r->seq);
	if (r->has_raw) {
		raw = sqlite3_column_blob(b->conf.raw, 1);
		raw_n = (size_t)sqlite3_column_bytes(b->conf.raw, 1);
		need += raw_n + 1;
	}
	if (t->used + need > t->room) {
		if (t->n)
			return false;
		free(t->text);
		t->room = need;
		t->text = malloc(need);
		if (!t->text)
			log_die("out of memory");
	}
	for (int i = 0; i < 6; i++)
		*out[i] = copy(t, text[i], r->length[i]);
	if (r->has_raw) {
		r->raw = span_of(copy(t, raw ? raw : "", raw_n), raw_n);
		b->raw_row = step(b, b->conf.raw);
	}
	r->utc_ns = sqlite3_column_int64(s, 1);
	r->mono_ns = number(s, 2, r);
	r->conn = number(s, 5, r);
	r->port = number(s, 7, r);
	t->n++;
	return true;
}

static void fill(struct checkbatch *b)
{
	struct batch *t = &b->batch[b->reading];

	t->n = t->used = 0;
	while (b->record_row && t->n < CHECKBATCH_ROWS && read_row(b, t))
		b->record_row = step(b, b->conf.record);
	if (t->n == 0) {
		b->end = true;
		while (b->raw_row) {
			b->conf.stray(b->conf.ctx,
			    sqlite3_column_int64(b->conf.raw, 0));
			b->raw_row = step(b, b->conf.raw);
		}
		return;
	}
	pthread_mutex_lock(&b->lock);
	t->state = READ;
	pthread_cond_signal(&b->work);
	pthread_mutex_unlock(&b->lock);
	b->reading = (b->reading + 1) % BATCHES;
}

/* --- what others call ------------------------------------------------------ */

struct checkbatch *checkbatch_new(const struct checkbatch_conf *conf)
{
	struct checkbatch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		log_die("out of memory");
	b->conf = *conf;
	for (size_t i = 0; i < BATCHES; i++) {
		b->batch[i].room = ROOM;
		b->batch[i].text = malloc(ROOM);
		if (!b->batch[i].text)
			log_die("out of memory");
	}
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->work, NULL);
	pthread_cond_init(&b->done, NULL);
	b->record_row = step(b, conf->record);
	b->raw_row = step(b, conf->raw);
	if (pthread_create(&b->worker, NULL, worker, b) != 0)
		log_die("cannot start a thread");
	pthread_setname_np(b->worker, "lines");
	return b;
}

const struct check_row *checkbatch_next(struct checkbatch *b)
{
	struct batch *t = &b->batch[b->giving];

	if (t->state == WORKED && b->given == t->n) {
		t->state = EMPTY;
		b->giving = (b->giving + 1) % BATCHES;
		b->given = 0;
		t = &b->batch[b->giving];
	}
	if (b->given == 0) {
		while (!b->end && b->batch[b->reading].state == EMPTY)
			fill(b);
		if (t->state == EMPTY)
			return NULL;
		pthread_mutex_lock(&b->lock);
		while (t->state != WORKED)
			pthread_cond_wait(&b->done, &b->lock);
		pthread_mutex_unlock(&b->lock);
	}
	return &t->row[b->given++];
}

void checkbatch_free(struct checkbatch *b)
{
	if (b == NULL)
		return;
	pthread_mutex_lock(&b->lock);
	b->stop = true;
	pthread_cond_signal(&b->work);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->worker, NULL);
	for (size_t i = 0; i < BATCHES; i++)
		free(b->batch[i].text);
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->work);
	pthread_cond_destroy(&b->done);
	free(b->line);
	free(b);
}
