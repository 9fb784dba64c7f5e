/* SPDX-License-Identifier: MIT */

/*
 * Hosts that move machines between each other, as many as one likes: the real
 * queue and admission of each host, and in the place of QEMU and cards a model.
 * Time is the model's and goes in turns of MANY_TURN_US.
 *
 * A word between two hosts takes one turn.  A host's card carries so much out
 * and so much in, which its moves share evenly.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host/admission.h"
#include "host/queue.h"

enum { MANY_TURN_US = 100000 };

enum many_state { MANY_WAITS, MANY_ASKS, MANY_TOLD_FULL, MANY_RUNS, MANY_DONE };

struct many_move {
	struct queue_item item;
	unsigned from, to;
	double left_bytes;
	enum many_state state;
	uint64_t started_us, ended_us;
	struct many_move *next;
};

struct many_host {
	char name[16];
	struct queue queue;
	struct admission admission;
	struct queue_load out, in, most;
	double card;                /* bytes per second */
	char offer[ADMISSION_NAME]; /* on its way to that host; or empty */
	bool takes, more;
	bool answered;
	/* Of the queue's own words, those said and heard by this host. */
	unsigned messages, this_second, most_in_a_second;
	unsigned out_peak, in_peak;
};

struct many_hosts {
	struct many_host *at;
	unsigned count;
	struct many_move *first;
	uint64_t now_us;
	unsigned left; /* moves that have not ended */
};

void many_begin(struct many_hosts *m, unsigned hosts, struct queue_load most,
		double card);
void many_end(struct many_hosts *m);
struct many_move *many_move(struct many_hosts *m, unsigned from, unsigned to,
			    unsigned priority, double bytes);
/* A host's daemon is started again: it has forgotten who waits for it. */
void many_forget(struct many_hosts *m, unsigned host);
void many_turn(struct many_hosts *m);
/* Turns until all have ended, or it is @limit_us: false. */
bool many_run(struct many_hosts *m, uint64_t limit_us);
