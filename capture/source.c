#include "capture/source_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "schema/casedir.h"
#include "schema/log.h"

#define HEADER 24u
#define RECORD 16u
#define CHAIN 3u	/* packets in a row that make a place sound */

static const uint8_t section[4] = { 0x0a, 0x0d, 0x0d, 0x0a };

uint16_t source_u16(const struct source *s, struct cur *c)
{
	uint16_t v = cur_u16(c);

	return s->big ? v : __builtin_bswap16(v);
}

uint32_t source_u32(const struct source *s, struct cur *c)
{
	uint32_t v = cur_u32(c);

	return s->big ? v : __builtin_bswap32(v);
}

enum source_step source_damage(struct source *s, struct source_item *item,
    const char *reason, uint64_t offset)
{
	size_t n = sizeof(s->told) / sizeof(s->told[0]);

	s->damages++;
	for (size_t i = 0; i < n && s->told[i] != reason; i++) {
		if (s->told[i] != NULL)
			continue;
		s->told[i] = reason;
		*item = (struct source_item){ .kind = SOURCE_DAMAGE,
		    .reason = reason, .offset = offset };
		return STEP_ITEM;
	}
	return STEP_ON;
}

struct record {
	uint32_t s, fraction, kept, length;
};

static struct record read_record(const struct source *s, struct span bytes)
{
	struct cur c = cur_of(bytes);

	return (struct record){ source_u32(s, &c), source_u32(s, &c),
	    source_u32(s, &c), source_u32(s, &c) };
}

/* A record's header as one may be. No packet is without bytes. */
static bool possible(const struct source *s, const struct record *r)
{
	return r->kept <= SOURCE_PACKET_MAX && r->length != 0 &&
	    r->fraction < 1000000000u / s->unit;
}

/* The same, by a stricter rule, for a place that is searched. */
static bool plausible(const struct source *s, const struct record *r)
{
	int64_t apart = (int64_t)r->s - s->last_s;

	return possible(s, r) && r->kept <= r->length &&
	    r->length <= SOURCE_PACKET_MAX && r->kept != 0 &&
	    (s->last_s < 0 || (apart > -86400 && apart < 86400));
}

/* A chain of packets begins here: CHAIN of them, or fewer to the file's very
 * end. MORE, with what it takes in *want, if that is not at hand. */
static bool chain(const struct source *s, struct span here, bool ends)
{
	size_t at = 0;

	for (unsigned i = 0; i < CHAIN; i++) {
		if (here.n - at < RECORD)
			return ends && i > 0 && here.n == at;
		struct record r = read_record(s,
		    span_of(here.p + at, RECORD));
		if (!plausible(s, &r) || here.n - at - RECORD < r.kept)
			return false;
		at += RECORD + r.kept;
	}
	return true;
}

/* Passes over bytes until packets follow again. */
static enum source_step search(struct source *s)
{
	const size_t window = CHAIN * (SOURCE_PACKET_MAX + RECORD);
	struct span here = intake_peek(s->in, window);
	bool ends = here.n < window;
	size_t at = 0, most = ends ? here.n : window / 4;

	while (at < most && !chain(s, span_of(here.p + at, here.n - at), ends))
		at++;
	intake_skip(s->in, at);
	if (at < most)
		s->lost = false;
	return at == 0 && most == 0 ? STEP_MORE : STEP_ON;
}

static enum source_step lose(struct source *s, struct source_item *item,
    const char *reason)
{
	uint64_t offset = intake_offset(s->in);

	s->lost = true;
	intake_skip(s->in, 1);
	return source_damage(s, item, reason, offset);
}

static enum source_step pcap_step(struct source *s, struct source_item *item)
{
	struct span head, whole;
	struct record r;

	if (s->lost)
		return search(s);
	head = intake_peek(s->in, RECORD);
	if (head.n < RECORD)
		return STEP_MORE;
	r = read_record(s, head);
	if (r.kept > SOURCE_PACKET_MAX)
		return lose(s, item, "a packet longer than any is");
	if (!possible(s, &r))
		return lose(s, item, "no packet's header");
	whole = intake_peek(s->in, RECORD + r.kept);
	if (whole.n < RECORD + r.kept) {
		/* The end of the file, or a wrong length before it. */
		if (whole.n > RECORD)
			return lose(s, item, "the file ends within a packet");
		return STEP_MORE;
	}
	s->taken = whole.n;
	s->last_s = r.s;
	*item = (struct source_item){ .kind = SOURCE_PACKET, .packet = {
	    .utc_ns = (int64_t)r.s * 1000000000 + r.fraction * s->unit,
	    .stamped = true, .link = s->link,
	    .bytes = span_of(whole.p + RECORD, r.kept),
	    .length = r.length > r.kept ? r.length : r.kept,
	    .frame = ++s->packets,
	    .offset = intake_offset(s->in) + RECORD } };
	return STEP_ITEM;
}

