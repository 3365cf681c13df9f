#include "peerwire.h"

#include "bencode.h"

/* A key we read, taken from the dict once: a repeat does not overrule it. */
static void take_text(const struct ben *v, enum ben_type want,
    struct span *text, bool *odd)
{
	if (v->type != want || text->p)
		*odd = true;
	else
		*text = v->text;
}

enum wire_status pw_extended_read(struct span payload, struct pw_extended *x,
    struct wire_error *err)
{
	struct cur in = cur_of(payload);
	struct ben dict, v;
	struct span key;
	unsigned notes = 0;

	*x = (struct pw_extended){ .p = -1, .reqq = -1, .upload_only = -1,
		.e = -1, .metadata_size = -1 };
	if (ben_dict(&in, &dict, &notes, "extended handshake ends too early",
	    "extended handshake is not a dictionary", err) != WIRE_OK)
		return WIRE_BAD;
	x->odd = notes != 0 || cur_left(&in) != 0;
	for (struct cur c = cur_of(dict.text); ben_pair(&c, &key, &v);) {
		if (span_is(key, "m"))
			take_text(&v, BEN_DICT, &x->m, &x->odd);
		else if (span_is(key, "v"))
			take_text(&v, BEN_STR, &x->v, &x->odd);
		else if (span_is(key, "yourip"))
			take_text(&v, BEN_STR, &x->yourip, &x->odd);
		else if (span_is(key, "p"))
			ben_take_count(&v, &x->p, &x->odd);
		else if (span_is(key, "reqq"))
			ben_take_count(&v, &x->reqq, &x->odd);
		else if (span_is(key, "upload_only"))
			ben_take_count(&v, &x->upload_only, &x->odd);
		else if (span_is(key, "e"))
			ben_take_count(&v, &x->e, &x->odd);
		else if (span_is(key, "metadata_size"))
			ben_take_count(&v, &x->metadata_size, &x->odd);
	}
	if (x->yourip.n != 0 && x->yourip.n != 4 && x->yourip.n != 16) {
		x->yourip = (struct span){ NULL, 0 };
		x->odd = true;
	}
	return WIRE_OK;
}
