/* SPDX-License-Identifier: MIT */

/*
 * Asks each host that has a machine of ours to move it back, and asks again how
 * that is, until the machine runs here.  The move is that host's.
 */
#include "host/returns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/drain.h"
#include "host/host.h"
#include "host/jobs.h"
#include "host/machine_view.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/terms.h"
#include "move/peer.h"
#include "session/abilities.h"

enum {
	ANSWER_US = 20000000,
	TURN_MS = 300,
	ASK_AGAIN_US = 3000000,
	TRIES = 2,
	COMING_TRIES = 20, /* where it may be here at any moment */
};

/* Moves wait there behind others, maybe for long; when nothing has come for so
 * long, nobody waits any more. */
#define SILENT_US (3600 * USEC_PER_SEC)

struct returning {
	struct host *host;
	struct drain_record record; /* a copy; the thread's */
	uint64_t asked_us;          /* when all were asked last */
	uint64_t news_us;           /* when a machine was last seen to come */
};

static void returning_free(struct returning *r)
{
	drain_record_done(&r->record);
	free(r);
}

static void note(struct returning *r, const struct drain_machine *m)
{
	struct error e;

	if (drain_note(r->host->drain, m, &e) < 0)
		log_error("return: machine %s: %s", m->name, e.text);
}

/* It is not back, for now. */
static void away(struct returning *r, struct drain_machine *m, const char *why)
{
	m->fate = FATE_MOVED;
	m->job[0] = '\0';
	snprintf(m->why, sizeof(m->why), "%s", why);
	log_warning("return: machine %s is not back: %s", m->name, why);
	note(r, m);
}

/* Nobody has to bring it, and whether it is to run is not ours to say. */
static void here(struct returning *r, struct drain_machine *m)
{
	m->fate = FATE_STAYS;
	m->kept = true;
	m->job[0] = m->to[0] = '\0';
	snprintf(m->why, sizeof(m->why),
		 "it is here and does not run: 'drover vm start %s' starts it",
		 m->name);
	log_warning("return: machine %s: %s", m->name, m->why);
	note(r, m);
}

/* --- asking */

static int ask(struct returning *r, const struct drain_machine *m,
	       struct message *ret, struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(r->host);
	struct message question = { .type = MESSAGE_RETURN };
	struct move_peer peer;

	snprintf(question.back.uuid, sizeof(question.back.uuid), "%s", m->uuid);
	snprintf(question.back.machine, sizeof(question.back.machine), "%s",
		 m->name);
	snprintf(question.back.job, sizeof(question.back.job), "%s", m->job);
	if (peer_of(&t, m->to, &peer, e) < 0)
		return error_code(e);
	if (peer_ask(&t.host, &peer, &question, ANSWER_US, ret, e) < 0)
		return error_in(e, "host %s is not heard", m->to);
	if (ret->type == MESSAGE_FAILED &&
	    !(abilities_read(&ret->can) & 1U << CAN_RETURN))
		return error_set(e, EPROTO,
				 "host %s has a version of Drover that moves "
				 "nothing back by itself: 'drover move %s %s' "
				 "there does",
				 m->to, m->name, r->host->settings->name);
	return peer_check_answer(ret, MESSAGE_RETURNS, m->to, e);
}

static void moves(struct drain_machine *m, const char *job, uint64_t silent_us)
{
	m->fate = silent_us < SILENT_US ? FATE_COMES : FATE_MOVED;
	m->why[0] = '\0';
	if (m->fate == FATE_COMES) {
		snprintf(m->job, sizeof(m->job), "%s", job);
		return;
	}
	snprintf(m->why, sizeof(m->why),
		 "host %s says that it moves it, by job %.40s there, and no "
		 "machine has come for an hour: see what holds that up, then "
		 "'drover return' asks again",
		 m->to, job);
	m->job[0] = '\0';
}

