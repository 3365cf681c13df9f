#include "report/timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/log.h"
#include "schema/now.h"

#define US_PER_S 1000000
/* Beyond what files say that count from 1970. */
#define TIME_MOST_S INT64_C(10000000000)
#define COPY_FD 3		/* in the child */
#define COPY_URL "file:/proc/self/fd/3"

/* --- fields --------------------------------------------------------------------- */

/* Decimal digits and nothing else, to at most `most`. */
static bool whole(struct span s, uint64_t most, uint64_t *out)
{
	uint64_t v = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)s.p[i] - '0';

		if (d > 9 || v > (most - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return s.n > 0;
}

/* Seconds with at most six decimals, as ffprobe prints them: "-0.023220". */
static bool seconds(struct span s, int64_t *us)
{
	bool below = s.n > 0 && s.p[0] == '-';
	const uint8_t *dot;
	uint64_t v, part = 0;
	size_t i = 0;

	if (below)
		s = span_of(s.p + 1, s.n - 1);
	dot = s.n ? memchr(s.p, '.', s.n) : NULL;
	if (!whole(dot ? span_of(s.p, (size_t)(dot - s.p)) : s, TIME_MOST_S,
	    &v))
		return false;
	if (dot) {
		struct span f = span_of(dot + 1, s.n - (size_t)(dot - s.p) - 1);

		if (f.n > 6 || !whole(f, 999999, &part))
			return false;
		for (i = f.n; i < 6; i++)
			part *= 10;
	}
	*us = (int64_t)(v * US_PER_S + part) * (below ? -1 : 1);
	return true;
}

/* A name of FFmpeg's own: no others enter a report. */
static bool word(struct span s, char *out, size_t room)
{
	static const char known[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,:~+-";

	if (s.n == 0 || s.n >= room)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\0' || strchr(known, s.p[i]) == NULL)
			return false;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

/* The value of key in "section|key=value|...": false if there is none. */
static bool field(struct span line, const char *key, struct span *out)
{
	size_t k = strlen(key);

	for (size_t at = 0; at < line.n;) {
		const uint8_t *p = line.p + at;
		const uint8_t *bar = memchr(p, '|', line.n - at);
		size_t n = bar ? (size_t)(bar - p) : line.n - at;

		if (n > k && p[k] == '=' && memcmp(p, key, k) == 0) {
			*out = span_of(p + k + 1, n - k - 1);
			return true;
		}
		at += n + 1;
	}
	return false;
}

/* --- lines ----------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3)))
static bool fail(struct timeline *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(t->why, sizeof(t->why), format, ap);
	va_end(ap);
	return false;
}

static bool odd(struct timeline *t, const char *what)
{
	return fail(t, "ffprobe wrote what this program does not read: %s",
	    what);
}

static struct timeline_stream *stream_at(struct timeline *t, struct span line,
    const char *key, uint64_t *i)
{
	struct span v;

	if (!field(line, key, &v) || !whole(v, UINT32_MAX, i)) {
		odd(t, "no number of a stream");
		return NULL;
	}
	if (*i >= TIMELINE_STREAMS) {
		fail(t, "it has more than %u streams", TIMELINE_STREAMS);
		return NULL;
	}
	if (t->streams <= *i)
		t->streams = (size_t)*i + 1;
	return &t->stream[*i];
}

static struct timeline_packet *new_packet(struct timeline *t)
{
	if (t->n == t->room) {
		t->room = t->room ? t->room * 2 : 1024;
		if (t->room > t->most)
			t->room = t->most;
		t->packet = realloc(t->packet, t->room * sizeof(*t->packet));
		if (t->packet == NULL)
			log_die("out of memory");
	}
	t->packet[t->n] = (struct timeline_packet){ .rank = UINT32_MAX };
	return &t->packet[t->n++];
}

/* rank: 0 is to be shown, UINT32_MAX is not. What ffprobe does not know is N/A;
 * a number that cannot be meant is taken as not known, too. */
static bool packet_line(struct timeline *t, struct span line)
{
	struct timeline_stream *s;
	struct timeline_packet *p;
	uint64_t i, pos, size;
	struct span v;

	s = stream_at(t, line, "stream_index", &i);
	if (s == NULL)
		return false;
	if (t->n >= t->most)
		return fail(t, "the copies together have more than %u packets",
		    TIMELINE_PACKETS);
	p = new_packet(t);
	p->stream = (uint8_t)i;
	if (field(line, "pos", &v) && whole(v, INT64_MAX, &pos) &&
	    field(line, "size", &v) && whole(v, UINT32_MAX, &size)) {
		p->from = pos;
		p->to = pos + size;
	}
	if (!field(line, "duration_time", &v) || !seconds(v, &p->for_us) ||
	    p->for_us < 0)
		p->for_us = -1;
	if (!field(line, "flags", &v))
		return odd(t, "a packet without flags");
	if (memchr(v.p, 'D', v.n)) {	/* "discard": an edit list cuts it out */
		s->hidden++;
	} else if (!field(line, "pts_time", &v) || !seconds(v, &p->pts_us)) {
		s->undated++;
	} else {
		s->packets++;
		p->rank = 0;
	}
	return true;
}

/*
 * Of these ffprobe's packets are not each one place of the file: RealAudio in
 * Matroska is put in order across blocks, closed captions in QuickTime are
 * taken out of their atoms, DV carries its sound in its pictures.
 */
static bool scattered(const char *codec)
{
	static const char *const list[] = { "ra_288", "cook", "sipr", "atrac3",
	    "eia_608", "dvvideo", "dvaudio" };

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (strcmp(codec, list[i]) == 0)
			return true;
	return false;
}

static bool stream_line(struct timeline *t, struct span line)
{
	uint64_t i;
	struct timeline_stream *s = stream_at(t, line, "index", &i);
	struct span v;

	if (s == NULL)
		return false;
	s->told = true;
	if (!field(line, "codec_type", &v) || !word(v, s->type,
	    sizeof(s->type)))
		snprintf(s->type, sizeof(s->type), "unknown");
	if (!field(line, "codec_name", &v) || !word(v, s->codec,
	    sizeof(s->codec)))
		snprintf(s->codec, sizeof(s->codec), "unknown");
	return true;
}

static bool begins(struct span line, const char *with)
{
	size_t n = strlen(with);

	return line.n >= n && memcmp(line.p, with, n) == 0;
}

bool timeline_line(struct timeline *t, struct span line)
{
	struct span v;

	if (line.n == 0)	/* behind a packet's side data */
		return true;
	if (begins(line, "packet|"))
		return packet_line(t, line);
	if (begins(line, "stream|"))
		return stream_line(t, line);
	if (begins(line, "program_version|"))
		return (field(line, "version", &v) && word(v, t->version,
		    sizeof(t->version))) || odd(t, "its version");
	if (begins(line, "format|")) {
		if (!field(line, "format_name", &v))
			return odd(t, "no name of the container");
		t->container = begins(v, "mov,") ? TIMELINE_MP4 :
		    begins(v, "matroska,") ? TIMELINE_MATROSKA :
		    TIMELINE_OTHER;
		return true;
	}
	return odd(t, "a line of another kind");
}

/* --- what they come to ----------------------------------------------------------- */

static int by_place(const void *a, const void *b, void *packets)
{
	const struct timeline_packet *x = packets;
	const struct timeline_packet *p = x + *(const uint32_t *)a;
	const struct timeline_packet *q = x + *(const uint32_t *)b;

	return p->from != q->from ? (p->from > q->from) - (p->from < q->from) :
	    (p > q) - (p < q);
}

static int by_time(const void *a, const void *b, void *packets)
{
	const struct timeline_packet *x = packets;
	const struct timeline_packet *p = x + *(const uint32_t *)a;
	const struct timeline_packet *q = x + *(const uint32_t *)b;

	if (p->stream != q->stream)
		return p->stream - q->stream;
	return p->pts_us != q->pts_us ? (p->pts_us > q->pts_us) -
	    (p->pts_us < q->pts_us) : (p > q) - (p < q);
}

/*
 * Matroska: .from is where a block begins (its track's number), several packets
 * may lie in it, and ffprobe's size is that of the packet as it is handed on:
 * without the block's head, after compression was undone. It ends before the
 * next block, whatever stream that is of; the last one, before the file does.
 */
static void bound_blocks(struct timeline *t, uint64_t bytes)
{
	uint64_t next = bytes, here = bytes;

	for (size_t i = t->n; i-- > 0;) {
		struct timeline_packet *p = &t->packet[t->placed[i]];

		if (p->from == p->to)
			continue;
		if (p->from != here) {
			next = here;
			here = p->from;
		}
		p->to = next;
	}
}

void timeline_settle(struct timeline *t, uint64_t bytes)
{
	size_t dated = 0;

	for (size_t i = 0; i < t->streams; i++) {
		struct timeline_stream *s = &t->stream[i];

		dated += s->packets;
		s->why = !s->told ? "ffprobe does not say what it is" :
		    scattered(s->codec) ? "of this codec ffprobe’s packets are "
		    "not each one place of the file" :
		    s->undated ? "the file does not say when some of its "
		    "packets are presented" : NULL;
	}
	if (t->container == TIMELINE_OTHER) {
		fail(t, "it is neither MP4 or QuickTime nor Matroska or WebM");
		return;
	}
	if (dated == 0) {
		fail(t, "no packet of it has a time of presentation");
		return;
	}
	t->placed = malloc(t->n * sizeof(*t->placed));
	t->shown = malloc(dated * sizeof(*t->shown));
	if (t->placed == NULL || t->shown == NULL)
		log_die("out of memory");
	for (size_t i = 0; i < t->n; i++) {
		struct timeline_packet *p = &t->packet[i];

		if (p->to > bytes)
			p->from = p->to = 0;
		t->placed[i] = (uint32_t)i;
		if (p->rank == 0)
			t->shown[t->nshown++] = (uint32_t)i;
	}
	qsort_r(t->placed, t->n, sizeof(*t->placed), by_place, t->packet);
	qsort_r(t->shown, t->nshown, sizeof(*t->shown), by_time, t->packet);
	for (size_t i = 0; i < t->nshown; i++)
		t->packet[t->shown[i]].rank = (uint32_t)i;
	if (t->container == TIMELINE_MATROSKA)
		bound_blocks(t, bytes);
}

const char *timeline_container(const struct timeline *t)
{
	static const char *const word_of[] = { "", "MP4 or QuickTime",
	    "Matroska or WebM" };

	return word_of[t->container];
}

/* --- finding --------------------------------------------------------------------- */

static const struct timeline_packet *at_rank(const struct timeline *t, size_t r)
{
	return &t->packet[t->shown[r]];
}

static bool together(const struct timeline *t, size_t r, size_t q)
{
	return at_rank(t, r)->stream == at_rank(t, q)->stream &&
	    at_rank(t, r)->pts_us == at_rank(t, q)->pts_us;
}

static int by_rank(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Ranks of the packets wholly in the bytes, in order. */
static size_t hits(const struct timeline *t, const struct timeline_bytes *at,
    size_t n, uint32_t **out)
{
	uint32_t *hit = NULL;
	size_t found = 0, room = 0;

	for (size_t i = 0; i < n; i++) {
		size_t low = 0, high = t->n;

		while (low < high) {
			size_t mid = low + (high - low) / 2;

			if (t->packet[t->placed[mid]].from < at[i].from)
				low = mid + 1;
			else
				high = mid;
		}
		for (; low < t->n; low++) {
			const struct timeline_packet *p =
			    &t->packet[t->placed[low]];

			if (p->from >= at[i].to)
				break;
			if (p->from == p->to || p->to > at[i].to ||
			    p->rank == UINT32_MAX || t->stream[p->stream].why)
				continue;
			if (found == room) {
				room = room ? room * 2 : 256;
				hit = realloc(hit, room * sizeof(*hit));
				if (hit == NULL)
					log_die("out of memory");
			}
			hit[found++] = p->rank;
		}
	}
	if (found)
		qsort(hit, found, sizeof(*hit), by_rank);
	*out = hit;
	return found;
}

/* When the presentation of what was begun last ends: when it says so, but no
 * later than that of the next packet begins. */
static int64_t end_of(const struct timeline *t, size_t r)
{
	const struct timeline_packet *p = at_rank(t, r), *next =
	    r + 1 < t->nshown && at_rank(t, r + 1)->stream == p->stream ?
	    at_rank(t, r + 1) : NULL;
	int64_t end = p->for_us >= 0 ? p->pts_us + p->for_us : next ?
	    next->pts_us : p->pts_us;

	return next && next->pts_us < end ? next->pts_us : end;
}

size_t timeline_find(const struct timeline *t, const struct timeline_bytes *at,
    size_t n, struct timeline_run **out)
{
	struct timeline_run *run = NULL;
	size_t runs = 0, room = 0, behind = SIZE_MAX, found;
	uint32_t *hit;

	*out = NULL;
	if (t->why[0] || t->nshown == 0)
		return 0;
	found = hits(t, at, n, &hit);
	for (size_t i = 0; i < found;) {
		const struct timeline_packet *p = at_rank(t, hit[i]);
		size_t first = hit[i], last = hit[i], held = i;

		/* those that begin at one time are in together, or none is */
		while (first > 0 && together(t, first - 1, first))
			first--;
		while (last + 1 < t->nshown && together(t, last + 1, last))
			last++;
		while (i < found && hit[i] <= last)
			i++;
		held = i - held;
		if (held != last - first + 1)
			continue;
		if (runs == 0 || first != behind ||
		    run[runs - 1].stream != p->stream) {
			if (runs == room) {
				room = room ? room * 2 : 16;
				run = realloc(run, room * sizeof(*run));
				if (run == NULL)
					log_die("out of memory");
			}
			run[runs++] = (struct timeline_run){
				.stream = p->stream, .from_us = p->pts_us };
		}
		run[runs - 1].packets += (uint32_t)held;
		run[runs - 1].to_us = end_of(t, last);
		behind = last + 1;
	}
	free(hit);
	*out = run;
	return runs;
}

/* --- ffprobe --------------------------------------------------------------------- */

static void limit(__rlimit_resource_t what, rlim_t most)
{
	setrlimit(what, &(struct rlimit){ most, most });
}

/*
 * Parsers are off, so that a packet is what the container holds, with the times
 * that the container states; no stream is decoded. Nothing but a file may be
 * opened, by no other reader than those two: no playlist that names others.
 */
__attribute__((noreturn))
static void become_ffprobe(int copy, int out, pid_t parent, int limit_s)
{
	static const char *const argv[] = { "ffprobe", "-v", "quiet", "-fflags",
	    "+noparse+nofillin", "-nofind_stream_info", "-protocol_whitelist",
	    "file", "-format_whitelist", "mov,matroska", "-show_program_version",
	    "-show_entries", "program_version=version:format=format_name:"
	    "stream=index,codec_name,codec_type:packet=stream_index,pts_time,"
	    "duration_time,pos,size,flags", "-of", "compact", "-i", COPY_URL,
	    NULL };
	static const char *const env[] = { "LC_ALL=C", NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* out of the way first: any may have a number that another is to get */
	copy = fcntl(copy, F_DUPFD, 10);
	out = fcntl(out, F_DUPFD, 10);
	if (null < 0 || copy < 0 || out < 0 || dup2(null, 0) < 0 ||
	    dup2(out, 1) < 0 || dup2(null, 2) < 0 || dup2(copy, COPY_FD) < 0)
		_exit(126);
	close_range(COPY_FD + 1, ~0u, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_AS, (rlim_t)2 << 30);
	limit(RLIMIT_CPU, (rlim_t)limit_s);
	execvpe(argv[0], (char *const *)(uintptr_t)argv,
	    (char *const *)(uintptr_t)env);
	_exit(127);
}

static int left_ms(int64_t until_ns)
{
	int64_t left = until_ns - clock_ns(CLOCK_MONOTONIC);

	return left <= 0 ? 0 : left / NS_PER_MS < INT32_MAX ?
	    (int)(left / NS_PER_MS) + 1 : INT32_MAX;
}

/* Until its output ends; false with .why. */
static bool read_lines(struct timeline *t, int fd, int64_t until_ns)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	uint8_t buf[TIMELINE_LINE];
	size_t have = 0;

	for (;;) {
		uint8_t *from = buf, *end;
		int ms = left_ms(until_ns), ready;
		ssize_t n;

		ready = ms ? poll(&wait, 1, ms) : 0;
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return fail(t, "ffprobe took too long");
		n = read(fd, buf + have, sizeof(buf) - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(t, "ffprobe’s output cannot be read");
		if (n == 0)
			return have == 0 || odd(t, "half a line");
		have += (size_t)n;
		while ((end = memchr(from, '\n', have)) != NULL) {
			if (!timeline_line(t, span_of(from, (size_t)(end -
			    from))))
				return false;
			have -= (size_t)(end + 1 - from);
			from = end + 1;
		}
		if (have == sizeof(buf))
			return odd(t, "a line too long");
		memmove(buf, from, have);
	}
}

/* Ended and reaped in any case; false with .why if it did not end well. */
static bool end_child(struct timeline *t, pid_t pid, bool well,
    int64_t until_ns)
{
	static const struct timespec look = { .tv_nsec = 5 * NS_PER_MS };
	int status = 0;
	pid_t got = 0;

	while (well && (got = waitpid(pid, &status, WNOHANG)) == 0 &&
	    left_ms(until_ns))
		nanosleep(&look, NULL);
	if (got == 0) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
		while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
			;
		return well ? fail(t, "ffprobe took too long") : false;
	}
	if (got < 0)
		return fail(t, "ffprobe was lost");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return fail(t, "ffprobe could not be run; Debian’s package "
		    "ffmpeg has it");
	if (WIFSIGNALED(status))
		return fail(t, "ffprobe was ended by signal %d",
		    WTERMSIG(status));
	if (WEXITSTATUS(status) == 1 && t->version[0])
		return fail(t, "ffprobe does not read it as MP4, QuickTime, "
		    "Matroska or WebM");
	return WEXITSTATUS(status) == 0 || fail(t, "ffprobe failed with exit "
	    "status %d", WEXITSTATUS(status));
}

void timeline_read(struct timeline *t, int fd, uint64_t bytes, size_t most,
    int limit_s)
{
	int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + limit_s * NS_PER_S;
	pid_t parent = getpid(), pid;
	int pipes[2];
	bool well;

	*t = (struct timeline){ .most = most };
	if (pipe2(pipes, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		fail(t, "no process for ffprobe: %s", strerror(errno));
		return;
	}
	if (pid == 0)
		become_ffprobe(fd, pipes[1], parent, limit_s);
	setpgid(pid, pid);
	close(pipes[1]);
	well = read_lines(t, pipes[0], until_ns);
	close(pipes[0]);
	if (end_child(t, pid, well, until_ns))
		timeline_settle(t, bytes);
	if (t->why[0] == '\0')
		return;
	free(t->packet);
	t->packet = NULL;
	t->n = t->room = 0;
}

void timeline_free(struct timeline *t)
{
	free(t->packet);
	free(t->shown);
	free(t->placed);
	*t = (struct timeline){ 0 };
}

/* --- text ------------------------------------------------------------------------ */

const char *timeline_clock(int64_t us, char buf[TIMELINE_TEXT])
{
	/* of -1 µs the millisecond before it */
	int64_t ms = us >= 0 ? us / 1000 : -((-us + 999) / 1000);
	int64_t v = ms < 0 ? -ms : ms;

	snprintf(buf, TIMELINE_TEXT, "%s%" PRId64 ":%02d:%02d.%03d", ms < 0 ?
	    "-" : "", v / 3600000, (int)(v / 60000 % 60), (int)(v / 1000 % 60),
	    (int)(v % 1000));
	return buf;
}

const char *timeline_seconds(int64_t us, char buf[TIMELINE_TEXT])
{
	int64_t v = us < 0 ? -us : us;

	snprintf(buf, TIMELINE_TEXT, "%s%" PRId64 ".%06d", us < 0 ? "-" : "",
	    v / US_PER_S, (int)(v % US_PER_S));
	return buf;
}
