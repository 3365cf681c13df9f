/*
 * Preloaded into a program, this shows it another wall clock than the
 * machine's: one that is set at some moment, or runs too fast. Receive times of
 * datagrams, which the kernel stamps, are moved with it.
 *
 *   SKEW_AT_MS	after so long (by CLOCK_MONOTONIC, from the first look) ...
 *   SKEW_BY_MS	... the clock is set by so much
 *   SKEW_PPM	it gains so many microseconds a second
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define S 1000000000ll

static int (*real_clock)(clockid_t, struct timespec *);
static ssize_t (*real_recvmsg)(int, struct msghdr *, int);
static int (*real_recvmmsg)(int, struct mmsghdr *, unsigned, int,
    struct timespec *);
static int64_t began, at, by, ppm;

static int64_t ns_of(const struct timespec *t)
{
	return t->tv_sec * S + t->tv_nsec;
}

static int64_t number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoll(text, NULL, 10) : 0;
}

__attribute__((constructor))
static void begin(void)
{
	struct timespec t;

	*(void **)&real_clock = dlsym(RTLD_NEXT, "clock_gettime");
	*(void **)&real_recvmsg = dlsym(RTLD_NEXT, "recvmsg");
	*(void **)&real_recvmmsg = dlsym(RTLD_NEXT, "recvmmsg");
	real_clock(CLOCK_MONOTONIC, &t);
	began = ns_of(&t);
	at = number("SKEW_AT_MS") * 1000000;
	by = number("SKEW_BY_MS") * 1000000;
	ppm = number("SKEW_PPM");
}

static void move(struct timespec *wall)
{
	struct timespec t;
	int64_t passed, ns;

	real_clock(CLOCK_MONOTONIC, &t);
	passed = ns_of(&t) - began;
	ns = ns_of(wall) + (at && passed >= at ? by : 0) +
	    passed / 1000000 * ppm;
	wall->tv_sec = ns / S;
	wall->tv_nsec = ns % S;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int got;

	if (!real_clock)
		begin();
	got = real_clock(id, t);
	if (got == 0 && id == CLOCK_REALTIME)
		move(t);
	return got;
}

time_t time(time_t *out)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	*tv = (struct timeval){ t.tv_sec, t.tv_nsec / 1000 };
	return 0;
}

static void move_stamps(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		struct timespec t;

		if (c->cmsg_level != SOL_SOCKET ||
		    c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&t, CMSG_DATA(c), sizeof(t));
		move(&t);
		memcpy(CMSG_DATA(c), &t, sizeof(t));
	}
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
	ssize_t n = real_recvmsg(fd, m, flags);

	if (n >= 0)
		move_stamps(m);
	return n;
}

int recvmmsg(int fd, struct mmsghdr *m, unsigned most, int flags,
    struct timespec *wait)
{
	int n = real_recvmmsg(fd, m, most, flags, wait);

	for (int i = 0; i < n; i++)
		move_stamps(&m[i].msg_hdr);
	return n;
}
