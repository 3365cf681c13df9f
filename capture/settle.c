#include "capture/settle.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "schema/thread.h"

struct written {
	struct savefile *file;
	int64_t kernel, interface;
};

struct settle {
	bool (*begin)(void *ctx);
	void (*done)(void *ctx, const struct recorder_file *f, int error);
	void *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct written written[SETTLE_MOST];
	unsigned head, count;
	bool begun, ending;
	int refused;		/* errno of begin */
};

static void settle_one(const struct settle *t, const struct written *w)
{
	struct recorder_file f;
	int error = savefile_close(w->file, &f) < 0 ? errno : 0;

	if (error) {
		t->done(t->ctx, NULL, error);
		return;
	}
	f.dropped_kernel = w->kernel;
	f.dropped_interface = w->interface;
	t->done(t->ctx, &f, 0);
}

static void *run(void *arg)
{
	struct settle *t = arg;
	int refused = t->begin(t->ctx) ? 0 : errno ? errno : EPERM;

	pthread_mutex_lock(&t->lock);
	t->refused = refused;
	t->begun = true;
	pthread_cond_broadcast(&t->moved);
	while (!refused) {
		while (t->count == 0 && !t->ending)
			pthread_cond_wait(&t->moved, &t->lock);
		if (t->count == 0)
			break;
		struct written w = t->written[t->head];

		pthread_mutex_unlock(&t->lock);
		settle_one(t, &w);
		pthread_mutex_lock(&t->lock);
		t->head = (t->head + 1) % SETTLE_MOST;
		t->count--;
		pthread_cond_broadcast(&t->moved);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

static void destroy(struct settle *t)
{
	pthread_cond_destroy(&t->moved);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

struct settle *settle_new(bool (*begin)(void *ctx), void (*done)(void *ctx,
    const struct recorder_file *f, int error), void *ctx)
{
	struct settle *t = calloc(1, sizeof(*t));
	int error;

	if (t == NULL)
		return NULL;
	t->begin = begin;
	t->done = done;
	t->ctx = ctx;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->moved, NULL);
	error = thread_start(&t->thread, run, t);
	if (error == 0) {
		pthread_mutex_lock(&t->lock);
		while (!t->begun)
			pthread_cond_wait(&t->moved, &t->lock);
		pthread_mutex_unlock(&t->lock);
		error = t->refused;
		if (error == 0)
			return t;
		pthread_join(t->thread, NULL);
	}
	destroy(t);
	errno = error;
	return NULL;
}

void settle_give(struct settle *t, struct savefile *s, int64_t dropped_kernel,
    int64_t dropped_interface)
{
	pthread_mutex_lock(&t->lock);
	while (t->count == SETTLE_MOST)
		pthread_cond_wait(&t->moved, &t->lock);
	t->written[(t->head + t->count) % SETTLE_MOST] = (struct written){ s,
		dropped_kernel, dropped_interface };
	t->count++;
	pthread_cond_broadcast(&t->moved);
	pthread_mutex_unlock(&t->lock);
}

void settle_free(struct settle *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&t->lock);
	t->ending = true;
	pthread_cond_broadcast(&t->moved);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->thread, NULL);
	destroy(t);
}
