#include "capture/intake.h"

#include <errno.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/json.h"

#define BLOCK 524288u
#define BLOCKS 8u
/* Room before a block for what was left of the one before. */
#define STRIDE ((size_t)INTAKE_LEND_MAX + BLOCK)
/* To and from blocks that begin elsewhere the kernel copies at two thirds of the
 * rate. */
#define ALIGNED 4096u

struct intake {
	int fd, copy;
	bool regular, digest, threaded;
	int failed;
	uint8_t *memory;
	unsigned blocks;	/* BLOCKS, or 2 without threads */
	const uint8_t *p, *end;
	uint64_t offset;	/* of p */

	struct hashing hashing;	/* if digest */
	SHA256_CTX sha;
	uint64_t lot[BLOCKS];	/* when a block is hashed: hashing_lend */
	/* With the thread: blocks [done, filled) are its own to read. It is woken
	 * for a quarter of the blocks at once, the reader for a half. */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, progress;
	uint64_t filled, done;
	bool awaited;		/* by the reader, which has nothing to read into */
	size_t length[BLOCKS];
	bool closing;
	int thread_failed;
	char sha256[65];
	uint64_t bytes;
};

static uint8_t *block_of(struct intake *in, uint64_t n)
{
	return in->memory + (n % in->blocks) * STRIDE + INTAKE_LEND_MAX;
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

static bool half_is_free(const struct intake *in)
{
	return in->filled - in->done <= in->blocks / 2;
}

/* A failed copy goes on discarding, so that the reader never waits for ever; the
 * reader asks. */
static void *run(void *arg)
{
	struct intake *in = arg;

	pthread_mutex_lock(&in->lock);
	for (;;) {
		while (in->done == in->filled && !in->closing)
			pthread_cond_wait(&in->work, &in->lock);
		if (in->done == in->filled)
			break;
		const uint8_t *p = block_of(in, in->done);
		size_t n = in->length[in->done % in->blocks];
		int failed = in->thread_failed;

		pthread_mutex_unlock(&in->lock);
		if (!failed)
			failed = write_all(in->copy, p, n);
		pthread_mutex_lock(&in->lock);
		in->thread_failed = failed;
		in->done++;
		if (in->awaited && half_is_free(in))
			pthread_cond_signal(&in->progress);
	}
	pthread_mutex_unlock(&in->lock);
	return NULL;
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
	in->blocks = g || copy >= 0 ? BLOCKS : 2;
	error = posix_memalign((void **)&in->memory, ALIGNED,
	    STRIDE * in->blocks);
	if (error) {
		in->memory = NULL;
		errno = error;
		goto fail;
	}
	in->p = in->end = block_of(in, 0);
	SHA256_Init(&in->sha);
	hashing_sha256(&in->hashing, g, &in->sha);
	pthread_mutex_init(&in->lock, NULL);
	pthread_cond_init(&in->work, NULL);
	pthread_cond_init(&in->progress, NULL);
	if (copy >= 0) {
		error = pthread_create(&in->thread, NULL, run, in);
		if (error) {
			errno = error;
			goto fail;
		}
		in->threaded = true;
	}
	return in;
fail:
	error = errno;
	close(fd);
	if (in)
		free(in->memory);
	free(in);
	errno = error;
	return NULL;
}

/* The next block becomes free: at once, or, that they need not take turns for each,
 * when the threads are done with half of them. */
static void wait_free(struct intake *in)
{
	uint64_t next = in->filled, half = next + in->blocks / 2 - 1;

	if (!hashing_taken(&in->hashing, in->lot[next % in->blocks]))
		hashing_await(&in->hashing, in->lot[half % in->blocks]);
	if (!in->threaded)
		return;
	pthread_mutex_lock(&in->lock);
	if (in->filled - in->done == in->blocks) {
		pthread_cond_signal(&in->work);
		in->awaited = true;
		while (!half_is_free(in))
			pthread_cond_wait(&in->progress, &in->lock);
		in->awaited = false;
	}
	if (in->thread_failed)
		in->failed = in->thread_failed;
	pthread_mutex_unlock(&in->lock);
}

static void hand_over(struct intake *in, size_t n)
{
	in->length[in->filled % in->blocks] = n;
	in->bytes += n;
	if (in->digest)
		in->lot[in->filled % in->blocks] = hashing_lend(&in->hashing,
		    block_of(in, in->filled), n);
	if (!in->threaded) {
		in->filled++;
		return;
	}
	pthread_mutex_lock(&in->lock);
	in->filled++;
	if (in->filled - in->done >= in->blocks / 4)
		pthread_cond_signal(&in->work);
	pthread_mutex_unlock(&in->lock);
}

/* Reads one block more, behind what is left of this one. */
static bool refill(struct intake *in)
{
	size_t left = (size_t)(in->end - in->p);
	uint8_t *block;
	ssize_t n;

	if (in->failed)
		return false;
	wait_free(in);
	block = block_of(in, in->filled);
	do
		n = read(in->fd, block, BLOCK);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		in->failed = errno;
	if (n <= 0 || in->failed)
		return false;
	memcpy(block - left, in->p, left);
	in->p = block - left;
	in->end = block + n;
	hand_over(in, (size_t)n);
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

static void join(struct intake *in)
{
	hashing_wait(&in->hashing);
	if (!in->threaded)
		return;
	pthread_mutex_lock(&in->lock);
	in->closing = true;
	pthread_cond_signal(&in->work);
	pthread_mutex_unlock(&in->lock);
	pthread_join(in->thread, NULL);
	in->threaded = false;
	if (in->thread_failed)
		in->failed = in->thread_failed;
}

int intake_digest(struct intake *in, char sha256[65], uint64_t *bytes)
{
	uint8_t sum[32];

	join(in);
	if (in->digest && in->sha256[0] == '\0') {
		SHA256_Final(sum, &in->sha);
		hex_of(sum, sizeof(sum), in->sha256);
	}
	memcpy(sha256, in->sha256, sizeof(in->sha256));
	*bytes = in->bytes;
	return in->failed;
}

void intake_close(struct intake *in)
{
	if (in == NULL)
		return;
	join(in);
	pthread_mutex_destroy(&in->lock);
	pthread_cond_destroy(&in->work);
	pthread_cond_destroy(&in->progress);
	close(in->fd);
	free(in->memory);
	free(in);
}
