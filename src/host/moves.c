/* SPDX-License-Identifier: MIT */
#include "host/moves.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/hooks.h"
#include "host/host.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/paths.h"
#include "host/power.h"
#include "host/registry.h"
#include "host/requeue.h"
#include "host/room.h"
#include "host/shares.h"
#include "host/terms.h"
#include "host/waiting.h"
#include "move/compare.h"
#include "move/disk_paths.h"
#include "move/disks.h"
#include "move/job_view.h"
#include "move/peer.h"
#include "move/settings.h"
#include "qemu/definition.h"
#include "qemu/qmp.h"

enum { MONITOR_US = 5000000, ANSWER_US = 20000000, DAY_MS = 86400000 };

struct outgoing {
	struct host *host;
	struct job *job;
	struct machine *machine;
	struct terms terms;
	struct move_peer peer;
	struct move_options options;
	struct room_claim *claim;
	struct waiter *waiter; /* NULL until it has its turn */
};

/* --- a move away */

struct move_machine moves_view(const struct machine *held)
{
	const struct machine_record *m = machine_record(held);
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
	if (!o)
		return;
	room_release(o->host->room, o->claim);
	job_drop(o->job);
	terms_done(&o->terms);
	free(o);
}

/* One that cannot go now for the time being waits once more. */
static bool waits_again(struct outgoing *o, const struct error *e)
{
	struct waiting *all = o->host->waiting;

	if (e->code == EUSERS) /* docs/queue.md: "full" */
		return waiting_again(all, o->waiter, QUEUE_FULL);
	if (e->code == EHOSTUNREACH && waiting_is_patient(all, o->waiter))
		return waiting_again(all, o->waiter, QUEUE_AWAY);
	/* There the machine is held by what is left of the move before. */
	if (e->code == EREMOTEIO && error_kind(e) == ERROR_REFUSED &&
	    clock_us() < o->waiter->refused_us)
		return waiting_again(all, o->waiter, QUEUE_HELD);
	return false;
}

static int ask_hooks(struct outgoing *o, struct error *e)
{
	const struct hook_event before = hook_of_job(o->job, HOOK_BEFORE_MOVE);

	job_set_stage(o->job, "hooks");
	return hooks_ask(o->host, &before, o->job, e);
}

static int move_with_power(struct outgoing *o, struct move_machine *m,
			   struct error *e)
{
	const struct power_settings *power = &o->terms.settings->power;
	AUTO_CLOSE int held = power_hold(power);

	o->options.disk_paths = &o->waiter->file.request.disk_paths;
	o->options.cpu_latency_us = held < 0 ? -1 : power->cpu_latency_us;
	return move_away(o->job, &o->terms.host, m, &o->peer, &o->options, e);
}

/* The destination's daemon ended in the middle of it. */
static bool is_undone(struct outgoing *o, const struct error *e)
{
	return e->code == ENETRESET && o->terms.settings->move.requeue &&
	       !atomic_load(&o->job->cancel_asked);
}

static void end_outgoing(struct outgoing *o, int r, const struct error *e)
{
	struct host *h = o->host;

	if (r < 0 && is_undone(o, e)) {
		waiting_leave(h->waiting, o->waiter);
		requeue_again(h->requeue, o->waiter);
		job_settle(o->job, r, e);
	} else {
		job_settle(o->job, r, e);
		waiting_end(h->waiting, o->waiter,
			    r == -ECANCELED || r == -ENETRESET);
	}
}

static void *outgoing_main(void *arg)
{
	struct outgoing *o = arg;
	struct host *h = o->host;
	struct move_machine m = moves_view(o->machine);
	struct error e = { 0 };
	int r = ask_hooks(o, &e);

	if (r == 0)
		r = move_with_power(o, &m, &e);

	/* One that has left is off the list, and gone. */
	if (r < 0)
		machine_release(o->host->registry, o->machine);
	if (r < 0 && waits_again(o, &e)) {
		outgoing_free(o);
		return NULL;
	}
	end_outgoing(o, r, &e);
	hooks_tell_end(h, o->job);
	outgoing_free(o);
	return NULL;
}

/* Some milliseconds that were asked for, by the field @name. */
static int take_ms(uint64_t *ret_us, int64_t ms, const char *name,
		   struct error *e)
{
	if (ms < 0 || ms > DAY_MS)
		return error_set(e, EINVAL,
				 "%s is %" PRId64 ": it must be from 0 to %d",
				 name, ms, DAY_MS);
	*ret_us = (uint64_t)ms * USEC_PER_MS;
	return 0;
}

