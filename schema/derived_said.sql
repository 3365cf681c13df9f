-- What was said in conversations, record by record.

-- Conversations: talk is twice the conn, and one more for the responder of an
-- imported flow, because there each end is the peer of the other, with a row of
-- its own. said is how a conversation opened and ended and all that the peer
-- sent (`by` is the first key of such a record's detail), with what counts of
-- its detail; and the runs. What it is stands there as a number, 0 for any
-- other kind:

DROP TABLE IF EXISTS work.sort;
CREATE TABLE work.sort (
	kind TEXT PRIMARY KEY NOT NULL,
	what INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO work.sort VALUES
    --			a		b		c		d
    ('dial', 1),	-- transport	plain				imported
    ('accept', 2),	-- transport	plain				imported
    ('flow', 3),	-- transport	plain		began		imported
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
    ('decoy', 17),
    ('run', 18);	-- peer id

DROP TABLE IF EXISTS work.said;
CREATE TABLE work.said (
	seq INTEGER NOT NULL,
	what INTEGER NOT NULL,
	utc_ns INTEGER NOT NULL,
	talk INTEGER,		-- NULL: a run
	swarm TEXT,
	a, b, c, d,
	ip TEXT,		-- of those from 1 to 3
	port INTEGER
);

CREATE INDEX work.said_run ON said (seq) WHERE what = 18;

INSERT INTO work.said
SELECT r.seq, coalesce(k.what, 0), r.utc_ns, 2 * r.conn + iif(r.mono_ns IS NULL,
	coalesce((SELECT o.kind = 'flow' AND (o.ip IS NOT r.ip
	OR o.port IS NOT r.port)
	FROM evidence.record AS o WHERE o.seq = r.conn), 0), 0),
    iif(k.what IN (1, 3, 8, 10), r.swarm, NULL),
    CASE WHEN k.what IS NULL OR k.what = 4 OR k.what = 17 THEN NULL
    WHEN k.what <= 3 THEN json_extract(r.detail, '$.transport')
    WHEN k.what = 18 THEN json_extract(r.detail, '$.config.peer_id')
    WHEN k.what >= 11 THEN json_extract(r.detail, '$.claimed')
    WHEN k.what = 10 THEN json_extract(r.detail, '$.piece')
    WHEN k.what = 9 THEN json_extract(r.detail, '$.client')
    WHEN k.what = 8 THEN json_extract(r.detail, '$.peer_id')
    WHEN k.what = 6 THEN json_extract(r.detail, '$.select')
    ELSE json_extract(r.detail, '$.why') END,
    CASE WHEN k.what <= 3 THEN json_extract(r.detail, '$.encryption') IS 'none'
    WHEN k.what IS NULL OR k.what <= 6 OR k.what >= 17 THEN NULL
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
    WHEN 8 THEN json_extract(r.detail, '$.expected')
    WHEN 10 THEN iif(json_extract(r.detail, '$.complete'),
	json_extract(r.detail, '$.match'), NULL) END,
    CASE WHEN k.what <= 3 THEN r.mono_ns IS NULL
    WHEN k.what = 6 OR k.what = 7 THEN json_extract(r.detail, '$.by')
    WHEN k.what = 8 THEN json_extract(r.detail, '$.infohash') END,
    iif(k.what <= 3, r.ip, NULL), iif(k.what <= 3, r.port, NULL)
FROM evidence.record AS r LEFT JOIN work.sort AS k
    ON k.kind = r.kind AND (k.what < 18 OR r.conn IS NULL)
WHERE r.seq >= (SELECT a FROM temp.part) AND r.seq < (SELECT z FROM temp.part)
    AND (r.conn IS NOT NULL AND (k.what <= 7 OR k.what = 17
	    OR substr(r.detail, 1, 12) = '{"by":"peer"')
	OR k.what = 18);

-- The observer's own peer id in each run that these records belong to.
DROP TABLE IF EXISTS work.own;
CREATE TABLE work.own AS
SELECT seq AS run, json_extract(detail, '$.config.peer_id') AS peer_id
FROM evidence.record
WHERE seq = (SELECT max(seq) FROM about
    WHERE kind = 'run' AND seq < (SELECT a FROM temp.part))
UNION ALL
SELECT seq, a FROM work.said WHERE what = 18;
CREATE UNIQUE INDEX work.own_run ON own (run);
