/* SPDX-License-Identifier: MIT */

/*
 * Jobs, and moves away.  Every move has a thread of its own; a machine is held
 * by its job until the move has ended here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/thread.h"
#include "host/internal.h"
#include "move/commit.h"
#include "move/disks.h"
#include "move/journal.h"
#include "qemu/qmp.h"

enum { MONITOR_US = 5000000, ANSWER_US = 20000000 };

struct outgoing {
	struct host *host;
	struct job *job;
	struct machine *machine;
	struct terms terms;
	struct move_peer peer;
	struct move_options options;
	json_t *entry; /* of the journal, when taken up after a restart */
	struct room_claim claim;
};

/* --- the list of jobs */

/* Ended ones beyond JOBS_KEPT are forgotten. */
static void forget_old(struct host *h)
{
	unsigned n = 0;

	for (struct job **p = &h->jobs; *p;) {
		struct job *j = *p;

		if (++n > JOBS_KEPT && job_wait_ended(j, 0)) {
			*p = j->next;
			job_drop(j);
		} else {
			p = &j->next;
		}
	}
}

void job_add(struct host *h, struct job *j)
{
	WITH_LOCK(&h->lock);

	job_hold(j);
	j->next = h->jobs;
	h->jobs = j;
	/* Those before it have heard that the host ends. */
	if (h->stopping)
		job_request_cancel(j);
	forget_old(h);
}

/* A reference for the caller; NULL when there is none.  On a test's single
 * host both sides of a move are here: the role tells them apart. */
struct job *job_find(struct host *h, const char *id, const char *role)
{
	WITH_LOCK(&h->lock);

	for (struct job *j = h->jobs; j; j = j->next)
		if (!strcmp(j->id, id) && (!role || !strcmp(j->role, role)))
			return job_hold(j);
	return NULL;
}

static struct job *job_must(struct host *h, const char *id, struct error *e)
{
	struct job *j = job_find(h, id, NULL);

	if (!j)
		error_set(e, ENOENT,
			  "%s has no job %s: 'drover job list' shows those "
			  "that it has",
			  h->settings->name, id);
	return j;
}

int job_list(struct host *h, json_t **ret, struct error *e)
{
	(void)e;

	WITH_LOCK(&h->lock);

	*ret = json_array();
	for (struct job *j = h->jobs; j; j = j->next)
		json_array_insert_new(*ret, 0, job_json(j));
	return 0;
}

int job_show(struct host *h, const char *id, json_t **ret, struct error *e)
{
	struct job *j = job_must(h, id, e);

	if (!j)
		return error_code(e);
	*ret = job_json(j);
	job_drop(j);
	return 0;
}

int job_cancel(struct host *h, const char *id, json_t **ret, struct error *e)
{
	struct job *j = job_must(h, id, e);
	int r = 0;

	if (!j)
		return error_code(e);
	if (job_state(j) == JOB_RUNNING)
		job_request_cancel(j);
	else
		r = error_set(e, EBUSY,
			      job_state(j) == JOB_IN_DOUBT
				      ? "job %s is in doubt and cannot be "
					"cancelled: 'drover job show' says "
					"what to do"
				      : "job %s has ended already",
			      id);
	*ret = r == 0 ? job_json(j) : NULL;
	job_drop(j);
	return r;
}

/* A job is done when the guest is where the move was to bring it. */
static bool ends_done(const struct job *j, bool run_here)
{
	return run_here == !strcmp(j->role, "destination");
}

int job_resolve(struct host *h, const char *id, int run_here, json_t **ret,
		struct error *e)
{
	struct job *j = job_must(h, id, e);
	int r = 0;

	if (!j)
		return error_code(e);
	if (job_state(j) == JOB_IN_DOUBT) {
		char refusal[120];

		job_request_verdict(j, run_here ? JOB_RUN_HERE : JOB_GIVE_UP);
		if (!job_wait_verdict(j, clock_us() + ANSWER_US, refusal,
				      sizeof(refusal)))
			r = error_set(e, EBUSY,
				      "job %s has not ended yet: look at it "
				      "with 'drover job show'",
				      id);
		else if (refusal[0])
			r = error_set(e, EBUSY,
				      "%s, so it is not for the operator to "
				      "say where %s runs: see 'drover job show "
				      "%s'",
				      refusal, j->machine, id);
		else if ((job_state(j) == JOB_DONE) != ends_done(j, run_here))
			r = error_set(e, EBUSY,
				      "job %s ended otherwise before that was "
				      "heard: see 'drover job show %s'",
				      id, id);
	} else {
		r = error_set(e, EBUSY,
			      "job %s is not in doubt: there is nothing to "
			      "resolve",
			      id);
	}
	*ret = r == 0 ? job_json(j) : NULL;
	job_drop(j);
	return r;
}