void returns_heard(struct drain_machine *m, const char *own,
		   const struct message_returns_answer *a, uint64_t silent_us)
{
	const bool here =
		a->state == RETURNS_ELSEWHERE && !strcmp(a->host, own);

	if (a->state == RETURNS_MOVES) {
		moves(m, a->job, silent_us);
		return;
	}
	if (here)
		snprintf(m->why, sizeof(m->why),
			 "host %s says that it is here, and it is not", m->to);
	else if (a->state == RETURNS_ELSEWHERE)
		snprintf(m->why, sizeof(m->why), "it has moved on to host %s",
			 a->host);
	else if (a->state == RETURNS_FAILED)
		snprintf(m->why, sizeof(m->why), "%s", a->error);
	else
		snprintf(m->why, sizeof(m->why), "host %s does not know it",
			 m->to);
	if (a->state == RETURNS_ELSEWHERE && !here)
		snprintf(m->to, sizeof(m->to), "%s", a->host);
	m->tries++;
	m->fate = m->tries < (here ? COMING_TRIES : TRIES) ? FATE_WAITS
							   : FATE_MOVED;
	m->job[0] = '\0';
}

static void take_answer(struct returning *r, struct drain_machine *m,
			const struct message_returns_answer *a)
{
	returns_heard(m, r->host->settings->name, a, clock_us() - r->news_us);
	if (m->fate == FATE_WAITS)
		return;
	if (m->fate == FATE_MOVED)
		log_warning("return: machine %s is not back: %s", m->name,
			    m->why);
	note(r, m);
}

static void call_back(struct returning *r, struct drain_machine *m)
{
	AUTO_MESSAGE struct message answer = { 0 };
	struct error e;

	if (ask(r, m, &answer, &e) == 0) {
		take_answer(r, m, &answer.returns);
		return;
	}
	/* One that comes already may be here before its host is heard again. */
	if (m->fate == FATE_COMES && ++m->tries < COMING_TRIES)
		return;
	away(r, m, e.text);
}

enum home { NOT_HERE, HELD_HERE, RUNS_HERE, STOPPED_HERE, DOUBT_HERE };

/* One that is held comes, or has not left yet.  A definition of one that is
 * noted elsewhere is none of it. */
static enum home home_of(const struct machine_view *v, bool elsewhere)
{
	if (v->job[0] || v->comes)
		return v->state == MACHINE_IN_DOUBT ? DOUBT_HERE : HELD_HERE;
	if (v->pid > 0)
		return RUNS_HERE;
	return elsewhere ? NOT_HERE : STOPPED_HERE;
}

/* @job: that which is in doubt. */
static enum home is_here(struct returning *r, const struct drain_machine *m,
			 char job[static JOB_ID_SIZE])
{
	char name[STORE_NAME_CAP], peer[STORE_NAME_CAP];
	struct machine_view v;
	struct error ignored;
	enum home at;
	bool runs;

	job[0] = '\0';
	if (!registry_find_uuid(r->host->registry, m->uuid, name, &runs) ||
	    machine_show(r->host, name, &v, &ignored) < 0)
		return NOT_HERE;
	at = home_of(&v, store_last_seen(r->host->settings->state_directory,
					 m->uuid, peer));
	snprintf(job, JOB_ID_SIZE, "%s", v.job);
	machine_view_done(&v);
	return at;
}

/* --- all of them */

static void look(struct returning *r, struct drain_machine *m, bool asks)
{
	char job[JOB_ID_SIZE], why[160];
	const enum home at = is_here(r, m, job);

	if (at != NOT_HERE)
		r->news_us = clock_us();
	if (at == DOUBT_HERE && ++m->tries >= COMING_TRIES) {
		snprintf(why, sizeof(why),
			 "job %s is in doubt: 'drover job show %s' says what "
			 "to do",
			 job, job);
		away(r, m, why);
	} else if (at == STOPPED_HERE) {
		here(r, m);
	} else if (at == RUNS_HERE) {
		m->fate = FATE_BACK;
		m->job[0] = m->to[0] = m->why[0] = '\0';
		note(r, m);
	} else if (at == NOT_HERE && asks) {
		call_back(r, m);
	}
}

/* False: nothing comes any more. */
static bool turn(struct returning *r)
{
	const bool asks = clock_us() >= r->asked_us + ASK_AGAIN_US;
	unsigned come = 0;

	if (asks)
		r->asked_us = clock_us();
	for (size_t i = 0; i < r->record.n_machines; i++) {
		struct drain_machine *m = &r->record.machines[i];

		if (m->fate == FATE_COMES)
			look(r, m, asks);
		come += m->fate == FATE_COMES;
	}
	for (size_t i = 0; i < r->record.n_machines; i++) {
		struct drain_machine *m = &r->record.machines[i];

		if (m->fate == FATE_WAITS)
			look(r, m, true);
		come += m->fate == FATE_COMES;
	}
	for (size_t i = 0; i < r->record.n_machines; i++)
		come += r->record.machines[i].fate == FATE_WAITS;
	return come > 0;
}

