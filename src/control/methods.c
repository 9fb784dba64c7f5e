/* SPDX-License-Identifier: MIT */

/*
 * The methods of the control API: one small function each, that hands the
 * checked parts of a request to the service, and the table that names them.
 * docs/api.md describes every line of the table.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/shape.h"
#include "base/text.h"
#include "control/api.h"
#include "control/calls.h"
#include "control/debug.h"
#include "control/drains.h"
#include "control/history.h"
#include "control/metrics.h"
#include "control/settings.h"
#include "control/trust.h"
#include "control/views.h"
#include "host/authority.h"
#include "host/disks.h"
#include "host/estimate_view.h"
#include "host/events.h"
#include "host/finished.h"
#include "host/host.h"
#include "host/host_view.h"
#include "host/hosts.h"
#include "host/kept_copies.h"
#include "host/machine_view.h"
#include "host/old_disks.h"
#include "host/pools.h"
#include "move/job_view.h"

enum { DAY_MS = 24 * 3600 * 1000 };

/* --- bodies */

struct start_body {
	bool anyway;
};

static const struct shape_field start_fields[] = {
	{ "anyway", SHAPE_BOOL, 0, SHAPE_AT(struct start_body, anyway) },
};

static const struct shape start_body_shape =
	SHAPE(struct start_body, start_fields);

struct shutdown_body {
	int64_t timeout_ms;
	bool has_timeout; /* else the machine's own */
	bool now;         /* of a restart */
};

#define TIMEOUT_FIELD \
	{ \
		"timeout_ms", SHAPE_SIGNED, 0, \
			SHAPE_AT(struct shutdown_body, timeout_ms), \
			SHAPE_HAS(struct shutdown_body, has_timeout) \
	}

static const struct shape_field shutdown_fields[] = { TIMEOUT_FIELD };

static const struct shape shutdown_body_shape =
	SHAPE(struct shutdown_body, shutdown_fields);

static const struct shape_field restart_fields[] = {
	TIMEOUT_FIELD,
	{ "now", SHAPE_BOOL, 0, SHAPE_AT(struct shutdown_body, now) },
};

static const struct shape restart_body_shape =
	SHAPE(struct shutdown_body, restart_fields);

struct forget_body {
	bool leave_running;
};

static const struct shape_field forget_fields[] = {
	{ "leave_running", SHAPE_BOOL, 0,
	  SHAPE_AT(struct forget_body, leave_running) },
};

static const struct shape forget_body_shape =
	SHAPE(struct forget_body, forget_fields);

struct move_body {
	struct move_request request;
	bool any;     /* no host is named: the placement chooses one */
	char *option; /* the mode, as it was called before */
};

static const struct shape_field move_fields[] = {
	MOVE_REQUEST_FIELDS(struct move_body, request),
	{ "any", SHAPE_BOOL, 0, SHAPE_AT(struct move_body, any) },
	{ "option", SHAPE_STRING, 0, SHAPE_AT(struct move_body, option) },
};

static const struct shape move_body_shape =
	SHAPE(struct move_body, move_fields);

struct relay_body {
	struct relay_request request;
	int64_t downtime_limit_ms; /* of before */
};

#define AT(member) SHAPE_AT(struct relay_body, request.member)

static const struct shape_field relay_fields[] = {
	{ "role", SHAPE_STRING, SHAPE_NEEDED, AT(role) },
	{ "name", SHAPE_STRING, SHAPE_NEEDED, AT(name) },
	{ "qemu", SHAPE_STRING, 0, AT(qemu) },
	{ "pid", SHAPE_SIGNED, 0, AT(pid) },
	{ "host", SHAPE_STRING, 0, AT(host) },
	{ "listen", SHAPE_STRING, 0, AT(listen) },
	{ "socket_user", SHAPE_STRING, 0, AT(socket_user) },
	{ "socket_mode", SHAPE_STRING, 0, AT(socket_mode) },
	{ "downtime_limit_ms", SHAPE_SIGNED, 0,
	  SHAPE_AT(struct relay_body, downtime_limit_ms),
	  SHAPE_HAS(struct relay_body, request.has_downtime_limit) },
};

