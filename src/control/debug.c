/* SPDX-License-Identifier: MIT */
#include "control/debug.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "control/api.h"
#include "control/settings.h"
#include "host/host.h"
#include "host/settings_view.h"
#include "move/job_view.h"

struct debug {
	char version[24], log_level[16];
	struct settings_view settings;
	struct job_details *jobs; /* that run */
	size_t n_jobs;
};

#define AT(member) SHAPE_AT(struct debug, member)

static const struct shape_field fields[] = {
	{ "version", SHAPE_TEXT, 0, AT(version) },
	{ "log_level", SHAPE_TEXT, 0, AT(log_level) },
	{ "settings", SHAPE_OBJECT, 0, AT(settings),
	  .of = &settings_view_shape },
	{ "jobs", SHAPE_LIST, 0, AT(jobs), SHAPE_COUNT(struct debug, n_jobs),
	  .of = &job_details_shape },
};

const struct shape debug_shape = SHAPE(struct debug, fields);

static void debug_done(struct debug *d)
{
	for (size_t i = 0; i < d->n_jobs; i++)
		shape_done(&job_details_shape, &d->jobs[i]);
	free(d->jobs);
	settings_view_done(&d->settings);
}

/* Those that run; one that has gone meanwhile is left out. */
static int add_jobs(struct debug *d, struct host *h,
		    const struct job_views *jobs, struct error *e)
{
	struct error ignored;

	d->jobs = calloc(jobs->count ? jobs->count : 1, sizeof(*d->jobs));
	if (!d->jobs)
		return error_set(e, ENOMEM, "no memory for the answer");
	for (size_t i = 0; i < jobs->count; i++)
		if (jobs->at[i].state == JOB_RUNNING &&
		    host_debug_job(h, jobs->at[i].id, &d->jobs[d->n_jobs],
				   &ignored) == 0)
			d->n_jobs++;
	return 0;
}

int debug_all(struct host *h, const struct api_call *c, char **ret,
	      struct error *e)
{
	SCOPED(debug_done) struct debug d = { .version = DROVER_VERSION };
	struct job_views jobs;
	int r;

	(void)c;
	snprintf(d.log_level, sizeof(d.log_level), "%s",
		 log_level_name(log_level()));
	if (host_settings_list(h, &d.settings, e) < 0 ||
	    job_list(h, &jobs, e) < 0)
		return error_code(e);
	r = add_jobs(&d, h, &jobs, e);
	shape_done(&job_views_shape, &jobs);
	return r < 0 ? r : api_text(ret, &debug_shape, &d, e);
}
