#include "utppacket.h"

#define VERSION 1u
#define CLOSE_REASON_BYTES 4u

static enum wire_status fault(struct wire_error *err, const char *reason,
    size_t offset)
{
	*err = (struct wire_error){ reason, offset };
	return WIRE_BAD;
}

/* One extension; the first of each kind counts. */
static void read_extension(struct utp_packet *p, uint8_t kind,
    struct span body)
{
	struct cur c = cur_of(body);

	if (kind == UTP_EXT_SACK) {
		if (p->sack.n == 0)
			p->sack = body;
	} else if (kind == UTP_EXT_CLOSE_REASON &&
	    body.n == CLOSE_REASON_BYTES) {
		/* libtorrent's: two reserved bytes, then the reason. */
		cur_take(&c, 2);
		if (p->close_reason < 0)
			p->close_reason = cur_u16(&c);
	} else {
		p->unknown++;
	}
}

enum wire_status utp_packet_read(struct span datagram, struct utp_packet *p,
    struct wire_error *err)
{
	struct cur c = cur_of(datagram);
	unsigned first = cur_u8(&c);
	uint8_t kind = cur_u8(&c);

	*p = (struct utp_packet){ .close_reason = -1 };
	if (datagram.n < UTP_HEADER)
		return fault(err, "shorter than a uTP header", datagram.n);
	if ((first & 0x0f) != VERSION)
		return fault(err, "unknown uTP version", 0);
	if (first >> 4 > UTP_ST_SYN)
		return fault(err, "unknown uTP type", 0);
	p->type = (enum utp_type)(first >> 4);
	p->conn_id = cur_u16(&c);
	p->stamp_us = cur_u32(&c);
	p->diff_us = cur_u32(&c);
	p->window = cur_u32(&c);
	p->seq = cur_u16(&c);
	p->ack = cur_u16(&c);
	while (kind != UTP_EXT_END) {
		size_t at = (size_t)(c.p - datagram.p);
		uint8_t next = cur_u8(&c);
		struct span body = cur_take(&c, cur_u8(&c));

		if (c.bad)
			return fault(err, "extension past the end", at);
		read_extension(p, kind, body);
		kind = next;
	}
	p->payload = cur_rest(&c);
	return WIRE_OK;
}

bool utp_packet_plausible(struct span datagram, struct utp_packet *p)
{
	struct wire_error err;

	if (utp_packet_read(datagram, p, &err) != WIRE_OK)
		return false;
	if (p->type != UTP_ST_DATA && p->type != UTP_ST_FIN && p->payload.n)
		return false;
	return p->type != UTP_ST_SYN ||
	    (p->ack == 0 && p->diff_us == 0 && p->sack.n == 0);
}

size_t utp_packet_ids(const struct utp_packet *p, uint16_t ids[3])
{
	ids[0] = p->conn_id;
	switch (p->type) {
	case UTP_ST_SYN:	/* repeated: it bears the initiator's id */
		ids[0] = (uint16_t)(p->conn_id + 1);
		return 1;
	case UTP_ST_RESET:
		ids[1] = (uint16_t)(p->conn_id - 1);
		ids[2] = (uint16_t)(p->conn_id + 1);
		return 3;
	case UTP_ST_DATA:
	case UTP_ST_FIN:
	case UTP_ST_STATE:
		return 1;
	}
	return 1;
}

size_t utp_packet_put(uint8_t *out, size_t room, const struct utp_packet *p)
{
	size_t n = UTP_HEADER + (p->sack.n ? 2 + p->sack.n : 0);

	if (n > room || p->sack.n > UINT8_MAX)
		return 0;
	out[0] = (uint8_t)((unsigned)p->type << 4 | VERSION);
	out[1] = p->sack.n ? UTP_EXT_SACK : UTP_EXT_END;
	put_u16(out + 2, p->conn_id);
	put_u32(out + 4, p->stamp_us);
	put_u32(out + 8, p->diff_us);
	put_u32(out + 12, p->window);
	put_u16(out + 16, p->seq);
	put_u16(out + 18, p->ack);
	if (p->sack.n) {
		out[20] = UTP_EXT_END;
		out[21] = (uint8_t)p->sack.n;
		memcpy(out + 22, p->sack.p, p->sack.n);
	}
	return n;
}

size_t utp_packet_refuse(uint8_t out[UTP_HEADER], const struct utp_packet *p,
    uint16_t seq, uint64_t now_us)
{
	struct utp_packet reset = { .type = UTP_ST_RESET,
	    .conn_id = p->conn_id, .stamp_us = (uint32_t)now_us,
	    .diff_us = (uint32_t)now_us - p->stamp_us, .seq = seq,
	    .ack = p->seq };

	if (p->type == UTP_ST_RESET)
		return 0;
	return utp_packet_put(out, UTP_HEADER, &reset);
}