#undef AT

static const struct shape relay_body_shape =
	SHAPE(struct relay_body, relay_fields);

struct compare_body {
	char *host;
};

static const struct shape_field compare_fields[] = {
	{ "host", SHAPE_STRING, SHAPE_NEEDED,
	  SHAPE_AT(struct compare_body, host) },
};

static const struct shape compare_body_shape =
	SHAPE(struct compare_body, compare_fields);

struct adopt_body {
	int64_t pid;
	char *name, *user; /* NULL: not given */
};

static const struct shape_field adopt_fields[] = {
	{ "pid", SHAPE_SIGNED, SHAPE_NEEDED, SHAPE_AT(struct adopt_body, pid) },
	{ "name", SHAPE_STRING, 0, SHAPE_AT(struct adopt_body, name) },
	{ "user", SHAPE_STRING, 0, SHAPE_AT(struct adopt_body, user) },
};

static const struct shape adopt_body_shape =
	SHAPE(struct adopt_body, adopt_fields);

#define AT(member) SHAPE_AT(struct job_request, member)
#define HAS(member) SHAPE_HAS(struct job_request, member)

static const struct shape_field set_fields[] = {
	{ "converge", SHAPE_WORDS, 0, AT(converge), HAS(has_converge) },
	{ "downtime_limit_ms", SHAPE_SIGNED, 0, AT(downtime_limit_ms),
	  HAS(has_downtime_limit) },
	{ "timeout_ms", SHAPE_SIGNED, 0, AT(timeout_ms), HAS(has_timeout) },
	{ "priority", SHAPE_SIGNED, 0, AT(priority), HAS(has_priority) },
	{ "weight", SHAPE_SIGNED, 0, AT(weight), HAS(has_weight) },
	{ "limit", SHAPE_SIGNED, 0, AT(limit), HAS(has_limit) },
};

#undef AT
#undef HAS

static const struct shape set_body_shape =
	SHAPE(struct job_request, set_fields);

struct resolve_body {
	bool run_here;
};

static const struct shape_field resolve_fields[] = {
	{ "run_here", SHAPE_BOOL, SHAPE_NEEDED,
	  SHAPE_AT(struct resolve_body, run_here) },
};

static const struct shape resolve_body_shape =
	SHAPE(struct resolve_body, resolve_fields);

struct log_body {
	char *level;
};

static const struct shape_field log_fields[] = {
	{ "level", SHAPE_STRING, SHAPE_NEEDED,
	  SHAPE_AT(struct log_body, level) },
};

static const struct shape log_body_shape = SHAPE(struct log_body, log_fields);

/* --- methods */

/* Takes over what the service gave, of the shape @s; @r is what it returned. */
static int given(char **ret, const struct shape *s, void *object, int r,
		 struct error *e)
{
	if (r < 0)
		return r;
	r = api_text(ret, s, object, e);
	shape_done(s, object);
	return r;
}

static int told(char **ret, struct job_view *v, int r, struct error *e)
{
	return given(ret, &job_view_shape, v, r, e);
}

static int shown(char **ret, struct machine_view *v, int r, struct error *e)
{
	return given(ret, &machine_view_shape, v, r, e);
}

static int show_host(struct host *h, const struct api_call *c, char **ret,
		     struct error *e)
{
	SCOPED(host_view_done) struct host_view v = { .peers_count = 0 };

	(void)c;
	if (host_show(h, &v, e) < 0)
		return error_code(e);
	return api_text(ret, &host_view_shape, &v, e);
}

static int list_hosts(struct host *h, const struct api_call *c, char **ret,
		      struct error *e)
{
	SCOPED(hosts_all_done) struct hosts_all all = { .count = 0 };

	(void)c;
	if (host_hosts(h, &all, e) < 0)
		return error_code(e);
	return api_text(ret, &hosts_shape, &all, e);
}

static int list_machines(struct host *h, const struct api_call *c, char **ret,
			 struct error *e)
{
	SCOPED(machine_views_done) struct machine_views all = { 0 };

