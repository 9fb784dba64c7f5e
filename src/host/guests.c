/* SPDX-License-Identifier: MIT */

/*
 * What a user does with machines: define, start, stop, adopt, forget, look.
 * Each holds the machine while it works on it; the books are machines.c's.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/internal.h"
#include "move/journal.h"
#include "move/monitor.h"
#include "qemu/adopt.h"
#include "qemu/process.h"
#include "qemu/qmp.h"

enum { MONITOR_US = 5000000, END_US = 10000000 };

int machine_list(struct host *h, json_t **ret, struct error *e)
{
	(void)e;
	machines_ask(h, NULL);

	WITH_LOCK(&h->lock);

	*ret = json_array();
	for (struct machine *m = h->machines; m; m = m->next)
		json_array_insert_new(*ret, 0, machine_json(h, m));
	return 0;
}

int machine_show(struct host *h, const char *name, json_t **ret,
		 struct error *e)
{
	const struct machine *m;

	machines_ask(h, name);

	WITH_LOCK(&h->lock);

	m = machine_find(h, name);
	if (!m)
		return machine_missing(h, name, e);
	*ret = machine_json(h, m);
	return 0;
}

/* An adopted QEMU; in the folder may be another one's files. */
static void give_back(struct machine *m)
{
	launch_forget(&m->process);
	rmdir(m->run_dir);
}

static int fill_and_save(struct host *h, struct machine *m,
			 struct definition *d, json_t **ret, struct error *e)
{
	if (machine_set_definition(h, m, d, e) == 0 &&
	    machine_save(h, m, e) == 0) {
		*ret = machine_json(h, m);
		machine_release(h, m);
		return 0;
	}
	if (m->started)
		give_back(m);
	machine_remove(h, m);
	return error_code(e);
}

/* The QEMU of one that runs stays as it is. */
static int check_running(const struct machine *m, struct definition *d,
			 struct error *e)
{
	SCOPED(definition_done) struct definition now = { 0 };

	if (!d->uuid && m->uuid[0])
		d->uuid = strdup(m->uuid);
	if (definition_parse(&now, m->name, m->text, e) < 0)
		return error_code(e);
	if (definition_starts_as(d, &now))
		return 0;
	return error_set(e, EEXIST,
			 "machine %s runs, so only what its definition says is "
			 "shared can change: stop it before it is defined anew",
			 m->name);
}

static int check_redefine(const struct machine *m, struct definition *d,
			  struct error *e)
{
	if (d->uuid && m->uuid[0] && strcmp(d->uuid, m->uuid) != 0)
		return error_set(e, EEXIST,
				 "machine %s has the uuid %s: leave it as it "
				 "is, or forget that machine first",
				 m->name, m->uuid);
	return m->started ? check_running(m, d, e) : 0;
}

static int redefine(struct host *h, struct definition *d, json_t **ret,
		    struct error *e)
{
	struct machine *m;
	int r = machine_take(h, d->name, "vm define", &m, e);

	if (r < 0)
		return r;
	r = check_redefine(m, d, e);
	if (r == 0 && (r = machine_set_definition(h, m, d, e)) == 0)
		r = machine_save(h, m, e);
	if (r == 0)
		*ret = machine_json(h, m);
	machine_release(h, m);
	return r;
}

static bool is_here(struct host *h, const char *name)
{
	WITH_LOCK(&h->lock);

	return machine_find(h, name);
}

int machine_define(struct host *h, const char *file_name, const char *text,
		   json_t **ret, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct machine *m;

	if (definition_parse(&d, file_name ? file_name : "definition", text,
			     e) < 0)
		return error_code(e);
	if (is_here(h, d.name))
		return redefine(h, &d, ret, e);
	if (machine_reserve_for(h, &d, "vm define", &m, e) < 0)
		return error_code(e);
	return fill_and_save(h, m, &d, ret, e);
}

/* One that cannot be ended, as it is stuck in the kernel or another user's,
 * still has the disks: it runs until it is seen to end. */
static int end_qemu(struct host *h, struct machine *m, struct error *e)
{
	if (launch_end(&m->process, clock_us() + END_US, e) < 0)
		return error_in(e, "machine %s", m->name);
	machine_set_stopped(h, m);
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
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	const struct launch_options o = {
		.default_qemu = now->host.qemu,
		.run_dir = m->run_dir,
	};
	struct qemu_process p;

	if (definition_parse(&d, m->name, m->text, e) < 0 ||
	    definition_check(&d, e) < 0 || launch_start(&p, &d, &o, e) < 0)
		return error_code(e);
	machine_set_running(h, m, &p, false);
	return machine_save(h, m, e) < 0 ? end_unsaved(h, m, e) : 0;
}

