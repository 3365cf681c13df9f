#include "monitor/book.h"

#include "monitor/book_impl.h"

#define S (1000000000ll)
#define DAY (86400 * S)
#define REVISIT (900 * S)
#define GIVE_WAY (10 * S)	/* while others have no place */
#define BACKOFF (60 * S)	/* doubled with each failure, to a day */
#define PATIENCE 3u		/* visits without a handshake that cost least */
#define LOOKS_MOST 64		/* candidates put off in one book_next */
#define PER_SWARM 100000
#define IN_ALL 2000000		/* some 300 MB with their addresses */

/* --- finding ---------------------------------------------------------------- */

static uint32_t *cand_head(const struct book *b, uint32_t swarm,
    const struct endpoint *at)
{
	return &b->cand_bucket[hosts_hash(b->conf.key, swarm, at) &
	    (b->cand_buckets - 1)];
}

static uint32_t find_cand(const struct book *b, uint32_t swarm,
    const struct endpoint *at)
{
	uint32_t i = *cand_head(b, swarm, at);

	while (i != BOOK_NONE && (b->cand[i].swarm != swarm ||
	    endpoint_cmp(&b->cand[i].at, at) != 0))
		i = b->cand[i].chain;
	return i;
}

/* --- memory ----------------------------------------------------------------- */

/* Twice the room, and every chain anew. False: no memory, nothing changed. */
static bool grow_cands(struct book *b)
{
	uint32_t room = b->cand_room ? b->cand_room * 2 : 64;
	struct candidate *cand = b->conf.memory(b->cand,
	    room * sizeof(*cand));
	uint32_t *bucket, *head;

	if (!cand)
		return false;
	b->cand = cand;
	bucket = b->conf.memory(NULL, room * sizeof(*bucket));
	if (!bucket)
		return false;
	for (uint32_t i = 0; i < room; i++)
		bucket[i] = BOOK_NONE;
	b->conf.memory(b->cand_bucket, 0);
	b->cand_bucket = bucket;
	b->cand_buckets = b->cand_room = room;
	for (uint32_t i = 0; i < b->cands; i++) {
		if (cand[i].at.family == 0)
			continue;
		head = cand_head(b, cand[i].swarm, &cand[i].at);
		cand[i].chain = *head;
		*head = i;
	}
	return true;
}

/* --- candidates ------------------------------------------------------------- */

static void line_leave(struct book *b, uint32_t i)
{
	struct candidate *c = &b->cand[i];
	struct room *r = b->swarm[c->swarm];

	if (c->line == LINE_NONE)
		return;
	*(c->older == BOOK_NONE ? &r->oldest[c->line] :
	    &b->cand[c->older].newer) = c->newer;
	*(c->newer == BOOK_NONE ? &r->newest[c->line] :
	    &b->cand[c->newer].older) = c->older;
	r->untried -= c->line == LINE_UNTRIED;
	c->line = LINE_NONE;
}

static void line_join(struct book *b, uint32_t i, enum book_line line)
{
	struct candidate *c = &b->cand[i];
	struct room *r = b->swarm[c->swarm];

	c->line = (uint8_t)line;
	c->older = r->newest[line];
	c->newer = BOOK_NONE;
	*(c->older == BOOK_NONE ? &r->oldest[line] :
	    &b->cand[c->older].newer) = i;
	r->newest[line] = i;
	r->untried += line == LINE_UNTRIED;
}

/* Of a candidate in no heap. */
static void cand_forget(struct book *b, uint32_t i)
{
	uint32_t *at = cand_head(b, b->cand[i].swarm, &b->cand[i].at);

	line_leave(b, i);
	while (*at != i)
		at = &b->cand[*at].chain;
	*at = b->cand[i].chain;
	hosts_drop(&b->hosts, b->cand[i].host);
	b->cand[i] = (struct candidate){ .chain = b->cand_free };
	b->cand_free = i;
	b->heard--;
}

static void cand_drop(struct book *b, uint32_t i)
{
	turn_remove(b, i);
	b->swarm[b->cand[i].swarm]->waiting--;
	cand_forget(b, i);
}

