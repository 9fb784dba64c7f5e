/* SPDX-License-Identifier: MIT */

/*
 * How machines are: what their QEMUs say, and that one has ended.
 *
 * QEMU's monitor serves one client at a time, and moves, users and other
 * programs want it too.  So nobody here holds it to hear STOP and RESUME: who
 * looks at machines has their QEMUs asked, with a short limit, and those that
 * a job holds are not asked.  One that does not answer is as it was last
 * known, and is left alone for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "host/internal.h"
#include "qemu/qmp.h"

enum {
	WATCH_MAX = 1024,
	WATCH_TURN_MS = 1000, /* a machine that was started meanwhile */
	ASK_US = 400000,      /* for one QEMU to answer */
	ASK_ALL_US = 1500000,
	ASK_AGAIN_US = 3000000, /* one that did not */
	LOG_MOST = 1 << 20,
	LOG_KEPT = 64 << 10,
};

/* --- what QEMU says */

struct question {
	char name[64];
	pid_t pid;
	char path[108];
};

/* One that was not asked yet, of those that are free; false: none is left. */
static bool next_question(struct host *h, const char *name, unsigned turn,
			  struct question *ret)
{
	WITH_LOCK(&h->lock);

	for (struct machine *m = h->machines; m; m = m->next) {
		if (!m->started || m->busy[0] || m->asked == turn ||
		    (name && strcmp(m->name, name) != 0) ||
		    clock_us() < m->ask_again_us)
			continue;
		m->asked = turn;
		snprintf(ret->name, sizeof(ret->name), "%s", m->name);
		snprintf(ret->path, sizeof(ret->path), "%s",
			 m->process.qmp_path);
		ret->pid = m->process.pid;
		return true;
	}
	return false;
}

/* {"status": ..., "running": ...}; NULL: it does not say. */
static json_t *query_status(const char *path)
{
	struct error ignored;
	int fd = qmp_dial(path, &ignored);
	json_t *status = NULL;
	struct qmp *q;

	if (fd < 0 || qmp_open_fd(&q, fd, clock_us() + ASK_US, &ignored) < 0)
		return NULL;
	qmp_set_timeout(q, ASK_US);
	(void)qmp_run(q, "query-status", NULL, &status, &ignored);
	qmp_close(q);
	return status;
}

static void note_status(struct host *h, const struct question *of,
			const json_t *status)
{
	const char *text = json_string_value(json_object_get(status, "status"));
	struct machine *m;

	WITH_LOCK(&h->lock);

	m = machine_find(h, of->name);
	if (!m || !m->started || m->busy[0] || m->process.pid != of->pid)
		return;
	snprintf(m->status, sizeof(m->status), "%s", text ? text : "");
	if (status)
		m->paused = !json_is_true(json_object_get(status, "running"));
	else
		m->ask_again_us = clock_us() + ASK_AGAIN_US;
}

void machines_ask(struct host *h, const char *name)
{
	uint64_t deadline = clock_us() + ASK_ALL_US;
	struct question q;
	unsigned turn;

	{
		WITH_LOCK(&h->lock);

		turn = ++h->turn;
	}
	while (clock_us() < deadline && next_question(h, name, turn, &q)) {
		json_t *status = query_status(q.path);

		note_status(h, &q, status);
		json_decref(status);
	}
}

static const char *state_of(const struct host *h, const struct machine *m)
{
	if (machine_in_doubt(h, m))
		return "in-doubt";
	if (m->coming || !m->text)
		return "incoming";
	if (!m->started)
		return m->lost[0] ? "lost" : "stopped";
	if (!strcmp(m->status, "io-error"))
		return m->status;
	return m->paused ? "paused" : "running";
}

static json_t *busy_job(const struct machine *m)
{
	return !strncmp(m->busy, "job ", 4) ? json_string(m->busy + 4)
					    : json_null();
}

static json_t *text_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

/* In whichever state it is. */
static json_t *state_json(const struct host *h, const struct machine *m)
{
	return json_pack("{s:s,s:s,s:s,s:o,s:o,s:b,s:s,s:o,s:o}", "name",
			 m->name, "uuid", m->uuid, "state", state_of(h, m),
			 "pid",
			 m->started ? json_integer(m->process.pid)
				    : json_null(),
			 "job", busy_job(m), "adopted", m->adopted, "run_dir",
			 m->run_dir, "status", text_or_null(m->status), "lost",
			 text_or_null(m->lost));
}

