/* SPDX-License-Identifier: MIT */

/*
 * The books.  A machine is two files in STATE/machines: NAME.machine, its
 * definition, and NAME.json, what has to be known to find its QEMU again.
 *
 * A machine is here while NAME.machine is: that file is written last and
 * removed first, so one without NAME.json, which would be taken for stopped,
 * never is.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/internal.h"
#include "move/journal.h"
#include "move/monitor.h"
#include "qemu/adopt.h"
#include "qemu/qmp.h"

enum {
	MONITOR_US = 5000000,
	END_US = 10000000,
	WATCH_MAX = 1024,
	WATCH_TURN_MS = 1000, /* a machine that was started meanwhile */
};

static void folder_of(char *buf, size_t cap, const struct host *h)
{
	snprintf(buf, cap, "%s/machines", h->settings->state_directory);
}

static void run_dir_of(char *buf, size_t cap, const struct host *h,
		       const char *name)
{
	snprintf(buf, cap, "%s/machines/%s", h->settings->run_directory, name);
}

/* --- the list */

struct machine *machine_find(struct host *h, const char *name)
{
	for (struct machine *m = h->machines; m; m = m->next)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

int machine_missing(const struct host *h, const char *name, struct error *e)
{
	return error_set(e, ENOENT,
			 "%s has no machine called %s: 'drover vm list' shows "
			 "those that it has",
			 h->settings->name, name);
}

/* Locked. */
bool machine_in_doubt(const struct host *h, const struct machine *m)
{
	const char *id = m->busy + strlen("job ");

	if (strncmp(m->busy, "job ", strlen("job ")) != 0)
		return false;
	for (struct job *j = h->jobs; j; j = j->next)
		if (!strcmp(j->id, id) && !strcmp(j->machine, m->name) &&
		    job_state(j) == JOB_IN_DOUBT)
			return true;
	return false;
}

static int held(const struct host *h, const struct machine *m, struct error *e)
{
	const char *id = m->busy + strlen("job ");

	if (machine_in_doubt(h, m))
		return error_set(e, EBUSY,
				 "machine %s has been in doubt since job %s: "
				 "'drover job show %s' says why, and 'drover "
				 "job resolve %s' ends it",
				 m->name, id, id, id);
	return error_set(e, EBUSY,
			 "machine %s is held by %s: wait for it, or cancel it",
			 m->name, m->busy);
}

int machine_take(struct host *h, const char *name, const char *what,
		 struct machine **ret, struct error *e)
{
	struct machine *m;

	WITH_LOCK(&h->lock);

	m = machine_find(h, name);
	if (!m)
		return machine_missing(h, name, e);
	if (m->busy[0])
		return held(h, m, e);
	snprintf(m->busy, sizeof(m->busy), "%s", what);
	*ret = m;
	return 0;
}

static struct machine *find_uuid(struct host *h, const char *uuid)
{
	for (struct machine *m = h->machines; m && uuid; m = m->next)
		if (!strcmp(m->uuid, uuid))
			return m;
	return NULL;
}

/* Locked.  @uuid: NULL when there is none yet. */
static int add(struct host *h, const char *name, const char *uuid,
	       const char *what, struct machine **ret, struct error *e)
{
	struct machine *m = find_uuid(h, uuid);

	if (machine_find(h, name))
		return error_set(e, EEXIST,
				 "%s has a machine called %s already: forget "
				 "it, or use another name",
				 h->settings->name, name);
	if (m)
		return error_set(e, EEXIST,
				 "%s has this machine already under the name "
				 "%s, with the uuid %s: forget that one, or "
				 "give this one another uuid",
				 h->settings->name, m->name, uuid);
	m = calloc(1, sizeof(*m));
	if (!m)
		return error_set(e, ENOMEM, "no memory for a machine");
	snprintf(m->name, sizeof(m->name), "%s", name);
	snprintf(m->uuid, sizeof(m->uuid), "%s", uuid ? uuid : "");
	snprintf(m->busy, sizeof(m->busy), "%s", what);
	run_dir_of(m->run_dir, sizeof(m->run_dir), h, name);
	m->next = h->machines;
	h->machines = m;
	*ret = m;
	return 0;
}

int machine_reserve(struct host *h, const char *name, const char *what,
		    struct machine **ret, struct error *e)
{
	if (text_check_name("machine", name, e) < 0)
		return error_code(e);

	WITH_LOCK(&h->lock);

