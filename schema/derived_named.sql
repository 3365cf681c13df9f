-- The run itself, torrents, decoys, who named whom, and when who was asked.

-- 1. What is not a conversation's, by kind, with what a peer said of others;
-- and the few records about the run itself.

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
    AND (conn IS NULL
    AND kind IN ('announce', 'listed', 'dht', 'run', 'end', 'key', 'clock',
	'stall', 'torrent', 'geo', 'packets', 'no_packets', 'erased',
	'selftest', 'stamp', 'published', 'index', 'decoy')
    OR conn IS NOT NULL AND (kind = 'decoy'
	OR kind = 'pex' AND substr(detail, 1, 12) = '{"by":"peer"'));

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

