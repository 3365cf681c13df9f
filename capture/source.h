/*
 * A savefile being read: pcap and pcapng of either byte order, from a file or
 * a pipe, once from front to back. Our own reader, because libpcap's refuses a
 * pcapng whose interfaces differ in link type, and because the bytes are hashed
 * and copied on the way. Format: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 *
 * Whatever the file claims, memory is bounded: the intake's blocks (6 MiB) and
 * the interfaces of a section, 4096 at most. What is damaged is told and passed
 * over; the rest of the file is still read.
 */
#ifndef CAPTURE_SOURCE_H
#define CAPTURE_SOURCE_H

#include "wire/cur.h"

#define SOURCE_PACKET_MAX 262144u	/* Wireshark's bound, too */
#define SOURCE_BLOCK_MAX 1048576u	/* a pcapng block that is read whole */

/* One packet as the file has it; bytes are lent until the next source_next. */
struct source_packet {
	int64_t utc_ns;		/* 0 where the format has none (simple packet) */
	bool stamped;
	uint32_t interface;	/* from 0, of its section; pcap: 0 */
	uint32_t link;		/* LINKTYPE_ number */
	struct span bytes;
	uint32_t length;	/* on the wire; never less than bytes.n */
	uint64_t frame;		/* from 1, as Wireshark counts */
	uint64_t offset;	/* in the file, of the packet's bytes */
};

enum source_kind {
	SOURCE_PACKET,		/* .packet */
	SOURCE_SECRETS,		/* .secrets: a TLS key log (pcapng block 10) */
	SOURCE_DAMAGE,		/* .reason, .offset: the first of its reason;
				 * later ones are only counted */
	SOURCE_END
};

struct source_item {
	enum source_kind kind;
	struct source_packet packet;
	struct span secrets;
	const char *reason;	/* a constant phrase */
	uint64_t offset;
};

struct digester;

struct source_conf {
	bool digest;		/* SHA-256 of all bytes ... */
	struct digester *digester;	/* ... which this takes, lent until the
				 * close; NULL: the reader does */
	int copy;		/* a descriptor that gets all bytes; -1: none.
				 * It stays the caller's. */
};

struct source;

/* NULL with the reason logged: cannot be opened, or is no savefile ("-" is
 * standard input). conf NULL: no digest, no copy. */
struct source *source_open(const char *path, const struct source_conf *conf);

/* The same for a descriptor that the source closes; path is for messages. */
struct source *source_of(int fd, const char *path,
    const struct source_conf *conf);

/* The same for a savefile of a case, by the name that its `packets` record
 * gives it: NULL, logged, also if that is not "packets/NAME" or what lies there
 * is no regular file. */
struct source *source_of_case(const char *case_path, const char *name,
    const struct source_conf *conf);

/* The next item; 0, or -1 (logged) when reading or copying failed. After END it
 * is END again. */
int source_next(struct source *s, struct source_item *item);

/* After END: the digest (conf.digest) and the length of all bytes, what follows
 * damage included. -1 (logged) if hashing or copying failed. */
int source_digest(struct source *s, char sha256[65], uint64_t *bytes);

/* Packets counted so far (pcapng's damaged ones too, since their blocks are
 * sound), damages met (of every kind). */
uint64_t source_packets(const struct source *s);
uint64_t source_damages(const struct source *s);

/* Reads bytes anew that the source passed before: how many came, 0 if it is no
 * regular file. For comparing a repeated segment with its first copy. */
size_t source_again(struct source *s, uint64_t offset, void *buf, size_t n);

void source_close(struct source *s);

#endif
