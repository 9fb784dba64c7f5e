/* SPDX-License-Identifier: MIT */
#include "host/placement.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "host/placement_order.h"
#include "host/placement_reach.h"
#include "host/placement_search.h"

/* --- why somebody is left */

struct sentence {
	char *at;
	size_t used; /* below PLACEMENT_WHY */
};

static void add(struct sentence *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct sentence *s, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->at + s->used, PLACEMENT_WHY - s->used, fmt, ap);
	va_end(ap);
	if (n > 0)
		s->used += (size_t)n;
	if (s->used >= PLACEMENT_WHY)
		s->used = PLACEMENT_WHY - 1;
}

struct left {
	const struct reach *r;
	const struct search *s;
	size_t unit;
	unsigned machine;
};

static const struct placement_machine *machine_of(const struct left *l)
{
	return &l->r->of->machines[l->machine];
}

/* "needs 2 GiB, 1.5 GiB are left" */
static void add_room(struct sentence *s, const char *what, uint64_t need,
		     uint64_t there)
{
	char needs[24], has[24];

	text_bytes(needs, sizeof(needs), need);
	text_bytes(has, sizeof(has), there);
	add(s, "has %s of %s left, and %s are needed", has, what, needs);
}

static const char *missing(const struct words *needs, const struct words *has)
{
	for (size_t i = 0; has && i < needs->count; i++)
		if (!words_have(has, needs->at[i]))
			return needs->at[i];
	return "";
}

static void add_need(struct sentence *s, const struct left *l, unsigned host,
		     unsigned kind)
{
	static const char *const fmts[PLACEMENT_NEEDS] = {
		[PLACEMENT_TYPE] = "has no machine type ",
		[PLACEMENT_FEATURE] = "has a processor without ",
		[PLACEMENT_BRIDGE] = "has no bridge ",
		[PLACEMENT_DISK] = "does not reach ",
	};

	add(s, "%s%s", fmts[kind],
	    missing(machine_of(l)->needs[kind],
		    l->r->of->hosts[host].has[kind]));
}

/* What stands between @machine of the unit and the host, alone. */
static void add_bar(struct sentence *s, const struct left *l, unsigned host,
		    enum reach_bar bar)
{
	const struct placement_host *h = &l->r->of->hosts[host];
	const struct placement_machine *m = machine_of(l);

	switch ((unsigned)bar) {
	case BAR_CLOSED:
		add(s, "%s", h->closed);
		break;
	case BAR_CPUS:
		add(s, "has %u processors, and %u are needed", h->cpus,
		    m->vcpus);
		break;
	case BAR_MEMORY:
		add_room(s, "memory", m->memory_bytes, h->memory_bytes);
		break;
	case BAR_HUGE:
		add_room(s, "huge pages", m->huge_bytes, h->huge_bytes);
		break;
	case BAR_REFUSED:
		add(s, "%s", reach_refusal(l->r, l->machine, host)->why);
		break;
	case BAR_TOGETHER:
		add(s,
		    "has none of those that it is kept together with "
		    "(together = %s)",
		    m->together);
		break;
	case BAR_APART:
		add(s, "has one that it is kept apart from (apart = %s)",
		    m->apart);
		break;
	default:
		add_need(s, l, host, bar - BAR_NEED);
		break;
	}
}

/* What stands there once the others have been placed. */
static void add_rest(struct sentence *s, const struct left *l, unsigned host)
{
	const struct reach_unit *u = &l->r->units[l->unit];

	if (u->memory_bytes > l->s->memory_bytes[host])
		add_room(s, "memory", u->memory_bytes,
			 l->s->memory_bytes[host]);
	else if (u->huge_bytes > l->s->huge_bytes[host])
		add_room(s, "huge pages", u->huge_bytes,
			 l->s->huge_bytes[host]);
	else
		add(s, "gets one that it is kept apart from");
}

/* What two hosts have found is a sentence, which may begin with the name. */
static void add_name(struct sentence *s, const struct left *l, unsigned host,
		     enum reach_bar bar)
{
	const char *name = l->r->of->hosts[host].name;
	const size_t len = strlen(name);
	const char *why;

