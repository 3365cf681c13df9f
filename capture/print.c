#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "capture/import.h"
#include "capture/privilege.h"
#include "capture/reading.h"
#include "capture/sandbox.h"
#include "schema/log.h"

#define VALUE_MAX 100u		/* of one value, then it is cut */
#define BUCKETS 1024u

/* Who talks to whom, while a conversation is open. */
struct pair {
	struct pair *next;
	int64_t conn;
	char initiator[ENDPOINT_TEXT_MAX], responder[ENDPOINT_TEXT_MAX];
};

struct listing {
	struct pair *bucket[BUCKETS];
	int64_t records;
};

static struct pair **find(struct listing *l, int64_t conn)
{
	struct pair **at = &l->bucket[(uint64_t)conn % BUCKETS];

	while (*at && (*at)->conn != conn)
		at = &(*at)->next;
	return at;
}

/* --- the detail as words ------------------------------------------------------------ */

/* The end of the JSON value that begins at p. */
static const char *value_end(const char *p)
{
	int depth = 0;
	bool text = false;

	for (; *p; p++) {
		if (text) {
			if (*p == '\\' && p[1])
				p++;
			else if (*p == '"')
				text = false;
		} else if (*p == '"') {
			text = true;
		} else if (*p == '{' || *p == '[') {
			depth++;
		} else if (*p == '}' || *p == ']') {
			if (depth-- == 0)
				break;
		} else if (*p == ',' && depth == 0) {
			break;
		}
	}
	return p;
}

/* The value of a key that is text, as it stands; "" if there is none. */
static void text_of(const char *detail, const char *key, char *out, size_t n)
{
	char quoted[64];
	const char *p, *end;

	snprintf(quoted, sizeof(quoted), "\"%s\":\"", key);
	p = strstr(detail, quoted);
	out[0] = '\0';
	if (!p)
		return;
	p += strlen(quoted);
	end = strchr(p, '"');
	if (end && (size_t)(end - p) < n)
		snprintf(out, n, "%.*s", (int)(end - p), p);
}

/* {"by":"peer","piece":3} as " piece=3": no nulls, and long values cut. It is
 * our own JSON, so printable ASCII. */
static void print_detail(const char *p)
{
	const char *key, *end;
	size_t n, most;

	for (p++; *p == '"'; p = *end ? end + 1 : end) {
		key = p + 1;
		n = strcspn(key, "\"");
		p = key + n + 2;	/* behind the quote and the colon */
		end = value_end(p);
		if (strncmp(p, "null", 4) == 0 || strncmp(key, "by\"", 3) == 0)
			continue;
		most = (size_t)(end - p);
		printf(" %.*s=%.*s%s", (int)n, key, most > VALUE_MAX ?
		    (int)VALUE_MAX : (int)most, p, most > VALUE_MAX ? "..." :
		    "");
	}
}

