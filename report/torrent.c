#include "report/torrent.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "report/reader.h"
#include "schema/log.h"
#include "schema/torrent.h"
#include "wire/magnet.h"

#define PATH_CUT 4096u		/* of a path or name in the output */
#define SHOWN_FILES 50u		/* in the summary; --json lists all */
#define SHOWN_TRACKERS 20u
#define CUT_NOTE "a path longer than 4096 bytes (cut here)"

static const char *version(bool v1, bool v2)
{
	return v1 ? v2 ? "hybrid" : "1" : "2";
}

/* --- JSON ------------------------------------------------------------------ */

/* What was put so far goes out, so that a million files take no memory. */
static bool flush(struct json *j)
{
	bool comma = j->comma, ok = !j->failed;

	if (ok && j->n)
		fwrite(j->text, 1, j->n, stdout);
	json_reset(j);
	j->comma = comma;
	return ok;
}

static void put_hash(struct json *j, const char *key, bool known,
    const uint8_t *hash, size_t n)
{
	if (known)
		json_hex(j, key, span_of(hash, n));
	else
		json_null(j, key);
}

/* The path, cut; whether it had to be. */
static bool path_of(const struct torrent *t, const struct mi_file *f,
    char buf[PATH_CUT], struct span *path)
{
	size_t n = mi_path(&t->mi, f, buf, PATH_CUT);

	*path = span_of(buf, n < PATH_CUT ? n : PATH_CUT);
	return n > PATH_CUT;
}

static bool put_files(struct json *j, const struct torrent *t, bool *was_cut)
{
	char buf[PATH_CUT];
	struct span path;

	json_open(j, "files", '[');
	for (uint32_t i = 0; i < t->mi.files; i++) {
		const struct mi_file *f = &t->files[i];

		*was_cut |= path_of(t, f, buf, &path);
		json_open(j, NULL, '{');
		json_text(j, "path", path);
		json_uint(j, "bytes", f->bytes);
		json_bool(j, "pad", f->pad);
		json_close(j, '}');
		if (!flush(j))
			return false;
	}
	json_close(j, ']');
	return true;
}

static bool json_torrent(struct json *j, const char *path,
    const struct torrent *t)
{
	const struct metainfo *mi = &t->mi;
	struct mi_trackers it = { 0 };
	struct span url;
	unsigned tier;
	bool was_cut = false;

	json_open(j, NULL, '{');
	json_str(j, "path", path);
	json_text(j, "name", mi->name);
	put_hash(j, "infohash_v1", mi->v1, mi->hash_v1, 20);
	put_hash(j, "infohash_v2", mi->v2, mi->hash_v2, 32);
	json_str(j, "version", version(mi->v1, mi->v2));
	json_uint(j, "total_bytes", mi->total_bytes);
	json_uint(j, "piece_bytes", mi->piece_bytes);
	json_uint(j, "pieces", mi->pieces);
	json_bool(j, "private", mi->is_private);
	if (!put_files(j, t, &was_cut))
		return false;
	json_open(j, "trackers", '[');
	while (mi_tracker(mi, &it, &url, &tier)) {
		json_text(j, NULL, url);
		if (!flush(j))
			return false;
	}
	json_close(j, ']');
	json_open(j, "notes", '[');
	for (unsigned bit = 1; bit <= MI_NOTE_LAST; bit <<= 1)
		if (mi->notes & bit)
			json_str(j, NULL, mi_note_text(bit));
	if (was_cut)
		json_str(j, NULL, CUT_NOTE);
	json_close(j, ']');
	json_close(j, '}');
	return flush(j);
}

/* The next value of a key, cut to buf; false if there is none. */
static bool param(const struct magnet *m, struct magnet_values *it,
    const char *key, char buf[PATH_CUT], struct span *value)
{
	long n = magnet_next(m, it, key, buf, PATH_CUT);

	if (n < 0)
		return false;
	*value = span_of(buf, n < (long)PATH_CUT ? (size_t)n : PATH_CUT);
	return true;
}

