#include "report/rule.h"

#include <inttypes.h>

#include "report/estimate.h"

#define RECORDS "group_concat(seq) AS records"
#define TALK "WITH talk (conn, last) AS (VALUES $talk)"
#define SAID(columns) TALK " SELECT " columns \
	" FROM (SELECT r.* FROM talk JOIN evidence.record AS r ON r.seq " \
	"BETWEEN talk.conn AND talk.last AND r.conn = talk.conn " \
	"WHERE r.utc_ns >= $from AND r.utc_ns < $to AND r.ip = $ip "
#define BY "detail ->> 'by'"
#define J(key) "(detail ->> '" key "')"
#define ENDS "ORDER BY r.seq)"

static void number(FILE *f, int64_t n)
{
	fprintf(f, "%" PRId64, n);
}

static void counted(FILE *f, int64_t n, const char *one, const char *many)
{
	number(f, n);
	fprintf(f, " %s", n == 1 ? one : many);
}

/* --- the rules ---------------------------------------------------------------- */

static void say_named(const struct rows *q, FILE *observed, FILE *limits)
{
	int64_t sources = rows_int(q, 0), times = rows_int(q, 1);

	if (sources == 0) {
		fputs("No third party named this endpoint while it was "
		    "observed.", limits);
		return;
	}
	counted(observed, sources, "third party", "third parties");
	fputs(" named this endpoint, ", observed);
	counted(observed, times, "time", "times");
	fputs(" in all (the number of the first record of each is given). "
	    "This is hearsay.", observed);
	if (sources == 1)
		fputs("Only one source ever named this endpoint.", limits);
}

static void say_dials(const struct rows *q, FILE *observed, FILE *limits)
{
	int64_t dials = rows_int(q, 0), reached = rows_int(q, 1),
	    came = rows_int(q, 2), vain = rows_int(q, 3),
	    refused = rows_int(q, 4), timeout = rows_int(q, 5),
	    stalled = rows_int(q, 6), older = rows_int(q, 7);

	if (older) {
		counted(observed, older, "conversation", "conversations");
		fputs(" opened on an earlier day went on. ", observed);
	}
	if (reached) {
		fputs("The observer dialled it ", observed);
		counted(observed, dials, "time", "times");
		fputs(", and ", observed);
		counted(observed, reached, "connection", "connections");
		fputs(" completed. ", observed);
	}
	if (came) {
		fputs("It connected to the observer ", observed);
		counted(observed, came, "time", "times");
		fputs(".", observed);
	}
	if (vain == 0)
		return;
	number(limits, vain);
	fputs(" of ", limits);
	counted(limits, dials, "dial", "dials");
	fputs(" got no connection: ", limits);
	number(limits, refused);
	fputs(" refused, ", limits);
	number(limits, timeout);
	fputs(" unanswered, ", limits);
	number(limits, vain - refused - timeout);
	fputs(" failed otherwise.", limits);
	if (stalled) {
		fputs(" During ", limits);
		number(limits, stalled);
		fputs(" of these the observer itself lagged, so they prove "
		    "nothing.", limits);
	}
}

static void say_handshakes(const struct rows *q, FILE *observed, FILE *limits)
{
	int64_t right = rows_int(q, 0), other = rows_int(q, 1),
	    ids = rows_int(q, 2);

	if (right) {
		fputs("It sent ", observed);
		counted(observed, right, "handshake", "handshakes");
		fputs(" bearing the infohash of this torrent.", observed);
	} else {
		fputs("It sent no handshake bearing the infohash of this "
		    "torrent that day.", limits);
	}
	if (other) {
		fputs(right ? "" : " ", limits);
		counted(limits, other, "handshake", "handshakes");
		fputs(" it sent bore another infohash.", limits);
	}
	if (ids > 1) {
		fputs(other ? " Its" : "Its", limits);
		fputs(" handshakes bore ", limits);
		number(limits, ids);
		fputs(" different peer ids.", limits);
	}
}