	return add(h, name, NULL, what, ret, e);
}

int machine_reserve_for(struct host *h, const struct definition *d,
			const char *what, struct machine **ret, struct error *e)
{
	WITH_LOCK(&h->lock);

	return add(h, d->name, d->uuid, what, ret, e);
}

/* Locked.  May an entry give way to a machine that comes? */
static int may_replace(const struct host *h, const struct machine *m,
		       const struct definition *d, struct error *e)
{
	if (!d->uuid || strcmp(m->uuid, d->uuid) != 0)
		return error_set(e, EEXIST,
				 "%s has a machine called %s already, another "
				 "one, its uuid is %s: forget it there, or "
				 "define this one under another name",
				 h->settings->name, m->name,
				 m->uuid[0] ? m->uuid : "not known yet");
	if (m->busy[0])
		return error_set(e, EBUSY,
				 "machine %s is held on %s by %s: wait for it, "
				 "or cancel it",
				 m->name, h->settings->name, m->busy);
	if (m->started)
		return error_set(e, EEXIST,
				 "%s has a machine called %s already, and runs "
				 "it: the same machine runs on two hosts, end "
				 "one of them",
				 h->settings->name, m->name);
	return 0;
}

int machine_expect(struct host *h, const struct definition *d, const char *what,
		   struct machine **ret, struct error *e)
{
	AUTO_FREE char *text = definition_text(d);
	struct machine *m;
	int r;

	if (!text)
		return error_set(e, ENOMEM, "no memory for a definition");
	if (text_check_name("machine", d->name, e) < 0)
		return error_code(e);

	WITH_LOCK(&h->lock);

	m = machine_find(h, d->name);
	r = m ? may_replace(h, m, d, e) : add(h, d->name, d->uuid, what, &m, e);
	if (r < 0)
		return r;
	snprintf(m->busy, sizeof(m->busy), "%s", what);
	m->coming = take_ptr(&text);
	*ret = m;
	return 0;
}

int machine_welcome(struct host *h, const struct definition *d, struct error *e)
{
	const struct machine *m;

	WITH_LOCK(&h->lock);

	m = machine_find(h, d->name);
	if (m)
		return may_replace(h, m, d, e);
	m = find_uuid(h, d->uuid);
	return !m ? 0
		  : error_set(e, EEXIST,
			      "%s has this machine already under the name %s, "
			      "with the uuid %s: forget that one there",
			      h->settings->name, m->name, m->uuid);
}

void machine_did_not_come(struct host *h, struct machine *m)
{
	if (m->text)
		machine_release(h, m);
	else
		machine_remove(h, m);
}

int machine_set_definition(struct host *h, struct machine *m,
			   struct definition *d, struct error *e)
{
	char uuid[UUID_CAP], *text;

	if (!d->uuid) {
		if (m->uuid[0])
			snprintf(uuid, sizeof(uuid), "%s", m->uuid);
		else
			uuid_make(uuid);
		d->uuid = strdup(uuid);
	}
	text = d->uuid ? definition_text(d) : NULL;
	if (!text)
		return error_set(e, ENOMEM, "no memory for a definition");

	WITH_LOCK(&h->lock);

	free(m->text);
	m->text = text;
	snprintf(m->uuid, sizeof(m->uuid), "%s", d->uuid);
	return 0;
}

void machine_release(struct host *h, struct machine *m)
{
	WITH_LOCK(&h->lock);

	free(m->coming);
	m->coming = NULL;
	m->busy[0] = '\0';
	pthread_cond_broadcast(&h->changed);
}

/* On disk when it returns; one that was never saved is all right. */
int machine_erase(const struct host *h, const struct machine *m,
		  struct error *e)
{
	char folder[PATH_MAX], path[PATH_MAX + 80];

	/* Of its arrival nothing has to be finished any more. */
	if (m->arrived[0] && journal_remove(h->settings->state_directory,
					    m->arrived, "destination", e) < 0)
		return error_code(e);
	folder_of(folder, sizeof(folder), h);
	snprintf(path, sizeof(path), "%s/%s.machine", folder, m->name);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove %s", path);
	fault_point("books:half-removed");
	snprintf(path, sizeof(path), "%s/%s.json", folder, m->name);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove %s", path);
	if (folder_sync(folder, e) < 0 && e->code != ENOENT)
		return error_in(e, "machine %s", m->name);
	return 0;
}

void machine_unlist(struct host *h, struct machine *m)
{
	{
		WITH_LOCK(&h->lock);

		for (struct machine **p = &h->machines; *p; p = &(*p)->next) {
			if (*p == m) {
				*p = m->next;
				break;
			}
		}
	}
	free(m->text);
	free(m->coming);
	free(m);
}

void machine_remove(struct host *h, struct machine *m)
{
	struct error e;

	if (machine_erase(h, m, &e) < 0)
		log_error("%s", e.text);
	machine_unlist(h, m);
}

/* --- on disk */

int machine_save(struct host *h, const struct machine *m, struct error *e)
{
	char folder[PATH_MAX], name[80];
	AUTO_FREE char *text = NULL;
	json_t *state =
		json_pack("{s:b,s:b,s:b,s:i,s:I,s:s,s:s,s:s}", "started",
			  m->started, "paused", m->paused, "adopted",
			  m->adopted, "pid",
			  m->started ? (int)m->process.pid : 0, "start_time",
			  (json_int_t)(m->started ? m->process.start_time : 0),
			  "qmp", m->started ? m->process.qmp_path : "",
			  "arrived", m->arrived, "lost", m->lost);

	text = json_dumps(state, JSON_INDENT(2));
	json_decref(state);
	if (!text)
		return error_set(e, ENOMEM, "no memory");
	folder_of(folder, sizeof(folder), h);
	snprintf(name, sizeof(name), "%s.json", m->name);
	if (file_save(folder, name, text, 0600, e) < 0)
		return error_in(e, "machine %s", m->name);
	fault_point("books:half-saved");
	snprintf(name, sizeof(name), "%s.machine", m->name);
	if (file_save(folder, name, m->text, 0600, e) < 0)
		return error_in(e, "machine %s", m->name);
	return 0;
}

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	size_t cap = 0;

