#include "monitor/hosts.h"

#include <openssl/sha.h>

#define S (1000000000ll)
#define AGAIN (60 * S)		/* between two dials of one address */
#define NET_AGAIN (5 * S)	/* of one /64, while they are strangers */
#define LINE (3600 * S)		/* turns are given out so far ahead */
#define DAY (86400 * S)
#define IN_OPEN_MOST 4		/* incoming connections of one address */
#define IN_A_MINUTE 12
#define NET_IN_OPEN_MOST 32	/* of one /64 */
#define MOST 1000000

uint32_t hosts_hash(const uint8_t key[16], uint32_t tag,
    const struct endpoint *at)
{
	uint8_t text[16 + 4 + 1 + 16 + 2], digest[SHA256_DIGEST_LENGTH];
	struct cur c = cur_of(span_of(digest, sizeof(digest)));
	SHA256_CTX sha;

	memcpy(text, key, 16);
	put_u32(text + 16, tag);
	text[20] = at->family;
	memset(text + 21, 0, 16);
	memcpy(text + 21, at->addr, at->family == 4 ? 4 : 16);
	put_u16(text + 37, at->port);
	SHA256_Init(&sha);	/* SHA256 looks its method up each time */
	SHA256_Update(&sha, text, sizeof(text));
	SHA256_Final(digest, &sha);
	return cur_u32(&c);
}

/* The /64 of a global IPv6 address; NULL: it has none that binds it. */
static struct hosts_net *net_of(const struct hosts *t,
    const struct endpoint *at)
{
	struct endpoint net = { .family = 6 };

	if (at->family != 6 || endpoint_special(at))
		return NULL;
	memcpy(net.addr, at->addr, 8);
	return &t->net[hosts_hash(t->key, HOSTS_NONE - 1, &net) &
	    (HOSTS_NETS - 1)];
}

static uint32_t *head_of(const struct hosts *t, const struct endpoint *at)
{
	return &t->bucket[hosts_hash(t->key, HOSTS_NONE, at) &
	    (t->buckets - 1)];
}

/* Twice the room, and every chain anew. False: no memory, nothing lost. */
static bool grow(struct hosts *t)
{
	uint32_t room = t->room ? t->room * 2 : 64, *bucket, *head;
	struct host *host = t->memory(t->host, room * sizeof(*host));

	if (!host)
		return false;
	t->host = host;
	bucket = t->memory(NULL, room * sizeof(*bucket));
	if (!bucket)
		return false;
	for (uint32_t i = 0; i < room; i++)
		bucket[i] = HOSTS_NONE;
	t->memory(t->bucket, 0);
	t->bucket = bucket;
	t->buckets = t->room = room;
	for (uint32_t i = 0; i < t->count; i++) {
		if (host[i].at.family == 0)
			continue;
		head = head_of(t, &host[i].at);
		host[i].chain = *head;
		*head = i;
	}
	return true;
}

bool hosts_init(struct hosts *t, uint32_t most,
    void *(*memory)(void *old, size_t bytes), const uint8_t key[16])
{
	*t = (struct hosts){ .most = most ? most : MOST, .memory = memory,
		.free = HOSTS_NONE, .oldest = HOSTS_NONE, .newest = HOSTS_NONE };
	memcpy(t->key, key, sizeof(t->key));
	t->net = memory(NULL, HOSTS_NETS * sizeof(*t->net));
	for (uint32_t i = 0; t->net && i < HOSTS_NETS; i++)
		t->net[i] = (struct hosts_net){ .ready_ns = INT64_MIN,
			.turn_ns = INT64_MIN };
	return t->net && grow(t);
}

void hosts_fini(struct hosts *t)
{
	if (!t->memory)
		return;
	t->memory(t->host, 0);
	t->memory(t->net, 0);
	t->memory(t->bucket, 0);
}

/* --- those that nobody holds, by age ------------------------------------------ */

