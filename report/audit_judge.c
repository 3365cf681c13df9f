#include "report/audit_impl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "report/ladder.h"
#include "report/when.h"
#include "schema/log.h"

#define S 1000000000LL
#define SHIFTS_EACH 100		/* sights of one claim that a shift is sought by */
#define SHIFTS_MOST 4000000

const char *audit_seconds(int64_t ns, char buf[32])
{
	snprintf(buf, 32, "%lld.%03lld", (long long)(ns / S),
	    (long long)(ns % S / 1000000));
	return buf;
}

const char *audit_shift_text(int64_t ns, char buf[64])
{
	int64_t n = ns < 0 ? -ns : ns;
	char t[WHEN_MAX];

	snprintf(buf, 64, "%s %s", when_span(n, t), ns < 0 ? "earlier" :
	    "later");
	return buf;
}

const char *audit_utc(const struct claim *c, char buf[48])
{
	char t[WHEN_MAX];

	snprintf(buf, 48, "%s", c->step_ns >= S ?
	    when_text(c->from_utc_ns, BOUND_UNKNOWN, t) :
	    when_exact(c->from_utc_ns, t));
	return buf;
}

__attribute__((format(printf, 4, 5)))
static void say(struct judged *j, bool against, int64_t seq, const char *fmt,
    ...)
{
	struct reason *more = realloc(j->reason,
	    (j->reasons + 1) * sizeof(*more));
	va_list ap;

	if (more == NULL)
		log_die("out of memory");
	j->reason = more;
	more = &more[j->reasons++];
	*more = (struct reason){ .against = against, .seq = seq, .asked =
	    ASK_NOTHING };
	va_start(ap, fmt);
	if (vasprintf(&more->text, fmt, ap) < 0)
		log_die("out of memory");
	va_end(ap);
}

/* The query behind what was said since there were n reasons. */
static void cite(struct judged *j, size_t n, enum asked asked)
{
	for (size_t i = n; i < j->reasons; i++)
		j->reason[i].asked = asked;
}

/* --- what is said of the evidence --------------------------------------------------- */

static void say_nearest(const struct audit *a, const struct verdict_of *v,
    const struct verdict_is *r, struct judged *j)
{
	char d[WHEN_MAX], t[WHEN_MAX], within[WHEN_MAX];

	if (r->nearest < 0) {
		say(j, true, -1, "nothing is recorded of this address%s and "
		    "this torrent at any time", r->other_port >= 0 ?
		    ", the port claimed" : "");
		return;
	}
	when_span(r->distance_ns, d);
	when_text(r->nearest_ns, BOUND_UNKNOWN, t);
	when_span(v->within_ns, within);
	if (r->level < 0)
		say(j, true, v->sight[r->nearest].seq, "nothing within %s of "
		    "the claimed time; the nearest of this address and this "
		    "torrent, level %d (%s), is %s %s, at %s", within,
		    v->sight[r->nearest].level,
		    ladder_at(v->sight[r->nearest].level)->name, d,
		    r->before ? "earlier" : "later", t);
	else if (r->level < a->require)
		say(j, true, v->sight[r->nearest].seq, "level %d (%s) was "
		    "reached, level %d (%s) was asked for", r->level,
		    ladder_at(r->level)->name, a->require,
		    ladder_at(a->require)->name);
	else if (r->distance_ns == 0)
		say(j, false, v->sight[r->nearest].seq, "level %d (%s) was "
		    "reached, and the evidence covers the claimed time",
		    r->level, ladder_at(r->level)->name);
	else
		say(j, false, v->sight[r->nearest].seq, "level %d (%s) was "
		    "reached, %s %s than claimed", r->level,
		    ladder_at(r->level)->name, d, r->before ? "earlier" :
		    "later");
}

/* -1 logged. */
static int say_other_torrent(struct sights *s, const struct sight *seen,
    struct judged *j)
{
	char hash[65];

	if (sights_hash(s, seen->seq, hash))
		return -1;
	if (hash[0])
		say(j, true, seen->seq, "at that time it spoke under another "
		    "infohash, %s%s", hash, seen->level ? ", when it was asked "
		    "for the one claimed" : "");
	if (hash[0] && seen->level == 0)
		say(j, false, seen->seq, "that conversation was not about the "
		    "torrent claimed, and a client can share several at once "
		    "from one port");
	return 0;
}

