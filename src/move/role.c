/* SPDX-License-Identifier: MIT */
#include "move/role.h"

const char *const role_names[ROLES] = {
	[ROLE_SOURCE] = "source",
	[ROLE_DESTINATION] = "destination",
};
