/* SPDX-License-Identifier: MIT */

/* Advice on cards, by inventories as hosts have them. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "nic/interrupts.h"
#include "tune/advise.h"
#include "tune/facts.h"
#include "tune/processors.h"

enum { CARDS = 4, INTERRUPTS = 16 };

#define BIT(feature) (1U << NIC_##feature)
#define USUAL \
	(BIT(GRO) | BIT(TSO) | BIT(TSO6) | BIT(GSO) | BIT(RX_CHECKSUM) | \
	 BIT(TX_CHECKSUM) | BIT(RX_HASH))

struct place {
	struct nic cards[CARDS];
	struct inventory inv;
	struct nic_interrupt at[INTERRUPTS];
	struct nic_interrupts interrupts;
	struct processors processors;
	struct tune_facts facts;
	struct tune_advice advice;
};

/* Processors 0 to @count - 1, in nodes of equal size. */
static void make(struct place *p, int count, int nodes)
{
	*p = (struct place){ 0 };
	p->inv.at = p->cards;
	p->interrupts.at = p->at;
	for (int i = 0; i < PROCESSORS_MOST; i++)
		p->processors.at[i] =
			(struct processor){ .online = i < count,
					    .node = i * nodes / count,
					    .share = i < count ? 0.01 : NAN };
	for (int i = 0; i < nodes; i++)
		p->processors.nodes[i] = true;
	p->processors.count = (unsigned)count;
	p->facts = (struct tune_facts){ .inv = &p->inv,
					.interrupts = &p->interrupts,
					.processors = &p->processors,
					.seconds = 1 };
}

/* As igb describes a card with nothing to be said of it. */
static struct nic *card(struct place *p, const char *name, unsigned queues)
{
	struct nic *n = &p->cards[p->inv.count++];

	*n = (struct nic){ .ifindex = (int)p->inv.count + 1,
			   .up = true,
			   .carrier = true,
			   .driver = "igb",
			   .speed_mbit = 1000,
			   .rx_queues = queues,
			   .tx_queues = queues,
			   .queues_most = queues,
			   .rx_ring = 256,
			   .rx_ring_most = 4096,
			   .tx_ring = 256,
			   .tx_ring_most = 4096,
			   .rss = queues > 1,
			   .features = USUAL,
			   .features_able = USUAL | BIT(LRO),
			   .features_known = true,
			   .numa_node = -1 };
	snprintf(n->name, sizeof(n->name), "%s", name);
	return n;
}

static void interrupt(struct place *p, const struct nic *n, unsigned number,
		      int processor)
{
	p->at[p->interrupts.count++] =
		(struct nic_interrupt){ .ifindex = n->ifindex,
					.number = number,
					.processor = processor,
					.count = 100000 };
}

static void advise(struct place *p, enum tune_purpose purpose)
{
	struct error e;

	shape_done(&tune_advice_shape, &p->advice);
	assert_int_equal(tune_advise(&p->advice, &p->facts, purpose, &e), 0);
}

#define ADVISE_NOTHING(p, purpose) \
	do { \
		advise(p, purpose); \
		assert_int_equal((p)->advice.count, 0); \
	} while (0)

static const struct tune_finding *found(const struct place *p, const char *card,
					const char *feature)
{
	for (size_t i = 0; i < p->advice.count; i++)
		if (!strcmp(p->advice.at[i].card, card) &&
		    !strcmp(p->advice.at[i].feature, feature))
			return &p->advice.at[i];
	return NULL;
}

/* The only finding there is. */
static const struct tune_finding *only(const struct place *p, const char *card,
				       const char *feature)
{
	const struct tune_finding *f = found(p, card, feature);

	assert_non_null(f);
	assert_int_equal(p->advice.count, 1);
	assert_true(strlen(f->now) > 10 && strlen(f->better) > 5);
	assert_true(strlen(f->why) > 20 && strlen(f->source) > 10);
	assert_int_equal(f->why[strlen(f->why) - 1], '.');
	return f;
}

static void done(struct place *p)
{
	shape_done(&tune_advice_shape, &p->advice);
}

