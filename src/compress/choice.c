/* SPDX-License-Identifier: MIT */
#include "compress/choice.h"

#include "base/clock.h"
#include "frames/outbox.h"

enum {
	TRY_OTHERS = 48,
	TRY_US = 100000,
	BEHIND_US = 10000,
	FAR_BUSY_US = 20000, /* of the receivers, that a rate is made of */
};

/* What a heavier choice has to win. */
static const double worth = 1.02;

/* Lightest first. */
static const struct codec_choice codecs[CHOICES + 1] = {
	{ CODEC_LZ4, 1 },
	{ CODEC_ZSTD, 1 },
	{ CODEC_ZSTD, 2 },
	[CHOICE_NONE] = { CODEC_NONE, 0 },
};

struct codec_choice choice_codec(unsigned which)
{
	return codecs[which];
}

double choice_rate(const struct choice_record *r)
{
	return r->in * USEC_PER_SEC / r->took_us;
}

/* --- the best */

static double least(double a, double b)
{
	return a < b ? a : b;
}

static double capped(double got, const struct choice_case *k)
{
	return k->far > 0 ? least(got, k->far) : got;
}

static double through(const struct choice_record *r,
		      const struct choice_case *k)
{
	double ratio = r->in / r->out, press = choice_rate(r) * k->workers;

	return capped(least(k->link * ratio, k->link + press * (1 - 1 / ratio)),
		      k);
}

/* What is left over, for each byte of pages, when the link is full and all is
 * pressed this way: seconds of link that the workers do not need, or, when
 * negative, that they lack. */
static double spare(const struct choice_record *r, const struct choice_case *k)
{
	return r->out / r->in - k->link / (choice_rate(r) * k->workers);
}

/* Frames by the @heavier codec among those by the @lighter one, so many that
 * the link and the workers are both full: what one leaves over, the other
 * takes. */
static struct choice_mix mix_of(const struct choice_record record[CHOICES],
				const struct choice_case *k, unsigned lighter,
				unsigned heavier)
{
	const struct choice_record *l = &record[lighter], *h = &record[heavier];
	double left = spare(l, k), lacking = -spare(h, k);
	struct choice_mix mix = { .codec = lighter, .heavier = heavier };
	double out;

	if (k->link <= 0 || left <= 0 || lacking <= 0 ||
	    h->out / h->in >= l->out / l->in)
		return mix;
	mix.share = left / (left + lacking);
	out = mix.share * h->out / h->in + (1 - mix.share) * l->out / l->in;
	mix.through = capped(k->link / out, k);
	return mix;
}

static struct choice_mix best_codec(const struct choice_record record[CHOICES],
				    const struct choice_case *k)
{
	bool none = !k->always && k->link > 0;
	struct choice_mix best = { .codec = none ? CHOICE_NONE : 0 };

	best.through = none ? k->link : through(&record[0], k);
	for (unsigned i = 0; i < CHOICES; i++) {
		double t = through(&record[i], k);

		if (t > best.through * worth) {
			best.through = t;
			best.codec = i;
		}
	}
	return best;
}

struct choice_mix choice_best(const struct choice_record record[CHOICES],
			      const struct choice_case *k)
{
	struct choice_mix best = best_codec(record, k);

	if (best.codec == CHOICE_NONE)
		return best;
	for (unsigned h = 1; h < CHOICES; h++)
		for (unsigned l = 0; l < h; l++) {
			struct choice_mix mix = mix_of(record, k, l, h);

			if (mix.through > best.through * worth)
				best = mix;
		}
	return best;
}

unsigned choice_mostly(const struct choice_mix *m)
{
	return m->share > 0.5 ? m->heavier : m->codec;
}

/* --- the case */

static void watch_far(struct choice *c, const struct outbox_far *far)
{
	if (far->busy_us == c->heard_us)
		return;
	c->heard_us = far->busy_us;
	c->backlog += ((double)far->backlog - c->backlog) / 8;
	if (far->busy_us < c->busy_us + FAR_BUSY_US)
		return;
	c->far_rate = (double)(far->placed - c->placed) * USEC_PER_SEC /
		      (double)(far->busy_us - c->busy_us);
	c->placed = far->placed;
	c->busy_us = far->busy_us;
}

struct choice_case choice_case(struct choice *c, const struct outbox_stats *st,
			       double workers)
{
	struct choice_case k = { .link = (double)st->wire_rate,
				 .workers = workers,
				 .now_us = clock_us() };

	watch_far(c, &st->far_end);
	if (c->backlog > k.link * BEHIND_US / USEC_PER_SEC)
		k.far = c->far_rate * st->channels;
	return k;
}

/* --- one frame after the other */

unsigned choice_next(struct choice *c, const struct choice_case *k)
{
	for (unsigned i = 0; i < CHOICES; i++)
		if (c->record[i].frames == 0)
			return i;
	c->best = choice_best(c->record, k);
	c->limited_by_far = k->far > 0;
	if (c->best.codec == CHOICE_NONE) {
		if (k->now_us < choice_rest_until(c))
			return CHOICE_NONE;
		return c->turn % CHOICES;
	}
	if (c->turn % TRY_OTHERS == 0)
		return c->turn / TRY_OTHERS % CHOICES;
	return c->owed + c->best.share >= 1 ? c->best.heavier : c->best.codec;
}

void choice_taken(struct choice *c, uint64_t now_us)
{
	c->turn++;
	c->owed += c->best.share;
	if (c->owed >= 1)
		c->owed--;
	c->tried_us = now_us;
}

uint64_t choice_rest_until(const struct choice *c)
{
	return c->tried_us + TRY_US;
}

void choice_learn(struct choice *c, unsigned which,
		  const struct choice_sample *s)
{
	struct choice_record *r = &c->record[which];

	/* Stretches know what does not press (stretch.h); the record is of what
	 * does. */
	if (s->out >= s->in)
		return;
	r->frames++;
	r->in += s->in - r->in / 16;
	r->out += s->out - r->out / 16;
	/* One more, so that no time is nothing. */
	r->took_us += s->got_us + 1 - r->took_us / 16;
}

const char *choice_why(const struct choice *c)
{
	if (c->limited_by_far)
		return "the destination is behind: no more is sent than it "
		       "expands and places";
	if (c->best.codec == CHOICE_NONE)
		return "compressing would not let more through at the measured "
		       "rates of link and processors";
	if (c->best.share > 0)
		return "with a heavier codec now and then it lets the most "
		       "through at the measured rates of link and processors";
	return "it lets the most through at the measured rates of link and "
	       "processors";
}
