/* SPDX-License-Identifier: MIT */
#include "host/drain_record.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/scope.h"

enum { MACHINES_MOST = 8192, HOSTS_MOST = 1024 };

const char *const drain_state_names[DRAIN_STATES] = {
	[DRAIN_NONE] = "none",           [DRAIN_PLANNED] = "planned",
	[DRAIN_DRAINING] = "draining",   [DRAIN_DRAINED] = "drained",
	[DRAIN_REMAINS] = "remains",     [DRAIN_INTERRUPTED] = "interrupted",
	[DRAIN_RETURNING] = "returning", [DRAIN_AWAY] = "away",
};

static const char *const fates[FATES] = {
	[FATE_WAITS] = "waits",     [FATE_MOVES] = "moves",
	[FATE_MOVED] = "moved",     [FATE_STAYS] = "stays",
	[FATE_STOPPED] = "stopped", [FATE_COMES] = "comes",
	[FATE_BACK] = "back",
};

#define OF(member) SHAPE_AT(struct drain_machine, member)

static const struct shape_field machine_fields[] = {
	{ "name", SHAPE_TEXT, SHAPE_NEEDED, OF(name) },
	{ "uuid", SHAPE_TEXT, 0, OF(uuid) },
	{ "fate", SHAPE_NAME, SHAPE_NEEDED, OF(fate), .names = fates,
	  .most = FATES },
	{ "to", SHAPE_TEXT, SHAPE_NULL, OF(to) },
	{ "job", SHAPE_TEXT, SHAPE_NULL, OF(job) },
	{ "why", SHAPE_TEXT, SHAPE_NULL, OF(why) },
	{ "asked", SHAPE_BOOL, 0, OF(asked) },
	{ "tries", SHAPE_NUMBER, 0, OF(tries) },
	{ "starts", SHAPE_REAL, 0, OF(starts_s) },
	{ "ends", SHAPE_REAL, 0, OF(ends_s) },
};

static const struct shape machine_shape =
	SHAPE(struct drain_machine, machine_fields);

#undef OF
#define OF(member) SHAPE_AT(struct drain_spare, member)

static const struct shape_field spare_fields[] = {
	{ "enough", SHAPE_BOOL, 0, OF(enough) },
	{ "host", SHAPE_TEXT, SHAPE_NULL, OF(host) },
	{ "machines", SHAPE_NUMBER, 0, OF(machines) },
	{ "memory", SHAPE_NUMBER, 0, OF(bytes) },
	{ "why", SHAPE_TEXT, SHAPE_NULL, OF(why) },
};

const struct shape drain_spare_shape = SHAPE(struct drain_spare, spare_fields);

#undef OF
#define OF(member) SHAPE_AT(struct drain_record, member)

static const struct shape_field record_fields[] = {
	{ "state", SHAPE_NAME, SHAPE_NEEDED, OF(state),
	  .names = drain_state_names, .most = DRAIN_STATES },
	{ "since", SHAPE_SECONDS, SHAPE_NULL, OF(since_us) },
	{ "to", SHAPE_WORDS, 0, OF(to), .most = HOSTS_MOST },
	{ "stop_the_rest", SHAPE_BOOL, 0, OF(stop_the_rest) },
	{ "seconds", SHAPE_REAL, 0, OF(seconds) },
	{ "machines", SHAPE_LIST, 0, OF(machines),
	  SHAPE_COUNT(struct drain_record, n_machines), .most = MACHINES_MOST,
	  .of = &machine_shape },
	{ "spare", SHAPE_OBJECT, SHAPE_NULL, OF(spare),
	  SHAPE_HAS(struct drain_record, has_spare), .of = &drain_spare_shape },
};

const struct shape drain_shape = SHAPE(struct drain_record, record_fields);

struct drain_machine *drain_machine(struct drain_record *r, const char *uuid)
{
	for (size_t i = 0; i < r->n_machines; i++)
		if (!strcmp(r->machines[i].uuid, uuid))
			return &r->machines[i];
	return NULL;
}

struct drain_machine *drain_add(struct drain_record *r, const char *name,
				const char *uuid)
{
	struct drain_machine *more =
		reallocarray(r->machines, r->n_machines + 1,
			     sizeof(*r->machines));

	if (!more)
		return NULL;
	r->machines = more;
	more += r->n_machines++;
	*more = (struct drain_machine){ .fate = FATE_WAITS };
	snprintf(more->name, sizeof(more->name), "%s", name);
	snprintf(more->uuid, sizeof(more->uuid), "%s", uuid);
	return more;
}

unsigned drain_count(const struct drain_record *r, enum drain_fate fate)
{
	unsigned n = 0;

	for (size_t i = 0; i < r->n_machines; i++)
		n += r->machines[i].fate == fate;
	return n;
}

/* --- on disk */

int drain_save(const char *state_directory, const struct drain_record *r,
	       struct error *e)
{
	AUTO_FREE char *text = shape_file_text(&drain_shape, r);

	if (!text)
		return error_set(e, ENOMEM, "no memory for the drain");
	return file_save(state_directory, "drain.json", text, 0600, e);
}

int drain_load(const char *state_directory, struct drain_record *ret,
	       struct error *e)
{
	char path[PATH_MAX];
	AUTO_FREE char *text = NULL;
	size_t cap = 0;
	FILE *f;

	*ret = (struct drain_record){ .state = DRAIN_NONE };
	snprintf(path, sizeof(path), "%s/drain.json", state_directory);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT ? 0 : error_sys(e, "open %s", path);
	if (getdelim(&text, &cap, '\0', f) < 0)
		error_set(e, EIO, "cannot read %s", path);
	fclose(f);
	if (!text)
		return error_set(e, EIO, "%s is empty", path);
	if (shape_parse(&drain_shape, ret, text, strlen(text), SHAPE_MESSAGE,
			e) < 0)
		return error_in(e, "%s", path);
	return 0;
}

int drain_erase(const char *state_directory, struct error *e)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/drain.json", state_directory);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_sys(e, "remove %s", path);
	return folder_sync(state_directory, e);
}