static void say_against(const struct claim *c, const struct verdict_of *v,
    const struct verdict_is *r, const struct beside *b, struct judged *j)
{
	char t[WHEN_MAX];

	if (b->spoke_seq >= 0)
		say(j, false, b->spoke_seq, "it sent a handshake that bears "
		    "the claimed infohash, in a conversation that was not "
		    "about it");
	if (r->failed >= 0)
		say(j, true, v->sight[r->failed].seq, "%s a whole piece that came from it then "
		    "failed the torrent's hash", r->level >= 5 ? "beside "
		    "those that matched," : "hash failed:");
	if (r->vain >= 0 && r->level < 1)
		say(j, true, v->sight[r->vain].seq, "it was dialled then, and "
		    "every attempt was refused or not answered");
	if (r->stalled >= 0)
		say(j, true, v->sight[r->stalled].seq, "a dial in vain fell "
		    "into a stall of the observer and proves nothing");
	if (r->too_many_bytes)
		say(j, true, -1, "more data claimed than the records hold: "
		    "%" PRId64 " bytes claimed, %" PRId64 " held of it in all "
		    "conversations of this case%s", v->claimed_bytes,
		    v->held_bytes, b->import ? "" : "; what somebody else "
		    "received from it this case cannot tell");
	if (r->too_many_pieces)
		say(j, true, -1, "more data claimed than the records hold: "
		    "%" PRId64 " pieces claimed, %" PRId64 " of it came in "
		    "whole or part in all conversations of this case%s",
		    v->claimed_pieces, v->held_pieces, b->import ? "" :
		    "; what somebody else received from it this case cannot "
		    "tell");
	if (r->elsewhen >= 0 && r->elsewhen != r->nearest) {
		char d[WHEN_MAX];

		say(j, true, v->sight[r->elsewhen].seq, "level %d (%s) was "
		    "reached at another time, %s %s, at %s",
		    v->sight[r->elsewhen].level,
		    ladder_at(v->sight[r->elsewhen].level)->name,
		    when_span(r->elsewhen_distance_ns, d),
		    r->elsewhen_ns < v->from_ns ? "earlier" : "later",
		    when_text(r->elsewhen_ns, BOUND_UNKNOWN, t));
	}
	if (r->other_port >= 0 && r->level < v->require) {
		const struct sight *s = &v->sight[r->other_port];

		say(j, true, s->seq, "the address is recorded with this "
		    "torrent at another port than the %d claimed (level %d, "
		    "%s%s)", c->port, s->level, r->other_port_there ?
		    "at that time, " : "nearest at ",
		    when_text(r->other_port_ns, BOUND_UNKNOWN, t));
	}
	if (b->own)
		say(j, true, -1, "this is an address of the observer itself");
	if (b->decoy)
		say(j, true, -1, "it also answered to an infohash drawn at "
		    "random, so its handshake alone shows nothing");
	if (b->listen_port)
		say(j, false, -1, "the port claimed is the one it said it "
		    "listens on; it spoke from another");
	if (b->withdrawn)
		say(j, true, -1, "in %" PRId64 " conversation%s its last claim "
		    "was to hold nothing", b->withdrawn, b->withdrawn == 1 ?
		    "" : "s");
}

static void say_others(const struct beside *b, struct judged *j)
{
	if (b->others == 1 || b->same_port)
		say(j, true, b->other_seq, "another address: the torrent was "
		    "observed then at %s port %d%s", b->other_ip,
		    b->other_port, b->same_port ? ", the port claimed" :
		    ", and at no third");
}

static void say_coverage(const struct sights *s, const struct claim *c,
    const struct beside *b, struct judged *j)
{
	char t[WHEN_MAX];

	if (!b->torrent_known)
		say(j, true, -1, "torrent not watched: nothing in this case "
		    "is about this infohash");
	else if (s->first_ns <= s->last_ns && c->from_utc_ns > s->last_ns)
		say(j, true, -1, "time outside the capture: later than the "
		    "last of what was watched, %s", when_text(s->last_ns,
		    BOUND_UNKNOWN, t));
	else if (s->first_ns <= s->last_ns && c->to_utc_ns < s->first_ns)
		say(j, true, -1, "time outside the capture: earlier than the "
		    "first of what was watched, %s", when_text(s->first_ns,
		    BOUND_UNKNOWN, t));
	else
		say(j, true, -1, "time outside the capture: nothing watched "
		    "this torrent then");
}

