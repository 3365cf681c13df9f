/*
 * From what capture/flow puts in order to records: which conversations are
 * BitTorrent's, told by state and structure and never by a port, and what was
 * said in them; exchanges with trackers, the DHT and local discovery. One
 * dissector, two uses: of two strangers (an import: docs/evidence-format.md,
 * "Imported captures"), and of this observer's own packets, whose records are
 * then those that the live run wrote, as far as packets tell.
 *
 * Memory is bounded by DISSECT_MEMORY: beyond it conversations end for us, the
 * one idle for longest first.
 */
#ifndef CAPTURE_DISSECT_H
#define CAPTURE_DISSECT_H

#include "capture/flow.h"
#include "capture/known.h"
#include "schema/digester.h"
#include "schema/promise.h"
#include "schema/record.h"
#include "wire/mse.h"

#define DISSECT_MEMORY (40u << 20)

/* What packets do not tell of an encrypted conversation. */
struct dissect_secret {
	uint8_t secret[MSE_KEY];
	uint8_t skey[20];
	bool skey_known;
};

/* A conversation of our own. */
struct dissect_met {
	enum flow_transport transport;
	struct endpoint us, peer;
	bool dialled;
	int64_t utc_ns;
};

struct dissect_live {
	bool veiled, secret_known;
	struct dissect_secret secret;
};

/* What the live run did, where packets do not tell. */
struct dissect_did {
	uint64_t most[2];	/* bytes of each side (SIDE_PEER, SIDE_US) that
				 * it accounts for; none beyond are read */
	/* How many bytes of the peer's it had read before each `request`,
	 * `extended` and `metadata` message of its own, in order; lent. What
	 * had come by then and was not read is told after that message. */
	const uint64_t *heard;
	size_t heards;
};

struct dissect_conf {
	void *ctx;
	/* Keeps a record, copied; its seq. */
	int64_t (*add)(void *ctx, const struct record *r);
	/* The secret of the conversation that begins with this public key of
	 * its initiator; false: not known. May be NULL. */
	bool (*secret)(void *secrets, const uint8_t key[MSE_KEY],
	    struct dissect_secret *s);
	void *secrets;
	/* Whether an endpoint is this observer's: then its conversations and
	 * exchanges are recorded as a live run does, and nobody else's. NULL:
	 * neither end is ever us. */
	bool (*ours)(void *ctx, const struct endpoint *e);
	/* Whether the live run's ledger has this conversation; then it is one
	 * of a peer, and how it is encrypted is known, as far as the run knew.
	 * May be NULL. */
	bool (*live)(void *ctx, const struct dissect_met *m,
	    struct dissect_live *l);
	/* Before the record that opens one of these. *did bounds nothing and
	 * orders nothing unless it is filled. May be NULL. */
	void (*met)(void *ctx, const struct dissect_met *m,
	    struct dissect_did *did);
	/* Packets leave it open what was said in it: bytes are missing, or came
	 * twice and differ; or it was not followed to its end. May be NULL. */
	void (*doubt)(void *ctx, int64_t conn);
	/* Metadata was put together from packets, and its `torrent` record is
	 * made. May be NULL. */
	void (*learnt)(void *ctx, const struct swarmref *swarm);
	/* Something was wrong with a packet: a constant phrase. May be NULL. */
	void (*odd)(void *ctx, const char *reason, struct flow_at at);
	struct known *known;		/* lent: torrents and swarms */
	/* As in schema/witness.h; may be NULL. */
	struct digester *digester;
	int64_t (*later)(void *ctx, const struct record *r,
	    struct promise *p);
};

struct dissect_counts {
	uint64_t flows;		/* conversations with records */
	uint64_t unclaimed;	/* that are none we know */
	uint64_t exchanges;	/* with trackers, DHT, local discovery */
	uint64_t datagrams;	/* that are none we know */
	uint64_t displaced;	/* ended for want of memory */
};

struct dissect;

/* conf is copied. NULL on out of memory; later it dies (log_die). */
struct dissect *dissect_new(const struct dissect_conf *conf);
void dissect_free(struct dissect *d);	/* NULL is allowed */

/* What to hand to flows_new. */
struct flow_sink dissect_sink(struct dissect *d);

/*
 * Frames count anew in each file. So that the one a conversation began in can
 * be told, and frames of two files be compared, flows may be given them with
 * the file's number (from 1, of those told to dissect_file) above these bits.
 */
#define DISSECT_FRAME_BITS 40

/* From here on packets are of this savefile; the text is lent until the end,
 * the source (NULL: bytes that came twice are not compared) until the next
 * call. */
void dissect_file(struct dissect *d, const char *file, struct source *src);

/* After flows_finish: questions that nobody answered are written down. */
void dissect_finish(struct dissect *d);

struct dissect_counts dissect_counts(const struct dissect *d);
/* Heap bytes at most so far. */
size_t dissect_memory_most(const struct dissect *d);

#endif
