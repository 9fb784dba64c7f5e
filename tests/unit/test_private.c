/* SPDX-License-Identifier: MIT */

/* Memory that another process has for itself: found, proved, written.  The
 * other process is a child of this one, a QEMU by its arguments. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "pages/maps.h"
#include "pages/memory.h"
#include "wire/frame.h"

enum {
	MIB = 1 << 20,
	PAGE = MEMORY_PAGE,
	LEN = 4 * MIB,
	PLACES = 3,
	HOLDS = 5 * PAGE, /* where the page is that QEMU has loaded */
};

static void mappings_of_a_length_are_found_in_the_text(void **state)
{
	static const char text[] =
		"55d0c0000000-55d0c0400000 rw-p 00000000 00:00 0       [heap]\n"
		"7f0000000000-7f0000400000 rw-p 00000000 00:00 0 \n"
		"7f0000400000-7f0000401000 ---p 00000000 00:00 0 \n"
		"7f0001000000-7f0001400000 rw-s 00000000 00:01 9   /memfd:x\n"
		"7f0002000000-7f0002400000 rw-p 00000000 08:01 7   /lib/x\n"
		"7f0003000000-7f0003400000 r--p 00000000 00:00 0 \n"
		"7f0004000000-7f0004400000 rw-p 00000000 00:00 0 [anon:ram]\n"
		"7f0005000000-7f0005401000 rw-p 00000000 00:00 0 \n"
		"7f0006000000-7f0006400000 rw-p 00000000 00:00 0";
	uint64_t at[MAPS_FOUND_MAX];

	(void)state;
	assert_int_equal(maps_find(text, LEN, at), 3);
	assert_int_equal(at[0], 0x7f0000000000);
	assert_int_equal(at[1], 0x7f0004000000);
	assert_int_equal(at[2], 0x7f0006000000);
	assert_int_equal(maps_find(text, MIB, at), 0);
	assert_int_equal(maps_find("", LEN, at), 0);
	assert_int_equal(maps_find("no map\n\n7f-", LEN, at), 0);
}

static void more_mappings_than_can_be_told_are_only_counted(void **state)
{
	enum { LINES = MAPS_FOUND_MAX + 6, LINE = 48 };
	static char text[LINES * LINE + 1];
	uint64_t at[MAPS_FOUND_MAX];

	(void)state;
	for (unsigned i = 0; i < LINES; i++)
		snprintf(text + strlen(text), LINE + 1,
			 "%x000-%x000 rw-p 00000000 00:00 0\n", 2 * i + 1,
			 2 * i + 2);
	assert_int_equal(maps_find(text, PAGE, at), LINES);
}

/* --- a process */

static const char *const arguments[] = {
	"qemu",
	"-machine",
	"pc,memory-backend=ram",
	"-object",
	"memory-backend-ram,id=ram,size=4M",
	NULL,
};

struct process {
	pid_t pid;
	int to, from;
	uint8_t *at[PLACES]; /* of its mappings of the block's length */
};

static void fill(uint8_t *page, int seed)
{
	for (int i = 0; i < PAGE; i++)
		page[i] = (uint8_t)(i * seed + i / 251);
}

