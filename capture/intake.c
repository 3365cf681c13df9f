#include "capture/intake.h"

#include <assert.h>
#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/json.h"

/* What was read is parsed, and written to the copy, out of the processor's own
 * cache; and there are enough blocks for reading to go on while the digests'
 * thread does not run. */
#define BLOCK 131072u
#define BLOCKS 96u
/* To and from blocks that begin elsewhere the kernel copies at two thirds of the
 * rate. */
#define ALIGNED 4096u
static_assert(BLOCKS * BLOCK >= INTAKE_LEND_MAX + 2 * BLOCK,
    "a block that is read into is not lent");

/* Blocks lie one behind the other, so that what is left of one is continued by
 * the next; before the first there is room for what was left of the last. */
struct intake {
	int fd, copy;
	bool regular, digest;
	int failed;
	int copy_failed;	/* then what was read is lent, and no more */
	uint8_t *memory;
	uint64_t filled;	/* blocks */
	const uint8_t *p, *end;
	uint64_t offset;	/* of p */
	struct hashing hashing;	/* if digest */
	SHA256_CTX sha;
	uint64_t lot[BLOCKS];	/* when a block is hashed: hashing_lend */
	char sha256[65];
	uint64_t bytes;
};

static uint8_t *block_of(struct intake *in, uint64_t n)
{
	return in->memory + INTAKE_LEND_MAX + (n % BLOCKS) * BLOCK;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return w < 0 ? errno : EIO;
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

struct intake *intake_open(int fd, bool digest, struct digester *g, int copy)
{
	struct intake *in = calloc(1, sizeof(*in));
	struct stat st;
	int error;

	if (in == NULL)
		goto fail;
	*in = (struct intake){ .fd = fd, .copy = copy, .digest = digest };
	in->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	error = posix_memalign((void **)&in->memory, ALIGNED,
	    INTAKE_LEND_MAX + (size_t)BLOCKS * BLOCK);
	if (error) {
		errno = error;
		goto fail;
	}
	in->p = in->end = block_of(in, 0);
	SHA256_Init(&in->sha);
	hashing_sha256(&in->hashing, g, &in->sha);
	return in;
fail:
	error = errno;
	close(fd);
	free(in);
	errno = error;
	return NULL;
}

/* The next block becomes free: at once, or, that the two threads need not take
 * turns for each, when half of them are hashed. */
static void wait_free(struct intake *in)
{
	uint64_t next = in->filled, half = next + BLOCKS / 2 - 1;

	if (!hashing_taken(&in->hashing, in->lot[next % BLOCKS]))
		hashing_await(&in->hashing, in->lot[half % BLOCKS]);
}

/* What is left comes to lie right before the block, where it does not yet. */
static void carry(struct intake *in, uint8_t *block)
{
	size_t left = (size_t)(in->end - in->p);

	if (in->end == block)
		return;
	/* Behind a block that was not filled, on bytes that may not be hashed
	 * yet. */
	if (left && block != block_of(in, 0))
		hashing_wait(&in->hashing);
	memmove(block - left, in->p, left);
	in->p = block - left;
	in->end = block;
}

/* Reads one block more, behind what is left. */
static bool refill(struct intake *in)
{
	uint8_t *block = block_of(in, in->filled);
	ssize_t n;

	if (in->failed == 0)
		in->failed = in->copy_failed;
	if (in->failed)
		return false;
	wait_free(in);
	do
		n = read(in->fd, block, BLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		in->failed = errno;
	if (n <= 0)
		return false;
	carry(in, block);
	if (in->digest)
		in->lot[in->filled % BLOCKS] = hashing_lend(&in->hashing,
		    block, (size_t)n);
	in->filled++;
	in->bytes += (size_t)n;
	in->end = block + n;
	if (in->copy >= 0)
		in->copy_failed = write_all(in->copy, block, (size_t)n);
	return true;
}

struct span intake_peek(struct intake *in, size_t n)
{
	size_t left;

	while ((left = (size_t)(in->end - in->p)) < n)
		if (!refill(in))
			return span_of(in->p, left);
	return span_of(in->p, n);
}

uint64_t intake_skip(struct intake *in, uint64_t n)
{
	uint64_t rest = n;

	while (rest) {
		size_t left = (size_t)(in->end - in->p);

		if (left == 0) {
			if (!refill(in))
				break;
			continue;
		}
		if (left > rest)
			left = (size_t)rest;
		in->p += left;
		in->offset += left;
		rest -= left;
	}
	return n - rest;
}

uint64_t intake_offset(const struct intake *in)
{
	return in->offset;
}

int intake_failed(struct intake *in)
{
	return in->failed;
}

size_t intake_again(struct intake *in, uint64_t offset, void *buf, size_t n)
{
	ssize_t got;

	if (!in->regular || offset > INT64_MAX)
		return 0;
	got = pread(in->fd, buf, n, (off_t)offset);
	return got < 0 ? 0 : (size_t)got;
}

int intake_digest(struct intake *in, char sha256[65], uint64_t *bytes)
{
	uint8_t sum[32];

	hashing_wait(&in->hashing);
	if (in->digest && in->sha256[0] == '\0') {
		SHA256_Final(sum, &in->sha);
		hex_of(sum, sizeof(sum), in->sha256);
	}
	memcpy(sha256, in->sha256, sizeof(in->sha256));
	*bytes = in->bytes;
	return in->failed ? in->failed : in->copy_failed;
}

void intake_close(struct intake *in)
{
	if (in == NULL)
		return;
	hashing_wait(&in->hashing);
	close(in->fd);
	free(in->memory);
	free(in);
}
