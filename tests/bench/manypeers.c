/*
 * A synthetic swarm: tens of thousands of correct peers on 127.0.0.0/8, each
 * an address of its own behind one listening socket, and the tracker that
 * names them all, or as they come, so many a second (--come), by HTTP or --udp.
 * It ends by itself: at the end of its stdin, at SIGTERM, or after --seconds. What it did it says as JSON, one line
 * each: "ready" with the port, "all" once every peer that answers has been
 * greeted, "end".
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/many_tracker.h"

#define FDS 20000
#define SPARE 64
#define IN_MOST 512		/* longer messages are passed over */
#define ACCEPTS 256		/* before others have a turn */
#define EVENTS 512

static const char extended[] = "d1:md11:ut_metadatai3ee1:v6:many 1e";

struct peer {
	uint32_t accepted, handshakes, pieces;
};

struct conn {
	enum { C_FREE, C_TRACKER, C_PEER } is;
	bool greeted, closing;
	unsigned peer;
	size_t in_n, skip;	/* of the input: kept; still to pass over */
	uint8_t in[IN_MOST];
	uint8_t *out;		/* what the kernel did not take */
	size_t out_n, out_at;
	int older, newer;	/* greeted ones, by age; 0: none */
	int64_t due_ns;		/* a slow one is read again then; 0: now */
	int next;		/* slow ones, by due */
};

static struct many m = { .peers = 1000, .torrents = 1, .pieces = 64,
	.to = UINT_MAX, .interval_s = 1800 };
static struct peer *peer;
static struct conn *conn;	/* by descriptor */
static int loop, tracker, datagrams, oldest, newest, slow_first, slow_last;
static unsigned open_now, open_limit = FDS - 4 * SPARE, open_most = FDS;
static unsigned distinct, answering, announces, strangers, displaced;
static uint64_t handshakes, pieces, accepted;
static int64_t first_ns, most_ns, last_ns, slow_ns = 300000000;
static unsigned come;		/* new peers a second; 0: all are there */
static int64_t ready_ns;
static bool plain, once;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

__attribute__((noreturn))
static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* --- sockets ---------------------------------------------------------------- */

static int listen_on(int type, uint32_t address, int backlog, int *at_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(address) };
	socklen_t n = sizeof(sa);
	int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, n) < 0 ||
	    (backlog >= 0 && listen(fd, backlog) < 0) ||
	    getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		die("listen");
	*at_port = ntohs(sa.sin_port);
	return fd;
}

/* Its queue is full and stays so: SYNs to this port are dropped. */
static void listen_lost(int *at_port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	listen_on(SOCK_STREAM, INADDR_ANY, 0, at_port);
	sa.sin_port = htons((uint16_t)*at_port);
	for (int i = 0; i < 4; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		if (fd < 0 || (connect(fd, (struct sockaddr *)&sa,
		    sizeof(sa)) < 0 && errno != EINPROGRESS))
			die("connect");
	}
}

static void watch(int fd, uint32_t events, int how)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	if (epoll_ctl(loop, how, fd, &e) < 0)
		die("epoll_ctl");
}

static void unlink_old(int fd)
{
	struct conn *c = &conn[fd];

	if (!c->greeted)
		return;
	*(c->older ? &conn[c->older].newer : &oldest) = c->newer;
	*(c->newer ? &conn[c->newer].older : &newest) = c->older;
}

static void drop(int fd)
{
	struct conn *c = &conn[fd];

	unlink_old(fd);
	free(c->out);
	open_now -= c->is == C_PEER;
	c->out = NULL;
	c->is = C_FREE;
	close(fd);
}

