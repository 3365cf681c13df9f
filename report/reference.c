#include "report/reference.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "report/pseudonym.h"
#include "report/rows.h"
#include "schema/log.h"
#include "schema/now.h"

#define PATH_MOST 65536u
#define TIME_LIMIT_S 60		/* of ffprobe, and what a slow disk needs */
#define TIME_BYTES_S 5000000

/* --- names --------------------------------------------------------------------- */

static bool ends(const char *path, const char *const *list)
{
	const char *dot = strrchr(path, '.');

	for (; dot && *list; list++)
		if (strcasecmp(dot + 1, *list) == 0)
			return true;
	return false;
}

/* "sample" as a word of its own: "Film-sample.mkv", "Sample/film.mkv". */
static bool is_sample(const char *path)
{
	for (const char *p = path; (p = strcasestr(p, "sample")); p++)
		if ((p == path || !isalnum((unsigned char)p[-1])) &&
		    !isalnum((unsigned char)p[6]))
			return true;
	return false;
}

const char *reference_kind(const char *path, bool pad)
{
	static const char *const sub[] = { "srt", "sub", "idx", "ass", "ssa",
	    "vtt", "sup", "smi", NULL };
	static const char *const video[] = { "mkv", "mp4", "avi", "m4v", "mov",
	    "wmv", "ts", "m2ts", "webm", "mpg", "mpeg", "vob", "flv", NULL };
	static const char *const audio[] = { "mp3", "flac", "m4a", "ogg",
	    "opus", "wav", "aac", "ac3", "dts", "wma", NULL };
	static const char *const picture[] = { "jpg", "jpeg", "png", "gif",
	    "webp", "bmp", NULL };
	static const char *const text[] = { "txt", "nfo", "md", "url", "html",
	    "sfv", "md5", "pdf", "epub", NULL };
	static const char *const archive[] = { "zip", "rar", "7z", "tar", "gz",
	    "xz", "iso", NULL };

	return pad ? "padding" : is_sample(path) ? "sample" :
	    ends(path, sub) ? "subtitles" : ends(path, video) ? "video" :
	    ends(path, audio) ? "audio" : ends(path, picture) ? "picture" :
	    ends(path, text) ? "text" : ends(path, archive) ? "archive" :
	    "other";
}

const char *reference_path(const struct references *all,
    const struct torrent *t, uint32_t file, char buf[REFERENCE_PATH])
{
	size_t n = mi_path(&t->mi, &t->files[file], buf, REFERENCE_PATH - 1);
	char *shown;

	buf[n < REFERENCE_PATH - 1 ? n : REFERENCE_PATH - 1] = '\0';
	if (all->veil) {
		shown = pseudonym_copy(all->veil, buf);
		snprintf(buf, REFERENCE_PATH, "%s", shown);
		free(shown);
	}
	return buf;
}

const char *reference_word(enum reference_verdict v)
{
	static const char *const word[] = { "agrees", "differs", "open" };

	return word[v];
}

/* --- which file of which torrent ---------------------------------------------- */

/* Takes the torrent of raw bytes, unless a reference has it already. NULL: its
 * metainfo does not read, which the monitor said when it was recorded. */
static struct torrent *torrent_of(const struct references *r, struct span raw,
    bool *fresh)
{
	struct wire_error err;
	struct torrent *t = torrent_new(raw, &err);

	*fresh = t != NULL;
	for (size_t i = 0; t && i < r->n; i++)
		if (strcmp(r->at[i].t->swarm, t->swarm) == 0) {
			torrent_free(t);
			*fresh = false;
			return r->at[i].t;
		}
	return t;
}

/* How many files of t have this path; *file is the first. */
static uint32_t files_named(const struct torrent *t, const char *name,
    size_t len, uint32_t *file, char *buf)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < t->mi.files; i++) {
		size_t n = mi_path(&t->mi, &t->files[i], buf, PATH_MOST);

		if (n == len && n <= PATH_MOST && !memcmp(buf, name, n) &&
		    found++ == 0)
			*file = i;
	}
	return found;
}

/* FILE is what stands before an '=' and is a path of a torrent: names may have
 * one of their own. */
