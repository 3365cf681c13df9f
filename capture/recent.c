#include "capture/recent.h"

#include <stdlib.h>

int recent_init(struct recent *r)
{
	*r = (struct recent){ .next = 1, .first = 1 };
	r->entry = calloc(RECENT_ENTRIES, sizeof(*r->entry));
	return r->entry ? 0 : -1;
}

void recent_fini(struct recent *r)
{
	free(r->entry);
	*r = (struct recent){ 0 };
}

void recent_add(struct recent *r, uint64_t *chain, uint32_t key, uint32_t n,
    uint64_t offset)
{
	r->entry[r->next % RECENT_ENTRIES] = (struct recent_entry){
	    .before = *chain, .offset = offset, .key = key, .n = n };
	*chain = r->next++;
}

const struct recent_entry *recent_back(const struct recent *r,
    uint64_t *chain)
{
	const struct recent_entry *e;

	if (*chain < r->first || *chain + RECENT_ENTRIES < r->next ||
	    *chain == 0)
		return NULL;
	e = &r->entry[*chain % RECENT_ENTRIES];
	*chain = e->before;
	return e;
}

void recent_forget(struct recent *r)
{
	r->first = r->next;
}
