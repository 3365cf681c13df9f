/* What ffprobe may write, and what it may do instead. */
#include "report/timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "schema/now.h"
#include "tests/exact.h"

#define BYTES 100000
#define P(stream, pts, time, pos, size) "packet|stream_index=" stream \
	"|pts_time=" pts "|duration_time=" time "|size=" size "|pos=" pos \
	"|flags=K_"
#define MP4 "format|format_name=mov,mp4,m4a,3gp,3g2,mj2"
#define MKV "format|format_name=matroska,webm"
#define VIDEO "stream|index=0|codec_name=h264|codec_type=video"
#define AUDIO "stream|index=1|codec_name=aac|codec_type=audio"

/* Each in memory of its own size, so that a byte too many is seen. */
static bool feed(struct timeline *t, const char *const *line)
{
	bool ok = true;

	*t = (struct timeline){ .most = 1000 };
	for (; ok && *line; line++) {
		struct span s = exact(*line, strlen(*line));

		ok = timeline_line(t, s);
		unexact(s);
	}
	if (ok)
		timeline_settle(t, BYTES);
	return ok;
}

/* "0:0.000000-1.000000/2 ..." of the bytes. */
static const char *found(const struct timeline *t, uint64_t from, uint64_t to)
{
	static char text[1024];
	struct timeline_bytes at = { from, to };
	struct timeline_run *run;
	size_t n = timeline_find(t, &at, 1, &run), used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		char a[TIMELINE_TEXT], b[TIMELINE_TEXT];

		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s%u:%s-%s/%u", i ? " " : "", run[i].stream,
		    timeline_seconds(run[i].from_us, a),
		    timeline_seconds(run[i].to_us, b), run[i].packets);
	}
	free(run);
	return text;
}

