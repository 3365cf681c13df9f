#include "capture/source_impl.h"

enum {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 2,	/* obsolete */
	BLOCK_SIMPLE = 3,
	BLOCK_NAMES = 4,
	BLOCK_STATISTICS = 5,
	BLOCK_ENHANCED = 6,
	BLOCK_SECRETS = 10,
	BLOCK_CUSTOM = 0x0bad,
	BLOCK_CUSTOM_PRIVATE = 0x40000bad,
	BLOCK_SECTION = 0x0a0d0d0a
};

enum {
	OPTION_END = 0,
	OPTION_RESOLUTION = 9,
	OPTION_OFFSET = 14,
	SECRETS_TLS = 0x544c534b
};

#define LEAST 12u		/* a block without a body */
#define MAGIC 0x1a2b3c4du

/* The byte order of a section, from its header's body; false for neither. */
static bool order(struct span body, bool *big)
{
	struct cur c = cur_of(body);
	uint32_t magic = cur_u32(&c);

	*big = magic == MAGIC;
	return *big || magic == __builtin_bswap32(MAGIC);
}

struct block {
	uint32_t type, total;
	bool big;
};

/* The first 12 bytes of a block. False: no block has such a length. */
static bool read_block(const struct source *s, struct span head,
    struct block *b)
{
	struct source as = { .big = s->big };
	struct cur c = cur_of(head);

	b->type = source_u32(&as, &c);
	b->big = s->big;
	if (b->type == BLOCK_SECTION) {
		if (!order(span_of(head.p + 8, 4), &b->big))
			return false;
		as.big = b->big;
	}
	b->total = source_u32(&as, &c);
	return !c.bad && b->total >= LEAST && b->total % 4 == 0;
}

static bool lengths_agree(struct span block, const struct block *b)
{
	struct source as = { .big = b->big };
	struct cur c;

	if (b->total > block.n)
		return false;
	c = cur_of(span_of(block.p + b->total - 4, 4));
	return source_u32(&as, &c) == b->total;
}

static bool known(uint32_t type)
{
	switch (type) {
	case BLOCK_INTERFACE:
	case BLOCK_PACKET:
	case BLOCK_SIMPLE:
	case BLOCK_NAMES:
	case BLOCK_STATISTICS:
	case BLOCK_ENHANCED:
	case BLOCK_SECRETS:
	case BLOCK_CUSTOM:
	case BLOCK_CUSTOM_PRIVATE:
	case BLOCK_SECTION:
		return true;
	}
	return false;
}

/* A whole block of a known type lies here, both its lengths alike. */
static bool sound(const struct source *s, struct span here)
{
	struct block b;

	return here.n >= LEAST && read_block(s, span_of(here.p, LEAST), &b) &&
	    known(b.type) && lengths_agree(here, &b);
}

static enum source_step search(struct source *s)
{
	struct span here = intake_peek(s->in, SOURCE_BLOCK_MAX);
	bool ends = here.n < SOURCE_BLOCK_MAX;
	size_t at = 0, most = ends ? here.n : SOURCE_BLOCK_MAX / 4;

	while (at < most && !sound(s, span_of(here.p + at, here.n - at)))
		at++;
	intake_skip(s->in, at);
	if (at < most)
		s->lost = false;
	return at == 0 && most == 0 ? STEP_MORE : STEP_ON;
}

/* Passes over the block at hand, if another follows where it says it ends, or
 * else over whatever comes before the next sound one. */
static enum source_step lose(struct source *s, struct source_item *item,
    uint32_t total, const char *reason)
{
	uint64_t offset = intake_offset(s->in);
	struct span here = intake_peek(s->in, SOURCE_BLOCK_MAX);

	if (total >= LEAST && total < here.n &&
	    sound(s, span_of(here.p + total, here.n - total))) {
		intake_skip(s->in, total);
	} else {
		s->lost = true;
		intake_skip(s->in, 1);
	}
	return source_damage(s, item, reason, offset);
}

