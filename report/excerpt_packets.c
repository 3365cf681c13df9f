#include "report/excerpt_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "capture/pcapout.h"
#include "report/withhold.h"
#include "schema/json.h"
#include "schema/log.h"
#include "wire/utppacket.h"

struct cutting {
	struct excerpt *e;
	struct endpoint me;
	struct withhold *withhold;
	bool tcp[65536], utp[65536];	/* its ports of conversations shown */
	bool flow[65536];		/* observed: both directions are it */
	int64_t seq;			/* the savefile's record */
	unsigned pass;
	uint32_t link;
	bool found, mixed;
	struct pcapout *out;
	int64_t left_out;
};

static bool is_me(const struct cutting *c, const struct endpoint *e)
{
	return endpoint_same_ip(e, &c->me);
}

/* Also where a detail is no JSON: then nothing is shown by halves. */
static int failed(sqlite3 *db)
{
	log_warn("its packets cannot be chosen: %s", sqlite3_errmsg(db));
	return -1;
}

/* --- conversations ------------------------------------------------------------- */

/* The address's own port: of a row that begins with whether it is a flow, the
 * port of the record, and of a flow its responder and, fifth, initiator. */
static uint16_t own_port(const struct cutting *c, sqlite3_stmt *s)
{
	for (int i = 2; sqlite3_column_int(s, 0) && i < 5; i += 2) {
		const char *end = (const char *)sqlite3_column_text(s, i);
		struct endpoint at;

		if (end && endpoint_parse(span_str(end), &at) && is_me(c, &at))
			return at.port;
	}
	return (uint16_t)sqlite3_column_int(s, 1);
}

/* The address's own ports, by the records that opened conversations. */
static int find_ports(struct cutting *c)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(c->e->out, "SELECT kind = 'flow', port, "
	    "detail ->> 'responder', detail ->> 'transport' = 'utp', "
	    "detail ->> 'initiator' FROM record WHERE conn = seq", -1, &s,
	    NULL) != SQLITE_OK)
		return failed(c->e->out);
	while (sqlite3_step(s) == SQLITE_ROW) {
		uint16_t port = own_port(c, s);

		(sqlite3_column_int(s, 3) ? c->utp : c->tcp)[port] = true;
		if (sqlite3_column_int(s, 0))
			c->flow[port] = true;
	}
	return sqlite3_finalize(s) == SQLITE_OK ? 0 : failed(c->e->out);
}

static void add_talk(struct cutting *c, const struct endpoint *from,
    sqlite3_stmt *s, int bytes, int digest)
{
	const char *hex = (const char *)sqlite3_column_text(s, digest);
	uint8_t sum[32];

	if (sqlite3_column_type(s, bytes) == SQLITE_INTEGER &&
	    sqlite3_column_int64(s, bytes) >= 0 && hex &&
	    hex_read(span_str(hex), sum, sizeof(sum)))
		withhold_talk(c->withhold, from, sqlite3_column_int64(s, 5),
		    (uint64_t)sqlite3_column_int64(s, bytes), sum);
}

/* Bytes are shown only of conversations whose `closed` says, by a digest, which
 * they are: other bytes of the same ports may be anything. */
static int find_talks(struct cutting *c)
{
	sqlite3_stmt *s = NULL;
	struct endpoint at;

	if (sqlite3_prepare_v2(c->e->out, "SELECT o.kind = 'flow', o.port, "
	    "o.detail ->> 'responder', NULL, o.detail ->> 'initiator', o.seq, "
	    "r.detail ->> 'rx_bytes', r.detail ->> 'rx_sha256', "
	    "r.detail ->> 'responder_bytes', r.detail ->> 'responder_sha256', "
	    "r.detail ->> 'initiator_bytes', r.detail ->> 'initiator_sha256' "
	    "FROM record AS r JOIN record AS o ON o.seq = r.conn WHERE "
	    "r.kind = 'closed'", -1, &s, NULL) != SQLITE_OK)
		return failed(c->e->out);
	withhold_strict(c->withhold);
	while (sqlite3_step(s) == SQLITE_ROW) {
		if (sqlite3_column_int(s, 0) == 0) {
			at = c->me;
			at.port = own_port(c, s);
			add_talk(c, &at, s, 6, 7);
			continue;
		}
		for (int i = 2; i < 5; i += 2) {
			const char *end = (const char *)
			    sqlite3_column_text(s, i);

			if (end && endpoint_parse(span_str(end), &at))
				add_talk(c, &at, s, 6 + i, 7 + i);
		}
	}
	return sqlite3_finalize(s) == SQLITE_OK ? 0 : failed(c->e->out);
}

