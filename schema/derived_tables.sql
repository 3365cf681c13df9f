-- The derived tables, and the records that this run takes in.

CREATE TABLE IF NOT EXISTS swarm (
	swarm TEXT PRIMARY KEY NOT NULL,	-- infohash, hex, as in record
	name TEXT,
	total_bytes INTEGER,
	piece_bytes INTEGER,
	pieces INTEGER,
	version TEXT,				-- '1', '2' or 'hybrid'
	private INTEGER				-- 0 or 1
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sighting (
	swarm TEXT NOT NULL,
	ip TEXT NOT NULL,
	port INTEGER NOT NULL,
	source TEXT NOT NULL,			-- 'tracker', 'dht', 'pex', 'lsd',
						-- 'magnet', 'announce', 'incoming'
	witness TEXT NOT NULL,			-- who named it; '' for incoming
	first_utc_ns INTEGER NOT NULL,
	last_utc_ns INTEGER NOT NULL,
	times INTEGER NOT NULL,
	first_seq INTEGER NOT NULL,		-- the record that named it first
	PRIMARY KEY (swarm, ip, port, source, witness)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS contact (
	conn INTEGER NOT NULL,			-- seq of dial, accept or flow
	origin TEXT NOT NULL,			-- 'live' or 'import'
	swarm TEXT,				-- NULL: it named none of ours
	ip TEXT NOT NULL,
	port INTEGER NOT NULL,			-- remote transport port
	listen_port INTEGER,			-- the first it said it listens on
	direction TEXT NOT NULL,		-- 'out', 'in' or 'observed'
	transport TEXT,				-- 'tcp' or 'utp'
	encryption TEXT,			-- 'none', 'plaintext' or 'rc4'
	opened_utc_ns INTEGER NOT NULL,		-- reached, else dialled; accepted
	closed_utc_ns INTEGER,			-- closed, or found unreachable
	outcome TEXT NOT NULL,			-- why it ended; 'open': no record
	peer_id TEXT,				-- 40 hex digits
	client TEXT,				-- as it named itself
	pieces_claimed INTEGER,			-- by its last claim
	pieces_total INTEGER,			-- of the torrent, at its last claim
	rx_bytes INTEGER,			-- it sent; NULL until closed
	tx_bytes INTEGER,			-- was sent to it
	pieces_matched INTEGER NOT NULL,
	pieces_failed INTEGER NOT NULL,
	level INTEGER NOT NULL,			-- of the ladder, 0 .. 5
	PRIMARY KEY (conn, ip, port)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS piece_check (
	seq INTEGER PRIMARY KEY,		-- of the piece record
	conn INTEGER NOT NULL,
	swarm TEXT,
	ip TEXT NOT NULL,
	port INTEGER NOT NULL,
	piece INTEGER NOT NULL,
	utc_ns INTEGER NOT NULL,
	bytes INTEGER NOT NULL,			-- of it that came
	ok INTEGER				-- hash matched 1, failed 0; NULL:
						-- too little came to tell
) STRICT;

CREATE TABLE IF NOT EXISTS endpoint (
	swarm TEXT NOT NULL,
	ip TEXT NOT NULL,
	port INTEGER NOT NULL,
	port_kind TEXT NOT NULL,		-- 'remote', 'listen', 'listed'
	utc_day TEXT NOT NULL,			-- YYYY-MM-DD
	level INTEGER NOT NULL,			-- highest observed that day
	first_utc_ns INTEGER NOT NULL,		-- of what the far end did or was
	last_utc_ns INTEGER NOT NULL,		-- named for; our vain attempts
						-- only if there is nothing else
	sightings INTEGER NOT NULL,
	contacts INTEGER NOT NULL,		-- opened (or tried) that day
	pieces_matched INTEGER NOT NULL,
	pieces_failed INTEGER NOT NULL,
	PRIMARY KEY (swarm, ip, port, port_kind, utc_day)
) STRICT, WITHOUT ROWID;

-- What sources answered when they were asked for an infohash that nobody
-- shares: the observer itself is not counted, nor one endpoint with its port,
-- which is taken to be the observer as others see it.
CREATE TABLE IF NOT EXISTS decoy_answer (
	source TEXT NOT NULL,			-- 'tracker' or 'dht'
	witness TEXT NOT NULL,
	infohash TEXT NOT NULL,
	answers INTEGER NOT NULL,
	named INTEGER NOT NULL,			-- most peers in one answer
	PRIMARY KEY (source, witness, infohash)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS decoy_source (
	source TEXT NOT NULL,
	witness TEXT NOT NULL,
	asked INTEGER NOT NULL,			-- decoys it answered for
	named INTEGER NOT NULL,			-- and of these named peers for
	PRIMARY KEY (source, witness)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS decoy_endpoint (
	conn INTEGER PRIMARY KEY,
	ip TEXT NOT NULL,
	port INTEGER NOT NULL,
	utc_ns INTEGER NOT NULL,
	accepted INTEGER NOT NULL		-- 1: it answered to a decoy
) STRICT;

CREATE TABLE IF NOT EXISTS coverage (
	swarm TEXT NOT NULL,
	source TEXT NOT NULL,			-- the tracker's URL, or 'dht'
	from_utc_ns INTEGER NOT NULL,		-- first question of one run sent
	to_utc_ns INTEGER NOT NULL,		-- last one answered or given up
	polls INTEGER NOT NULL,
	failures INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS coverage_source ON coverage (swarm, source);

-- Bookkeeping, which no report prints.

CREATE TABLE IF NOT EXISTS built (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	size INTEGER NOT NULL,			-- records 0 .. size-1 are in
	root TEXT,				-- of the tree then, if signed
	salt TEXT,				-- of record size-1
	script TEXT				-- SHA-256 of this text
) STRICT;
INSERT OR IGNORE INTO built VALUES (1, 0, NULL, NULL, NULL);

-- Infohashes that are nobody's.
CREATE TABLE IF NOT EXISTS decoy (
	infohash TEXT PRIMARY KEY NOT NULL
) STRICT, WITHOUT ROWID;

-- Where the few records about the run itself stand.
CREATE TABLE IF NOT EXISTS about (
	kind TEXT NOT NULL,
	seq INTEGER NOT NULL,
	PRIMARY KEY (kind, seq)
) STRICT, WITHOUT ROWID;

-- How far a conversation's records reach: to its end, or while it has none to
-- the last thing that the far end did. Its records lie in [conn, last_seq].
CREATE TABLE IF NOT EXISTS extent (
	conn INTEGER PRIMARY KEY,
	last_seq INTEGER NOT NULL
) STRICT;

-- When a conversation first came to levels 2 and 3, and by which records;
-- piece_check has the times of 4 and 5.
CREATE TABLE IF NOT EXISTS rung (
	conn INTEGER NOT NULL,
	ip TEXT NOT NULL,
	port INTEGER NOT NULL,
	greeted_seq INTEGER NOT NULL,		-- the handshake as expected
	greeted_utc_ns INTEGER NOT NULL,
	claimed_seq INTEGER,			-- the first claim of any piece
	claimed_utc_ns INTEGER,
	PRIMARY KEY (conn, ip, port)
) STRICT, WITHOUT ROWID;

-- coverage, with the run (seq of its record) that keeps periods apart.
CREATE TABLE IF NOT EXISTS poll (
	swarm TEXT NOT NULL,
	source TEXT NOT NULL,
	run INTEGER NOT NULL,
	from_utc_ns INTEGER NOT NULL,
	to_utc_ns INTEGER NOT NULL,
	polls INTEGER NOT NULL,
	failures INTEGER NOT NULL,
	PRIMARY KEY (swarm, source, run)
) STRICT, WITHOUT ROWID;

-- Records [a, z) are taken in now.

CREATE TEMP TABLE IF NOT EXISTS step (most INTEGER NOT NULL);

CREATE TEMP TABLE part AS
SELECT b.size AS a, min(b.size + coalesce((SELECT most FROM step), t.total),
	t.total) AS z
FROM built AS b,
    (SELECT coalesce(max(seq) + 1, 0) AS total FROM evidence.record) AS t;