/* By its uuid: its name may be another machine's by now. */
static int start_one(struct host *h, const struct drain_machine *m,
		     struct error *e)
{
	char name[STORE_NAME_CAP];
	struct machine_view v;
	bool runs;

	if (!registry_find_uuid(h->registry, m->uuid, name, &runs))
		return error_set(e, ENOENT, "it is not defined here any more");
	if (machine_start(h, name, false, &v, e) < 0)
		return error_code(e);
	machine_view_done(&v);
	return 0;
}

static void start_stopped(struct returning *r)
{
	for (size_t i = 0; i < r->record.n_machines; i++) {
		struct drain_machine *m = &r->record.machines[i];
		struct error e;

		if (m->fate != FATE_STOPPED)
			continue;
		if (start_one(r->host, m, &e) < 0) {
			snprintf(m->why, sizeof(m->why), "%s", e.text);
			log_warning("return: machine %s: %s", m->name, e.text);
		} else {
			m->fate = FATE_BACK;
		}
		note(r, m);
	}
}

/* What a drain has left in doubt and called staying may have left since. */
static bool has_left(struct returning *r, struct drain_machine *m)
{
	char job[JOB_ID_SIZE];

	return is_here(r, m, job) == DOUBT_HERE ||
	       drain_has_left(r->host->drain, m);
}

/* Its guest was asked by the drain, and took its time, or its power was cut. */
static bool has_stopped(struct returning *r, const struct drain_machine *m)
{
	char job[JOB_ID_SIZE];

	return m->asked && is_here(r, m, job) == STOPPED_HERE;
}

static void begin(struct returning *r)
{
	for (size_t i = 0; i < r->record.n_machines; i++) {
		struct drain_machine *m = &r->record.machines[i];

		m->tries = 0;
		if (m->fate == FATE_MOVED || m->fate == FATE_COMES ||
		    (m->fate == FATE_MOVES && m->to[0]) ||
		    (m->fate == FATE_STAYS && has_left(r, m)))
			m->fate = FATE_WAITS;
		else if (m->fate == FATE_STAYS && has_stopped(r, m))
			m->fate = FATE_STOPPED;
		if (!m->asked)
			continue;
		/* Who switches it off from now on wants it off. */
		m->asked = false;
		note(r, m);
	}
}

static void *returning_main(void *arg)
{
	struct returning *r = arg;
	struct drain *d = r->host->drain;
	unsigned away = 0;

	begin(r);
	while (drain_goes_on(r->host, 0) && turn(r))
		host_stops(r->host, TURN_MS);
	if (drain_goes_on(r->host, 0))
		start_stopped(r);
	for (size_t i = 0; i < r->record.n_machines; i++)
		away += r->record.machines[i].kept;
	away += drain_count(&r->record, FATE_MOVED) +
		drain_count(&r->record, FATE_STOPPED) +
		drain_count(&r->record, FATE_WAITS) +
		drain_count(&r->record, FATE_COMES);
	log_info("return: %u machines are back, %u are not",
		 drain_count(&r->record, FATE_BACK), away);
	if (host_stops(r->host, 0))
		drain_breaks(d);
	else
		drain_ends(d, away > 0 ? DRAIN_AWAY : DRAIN_NONE);
	returning_free(r);
	return NULL;
}

int returns_run(struct host *h, struct error *e)
{
	struct returning *r = calloc(1, sizeof(*r));

	if (!r || drain_copy(h->drain, &r->record, e) < 0) {
		free(r);
		drain_ends(h->drain, DRAIN_AWAY);
		return error_set(e, ENOMEM, "no memory for the way back");
	}
	r->host = h;
	r->news_us = clock_us();
	if (jobs_thread(h->jobs, "return", returning_main, r, e) == 0)
		return 0;
	returning_free(r);
	drain_ends(h->drain, DRAIN_AWAY);
	return error_code(e);
}
