/* SPDX-License-Identifier: MIT */
#include "host/updates.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/host.h"
#include "host/jobs.h"
#include "host/moves.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/room.h"
#include "host/terms.h"
#include "move/job_view.h"
#include "qemu/definition.h"
#include "qemu/launch.h"

struct update_job {
	struct host *host;
	struct job *job;
	struct machine *machine;
	struct terms terms;
	struct move_options options;
	struct room_claim *claim;
};

void updates_judge(struct machine_view *v)
{
	int older = v->pid > 0 ? launch_outdated(v->pid, v->qemu) : -1;

	v->has_outdated = older >= 0;
	v->outdated = older > 0;
}

static void update_free(struct update_job *u)
{
	room_release(u->host->room, u->claim);
	job_drop(u->job);
	terms_done(&u->terms);
	free(u);
}

static void *update_main(void *arg)
{
	struct update_job *u = arg;
	struct move_machine m = moves_view(u->machine);
	struct error e = { 0 };
	int r = move_update(u->job, &u->terms.host, &m, &u->options, &e);

	machine_release(u->host->registry, u->machine);
	job_settle(u->job, r, &e);
	update_free(u);
	return NULL;
}

static int check(const struct machine_record *m, struct error *e)
{
	if (!m->started)
		return error_set(e, EBUSY,
				 "machine %s does not run: its next start is "
				 "with the QEMU that is installed",
				 m->name);
	if (m->adopted)
		return error_set(e, EBUSY,
				 "machine %s was adopted: process %d is its "
				 "owner's, who would take its end for a crash "
				 "and may start it again beside the new QEMU; "
				 "have the owner restart it, or move it to "
				 "another host, which makes it Drover's "
				 "('drover move %s HOST'), and back",
				 m->name, (int)m->process.pid, m->name);
	return 0;
}

static bool hands_memory(const struct machine_record *m)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct error ignored;

	return definition_parse(&d, m->name, m->text, &ignored) == 0 &&
	       definition_has_ram_file(&d);
}

/* For the second QEMU, beside the first. */
static int claim_room(struct update_job *u, struct error *e)
{
	const struct machine_record *m = machine_record(u->machine);
	const struct room_need need =
		room_of_update(m->name, m->process.pid, hands_memory(m));

	if (room_claim(u->host->room, &u->claim, u->job, &need, e) == 0)
		return 0;
	return error_in(e, "machine %s is copied into a second QEMU here",
			m->name);
}

static int begin(struct update_job *u, const char *name, struct error *e)
{
	const struct move_settings *s = &u->terms.settings->move;
	int r;

	u->options.downtime_limit_us = s->downtime_limit_us;
	u->options.timeout_us = s->timeout_us;
	u->options.outage_limit_us = s->outage_limit_us;
	u->options.converge = move_settings_converge(s);
	if (job_new(&u->job,
		    &(struct job_subject){ .kind = JOB_UPDATE,
					   .role = ROLE_SOURCE,
					   .machine = name,
					   .peer = u->host->settings->name },
		    e) < 0)
		return error_code(e);
	r = machine_take(u->host->registry, name, hold_by_job(u->job->id),
			 &u->machine, e);
	if (r < 0)
		return r;
	if (check(machine_record(u->machine), e) == 0 && claim_room(u, e) == 0)
		return 0;
	machine_release(u->host->registry, u->machine);
	return error_code(e);
}

static int launch_update(struct update_job *u, struct job_view *ret,
			 struct error *e)
{
	if (job_view(u->job, ret, e) < 0)
		return error_code(e);
	jobs_add(u->host->jobs, u->job);
	if (jobs_thread(u->host->jobs, "update", update_main, u, e) == 0)
		return 0;
	shape_done(&job_view_shape, ret);
	job_fail(u->job, e);
	return error_code(e);
}

int machine_update(struct host *h, const char *name, struct job_view *ret_job,
		   struct error *e)
{
	struct update_job *u = calloc(1, sizeof(*u));

	if (!u)
		return error_set(e, ENOMEM, "no memory for an update");
	u->host = h;
	u->terms = terms_of(h);
	if (begin(u, name, e) < 0) {
		update_free(u);
		return error_code(e);
	}
	job_log_begin(u->job);
	if (launch_update(u, ret_job, e) < 0) {
		machine_release(h->registry, u->machine);
		update_free(u);
		return error_code(e);
	}
	return 0;
}