static uint32_t spec_named(const struct torrent *t, const char *spec,
    uint32_t *file, const char **path, char *buf)
{
	uint32_t found = 0;

	for (const char *eq = spec; (eq = strchr(eq, '=')); eq++) {
		uint32_t at, n = files_named(t, spec, (size_t)(eq - spec), &at,
		    buf);

		if (n && found == 0) {
			*file = at;
			*path = eq + 1;
		}
		found += n;
	}
	return found;
}

static int find(struct references *r, const char *spec,
    const struct facts *cases, size_t ncases, const char *swarm)
{
	struct reference *new = &r->at[r->n];
	char *buf = malloc(PATH_MOST), safe[512];
	uint32_t found = 0;
	int status = 0;

	if (buf == NULL)
		log_die("out of memory");
	log_safe(span_str(spec), safe, sizeof(safe));
	*new = (struct reference){ .fd = -1, .whole = -1 };
	for (size_t i = 0; i < ncases; i++) {
		struct rows q;

		rows_open(&q, cases[i].db, "SELECT r.swarm, w.bytes FROM about "
		    "AS a JOIN evidence.record AS r ON r.seq = a.seq JOIN "
		    "evidence.raw AS w ON w.seq = a.seq WHERE a.kind = "
		    "'torrent' AND ?1 IN ('', r.swarm) ORDER BY a.seq",
		    swarm ? swarm : "");
		while (rows_next(&q)) {
			const char *path;
			uint32_t file, n;
			bool fresh;
			struct torrent *t = torrent_of(r, span_of(
			    sqlite3_column_blob(q.st, 1), (size_t)
			    sqlite3_column_bytes(q.st, 1)), &fresh);

			if (t == NULL)
				continue;
			n = spec_named(t, spec, &file, &path, buf);
			/* the same torrent in another case or run */
			if (n && new->t && !strcmp(new->t->swarm, t->swarm))
				n = 0;
			if (n && new->t == NULL) {
				new->t = t;
				new->owns = fresh;
				new->c = &cases[i];
				new->file = file;
				new->path = path;
				fresh = false;
			}
			found += n;
			if (fresh)
				torrent_free(t);
		}
		if (rows_close(&q))
			status = -1;
	}
	free(buf);
	if (new->t)
		r->n++;
	if (found == 0)
		log_warn("report: --reference %s: no torrent of the case%s has "
		    "a file of that name (FILE=PATH; FILE as records name it, "
		    "with the torrent's name before it if it has several "
		    "files)", safe, swarm ? " and --swarm" : "");
	else if (found > 1)
		log_warn("report: --reference %s: %u files have that name; "
		    "--swarm says which torrent", safe, found);
	return status || found != 1 ? -1 : 0;
}

/* --- the copy ------------------------------------------------------------------- */

static const struct mi_file *file_of(const struct reference *r)
{
	return &r->t->files[r->file];
}

static ssize_t take(int fd, uint8_t *p, size_t n, uint64_t at)
{
	size_t got = 0;

	while (got < n) {
		ssize_t k = pread(fd, p + got, n - got, (off_t)(at + got));

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		got += (size_t)k;
	}
	return (ssize_t)got;
}

/* SHA-256 of as many bytes as the torrent's file has. */
static int digest(struct reference *r)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t buf[65536], sum[32];
	uint64_t left = file_of(r)->bytes, at = 0;
	int status = 0;

	if (ctx == NULL || !EVP_DigestInit_ex(ctx, EVP_sha256(), NULL))
		log_die("SHA-256 is not to be had");
	while (left && status == 0) {
		size_t n = left < sizeof(buf) ? (size_t)left : sizeof(buf);

		if (take(r->fd, buf, n, at) < 0)
			status = -1;
		else
			EVP_DigestUpdate(ctx, buf, n);
		at += n;
		left -= n;
	}
	EVP_DigestFinal_ex(ctx, sum, NULL);
	EVP_MD_CTX_free(ctx);
	hex_of(sum, 32, r->sha256);
	return status;
}

static int64_t changed(const struct stat *st)
{
	return (int64_t)st->st_ctim.tv_sec * NS_PER_S + st->st_ctim.tv_nsec;
}