static uint32_t cand_add(struct book *b, uint32_t swarm,
    const struct endpoint *at, int64_t now_ns)
{
	struct room *r = b->swarm[swarm];
	uint32_t i = b->cand_free, host, *head;

	if (i == BOOK_NONE && b->cands == b->cand_room && !grow_cands(b))
		return BOOK_NONE;
	host = hosts_hold(&b->hosts, at, now_ns);
	if (host == BOOK_NONE)
		return BOOK_NONE;
	if (i != BOOK_NONE)
		b->cand_free = b->cand[i].chain;
	else
		i = b->cands++;
	head = cand_head(b, swarm, at);
	b->cand[i] = (struct candidate){ .at = *at, .swarm = swarm,
		.host = host, .chain = *head,
		.due_ns = hosts_line_up(&b->hosts, host, at->port, now_ns),
		.line = LINE_NONE };
	*head = i;
	line_join(b, i, LINE_UNTRIED);
	r->waiting++;
	b->heard++;
	turn_add(b, i);
	return i;
}

/* --- when it is full ---------------------------------------------------------- */

/* The largest swarm, or nearly: each call looks at two more. */
static struct room *crowd_of(struct book *b)
{
	for (int i = 0; i < 2; i++) {
		b->looked = (b->looked + 1) % b->swarms;
		if (b->swarm[b->looked]->waiting >
		    b->swarm[b->largest]->waiting)
			b->largest = b->looked;
	}
	return b->swarm[b->largest];
}

/*
 * Who is missed least of those waiting, or BOOK_NONE: who was visited in vain;
 * then, while it is half of them or less that were never tried, who was met
 * longest ago: else the oldest of these, so that whoever names many puts out
 * no more than half of those met. Nobody who was dialled within a minute: it
 * would be dialled too soon when it is named again.
 */
static uint32_t least(const struct book *b, const struct room *r,
    int64_t now_ns)
{
	uint32_t vain = r->oldest[LINE_VAIN], met = r->oldest[LINE_MET];

	if (vain != BOOK_NONE &&
	    hosts_rested(&b->hosts, b->cand[vain].host, now_ns))
		return vain;
	if (met != BOOK_NONE && r->untried <= r->waiting / 2 &&
	    hosts_rested(&b->hosts, b->cand[met].host, now_ns))
		return met;
	return r->oldest[LINE_UNTRIED];
}

/* One goes, of that swarm or of the one that has most. */
static bool give_place(struct book *b, struct room *r, int64_t now_ns)
{
	uint32_t i;

	if (r->waiting + r->held < b->conf.per_swarm &&
	    crowd_of(b)->waiting > r->waiting)
		r = b->swarm[b->largest];
	i = least(b, r, now_ns);
	if (i == BOOK_NONE)
		return false;
	cand_drop(b, i);
	b->forgotten++;
	return true;
}

/* Moves a waiting candidate to another time. */
static void put_off(struct book *b, uint32_t i, int64_t due_ns)
{
	turn_remove(b, i);
	b->cand[i].due_ns = due_ns;
	turn_add(b, i);
}

static int64_t backoff(unsigned failures)
{
	return failures > 10 || BACKOFF << failures > DAY ? DAY :
	    BACKOFF << failures;
}

/* --- the story -------------------------------------------------------------- */

struct book *book_new(const struct book_conf *conf)
{
	struct book *b = conf->memory(NULL, sizeof(*b));

	if (!b)
		return NULL;
	*b = (struct book){ .conf = *conf, .cand_free = BOOK_NONE,
		.swarm_free = BOOK_NONE, .first = BOOK_NONE,
		.last = BOOK_NONE, .token_ns = INT64_MIN };
	due_init(&b->later, conf->memory);
	if (b->conf.per_swarm == 0)
		b->conf.per_swarm = PER_SWARM;
	if (b->conf.in_all == 0)
		b->conf.in_all = IN_ALL;
	if (hosts_init(&b->hosts, conf->addresses, conf->memory, conf->key) &&
	    grow_cands(b))
		return b;
	book_free(b);
	return NULL;
}

