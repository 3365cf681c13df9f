-- What became of conversations, into the tables.

INSERT INTO sighting
SELECT t.swarm, t.ip, t.port, 'incoming', '', min(t.opened), max(t.opened),
    count(*), min(t.id / 2)
FROM work.joined AS j CROSS JOIN work.talk AS t ON t.id = j.id
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
FROM work.said AS s CROSS JOIN work.talk AS t ON t.id = s.talk
WHERE s.what = 10;

INSERT INTO extent SELECT talk / 2, last_seq FROM work.event
WHERE last_seq IS NOT NULL
UNION ALL SELECT talk / 2, seq FROM work.said
WHERE what BETWEEN 6 AND 7
UNION ALL SELECT conn, seq FROM temp.fact
WHERE kind = 'decoy' AND conn IS NOT NULL
ON CONFLICT DO UPDATE SET last_seq = max(last_seq, excluded.last_seq);

INSERT OR REPLACE INTO contact
SELECT id / 2, origin, swarm, ip, port, listen_port, direction, transport,
    encryption, opened, closed, outcome, peer_id, client, claimed, total, rx,
    tx, CAST(matched AS INTEGER), CAST(failed AS INTEGER), level
FROM work.talk ORDER BY id;

-- Not with its table: at first it is made faster of all rows at once.
CREATE INDEX IF NOT EXISTS contact_ip ON contact (ip, port);

INSERT OR REPLACE INTO rung
SELECT id / 2, ip, port, greeted_seq, greeted_ns, claimed_seq, claimed_ns
FROM work.talk WHERE greeted_seq IS NOT NULL ORDER BY id;
