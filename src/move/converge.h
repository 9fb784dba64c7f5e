/* SPDX-License-Identifier: MIT */

/*
 * How a move comes to its end: which downtime limit QEMU is given, how much the
 * guest is slowed down, and what is said when neither will do.  Pure functions;
 * docs/convergence.md has the rules, and why.
 *
 * The limit.  QEMU stops the guest as soon as the rest takes no longer than the
 * limit, so it nearly always takes all of it.  It is told an eighth at first.
 * From the moment that the whole limit would have been enough, at full_end_us,
 * a smaller one may cost the move a 40th of its time: it is doubled,
 * up to the whole, when by the measured rates it would cost more, which is also
 * what happens when rounds do not get shorter any more, and when QEMU does not
 * stop the guest although by these rates it should have.
 *
 * The throttle.  A guest that does not converge keeps so much of its processor
 * time that it changes half of what travels, and less each time that it turns
 * out to have been too much.  QEMU takes a step when it has found the guest too
 * fast twice, a second apart at least, and counts from the begin on: so that no
 * finding is lost it is told, also before anything is chosen, which step it may
 * take, and what is too fast.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct words;

/* What a move may do about a guest that is too fast, in this order. */
enum converge_step {
	CONVERGE_THROTTLE = 1 << 0, /* the guest's processors */
	CONVERGE_PAUSE = 1 << 1,    /* the guest, at the time-out */
};

enum {
	CONVERGE_FIRST = 8,            /* the part of the limit to begin with */
	CONVERGE_PATIENCE = 40,        /* and of the time that less may cost */
	CONVERGE_PATIENCE_US = 300000, /* so long QEMU is waited for at least */
	CONVERGE_STUCK_ROUNDS = 2,
	CONVERGE_THROTTLE_MOST = 99, /* QEMU's, per cent */
	/* Of what was sent, per cent, that a guest may change before QEMU finds
	 * it too fast: as much as can be; so that it counts in any case; as a
	 * guest that is stuck. */
	CONVERGE_TRIGGER_NONE = 100,
	CONVERGE_TRIGGER_ALWAYS = 1,
	CONVERGE_TRIGGER_STUCK = 95,
	CONVERGE_FINDING_US = 1000000, /* at the soonest */
	/* A step that QEMU has not taken after so many rounds, and for so long,
	 * it will not take. */
	CONVERGE_STEP_ROUNDS = 5,
	CONVERGE_CALM_ROUNDS = 3, /* in a row, and a step is not needed */
	CONVERGE_STEP_US = 10000000,
};

struct converge_rules {
	uint64_t limit_us; /* of downtime, the user's */
	unsigned steps;    /* of enum converge_step */
};

/* What was measured. */
struct converge_seen {
	uint64_t now_us;           /* since QEMU began to migrate */
	uint64_t remaining;        /* bytes, if the guest stopped now */
	uint64_t rate, dirty_rate; /* bytes a second; 0: not known */
	uint64_t rounds;           /* ended, under this throttle */
	/* The guest has not changed much since QEMU last looked, or it is known
	 * how much. */
	bool sure;
	bool fresh; /* QEMU has just looked: both rates are of the same time */
	bool zeros; /* many pages of them are sent: QEMU reckons otherwise */
	uint64_t looked_us; /* when it last looked, as now_us; 0: never */
	unsigned throttle;  /* in effect, per cent */
};

/* What was chosen; all 0 at first. */
struct converge {
	uint64_t limit_us;    /* that QEMU is to be told */
	uint64_t full_end_us; /* the move's, with the whole limit; 0: later */
	uint64_t fits_us;     /* since when the rest fits into it; 0: not */
	unsigned throttle;    /* that QEMU is to take; 0: none so far */
	uint64_t told_us;     /* when it was chosen, */
	unsigned untaken;     /* rounds since then in which QEMU was not, */
	unsigned calm;        /* the last of them in which it was not stuck */
	unsigned step;        /* that QEMU is told: the throttle, or one that it
				 may take by itself */
	unsigned trigger;     /* that it is told with it */
	unsigned taken;       /* the last throttle that was in effect, */
	uint64_t taken_us;    /* since when */
	bool stuck;           /* as it goes now, it will not converge */
};

struct converge converge_next(const struct converge *now,
			      const struct converge_rules *rules,
			      const struct converge_seen *seen);

/* It is stuck, and nothing that is allowed is left to be done about it. */
bool converge_is_helpless(const struct converge *c,
			  const struct converge_rules *rules,
			  const struct converge_seen *seen);

/* Why a stuck move is stuck, and what would help.  @spare: cards that it might
 * use and does not, or empty. */
void converge_say(char *buf, size_t cap, const struct converge_rules *rules,
		  const struct converge_seen *seen, const char *spare);

/* "none", "throttle", "pause", or the last two in this order. */
int converge_parse(unsigned *ret_steps, const struct words *of,
		   struct error *e);
/* Refuses a pause at a time-out that there is none of. */
int converge_check(unsigned steps, uint64_t timeout_us, struct error *e);
/* The same as words. */
int converge_names(struct words *to, unsigned steps, struct error *e);
