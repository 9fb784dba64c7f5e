/* SPDX-License-Identifier: MIT */
#include "nic/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static unsigned family_bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

static unsigned family_bytes(int family)
{
	return family_bits(family) / 8;
}

/* One to three digits and nothing else. */
static int parse_length(unsigned *ret, const char *text, unsigned most)
{
	unsigned v = 0, digits = 0;

	for (; isdigit((unsigned char)*text) && digits < 4; text++, digits++)
		v = v * 10 + (unsigned)(*text - '0');
	if (digits == 0 || digits > 3 || *text || v > most)
		return -EINVAL;
	*ret = v;
	return 0;
}

int nic_address_parse(struct nic_address *ret, const char *text)
{
	struct nic_address a = { 0 };
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	char host[INET6_ADDRSTRLEN];

	if (len >= sizeof(host))
		return -EINVAL;
	snprintf(host, sizeof(host), "%.*s", (int)len, text);
	a.family = strchr(host, ':') ? AF_INET6 : AF_INET;
	a.prefix = family_bits(a.family);
	if (inet_pton(a.family, host, a.bytes) != 1)
		return -EINVAL;
	if (slash && parse_length(&a.prefix, slash + 1, a.prefix) < 0)
		return -EINVAL;
	*ret = a;
	return 0;
}

void nic_address_host(char buf[static NIC_ADDRESS_TEXT],
		      const struct nic_address *a)
{
	if (!inet_ntop(a->family, a->bytes, buf, NIC_ADDRESS_TEXT))
		snprintf(buf, NIC_ADDRESS_TEXT, "?");
}

bool nic_address_equal(const struct nic_address *a, const struct nic_address *b)
{
	return a->family == b->family &&
	       !memcmp(a->bytes, b->bytes, family_bytes(a->family));
}

void nic_address_mask(struct nic_address *a)
{
	for (unsigned i = 0; i < sizeof(a->bytes); i++) {
		unsigned left = a->prefix > i * 8 ? a->prefix - i * 8 : 0;

		if (left < 8)
			a->bytes[i] &= (uint8_t)(0xff00 >> left);
	}
}

bool nic_address_within(const struct nic_address *a,
			const struct nic_address *prefix)
{
	struct nic_address x = *a, y = *prefix;

	x.prefix = y.prefix;
	nic_address_mask(&x);
	nic_address_mask(&y);
	return nic_address_equal(&x, &y);
}

static bool is_host4(const uint8_t *b)
{
	return b[0] != 0 && b[0] != 127 && b[0] < 224;
}

static bool is_host6(const uint8_t *b)
{
	struct in6_addr a;

	memcpy(&a, b, sizeof(a));
	return !IN6_IS_ADDR_UNSPECIFIED(&a) && !IN6_IS_ADDR_LOOPBACK(&a) &&
	       !IN6_IS_ADDR_MULTICAST(&a) && !IN6_IS_ADDR_LINKLOCAL(&a) &&
	       !IN6_IS_ADDR_V4MAPPED(&a) && !IN6_IS_ADDR_V4COMPAT(&a);
}

bool nic_address_is_host(const struct nic_address *a)
{
	return a->family == AF_INET ? is_host4(a->bytes) : is_host6(a->bytes);
}

socklen_t nic_address_socket(struct sockaddr_storage *ret,
			     const struct nic_address *a, uint16_t port)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(port) };

	*ret = (struct sockaddr_storage){ 0 };
	if (a->family == AF_INET) {
		memcpy(&v4.sin_addr, a->bytes, sizeof(v4.sin_addr));
		memcpy(ret, &v4, sizeof(v4));
		return sizeof(v4);
	}
	memcpy(&v6.sin6_addr, a->bytes, sizeof(v6.sin6_addr));
	memcpy(ret, &v6, sizeof(v6));
	return sizeof(v6);
}
