/* SPDX-License-Identifier: MIT */
#include "relay/blocks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "pages/memory.h"

_Static_assert((int)MESSAGE_BLOCKS_MAX == (int)SPLIT_BLOCKS_MAX,
	       "all of them fit");

int blocks_list(struct message_blocks *ret, const struct guest_memory *m,
		struct error *e)
{
	const unsigned n = m ? memory_blocks(m) : 0;

	*ret = (struct message_blocks){ 0 };
	for (unsigned i = 0; m && i < memory_left_out(m); i++)
		if (words_add(&ret->left_out, memory_reason(m, i), e) < 0)
			return error_code(e);
	if (n == 0)
		return 0;
	ret->at = calloc(n, sizeof(ret->at[0]));
	if (!ret->at)
		return error_set(e, ENOMEM, "no memory for a list of blocks");
	for (; ret->count < n; ret->count++) {
		const struct memory_block *b =
			memory_block(m, (unsigned)ret->count);
		struct message_block *to = &ret->at[ret->count];

		snprintf(to->name, sizeof(to->name), "%s", b->name);
		to->len_bytes = b->len_bytes;
		to->page_size_bytes = b->page_size_bytes;
		to->proof = b->asks_proof;
	}
	return 0;
}

int blocks_take(struct relay_blocks *ret, const struct message_blocks *list,
		const char *peer, struct error *e)
{
	struct relay_blocks b = { 0 };

	if (list->count > SPLIT_BLOCKS_MAX)
		return error_set(e, EBADMSG, "%s has too many RAM blocks",
				 peer);
	b.at = calloc(SPLIT_BLOCKS_MAX, sizeof(b.at[0]));
	if (!b.at || words_add_all(&b.left_out, &list->left_out, e) < 0) {
		blocks_done(&b);
		return error_set(e, ENOMEM, "no memory for a list of blocks");
	}
	for (; b.n < list->count; b.n++) {
		snprintf(b.at[b.n].name, sizeof(b.at[b.n].name), "%s",
			 list->at[b.n].name);
		b.at[b.n].len_bytes = list->at[b.n].len_bytes;
		b.at[b.n].asks_proof = list->at[b.n].proof;
	}
	*ret = b;
	return 0;
}

void blocks_done(struct relay_blocks *b)
{
	free(b->at);
	words_done(&b->left_out);
	*b = (struct relay_blocks){ 0 };
}
