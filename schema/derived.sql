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

-- 1. What is not a conversation's, by kind; and the few records about the run
-- itself.

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
    AND conn IS NULL
    AND kind IN ('announce', 'listed', 'dht', 'run', 'end', 'key', 'clock',
	'stall', 'torrent', 'geo', 'packets', 'no_packets', 'erased',
	'selftest', 'stamp', 'published', 'index', 'decoy');

INSERT INTO about SELECT kind, seq FROM temp.fact
WHERE kind IN ('run', 'end', 'key', 'clock', 'stall', 'torrent', 'geo',
    'packets', 'no_packets', 'erased', 'selftest', 'stamp', 'published', 'index');

-- The runs that these records belong to.
CREATE TEMP TABLE ours AS
SELECT a.seq AS run, json_extract(r.detail, '$.config.peer_id') AS peer_id,
    json_extract(r.detail, '$.config.listen') AS port
FROM about AS a CROSS JOIN evidence.record AS r ON r.seq = a.seq
WHERE a.kind = 'run' AND a.seq >= coalesce((SELECT max(seq) FROM about
	WHERE kind = 'run' AND seq < (SELECT a FROM temp.part)), 0)
ORDER BY a.seq;
CREATE UNIQUE INDEX temp.ours_run ON ours (run);

-- Conversations: talk is twice the conn, and one more for the responder of an
-- imported flow, because there each end is the peer of the other, with a row of
-- its own. said is how a conversation opened and ended and all that the peer
-- sent (`by` is the first key of such a record's detail), with what counts of
-- its detail. What it is stands there as a number, 0 for any other kind:

CREATE TEMP TABLE sort (
	kind TEXT PRIMARY KEY NOT NULL,
	what INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO temp.sort VALUES
    --			a		b		c		d
    ('dial', 1),
    ('accept', 2),
    ('flow', 3),	--					began
    ('reached', 4),
    ('unreached', 5),	-- why
    ('encrypted', 6),	-- select					by
    ('closed', 7),	-- why		rx bytes	tx bytes	by
    ('handshake', 8),	-- peer id	client		expected	infohash
    ('extended', 9),	-- client	port
    ('piece', 10),	-- piece	came		ok
    -- claims from here to 16, those nobody can count at first from 15
    ('bitfield', 11),	-- claimed	pieces
    ('have_none', 12),	-- claimed	pieces
    ('claims', 13),	-- claimed	pieces
    ('donthave', 14),	-- claimed
    ('have', 15),	-- claimed
    ('have_all', 16),	-- claimed	pieces
    ('pex', 17),
    ('decoy', 18);

CREATE TEMP TABLE said (
	seq INTEGER NOT NULL,
	what INTEGER NOT NULL,
	utc_ns INTEGER NOT NULL,
	talk INTEGER NOT NULL,
	swarm TEXT,
	a, b, c, d
);

INSERT INTO temp.said
SELECT r.seq, coalesce(k.what, 0), r.utc_ns, 2 * r.conn + iif(r.mono_ns IS NULL,
	(SELECT o.kind = 'flow' AND (o.ip IS NOT r.ip OR o.port IS NOT r.port)
	FROM evidence.record AS o WHERE o.seq = r.conn), 0),
    iif(k.what = 8 OR k.what = 10, r.swarm, NULL),
    CASE WHEN k.what IS NULL OR k.what <= 4 OR k.what >= 17 THEN NULL
    WHEN k.what >= 11 THEN json_extract(r.detail, '$.claimed')
    WHEN k.what = 10 THEN json_extract(r.detail, '$.piece')
    WHEN k.what = 9 THEN json_extract(r.detail, '$.client')
    WHEN k.what = 8 THEN json_extract(r.detail, '$.peer_id')
    WHEN k.what = 6 THEN json_extract(r.detail, '$.select')
    ELSE json_extract(r.detail, '$.why') END,
    CASE WHEN k.what IS NULL OR k.what <= 6 OR k.what >= 17 THEN NULL
    WHEN k.what = 7 THEN coalesce(json_extract(r.detail, '$.rx_bytes'),
	json_extract(r.detail, '$.initiator_bytes'))
    WHEN k.what = 8 THEN json_extract(r.detail, '$.client')
    WHEN k.what = 9 THEN json_extract(r.detail, '$.port')
    WHEN k.what = 10 THEN coalesce(json_extract(r.detail, '$.came'), 0)
    WHEN k.what <= 13 OR k.what = 16 THEN json_extract(r.detail, '$.pieces') END,
    CASE k.what
    WHEN 3 THEN json_extract(r.detail, '$.began')
    WHEN 7 THEN coalesce(json_extract(r.detail, '$.tx_bytes'),
	json_extract(r.detail, '$.responder_bytes'))
    -- One that bears this run's own peer id is the observer's, met from
    -- behind its own translator.
    WHEN 8 THEN json_extract(r.detail, '$.expected')
	AND json_extract(r.detail, '$.peer_id') IS NOT (SELECT peer_id
	    FROM temp.ours WHERE run < r.seq ORDER BY run DESC LIMIT 1)
    WHEN 10 THEN iif(json_extract(r.detail, '$.complete'),
	json_extract(r.detail, '$.match'), NULL) END,
    CASE WHEN k.what = 6 OR k.what = 7 THEN json_extract(r.detail, '$.by')
    WHEN k.what = 8 THEN json_extract(r.detail, '$.infohash') END
FROM evidence.record AS r LEFT JOIN temp.sort AS k ON k.kind = r.kind
WHERE r.seq >= (SELECT a FROM temp.part) AND r.seq < (SELECT z FROM temp.part)
    AND r.conn IS NOT NULL
    AND (k.what <= 7 OR k.what = 18
	OR substr(r.detail, 1, 12) = '{"by":"peer"');

INSERT INTO temp.fact
SELECT r.kind, r.seq, r.utc_ns, r.conn, r.ip, r.port
FROM temp.said AS s CROSS JOIN evidence.record AS r ON r.seq = s.seq
WHERE s.what >= 17;

-- 2. Torrents, decoys, and who named whom.

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

-- most: how many of the endpoints named count; NULL: all.
CREATE TEMP TABLE listing AS
SELECT f.seq, f.utc_ns, r.swarm,
    json_extract(r.detail, '$.source') AS source,
    coalesce(json_extract(r.detail, '$.witness'), '') AS witness,
    NULL AS most, json_extract(r.detail, '$.failure') IS NULL AS answered
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind = 'listed' AND r.swarm IS NOT NULL
UNION ALL
SELECT f.seq, f.utc_ns, r.swarm, f.kind,
    iif(instr(f.ip, ':'), '[' || f.ip || ']', f.ip) || ':' || f.port,
    json_extract(r.detail, '$.named_added'),	-- dropped: it is gone
    json_extract(r.detail, '$.error') IS NULL
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind IN ('dht', 'pex') AND r.swarm IS NOT NULL AND f.ip IS NOT NULL
    AND json_extract(r.detail, '$.ask') IS NULL;

-- Answers about decoys say something of their sources, and nothing of peers.
CREATE TEMP TABLE decoyed AS
SELECT l.source, l.witness, l.swarm AS infohash,
    count(n.seq) - coalesce(sum(n.port = o.port AND n.ip IN (SELECT value
	FROM evidence.record AS v, json_each(v.detail, '$.vantage')
	WHERE v.seq = o.run)), 0) AS named,
    coalesce(sum(n.port = o.port AND n.ip NOT IN (SELECT value
	FROM evidence.record AS v, json_each(v.detail, '$.vantage')
	WHERE v.seq = o.run)), 0) AS perhaps
FROM temp.listing AS l
LEFT JOIN evidence.named AS n ON n.seq = l.seq
LEFT JOIN temp.ours AS o ON o.run = (SELECT max(run) FROM temp.ours
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

-- Numbered in the order of their texts, so that what is sorted by number is
-- inserted in the order of the tables below.
CREATE TEMP TABLE voice (
	id INTEGER PRIMARY KEY,
	swarm TEXT NOT NULL,
	source TEXT NOT NULL,
	witness TEXT NOT NULL,
	UNIQUE (swarm, source, witness)
) STRICT;
CREATE TEMP TABLE place (
	id INTEGER PRIMARY KEY,
	swarm TEXT NOT NULL UNIQUE
) STRICT;

-- An announce that was overheard names the one who sent it.
CREATE TEMP TABLE self AS
SELECT f.seq, f.utc_ns, r.swarm, f.ip,
    CASE WHEN f.kind = 'announce' OR NOT coalesce(json_extract(r.detail,
	    '$.implied_port'), 0) THEN json_extract(r.detail, '$.port') END
	AS port, f.port AS from_port,
    coalesce(json_extract(r.detail, '$.tracker'),
	json_extract(r.detail, '$.to')) AS witness
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind IN ('announce', 'dht') AND r.swarm IS NOT NULL
    AND f.ip IS NOT NULL AND json_extract(r.detail, '$.to') IS NOT NULL
    AND (f.kind = 'announce'
	OR json_extract(r.detail, '$.ask') IS 'announce_peer');

INSERT INTO temp.voice (swarm, source, witness)
SELECT swarm, source, witness FROM temp.listing
WHERE source IS NOT NULL
UNION
SELECT swarm, 'announce', witness FROM temp.self
ORDER BY swarm, source, witness;
INSERT INTO temp.place (swarm)
SELECT DISTINCT swarm FROM temp.voice ORDER BY swarm;

CREATE TEMP TABLE seen (
	place INTEGER NOT NULL,
	ip TEXT NOT NULL,
	port INTEGER NOT NULL,
	day INTEGER NOT NULL,
	voice INTEGER NOT NULL,
	first_utc_ns INTEGER NOT NULL,
	last_utc_ns INTEGER NOT NULL,
	times INTEGER NOT NULL,
	first_seq INTEGER NOT NULL,
	PRIMARY KEY (place, ip, port, day, voice)
) STRICT, WITHOUT ROWID;

INSERT INTO temp.seen
SELECT l.place, n.ip, n.port, l.day, l.voice, min(l.utc_ns), max(l.utc_ns),
    count(*), min(l.seq)
FROM (SELECT l.seq, l.utc_ns, l.utc_ns / 86400000000000 AS day, l.most,
	v.id AS voice, p.id AS place
    FROM temp.listing AS l CROSS JOIN temp.voice AS v ON v.swarm = l.swarm
	AND v.source = l.source AND v.witness = l.witness
    CROSS JOIN temp.place AS p ON p.swarm = l.swarm) AS l
CROSS JOIN evidence.named AS n ON n.seq = l.seq
WHERE l.most IS NULL OR n.n < l.most
GROUP BY l.place, n.ip, n.port, l.day, l.voice;

INSERT INTO temp.seen
SELECT p.id, s.ip, coalesce(nullif(s.port, 0), s.from_port),
    s.utc_ns / 86400000000000 AS day, v.id, min(s.utc_ns), max(s.utc_ns),
    count(*), min(s.seq)
FROM temp.self AS s CROSS JOIN temp.voice AS v ON v.swarm = s.swarm
    AND v.source = 'announce' AND v.witness = s.witness
CROSS JOIN temp.place AS p ON p.swarm = s.swarm
GROUP BY p.id, s.ip, coalesce(nullif(s.port, 0), s.from_port), day, v.id;

INSERT INTO sighting
SELECT v.swarm, s.ip, s.port, v.source, v.witness, s.first_utc_ns,
    s.last_utc_ns, s.times, s.first_seq
FROM temp.seen AS s CROSS JOIN temp.voice AS v ON v.id = s.voice
WHERE true
ON CONFLICT DO UPDATE SET
    first_utc_ns = min(first_utc_ns, excluded.first_utc_ns),
    last_utc_ns = max(last_utc_ns, excluded.last_utc_ns),
    times = times + excluded.times,
    first_seq = min(first_seq, excluded.first_seq);

INSERT INTO endpoint
SELECT p.swarm, s.ip, s.port, 'listed', date(s.day * 86400, 'unixepoch'), 0,
    s.first_utc_ns, s.last_utc_ns, s.times, 0, 0, 0
FROM (SELECT place, ip, port, day, min(first_utc_ns) AS first_utc_ns,
	max(last_utc_ns) AS last_utc_ns, sum(times) AS times
    FROM temp.seen GROUP BY place, ip, port, day) AS s
CROSS JOIN temp.place AS p ON p.id = s.place
WHERE true
ON CONFLICT DO UPDATE SET
    first_utc_ns = min(first_utc_ns, excluded.first_utc_ns),
    last_utc_ns = max(last_utc_ns, excluded.last_utc_ns),
    sightings = sightings + excluded.sightings;

DROP TABLE temp.seen;
DROP TABLE temp.voice;
DROP TABLE temp.place;

-- 3. When each source was asked.

CREATE TEMP TABLE asked AS
SELECT r.swarm, json_extract(r.detail, '$.tracker') AS source,
    coalesce((SELECT max(run) FROM temp.ours WHERE run < f.seq), 0) AS run,
    coalesce(json_extract(r.detail, '$.sent_utc_ns'), f.utc_ns) AS sent_utc_ns,
    f.utc_ns, json_extract(r.detail, '$.outcome') IS NOT 'ok' AS failed
FROM temp.fact AS f CROSS JOIN evidence.record AS r ON r.seq = f.seq
WHERE f.kind = 'announce' AND r.swarm IS NOT NULL
    AND json_extract(r.detail, '$.to') IS NULL	-- not ours: overheard
    AND r.swarm NOT IN (SELECT infohash FROM decoy)
UNION ALL
SELECT r.swarm, 'dht', coalesce((SELECT max(run) FROM temp.ours WHERE run < f.seq), 0),
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

-- 4. Conversations.

-- These three are said of both ends of a flow.
INSERT INTO temp.said
SELECT s.seq, s.what, s.utc_ns, s.talk + 1, s.swarm, s.a,
    iif(s.what = 7, s.c, s.b), iif(s.what = 7, s.b, s.c), s.d
FROM temp.said AS s
WHERE s.what = 3 OR s.what BETWEEN 6 AND 7
    AND (SELECT kind FROM evidence.record WHERE seq = s.talk / 2) = 'flow';

-- The rows of contact that these speak of. An incoming conversation belongs
-- to no swarm until its handshake names one. Incoming uTP can be forged
-- blindly, so it is reached only once a `reached` says that the far end
-- acknowledged our number. Of a flow seen from the middle the end that
-- answered shows itself by what it sends.
CREATE TEMP TABLE talk (
	id INTEGER PRIMARY KEY,
	origin, swarm, ip, port, listen_port, direction, transport, encryption,
	opened, closed, outcome, peer_id, client, claimed, total, rx, tx,
	matched, failed, level,
	was,			-- its level before this step
	greeted,		-- seq of the first handshake as expected
	named,			-- the infohash it bore
	joined,			-- seq from which its swarm is known, if late
	told,			-- seq that told the listening port
	greeted_seq, greeted_ns, claimed_seq, claimed_ns,	-- for rung
	seq, utc_ns, a, b, c, d	-- only what a record brings, see below
);

INSERT INTO temp.talk (id, origin, swarm, ip, port, listen_port, direction,
    transport, encryption, opened, closed, outcome, peer_id, client, claimed,
    total, rx, tx, matched, failed, level, was, greeted_seq, greeted_ns,
    claimed_seq, claimed_ns)
SELECT 2 * c.conn + iif(c.direction = 'observed', (SELECT o.ip IS NOT c.ip
	OR o.port IS NOT c.port FROM evidence.record AS o
	WHERE o.seq = c.conn), 0),
    c.origin, c.swarm, c.ip, c.port, c.listen_port, c.direction, c.transport,
    c.encryption, c.opened_utc_ns, c.closed_utc_ns, c.outcome, c.peer_id,
    c.client, c.pieces_claimed, c.pieces_total, c.rx_bytes, c.tx_bytes,
    c.pieces_matched, c.pieces_failed, c.level, c.level, g.greeted_seq,
    g.greeted_utc_ns, g.claimed_seq, g.claimed_utc_ns
FROM (SELECT DISTINCT talk / 2 AS conn FROM temp.said
    WHERE talk / 2 < (SELECT a FROM temp.part)) AS s
CROSS JOIN contact AS c ON c.conn = s.conn
LEFT JOIN rung AS g ON g.conn = c.conn AND g.ip = c.ip AND g.port = c.port;

INSERT INTO temp.talk (id, origin, swarm, ip, port, direction, transport,
    encryption, opened, outcome, matched, failed, level, was)
SELECT 2 * r.seq, iif(r.mono_ns IS NULL, 'import', 'live'),
    iif(r.kind = 'accept', NULL, r.swarm), r.ip, r.port,
    CASE r.kind WHEN 'dial' THEN 'out' WHEN 'accept' THEN 'in'
	ELSE 'observed' END,
    json_extract(r.detail, '$.transport'),
    iif(json_extract(r.detail, '$.encryption') IS 'none', 'none', NULL),
    r.utc_ns, 'open', 0, 0,
    r.kind = 'flow' OR r.kind = 'accept'
	AND json_extract(r.detail, '$.transport') IS 'tcp', 0
FROM evidence.record AS r
WHERE r.seq >= (SELECT a FROM temp.part) AND r.seq < (SELECT z FROM temp.part)
    AND r.kind IN ('dial', 'accept', 'flow') AND r.conn = r.seq;

INSERT INTO temp.talk (id, origin, swarm, ip, port, direction, transport,
    opened, outcome, matched, failed, level, was)
SELECT f.id + 1, f.origin, f.swarm,
    iif(f.v6, substr(f.at, 2, instr(f.at, ']') - 2),
	substr(f.at, 1, instr(f.at, ':') - 1)),
    CAST(substr(f.at, iif(f.v6, instr(f.at, ']') + 2, instr(f.at, ':') + 1))
	AS INTEGER),
    f.direction, f.transport, f.opened, 'open', 0, 0, f.began IS 'handshake', 0
FROM (SELECT t.*, json_extract(r.detail, '$.responder') AS at,
	substr(json_extract(r.detail, '$.responder'), 1, 1) = '[' AS v6,
	json_extract(r.detail, '$.began') AS began
    FROM temp.talk AS t CROSS JOIN evidence.record AS r ON r.seq = t.id / 2
    WHERE t.direction = 'observed' AND t.id >= 2 * (SELECT a FROM temp.part)
    ) AS f
WHERE instr(f.at, ':') > 1;

-- 5. What was said, taken in one after the other: each of these statements
-- runs through some kinds of record in their order, and changes the talk as
-- the record has it. A record of no talk leaves a row without an address.

INSERT INTO temp.talk (id, seq, utc_ns, a, b, c, d)
SELECT talk, seq, utc_ns, a, b, c, coalesce(swarm, d) FROM temp.said
WHERE what = 8
ON CONFLICT DO UPDATE SET
    peer_id = coalesce(peer_id, excluded.a),
    client = iif(peer_id IS NULL, coalesce(client, excluded.b), client),
    encryption = coalesce(encryption, 'none'),
    greeted = iif(greeted IS NULL AND was < 2 AND excluded.c, excluded.seq,
	greeted),
    named = iif(greeted IS NULL AND was < 2 AND excluded.c, excluded.d, named),
    greeted_seq = iif(greeted_seq IS NULL AND excluded.c, excluded.seq,
	greeted_seq),
    greeted_ns = iif(greeted_seq IS NULL AND excluded.c, excluded.utc_ns,
	greeted_ns);

-- The initiator's handshake may stand before the record of the encryption.
INSERT INTO temp.talk (id, a)
SELECT talk, a FROM temp.said WHERE what = 6
ON CONFLICT DO UPDATE SET
    encryption = CASE excluded.a WHEN 1 THEN 'plaintext' WHEN 2 THEN 'rc4'
	ELSE encryption END;

INSERT INTO temp.talk (id, seq)
SELECT talk, utc_ns FROM temp.said WHERE what = 4
ON CONFLICT DO UPDATE SET opened = excluded.seq;

INSERT INTO temp.talk (id, seq, a, b)
SELECT talk, seq, a, b FROM temp.said WHERE what = 9
ON CONFLICT DO UPDATE SET
    client = iif(excluded.a <> '', excluded.a, client),
    told = iif(listen_port IS NULL AND excluded.b BETWEEN 1 AND 65535,
	excluded.seq, told),
    listen_port = iif(listen_port IS NULL AND excluded.b BETWEEN 1 AND 65535,
	excluded.b, listen_port);

-- What precedes the handshake as expected is no claim.
INSERT INTO temp.talk (id, seq, utc_ns, a, b, c)
SELECT talk, seq, utc_ns, a, b,
    a > 0 OR a IS NULL AND what >= 15 FROM temp.said
WHERE what BETWEEN 11 AND 16
ON CONFLICT DO UPDATE SET
    claimed = coalesce(excluded.a, claimed),
    total = coalesce(excluded.b, total),
    claimed_seq = iif(claimed_seq IS NULL AND excluded.c, excluded.seq,
	claimed_seq),
    claimed_ns = iif(claimed_seq IS NULL AND excluded.c, excluded.utc_ns,
	claimed_ns)
WHERE was >= 2 OR excluded.seq > greeted;

INSERT INTO temp.talk (id, seq, a, b, c)
SELECT talk, utc_ns, a, b, c FROM temp.said
WHERE what = 5 OR what = 7
ON CONFLICT DO UPDATE SET closed = excluded.seq,
    outcome = coalesce(excluded.a, ''), rx = excluded.b, tx = excluded.c;

DELETE FROM temp.talk WHERE ip IS NULL;

-- Conversations whose swarm a handshake named; of a flow, either end's. What
-- precedes that is said under no swarm.
CREATE TEMP TABLE joined AS
SELECT t.id, coalesce(t.named, o.named) AS swarm,
    min(coalesce(t.greeted, o.greeted), coalesce(o.greeted, t.greeted)) AS seq
FROM temp.talk AS t LEFT JOIN temp.talk AS o
    ON t.direction = 'observed' AND o.id = t.id + 1 - 2 * (t.id % 2)
WHERE t.swarm IS NULL AND coalesce(t.named, o.named) IS NOT NULL;

UPDATE temp.talk SET swarm = j.swarm, joined = j.seq
FROM temp.joined AS j WHERE j.id = talk.id;

INSERT INTO sighting
SELECT t.swarm, t.ip, t.port, 'incoming', '', min(t.opened), max(t.opened),
    count(*), min(t.id / 2)
FROM temp.joined AS j CROSS JOIN temp.talk AS t ON t.id = j.id
WHERE t.direction = 'in' AND t.swarm NOT IN (SELECT infohash FROM decoy)
GROUP BY t.swarm, t.ip, t.port
ON CONFLICT DO UPDATE SET
    first_utc_ns = min(first_utc_ns, excluded.first_utc_ns),
    last_utc_ns = max(last_utc_ns, excluded.last_utc_ns),
    times = times + excluded.times,
    first_seq = min(first_seq, excluded.first_seq);

INSERT INTO piece_check
SELECT s.seq, t.id / 2, coalesce(s.swarm, iif(t.joined > s.seq, NULL, t.swarm)),
    t.ip, t.port, s.a, s.utc_ns, s.b, s.c
FROM temp.said AS s CROSS JOIN temp.talk AS t ON t.id = s.talk
WHERE s.what = 10;

-- 6. Each thing the far end did, and our attempts, on the ladder; summed up at
-- once for each conversation, day and listening port, so that what follows
-- sorts little. lived_* are the times of what the far end did.

CREATE TEMP TABLE event AS
SELECT talk, day, listen_port, early, max(level) AS level,
    min(utc_ns) AS first_utc_ns, max(utc_ns) AS last_utc_ns,
    min(iif(level > 0, utc_ns, NULL)) AS lived_first_utc_ns,
    max(iif(level > 0, utc_ns, NULL)) AS lived_last_utc_ns,
    sum(opened) AS opened, max(told) AS told,
    total(ok = 1) AS matched, total(ok = 0) AS failed, max(seq) AS last_seq
FROM (SELECT s.talk, s.seq, s.utc_ns, s.utc_ns / 86400000000000 AS day,
	CASE WHEN s.what = 1 OR s.what = 5 THEN 0
	    WHEN s.what = 2 THEN t.transport IS 'tcp'
	    WHEN s.what = 3 THEN s.talk % 2 = 0 OR s.c IS 'handshake'
	    WHEN t.was < 2 AND (t.greeted IS NULL OR s.seq < t.greeted) THEN 1
	    WHEN s.what = 10 THEN
		CASE WHEN s.c THEN 5 WHEN s.c IS NULL AND s.b > 0 THEN 4
		ELSE 2 END
	    WHEN s.what BETWEEN 11 AND 16 THEN
		-- Before the metadata is known nobody can count.
		2 + (s.a > 0 OR s.a IS NULL AND s.what >= 15)
	    ELSE 2 END AS level,
	(s.what = 1 OR s.what = 3) AND coalesce(t.joined <= s.seq, true)
	    AS opened,
	CASE WHEN s.what = 10 AND (t.was >= 2 OR s.seq >= t.greeted)
	    THEN s.c END AS ok,
	CASE WHEN t.told IS NULL OR s.seq >= t.told THEN t.listen_port END
	    AS listen_port,
	t.told IS s.seq AS told,
	coalesce(t.joined > s.seq, false) AS early
    FROM temp.said AS s CROSS JOIN temp.talk AS t ON t.id = s.talk
    WHERE NOT (s.what BETWEEN 6 AND 7 OR s.what = 18)
	OR s.d IS iif(s.talk % 2, 'responder', 'peer')
	OR s.d IS 'initiator' AND s.talk % 2 = 0)
GROUP BY talk, day, listen_port, early;

INSERT INTO temp.talk (id, level, matched, failed)
SELECT talk, level, matched, failed FROM temp.event WHERE true
ON CONFLICT DO UPDATE SET level = max(level, excluded.level),
    matched = matched + excluded.matched, failed = failed + excluded.failed;

INSERT INTO extent SELECT talk / 2, last_seq FROM temp.event WHERE true
UNION ALL SELECT talk / 2, seq FROM temp.said
WHERE what BETWEEN 6 AND 7
UNION ALL SELECT conn, seq FROM temp.fact
WHERE kind = 'decoy' AND conn IS NOT NULL
ON CONFLICT DO UPDATE SET last_seq = max(last_seq, excluded.last_seq);

INSERT OR REPLACE INTO contact
SELECT id / 2, origin, swarm, ip, port, listen_port, direction, transport,
    encryption, opened, closed, outcome, peer_id, client, claimed, total, rx,
    tx, CAST(matched AS INTEGER), CAST(failed AS INTEGER), level
FROM temp.talk ORDER BY id;

INSERT OR REPLACE INTO rung
SELECT id / 2, ip, port, greeted_seq, greeted_ns, claimed_seq, claimed_ns
FROM temp.talk WHERE greeted_seq IS NOT NULL ORDER BY id;

-- 7. Endpoints by day. Of a conversation that joined late the opening counts
-- once its swarm is known. First and last are those of what the far end did;
-- a day's vain attempts never stretch them.

INSERT INTO temp.event
SELECT id, opened / 86400000000000, NULL, 0, level, opened, opened,
    iif(level, opened, NULL), iif(level, opened, NULL), 1, 0, 0, 0, NULL
FROM (SELECT t.id, t.opened, t.direction = 'in' OR t.id % 2 = 0
	OR (SELECT json_extract(detail, '$.began') FROM evidence.record
	    WHERE seq = t.id / 2) IS 'handshake' AS level
    FROM temp.joined AS j CROSS JOIN temp.talk AS t ON t.id = j.id);

INSERT INTO endpoint
SELECT swarm, ip, port, port_kind, date(day * 86400, 'unixepoch'), max(level),
    coalesce(min(lived_first_utc_ns), min(first_utc_ns)),
    coalesce(max(lived_last_utc_ns), max(last_utc_ns)),
    0, sum(opened), CAST(sum(matched) AS INTEGER), CAST(sum(failed) AS INTEGER)
FROM (SELECT t.swarm, t.ip, t.port, 'remote' AS port_kind, e.day, e.level,
	e.first_utc_ns, e.last_utc_ns, e.lived_first_utc_ns,
	e.lived_last_utc_ns, e.opened, e.matched, e.failed
    FROM temp.event AS e CROSS JOIN temp.talk AS t ON t.id = e.talk
    WHERE t.swarm IS NOT NULL AND t.swarm NOT IN (SELECT infohash FROM decoy)
	AND NOT e.early
    UNION ALL
    SELECT t.swarm, t.ip, e.listen_port, 'listen', e.day, e.level,
	e.first_utc_ns, e.last_utc_ns, e.lived_first_utc_ns,
	e.lived_last_utc_ns, e.told, e.matched, e.failed
    FROM temp.event AS e CROSS JOIN temp.talk AS t ON t.id = e.talk
    WHERE t.swarm IS NOT NULL AND t.swarm NOT IN (SELECT infohash FROM decoy)
	AND NOT e.early AND e.listen_port IS NOT NULL)
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
DROP TABLE temp.ours;
DROP TABLE temp.listing;
DROP TABLE temp.self;
DROP TABLE temp.decoyed;
DROP TABLE temp.asked;
DROP TABLE temp.said;
DROP TABLE temp.sort;
DROP TABLE temp.talk;
DROP TABLE temp.joined;
DROP TABLE temp.event;
