/*
 * Fetches a whole torrent from one peer over uTP, to show that wire/utp talks
 * to real clients:
 *
 *	utp_fetch dial|accept PORT PEER-IP PEER-PORT INFOHASH PIECE-BYTES
 *	    TOTAL-BYTES OUT [OUTSTANDING [WINDOW [SECONDS]]]
 *
 * binds 127.0.0.1:PORT, dials the peer or waits for it, asks for every block
 * and writes OUT. Says on one line how it went. Checks nothing but uTP's own
 * rules: whoever runs it holds OUT against the truth. When nothing comes for
 * STALL_US it dials again and asks for the rest: libtorrent gives a
 * conversation up, silently, once a packet was lost three times.
 */
#include "wire/talk.h"
#include "wire/utp.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DATAGRAM_MAX 65536
#define ATTEMPTS 8
#define STALL_US 8000000u

struct fetch {
	int fd;
	bool accept;
	struct sockaddr_in peer;
	uint8_t infohash[20], peer_id[20];
	uint32_t piece, total, outstanding, window;
	const char *to;
	uint64_t end_us;

	struct utp u;
	struct utp_memory m;
	bool open, greeted, unchoked;
	unsigned attempts;
	struct talk talk;
	uint8_t *buf;
	size_t have, room;
	uint8_t *content;
	bool *held;			/* by block */
	uint32_t asked, got;		/* bytes: asked for up to; whole blocks */
	uint32_t waiting;		/* requests unanswered */
	uint64_t begun_us, done_us, heard_us;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint16_t chance(void)
{
	uint16_t v;

	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		die("getrandom");
	return v;
}

static void say(struct fetch *f, const uint8_t *p, size_t n)
{
	if (utp_write(&f->u, span_of(p, n)) != n) {
		fputs("ring full\n", stderr);
		exit(1);
	}
}

static void greet(struct fetch *f)
{
	struct pw_handshake h = { 0 };
	uint8_t out[PW_HANDSHAKE + PW_SMALL_MAX];

	if (f->greeted)
		return;
	f->greeted = true;
	memcpy(h.infohash, f->infohash, 20);
	memcpy(h.peer_id, f->peer_id, 20);
	pw_handshake_put(out, &h);
	size_t n = PW_HANDSHAKE;
	n += pw_put_empty(out + n, PW_INTERESTED);
	say(f, out, n);
}

static void ask(struct fetch *f)
{
	uint8_t out[PW_SMALL_MAX];

	while (f->unchoked && f->waiting < f->outstanding &&
	    f->asked < f->total) {
		uint32_t index = f->asked / f->piece;
		uint32_t begin = f->asked % f->piece;
		uint32_t n = f->total - f->asked;

		if (n > PW_BLOCK)
			n = PW_BLOCK;
		if (f->held[f->asked / PW_BLOCK]) {
			f->asked += n;
			continue;
		}
		say(f, out, pw_put_request(out, index, begin, n));
		f->asked += n;
		f->waiting++;
	}
}

static void take(struct fetch *f, const struct event *ev)
{
	switch (ev->kind) {
	case EV_HANDSHAKE:
		if (memcmp(ev->hs.infohash, f->infohash, 20) != 0) {
			fputs("another infohash\n", stderr);
			exit(1);
		}
		greet(f);
		break;
	case EV_MESSAGE:
		if (ev->msg.id == PW_UNCHOKE)
			f->unchoked = true;
		break;
	case EV_BLOCK:
		if (f->begun_us == 0)
			f->begun_us = now_us();
		uint64_t at = (uint64_t)ev->msg.index * f->piece +
		    ev->msg.begin + ev->at;
		if (at + ev->part.n > f->total) {
			fputs("block beyond the end\n", stderr);
			exit(1);
		}
		if (ev->part.n)
			memcpy(f->content + at, ev->part.p, ev->part.n);
		f->heard_us = now_us();
		if (!ev->last)
			break;
		f->waiting--;
		at = (uint64_t)ev->msg.index * f->piece + ev->msg.begin;
		if (!f->held[at / PW_BLOCK])
			f->got += ev->msg.bytes;
		f->held[at / PW_BLOCK] = true;
		break;
	case EV_EXTENDED:
	case EV_GAP:
		break;
	case EV_MALFORMED:
		fprintf(stderr, "malformed: %s\n", ev->err.reason);
		exit(1);
	}
}

static void read_stream(struct fetch *f)
{
	struct span s;
	struct event ev;

	while ((s = utp_read(&f->u)).n) {
		size_t n = s.n < f->room - f->have ? s.n : f->room - f->have;

		memcpy(f->buf + f->have, s.p, n);
		f->have += n;
		utp_consume(&f->u, n);
		struct cur c = cur_of(span_of(f->buf, f->have));
		while (talk_next(&f->talk, SIDE_PEER, &c, &ev) == WIRE_OK)
			take(f, &ev);
		f->have = cur_left(&c);
		memmove(f->buf, c.p, f->have);
	}
}

static void dial(struct fetch *f)
{
	struct utp_conf conf = UTP_CONF_DEFAULT;

	conf.window = f->window;
	conf.syns = 2;
	f->heard_us = now_us();
	f->have = 0;
	f->unchoked = false;
	f->waiting = 0;
	f->asked = 0;
	talk_init(&f->talk, (f->total - 1) / f->piece + 1);
	utp_connect(&f->u, &conf, &f->m, chance(), chance(), now_us());
	f->open = true;
	f->attempts++;
	f->greeted = false;
	greet(f);
}

static void arrive(struct fetch *f, struct span datagram,
    const struct sockaddr_in *from)
{
	struct utp_conf conf = UTP_CONF_DEFAULT;
	struct utp_packet p;
	struct wire_error err;
	uint8_t out[UTP_HEADER];

	conf.window = f->window;
	if (!utp_packet_plausible(datagram, &p))
		return;
	bool known = f->open && from->sin_port == f->peer.sin_port &&
	    utp_takes(&f->u, &p);
	if (known) {
		if (utp_input(&f->u, &p, now_us(), &err) == UTP_MALFORMED)
			fprintf(stderr, "malformed: %s\n", err.reason);
	} else if (f->accept && !f->open && p.type == UTP_ST_SYN) {
		f->peer = *from;
		utp_accept(&f->u, &conf, &f->m, &p, chance(), now_us());
		f->open = true;
		f->attempts++;
	} else {
		size_t n = utp_packet_refuse(out, &p, chance(), now_us());

		sendto(f->fd, out, n, 0, (const struct sockaddr *)from,
		    sizeof(*from));
	}
}

static void receive(struct fetch *f)
{
	static uint8_t datagram[DATAGRAM_MAX];
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n;

	for (int i = 0; i < 64; i++) {
		n = recvfrom(f->fd, datagram, sizeof(datagram), MSG_DONTWAIT,
		    (struct sockaddr *)&from, &len);
		if (n < 0)
			return;
		arrive(f, span_of(datagram, (size_t)n), &from);
	}
}

static void flush(struct fetch *f)
{
	uint8_t out[2048];
	size_t n;

	while ((n = utp_output(&f->u, out, sizeof(out), now_us())) != 0)
		sendto(f->fd, out, n, 0, (struct sockaddr *)&f->peer,
		    sizeof(f->peer));
}

static void pause_until(struct fetch *f, uint64_t at)
{
	struct pollfd p = { .fd = f->fd, .events = POLLIN };
	uint64_t now = now_us();
	uint64_t wait = at > now ? at - now : 0;

	poll(&p, 1, wait > 1000000 ? 1000 : (int)(wait / 1000 + (wait != 0)));
}

static void turn(struct fetch *f)
{
	if (!f->open && !f->accept)
		dial(f);
	if (f->open) {
		if (utp_deadline(&f->u) <= now_us())
			utp_timeout(&f->u, now_us());
		read_stream(f);
		ask(f);
		if (f->got == f->total && f->done_us == 0) {
			f->done_us = now_us();
			utp_close(&f->u, f->done_us);
		}
		if (f->done_us == 0 &&
		    now_us() - f->heard_us > STALL_US)
			utp_reset(&f->u);
		flush(f);
		if (f->u.state == UTP_CLOSED && f->done_us == 0 &&
		    !f->accept && f->attempts < ATTEMPTS)
			f->open = false;
	}
	pause_until(f, f->open ? utp_deadline(&f->u) : now_us() + 100000);
	receive(f);
}

static void setup(struct fetch *f, int argc, char **argv)
{
	struct sockaddr_in me = { .sin_family = AF_INET };

	f->accept = argv[1][0] == 'a';
	me.sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10));
	me.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->peer.sin_family = AF_INET;
	f->peer.sin_port = htons((uint16_t)strtoul(argv[4], NULL, 10));
	if (inet_pton(AF_INET, argv[3], &f->peer.sin_addr) != 1)
		die(argv[3]);
	for (size_t i = 0; i < 20; i++)
		if (sscanf(argv[5] + 2 * i, "%2hhx", &f->infohash[i]) != 1)
			die(argv[5]);
	f->piece = (uint32_t)strtoul(argv[6], NULL, 10);
	f->total = (uint32_t)strtoul(argv[7], NULL, 10);
	f->to = argv[8];
	memcpy(f->peer_id, "-SW0100-", 8);
	if (getrandom(f->peer_id + 8, 12, 0) != 12)
		die("getrandom");
	f->outstanding = argc > 9 ? (uint32_t)strtoul(argv[9], NULL, 10) : 32;
	f->window = argc > 10 ? (uint32_t)strtoul(argv[10], NULL, 10) :
	    UTP_WINDOW_MAX;
	f->end_us = now_us() + 1000000 *
	    (argc > 11 ? strtoul(argv[11], NULL, 10) : 180);
	f->fd = socket(AF_INET, SOCK_DGRAM, 0);
	int size = 4 << 20;
	setsockopt(f->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&me, sizeof(me)) < 0)
		die("bind");
	talk_init(&f->talk, (f->total - 1) / f->piece + 1);
	f->room = talk_keep_max(&f->talk);
	f->heard_us = now_us();
	f->m.nblocks = UTP_BLOCKS(f->window);
	f->m.ring_n = 65536;
	f->m.blocks = malloc(f->m.nblocks * sizeof(*f->m.blocks));
	f->m.ring = malloc(f->m.ring_n);
	f->buf = malloc(f->room);
	f->content = calloc(1, f->total);
	f->held = calloc(f->total / PW_BLOCK + 1, sizeof(*f->held));
	if (!f->m.blocks || !f->m.ring || !f->buf || !f->content || !f->held)
		die("memory");
}

