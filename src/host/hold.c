/* SPDX-License-Identifier: MIT */
#include "host/hold.h"

#include <stdio.h>

static const char *const names[HOLDS] = {
	[HOLD_NONE] = "",
	[HOLD_DEFINE] = "vm define",
	[HOLD_START] = "vm start",
	[HOLD_STOP] = "vm stop",
	[HOLD_PAUSE] = "vm pause",
	[HOLD_RESUME] = "vm resume",
	[HOLD_ADOPT] = "vm adopt",
	[HOLD_FORGET] = "vm forget",
	[HOLD_COMPARE] = "compare",
	[HOLD_ESTIMATE] = "move --estimate",
	[HOLD_ARRIVAL] = "its arrival",
	[HOLD_END] = "the end of its QEMU",
	[HOLD_JOB] = "job",
};

struct hold hold_by_job(const char *id)
{
	struct hold by = { .kind = HOLD_JOB };

	snprintf(by.job, sizeof(by.job), "%s", id);
	return by;
}

const char *hold_text(char buf[static HOLD_TEXT], const struct hold *by)
{
	snprintf(buf, HOLD_TEXT, "%s%s%s", names[by->kind],
		 by->job[0] ? " " : "", by->job);
	return buf;
}
