#include "monitor/packets.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/log.h"
#include "schema/now.h"

#define END_WAIT (RECORDER_END_S * NS_PER_S)
#define LOOK_MS 10000

/* --- what killed runs left ---------------------------------------------------- */

static void keep_left(struct packets *p, const struct recorder_file *f)
{
	struct recorder_file *more = realloc(p->left,
	    (p->left_count + 1) * sizeof(*more));

	if (!more)
		log_die("out of memory");
	more[p->left_count++] = *f;
	p->left = more;
}

/* Finished but in no record, then hidden. Before the recorder makes files of
 * its own. */
static void salvage(struct packets *p, const struct casedir *dir,
    const char *folder)
{
	struct recorder_file f;
	int newest = recorder_number(folder) == 1 ? -1 :
	    recorder_recorded(dir->path);

	while (newest >= 0 && recorder_left(folder, &newest, &f) == 1)
		keep_left(p, &f);
	while (recorder_salvage(folder, &f) == 1)
		keep_left(p, &f);
}

/* --- the recorder --------------------------------------------------------------- */

static void say_no(struct packets *p, const char *why)
{
	snprintf(p->why, sizeof(p->why), "%s", why);
}

/* The addresses are named in the filter: the host's other traffic on these
 * ports, and what it forwards, is none of ours. */
static void start(struct packets *p, const char *folder, uint16_t listen,
    int ring_mib)
{
	const struct options *o = p->options;
	const struct vantage *v = p->vantage;
	struct recorder_conf conf = { .interface = o->interface,
		.filter = p->filter, .folder = folder,
		.first = recorder_number(folder),
		.no_sandbox = o->no_sandbox, .buffer_mib = ring_mib };

	if (o->no_packets) {
		say_no(p, "--no-packets");
		return;
	}
	if (v->locals == 0)
		say_no(p, "no address to record");
	else if (v->more)
		say_no(p, "this host has too many addresses: choose by --bind");
	else if (capture_filter(p->filter, sizeof(p->filter), v->local,
	    v->locals, o->ports_from, o->ports_to, listen) < 0)
		say_no(p, "the filter is too long");
	else
		p->recorder = recorder_start(&conf, p->why);
	if (!p->recorder)
		log_warn("no packets are recorded: %s", p->why);
}

void packets_start(struct packets *p, const struct options *o,
    const struct vantage *v, const struct casedir *dir, uint16_t listen,
    int ring_mib)
{
	char *folder = casedir_file(dir, "packets");

	*p = (struct packets){ .options = o, .vantage = v };
	salvage(p, dir, folder);
	start(p, folder, listen, ring_mib);
	free(folder);
}

static void put(struct packets *p, const struct recorder_file *f, bool left)
{
	packetlog_file(p->run, f, p->options->interface ?
	    p->options->interface : "any", p->filter, left);
}

void packets_account(struct packets *p, struct runlog *run)
{
	p->run = run;
	for (size_t i = 0; i < p->left_count; i++)
		put(p, &p->left[i], true);
	if (!p->recorder)
		packetlog_none(run, p->why);
}

/* --- while the run goes on --------------------------------------------------------- */

/* Records what is finished. False once the child is gone. */
static bool take(struct packets *p)
{
	struct recorder_file f;
	int rc;

	while ((rc = recorder_next(p->recorder, &f)) == 1)
		if (p->run)		/* else the run never began */
			put(p, &f, false);
	return rc == 0;
}

static void unwatch(struct packets *p)
{
	if (!p->watching)
		return;
	uv_close((uv_handle_t *)&p->savefiles, NULL);
	uv_close((uv_handle_t *)&p->look, NULL);
	p->watching = false;
}

static void on_savefile(uv_poll_t *poll, int status, int events)
{
	struct packets *p = poll->data;

	(void)status;
	(void)events;
	if (take(p))
		return;
	packetlog_none(p->run, recorder_end(p->recorder));
	unwatch(p);
	recorder_free(p->recorder);
	p->recorder = NULL;
}

/* The child could not take another filter any more: it has no privilege. */
static void on_look(uv_timer_t *look)
{
	struct packets *p = look->data;
	char ip[ENDPOINT_IP_MAX], why[160];
	struct vantage now;

	vantage_find(&now, p->options);
	for (size_t i = 0; i < now.locals; i++) {
		if (vantage_is_local(p->vantage, &now.local[i]) ||
		    !vantage_use(&p->unseen, &now.local[i]))
			continue;
		snprintf(why, sizeof(why), "%s is new on this host, and not in "
		    "the filter: its packets are not recorded",
		    endpoint_ip(&now.local[i], ip));
		packetlog_none(p->run, why);
		log_warn("%s", why);
	}
}

void packets_watch(struct packets *p, uv_loop_t *loop)
{
	if (!p->recorder)
		return;
	uv_poll_init(loop, &p->savefiles, recorder_fd(p->recorder));
	uv_timer_init(loop, &p->look);
	p->savefiles.data = p->look.data = p;
	p->watching = true;
	uv_poll_start(&p->savefiles, UV_READABLE, on_savefile);
	uv_timer_start(&p->look, on_look, LOOK_MS, LOOK_MS);
}

void packets_end(struct packets *p)
{
	int64_t until = stamp_now().mono_ns + END_WAIT;
	struct pollfd fd;

	if (!p->recorder)
		return;
	unwatch(p);
	recorder_stop(p->recorder);
	fd = (struct pollfd){ recorder_fd(p->recorder), POLLIN, 0 };
	while (take(p)) {
		if (stamp_now().mono_ns > until) {
			log_warn("the packet recorder does not end");
			break;
		}
		poll(&fd, 1, 100);
	}
	recorder_free(p->recorder);
	p->recorder = NULL;
}

void packets_free(struct packets *p)
{
	free(p->left);
	p->left = NULL;
}
