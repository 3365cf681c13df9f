/* Signed notes and verifier keys as anyone may hand them to verify. */
#include <stdlib.h>

#include "schema/note.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct note_key key;
	struct note_key other;
	struct checkpoint a, b;
	char vkey[NOTE_VKEY_MAX], *text;
	const char *form, *sound;

	if (key.name[0] == '\0' && !note_vkey_read("PeterNeumann+c74f20a3+"
	    "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", &key))
		abort();
	form = note_read(span_of(data, n), &a);
	sound = note_check(&key, span_of(data, n), &b);
	/* What holds has the form, and both read the same. */
	if (sound == NULL && (form != NULL || a.size != b.size))
		abort();
	/* What was taken fits where it was put, and can be signed again. */
	if (form == NULL && (a.origin[0] == '\0' ||
	    memchr(a.origin, '\0', sizeof(a.origin)) == NULL))
		abort();

	text = malloc(n + 1);
	if (text == NULL)
		return 0;
	memcpy(text, data, n);
	text[n] = '\0';
	if (note_vkey_read(text, &other)) {
		/* One key has one spelling, but for the case of its id. */
		note_vkey(&other, vkey);
		if (strlen(vkey) != strlen(text))
			abort();
	}
	free(text);
	return 0;
}