static bool json_magnet(struct json *j, const char *link,
    const struct magnet *m)
{
	static const char *const unknown[] = { "total_bytes", "piece_bytes",
	    "pieces", "private", "files" };
	struct magnet_values name = { .begun = false }, trackers = name;
	char buf[PATH_CUT];
	struct span v;

	json_open(j, NULL, '{');
	json_str(j, "path", link);
	if (param(m, &name, "dn", buf, &v))
		json_text(j, "name", v);
	else
		json_null(j, "name");
	put_hash(j, "infohash_v1", m->v1, m->hash_v1, 20);
	put_hash(j, "infohash_v2", m->v2, m->hash_v2, 32);
	json_str(j, "version", version(m->v1, m->v2));
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
		json_null(j, unknown[i]);
	json_open(j, "trackers", '[');
	while (param(m, &trackers, "tr", buf, &v))
		json_text(j, NULL, v);
	json_close(j, ']');
	json_open(j, "notes", '[');
	if (m->unsupported)
		json_str(j, NULL, "parameters that are not read");
	json_close(j, ']');
	json_close(j, '}');
	return flush(j);
}

/* --- for people ------------------------------------------------------------ */

static void say(const char *label, struct span text)
{
	char safe[4 * PATH_CUT + 1];

	printf("  %-12s %s\n", label, log_safe(text, safe, sizeof(safe)));
}

static void say_hash(const char *label, bool known, const uint8_t *hash,
    size_t n)
{
	char hex[65];

	if (known)
		printf("  %-12s %s\n", label, hex_of(hash, n, hex));
}

