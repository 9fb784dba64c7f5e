/* SPDX-License-Identifier: MIT */
#include "session/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "lanes/lanes.h"
#include "paths/peer_cards.h"
#include "session/hello.h"

struct session_table *session_table_new(void)
{
	struct session_table *t = calloc(1, sizeof(*t));

	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void session_table_free(struct session_table *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static int full(const char *peer, unsigned all, unsigned own,
		const struct table_limits *l, struct error *e)
{
	if (own >= l->most_of_host)
		return error_set(e, EBUSY,
				 "has %u sessions open with %s, and one host "
				 "may have no more: try again later",
				 own, peer);
	return error_set(e, EBUSY,
			 "has %u sessions open and takes no more: try again "
			 "later",
			 all);
}

int table_add(struct session_table *t, struct table_entry *s,
	      const struct table_limits *l, struct error *e)
{
	unsigned all = 0, own = 0, own_kept = 0;

	WITH_LOCK(&t->lock);

	for (struct table_entry *o = t->first; o; o = o->next) {
		bool same = !strcmp(o->who->peer, s->who->peer);

		all += !o->kept;
		own += same && !o->kept;
		own_kept += same && o->kept;
	}
	s->kept = all >= l->most || own >= l->most_of_host;
	if (s->kept && own_kept >= l->kept_of_host)
		return full(s->who->peer, all, own, l, e);
	s->table = t;
	s->next = t->first;
	t->first = s;
	return 0;
}

void table_remove(struct table_entry *s)
{
	struct session_table *t = s->table;

	if (!t)
		return;

	WITH_LOCK(&t->lock);

	for (struct table_entry **p = &t->first; *p; p = &(*p)->next) {
		if (*p == s) {
			*p = s->next;
			break;
		}
	}
	s->table = NULL;
}

bool session_table_knows(struct session_table *t, const struct nic_address *a)
{
	WITH_LOCK(&t->lock);

	for (struct table_entry *s = t->first; s; s = s->next)
		if (peer_cards_have(s->paths, a))
			return true;
	return false;
}

unsigned table_channels_of(const struct table_entry *s)
{
	const struct lanes_count n = lanes_count(s->lanes);

	return n.alive + n.dying;
}

unsigned table_channels(const struct session_table *t, const char *peer)
{
	unsigned n = 0;

	for (struct table_entry *s = t->first; s; s = s->next)
		if (!strcmp(s->who->peer, peer))
			n += table_channels_of(s);
	return n;
}
