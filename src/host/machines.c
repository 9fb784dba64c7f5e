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

static int no_machine(const struct host *h, const char *name, struct error *e)
{
	return error_set(e, ENOENT,
			 "%s has no machine called %s: drover vm list shows "
			 "those it has",
			 h->settings->name, name);
}

int machine_take(struct host *h, const char *name, const char *what,
		 struct machine **ret, struct error *e)
{
	struct machine *m;

	WITH_LOCK(&h->lock);

	m = machine_find(h, name);
	if (!m)
		return no_machine(h, name, e);
	if (m->busy[0])
		return error_set(e, EBUSY,
				 "machine %s is held by %s: wait for it, or "
				 "cancel it",
				 name, m->busy);
	snprintf(m->busy, sizeof(m->busy), "%s", what);
	*ret = m;
	return 0;
}

int machine_reserve(struct host *h, const char *name, const char *what,
		    struct machine **ret, struct error *e)
{
	struct machine *m;

	if (text_check_name("machine", name, e) < 0)
		return error_code(e);

	WITH_LOCK(&h->lock);

	if (machine_find(h, name))
		return error_set(e, EEXIST,
				 "%s has a machine called %s already: forget "
				 "it, or use another name",
				 h->settings->name, name);
	m = calloc(1, sizeof(*m));
	if (!m)
		return error_set(e, ENOMEM, "no memory for a machine");
	snprintf(m->name, sizeof(m->name), "%s", name);
	snprintf(m->busy, sizeof(m->busy), "%s", what);
	run_dir_of(m->run_dir, sizeof(m->run_dir), h, name);
	m->next = h->machines;
	h->machines = m;
	*ret = m;
	return 0;
}

void machine_release(struct host *h, struct machine *m)
{
	WITH_LOCK(&h->lock);

	m->busy[0] = '\0';
	pthread_cond_broadcast(&h->changed);
}

/* On disk when it returns; one that was never saved is all right. */
static int erase(const struct host *h, const struct machine *m, struct error *e)
{
	char folder[PATH_MAX], path[PATH_MAX + 80];

	/* Of its arrival nothing has to be finished any more. */
	if (m->arrived[0])
		journal_remove(h->settings->state_directory, m->arrived);
	folder_of(folder, sizeof(folder), h);
	snprintf(path, sizeof(path), "%s/%s.machine", folder, m->name);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove %s", path);
	fault_point("books:half-removed");
	snprintf(path, sizeof(path), "%s/%s.json", folder, m->name);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove %s", path);
	if (journal_sync_folder(folder, e) < 0 && e->code != ENOENT)
		return error_in(e, "machine %s", m->name);
	return 0;
}

static void unlist(struct host *h, struct machine *m)
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
	free(m);
}

void machine_remove(struct host *h, struct machine *m)
{
	struct error e;

	if (erase(h, m, &e) < 0)
		log_error("%s", e.text);
	unlist(h, m);
}

/* --- on disk */