static void say_claims(const struct rows *q, FILE *observed, FILE *limits)
{
	int64_t last = rows_int(q, 1), most = rows_int(q, 2),
	    pieces = rows_int(q, 3), withdrawn = rows_int(q, 4);

	if (rows_int(q, 0) == 0) {
		fputs("It claimed no piece that day.", limits);
		return;
	}
	if (rows_null(q, 1)) {
		fputs("It claimed pieces, before anyone here knew how many "
		    "the torrent has.", observed);
		return;
	}
	fputs("By its last claim that day it held ", observed);
	number(observed, last);
	if (!rows_null(q, 3)) {
		fputs(" of ", observed);
		number(observed, pieces);
	}
	fputs(pieces == 1 ? " piece." : " pieces.", observed);
	if (most > last || withdrawn) {
		fputs("Its claims went back: at most it claimed ", limits);
		number(limits, most);
		fputs(" that day. ", limits);
		if (withdrawn) {
			counted(limits, withdrawn, "message", "messages");
			fputs(" of it took back a piece.", limits);
		}
	}
}

static void say_pieces(const struct rows *q, FILE *observed, FILE *limits)
{
	int64_t asked = rows_int(q, 0), matched = rows_int(q, 1),
	    failed = rows_int(q, 2), part = rows_int(q, 3),
	    bytes = rows_int(q, 4), unchecked = rows_int(q, 6);

	if (asked == 0) {
		fputs("No piece was received from it that day, nor a part of "
		    "one.", limits);
		return;
	}
	if (matched) {
		number(observed, matched);
		fputs(" of ", observed);
		counted(observed, asked, "piece", "pieces");
		fputs(" asked for came whole over one connection each and "
		    "matched the torrent's hash: ", observed);
		counted(observed, bytes, "byte.", "bytes.");
	} else if (rows_int(q, 5) > 0) {
		fputs("It sent ", observed);
		counted(observed, rows_int(q, 5), "byte", "bytes");
		fputs(" of piece data.", observed);
	}
	if (failed) {
		counted(limits, failed, "whole piece", "whole pieces");
		fputs(" did not match the torrent's hash. Such data raises no "
		    "level.", limits);
	}
	if (part) {
		fputs(failed ? " Of " : "Of ", limits);
		counted(limits, part, "piece", "pieces");
		fputs(" asked for, too little came to tell.", limits);
	}
	if (unchecked) {
		fputs(failed || part ? " " : "", limits);
		counted(limits, unchecked, "whole piece", "whole pieces");
		fputs(" could not be checked, because no hash was known.",
		    limits);
	}
	if (matched && !failed && !part && !unchecked)
		fputs("Only the pieces asked for were received; nothing of "
		    "the rest was.", limits);
}

static void say_wants(const struct rows *q, FILE *observed, FILE *limits)
{
	int64_t asked = rows_int(q, 0), wants = rows_int(q, 1);

	(void)limits;
	if (asked) {
		fputs("It asked the observer for data ", observed);
		counted(observed, asked, "time", "times");
		fputs("; the observer sends none.", observed);
	} else if (wants) {
		fputs("It said that it is interested in pieces that the "
		    "observer might have.", observed);
	}
}

static void say_conduct(const struct rows *q, FILE *observed, FILE *limits)
{
	int64_t unchokes = rows_int(q, 0), chokes = rows_int(q, 1),
	    rejects = rows_int(q, 2), faults = rows_int(q, 3);

	(void)observed;
	if (unchokes == 0)
		fputs("It unchoked nobody that day, so only what it had "
		    "allowed before, or by name, could be asked for. ", limits);
	if (chokes) {
		fputs("It choked the other end ", limits);
		counted(limits, chokes, "time", "times");
		fputs(". ", limits);
	}
	if (rejects) {
		fputs("It refused requests in ", limits);
		counted(limits, rejects, "record. ", "records. ");
	}
	if (faults) {
		counted(limits, faults, "message", "messages");
		fputs(" of it broke the protocol.", limits);
	}
}

static void say_flows(const struct rows *q, FILE *observed, FILE *limits)
{
	int64_t flows = rows_int(q, 0), middle = rows_int(q, 1),
	    gaps = rows_int(q, 2), overlaps = rows_int(q, 3);

	if (flows == 0)
		return;
	counted(observed, flows, "conversation", "conversations");
	fputs(" of it with others were found in packets that somebody else "
	    "recorded.", observed);
	fputs("Neither end of these conversations is the observer, who knows "
	    "them from the packets only.", limits);
	if (middle) {
		fputs(" Of ", limits);
		number(limits, middle);
		fputs(" the opening was not captured.", limits);
	}
	if (gaps) {
		fputs(" In ", limits);
		counted(limits, gaps, "place", "places");
		fputs(" bytes are missing.", limits);
	}
	if (overlaps) {
		fputs(" In ", limits);
		counted(limits, overlaps, "place", "places");
		fputs(" bytes came twice and differed.", limits);
	}
}