	(void)c;
	if (machine_list(h, &all, e) < 0)
		return error_code(e);
	return api_text(ret, &machine_views_shape, &all, e);
}

static int show_machine(struct host *h, const struct api_call *c, char **ret,
			struct error *e)
{
	struct machine_view v;

	return shown(ret, &v, machine_show(h, c->name, &v, e), e);
}

static int list_disks(struct host *h, const struct api_call *c, char **ret,
		      struct error *e)
{
	struct disk_views v;

	return given(ret, &disk_views_shape, &v,
		     machine_disks(h, c->name, &v, e), e);
}

static int list_old_disks(struct host *h, const struct api_call *c, char **ret,
			  struct error *e)
{
	struct old_disks all;

	(void)c;
	return given(ret, &old_disks_shape, &all, host_old_disks(h, &all, e),
		     e);
}

static int remove_old_disks(struct host *h, const struct api_call *c,
			    char **ret, struct error *e)
{
	struct old_disks all;

	return given(ret, &old_disks_shape, &all,
		     host_remove_old_disks(h, c->name, &all, e), e);
}

static int list_pools(struct host *h, const struct api_call *c, char **ret,
		      struct error *e)
{
	struct pool_views all;

	(void)c;
	return given(ret, &pool_views_shape, &all, host_pools(h, &all, e), e);
}

static int define_machine(struct host *h, const struct api_call *c, char **ret,
			  struct error *e)
{
	struct machine_view v;

	return shown(ret, &v, machine_define(h, c->file, c->text, &v, e), e);
}

static int start_machine(struct host *h, const struct api_call *c, char **ret,
			 struct error *e)
{
	const struct start_body *body = c->object;
	struct machine_view v;

	return shown(ret, &v, machine_start(h, c->name, body->anyway, &v, e),
		     e);
}

static int stop_machine(struct host *h, const struct api_call *c, char **ret,
			struct error *e)
{
	struct machine_view v;

	return shown(ret, &v, machine_stop(h, c->name, &v, e), e);
}

/* 0: the machine's own. */
static int timeout_of(uint64_t *ret_us, const struct shutdown_body *body,
		      struct error *e)
{
	*ret_us = 0;
	if (!body->has_timeout)
		return 0;
	if (body->timeout_ms < 1 || body->timeout_ms > DAY_MS)
		return error_set(e, EINVAL, "'timeout_ms' must be from 1 to %d",
				 DAY_MS);
	*ret_us = (uint64_t)body->timeout_ms * USEC_PER_MS;
	return 0;
}

static int shut_machine_down(struct host *h, const struct api_call *c,
			     char **ret, struct error *e)
{
	struct machine_view v;
	uint64_t us;

	if (timeout_of(&us, c->object, e) < 0)
		return error_code(e);
	return shown(ret, &v, machine_shutdown(h, c->name, us, &v, e), e);
}

static int restart_machine(struct host *h, const struct api_call *c, char **ret,
			   struct error *e)
{
	const struct shutdown_body *body = c->object;
	struct machine_view v;
	uint64_t us;

	if (timeout_of(&us, body, e) < 0)
		return error_code(e);
	if (us > 0 && body->now)
		return error_set(e, EINVAL,
				 "'now' does not wait: leave 'timeout_ms' out");
	return shown(ret, &v, machine_restart(h, c->name, us, body->now, &v, e),
		     e);
}

static int pause_machine(struct host *h, const struct api_call *c, char **ret,
			 struct error *e)
{
	struct machine_view v;

	return shown(ret, &v, machine_pause(h, c->name, &v, e), e);
}

static int resume_machine(struct host *h, const struct api_call *c, char **ret,
			  struct error *e)
{
	struct machine_view v;

	return shown(ret, &v, machine_resume(h, c->name, &v, e), e);
}

static int forget_machine(struct host *h, const struct api_call *c, char **ret,
			  struct error *e)
{
	const struct forget_body *body = c->object;
	struct machine_view v;

	return shown(ret, &v,
		     machine_forget(h, c->name, body->leave_running, &v, e), e);
}

