/* SPDX-License-Identifier: MIT */

/*
 * The destination's side of a move: start a paused QEMU that waits for the
 * stream, offer its memory, and say when everything has been loaded.  Then it
 * is the source's turn: the guest is continued on COMMIT and on nothing else.
 *
 * Until "loaded" is said, any failure drops the QEMU.  From then on it is kept,
 * paused, until the source's decision is known.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "move/commit.h"
#include "move/job.h"
#include "move/journal.h"
#include "move/move.h"
#include "move/permit.h"
#include "pages/memory.h"
#include "qemu/monitor.h"
#include "qemu/qmp.h"
#include "relay/blocks.h"
#include "relay/relay.h"
#include "session/session.h"

enum {
	MONITOR_US = 5000000,
	END_US = 100000,
	REPORT_US = 1000000, /* for the source to hear why it failed */
	DONE_US = 10000000,
	TURN_US = 250000,
	ASK_US = 2000000, /* of silence, and between two questions */
};

struct destination {
	struct job *job;
	const struct move_host *host;
	const struct move_peer *peer;
	struct session *session;
	struct move_arrival arrival;

	struct definition definition;
	char run_dir[PATH_MAX];
	struct journal_entry entry; /* of a move that is not taken up */
	struct qmp *qmp;
	struct migration_capabilities capabilities;
	struct guest_memory *memory;
	struct relay *relay;
	bool started; /* a QEMU of ours exists */
	bool resumed; /* after a restart of the daemon */
	unsigned facts;
	struct commit_side side;
	struct error why; /* the move failed */
	uint64_t next_ask_us;
};

/* --- prepare */

static void run_dir_of(char *buf, size_t cap, const struct move_host *host,
		       const char *name)
{
	snprintf(buf, cap, "%s/machines/%s", host->run_directory, name);
}

static int read_request(struct destination *d,
			const struct message_move *request, struct error *e)
{
	if (compare_read_definition(&d->definition, &request->machine, e) < 0 ||
	    text_check_name("machine", d->definition.name, e) < 0)
		return error_code(e);
	if (strcmp(d->definition.name, d->job->machine) != 0)
		return error_set(e, EBADMSG, "a definition of %s for %s",
				 d->definition.name, d->job->machine);
	d->arrival.definition = definition_text(&d->definition);
	d->arrival.paused = request->paused;
	snprintf(d->arrival.name, sizeof(d->arrival.name), "%s",
		 d->definition.name);
	run_dir_of(d->run_dir, sizeof(d->run_dir), d->host, d->arrival.name);
	d->arrival.run_dir = d->run_dir;
	d->arrival.job = d->job->id;
	return d->arrival.definition ? 0 : error_set(e, ENOMEM, "no memory");
}

/* On disk before the process exists: a QEMU whose number is not yet in there is
 * found by its command line. */
static int write_first_entry(struct destination *d,
			     const struct message_move *request,
			     struct error *e)
{
	struct journal_entry *entry = &d->entry;

	entry->paused = d->arrival.paused;
	entry->definition = d->arrival.definition;
	snprintf(entry->guest, sizeof(entry->guest), "%s", request->guest);
	return journal_write(d->host->state_directory, entry, STEP_PREPARE, e);
}

static int write_process(struct destination *d, struct error *e)
{
	const struct qemu_process *p = &d->arrival.process;
	struct journal_entry *entry = &d->entry;

	entry->pid = p->pid;
	entry->start_time = p->start_time;
	launch_identity(entry->qemu, sizeof(entry->qemu), p);
	return journal_write(d->host->state_directory, entry, STEP_PREPARE, e);
}

static int start_qemu(struct destination *d, struct error *e)
{
	const struct launch_options o = {
		.default_qemu = d->host->qemu,
		.run_dir = d->run_dir,
		.incoming = true,
		.user = d->host->qemu_user,
		.bridges = d->host->bridges,
	};
	struct qemu_process *p = &d->arrival.process;
	const char *program = compare_program(d->host, &d->definition);

	/* The program is the host's matter. */
	free(d->definition.qemu);
	d->definition.qemu = strdup(program);
	if (!d->definition.qemu)
		return error_set(e, ENOMEM, "no memory");
	if (launch_start(p, &d->definition, &o, e) < 0)
		return error_code(e);
	d->started = true;
	atomic_store(&d->job->fills, p->pid);
	fault_point("destination:started");
	return write_process(d, e);
}

