/* SPDX-License-Identifier: MIT */

/* A QEMU for tests that need a real one: DROVER_TEST_QEMU, or the one in the
 * path.  Everything lives in a folder of its own that goes away again. */
#pragma once

#include <stdbool.h>

#include "qemu/launch.h"
#include "scratch.h"

struct guest {
	char dir[SCRATCH_CAP];
	struct qemu_process process;
	bool running;
};

/* NULL, with a line that says so, where there is no QEMU. */
const char *qemu_for_tests(void);

/* Start a machine with the lines of @definition added to name, memory, pc and
 * TCG; fails the test when it does not come up. */
void guest_start(struct guest *g, const char *definition, bool incoming);

/* The QEMU of @g without Drover's help: the words of @command after the
 * program, started with the folder as working directory. */
void guest_start_plain(struct guest *g, const char *command);

void guest_folder(struct guest *g);
void guest_end(struct guest *g);
