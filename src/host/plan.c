/* SPDX-License-Identifier: MIT */
#include "host/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "nic/inventory.h"
#include "nic/networks.h"

enum { MBIT = 125000 }; /* bytes a second */

#define TC(member) SHAPE_AT(struct plan_tc, member)

static const char *const states[SHAPING_STATES] = {
	[SHAPING_UNSET] = "unset",
	[SHAPING_SET] = "set",
	[SHAPING_OTHER] = "other",
};

static const struct shape_field tc_fields[] = {
	{ "nic", SHAPE_TEXT, 0, TC(nic) },
	{ "network", SHAPE_TEXT, 0, TC(network) },
	{ "commands", SHAPE_WORDS, 0, TC(commands) },
	{ "why", SHAPE_TEXT, SHAPE_NULL, TC(why) },
	{ "state", SHAPE_NAME, SHAPE_NULL, TC(state), .names = states,
	  .most = SHAPING_STATES, SHAPE_HAS(struct plan_tc, known) },
};

static const struct shape tc_shape = SHAPE(struct plan_tc, tc_fields);

#define AT(member) SHAPE_AT(struct plan_view, member)

static const struct shape_field fields[] = {
	{ "host", SHAPE_TEXT, 0, AT(host) },
	{ "mode", SHAPE_TEXT, 0, AT(mode) },
	{ "option", SHAPE_TEXT, 0, AT(mode) }, /* as it was called before */
	{ "rdma", SHAPE_TEXT, SHAPE_NULL, AT(rdma) },
	{ "paths", SHAPE_LIST, 0, AT(report.paths),
	  SHAPE_COUNT(struct plan_view, report.paths_count),
	  .of = &path_report_shape },
	{ "cards", SHAPE_LIST, 0, AT(report.cards),
	  SHAPE_COUNT(struct plan_view, report.cards_count),
	  .of = &card_report_shape },
	{ "tc", SHAPE_LIST, 0, AT(tc), SHAPE_COUNT(struct plan_view, tc_count),
	  .of = &tc_shape },
};

const struct shape plan_shape = SHAPE(struct plan_view, fields);

static const struct network_settings *network_of(const struct ini_list *all,
						 const struct nic *n)
{
	const struct network_settings *w = NULL;

	for (size_t i = 0; i < n->addresses_count && !w; i++)
		w = networks_section(all, n->name, &n->addresses[i]);
	return w;
}

static bool has_tc(const struct plan_view *v, const char *nic)
{
	for (size_t i = 0; i < v->tc_count; i++)
		if (!strcmp(v->tc[i].nic, nic))
			return true;
	return false;
}

static int add_card(struct plan_view *v, const struct network_settings *w,
		    const struct nic *n, struct error *e)
{
	const struct shaping_card c = { n->name, (uint64_t)n->speed_mbit * MBIT,
					&w->share };
	struct plan_tc *tc = &v->tc[v->tc_count];
	struct shaping_tree tree, seen;
	struct error ignored;
	const bool wanted = shaping_want(&tree, tc->why, &c);

	if (!wanted && !tc->why[0])
		return 0;
	v->tc_count++;
	snprintf(tc->nic, sizeof(tc->nic), "%s", n->name);
	snprintf(tc->network, sizeof(tc->network), "%s", w->name);
	if (!wanted)
		return 0;
	tc->known = shaping_read(&seen, n->ifindex, &ignored) == 0;
	if (tc->known)
		tc->state = shaping_compare(&tree, &seen);
	return shaping_commands(&tc->commands, &tree, &c, e);
}

int plan_add_tc(struct plan_view *v, const struct ini_list *networks,
		const struct inventory *cards, struct error *e)
{
	const struct paths_report *r = &v->report;

	v->tc = calloc(r->paths_count + 1, sizeof(*v->tc));
	if (!v->tc)
		return error_set(e, ENOMEM, "no memory for a plan");
	for (size_t i = 0; i < r->paths_count; i++) {
		const char *name = r->paths[i].near;
		const struct nic *n = inventory_by_name(cards, name);
		const struct network_settings *w =
			n && !has_tc(v, name) ? network_of(networks, n) : NULL;

		if (w && add_card(v, w, n, e) < 0)
			return error_code(e);
	}
	return 0;
}
