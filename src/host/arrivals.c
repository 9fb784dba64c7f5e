/* SPDX-License-Identifier: MIT */
#include "host/arrivals.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/admission.h"
#include "host/belongings.h"
#include "host/callback.h"
#include "host/carries.h"
#include "host/copies.h"
#include "host/disks.h"
#include "host/drain.h"
#include "host/elsewhere.h"
#include "host/facts.h"
#include "host/hooks.h"
#include "host/jobs.h"
#include "host/membership.h"
#include "host/own_words.h"
#include "host/parts.h"
#include "host/paths.h"
#include "host/power.h"
#include "host/rates.h"
#include "host/registry.h"
#include "host/relays.h"
#include "host/renew.h"
#include "host/room.h"
#include "host/terms.h"
#include "host/waiting.h"
#include "move/commit.h"
#include "move/compare.h"
#include "move/journal.h"
#include "session/session.h"

enum { FIRST_MESSAGE_US = 10000000, LINGER_US = 2000000 };

/* The last answer has to arrive before the session ends. */
static void answer(struct session *s, const struct message *m)
{
	AUTO_MESSAGE struct message ignored = { 0 };
	struct error e;

	if (session_send(s, m, &e) == 0)
		session_await(s, clock_us() + LINGER_US, &ignored, &e);
	session_free(s);
}

static void refuse(struct session *s, const struct error *why)
{
	struct message m = { .type = MESSAGE_FAILED };

	log_warning("request of %s: %s", session_peer(s), why->text);
	snprintf(m.failed.error, sizeof(m.failed.error), "%s", why->text);
	snprintf(m.failed.kind, sizeof(m.failed.kind), "%s",
		 error_kind_name(error_kind(why)));
	answer(s, &m);
}

/* Once nothing else speaks against it: files that it may not name are not
 * looked for.  What the administrator of this host wrote may share images with
 * others of his machines. */
static int check_images(struct host *h, const struct findings *so_far,
			const struct definition *d, struct error *e)
{
	char run_dir[PATH_MAX];

	if (compare_verdict(so_far, e) < 0)
		return 0;
	move_run_dir(run_dir, h->settings->run_directory, d->name);
	return belongings_check(h->registry, d, run_dir, own_words(h, d), e);
}

static void serve_compare(struct host *h, struct session *s,
			  const struct message *request)
{
	SCOPED(definition_done) struct definition d = { 0 };
	AUTO_TERMS struct terms t = terms_of(h);
	AUTO_MESSAGE struct message m = { .type = MESSAGE_FINDINGS };
	const struct machine_description *machine = &request->compare;
	struct error e, why = { 0 };
	struct room_need need;

	if (compare_read_definition(&d, machine, &e) < 0) {
		refuse(s, &e);
		return;
	}
	if (drain_check(h->drain, &why) == 0)
		registry_welcomes(h->registry, &d, &why);
	if (compare_check(&t.host, machine, why.code ? why.text : NULL,
			  &m.findings, &e) < 0) {
		refuse(s, &e);
		return;
	}
	if (check_images(h, &m.findings, &d, &why) < 0)
		findings_add(&m.findings, SEVERITY_ERROR, "%s", why.text);
	need = room_of_arrival(&d);
	if (room_check(h->room, &need, &why) < 0)
		findings_add(&m.findings, SEVERITY_ERROR, "%s", why.text);
	answer(s, &m);
}

/* Refused before anything was made for it: nobody asks for how it ended. */
static bool has_come_to_nothing(struct job *j, const char *peer)
{
	return j->kind == JOB_MOVE && job_wait_ended(j, 0) &&
	       job_course(j) == DECIDE_NONE && !strcmp(j->peer, peer);
}

/* A second move of that name would write over the first one's entry.  One that
 * came to nothing has none, and the same move is tried once more. */
