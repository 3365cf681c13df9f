#include "monitor/options.h"

#include <getopt.h>
#include <limits.h>

#include "monitor/decoy.h"
#include "monitor/memory.h"
#include "monitor/meter.h"
#include "schema/duration.h"
#include "schema/log.h"
#include "schema/stamping.h"

#define OUTSTANDING_MAX 32
#define CONNECTIONS_MAX 100000
#define DIAL_RATE_MAX 100000
#define MAX_RATE_LEAST 16384
#define SAMPLE_MAX 100000
#define PREFIX_MAX 12	/* the other 8 bytes keep a peer id unique */

/*        id              name                argument   help */
#define OPTIONS(X) \
	X(DURATION,        "duration",        "T",     "stop after T (90, 30m, 12h); default: at a signal") \
	X(LIST,            "list",            "FILE",  "what to watch, one path, magnet or hash a line; SIGHUP reads it again") \
	X(WATCH,           "watch",           "DIR",   "watch the torrents in this folder: as files come, and until they go") \
	X(LISTEN,          "listen",          "PORT",  "TCP and UDP port for incoming peers, 0 for any (6881)") \
	X(BIND,            "bind",            "ADDR",  "use this local address; once for IPv4, once for IPv6") \
	X(PORTS,           "ports",           "A-B",   "local ports of outgoing connections (20000-29999)") \
	X(SAMPLE,          "sample",          "N|all", "advertised pieces to ask each peer for (2)") \
	X(OUTSTANDING,     "outstanding",     "N",     "requests in flight per peer, 1 to 32 (4)") \
	X(OBSERVE_ONLY,    "observe-only",    NULL,    "ask for no piece at all") \
	X(ALLOW_LOCAL,     "allow-local",     NULL,    "contact loopback, private and other special addresses") \
	X(NO_PACKETS,      "no-packets",      NULL,    "record no packets") \
	X(BLOCKLIST,       "blocklist",       "FILE",  "never contact these addresses; repeatable") \
	X(DISK_BUDGET,     "disk-budget",     "SIZE",  "end the run when the case takes so much (500M, 20G)") \
	X(DISK_SPARE,      "disk-spare",      "SIZE",  "end the run when the disk has less left (256M)") \
	X(METRICS,         "metrics",         "FILE",  "keep the run's numbers here, in Prometheus text format") \
	X(NO_SANDBOX,      "no-sandbox",      NULL,    "do not confine the processes (seccomp, Landlock)") \
	X(INTERFACE,       "interface",       "IFACE", "record packets of this interface (any)") \
	X(NTP,             "ntp",             "HOST",  "hold the clock against this SNTP server; repeatable") \
	X(TSA,             "tsa",             "URL",   "ask this time-stamping authority (RFC 3161); repeatable") \
	X(TSA_POLICY,      "tsa-policy",      "OID",   "ask for time-stamps under this policy") \
	X(STAMP_EVERY,     "stamp-every",     "T",     "ask the authorities this often (1h)") \
	X(ON_CHECKPOINT,   "on-checkpoint",   "CMD",   "hand each kept checkpoint to this shell command's input") \
	X(DHT_NODE,        "dht-node",        "NODE",  "a DHT node to begin with, HOST:PORT; repeatable; none is built in") \
	X(NO_DHT,          "no-dht",          NULL,    "take no part in the DHT") \
	X(ANNOUNCE_DHT,    "announce-dht",    NULL,    "say in the DHT that we are here, so that peers dial us") \
	X(NO_PEX,          "no-pex",          NULL,    "do not hear which peers peers know") \
	X(LSD,             "lsd",             NULL,    "find peers on the local links, and say there that we are here") \
	X(NO_UTP,          "no-utp",          NULL,    "neither dial nor accept over uTP") \
	X(ENCRYPTION,      "encryption",      "HOW",   "encrypted connections: off, allow or require (allow)") \
	X(DECOYS,          "decoys",          "N",     "ask every source for N infohashes that nobody shares, 1 to 100") \
	X(DECOY_ENDPOINTS, "decoy-endpoints", NULL,    "offer peers that claim pieces such an infohash, once") \
	X(GEO,             "geo",             "FILE",  "record the digest of this MMDB database; repeatable") \
	X(KEY,             "key",             "FILE",  "signing key, made on first use (~/.config/swarmwitness/key)") \
	X(MAX_CONNECTIONS, "max-connections", "N",     "connections at a time (500)") \
	X(MAX_MEMORY,      "max-memory",      "SIZE",  "memory to hold at most, all processes together (1G)") \
	X(DIAL_RATE,       "dial-rate",       "N",     "new connections a second (50)") \
	X(MAX_RATE,        "max-rate",        "BYTES", "bytes a second to read from all peers together (any)") \
	X(PEER_ID_PREFIX,  "peer-id-prefix",  "S",     "another peer id prefix than -SW0100-") \
	X(OPERATOR,        "operator",        "S",     "who runs this, for the record") \
	X(PURPOSE,         "purpose",         "S",     "what for, for the record") \
	X(GROUND,          "ground",          "S",     "legal ground, for the record") \
	X(RETENTION,       "retention",       "S",     "how long the case is to be kept, for the record") \
	X(HELP,            "help",            NULL,    "this text")

