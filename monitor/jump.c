#include "monitor/jump.h"

void jump_between(const struct jump_clocks *before,
    const struct jump_clocks *after, int64_t *slept_ns, int64_t *stepped_ns)
{
	int64_t passed = after->mono_ns - before->mono_ns;
	int64_t slept = after->boot_ns - before->boot_ns - passed;
	int64_t stepped = after->wall_ns - before->wall_ns - passed - slept;

	*slept_ns = slept > JUMP_LEAST_NS ? slept : 0;
	*stepped_ns = stepped > JUMP_LEAST_NS || stepped < -JUMP_LEAST_NS ?
	    stepped : 0;
}
