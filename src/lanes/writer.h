/* SPDX-License-Identifier: MIT */

/*
 * The writer of a lane: takes frames from the outbox and writes them; with
 * nothing to write it says so every HEARTBEAT_US by an acknowledgement.  After
 * the session's end it says BYE and closes its direction.
 */
#pragma once

/* Its thread, from lanes_add() until the lane has failed or was closed. */
void *writer_main(void *lane);
