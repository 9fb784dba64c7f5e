/* SPDX-License-Identifier: MIT */

/*
 * A hook is what its administrator trusts with the word about a move, so a file
 * that others than root, or the service, can write is none: that is an error,
 * and no file that is left out.
 */
#include "host/hooks.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/words.h"
#include "host/events.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/terms.h"
#include "qemu/confine.h"
#include "qemu/files.h"
#include "qemu/spawn.h"

enum {
	HOOKS_MOST = 64,
	LIMIT_US = 30000000,
	ALL_US = 60000000, /* all of them: the other host waits */
	WORD_CAP = 200,
	READ_CAP = 1024,
	LEFT_READS = 64, /* what a pipe holds */
	TURN_MS = 250,
	USER_CAP = 4096,
	LATER_MOST = 128,
};

const char *const hook_when_names[HOOK_WHENS] = {
	[HOOK_BEFORE_MOVE] = "before-move",
	[HOOK_AFTER_MOVE] = "after-move",
	[HOOK_BEFORE_DRAIN] = "before-drain",
	[HOOK_AFTER_DRAIN] = "after-drain",
	[HOOK_FAULT] = "fault",
};

#define AT(member) SHAPE_AT(struct hook_event, member)

static const struct shape_field fields[] = {
	{ "when", SHAPE_NAME, 0, AT(when), .names = hook_when_names,
	  .most = HOOK_WHENS },
	{ "host", SHAPE_TEXT, 0, AT(host) },
	{ "job", SHAPE_TEXT, SHAPE_NULL, AT(job) },
	{ "role", SHAPE_NAME, SHAPE_NULL, AT(role),
	  SHAPE_HAS(struct hook_event, has_role), .names = role_names,
	  .most = ROLES },
	{ "machine", SHAPE_TEXT, SHAPE_NULL, AT(machine) },
	{ "peer", SHAPE_TEXT, SHAPE_NULL, AT(peer) },
	{ "state", SHAPE_TEXT, SHAPE_NULL, AT(state) },
	{ "error", SHAPE_TEXT, SHAPE_NULL, AT(error) },
};

#undef AT

const struct shape hook_event_shape = SHAPE(struct hook_event, fields);

/* --- which there are */

/* As run-parts(8) has it: no file that an editor or a package has left. */
static bool is_name(const char *name)
{
	const char *c = name;

	while (isalnum((unsigned char)*c) || *c == '-' || *c == '_')
		c++;
	return *name && !*c;
}

/* Only root, and who this service is, may say what it does. */
static int check_owner(const char *path, const struct stat *st, struct error *e)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return error_set(e, EACCES,
				 "%s belongs to user %u: hooks are root's",
				 path, (unsigned)st->st_uid);
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return error_set(e, EACCES,
				 "%s may be written by others than its owner: "
				 "chmod go-w %s",
				 path, path);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Those that are to be run; a file that is not executable is switched off. */
static int add_hook(struct words *to, int folder, const char *directory,
		    const char *name, struct error *e)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_sys(e, "%s", path);
	if (S_ISLNK(st.st_mode))
		return error_set(e, EACCES,
				 "%s is a link: put the hook itself there",
				 path);
	if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IXUSR))
		return 0;
	if (check_owner(path, &st, e) < 0)
		return error_code(e);
	if (to->count == HOOKS_MOST)
		return error_set(e, E2BIG, "%s has more than %d hooks",
				 directory, HOOKS_MOST);
	return words_add(to, path, e);
}

static int find_hooks(struct words *to, const char *directory, struct error *e)
{
	AUTO_CLOSEDIR DIR *d = opendir(directory);
	struct dirent *found;
	struct stat st;

	if (!d)
		return errno == ENOENT ? 0 : error_sys(e, "%s", directory);
	if (fstat(dirfd(d), &st) < 0)
		return error_sys(e, "%s", directory);
	if (check_owner(directory, &st, e) < 0)
		return error_code(e);
	while ((found = readdir(d)))
		if (is_name(found->d_name) &&
		    add_hook(to, dirfd(d), directory, found->d_name, e) < 0)
			return error_code(e);
	if (to->count > 1)
		qsort(to->at, to->count, sizeof(to->at[0]), by_name);
	return 0;
}

