#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "schema/note.h"

static char dir[] = "/tmp/test_note.XXXXXX";
static struct note_key key, public;
static struct checkpoint point = { .origin = "swarmwitness/0123", .size = 42 };

static char *in_dir(const char *name)
{
	static char path[2][200];
	static unsigned turn;
	char *p = path[turn++ % 2];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static int make_dir(void **state)
{
	char vkey[NOTE_VKEY_MAX];

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	memset(&point.root, 0xa5, sizeof(point.root));
	if (note_key_open(&key, in_dir("a/b/key"), NULL) < 0)
		return -1;
	note_vkey(&key, vkey);
	return note_vkey_read(vkey, &public) ? 0 : -1;
}

static int remove_dir(void **state)
{
	char rm[64];

	(void)state;
	note_key_close(&key);
	snprintf(rm, sizeof(rm), "rm -rf %s", dir);
	return system(rm);
}

static const char *check(const struct note_key *k, const char *text, size_t n,
    struct checkpoint *c)
{
	uint8_t *copy = malloc(n ? n : 1);
	const char *why;

	memcpy(copy, text, n);
	why = note_check(k, span_of(copy, n), c);
	free(copy);
	return why;
}

static void signs_and_checks(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 42, UINT64_MAX };
	struct checkpoint c;
	char note[NOTE_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int n;

		point.size = sizes[i];
		n = note_sign(&key, &point, note);
		assert_int_equal(n, strlen(note));
		assert_null(check(&public, note, (size_t)n, &c));
		assert_string_equal(c.origin, point.origin);
		assert_int_equal(c.size, point.size);
		assert_memory_equal(&c.root, &point.root, sizeof(c.root));
	}
	point.size = 42;
}

/* What it looks like, to the byte, as far as the key lets us say. */
static void is_a_signed_note(void **state)
{
	char note[NOTE_MAX], want[300];
	int n = note_sign(&key, &point, note);

	(void)state;
	snprintf(want, sizeof(want), "swarmwitness/0123\n42\n"
	    "paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n\n"
	    "\xe2\x80\x94 %s ", key.name);
	assert_memory_equal(note, want, strlen(want));
	assert_int_equal(n, strlen(want) + 92 + 1);
	assert_int_equal(note[n - 1], '\n');
}

/* No byte of the text can change, nor of our line; nor can it be cut. */
static void any_change_shows(void **state)
{
	struct checkpoint c;
	char note[NOTE_MAX];
	size_t n = (size_t)note_sign(&key, &point, note);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			note[i] = (char)(note[i] ^ 1 << bit);
			assert_non_null(check(&public, note, n, &c));
			note[i] = (char)(note[i] ^ 1 << bit);
		}
		assert_non_null(check(&public, note, i, &c));
	}
	assert_null(check(&public, note, n, &c));
}

