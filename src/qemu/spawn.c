/* SPDX-License-Identifier: MIT */

/*
 * The child shares the memory of this process until it has become the program,
 * as that of posix_spawn(3) does: copying the tables of a memory that moves are
 * being made through would hold those up.  Meanwhile the thread that called
 * waits, the others run; so the child makes system calls and nothing else, on a
 * stack of its own, with all signals blocked.  It tells by a pipe what went
 * wrong; the pipe closes when the program is there.
 */
#include "qemu/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/thread.h"
#include "qemu/confine.h"
#include "qemu/files.h"
#include "qemu/grant.h"

enum {
	STACK = 64 * 1024,
	FIRST_KEPT = 3,
	SIGNALS = 64,
	KERNEL_SET = 8,
	LIMIT_US = 5000000, /* looks at files, no more */
};

struct child {
	const struct spawn *s;
	int null_fd, report_fd;
	const char *path; /* that cannot be opened */
};

struct report {
	int step, code;
	const char *path;
};

static int own_session(struct child *c)
{
	(void)c;
	return (int)syscall(SYS_setsid);
}

static int take_files(struct child *c)
{
	const struct spawn *s = c->s;

	if (syscall(SYS_dup3, s->input_fd ? s->input_fd : c->null_fd, 0, 0) <
		    0 ||
	    syscall(SYS_dup3, s->log_fd, 1, 0) < 0 ||
	    syscall(SYS_dup3, s->log_fd, 2, 0) < 0 ||
	    syscall(SYS_close_range, FIRST_KEPT, UINT_MAX,
		    CLOSE_RANGE_CLOEXEC) < 0)
		return -1;
	for (size_t i = 0; i < s->kept_count; i++)
		if (syscall(SYS_fcntl, s->kept[i], F_SETFD, 0) < 0)
			return -1;
	return 0;
}

/* It, and whatever it starts, gets none of them by itself. */
static int keep_pages_small(struct child *c)
{
	return c->s->small_pages
		       ? (int)syscall(SYS_prctl, PR_SET_THP_DISABLE, 1, 0, 0, 0)
		       : 0;
}

/* It does without. */
static int enter_group(struct child *c)
{
	if (c->s->cgroup_fd >= 0)
		syscall(SYS_write, c->s->cgroup_fd, "0", 1);
	return 0;
}

static int see_as_user(struct child *c)
{
	return confine_look(c->s->who);
}

/* From here on others of its user can stop it: nothing but the program is to
 * follow. */
static int become(struct child *c)
{
	return confine_enter(c->s->who);
}

/* What is ignored here would be there; handlers end by themselves. */
static int reset_signals(struct child *c)
{
	static const struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		uint64_t mask;
	} fresh;
	static const uint64_t none;

	(void)c;
	for (int i = 1; i <= SIGNALS; i++)
		syscall(SYS_rt_sigaction, i, &fresh, NULL, KERNEL_SET);
	return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL,
			    KERNEL_SET);
}

/* What is not there yet, or not any more, is QEMU's to say. */
static int try_files(struct child *c, const struct words *w, int how)
{
	for (size_t i = 0; i < w->count; i++) {
		if (syscall(SYS_faccessat2, AT_FDCWD, w->at[i], how,
			    AT_EACCESS) == 0 ||
		    (errno != EACCES && errno != EPERM))
			continue;
		c->path = w->at[i];
		return -1;
	}
	return 0;
}

static int look_at_files(struct child *c)
{
	const struct named_files *f = c->s->files;

	if (try_files(c, &f->reads, R_OK) < 0)
		return -1;
	return try_files(c, &f->writes, R_OK | W_OK);
}

/* As its user: it may have no way there. */
static int enter_directory(struct child *c)
{
	return (int)syscall(SYS_chdir, c->s->directory);
}

static int execute(struct child *c)
{
	return (int)syscall(SYS_execve, c->s->argv[0], c->s->argv, environ);
}

static const struct {
	const char *what; /* NULL: the program itself */
	int (*run)(struct child *c);
} steps[] = {
	{ "a session of its own", own_session },
	{ "its log and descriptors", take_files },
	{ "its control group", enter_group },
	{ "normal pages", keep_pages_small },
	{ "its signals", reset_signals },
	{ "its user's rights", see_as_user },
	{ "its files", look_at_files },
	{ NULL, enter_directory },
	{ "become its user", become },
	{ NULL, execute },
};

static int child_main(void *arg)
{
	struct child *c = arg;
	struct report r = { 0 };

	while (steps[r.step].run(c) >= 0)
		r.step++;
	r.code = errno;
	r.path = c->path;
	syscall(SYS_write, c->report_fd, &r, sizeof(r));
	syscall(SYS_exit_group, 127);
	return 0;
}