static bool flush(int fd)
{
	struct conn *c = &conn[fd];
	ssize_t n = send(fd, c->out + c->out_at, c->out_n - c->out_at,
	    MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return false;
	c->out_at += n > 0 ? (size_t)n : 0;
	if (c->out_at < c->out_n)
		return true;
	free(c->out);
	c->out = NULL;
	c->out_n = c->out_at = 0;
	if (c->closing)
		return false;
	watch(fd, EPOLLIN, EPOLL_CTL_MOD);
	return true;
}

/* False: it broke. Who does not take what it asked for is not read. */
static bool say(int fd, const void *bytes, size_t n)
{
	struct conn *c = &conn[fd];
	ssize_t took = c->out ? 0 : send(fd, bytes, n, MSG_NOSIGNAL);

	if (took < 0 && errno != EAGAIN)
		return false;
	took = took < 0 ? 0 : took;
	if ((size_t)took == n)
		return true;
	c->out = realloc(c->out, c->out_n + n - (size_t)took);
	if (!c->out)
		die("realloc");
	memcpy(c->out + c->out_n, (const uint8_t *)bytes + took,
	    n - (size_t)took);
	c->out_n += n - (size_t)took;
	watch(fd, EPOLLOUT, EPOLL_CTL_MOD);
	return true;
}

/* --- a peer ------------------------------------------------------------------ */

static size_t put_bitfield(uint8_t *p, unsigned who)
{
	size_t n = (m.pieces + 7) / 8;

	memset(p, 0, n + 5);
	many_put32(p, n + 1);
	p[4] = 5;
	for (unsigned i = 0; i < m.pieces; i++)
		if (many_holds(&m, who, i))
			p[5 + i / 8] |= (uint8_t)(0x80 >> i % 8);
	return n + 5;
}

static bool greet(int fd, const uint8_t *hello)
{
	struct conn *c = &conn[fd];
	static uint8_t out[68 + 64 + 8192];
	size_t n = 68, ext = strlen(extended);

	if (once && peer[c->peer].handshakes > 0)
		return false;
	if (memcmp(hello, "\x13" "BitTorrent protocol", 20) != 0 ||
	    memcmp(hello + 28, m.hash[many_torrent(&m, c->peer)], 20) != 0) {
		strangers++;
		return false;
	}
	memcpy(out, hello, 48);
	memcpy(out + 20, plain ? "\0\0\0\0\0\0\0\0" : "\0\0\0\0\0\x10\0\4",
	    8);
	snprintf((char *)out + 48, 21, "-MA0001-%012u", c->peer);
	if (!plain && hello[25] & 0x10) {
		many_put32(out + n, ext + 2);
		memcpy(out + n + 4, "\x14\0", 2);
		memcpy(out + n + 6, extended, ext);
		n += 6 + ext;
	}
	n += put_bitfield(out + n, c->peer);
	if (!say(fd, out, n))
		return false;
	c->greeted = true;
	c->older = newest;
	c->newer = 0;
	*(newest ? &conn[newest].newer : &oldest) = fd;
	newest = fd;
	handshakes++;
	if (peer[c->peer].handshakes++ > 0)
		return true;
	last_ns = now();
	if (++distinct == answering - answering / 10)
		most_ns = last_ns;
	if (distinct == answering)
		printf("{\"all\":%u,\"took_s\":%.6f}\n", distinct,
		    (double)(last_ns - first_ns) / 1e9);
	return true;
}

static bool give(int fd, const uint8_t *req)
{
	struct conn *c = &conn[fd];
	static uint8_t out[13 + MANY_PIECE];
	unsigned index = many_be32(req), begin = many_be32(req + 4), n = many_be32(req + 8);

	if (index >= m.pieces || !many_holds(&m, c->peer, index) || n == 0 ||
	    begin >= many_bytes(&m, index) ||
	    n > many_bytes(&m, index) - begin)
		return false;
	many_put32(out, n + 9);
	out[4] = 7;
	many_put32(out + 5, index);
	many_put32(out + 9, begin);
	memcpy(out + 13, m.data + (size_t)index * MANY_PIECE + begin, n);
	if (!say(fd, out, n + 13))
		return false;
	pieces += begin == 0 && n == many_bytes(&m, index);
	peer[c->peer].pieces += begin == 0 && n == many_bytes(&m, index);
	return true;
}

static bool message(int fd, const uint8_t *msg, size_t n)
{
	if (n > 4 && msg[4] == 2)	/* interested */
		return say(fd, "\0\0\0\1\1", 5);
	return n != 17 || msg[4] != 6 || give(fd, msg + 5);
}

/* What it has of the input is acted on. False: it is over. */
static bool hear(int fd)
{
	struct conn *c = &conn[fd];
	size_t at = 0, n;

	if (!c->greeted) {
		if (c->in_n < 68)
			return true;
		if (!greet(fd, c->in))
			return false;
		at = 68;
	}
	while (c->in_n - at >= 4) {
		n = many_be32(c->in + at) + 4u;
		if (n > IN_MOST) {
			c->skip = n - (c->in_n - at);
			at = c->in_n;
			break;
		}
		if (c->in_n - at < n)
			break;
		if (!message(fd, c->in + at, n))
			return false;
		at += n;
	}
	memmove(c->in, c->in + at, c->in_n - at);
	c->in_n -= at;
	return true;
}

/* --- the tracker -------------------------------------------------------------- */

static int ports[MANY_CLASSES];

/* Whoever came in the last interval or comes in the next is named. */
static void move_on(void)
{
	double each = (double)come / m.torrents;
	double s = (double)(now() - ready_ns) / 1e9;

	if (!come)
		return;
	m.from = s > m.interval_s ? (unsigned)(each * (s - m.interval_s)) : 0;
	m.to = (unsigned)(each * (s + m.interval_s)) + 1;
}

static bool answer(int fd)
{
	struct conn *c = &conn[fd];
	uint8_t *text;
	bool sound, scrape;
	size_t n = 0;
	long t;

	c->in[c->in_n < IN_MOST ? c->in_n : IN_MOST - 1] = '\0';
	if (!strstr((char *)c->in, "\r\n\r\n") && c->in_n < IN_MOST)
		return true;
	move_on();
	t = many_asked(&m, (char *)c->in);
	scrape = strncmp((char *)c->in, "GET /scrape", 11) == 0;
	text = scrape ? many_scrape(&m, t, &n) : many_http(&m, ports, t, &n);
	if (!text)
		die("malloc");
	announces += t >= 0 && !scrape;
	c->closing = true;
	sound = say(fd, text, n) && c->out;
	free(text);
	return sound;
}

/* Of the same by UDP a turn answers what has come. */
static void answer_datagrams(int fd)
{
	static uint8_t in[2048], out[MANY_DATAGRAM];
	struct sockaddr_in sa;
	ssize_t got;
	size_t n;
	long t;

	for (int i = 0; i < ACCEPTS; i++) {
		socklen_t len = sizeof(sa);

		got = recvfrom(fd, in, sizeof(in), 0, (struct sockaddr *)&sa,
		    &len);
		if (got < 0)
			return;
		move_on();
		n = many_udp(&m, ports, ntohs(sa.sin_port), in, (size_t)got,
		    out, &t);
		announces += t >= 0;
		if (n)
			sendto(fd, out, n, 0, (struct sockaddr *)&sa, len);
	}
}

/* --- the loop ------------------------------------------------------------------ */

/* Like a client that is full: the one greeted first goes, unless it is slow
 * and has its turn to come. False: there is none, and more are open for a while. */
static bool displace(void)
{
	int fd = oldest;

	while (fd && conn[fd].due_ns)
		fd = conn[fd].newer;
	if (!fd)
		return false;
	displaced++;
	drop(fd);
	return true;
}

static void take(int listener)
{
	struct sockaddr_in sa;
	bool asks = listener == tracker;
	int fd;

	for (int i = 0; i < ACCEPTS; i++) {
		socklen_t n = sizeof(sa);
		long who = -1;

		while (!asks && open_now >= open_most && displace())
			;
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK |
		    SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (!asks && getsockname(fd, (struct sockaddr *)&sa,
		    &n) == 0)
			who = many_peer(&m, ntohl(sa.sin_addr.s_addr));
		if (fd >= FDS || (!asks && (who < 0 ||
		    open_now >= open_limit))) {
			strangers++;
			close(fd);
			continue;
		}
		conn[fd] = (struct conn){ .is = asks ? C_TRACKER : C_PEER,
			.peer = (unsigned)(who < 0 ? 0 : who) };
		if (!asks) {
			open_now++;
			accepted++;
			peer[who].accepted++;
			if (!first_ns)
				first_ns = now();
		}
		watch(fd, EPOLLIN, EPOLL_CTL_ADD);
	}
}

static void heard(int fd)
{
	struct conn *c = &conn[fd];
	static uint8_t waste[65536];
	bool kept = c->skip == 0 && c->in_n < IN_MOST;
	ssize_t n = kept ? recv(fd, c->in + c->in_n, IN_MOST - c->in_n, 0) :
	    recv(fd, waste, c->skip && c->skip < sizeof(waste) ? c->skip :
	    sizeof(waste), 0);

	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			drop(fd);
		return;
	}
	if (!kept) {
		c->skip -= (size_t)n < c->skip ? (size_t)n : c->skip;
		return;
	}
	c->in_n += (size_t)n;
	if (c->is == C_PEER && many_class(&m, c->peer) == MANY_SILENT)
		c->in_n = 0;
	else if (!(c->is == C_TRACKER ? answer(fd) : hear(fd)))
		drop(fd);
}

