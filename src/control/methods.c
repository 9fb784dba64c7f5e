/* SPDX-License-Identifier: MIT */

/*
 * The methods of the control API: one small function each, that hands the
 * checked parts of a request to the service, and the table that names them.
 * docs/api.md describes every line of the table.
 */
#include <errno.h>
#include <limits.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "control/api.h"
#include "control/settings.h"
#include "host/host.h"

static const char *string_at(const json_t *body, const char *key)
{
	return json_string_value(json_object_get(body, key));
}

static int show_host(struct host *h, const struct api_call *c, json_t **ret,
		     struct error *e)
{
	(void)c;
	return host_show(h, ret, e);
}

static int list_settings(struct host *h, const struct api_call *c, json_t **ret,
			 struct error *e)
{
	(void)c;
	return settings_list(h, ret, e);
}

static int set_setting(struct host *h, const struct api_call *c, json_t **ret,
		       struct error *e)
{
	return settings_set(h, c->body, ret, e);
}

static int list_machines(struct host *h, const struct api_call *c, json_t **ret,
			 struct error *e)
{
	(void)c;
	return machine_list(h, ret, e);
}

static int show_machine(struct host *h, const struct api_call *c, json_t **ret,
			struct error *e)
{
	return machine_show(h, c->name, ret, e);
}

static int define_machine(struct host *h, const struct api_call *c,
			  json_t **ret, struct error *e)
{
	return machine_define(h, c->file, c->text, ret, e);
}

static int start_machine(struct host *h, const struct api_call *c, json_t **ret,
			 struct error *e)
{
	return machine_start(h, c->name,
			     json_is_true(json_object_get(c->body, "anyway")),
			     ret, e);
}

static int stop_machine(struct host *h, const struct api_call *c, json_t **ret,
			struct error *e)
{
	return machine_stop(h, c->name, ret, e);
}

static int pause_machine(struct host *h, const struct api_call *c, json_t **ret,
			 struct error *e)
{
	return machine_pause(h, c->name, ret, e);
}

static int resume_machine(struct host *h, const struct api_call *c,
			  json_t **ret, struct error *e)
{
	return machine_resume(h, c->name, ret, e);
}

static int forget_machine(struct host *h, const struct api_call *c,
			  json_t **ret, struct error *e)
{
	return machine_forget(h, c->name, ret, e);
}

static int move_machine(struct host *h, const struct api_call *c, json_t **ret,
			struct error *e)
{
	return machine_move(h, c->name, c->body, ret, e);
}

static int compare_machine(struct host *h, const struct api_call *c,
			   json_t **ret, struct error *e)
{
	return machine_compare(h, c->name, string_at(c->body, "host"), ret, e);
}

static int adopt_machine(struct host *h, const struct api_call *c, json_t **ret,
			 struct error *e)
{
	json_int_t pid = json_integer_value(json_object_get(c->body, "pid"));
	const char *name = string_at(c->body, "name");
	int r;

	if (pid < 1 || pid > INT_MAX)
		return error_set(e, EINVAL,
				 "'pid' must be the number of a "
				 "process");
	if (name && (r = text_check_name("machine", name, e)) < 0)
		return r;
	return machine_adopt(h, (pid_t)pid, name, string_at(c->body, "user"),
			     ret, e);
}

static int list_jobs(struct host *h, const struct api_call *c, json_t **ret,
		     struct error *e)
{
	(void)c;
	return job_list(h, ret, e);
}

static int show_job(struct host *h, const struct api_call *c, json_t **ret,
		    struct error *e)
{
	return job_show(h, c->name, ret, e);
}

static int cancel_job(struct host *h, const struct api_call *c, json_t **ret,
		      struct error *e)
{
	return job_cancel(h, c->name, ret, e);
}

static int resolve_job(struct host *h, const struct api_call *c, json_t **ret,
		       struct error *e)
{
	return job_resolve(h, c->name,
			   json_is_true(json_object_get(c->body, "run_here")),
			   ret, e);
}

static int start_relay(struct host *h, const struct api_call *c, json_t **ret,
		       struct error *e)
{
	return relay_start(h, c->body, ret, e);
}

static int list_nics(struct host *h, const struct api_call *c, json_t **ret,
		     struct error *e)
{
	(void)c;
	return nic_list(h, ret, e);
}

static int show_nic(struct host *h, const struct api_call *c, json_t **ret,
		    struct error *e)
{
	return nic_show(h, c->name, ret, e);
}

static int plan_nics(struct host *h, const struct api_call *c, json_t **ret,
		     struct error *e)
{
	return nic_plan(h, c->name, c->mode, ret, e);
}

static int show_log(struct host *h, const struct api_call *c, json_t **ret,
		    struct error *e)
{
	(void)h, (void)c, (void)e;
	*ret = json_pack("{s:s}", "level", log_level_name(log_level()));
	return 0;
}

static int set_log(struct host *h, const struct api_call *c, json_t **ret,
		   struct error *e)
{
	const char *name = string_at(c->body, "level");
	enum log_level level = log_level_find(name), before = log_level();