static int list_copies(struct host *h, const struct api_call *c, char **ret,
		       struct error *e)
{
	struct kept_views v;

	(void)c;
	return given(ret, &kept_views_shape, &v, copy_list(h, &v, e), e);
}

static int remove_copy(struct host *h, const struct api_call *c, char **ret,
		       struct error *e)
{
	struct kept_view v;

	return given(ret, &kept_view_shape, &v, copy_remove(h, c->name, &v, e),
		     e);
}

static struct move_request request_of(const struct move_body *body)
{
	struct move_request of = body->request;

	if (!of.paths.mode)
		of.paths.mode = body->option;
	return of;
}

static int move_machine(struct host *h, const struct api_call *c, char **ret,
			struct error *e)
{
	const struct move_body *body = c->object;
	const struct move_request of = request_of(body);
	struct job_view v;

	if (!of.host && !body->any)
		return error_set(e, EINVAL,
				 "'host' is missing: name one, or say that "
				 "'any' will do");
	if (of.host && body->any)
		return error_set(e, EINVAL,
				 "'host' and 'any' exclude each other");
	if (body->any)
		return told(ret, &v, machine_move_any(h, c->name, &of, &v, e),
			    e);
	return told(ret, &v, machine_move(h, c->name, &of, &v, e), e);
}

static int estimate_machine(struct host *h, const struct api_call *c,
			    char **ret, struct error *e)
{
	const struct move_request of = request_of(c->object);
	struct estimate_view v;

	if (!of.host)
		return error_set(e, EINVAL, "'host' is missing");
	return given(ret, &estimate_view_shape, &v,
		     machine_estimate(h, c->name, &of, &v, e), e);
}

static int update_machine(struct host *h, const struct api_call *c, char **ret,
			  struct error *e)
{
	struct job_view v;

	return told(ret, &v, machine_update(h, c->name, &v, e), e);
}

static int compare_machine(struct host *h, const struct api_call *c, char **ret,
			   struct error *e)
{
	const struct compare_body *body = c->object;
	struct comparison found = { 0 };

	return given(ret, &comparison_shape, &found,
		     machine_compare(h, c->name, body->host, &found, e), e);
}

static int adopt_machine(struct host *h, const struct api_call *c, char **ret,
			 struct error *e)
{
	const struct adopt_body *body = c->object;
	struct adopt_request of;
	struct machine_view v;

	if (body->pid < 1 || body->pid > INT_MAX)
		return error_set(e, EINVAL,
				 "'pid' must be the number of a process");
	if (body->name && text_check_name("machine", body->name, e) < 0)
		return error_code(e);
	of = (struct adopt_request){ .pid = (pid_t)body->pid,
				     .name = body->name,
				     .user = body->user };
	return shown(ret, &v, machine_adopt(h, &of, &v, e), e);
}

static int list_jobs(struct host *h, const struct api_call *c, char **ret,
		     struct error *e)
{
	struct job_views all;

	(void)c;
	return given(ret, &job_views_shape, &all, job_list(h, &all, e), e);
}

static int show_job(struct host *h, const struct api_call *c, char **ret,
		    struct error *e)
{
	struct job_view v;

	return told(ret, &v, job_show(h, c->name, &v, e), e);
}

static int debug_job(struct host *h, const struct api_call *c, char **ret,
		     struct error *e)
{
	struct job_details d;

	return given(ret, &job_details_shape, &d,
		     host_debug_job(h, c->name, &d, e), e);
}

static int cancel_job(struct host *h, const struct api_call *c, char **ret,
		      struct error *e)
{
	struct job_view v;

	return told(ret, &v, job_cancel(h, c->name, &v, e), e);
}

static int set_job(struct host *h, const struct api_call *c, char **ret,
		   struct error *e)
{
	struct job_view v;

	return told(ret, &v, job_set(h, c->name, c->object, &v, e), e);
}

static int resolve_job(struct host *h, const struct api_call *c, char **ret,
		       struct error *e)
{
	const struct resolve_body *body = c->object;
	struct job_view v;

