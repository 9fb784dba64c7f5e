/* SPDX-License-Identifier: MIT */

/*
 * librdmacm opens a device when it is first used and closes it when it looks
 * again and finds that others are there and this one is not: never the last.
 * But whoever removes a device waits until nobody has it open.  So what it has
 * opened is remembered, and when nobody needs it, it is unloaded, which lets go
 * of nothing by itself, and its devices are closed behind it.  What it had of
 * memory, some 10 KiB, is lost with that: it happens once a session at most,
 * and once for each removal.
 */
#include "rdma/verbs.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"

#define CM_LIBRARY "librdmacm.so.1"

enum { DEVICES_MAX = 64 };

/* One that librdmacm has opened; it may have closed it again, and then the file
 * is another one. */
struct opened {
	struct ibv_context *device;
	int fd;
	dev_t node;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all of it */
static struct verbs verbs; /* constant while there are users */
static void *ibv, *cm;     /* NULL: not loaded */
static unsigned users, sessions;
static bool removed; /* a device, since librdmacm was loaded */
static struct opened opened[DEVICES_MAX];
static unsigned opened_count;

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
	SYMBOL(get_devices),
	SYMBOL(free_devices),
};

static const struct symbol ibv_symbols[] = {
	IBV(alloc_pd),      IBV(dealloc_pd),          IBV(reg_mr),
	IBV(dereg_mr),      IBV(create_comp_channel), IBV(destroy_comp_channel),
	IBV(create_cq),     IBV(destroy_cq),          IBV(get_cq_event),
	IBV(ack_cq_events), IBV(wc_status_str),       IBV(close_device),
};

static int load_from(void **ret, const char *library, const struct symbol *s,
		     size_t n, struct error *e)
{
	void *handle = *ret ? *ret : dlopen(library, RTLD_NOW);

	if (!handle)
		return error_set(e, ENOENT,
				 "%s is not there: install rdma-core, "
				 "librdmacm1 and ibverbs-providers",
				 library);
	for (size_t i = 0; i < n && !*ret; i++) {
		void *symbol = dlsym(handle, s[i].name);

		if (!symbol) {
			dlclose(handle);
			return error_set(e, ENOENT, "%s has no %s", library,
					 s[i].name);
		}
		*(void **)((char *)&verbs + s[i].at) = symbol;
	}
	*ret = handle;
	return 0;
}

/* --- devices that are open; the lock is held */

static bool is_open(const struct opened *o)
{
	struct stat st;

	return fstat(o->fd, &st) == 0 && S_ISCHR(st.st_mode) &&
	       st.st_rdev == o->node;
}

/* While a device is being removed its name is taken away first. */
static bool is_being_removed(void)
{
	char name[64];
	struct stat st;

	for (unsigned i = 0; i < opened_count; i++) {
		snprintf(name, sizeof(name), "/sys/dev/char/%u:%u",
			 major(opened[i].node), minor(opened[i].node));
		if (stat(name, &st) < 0)
			return true;
	}
	return false;
}

/* Of those with one file the last is open. */
static void note(struct ibv_context *device)
{
	struct opened new = { .device = device, .fd = device->cmd_fd };
	struct stat st;
	unsigned i = 0;

	if (fstat(new.fd, &st) < 0)
		return;
	new.node = st.st_rdev;
	while (i < opened_count &&
	       opened[i].fd != new.fd &&opened[i].device != device)
		i++;
	if (i == DEVICES_MAX)
		return;
	opened[i] = new;
	if (i == opened_count)
		opened_count++;
}

/* For one that was removed while others are in use. */
static void look_again(void)
{
	struct ibv_context **all = verbs.get_devices(NULL);

	if (!all)
		return;
	for (unsigned i = 0; all[i]; i++)
		note(all[i]);
	verbs.free_devices(all);
}

static void close_all(void)
{
	void *still;

	dlclose(cm);
	cm = NULL;
	still = dlopen(CM_LIBRARY, RTLD_NOW | RTLD_NOLOAD);
	if (still) {
		/* Somebody else has it, and it goes on using its devices. */
		dlclose(still);
		return;
	}
	for (unsigned i = 0; i < opened_count; i++)
		if (is_open(&opened[i]))
			verbs.close_device(opened[i].device);
	opened_count = 0;
	removed = false;
}

static void close_unneeded(void)
{
	if (users == 0 && opened_count > 0 &&
	    (sessions == 0 || removed || is_being_removed()))
		close_all();
}

/* --- the whole */

const struct verbs *verbs_get(struct error *e)
{
	WITH_LOCK(&lock);

	if (load_from(&ibv, "libibverbs.so.1", ibv_symbols,
		      ARRAY_SIZE(ibv_symbols), e) < 0 ||
	    load_from(&cm, CM_LIBRARY, cm_symbols, ARRAY_SIZE(cm_symbols), e) <
		    0)
		return NULL;
	if (removed && users > 0)
		look_again();
	users++;
	return &verbs;
}

void verbs_opened(struct ibv_context *device)
{
	WITH_LOCK(&lock);

	note(device);
}

void verbs_put(bool was_removed)
{
	WITH_LOCK(&lock);

	removed |= was_removed;
	users--;
	close_unneeded();
}

void verbs_session_begin(void)
{
	WITH_LOCK(&lock);

	sessions++;
}

void verbs_session_end(void)
{
	WITH_LOCK(&lock);

	sessions--;
	close_unneeded();
}
