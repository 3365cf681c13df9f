/*
 * `report --reference FILE=PATH`: a lawful copy of a file held against the
 * torrent's piece hashes (BEP 3, BEP 52), which pieces that endpoints delivered
 * are therefore bytes of that copy, and which of its time they hold.
 */
#ifndef REPORT_REFERENCE_H
#define REPORT_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "report/endpoints.h"
#include "report/facts.h"
#include "report/timeline.h"
#include "schema/torrent.h"

#define REFERENCE_MOST 64u

enum reference_verdict {
	REFERENCE_AGREES,
	REFERENCE_DIFFERS,
	REFERENCE_OPEN		/* cannot be told: see why */
};

/* A run of pieces of one verdict, and where they lie in the file. */
struct reference_range {
	uint32_t from_piece, to_piece;	/* both ends included */
	uint64_t from, to;	/* to: the byte behind the last */
	enum reference_verdict verdict;
};

struct reference {
	const char *path;	/* of the copy, as given; lent */
	const struct facts *c;	/* the first case that knows the torrent */
	struct torrent *t;	/* owned by the first that has it */
	bool owns;
	uint32_t file;		/* in t->files */
	char *name;		/* FILE, as given */
	char sha256[65];	/* of the copy */
	int fd;
	int64_t changed_ns;	/* the file, last (ctime), when it was opened */
	const struct timeline *time;	/* of the copy; lent by the probes */
	uint32_t first;		/* the first piece that holds a byte of it */
	uint32_t pieces;
	uint8_t *verdict;	/* of each: enum reference_verdict */
	uint32_t count[3];	/* pieces, by verdict */
	uint64_t bytes[3];	/* bytes of this file in them */
	int whole;		/* v2: the file's own root: 1 agrees, 0 differs, -1
				 * there is none */
};

/* What ffprobe said of a file that may be a copy. */
struct reference_probe {
	uint64_t device, inode;
	int64_t changed_ns;	/* last (ctime), when it was read */
	struct timeline time;
};

struct pseudonym;
struct references {
	struct reference at[REFERENCE_MOST];
	size_t n;
	struct reference_probe *probe;
	size_t probes;
	const struct pseudonym *veil;	/* for addresses in names; NULL: none */
};

/*
 * Reads the time in every file that the specs may name: which '=' ends FILE the
 * cases tell, later. It starts a program, so it comes before the process
 * confines itself, and before any case is read.
 */
void references_probe(struct references *r, const char *const *spec, size_t n);

/*
 * Finds FILE among the torrents of the cases (only of swarm, if not NULL),
 * reads the copies and compares. spec: "FILE=PATH". -1 logged: no such file,
 * more than one, a copy of another size, that was not probed as it is now, or
 * that cannot be read. Free in any case. veil stays as it was.
 */
int references_read(struct references *r, const char *const *spec, size_t n,
    const struct facts *cases, size_t ncases, const char *swarm);
void references_free(struct references *r);

/* The next run of pieces of one verdict from piece number *at (from 0) of the
 * reference on; false at the end. */
bool reference_next(const struct reference *r, uint32_t *at,
    struct reference_range *out);

/* Which bytes of the file lie in a piece, and its verdict; false if none do. */
bool reference_piece(const struct reference *r, uint32_t piece,
    struct reference_range *out);

/* The copy of that file of that torrent, or NULL. */
const struct reference *reference_of(const struct references *all,
    const struct torrent *t, uint32_t file);

/* Path of a file for people, with pseudonyms; NUL-terminated, cut. */
#define REFERENCE_PATH 4097u
const char *reference_path(const struct references *all,
    const struct torrent *t, uint32_t file, char buf[REFERENCE_PATH]);

/* What a file is by its name alone: "padding", "sample", "subtitles", "video",
 * "audio", "picture", "text", "archive", "other". */
const char *reference_kind(const char *path, bool pad);

const char *reference_word(enum reference_verdict v);

/* --- as part of a report; nothing where s->references is NULL ---------------- */

struct subject;
struct manifest;
struct rows;
/* Opens seq, conn, ip, port, piece, utc_ns of the pieces of t that endpoints of
 * `of` delivered whole and that matched; in order of records, or of
 * connections, address and port, and records. */
void reference_delivered(struct rows *q, const struct facts *c,
    const struct endpoints_of *of, const struct torrent *t, bool by_talk);
/* reference.html, reference.csv, reference-received.csv, reference-time.csv and
 * reference-received-time.csv. -1 logged. */
int reference_put(struct manifest *m, const struct subject *s);
/* "references":[...] into an object that is open. What was put goes to f. */
int reference_json(FILE *f, struct json *j, const struct subject *s);

#endif