static const struct {
	const char *note;
	const char *why;
} forms[] = {
#define ROOT "paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU="
#define LINE "\xe2\x80\x94 a AAAAAAAA\n"
	{ "o\n1\n" ROOT "\n\n" LINE, NULL },
	{ "o\n0\n" ROOT "\n\n" LINE LINE, NULL },
	{ "o\n18446744073709551615\n" ROOT "\n\n" LINE, NULL },
	{ "o\n18446744073709551616\n" ROOT "\n\n" LINE, "size" },
	{ "o\n99999999999999999999999\n" ROOT "\n\n" LINE, "size" },
	{ "o\n01\n" ROOT "\n\n" LINE, "size" },
	{ "o\n-1\n" ROOT "\n\n" LINE, "size" },
	{ "o\n+1\n" ROOT "\n\n" LINE, "size" },
	{ "o\n 1\n" ROOT "\n\n" LINE, "size" },
	{ "o\n\n" ROOT "\n\n" LINE, "size" },
	{ "\n1\n" ROOT "\n\n" LINE, "origin" },
	{ "o o\n1\n" ROOT "\n\n" LINE, "origin" },
	{ "o\r\n1\n" ROOT "\n\n" LINE, "origin" },
	{ "o+o\n1\n" ROOT "\n\n" LINE, "origin" },
	{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaa\n1\n" ROOT "\n\n" LINE, "origin" },
	{ "o\n1\npaWl\n\n" LINE, "root" },
	{ "o\n1\n" ROOT "=\n\n" LINE, "root" },
	/* The last digit's spare bits, a blank, a byte of no alphabet. */
	{ "o\n1\npaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaV=\n\n" LINE,
	    "root" },
	{ "o\n1\n aWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n\n" LINE,
	    "root" },
	{ "o\n1\npa_lpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU=\n\n" LINE,
	    "root" },
	{ "o\n1\n" ROOT "\nmore\n\n" LINE, "fourth" },
	{ "o\n1\n" ROOT "\n" LINE, "fourth" },
	{ "o\n1\n" ROOT "\n\n", "no signature" },
	{ "o\n1\n" ROOT "\n", "three lines" },
	{ "o\n1\n", "three lines" },
	{ "", "three lines" },
	{ "o\n1\n" ROOT "\n\n- a AAAAAAAA\n", "signature line" },
	{ "o\n1\n" ROOT "\n\n\xe2\x80\x94  AAAAAAAA\n", "signature line" },
	{ "o\n1\n" ROOT "\n\n\xe2\x80\x94 a\n", "signature line" },
	{ "o\n1\n" ROOT "\n\n\xe2\x80\x94 a AAAA\n", "signature line" },
	{ "o\n1\n" ROOT "\n\n" LINE "\n", "signature line" },
	{ "o\n1\n" ROOT "\n\n" LINE LINE "x", "does not end" },
};

static void form_is_strict(void **state)
{
	struct checkpoint c;

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const char *why = note_read(span_str(forms[i].note), &c);

		if (forms[i].why == NULL)
			assert_null(why);
		else if (why == NULL || strstr(why, forms[i].why) == NULL)
			fail_msg("form %zu: %s, not %s", i,
			    why ? why : "accepted", forms[i].why);
	}
}

/* Other signers' lines are passed over, before and behind; a note that only
 * others signed is not ours. */
static void other_signers(void **state)
{
	struct note_key other;
	struct checkpoint c;
	char note[NOTE_MAX], theirs[NOTE_MAX], both[2 * NOTE_MAX];
	char *line, *their_line;

	(void)state;
	assert_int_equal(note_key_open(&other, in_dir("other"), NULL), 0);
	note_sign(&key, &point, note);
	note_sign(&other, &point, theirs);
	line = strstr(note, "\n\n") + 2;
	their_line = strstr(theirs, "\n\n") + 2;
	assert_non_null(check(&public, theirs, strlen(theirs), &c));

	snprintf(both, sizeof(both), "%s%s", note, their_line);
	assert_null(check(&public, both, strlen(both), &c));
	assert_null(check(&other, both, strlen(both), &c));
	snprintf(both, sizeof(both), "%s%s", theirs, line);
	assert_null(check(&public, both, strlen(both), &c));
	/* Ours beside one of ours that does not hold. */
	point.size++;
	note_sign(&key, &point, theirs);
	point.size--;
	snprintf(both, sizeof(both), "%s%s", note,
	    strstr(theirs, "\n\n") + 2);
	assert_string_equal(check(&public, both, strlen(both), &c),
	    "the signature does not hold");
	note_key_close(&other);
}

