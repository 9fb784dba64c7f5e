/* SPDX-License-Identifier: MIT */

/*
 * The receive queue that a flow was told to fall into, against the one that it
 * came by.  Needs a card with receive side scaling that somebody sends
 * datagrams to: DROVER_TEST_RSS=NAME,ADDRESS,PORT.  tests/lab runs this in a
 * guest.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "nic/inventory.h"
#include "nic/scan.h"
#include "nic/toeplitz.h"

enum { QUEUES_MAX = 16, FLOWS = 50, WAIT_MS = 30000 };

/* Some drivers only tell the card of their key and table when they are set; and
 * so what is read back is known, too. */
static void set_hash(const char *card, const struct nic_rss *hash)
{
	size_t table_bytes = hash->table_size * sizeof(uint32_t);
	struct ifreq request = { 0 };
	struct ethtool_rxfh *set =
		calloc(1, sizeof(*set) + table_bytes + hash->key_bytes);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_non_null(set);
	set->cmd = ETHTOOL_SRSSH;
	set->indir_size = hash->table_size;
	set->key_size = hash->key_bytes;
	for (unsigned i = 0; i < hash->table_size; i++)
		set->rss_config[i] = hash->table[i];
	memcpy(set->rss_config + hash->table_size, hash->key, hash->key_bytes);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", card);
	request.ifr_data = (void *)set;
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &request), 0);
	close(fd);
	free(set);
}

/* Other queues than before, by another key. */
static void change_hash(const struct nic *n)
{
	for (unsigned i = 0; i < n->hash.table_size; i++)
		n->hash.table[i] = (i / 2 + 1) % n->rx_queues;
	for (unsigned i = 0; i < n->hash.key_bytes; i++)
		n->hash.key[i] = (uint8_t)(i * 37 + 11);
	set_hash(n->name, &n->hash);
}

static void check_same_hash(const struct nic_rss *a, const struct nic_rss *b)
{
	assert_int_equal(a->table_size, b->table_size);
	assert_int_equal(a->key_bytes, b->key_bytes);
	assert_memory_equal(a->table, b->table,
			    a->table_size * sizeof(a->table[0]));
	assert_memory_equal(a->key, b->key, a->key_bytes);
}

static struct sockaddr_in end(const uint8_t *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port) };

	memcpy(&a.sin_addr, address, sizeof(a.sin_addr));
	return a;
}

/* The kernel's number of the queue by which a flow comes.  A socket keeps that
 * of its last datagram only when it is connected. */
static unsigned receive(const struct flow *f)
{
	struct sockaddr_in at = end(f->to, f->to_port);
	struct sockaddr_in from = end(f->from, f->from_port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	socklen_t len = sizeof(unsigned);
	unsigned napi = 0;
	char byte;

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&from, sizeof(from)),
			 0);
	/* What came before it was connected may be of another flow. */
	while (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0)
		;
	/* Nor is the number of the first one sure: one that was on its way to
	 * the socket before may have left its own after it. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(recv(fd, &byte, 1, 0), 1);
	}
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_INCOMING_NAPI_ID, &napi,
				    &len),
			 0);
	assert_int_not_equal(napi, 0);
	close(fd);
	return napi;
}

static void check_flows(const struct nic *n, struct flow *flow)
{
	unsigned napi_of[QUEUES_MAX] = { 0 }, met = 0;

	for (int i = 0; i < FLOWS; i++, flow->from_port++) {
		unsigned napi = receive(flow);
		unsigned queue = rss_queue(&n->hash, flow);

		assert_true(queue < n->rx_queues && queue < QUEUES_MAX);
		met += napi_of[queue] == 0;
		if (napi_of[queue] == 0)
			napi_of[queue] = napi;
		assert_int_equal(napi_of[queue], napi);
	}
	assert_int_equal(met, n->rx_queues);
	for (unsigned a = 0; a < n->rx_queues; a++)
		for (unsigned b = 0; b < a; b++)
			assert_int_not_equal(napi_of[a], napi_of[b]);
}

static void test_a_flow_comes_by_the_queue_that_was_told(void **state)
{
	const char *where = getenv("DROVER_TEST_RSS");
	struct inventory *inv = NULL, *again = NULL;
	struct flow flow = { .family = AF_INET };
	char name[16], to[16], from[16];
	const struct nic *n;
	struct error e;

	(void)state;
	if (!where) {
		print_message("no card with RSS is named for this\n");
		skip();
		return;
	}
	assert_int_equal(sscanf(where, "%15[^,],%15[^,],%hu,%15[^,],%hu", name,
				to, &flow.to_port, from, &flow.from_port),
			 5);
	assert_int_equal(inet_pton(AF_INET, to, flow.to), 1);
	assert_int_equal(inet_pton(AF_INET, from, flow.from), 1);
	assert_int_equal(nic_scan(&inv, &e), 0);
	n = inventory_by_name(inv, name);
	assert_non_null(n);
	assert_true(n->rss && n->rx_queues > 1);
	assert_true(rss_predictable(&n->hash));
	change_hash(n);
	assert_int_equal(nic_scan(&again, &e), 0);
	check_same_hash(&inventory_by_name(again, name)->hash, &n->hash);
	check_flows(n, &flow);
	inventory_drop(inv);
	inventory_drop(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flow_comes_by_the_queue_that_was_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
