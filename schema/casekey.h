/* Keys of a case that exists. */
#ifndef SCHEMA_CASEKEY_H
#define SCHEMA_CASEKEY_H

#include "schema/note.h"

/* Whether the key is one that the case at path names: no other may sign it
 * without a run of its own. False is logged. */
bool casekey_known(const char *path, const struct note_key *k);

#endif
