/* SPDX-License-Identifier: MIT */

/*
 * Which codec, if any, for what waits in an outbox.
 *
 * A link delivers L bytes a second.  Workers that press P bytes a second, r of
 * them to one, let through
 *
 *     none:     L
 *     a codec:  the least of  L r              the link full of pressed bytes
 *                             L + P (1 - 1/r)  the workers busy all the time
 *                             D                what the destination applies
 *
 * bytes a second of pages.  The one with the most is used; of about equal ones
 * the lightest, and none is the lightest of all.  Where one codec leaves
 * workers idle and a heavier one would leave some of the link, a mix of the two
 * fills both: with 1/r - L/P left over for each byte by the one, and lacking by
 * the other, a share of left / (left + lacking) is for the heavier.
 *
 *  - r, and the processor time that pressing costs, are measured for each codec
 *    over about 16 frames; one frame of TRY_OTHERS measures another codec, or,
 *    when none is best, one in TRY_US: more would take from what sends raw.
 *  - P follows from that time and from how much of the processors the workers
 *    get (idle.h), which is the same for all codecs: on a busy host all become
 *    slower at once, also those that are seldom tried.
 *  - D counts only while the destination is behind: more than BEHIND_US of the
 *    link's rate has arrived there and is not applied.  It is what one receiver
 *    placed lately in its busy time, times the receivers.
 *
 * Pure arithmetic; the compressor's lock guards it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "codec/codec.h"

struct outbox_stats;

enum { CHOICES = 3, CHOICE_NONE = CHOICES };

/* What is known of one codec and level. */
struct choice_record {
	double in, out;  /* bytes before and after, of about 16 frames */
	double took_us;  /* processor time for them */
	uint64_t frames; /* all that were measured */
};

struct choice_case {
	double link;    /* bytes a second, as they are sent; 0: not known */
	double workers; /* processors that press */
	double far;     /* bytes of pages a second; 0: no limit */
	bool always;    /* none is no choice */
	uint64_t now_us;
};

/* One codec, or none, with a share of another one's frames. */
struct choice_mix {
	unsigned codec, heavier;
	double share;   /* of frames, by the heavier; 0: none is */
	double through; /* bytes of pages a second */
};

struct choice {
	struct choice_record record[CHOICES];
	unsigned turn;          /* frames that were handed out */
	struct choice_mix best; /* as found last */
	double owed;            /* frames of the heavier codec, below 1 */
	bool limited_by_far;    /* then */
	uint64_t tried_us;      /* when a frame was handed out */

	/* The destination, over the last while. */
	uint64_t heard_us, placed, busy_us;
	double far_rate; /* of one receiver; 0: not known */
	double backlog;  /* average over about 8 looks */
};

/* One frame that was pressed; @out is @in when it was in vain. */
struct choice_sample {
	double in, out, got_us;
};

struct codec_choice choice_codec(unsigned which);

/* Bytes a second that a worker of its own processor presses. */
double choice_rate(const struct choice_record *r);

/* The best of all; every record has frames. */
struct choice_mix choice_best(const struct choice_record record[CHOICES],
			      const struct choice_case *k);

/* What most of the frames get. */
unsigned choice_mostly(const struct choice_mix *m);

/* What is known of the case, now; @workers: processors that they get. */
struct choice_case choice_case(struct choice *c, const struct outbox_stats *st,
			       double workers);

/* The codec for the next frame; CHOICE_NONE for leaving it alone, see
 * choice_rest_until().  Nothing is counted before choice_taken(). */
unsigned choice_next(struct choice *c, const struct choice_case *k);
void choice_taken(struct choice *c, uint64_t now_us);

/* With none: the time until which all are left alone. */
uint64_t choice_rest_until(const struct choice *c);

void choice_learn(struct choice *c, unsigned which,
		  const struct choice_sample *s);

/* A sentence, why the best is the best. */
const char *choice_why(const struct choice *c);
