/*
 * What is said to trackers and what they answer: HTTP (BEP 3, 7, 23, 24, 48)
 * and UDP (BEP 15, 41). Pure: addresses, sockets and time are the caller's.
 */
#ifndef WIRE_TRACKER_H
#define WIRE_TRACKER_H

#include "bencode.h"
#include "endpoint.h"

#define TRACKER_SCRAPES_MAX 74	/* infohashes in one UDP scrape, BEP 15 */

enum tracker_event {		/* numbered as BEP 15 */
	TRACKER_NONE,
	TRACKER_COMPLETED,	/* never sent by us */
	TRACKER_STARTED,
	TRACKER_STOPPED
};

struct tracker_ask {
	uint8_t infohash[20];
	uint8_t peer_id[20];
	uint64_t uploaded, downloaded, left;
	enum tracker_event event;
	uint32_t key;
	int32_t numwant;	/* -1: the tracker's default */
	uint16_t port;
	struct span trackerid;	/* echo of what it gave, or empty */
};

struct tracker_reply {
	struct span failure;	/* .p set: it refused (perhaps without words),
				 * and nothing else holds */
	struct span warning, trackerid;
	int64_t interval, min_interval;		/* s, as given; -1 absent */
	int64_t retry_min;	/* beside a failure (BEP 31); -1 absent,
				 * INT64_MAX never */
	int64_t seeders, leechers, downloaded;	/* -1 absent */
	struct span external_ip;	/* 4 or 16 bytes, BEP 24 */
	struct span peers, peers6;	/* compact bytes, 6 and 18 each */
	struct ben peer_dicts;		/* or the old list, type BEN_LIST */
	bool has_dicts;
	uint32_t odd_bytes;	/* left over after the last whole entry */
	unsigned notes;		/* ben_note bits */
};

/* Reads a bencoded announce reply. OK, or BAD with *err. Numbers that are
 * negative or of another type count as absent. */
enum wire_status tracker_http_read(struct span body, struct tracker_reply *r,
    struct wire_error *err);

/*
 * The next peer of a reply, whatever its form; false at the end. Host names in
 * old-style dicts (not addresses), and what is no peer at all, are skipped and
 * counted. Start zeroed.
 */
struct tracker_peers {
	struct cur p4, p6, dicts;
	uint32_t skipped;
	bool begun;
};
struct tracker_peer {
	struct endpoint at;
	struct span peer_id;	/* old-style dicts only */
};
bool tracker_peer(const struct tracker_reply *r, struct tracker_peers *it,
    struct tracker_peer *p);

struct tracker_scrape {
	int64_t seeders, leechers, downloaded;	/* -1 absent */
	struct span failure;
};
/* The entry for infohash in a bencoded scrape reply (BEP 48); if there is none,
 * every number is -1. */
enum wire_status tracker_http_scrape(struct span body,
    const uint8_t infohash[20], struct tracker_scrape *s,
    struct wire_error *err);

/*
 * The announce URL with its query appended ('?' or '&' as needed, infohash and
 * peer id percent-encoded, compact=1, no_peer_id=1), a fragment left off. Its
 * length without the NUL, or 0 if that does not fit in n or the URL holds
 * anything but printable ASCII without blanks. tracker_scrape_url: "announce"
 * at the start of the last path element replaced (BEP 48); 0 if the URL has
 * none.
 */
size_t tracker_http_url(char *buf, size_t n, struct span announce,
    const struct tracker_ask *ask);
size_t tracker_scrape_url(char *buf, size_t n, struct span announce,
    const uint8_t infohash[20]);

/* UDP (BEP 15). Writers return bytes written; out has room for the most. */
#define UDP_CONNECT 16u
#define UDP_PATH_MAX 1020u		/* of BEP 41's options, 255 each */
#define UDP_ANNOUNCE_MAX (98u + UDP_PATH_MAX + 2u * UDP_PATH_MAX / 255u)
#define UDP_SCRAPE_MAX (16u + 20u * TRACKER_SCRAPES_MAX)

enum udp_action {
	UDP_ACT_CONNECT,
	UDP_ACT_ANNOUNCE,
	UDP_ACT_SCRAPE,
	UDP_ACT_ERROR
};

size_t tracker_udp_connect(uint8_t *out, uint32_t transaction);
/* path: the URL's path and query for BEP 41, or empty. 0 if it is longer than
 * UDP_PATH_MAX. */
size_t tracker_udp_announce(uint8_t *out, uint64_t connection,
    uint32_t transaction, const struct tracker_ask *ask, struct span path);
/* 0 if n is 0 or more than TRACKER_SCRAPES_MAX. */
size_t tracker_udp_scrape(uint8_t *out, uint64_t connection,
    uint32_t transaction, const uint8_t (*infohash)[20], size_t n);

struct udp_reply {
	enum udp_action action;
	uint32_t transaction;
	uint64_t connection;		/* connect */
	struct tracker_reply announce;	/* announce: peers or peers6 */
	struct span scrapes;		/* scrape: 12 bytes each, in the order
					 * asked; walk: tracker_udp_scraped */
	struct span error;		/* error: its message */
};
/* family: 4 or 6, of the address the datagram came over: it decides the
 * stride. BAD: too short, or an action that does not exist. */
enum wire_status tracker_udp_read(struct span datagram, int family,
    struct udp_reply *r, struct wire_error *err);

/* Entry i of a scrape; false if there is none. */
bool tracker_udp_scraped(const struct udp_reply *r, size_t i,
    struct tracker_scrape *s);

#endif