/* What is found in all bytes but the last, and why nothing is. */
static const struct {
	const char *what, *line[8], *want, *why;
} cases[] = {
	{ "two packets", { P("0", "0.000000", "0.040000", "10", "5"),
	    P("0", "0.040000", "0.040000", "15", "5"), VIDEO, MP4 },
	    "0:0.000000-0.080000/2", "" },
	{ "no length: ends where it begins", { P("0", "1.5", "N/A", "10", "5"),
	    VIDEO, MP4 }, "0:1.500000-1.500000/1", "" },
	{ "no length: until the next", { P("0", "1", "N/A", "10", "5"),
	    P("0", "3", "N/A", "99999", "1"), VIDEO, MP4 },
	    "0:1.000000-3.000000/1", "" },
	{ "longer than until the next", { P("0", "1", "9", "10", "5"),
	    P("0", "3", "1", "99999", "1"), VIDEO, MP4 },
	    "0:1.000000-3.000000/1", "" },
	{ "a hole ends the range", { P("0", "1", "1", "10", "5"),
	    P("0", "2", "1", "99999", "1"), P("0", "3", "1", "20", "5"),
	    VIDEO, MP4 }, "0:1.000000-2.000000/1 0:3.000000-4.000000/1", "" },
	{ "of an unknown place: a hole", { P("0", "1", "1", "10", "5"),
	    P("0", "2", "1", "N/A", "5"), P("0", "3", "1", "20", "5"),
	    VIDEO, MP4 }, "0:1.000000-2.000000/1 0:3.000000-4.000000/1", "" },
	{ "beyond the file: a hole", { P("0", "1", "1", "10", "5"),
	    P("0", "2", "1", "99998", "3"), P("0", "3", "1",
	    "9223372036854775807", "4294967295"), VIDEO, MP4 },
	    "0:1.000000-2.000000/1", "" },
	{ "places that no number holds", { P("0", "1", "1", "10", "5"),
	    P("0", "2", "1", "99999999999999999999", "5"), P("0", "3", "1",
	    "20", "99999999999999999999"), P("0", "4", "1", "-1", "5"),
	    P("0", "5", "1", "", ""), VIDEO, MP4 },
	    "0:1.000000-2.000000/1", "" },
	{ "before the beginning", { P("0", "-0.023220", "0.023220", "10",
	    "5"), P("0", "0.000000", "0.02322", "15", "5"), VIDEO, MP4 },
	    "0:-0.023220-0.023220/2", "" },
	{ "out of order", { P("0", "0.08", "0.04", "10", "5"),
	    P("0", "0", "0.04", "15", "5"), P("0", "0.04", "0.04", "5", "5"),
	    VIDEO, MP4 }, "0:0.000000-0.120000/3", "" },
	{ "one time, one of them elsewhere", { P("0", "1", "1", "10", "5"),
	    P("0", "2", "1", "20", "5"), P("0", "2", "1", "99999", "1"),
	    P("0", "3", "1", "30", "5"), VIDEO, MP4 },
	    "0:1.000000-2.000000/1 0:3.000000-4.000000/1", "" },
	{ "one time, all of them there", { P("0", "1", "1", "10", "5"),
	    P("0", "1", "1", "20", "5"), P("0", "2", "1", "99999", "1"),
	    VIDEO, MP4 }, "0:1.000000-2.000000/2", "" },
	{ "streams apart", { P("1", "0", "1", "10", "5"),
	    P("0", "1", "1", "20", "5"), AUDIO, VIDEO, MP4 },
	    "0:1.000000-2.000000/1 1:0.000000-1.000000/1", "" },
	{ "cut out by an edit list", { P("0", "0", "1", "99999", "1") "D",
	    P("0", "0", "1", "10", "5"), VIDEO, MP4 },
	    "0:0.000000-1.000000/1", "" },
	{ "side data", { P("0", "0", "1", "10", "5") "|side_data|"
	    "side_data_type=Skip Samples|skip_samples=1024", "", VIDEO, MP4 },
	    "0:0.000000-1.000000/1", "" },
	{ "one without a time: its stream is not stated", {
	    P("0", "1", "1", "10", "5"), P("0", "N/A", "1", "15", "5"),
	    P("1", "4", "1", "20", "5"), VIDEO, AUDIO, MP4 },
	    "1:4.000000-5.000000/1", "" },
	{ "times that cannot be meant", { P("0", "1e9", "1", "10", "5"),
	    VIDEO, P("1", "99999999999999999999.000000", "1", "20", "5"),
	    AUDIO, MP4 }, "", "no packet of it has a time" },
	{ "so long a packet", { P("0", "1", "99999999999", "10", "5"), VIDEO,
	    MP4 }, "0:1.000000-1.000000/1", "" },
	{ "lengths below nothing", { P("0", "1", "-5", "10", "5"), VIDEO, MP4 },
	    "0:1.000000-1.000000/1", "" },
	{ "blocks end before the next, of whatever stream", {
	    P("0", "0", "1", "10", "5"), P("1", "0", "1", "20", "5"),
	    P("0", "1", "1", "99990", "5"), VIDEO, AUDIO, MKV },
	    "0:0.000000-1.000000/1 1:0.000000-1.000000/1", "" },
	{ "the last block may reach to the end", { P("0", "0", "1", "10", "5"),
	    VIDEO, MKV }, "", "" },
	{ "several packets of a block", { P("0", "0", "1", "10", "5"),
	    P("0", "1", "1", "10", "7"), P("0", "2", "1", "99999", "1"),
	    VIDEO, MKV }, "0:0.000000-2.000000/2", "" },
	{ "scattered packets", { P("0", "0", "1", "10", "5"),
	    "stream|index=0|codec_name=cook|codec_type=audio", MKV }, "", "" },
	{ "a stream that nothing is said of", { P("3", "0", "1", "10", "5"),
	    MP4 }, "", "" },
	{ "names that are none", { P("0", "0", "1", "10", "5"),
	    "stream|index=0|codec_name=<b>|codec_type=\"", MP4 },
	    "0:0.000000-1.000000/1", "" },
	{ "another container", { P("0", "0", "1", "10", "5"), VIDEO,
	    "format|format_name=mpegts" }, "", "neither MP4" },
	{ "no container", { P("0", "0", "1", "10", "5"), VIDEO }, "",
	    "neither MP4" },
	{ "nothing", { MP4 }, "", "no packet of it has a time" },
	{ "a number of a stream that is none", { P("x", "0", "1", "1", "1") },
	    "", "no number of a stream" },
	{ "no number of a stream", { "packet|pts_time=1|flags=__" }, "",
	    "no number of a stream" },
	{ "streams without end", { P("64", "0", "1", "1", "1") }, "",
	    "more than 64 streams" },
	{ "a stream too far", { "stream|index=4294967295|codec_name=x" }, "",
	    "more than 64 streams" },
	{ "no flags", { "packet|stream_index=0|pts_time=1|pos=1|size=1" }, "",
	    "without flags" },
	{ "only a beginning", { "packet|" }, "", "no number of a stream" },
	{ "bars", { "packet||||||=|=" }, "", "no number of a stream" },
	{ "another line", { "frame|media_type=video" }, "", "another kind" },
	{ "a version that is none", { "program_version|version=<script>" }, "",
	    "its version" },
	{ "a format without a name", { "format|size=3" }, "", "no name" },
};

