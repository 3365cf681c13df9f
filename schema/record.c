#include "schema/record.h"

struct out {
	char *p;
	size_t n, room;
	bool full;
};

static void put(struct out *o, const char *s, size_t n)
{
	if (o->full || n > o->room - o->n) {
		o->full = true;
		return;
	}
	memcpy(o->p + o->n, s, n);
	o->n += n;
}

static void put_int(struct out *o, int64_t v)
{
	char buf[20], *p = buf + sizeof(buf);
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	do {
		*--p = (char)('0' + u % 10);
		u /= 10;
	} while (u);
	if (v < 0)
		*--p = '-';
	put(o, p, (size_t)(buf + sizeof(buf) - p));
}

/* Columns that are never negative say NULL by being so. */
static void put_some(struct out *o, int64_t v)
{
	if (v < 0)
		put(o, "NULL", 4);
	else
		put_int(o, v);
}

/* As quote() does: in single quotes, those inside doubled. */
static void put_text(struct out *o, const char *s)
{
	const char *q;

	if (s == NULL) {
		put(o, "NULL", 4);
		return;
	}
	put(o, "'", 1);
	for (; (q = strchr(s, '\'')) != NULL; s = q + 1) {
		put(o, s, (size_t)(q - s) + 1);
		put(o, "'", 1);
	}
	put(o, s, strlen(s));
	put(o, "'", 1);
}

size_t record_line(char *buf, size_t room, int64_t seq, int64_t utc_ns,
    int64_t mono_ns, const char *kind, const char *swarm, int64_t conn,
    const char *ip, int32_t port, const char *detail,
    const char *raw_sha256, const char *salt)
{
	struct out o = { .p = buf, .room = room };

	put_int(&o, seq);
	put(&o, ",", 1);
	put_int(&o, utc_ns);
	put(&o, ",", 1);
	put_some(&o, mono_ns);
	put(&o, ",", 1);
	put_text(&o, kind);
	put(&o, ",", 1);
	put_text(&o, swarm);
	put(&o, ",", 1);
	put_some(&o, conn);
	put(&o, ",", 1);
	put_text(&o, ip);
	put(&o, ",", 1);
	put_some(&o, port);
	put(&o, ",", 1);
	put_text(&o, detail);
	put(&o, ",", 1);
	put_text(&o, raw_sha256);
	put(&o, ",", 1);
	put_text(&o, salt);
	return o.full ? 0 : o.n;
}

size_t named_line(char *buf, size_t room, int64_t seq, int64_t n,
    const char *ip, uint16_t port, const char *salt)
{
	struct out o = { .p = buf, .room = room };

	put_int(&o, seq);
	put(&o, ",", 1);
	put_int(&o, n);
	put(&o, ",", 1);
	put_text(&o, ip);
	put(&o, ",", 1);
	put_int(&o, port);
	put(&o, ",", 1);
	put_text(&o, salt);
	return o.full ? 0 : o.n;
}
