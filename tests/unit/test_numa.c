/* SPDX-License-Identifier: MIT */

/* On which node memory is, and where a thread goes that writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cpus.h"
#include "pages/numa.h"

static const char maps[] =
	"55d0c0000000 default file=/usr/bin/a:1 mapped=5 N0=5\n"
	"7f0000000000 bind:1 anon=512 dirty=512 N1=512 kernelpagesize_kB=4\n"
	"7f0000400000 prefer:0 anon=512\n"
	"7f0000800000 prefer (many):2 huge\n"
	"7f0000c00000 bind=static:3\n"
	"7f0001000000 bind:0-1 anon=1 N0=1\n"
	"7f0001400000 bind:0,2\n"
	"7f0001800000 interleave:1 anon=1\n"
	"7f0001c00000 local\n"
	"7f0002000000 prefer (many)\n"
	"7f0002400000 bind:64\n"
	"7f0002800000 bind:1 file=/memfd:memory-backend-memfd\\040(deleted)";

static void a_node_is_that_of_a_policy_which_has_one(void **state)
{
	static const struct {
		uint64_t address;
		int node;
	} cases[] = {
		{ 0x55d0c0000000, NUMA_ANYWHERE },
		{ 0x7f0000000000, 1 },
		{ 0x7f0000000001, NUMA_ANYWHERE },
		{ 0x7f0000400000, 0 },
		{ 0x7f0000800000, 2 },
		{ 0x7f0000c00000, 3 },
		{ 0x7f0001000000, NUMA_ANYWHERE },
		{ 0x7f0001400000, NUMA_ANYWHERE },
		{ 0x7f0001800000, NUMA_ANYWHERE },
		{ 0x7f0001c00000, NUMA_ANYWHERE },
		{ 0x7f0002000000, NUMA_ANYWHERE },
		{ 0x7f0002400000, NUMA_ANYWHERE },
		{ 0x7f0002800000, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(numa_policy_node(maps, cases[i].address),
				 cases[i].node);
	assert_int_equal(numa_policy_node("", 0), NUMA_ANYWHERE);
	assert_int_equal(numa_policy_node("\n\nno map", 0), NUMA_ANYWHERE);
}

static void lists_of_processors_are_read(void **state)
{
	cpu_set_t set;

	(void)state;
	cpus_read_list(&set, "0-2,5,1022-1030\n");
	assert_int_equal(CPU_COUNT(&set), 6);
	assert_true(CPU_ISSET(0, &set) && CPU_ISSET(2, &set) &&
		    CPU_ISSET(5, &set) && CPU_ISSET(1023, &set));
	cpus_read_list(&set, "\n");
	assert_int_equal(CPU_COUNT(&set), 0);
	cpus_read_list(&set, "3");
	assert_int_equal(CPU_COUNT(&set), 1);
}

static void a_thread_goes_where_there_are_processors(void **state)
{
	struct numa_host two = { .with_processors = 2 }, one;

	(void)state;
	CPU_SET(0, &two.processors[0]);
	CPU_SET(1, &two.processors[1]);
	assert_int_equal(numa_choose(&two, NUMA_ANYWHERE, 1), 1);
	assert_int_equal(numa_choose(&two, 1, 0), 0);
	assert_int_equal(numa_choose(&two, 1, NUMA_ANYWHERE), 1);
	/* Memory without processors, and a node that there is not. */
	assert_int_equal(numa_choose(&two, 0, 2), 0);
	assert_int_equal(numa_choose(&two, 0, NUMA_NODES), 0);
	one = two;
	one.with_processors = 1;
	assert_int_equal(numa_choose(&one, NUMA_ANYWHERE, 1), NUMA_ANYWHERE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_node_is_that_of_a_policy_which_has_one),
		cmocka_unit_test(lists_of_processors_are_read),
		cmocka_unit_test(a_thread_goes_where_there_are_processors),
	};

	return cmocka_run_group_tests_name("numa", tests, NULL, NULL);
}
