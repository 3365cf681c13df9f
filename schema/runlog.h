/*
 * What every run that writes to a case says of itself, as records: who runs
 * what with which settings where, by which key, whether the program is sound,
 * and how it ended.
 */
#ifndef SCHEMA_RUNLOG_H
#define SCHEMA_RUNLOG_H

#include "schema/json.h"
#include "schema/ledger.h"
#include "schema/torrent.h"

struct runlog {
	struct ledger *ledger;
	const struct note_key *key;
	int argc;
	char **argv;
	const char *operator, *purpose, *ground, *retention;	/* or NULL */
	const struct endpoint *vantage;
	size_t vantages;
	const struct named *named;	/* that the command line names */
	size_t names;
	void (*config)(void *ctx, struct json *j);	/* its members */
	void *ctx;
	int64_t first;		/* seq of this run's first record */
	struct stamp began;
};

/* `run`, `key`, `selftest`: *sound is false if the self-test failed, which is
 * recorded. keyfile is where the key lies; -1 logged. */
int runlog_begin(struct runlog *r, const struct ledger_past *past,
    const char *keyfile, bool *sound);

/* A record of now that is about the run. detail lacks its closing brace, and is
 * freed. Its seq. */
int64_t runlog_put(struct runlog *r, const char *kind, struct json *detail,
    const uint8_t *raw_sha256);

void runlog_torrent(struct runlog *r, const char *swarm,
    const struct torrent *t, const char *source);

/* `selftest` once more and `end`. */
void runlog_end(struct runlog *r, const char *why, int64_t connections,
    int64_t piece_bytes_sent, bool *sound);

/* null if there is none. */
void runlog_text(struct json *j, const char *key, const char *text);
void runlog_list(struct json *j, const char *key, const char *const *list,
    size_t n);
/* A list of arguments, the peers in them left out (schema/redact.h). */
void runlog_args(struct json *j, const char *key, const char *const *list,
    size_t n);

#endif
