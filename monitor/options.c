#include "monitor/options.h"

#include <getopt.h>
#include <stddef.h>

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

static bool read_listen(struct options *o, const char *text)
{
	int64_t v;

	if (!between(text, 0, 65535, &v))
		return false;
	o->listen = (uint16_t)v;
	return true;
}

static bool read_sample(struct options *o, const char *text)
{
	int64_t v = SAMPLE_ALL;

	if (strcmp(text, "all") && !between(text, 1, SAMPLE_MAX, &v))
		return false;
	o->sample = (int)v;
	return true;
}

static bool read_memory(struct options *o, const char *text)
{
	o->max_memory = read_size(text);
	return o->max_memory >= MEMORY_LEAST && o->max_memory <= MEMORY_MOST;
}

static bool read_rate(struct options *o, const char *text)
{
	return between(text, MAX_RATE_LEAST, METER_MOST, &o->max_rate);
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

/* --- the options ------------------------------------------------------------ */

enum option_kind {
	OPTION_FLAG,		/* bool */
	OPTION_TEXT,		/* const char *, of least bytes */
	OPTION_EACH,		/* const char *[most], and how many at .count */
	OPTION_TIME,		/* int64_t: s, above 0 */
	OPTION_SIZE,		/* int64_t: bytes, from least on */
	OPTION_NUMBER,		/* unsigned: 1 to most */
	OPTION_READ,		/* as .read has it */
	OPTION_HELP
};

struct row {
	const char *name, *arg, *help;	/* arg NULL: it has none */
	enum option_kind kind;
	size_t at, count;	/* where in struct options */
	int64_t least, most;
	bool (*read)(struct options *o, const char *text);
	const char *wants;	/* for the line that refuses it */
};

#define AT(member) .at = offsetof(struct options, member)
#define FLAG(member) .kind = OPTION_FLAG, AT(member)
#define TEXT(member, n) .kind = OPTION_TEXT, AT(member), .least = n, \
	.wants = "a value"
#define EACH(member, n, max) .kind = OPTION_EACH, AT(member), \
	.count = offsetof(struct options, n), .most = max, \
	.wants = "a value, and not so many of them"
#define TIME(member) .kind = OPTION_TIME, AT(member), \
	.wants = "a time such as 90, 30m or 12h"
#define SIZE(member, n) .kind = OPTION_SIZE, AT(member), .least = n, \
	.wants = "a size such as 500M or 20G"
#define NUMBER(member, max) .kind = OPTION_NUMBER, AT(member), .most = max
#define READ(function, text) .kind = OPTION_READ, .read = function, \
	.wants = text

static const struct row rows[] = {
	{ "duration", "T", "stop after T (90, 30m, 12h); default: at a signal",
	    TIME(duration_s) },
	{ "list", "FILE", "what to watch, one path, magnet or hash a line; SIGHUP reads it again",
	    TEXT(list, 0) },
	{ "watch", "DIR", "watch the torrents in this folder: as files come, and until they go",
	    TEXT(watch, 1) },
	{ "listen", "PORT", "TCP and UDP port for incoming peers, 0 for any (6881)",
	    READ(read_listen, "a port, 0 to 65535") },
	{ "bind", "ADDR", "use this local address; once for IPv4, once for IPv6",
	    READ(read_bind, "an IPv4 or IPv6 address") },
	{ "ports", "A-B", "local ports of outgoing connections (20000-29999)",
	    READ(read_ports, "a range of ports such as 20000-29999") },
	{ "sample", "N|all", "advertised pieces to ask each peer for (2)",
	    READ(read_sample, "a number from 1 to 100000, or all") },
	{ "outstanding", "N", "requests in flight per peer, 1 to 32 (4)",
	    NUMBER(outstanding, OUTSTANDING_MAX) },
	{ "observe-only", NULL, "ask for no piece at all",
	    FLAG(observe_only) },
	{ "allow-local", NULL, "contact loopback, private and other special addresses",
	    FLAG(allow_local) },
	{ "no-packets", NULL, "record no packets",
	    FLAG(no_packets) },
	{ "blocklist", "FILE", "never contact these addresses; repeatable",
	    EACH(blocklist, blocklists, OPTIONS_BLOCKLIST_MAX) },
	{ "disk-budget", "SIZE", "end the run when the case takes so much (500M, 20G)",
	    SIZE(disk_budget, 1) },
	{ "disk-spare", "SIZE", "end the run when the disk has less left (256M)",
	    SIZE(disk_spare, 0) },
	{ "metrics", "FILE", "keep the run's numbers here, in Prometheus text format",
	    TEXT(metrics, 1) },
	{ "no-sandbox", NULL, "do not confine the processes (seccomp, Landlock)",
	    FLAG(no_sandbox) },
	{ "interface", "IFACE", "record packets of this interface (any)",
	    TEXT(interface, 1) },
	{ "ntp", "HOST", "hold the clock against this SNTP server; repeatable",
	    EACH(ntp, ntps, OPTIONS_NTP_MAX) },
	{ "tsa", "URL", "ask this time-stamping authority (RFC 3161); repeatable",
	    EACH(tsa, tsas, OPTIONS_TSA_MAX) },
	{ "tsa-policy", "OID", "ask for time-stamps under this policy",
	    TEXT(tsa_policy, 1) },
	{ "stamp-every", "T", "ask the authorities this often (1h)",
	    TIME(stamp_every_s) },
	{ "on-checkpoint", "CMD", "hand each kept checkpoint to this shell command's input",
	    TEXT(on_checkpoint, 1) },
	{ "dht-node", "NODE", "a DHT node to begin with, HOST:PORT; repeatable; none is built in",
	    READ(read_node, "a host and port such as [2001:db8::1]:6881, and "
		"not so many of them") },
	{ "no-dht", NULL, "take no part in the DHT",
	    FLAG(no_dht) },
	{ "announce-dht", NULL, "say in the DHT that we are here, so that peers dial us",
	    FLAG(announce_dht) },
	{ "no-pex", NULL, "do not hear which peers peers know",
	    FLAG(no_pex) },
	{ "lsd", NULL, "find peers on the local links, and say there that we are here",
	    FLAG(lsd) },
	{ "no-utp", NULL, "neither dial nor accept over uTP",
	    FLAG(no_utp) },
	{ "encryption", "HOW", "encrypted connections: off, allow or require (allow)",
	    READ(read_encryption, "off, allow or require") },
	{ "decoys", "N", "ask every source for N infohashes that nobody shares, 1 to 100",
	    NUMBER(decoys, DECOYS_MOST) },
	{ "decoy-endpoints", NULL, "offer peers that claim pieces such an infohash, once",
	    FLAG(decoy_endpoints) },
	{ "geo", "FILE", "record the digest of this MMDB database; repeatable",
	    EACH(geo, geos, OPTIONS_GEO_MAX) },
	{ "key", "FILE", "signing key, made on first use (~/.config/swarmwitness/key)",
	    TEXT(key, 1) },
	{ "max-connections", "N", "connections at a time (500)",
	    NUMBER(max_connections, CONNECTIONS_MAX) },
	{ "max-memory", "SIZE", "memory to hold at most, all processes together (1G)",
	    READ(read_memory, "a size from 96M to 64T") },
	{ "dial-rate", "N", "new connections a second (50)",
	    NUMBER(dial_rate, DIAL_RATE_MAX) },
	{ "max-rate", "BYTES", "bytes a second to read from all peers together (any)",
	    READ(read_rate, "a number of bytes from 16384 to 8000000000") },
	{ "peer-id-prefix", "S", "another peer id prefix than -SW0100-",
	    READ(read_prefix, "1 to 12 printable characters without blanks") },
	{ "operator", "S", "who runs this, for the record",
	    TEXT(operator, 0) },
	{ "purpose", "S", "what for, for the record",
	    TEXT(purpose, 0) },
	{ "ground", "S", "legal ground, for the record",
	    TEXT(ground, 0) },
	{ "retention", "S", "how long the case is to be kept, for the record",
	    TEXT(retention, 0) },
	{ "help", NULL, "this text",
	    .kind = OPTION_HELP },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

void options_help(FILE *to)
{
	fprintf(to, "usage: swarmwitness monitor [options] CASE TORRENT|MAGNET|INFOHASH...\n\n"
	    "Observes the torrents' swarms and keeps what it sees in CASE.\n\n");
	for (size_t i = 0; i < ROWS; i++)
		fprintf(to, "  --%-16s %-6s %s\n", rows[i].name,
		    rows[i].arg ? rows[i].arg : "", rows[i].help);
}

static bool take(struct options *o, const struct row *row, const char *arg)
{
	void *to = (char *)o + row->at;
	int64_t v;

	switch (row->kind) {
	case OPTION_FLAG:
		return *(bool *)to = true;
	case OPTION_TEXT:
		*(const char **)to = arg;
		return (int64_t)strlen(arg) >= row->least;
	case OPTION_EACH:
		return keep(to, (size_t)row->most,
		    (size_t *)((char *)o + row->count), arg);
	case OPTION_TIME:
		*(int64_t *)to = v = duration_s(arg);
		return v > 0;
	case OPTION_SIZE:
		*(int64_t *)to = v = read_size(arg);
		return v >= row->least;
	case OPTION_NUMBER:
		if (!between(arg, 1, row->most, &v))
			return false;
		*(unsigned *)to = (unsigned)v;
		return true;
	case OPTION_READ:
		return row->read(o, arg);
	case OPTION_HELP:
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

static enum options_result refuse(const struct row *row, const char *arg)
{
	char text[128], wants[64];

	snprintf(wants, sizeof(wants), "a number from 1 to %lld",
	    (long long)row->most);
	snprintf(text, sizeof(text), "--%s wants %s, not ", row->name,
	    row->wants ? row->wants : wants);
	return misuse(text, arg);
}

enum options_result options_read(struct options *o, int argc, char **argv)
{
	struct option table[ROWS + 1] = { 0 };
	int c, at = 0;

	*o = (struct options){ .listen = 6881, .ports_from = 20000,
		.ports_to = 29999, .sample = 2, .outstanding = 4,
		.disk_spare = 256 << 20, .max_connections = 500, .dial_rate = 50,
		.max_memory = MEMORY_DEFAULT,
		.peer_id_prefix = "-SW0100-" };
	for (size_t i = 0; i < ROWS; i++)
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
		if (rows[at].kind == OPTION_HELP)
			return OPTIONS_HELP;
		if (!take(o, &rows[at], optarg))
			return refuse(&rows[at], optarg);
	}
	if (optind < argc)
		o->case_path = argv[optind++];
	o->torrents = argv + optind;
	o->torrent_count = argc - optind;
	return check(o);
}
