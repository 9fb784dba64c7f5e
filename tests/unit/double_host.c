/* SPDX-License-Identifier: MIT */
#include "double_host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "host/authority.h"
#include "host/disks.h"
#include "host/drain_record.h"
#include "host/estimate_view.h"
#include "host/finished.h"
#include "host/host.h"
#include "host/host_view.h"
#include "host/hosts.h"
#include "host/kept_copies.h"
#include "host/machine_view.h"
#include "host/old_disks.h"
#include "host/pairing.h"
#include "host/pools.h"
#include "host/sample.h"
#include "host/settings_view.h"
#include "move/job_view.h"

struct host *double_as_host(struct double_host *d)
{
	return (struct host *)d;
}

static int answer(struct host *h, struct error *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int answer(struct host *h, struct error *e, const char *fmt, ...)
{
	struct double_host *d = (struct double_host *)h;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->asked, sizeof(d->asked), fmt, ap);
	va_end(ap);
	if (d->fail_code)
		return error_set(e, d->fail_code, "%s", d->reason);
	/* As where something is tried again until it works. */
	error_set(e, EAGAIN, "not at the first try");
	return 0;
}

/* The machine has what was asked for as its definition; @r: the answer. */
static int view_of(struct host *h, struct machine_view *ret, int r)
{
	struct double_host *d = (struct double_host *)h;

	if (r == 0)
		*ret = (struct machine_view){ .definition = strdup(d->asked) };
	return r;
}

/* Likewise, a job as its error. */
static int job_of(struct host *h, struct job_view *ret, int r)
{
	struct double_host *d = (struct double_host *)h;

	if (r < 0)
		return r;
	*ret = (struct job_view){ .id = "3f", .state = JOB_RUNNING };
	snprintf(ret->error, sizeof(ret->error), "%.250s", d->asked);
	return 0;
}

int host_show(struct host *h, struct host_view *ret, struct error *e)
{
	struct double_host *d = (struct double_host *)h;

	for (int i = 0; d->meet && i < 2; i++)
		pthread_barrier_wait(d->meet);
	*ret = (struct host_view){ .peers_count = 0 };
	return answer(h, e, "host_show");
}

int host_settings_list(struct host *h, struct settings_view *ret,
		       struct error *e)
{
	(void)ret;
	return answer(h, e, "host_settings_list");
}

int host_set(struct host *h, const char *setting, const struct words *values,
	     struct settings_view *ret, struct error *e)
{
	char all[128] = "";
	int r;

	for (size_t i = 0; i < values->count; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all), " %s",
			 values->at[i]);
	r = answer(h, e, "host_set %s%s", setting, all);
	if (r < 0)
		return r;
	*ret = (struct settings_view){ .at = calloc(1, sizeof(*ret->at)),
				       .count = 1 };
	ret->at[0].section = &move_section;
	ret->at[0].key = &move_section.keys[0];
	return 0;
}

int nic_plan(struct host *h, const char *peer, const char *mode,
	     struct plan_view *ret, struct error *e)
{
	*ret = (struct plan_view){ 0 };
	return answer(h, e, "nic_plan %s %s", peer, mode ? mode : "-");
}

int host_debug_job(struct host *h, const char *id, struct job_details *ret,
		   struct error *e)
{
	*ret = (struct job_details){ .session.known = false };
	return job_of(h, &ret->job, answer(h, e, "host_debug_job %s", id));
}

int machine_list(struct host *h, struct machine_views *ret, struct error *e)
{
	struct machine_view *one = calloc(1, sizeof(*one));
	int r = view_of(h, one, answer(h, e, "machine_list"));

	*ret = (struct machine_views){ .at = one, .count = r == 0 };
	return r;
}

int machine_show(struct host *h, const char *name, struct machine_view *ret,
		 struct error *e)
{
	return view_of(h, ret, answer(h, e, "machine_show %s", name));
}

void disk_views_done(struct disk_views *v)
{
	(void)v;
}

int machine_disks(struct host *h, const char *name, struct disk_views *ret,
		  struct error *e)
{
	*ret = (struct disk_views){ 0 };
	return answer(h, e, "machine_disks %s", name);
}

