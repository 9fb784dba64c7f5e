/* SPDX-License-Identifier: MIT */
#include "qemu/launch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/foreign.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "qemu/cgroup.h"
#include "qemu/confine.h"
#include "qemu/files.h"
#include "qemu/grant.h"
#include "qemu/granted.h"
#include "qemu/image.h"
#include "qemu/options.h"
#include "qemu/policy.h"
#include "qemu/process.h"
#include "qemu/qmp.h"
#include "qemu/ram_file.h"
#include "qemu/scope.h"
#include "qemu/spawn.h"
#include "qemu/tap.h"

#define LOG_NAME "qemu.log"

enum {
	DIAL_AGAIN_MS = 10,
	KILL_WAIT_MS = 10000,
	LOG_TAIL = 4096,
	LAST_LINES = 3
};

int launch_start_time(uint64_t *ret, pid_t pid, struct error *e)
{
	char path[64], buf[1024];
	AUTO_CLOSE int fd = -1;
	const char *at;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n < 0 && errno != ENOENT && errno != ESRCH)
		return error_sys(e, "%s", path);
	if (n <= 0)
		return error_set(e, ESRCH, "there is no process %d", (int)pid);
	buf[n] = '\0';
	/* The name in field 2 may hold anything, also ") ". */
	at = strrchr(buf, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (!at)
		return error_set(e, ESRCH, "%s: not readable", path);
	*ret = strtoull(at, NULL, 10);
	return 0;
}

static int make_dir(const char *dir, const struct confinement *who,
		    struct error *e)
{
	struct stat st;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return error_sys(e, "make the directory %s", dir);
	if (lstat(dir, &st) < 0)
		return error_sys(e, "%s", dir);
	if (!S_ISDIR(st.st_mode))
		return error_set(e, ENOTDIR, "%s: Not a directory", dir);
	if (st.st_mode & 022)
		return error_set(e, EPERM,
				 "%s: others may write to this directory", dir);
	return confine_folder(dir, who, e);
}

static int open_log(const char *run_dir, struct error *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/" LOG_NAME, run_dir);
	return foreign_open(path, O_WRONLY | O_APPEND | O_CREAT, 0600, e);
}

void launch_clean(const char *run_dir)
{
	static const char *const files[] = { "migrate.sock", "incoming.sock",
					     "qmp.sock", LOG_NAME };
	char path[PATH_MAX + 32];
	struct qemu_process living;
	struct error ignored;

	/* Nothing was made yet: "/qmp.sock" is nobody's to remove. */
	if (!run_dir[0])
		return;
	if (launch_find(&living, run_dir, &ignored) == 0) {
		launch_forget(&living);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", run_dir, files[i]);
		unlink(path);
	}
	cgroup_remove(run_dir);
	rmdir(run_dir);
}

void launch_clean_all(const char *run_dir)
{
	AUTO_CLOSEDIR DIR *folder = opendir(run_dir);
	struct qemu_process living;
	struct error ignored;
	struct dirent *entry;

	if (folder && launch_find(&living, run_dir, &ignored) == 0) {
		launch_forget(&living);
		return;
	}
	while (folder && (entry = readdir(folder)))
		(void)unlinkat(dirfd(folder), entry->d_name, 0);
	launch_clean(run_dir);
}

/* The cause comes first, then what became of it, a line each; warnings are of
 * the start. */
