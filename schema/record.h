/*
 * The record: one observation, as docs/evidence-format.md defines it.
 */
#ifndef SCHEMA_RECORD_H
#define SCHEMA_RECORD_H

#include "wire/endpoint.h"

#define RECORD_SALT 16

/* When: UTC by this host's clock and monotonic, both ns. */
struct stamp {
	int64_t utc_ns;
	int64_t mono_ns;	/* -1: none (imported packets) */
};

/* One endpoint a listed, pex or dht record names. */
struct named {
	struct endpoint at;
};

#define CONN_NONE (-1)
#define CONN_SELF (-2)	/* this record opens the conversation: its own seq */

/* Everything is lent; ledger_add copies. */
struct record {
	struct stamp at;
	const char *kind;
	const char *swarm;	/* hex infohash, or NULL */
	int64_t conn;		/* seq, CONN_NONE or CONN_SELF */
	const struct endpoint *who;	/* remote address and port, or NULL */
	const char *detail;	/* JSON object; ledger_add refuses a NULL */
	struct span raw;	/* bytes this record read; p NULL for none */
	const uint8_t *raw_sha256;	/* 32 bytes, for piece and packets, whose
					 * bytes are not kept; else NULL */
	const struct named *named;	/* what goes into table named; the ledger
					 * appends "named" and "named_root" to
					 * the detail, so detail must not hold
					 * them. NULL: no such keys. */
	size_t names;
};

/* The canonical line as SQL over table record; named's likewise. */
#define RECORD_LINE "quote(seq)||','||quote(utc_ns)||','||quote(mono_ns)||','||" \
	"quote(kind)||','||quote(swarm)||','||quote(conn)||','||quote(ip)||','||" \
	"quote(port)||','||quote(detail)||','||quote(raw_sha256)||','||quote(salt)"
#define NAMED_LINE "quote(seq)||','||quote(n)||','||quote(ip)||','||" \
	"quote(port)||','||quote(salt)"

/*
 * The canonical line of a record as SQLite's quote() would give it (see
 * evidence-format.md), appended to buf; its length, or 0 if room is too small.
 * NULL text is NULL, and so are a mono_ns, conn or port below zero. salt is 32
 * hex digits. Not NUL-terminated.
 */
size_t record_line(char *buf, size_t room, int64_t seq, int64_t utc_ns,
    int64_t mono_ns, const char *kind, const char *swarm, int64_t conn,
    const char *ip, int32_t port, const char *detail,
    const char *raw_sha256, const char *salt);

/* The line of a row of table named, likewise. */
size_t named_line(char *buf, size_t room, int64_t seq, int64_t n,
    const char *ip, uint16_t port, const char *salt);

#endif
