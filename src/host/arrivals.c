/* SPDX-License-Identifier: MIT */
#include "host/arrivals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/carries.h"
#include "host/elsewhere.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/paths.h"
#include "host/registry.h"
#include "host/relays.h"
#include "host/room.h"
#include "host/terms.h"
#include "move/commit.h"
#include "move/journal.h"
#include "session/session.h"

enum { FIRST_MESSAGE_US = 10000000, LINGER_US = 2000000 };

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

/* The last answer has to arrive before the session ends. */
static void answer(struct session *s, json_t *message)
{
	struct error e;
	json_t *ignored;

	if (session_send(s, message, &e) == 0 &&
	    session_await(s, clock_us() + LINGER_US, &ignored, &e) > 0)
		json_decref(ignored);
	session_free(s);
}

static void refuse(struct session *s, const struct error *why)
{
	log_warning("request of %s: %s", session_peer(s), why->text);
	answer(s,
	       json_pack("{s:s,s:s,s:s}", "type", "failed", "error", why->text,
			 "kind", error_kind_name(error_kind(why))));
}

static void serve_compare(struct host *h, struct session *s,
			  const json_t *request)
{
	SCOPED(definition_done) struct definition d = { 0 };
	AUTO_TERMS struct terms t = terms_of(h);
	const json_t *machine = json_object_get(request, "machine");
	struct error e, why = { 0 };
	struct room_need need;
	json_t *findings;

	if (compare_read_definition(&d, machine, &e) < 0) {
		refuse(s, &e);
		return;
	}
	registry_welcomes(h->registry, &d, &why);
	if (compare_check(&t.host, machine, why.code ? why.text : NULL,
			  &findings, &e) < 0) {
		refuse(s, &e);
		return;
	}
	need = room_of_arrival(&d);
	if (room_check(h->room, &need, &why) < 0)
		compare_finding(findings, "error", "%s", why.text);
	answer(s, json_pack("{s:s,s:o}", "type", "findings", "findings",
			    findings));
}

/* Files are named by it, and it is compared as a whole. */
static int read_job_id(const char **ret, const json_t *request, struct error *e)
{
	const char *id = text_of(request, "job");

	if (text_check_name("job", id, e) < 0)
		return error_code(e);
	if (strlen(id) >= JOB_ID_SIZE)
		return error_set(e, EINVAL,
				 "'%.80s' is not a name for a job: use at most "
				 "%d characters",
				 id, JOB_ID_SIZE - 1);
	*ret = id;
	return 0;
}

/* A second move of that name would write over the first one's entry. */
static int check_job_is_new(struct host *h, const char *id, struct error *e)
{
	struct job *j = jobs_find(h->jobs, id, "destination");
	json_t *entry = NULL;
	struct error ignored;
	int r = journal_find(h->settings->state_directory, id, "destination",
			     &entry, &ignored);

	json_decref(entry);
	if (!j && r == -ENOENT)
		return 0;
	job_drop(j);
	return error_set(e, EEXIST, "%s has had a job %s already",
			 h->settings->name, id);
}

/* Of a move with somebody else nobody hears anything. */
static void answer_or_refuse(struct session *s, const char *id, json_t *words)
{
	struct error e;

	if (words) {
		answer(s, words);
		return;
	}
	error_set(&e, EACCES, "job %.16s is not a move with %s", id,
		  session_peer(s));
	refuse(s, &e);
}

static void serve_ask(struct host *h, struct session *s, const json_t *request)
{
	struct error e;
	const char *id;
	struct job *j;

	if (read_job_id(&id, request, &e) < 0) {
		refuse(s, &e);
		return;
	}
	j = jobs_find(h->jobs, id, "source");
	answer_or_refuse(s, id,
			 commit_answer_ask(&h->move, session_peer(s), request,
					   j));
	job_drop(j);
}

