/* SPDX-License-Identifier: MIT */

/* What a QEMU has open is held against its definition. */
#include "unit.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "base/words.h"
#include "move/defined.h"
#include "qemu/files.h"
#include "qemu/nodes.h"
#include "scratch.h"

static char *text(const char *literal)
{
	return (char *)(uintptr_t)literal;
}

/* Of a machine with the disk /d/disk on /d/base, and the medium /d/cd. */
static void judge(struct block_node *at, size_t count, struct words *blockers)
{
	char *writes[] = { text("/d/disk"), text("/srv/here") };
	char *reads[] = { text("/d/base"), text("/d/cd") };
	const struct named_files named = {
		.writes = { .at = writes, .count = ARRAY_SIZE(writes) },
		.reads = { .at = reads, .count = ARRAY_SIZE(reads) },
	};
	const struct block_nodes nodes = { .at = at, .count = count };
	struct error e;

	if (defined_check(&nodes, &named, "/srv", "/run/m", blockers, &e) < 0)
		fail_msg("%s", e.text);
}

static struct block_node file(const char *path, bool read_only)
{
	return (struct block_node){ .driver = text("file"),
				    .file = text(path),
				    .path = text(path),
				    .read_only = read_only };
}

static void assert_one(struct block_node node, const char *blamed)
{
	SCOPED(words_done) struct words blockers = { 0 };

	judge(&node, 1, &blockers);
	assert_int_equal(blockers.count, blamed ? 1 : 0);
	if (blamed)
		assert_non_null(strstr(blockers.at[0], blamed));
}

static void what_is_named_passes(void **state)
{
	struct block_node network = file("nbd://far/x", false);

	(void)state;
	assert_one(file("/d/disk", false), NULL);
	assert_one(file("/d/disk", true), NULL);
	assert_one(file("/d/cd", true), NULL);
	assert_one(file("here", false), NULL);
	assert_one(file("/run/m/x", false), NULL);
	assert_one(file("/dev/fdset/1", false), NULL);
	network.driver = text("nbd");
	assert_one(network, NULL);
	assert_one((struct block_node){ .driver = text("file") }, NULL);
}

static void what_came_since_is_blamed(void **state)
{
	(void)state;
	assert_one(file("/d/overlay", false), "writes to /d/overlay,");
	assert_one(file("/d/other-cd", true), "reads /d/other-cd,");
	/* A commit into what the disk stood on. */
	assert_one(file("/d/base", false), "writes to /d/base,");
	assert_one(file("there", false), "writes to /srv/there,");
}

static void what_an_image_names_itself_passes(void **state)
{
	SCOPED(words_done) struct words blockers = { 0 };
	struct block_node on_base[] = {
		{ .driver = text("qcow2"),
		  .file = text("/d/disk"),
		  .backing = text("/d/low") },
		file("/d/disk", false),
		file("/d/low", true),
	};
	struct block_node parts[] = {
		{ .driver = text("vmdk"),
		  .file = text("/d/disk"),
		  .has_parts = true },
		file("/d/disk", false),
		file("/d/disk-flat", false),
	};

	(void)state;
	judge(on_base, ARRAY_SIZE(on_base), &blockers);
	judge(parts, ARRAY_SIZE(parts), &blockers);
	assert_int_equal(blockers.count, 0);
	on_base[2].read_only = false;
	judge(on_base, ARRAY_SIZE(on_base), &blockers);
	assert_int_equal(blockers.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_named_passes),
		cmocka_unit_test(what_came_since_is_blamed),
		cmocka_unit_test(what_an_image_names_itself_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