static void test_one_queue_on_a_host_of_many_processors(void **state)
{
	struct place p;
	struct nic *n;
	const struct tune_finding *f;

	(void)state;
	make(&p, 16, 2);
	n = card(&p, "eth0", 1);
	n->queues_most = 32;
	n->numa_node = 0;
	interrupt(&p, n, 45, 0);
	p.processors.at[0].share = 0.97;
	advise(&p, TUNE_FOR_MIXED);
	f = only(&p, "eth0", "queues");
	assert_int_equal(f->commands.count, 1);
	/* As many as its node has processors. */
	assert_string_equal(f->commands.at[0], "ethtool -L eth0 combined 8");
	assert_string_equal(f->gain, "processor 0 spent 97 % of 1.0 s on "
				     "interrupts and what follows on them");
	n->queues_most = 4;
	n->queues_apart = true;
	p.processors.at[0].share = NAN;
	advise(&p, TUNE_FOR_STORAGE);
	f = only(&p, "eth0", "queues");
	assert_string_equal(f->commands.at[0], "ethtool -L eth0 rx 4");
	assert_string_equal(f->gain, "");
	/* There is nothing to spread over, or no more to have. */
	n->queues_most = 1;
	ADVISE_NOTHING(&p, TUNE_FOR_MIXED);
	done(&p);
	make(&p, 1, 1);
	n = card(&p, "eth0", 1);
	n->queues_most = 32;
	ADVISE_NOTHING(&p, TUNE_FOR_MIXED);
	done(&p);
}

static void test_checksums_switched_off_where_there_is_rss(void **state)
{
	struct place p;
	struct nic *n;
	const struct tune_finding *f;

	(void)state;
	make(&p, 8, 1);
	n = card(&p, "eth0", 8);
	n->features &= ~BIT(RX_CHECKSUM);
	advise(&p, TUNE_FOR_MIGRATION);
	f = only(&p, "eth0", "rx-checksum");
	assert_string_equal(f->commands.at[0], "ethtool -K eth0 rx on");
	/* The kernel has taken LSO with it. */
	n->features = USUAL & ~(BIT(TX_CHECKSUM) | BIT(TSO) | BIT(TSO6));
	advise(&p, TUNE_FOR_MIGRATION);
	f = only(&p, "eth0", "lso");
	assert_int_equal(f->commands.count, 2);
	assert_string_equal(f->commands.at[0], "ethtool -K eth0 tx on");
	assert_string_equal(f->commands.at[1], "ethtool -K eth0 tso on");
	/* One that cannot is left alone. */
	n->features_able = 0;
	ADVISE_NOTHING(&p, TUNE_FOR_MIGRATION);
	done(&p);
}

static void test_two_cards_on_the_same_processor(void **state)
{
	struct place p;
	struct nic *one, *two;
	const struct tune_finding *f;

	(void)state;
	make(&p, 4, 1);
	one = card(&p, "eth0", 2);
	two = card(&p, "eth1", 2);
	interrupt(&p, one, 40, 0);
	interrupt(&p, one, 41, 1);
	interrupt(&p, two, 50, 0);
	interrupt(&p, two, 51, 2);
	/* About the link alone. */
	interrupt(&p, two, 52, 0);
	p.at[4].count = 3;
	p.processors.at[0].share = 0.6;
	advise(&p, TUNE_FOR_MIGRATION);
	f = only(&p, "eth1", "interrupts");
	assert_int_equal(f->commands.count, 1);
	assert_string_equal(f->commands.at[0],
			    "echo 3 > /proc/irq/50/smp_affinity_list");
	assert_non_null(strstr(f->gain, "processor 0 spent 60 %"));
	/* Where all have one, sharing is no fault. */
	interrupt(&p, one, 42, 3);
	ADVISE_NOTHING(&p, TUNE_FOR_MIGRATION);
	/* One that never came is no interrupt. */
	p.at[5].count = 0;
	p.at[2].count = 0;
	p.at[3].count = 0;
	ADVISE_NOTHING(&p, TUNE_FOR_MIGRATION);
	done(&p);
}

static void test_interrupts_of_another_numa_node(void **state)
{
	struct place p;
	struct nic *n;
	const struct tune_finding *f;

	(void)state;
	make(&p, 8, 2);
	n = card(&p, "eth0", 3);
	n->numa_node = 1;
	interrupt(&p, n, 60, 0);
	interrupt(&p, n, 61, 1);
	interrupt(&p, n, 62, 4);
	p.processors.at[5].share = 0.3;
	advise(&p, TUNE_FOR_MIXED);
	f = only(&p, "eth0", "numa");
	assert_int_equal(f->commands.count, 2);
	/* The one with load comes last. */
	assert_string_equal(f->commands.at[0],
			    "echo 6 > /proc/irq/60/smp_affinity_list");
	assert_string_equal(f->commands.at[1],
			    "echo 7 > /proc/irq/61/smp_affinity_list");
	assert_non_null(strstr(f->now, "2 of its interrupts"));
	/* A node without processors, and one that nobody knows. */
	p.processors.nodes[1] = false;
	ADVISE_NOTHING(&p, TUNE_FOR_MIXED);
	n->numa_node = -1;
	ADVISE_NOTHING(&p, TUNE_FOR_MIXED);
	done(&p);
}

