#include "report/geo.h"

#include <stdlib.h>
#include <string.h>

#include "report/pseudonym.h"
#include "schema/casedir.h"
#include "schema/log.h"
#include "wire/endpoint.h"

/* How MaxMind, DB-IP, and ip-location-db name the same things. */
static const char *const country_paths[][4] = {
	{ "country", "iso_code", NULL },
	{ "country_code", NULL },
	{ "registered_country", "iso_code", NULL },
};
static const char *const asn_paths[][4] = {
	{ "autonomous_system_number", NULL },
	{ "asn", NULL },
};
static const char *const radius_paths[][4] = {
	{ "location", "accuracy_radius", NULL },
};
static const char *const org_paths[][4] = {
	{ "autonomous_system_organization", NULL },
	{ "as_name", NULL },
	{ "organization", NULL },
};

#define N(a) (sizeof(a) / sizeof((a)[0]))

static bool value(MMDB_entry_s *e, const char *const (*paths)[4], size_t n,
    MMDB_entry_data_s *d)
{
	for (size_t i = 0; i < n; i++)
		if (MMDB_aget_value(e, d, paths[i]) == MMDB_SUCCESS &&
		    d->has_data)
			return true;
	return false;
}

static void take_country(MMDB_entry_s *e, struct geo_place *out)
{
	MMDB_entry_data_s d;

	if (!value(e, country_paths, N(country_paths), &d) ||
	    d.type != MMDB_DATA_TYPE_UTF8_STRING || d.data_size != 2)
		return;
	for (int i = 0; i < 2; i++)
		if (d.utf8_string[i] < 'A' || d.utf8_string[i] > 'Z')
			return;
	memcpy(out->country, d.utf8_string, 2);
}

static void take_network(MMDB_entry_s *e, struct geo_place *out)
{
	MMDB_entry_data_s d;

	if (out->asn == 0 && value(e, asn_paths, N(asn_paths), &d)) {
		if (d.type == MMDB_DATA_TYPE_UINT32)
			out->asn = d.uint32;
		else if (d.type == MMDB_DATA_TYPE_UINT16)
			out->asn = d.uint16;
	}
	if (out->org[0] == '\0' && value(e, org_paths, N(org_paths), &d) &&
	    d.type == MMDB_DATA_TYPE_UTF8_STRING) {
		size_t n = d.data_size < sizeof(out->org) ? d.data_size :
		    sizeof(out->org) - 1;

		/* Cut before a code point, not within one. */
		while (n < d.data_size && n > 0 &&
		    ((unsigned char)d.utf8_string[n] & 0xc0) == 0x80)
			n--;
		memcpy(out->org, d.utf8_string, n);
	}
}

static void take_radius(MMDB_entry_s *e, struct geo_place *out)
{
	MMDB_entry_data_s d;

	if (out->radius_km < 0 &&
	    value(e, radius_paths, N(radius_paths), &d) &&
	    d.type == MMDB_DATA_TYPE_UINT16)
		out->radius_km = d.uint16;
}

static void find_in(const struct geo_db *db, const struct endpoint *at,
    struct geo_place *out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *sa = (const struct sockaddr *)&v4;
	MMDB_lookup_result_s r;
	int err;

	if (at->family == 6) {
		if (db->mmdb.metadata.ip_version == 4)
			return;
		memcpy(&v6.sin6_addr, at->addr, 16);
		sa = (const struct sockaddr *)&v6;
	} else {
		memcpy(&v4.sin_addr, at->addr, 4);
	}
	r = MMDB_lookup_sockaddr(&db->mmdb, sa, &err);
	if (err != MMDB_SUCCESS || !r.found_entry)
		return;
	if (out->country[0] == '\0')
		take_country(&r.entry, out);
	take_network(&r.entry, out);
	take_radius(&r.entry, out);
	/* libmaxminddb counts an IPv4 address's bits from the IPv6 root. */
	out->prefix = at->family == 4 && r.netmask > 32 ? r.netmask - 96 :
	    r.netmask;
}

int64_t geo_built_ns(const struct geo_db *db)
{
	uint64_t s = db->mmdb.metadata.build_epoch;

	return s > INT64_MAX / 1000000000 ? 0 : (int64_t)s * 1000000000;
}

