/* SPDX-License-Identifier: MIT */

/*
 * How much one channel may have in flight.
 *
 * QEMU measures its bandwidth by what we take from it, and decides by that
 * when to stop the guest.  Whatever waits in our buffers then has to be sent
 * while nobody runs the guest.  So what is unacknowledged is bounded in time:
 * as many bytes as the channel delivered lately in one round trip, and those of
 * FLOW_QUEUE_US (of a quarter of a round trip, if that is longer: the rate has
 * to be able to grow) but at most FLOW_QUEUE_MOST on top, between FLOW_LEAST
 * and FLOW_MOST in all.  Each channel has a bound of its own: under a common
 * one the slowest, which keeps what it takes the longest, would in the end have
 * all of it.
 *
 * While the guest is far from being stopped nothing has to be sent in a hurry,
 * and FLOW_QUEUE_BULK_US wait instead, or a round trip's: that bridges the
 * moments in which this host's processors, or a virtual machine that it is, do
 * something else.  It is FLOW_BULK_MOST in all, where a round trip does not
 * take half of that already.
 *
 * The rate is measured over two samples: acknowledgements that come late come
 * all at once, and the two together are what the link delivered.
 *
 * The bound exceeds what a round trip can deliver, so on a link that became
 * faster the measured rate, and with it the bound, grows by itself.  A window
 * in which nobody had to wait for room, or in which there was nothing to send,
 * says nothing about the link and never lowers the rate.
 *
 * Pure arithmetic; the outbox's lock guards it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/frame.h"

enum {
	FLOW_QUEUE_US = 20000,
	FLOW_QUEUE_BULK_US = 100000,
	FLOW_LEAN_US = 10000,
	FLOW_LEAN_BULK_US = 30000,
	FLOW_SAMPLE_US = 50000,
	FLOW_QUEUE_MOST = 4 * 1024 * 1024,
	FLOW_BULK_MOST = 12 * 1024 * 1024,
	FLOW_LEAST = 2 * FRAME_MAX_PAYLOAD, /* one on the wire, one ahead */
	FLOW_MOST = 64 * 1024 * 1024,
};

struct flow_control {
	uint64_t rate;   /* bytes per second, 0 before the first sample */
	uint64_t rtt_us; /* least seen, UINT64_MAX before the first */
	bool bulk;       /* nobody is going to wait for the rest soon */

	uint64_t sample_start_us, sample_bytes;
	uint64_t before_us, before_bytes; /* the sample before; 0: none */
	bool sample_full; /* somebody waited for room in this window */
	bool sample_idle; /* there was nothing to send for a while */
};

void flow_init(struct flow_control *f, uint64_t now_us);
void flow_acked(struct flow_control *f, uint64_t bytes, uint64_t rtt_us,
		uint64_t now_us);
void flow_waited(struct flow_control *f);
void flow_idled(struct flow_control *f);
/* It is held to @rate from now on, which is less. */
void flow_slowed(struct flow_control *f, uint64_t rate, uint64_t now_us);
uint64_t flow_limit(const struct flow_control *f);
/* What a round trip delivers, of that: it does not wait, it travels. */
uint64_t flow_travels(const struct flow_control *f);
/* With less than this it may run dry before a compressor worker is done. */
uint64_t flow_lean(const struct flow_control *f);
