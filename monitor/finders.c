#include "monitor/finders.h"

#include "schema/log.h"

#define NODES_OF_A_TORRENT 16

static void on_dht_peer(void *ctx, void *swarm, const struct endpoint *at)
{
	struct finders *f = ctx;

	if (swarm)	/* a decoy has none */
		f->conf.found(f->conf.ctx, swarm, at, BOOK_DHT);
}

static void on_lsd_peer(void *ctx, void *swarm, const struct endpoint *at)
{
	struct finders *f = ctx;

	f->conf.found(f->conf.ctx, swarm, at, BOOK_LSD);
}

static int64_t on_add(void *ctx, const struct record *r)
{
	struct finders *f = ctx;

	return f->conf.add(f->conf.ctx, r);
}

static bool on_stalled(void *ctx, int64_t since_mono_ns)
{
	struct finders *f = ctx;

	return f->conf.stalled(f->conf.ctx, since_mono_ns);
}

static void open_dht(struct finders *f)
{
	const struct options *o = f->conf.opt;
	struct dht_conf conf = { .loop = f->conf.loop, .net = f->net,
		.dir = f->conf.dir, .port = f->conf.port,
		.allow_local = o->allow_local, .announce = o->announce_dht,
		.ctx = f, .add = on_add, .peer = on_dht_peer,
		.stalled = on_stalled };
	struct span host;
	uint16_t port;

	f->dht = dht_new(&conf);
	if (!f->dht)
		log_die("out of memory");
	for (size_t i = 0; i < o->dht_nodes; i++)
		if (options_node(o->dht_node[i], &host, &port) &&
		    !dht_bootstrap(f->dht, host, port))
			log_warn("--dht-node %s is no host", o->dht_node[i]);
}

int finders_open(struct finders *f, const struct finders_conf *conf)
{
	struct datagrams_conf net = { .loop = conf->loop,
		.bind4 = conf->vantage->bind4, .bind6 = conf->vantage->bind6,
		.port = conf->port, .ctx = conf->ctx,
		.blocked = conf->blocked, .full = conf->full,
		.stalled = conf->stall };
	struct lsd_conf lsd = { .loop = conf->loop,
		.interface = conf->opt->interface, .bind4 = net.bind4,
		.bind6 = net.bind6, .port = conf->port, .ctx = f,
		.add = on_add, .peer = on_lsd_peer };

	*f = (struct finders){ .conf = *conf };
	f->net = datagrams_open(&net);
	if (!f->net)
		return -1;
	if (!conf->opt->no_dht)
		open_dht(f);
	if (conf->opt->lsd)
		f->lsd = lsd_new(&lsd);
	return 0;
}

static void take_nodes(struct finders *f, const struct metainfo *mi)
{
	struct cur c = cur_of(mi->nodes);
	struct span host;
	uint16_t port;

	for (int i = 0; i < NODES_OF_A_TORRENT && mi_node(&c, &host, &port);
	    i++)
		dht_bootstrap(f->dht, host, port);
}

void finders_watch(struct finders *f, struct swarm *s)
{
	const struct swarmref *ref = &s->ref;

	if (s->policy.is_private)
		return;
	if (f->dht) {
		if (s->torrent)
			take_nodes(f, &s->torrent->mi);
		s->dht = dht_watch(f->dht, ref->swarm, ref->wire_hash,
		    ref->wire_hashes, s);
		if (!s->dht)
			log_die("out of memory");
	}
	if (f->lsd) {
		s->lsd = lsd_watch(f->lsd, ref->swarm, ref->wire_hash,
		    ref->wire_hashes, s);
		if (!s->lsd)
			log_die("out of memory");
	}
}

void finders_unwatch(struct swarm *s)
{
	dht_unwatch(s->dht);
	lsd_unwatch(s->lsd);
	s->dht = NULL;
	s->lsd = NULL;
}

void finders_decoys(struct finders *f, const struct decoys *d)
{
	const uint8_t *hash;
	const char *text;

	for (unsigned i = 0; f->dht && decoys_hash(d, i, &hash, &text); i++)
		if (!dht_watch(f->dht, text, (const uint8_t (*)[20])hash, 1,
		    NULL))
			log_die("out of memory");
}

void finders_node(struct finders *f, const struct swarm *s,
    const struct endpoint *at)
{
	if (f->dht && s->dht)
		dht_heard(f->dht, at);
}

void finders_stop(struct finders *f)
{
	dht_stop(f->dht);
	lsd_stop(f->lsd);
}

void finders_close(struct finders *f)
{
	datagrams_close(f->net);
	f->net = NULL;
}

void finders_free(struct finders *f)
{
	dht_free(f->dht);
	lsd_free(f->lsd);
	*f = (struct finders){ 0 };
}
