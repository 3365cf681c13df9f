#include "schema/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/json.h"
#include "schema/log.h"
#include "schema/now.h"

#define LOOK_NS (10 * NS_PER_MS)	/* between two looks at the command */
#define SOCKET_FD 3		/* of the child */

/* The child's word on one checkpoint. */
struct verdict {
	uint64_t number;	/* of the checkpoint, as they were handed over */
	int error;		/* errno: it could not be run */
	bool late;		/* ended by us */
	int status;		/* as wait gives it */
	int64_t took_ms;
};

struct publisher {
	const char *command;
	int fd;
	pid_t child;
	pthread_t thread;
	bool begun;
	pthread_mutex_t lock;	/* of what follows */
	pthread_cond_t work;
	char waiting[PUBLISH_WAITING][NOTE_MAX];
	unsigned first, n;
	int64_t left_out;	/* since the last record */
	bool stop;
	uint64_t sent;		/* the thread's: to the child */
	pthread_mutex_t adding;	/* of add and its ctx */
	int64_t (*add)(void *ctx, const struct record *r);
	void *ctx;
};

/* --- the child ------------------------------------------------------------- */

__attribute__((noreturn))
static void become_command(const char *command, int in)
{
	int null = open("/dev/null", O_RDWR);

	setpgid(0, 0);
	if (null < 0 || dup2(in, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(null, 2) < 0)
		_exit(127);
	close_range(3, ~0u, 0);
	signal(SIGPIPE, SIG_DFL);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

static void run_command(const char *command, const char *note, size_t n,
    struct verdict *v)
{
	static const struct timespec look = { .tv_nsec = LOOK_NS };
	int64_t from = clock_ns(CLOCK_MONOTONIC), took = 0;
	int pipes[2];
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		v->error = errno;
		return;
	}
	if (pid == 0)
		become_command(command, pipes[0]);
	setpgid(pid, pid);
	close(pipes[0]);
	/* A note is smaller than a pipe: this does not wait. Who does not
	 * read it is told from by the exit status. */
	if (write(pipes[1], note, n) < 0)
		v->error = 0;
	close(pipes[1]);
	while (waitpid(pid, &v->status, WNOHANG) == 0) {
		took = clock_ns(CLOCK_MONOTONIC) - from;
		if (!v->late && took > PUBLISH_LIMIT_S * NS_PER_S) {
			v->late = true;
			kill(-pid, SIGKILL);
		}
		nanosleep(&look, NULL);
	}
	kill(-pid, SIGKILL);	/* what it left running */
	v->took_ms = (clock_ns(CLOCK_MONOTONIC) - from) / NS_PER_MS;
}

/* Until the parent is gone. */
__attribute__((noreturn))
static void serve(const char *command, int fd)
{
	char note[NOTE_MAX];
	uint64_t number = 0;
	ssize_t n;

	while ((n = recv(fd, note, sizeof(note), 0)) > 0) {
		struct verdict v = { .number = ++number };

		run_command(command, note, (size_t)n, &v);
		if (send(fd, &v, sizeof(v), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

__attribute__((noreturn))
static void become_child(const char *command, int fd, int (*drop)(int))
{
	sigset_t none;
	int null = open("/dev/null", O_RDWR);

	/* Not of the terminal's process group: an interrupt is the run's. */
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < 32; s++)
		signal(s, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(null, 2) < 0 || (drop && drop(-1) < 0) ||
	    (fd != SOCKET_FD && dup2(fd, SOCKET_FD) < 0))
		_exit(1);
	close_range(SOCKET_FD + 1, ~0u, 0);
	fcntl(SOCKET_FD, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_NAME, "checkpoints");
	serve(command, SOCKET_FD);
}

/* --- our side --------------------------------------------------------------- */

struct publisher *publisher_start(const char *command, int (*drop)(int))
{
	struct publisher *p = calloc(1, sizeof(*p));
	int fds[2];

	if (p == NULL)
		log_die("out of memory");
	p->command = command;
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_init(&p->adding, NULL);
	pthread_cond_init(&p->work, NULL);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		goto fail;
	p->child = fork();
	if (p->child == 0)
		become_child(command, fds[1], drop);
	close(fds[1]);
	p->fd = fds[0];
	if (p->child > 0)
		return p;
	close(fds[0]);
fail:
	log_warn("--on-checkpoint: %s", strerror(errno));
	free(p);
	return NULL;
}

static const char *outcome_of(const struct verdict *v)
{
	if (v->error)
		return "error";
	if (v->late)
		return "timeout";
	return WIFEXITED(v->status) && WEXITSTATUS(v->status) == 0 ? "ok" :
	    "failed";
}

static void tell(struct publisher *p, const struct checkpoint *c,
    const struct verdict *v, int64_t left_out)
{
	const char *outcome = outcome_of(v);
	struct record r = { .at = stamp_now(), .kind = "published",
		.conn = CONN_NONE };
	struct json j;

	if (strcmp(outcome, "ok") != 0)
		log_warn("--on-checkpoint: the checkpoint of %llu records: "
		    "%s%s%s", (unsigned long long)c->size, outcome,
		    v->error ? ": " : "", v->error ? strerror(v->error) : "");
	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_uint(&j, "size", c->size);
	json_str(&j, "outcome", outcome);
	if (v->error == 0 && WIFEXITED(v->status))
		json_int(&j, "exit_status", WEXITSTATUS(v->status));
	else
		json_null(&j, "exit_status");
	json_str(&j, "error", v->error ? strerror(v->error) : NULL);
	json_int(&j, "took_ms", v->took_ms);
	json_int(&j, "left_out", left_out);
	json_close(&j, '}');
	r.detail = json_done(&j);
	pthread_mutex_lock(&p->adding);
	if (p->add)
		p->add(p->ctx, &r);
	pthread_mutex_unlock(&p->adding);
	json_fini(&j);
}

/* What the child says of the last one sent. It ends what takes too long; it
 * itself is not waited for much longer, and what it says later is let pass. */
static struct verdict hear(struct publisher *p)
{
	struct pollfd fd = { .fd = p->fd, .events = POLLIN };
	struct verdict v;

	do {
		if (poll(&fd, 1, (PUBLISH_LIMIT_S + 10) * 1000) != 1)
			return (struct verdict){ .error = ETIMEDOUT };
		if (recv(p->fd, &v, sizeof(v), 0) != sizeof(v))
			return (struct verdict){ .error = EPIPE };
	} while (v.number != p->sent);
	return v;
}

static void hand_out(struct publisher *p, const char *note, int64_t left_out)
{
	struct verdict v = { .error = EPIPE };
	struct checkpoint c = { 0 };

	note_read(span_str(note), &c);
	if (send(p->fd, note, strlen(note), MSG_NOSIGNAL) < 0) {
		v.error = errno;
	} else {
		p->sent++;
		v = hear(p);
	}
	tell(p, &c, &v, left_out);
}

static void *hands(void *arg)
{
	struct publisher *p = arg;
	char note[NOTE_MAX];
	int64_t left_out;

	for (;;) {
		pthread_mutex_lock(&p->lock);
		while (p->n == 0 && !p->stop)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->n == 0) {
			pthread_mutex_unlock(&p->lock);
			return NULL;
		}
		memcpy(note, p->waiting[p->first], sizeof(note));
		p->first = (p->first + 1) % PUBLISH_WAITING;
		p->n--;
		left_out = p->left_out;
		p->left_out = 0;
		pthread_mutex_unlock(&p->lock);
		hand_out(p, note, left_out);
	}
}

void publisher_begin(struct publisher *p, int64_t (*add)(void *ctx,
    const struct record *r), void *ctx)
{
	if (p == NULL)
		return;
	p->add = add;
	p->ctx = ctx;
	p->begun = pthread_create(&p->thread, NULL, hands, p) == 0;
	if (p->begun)
		pthread_setname_np(p->thread, "publisher");
	else
		log_warn("--on-checkpoint: no thread");
}

void publisher_put(void *publisher, const char *note)
{
	struct publisher *p = publisher;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	if (p->n == PUBLISH_WAITING) {
		p->first = (p->first + 1) % PUBLISH_WAITING;
		p->n--;
		p->left_out++;
	}
	snprintf(p->waiting[(p->first + p->n++) % PUBLISH_WAITING], NOTE_MAX,
	    "%s", note);
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}

void publisher_quiet(struct publisher *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->adding);
	p->add = NULL;
	pthread_mutex_unlock(&p->adding);
}

void publisher_close(struct publisher *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	for (; p->n > 1; p->n--) {	/* the newest says all of them */
		p->first = (p->first + 1) % PUBLISH_WAITING;
		p->left_out++;
	}
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
	if (p->begun)
		pthread_join(p->thread, NULL);
	close(p->fd);
	waitpid(p->child, NULL, 0);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->adding);
	pthread_cond_destroy(&p->work);
	free(p);
}
