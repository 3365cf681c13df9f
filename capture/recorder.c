#include "capture/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture/privilege.h"
#include "capture/sandbox.h"
#include "capture/settle.h"
#include "schema/log.h"

#define SNAPLEN 262144		/* no packet is cut */
#define BLOCK_MS 100		/* the kernel hands over at least this often */
#define DRAIN_MS 60000		/* at the end, for what lies in the ring */
#define WHY 256

enum report_kind {
	REPORT_ACTIVE,		/* .text: link type, snap length */
	REPORT_FAILED,		/* .text: why; only the open file follows */
	REPORT_FILE,
	REPORT_COUNTS
};

/* From child to parent, one a datagram. */
struct report {
	enum report_kind kind;
	struct recorder_file file;
	int64_t packets, dropped;
	char text[WHY];
};

/* --- the child ----------------------------------------------------------- */

struct child {
	const struct recorder_conf *conf;
	int folder, line;
	pcap_t *live;
	struct savefile *file;
	struct settle *settle;	/* has those that were written */
	int number;
	int64_t opened_ms;
	int64_t packets, newest_ns;
	int64_t kernel, interface;	/* drops reported with files so far */
	bool cut;		/* it left something in the ring */
	atomic_bool failed;
};

static volatile sig_atomic_t terminated;

static void on_term(int sig)
{
	(void)sig;
	terminated = 1;
}

static int64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ms(void)
{
	return now_ns(CLOCK_MONOTONIC) / 1000000;
}

/* Counts may be dropped when the parent is slow; nothing else may. */
static void tell(const struct child *c, const struct report *r)
{
	ssize_t put;

	do {
		put = send(c->line, r, sizeof(*r), MSG_NOSIGNAL |
		    (r->kind == REPORT_COUNTS ? MSG_DONTWAIT : 0));
	} while (put < 0 && errno == EINTR);
}

static void fail(struct child *c, const char *what, const char *why)
{
	struct report r = { .kind = REPORT_FAILED };

	snprintf(r.text, sizeof(r.text), "%s: %.200s", what, why);
	if (!atomic_exchange(&c->failed, true))
		tell(c, &r);
}

static void read_drops(struct child *c, int64_t *kernel, int64_t *interface)
{
	struct pcap_stat st = { 0 };

	*kernel = c->kernel;
	*interface = c->interface;
	if (pcap_stats(c->live, &st) == 0) {
		*kernel = st.ps_drop;
		*interface = st.ps_ifdrop;
	}
}

static bool open_file(struct child *c)
{
	c->file = savefile_open(c->folder, c->number, c->live);
	c->opened_ms = now_ms();
	if (c->file == NULL)
		fail(c, "savefile", strerror(errno));
	else
		c->number++;
	return c->file != NULL;
}

static void close_file(struct child *c)
{
	int64_t kernel, interface;

	if (c->file == NULL)
		return;
	read_drops(c, &kernel, &interface);
	settle_give(c->settle, c->file, c->cut ? -1 : kernel - c->kernel,
	    c->cut ? -1 : interface - c->interface);
	c->kernel = kernel;
	c->interface = interface;
	c->file = NULL;
}

/* --- on the thread that settles files ------------------------------------ */

static bool confine(void *ctx)
{
	const struct child *c = ctx;
	struct sandbox_path folder = { c->conf->folder, true };
	struct sandbox sandbox;

	return c->conf->no_sandbox || sandbox_enter(SANDBOX_RECORDER, &folder,
	    1, &sandbox) == 0;
}

static void settled(void *ctx, const struct recorder_file *f, int error)
{
	struct child *c = ctx;
	struct report r = { .kind = REPORT_FILE };

	if (error) {
		fail(c, "savefile", strerror(error));
		return;
	}
	r.file = *f;
	tell(c, &r);
}

/* --- packets --------------------------------------------------------------- */

static void on_packet(unsigned char *ctx, const struct pcap_pkthdr *h,
    const unsigned char *bytes)
{
	struct child *c = (struct child *)(void *)ctx;

	if (c->failed)
		return;
	if (savefile_bytes(c->file) + 16 + (int64_t)h->caplen >
	    c->conf->rotate_bytes && savefile_bytes(c->file) > 0) {
		close_file(c);
		if (c->failed || !open_file(c))
			return;
	}
	c->packets++;
	/* As savefiles have it: nanoseconds in both. */
	c->newest_ns = (int64_t)h->ts.tv_sec * 1000000000 + h->ts.tv_usec;
	if (!savefile_add(c->file, h, bytes))
		fail(c, "savefile", strerror(errno));
}

