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

struct pseudonym;
struct geo {
	struct geo_db *db;
	size_t n;
	const struct pseudonym *veil;	/* addresses asked about are of it */
};

struct geo_place {
	char country[3];	/* ISO 3166-1 alpha-2, "" if unknown */
	uint32_t asn;		/* 0 if unknown */
	char org[128];		/* of the network; UTF-8, hostile; "" */
	int radius_km;		/* accuracy, as a city database states; -1 */
	int prefix;		/* of the block that holds the address; -1 */
};

/* Opens one more; databases given first are asked first. -1 with one line
 * logged: not there, no MaxMind DB, damaged, or one without country and
 * network. */
int geo_add(struct geo *g, const char *file);
void geo_close(struct geo *g);

/*
 * From now on addresses asked about are pseudonyms: the real ones are looked
 * up, and what is coarser is told: country and network, not how large a block
 * the address lies in. Addresses in names of files and networks are replaced.
 */
void geo_veil(struct geo *g, const struct pseudonym *p);

/* When it was built, as it says; 0 if that is absurd. */
int64_t geo_built_ns(const struct geo_db *db);

/* What database i says of ip. */
void geo_find_in(const struct geo *g, size_t i, const char *ip,
    struct geo_place *out);

/* What the databases say of ip (text). Damage found on the way is nothing
 * known. */
void geo_find(const struct geo *g, const char *ip, struct geo_place *out);

#endif
