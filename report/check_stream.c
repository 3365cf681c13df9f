#include "report/check_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "capture/flow.h"
#include "capture/packet.h"
#include "capture/source.h"
#include "schema/json.h"
#include "schema/log.h"
#include "schema/now.h"

#define SLACK (10 * NS_PER_S)	/* packets came before records, or behind */

/* One direction of a conversation, as its `closed` has it. */
struct target {
	int64_t seq, bytes;
	int64_t from_ns, to_ns;	/* it began, and closed */
	uint16_t port;		/* the address's own */
	uint16_t other;		/* the other end's; 0: not on record */
	bool from;		/* what the address sent */
	uint8_t sha256[32];
	bool proved, tried;
};

struct streams {
	struct check *c;
	struct endpoint me;
	struct target *target;
	size_t n, room;
};

struct side {
	SHA256_CTX sha;
	int64_t bytes;
	bool gap;
};

struct stream {
	struct endpoint end[2];
	struct side side[2];
};

/* Whoever made the case may have put any number there. */
static int64_t utc_of(sqlite3_stmt *s, int col)
{
	int64_t ns = sqlite3_column_int64(s, col);

	return ns < 0 ? 0 : ns > INT64_MAX - SLACK ? INT64_MAX - SLACK : ns;
}

static void add_target(struct streams *x, sqlite3_stmt *s, uint16_t port,
    uint16_t other, bool from, int bytes, int digest)
{
	const char *hex = (const char *)sqlite3_column_text(s, digest);
	struct target t = { .seq = sqlite3_column_int64(s, 0), .port = port,
		.other = other, .from = from,
		.from_ns = utc_of(s, 13), .to_ns = utc_of(s, 14),
		.bytes = sqlite3_column_int64(s, bytes) };

	if (t.bytes <= 0 || !hex || !hex_read(span_str(hex), t.sha256, 32))
		return;
	if (x->n == x->room) {
		x->room = 2 * x->room + 64;
		x->target = realloc(x->target, x->room * sizeof(t));
		if (x->target == NULL)
			log_die("out of memory");
	}
	x->target[x->n++] = t;
}

static uint16_t port_of(sqlite3_stmt *s, int col)
{
	const char *text = (const char *)sqlite3_column_text(s, col);
	struct endpoint e;

	return text && endpoint_parse(span_str(text), &e) ? e.port : 0;
}

static void find_targets(struct streams *x, sqlite3 *db)
{
	sqlite3_stmt *s = check_query(x->c, db, "SELECT r.seq, o.port, "
	    "json_extract(r.detail, '$.rx_bytes'), "
	    "json_extract(r.detail, '$.rx_sha256'), "
	    "json_extract(r.detail, '$.tx_bytes'), "
	    "json_extract(r.detail, '$.tx_sha256'), "
	    "json_extract(r.detail, '$.initiator_bytes'), "
	    "json_extract(r.detail, '$.initiator_sha256'), "
	    "json_extract(r.detail, '$.responder_bytes'), "
	    "json_extract(r.detail, '$.responder_sha256'), "
	    "json_extract(o.detail, '$.initiator'), "
	    "json_extract(o.detail, '$.responder'), o.kind = 'flow', "
	    "o.utc_ns, r.utc_ns, json_extract(coalesce(t.detail, o.detail), "
	    "'$.local') FROM record AS r JOIN record AS o ON o.seq = r.conn "
	    "LEFT JOIN (SELECT conn, detail FROM record WHERE kind = "
	    "'reached' AND json_valid(detail)) AS t ON t.conn = r.conn WHERE "
	    "r.kind = 'closed' AND json_valid(r.detail) AND "
	    "json_valid(o.detail)");

	while (check_step(x->c, s)) {
		if (!sqlite3_column_int(s, 12)) {
			uint16_t port = (uint16_t)sqlite3_column_int(s, 1);
			uint16_t other = port_of(s, 15);

			add_target(x, s, port, other, true, 2, 3);
			add_target(x, s, port, other, false, 4, 5);
			continue;
		}
		for (int i = 0; i < 2; i++) {
			const char *end = (const char *)
			    sqlite3_column_text(s, 10 + i);
			struct endpoint at;

			if (!end || !endpoint_parse(span_str(end), &at) ||
			    !endpoint_same_ip(&at, &x->me))
				continue;
			add_target(x, s, at.port, port_of(s, 11 - i), true,
			    6 + 2 * i, 7 + 2 * i);
			add_target(x, s, at.port, port_of(s, 11 - i), false,
			    8 - 2 * i, 9 - 2 * i);
		}
	}
	sqlite3_finalize(s);
}

/* --- the packets ------------------------------------------------------------------ */

static void *on_open(void *ctx, const struct flow_open *o)
{
	struct stream *s = calloc(1, sizeof(*s));

	(void)ctx;
	if (s == NULL)
		log_die("out of memory");
	for (int i = 0; i < 2; i++) {
		s->end[i] = o->end[i];
		SHA256_Init(&s->side[i].sha);
		s->side[i].gap = !o->opened;
	}
	return s;
}