	if (bar != BAR_REFUSED) {
		add(s, "%s ", name);
		return;
	}
	why = reach_refusal(l->r, l->machine, host)->why;
	if (strncmp(why, name, len) != 0 || why[len] != ' ')
		add(s, "%s: ", name);
}

/* Of a group the first that cannot go there. */
static void add_host(struct sentence *s, struct left *l, unsigned host)
{
	const struct reach_unit *u = &l->r->units[l->unit];
	const unsigned asked = l->machine;
	enum reach_bar bar = reach_bar(l->r, asked, host);

	add_name(s, l, host, bar);
	for (size_t i = 0; bar == BAR_NONE && i < u->count; i++) {
		l->machine = l->r->members[u->first + i];
		bar = reach_bar(l->r, l->machine, host);
		if (bar != BAR_NONE)
			add(s,
			    "cannot take %s, which it is kept together "
			    "with: it ",
			    machine_of(l)->name);
	}
	if (bar == BAR_NONE)
		add_rest(s, l, host);
	else
		add_bar(s, l, host, bar);
	l->machine = asked;
}

enum { HOSTS_NAMED = 4 };

static void say_hosts(struct sentence *s, struct left *l)
{
	const struct placement *of = l->r->of;
	size_t named = 0, others = 0;

	for (unsigned h = 0; h < of->n_hosts; h++) {
		if (h == machine_of(l)->at)
			continue;
		if (named == HOSTS_NAMED) {
			others++;
			continue;
		}
		if (named++ > 0)
			add(s, "; ");
		add_host(s, l, h);
	}
	if (named == 0)
		add(s, "there is no other host");
	else if (others > 0)
		add(s, "; nor can %zu other%s take it", others,
		    others == 1 ? "" : "s");
}

static void say(char why[static PLACEMENT_WHY], struct left *l)
{
	struct sentence s = { .at = why };
	const struct reach_unit *u = &l->r->units[l->unit];
	const struct placement_machine *m = machine_of(l);

	why[0] = '\0';
	if (m->stays)
		add(&s, "%s", m->stays);
	else if (u->held != REACH_NONE)
		add(&s,
		    "is kept together with %s (together = %s), which "
		    "cannot go: %s",
		    l->r->of->machines[u->held].name, m->together,
		    l->r->of->machines[u->held].stays);
	else if (u->torn)
		add(&s,
		    "two of those that it is kept together with "
		    "(together = %s) are to be kept apart",
		    m->together);
	else
		say_hosts(&s, l);
}

/* --- the plan */

static int take_moves(struct placement_plan *ret, struct search *s,
		      struct error *e)
{
	const struct placement *of = s->r->of;
	const size_t n = search_jobs(s, s->jobs);

	ret->moves = calloc(n + 1, sizeof(*ret->moves));
	if (!ret->moves)
		return error_set(e, ENOMEM, "no memory for a placement");
	ret->seconds = order_best(of, s->jobs, n, &s->turns);
	ret->n_moves = n;
	for (size_t i = 0; i < n; i++) {
		const struct order_job *j = &s->jobs[i];

		ret->moves[i] = (struct placement_move){
			.machine = j->machine,
			.to = j->to,
			.starts_s = j->starts_s,
			.ends_s = j->starts_s + j->seconds,
		};
	}
	return 0;
}

static int take_left(struct placement_plan *ret, const struct search *s,
		     struct error *e)
{
	struct left l = { .r = s->r, .s = s };

	ret->left = calloc(s->left + 1, sizeof(*ret->left));
	if (!ret->left)
		return error_set(e, ENOMEM, "no memory for a placement");
	for (; l.unit < s->r->n_units; l.unit++) {
		const struct reach_unit *u = &s->r->units[l.unit];

		for (size_t i = 0; s->to[l.unit] == REACH_NONE && i < u->count;
		     i++) {
			struct placement_left *left = &ret->left[ret->n_left++];

			l.machine = s->r->members[u->first + i];
			left->machine = l.machine;
			say(left->why, &l);
		}
	}
	return 0;
}

int placement_make(const struct placement *of, struct placement_plan *ret,
		   struct error *e)
{
	SCOPED(reach_done) struct reach r = { 0 };
	SCOPED(search_done) struct search s = { 0 };

