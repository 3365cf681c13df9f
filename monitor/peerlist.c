#include "monitor/peerlist.h"

void peerlist_link(struct peer *p, struct peer **list)
{
	p->list = list;
	p->prev = NULL;
	p->next = *list;
	if (p->next)
		p->next->prev = p;
	*list = p;
}

static void set_lingers(struct peer *p, bool lingers)
{
	if (lingers && !p->lingers)
		TAILQ_INSERT_TAIL(&p->env->lingering, p, lingering);
	else if (!lingers && p->lingers)
		TAILQ_REMOVE(&p->env->lingering, p, lingering);
	p->lingers = lingers;
}

void peerlist_unlink(struct peer *p)
{
	set_lingers(p, false);
	if (p->prev)
		p->prev->next = p->next;
	else
		*p->list = p->next;
	if (p->next)
		p->next->prev = p->prev;
}

void peerlist_linger(struct peer *p)
{
	set_lingers(p, p->session.state == S_LINGER);
}
