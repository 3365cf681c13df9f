/*
 * A run's account of itself, as records: who runs what with which settings
 * where, by which key, what it watches, what it captured, how it ended.
 */
#ifndef MONITOR_ACCOUNT_H
#define MONITOR_ACCOUNT_H

#include "capture/recorder.h"
#include "monitor/options.h"
#include "monitor/session.h"
#include "monitor/vantage.h"
#include "schema/ledger.h"
#include "schema/runs.h"
#include "schema/torrent.h"

struct account {
	struct ledger *ledger;
	const struct options *options;
	const struct note_key *key;
	const struct session_conf *policy;
	const struct vantage *vantage;
	int argc;
	char **argv;
	const char *filter;	/* of the packets; NULL: none are kept */
	const char *interface;
	uint32_t tracker_key;
	int64_t first;		/* seq of this run's first record */
	struct stamp began;
};

/* `run`, `key`, `selftest`: false if the self-test failed, which is recorded.
 * keyfile is where the key lies; -1 logged. */
int account_begin(struct account *a, const struct ledger_past *past,
    const char *keyfile, bool *sound);

void account_packets(struct account *a, const struct recorder_file *f,
    bool salvaged);
void account_no_packets(struct account *a, const char *why);

/* A database that reports will look addresses up in: -1 logged. To be checked
 * before there is a case. */
int account_check_geo(const char *file);
int account_geo(struct account *a, const char *file);

void account_torrent(struct account *a, const char *swarm,
    const struct torrent *t, const char *source);

/* `listed`: peers that a magnet link names. */
void account_named(struct account *a, const char *swarm, const char *link,
    const struct named *named, size_t n);

/* `selftest` once more and `end`. */
void account_end(struct account *a, const char *why, int64_t connections,
    int64_t piece_bytes_sent, bool *sound);

#endif
