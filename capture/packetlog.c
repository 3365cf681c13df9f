#include "capture/packetlog.h"

#include "schema/log.h"

static void put_count(struct json *j, const char *key, int64_t v)
{
	if (v < 0)
		json_null(j, key);
	else
		json_int(j, key, v);
}

void packetlog_file(struct runlog *r, const struct recorder_file *f,
    const char *interface, const char *filter, bool salvaged)
{
	uint8_t digest[32];
	struct json j;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_text(&j, "file", span_str(f->file));
	json_text(&j, "sha256", span_str(f->sha256));
	json_int(&j, "bytes", f->bytes);
	json_int(&j, "packets", f->packets);
	json_int(&j, "first_utc_ns", f->first_utc_ns);
	json_int(&j, "last_utc_ns", f->last_utc_ns);
	put_count(&j, "dropped_kernel", f->dropped_kernel);
	put_count(&j, "dropped_interface", f->dropped_interface);
	json_str(&j, "interface", salvaged ? NULL : interface);
	json_str(&j, "filter", salvaged ? NULL : filter);
	json_bool(&j, "salvaged", salvaged);
	runlog_put(r, "packets", &j, hex_read(span_str(f->sha256), digest,
	    sizeof(digest)) ? digest : NULL);
	if (f->dropped_kernel > 0 || f->dropped_interface > 0)
		log_warn("%s: %lld packets were dropped before they could be "
		    "kept", f->file, (long long)(f->dropped_kernel +
		    f->dropped_interface));
}

void packetlog_none(struct runlog *r, const char *why)
{
	struct json j;

	json_init(&j, JSON_MOST);
	json_open(&j, NULL, '{');
	json_text(&j, "why", span_str(why));
	runlog_put(r, "no_packets", &j, NULL);
}
