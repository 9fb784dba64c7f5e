/* SPDX-License-Identifier: MIT */

/*
 * drover top: cards, moves and what waits, on the whole terminal.  This asks
 * the service and looks at keys; what is shown is top_draw()'s.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "cmd/client.h"
#include "cmd/command.h"
#include "cmd/output.h"
#include "cmd/screen.h"
#include "cmd/top_view.h"

enum {
	POINTS = 180, /* of a card's past, seconds */
	ASKED = 16,   /* what is typed as an interval */
	PATH = 160,
	TEXT = 256,
};

#define INTERVAL_US USEC_PER_SEC
#define INTERVAL_LEAST_US (USEC_PER_SEC / 5)
#define INTERVAL_MOST_US (3600 * USEC_PER_SEC)

struct top {
	struct call *call;
	struct top_state state;
	json_t *seen;
	uint64_t interval_us, next_us;
	uint64_t count; /* pictures; 0: no end */
	size_t end;     /* how far one can scroll */
	int rows;
	bool asking; /* for an interval */
	char asked[ASKED], question[TEXT];
	char clock[32], since[32], old[TEXT];
};

/* --- what the service says */

static json_t *means_of(const json_t *past)
{
	const json_t *points = output_find(past, "points");
	json_t *means = json_array();

	for (size_t i = 0; i < json_array_size(points); i++)
		json_array_append(means,
				  json_object_get(json_array_get(points, i),
						  "mean"));
	return means;
}

/* Its last @last points; an empty list where it is not kept. */
static int fetch_past(struct top *t, const char *name, int last, json_t **ret,
		      struct error *e)
{
	AUTO_JSON json_t *past = NULL;
	char path[PATH];
	int r;

	snprintf(path, sizeof(path), "/v1/history/%s?last=%d", name, last);
	r = client_get(t->call->client, path, &past, e);
	if (r < 0 && r != -EREMOTEIO)
		return r;
	*ret = means_of(past);
	return 0;
}

/* One that the sampler has not seen yet is there without a past. */
static int fetch_card(struct top *t, const json_t *nic, json_t *cards,
		      struct error *e)
{
	AUTO_JSON json_t *sent = NULL, *received = NULL;
	const char *name = output_string(nic, "name");
	char series[64];
	int r;

	if (!name || !strcmp(name, "lo"))
		return 0;
	snprintf(series, sizeof(series), "card.%.31s.transmit", name);
	if ((r = fetch_past(t, series, POINTS, &sent, e)) < 0)
		return r;
	snprintf(series, sizeof(series), "card.%.31s.receive", name);
	if ((r = fetch_past(t, series, POINTS, &received, e)) < 0)
		return r;
	if (json_array_size(sent) == 0)
		return 0;
	json_array_append_new(cards,
			      json_pack("{s:s,s:b,s:O?,s:O,s:O}", "name", name,
					"up",
					json_is_true(output_find(nic, "up")) &&
						json_is_true(
							output_find(nic,
								    "carrier")),
					"speed_mbit",
					output_find(nic, "speed_mbit"),
					"transmit", sent, "receive", received));
	return 0;
}

static int fetch_cards(struct top *t, json_t *seen, struct error *e)
{
	AUTO_JSON json_t *nics = NULL;
	json_t *cards = json_array();
	int r;

	json_object_set_new(seen, "cards", cards);
	r = client_get(t->call->client, "/v1/nics", &nics, e);
	for (size_t i = 0; r == 0 && i < json_array_size(nics); i++)
		r = fetch_card(t, json_array_get(nics, i), cards, e);
	return r;
}

/* The last that is known of the last few seconds. */
static int fetch_processors(struct top *t, json_t *seen, struct error *e)
{
	static const char *const whose[] = { "service", "guests" };
	char name[64];
	json_t *all = json_object();

	json_object_set_new(seen, "processors", all);
	for (size_t i = 0; i < ARRAY_SIZE(whose); i++) {
		AUTO_JSON json_t *means = NULL;
		json_t *value;
		size_t n;
		int r;

		snprintf(name, sizeof(name), "processors.%s", whose[i]);
		r = fetch_past(t, name, 3, &means, e);
		if (r < 0)
			return r;
		json_array_foreach (means, n, value)
			if (json_is_number(value))
				json_object_set(all, whose[i], value);
	}
	return 0;
}

