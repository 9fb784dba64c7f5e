/* SPDX-License-Identifier: MIT */

/* cmocka wants these four before it, in any order; a module's test includes
 * this file first. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
