/*
 * The packets of one connection or one address, cut out of a case's savefiles
 * into a file of their own.
 */
#ifndef CAPTURE_SLICE_H
#define CAPTURE_SLICE_H

#include <stdint.h>

struct slice_conf {
	const char *case_path;
	int64_t conn;		/* seq of its dial, accept or flow; -1: none */
	const char *ip;		/* an address, or NULL; one of the two is set */
	const char *out;	/* a new file */
};

/*
 * Of a connection: the packets between its two endpoints (where only the remote
 * one is known: of that) from a second before its first record to a minute
 * after its last, and all IP fragments between the two addresses then, because
 * later ones bear no port. Of an address: every packet from and to it. OUT is a
 * nanosecond pcap, of the packets as captured if all are of one link type, else
 * from their IP headers on. Prints OUT's SHA-256 and name, as sha256sum does.
 *
 * The exit status: 0, or 1 with the reason logged; also where a savefile is
 * missing or is not what its record says, and then OUT has what is there.
 */
int slice_run(const struct slice_conf *conf);

#endif
