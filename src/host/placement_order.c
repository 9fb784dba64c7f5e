/* SPDX-License-Identifier: MIT */
#include "host/placement_order.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum {
	SEARCHED = 24, /* jobs whose order is improved by exchanges */
	CHOSEN = 2000, /* of which the one that can start next is looked for */
	ROUNDS = 8,
};

static const double ANY_RATE = 1e9;

double order_seconds(const struct placement *of, unsigned machine,
		     unsigned host)
{
	const struct placement_machine *m = &of->machines[machine];
	const double given =
		of->rates ? of->rates[m->at * of->n_hosts + host] : 0;

	return of->each_s +
	       (double)m->travel_bytes / (given > 0 ? given : ANY_RATE);
}

unsigned order_at_once(unsigned n)
{
	return n == 0 ? 1 : n > ORDER_AT_ONCE ? ORDER_AT_ONCE : n;
}

int order_turns_init(struct order_turns *t, size_t n_hosts, struct error *e)
{
	t->out = calloc(n_hosts + 1, sizeof(*t->out));
	t->in = calloc(n_hosts + 1, sizeof(*t->in));
	if (t->out && t->in)
		return 0;
	order_turns_done(t);
	return error_set(e, ENOMEM, "no memory for a placement");
}

void order_turns_done(struct order_turns *t)
{
	free(t->out);
	free(t->in);
	*t = (struct order_turns){ 0 };
}

static int by_length(const void *a, const void *b)
{
	const struct order_job *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	if (x->seconds != y->seconds)
		return x->seconds > y->seconds ? -1 : 1;
	return (x->machine > y->machine) - (x->machine < y->machine);
}

static void order_sort(struct order_job *jobs, size_t n)
{
	if (n > 0)
		qsort(jobs, n, sizeof(*jobs), by_length);
}

static double *first_free(double *at, unsigned n)
{
	double *first = at;

	for (unsigned i = 1; i < order_at_once(n); i++)
		if (at[i] < *first)
			first = &at[i];
	return first;
}

struct turn {
	double *out, *in, starts_s;
};

static struct turn turn_of(const struct placement *of,
			   const struct order_job *j, struct order_turns *t)
{
	struct turn r = {
		.out = first_free(t->out[j->from], of->hosts[j->from].out),
		.in = first_free(t->in[j->to], of->hosts[j->to].in),
	};

	r.starts_s = *r.out > *r.in ? *r.out : *r.in;
	return r;
}

static double take_turn(struct order_job *j, const struct turn *t)
{
	j->starts_s = t->starts_s;
	*t->out = *t->in = t->starts_s + j->seconds;
	return *t->out;
}

static void turns_clear(const struct placement *of, struct order_turns *t)
{
	memset(t->out, 0, of->n_hosts * sizeof(*t->out));
	memset(t->in, 0, of->n_hosts * sizeof(*t->in));
}

static double order_run(const struct placement *of, struct order_job *jobs,
			size_t n, struct order_turns *t)
{
	double end = 0;

	turns_clear(of, t);
	for (size_t i = 0; i < n; i++) {
		const struct turn next = turn_of(of, &jobs[i], t);
		const double ends = take_turn(&jobs[i], &next);

		if (ends > end)
			end = ends;
	}
	return end;
}

static void swap(struct order_job *a, struct order_job *b)
{
	const struct order_job was = *a;

	*a = *b;
	*b = was;
}

/* Next always the one that can start first, of the highest priority. */
static double choose(const struct placement *of, struct order_job *jobs,
		     size_t n, struct order_turns *t)
{
	double end = 0;

	turns_clear(of, t);
	for (size_t i = 0; i < n; i++) {
		struct turn next = turn_of(of, &jobs[i], t);
		size_t best = i;
		double ends;

		for (size_t k = i + 1;
		     k < n && jobs[k].priority == jobs[i].priority; k++) {
			const struct turn other = turn_of(of, &jobs[k], t);

			if (other.starts_s < next.starts_s) {
				next = other;
				best = k;
			}
		}
		ends = take_turn(&jobs[best], &next);
		/* The others stay the longest first. */
		for (; best > i; best--)
			swap(&jobs[best], &jobs[best - 1]);
		if (ends > end)
			end = ends;
	}
	return end;
}

/* One exchange of two that makes it shorter; their end then. */
static double exchange(const struct placement *of, struct order_job *jobs,
		       size_t n, struct order_turns *t, double end)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = i + 1; k < n; k++) {
			double then;

			if (jobs[k].priority != jobs[i].priority)
				break;
			swap(&jobs[i], &jobs[k]);
			then = order_run(of, jobs, n, t);
			if (then < end)
				end = then;
			else
				swap(&jobs[i], &jobs[k]);
		}
	return end;
}

double order_best(const struct placement *of, struct order_job *jobs, size_t n,
		  struct order_turns *t)
{
	double end, was;

	order_sort(jobs, n);
	if (n > CHOSEN)
		return order_run(of, jobs, n, t);
	end = choose(of, jobs, n, t);
	for (unsigned i = 0; n <= SEARCHED && i < ROUNDS; i++) {
		was = end;
		end = exchange(of, jobs, n, t, end);
		if (end >= was)
			break;
	}
	return order_run(of, jobs, n, t);
}
