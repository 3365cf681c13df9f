-- Conversations, and what their far ends did by day, each in its own.

-- The rows of contact that what was said speaks of. An incoming conversation
-- belongs to no swarm until its handshake names one. Incoming uTP can be forged
-- blindly, so it is reached only once a `reached` says that the far end
-- acknowledged our number. Of a flow seen from the middle the end that
-- answered shows itself by what it sends.
DROP TABLE IF EXISTS work.talk;
CREATE TABLE work.talk (
	-- first what is looked up most often, for SQLite finds a column by
	-- counting
	id INTEGER PRIMARY KEY,
	was,			-- its level before this step
	greeted,		-- seq of the first handshake as expected
	told,			-- seq that told the listening port
	joined,			-- seq from which its swarm is known, if late
	listen_port, transport, swarm, ip, port,
	told_day,		-- when the listening port was told
	began_day,		-- of the dial or flow, if not before this step
	named,			-- the infohash that the handshake bore
	origin, direction, encryption, opened, closed, outcome, peer_id, client,
	claimed, total, rx, tx, matched, failed, level,
	greeted_seq, greeted_ns, claimed_seq, claimed_ns,	-- for rung
	seq, utc_ns, a, b, c, d	-- only what a record brings, see below
);

INSERT INTO work.talk (id, origin, swarm, ip, port, listen_port, direction,
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
FROM (SELECT DISTINCT talk / 2 AS conn FROM work.said
    WHERE (SELECT a FROM temp.part) > 0
	AND talk / 2 < (SELECT a FROM temp.part)) AS s
CROSS JOIN contact AS c ON c.conn = s.conn
LEFT JOIN rung AS g ON g.conn = c.conn AND g.ip = c.ip AND g.port = c.port;

INSERT INTO work.talk (id, origin, swarm, ip, port, direction, transport,
    encryption, opened, outcome, matched, failed, level, was, began_day)
SELECT s.talk, iif(s.d, 'import', 'live'), iif(s.what = 2, NULL, s.swarm), s.ip,
    s.port, CASE s.what WHEN 1 THEN 'out' WHEN 2 THEN 'in' ELSE 'observed' END,
    s.a, iif(s.b, 'none', NULL), s.utc_ns, 'open', 0, 0,
    s.what = 3 OR s.what = 2 AND s.a IS 'tcp', 0,
    iif(s.what = 2, NULL, s.utc_ns / 86400000000000)
FROM work.said AS s
WHERE s.what BETWEEN 1 AND 3 AND s.talk = 2 * s.seq;

INSERT INTO work.talk (id, origin, swarm, ip, port, direction, transport,
    opened, outcome, matched, failed, level, was, began_day)
SELECT f.id + 1, f.origin, f.swarm,
    iif(f.v6, substr(f.at, 2, instr(f.at, ']') - 2),
	substr(f.at, 1, instr(f.at, ':') - 1)),
    CAST(substr(f.at, iif(f.v6, instr(f.at, ']') + 2, instr(f.at, ':') + 1))
	AS INTEGER),
    f.direction, f.transport, f.opened, 'open', 0, 0, f.began IS 'handshake', 0,
    f.began_day
FROM (SELECT t.*, json_extract(r.detail, '$.responder') AS at,
	substr(json_extract(r.detail, '$.responder'), 1, 1) = '[' AS v6,
	json_extract(r.detail, '$.began') AS began
    FROM work.talk AS t CROSS JOIN evidence.record AS r ON r.seq = t.id / 2
    WHERE t.direction = 'observed' AND t.id >= 2 * (SELECT a FROM temp.part)
    ) AS f
WHERE instr(f.at, ':') > 1;

-- These three are said of both ends of a flow.
INSERT INTO work.said
SELECT s.seq, s.what, s.utc_ns, s.talk + 1, s.swarm, s.a,
    iif(s.what = 7, s.c, s.b), iif(s.what = 7, s.b, s.c),
    s.d, NULL, NULL
FROM work.said AS s
WHERE s.what = 3 OR s.what BETWEEN 6 AND 7
    AND EXISTS (SELECT 1 FROM work.talk AS t
	WHERE t.id BETWEEN s.talk - s.talk % 2 AND s.talk - s.talk % 2 + 1
	AND t.direction = 'observed');

-- What was said, taken in one after the other: each of these statements
-- runs through some kinds of record in their order, and changes the talk as
-- the record has it. A record of no talk leaves a row without an address.

INSERT INTO work.talk (id, seq, utc_ns, a, b, c, d)
SELECT talk, seq, utc_ns, a, b,
    -- One that bears this run's own peer id is the observer's, met from
    -- behind its own translator.
    c AND a IS NOT (SELECT peer_id FROM work.own AS o
	WHERE o.run < s.seq ORDER BY o.run DESC LIMIT 1),
    coalesce(swarm, d)
FROM work.said AS s
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
INSERT INTO work.talk (id, a)
SELECT talk, a FROM work.said WHERE what = 6
ON CONFLICT DO UPDATE SET
    encryption = CASE excluded.a WHEN 1 THEN 'plaintext' WHEN 2 THEN 'rc4'
	ELSE encryption END;

INSERT INTO work.talk (id, seq)
SELECT talk, utc_ns FROM work.said WHERE what = 4
ON CONFLICT DO UPDATE SET opened = excluded.seq;

INSERT INTO work.talk (id, seq, utc_ns, a, b)
SELECT talk, seq, utc_ns, a, b FROM work.said WHERE what = 9
ON CONFLICT DO UPDATE SET
    client = iif(excluded.a <> '', excluded.a, client),
    told_day = iif(listen_port IS NULL AND excluded.b BETWEEN 1 AND 65535,
	excluded.utc_ns / 86400000000000, told_day),
    told = iif(listen_port IS NULL AND excluded.b BETWEEN 1 AND 65535,
	excluded.seq, told),
    listen_port = iif(listen_port IS NULL AND excluded.b BETWEEN 1 AND 65535,
	excluded.b, listen_port);

-- What precedes the handshake as expected is no claim.
INSERT INTO work.talk (id, seq, utc_ns, a, b, c)
SELECT talk, seq, utc_ns, a, b,
    a > 0 OR a IS NULL AND what >= 15 FROM work.said
WHERE what BETWEEN 11 AND 16
ON CONFLICT DO UPDATE SET
    claimed = coalesce(excluded.a, claimed),
    total = coalesce(excluded.b, total),
    claimed_seq = iif(claimed_seq IS NULL AND excluded.c, excluded.seq,
	claimed_seq),
    claimed_ns = iif(claimed_seq IS NULL AND excluded.c, excluded.utc_ns,
	claimed_ns)
WHERE was >= 2 OR excluded.seq > greeted;

INSERT INTO work.talk (id, seq, a, b, c)
SELECT talk, utc_ns, a, b, c FROM work.said
WHERE what = 5 OR what = 7
ON CONFLICT DO UPDATE SET closed = excluded.seq,
    outcome = coalesce(excluded.a, ''), rx = excluded.b, tx = excluded.c;

DELETE FROM work.talk WHERE ip IS NULL;

-- Conversations whose swarm a handshake named; of a flow, either end's. What
-- precedes that is said under no swarm.
DROP TABLE IF EXISTS work.joined;
CREATE TABLE work.joined AS
SELECT t.id, coalesce(t.named, o.named) AS swarm,
    min(coalesce(t.greeted, o.greeted), coalesce(o.greeted, t.greeted)) AS seq
FROM work.talk AS t LEFT JOIN work.talk AS o
    ON t.direction = 'observed' AND o.id = t.id + 1 - 2 * (t.id % 2)
WHERE t.swarm IS NULL AND coalesce(t.named, o.named) IS NOT NULL;

UPDATE work.talk SET swarm = j.swarm, joined = j.seq
FROM work.joined AS j WHERE j.id = talk.id;

-- Each thing the far end did, and our attempts, on the ladder; summed up at
-- once for each conversation, day, whether it had told its listening port
-- (`told`) and whether its swarm was yet to be known (`early`), so that what
-- follows sorts little. lived_* are the times of what the far end did. All
-- four keys stand in one number, which SQLite sorts much faster, and the LIMIT
-- has it work out the few columns before it sorts: seconds count here.

DROP TABLE IF EXISTS work.event;
CREATE TABLE work.event AS
SELECT key >> 20 AS talk, (key >> 2 & 262143) - 131072 AS day,
    key >> 1 & 1 AS told, key & 1 AS early, max(level) AS level,
    min(utc_ns) AS first_utc_ns, max(utc_ns) AS last_utc_ns,
    min(iif(level > 0, utc_ns, NULL)) AS lived_first_utc_ns,
    max(iif(level > 0, utc_ns, NULL)) AS lived_last_utc_ns,
    -- how many pieces matched, and 2^32 times how many failed
    coalesce(sum(iif(ok, 1, 4294967296)) FILTER (WHERE ok IN (0, 1)), 0)
	AS pieces,
    0 AS joined, max(seq) AS last_seq
FROM (SELECT ((s.talk * 262144 + s.utc_ns / 86400000000000 + 131072) * 2
	+ (t.listen_port IS NOT NULL AND coalesce(s.seq >= t.told, true))) * 2
	+ coalesce(t.joined > s.seq, false) AS key, s.seq, s.utc_ns,
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
	CASE WHEN s.what = 10 AND (t.was >= 2 OR s.seq >= t.greeted)
	    THEN s.c END AS ok
    FROM work.said AS s CROSS JOIN work.talk AS t ON t.id = s.talk
    WHERE NOT (s.what BETWEEN 6 AND 7 OR s.what = 17)
	OR s.d IS iif(s.talk % 2, 'responder', 'peer')
	OR s.d IS 'initiator' AND s.talk % 2 = 0
    LIMIT -1)
GROUP BY key;

INSERT INTO work.talk (id, level, matched, failed)
SELECT talk, level, pieces & 4294967295, pieces >> 32 FROM work.event
WHERE level > 0 OR pieces > 0
ON CONFLICT DO UPDATE SET level = max(level, excluded.level),
    matched = matched + excluded.matched, failed = failed + excluded.failed;

-- Of a conversation that joined late the opening counts once its swarm is known.

INSERT INTO work.event
SELECT id, opened / 86400000000000, 0, 0, level, opened, opened,
    iif(level, opened, NULL), iif(level, opened, NULL), 0, 1, NULL
FROM (SELECT t.id, t.opened, t.direction = 'in' OR t.id % 2 = 0
	OR (SELECT json_extract(detail, '$.began') FROM evidence.record
	    WHERE seq = t.id / 2) IS 'handshake' AS level
    FROM work.joined AS j CROSS JOIN work.talk AS t ON t.id = j.id);
