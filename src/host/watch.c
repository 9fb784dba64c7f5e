/* SPDX-License-Identifier: MIT */
#include "host/watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/thread.h"
#include "host/folders.h"
#include "host/registry.h"
#include "qemu/granted.h"

enum {
	WATCH_MAX = 1024,
	WATCH_TURN_MS = 1000, /* a machine that was started meanwhile */
};

/* A process that nobody asks after any more. */
struct forgotten {
	int pidfd;
	uid_t number; /* its user, where it is confined */
	struct forgotten *next;
};

struct watch {
	/* set before the thread starts */
	struct registry *registry;
	const char *state_directory;
	int stop_fd;
	pthread_t thread;

	pthread_mutex_t lock; /* guards what follows */
	struct forgotten *forgotten;
};

struct watch *watch_new(struct registry *r, const char *state_directory)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->registry = r;
	w->state_directory = state_directory;
	pthread_mutex_init(&w->lock, NULL);
	return w;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	while (w->forgotten) {
		struct forgotten *f = w->forgotten;

		w->forgotten = f->next;
		close(f->pidfd);
		free(f);
	}
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* --- QEMUs that end */

void watch_describe_end(char ret[static STORE_WHY_CAP],
			const struct machine_record *m,
			const struct qemu_process *p, const char *qmp_path)
{
	char why[64], last[100] = "";

	ret[0] = '\0';
	if (!launch_died(p, qmp_path, why, sizeof(why))) {
		log_info("machine %s: its QEMU has ended", m->name);
		return;
	}
	if (!m->adopted)
		launch_last_words(m->run_dir, last, sizeof(last));
	snprintf(ret, STORE_WHY_CAP, "its QEMU %s%s%s", why,
		 last[0] ? ": " : "", last);
	log_warning("machine %s is lost: %s", m->name, ret);
}

static void end_of(struct watch *w, struct machine *m)
{
	const struct machine_record *c = machine_record(m);
	struct qemu_process p = c->process;
	char lost[STORE_WHY_CAP];
	struct error e;

	watch_describe_end(lost, c, &p, p.qmp_path);
	launch_end(&p, clock_us(), &e);
	launch_withdraw(w->state_directory, c->name, c->text, c->run_dir);
	machine_set_stopped(w->registry, m, lost);
}

static void sweep(struct watch *w)
{
	struct machine *m;
	struct error e;

	while ((m = machine_take_ended(w->registry))) {
		end_of(w, m);
		if (machine_save(w->registry, m, &e) < 0)
			log_error("%s", e.text);
		machine_release(w->registry, m);
	}
}

/* --- those that are known no more */

void watch_forget_process(struct watch *w, struct qemu_process *p, uid_t number)
{
	struct forgotten *f = calloc(1, sizeof(*f));

	if (f) {
		WITH_LOCK(&w->lock);

		f->pidfd = take_fd(&p->pidfd);
		f->number = number;
		f->next = w->forgotten;
		w->forgotten = f;
	}
	launch_forget(p);
}

/* One that has ended, out of the list; NULL: all live. */
static struct forgotten *take_ended(struct watch *w)
{
	WITH_LOCK(&w->lock);

	for (struct forgotten **p = &w->forgotten; *p; p = &(*p)->next) {
		struct forgotten *f = *p;
		struct pollfd end = { .fd = f->pidfd, .events = POLLIN };

		if (poll(&end, 1, 0) <= 0)
			continue;
		*p = f->next;
		return f;
	}
	return NULL;
}

static void reap_forgotten(struct watch *w)
{
	struct forgotten *f;
	siginfo_t info;

	while ((f = take_ended(w))) {
		/* One of an earlier daemon's is no child of ours. */
		(void)waitid(P_PIDFD, (id_t)f->pidfd, &info, WEXITED | WNOHANG);
		granted_take_back_unused(w->state_directory, f->number);
		close(f->pidfd);
		free(f);
	}
}

static void bound_folders(struct watch *w)
{
	for (unsigned i = 0;; i++) {
		SCOPED(registry_text_done) struct registry_text m;

		if (!registry_text(w->registry, i, &m))
			return;
		folder_bound(&m);
	}
}

/* --- the thread */

static void *watch_main(void *arg)
{
	struct pollfd p[WATCH_MAX];
	struct watch *w = arg;

	for (;;) {
		nfds_t n;

		p[0] = (struct pollfd){ .fd = w->stop_fd, .events = POLLIN };
		n = registry_poll(w->registry, p, 1, WATCH_MAX);
		poll(p, n, WATCH_TURN_MS);
		if (p[0].revents)
			return NULL;
		sweep(w);
		reap_forgotten(w);
		bound_folders(w);
	}
}

int watch_start(struct watch *w, int stop_fd, struct error *e)
{
	int r;

	w->stop_fd = stop_fd;
	r = thread_create(&w->thread, "machines", watch_main, w);
	return r == 0 ? 0 : error_set(e, r, "no thread to watch machines");
}

void watch_stop(struct watch *w)
{
	pthread_join(w->thread, NULL);
}
