#include "monitor/lsd.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/draw.h"
#include "schema/log.h"
#include "schema/lsdlog.h"
#include "schema/now.h"

#define BEAT_MS 1000
#define MINUTE (60 * NS_PER_S)
#define EVERY (5 * MINUTE)
#define PER_DATAGRAM 20u	/* infohashes; they fit LSD_SENT_MAX */
#define PER_TURN 32
#define COOKIE 16u
#define LINKS 16u
#define COUNTS 256u

struct lsd_swarm {
	struct lsd *lsd;
	struct lsd_swarm *next;
	void *ctx;
	char swarm[65];
	uint8_t hash[LSD_HASHES][20];
	int hashes;
	bool said;
	int64_t said_ns;
	bool named;		/* by the datagram being read */
};

struct link {
	char name[IF_NAMESIZE];
	unsigned index;
	bool has[2];		/* joined: IPv4, IPv6 */
};

struct lsd {
	struct lsd_conf conf;
	int fd[2];
	uv_poll_t poll[2];
	uv_timer_t beat;
	struct link link[LINKS];
	size_t links;
	struct lsd_swarm *first;
	char cookie[COOKIE + 1];
	int64_t said_ns;	/* 0: never */
	int64_t minute_ns;	/* the one being counted */
	unsigned heard, ignored;
	unsigned count[COUNTS];	/* by address; some share one */
	uint64_t key;
	struct lsdlog log;
	bool stopped;
	uint8_t in[LSD_HEARD_MAX];
};

/* --- records --------------------------------------------------------------- */

static void record_said(struct lsd *l, const struct link *k, int family,
    struct span out, const uint8_t (*hash)[20], size_t n, const char *error)
{
	struct json *j = &l->log.json;
	struct record r = { .at = stamp_now(), .kind = "lsd",
		.conn = CONN_NONE, .raw = out };

	json_reset(j);
	json_open(j, NULL, '{');
	json_str(j, "by", "us");
	json_int(j, "family", family);
	json_text(j, "interface", span_str(k->name));
	json_uint(j, "port", l->conf.port);
	json_str(j, "cookie", l->cookie);
	json_open(j, "infohashes", '[');
	for (size_t i = 0; i < n; i++)
		json_hex(j, NULL, span_of(hash[i], 20));
	json_close(j, ']');
	json_str(j, "error", error);
	json_uint(j, "ignored", l->ignored);
	json_close(j, '}');
	r.detail = json_done(j);
	if (r.detail == NULL)
		log_die("LSD record too long");
	l->conf.add(l->conf.ctx, &r);
}

/* --- hearing --------------------------------------------------------------- */

static bool may_be_heard(struct lsd *l, const struct sock_datagram *d)
{
	uint64_t h = l->key;
	unsigned *count;

	if (d->mono_ns - l->minute_ns >= MINUTE) {
		l->minute_ns = d->mono_ns;
		l->heard = 0;
		memset(l->count, 0, sizeof(l->count));
	}
	for (size_t i = 0; i < sizeof(d->from.addr); i++) {
		h = (h ^ d->from.addr[i]) * 1099511628211u;
		h ^= h >> 29;
	}
	count = &l->count[h % COUNTS];
	if (*count >= LSD_PER_ADDRESS || l->heard >= LSD_PER_MINUTE) {
		l->ignored++;
		return false;
	}
	++*count;
	l->heard++;
	return true;
}

static struct lsd_swarm *find(struct lsd *l, const uint8_t hash[20])
{
	for (struct lsd_swarm *s = l->first; s != NULL; s = s->next)
		for (int i = 0; i < s->hashes; i++)
			if (memcmp(s->hash[i], hash, 20) == 0)
				return s;
	return NULL;
}

static void hear(struct lsd *l, const struct sock_datagram *d)
{
	struct lsd_heard heard = { .from = d->from, .bytes = d->bytes,
		.at = { d->utc_ns, d->mono_ns } };
	struct endpoint peer = d->from;
	struct wire_error err = { "longer than 4 KiB", LSD_HEARD_MAX };
	struct lsd_swarm *s;
	struct lsd_msg m;
	struct cur lines;
	uint8_t hash[20];

	if (d->cut || lsd_read(d->bytes, &m, &err) != WIRE_OK) {
		lsdlog_malformed(&l->log, &heard, &err);
		return;
	}
	if (span_is(m.cookie, l->cookie))
		return;		/* that is us */
	peer.port = m.port;
	for (s = l->first; s != NULL; s = s->next)
		s->named = false;
	lines = cur_of(m.lines);
	while (lsd_hash(&lines, hash)) {
		s = find(l, hash);
		if (s == NULL || s->named)
			continue;
		s->named = true;
		lsdlog_listed(&l->log, s->swarm, &heard, &m, hash);
		l->conf.peer(l->conf.ctx, s->ctx, &peer);
	}
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct lsd *l = poll->data;
	struct sock_datagram d;

	(void)status;
	(void)events;
	for (int i = 0; i < PER_TURN && !l->stopped; i++) {
		if (!sock_recv(l->fd[poll == &l->poll[1]], l->in,
		    sizeof(l->in), &d))
			return;
		if (may_be_heard(l, &d))
			hear(l, &d);
	}
}

