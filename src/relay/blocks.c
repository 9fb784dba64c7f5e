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

int blocks_take(struct relay_block *ret, unsigned *ret_n,
		const struct message_blocks *list, const char *peer,
		struct error *e)
{
	if (list->count > SPLIT_BLOCKS_MAX)
		return error_set(e, EBADMSG, "%s has too many RAM blocks",
				 peer);
	for (size_t i = 0; i < list->count; i++) {
		snprintf(ret[i].name, sizeof(ret[i].name), "%s",
			 list->at[i].name);
		ret[i].len_bytes = list->at[i].len_bytes;
		ret[i].asks_proof = list->at[i].proof;
	}
	*ret_n = (unsigned)list->count;
	return 0;
}
