-- What endpoints showed by day, and how far all this goes.

INSERT INTO endpoint
SELECT swarm, ip, port, port_kind, utc_day, level, first_utc_ns, last_utc_ns,
    0, contacts, matched, failed
FROM days.shown
WHERE swarm NOT IN (SELECT infohash FROM decoy)
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