static void last_words(const char *run_dir, off_t from, char *ret, size_t cap)
{
	char path[PATH_MAX], buf[LOG_TAIL + 1], *save = NULL, *line;
	const char *last[LAST_LINES] = { "", "", "" };
	AUTO_CLOSE int fd = -1;
	struct error ignored;
	off_t end;
	ssize_t n = 0;

	snprintf(path, sizeof(path), "%s/" LOG_NAME, run_dir);
	fd = foreign_open(path, O_RDONLY, 0, &ignored);
	end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	if (end - from > LOG_TAIL)
		from = end - LOG_TAIL;
	if (end > from)
		n = pread(fd, buf, LOG_TAIL, from);
	buf[n < 0 ? 0 : n] = '\0';
	for (line = strtok_r(buf, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		const char *colon = strstr(line, ": ");

		if (strstr(line, "warning: "))
			continue;
		memmove(last, last + 1, sizeof(last) - sizeof(last[0]));
		last[LAST_LINES - 1] =
			!strncmp(line, "qemu-", 5) && colon ? colon + 2 : line;
	}
	snprintf(ret, cap, "%s%s%s%s%s", last[0], last[0][0] ? "; " : "",
		 last[1], last[1][0] ? "; " : "",
		 last[2][0] ? last[2] : "it said nothing");
}

void launch_last_words(const char *run_dir, char *ret, size_t cap)
{
	last_words(run_dir, 0, ret, cap);
}

static void reap(const struct qemu_process *p)
{
	siginfo_t info;

	/* Not our child after a restart of the daemon: init reaps it. */
	(void)waitid(P_PIDFD, (id_t)p->pidfd, &info, WEXITED);
}

/* 1 when the process has ended. */
static int wait_end(const struct qemu_process *p, int timeout_ms)
{
	struct pollfd end = { .fd = p->pidfd, .events = POLLIN };
	int r;

	do
		r = poll(&end, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

/* Has the answer to our question come?  1, 0 for not yet, negative when the
 * connection is of no use. */
static int answer(struct qmp_input *in, int fd, struct error *e)
{
	char buf[4096];
	json_t *o;
	int found = 0;
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	/* A QEMU that gives up closes the socket just before it ends. */
	if (n <= 0 || qmp_input_add(in, buf, (size_t)n, e) < 0)
		return -EPIPE;
	while (!found && qmp_input_next(in, &o, e) == 1) {
		found = json_object_get(o, "return") != NULL;
		json_decref(o);
	}
	return found;
}

/* 1 when the monitor on @fd has answered, 0 when the process or the
 * connection has ended or the time is over. */
static int answers(const struct qemu_process *p, int fd, uint64_t deadline_us,
		   struct error *e)
{
	static const char question[] = "{\"execute\": \"qmp_capabilities\"}\n";
	struct pollfd two[] = { { .fd = fd, .events = POLLIN },
				{ .fd = p->pidfd, .events = POLLIN } };
	struct qmp_input in = { 0 };
	int r = 0, n;

	/* The buffer of a fresh socket has room for this. */
	if (send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) < 0)
		return 0;
	while (r == 0) {
		n = poll(two, 2, clock_poll_ms(deadline_us));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || two[1].revents)
			break;
		r = answer(&in, fd, e);
	}
	qmp_input_done(&in);
	return r == 1;
}

/* QEMU listens before it has looked at its devices, and its monitor's own
 * thread greets at once; but commands are run by the main loop, so only an
 * answer says that QEMU has come up. */
static int wait_monitor(const struct qemu_process *p, uint64_t deadline_us,
			struct error *e)
{
	for (;;) {
		AUTO_CLOSE int fd = qmp_dial(p->qmp_path, e);

		if (fd >= 0 && answers(p, fd, deadline_us, e))
			return 0;
		if (fd < 0 && e->code != ENOENT && e->code != ECONNREFUSED &&
		    e->code != EAGAIN)
			return error_in(e, "monitor %s", p->qmp_path);
		if (wait_end(p, DIAL_AGAIN_MS))
			return error_set(e, ECHILD, "QEMU ended");
		if (clock_us() >= deadline_us)
			return error_set(e, ETIMEDOUT,
					 "QEMU's monitor did not answer");
	}
}

static int track(struct qemu_process *p, pid_t pid, const char *run_dir,
		 struct error *e)
{
	int n = snprintf(p->qmp_path, sizeof(p->qmp_path), "%s/qmp.sock",
			 run_dir);

	p->pidfd = -1;
	p->pid = pid;
	if (n >= (int)sizeof(p->qmp_path))
		return error_set(e, ENAMETOOLONG,
				 "%s: too long for a socket in it", run_dir);
	if (pid == 0)
		return 0;
	p->pidfd = pidfd_open(pid, 0);
	if (p->pidfd < 0)
		return error_sys(e, "process %d", (int)pid);
	return launch_start_time(&p->start_time, pid, e);
}

struct start {
	const struct definition *definition;
	const struct launch_options *options;
	struct confinement who;
	struct named_files files; /* none where it is not confined */
	int kept[1 + NICS_MAX];   /* the file of its memory, and taps */
	size_t kept_count;
};

/* QEMU has them, or they go. */
static void start_done(struct start *s)
{
	files_done(&s->files);
	while (s->kept_count > 0)
		close(s->kept[--s->kept_count]);
}

/* Before the guest has taken its memory. */
static void count_apart(const char *name, pid_t pid)
{
	struct error e;

	if (scope_is_possible() && scope_make(name, pid, &e) < 0)
		log_warning("machine %s is counted together with this service: "
			    "%s",
			    name, e.text);
}

/* QEMU has ended, or does not answer: nothing is left of it. */
static void undo_start(struct qemu_process *p, pid_t pid, const char *run_dir)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	cgroup_end(run_dir);
	launch_forget(p);
	unlink(p->qmp_path);
}