/* --- what is said of the row --------------------------------------------------------- */

static void say_row(const struct audit *a, const struct claim *c,
    int64_t bound_ns, struct judged *j)
{
	if (c->cells)
		say(j, true, -1, "the row has %zu cells, the table %zu columns: "
		    "if a separator within a cell split it, what stands behind "
		    "that is in the wrong column", c->cells, a->claims.columns);
	if (c->port < 0)
		say(j, true, -1, "port missing: behind one address there can "
		    "be many subscribers at once, and only port and time tell "
		    "them apart");
	if (c->same)
		say(j, true, -1, "duplicate row: the same address, port, time "
		    "and infohash as line %" PRId64, c->same);
	if (c->session && c->ends_first)
		say(j, true, -1, "the session ends before it begins");
	else if (c->session && c->from_utc_ns == c->to_utc_ns)
		say(j, true, -1, "zero-length session: it begins and ends at "
		    "one time");
	if (c->step_ns >= 60 * S)
		say(j, true, -1, "time rounded: written without seconds");
	else if (a->claims.whole_minutes && c->from_utc_ns % (60 * S) == 0)
		say(j, true, -1, "time rounded: a whole minute, as nearly all "
		    "of this table");
	if (c->at_once > 1 && c->at_once >= 5 &&
	    (size_t)c->at_once * 10 >= a->claims.readable)
		say(j, true, -1, "time repeated: %" PRId64 " rows have this "
		    "very time", c->at_once);
	if (bound_ns < 0)
		say(j, true, -1, "clock: the bound of the case's times is "
		    "unknown, so nothing was added for it");
}

int audit_judge(struct audit *a, struct sights *s, size_t i)
{
	const struct claim *c = &a->claims.at[i];
	struct judged *j = &a->judged[i];
	struct verdict_of v;
	struct verdict_is r;
	struct beside b;
	int64_t bound;
	size_t n;

	j->level = -1;
	j->nearest_seq = -1;
	if (c->fault) {
		j->verdict = VERDICT_UNREADABLE;
		say(j, true, -1, "%s", c->fault);
		a->over[j->verdict]++;
		return 0;
	}
	bound = facts_bound(s->facts, c->from_utc_ns);
	if (sights_of(s, c, bound < 0 ? 0 : bound, &v, &b))
		return -1;
	v.within_ns = a->within_ns;
	v.bound_ns = bound < 0 ? 0 : bound;
	v.require = a->require;
	verdict_find(&v, &r);
	/* Beside one that was reached, another is no ground. */
	if (r.level < 1 && r.level < a->require && b.torrent_known &&
	    sights_others(s, c, v.within_ns + v.bound_ns, &b))
		return -1;
	j->reach_ns = v.within_ns + v.bound_ns;
	j->verdict = r.verdict;
	j->level = r.level;
	snprintf(j->swarm, sizeof(j->swarm), "%s", b.swarm);
	if (r.nearest >= 0) {
		j->has_nearest = true;
		j->nearest_ns = r.nearest_ns;
		j->distance_ns = r.distance_ns;
		j->nearest_seq = v.sight[r.nearest].seq;
		j->from_ns = v.sight[r.nearest].from_ns;
		j->to_ns = v.sight[r.nearest].to_ns;
		j->before = r.before;
	}
	if (r.verdict == VERDICT_OUTSIDE)
		say_coverage(s, c, &b, j);
	cite(j, 0, ASK_WATCHED);
	n = j->reasons;
	if (r.verdict != VERDICT_OUTSIDE || r.nearest >= 0)
		say_nearest(a, &v, &r, j);
	if (r.other_torrent >= 0 && say_other_torrent(s,
	    &v.sight[r.other_torrent], j))
		return -1;
	say_against(c, &v, &r, &b, j);
	cite(j, n, ASK_CASE);
	n = j->reasons;
	say_others(&b, j);
	cite(j, n, ASK_OTHERS);
	say_row(a, c, bound, j);
	if (s->cut)
		say(j, true, -1, "more than %d things are recorded of this "
		    "address; the later ones were not looked at", SIGHTS_MOST);
	a->over[j->verdict]++;
	a->duplicates += c->same != 0;
	a->portless += c->port < 0;
	a->zero_sessions += c->session && c->from_utc_ns == c->to_utc_ns;
	return 0;
}