int machine_save(struct host *h, const struct machine *m, struct error *e)
{
	char folder[PATH_MAX], name[80];
	AUTO_FREE char *text = NULL;
	json_t *state =
		json_pack("{s:b,s:b,s:b,s:i,s:I,s:s,s:s}", "started",
			  m->started, "paused", m->paused, "adopted",
			  m->adopted, "pid",
			  m->started ? (int)m->process.pid : 0, "start_time",
			  (json_int_t)(m->started ? m->process.start_time : 0),
			  "qmp", m->started ? m->process.qmp_path : "",
			  "arrived", m->arrived);

	text = json_dumps(state, JSON_INDENT(2));
	json_decref(state);
	if (!text)
		return error_set(e, ENOMEM, "no memory");
	folder_of(folder, sizeof(folder), h);
	snprintf(name, sizeof(name), "%s.json", m->name);
	if (journal_save_file(folder, name, text, e) < 0)
		return error_in(e, "machine %s", m->name);
	fault_point("books:half-saved");
	snprintf(name, sizeof(name), "%s.machine", m->name);
	if (journal_save_file(folder, name, m->text, e) < 0)
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
	struct error e;

	if (!json_is_true(json_object_get(state, "started")))
		return;
	if (launch_attach(&m->process,
			  (pid_t)json_integer_value(
				  json_object_get(state, "pid")),
			  (uint64_t)json_integer_value(
				  json_object_get(state, "start_time")),
			  m->run_dir, &e) < 0) {
		log_warning("machine %s: its QEMU has ended", m->name);
		return;
	}
	m->started = true;
	m->paused = json_is_true(json_object_get(state, "paused"));
	if (qmp && qmp[0])
		snprintf(m->process.qmp_path, sizeof(m->process.qmp_path), "%s",
			 qmp);
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

int machines_load(struct host *h, struct error *e)
{
	static const char suffix[] = ".machine";
	char folder[PATH_MAX], name[64];
	AUTO_CLOSEDIR DIR *d = NULL;
	struct dirent *f;

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
	for (struct machine *m = h->machines; m; m = m->next)
		if (!m->started)
			take_up(h, m);
	return 0;
}

/* --- QEMUs that end by themselves */

static void set_running(struct host *h, struct machine *m,
			const struct qemu_process *p, bool paused)
{
	WITH_LOCK(&h->lock);

	m->process = *p;
	m->started = true;
	m->paused = paused;
}

static void set_stopped(struct host *h, struct machine *m)
{
	WITH_LOCK(&h->lock);

	m->started = m->paused = false;
}

/* The descriptors of all free machines that run.  @n grows. */
static void collect(struct host *h, struct pollfd *p, nfds_t *n)
{
	WITH_LOCK(&h->lock);

	for (struct machine *m = h->machines; m; m = m->next)
		if (m->started && !m->busy[0] && *n < WATCH_MAX)
			p[(*n)++] = (struct pollfd){ .fd = m->process.pidfd,
						     .events = POLLIN };
}

/* One that has ended, held by us; NULL when all live. */
static struct machine *take_ended(struct host *h)
{
	WITH_LOCK(&h->lock);

	for (struct machine *m = h->machines; m; m = m->next) {
		if (!m->started || m->busy[0] || launch_alive(&m->process))
			continue;
		snprintf(m->busy, sizeof(m->busy), "the end of its QEMU");
		return m;
	}
	return NULL;
}

static void sweep(struct host *h)
{
	struct machine *m;
	struct error e;

	while ((m = take_ended(h))) {
		log_warning("machine %s: its QEMU has ended", m->name);
		launch_end(&m->process, clock_us(), &e);
		set_stopped(h, m);
		if (machine_save(h, m, &e) < 0)
			log_error("%s", e.text);
		machine_release(h, m);
	}
}

void *machines_watch(void *host)
{
	struct host *h = host;
	struct pollfd p[WATCH_MAX];

	for (;;) {
		nfds_t n = 1;

		p[0] = (struct pollfd){ .fd = h->stop_fd, .events = POLLIN };
		collect(h, p, &n);
		poll(p, n, WATCH_TURN_MS);
		if (p[0].revents)
			return NULL;
		sweep(h);
	}
}

/* --- the API */

static const char *state_of(const struct machine *m)
{
	if (!m->text)
		return "incoming";
	if (!m->started)
		return "stopped";
	return m->paused ? "paused" : "running";
}

static json_t *busy_job(const struct machine *m)
{
	return !strncmp(m->busy, "job ", 4) ? json_string(m->busy + 4)
					    : json_null();
}

static json_t *to_json(const struct host *h, const struct machine *m)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct error ignored;

	if (!m->text || definition_parse(&d, m->name, m->text, &ignored) < 0 ||
	    definition_check(&d, &ignored) < 0)
		return json_pack("{s:s,s:s,s:n,s:I,s:i,s:s,s:s,s:o,s:b,s:s}",
				 "name", m->name, "state", state_of(m), "pid",
				 "memory", (json_int_t)0, "vcpus", 0, "machine",
				 "", "qemu", "", "job", busy_job(m), "adopted",
				 m->adopted, "run_dir", m->run_dir);
	return json_pack("{s:s,s:s,s:o,s:I,s:i,s:s,s:s,s:o,s:b,s:s,s:s}",
			 "name", m->name, "state", state_of(m), "pid",
			 m->started ? json_integer(m->process.pid)
				    : json_null(),
			 "memory", (json_int_t)d.memory_bytes, "vcpus",
			 (int)d.vcpus, "machine", d.machine, "qemu",
			 d.qemu ? d.qemu : h->settings->qemu, "job",
			 busy_job(m), "adopted", m->adopted, "run_dir",
			 m->run_dir, "definition", m->text);
}

int machine_list(struct host *h, json_t **ret, struct error *e)
{
	(void)e;

	WITH_LOCK(&h->lock);

	*ret = json_array();
	for (struct machine *m = h->machines; m; m = m->next)
		json_array_insert_new(*ret, 0, to_json(h, m));
	return 0;
}

