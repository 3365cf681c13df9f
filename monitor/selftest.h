/*
 * Known answers of what the evidence rests on: the hashes, the tree, the
 * signature. Asked before and after each run, and recorded.
 */
#ifndef MONITOR_SELFTEST_H
#define MONITOR_SELFTEST_H

#include "schema/json.h"
#include "schema/note.h"

/* Puts "ok" and "tests" of a `selftest` record's detail; whether all held. */
bool selftest(const struct note_key *key, struct json *j);

#endif