/* Where a conversation's count of bytes is reached, its digest must be too:
 * what lay unread when it was closed comes behind. */
static void reach(struct streams *x, const struct stream *s, unsigned side,
    struct span b, int64_t utc_ns)
{
	const struct side *d = &s->side[side];
	bool from = endpoint_same_ip(&s->end[side], &x->me);
	uint16_t port = s->end[from ? side : !side].port;
	uint16_t other = s->end[from ? !side : side].port;
	uint8_t sum[32];

	for (size_t i = 0; i < x->n; i++) {
		struct target *t = &x->target[i];
		SHA256_CTX sha = d->sha;

		if (t->port != port || t->from != from ||
		    (t->other && t->other != other) ||
		    t->bytes <= d->bytes ||
		    t->bytes > d->bytes + (int64_t)b.n ||
		    utc_ns < t->from_ns - SLACK || utc_ns > t->to_ns + SLACK)
			continue;	/* or another conversation's */
		SHA256_Update(&sha, b.p, (size_t)(t->bytes - d->bytes));
		SHA256_Final(sum, &sha);
		t->tried = true;
		if (memcmp(sum, t->sha256, sizeof(sum)) == 0)
			t->proved = true;
	}
}

static bool on_bytes(void *ctx, void *flow, unsigned side, struct span b,
    struct flow_at at)
{
	struct stream *s = flow;

	if (!s->side[side].gap)
		reach(ctx, s, side, b, at.utc_ns);
	SHA256_Update(&s->side[side].sha, b.p, b.n);
	s->side[side].bytes += (int64_t)b.n;
	return true;
}

static void on_gap(void *ctx, void *flow, unsigned side, uint64_t n,
    uint32_t packets, struct flow_at at)
{
	struct stream *s = flow;

	(void)ctx;
	(void)n;
	(void)packets;
	(void)at;
	s->side[side].gap = true;
}

static void on_closed(void *ctx, void *flow, enum flow_end end, unsigned by,
    struct flow_at at)
{
	(void)ctx;
	(void)end;
	(void)by;
	(void)at;
	free(flow);
}

static bool read_packets(struct streams *x, const char *path)
{
	struct flow_sink sink = { .ctx = x, .open = on_open, .bytes = on_bytes,
		.gap = on_gap, .closed = on_closed };
	struct source *src = source_of_case(path, "packets/excerpt.pcap",
	    NULL);
	struct source_item item = { .kind = SOURCE_PACKET };
	struct flows *f = flows_new(&sink);
	int rc = 0;

	if (f == NULL)
		log_die("out of memory");
	while (src && rc == 0 && item.kind != SOURCE_END) {
		rc = source_next(src, &item);
		if (rc == 0 && item.kind == SOURCE_DAMAGE)
			check_tell(x->c, true, "packets/excerpt.pcap: damaged "
			    "at byte %" PRIu64 ": %s", item.offset,
			    item.reason);
		if (rc == 0 && item.kind == SOURCE_PACKET) {
			struct packet p;

			flows_packet(f, &item.packet);
			packet_read(item.packet.link, item.packet.bytes,
			    item.packet.length, &p);
			if (!endpoint_same_ip(&p.from, &x->me) &&
			    !endpoint_same_ip(&p.to, &x->me)) {
				check_tell(x->c, true, "packets/excerpt.pcap: "
				    "packet %" PRIu64 " is not of the address",
				    item.packet.frame);
			}
			x->c->savefile_bytes += (int64_t)item.packet.bytes.n;
		}
	}
	flows_finish(f);
	flows_free(f);
	source_close(src);
	return src != NULL && rc == 0;
}

void check_streams(struct check *c, sqlite3 *db, const char *path,
    const char *ip)
{
	struct streams x = { .c = c };
	int64_t proved = 0;
	char *file;

	if (asprintf(&file, "%s/packets/excerpt.pcap", path) < 0)
		log_die("out of memory");
	if (access(file, F_OK) < 0 ||
	    !endpoint_parse_ip(span_str(ip), &x.me))
		goto out;
	find_targets(&x, db);
	c->savefiles++;
	if (!read_packets(&x, path))
		check_tell(c, true, "packets/excerpt.pcap cannot be read");
	for (size_t i = 0; i < x.n; i++) {
		const struct target *t = &x.target[i];

		proved += t->proved;
		if (t->tried && !t->proved)
			check_wrong(c, t->seq, t->from ? "what the address "
			    "sent is other in the packets" : "what was sent to "
			    "the address is other in the packets");
	}
	check_tell(c, false, "packets: %" PRId64 " of %zu directions of "
	    "conversations are there whole and as recorded; of the others "
	    "packets were left out, or not captured", proved, x.n);
out:
	free(x.target);
	free(file);
}
