/*
 * Cautions that stand beside a level: each a short mark in the tables, and
 * once, at the end, what it means.
 */
#ifndef REPORT_CAUTION_H
#define REPORT_CAUTION_H

#define CAUTIONS(X) \
	X(OBSERVER, "the observer", \
	    "This is an address of the observer itself: the source named the " \
	    "one who asked.") \
	X(ONE_SOURCE, "one source", \
	    "Only one source named this endpoint.") \
	X(DECOY_SOURCE, "source made peers up", \
	    "At least one source that named this endpoint also named peers " \
	    "for an infohash drawn at random, which nobody shares. How often " \
	    "each source did so stands in the table of sources.") \
	X(DECOY_ANSWER, "answered to a decoy", \
	    "It answered to an infohash drawn at random, which nobody shares. " \
	    "It answers to any, so its handshake shows nothing of this " \
	    "torrent.") \
	X(EPHEMERAL, "its own port", \
	    "It connected to the observer, so its side chose this port for " \
	    "that one connection and need not accept others there.") \
	X(IDS, "several peer ids", \
	    "Conversations with this address showed more than one peer id. " \
	    "Several programs or people may share the address, or one client " \
	    "may change its id, as some do.") \
	X(ID_ELSEWHERE, "peer id elsewhere", \
	    "The same peer id was seen at another address. Peer ids are " \
	    "self-chosen and can be copied.") \
	X(OTHER_TORRENT, "other infohash", \
	    "In at least one conversation its handshake did not bear the " \
	    "infohash that was expected.") \
	X(FAILED, "failed hash", \
	    "It sent at least one whole piece that did not match the " \
	    "torrent’s hash. Such data raises no level.") \
	X(SAMPLE, "sample", \
	    "Of the pieces it claims, only those counted here were received. " \
	    "More than “it had at least those that matched” cannot be said.") \
	X(BRIEF, "brief", \
	    "All conversations with it together lasted less than a minute.") \
	X(STALL, "stall", \
	    "The observer itself lagged or lost datagrams during a " \
	    "conversation with it. Silence then proves nothing.") \
	X(DROPS, "packet drops", \
	    "The packet capture lost packets during a conversation with it, so " \
	    "the savefiles may not hold all that the ledger records.") \
	X(CLOCK, "clock", \
	    "No time source gave the observer’s clock a bound when this was " \
	    "seen, or one wider than a second. Who had an address at a given " \
	    "second cannot be told from such a time alone.") \
	X(UNENDED, "no end recorded", \
	    "The ledger holds no end of at least one conversation, because " \
	    "the run was cut short or still goes on.")

enum caution {
#define X(id, mark, meaning) CAUTION_##id,
	CAUTIONS(X)
#undef X
	CAUTION_COUNT
};

static inline unsigned caution_bit(enum caution c)
{
	return 1u << c;
}

const char *caution_mark(enum caution c);
const char *caution_meaning(enum caution c);

#endif
