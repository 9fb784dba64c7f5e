/* SPDX-License-Identifier: MIT */
#include "relay/blocks.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "pages/memory.h"

json_t *blocks_json(const struct guest_memory *m)
{
	json_t *all = json_array();

	for (unsigned i = 0; m && i < memory_blocks(m); i++) {
		const struct memory_block *b = memory_block(m, i);

		json_array_append_new(all,
				      json_pack("{s:s,s:I,s:I}", "name",
						b->name, "len",
						(json_int_t)b->len_bytes,
						"page_size",
						(json_int_t)
							b->page_size_bytes));
	}
	return all;
}

static int block_read(struct relay_block *ret, const json_t *from)
{
	const char *name = json_string_value(json_object_get(from, "name"));
	json_int_t len = json_integer_value(json_object_get(from, "len"));

	if (!name || strlen(name) > SPLIT_NAME_MAX || len <= 0)
		return -EBADMSG;
	strcpy(ret->name, name);
	ret->len_bytes = (uint64_t)len;
	return 0;
}

int blocks_read(struct relay_block *ret, unsigned *ret_n, const json_t *list,
		const char *peer, struct error *e)
{
	size_t n = json_array_size(list);

	if (n > SPLIT_BLOCKS_MAX)
		return error_set(e, EBADMSG, "%s has too many RAM blocks",
				 peer);
	for (size_t i = 0; i < n; i++)
		if (block_read(&ret[i], json_array_get(list, i)) < 0)
			return error_set(e, EBADMSG,
					 "%s describes a RAM block wrongly",
					 peer);
	*ret_n = (unsigned)n;
	return 0;
}