static void print_time(int64_t utc_ns)
{
	time_t s = (time_t)(utc_ns / 1000000000);
	long ns = (long)(utc_ns % 1000000000);
	char text[40];
	struct tm tm;

	if (ns < 0) {
		s--;
		ns += 1000000000;
	}
	if (!gmtime_r(&s, &tm) ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		printf("%" PRId64 "ns", utc_ns);
	else
		printf("%s.%09ldZ", text, ns);
}

/* --- a record as a line ---------------------------------------------------------------- */

static void remember(struct listing *l, int64_t conn, const char *detail)
{
	struct pair **at = find(l, conn), *p = calloc(1, sizeof(*p));

	if (!p)
		log_die("out of memory");
	p->conn = conn;
	text_of(detail, "initiator", p->initiator, sizeof(p->initiator));
	text_of(detail, "responder", p->responder, sizeof(p->responder));
	p->next = *at;
	*at = p;
}

static void forget(struct listing *l, int64_t conn)
{
	struct pair **at = find(l, conn), *p = *at;

	if (!p)
		return;
	*at = p->next;
	free(p);
}

static void print_ends(struct listing *l, const struct record *r,
    int64_t conn)
{
	char from[ENDPOINT_TEXT_MAX] = "-", to[ENDPOINT_TEXT_MAX];
	struct pair *p = conn >= 0 ? *find(l, conn) : NULL;

	if (r->who)
		endpoint_text(r->who, from);
	text_of(r->detail, "to", to, sizeof(to));
	if (p)
		snprintf(to, sizeof(to), "%s", strcmp(from, p->initiator) ?
		    p->initiator : p->responder);
	printf(" %s > %s", from, to[0] ? to : "-");
	if (conn >= 0)
		printf(" #%" PRId64, conn);
}

/* The listing could not be written on: an errno, or 0. */
static volatile sig_atomic_t unwritten;

static bool stuck(bool flush)
{
	if (!unwritten && (flush ? fflush(stdout) != 0 : ferror(stdout) != 0))
		unwritten = errno;
	return unwritten != 0;
}

static int64_t on_add(void *ctx, const struct record *r)
{
	struct listing *l = ctx;
	int64_t seq = l->records++;
	int64_t conn = r->conn == CONN_SELF ? seq : r->conn;

	if (r->conn == CONN_SELF)
		remember(l, conn, r->detail);
	print_time(r->at.utc_ns);
	print_ends(l, r, conn);
	printf(" %s", r->kind);
	if (r->swarm && r->conn < 0)
		printf(" swarm=%s", r->swarm);
	print_detail(r->detail);
	for (size_t i = 0; i < r->names && i < 3; i++) {
		char text[ENDPOINT_TEXT_MAX];

		printf("%s%s", i ? "," : " names=",
		    endpoint_text(&r->named[i].at, text));
	}
	printf("%s\n", r->names > 3 ? ",..." : "");
	if (strcmp(r->kind, "closed") == 0)
		forget(l, conn);
	stuck(false);
	return seq;
}

/* --- the listing ------------------------------------------------------------------------ */

static void print_file(const struct read_file *f)
{
	for (size_t i = 0; i < f->damages; i++)
		printf("# damaged at offset %" PRIu64 ", behind frame %" PRIu64
		    ": %s\n", f->damage[i].offset, f->damage[i].frame,
		    f->damage[i].reason);
	for (size_t i = 0; i < f->odds; i++)
		printf("# frame %" PRIu64 "%s: %s\n", f->odd[i].frame,
		    f->odd[i].times > 1 ? " and others" : "",
		    f->odd[i].reason);
	printf("# %s: %" PRIu64 " frames (%" PRIu64 " cut, %" PRIu64
	    " without a time, %" PRIu64 " of other protocols), %" PRIu64
	    " conversations, %" PRIu64 " unclaimed, %" PRIu64
	    " other datagrams, %" PRIu64 " damaged places\n", f->file,
	    f->frames, f->cut, f->unstamped, f->skipped, f->flows,
	    f->unclaimed, f->datagrams, f->damaged);
}

static int print_one(struct reading *r, const char *path, bool last)
{
	char safe[512];
	struct read_file f = { .last = last };
	struct source *src = source_open(path, NULL);
	int rc;

	if (!src) {
		if (last)
			reading_finish(r);
		return -1;
	}
	f.file = log_safe(span_str(path), safe, sizeof(safe));
	rc = reading_source(r, src, &f, &unwritten);
	print_file(&f);
	source_close(src);
	return rc;
}

static int confine(const struct import_conf *conf)
{
	struct sandbox_path *paths = calloc(conf->count, sizeof(*paths));
	struct sandbox got;
	int rc;

	if (!paths)
		log_die("out of memory");
	for (size_t i = 0; i < conf->count; i++)
		paths[i].path = conf->files[i];
	rc = privilege_drop(-1);
	if (rc == 0 && !conf->no_sandbox)
		rc = sandbox_enter(SANDBOX_FILES, paths, conf->count, &got);
	if (rc < 0)
		log_warn("cannot confine this process: %s (--no-sandbox does "
		    "without)", strerror(errno));
	free(paths);
	return rc;
}

int import_print(const struct import_conf *conf)
{
	struct reading r;
	struct listing l = { .records = 0 };
	int rc = 0;

	signal(SIGPIPE, SIG_IGN);
	if (reading_load(&r, conf) < 0 || confine(conf) < 0) {
		reading_free(&r);
		return 1;
	}
	reading_begin(&r, on_add, NULL, &l);
	for (size_t i = 0; i < conf->count && !stuck(true); i++)
		if (print_one(&r, conf->files[i], i + 1 == conf->count) < 0)
			rc = 1;
	reading_free(&r);
	for (unsigned i = 0; i < BUCKETS; i++)
		while (l.bucket[i])
			forget(&l, l.bucket[i]->conn);
	if (!stuck(true))
		return rc;
	if (unwritten == EPIPE)	/* a reader that has had enough */
		return 0;
	log_warn("the listing cannot be written: %s", strerror(unwritten));
	return 1;
}