enum option_id {
#define X(id, name, arg, help) OPT_##id,
	OPTIONS(X)
#undef X
	OPTION_COUNT
};

static const struct {
	const char *name, *arg, *help;
} rows[OPTION_COUNT] = {
#define X(id, name, arg, help) [OPT_##id] = { name, arg, help },
	OPTIONS(X)
#undef X
};

void options_help(FILE *to)
{
	fprintf(to, "usage: swarmwitness monitor [options] CASE TORRENT|MAGNET|INFOHASH...\n\n"
	    "Observes the torrents' swarms and keeps what it sees in CASE.\n\n");
	for (int i = 0; i < OPTION_COUNT; i++)
		fprintf(to, "  --%-16s %-6s %s\n", rows[i].name,
		    rows[i].arg ? rows[i].arg : "", rows[i].help);
}

/* --- values ----------------------------------------------------------------- */

/* A whole non-negative decimal number and where it ended; -1 if none. */
static int64_t number(const char *text, const char **end)
{
	int64_t v = 0;
	const char *p = text;

	*end = text;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (v > (INT64_MAX - 9) / 10)
			return -1;
		v = v * 10 + (*p - '0');
	}
	*end = p;
	return p == text ? -1 : v;
}

/* "500M", "20G": bytes, in powers of 1024; -1 if it is none. */
static int64_t read_size(const char *text)
{
	static const char units[] = "\0KMGT";
	const char *end;
	int64_t n = number(text, &end);

	for (int i = 0; n >= 0 && i < 5; i++)
		if (*end == units[i] && (*end == '\0' || end[1] == '\0'))
			return n > INT64_MAX >> 10 * i ? -1 : n << 10 * i;
	return -1;
}

static bool between(const char *text, int64_t least, int64_t most, int64_t *v)
{
	const char *end;

	*v = number(text, &end);
	return *v >= least && *v <= most && *end == '\0';
}

static bool read_ports(struct options *o, const char *text)
{
	const char *end;
	int64_t from = number(text, &end), to;

	if (from < 1 || *end != '-' || !between(end + 1, from, 65535, &to))
		return false;
	o->ports_from = (uint16_t)from;
	o->ports_to = (uint16_t)to;
	return true;
}

static bool read_bind(struct options *o, const char *text)
{
	struct endpoint e;

	if (!endpoint_parse_ip(span_str(text), &e))
		return false;
	*(e.family == 4 ? &o->bind4 : &o->bind6) = e;
	return true;
}

static bool read_prefix(struct options *o, const char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (text[i] < '!' || text[i] > '~')
			return false;
	o->peer_id_prefix = text;
	return n >= 1 && n <= PREFIX_MAX;
}

static bool keep(const char **list, size_t most, size_t *n, const char *text)
{
	if (*n == most || *text == '\0')
		return false;
	list[(*n)++] = text;
	return true;
}

bool options_node(const char *text, struct span *host, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	int64_t v;

	if (colon == NULL || !between(colon + 1, 1, 65535, &v))
		return false;
	*port = (uint16_t)v;
	*host = span_of(text, (size_t)(colon - text));
	if (host->n >= 2 && text[0] == '[' && colon[-1] == ']')
		*host = span_of(text + 1, host->n - 2);
	else if (memchr(text, ':', host->n) != NULL)
		return false;
	return host->n > 0;
}

static bool read_node(struct options *o, const char *text)
{
	struct span host;
	uint16_t port;

	return options_node(text, &host, &port) &&
	    keep(o->dht_node, OPTIONS_NODES_MAX, &o->dht_nodes, text);
}

static bool read_encryption(struct options *o, const char *text)
{
	if (strcmp(text, "off") == 0)
		o->encryption = LADDER_OFF;
	else if (strcmp(text, "allow") == 0)
		o->encryption = LADDER_ALLOW;
	else if (strcmp(text, "require") == 0)
		o->encryption = LADDER_REQUIRE;
	else
		return false;
	return true;
}

