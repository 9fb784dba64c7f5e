/* SPDX-License-Identifier: MIT */
#include "paths/paths.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "paths/account.h"
#include "paths/dialler.h"
#include "paths/path_set.h"
#include "paths/peer_cards.h"
#include "paths/planner.h"

static int copy_addresses(struct path_set *set, const char *const *from,
			  struct error *e)
{
	size_t n = 0;

	while (from[n])
		n++;
	set->addresses = calloc(n + 1, sizeof(set->addresses[0]));
	for (size_t i = 0; set->addresses && i < n; i++) {
		set->addresses[i] = strdup(from[i]);
		if (!set->addresses[i])
			return error_set(e, ENOMEM, "no memory");
	}
	return set->addresses ? 0 : error_set(e, ENOMEM, "no memory");
}

/* The path over which the session begins: the addresses that it was given.  It
 * becomes a pair of cards once these are known. */
static int add_first(struct path_set *set, struct error *e)
{
	struct path *p;

	WITH_LOCK(&set->lock);

	p = path_set_add(set);
	if (!p)
		return error_set(e, ENOMEM, "no memory for a path");
	p->given = true;
	return 0;
}

int paths_new(struct path_set **ret, const struct paths_options *o,
	      struct error *e)
{
	struct path_set *set = path_set_new();

	if (!set)
		return error_set(e, ENOMEM, "no memory for paths");
	set->peer = o->peer;
	set->port = o->port;
	set->lanes = o->lanes;
	set->calls = o->calls;
	set->stop_fd = o->stop_fd;
	set->policy = o->policy;
	set->watch = o->watch;
	if (o->watch)
		set->networks = *o->networks;
	if (o->addresses && (copy_addresses(set, o->addresses, e) < 0 ||
			     add_first(set, e) < 0)) {
		path_set_free(set);
		return error_code(e);
	}
	*ret = set;
	return 0;
}

void paths_free(struct path_set *set)
{
	if (set)
		path_set_free(set);
}

/* --- beginning */

int paths_dial_first(struct path_set *set, unsigned lanes, struct error *e)
{
	struct path *p = set->path[0];

	if (dialler_dial_given(p, e) < 0)
		return error_code(e);
	/* Only the lane's own threads run yet, which leave paths alone. */
	p->proved = true;
	p->wanted = lanes;
	return 0;
}

/* The watch's thread says that the cards here are not what they were. */
static void cards_changed(void *context)
{
	struct path_set *set = context;

	{
		WITH_LOCK(&set->lock);

		set->cards_due = set->plan_due = set->news = true;
		path_set_wake(set);
	}
	set->calls.news(set->calls.context);
}

void paths_listen(struct path_set *set)
{
	if (!set->watch)
		return;
	set->listener = (struct nic_listener){ .changed = cards_changed,
					       .context = set };
	cards_changed(set);
	nic_watch_listen(set->watch, &set->listener);
	set->listening = true;
}

int paths_start(struct path_set *set, uint64_t salt, struct error *e)
{
	if (!set->addresses)
		return 0;
	set->salt = salt;
	if (dialler_start(set->path[0], e) < 0)
		return error_code(e);
	return set->watch ? planner_start(set, e) : 0;
}

/* --- ending */

void paths_end(struct path_set *set)
{
	WITH_LOCK(&set->lock);

	set->ended = true;
	diallers_shutdown(set);
	path_set_wake(set);
}

void paths_leave(struct path_set *set)
{
	if (set->listening)
		nic_watch_leave(set->watch, &set->listener);
	set->listening = false;
}

void paths_join(struct path_set *set)
{
	planner_join(set);
	diallers_join(set);
}

/* --- the supervisor's */

static bool take_due(struct path_set *set)
{
	WITH_LOCK(&set->lock);

	if (!set->cards_due || set->ended)
		return false;
	set->cards_due = false;
	return true;
}

void paths_tend(struct path_set *set)
{
	const bool due = take_due(set);

	if (peer_cards_arrived(set) || due)
		peer_cards_refresh(set);
	account_measure(set);
}

void paths_wake(struct path_set *set)
{
	WITH_LOCK(&set->lock);

	path_set_wake(set);
}