int host_pools(struct host *h, struct pool_views *ret, struct error *e)
{
	*ret = (struct pool_views){ 0 };
	return answer(h, e, "host_pools");
}

int host_old_disks(struct host *h, struct old_disks *ret, struct error *e)
{
	*ret = (struct old_disks){ 0 };
	return answer(h, e, "host_old_disks");
}

int host_remove_old_disks(struct host *h, const char *machine,
			  struct old_disks *ret, struct error *e)
{
	*ret = (struct old_disks){ 0 };
	return answer(h, e, "host_remove_old_disks %s", machine);
}

int machine_define(struct host *h, const char *file_name, const char *text,
		   struct machine_view *ret, struct error *e)
{
	return view_of(h, ret,
		       answer(h, e, "machine_define %s: %s", file_name, text));
}

int machine_start(struct host *h, const char *name, bool anyway,
		  struct machine_view *ret, struct error *e)
{
	(void)anyway;
	return view_of(h, ret, answer(h, e, "machine_start %s", name));
}

int machine_stop(struct host *h, const char *name, struct machine_view *ret,
		 struct error *e)
{
	return view_of(h, ret, answer(h, e, "machine_stop %s", name));
}

int machine_shutdown(struct host *h, const char *name, uint64_t timeout_us,
		     struct machine_view *ret, struct error *e)
{
	return view_of(h, ret,
		       answer(h, e, "machine_shutdown %s %d", name,
			      (int)(timeout_us / 1000)));
}

int machine_restart(struct host *h, const char *name, uint64_t timeout_us,
		    bool now, struct machine_view *ret, struct error *e)
{
	return view_of(h, ret,
		       answer(h, e, "machine_restart %s %d%s", name,
			      (int)(timeout_us / 1000), now ? " now" : ""));
}

int machine_pause(struct host *h, const char *name, struct machine_view *ret,
		  struct error *e)
{
	return view_of(h, ret, answer(h, e, "machine_pause %s", name));
}

int machine_resume(struct host *h, const char *name, struct machine_view *ret,
		   struct error *e)
{
	return view_of(h, ret, answer(h, e, "machine_resume %s", name));
}

int machine_adopt(struct host *h, const struct adopt_request *of,
		  struct machine_view *ret, struct error *e)
{
	return view_of(h, ret,
		       answer(h, e, "machine_adopt %d %s %s", (int)of->pid,
			      of->name ? of->name : "-",
			      of->user ? of->user : "-"));
}

int machine_forget(struct host *h, const char *name, bool leave_running,
		   struct machine_view *ret, struct error *e)
{
	return view_of(h, ret,
		       answer(h, e, "machine_forget %s%s", name,
			      leave_running ? " leave" : ""));
}

int machine_move(struct host *h, const char *name,
		 const struct move_request *of, struct job_view *ret_job,
		 struct error *e)
{
	const struct paths_request *p = &of->paths;

	return job_of(h, ret_job,
		      answer(h, e, "machine_move %s %s %s %d/%d %d/%d %s%s%s",
			     name, of->host, p->mode ? p->mode : "-",
			     p->has_networks, (int)p->networks.count,
			     p->has_connections, (int)p->connections,
			     of->on_timeout ? of->on_timeout : "-",
			     of->has_converge ? " converge" : "",
			     of->paused ? " paused" : ""));
}

int machine_move_any(struct host *h, const char *name,
		     const struct move_request *of, struct job_view *ret_job,
		     struct error *e)
{
	return job_of(h, ret_job,
		      answer(h, e, "machine_move_any %s %s", name,
			     of->host ? of->host : "-"));
}

/* What was asked for as a host of a drain. */
static int drain_of(struct host *h, struct drain_record *ret, int r)
{
	struct double_host *d = (struct double_host *)h;
	struct error e;

	*ret = (struct drain_record){ .state = DRAIN_DRAINING };
	return r < 0 ? r : words_add(&ret->to, d->asked, &e);
}

int host_drain_show(struct host *h, struct drain_record *ret, struct error *e)
{
	return drain_of(h, ret, answer(h, e, "host_drain_show"));
}