void job_settle(struct job *j, int r, const struct error *e)
{
	if (r >= 0)
		job_finish(j, JOB_DONE, NULL, NULL);
	else if (r == -ECANCELED)
		job_finish(j,
			   job_state(j) == JOB_RUNNING ? JOB_CANCELLED
						       : JOB_FAILED,
			   e->text, NULL);
	else
		job_fail(j, e);
}

/* --- threads */

struct start {
	struct host *host;
	const char *name;
	void *(*run)(void *);
	void *arg;
};

static void *counted(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	thread_name(s.name);
	s.run(s.arg);
	thread_ended(s.host);
	return NULL;
}

int thread_start(struct host *h, const char *name, void *(*run)(void *),
		 void *arg, struct error *e)
{
	struct start *s = malloc(sizeof(*s));
	pthread_attr_t attr;
	pthread_t ignored;
	int r;

	if (!s)
		return error_set(e, ENOMEM, "no memory for a thread");
	*s = (struct start){ h, name, run, arg };
	{
		WITH_LOCK(&h->lock);

		h->threads++;
	}
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&ignored, &attr, counted, s);
	pthread_attr_destroy(&attr);
	if (r == 0)
		return 0;
	free(s);
	thread_ended(h);
	return error_set(e, r, "no thread for a job");
}

void thread_ended(struct host *h)
{
	WITH_LOCK(&h->lock);

	h->threads--;
	pthread_cond_broadcast(&h->changed);
}

/* --- a move away */

int peer_failed(struct error *e)
{
	enum error_kind kind = error_kind(e);

	if (kind == ERROR_REFUSED || kind == ERROR_TIMED_OUT)
		return error_code(e);
	return error_as(e, EHOSTUNREACH);
}

int peer_of(const struct settings *s, const char *name, struct move_peer *ret,
	    struct error *e)
{
	const struct peer *p = name ? settings_peer(s, name) : NULL;

	if (!p)
		return error_set(e, ENOENT,
				 "%s knows no host called %s: add a section "
				 "[peer %s] to its drover.conf",
				 s->host.name, name ? name : "",
				 name ? name : "NAME");
	if (p->tls)
		return error_set(e, EHOSTUNREACH,
				 "this version has no TLS: set tls = off in "
				 "[peer %s] of drover.conf if the network "
				 "between the hosts is private",
				 name);
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	ret->addresses = (const char *const *)p->addresses.at;
	ret->port = (uint16_t)p->port;
	return 0;
}

static struct move_machine view(const struct machine *m)
{
	struct move_machine v = {
		.name = m->name,
		.definition = m->text,
		.process.pidfd = -1,
		.run_dir = m->run_dir,
	};

	if (m->started)
		v.process = m->process;
	return v;
}

static void outgoing_free(struct outgoing *o)
{
	room_release(o->host, &o->claim);
	job_drop(o->job);
	json_decref(o->entry);
	terms_done(&o->terms);
	free(o);
}

static void *outgoing_main(void *arg)
{
	struct outgoing *o = arg;
	struct move_machine m = view(o->machine);
	struct error e = { 0 };
	int r;

	if (o->entry)
		r = move_away_resume(o->job, &o->terms.host, &m, &o->peer,
				     o->entry, &e);
	else
		r = move_away(o->job, &o->terms.host, &m, &o->peer, &o->options,
			      &e);
	/* One that has left is out of the books, and gone. */
	if (r < 0)
		machine_release(o->host, o->machine);
	job_settle(o->job, r, &e);
	outgoing_free(o);
	return NULL;
}

/* A time in milliseconds from the request, or the host's default. */
static int read_ms(uint64_t *ret_us, const json_t *options, const char *key,
		   uint64_t default_us, struct error *e)
{
	const json_t *v = json_object_get(options, key);
	json_int_t ms = json_integer_value(v);

	*ret_us = default_us;
	if (!v)
		return 0;
	if (ms < 0 || ms > 86400000)
		return error_set(e, EINVAL,
				 "%s is %" JSON_INTEGER_FORMAT
				 ": it must be from 0 to 86400000",
				 key, ms);
	*ret_us = (uint64_t)ms * USEC_PER_MS;
	return 0;
}

static int read_options(struct outgoing *o, const json_t *options,
			struct error *e)
{
	const struct settings *s = o->terms.settings;
	const struct move_settings *d = &s->move;
	const char *at =
		json_string_value(json_object_get(options, "on_timeout"));
	struct move_options *r = &o->options;