void book_free(struct book *b)
{
	if (!b)
		return;
	b->conf.memory(b->cand, 0);
	hosts_fini(&b->hosts);
	for (uint32_t i = 0; i < b->swarms; i++)
		b->conf.memory(b->swarm[i], 0);
	if (b->swarm)
		b->conf.memory(b->swarm, 0);
	due_fini(&b->later);
	b->conf.memory(b->cand_bucket, 0);
	b->conf.memory(b, 0);
}

/* One more. NULL: no memory. */
static struct room *make_room(struct book *b)
{
	uint32_t room = b->swarm_room ? b->swarm_room * 2 : 8;
	struct room **made, *r;

	if (b->swarms == BOOK_SWARMS_MAX ||
	    !due_reserve(&b->later, b->swarms + 1))
		return NULL;
	if (b->swarms == b->swarm_room) {
		made = b->conf.memory(b->swarm, room * sizeof(struct room *));
		if (!made)
			return NULL;
		b->swarm = made;
		b->swarm_room = room;
	}
	r = b->conf.memory(NULL, sizeof(*r));
	if (!r)
		return NULL;
	*r = (struct room){ .number = b->swarms };
	b->swarm[b->swarms++] = r;
	return r;
}

/* Nobody is visited for it any more: its number may serve another. */
static void give_back(struct book *b, struct room *r)
{
	/* One in line is given back when it comes to it. */
	if (r->open || r->held > 0 || r->in_line)
		return;
	r->next = b->swarm_free;
	b->swarm_free = r->number;
}

uint32_t book_open(struct book *b)
{
	struct room *r;

	if (b->swarm_free != BOOK_NONE) {
		r = b->swarm[b->swarm_free];
		b->swarm_free = r->next;
	} else {
		r = make_room(b);
	}
	if (!r)
		return BOOK_NONE;
	*r = (struct room){ .number = r->number, .root = BOOK_NONE,
		.sources = UINT8_MAX, .open = true };
	for (int i = 0; i < LINES; i++)
		r->oldest[i] = r->newest[i] = BOOK_NONE;
	return r->number;
}

void book_close(struct book *b, uint32_t swarm)
{
	struct room *r = b->swarm[swarm];

	while (r->root != BOOK_NONE)
		cand_drop(b, r->root);
	r->open = false;
	give_back(b, r);
}

const char *book_hear(struct book *b, uint32_t swarm,
    const struct endpoint *at, enum book_source source, int64_t now_ns)
{
	const char *special = endpoint_forbidden(at, b->conf.allow_local);
	struct room *r = b->swarm[swarm];
	uint32_t i;

	if (special)
		return special;
	if (!(r->sources & source))
		return "its torrent is private";
	if (b->conf.blocked && b->conf.blocked(b->conf.ctx, at, false))
		return "it is on the blocklist";
	i = find_cand(b, swarm, at);
	if (i == BOOK_NONE) {
		bool room = r->waiting + r->held < b->conf.per_swarm &&
		    b->heard < b->conf.in_all;

		if (room || give_place(b, r, now_ns))
			i = cand_add(b, swarm, at, now_ns);
		/* Callers can have taken the last places of addresses. */
		if (i == BOOK_NONE && room && give_place(b, r, now_ns))
			i = cand_add(b, swarm, at, now_ns);
	}
	if (i == BOOK_NONE) {
		b->refused++;
		return "the book is full";
	}
	b->cand[i].sources |= (uint8_t)source;
	return NULL;
}

void book_only(struct book *b, uint32_t swarm, unsigned sources)
{
	b->swarm[swarm]->sources = (uint8_t)sources;
}

bool book_counts(const struct book *b, uint32_t id)
{
	const struct candidate *c = &b->cand[id];

	return (c->sources & b->swarm[c->swarm]->sources) != 0;
}

void book_hint(struct book *b, uint32_t swarm, const struct endpoint *at,
    uint8_t known)
{
	uint32_t i = find_cand(b, swarm, at);

	if (i != BOOK_NONE)
		b->cand[i].known |= known;
}

