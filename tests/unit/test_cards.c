/* SPDX-License-Identifier: MIT */

/* The list of cards: out of an inventory made by hand, and by JSON to the other
 * host and back. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "nic/address.h"
#include "nic/cards.h"

static struct nic_address address(const char *text)
{
	struct nic_address a = { 0 };

	if (nic_address_parse(&a, text) < 0)
		fail_msg("'%s' is not an address", text);
	return a;
}

static const struct networks everything;

static struct cards *take(const struct inventory *inv, const struct networks *n)
{
	struct cards *c = NULL;
	struct error e = { 0 };

	if (cards_of(&c, inv, n, &e) < 0)
		fail_msg("%s", e.text);
	return c;
}

static const struct card *find(const struct cards *c, const char *name)
{
	for (size_t i = 0; i < c->count; i++)
		if (!strcmp(c->at[i].name, name))
			return &c->at[i];
	fail_msg("there is no %s", name);
	return NULL;
}

static struct cards *parse_text(const char *text)
{
	struct cards *c = NULL;
	struct error e = { 0 };

	if (cards_parse(&c, text, strlen(text), &e) < 0)
		fail_msg("%s", e.text);
	return c;
}

/* As the other host sees it. */
static struct cards *send_over(const struct cards *c)
{
	char *text = cards_text(c);
	struct cards *there;

	assert_non_null(text);
	assert_true(strlen(text) <= CARDS_BYTES);
	there = parse_text(text);
	free(text);
	return there;
}

/* A host with two cards, a vlan, one that is down and docker's bridge. */
struct host {
	struct nic_address address[6];
	struct nic at[6];
	struct inventory inv;
};

static void make_host(struct host *h)
{
	struct nic *lo = &h->at[0], *eth0 = &h->at[1], *eth1 = &h->at[2];
	struct nic *vlan = &h->at[3], *eth2 = &h->at[4], *docker = &h->at[5];
	static const char *const text[] = { "127.0.0.1/8", "10.0.0.1/24",
					    "10.0.1.1/24", "10.5.0.1/24",
					    "10.0.2.1/24", "172.17.0.1/16" };

	*h = (struct host){ .inv = { .at = h->at, .count = 6 } };
	*lo = (struct nic){ .name = "lo", .kind = NIC_LOOPBACK };
	*eth0 = (struct nic){ .name = "eth0",
			      .has_mac = true,
			      .mac = { 2, 0, 0, 0, 0, 0x1f },
			      .speed_mbit = 25000,
			      .mtu = 9000,
			      .rss = true };
	*eth1 = (struct nic){ .name = "eth1" };
	*vlan = (struct nic){
		.name = "eth0.5", .kind = NIC_VLAN, .vlan = 5, .lower = 2
	};
	*eth2 = (struct nic){ .name = "eth2" };
	*docker = (struct nic){ .name = "docker0", .kind = NIC_BRIDGE };
	for (int i = 0; i < 6; i++) {
		h->address[i] = address(text[i]);
		h->at[i].ifindex = i + 1;
		h->at[i].addresses = &h->address[i];
		h->at[i].addresses_count = 1;
		h->at[i].up = i != 4;
		h->at[i].carrier = i != 4;
	}
}

static void test_all_cards_but_loopback_are_listed_with_reasons(void **state)
{
	struct cards *c;
	struct host h;

	(void)state;
	make_host(&h);
	c = take(&h.inv, &everything);
	assert_int_equal(c->count, 5);
	assert_string_equal(find(c, "eth0")->why_not, "");
	assert_string_equal(find(c, "eth0.5")->wire, "eth0");
	assert_string_equal(find(c, "eth1")->wire, "eth1");
	assert_string_equal(find(c, "eth2")->why_not, "eth2 is down");
	assert_true(find(c, "eth2")->down);
	assert_int_equal(find(c, "eth2")->addresses, 1);
	assert_string_equal(find(c, "docker0")->why_not,
			    "docker0 is a bridge for its host's own guests "
			    "and containers");
	assert_false(find(c, "docker0")->down);
	assert_int_equal(find(c, "docker0")->addresses, 0);
	cards_free(c);
}

