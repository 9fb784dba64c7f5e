/* SPDX-License-Identifier: MIT */

/* The receive hash against Microsoft's published verification values
 * ("Verifying the RSS hash calculation"), and ports chosen by it. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "nic/ports.h"
#include "nic/toeplitz.h"

static uint8_t key[40] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
	0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
	0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
	0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static const struct vector {
	const char *to, *from;
	uint16_t to_port, from_port;
	uint32_t addresses, ports;
} vectors[] = {
	{ "161.142.100.80", "66.9.149.187", 1766, 2794, 0x323e8fc2,
	  0x51ccc178 },
	{ "65.69.140.83", "199.92.111.2", 4739, 14230, 0xd718262a, 0xc626b0ea },
	{ "12.22.207.184", "24.19.198.95", 38024, 12898, 0xd2d0a5de,
	  0x5c2b394a },
	{ "209.142.163.6", "38.27.205.30", 2217, 48228, 0x82989176,
	  0xafc7327f },
	{ "202.188.127.2", "153.39.163.191", 1303, 44251, 0x5d1809c5,
	  0x10e828a2 },
	{ "3ffe:2501:200:3::1", "3ffe:2501:200:1fff::7", 1766, 2794, 0x2cc18cd5,
	  0x40207d3d },
	{ "ff02::1", "3ffe:501:8::260:97ff:fe40:efab", 4739, 14230, 0x0f0c461c,
	  0xdde51bbf },
	{ "fe80::200:f8ff:fe21:67cf", "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
	  38024, 44251, 0x4b61e985, 0x02d1feef },
};

static struct flow flow_of(const struct vector *v)
{
	struct flow f = { .from_port = v->from_port, .to_port = v->to_port };

	f.family = strchr(v->to, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(f.family, v->from, f.from), 1);
	assert_int_equal(inet_pton(f.family, v->to, f.to), 1);
	return f;
}

static void test_addresses_alone_hash_to_the_published_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct flow f = flow_of(&vectors[i]);

		assert_int_equal(toeplitz_flow(key, &f, TOEPLITZ_ADDRESSES),
				 vectors[i].addresses);
	}
}

static void test_addresses_and_ports_hash_to_the_published_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct flow f = flow_of(&vectors[i]);

		assert_int_equal(toeplitz_flow(key, &f, TOEPLITZ_PORTS),
				 vectors[i].ports);
	}
}

static void test_the_lowest_bits_of_the_hash_pick_the_queue(void **state)
{
	uint32_t table[128];
	struct nic_rss rss = { table, ARRAY_SIZE(table), key, sizeof(key),
			       true };
	struct flow f = flow_of(&vectors[0]);

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		table[i] = 1000 + i;
	assert_int_equal(rss_queue(&rss, &f), 1000 + (0x51ccc178 & 127));
}

static void test_a_queue_is_told_only_with_key_table_and_function(void **state)
{
	uint32_t table[2] = { 0, 1 };
	const struct nic_rss all = { table, 2, key, sizeof(key), true };
	struct nic_rss rss = all;

	(void)state;
	assert_true(rss_predictable(&rss));
	rss.toeplitz = false;
	assert_false(rss_predictable(&rss));
	rss = all;
	rss.key = NULL;
	assert_false(rss_predictable(&rss));
	rss = all;
	rss.key_bytes = 36;
	assert_false(rss_predictable(&rss));
	rss = all;
	rss.table_size = 0;
	assert_false(rss_predictable(&rss));
}

static void test_reversed_swaps_both_ends(void **state)
{
	struct flow f = flow_of(&vectors[5]), back = flow_reversed(&f);

	(void)state;
	assert_memory_equal(back.from, f.to, 16);
	assert_memory_equal(back.to, f.from, 16);
	assert_int_equal(back.from_port, 1766);
	assert_int_equal(back.to_port, 2794);
}

enum { QUEUES = 8, TABLE = 128 };

static void fill_table(uint32_t *table)
{
	for (unsigned i = 0; i < TABLE; i++)
		table[i] = i % QUEUES;
}

static void count_queues(unsigned *used, const struct port_wish *w,
			 const uint16_t *ports, size_t count)
{
	struct flow f = w->flow;

	for (size_t i = 0; i < count; i++) {
		assert_in_range(ports[i], w->lowest, w->highest);
		f.from_port = ports[i];
		used[rss_queue(w->rss, &f)]++;
	}
}

static void test_chosen_ports_fall_on_every_queue_alike(void **state)
{
	uint32_t table[TABLE];
	struct nic_rss rss = { table, TABLE, key, sizeof(key), true };
	struct port_wish w = { .lowest = 40000, .highest = 40999, .rss = &rss };

	(void)state;
	fill_table(table);
	for (size_t v = 0; v < ARRAY_SIZE(vectors); v++) {
		for (size_t count = 1; count <= 24; count++) {
			unsigned used[QUEUES] = { 0 };
			uint16_t ports[PORTS_MAX];
			struct error e;

			w.flow = flow_of(&vectors[v]);
			assert_int_equal(ports_pick(ports, count, &w, &e), 0);
			count_queues(used, &w, ports, count);
			for (int q = 0; q < QUEUES; q++)
				assert_in_range(used[q], count / QUEUES,
						(count + QUEUES - 1) / QUEUES);
		}
	}
}

static void test_a_new_connection_fills_the_gap_of_a_lost_one(void **state)
{
	uint32_t table[TABLE];
	struct nic_rss rss = { table, TABLE, key, sizeof(key), true };
	struct port_wish w = { .lowest = 40000, .highest = 40999, .rss = &rss };
	unsigned used[QUEUES] = { 0 };
	uint16_t ports[QUEUES];
	struct error e;

	(void)state;
	fill_table(table);
	w.flow = flow_of(&vectors[0]);
	assert_int_equal(ports_pick(ports, QUEUES, &w, &e), 0);
	w.held = ports + 1;
	w.held_count = QUEUES - 1;
	w.avoid = ports;
	w.avoid_count = 1;
	assert_int_equal(ports_pick(ports, 1, &w, &e), 0);
	count_queues(used, &w, ports, QUEUES);
	for (int q = 0; q < QUEUES; q++)
		assert_int_equal(used[q], 1);
}

static void test_without_anything_known_ports_are_only_different(void **state)
{
	struct port_wish w = { .lowest = 50000,
			       .highest = 50003,
			       .start = 50002 };
	const uint16_t avoid[] = { 50003 };
	uint16_t ports[4];
	struct error e;

	(void)state;
	w.flow = flow_of(&vectors[0]);
	assert_int_equal(ports_pick(ports, 4, &w, &e), 0);
	assert_int_equal(ports[0], 50002);
	assert_int_equal(ports[1], 50003);
	assert_int_equal(ports[2], 50000);
	assert_int_equal(ports[3], 50001);
	w.avoid = avoid;
	w.avoid_count = 1;
	assert_int_equal(ports_pick(ports, 4, &w, &e), -EADDRNOTAVAIL);
	assert_string_equal(e.text, "ports 50000 to 50003 are not enough for "
				    "4 connections");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_addresses_alone_hash_to_the_published_values),
		cmocka_unit_test(
			test_addresses_and_ports_hash_to_the_published_values),
		cmocka_unit_test(
			test_the_lowest_bits_of_the_hash_pick_the_queue),
		cmocka_unit_test(
			test_a_queue_is_told_only_with_key_table_and_function),
		cmocka_unit_test(test_reversed_swaps_both_ends),
		cmocka_unit_test(test_chosen_ports_fall_on_every_queue_alike),
		cmocka_unit_test(
			test_a_new_connection_fills_the_gap_of_a_lost_one),
		cmocka_unit_test(
			test_without_anything_known_ports_are_only_different),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
