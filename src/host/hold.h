/* SPDX-License-Identifier: MIT */

/*
 * Who holds a machine: nobody, an operation of a user or of the service, or a
 * job.  Whoever holds it alone may change it, for as long as it takes.
 *
 * A hold is a value: any thread may make one and look at its own.
 */
#pragma once

#include <stddef.h>

#include "move/job.h"

enum hold_kind {
	HOLD_NONE,
	HOLD_DEFINE,
	HOLD_START,
	HOLD_STOP,
	HOLD_PAUSE,
	HOLD_RESUME,
	HOLD_ADOPT,
	HOLD_FORGET,
	HOLD_COMPARE,
	HOLD_ESTIMATE,
	HOLD_ARRIVAL, /* of a move that a daemon before this one finished */
	HOLD_END,     /* the watch has seen its QEMU end */
	HOLD_JOB,
	HOLDS,
};

struct hold {
	enum hold_kind kind;
	char job[JOB_ID_SIZE]; /* of HOLD_JOB; else empty */
};

enum { HOLD_TEXT = 32 };

struct hold hold_by_job(const char *id);
/* "vm start", "job 3f9a12cd"; empty for nobody. */
const char *hold_text(char buf[static HOLD_TEXT], const struct hold *by);
