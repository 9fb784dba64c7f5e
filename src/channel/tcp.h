/* SPDX-License-Identifier: MIT */

/*
 * Channels over TCP.
 *
 * What waits in the kernel is kept small (TCP_NOTSENT_LOWAT), so that a frame
 * that has to leave over another channel is not stuck behind a megabyte, and
 * a dead path is noticed within a second (TCP_USER_TIMEOUT).
 */
#pragma once

struct channel_kind;

extern const struct channel_kind channel_tcp;
