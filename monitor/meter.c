#include "monitor/meter.h"

#define S (1000000000ll)
#define SAVED 4			/* of a second's worth, its reciprocal */

void meter_init(struct meter *m, int64_t per_s, int64_t now_ns)
{
	*m = (struct meter){ .per_s = per_s, .left = per_s / SAVED,
		.paid_ns = now_ns };
}

int64_t meter_left(struct meter *m, int64_t now_ns)
{
	int64_t gone = now_ns - m->paid_ns, due;

	if (m->per_s == 0)
		return INT64_MAX;
	/* More than saves up, and pays whatever one read can owe, in parts
	 * whose product fits. */
	for (; gone >= S && m->left < m->per_s / SAVED; gone -= S)
		m->left += m->per_s;
	if (gone >= S)
		gone = 0;
	due = gone * m->per_s / S;
	m->left += due;
	/* What rounding leaves is paid the next time. */
	m->paid_ns = now_ns - (gone - due * S / m->per_s);
	if (m->left > m->per_s / SAVED)
		m->left = m->per_s / SAVED;
	return m->left;
}

void meter_take(struct meter *m, int64_t bytes)
{
	if (m->per_s)
		m->left -= bytes;
}
