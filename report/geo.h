/*
 * Network facts about addresses from MaxMind DB files: country, autonomous
 * system, organisation. They say what a database's makers believed of a block
 * of addresses when they built it, nothing about a device or person.
 */
#ifndef REPORT_GEO_H
#define REPORT_GEO_H

#include <stddef.h>
#include <stdint.h>

#include <maxminddb.h>

struct geo_db {
	MMDB_s mmdb;
	char *file;		/* its name without folders */
	char sha256[65];
	int64_t bytes;
};

struct geo {
	struct geo_db *db;
	size_t n;
};

struct geo_place {
	char country[3];	/* ISO 3166-1 alpha-2, "" if unknown */
	uint32_t asn;		/* 0 if unknown */
	char org[128];		/* of the network; UTF-8, hostile; "" */
	int radius_km;		/* accuracy, as a city database states; -1 */
	int prefix;		/* of the block that holds the address */
};

/* Opens one more; databases given first are asked first. -1 with one line
 * logged: not there, no MaxMind DB, damaged, or one without country and
 * network. */
int geo_add(struct geo *g, const char *file);
void geo_close(struct geo *g);

/* When it was built, as it says; 0 if that is absurd. */
int64_t geo_built_ns(const struct geo_db *db);

/* What one database says of ip. */
void geo_find_in(const struct geo_db *db, const char *ip,
    struct geo_place *out);

/* What the databases say of ip (text). Damage found on the way is nothing
 * known. */
void geo_find(const struct geo *g, const char *ip, struct geo_place *out);

#endif