/* A source that does not know the message ends the migration over it. */
static bool both_ack_switchover(const struct destination *d,
				const struct message_move *request)
{
	return request->switchover_ack &&
	       words_have(&d->capabilities.known, "switchover-ack");
}

static int set_up_qemu(struct destination *d,
		       const struct message_move *request, struct error *e)
{
	static const char *const wanted[] = { "events", "return-path",
					      "late-block-activate" };
	const struct words *named = &request->machine.capabilities;

	if (qmp_open(&d->qmp, d->arrival.process.qmp_path,
		     clock_us() + MONITOR_US, e) < 0 ||
	    monitor_capabilities(d->qmp, &d->capabilities, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (monitor_set_capability(d->qmp, &d->capabilities, wanted[i],
					   true, e) < 0)
			return error_code(e);
	if (monitor_keep_quiet(d->qmp, e) < 0)
		return error_code(e);
	if (monitor_set_capability(d->qmp, &d->capabilities, "switchover-ack",
				   both_ack_switchover(d, request), e) < 0)
		return error_code(e);
	/* Those that have to be on at both ends. */
	for (size_t i = 0; i < named->count; i++)
		if (monitor_set_capability(d->qmp, &d->capabilities,
					   named->at[i], true, e) < 0)
			return error_code(e);
	return 0;
}

static int open_stream(struct destination *d, struct error *e)
{
	char path[PATH_MAX];
	const struct relay_options o = {
		.session = d->session,
		.connect_path = path,
	};
	struct relay_options with = o;

	snprintf(path, sizeof(path), "%s/incoming.sock", d->run_dir);
	unlink(path);
	if (memory_of_process(&d->memory, d->arrival.process.pid, e) < 0 ||
	    monitor_receive(d->qmp, path, e) < 0)
		return error_code(e);
	with.memory = d->memory;
	return relay_new(&d->relay, &with, e);
}

/* QEMU writes the reason into its log, then ends. */
static int qemu_ended(struct destination *d, struct error *e)
{
	char last[200];

	launch_last_words(d->run_dir, last, sizeof(last));
	return error_set(e, EPIPE, "its QEMU ended%s%s", last[0] ? ": " : "",
			 last);
}

static int say_prepared(struct destination *d,
			const struct message_move *request, struct error *e)
{
	AUTO_MESSAGE struct message m = { .type = MESSAGE_PREPARED };

	m.prepared.switchover_ack = both_ack_switchover(d, request);
	if (blocks_list(&m.prepared.blocks, d->memory, e) < 0)
		return error_code(e);
	return session_send(d->session, &m, e);
}

static int prepare(struct destination *d, const struct message_move *request,
		   struct error *e)
{
	bool judged;

	job_set_stage(d->job, "prepare");
	fault_point("destination:prepare");
	if (read_request(d, request, e) < 0)
		return error_code(e);
	judged = permit_judges(d->host, &d->definition);
	if (write_first_entry(d, request, e) < 0 || start_qemu(d, e) < 0 ||
	    (judged &&
	     permit_opened(d->host, d->arrival.process.pid, d->run_dir, e) < 0))
		return error_code(e);
	if (set_up_qemu(d, request, e) < 0 || open_stream(d, e) < 0)
		return launch_alive(&d->arrival.process) ? error_code(e)
							 : qemu_ended(d, e);
	return say_prepared(d, request, e);
}

/* --- the stream comes in */

/* 1: everything is loaded. */
static int on_event(const struct monitor_event *event, struct error *e)
{
	if (event->kind != MONITOR_MIGRATION)
		return 0;
	if (event->status == MIGRATION_FAILED)
		return error_set(e, EIO, "its QEMU cannot load the stream");
	return event->status == MIGRATION_COMPLETED;
}

static int drain_events(struct destination *d, struct error *e)
{
	struct monitor_event event;
	int r;

	while ((r = monitor_event(d->qmp, 0, &event, e)) > 0)
		if ((r = on_event(&event, e)) != 0)
			break;
	return r == -EPIPE || r == -EIO ? qemu_ended(d, e) : r;
}

static void show_progress(struct destination *d)
{
	struct job_progress p;
	struct session_stats st;
	struct relay_stats rs;
	uint64_t have;

	session_stats(d->session, &st);
	relay_stats(d->relay, &rs);
	p = progress_of(&st, &rs);
	for (unsigned i = 0; i < memory_blocks(d->memory); i++)
		p.ram_total += memory_block(d->memory, i)->len_bytes;
	have = relay_pages_sum(&rs.pages) * MEMORY_PAGE;
	p.bytes_sent = st.bytes_received;
	p.percent = p.ram_total ? (int)(have * 100 / p.ram_total) : 0;
	if (p.percent > 99)
		p.percent = 99;
	job_set_progress(d->job, &p);
}

/* A source that gave up while the paths were gone could not say so; until the
 * outage limit a machine of its name would be held here for nothing. */
static int check_source(struct destination *d, struct error *e)
{
	struct session_stats st;

	session_stats(d->session, &st);
	if (!st.outage)
		d->next_ask_us = clock_us() + ASK_US;
	if (clock_us() < d->next_ask_us)
		return 0;
	d->next_ask_us = clock_us() + ASK_US;
	if (commit_was_aborted(&d->side))
		return error_set(e, ECANCELED,
				 "the source has taken the move back");
	return 0;
}

static int load(struct destination *d, struct error *e)
{
	struct error why;
	int r;

	job_set_stage(d->job, "pre-copy");
	for (;;) {
		struct pollfd p[] = {
			{ .fd = qmp_fd(d->qmp), .events = POLLIN },
			{ .fd = session_event_fd(d->session),
			  .events = POLLIN },
			{ .fd = d->job->wake_fd, .events = POLLIN },
		};

		if ((r = drain_events(d, e)) != 0)
			return r < 0 ? r : 0;
		if (session_skip(d->session, e) < 0 ||
		    job_check_cancel(d->job, e) < 0 || check_source(d, e) < 0)
			return error_code(e);
		/* A relay that broke because QEMU did: QEMU says why. */
		if (relay_check(d->relay, &why) < 0) {
			p[0].revents = 0;
			poll(p, 1, TURN_US / 1000);
			if ((r = drain_events(d, e)) == 0)
				*e = why;
			return r > 0 ? 0 : error_code(e);
		}
		show_progress(d);
		poll(p, ARRAY_SIZE(p), TURN_US / 1000);
	}
}

/* --- what the table of decide.h asks for */

static struct destination *destination_of(struct commit_side *c)
{
	return container_of(c, struct destination, side);
}

static unsigned facts(struct commit_side *c)
{
	const struct destination *d = destination_of(c);

	return d->facts | (d->arrival.paused ? FACT_PAUSED : 0);
}

/* Until the source says "commit", or is not heard any more: not for longer than
 * it waits itself. */
static enum decide_event await_commit(struct destination *d)
{
	uint64_t silent_us = clock_us();
	struct session_stats st;
	struct message got;
	struct error e;
	int r;

	for (;;) {
		bool commit;

		if (atomic_load(&d->job->told_commit) ||
		    atomic_load(&d->job->verdict) != JOB_UNDECIDED)
			return commit_ask(&d->side);
		r = session_await(d->session, clock_us() + TURN_US, &got, &e);
		session_stats(d->session, &st);
		if (!st.outage)
			silent_us = clock_us();
		if (r == -ETIMEDOUT &&
		    clock_us() - silent_us < d->host->switchover_outage_us)
			continue;
		if (r < 0) {
			snprintf(d->side.heard, sizeof(d->side.heard), "%.290s",
				 r == -ETIMEDOUT ? "it is silent" : e.text);
			return EVENT_SILENT;
		}
		commit = got.type == MESSAGE_COMMIT;
		message_done(&got);
		if (commit)
			return EVENT_HEARD_COMMIT;
	}
}

static enum decide_event act_send_loaded(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	struct error e;

	fault_point("destination:loaded");
	if (session_say(d->session, MESSAGE_LOADED, &e) < 0) {
		snprintf(d->side.heard, sizeof(d->side.heard), "%.290s",
			 e.text);
		return EVENT_SILENT;
	}
	fault_point("destination:loaded-sent");
	return await_commit(d);
}

static enum decide_event act_store_committed(struct commit_side *c)
{
	struct destination *d = destination_of(c);

	if (job_course(d->job) == DEST_NOTING)
		fault_point("destination:running-sent");
	else if (d->arrival.paused)
		fault_point("destination:commit-received");
	return commit_store(&d->side, STEP_COMMITTED);
}

static enum decide_event act_store_dropped(struct commit_side *c)
{
	return job_course(c->job) == DEST_NOTING_DROP
		       ? commit_store(c, STEP_DROPPED)
		       : commit_conclude(c, STEP_DROPPED);
}

static enum decide_event act_store_arrived(struct commit_side *c)
{
	return commit_conclude(c, STEP_ARRIVED);
}

static void end_qemu(struct destination *d)
{
	struct error e;

	if (d->started &&
	    launch_end(&d->arrival.process, clock_us() + END_US, &e) < 0)
		log_error("move %s: %s", d->job->machine, e.text);
}

static enum decide_event act_store_lost(struct commit_side *c)
{
	end_qemu(destination_of(c));
	return commit_conclude(c, STEP_LOST);
}

/* A QEMU that opens its disks on a slow storage is not a dead one. */
static int continue_guest(struct destination *d, struct error *e)
{
	bool running = false, certain = true;
	int r = qmp_run(d->qmp, "cont", NULL, NULL, e);

	while (r == -ETIMEDOUT && launch_alive(&d->arrival.process) &&
	       atomic_load(&d->job->verdict) != JOB_GIVE_UP) {
		job_set_doubt(d->job, e->text,
			      "Drover keeps asking its QEMU whether the guest "
			      "runs, until 'drover job resolve %s --give-up'",
			      d->job->id);
		certain = false;
		r = monitor_is_running(d->qmp, &running, e);
		if (r == 0 && !running)
			r = qmp_run(d->qmp, "cont", NULL, NULL, e);
	}
	/* That was the word that it was waited for. */
	if (r == -ETIMEDOUT)
		job_take_verdict(d->job);
	/* It may have run in between: no refusal of the first word. */
	return r == -EREMOTEIO && !certain ? error_as(e, EIO) : r;
}

static enum decide_event act_continue(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	struct error e;
	int r;

	/* It was given to another doubt. */
	(void)job_take_verdict(d->job);
	fault_point("destination:commit-received");
	r = continue_guest(d, &e);
	if (r >= 0)
		return EVENT_CONTINUED;
	d->why = e;
	error_in(&d->why, "continue the guest");
	/* A refusal is certain; of a QEMU that is gone nobody knows whether
	 * the guest ran for a moment, and wrote to its disks. */
	return r == -EREMOTEIO ? EVENT_REFUSED : EVENT_DIED;
}

static enum decide_event act_send_running(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	struct error e;

	fault_point("destination:running");
	if (d->qmp)
		monitor_announce(d->qmp);
	if (d->session && session_say(d->session, MESSAGE_RUNNING, &e) < 0)
		log_debug("move %s: %s", d->job->machine, e.text);
	return NO_EVENT;
}

static enum decide_event act_register(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	int saved;

	d->arrival.ended = d->resumed && !launch_alive(&d->arrival.process);
	if (d->arrival.ended)
		log_warning("machine %s: its QEMU has ended", d->job->machine);
	saved = d->host->arrived(d->host->context, &d->arrival);
	d->started = false;
	fault_point("destination:registered");
	if (saved < 0) {
		snprintf(d->side.heard, sizeof(d->side.heard),
			 "machine %s runs here, and cannot be written to the "
			 "disk of this host",
			 d->job->machine);
		return EVENT_NOT_STORED;
	}
	return EVENT_STORED;
}

/* The QEMU goes first: a source that hears "failed" may run the guest again,
 * also after COMMIT. */
static enum decide_event act_end_qemu(struct commit_side *c)
{
	struct destination *d = destination_of(c);

	if (!d->why.code)
		error_set(&d->why, ECANCELED, "%s",
			  d->side.last == EVENT_GIVE_UP ||
					  d->side.last == EVENT_STORED
				  ? "the operator has given it up on this host"
				  : "the source has taken the move back");
	end_qemu(d);
	fault_point("destination:dropped");
	return EVENT_ENDED;
}

static enum decide_event act_send_dropped(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	struct message m = { .type = MESSAGE_FAILED };
	struct error e;

	snprintf(m.failed.error, sizeof(m.failed.error), "%s", d->why.text);
	if (d->session && session_send(d->session, &m, &e) == 0)
		outbox_wait_empty(session_outbox(d->session),
				  clock_us() + REPORT_US);
	return NO_EVENT;
}

/* A source that had to ask for the outcome has no use for more words. */
static void await_done(struct destination *d)
{
	uint64_t deadline = clock_us() + DONE_US;
	AUTO_MESSAGE struct message got = { 0 };
	struct error e;
	int r = -ETIMEDOUT;

	while (r == -ETIMEDOUT && clock_us() < deadline &&
	       !atomic_load(&d->job->told_commit))
		r = session_await(d->session, clock_us() + TURN_US, &got, &e);
}

/* When the user is told, the machine can be used here. */
static enum decide_event act_send_registered(struct commit_side *c)
{
	struct destination *d = destination_of(c);
	struct error e;

	d->host->release(d->host->context, d->job->machine);
	if (d->session && session_say(d->session, MESSAGE_REGISTERED, &e) == 0)
		await_done(d);
	return NO_EVENT;
}

static enum decide_event (*const actions[DECIDE_ACTIONS])(
	struct commit_side *c) = {
	[ACT_STORE_COMMITTED] = act_store_committed,
	[ACT_STORE_ARRIVED] = act_store_arrived,
	[ACT_STORE_DROPPED] = act_store_dropped,
	[ACT_STORE_LOST] = act_store_lost,
	[ACT_REMOVE] = commit_remove,
	[ACT_SEND_LOADED] = act_send_loaded,
	[ACT_SEND_RUNNING] = act_send_running,
	[ACT_SEND_REGISTERED] = act_send_registered,
	[ACT_SEND_DROPPED] = act_send_dropped,
	[ACT_PROBE] = commit_probe_source,
	[ACT_ASK] = commit_ask,
	[ACT_CONTINUE] = act_continue,
	[ACT_END_QEMU] = act_end_qemu,
	[ACT_REGISTER] = act_register,
	[ACT_REFUSE] = commit_refuse,
	[ACT_DOUBT] = commit_doubt,
};

static void destination_init(struct destination *d, struct journal_entry *entry)
{
	d->side = (struct commit_side){
		.job = d->job,
		.host = d->host,
		.peer = d->peer,
		.entry = entry,
		.facts = facts,
		.actions = actions,
		.last = NO_EVENT,
		.last_answer = NO_EVENT,
	};
}

/* What is left of a move that did not bring the guest. */
static int outcome(struct destination *d, struct error *e)
{
	if (job_course(d->job) == DEST_DONE)
		return 0;
	if (!d->why.code)
		error_set(&d->why, ESTALE,
			  "an entry that was left over: the machine came "
			  "later");
	*e = d->why;
	if (d->session)
		session_fail(d->session, e->text);
	relay_stop(d->relay);
	if (d->run_dir[0])
		launch_clean(d->run_dir);
	return error_code(e);
}

/* --- the whole */

static void let_go(struct destination *d)
{
	if (d->facts & FACT_LATER_QEMU)
		launch_forget(&d->arrival.process);
	relay_stop(d->relay);
	session_free(d->session);
	relay_free(d->relay);
	memory_free(d->memory);
	qmp_close(d->qmp);
	migration_capabilities_done(&d->capabilities);
	free(d->arrival.definition);
	definition_done(&d->definition);
}

int move_in(struct job *job, const struct move_host *host, struct session *s,
	    const struct message_move *request, const struct move_peer *peer,
	    struct error *e)
{
	struct destination d = { .job = job,
				 .host = host,
				 .peer = peer,
				 .session = s,
				 .entry = journal_entry_of(job) };
	int r;

	destination_init(&d, &d.entry);
	job_begin(job, DEST_LOADING);
	if (prepare(&d, request, &d.why) == 0 && load(&d, &d.why) == 0) {
		job_set_stage(job, "commit");
		commit_run(&d.side, EVENT_LOADED);
	} else {
		commit_run(&d.side, EVENT_FAILED);
	}
	r = outcome(&d, e);
	let_go(&d);
	return r;
}

/* --- after a restart */

/* A guest that runs, or has run, has come, whatever its QEMU did since. */
static int open_monitor(struct destination *d, bool committed,
			bool *ret_running, struct error *e)
{
	struct migration_info info;

	qmp_close(d->qmp);
	d->qmp = NULL;
	if (qmp_open(&d->qmp, d->arrival.process.qmp_path,
		     clock_us() + MONITOR_US, e) < 0 ||
	    monitor_migration(d->qmp, &info, e) < 0 ||
	    monitor_is_running(d->qmp, ret_running, e) < 0)
		return error_code(e);
	if (info.status != MIGRATION_COMPLETED && !*ret_running && !committed)
		return error_set(e, EOWNERDEAD,
				 "droverd ended in the middle of this move");
	return 0;
}

/* Process ids and start times begin anew when the host does. */
static bool is_the_same(const struct qemu_process *p,
			const struct journal_entry *entry)
{
	char now[LAUNCH_IDENTITY_SIZE];

	launch_identity(now, sizeof(now), p);
	return !entry->qemu[0] || !strcmp(entry->qemu, now);
}

/* -EOWNERDEAD: its guest has certainly never run.  A QEMU that lives and does
 * not answer may be running it, and is not touched but on the operator's word.
 */
static int reopen(struct destination *d, const struct journal_entry *entry,
		  bool *ret_running, struct error *e)
{
	struct qemu_process *p = &d->arrival.process;
	int r;

	if (entry->pid == 0 ? launch_find(p, d->run_dir, e) < 0
			    : launch_attach(p, entry->pid, entry->start_time,
					    d->run_dir, e) < 0)
		return error_code(e);
	if (!is_the_same(p, entry)) {
		launch_forget(p);
		return error_set(e, ESRCH, "its QEMU was of an earlier boot");
	}
	d->started = true;
	while ((r = open_monitor(d, entry->step == STEP_COMMITTED, ret_running,
				 e)) < 0 &&
	       r != -EOWNERDEAD && launch_alive(p) &&
	       atomic_load(&d->job->verdict) != JOB_GIVE_UP) {
		job_set_doubt(d->job, e->text,
			      "Drover keeps asking its QEMU, which lives, "
			      "until 'drover job resolve %s --give-up'",
			      d->job->id);
		job_sleep(d->job, clock_us() + ASK_US);
	}
	if (atomic_load(&d->job->verdict) == JOB_GIVE_UP)
		job_take_verdict(d->job);
	return r;
}

/* An entry that names no QEMU is of one that was just being started; what is
 * found in its place may be that of the machine as it came later. */
static bool is_later_qemu(const struct destination *d,
			  const struct journal_entry *entry)
{
	char identity[LAUNCH_IDENTITY_SIZE];

	if (entry->pid != 0)
		return false;
	launch_identity(identity, sizeof(identity), &d->arrival.process);
	return d->host->guest_lives(d->host->context, d->job->machine,
				    identity);
}

/* What the entry was about, as it is found. */
static enum decide_event found(struct destination *d,
			       const struct journal_entry *entry)
{
	bool running = false;

	/* Else it is gone, or perhaps the guest ran, if only for a moment: then
	 * its disks are ahead of the source's memory, for ever. */
	if (reopen(d, entry, &running, &d->why) == 0) {
		d->facts |= FACT_ALIVE | FACT_COMPLETE |
			    (running ? FACT_RUNNING : 0);
		d->why = (struct error){ 0 };
	} else if (d->why.code == EOWNERDEAD) {
		d->facts |= FACT_ALIVE;
	}
	if (is_later_qemu(d, entry)) {
		d->facts |= FACT_LATER_QEMU;
		d->run_dir[0] = '\0'; /* is not ours to clean */
	}
	if (entry->step == STEP_DROPPED)
		return EVENT_FOUND_DROPPED;
	return entry->step == STEP_COMMITTED ? EVENT_FOUND_COMMITTED
					     : EVENT_FOUND_PREPARE;
}

int move_in_resume(struct job *job, const struct move_host *host,
		   struct journal_entry *entry, const struct move_peer *peer,
		   struct error *e)
{
	const char *text = entry->definition;
	struct destination d = { .job = job,
				 .host = host,
				 .peer = peer,
				 .resumed = true,
				 .arrival.process.pidfd = -1 };
	int r;

	d.arrival.definition = strdup(text ? text : "");
	d.arrival.paused = entry->paused;
	snprintf(d.arrival.name, sizeof(d.arrival.name), "%s", job->machine);
	run_dir_of(d.run_dir, sizeof(d.run_dir), host, d.arrival.name);
	d.arrival.run_dir = d.run_dir;
	d.arrival.job = job->id;
	destination_init(&d, entry);
	commit_run(&d.side, found(&d, entry));
	r = outcome(&d, e);
	let_go(&d);
	return r;
}