static int finish(struct fetch *f)
{
	FILE *out = fopen(f->to, "wb");
	double s = f->done_us ? (double)(f->done_us - f->begun_us) / 1e6 : 0;

	if (!out || fwrite(f->content, 1, f->total, out) != f->total ||
	    fclose(out) != 0)
		die(f->to);
	printf("%s bytes=%u seconds=%.3f end=\"%s\" attempts=%u packets=%llu "
	    "duplicate=%llu outside=%llu resent=%llu malformed=%llu\n",
	    f->done_us ? "done" : "incomplete", f->got, s,
	    utp_end_name(f->u.end), f->attempts,
	    (unsigned long long)f->u.count.packets_in,
	    (unsigned long long)f->u.count.duplicate,
	    (unsigned long long)f->u.count.outside,
	    (unsigned long long)f->u.count.resent,
	    (unsigned long long)f->u.count.malformed);
	free(f->m.blocks);
	free(f->m.ring);
	free(f->buf);
	free(f->content);
	free(f->held);
	close(f->fd);
	return f->done_us ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct fetch f = { 0 };

	if (argc < 9 || strlen(argv[5]) != 40) {
		fputs("usage: utp_fetch dial|accept PORT PEER-IP PEER-PORT "
		    "INFOHASH PIECE-BYTES TOTAL-BYTES OUT [OUTSTANDING "
		    "[WINDOW [SECONDS]]]\n", stderr);
		return 2;
	}
	setup(&f, argc, argv);
	puts("ready");
	fflush(stdout);
	while (now_us() < f.end_us && (!f.open || f.u.state != UTP_CLOSED))
		turn(&f);
	if (f.open)
		flush(&f);	/* the last word */
	return finish(&f);
}
