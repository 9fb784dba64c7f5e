/* SPDX-License-Identifier: MIT */
#include "host/carries.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/thread.h"
#include "host/jobs.h"
#include "host/parts.h"
#include "move/peer.h"
#include "session/session.h"

enum {
	ANSWER_US = 2000000,
	TURN_MS = 500,
	/* One may be of a firewall, or of a host that is just starting. */
	REFUSALS = 6,
};

/* --- the destination */

/* 1: yes; 0: no, @e says why; negative: it was not heard.  @refusals: one after
 * the other. */
static int ask(const struct carries *c, unsigned *refusals, struct error *e)
{
	struct message question = { .type = MESSAGE_CARRIES };
	AUTO_MESSAGE struct message answer = { 0 };
	bool no;
	int r;

	snprintf(question.carries, sizeof(question.carries), "%s", c->name);
	r = peer_ask(&c->terms.host, &c->peer, &question, ANSWER_US, &answer,
		     e);
	*refusals = r == -ECONNREFUSED ? *refusals + 1 : 0;
	if (*refusals == REFUSALS) {
		error_set(e, ECONNREFUSED, "host %s has no droverd any more",
			  c->peer.name);
		return 0;
	}
	if (r < 0)
		return r;
	no = answer.type == MESSAGE_CARRIED && !answer.carried;
	if (no)
		error_set(e, ENOENT,
			  "host %s does not carry relay %s any more: it was "
			  "cancelled there, or its droverd was restarted",
			  c->peer.name, c->name);
	return !no;
}

static void *carries_main(void *arg)
{
	struct pollfd p = { .events = POLLIN };
	struct carries *c = arg;
	struct session_stats st;
	unsigned refusals = 0;
	struct error e;

	p.fd = c->stop_fd;
	while (poll(&p, 1, TURN_MS) == 0) {
		session_stats(c->session, &st);
		if (st.outage && ask(c, &refusals, &e) == 0) {
			session_fail(c->session, e.text);
			break;
		}
	}
	return NULL;
}

int carries_start(struct carries *c, struct host *h, struct session *s,
		  const char *name, struct error *e)
{
	int r;

	*c = (struct carries){ .host = h,
			       .session = s,
			       .name = name,
			       .terms = terms_of(h),
			       .stop_fd = -1 };
	if (!session_peer_can(s, CAN_CARRIES))
		return error_set(e, EOPNOTSUPP, "host %s has an older Drover",
				 session_peer(s));
	if (peer_of(&c->terms, session_peer(s), &c->peer, e) < 0)
		return error_as(e, EOPNOTSUPP);
	c->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (c->stop_fd < 0)
		return error_sys(e, "eventfd");
	r = thread_create(&c->thread, "carries", carries_main, c);
	if (r == 0)
		return 0;
	scope_close(&c->stop_fd);
	c->stop_fd = -1;
	return error_set(e, r, "no thread for a relay");
}

void carries_stop(struct carries *c)
{
	if (c->stop_fd >= 0) {
		eventfd_write(c->stop_fd, 1);
		pthread_join(c->thread, NULL);
		scope_close(&c->stop_fd);
		c->stop_fd = -1;
	}
	terms_done(&c->terms);
}

/* --- the source */

bool carries_answer(struct host *h, const char *peer, const char *name)
{
	return jobs_carry_relay(h->jobs, name, peer);
}
