/* SPDX-License-Identifier: MIT */
#include "host/relays.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/carries.h"
#include "host/host.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "host/relay_waits.h"
#include "host/terms.h"
#include "move/job_view.h"
#include "move/peer.h"
#include "pages/memory.h"
#include "relay/blocks.h"
#include "relay/endpoint.h"
#include "relay/relay.h"

enum {
	READY_US = 20000000,
	LINGER_US = 3000000,
	TURN_US = 250000,
	LAST_LOOK_US = 500000,
};

struct connecting {
	struct host *host;
	struct terms terms; /* source */
	struct job *job;
	struct move_peer peer;
	char name[64];
	struct endpoint listen; /* source; where QEMU does, destination */
	char user[64];          /* whose socket it is; empty: this one's */
	mode_t mode;
};

static void connecting_free(struct connecting *c)
{
	job_drop(c->job);
	terms_done(&c->terms);
	free(c);
}

/* What the destination has besides. */
struct accepting {
	struct host *host;
	const struct relay_wait *wait;
	struct session *session;
	struct guest_memory *memory; /* of its QEMU; NULL: none, or not yet */
};

/* --- both sides */

static void show_progress(struct job *j, struct session *s, struct relay *r)
{
	struct job_progress p;
	struct session_stats st;
	struct relay_stats rs;

	session_stats(s, &st);
	relay_stats(r, &rs);
	p = progress_of(&st, &rs);
	p.bytes_sent = st.bytes_sent;
	p.ram_total = rs.ram_bytes;
	p.rate = st.out.rate;
	job_set_progress(j, &p);
}

/* The session has ended, @e says why.  The source ends it as soon as everything
 * is acknowledged, and threads here may still be about to say the same.  1 if
 * they do. */
static int last_look(struct relay *r, const struct error *e)
{
	struct pollfd p = { .fd = relay_event_fd(r), .events = POLLIN };
	struct error ignored;

	poll(&p, 1, LAST_LOOK_US / 1000);
	return relay_check(r, &ignored) > 0 ? 1 : error_code(e);
}

static int on_message(struct session *s, struct relay *r,
		      const struct message *m, struct error *e)
{
	SCOPED(blocks_done) struct relay_blocks blocks = { 0 };

	if (m->type != MESSAGE_BLOCKS)
		return 0;
	if (blocks_take(&blocks, &m->blocks, session_peer(s), e) < 0)
		return error_code(e);
	return relay_set_blocks(r, &blocks, e);
}

static int read_messages(struct session *s, struct relay *r, struct error *e)
{
	struct message m;
	int got;

	while ((got = session_receive(s, &m, e)) > 0) {
		got = on_message(s, r, &m, e);
		message_done(&m);
		if (got < 0)
			session_fail(s, e->text);
	}
	return got;
}

/* QEMU may come after the relay, but one that came and went is not waited
 * for. */
static int check_qemu(const struct endpoint *qemu, bool *seen, struct error *e)
{
	int there = endpoint_is_there(qemu);

	*seen = *seen || there > 0;
	if (!*seen || there != 0)
		return 0;
	return error_set(e, ECONNREFUSED,
			 "the QEMU at %s is gone, and the source's never came",
			 qemu->text);
}

/* Of the destination, before it has a connection to its QEMU, which may stop
 * listening as soon as it has: so that is looked at last. */
static int check_target(const struct accepting *a, struct relay *r, bool *seen,
			struct error *e)
{
	struct relay_stats st;

	if (!a || check_qemu(&a->wait->qemu, seen, e) == 0)
		return 0;
	relay_stats(r, &st);
	return st.connected ? 0 : error_code(e);
}

/* Until connection 0 has ended both ways.  1 then. */
static int watch(struct job *j, struct session *s, struct relay *r,
		 const struct accepting *a, struct error *e)
{
	bool seen = false;
	struct pollfd p[] = {
		{ .fd = session_event_fd(s), .events = POLLIN },
		{ .fd = relay_event_fd(r), .events = POLLIN },
		{ .fd = j->wake_fd, .events = POLLIN },
	};

	for (;;) {
		int ended = relay_check(r, e);

		if (ended != 0)
			return ended;
		if (read_messages(s, r, e) < 0)
			return last_look(r, e);
		if (job_check_cancel(j, e) < 0 ||
		    check_target(a, r, &seen, e) < 0)
			return error_code(e);
		show_progress(j, s, r);
		poll(p, ARRAY_SIZE(p), TURN_US / 1000);
	}
}

