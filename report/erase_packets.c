#include "report/erase_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture/pcapout.h"
#include "capture/source.h"
#include "report/withhold.h"
#include "schema/log.h"

struct sifting {
	struct erase *x;
	struct endpoint me;
	struct withhold *withhold;
	unsigned pass;
	/* Of one savefile. */
	uint32_t link;
	bool found, mixed;
	int64_t drops;
	struct pcapout *out;
};

/* --- what goes ------------------------------------------------------------------ */

/* The ends whose messages, or tracker's answers, named the address: their bytes
 * go from the packets as they do from the ledger. */
static int find_senders(struct sifting *f)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v2(f->x->e.db, "SELECT r.ip, r.port, w.bytes, "
	    "r.conn IS NULL OR r.kind = 'malformed' FROM record AS r JOIN raw AS "
	    "w ON w.seq = r.seq WHERE r.seq = ?", -1, &s, NULL) != SQLITE_OK)
		return -1;
	for (size_t i = 0; i < f->x->raws.n; i++) {
		const char *ip;
		struct endpoint at;

		sqlite3_bind_int64(s, 1, f->x->raws.seq[i]);
		if (sqlite3_step(s) == SQLITE_ROW &&
		    (ip = (const char *)sqlite3_column_text(s, 0)) != NULL &&
		    endpoint_parse_ip(span_str(ip), &at)) {
			at.port = (uint16_t)sqlite3_column_int(s, 1);
			/* A tracker's may be compressed on the wire. */
			withhold_message(f->withhold, &at, -1,
			    sqlite3_column_int(s, 3) ? (struct span){ 0 } :
			    span_of(sqlite3_column_blob(s, 2),
			    (size_t)sqlite3_column_bytes(s, 2)));
		}
		sqlite3_reset(s);
	}
	sqlite3_finalize(s);
	return 0;
}

static bool holds(const struct sifting *f, struct span b)
{
	const char *ip = f->x->e.ip;

	return memmem(b.p, b.n, f->me.addr, f->me.family == 4 ? 4 : 16) ||
	    memmem(b.p, b.n, ip, strlen(ip));
}

static bool goes(struct sifting *f, const struct source_packet *k,
    const struct packet *p)
{
	const struct excerpt *e = &f->x->e;
	char day[11];

	indexer_day(k->utc_ns, day);
	if ((e->from_day[0] && strcmp(day, e->from_day) < 0) ||
	    (e->to_day[0] && strcmp(day, e->to_day) > 0))
		return false;
	if (e->port >= 0) {
		/* The others of the address stay, and lists with them. */
		return (endpoint_same_ip(&p->from, &f->me) &&
		    p->from.port == e->port) ||
		    (endpoint_same_ip(&p->to, &f->me) &&
		    p->to.port == e->port);
	}
	/* Its own packets hold it in their headers. A datagram of another
	 * sender goes only if it holds the address: only streams are taken
	 * apart. */
	return holds(f, k->bytes) || (p->kind == PACKET_TCP &&
	    withhold_is(f->withhold, p)) || (p->kind == PACKET_UDP &&
	    p->payload.n > 20 && withhold_at(f->withhold, &p->from) &&
	    (p->payload.p[0] & 15) == 1 && p->payload.p[0] >> 4 < 5);
}

/* --- savefiles -------------------------------------------------------------------- */

static void one_packet(struct sifting *f, const struct source_packet *k)
{
	struct packet p;

	packet_read(k->link, k->bytes, k->length, &p);
	switch (f->pass) {
	case 0:
		withhold_look(f->withhold, &p);
		return;
	case 1:
		f->mixed = f->mixed || (f->found && f->link != k->link);
		f->link = k->link;
		f->found = true;
		f->drops += goes(f, k, &p);
		return;
	default:
		if (!goes(f, k, &p) && (!f->mixed || p.from.family))
			pcapout_put(f->out, k, f->mixed ? p.ip : 0);
	}
}

static int read_file(struct sifting *f, const char *file)
{
	struct source_item item = { .kind = SOURCE_PACKET };
	struct source *src = source_of_case(f->x->e.path, file, NULL);
	int rc = src ? 0 : -1;

	while (rc == 0 && item.kind != SOURCE_END) {
		rc = source_next(src, &item);
		if (rc == 0 && item.kind == SOURCE_PACKET)
			one_packet(f, &item.packet);
	}
	source_close(src);
	return rc;
}

static char *hidden_of(const struct erase *x, const char *file)
{
	char *out;

	if (asprintf(&out, "%s/packets/.%s.erased", x->e.path, file + 8) < 0)
		log_die("out of memory");
	return out;
}

