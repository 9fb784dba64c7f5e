/* SPDX-License-Identifier: MIT */

/*
 * The source's side of a move: stages that are run in order, up to where both
 * QEMUs are complete.  Who has the guest then, and after a failure, the table
 * of decide.h says; source_acts.c does it.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/text.h"
#include "move/back.h"
#include "move/commit.h"
#include "move/compare.h"
#include "move/copy.h"
#include "move/disks.h"
#include "move/job.h"
#include "move/journal.h"
#include "move/peer.h"
#include "move/report.h"
#include "move/source.h"
#include "pages/kept.h"
#include "pages/memory.h"
#include "qemu/monitor.h"
#include "qemu/qmp.h"
#include "relay/blocks.h"
#include "relay/relay.h"
#include "session/session.h"

enum {
	MONITOR_US = 5000000,
	PREPARE_US = 90000000, /* the destination starts a QEMU */
	COPY_US = 180000000,   /* it reads what it has kept (back.c) */
	RDMA_US = 10000000,    /* where it is required */
	PROGRESS_US = 250000,
	COPY_MS = 100, /* between looks at the disks */
	FAR_S = 2,     /* seconds that the rest takes when the end is far */
};

/* --- check */

static int check_guest(struct source *m, struct error *e)
{
	struct migration_info info;

	if (monitor_is_running(m->qmp, &m->entry.was_running, e) < 0 ||
	    monitor_migration(m->qmp, &info, e) < 0)
		return error_code(e);
	if (info.status == MIGRATION_ACTIVE)
		return error_set(e, EBUSY,
				 "its QEMU is already migrating: somebody else "
				 "is moving it");
	return 0;
}

