/* SPDX-License-Identifier: MIT */

/*
 * Asks everybody who knows of the cards of this host, one after the other:
 * rtnetlink, the drivers, /sys.  What comes out is an inventory that says how
 * things were at that moment.
 */
#pragma once

struct error;
struct inventory;

/* With one reference, the caller's. */
int nic_scan(struct inventory **ret, struct error *e);
