/*
 * Reading a .torrent from a file to its checked index, against libtorrent
 * (python3-libtorrent's torrent_info of the same files, in the same run; its
 * parser is C++ and the time in Python negligible). Ours hashes every piece
 * layer against its root, which libtorrent leaves for later.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "schema/torrent.h"

#define ROUNDS 7	/* the best counts */
#define ROUND_S 0.05

struct text {
	uint8_t *p;
	size_t n, room;
};

static void add(struct text *t, const void *p, size_t n)
{
	if (t->n + n > t->room) {
		t->room = 2 * (t->n + n);
		t->p = realloc(t->p, t->room);
		if (t->p == NULL)
			exit(1);
	}
	memcpy(t->p + t->n, p, n);
	t->n += n;
}

static void add_s(struct text *t, const char *s)
{
	add(t, s, strlen(s));
}

/* Bytes that look like hashes; every run makes the same. */
static void add_noise(struct text *t, size_t n)
{
	uint8_t h[20] = { 0 };

	for (; n; n -= n < 20 ? n : 20) {
		SHA_CTX c;

		SHA1_Init(&c);
		SHA1_Update(&c, h, 20);
		SHA1_Update(&c, &t->n, sizeof(t->n));
		SHA1_Final(h, &c);
		add(t, h, n < 20 ? n : 20);
	}
}

static struct text make_v1(unsigned files, unsigned pieces)
{
	struct text t = { 0 };
	char line[256];

	add_s(&t, "d8:announce18:http://t.example/a4:infod5:filesl");
	for (unsigned i = 0; i < files; i++) {
		snprintf(line, sizeof(line), "d6:lengthi%ue4:pathl10:folder%04u"
		    "14:file%06u.bin" "ee", pieces * 16384u / files, i / 100,
		    i);
		add_s(&t, line);
	}
	snprintf(line, sizeof(line), "e4:name7:torrent12:piece lengthi16384e"
	    "6:pieces%u:", 20 * pieces);
	add_s(&t, line);
	add_noise(&t, 20 * (size_t)pieces);
	add_s(&t, "ee");
	return t;
}

/* v2 files of 64 pieces each, with true layers. */
static struct text make_v2(unsigned files)
{
	struct text t = { 0 }, layers = { 0 };
	uint8_t root[32], pad[32] = { 0 };
	char line[256];

	add_s(&t, "d4:infod9:file treed");
	for (unsigned i = 0; i < files; i++) {
		size_t key = layers.n + 3;

		add_s(&layers, "32:00000000000000000000000000000000" "2048:");
		add_noise(&layers, 2048);
		mi_merkle_root(layers.p + layers.n - 2048, 64, pad, root);
		memcpy(layers.p + key, root, 32);
		snprintf(line, sizeof(line), "14:file%06u.bind0:d6:length"
		    "i1048576e11:pieces root32:", i);
		add_s(&t, line);
		add(&t, root, 32);
		add_s(&t, "ee");
	}
	add_s(&t, "e12:meta versioni2e4:name7:torrent12:piece length"
	    "i16384ee12:piece layersd");
	add(&t, layers.p, layers.n);
	add_s(&t, "ee");
	free(layers.p);
	return t;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Microseconds to load a file, the best of the rounds; <0 if refused. */
static double ours_us(const char *path)
{
	double best = -1;

	for (int r = 0; r < ROUNDS; r++) {
		double start = now_s(), took;
		unsigned n = 0;

		do {
			struct torrent *t = torrent_load(path);

			if (t == NULL)
				return -1;
			torrent_free(t);
			n++;
		} while ((took = now_s() - start) < ROUND_S);
		if (best < 0 || took / n < best)
			best = took / n;
	}
	return best * 1e6;
}

static const char theirs[] =
    "import libtorrent as lt, sys, time\n"
    "rounds, round_s = int(sys.argv[1]), float(sys.argv[2])\n"
    "best = None\n"
    "for r in range(rounds):\n"
    "    start, n = time.monotonic(), 0\n"
    "    while True:\n"
    "        lt.torrent_info(sys.argv[3]); n += 1\n"
    "        took = time.monotonic() - start\n"
    "        if took >= round_s: break\n"
    "    best = took / n if best is None else min(best, took / n)\n"
    "print(best * 1e6)\n";

static double theirs_us(const char *path)
{
	char rounds[16], round_s[16], line[64] = "";
	int fd[2], status = -1;
	size_t at = 0;
	ssize_t n;
	pid_t pid;

	snprintf(rounds, sizeof(rounds), "%d", ROUNDS);
	snprintf(round_s, sizeof(round_s), "%g", ROUND_S);
	if (pipe(fd) != 0 || (pid = fork()) < 0)
		return -1;
	if (pid == 0) {
		dup2(fd[1], STDOUT_FILENO);
		close(fd[0]);
		execl("/usr/bin/python3", "python3", "-W", "ignore", "-c",
		    theirs, rounds, round_s, path, (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	while ((n = read(fd[0], line + at, sizeof(line) - 1 - at)) > 0)
		at += (size_t)n;
	close(fd[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return at && status == 0 ? strtod(line, NULL) : -1;
}

static bool compare(const char *what, struct text t)
{
	char path[] = "/tmp/bench_torrent.XXXXXX";
	int fd = mkstemp(path);
	bool ok = fd >= 0 && write(fd, t.p, t.n) == (ssize_t)t.n;
	double a = ok ? ours_us(path) : -1, b = ok ? theirs_us(path) : -1;

	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	printf("%-34s %9zu bytes  ours %9.1f us", what, t.n, a);
	if (b > 0)
		printf("  libtorrent %9.1f us  (%.2f of its time)\n", b, a / b);
	else
		printf("  libtorrent: not measured\n");
	free(t.p);
	return a > 0;
}

int main(void)
{
	bool ok = true;

	ok &= compare("v1, one file, 10 pieces", make_v1(1, 10));
	ok &= compare("v1, 1000 files, 5000 pieces", make_v1(1000, 5000));
	ok &= compare("v1, 100000 files, 100000 pieces",
	    make_v1(100000, 100000));
	ok &= compare("v2, 1000 files, 64000 layer hashes", make_v2(1000));
	return ok ? 0 : 1;
}
