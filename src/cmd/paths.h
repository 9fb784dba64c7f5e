/* SPDX-License-Identifier: MIT */

/*
 * Paths between two hosts, for people: those of a report and those of a plan.
 * Both take an object with "paths" and "cards" in the shape of docs/api.md.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* What each path carried, then what was not used, and why. */
void paths_print_report(FILE *to, const json_t *report);

/* A table of all paths, the most preferred first, then the reasons. */
void paths_print_plan(FILE *to, const json_t *plan);

/* "10G", "2.5G", "100M", and "-" where it is not known. */
void paths_format_speed(char *buf, size_t cap, const json_t *mbit);