/* A block too long to be read whole is passed over if its end bears it out. */
static enum source_step pass_long(struct source *s, struct source_item *item,
    const struct block *b)
{
	struct source as = { .big = b->big };
	uint8_t end[4];
	struct cur c = cur_of(span_of(end, sizeof(end)));

	if (intake_again(s->in, intake_offset(s->in) + b->total - 4, end,
	    sizeof(end)) != sizeof(end) || source_u32(&as, &c) != b->total)
		return lose(s, item, b->total, "a block longer than any is");
	if (b->type == BLOCK_ENHANCED || b->type == BLOCK_PACKET ||
	    b->type == BLOCK_SIMPLE) {
		uint64_t offset = intake_offset(s->in);

		intake_skip(s->in, b->total);
		s->packets++;
		return source_damage(s, item, "a packet longer than any is",
		    offset);
	}
	intake_skip(s->in, b->total);
	return STEP_ON;
}

/* Keeps resolution and offset of an interface's options. */
static void read_options(const struct source *s, struct cur *c,
    struct source_interface *i)
{
	while (!c->bad && cur_left(c) >= 4) {
		uint16_t code = source_u16(s, c), n = source_u16(s, c);
		struct cur o = cur_of(cur_take(c, n));

		cur_take(c, (4u - n % 4u) % 4u);
		if (code == OPTION_END)
			return;
		if (code == OPTION_RESOLUTION && cur_left(&o) == 1) {
			i->resolution = cur_u8(&o);
		} else if (code == OPTION_OFFSET && cur_left(&o) == 8) {
			uint64_t a = source_u32(s, &o), b = source_u32(s, &o);

			i->offset_s = (int64_t)(s->big ? a << 32 | b :
			    b << 32 | a);
		}
	}
}

static enum source_step read_interface(struct source *s, struct span body,
    struct source_item *item, uint64_t offset)
{
	struct source_interface i = { .resolution = 6 };
	struct cur c = cur_of(body);

	i.link = source_u16(s, &c);
	cur_take(&c, 2);
	i.snaplen = source_u32(s, &c);
	if (c.bad)
		return source_damage(s, item, "an interface block too short",
		    offset);
	read_options(s, &c, &i);
	if (s->ninterfaces == SOURCE_INTERFACES)
		return source_damage(s, item, "more interfaces than any has",
		    offset);
	s->interfaces[s->ninterfaces++] = i;
	return STEP_ON;
}

/* Units of an interface's clock to ns since 1970; false: beyond what fits. */
static bool stamp(const struct source_interface *i, uint64_t units,
    int64_t *utc_ns)
{
	unsigned n = i->resolution & 0x7f;
	uint64_t s, ns;
	int64_t sum;

	if (i->resolution & 0x80) {
		if (n > 63)
			return false;
		uint64_t part = units & ((UINT64_C(1) << n) - 1);

		s = units >> n;
		ns = n <= 32 ? part * 1000000000 >> n :
		    (part >> (n - 32)) * 1000000000 >> 32;
	} else {
		uint64_t unit = 1, scale = 1;

		if (n > 19)
			return false;
		for (unsigned k = 0; k < n; k++)
			unit *= 10;
		for (unsigned k = n; k < 9; k++)
			scale *= 10;
		for (unsigned k = 9; k < n; k++)
			scale *= 10;
		s = units / unit;
		ns = n <= 9 ? units % unit * scale : units % unit / scale;
	}
	if (s > INT64_MAX || __builtin_add_overflow((int64_t)s, i->offset_s,
	    &sum) || __builtin_mul_overflow(sum, INT64_C(1000000000), &sum) ||
	    __builtin_add_overflow(sum, (int64_t)ns, utc_ns))
		return false;
	return true;
}

static enum source_step read_packet(struct source *s, const struct block *b,
    struct span body, struct source_item *item, uint64_t offset)
{
	struct cur c = cur_of(body);
	struct source_packet p = { .frame = ++s->packets };
	const struct source_interface *i = NULL;
	uint64_t high = 0, low = 0;
	uint32_t kept;