/* What the first bytes say of the format; a reason if nothing. */
static const char *begin(struct source *s)
{
	struct span head = intake_peek(s->in, HEADER);
	struct cur c = cur_of(head);
	uint32_t magic;

	if (head.n >= 4 && memcmp(head.p, section, 4) == 0) {
		s->pcapng = true;
		return NULL;
	}
	magic = cur_u32(&c);
	s->big = magic == 0xa1b2c3d4 || magic == 0xa1b23c4d;
	if (!s->big)
		magic = __builtin_bswap32(magic);
	if (magic != 0xa1b2c3d4 && magic != 0xa1b23c4d)
		return "neither pcap nor pcapng begins so";
	s->unit = magic == 0xa1b2c3d4 ? 1000 : 1;
	if (source_u16(s, &c) != 2)
		return "pcap of another version than 2";
	cur_take(&c, 14);
	/* Above the link type: the length of frame check sequences. */
	s->link = source_u32(s, &c) & 0xffff;
	if (c.bad)
		return "the file ends within its header";
	intake_skip(s->in, HEADER);
	return NULL;
}

struct source *source_of(int fd, const char *path,
    const struct source_conf *conf)
{
	struct source *s = calloc(1, sizeof(*s));
	const char *reason;
	char safe[256];

	log_safe(span_str(path), safe, sizeof(safe));
	if (s == NULL || (s->path = strdup(safe)) == NULL) {
		log_warn("%s: %s", safe, strerror(ENOMEM));
		free(s);
		close(fd);
		return NULL;
	}
	s->last_s = -1;
	s->in = conf ? intake_open(fd, conf->digest, conf->digester,
	    conf->copy) : intake_open(fd, false, NULL, -1);
	if (s->in == NULL) {
		log_warn("%s: %s", safe, strerror(errno));
		goto fail;
	}
	s->interfaces = calloc(SOURCE_INTERFACES, sizeof(*s->interfaces));
	if (s->interfaces == NULL) {
		log_warn("%s: %s", safe, strerror(ENOMEM));
		goto fail;
	}
	reason = begin(s);
	if (intake_failed(s->in)) {
		log_warn("%s: %s", safe, strerror(intake_failed(s->in)));
		goto fail;
	}
	if (reason) {
		log_warn("%s: offset 0: %s", safe, reason);
		goto fail;
	}
	return s;
fail:
	source_close(s);
	return NULL;
}

struct source *source_open(const char *path, const struct source_conf *conf)
{
	char safe[256];
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) :
	    open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		log_warn("%s: %s", log_safe(span_str(path), safe,
		    sizeof(safe)), strerror(errno));
		return NULL;
	}
	return source_of(fd, path, conf);
}

struct source *source_of_case(const char *case_path, const char *name,
    const struct source_conf *conf)
{
	struct source *s = NULL;
	char *path;
	int fd;

	if (!casedir_is_savefile(name)) {
		log_warn("%s: \"%.200s\" is no savefile of this case", case_path,
		    name);
		return NULL;
	}
	if (asprintf(&path, "%s/%s", case_path, name) < 0)
		log_die("out of memory");
	fd = casedir_fd(path);
	if (fd >= 0)
		s = source_of(fd, path, conf);
	else
		log_warn("%s: %s", path, errno == EINVAL || errno == ELOOP ?
		    "not a regular file" : strerror(errno));
	free(path);
	return s;
}

/* There is no more of the file. */
static enum source_step at_end(struct source *s, struct source_item *item)
{
	uint64_t offset = intake_offset(s->in);

	if (intake_skip(s->in, UINT64_MAX) && !s->lost &&
	    source_damage(s, item, s->pcapng ? "the file ends within a block" :
		"the file ends within a packet", offset) == STEP_ITEM)
		return STEP_ITEM;
	s->ended = true;
	*item = (struct source_item){ .kind = SOURCE_END };
	return STEP_ITEM;
}

int source_next(struct source *s, struct source_item *item)
{
	enum source_step step = STEP_ON;

	intake_skip(s->in, s->taken);
	s->taken = 0;
	while (step != STEP_ITEM) {
		if (s->ended) {
			*item = (struct source_item){ .kind = SOURCE_END };
			return 0;
		}
		step = s->pcapng ? pcapng_step(s, item) : pcap_step(s, item);
		if (intake_failed(s->in)) {
			log_warn("%s: offset %llu: %s", s->path,
			    (unsigned long long)intake_offset(s->in),
			    strerror(intake_failed(s->in)));
			return -1;
		}
		if (step == STEP_MORE)
			step = at_end(s, item);
	}
	return 0;
}

int source_digest(struct source *s, char sha256[65], uint64_t *bytes)
{
	int error = intake_digest(s->in, sha256, bytes);

	if (error == 0)
		return 0;
	log_warn("%s: %s", s->path, strerror(error));
	return -1;
}

uint64_t source_packets(const struct source *s)
{
	return s->packets;
}

uint64_t source_damages(const struct source *s)
{
	return s->damages;
}

size_t source_again(struct source *s, uint64_t offset, void *buf, size_t n)
{
	return intake_again(s->in, offset, buf, n);
}

void source_close(struct source *s)
{
	if (s == NULL)
		return;
	intake_close(s->in);
	free(s->interfaces);
	free(s->path);
	free(s);
}
