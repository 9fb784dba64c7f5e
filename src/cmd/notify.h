/* SPDX-License-Identifier: MIT */

/* What systemd is told: one datagram to $NOTIFY_SOCKET, see sd_notify(3).
 * Nothing when there is no such variable. */
#pragma once

/* @state: "READY=1", "STOPPING=1" */
void notify_send(const char *state);
