/* SPDX-License-Identifier: MIT */

/*
 * What rules are made of: each looks at one card, and says what it finds.  A
 * rule that lacks a fact finds nothing.
 */
#pragma once

#include <stdbool.h>

#include "tune/advice.h"
#include "tune/facts.h"

struct advisor;

struct tune_rule {
	const char *feature;
	enum nic_kind of;  /* the cards that it looks at */
	unsigned purposes; /* bits by enum tune_purpose */
	/* Sentences, and whence: constants. */
	const char *why, *source;
	void (*look)(struct advisor *a, const struct nic *n);
};

struct advisor {
	const struct tune_facts *facts;
	struct tune_advice *to;
	const struct tune_rule *rule;
	/* Where interrupts go, once what was found has been done; how many of
	 * them each processor has, and which have one that stays. */
	struct nic_interrupts interrupts;
	unsigned uses[PROCESSORS_MOST];
	bool kept[PROCESSORS_MOST];
	struct tune_finding spare; /* for who finds something without memory */
	struct error *e;
	bool failed;
};

/* There is no memory. */
void advisor_fail(struct advisor *a);
/* Adds a finding of the card, by the rule that looks; never NULL. */
struct tune_finding *advisor_find(struct advisor *a, const struct nic *n);
void advisor_command(struct advisor *a, struct tune_finding *f, const char *fmt,
		     ...) __attribute__((format(printf, 3, 4)));
void advisor_unknown(struct advisor *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Does the interrupt carry what the card receives?  One in ten of the busiest
 * is about something else. */
bool advisor_carries(const struct advisor *a, const struct nic_interrupt *i);
/* Of the processors that the card's interrupts go to, the one that spent most
 * of its time on them; -1: not known. */
int advisor_busiest(const struct advisor *a, const struct nic *n);
/* What the busiest processor of the card's interrupts was measured to do, as
 * the gain of @f; nothing where that is not known. */
void advisor_put_load(const struct advisor *a, struct tune_finding *f,
		      const struct nic *n);
/* How many processors are near the card: of its node, where that is known. */
unsigned advisor_near(const struct advisor *a, const struct nic *n);
bool advisor_is_near(const struct advisor *a, const struct nic *n,
		     int processor);