	if (read_ms(&r->downtime_limit_us, options, "downtime_limit_ms",
		    d->downtime_limit_us, e) < 0 ||
	    read_ms(&r->timeout_us, options, "timeout_ms", d->timeout_us, e) <
		    0)
		return error_code(e);
	if (r->downtime_limit_us == 0) /* QEMU would stop the guest at once */
		return error_set(e, EINVAL,
				 "the downtime limit must be more than 0");
	if (at && strcmp(at, "abort") != 0 && strcmp(at, "force") != 0)
		return error_set(e, EINVAL,
				 "'%s' is not a value of on_timeout: use abort "
				 "or force",
				 at);
	r->force =
		at ? !strcmp(at, "force") : d->on_timeout == ON_TIMEOUT_FORCE;
	r->paused = json_is_true(json_object_get(options, "paused"));
	r->outage_limit_us = d->outage_limit_us;
	return paths_read(&r->paths, s, options, e);
}

static int launch_move(struct outgoing *o, json_t **ret_job, struct error *e)
{
	*ret_job = job_json(o->job);
	job_add(o->host, o->job);
	if (thread_start(o->host, "move out", outgoing_main, o, e) == 0)
		return 0;
	json_decref(*ret_job);
	job_fail(o->job, e);
	return error_code(e);
}

static int claim_room(struct outgoing *o, pid_t pid, struct error *e)
{
	const struct room_need need = room_of_departure(o->job->machine, pid);

	return room_claim(o->host, &o->claim, o->job, &need, e);
}

static int begin(struct outgoing *o, const char *name, const json_t *options,
		 struct error *e)
{
	const char *peer = json_string_value(json_object_get(options, "host"));
	char what[64];
	int r;

	if (read_options(o, options, e) < 0 ||
	    peer_of(o->terms.settings, peer, &o->peer, e) < 0 ||
	    job_new(&o->job,
		    &(struct job_subject){ .kind = "move",
					   .role = "source",
					   .machine = name,
					   .peer = peer },
		    e) < 0)
		return error_code(e);
	snprintf(what, sizeof(what), "job %s", o->job->id);
	if ((r = machine_take(o->host, name, what, &o->machine, e)) < 0)
		return r;
	if (!o->machine->started)
		r = error_set(e, EBUSY,
			      "machine %s does not run: start it with 'drover "
			      "vm start %s'",
			      name, name);
	else
		r = claim_room(o, o->machine->process.pid, e);
	if (r < 0)
		machine_release(o->host, o->machine);
	return r;
}

int machine_move(struct host *h, const char *name, const json_t *options,
		 json_t **ret_job, struct error *e)
{
	struct outgoing *o = calloc(1, sizeof(*o));

	if (!o)
		return error_set(e, ENOMEM, "no memory for a move");
	o->host = h;
	o->terms = terms_of(h);
	if (begin(o, name, options, e) < 0) {
		outgoing_free(o);
		return error_code(e);
	}
	job_log_begin(o->job);
	if (launch_move(o, ret_job, e) < 0) {
		machine_release(h, o->machine);
		outgoing_free(o);
		return error_code(e);
	}
	return 0;
}

/* --- compare */

static int ask_findings(const struct move_host *h, const struct move_peer *peer,
			json_t *description, json_t **ret, struct error *e)
{
	json_t *answer;

	if (move_ask_peer(h, peer,
			  json_pack("{s:s,s:o}", "type", "compare", "machine",
				    description),
			  ANSWER_US, &answer, e) < 0)
		return peer_failed(e);
	*ret = json_incref(json_object_get(answer, "findings"));
	json_decref(answer);
	if (!json_is_array(*ret))
		return error_set(e, EHOSTUNREACH,
				 "%s gives an answer that makes no sense",
				 peer->name);
	return 0;
}

static int compare_taken(struct host *h, const struct machine *machine,
			 const struct move_host *asks,
			 const struct move_peer *peer, json_t **ret,
			 struct error *e)
{
	const struct move_machine m = view(machine);
	struct disk_marks *marks = NULL;
	struct room_need need;
	json_t *description, *findings = NULL;
	struct error ignored;
	struct qmp *q;
	int r;

