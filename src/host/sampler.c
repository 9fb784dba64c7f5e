/* SPDX-License-Identifier: MIT */

/*
 * Each turn fills a sample that is the thread's own, each source under that
 * source's lock for as long as a copy takes, and swaps it in under the lock of
 * this file.  Rates are the differences of two samples: where a card is new, or
 * its counters began again, there is a gap.
 */
#include "host/sampler.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/thread.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/registry.h"
#include "host/room.h"
#include "nic/watch.h"
#include "qemu/probe.h"

enum {
	GUESTS_MAX = 1024,
	COUNTERS_MAX = 512,
	JOBS_MAX = 512,
	SERIES_MAX = 160, /* two for each card */
};

struct named_series {
	char name[SERIES_NAME];
	struct series *series;
};

/* Processor time of a QEMU when it was last looked at. */
struct guest_time {
	int pid;
	double seconds;
};

struct sampler {
	struct host *host;
	pthread_t thread;
	uint64_t started_wall_us, started_us;

	/* the thread's */
	struct counters *counters; /* NULL: cards are not counted */
	struct sample next, before;
	struct guest_time guests[GUESTS_MAX];
	unsigned guests_count;

	pthread_mutex_t lock; /* guards what follows */
	struct sample last;
	uint64_t second; /* in which it was taken */
	struct sample_ended ended;
	struct named_series series[SERIES_MAX];
	unsigned series_count;
};