static void report(struct job *j, struct session *s, struct relay *r,
		   uint64_t took_us)
{
	struct job_report of;
	struct error e;

	if (report_relay(&of, s, r, took_us, &e) < 0)
		log_error("relay %s: no report: %s", j->machine, e.text);
	else
		job_set_report(j, &of);
}

/* "ready" or "blocks" */
static int send_blocks(struct session *s, enum message_type type,
		       const struct guest_memory *memory, struct error *e)
{
	AUTO_MESSAGE struct message m = { .type = type };

	if (blocks_list(&m.blocks, memory, e) < 0)
		return error_code(e);
	return session_send(s, &m, e);
}

/* The source ends the session; its end must not look like a break to a
 * destination that has still to write the last bytes.  Without its word nobody
 * knows here whether its QEMU heard that the guest was loaded. */
static int await_source(struct session *s, uint64_t limit_us, struct error *e)
{
	uint64_t deadline = clock_us() + limit_us;
	struct message m;
	int r;

	while ((r = session_await(s, deadline, &m, e)) > 0)
		message_done(&m);
	if (r == -ECONNABORTED && !session_failed(s))
		return 0;
	return error_in(e,
			"the guest was loaded, but look at the source's QEMU "
			"before it is continued here");
}

/* Runs the relay to its end.  Takes the session over. */
static int carry(struct job *j, struct session *s,
		 const struct relay_options *o, const struct accepting *a,
		 struct error *e)
{
	uint64_t start = clock_us();
	struct carries asks = { .stop_fd = -1 };
	struct error ignored;
	struct relay *r;
	int ended;

	if (relay_new(&r, o, e) < 0) {
		session_fail(s, e->text);
		session_free(s);
		return error_code(e);
	}
	/* Its blocks are known once its QEMU is connected. */
	if (!o->listen_path && send_blocks(s, MESSAGE_READY, NULL, e) < 0)
		session_fail(s, e->text);
	job_set_stage(j, "relay");
	job_set_session(j, s);
	if (a)
		carries_start(&asks, a->host, s, a->wait->name, &ignored);
	ended = watch(j, s, r, a, e);
	if (ended > 0)
		outbox_wait_empty(session_outbox(s), clock_us() + LINGER_US);
	report(j, s, r, clock_us() - start);
	if (ended > 0 && !o->listen_path)
		ended = await_source(s, o->switchover_outage_us, e);
	if (ended < 0)
		session_fail(s, e->text);
	else
		session_end(s, "done");
	carries_stop(&asks);
	relay_stop(r);
	job_set_session(j, NULL);
	/* Frames name the relay's buffers: it goes after the session. */
	session_free(s);
	relay_free(r);
	return ended < 0 ? ended : 0;
}

/* --- destination */

/* Whose socket it is, says the kernel; 0: it does not. */
static int check_pid(const struct relay_wait *w, pid_t pid, struct error *e)
{
	if (!w->pid || w->pid == pid)
		return 0;
	return error_set(e, EINVAL,
			 "%s is the socket of process %d, not of process %d as "
			 "--pid says: no memory was written; mend it or leave "
			 "it out",
			 w->qemu.text, (int)pid, (int)w->pid);
}

/* Every page stays in the stream where no memory can be written. */
static void find_memory(struct accepting *a, pid_t pid)
{
	const char *name = a->wait->name;
	enum memory_of of = session_peer_can(a->session, CAN_PROVE)
				    ? MEMORY_OF_STRANGER
				    : MEMORY_SHARED;
	struct error e = { 0 };

	if (!session_peer_can(a->session, CAN_BLOCKS))
		error_set(&e, EPROTO, "host %s has an older Drover",
			  session_peer(a->session));
	else if (pid == 0)
		error_set(&e, ENOENT, "%s does not tell whose socket it is",
			  a->wait->qemu.text);
	else if (memory_of_process(&a->memory, pid, of, &e) == 0 &&
		 memory_blocks(a->memory) == 0)
		error_set(&e, ENOENT,
			  "no memory of process %d can be mapped: %.150s",
			  (int)pid, memory_reason(a->memory, 0));
	if (e.code)
		log_info("relay %s: every page stays in the stream: %s", name,
			 e.text);
}

static int qemu_connected(void *context, struct relay *r, int fd,
			  struct error *e)
{
	struct accepting *a = context;
	pid_t pid = endpoint_process(fd);

	if (check_pid(a->wait, pid, e) < 0)
		return error_code(e);
	find_memory(a, pid);
	relay_set_memory(r, a->memory);
	if (!session_peer_can(a->session, CAN_BLOCKS))
		return 0;
	/* Behind that: the source may send pages from here on. */
	return send_blocks(a->session, MESSAGE_BLOCKS, a->memory, e);
}