static void lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct timeline t;
		const char *got;

		feed(&t, cases[i].line);
		got = found(&t, 0, BYTES - 1);
		if (strcmp(got, cases[i].want) || !strstr(t.why, cases[i].why)
		    || (cases[i].why[0] == '\0' && t.why[0]))
			fail_msg("%s: \"%s\", why \"%s\"", cases[i].what, got,
			    t.why);
		timeline_free(&t);
	}
}

/* Every beginning and every single changed byte of a line. */
static void mangled(void **state)
{
	static const char line[] = P("0", "-1.5", "0.25", "10", "5");
	size_t n = sizeof(line) - 1;

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (int b = -1; b < 256; b++) {
			struct timeline t = { .most = 10 };
			char text[sizeof(line)];
			struct span s;

			memcpy(text, line, n);
			if (b >= 0)
				text[i] = (char)b;
			s = exact(text, b < 0 ? i : n);
			if (timeline_line(&t, s))
				timeline_settle(&t, BYTES);
			found(&t, 0, BYTES);
			timeline_free(&t);
			unexact(s);
		}
}

/* Whether a packet counts is a matter of its last byte, too. */
static void edges(void **state)
{
	static const char *const line[] = { P("0", "0", "1", "10", "5"), VIDEO,
		MP4, NULL };
	static const uint64_t at[][3] = { { 10, 15, 1 }, { 9, 16, 1 },
		{ 11, 15, 0 }, { 10, 14, 0 }, { 15, 20, 0 }, { 0, 10, 0 },
		{ 10, 10, 0 } };
	struct timeline t;

	(void)state;
	assert_true(feed(&t, line));
	for (size_t i = 0; i < COUNT(at); i++)
		assert_int_equal(found(&t, at[i][0], at[i][1])[0] != '\0',
		    at[i][2]);
	timeline_free(&t);
}

static void bounded(void **state)
{
	struct timeline t = { .most = 5000 };
	char line[128];
	int n = 0;
	bool ok = true;

	(void)state;
	for (int i = 0; i < 3000000 && ok; i++, n++) {
		snprintf(line, sizeof(line), P("0", "%d", "1", "%d", "1"), i,
		    i);
		ok = timeline_line(&t, span_str(line));
	}
	assert_false(ok);
	assert_int_equal(n, 5001);
	assert_int_equal(t.room, 5000);
	assert_non_null(strstr(t.why, "more than"));
	timeline_free(&t);
}

static void clocks(void **state)
{
	static const struct {
		int64_t us;
		const char *clock, *seconds;
	} want[] = {
		{ 0, "0:00:00.000", "0.000000" },
		{ 3723456789, "1:02:03.456", "3723.456789" },
		{ 999, "0:00:00.000", "0.000999" },
		{ -23220, "-0:00:00.024", "-0.023220" },
		{ 59999999, "0:00:59.999", "59.999999" },
		{ 10000000000000000, "2777777:46:40.000",
		    "10000000000.000000" },
	};
	char buf[TIMELINE_TEXT];

	(void)state;
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_string_equal(timeline_clock(want[i].us, buf),
		    want[i].clock);
		assert_string_equal(timeline_seconds(want[i].us, buf),
		    want[i].seconds);
	}
}

/* --- in ffprobe's place ---------------------------------------------------------- */

static char folder[] = "/tmp/test_timeline.XXXXXX", script[64];

