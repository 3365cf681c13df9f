#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/json.h"
#include "schema/runs.h"

#define CASE "0123456789abcdef0123456789abcdef"
#define ZEROS "00000000000000000000000000000000" \
	"00000000000000000000000000000000"
#define AT 1700000000123456789

static char dir[] = "/tmp/test_runs.XXXXXX";
static char key[64], file[80], text[8192];

static int make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(key, sizeof(key), "%s/key", dir);
	snprintf(file, sizeof(file), "%s.runs", key);
	return 0;
}

static int start(void **state)
{
	(void)state;
	unlink(file);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

static void load(void)
{
	FILE *f = fopen(file, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	text[n] = '\0';
	fclose(f);
}

static void store(const char *s, size_t n)
{
	FILE *f = fopen(file, "w");

	fwrite(s, 1, n, f);
	fclose(f);
}

static int add(struct run_link *link)
{
	return runs_add(key, CASE, 7, AT, link);
}

static void chains(void **state)
{
	struct run_link link;
	char want[400], prev[65] = ZEROS;
	uint8_t sum[32];
	struct stat st;
	size_t at = 0;

	(void)state;
	for (int i = 1; i <= 12; i++) {
		assert_int_equal(add(&link), 0);
		assert_int_equal(link.number, i);
		assert_string_equal(link.prev, prev);
		snprintf(want, sizeof(want),
		    "%d 2023-11-14T22:13:20Z " CASE " 7 %s", i, prev);
		load();
		assert_memory_equal(text + at, want, strlen(want));
		at += strlen(want);
		assert_string_equal(text + at++, "\n");
		SHA256((uint8_t *)want, strlen(want), sum);
		hex_of(sum, 32, prev);
	}
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* Any change of any but the last line, and any line gone, stops the log: the
 * file is then left as it is. */
static void changes_show(void **state)
{
	struct run_link link;
	char whole[4096], changed[4096];
	size_t n, second, last;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(add(&link), 0);
	load();
	n = strlen(text);
	memcpy(whole, text, n);
	second = (size_t)(strchr(text, '\n') - text) + 1;
	last = second + (size_t)(strchr(text + second, '\n') - text) + 1 -
	    second;
	for (size_t i = 0; i < last; i += 9) {
		memcpy(changed, whole, n);
		changed[i] ^= 1;
		store(changed, n);
		assert_int_equal(add(&link), -1);
		load();
		assert_memory_equal(text, changed, n);
		assert_int_equal(strlen(text), n);
	}
	store(whole + second, n - second);
	assert_int_equal(add(&link), -1);
	memcpy(changed, whole, second);
	memcpy(changed + second, whole + last, n - last);
	store(changed, second + n - last);
	assert_int_equal(add(&link), -1);
	store("\n", 1);
	assert_int_equal(add(&link), -1);
}

/* What a crash left of a line whose run never began is written over. */
static void torn_line(void **state)
{
	struct run_link link;
	size_t n, two;
	char whole[4096];

	(void)state;
	assert_int_equal(add(&link), 0);
	load();
	n = strlen(text);
	assert_int_equal(add(&link), 0);
	load();
	two = strlen(text);
	memcpy(whole, text, two);
	for (size_t cut = n; cut < two; cut++) {
		store(whole, cut);
		assert_int_equal(add(&link), 0);
		assert_int_equal(link.number, 2);
		load();
		assert_int_equal(strlen(text), two);
		assert_memory_equal(text, whole, two);
	}
}

/* Runs that begin together get different numbers. */
static void at_once(void **state)
{
	struct run_link link;
	int status;

	(void)state;
	for (int i = 0; i < 8; i++)
		if (fork() == 0) {
			for (int k = 0; k < 4; k++)
				if (add(&link) < 0)
					_exit(1);
			_exit(0);
		}
	for (int i = 0; i < 8; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(add(&link), 0);
	assert_int_equal(link.number, 33);
}

static void no_place(void **state)
{
	struct run_link link;

	(void)state;
	assert_int_equal(runs_add("/tmp/no/such/folder/key", CASE, 0, AT,
	    &link), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(chains, start),
		cmocka_unit_test_setup(changes_show, start),
		cmocka_unit_test_setup(torn_line, start),
		cmocka_unit_test_setup(at_once, start),
		cmocka_unit_test(no_place),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
