/* SPDX-License-Identifier: MIT */

/* Rules of interrupts: one on another NUMA node than its card, and one on a
 * processor that has others. */
#pragma once

struct advisor;
struct nic;

void tune_look_node(struct advisor *a, const struct nic *n);
void tune_look_spread(struct advisor *a, const struct nic *n);
