/*
 * Inside a source: what its two formats share. Only source.c and pcapng.c.
 */
#ifndef CAPTURE_SOURCE_IMPL_H
#define CAPTURE_SOURCE_IMPL_H

#include "capture/intake.h"
#include "capture/source.h"

#define SOURCE_INTERFACES 4096u	/* of a section; later ones are not known */

struct source_interface {
	uint16_t link;
	uint8_t resolution;	/* if_tsresol */
	uint32_t snaplen;	/* 0: no bound */
	int64_t offset_s;	/* if_tsoffset */
};

struct source {
	struct intake *in;
	char *path;
	bool ended;
	bool big;		/* the byte order of file or section */
	bool pcapng;
	/* pcap */
	uint32_t link, unit;	/* unit: ns in one of its fractions */
	int64_t last_s;		/* of the packet before; -1: none */
	/* pcapng */
	struct source_interface *interfaces;
	uint32_t ninterfaces;
	bool section;		/* a section header was read */
	uint64_t taken;		/* lent: to be skipped at the next call */
	bool lost;		/* damage: looking for what is sound */
	uint64_t packets, damages;
	const char *told[16];	/* damage told already */
};

uint16_t source_u16(const struct source *s, struct cur *c);
uint32_t source_u32(const struct source *s, struct cur *c);

/* What one step came to. MORE: more bytes are needed than there are. */
enum source_step {
	STEP_ITEM,		/* *item is to be told */
	STEP_ON,		/* nothing to tell */
	STEP_MORE
};

/* Counts a damage; ITEM if it is the first of its reason. */
enum source_step source_damage(struct source *s, struct source_item *item,
    const char *reason, uint64_t offset);

enum source_step pcapng_step(struct source *s, struct source_item *item);

#endif
