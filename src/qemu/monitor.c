/* SPDX-License-Identifier: MIT */
#include "qemu/monitor.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "qemu/qmp.h"

enum {
	PAGE = 4096,
	CANCEL_POLL_US = 20000,
	/* Pages that are compared, of all the memory, and of a GiB what QEMU
	 * takes. */
	SAMPLE_PAGES = 8192,
	PER_GIB_LEAST = 128,
	PER_GIB_MOST = 4096,
	GIB_SHIFT = 30,
};

static enum migration_status status_of(const char *name)
{
	static const struct {
		const char *name;
		enum migration_status status;
	} known[] = {
		{ "none", MIGRATION_NONE },
		{ "completed", MIGRATION_COMPLETED },
		{ "failed", MIGRATION_FAILED },
		{ "cancelled", MIGRATION_CANCELLED },
	};

	if (!name)
		return MIGRATION_NONE;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(known[i].name, name))
			return known[i].status;
	return MIGRATION_ACTIVE;
}

int monitor_machine_type(struct qmp *q, char *buf, size_t cap, struct error *e)
{
	static const char suffix[] = "-machine";
	json_t *type;
	size_t len;

	if (qmp_run(q, "qom-get",
		    json_pack("{s:s,s:s}", "path", "/machine", "property",
			      "type"),
		    &type, e) < 0)
		return error_code(e);
	snprintf(buf, cap, "%s",
		 json_is_string(type) ? json_string_value(type) : "");
	json_decref(type);
	len = strlen(buf);
	if (len > strlen(suffix) && !strcmp(buf + len - strlen(suffix), suffix))
		buf[len - strlen(suffix)] = '\0';
	return 0;
}

int monitor_status(struct qmp *q, struct guest_status *ret, struct error *e)
{
	const char *word;
	json_t *status;

	if (qmp_run(q, "query-status", NULL, &status, e) < 0)
		return error_code(e);
	word = json_string_value(json_object_get(status, "status"));
	snprintf(ret->word, sizeof(ret->word), "%s", word ? word : "");
	ret->running = json_is_true(json_object_get(status, "running"));
	json_decref(status);
	return 0;
}

int monitor_is_running(struct qmp *q, bool *ret, struct error *e)
{
	struct guest_status now;

	if (monitor_status(q, &now, e) < 0)
		return error_code(e);
	*ret = now.running;
	return 0;
}