struct sampler *sampler_new(struct host *h)
{
	struct sampler *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->host = h;
	s->started_us = clock_us();
	s->started_wall_us = clock_wall_us();
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void sampler_free(struct sampler *s)
{
	if (!s)
		return;
	for (unsigned i = 0; i < s->series_count; i++)
		series_free(s->series[i].series);
	counters_close(s->counters);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* --- cards */

static const struct counter *counter_of(const struct counter *all, int n,
					int ifindex)
{
	for (int i = 0; i < n; i++)
		if (all[i].ifindex == ifindex)
			return &all[i];
	return NULL;
}

/* A port of a guest, or of a container, is none of the host's cards. */
static bool is_port(const struct nic *n)
{
	return n->kind == NIC_LOOPBACK || (n->kind == NIC_TUN && n->master);
}

static void see_cards(struct sampler *s, struct sample *to)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(s->host->nics);
	struct counter all[COUNTERS_MAX];
	struct error ignored;
	int n = -1;

	to->cards_count = 0;
	if (s->counters)
		n = counters_read(s->counters, all, COUNTERS_MAX, &ignored);
	for (size_t i = 0; i < inv->count; i++) {
		const struct nic *c = &inv->at[i];
		const struct counter *count = counter_of(all, n, c->ifindex);
		struct sample_card *at = &to->cards[to->cards_count];

		if (!count || is_port(c) || to->cards_count == SAMPLE_CARDS)
			continue;
		*at = (struct sample_card){ .up = c->up,
					    .carrier = c->carrier,
					    .speed_mbit = c->speed_mbit,
					    .count = *count };
		snprintf(at->name, sizeof(at->name), "%s", c->name);
		to->cards_count++;
	}
}

/* --- jobs */

static void add_grown(uint64_t *to, uint64_t *before, uint64_t now)
{
	if (now <= *before)
		return;
	*to += now - *before;
	*before = now;
}

/* What has left since it was counted last, so that a counter neither falls nor
 * has anything twice when a job ends.  Under the lock of @j. */
static void count_flow(struct sampler *s, struct job *j)
{
	struct job_flow *b = &j->counted;
	struct job_flow now = { .pages = j->progress.pages,
				.sent = j->progress.bytes_sent,
				.rdma = j->progress.rdma };

	if (j->kind != JOB_MOVE || j->role != ROLE_SOURCE)
		return;
	if (j->has_report) {
		now.pages = j->report.pages;
		now.sent = j->report.bytes.wire;
	}

	WITH_LOCK(&s->lock);

	for (int i = 0; i < RUN_KINDS; i++)
		add_grown(&s->ended.flow.pages.of[i], &b->pages.of[i],
			  now.pages.of[i]);
	add_grown(&s->ended.flow.sent, &b->sent, now.sent);
	add_grown(&s->ended.flow.rdma, &b->rdma, now.rdma);
}

static void see_job(struct sampler *s, struct sample *to, struct job *j)
{
	struct sample_job *at = &to->jobs[to->jobs_count];
	const struct job_progress *p = &j->progress;

	WITH_LOCK(&j->lock);

	count_flow(s, j);
	if (j->waits)
		to->waiting++;
	else
		to->running++;
	if (to->jobs_count == SAMPLE_JOBS)
		return;
	to->jobs_count++;
	*at = (struct sample_job){ .kind = j->kind,
				   .role = j->role,
				   .stage = j->stage,
				   .waits = j->waits,
				   .outage = p->outage,
				   .sent = p->bytes_sent,
				   .remaining = p->remaining,
				   .total = p->ram_total,
				   .rate = p->rate,
				   .dirty_rate = p->dirty_rate,
				   .channels = p->channels,
				   .downtime_ms = p->downtime_estimate_ms };
	snprintf(at->machine, sizeof(at->machine), "%s", j->machine);
	snprintf(at->peer, sizeof(at->peer), "%s", j->peer);
}

static void see_jobs(struct sampler *s, struct sample *to)
{
	struct job *all[JOBS_MAX];
	unsigned n = jobs_hold_running(s->host->jobs, all, JOBS_MAX);

	to->jobs_count = to->running = to->waiting = 0;
	for (unsigned i = 0; i < n; i++) {
		see_job(s, to, all[i]);
		job_drop(all[i]);
	}
	to->doubtful = jobs_doubtful(s->host->jobs, ROLE_SOURCE) +
		       jobs_doubtful(s->host->jobs, ROLE_DESTINATION);
}

static void count_ended(struct sample_ended *to, const struct job *j)
{
	const int result = (int)j->state - JOB_DONE;
	const enum error_kind why =
		j->state == JOB_FAILED ? j->failure : ERROR_AS_CODE;

	to->jobs[j->kind][j->role][result][why]++;
	if (j->kind != JOB_MOVE || j->role != ROLE_SOURCE)
		return;
	if (j->has_report)
		to->resent += j->report.bytes.resent;
	if (j->state != JOB_DONE)
		return;
	histogram_add(&to->duration,
		      (double)(j->ended_us - j->started_us) / USEC_PER_SEC);
	if (j->has_report && j->report.downtime_ms >= 0)
		histogram_add(&to->downtime,
			      (double)j->report.downtime_ms / 1000);
}

void sampler_job_changed(struct sampler *s, struct job *j)
{
	static_assert(JOB_FAILED == JOB_DONE + 1 &&
			      JOB_CANCELLED == JOB_DONE + 2 &&
			      JOB_STATES == JOB_DONE + SAMPLE_RESULTS,
		      "what has ended comes last");
	WITH_LOCK(&j->lock);

	if (j->state < JOB_DONE)
		return;
	count_flow(s, j);
	pthread_mutex_lock(&s->lock);
	count_ended(&s->ended, j);
	pthread_mutex_unlock(&s->lock);
}

/* --- processors and memory */

/* A number of a line of words parted by blanks, from 0. */
static uint64_t nth_number(const char *line, unsigned n)
{
	while (n-- > 0) {
		line += strcspn(line, " ");
		line += strspn(line, " ");
	}
	return strtoull(line, NULL, 10);
}

/* Seconds of processor time that @pid took; NAN: it has ended. */
static double processor_time(int pid)
{
	/* Behind the name, which may have any letter: proc(5). */
	enum { USER = 12, SYSTEM };
	char line[1024];
	const char *at;

	if (!text_read_line(line, sizeof(line), "/proc/%d/stat", pid))
		return NAN;
	at = strrchr(line, ')');
	if (!at)
		return NAN;
	return (double)(nth_number(at, USER) + nth_number(at, SYSTEM)) /
	       (double)sysconf(_SC_CLK_TCK);
}

/* What a QEMU took between two looks; all of it when it is new. */
static double took(const struct sampler *s, int pid, double now)
{
	for (unsigned i = 0; i < s->guests_count; i++)
		if (s->guests[i].pid == pid && s->guests[i].seconds <= now)
			return now - s->guests[i].seconds;
	return now;
}

static void see_guests(struct sampler *s, struct sample *to)
{
	struct guest_time now[GUESTS_MAX];
	int pids[GUESTS_MAX];
	unsigned n = registry_processes(s->host->registry, pids, GUESTS_MAX);
	unsigned count = 0;

	to->machines = n;
	for (unsigned i = 0; i < n && i < GUESTS_MAX; i++) {
		double seconds = pids[i] ? processor_time(pids[i]) : NAN;

		if (isnan(seconds))
			continue;
		to->guests_cpu += took(s, pids[i], seconds);
		now[count++] = (struct guest_time){ pids[i], seconds };
	}
	memcpy(s->guests, now, count * sizeof(*now));
	s->guests_count = to->guests = count;
}

static unsigned count_files(void)
{
	AUTO_CLOSEDIR DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	return n > 3 ? n - 3 : 0; /* ".", ".." and the folder's own */
}

static void see_ourselves(struct sampler *s, struct sample *to)
{
	struct rusage used;
	struct sysinfo info;
	char line[256];
	uint64_t left = room_available(getpid());

	getrusage(RUSAGE_SELF, &used);
	to->own_cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		      (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) /
			      USEC_PER_SEC;
	if (text_read_line(line, sizeof(line), "/proc/self/statm"))
		to->resident =
			nth_number(line, 1) * (uint64_t)sysconf(_SC_PAGESIZE);
	sysinfo(&info);
	to->memory_total = (uint64_t)info.totalram * info.mem_unit;
	to->memory_available = left == UINT64_MAX ? 0 : left;
	to->open_files = count_files();
	to->started = (double)s->started_wall_us / USEC_PER_SEC;
}

/* Asked by who needs to know: this waits for no program. */
static void see_qemu(struct sampler *s, struct sample *to)
{
	AUTO_SETTINGS struct settings *now = live_now(&s->host->live);

	probe_known(now->host.qemu, &to->qemu_major, &to->qemu_minor,
		    &to->qemu_micro);
}

/* --- rings */

/* Locked. */
static struct series *find_series(const struct sampler *s, const char *name)
{
	for (unsigned i = 0; i < s->series_count; i++)
		if (!strcmp(s->series[i].name, name))
			return s->series[i].series;
	return NULL;
}

/* Locked.  One that has no place is not kept. */
static struct series *series_named(struct sampler *s, const char *name)
{
	struct named_series *at;
	struct series *found = find_series(s, name);

