/* SPDX-License-Identifier: MIT */
#include "host/peers.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/setting.h"
#include "base/text.h"

#define AT(m) .offset = offsetof(struct peer, m)

static const struct ini_key keys[] = {
	{ "address", &setting_addresses, AT(addresses), .repeatable = true,
	  .example = "10.0.0.2", .help = "address of the peer" },
	{ "port", &setting_number, "6600", AT(port), .least = 1,
	  .most = UINT16_MAX, .example = "6601",
	  .help = "TCP port of the peer" },
	{ "tls", &setting_switch, "on", AT(tls), .example = "off",
	  .help = "off: plain text, for trusted networks only" },
};

static int check(const void *one, struct error *e)
{
	const struct peer *p = one;

	if (text_check_name("host", p->name, e) < 0)
		return error_code(e);
	if (p->addresses.count == 0)
		return error_set(e, EINVAL, "[peer %s] has no address",
				 p->name);
	return 0;
}

const struct ini_section peer_section = { "peer", keys, ARRAY_SIZE(keys),
					  sizeof(struct peer), check };
