#include "monitor/peerout.h"

#include <stdlib.h>

#include "schema/log.h"
#include "schema/now.h"

/* What the stream would not take waits. */
static void keep(struct peer *p, const uint8_t *bytes, size_t n)
{
	uint8_t *more = realloc(p->out, p->out_n + n);

	if (!more)
		log_die("out of memory for a peer");
	memcpy(more + p->out_n, bytes, n);
	p->out = more;
	p->out_n += n;
}

/* Hands wire bytes to the stream, behind those that wait; those it took are on
 * record. False, with errno: it broke. */
static bool say(struct peer *p, const uint8_t *bytes, size_t n,
    struct stamp at)
{
	ssize_t took = 0;

	if (n == 0)
		return true;
	if (p->out_n == 0)
		took = stream_write(p->stream, bytes, n);
	if (took < 0)
		return false;
	if (took > 0)
		witness_bytes(p->witness, SIDE_US, bytes, (size_t)took, at);
	if ((size_t)took < n)
		keep(p, bytes + took, n - (size_t)took);
	return true;
}

/* What waits, once more. */
static bool say_kept(struct peer *p, struct stamp at)
{
	uint8_t *bytes = p->out;
	size_t n = p->out_n;
	bool sound;

	p->out = NULL;
	p->out_n = 0;
	sound = say(p, bytes, n, at);
	free(bytes);
	return sound;
}

/* The handshake of the encryption has its say first; the policy is heard only
 * once that is over, and sealed. */
static bool say_sealed(struct peer *p, uint8_t *fresh, size_t n,
    struct stamp at)
{
	uint8_t bytes[512];
	size_t took;

	while ((took = cipher_take(p->cipher, bytes, sizeof(bytes))) != 0)
		if (!say(p, bytes, took, at))
			return false;
	if (!cipher_ready(p->cipher))
		return true;
	cipher_seal(p->cipher, fresh, n);
	return say(p, fresh, n, at);
}

bool peerout_flush(struct peer *p)
{
	struct stamp at = stamp_now();	/* of what is said, not of its cause */
	struct peer_env *env = p->env;
	size_t fresh = env->out_n;

	env->out_n = 0;
	if (!say_kept(p, at))
		return false;
	return p->cipher ? say_sealed(p, env->out, fresh, at) :
	    say(p, env->out, fresh, at);
}
