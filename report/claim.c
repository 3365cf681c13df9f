#include "report/claim.h"

#include <stdio.h>
#include <stdlib.h>

#include "schema/json.h"
#include "schema/log.h"
#include "wire/magnet.h"

static const char *const field_names[] = {
#define X(id, name) name,
	CLAIM_FIELDS(X)
#undef X
};

/* Names as tables have them, without case and all but letters and digits. */
static const struct {
	enum claim_field field;
	const char *names;
} known[] = {
	{ CLAIM_IP, " ip ipaddress ipaddr address addr peerip hostip ipv4 "
	    "ipv6 remoteip userip useripaddress peeraddress hostipaddress "
	    "sourceip srcip ipadresse infringingip infringingipaddress " },
	{ CLAIM_PORT, " port ipport peerport remoteport sourceport srcport "
	    "portnumber portno tcpport udpport hostport clientport " },
	{ CLAIM_UTC, " utc datetime timestamp hitdatetime dateandtime "
	    "datetimeutc timestamputc hittimestamp capturetime capturedutc "
	    "when start starttime startutc starttimeutc sessionstart "
	    "firstseen hitstart hitstartutc observed observedutc "
	    "infringementdatetime infringementtimestamp eventtime "
	    "hitdatetimeutc dateandtimeutc utctime utcdatetime zeitpunkt " },
	{ CLAIM_DATE, " date hitdate hitdateutc dateutc utcdate day datum "
	    "infringementdate infringementdateutc eventdate capturedate " },
	{ CLAIM_TIME, " time hittime hittimeutc timeutc timeofday uhrzeit "
	    "infringementtime infringementtimeutc " },
	{ CLAIM_ZONE, " zone timezone tz utcoffset gmtoffset offset " },
	{ CLAIM_END, " end endtime endutc endtimeutc stop stoptime "
	    "sessionend lastseen hitend hitendutc enddate enddateutc " },
	{ CLAIM_INFOHASH, " infohash hash btih hashvalue torrenthash "
	    "torrentinfohash filehash hashid sha1 sha1hash infohashv1 "
	    "infohashsha1 magnet magnetlink torrentid infohashhex " },
	{ CLAIM_CLIENT, " client clientname peerclient software useragent "
	    "application p2pclient btclient bittorrentclient clientversion " },
	{ CLAIM_PIECES, " pieces piececount numpieces numberofpieces "
	    "piecesreceived piecesdownloaded chunks " },
	{ CLAIM_BYTES, " bytes bytesreceived bytesdownloaded datareceived "
	    "bytestransferred amount volume downloadedbytes receivedbytes " },
	{ CLAIM_FILE, " file filename title work torrentname name film movie "
	    "torrent " },
};

/* Letters and digits of a header cell, lower-case; false if none fit. */
static bool plain(struct span s, char out[64])
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c >= 'A' && c <= 'Z')
			c |= 32;
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9'))
			continue;
		if (n == 62)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return n > 0;
}

static enum claim_field guess(struct span name)
{
	char word[64], spaced[70];

	if (!plain(name, word))
		return CLAIM_NONE;
	snprintf(spaced, sizeof(spaced), " %s ", word);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strstr(known[i].names, spaced))
			return known[i].field;
	return CLAIM_NONE;
}

static enum claim_field field_of(struct span name)
{
	for (int i = 0; i < CLAIM_FIELD_COUNT; i++)
		if (span_is(name, field_names[i]))
			return (enum claim_field)i;
	return CLAIM_NONE;
}

/* A zero byte within becomes U+FFFD, or it would hide what stands behind. */
static char *copy(struct span s)
{
	char *p = malloc(3 * s.n + 1);
	size_t n = 0;

	if (p == NULL)
		log_die("out of memory");
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == 0) {
			memcpy(p + n, "\xef\xbf\xbd", 3);
			n += 3;
		} else {
			p[n++] = (char)s.p[i];
		}
	}
	p[n] = '\0';
	return p;
}

static bool same_name(struct span a, struct span b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++) {
		uint8_t x = a.p[i], y = b.p[i];

		x |= x >= 'A' && x <= 'Z' ? 32 : 0;
		y |= y >= 'A' && y <= 'Z' ? 32 : 0;
		if (x != y)
			return false;
	}
	return true;
}

/* --- the header ----------------------------------------------------------------- */

struct columns {
	int of[CLAIM_FIELD_COUNT];	/* which cell, -1: none */
};

