/*
 * Hostile savefiles, pcap and pcapng: whatever they hold, the source and the
 * flows keep their promises.
 */
#include "capture/flow.h"
#include "capture/source.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define FLOWS 256u

/* What one flow was told. */
struct told {
	bool live;
	enum flow_transport transport;
	uint64_t n[2];
};

struct fuzz {
	struct told flow[FLOWS];
	struct source *source;
	unsigned flows;
	uint64_t bytes, again;
	uint8_t sum;
};

/* Reads every byte, for the sanitizer. */
static void touch(struct fuzz *f, struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		f->sum ^= s.p[i];
}

static void *on_open(void *ctx, const struct flow_open *o)
{
	struct fuzz *f = ctx;
	struct told *t;

	if (f->flows == FLOWS || f->flows % 7 == 6) {
		f->flows += f->flows != FLOWS;
		return FLOW_UNWANTED;
	}
	t = &f->flow[f->flows++];
	*t = (struct told){ .live = true, .transport = o->transport };
	demand(o->end[0].family != 0 && o->end[1].family != 0);
	demand(o->at.frame != 0);
	return t;
}

static bool on_bytes(void *ctx, void *flow, unsigned side, struct span s,
    struct flow_at at)
{
	struct fuzz *f = ctx;
	struct told *t = flow;

	demand(t->live && side < 2 && s.n != 0 && at.frame != 0);
	touch(f, s);
	t->n[side] += s.n;
	f->bytes += s.n;
	if (f->bytes % 11 == 10) {
		t->live = false;
		return false;
	}
	return true;
}

static void on_gap(void *ctx, void *flow, unsigned side, uint64_t n,
    uint32_t packets, struct flow_at at)
{
	struct told *t = flow;

	(void)ctx;
	(void)at;
	demand(t->live && side < 2 && (n != 0 || packets != 0));
	demand(n != 0 || t->transport == FLOW_UTP);
	t->n[side] += n;
}

static void on_differs(void *ctx, void *flow, unsigned side, uint64_t offset,
    uint64_t n, struct flow_at at)
{
	struct told *t = flow;

	(void)ctx;
	(void)at;
	(void)offset;
	demand(t->live && side < 2 && n != 0);
}

static void on_closed(void *ctx, void *flow, enum flow_end end, unsigned by,
    struct flow_at at)
{
	struct told *t = flow;

	(void)ctx;
	(void)at;
	demand(t->live && by < 2 && flow_end_text(end) != NULL);
	t->live = false;
}

static void on_datagram(void *ctx, const struct endpoint *from,
    const struct endpoint *to, struct span s, uint32_t missing,
    struct flow_at at)
{
	(void)missing;
	(void)at;
	demand(from->family != 0 && to->family != 0);
	touch(ctx, s);
}

static size_t on_again(void *ctx, uint64_t offset, void *buf, size_t n)
{
	struct fuzz *f = ctx;

	f->again++;
	return source_again(f->source, offset, buf, n);
}

/* Begins like a savefile; what does not is refused with a line in the log. */
static bool begins(const uint8_t *data, size_t n)
{
	static const uint8_t starts[5][6] = { "\xa1\xb2\xc3\xd4\0\2",
	    "\xa1\xb2\x3c\x4d\0\2", "\xd4\xc3\xb2\xa1\2\0",
	    "\x4d\x3c\xb2\xa1\2\0", "\x0a\x0d\x0d\x0a" };

	for (size_t i = 0; n >= 24 && i < 5; i++)
		if (memcmp(data, starts[i], i == 4 ? 4 : 6) == 0)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!begins(data, n))
		return -1;
	struct fuzz *f = calloc(1, sizeof(*f));
	struct flow_sink sink = { f, on_open, on_bytes, on_gap, on_differs,
	    on_closed, on_datagram, NULL, on_again, false };
	struct flows *flows = flows_new(&sink);
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	struct source_item item = { .kind = SOURCE_PACKET };
	uint64_t frame = 0;

	demand(f != NULL && flows != NULL && fd >= 0);
	demand(write(fd, data, n) == (ssize_t)n);
	demand(lseek(fd, 0, SEEK_SET) == 0);
	f->source = source_of(fd, "fuzz", NULL);
	demand(f->source != NULL);
	while (item.kind != SOURCE_END) {
		demand(source_next(f->source, &item) == 0);
		if (item.kind == SOURCE_DAMAGE)
			demand(item.reason != NULL && item.offset <= n);
		if (item.kind == SOURCE_SECRETS)
			touch(f, item.secrets);
		if (item.kind != SOURCE_PACKET)
			continue;
		demand(item.packet.frame > frame);
		demand(item.packet.bytes.n <= item.packet.length);
		frame = item.packet.frame;
		touch(f, item.packet.bytes);
		flows_packet(flows, &item.packet);
		demand(flows_memory(flows) <= FLOW_MEMORY);
	}
	flows_finish(flows);
	for (unsigned i = 0; i < FLOWS; i++)
		demand(!f->flow[i].live);
	source_close(f->source);
	flows_free(flows);
	free(f);
	return 0;
}
