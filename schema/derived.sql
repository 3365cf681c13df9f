-- derived.db: what evidence.db amounts to, and never evidence itself.
--
--	sqlite3 derived.db "ATTACH 'file:CASE/evidence.db?mode=ro' AS evidence" \
--	    ".read schema/derived.sql"
--
-- makes it or brings it up to date; the program runs this same text. A run of
-- the script takes in the records from built.size on, at most step.most of
-- them if that temporary table says so. Wherever the ledger is cut into
-- steps, the result is the same: a statement sees older records only through
-- the tables, and a rule about what came before is decided by seq.
-- docs/derived-tables.md says what the columns mean to a reader.

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
	source TEXT NOT NULL,			-- 'tracker', 'dht', 'pex',
						-- 'lsd', 'magnet', 'incoming'
	witness TEXT NOT NULL,			-- who named it; '' for incoming
	first_utc_ns INTEGER NOT NULL,
	last_utc_ns INTEGER NOT NULL,
	times INTEGER NOT NULL,
	first_seq INTEGER NOT NULL,		-- the record that named it first
	PRIMARY KEY (swarm, ip, port, source, witness)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS contact (
	conn INTEGER NOT NULL,			-- seq of dial or accept
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
	rx_bytes INTEGER,			-- NULL until closed
	tx_bytes INTEGER,
	pieces_matched INTEGER NOT NULL,
	pieces_failed INTEGER NOT NULL,
	level INTEGER NOT NULL,			-- of the ladder, 0 .. 5
	PRIMARY KEY (conn, ip, port)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS contact_ip ON contact (ip, port);

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

-- 1. One pass over the new records keeps what the rest needs, by kind. Of a
-- conversation that is how it opened and ended, and all that the peer sent:
-- `by` is the first key of such a record's detail.

CREATE TEMP TABLE IF NOT EXISTS step (most INTEGER NOT NULL);

CREATE TEMP TABLE part AS
SELECT b.size AS a, min(b.size + coalesce((SELECT most FROM step), t.total),
	t.total) AS z
FROM built AS b,
    (SELECT coalesce(max(seq) + 1, 0) AS total FROM evidence.record) AS t;

CREATE TEMP TABLE fact (
	kind TEXT NOT NULL,
	seq INTEGER NOT NULL,
	utc_ns INTEGER NOT NULL,
	conn INTEGER,
	ip TEXT,
	port INTEGER,
	PRIMARY KEY (kind, seq)
) STRICT, WITHOUT ROWID;

INSERT INTO temp.fact
SELECT kind, seq, utc_ns, conn, ip, port
FROM evidence.record
WHERE seq >= (SELECT a FROM temp.part) AND seq < (SELECT z FROM temp.part)
    AND CASE WHEN conn IS NULL
	THEN kind IN ('announce', 'listed', 'dht', 'run', 'end', 'key', 'clock',
	    'stall', 'torrent', 'geo', 'packets', 'no_packets', 'erased', 'decoy')
	ELSE kind IN ('dial', 'accept', 'reached', 'unreached', 'encrypted',
	    'closed', 'decoy')
	    OR substr(detail, 1, 12) = '{"by":"peer"' END;

INSERT INTO about SELECT kind, seq FROM temp.fact
WHERE kind IN ('run', 'end', 'key', 'clock', 'stall', 'torrent', 'geo',
    'packets', 'no_packets', 'erased');

INSERT INTO extent
SELECT conn, max(seq) FROM temp.fact WHERE conn IS NOT NULL GROUP BY conn
ON CONFLICT DO UPDATE SET last_seq = max(last_seq, excluded.last_seq);

-- 2. Torrents, and who named whom.

INSERT INTO swarm
SELECT coalesce(r.swarm, json_extract(r.detail, '$.infohash_v1'),
	json_extract(r.detail, '$.infohash_v2')),
    json_extract(r.detail, '$.name'), json_extract(r.detail, '$.total_bytes'),
    json_extract(r.detail, '$.piece_bytes'),
    json_extract(r.detail, '$.pieces'), json_extract(r.detail, '$.version'),
    json_extract(r.detail, '$.private')
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind = 'torrent'
ORDER BY f.seq
ON CONFLICT DO UPDATE SET name = coalesce(name, excluded.name),
    total_bytes = coalesce(total_bytes, excluded.total_bytes),
    piece_bytes = coalesce(piece_bytes, excluded.piece_bytes),
    pieces = coalesce(pieces, excluded.pieces),
    version = coalesce(version, excluded.version),
    private = coalesce(private, excluded.private);

INSERT OR IGNORE INTO decoy
SELECT json_extract(r.detail, '$.infohash')
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind = 'decoy' AND f.conn IS NULL;

INSERT INTO decoy_endpoint
SELECT f.conn, f.ip, f.port, f.utc_ns, json_extract(r.detail, '$.accepted')
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind = 'decoy' AND f.conn IS NOT NULL;

CREATE TEMP TABLE listing AS
SELECT f.seq, f.utc_ns, r.swarm,
    json_extract(r.detail, '$.source') AS source,
    coalesce(json_extract(r.detail, '$.witness'), '') AS witness,
    NULL AS most,				-- of those named; NULL: all
    json_extract(r.detail, '$.failure') IS NULL AS answered
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind = 'listed' AND r.swarm IS NOT NULL
UNION ALL
SELECT f.seq, f.utc_ns, r.swarm, f.kind,
    iif(instr(f.ip, ':'), '[' || f.ip || ']', f.ip) || ':' || f.port,
    json_extract(r.detail, '$.named_added'),	-- dropped: it is gone
    json_extract(r.detail, '$.error') IS NULL
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind IN ('dht', 'pex') AND r.swarm IS NOT NULL AND f.ip IS NOT NULL;

-- Answers about decoys say something of their sources, and nothing of peers.
CREATE TEMP TABLE vantage AS
SELECT a.seq AS run, json_extract(r.detail, '$.config.listen') AS port,
    r.detail
FROM about AS a CROSS JOIN evidence.record AS r ON r.seq = a.seq
WHERE a.kind = 'run' AND EXISTS (SELECT 1 FROM decoy);

CREATE TEMP TABLE decoyed AS
SELECT l.source, l.witness, l.swarm AS infohash,
    count(n.seq) - coalesce(sum(n.port = v.port AND n.ip IN (SELECT value
	FROM json_each(v.detail, '$.vantage'))), 0) AS named,
    coalesce(sum(n.port = v.port AND n.ip NOT IN (SELECT value
	FROM json_each(v.detail, '$.vantage'))), 0) AS perhaps
FROM temp.listing AS l
LEFT JOIN evidence.named AS n ON n.seq = l.seq
LEFT JOIN temp.vantage AS v ON v.run = (SELECT max(run) FROM temp.vantage
    WHERE run < l.seq)
WHERE l.swarm IN (SELECT infohash FROM decoy) AND l.answered
GROUP BY l.seq;

INSERT INTO decoy_answer
SELECT source, witness, infohash, count(*), max(named - (perhaps = 1))
FROM temp.decoyed
WHERE true
GROUP BY source, witness, infohash
ON CONFLICT DO UPDATE SET answers = answers + excluded.answers,
    named = max(named, excluded.named);

DELETE FROM decoy_source
WHERE (source, witness) IN (SELECT source, witness FROM temp.decoyed);
INSERT INTO decoy_source
SELECT source, witness, count(*), sum(named > 0)
FROM decoy_answer
WHERE (source, witness) IN (SELECT source, witness FROM temp.decoyed)
GROUP BY source, witness;

DELETE FROM temp.listing WHERE swarm IN (SELECT infohash FROM decoy);

INSERT INTO sighting
SELECT l.swarm, n.ip, n.port, l.source, l.witness, min(l.utc_ns),
    max(l.utc_ns), count(*), min(l.seq)
FROM temp.listing AS l CROSS JOIN evidence.named AS n ON n.seq = l.seq
WHERE l.most IS NULL OR n.n < l.most
GROUP BY l.swarm, n.ip, n.port, l.source, l.witness
ON CONFLICT DO UPDATE SET
    first_utc_ns = min(first_utc_ns, excluded.first_utc_ns),
    last_utc_ns = max(last_utc_ns, excluded.last_utc_ns),
    times = times + excluded.times,
    first_seq = min(first_seq, excluded.first_seq);

INSERT INTO endpoint
SELECT l.swarm, n.ip, n.port, 'listed',
    date(l.utc_ns / 1000000000, 'unixepoch') AS day, 0, min(l.utc_ns),
    max(l.utc_ns), count(*), 0, 0, 0
FROM temp.listing AS l CROSS JOIN evidence.named AS n ON n.seq = l.seq
WHERE l.most IS NULL OR n.n < l.most
GROUP BY l.swarm, n.ip, n.port, day
ON CONFLICT DO UPDATE SET
    first_utc_ns = min(first_utc_ns, excluded.first_utc_ns),
    last_utc_ns = max(last_utc_ns, excluded.last_utc_ns),
    sightings = sightings + excluded.sightings;

-- 3. When each source was asked.

CREATE TEMP TABLE asked AS
SELECT r.swarm, json_extract(r.detail, '$.tracker') AS source,
    coalesce((SELECT max(seq) FROM about
	WHERE kind = 'run' AND seq < f.seq), 0) AS run,
    coalesce(json_extract(r.detail, '$.sent_utc_ns'), f.utc_ns) AS sent_utc_ns,
    f.utc_ns, json_extract(r.detail, '$.outcome') IS NOT 'ok' AS failed
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind = 'announce' AND r.swarm IS NOT NULL
    AND r.swarm NOT IN (SELECT infohash FROM decoy)
UNION ALL
SELECT r.swarm, 'dht', coalesce((SELECT max(seq) FROM about
	WHERE kind = 'run' AND seq < f.seq), 0),
    coalesce(json_extract(r.detail, '$.began_utc_ns'), f.utc_ns), f.utc_ns,
    coalesce(json_extract(r.detail, '$.answered'), 0) = 0
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind = 'dht' AND r.swarm IS NOT NULL
    AND r.swarm NOT IN (SELECT infohash FROM decoy)
    AND json_extract(r.detail, '$.lookup') IS NOT NULL;

INSERT INTO poll
SELECT swarm, source, run, min(sent_utc_ns), max(utc_ns), count(*),
    sum(failed)
FROM temp.asked
WHERE true
GROUP BY swarm, source, run
ON CONFLICT DO UPDATE SET
    from_utc_ns = min(from_utc_ns, excluded.from_utc_ns),
    to_utc_ns = max(to_utc_ns, excluded.to_utc_ns),
    polls = polls + excluded.polls,
    failures = failures + excluded.failures;

DELETE FROM coverage
WHERE (swarm, source) IN (SELECT swarm, source FROM temp.asked);
INSERT INTO coverage
SELECT swarm, source, from_utc_ns, to_utc_ns, polls, failures
FROM poll
WHERE (swarm, source) IN (SELECT swarm, source FROM temp.asked)
ORDER BY swarm, source, run;

-- 4. Conversations open. An incoming one belongs to no swarm until its
-- handshake names one. Incoming uTP can be forged blindly, so it is reached
-- only once a `reached` says that the far end acknowledged our number.

INSERT INTO contact
SELECT f.conn, iif(r.mono_ns IS NULL, 'import', 'live'),
    iif(f.kind = 'dial', r.swarm, NULL), f.ip, f.port, NULL,
    iif(f.kind = 'dial', 'out', 'in'), json_extract(r.detail, '$.transport'),
    iif(json_extract(r.detail, '$.encryption') IS 'none', 'none', NULL),
    f.utc_ns, NULL, 'open', NULL,
    NULL, NULL, NULL, NULL, NULL, 0, 0,
    f.kind = 'accept' AND json_extract(r.detail, '$.transport') IS 'tcp'
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind IN ('dial', 'accept');

-- What an incoming conversation is shows in its first bytes, and the
-- initiator's handshake may stand before the record of the encryption.
UPDATE contact SET encryption = 'none'
FROM (SELECT DISTINCT conn, ip, port FROM temp.fact
    WHERE kind = 'handshake') AS f
WHERE contact.conn = f.conn AND contact.ip = f.ip AND contact.port = f.port
    AND contact.encryption IS NULL;

UPDATE contact SET encryption = CASE e.selected WHEN 1 THEN 'plaintext'
    WHEN 2 THEN 'rc4' END
FROM (SELECT f.conn, f.ip, f.port, max(f.seq),
	json_extract(r.detail, '$.select') AS selected
    FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
    WHERE f.kind = 'encrypted' GROUP BY f.conn, f.ip, f.port) AS e
WHERE contact.conn = e.conn AND contact.ip = e.ip AND contact.port = e.port;

UPDATE contact SET opened_utc_ns = f.utc_ns
FROM (SELECT conn, ip, port, utc_ns, min(seq) FROM temp.fact
    WHERE kind = 'reached' GROUP BY conn, ip, port) AS f
WHERE contact.conn = f.conn AND contact.ip = f.ip AND contact.port = f.port;

-- The first handshake that bears the infohash expected. What follows it in
-- the same conversation is said under it; what precedes it is not. One that
-- bears this run's own peer id is the observer's, met from behind its own
-- translator.
CREATE TEMP TABLE greeted (
	conn INTEGER NOT NULL,
	ip TEXT NOT NULL,
	port INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	swarm TEXT,
	PRIMARY KEY (conn, ip, port)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO temp.greeted
SELECT f.conn, f.ip, f.port, f.seq,
    coalesce(c.swarm, r.swarm, json_extract(r.detail, '$.infohash'))
FROM temp.fact AS f
CROSS JOIN evidence.record AS r ON r.seq = f.seq
CROSS JOIN contact AS c
    ON c.conn = f.conn AND c.ip = f.ip AND c.port = f.port
WHERE f.kind = 'handshake' AND c.level < 2
    AND json_extract(r.detail, '$.expected')
    AND json_extract(r.detail, '$.peer_id') IS NOT
	(SELECT json_extract(o.detail, '$.config.peer_id')
	FROM evidence.record AS o WHERE o.seq = (SELECT max(seq) FROM about
	    WHERE kind = 'run' AND seq < f.seq))
ORDER BY f.seq;

CREATE TEMP TABLE joined AS
SELECT c.conn, c.ip, c.port, g.seq, g.swarm, c.opened_utc_ns
FROM temp.greeted AS g CROSS JOIN contact AS c
    ON c.conn = g.conn AND c.ip = g.ip AND c.port = g.port
WHERE c.swarm IS NULL;

UPDATE contact SET swarm = j.swarm
FROM temp.joined AS j
WHERE contact.conn = j.conn AND contact.ip = j.ip AND contact.port = j.port;

INSERT INTO sighting
SELECT swarm, ip, port, 'incoming', '', min(opened_utc_ns),
    max(opened_utc_ns), count(*), min(conn)
FROM temp.joined
WHERE swarm NOT IN (SELECT infohash FROM decoy)
GROUP BY swarm, ip, port
ON CONFLICT DO UPDATE SET
    first_utc_ns = min(first_utc_ns, excluded.first_utc_ns),
    last_utc_ns = max(last_utc_ns, excluded.last_utc_ns),
    times = times + excluded.times,
    first_seq = min(first_seq, excluded.first_seq);

-- 5. What peers said of themselves.

UPDATE contact SET peer_id = h.peer_id,
    client = coalesce(contact.client, h.client)
FROM (SELECT f.conn, f.ip, f.port, min(f.seq),
	json_extract(r.detail, '$.peer_id') AS peer_id,
	json_extract(r.detail, '$.client') AS client
    FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
    WHERE f.kind = 'handshake' GROUP BY f.conn, f.ip, f.port) AS h
WHERE contact.conn = h.conn AND contact.ip = h.ip AND contact.port = h.port
    AND contact.peer_id IS NULL;

CREATE TEMP TABLE extended AS
SELECT f.conn, f.ip, f.port, f.seq,
    json_extract(r.detail, '$.client') AS client,
    json_extract(r.detail, '$.port') AS listen_port
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind = 'extended';

UPDATE contact SET client = e.client
FROM (SELECT conn, ip, port, client, max(seq) FROM temp.extended
    WHERE client <> '' GROUP BY conn, ip, port) AS e
WHERE contact.conn = e.conn AND contact.ip = e.ip AND contact.port = e.port;

CREATE TEMP TABLE told (
	conn INTEGER NOT NULL,
	ip TEXT NOT NULL,
	port INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	listen_port INTEGER NOT NULL,
	PRIMARY KEY (conn, ip, port)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO temp.told
SELECT e.conn, e.ip, e.port, e.seq, e.listen_port
FROM temp.extended AS e CROSS JOIN contact AS c
    ON c.conn = e.conn AND c.ip = e.ip AND c.port = e.port
WHERE c.listen_port IS NULL AND e.listen_port BETWEEN 1 AND 65535
ORDER BY e.seq;

CREATE TEMP TABLE claim (
	seq INTEGER PRIMARY KEY,
	conn INTEGER NOT NULL,
	ip TEXT NOT NULL,
	port INTEGER NOT NULL,
	claimed INTEGER,
	pieces INTEGER
) STRICT;

INSERT INTO temp.claim
SELECT f.seq, f.conn, f.ip, f.port, json_extract(r.detail, '$.claimed'),
    iif(f.kind IN ('have', 'donthave'), NULL,
	json_extract(r.detail, '$.pieces'))
FROM temp.fact AS f
CROSS JOIN evidence.record AS r ON r.seq = f.seq
LEFT JOIN temp.greeted AS g
    ON g.conn = f.conn AND g.ip = f.ip AND g.port = f.port
WHERE f.kind IN ('bitfield', 'have', 'have_all', 'have_none', 'donthave',
	'claims')
    AND (g.seq IS NULL OR f.seq > g.seq);

INSERT INTO piece_check
SELECT f.seq, f.conn,
    coalesce(r.swarm, iif(c.direction = 'in' AND g.seq > f.seq, NULL, c.swarm)),
    f.ip, f.port,
    json_extract(r.detail, '$.piece'), f.utc_ns,
    coalesce(json_extract(r.detail, '$.came'), 0),
    iif(json_extract(r.detail, '$.complete'),
	json_extract(r.detail, '$.match'), NULL)
FROM temp.fact AS f
CROSS JOIN evidence.record AS r ON r.seq = f.seq
CROSS JOIN contact AS c
    ON c.conn = f.conn AND c.ip = f.ip AND c.port = f.port
LEFT JOIN temp.greeted AS g
    ON g.conn = f.conn AND g.ip = f.ip AND g.port = f.port
WHERE f.kind = 'piece';

-- 6. Each thing the far end did, and our attempts, on the ladder; summed up at
-- once for each conversation, day and listening port, so that what follows
-- sorts little. lived_* are the times of what the far end did.

CREATE TEMP TABLE event AS
SELECT conn, ip, port, max(swarm) AS swarm, day, listen_port, early,
    max(level) AS level, min(utc_ns) AS first_utc_ns, max(utc_ns) AS last_utc_ns,
    min(utc_ns) FILTER (WHERE level > 0) AS lived_first_utc_ns,
    max(utc_ns) FILTER (WHERE level > 0) AS lived_last_utc_ns,
    sum(opened) AS opened, max(told) AS told,
    coalesce(sum(ok = 1), 0) AS matched, coalesce(sum(ok = 0), 0) AS failed
FROM (SELECT f.conn, f.ip, f.port, c.swarm, f.utc_ns,
	f.utc_ns / 86400000000000 AS day,
	CASE WHEN f.kind IN ('dial', 'unreached') THEN 0
	    WHEN f.kind = 'accept' THEN c.transport IS 'tcp'
	    WHEN c.level < 2 AND (g.seq IS NULL OR f.seq < g.seq) THEN 1
	    WHEN p.ok THEN 5
	    WHEN p.seq AND p.ok IS NULL AND p.bytes > 0 THEN 4
	    WHEN k.claimed > 0 THEN 3
	    -- Before the metadata is known nobody can count.
	    WHEN k.seq AND k.claimed IS NULL AND f.kind IN ('have', 'have_all')
	    THEN 3
	    ELSE 2 END AS level,
	f.kind = 'dial' AS opened,
	CASE WHEN p.seq IS NULL
	    OR c.level < 2 AND (g.seq IS NULL OR f.seq < g.seq)
	    THEN NULL ELSE p.ok END AS ok,
	CASE WHEN t.seq IS NULL THEN c.listen_port
	    WHEN f.seq >= t.seq THEN t.listen_port END AS listen_port,
	t.seq IS f.seq AS told,
	c.direction = 'in' AND coalesce(g.seq > f.seq, false) AS early
    FROM temp.fact AS f
    CROSS JOIN contact AS c
	ON c.conn = f.conn AND c.ip = f.ip AND c.port = f.port
    LEFT JOIN temp.greeted AS g
	ON g.conn = f.conn AND g.ip = f.ip AND g.port = f.port
    LEFT JOIN temp.told AS t
	ON t.conn = f.conn AND t.ip = f.ip AND t.port = f.port
    LEFT JOIN temp.claim AS k ON k.seq = f.seq
    LEFT JOIN piece_check AS p ON f.kind = 'piece' AND p.seq = f.seq
    WHERE f.kind <> 'decoy' AND (f.kind NOT IN ('closed', 'encrypted')
	OR (SELECT substr(detail, 1, 12) FROM evidence.record
	    WHERE seq = f.seq) = '{"by":"peer"'))
GROUP BY conn, ip, port, day, listen_port, early;

UPDATE contact SET level = max(contact.level, e.level),
    pieces_matched = pieces_matched + e.matched,
    pieces_failed = pieces_failed + e.failed
FROM (SELECT conn, ip, port, max(level) AS level, sum(matched) AS matched,
	sum(failed) AS failed
    FROM temp.event GROUP BY conn, ip, port) AS e
WHERE contact.conn = e.conn AND contact.ip = e.ip AND contact.port = e.port;

UPDATE contact SET listen_port = t.listen_port
FROM temp.told AS t
WHERE contact.conn = t.conn AND contact.ip = t.ip AND contact.port = t.port;

UPDATE contact SET pieces_claimed = k.claimed
FROM (SELECT conn, ip, port, claimed, max(seq) FROM temp.claim
    WHERE claimed IS NOT NULL GROUP BY conn, ip, port) AS k
WHERE contact.conn = k.conn AND contact.ip = k.ip AND contact.port = k.port
    AND contact.level >= 2;

UPDATE contact SET pieces_total = k.pieces
FROM (SELECT conn, ip, port, pieces, max(seq) FROM temp.claim
    WHERE pieces IS NOT NULL GROUP BY conn, ip, port) AS k
WHERE contact.conn = k.conn AND contact.ip = k.ip AND contact.port = k.port
    AND contact.level >= 2;

UPDATE contact SET closed_utc_ns = e.utc_ns, outcome = coalesce(e.why, ''),
    rx_bytes = e.rx_bytes, tx_bytes = e.tx_bytes
FROM (SELECT f.conn, f.ip, f.port, f.utc_ns, max(f.seq),
	json_extract(r.detail, '$.why') AS why,
	json_extract(r.detail, '$.rx_bytes') AS rx_bytes,
	json_extract(r.detail, '$.tx_bytes') AS tx_bytes
    FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
    WHERE f.kind IN ('closed', 'unreached')
    GROUP BY f.conn, f.ip, f.port) AS e
WHERE contact.conn = e.conn AND contact.ip = e.ip AND contact.port = e.port;

-- 7. Endpoints by day. Of an incoming conversation the opening counts once its
-- handshake told the swarm. First and last are those of what the far end did;
-- a day's vain attempts never stretch them.

INSERT INTO temp.event
SELECT conn, ip, port, swarm, opened_utc_ns / 86400000000000, NULL, 0, 1,
    opened_utc_ns, opened_utc_ns, opened_utc_ns, opened_utc_ns, 1, 0, 0, 0
FROM temp.joined;

INSERT INTO endpoint
SELECT swarm, ip, port, port_kind, date(day * 86400, 'unixepoch'), max(level),
    coalesce(min(lived_first_utc_ns), min(first_utc_ns)),
    coalesce(max(lived_last_utc_ns), max(last_utc_ns)),
    0, sum(opened), sum(matched), sum(failed)
FROM (SELECT swarm, ip, port, 'remote' AS port_kind, day, level, first_utc_ns,
	last_utc_ns, lived_first_utc_ns, lived_last_utc_ns, opened, matched,
	failed
    FROM temp.event
    WHERE swarm IS NOT NULL AND swarm NOT IN (SELECT infohash FROM decoy)
	AND NOT early
    UNION ALL
    SELECT swarm, ip, listen_port, 'listen', day, level, first_utc_ns,
	last_utc_ns, lived_first_utc_ns, lived_last_utc_ns, told, matched,
	failed
    FROM temp.event
    WHERE swarm IS NOT NULL AND swarm NOT IN (SELECT infohash FROM decoy)
	AND NOT early AND listen_port IS NOT NULL)
WHERE true
GROUP BY swarm, ip, port, port_kind, day
ON CONFLICT DO UPDATE SET
    first_utc_ns = CASE
	WHEN (level > 0) = (excluded.level > 0)
	THEN min(first_utc_ns, excluded.first_utc_ns)
	WHEN level > 0 THEN first_utc_ns ELSE excluded.first_utc_ns END,
    last_utc_ns = CASE
	WHEN (level > 0) = (excluded.level > 0)
	THEN max(last_utc_ns, excluded.last_utc_ns)
	WHEN level > 0 THEN last_utc_ns ELSE excluded.last_utc_ns END,
    level = max(level, excluded.level),
    contacts = contacts + excluded.contacts,
    pieces_matched = pieces_matched + excluded.pieces_matched,
    pieces_failed = pieces_failed + excluded.pieces_failed;

-- 8. How far this goes.

UPDATE built SET size = z,
    root = (SELECT root FROM evidence.checkpoint AS c WHERE c.size = z),
    salt = (SELECT salt FROM evidence.record WHERE seq = z - 1)
FROM temp.part;

DROP TABLE temp.part;
DROP TABLE temp.fact;
DROP TABLE temp.listing;
DROP TABLE temp.vantage;
DROP TABLE temp.decoyed;
DROP TABLE temp.asked;
DROP TABLE temp.greeted;
DROP TABLE temp.joined;
DROP TABLE temp.extended;
DROP TABLE temp.told;
DROP TABLE temp.claim;
DROP TABLE temp.event;
