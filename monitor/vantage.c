#include "monitor/vantage.h"

#include <uv.h>

#include "monitor/sock.h"

static bool reaches_out(const struct endpoint *e, bool allow_local)
{
	const char *special = endpoint_special(e);

	if (!special)
		return true;
	/* A private address may lead out through a translator. */
	return strcmp(special, "private") == 0 ||
	    strcmp(special, "shared by a carrier") == 0 ||
	    (allow_local && strcmp(special, "link-local") != 0);
}

bool vantage_use(struct vantage *v, const struct endpoint *e)
{
	if (vantage_is_local(v, e))
		return false;
	v->more = v->locals == VANTAGE_MAX;
	if (!v->more)
		v->local[v->locals++] = *e;
	return !v->more;
}

static void look_at(struct vantage *v, const struct options *o,
    const struct endpoint *e)
{
	if (v->n < VANTAGE_MAX)
		v->at[v->n++] = *e;
	if (o->bind4.family || o->bind6.family ||
	    !reaches_out(e, o->allow_local))
		return;
	*(e->family == 4 ? &v->bind4 : &v->bind6) =
	    (struct endpoint){ .family = e->family };
	vantage_use(v, e);
}

void vantage_find(struct vantage *v, const struct options *o)
{
	uv_interface_address_t *list;
	struct endpoint e;
	int n;

	*v = (struct vantage){ .bind4 = o->bind4, .bind6 = o->bind6 };
	if (o->bind4.family)
		vantage_use(v, &o->bind4);
	if (o->bind6.family)
		vantage_use(v, &o->bind6);
	if (uv_interface_addresses(&list, &n) < 0)
		return;
	for (int i = 0; i < n; i++) {
		if (!sock_endpoint((struct sockaddr *)&list[i].address, &e))
			continue;
		e.port = 0;
		look_at(v, o, &e);
	}
	uv_free_interface_addresses(list, n);
}

bool vantage_is_local(const struct vantage *v, const struct endpoint *e)
{
	struct endpoint bare = *e;

	bare.port = 0;
	for (size_t i = 0; i < v->locals; i++)
		if (endpoint_cmp(&v->local[i], &bare) == 0)
			return true;
	return false;
}