static int fetch(struct top *t, struct error *e)
{
	static const char *const ways[][2] = {
		{ "host", "/v1/host" },
		{ "jobs", "/v1/jobs" },
		{ "hosts", "/v1/hosts" },
	};
	AUTO_JSON json_t *seen = json_object();
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ways) && r == 0; i++) {
		json_t *answer = NULL;

		r = client_get(t->call->client, ways[i][1], &answer, e);
		if (r == 0)
			json_object_set_new(seen, ways[i][0], answer);
		/* A service of before knows no hosts. */
		else if (r == -EREMOTEIO && i == ARRAY_SIZE(ways) - 1)
			r = 0;
	}
	if (r == 0)
		r = fetch_cards(t, seen, e);
	if (r == 0)
		r = fetch_processors(t, seen, e);
	if (r < 0)
		return r;
	json_decref(t->seen);
	t->seen = take_ptr(&seen);
	t->state.seen = t->seen;
	return 0;
}

static void say_time(char *buf, size_t cap)
{
	time_t now = (time_t)(clock_wall_us() / USEC_PER_SEC);
	struct tm tm;

	if (!localtime_r(&now, &tm) || strftime(buf, cap, "%T", &tm) == 0)
		snprintf(buf, cap, "?");
}

/* What was seen stays, and says so, when the service is away.  Negative: it
 * never was there. */
static int look(struct top *t, struct error *e)
{
	int r = fetch(t, e);

	if (r < 0 && !t->seen)
		return r;
	say_time(t->clock, sizeof(t->clock));
	if (r == 0) {
		snprintf(t->since, sizeof(t->since), "%s", t->clock);
		t->state.old = NULL;
	} else {
		snprintf(t->old, sizeof(t->old), "of %s: %s", t->since,
			 e->text);
		t->state.old = t->old;
	}
	return 0;
}

/* --- lines for a pipe */

static void print(struct top *t, int width)
{
	struct page p = { .width = width, .ascii = !screen_is_utf8() };

	top_draw(&p, &t->state, 0);
	for (size_t i = 0; i < p.count; i++) {
		struct page_line *l = &p.lines[i];

		while (l->len > 0 && l->text[l->len - 1] == ' ')
			l->text[--l->len] = '\0';
		puts(l->text);
	}
	fflush(stdout);
	page_done(&p);
}

static int run_lines(struct top *t, struct error *e)
{
	const struct timespec pause = {
		(time_t)(t->interval_us / USEC_PER_SEC),
		(long)(t->interval_us % USEC_PER_SEC * 1000),
	};
	int columns, rows, r;

	screen_size(&columns, &rows);
	for (uint64_t n = t->count ? t->count : 1; n > 0; n--) {
		if ((r = look(t, e)) < 0)
			return r;
		if (t->call->json)
			output_json_line(stdout, t->seen);
		else
			print(t, columns);
		if (ferror(stdout))
			return 0;
		if (n > 1 && !t->call->json)
			putchar('\n');
		if (n > 1)
			nanosleep(&pause, NULL);
	}
	return 0;
}

/* --- the whole terminal */

static void draw(struct top *t)
{
	struct page p = { .ascii = !screen_is_utf8() };

	screen_size(&p.width, &t->rows);
	snprintf(t->question, sizeof(t->question),
		 "Interval, as 2s or 500ms, then Enter: %s_", t->asked);
	t->state.asks = t->asking ? t->question : NULL;
	t->end = top_draw(&p, &t->state, t->rows);
	if (t->state.first > t->end)
		t->state.first = t->end;
	screen_show(&p);
	page_done(&p);
}

static void set_interval(struct top *t, uint64_t us)
{
	if (us < INTERVAL_LEAST_US)
		us = INTERVAL_LEAST_US;
	t->interval_us = us < INTERVAL_MOST_US ? us : INTERVAL_MOST_US;
	t->state.interval = (double)t->interval_us / USEC_PER_SEC;
	t->next_us = clock_us() + t->interval_us;
}

/* What is typed while an interval is asked for. */
static void type(struct top *t, int key)
{
	size_t len = strlen(t->asked);
	struct error ignored;
	uint64_t us;

	if (key == '\n' || key == '\r') {
		if (text_parse_duration(&us, t->asked, &ignored) == 0)
			set_interval(t, us);
		t->asking = false;
	} else if (key == TYPED_ESCAPE) {
		t->asking = false;
	} else if (key == '\b' || key == 0x7f) {
		t->asked[len ? len - 1 : 0] = '\0';
	} else if (key > ' ' && key < 0x7f && len + 1 < sizeof(t->asked)) {
		t->asked[len] = (char)key;
		t->asked[len + 1] = '\0';
	}
}

static void scroll(struct top *t, int key)
{
	size_t page = t->rows > 6 ? (size_t)t->rows - 5 : 1;
	size_t at = t->state.first;

	if (key == TYPED_UP || key == TYPED_PAGE_UP) {
		size_t by = key == TYPED_UP ? 1 : page;

		t->state.first = at > by ? at - by : 0;
	} else if (key == TYPED_HOME) {
		t->state.first = 0;
	} else if (key == TYPED_END) {
		t->state.first = t->end;
	} else {
		at += key == TYPED_DOWN ? 1 : page;
		t->state.first = at < t->end ? at : t->end;
	}
}

