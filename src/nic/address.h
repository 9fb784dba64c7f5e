/* SPDX-License-Identifier: MIT */

/*
 * Addresses and prefixes as values: read, compared, written.
 *
 * The bytes of a struct nic_address behind those of its family are zero.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "nic/inventory.h"

/* "10.0.0.1/24", "fd00::1/64"; without a length it is a single address.
 * -EINVAL for anything else. */
int nic_address_parse(struct nic_address *ret, const char *text);

/* "10.0.0.1"; nic_address_text() adds the length. */
void nic_address_host(char buf[static NIC_ADDRESS_TEXT],
		      const struct nic_address *a);

/* The same host: the length of the prefix does not count. */
bool nic_address_equal(const struct nic_address *a,
		       const struct nic_address *b);

/* @a lies in the network of @prefix. */
bool nic_address_within(const struct nic_address *a,
			const struct nic_address *prefix);

/* Clears the bits behind the prefix. */
void nic_address_mask(struct nic_address *a);

/* A single host's, that a peer can reach: not loopback, multicast, link-local
 * IPv6 (which means nothing without a card) or an IPv4 address in disguise. */
bool nic_address_is_host(const struct nic_address *a);

/* For connect() and bind(): @port there; how long it is. */
socklen_t nic_address_socket(struct sockaddr_storage *ret,
			     const struct nic_address *a, uint16_t port);