static const char *instead(const char *text, struct timeline *t, int limit_s)
{
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	FILE *f = fopen(script, "w");

	assert_true(f && fd >= 0);
	fprintf(f, "#!/bin/sh\n%s\n", text);
	fclose(f);
	assert_int_equal(chmod(script, 0700), 0);
	timeline_read(t, fd, BYTES, 100, limit_s);
	close(fd);
	/* nothing is left behind */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	assert_true(t->why[0] == '\0' || t->n == 0);
	return t->why;
}

static void children(void **state)
{
	static const struct {
		const char *what, *script, *why;
	} acts[] = {
		{ "all is well", "echo 'program_version|version=1'; echo '"
		    P("0", "0", "1", "10", "5") "'; echo '" VIDEO "'; echo '"
		    MP4 "'", "" },
		{ "refuses", "echo 'program_version|version=1'; exit 1",
		    "does not read it" },
		{ "fails at once", "exit 1", "exit status 1" },
		{ "fails", "exit 3", "exit status 3" },
		{ "is killed", "kill -9 $$", "signal 9" },
		{ "half a line", "printf 'packet|stream'", "half a line" },
		{ "a line without end", "exec yes -- -ne x | tr -d '\\n'",
		    "a line too long" },
		{ "zeros", "exec cat /dev/zero", "a line too long" },
		{ "packets without end", "exec yes '" P("0", "0", "1", "1",
		    "1") "'", "more than" },
		{ "says nothing", "exec sleep 60", "too long" },
		{ "will not end", "exec >&- 2>&-; sleep 60", "too long" },
		{ "leaves another", "sleep 60 & exit 0", "too long" },
		{ "empty lines without end", "exec yes ''", "too long" },
		{ "not a program", "\n\n\n/nowhere/at/all", "could not be run" },
	};
	struct timeline t;

	(void)state;
	for (size_t i = 0; i < COUNT(acts); i++) {
		int64_t from = clock_ns(CLOCK_MONOTONIC);
		const char *why = instead(acts[i].script, &t, strcmp(
		    acts[i].why, "too long") ? 60 : 1);

		if (!strstr(why, acts[i].why) || (acts[i].why[0] == '\0' &&
		    why[0]))
			fail_msg("%s: %s", acts[i].what, why);
		if (clock_ns(CLOCK_MONOTONIC) - from > 30 * NS_PER_S)
			fail_msg("%s: it was waited for", acts[i].what);
		timeline_free(&t);
	}
	assert_int_equal(unlink(script), 0);
	timeline_read(&t, 0, BYTES, 100, 60);
	assert_non_null(strstr(t.why, "could not be run"));
	timeline_free(&t);
}

/* What it is given: nothing to type into, the file, no other descriptor. */
static void given(void **state)
{
	int more = open("/dev/null", O_RDONLY);	/* on purpose without CLOEXEC */
	struct timeline t;

	(void)state;
	instead("test \"$(readlink /proc/$$/fd/0)\" = /dev/null && "
	    "test \"$(readlink /proc/$$/fd/2)\" = /dev/null && "
	    "test \"$(readlink /proc/$$/fd/3)\" = /dev/zero && "
	    "test \"$(head -c 2 /proc/self/fd/3 | wc -c)\" = 2 && "
	    "test -z \"$HOME$FFREPORT\" && "
	    "cd /proc/$$/fd && set -- * && IFS=, && "
	    "echo \"program_version|version=$*\"\ntouch \"$0.made\"; echo x >\"$0.made\"; exit 9", &t,
	    60);
	close(more);
	/* the shell's own: 4, of the folder it lists; 10, of the script */
	if (strcmp(t.version, "0,1,10,2,3,4"))
		fail_msg("descriptors \"%s\", %s", t.version, t.why);
	timeline_free(&t);
}

static int begin(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(script, sizeof(script), "%s/ffprobe", folder);
	setenv("FFREPORT", "file=x", 1);
	setenv("PATH", folder, 1);
	return 0;
}

static int end(void **state)
{
	char made[80];
	struct stat st;

	(void)state;
	snprintf(made, sizeof(made), "%s.made", script);
	/* it could make a file, but not fill it */
	assert_true(stat(made, &st) < 0 || st.st_size == 0);
	unlink(made);
	unlink(script);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(mangled),
		cmocka_unit_test(edges),
		cmocka_unit_test(bounded),
		cmocka_unit_test(clocks),
		cmocka_unit_test(children),
		cmocka_unit_test(given),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