	if (level == LOG_LEVELS)
		return error_set(e, EINVAL,
				 "'%.40s' is not a log level: use error, "
				 "warning, info or debug",
				 name);
	log_set_level(level > before ? level : before);
	log_info("the log level is %s from here on, it was %s", name,
		 log_level_name(before));
	log_set_level(level);
	return show_log(h, c, ret, e);
}

static const struct api_field log_fields[] = {
	{ "level", JSON_STRING, 1 },
	{ NULL, JSON_NULL, 0 },
};

static const struct api_field move_fields[] = {
	{ "host", JSON_STRING, 1 },
	{ "downtime_limit_ms", JSON_INTEGER, 0 },
	{ "timeout_ms", JSON_INTEGER, 0 },
	{ "on_timeout", JSON_STRING, 0 },
	{ "paused", JSON_TRUE, 0 },
	{ "mode", JSON_STRING, 0 },
	{ "option", JSON_STRING, 0 }, /* the same, of before */
	{ "networks", JSON_ARRAY, 0 },
	{ "connections", JSON_INTEGER, 0 },
	{ NULL, JSON_NULL, 0 },
};

static const struct api_field set_fields[] = {
	{ "setting", JSON_STRING, 1 },
	{ "values", JSON_ARRAY, 1 },
	{ NULL, JSON_NULL, 0 },
};

static const struct api_field start_fields[] = {
	{ "anyway", JSON_TRUE, 0 },
	{ NULL, JSON_NULL, 0 },
};

static const struct api_field compare_fields[] = {
	{ "host", JSON_STRING, 1 },
	{ NULL, JSON_NULL, 0 },
};

static const struct api_field adopt_fields[] = {
	{ "pid", JSON_INTEGER, 1 },
	{ "name", JSON_STRING, 0 },
	{ "user", JSON_STRING, 0 },
	{ NULL, JSON_NULL, 0 },
};

static const struct api_field resolve_fields[] = {
	{ "run_here", JSON_TRUE, 1 },
	{ NULL, JSON_NULL, 0 },
};

static const struct api_field relay_fields[] = {
	{ "role", JSON_STRING, 1 },
	{ "name", JSON_STRING, 1 },
	{ "qemu", JSON_STRING, 0 },
	{ "pid", JSON_INTEGER, 0 },
	{ "host", JSON_STRING, 0 },
	{ "listen", JSON_STRING, 0 },
	{ "socket_user", JSON_STRING, 0 },
	{ "socket_mode", JSON_STRING, 0 },
	{ "downtime_limit_ms", JSON_INTEGER, 0 },
	{ NULL, JSON_NULL, 0 },
};

/* clang-format off */
const struct api_route api_routes[] = {
	{ "GET", "/v1/host", show_host, 200, API_NONE, NULL },
	{ "GET", "/v1/host/settings", list_settings, 200, API_NONE, NULL },
	{ "POST", "/v1/host/settings", set_setting, 200, API_JSON,
	  set_fields },
	{ "GET", "/v1/machines", list_machines, 200, API_NONE, NULL },
	{ "PUT", "/v1/machines", define_machine, 200, API_TEXT, NULL },
	{ "GET", "/v1/machines/*", show_machine, 200, API_NONE, NULL },
	{ "DELETE", "/v1/machines/*", forget_machine, 200, API_NONE, NULL },
	{ "POST", "/v1/machines/*/start", start_machine, 200, API_JSON,
	  start_fields },
	{ "POST", "/v1/machines/*/stop", stop_machine, 200, API_NONE, NULL },
	{ "POST", "/v1/machines/*/pause", pause_machine, 200, API_NONE, NULL },
	{ "POST", "/v1/machines/*/resume", resume_machine, 200, API_NONE,
	  NULL },
	{ "POST", "/v1/machines/*/move", move_machine, 202, API_JSON,
	  move_fields },
	{ "POST", "/v1/machines/*/compare", compare_machine, 200, API_JSON,
	  compare_fields },
	{ "POST", "/v1/adopt", adopt_machine, 200, API_JSON, adopt_fields },
	{ "GET", "/v1/jobs", list_jobs, 200, API_NONE, NULL },
	{ "GET", "/v1/jobs/*", show_job, 200, API_NONE, NULL },
	{ "POST", "/v1/jobs/*/cancel", cancel_job, 200, API_NONE, NULL },
	{ "POST", "/v1/jobs/*/resolve", resolve_job, 200, API_JSON,
	  resolve_fields },
	{ "GET", "/v1/nics", list_nics, 200, API_NONE, NULL },
	{ "GET", "/v1/nics/*", show_nic, 200, API_NONE, NULL },
	{ "GET", "/v1/nics/plan/*", plan_nics, 200, API_NONE, NULL },
	{ "GET", "/v1/log", show_log, 200, API_NONE, NULL },
	{ "PUT", "/v1/log", set_log, 200, API_JSON, log_fields },
	{ "POST", "/v1/relays", start_relay, 202, API_JSON, relay_fields },
};
/* clang-format on */

const size_t api_route_count = ARRAY_SIZE(api_routes);
