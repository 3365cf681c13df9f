#include "schema/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/log.h"

#define ROOM_LEAST 65536
/* More runs than this are merged to one: each needs a piece of the memory. */
#define RUNS_MOST 256

struct run {
	off_t at, end;		/* in the file */
	uint8_t *buf;		/* a piece of the reading buffer */
	size_t pos, n;		/* read from it, in it */
};

struct spill {
	char *folder;
	size_t item, room;	/* room in items */
	uint8_t *items;
	size_t count;		/* in items */
	int fd;			/* -1: nothing was spilled */
	off_t size;
	struct run runs[RUNS_MOST];
	unsigned nruns;
	/* reading back */
	uint8_t *back;
	size_t next;		/* of the items in memory */
	unsigned heap[RUNS_MOST], heaped;
	uint8_t *last;		/* what was given out */
};

struct spill *spill_new(const char *folder, size_t item, size_t room)
{
	struct spill *s = calloc(1, sizeof(*s));
	const char *tmp = getenv("TMPDIR");

	if (room < ROOM_LEAST)
		room = ROOM_LEAST;
	if (s == NULL)
		log_die("out of memory");
	s->folder = strdup(folder ? folder : tmp && *tmp ? tmp : "/var/tmp");
	s->item = item;
	s->room = room / item;
	s->items = malloc(s->room * item);
	s->last = malloc(item);
	s->fd = -1;
	if (!s->folder || !s->items || !s->last)
		log_die("out of memory");
	return s;
}

/* It is as large as the room itself, and not needed while items come. */
static void drop_back(struct spill *s)
{
	free(s->back);
	s->back = NULL;
}

void spill_clear(struct spill *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->size = 0;
	s->nruns = 0;
	s->count = 0;
	s->heaped = 0;
	s->next = 0;
	drop_back(s);
}

void spill_free(struct spill *s)
{
	if (s == NULL)
		return;
	spill_clear(s);
	free(s->folder);
	free(s->items);
	free(s->last);
	free(s);
}

static int fails(const struct spill *s, const char *what)
{
	log_warn("%s: sorting: %s: %s", s->folder, what, strerror(errno));
	return -1;
}

