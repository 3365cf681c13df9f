/*
 * A tracker's URL, as a torrent gives it, and what we can do with it.
 */
#ifndef MONITOR_TRACKERURL_H
#define MONITOR_TRACKERURL_H

#include "wire/cur.h"

enum scheme {
	SCHEME_HTTP,
	SCHEME_HTTPS,
	SCHEME_UDP,
	SCHEME_OTHER	/* also udp without host or port */
};

struct tracker_url {
	char *text;
	enum scheme scheme;
	char *host, *path;	/* udp: path is BEP 41's, with the query */
	uint16_t port;		/* udp */
	int family;		/* its host is an address of 4 or 6; 0: a name */
};

/* False: out of memory. */
bool tracker_url_init(struct tracker_url *t, struct span url);
void tracker_url_fini(struct tracker_url *t);

#endif
