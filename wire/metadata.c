#include "metadata.h"

#include "sink.h"

static enum wire_status fault(struct wire_error *err, const char *reason,
    size_t offset)
{
	*err = (struct wire_error){ reason, offset };
	return WIRE_BAD;
}

enum wire_status metadata_read(struct span payload, struct metadata_msg *m,
    struct wire_error *err)
{
	struct cur in = cur_of(payload), c;
	int64_t piece = -1;
	unsigned notes = 0;
	struct ben dict, v;
	struct span key;

	*m = (struct metadata_msg){ .type = METADATA_UNKNOWN,
		.wire_type = -1, .total_size = -1 };
	if (ben_dict(&in, &dict, &notes, "metadata message ends too early",
	    "metadata message is not a dictionary", err) != WIRE_OK)
		return WIRE_BAD;
	for (c = cur_of(dict.text); ben_pair(&c, &key, &v);)
		if (span_is(key, "msg_type"))
			ben_take_count(&v, &m->wire_type, &m->odd);
		else if (span_is(key, "piece"))
			ben_take_count(&v, &piece, &m->odd);
		else if (span_is(key, "total_size"))
			ben_take_count(&v, &m->total_size, &m->odd);
	m->odd = m->odd || notes != 0;
	if (m->wire_type < 0)
		return fault(err, "metadata message without a type", 0);
	if (m->wire_type >= METADATA_UNKNOWN)
		return WIRE_OK;
	m->type = (enum metadata_type)m->wire_type;
	if (piece < 0 || piece > UINT32_MAX)
		return fault(err, "metadata message without a piece", 0);
	m->piece = (uint32_t)piece;
	if (m->type != METADATA_DATA) {
		m->odd = m->odd || cur_left(&in) != 0;
		return WIRE_OK;
	}
	m->data = cur_rest(&in);
	if (m->data.n == 0)
		return fault(err, "metadata without data", payload.n);
	if (m->data.n > METADATA_BLOCK)
		return fault(err, "more metadata than a block",
		    dict.raw.n + METADATA_BLOCK);
	return WIRE_OK;
}

size_t metadata_put(uint8_t *out, size_t room, enum metadata_type type,
    uint32_t piece)
{
	struct sink s = sink_of(out, room);

	if (type != METADATA_REQUEST && type != METADATA_REJECT)
		return 0;
	sink_str(&s, "d8:msg_type");
	sink_ben_int(&s, type);
	sink_str(&s, "5:piece");
	sink_ben_int(&s, piece);
	sink_str(&s, "e");
	return sink_end(&s);
}
