/* SPDX-License-Identifier: MIT */

/*
 * Faults on request, for tests: the environment variable DROVER_FAULT holds
 * "POINT=kill" or "POINT=wait:FILE", several with ';' between.  At the point
 * the process kills itself as kill -9 would, or makes FILE.reached and waits
 * until FILE exists (30 s at most).  Points are named where they are placed;
 * docs/commit.md lists those of the commit.
 */
#pragma once

void fault_point(const char *point);
