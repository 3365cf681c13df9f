-- derived.db: what evidence.db amounts to, and never evidence itself.
--
--	sqlite3 derived.db "ATTACH 'file:CASE/evidence.db?mode=ro' AS evidence" \
--	    ".read schema/derived.sql"
--
-- makes it or brings it up to date; the program runs these same texts. A run of
-- them takes in the records from built.size on, at most step.most of them if
-- that temporary table says so. Wherever the ledger is cut into steps, the
-- result is the same: a statement sees older records only through the tables,
-- and a rule about what came before is decided by seq.
-- docs/derived-tables.md says what the columns mean to a reader.
--
-- derived_said.sql and derived_talk.sql need nothing of derived_named.sql and
-- write only into `work`, derived_days.sql needs them alone and writes only into
-- `days`, and derived_results.sql does not need that: so the program runs those
-- three on a connection of their own, beside the first and the other.

ATTACH '' AS work;
ATTACH '' AS days;
.read schema/derived_tables.sql
.read schema/derived_named.sql
.read schema/derived_said.sql
.read schema/derived_talk.sql
.read schema/derived_days.sql
.read schema/derived_results.sql
.read schema/derived_end.sql
