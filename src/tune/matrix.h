/* SPDX-License-Identifier: MIT */

/*
 * Which feature of a network card needs, excludes, weakens or combines with
 * which: docs/tune.md.  A table of constants, for any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum tune_feature {
	TUNE_RSS,
	TUNE_RPS,
	TUNE_NTUPLE,
	TUNE_VMQ,
	TUNE_DYNAMIC_VMQ,
	TUNE_SRIOV,
	TUNE_RX_CHECKSUM,
	TUNE_TX_CHECKSUM,
	TUNE_LSO,
	TUNE_LRO,
	TUNE_GRO_HARDWARE,
	TUNE_ESP,
	TUNE_TLS_TX,
	TUNE_TLS_RX,
	TUNE_SWITCH,
	TUNE_TEAM_INDEPENDENT,
	TUNE_TEAM_SWITCH,
	TUNE_HASH_LAYER2,
	TUNE_RDMA,
	TUNE_PFC,
	TUNE_SHARES,
	TUNE_IRQ_AFFINITY,
	TUNE_IRQBALANCE,
	TUNE_CONNECTIONS,
	TUNE_MOVES,
	TUNE_FEATURES,
};

enum tune_relation {
	TUNE_UNRELATED, /* nothing is known */
	TUNE_NEEDS,
	TUNE_EXCLUDES,
	TUNE_WEAKENS,
	TUNE_COMBINES,
	TUNE_RELATIONS,
};

enum tune_column {
	TUNE_WINDOWS, /* as administrators of Hyper-V know it */
	TUNE_LINUX,   /* the kernel, and the driver where the reason names it */
	TUNE_COLUMNS,
};

struct tune_saying {
	enum tune_relation relation;
	const char *why, *source; /* sentences; NULL only where unrelated */
};

/* "@feature needs, excludes, weakens, combines with @other" */
struct tune_entry {
	enum tune_feature feature, other;
	struct tune_saying says[TUNE_COLUMNS];
};

extern const struct tune_entry tune_matrix[];
extern const size_t tune_matrix_count;

/* "sr-iov", and what that is in a few words. */
extern const char *const tune_feature_names[TUNE_FEATURES];
extern const char *const tune_feature_texts[TUNE_FEATURES];
extern const char *const tune_relation_names[TUNE_RELATIONS];

/* Whether the relation is true of both directions. */
bool tune_symmetric(enum tune_relation relation);

/* What is said of @a towards @b.  NULL: nothing; also where only @b needs or
 * weakens @a. */
const struct tune_saying *tune_says(enum tune_column column,
				    enum tune_feature a, enum tune_feature b);