/* What an option wants, for the line that refuses it. */
static const char *wanted(enum option_id id)
{
	switch (id) {
	case OPT_DURATION:
	case OPT_STAMP_EVERY:
		return "a time such as 90, 30m or 12h";
	case OPT_LISTEN:
		return "a port, 0 to 65535";
	case OPT_BIND:
		return "an IPv4 or IPv6 address";
	case OPT_PORTS:
		return "a range of ports such as 20000-29999";
	case OPT_SAMPLE:
		return "a number from 1 to 100000, or all";
	case OPT_DECOYS:
		return "a number from 1 to 100";
	case OPT_OUTSTANDING:
		return "a number from 1 to 32";
	case OPT_MAX_CONNECTIONS:
		return "a number from 1 to 100000";
	case OPT_DIAL_RATE:
		return "a number from 1 to 100000";
	case OPT_MAX_MEMORY:
		return "a size from 96M to 64T";
	case OPT_MAX_RATE:
		return "a number of bytes from 16384 to 8000000000";
	case OPT_PEER_ID_PREFIX:
		return "1 to 12 printable characters without blanks";
	case OPT_DHT_NODE:
		return "a host and port such as [2001:db8::1]:6881, and not "
		    "so many of them";
	case OPT_ENCRYPTION:
		return "off, allow or require";
	case OPT_DISK_BUDGET:
	case OPT_DISK_SPARE:
		return "a size such as 500M or 20G";
	case OPT_NTP:
	case OPT_GEO:
	case OPT_TSA:
	case OPT_BLOCKLIST:
		return "a value, and not so many of them";
	case OPT_LIST:
	case OPT_NO_DHT:
	case OPT_ANNOUNCE_DHT:
	case OPT_DECOY_ENDPOINTS:
	case OPT_NO_PEX:
	case OPT_LSD:
	case OPT_NO_UTP:
	case OPT_OBSERVE_ONLY:
	case OPT_ALLOW_LOCAL:
	case OPT_NO_PACKETS:
	case OPT_NO_SANDBOX:
	case OPT_WATCH:
	case OPT_METRICS:
	case OPT_INTERFACE:
	case OPT_KEY:
	case OPT_OPERATOR:
	case OPT_PURPOSE:
	case OPT_GROUND:
	case OPT_RETENTION:
	case OPT_TSA_POLICY:
	case OPT_ON_CHECKPOINT:
	case OPT_HELP:
	case OPTION_COUNT:
		break;
	}
	return "a value";
}

static bool take(struct options *o, enum option_id id, const char *arg)
{
	int64_t v = 0;

	switch (id) {
	case OPT_DURATION:
		o->duration_s = duration_s(arg);
		return o->duration_s > 0;
	case OPT_LIST:
		o->list = arg;
		return true;
	case OPT_LISTEN:
		if (!between(arg, 0, 65535, &v))
			return false;
		o->listen = (uint16_t)v;
		return true;
	case OPT_BIND:
		return read_bind(o, arg);
	case OPT_PORTS:
		return read_ports(o, arg);
	case OPT_SAMPLE:
		if (strcmp(arg, "all") == 0)
			v = SAMPLE_ALL;
		else if (!between(arg, 1, SAMPLE_MAX, &v))
			return false;
		o->sample = (int)v;
		return true;
	case OPT_OUTSTANDING:
		if (!between(arg, 1, OUTSTANDING_MAX, &v))
			return false;
		o->outstanding = (unsigned)v;
		return true;
	case OPT_OBSERVE_ONLY:
		return o->observe_only = true;
	case OPT_ALLOW_LOCAL:
		return o->allow_local = true;
	case OPT_NO_PACKETS:
		return o->no_packets = true;
	case OPT_NO_SANDBOX:
		return o->no_sandbox = true;
	case OPT_WATCH:
		o->watch = arg;
		return *arg != '\0';
	case OPT_METRICS:
		o->metrics = arg;
		return *arg != '\0';
	case OPT_BLOCKLIST:
		return keep(o->blocklist, OPTIONS_BLOCKLIST_MAX,
		    &o->blocklists, arg);
	case OPT_DISK_BUDGET:
		o->disk_budget = read_size(arg);
		return o->disk_budget > 0;
	case OPT_DISK_SPARE:
		o->disk_spare = read_size(arg);
		return o->disk_spare >= 0;
	case OPT_INTERFACE:
		o->interface = arg;
		return *arg != '\0';
	case OPT_NTP:
		return keep(o->ntp, OPTIONS_NTP_MAX, &o->ntps, arg);
	case OPT_GEO:
		return keep(o->geo, OPTIONS_GEO_MAX, &o->geos, arg);
	case OPT_TSA:
		return keep(o->tsa, OPTIONS_TSA_MAX, &o->tsas, arg);
	case OPT_TSA_POLICY:
		o->tsa_policy = arg;
		return *arg != '\0';
	case OPT_STAMP_EVERY:
		o->stamp_every_s = duration_s(arg);
		return o->stamp_every_s > 0;
	case OPT_ON_CHECKPOINT:
		o->on_checkpoint = arg;
		return *arg != '\0';
	case OPT_DHT_NODE:
		return read_node(o, arg);
	case OPT_NO_DHT:
		return o->no_dht = true;
	case OPT_ANNOUNCE_DHT:
		return o->announce_dht = true;
	case OPT_DECOYS:
		if (!between(arg, 1, DECOYS_MOST, &v))
			return false;
		o->decoys = (unsigned)v;
		return true;
	case OPT_DECOY_ENDPOINTS:
		return o->decoy_endpoints = true;
	case OPT_NO_PEX:
		return o->no_pex = true;
	case OPT_LSD:
		return o->lsd = true;
	case OPT_NO_UTP:
		return o->no_utp = true;
	case OPT_ENCRYPTION:
		return read_encryption(o, arg);
	case OPT_KEY:
		o->key = arg;
		return *arg != '\0';
	case OPT_MAX_CONNECTIONS:
		if (!between(arg, 1, CONNECTIONS_MAX, &v))
			return false;
		o->max_connections = (unsigned)v;
		return true;
	case OPT_DIAL_RATE:
		if (!between(arg, 1, DIAL_RATE_MAX, &v))
			return false;
		o->dial_rate = (unsigned)v;
		return true;
	case OPT_MAX_MEMORY:
		o->max_memory = read_size(arg);
		return o->max_memory >= MEMORY_LEAST &&
		    o->max_memory <= MEMORY_MOST;
	case OPT_MAX_RATE:
		return between(arg, MAX_RATE_LEAST, METER_MOST, &o->max_rate);
	case OPT_PEER_ID_PREFIX:
		return read_prefix(o, arg);
	case OPT_OPERATOR:
		o->operator = arg;
		return true;
	case OPT_PURPOSE:
		o->purpose = arg;
		return true;
	case OPT_GROUND:
		o->ground = arg;
		return true;
	case OPT_RETENTION:
		o->retention = arg;
		return true;
	case OPT_HELP:
	case OPTION_COUNT:
		break;
	}
	return false;
}

