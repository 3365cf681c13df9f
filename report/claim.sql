-- What a case holds about one claim, kind by kind: how much of it (n), and of
-- what is nearest to the claimed time its level, from when to when it was so,
-- the distance and a record. report/sights.c and report/verdict.c find
-- the same; this is for whoever runs it with sqlite3. The derived tables are
-- main, the ledger is `evidence`.
-- :ip, :port (NULL: none claimed), :infohash as claimed; :swarm, the case's
-- name for it; :from_ns and :to_ns, the claimed time or session.

-- The conversations of the address. ours: about the claimed torrent; here: of
-- the claimed port. [a, z] is its time; its records lie in [conn, last].
WITH talk AS (
	SELECT c.*, c.opened_utc_ns AS a, max(c.opened_utc_ns,
	    coalesce(c.closed_utc_ns, (SELECT utc_ns FROM evidence.record
		WHERE seq = x.last_seq), c.opened_utc_ns)) AS z,
	    coalesce(x.last_seq, c.conn) AS last, c.swarm IS :swarm AS ours,
	    :port IS NULL OR c.port IS :port OR c.listen_port IS :port AS here
	FROM contact AS c LEFT JOIN extent AS x ON x.conn = c.conn
	WHERE c.ip = :ip
),
part AS (			-- pieces of the torrent, whole or in part
	SELECT p.seq, p.utc_ns, p.ok, t.conn, t.port, t.here
	FROM talk AS t CROSS JOIN piece_check AS p
	    ON p.seq > t.conn AND p.seq <= t.last AND p.conn = t.conn
	    AND p.ip = t.ip AND p.port = t.port
	WHERE t.ours AND t.level >= 2 AND (p.ok IS NOT NULL OR p.bytes > 0)
),
greeting AS (			-- its first, where it was not the expected one
	SELECT t.*, (SELECT h.seq FROM evidence.record AS h
	    WHERE h.seq > t.conn AND h.seq <= t.last AND h.conn = t.conn
		AND h.kind = 'handshake' AND h.ip = t.ip AND h.port = t.port
	    ORDER BY h.seq LIMIT 1) AS greeted
	FROM talk AS t
	WHERE t.here AND t.peer_id IS NOT NULL AND (NOT t.ours OR t.level = 1)
),
spoke AS (
	SELECT g.*, r.seq AS h, coalesce(substr(r.detail ->> 'infohash', 1, 40)
	    = substr(:infohash, 1, 40), 0) AS claimed
	FROM greeting AS g LEFT JOIN evidence.record AS r ON r.seq = g.greeted
),
stalled AS (
	SELECT r.detail ->> 'from_utc_ns' AS a, max(r.detail ->> 'from_utc_ns',
	    r.detail ->> 'to_utc_ns') AS z
	FROM about AS b JOIN evidence.record AS r ON r.seq = b.seq
	WHERE b.kind = 'stall'
),
named AS (			-- by others, when first and when last on a day
	SELECT e.*, :port IS NULL OR e.port = :port AS here,
	    (SELECT min(first_seq) FROM sighting AS s WHERE s.swarm = e.swarm
		AND s.ip = e.ip AND s.port = e.port) AS seq
	FROM endpoint AS e
	WHERE e.swarm = :swarm AND e.ip = :ip AND e.port_kind = 'listed'
),
level (here, level, a, z, seq, conn, port) AS (
	SELECT here, 0, first_utc_ns, first_utc_ns, seq, NULL, port FROM named
	UNION ALL
	SELECT here, 0, last_utc_ns, last_utc_ns, seq, NULL, port FROM named
	WHERE last_utc_ns > first_utc_ns
	UNION ALL
	SELECT here, 1, a, z, conn, conn, port FROM talk
	WHERE ours AND level > 0
	UNION ALL
	SELECT 1, 1, a, z, conn, conn, port FROM spoke
	WHERE NOT ours AND claimed
	UNION ALL
	SELECT t.here, 2, g.greeted_utc_ns, max(g.greeted_utc_ns, t.z),
	    g.greeted_seq, t.conn, t.port
	FROM talk AS t JOIN rung AS g USING (conn, ip, port)
	WHERE t.ours AND t.level >= 2
	UNION ALL
	SELECT t.here, 3, g.claimed_utc_ns, max(g.claimed_utc_ns, t.z),
	    g.claimed_seq, t.conn, t.port
	FROM talk AS t JOIN rung AS g USING (conn, ip, port)
	WHERE t.ours AND t.level >= 2 AND g.claimed_seq IS NOT NULL
	UNION ALL
	SELECT here, iif(ok, 5, 4), utc_ns, utc_ns, seq, conn, port FROM part
	WHERE ok IS NOT 0
),
seen (kind, what, level, a, z, seq, conn, port) AS (
	SELECT 10 + level, 'level', level, a, z, seq, conn, port FROM level
	WHERE here
	UNION ALL
	SELECT 20, 'another infohash, asked for the one claimed', NULL, a, z,
	    coalesce(h, conn), conn, port
	FROM spoke WHERE ours AND NOT claimed
	UNION ALL
	SELECT 21, 'another infohash, in a conversation about another torrent',
	    NULL, coalesce(g.greeted_utc_ns, s.a),
	    max(coalesce(g.greeted_utc_ns, s.a), s.z), coalesce(s.h, s.conn),
	    s.conn, s.port
	FROM spoke AS s LEFT JOIN rung AS g USING (conn, ip, port)
	WHERE NOT s.ours AND NOT s.claimed
	UNION ALL
	SELECT 22, 'the infohash claimed, unasked', NULL, a, z, h, conn, port
	FROM spoke WHERE claimed
	UNION ALL
	SELECT 23, 'hash failed', NULL, utc_ns, utc_ns, seq, conn, port
	FROM part WHERE ok = 0 AND here
	UNION ALL
	SELECT iif(lag, 25, 24), iif(lag, 'dialled in vain during a stall',
	    'dialled in vain'), NULL, a, z, conn, conn, port
	FROM (SELECT *, EXISTS (SELECT 1 FROM stalled AS s
		WHERE s.a <= t.z AND s.z >= t.a) AS lag FROM talk AS t)
	WHERE ours AND here AND level = 0 AND direction = 'out'
	    AND outcome <> 'open'
	UNION ALL
	SELECT 26, 'another port', level, a, z, seq, conn, port FROM level
	WHERE NOT here
),
far AS (
	SELECT *, max(0, a - :to_ns, :from_ns - z) AS d FROM seen
),
near AS (
	SELECT *, count(*) OVER (PARTITION BY kind) AS n,
	    row_number() OVER (PARTITION BY kind
		ORDER BY d, level DESC, conn IS NULL, conn, port, seq) AS k
	FROM far
)
SELECT what, level, n, a AS from_utc_ns, z AS to_utc_ns, d AS distance_ns,
    seq AS record, port, kind AS sort