static void serve_resolve(struct host *h, struct session *s,
			  const json_t *request)
{
	struct error e = { 0 };
	const char *id;
	struct job *j;

	if (strcmp(text_of(request, "decision"), "commit") != 0)
		error_set(&e, EPROTO, "unknown decision '%.40s'",
			  text_of(request, "decision"));
	if (e.code || read_job_id(&id, request, &e) < 0) {
		refuse(s, &e);
		return;
	}
	j = jobs_find(h->jobs, id, "destination");
	answer_or_refuse(s, id,
			 commit_answer_resolve(&h->move, session_peer(s),
					       request, j));
	job_drop(j);
}

static void serve_holds(struct host *h, struct session *s,
			const json_t *request)
{
	answer(s, elsewhere_answer(h, session_peer(s), request));
}

static void serve_carries(struct host *h, struct session *s,
			  const json_t *request)
{
	answer(s, carries_answer(h, session_peer(s), request));
}

static int check_arrival(const struct move_host *h, const json_t *request,
			 struct error *e)
{
	json_t *findings;
	int r = compare_check(h, json_object_get(request, "machine"), NULL,
			      &findings, e);

	if (r < 0)
		return r;
	r = compare_verdict(findings, e);
	json_decref(findings);
	return r;
}

static void run_arrival(struct host *h, struct session *s,
			const json_t *request, struct machine *m, struct job *j,
			const struct room_need *need)
{
	AUTO_TERMS struct terms t = terms_of(h);
	struct room_claim *claim = NULL;
	struct move_peer peer = { 0 };
	struct error e = { 0 };
	int r = room_claim(h->room, &claim, j, need, &e);

	if (r == 0)
		r = check_arrival(&t.host, request, &e);
	if (r == 0 && peer_of(t.settings, session_peer(s), &peer, &e) < 0)
		r = -e.code;
	if (r < 0) {
		refuse(s, &e);
		machine_did_not_come(h->registry, m);
	} else {
		store_note_elsewhere(h->settings->state_directory,
				     machine_record(m)->uuid,
				     machine_record(m)->name, peer.name);
		r = move_in(j, &t.host, s, request, &peer, &e);
		if (r < 0)
			machine_did_not_come(h->registry, m);
	}
	room_release(h->room, claim);
	job_settle(j, r, &e);
}

static void serve_move(struct host *h, struct session *s, const json_t *request)
{
	SCOPED(definition_done) struct definition d = { 0 };
	const char *id = "";
	struct machine *m = NULL;
	struct room_need need;
	struct error e;
	struct job *j;

	if (read_job_id(&id, request, &e) < 0 ||
	    check_job_is_new(h, id, &e) < 0) {
		refuse(s, &e);
		return;
	}
	if (compare_read_definition(&d, json_object_get(request, "machine"),
				    &e) < 0 ||
	    machine_expect(h->registry, &d, hold_by_job(id), &m, &e) < 0) {
		refuse(s, &e);
		return;
	}
	if (job_new(&j,
		    &(struct job_subject){ .id = id,
					   .kind = "move",
					   .role = "destination",
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
	run_arrival(h, s, request, m, j, &need);
	job_drop(j);
}

static const struct {
	const char *type;
	void (*serve)(struct host *h, struct session *s, const json_t *request);
} purposes[] = {
	{ "move", serve_move },       { "compare", serve_compare },
	{ "ask", serve_ask },         { "resolve", serve_resolve },
	{ "holds", serve_holds },     { "relay", relay_serve },
	{ "plan", paths_serve_plan }, { "carries", serve_carries },
};

void arrivals_serve(struct host *h, struct session *s)
{
	json_t *request;
	const char *type;
	struct error e;

	if (session_await(s, clock_us() + FIRST_MESSAGE_US, &request, &e) < 0) {
		log_warning("session with %s: %s", session_peer(s), e.text);
		session_free(s);
		return;
	}
	type = text_of(request, "type");
	for (size_t i = 0; i < ARRAY_SIZE(purposes); i++) {
		if (!strcmp(purposes[i].type, type)) {
			purposes[i].serve(h, s, request);
			json_decref(request);
			return;
		}
	}
	error_set(&e, EPROTO, "unknown request '%.40s'", type);
	refuse(s, &e);
	json_decref(request);
}