/* --- saying ---------------------------------------------------------------- */

static int aim(const struct lsd *l, const struct link *k, int side)
{
	struct ip_mreqn at = { .imr_ifindex = (int)k->index };
	int index = (int)k->index;

	memcpy(&at.imr_address, l->conf.bind4.addr, sizeof(at.imr_address));
	return side == 0 ? setsockopt(l->fd[0], IPPROTO_IP, IP_MULTICAST_IF,
	    &at, sizeof(at)) : setsockopt(l->fd[1], IPPROTO_IPV6,
	    IPV6_MULTICAST_IF, &index, sizeof(index));
}

static struct endpoint group(int side)
{
	struct endpoint to = { 0 };

	endpoint_parse_ip(span_str(side == 0 ? LSD_GROUP4 : LSD_GROUP6), &to);
	to.port = LSD_PORT;
	return to;
}

static void say(struct lsd *l, const uint8_t (*hash)[20], size_t n)
{
	uint8_t out[LSD_SENT_MAX];
	struct endpoint to;
	bool sent;
	size_t bytes;

	for (size_t i = 0; i < l->links; i++)
		for (int side = 0; side < 2; side++) {
			if (!l->link[i].has[side])
				continue;
			to = group(side);
			bytes = lsd_put(out, sizeof(out), side == 0 ? 4 : 6,
			    l->conf.port, span_str(l->cookie), hash, n);
			sent = aim(l, &l->link[i], side) == 0 &&
			    sock_send(l->fd[side], &to, span_of(out, bytes));
			record_said(l, &l->link[i], side == 0 ? 4 : 6,
			    span_of(out, bytes), hash, n,
			    sent ? NULL : strerror(errno));
			l->ignored = 0;
		}
}

static void on_beat(uv_timer_t *beat)
{
	struct lsd *l = beat->data;
	int64_t now = stamp_now().mono_ns;
	uint8_t hash[PER_DATAGRAM][20];
	size_t n = 0;

	if (l->said_ns != 0 && now - l->said_ns < MINUTE)
		return;
	for (struct lsd_swarm *s = l->first; s != NULL; s = s->next) {
		if ((s->said && now - s->said_ns < EVERY) ||
		    n + (size_t)s->hashes > PER_DATAGRAM)
			continue;
		s->said = true;
		s->said_ns = now;
		for (int i = 0; i < s->hashes; i++)
			memcpy(hash[n++], s->hash[i], 20);
	}
	if (n == 0)
		return;
	l->said_ns = now;
	say(l, (const uint8_t (*)[20])hash, n);
}

/* --- interfaces ------------------------------------------------------------ */

static struct link *link_of(struct lsd *l, const char *name)
{
	struct link *k;

	for (size_t i = 0; i < l->links; i++)
		if (strcmp(l->link[i].name, name) == 0)
			return &l->link[i];
	if (l->links == LINKS)
		return NULL;
	k = &l->link[l->links];
	*k = (struct link){ .index = if_nametoindex(name) };
	snprintf(k->name, sizeof(k->name), "%s", name);
	if (k->index != 0)
		l->links++;
	return k->index != 0 ? k : NULL;
}

static bool is_wanted(const struct lsd *l, const struct ifaddrs *i, int *side)
{
	static const uint8_t any[16];
	const struct endpoint *bound;
	struct endpoint at;

	if (i->ifa_addr == NULL || !sock_endpoint(i->ifa_addr, &at) ||
	    !(i->ifa_flags & IFF_UP) || !(i->ifa_flags & IFF_MULTICAST))
		return false;
	*side = at.family == 6;
	bound = *side ? &l->conf.bind6 : &l->conf.bind4;
	if (bound->family == 0)
		return false;
	if (memcmp(bound->addr, any, sizeof(any)) != 0)
		return endpoint_same_ip(bound, &at);
	if (l->conf.interface != NULL)
		return strcmp(l->conf.interface, i->ifa_name) == 0;
	return !(i->ifa_flags & IFF_LOOPBACK);
}