static int start_argv(struct qemu_process *p, char *const *argv,
		      const struct start *s, struct error *e)
{
	const struct launch_options *o = s->options;
	uint64_t timeout_us = o->timeout_us ? o->timeout_us : 60 * USEC_PER_SEC;
	AUTO_CLOSE int log_fd = open_log(o->run_dir, e);
	AUTO_CLOSE int cgroup_fd = s->who.on ? cgroup_make(o->run_dir) : -1;
	const struct spawn with = { .argv = argv,
				    .directory = s->definition->directory,
				    .log_fd = log_fd,
				    .who = &s->who,
				    .kept = s->kept,
				    .kept_count = s->kept_count,
				    .small_pages = o->small_pages ||
						   s->definition->huge_pages ==
							   HUGE_PAGES_OFF,
				    .cgroup_fd = cgroup_fd,
				    .files = &s->files };
	struct stat st = { 0 };
	char words[220];
	pid_t pid;

	if (log_fd < 0)
		return error_code(e);
	/* A socket that a killed QEMU has left refuses for ever. */
	unlink(p->qmp_path);
	(void)fstat(log_fd, &st);
	if (spawn_process(&pid, &with, e) < 0)
		return error_code(e);
	if (s->who.on)
		count_apart(s->definition->name, pid);
	if (track(p, pid, o->run_dir, e) == 0 &&
	    wait_monitor(p, clock_us() + timeout_us, e) == 0)
		return 0;
	if (e->code == ECHILD) {
		last_words(o->run_dir, st.st_size, words, sizeof(words));
		error_set(e, ECHILD, "QEMU ended at once: %s", words);
	}
	undo_start(p, pid, o->run_dir);
	return error_code(e);
}

/* Its monitor's socket would be removed, and its disks be opened twice. */
static int check_nobody_in(const char *run_dir, struct error *e)
{
	struct qemu_process other = { .pidfd = -1 };
	pid_t pid;
	int r = launch_find(&other, run_dir, e);

	if (r < 0)
		return r == -ESRCH ? 0 : r;
	pid = other.pid;
	launch_forget(&other);
	return error_set(e, EEXIST,
			 "a QEMU runs in %s already, process %d: end it first",
			 run_dir, (int)pid);
}

static int check_alone(const struct launch_options *o, struct error *e)
{
	char other[PATH_MAX];

	launch_beside(other, o->run_dir);
	if (!o->beside && check_nobody_in(other, e) < 0)
		return error_code(e);
	return check_nobody_in(o->run_dir, e);
}

/* --- what it may open */

/* Those of before have no uuid. */
static const char *identity_of(const struct definition *d)
{
	return d->uuid ? d->uuid : d->name;
}

/* A name that a peer chooses makes nobody's user. */
static int check_identity(const struct start *s, struct error *e)
{
	if (!s->who.on || !s->options->incoming || s->definition->uuid)
		return 0;
	return error_set(e, EPERM,
			 "its definition has no uuid, from which the user of "
			 "its QEMU is made: give it one at the source");
}

/* What stands in the definition was looked at where it came from.  What stands
 * in an image may be its QEMU's words, once that was taken over. */