/* A slow one's turn comes later. */
static void put_off(int fd)
{
	struct conn *c = &conn[fd];

	c->due_ns = now() + slow_ns;
	c->next = 0;
	*(slow_last ? &conn[slow_last].next : &slow_first) = fd;
	slow_last = fd;
	watch(fd, 0, EPOLL_CTL_MOD);
}

/* In order of due, since all wait equally long. */
static int slow_turn(void)
{
	int64_t left;

	while (slow_first) {
		int fd = slow_first;

		left = conn[fd].due_ns - now();
		if (left > 0)
			return (int)(left / 1000000) + 1;
		slow_first = conn[fd].next;
		if (!slow_first)
			slow_last = 0;
		conn[fd].due_ns = 0;
		watch(fd, EPOLLIN, EPOLL_CTL_MOD);
		heard(fd);
	}
	return -1;
}

static void turn(int fd, uint32_t events)
{
	struct conn *c = &conn[fd];

	if (c->is == C_FREE || c->due_ns)
		return;
	if (c->out && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		if (!flush(fd))
			drop(fd);
	} else if (c->is == C_PEER &&
	    many_class(&m, c->peer) == MANY_SLOW) {
		put_off(fd);
	} else {
		heard(fd);
	}
}

/* For the bare handshaker: address, port and infohash of all that answer. */
static void put_targets(const char *folder)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/targets", folder);
	f = fopen(path, "w");
	for (unsigned i = 0; f && i < m.peers; i++) {
		enum many_class c = many_class(&m, i);
		uint8_t row[6] = { 0 };

		if (!many_answers(c))
			continue;
		many_put32(row, many_address(i));
		row[4] = (uint8_t)(ports[c] >> 8);
		row[5] = (uint8_t)ports[c];
		fwrite(row, 1, 6, f);
		fwrite(m.hash[many_torrent(&m, i)], 1, 20, f);
	}
	if (!f || fclose(f) != 0)
		die(path);
}

