/*
 * Time-stamps while a run goes on: each authority is asked on a thread of
 * its own, so that one that is away holds nothing up, nor the others; who gave
 * no token is asked again after a minute, then after ever longer.
 */
#ifndef MONITOR_TSA_H
#define MONITOR_TSA_H

#include <uv.h>

#include "monitor/options.h"
#include "schema/ledger.h"
#include "schema/stamping.h"

#define TSA_EVERY_S 3600
#define TSA_LAST_MS 10000	/* for an answer after the end */

struct tsa;

/* Asks all of --tsa at once about a checkpoint of what is recorded so far, then
 * on its timer. Returns when the questions are on their way. NULL, logged, if
 * it cannot. */
struct tsa *tsa_start(uv_loop_t *loop, struct ledger *l,
    const struct options *o);

/* Stops asking: waits for nobody; what was on its way is on record as given
 * up. After it the loop holds nothing of it open but a handle to close. */
void tsa_stop(struct tsa *t);

/* Asks all about a checkpoint of everything; blocks for TSA_LAST_MS at most, or
 * until SIGINT or SIGTERM, which it takes over. After tsa_stop. */
void tsa_last(struct tsa *t);

/* After the loop let go of its handles. NULL is allowed. */
void tsa_free(struct tsa *t);

#endif
