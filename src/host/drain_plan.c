/* SPDX-License-Identifier: MIT */
#include "host/drain_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "host/host.h"
#include "host/placement_facts.h"
#include "move/job_view.h"

/* Each brings something new about a pair of hosts, or is the last. */
enum { ROUNDS = 64 };

void drain_wish_done(struct drain_wish *w)
{
	free(w->no);
	w->no = NULL;
	w->n_no = 0;
}

int drain_wish_refuse(struct drain_wish *w, const char *uuid, const char *host,
		      const char *why, struct error *e)
{
	struct drain_refusal *more =
		reallocarray(w->no, w->n_no + 1, sizeof(*more));

	if (!more)
		return error_set(e, ENOMEM, "no memory for a plan");
	w->no = more;
	more += w->n_no++;
	snprintf(more->uuid, sizeof(more->uuid), "%s", uuid);
	snprintf(more->host, sizeof(more->host), "%s", host);
	snprintf(more->why, sizeof(more->why), "%s", why);
	return 0;
}

/* --- what two hosts find */

struct making {
	struct host *host;
	struct drain_wish *wish;
	const struct facts_all *facts;
	struct placement_facts p;
	struct placement_plan plan;
	bool *fine; /* of each machine and host: they have found nothing */
};

static void making_done(struct making *m)
{
	placement_plan_done(&m->plan);
	placement_facts_done(&m->p);
	free(m->fine);
}

static const char *first_error(const struct findings *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->at[i].severity == SEVERITY_ERROR)
			return f->at[i].text;
	return "";
}

/* 1: something speaks against it.  One that somebody holds for a moment says
 * nothing of the host: its move compares again before it begins. */
static int compare(struct making *m, const struct placement_move *v,
		   struct error *e)
{
	const struct machine_facts *of = m->p.of_machine[v->machine];
	const char *host = m->p.hosts[v->to].name;
	struct comparison found = { 0 };
	struct error why;
	int r = machine_compare(m->host, of->name, host, &found, &why);

	if (r == -EBUSY || (r == 0 && found.ok)) {
		findings_done(&found.findings);
		return 0;
	}
	if (r == 0)
		r = drain_wish_refuse(m->wish, of->uuid, host,
				      first_error(&found.findings), e);
	else
		r = drain_wish_refuse(m->wish, of->uuid, host, why.text, e);
	findings_done(&found.findings);
	return r < 0 ? r : 1;
}

static int compare_all(struct making *m, struct error *e)
{
	int any = 0;

	for (size_t i = 0; i < m->plan.n_moves; i++) {
		const struct placement_move *v = &m->plan.moves[i];
		bool *fine = &m->fine[v->machine * m->p.of.n_hosts + v->to];
		int r = *fine ? 0 : compare(m, v, e);

		if (r < 0)
			return r;
		*fine = r == 0;
		any |= r;
	}
	return any;
}

static int refuse_known(struct making *m, struct error *e)
{
	m->p.of.n_refusals = 0;
	for (size_t i = 0; i < m->wish->n_no; i++) {
		const struct drain_refusal *no = &m->wish->no[i];

		if (placement_facts_refuse(&m->p, no->uuid, no->host, no->why,
					   e) < 0)
			return error_code(e);
	}
	return 0;
}

static int place(struct making *m, struct error *e)
{
	int r = 1;

	for (unsigned i = 0; r == 1 && i < ROUNDS; i++) {
		placement_plan_done(&m->plan);
		if (refuse_known(m, e) < 0 ||
		    placement_make(&m->p.of, &m->plan, e) < 0)
			return error_code(e);
		r = compare_all(m, e);
	}
	return r < 0 ? r : 0;
}

/* --- as it is shown and kept */

static int take_moves(struct drain_record *ret, const struct making *m,
		      struct error *e)
{
	for (size_t i = 0; i < m->plan.n_moves; i++) {
		const struct placement_move *v = &m->plan.moves[i];
		const struct machine_facts *of = m->p.of_machine[v->machine];
		struct drain_machine *to = drain_add(ret, of->name, of->uuid);

		if (!to)
			return error_set(e, ENOMEM, "no memory for a plan");
		snprintf(to->to, sizeof(to->to), "%s", m->p.hosts[v->to].name);
		to->starts_s = v->starts_s;
		to->ends_s = v->ends_s;
	}
	for (size_t i = 0; i < m->plan.n_left; i++) {
		const struct placement_left *l = &m->plan.left[i];
		const struct machine_facts *of = m->p.of_machine[l->machine];
		struct drain_machine *to = drain_add(ret, of->name, of->uuid);

		if (!to)
			return error_set(e, ENOMEM, "no memory for a plan");
		to->fate = FATE_STAYS;
		snprintf(to->why, sizeof(to->why), "%s", l->why);
	}
	ret->seconds = m->plan.seconds;
	return 0;
}

