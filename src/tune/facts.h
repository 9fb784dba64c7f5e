/* SPDX-License-Identifier: MIT */

/* What advice is given by. */
#pragma once

#include <stdbool.h>

#include "nic/interrupts.h"
#include "nic/inventory.h"
#include "tune/processors.h"

/* What there is; all of it outlives the call. */
struct tune_facts {
	const struct inventory *inv;
	const struct nic_interrupts *interrupts;
	const struct processors *processors;
	unsigned machines; /* that this host has */
	bool iommu;        /* a machine can be given a device */
	bool irqbalance;   /* a daemon moves interrupts */
	double seconds;    /* between the two looks at processors; NAN: one */
};