	return told(ret, &v, job_resolve(h, c->name, body->run_here, &v, e), e);
}

static int start_relay(struct host *h, const struct api_call *c, char **ret,
		       struct error *e)
{
	const struct relay_body *body = c->object;
	struct job_view v;

	return told(ret, &v, relay_start(h, &body->request, &v, e), e);
}

static int list_finished(struct host *h, const struct api_call *c, char **ret,
			 struct error *e)
{
	struct finished_jobs all;

	(void)c;
	return given(ret, &finished_jobs_shape, &all, host_finished(h, &all, e),
		     e);
}

static int show_finished(struct host *h, const struct api_call *c, char **ret,
			 struct error *e)
{
	return host_finished_show(h, c->name, ret, e);
}

static int list_nics(struct host *h, const struct api_call *c, char **ret,
		     struct error *e)
{
	struct nic_views all;

	(void)c;
	return given(ret, &nic_views_shape, &all, nic_list(h, &all, e), e);
}

static int show_nic(struct host *h, const struct api_call *c, char **ret,
		    struct error *e)
{
	struct nic_view view;

	return given(ret, &nic_view_shape, &view,
		     nic_show(h, c->name, &view, e), e);
}

static int show_matrix(struct host *h, const struct api_call *c, char **ret,
		       struct error *e)
{
	struct tune_matrix_view all;

	(void)c;
	return given(ret, &tune_matrix_shape, &all, nic_matrix(h, &all, e), e);
}

static int advise_nics(struct host *h, const struct api_call *c, char **ret,
		       struct error *e)
{
	struct tune_advice all;

	return given(ret, &tune_advice_shape, &all,
		     nic_advise(h, c->purpose, &all, e), e);
}

static int plan_nics(struct host *h, const struct api_call *c, char **ret,
		     struct error *e)
{
	struct plan_view plan;

	return given(ret, &plan_shape, &plan,
		     nic_plan(h, c->name, c->mode, &plan, e), e);
}

static int show_log(struct host *h, const struct api_call *c, char **ret,
		    struct error *e)
{
	char name[16];
	struct log_body body = { .level = name };

	(void)h, (void)c;
	snprintf(name, sizeof(name), "%s", log_level_name(log_level()));
	return api_text(ret, &log_body_shape, &body, e);
}

static int set_log(struct host *h, const struct api_call *c, char **ret,
		   struct error *e)
{
	const struct log_body *body = c->object;
	enum log_level level = log_level_find(body->level);
	enum log_level before = log_level();

	if (level == LOG_LEVELS)
		return error_set(e, EINVAL,
				 "'%.40s' is not a log level: use error, "
				 "warning, info or debug",
				 body->level);
	log_set_level(level > before ? level : before);
	log_info("the log level is %s from here on, it was %s", body->level,
		 log_level_name(before));
	log_set_level(level);
	return show_log(h, c, ret, e);
}

static int show_calls(struct host *h, const struct api_call *c, char **ret,
		      struct error *e)
{
	SCOPED(call_records_done) struct call_records all = { 0 };
	uint64_t last = CALLS_LAST;

	(void)h;
	if (c->last &&
	    text_parse_number(&last, c->last, 1, CALLS_LAST_MAX, e) < 0)
		return error_in(e, "'last'");
	if (c->calls && calls_read(c->calls, &all, last, e) < 0)
		return error_code(e);
	return api_text(ret, &call_records_shape, &all, e);
}