/* A file that is gone when it is closed, however we end. */
static int unnamed(const struct spill *s)
{
	int fd = open(s->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char *name;

	if (fd >= 0)
		return fd;
	if (asprintf(&name, "%s/.sort.XXXXXX", s->folder) < 0)
		log_die("out of memory");
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	free(name);
	return fd;
}

static int write_all(const struct spill *s, int fd, const uint8_t *p, size_t n,
    off_t at)
{
	while (n) {
		ssize_t got = pwrite(fd, p, n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return fails(s, "cannot write");
		p += got;
		n -= (size_t)got;
		at += got;
	}
	return 0;
}

static int by_bytes(const void *a, const void *b, void *item)
{
	return memcmp(a, b, *(size_t *)item);
}

static void sort(struct spill *s)
{
	qsort_r(s->items, s->count, s->item, by_bytes, &s->item);
}

/* All runs become one, in a file of its own. */
static int merge(struct spill *s)
{
	size_t held = s->count, room = s->room * s->item, n = 0;
	uint8_t *out = malloc(room);
	int fd = unnamed(s);
	const void *item;
	bool bad = false;
	off_t at = 0;

	if (out == NULL)
		log_die("out of memory");
	if (fd < 0) {
		free(out);
		return fails(s, "no temporary file");
	}
	s->count = 0;	/* the file's alone */
	if (spill_rewind(s) < 0)
		bad = true;
	while (!bad && (item = spill_next(s, &bad)) != NULL) {
		memcpy(out + n, item, s->item);
		n += s->item;
		if (n == room) {
			bad = write_all(s, fd, out, n, at) < 0;
			at += (off_t)n;
			n = 0;
		}
	}
	bad = bad || write_all(s, fd, out, n, at) < 0;
	free(out);
	drop_back(s);
	if (bad) {
		close(fd);
		return -1;
	}
	close(s->fd);
	s->fd = fd;
	s->size = at + (off_t)n;
	s->nruns = 1;
	s->runs[0] = (struct run){ .at = 0, .end = s->size };
	s->count = held;
	return 0;
}

static int put_run(struct spill *s)
{
	size_t n = s->count * s->item;

	if (s->nruns == RUNS_MOST && merge(s) < 0)
		return -1;
	if (s->fd < 0)
		s->fd = unnamed(s);
	if (s->fd < 0)
		return fails(s, "no temporary file");
	sort(s);
	if (write_all(s, s->fd, s->items, n, s->size) < 0)
		return -1;
	s->runs[s->nruns++] = (struct run){ .at = s->size,
		.end = s->size + (off_t)n };
	s->size += (off_t)n;
	s->count = 0;
	return 0;
}

int spill_add(struct spill *s, const void *item)
{
	if (s->count == s->room && put_run(s) < 0)
		return -1;
	memcpy(s->items + s->count++ * s->item, item, s->item);
	return 0;
}

/* --- reading back ---------------------------------------------------------- */

static size_t piece(const struct spill *s)
{
	size_t n = s->room * s->item / (s->nruns ? s->nruns : 1);

	n -= n % s->item;
	return n ? n : s->item;
}

/* One more item of the run, or false at its end. */
static bool load(struct spill *s, struct run *r, off_t *from, bool *bad)
{
	size_t want = piece(s);

	r->pos += s->item;
	if (r->pos < r->n)
		return true;
	if ((off_t)want > r->end - *from)
		want = (size_t)(r->end - *from);
	r->pos = 0;
	r->n = 0;
	while (r->n < want) {
		ssize_t got = pread(s->fd, r->buf + r->n, want - r->n,
		    *from + (off_t)r->n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			fails(s, "cannot read");
			*bad = true;
			return false;
		}
		r->n += (size_t)got;
	}
	*from += (off_t)r->n;
	return r->n != 0;
}

static bool before(const struct spill *s, unsigned a, unsigned b)
{
	return memcmp(s->runs[a].buf + s->runs[a].pos,
	    s->runs[b].buf + s->runs[b].pos, s->item) < 0;
}

static void sink(struct spill *s, unsigned i)
{
	for (;;) {
		unsigned least = i, l = 2 * i + 1, r = l + 1, t;

		if (l < s->heaped && before(s, s->heap[l], s->heap[least]))
			least = l;
		if (r < s->heaped && before(s, s->heap[r], s->heap[least]))
			least = r;
		if (least == i)
			return;
		t = s->heap[i];
		s->heap[i] = s->heap[least];
		s->heap[least] = t;
		i = least;
	}
}

int spill_rewind(struct spill *s)
{
	bool bad = false;

	sort(s);
	s->next = 0;
	s->heaped = 0;
	drop_back(s);
	if (s->nruns == 0)
		return 0;
	s->back = malloc(piece(s) * s->nruns);
	if (s->back == NULL)
		log_die("out of memory");
	for (unsigned i = 0; i < s->nruns; i++) {
		struct run *r = &s->runs[i];

		r->buf = s->back + i * piece(s);
		r->pos = r->n = 0;
		r->at = i ? s->runs[i - 1].end : 0;
		if (load(s, r, &r->at, &bad))
			s->heap[s->heaped++] = i;
		if (bad)
			return -1;
	}
	for (unsigned i = s->heaped / 2; i-- > 0;)
		sink(s, i);
	return 0;
}

const void *spill_next(struct spill *s, bool *bad)
{
	const uint8_t *mine = s->next < s->count ?
	    s->items + s->next * s->item : NULL;
	struct run *r;

	*bad = false;
	if (s->heaped == 0) {
		s->next += mine != NULL;
		return mine;
	}
	r = &s->runs[s->heap[0]];
	if (mine && memcmp(mine, r->buf + r->pos, s->item) <= 0) {
		s->next++;
		return mine;
	}
	memcpy(s->last, r->buf + r->pos, s->item);
	if (!load(s, r, &r->at, bad))
		s->heap[0] = s->heap[--s->heaped];
	sink(s, 0);
	return *bad ? NULL : s->last;
}