static int take_map(const char *file, const struct claimrow *head,
    const char *map, struct columns *k, bool taken[CLAIMTABLE_CELLS])
{
	const char *eq = strrchr(map, '=');
	struct span theirs = span_of(map, eq ? (size_t)(eq - map) : 0);
	enum claim_field f = eq ? field_of(span_str(eq + 1)) :
	    CLAIM_NONE;

	if (f == CLAIM_NONE) {
		log_warn("audit: --map %s: wants THEIRS=OURS, OURS one of ip, "
		    "port, utc, date, time, zone, end, infohash, client, "
		    "pieces, bytes, file", map);
		return -1;
	}
	for (size_t i = 0; i < head->cells; i++) {
		if (!same_name(head->cell[i], theirs) || taken[i])
			continue;
		k->of[f] = (int)i;
		taken[i] = true;
		return 0;
	}
	log_warn("%s: line %lld has no column %.*s, which --map names", file,
	    (long long)head->line, (int)theirs.n, (const char *)theirs.p);
	return -1;
}

static int two(const char *file, const struct claimrow *head, int a, size_t b,
    enum claim_field f)
{
	if (same_name(head->cell[a], head->cell[b])) {
		log_warn("%s: line %lld names two columns %.*s: rename one of "
		    "them, or name another by --map THEIRS=%s", file,
		    (long long)head->line, (int)head->cell[a].n,
		    (const char *)head->cell[a].p, field_names[f]);
		return -1;
	}
	log_warn("%s: line %lld: the columns %.*s and %.*s could both be %s: "
	    "say which by --map THEIRS=%s", file, (long long)head->line,
	    (int)head->cell[a].n, (const char *)head->cell[a].p,
	    (int)head->cell[b].n, (const char *)head->cell[b].p,
	    field_names[f], field_names[f]);
	return -1;
}

static int need(const char *file, const struct claimrow *head,
    const struct columns *k, enum claim_field f)
{
	if (k->of[f] >= 0)
		return 0;
	log_warn("%s: line %lld names no column that is known as %s: say "
	    "which by --map THEIRS=%s", file, (long long)head->line,
	    field_names[f], field_names[f]);
	return -1;
}

static int read_header(struct claimlist *c, const char *file,
    const struct claimrow *head, const struct claim_options *o,
    struct columns *k)
{
	bool taken[CLAIMTABLE_CELLS] = { false };
	char word[64];

	for (int i = 0; i < CLAIM_FIELD_COUNT; i++)
		k->of[i] = -1;
	for (size_t i = 0; i < o->maps; i++)
		if (take_map(file, head, o->map[i], k, taken))
			return -1;
	for (size_t i = 0; i < head->cells; i++) {
		enum claim_field f = taken[i] ? CLAIM_NONE :
		    guess(head->cell[i]);

		/* What --map named is not guessed again; nor is a part of a
		 * time where the whole was named. */
		for (size_t m = 0; m < o->maps && f != CLAIM_NONE; m++) {
			enum claim_field told = field_of(span_str(
			    strrchr(o->map[m], '=') + 1));

			if (told == f || (told == CLAIM_UTC &&
			    (f == CLAIM_DATE || f == CLAIM_TIME)))
				f = CLAIM_NONE;
		}
		if (f == CLAIM_NONE)
			continue;
		if (k->of[f] >= 0)
			return two(file, head, k->of[f], i, f);
		k->of[f] = (int)i;
		taken[i] = true;
	}
	/* One of date and time alone is the whole. */
	if (k->of[CLAIM_UTC] < 0 &&
	    (k->of[CLAIM_DATE] < 0) != (k->of[CLAIM_TIME] < 0)) {
		enum claim_field f = k->of[CLAIM_DATE] < 0 ? CLAIM_TIME :
		    CLAIM_DATE;

		k->of[CLAIM_UTC] = k->of[f];
		k->of[f] = -1;
	} else if (k->of[CLAIM_UTC] >= 0 && (k->of[CLAIM_DATE] >= 0 ||
	    k->of[CLAIM_TIME] >= 0)) {
		int other = k->of[CLAIM_DATE] >= 0 ? k->of[CLAIM_DATE] :
		    k->of[CLAIM_TIME];

		return two(file, head, k->of[CLAIM_UTC], (size_t)other,
		    CLAIM_UTC);
	}
	if (need(file, head, k, CLAIM_IP) ||
	    (k->of[CLAIM_DATE] < 0 && need(file, head, k, CLAIM_UTC)) ||
	    need(file, head, k, CLAIM_INFOHASH))
		return -1;
	for (int i = 0; i < CLAIM_FIELD_COUNT; i++)
		if (k->of[i] >= 0)
			c->column[i] = copy(head->cell[k->of[i]]);
	for (size_t i = 0; i < head->cells; i++) {
		bool used = false;

		for (int f = 0; f < CLAIM_FIELD_COUNT; f++)
			used |= k->of[f] == (int)i;
		c->columns_unused += !used && head->cell[i].n;
	}
	c->columns = head->cells;
	for (int f = CLAIM_UTC; f <= CLAIM_TIME; f++)
		if (c->column[f] && plain(span_str(c->column[f]), word))
			c->utc_named |= strstr(word, "utc") != NULL ||
			    strstr(word, "gmt") != NULL;
	return 0;
}

