/* SPDX-License-Identifier: MIT */
#include "compress/report.h"

#include <stdio.h>

static void show_codec(char *buf, size_t cap, const void *at)
{
	snprintf(buf, cap, "%s", codec_get(*(const enum codec_id *)at)->name);
}

static const struct shape_code codec_word = { show_codec, NULL };

#define AT(member) SHAPE_AT(struct codec_report, member)

static const struct shape_field codec_fields[] = {
	{ "codec", SHAPE_CODE, 0, AT(how.id), .code = &codec_word },
	{ "level", SHAPE_SIGNED, 0, AT(how.level) },
	{ "frames", SHAPE_NUMBER, 0, AT(frames) },
	{ "ratio", SHAPE_REAL, 0, AT(ratio) },
	{ "rate", SHAPE_NUMBER, 0, AT(rate) },
};

static const struct shape codec_shape =
	SHAPE(struct codec_report, codec_fields);

#undef AT

#define AT(member) SHAPE_AT(struct press_stats, member)

static const struct shape_field stats_fields[] = {
	{ "before", SHAPE_NUMBER, 0, AT(in) },
	{ "after", SHAPE_NUMBER, 0, AT(out) },
	{ "dense", SHAPE_NUMBER, 0, AT(incompressible) },
	{ "raw_link_free", SHAPE_NUMBER, 0, AT(free) },
	{ "taken_back", SHAPE_NUMBER, 0, AT(taken_back) },
};

const struct shape press_stats_shape = SHAPE(struct press_stats, stats_fields);

#undef AT
#define AT(member) SHAPE_AT(struct compressor_report, member)

/* By whether connections wait. */
static const char *const words[] = { "idle", "always" };
static const char *const meanings[] = {
	"a connection waits for a worker only while it has enough to send",
	"the settings say so: connections wait for the workers",
};

static const struct shape_field report_fields[] = {
	{ "compress", SHAPE_NAME, 0, AT(always), .names = words, .most = 2 },
	{ "why_compress", SHAPE_NAME, 0, AT(always), .names = meanings,
	  .most = 2 },
	{ "codec", SHAPE_CODE, 0, AT(used.id), .code = &codec_word },
	{ "level", SHAPE_SIGNED, 0, AT(used.level) },
	{ "why", SHAPE_TEXT, 0, AT(why) },
	{ "tried", SHAPE_LIST, SHAPE_INSIDE, AT(tried),
	  SHAPE_COUNT(struct compressor_report, n_tried), .most = CHOICES,
	  .of = &codec_shape },
	{ "processor_ms", SHAPE_NUMBER, 0, AT(processor_ms) },
	/* as in press_stats_shape, with what they come to between them */
	{ "before", SHAPE_NUMBER, 0, AT(did.in) },
	{ "after", SHAPE_NUMBER, 0, AT(did.out) },
	{ "ratio", SHAPE_REAL, SHAPE_NULL, AT(ratio) },
	{ "dense", SHAPE_NUMBER, 0, AT(did.incompressible) },
	{ "raw_link_free", SHAPE_NUMBER, 0, AT(did.free) },
	{ "share_raw_link_free", SHAPE_REAL, SHAPE_NULL, AT(share_free) },
	{ "taken_back", SHAPE_NUMBER, 0, AT(did.taken_back) },
};

const struct shape compressor_report_shape =
	SHAPE(struct compressor_report, report_fields);
