/* SPDX-License-Identifier: MIT */
/*
 * The stress guest: fills memory, dirties it at a steady rate, checks it all
 * the time, and says on the serial line how it is. One thread, no heap; it can
 * be stopped at any instruction and go on elsewhere.
 *
 * The loop does what is due, a few pages of each kind of work at a time so
 * that heartbeats are on time on a busy processor, and halts when nothing is.
 */
#include <stdint.h>

#include "clock.h"
#include "cmdline.h"
#include "console.h"
#include "content.h"
#include "memory.h"
#include "pace.h"
#include "power.h"
#include "reads.h"
#include "store.h"
#include "trap.h"

#define DIRTY_SLICE_MS 4
#define VERIFY_SLICE_MS 16
#define PAGES_PER_TURN 16

struct heartbeat {
	uint64_t start;
	uint64_t next;
	uint64_t period_ms;
};

__attribute__((noreturn)) void guest_main(const struct start_info *info);

static struct memory memory;
static struct store store;
static struct settings settings;

__attribute__((noreturn)) static void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

static uint64_t ms_since(uint64_t start)
{
	return (clock_now() - start) / clock_ticks_per_ms();
}

static void heartbeat_init(struct heartbeat *h, uint64_t period_ms)
{
	h->start = clock_now();
	h->period_ms = period_ms;
	h->next = h->start + period_ms * clock_ticks_per_ms();
}

/* Beat k is due at k periods, so they never drift; one that was missed is
 * left out, which shows as a gap in the numbers. */
static void heartbeat_do(struct heartbeat *h, const struct store *s)
{
	uint64_t ms = ms_since(h->start);
	uint64_t beat = ms / h->period_ms;

	console_print("hb %lu t=%lu verified=%lu dirtied=%lu gen=%lu "
		      "corrupt=%lu\n",
		      beat, ms, s->verified, store_dirtied(), store_round(s),
		      s->corrupt);
	h->next = h->start + (beat + 1) * h->period_ms * clock_ticks_per_ms();
}

static void work_do(struct pace *p, struct store *s,
		    void (*one)(struct store *))
{
	uint64_t now = clock_now();

	for (unsigned i = 0; i < PAGES_PER_TURN && pace_take(p, now); i++)
		one(s);
}

/*
 * QEMU's emulator notices the first store to a page since its dirty log was
 * read only if that also reset its translation cache, which was forgotten
 * until "system/physmem: Fix migration dirty bitmap coherency with TCG memory
 * access" (February 2024). Pages that are in the cache all the time, the stack
 * and the variables, were then not sent again: in 13 of 25 migrations with
 * QEMU 7.2 the guest continued on an old stack. An empty cache cannot be out
 * of date.
 */
static void translation_cache_empty(void)
{
	uint64_t root;

	__asm__ volatile("mov %%cr3, %0; mov %0, %%cr3"
			 : "=r"(root)
			 :
			 : "memory");
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

__attribute__((noreturn)) static void run(struct store *s,
					  const struct settings *set)
{
	struct heartbeat beat;
	struct pace dirty, verify;
	struct reads reads;

	heartbeat_init(&beat, set->heartbeat_ms);
	pace_init(&dirty, set->dirty_bytes_per_s, DIRTY_SLICE_MS);
	pace_init(&verify, set->verify_bytes_per_s, VERIFY_SLICE_MS);
	reads_init(&reads, s->memory, s->pages, set->reads);
	for (;;) {
		uint64_t now;

		translation_cache_empty();
		if (clock_now() >= beat.next) {
			heartbeat_do(&beat, s);
			power_look();
		}
		work_do(&dirty, s, store_dirty_next);
		work_do(&verify, s, store_check_next);
		/* They leave no time to sleep. */
		if (reads.loop > 0) {
			reads_do(&reads);
			continue;
		}

		now = clock_now();
		clock_sleep(min(beat.next, min(pace_wake(&dirty, now),
					       pace_wake(&verify, now))));
	}
}

static void stop_if(const char *wrong)
{
	if (!wrong)
		return;
	console_print("drover-stress: %s\n", wrong);
	halt();
}

void guest_main(const struct start_info *info)
{
	uint64_t start = clock_now();

	console_init();
	trap_init();
	clock_init();
	content_init();
	if (!cmdline_read(&settings, (const char *)info->command_line))
		halt();
	stop_if(memory_init(&memory, info));
	content_set_file(memory.module, memory.module_bytes);
	stop_if(store_init(&store, &memory, &settings));
	if (!settings.ignore_button)
		power_init();
	if (store.hot == 0)
		settings.dirty_bytes_per_s = 0;

	uint64_t fill_start = clock_now();

	store_fill(&store);
	console_print("drover-stress ready pages=%lu content=%s rate=%lu "
		      "hot=%lu zero=%lu touch=%s base=0x%lx init_ms=%lu "
		      "fill_ms=%lu\n",
		      store.pages, store.content->name,
		      settings.dirty_bytes_per_s, store.hot, store.zero_pages,
		      store.touch_few ? "few" : "page",
		      (uint64_t)(uintptr_t)memory_page(&memory, 0),
		      (fill_start - start) / clock_ticks_per_ms(),
		      ms_since(fill_start));
	run(&store, &settings);
}