	if (!machine->started)
		return error_set(e, EBUSY,
				 "machine %s does not run: start it with "
				 "'drover vm start %s'",
				 m.name, m.name);
	if (qmp_open(&q, m.process.qmp_path, clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	r = compare_describe(q, &m, &description, &marks, e);
	qmp_close(q);
	if (r == 0)
		r = ask_findings(asks, peer, description, &findings, e);
	disks_unmark(marks);
	if (r < 0)
		return error_code(e);
	need = room_of_departure(m.name, m.process.pid);
	room_find(h, &need, findings);
	*ret = json_pack("{s:b,s:o}", "ok",
			 compare_verdict(findings, &ignored) == 0, "findings",
			 findings);
	return 0;
}

int machine_compare(struct host *h, const char *name, const char *peer_name,
		    json_t **ret, struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(h);
	struct move_peer peer;
	struct machine *m;
	int r;

	if (peer_of(t.settings, peer_name, &peer, e) < 0)
		return error_code(e);
	if ((r = machine_take(h, name, "compare", &m, e)) < 0)
		return r;
	r = compare_taken(h, m, &t.host, &peer, ret, e);
	machine_release(h, m);
	return r;
}

/* --- after a restart */

static void *arriving_main(void *arg)
{
	struct outgoing *o = arg;
	struct error e = { 0 };
	int r = move_in_resume(o->job, &o->terms.host, o->entry, &o->peer, &e);

	/* One that is in the books had arrived before the daemon died. */
	if (r < 0 && o->machine->text)
		machine_release(o->host, o->machine);
	else if (r < 0)
		machine_remove(o->host, o->machine);
	job_settle(o->job, r, &e);
	outgoing_free(o);
	return NULL;
}

/* The machine of an entry, held by its job. */
static int take_entry(struct outgoing *o, bool source, struct error *e)
{
	const char *name = journal_text(o->entry, "machine");
	char what[64];
	int r;

	snprintf(what, sizeof(what), "job %s", o->job->id);
	r = machine_take(o->host, name, what, &o->machine, e);
	if (r == 0 || source)
		return r;
	return machine_reserve(o->host, name, what, &o->machine, e);
}

/* An entry goes only when it is certain that nothing has to be done. */
static void not_taken_up(struct host *h, json_t *entry, bool source,
			 const struct error *why)
{
	const char *id = journal_text(entry, "job");
	struct error e;

	if (!source || why->code != ENOENT) {
		log_error("journal of job %s: %s: it is kept for the next "
			  "start",
			  id, why->text);
		return;
	}
	if (journal_step_of(entry) == STEP_LEFT) {
		if (journal_conclude(h->settings->state_directory, entry,
				     STEP_LEFT, &e) < 0)
			log_error("%s", e.text);
		return;
	}
	/* Of a guest that has left, the entry goes last; docs/commit.md. */
	if (journal_step_of(entry) == STEP_COMMIT)
		log_info("move %s (job %s): it had left",
			 journal_text(entry, "machine"), id);
	else
		log_warning("journal of job %s: %s", id, why->text);
	if (journal_remove(h->settings->state_directory, id, "source", &e) < 0)
		log_error("%s", e.text);
}

static int recover_one(struct host *h, json_t *entry, struct error *e)
{
	bool source = !strcmp(journal_text(entry, "role"), "source");
	const char *peer = journal_text(entry, "peer");
	struct outgoing *o = calloc(1, sizeof(*o));
	json_t *ignored;

	if (!o)
		return error_set(e, ENOMEM, "no memory for a move");
	o->host = h;
	o->terms = terms_of(h);
	o->entry = json_incref(entry);
	if (job_new(&o->job,
		    &(struct job_subject){
			    .id = journal_text(entry, "job"),
			    .kind = "move",
			    .role = source ? "source" : "destination",
			    .machine = journal_text(entry, "machine"),
			    .peer = peer },
		    e) < 0 ||
	    take_entry(o, source, e) < 0) {
		not_taken_up(h, entry, source, e);
		outgoing_free(o);
		return 0;
	}
	/* Without the peer in the configuration nobody can be asked: the
	 * operator is. */
	if (peer_of(o->terms.settings, peer, &o->peer, e) < 0)
		snprintf(o->peer.name, sizeof(o->peer.name), "%s", peer);
	log_info("move %s (job %s): found in the journal at '%s'",
		 o->job->machine, o->job->id, journal_text(entry, "step"));
	if (source)
		return launch_move(o, &ignored, e);
	job_add(h, o->job);
	return thread_start(h, "move in", arriving_main, o, e);
}

int moves_recover(struct host *h, struct error *e)
{
	json_t *all, *entry;
	size_t i;
	int r = journal_read(h->settings->state_directory, &all, e);

	if (r < 0)
		return r;
	json_array_foreach (all, i, entry)
		if ((r = recover_one(h, entry, e)) < 0)
			break;
	json_decref(all);
	return r;
}
