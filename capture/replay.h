/*
 * A case's packets read again, and what they say held against the ledger: the
 * second witness of a live run. Every conversation of the run is taken out of
 * the savefiles by the same code that recorded it, message by message and in
 * both directions; stamps aside, and up to the bytes that `closed` accounts
 * for, both must say the same.
 */
#ifndef CAPTURE_REPLAY_H
#define CAPTURE_REPLAY_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct replay {
	/* Something wrong, or a remark. */
	void (*tell)(void *ctx, bool wrong, const char *text);
	void *ctx;

	/* Found. */
	int64_t savefiles, packets, dropped;
	int64_t conversations;	/* of the ledger, with bytes on record */
	int64_t same;		/* of these, the packets say the same */
	int64_t unsupported;	/* differ where packets were lost, or lie outside
				 * what was captured */
	int64_t events;		/* held against each other */
	int64_t missing, extra, different;	/* events, where all packets
						 * are there */
	int64_t exchanges;	/* with trackers and DHT nodes: answers whose
				 * very bytes are in the packets */
	int64_t exchanges_missing, exchanges_extra;
	int64_t in_tls;		/* exchanges over HTTPS, which are not read */
	int64_t untaken;	/* conversations in the packets that the run
				 * closed without reading */
	int64_t imported;	/* records of imports, made again and the same */
};

/* Reads the case at path, whose ledger is db. 0: it was done, or there are no
 * packets; -1 with the reason logged. */
int replay_case(struct replay *r, sqlite3 *db, const char *path);

#endif
