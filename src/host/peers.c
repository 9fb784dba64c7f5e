/* SPDX-License-Identifier: MIT */
#include "host/peers.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/setting.h"
#include "base/text.h"
#include "wire/message.h"

/* --- what it may do here */

static const char nothing[] = "none";

/* "move-in, return, ..."; all that there are, or those of @bits. */
static void list_rights(char *buf, size_t cap, unsigned bits)
{
	size_t n = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < RIGHTS && n < cap; i++) {
		const char *name = message_right_name((enum message_right)i);

		if (name && (bits & 1U << i))
			n += (size_t)snprintf(buf + n, cap - n, "%s%s",
					      n ? ", " : "", name);
	}
}

static int find_right(unsigned *ret, const char *word, size_t len,
		      struct error *e)
{
	char all[160];

	for (unsigned i = 0; i < RIGHTS; i++) {
		const char *name = message_right_name((enum message_right)i);

		if (name && strlen(name) == len && !memcmp(name, word, len)) {
			*ret = i;
			return 0;
		}
	}
	list_rights(all, sizeof(all), ~0U);
	return error_set(e, EINVAL,
			 "'%.*s' is nothing that a peer may do: use %s, or %s "
			 "alone",
			 (int)(len < 40 ? len : 40), word, all, nothing);
}

static int parse_may(void *at, const struct ini_key *k, const char *value,
		     struct error *e)
{
	static const char parting[] = ", \t";
	unsigned bits = 0, right;

	value += strspn(value, parting);
	if (!*value)
		return error_set(e, EINVAL, "'%s' needs a value", k->key);
	while (*value && strcmp(value, nothing) != 0) {
		size_t len = strcspn(value, parting);

		if (find_right(&right, value, len, e) < 0)
			return error_code(e);
		bits |= 1U << right;
		value += len;
		value += strspn(value, parting);
	}
	if (*value && bits)
		return error_set(e, EINVAL, "'%s' stands alone: leave it out",
				 nothing);
	*(unsigned *)at = bits;
	return 0;
}

static int show_may(struct words *ret, const void *at, const struct ini_key *k,
		    struct error *e)
{
	unsigned bits = *(const unsigned *)at;
	char all[160];

	(void)k;
	list_rights(all, sizeof(all), bits);
	return words_add(ret, bits ? all : nothing, e);
}

static const struct ini_kind may_kind = { parse_may, show_may, NULL };

#define AT(m) .offset = offsetof(struct peer, m)

static const struct ini_key keys[] = {
	{ "address", &setting_addresses, AT(addresses), .repeatable = true,
	  .example = "10.0.0.2", .help = "address of the peer" },
	{ "port", &setting_number, "6600", AT(port), .least = 1,
	  .most = UINT16_MAX, .example = "6601",
	  .help = "TCP port of the peer" },
	{ "tls", &setting_switch, "on", AT(tls), .example = "off",
	  .help = "off: plain text, for trusted networks only" },
	{ "may", &may_kind, "move-in, return, compare, plan, state, relay",
	  AT(may), .example = "move-in, compare",
	  .help = "what the peer may do here; or none" },
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