static int accept_relay(struct host *h, struct session *s,
			const struct relay_wait *w, struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(h);
	struct accepting a = { .host = h, .wait = w, .session = s };
	const struct relay_options o = { .session = s,
					 .connect_path = w->qemu.text,
					 .judges = true,
					 .switchover_outage_us =
						 t.host.switchover_outage_us,
					 .connected = qemu_connected,
					 .context = &a };
	int r = carry(w->job, s, &o, &a, e);

	memory_free(a.memory);
	return r;
}

void relay_serve(struct host *h, struct session *s,
		 const struct message *request)
{
	const char *name = request->relay;
	struct relay_wait *w = relay_waits_take(h->relay_waits, name, NULL);
	struct error e;
	int r;

	if (!w) {
		error_set(&e, ENOENT,
			  "no relay called %.64s waits there: run 'drover "
			  "relay accept' on that host first",
			  name);
		session_fail(s, e.text);
		session_free(s);
		return;
	}
	r = accept_relay(h, s, w, &e);
	job_settle(w->job, r, &e);
	relay_wait_free(w);
}

/* False when it does not wait any more. */
static bool drop_wait(const struct connecting *c)
{
	struct relay_wait *w =
		relay_waits_take(c->host->relay_waits, c->name, c->job);

	if (w)
		relay_wait_free(w);
	return w;
}

/* Hears of a cancel while the relay waits; whoever serves its source does so
 * from then on, and settles the job.  What wakes the job's thread is his, and
 * closed with it: here it is turns. */
static void *waiting_main(void *arg)
{
	struct connecting *c = arg;
	bool seen = false;
	struct error e;

	while (relay_waits_has(c->host->relay_waits, c->job)) {
		int r;

		poll(NULL, 0, TURN_US / 1000);
		if ((r = job_check_cancel(c->job, &e)) == 0 &&
		    (r = check_qemu(&c->listen, &seen, &e)) == 0)
			continue;
		if (drop_wait(c))
			job_settle(c->job, r, &e);
		break;
	}
	connecting_free(c);
	return NULL;
}

static int start_accept(struct host *h, struct connecting *c,
			const struct relay_request *of, struct error *e)
{
	struct relay_wait *w;

	if (!of->qemu)
		return error_set(e, EINVAL,
				 "a relay needs 'qemu', the path of the socket "
				 "that qemu -incoming unix:PATH listens on");
	if (endpoint_parse(&c->listen, of->qemu, e) < 0)
		return error_code(e);
	if (of->pid && !endpoint_is_unix(&c->listen))
		return error_set(e, EINVAL,
				 "nobody can tell whose socket %s is: leave "
				 "'pid' out, or use the socket at a path",
				 c->listen.text);
	w = calloc(1, sizeof(*w));
	if (!w)
		return error_set(e, ENOMEM, "no memory for a relay");
	snprintf(w->name, sizeof(w->name), "%s", c->name);
	w->qemu = c->listen;
	w->pid = of->pid;
	w->job = job_hold(c->job);
	job_set_stage(c->job, "wait for the source");
	if (relay_waits_add(h->relay_waits, w, e) < 0) {
		relay_wait_free(w);
		return error_code(e);
	}
	if (jobs_thread(h->jobs, "relay accept", waiting_main, c, e) == 0)
		return 0;
	if (drop_wait(c))
		return error_code(e);
	/* The source has come already: there is no wait to be cancelled. */
	connecting_free(c);
	return 0;
}

/* --- source */

/* In turns, which end when the job is cancelled. */
static int await_ready(struct connecting *c, struct session *s,
		       struct message *ret, struct error *e)
{
	uint64_t deadline = clock_us() + READY_US;

	for (;;) {
		uint64_t turn = clock_us() + TURN_US;
		int r = session_await(s, turn < deadline ? turn : deadline, ret,
				      e);

		if (r != -ETIMEDOUT || clock_us() >= deadline)
			return r;
		if (job_check_cancel(c->job, e) < 0)
			return error_code(e);
	}
}

static int ask_ready(struct connecting *c, struct session *s,
		     struct relay_blocks *ret, struct error *e)
{
	struct message question = { .type = MESSAGE_RELAY };
	AUTO_MESSAGE struct message answer = { 0 };

	snprintf(question.relay, sizeof(question.relay), "%s", c->name);
	if (session_send(s, &question, e) < 0 ||
	    await_ready(c, s, &answer, e) < 0)
		return error_code(e);
	if (peer_check_answer(&answer, MESSAGE_READY, c->peer.name, e) < 0)
		return error_code(e);
	return blocks_take(ret, &answer.blocks, c->peer.name, e);
}