int machine_show(struct host *h, const char *name, json_t **ret,
		 struct error *e)
{
	const struct machine *m;

	WITH_LOCK(&h->lock);

	m = machine_find(h, name);
	if (!m)
		return no_machine(h, name, e);
	*ret = to_json(h, m);
	return 0;
}

/* An adopted QEMU; in the folder may be another one's files. */
static void give_back(struct machine *m)
{
	launch_forget(&m->process);
	rmdir(m->run_dir);
}

static int fill_and_save(struct host *h, struct machine *m,
			 const struct definition *d, json_t **ret,
			 struct error *e)
{
	char *text = definition_text(d);

	{
		WITH_LOCK(&h->lock);

		m->text = text;
	}
	if (!text) {
		error_set(e, ENOMEM, "no memory for a definition");
	} else if (machine_save(h, m, e) == 0) {
		*ret = to_json(h, m);
		machine_release(h, m);
		return 0;
	}
	if (m->started)
		give_back(m);
	machine_remove(h, m);
	return error_code(e);
}

/* One that stands still may be defined anew. */
static int redefine(struct host *h, const struct definition *d, json_t **ret,
		    struct error *e)
{
	struct machine *m;
	char *text, *old;
	int r = machine_take(h, d->name, "vm define", &m, e);

	if (r < 0)
		return r;
	text = m->started ? NULL : definition_text(d);
	if (m->started) {
		r = error_set(e, EEXIST,
			      "machine %s runs: stop it before it is defined "
			      "anew",
			      d->name);
	} else if (!text) {
		r = error_set(e, ENOMEM, "no memory for a definition");
	} else {
		{
			WITH_LOCK(&h->lock);

			old = m->text;
			m->text = text;
		}
		free(old);
		r = machine_save(h, m, e);
	}
	if (r == 0)
		*ret = to_json(h, m);
	machine_release(h, m);
	return r;
}

int machine_define(struct host *h, const char *file_name, const char *text,
		   json_t **ret, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct machine *m;
	int r;

	if (definition_parse(&d, file_name ? file_name : "definition", text,
			     e) < 0 ||
	    definition_check(&d, e) < 0)
		return error_code(e);
	r = machine_reserve(h, d.name, "vm define", &m, e);
	if (r == -EEXIST)
		return redefine(h, &d, ret, e);
	return r < 0 ? r : fill_and_save(h, m, &d, ret, e);
}

/* One that cannot be ended, as it is stuck in the kernel or another user's,
 * still has the disks: it runs until it is seen to end. */
static int end_qemu(struct host *h, struct machine *m, struct error *e)
{
	if (launch_end(&m->process, clock_us() + END_US, e) < 0)
		return error_in(e, "machine %s", m->name);
	set_stopped(h, m);
	launch_clean(m->run_dir);
	return 0;
}

/* What the books cannot take, the next daemon might not know. */
static int end_unsaved(struct host *h, struct machine *m, struct error *why)
{
	struct error e;

	if (end_qemu(h, m, &e) < 0)
		return error_in(why, "%s, and its start cannot be noted",
				e.text);
	return error_in(why, "QEMU was ended, its start cannot be noted");
}

static int start_qemu(struct host *h, struct machine *m, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	const struct launch_options o = {
		.default_qemu = h->settings->qemu,
		.run_dir = m->run_dir,
	};
	struct qemu_process p;

	if (definition_parse(&d, m->name, m->text, e) < 0 ||
	    definition_check(&d, e) < 0 || launch_start(&p, &d, &o, e) < 0)
		return error_code(e);
	set_running(h, m, &p, false);
	return machine_save(h, m, e) < 0 ? end_unsaved(h, m, e) : 0;
}