/* clang-format off */
const struct api_route api_routes[] = {
	{ "GET", "/v1/host", show_host, 200, .gives = &host_view_shape },
	{ "GET", "/v1/host/settings", settings_list, 200,
	  .gives = &settings_view_shape },
	{ "POST", "/v1/host/settings", settings_set, 200, API_SHAPE,
	  .changes = "host set", .notes = "setting values",
	  .takes = &setting_body_shape,
	  .gives = &setting_view_shape },
	{ "GET", "/v1/events", NULL, 200, .stream = true,
	  .gives = &event_shape },
	{ "GET", "/v1/hosts", list_hosts, 200, .gives = &hosts_shape },
	{ "GET", "/v1/machines", list_machines, 200 },
	{ "PUT", "/v1/machines", define_machine, 200, API_TEXT,
	  .changes = "vm define" },
	{ "GET", "/v1/machines/*", show_machine, 200 },
	{ "DELETE", "/v1/machines/*", forget_machine, 200, API_SHAPE,
	  .changes = "vm forget", .notes = "leave_running",
	  .takes = &forget_body_shape },
	{ "GET", "/v1/machines/*/disks", list_disks, 200,
	  .gives = &disk_views_shape },
	{ "GET", "/v1/pools", list_pools, 200, .gives = &pool_views_shape },
	{ "GET", "/v1/old-disks", list_old_disks, 200,
	  .gives = &old_disks_shape },
	{ "DELETE", "/v1/old-disks/*", remove_old_disks, 200,
	  .changes = "disk old --remove", .gives = &old_disks_shape },
	{ "POST", "/v1/machines/*/start", start_machine, 200, API_SHAPE,
	  .changes = "vm start", .notes = "anyway",
	  .takes = &start_body_shape },
	{ "POST", "/v1/machines/*/stop", stop_machine, 200,
	  .changes = "vm stop --now" },
	{ "POST", "/v1/machines/*/shutdown", shut_machine_down, 200, API_SHAPE,
	  .changes = "vm stop", .notes = "timeout_ms",
	  .takes = &shutdown_body_shape },
	{ "POST", "/v1/machines/*/restart", restart_machine, 200, API_SHAPE,
	  .changes = "vm restart", .notes = "timeout_ms now",
	  .takes = &restart_body_shape },
	{ "POST", "/v1/machines/*/pause", pause_machine, 200,
	  .changes = "vm pause" },
	{ "POST", "/v1/machines/*/resume", resume_machine, 200,
	  .changes = "vm resume" },
	{ "POST", "/v1/machines/*/move", move_machine, 202, API_SHAPE,
	  .changes = "move", .notes = "host mode paused",
	  .takes = &move_body_shape, .gives = &job_view_shape },
	{ "POST", "/v1/machines/*/estimate", estimate_machine, 200, API_SHAPE,
	  .changes = "move --estimate", .notes = "host mode",
	  .takes = &move_body_shape, .gives = &estimate_view_shape },
	{ "POST", "/v1/machines/*/update", update_machine, 202,
	  .changes = "vm update", .gives = &job_view_shape },
	{ "POST", "/v1/machines/*/compare", compare_machine, 200, API_SHAPE,
	  .takes = &compare_body_shape, .gives = &comparison_shape },
	{ "POST", "/v1/adopt", adopt_machine, 200, API_SHAPE,
	  .changes = "vm adopt", .notes = "pid user",
	  .takes = &adopt_body_shape },
	{ "GET", "/v1/copies", list_copies, 200, .gives = &kept_views_shape },
	{ "DELETE", "/v1/copies/*", remove_copy, 200,
	  .changes = "copy remove", .gives = &kept_view_shape },
	{ "GET", "/metrics", metrics_show, 200, .type = METRICS_TYPE },
	{ "GET", "/v1/finished", list_finished, 200,
	  .gives = &finished_jobs_shape },
	{ "GET", "/v1/finished/*", show_finished, 200,
	  .gives = &job_view_shape },
	{ "GET", "/v1/history", history_list, 200,
	  .gives = &series_list_shape },
	{ "GET", "/v1/history/*", history_show, 200, .gives = &series_shape },
	{ "GET", "/v1/drain", drain_show, 200, .gives = &drain_shape },
	{ "POST", "/v1/drain", drain_host, 202, API_SHAPE,
	  .changes = "drain", .notes = "to stop_the_rest",
	  .takes = &drain_body_shape, .gives = &drain_shape },
	{ "POST", "/v1/drain/plan", drain_plan, 200, API_SHAPE,
	  .takes = &drain_body_shape, .gives = &drain_shape },
	{ "POST", "/v1/drain/resume", drain_resume, 202,
	  .changes = "drain --resume", .gives = &drain_shape },
	{ "DELETE", "/v1/drain", drain_cancel, 200,
	  .changes = "drain --cancel", .gives = &drain_shape },
	{ "POST", "/v1/return", drain_return, 202,
	  .changes = "return", .gives = &drain_shape },
	{ "GET", "/v1/capacity", drain_capacity, 200,
	  .gives = &drain_spare_shape },
	{ "GET", "/v1/jobs", list_jobs, 200, .gives = &job_views_shape },
	{ "GET", "/v1/jobs/*", show_job, 200, .gives = &job_view_shape },
	{ "POST", "/v1/jobs/*/cancel", cancel_job, 200,
	  .changes = "job cancel", .gives = &job_view_shape },
	{ "POST", "/v1/jobs/*/set", set_job, 200, API_SHAPE,
	  .changes = "job set", .takes = &set_body_shape,
	  .gives = &job_view_shape },
	{ "POST", "/v1/jobs/*/resolve", resolve_job, 200, API_SHAPE,
	  .changes = "job resolve", .notes = "run_here",
	  .takes = &resolve_body_shape, .gives = &job_view_shape },
	{ "GET", "/v1/nics", list_nics, 200, .gives = &nic_views_shape },
	{ "GET", "/v1/nics/*", show_nic, 200, .gives = &nic_view_shape },
	{ "GET", "/v1/nics/plan/*", plan_nics, 200, .gives = &plan_shape },
	{ "GET", "/v1/nic-advice", advise_nics, 200,
	  .gives = &tune_advice_shape },
	{ "GET", "/v1/nic-matrix", show_matrix, 200,
	  .gives = &tune_matrix_shape },
	{ "GET", "/v1/trust", trust_show, 200, .gives = &trust_view_shape },
	{ "POST", "/v1/trust/init", trust_make, 200,
	  .changes = "trust init",
	  .gives = &trust_view_shape },
	{ "POST", "/v1/trust/invite", trust_ask_in, 200, API_SHAPE,
	  .changes = "trust invite", .notes = "host", .takes = &inviting_shape,
	  .gives = &invitation_view_shape },
	{ "POST", "/v1/trust/join", trust_enter, 200, API_SHAPE,
	  .changes = "trust join", .notes = "host port",
	  .takes = &joining_shape, .gives = &trust_view_shape },
	{ "GET", "/v1/trust/members", trust_list_members, 200,
	  .gives = &member_views_shape },
	{ "DELETE", "/v1/trust/members/*", trust_drop_member, 200,
	  .changes = "trust remove",
	  .gives = &member_view_shape },
	{ "POST", "/v1/trust/renew", trust_make_anew, 200,
	  .changes = "trust renew",
	  .gives = &trust_view_shape },
	{ "POST", "/v1/trust/export", trust_copy_key, 200,
	  .changes = "trust export",
	  .gives = &trust_authority_shape },
	{ "POST", "/v1/trust/release", trust_drop_key, 200,
	  .changes = "trust release",
	  .gives = &trust_view_shape },
	{ "POST", "/v1/trust/import", trust_take_key, 200, API_SHAPE,
	  .changes = "trust import",
	  .takes = &trust_authority_shape, .gives = &trust_view_shape },
	{ "GET", "/v1/debug", debug_all, 200, .gives = &debug_shape },
	{ "GET", "/v1/debug/*", debug_job, 200, .gives = &job_details_shape },
	{ "GET", "/v1/log", show_log, 200, .gives = &log_body_shape },
	{ "GET", "/v1/log/calls", show_calls, 200,
	  .gives = &call_records_shape },
	{ "PUT", "/v1/log", set_log, 200, API_SHAPE,
	  .changes = "log level", .notes = "level", .takes = &log_body_shape,
	  .gives = &log_body_shape },
	{ "POST", "/v1/relays", start_relay, 202, API_SHAPE,
	  .changes = "relay", .notes = "role name host qemu listen",
	  .takes = &relay_body_shape, .gives = &job_view_shape },
};
/* clang-format on */

const size_t api_route_count = ARRAY_SIZE(api_routes);
