/* SPDX-License-Identifier: MIT */
#include "rdma/verbs.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>

#include "base/error.h"
#include "base/text.h"

static struct verbs verbs;
static char why_not[200]; /* empty: they are there */

/* A name, and where its address goes. */
struct symbol {
	const char *name;
	size_t at;
};

#define SYMBOL(call) \
	{ \
		"rdma_" #call, offsetof(struct verbs, call) \
	}
#define IBV(call) \
	{ \
		"ibv_" #call, offsetof(struct verbs, call) \
	}

static const struct symbol cm_symbols[] = {
	SYMBOL(create_event_channel),
	SYMBOL(destroy_event_channel),
	SYMBOL(create_id),
	SYMBOL(destroy_id),
	SYMBOL(bind_addr),
	SYMBOL(listen),
	SYMBOL(get_src_port),
	SYMBOL(set_option),
	SYMBOL(resolve_addr),
	SYMBOL(resolve_route),
	SYMBOL(create_qp),
	SYMBOL(destroy_qp),
	SYMBOL(connect),
	SYMBOL(accept),
	SYMBOL(reject),
	SYMBOL(get_cm_event),
	SYMBOL(ack_cm_event),
	SYMBOL(event_str),
};

static const struct symbol ibv_symbols[] = {
	IBV(alloc_pd),      IBV(dealloc_pd),          IBV(reg_mr),
	IBV(dereg_mr),      IBV(create_comp_channel), IBV(destroy_comp_channel),
	IBV(create_cq),     IBV(destroy_cq),          IBV(get_cq_event),
	IBV(ack_cq_events), IBV(wc_status_str),
};

static void load_from(const char *library, const struct symbol *s, size_t n)
{
	void *handle = why_not[0] ? NULL : dlopen(library, RTLD_NOW);

	if (why_not[0])
		return;
	if (!handle) {
		snprintf(why_not, sizeof(why_not),
			 "%s is not there: install rdma-core, librdmacm1 and "
			 "ibverbs-providers",
			 library);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		void *symbol = dlsym(handle, s[i].name);

		if (!symbol) {
			snprintf(why_not, sizeof(why_not), "%s has no %s",
				 library, s[i].name);
			return;
		}
		*(void **)((char *)&verbs + s[i].at) = symbol;
	}
}

static void load(void)
{
	load_from("libibverbs.so.1", ibv_symbols, ARRAY_SIZE(ibv_symbols));
	load_from("librdmacm.so.1", cm_symbols, ARRAY_SIZE(cm_symbols));
}

const struct verbs *verbs_get(struct error *e)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load);
	if (!why_not[0])
		return &verbs;
	error_set(e, ENOENT, "%s", why_not);
	return NULL;
}
