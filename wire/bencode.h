/*
 * Bencode (BEP 3) as a pull decoder: one token at a time, depth bounded, raw
 * spans kept, nothing allocated. What the wild does (unsorted or repeated keys,
 * leading zeros, bytes after the end) is accepted and noted, so that the
 * caller can say so.
 */
#ifndef WIRE_BENCODE_H
#define WIRE_BENCODE_H

#include "cur.h"

#define BEN_DEPTH_MAX 100

enum ben_type {
	BEN_INT,	/* .num; .text holds its digits */
	BEN_STR,	/* .text */
	BEN_LIST,
	BEN_DICT,
	BEN_END		/* of the list or dict last entered */
};

/* Oddities met, as bits. */
enum ben_note {
	BEN_UNSORTED = 1,	/* dictionary keys out of order */
	BEN_REPEATED = 2,	/* a key given twice, next to each other */
	BEN_LEADING_ZERO = 4,	/* i007e, 03:abc, i-0e */
	BEN_TRAILING = 8	/* bytes after the end of the whole */
};

/* One complete value: its kind, its content, and every byte it occupies. */
struct ben {
	enum ben_type type;
	int64_t num;		/* BEN_INT */
	struct span text;	/* BEN_STR: the bytes; list, dict: the inside */
	struct span raw;	/* the value with its delimiters */
};

/*
 * Checks that *in starts with one whole value, nested at most BEN_DEPTH_MAX
 * deep, integers within int64, and fills *v. *in moves past it. BAD fills
 * *err, its offset counted from in->p as given. MORE: it ends too early.
 * *notes collects ben_note bits (may be NULL; BEN_TRAILING is the caller's to
 * set, who knows where the whole should end). Linear in the bytes read, and
 * not recursive.
 */
enum wire_status ben_next(struct cur *in, struct ben *v, unsigned *notes,
    struct wire_error *err);

/*
 * The dictionary that a message begins with; *in then stands behind it. BAD
 * also if it ends early or is something else: *err then says so in these words.
 */
enum wire_status ben_dict(struct cur *in, struct ben *dict, unsigned *notes,
    const char *ends_early, const char *no_dict, struct wire_error *err);

/* A key of it that counts something, into *num, -1 before: a negative one, one
 * of another type or one given again is *odd, and changes nothing. */
void ben_take_count(const struct ben *v, int64_t *num, bool *odd);

/*
 * Walking what ben_next has checked (never call these on unchecked bytes):
 * ben_item takes the next value of a list's inside, ben_pair the next key and
 * value of a dict's. False at the end. Start with cur_of(v->text).
 */
bool ben_item(struct cur *inside, struct ben *v);
bool ben_pair(struct cur *inside, struct span *key, struct ben *v);

/* One token of checked bytes: a list or dict opens (text empty, raw its first
 * byte) or BEN_END closes it. For deep structures, which ben_item would read
 * once per level. */
bool ben_token(struct cur *c, struct ben *v);

/* The value of a key in a checked dict (the first, if repeated); false if
 * absent or not of the wanted type. Linear. */
bool ben_get(const struct ben *dict, const char *key, enum ben_type want,
    struct ben *v);

#endif
