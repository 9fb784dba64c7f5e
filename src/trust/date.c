/* SPDX-License-Identifier: MIT */
#include "trust/date.h"

#include <stdio.h>
#include <time.h>

void date_text(char buf[static DATE_CAP], int64_t at_s)
{
	const time_t t = at_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) ||
	    !strftime(buf, DATE_CAP, "%F %H:%M:%S UTC", &tm))
		snprintf(buf, DATE_CAP, "an unknown time");
}