static int check_job_is_new(struct host *h, const char *id, const char *peer,
			    struct error *e)
{
	SCOPED(journal_entry_done) struct journal_entry entry = { .pid = 0 };
	struct job *j = jobs_find(h->jobs, id, ROLE_DESTINATION);
	struct error ignored;
	int r = journal_find(h->settings->state_directory, id, ROLE_DESTINATION,
			     &entry, &ignored);

	if (r == -ENOENT && j && has_come_to_nothing(j, peer)) {
		jobs_remove(h->jobs, j);
		job_drop(j);
		return 0;
	}
	if (!j && r == -ENOENT)
		return 0;
	job_drop(j);
	return error_set(e, EEXIST, "%s has had a job %s already",
			 h->settings->name, id);
}

/* Of a move with somebody else nobody hears anything. */
static void answer_or_refuse(struct session *s, const char *id, bool theirs,
			     const struct message *m)
{
	struct error e;

	if (theirs) {
		answer(s, m);
		return;
	}
	error_set(&e, EACCES, "job %.16s is not a move with %s", id,
		  session_peer(s));
	refuse(s, &e);
}

static void serve_ask(struct host *h, struct session *s,
		      const struct message *request)
{
	const char *id = request->ask.job;
	struct message m = { .type = MESSAGE_ANSWER };
	struct error e;
	struct job *j;

	/* Files are named by it. */
	if (text_check_name("job", id, &e) < 0) {
		refuse(s, &e);
		return;
	}
	j = jobs_find(h->jobs, id, ROLE_SOURCE);
	answer_or_refuse(s, id,
			 commit_answer_ask(&m.answer, &h->move, session_peer(s),
					   &request->ask, j),
			 &m);
	job_drop(j);
}

static void serve_resolve(struct host *h, struct session *s,
			  const struct message *request)
{
	const char *id = request->resolve.job;
	struct message m = { .type = MESSAGE_RESOLVED };
	struct error e;
	struct job *j;

	if (text_check_name("job", id, &e) < 0) {
		refuse(s, &e);
		return;
	}
	j = jobs_find(h->jobs, id, ROLE_DESTINATION);
	answer_or_refuse(s, id,
			 commit_answer_resolve(&m.resolved, &h->move,
					       session_peer(s),
					       &request->resolve, j),
			 &m);
	job_drop(j);
}

static void serve_holds(struct host *h, struct session *s,
			const struct message *request)
{
	struct message m;

	elsewhere_answer(h, session_peer(s), &request->holds, &m);
	answer(s, &m);
}

static void serve_carries(struct host *h, struct session *s,
			  const struct message *request)
{
	const struct message m = {
		.type = MESSAGE_CARRIED,
		.carried = carries_answer(h, session_peer(s), request->carries)
	};

	answer(s, &m);
}

/* What it answers, or why not. */
typedef int answerer(struct host *h, struct session *s,
		     const struct message *request, struct message *ret,
		     struct error *e);

static void answer_by(struct host *h, struct session *s,
		      const struct message *request, answerer *by)
{
	AUTO_MESSAGE struct message m = { 0 };
	struct error e;

	if (by(h, s, request, &m, &e) < 0)
		refuse(s, &e);
	else
		answer(s, &m);
}

static void serve_members(struct host *h, struct session *s,
			  const struct message *request)
{
	answer_by(h, s, request, membership_answer);
}

static void serve_renew(struct host *h, struct session *s,
			const struct message *request)
{
	answer_by(h, s, request, renew_answer);
}

static void serve_facts(struct host *h, struct session *s,
			const struct message *request)
{
	answer_by(h, s, request, facts_answer);
}

static void serve_return(struct host *h, struct session *s,
			 const struct message *request)
{
	answer_by(h, s, request, callback_answer);
}

static void serve_pool(struct host *h, struct session *s,
		       const struct message *request)
{
	answer_by(h, s, request, pool_answer);
}

static int check_arrival(struct host *h, const struct terms *t,
			 const struct machine_description *machine,
			 struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	SCOPED(findings_done) struct findings findings = { 0 };

	if (compare_read_definition(&d, machine, e) < 0 ||
	    compare_check(&t->host, machine, NULL, &findings, e) < 0 ||
	    check_images(h, &findings, &d, e) < 0)
		return error_code(e);
	return compare_verdict(&findings, e);
}

