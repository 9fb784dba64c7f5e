/* SPDX-License-Identifier: MIT */
#include "tune/view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

#define AT(member) SHAPE_AT(struct tune_saying_view, member)

static const struct shape_field saying_fields[] = {
	{ "relation", SHAPE_NAME, 0, AT(says.relation),
	  .names = tune_relation_names, .most = TUNE_RELATIONS },
	{ "why", SHAPE_CODE, 0, AT(says.why), .code = &shape_constant },
	{ "source", SHAPE_CODE, 0, AT(says.source), .code = &shape_constant },
};

static const struct shape saying_shape =
	SHAPE(struct tune_saying_view, saying_fields);

#undef AT
#define AT(member) SHAPE_AT(struct tune_card_view, member)

static const struct shape_field card_fields[] = {
	{ "card", SHAPE_TEXT, 0, AT(card) },
	{ "holds", SHAPE_NAME, 0, AT(holds), .names = tune_holds_names,
	  .most = TUNE_HOLDS },
};

static const struct shape card_shape =
	SHAPE(struct tune_card_view, card_fields);

#undef AT
#define AT(member) SHAPE_AT(struct tune_entry_view, member)

static const struct shape_field entry_fields[] = {
	{ "feature", SHAPE_NAME, 0, AT(feature), .names = tune_feature_names,
	  .most = TUNE_FEATURES },
	{ "other", SHAPE_NAME, 0, AT(other), .names = tune_feature_names,
	  .most = TUNE_FEATURES },
	{ "windows", SHAPE_OBJECT, SHAPE_NULL, AT(on_windows),
	  SHAPE_HAS(struct tune_entry_view, on_windows.known),
	  .of = &saying_shape },
	{ "linux", SHAPE_OBJECT, SHAPE_NULL, AT(on_linux),
	  SHAPE_HAS(struct tune_entry_view, on_linux.known),
	  .of = &saying_shape },
	{ "cards", SHAPE_LIST, 0, AT(cards),
	  SHAPE_COUNT(struct tune_entry_view, cards_count), .of = &card_shape },
};

#undef AT

static const struct shape entry_shape =
	SHAPE(struct tune_entry_view, entry_fields);

static const struct shape_field list_field = {
	.kind = SHAPE_LIST,
	SHAPE_AT(struct tune_matrix_view, at),
	SHAPE_COUNT(struct tune_matrix_view, count),
	.of = &entry_shape,
};

const struct shape tune_matrix_shape = {
	.bytes = sizeof(struct tune_matrix_view),
	.fields = &list_field,
	.count = 1,
	.form = SHAPE_BARE,
};

static void put_saying(struct tune_saying_view *to,
		       const struct tune_saying *from)
{
	to->says = *from;
	to->known = from->relation != TUNE_UNRELATED;
}

static int put_cards(struct tune_entry_view *to, const struct tune_entry *t,
		     const struct inventory *inv)
{
	enum tune_state states[TUNE_FEATURES];

	to->cards = calloc(inv->count ? inv->count : 1, sizeof(*to->cards));
	if (!to->cards)
		return -ENOMEM;
	for (size_t i = 0; i < inv->count; i++) {
		struct tune_card_view *card = &to->cards[to->cards_count];

		if (!tune_card(inv, &inv->at[i]))
			continue;
		tune_states(states, inv, &inv->at[i]);
		card->holds = tune_holds(t, states);
		if (card->holds == TUNE_SILENT)
			continue;
		snprintf(card->card, sizeof(card->card), "%s", inv->at[i].name);
		to->cards_count++;
	}
	return 0;
}

int tune_matrix_of(struct tune_matrix_view *ret, const struct inventory *inv,
		   struct error *e)
{
	struct tune_matrix_view all = { 0 };

	all.at = calloc(tune_matrix_count, sizeof(*all.at));
	for (size_t i = 0; all.at && i < tune_matrix_count; i++) {
		const struct tune_entry *t = &tune_matrix[i];
		struct tune_entry_view *v = &all.at[all.count++];

		v->feature = t->feature;
		v->other = t->other;
		put_saying(&v->on_windows, &t->says[TUNE_WINDOWS]);
		put_saying(&v->on_linux, &t->says[TUNE_LINUX]);
		if (put_cards(v, t, inv) < 0)
			break;
	}
	if (all.count < tune_matrix_count || !all.at[all.count - 1].cards) {
		shape_done(&tune_matrix_shape, &all);
		return error_set(e, ENOMEM, "no memory for the matrix");
	}
	*ret = all;
	return 0;
}
