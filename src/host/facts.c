/* SPDX-License-Identifier: MIT */
#include "host/facts.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/scope.h"
#include "base/text.h"
#include "base/thread.h"
#include "host/drain.h"
#include "host/machine_view.h"
#include "host/parts.h"
#include "host/queue.h"
#include "host/registry.h"
#include "host/room.h"
#include "host/terms.h"
#include "move/peer.h"
#include "nic/cards.h"
#include "nic/watch.h"
#include "qemu/definition.h"
#include "qemu/probe.h"
#include "session/abilities.h"

enum { ANSWER_US = 5000000, MBIT_BYTES = 125000 };

/* --- this host */

static uint64_t free_huge_pages(void)
{
	static const unsigned sizes_kib[] = { 2048, 1048576 };
	char line[32];
	uint64_t all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sizes_kib); i++)
		if (text_read_line(line, sizeof(line),
				   "/sys/kernel/mm/hugepages/hugepages-%ukB/"
				   "free_hugepages",
				   sizes_kib[i]))
			all += strtoull(line, NULL, 10) * sizes_kib[i] * 1024;
	return all;
}

/* All cards together, or the fastest where a move takes one at a time. */
static uint64_t speed_of_cards(struct host *h, const struct settings *s)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(h->nics);
	const bool all_at_once = settings_paths(s).policy.all;
	struct cards *cards = NULL;
	uint64_t most = 0, all = 0;
	struct error ignored;

	if (cards_of(&cards, inv, &s->networks, &ignored) < 0)
		return 0;
	for (size_t i = 0; i < cards->count; i++) {
		const struct card *c = &cards->at[i];

		if (c->why_not[0] || strcmp(c->name, c->wire) != 0)
			continue;
		all += c->speed_mbit;
		most = c->speed_mbit > most ? c->speed_mbit : most;
	}
	cards_free(cards);
	return (all_at_once ? all : most) * MBIT_BYTES;
}

/* Without a QEMU that says, none is known. */
static int add_types(struct words *to, const char *qemu, struct error *e)
{
	const struct qemu_facts *f;
	struct error ignored;

	return probe_qemu(&f, qemu, &ignored) < 0
		       ? 0
		       : facts_add_machines(f, to, e);
}

static int add_bridges(struct words *to, struct host *h,
		       const struct settings *s, struct error *e)
{
	AUTO_INVENTORY struct inventory *inv = nic_watch_get(h->nics);

	for (size_t i = 0; i < s->bridges.count; i++)
		if (words_add(to,
			      ((const struct bridge *)s->bridges.at[i])->name,
			      e) < 0)
			return error_code(e);
	for (size_t i = 0; i < inv->count; i++)
		if (inv->at[i].kind == NIC_BRIDGE &&
		    words_add(to, inv->at[i].name, e) < 0)
			return error_code(e);
	return 0;
}

/* An alias does not say what the QEMU that runs meant by it. */
static void take_type(struct machine_facts *m, const struct definition *d,
		      const char *qemu)
{
	char name[sizeof(m->type)];
	const struct qemu_facts *f;
	struct error ignored;
	const char *type;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(d->machine, ","),
		 d->machine);
	if (probe_qemu(&f, qemu, &ignored) < 0)
		return;
	type = facts_machine(f, name);
	if (type && !strcmp(type, name))
		snprintf(m->type, sizeof(m->type), "%s", name);
}

static int take_machine(struct machine_facts *m, const struct machine_view *v,
			struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	struct error ignored;

	snprintf(m->name, sizeof(m->name), "%s", v->name);
	snprintf(m->uuid, sizeof(m->uuid), "%s", v->uuid);
	m->memory_bytes = v->memory_bytes;
	m->vcpus = v->vcpus;
	m->priority = QUEUE_PRIORITY;
	if (!v->definition ||
	    definition_parse(&d, v->name, v->definition, &ignored) < 0)
		return 0;
	m->huge = d.huge_page_bytes > 0;
	if (d.priority > 0)
		m->priority = d.priority - 1;
	snprintf(m->apart, sizeof(m->apart), "%s", d.apart ? d.apart : "");
	snprintf(m->together, sizeof(m->together), "%s",
		 d.together ? d.together : "");
	take_type(m, &d, v->qemu);
	for (size_t i = 0; i < d.nics.count; i++)
		if (words_add(&m->bridges, d.nics.at[i].bridge, e) < 0)
			return error_code(e);
	return 0;
}

/* One that comes has its memory in what is claimed. */
static bool runs(const struct machine_view *v)
{
	return v->pid > 0 && v->state != MACHINE_INCOMING;
}

