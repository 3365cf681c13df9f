#include "report/frames.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/packet.h"
#include "capture/source.h"
#include "schema/log.h"

#define SLACK_NS 2000000000LL	/* packets before the record, and behind it */

static void *grown(void *p, size_t n, size_t each)
{
	if (n & (n - 1))	/* doubled at each power of two */
		return p;
	p = realloc(p, (n ? 2 * n : 1) * each);
	if (p == NULL)
		log_die("out of memory");
	return p;
}

static int read_talks(struct frames *f, const struct facts *c,
    const struct endpoints_of *of, const char *swarm)
{
	struct rows q;

	rows_open(&q, c->db, "SELECT c.conn, c.port, min(r.utc_ns, "
	    "c.opened_utc_ns), c.closed_utc_ns FROM contact AS c JOIN "
	    "evidence.record AS r ON r.seq = c.conn WHERE c.ip = ?1 AND "
	    "(?2 < 0 OR c.port = ?2 OR c.listen_port IS ?2) AND (?3 = '' OR "
	    "c.swarm = ?3) AND (?4 IS NULL OR c.closed_utc_ns IS NULL OR "
	    "date(c.closed_utc_ns / 1000000000, 'unixepoch') >= ?4) AND "
	    "(?5 IS NULL OR date(c.opened_utc_ns / 1000000000, 'unixepoch') "
	    "<= ?5) ORDER BY c.conn", of->ip);
	if (!q.failed) {
		sqlite3_bind_int(q.st, 2, of->port);
		sqlite3_bind_text(q.st, 3, swarm ? swarm : "", -1,
		    SQLITE_STATIC);
		sqlite3_bind_text(q.st, 4, of->from_day, -1, SQLITE_STATIC);
		sqlite3_bind_text(q.st, 5, of->to_day, -1, SQLITE_STATIC);
	}
	while (rows_next(&q)) {
		f->talk = grown(f->talk, f->talks, sizeof(*f->talk));
		f->talk[f->talks++] = (struct frames_talk){
			.conn = rows_int(&q, 0),
			.port = (uint16_t)rows_int(&q, 1),
			.from_utc_ns = rows_int(&q, 2) - SLACK_NS,
			.to_utc_ns = (rows_null(&q, 3) ? c->last_utc_ns :
			    rows_int(&q, 3)) + SLACK_NS,
		};
	}
	return rows_close(&q);
}

/* The conversation that a packet at this time and port belongs to: of several
 * the youngest, because each slack reaches into its neighbours. */
static struct frames_talk *talk_at(struct frames *f, uint16_t port,
    int64_t utc_ns)
{
	struct frames_talk *found = NULL;

	for (size_t i = 0; i < f->talks; i++) {
		struct frames_talk *t = &f->talk[i];

		if (t->port == port && t->from_utc_ns <= utc_ns &&
		    utc_ns <= t->to_utc_ns && (found == NULL ||
		    t->from_utc_ns + SLACK_NS <= utc_ns))
			found = t;
	}
	return found;
}

static void take(struct frames *f, const struct source_packet *s,
    const struct endpoint *who, uint32_t file)
{
	struct packet p;
	struct frames_talk *t;
	bool theirs, to;

	packet_read(s->link, s->bytes, s->length, &p);
	if (p.kind != PACKET_TCP && p.kind != PACKET_UDP)
		return;
	theirs = p.from.family == who->family &&
	    memcmp(p.from.addr, who->addr, sizeof(who->addr)) == 0;
	to = p.to.family == who->family &&
	    memcmp(p.to.addr, who->addr, sizeof(who->addr)) == 0;
	if (!theirs && !to)
		return;
	t = talk_at(f, theirs ? p.from.port : p.to.port, s->utc_ns);
	if (t == NULL)
		return;
	if (f->kept >= FRAMES_MOST) {
		f->cut = true;
		return;
	}
	t->at = grown(t->at, t->n, sizeof(*t->at));
	t->at[t->n++] = (struct frame){ s->utc_ns, s->frame, file, theirs };
	f->kept++;
}

