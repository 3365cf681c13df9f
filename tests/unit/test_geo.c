#include "report/geo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* The databases are built by tests/geo/lab_mmdb.py, run from the root of the
 * checkout or wherever this source lies. */
static char folder[64];

static char *file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void make(const char *name, const char *const *args)
{
	char script[256];
	const char *argv[16] = { "python3", script, file(name) };
	int n = 3, status;
	pid_t pid;

	snprintf(script, sizeof(script), "%.*sgeo/lab_mmdb.py",
	    (int)(strlen(__FILE__) - strlen("unit/test_geo.c")), __FILE__);
	while (*args)
		argv[n++] = *args++;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		execvp("python3", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int setup(void **state)
{
	const char *const lab[] = {
		"10.77.0.0/16=DE,64512,Lab one", "10.77.1.0/24=SE,64513,Lab two",
		"10.77.1.7/32=FR", "fd77::/16=NO,70000,Lab six",
		"10.78.0.0/16=,64999,Only a network",
		"10.79.0.0/16=xx,64999", NULL };
	const char *const other[] = { "10.0.0.0/8=", NULL };

	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_geo.XXXXXX");
	assert_non_null(mkdtemp(folder));
	make("lab.mmdb", lab);
	make("other.mmdb", other);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file("lab.mmdb"));
	unlink(file("other.mmdb"));
	unlink(file("bad.mmdb"));
	return rmdir(folder);
}

static void lookups(void **state)
{
	static const struct {
		const char *ip, *country;
		uint32_t asn;
		const char *org;
	} c[] = {
		{ "10.77.0.1", "DE", 64512, "Lab one" },
		{ "10.77.255.255", "DE", 64512, "Lab one" },
		{ "10.77.1.6", "SE", 64513, "Lab two" },
		{ "10.77.1.7", "FR", 0, "" },
		{ "10.77.1.8", "SE", 64513, "Lab two" },
		{ "10.77.2.0", "DE", 64512, "Lab one" },
		{ "10.76.255.255", "", 0, "" },
		{ "10.78.0.1", "", 64999, "Only a network" },
		{ "10.79.0.1", "", 64999, "" },	/* no country code */
		{ "fd77::1", "NO", 70000, "Lab six" },
		{ "fd78::1", "", 0, "" },
		{ "no address", "", 0, "" },
		{ "", "", 0, "" },
	};
	struct geo g = { 0 };
	struct geo_place p;

	(void)state;
	geo_find(&g, "10.77.0.1", &p);
	assert_string_equal(p.country, "");
	assert_int_equal(geo_add(&g, file("lab.mmdb")), 0);
	assert_int_equal(g.n, 1);
	assert_string_equal(g.db[0].file, "lab.mmdb");
	assert_int_equal(strlen(g.db[0].sha256), 64);
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		geo_find(&g, c[i].ip, &p);
		assert_string_equal(p.country, c[i].country);
		assert_int_equal(p.asn, c[i].asn);
		assert_string_equal(p.org, c[i].org);
	}
	geo_close(&g);
}

static size_t slurp(const char *name, uint8_t *bytes, size_t room)
{
	FILE *f = fopen(file(name), "rb");
	size_t n;

	assert_non_null(f);
	n = fread(bytes, 1, room, f);
	fclose(f);
	return n;
}

static void spill(const uint8_t *bytes, size_t n)
{
	FILE *f = fopen(file("bad.mmdb"), "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

/* Cut anywhere and flipped anywhere: refused or read, never astray. */
static void damage(void **state)
{
	static uint8_t bytes[1 << 16];
	size_t n = slurp("lab.mmdb", bytes, sizeof(bytes));
	struct geo g = { 0 };
	struct geo_place p;
	int refused = 0;

	(void)state;
	assert_true(n > 1000 && n < sizeof(bytes));
	for (size_t cut = 0; cut < n; cut += n / 40) {
		spill(bytes, cut);
		assert_int_equal(geo_add(&g, file("bad.mmdb")), -1);
	}
	for (size_t i = 0; i < n; i += 11) {
		bytes[i] ^= 0xff;
		spill(bytes, n);
		if (geo_add(&g, file("bad.mmdb")) == 0) {
			geo_find(&g, "10.77.1.7", &p);
			geo_find(&g, "fd77::1", &p);
			geo_close(&g);
		} else {
			refused++;
		}
		bytes[i] ^= 0xff;
	}
	assert_true(refused > 10);
	spill((const uint8_t *)"<!DOCTYPE html>", 15);
	assert_int_equal(geo_add(&g, file("bad.mmdb")), -1);
	assert_int_equal(geo_add(&g, file("missing.mmdb")), -1);
	assert_int_equal(geo_add(&g, folder), -1);
	/* Sound, but of another kind. */
	assert_int_equal(geo_add(&g, file("other.mmdb")), -1);
	assert_int_equal(g.n, 0);
	geo_close(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups),
		cmocka_unit_test(damage),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
