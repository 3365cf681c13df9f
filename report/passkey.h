/*
 * Pass keys in trackers' URLs. A private tracker tells its users apart by a
 * secret in the URL, so whoever reads it can announce in the operator's name.
 * The ledger keeps URLs as they are; reports, which are handed on, show them
 * with every such part replaced by PASSKEY_MARK. By rule, since nothing says
 * which part is secret:
 *
 *	the value of every query parameter;
 *	of the path every run of 16 or more of A-Z a-z 0-9 _ - that has a digit;
 *	what stands before an @ in the host.
 *
 * In a magnet link this holds of the URLs within, percent-encoded or not.
 */
#ifndef REPORT_PASSKEY_H
#define REPORT_PASSKEY_H

#include <sqlite3.h>
#include <stddef.h>

#include "wire/cur.h"

#define PASSKEY_MARK "[masked]"

/* The text of at most room - 1 bytes, cut there, with a NUL behind it: its
 * length. What is neither URL nor magnet link is copied. */
size_t passkey_mask(struct span text, char *out, size_t room);

/* SQL: masked(text); and the derived tables that name URLs, masked, under their
 * own names, for whatever reads them through db. 0, or -1 logged. */
int passkey_hide(sqlite3 *db);

#endif