/* --- as whom */

/* A service that is not root is somebody already. */
static int find_user(struct confinement *ret, const char *name, struct error *e)
{
	struct passwd entry, *found = NULL;
	char buf[USER_CAP];

	*ret = (struct confinement){ .on = geteuid() == 0 };
	if (!ret->on)
		return 0;
	getpwnam_r(name, &entry, buf, sizeof(buf), &found);
	if (!found)
		return error_set(e, EACCES,
				 "there is no user %s for hooks to run as: "
				 "make one, or set hook-user in [host]",
				 name);
	if (found->pw_uid == 0)
		return error_set(e, EACCES,
				 "hook-user is %s, which is root: hooks run as "
				 "a user of their own",
				 name);
	ret->number = found->pw_uid;
	ret->group = found->pw_gid;
	return 0;
}

/* --- one of them */

struct running {
	const struct hooks *of;
	const char *path;
	pid_t pid;
	int pid_fd, output_fd;
	char last[WORD_CAP]; /* line that was whole */
	char line[WORD_CAP]; /* that is not yet */
	size_t len;
};

static void end_line(struct running *r)
{
	if (r->len > 0)
		text_printable(r->last, sizeof(r->last), r->line, r->len);
	r->len = 0;
}

/* False at the end. */
static bool read_output(struct running *r)
{
	char buf[READ_CAP];
	ssize_t n = read(r->output_fd, buf, sizeof(buf));

	for (ssize_t i = 0; i < n; i++)
		if (buf[i] == '\n')
			end_line(r);
		else if (r->len < sizeof(r->line))
			r->line[r->len++] = buf[i];
	return n > 0;
}

static int check_wanted(const struct running *r, uint64_t deadline_us,
			struct error *e)
{
	if (r->of->job && job_check_cancel(r->of->job, e) < 0)
		return error_code(e);
	if (clock_us() < deadline_us)
		return 0;
	return error_set(e, EACCES, "hook %s has not ended within its time",
			 r->path);
}

/* What it started may hold its output: its own end counts. */
static int wait_end(struct running *r, uint64_t deadline_us, struct error *e)
{
	struct pollfd p[] = { { .fd = r->pid_fd, .events = POLLIN },
			      { .fd = r->output_fd, .events = POLLIN },
			      { .fd = r->of->stop_fd, .events = POLLIN } };

	for (;;) {
		if (check_wanted(r, deadline_us, e) < 0)
			return error_code(e);
		if (poll(p, ARRAY_SIZE(p), TURN_MS) <= 0)
			continue;
		if (p[2].revents)
			return error_set(e, ECANCELED, "droverd is stopping");
		if (p[1].revents && !read_output(r))
			p[1].fd = -1;
		if (p[0].revents)
			return 0;
	}
}

/* What it started is in its group, or has left that and may write for ever. */
static int collect(struct running *r, bool ended, struct error *e)
{
	int status = 0;

	kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!ended)
		return error_code(e);
	for (int i = 0; i < LEFT_READS && read_output(r); i++)
		;
	end_line(r);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		return error_set(e, EACCES, "hook %s refuses: %s", r->path,
				 r->last[0] ? r->last : "it does not say why");
	if (WIFEXITED(status))
		return error_set(e, EACCES, "hook %s failed with status %d: %s",
				 r->path, WEXITSTATUS(status),
				 r->last[0] ? r->last : "it does not say why");
	return error_set(e, EACCES, "hook %s was ended by signal %d", r->path,
			 WTERMSIG(status));
}

