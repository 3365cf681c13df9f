#include "monitor/metrics.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/log.h"
#include "schema/now.h"

#define RENEW_MS 5000

static void put(FILE *f, const char *name, const char *type, const char *help,
    double value)
{
	fprintf(f, "# HELP swarmwitness_%s %s\n# TYPE swarmwitness_%s %s\n"
	    "swarmwitness_%s %.17g\n", name, help, name, type, name, value);
}

#define gauge(name, help, v) put(f, name, "gauge", help, (double)(v))
#define counter(name, help, v) put(f, name, "counter", help, (double)(v))

static void put_peers(FILE *f, const struct crowd *c)
{
	const struct peer_env *e = &c->env;
	struct book_state b;

	book_state(c->book, &b);
	gauge("swarms", "Swarms watched.", c->swarms.count);
	gauge("endpoints_heard", "Endpoints in the address book.", b.heard);
	gauge("connections", "Connections open.", b.open);
	gauge("dials_half_open", "Dials not answered yet.", b.half_open);
	counter("dials_total", "Dials made.", e->dialled);
	counter("accepted_total", "Incoming connections.", e->accepted);
	counter("refused_total", "Incoming connections refused by our limits.",
	    c->refused);
	counter("reached_total", "Dials answered.", e->reached_count);
	counter("handshaked_total", "Peers whose handshake bore the infohash.",
	    e->met);
	counter("verified_total", "Peers that delivered a piece that matched.",
	    e->verified);
	counter("pieces_matched_total", "Pieces that matched.", e->pieces_ok);
	counter("pieces_failed_total", "Pieces that did not match.",
	    e->pieces_bad);
	counter("received_bytes_total", "Bytes that peers sent.", e->rx_bytes);
	counter("piece_bytes_sent_total", "Bytes of content sent: always 0.",
	    e->piece_bytes_sent);
	gauge("paused", "1 while nobody is read: the ledger is behind, or "
	    "memory full.", e->paused);
	counter("endpoints_forgotten_total", "Endpoints put out of the book "
	    "for newer ones.", b.forgotten);
	counter("endpoints_refused_total", "Endpoints that the book had no "
	    "room for.", b.refused);
	counter("gave_way_total", "Connections with nothing more to ask ended "
	    "for peers never met.", c->gave_way);
}

static void put_memory(FILE *f, const struct crowd *c)
{
	const struct memory *m = c->memory;

	gauge("memory_bytes", "Memory that the monitor holds, its recorder "
	    "not counted.", m->held);
	gauge("memory_highest_bytes", "The most it held.", m->highest);
	gauge("memory_bound_bytes", "The most it may hold.", m->most);
	gauge("memory_state", "0 easy, 1 tight (nobody new), 2 full (nobody "
	    "is read).", m->state);
	counter("memory_ended_total", "Connections ended for want of memory.",
	    c->squeezed);
	counter("memory_refused_total", "Incoming connections refused for want "
	    "of memory.", c->refused_tight);
}

static void put_finders(FILE *f, const struct status *s)
{
	struct datagrams_state u = { 0 };
	struct trackers_state t;
	struct dht_count d = { 0 };

	trackers_state(s->trackers, &t);
	gauge("trackers", "Trackers asked.", t.trackers);
	gauge("trackers_working", "Trackers that answer.", t.working);
	if (s->finders->dht)
		dht_counts(s->finders->dht, &d);
	gauge("dht_nodes_good", "DHT nodes that answer.", d.good[0] + d.good[1]);
	counter("dht_lookups_total", "DHT lookups.", d.lookups);
	if (s->finders->net)
		datagrams_state(s->finders->net, &u);
	counter("datagrams_received_total", "UDP datagrams read.", u.received);
	counter("datagrams_dropped_total", "UDP datagrams that the kernel "
	    "dropped.", u.dropped);
	counter("datagrams_unsent_total", "UDP datagrams not taken by the "
	    "kernel.", u.unsent);
}

static void put_evidence(FILE *f, const struct metrics *m, int64_t utc_ns)
{
	int64_t packets = 0, dropped = 0;
	struct ledger_state l;

	ledger_state(m->of->ledger, &l);
	counter("records_total", "Records in the ledger.", l.records);
	gauge("records_committed", "Of these under a checkpoint.",
	    l.committed);
	gauge("queued_bytes", "Bytes of records not yet written.",
	    l.queued_bytes);
	gauge("checkpoint_age_seconds", "Since the newest checkpoint.",
	    l.checkpoint_utc_ns ? (double)(utc_ns - l.checkpoint_utc_ns) / 1e9 :
	    -1);
	gauge("recording_packets", "1 if packets are recorded.",
	    *m->of->recorder != NULL);
	if (*m->of->recorder)
		recorder_counts(*m->of->recorder, &packets, &dropped);
	counter("packets_total", "Packets recorded.", packets);
	counter("packets_dropped_total", "Packets lost.", dropped);
	gauge("case_bytes", "Bytes that the case takes.", m->disk->used);
	gauge("disk_free_bytes", "Bytes free on its disk.", m->disk->free);
	counter("blocked_addresses_total", "Times an address of the blocklist "
	    "was named.", m->blocked->withheld);
	counter("blocked_connections_total", "Incoming connections refused by "
	    "the blocklist.", m->blocked->refused);
}

static bool write_all(const struct metrics *m)
{
	int64_t utc_ns = stamp_now().utc_ns;
	FILE *f;
	bool ok;

	unlink(m->hidden);	/* a link there could lead anywhere */
	f = fopen(m->hidden, "wxe");
	if (!f)
		return false;
	gauge("start_time_seconds", "When the run began, since 1970.",
	    (double)m->began_utc_ns / 1e9);
	gauge("written_time_seconds", "When this file was written, since 1970.",
	    (double)utc_ns / 1e9);
	put_peers(f, m->of->crowd);
	put_memory(f, m->of->crowd);
	put_finders(f, m->of);
	put_evidence(f, m, utc_ns);
	ok = !ferror(f);
	ok = fclose(f) == 0 && ok;
	return ok && rename(m->hidden, m->file) == 0;
}

static void renew(struct metrics *m)
{
	bool ok = write_all(m);

	if (!ok && !m->told)
		log_warn("%s: %s; the run goes on", m->file, strerror(errno));
	m->told = !ok;
}

static void on_timer(uv_timer_t *timer)
{
	renew(timer->data);
}

void metrics_start(struct metrics *m, uv_loop_t *loop)
{
	char *folder = strdup(m->file), *name = strdup(m->file);

	if (!folder || !name || asprintf(&m->hidden, "%s/.%s.new",
	    dirname(folder), basename(name)) < 0)
		log_die("out of memory");
	free(folder);
	free(name);
	uv_timer_init(loop, &m->timer);
	m->timer.data = m;
	uv_timer_start(&m->timer, on_timer, 0, RENEW_MS);
}

void metrics_end(struct metrics *m)
{
	if (!m->hidden)
		return;
	renew(m);
	unlink(m->hidden);	/* there only if it could not be renamed */
	free(m->hidden);
	m->hidden = NULL;
}
