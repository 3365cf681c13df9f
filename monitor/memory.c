#include "monitor/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)
#define RECORDER (16 * MIB)	/* without its ring */
#define RING_MOST 64
#define QUEUE_MOST (64 * MIB)
#define ENDPOINTS_MOST 2000000
#define ENDPOINT 200		/* with its address, and their places in tables */
/* Between two looks: what is kept of bytes is little more than they are. */
#define LOOK_SHARE 64

static int64_t least_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

void memory_share(int64_t most, bool packets, struct memory_share *s)
{
	s->ring_mib = (int)least_of(most / 8 / MIB, RING_MOST);
	s->own = most - (packets ? s->ring_mib * MIB + RECORDER : 0);
	s->queue_bytes = (size_t)least_of(s->own / 8, QUEUE_MOST);
	s->endpoints = (unsigned)least_of(s->own / 4 / ENDPOINT,
	    ENDPOINTS_MOST);
}

int memory_open(struct memory *m, int64_t most)
{
	*m = (struct memory){ .most = most,
		.fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC) };
	if (m->fd < 0)
		return -1;
	memory_look(m);
	if (m->held > 0)
		return 0;
	memory_close(m);
	errno = EINVAL;
	return -1;
}

void memory_close(struct memory *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

/* "size resident shared ...", in pages (proc(5)). */
static int64_t resident(int fd)
{
	char text[128];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	const char *second;

	if (n <= 0)
		return 0;
	text[n] = '\0';
	second = strchr(text, ' ');
	return second ? strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE) : 0;
}

enum memory_state memory_judge(enum memory_state now, int64_t held,
    int64_t most)
{
	int64_t percent = held * 100 / most;

	switch (now) {
	case MEMORY_EASY:
		return percent >= 90 ? MEMORY_FULL :
		    percent >= 80 ? MEMORY_TIGHT : MEMORY_EASY;
	case MEMORY_TIGHT:
		return percent >= 90 ? MEMORY_FULL :
		    percent < 70 ? MEMORY_EASY : MEMORY_TIGHT;
	case MEMORY_FULL:
		return percent >= 85 ? MEMORY_FULL :
		    percent < 70 ? MEMORY_EASY : MEMORY_TIGHT;
	}
	return now;
}

bool memory_over(const struct memory *m)
{
	return memory_judge(MEMORY_EASY, m->held, m->most) != MEMORY_EASY;
}

void memory_ease(struct memory *m)
{
	if (m->state == MEMORY_TIGHT && !memory_over(m))
		m->state = MEMORY_EASY;
}

bool memory_look(struct memory *m)
{
	enum memory_state was = m->state;
	int64_t held = resident(m->fd);

	m->unseen = 0;
	if (held <= 0)
		return false;
	m->held = held;
	if (held > m->highest)
		m->highest = held;
	m->state = memory_judge(was, held, m->most);
	return m->state != was;
}

bool memory_took(struct memory *m, size_t n)
{
	m->unseen += (int64_t)n;
	return m->unseen > m->most / LOOK_SHARE && memory_look(m);
}

const char *memory_word(enum memory_state s)
{
	return s == MEMORY_EASY ? "easy" : s == MEMORY_TIGHT ? "tight" :
	    "full";
}
