#include "monitor/vote.h"

bool vote_cast(struct vote *v, const struct endpoint *voter,
    const struct endpoint *says, struct endpoint *winner)
{
	unsigned i;

	if (v->voters == VOTE_VOTERS)
		*v = (struct vote){ 0 };
	for (i = 0; i < v->voters; i++)
		if (endpoint_same_ip(&v->voter[i], voter))
			return false;
	v->voter[v->voters++] = *voter;
	for (i = 0; i < VOTE_SAID && v->said[i].n > 0; i++)
		if (endpoint_same_ip(&v->said[i].at, says))
			break;
	if (i == VOTE_SAID)
		return false;
	v->said[i].at = *says;
	v->said[i].at.port = 0;
	v->said[i].n++;
	if (v->said[i].n < VOTE_LEAST || v->said[i].n * 2 <= v->voters)
		return false;
	*winner = v->said[i].at;
	return true;
}