static int continue_guest(struct host *h, struct machine *m, struct error *e)
{
	struct qmp *q;
	int r;

	if (qmp_open(&q, m->process.qmp_path, clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	r = qmp_run(q, "cont", NULL, NULL, e);
	qmp_close(q);
	if (r < 0)
		return r;
	set_running(h, m, &m->process, false);
	if (machine_save(h, m, e) < 0)
		return error_in(e, "the guest runs, which cannot be noted");
	return 0;
}

int machine_start(struct host *h, const char *name, json_t **ret,
		  struct error *e)
{
	struct machine *m;
	int r;

	if ((r = machine_take(h, name, "vm start", &m, e)) < 0)
		return r;
	if (m->started && m->paused)
		r = continue_guest(h, m, e);
	else if (m->started)
		r = error_set(e, EEXIST, "machine %s runs already", name);
	else
		r = start_qemu(h, m, e);
	if (r == 0)
		*ret = to_json(h, m);
	machine_release(h, m);
	return r;
}

int machine_stop(struct host *h, const char *name, json_t **ret,
		 struct error *e)
{
	struct machine *m;
	int r;

	if ((r = machine_take(h, name, "vm stop", &m, e)) < 0)
		return r;
	if (m->started && (r = end_qemu(h, m, e)) == 0)
		r = machine_save(h, m, e);
	if (r == 0)
		*ret = to_json(h, m);
	machine_release(h, m);
	return r;
}

static int take_over(struct host *h, struct machine *m, pid_t pid,
		     const char *qmp_path, struct error *e)
{
	struct qemu_process p;
	struct qmp *q = NULL;
	bool running = true;
	uint64_t start;
	int r;

	if (launch_start_time(&start, pid, e) < 0 ||
	    launch_attach(&p, pid, start, m->run_dir, e) < 0)
		return error_code(e);
	snprintf(p.qmp_path, sizeof(p.qmp_path), "%s", qmp_path);
	/* Now, and not in the middle of a move, is the time to learn that
	 * another client holds the monitor. */
	r = qmp_open(&q, qmp_path, clock_us() + MONITOR_US, e);
	if (r == 0)
		r = monitor_is_running(q, &running, e);
	qmp_close(q);
	if (r == 0 && mkdir(m->run_dir, 0700) < 0 && errno != EEXIST)
		r = error_sys(e, "make folder %s", m->run_dir);
	if (r < 0) {
		launch_forget(&p);
		return r;
	}
	m->adopted = true;
	set_running(h, m, &p, !running);
	return 0;
}

int machine_adopt(struct host *h, pid_t pid, const char *name, json_t **ret,
		  struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	char qmp[ADOPT_PATH_MAX];
	struct machine *m;

	if (adopt_process(pid, &d, qmp, e) < 0)
		return error_code(e);
	if (name) {
		free(d.name);
		d.name = strdup(name);
	}
	if (definition_check(&d, e) < 0 ||
	    machine_reserve(h, d.name, "vm adopt", &m, e) < 0)
		return error_code(e);
	if (take_over(h, m, pid, qmp, e) < 0) {
		machine_remove(h, m);
		return error_code(e);
	}
	if (fill_and_save(h, m, &d, ret, e) < 0)
		return error_in(e, "process %d runs on and was not adopted",
				(int)pid);
	return 0;
}

int machine_forget(struct host *h, const char *name, json_t **ret,
		   struct error *e)
{
	struct machine *m;
	int r;

	if ((r = machine_take(h, name, "vm forget", &m, e)) < 0)
		return r;
	if ((r = erase(h, m, e)) < 0) {
		machine_release(h, m);
		return r;
	}
	*ret = to_json(h, m);
	if (m->started)
		launch_forget(&m->process);
	else
		launch_clean(m->run_dir);
	unlist(h, m);
	return 0;
}

/* --- moves */

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
	{
		WITH_LOCK(&h->lock);

		free(m->text);
		m->text = strdup(a->definition);
		snprintf(m->arrived, sizeof(m->arrived), "%s", a->job);
		/* It has ended, and was started again: that one lives. */
		again = a->ended && m->started && launch_alive(&m->process);
		/* In the books of a daemon that died here. */
		if (m->started && !again)
			launch_forget(&m->process);
	}
	if (a->ended && !again)
		set_stopped(h, m);
	else if (!a->ended)
		set_running(h, m, &a->process, a->paused);
	r = machine_save(h, m, &e);
	if (r < 0)
		log_error("%s", e.text);
	machine_release(h, m);
	return r;
}

int machine_left(void *host, const char *name)
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
	r = erase(h, m, &e);
	if (r == 0) {
		unlist(h, m);
		return 0;
	}
	/* Nobody may start it, or bring one of its name: it stays held, and the
	 * next daemon finds the move's entry and tries again. */
	log_error("%s", e.text);
	set_stopped(h, m);
	return r;
}

bool machine_is_there(void *host, const char *name)
{
	struct host *h = host;

	WITH_LOCK(&h->lock);

	return machine_find(h, name);
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