/* Each with a page that nobody may touch behind it, as QEMU has them. */
static uint8_t *map_block(void)
{
	uint8_t *p = mmap(NULL, LEN + PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mmap(p, LEN, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* A byte for each mapping says whether the page is put there; afterwards each
 * byte that comes is answered with what stands at the end of that mapping. */
static int be_qemu(void)
{
	uint8_t *at[PLACES];
	char has[PLACES];
	uint8_t which;

	for (int i = 0; i < PLACES; i++)
		at[i] = map_block();
	if (read(STDIN_FILENO, has, PLACES) != PLACES)
		return 1;
	for (int i = 0; i < PLACES; i++)
		if (has[i] == '1')
			fill(at[i] + HOLDS, 7);
	if (write(STDOUT_FILENO, at, sizeof(at)) != sizeof(at))
		return 1;
	while (read(STDIN_FILENO, &which, 1) == 1)
		if (write(STDOUT_FILENO, at[which] + LEN - PAGE, 1) != 1)
			return 1;
	return 0;
}

static struct process process_start(const char *has)
{
	struct process p;
	int to[2], from[2];

	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	p.pid = fork();
	if (p.pid == 0) {
		dup2(to[0], STDIN_FILENO);
		dup2(from[1], STDOUT_FILENO);
		execv("/proc/self/exe", (char **)(uintptr_t)arguments);
		_exit(1);
	}
	close(to[0]);
	close(from[1]);
	p.to = to[1];
	p.from = from[0];
	assert_int_equal(write(p.to, has, PLACES), PLACES);
	assert_int_equal(read(p.from, p.at, sizeof(p.at)), sizeof(p.at));
	return p;
}

static uint8_t last_page_of(const struct process *p, uint8_t which)
{
	uint8_t byte;

	assert_int_equal(write(p->to, &which, 1), 1);
	assert_int_equal(read(p->from, &byte, 1), 1);
	return byte;
}

static void process_end(struct process *p)
{
	int status;

	close(p->to);
	close(p->from);
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
}

static struct guest_memory *memory_in(const struct process *p,
				      enum memory_of of)
{
	struct guest_memory *m;
	struct error e;

	if (memory_of_process(&m, p->pid, of, &e) < 0)
		fail_msg("%s", e.text);
	return m;
}

static enum memory_proof prove(struct guest_memory *m, struct error *why)
{
	uint8_t page[PAGE];
	struct error e;

	fill(page, 7);
	assert_int_equal(memory_expect(m, 0, HOLDS, page_sum(page), &e), 0);
	return memory_prove(m, 0, why);
}

static int write_last(struct guest_memory *m, struct error *e)
{
	uint8_t page[PAGE];

	memset(page, 0xa5, PAGE);
	return memory_write(m, 0, LEN - PAGE, page, PAGE, e);
}

static int read_last(struct guest_memory *m, struct error *e)
{
	uint8_t page[PAGE];

	return memory_read(m, 0, LEN - PAGE, page, PAGE, e);
}

static void assert_is_written_once_proved(enum memory_of of)
{
	struct process p = process_start("010");
	struct guest_memory *m = memory_in(&p, of);
	uint8_t got[2 * PAGE], page[PAGE];
	struct error e;

	assert_int_equal(memory_blocks(m), 1);
	assert_string_equal(memory_block(m, 0)->name, "ram");
	assert_true(memory_block(m, 0)->asks_proof);
	assert_int_equal(write_last(m, &e), -EBADMSG);
	assert_string_equal(e.text,
			    "a page of ram before its address is proved");
	assert_int_equal(prove(m, &e), MEMORY_PROVED);
	assert_int_equal(write_last(m, &e), 0);
	assert_int_equal(last_page_of(&p, 0), 0);
	assert_int_equal(last_page_of(&p, 1), 0xa5);
	assert_int_equal(last_page_of(&p, 2), 0);
	/* What was there before the proof is known, and so are zeros. */
	assert_int_equal(memory_read(m, 0, HOLDS, got, 2 * PAGE, &e), 0);
	fill(page, 7);
	assert_memory_equal(got, page, PAGE);
	assert_int_equal(memory_zero(m, 0, 0, LEN, &e), 0);
	assert_int_equal(last_page_of(&p, 1), 0);
	memory_free(m);
	process_end(&p);
}

static void a_childs_memory_is_written_once_its_address_is_proved(void **state)
{
	(void)state;
	assert_is_written_once_proved(MEMORY_OF_CHILD);
}

static void a_strangers_memory_is_written_the_same(void **state)
{
	(void)state;
	assert_is_written_once_proved(MEMORY_OF_STRANGER);
}

static void pieces_of_one_call_all_arrive(void **state)
{
	enum { N = 60 };
	struct process p = process_start("100");
	struct guest_memory *m = memory_in(&p, MEMORY_OF_CHILD);
	uint8_t(*pages)[PAGE] = calloc(N, PAGE), got[PAGE];
	struct memory_piece piece[N];
	struct error e;

	(void)state;
	assert_int_equal(prove(m, &e), MEMORY_PROVED);
	for (uint64_t i = 0; i < N; i++) {
		memset(pages[i], (int)i + 1, PAGE);
		piece[i] = (struct memory_piece){ (2 * i + 8) * PAGE, pages[i],
						  PAGE };
	}
	assert_int_equal(memory_write_pieces(m, 0, piece, N, &e), 0);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(memory_read(m, 0, piece[i].offset, got, PAGE,
					     &e),
				 0);
		assert_memory_equal(got, pages[i], PAGE);
		assert_int_equal(memory_read(m, 0, piece[i].offset + PAGE, got,
					     PAGE, &e),
				 0);
		assert_int_equal(got[0], 0);
	}
	free(pages);
	memory_free(m);
	process_end(&p);
}

/* Nothing of it is ever written: neither before nor behind the page that was
 * looked for. */
static void assert_never_written(struct process *p, enum memory_proof expected,
				 const char *why)
{
	struct guest_memory *m = memory_in(p, MEMORY_OF_CHILD);
	struct error e;

	assert_int_equal(prove(m, &e), expected);
	assert_non_null(strstr(e.text, why));
	assert_int_equal(write_last(m, &e), -EBADMSG);
	for (uint8_t i = 0; i < PLACES; i++)
		assert_int_equal(last_page_of(p, i), 0);
	memory_free(m);
	process_end(p);
}

static void two_places_that_look_alike_are_not_written(void **state)
{
	struct process p = process_start("011");

	(void)state;
	assert_never_written(&p, MEMORY_AMBIGUOUS,
			     "have the page of ram that QEMU has loaded");
}

static void a_place_without_the_page_is_not_written(void **state)
{
	struct process p = process_start("000");

	(void)state;
	assert_never_written(&p, MEMORY_NOWHERE, "no mapping of process ");
}

static void without_a_page_that_was_named_nothing_is_proved(void **state)
{
	struct process p = process_start("100");
	struct guest_memory *m = memory_in(&p, MEMORY_OF_CHILD);
	struct error e;

	(void)state;
	assert_int_equal(memory_prove(m, 0, &e), MEMORY_NOWHERE);
	assert_int_equal(write_last(m, &e), -EBADMSG);
	memory_free(m);
	process_end(&p);
}

/* A sealed one may be waited for: whoever has its id then is not written to. */
static void after_the_seal_nothing_is_written(void **state)
{
	struct process p = process_start("100");
	struct guest_memory *m = memory_in(&p, MEMORY_OF_CHILD);
	struct error e;

	(void)state;
	assert_int_equal(prove(m, &e), MEMORY_PROVED);
	memory_seal(m);
	assert_int_equal(write_last(m, &e), 0);
	assert_int_equal(last_page_of(&p, 0), 0);
	assert_int_equal(read_last(m, &e), -ESRCH);
	assert_string_equal(e.text, "ram: its QEMU has been ended");
	memory_free(m);
	process_end(&p);
}

static void assert_end_is_in_words(enum memory_of of)
{
	struct process p = process_start("100");
	struct guest_memory *m = memory_in(&p, of);
	struct error e;

	assert_int_equal(prove(m, &e), MEMORY_PROVED);
	assert_int_equal(kill(p.pid, SIGKILL), 0);
	/* What comes goes nowhere.  A child that nobody waited for keeps its
	 * id. */
	do
		assert_int_equal(write_last(m, &e), 0);
	while (read_last(m, &e) == 0);
	assert_int_equal(e.code, ESRCH);
	assert_string_equal(e.text, "read 4.0 KiB of ram at 0x3ff000: No such "
				    "process");
	memory_free(m);
	process_end(&p);
}

static void a_process_that_ends_takes_what_comes_and_has_nothing(void **state)
{
	(void)state;
	assert_end_is_in_words(MEMORY_OF_CHILD);
	assert_end_is_in_words(MEMORY_OF_STRANGER);
}

/* The id is another's by then: /proc/PID/mem is still the first one's. */
static void a_process_that_took_over_the_id_is_not_written(void **state)
{
	struct process p = process_start("100");
	struct guest_memory *m = memory_in(&p, MEMORY_OF_STRANGER);
	struct error e;

	(void)state;
	assert_int_equal(prove(m, &e), MEMORY_PROVED);
	kill(p.pid, SIGKILL);
	process_end(&p);
	assert_int_equal(write_last(m, &e), 0);
	assert_int_equal(read_last(m, &e), -ESRCH);
	memory_free(m);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mappings_of_a_length_are_found_in_the_text),
		cmocka_unit_test(
			more_mappings_than_can_be_told_are_only_counted),
		cmocka_unit_test(
			a_childs_memory_is_written_once_its_address_is_proved),
		cmocka_unit_test(a_strangers_memory_is_written_the_same),
		cmocka_unit_test(pieces_of_one_call_all_arrive),
		cmocka_unit_test(two_places_that_look_alike_are_not_written),
		cmocka_unit_test(a_place_without_the_page_is_not_written),
		cmocka_unit_test(
			without_a_page_that_was_named_nothing_is_proved),
		cmocka_unit_test(after_the_seal_nothing_is_written),
		cmocka_unit_test(
			a_process_that_ends_takes_what_comes_and_has_nothing),
		cmocka_unit_test(
			a_process_that_took_over_the_id_is_not_written),
	};

	if (argc > 1 && !strcmp(argv[0], arguments[0]))
		return be_qemu();
	return cmocka_run_group_tests_name("private", tests, NULL, NULL);
}