/* Its end of the pipes is its own when this returns. */
static int start(struct running *r, const struct confinement *who,
		 const char *text, struct error *e)
{
	const struct named_files none = { 0 };
	char *argv[] = { (char *)(uintptr_t)r->path, NULL };
	int in[2] = { -1, -1 }, out[2] = { -1, -1 }, result;
	size_t len = strlen(text);

	if (pipe2(in, O_CLOEXEC) < 0)
		return error_sys(e, "hook %s", r->path);
	/* It fits: a pipe holds 64 KiB. */
	if (write(in[1], text, len) != (ssize_t)len ||
	    pipe2(out, O_CLOEXEC) < 0)
		result = error_sys(e, "hook %s", r->path);
	else
		result = spawn_process(&r->pid,
				       &(struct spawn){ .argv = argv,
							.directory = "/",
							.input_fd = in[0],
							.log_fd = out[1],
							.who = who,
							.cgroup_fd = -1,
							.files = &none },
				       e);
	close(in[0]);
	close(in[1]);
	scope_close(&out[1]);
	r->output_fd = out[0];
	if (result < 0)
		scope_close(&out[0]);
	return result;
}

static int run_one(const struct hooks *h, const char *path, const char *text,
		   const struct confinement *who, struct error *e)
{
	struct running r = { .of = h, .path = path };
	int result;

	if (start(&r, who, text, e) < 0) {
		/* Which nobody can make good while it is asked. */
		e->code = EACCES;
		return error_code(e);
	}
	fcntl(r.output_fd, F_SETFL, O_NONBLOCK);
	r.pid_fd = pidfd_open(r.pid, 0);
	result = r.pid_fd < 0 ? error_sys(e, "hook %s", path)
			      : wait_end(&r, clock_us() + h->limit_us, e);
	result = collect(&r, result == 0, e);
	scope_close(&r.pid_fd);
	close(r.output_fd);
	return result;
}