/* 'cont' or 'stop'. */
static int tell(struct host *h, struct machine *m, bool run, struct error *e)
{
	struct qmp *q;
	int r;

	if (qmp_open(&q, m->process.qmp_path, clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	r = qmp_run(q, run ? "cont" : "stop", NULL, NULL, e);
	qmp_close(q);
	if (r < 0)
		return r;
	machine_set_running(h, m, &m->process, !run);
	if (machine_save(h, m, e) < 0)
		return error_in(e, "the guest %s, which cannot be noted",
				run ? "runs" : "is paused");
	return 0;
}

/* The operator's word counts for more than what no host says. */
static int start_here(struct host *h, struct machine *m, bool anyway,
		      struct error *e)
{
	if (!anyway && elsewhere_check(h, m, e) < 0)
		return error_code(e);
	if (start_qemu(h, m, e) < 0)
		return error_code(e);
	elsewhere_forget(h, m->uuid);
	return 0;
}

int machine_start(struct host *h, const char *name, bool anyway, json_t **ret,
		  struct error *e)
{
	struct machine *m;
	int r;

	machines_ask(h, name);
	if ((r = machine_take(h, name, "vm start", &m, e)) < 0)
		return r;
	if (m->started && m->paused)
		r = tell(h, m, true, e);
	else if (m->started)
		r = error_set(e, EEXIST, "machine %s is running already", name);
	else
		r = start_here(h, m, anyway, e);
	if (r == 0)
		*ret = machine_json(h, m);
	machine_release(h, m);
	return r;
}

static int tell_by_name(struct host *h, const char *name, bool run,
			json_t **ret, struct error *e)
{
	struct machine *m;
	int r = machine_take(h, name, run ? "vm resume" : "vm pause", &m, e);

	if (r < 0)
		return r;
	r = m->started ? tell(h, m, run, e)
		       : error_set(e, EBUSY,
				   "machine %s does not run: start it with "
				   "'drover vm start %s'",
				   name, name);
	if (r == 0)
		*ret = machine_json(h, m);
	machine_release(h, m);
	return r;
}

int machine_pause(struct host *h, const char *name, json_t **ret,
		  struct error *e)
{
	return tell_by_name(h, name, false, ret, e);
}

int machine_resume(struct host *h, const char *name, json_t **ret,
		   struct error *e)
{
	return tell_by_name(h, name, true, ret, e);
}

int machine_stop(struct host *h, const char *name, json_t **ret,
		 struct error *e)
{
	struct machine *m;
	int r;

	if ((r = machine_take(h, name, "vm stop", &m, e)) < 0)
		return r;
	if (m->started)
		r = end_qemu(h, m, e);
	else
		machine_set_stopped(h, m);
	if (r == 0)
		r = machine_save(h, m, e);
	if (r == 0)
		*ret = machine_json(h, m);
	machine_release(h, m);
	return r;
}

static int find_user(uid_t *ret, const char *name, struct error *e)
{
	char buf[4096];
	struct passwd entry, *found = NULL;
	char *end;

	if (getpwnam_r(name, &entry, buf, sizeof(buf), &found) == 0 && found) {
		*ret = entry.pw_uid;
		return 0;
	}
	*ret = (uid_t)strtoul(name, &end, 10);
	if (*name && !*end)
		return 0;
	return error_set(e, EINVAL, "there is no user %.60s", name);
}

static void user_name(char *buf, size_t cap, uid_t user)
{
	struct passwd entry, *found = NULL;
	char data[4096];

	if (getpwuid_r(user, &entry, data, sizeof(data), &found) == 0 && found)
		snprintf(buf, cap, "%s", entry.pw_name);
	else
		snprintf(buf, cap, "%u", (unsigned)user);
}

/* What it does is done with the rights of its user, and its user can make it do
 * anything: another's is taken on the operator's word only. */
static int check_user(pid_t pid, const char *named, struct error *e)
{
	uid_t user, wanted = geteuid();
	char name[64];

	if (process_user(&user, pid, e) < 0 ||
	    (named && find_user(&wanted, named, e) < 0))
		return error_code(e);
	if (user == wanted)
		return 0;
	user_name(name, sizeof(name), user);
	if (named)
		return error_set(e, EPERM,
				 "process %d runs as user %s, not %.60s",
				 (int)pid, name, named);
	return error_set(e, EPERM,
			 "process %d runs as user %s: adopt it with '--user "
			 "%s' if that is meant",
			 (int)pid, name, name);
}

/* A path may lead to any process's socket. */
static int check_listener(const char *path, pid_t pid, struct error *e)
{
	AUTO_CLOSE int fd = qmp_dial(path, e);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (fd < 0)
		return error_in(e, "monitor %s", path);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return error_sys(e, "monitor %s", path);
	if (peer.pid == pid)
		return 0;
	return error_set(e, EPERM,
			 "monitor %s is that of process %d, not of process %d",
			 path, (int)peer.pid, (int)pid);
}

/* A move that is not over has a QEMU that no machine has yet. */
static int check_journal(const struct host *h, pid_t pid, uint64_t start,
			 struct error *e)
{
	json_t *all, *entry;
	size_t i;
	int r = journal_read(h->settings->state_directory, &all, e);

	if (r < 0)
		return r;
	json_array_foreach (all, i, entry) {
		const char *job =
			json_string_value(json_object_get(entry, "job"));

		if (json_integer_value(json_object_get(entry, "pid")) != pid ||
		    (uint64_t)json_integer_value(
			    json_object_get(entry, "start_time")) != start)
			continue;
		r = error_set(e, EBUSY,
			      "process %d belongs to job %s: see 'drover job "
			      "show %s'",
			      (int)pid, job, job);
		break;
	}
	json_decref(all);
	return r;
}

/* The process is @m's from now on, where no other machine has it. */
static int claim(struct host *h, struct machine *m,
		 const struct qemu_process *p, struct error *e)
{
	char own[PATH_MAX + 16];

	WITH_LOCK(&h->lock);

	for (const struct machine *o = h->machines; o; o = o->next) {
		snprintf(own, sizeof(own), "%s/qmp.sock", o->run_dir);
		if (o != m && ((o->process.pid == p->pid &&
				o->process.start_time == p->start_time) ||
			       (o->busy[0] && !strcmp(own, p->qmp_path))))
			return error_set(e, EEXIST,
					 "process %d is machine %s already",
					 (int)p->pid, o->name);
	}
	m->process.pid = p->pid;
	m->process.start_time = p->start_time;
	return 0;
}

/* Now, and not in the middle of a move, is the time to learn that another
 * client holds the monitor. */
static int check_monitor(const struct qemu_process *p, bool *ret_running,
			 struct error *e)
{
	struct qmp *q = NULL;
	int r;

	if (check_listener(p->qmp_path, p->pid, e) < 0 ||
	    qmp_open(&q, p->qmp_path, clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	r = monitor_is_running(q, ret_running, e);
	qmp_close(q);
	return r;
}

static int take_over(struct host *h, struct machine *m, pid_t pid,
		     const char *qmp_path, struct error *e)
{
	struct qemu_process p;
	bool running = true;
	uint64_t start;
	int r;

	if (launch_start_time(&start, pid, e) < 0 ||
	    launch_attach(&p, pid, start, m->run_dir, e) < 0)
		return error_code(e);
	snprintf(p.qmp_path, sizeof(p.qmp_path), "%s", qmp_path);
	r = check_journal(h, pid, start, e);
	if (r == 0 && (r = claim(h, m, &p, e)) == 0)
		r = check_monitor(&p, &running, e);
	if (r == 0 && mkdir(m->run_dir, 0700) < 0 && errno != EEXIST)
		r = error_sys(e, "make folder %s", m->run_dir);
	if (r < 0) {
		launch_forget(&p);
		return r;
	}
	m->adopted = true;
	machine_set_running(h, m, &p, !running);
	return 0;
}

int machine_adopt(struct host *h, pid_t pid, const char *name, const char *user,
		  json_t **ret, struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	char qmp[ADOPT_PATH_MAX];
	struct machine *m;

	if (adopt_process(pid, &d, qmp, e) < 0 || check_user(pid, user, e) < 0)
		return error_code(e);
	if (name) {
		free(d.name);
		d.name = strdup(name);
	}
	if (definition_check(&d, e) < 0 ||
	    machine_reserve_for(h, &d, "vm adopt", &m, e) < 0)
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
	if ((r = machine_erase(h, m, e)) < 0) {
		machine_release(h, m);
		return r;
	}
	*ret = machine_json(h, m);
	if (m->started)
		machine_forget_process(h, m);
	else
		launch_clean(m->run_dir);
	machine_unlist(h, m);
	return 0;
}