static void test_only_the_networks_of_the_list_are_used(void **state)
{
	struct networks n = { .count = 0 };
	struct error e = { 0 };
	struct cards *c;
	struct host h;

	(void)state;
	make_host(&h);
	assert_int_equal(networks_add(&n, "10.0.1.0/24", &e), 0);
	assert_int_equal(networks_add(&n, "10.5.0.0/16", &e), 0);
	c = take(&h.inv, &n);
	assert_int_equal(find(c, "eth1")->address[0].rank, 0);
	assert_int_equal(find(c, "eth0.5")->address[0].rank, 1);
	assert_string_equal(find(c, "eth0")->why_not,
			    "eth0 with 10.0.0.1 is on no network of this move");
	/* That it comes up would not help. */
	assert_string_equal(find(c, "eth2")->why_not,
			    "eth2 with 10.0.2.1 is on no network of this move");
	assert_false(find(c, "eth2")->down);
	cards_free(c);
}

static void test_a_card_is_found_by_its_address(void **state)
{
	const struct nic_address one = address("10.0.1.1");
	const struct nic_address down = address("10.0.2.1");
	struct cards *c;
	struct host h;

	(void)state;
	make_host(&h);
	c = take(&h.inv, &everything);
	assert_ptr_equal(cards_by_address(c, &one), find(c, "eth1"));
	assert_null(cards_by_address(c, &down));
	cards_free(c);
}

static void test_the_other_host_reads_what_was_written(void **state)
{
	struct cards *c, *there;
	const struct card *eth0;
	struct host h;

	(void)state;
	make_host(&h);
	h.at[3].kind = NIC_BOND;
	h.at[3].lower = 0;
	h.at[3].bond = (struct nic_bond){ .mode = BOND_8023AD,
					  .policy = BOND_LAYER34,
					  .members = 2 };
	c = take(&h.inv, &everything);
	c->at[0].queues = 8;
	c->at[0].arrival[0] = (struct card_arrival){ 40000, 513 };
	c->at[0].arrival[1] = (struct card_arrival){ 65535, UINT32_MAX };
	c->at[0].arrivals = 2;
	there = send_over(c);
	assert_int_equal(there->count, c->count);
	assert_int_equal(there->at[0].queues, 8);
	assert_int_equal(there->at[0].arrivals, 2);
	assert_int_equal(there->at[0].arrival[0].port, 40000);
	assert_int_equal(there->at[0].arrival[1].queue, UINT32_MAX);
	assert_int_equal(there->at[1].arrivals, 0);
	eth0 = find(there, "eth0");
	assert_int_equal(eth0->speed_mbit, 25000);
	assert_int_equal(eth0->mtu, 9000);
	assert_true(eth0->has_mac && eth0->rss && !eth0->bonded);
	assert_memory_equal(eth0->mac, h.at[1].mac, NIC_MAC_BYTES);
	assert_int_equal(eth0->ifindex, 0);
	assert_true(
		nic_address_equal(&eth0->address[0].address, &h.address[1]));
	assert_int_equal(eth0->address[0].address.prefix, 24);
	assert_false(find(there, "eth1")->has_mac);
	assert_int_equal(find(there, "eth0.5")->vlan, 5);
	assert_true(find(there, "eth0.5")->bonded);
	assert_int_equal(find(there, "eth0.5")->bond.policy, BOND_LAYER34);
	assert_int_equal(find(there, "eth0.5")->bond.members, 2);
	assert_true(find(there, "eth2")->down);
	cards_free(c);
	cards_free(there);
}

static void give_hash(struct nic *n, uint32_t *table, unsigned size,
		      uint8_t *key, unsigned key_bytes)
{
	n->hash = (struct nic_rss){ .table = table,
				    .table_size = size,
				    .key = key,
				    .key_bytes = key_bytes,
				    .toeplitz = true };
}

static void expect_hash(const struct cards *c, const char *name,
			const struct nic_rss *h)
{
	const struct nic_rss *got = &find(c, name)->hash;

	assert_int_equal(got->table_size, h->table_size);
	assert_memory_equal(got->table, h->table,
			    h->table_size * sizeof(*h->table));
	assert_int_equal(got->key_bytes, h->key_bytes);
	assert_memory_equal(got->key, h->key, h->key_bytes);
	assert_int_equal(got->toeplitz, h->toeplitz);
}

static void test_tables_arrive_whether_they_repeat_or_not(void **state)
{
	uint8_t key[] = { 0x6d, 0x5a, 0x00, 0xff };
	uint32_t even[128], odd[128];
	struct cards *c, *there;
	struct host h;
	char *text;

	(void)state;
	make_host(&h);
	for (unsigned i = 0; i < 128; i++) {
		even[i] = i % 3;
		odd[i] = i % 3;
	}
	odd[127] = 65535;
	give_hash(&h.at[1], even, 128, key, sizeof(key));
	give_hash(&h.at[2], odd, 128, key, sizeof(key));
	c = take(&h.inv, &everything);
	there = send_over(c);
	expect_hash(there, "eth0", &h.at[1].hash);
	expect_hash(there, "eth1", &h.at[2].hash);
	/* A vlan's packets fall where its card puts them. */
	expect_hash(there, "eth0.5", &h.at[1].hash);
	text = cards_text(c);
	assert_non_null(strstr(text, "\"entries\":128,\"table\":[0,1,2]"));
	free(text);
	cards_free(c);
	cards_free(there);
}

