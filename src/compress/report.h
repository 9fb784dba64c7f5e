/* SPDX-License-Identifier: MIT */

/* What the compressor did for a session, and why: docs/api.md, "Report". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/shape.h"
#include "codec/codec.h"
#include "compress/choice.h"
#include "frames/queue.h"

/* What was measured of a codec. */
struct codec_report {
	struct codec_choice how;
	uint64_t frames;
	double ratio;
	uint64_t rate; /* bytes a second, of one worker */
};

struct compressor_report {
	bool always; /* connections wait for the workers */
	struct codec_choice used;
	char why[120];
	struct codec_report tried[CHOICES];
	size_t n_tried;
	uint64_t processor_ms; /* workers', and for looking */
	struct press_stats did;
	double ratio, share_free; /* NAN: of nothing */
};

extern const struct shape compressor_report_shape;
extern const struct shape press_stats_shape; /* struct press_stats */
