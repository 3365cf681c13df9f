/* What selects records on command lines. */
#ifndef REPORT_SELECT_H
#define REPORT_SELECT_H

#include "wire/endpoint.h"

/* An address, in its canonical text. */
bool select_ip(const char *text, char ip[ENDPOINT_IP_MAX]);
/* -1: none. */
int select_port(const char *text);
/* A day, or a time of it, in UTC: YYYY-MM-DD[THH:MM:SSZ]. Levels and index
 * are those of days. */
bool select_day(const char *text, char day[11]);

#endif