void book_met(struct book *b, uint32_t swarm, const struct endpoint *at,
    int64_t now_ns)
{
	uint32_t i = find_cand(b, swarm, at);

	if (i == BOOK_NONE)
		return;
	b->cand[i].met = true;
	if (b->cand[i].held)
		return;
	line_leave(b, i);
	line_join(b, i, LINE_MET);
	if (b->cand[i].due_ns < now_ns + REVISIT)
		put_off(b, i, now_ns + REVISIT);
}

/* A dial's worth of the rate, saved up for a second at most. */
static bool take_token(struct book *b, int64_t now_ns)
{
	int64_t most = S * b->conf.dial_rate, gone;

	if (b->token_ns == INT64_MIN) {
		b->tokens = S;
	} else {
		gone = now_ns - b->token_ns;
		b->tokens += gone < S ? gone * b->conf.dial_rate : most;
	}
	b->token_ns = now_ns;
	if (b->tokens > most)
		b->tokens = most;
	return b->tokens >= S;
}

static bool is_full(const struct book *b)
{
	return b->half_open + b->open >= b->conf.connections;
}

/* The swarm's next candidate that may be dialled, or BOOK_NONE. */
static uint32_t due_in(struct book *b, struct room *r, int64_t now_ns,
    int *looks)
{
	struct candidate *c;
	int64_t ready;

	while (r->root != BOOK_NONE && (*looks)-- > 0) {
		c = &b->cand[r->root];
		if (c->due_ns > now_ns)
			return BOOK_NONE;
		if (!book_counts(b, r->root)) {
			cand_drop(b, r->root);
			continue;
		}
		ready = hosts_turn(&b->hosts, c->host, c->at.port, now_ns);
		if (ready <= now_ns && is_full(b) && c->met)
			ready = now_ns + GIVE_WAY;
		if (ready <= now_ns)
			return r->root;
		put_off(b, r->root, ready);
	}
	return BOOK_NONE;
}

bool book_next(struct book *b, int64_t now_ns, struct book_visit *v)
{
	int looks = LOOKS_MOST;
	uint32_t i = BOOK_NONE;
	struct room *r = NULL;

	if (b->half_open >= b->conf.half_open ||
	    (is_full(b) && !b->yielding) || !take_token(b, now_ns))
		return false;
	while (i == BOOK_NONE && looks > 0 && (r = turn_step_up(b, now_ns))) {
		i = due_in(b, r, now_ns, &looks);
		r->in_line = false;
		if (i != BOOK_NONE || (looks <= 0 && r->root != BOOK_NONE))
			turn_line_up(b, r);
		else
			turn_rank(b, r);
		give_back(b, r);
	}
	if (i == BOOK_NONE)
		return false;
	b->tokens -= S;
	v->crowded = is_full(b);
	b->half_open++;
	turn_remove(b, i);
	line_leave(b, i);
	r->waiting--;
	r->held++;
	b->cand[i].held = true;
	b->cand[i].reached = false;
	b->cand[i].attempts += b->cand[i].mark == 0;
	hosts_knock(&b->hosts, b->cand[i].host, b->cand[i].at.port, now_ns);
	*v = (struct book_visit){ .id = i, .crowded = v->crowded, .swarm = r->number,
		.at = b->cand[i].at, .sources = b->cand[i].sources,
		.attempt = b->cand[i].attempts, .known = b->cand[i].known,
		.mark = b->cand[i].mark };
	return true;
}

bool book_again(struct book *b, uint32_t id, int64_t now_ns)
{
	const struct candidate *c = &b->cand[id];

	if (!hosts_spoke(&b->hosts, c->host, now_ns))
		return false;
	b->tokens -= S;
	hosts_knock(&b->hosts, c->host, c->at.port, now_ns);
	return true;
}

void book_know(struct book *b, uint32_t id, uint8_t known, uint16_t mark)
{
	b->cand[id].known = known;
	b->cand[id].mark = mark;
}

void book_spoke(struct book *b, const struct endpoint *at, int64_t now_ns)
{
	uint32_t i = hosts_find(&b->hosts, at);

	if (i != HOSTS_NONE)
		hosts_heard(&b->hosts, i, now_ns);
}