	if (f && getdelim(&text, &cap, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	if (f)
		fclose(f);
	return text;
}

static void find_process(struct machine *m, const json_t *state)
{
	const char *qmp = json_string_value(json_object_get(state, "qmp"));
	const char *lost = json_string_value(json_object_get(state, "lost"));
	struct error e;

	snprintf(m->lost, sizeof(m->lost), "%s", lost ? lost : "");
	if (!json_is_true(json_object_get(state, "started")))
		return;
	if (launch_attach(&m->process,
			  (pid_t)json_integer_value(
				  json_object_get(state, "pid")),
			  (uint64_t)json_integer_value(
				  json_object_get(state, "start_time")),
			  m->run_dir, &e) < 0) {
		machine_note_end(m, NULL, qmp);
		if (!m->adopted && access(m->run_dir, F_OK) < 0)
			snprintf(m->lost, sizeof(m->lost),
				 "its QEMU ended with this host");
		return;
	}
	m->started = true;
	m->paused = json_is_true(json_object_get(state, "paused"));
	if (qmp && qmp[0])
		snprintf(m->process.qmp_path, sizeof(m->process.qmp_path), "%s",
			 qmp);
}

/* Those of before have no uuid yet. */
static void know_uuid(struct host *h, struct machine *m)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct error e;
	bool fresh;

	if (definition_parse(&d, m->name, m->text, &e) < 0) {
		log_error("machine %s: %s", m->name, e.text);
		return;
	}
	fresh = !d.uuid;
	if (machine_set_definition(h, m, &d, &e) < 0 ||
	    (fresh && machine_save(h, m, &e) < 0))
		log_error("machine %s: %s", m->name, e.text);
	else if (fresh)
		log_warning("machine %s had no uuid: from now on it is %s",
			    m->name, m->uuid);
}

static int load_one(struct host *h, const char *folder, const char *name,
		    struct error *e)
{
	char path[PATH_MAX + 80];
	const char *arrived;
	struct machine *m;
	json_error_t where;
	json_t *state;

	if (machine_reserve(h, name, "", &m, e) < 0)
		return error_code(e);
	snprintf(path, sizeof(path), "%s/%s.machine", folder, name);
	m->text = read_text(path);
	if (!m->text)
		return error_set(e, EIO, "cannot read %s", path);
	snprintf(path, sizeof(path), "%s/%s.json", folder, name);
	state = json_load_file(path, 0, &where);
	m->adopted = json_is_true(json_object_get(state, "adopted"));
	arrived = json_string_value(json_object_get(state, "arrived"));
	snprintf(m->arrived, sizeof(m->arrived), "%s", arrived ? arrived : "");
	find_process(m, state);
	json_decref(state);
	know_uuid(h, m);
	return 0;
}

/* Its daemon was killed while it started the QEMU, which may take a minute. */
static void take_up(struct host *h, struct machine *m)
{
	struct error e;

	if (launch_find(&m->process, m->run_dir, &e) < 0) {
		if (e.code != ESRCH)
			log_warning("machine %s: %s", m->name, e.text);
		return;
	}
	m->started = true;
	log_warning("machine %s: not in the books as running, but QEMU runs in "
		    "%s, process %d: taken up",
		    m->name, m->run_dir, (int)m->process.pid);
	if (machine_save(h, m, &e) < 0)
		log_error("%s", e.text);
}

/* Its QEMU, where there is one, waits for a move, which is taken up later. */
static bool was_coming(const json_t *moves, const char *name)
{
	const char *machine, *role;
	json_t *entry;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)moves, i, entry) {
		machine = json_string_value(json_object_get(entry, "machine"));
		role = json_string_value(json_object_get(entry, "role"));
		if (machine && role && !strcmp(machine, name) &&
		    !strcmp(role, "destination"))
			return true;
	}
	return false;
}

