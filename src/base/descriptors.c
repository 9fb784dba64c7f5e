/* SPDX-License-Identifier: MIT */
#include "base/descriptors.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"

static struct rlimit before;
static bool raised;

void descriptors_raise(void)
{
	struct rlimit all;

	if (getrlimit(RLIMIT_NOFILE, &before) < 0 ||
	    before.rlim_cur >= before.rlim_max)
		return;
	all = before;
	all.rlim_cur = all.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &all) == 0)
		raised = true;
	else
		log_warning("the limit of open files stays at %ju: %s",
			    (uintmax_t)before.rlim_cur, strerrordesc_np(errno));
}

void descriptors_restore(pid_t child)
{
	if (raised)
		prlimit(child, RLIMIT_NOFILE, &before, NULL);
}

int descriptors_limit(void)
{
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur > INT_MAX)
		return INT_MAX;
	return (int)now.rlim_cur;
}