/* Once a second: the file's age, what lies in buffers, the counts. */
static void tick(struct child *c)
{
	struct report r = { .kind = REPORT_COUNTS, .packets = c->packets };
	int64_t kernel, interface;

	if (now_ms() - c->opened_ms >= (int64_t)c->conf->rotate_s * 1000) {
		close_file(c);
		if (c->failed || !open_file(c))
			return;
	}
	if (!savefile_flush(c->file)) {
		fail(c, "savefile", strerror(errno));
		return;
	}
	read_drops(c, &kernel, &interface);
	r.dropped = kernel + interface;
	tell(c, &r);
}

static bool activate(struct child *c)
{
	const struct recorder_conf *conf = c->conf;
	char err[PCAP_ERRBUF_SIZE] = "";
	struct bpf_program program;
	int got;

	c->live = pcap_create(conf->interface, err);
	if (c->live == NULL) {
		fail(c, conf->interface, err);
		return false;
	}
	pcap_set_snaplen(c->live, SNAPLEN);
	/* "any" cannot be, and would say so as a failure. */
	pcap_set_promisc(c->live, conf->promiscuous &&
	    strcmp(conf->interface, "any") != 0);
	pcap_set_timeout(c->live, BLOCK_MS);
	pcap_set_buffer_size(c->live, conf->buffer_mib << 20);
	if (pcap_set_tstamp_precision(c->live, PCAP_TSTAMP_PRECISION_NANO)
	    != 0) {
		fail(c, conf->interface, "no nanosecond stamps");
		return false;
	}
	got = pcap_activate(c->live);
	if (got < 0) {
		const char *why = pcap_geterr(c->live);

		fail(c, conf->interface, why[0] ? why :
		    pcap_statustostr(got));
		return false;
	}
	if (strcmp(conf->interface, "any") == 0)
		pcap_set_datalink(c->live, DLT_LINUX_SLL2);
	if (conf->filter != NULL) {
		got = pcap_compile(c->live, &program, conf->filter, 1,
		    PCAP_NETMASK_UNKNOWN);
		if (got == 0) {
			got = pcap_setfilter(c->live, &program);
			pcap_freecode(&program);
		}
		if (got != 0) {
			fail(c, "filter", pcap_geterr(c->live));
			return false;
		}
	}
	if (pcap_setnonblock(c->live, 1, err) < 0) {
		fail(c, conf->interface, err);
		return false;
	}
	return true;
}

static bool begin(struct child *c)
{
	struct report r = { .kind = REPORT_ACTIVE };
	const char *link;

	if (!activate(c))
		return false;
	if (privilege_drop(c->folder) < 0) {
		fail(c, "cannot drop privilege", strerror(errno));
		return false;
	}
	/* A change of user clears it, so not before. */
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	/* Each thread by itself; then there can be no others. */
	c->settle = settle_new(confine, settled, c);
	if (c->settle == NULL || !confine(c)) {
		fail(c, "cannot confine itself", strerror(errno));
		return false;
	}
	if (!open_file(c))
		return false;
	link = pcap_datalink_val_to_name(pcap_datalink(c->live));
	snprintf(r.text, sizeof(r.text), "%s, %s, %d bytes a packet at most",
	    c->conf->interface, link ? link : "?", pcap_snapshot(c->live));
	tell(c, &r);
	return true;
}

/* False when the capture broke. */
static bool take(struct child *c, int *n)
{
	*n = pcap_dispatch(c->live, 4096, on_packet,
	    (unsigned char *)(void *)c);
	if (*n < 0)
		fail(c, c->conf->interface, pcap_geterr(c->live));
	return !c->failed;
}

static void record(struct child *c)
{
	struct pollfd fds[2] = {
		{ .fd = pcap_get_selectable_fd(c->live), .events = POLLIN },
		{ .fd = c->line, .events = POLLIN }
	};
	int64_t ticked = now_ms(), stop = 0, stop_ns = 0;
	int n = 0;

	for (;;) {
		/* The parent says nothing: it hangs up. What came by then, and
		 * a little later, is taken, however long that takes. */
		if (stop == 0 && (terminated || fds[1].revents != 0)) {
			stop = now_ms();
			stop_ns = now_ns(CLOCK_REALTIME) +
			    3 * BLOCK_MS * 1000000LL;
		}
		if (!take(c, &n))
			return;
		if (stop != 0 && (c->newest_ns > stop_ns ||
		    (n == 0 && now_ms() - stop > 3 * BLOCK_MS)))
			return;
		if (stop != 0 && now_ms() - stop > DRAIN_MS) {
			c->cut = true;
			return;
		}
		if (now_ms() - ticked >= 1000) {
			ticked = now_ms();
			tick(c);
			if (c->failed)
				return;
		}
		if (poll(fds, stop ? 1 : 2, n ? 0 : BLOCK_MS) < 0)
			fds[1].revents = 0;
	}
}

