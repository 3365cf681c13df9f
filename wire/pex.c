#include "pex.h"

/* Once: a repeat does not overrule it. */
static void take(const struct ben *v, struct span *list, unsigned *odd)
{
	if (v->type != BEN_STR || list->p)
		*odd |= PEX_ODD_TYPE;
	else
		*list = v->text;
}

static void judge(struct pex_msg *m)
{
	size_t a4 = m->added.n / 6, a6 = m->added6.n / 18;
	size_t d4 = m->dropped.n / 6, d6 = m->dropped6.n / 18;

	m->n_added = (uint32_t)(a4 + a6);
	m->n_dropped = (uint32_t)(d4 + d6);
	if (m->added.n % 6 || m->added6.n % 18 || m->dropped.n % 6 ||
	    m->dropped6.n % 18)
		m->odd |= PEX_ODD_BYTES;
	if ((m->flags.p && m->flags.n != a4) ||
	    (m->flags6.p && m->flags6.n != a6))
		m->odd |= PEX_ODD_FLAGS;
	if (m->n_added > PEX_USUAL || m->n_dropped > PEX_USUAL)
		m->odd |= PEX_ODD_MANY;
}

enum wire_status pex_read(struct span payload, struct pex_msg *m,
    struct wire_error *err)
{
	struct cur in = cur_of(payload), c;
	struct ben dict, v;
	struct span key;

	*m = (struct pex_msg){ 0 };
	if (ben_dict(&in, &dict, &m->notes, "peer exchange ends too early",
	    "peer exchange is not a dictionary", err) != WIRE_OK)
		return WIRE_BAD;
	if (cur_left(&in) != 0)
		m->notes |= BEN_TRAILING;
	for (c = cur_of(dict.text); ben_pair(&c, &key, &v);) {
		if (span_is(key, "added"))
			take(&v, &m->added, &m->odd);
		else if (span_is(key, "added.f"))
			take(&v, &m->flags, &m->odd);
		else if (span_is(key, "added6"))
			take(&v, &m->added6, &m->odd);
		else if (span_is(key, "added6.f"))
			take(&v, &m->flags6, &m->odd);
		else if (span_is(key, "dropped"))
			take(&v, &m->dropped, &m->odd);
		else if (span_is(key, "dropped6"))
			take(&v, &m->dropped6, &m->odd);
	}
	judge(m);
	return WIRE_OK;
}

bool pex_peer(const struct pex_msg *m, struct pex_peers *it,
    struct pex_peer *p)
{
	static const size_t each[4] = { 6, 18, 6, 18 };

	if (!it->begun) {
		const struct span list[4] = { m->added, m->added6, m->dropped,
			m->dropped6 };

		for (unsigned i = 0; i < 4; i++)
			it->list[i] = cur_of(list[i]);
		it->flags[0] = cur_of(m->flags);
		it->flags[1] = cur_of(m->flags6);
		it->begun = true;
	}
	while (it->at < 4 && cur_left(&it->list[it->at]) < each[it->at])
		it->at++;
	if (it->at == 4)
		return false;
	*p = (struct pex_peer){ .dropped = it->at >= 2 };
	p->at = each[it->at] == 6 ? endpoint_take4(&it->list[it->at]) :
	    endpoint_take6(&it->list[it->at]);
	if (!p->dropped && cur_left(&it->flags[it->at])) {
		p->has_flags = true;
		p->flags = cur_u8(&it->flags[it->at]);
	}
	return true;
}
