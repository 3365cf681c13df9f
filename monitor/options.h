/*
 * The monitor's command line: one table gives the options their names, their
 * help and their meaning.
 */
#ifndef MONITOR_OPTIONS_H
#define MONITOR_OPTIONS_H

#include <stdio.h>

#include "monitor/ladder.h"
#include "wire/endpoint.h"

#define OPTIONS_NTP_MAX 16
#define OPTIONS_TSA_MAX 16
#define OPTIONS_GEO_MAX 8
#define OPTIONS_NODES_MAX 16
#define OPTIONS_BLOCKLIST_MAX 8
#define SAMPLE_ALL (-1)

struct options {
	int64_t duration_s;	/* 0: until a signal */
	const char *list;	/* file of what to watch, or NULL */
	const char *watch;	/* folder of what to watch, or NULL */
	const char *metrics;	/* file, or NULL */
	const char *blocklist[OPTIONS_BLOCKLIST_MAX];
	size_t blocklists;
	int64_t disk_budget, disk_spare;	/* bytes; 0: no matter */
	uint16_t listen;	/* 0: any */
	struct endpoint bind4, bind6;	/* family 0: not given */
	uint16_t ports_from, ports_to;	/* local ports of outgoing sockets */
	int sample;		/* pieces per peer, or SAMPLE_ALL */
	unsigned outstanding;
	bool observe_only, allow_local, no_packets, no_sandbox;
	const char *interface;	/* NULL: any */
	const char *ntp[OPTIONS_NTP_MAX];
	size_t ntps;
	const char *tsa[OPTIONS_TSA_MAX];	/* URLs */
	size_t tsas;
	const char *tsa_policy;	/* or NULL */
	int64_t stamp_every_s;	/* 0: the default */
	const char *on_checkpoint;	/* shell command, or NULL */
	const char *dht_node[OPTIONS_NODES_MAX];	/* HOST:PORT */
	size_t dht_nodes;
	bool no_dht, announce_dht, no_pex, lsd;
	bool no_utp;
	enum ladder_crypt encryption;
	unsigned decoys;
	bool decoy_endpoints;
	const char *geo[OPTIONS_GEO_MAX];
	size_t geos;
	const char *key;	/* NULL: the default */
	unsigned max_connections, dial_rate;
	int64_t max_memory;	/* bytes, of all our processes */
	int64_t max_rate;	/* bytes a second from peers; 0: any */
	const char *peer_id_prefix;
	const char *operator, *purpose, *ground, *retention; /* or NULL */
	const char *case_path;
	char **torrents;	/* inside argv */
	int torrent_count;
};

enum options_result {
	OPTIONS_GO,
	OPTIONS_HELP,	/* --help: print it and exit 0 */
	OPTIONS_MISUSE	/* one line was logged; exit 2 */
};

/* argv[0] is the subcommand's name; operands are moved to argv's end. */
enum options_result options_read(struct options *o, int argc, char **argv);

void options_help(FILE *to);

/* "HOST:PORT", a literal IPv6 address in brackets: its parts. */
bool options_node(const char *text, struct span *host, uint16_t *port);

#endif