static void read_file(struct frames *f, const struct facts *c,
    const struct endpoint *who, uint32_t file)
{
	struct source_item item;
	struct source *s = source_of_case(c->path, f->file[file], NULL);

	if (s == NULL) {
		f->unread++;
		return;
	}
	while (source_next(s, &item) == 0 && item.kind != SOURCE_END)
		if (item.kind == SOURCE_PACKET)
			take(f, &item.packet, who, file);
	source_close(s);
}

static bool wanted(const struct frames *f, int64_t from, int64_t to)
{
	for (size_t i = 0; i < f->talks; i++)
		if (f->talk[i].from_utc_ns <= to && from <=
		    f->talk[i].to_utc_ns)
			return true;
	return false;
}

/* Names that `packets` records give are ours: "packets/NNNNNN.pcap". */
static bool decent(const char *file)
{
	return file && strncmp(file, "packets/", 8) == 0 &&
	    strchr(file + 8, '/') == NULL && file[8] != '.' && file[8];
}

int frames_read(struct frames *f, const struct facts *c,
    const struct endpoints_of *of, const char *swarm)
{
	struct endpoint who = { 0 };
	struct rows q;

	*f = (struct frames){ 0 };
	if (read_talks(f, c, of, swarm))
		return -1;
	if (f->talks == 0 || !endpoint_parse_ip(span_str(of->ip), &who))
		return 0;
	rows_open(&q, c->db, "SELECT r.detail ->> 'file', r.detail ->> "
	    "'first_utc_ns', r.detail ->> 'last_utc_ns' FROM about AS a JOIN "
	    "evidence.record AS r ON r.seq = a.seq WHERE a.kind = 'packets' "
	    "ORDER BY a.seq", NULL);
	while (rows_next(&q)) {
		if (!decent(rows_text(&q, 0)) || rows_null(&q, 1) ||
		    !wanted(f, rows_int(&q, 1), rows_int(&q, 2)))
			continue;
		f->file = grown(f->file, f->files, sizeof(*f->file));
		f->file[f->files++] = rows_copy(&q, 0);
		read_file(f, c, &who, (uint32_t)f->files - 1);
	}
	return rows_close(&q);
}

void frames_free(struct frames *f)
{
	for (size_t i = 0; i < f->files; i++)
		free(f->file[i]);
	for (size_t i = 0; i < f->talks; i++)
		free(f->talk[i].at);
	free(f->file);
	free(f->talk);
	*f = (struct frames){ 0 };
}

const struct frames_talk *frames_of(const struct frames *f, int64_t conn)
{
	size_t a = 0, z = f->talks;

	while (a < z) {
		size_t m = a + (z - a) / 2;

		if (f->talk[m].conn < conn)
			a = m + 1;
		else
			z = m;
	}
	return a < f->talks && f->talk[a].conn == conn ? &f->talk[a] : NULL;
}

const struct frame *frames_before(const struct frames_talk *t, int64_t utc_ns)
{
	size_t a = 0, z = t ? t->n : 0;

	while (a < z) {		/* savefiles hold packets as they came */
		size_t m = a + (z - a) / 2;

		if (t->at[m].utc_ns <= utc_ns)
			a = m + 1;
		else
			z = m;
	}
	while (a > 0 && !t->at[a - 1].theirs)
		a--;
	return a ? &t->at[a - 1] : NULL;
}

bool frames_next(const struct frames_talk *t, size_t *from,
    struct frames_span *out)
{
	if (t == NULL || *from >= t->n)
		return false;
	*out = (struct frames_span){ .file = t->at[*from].file,
		.first = t->at[*from].number };
	while (*from < t->n && t->at[*from].file == out->file) {
		out->last = t->at[(*from)++].number;
		out->n++;
	}
	return true;
}
