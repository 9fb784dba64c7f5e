/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "qemu/drives.h"

static struct drives drives_of(const char *text)
{
	struct drives d = { .count = 0 };
	json_t *list = json_loads(text, 0, NULL);
	struct error e;

	assert_non_null(list);
	if (drives_read(list, &d, &e) < 0)
		fail_msg("%s", e.text);
	json_decref(list);
	return d;
}

/* As QEMU 7.2 and 10.0 answer. */
static void a_drive_is_read_with_what_is_below_it(void **state)
{
	SCOPED(drives_done)
	struct drives d = drives_of(
		"[{\"device\": \"\", \"locked\": false, \"removable\": false,"
		"  \"qdev\": \"/machine/peripheral/vd0/virtio-backend\","
		"  \"type\": \"unknown\", \"inserted\": {"
		"    \"node-name\": \"disk0\", \"drv\": \"qcow2\","
		"    \"ro\": false, \"file\": \"/srv/top.qcow2\","
		"    \"image\": {\"filename\": \"/srv/top.qcow2\","
		"      \"virtual-size\": 1048576, \"actual-size\": 200704,"
		"      \"snapshots\": [{\"id\": \"1\"}, {\"id\": \"2\"}],"
		"      \"backing-image\": {\"filename\": \"/srv/mid.qcow2\","
		"        \"backing-image\": {"
		"          \"filename\": \"/srv/base.raw\"}}}}}]");

	(void)state;
	assert_int_equal(d.count, 1);
	assert_string_equal(d.at[0].name, "vd0");
	assert_string_equal(d.at[0].node, "disk0");
	assert_string_equal(d.at[0].file, "/srv/top.qcow2");
	assert_string_equal(d.at[0].format, "qcow2");
	assert_int_equal(d.at[0].size, 1048576);
	assert_int_equal(d.at[0].allocated, 200704);
	assert_int_equal(d.at[0].snapshots, 2);
	assert_false(d.at[0].read_only);
	assert_false(d.at[0].filtered);
	assert_int_equal(d.at[0].chain.count, 2);
	assert_string_equal(d.at[0].chain.at[0], "/srv/mid.qcow2");
	assert_string_equal(d.at[0].chain.at[1], "/srv/base.raw");
}

static void names_are_those_that_somebody_gave(void **state)
{
#define INSERTED \
	"\"inserted\": {\"node-name\": \"n7\", \"drv\": \"raw\", " \
	"\"ro\": true, \"file\": \"/a\"}"
	static const struct {
		const char *text, *name;
	} cases[] = {
		{ "[{\"device\": \"\", \"qdev\": "
		  "\"/machine/peripheral/a\", " INSERTED "}]",
		  "a" },
		{ "[{\"device\": \"d\", \"qdev\": "
		  "\"/machine/peripheral-anon/device[1]\", " INSERTED "}]",
		  "d" },
		{ "[{\"device\": \"\", \"qdev\": "
		  "\"/machine/unattached/device[1]\", " INSERTED "}]",
		  "n7" },
		{ "[{\"device\": \"d\", \"qdev\": \"ide0\", " INSERTED "}]",
		  "ide0" },
		{ "[{\"device\": \"pflash0\", " INSERTED "}]", "pflash0" },
		{ "[{" INSERTED "}]", "n7" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct drives d = drives_of(cases[i].text);

		assert_int_equal(d.count, 1);
		assert_string_equal(d.at[0].name, cases[i].name);
		assert_true(d.at[0].read_only);
		drives_done(&d);
	}
}

/* An empty CD drive is no disk; a filter is no format. */
static void what_is_no_image_is_told_apart(void **state)
{
	SCOPED(drives_done)
	struct drives d = drives_of(
		"[{\"device\": \"cd\", \"removable\": true},"
		" {\"device\": \"cd2\", \"inserted\": null},"
		" {\"device\": \"t\", \"inserted\": {\"drv\": \"throttle\"}}]");

	(void)state;
	assert_int_equal(d.count, 1);
	assert_string_equal(d.at[0].name, "t");
	assert_true(d.at[0].filtered);
	assert_null(d.at[0].file);
	assert_null(d.at[0].node);
}

static void what_is_nonsense_does_no_harm(void **state)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"[1, null, [], \"x\"]",
		"[{\"inserted\": {}}]",
		"[{\"device\": 1, \"qdev\": [], \"inserted\": {\"image\": 3, "
		"\"drv\": {}, \"file\": []}}]",
		"[{\"inserted\": {\"image\": {\"virtual-size\": -1, "
		"\"actual-size\": \"x\", \"snapshots\": 7, "
		"\"backing-image\": [1]}}}]",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct drives d = drives_of(texts[i]);

		for (size_t k = 0; k < d.count; k++) {
			assert_string_equal(d.at[k].name, "");
			assert_int_equal(d.at[k].size, 0);
		}
		drives_done(&d);
	}
}

static void a_chain_without_an_end_is_cut(void **state)
{
	json_t *image = json_object(), *list;
	struct drives d;
	struct error e;

	(void)state;
	for (int i = 0; i < 1000; i++)
		image = json_pack("{s:s,s:o}", "filename", "/x",
				  "backing-image", image);
	list = json_pack("[{s:{s:o}}]", "inserted", "image", image);
	assert_int_equal(drives_read(list, &d, &e), 0);
	assert_in_range(d.at[0].chain.count, 1, 64);
	drives_done(&d);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_drive_is_read_with_what_is_below_it),
		cmocka_unit_test(names_are_those_that_somebody_gave),
		cmocka_unit_test(what_is_no_image_is_told_apart),
		cmocka_unit_test(what_is_nonsense_does_no_harm),
		cmocka_unit_test(a_chain_without_an_end_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
