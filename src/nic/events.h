/* SPDX-License-Identifier: MIT */

/*
 * News of links and addresses, by a netlink socket: nothing is polled.
 *
 * It keeps its own picture of the links, so that it can tell a cable that came
 * out from the many messages that mean nothing here.  For one thread.  The
 * network namespace is that of the thread that opened it.
 */
#pragma once

#include "nic/links.h" /* NIC_ADDED and so on */

struct error;
struct nic_events;

/* Changes after this call are told, so read the inventory after it. */
int nic_events_open(struct nic_events **ret, struct error *e);
void nic_events_close(struct nic_events *ev);

/* For poll(): readable when there may be news.  Does not block. */
int nic_events_fd(const struct nic_events *ev);

/* Takes all that is there.  The changes, as bits, into @ret_changes: 0 when
 * nothing that matters changed.  With NIC_LOST, read the inventory anew. */
int nic_events_read(struct nic_events *ev, unsigned *ret_changes,
		    struct error *e);
