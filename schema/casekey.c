#include "schema/casekey.h"

#include "schema/casedir.h"
#include "schema/log.h"

bool casekey_known(const char *path, const struct note_key *k)
{
	sqlite3 *db = casedir_read(path);
	sqlite3_stmt *s = NULL;
	char vkey[NOTE_VKEY_MAX];
	bool known = false;

	if (db == NULL)
		return false;
	note_vkey(k, vkey);
	if (sqlite3_prepare_v2(db, "SELECT 1 FROM record WHERE kind='key' AND "
	    "json_extract(detail,'$.vkey')=?1", -1, &s, NULL) == SQLITE_OK) {
		sqlite3_bind_text(s, 1, vkey, -1, SQLITE_STATIC);
		known = sqlite3_step(s) == SQLITE_ROW;
	}
	sqlite3_finalize(s);
	sqlite3_close(db);
	if (!known)
		log_warn("%s: the key %s is none of this case's (--key)", path,
		    k->name);
	return known;
}