static int st_check(struct source *m, struct error *e)
{
	launch_identity(m->entry.guest, sizeof(m->entry.guest),
			&m->machine->process);
	if (qmp_open(&m->qmp, m->machine->process.qmp_path,
		     clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	if (check_guest(m, e) < 0 ||
	    monitor_capabilities(m->qmp, &m->capabilities, e) < 0)
		return error_code(e);
	copy_sweep(m->qmp);
	/* Before there is a session: what is only read may take long to sum,
	 * and the destination waits for its first message. */
	if (compare_describe(m->qmp, m->machine, &m->description, &m->marks,
			     e) < 0)
		return error_code(e);
	snprintf(m->uuid, sizeof(m->uuid), "%.36s", m->description.uuid);
	source_estimate_begin(m);
	return journal_write(m->host->state_directory, &m->entry, STEP_PREPARE,
			     e);
}

/* --- disks */

static void show_copy(struct source *m, const struct copy_progress *p)
{
	m->progress.bytes_sent = p->done;
	m->progress.percent = p->all ? (int)(p->done * 99 / p->all) : 0;
	job_set_progress(m->job, &m->progress);
}

/* Ahead of the memory: the guest goes on, and what it writes is on both sides
 * from then on. */
static int st_disks(struct source *m, struct error *e)
{
	struct copy_progress p;
	int r;

	if (!m->o->disks)
		return 0;
	if (copy_begin(&m->copy, m->job, m->host, m->machine, m->peer, m->o,
		       m->qmp, &m->description, e) < 0)
		return error_code(e);
	/* On disk with the decision, for the one who names them anew. */
	if (copy_paths(m->copy, &m->entry.disks, e) < 0)
		return error_code(e);
	while ((r = copy_look(m->copy, m->qmp, &p, e)) == 0) {
		struct pollfd wake = { .fd = m->job->wake_fd,
				       .events = POLLIN };

		if (job_check_cancel(m->job, e) < 0)
			return error_code(e);
		show_copy(m, &p);
		poll(&wake, 1, COPY_MS);
	}
	m->progress.bytes_sent = 0;
	m->progress.percent = 0;
	return r < 0 ? r : 0;
}

/* The guest stands still, and what it has written is on its way no more. */
static int switch_over(struct source *m, struct error *e)
{
	const uint64_t deadline = clock_us() + m->host->switchover_outage_us;
	struct copy_progress p;
	int r;

	copy_switchover(m->copy, m->host->switchover_outage_us);
	while ((r = copy_look(m->copy, m->qmp, &p, e)) == 0) {
		if (clock_us() > deadline)
			return error_set(e, ETIMEDOUT,
					 "the disks are not in step");
		poll(NULL, 0, 1);
	}
	return r < 0 ? r : monitor_switch_over(m->qmp, e);
}

/* Before anything is decided: the other side's files are whole, and written by
 * nobody. */
static int st_seal(struct source *m, struct error *e)
{
	return m->copy ? copy_seal(m->copy, m->qmp, e) : 0;
}

/* --- connect */

static int st_connect(struct source *m, struct error *e)
{
	const struct session_options o =
		peer_session(m->host, m->peer, &m->o->paths,
			     m->o->outage_limit_us);

	int r = session_open(&m->session, &o, e);

	if (r == 0)
		job_set_session(m->job, m->session);
	/* What the other host says itself, it will say again. */
	m->unreached = r < 0 && r != -EBADE && r != -ECANCELED;
	return r;
}

/* --- prepare */

static int ask_prepare(struct source *m, struct error *e)
{
	struct message ask = {
		.type = MESSAGE_MOVE,
		.move = { .paused = m->o->paused || !m->entry.was_running,
			  .switchover_ack = words_have(&m->capabilities.known,
						       "switchover-ack"),
			  .priority = m->job->priority > 0
					      ? (unsigned)m->job->priority
					      : 0,
			  .machine = m->description },
	};

	snprintf(ask.move.job, sizeof(ask.move.job), "%s", m->job->id);
	snprintf(ask.move.guest, sizeof(ask.move.guest), "%s", m->entry.guest);
	return session_send(m->session, &ask, e);
}

int source_await(struct source *m, enum message_type type, uint64_t deadline_us,
		 struct message *ret, struct error *e)
{
	while (session_check(m->session, e) == 0) {
		uint64_t turn = clock_us() + PROGRESS_US;
		int r = session_await(m->session,
				      turn < deadline_us ? turn : deadline_us,
				      ret, e);

		if (r == -ETIMEDOUT && clock_us() < deadline_us) {
			/* What is decided is not cancelled any more. */
			if (job_course(m->job) == SOURCE_COPYING &&
			    job_check_cancel(m->job, e) < 0)
				return error_code(e);
			continue;
		}
		if (r < 0)
			return r;
		if (peer_check_answer(ret, type, m->peer->name, e) == 0)
			return 0;
		message_done(ret);
		return error_code(e);
	}
	return error_code(e);
}

/* What the destination has kept of the machine's earlier stay. */
static int hear_copy(struct source *m, struct error *e)
{
	const uint64_t deadline_us = clock_us() + COPY_US;

	m->known = calloc(1, sizeof(*m->known));
	if (!m->known)
		return error_set(e, ENOMEM, "no memory for sums");
	for (bool last = false; !last;) {
		AUTO_MESSAGE struct message got = { 0 };

		if (source_await(m, MESSAGE_COPY, deadline_us, &got, e) < 0 ||
		    back_take(m->known, &got.copy, &m->blocks, e) < 0)
			return error_code(e);
		last = got.copy.last;
	}
	return 0;
}

static int st_prepare(struct source *m, struct error *e)
{
	AUTO_MESSAGE struct message answer = { 0 };

	fault_point("source:prepare");
	if (ask_prepare(m, e) < 0 ||
	    source_await(m, MESSAGE_PREPARED, clock_us() + PREPARE_US, &answer,
			 e) < 0)
		return error_code(e);
	disks_unmark(m->marks);
	m->marks = NULL;
	m->peer_switchover_ack = answer.prepared.switchover_ack;
	if (session_await_rdma(m->session, clock_us() + RDMA_US, e) < 0)
		return error_code(e);
	if (blocks_take(&m->blocks, &answer.prepared.blocks, m->peer->name, e) <
	    0)
		return error_code(e);
	return answer.prepared.copy ? hear_copy(m, e) : 0;
}

/* --- pre-copy and switchover */

static int set_up_qemu(struct source *m, struct error *e)
{
	const struct {
		const char *name;
		bool on;
	} wanted[] = {
		{ "events", true },
		{ "return-path", true },
		{ "switchover-ack", m->peer_switchover_ack },
		/* What the splitter would have to leave alone. */
		{ "multifd", false },
		{ "postcopy-ram", false },
		{ "x-ignore-shared", false },
		{ "pause-before-switchover", m->copy != NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (monitor_set_capability(m->qmp, &m->capabilities,
					   wanted[i].name, wanted[i].on, e) < 0)
			return error_code(e);
	return steer_begin(&m->steer, m->qmp, m->session, &m->capabilities, e);
}

static void migrate_socket(char *buf, size_t cap, const struct source *m)
{
	snprintf(buf, cap, "%s/migrate.sock", m->machine->run_dir);
}

/* The folder is QEMU's user's. */
static uid_t user_of(const struct source *m)
{
	struct stat st;

	return lstat(m->machine->run_dir, &st) < 0 ? 0 : st.st_uid;
}

/* @path: where QEMU will connect to. */
static int start_relay(struct source *m, const char *path, struct error *e)
{
	const struct relay_options o = {
		.session = m->session,
		.listen_path = path,
		.owner = { .number = user_of(m) },
		.blocks = &m->blocks,
		.repeats = move_paths_repeats(&m->o->paths),
		.known = m->known,
		.switchover_outage_us = m->host->switchover_outage_us,
	};

	/* Whatever QEMU's user has put there. */
	unlink(path);
	return relay_new(&m->relay, &o, e);
}

static int migration_ended(struct source *m, const char *how, struct error *e)
{
	struct migration_info info;

	if (monitor_migration(m->qmp, &info, e) < 0)
		return error_code(e);
	return error_set(e, EIO, "QEMU's migration %s%s%s", how,
			 info.why[0] ? ": " : "", info.why);
}

static void on_stop(struct source *m, uint64_t wall_us)
{
	m->times.stopped_wall_us = wall_us;
	job_close_terms(m->job);
	job_set_near(m->job, true);
	job_set_stage(m->job, "switchover");
	/* The splitter has said so earlier, unless it is blind. */
	session_switchover(m->session, m->host->switchover_outage_us);
	fault_point("source:switchover");
}

static int on_migration(struct source *m, const struct monitor_event *event,
			struct error *e)
{
	const enum migration_status status = event->status;

	if (event->waits && m->copy)
		return switch_over(m, e);
	if (status == MIGRATION_FAILED)
		return migration_ended(m, "failed", e);
	if (status == MIGRATION_CANCELLED)
		return migration_ended(m, "was cancelled", e);
	if (status == MIGRATION_COMPLETED) {
		m->completed = true;
		m->times.completed_us = clock_us();
		m->times.completed_wall_us = clock_wall_us();
	}
	return 0;
}

static int drain_events(struct source *m, struct error *e)
{
	struct monitor_event event;
	int r = 0;

	for (int n = 0; n < MONITOR_EVENTS_AT_ONCE &&
			(r = monitor_event(m->qmp, 0, &event, e)) > 0;
	     n++) {
		if (event.kind == MONITOR_STOPPED)
			on_stop(m, event.wall_us);
		else if (event.kind == MONITOR_PASS)
			steer_pass(&m->steer, event.pass);
		else if (event.kind == MONITOR_MIGRATION &&
			 on_migration(m, &event, e) < 0)
			return error_code(e);
	}
	if (r == -EPIPE)
		return error_set(e, EPIPE, "the machine's QEMU has ended");
	return r < 0 ? r : 0;
}

static int drain_messages(struct source *m, struct error *e)
{
	struct message got;
	int r;

	while ((r = session_receive(m->session, &got, e)) > 0) {
		r = 0;
		if (got.type == MESSAGE_LOADED) {
			m->loaded = true;
			m->times.loaded_wall_us = clock_wall_us();
		} else if (got.type == MESSAGE_FAILED) {
			r = peer_error(&got.failed, m->peer->name, e);
		}
		message_done(&got);
		if (r < 0)
			return r;
	}
	return r;
}

/* Time is up: what the options say. */
static int check_deadline(struct source *m, struct error *e)
{
	char limit[32];

	if (m->deadline_us == 0 || clock_us() < m->deadline_us ||
	    m->times.stopped_wall_us)
		return 0;
	text_duration(limit, sizeof(limit), m->timeout_us);
	if (m->steer.held)
		return 0;
	if (!(m->steer.rules.steps & CONVERGE_PAUSE))
		return error_set(e, ETIMEDOUT,
				 "the move was not done within the time-out of "
				 "%s: %s",
				 limit,
				 m->steer.stuck[0]
					 ? m->steer.stuck
					 : "the guest changes its memory "
					   "faster than it travels");
	log_info("move %s: time-out of %s, the guest is paused to finish",
		 m->job->machine, limit);
	m->deadline_us = 0;
	m->times.forced = true;
	return monitor_pause(m->qmp, e);
}

/* QEMU 8.2 and newer decide by this when the rest fits. */
static int tell_bandwidth(struct source *m, uint64_t rate, struct error *e)
{
	if (rate == 0 || clock_us() < m->next_bandwidth_us)
		return 0;
	m->next_bandwidth_us = clock_us() + PROGRESS_US;
	if (monitor_set_parameter(m->qmp, "avail-switchover-bandwidth", rate,
				  e) < 0 &&
	    e->code != EREMOTEIO)
		return error_code(e);
	return 0;
}

static int ask_round(struct source *m, struct migration_info *ret,
		     struct error *e)
{
	if (monitor_migration(m->qmp, ret, e) < 0 || drain_events(m, e) < 0)
		return error_code(e);
	/* Of one that has stopped the guest nothing is left to be chosen. */
	if (!m->times.stopped_wall_us && ret->status == MIGRATION_ACTIVE &&
	    steer_round(&m->steer, ret, e) < 0)
		return error_code(e);
	steer_ask_on(&m->steer);
	return 0;
}

/* While it switches over, QEMU's monitor does not answer, and whoever waits for
 * it hears of no cancel and no failure. */
static bool is_silent(const struct source *m)
{
	return m->times.stopped_wall_us && !m->times.forced;
}

static int update_progress(struct source *m, struct error *e)
{
	struct migration_info info;
	struct session_stats st;
	struct relay_stats rs;

	if (m->completed || is_silent(m) || !steer_is_due(&m->steer))
		return 0;
	source_estimate_sample(m);
	if (ask_round(m, &info, e) < 0)
		return error_code(e);
	session_stats(m->session, &st);
	/* QEMU stops the guest when the rest takes the downtime limit. */
	session_set_phase(m->session,
			  !m->times.stopped_wall_us &&
					  info.remaining / FAR_S > st.out.rate
				  ? PHASE_BULK
				  : PHASE_NEAR_END);
	relay_stats(m->relay, &rs);
	progress_update(&m->progress, &info, &st, &rs);
	m->progress.downtime_limit_ms =
		(int64_t)(m->steer.converge.limit_us / USEC_PER_MS);
	source_estimate(m, &info, &st);
	job_set_progress(m->job, &m->progress);
	return is_silent(m) ? 0 : tell_bandwidth(m, st.out.rate, e);
}

static void wait_for_anything(struct source *m)
{
	struct pollfd p[] = {
		{ .fd = qmp_fd(m->qmp), .events = POLLIN },
		{ .fd = session_event_fd(m->session), .events = POLLIN },
		/* Its end also shows in QEMU's; it stays readable. */
		{ .fd = m->completed ? -1 : relay_event_fd(m->relay),
		  .events = POLLIN },
		{ .fd = m->job->wake_fd, .events = POLLIN },
	};

	const uint64_t turn = clock_us() + PROGRESS_US;

	poll(p, ARRAY_SIZE(p),
	     clock_poll_ms(m->steer.next_us > clock_us() &&
					   m->steer.next_us < turn
				   ? m->steer.next_us
				   : turn));
}

static void set_deadline(struct source *m)
{
	m->deadline_us =
		m->timeout_us ? m->times.migrate_us + m->timeout_us : 0;
}

/* The user may have other wishes by now. */
static void take_terms(struct source *m)
{
	struct job_terms terms;

	if (!job_new_terms(m->job, &terms) || m->times.stopped_wall_us)
		return;
	m->steer.rules.steps = terms.converge;
	m->steer.rules.limit_us = terms.limit_us;
	m->timeout_us = terms.timeout_us;
	set_deadline(m);
	m->steer.next_us = 0;
}

/* A switchover with disks behind would have the guest stand for their sake. */
static int tend_copy(struct source *m, struct error *e)
{
	int r;

	if (!m->copy)
		return 0;
	if (m->times.stopped_wall_us || m->completed) {
		if (copy_check(m->copy, e) < 0)
			return error_code(e);
		/* At pre-switchover the disks are looked at anyway. */
		return m->completed ? 0 : steer_hold(&m->steer, false, e);
	}
	r = copy_tend(m->copy, m->qmp, e);
	return r < 0 ? r : steer_hold(&m->steer, r == 0, e);
}

/* Until both QEMUs say that everything has arrived. */
static int watch(struct source *m, struct error *e)
{
	for (;;) {
		if (drain_messages(m, e) < 0 || drain_events(m, e) < 0)
			return error_code(e);
		if (m->completed && m->loaded)
			return 0;
		take_terms(m);
		if (tend_copy(m, e) < 0 || relay_check(m->relay, e) < 0 ||
		    job_check_cancel(m->job, e) < 0 ||
		    check_deadline(m, e) < 0 || update_progress(m, e) < 0)
			return error_code(e);
		wait_for_anything(m);
	}
}

/* What this side saw may only be the echo of what went wrong there. */
static void prefer_their_reason(struct source *m, struct error *e)
{
	AUTO_MESSAGE struct message got = { 0 };
	struct error theirs;

	if (e->code == ECANCELED || e->code == ETIMEDOUT ||
	    e->code == EREMOTEIO)
		return;
	if (source_await(m, MESSAGE_FAILED, clock_us() + SOURCE_REASON_US, &got,
			 &theirs) == 0)
		peer_error(&got.failed, m->peer->name, e);
	else if (theirs.code == ECONNABORTED)
		*e = theirs;
}

/* The decision itself is then a rename: the guest does not wait for the disk to
 * take its text as well.  Where this fails, it is written as a whole. */
static void prepare_commit(struct source *m)
{
	struct error e;

	m->commit_prepared = journal_prepare(m->host->state_directory,
					     &m->entry, STEP_COMMIT, &e) == 0;
	if (!m->commit_prepared)
		log_warning("move %s: prepare the decision: %s",
			    m->job->machine, e.text);
}

static int st_precopy(struct source *m, struct error *e)
{
	char path[PATH_MAX];

	migrate_socket(path, sizeof(path), m);
	if (set_up_qemu(m, e) < 0 || start_relay(m, path, e) < 0)
		return error_code(e);
	prepare_commit(m);
	m->migrating = true;
	m->times.migrate_us = m->steer.begun_us = clock_us();
	set_deadline(m);
	job_open_terms(m->job,
		       &(struct job_terms){ .converge = m->steer.rules.steps,
					    .limit_us = m->steer.rules.limit_us,
					    .timeout_us = m->timeout_us,
					    .weight = m->o->weight,
					    .rate = m->o->rate });
	if (monitor_migrate(m->qmp, path, e) < 0)
		return error_code(e);
	fault_point("source:pre-copy");
	if (watch(m, e) < 0) {
		prefer_their_reason(m, e);
		return error_code(e);
	}
	return 0;
}

/* How it ended. */
static int outcome(struct source *m, struct error *e)
{
	if (job_course(m->job) == SOURCE_GONE)
		return 0;
	*e = m->why;
	return error_code(e);
}

/* --- the whole */

static const struct {
	const char *name;
	int (*run)(struct source *m, struct error *e);
} stages[] = {
	{ "check", st_check },      { "disks", st_disks },
	{ "connect", st_connect },  { "prepare", st_prepare },
	{ "pre-copy", st_precopy }, { "seal", st_seal },
};

static int run_stages(struct source *m, struct error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(stages); i++) {
		job_set_stage(m->job, stages[i].name);
		if (job_check_cancel(m->job, e) == 0 &&
		    stages[i].run(m, e) == 0)
			continue;
		if (e->code != ECANCELED && e->code != EREMOTEIO)
			error_in(e, "%s", stages[i].name);
		return error_code(e);
	}
	job_set_stage(m->job, "commit");
	return job_check_cancel(m->job, e);
}

static void let_go(struct source *m)
{
	if (m->relay)
		relay_stop(m->relay);
	job_set_session(m->job, NULL);
	session_free(m->session);
	relay_free(m->relay);
	copy_end(m->copy, m->qmp);
	qmp_close(m->qmp);
	migration_capabilities_done(&m->capabilities);
	shape_done(&machine_description_shape, &m->description);
	disks_unmark(m->marks);
	blocks_done(&m->blocks);
	words_done(&m->entry.disks); /* of a move that begins */
	if (m->known)
		history_known_done(m->known);
	free(m->known);
}

/* Once the guest is there, and nobody waits any more. */
static void leave_behind(struct source *m, bool gone)
{
	struct kept_of of = { .since_us = clock_wall_us() };

	if (!m->behind)
		return;
	if (!gone) {
		memory_free(m->behind);
		return;
	}
	snprintf(of.uuid, sizeof(of.uuid), "%s", m->uuid);
	snprintf(of.machine, sizeof(of.machine), "%s", m->job->machine);
	snprintf(of.peer, sizeof(of.peer), "%s", m->peer->name);
	m->host->keep(m->host->context, &of, m->behind);
}

/* For the queue; its user is told what it was. */
static int ended_as(struct error *e, int code)
{
	e->kind = error_kind(e);
	e->code = code;
	return error_code(e);
}

int move_away(struct job *job, const struct move_host *host,
	      struct move_machine *machine, const struct move_peer *peer,
	      const struct move_options *o, struct error *e)
{
	struct source m = {
		.job = job,
		.host = host,
		.machine = machine,
		.peer = peer,
		.o = o,
		.entry = journal_entry_of(job),
		.steer = { .rules = { .limit_us = o->downtime_limit_us,
				      .steps = o->converge },
			   .job = job,
			   .what = "move" },
		.timeout_us = o->timeout_us,
	};
	int r;

	m.entry.paused = o->paused;
	source_begin(&m, &m.entry);
	job_begin(job, SOURCE_COPYING);
	if (run_stages(&m, &m.why) == 0) {
		/* Waiting in turns leaves its time-outs there. */
		m.why = (struct error){ 0 };
		commit_run(&m.side, EVENT_BOTH_COMPLETE);
	} else {
		commit_run(&m.side, EVENT_FAILED);
	}
	r = outcome(&m, e);
	if (r == -ECONNABORTED && m.session && session_lost_peer(m.session))
		r = ended_as(e, ENETRESET);
	else if (r < 0 && m.unreached)
		r = ended_as(e, EHOSTUNREACH);
	let_go(&m);
	leave_behind(&m, r == 0);
	return r;
}

/* The daemon died in the middle.  Its sockets are gone with it, so QEMU's
 * migration has failed or is complete; the journal knows what was decided. */
int move_away_resume(struct job *job, const struct move_host *host,
		     struct move_machine *machine, const struct move_peer *peer,
		     struct journal_entry *entry, struct error *e)
{
	static const struct move_options none;
	struct source m = {
		.job = job,
		.host = host,
		.machine = machine,
		.peer = peer,
		.o = &none,
		.resumed = true,
		.left = entry->step == STEP_LEFT,
	};
	enum journal_step step = entry->step;
	char path[PATH_MAX];
	int r;

	source_begin(&m, entry);
	migrate_socket(path, sizeof(path), &m);
	unlink(path);
	if (step == STEP_PREPARE)
		error_set(&m.why, EOWNERDEAD,
			  "droverd ended in the middle of this move; the "
			  "guest goes on here");
	commit_run(&m.side, step == STEP_LEFT     ? EVENT_FOUND_LEFT
			    : step == STEP_COMMIT ? EVENT_FOUND_COMMIT
						  : EVENT_FOUND_PREPARE);
	r = outcome(&m, e);
	/* Of another run of the machine: it stays. */
	if (r == 0 && !m.forgotten)
		r = error_set(e, ESTALE,
			      "this entry of the journal was left over: %s had "
			      "gone to %s, and is back",
			      job->machine, peer->name);
	let_go(&m);
	return r;
}
