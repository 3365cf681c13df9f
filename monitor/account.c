#include "monitor/account.h"

#include <maxminddb.h>
#include <stdlib.h>

#include "monitor/tsa.h"
#include "schema/catrust.h"
#include "schema/log.h"
#include "schema/now.h"
#include "schema/redact.h"

/* --- records -------------------------------------------------------------------- */

static void begin(struct json *j)
{
	json_init(j, JSON_MOST);
	json_open(j, NULL, '{');
}

static void put_bind(struct json *j, const char *key,
    const struct endpoint *e)
{
	char ip[ENDPOINT_IP_MAX];

	json_str(j, key, e->family ? endpoint_ip(e, ip) : NULL);
}

static void put_blocklists(const struct account *a, struct json *j)
{
	const struct options *o = a->options;

	json_open(j, "blocklist", '[');
	for (size_t i = 0; i < o->blocklists; i++) {
		json_open(j, NULL, '{');
		json_text(j, "file", span_str(o->blocklist[i]));
		json_str(j, "sha256", a->blocklist_sha256[i]);
		json_close(j, '}');
	}
	json_close(j, ']');
}

/* What governs the run, defaults included, and the seed of its choices. */
static void put_config(void *ctx, struct json *j)
{
	const struct account *a = ctx;
	const struct options *o = a->options;
	const struct session_conf *p = a->policy;

	json_int(j, "duration_s", o->duration_s);
	runlog_text(j, "list", o->list);
	json_int(j, "listen", p->listen_port);
	put_bind(j, "bind4", &a->vantage->bind4);
	put_bind(j, "bind6", &a->vantage->bind6);
	json_int(j, "ports_from", o->ports_from);
	json_int(j, "ports_to", o->ports_to);
	if (o->sample == SAMPLE_ALL)
		json_str(j, "sample", "all");
	else
		json_int(j, "sample", o->sample);
	json_hex(j, "sample_seed", span_of(p->seed, sizeof(p->seed)));
	json_str(j, "sample_rule", "the n-th claimed piece, n the first 8 bytes "
	    "of SHA-256(seed | address in 16 bytes | port in 2 | draw in 4) "
	    "modulo the pieces claimed");
	json_int(j, "outstanding", o->outstanding);
	json_bool(j, "observe_only", o->observe_only);
	json_bool(j, "allow_local", o->allow_local);
	json_bool(j, "no_packets", o->no_packets);
	runlog_text(j, "interface", o->interface);
	runlog_list(j, "ntp", o->ntp, o->ntps);
	runlog_list(j, "tsa", o->tsa, o->tsas);
	runlog_text(j, "tsa_policy", o->tsa_policy);
	json_int(j, "stamp_every_s", o->stamp_every_s ? o->stamp_every_s :
	    TSA_EVERY_S);
	runlog_text(j, "on_checkpoint", o->on_checkpoint);
	runlog_text(j, "ssl_cert_file", catrust_file());
	runlog_list(j, "geo", o->geo, o->geos);
	json_bool(j, "dht", !o->no_dht);
	runlog_args(j, "dht_node", o->dht_node, o->dht_nodes);
	json_bool(j, "announce_dht", o->announce_dht);
	json_bool(j, "pex", !o->no_pex);
	json_uint(j, "decoys", o->decoys);
	json_bool(j, "decoy_endpoints", o->decoy_endpoints);
	json_bool(j, "lsd", o->lsd);
	json_bool(j, "utp", !o->no_utp);
	json_str(j, "encryption", o->encryption == LADDER_OFF ? "off" :
	    o->encryption == LADDER_REQUIRE ? "require" : "allow");
	json_int(j, "max_connections", o->max_connections);
	json_int(j, "dial_rate", o->dial_rate);
	json_int(j, "max_rate", o->max_rate);
	json_int(j, "max_memory", o->max_memory);
	json_hex(j, "peer_id", span_of(p->peer_id, sizeof(p->peer_id)));
	json_text(j, "peer_id_prefix", span_str(o->peer_id_prefix));
	json_int(j, "tracker_key", a->tracker_key);
	runlog_text(j, "watch", o->watch);
	put_blocklists(a, j);
	json_int(j, "disk_budget", o->disk_budget);
	json_int(j, "disk_spare", o->disk_spare);
	json_open(j, "sandbox", '{');
	json_bool(j, "seccomp", a->sandbox.seccomp);
	json_int(j, "landlock", a->sandbox.landlock);
	json_close(j, '}');
}

