#include "monitor/account.h"

#include <curl/curl.h>
#include <errno.h>
#include <maxminddb.h>
#include <openssl/crypto.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <uv.h>

#include "monitor/now.h"
#include "monitor/selftest.h"
#include "schema/log.h"
#include "version.h"

/* --- records -------------------------------------------------------------------- */

static void begin(struct json *j)
{
	json_init(j, JSON_MOST);
	json_open(j, NULL, '{');
}

static int64_t put(struct account *a, const char *kind, const char *swarm,
    struct json *j, struct span raw, const uint8_t *raw_sha256)
{
	struct record r = { .at = stamp_now(), .kind = kind, .swarm = swarm,
		.conn = CONN_NONE, .raw = raw, .raw_sha256 = raw_sha256 };
	int64_t seq;

	json_close(j, '}');
	r.detail = json_done(j);
	seq = ledger_add(a->ledger, &r);
	json_fini(j);
	return seq;
}

static void put_libraries(struct json *j)
{
	json_open(j, "libraries", '{');
	json_str(j, "libuv", uv_version_string());
	json_str(j, "libcurl", curl_version());
	json_str(j, "libcrypto", OpenSSL_version(OPENSSL_VERSION));
	json_str(j, "sqlite", sqlite3_libversion());
	json_str(j, "libpcap", pcap_lib_version());
	json_str(j, "libmaxminddb", MMDB_lib_version());
	json_close(j, '}');
}

static void put_list(struct json *j, const char *key, const char *const *list,
    size_t n)
{
	json_open(j, key, '[');
	for (size_t i = 0; i < n; i++)
		json_text(j, NULL, span_str(list[i]));
	json_close(j, ']');
}

static void put_bind(struct json *j, const char *key,
    const struct endpoint *e)
{
	char ip[ENDPOINT_IP_MAX];

	json_str(j, key, e->family ? endpoint_ip(e, ip) : NULL);
}

static void put_optional(struct json *j, const char *key, const char *text)
{
	if (text)
		json_text(j, key, span_str(text));
	else
		json_null(j, key);
}

/* What governs the run, defaults included, and the seed of its choices. */
static void put_config(const struct account *a, struct json *j)
{
	const struct options *o = a->options;
	const struct session_conf *p = a->policy;

	json_open(j, "config", '{');
	json_int(j, "duration_s", o->duration_s);
	put_optional(j, "list", o->list);
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
	put_optional(j, "interface", o->interface);
	put_list(j, "ntp", o->ntp, o->ntps);
	put_list(j, "geo", o->geo, o->geos);
	json_bool(j, "dht", !o->no_dht);
	put_list(j, "dht_node", o->dht_node, o->dht_nodes);
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
	json_hex(j, "peer_id", span_of(p->peer_id, sizeof(p->peer_id)));
	json_text(j, "peer_id_prefix", span_str(o->peer_id_prefix));
	json_int(j, "tracker_key", a->tracker_key);
	json_close(j, '}');
}

static void put_host(struct json *j)
{
	struct utsname u = { 0 };

	uname(&u);
	json_open(j, "host", '{');
	json_text(j, "name", span_str(u.nodename));
	json_text(j, "system", span_str(u.sysname));
	json_text(j, "release", span_str(u.release));
	json_text(j, "machine", span_str(u.machine));
	json_close(j, '}');
}

static void put_vantage(const struct vantage *v, struct json *j)
{
	char ip[ENDPOINT_IP_MAX];

	json_open(j, "vantage", '[');
	for (size_t i = 0; i < v->n; i++)
		json_str(j, NULL, endpoint_ip(&v->at[i], ip));
	json_close(j, ']');
}

static void put_boot(struct json *j)
{
	char text[64] = "";
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (f && fgets(text, sizeof(text), f)) {
		text[strcspn(text, "\n")] = '\0';
		json_str(j, "boot_id", text);
	} else {
		json_null(j, "boot_id");
	}
	if (f)
		fclose(f);
}

static void put_previous(const struct ledger_past *past, struct json *j)
{
	if (past->run_seq < 0) {
		json_null(j, "previous");
		return;
	}
	json_open(j, "previous", '{');
	json_int(j, "seq", past->run_seq);
	json_bool(j, "ended", past->ended);
	json_int(j, "records", past->size);
	json_int(j, "last_utc_ns", past->last_utc_ns);
	json_close(j, '}');
}

static int put_run(struct account *a, const struct ledger_past *past,
    const char *keyfile)
{
	const struct options *o = a->options;
	char digest[65];
	struct run_link link;
	struct json j;

	if (casedir_digest("/proc/self/exe", digest, NULL) < 0 ||
	    runs_add(keyfile, past->case_id, past->size, a->began.utc_ns,
	    &link) < 0)
		return -1;
	begin(&j);
	json_str(&j, "program", "swarmwitness");
	json_str(&j, "version", SW_VERSION);
	json_str(&j, "commit", SW_COMMIT);
	json_str(&j, "executable_sha256", digest);
	put_libraries(&j);
	put_list(&j, "command", (const char *const *)a->argv,
	    (size_t)a->argc);
	put_config(a, &j);
	put_optional(&j, "operator", o->operator);
	put_optional(&j, "purpose", o->purpose);
	put_optional(&j, "ground", o->ground);
	put_optional(&j, "retention", o->retention);
	put_host(&j);
	put_vantage(a->vantage, &j);
	put_boot(&j);
	json_str(&j, "case_id", past->case_id);
	json_int(&j, "key_run", link.number);
	json_str(&j, "key_prev", link.prev);
	put_previous(past, &j);
	a->first = put(a, "run", NULL, &j, span_of(NULL, 0), NULL);
	return 0;
}

