/*
 * For tests on a uv loop.
 */
#ifndef TESTS_LOOP_KIT_H
#define TESTS_LOOP_KIT_H

#include <stdbool.h>
#include <uv.h>

static void loop_on_late(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* Whatever the loop has to do within so many milliseconds, and that long. */
static inline void loop_run_ms(uv_loop_t *loop, uint64_t ms)
{
	uv_timer_t late;
	bool over = false;

	uv_timer_init(loop, &late);
	late.data = &over;
	uv_update_time(loop);
	uv_timer_start(&late, loop_on_late, ms, 0);
	while (!over)
		uv_run(loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&late, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
}

/* Until that holds; a machine that is late has so many seconds. */
#define loop_run_until(loop, held, seconds) do { \
	for (unsigned tens_ = 0; tens_ < (seconds) * 10u && !(held); tens_++) \
		loop_run_ms((loop), 100); \
} while (0)

#endif