static void verifier_keys(void **state)
{
	/* The first is the example of golang.org/x/mod/sumdb/note. */
	static const struct {
		const char *text;
		bool ok;
	} t[] = {
		{ "PeterNeumann+c74f20a3+"
		    "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", true },
		{ "PeterNeumann+c74f20a4+"
		    "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", false },
		{ "PeterNeumanm+c74f20a3+"
		    "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", false },
		{ "PeterNeumann+c74f20a3+"
		    "AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", false },
		{ "PeterNeumann+c74f20a3+", false },
		{ "PeterNeumann+c74f20a3", false },
		{ "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		    false },
		{ "", false },
	};
	struct note_key k;
	char vkey[NOTE_VKEY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(note_vkey_read(t[i].text, &k), t[i].ok);
		if (!t[i].ok)
			continue;
		note_vkey(&k, vkey);
		assert_string_equal(vkey, t[i].text);
	}
}

/* openssl alone reads the key, and checks a note's signature with it. */
static void openssl_agrees(void **state)
{
	char note[NOTE_MAX], cmd[900], *line;
	FILE *f;

	(void)state;
	note_sign(&key, &point, note);
	line = strstr(note, "\n\n");
	f = fopen(in_dir("text"), "w");
	fwrite(note, 1, (size_t)(line - note) + 1, f);
	fclose(f);
	line = strrchr(note, ' ') + 1;
	line[strlen(line) - 1] = '\0';
	snprintf(cmd, sizeof(cmd), "cd %s && openssl pkey -in a/b/key -pubout "
	    "-out pub 2>&1 && echo %s | base64 -d | tail -c 64 > sig && "
	    "openssl pkeyutl -verify -pubin -inkey pub -rawin -in text "
	    "-sigfile sig >/dev/null && test \"$(openssl pkey -pubin -in pub "
	    "-outform DER | tail -c 32 | sha256sum | cut -c 1-16)\" = %s",
	    dir, line, key.name + strlen("swarmwitness-"));
	assert_int_equal(system(cmd), 0);
}

static void key_files(void **state)
{
	struct note_key again;
	struct stat st;
	char *path, print[65];
	FILE *f;

	(void)state;
	assert_int_equal(stat(in_dir("a/b/key"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(in_dir("a/b"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);

	/* The same key again, under the same name. */
	assert_int_equal(note_key_open(&again, in_dir("a/b/key"), &path), 0);
	assert_string_equal(path, in_dir("a/b/key"));
	assert_memory_equal(again.public, key.public, 32);
	note_fingerprint(&again, print);
	assert_memory_equal(again.name + 13, print, 16);
	free(path);
	note_key_close(&again);

	for (unsigned mode = 1; mode < 0100; mode <<= 1) {
		chmod(in_dir("a/b/key"), 0600 | mode);
		assert_int_equal(note_key_open(&again, in_dir("a/b/key"), NULL),
		    -1);
	}
	chmod(in_dir("a/b/key"), 0600);

	/* No key of ours: left as it is. */
	f = fopen(in_dir("text2"), "w");
	fputs("not a key\n", f);
	fclose(f);
	chmod(in_dir("text2"), 0600);
	assert_int_equal(note_key_open(&again, in_dir("text2"), NULL), -1);
	assert_int_equal(stat(in_dir("text2"), &st), 0);
	assert_int_equal(st.st_size, 10);
	assert_int_equal(note_key_open(&again, in_dir("text2/key"), NULL), -1);
	assert_int_equal(note_key_open(&again, dir, NULL), -1);

	/* The default place. */
	setenv("XDG_CONFIG_HOME", in_dir("config"), 1);
	assert_int_equal(note_key_open(&again, NULL, &path), 0);
	assert_string_equal(path, in_dir("config/swarmwitness/key"));
	free(path);
	note_key_close(&again);
	unsetenv("XDG_CONFIG_HOME");
	setenv("HOME", in_dir("home"), 1);
	assert_int_equal(note_key_open(&again, NULL, &path), 0);
	assert_string_equal(path, in_dir("home/.config/swarmwitness/key"));
	free(path);
	note_key_close(&again);
	unsetenv("HOME");
	assert_int_equal(note_key_open(&again, NULL, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_and_checks),
		cmocka_unit_test(is_a_signed_note),
		cmocka_unit_test(any_change_shows),
		cmocka_unit_test(form_is_strict),
		cmocka_unit_test(other_signers),
		cmocka_unit_test(verifier_keys),
		cmocka_unit_test(openssl_agrees),
		cmocka_unit_test(key_files),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