static void test_rings_at_their_least(void **state)
{
	struct place p;
	struct nic *n;
	const struct tune_finding *f;

	(void)state;
	make(&p, 4, 1);
	n = card(&p, "eth0", 4);
	n->rx_ring = 64;
	advise(&p, TUNE_FOR_STORAGE);
	f = only(&p, "eth0", "rings");
	assert_int_equal(f->commands.count, 1);
	assert_string_equal(f->commands.at[0], "ethtool -G eth0 rx 512");
	/* The most that it has. */
	n->rx_ring_most = 64;
	n->tx_ring = 80;
	n->tx_ring_most = 128;
	advise(&p, TUNE_FOR_STORAGE);
	f = only(&p, "eth0", "rings");
	assert_int_equal(f->commands.count, 1);
	assert_string_equal(f->commands.at[0], "ethtool -G eth0 tx 128");
	done(&p);
}

static void test_lro_on_a_port_of_a_bridge(void **state)
{
	struct place p;
	struct nic *n, *bridge, *bond;
	const struct tune_finding *f;

	(void)state;
	make(&p, 4, 1);
	n = card(&p, "eth0", 4);
	bridge = card(&p, "br0", 1);
	bond = card(&p, "bond0", 4);
	bridge->kind = NIC_BRIDGE;
	bond->kind = NIC_BOND;
	bond->bond.mode = BOND_ACTIVE_BACKUP;
	n->features |= BIT(LRO);
	ADVISE_NOTHING(&p, TUNE_FOR_MACHINES);
	n->master = bridge->ifindex;
	advise(&p, TUNE_FOR_MACHINES);
	f = only(&p, "eth0", "lro");
	assert_int_equal(f->commands.count, 1);
	assert_string_equal(f->commands.at[0], "ethtool -K eth0 lro off");
	n->master = bond->ifindex;
	ADVISE_NOTHING(&p, TUNE_FOR_MACHINES);
	bond->master = bridge->ifindex;
	advise(&p, TUNE_FOR_MACHINES);
	only(&p, "eth0", "lro");
	done(&p);
}

static void test_a_bond_that_does_not_look_at_ports(void **state)
{
	struct place p;
	struct nic *bond;
	const struct tune_finding *f;

	(void)state;
	make(&p, 4, 1);
	bond = card(&p, "bond0", 4);
	bond->kind = NIC_BOND;
	bond->bond = (struct nic_bond){ .mode = BOND_8023AD,
					.policy = BOND_LAYER2,
					.members = 2 };
	advise(&p, TUNE_FOR_MIGRATION);
	f = only(&p, "bond0", "hash-policy");
	assert_string_equal(f->commands.at[0], "ip link set bond0 type bond "
					       "xmit_hash_policy layer3+4");
	/* Machines have MAC addresses of their own. */
	ADVISE_NOTHING(&p, TUNE_FOR_MACHINES);
	bond->bond.mode = BOND_ACTIVE_BACKUP;
	ADVISE_NOTHING(&p, TUNE_FOR_STORAGE);
	bond->bond.mode = BOND_XOR;
	bond->bond.policy = BOND_LAYER34;
	ADVISE_NOTHING(&p, TUNE_FOR_MIGRATION);
	done(&p);
}

static void test_virtual_functions_that_nobody_made(void **state)
{
	struct place p;
	struct nic *n;
	const struct tune_finding *f;

	(void)state;
	make(&p, 4, 1);
	n = card(&p, "eth0", 4);
	n->vfs_most = 7;
	p.facts.machines = 9;
	p.facts.iommu = true;
	interrupt(&p, n, 30, 1);
	advise(&p, TUNE_FOR_MACHINES);
	f = only(&p, "eth0", "sr-iov");
	assert_string_equal(f->commands.at[0],
			    "echo 7 > /sys/class/net/eth0/device/sriov_numvfs");
	assert_non_null(strstr(f->gain, "little by now: processor 1 "));
	ADVISE_NOTHING(&p, TUNE_FOR_MIGRATION);
	p.facts.iommu = false;
	ADVISE_NOTHING(&p, TUNE_FOR_MACHINES);
	assert_int_equal(p.advice.unknown.count, 1);
	assert_non_null(strstr(p.advice.unknown.at[0], "no IOMMU"));
	p.facts.iommu = true;
	p.facts.machines = 0;
	ADVISE_NOTHING(&p, TUNE_FOR_MACHINES);
	done(&p);
}