static void close_others(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;

	if (low > 3)
		close_range(3, (unsigned)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0u, 0);
}

static void run_child(const struct recorder_conf *conf, int folder, int line)
{
	struct child c = { .conf = conf, .folder = folder, .line = line,
	    .number = conf->first };
	struct sigaction act = { .sa_handler = on_term };

	close_others(folder, line);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &act, NULL);
	/* Should the parent be gone already, the line says so. */
	if (begin(&c))
		record(&c);
	close_file(&c);
	settle_free(c.settle);
	if (c.live != NULL)
		pcap_close(c.live);
	_exit(c.failed);
}

/* --- the parent ---------------------------------------------------------- */

struct recorder {
	pid_t pid;
	int line;
	bool asked, gone;
	int64_t packets, dropped;
	char *about;
	char end[WHY + 32];
};

static bool receive(struct recorder *r, struct report *got, int flags)
{
	ssize_t n;

	do {
		n = recv(r->line, got, sizeof(*got), flags);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(*got))
		return true;
	if (n == 0 || (n < 0 && errno != EAGAIN))
		r->gone = true;
	return false;
}

static void settle(const struct recorder_conf *given, struct recorder_conf *c)
{
	*c = *given;
	if (c->interface == NULL)
		c->interface = "any";
	if (c->rotate_bytes <= 0)
		c->rotate_bytes = 64 << 20;
	if (c->rotate_s <= 0)
		c->rotate_s = 300;
	if (c->buffer_mib <= 0)
		c->buffer_mib = 64;
}

struct recorder *recorder_start(const struct recorder_conf *given, char *why)
{
	struct recorder_conf conf;
	struct recorder *r = calloc(1, sizeof(*r));
	struct report first = { 0 };
	int line[2] = { -1, -1 }, folder = -1;

	settle(given, &conf);
	snprintf(why, WHY, "out of memory");
	if (r == NULL)
		return NULL;
	r->line = -1;
	folder = open(conf.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0) {
		snprintf(why, WHY, "%.200s: %s", conf.folder, strerror(errno));
		goto fail;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line) < 0 ||
	    (r->pid = fork()) < 0) {
		snprintf(why, WHY, "no child process: %s", strerror(errno));
		goto fail;
	}
	if (r->pid == 0)
		run_child(&conf, folder, line[1]);
	close(folder);
	close(line[1]);
	folder = line[1] = -1;
	r->line = line[0];
	if (!receive(r, &first, 0) || first.kind != REPORT_ACTIVE) {
		snprintf(why, WHY, "%s", first.text[0] ? first.text :
		    "the recorder ended");
		recorder_free(r);
		return NULL;
	}
	if (asprintf(&r->about, "%s; filter: %s", first.text,
	    conf.filter ? conf.filter : "none") < 0)
		r->about = NULL;
	return r;
fail:
	if (folder >= 0)
		close(folder);
	if (line[0] >= 0) {
		close(line[0]);
		close(line[1]);
	}
	free(r);
	return NULL;
}

int recorder_fd(const struct recorder *r)
{
	return r->line;
}

int recorder_next(struct recorder *r, struct recorder_file *f)
{
	struct report got;

	while (receive(r, &got, MSG_DONTWAIT)) {
		switch (got.kind) {
		case REPORT_FILE:
			*f = got.file;
			return 1;
		case REPORT_COUNTS:
			r->packets = got.packets;
			r->dropped = got.dropped;
			break;
		case REPORT_FAILED:
			log_warn("packet recorder: %s", got.text);
			snprintf(r->end, sizeof(r->end), "the recorder ended: "
			    "%s", got.text);
			r->asked = true;	/* one reason is enough */
			break;
		case REPORT_ACTIVE:
			break;
		}
	}
	if (!r->gone)
		return 0;
	if (!r->asked)
		log_warn("packet recorder: ended unasked");
	r->asked = true;
	return -1;
}

const char *recorder_describe(const struct recorder *r)
{
	return r->about ? r->about : "";
}

const char *recorder_end(const struct recorder *r)
{
	return r->end[0] ? r->end : "the recorder ended";
}

void recorder_counts(const struct recorder *r, int64_t *packets,
    int64_t *dropped)
{
	*packets = r->packets;
	*dropped = r->dropped;
}

void recorder_stop(struct recorder *r)
{
	r->asked = true;
	shutdown(r->line, SHUT_WR);
}

void recorder_free(struct recorder *r)
{
	if (r == NULL)
		return;
	if (r->line >= 0)
		close(r->line);		/* which ends it, if nothing did */
	while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(r->about);
	free(r);
}