void geo_veil(struct geo *g, const struct pseudonym *p)
{
	g->veil = p;
	for (size_t i = 0; i < g->n; i++) {
		char *name = pseudonym_copy(p, g->db[i].file);

		free(g->db[i].file);
		g->db[i].file = name;
	}
}

/* Asks the databases from .. to - 1. */
static void find(const struct geo *g, size_t from, size_t to, const char *ip,
    struct geo_place *out)
{
	struct endpoint at = { 0 };
	char *org;

	*out = (struct geo_place){ .radius_km = -1 };
	if (!endpoint_parse_ip(span_str(ip), &at))
		return;
	if (g->veil)
		at = pseudonym_back(g->veil, &at);
	for (size_t i = from; i < to; i++)
		find_in(&g->db[i], &at, out);
	if (g->veil) {
		out->radius_km = out->prefix = -1;
		org = pseudonym_copy(g->veil, out->org);
		snprintf(out->org, sizeof(out->org), "%s", org);
		free(org);
	}
}

void geo_find_in(const struct geo *g, size_t i, const char *ip,
    struct geo_place *out)
{
	find(g, i, i + 1, ip, out);
}

void geo_find(const struct geo *g, const char *ip, struct geo_place *out)
{
	find(g, 0, g->n, ip, out);
}

/* One side of a tree node: -1 damage, 1 an entry with something for us. */
static int side(uint8_t type, MMDB_entry_s *e)
{
	struct geo_place p = { 0 };
	MMDB_entry_data_s d;
	const char *const none[] = { NULL };

	if (type == MMDB_RECORD_TYPE_INVALID)
		return -1;
	if (type != MMDB_RECORD_TYPE_DATA)
		return 0;
	if (MMDB_aget_value(e, &d, none) != MMDB_SUCCESS)
		return -1;
	take_country(e, &p);
	take_network(e, &p);
	return p.country[0] || p.asn || p.org[0];
}

/*
 * A lookup meets damage only where it happens to go, so all nodes are looked
 * at once (five million of a city database take a second). Why the file is of
 * no use, or NULL.
 */
static const char *unfit(const struct geo_db *db)
{
	uint32_t known = 0;

	for (uint32_t i = 0; i < db->mmdb.metadata.node_count; i++) {
		MMDB_search_node_s node;
		int l, r;

		if (MMDB_read_node(&db->mmdb, i, &node) != MMDB_SUCCESS)
			return "damaged: its search tree cannot be read";
		l = side(node.left_record_type, &node.left_record_entry);
		r = side(node.right_record_type, &node.right_record_entry);
		if (l < 0 || r < 0)
			return "damaged: its search tree points outside the "
			    "data";
		known += (uint32_t)(l + r);
	}
	return known ? NULL : "a MaxMind DB, but it names neither countries "
	    "nor networks";
}

int geo_add(struct geo *g, const char *file)
{
	struct geo_db *more = realloc(g->db, (g->n + 1) * sizeof(*more));
	struct geo_db *db;
	const char *slash = strrchr(file, '/');
	const char *why;
	int err;

	if (more == NULL)
		log_die("out of memory");
	g->db = more;
	db = &g->db[g->n];
	*db = (struct geo_db){ 0 };
	err = MMDB_open(file, MMDB_MODE_MMAP, &db->mmdb);
	if (err != MMDB_SUCCESS) {
		log_warn("%s: %s", file, err == MMDB_FILE_OPEN_ERROR ||
		    err == MMDB_IO_ERROR ? "cannot be read" :
		    "no MaxMind DB, or a damaged one");
		return -1;
	}
	why = unfit(db);
	if (why)
		log_warn("%s: %s", file, why);
	if (why || casedir_digest(file, db->sha256, &db->bytes) < 0) {
		MMDB_close(&db->mmdb);
		return -1;
	}
	db->file = strdup(slash ? slash + 1 : file);
	if (db->file == NULL)
		log_die("out of memory");
	g->n++;
	return 0;
}

void geo_close(struct geo *g)
{
	for (size_t i = 0; i < g->n; i++) {
		MMDB_close(&g->db[i].mmdb);
		free(g->db[i].file);
	}
	free(g->db);
	*g = (struct geo){ 0 };
}
