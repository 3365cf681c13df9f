/*
 * For tests of sources: savefiles made by hand, in either byte order, and what
 * a source says of them as text.
 */
#ifndef TESTS_SAVEFILE_KIT_H
#define TESTS_SAVEFILE_KIT_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "capture/source.h"
#include "schema/json.h"
#include "tests/exact.h"

#define ROOM 400000u

/* A savefile being made, in either byte order. */
struct file {
	uint8_t b[ROOM];
	size_t n;
	bool big;
};

static struct file file;

static inline void raw(const void *p, size_t n)
{
	assert_true(n <= ROOM - file.n);
	if (n)
		memcpy(file.b + file.n, p, n);
	file.n += n;
}

static inline void u16(unsigned v)
{
	uint8_t b[2] = { (uint8_t)v, (uint8_t)(v >> 8) };

	if (file.big)
		put_u16(b, (uint16_t)v);
	raw(b, 2);
}

static inline void u32(uint32_t v)
{
	uint8_t b[4] = { (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
	    (uint8_t)(v >> 24) };

	if (file.big)
		put_u32(b, v);
	raw(b, 4);
}

static inline void begin(bool big)
{
	file.n = 0;
	file.big = big;
}

static inline void pcap(bool nano, uint32_t link)
{
	u32(nano ? 0xa1b23c4d : 0xa1b2c3d4);
	u16(2);
	u16(4);
	u32(0);
	u32(0);
	u32(65535);
	u32(link);
}

static inline void record(uint32_t s, uint32_t part, uint32_t kept, uint32_t length,
    const char *text)
{
	u32(s);
	u32(part);
	u32(kept);
	u32(length);
	raw(text, strlen(text));
}

/* A block around a body; total 0: as it should be. */
static inline size_t block(uint32_t type)
{
	size_t at = file.n;

	u32(type);
	u32(0);
	return at;
}

static inline void end_block(size_t at, uint32_t first, uint32_t last)
{
	while ((file.n - at) % 4)
		raw("", 1);
	uint32_t total = (uint32_t)(file.n - at) + 4;
	size_t end = file.n;

	file.n = at + 4;
	u32(first ? first : total);
	file.n = end;
	u32(last ? last : total);
}

static inline void section(void)
{
	size_t at = block(0x0a0d0d0a);

	u32(0x1a2b3c4d);
	u16(1);
	u16(0);
	u32(0xffffffff);
	u32(0xffffffff);
	end_block(at, 0, 0);
}

static inline void interface(unsigned link, uint32_t snaplen, const char *options,
    size_t n)
{
	size_t at = block(1);

	u16(link);
	u16(0);
	u32(snaplen);
	raw(options, n);
	end_block(at, 0, 0);
}

static inline void option(unsigned code, const void *p, unsigned n)
{
	u16(code);
	u16(n);
	raw(p, n);
	while (file.n % 4)
		raw("", 1);
}

static inline void enhanced_of(uint32_t interface_number, uint64_t stamp,
    uint32_t kept, uint32_t length, const char *text, uint32_t first,
    uint32_t last)
{
	size_t at = block(6);

	u32(interface_number);
	u32((uint32_t)(stamp >> 32));
	u32((uint32_t)stamp);
	u32(kept);
	u32(length);
	raw(text, strlen(text));
	end_block(at, first, last);
}

static inline void enhanced(uint32_t interface_number, uint64_t stamp,
    const char *text)
{
	uint32_t n = (uint32_t)strlen(text);

	enhanced_of(interface_number, stamp, n, n, text, 0, 0);
}

static inline void simple(uint32_t length, const char *text)
{
	size_t at = block(3);

	u32(length);
	raw(text, strlen(text));
	end_block(at, 0, 0);
}

static inline int descriptor(const uint8_t *p, size_t n)
{
	int fd = memfd_create("source", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

/* What a source says, a line for each thing. */
static char said[1 << 16];

static inline void say(struct source *s)
{
	struct source_item item;
	size_t n = 0;

	said[0] = '\0';
	if (s == NULL) {
		snprintf(said, sizeof(said), "none");
		return;
	}
	do {
		const struct source_packet *p = &item.packet;

		assert_int_equal(source_next(s, &item), 0);
		if (n > sizeof(said) - 200)
			continue;
		switch (item.kind) {
		case SOURCE_PACKET:
			assert_true(p->bytes.n <= p->length);
			n += (size_t)snprintf(said + n, 200,
			    "%llu@%lld.%09lld%s if%u link%u %.*s/%u ",
			    (unsigned long long)p->frame,
			    (long long)(p->utc_ns / 1000000000),
			    (long long)(p->utc_ns % 1000000000),
			    p->stamped ? "" : "?", p->interface, p->link,
			    p->bytes.n < 40 ? (int)p->bytes.n : 3,
			    (const char *)p->bytes.p, p->length);
			break;
		case SOURCE_SECRETS:
			n += (size_t)snprintf(said + n, 100, "secrets %.*s ",
			    (int)item.secrets.n,
			    (const char *)item.secrets.p);
			break;
		case SOURCE_DAMAGE:
			n += (size_t)snprintf(said + n, 100, "[%s @%llu] ",
			    item.reason, (unsigned long long)item.offset);
			break;
		case SOURCE_END:
			n += (size_t)snprintf(said + n, 10, "end");
			break;
		}
	} while (item.kind != SOURCE_END);
}

static inline void reads(const char *name, const char *want)
{
	struct source_conf conf = { .digest = true, .copy = -1 };
	struct source *s = source_of(descriptor(file.b, file.n), name, &conf);
	char sha[65], expected[65];
	uint8_t sum[32];
	uint64_t bytes;

	say(s);
	if (strcmp(said, want) != 0)
		fail_msg("%s (%s): %s", name, file.big ? "big" : "little",
		    said);
	if (s == NULL)
		return;
	assert_int_equal(source_digest(s, sha, &bytes), 0);
	assert_int_equal(bytes, file.n);
	SHA256(file.b, file.n, sum);
	assert_string_equal(sha, hex_of(sum, 32, expected));
	source_close(s);
}

#endif
