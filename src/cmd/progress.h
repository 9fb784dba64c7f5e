/* SPDX-License-Identifier: MIT */

/*
 * A job on its way, as one line, and a job that has ended, as a report.  Both
 * take a job in the shape of docs/api.md.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/* With a bar, never wider than @width - 1 columns, so that a terminal does not
 * begin a new line: what matters least goes first. */
void progress_line(char *buf, size_t cap, const json_t *job, int width);

/* Without a bar and with all fields, for a pipe. */
void progress_plain(char *buf, size_t cap, const json_t *job);

/* At most five columns each: "118M"; "300ms", "12s", "2m10s". */
void progress_bytes(char *buf, size_t cap, double bytes);
void progress_time(char *buf, size_t cap, double ms);
/* Likewise; "?" where @ms is no number. */
void progress_time_or_unknown(char *buf, size_t cap, const json_t *ms);
/* Bytes a second as bits a second, in powers of 1000: "940M". */
void progress_bits(char *buf, size_t cap, double rate);

/* How long it still takes, of a job's progress: "1m50s-2m30s", "never". */
void progress_left(char *buf, size_t cap, const json_t *progress);

/* The report of an ended job; nothing when it has none. */
void report_print(FILE *to, const json_t *job);