/* --- cells ------------------------------------------------------------------------ */

static struct span cell(const struct claimrow *r, const struct columns *k,
    enum claim_field f)
{
	return k->of[f] >= 0 && (size_t)k->of[f] < r->cells ?
	    r->cell[k->of[f]] : (struct span){ NULL, 0 };
}

/* A count with or without marks between thousands; -1 if it is none. */
static int64_t count_of(struct span s)
{
	int64_t v = 0;
	size_t digits = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (strchr(" ,.'", s.p[i]) && s.p[i] && i && i + 3 < s.n &&
		    (s.n - i) % 4 == 0)
			continue;
		if (s.p[i] < '0' || s.p[i] > '9' || ++digits > 18)
			return -1;
		v = v * 10 + (s.p[i] - '0');
	}
	return s.n ? v : -1;
}

static void fault(struct claim *c, const char *field, const char *why)
{
	char *text;

	if (c->fault)
		return;
	if (asprintf(&text, "%s%s%s", field, *field ? ": " : "", why) < 0)
		log_die("out of memory");
	c->fault = text;
}

static void read_ip(struct claim *c, struct span s)
{
	struct endpoint e = { 0 };
	struct span ip = s;

	if (s.n == 0) {
		fault(c, "ip", "there is no address");
		return;
	}
	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		ip = span_of(s.p + 1, s.n - 2);
	if (!endpoint_parse_ip(ip, &e) && endpoint_parse(s, &e)) {
		if (c->port >= 0 && c->port != e.port) {
			fault(c, "ip", "it has a port that is not that of "
			    "the port's column");
			return;
		}
		c->port = e.port;
	}
	if (e.family == 0)
		fault(c, "ip", "it is no IPv4 or IPv6 address");
	else
		endpoint_ip(&e, c->ip);
}

static void read_port(struct claim *c, struct span s)
{
	int64_t v = count_of(s);

	c->port = -1;
	if (s.n == 0)
		return;
	if (v < 1 || v > 65535)
		fault(c, "port", "it is no number from 1 to 65535");
	else
		c->port = (int)v;
}

/* 40 or 64 hex digits, 32 of base32, or any of them in a magnet link or behind
 * "urn:btih:"; a v2 multihash. */
static void read_infohash(struct claim *c, struct span s)
{
	char text[256];
	struct magnet m;
	struct wire_error err = { 0 };
	int n;

	if (s.n == 0) {
		fault(c, "infohash", "there is none");
		return;
	}
	if (s.n > 200 && !(s.n > 8 && memcmp(s.p, "magnet:?", 8) == 0)) {
		fault(c, "infohash", "it is no infohash");
		return;
	}
	n = snprintf(text, sizeof(text), "%s%.*s", s.n == 32 ?
	    "magnet:?xt=urn:btih:" : s.n == 68 ? "magnet:?xt=urn:btmh:" :
	    s.n > 4 && memcmp(s.p, "urn:", 4) == 0 ? "magnet:?xt=" : "",
	    (int)(s.n < 200 ? s.n : 0), (const char *)s.p);
	if (s.n < 200)
		s = span_of(text, (size_t)n);
	if (magnet_read(s, &m, &err) != WIRE_OK || (!m.v1 && !m.v2))
		fault(c, "infohash", "it is no infohash of 40 or 64 hex "
		    "digits or 32 of base32");
	else if (m.v1)
		hex_of(m.hash_v1, 20, c->infohash);
	else
		hex_of(m.hash_v2, 32, c->infohash);
}

/* The text of a time, of one column or of two. */
static struct span time_text(const struct claimrow *r, const struct columns *k,
    char buf[200])
{
	struct span d = cell(r, k, CLAIM_DATE), t = cell(r, k, CLAIM_TIME);
	int n;

	if (k->of[CLAIM_UTC] >= 0)
		return cell(r, k, CLAIM_UTC);
	n = snprintf(buf, 200, "%.*s %.*s", (int)(d.n < 90 ? d.n : 90),
	    (const char *)d.p, (int)(t.n < 90 ? t.n : 90), (const char *)t.p);
	return span_of(buf, n > 0 && n < 200 ? (size_t)n : 0);
}