/* --- one shift for all ----------------------------------------------------------------- */

static int64_t clamp(int64_t at, int64_t about)
{
	int64_t far = 2 * SHIFT_MOST_NS;

	return at < about - far ? about - far : at > about + far ? about + far :
	    at;
}

static size_t add_shifts(const struct audit *a, const struct verdict_of *v,
    size_t i, int64_t reach, struct shift_in *in)
{
	size_t n = 0;

	for (size_t k = 0; k < v->n && n < SHIFTS_EACH; k++) {
		const struct sight *s = &v->sight[k];
		int64_t at;

		if (s->what != SEEN_LEVEL || s->level < a->require ||
		    verdict_distance(v->from_ns, v->to_ns, s->from_ns, s->to_ns,
		    &at) > SHIFT_MOST_NS)
			continue;
		/* An end that is far off, a shift never comes to. */
		in[n++] = (struct shift_in){ clamp(s->from_ns, v->to_ns) -
		    v->to_ns - reach, clamp(s->to_ns, v->from_ns) - v->from_ns +
		    reach, i };
	}
	return n;
}

/* Of each claim that does not hold, and would. */
static void say_shift(struct audit *a, const struct shift_in *in, size_t n)
{
	bool *said = calloc(a->claims.n + 1, sizeof(*said));
	char t[64];

	if (said == NULL)
		log_die("out of memory");
	audit_shift_text(a->shift.by_ns, t);
	for (size_t i = 0; i < n; i++) {
		struct judged *j = &a->judged[in[i].claim];

		if (said[in[i].claim] || j->verdict == VERDICT_SUPPORTED ||
		    in[i].from_ns > a->shift.by_ns ||
		    in[i].to_ns < a->shift.by_ns)
			continue;
		said[in[i].claim] = true;
		say(j, false, -1, "shift: %s it would fit, as would %zu of "
		    "the %zu claims with evidence within 26 h (as they stand "
		    "%zu): %s; not applied", t, a->shift.fit, a->shift.of,
		    a->shift.fit_now, a->shift.zone ? "as with a time zone "
		    "mistaken" : "as with a clock that was off");
	}
	free(said);
}

int audit_shift(struct audit *a, struct sights *s)
{
	size_t room = 0, n = 0;
	struct shift_in *in = NULL;

	for (size_t i = 0; i < a->claims.n && n < SHIFTS_MOST; i++) {
		const struct claim *c = a->order[i];
		int64_t bound;
		struct verdict_of v;
		struct beside b;

		if (c->fault || c->same)
			continue;
		bound = facts_bound(s->facts, c->from_utc_ns);
		bound = bound < 0 ? 0 : bound;
		if (sights_of(s, c, bound, &v, &b)) {
			free(in);
			return -1;
		}
		if (n + SHIFTS_EACH > room) {
			room = room ? 2 * room : 1024;
			in = realloc(in, room * sizeof(*in));
			if (in == NULL)
				log_die("out of memory");
		}
		n += add_shifts(a, &v, (size_t)(c - a->claims.at),
		    a->within_ns + bound, in + n);
	}
	shift_find(in, n, &a->shift);
	if (a->shift.found)
		say_shift(a, in, n);
	free(in);
	return 0;
}

void audit_free(struct audit *a)
{
	for (size_t i = 0; a->judged && i < a->claims.n; i++) {
		for (size_t k = 0; k < a->judged[i].reasons; k++)
			free(a->judged[i].reason[k].text);
		free(a->judged[i].reason);
	}
	free(a->judged);
	a->judged = NULL;
	free(a->order);
	a->order = NULL;
	claimlist_fini(&a->claims);
}