int account_begin(struct account *a, const struct ledger_past *past,
    const char *keyfile, bool *sound)
{
	struct named named[sizeof(a->options->dht_node) /
	    sizeof(a->options->dht_node[0])];
	struct runlog *r = &a->run;
	int rc;

	for (size_t i = 0; i < a->options->dht_nodes; i++)
		if (endpoint_parse(span_str(a->options->dht_node[i]),
		    &named[r->names].at))
			r->names++;
	r->named = named;
	r->operator = a->options->operator;
	r->purpose = a->options->purpose;
	r->ground = a->options->ground;
	r->retention = a->options->retention;
	r->vantage = a->vantage->at;
	r->vantages = a->vantage->n;
	r->config = put_config;
	r->ctx = a;
	rc = runlog_begin(r, past, keyfile, sound);
	r->named = NULL;
	r->names = 0;
	return rc;
}

/* --- what else the run rests on --------------------------------------------------- */

void account_blocked(struct account *a, const struct blocklist *b)
{
	struct json j;

	begin(&j);
	json_uint(&j, "ranges", b->ranges);
	json_int(&j, "withheld", b->withheld);
	json_int(&j, "refused", b->refused);
	runlog_put(&a->run, "blocked", &j, NULL);
}

static void put_description(const MMDB_s *db, struct json *j)
{
	const char *text = NULL;

	for (size_t i = 0; i < db->metadata.description.count; i++) {
		const MMDB_description_s *d =
		    db->metadata.description.descriptions[i];

		if (!text || strcmp(d->language, "en") == 0)
			text = d->description;
	}
	runlog_text(j, "description", text);
}

static int open_geo(const char *file, MMDB_s *db)
{
	int rc = MMDB_open(file, MMDB_MODE_MMAP, db);
	char safe[200];

	if (rc == MMDB_SUCCESS)
		return 0;
	log_warn("%s: %s", log_safe(span_str(file), safe, sizeof(safe)),
	    MMDB_strerror(rc));
	return -1;
}

int account_check_geo(const char *file)
{
	MMDB_s db;

	if (open_geo(file, &db) < 0)
		return -1;
	MMDB_close(&db);
	return 0;
}

int account_geo(struct account *a, const char *file)
{
	char digest[65];
	int64_t bytes = 0;
	struct json j;
	MMDB_s db;
	int rc;

	if (open_geo(file, &db) < 0)
		return -1;
	rc = casedir_digest(file, digest, &bytes);
	if (rc == 0) {
		begin(&j);
		json_text(&j, "file", span_str(file));
		json_str(&j, "sha256", digest);
		json_int(&j, "bytes", bytes);
		runlog_text(&j, "type", db.metadata.database_type);
		json_int(&j, "built_utc",
		    (int64_t)db.metadata.build_epoch);
		put_description(&db, &j);
		runlog_put(&a->run, "geo", &j, NULL);
	}
	MMDB_close(&db);
	return rc;
}

void account_named(struct account *a, const char *swarm, const char *link,
    const struct named *named, size_t n)
{
	struct record r = { .at = stamp_now(), .kind = "listed",
		.swarm = swarm, .conn = CONN_NONE, .named = named, .names = n };
	char *witness = redact(link);
	struct json j;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "source", "magnet");
	json_text(&j, "witness", span_str(witness));
	free(witness);
	json_close(&j, '}');
	r.detail = json_done(&j);
	ledger_add(a->run.ledger, &r);
	json_fini(&j);
}
