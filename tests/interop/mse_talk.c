/*
 * Talks to one real client under Message Stream Encryption, to show that
 * wire/mse, schema/dh and the witness understand it:
 *
 *	mse_talk dial|accept PORT TORRENT OFFER
 *
 * on 127.0.0.1; OFFER is 1 plain, 2 RC4, 3 both. Asks for piece 0 and, where
 * the torrent is v2, for the first hashes of its first file. Prints every
 * record, "KIND DETAIL"; ends when the piece is there, the peer closes, or
 * after SECONDS.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "schema/dh.h"
#include "schema/witness.h"
#include "wire/hashes.h"

#define SECONDS 40

struct talker {
	int fd;
	struct torrent *t;
	struct witness *w;
	struct mse_shake *shake;
	uint8_t x[DH_PRIVATE];
	uint8_t out[4096];
	size_t out_n;
	bool greeted, asked, hashes, done;
};

static struct stamp now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (struct stamp){ ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec,
		-1 };
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t add(void *ctx, const struct record *r)
{
	(void)ctx;
	printf("%s %s\n", r->kind, r->detail);
	return 1;
}

static bool skey(void *ctx, const uint8_t req2[20], uint8_t out[20])
{
	struct talker *k = ctx;
	uint8_t mine[20];

	for (int i = 0; i < k->t->wire_hashes; i++) {
		memcpy(out, k->t->wire_hash[i], 20);
		mse_req2(out, mine);
		if (memcmp(mine, req2, 20) == 0)
			return true;
	}
	return false;
}

/* --- what we say, before it is sealed ------------------------------------------ */

static void say(struct talker *k, const void *p, size_t n)
{
	if (n > sizeof(k->out) - k->out_n)
		exit(1);
	memcpy(k->out + k->out_n, p, n);
	k->out_n += n;
}

static void greet(struct talker *k)
{
	struct pw_handshake h = { .reserved = { [5] = 0x10, [7] = 0x14 } };
	uint8_t out[PW_HANDSHAKE];

	memcpy(h.infohash, k->t->wire_hash[0], 20);
	memcpy(h.peer_id, "-SW0100-mse-talk----", 20);
	pw_handshake_put(out, &h);
	say(k, out, sizeof(out));
	k->greeted = true;
}

static void want(struct talker *k)
{
	struct hashes_tree tree;
	uint8_t out[HASHES_REQUEST_BYTES];

	say(k, out, pw_put_empty(out, PW_HAVE_NONE));
	say(k, out, pw_put_empty(out, PW_INTERESTED));
	if (!k->t->mi.v2)
		return;
	tree = hashes_tree(&k->t->mi, &k->t->files[0]);
	say(k, out, hashes_put_request(out, &tree, 0, 0, 8));
	k->hashes = true;
}

static void ask(struct talker *k)
{
	uint32_t bytes = torrent_piece_bytes(k->t, 0);
	uint8_t out[PW_SMALL_MAX];

	for (uint32_t at = 0; at < bytes; at += PW_BLOCK)
		say(k, out, pw_put_request(out, 0, at, bytes - at < PW_BLOCK ?
		    bytes - at : PW_BLOCK));
	k->asked = true;
}

static void event(void *ctx, const struct event *ev)
{
	struct talker *k = ctx;

	if (ev->by == SIDE_US)
		return;
	if (ev->kind == EV_HANDSHAKE) {
		if (!k->greeted)
			greet(k);
		want(k);
	}
	if (ev->kind == EV_MESSAGE && ev->msg.id == PW_HASHES)
		k->hashes = false;
	if (ev->kind == EV_MESSAGE && ev->msg.id == PW_UNCHOKE && !k->asked)
		ask(k);
}

static void piece(void *ctx, const struct piece_result *r)
{
	struct talker *k = ctx;

	k->done = r->matched;
}

/* --- the wire -------------------------------------------------------------------- */