static int ask_hooks(struct host *h, struct job *j, struct error *e)
{
	const struct hook_event before = hook_of_job(j, HOOK_BEFORE_MOVE);

	job_set_stage(j, "hooks");
	return hooks_ask(h, &before, j, e);
}

static void run_arrival(struct host *h, struct session *s,
			const struct message_move *request, struct machine *m,
			struct job *j, const struct room_need *need)
{
	AUTO_TERMS struct terms t = terms_of(h);
	struct room_claim *claim = NULL;
	struct move_peer peer = { 0 };
	struct error e = { 0 };
	bool asked, begins;
	struct copy *copy =
		copies_claim(h->copies, request->job, session_peer(s));
	int r = room_claim(h->room, &claim, j, need, &e);

	if (r == 0)
		r = check_arrival(h, &t, &request->machine, &e);
	if (r == 0 && peer_of(&t, session_peer(s), &peer, &e) < 0)
		r = -e.code;
	asked = r == 0;
	if (asked)
		r = ask_hooks(h, j, &e);
	begins = r == 0;
	if (begins) {
		AUTO_CLOSE int power = power_hold(&t.settings->power);

		store_note_elsewhere(h->settings->state_directory,
				     &(struct elsewhere_note){
					     .uuid = machine_record(m)->uuid,
					     .name = machine_record(m)->name,
					     .peer = peer.name });
		r = move_in(j, &t.host, s, request, &peer, &e);
	}
	if (r < 0)
		machine_did_not_come(h->registry, m);
	copies_drop(h->copies, copy, r == 0);
	room_release(h->room, claim);
	job_settle(j, r, &e);
	/* Now that it has ended: whoever hears it may try again at once. */
	if (!begins)
		refuse(s, &e);
	/* What no hook has heard of has not ended for any. */
	if (asked)
		hooks_tell_end(h, j);
}

/* It is held before it is asked once more whether this host is closed: a drain
 * that has begun since then finds it. */
static int expect(struct host *h, const struct definition *d, const char *job,
		  struct machine **ret, struct error *e)
{
	if (machine_expect(h->registry, d, hold_by_job(job), ret, e) < 0)
		return error_code(e);
	if (drain_check(h->drain, e) == 0)
		return 0;
	machine_did_not_come(h->registry, *ret);
	return error_code(e);
}

static void take_move(struct host *h, struct session *s,
		      const struct message *request)
{
	SCOPED(definition_done) struct definition d = { 0 };
	const char *id = request->move.job;
	struct machine *m = NULL;
	struct room_need need;
	struct error e;
	struct job *j;

	if (compare_read_definition(&d, &request->move.machine, &e) < 0 ||
	    expect(h, &d, id, &m, &e) < 0) {
		refuse(s, &e);
		return;
	}
	if (job_new(&j,
		    &(struct job_subject){ .id = id,
					   .kind = JOB_MOVE,
					   .role = ROLE_DESTINATION,
					   .machine = d.name,
					   .peer = session_peer(s) },
		    &e) < 0) {
		refuse(s, &e);
		machine_did_not_come(h->registry, m);
		return;
	}
	job_log_begin(j);
	jobs_add(h->jobs, j);
	need = room_of_arrival(&d);
	run_arrival(h, s, &request->move, m, j, &need);
	job_drop(j);
}

/* Who knows that word waits at home; of an older version, the move itself
 * waits here for a while. */
static void say_full(struct host *h, struct session *s, bool waits)
{
	const struct message m = { .type = MESSAGE_FULL };
	struct error e;

	if (waits) {
		answer(s, &m);
		return;
	}
	error_set(&e, EBUSY,
		  "as many moves come to host %s as may at once: try again "
		  "later, or raise max-moves in [move] of its drover.conf",
		  h->settings->name);
	refuse(s, &e);
}