static void read_row(struct claim *c, const struct claimrow *r,
    const struct columns *k)
{
	struct span s;
	char buf[200];

	c->line = r->line;
	c->port = -1;
	c->pieces = c->bytes = -1;
	c->text[0] = copy(cell(r, k, CLAIM_IP));
	c->text[1] = copy(cell(r, k, CLAIM_PORT));
	c->text[2] = copy(time_text(r, k, buf));
	c->text[3] = copy(cell(r, k, CLAIM_INFOHASH));
	if (r->fault) {
		fault(c, "", r->fault);
		return;
	}
	read_port(c, cell(r, k, CLAIM_PORT));
	read_ip(c, cell(r, k, CLAIM_IP));
	read_infohash(c, cell(r, k, CLAIM_INFOHASH));
	s = cell(r, k, CLAIM_CLIENT);
	c->client = s.n ? copy(s) : NULL;
	s = cell(r, k, CLAIM_FILE);
	c->file = s.n ? copy(s) : NULL;
	s = cell(r, k, CLAIM_PIECES);
	c->pieces = count_of(s);
	if (s.n && c->pieces < 0)
		fault(c, "pieces", "it is no number");
	s = cell(r, k, CLAIM_BYTES);
	c->bytes = count_of(s);
	if (s.n && c->bytes < 0)
		fault(c, "bytes", "it is no number");
}

/* --- times, which the whole column decides ------------------------------------------ */

struct pending {
	struct claimtime from, to;
	const char *why, *to_why;
	bool has_to, has_zone;
	int32_t zone_s;
};

static void read_times(struct pending *p, const struct claimrow *r,
    const struct columns *k)
{
	char buf[200];
	struct span end = cell(r, k, CLAIM_END), zone = cell(r, k, CLAIM_ZONE);

	*p = (struct pending){ 0 };
	p->why = claimtime_read(time_text(r, k, buf), &p->from);
	if (end.n) {
		p->has_to = true;
		p->to_why = claimtime_read(end, &p->to);
	}
	if (zone.n) {
		p->has_zone = claimtime_zone(zone, &p->zone_s);
		if (!p->has_zone && p->why == NULL && !p->from.has_zone &&
		    !p->from.epoch)
			p->why = "its zone is no offset from UTC";
	}
}

static void vote(const struct claimtime *t, bool seen[3])
{
	/* 31.01.2026 speaks for itself, and not for a column. */
	if (!t->dotted)
		seen[claimtime_order(t)] = true;
}

static void find_order(struct claimlist *c, const struct pending *p,
    const struct claim_options *o)
{
	bool seen[3] = { false };

	for (size_t i = 0; i < c->n; i++) {
		if (p[i].why == NULL)
			vote(&p[i].from, seen);
		if (p[i].has_to && p[i].to_why == NULL)
			vote(&p[i].to, seen);
	}
	c->order_mixed = seen[DATES_MDY] && seen[DATES_DMY];
	c->order = o->order;
	if (c->order == DATES_UNKNOWN && !c->order_mixed)
		c->order = seen[DATES_MDY] ? DATES_MDY : seen[DATES_DMY] ?
		    DATES_DMY : DATES_UNKNOWN;
}

static const char *one_time(const struct claimlist *c, const struct claimtime *t,
    const struct pending *p, const struct claim_options *o, int64_t *utc_ns)
{
	enum dateorder order = c->order;

	if (c->order_mixed && o->order == DATES_UNKNOWN && t->numeric &&
	    !t->dotted) {
		order = claimtime_order(t);
		if (order == DATES_UNKNOWN && t->first != t->second)
			return "day and month could each come first, and the "
			    "column has rows of both orders";
	}
	return claimtime_utc(t, order, p->has_zone ? p->zone_s : o->zone_s,
	    utc_ns);
}

static void settle(struct claimlist *c, struct claim *k, const struct pending *p,
    const struct claim_options *o)
{
	const char *why = p->why;

	if (why == NULL)
		why = one_time(c, &p->from, p, o, &k->from_utc_ns);
	if (why) {
		fault(k, "time", why);
		return;
	}
	k->timed = true;
	k->to_utc_ns = k->from_utc_ns;
	k->step_ns = p->from.step_ns;
	if (!p->has_to)
		return;
	why = p->to_why;
	if (why == NULL)
		why = one_time(c, &p->to, p, o, &k->to_utc_ns);
	if (why) {
		fault(k, "end", why);
		return;
	}
	k->session = true;
	if (k->to_utc_ns < k->from_utc_ns) {
		k->ends_first = true;
		k->to_utc_ns = k->from_utc_ns;
	}
}

