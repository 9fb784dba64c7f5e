/* SPDX-License-Identifier: MIT */
/*
 * The machine's memory: a list of spans of free RAM above the guest's own
 * image and tables, its pages numbered from 0 in the order of their address,
 * all mapped one to one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PAGE_BYTES 4096u
#define PAGE_WORDS (PAGE_BYTES / 8)
#define MEMORY_MAX_SPANS 16

struct memory_span {
	uint64_t start;
	uint64_t end;
};

struct memory {
	struct memory_span spans[MEMORY_MAX_SPANS];
	unsigned span_count;
	uint64_t pages;
	/* Room for one bit per page, all 0 at the start. */
	uint64_t *page_bits;
	/* The module that QEMU was given as initrd, if any; in no span. */
	const uint64_t *module;
	uint64_t module_bytes;
};

/* xen/include/public/arch-x86/hvm/start_info.h */
struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t modules;
	uint64_t module_list;
	uint64_t command_line;
	uint64_t acpi;
	uint64_t memory_map;
	uint32_t memory_map_entries;
	uint32_t reserved;
};

/* Returns NULL, or what is wrong with the start info. */
const char *memory_init(struct memory *m, const struct start_info *info);

uint64_t *memory_page(const struct memory *m, uint64_t page);

/* Whether firmware may have left something in this page. */
bool memory_page_may_be_used(const struct memory *m, uint64_t page);
