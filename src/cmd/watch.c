/* SPDX-License-Identifier: MIT */
#include "cmd/watch.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/progress.h"

#define POLL_US (USEC_PER_SEC / 5)
#define PATIENCE_US (30 * USEC_PER_SEC)

enum { LINE_CAP = 512, PATH_CAP = 128 };

struct watch {
	struct call *call;
	const char *id;
	char now[32]; /* what @id is where a restart has made it another */
	enum watch_interrupt interrupt;
	bool terminal;              /* the line stays */
	bool line_open;             /* the cursor stands behind it */
	bool seen;                  /* the job, at least once */
	char machine[64], peer[64]; /* of the job that was seen */
	char advised[512];          /* the last advice that was shown */
	int interrupts_seen;
	uint64_t next_line_us; /* on a pipe, and with --json */
	uint64_t lost_us;      /* since when the service is away, or 0 */
};

static volatile sig_atomic_t interrupts;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupts++;
}

void watch_prepare(void)
{
	const struct sigaction act = { .sa_handler = on_interrupt };

	sigaction(SIGINT, &act, NULL);
}

/* What is said while the line stands goes onto a line of its own. */
static void end_line(struct watch *w)
{
	if (!w->line_open)
		return;
	fputs("\n", stdout);
	fflush(stdout);
	w->line_open = false;
}

static bool has_ended(const json_t *job)
{
	const char *state = output_string(job, "state");

	return !state || strcmp(state, "running") != 0;
}

static void show(struct watch *w, const json_t *job)
{
	char line[LINE_CAP];
	uint64_t now = clock_us();

	if (w->interrupt == WATCH_WAITS)
		return;
	if (w->terminal) {
		progress_line(line, sizeof(line), job, output_width());
		printf("\r%s\033[K", line);
		fflush(stdout);
		w->line_open = true;
		return;
	}
	if (now < w->next_line_us && !(w->call->json && has_ended(job)))
		return;
	w->next_line_us = now + USEC_PER_SEC;
	if (w->call->json) {
		output_json_line(stdout, job);
		return;
	}
	progress_plain(line, sizeof(line), job);
	puts(line);
	fflush(stdout);
}

/* A restart has undone it, and the move is queued again, as the job @id. */
static void follow(struct watch *w, const char *id)
{
	end_line(w);
	call_warn(w->call,
		  "droverd was started again, which undid job %.64s: the move "
		  "is queued again as job %.31s",
		  w->id, id);
	snprintf(w->now, sizeof(w->now), "%s", id);
	w->id = w->now;
}

/* Of a job that the service has forgotten; NULL: there is none. */
static const json_t *find_again(const struct watch *w, const json_t *jobs)
{
	const json_t *job;
	size_t i;

	json_array_foreach (jobs, i, job) {
		const char *after = output_string(job, "after");

		if (after && !strcmp(after, w->id))
			return job;
	}
	return NULL;
}

static bool follows_forgotten(struct watch *w)
{
	AUTO_JSON json_t *jobs = NULL;
	const json_t *job = NULL;
	struct error ignored;

	if (client_get(w->call->client, "/v1/jobs", &jobs, &ignored) == 0)
		job = find_again(w, jobs);
	if (!job || !output_string(job, "id"))
		return false;
	follow(w, output_string(job, "id"));
	return true;
}

/* The service answers, and does not know a job that was seen: it was started
 * again, and remembers only what is not decided. */
static int explain_forgotten(const struct watch *w, struct error *e)
{
	AUTO_JSON json_t *machine = NULL;
	const char *state = NULL;
	char path[PATH_CAP];
	struct error ignored;

	if (call_path(path, sizeof(path), "/v1/machines/", w->machine, "",
		      &ignored) == 0 &&
	    client_get(w->call->client, path, &machine, &ignored) == 0)
		state = output_string(machine, "state");
	if (!state)
		return error_set(e, ESTALE,
				 "droverd was started again and has forgotten "
				 "job %s; %s is not on this host: look for it "
				 "on %s",
				 w->id, w->machine, w->peer);
	return error_set(e, ESTALE,
			 "droverd was started again, which undid job %s: %s is "
			 "%s on this host",
			 w->id, w->machine, state);
}

static void remember(struct watch *w, const json_t *job)
{
	const char *machine = output_string(job, "machine");
	const char *peer = output_string(job, "peer");

	snprintf(w->machine, sizeof(w->machine), "%s", machine ? machine : "");
	snprintf(w->peer, sizeof(w->peer), "%s", peer ? peer : "");
	w->seen = true;
	w->lost_us = 0;
}

/* A service that is being restarted finishes its jobs; so the watcher waits
 * for it a while once it has seen the job. */
