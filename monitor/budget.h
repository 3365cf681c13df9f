/*
 * What one peer may say unasked, in bytes: so much at once, its claims, and
 * then so much a second. What makes a record of its own costs more. Pure.
 */
#ifndef MONITOR_BUDGET_H
#define MONITOR_BUDGET_H

#include "wire/talk.h"

struct budget {
	int64_t left, most, paid_ns;
	enum pw_id heard;	/* its last message */
	int64_t heard_ns;	/* the first of those joined to it */
	uint32_t claimed;
};

void budget_init(struct budget *b, int64_t now_ns);

/* The torrent is known: its claims are two bitfields and every have. */
void budget_claims(struct budget *b, uint32_t pieces);

/* An event of the peer's; asked: something that it was asked for. claimed: the
 * pieces it claims after it. False: it has said more than it may. */
bool budget_pay(struct budget *b, const struct event *ev, bool asked,
    uint32_t claimed, int64_t now_ns);

#endif
