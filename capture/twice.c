#include "capture/twice.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/packet.h"
#include "capture/source.h"
#include "schema/log.h"

#define BYTES 64u	/* checksums and numbers of TCP or UDP are in them */

struct sample {
	uint64_t mark;
	size_t file;
	uint64_t frame;
	bool found;
};

struct twice {
	const char *path;
	char *const *names;
	struct sample *sample;	/* by mark, once they are all there */
	size_t samples;
	size_t *taken, *found;	/* of each file */
	bool again;
};

/* False: it carries nothing. */
static bool mark_of(const struct source_packet *k, uint64_t *mark)
{
	uint64_t h = 0, word;
	struct packet p;
	size_t n;

	packet_read(k->link, k->bytes, k->length, &p);
	if ((p.kind != PACKET_TCP && p.kind != PACKET_UDP) ||
	    (p.payload.n == 0 && p.missing == 0) || p.payload.p == NULL)
		return false;
	n = (size_t)(p.payload.p - k->bytes.p) + p.payload.n - p.ip;
	if (n > BYTES)
		n = BYTES;
	for (size_t at = 0; at < n; at += sizeof(word)) {
		word = 0;
		memcpy(&word, k->bytes.p + p.ip + at, n - at < sizeof(word) ?
		    n - at : sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	*mark = h;
	return true;
}

static int by_mark(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return x->mark < y->mark ? -1 : x->mark > y->mark;
}

/* The next packet that carries something; false at the end, or of damage that
 * cannot be passed over. */
static bool next(struct source *src, struct source_packet *k, uint64_t *mark)
{
	struct source_item item;

	while (source_next(src, &item) == 0 && item.kind != SOURCE_END) {
		if (item.kind != SOURCE_PACKET || !mark_of(&item.packet, mark))
			continue;
		*k = item.packet;
		return true;
	}
	return false;
}

static int take(struct twice *t, int fd, size_t file)
{
	int own = dup(fd);
	struct source *src = own < 0 ? NULL : source_of(own, t->names[file],
	    NULL);
	struct source_packet k;
	uint64_t mark;

	while (src && t->taken[file] < TWICE_LOOK && next(src, &k, &mark)) {
		t->sample[t->samples++] = (struct sample){ mark, file,
		    k.frame, false };
		t->taken[file]++;
	}
	source_close(src);
	return src && lseek(fd, 0, SEEK_SET) == 0 ? 0 : -1;
}

static void refuse(struct twice *t, const struct sample *s, const char *file,
    uint64_t frame)
{
	char safe[512];

	t->again = true;
	log_warn("%s: the case has these packets already (packet %" PRIu64
	    " is number %" PRIu64 " of %s): a run's own, or an earlier "
	    "import's, are not evidence twice", log_safe(span_str(
	    t->names[s->file]), safe, sizeof(safe)), s->frame, frame, file);
}

static void look_up(struct twice *t, uint64_t mark, const char *file,
    uint64_t frame)
{
	struct sample want = { .mark = mark };
	struct sample *s = bsearch(&want, t->sample, t->samples,
	    sizeof(*t->sample), by_mark);
	size_t sure;

	while (s && s > t->sample && s[-1].mark == mark)
		s--;
	for (; s && s < t->sample + t->samples && s->mark == mark; s++) {
		if (s->found)
			continue;
		s->found = true;
		sure = t->taken[s->file] < TWICE_SURE ? t->taken[s->file] :
		    TWICE_SURE;
		if (++t->found[s->file] == sure)
			refuse(t, s, file, frame);
	}
}

static void look_through(struct twice *t, const char *file)
{
	struct source *src = source_of_case(t->path, file, NULL);
	struct source_packet k;
	uint64_t mark;

	while (src && next(src, &k, &mark))
		look_up(t, mark, file, k.frame);
	source_close(src);
}

static int look(struct twice *t, sqlite3 *db)
{
	sqlite3_stmt *q = NULL;
	int rc;

	if (sqlite3_prepare_v2(db, "SELECT json_extract(detail,'$.file') FROM "
	    "record WHERE kind='packets' AND json_valid(detail) ORDER BY seq",
	    -1, &q, NULL) != SQLITE_OK) {
		log_warn("%s: %s", t->path, sqlite3_errmsg(db));
		return -1;
	}
	while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
		const char *file = (const char *)sqlite3_column_text(q, 0);

		if (file)
			look_through(t, file);
	}
	sqlite3_finalize(q);
	if (rc == SQLITE_DONE)
		return t->again ? -1 : 0;
	log_warn("%s: %s", t->path, sqlite3_errmsg(db));
	return -1;
}

int twice_refuse(sqlite3 *db, const char *path, const int *fds,
    char *const *names, size_t n)
{
	struct twice t = { .path = path, .names = names };
	int rc = 0;

	t.sample = calloc(n ? n : 1, TWICE_LOOK * sizeof(*t.sample));
	t.taken = calloc(n ? n : 1, sizeof(*t.taken));
	t.found = calloc(n ? n : 1, sizeof(*t.found));
	if (!t.sample || !t.taken || !t.found)
		log_die("out of memory");
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = take(&t, fds[i], i);
	qsort(t.sample, t.samples, sizeof(*t.sample), by_mark);
	if (rc == 0 && t.samples)
		rc = look(&t, db);
	free(t.sample);
	free(t.taken);
	free(t.found);
	return rc;
}
