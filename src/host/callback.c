/* SPDX-License-Identifier: MIT */
#include "host/callback.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "host/host.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/registry.h"
#include "move/job_view.h"
#include "session/session.h"

struct callback {
	struct host *host;
	const char *peer;
	char uuid[UUID_CAP], name[STORE_NAME_CAP];
};

/* Where it is, if it is not here, to who had sent it here: where others'
 * machines go is not the peer's to know. */
static void say_elsewhere(const struct callback *c, struct message *ret)
{
	const char *dir = c->host->settings->state_directory;
	char other[STORE_NAME_CAP];

	ret->returns.state = RETURNS_UNKNOWN;
	if (!store_came_from(dir, c->uuid, c->peer) ||
	    !store_last_seen(dir, c->uuid, other))
		return;
	ret->returns.state = RETURNS_ELSEWHERE;
	snprintf(ret->returns.host, sizeof(ret->returns.host), "%s", other);
}

static void say_state(const struct callback *c, const struct job_view *v,
		      struct message *ret)
{
	const bool again = v->state == JOB_FAILED && v->again[0];

	ret->returns.state = RETURNS_FAILED;
	if (v->state == JOB_RUNNING || again)
		ret->returns.state = RETURNS_MOVES;
	snprintf(ret->returns.job, sizeof(ret->returns.job), "%s",
		 again ? v->again : v->id);
	if (v->state == JOB_IN_DOUBT)
		snprintf(ret->returns.error, sizeof(ret->returns.error),
			 "job %s is in doubt: 'drover job show %s' on %s says "
			 "what to do",
			 v->id, v->id, c->host->settings->name);
	else
		snprintf(ret->returns.error, sizeof(ret->returns.error), "%s",
			 v->error);
}

/* How the job is that the peer was told; false: it is not known any more, or
 * has done all: where the machine is now is another question. */
static bool say_job(const struct callback *c, const char *id,
		    struct message *ret)
{
	struct job *j = jobs_find(c->host->jobs, id, ROLE_SOURCE);
	struct job_view v;
	struct error ignored;
	bool theirs = j && !strcmp(j->peer, c->peer);

	if (theirs && job_view(j, &v, &ignored) == 0) {
		theirs = v.state != JOB_DONE;
		if (theirs)
			say_state(c, &v, ret);
		shape_done(&job_view_shape, &v);
	} else {
		theirs = false;
	}
	job_drop(j);
	return theirs;
}

/* Only what came from there. */
static int check_origin(const struct callback *c, struct error *e)
{
	const struct hold by = { .kind = HOLD_COMPARE };
	struct machine *m;
	int r = machine_take(c->host->registry, c->name, by, &m, e);

	if (r < 0)
		return r;
	if (strcmp(machine_record(m)->from, c->peer) != 0)
		r = error_set(e, EACCES,
			      "machine %s did not come from %s to %s: move it "
			      "back with 'drover move %s %s' there",
			      c->name, c->peer, c->host->settings->name,
			      c->name, c->peer);
	machine_release(c->host->registry, m);
	return r;
}

static int start(const struct callback *c, struct message *ret, struct error *e)
{
	char host[STORE_NAME_CAP];
	const struct move_request of = { .host = host };
	struct job_view v;

	snprintf(host, sizeof(host), "%s", c->peer);
	if (check_origin(c, e) < 0 ||
	    machine_move(c->host, c->name, &of, &v, e) < 0)
		return error_code(e);
	log_info("machine %s was called back by host %s: job %s", c->name,
		 c->peer, v.id);
	ret->returns.state = RETURNS_MOVES;
	snprintf(ret->returns.job, sizeof(ret->returns.job), "%s", v.id);
	shape_done(&job_view_shape, &v);
	return 0;
}

int callback_answer(struct host *h, struct session *s,
		    const struct message *request, struct message *ret,
		    struct error *e)
{
	struct callback c = { .host = h, .peer = session_peer(s) };
	const char *job = request->back.job;
	bool runs;

	ret->type = MESSAGE_RETURNS;
	if (uuid_parse(c.uuid, request->back.uuid, e) < 0 ||
	    (job[0] && text_check_name("job", job, e) < 0))
		return error_code(e);
	if (job[0] && say_job(&c, job, ret))
		return 0;
	if (registry_find_uuid(h->registry, c.uuid, c.name, &runs))
		return start(&c, ret, e);
	say_elsewhere(&c, ret);
	return 0;
}