json_t *machine_json(struct host *h, const struct machine *m)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	SCOPED(definition_done) struct definition d = { 0 };
	const char *text = m->coming ? m->coming : m->text;
	struct error ignored;
	json_t *o = state_json(h, m);
	bool known = text && definition_parse(&d, m->name, text, &ignored) == 0;

	json_object_update_new(o, json_pack("{s:I,s:i,s:s,s:s}", "memory",
					    (json_int_t)d.memory_bytes, "vcpus",
					    (int)d.vcpus, "machine",
					    known ? d.machine : "", "qemu",
					    !known   ? ""
					    : d.qemu ? d.qemu
						     : now->host.qemu));
	if (known && m->text)
		json_object_set_new(o, "definition", json_string(m->text));
	return o;
}

/* --- QEMUs that end by themselves */

void machine_note_end(struct machine *m, const struct qemu_process *p,
		      const char *qmp_path)
{
	char why[64], last[100] = "";

	if (!launch_died(p, qmp_path, why, sizeof(why))) {
		log_info("machine %s: its QEMU has ended", m->name);
		return;
	}
	if (!m->adopted)
		launch_last_words(m->run_dir, last, sizeof(last));
	snprintf(m->lost, sizeof(m->lost), "its QEMU %s%s%s", why,
		 last[0] ? ": " : "", last);
	log_warning("machine %s is lost: %s", m->name, m->lost);
}

/* Those that were started here are our children also when we know them no
 * more. */
void machine_forget_process(struct host *h, struct machine *m)
{
	siginfo_t info = { 0 };
	int r = waitid(P_PIDFD, (id_t)m->process.pidfd, &info,
		       WEXITED | WNOHANG | WNOWAIT);
	struct forgotten *f = r == 0 ? calloc(1, sizeof(*f)) : NULL;

	if (f) {
		WITH_LOCK(&h->lock);

		f->pidfd = m->process.pidfd;
		m->process.pidfd = -1;
		f->next = h->forgotten;
		h->forgotten = f;
	}
	launch_forget(&m->process);
}

static void reap_forgotten(struct host *h)
{
	WITH_LOCK(&h->lock);

	for (struct forgotten **p = &h->forgotten; *p;) {
		struct forgotten *f = *p;
		siginfo_t info = { 0 };
		int r = waitid(P_PIDFD, (id_t)f->pidfd, &info,
			       WEXITED | WNOHANG);

		if (r == 0 && info.si_pid == 0) {
			p = &f->next;
			continue;
		}
		*p = f->next;
		close(f->pidfd);
		free(f);
	}
}

/* QEMU appends to its log, whoever has made it shorter. */
static void bound_log(const char *run_dir)
{
	char path[PATH_MAX + 16];
	AUTO_CLOSE int fd = -1;
	AUTO_FREE char *end = NULL;
	struct stat st;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/qemu.log", run_dir);
	if (stat(path, &st) < 0 || st.st_size <= LOG_MOST)
		return;
	fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	end = malloc(LOG_KEPT);
	n = fd < 0 || !end ? -1
			   : pread(fd, end, LOG_KEPT, st.st_size - LOG_KEPT);
	if (n < 0 || ftruncate(fd, 0) < 0 || write(fd, end, (size_t)n) < 0)
		log_warning("%s: %s", path, strerrordesc_np(errno));
}

static void bound_logs(struct host *h)
{
	char run_dir[PATH_MAX];

	for (unsigned i = 0;; i++) {
		{
			struct machine *m;
			unsigned at = 0;

			WITH_LOCK(&h->lock);

			for (m = h->machines; m && at < i; m = m->next)
				at++;
			if (!m)
				return;
			snprintf(run_dir, sizeof(run_dir), "%s", m->run_dir);
		}
		bound_log(run_dir);
	}
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

static void end_of(struct host *h, struct machine *m)
{
	char lost[sizeof(m->lost)];
	struct error e;

	machine_note_end(m, &m->process, m->process.qmp_path);
	snprintf(lost, sizeof(lost), "%s", m->lost);
	launch_end(&m->process, clock_us(), &e);
	machine_set_stopped(h, m);

	WITH_LOCK(&h->lock);

	snprintf(m->lost, sizeof(m->lost), "%s", lost);
}

static void sweep(struct host *h)
{
	struct machine *m;
	struct error e;

	while ((m = take_ended(h))) {
		end_of(h, m);
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
		reap_forgotten(h);
		bound_logs(h);
	}
}
