#include "monitor/asks.h"

unsigned asks_count(const struct session_ask *a, int state)
{
	unsigned n = 0;

	for (int i = 0; i < SESSION_ASKS_MAX; i++)
		n += (int)a[i].state == state;
	return n;
}

unsigned asks_pieces(const struct session_ask *a)
{
	unsigned n = 0;

	for (int i = 0; i < SESSION_ASKS_MAX; i++) {
		int k = 0;

		while (k < i && (a[k].state == ASK_FREE ||
		    a[k].piece != a[i].piece))
			k++;
		n += a[i].state != ASK_FREE && k == i;
	}
	return n;
}

struct session_ask *asks_find(struct session_ask *a, const struct pw_msg *m)
{
	for (int i = 0; i < SESSION_ASKS_MAX; i++)
		if (a[i].state == ASK_SENT && a[i].piece == m->index &&
		    a[i].begin == m->begin && a[i].bytes == m->bytes)
			return &a[i];
	return NULL;
}