/* The end that sent a record of a conversation. */
static struct endpoint sender(const struct cutting *c, sqlite3_stmt *r)
{
	const char *ip = (const char *)sqlite3_column_text(r, 7);
	struct endpoint at = c->me;

	if (sqlite3_column_int(r, 0) && ip &&
	    endpoint_parse_ip(span_str(ip), &at))
		at.port = (uint16_t)sqlite3_column_int(r, 8);
	else
		at.port = own_port(c, r);
	return at;
}

/* What the excerpt leaves out of conversations is left out of packets too. */
static int find_withheld(struct cutting *c)
{
	sqlite3_stmt *s = NULL, *r = NULL;
	int rc = 0;

	if (sqlite3_prepare_v2(c->e->out, "SELECT DISTINCT seq FROM omitted "
	    "WHERE what IN ('raw', 'record')", -1, &s, NULL) != SQLITE_OK)
		return failed(c->e->out);
	if (sqlite3_prepare_v2(c->e->db, "SELECT o.kind = 'flow', "
	    "o.port, o.detail ->> 'responder', "
	    "r.kind = 'malformed', o.detail ->> 'initiator', "
	    "w.bytes, r.conn, r.ip, r.port FROM record AS r JOIN record AS o "
	    "ON o.seq = r.conn LEFT JOIN raw AS w ON w.seq = r.seq WHERE "
	    "r.seq = ?", -1, &r, NULL) != SQLITE_OK) {
		sqlite3_finalize(s);
		return failed(c->e->db);
	}
	while (rc == 0 && sqlite3_step(s) == SQLITE_ROW) {
		sqlite3_bind_int64(r, 1, sqlite3_column_int64(s, 0));
		if (sqlite3_step(r) == SQLITE_ROW) {
			/* Of what is malformed only the beginning is kept. */
			struct span raw = sqlite3_column_int(r, 3) ?
			    (struct span){ 0 } :
			    span_of(sqlite3_column_blob(r, 5),
			    (size_t)sqlite3_column_bytes(r, 5));
			struct endpoint at = sender(c, r);

			withhold_message(c->withhold, &at,
			    sqlite3_column_int64(r, 6), raw);
		}
		if (sqlite3_reset(r) != SQLITE_OK)
			rc = failed(c->e->db);
	}
	sqlite3_finalize(r);
	if (sqlite3_finalize(s) != SQLITE_OK && rc == 0)
		rc = failed(c->e->out);
	return rc;
}

/* --- packets --------------------------------------------------------------------- */

/* Why a packet of the address is left out, NULL if it is not. */
static const char *leaves_out(struct cutting *c, const struct packet *p)
{
	uint16_t port = is_me(c, &p->from) ? p->from.port : p->to.port;
	struct utp_packet u;
	bool utp = p->kind == PACKET_UDP && c->utp[port] &&
	    utp_packet_plausible(p->payload, &u);

	if (c->e->all_packets)
		return NULL;
	if (p->kind != PACKET_TCP && !utp)
		return p->kind == PACKET_UDP ?
		    "a datagram (DHT, trackers, local discovery): it can hold "
		    "addresses of other peers" :
		    "a fragment, or no TCP or UDP: what it holds is not known";
	if (p->kind == PACKET_TCP && !c->tcp[port])
		return "of no conversation in the excerpt";
	/* Of what we sent ourselves we know that it names nobody. */
	if ((is_me(c, &p->from) || c->flow[port]) &&
	    withhold_is(c->withhold, p))
		return "it carries a message that can hold addresses of other "
		    "peers, or bytes that no record of a conversation shown "
		    "accounts for";
	return NULL;
}