/* --- the child, and who waits for it */

/* The thread that starts a child waits for it in the kernel.  A child that is
 * stopped, or that hangs in a storage, would keep it there, and with it all who
 * wait to start another: this one ends it. */
struct watch {
	uint64_t limit_us;
	sem_t over; /* it is the program, or has ended */
	pid_t pid;  /* 0: there is none yet */
	bool late;
};

static bool wait_over(struct watch *w)
{
	const struct timespec until = clock_timespec(clock_us() + w->limit_us);
	int r;

	do
		r = sem_clockwait(&w->over, CLOCK_MONOTONIC, &until);
	while (r < 0 && errno == EINTR);
	return r == 0;
}

static void *watch_main(void *arg)
{
	struct watch *w = arg;

	while (!wait_over(w)) {
		pid_t pid = __atomic_load_n(&w->pid, __ATOMIC_ACQUIRE);

		/* Nobody collects it before this thread has ended. */
		if (pid > 0)
			w->late = kill(pid, SIGKILL) == 0;
	}
	return NULL;
}

static int clone_watched(struct child *c, char *stack, struct watch *w)
{
	pthread_t watcher;
	int pid, code = thread_create(&watcher, "start", watch_main, w);

	if (code == 0) {
		pid = clone(child_main, stack + STACK,
			    CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID |
				    SIGCHLD,
			    c, &w->pid);
		code = errno;
		sem_post(&w->over);
		pthread_join(watcher, NULL);
		if (pid >= 0)
			return pid;
	}
	errno = code;
	return -1;
}

/* Whether huge pages are given is of a memory, and so of this process as well
 * until the child has one of its own: while one is started without them, no
 * other is, and it is as it was then. */
static int clone_apart(struct child *c, char *stack, struct watch *w)
{
	static pthread_rwlock_t apart = PTHREAD_RWLOCK_INITIALIZER;
	int had, pid;

	if (!c->s->small_pages) {
		pthread_rwlock_rdlock(&apart);
		pid = clone_watched(c, stack, w);
		pthread_rwlock_unlock(&apart);
		return pid;
	}
	pthread_rwlock_wrlock(&apart);
	had = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
	pid = clone_watched(c, stack, w);
	if (had == 0)
		prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
	pthread_rwlock_unlock(&apart);
	return pid;
}

static int watched_end(pid_t pid, const struct watch *w, struct error *e)
{
	if (pid < 0)
		return error_sys(e, "a process");
	if (!w->late)
		return pid;
	waitpid(pid, NULL, 0);
	return error_set(e, ETIMEDOUT,
			 "it was not the program within %u ms, and was ended: "
			 "look for storage that hangs, or what else its user "
			 "runs that stops it",
			 (unsigned)(w->limit_us / USEC_PER_MS));
}

static int start_child(struct child *c, struct error *e)
{
	struct watch w = { .limit_us =
				   c->s->limit_us ? c->s->limit_us : LIMIT_US };
	sigset_t all, before;
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	pid_t pid;

	if (stack == MAP_FAILED)
		return error_sys(e, "a stack");
	sem_init(&w.over, 0, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pid = clone_apart(c, stack, &w);
	pid = watched_end(pid, &w, e);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	munmap(stack, STACK);
	sem_destroy(&w.over);
	return pid;
}

static int explain(const struct spawn *s, const struct report *r,
		   struct error *e)
{
	const char *what = steps[r->step].what;

	if (r->path) {
		grant_explain(r->path, s->who, e);
		return error_code(e);
	}
	if (what)
		return error_set(e, r->code, "start %s: %s: %s", s->argv[0],
				 what, strerrordesc_np(r->code));
	return error_set(e, r->code, "start %s in %s: %s", s->argv[0],
			 s->directory, strerrordesc_np(r->code));
}

int spawn_process(pid_t *ret, const struct spawn *s, struct error *e)
{
	AUTO_CLOSE int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int both[2], pid;
	struct report r;
	ssize_t n;

	if (null_fd < 0 || pipe2(both, O_CLOEXEC) < 0)
		return error_sys(e, "start %s", s->argv[0]);
	pid = start_child(&(struct child){ s, .null_fd = null_fd,
					   .report_fd = both[1] },
			  e);
	close(both[1]);
	do
		n = pid < 0 ? 0 : read(both[0], &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	close(both[0]);
	if (pid < 0)
		return error_in(e, "start %s", s->argv[0]);
	if (n == sizeof(r)) {
		waitpid(pid, NULL, 0);
		return explain(s, &r, e);
	}
	descriptors_restore(pid);
	*ret = pid;
	return 0;
}
