/* SPDX-License-Identifier: MIT */

/* A folder made as /sys/dev/block is. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "move/volume.h"
#include "scratch.h"

static char folder[SCRATCH_CAP];

static void run(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *fmt, ...)
{
	char command[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

static void put(const char *device, const char *file, const char *text)
{
	run("cd %s && mkdir -p $(dirname %s/%s) && echo '%s' > %s/%s", folder,
	    device, file, text, device, file);
}

static void stands_on(const char *device, const char *below)
{
	run("cd %s && mkdir -p %s/slaves && ln -s ../../%s %s/slaves/%s",
	    folder, device, below, device, below);
}

static int set_up(void **state)
{
	(void)state;
	scratch_folder(folder);
	put("8:0", "device/wwid", "naa.6001405a");
	put("8:16", "device/wwid", "naa.6001405a");
	put("8:16/8:17", "partition", "1");
	run("cd %s && ln -s 8:16/8:17 8:17", folder);
	put("8:32", "device/wwid", "naa.6001405b");
	put("259:0", "wwid", "eui.0025388b");
	put("8:48", "device/wwid", "t10.ATA-QEMU-HARDDISK-QM00001");
	put("7:0", "size", "2048");
	/* Two ways to one disk. */
	put("253:0", "dm/uuid", "mpath-36001405a");
	stands_on("253:0", "8:0");
	stands_on("253:0", "8:16");
	/* A logical volume on that, and on another. */
	put("253:1", "dm/uuid", "LVM-Hu4q");
	stands_on("253:1", "8:32");
	stands_on("253:1", "253:0");
	/* Of an array that has a loop device in it. */
	put("9:0", "md/uuid", "1f3a");
	stands_on("9:0", "7:0");
	stands_on("9:0", "259:0");
	/* The same in both orders: one disk has no name, one is deeper. */
	put("253:3", "dm/uuid", "LVM-part");
	stands_on("253:3", "7:0");
	stands_on("253:3", "253:0");
	put("253:4", "dm/uuid", "LVM-part");
	stands_on("253:4", "253:0");
	stands_on("253:4", "7:0");
	/* It stands on itself, which the kernel never does. */
	put("253:2", "dm/uuid", "LVM-loop");
	stands_on("253:2", "253:2");
	return 0;
}

static void check(unsigned maj, unsigned min, const char *text, bool unique)
{
	struct volume_id id;

	assert_true(volume_read_id(&id, folder, makedev(maj, min)));
	assert_string_equal(id.text, text);
	assert_int_equal(id.unique, unique);
}

static void test_a_disk_has_its_wwid(void **state)
{
	(void)state;
	check(8, 0, "naa.6001405a", true);
	check(259, 0, "eui.0025388b", true);
	check(8, 17, "naa.6001405a-part1", true);
}

static void test_a_wwid_that_others_may_have_is_not_unique(void **state)
{
	(void)state;
	check(8, 48, "t10.ATA-QEMU-HARDDISK-QM00001", false);
}

static void test_multipath_is_the_disk_below(void **state)
{
	(void)state;
	check(253, 0, "naa.6001405a", true);
}

static void test_a_logical_volume_is_on_its_disks(void **state)
{
	(void)state;
	check(253, 1, "LVM-Hu4q naa.6001405a naa.6001405b", true);
}

static void test_one_disk_without_a_name_spoils_it(void **state)
{
	(void)state;
	check(9, 0, "1f3a eui.0025388b", false);
	check(253, 3, "LVM-part naa.6001405a", false);
	check(253, 4, "LVM-part naa.6001405a", false);
	check(253, 2, "LVM-loop", false);
}

static void test_what_has_no_name_is_not_known(void **state)
{
	struct volume_id id;

	(void)state;
	assert_false(volume_read_id(&id, folder, makedev(7, 0)));
	assert_false(volume_read_id(&id, folder, makedev(7, 1)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_disk_has_its_wwid),
		cmocka_unit_test(
			test_a_wwid_that_others_may_have_is_not_unique),
		cmocka_unit_test(test_multipath_is_the_disk_below),
		cmocka_unit_test(test_a_logical_volume_is_on_its_disks),
		cmocka_unit_test(test_one_disk_without_a_name_spoils_it),
		cmocka_unit_test(test_what_has_no_name_is_not_known),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