FROM near WHERE k = 1
UNION ALL
SELECT 'an address of the observer''s own', NULL, count(*), NULL, NULL,
    NULL, min(seq), NULL, 27
FROM (SELECT r.seq FROM about AS b JOIN evidence.record AS r ON r.seq = b.seq,
	json_each(r.detail, '$.vantage') AS v
    WHERE b.kind = 'run' AND v.value = :ip)
HAVING count(*) > 0
UNION ALL
SELECT 'answered to an infohash drawn at random', NULL, count(*), NULL, NULL,
    NULL, min(conn), NULL, 28
FROM decoy_endpoint WHERE ip = :ip AND accepted HAVING count(*) > 0
UNION ALL
SELECT 'conversations from another port that named the one claimed', NULL,
    count(*), NULL, NULL, NULL, min(conn), NULL, 29
FROM talk WHERE ours AND here AND level > 0 AND port <> :port
HAVING count(*) > 0
UNION ALL
SELECT 'bytes that it sent', NULL, iif(count(*) = count(rx_bytes),
    sum(rx_bytes), NULL), NULL, NULL, NULL, NULL, NULL, 30
FROM talk WHERE ours AND here AND level > 0 HAVING count(*) > 0
UNION ALL
SELECT 'pieces that came in whole or part', NULL, count(*), NULL, NULL, NULL,
    NULL, NULL, 31
FROM part WHERE here HAVING count(*) > 0
UNION ALL
SELECT 'conversations whose last claim was to hold nothing', NULL, count(*),
    NULL, NULL, NULL, NULL, NULL, 32
FROM talk WHERE ours AND here AND level > 0 AND pieces_claimed = 0
HAVING count(*) > 0
ORDER BY sort;
