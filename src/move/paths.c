/* SPDX-License-Identifier: MIT */
#include "move/paths.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

enum { ONE_NETWORK = false, ALL_NETWORKS = true, PLAIN = 0, COMPRESSED = 1 };

static const struct move_mode move_modes[] = {
	{ "tcp", ONE_NETWORK, PLAIN },
	{ "compression", ONE_NETWORK, COMPRESSED },
	{ "multichannel", ALL_NETWORKS, PLAIN },
	{ "auto", ALL_NETWORKS, COMPRESSED },
};

int move_mode_find(const struct move_mode **ret, const char *name,
		   struct error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(move_modes); i++) {
		if (!strcmp(move_modes[i].name, name)) {
			*ret = &move_modes[i];
			return 0;
		}
	}
	return error_set(e, EINVAL,
			 "'%.40s' is not a mode: use tcp, compression, "
			 "multichannel or auto",
			 name);
}

const char *move_mode_got(const struct move_mode *m, bool compresses)
{
	for (size_t i = 0; i < ARRAY_SIZE(move_modes); i++)
		if (move_modes[i].all == m->all &&
		    move_modes[i].compresses == compresses)
			return move_modes[i].name;
	return m->name;
}

bool move_paths_press(const struct move_paths *p)
{
	return p->mode->compresses && !p->never_press;
}

const struct history_size *move_paths_repeats(const struct move_paths *p)
{
	return move_paths_press(p) ? &p->repeat_cache : NULL;
}
