#include "monitor/relief.h"

#include <malloc.h>

#include "schema/json.h"
#include "schema/log.h"
#include "schema/now.h"

#define SQUEEZE (250 * NS_PER_MS)	/* between two rounds of making room */
#define IN_VAIN (5 * NS_PER_S)	/* ... that nobody could make */
#define A_ROUND 64
#define TRIM (60 * NS_PER_S)	/* between two looks for holes in the heap */
#define ENOUGH (1 * NS_PER_S)	/* not over for so long: tight no more */
#define SAY_STATE (10 * NS_PER_S)
#define SAY_AGAIN (60 * NS_PER_S)

static void put(struct crowd *c, const char *kind, struct json *j,
    struct stamp at)
{
	struct record r = { .at = at, .kind = kind, .conn = CONN_NONE };

	json_close(j, '}');
	r.detail = json_done(j);
	ledger_add(c->ledger, &r);
	json_fini(j);
}

static void begin(struct json *j)
{
	json_init(j, JSON_MOST);
	json_open(j, NULL, '{');
}

/* --- places ----------------------------------------------------------------------- */

bool relief_place(struct crowd *c)
{
	struct peer *p = TAILQ_FIRST(&c->env.lingering);

	if (!p)
		return false;
	c->gave_way++;
	peer_end(p, "nothing more to ask, and its place goes to a peer never "
	    "met");
	return true;
}

/* --- memory ------------------------------------------------------------------------ */

static struct peer *newest(const struct crowd *c)
{
	struct peer *found = c->strangers;

	for (const struct swarm *s = c->swarms.first; s; s = s->next)
		if (s->peers && (!found || s->peers->conn > found->conn))
			found = s->peers;
	return found;
}

/* What the last round freed is given back, and then the next goes. */
static void squeeze(struct crowd *c, struct stamp at)
{
	struct peer *p;
	int n = 0;

	if (at.mono_ns < c->squeeze_ns)
		return;
	if (memory_over(c->memory)) {
		malloc_trim(0);
		memory_look(c->memory);
	}
	for (; n < A_ROUND && memory_over(c->memory) &&
	    (p = TAILQ_FIRST(&c->env.lingering)) != NULL; n++)
		peer_end(p, "nothing more to ask, and memory is short");
	for (; n < A_ROUND && relief_full(c) && (p = newest(c)) != NULL; n++)
		peer_end(p, "memory is full (--max-memory)");
	c->squeezed += n;
	c->squeeze_ns = at.mono_ns + (n == 0 && memory_over(c->memory) ?
	    IN_VAIN : SQUEEZE);
	if (memory_over(c->memory))
		c->over_ns = at.mono_ns;
	else if (at.mono_ns - c->over_ns >= ENOUGH)
		memory_ease(c->memory);
}

static void put_memory(struct crowd *c, struct stamp at)
{
	const struct memory *m = c->memory;
	struct ledger_state l;
	struct book_state b;
	struct json j;

	ledger_state(c->ledger, &l);
	book_state(c->book, &b);
	begin(&j);
	json_str(&j, "state", memory_word(m->state));
	json_int(&j, "held", m->held);
	json_int(&j, "highest", m->highest);
	json_int(&j, "bound", m->most);
	json_uint(&j, "queued", l.queued_bytes);
	json_uint(&j, "endpoints", b.heard);
	json_uint(&j, "connections", b.open);
	json_int(&j, "ended", c->squeezed);
	json_int(&j, "refused", c->refused_tight);
	put(c, "memory", &j, at);
	log_warn("memory is %s: %lld MB of %lld are held (--max-memory)%s",
	    memory_word(m->state), (long long)m->held >> 20,
	    (long long)m->most >> 20, m->state == MEMORY_FULL ?
	    "; nobody is read" : m->state == MEMORY_TIGHT ?
	    "; nobody new is dialled or let in" : "");
	c->memory_said = m->state;
	c->memory_said_ns = at.mono_ns;
	c->memory_told = c->squeezed + c->refused_tight;
}

/* --- the book --------------------------------------------------------------------- */

static void put_book(struct crowd *c, const struct book_state *b,
    struct stamp at)
{
	struct json j;

	begin(&j);
	json_uint(&j, "endpoints", b->heard);
	json_uint(&j, "most", b->most);
	json_uint(&j, "forgotten", b->forgotten);
	json_uint(&j, "refused", b->refused);
	put(c, "book", &j, at);
	c->unkept = b->forgotten + b->refused;
	c->unkept_said_ns = at.mono_ns;
}

static void look_at_book(struct crowd *c, struct stamp at, bool last)
{
	struct book_state b;

	book_state(c->book, &b);
	if (b.forgotten + b.refused != c->unkept &&
	    (last || at.mono_ns - c->unkept_said_ns >= SAY_AGAIN))
		put_book(c, &b, at);
}

/* --- the story -------------------------------------------------------------------- */

bool relief_heard(struct crowd *c)
{
	int64_t rx = c->env.rx_bytes;

	if (!c->memory)
		return false;
	memory_took(c->memory, (size_t)(rx - c->rx_seen));
	c->rx_seen = rx;
	return relief_full(c);
}

/* What many conversations at once took is given back: without, each crowd
 * larger than those before would stay in the heap, as holes. */
static void trim(struct crowd *c, struct stamp at)
{
	if (at.mono_ns < c->trim_ns)
		return;
	if (c->trim_ns != 0)
		malloc_trim(0);
	c->trim_ns = at.mono_ns + TRIM;
}

void relief_beat(struct crowd *c, struct stamp at)
{
	look_at_book(c, at, false);
	trim(c, at);
	if (!c->memory)
		return;
	memory_look(c->memory);
	if (relief_tight(c))
		squeeze(c, at);
	if (c->memory->state > c->memory_said ||
	    (c->memory->state < c->memory_said &&
	    at.mono_ns - c->memory_said_ns >= SAY_STATE))
		put_memory(c, at);
}

void relief_end(struct crowd *c, struct stamp at)
{
	look_at_book(c, at, true);
	if (c->memory && (c->memory->state != c->memory_said ||
	    c->memory_told != c->squeezed + c->refused_tight))
		put_memory(c, at);
}
