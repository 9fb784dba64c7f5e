/* SPDX-License-Identifier: MIT */
#include "compress/compressor.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "compress/dispatcher.h"

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

static json_t *record_json(struct codec_choice how,
			   const struct choice_record *r)
{
	return json_pack("{s:s,s:i,s:I,s:f,s:I}", "codec",
			 codec_get(how.id)->name, "level", how.level, "frames",
			 (json_int_t)r->frames, "ratio", r->in / r->out, "rate",
			 (json_int_t)choice_rate(r));
}

static json_t *tried_json(const struct choice *c)
{
	json_t *tried = json_array();

	for (unsigned i = 0; i < CHOICES; i++)
		if (c->record[i].frames > 0)
			json_array_append_new(tried,
					      record_json(choice_codec(i),
							  &c->record[i]));
	return tried;
}

static const char *why_compress(const struct compressor_client *c)
{
	if (c->policy.always)
		return "the settings say so: connections wait for the workers";
	return "a connection waits for a worker only while it has enough to "
	       "send";
}

json_t *compressor_json(struct compressor *c, struct compressor_client *who)
{
	struct codec_choice used = who->policy.choice;
	const char *why = "the settings name it";

	WITH_LOCK(&c->dispatcher.lock);

	if (!who->policy.fixed) {
		used = choice_codec(choice_mostly(&who->choice.best));
		why = choice_why(&who->choice);
	}
	return json_pack("{s:s,s:s,s:s,s:i,s:s,s:o,s:I}", "compress",
			 who->policy.always ? "always" : "idle", "why_compress",
			 why_compress(who), "codec", codec_get(used.id)->name,
			 "level", used.level, "why", why, "tried",
			 tried_json(&who->choice), "processor_ms",
			 (json_int_t)(atomic_load(&who->processor_us) / 1000));
}