static void test_a_table_that_leads_to_one_queue(void **state)
{
	struct place p;
	struct nic *n;
	const struct tune_finding *f;
	uint32_t table[] = { 3, 3, 3, 3 };

	(void)state;
	make(&p, 4, 1);
	n = card(&p, "eth0", 4);
	n->hash.table = table;
	n->hash.table_size = ARRAY_SIZE(table);
	advise(&p, TUNE_FOR_MIXED);
	f = only(&p, "eth0", "rss-table");
	assert_string_equal(f->commands.at[0], "ethtool -X eth0 default");
	table[2] = 1;
	ADVISE_NOTHING(&p, TUNE_FOR_MIXED);
	done(&p);
}

static void test_one_queue_that_is_all_there_is(void **state)
{
	struct place p;
	struct nic *n;
	const struct tune_finding *f;

	(void)state;
	make(&p, 40, 1);
	n = card(&p, "eth0", 1);
	n->rps_known = true;
	interrupt(&p, n, 30, 4);
	ADVISE_NOTHING(&p, TUNE_FOR_MIXED);
	p.processors.at[4].share = 0.8;
	advise(&p, TUNE_FOR_MIXED);
	f = only(&p, "eth0", "rps");
	assert_string_equal(f->commands.at[0],
			    "echo ff,ffffffef > "
			    "/sys/class/net/eth0/queues/rx-0/rps_cpus");
	n->rps = true;
	ADVISE_NOTHING(&p, TUNE_FOR_MIXED);
	done(&p);
}

static void test_a_bond_that_receives_on_one_member(void **state)
{
	struct place p;
	struct nic *bond;

	(void)state;
	make(&p, 4, 1);
	bond = card(&p, "bond0", 4);
	bond->kind = NIC_BOND;
	bond->bond.mode = BOND_ACTIVE_BACKUP;
	advise(&p, TUNE_FOR_MIGRATION);
	assert_int_equal(only(&p, "bond0", "team")->commands.count, 0);
	ADVISE_NOTHING(&p, TUNE_FOR_MIXED);
	done(&p);
}

static void test_irqbalance_is_told_of_where_it_matters(void **state)
{
	struct place p;
	struct nic *n;

	(void)state;
	make(&p, 4, 1);
	n = card(&p, "eth0", 2);
	interrupt(&p, n, 40, 0);
	interrupt(&p, n, 41, 0);
	advise(&p, TUNE_FOR_MIXED);
	assert_null(strstr(only(&p, "eth0", "interrupts")->better, "irqb"));
	p.facts.irqbalance = true;
	advise(&p, TUNE_FOR_MIXED);
	assert_non_null(strstr(only(&p, "eth0", "interrupts")->better,
			       "irqbalance runs here"));
	done(&p);
}

static void test_no_advice_where_nothing_can_be_said(void **state)
{
	struct place p;
	struct nic *n;

	(void)state;
	make(&p, 16, 1);
	n = card(&p, "veth0", 1);
	n->kind = NIC_VETH;
	n->queues_most = 16;
	n->rx_ring = 1;
	n->features = BIT(LRO);
	for (int purpose = 0; purpose < TUNE_PURPOSES; purpose++) {
		ADVISE_NOTHING(&p, (enum tune_purpose)purpose);
		assert_int_equal(p.advice.unknown.count, 0);
	}
	/* A card whose driver tells nothing: that is said, and no more. */
	*n = (struct nic){ .name = "eth0",
			   .ifindex = 2,
			   .up = true,
			   .rx_queues = 1,
			   .numa_node = -1 };
	ADVISE_NOTHING(&p, TUNE_FOR_MIXED);
	assert_int_equal(p.advice.unknown.count, 4);
	/* One that is down carries nothing. */
	n->up = false;
	advise(&p, TUNE_FOR_MIXED);
	assert_int_equal(p.advice.unknown.count, 0);
	done(&p);
}