/* --- the whole line --------------------------------------------------------- */

static enum options_result misuse(const char *what, const char *word)
{
	char safe[160];

	log_warn("monitor: %s%s (see monitor --help)", what,
	    log_safe(span_str(word), safe, sizeof(safe)));
	return OPTIONS_MISUSE;
}

static enum options_result check(const struct options *o)
{
	if (!o->case_path)
		return misuse("which case folder, and which torrents?", "");
	if (o->torrent_count == 0 && !o->list && !o->watch)
		return misuse("no torrent to watch", "");
	if (o->listen >= o->ports_from && o->listen <= o->ports_to)
		return misuse("the --listen port lies in the --ports range",
		    "");
	if (!o->tsas && (o->tsa_policy || o->stamp_every_s))
		return misuse("--tsa-policy and --stamp-every are of use with "
		    "--tsa only", "");
	if (!stamping_usable(&(struct stamping){ .url = o->tsa, .n = o->tsas,
	    .policy = o->tsa_policy }, "monitor"))
		return OPTIONS_MISUSE;
	if (o->no_dht && (o->dht_nodes || o->announce_dht))
		return misuse("--no-dht leaves no use for --dht-node and "
		    "--announce-dht", "");
	return OPTIONS_GO;
}

enum options_result options_read(struct options *o, int argc, char **argv)
{
	struct option table[OPTION_COUNT + 1] = { 0 };
	char refusal[128];
	int c, at = 0;

	*o = (struct options){ .listen = 6881, .ports_from = 20000,
		.ports_to = 29999, .sample = 2, .outstanding = 4,
		.disk_spare = 256 << 20, .max_connections = 500, .dial_rate = 50,
		.max_memory = MEMORY_DEFAULT,
		.peer_id_prefix = "-SW0100-" };
	for (int i = 0; i < OPTION_COUNT; i++)
		table[i] = (struct option){ rows[i].name, rows[i].arg ?
			required_argument : no_argument, NULL, 0 };
	opterr = 0;
	optind = 0;	/* glibc: begin anew, whoever read a line before */
	while ((c = getopt_long(argc, argv, ":", table, &at)) != -1) {
		if (c == ':')
			return misuse("a value is missing after ",
			    argv[optind - 1]);
		if (c == '?' && optopt)
			return misuse("unknown option or unwanted value: ",
			    argv[optind - 1]);
		if (c == '?')
			return misuse("unknown option ", argv[optind - 1]);
		if (at == OPT_HELP)
			return OPTIONS_HELP;
		if (!take(o, (enum option_id)at, optarg)) {
			snprintf(refusal, sizeof(refusal),
			    "--%s wants %s, not ", rows[at].name,
			    wanted((enum option_id)at));
			return misuse(refusal, optarg ? optarg : "");
		}
	}
	if (optind < argc)
		o->case_path = argv[optind++];
	o->torrents = argv + optind;
	o->torrent_count = argc - optind;
	return check(o);
}