static bool put_selftest(struct account *a)
{
	struct json j;
	bool ok;

	begin(&j);
	ok = selftest(a->key, &j);
	put(a, "selftest", NULL, &j, span_of(NULL, 0), NULL);
	if (!ok)
		log_warn("the self-test failed: what this run records cannot "
		    "be relied on");
	return ok;
}

int account_begin(struct account *a, const struct ledger_past *past,
    const char *keyfile, bool *sound)
{
	char vkey[NOTE_VKEY_MAX], fingerprint[65];
	struct json j;

	a->began = stamp_now();
	if (put_run(a, past, keyfile) < 0)
		return -1;
	note_vkey(a->key, vkey);
	note_fingerprint(a->key, fingerprint);
	begin(&j);
	json_str(&j, "vkey", vkey);
	json_str(&j, "fingerprint", fingerprint);
	put(a, "key", NULL, &j, span_of(NULL, 0), NULL);
	*sound = put_selftest(a);
	return 0;
}

/* --- packets ---------------------------------------------------------------------- */

static void put_count(struct json *j, const char *key, int64_t v)
{
	if (v < 0)
		json_null(j, key);
	else
		json_int(j, key, v);
}

void account_packets(struct account *a, const struct recorder_file *f,
    bool salvaged)
{
	uint8_t digest[32];
	struct json j;

	begin(&j);
	json_text(&j, "file", span_str(f->file));
	json_text(&j, "sha256", span_str(f->sha256));
	json_int(&j, "bytes", f->bytes);
	json_int(&j, "packets", f->packets);
	json_int(&j, "first_utc_ns", f->first_utc_ns);
	json_int(&j, "last_utc_ns", f->last_utc_ns);
	put_count(&j, "dropped_kernel", f->dropped_kernel);
	put_count(&j, "dropped_interface", f->dropped_interface);
	/* Of what a crashed run left, neither is known. */
	json_str(&j, "interface", salvaged ? NULL : a->interface);
	json_str(&j, "filter", salvaged ? NULL : a->filter);
	json_bool(&j, "salvaged", salvaged);
	put(a, "packets", NULL, &j, span_of(NULL, 0),
	    hex_read(span_str(f->sha256), digest, sizeof(digest)) ? digest :
	    NULL);
	if (f->dropped_kernel > 0 || f->dropped_interface > 0)
		log_warn("%s: %lld packets were dropped before they could be "
		    "kept", f->file, (long long)(f->dropped_kernel +
		    f->dropped_interface));
}

void account_no_packets(struct account *a, const char *why)
{
	struct json j;

	begin(&j);
	json_text(&j, "why", span_str(why));
	put(a, "no_packets", NULL, &j, span_of(NULL, 0), NULL);
}

/* --- what else the run rests on --------------------------------------------------- */

static void put_description(const MMDB_s *db, struct json *j)
{
	const char *text = NULL;

	for (size_t i = 0; i < db->metadata.description.count; i++) {
		const MMDB_description_s *d =
		    db->metadata.description.descriptions[i];

		if (!text || strcmp(d->language, "en") == 0)
			text = d->description;
	}
	put_optional(j, "description", text);
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
		put_optional(&j, "type", db.metadata.database_type);
		json_int(&j, "built_utc",
		    (int64_t)db.metadata.build_epoch);
		put_description(&db, &j);
		put(a, "geo", NULL, &j, span_of(NULL, 0), NULL);
	}
	MMDB_close(&db);
	return rc;
}

void account_torrent(struct account *a, const char *swarm,
    const struct torrent *t, const char *source)
{
	struct record r = { .at = stamp_now(), .kind = "torrent",
		.swarm = swarm, .conn = CONN_NONE, .raw = t->mi.file };
	struct json j;

	json_init(&j, JSON_MOST);
	torrent_detail(t, source, &j);
	r.detail = json_done(&j);
	ledger_add(a->ledger, &r);
	json_fini(&j);
}

void account_named(struct account *a, const char *swarm, const char *link,
    const struct named *named, size_t n)
{
	struct record r = { .at = stamp_now(), .kind = "listed",
		.swarm = swarm, .conn = CONN_NONE, .named = named, .names = n };
	struct json j;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_str(&j, "source", "magnet");
	json_text(&j, "witness", span_str(link));
	json_close(&j, '}');
	r.detail = json_done(&j);
	ledger_add(a->ledger, &r);
	json_fini(&j);
}

/* --- the end ------------------------------------------------------------------------ */

void account_end(struct account *a, const char *why, int64_t connections,
    int64_t piece_bytes_sent, bool *sound)
{
	struct ledger_state s;
	struct json j;
	bool ok = put_selftest(a) && *sound;

	*sound = ok;
	ledger_state(a->ledger, &s);
	begin(&j);
	json_str(&j, "why", why);
	json_bool(&j, "ok", ok);
	json_int(&j, "records", s.records - a->first);
	json_int(&j, "connections", connections);
	json_int(&j, "duration_ms", (stamp_now().mono_ns -
	    a->began.mono_ns) / NS_PER_MS);
	json_int(&j, "piece_bytes_sent", piece_bytes_sent);
	put(a, "end", NULL, &j, span_of(NULL, 0), NULL);
}