static int open_copy(struct reference *r)
{
	const struct mi_file *f = file_of(r);
	char safe[512];
	struct stat st;

	log_safe(span_str(r->path), safe, sizeof(safe));
	if (f->pad || f->symlink || f->bytes == 0) {
		log_warn("report: --reference ...=%s: that file of the torrent "
		    "is %s: there is nothing to compare", safe, f->pad ?
		    "padding" : f->symlink ? "a link" : "empty");
		return -1;
	}
	/* NONBLOCK: a pipe of that name must not make us wait */
	r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (r->fd < 0 || fstat(r->fd, &st) < 0) {
		log_warn("report: --reference: %s: %s", safe, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		log_warn("report: --reference: %s: not a file", safe);
		return -1;
	}
	if ((uint64_t)st.st_size != f->bytes) {
		log_warn("report: --reference: %s: %lld bytes; the torrent's "
		    "file has %llu", safe, (long long)st.st_size,
		    (unsigned long long)f->bytes);
		return -1;
	}
	r->changed_ns = changed(&st);
	if (digest(r) < 0) {
		log_warn("report: --reference: %s: cannot be read whole", safe);
		return -1;
	}
	return 0;
}

/* --- pieces --------------------------------------------------------------------- */

/* The digests of one piece being taken, 16 KiB by 16 KiB. */
struct taking {
	EVP_MD_CTX *sha1;
	uint8_t *leaves;	/* v2: of the piece, zeroed first */
	uint8_t block[MI_BLOCK];
};

const struct reference *reference_of(const struct references *all,
    const struct torrent *t, uint32_t file)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->at[i].t == t && all->at[i].file == file)
			return &all->at[i];
	return NULL;
}

/*
 * Bytes [at, at + n) of the torrent's piece space, out of the copies; padding
 * is zeros (BEP 47). 1: some of them are of a file that no copy was given of.
 */
static int gather(const struct references *all, const struct torrent *t,
    uint32_t *file, uint64_t at, uint8_t *p, size_t n)
{
	memset(p, 0, n);	/* v2: what lies between files is zero, too */
	while (*file < t->mi.files &&
	    t->files[*file].offset + t->files[*file].bytes <= at)
		(*file)++;
	for (uint32_t i = *file; i < t->mi.files &&
	    t->files[i].offset < at + n; i++) {
		const struct mi_file *f = &t->files[i];
		const struct reference *r;
		uint64_t from = f->offset > at ? f->offset : at;
		uint64_t to = f->offset + f->bytes < at + n ?
		    f->offset + f->bytes : at + n;

		if (f->bytes == 0 || f->pad)
			continue;
		r = reference_of(all, t, i);
		if (r == NULL)
			return 1;
		if (take(r->fd, p + (from - at), (size_t)(to - from),
		    from - f->offset) < 0) {
			log_warn("report: --reference: %s: it changed while it "
			    "was read", r->path);
			return -1;
		}
	}
	return 0;
}

/* Judges a piece; -1 logged. */
static int judge(struct taking *k, const struct references *all,
    const struct reference *r, uint32_t piece, enum reference_verdict *out)
{
	const struct torrent *t = r->t;
	uint64_t start = (uint64_t)piece * t->mi.piece_bytes;
	uint32_t bytes = torrent_piece_bytes(t, piece), file = 0, done = 0;
	static const uint8_t zero[32];
	uint8_t sum[32];
	struct expect e;
	bool known = false, same = true;

	torrent_expect(t, piece, &e);
	*out = REFERENCE_OPEN;
	if (e.v1.n == 0 && e.v2.n == 0)
		return 0;
	/* the first file with a byte of it: before r's, if they share it */
	for (file = r->file; file > 0 && t->files[file - 1].offset +
	    t->files[file - 1].bytes > start; file--)
		;
	EVP_DigestInit_ex(k->sha1, EVP_sha1(), NULL);
	if (e.v2_leaves)
		memset(k->leaves, 0, (size_t)e.v2_leaves * 32);
	for (; done < bytes; done += MI_BLOCK) {
		uint32_t n = bytes - done < MI_BLOCK ? bytes - done : MI_BLOCK;
		int status = gather(all, t, &file, start + done, k->block, n);

		if (status)
			return status < 0 ? -1 : 0;
		EVP_DigestUpdate(k->sha1, k->block, n);
		if (done < e.v2_bytes)
			EVP_Digest(k->block, e.v2_bytes - done < n ?
			    e.v2_bytes - done : n, k->leaves + (size_t)(done /
			    MI_BLOCK) * 32, NULL, EVP_sha256(), NULL);
	}
	EVP_DigestFinal_ex(k->sha1, sum, NULL);
	if (e.v1.n) {
		known = true;
		same = memcmp(sum, e.v1.p, 20) == 0;
	}
	if (e.v2.n) {
		known = true;
		mi_merkle_root(k->leaves, e.v2_leaves, zero, sum);
		same = same && memcmp(sum, e.v2.p, 32) == 0;
	}
	if (known)
		*out = same ? REFERENCE_AGREES : REFERENCE_DIFFERS;
	return 0;
}