static void put(struct talker *k, const uint8_t *p, size_t n)
{
	if (n && send(k->fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		die("send");
	witness_bytes(k->w, SIDE_US, p, n, now());
}

/* The handshake's part first: what follows is sealed behind it. */
static void flush(struct talker *k)
{
	size_t n = k->shake->out_n;

	k->shake->out_n = 0;
	put(k, k->shake->out, n);
	if (k->shake->want != MSE_DONE)
		return;
	n = k->out_n;
	k->out_n = 0;
	mse_seal(&k->shake->seal, k->out, n);
	put(k, k->out, n);
}

static void take(struct talker *k, const uint8_t *p, size_t n)
{
	uint8_t secret[MSE_KEY];
	const char *reason;

	if (mse_shake_bytes(k->shake, span_of(p, n)) == MSE_WANT_SECRET) {
		if (dh_secret(k->x, mse_shake_key(k->shake), secret, &reason)) {
			printf("refused %s\n", reason);
			exit(1);
		}
		witness_secret(k->w, secret, now());
		mse_shake_secret(k->shake, secret);
	}
	witness_bytes(k->w, SIDE_PEER, p, n, now());
}

static void begin(struct talker *k, bool dial, unsigned allow)
{
	struct mse_conf c = { .end = dial ? MSE_A : MSE_B, .allow = allow,
		.prefer = MSE_PLAIN, .find = skey, .ctx = k };

	if (getrandom(k->x, sizeof(k->x), 0) != (ssize_t)sizeof(k->x) ||
	    getrandom(c.pad, sizeof(c.pad), 0) != (ssize_t)sizeof(c.pad) ||
	    dh_public(k->x, c.key) < 0)
		die("keys");
	c.pad1 = (uint16_t)(c.pad[0] * 2);
	c.pad2 = c.pad[1];
	memcpy(c.skey, k->t->wire_hash[0], 20);
	if (dial) {
		greet(k);
		memcpy(c.ia, k->out, k->out_n);
		c.ia_n = (uint16_t)k->out_n;
		k->out_n = 0;
	}
	k->shake = malloc(sizeof(*k->shake));
	if (!k->shake)
		die("shake");
	mse_shake_init(k->shake, &c);
	witness_encrypted(k->w, dial ? SIDE_US : SIDE_PEER);
}

static int meet(bool dial, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct pollfd p = { fd, POLLIN, 0 };

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (dial) {
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
			die("connect");
		return fd;
	}
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 1) < 0)
		die("listen");
	puts("listening");
	if (poll(&p, 1, SECONDS * 1000) <= 0)
		die("nobody came");
	return accept(fd, NULL, NULL);
}

int main(int argc, char **argv)
{
	struct endpoint who = endpoint_of(span_of("\177\0\0\1", 4), 1);
	struct talker k = { .fd = -1 };
	struct witness_hooks hooks = { .ctx = &k, .add = add, .event = event,
		.piece = piece, .skey = skey };
	static uint8_t in[65536];
	struct swarmref ref;
	bool dial, ended = false;
	time_t end;

	if (argc != 5 || !(k.t = torrent_load(argv[3])))
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	dial = argv[1][0] == 'd';
	swarmref_init(&ref, k.t);
	k.w = witness_begin(&hooks, &ref, 1, &who);
	k.fd = meet(dial, (uint16_t)strtoul(argv[2], NULL, 10));
	begin(&k, dial, (unsigned)strtoul(argv[4], NULL, 10));
	flush(&k);
	end = time(NULL) + SECONDS;
	while (!ended && time(NULL) < end && !(k.done && !k.hashes)) {
		struct pollfd p = { k.fd, POLLIN, 0 };
		ssize_t n;

		if (poll(&p, 1, 500) <= 0) {
			witness_tick(k.w, now());
			continue;
		}
		n = recv(k.fd, in, sizeof(in), 0);
		if (n > 0) {
			take(&k, in, (size_t)n);
			flush(&k);
		}
		ended = n <= 0 || k.shake->want == MSE_REFUSED;
	}
	witness_close(k.w, ended ? "peer" : "us", "over", now());
	witness_free(k.w);
	torrent_free(k.t);
	free(k.shake);
	close(k.fd);
	return 0;
}