/* --- what the table shows as a whole ------------------------------------------------- */

static int by_claim(const void *x, const void *y)
{
	const struct claim *a = *(const struct claim *const *)x,
	    *b = *(const struct claim *const *)y;
	int r;

	if (a->from_utc_ns != b->from_utc_ns)
		return a->from_utc_ns < b->from_utc_ns ? -1 : 1;
	r = strcmp(a->ip, b->ip);
	if (r == 0)
		r = a->port - b->port;
	if (r == 0)
		r = strcmp(a->infohash, b->infohash);
	return r ? r : a->line < b->line ? -1 : 1;
}

static void compare_rows(struct claimlist *c)
{
	struct claim **order = calloc(c->n + 1, sizeof(*order));
	size_t n = 0, whole = 0;

	if (order == NULL)
		log_die("out of memory");
	for (size_t i = 0; i < c->n; i++)
		if (c->at[i].fault == NULL)
			order[n++] = &c->at[i];
	qsort(order, n, sizeof(*order), by_claim);
	for (size_t i = 0, first = 0, time = 0; i < n; i++) {
		struct claim *k = order[i];

		whole += k->from_utc_ns % 60000000000LL == 0;
		if (k->from_utc_ns != order[time]->from_utc_ns)
			time = i;
		if (k->from_utc_ns != order[first]->from_utc_ns ||
		    strcmp(k->ip, order[first]->ip) ||
		    k->port != order[first]->port ||
		    strcmp(k->infohash, order[first]->infohash))
			first = i;
		if (i > first)
			k->same = order[first]->line;
		order[time]->at_once++;
	}
	for (size_t i = 0, time = 0; i < n; i++) {
		if (order[i]->from_utc_ns != order[time]->from_utc_ns)
			time = i;
		order[i]->at_once = order[time]->at_once;
	}
	c->readable = n;
	c->whole_minutes = n >= 8 && whole * 10 >= n * 9;
	free(order);
}

int claimlist_read(struct claimlist *c, const char *file, struct span bytes,
    const struct claim_options *o)
{
	struct pending *p = NULL;
	struct claimrow row = { 0 };
	struct columns k;
	size_t room = 0;

	*c = (struct claimlist){ 0 };
	if (!claimtable_init(&c->table, bytes)) {
		log_warn("%s: %zu bytes; a table of claims has at most %u",
		    file, bytes.n, CLAIMTABLE_MOST);
		return -1;
	}
	if (!claimtable_next(&c->table, &row) || row.fault) {
		log_warn("%s: %s", file, row.fault ? row.fault : "it is empty; "
		    "expected a line of column names and rows below");
		return -1;
	}
	if (read_header(c, file, &row, o, &k))
		return -1;
	while (claimtable_next(&c->table, &row)) {
		if (c->n == CLAIMS_MOST) {
			log_warn("%s: line %lld: more than %d claims", file,
			    (long long)row.line, CLAIMS_MOST);
			free(p);
			return -1;
		}
		if (c->n == room) {
			room = room ? 2 * room : 256;
			c->at = realloc(c->at, room * sizeof(*c->at));
			p = realloc(p, room * sizeof(*p));
			if (c->at == NULL || p == NULL)
				log_die("out of memory");
		}
		c->at[c->n] = (struct claim){ 0 };
		read_row(&c->at[c->n], &row, &k);
		c->at[c->n].cells = row.cells > c->columns ? row.cells : 0;
		read_times(&p[c->n], &row, &k);
		c->n++;
	}
	find_order(c, p, o);
	for (size_t i = 0; i < c->n; i++)
		settle(c, &c->at[i], &p[i], o);
	free(p);
	compare_rows(c);
	free(c->table.text);
	c->table.text = NULL;
	return 0;
}

void claimlist_fini(struct claimlist *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->at[i].fault);
		free(c->at[i].client);
		free(c->at[i].file);
		for (int k = 0; k < 4; k++)
			free(c->at[i].text[k]);
	}
	free(c->at);
	for (int i = 0; i < CLAIM_FIELD_COUNT; i++)
		free(c->column[i]);
	claimtable_fini(&c->table);
	*c = (struct claimlist){ 0 };
}