static int add_machines(struct host_facts *ret, struct host *h,
			const char *qemu, struct error *e)
{
	SCOPED(machine_views_done) struct machine_views all = { 0 };

	if (registry_view(h->registry, qemu, &all, e) < 0)
		return error_code(e);
	ret->machines = calloc(all.count + 1, sizeof(*ret->machines));
	if (!ret->machines)
		return error_set(e, ENOMEM, "no memory for the facts");
	for (size_t i = 0; i < all.count; i++)
		if (runs(&all.at[i]) &&
		    take_machine(&ret->machines[ret->n_machines++], &all.at[i],
				 e) < 0)
			return error_code(e);
	return 0;
}

static int fill_own(struct host *h, struct host_facts *ret, struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	struct sysinfo info;
	double load = 0;

	sysinfo(&info);
	drain_closed(h->drain, ret->closed, sizeof(ret->closed));
	ret->total_bytes = info.totalram * info.mem_unit;
	ret->memory_bytes = room_left(h->room);
	ret->huge_bytes = free_huge_pages();
	ret->cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (getloadavg(&load, 1) == 1)
		ret->load = fmin(load / ret->cpus, FACTS_LOAD_MOST);
	ret->speed = speed_of_cards(h, now);
	if (add_types(&ret->types, now->host.qemu, e) < 0 ||
	    add_bridges(&ret->bridges, h, now, e) < 0)
		return error_code(e);
	return add_machines(ret, h, now->host.qemu, e);
}

static int own_facts(struct host *h, struct host_facts *ret, struct error *e)
{
	*ret = (struct host_facts){ 0 };
	if (fill_own(h, ret, e) == 0)
		return 0;
	host_facts_done(ret);
	return error_code(e);
}

int facts_answer(struct host *h, struct session *s,
		 const struct message *request, struct message *ret,
		 struct error *e)
{
	(void)s, (void)request;
	ret->type = MESSAGE_HOST;
	return own_facts(h, &ret->host, e);
}

/* --- the peers */

struct peer_question {
	struct host *host;
	struct facts_of *about;
	pthread_t thread;
	bool asked;
};

static int understand(struct facts_of *of, struct message *answer)
{
	if (answer->type == MESSAGE_HOST) {
		of->facts = answer->host;
		answer->host = (struct host_facts){ 0 };
		return 0;
	}
	if (!(abilities_read(&answer->can) & 1U << CAN_FACTS))
		return error_set(&of->why, EPROTO,
				 "has a version of Drover that does not tell "
				 "what it has: only --to brings machines "
				 "there");
	return peer_check_answer(answer, MESSAGE_HOST, of->name, &of->why);
}

static int ask(struct host *h, struct facts_of *of)
{
	const struct message question = { .type = MESSAGE_FACTS };
	AUTO_MESSAGE struct message answer = { 0 };
	AUTO_TERMS struct terms t = terms_of(h);
	struct move_peer peer;

	if (peer_of(&t, of->name, &peer, &of->why) < 0)
		return error_code(&of->why);
	if (peer_ask(&t.host, &peer, &question, ANSWER_US, &answer, &of->why) <
	    0)
		return error_in(&of->why, "is not heard");
	of->heard = true;
	return understand(of, &answer);
}

static void *ask_main(void *arg)
{
	struct peer_question *q = arg;

	q->about->known = ask(q->host, q->about) == 0;
	return NULL;
}

static void ask_all(struct peer_question *q, size_t n)
{
	for (size_t i = 0; i < n; i++)
		q[i].asked = thread_create(&q[i].thread, "facts", ask_main,
					   &q[i]) == 0;
	for (size_t i = 0; i < n; i++)
		if (q[i].asked)
			pthread_join(q[i].thread, NULL);
		else
			ask_main(&q[i]);
}

static int fill_all(struct host *h, struct facts_all *all, struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);
	const size_t n = now->peers.count;
	AUTO_FREE struct peer_question *q = calloc(n + 1, sizeof(*q));

	all->at = calloc(n + 1, sizeof(*all->at));
	if (!q || !all->at)
		return error_set(e, ENOMEM, "no memory for the facts");
	all->count = n + 1;
	snprintf(all->at[0].name, sizeof(all->at[0].name), "%s",
		 h->settings->name);
	for (size_t i = 0; i < n; i++) {
		const struct peer *p = now->peers.at[i];
		struct facts_of *of = &all->at[i + 1];

		snprintf(of->name, sizeof(of->name), "%s", p->name);
		q[i] = (struct peer_question){ .host = h, .about = of };
	}
	if (own_facts(h, &all->at[0].facts, e) < 0)
		return error_code(e);
	all->at[0].known = all->at[0].heard = true;
	ask_all(q, n);
	return 0;
}

int facts_gather(struct host *h, struct facts_all *ret, struct error *e)
{
	*ret = (struct facts_all){ 0 };
	if (fill_all(h, ret, e) == 0)
		return 0;
	facts_all_done(ret);
	return error_code(e);
}

void facts_all_done(struct facts_all *all)
{
	for (size_t i = 0; i < all->count; i++)
		host_facts_done(&all->at[i].facts);
	free(all->at);
	*all = (struct facts_all){ 0 };
}