static int connect_relay(struct connecting *c, struct error *e)
{
	const struct settings *d = c->terms.settings;
	const struct move_paths paths = settings_paths(d);
	const struct session_options so =
		peer_session(&c->terms.host, &c->peer, &paths,
			     d->move.outage_limit_us);
	SCOPED(blocks_done) struct relay_blocks blocks = { 0 };
	struct relay_options o = {
		.judges = true,
		.listen_path = c->listen.text,
		.owner = { .user = c->user[0] ? c->user : NULL,
			   .mode = c->mode },
		.blocks = &blocks,
		.repeats = move_paths_repeats(&paths),
		.switchover_outage_us = d->move.switchover_outage_limit_us,
	};

	if (session_open(&o.session, &so, e) < 0)
		return error_code(e);
	if (ask_ready(c, o.session, &blocks, e) < 0) {
		session_fail(o.session, e->text);
		session_free(o.session);
		return error_code(e);
	}
	o.blocks_follow = session_peer_can(o.session, CAN_BLOCKS);
	return carry(c->job, o.session, &o, NULL, e);
}

static void *connect_main(void *arg)
{
	struct connecting *c = arg;
	struct error e;
	int r = connect_relay(c, &e);

	job_settle(c->job, r, &e);
	connecting_free(c);
	return NULL;
}

/* "0660" */
static int take_mode(mode_t *ret, const char *text, struct error *e)
{
	char *end;
	unsigned long mode;

	if (!text)
		return 0;
	mode = strtoul(text, &end, 8);
	if (text[0] < '0' || text[0] > '7' || *end || mode == 0 || mode > 0777)
		return error_set(e, EINVAL,
				 "'socket_mode' is three or four octal digits "
				 "such as 0660, not %.40s",
				 text);
	*ret = (mode_t)mode;
	return 0;
}

static int take_owner(struct connecting *c, const struct relay_request *of,
		      struct error *e)
{
	const char *user = of->socket_user, *mode = of->socket_mode;

	if ((user || mode) && !endpoint_is_unix(&c->listen))
		return error_set(e, EINVAL,
				 "%s has no owner and no mode: only the socket "
				 "at a path has",
				 c->listen.text);
	snprintf(c->user, sizeof(c->user), "%s", user ? user : "");
	return take_mode(&c->mode, mode, e);
}

static int start_connect(struct host *h, struct connecting *c,
			 const struct relay_request *of, struct error *e)
{
	if (!of->listen)
		return error_set(e, EINVAL,
				 "a relay needs 'listen', the path that QEMU "
				 "is told to migrate to");
	if (endpoint_parse(&c->listen, of->listen, e) < 0 ||
	    take_owner(c, of, e) < 0 ||
	    peer_of(&c->terms, of->host, &c->peer, e) < 0 ||
	    endpoint_make_room(&c->listen, e) < 0)
		return error_code(e);
	if (of->has_downtime_limit)
		log_warning("relay %s: 'downtime_limit_ms' has no effect: "
			    "QEMU's own downtime-limit counts",
			    c->name);
	job_set_stage(c->job, "connect");
	return jobs_thread(h->jobs, "relay connect", connect_main, c, e);
}

/* --- the API */

int relay_start(struct host *h, const struct relay_request *of,
		struct job_view *ret_job, struct error *e)
{
	bool source = !strcmp(of->role, "connect");
	struct connecting *c = calloc(1, sizeof(*c));
	struct job *job = NULL;
	int r;

	if (!c)
		return error_set(e, ENOMEM, "no memory for a relay");
	c->host = h;
	c->terms = terms_of(h);
	if (!source && strcmp(of->role, "accept") != 0)
		r = error_set(e, EINVAL, "'role' must be accept or connect");
	else
		r = text_check_name("relay", of->name, e);
	if (r == 0) {
		snprintf(c->name, sizeof(c->name), "%s", of->name);
		r = job_new(&c->job,
			    &(struct job_subject){
				    .kind = JOB_RELAY,
				    .role = source ? ROLE_SOURCE
						   : ROLE_DESTINATION,
				    .machine = of->name,
				    .peer = of->host ? of->host : "" },
			    e);
	}
	if (r == 0) {
		job = job_hold(c->job);
		r = source ? start_connect(h, c, of, e)
			   : start_accept(h, c, of, e);
	}
	if (r < 0) {
		connecting_free(c);
	} else {
		jobs_add(h->jobs, job);
		r = job_view(job, ret_job, e);
	}
	job_drop(job);
	return r;
}
