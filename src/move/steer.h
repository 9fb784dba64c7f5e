/* SPDX-License-Identifier: MIT */

/*
 * What whoever has a QEMU migrate its guest does at each of its rounds, be that
 * to another host or into a new QEMU: measures, has converge.h choose, and
 * tells QEMU.  One thread owns it; docs/convergence.md.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "move/converge.h"
#include "move/job.h"
#include "move/rounds.h"

struct error;
struct migration_capabilities;
struct migration_info;
struct qmp;
struct session;

struct steer {
	/* of whoever steers */
	struct converge_rules rules;
	struct job *job;
	const char *what;  /* "move" */
	uint64_t begun_us; /* QEMU was told to migrate */

	/* steer_begin()'s */
	struct qmp *qmp;
	struct session *session; /* NULL: it goes by no path */

	struct converge converge;
	struct rounds rounds;
	uint64_t pass, pass_us; /* QEMU last looked what has changed */
	uint64_t next_us;       /* it is asked again */
	bool held;              /* steer_hold() */
	bool near; /* its end is, and the host's other moves make way */
	unsigned throttle, most;     /* the last that QEMU said, and the most */
	char stuck[JOB_ADVICE_SIZE]; /* it will not converge, and why */
};

/* QEMU's own means to come to an end are set up; right before it migrates. */
int steer_begin(struct steer *s, struct qmp *q, struct session *session,
		const struct migration_capabilities *c, struct error *e);
/* QEMU has said that it looked, and begins this pass. */
void steer_pass(struct steer *s, uint64_t pass);
/* It is time to ask QEMU what it does.  What it said before it answers belongs
 * to the answer: that is heard first, then comes steer_round() if the guest
 * still runs, then steer_ask_on(). */
bool steer_is_due(struct steer *s);
/* Of @info, QEMU's answer: it may be told something else now. */
int steer_round(struct steer *s, const struct migration_info *info,
		struct error *e);
void steer_ask_on(struct steer *s);
/* Not to stop the guest yet: what goes with it is not there.  May be said at
 * any time while the guest runs. */
int steer_hold(struct steer *s, bool held, struct error *e);
