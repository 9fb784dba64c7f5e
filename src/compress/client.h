/* SPDX-License-Identifier: MIT */

/* What a session asks of the compressor, and what is known of it there. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/codec.h"
#include "compress/choice.h"
#include "compress/stretch.h"

struct outbox;

struct compressor_policy {
	bool always; /* channels wait for the workers */
	/* Only this one, when @fixed. */
	bool fixed;
	struct codec_choice choice;
};

/* A session at the compressor.  The dispatcher's from compressor_join() to
 * compressor_leave(). */
struct compressor_client {
	struct outbox *outbox;
	struct compressor_policy policy;
	struct choice choice;
	struct stretches stretches;
	unsigned frames; /* that workers have now */
	struct compressor_client *next;
	atomic_uint_fast64_t processor_us; /* workers', and for looking */
};
