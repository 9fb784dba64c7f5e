/* SPDX-License-Identifier: MIT */

/*
 * What became of a session's paths, for plans and reports: docs/api.md,
 * "Report".  It shares nothing with the session; shape_done() with
 * paths_report_shape gives it back.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "channel/channel.h"
#include "frames/outbox.h"
#include "nic/inventory.h"

enum { PATH_WHY_MAX = 252 };

struct channel_report {
	unsigned slot;
	char transport[12];               /* "tcp" */
	char congestion[CONGESTION_NAME]; /* "": it has none */
	char from[CHANNEL_NAME_MAX], to[CHANNEL_NAME_MAX];
	uint64_t sent, received, rate, retransmissions, connected_ms;
	uint64_t rdma;                /* of pages, besides these */
	char why_ended[PATH_WHY_MAX]; /* empty: it has not */
	bool alive;                   /* what follows is known */
	struct outbox_flow flow;      /* rtt_us 0: not measured yet */
};

enum path_state { PATH_USED, PATH_FAILED, PATH_SPARE, PATH_GIVEN, PATH_STATES };

struct path_report {
	char near[IF_NAMESIZE], far[IF_NAMESIZE];          /* empty: given */
	char from[NIC_ADDRESS_TEXT], to[NIC_ADDRESS_TEXT]; /* likewise */
	int rank;                                          /* -1: given */
	enum path_state state;
	unsigned speed_mbit, connections_asked, connections, drops;
	unsigned order; /* in the plan, from 1; 0: it is not in it */
	uint64_t sent, received, rate, retransmissions;
	uint64_t rdma;      /* of pages, besides these */
	uint64_t delivered; /* bytes/s, here or before; 0: not known */
	char why[PATH_WHY_MAX], flows[NIC_REASON];
	char reason[NIC_REASON]; /* it is used, and as it is */
	struct channel_report *channels;
	size_t channels_count;
};

enum card_side { CARD_HERE, CARD_THERE, CARD_SIDES };

/* A card that is on no path. */
struct card_report {
	enum card_side side;
	char nic[IF_NAMESIZE], why[NIC_REASON];
};

struct paths_report {
	struct path_report *paths; /* the most preferred first */
	size_t paths_count;
	struct card_report *cards;
	size_t cards_count;
	bool accepting; /* that side has channels, and no paths */
	struct channel_report *channels;
	size_t channels_count;
};

extern const struct shape channel_report_shape, path_report_shape,
	card_report_shape, paths_report_shape;
