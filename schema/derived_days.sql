-- Endpoints by day, decoys' too. First and last are those of what the far end
-- did; a day's vain attempts never stretch them.

DROP TABLE IF EXISTS days.shown;
CREATE TABLE days.shown AS
SELECT swarm, ip, port, port_kind, date(day * 86400, 'unixepoch') AS utc_day,
    max(level) AS level,
    coalesce(min(lived_first_utc_ns), min(first_utc_ns)) AS first_utc_ns,
    coalesce(max(lived_last_utc_ns), max(last_utc_ns)) AS last_utc_ns,
    sum(contacts) AS contacts, sum(pieces & 4294967295) AS matched,
    sum(pieces >> 32) AS failed
FROM (SELECT t.swarm, t.ip, t.port, 'remote' AS port_kind, e.day, e.level,
	e.first_utc_ns, e.last_utc_ns, e.lived_first_utc_ns,
	e.lived_last_utc_ns, e.pieces, e.joined OR t.began_day IS e.day
	    AND t.joined IS NULL AND NOT e.told AS contacts
    FROM work.event AS e CROSS JOIN work.talk AS t ON t.id = e.talk
    WHERE t.swarm IS NOT NULL AND NOT e.early
    UNION ALL
    SELECT t.swarm, t.ip, t.listen_port, 'listen', e.day, e.level,
	e.first_utc_ns, e.last_utc_ns, e.lived_first_utc_ns,
	e.lived_last_utc_ns, e.pieces, t.told_day IS e.day
	    AND coalesce(t.joined <= t.told, true)
    FROM work.event AS e CROSS JOIN work.talk AS t ON t.id = e.talk
    WHERE t.swarm IS NOT NULL AND NOT e.early AND e.told)
GROUP BY swarm, ip, port, port_kind, day;
