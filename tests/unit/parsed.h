/* SPDX-License-Identifier: MIT */

/* The settings of a text that is right, for settings_drop(); fails the test
 * when it is not. */
#pragma once

#include "host/settings.h"

struct settings *parsed(const char *text);
