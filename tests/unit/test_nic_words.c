/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "qemu/definition.h"

#define UUID "123e4567-e89b-42d3-a456-426614174000"

static struct definition parsed(const char *lines)
{
	struct definition d;
	char text[1024];
	struct error e;

	snprintf(text, sizeof(text),
		 "[machine]\nname = web1\nuuid = " UUID "\nmemory = 256M\n%s",
		 lines);
	if (definition_parse(&d, "web1", text, &e) < 0)
		fail_msg("%s", e.text);
	return d;
}

static void a_nic_reads_back_as_it_was_written(void **state)
{
	struct definition d =
		parsed("nic lan = bridge=br0\n"
		       "nic back = "
		       "bridge=br1,mac=52:54:00:AA:bb:cc,model=e1000\n");
	char *text = definition_text(&d);
	struct definition again;
	struct error e;

	(void)state;
	assert_int_equal(d.nics.count, 2);
	assert_int_equal(strlen(d.nics.at[0].mac), 17);
	assert_memory_equal(d.nics.at[0].mac, "52:54:", 6);
	assert_string_equal(d.nics.at[1].mac, "52:54:00:aa:bb:cc");
	assert_int_equal(definition_parse(&again, "again", text, &e), 0);
	assert_true(definition_starts_as(&d, &again));
	assert_string_equal(again.nics.at[0].mac, d.nics.at[0].mac);
	free(text);
	definition_done(&again);
	definition_done(&d);
}

static void two_cards_of_a_machine_have_two_addresses(void **state)
{
	struct definition d =
		parsed("nic a = bridge=br0\nnic b = bridge=br0\n");

	(void)state;
	assert_string_not_equal(d.nics.at[0].mac, d.nics.at[1].mac);
	definition_done(&d);
}

static void an_older_peer_gets_what_it_knows(void **state)
{
	struct definition d =
		parsed("nic lan = bridge=br0,mac=52:54:00:aa:bb:cc\n");
	char *text = definition_text_for_peers(&d);

	(void)state;
	assert_null(strstr(text, "nic lan"));
	assert_non_null(strstr(text, "arguments = -netdev "
				     "bridge,id=drover-lan,br=br0\n"
				     "arguments = -device "
				     "virtio-net-pci,netdev=drover-lan,id=nic-"
				     "lan,mac=52:54:00:aa:bb:cc\n"));
	free(text);
	definition_done(&d);
}

/* The first nic's line, or what is wrong. */
static void assert_becomes(const char *arguments, const char *expected)
{
	struct definition d = parsed(arguments);
	char *text, *line;
	struct error e;

	if (nics_from_arguments(&d, &e) < 0 ||
	    definition_check_confined(&d, &e) < 0) {
		assert_string_equal(e.text, expected);
		definition_done(&d);
		return;
	}
	text = definition_text(&d);
	line = strstr(text, "nic ");
	assert_non_null(line);
	assert_memory_equal(line, expected, strlen(expected));
	assert_null(strstr(text, "-nic"));
	free(text);
	definition_done(&d);
}

static void bridges_among_the_arguments_become_nics(void **state)
{
	(void)state;
	assert_becomes("arguments = -nic bridge,br=br3,mac=52:54:00:00:00:01,"
		       "model=virtio\n",
		       "nic net0 = bridge=br3,mac=52:54:00:00:00:01,model="
		       "virtio-net-pci\n");
	assert_becomes("machine = pc\narguments = -nodefaults -nic "
		       "bridge,mac=52:54:00:00:00:01 -usb\n",
		       "nic net0 = "
		       "bridge=br0,mac=52:54:00:00:00:01,model=e1000\n");
	assert_becomes("nic net0 = bridge=x\nnic y = bridge=z\narguments = "
		       "-nic "
		       "tap,br=br0,model=e1000\n",
		       "nic net0 = bridge=x");
}

#define CONFINED \
	": QEMU is confined here (qemu-user) and can make no tap: write "

static void others_are_refused_with_the_line_to_write(void **state)
{
	(void)state;
	assert_becomes("arguments = -nic tap,ifname=t0,model=e1000\n",
		       "arguments: -nic tap,ifname=t0,model=e1000" CONFINED
		       "'nic net0 = bridge=BRIDGE,model=e1000' in place of it");
	assert_becomes("arguments = -netdev bridge,id=n -device "
		       "e1000,mac=52:54:00:00:00:01,netdev=n\n",
		       "arguments: -netdev bridge,id=n" CONFINED "'nic net0 = "
		       "bridge=br0,mac=52:54:00:00:00:01,model=e1000' in place "
		       "of it and of its -device");
	assert_becomes("arguments = -sandbox off\n",
		       "arguments: -sandbox: QEMU is confined here "
		       "(qemu-user), it is Drover's to set: leave it out");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_nic_reads_back_as_it_was_written),
		cmocka_unit_test(two_cards_of_a_machine_have_two_addresses),
		cmocka_unit_test(an_older_peer_gets_what_it_knows),
		cmocka_unit_test(bridges_among_the_arguments_become_nics),
		cmocka_unit_test(others_are_refused_with_the_line_to_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