static int take_limits(struct move_options *r, const struct move_request *of,
		       struct error *e)
{
	if (of->has_downtime_limit &&
	    take_ms(&r->downtime_limit_us, of->downtime_limit_ms,
		    "downtime_limit_ms", e) < 0)
		return error_code(e);
	if (of->has_timeout &&
	    take_ms(&r->timeout_us, of->timeout_ms, "timeout_ms", e) < 0)
		return error_code(e);
	if (r->downtime_limit_us == 0) /* QEMU would stop the guest at once */
		return error_set(e, EINVAL,
				 "the downtime limit must be more than 0");
	return 0;
}

/* How it stands beside the host's other moves. */
static int take_share(struct move_options *r, const struct move_request *of,
		      struct error *e)
{
	if (of->has_weight && (of->weight < 1 || of->weight > MOVE_WEIGHT_MOST))
		return error_set(e, EINVAL,
				 "weight is %" PRId64
				 ": it must be from 1 to %d",
				 of->weight, MOVE_WEIGHT_MOST);
	if (of->has_limit && of->limit != 0 && of->limit < SHARES_LEAST)
		return error_set(e, EINVAL,
				 "the limit is %" PRId64
				 " bytes a second: it must be 0, for none, or "
				 "at least %d (1Mbit)",
				 of->limit, SHARES_LEAST);
	if (of->has_weight)
		r->weight = (unsigned)of->weight;
	if (of->has_limit)
		r->rate = (uint64_t)of->limit;
	return 0;
}

/* What on_timeout says of the guest's pause counts with converge left out, as
 * it did before there was that. */
static int take_converge(struct move_options *r, const struct move_request *of,
			 struct error *e)
{
	const char *at = of->on_timeout;

	if (at && strcmp(at, "abort") != 0 && strcmp(at, "force") != 0)
		return error_set(e, EINVAL,
				 "'%s' is not a value of on_timeout: use abort "
				 "or force",
				 at);
	if (at && of->has_converge)
		return error_set(e, EINVAL,
				 "on_timeout is not given beside converge, in "
				 "which 'pause' is what 'force' is");
	if (at && !strcmp(at, "force"))
		r->converge |= CONVERGE_PAUSE;
	else if (at)
		r->converge &= ~(unsigned)CONVERGE_PAUSE;
	if (!of->has_converge)
		return 0;
	if (converge_parse(&r->converge, &of->converge, e) < 0)
		return error_code(e);
	return converge_check(r->converge, r->timeout_us, e);
}

static int take_disks(struct move_options *r, const struct move_request *of,
		      struct error *e)
{
	r->disks = of->disks;
	if (of->disk_paths.count > 0 && !of->disks)
		return error_set(e, EINVAL,
				 "a disk has a path to go to (disk_paths), and "
				 "none goes with the machine: add disks");
	return disk_paths_check(&of->disk_paths, e);
}

int moves_options(struct move_options *r, const struct settings *s,
		  const struct move_request *of, struct error *e)
{
	const struct move_settings *d = &s->move;

	r->downtime_limit_us = d->downtime_limit_us;
	r->timeout_us = d->timeout_us;
	r->outage_limit_us = d->outage_limit_us;
	r->converge = move_settings_converge(d);
	r->paused = of->paused;
	r->weight = d->weight;
	r->rate = d->limit;
	if (take_limits(r, of, e) < 0 || take_share(r, of, e) < 0 ||
	    take_disks(r, of, e) < 0)
		return error_code(e);
	if (take_converge(r, of, e) < 0)
		return error_code(e);
	return paths_asked(&r->paths, s, &of->paths, e);
}

static int claim_room(struct outgoing *o, pid_t pid, struct error *e)
{
	const struct room_need need = room_of_departure(o->job->machine, pid);

	return room_claim(o->host->room, &o->claim, o->job, &need, e);
}

/* Takes hold of it; what it needs while it goes. */
static int check_machine(struct outgoing *o, struct error *e)
{
	const struct machine_record *m = machine_record(o->machine);

	if (!m->started)
		return error_set(e, EBUSY,
				 "machine %s does not run: start it with "
				 "'drover vm start %s'",
				 m->name, m->name);
	return claim_room(o, m->process.pid, e);
}

static int take_machine(struct outgoing *o, struct error *e)
{
	return machine_take(o->host->registry, o->job->machine,
			    hold_by_job(o->job->id), &o->machine, e);
}

static void let_machine_go(struct outgoing *o)
{
	machine_release(o->host->registry, o->machine);
	room_release(o->host->room, o->claim);
	o->claim = NULL;
}

