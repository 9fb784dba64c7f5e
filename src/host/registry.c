/* SPDX-License-Identifier: MIT */
#include "host/registry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/events.h"
#include "host/host_settings.h"
#include "host/jobs.h"
#include "move/journal.h"
#include "move/move.h"
#include "qemu/definition.h"

enum { ASK_AGAIN_US = 3000000 };

struct machine {
	struct machine_record record;
	char *coming; /* its definition while it comes in; else NULL */
	struct hold hold;
	char status[24];        /* what QEMU said last; empty: nothing */
	char told[EVENT_STATE]; /* the state that was, of all */
	unsigned asked;         /* in which turn */
	uint64_t ask_again_us;  /* not before */
	struct machine *next;
};

struct registry {
	const struct host_settings *settings; /* set when made, */
	struct jobs *jobs;                    /* as this */
	struct events *events;                /* likewise; may be NULL */

	pthread_mutex_t lock; /* guards what follows */
	struct machine *first;
	unsigned turn; /* of asking their QEMUs */
};

struct registry *registry_new(const struct host_settings *s, struct jobs *jobs,
			      struct events *events)
{
	struct registry *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->settings = s;
	r->jobs = jobs;
	r->events = events;
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

static void machine_free(struct machine *m)
{
	free(m->record.text);
	free(m->coming);
	free(m);
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	while (r->first) {
		struct machine *m = r->first;

		r->first = m->next;
		if (m->record.started)
			launch_forget(&m->record.process);
		machine_free(m);
	}
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* --- the list: locked */

static bool is_free(const struct machine *m)
{
	return m->hold.kind == HOLD_NONE;
}

static struct machine *find(const struct registry *r, const char *name)
{
	for (struct machine *m = r->first; m; m = m->next)
		if (!strcmp(m->record.name, name))
			return m;
	return NULL;
}

static struct machine *find_uuid(const struct registry *r, const char *uuid)
{
	for (struct machine *m = r->first; m && uuid; m = m->next)
		if (!strcmp(m->record.uuid, uuid))
			return m;
	return NULL;
}

static bool in_doubt(const struct registry *r, const struct machine *m)
{
	return m->hold.kind == HOLD_JOB &&
	       jobs_in_doubt(r->jobs, m->hold.job, m->record.name);
}

static int held(const struct registry *r, const struct machine *m,
		struct error *e)
{
	const char *id = m->hold.job;
	char by[HOLD_TEXT];

	if (in_doubt(r, m))
		return error_set(e, EBUSY,
				 "machine %s has been in doubt since job %s: "
				 "'drover job show %s' says why, and 'drover "
				 "job resolve %s' ends it",
				 m->record.name, id, id, id);
	return error_set(e, EBUSY,
			 "machine %s is held by %s: wait for it, or cancel it",
			 m->record.name, hold_text(by, &m->hold));
}

/* @uuid: NULL when there is none yet. */
static int add(struct registry *r, const char *name, const char *uuid,
	       struct hold by, struct machine **ret, struct error *e)
{
	struct machine *m = find_uuid(r, uuid);

	if (find(r, name))
		return error_set(e, EEXIST,
				 "%s has a machine called %s already: forget "
				 "it, or use another name",
				 r->settings->name, name);
	if (m)
		return error_set(e, EEXIST,
				 "%s has this machine already under the name "
				 "%s, with the uuid %s: forget that one, or "
				 "give this one another uuid",
				 r->settings->name, m->record.name, uuid);
	m = calloc(1, sizeof(*m));
	if (!m)
		return error_set(e, ENOMEM, "no memory for a machine");
	snprintf(m->record.name, sizeof(m->record.name), "%s", name);
	snprintf(m->record.uuid, sizeof(m->record.uuid), "%s",
		 uuid ? uuid : "");
	move_run_dir(m->record.run_dir, r->settings->run_directory, name);
	m->hold = by;
	m->next = r->first;
	r->first = m;
	*ret = m;
	return 0;
}

/* --- looking */

bool registry_has(struct registry *r, const char *name)
{
	WITH_LOCK(&r->lock);

	return find(r, name);
}

unsigned registry_processes(struct registry *r, int *ret_pids, unsigned cap)
{
	unsigned n = 0;

	WITH_LOCK(&r->lock);

	for (const struct machine *m = r->first; m; m = m->next, n++)
		if (n < cap)
			ret_pids[n] =
				m->record.started ? m->record.process.pid : 0;
	return n;
}

int registry_missing(const struct registry *r, const char *name,
		     struct error *e)
{
	return error_set(e, ENOENT,
			 "%s has no machine called %s: 'drover vm "
			 "list' shows those that it has",
			 r->settings->name, name);
}

static enum machine_state state_of(const struct registry *r,
				   const struct machine *m)
{
	const struct machine_record *c = &m->record;

	if (in_doubt(r, m))
		return MACHINE_IN_DOUBT;
	if (m->coming || !c->text)
		return MACHINE_INCOMING;
	if (!c->started)
		return c->lost[0] ? MACHINE_LOST : MACHINE_STOPPED;
	if (!strcmp(m->status, "io-error"))
		return MACHINE_IO_ERROR;
	return c->paused ? MACHINE_PAUSED : MACHINE_RUNNING;
}

/* Locked. */
static void view(const struct registry *r, const struct machine *m,
		 const char *default_qemu, struct machine_view *ret)
{
	const struct machine_record *c = &m->record;

	*ret = (struct machine_view){ .state = state_of(r, m),
				      .pid = c->started ? c->process.pid : 0,
				      .adopted = c->adopted };
	ret->comes = !is_free(m) && (!c->started || m->coming);
	snprintf(ret->name, sizeof(ret->name), "%s", c->name);
	snprintf(ret->uuid, sizeof(ret->uuid), "%s", c->uuid);
	snprintf(ret->job, sizeof(ret->job), "%s", m->hold.job);
	snprintf(ret->status, sizeof(ret->status), "%s", m->status);
	snprintf(ret->lost, sizeof(ret->lost), "%s", c->lost);
	snprintf(ret->run_dir, sizeof(ret->run_dir), "%s", c->run_dir);
	ret->definition = c->text ? strdup(c->text) : NULL;
	machine_view_describe(ret, m->coming ? m->coming : c->text,
			      default_qemu);
}

int registry_view(struct registry *r, const char *default_qemu,
		  struct machine_views *ret, struct error *e)
{
	size_t n = 0;

	WITH_LOCK(&r->lock);

	for (const struct machine *m = r->first; m; m = m->next)
		n++;
	*ret = (struct machine_views){
		.at = calloc(n ? n : 1, sizeof(*ret->at)), .count = n
	};
	if (!ret->at)
		return error_set(e, ENOMEM, "no memory for %zu machines", n);
	for (const struct machine *m = r->first; m; m = m->next)
		view(r, m, default_qemu, &ret->at[--n]);
	return 0;
}

int registry_view_one(struct registry *r, const char *name,
		      const char *default_qemu, struct machine_view *ret,
		      struct error *e)
{
	const struct machine *m;

	WITH_LOCK(&r->lock);

	m = find(r, name);
	if (!m)
		return registry_missing(r, name, e);
	view(r, m, default_qemu, ret);
	return 0;
}

bool registry_find_uuid(struct registry *r, const char *uuid,
			char ret_name[static STORE_NAME_CAP], bool *ret_runs)
{
	const struct machine *m;

	WITH_LOCK(&r->lock);

	m = find_uuid(r, uuid);
	if (!m)
		return false;
	snprintf(ret_name, STORE_NAME_CAP, "%s", m->record.name);
	*ret_runs = m->record.started || !is_free(m);
	return true;
}

char *registry_own_definition(struct registry *r, const char *uuid)
{
	const struct machine *m;

	WITH_LOCK(&r->lock);

	m = find_uuid(r, uuid);
	return m && m->record.own && m->record.text ? strdup(m->record.text)
						    : NULL;
}

/* In one of the QEMUs before its own. */
static bool had_before(const struct machine_record *c, const char *guest)
{
	size_t n = strlen(guest);

	for (const char *at = c->before; *at && n > 0;
	     at += strcspn(at, " "), at += strspn(at, " "))
		if (strcspn(at, " ") == n && !strncmp(at, guest, n))
			return true;
	return false;
}

bool registry_guest_lives(struct registry *r, const char *name,
			  const char *guest)
{
	char now[LAUNCH_IDENTITY_SIZE];
	const struct machine *m;

	WITH_LOCK(&r->lock);

	m = find(r, name);
	if (!m || !m->record.started || !launch_alive(&m->record.process))
		return false;
	launch_identity(now, sizeof(now), &m->record.process);
	return !strcmp(now, guest) || had_before(&m->record, guest);
}

bool registry_came_by(struct registry *r, const char *job)
{
	WITH_LOCK(&r->lock);

	for (const struct machine *m = r->first; m; m = m->next)
		if (m->record.arrived[0] && !strcmp(m->record.arrived, job))
			return true;
	return false;
}

/* Locked. */
static const struct machine *at(const struct registry *r, unsigned i)
{
	const struct machine *m = r->first;

	for (; m && i > 0; m = m->next)
		i--;
	return m;
}

bool registry_text(struct registry *r, unsigned i, struct registry_text *ret)
{
	const struct machine *m;

	*ret = (struct registry_text){ .text = NULL };

	WITH_LOCK(&r->lock);

	m = at(r, i);
	if (!m)
		return false;
	snprintf(ret->name, sizeof(ret->name), "%s", m->record.name);
	snprintf(ret->run_dir, sizeof(ret->run_dir), "%s", m->record.run_dir);
	ret->text = m->record.text ? strdup(m->record.text) : NULL;
	return true;
}

/* --- taking hold of one */

int machine_take(struct registry *r, const char *name, struct hold by,
		 struct machine **ret, struct error *e)
{
	struct machine *m;

	WITH_LOCK(&r->lock);

	m = find(r, name);
	if (!m)
		return registry_missing(r, name, e);
	if (!is_free(m))
		return held(r, m, e);
	m->hold = by;
	*ret = m;
	return 0;
}

int machine_reserve(struct registry *r, const struct definition *d,
		    struct hold by, struct machine **ret, struct error *e)
{
	WITH_LOCK(&r->lock);

	return add(r, d->name, d->uuid, by, ret, e);
}

int machine_reserve_name(struct registry *r, const char *name, struct hold by,
			 struct machine **ret, struct error *e)
{
	if (text_check_name("machine", name, e) < 0)
		return error_code(e);

	WITH_LOCK(&r->lock);

	return add(r, name, NULL, by, ret, e);
}

/* Locked.  May an entry give way to a machine that comes? */
static int may_replace(const struct registry *r, const struct machine *m,
		       const struct definition *d, struct error *e)
{
	char by[HOLD_TEXT];

	if (!d->uuid || strcmp(m->record.uuid, d->uuid) != 0)
		return error_set(e, EEXIST,
				 "%s has a machine called %s already, another "
				 "one, its uuid is %s: forget it there, or "
				 "define this one under another name",
				 r->settings->name, m->record.name,
				 m->record.uuid[0] ? m->record.uuid
						   : "not known yet");
	if (!is_free(m))
		return error_set(e, EBUSY,
				 "machine %s is held on %s by %s: wait for it, "
				 "or cancel it",
				 m->record.name, r->settings->name,
				 hold_text(by, &m->hold));
	if (m->record.started)
		return error_set(e, EEXIST,
				 "%s has a machine called %s already, and runs "
				 "it: the same machine runs on two hosts, end "
				 "one of them",
				 r->settings->name, m->record.name);
	return 0;
}

int machine_expect(struct registry *r, const struct definition *d,
		   struct hold by, struct machine **ret, struct error *e)
{
	AUTO_FREE char *text = definition_text(d);
	struct machine *m;
	int got;

	if (!text)
		return error_set(e, ENOMEM, "no memory for a definition");
	if (text_check_name("machine", d->name, e) < 0)
		return error_code(e);

	WITH_LOCK(&r->lock);

	m = find(r, d->name);
	got = m ? may_replace(r, m, d, e) : add(r, d->name, d->uuid, by, &m, e);
	if (got < 0)
		return got;
	m->hold = by;
	m->coming = take_ptr(&text);
	*ret = m;
	return 0;
}

int registry_welcomes(struct registry *r, const struct definition *d,
		      struct error *e)
{
	const struct machine *m;

	WITH_LOCK(&r->lock);

	m = find(r, d->name);
	if (m)
		return may_replace(r, m, d, e);
	m = find_uuid(r, d->uuid);
	return !m ? 0
		  : error_set(e, EEXIST,
			      "%s has this machine already under the name %s, "
			      "with the uuid %s: forget that one there",
			      r->settings->name, m->record.name,
			      m->record.uuid);
}

struct machine *machine_held(struct registry *r, const char *name)
{
	WITH_LOCK(&r->lock);

	return find(r, name);
}

/* --- for who holds it */

const struct machine_record *machine_record(const struct machine *m)
{
	return &m->record;
}

void machine_view_of(struct registry *r, const struct machine *m,
		     const char *default_qemu, struct machine_view *ret)
{
	WITH_LOCK(&r->lock);

	view(r, m, default_qemu, ret);
}

int machine_set_definition(struct registry *r, struct machine *m,
			   struct definition *d, struct error *e)
{
	char uuid[UUID_CAP], *text;

	if (!d->uuid) {
		if (m->record.uuid[0])
			snprintf(uuid, sizeof(uuid), "%s", m->record.uuid);
		else
			uuid_make(uuid);
		d->uuid = strdup(uuid);
		nics_settle(&d->nics, uuid);
	}
	text = d->uuid ? definition_text(d) : NULL;
	if (!text)
		return error_set(e, ENOMEM, "no memory for a definition");

	WITH_LOCK(&r->lock);

	free(m->record.text);
	m->record.text = text;
	snprintf(m->record.uuid, sizeof(m->record.uuid), "%s", d->uuid);
	return 0;
}

void machine_set_text(struct registry *r, struct machine *m, const char *text)
{
	WITH_LOCK(&r->lock);

	free(m->record.text);
	m->record.text = strdup(text);
}

int machine_claim_process(struct registry *r, struct machine *m,
			  const struct qemu_process *p, struct error *e)
{
	char own[PATH_MAX + 16];

	WITH_LOCK(&r->lock);

	for (const struct machine *o = r->first; o; o = o->next) {
		const struct qemu_process *has = &o->record.process;

		snprintf(own, sizeof(own), "%s/qmp.sock", o->record.run_dir);
		if (o != m &&
		    ((has->pid == p->pid && has->start_time == p->start_time) ||
		     (!is_free(o) && !strcmp(own, p->qmp_path))))
			return error_set(e, EEXIST,
					 "process %d is machine %s already",
					 (int)p->pid, o->record.name);
	}
	m->record.process.pid = p->pid;
	m->record.process.start_time = p->start_time;
	return 0;
}

void machine_set_adopted(struct registry *r, struct machine *m)
{
	WITH_LOCK(&r->lock);

	m->record.adopted = true;
}

void machine_set_own(struct registry *r, struct machine *m, bool own)
{
	WITH_LOCK(&r->lock);

	m->record.own = own;
}

void machine_set_arrived(struct registry *r, struct machine *m, const char *job,
			 const char *from)
{
	WITH_LOCK(&r->lock);

	snprintf(m->record.arrived, sizeof(m->record.arrived), "%s", job);
	snprintf(m->record.from, sizeof(m->record.from), "%s", from);
}

/* Locked.  That of one that was updated is beside its own: docs/update.md. */
static void note_folder(const struct registry *r, struct machine_record *c,
			const char *qmp_path)
{
	char path[PATH_MAX + 16], beside[PATH_MAX];

	move_run_dir(c->run_dir, r->settings->run_directory, c->name);
	launch_beside(beside, c->run_dir);
	snprintf(path, sizeof(path), "%s/qmp.sock", beside);
	if (!strcmp(path, qmp_path))
		snprintf(c->run_dir, sizeof(c->run_dir), "%s", beside);
}

void machine_set_folder(struct registry *r, struct machine *m,
			const char *qmp_path)
{
	WITH_LOCK(&r->lock);

	note_folder(r, &m->record, qmp_path);
}

static bool is_same(const struct qemu_process *a, const struct qemu_process *b)
{
	return a->pid == b->pid && a->start_time == b->start_time;
}

/* Locked. */
static void set_running(struct registry *r, struct machine *m,
			const struct qemu_process *p, bool paused)
{
	const struct qemu_process now = *p; /* may be the machine's own */

	note_folder(r, &m->record, now.qmp_path);
	m->record.process = now;
	m->record.started = true;
	m->record.paused = paused;
	m->status[0] = m->record.lost[0] = '\0';
}

void machine_set_running(struct registry *r, struct machine *m,
			 const struct qemu_process *p, bool paused)
{
	WITH_LOCK(&r->lock);

	if (!is_same(&m->record.process, p))
		m->record.before[0] = '\0';
	set_running(r, m, p, paused);
}

/* One that is too long loses its last ones, of which half is no one's. */
void machine_set_updated(struct registry *r, struct machine *m,
			 const struct qemu_process *p, bool paused)
{
	struct machine_record *c = &m->record;
	char was[LAUNCH_IDENTITY_SIZE], all[2 * STORE_BEFORE_CAP];

	WITH_LOCK(&r->lock);

	if (c->process.pid > 0 && !is_same(&c->process, p)) {
		launch_identity(was, sizeof(was), &c->process);
		snprintf(all, sizeof(all), "%s %s", was, c->before);
		snprintf(c->before, sizeof(c->before), "%.*s",
			 STORE_BEFORE_CAP - 1, all);
	}
	set_running(r, m, p, paused);
}

void machine_set_before(struct registry *r, struct machine *m,
			const char *before)
{
	WITH_LOCK(&r->lock);

	snprintf(m->record.before, sizeof(m->record.before), "%s", before);
}

void machine_set_stopped(struct registry *r, struct machine *m,
			 const char *lost)
{
	WITH_LOCK(&r->lock);

	m->record.started = m->record.paused = false;
	m->record.process.pidfd = -1;
	m->status[0] = '\0';
	snprintf(m->record.lost, sizeof(m->record.lost), "%s", lost);
}

int machine_save(struct registry *r, const struct machine *m, struct error *e)
{
	const struct machine_record *c = &m->record;
	struct machine_file f = { .started = c->started,
				  .paused = c->paused,
				  .adopted = c->adopted,
				  .own = c->own };

	if (c->started) {
		f.pid = c->process.pid;
		f.start_time = c->process.start_time;
		snprintf(f.qmp, sizeof(f.qmp), "%s", c->process.qmp_path);
	}
	snprintf(f.arrived, sizeof(f.arrived), "%s", c->arrived);
	snprintf(f.from, sizeof(f.from), "%s", c->from);
	snprintf(f.lost, sizeof(f.lost), "%s", c->lost);
	snprintf(f.before, sizeof(f.before), "%s", c->before);
	return store_save(r->settings->state_directory, c->name, c->text, &f,
			  e);
}

void machine_release(struct registry *r, struct machine *m)
{
	WITH_LOCK(&r->lock);

	free(m->coming);
	m->coming = NULL;
	m->hold = (struct hold){ .kind = HOLD_NONE };
	events_tell_machine(r->events, m->record.name, m->told,
			    machine_state_names[state_of(r, m)]);
}

void machine_did_not_come(struct registry *r, struct machine *m)
{
	if (m->record.text)
		machine_release(r, m);
	else
		machine_remove(r, m);
}

int machine_erase(struct registry *r, const struct machine *m, struct error *e)
{
	const char *state_directory = r->settings->state_directory;
	const struct machine_record *c = &m->record;

	/* Of its arrival nothing has to be finished any more. */
	if (c->arrived[0] && journal_remove(state_directory, c->arrived,
					    ROLE_DESTINATION, e) < 0)
		return error_code(e);
	return store_erase(state_directory, c->name, e);
}

void machine_unlist(struct registry *r, struct machine *m)
{
	{
		WITH_LOCK(&r->lock);

		events_tell_machine(r->events, m->record.name, m->told, "gone");
		for (struct machine **p = &r->first; *p; p = &(*p)->next) {
			if (*p == m) {
				*p = m->next;
				break;
			}
		}
	}
	machine_free(m);
}

void machine_remove(struct registry *r, struct machine *m)
{
	struct error e;

	if (machine_erase(r, m, &e) < 0)
		log_error("%s", e.text);
	machine_unlist(r, m);
}

/* --- asking */

unsigned registry_begin_turn(struct registry *r)
{
	WITH_LOCK(&r->lock);

	return ++r->turn;
}

bool registry_next_question(struct registry *r, const char *name, unsigned turn,
			    struct question *ret)
{
	WITH_LOCK(&r->lock);

	for (struct machine *m = r->first; m; m = m->next) {
		const struct machine_record *c = &m->record;

		if (!c->started || !is_free(m) || m->asked == turn ||
		    (name && strcmp(c->name, name) != 0) ||
		    clock_us() < m->ask_again_us)
			continue;
		m->asked = turn;
		snprintf(ret->name, sizeof(ret->name), "%s", c->name);
		snprintf(ret->path, sizeof(ret->path), "%s",
			 c->process.qmp_path);
		ret->pid = c->process.pid;
		return true;
	}
	return false;
}

void registry_note_answer(struct registry *r, const struct question *of,
			  const char *status, bool running)
{
	struct machine *m;

	WITH_LOCK(&r->lock);

	m = find(r, of->name);
	if (!m || !m->record.started || !is_free(m) ||
	    m->record.process.pid != of->pid)
		return;
	snprintf(m->status, sizeof(m->status), "%s", status ? status : "");
	if (status)
		m->record.paused = !running;
	else
		m->ask_again_us = clock_us() + ASK_AGAIN_US;
}

/* --- QEMUs that end */

nfds_t registry_poll(struct registry *r, struct pollfd *p, nfds_t n,
		     nfds_t most)
{
	WITH_LOCK(&r->lock);

	for (const struct machine *m = r->first; m && n < most; m = m->next)
		if (m->record.started && is_free(m))
			p[n++] = (struct pollfd){ .fd = m->record.process.pidfd,
						  .events = POLLIN };
	return n;
}

struct machine *machine_take_ended(struct registry *r)
{
	WITH_LOCK(&r->lock);

	for (struct machine *m = r->first; m; m = m->next) {
		if (!m->record.started || !is_free(m) ||
		    launch_alive(&m->record.process))
			continue;
		m->hold.kind = HOLD_END;
		return m;
	}
	return NULL;
}
