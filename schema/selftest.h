/*
 * Known answers of what the evidence rests on: the hashes, the tree, the
 * signature. Asked before and after each run, and recorded.
 */
#ifndef SCHEMA_SELFTEST_H
#define SCHEMA_SELFTEST_H

#include "schema/json.h"
#include "schema/note.h"

/* Puts "ok" and "tests" of a `selftest` record's detail; whether all held. */
bool selftest(const struct note_key *key, struct json *j);

#endif