static void tell(const char *file)
{
	FILE *f = file ? fopen(file, "w") : NULL;
	uint8_t *h;

	printf("{\"end\":true,\"peers\":%u,\"torrents\":%u,\"answering\":%u,"
	    "\"accepted\":%llu,\"handshakes\":%llu,\"distinct\":%u,"
	    "\"pieces\":%llu,\"announces\":%u,\"displaced\":%u,"
	    "\"strangers\":%u,\"open\":%u,\"took_s\":%.6f,"
	    "\"most_s\":%.6f}\n", m.peers,
	    m.torrents, answering, (unsigned long long)accepted,
	    (unsigned long long)handshakes, distinct,
	    (unsigned long long)pieces, announces, displaced, strangers,
	    open_now, (double)(last_ns - first_ns) / 1e9,
	    most_ns ? (double)(most_ns - first_ns) / 1e9 : 0);
	if (file && !f)
		die(file);
	for (unsigned i = 0; f && i < m.peers; i++) {
		uint32_t a = many_address(i);
		enum many_class c = many_class(&m, i);

		h = m.hash[many_torrent(&m, i)];
		fprintf(f, "%u.%u.%u.%u,%d,%s,", a >> 24, a >> 16 & 255,
		    a >> 8 & 255, a & 255, ports[c], many_name[c]);
		for (int k = 0; k < 20; k++)
			fprintf(f, "%02x", h[k]);
		fprintf(f, ",%u,%u,%u,%u\n", many_count(&m, i),
		    peer[i].accepted, peer[i].handshakes, peer[i].pieces);
	}
	if (f && fclose(f) != 0)
		die(file);
}

static unsigned number(const char *text, unsigned least, unsigned most)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || end == text || v < least || v > most) {
		fprintf(stderr, "manypeers: %s: expected %u to %u\n", text,
		    least, most);
		exit(2);
	}
	return (unsigned)v;
}

static int signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static void run(unsigned seconds, const char *folder)
{
	struct epoll_event ev[EVENTS];
	int64_t until = now() + (int64_t)seconds * 1000000000;
	int any = 0, sig = signals(), n, wait;
	int listener = listen_on(SOCK_STREAM, INADDR_ANY, 4096, &any), one = 1;

	/* What it accepts inherits this. */
	setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	loop = epoll_create1(EPOLL_CLOEXEC);
	for (int c = 0; c < MANY_CLASSES; c++)
		ports[c] = any;
	listen_on(SOCK_STREAM, INADDR_ANY, -1, &ports[MANY_DEAD]);
	listen_lost(&ports[MANY_LOST]);
	watch(listener, EPOLLIN, EPOLL_CTL_ADD);
	watch(tracker, EPOLLIN, EPOLL_CTL_ADD);
	watch(datagrams, EPOLLIN, EPOLL_CTL_ADD);
	watch(sig, EPOLLIN, EPOLL_CTL_ADD);
	watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
	put_targets(folder);
	ready_ns = now();
	printf("{\"ready\":%d,\"answering\":%u}\n", any, answering);
	while (now() < until) {
		wait = slow_turn();
		n = epoll_wait(loop, ev, EVENTS, wait < 0 || wait > 500 ? 500 :
		    wait);
		for (int i = 0; i < n; i++) {
			int fd = ev[i].data.fd;

			if (fd == sig || fd == STDIN_FILENO)
				return;
			if (fd == listener || fd == tracker)
				take(fd);
			else if (fd == datagrams)
				answer_datagrams(fd);
			else
				turn(fd, ev[i].events);
		}
	}
}