static void say_size(uint64_t n)
{
	static const char *const unit[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
	double v = (double)n / 1024;
	size_t i = 0;

	for (; v >= 1024 && i < 4; i++)
		v /= 1024;
	if (n < 1024)
		printf("  %-12s %" PRIu64 " bytes\n", "size", n);
	else
		printf("  %-12s %" PRIu64 " bytes (%.1f %s)\n", "size", n, v,
		    unit[i]);
}

static void say_files(const struct torrent *t)
{
	char buf[PATH_CUT], safe[4 * PATH_CUT + 1];
	uint32_t shown = 0, pads = 0;
	struct span path;

	for (uint32_t i = 0; i < t->mi.files; i++) {
		const struct mi_file *f = &t->files[i];

		if (f->pad) {
			pads++;
			continue;
		}
		if (shown++ >= SHOWN_FILES)
			continue;
		path_of(t, f, buf, &path);
		printf("  %-12s %14" PRIu64 "  %s%s\n", "file", f->bytes,
		    log_safe(path, safe, sizeof(safe)),
		    f->symlink ? " (symbolic link)" : "");
	}
	if (shown > SHOWN_FILES)
		printf("  %-12s and %" PRIu32 " files more; --json lists them "
		    "all\n", "", shown - SHOWN_FILES);
	if (pads)
		printf("  %-12s %" PRIu32 " files of padding\n", "", pads);
}

static void say_torrent(const char *path, const struct torrent *t)
{
	const struct metainfo *mi = &t->mi;
	char safe[4 * PATH_CUT + 1];
	struct mi_trackers it = { 0 };
	struct span url;
	unsigned tier, n = 0;

	printf("%s\n", log_safe(span_str(path), safe, sizeof(safe)));
	say("name", mi->name);
	printf("  %-12s %s%s\n", "version", version(mi->v1, mi->v2),
	    mi->is_private ? ", private" : "");
	say_hash("infohash v1", mi->v1, mi->hash_v1, 20);
	say_hash("infohash v2", mi->v2, mi->hash_v2, 32);
	say_size(mi->total_bytes);
	printf("  %-12s %" PRIu32 " of %" PRIu32 " bytes\n", "pieces",
	    mi->pieces, mi->piece_bytes);
	while (mi_tracker(mi, &it, &url, &tier))
		if (n++ < SHOWN_TRACKERS)
			say("tracker", url);
	if (n > SHOWN_TRACKERS)
		printf("  %-12s and %u trackers more\n", "",
		    n - SHOWN_TRACKERS);
	say_files(t);
	for (unsigned bit = 1; bit <= MI_NOTE_LAST; bit <<= 1)
		if (mi->notes & bit)
			printf("  %-12s %s\n", "note", mi_note_text(bit));
}

static void say_magnet(const char *link, const struct magnet *m)
{
	struct magnet_values name = { .begun = false }, trackers = name,
	    peers = name;
	char buf[PATH_CUT], safe[4 * PATH_CUT + 1];
	struct span v;

	printf("%s\n", log_safe(span_str(link), safe, sizeof(safe)));
	if (param(m, &name, "dn", buf, &v))
		say("name", v);
	printf("  %-12s %s\n", "version", version(m->v1, m->v2));
	say_hash("infohash v1", m->v1, m->hash_v1, 20);
	say_hash("infohash v2", m->v2, m->hash_v2, 32);
	while (param(m, &trackers, "tr", buf, &v))
		say("tracker", v);
	while (param(m, &peers, "x.pe", buf, &v))
		say("peer", v);
	if (m->unsupported)
		say("note", span_str("parameters that are not read"));
}

/* --- the command ----------------------------------------------------------- */

/* A bare infohash counts as a link, unless there is a file of that name. */
static bool is_link(const char *arg)
{
	struct magnet m;
	struct wire_error err;

	if (strncasecmp(arg, "magnet:", 7) == 0)
		return true;
	return magnet_read(span_str(arg), &m, &err) == WIRE_OK &&
	    access(arg, F_OK) != 0;
}

static bool show_link(const char *link, struct json *j)
{
	struct magnet m;
	struct wire_error err;
	char safe[512];

	if (magnet_read(span_str(link), &m, &err) != WIRE_OK) {
		log_warn("%s: offset %zu: %s", log_safe(span_str(link), safe,
		    sizeof(safe)), err.offset, err.reason);
		return false;
	}
	if (j)
		return json_magnet(j, link, &m);
	say_magnet(link, &m);
	return true;
}

static bool show_file(const char *path, struct json *j)
{
	struct torrent *t = torrent_load(path);
	bool ok = t != NULL;

	if (t && j)
		ok = json_torrent(j, path, t);
	else if (t)
		say_torrent(path, t);
	torrent_free(t);
	return ok;
}

static const char usage[] =
    "usage: swarmwitness torrent [--json] [--no-sandbox] FILE|MAGNET...\n"
    "  --json         one JSON object a line, in the order given\n"
    "  --no-sandbox   do not confine this process\n"
    "  --help         this\n"
    "FILE is a .torrent, MAGNET a magnet link or an infohash of 40 or 64 hex\n"
    "digits. Exit status 0 if all could be read, 1 if not, 2 for misuse.\n";

static int confine(char **names, size_t n, bool none)
{
	struct sandbox_path *paths = calloc(n, sizeof(*paths));
	int rc;

	if (!paths)
		log_die("out of memory");
	for (size_t i = 0; i < n; i++)
		if (!is_link(names[i]))
			paths[i].path = names[i];
	rc = reader_confine(paths, n, none);
	free(paths);
	return rc;
}

int torrent_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "no-sandbox", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool as_json = false, no_sandbox = false, ok = true;
	struct json j;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1)
		switch (c) {
		case 'j':
			as_json = true;
			break;
		case 's':
			no_sandbox = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	if (optind == argc) {
		fputs(usage, stderr);
		return 2;
	}
	if (confine(argv + optind, (size_t)(argc - optind), no_sandbox) < 0)
		return 1;
	json_init(&j, JSON_MOST);
	for (int i = optind; i < argc; i++) {
		struct json *out = as_json ? &j : NULL;
		bool shown = is_link(argv[i]) ? show_link(argv[i], out) :
		    show_file(argv[i], out);

		if (as_json && shown)
			putchar('\n');
		ok &= shown;
		json_reset(&j);
	}
	json_fini(&j);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		log_warn("standard output: writing failed");
		ok = false;
	}
	return ok ? 0 : 1;
}
