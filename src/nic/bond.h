/* SPDX-License-Identifier: MIT */

/*
 * Which member of a bond a flow leaves by: the formulas of the kernel's
 * Documentation/networking/bonding.rst ("xmit_hash_policy"), as Linux computes
 * them from 5.16 on.
 *
 * Words of addresses and ports are combined as they lie in memory, so the
 * values differ between byte orders, as the kernel's do.
 *
 * Members are counted in the kernel's order, that in which they joined; nothing
 * here depends on which one that is.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "nic/flow.h"

uint32_t bond_hash(enum bond_policy policy, const struct flow *f);

/* 0 to bond->members - 1, for a bond for which bond_predictable() holds. */
unsigned bond_member(const struct nic_bond *bond, const struct flow *f);

/* Whether a flow of this host keeps to one member, and which can be told.  Not
 * so with encap3+4: for packets of this host's own sockets the kernel then
 * takes a random number of the socket, not the formula. */
bool bond_predictable(const struct nic_bond *bond);

/* Predictable, and the choice of ports decides. */
bool bond_heeds_ports(const struct nic_bond *bond);

/* How many connections to one peer it takes to send over all members: 1 where
 * more of them would not change that. */
unsigned bond_sending_flows(const struct nic_bond *bond);

/* The same for what one peer sends, at a switch that knows of the bond. */
unsigned bond_receiving_flows(const struct nic_bond *bond);

/* Of the speed of all its members, which is what the kernel says, as much as
 * one peer's connections can be sent by, and can arrive by. */
unsigned bond_sending_mbit(const struct nic_bond *bond, unsigned mbit);
unsigned bond_receiving_mbit(const struct nic_bond *bond, unsigned mbit);

/* A switch that knows of no bond sends all that one peer sends to one member:
 * active-backup, balance-tlb and balance-alb. */
bool bond_receives_on_one(const struct nic_bond *bond);

/* How one peer's connections use the members, as a sentence for people. */
const char *bond_flows_text(const struct nic_bond *bond);
