/* SPDX-License-Identifier: MIT */
#include "qemu/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/setting.h"
#include "qemu/nic.h"

enum { ALIAS_CAP = 128, HIGHEST = 0xfe };

static const struct ini_key keys[] = {
	{ "device", &setting_text, .offset = offsetof(struct bridge, device),
	  .example = "vmbr1",
	  .help = "what the bridge is called on this host" },
};

static int check(const void *one, struct error *e)
{
	const struct bridge *b = one;

	if (b->device && strlen(b->device) < IF_NAMESIZE &&
	    !strpbrk(b->device, "/ \t") && b->device[0] != '.')
		return 0;
	return error_set(e, EINVAL,
			 "[bridge %s] needs the name of a bridge: device = br0",
			 b->name);
}

const struct ini_section bridge_section = { "bridge", keys, 1,
					    sizeof(struct bridge), check };

const struct bridge *bridge_find(const struct ini_list *bridges,
				 const char *name)
{
	for (size_t i = 0; bridges && i < bridges->count; i++) {
		const struct bridge *b = bridges->at[i];

		if (!strcmp(b->name, name))
			return b;
	}
	return NULL;
}

const char *bridge_device(const struct ini_list *bridges, const char *name)
{
	const struct bridge *b = bridge_find(bridges, name);

	return b ? b->device : name;
}

static bool is_bridge(const char *device)
{
	AUTO_CLOSE int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ifreq r = { .ifr_data = (char *)&info };

	if (sock < 0 || strlen(device) >= sizeof(r.ifr_name))
		return false;
	memcpy(r.ifr_name, device, strlen(device) + 1);
	return ioctl(sock, SIOCETHTOOL, &r) == 0 &&
	       !strcmp(info.driver, "bridge");
}

int bridge_check(const char *device, const char *name, struct error *e)
{
	if (is_bridge(device))
		return 0;
	return error_set(e, ENODEV,
			 "%s is no bridge of this host: make it with 'ip link "
			 "add %s type bridge', or say in [bridge %s] of "
			 "drover.conf what it is called here",
			 device, device, name);
}

/* --- a tap */

struct tap {
	int index, bridge; /* interfaces */
	unsigned mtu;
	unsigned char mac[MAC_BYTES];
	char alias[ALIAS_CAP];
};

/* As large as what the bridge carries. */
static unsigned mtu_of(int sock, const char *device)
{
	struct ifreq r = { .ifr_mtu = 0 };

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", device);
	return ioctl(sock, SIOCGIFMTU, &r) < 0 ? 0 : (unsigned)r.ifr_mtu;
}

/* The host has no address there, and wants none. */
static int add_no_addresses(struct nl_msg *msg)
{
	struct nlattr *spec = nla_nest_start(msg, IFLA_AF_SPEC), *v6;

	v6 = spec ? nla_nest_start(msg, AF_INET6) : NULL;
	if (!v6 || nla_put_u8(msg, IFLA_INET6_ADDR_GEN_MODE,
			      IN6_ADDR_GEN_MODE_NONE) < 0)
		return -1;
	nla_nest_end(msg, v6);
	nla_nest_end(msg, spec);
	return 0;
}

static int fill(struct nl_msg *msg, const struct tap *t)
{
	struct ifinfomsg head = { .ifi_index = t->index,
				  .ifi_flags = IFF_UP,
				  .ifi_change = IFF_UP };

	if (nlmsg_append(msg, &head, sizeof(head), NLMSG_ALIGNTO) < 0 ||
	    nla_put(msg, IFLA_ADDRESS, MAC_BYTES, t->mac) < 0 ||
	    nla_put_string(msg, IFLA_IFALIAS, t->alias) < 0 ||
	    nla_put_u32(msg, IFLA_MASTER, (uint32_t)t->bridge) < 0 ||
	    (t->mtu && nla_put_u32(msg, IFLA_MTU, t->mtu) < 0))
		return -1;
	return add_no_addresses(msg);
}

/* All of it in one message, which does all or nothing that matters. */
static int set_up(const struct tap *t, struct error *e)
{
	struct nl_sock *sock = nl_socket_alloc();
	struct nl_msg *msg =
		nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK);
	int r = -NLE_NOMEM;

	if (sock && msg && fill(msg, t) == 0) {
		r = nl_connect(sock, NETLINK_ROUTE);
		if (r >= 0) {
			r = nl_send_sync(sock, msg); /* takes it */
			msg = NULL;
		}
	}
	nlmsg_free(msg);
	nl_socket_free(sock);
	return r < 0 ? error_set(e, EIO, "%s", nl_geterror(r)) : 0;
}

int tap_open(int *ret_fd, const char *device, const char *machine,
	     const struct definition_nic *nic, struct error *e)
{
	AUTO_CLOSE int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_name = "drover%d",
			   .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	struct tap t = { .bridge = (int)if_nametoindex(device),
			 .mtu = mtu_of(sock, device) };

	if (fd < 0 || sock < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
		return error_sys(e, "make a tap for nic %s", nic->name);
	t.index = (int)if_nametoindex(r.ifr_name);
	mac_bytes(t.mac, nic->mac);
	/* A bridge takes the lowest address of its ports for its own: this one
	 * is higher than any. */
	t.mac[0] = HIGHEST;
	snprintf(t.alias, sizeof(t.alias), "drover: %s, nic %s", machine,
		 nic->name);
	if (set_up(&t, e) < 0)
		return error_in(e, "join nic %s to the bridge %s", nic->name,
				device);
	*ret_fd = take_fd(&fd);
	return 0;
}
