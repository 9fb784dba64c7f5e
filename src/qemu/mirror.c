/* SPDX-License-Identifier: MIT */
#include "qemu/mirror.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "qemu/qmp.h"

/* Without unmap at the target the whole disk counts as changed when the job
 * begins, so that no write is lost that comes while it does: QEMU 10.0 loses
 * such writes where it zeroes the target first and copies what is allocated.  A
 * raw disk counts as allocated everywhere, and its zeros are found on their
 * way.
 *
 * Whoever stops a guest has QEMU flush every node there is, and a migration
 * whose target has no connection just then fails with that flush.  So this one
 * is not flushed: sealing the copy makes it durable. */
static int add_target(struct qmp *q, const struct mirror *m, struct error *e)
{
	return qmp_run(q, "blockdev-add",
		       json_pack("{s:s,s:s,s:{s:s,s:s},s:s,s:s,s:{s:b}}",
				 "driver", "nbd", "node-name", m->id, "server",
				 "type", "unix", "path", m->socket, "export",
				 m->export, "discard",
				 m->raw ? "unmap" : "ignore", "cache",
				 "no-flush", 1),
		       NULL, e);
}

int mirror_start(struct qmp *q, const struct mirror *m, struct error *e)
{
	if (add_target(q, m, e) < 0)
		return error_code(e);
	return qmp_run(q, "blockdev-mirror",
		       json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:b,s:b}",
				 "job-id", m->id, "device", m->node, "target",
				 m->id, "sync", "full", "copy-mode",
				 "write-blocking", "on-target-error", "stop",
				 "on-source-error", "report", "auto-dismiss", 0,
				 "auto-finalize", 1),
		       NULL, e);
}

static uint64_t number_of(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static enum mirror_step step_of(const json_t *job)
{
	static const struct {
		const char *status;
		enum mirror_step step;
	} known[] = {
		{ "ready", MIRROR_READY },   { "standby", MIRROR_STANDS },
		{ "paused", MIRROR_STANDS }, { "concluded", MIRROR_ENDED },
		{ "null", MIRROR_NONE },
	};
	const char *status = json_string_value(json_object_get(job, "status"));

	for (size_t i = 0; status && i < ARRAY_SIZE(known); i++)
		if (!strcmp(status, known[i].status))
			return known[i].step;
	return MIRROR_COPIES;
}

static const json_t *find(const json_t *list, const char *key, const char *id)
{
	const json_t *o;
	size_t i;

	json_array_foreach (list, i, o) {
		const char *its = json_string_value(json_object_get(o, key));

		if (its && !strcmp(its, id))
			return o;
	}
	return NULL;
}

/* A job that is being paused for QEMU's own sake is not one that failed. */
static int look_closer(struct qmp *q, const struct mirror *m,
		       struct mirror_state *ret, struct error *e)
{
	const json_t *job;
	const char *io;
	json_t *list;

	if (qmp_run(q, "query-block-jobs", NULL, &list, e) < 0)
		return error_code(e);
	job = find(list, "device", m->id);
	io = json_string_value(json_object_get(job, "io-status"));
	if (ret->step == MIRROR_STANDS && io && !strcmp(io, "ok"))
		ret->step = MIRROR_COPIES;
	/* 8.2 and newer say so; of the others this mode is enough. */
	if (ret->step == MIRROR_READY &&
	    json_is_false(json_object_get(job, "actively-synced")))
		ret->step = MIRROR_COPIES;
	json_decref(list);
	return 0;
}

int mirror_look(struct qmp *q, const struct mirror *m, struct mirror_state *ret,
		struct error *e)
{
	const json_t *job;
	const char *why;
	json_t *list;

	*ret = (struct mirror_state){ .step = MIRROR_NONE };
	if (qmp_run(q, "query-jobs", NULL, &list, e) < 0)
		return error_code(e);
	job = find(list, "id", m->id);
	why = json_string_value(json_object_get(job, "error"));
	if (job) {
		ret->step = step_of(job);
		ret->done = number_of(job, "current-progress");
		ret->all = number_of(job, "total-progress");
		snprintf(ret->why, sizeof(ret->why), "%.150s", why ? why : "");
	}
	json_decref(list);
	return ret->step == MIRROR_READY || ret->step == MIRROR_STANDS
		       ? look_closer(q, m, ret, e)
		       : 0;
}

int mirror_resume(struct qmp *q, const struct mirror *m, struct error *e)
{
	return qmp_run(q, "block-job-resume",
		       json_pack("{s:s}", "device", m->id), NULL, e);
}

int mirror_end(struct qmp *q, const struct mirror *m, bool force,
	       struct error *e)
{
	return qmp_run(q, "block-job-cancel",
		       json_pack("{s:s,s:b}", "device", m->id, "force", force),
		       NULL, e);
}

bool mirror_clear(struct qmp *q, const struct mirror *m)
{
	struct error ignored;

	(void)qmp_run(q, "job-dismiss", json_pack("{s:s}", "id", m->id), NULL,
		      &ignored);
	return qmp_run(q, "blockdev-del",
		       json_pack("{s:s}", "node-name", m->id), NULL,
		       &ignored) == 0;
}
