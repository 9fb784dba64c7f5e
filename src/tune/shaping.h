/* SPDX-License-Identifier: MIT */

/*
 * What the kernel would have to be told so that it keeps the limit and the
 * guarantee of a [network NAME] on a card: docs/tune.md.  Pure functions, but
 * for shaping_read(); a tree is what there shall be, or what there is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/words.h"
#include "nic/networks.h"

struct error;

enum { SHAPING_CLASSES = 3, SHAPING_KIND = 16, SHAPING_WHY = 160 };

struct shaping_card {
	const char *name;
	uint64_t rate; /* bytes a second; 0: not known */
	const struct network_share *share;
};

struct shaping_class {
	uint32_t id;         /* major << 16 | minor, as tc's 1:10 */
	uint64_t rate, most; /* bytes a second; of ETS a quantum in bytes, 0 */
};

struct shaping_tree {
	char kind[SHAPING_KIND]; /* "htb", "ets"; "": none */
	uint32_t handle;         /* as a class' id, minor 0 */
	struct shaping_class at[SHAPING_CLASSES];
	unsigned count;
	/* Places in `at`; -1: there is none. */
	int whole, moves, others;
};

/* True: @ret is what there shall be.  False: nothing, and @why says why, or is
 * empty where nothing is asked for. */
bool shaping_want(struct shaping_tree *ret, char why[static SHAPING_WHY],
		  const struct shaping_card *c);

/* The commands of tc(8) that set it, one by one. */
int shaping_commands(struct words *ret, const struct shaping_tree *t,
		     const struct shaping_card *c, struct error *e);

enum shaping_state {
	SHAPING_UNSET, /* the card has the queues that it came with */
	SHAPING_SET,
	SHAPING_OTHER, /* somebody has put others there */
	SHAPING_STATES,
};

/* Whether @seen has what @want asks for; the order of classes does not count.
 */
enum shaping_state shaping_compare(const struct shaping_tree *want,
				   const struct shaping_tree *seen);

/* What the kernel has; `count` may be more than there is room for. */
int shaping_read(struct shaping_tree *ret, int ifindex, struct error *e);
