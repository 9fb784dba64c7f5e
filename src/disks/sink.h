/* SPDX-License-Identifier: MIT */

/*
 * Where a machine's disks land: files that the sink has made, into which the
 * readers of a session's lanes write blocks.
 *
 *     readers ──► apply ──► pwrite, or a hole
 *                   └─ FLUSH ──► flusher: fdatasync, then it is acknowledged
 *
 * Zeros become holes, whoever says that they are some: what is in the data is
 * looked at.  A sink that is sealed takes nothing more; everything is durable
 * then, and no descriptor of it is left that could write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk_sink;
struct error;
struct session;

enum { SINK_DISKS_MAX = 64, SINK_MARK_CAP = 192 };

struct disk_file {
	const char *path;
	uint64_t size;
	/* Whose copy it is: stands on the file, as an attribute, until it is
	 * sealed.  NULL: nothing does. */
	const char *mark;
	/* A file with that very mark, which a process that was killed has left,
	 * gives way. */
	bool replace;
};

/* Makes the files, of holes, and takes the blocks of @s from now on.  -EEXIST:
 * one is there already; nothing is left then.  @s outlives sink_stop(). */
int sink_new(struct disk_sink **ret, struct session *s,
	     const struct disk_file *files, size_t count, struct error *e);

/* Nothing is written from here on, and all of it is durable.  Once; never after
 * a sync that failed, that of a flush too. */
int sink_seal(struct disk_sink *sink, struct error *e);
bool sink_is_sealed(struct disk_sink *sink);

struct sink_stats {
	uint64_t data_bytes, hole_bytes, flushes;
};

void sink_stats(struct disk_sink *sink, struct sink_stats *ret);

/* Nothing is written any more.  Before session_free(). */
void sink_stop(struct disk_sink *sink);
/* Stopped, and after session_free(), since a reader may be about to come.
 * @keep: the files are somebody's; else those that the sink has made go.  NULL
 * is fine. */
void sink_free(struct disk_sink *sink, bool keep);

/* --- pure */

/* Bytes from the front of @len at @data, which belongs to @offset of a disk,
 * that are of one kind; whether they are zeros.  A hole is made of whole
 * blocks of 4 KiB. */
size_t sink_run(const uint8_t *data, size_t len, uint64_t offset,
		bool *ret_zero);
