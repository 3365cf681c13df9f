#include "monitor/tsa.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "monitor/sock.h"
#include "schema/log.h"
#include "schema/now.h"

#define TICK_MS 1000
#define AGAIN_S 60		/* after the first failure; then twice as long */

struct authority {
	struct tsa *t;
	struct stamping stamping;	/* of this one alone */
	pthread_t thread;
	bool running;
	bool given;		/* the round brought a token */
	int64_t due_ns;		/* monotonic */
	int64_t wait_s;		/* until the next try after a failure */
	char note[NOTE_MAX];	/* of the round; empty: a new one */
	atomic_bool done;	/* with its round */
};

struct tsa {
	struct ledger *ledger;
	const struct options *opt;	/* lent */
	size_t n;
	int64_t every_s;
	uv_timer_t tick;
	uv_async_t back;	/* a thread is done with its round */
	struct authority authority[TSAPOST_MANY];
	sem_t begun;		/* first questions on their way */
	atomic_bool first;	/* they are awaited */
	atomic_bool giving_up;
	bool stopped;
};

static volatile sig_atomic_t hurry;	/* a signal came behind the loop's end */

static void on_signal(int number)
{
	(void)number;
	hurry = 1;
}

static int on_open(void *ctx, int family)
{
	const struct options *o = ((struct tsa *)ctx)->opt;

	return sock_open(family, SOCK_STREAM, family == 4 ? &o->bind4 :
	    &o->bind6, o->ports_from, o->ports_to);
}

static void on_begun(void *ctx)
{
	struct tsa *t = ctx;

	if (atomic_load(&t->first))
		sem_post(&t->begun);
}

static bool on_stop(void *ctx)
{
	const struct tsa *t = ctx;

	return atomic_load(&t->giving_up) || hurry;
}

static int64_t on_add(void *ctx, const struct record *r)
{
	const struct tsa *t = ctx;

	return ledger_add(t->ledger, r);
}

/* --- rounds ---------------------------------------------------------------- */

static void *ask(void *arg)
{
	struct authority *a = arg;

	if (a->note[0] == '\0')
		ledger_checkpoint(a->t->ledger, a->note);
	a->given = stamping_round(&a->stamping, a->note, 1) != 0;
	atomic_store(&a->done, true);
	uv_async_send(&a->t->back);
	return NULL;
}

static bool begin_round(struct authority *a)
{
	atomic_store(&a->done, false);
	a->running = pthread_create(&a->thread, NULL, ask, a) == 0;
	if (a->running)
		pthread_setname_np(a->thread, "stamps");
	else
		log_warn("no time-stamp now: no thread");
	return a->running;
}

static void end_round(struct authority *a)
{
	int64_t wait = a->t->every_s;

	pthread_join(a->thread, NULL);
	a->running = false;
	a->note[0] = '\0';
	if (a->given) {
		a->wait_s = AGAIN_S;
	} else {
		if (a->wait_s < wait)
			wait = a->wait_s;
		a->wait_s *= 2;
	}
	a->due_ns = stamp_now().mono_ns + wait * NS_PER_S;
}

static void on_back(uv_async_t *back)
{
	struct tsa *t = back->data;

	for (size_t i = 0; i < t->n; i++)
		if (t->authority[i].running && atomic_load(
		    &t->authority[i].done))
			end_round(&t->authority[i]);
}

static void on_tick(uv_timer_t *timer)
{
	struct tsa *t = timer->data;
	int64_t now = stamp_now().mono_ns;

	for (size_t i = 0; i < t->n && !t->stopped; i++) {
		struct authority *a = &t->authority[i];

		if (!a->running && a->due_ns <= now && !begin_round(a))
			a->due_ns = now + AGAIN_S * NS_PER_S;
	}
}

/* --- beginning and end ----------------------------------------------------- */

static struct stamping stamping_of(struct tsa *t, const char *const *url,
    size_t n)
{
	return (struct stamping){ .url = url, .n = n,
		.policy = t->opt->tsa_policy, .ctx = t, .add = on_add,
		.post = { .open = on_open, .begun = on_begun, .stop = on_stop,
			.ctx = t } };
}

struct tsa *tsa_start(uv_loop_t *loop, struct ledger *l,
    const struct options *o)
{
	struct tsa *t = stamping_init() < 0 ? NULL : calloc(1, sizeof(*t));
	size_t begun = 0;

	if (t == NULL)
		return NULL;
	t->ledger = l;
	t->opt = o;
	t->n = o->tsas;
	t->every_s = o->stamp_every_s ? o->stamp_every_s : TSA_EVERY_S;
	uv_timer_init(loop, &t->tick);
	uv_async_init(loop, &t->back, on_back);
	t->tick.data = t->back.data = t;
	uv_timer_start(&t->tick, on_tick, TICK_MS, TICK_MS);
	sem_init(&t->begun, 0, 0);
	atomic_store(&t->first, true);
	for (size_t i = 0; i < t->n; i++) {
		struct authority *a = &t->authority[i];

		*a = (struct authority){ .t = t, .wait_s = AGAIN_S,
			.stamping = stamping_of(t, &t->opt->tsa[i], 1) };
		ledger_checkpoint(l, a->note);
		begun += begin_round(a);
	}
	/* Nobody is dialled before they are on their way; that waits for no
	 * network. */
	for (; begun; begun--)
		while (sem_wait(&t->begun) < 0 && errno == EINTR)
			;
	atomic_store(&t->first, false);
	return t;
}

void tsa_stop(struct tsa *t)
{
	t->stopped = true;
	uv_timer_stop(&t->tick);
	atomic_store(&t->giving_up, true);
	for (size_t i = 0; i < t->n; i++)
		if (t->authority[i].running)
			end_round(&t->authority[i]);
	atomic_store(&t->giving_up, false);
}

void tsa_last(struct tsa *t)
{
	struct stamping s = stamping_of(t, t->opt->tsa, t->n);
	unsigned all = (1u << t->n) - 1;
	char note[NOTE_MAX];

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	s.post.wait_ms = TSA_LAST_MS;
	ledger_checkpoint(t->ledger, note);
	log_info("asking %zu time-stamping authorit%s about the end",
	    t->n, t->n == 1 ? "y" : "ies");
	if (stamping_round(&s, note, all) != all)
		log_warn("not every authority stamped the end: "
		    "`swarmwitness stamp` asks again");
}

void tsa_free(struct tsa *t)
{
	if (t == NULL)
		return;
	sem_destroy(&t->begun);
	free(t);
}