static void extent_of(const struct reference *r, uint32_t i, uint64_t *from,
    uint64_t *to)
{
	const struct mi_file *f = file_of(r);
	uint64_t start = (uint64_t)(r->first + i) * r->t->mi.piece_bytes;
	uint64_t end = start + torrent_piece_bytes(r->t, r->first + i);

	*from = start > f->offset ? start - f->offset : 0;
	*to = end < f->offset + f->bytes ? end - f->offset : f->bytes;
}

/* The root over the blocks of piece i of the file, in a tree of `leaves`. */
static int piece_root(const struct reference *r, struct taking *k, uint32_t i,
    uint32_t leaves, uint8_t root[32])
{
	uint64_t at = (uint64_t)i * r->t->mi.piece_bytes;
	static const uint8_t zero[32];

	memset(k->leaves, 0, (size_t)leaves * 32);
	for (uint32_t b = 0; b < leaves && at < file_of(r)->bytes; b++) {
		uint64_t left = file_of(r)->bytes - at;
		size_t n = left < MI_BLOCK ? (size_t)left : MI_BLOCK;

		if (take(r->fd, k->block, n, at) < 0) {
			log_warn("report: --reference: %s: it changed while it "
			    "was read", r->path);
			return -1;
		}
		EVP_Digest(k->block, n, k->leaves + (size_t)b * 32, NULL,
		    EVP_sha256(), NULL);
		at += n;
	}
	mi_merkle_root(k->leaves, leaves, zero, root);
	return 0;
}

/* v2: the file's own root, whatever layers are known. A v2 file begins with a
 * piece of its own. */
static int judge_whole(struct reference *r, struct taking *k)
{
	const struct mi_file *f = file_of(r);
	uint32_t leaves = r->t->mi.piece_bytes / MI_BLOCK;
	uint8_t *roots, pad[32], root[32];
	static const uint8_t zero[32];
	int status = 0;

	if (f->root.n != 32)
		return 0;
	if (r->pieces == 1)
		leaves = (uint32_t)((f->bytes + MI_BLOCK - 1) / MI_BLOCK);
	roots = malloc((size_t)r->pieces * 32);
	if (roots == NULL)
		log_die("out of memory");
	for (uint32_t i = 0; i < r->pieces && status == 0; i++)
		status = piece_root(r, k, i, leaves, roots + (size_t)i * 32);
	if (status == 0) {
		memset(k->leaves, 0, (size_t)leaves * 32);
		mi_merkle_root(k->leaves, leaves, zero, pad);
		mi_merkle_root(roots, r->pieces, pad, root);
		r->whole = memcmp(root, f->root.p, 32) == 0;
	}
	free(roots);
	return status;
}

static int compare(struct reference *r, const struct references *all)
{
	const struct mi_file *f = file_of(r);
	struct taking k = { .sha1 = EVP_MD_CTX_new() };
	uint32_t size = r->t->mi.piece_bytes;
	int status = 0;

	r->first = (uint32_t)(f->offset / size);
	r->pieces = (uint32_t)((f->offset + f->bytes - 1) / size) - r->first +
	    1;
	r->verdict = calloc(r->pieces, 1);
	k.leaves = malloc((size_t)(size / MI_BLOCK + 1) * 32);
	if (k.sha1 == NULL || r->verdict == NULL || k.leaves == NULL)
		log_die("out of memory");
	for (uint32_t i = 0; i < r->pieces && status == 0; i++) {
		enum reference_verdict v = REFERENCE_OPEN;
		uint64_t from, to;

		status = judge(&k, all, r, r->first + i, &v);
		extent_of(r, i, &from, &to);
		r->verdict[i] = (uint8_t)v;
		r->count[v]++;
		r->bytes[v] += to - from;
	}
	if (status == 0)
		status = judge_whole(r, &k);
	EVP_MD_CTX_free(k.sha1);
	free(k.leaves);
	return status;
}

bool reference_next(const struct reference *r, uint32_t *at,
    struct reference_range *out)
{
	uint32_t i = *at;
	uint64_t none;

