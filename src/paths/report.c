/* SPDX-License-Identifier: MIT */
#include "paths/report.h"

#include "base/text.h"

#define AT(member) SHAPE_AT(struct outbox_flow, member)

static const struct shape_field flow_fields[] = {
	{ "rate", SHAPE_NUMBER, 0, AT(rate) },
	{ "rtt_us", SHAPE_NUMBER, SHAPE_NULL, AT(rtt_us) },
	{ "limit", SHAPE_NUMBER, 0, AT(limit) },
	{ "in_flight", SHAPE_NUMBER, 0, AT(in_flight) },
};

static const struct shape flow_shape = SHAPE(struct outbox_flow, flow_fields);

#undef AT
#define AT(member) SHAPE_AT(struct channel_report, member)

static const struct shape_field channel_fields[] = {
	{ "channel", SHAPE_NUMBER, 0, AT(slot) },
	{ "transport", SHAPE_TEXT, 0, AT(transport) },
	{ "congestion", SHAPE_TEXT, SHAPE_NULL, AT(congestion) },
	{ "from", SHAPE_TEXT, 0, AT(from) },
	{ "to", SHAPE_TEXT, 0, AT(to) },
	{ "bytes", SHAPE_NUMBER, 0, AT(sent) },
	{ "received", SHAPE_NUMBER, 0, AT(received) },
	{ "rdma", SHAPE_NUMBER, 0, AT(rdma) },
	{ "rate", SHAPE_NUMBER, 0, AT(rate) },
	{ "retransmissions", SHAPE_NUMBER, 0, AT(retransmissions) },
	{ "connected_ms", SHAPE_NUMBER, 0, AT(connected_ms) },
	{ "flow", SHAPE_OBJECT, SHAPE_NULL, AT(flow),
	  SHAPE_HAS(struct channel_report, alive), .of = &flow_shape },
	{ "why_ended", SHAPE_TEXT, SHAPE_NULL, AT(why_ended) },
};

const struct shape channel_report_shape =
	SHAPE(struct channel_report, channel_fields);

static const char *const states[PATH_STATES] = {
	[PATH_USED] = "used",
	[PATH_FAILED] = "failed",
	[PATH_SPARE] = "spare",
	[PATH_GIVEN] = "given",
};

#undef AT
#define AT(member) SHAPE_AT(struct path_report, member)

static const struct shape_field path_fields[] = {
	{ "from_nic", SHAPE_TEXT, SHAPE_NULL, AT(near) },
	{ "from", SHAPE_TEXT, SHAPE_NULL, AT(from) },
	{ "to_nic", SHAPE_TEXT, SHAPE_NULL, AT(far) },
	{ "to", SHAPE_TEXT, SHAPE_NULL, AT(to) },
	{ "network", SHAPE_SIGNED, SHAPE_NULL, AT(rank) },
	{ "speed_mbit", SHAPE_NUMBER, SHAPE_NULL, AT(speed_mbit) },
	{ "state", SHAPE_NAME, 0, AT(state), .names = states,
	  .most = PATH_STATES },
	{ "connections_asked", SHAPE_NUMBER, 0, AT(connections_asked) },
	{ "connections", SHAPE_NUMBER, 0, AT(connections) },
	{ "bytes", SHAPE_NUMBER, 0, AT(sent) },
	{ "received", SHAPE_NUMBER, 0, AT(received) },
	{ "rdma", SHAPE_NUMBER, 0, AT(rdma) },
	{ "rate", SHAPE_NUMBER, 0, AT(rate) },
	{ "retransmissions", SHAPE_NUMBER, 0, AT(retransmissions) },
	{ "drops", SHAPE_NUMBER, 0, AT(drops) },
	{ "order", SHAPE_NUMBER, SHAPE_NULL, AT(order) },
	{ "delivered", SHAPE_NUMBER, SHAPE_NULL, AT(delivered) },
	{ "reason", SHAPE_TEXT, SHAPE_NULL, AT(reason) },
	{ "why", SHAPE_TEXT, SHAPE_NULL, AT(why) },
	{ "flows", SHAPE_TEXT, SHAPE_NULL, AT(flows) },
	{ "channels", SHAPE_LIST, 0, AT(channels),
	  SHAPE_COUNT(struct path_report, channels_count),
	  .of = &channel_report_shape },
};

const struct shape path_report_shape = SHAPE(struct path_report, path_fields);

static const char *const sides[CARD_SIDES] = {
	[CARD_HERE] = "here",
	[CARD_THERE] = "there",
};

#undef AT
#define AT(member) SHAPE_AT(struct card_report, member)

static const struct shape_field card_fields[] = {
	{ "side", SHAPE_NAME, 0, AT(side), .names = sides, .most = CARD_SIDES },
	{ "nic", SHAPE_TEXT, 0, AT(nic) },
	{ "why", SHAPE_TEXT, 0, AT(why) },
};

const struct shape card_report_shape = SHAPE(struct card_report, card_fields);

#undef AT
#define AT(member) SHAPE_AT(struct paths_report, member)

static const struct shape_field report_fields[] = {
	{ "paths", SHAPE_LIST, 0, AT(paths),
	  SHAPE_COUNT(struct paths_report, paths_count),
	  .of = &path_report_shape },
	{ "cards", SHAPE_LIST, 0, AT(cards),
	  SHAPE_COUNT(struct paths_report, cards_count),
	  .of = &card_report_shape },
	{ "channels", SHAPE_LIST, SHAPE_OMIT, AT(channels),
	  SHAPE_HAS(struct paths_report, accepting),
	  SHAPE_COUNT(struct paths_report, channels_count),
	  .of = &channel_report_shape },
};

const struct shape paths_report_shape =
	SHAPE(struct paths_report, report_fields);
