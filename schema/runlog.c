#include "schema/runlog.h"

#include <curl/curl.h>
#include <maxminddb.h>
#include <openssl/crypto.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>
#include <uv.h>

#include "schema/lanes.h"
#include "schema/log.h"
#include "schema/now.h"
#include "schema/redact.h"
#include "schema/runs.h"
#include "schema/selftest.h"
#include "version.h"

static void begin(struct json *j)
{
	json_init(j, JSON_MOST);
	json_open(j, NULL, '{');
}

int64_t runlog_put(struct runlog *r, const char *kind, struct json *detail,
    const uint8_t *raw_sha256)
{
	struct record rec = { .at = stamp_now(), .kind = kind,
		.conn = CONN_NONE, .raw_sha256 = raw_sha256 };
	int64_t seq;

	json_close(detail, '}');
	rec.detail = json_done(detail);
	seq = ledger_add(r->ledger, &rec);
	json_fini(detail);
	return seq;
}

void runlog_text(struct json *j, const char *key, const char *text)
{
	if (text)
		json_text(j, key, span_str(text));
	else
		json_null(j, key);
}

void runlog_list(struct json *j, const char *key, const char *const *list,
    size_t n)
{
	json_open(j, key, '[');
	for (size_t i = 0; i < n; i++)
		json_text(j, NULL, span_str(list[i]));
	json_close(j, ']');
}

void runlog_args(struct json *j, const char *key, const char *const *list,
    size_t n)
{
	json_open(j, key, '[');
	for (size_t i = 0; i < n; i++) {
		char *arg = redact(list[i]);

		json_text(j, NULL, span_str(arg));
		free(arg);
	}
	json_close(j, ']');
}

static void put_libraries(struct json *j)
{
	json_open(j, "libraries", '{');
	json_str(j, "libuv", uv_version_string());
	json_str(j, "libcurl", curl_version());
	json_str(j, "libcrypto", OpenSSL_version(OPENSSL_VERSION));
	if (lanes_library())
		json_str(j, "libipsec-mb", lanes_library());
	json_str(j, "sqlite", sqlite3_libversion());
	json_str(j, "libpcap", pcap_lib_version());
	json_str(j, "libmaxminddb", MMDB_lib_version());
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

static void put_vantage(const struct runlog *r, struct json *j)
{
	char ip[ENDPOINT_IP_MAX];

	json_open(j, "vantage", '[');
	for (size_t i = 0; i < r->vantages; i++)
		json_str(j, NULL, endpoint_ip(&r->vantage[i], ip));
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

/* Records that were signed, and were not there when this run began. */
static void put_lost(const struct ledger_past *past, struct json *j)
{
	if (!past->lost) {
		json_null(j, "lost");
		return;
	}
	json_open(j, "lost", '{');
	json_int(j, "size", (int64_t)past->head.is.size);
	json_text(j, "note", span_of(past->head.note, past->head.n));
	json_close(j, '}');
}

static int put_run(struct runlog *r, const struct ledger_past *past,
    const char *keyfile)
{
	static const struct named none;
	char digest[65];
	struct run_link link;
	struct json j;

	if (casedir_digest("/proc/self/exe", digest, NULL) < 0 ||
	    runs_add(keyfile, past->case_id, past->size, r->began.utc_ns,
	    &link) < 0)
		return -1;
	begin(&j);
	json_str(&j, "program", "swarmwitness");
	json_str(&j, "version", SW_VERSION);
	json_str(&j, "commit", SW_COMMIT);
	json_str(&j, "executable_sha256", digest);
	put_libraries(&j);
	runlog_args(&j, "command", (const char *const *)r->argv,
	    (size_t)r->argc);
	json_open(&j, "config", '{');
	r->config(r->ctx, &j);
	json_close(&j, '}');
	runlog_text(&j, "operator", r->operator);
	runlog_text(&j, "purpose", r->purpose);
	runlog_text(&j, "ground", r->ground);
	runlog_text(&j, "retention", r->retention);
	put_host(&j);
	put_vantage(r, &j);
	put_boot(&j);
	json_str(&j, "case_id", past->case_id);
	json_int(&j, "key_run", link.number);
	json_str(&j, "key_prev", link.prev);
	put_previous(past, &j);
	put_lost(past, &j);
	json_close(&j, '}');
	r->first = ledger_add(r->ledger, &(struct record){ .at = stamp_now(),
		.kind = "run", .conn = CONN_NONE, .detail = json_done(&j),
		.named = r->named ? r->named : &none, .names = r->names });
	json_fini(&j);
	return 0;
}

static bool put_selftest(struct runlog *r)
{
	struct json j;
	bool ok;

	begin(&j);
	ok = selftest(r->key, &j);
	runlog_put(r, "selftest", &j, NULL);
	if (!ok)
		log_warn("the self-test failed: what this run records cannot "
		    "be relied on");
	return ok;
}

int runlog_begin(struct runlog *r, const struct ledger_past *past,
    const char *keyfile, bool *sound)
{
	char vkey[NOTE_VKEY_MAX], fingerprint[65];
	struct json j;

	r->began = stamp_now();
	if (put_run(r, past, keyfile) < 0)
		return -1;
	note_vkey(r->key, vkey);
	note_fingerprint(r->key, fingerprint);
	begin(&j);
	json_str(&j, "vkey", vkey);
	json_str(&j, "fingerprint", fingerprint);
	runlog_put(r, "key", &j, NULL);
	*sound = put_selftest(r);
	return 0;
}

void runlog_torrent(struct runlog *r, const char *swarm,
    const struct torrent *t, const char *source)
{
	struct record rec = { .at = stamp_now(), .kind = "torrent",
		.swarm = swarm, .conn = CONN_NONE, .raw = t->mi.file };
	struct json j;

	json_init(&j, JSON_MOST);
	torrent_detail(t, source, &j);
	rec.detail = json_done(&j);
	ledger_add(r->ledger, &rec);
	json_fini(&j);
}

void runlog_end(struct runlog *r, const char *why, int64_t connections,
    int64_t piece_bytes_sent, bool *sound)
{
	struct ledger_state s;
	struct json j;
	bool ok = put_selftest(r) && *sound;

	*sound = ok;
	ledger_state(r->ledger, &s);
	begin(&j);
	json_str(&j, "why", why);
	json_bool(&j, "ok", ok);
	json_int(&j, "records", s.records - r->first);
	json_int(&j, "connections", connections);
	json_int(&j, "duration_ms", (stamp_now().mono_ns -
	    r->began.mono_ns) / NS_PER_MS);
	json_int(&j, "piece_bytes_sent", piece_bytes_sent);
	runlog_put(r, "end", &j, NULL);
}