int machines_load(struct host *h, struct error *e)
{
	static const char suffix[] = ".machine";
	char folder[PATH_MAX], name[64];
	AUTO_CLOSEDIR DIR *d = NULL;
	struct dirent *f;
	json_t *moves;

	folder_of(folder, sizeof(folder), h);
	d = opendir(folder);
	while (d && (f = readdir(d))) {
		size_t len = strlen(f->d_name);

		if (len <= strlen(suffix) || len >= sizeof(name) ||
		    f->d_name[0] == '.' ||
		    strcmp(f->d_name + len - strlen(suffix), suffix) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s",
			 (int)(len - strlen(suffix)), f->d_name);
		if (load_one(h, folder, name, e) < 0)
			return error_code(e);
	}
	if (journal_read(h->settings->state_directory, &moves, e) < 0)
		return error_code(e);
	for (struct machine *m = h->machines; m; m = m->next)
		if (!m->started && !was_coming(moves, m->name))
			take_up(h, m);
	json_decref(moves);
	return 0;
}

/* --- as they run */

void machine_set_running(struct host *h, struct machine *m,
			 const struct qemu_process *p, bool paused)
{
	WITH_LOCK(&h->lock);

	m->process = *p;
	m->started = true;
	m->paused = paused;
	m->status[0] = m->lost[0] = '\0';
}

void machine_set_stopped(struct host *h, struct machine *m)
{
	WITH_LOCK(&h->lock);

	m->started = m->paused = false;
	m->status[0] = m->lost[0] = '\0';
}

/* --- moves */

static void note_definition(struct host *h, struct machine *m, const char *text)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct error e;

	if (definition_parse(&d, m->name, text, &e) == 0 &&
	    machine_set_definition(h, m, &d, &e) == 0)
		return;
	/* QEMU was started from it. */
	log_error("machine %s: %s", m->name, e.text);

	WITH_LOCK(&h->lock);

	free(m->text);
	m->text = strdup(text);
}

int machine_arrived(void *host, struct move_arrival *a)
{
	struct host *h = host;
	struct machine *m;
	struct error e;
	bool again;
	int r;

	{
		WITH_LOCK(&h->lock);

		m = machine_find(h, a->name);
	}
	if (!m && machine_reserve(h, a->name, "arriving", &m, &e) < 0) {
		log_error("machine %s: %s", a->name, e.text);
		return error_code(&e);
	}
	assert(m);
	note_definition(h, m, a->definition);
	{
		WITH_LOCK(&h->lock);

		snprintf(m->arrived, sizeof(m->arrived), "%s", a->job);
		/* It has ended, and was started again: that one lives. */
		again = a->ended && m->started && launch_alive(&m->process);
		/* In the books of a daemon that died here. */
		if (m->started && !again &&
		    m->process.pidfd != a->process.pidfd)
			launch_forget(&m->process);
	}
	if (a->ended && !again)
		machine_set_stopped(h, m);
	else if (!a->ended)
		machine_set_running(h, m, &a->process, a->paused);
	r = machine_save(h, m, &e);
	if (r < 0)
		log_error("%s", e.text);
	else
		elsewhere_forget(h, m->uuid);
	return r;
}

void machine_settled(void *host, const char *name)
{
	struct host *h = host;
	struct machine *m;

	{
		WITH_LOCK(&h->lock);

		m = machine_find(h, name);
	}
	assert(m);
	machine_release(h, m);
}

int machine_left(void *host, const char *name, const char *peer)
{
	struct host *h = host;
	struct machine *m;
	struct error e;
	int r;

	{
		WITH_LOCK(&h->lock);

		m = machine_find(h, name);
	}
	/* The move holds it. */
	assert(m);
	launch_clean(m->run_dir);
	elsewhere_note(h, m->uuid, name, peer);
	r = machine_erase(h, m, &e);
	if (r == 0) {
		machine_unlist(h, m);
		return 0;
	}
	/* Nobody may start it, or bring one of its name: it stays held, and the
	 * next daemon finds the move's entry and tries again. */
	log_error("%s", e.text);
	machine_set_stopped(h, m);
	return r;
}

bool machine_guest_lives(void *host, const char *name, const char *guest)
{
	char now[LAUNCH_IDENTITY_SIZE];
	const struct machine *m;
	struct host *h = host;

	WITH_LOCK(&h->lock);

	m = machine_find(h, name);
	if (!m || !m->started || !launch_alive(&m->process))
		return false;
	launch_identity(now, sizeof(now), &m->process);
	return !strcmp(now, guest);
}

bool machine_came_by(void *host, const char *job)
{
	struct host *h = host;

	WITH_LOCK(&h->lock);

	for (const struct machine *m = h->machines; m; m = m->next)
		if (m->arrived[0] && !strcmp(m->arrived, job))
			return true;
	return false;
}