void book_reached(struct book *b, uint32_t id)
{
	if (b->cand[id].reached)
		return;
	b->half_open--;
	b->open++;
	b->cand[id].reached = true;
}

void book_done(struct book *b, uint32_t id, enum book_end how, int64_t now_ns)
{
	struct candidate *c = &b->cand[id];
	struct room *r = b->swarm[c->swarm];
	enum book_line line = LINE_VAIN;
	int64_t wait = 0;

	if (c->reached)
		b->open--;
	else
		b->half_open--;
	r->held--;
	switch (how) {
	case BOOK_UNTRIED:
		wait = BACKOFF;
		line = c->met ? LINE_MET : LINE_UNTRIED;
		c->attempts -= c->mark == 0;
		break;
	case BOOK_AGAIN:
		line = c->met ? LINE_MET : LINE_UNTRIED;
		wait = hosts_ready(&b->hosts, c->host, c->at.port, now_ns) -
		    now_ns;
		break;
	case BOOK_FAILED:
		wait = backoff(c->failures);
		if (c->failures < UINT8_MAX)
			c->failures++;
		break;
	case BOOK_SHUT:
		wait = backoff(c->failures < PATIENCE ? 0 :
		    c->failures - PATIENCE);
		if (c->failures < UINT8_MAX)
			c->failures++;
		break;
	case BOOK_OTHER:
		wait = DAY;
		break;
	case BOOK_SELF:
		line = LINE_MET;
		break;
	case BOOK_MET:
		line = LINE_MET;
		wait = REVISIT;
		c->met = true;
		c->failures = 0;
		break;
	}
	if (how != BOOK_UNTRIED && how != BOOK_AGAIN)
		c->mark = 0;
	c->held = false;
	if (!r->open || !book_counts(b, id)) {
		cand_forget(b, id);
		give_back(b, r);
		return;
	}
	c->due_ns = how == BOOK_SELF ? INT64_MAX : now_ns + wait;
	r->waiting++;
	line_join(b, id, line);
	turn_add(b, id);
}

/* Half of what there is stays for those we want to reach. */
static bool half_came(const struct book *b)
{
	return b->in_open >= (b->conf.connections + 1) / 2;
}

const char *book_accept(struct book *b, const struct endpoint *from,
    bool forged, int64_t now_ns)
{
	uint32_t i;

	if (b->conf.blocked && b->conf.blocked(b->conf.ctx, from, true))
		return "on the blocklist";
	if (is_full(b) || half_came(b))
		return "too many connections";
	i = hosts_hold(&b->hosts, from, now_ns);
	if (i == HOSTS_NONE && b->swarms > 0 &&
	    give_place(b, crowd_of(b), now_ns))
		i = hosts_hold(&b->hosts, from, now_ns);
	if (i == HOSTS_NONE)
		return "too many addresses";
	if (!hosts_admit(&b->hosts, i, forged, now_ns)) {
		hosts_drop(&b->hosts, i);
		return "too many connections of this address";
	}
	b->in_open++;
	b->open++;
	return NULL;
}

void book_left(struct book *b, const struct endpoint *from)
{
	uint32_t i = hosts_find(&b->hosts, from);

	hosts_left(&b->hosts, i);
	b->in_open--;
	b->open--;
	hosts_drop(&b->hosts, i);
}

bool book_crowded(const struct book *b, const struct endpoint *from,
    int64_t now_ns)
{
	uint32_t i = hosts_find(&b->hosts, from);

	return is_full(b) && !half_came(b) &&
	    !(b->conf.blocked && b->conf.blocked(b->conf.ctx, from, true)) &&
	    (i == HOSTS_NONE || (!hosts_spoke(&b->hosts, i, now_ns) &&
	    hosts_may(&b->hosts, i, false, now_ns)));
}

void book_yield(struct book *b, bool would)
{
	b->yielding = would;
}

void book_state(const struct book *b, struct book_state *s)
{
	*s = (struct book_state){ .heard = b->heard,
		.half_open = b->half_open, .open = b->open,
		.most = b->conf.in_all, .forgotten = b->forgotten,
		.refused = b->refused };
}
