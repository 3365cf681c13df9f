/*
 * A run's account of itself, as records: who runs what with which settings
 * where, by which key, what it watches, what it captured, how it ended.
 */
#ifndef MONITOR_ACCOUNT_H
#define MONITOR_ACCOUNT_H

#include "capture/sandbox.h"
#include "monitor/blocklist.h"
#include "monitor/options.h"
#include "monitor/session.h"
#include "monitor/vantage.h"
#include "schema/runlog.h"

struct account {
	struct runlog run;
	const struct options *options;
	const struct session_conf *policy;
	const struct vantage *vantage;
	char blocklist_sha256[OPTIONS_BLOCKLIST_MAX][65];
	struct sandbox sandbox;	/* what confines this process */
	uint32_t tracker_key;
};

/* Fills the rest of run, and begins it: schema/runlog.h. */
int account_begin(struct account *a, const struct ledger_past *past,
    const char *keyfile, bool *sound);

/* `blocked`: what the blocklists kept from being contacted. */
void account_blocked(struct account *a, const struct blocklist *b);

/* A database that reports will look addresses up in: -1 logged. To be checked
 * before there is a case. */
int account_check_geo(const char *file);
int account_geo(struct account *a, const char *file);

/* `listed`: peers that a magnet link names. */
void account_named(struct account *a, const char *swarm, const char *link,
    const struct named *named, size_t n);

#endif
