/* SPDX-License-Identifier: MIT */
#include "session/supervisor.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "base/thread.h"
#include "lanes/lanes.h"
#include "paths/account.h"
#include "paths/paths.h"
#include "session/life.h"

enum { LINGER_US = 3000000 }; /* for the goodbyes of a session that ended */

/* The clock is read second: readers move the time meanwhile, and a silence of
 * less than nothing would be one of half a million years. */
uint64_t supervisor_silent_us(struct lanes *lanes)
{
	uint64_t heard = lanes_heard_us(lanes);

	return clock_us() - heard;
}

static void check_outage(struct supervisor *s, const struct life_now *now)
{
	uint64_t silent = supervisor_silent_us(s->lanes);
	char why[160], for_how_long[32];

	if (now->ended || silent < now->outage_limit_us)
		return;
	text_duration(for_how_long, sizeof(for_how_long), silent);
	snprintf(why, sizeof(why), "no path to host %s for %s", s->peer,
		 for_how_long);
	s->fail(s->context, why);
}

static void bury_lanes(struct supervisor *s)
{
	struct lane_view v;

	/* Another path may have to step in, before the threads are joined. */
	if (lanes_count(s->lanes).dying > 0)
		paths_wake(s->paths);
	while (lanes_next_ended(s->lanes, &v))
		account_lost(s->paths, &v);
}

static bool any_lane(struct supervisor *s)
{
	const struct lanes_count n = lanes_count(s->lanes);

	return n.alive + n.dying > 0;
}

static void *supervisor_main(void *arg)
{
	struct supervisor *s = arg;
	struct life_now now;

	do {
		now = life_wait(s->life, clock_us() + HEARTBEAT_US);
		paths_tend(s->paths);
		bury_lanes(s);
		check_outage(s, &now);
		s->tend(s->context);
		if (now.ended && clock_us() - now.ended_us > LINGER_US)
			lanes_cut(s->lanes);
	} while (!now.stopping || any_lane(s));
	return NULL;
}

int supervisor_start(struct supervisor *s, struct error *e)
{
	int r = thread_create(&s->thread, "session", supervisor_main, s);

	return r == 0 ? 0 : error_set(e, r, "no thread for a session");
}

void supervisor_stop(struct supervisor *s)
{
	life_stop(s->life);
	pthread_join(s->thread, NULL);
}

void supervisor_finish(struct supervisor *s)
{
	life_stop(s->life);
	supervisor_main(s);
}