static void idle_remove(struct hosts *t, uint32_t i)
{
	struct host *h = &t->host[i];

	*(h->older == HOSTS_NONE ? &t->oldest : &t->host[h->older].newer) =
	    h->newer;
	*(h->newer == HOSTS_NONE ? &t->newest : &t->host[h->newer].older) =
	    h->older;
}

static void idle_add(struct hosts *t, uint32_t i)
{
	struct host *h = &t->host[i];

	h->older = t->newest;
	h->newer = HOSTS_NONE;
	*(h->older == HOSTS_NONE ? &t->oldest : &t->host[h->older].newer) = i;
	t->newest = i;
}

static void forget(struct hosts *t, uint32_t i)
{
	uint32_t *at = head_of(t, &t->host[i].at);

	idle_remove(t, i);
	while (*at != i)
		at = &t->host[*at].chain;
	*at = t->host[i].chain;
	t->host[i] = (struct host){ .chain = t->free };
	t->free = i;
}

/* --- finding -------------------------------------------------------------------- */

uint32_t hosts_find(const struct hosts *t, const struct endpoint *at)
{
	struct endpoint bare = *at;
	uint32_t i;

	bare.port = 0;
	i = *head_of(t, &bare);
	while (i != HOSTS_NONE && endpoint_cmp(&t->host[i].at, &bare) != 0)
		i = t->host[i].chain;
	return i;
}

uint32_t hosts_hold(struct hosts *t, const struct endpoint *at, int64_t now_ns)
{
	uint32_t i = hosts_find(t, at), *head;

	if (i != HOSTS_NONE) {
		if (t->host[i].refs++ == 0)
			idle_remove(t, i);
		return i;
	}
	/* What is known of an address is kept while there is room. */
	if (t->free == HOSTS_NONE && t->count >= t->most &&
	    t->oldest != HOSTS_NONE && hosts_rested(t, t->oldest, now_ns))
		forget(t, t->oldest);
	i = t->free;
	if (i != HOSTS_NONE) {
		t->free = t->host[i].chain;
	} else {
		if (t->count >= t->most || (t->count == t->room && !grow(t)))
			return HOSTS_NONE;
		i = t->count++;
	}
	t->host[i] = (struct host){ .at = *at, .refs = 1,
		.ready_ns = INT64_MIN, .turn_ns = INT64_MIN,
		.day_ns = INT64_MIN,
		.in_ns = INT64_MIN, .forged_ns = INT64_MIN,
		.spoke_ns = INT64_MIN };
	t->host[i].at.port = 0;
	head = head_of(t, &t->host[i].at);
	t->host[i].chain = *head;
	*head = i;
	return i;
}

void hosts_drop(struct hosts *t, uint32_t i)
{
	if (--t->host[i].refs == 0)
		idle_add(t, i);
}

/* --- limits --------------------------------------------------------------------- */

bool hosts_rested(const struct hosts *t, uint32_t i, int64_t now_ns)
{
	return t->host[i].ready_ns <= now_ns;
}

static bool is_today(const struct host *h, int64_t now_ns)
{
	return h->day_ns != INT64_MIN && now_ns - h->day_ns < DAY;
}

static bool was_knocked(const struct host *h, uint16_t port)
{
	for (int i = 0; i < h->port_count; i++)
		if (h->ports[i] == port)
			return true;
	return false;
}

/* The network that a dial of it must wait for, or NULL. */
static struct hosts_net *net_waited(const struct hosts *t, uint32_t i,
    int64_t now_ns)
{
	return hosts_spoke(t, i, now_ns) ? NULL : net_of(t, &t->host[i].at);
}

/* The address' own. */
static int64_t host_ready(const struct host *h, uint16_t port, int64_t now_ns)
{
	if (h->ready_ns > now_ns)
		return h->ready_ns;
	if (!is_today(h, now_ns) || was_knocked(h, port) ||
	    h->port_count < HOSTS_PORTS_A_DAY)
		return now_ns;
	return h->day_ns + DAY;
}