int hooks_run(const struct hooks *h, const char *text, struct error *e)
{
	SCOPED(words_done) struct words found = { 0 };
	const uint64_t until = clock_us() + ALL_US;
	struct confinement who;
	struct hooks one = *h;

	if (find_hooks(&found, h->directory, e) < 0)
		return error_code(e);
	if (found.count == 0)
		return 0;
	if (find_user(&who, h->user, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < found.count; i++) {
		uint64_t now = clock_us(), left = until > now ? until - now : 0;

		one.limit_us = left < h->limit_us ? left : h->limit_us;
		if (run_one(&one, found.at[i], text, &who, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* --- for the service */

struct hook_event hook_of_job(struct job *j, enum hook_when when)
{
	struct hook_event event = { .when = when,
				    .has_role = true,
				    .role = j->role };

	WITH_LOCK(&j->lock);

	snprintf(event.job, sizeof(event.job), "%s", j->id);
	snprintf(event.machine, sizeof(event.machine), "%s", j->machine);
	snprintf(event.peer, sizeof(event.peer), "%s", j->peer);
	if (j->state == JOB_RUNNING)
		return event;
	snprintf(event.state, sizeof(event.state), "%s",
		 job_state_names[j->state]);
	snprintf(event.error, sizeof(event.error), "%s", j->error);
	return event;
}

int hooks_ask(struct host *h, const struct hook_event *event, struct job *j,
	      struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(h);
	const struct host_settings *s = &t.settings->host;
	AUTO_FREE char *text = NULL;
	struct hook_event all = *event;

	snprintf(all.host, sizeof(all.host), "%s", h->settings->name);
	text = shape_text(&hook_event_shape, &all);
	if (!text)
		return error_set(e, ENOMEM, "no memory for a hook");
	return hooks_run(&(struct hooks){ .directory = s->hooks_directory,
					  .user = s->hook_user,
					  .limit_us = LIMIT_US,
					  .stop_fd = h->stop_fd,
					  .job = j },
			 text, e);
}

void hooks_tell(struct host *h, const struct hook_event *event)
{
	struct error e;

	if (hooks_ask(h, event, NULL, &e) < 0)
		log_warning("%s %s: %s", hook_when_names[event->when],
			    event->machine, e.text);
}

struct later {
	struct later *next;
	struct hook_event event;
	bool fault; /* as well */
};

struct hook_queue {
	pthread_mutex_t lock; /* guards the rest */
	struct later *first, **end;
	unsigned count;
	bool told; /* a thread takes them */
};

struct hook_queue *hook_queue_new(void)
{
	struct hook_queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	pthread_mutex_init(&q->lock, NULL);
	q->end = &q->first;
	return q;
}

static struct later *take_first(struct hook_queue *q)
{
	WITH_LOCK(&q->lock);

	struct later *l = q->first;

	q->told = l;
	if (!l)
		return NULL;
	q->first = l->next;
	if (!q->first)
		q->end = &q->first;
	q->count--;
	return l;
}

void hook_queue_free(struct hook_queue *q)
{
	struct later *l;

	if (!q)
		return;
	while ((l = take_first(q)))
		free(l);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static void *later_main(void *arg)
{
	struct host *h = arg;
	struct later *l;

	while ((l = take_first(h->hooks))) {
		hooks_tell(h, &l->event);
		l->event.when = HOOK_FAULT;
		if (l->fault)
			hooks_tell(h, &l->event);
		free(l);
	}
	return NULL;
}

/* Each move that a peer asks for, and that fails, is one to be told of: they
 * must not be as many threads and programs. */
static int put_last(struct host *h, struct later *l, struct error *e)
{
	struct hook_queue *q = h->hooks;

	WITH_LOCK(&q->lock);

	if (q->count == LATER_MOST)
		return error_set(e, EBUSY,
				 "no hook is told: %d others wait for theirs",
				 LATER_MOST);
	if (!q->told && jobs_thread(h->jobs, "hook", later_main, h, e) < 0)
		return error_code(e);
	q->told = true;
	*q->end = l;
	q->end = &l->next;
	q->count++;
	return 0;
}

static void tell_later(struct host *h, const struct hook_event *event,
		       bool fault)
{
	struct later *l = malloc(sizeof(*l));
	struct error e;
	int r;

	if (l) {
		*l = (struct later){ .event = *event, .fault = fault };
		r = put_last(h, l, &e);
	} else {
		r = error_set(&e, ENOMEM, "no memory for its hooks");
	}
	if (r == 0)
		return;
	log_warning("%s %s: %s", hook_when_names[event->when], event->machine,
		    e.text);
	free(l);
}

void hooks_tell_later(struct host *h, const struct hook_event *event)
{
	tell_later(h, event, false);
}

void hooks_tell_end(struct host *h, struct job *j)
{
	const struct hook_event event = hook_of_job(j, HOOK_AFTER_MOVE);

	tell_later(h, &event, job_state(j) == JOB_FAILED);
}

/* --- drains */

static void show_drain(struct host *h, const char *state)
{
	struct event e = { .kind = EVENT_DRAIN };

	snprintf(e.name, sizeof(e.name), "%s", h->settings->name);
	snprintf(e.state, sizeof(e.state), "%s", state);
	events_tell(h->events, &e);
}

int hooks_ask_drain(struct host *h, struct error *e)
{
	const struct hook_event before = { .when = HOOK_BEFORE_DRAIN };

	if (hooks_ask(h, &before, NULL, e) < 0)
		return error_code(e);
	show_drain(h, "draining");
	return 0;
}

void hooks_tell_drain(struct host *h, const char *state)
{
	struct hook_event after = { .when = HOOK_AFTER_DRAIN };

	snprintf(after.state, sizeof(after.state), "%s", state);
	show_drain(h, state);
	hooks_tell_later(h, &after);
}
