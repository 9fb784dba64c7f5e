/* SPDX-License-Identifier: MIT */

/*
 * How far a migration has come, by the bytes of its main connection: whether
 * the destination's QEMU was given the end of the stream, and what it said of
 * it.  Each side of a relay looks for itself; pages that are placed directly
 * are not among the bytes.
 *
 * The stream ends with a zero byte behind the footer of the last section, and
 * usually a description of the devices behind that (migration/savevm.c,
 * qemu_savevm_state_complete_precopy).  On the return path the last message is
 * SHUT, be16 1, be16 4, be32 0 if everything was loaded (migration.c,
 * migrate_send_rp_shut).  Post-copy has no description, but a return path.
 *
 * What is encrypted says nothing of all that: there it counts that the bytes
 * are more than a handshake, and the rest is left to whoever looks at the
 * process (endpoint.h).
 *
 * Any thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum ending_kind {
	ENDING_SHORT,   /* not there yet */
	ENDING_LOADED,  /* the destination's QEMU says so */
	ENDING_REFUSED, /* it says that it could not */
	ENDING_WHOLE,   /* all was sent, and there is no return path */
	ENDING_SECRET, /* not to be read, but a migration and not a handshake */
};

struct ending {
	int pidfd; /* QEMU's on this side, -1: not known; ending_done() closes
		    * it */
	pthread_mutex_t lock;    /* guards what follows */
	uint64_t sent, answered; /* bytes there and back */
	uint8_t first, last[6];  /* sent */
	uint8_t last_answer[8];
	uint64_t description_end; /* where the last one found would end */
};

void ending_init(struct ending *g);
void ending_done(struct ending *g);

/* Before the other side can have seen them. */
void ending_sent(struct ending *g, const uint8_t *data, size_t len);
void ending_answered(struct ending *g, const uint8_t *data, size_t len);

enum ending_kind ending_of(struct ending *g);

/* QEMU on this side has closed its connection: 0 when that is the end of a
 * migration that went well, otherwise negative with what it is the end of.
 * @unread: with bytes that it had not read. */
int ending_judge_source(struct ending *g, struct error *e);
int ending_judge_destination(struct ending *g, bool unread, struct error *e);
/* The same at the destination about the source's QEMU, whose stream has ended.
 */
int ending_judge_stream(struct ending *g, struct error *e);
