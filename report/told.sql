-- The records about one address, in order, each with a sentence that says what
-- it holds. The derived tables are main, the ledger is `evidence`.
-- ?1 the address; ?2 a port, -1 any; ?3 a swarm, '' any; ?4 and ?5 the first
-- and last UTC day, NULL any.

WITH RECURSIVE s (swarm) AS (	-- swarms are few: the index is stepped over
	SELECT min(swarm) FROM endpoint
	UNION ALL
	SELECT (SELECT min(e.swarm) FROM endpoint AS e WHERE e.swarm > s.swarm)
	FROM s WHERE s.swarm IS NOT NULL
),
-- A conversation's records lie in [conn, last]; one without an end goes on to
-- the next run.
chosen AS MATERIALIZED (
	SELECT c.conn, iif(c.outcome = 'open',
	    coalesce((SELECT min(seq) - 1 FROM about
		WHERE kind = 'run' AND seq > c.conn),
		(SELECT max(seq) FROM evidence.record)), x.last_seq) AS last
	FROM contact AS c JOIN extent AS x ON x.conn = c.conn
	WHERE c.ip = ?1 AND (?2 < 0 OR c.port = ?2 OR c.listen_port IS ?2)
	    AND (?3 = '' OR c.swarm = ?3)
	    AND (?4 IS NULL OR c.closed_utc_ns IS NULL
		OR date(c.closed_utc_ns / 1000000000, 'unixepoch') >= ?4)
	    AND (?5 IS NULL
		OR date(c.opened_utc_ns / 1000000000, 'unixepoch') <= ?5)
),
-- Very many of them may go on at once: what their records lie in is passed
-- through once.
stretch AS (
	SELECT min(conn) AS a, max(last) AS z FROM (
	    SELECT conn, last, sum(apart) OVER (ORDER BY conn, last) AS nth
	    FROM (SELECT conn, last, conn > coalesce(max(last) OVER (
		    ORDER BY conn, last
		    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), -1)
		AS apart FROM chosen))
	GROUP BY nth
),
-- An imported conversation has no observer at either end.
part AS (
	SELECT r.*, r.detail AS d,
	    CASE WHEN r.detail ->> 'by' = 'us' THEN 'The observer'
		WHEN r.ip = ?1 THEN 'It' ELSE 'The other end' END AS who,
	    coalesce('; it claims ' || (r.detail ->> 'claimed') ||
		coalesce(' of ' || (r.detail ->> 'pieces'), '') || ' now', '')
		AS claims,
	    (r.detail ->> 'count') AS n,
	    iif(r.detail ->> 'count' = 1, '', 's') AS s
	FROM stretch CROSS JOIN evidence.record AS r
	    ON r.seq BETWEEN stretch.a AND stretch.z
	CROSS JOIN chosen ON chosen.conn = r.conn AND r.seq <= chosen.last
)
SELECT seq, utc_ns, kind, swarm, conn, ip, port, d ->> 'by', CASE kind
	WHEN 'dial' THEN 'The observer dialled it by ' ||
	    upper(coalesce(d ->> 'transport', '?')) ||
	    iif(d ->> 'encryption' = 'mse', ', encrypted', '') ||
	    coalesce('; it was named by: ' || (d ->> 'source'), '')
	WHEN 'reached' THEN 'The connection completed' ||
	    coalesce(' after ' || (d ->> 'took_ms') || ' ms', '')
	WHEN 'unreached' THEN 'No connection: ' || coalesce(d ->> 'why', '?') ||
	    coalesce(', after ' || (d ->> 'took_ms') || ' ms', '') ||
	    iif(d ->> 'stalled', '; the observer itself lagged meanwhile, so ' ||
		'this proves nothing', '')
	WHEN 'accept' THEN 'It connected to the observer by ' ||
	    upper(coalesce(d ->> 'transport', '?'))
	WHEN 'encrypted' THEN 'Encryption of the conversation: ' ||
	    coalesce(d ->> 'outcome', '?') || CASE d ->> 'select'
		WHEN 1 THEN ', plain payload' WHEN 2 THEN ', RC4' ELSE '' END
	WHEN 'greeted' THEN 'The observer sent its handshake'
	WHEN 'handshake' THEN who || ' sent a handshake with ' ||
	    iif(d ->> 'expected', 'the infohash expected', 'another infohash') ||
	    coalesce('; by its peer id the client is ' || (d ->> 'client'), '')
	WHEN 'extended' THEN who || ' introduced itself' ||
	    coalesce(' as ' || (d ->> 'client'), '') ||
	    coalesce('; it says it listens on port ' || (d ->> 'port'), '')
	WHEN 'bitfield' THEN who || ' listed the pieces it has' || claims
	WHEN 'have_all' THEN who || ' said it has all pieces' || claims
	WHEN 'have_none' THEN who || ' said it has no piece'
	WHEN 'have' THEN who || ' announced ' || n || ' further piece' || s ||
	    claims
	WHEN 'donthave' THEN who || ' took back a piece' ||
	    coalesce(' (' || (d ->> 'piece') || ')', '') || claims
	WHEN 'claims' THEN 'What was claimed before the metadata was known ' ||
	    'counts from now' || claims
	WHEN 'choke' THEN who || ' choked the other: it will answer no requests'
	WHEN 'unchoke' THEN who || ' unchoked the other: it will answer requests'
	WHEN 'interested' THEN who || ' said it wants pieces of the other'
	WHEN 'not_interested' THEN who || ' said it wants nothing of the other'
	WHEN 'request' THEN who || ' asked for ' || n || ' block' || s ||
	    coalesce(', the first of piece ' ||
		json_extract(d, '$.blocks[0][0]'), '')
	WHEN 'cancel' THEN who || ' cancelled ' || n || ' request' || s
	WHEN 'reject' THEN who || ' refused ' || n || ' request' || s
	WHEN 'allowed_fast' THEN who || ' allowed ' || n || ' piece' || s ||
	    ' to be asked for while choked'
	WHEN 'suggest' THEN who || ' suggested ' || n || ' piece' || s
	WHEN 'piece' THEN 'Piece ' || coalesce(d ->> 'piece', '?') || ': ' || CASE
		WHEN NOT d ->> 'complete' THEN 'incomplete, ' ||
		    coalesce(d ->> 'came', 0) || ' bytes came' ||
		    coalesce(' (' || (d ->> 'why') || ')', '')
		WHEN d ->> 'match' THEN 'whole, ' || coalesce(d ->> 'bytes', '?') ||
		    ' bytes, and its hash matches'
		WHEN NOT d ->> 'match' THEN 'whole, and its hash does not match'
		ELSE 'whole, and no hash is known' ||
		    coalesce(' (' || (d ->> 'why') || ')', '') END
	WHEN 'block' THEN who || ' sent data that proves nothing: ' ||
	    coalesce(d ->> 'why', '?')
	WHEN 'metadata' THEN who || ' sent a message about metadata: ' ||
	    coalesce(d ->> 'message', '?')
	WHEN 'pex' THEN who || ' named other peers: ' ||
	    coalesce(d ->> 'added', 0) || ' added, ' ||
	    coalesce(d ->> 'dropped', 0) || ' dropped'
	WHEN 'hashes' THEN who || ' sent a message about hashes: ' ||
	    coalesce(d ->> 'message', '?')
	WHEN 'port' THEN who || ' named its DHT port' ||
	    coalesce(', ' || (d ->> 'port'), '')
	WHEN 'message' THEN who || ' sent a message of another kind' ||
	    coalesce(', number ' || (d ->> 'id'), '')
	WHEN 'malformed' THEN who || ' broke the protocol: ' ||
	    coalesce(d ->> 'reason', '?')
	WHEN 'gap' THEN 'Bytes of this side are missing in the packets: ' ||
	    coalesce(d ->> 'bytes', '?')
	WHEN 'overlap' THEN 'Bytes came twice and differed: ' ||
	    coalesce(d ->> 'bytes', '?')
	WHEN 'metadata_fault' THEN 'Its metadata was at fault: ' ||
	    coalesce(d ->> 'why', '?')
	WHEN 'decoy' THEN iif(d ->> 'accepted',
	    'It answered to an infohash that nobody shares',
	    'It did not answer to an infohash that nobody shares')
	WHEN 'flow' THEN 'A recorded conversation of ' ||
	    coalesce(d ->> 'initiator', '?') || ' with ' ||
	    coalesce(d ->> 'responder', '?') || ' by ' ||
	    upper(coalesce(d ->> 'transport', '?'))
	WHEN 'closed' THEN 'Closed by ' || CASE d ->> 'by'
		WHEN 'us' THEN 'the observer' WHEN 'peer' THEN 'it'
		WHEN 'error' THEN 'an error' ELSE coalesce(d ->> 'by', '?') END ||
	    ': ' || coalesce(d ->> 'why', '?') ||
	    coalesce('; received ' || (d ->> 'rx_bytes') || ', sent ' ||
		(d ->> 'tx_bytes') || ' bytes', '')
	ELSE kind END
FROM part
UNION ALL
SELECT g.first_seq, g.first_utc_ns, g.source, g.swarm, NULL, g.ip, g.port, NULL,
    'Named by ' || g.source || ' ' || g.witness ||
	iif(g.times = 1, ', once', ' for the first of ' || g.times || ' times')
FROM s CROSS JOIN sighting AS g ON g.swarm = s.swarm AND g.ip = ?1
WHERE g.source <> 'incoming' AND (?2 < 0 OR g.port = ?2)
    AND (?3 = '' OR g.swarm = ?3)
    AND (?4 IS NULL OR date(g.last_utc_ns / 1000000000, 'unixepoch') >= ?4)
    AND (?5 IS NULL OR date(g.first_utc_ns / 1000000000, 'unixepoch') <= ?5)
ORDER BY 1, 5, 4;
