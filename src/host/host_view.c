/* SPDX-License-Identifier: MIT */
#include "host/host_view.h"

#include <stdlib.h>

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
