/*
 * The options by which report, excerpt and erase choose records.
 */
#ifndef REPORT_SELECT_H
#define REPORT_SELECT_H

#include <getopt.h>

#include "wire/endpoint.h"

/* For getopt_long's table. */
#define SELECT_OPTIONS \
	{ "ip", required_argument, NULL, 'i' }, \
	{ "port", required_argument, NULL, 'p' }, \
	{ "from", required_argument, NULL, 'f' }, \
	{ "to", required_argument, NULL, 't' }, \
	{ "swarm", required_argument, NULL, 's' }

/* Where their values go; all lent. */
struct selection {
	const char *command;	/* for what is logged */
	char *ip;		/* ENDPOINT_IP_MAX bytes: its canonical text */
	int *port;
	char *from_day, *to_day;	/* 11 bytes each: YYYY-MM-DD, of a day or
				 * of a time, YYYY-MM-DDTHH:MM:SSZ, since levels
				 * and indexes are those of days */
	const char **swarm;	/* 40 or 64 lower-case hex digits; the option's
				 * own text */
};

/* Takes one of these. False, logged: the value is not what it wants. */
bool select_option(const struct selection *s, int option, const char *value);

/* The readers of their values: false, or -1, if it is none. */
bool select_ip(const char *text, char ip[ENDPOINT_IP_MAX]);
int select_port(const char *text);
bool select_day(const char *text, char day[11]);

#endif