static int check_below(const struct start *s, struct error *e)
{
	const struct launch_options *o = s->options;
	const struct words *below = &s->files.below;
	const struct policy p = { .image_directories = o->image_directories,
				  .run_dir = o->run_dir,
				  .real_path = policy_real_path };

	for (size_t i = 0; i < below->count; i++) {
		SCOPED(words_done) struct words blame = { 0 };

		if (policy_check_file(&p, below->at[i], &blame, e) < 0)
			return error_code(e);
		if (blame.count > 0)
			return error_set(e, EPERM,
					 "an image of machine %s names another "
					 "one below it, and QEMU may have "
					 "written that: %s",
					 s->definition->name, blame.at[0]);
	}
	return 0;
}

static int grant_files(struct start *s, struct error *e)
{
	const struct launch_options *o = s->options;

	if (!s->who.on)
		return 0;
	if (files_named(&s->files, s->definition, o->run_dir, e) < 0 ||
	    check_below(s, e) < 0)
		return error_code(e);
	return granted_give(o->state_directory, s->definition->name, &s->files,
			    &s->who, e);
}

static void withdraw_list(const struct words *w, uid_t number)
{
	const struct confinement who = { .number = number };
	struct error e;

	for (size_t i = 0; i < w->count; i++)
		if (grant_withdraw(w->at[i], &who, &e) < 0)
			log_warning("%s", e.text);
}

/* What its definition names, too: older versions noted nothing. */
static void withdraw(const struct definition *d, const char *run_dir,
		     uid_t number)
{
	SCOPED(files_done) struct named_files files = { .writes = { 0 } };
	struct error e;

	if (files_named(&files, d, run_dir, &e) < 0) {
		log_warning("%s", e.text);
		return;
	}
	withdraw_list(&files.reads, number);
	withdraw_list(&files.writes, number);
}

void launch_withdraw(const char *state_directory, const char *name,
		     const char *text, const char *run_dir)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct error e;
	struct stat st;
	uid_t number;

	if (!text || definition_parse(&d, name, text, &e) < 0)
		return;
	number = confine_number(identity_of(&d));
	/* Without a folder the host has been started anew. */
	if (lstat(run_dir, &st) == 0 && st.st_uid != number)
		return;
	withdraw(&d, run_dir, number);
	granted_take_back(state_directory, number);
}

void launch_did_not_come(const char *state_directory, const char *name,
			 const char *text, const char *run_dir)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct error e;

	if (text && definition_parse(&d, name, text, &e) == 0)
		granted_take_back_unused(state_directory,
					 confine_number(identity_of(&d)));
	launch_clean(run_dir);
}

static int open_tap(struct start *s, const struct definition_nic *nic,
		    struct error *e)
{
	const char *device = bridge_device(s->options->bridges, nic->bridge);

	if (bridge_check(device, nic->bridge, e) < 0)
		return error_in(e, "nic %s", nic->name);
	return tap_open(&s->kept[s->kept_count], device, s->definition->name,
			nic, e);
}

static int open_taps(struct start *s, struct error *e)
{
	const struct definition *d = s->definition;

	for (size_t i = 0; i < d->nics.count; i++, s->kept_count++)
		if (open_tap(s, &d->nics.at[i], e) < 0)
			return error_code(e);
	return 0;
}

/* That of the QEMU so far, or a new one. */
static int open_memory(struct start *s, struct error *e)
{
	const struct launch_options *o = s->options;
	uid_t owner = s->who.on ? s->who.number : geteuid();
	int fd;

	if (!definition_has_ram_file(s->definition))
		return ram_file_check_pages(s->definition, e);
	if (o->memory_fd > 0)
		fd = fcntl(o->memory_fd, F_DUPFD_CLOEXEC, 3);
	else
		fd = ram_file_make(o->run_directory, s->definition, owner, e);
	if (fd < 0)
		return o->memory_fd > 0 ? error_sys(e, "its memory")
					: error_code(e);
	s->kept[s->kept_count++] = fd;
	return 0;
}