static uint64_t number(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

int monitor_migration(struct qmp *q, struct migration_info *ret,
		      struct error *e)
{
	json_t *info, *ram, *downtime;
	const char *why;

	if (qmp_run(q, "query-migrate", NULL, &info, e) < 0)
		return error_code(e);
	ram = json_object_get(info, "ram");
	downtime = json_object_get(info, "expected-downtime");
	why = json_string_value(json_object_get(info, "error-desc"));
	*ret = (struct migration_info){
		.status = status_of(
			json_string_value(json_object_get(info, "status"))),
		.total = number(ram, "total"),
		.remaining = number(ram, "remaining"),
		.throttle = (unsigned)number(info, "cpu-throttle-percentage"),
		.rounds = number(ram, "dirty-sync-count"),
		.dirty_rate = number(ram, "dirty-pages-rate") * PAGE,
		.sent = number(ram, "transferred"),
		.zero_pages = number(ram, "duplicate"),
		.data_pages = number(ram, "normal"),
		.expected_downtime_ms =
			downtime ? json_integer_value(downtime) : -1,
	};
	snprintf(ret->why, sizeof(ret->why), "%s", why ? why : "");
	json_decref(info);
	return 0;
}

int monitor_continue(struct qmp *q, struct error *e)
{
	return qmp_run(q, "cont", NULL, NULL, e);
}

int monitor_pause(struct qmp *q, struct error *e)
{
	return qmp_run(q, "stop", NULL, NULL, e);
}

int monitor_power_button(struct qmp *q, struct error *e)
{
	return qmp_run(q, "system_powerdown", NULL, NULL, e);
}

int monitor_uses_kvm(struct qmp *q, bool *ret, struct error *e)
{
	json_t *kvm;

	if (qmp_run(q, "query-kvm", NULL, &kvm, e) < 0)
		return error_code(e);
	*ret = json_is_true(json_object_get(kvm, "enabled"));
	json_decref(kvm);
	return 0;
}

int monitor_blockers(struct qmp *q, struct words *to, struct error *e)
{
	json_t *info = NULL, *why;
	struct error ignored;
	size_t i;
	int r = 0;

	if (qmp_run(q, "query-migrate", NULL, &info, &ignored) < 0)
		return 0;
	json_array_foreach (json_object_get(info, "blocked-reasons"), i, why)
		if (json_is_string(why) && r == 0)
			r = words_add(to, json_string_value(why), e);
	json_decref(info);
	return r;
}

static int add_capability(struct migration_capabilities *to, const json_t *one,
			  struct error *e)
{
	const char *name =
		json_string_value(json_object_get(one, "capability"));

	if (!name)
		return 0;
	if (words_add(&to->known, name, e) < 0)
		return error_code(e);
	return json_is_true(json_object_get(one, "state"))
		       ? words_add(&to->on, name, e)
		       : 0;
}

int monitor_capabilities(struct qmp *q, struct migration_capabilities *ret,
			 struct error *e)
{
	struct migration_capabilities all = { 0 };
	json_t *list, *one;
	size_t i;
	int r = 0;

	if (qmp_run(q, "query-migrate-capabilities", NULL, &list, e) < 0)
		return error_code(e);
	json_array_foreach (list, i, one)
		if (r == 0)
			r = add_capability(&all, one, e);
	json_decref(list);
	if (r < 0)
		migration_capabilities_done(&all);
	else
		*ret = all;
	return r;
}

void migration_capabilities_done(struct migration_capabilities *c)
{
	words_done(&c->known);
	words_done(&c->on);
}

int monitor_set_capability(struct qmp *q,
			   const struct migration_capabilities *now,
			   const char *name, bool on, struct error *e)
{
	if (!words_have(&now->known, name) || words_have(&now->on, name) == on)
		return 0;
	return qmp_run(q, "migrate-set-capabilities",
		       json_pack("{s:[{s:s,s:b}]}", "capabilities",
				 "capability", name, "state", on),
		       NULL, e);
}

static int run_with_uri(struct qmp *q, const char *command, const char *path,
			struct error *e)
{
	return qmp_run(q, command,
		       json_pack("{s:o}", "uri", json_sprintf("unix:%s", path)),
		       NULL, e);
}

int monitor_migrate(struct qmp *q, const char *path, struct error *e)
{
	return run_with_uri(q, "migrate", path, e);
}

int monitor_receive(struct qmp *q, const char *path, struct error *e)
{
	return run_with_uri(q, "migrate-incoming", path, e);
}

static uint64_t event_wall_us(const json_t *event)
{
	const json_t *t = json_object_get(event, "timestamp");

	return number(t, "seconds") * USEC_PER_SEC + number(t, "microseconds");
}

int monitor_switch_over(struct qmp *q, struct error *e)
{
	return qmp_run(q, "migrate-continue",
		       json_pack("{s:s}", "state", "pre-switchover"), NULL, e);
}

int monitor_event(struct qmp *q, uint64_t deadline_us,
		  struct monitor_event *ret, struct error *e)
{
	const char *name;
	const char *status;
	const json_t *data;
	json_t *event;
	int r = qmp_event(q, deadline_us, &event, e);

	if (r <= 0)
		return r;
	name = json_string_value(json_object_get(event, "event"));
	data = json_object_get(event, "data");
	status = json_string_value(json_object_get(data, "status"));
	*ret = (struct monitor_event){
		.kind = MONITOR_OTHER,
		.status = status_of(status),
		.waits = status && !strcmp(status, "pre-switchover"),
		.wall_us = event_wall_us(event),
		.pass = number(data, "pass"),
	};
	if (name && !strcmp(name, "STOP"))
		ret->kind = MONITOR_STOPPED;
	else if (name && !strcmp(name, "MIGRATION"))
		ret->kind = MONITOR_MIGRATION;
	else if (name && !strcmp(name, "MIGRATION_PASS"))
		ret->kind = MONITOR_PASS;
	json_decref(event);
	return r;
}

int monitor_set_parameter(struct qmp *q, const char *name, uint64_t value,
			  struct error *e)
{
	return qmp_run(q, "migrate-set-parameters",
		       json_pack("{s:I}", name, (json_int_t)value), NULL, e);
}

/* In one command: QEMU refuses a begin above the most of before. */
int monitor_set_throttle(struct qmp *q, const struct monitor_throttle *t,
			 struct error *e)
{
	return qmp_run(q, "migrate-set-parameters",
		       json_pack("{s:i,s:i,s:i,s:i}",
				 "throttle-trigger-threshold", (int)t->trigger,
				 "cpu-throttle-initial", (int)t->begin,
				 "cpu-throttle-increment", (int)t->step,
				 "max-cpu-throttle", (int)t->most),
		       NULL, e);
}

int monitor_memory(struct qmp *q, uint64_t *ret_bytes, struct error *e)
{
	json_t *info;

	if (qmp_run(q, "query-memory-size-summary", NULL, &info, e) < 0)
		return error_code(e);
	*ret_bytes =
		number(info, "base-memory") + number(info, "plugged-memory");
	json_decref(info);
	return 0;
}

static unsigned per_gib(uint64_t bytes)
{
	uint64_t pages = SAMPLE_PAGES / ((bytes >> GIB_SHIFT) + 1);

	if (pages < PER_GIB_LEAST)
		return PER_GIB_LEAST;
	return pages > PER_GIB_MOST ? PER_GIB_MOST : (unsigned)pages;
}

int monitor_sample(struct qmp *q, unsigned over_s, uint64_t bytes,
		   struct error *e)
{
	return qmp_run(q, "calc-dirty-rate",
		       json_pack("{s:i,s:i}", "calc-time", (int)over_s,
				 "sample-pages", (int)per_gib(bytes)),
		       NULL, e);
}

int monitor_sampled(struct qmp *q, uint64_t *ret_rate, struct error *e)
{
	const char *status;
	json_t *info;
	int r;

	if (qmp_run(q, "query-dirty-rate", NULL, &info, e) < 0)
		return error_code(e);
	status = json_string_value(json_object_get(info, "status"));
	r = status && !strcmp(status, "measured");
	*ret_rate = number(info, "dirty-rate") << 20;
	json_decref(info);
	return r;
}

void monitor_reset_convergence(struct qmp *q)
{
	const struct monitor_throttle first = { 50, 20, 10, 99 };
	struct error e;

	if (qmp_run(q, "migrate-set-capabilities",
		    json_pack("{s:[{s:s,s:b}]}", "capabilities", "capability",
			      "auto-converge", "state", false),
		    NULL, &e) < 0 ||
	    monitor_set_throttle(q, &first, &e) < 0)
		log_warning("QEMU may slow its guest down in the next "
			    "migration: %s",
			    e.text);
	/* Those before 8.2 have none. */
	if (monitor_set_parameter(q, "avail-switchover-bandwidth", 0, &e) < 0)
		log_debug("%s", e.text);
}

/* While QEMU ends a migration its monitor may be silent for longer than a
 * command waits.  That is no reason to leave a guest paused. */
static bool may_ask_again(int r, uint64_t deadline_us)
{
	return r == -ETIMEDOUT && clock_us() < deadline_us;
}

/* A change shows as an event, if at all. */
static int pause_with(struct qmp *q, struct error *e)
{
	struct monitor_event ignored;
	int r = monitor_event(q, clock_us() + CANCEL_POLL_US, &ignored, e);

	return r < 0 ? r : 0;
}

static int end_migration(struct qmp *q, uint64_t deadline_us, struct error *e)
{
	struct migration_info info;

	for (;;) {
		int r = monitor_migration(q, &info, e);

		if (may_ask_again(r, deadline_us))
			continue;
		if (r < 0)
			return r;
		if (info.status != MIGRATION_ACTIVE)
			return 0;
		if (clock_us() > deadline_us)
			return error_set(e, ETIMEDOUT,
					 "QEMU does not end its migration");
		r = qmp_run(q, "migrate_cancel", NULL, NULL, e);
		if (r < 0 && r != -EREMOTEIO && !may_ask_again(r, deadline_us))
			return r;
		/* Its end is an event; not all versions send one. */
		if (pause_with(q, e) < 0)
			return error_code(e);
	}
}

int monitor_take_back(struct qmp *q, bool run, uint64_t deadline_us,
		      struct error *e)
{
	bool running, told = false;
	int r;

	if (end_migration(q, deadline_us, e) < 0)
		return error_code(e);
	for (;;) {
		r = monitor_is_running(q, &running, e);
		if (may_ask_again(r, deadline_us))
			continue;
		if (r < 0)
			return r;
		if (!run || running)
			return 0;
		if (told && clock_us() > deadline_us)
			return error_set(e, ETIMEDOUT,
					 "QEMU was told to continue the guest, "
					 "which does not run");
		r = monitor_continue(q, e);
		if (r < 0 && !may_ask_again(r, deadline_us) &&
		    (r != -EREMOTEIO || clock_us() > deadline_us))
			return r;
		told = r == 0;
		if (pause_with(q, e) < 0)
			return error_code(e);
	}
}

/* Versions before 4.0 have no such parameter. */
int monitor_keep_quiet(struct qmp *q, struct error *e)
{
	int r = monitor_set_parameter(q, "announce-rounds", 0, e);

	return r == -EREMOTEIO ? 0 : r;
}

/* As QEMU does it by itself. */
void monitor_announce(struct qmp *q)
{
	json_t *how = json_pack("{s:i,s:i,s:i,s:i}", "initial", 50, "max", 550,
				"rounds", 5, "step", 100);
	struct error e;

	if (qmp_run(q, "announce-self", how, NULL, &e) < 0)
		log_debug("announce-self: %s", e.text);
}