static int one_packet(struct cutting *c, const struct source_packet *k)
{
	struct packet p;
	const char *why;
	uint8_t sum[32];
	char hex[65];

	packet_read(k->link, k->bytes, k->length, &p);
	if (p.from.family == 0 || (!is_me(c, &p.from) && !is_me(c, &p.to)))
		return 0;
	if (c->pass == 0) {
		c->mixed = c->mixed || (c->found && c->link != k->link);
		c->link = k->link;
		c->found = true;
		withhold_look(c->withhold, &p);
		return 0;
	}
	why = leaves_out(c, &p);
	if (why == NULL) {
		pcapout_put(c->out, k, c->mixed ? p.ip : 0);
		return 0;
	}
	c->left_out++;
	SHA256(k->bytes.p, k->bytes.n, sum);
	return excerpt_omit(c->e, c->seq, "packet", (int64_t)k->frame,
	    hex_of(sum, sizeof(sum), hex), why);
}

static int one_savefile(struct cutting *c, const char *file)
{
	struct source_item item = { .kind = SOURCE_PACKET };
	struct source *src = source_of_case(c->e->path, file, NULL);
	int rc = 0;

	if (src == NULL && c->pass == 0)
		log_warn("%s/%s: its packets are not in the excerpt",
		    c->e->path, file);
	while (src && rc == 0 && item.kind != SOURCE_END) {
		rc = source_next(src, &item);
		if (rc == 0 && item.kind == SOURCE_PACKET)
			rc = one_packet(c, &item.packet);
	}
	source_close(src);
	return rc;
}

static int pass(struct cutting *c)
{
	sqlite3_stmt *s = NULL;
	int rc = 0;

	if (sqlite3_prepare_v2(c->e->out, "SELECT seq, detail ->> 'file' "
	    "FROM record WHERE kind = 'packets' ORDER BY seq", -1, &s, NULL) !=
	    SQLITE_OK)
		return failed(c->e->out);
	while (rc == 0 && sqlite3_step(s) == SQLITE_ROW) {
		c->seq = sqlite3_column_int64(s, 0);
		if (sqlite3_column_text(s, 1))
			rc = one_savefile(c, (const char *)
			    sqlite3_column_text(s, 1));
	}
	if (sqlite3_finalize(s) != SQLITE_OK && rc == 0)
		rc = failed(c->e->out);
	return rc;
}

static int write_out(struct cutting *c)
{
	char *folder, *file;
	int rc = -1;

	if (asprintf(&folder, "%s/packets", c->e->out_path) < 0 ||
	    asprintf(&file, "%s/packets/excerpt.pcap", c->e->out_path) < 0)
		log_die("out of memory");
	c->pass = 1;
	withhold_find(c->withhold);
	if (mkdir(folder, 0700) == 0)
		c->out = pcapout_open(file, c->mixed ? LINK_RAW : c->link);
	else
		log_warn("%s: cannot be made", folder);
	if (c->out) {
		rc = pass(c);
		if (pcapout_close(c->out, NULL, NULL, &c->e->packets) < 0)
			rc = -1;
	}
	c->e->packets_omitted = c->left_out;
	free(folder);
	free(file);
	return rc;
}

int excerpt_packets(struct excerpt *e)
{
	struct cutting *c = calloc(1, sizeof(*c));
	int rc = -1;

	if (c == NULL)
		log_die("out of memory");
	c->e = e;
	endpoint_parse_ip(span_str(e->ip), &c->me);
	c->withhold = withhold_new();
	if (find_ports(c) == 0 && find_talks(c) == 0 &&
	    find_withheld(c) == 0 && pass(c) == 0)
		rc = c->found ? write_out(c) : 0;
	withhold_free(c->withhold);
	free(c);
	return rc;
}