/* What QEMU is handed, into @with. */
static int open_kept(struct start *s, struct launch_options *with,
		     struct error *e)
{
	with->memory_fd = 0;
	if (open_memory(s, e) < 0)
		return error_code(e);
	if (s->kept_count > 0)
		with->memory_fd = s->kept[0];
	with->nic_fds = s->kept + s->kept_count;
	return open_taps(s, e);
}

int launch_start(struct qemu_process *ret, const struct definition *d,
		 const struct launch_options *o, struct error *e)
{
	SCOPED(words_done) struct words argv = { 0 };
	SCOPED(start_done)
	struct start s = { .definition = d, .options = o };
	struct launch_options with = *o;
	struct qemu_process p = { .pidfd = -1 };

	if (track(&p, 0, o->run_dir, e) < 0 ||
	    confine_find(&s.who, o->user, identity_of(d), e) < 0 ||
	    check_identity(&s, e) < 0 ||
	    confine_alone(o->run_dir, &s.who, e) < 0 || check_alone(o, e) < 0 ||
	    make_dir(o->run_dir, &s.who, e) < 0 || open_kept(&s, &with, e) < 0)
		return error_code(e);
	if (definition_argv(d, &with, &argv, e) < 0)
		return error_code(e);
	if (grant_files(&s, e) < 0 || start_argv(&p, argv.at, &s, e) < 0) {
		/* In an update another one runs as that user. */
		if (s.who.on && o->state_directory)
			granted_take_back_unused(o->state_directory,
						 s.who.number);
		return error_code(e);
	}
	*ret = p;
	return 0;
}

int launch_attach(struct qemu_process *ret, pid_t pid, uint64_t start_time,
		  const char *run_dir, struct error *e)
{
	struct qemu_process p;

	if (pid <= 0)
		return error_set(e, ESRCH, "there is no process %d", (int)pid);
	if (track(&p, pid, run_dir, e) < 0) {
		launch_forget(&p);
		return error_code(e);
	}
	if (p.start_time != start_time || !launch_alive(&p)) {
		launch_forget(&p);
		return error_set(e, ESRCH, "process %d has ended", (int)pid);
	}
	*ret = p;
	return 0;
}

static bool is_script(const char *path)
{
	SCOPED(image_close) struct image i = { .fd = -1 };
	AUTO_CLOSE int fd = image_open(&i, path) < 0 ? -1 : image_read(&i);
	char first[2];

	return fd >= 0 && read(fd, first, 2) == 2 && !memcmp(first, "#!", 2);
}

static bool runs_file(pid_t pid, const char *path)
{
	struct stat own, named;
	char exe[64];

	snprintf(exe, sizeof(exe), "/proc/%d/exe", (int)pid);
	return stat(exe, &own) == 0 && stat(path, &named) == 0 &&
	       own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

int launch_outdated(pid_t pid, const char *path)
{
	AUTO_FREE char *exe = NULL;
	struct error ignored;

	if (process_link(&exe, pid, "exe", &ignored) < 0)
		return -1;
	/* "/usr/bin/qemu-system-x86_64 (deleted)" is not there either. */
	if (!runs_file(pid, exe))
		return 1;
	if (access(path, X_OK) < 0 || is_script(path))
		return -1;
	return !runs_file(pid, path);
}

/* A command line is whatever its process says.  Ours is the user's to whom we
 * have given @run_dir, and runs a QEMU, or what we were told to start:
 * "PROGRAM -name ...", where a script stands behind its interpreter. */
static bool is_ours(pid_t pid, const struct words *w, const char *run_dir)
{
	struct error ignored;
	struct stat st;
	uid_t user;

	if (process_user(&user, pid, &ignored) < 0 ||
	    (user != geteuid() &&
	     (lstat(run_dir, &st) < 0 || user != st.st_uid)))
		return false;
	if (process_check_qemu(pid, &ignored) == 0)
		return true;
	if (w->count > 1 && !strcmp(w->at[1], "-name"))
		return runs_file(pid, w->at[0]);
	return w->count > 2 && !strcmp(w->at[2], "-name") &&
	       is_script(w->at[1]);
}

/* Does this process have the monitor of a machine of ours? */
static bool has_monitor(pid_t pid, const char *needle, const char *run_dir)
{
	SCOPED(words_done) struct words w = { 0 };
	struct error ignored;

	if (process_words(&w, pid, &ignored) < 0)
		return false;
	/* Drover's own is the first; what follows are the definition's words,
	 * which may be anything. */
	for (size_t i = 1; i < w.count; i++)
		if (!strcmp(w.at[i - 1], "-chardev"))
			return strstr(w.at[i], needle) &&
			       is_ours(pid, &w, run_dir);
	return false;
}

int launch_find(struct qemu_process *ret, const char *run_dir, struct error *e)
{
	AUTO_CLOSEDIR DIR *proc = opendir("/proc");
	AUTO_FREE char *dir = option_escape(run_dir);
	char needle[PATH_MAX];
	struct dirent *entry;
	uint64_t start_time = 0;

	if (!dir || !proc)
		return error_sys(e, "look for QEMU in /proc");
	snprintf(needle, sizeof(needle), ",path=%s/qmp.sock,", dir);
	while ((entry = readdir(proc))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && has_monitor(pid, needle, run_dir) &&
		    launch_start_time(&start_time, pid, e) == 0)
			return launch_attach(ret, pid, start_time, run_dir, e);
	}
	return error_set(e, ESRCH, "no QEMU runs in %s", run_dir);
}

