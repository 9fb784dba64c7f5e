/* SPDX-License-Identifier: MIT */
#include "compress/compressor.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "compress/dispatcher.h"
#include "frames/outbox.h"

struct compressor {
	struct dispatcher dispatcher;
};

int compressor_new(struct compressor **ret, unsigned workers, struct error *e)
{
	struct compressor *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(e, ENOMEM, "no memory for the compressor");
	if (workers == 0)
		workers = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	if (workers > WORKERS_MAX)
		workers = WORKERS_MAX;
	if (dispatcher_start(&c->dispatcher, workers, e) < 0) {
		free(c);
		return error_code(e);
	}
	*ret = c;
	return 0;
}

void compressor_free(struct compressor *c)
{
	if (!c)
		return;
	dispatcher_stop(&c->dispatcher);
	free(c);
}

void compressor_join(struct compressor *c, struct compressor_client *who)
{
	dispatcher_join(&c->dispatcher, who);
}

void compressor_leave(struct compressor *c, struct compressor_client *who)
{
	dispatcher_leave(&c->dispatcher, who);
}

void compressor_kick(struct compressor *c)
{
	dispatcher_kick(&c->dispatcher);
}

/* --- what it says of itself */

static void add_tried(struct compressor_report *to, const struct choice *c)
{
	for (unsigned i = 0; i < CHOICES; i++) {
		const struct choice_record *r = &c->record[i];

		if (r->frames > 0)
			to->tried[to->n_tried++] = (struct codec_report){
				.how = choice_codec(i),
				.frames = r->frames,
				.ratio = r->in / r->out,
				.rate = (uint64_t)choice_rate(r),
			};
	}
}

static double share(uint64_t part, uint64_t of)
{
	return of ? (double)part / (double)of : NAN;
}

static void add_stats(struct compressor_report *to,
		      const struct press_stats *st)
{
	to->did = *st;
	to->ratio = share(st->in, st->out);
	to->share_free =
		share(st->free, st->in + st->incompressible + st->free);
}

struct compressor_report compressor_report(struct compressor *c,
					   struct compressor_client *who)
{
	struct compressor_report r = {
		.always = who->policy.always,
		.used = who->policy.choice,
		.processor_ms = atomic_load(&who->processor_us) / USEC_PER_MS,
	};
	const char *why = "the settings name it";
	struct outbox_stats all;

	outbox_stats(who->outbox, &all);
	add_stats(&r, &all.press);

	WITH_LOCK(&c->dispatcher.lock);

	if (!who->policy.fixed) {
		r.used = choice_codec(choice_mostly(&who->choice.best));
		why = choice_why(&who->choice);
	}
	snprintf(r.why, sizeof(r.why), "%s", why);
	add_tried(&r, &who->choice);
	return r;
}
