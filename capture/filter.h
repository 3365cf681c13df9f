/*
 * The pcap-filter text for a monitor's own traffic and nobody else's.
 */
#ifndef CAPTURE_FILTER_H
#define CAPTURE_FILTER_H

#include "wire/endpoint.h"

#define CAPTURE_FILTER_MAX 16384

/*
 * TCP and UDP from and to the local addresses (none: any address of this host
 * or behind it) where the local port is listen or within [from, to] (0: no
 * range; both 0: every port, which is for an address that is the monitor's
 * alone); and ICMP and ICMPv6 errors to them that quote such a packet. What no
 * port tells is missed: fragments after a packet's first, IPv6 packets with
 * extension headers, errors that quote less than the ports. The length of the
 * text, or -1 if it does not fit.
 */
int capture_filter(char *buf, size_t n, const struct endpoint *local,
    size_t locals, uint16_t from, uint16_t to, uint16_t listen);

#endif
