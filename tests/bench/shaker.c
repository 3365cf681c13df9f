/*
 * The ceiling of bench_census: BitTorrent handshakes with every peer that a
 * file names, and nothing else. It keeps no record of anything, holds what it
 * opened while descriptors last, and says how many answered with the right
 * infohash. Usage: shaker TARGETS [IN_FLIGHT]
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROW 26
#define EVENTS 512
#define HOLD 16000
#define LIMIT_S 120

static uint8_t *rows;
static size_t count, next;
static unsigned flying, most = 1000, good, bad;
static int loop, held[HOLD];
static size_t done;
static struct {
	size_t row, n;
	uint8_t in[68];
} conn[20000];

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void dial(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	struct epoll_event e = { .events = EPOLLOUT };
	const uint8_t *row = rows + ROW * next;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || (size_t)fd >= sizeof(conn) / sizeof(conn[0])) {
		perror("socket");
		exit(1);
	}
	memcpy(&sa.sin_addr, row, 4);
	memcpy(&sa.sin_port, row + 4, 2);
	conn[fd].row = next++;
	conn[fd].n = 0;
	e.data.fd = fd;
	if ((connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 &&
	    errno != EINPROGRESS) ||
	    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e) < 0) {
		perror("connect");
		exit(1);
	}
	flying++;
}

static void end(int fd, bool right)
{
	flying--;
	if (!right) {
		bad++;
		close(fd);
		return;
	}
	good++;
	epoll_ctl(loop, EPOLL_CTL_DEL, fd, NULL);
	if (done >= HOLD)
		close(held[done % HOLD]);
	held[done++ % HOLD] = fd;
}

static void turn(int fd, uint32_t events)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
	const uint8_t *hash = rows + ROW * conn[fd].row + 6;
	uint8_t out[68] = "\x13" "BitTorrent protocol";
	ssize_t n;

	if (events & EPOLLOUT) {
		memcpy(out + 28, hash, 20);
		memcpy(out + 48, "-BARE00-000000000000", 20);
		if (send(fd, out, 68, MSG_NOSIGNAL) != 68)
			end(fd, false);
		else
			epoll_ctl(loop, EPOLL_CTL_MOD, fd, &e);
		return;
	}
	n = recv(fd, conn[fd].in + conn[fd].n, 68 - conn[fd].n, 0);
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			end(fd, false);
		return;
	}
	conn[fd].n += (size_t)n;
	if (conn[fd].n == 68)
		end(fd, memcmp(conn[fd].in + 28, hash, 20) == 0);
}

static bool load(const char *path)
{
	FILE *f = fopen(path, "r");
	long n;

	if (!f || fseek(f, 0, SEEK_END) < 0 || (n = ftell(f)) < 0)
		return false;
	count = (size_t)n / ROW;
	rows = malloc((size_t)n + 1);
	rewind(f);
	return rows && fread(rows, ROW, count, f) == count && fclose(f) == 0;
}

int main(int argc, char **argv)
{
	struct epoll_event ev[EVENTS];
	struct rlimit lim;
	int64_t began, took;

	if (argc < 2 || !load(argv[1])) {
		fprintf(stderr, "usage: shaker TARGETS [IN_FLIGHT]\n");
		return 2;
	}
	if (argc > 2)
		most = (unsigned)strtoul(argv[2], NULL, 10);
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	loop = epoll_create1(0);
	began = now();
	while (good + bad < count && now() - began < LIMIT_S * 1000000000ll) {
		while (flying < most && next < count)
			dial();
		int n = epoll_wait(loop, ev, EVENTS, 500);

		for (int i = 0; i < n; i++)
			turn(ev[i].data.fd, ev[i].events);
	}
	took = now() - began;
	printf("{\"handshakes\":%u,\"failed\":%zu,\"took_s\":%.6f}\n", good,
	    count - good, (double)took / 1e9);
	return good == count ? 0 : 1;
}
