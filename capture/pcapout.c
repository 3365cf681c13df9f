#include "capture/pcapout.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "schema/json.h"
#include "schema/log.h"

struct pcapout {
	char *path;
	FILE *f;
	SHA256_CTX sha;
	int64_t bytes, packets;
};

/* ferror tells at the end. */
static void put(struct pcapout *o, const void *p, size_t n)
{
	SHA256_Update(&o->sha, p, n);
	fwrite(p, 1, n, o->f);
	o->bytes += (int64_t)n;
}

static void little(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

struct pcapout *pcapout_open(const char *path, uint32_t link)
{
	struct pcapout *o = calloc(1, sizeof(*o));
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	uint8_t h[24] = { 0 };

	if (o == NULL)
		log_die("out of memory");
	o->path = strdup(path);
	o->f = fd < 0 ? NULL : fdopen(fd, "w");
	if (o->f == NULL || o->path == NULL) {
		log_warn("%s: %s", path, strerror(errno));
		free(o->path);
		free(o);
		return NULL;
	}
	SHA256_Init(&o->sha);
	little(h, 0xa1b23c4d);
	little(h + 4, 2 | 4u << 16);
	little(h + 16, SOURCE_PACKET_MAX);
	little(h + 20, link);
	put(o, h, sizeof(h));
	return o;
}

void pcapout_put(struct pcapout *o, const struct source_packet *p,
    size_t skip)
{
	uint8_t h[16];

	little(h, (uint32_t)(p->utc_ns / 1000000000));
	little(h + 4, (uint32_t)(p->utc_ns % 1000000000));
	little(h + 8, (uint32_t)(p->bytes.n - skip));
	little(h + 12, p->length - (uint32_t)skip);
	put(o, h, sizeof(h));
	put(o, p->bytes.p + skip, p->bytes.n - skip);
	o->packets++;
}

int pcapout_close(struct pcapout *o, char digest[65], int64_t *bytes,
    int64_t *packets)
{
	uint8_t sum[SHA256_DIGEST_LENGTH];
	int rc = 0;

	errno = 0;
	if (fflush(o->f) != 0 || ferror(o->f) || fsync(fileno(o->f)) < 0) {
		log_warn("%s: %s", o->path, strerror(errno ? errno : EIO));
		unlink(o->path);
		rc = -1;
	}
	fclose(o->f);
	SHA256_Final(sum, &o->sha);
	if (digest)
		hex_of(sum, sizeof(sum), digest);
	if (bytes)
		*bytes = o->bytes;
	if (packets)
		*packets = o->packets;
	free(o->path);
	free(o);
	return rc;
}