static int take_request(struct outgoing *o, const struct move_request *of,
			struct error *e)
{
	if (moves_options(&o->options, o->terms.settings, of, e) < 0 ||
	    peer_of(&o->terms, of->host, &o->peer, e) < 0)
		return error_code(e);
	return 0;
}

static int check_priority(unsigned *ret, int64_t asked, struct error *e)
{
	if (asked < 0 || asked > QUEUE_PRIORITY_MOST)
		return error_set(e, EINVAL,
				 "priority is %" PRId64
				 ": it must be from 0 to %d",
				 asked, QUEUE_PRIORITY_MOST);
	*ret = (unsigned)asked;
	return 0;
}

static int64_t defined_priority(const struct outgoing *o)
{
	const struct machine_record *m = machine_record(o->machine);
	SCOPED(definition_done) struct definition d = { 0 };
	struct error ignored;

	if (!m->text || definition_parse(&d, m->name, m->text, &ignored) < 0 ||
	    d.priority == 0)
		return QUEUE_PRIORITY;
	return d.priority - 1;
}

/* Its machine is held. */
static int take_priority(struct outgoing *o, const struct move_request *of,
			 struct error *e)
{
	const int64_t asked =
		of->has_priority ? of->priority : defined_priority(o);

	unsigned priority;

	if (check_priority(&priority, asked, e) < 0)
		return error_code(e);
	job_set_priority(o->job, priority);
	return 0;
}

static int begin(struct outgoing *o, const char *name,
		 const struct move_request *of, struct error *e)
{
	if (take_request(o, of, e) < 0 ||
	    job_new(&o->job,
		    &(struct job_subject){ .kind = JOB_MOVE,
					   .role = ROLE_SOURCE,
					   .machine = name,
					   .peer = of->host },
		    e) < 0)
		return error_code(e);
	return take_machine(o, e);
}

/* Its machine is held. */
static int make_waiter(struct outgoing *o, const struct move_request *of,
		       struct error *e)
{
	struct queue_file asked = { .priority = (unsigned)o->job->priority,
				    .asked_us = o->job->started_us,
				    .request = *of };
	struct queue_file f;

	snprintf(asked.job, sizeof(asked.job), "%s", o->job->id);
	snprintf(asked.machine, sizeof(asked.machine), "%s", o->job->machine);
	snprintf(asked.uuid, sizeof(asked.uuid), "%s",
		 machine_record(o->machine)->uuid);
	if (shape_copy(&queue_file_shape, &f, &asked, e) < 0)
		return error_code(e);
	o->waiter = waiter_new(&f, o->job);
	if (o->waiter)
		return 0;
	queue_file_done(&f);
	return error_set(e, ENOMEM, "no memory for a move");
}

/* Its turn: the thread takes @o over. */
static int launch(struct outgoing *o, struct error *e)
{
	if (jobs_thread(o->host->jobs, "move out", outgoing_main, o, e) == 0)
		return 0;
	let_machine_go(o);
	job_fail(o->job, e);
	waiting_end(o->host->waiting, o->waiter, false);
	outgoing_free(o);
	return error_code(e);
}

static int start_now(struct outgoing *o, struct job_view *ret, struct error *e)
{
	if (job_view(o->job, ret, e) < 0) {
		let_machine_go(o);
		waiting_end(o->host->waiting, o->waiter, false);
		outgoing_free(o);
		return error_code(e);
	}
	jobs_add(o->host->jobs, o->job);
	if (launch(o, e) == 0)
		return 0;
	shape_done(&job_view_shape, ret);
	return error_code(e);
}

/* Who waits holds nothing. */
static int wait_for_turn(struct outgoing *o, struct job_view *ret,
			 struct error *e)
{
	struct job *j = o->job;
	int r;

	let_machine_go(o);
	/* Nobody can cancel it before it is in the list. */
	waiting_wait(o->host->waiting, o->waiter);
	jobs_add(o->host->jobs, j);
	r = job_view(j, ret, e);
	if (r < 0) {
		job_request_cancel(j);
		waiting_cancel(o->host->waiting, j->id);
	}
	outgoing_free(o);
	return r;
}

static struct outgoing *outgoing_new(struct host *h, struct error *e)
{
	struct outgoing *o = calloc(1, sizeof(*o));

	if (!o) {
		error_set(e, ENOMEM, "no memory for a move");
		return NULL;
	}
	o->host = h;
	o->terms = terms_of(h);
	return o;
}

int machine_move(struct host *h, const char *name,
		 const struct move_request *of, struct job_view *ret_job,
		 struct error *e)
{
	struct outgoing *o = outgoing_new(h, e);
	bool starts;

