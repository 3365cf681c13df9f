/*
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4), which node ids (BEP 42) are
 * made with.
 */
#ifndef WIRE_CRC32C_H
#define WIRE_CRC32C_H

#include "cur.h"

uint32_t crc32c(struct span s);

#endif
