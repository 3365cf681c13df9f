#include "monitor/learn.h"

#include "monitor/fetch.h"
#include "schema/now.h"

void learn_ask(struct peer *p, struct stamp at)
{
	uint32_t block;

	if (!p->why && p->slot != FETCH_NONE &&
	    fetch_next(p->swarm->fetch, p->slot, at, &block))
		peer_step(p, IN_FETCH, NULL, block, at.mono_ns);
}

static void told_metadata(struct peer *p, const struct event *ev,
    struct stamp at)
{
	struct fetch *f = p->swarm->fetch;

	if (ev->ext == EXT_HANDSHAKE && p->session.extend.metadata_id &&
	    ev->xh.metadata_size != -1) {
		learn_forget(p);
		p->slot = fetch_join(f, ev->xh.metadata_size, p->conn,
		    &p->who, at);
	} else if (p->slot != FETCH_NONE && ev->ext == EXT_UT_METADATA) {
		fetch_answer(f, p->slot, &ev->metadata, at);
	}
	learn_ask(p, at);
}

void learn_told(struct peer *p, const struct event *ev)
{
	if (ev->ext == EXT_UT_PEX && p->session.extend.gossip)
		p->env->gossip(p->env->ctx, p, &ev->pex);
	else if (p->swarm->fetch)
		told_metadata(p, ev, stamp_now());
}

void learn_forget(struct peer *p)
{
	if (p->slot != FETCH_NONE && p->swarm && p->swarm->fetch)
		fetch_leave(p->swarm->fetch, p->slot);
	p->slot = FETCH_NONE;
}