	if (i >= r->pieces)
		return false;
	while (i + 1 < r->pieces && r->verdict[i + 1] == r->verdict[*at])
		i++;
	*out = (struct reference_range){ .from_piece = r->first + *at,
		.to_piece = r->first + i,
		.verdict = (enum reference_verdict)r->verdict[*at] };
	extent_of(r, *at, &out->from, &none);
	extent_of(r, i, &none, &out->to);
	*at = i + 1;
	return true;
}

bool reference_piece(const struct reference *r, uint32_t piece,
    struct reference_range *out)
{
	if (piece < r->first || piece - r->first >= r->pieces)
		return false;
	*out = (struct reference_range){ .from_piece = piece,
		.to_piece = piece, .verdict = (enum reference_verdict)
		r->verdict[piece - r->first] };
	extent_of(r, piece - r->first, &out->from, &out->to);
	return true;
}

/* --- time ------------------------------------------------------------------------ */

static const struct reference_probe *probe_of(const struct references *r,
    const struct stat *st)
{
	for (size_t i = 0; i < r->probes; i++)
		if (r->probe[i].device == st->st_dev &&
		    r->probe[i].inode == st->st_ino)
			return &r->probe[i];
	return NULL;
}

static void probe(struct references *r, int fd, size_t *left)
{
	struct reference_probe *p;
	uint64_t limit_s;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    probe_of(r, &st))
		return;
	p = realloc(r->probe, (r->probes + 1) * sizeof(*p));
	if (p == NULL)
		log_die("out of memory");
	r->probe = p;
	p += r->probes++;
	*p = (struct reference_probe){ .device = st.st_dev,
		.inode = st.st_ino, .changed_ns = changed(&st) };
	limit_s = TIME_LIMIT_S + (uint64_t)st.st_size / TIME_BYTES_S;
	if (limit_s > INT32_MAX)
		limit_s = INT32_MAX;
	timeline_read(&p->time, fd, (uint64_t)st.st_size, *left, (int)limit_s);
	*left -= p->time.n;
}

void references_probe(struct references *r, const char *const *spec, size_t n)
{
	size_t left = TIMELINE_PACKETS;

	for (size_t i = 0; i < n; i++)
		for (const char *eq = spec[i]; (eq = strchr(eq, '=')); eq++) {
			int fd = open(eq + 1, O_RDONLY | O_CLOEXEC |
			    O_NONBLOCK);

			if (fd < 0)
				continue;
			probe(r, fd, &left);
			close(fd);
		}
}

/* Once its bytes were read. ffprobe read the file, too: it must be what the
 * digest is of. */
static int take_time(struct reference *r, const struct references *all)
{
	const struct reference_probe *p;
	struct stat st;

	if (fstat(r->fd, &st) < 0 || (p = probe_of(all, &st)) == NULL ||
	    changed(&st) != r->changed_ns || p->changed_ns != r->changed_ns) {
		log_warn("report: --reference: %s: it changed while it was "
		    "read", r->path);
		return -1;
	}
	r->time = &p->time;
	return 0;
}

int references_read(struct references *r, const char *const *spec, size_t n,
    const struct facts *cases, size_t ncases, const char *swarm)
{
	for (size_t i = 0; i < n; i++) {
		struct reference *new = &r->at[r->n];

		if (find(r, spec[i], cases, ncases, swarm))
			return -1;
		if (reference_of(r, new->t, new->file) != new) {
			log_warn("report: --reference: a second copy of one "
			    "file: %s", new->path);
			return -1;
		}
		new->name = strndup(spec[i], (size_t)(new->path - spec[i]) -
		    1);
		if (new->name == NULL)
			log_die("out of memory");
		if (open_copy(new))
			return -1;
	}
	for (size_t i = 0; i < r->n; i++)
		if (compare(&r->at[i], r) || take_time(&r->at[i], r))
			return -1;
	return 0;
}

void references_free(struct references *r)
{
	for (size_t i = 0; i < r->n; i++) {
		if (r->at[i].fd >= 0)
			close(r->at[i].fd);
		free(r->at[i].verdict);
		free(r->at[i].name);
		if (r->at[i].owns)
			torrent_free(r->at[i].t);
	}
	for (size_t i = 0; i < r->probes; i++)
		timeline_free(&r->probe[i].time);
	free(r->probe);
	*r = (struct references){ 0 };
}