static void sort(struct top *t, int by)
{
	t->state.sort =
		(enum top_sort)((t->state.sort + TOP_SORTS + by) % TOP_SORTS);
}

static void ask(struct top *t)
{
	t->asking = true;
	t->asked[0] = '\0';
}

static void press(struct top *t, int key)
{
	if (t->asking)
		type(t, key);
	else if (key == 's' || key == 'd')
		ask(t);
	else if (key == '<' || key == '>')
		sort(t, key == '<' ? -1 : 1);
	else if (key == 'r' || key == 'R')
		t->state.reverse = !t->state.reverse;
	else if (key == 'b')
		t->state.bytes = !t->state.bytes;
	else if (key == ' ')
		t->state.paused = !t->state.paused;
	else if (key == 'h' || key == '?' || (t->state.help && key == 'q'))
		t->state.help = !t->state.help;
	else if (key == '+')
		set_interval(t, t->interval_us * 2);
	else if (key == '-')
		set_interval(t, t->interval_us / 2);
	else if (key >= TYPED_UP && key <= TYPED_END)
		scroll(t, key);
}

static bool is_last(const struct top *t, int key)
{
	if (key == TYPED_GONE)
		return true;
	return !t->asking && !t->state.help && (key == 'q' || key == 'Q');
}

/* True: it shall end. */
static bool wait_for_key(struct top *t)
{
	int key =
		screen_key(t->state.paused ? 1000 : clock_poll_ms(t->next_us));

	if (is_last(t, key))
		return true;
	press(t, key); /* that nobody typed does nothing */
	return false;
}

static int run_screen(struct top *t, struct error *e)
{
	uint64_t shown = 0;
	int r;

	/* Why it does not work at all belongs onto the terminal as it was. */
	if ((r = look(t, e)) < 0 || (r = screen_open(e)) < 0)
		return r;
	t->next_us = clock_us() + t->interval_us;
	for (;;) {
		draw(t);
		if (wait_for_key(t))
			break;
		if (t->state.paused || clock_us() < t->next_us)
			continue;
		if (t->count && ++shown >= t->count)
			break;
		t->next_us = clock_us() + t->interval_us;
		look(t, e);
	}
	screen_close();
	return 0;
}

enum { OPTION_ONCE, OPTION_INTERVAL, OPTION_COUNT, OPTION_BYTES };

static const struct command_option top_options[] = {
	[OPTION_ONCE] = { "once", NULL, "print it once, as without a terminal",
			  false, NULL },
	[OPTION_INTERVAL] = { "interval", "DURATION",
			      "look so often: 200ms to 1h; default: 1s", false,
			      NULL },
	[OPTION_COUNT] = { "count", "NUMBER", "end after so many looks", false,
			   NULL },
	[OPTION_BYTES] = { "bytes", NULL, "cards in bytes a second, not bits",
			   false, NULL },
	{ NULL, NULL, NULL, false, NULL },
};

static int parse(struct top *t, const struct call *c, struct error *e)
{
	const char *interval = c->options[OPTION_INTERVAL];
	const char *count = c->options[OPTION_COUNT];
	uint64_t us = INTERVAL_US;
	int r;

	if (interval) {
		r = text_parse_duration(&us, interval, e);
		if (r == 0 && (us < INTERVAL_LEAST_US || us > INTERVAL_MOST_US))
			r = error_set(e, EINVAL,
				      "%.32s is not from 200ms to 1h",
				      interval);
		if (r < 0)
			return error_in(e, "--interval");
	}
	if (count && text_parse_number(&t->count, count, 1, 1000000, e) < 0)
		return error_in(e, "--count");
	set_interval(t, us);
	t->state.bytes = c->options[OPTION_BYTES] != NULL;
	return 0;
}

static int run_top(struct call *c, struct error *e)
{
	struct top t = { .call = c };
	int r;

	t.state.clock = t.clock;
	if ((r = parse(&t, c, e)) < 0)
		return r;
	if (c->json || c->options[OPTION_ONCE] || !screen_is_there())
		r = run_lines(&t, e);
	else
		r = run_screen(&t, e);
	json_decref(t.seen);
	return r;
}

const struct command top_commands[] = {
	{ NULL, "top", "", "Shows cards, moves and what waits, as they go",
	  "On the whole terminal; q leaves, h says what other keys do.  "
	  "Without\n"
	  "a terminal that can, or with --once, it is printed once.",
	  top_options, run_top },
	{ NULL, NULL, NULL, NULL, NULL, NULL, NULL },
};
