-- evidence.db: evidence and nothing derived. docs/evidence-format.md says what
-- each column means; this file is what the database refuses.

PRAGMA application_id = 0x53574531;	-- "SWE1"
PRAGMA user_version = 1;

CREATE TABLE meta (
	name TEXT PRIMARY KEY NOT NULL,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Text is printable ASCII. Its length in bytes is compared with length() in
-- characters because length, GLOB and quote() all stop at a NUL.
CREATE TABLE record (
	seq INTEGER PRIMARY KEY,	-- dense from 0
	utc_ns INTEGER NOT NULL,	-- ns since 1970 by the observer's clock
	mono_ns INTEGER			-- ns since boot; NULL if imported
		CHECK (mono_ns >= 0),
	kind TEXT NOT NULL
		CHECK (kind <> '' AND kind NOT GLOB '*[^a-z0-9_]*'
		    AND length(kind) = length(CAST(kind AS BLOB))),
	swarm TEXT
		CHECK (length(swarm) IN (40, 64) AND swarm NOT GLOB '*[^0-9a-f]*'
		    AND length(swarm) = length(CAST(swarm AS BLOB))),
	conn INTEGER CHECK (conn BETWEEN 0 AND seq),
	ip TEXT				-- canonical text
		CHECK (ip NOT GLOB '*[^0-9a-f:.]*'
		    AND length(ip) = length(CAST(ip AS BLOB))),
	port INTEGER CHECK (port BETWEEN 0 AND 65535),
	detail TEXT NOT NULL		-- JSON object, printable ASCII
		CHECK (length(detail) = length(CAST(detail AS BLOB))
		    AND detail NOT GLOB '*[^ -~]*'),
	raw_sha256 TEXT
		CHECK (length(raw_sha256) = 64
		    AND raw_sha256 NOT GLOB '*[^0-9a-f]*'
		    AND length(CAST(raw_sha256 AS BLOB)) = 64),
	salt TEXT NOT NULL		-- 16 random bytes
		CHECK (length(salt) = 32 AND salt NOT GLOB '*[^0-9a-f]*'
		    AND length(CAST(salt AS BLOB)) = 32)
) STRICT;

CREATE TABLE raw (
	seq INTEGER PRIMARY KEY REFERENCES record (seq),
	bytes BLOB NOT NULL		-- SHA-256 is record.raw_sha256
) STRICT;

CREATE TABLE named (
	seq INTEGER NOT NULL REFERENCES record (seq),
	n INTEGER NOT NULL,		-- dense from 0
	ip TEXT NOT NULL
		CHECK (ip NOT GLOB '*[^0-9a-f:.]*'
		    AND length(ip) = length(CAST(ip AS BLOB))),
	port INTEGER NOT NULL CHECK (port BETWEEN 0 AND 65535),
	salt TEXT NOT NULL
		CHECK (length(salt) = 32 AND salt NOT GLOB '*[^0-9a-f]*'
		    AND length(CAST(salt AS BLOB)) = 32),
	PRIMARY KEY (seq, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE tile (
	level INTEGER NOT NULL,
	n INTEGER NOT NULL,
	hashes BLOB NOT NULL CHECK (length(hashes) = 8192),
	PRIMARY KEY (level, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint (
	size INTEGER PRIMARY KEY,	-- records covered: 0 .. size-1
	utc_ns INTEGER NOT NULL,
	root TEXT NOT NULL
		CHECK (length(root) = 64 AND root NOT GLOB '*[^0-9a-f]*'
		    AND length(CAST(root AS BLOB)) = 64),
	note TEXT NOT NULL		-- signed note; UTF-8 for its one dash
) STRICT;

-- What an `index` record commits to: its subjects (docs/evidence-format.md).
CREATE TABLE subject (
	seq INTEGER NOT NULL REFERENCES record (seq),	-- the index record
	subject TEXT NOT NULL		-- ip|UTC-date
		CHECK (subject GLOB '?*|????-??-??'
		    AND subject NOT GLOB '*[^0-9a-f:.|-]*'
		    AND length(subject) = length(CAST(subject AS BLOB))),
	salt TEXT			-- NULL: absent (excerpts)
		CHECK (length(salt) = 32 AND salt NOT GLOB '*[^0-9a-f]*'
		    AND length(CAST(salt AS BLOB)) = 32),
	seqs TEXT			-- decimal, by commas; NULL: as the
					-- records have it
		CHECK (seqs NOT GLOB '*[^0-9,]*'
		    AND length(seqs) = length(CAST(seqs AS BLOB))),
	path BLOB CHECK (length(path) % 32 = 0),	-- in excerpts
	PRIMARY KEY (seq, subject)
) STRICT, WITHOUT ROWID;

-- In excerpts: inclusion paths, of records (n NULL) and of rows of named.
CREATE TABLE proof (
	seq INTEGER NOT NULL,
	n INTEGER CHECK (n >= 0),
	path BLOB NOT NULL CHECK (length(path) % 32 = 0)
) STRICT;
CREATE UNIQUE INDEX proof_of ON proof (seq, coalesce(n, -1));

-- What was erased, each thing under the `erased` record that says why.
CREATE TABLE gone (
	seq INTEGER NOT NULL,		-- of the record that it was, or was of
	what TEXT NOT NULL
		CHECK (what IN ('record', 'named', 'raw', 'subject')),
	n INTEGER NOT NULL CHECK (n >= 0),	-- row of named; node of the
					-- index's tree, its root is 1; else 0
	hash BLOB CHECK (length(hash) = 32),	-- leaf, or node; NULL: raw,
					-- whose digest is the record's
	erased INTEGER NOT NULL REFERENCES record (seq),
	PRIMARY KEY (seq, what, n),
	CHECK ((hash IS NULL) = (what = 'raw'))
) STRICT, WITHOUT ROWID;

-- In excerpts: what would be here, and why it is not.
CREATE TABLE omitted (
	seq INTEGER NOT NULL,		-- of the record; of a packet its
					-- savefile's record
	what TEXT NOT NULL CHECK (what IN ('record', 'raw', 'packet')),
	n INTEGER NOT NULL CHECK (n >= 0),	-- packet of the savefile,
					-- from 1; else 0
	sha256 TEXT			-- leaf hash; digest of the bytes
		CHECK (length(sha256) = 64 AND sha256 NOT GLOB '*[^0-9a-f]*'
		    AND length(CAST(sha256 AS BLOB)) = 64),
	why TEXT NOT NULL,
	PRIMARY KEY (seq, what, n)
) STRICT, WITHOUT ROWID;

-- The triggers prevent accidents; the tree detects tampering. Those on INSERT
-- roll back rather than abort, and so does the writer's INSERT OR ROLLBACK:
-- then SQLite keeps no journal of each statement.
CREATE TRIGGER record_new BEFORE INSERT ON record
WHEN new.seq IS NOT (SELECT coalesce(max(seq) + 1, 0) FROM record)
BEGIN SELECT raise(ROLLBACK, 'record: seq must follow the last'); END;
CREATE TRIGGER record_update BEFORE UPDATE ON record
BEGIN SELECT raise(ABORT, 'record: evidence is append-only'); END;
CREATE TRIGGER record_delete BEFORE DELETE ON record
WHEN NOT EXISTS (SELECT 1 FROM gone WHERE seq = old.seq AND what = 'record')
BEGIN SELECT raise(ABORT, 'record: evidence is append-only'); END;

CREATE TRIGGER raw_new BEFORE INSERT ON raw
WHEN EXISTS (SELECT 1 FROM raw WHERE seq = new.seq)
BEGIN SELECT raise(ROLLBACK, 'raw: evidence is append-only'); END;
CREATE TRIGGER raw_update BEFORE UPDATE ON raw
BEGIN SELECT raise(ABORT, 'raw: evidence is append-only'); END;
CREATE TRIGGER raw_delete BEFORE DELETE ON raw
WHEN NOT EXISTS (SELECT 1 FROM gone WHERE seq = old.seq
    AND what IN ('raw', 'record'))
BEGIN SELECT raise(ABORT, 'raw: evidence is append-only'); END;

CREATE TRIGGER named_new BEFORE INSERT ON named
WHEN EXISTS (SELECT 1 FROM named WHERE seq = new.seq AND n = new.n)
BEGIN SELECT raise(ROLLBACK, 'named: evidence is append-only'); END;
CREATE TRIGGER named_update BEFORE UPDATE ON named
BEGIN SELECT raise(ABORT, 'named: evidence is append-only'); END;
CREATE TRIGGER named_delete BEFORE DELETE ON named
WHEN NOT EXISTS (SELECT 1 FROM gone WHERE seq = old.seq
    AND (what = 'record' OR what = 'named' AND n = old.n))
BEGIN SELECT raise(ABORT, 'named: evidence is append-only'); END;

CREATE TRIGGER tile_new BEFORE INSERT ON tile
WHEN EXISTS (SELECT 1 FROM tile WHERE level = new.level AND n = new.n)
BEGIN SELECT raise(ROLLBACK, 'tile: evidence is append-only'); END;
CREATE TRIGGER tile_update BEFORE UPDATE ON tile
BEGIN SELECT raise(ABORT, 'tile: evidence is append-only'); END;
CREATE TRIGGER tile_delete BEFORE DELETE ON tile
BEGIN SELECT raise(ABORT, 'tile: evidence is append-only'); END;

CREATE TRIGGER checkpoint_new BEFORE INSERT ON checkpoint
WHEN new.size IS NOT (SELECT max(seq) + 1 FROM record)
    OR new.size <= (SELECT max(size) FROM checkpoint)
BEGIN SELECT raise(ROLLBACK, 'checkpoint: must cover every record, once'); END;
CREATE TRIGGER checkpoint_update BEFORE UPDATE ON checkpoint
BEGIN SELECT raise(ABORT, 'checkpoint: never changed'); END;
-- Between the kept ones (one a minute and the newest), heads come and go.
CREATE TRIGGER checkpoint_delete BEFORE DELETE ON checkpoint
WHEN NOT EXISTS (SELECT 1 FROM checkpoint WHERE size > old.size)
    OR NOT EXISTS (SELECT 1 FROM checkpoint
	WHERE size < old.size AND utc_ns > old.utc_ns - 60000000000)
BEGIN SELECT raise(ABORT, 'checkpoint: this one is kept'); END;

CREATE TRIGGER meta_new BEFORE INSERT ON meta
WHEN EXISTS (SELECT 1 FROM meta WHERE name = new.name)
BEGIN SELECT raise(ROLLBACK, 'meta: never changed'); END;
CREATE TRIGGER meta_update BEFORE UPDATE ON meta
BEGIN SELECT raise(ABORT, 'meta: never changed'); END;
CREATE TRIGGER meta_delete BEFORE DELETE ON meta
BEGIN SELECT raise(ABORT, 'meta: never changed'); END;

-- Rows of these two follow the record that owns them, in its transaction.
CREATE TRIGGER subject_new BEFORE INSERT ON subject
WHEN EXISTS (SELECT 1 FROM subject
	WHERE seq = new.seq AND subject = new.subject)
    OR NOT EXISTS (SELECT 1 FROM record
	WHERE seq = new.seq AND kind = 'index')
BEGIN SELECT raise(ROLLBACK, 'subject: evidence is append-only'); END;
-- A list that follows from the records no more, some of them being erased, is
-- written down.
CREATE TRIGGER subject_update BEFORE UPDATE ON subject
WHEN old.seqs IS NOT NULL OR new.seqs IS NULL OR new.seq IS NOT old.seq
    OR new.subject IS NOT old.subject OR new.salt IS NOT old.salt
    OR new.path IS NOT old.path
    OR NOT EXISTS (SELECT 1 FROM gone WHERE what = 'record')
BEGIN SELECT raise(ABORT, 'subject: evidence is append-only'); END;
CREATE TRIGGER subject_delete BEFORE DELETE ON subject
WHEN NOT EXISTS (SELECT 1 FROM gone WHERE seq = old.seq AND what = 'subject')
BEGIN SELECT raise(ABORT, 'subject: evidence is append-only'); END;

CREATE TRIGGER gone_new BEFORE INSERT ON gone
WHEN EXISTS (SELECT 1 FROM gone
	WHERE seq = new.seq AND what = new.what AND n = new.n)
    OR NOT EXISTS (SELECT 1 FROM record
	WHERE seq = new.erased AND kind = 'erased' AND (new.what <> 'record'
	    OR new.seq IN (SELECT value FROM json_each(detail, '$.records'))))
BEGIN SELECT raise(ROLLBACK, 'gone: no erased record names it'); END;
CREATE TRIGGER gone_update BEFORE UPDATE ON gone
BEGIN SELECT raise(ABORT, 'gone: evidence is append-only'); END;
CREATE TRIGGER gone_delete BEFORE DELETE ON gone
BEGIN SELECT raise(ABORT, 'gone: evidence is append-only'); END;

-- An excerpt is filled before its triggers are made.
CREATE TRIGGER proof_new BEFORE INSERT ON proof
BEGIN SELECT raise(ROLLBACK, 'proof: of excerpts, which are made whole'); END;
CREATE TRIGGER proof_update BEFORE UPDATE ON proof
BEGIN SELECT raise(ABORT, 'proof: never changed'); END;
CREATE TRIGGER proof_delete BEFORE DELETE ON proof
BEGIN SELECT raise(ABORT, 'proof: never changed'); END;
CREATE TRIGGER omitted_new BEFORE INSERT ON omitted
BEGIN SELECT raise(ROLLBACK, 'omitted: of excerpts, which are made whole'); END;
CREATE TRIGGER omitted_update BEFORE UPDATE ON omitted
BEGIN SELECT raise(ABORT, 'omitted: never changed'); END;
CREATE TRIGGER omitted_delete BEFORE DELETE ON omitted
BEGIN SELECT raise(ABORT, 'omitted: never changed'); END;
