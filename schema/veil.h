/*
 * What the witness needs for a conversation under Message Stream Encryption:
 * wire bytes of both sides in, their payload out, and one `encrypted` record
 * of what the handshake said. Wire bytes that cannot be read yet are held.
 */
#ifndef SCHEMA_VEIL_H
#define SCHEMA_VEIL_H

#include "schema/json.h"
#include "wire/mse.h"
#include "wire/talk.h"

#define VEIL_HOLD_MAX 131072u	/* of one side, then it is given up */

struct veil_half {
	uint8_t *wire;		/* the head, then what could not be read yet */
	size_t n, room, used;
};

struct veil {
	struct mse mse;
	enum side initiator;
	struct veil_half half[2];	/* by enum side */
	bool recorded;
};

/* NULL on out of memory; later it dies (log_die). */
struct veil *veil_new(enum side initiator, mse_find *find, void *ctx);
void veil_free(struct veil *v);	/* NULL is allowed */

/* The most that veil_open may give for n more wire bytes of that side. */
size_t veil_room(const struct veil *v, enum side by, size_t n);
/* Bytes of a side, perhaps none, when others made held ones readable; the
 * payload bytes written to out. */
size_t veil_open(struct veil *v, enum side by, struct span bytes,
    uint8_t *out);
/* A side's bytes are missing; read_on: what follows can be made sense of once
 * it is in the clear. False: both sides are unreadable from here. */
bool veil_gap(struct veil *v, enum side by, uint64_t n, bool read_on);

/* Both heads were read, or something in them was illegal: time to record. */
bool veil_due(const struct veil *v);
/* Bytes wait that the secret may have made readable. */
bool veil_holds(const struct veil *v);
/* Nothing is under a veil any more: plain was selected and all of it read. */
bool veil_lifted(const struct veil *v);

/* The record: its detail, and its raw bytes, A's head and then B's, which the
 * caller frees. outcome NULL: what the handshake came to. between: neither end
 * is us. Afterwards the heads are forgotten. */
void veil_detail(const struct veil *v, const char *outcome, bool between,
    struct json *j);
uint8_t *veil_raw(const struct veil *v, size_t *n);
void veil_recorded(struct veil *v);

size_t veil_memory(const struct veil *v);

#endif