/* As many as there may be, each with as much as it may have. */
static void test_the_longest_list_fits_and_loses_tables_first(void **state)
{
	struct nic *at = calloc(80, sizeof(*at));
	struct inventory inv = { .at = at, .count = 80 };
	static uint32_t table[CARD_TABLE_MAX];
	static uint8_t key[CARD_KEY_MAX];
	struct nic_address many[20];
	struct cards *c, *there;
	size_t hashes = 0;

	(void)state;
	assert_non_null(at);
	for (unsigned i = 0; i < CARD_TABLE_MAX; i++)
		table[i] = 10000 + i;
	for (unsigned i = 0; i < 20; i++) {
		many[i] = address("fd00:1234:1234:1234:1234:1234:1234:1200/64");
		many[i].bytes[15] = (uint8_t)i;
	}
	for (int i = 0; i < 80; i++) {
		at[i] = (struct nic){ .ifindex = i + 1,
				      .has_mac = true,
				      .addresses = many,
				      .addresses_count = 20,
				      .carrier = true };
		snprintf(at[i].name, sizeof(at[i].name), "longest-name%d", i);
		/* The first sixteen are those to do without. */
		at[i].up = i >= 16;
		give_hash(&at[i], table, CARD_TABLE_MAX, key, CARD_KEY_MAX);
	}
	c = take(&inv, &everything);
	assert_int_equal(c->count, CARDS_MAX);
	there = send_over(c);
	assert_int_equal(there->count, CARDS_MAX);
	for (size_t i = 0; i < CARDS_MAX; i++) {
		assert_string_equal(there->at[i].why_not, "");
		assert_int_equal(there->at[i].addresses, CARD_ADDRESSES_MAX);
		hashes += there->at[i].hash.table != NULL;
	}
	assert_true(hashes > 0 && hashes < CARDS_MAX);
	cards_free(there);
	cards_free(c);
	free(at);
}

static void test_members_that_are_not_known_are_not_looked_at(void **state)
{
	struct cards *c = parse_text("[{\"name\":\"eth0\",\"color\":[1,{}],"
				     "\"ifindex\":\"x\"}]");

	(void)state;
	assert_int_equal(c->count, 1);
	assert_string_equal(c->at[0].wire, "eth0");
	cards_free(c);
}

static void refuses(const char *text, const char *reason)
{
	struct cards *c = NULL;
	struct error e = { 0 };

	assert_int_equal(cards_parse(&c, text, strlen(text), &e), -EBADMSG);
	if (strncmp(e.text, reason, strlen(reason)) != 0)
		fail_msg("%s: '%s' does not begin with '%s'", text, e.text,
			 reason);
	assert_null(c);
}

static void refuses_in(const char *members, const char *which)
{
	char text[1024], reason[256];

	snprintf(text, sizeof(text), "[{\"name\":\"a\"},{\"name\":\"b\",%s}]",
		 members);
	snprintf(reason, sizeof(reason), "the peer's cards: number 2: %s",
		 which);
	refuses(text, reason);
}