	*ret = (struct placement_plan){ 0 };
	if (reach_init(&r, of, e) < 0 || search_init(&s, &r, e) < 0 ||
	    search_run(&s, e) < 0)
		return error_code(e);
	if (take_moves(ret, &s, e) < 0 || take_left(ret, &s, e) < 0) {
		placement_plan_done(ret);
		return error_code(e);
	}
	ret->steps = r.steps + s.steps;
	return 0;
}

void placement_plan_done(struct placement_plan *p)
{
	free(p->moves);
	free(p->left);
	*p = (struct placement_plan){ 0 };
}

/* --- if a host were lost */

struct loss {
	struct placement of;
	struct placement_host *hosts;
	struct placement_machine *machines;
};

static void loss_done(struct loss *l)
{
	free(l->hosts);
	free(l->machines);
}

static void apply(struct loss *l, const struct placement_plan *p)
{
	for (size_t i = 0; i < p->n_moves; i++) {
		struct placement_machine *m = &l->machines[p->moves[i].machine];
		struct placement_host *to = &l->hosts[p->moves[i].to];

		to->memory_bytes -= m->memory_bytes;
		to->huge_bytes -= m->huge_bytes;
		m->at = p->moves[i].to;
	}
}

static int loss_init(struct loss *l, const struct placement *of,
		     const struct placement_plan *after, struct error *e)
{
	l->of = *of;
	l->hosts = calloc(of->n_hosts + 1, sizeof(*l->hosts));
	l->machines = calloc(of->n_machines + 1, sizeof(*l->machines));
	if (!l->hosts || !l->machines)
		return error_set(e, ENOMEM, "no memory for a placement");
	if (of->n_hosts > 0)
		memcpy(l->hosts, of->hosts, of->n_hosts * sizeof(*l->hosts));
	if (of->n_machines > 0)
		memcpy(l->machines, of->machines,
		       of->n_machines * sizeof(*l->machines));
	if (after)
		apply(l, after);
	l->of.hosts = l->hosts;
	l->of.machines = l->machines;
	/* They are started anew then: what only a move cannot do is no bar. */
	for (size_t i = 0; i < of->n_machines; i++)
		l->machines[i].stays = NULL;
	return 0;
}

static void note_loss(struct placement_spare *ret, const struct loss *l,
		      unsigned host, const struct placement_plan *p)
{
	struct placement_spare one = { .host = host, .machines = p->n_left };

	for (size_t i = 0; i < p->n_left; i++)
		one.bytes += l->machines[p->left[i].machine].memory_bytes;
	for (size_t i = 0; i < l->of.n_machines; i++)
		if (l->machines[i].goes)
			one.need_bytes += l->machines[i].memory_bytes;
	one.enough = one.machines == 0;
	if (!one.enough) {
		one.first = p->left[0].machine;
		memcpy(one.why, p->left[0].why, sizeof(one.why));
	}
	if (ret->host == REACH_NONE || one.bytes > ret->bytes ||
	    (one.bytes == ret->bytes && one.need_bytes > ret->need_bytes))
		*ret = one;
}

/* How it would be without @host. */
static int lose(struct loss *l, unsigned host, struct placement_spare *ret,
		struct error *e)
{
	SCOPED(placement_plan_done) struct placement_plan p = { 0 };
	const char *was = l->hosts[host].closed;
	bool any = false;
	int r = 0;

	l->hosts[host].closed = "has failed";
	for (size_t i = 0; i < l->of.n_machines; i++) {
		l->machines[i].goes = l->machines[i].at == host;
		any |= l->machines[i].goes;
	}
	if (any)
		r = placement_make(&l->of, &p, e);
	if (r == 0 && any)
		note_loss(ret, l, host, &p);
	l->hosts[host].closed = was;
	return r;
}

int placement_spare(const struct placement *of,
		    const struct placement_plan *after,
		    struct placement_spare *ret, struct error *e)
{
	SCOPED(loss_done) struct loss l = { 0 };

	*ret = (struct placement_spare){ .enough = true, .host = REACH_NONE };
	if (loss_init(&l, of, after, e) < 0)
		return error_code(e);
	for (unsigned h = 0; h < of->n_hosts; h++)
		if (lose(&l, h, ret, e) < 0)
			return error_code(e);
	return 0;
}