static void test_what_nobody_believes_is_said_and_not_used(void **state)
{
	struct place p;
	struct nic *n;

	(void)state;
	make(&p, 16, 1);
	n = card(&p, "eth0", 1);
	n->queues_most = UINT32_MAX;
	n->rx_ring = 1;
	n->rx_ring_most = UINT32_MAX;
	n->numa_node = 1 << 30;
	interrupt(&p, n, 9, 1 << 20);
	interrupt(&p, n, 10, -1);
	ADVISE_NOTHING(&p, TUNE_FOR_MIXED);
	assert_int_equal(p.advice.unknown.count, 2);
	assert_string_equal(p.advice.unknown.at[0],
			    "igb says that eth0 can have 4294967295 queues and "
			    "has 1, which nobody believes: nothing is said of "
			    "them");
	done(&p);
}

static void test_counts_of_interrupts(void **state)
{
	struct nic_interrupt at[] = { { .number = 7 }, { .number = 45 } };
	struct nic_interrupts all = { at, ARRAY_SIZE(at) };

	(void)state;
	nic_interrupts_count(&all, "           CPU0       CPU1\n"
				   "  7:         12          3  PCI-MSI 7-edge "
				   "eth0\n"
				   " 45:          4          5 PCI-MSIX-0000:00"
				   "   0-edge eth1\n"
				   "NMI:          9          9 Non-maskable\n"
				   "ERR:          0\n"
				   "x\n 45");
	assert_int_equal(at[0].count, 15);
	assert_int_equal(at[1].count, 9);
}

static void test_shares_of_processors(void **state)
{
	static struct processors before, now;

	(void)state;
	processors_count(&before, "cpu  1 1 1 1 1 1 1 1 0 0\n"
				  "cpu0 100 0 100 800 0 5 5 0 0 0\n"
				  "cpu1 100 0 100 800 0 5 5 0 0 0\n"
				  "cpu99999 1 1 1\n"
				  "intr 5\n");
	processors_count(&now, "cpu  1 1 1 1 1 1 1 1 0 0\n"
			       "cpu0 100 0 103 800 0 6 101 0 0 0\n"
			       "cpu1 1 0 1 8 0 0 0 0 0 0\n"
			       "cpu2 1 0 1 8 0 0 0 0 0 0\n");
	processors_compare(&now, &before);
	assert_int_equal(before.count, 2);
	assert_int_equal(now.count, 3);
	assert_true(fabs(now.at[0].share - 0.97) < 1e-9);
	assert_true(isnan(now.at[1].share)); /* it began again */
	assert_true(isnan(now.at[2].share)); /* it is new */
}

static void test_purposes(void **state)
{
	enum tune_purpose purpose;
	struct error e;

	(void)state;
	assert_int_equal(tune_purpose_parse(&purpose, NULL, &e), 0);
	assert_int_equal(purpose, TUNE_FOR_MIXED);
	assert_int_equal(tune_purpose_parse(&purpose, "machines", &e), 0);
	assert_int_equal(purpose, TUNE_FOR_MACHINES);
	assert_true(tune_purpose_parse(&purpose, "speed", &e) < 0);
	assert_non_null(strstr(e.text, "not for 'speed'"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_queue_on_a_host_of_many_processors),
		cmocka_unit_test(
			test_checksums_switched_off_where_there_is_rss),
		cmocka_unit_test(test_two_cards_on_the_same_processor),
		cmocka_unit_test(test_interrupts_of_another_numa_node),
		cmocka_unit_test(test_rings_at_their_least),
		cmocka_unit_test(test_lro_on_a_port_of_a_bridge),
		cmocka_unit_test(test_a_bond_that_does_not_look_at_ports),
		cmocka_unit_test(test_virtual_functions_that_nobody_made),
		cmocka_unit_test(test_a_table_that_leads_to_one_queue),
		cmocka_unit_test(test_one_queue_that_is_all_there_is),
		cmocka_unit_test(test_a_bond_that_receives_on_one_member),
		cmocka_unit_test(test_irqbalance_is_told_of_where_it_matters),
		cmocka_unit_test(test_no_advice_where_nothing_can_be_said),
		cmocka_unit_test(
			test_what_nobody_believes_is_said_and_not_used),
		cmocka_unit_test(test_counts_of_interrupts),
		cmocka_unit_test(test_shares_of_processors),
		cmocka_unit_test(test_purposes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
