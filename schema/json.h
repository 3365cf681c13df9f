/*
 * JSON objects as the record's detail holds them: compact, keys in the order
 * they are put, printable ASCII only. Text from outside is escaped: valid
 * UTF-8 as \uXXXX, every byte that is not as \ufffd, NUL too (SQLite's text
 * functions stop at one). There is no reader: what we wrote ourselves is read
 * by SQLite's json functions.
 */
#ifndef SCHEMA_JSON_H
#define SCHEMA_JSON_H

#include "wire/cur.h"

/* A growing buffer with a most: past it, or out of memory, .failed is set and
 * nothing more is added. */
struct json {
	char *text;	/* NUL-terminated once anything was put */
	size_t n, room, most;
	bool failed;
	bool comma;	/* a value was put at this level */
};

#define JSON_MOST (8u << 20)

/* At most so many bytes, JSON_MOST for a record's detail. */
void json_init(struct json *j, size_t most);
void json_fini(struct json *j);
void json_reset(struct json *j);	/* empty again, memory kept */

/* key NULL inside arrays. */
void json_open(struct json *j, const char *key, char bracket);	/* '{' '[' */
void json_close(struct json *j, char bracket);			/* '}' ']' */
void json_int(struct json *j, const char *key, int64_t v);
void json_uint(struct json *j, const char *key, uint64_t v);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);
void json_str(struct json *j, const char *key, const char *s); /* NULL: null */
void json_text(struct json *j, const char *key, struct span s);
void json_hex(struct json *j, const char *key, struct span s);
/* The finished text, or NULL if it did not fit; owned by j. */
const char *json_done(struct json *j);

/* Lower-case hex; out has room for 2 n + 1. Returns out. */
char *hex_of(const void *bytes, size_t n, char *out);
/* Reads exactly 2 n hex digits; false if text is anything else. */
bool hex_read(struct span text, uint8_t *out, size_t n);

#endif