/* Where torrents say that it is. */
static void open_tracker(bool by_udp, char *announce, size_t room)
{
	int http, udp;

	tracker = listen_on(SOCK_STREAM, INADDR_LOOPBACK, 128, &http);
	datagrams = listen_on(SOCK_DGRAM, INADDR_LOOPBACK, -1, &udp);
	snprintf(announce, room, "%s://127.0.0.1:%d/announce",
	    by_udp ? "udp" : "http", by_udp ? udp : http);
}

int main(int argc, char **argv)
{
	static const struct option known[] = { { "peers", 1, 0, 'p' },
		{ "torrents", 1, 0, 't' }, { "pieces", 1, 0, 'c' },
		{ "partial", 1, 0, MANY_PARTIAL }, { "slow", 1, 0, MANY_SLOW },
		{ "silent", 1, 0, MANY_SILENT }, { "dead", 1, 0, MANY_DEAD },
		{ "lost", 1, 0, MANY_LOST }, { "slow-ms", 1, 0, 'w' },
		{ "open", 1, 0, 'o' }, { "seconds", 1, 0, 's' },
		{ "plain", 0, 0, 'b' }, { "udp", 0, 0, 'u' },
		{ "once", 0, 0, 'x' }, { "detail", 1, 0, 'd' },
		{ "come", 1, 0, 'n' }, { 0 } };
	struct rlimit lim;
	char announce[64];
	const char *detail = NULL;
	unsigned seconds = 60, shares = 0;
	bool by_udp = false;
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1)
		switch (c) {
		case 'p': m.peers = number(optarg, 1, 16000000); break;
		case 't': m.torrents = number(optarg, 1, 100000); break;
		case 'c': m.pieces = number(optarg, 2, 65536); break;
		case 'w': slow_ns = number(optarg, 1, 60000) * 1000000ll; break;
		case 'o': open_most = number(optarg, 1, open_limit); break;
		case 's': seconds = number(optarg, 1, 86400); break;
		case 'b': plain = true; break;
		case 'u': by_udp = true; break;
		case 'x': once = true; break;	/* greets nobody again */
		case 'd': detail = optarg; break;
		case 'n': come = number(optarg, 1, 1000000); break;
		case '?': return 2;
		default: m.share[c] = number(optarg, 0, 100);
		}
	if (come)
		m.interval_s = 60;
	for (int i = 0; i < MANY_CLASSES; i++)
		shares += m.share[i];
	if (optind + 1 != argc || shares > 100 || m.torrents > m.peers) {
		fprintf(stderr, "usage: manypeers [--peers N] [--torrents N] "
		    "[--pieces N] [--partial %%] [--slow %%] [--silent %%] "
		    "[--dead %%] [--lost %%] [--slow-ms N] [--open N] "
		    "[--seconds N] [--plain] [--udp] [--once] [--come N] "
		    "[--detail FILE] FOLDER\n");
		return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max < FDS ? lim.rlim_max : FDS;
		setrlimit(RLIMIT_NOFILE, &lim);
		if (open_limit + SPARE > lim.rlim_cur)
			open_limit = (unsigned)lim.rlim_cur - SPARE;
	}
	if (open_most > open_limit)
		open_most = open_limit;
	setvbuf(stdout, NULL, _IOLBF, 0);
	peer = calloc(m.peers, sizeof(*peer));
	conn = calloc(FDS, sizeof(*conn));
	for (unsigned i = 0; i < m.peers; i++)
		answering += many_answers(many_class(&m, i));
	open_tracker(by_udp, announce, sizeof(announce));
	if (!peer || !conn || !many_make(&m, argv[optind], announce))
		die("making the torrents");
	run(seconds, argv[optind]);
	tell(detail);
	return 0;
}