int host_drain_plan(struct host *h, const struct drain_request *of,
		    struct drain_record *ret, struct error *e)
{
	return drain_of(h, ret,
			answer(h, e, "host_drain_plan %zu", of->to.count));
}

int host_drain(struct host *h, const struct drain_request *of,
	       struct drain_record *ret, struct error *e)
{
	return drain_of(h, ret,
			answer(h, e, "host_drain %s%s",
			       of->to.count > 0 ? of->to.at[0] : "-",
			       of->stop_the_rest ? " stop" : ""));
}

int host_drain_resume(struct host *h, struct drain_record *ret, struct error *e)
{
	return drain_of(h, ret, answer(h, e, "host_drain_resume"));
}

int host_drain_cancel(struct host *h, struct drain_record *ret, struct error *e)
{
	return drain_of(h, ret, answer(h, e, "host_drain_cancel"));
}

int host_return(struct host *h, struct drain_record *ret, struct error *e)
{
	return drain_of(h, ret, answer(h, e, "host_return"));
}

int host_capacity(struct host *h, struct drain_spare *ret, struct error *e)
{
	*ret = (struct drain_spare){ .enough = true };
	return answer(h, e, "host_capacity");
}

int host_hosts(struct host *h, struct hosts_all *ret, struct error *e)
{
	*ret = (struct hosts_all){ .count = 0 };
	return answer(h, e, "host_hosts");
}

int host_sample(struct host *h, struct sample *ret, struct error *e)
{
	*ret = (struct sample){ .wall_us = 1 };
	return answer(h, e, "host_sample");
}

int host_past_names(struct host *h, struct words *ret, struct error *e)
{
	(void)ret;
	return answer(h, e, "host_past_names");
}

int host_past(struct host *h, const char *name, enum ring_span span,
	      size_t last, struct past *ret, struct error *e)
{
	*ret = (struct past){ .step = 1 };
	return answer(h, e, "host_past %s %d %zu", name, (int)span, last);
}

int host_finished(struct host *h, struct finished_jobs *ret, struct error *e)
{
	*ret = (struct finished_jobs){ .count = 0 };
	return answer(h, e, "host_finished");
}

int host_finished_show(struct host *h, const char *id, char **ret_text,
		       struct error *e)
{
	int r = answer(h, e, "host_finished_show %s", id);

	if (r == 0)
		*ret_text = strdup("{}");
	return r;
}

int machine_update(struct host *h, const char *name, struct job_view *ret_job,
		   struct error *e)
{
	return job_of(h, ret_job, answer(h, e, "machine_update %s", name));
}

int machine_compare(struct host *h, const char *name, const char *peer,
		    struct comparison *ret, struct error *e)
{
	*ret = (struct comparison){ .ok = true };
	return answer(h, e, "machine_compare %s %s", name, peer);
}

int machine_estimate(struct host *h, const char *name,
		     const struct move_request *of, struct estimate_view *ret,
		     struct error *e)
{
	*ret = (struct estimate_view){ .time_ms = -1 };
	return answer(h, e, "machine_estimate %s %s", name, of->host);
}

int job_list(struct host *h, struct job_views *ret, struct error *e)
{
	struct job_view *one = calloc(1, sizeof(*one));
	int r = job_of(h, one, answer(h, e, "job_list"));

	if (r < 0)
		free(one);
	else
		*ret = (struct job_views){ .at = one, .count = 1 };
	return r;
}

int job_show(struct host *h, const char *id, struct job_view *ret,
	     struct error *e)
{
	return job_of(h, ret, answer(h, e, "job_show %s", id));
}

int job_cancel(struct host *h, const char *id, struct job_view *ret,
	       struct error *e)
{
	return job_of(h, ret, answer(h, e, "job_cancel %s", id));
}

int job_set(struct host *h, const char *id, const struct job_request *of,
	    struct job_view *ret, struct error *e)
{
	return job_of(h, ret,
		      answer(h, e, "job_set %s %d/%s %d/%d %d/%d", id,
			     of->has_converge,
			     of->converge.count ? of->converge.at[0] : "-",
			     of->has_downtime_limit, (int)of->downtime_limit_ms,
			     of->has_timeout, (int)of->timeout_ms));
}