static void serve_move(struct host *h, struct session *s,
		       const struct message *request)
{
	const struct admission_ask ask = {
		.host = session_peer(s),
		.priority = request->move.priority,
		.waits = session_peer_can(s, CAN_QUEUE),
	};
	const char *id = request->move.job;
	struct error e;

	if (text_check_name("job", id, &e) < 0 ||
	    check_job_is_new(h, id, ask.host, &e) < 0 ||
	    drain_check(h->drain, &e) < 0) {
		refuse(s, &e);
		return;
	}
	if (!waiting_admits(h->waiting, &ask, s)) {
		say_full(h, s, ask.waits);
		return;
	}
	take_move(h, s, request);
	waiting_left(h->waiting, false);
}

static void serve_offer(struct host *h, struct session *s,
			const struct message *request)
{
	struct message m = { .type = MESSAGE_TAKEN };

	(void)request;
	waiting_offered(h->waiting, session_peer(s), &m.taken.takes,
			&m.taken.more);
	answer(s, &m);
}

static void (*const purposes[MESSAGE_TYPES])(struct host *h, struct session *s,
					     const struct message *request) = {
	[MESSAGE_MOVE] = serve_move,       [MESSAGE_COMPARE] = serve_compare,
	[MESSAGE_ASK] = serve_ask,         [MESSAGE_RESOLVE] = serve_resolve,
	[MESSAGE_HOLDS] = serve_holds,     [MESSAGE_RELAY] = relay_serve,
	[MESSAGE_PLAN] = paths_serve_plan, [MESSAGE_CARRIES] = serve_carries,
	[MESSAGE_MEMBERS] = serve_members, [MESSAGE_RENEW] = serve_renew,
	[MESSAGE_OFFER] = serve_offer,     [MESSAGE_FACTS] = serve_facts,
	[MESSAGE_RETURN] = serve_return,   [MESSAGE_DISKS] = copies_serve,
	[MESSAGE_POOL] = serve_pool,
};

/* The only place where it is checked what a peer may do. */
static int check_right(struct host *h, const struct session *s,
		       const struct message *request, struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(h);
	const char *peer = session_peer(s);
	const struct peer *p = settings_peer(t.settings, peer);
	const enum message_right right = message_right(request->type);

	if (right == RIGHT_NEVER || !purposes[request->type])
		return error_set(e, EPROTO, "unknown request '%.40s'",
				 request->name);
	if (!p)
		return error_set(e, EACCES, "%s does not know host %s any more",
				 t.host.own_name, peer);
	if (right == RIGHT_OF_DOUBT)
		return 0;
	if (session_kept(s))
		return error_set(e, EBUSY,
				 "%s has too many sessions open with %s: try "
				 "again later",
				 t.host.own_name, peer);
	if (right == RIGHT_OF_PEERS)
		return 0;
	if (right == RIGHT_OF_MEMBERS)
		return rates_take(h->rates, peer, request->type, e);
	if (p->may & 1U << right)
		return 0;
	return error_set(e, EACCES,
			 "host %s may not ask host %s for '%s': add %s to "
			 "'may' in [peer %s] of the drover.conf of %s",
			 peer, t.host.own_name, message_name(request->type),
			 message_right_name(right), peer, t.host.own_name);
}

/* Or tries how they would come. */
static bool has_pages(enum message_type t)
{
	return t == MESSAGE_MOVE || t == MESSAGE_RELAY || t == MESSAGE_PLAN;
}

void arrivals_serve(struct host *h, struct session *s)
{
	AUTO_MESSAGE struct message request = { 0 };
	struct error e;
	int r = session_await(s, clock_us() + FIRST_MESSAGE_US, &request, &e);

	if (r < 0 && r != -EBADMSG) {
		log_warning("session with %s: %s", session_peer(s), e.text);
		session_free(s);
	} else if (r == -EBADMSG || check_right(h, s, &request, &e) < 0) {
		refuse(s, &e);
	} else {
		if (has_pages(request.type))
			session_admit_rdma(s);
		purposes[request.type](h, s, &request);
	}
}
