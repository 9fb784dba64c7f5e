/* SPDX-License-Identifier: MIT */
#include "host/paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/words.h"
#include "channel/channel.h"
#include "frames/outbox.h"
#include "host/host.h"
#include "host/parts.h"
#include "host/terms.h"
#include "move/peer.h"
#include "nic/inventory.h"
#include "nic/watch.h"

enum {
	TRIED_US = 6000000, /* longer than a hello is waited for */
	PLAN_US = 10000000,
	ANSWER_US = 1000000,
	RDMA_US = 3000000,
	LIST_TEXT = 128,
};

/* --- what a request asks for */

static int take_mode(struct move_paths *p, const char *name, struct error *e)
{
	if (!name)
		return 0;
	if (move_mode_find(&p->mode, name, e) < 0)
		return error_code(e);
	p->policy.all = p->mode->all;
	return 0;
}

static int take_rdma(struct move_paths *p, const char *name, struct error *e)
{
	for (unsigned i = 0; name && rdma_uses[i]; i++) {
		if (strcmp(name, rdma_uses[i]) != 0)
			continue;
		p->rdma.use = (enum rdma_use)i;
		return 0;
	}
	return name ? error_set(e, EINVAL,
				"rdma is prefer, require or off, not '%.40s'",
				name)
		    : 0;
}

static int take_networks(struct move_paths *p, const struct words *lines,
			 struct error *e)
{
	p->networks = (struct networks){ 0 };
	for (size_t i = 0; i < lines->count; i++)
		if (networks_add(&p->networks, lines->at[i], e) < 0)
			return error_in(e, "networks");
	/* An empty list would allow what the settings may forbid. */
	if (p->networks.count == 0)
		return error_set(e, EINVAL,
				 "'networks' names no network: leave it out to "
				 "use all");
	return 0;
}

int paths_asked(struct move_paths *ret, const struct settings *s,
		const struct paths_request *of, struct error *e)
{
	struct move_paths p = settings_paths(s);

	if (take_mode(&p, of->mode, e) < 0 || take_rdma(&p, of->rdma, e) < 0 ||
	    (of->has_networks && take_networks(&p, &of->networks, e) < 0))
		return error_code(e);
	if (of->has_connections &&
	    (of->connections < 1 || of->connections > CHANNELS_MAX))
		return error_set(e, EINVAL, "connections must be from 1 to %d",
				 CHANNELS_MAX);
	if (of->has_connections)
		p.policy.most = (unsigned)of->connections;
	*ret = p;
	return 0;
}

/* --- where peers may come in */

/* "10.0.0.0/24; eth1 eth2" */
static void networks_text(char buf[static LIST_TEXT], const struct networks *n)
{
	SCOPED(words_done) struct words all = { 0 };
	struct error ignored;
	size_t used = 0;

	buf[0] = '\0';
	networks_words(&all, n, &ignored);
	for (size_t i = 0; i < all.count && used < LIST_TEXT; i++)
		used += (size_t)snprintf(buf + used, LIST_TEXT - used, "%s%s",
					 i ? "; " : "", all.at[i]);
}

int paths_admit(const struct host *h, const struct networks *networks,
		const struct channel *c, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = NULL;
	const struct nic *n;
	char listed[LIST_TEXT];

	if (networks->count == 0)
		return 0;
	inv = nic_watch_get(h->nics);
	n = inventory_by_address(inv, c->local.family, c->local.bytes);
	if (networks_rank(networks, n ? n->name : "", &c->local) != RANK_NONE)
		return 0;
	networks_text(listed, networks);
	return error_set(e, EACCES,
			 "takes moves on its networks %s only, and %s%s%s is "
			 "on none of them",
			 listed, c->from, n ? " of " : "", n ? n->name : "");
}

/* --- the plan */

void paths_serve_plan(struct host *h, struct session *s,
		      const struct message *request)
{
	uint64_t deadline = clock_us() + PLAN_US;
	struct error e;
	struct message m;

	(void)h;
	(void)request;
	/* Who knows RDMA waits for this, to hear that we do. */
	if (session_peer_can(s, CAN_RDMA))
		session_say(s, MESSAGE_PLAN, &e);
	while (session_await(s, deadline, &m, &e) >= 0)
		message_done(&m);
	session_free(s);
}

/* A peer of an older version knows no plans, and says so, or has no answer. */
static int await_answer(struct session *s, uint64_t deadline_us,
			struct error *e)
{
	AUTO_MESSAGE struct message m = { 0 };
	int r = session_await(s, deadline_us, &m, e);

	if (r == -ETIMEDOUT)
		return 0;
	if (r < 0 || m.type == MESSAGE_PLAN)
		return r < 0 ? r : 0;
	return error_set(e, EPROTO, "%s: %.200s", session_peer(s),
			 m.type == MESSAGE_FAILED ? m.failed.error
						  : "answers nonsense");
}

/* With the answer RDMA begins to be tried. */
static int ask_plan(struct session *s, struct paths_report *ret, char *rdma,
		    struct error *e)
{
	int r = session_say(s, MESSAGE_PLAN, e);

	if (r == 0 && rdma)
		r = await_answer(s, clock_us() + ANSWER_US, e);
	if (r < 0)
		return r;
	session_wait_tried(s, clock_us() + TRIED_US);
	if (rdma)
		session_try_rdma(s, clock_us() + RDMA_US, rdma);
	else
		r = await_answer(s, clock_us(), e);
	if (r == 0)
		r = session_paths(s, ret, e);
	session_end(s, "done");
	return r;
}

int paths_plan(const struct terms *t, const struct move_peer *peer,
	       const struct move_paths *paths, struct paths_report *ret,
	       char *rdma, struct error *e)
{
	struct session_options o = peer_session(&t->host, peer, paths, PLAN_US);
	struct session *s = NULL;
	int r;

	/* No page will travel: its share of the buffers is for those that do.
	 */
	o.compressor = NULL;
	if (!rdma)
		o.cards.rdma = NULL;
	r = session_open(&s, &o, e);
	if (r == 0)
		r = ask_plan(s, ret, rdma, e);
	session_free(s);
	return r < 0 ? peer_failed(e) : 0;
}

int nic_plan(struct host *h, const char *peer_name, const char *mode,
	     struct plan_view *ret, struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(h);
	struct move_paths paths = settings_paths(t.settings);
	struct move_peer peer;
	struct plan_view plan = { 0 };
	AUTO_INVENTORY struct inventory *cards = NULL;

	if (take_mode(&paths, mode, e) < 0 ||
	    peer_of(&t, peer_name, &peer, e) < 0)
		return error_code(e);
	snprintf(plan.host, sizeof(plan.host), "%s", peer_name);
	snprintf(plan.mode, sizeof(plan.mode), "%s", paths.mode->name);
	if (paths_plan(&t, &peer, &paths, &plan.report, plan.rdma, e) < 0)
		return error_code(e);
	cards = nic_watch_get(h->nics);
	if (plan_add_tc(&plan, &t.settings->named_networks, cards, e) < 0) {
		shape_done(&plan_shape, &plan);
		return error_code(e);
	}
	*ret = plan;
	return 0;
}
