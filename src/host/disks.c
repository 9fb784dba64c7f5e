/* SPDX-License-Identifier: MIT */

/* The disks of a machine: what its QEMU has, and what its definition calls
 * them; of a machine that does not run the definition alone. */
#include "host/disks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "host/host.h"
#include "host/machine_view.h"
#include "host/old_disks.h"
#include "host/parts.h"
#include "host/pools.h"
#include "host/registry.h"
#include "host/terms.h"
#include "qemu/definition.h"
#include "qemu/drives.h"
#include "qemu/qmp.h"
#include "wire/message.h"

enum { MONITOR_US = 5000000 };

void disk_views_done(struct disk_views *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free(v->at[i].name);
		free(v->at[i].path);
		free(v->at[i].format);
		words_done(&v->at[i].chain);
	}
	free(v->at);
	*v = (struct disk_views){ .count = 0 };
}

static void set_storage(struct disk_view *v, const struct definition *d,
			const struct definition_disk *defined, const char *path)
{
	enum disk_storage s = defined ? defined->storage : DISK_AUTO;

	if (path && definition_says_shared(d, path))
		s = DISK_ON_ALL;
	snprintf(v->storage, sizeof(v->storage), "%s", disk_storage_names[s]);
}

static int make_room(struct disk_views *v, size_t n, struct error *e)
{
	v->at = calloc(n ? n : 1, sizeof(*v->at));
	return v->at ? 0
		     : error_set(e, ENOMEM, "no memory for a list of disks");
}

static int no_memory(struct error *e)
{
	return error_set(e, ENOMEM, "no memory for a list of disks");
}

/* Takes what @from has, but for its name where the definition has one. */
static int of_drive(struct disk_view *v, struct drive *from,
		    const struct definition *d, struct error *e)
{
	const struct definition_disk *defined =
		from->file ? defined_disks_find(&d->disks, from->file) : NULL;

	set_storage(v, d, defined, from->file);
	v->running = true;
	v->read_only = from->read_only;
	v->size = from->size;
	v->allocated = from->allocated;
	v->snapshots = from->snapshots;
	v->path = take_ptr(&from->file);
	v->format = take_ptr(&from->format);
	v->name = defined ? strdup(defined->name) : take_ptr(&from->name);
	v->chain = from->chain;
	from->chain = (struct words){ 0 };
	return v->name ? 0 : no_memory(e);
}

static int of_running(struct disk_views *ret, const char *monitor,
		      const struct definition *d, struct error *e)
{
	SCOPED(drives_done) struct drives drives = { .count = 0 };
	struct qmp *q;
	int r;

	if (qmp_open(&q, monitor, clock_us() + MONITOR_US, e) < 0)
		return error_code(e);
	r = drives_list(q, &drives, e);
	qmp_close(q);
	if (r < 0 || make_room(ret, drives.count, e) < 0)
		return error_code(e);
	for (; ret->count < drives.count; ret->count++)
		if (of_drive(&ret->at[ret->count], &drives.at[ret->count], d,
			     e) < 0) {
			ret->count++; /* what it has is freed */
			return error_code(e);
		}
	return 0;
}

static int of_defined(struct disk_views *ret, const struct definition *d,
		      struct error *e)
{
	if (make_room(ret, d->disks.count, e) < 0)
		return error_code(e);
	for (; ret->count < d->disks.count; ret->count++) {
		const struct definition_disk *from = &d->disks.at[ret->count];
		struct disk_view *v = &ret->at[ret->count];

		v->name = strdup(from->name);
		v->path = strdup(from->path);
		v->format = strdup(disk_format_names[from->format]);
		set_storage(v, d, from, from->path);
		if (!v->name || !v->path || !v->format) {
			ret->count++;
			return no_memory(e);
		}
	}
	return 0;
}

int machine_disks(struct host *h, const char *name, struct disk_views *ret,
		  struct error *e)
{
	SCOPED(definition_done) struct definition d = { 0 };
	SCOPED(machine_view_done) struct machine_view view = { .pid = 0 };
	struct disk_views all = { .count = 0 };
	struct question q;
	int r;

	if (machine_show(h, name, &view, e) < 0)
		return error_code(e);
	if (view.definition &&
	    definition_parse(&d, name, view.definition, e) < 0)
		return error_code(e);
	if (view.pid == 0)
		r = of_defined(&all, &d, e);
	else if (registry_next_question(h->registry, name,
					registry_begin_turn(h->registry), &q))
		r = of_running(&all, q.path, &d, e);
	else
		r = error_set(e, EBUSY,
			      "machine %s: its QEMU is asked by nobody else "
			      "%s%s: try again later",
			      name, view.job[0] ? "during job " : "just now",
			      view.job);
	if (r < 0)
		disk_views_done(&all);
	else
		*ret = all;
	return r;
}

int host_old_disks(struct host *h, struct old_disks *ret, struct error *e)
{
	return old_disks_list(h->settings->state_directory, ret, e);
}

int host_remove_old_disks(struct host *h, const char *machine,
			  struct old_disks *ret, struct error *e)
{
	return old_disks_remove(h->settings->state_directory, machine, ret, e);
}

int pool_answer(struct host *h, struct session *s,
		const struct message *request, struct message *ret,
		struct error *e)
{
	AUTO_TERMS struct terms t = terms_of(h);
	const char *folder = pools_folder(&t.settings->pools, request->pool,
					  t.host.own_name, e);

	(void)s;
	if (!folder)
		return error_code(e);
	ret->type = MESSAGE_FOLDER;
	ret->folder = strdup(folder);
	return ret->folder ? 0 : error_set(e, ENOMEM, "no memory for a path");
}

int host_pools(struct host *h, struct pool_views *ret, struct error *e)
{
	AUTO_SETTINGS struct settings *now = live_now(&h->live);

	return pools_look(ret, &now->host.image_directories, &now->pools, e);
}
