/*
 * What a peer says of other peers, as a record: PEX (BEP 11).
 */
#ifndef SCHEMA_GOSSIP_H
#define SCHEMA_GOSSIP_H

#include "schema/json.h"
#include "schema/record.h"
#include "wire/pex.h"

#define GOSSIP_NAMES_MAX 1000u	/* endpoints of one message that are named */

/*
 * Puts the detail of a `pex` record and fills names, each endpoint once: those
 * added first, in the message's order, then those dropped that were not. How
 * many.
 */
size_t gossip_pex(const struct pex_msg *m, const char *by, struct json *j,
    struct named names[GOSSIP_NAMES_MAX]);

#endif
