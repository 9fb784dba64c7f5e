/* SPDX-License-Identifier: MIT */

/*
 * The destination's side of a move: start a paused QEMU that waits for the
 * stream, offer its memory, and say when everything has been loaded.  Then it
 * is the source's turn: the guest is continued on COMMIT and on nothing else.
 *
 * Until "loaded" is said, any failure drops the QEMU.  From then on it is kept,
 * paused, until the source's decision is known: the table of decide.h says what
 * is done, and destination_acts.c does it.
 */
#include "move/destination.h"

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
#include "move/back.h"
#include "move/compare.h"
#include "move/permit.h"
#include "pages/memory.h"
#include "pages/private.h"
#include "qemu/monitor.h"
#include "qemu/qmp.h"
#include "relay/blocks.h"
#include "relay/relay.h"
#include "session/session.h"

enum {
	MONITOR_US = 5000000,
	TURN_US = 250000,
	ASK_US = 2000000, /* of silence, and between two questions */
};

/* --- prepare */

/* The machine as the job has it, and where its QEMU runs. */
static void name_arrival(struct destination *d)
{
	snprintf(d->arrival.name, sizeof(d->arrival.name), "%s",
		 d->job->machine);
	move_run_dir(d->run_dir, d->host->run_directory, d->arrival.name);
	d->arrival.run_dir = d->run_dir;
	d->arrival.job = d->job->id;
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
	d->small_pages = request->machine.small_pages &&
			 d->definition.huge_pages == HUGE_PAGES_AUTO;
	name_arrival(d);
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

/* A source of before would send pages of an address that is not proved, and
 * where nobody may write into another process, pages would go through QEMU. */
static bool wants_file(const struct destination *d)
{
	struct error e;

	if (!session_peer_can(d->session, CAN_PROVE) || d->host->keeps_copies)
		return true;
	if (private_is_possible(&e) == 0)
		return false;
	log_info("move %s: its memory is a shared file here: %s",
		 d->job->machine, e.text);
	return true;
}

static int start_qemu(struct destination *d, struct error *e)
{
	const struct launch_options o = {
		.default_qemu = d->host->qemu,
		.run_dir = d->run_dir,
		.run_directory = d->host->run_directory,
		.incoming = true,
		.shared = wants_file(d),
		.small_pages = d->small_pages,
		.user = d->host->qemu_user,
		.state_directory = d->host->state_directory,
		.image_directories = d->host->image_directories,
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
	enum memory_of of = session_peer_can(d->session, CAN_PROVE)
				    ? MEMORY_OF_CHILD
				    : MEMORY_SHARED;

	snprintf(path, sizeof(path), "%s/incoming.sock", d->run_dir);
	unlink(path);
	if (memory_of_process(&d->memory, d->arrival.process.pid, of, e) < 0 ||
	    monitor_receive(d->qmp, path, e) < 0)
		return error_code(e);
	with.memory = d->memory;
	with.kept = d->kept;
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
	m.prepared.copy = d->kept != NULL;
	if (blocks_list(&m.prepared.blocks, d->memory, e) < 0 ||
	    session_send(d->session, &m, e) < 0)
		return error_code(e);
	return d->kept ? back_tell(d->session, d->kept, d->memory,
				   d->job->machine, e)
		       : 0;
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
	/* Its pages are told only to the host that has them as well. */
	if (session_peer_can(d->session, CAN_COPY) && d->definition.uuid &&
	    d->host->kept)
		d->kept = d->host->kept(d->host->context, d->definition.uuid,
					d->peer->name);
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
	int r = 0;

	for (int n = 0; n < MONITOR_EVENTS_AT_ONCE &&
			(r = monitor_event(d->qmp, 0, &event, e)) > 0;
	     n++)
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

/* --- the whole */

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
		launch_did_not_come(d->host->state_directory, d->arrival.name,
				    d->arrival.definition, d->run_dir);
	return error_code(e);
}

static void let_go(struct destination *d)
{
	if (d->facts & FACT_LATER_QEMU)
		launch_forget(&d->arrival.process);
	relay_stop(d->relay);
	job_set_session(d->job, NULL);
	session_free(d->session);
	relay_free(d->relay);
	if (d->kept)
		d->host->kept_done(d->host->context, d->kept);
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

	destination_begin(&d, &d.entry);
	job_begin(job, DEST_LOADING);
	job_set_session(job, s);
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
	name_arrival(&d);
	destination_begin(&d, entry);
	commit_run(&d.side, found(&d, entry));
	r = outcome(&d, e);
	let_go(&d);
	return r;
}