static void test_every_member_of_a_stranger_is_checked(void **state)
{
	static const struct {
		const char *members, *which;
	} wrong[] = {
		{ "\"wire\":\"\"", "'wire' must be" },
		{ "\"wire\":\"0123456789abcdef\"", "'wire' must be" },
		{ "\"wire\":\"eth\\n\"", "'wire' must be" },
		{ "\"mac\":\"0200000000\"", "'mac' must be 12 hex digits" },
		{ "\"mac\":\"02000000000g\"", "'mac' must be 12 hex digits" },
		{ "\"mac\":7", "'mac' must be" },
		{ "\"speed\":-1", "'speed' must be from 0 to 10000000" },
		{ "\"speed\":10000001", "'speed' must be from 0 to 10000000" },
		{ "\"speed\":1.5", "'speed' must be" },
		{ "\"mtu\":\"\"", "'mtu' must be" },
		{ "\"vlan\":4096", "'vlan' must be from 0 to 4095" },
		{ "\"rss\":1", "'rss' must be" },
		{ "\"bond\":7", "bond: " },
		{ "\"bond\":{}", "bond: 'mode' is missing" },
		{ "\"bond\":{\"mode\":\"802.3ad\",\"policy\":\"x\"}",
		  "bond: 'policy' must be" },
		{ "\"bond\":{\"mode\":\"802.3ad\",\"policy\":\"layer2\","
		  "\"members\":257}",
		  "bond: 'members' must be from 0 to 256" },
		{ "\"addresses\":{}", "'addresses' must be" },
		{ "\"addresses\":[\"10.0.0.1/24\"]", "addresses: number 1: " },
		{ "\"addresses\":[[\"10.0.0.1/24\",64]]",
		  "addresses: number 1: 'rank' must be from 0 to 63" },
		{ "\"addresses\":[[\"10.0.0.1/24\",-1]]",
		  "addresses: number 1: 'rank' must be from 0 to 63" },
		{ "\"addresses\":[[\"127.0.0.1/8\",0]]",
		  "addresses: number 1: 'address' must be" },
		{ "\"addresses\":[[\"10.0.0.1/33\",0]]",
		  "addresses: number 1: 'address' must be" },
		{ "\"why_not\":\"\\u001b[2J\"", "'why_not' must be printable" },
		{ "\"down\":true", "'down' must have a 'why_not'" },
		{ "\"hash\":[]", "hash: " },
		{ "\"hash\":{}", "hash: 'key' is missing" },
		{ "\"hash\":{\"key\":\"0\",\"entries\":1,\"table\":[0]}",
		  "hash: 'key' must be" },
		{ "\"hash\":{\"key\":\"00\",\"entries\":4097,\"table\":[0]}",
		  "hash: 'entries' must be from 0 to 4096" },
		{ "\"hash\":{\"key\":\"00\",\"entries\":1,\"table\":[0,1]}",
		  "'table' must have" },
		{ "\"hash\":{\"key\":\"00\",\"table\":[]}",
		  "'table' must have" },
		{ "\"hash\":{\"key\":\"00\",\"entries\":1,\"table\":[65536]}",
		  "hash: table: number 1: this must be from 0 to 65535" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		refuses_in(wrong[i].members, wrong[i].which);
	refuses("[{}]", "the peer's cards: number 1: 'name' is missing");
	refuses("[7]",
		"the peer's cards: number 1: this must be a JSON object");
	refuses("{}", "the peer's cards: this must be a list");
}

static void test_what_a_stranger_says_of_its_queues_is_checked(void **state)
{
	(void)state;
	refuses_in("\"queues\":65536", "'queues' must be from 0 to 65535");
	refuses_in("\"arrivals\":[[0,1]]",
		   "arrivals: number 1: 'port' must be");
	refuses_in("\"arrivals\":[[1,0]]",
		   "arrivals: number 1: 'queue' must be");
	refuses_in("\"arrivals\":[[1]]", "arrivals: number 1: ");
}

static void test_a_null_is_as_good_as_nothing(void **state)
{
	struct cards *c = parse_text("[{\"name\":\"eth0\",\"mtu\":null,"
				     "\"bond\":null,\"wire\":null}]");

	(void)state;
	assert_int_equal(c->at[0].mtu, 0);
	assert_false(c->at[0].bonded);
	assert_string_equal(c->at[0].wire, "eth0");
	cards_free(c);
}

static void test_a_list_that_is_too_long_is_refused(void **state)
{
	char text[65 * 16 + 8] = "[";

	(void)state;
	for (int i = 0; i < 65; i++)
		strcat(text, i ? ",{\"name\":\"a\"}" : "{\"name\":\"a\"}");
	strcat(text, "]");
	refuses(text, "the peer's cards: this must be a list of at most 64");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_all_cards_but_loopback_are_listed_with_reasons),
		cmocka_unit_test(test_only_the_networks_of_the_list_are_used),
		cmocka_unit_test(test_a_card_is_found_by_its_address),
		cmocka_unit_test(test_the_other_host_reads_what_was_written),
		cmocka_unit_test(test_tables_arrive_whether_they_repeat_or_not),
		cmocka_unit_test(
			test_the_longest_list_fits_and_loses_tables_first),
		cmocka_unit_test(
			test_members_that_are_not_known_are_not_looked_at),
		cmocka_unit_test(test_every_member_of_a_stranger_is_checked),
		cmocka_unit_test(
			test_what_a_stranger_says_of_its_queues_is_checked),
		cmocka_unit_test(test_a_null_is_as_good_as_nothing),
		cmocka_unit_test(test_a_list_that_is_too_long_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