	if (found)
		return found;
	if (s->series_count == SERIES_MAX)
		return NULL;
	at = &s->series[s->series_count];
	at->series = series_new();
	if (!at->series)
		return NULL;
	snprintf(at->name, sizeof(at->name), "%s", name);
	s->series_count++;
	return at->series;
}

static void keep(struct sampler *s, uint64_t second, double value,
		 const char *name)
{
	struct series *to = series_named(s, name);

	if (to)
		series_add(to, second, value);
}

/* From one sample to the next. */
struct between {
	uint64_t before_us, now_us;
};

static void keep_grown(struct sampler *s, const struct between *t,
		       double before, double now, const char *name)
{
	struct series *to = series_named(s, name);

	if (to)
		series_grow(to, t->before_us, before, t->now_us, now);
}

static void keep_card(struct sampler *s, const struct between *t,
		      const struct sample_card *c)
{
	const struct sample_card *b = NULL;
	char name[SERIES_NAME];

	for (unsigned i = 0; i < s->before.cards_count; i++)
		if (s->before.cards[i].count.ifindex == c->count.ifindex)
			b = &s->before.cards[i];
	snprintf(name, sizeof(name), "card.%s.receive", c->name);
	keep_grown(s, t, b ? (double)b->count.rx_bytes : NAN,
		   (double)c->count.rx_bytes, name);
	snprintf(name, sizeof(name), "card.%s.transmit", c->name);
	keep_grown(s, t, b ? (double)b->count.tx_bytes : NAN,
		   (double)c->count.tx_bytes, name);
}

/* Locked. */
static void keep_all(struct sampler *s, const struct between *t)
{
	const struct sample *n = &s->next, *b = &s->before;
	const bool first = b->wall_us == 0;
	const uint64_t second = t->now_us / USEC_PER_SEC;

	for (unsigned i = 0; i < n->cards_count; i++)
		keep_card(s, t, &n->cards[i]);
	keep(s, second, n->running, "jobs.running");
	keep(s, second, n->waiting, "jobs.waiting");
	keep_grown(s, t, first ? NAN : b->own_cpu, n->own_cpu,
		   "processors.service");
	keep_grown(s, t, first ? NAN : b->guests_cpu, n->guests_cpu,
		   "processors.guests");
	keep(s, second, (double)n->memory_available, "memory.available");
}

/* --- turns */

static void look(struct sampler *s, uint64_t now_us, uint64_t before_us)
{
	const struct between t = { before_us, now_us };
	struct sample *to = &s->next;

	to->wall_us = clock_wall_us();
	see_cards(s, to);
	see_jobs(s, to);
	see_guests(s, to);
	see_ourselves(s, to);
	see_qemu(s, to);

	WITH_LOCK(&s->lock);

	keep_all(s, &t);
	s->second = now_us / USEC_PER_SEC;
	s->last = *to;
	s->before = *to;
}

static void *sampler_main(void *arg)
{
	struct sampler *s = arg;
	uint64_t before_us = s->started_us, now_us, due_us;

	do {
		now_us = clock_us();
		look(s, now_us, before_us);
		before_us = now_us;
		due_us = (now_us / USEC_PER_SEC + 1) * USEC_PER_SEC;
	} while (!host_stops(s->host, clock_poll_ms(due_us)));
	return NULL;
}

int sampler_start(struct sampler *s, struct error *e)
{
	struct error why;
	int r;

	if (counters_open(&s->counters, &why) < 0)
		log_warning("cards are not counted: %s", why.text);
	r = thread_create(&s->thread, "sampler", sampler_main, s);
	return r == 0 ? 0 : error_set(e, r, "no thread for the sampler");
}

void sampler_stop(struct sampler *s)
{
	pthread_join(s->thread, NULL);
}

int host_sample(struct host *h, struct sample *ret, struct error *e)
{
	struct sampler *s = h->sampler;

	WITH_LOCK(&s->lock);

	if (!s->last.wall_us)
		return error_set(e, EAGAIN,
				 "the service has only just begun "
				 "and has counted nothing yet");
	*ret = s->last;
	ret->ended = s->ended;
	return 0;
}

/* --- what was */

int host_past_names(struct host *h, struct words *ret, struct error *e)
{
	struct sampler *s = h->sampler;

	WITH_LOCK(&s->lock);

	for (unsigned i = 0; i < s->series_count; i++)
		if (words_add(ret, s->series[i].name, e) < 0)
			return error_code(e);
	return 0;
}

/* Under the lock for a copy. */
static int copy_points(struct sampler *s, enum ring_span span, size_t last,
		       struct ring_point *at, struct past *ret, struct error *e)
{
	const struct series *from;
	uint64_t first;

	WITH_LOCK(&s->lock);

	from = find_series(s, ret->name);
	if (!from)
		return error_set(e, ENOENT,
				 "there is no history of %s: GET /v1/history "
				 "lists what there is one of",
				 ret->name);
	ret->count = series_read(from, span, s->second, at, last, &first);
	ret->begin_us = clock_wall_us() - clock_us() + first * USEC_PER_SEC;
	return 0;
}

int host_past(struct host *h, const char *name, enum ring_span span,
	      size_t last, struct past *ret, struct error *e)
{
	AUTO_FREE struct ring_point *at = calloc(last + 1, sizeof(*at));

	*ret = (struct past){ .step = ring_kinds[span].step };
	snprintf(ret->name, sizeof(ret->name), "%s", name);
	if (!at)
		return error_set(e, ENOMEM, "no memory for the history");
	if (copy_points(h->sampler, span, last, at, ret, e) < 0)
		return error_code(e);
	ret->points = calloc(ret->count + 1, sizeof(*ret->points));
	if (!ret->points)
		return error_set(e, ENOMEM, "no memory for the history");
	for (size_t i = 0; i < ret->count; i++)
		ret->points[i] = (struct past_point){ at[i].least, at[i].mean,
						      at[i].most };
	return 0;
}