int64_t hosts_ready(const struct hosts *t, uint32_t i, uint16_t port,
    int64_t now_ns)
{
	int64_t ready = host_ready(&t->host[i], port, now_ns);
	const struct hosts_net *net;

	if (ready > now_ns)
		return ready;
	net = net_waited(t, i, now_ns);
	return net && net->ready_ns > now_ns ? net->ready_ns : now_ns;
}

/* The turn behind the last one, or at ready_ns. */
static int64_t take_turn(int64_t *last_ns, int64_t gap, int64_t ready_ns)
{
	int64_t next = *last_ns + gap;

	*last_ns = next > ready_ns && next <= ready_ns + LINE ? next : ready_ns;
	return *last_ns;
}

int64_t hosts_line_up(struct hosts *t, uint32_t i, uint16_t port,
    int64_t now_ns)
{
	struct host *h = &t->host[i];
	struct hosts_net *net = net_waited(t, i, now_ns);
	int64_t turn = take_turn(&h->turn_ns, AGAIN,
	    host_ready(h, port, now_ns));

	return net && turn <= now_ns ? take_turn(&net->turn_ns, NET_AGAIN,
	    hosts_ready(t, i, port, now_ns)) : turn;
}

int64_t hosts_turn(struct hosts *t, uint32_t i, uint16_t port, int64_t now_ns)
{
	struct host *h = &t->host[i];
	int64_t ready = hosts_ready(t, i, port, now_ns);

	if (ready - now_ns < S)		/* it is next, if a little early */
		return ready;
	if (host_ready(h, port, now_ns) > now_ns)
		return take_turn(&h->turn_ns, AGAIN, ready);
	return take_turn(&net_waited(t, i, now_ns)->turn_ns, NET_AGAIN, ready);
}

void hosts_knock(struct hosts *t, uint32_t i, uint16_t port, int64_t now_ns)
{
	struct hosts_net *net = net_waited(t, i, now_ns);
	struct host *h = &t->host[i];

	h->ready_ns = now_ns + AGAIN;
	if (net)
		net->ready_ns = now_ns + NET_AGAIN;
	if (!is_today(h, now_ns)) {
		h->day_ns = now_ns;
		h->port_count = 0;
	}
	if (!was_knocked(h, port))
		h->ports[h->port_count++] = port;
}

void hosts_heard(struct hosts *t, uint32_t i, int64_t now_ns)
{
	t->host[i].spoke_ns = now_ns;
}

bool hosts_spoke(const struct hosts *t, uint32_t i, int64_t now_ns)
{
	const struct host *h = &t->host[i];

	return h->spoke_ns != INT64_MIN && now_ns - h->spoke_ns < DAY;
}

static bool is_minute(const struct host *h, int64_t now_ns)
{
	return h->in_ns != INT64_MIN && now_ns - h->in_ns < 60 * S;
}

bool hosts_may(const struct hosts *t, uint32_t i, bool forged, int64_t now_ns)
{
	const struct host *h = &t->host[i];
	const struct hosts_net *net = net_of(t, &h->at);

	if (h->in_open >= IN_OPEN_MOST ||
	    (net && net->in_open >= NET_IN_OPEN_MOST) ||
	    (is_minute(h, now_ns) && h->in_count >= IN_A_MINUTE))
		return false;
	return !forged || h->forged_ns == INT64_MIN ||
	    now_ns - h->forged_ns >= AGAIN;
}

bool hosts_admit(struct hosts *t, uint32_t i, bool forged, int64_t now_ns)
{
	struct host *h = &t->host[i];
	struct hosts_net *net = net_of(t, &h->at);

	if (!hosts_may(t, i, forged, now_ns))
		return false;
	if (!is_minute(h, now_ns)) {
		h->in_ns = now_ns;
		h->in_count = 0;
	}
	if (forged)
		h->forged_ns = now_ns;
	if (net)
		net->in_open++;
	h->in_open++;
	h->in_count++;
	return true;
}

void hosts_left(struct hosts *t, uint32_t i)
{
	struct hosts_net *net = net_of(t, &t->host[i].at);

	if (net)
		net->in_open--;
	t->host[i].in_open--;
}