/* Our children tell.  Others: QEMU takes its monitor's socket away when it ends
 * in good order. */
bool launch_died(const struct qemu_process *p, const char *qmp_path, char *ret,
		 size_t cap)
{
	siginfo_t info = { 0 };

	if (!p ||
	    waitid(P_PIDFD, (id_t)p->pidfd, &info,
		   WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0) {
		snprintf(ret, cap, "died");
		return qmp_path && qmp_path[0] && access(qmp_path, F_OK) == 0;
	}
	if (info.si_code == CLD_EXITED)
		snprintf(ret, cap, "ended with status %d", info.si_status);
	else
		snprintf(ret, cap, "was killed by signal %d", info.si_status);
	return info.si_code != CLD_EXITED || info.si_status != 0;
}

bool launch_alive(const struct qemu_process *p)
{
	return p->pidfd >= 0 && !wait_end(p, 0);
}

/* Of one that we have started, whose monitor is in its folder, all that was
 * started by it. */
static void end_group(const char *qmp_path, const char *scope)
{
	const char *slash = strrchr(qmp_path, '/');
	char run_dir[PATH_MAX];

	snprintf(run_dir, sizeof(run_dir), "%.*s",
		 slash ? (int)(slash - qmp_path) : 0, qmp_path);
	cgroup_end(run_dir);
	scope_end(scope);
}

int launch_end(struct qemu_process *p, uint64_t deadline_us, struct error *e)
{
	char scope[SCOPE_NAME];

	if (p->pidfd < 0)
		return error_set(e, ESRCH, "no process");
	scope_find(scope, p->pid);
	if (pidfd_send_signal(p->pidfd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
		return error_sys(e, "end QEMU, process %d", (int)p->pid);
	if (!wait_end(p, clock_poll_ms(deadline_us))) {
		(void)pidfd_send_signal(p->pidfd, SIGKILL, NULL, 0);
		if (!wait_end(p, KILL_WAIT_MS))
			return error_set(e, ETIMEDOUT,
					 "QEMU, process %d, cannot be killed",
					 (int)p->pid);
	}
	reap(p);
	end_group(p->qmp_path, scope);
	launch_forget(p);
	unlink(p->qmp_path);
	return 0;
}

void launch_forget(struct qemu_process *p)
{
	if (p->pidfd >= 0)
		close(p->pidfd);
	p->pidfd = -1;
	p->pid = 0;
}

void launch_identity(char *buf, size_t cap, const struct qemu_process *p)
{
	AUTO_CLOSE int fd =
		open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char boot[37] = "";
	ssize_t n = fd < 0 ? 0 : read(fd, boot, sizeof(boot) - 1);

	boot[n > 0 ? n : 0] = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	snprintf(buf, cap, "%s:%d:%llu", boot, (int)p->pid,
		 (unsigned long long)p->start_time);
}
