#include "crc32c.h"

#define POLYNOMIAL 0x82f63b78u		/* 0x1edc6f41, bits reversed */

uint32_t crc32c(struct span s)
{
	uint32_t crc = UINT32_MAX;

	/* Eight bytes at most are hashed per node: a table is not worth it. */
	for (size_t i = 0; i < s.n; i++) {
		crc ^= s.p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return ~crc;
}
