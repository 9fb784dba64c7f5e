/* SPDX-License-Identifier: MIT */
/*
 * Behind the image come the page directories for memory above 4 GiB (2 MiB
 * pages, one directory for each GiB; entry.S has mapped what is below) and the
 * bitmap; the first free page follows them. All of that lies in the span that
 * holds the image, which is below 4 GiB and so mapped from the start.
 */
#include "memory.h"

#include <stddef.h>

#define START_INFO_MAGIC 0x336ec578
#define MEMORY_MAP_RAM 1

#define GIB (1ull << 30)
#define BOOT_MAPPED (4 * GIB)
#define MAX_MAPPED (512 * GIB)
#define DIRECTORY_ENTRIES 512
#define ENTRY_PRESENT_WRITE 0x3ull
#define ENTRY_2M 0x80ull
#define BYTES_2M (2ull << 20)

/* SeaBIOS works at the end of the memory below 4 GiB and leaves it dirty. */
#define FIRMWARE_SCRATCH (64ull << 20)

struct map_entry {
	uint64_t start;
	uint64_t bytes;
	uint32_t type;
	uint32_t reserved;
};

struct module_entry {
	uint64_t start;
	uint64_t bytes;
	uint64_t command_line;
	uint64_t reserved;
};

extern uint64_t boot_pointers[DIRECTORY_ENTRIES];
extern char __image_end[];

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static void module_find(struct memory *m, const struct start_info *info)
{
	const struct module_entry *first =
		(const struct module_entry *)info->module_list;

	if (info->modules == 0)
		return;
	m->module = (const uint64_t *)first->start;
	m->module_bytes = first->bytes;
}

/* Keeps RAM above the image and below the module, which QEMU puts at the end
 * of the memory below 4 GiB, in whole pages. */
static void spans_read(struct memory *m, const struct map_entry *map,
		       unsigned entries)
{
	uint64_t image_end = (uintptr_t)__image_end;

	for (unsigned i = 0; i < entries; i++) {
		uint64_t start = round_up(map[i].start, PAGE_BYTES);
		uint64_t end = map[i].start + map[i].bytes;

		if (m->module && start < (uintptr_t)m->module &&
		    end > (uintptr_t)m->module)
			end = (uintptr_t)m->module;
		end -= end % PAGE_BYTES;
		if (map[i].type != MEMORY_MAP_RAM)
			continue;
		if (start < image_end)
			start = image_end;
		if (end > MAX_MAPPED)
			end = MAX_MAPPED;
		if (start >= end || m->span_count == MEMORY_MAX_SPANS)
			continue;
		m->spans[m->span_count++] = (struct memory_span){ start, end };
	}
}

/* Fills page directories from `at` on; returns the end of them. */
static uint64_t map_above_4g(uint64_t at, uint64_t top)
{
	for (uint64_t gib = BOOT_MAPPED; gib < top; gib += GIB) {
		uint64_t *directory = (uint64_t *)at;

		for (unsigned i = 0; i < DIRECTORY_ENTRIES; i++)
			directory[i] = (gib + i * BYTES_2M) |
				       ENTRY_PRESENT_WRITE | ENTRY_2M;
		boot_pointers[gib / GIB] = at | ENTRY_PRESENT_WRITE;
		at += PAGE_BYTES;
	}
	return at;
}

static void zero_words(uint64_t *at, uint64_t words)
{
	__asm__ volatile("rep stosq"
			 : "+D"(at), "+c"(words)
			 : "a"(0ull)
			 : "memory");
}

const char *memory_init(struct memory *m, const struct start_info *info)
{
	uint64_t free_start;
	uint64_t bits_bytes;

	if (info->magic != START_INFO_MAGIC)
		return "not started through the PVH entry";
	if (info->version < 1 || info->memory_map_entries == 0)
		return "the start info has no memory map";
	module_find(m, info);
	spans_read(m, (const struct map_entry *)info->memory_map,
		   info->memory_map_entries);
	if (m->span_count == 0 || m->spans[0].start != (uintptr_t)__image_end)
		return "no RAM behind the image";

	for (unsigned i = 0; i < m->span_count; i++)
		m->pages += (m->spans[i].end - m->spans[i].start) / PAGE_BYTES;
	free_start = map_above_4g(m->spans[0].start,
				  m->spans[m->span_count - 1].end);
	bits_bytes = round_up(m->pages / 8 + 1, PAGE_BYTES);
	m->page_bits = (uint64_t *)free_start;
	free_start += bits_bytes;
	if (free_start >= m->spans[0].end)
		return "too little RAM behind the image";
	zero_words(m->page_bits, bits_bytes / 8);
	m->pages -= (free_start - m->spans[0].start) / PAGE_BYTES;
	m->spans[0].start = free_start;
	return NULL;
}

uint64_t *memory_page(const struct memory *m, uint64_t page)
{
	const struct memory_span *s = m->spans;
	uint64_t offset = page * PAGE_BYTES;

	for (; offset >= s->end - s->start; s++)
		offset -= s->end - s->start;
	return (uint64_t *)(s->start + offset);
}

bool memory_page_may_be_used(const struct memory *m, uint64_t page)
{
	uint64_t at = (uintptr_t)memory_page(m, page);

	for (unsigned i = 0; i < m->span_count; i++)
		if (at < m->spans[i].end)
			return at < BOOT_MAPPED &&
			       m->spans[i].end - at <= FIRMWARE_SCRATCH;
	return false;
}
