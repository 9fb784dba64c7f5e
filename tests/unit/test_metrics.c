/* SPDX-License-Identifier: MIT */

/* What Prometheus reads, of samples that are made up. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/metrics.h"
#include "host/sample.h"

enum {
	PROMETHEUS_TAKES = 64 << 10, /* the first that it has room for */
	TURNS = 50,
	RENDER_US = 10000, /* at most, as the fastest of all turns */
};

static void fill(struct sample *s, unsigned cards, unsigned moves)
{
	memset(s, 0, sizeof(*s));
	s->wall_us = 1796000000000000;
	s->machines = s->guests = 100;
	for (unsigned i = 0; i < cards; i++) {
		struct sample_card *c = &s->cards[s->cards_count++];

		snprintf(c->name, sizeof(c->name), "enp%us0f%u", i / 2, i % 2);
		c->up = c->carrier = true;
		c->speed_mbit = 25000;
		memset(&c->count, 0x7f, sizeof(c->count));
	}
	for (unsigned i = 0; i < moves; i++) {
		struct sample_job *j = &s->jobs[s->jobs_count++];

		j->kind = JOB_MOVE;
		j->role = i % 2 ? ROLE_SOURCE : ROLE_DESTINATION;
		j->stage = "pre-copy";
		snprintf(j->machine, sizeof(j->machine),
			 "a-machine-with-a-name-that-is-not-short-%u", i);
		snprintf(j->peer, sizeof(j->peer), "host-%u.example.net", i);
		j->remaining = j->rate = j->dirty_rate = UINT64_MAX;
	}
	for (size_t i = 0; i < sizeof(s->ended.jobs) / sizeof(uint64_t); i++)
		(&s->ended.jobs[0][0][0][0])[i] = 1234567;
}

static size_t count_lines(const char *text, const char *begin)
{
	size_t n = 0;

	for (const char *at = text; at; at = strchr(at, '\n')) {
		at += *at == '\n';
		n += !strncmp(at, begin, strlen(begin));
	}
	return n;
}

/* The bar is of 100 machines and 8 moves; machines that do not move are a
 * number. */
static void its_size_and_time_are_bounded(void **state)
{
	struct sample *s = malloc(sizeof(*s));
	uint64_t best = UINT64_MAX;

	(void)state;
	assert_non_null(s);
	fill(s, 8, 8);
	for (int i = 0; i < TURNS; i++) {
		uint64_t begin = clock_us();
		char *text = metrics_text(s);

		assert_non_null(text);
		if (clock_us() - begin < best)
			best = clock_us() - begin;
		assert_in_range(strlen(text), 1000, PROMETHEUS_TAKES);
		assert_int_equal(count_lines(text,
					     "drover_move_remaining_bytes{"),
				 8);
		free(text);
	}
	print_message("8 cards, 8 moves: %llu us\n", (unsigned long long)best);
	assert_in_range(best, 0, RENDER_US);
	/* As much as there may be of everything. */
	fill(s, SAMPLE_CARDS, SAMPLE_JOBS);
	char *text = metrics_text(s);

	assert_non_null(text);
	assert_in_range(strlen(text), 1000, 4 * PROMETHEUS_TAKES);
	free(text);
	free(s);
}

static void what_moves_have_sent_is_there_by_its_form(void **state)
{
	struct sample *s = calloc(1, sizeof(*s));
	char *text;

	(void)state;
	assert_non_null(s);
	s->ended.flow.pages.of[RUN_DELTA] = 7;
	s->ended.flow.pages.of[RUN_PROOF] = 9; /* not a page that was sent */
	s->ended.flow.sent = 4096;
	text = metrics_text(s);
	assert_non_null(
		strstr(text, "\ndrover_pages_sent_total{kind=\"delta\"} 7\n"));
	assert_non_null(
		strstr(text, "\ndrover_pages_sent_total{kind=\"data\"} 0\n"));
	assert_int_equal(count_lines(text, "drover_pages_sent_total{"), 5);
	assert_non_null(
		strstr(text,
		       "\ndrover_sent_bytes_total{transport=\"tcp\"} 4096\n"));
	free(text);
	free(s);
}

static void the_qemu_is_there_once_it_is_known(void **state)
{
	struct sample *s = calloc(1, sizeof(*s));
	char *text;

	(void)state;
	assert_non_null(s);
	text = metrics_text(s);
	assert_int_equal(count_lines(text, "drover_qemu_info{"), 0);
	free(text);
	s->qemu_major = 7;
	s->qemu_minor = 2;
	s->qemu_micro = 15;
	text = metrics_text(s);
	assert_non_null(
		strstr(text, "\ndrover_qemu_info{version=\"7.2.15\"} 1\n"));
	free(text);
	free(s);
}

/* A name is a label, whatever is in it. */
static void labels_are_escaped(void **state)
{
	struct sample *s = malloc(sizeof(*s));
	char *text;

	(void)state;
	assert_non_null(s);
	fill(s, 1, 0);
	snprintf(s->cards[0].name, sizeof(s->cards[0].name), "a\"b\\c\nd");
	text = metrics_text(s);
	assert_non_null(
		strstr(text,
		       "\ndrover_card_up{device=\"a\\\"b\\\\c\\nd\"} 1\n"));
	free(text);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_size_and_time_are_bounded),
		cmocka_unit_test(what_moves_have_sent_is_there_by_its_form),
		cmocka_unit_test(the_qemu_is_there_once_it_is_known),
		cmocka_unit_test(labels_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