	if (!o || begin(o, name, of, e) < 0) {
		outgoing_free(o);
		return error_code(e);
	}
	if (take_priority(o, of, e) < 0 || check_machine(o, e) < 0 ||
	    make_waiter(o, of, e) < 0 ||
	    waiting_enter(h->waiting, o->waiter, &starts, e) < 0) {
		let_machine_go(o);
		waiter_free(o->waiter);
		outgoing_free(o);
		return error_code(e);
	}
	job_log_begin(o->job);
	return starts ? start_now(o, ret_job, e) : wait_for_turn(o, ret_job, e);
}

/* One of that name may be another one by now. */
static int check_same(const struct outgoing *o, struct error *e)
{
	if (!strcmp(machine_record(o->machine)->uuid, o->waiter->file.uuid))
		return 0;
	return error_set(e, ENOENT,
			 "machine %s is another one than that whose move "
			 "waited",
			 o->job->machine);
}

void moves_start(struct host *h, struct waiter *one)
{
	struct error e = { 0 };
	struct outgoing *o = outgoing_new(h, &e);
	int r = -ENOMEM;

	if (o) {
		o->job = job_hold(one->job);
		o->waiter = one;
		r = take_request(o, &one->file.request, &e);
	}
	if (r == 0)
		r = take_machine(o, &e);
	if (r == -EBUSY && waiting_again(h->waiting, one, QUEUE_HELD)) {
		outgoing_free(o);
		return;
	}
	if (r == 0 && (check_same(o, &e) < 0 || check_machine(o, &e) < 0)) {
		let_machine_go(o);
		r = error_code(&e);
	}
	if (r == 0) {
		job_log_begin(o->job);
		launch(o, &e);
		return;
	}
	job_settle(one->job, r, &e);
	waiting_end(h->waiting, one, false);
	outgoing_free(o);
}

/* --- an end before its time */

static void cancel(struct host *h, struct job *j)
{
	job_request_cancel(j);
	waiting_cancel(h->waiting, j->id);
}

/* It may be queued again at this moment: host/requeue.c, wait_again(). */
static void cancel_again(struct host *h, struct job *was)
{
	char id[JOB_ID_SIZE];
	struct job *j;

	job_again(was, id);
	j = id[0] ? jobs_find(h->jobs, id, ROLE_SOURCE) : NULL;
	if (j)
		cancel(h, j);
	job_drop(j);
}

int job_cancel(struct host *h, const char *id, struct job_view *ret,
	       struct error *e)
{
	struct job *j = jobs_must(h->jobs, id, e);
	int r = 0;

	if (!j)
		return error_code(e);
	if (job_state(j) == JOB_RUNNING) {
		cancel(h, j);
		cancel_again(h, j);
	} else {
		r = error_set(e, EBUSY,
			      job_state(j) == JOB_IN_DOUBT
				      ? "job %s is in doubt and cannot be "
					"cancelled: "
					"'drover job show' says what to do"
				      : "job %s has ended already",
			      id);
	}
	if (r == 0)
		r = job_view(j, ret, e);
	job_drop(j);
	return r;
}

/* --- other terms */

static int change_terms(struct job_terms *t, const struct job_request *of,
			struct error *e)
{
	struct move_options limits = { .downtime_limit_us = t->limit_us,
				       .timeout_us = t->timeout_us,
				       .weight = t->weight,
				       .rate = t->rate };
	const struct move_request as_of_move = {
		.downtime_limit_ms = of->downtime_limit_ms,
		.timeout_ms = of->timeout_ms,
		.has_downtime_limit = of->has_downtime_limit,
		.has_timeout = of->has_timeout,
		.weight = of->weight,
		.has_weight = of->has_weight,
		.limit = of->limit,
		.has_limit = of->has_limit,
	};

	if (take_limits(&limits, &as_of_move, e) < 0 ||
	    take_share(&limits, &as_of_move, e) < 0)
		return error_code(e);
	t->weight = limits.weight;
	t->rate = limits.rate;
	t->limit_us = limits.downtime_limit_us;
	t->timeout_us = limits.timeout_us;
	if (of->has_converge &&
	    converge_parse(&t->converge, &of->converge, e) < 0)
		return error_code(e);
	return of->has_converge || of->has_timeout
		       ? converge_check(t->converge, t->timeout_us, e)
		       : 0;
}

static int not_now(const struct job *j, struct error *e)
{
	return error_set(e, EBUSY,
			 "job %s is not a move away whose guest still runs "
			 "here: there is nothing to set",
			 j->id);
}

/* Again where somebody else has set another part of them meanwhile. */
static int set_terms(struct job *j, const struct job_request *of,
		     struct error *e)
{
	struct job_terms was, terms;

