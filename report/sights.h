/*
 * What a case holds about the address of a claim: sights for verdict.h, and
 * what else a page about the claim says.
 */
#ifndef REPORT_SIGHTS_H
#define REPORT_SIGHTS_H

#include "report/claim.h"
#include "report/facts.h"
#include "report/verdict.h"

#define SIGHTS_MOST 100000	/* of one claim; the rest is not looked at */

/* A stretch of time that was watched. */
struct watch {
	int64_t from_ns, to_ns;
	bool import;		/* a savefile of somebody else's */
};

/* Beside the sights. */
struct beside {
	char swarm[65];			/* the case's name for the infohash */
	bool torrent_known;		/* the case holds something of it */
	int64_t spoke_seq;		/* a handshake under the claimed
					 * infohash, which was not asked for,
					 * -1: none */
	bool import;			/* evidence of it is imported */
	bool own;			/* the observer's own address */
	bool decoy;			/* it answered to a decoy */
	int64_t withdrawn;		/* conversations whose last claim was 0 */
	int64_t others;			/* other addresses seen then, -1: not
					 * asked; one of them, if it had it,
					 * with the port claimed */
	bool same_port;
	char other_ip[ENDPOINT_IP_MAX];
	int other_port;
	int64_t other_seq;
	bool listen_port;		/* the port claimed is only one that it
					 * said it listens on */
};

struct sights {
	const struct facts *facts;
	sqlite3_stmt *resolve, *contacts, *pieces, *spoke, *hash, *listed,
	    *known, *live, *others;
	struct watch *import;
	size_t imports;
	int64_t first_ns, last_ns;	/* of all that was watched */
	struct sight *at;
	size_t n, room;
	bool cut;		/* there were more than SIGHTS_MOST */
	/* Whose they are, and what else is alike for one of another time. */
	bool whose;
	char ip[ENDPOINT_IP_MAX], infohash[65];
	int port;
	struct verdict_of held;
	struct beside beside;
};

/* require: the level other addresses are looked for at. -1 logged. */
int sights_open(struct sights *s, const struct facts *f, int require);
void sights_close(struct sights *s);

/* Fills v (all but within, bound, require) and b; the sights are lent until
 * the next. Cheap where the claim before was of the same address, port and
 * infohash: a table may have very many of one address, and the case very much
 * of it. -1 logged. */
int sights_of(struct sights *s, const struct claim *c, int64_t bound_ns,
    struct verdict_of *v, struct beside *b);

/* What a handshake's record says of the torrent, "" if nothing. -1 logged. */
int sights_hash(struct sights *s, int64_t seq, char hash[65]);

/* Other addresses with evidence within reach of the claim's time. */
int sights_others(struct sights *s, const struct claim *c, int64_t reach_ns,
    struct beside *b);

#endif