static int take_spare(struct drain_spare *ret, const struct placement_facts *p,
		      const struct placement_plan *after, struct error *e)
{
	struct placement_spare s;

	if (placement_spare(&p->of, after, &s, e) < 0)
		return error_code(e);
	*ret = (struct drain_spare){ .enough = s.enough,
				     .machines = (unsigned)s.machines,
				     .bytes = s.bytes };
	if (s.host < p->of.n_hosts)
		snprintf(ret->host, sizeof(ret->host), "%s",
			 p->hosts[s.host].name);
	if (!s.enough)
		snprintf(ret->why, sizeof(ret->why), "%.64s: %.330s",
			 p->machines[s.first].name, s.why);
	return 0;
}

/* One that is on its way goes on as it is. */
static int take_moving(struct drain_record *ret, struct making *m,
		       const struct job_view *v, struct error *e)
{
	struct placement_facts *p = &m->p;
	struct drain_machine *to;
	size_t i = 0;

	if (v->kind != JOB_MOVE || v->role != ROLE_SOURCE ||
	    (v->state != JOB_RUNNING && v->state != JOB_IN_DOUBT))
		return 0;
	while (i < p->of.n_machines &&
	       (!p->machines[i].goes ||
		strcmp(p->machines[i].name, v->machine) != 0))
		i++;
	if (i == p->of.n_machines)
		return 0;
	p->machines[i].goes = false;
	to = drain_add(ret, v->machine, p->of_machine[i]->uuid);
	if (!to)
		return error_set(e, ENOMEM, "no memory for a plan");
	to->fate = FATE_MOVES;
	snprintf(to->to, sizeof(to->to), "%s", v->peer);
	snprintf(to->job, sizeof(to->job), "%s", v->id);
	return 0;
}

static int take_all_moving(struct drain_record *ret, struct making *m,
			   struct error *e)
{
	struct job_views all;
	int r = job_list(m->host, &all, e);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < all.count; i++)
		r = take_moving(ret, m, &all.at[i], e);
	shape_done(&job_views_shape, &all);
	return r;
}

static int make(struct making *m, struct drain_record *ret, struct error *e)
{
	const struct drain_wish *w = m->wish;

	if (placement_facts_init(&m->p, m->facts, w->to, w->one, !w->one, e) <
	    0)
		return error_code(e);
	m->fine = calloc(m->p.of.n_machines * m->p.of.n_hosts + 1,
			 sizeof(*m->fine));
	if (!m->fine)
		return error_set(e, ENOMEM, "no memory for a plan");
	if (take_all_moving(ret, m, e) < 0 || place(m, e) < 0 ||
	    take_moves(ret, m, e) < 0)
		return error_code(e);
	ret->has_spare = w->spare;
	return w->spare ? take_spare(&ret->spare, &m->p, &m->plan, e) : 0;
}

/* A name with a typing error would leave all others unused without a word. */
static int check_names(const struct facts_all *facts, const struct words *to,
		       struct error *e)
{
	for (size_t i = 0; to && i < to->count; i++) {
		size_t k = 1;

		while (k < facts->count &&
		       strcmp(facts->at[k].name, to->at[i]) != 0)
			k++;
		if (k >= facts->count)
			return error_set(e, ENOENT,
					 "%s knows no host called %.64s: add a "
					 "section [peer %.64s] to its "
					 "drover.conf",
					 facts->at[0].name, to->at[i],
					 to->at[i]);
	}
	return 0;
}

int drain_plan_make(struct host *h, struct drain_wish *w,
		    struct drain_record *ret, struct error *e)
{
	SCOPED(facts_all_done) struct facts_all facts = { 0 };
	SCOPED(making_done) struct making m = { .host = h, .wish = w };

	if (facts_gather(h, &facts, e) < 0 || check_names(&facts, w->to, e) < 0)
		return error_code(e);
	m.facts = &facts;
	return make(&m, ret, e);
}

int drain_plan_spare(struct host *h, struct drain_spare *ret, struct error *e)
{
	SCOPED(facts_all_done) struct facts_all facts = { 0 };
	SCOPED(placement_facts_done) struct placement_facts p = { 0 };

	if (facts_gather(h, &facts, e) < 0 ||
	    placement_facts_init(&p, &facts, NULL, NULL, false, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < p.of.n_machines; i++)
		p.machines[i].goes = false;
	return take_spare(ret, &p, NULL, e);
}