	if (b->type == BLOCK_ENHANCED) {
		p.interface = source_u32(s, &c);
	} else if (b->type == BLOCK_PACKET) {
		p.interface = source_u16(s, &c);
		cur_take(&c, 2);
	}
	if (b->type != BLOCK_SIMPLE) {
		high = source_u32(s, &c);
		low = source_u32(s, &c);
		kept = source_u32(s, &c);
		p.length = source_u32(s, &c);
	} else {
		kept = p.length = source_u32(s, &c);
	}
	if (c.bad)
		return source_damage(s, item, "a packet block too short",
		    offset);
	if (p.interface >= s->ninterfaces)
		return source_damage(s, item, "a packet of an interface that "
		    "is not described", offset);
	i = &s->interfaces[p.interface];
	if (b->type == BLOCK_SIMPLE) {
		if (i->snaplen && kept > i->snaplen)
			kept = i->snaplen;
	}
	if (kept > cur_left(&c))
		return source_damage(s, item, "a packet longer than its block",
		    offset);
	if (kept > SOURCE_PACKET_MAX)
		return source_damage(s, item, "a packet longer than any is",
		    offset);
	p.offset = offset + 8 + (uint64_t)(c.p - body.p);
	p.bytes = cur_take(&c, kept);
	p.link = i->link;
	if (p.length < kept)
		p.length = kept;
	p.stamped = b->type != BLOCK_SIMPLE &&
	    stamp(i, high << 32 | low, &p.utc_ns);
	*item = (struct source_item){ .kind = SOURCE_PACKET, .packet = p };
	return STEP_ITEM;
}

static enum source_step read_secrets(struct source *s, struct span body,
    struct source_item *item)
{
	struct cur c = cur_of(body);
	uint32_t type = source_u32(s, &c);
	struct span keys = cur_take(&c, source_u32(s, &c));

	if (c.bad || type != SECRETS_TLS)
		return STEP_ON;
	*item = (struct source_item){ .kind = SOURCE_SECRETS,
	    .secrets = keys };
	return STEP_ITEM;
}

static enum source_step read_body(struct source *s, const struct block *b,
    struct span body, struct source_item *item, uint64_t offset)
{
	struct cur c = cur_of(body);

	switch (b->type) {
	case BLOCK_SECTION:
		cur_take(&c, 4);
		s->big = b->big;
		s->section = source_u16(s, &c) == 1 && !c.bad;
		s->ninterfaces = 0;
		if (!s->section)
			return source_damage(s, item,
			    "a section of another version than 1", offset);
		return STEP_ON;
	case BLOCK_INTERFACE:
		return read_interface(s, body, item, offset);
	case BLOCK_PACKET:
	case BLOCK_SIMPLE:
	case BLOCK_ENHANCED:
		return read_packet(s, b, body, item, offset);
	case BLOCK_SECRETS:
		return read_secrets(s, body, item);
	}
	return STEP_ON;
}

enum source_step pcapng_step(struct source *s, struct source_item *item)
{
	uint64_t offset = intake_offset(s->in);
	struct span head, whole;
	enum source_step step;
	struct block b;

	if (s->lost)
		return search(s);
	head = intake_peek(s->in, LEAST);
	if (head.n < LEAST)
		return STEP_MORE;
	if (!read_block(s, head, &b))
		return lose(s, item, 0, "no block has such a length");
	if (b.total > SOURCE_BLOCK_MAX)
		return pass_long(s, item, &b);
	whole = intake_peek(s->in, b.total);
	if (whole.n < b.total)
		return lose(s, item, 0, "the file ends within a block");
	if (!lengths_agree(whole, &b))
		return lose(s, item, b.total, "a block's two lengths differ");
	s->taken = b.total;
	step = read_body(s, &b, span_of(whole.p + 8, b.total - LEAST), item,
	    offset);
	if (step == STEP_ON) {
		intake_skip(s->in, s->taken);
		s->taken = 0;
	}
	return step;
}
