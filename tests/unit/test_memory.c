#include "monitor/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (INT64_C(1) << 20)

/* The state that each of these percentages leads to, one after the other. */
static void judges(void **state)
{
	static const struct {
		int percent;
		enum memory_state want;
	} steps[] = {
		{ 0, MEMORY_EASY }, { 79, MEMORY_EASY }, { 80, MEMORY_TIGHT },
		{ 79, MEMORY_TIGHT }, { 70, MEMORY_TIGHT }, { 69, MEMORY_EASY },
		{ 89, MEMORY_TIGHT }, { 90, MEMORY_FULL }, { 85, MEMORY_FULL },
		{ 84, MEMORY_TIGHT }, { 100, MEMORY_FULL }, { 300, MEMORY_FULL },
		{ 70, MEMORY_TIGHT }, { 95, MEMORY_FULL }, { 10, MEMORY_EASY },
		{ 99, MEMORY_FULL }
	};
	enum memory_state now = MEMORY_EASY;

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		now = memory_judge(now, steps[i].percent * MIB, 100 * MIB);
		if (now != steps[i].want)
			fail_msg("step %zu: %s", i, memory_word(now));
	}
}

/* Whatever is allowed: the shares leave the most of it to what is measured. */
static void shares(void **state)
{
	(void)state;
	for (int64_t most = MEMORY_LEAST; most <= MEMORY_MOST; most *= 2)
		for (int packets = 0; packets < 2; packets++) {
			struct memory_share s;
			int64_t book;

			memory_share(most, packets, &s);
			book = (int64_t)s.endpoints * 200;
			assert_true(s.ring_mib >= 8 && s.ring_mib <= 64);
			assert_true(s.queue_bytes >= 4 * MIB &&
			    s.queue_bytes <= 64 * MIB);
			assert_true(s.endpoints >= 40000 &&
			    s.endpoints <= 2000000);
			assert_true(s.own + (packets ? s.ring_mib * MIB : 0) <=
			    most);
			assert_true(book + (int64_t)s.queue_bytes <=
			    s.own / 2);
		}
}

/* What is held is seen, at a look or once enough came in. */
static void looks(void **state)
{
	struct memory m;
	int64_t before;
	char *p;

	(void)state;
	assert_int_equal(memory_open(&m, 1024 * MIB), 0);
	assert_true(m.held > MIB && m.held < 1024 * MIB);
	before = m.held;
	p = malloc(64 * MIB);
	assert_non_null(p);
	memset(p, 1, 64 * MIB);
	assert_int_equal(m.held, before);
	for (int i = 0; i < 17; i++)
		memory_took(&m, MIB);
	assert_true(m.held >= before + 60 * MIB);
	assert_int_equal(m.highest, m.held);
	m.most = m.held;
	assert_true(memory_look(&m));
	assert_int_equal(m.state, MEMORY_FULL);
	assert_false(memory_look(&m));
	free(p);
	memory_close(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(judges),
		cmocka_unit_test(shares),
		cmocka_unit_test(looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
