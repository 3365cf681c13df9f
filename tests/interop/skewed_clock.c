/*
 * Preloaded into a program, this shows it another wall clock than the
 * machine's: one that is set at some moment, or runs too fast. Receive times of
 * datagrams, which the kernel stamps, are moved with it.
 *
 *   SKEW_AT_MS	after so long (by CLOCK_MONOTONIC, from the first look) ...
 *   SKEW_BY_MS	... the clock is set by so much
 *   SKEW_PPM	it gains so many microseconds a second
 *
 * Or all its clocks move on together, as if time had passed:
 *
 *   SKEW_FILE	by as many ns as the 8 bytes of this file say, whenever they
 *		are changed
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define S 1000000000ll

static int (*real_clock)(clockid_t, struct timespec *);
static ssize_t (*real_recvmsg)(int, struct msghdr *, int);
static int (*real_recvmmsg)(int, struct mmsghdr *, unsigned, int,
    struct timespec *);
static int (*real_timedwait)(pthread_cond_t *, pthread_mutex_t *,
    const struct timespec *);
static int64_t began, at, by, ppm;
static const _Atomic int64_t none, *passed_ns = &none;

static int64_t ns_of(const struct timespec *t)
{
	return t->tv_sec * S + t->tv_nsec;
}

static int64_t number(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoll(text, NULL, 10) : 0;
}

static void map_file(const char *name)
{
	int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	void *m;

	if (fd < 0)
		return;
	m = mmap(NULL, sizeof(*passed_ns), PROT_READ, MAP_SHARED, fd, 0);
	if (m != MAP_FAILED)
		passed_ns = m;
}

__attribute__((constructor))
static void begin(void)
{
	struct timespec t;

	map_file(getenv("SKEW_FILE"));
	/* The older one of that name knows no CLOCK_MONOTONIC. */
	*(void **)&real_timedwait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait",
	    "GLIBC_2.3.2");
	*(void **)&real_clock = dlsym(RTLD_NEXT, "clock_gettime");
	*(void **)&real_recvmsg = dlsym(RTLD_NEXT, "recvmsg");
	*(void **)&real_recvmmsg = dlsym(RTLD_NEXT, "recvmmsg");
	real_clock(CLOCK_MONOTONIC, &t);
	began = ns_of(&t);
	at = number("SKEW_AT_MS") * 1000000;
	by = number("SKEW_BY_MS") * 1000000;
	ppm = number("SKEW_PPM");
}

static void add(struct timespec *t, int64_t ns)
{
	ns += ns_of(t);
	t->tv_sec = ns / S;
	t->tv_nsec = ns % S;
}

static void move(struct timespec *wall)
{
	struct timespec t;
	int64_t passed;

	real_clock(CLOCK_MONOTONIC, &t);
	passed = ns_of(&t) - began;
	add(wall, (at && passed >= at ? by : 0) + passed / 1000000 * ppm +
	    *passed_ns);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int got;

	if (!real_clock)
		begin();
	got = real_clock(id, t);
	if (got == 0 && id == CLOCK_REALTIME)
		move(t);
	else if (got == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_BOOTTIME ||
	    id == CLOCK_MONOTONIC_COARSE))
		add(t, *passed_ns);
	return got;
}

/* Its end is by a clock that was read here; the kernel's stands elsewhere. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond,
    pthread_mutex_t *restrict lock, const struct timespec *restrict end)
{
	struct timespec t = *end;

	add(&t, -*passed_ns);
	return real_timedwait(cond, lock, &t);
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
