/* SPDX-License-Identifier: MIT */

/*
 * Which cards may carry a migration.  The rules stand in a table, the first
 * that objects gives the reason; what passes all of them is still to be probed
 * before anything is sent over it.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "nic/inventory.h"

enum { DOCKER_ID = 12 };

/* Bridges that container engines and libvirt make, by how their names begin:
 * they translate addresses, so that a peer can never come back over them. */
static const char *const inner_names[] = {
	"docker", "virbr",  "cni",         "cbr",     "lxcbr",
	"lxdbr",  "podman", "kube-bridge", "nerdctl", "incusbr",
};

static bool say(char why[static NIC_REASON], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Gives true, so that `return say(...)` reads as an objection. */
static bool say(char why[static NIC_REASON], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, NIC_REASON, fmt, ap);
	va_end(ap);
	return true;
}

static bool is_loopback(const struct inventory *inv, const struct nic *n,
			char why[static NIC_REASON])
{
	(void)inv;
	return n->kind == NIC_LOOPBACK &&
	       say(why, "%s never leaves this host", n->name);
}

static bool is_member(const struct inventory *inv, const struct nic *n,
		      char why[static NIC_REASON])
{
	const struct nic *above = inventory_by_index(inv, n->master);

	if (!above)
		return false;
	if (above->kind == NIC_BOND || above->kind == NIC_TEAM)
		return say(why,
			   "%s is a member of the %s %s, which is used "
			   "instead",
			   n->name, nic_kind_names[above->kind], above->name);
	return above->kind == NIC_BRIDGE &&
	       say(why, "%s is a port of the bridge %s", n->name, above->name);
}

/* "br-" and the first twelve digits of a network's id are docker's. */
static bool has_docker_name(const char *name)
{
	size_t digits = 0;

	if (strncmp(name, "br-", 3) != 0)
		return false;
	for (name += 3; isxdigit((unsigned char)*name); name++)
		digits++;
	return digits == DOCKER_ID && !*name;
}

static bool has_inner_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(inner_names); i++)
		if (!strncmp(name, inner_names[i], strlen(inner_names[i])))
			return true;
	return has_docker_name(name);
}

/* Whether a port leads anywhere but to a guest or a container. */
static bool leads_out(const struct inventory *inv, const struct nic *bridge)
{
	for (size_t i = 0; i < inv->count; i++)
		if (inv->at[i].master == bridge->ifindex &&
		    inv->at[i].kind != NIC_TUN && inv->at[i].kind != NIC_VETH &&
		    inv->at[i].kind != NIC_DUMMY)
			return true;
	return false;
}

static bool is_inner_bridge(const struct inventory *inv, const struct nic *n,
			    char why[static NIC_REASON])
{
	if (n->kind != NIC_BRIDGE)
		return false;
	return (has_inner_name(n->name) || !leads_out(inv, n)) &&
	       say(why,
		   "%s is a bridge for its host's own guests and "
		   "containers",
		   n->name);
}

static bool is_dummy(const struct inventory *inv, const struct nic *n,
		     char why[static NIC_REASON])
{
	(void)inv;
	return (n->kind == NIC_DUMMY || !strcmp(n->link_kind, "ifb")) &&
	       say(why, "%s is not a network card: nothing is behind it",
		   n->name);
}

static bool is_down(const struct inventory *inv, const struct nic *n,
		    char why[static NIC_REASON])
{
	(void)inv;
	return !n->up && say(why, "%s is down", n->name);
}

static bool has_no_carrier(const struct inventory *inv, const struct nic *n,
			   char why[static NIC_REASON])
{
	(void)inv;
	return !n->carrier &&
	       say(why,
		   "%s has no carrier: the cable or the other end is not "
		   "there",
		   n->name);
}

static bool has_no_address(const struct inventory *inv, const struct nic *n,
			   char why[static NIC_REASON])
{
	(void)inv;
	return n->addresses_count == 0 &&
	       say(why, "%s has no address", n->name);
}

static bool (*const objections[])(const struct inventory *inv,
				  const struct nic *n,
				  char why[static NIC_REASON]) = {
	is_loopback, is_member,      is_inner_bridge, is_dummy,
	is_down,     has_no_carrier, has_no_address,
};

bool nic_usable(const struct inventory *inv, const struct nic *n,
		char why[static NIC_REASON])
{
	why[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(objections); i++)
		if (objections[i](inv, n, why))
			return false;
	return true;
}