#define CLAIMS "('bitfield', 'have', 'have_all', 'have_none', 'donthave', " \
	"'claims')"

const struct rule rule_named = {
	"SELECT count(*), sum(times), group_concat(first_seq) AS records FROM "
	"(SELECT times, first_seq FROM sighting WHERE swarm = $swarm AND ip = "
	"$ip AND port = $port AND source <> 'incoming' ORDER BY first_seq)",
	say_named
};

const struct rule rules[] = {
	{ TALK " SELECT count(*) FILTER (WHERE kind = 'flow'), "
	    "count(*) FILTER (WHERE kind = 'flow' AND " J("began")
	    " = 'middle'), count(*) FILTER (WHERE kind = 'gap'), "
	    "count(*) FILTER (WHERE kind = 'overlap'), " RECORDS
	    " FROM (SELECT r.* FROM talk JOIN evidence.record AS r ON r.seq "
	    "BETWEEN talk.conn AND talk.last AND r.conn = talk.conn WHERE "
	    "r.kind IN ('flow', 'gap', 'overlap') " ENDS, say_flows },
	{ SAID("count(*) FILTER (WHERE kind = 'dial'), "
	    "count(*) FILTER (WHERE kind = 'reached'), "
	    "count(*) FILTER (WHERE kind = 'accept'), "
	    "count(*) FILTER (WHERE kind = 'unreached'), "
	    "count(*) FILTER (WHERE kind = 'unreached' AND " J("why")
	    " = 'refused'), "
	    "count(*) FILTER (WHERE kind = 'unreached' AND " J("why")
	    " = 'timeout'), "
	    "count(*) FILTER (WHERE kind = 'unreached' AND " J("stalled") "), "
	    "(SELECT count(*) FROM talk JOIN evidence.record AS o ON o.seq = "
	    "talk.conn WHERE o.utc_ns < $from), "
	    RECORDS) "AND kind IN ('dial', 'reached', 'unreached', 'accept') "
	    ENDS, say_dials },
	{ SAID("count(*) FILTER (WHERE " J("expected") "), "
	    "count(*) FILTER (WHERE NOT " J("expected") "), "
	    "count(DISTINCT " J("peer_id") "), " RECORDS)
	    "AND kind = 'handshake' AND " BY " = 'peer' " ENDS,
	    say_handshakes },
	{ SAID("count(*) FILTER (WHERE " J("claimed") " > 0 OR " J("claimed")
	    " IS NULL AND kind <> 'claims'), "
	    "max(" J("claimed") ") FILTER (WHERE seq = newest), max("
	    J("claimed") "), max(" J("pieces") ") FILTER (WHERE kind NOT IN "
	    "('have', 'donthave')), count(*) FILTER (WHERE kind = 'donthave'), "
	    "group_concat(seq) FILTER (WHERE kind <> 'have' OR seq = newest) "
	    "AS records FROM (SELECT *, max(seq) FILTER (WHERE " J("claimed")
	    " IS NOT NULL) OVER () AS newest")
	    "AND kind IN " CLAIMS " AND " BY " = 'peer' " ENDS ")",
	    say_claims },
	{ SAID("count(DISTINCT " J("piece") "), "
	    "count(DISTINCT " J("piece") ") FILTER (WHERE " J("complete")
	    " AND " J("match") "), "
	    "count(*) FILTER (WHERE " J("complete") " AND NOT " J("match")
	    "), count(*) FILTER (WHERE NOT " J("complete") "), "
	    "sum(" J("came") ") FILTER (WHERE " J("complete") " AND "
	    J("match") "), sum(" J("came") "), count(*) FILTER (WHERE "
	    J("complete") " AND " J("match") " IS NULL), " RECORDS)
	    "AND kind = 'piece' AND " BY " = 'peer' " ENDS, say_pieces },
	{ SAID("count(*) FILTER (WHERE kind = 'request'), "
	    "count(*) FILTER (WHERE kind = 'interested'), " RECORDS)
	    "AND kind IN ('request', 'interested') AND " BY " = 'peer' " ENDS,
	    say_wants },
	/* That it unchoked is no limit, and no record of one. */
	{ SAID("count(*) FILTER (WHERE kind = 'unchoke'), "
	    "count(*) FILTER (WHERE kind = 'choke'), "
	    "count(*) FILTER (WHERE kind = 'reject'), "
	    "count(*) FILTER (WHERE kind = 'malformed'), "
	    "group_concat(seq) FILTER (WHERE kind <> 'unchoke') AS records ")
	    "AND kind IN ('unchoke', 'choke', 'reject', 'malformed') AND " BY
	    " = 'peer' " ENDS,
	    say_conduct },
};

