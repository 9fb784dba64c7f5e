/* SPDX-License-Identifier: MIT */

/*
 * Whose addresses at the destination are proved (pages/private.h), as the
 * source knows it.
 *
 * Pages of a block that needs a proof stay in the stream until one comes that
 * holds more than a repeated word.  Of that one the destination is told the
 * sum, then QEMU gets the page and a PING behind it, and the stream waits.  The
 * PONG comes back with the destination's finding.  Afterwards the block's pages
 * are taken out, or stay for good.
 *
 * The stream's reader asks and waits, the return path's writer answers, any
 * thread stops it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "qemu/split.h"

enum proof_state { PROOF_NEEDLESS, PROOF_NEEDED, PROOF_GIVEN, PROOF_FAILED };

struct proofs {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopped;
	uint8_t state[SPLIT_BLOCKS_MAX];  /* enum proof_state */
	uint8_t answer[SPLIT_BLOCKS_MAX]; /* enum memory_proof */
	const char *name[SPLIT_BLOCKS_MAX];
};

void proofs_init(struct proofs *p);
void proofs_done(struct proofs *p);

/* @name is kept as long as this is. */
void proofs_need(struct proofs *p, unsigned block, const char *name);
enum proof_state proofs_state(struct proofs *p, unsigned block);

/* @value of a PONG of ours. */
void proofs_answered(struct proofs *p, uint32_t value);
/* False: there is no answer until @deadline_us. */
bool proofs_wait(struct proofs *p, unsigned block, uint64_t deadline_us);
/* Its answer, should it come, is too late. */
void proofs_give_up(struct proofs *p, unsigned block);
/* Nobody waits any more; what has no answer has failed. */
void proofs_stop(struct proofs *p);

/* Why pages of a block stay in the stream: "pc.ram: several mappings ...".
 * False: they need not. */
bool proofs_explain(struct proofs *p, char *buf, size_t cap);
