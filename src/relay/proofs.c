/* SPDX-License-Identifier: MIT */
#include "relay/proofs.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/scope.h"
#include "pages/memory.h"
#include "relay/pongs.h"

void proofs_init(struct proofs *p)
{
	*p = (struct proofs){ 0 };
	pthread_mutex_init(&p->lock, NULL);
	clock_cond_init(&p->changed);
}

void proofs_done(struct proofs *p)
{
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
}

void proofs_need(struct proofs *p, unsigned block, const char *name)
{
	WITH_LOCK(&p->lock);

	p->state[block] = PROOF_NEEDED;
	p->answer[block] = MEMORY_UNPROVED;
	p->name[block] = name;
}

enum proof_state proofs_state(struct proofs *p, unsigned block)
{
	WITH_LOCK(&p->lock);

	return (enum proof_state)p->state[block];
}

void proofs_answered(struct proofs *p, uint32_t value)
{
	unsigned block = pongs_block(value), answer = value & 0xff;

	WITH_LOCK(&p->lock);

	if (p->state[block] != PROOF_NEEDED)
		return;
	p->answer[block] =
		(uint8_t)(answer < MEMORY_PROOFS ? answer : MEMORY_UNPROVED);
	p->state[block] = answer == MEMORY_PROVED ? PROOF_GIVEN : PROOF_FAILED;
	pthread_cond_broadcast(&p->changed);
}

bool proofs_wait(struct proofs *p, unsigned block, uint64_t deadline_us)
{
	const struct timespec until = clock_timespec(deadline_us);

	WITH_LOCK(&p->lock);

	while (p->state[block] == PROOF_NEEDED && !p->stopped)
		if (pthread_cond_timedwait(&p->changed, &p->lock, &until))
			return false;
	if (p->state[block] == PROOF_NEEDED)
		p->state[block] = PROOF_FAILED;
	return true;
}

void proofs_give_up(struct proofs *p, unsigned block)
{
	WITH_LOCK(&p->lock);

	p->state[block] = PROOF_FAILED;
}

void proofs_stop(struct proofs *p)
{
	WITH_LOCK(&p->lock);

	p->stopped = true;
	pthread_cond_broadcast(&p->changed);
}

bool proofs_explain(struct proofs *p, char *buf, size_t cap)
{
	static const char *const why[MEMORY_PROOFS] = {
		[MEMORY_UNPROVED] = "no page came that could prove its address "
				    "while QEMU could answer: it needs the "
				    "capability return-path",
		[MEMORY_NOWHERE] = "no mapping of that QEMU has the page that "
				   "was to prove its address",
		[MEMORY_AMBIGUOUS] = "several mappings of that QEMU have the "
				     "page that was to prove its address",
		[MEMORY_REFUSED] = "that QEMU may not be looked into",
	};

	WITH_LOCK(&p->lock);

	for (unsigned i = 0; i < SPLIT_BLOCKS_MAX; i++) {
		if (p->state[i] != PROOF_NEEDED && p->state[i] != PROOF_FAILED)
			continue;
		snprintf(buf, cap, "%s: %s", p->name[i], why[p->answer[i]]);
		return true;
	}
	return false;
}
