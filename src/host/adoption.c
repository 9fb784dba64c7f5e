/* SPDX-License-Identifier: MIT */

/*
 * A QEMU that somebody else has started becomes a machine of this host.  All
 * that can be wrong with it is found now, and not in the middle of a move.
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
#include "base/error.h"
#include "base/scope.h"
#include "host/host.h"
#include "host/lifecycle.h"
#include "host/parts.h"
#include "host/registry.h"
#include "move/journal.h"
#include "qemu/adopt.h"
#include "qemu/monitor.h"
#include "qemu/process.h"
#include "qemu/qmp.h"

enum { MONITOR_US = 5000000 };

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
			 "process %d runs as user %s: adopt it with "
			 "'--user %s' if that is meant",
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
	SCOPED(journal_entries_done) struct journal_entries all = { 0 };

	if (journal_read(h->settings->state_directory, &all, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < all.count; i++) {
		const struct journal_entry *entry = &all.at[i];

		if (entry->pid == pid && entry->start_time == start)
			return error_set(e, EBUSY,
					 "process %d belongs to job %s: see "
					 "'drover job show %s'",
					 (int)pid, entry->job, entry->job);
	}
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

/* All that speaks against it; @ret_running: the guest is not paused. */
static int check(struct host *h, struct machine *m,
		 const struct qemu_process *p, bool *ret_running,
		 struct error *e)
{
	const char *run_dir = machine_record(m)->run_dir;

	if (check_journal(h, p->pid, p->start_time, e) < 0 ||
	    machine_claim_process(h->registry, m, p, e) < 0 ||
	    check_monitor(p, ret_running, e) < 0)
		return error_code(e);
	if (mkdir(run_dir, 0700) < 0 && errno != EEXIST)
		return error_sys(e, "make folder %s", run_dir);
	return 0;
}

static int take_over(struct host *h, struct machine *m, pid_t pid,
		     const char *qmp_path, struct error *e)
{
	struct qemu_process p;
	bool running = true;
	uint64_t start;

	if (launch_start_time(&start, pid, e) < 0 ||
	    launch_attach(&p, pid, start, machine_record(m)->run_dir, e) < 0)
		return error_code(e);
	snprintf(p.qmp_path, sizeof(p.qmp_path), "%s", qmp_path);
	if (check(h, m, &p, &running, e) < 0) {
		launch_forget(&p);
		return error_code(e);
	}
	machine_set_adopted(h->registry, m);
	machine_set_running(h->registry, m, &p, !running);
	return 0;
}

int machine_adopt(struct host *h, const struct adopt_request *of,
		  struct machine_view *ret, struct error *e)
{
	const struct hold by = { .kind = HOLD_ADOPT };
	SCOPED(definition_done) struct definition d = { 0 };
	char qmp[ADOPT_PATH_MAX];
	struct machine *m;

	if (adopt_process(of->pid, &d, qmp, e) < 0 ||
	    check_user(of->pid, of->user, e) < 0)
		return error_code(e);
	if (of->name) {
		free(d.name);
		d.name = strdup(of->name);
	}
	if (definition_check(&d, e) < 0 ||
	    machine_reserve(h->registry, &d, by, &m, e) < 0)
		return error_code(e);
	if (take_over(h, m, of->pid, qmp, e) < 0) {
		machine_remove(h->registry, m);
		return error_code(e);
	}
	if (lifecycle_enter(h, m, &d, ret, e) < 0)
		return error_in(e, "process %d runs on and was not adopted",
				(int)of->pid);
	return 0;
}
