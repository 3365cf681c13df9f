#include "nodeid.h"

#include "crc32c.h"

/* BEP 42: which bits of the address count. */
static const uint8_t mask4[4] = { 0x03, 0x0f, 0x3f, 0xff };
static const uint8_t mask6[8] = { 0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f,
	0xff };

/* The checksum whose first 21 bits such an id starts with; r: its last byte,
 * of which three bits count. */
static uint32_t rule(const struct endpoint *at, unsigned r)
{
	size_t n = at->family == 4 ? sizeof(mask4) : sizeof(mask6);
	const uint8_t *mask = at->family == 4 ? mask4 : mask6;
	uint8_t ip[sizeof(mask6)];

	for (size_t i = 0; i < n; i++)
		ip[i] = at->addr[i] & mask[i];
	ip[0] |= (uint8_t)((r & 7) << 5);
	return crc32c(span_of(ip, n));
}

bool nodeid_exempt(const struct endpoint *at)
{
	static const char *const local[] = { "loopback", "private",
		"link-local" };
	const char *what = endpoint_special(at);

	for (size_t i = 0; what && i < sizeof(local) / sizeof(local[0]); i++)
		if (strcmp(what, local[i]) == 0)
			return true;
	return false;
}

enum nodeid_rule nodeid_check(const uint8_t id[NODEID_BYTES],
    const struct endpoint *at)
{
	uint32_t sum, got;

	if (at->family != 4 && at->family != 6)
		return NODEID_WRONG;
	if (nodeid_exempt(at))
		return NODEID_EXEMPT;
	sum = rule(at, id[19]);
	got = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 |
	    (uint32_t)id[2] << 8;
	return (sum ^ got) >> 11 == 0 ? NODEID_OBEYS : NODEID_WRONG;
}

void nodeid_make(uint8_t id[NODEID_BYTES], const struct endpoint *at,
    const uint8_t random[NODEID_BYTES])
{
	uint32_t sum;

	memcpy(id, random, NODEID_BYTES);
	if (at->family == 0 || nodeid_exempt(at))
		return;
	sum = rule(at, id[19]);
	id[0] = (uint8_t)(sum >> 24);
	id[1] = (uint8_t)(sum >> 16);
	id[2] = (uint8_t)((sum >> 8 & 0xf8) | (id[2] & 7));
}

int nodeid_nearer(const uint8_t target[NODEID_BYTES],
    const uint8_t a[NODEID_BYTES], const uint8_t b[NODEID_BYTES])
{
	for (size_t i = 0; i < NODEID_BYTES; i++) {
		int d = (a[i] ^ target[i]) - (b[i] ^ target[i]);

		if (d)
			return d;
	}
	return 0;
}

unsigned nodeid_shared(const uint8_t a[NODEID_BYTES],
    const uint8_t b[NODEID_BYTES])
{
	unsigned bits = 0;

	while (bits < 8 * NODEID_BYTES &&
	    ((a[bits / 8] ^ b[bits / 8]) >> (7 - bits % 8) & 1) == 0)
		bits++;
	return bits;
}
