/* SPDX-License-Identifier: MIT */
#include "host/host_view.h"

#include <stdlib.h>

#define AT(member) SHAPE_AT(struct host_memory_view, member)

static const struct shape_field memory_fields[] = {
	{ "total", SHAPE_NUMBER, 0, AT(total) },
	{ "available", SHAPE_NUMBER, 0, AT(available) },
};

#undef AT

const struct shape host_memory_shape =
	SHAPE(struct host_memory_view, memory_fields);

void host_view_done(struct host_view *v)
{
	for (size_t i = 0; i < v->peers_count; i++)
		words_done(&v->peers[i].addresses);
	free(v->peers);
	words_done(&v->listen);
	words_done(&v->networks);
	words_done(&v->power);
	free(v->qemu);
	*v = (struct host_view){ .peers_count = 0 };
}