	if (of->has_priority)
		return error_set(e, EBUSY,
				 "job %s does not wait: its priority means "
				 "nothing any more",
				 j->id);
	do {
		if (!job_terms(j, &was))
			return not_now(j, e);
		terms = was;
		if (change_terms(&terms, of, e) < 0)
			return error_code(e);
	} while (!job_change_terms(j, &was, &terms));
	return 0;
}

/* What it was asked for was checked as a whole. */
static int set_waiting(struct host *h, const struct job *j,
		       const struct job_request *of, struct error *e)
{
	unsigned priority;

	if (of->has_converge || of->has_downtime_limit || of->has_timeout)
		return error_set(e, EBUSY,
				 "job %s waits for its turn: until then only "
				 "its priority can be set; cancel it and ask "
				 "for the move as it shall be",
				 j->id);
	if (check_priority(&priority, of->priority, e) < 0)
		return error_code(e);
	return waiting_set_priority(h->waiting, j->id, priority, e);
}

int job_set(struct host *h, const char *id, const struct job_request *of,
	    struct job_view *ret, struct error *e)
{
	struct job *j = jobs_must(h->jobs, id, e);
	int r;

	if (!j)
		return error_code(e);
	r = job_waits(j) ? set_waiting(h, j, of, e) : set_terms(j, of, e);
	if (r == 0)
		r = job_view(j, ret, e);
	job_drop(j);
	return r;
}

/* --- compare */

/* The description is emptied. */
static int ask_findings(const struct move_host *h, const struct move_peer *peer,
			struct machine_description *described,
			struct message *ret, struct error *e)
{
	AUTO_MESSAGE struct message m = { .type = MESSAGE_COMPARE,
					  .compare = *described };

	if (peer_ask(h, peer, &m, ANSWER_US, ret, e) < 0)
		return peer_failed(e);
	if (ret->type == MESSAGE_FAILED) {
		error_set(e, EHOSTUNREACH, "host %s: %s", peer->name,
			  ret->failed.error);
		if (ret->failed.kind[0])
			e->kind = error_kind_find(ret->failed.kind);
		return error_code(e);
	}
	if (ret->type != MESSAGE_FINDINGS)
		return error_set(e, EHOSTUNREACH,
				 "%s gives an answer that makes no sense",
				 peer->name);
	return 0;
}

/* What the peer finds, and what this host does. */
static int find_all(struct host *h, const struct move_machine *m,
		    const struct move_host *asks, const struct move_peer *peer,
		    struct message *ret, struct error *e)
{
	struct machine_description described;
	struct disk_marks *marks = NULL;
	struct room_need need;
	struct error why;
	struct qmp *q;
	int r;

	if (qmp_open(&q, m->process.qmp_path, clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	r = compare_describe(q, m, &described, &marks, e);
	qmp_close(q);
	if (r == 0)
		r = ask_findings(asks, peer, &described, ret, e);
	disks_unmark(marks);
	if (r < 0)
		return r;
	need = room_of_departure(m->name, m->process.pid);
	if (room_check(h->room, &need, &why) < 0)
		findings_add(&ret->findings, SEVERITY_ERROR, "%s", why.text);
	return 0;
}

static int compare_taken(struct host *h, const struct machine *machine,
			 const struct move_host *asks,
			 const struct move_peer *peer, struct findings *ret,
			 struct error *e)
{
	const struct move_machine m = moves_view(machine);
	AUTO_MESSAGE struct message found = { 0 };

	if (!machine_record(machine)->started)
		return error_set(e, EBUSY,
				 "machine %s does not run: start it with "
				 "'drover vm start %s'",
				 m.name, m.name);
	if (find_all(h, &m, asks, peer, &found, e) < 0)
		return error_code(e);
	*ret = found.findings;
	found.findings = (struct findings){ 0 };
	return 0;
}

int machine_compare(struct host *h, const char *name, const char *peer_name,
		    struct comparison *ret, struct error *e)
{
	const struct hold by = { .kind = HOLD_COMPARE };
	AUTO_TERMS struct terms t = terms_of(h);
	struct error ignored;
	struct move_peer peer;
	struct machine *m;
	int r;

	if (peer_of(&t, peer_name, &peer, e) < 0)
		return error_code(e);
	if ((r = machine_take(h->registry, name, by, &m, e)) < 0)
		return r;
	r = compare_taken(h, m, &t.host, &peer, &ret->findings, e);
	machine_release(h->registry, m);
	if (r == 0)
		ret->ok = compare_verdict(&ret->findings, &ignored) == 0;
	return r;
}