int job_resolve(struct host *h, const char *id, int run_here,
		struct job_view *ret, struct error *e)
{
	return job_of(h, ret,
		      answer(h, e, "job_resolve %s %s", id,
			     run_here ? "here" : "there"));
}

int nic_list(struct host *h, struct nic_views *ret, struct error *e)
{
	*ret = (struct nic_views){ 0 };
	return answer(h, e, "nic_list");
}

int nic_matrix(struct host *h, struct tune_matrix_view *ret, struct error *e)
{
	*ret = (struct tune_matrix_view){ 0 };
	return answer(h, e, "nic_matrix");
}

int nic_advise(struct host *h, const char *purpose, struct tune_advice *ret,
	       struct error *e)
{
	*ret = (struct tune_advice){ 0 };
	return answer(h, e, "nic_advise %s", purpose ? purpose : "-");
}

int nic_show(struct host *h, const char *name, struct nic_view *ret,
	     struct error *e)
{
	*ret = (struct nic_view){ .numa_node = -1 };
	return answer(h, e, "nic_show %s", name);
}

int relay_start(struct host *h, const struct relay_request *of,
		struct job_view *ret_job, struct error *e)
{
	return job_of(h, ret_job,
		      answer(h, e, "relay_start %s %s %s %d", of->role,
			     of->name, of->qemu ? of->qemu : "-",
			     (int)of->pid));
}

int host_trust_show(struct host *h, struct trust_view *ret, struct error *e)
{
	*ret = (struct trust_view){ 0 };
	return answer(h, e, "host_trust_show");
}

int host_trust_init(struct host *h, struct trust_view *ret, struct error *e)
{
	*ret = (struct trust_view){ .joined = true };
	return answer(h, e, "host_trust_init");
}

int host_trust_invite(struct host *h, const char *name,
		      struct invitation_view *ret, struct error *e)
{
	*ret = (struct invitation_view){ .port = 6600 };
	return answer(h, e, "host_trust_invite%s%s", name[0] ? " " : "", name);
}

void invitation_view_done(struct invitation_view *v)
{
	words_done(&v->addresses);
}

int host_trust_join(struct host *h, const struct joining *j,
		    struct trust_view *ret, struct error *e)
{
	*ret = (struct trust_view){ .joined = true };
	return answer(h, e, "host_trust_join %s %s %u", j->host, j->token,
		      j->port);
}

int host_trust_renew(struct host *h, struct trust_view *ret, struct error *e)
{
	*ret = (struct trust_view){ .joined = true };
	return answer(h, e, "host_trust_renew");
}

int host_trust_members(struct host *h, struct member_views *ret,
		       struct error *e)
{
	*ret = (struct member_views){ 0 };
	return answer(h, e, "host_trust_members");
}

int host_trust_remove(struct host *h, const char *name, struct member_view *ret,
		      struct error *e)
{
	*ret = (struct member_view){ .removed = true };
	return answer(h, e, "host_trust_remove %s", name);
}

void member_view_done(struct member_view *v)
{
	words_done(&v->addresses);
}

void member_views_done(struct member_views *v)
{
	free(v->at);
}

int host_trust_export(struct host *h, struct trust_authority *ret,
		      struct error *e)
{
	*ret = (struct trust_authority){ .serial = 1 };
	return answer(h, e, "host_trust_export");
}

int host_trust_release(struct host *h, struct error *e)
{
	return answer(h, e, "host_trust_release");
}

int host_trust_import(struct host *h, const struct trust_authority *a,
		      struct error *e)
{
	return answer(h, e, "host_trust_import %s %d", a->key, (int)a->serial);
}

struct events *host_events(struct host *h)
{
	(void)h;
	return NULL;
}

int copy_list(struct host *h, struct kept_views *ret, struct error *e)
{
	*ret = (struct kept_views){ .count = 0 };
	return answer(h, e, "copy_list");
}

int copy_remove(struct host *h, const char *name, struct kept_view *ret,
		struct error *e)
{
	*ret = (struct kept_view){ .bytes = 0 };
	return answer(h, e, "copy_remove %s", name);
}