static char *path_of(const struct erase *x, const char *file)
{
	char *out;

	if (asprintf(&out, "%s/%s", x->e.path, file) < 0)
		log_die("out of memory");
	return out;
}

/* Written beside it; it takes its place when the ledger says so. */
static int rewrite(struct sifting *f, const char *file, const char *path)
{
	struct erase_packets *p;
	char *hidden = hidden_of(f->x, file);
	int rc = -1;

	f->x->file = realloc(f->x->file, (f->x->files + 1) * sizeof(*p));
	if (f->x->file == NULL)
		log_die("out of memory");
	p = &f->x->file[f->x->files++];
	*p = (struct erase_packets){ .gone = f->drops };
	snprintf(p->file, sizeof(p->file), "%s", file);
	unlink(hidden);
	f->pass = 2;
	f->out = pcapout_open(hidden, f->mixed ? LINK_RAW : f->link);
	if (f->out) {
		rc = read_file(f, file);
		if (pcapout_close(f->out, p->now, &p->bytes, &p->packets) < 0 ||
		    casedir_digest(path, p->was, NULL) < 0)
			rc = -1;
	}
	f->pass = 1;
	free(hidden);
	return rc;
}

static int one_savefile(struct sifting *f, const char *file)
{
	char *path;
	int rc;

	if (!casedir_is_savefile(file) ||
	    strlen(file) >= sizeof(f->x->file->file))
		return 0;
	path = path_of(f->x, file);
	if (access(path, R_OK) < 0) {
		free(path);
		return 0;	/* verify tells of it */
	}
	f->found = f->mixed = false;
	f->drops = 0;
	rc = read_file(f, file);
	if (rc == 0 && f->pass == 1 && f->drops)
		rc = rewrite(f, file, path);
	free(path);
	return rc;
}

static int pass(struct sifting *f)
{
	sqlite3_stmt *s = NULL;
	int rc = 0;

	if (sqlite3_prepare_v2(f->x->e.db, "SELECT json_extract(detail, "
	    "'$.file') FROM record WHERE kind = 'packets' ORDER BY seq", -1, &s,
	    NULL) != SQLITE_OK)
		return -1;
	while (rc == 0 && sqlite3_step(s) == SQLITE_ROW)
		if (sqlite3_column_text(s, 0))
			rc = one_savefile(f, (const char *)
			    sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	return rc;
}

int erase_packets(struct erase *x)
{
	struct sifting f = { .x = x, .withhold = withhold_new() };
	int rc = -1;

	endpoint_parse_ip(span_str(x->e.ip), &f.me);
	if (x->e.swarm) {
		log_info("%s: packets say no swarm, and stay", x->e.path);
		rc = 0;
	} else if (find_senders(&f) == 0 && pass(&f) == 0) {
		withhold_find(f.withhold);
		f.pass = 1;
		rc = pass(&f);
	}
	withhold_free(f.withhold);
	return rc;
}

/* What the ledger says of each savefile now, done: also what an erasure before
 * left when it was cut short. */
int erase_settle(struct erase *x)
{
	sqlite3_stmt *s = NULL;
	sqlite3 *db = casedir_read(x->e.path);
	int rc = db ? 0 : -1;

	if (db && sqlite3_prepare_v2(db, "SELECT json_extract(p.value, "
	    "'$.file'), json_extract(p.value, '$.was'), "
	    "json_extract(p.value, '$.sha256') FROM record AS r, "
	    "json_each(r.detail, '$.packets') AS p WHERE r.kind = 'erased' "
	    "ORDER BY r.seq", -1, &s, NULL) != SQLITE_OK)
		rc = -1;
	while (rc == 0 && sqlite3_step(s) == SQLITE_ROW) {
		const char *file = (const char *)sqlite3_column_text(s, 0);
		const char *was = (const char *)sqlite3_column_text(s, 1);
		const char *now = (const char *)sqlite3_column_text(s, 2);
		char *path, *hidden, hex[65];

		if (!file || !was || !now || !casedir_is_savefile(file))
			continue;
		path = path_of(x, file);
		hidden = hidden_of(x, file);
		if (access(hidden, F_OK) == 0 &&
		    casedir_digest(path, hex, NULL) == 0 &&
		    strcmp(hex, was) == 0 &&
		    casedir_digest(hidden, hex, NULL) == 0 &&
		    strcmp(hex, now) == 0 && rename(hidden, path) < 0) {
			log_warn("%s: cannot take the place of %s", hidden,
			    path);
			rc = -1;
		}
		free(path);
		free(hidden);
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	return rc;
}
