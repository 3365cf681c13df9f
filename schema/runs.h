/*
 * The chained log of a key's runs, beside the key: an undisclosed run leaves a
 * hole. One line a run: "N UTC CASE_ID FIRST_SEQ PREV", PREV the hex SHA-256 of
 * the line before (without its newline), 64 zeros for the first.
 */
#ifndef SCHEMA_RUNS_H
#define SCHEMA_RUNS_H

#include <stdint.h>

struct run_link {
	int64_t number;		/* 1 for the key's first run */
	char prev[65];
};

/* Appends this run to KEYFILE.runs (0600, locked, synced) and says its number
 * and the digest before. -1 logged, also when the log does not chain. */
int runs_add(const char *keyfile, const char *case_id, int64_t first_seq,
    int64_t utc_ns, struct run_link *link);

#endif