static bool join(struct lsd *l, struct link *k, int side)
{
	struct endpoint to = group(side);
	struct ip_mreqn v4 = { .imr_ifindex = (int)k->index };
	struct ipv6_mreq v6 = { .ipv6mr_interface = k->index };

	memcpy(&v4.imr_multiaddr, to.addr, sizeof(v4.imr_multiaddr));
	memcpy(&v6.ipv6mr_multiaddr, to.addr, sizeof(v6.ipv6mr_multiaddr));
	return (side == 0 ? setsockopt(l->fd[0], IPPROTO_IP,
	    IP_ADD_MEMBERSHIP, &v4, sizeof(v4)) : setsockopt(l->fd[1],
	    IPPROTO_IPV6, IPV6_JOIN_GROUP, &v6, sizeof(v6))) == 0;
}

static bool join_all(struct lsd *l)
{
	struct ifaddrs *all = NULL;
	bool any = false;
	int side = 0;

	if (getifaddrs(&all) < 0)
		return false;
	for (struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct link *k;

		if (!is_wanted(l, i, &side) || l->fd[side] < 0)
			continue;
		k = link_of(l, i->ifa_name);
		if (k == NULL || k->has[side])
			continue;
		k->has[side] = join(l, k, side);
		any |= k->has[side];
		if (!k->has[side])
			log_warn("local discovery on %s: %s", k->name,
			    strerror(errno));
	}
	freeifaddrs(all);
	return any;
}

/* Bound to the group, so that only what was sent to it comes. Others on this
 * host may be bound likewise. */
static int open_group(int side)
{
	struct endpoint at = group(side);
	struct sockaddr_storage ss;
	int one = 1, why, fd = socket(side == 0 ? AF_INET : AF_INET6,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
	    bind(fd, (struct sockaddr *)&ss, sock_addr(&at, &ss)) == 0) {
		sock_want_stamps(fd);
		return fd;
	}
	why = errno;
	close(fd);
	errno = why;
	return -1;
}

/* --- what others call ------------------------------------------------------ */

struct lsd *lsd_new(const struct lsd_conf *conf)
{
	struct lsd *l = calloc(1, sizeof(*l));
	uint8_t cookie[COOKIE / 2];

	if (l == NULL) {
		log_warn("out of memory");
		return NULL;
	}
	l->conf = *conf;
	draw_bits(cookie, sizeof(cookie));
	draw_bits(&l->key, sizeof(l->key));
	hex_of(cookie, sizeof(cookie), l->cookie);
	for (int side = 0; side < 2; side++) {
		l->fd[side] = -1;
		if ((side == 0 ? &conf->bind4 : &conf->bind6)->family)
			l->fd[side] = open_group(side);
	}
	if ((l->fd[0] < 0 && l->fd[1] < 0) || !join_all(l)) {
		log_warn("no local discovery: %s", l->fd[0] < 0 && l->fd[1] < 0
		    ? strerror(errno) : "no interface takes multicast");
		for (int side = 0; side < 2; side++)
			if (l->fd[side] >= 0)
				close(l->fd[side]);
		free(l);
		return NULL;
	}
	l->log.ctx = l->conf.ctx;
	l->log.add = l->conf.add;
	json_init(&l->log.json, JSON_MOST);
	for (int side = 0; side < 2; side++) {
		if (l->fd[side] < 0)
			continue;
		uv_poll_init(conf->loop, &l->poll[side], l->fd[side]);
		l->poll[side].data = l;
		uv_poll_start(&l->poll[side], UV_READABLE, on_readable);
	}
	uv_timer_init(conf->loop, &l->beat);
	l->beat.data = l;
	uv_timer_start(&l->beat, on_beat, 0, BEAT_MS);
	return l;
}

struct lsd_swarm *lsd_watch(struct lsd *l, const char *swarm,
    const uint8_t (*hash)[20], int hashes, void *swarm_ctx)
{
	struct lsd_swarm *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->lsd = l;
	s->ctx = swarm_ctx;
	snprintf(s->swarm, sizeof(s->swarm), "%s", swarm);
	for (int i = 0; i < hashes && i < LSD_HASHES; i++)
		memcpy(s->hash[s->hashes++], hash[i], 20);
	s->next = l->first;
	l->first = s;
	return s;
}

void lsd_unwatch(struct lsd_swarm *s)
{
	struct lsd_swarm **at;

	if (s == NULL)
		return;
	at = &s->lsd->first;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	free(s);
}

void lsd_stop(struct lsd *l)
{
	if (l == NULL || l->stopped)
		return;
	l->stopped = true;
	uv_close((uv_handle_t *)&l->beat, NULL);
	for (int side = 0; side < 2; side++) {
		if (l->fd[side] < 0)
			continue;
		uv_close((uv_handle_t *)&l->poll[side], NULL);
		close(l->fd[side]);
	}
}

void lsd_free(struct lsd *l)
{
	if (l == NULL)
		return;
	while (l->first != NULL)
		lsd_unwatch(l->first);
	json_fini(&l->log.json);
	free(l);
}
