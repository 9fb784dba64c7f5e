/* SPDX-License-Identifier: MIT */
#include "tune/advise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "tune/advisor.h"
#include "tune/facts.h"
#include "tune/rules.h"

static int copy_interrupts(struct advisor *a)
{
	const struct nic_interrupts *from = a->facts->interrupts;
	struct nic_interrupt *at = calloc(from->count + 1, sizeof(*at));

	if (!at)
		return -ENOMEM;
	if (from->count)
		memcpy(at, from->at, from->count * sizeof(*at));
	a->interrupts = (struct nic_interrupts){ at, from->count };
	for (size_t i = 0; i < from->count; i++)
		if (advisor_carries(a, &at[i]))
			a->uses[at[i].processor]++;
	return 0;
}

static void look(struct advisor *a, enum tune_purpose purpose)
{
	const struct inventory *inv = a->facts->inv;

	for (size_t r = 0; r < tune_rule_count; r++) {
		a->rule = &tune_rules[r];
		if (!(a->rule->purposes >> purpose & 1))
			continue;
		/* A card that is down carries nothing. */
		for (size_t i = 0; i < inv->count && !a->failed; i++)
			if (inv->at[i].up && inv->at[i].kind == a->rule->of)
				a->rule->look(a, &inv->at[i]);
	}
}

int tune_advise(struct tune_advice *ret, const struct tune_facts *facts,
		enum tune_purpose purpose, struct error *e)
{
	struct tune_advice all = { .purpose = purpose,
				   .seconds = facts->seconds };
	AUTO_FREE struct advisor *a = calloc(1, sizeof(*a));

	if (!a)
		return error_set(e, ENOMEM, "no memory for advice");
	a->facts = facts;
	a->to = &all;
	a->e = e;
	if (copy_interrupts(a) < 0)
		advisor_fail(a);
	else
		look(a, purpose);
	nic_interrupts_done(&a->interrupts);
	if (a->failed) {
		shape_done(&tune_advice_shape, &all);
		return error_code(e);
	}
	*ret = all;
	return 0;
}