const size_t rules_n = sizeof(rules) / sizeof(rules[0]);

/*
 * A challenge: of what this peer claimed, the observer asked for pieces drawn
 * at random. What it claimed is counted when it was first and last asked: only
 * if that is the same were all drawn out of one whole.
 */
const char rule_challenge_sql[] =
    TALK ", said AS MATERIALIZED (SELECT r.* FROM talk JOIN evidence.record "
    "AS r ON r.seq BETWEEN talk.conn AND talk.last AND r.conn = talk.conn), "
    "today AS (SELECT * FROM said WHERE utc_ns >= $from AND utc_ns < $to), "
    "piece AS (SELECT seq, " J("piece") " AS piece, " J("complete") " AND "
    J("match") " AS good FROM today WHERE kind = 'piece' AND " BY " = 'peer'), "
    "asked AS (SELECT coalesce(min(seq), (SELECT min(seq) FROM piece)) AS a, "
    "coalesce(max(seq), (SELECT max(seq) FROM piece)) AS z FROM today WHERE "
    "kind = 'request' AND " BY " = 'us'), "
    "claim AS (SELECT seq, " J("claimed") " AS n, " J("pieces") " AS pieces, "
    "kind FROM said WHERE kind IN " CLAIMS " AND " BY " = 'peer' AND "
    J("claimed") " IS NOT NULL) "
    "SELECT count(DISTINCT piece), count(DISTINCT piece) FILTER (WHERE good), "
    "(SELECT n FROM claim, asked WHERE seq < a ORDER BY seq DESC LIMIT 1), "
    "(SELECT n FROM claim, asked WHERE seq < z ORDER BY seq DESC LIMIT 1), "
    "(SELECT max(pieces) FROM claim WHERE kind NOT IN ('have', 'donthave')), "
    "group_concat(seq) AS records FROM (SELECT * FROM piece ORDER BY seq)";

void rule_challenge(const struct rows *q, FILE *observed, FILE *limits,
    int64_t conn)
{
	int64_t asked = rows_int(q, 0), good = rows_int(q, 1),
	    first = rows_int(q, 2), last = rows_int(q, 3),
	    pieces = rows_int(q, 4), held;

	if (asked == 0)
		return;
	fprintf(observed, "Challenge in conversation #%" PRId64 ": ", conn);
	number(observed, good);
	fputs(" of ", observed);
	counted(observed, asked, "piece", "pieces");
	fputs(" asked for ", observed);
	fputs(good == 1 ? "was delivered and matched." :
	    "were delivered and matched.", observed);
	if (rows_null(q, 2) || rows_null(q, 3) || first != last ||
	    first < asked) {
		fprintf(limits, "Of conversation #%" PRId64 " no bound can be "
		    "stated for what was not asked for: ", conn);
		if (rows_null(q, 2) || rows_null(q, 3))
			fputs("it had not claimed a countable number of pieces "
			    "when it was asked.", limits);
		else if (first != last)
			fprintf(limits, "what it claimed changed from %" PRId64
			    " to %" PRId64 " pieces while it was asked, so the "
			    "pieces were not drawn from one whole.", first,
			    last);
		else
			fputs("more pieces were asked for than it claimed.",
			    limits);
		return;
	}
	held = estimate_least_held(first, asked, good);
	if (good == 0)
		return;
	fprintf(observed, " With 95 %% confidence it held at least %" PRId64
	    " of the %" PRId64 " pieces it then claimed", held, first);
	if (pieces > 0)
		fprintf(observed, " (%" PRId64 ".%" PRId64 " %% of the torrent's "
		    "%" PRId64 ")", held * 1000 / pieces / 10,
		    held * 1000 / pieces % 10, pieces);
	fputs(".", observed);
	fprintf(limits, "The bound for conversation #%" PRId64 " is exact for the "
	    "hypergeometric distribution and rests on these: the pieces were "
	    "drawn at random out of those claimed (the rule and its seed are "
	    "in the run's record); whether it delivers a piece depends on "
	    "nothing but whether it holds it; what did not come whole counts "
	    "as not held.", conn);
}
