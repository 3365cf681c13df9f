#include "monitor/dhtboot.h"

#include <stdlib.h>

#include "monitor/sock.h"
#include "schema/log.h"

#define HOST_MAX 254u

struct boot {
	uv_getaddrinfo_t req;
	struct dht_boots *all;
	char host[HOST_MAX];
	uint16_t port;
	bool asking, asked, failed;
	int64_t asked_s;
	struct endpoint at[2][DHTBOOT_ADDRS];	/* IPv4, IPv6 */
	size_t n[2];
};

struct dht_boots {
	uv_loop_t *loop;
	struct boot *boot[DHTBOOT_MOST];
	size_t n;
	unsigned asking;
	bool closing;
};

static void free_all(struct dht_boots *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->boot[i]);
	free(b);
}

struct dht_boots *dht_boots_new(uv_loop_t *loop)
{
	struct dht_boots *b = calloc(1, sizeof(*b));

	if (b != NULL)
		b->loop = loop;
	return b;
}

static bool is_host(struct span host)
{
	if (host.n == 0 || host.n >= HOST_MAX)
		return false;
	for (size_t i = 0; i < host.n; i++)
		if (host.p[i] <= ' ' || host.p[i] > '~')
			return false;
	return true;
}

bool dht_boots_add(struct dht_boots *b, struct span host, uint16_t port)
{
	struct endpoint at;
	struct boot *new;

	if (!is_host(host) || port == 0)
		return false;
	for (size_t i = 0; i < b->n; i++)
		if (b->boot[i]->port == port &&
		    span_eq(span_str(b->boot[i]->host), host))
			return true;
	new = b->n < DHTBOOT_MOST ? calloc(1, sizeof(*new)) : NULL;
	if (new == NULL)
		return false;
	new->all = b;
	new->port = port;
	memcpy(new->host, host.p, host.n);
	if (endpoint_parse_ip(host, &at)) {
		at.port = port;
		new->at[at.family == 6][0] = at;
		new->n[at.family == 6] = 1;
	}
	b->boot[b->n++] = new;
	return true;
}

static void keep(struct boot *t, const struct addrinfo *list)
{
	struct endpoint at;

	t->n[0] = t->n[1] = 0;
	for (; list != NULL; list = list->ai_next) {
		int side;

		if (!sock_endpoint(list->ai_addr, &at))
			continue;
		side = at.family == 6;
		at.port = t->port;
		if (t->n[side] < DHTBOOT_ADDRS)
			t->at[side][t->n[side]++] = at;
	}
}

static void on_names(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct boot *t = req->data;
	struct dht_boots *b = t->all;

	t->asking = false;
	b->asking--;
	if (status == 0)
		keep(t, list);
	else if (!t->failed && !b->closing)
		log_warn("DHT node %s: %s", t->host, uv_strerror(status));
	t->failed = status != 0;
	uv_freeaddrinfo(list);
	if (b->closing && b->asking == 0)
		free_all(b);
}

static bool is_numeric(const struct boot *t)
{
	struct endpoint at;

	return endpoint_parse_ip(span_str(t->host), &at);
}

void dht_boots_resolve(struct dht_boots *b, int64_t now_s)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };

	for (size_t i = 0; i < b->n; i++) {
		struct boot *t = b->boot[i];

		if (t->asking || is_numeric(t) || (t->asked &&
		    now_s - t->asked_s < DHTBOOT_AGAIN_S))
			continue;
		t->asked = true;
		t->asked_s = now_s;
		t->req.data = t;
		if (uv_getaddrinfo(b->loop, &t->req, on_names, t->host, NULL,
		    &hints) != 0)
			continue;
		t->asking = true;
		b->asking++;
	}
}

bool dht_boots_get(const struct dht_boots *b, int family, size_t i,
    struct endpoint *at)
{
	int side = family == 6;

	for (size_t k = 0; k < b->n; k++) {
		const struct boot *t = b->boot[k];

		if (i < t->n[side]) {
			*at = t->at[side][i];
			return true;
		}
		i -= t->n[side];
	}
	return false;
}

void dht_boots_close(struct dht_boots *b)
{
	if (b == NULL)
		return;
	b->closing = true;
	for (size_t i = 0; i < b->n; i++)
		if (b->boot[i]->asking)
			uv_cancel((uv_req_t *)&b->boot[i]->req);
	if (b->asking == 0)
		free_all(b);
}
