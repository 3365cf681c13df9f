/*
 * The bound on memory (--max-memory): how it is shared out before a run, and
 * how much of it is resident while the run goes on. The bound is of all our
 * processes together; the recorder's part is set aside, since its ring is all
 * that it holds.
 */
#ifndef MONITOR_MEMORY_H
#define MONITOR_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_LEAST (INT64_C(96) << 20)
#define MEMORY_MOST (INT64_C(64) << 40)
#define MEMORY_DEFAULT (INT64_C(1) << 30)

/* What each may take of it at most. */
struct memory_share {
	int64_t own;		/* this process */
	int ring_mib;		/* packets not yet taken by the recorder */
	size_t queue_bytes;	/* records not yet written */
	unsigned endpoints;	/* of the address book, and so many addresses */
};
void memory_share(int64_t most, bool packets, struct memory_share *s);

enum memory_state {
	MEMORY_EASY,
	MEMORY_TIGHT,	/* nobody new; who only lingers makes room */
	MEMORY_FULL	/* nobody is read, either */
};

struct memory {
	int64_t most;		/* of this process */
	int64_t held, highest;	/* resident, as last looked at; the most ever */
	enum memory_state state;
	int64_t unseen;		/* bytes taken in since the last look */
	int fd;
};

/* Before the process is confined. -1: it cannot be told, and errno why. */
int memory_open(struct memory *m, int64_t most);
void memory_close(struct memory *m);

/* Looks now. True: the state is another. */
bool memory_look(struct memory *m);
/* n bytes came in, and some may be kept: looks if they are many. True: it
 * looked, and the state is another. */
bool memory_took(struct memory *m, size_t n);

/* From one state to the next: it takes more to leave a state than to stay. */
enum memory_state memory_judge(enum memory_state now, int64_t held,
    int64_t most);

/* Whether so much would make it tight. */
bool memory_over(const struct memory *m);
/* It has not been over for a while, though what was given up is not all back:
 * tight no more. */
void memory_ease(struct memory *m);

const char *memory_word(enum memory_state s);

#endif