static int fetch(struct watch *w, json_t **ret, struct error *e)
{
	char path[PATH_CAP];
	int r;

	if ((r = call_path(path, sizeof(path), "/v1/jobs/", w->id, "", e)) < 0)
		return r;
	for (;;) {
		r = client_get(w->call->client, path, ret, e);
		if (r != -ENOTCONN || !w->seen)
			break;
		if (!w->lost_us) {
			w->lost_us = clock_us();
			end_line(w);
			call_warn(w->call, "droverd is away; waiting up to "
					   "30 s for it");
		}
		if (interrupts > w->interrupts_seen ||
		    clock_us() - w->lost_us > PATIENCE_US)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 200000000 }, NULL);
	}
	if (r == -EREMOTEIO && w->seen)
		return follows_forgotten(w) ? 0 : explain_forgotten(w, e);
	if (r < 0)
		return r;
	remember(w, *ret);
	return 0;
}

/* STATUS_DONE: go on watching. */
static int handle_interrupt(struct watch *w)
{
	char path[PATH_CAP], text[128];
	struct error e = { 0 };
	AUTO_JSON json_t *job = NULL;

	w->interrupts_seen++;
	end_line(w);
	if (w->interrupt != WATCH_CANCELS || w->interrupts_seen > 1) {
		snprintf(text, sizeof(text),
			 "job %.64s goes on unwatched: see 'drover job show "
			 "%.64s'",
			 w->id, w->id);
		return call_fail(w->call, outcome_of_code(-EINTR), text, NULL);
	}
	call_warn(w->call, "the job is being cancelled; waiting for its end");
	if (call_path(path, sizeof(path), "/v1/jobs/", w->id, "/cancel", &e) <
		    0 ||
	    client_post(w->call->client, path, NULL, &job, &e) < 0)
		call_warn(w->call, "the job cannot be cancelled: %s", e.text);
	return STATUS_DONE;
}

static int conclude(struct watch *w, const json_t *job)
{
	const char *state = output_string(job, "state");
	const char *error = output_string(job, "error");
	const char *advice = output_string(job, "advice");
	const struct outcome *o = outcome_of_job(job);
	char text[512];

	end_line(w);
	if (!w->call->json && w->interrupt != WATCH_WAITS)
		report_print(stdout, job);
	fflush(stdout);
	if (o->status == STATUS_DONE)
		return STATUS_DONE;
	if (!state)
		state = "the job ended without saying how";
	if (error && strcmp(state, "failed") != 0 && strcmp(state, error) != 0)
		snprintf(text, sizeof(text), "%s: %s", state, error);
	else
		snprintf(text, sizeof(text), "%s", error ? error : state);
	return call_fail(w->call, o, text, advice);
}

/* While it runs, each time that it is another. */
static void advise(struct watch *w, const json_t *job)
{
	const char *advice = output_string(job, "advice");

	if (!advice)
		advice = "";
	if (has_ended(job) || !strcmp(advice, w->advised))
		return;
	snprintf(w->advised, sizeof(w->advised), "%s", advice);
	if (!advice[0])
		return;
	end_line(w);
	call_warn(w->call, "%s", advice);
}

/* A terminal that can only write one line after the other. */
static bool is_dumb(void)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there are no threads */
	const char *term = getenv("TERM");

	return term && !strcmp(term, "dumb");
}

int watch_job(struct call *c, const char *id, enum watch_interrupt interrupt,
	      struct error *e)
{
	struct watch w = {
		.call = c,
		.id = id,
		.interrupt = interrupt,
		.terminal = !c->json && isatty(STDOUT_FILENO) && !is_dumb(),
	};

	for (;;) {
		AUTO_JSON json_t *job = NULL;
		int r = fetch(&w, &job, e), left;

		if (r < 0) {
			end_line(&w);
			return r;
		}
		if (!job)
			continue;
		if (has_ended(job) && output_string(job, "again")) {
			follow(&w, output_string(job, "again"));
			continue;
		}
		show(&w, job);
		advise(&w, job);
		/* A reader that left has seen enough. */
		if (ferror(stdout))
			return 0;
		if (has_ended(job))
			return conclude(&w, job);
		if (interrupts > w.interrupts_seen &&
		    (left = handle_interrupt(&w)) != STATUS_DONE)
			return left;
		nanosleep(&(struct timespec){ .tv_nsec = POLL_US * 1000 },
			  NULL);
	}
}

int watch_new_job(struct call *c, json_t *job, bool background, struct error *e)
{
	AUTO_JSON json_t *mine = job;
	const char *id = output_string(mine, "id");

	if (!id)
		return error_set(e, EPROTO,
				 "the service gave a job without "
				 "an id");
	if (!background)
		return watch_job(c, id, WATCH_CANCELS, e);
	if (c->json)
		output_json(stdout, mine);
	else
		printf("Job %s runs in the background; follow it with "
		       "'drover job watch %s'.\n",
		       id, id);
	return 0;
}
