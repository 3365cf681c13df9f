/*
 * What the synthetic swarm shares, and who is in it: torrents, pieces and
 * peers that follow from their numbers alone. It uses none of the program's
 * code, so that its truth is its own.
 */
#ifndef BENCH_MANY_CONTENT_H
#define BENCH_MANY_CONTENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#define MANY_PIECE 16384u	/* one block: a request is a piece */
#define MANY_SHORT 5000u	/* by so much the last piece is shorter */

enum many_class {
	MANY_WHOLE,	/* has every piece */
	MANY_PARTIAL,	/* has some */
	MANY_SLOW,	/* whole, and takes its time for everything */
	MANY_SILENT,	/* accepts, and says nothing */
	MANY_DEAD,	/* refuses connections */
	MANY_LOST,	/* nothing comes back from there */
	MANY_CLASSES
};

static const char *const many_name[MANY_CLASSES] = { "whole", "partial",
	"slow", "silent", "dead", "lost" };

struct many {
	unsigned peers, torrents, pieces;
	unsigned share[MANY_CLASSES];	/* of 100; what is left is whole */
	/* Of each torrent's peers in their order: those whom its tracker names
	 * now; and seconds until it should be asked again. */
	unsigned from, to, interval_s;
	uint8_t (*hash)[20];		/* of each torrent */
	uint8_t *data;			/* the same content in each */
};

static inline bool many_answers(enum many_class c)
{
	return c == MANY_WHOLE || c == MANY_PARTIAL || c == MANY_SLOW;
}

/* Of each hundred peers in a row each class has its share exactly. */
static inline enum many_class many_class(const struct many *m, unsigned peer)
{
	unsigned at = (peer * 37 + 11) % 100;

	for (int c = MANY_PARTIAL; c < MANY_CLASSES; c++) {
		if (at < m->share[c])
			return (enum many_class)c;
		at -= m->share[c];
	}
	return MANY_WHOLE;
}

static inline unsigned many_torrent(const struct many *m, unsigned peer)
{
	return (unsigned)((uint64_t)peer * m->torrents / m->peers);
}

/* 127.1.0.1 and on, in host order; back, or -1. */
static inline uint32_t many_address(unsigned peer)
{
	return (127u << 24) + (1u << 16) + (peer / 250 << 8) + 1 + peer % 250;
}

static inline long many_peer(const struct many *m, uint32_t address)
{
	uint32_t at = address - many_address(0);
	long peer = (long)(at >> 8) * 250 + (long)(at & 255);

	return (at & 255) < 250 && peer < (long)m->peers ? peer : -1;
}

static inline uint32_t many_mix(uint32_t x)
{
	x = (x ^ x >> 16) * 0x7feb352du;
	x = (x ^ x >> 15) * 0x846ca68bu;
	return x ^ x >> 16;
}

/* The first piece is everybody's, the last none of a partial one's. */
static inline bool many_holds(const struct many *m, unsigned peer,
    unsigned piece)
{
	if (many_class(m, peer) != MANY_PARTIAL || piece == 0)
		return true;
	return piece + 1 < m->pieces &&
	    many_mix(peer * 65537 + piece) % 3 == 0;
}

static inline unsigned many_count(const struct many *m, unsigned peer)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->pieces; i++)
		n += many_holds(m, peer, i);
	return n;
}

static inline unsigned many_bytes(const struct many *m, unsigned piece)
{
	return piece + 1 < m->pieces ? MANY_PIECE : MANY_PIECE - MANY_SHORT;
}

/* Writes torrent t's file; its infohash. False: it could not be written. */
static inline bool many_write(const struct many *m, unsigned t,
    const char *folder, const char *announce, const uint8_t *sha1s,
    uint8_t hash[20])
{
	size_t most = 256 + 20 * (size_t)m->pieces, n;
	char *info = malloc(most), path[4096];
	FILE *f;
	bool sound;

	n = (size_t)snprintf(info, most, "d6:lengthi%ue4:name9:many%05u"
	    "12:piece lengthi%ue6:pieces%u:", m->pieces * MANY_PIECE -
	    MANY_SHORT, t, MANY_PIECE, 20 * m->pieces);
	memcpy(info + n, sha1s, 20 * (size_t)m->pieces);
	n += 20 * (size_t)m->pieces;
	info[n++] = 'e';
	SHA1((uint8_t *)info, n, hash);
	snprintf(path, sizeof(path), "%s/%05u.torrent", folder, t);
	f = fopen(path, "w");
	sound = f && fprintf(f, "d8:announce%zu:%s4:info", strlen(announce),
	    announce) > 0 && fwrite(info, 1, n, f) == n && fputc('e', f) == 'e';
	free(info);
	return f && fclose(f) == 0 && sound;
}

/* Makes the content and its torrents in folder. */
static inline bool many_make(struct many *m, const char *folder,
    const char *announce)
{
	size_t total = (size_t)m->pieces * MANY_PIECE;
	uint8_t *sha1s = malloc(20 * (size_t)m->pieces);
	bool sound = true;

	m->data = malloc(total);
	m->hash = calloc(m->torrents, sizeof(*m->hash));
	if (!sha1s || !m->data || !m->hash)
		return false;
	for (uint32_t i = 0; i < total / 4; i++) {
		uint32_t x = many_mix(i + 1);

		memcpy(m->data + 4 * (size_t)i, &x, 4);
	}
	for (unsigned i = 0; i < m->pieces; i++)
		SHA1(m->data + (size_t)i * MANY_PIECE, many_bytes(m, i),
		    sha1s + 20 * i);
	for (unsigned t = 0; t < m->torrents && sound; t++)
		sound = many_write(m, t, folder, announce, sha1s, m->hash[t]);
	free(sha1s);
	return sound;
}

#endif
