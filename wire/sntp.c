#include "sntp.h"

#define NS 1000000000ll
#define NTP_UNIX 2208988800ll	/* 1970 in seconds since 1900, RFC 868 */
#define ERA (1ll << 32)
#define MODE_CLIENT 3u
#define MODE_SERVER 4u
#define STRATUM_MAX 15u
#define ROOT_MAX_NS NS		/* RFC 4330 section 5: root delay and dispersion
				 * from 0 up to one second */

void sntp_ask(uint8_t out[SNTP_BYTES], const uint8_t token[SNTP_TOKEN])
{
	memset(out, 0, SNTP_BYTES);
	out[0] = 4u << 3 | MODE_CLIENT;
	memcpy(out + 40, token, SNTP_TOKEN);
}

/* 16.16 fixed point seconds, signed; rounded up, away from zero. */
static int64_t short_ns(uint32_t v)
{
	int64_t s = (int32_t)v;

	return (s * NS + (s >= 0 ? 65535 : -65535)) / 65536;
}

/* 32.32 fixed point since 1900, modulo 2^32 seconds: the moment of that name
 * nearest to near_ns. */
static int64_t stamp_ns(uint64_t v, int64_t near_ns)
{
	int64_t s = (int64_t)(v >> 32) - NTP_UNIX;
	int64_t ns = (int64_t)((v & 0xffffffffu) * (uint64_t)NS >> 32);
	int64_t near_s = near_ns / NS;

	while (s < near_s - ERA / 2)
		s += ERA;
	while (s > near_s + ERA / 2)
		s -= ERA;
	return s * NS + ns;
}

/* 2^exponent seconds. */
static int64_t power_ns(int exponent)
{
	if (exponent >= 0)
		return exponent > 6 ? 64 * NS : NS << exponent;
	return exponent < -29 ? 1 : NS >> -exponent;
}

static enum wire_status bad(struct wire_error *err, const char *reason,
    size_t offset)
{
	*err = (struct wire_error){ reason, offset };
	return WIRE_BAD;
}

static void read_kiss(struct span id, char kiss[5])
{
	memcpy(kiss, "?", 2);
	for (size_t i = 0; i < id.n; i++)
		if (id.p[i] < 'A' || id.p[i] > 'Z')
			return;
	memcpy(kiss, id.p, id.n);
	kiss[id.n] = '\0';
}

enum wire_status sntp_read(struct span datagram,
    const uint8_t token[SNTP_TOKEN], int64_t near_ns, struct sntp_reply *r,
    struct wire_error *err)
{
	struct cur c = cur_of(datagram);
	unsigned head = cur_u8(&c);
	struct span id, originate;
	uint64_t receive, transmit;

	*r = (struct sntp_reply){ .leap = head >> 6,
	    .version = head >> 3 & 7 };
	r->stratum = cur_u8(&c);
	cur_u8(&c);			/* poll */
	r->precision_ns = power_ns((int8_t)cur_u8(&c));
	r->root_delay_ns = short_ns(cur_u32(&c));
	r->root_dispersion_ns = short_ns(cur_u32(&c));
	id = cur_take(&c, 4);
	cur_u64(&c);			/* reference time */
	originate = cur_take(&c, SNTP_TOKEN);
	receive = cur_u64(&c);
	transmit = cur_u64(&c);
	if (c.bad)
		return bad(err, "shorter than 48 bytes", datagram.n);
	if ((head & 7) != MODE_SERVER)
		return bad(err, "not a server's answer", 0);
	if (r->version < 1 || r->version > 4)
		return bad(err, "unknown version", 0);
	if (memcmp(originate.p, token, SNTP_TOKEN) != 0)
		return bad(err, "answers another question", 24);
	if (r->stratum == 0)
		read_kiss(id, r->kiss);
	else if (receive == 0)
		return bad(err, "no receive time", 32);
	else if (transmit == 0)
		return bad(err, "no transmit time", 40);
	r->receive_ns = stamp_ns(receive, near_ns);
	r->transmit_ns = stamp_ns(transmit, near_ns);
	return WIRE_OK;
}

const char *sntp_unusable(const struct sntp_reply *r)
{
	if (r->stratum == 0)
		return "kiss-o'-death";
	if (r->leap == 3 || r->stratum > STRATUM_MAX)
		return "its clock is not synchronised";
	if (r->root_delay_ns < 0 || r->root_delay_ns >= ROOT_MAX_NS ||
	    r->root_dispersion_ns < 0 || r->root_dispersion_ns >= ROOT_MAX_NS)
		return "its distance from its source is a second or more";
	return NULL;
}

bool sntp_offset(const struct sntp_reply *r, int64_t sent_ns, int64_t came_ns,
    struct sntp_offset *o)
{
	int64_t there = r->receive_ns - sent_ns;
	int64_t back = r->transmit_ns - came_ns;
	int64_t took = came_ns - sent_ns;
	int64_t held = r->transmit_ns - r->receive_ns;

	*o = (struct sntp_offset){ 0 };
	if (held < 0 || took < 0 || held > took + r->precision_ns)
		return false;
	o->offset_ns = there / 2 + back / 2 + (there % 2 + back % 2) / 2;
	o->delay_ns = took > held ? took - held : 0;
	o->dispersion_ns = r->root_dispersion_ns + r->precision_ns;
	o->bound_ns = (o->offset_ns < 0 ? -o->offset_ns : o->offset_ns) +
	    (o->delay_ns + 1) / 2 + (r->root_delay_ns + 1) / 2 +
	    o->dispersion_ns;
	return true;
}
