#include "schema/lsdlog.h"

#include "schema/log.h"

#define FAULT_BYTES 4096u	/* of a malformed datagram that are kept */

static void put(struct lsdlog *l, const struct lsd_heard *d, struct record *r)
{
	overheard_put(&l->json, d->heard);
	json_close(&l->json, '}');
	r->at = d->at;
	r->conn = CONN_NONE;
	r->who = &d->from;
	r->detail = json_done(&l->json);
	if (r->detail == NULL)
		log_die("LSD record too long");
	l->add(l->ctx, r);
}

void lsdlog_listed(struct lsdlog *l, const char *swarm,
    const struct lsd_heard *d, const struct lsd_msg *m,
    const uint8_t hash[20])
{
	static const char *const odd[] = { "lines", "infohash", "repeated" };
	struct named named = { .at = d->from };
	struct json *j = &l->json;
	char text[ENDPOINT_TEXT_MAX];

	named.at.port = m->port;
	json_reset(j);
	json_open(j, NULL, '{');
	json_str(j, "source", "lsd");
	json_str(j, "witness", endpoint_text(&d->from, text));
	json_hex(j, "infohash", span_of(hash, 20));
	json_uint(j, "port", m->port);
	if (m->cookie.p)
		json_text(j, "cookie", m->cookie);
	else
		json_null(j, "cookie");
	json_open(j, "odd", '[');
	for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (m->odd >> i & 1)
			json_str(j, NULL, odd[i]);
	json_close(j, ']');
	put(l, d, &(struct record){ .kind = "listed", .swarm = swarm,
	    .raw = d->bytes, .named = &named, .names = 1 });
}

void lsdlog_malformed(struct lsdlog *l, const struct lsd_heard *d,
    const struct wire_error *err)
{
	struct json *j = &l->json;
	struct span head = d->bytes;

	if (head.n > FAULT_BYTES)
		head.n = FAULT_BYTES;
	json_reset(j);
	json_open(j, NULL, '{');
	json_str(j, "by", "host");
	json_str(j, "where", "lsd");
	json_str(j, "reason", err->reason);
	json_uint(j, "offset", err->offset);
	put(l, d, &(struct record){ .kind = "malformed", .raw = head });
}
