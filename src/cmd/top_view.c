/* SPDX-License-Identifier: MIT */

/*
 *     drover top  alpha  12:00:01 ...         the head stays
 *     CARD   LINK   SENT [bar] history  ...   from here on it scrolls
 *     MOVE   ...    and under each why it is as it is
 *     WAITS  ...
 *     ENDED  ...
 *     HOST   what the peers told last
 *     q quit  h help ...                      the keys stay
 *
 * All histories have one axis: a card that carries half as much as another is
 * half as high.
 */
#include "cmd/top_view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/output.h"
#include "cmd/progress.h"

enum { CELL = 40, RANKS = 9, ENDED_SHOWN = 5, BAR_LEAST = 12, BAR_MOST = 42 };

static const char *const top_sort_names[TOP_SORTS] = {
	[TOP_BY_NAME] = "name",
	[TOP_BY_RATE] = "rate",
	[TOP_BY_LEFT] = "time left",
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = output_string(object, key);

	return text ? text : "-";
}

static void rate_text(char *buf, size_t cap, double rate, bool bytes)
{
	if (isnan(rate))
		snprintf(buf, cap, "-");
	else if (bytes)
		progress_bytes(buf, cap, rate);
	else
		progress_bits(buf, cap, rate);
}

/* --- order */

struct order {
	const struct top_state *s;
	double (*rate)(const json_t *item);
	const char *name; /* the key of it */
};

static double card_rate(const json_t *card);

static double job_rate(const json_t *job)
{
	return output_number(job, "progress.rate");
}

/* What is not known comes last. */
static double job_left(const json_t *job)
{
	const json_t *ms = output_find(job, "progress.time_left_ms");

	return json_is_number(ms) ? json_number_value(ms) : HUGE_VAL;
}

static int compare(const void *a, const void *b, void *with)
{
	const struct order *o = with;
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	double p = 0, q = 0;
	int way = 0;

	if (o->s->sort == TOP_BY_RATE) {
		p = -o->rate(x);
		q = -o->rate(y);
	} else if (o->s->sort == TOP_BY_LEFT) {
		p = job_left(x);
		q = job_left(y);
	}
	way = (p > q) - (p < q);
	if (way == 0)
		way = strcmp(text_of(x, o->name), text_of(y, o->name));
	return o->s->reverse ? -way : way;
}

enum kind { KIND_RUNS, KIND_WAITS, KIND_ENDED };

static enum kind kind_of(const json_t *job)
{
	const char *state = output_string(job, "state");

	if (state && strcmp(state, "running") != 0 &&
	    strcmp(state, "in-doubt") != 0)
		return KIND_ENDED;
	return json_is_object(output_find(job, "queue")) ? KIND_WAITS
							 : KIND_RUNS;
}

/* A list of its own, in order. */
static json_t *sorted(const json_t *all, struct order o)
{
	size_t n = json_array_size(all);
	json_t **items = calloc(n + 1, sizeof(json_t *));
	json_t *list = json_array();

	for (size_t i = 0; items && i < n; i++)
		items[i] = json_array_get(all, i);
	if (items && n > 1)
		qsort_r(items, n, sizeof(json_t *), compare, &o);
	for (size_t i = 0; items && i < n; i++)
		json_array_append(list, items[i]);
	free(items);
	return list;
}

static size_t count_kind(const json_t *jobs, enum kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(jobs); i++)
		n += kind_of(json_array_get(jobs, i)) == kind;
	return n;
}

/* --- cards */

static const char *const directions[] = { "transmit", "receive" };

/* NAN: a gap. */
static double point(const json_t *list, size_t i)
{
	const json_t *p = json_array_get(list, i);

	return json_is_number(p) ? json_number_value(p) : NAN;
}

static double last_point(const json_t *card, const char *direction)
{
	const json_t *list = output_find(card, direction);
	size_t n = json_array_size(list);

	return n > 0 ? point(list, n - 1) : NAN;
}

static double card_rate(const json_t *card)
{
	double sum = 0;

	for (size_t d = 0; d < ARRAY_SIZE(directions); d++)
		if (!isnan(last_point(card, directions[d])))
			sum += last_point(card, directions[d]);
	return sum;
}

/* How the columns of a card share the width. */
struct plan {
	int name, bar, past; /* bar, past: of each direction; 0: none */
};

enum { LINK = 6, RATE = 6, AXIS_LEAST = 1250 };

static struct plan plan_cards(int width)
{
	struct plan p = { .name = width >= 100 ? 16 : width >= 60 ? 11 : 8 };
	int each = (width - p.name - LINK) / 2 - RATE - 2;

	if (each >= 20)
		p.bar = each >= 60 ? 16 : 10;
	p.past = each - (p.bar ? p.bar + 1 : 0);
	if (p.past < 4)
		p.past = 0;
	return p;
}

/* The most that any of them has carried in what is shown.  A card that is as
 * good as idle looks so. */
static double axis_of(const json_t *cards, int past)
{
	double most = AXIS_LEAST;

	for (size_t i = 0; i < json_array_size(cards); i++)
		for (size_t d = 0; d < ARRAY_SIZE(directions); d++) {
			const json_t *list =
				output_find(json_array_get(cards, i),
					    directions[d]);
			size_t n = json_array_size(list), at = 0;

			if (n > (size_t)past)
				at = n - (size_t)past;
			for (; at < n; at++)
				most = fmax(most, point(list, at));
		}
	return most;
}

static void put_past(struct page *p, const json_t *list, int past, double axis)
{
	int n = (int)json_array_size(list);

	for (int i = n - past; i < n; i++)
		page_height(p, i < 0 ? NAN : point(list, (size_t)i) / axis);
}

static void put_direction(struct page *p, const struct plan *at,
			  const json_t *card, const char *direction,
			  const struct top_state *s, double axis)
{
	double now = last_point(card, direction);
	double speed = output_number(card, "speed_mbit") * 125000;
	char rate[CELL];

	rate_text(rate, sizeof(rate), now, s->bytes);
	page_cell(p, RATE, rate);
	page_text(p, " ");
	if (at->bar && speed > 0)
		page_bar(p, at->bar, isnan(now) ? 0 : now / speed);
	else if (at->bar)
		page_cell(p, -at->bar, "");
	if (at->bar)
		page_text(p, " ");
	put_past(p, output_find(card, direction), at->past, axis);
	page_text(p, " ");
}

static void put_card(struct page *p, const struct plan *at, const json_t *card,
		     const struct top_state *s, double axis)
{
	bool up = json_is_true(output_find(card, "up"));
	double speed = output_number(card, "speed_mbit") * 125000;
	char link[CELL];

	rate_text(link, sizeof(link), speed > 0 ? speed : NAN, s->bytes);
	page_line(p, up ? PAGE_PLAIN : PAGE_ALARM);
	page_cell(p, -at->name, text_of(card, "name"));
	page_cell(p, LINK - 1, up ? link : "DOWN");
	page_text(p, " ");
	for (size_t d = 0; d < ARRAY_SIZE(directions); d++)
		put_direction(p, at, card, directions[d], s, axis);
}

static void put_card_head(struct page *p, const struct plan *at, double axis,
			  bool bytes)
{
	static const char *const titles[] = { "SENT", "RECVD" };
	const int room = (at->bar ? at->bar + 1 : 0) + at->past + 1;
	char most[CELL], full[CELL];

	rate_text(most, sizeof(most), axis, bytes);
	snprintf(full, sizeof(full), "%d s, full %s%s", at->past, most,
		 bytes ? "B/s" : "bit/s");
	page_line(p, PAGE_HEAD);
	page_cell(p, -at->name, "CARD");
	page_cell(p, LINK - 1, bytes ? "B/s" : "bit/s");
	page_text(p, " ");
	for (size_t d = 0; d < ARRAY_SIZE(titles); d++) {
		page_cell(p, RATE, titles[d]);
		page_text(p, " ");
		page_cell(p, -room,
			  d == 0 && (int)strlen(full) <= room ? full : "");
	}
	page_cell(p, -page_left(p), "");
}

static void put_cards(struct page *p, const struct top_state *s)
{
	const struct plan at = plan_cards(p->width);
	json_t *cards = sorted(output_find(s->seen, "cards"),
			       (struct order){ s, card_rate, "name" });
	double axis = axis_of(cards, at.past);

	put_card_head(p, &at, axis, s->bytes);
	for (size_t i = 0; i < json_array_size(cards); i++)
		put_card(p, &at, json_array_get(cards, i), s, axis);
	if (json_array_size(cards) == 0) {
		page_line(p, PAGE_PLAIN);
		page_text(p, "No card has been seen yet.");
	}
	json_decref(cards);
}

/* --- tables of jobs */

typedef void fill_fn(char buf[static CELL], const json_t *row, const char *key);

struct column {
	const char *title;
	const char *key; /* "memory.total" looks inside */
	int width;       /* negative: at the left */
	int rank;        /* the highest goes first where there is no room */
	fill_fn *fill;
};

static void fill_text(char buf[static CELL], const json_t *row, const char *key)
{
	snprintf(buf, CELL, "%s", text_of(row, key));
}

static void fill_number(char buf[static CELL], const json_t *row,
			const char *key)
{
	snprintf(buf, CELL, "%.0f", output_number(row, key));
}

static void fill_bytes(char buf[static CELL], const json_t *row,
		       const char *key)
{
	progress_bytes(buf, CELL, output_number(row, key));
}

static void fill_percent(char buf[static CELL], const json_t *row,
			 const char *key)
{
	snprintf(buf, CELL, "%.0f%%", output_number(row, key));
}

/* Of a share of 1. */
static void fill_share(char buf[static CELL], const json_t *row,
		       const char *key)
{
	snprintf(buf, CELL, "%.0f%%", output_number(row, key) * 100);
}

static void fill_peer(char buf[static CELL], const json_t *job, const char *key)
{
	bool out = !strcmp(text_of(job, "role"), "source");

	snprintf(buf, CELL, "%s %s", out ? "to" : "from", text_of(job, key));
}

static void fill_phase(char buf[static CELL], const json_t *job,
		       const char *key)
{
	const char *state = text_of(job, "state");

	snprintf(buf, CELL, "%s",
		 strcmp(state, "in-doubt") != 0 ? text_of(job, key)
						: "IN DOUBT");
}

static void fill_left(char buf[static CELL], const json_t *job, const char *key)
{
	progress_left(buf, CELL, output_find(job, key));
}

static void fill_down(char buf[static CELL], const json_t *job, const char *key)
{
	progress_time_or_unknown(buf, CELL, output_find(job, key));
}

static void fill_took(char buf[static CELL], const json_t *job, const char *key)
{
	progress_time(buf, CELL,
		      (output_number(job, key) -
		       output_number(job, "started")) *
			      1000);
}

static const struct column running_columns[] = {
	{ "MOVE", "machine", -12, 0, fill_text },
	{ "WITH", "peer", -12, 3, fill_peer },
	{ "PHASE", "stage", -10, 1, fill_phase },
	{ "%", "progress.percent", 4, 0, fill_percent },
	{ "B/s", "progress.rate", 5, 2, fill_bytes },
	{ "LEFT", "progress.remaining", 5, 4, fill_bytes },
	{ "TIME LEFT", "progress", 11, 1, fill_left },
	{ "DIRTY/s", "progress.dirty_rate", 7, 5, fill_bytes },
	{ "DOWN", "progress.downtime_estimate_ms", 5, 6, fill_down },
	{ NULL, NULL, 0, 0, NULL },
};

static const struct column waiting_columns[] = {
	{ "WAITS", "machine", -12, 0, fill_text },
	{ "WITH", "peer", -12, 1, fill_peer },
	{ "PLACE", "queue.place", 5, 0, fill_number },
	{ "PRIORITY", "priority", 8, 2, fill_number },
	{ NULL, NULL, 0, 0, NULL },
};

static const struct column ended_columns[] = {
	{ "ENDED", "machine", -12, 0, fill_text },
	{ "WITH", "peer", -12, 1, fill_peer },
	{ "STATE", "state", -10, 0, fill_text },
	{ "TOOK", "ended", 6, 1, fill_took },
	{ NULL, NULL, 0, 0, NULL },
};

/* The highest rank with which all fit. */
static int rank_for(const struct column *columns, int room)
{
	int rank = RANKS, width;

	do {
		width = -1;
		rank--;
		for (const struct column *c = columns; c->title; c++)
			if (c->rank <= rank)
				width += abs(c->width) + 1;
	} while (rank > 0 && width > room);
	return rank;
}

/* @job NULL: the titles. */
static void put_row(struct page *p, const struct column *columns,
		    const json_t *job)
{
	const int rank = rank_for(columns, p->width);
	char text[CELL];

	for (const struct column *c = columns; c->title; c++) {
		if (c->rank > rank)
			continue;
		if (job)
			c->fill(text, job, c->key);
		else
			snprintf(text, sizeof(text), "%s", c->title);
		page_cell(p, c->width, text);
		page_text(p, " ");
	}
}

static void put_head(struct page *p, const struct column *columns)
{
	page_line(p, PAGE_PLAIN); /* apart from what is above */
	page_line(p, PAGE_HEAD);
	put_row(p, columns, NULL);
	page_cell(p, -page_left(p), "");
}

/* In a line of its own; NULL: there is none. */
static void put_below(struct page *p, enum page_look look, const char *text)
{
	if (!text)
		return;
	page_line(p, look);
	page_text(p, "  %s", text);
}

/* --- why it is as it is */

/* Where nothing else is known, how it will end. */
static const char *ends_text(const json_t *job)
{
	static const char *const ends[][2] = {
		{ "converges", "it converges" },
		{ "throttled", "it ends by slowing the guest down" },
		{ "paused", "it ends by pausing the guest" },
		{ "timed-out", "it will be timed out" },
		{ "never", "as it goes, it never ends" },
	};
	const char *says = output_string(job, "progress.ends");

	for (size_t i = 0; says && i < ARRAY_SIZE(ends); i++)
		if (!strcmp(says, ends[i][0]))
			return ends[i][1];
	return NULL;
}

/* True where something is wrong. */
static bool reason_of(char *buf, size_t cap, const json_t *job)
{
	double throttle = output_number(job, "progress.throttle");
	double limit = output_number(job, "limit");
	const char *ends = ends_text(job), *sure = "";
	const char *said = output_string(job, "error");
	char most[CELL];

	if (!said)
		said = output_string(job, "advice");
	if (json_is_true(output_find(job, "progress.outage"))) {
		snprintf(buf, cap, "NO PATH to %.63s: the guest runs on here",
			 text_of(job, "peer"));
		return true;
	}
	if (said) {
		snprintf(buf, cap, "%s", said);
		return true;
	}
	buf[0] = '\0';
	if (throttle > 0)
		snprintf(buf, cap, "the guest is slowed down by %.0f %%; ",
			 throttle);
	rate_text(most, sizeof(most), limit, false);
	if (limit > 0)
		snprintf(buf + strlen(buf), cap - strlen(buf),
			 "limited to %sbit/s; ", most);
	if (ends && output_string(job, "progress.sure"))
		sure = output_string(job, "progress.sure");
	if (ends)
		snprintf(buf + strlen(buf), cap - strlen(buf), "%s%s%s", ends,
			 sure[0] ? ", sure: " : "", sure);
	return false;
}

static void put_reason(struct page *p, const json_t *job)
{
	char why[PAGE_COLUMNS];
	bool alarm = reason_of(why, sizeof(why), job);

	put_below(p, alarm ? PAGE_ALARM : PAGE_PLAIN, why[0] ? why : NULL);
}

static void put_running(struct page *p, const json_t *job)
{
	int bar;

	page_line(p, PAGE_PLAIN);
	put_row(p, running_columns, job);
	bar = page_left(p) < BAR_MOST ? page_left(p) : BAR_MOST;
	if (bar >= BAR_LEAST)
		page_bar(p, bar, output_number(job, "progress.percent") / 100);
	put_reason(p, job);
}

static void put_waiting(struct page *p, const json_t *job)
{
	page_line(p, PAGE_PLAIN);
	put_row(p, waiting_columns, job);
	put_below(p, PAGE_PLAIN, output_string(job, "queue.why"));
}

static void put_ended(struct page *p, const json_t *job)
{
	const char *error = output_string(job, "error");
	const enum page_look look = error ? PAGE_ALARM : PAGE_PLAIN;

	page_line(p, look);
	put_row(p, ended_columns, job);
	put_below(p, look, error);
}

static void put_jobs(struct page *p, const json_t *jobs, enum kind kind)
{
	for (size_t i = 0; i < json_array_size(jobs); i++) {
		const json_t *job = json_array_get(jobs, i);

		if (kind_of(job) != kind)
			continue;
		if (kind == KIND_RUNS)
			put_running(p, job);
		else
			put_waiting(p, job);
	}
}

/* The newest first. */
static void put_last(struct page *p, const json_t *jobs)
{
	int shown = 0;

	put_head(p, ended_columns);
	for (size_t i = json_array_size(jobs); i > 0; i--) {
		const json_t *job = json_array_get(jobs, i - 1);

		if (kind_of(job) == KIND_ENDED && shown++ < ENDED_SHOWN)
			put_ended(p, job);
	}
}

static void put_moves(struct page *p, const struct top_state *s)
{
	const json_t *jobs = output_find(s->seen, "jobs");
	json_t *ordered =
		sorted(jobs, (struct order){ s, job_rate, "machine" });

	put_head(p, running_columns);
	put_jobs(p, ordered, KIND_RUNS);
	if (count_kind(jobs, KIND_RUNS) == 0) {
		page_line(p, PAGE_PLAIN);
		page_text(p, "Nothing moves.");
	}
	if (count_kind(jobs, KIND_WAITS) > 0) {
		put_head(p, waiting_columns);
		put_jobs(p, jobs, KIND_WAITS);
	}
	if (count_kind(jobs, KIND_ENDED) > 0)
		put_last(p, jobs);
	json_decref(ordered);
}

/* --- hosts */

static void fill_host(char buf[static CELL], const json_t *one, const char *key)
{
	snprintf(buf, CELL, "%s%s", text_of(one, key),
		 json_is_true(output_find(one, "here")) ? " *" : "");
}

static const struct column host_columns[] = {
	{ "HOST", "name", -12, 0, fill_host },
	{ "RUNNING", "running", 7, 0, fill_number },
	{ "LEFT", "memory.available", 6, 0, fill_bytes },
	{ "MEMORY", "memory.total", 6, 1, fill_bytes },
	{ "LOAD", "load", 5, 1, fill_share },
	{ NULL, NULL, 0, 0, NULL },
};

/* What is not of now says so, and looks so. */
static void put_host(struct page *p, const json_t *one)
{
	bool old = json_is_true(output_find(one, "old"));

	page_line(p, old ? PAGE_FAINT : PAGE_PLAIN);
	put_row(p, host_columns, one);
	if (old)
		page_text(p, "OLD");
	put_below(p, old ? PAGE_ALARM : PAGE_PLAIN,
		  output_string(one, old ? "why" : "closed"));
}

static void put_hosts(struct page *p, const struct top_state *s)
{
	const json_t *all = output_find(s->seen, "hosts.hosts");

	if (json_array_size(all) < 2)
		return;
	put_head(p, host_columns);
	for (size_t i = 0; i < json_array_size(all); i++)
		put_host(p, json_array_get(all, i));
}

/* --- head, keys, help */

static void put_title(struct page *p, const struct top_state *s)
{
	const json_t *jobs = output_find(s->seen, "jobs");
	double left = output_number(s->seen, "host.memory.available");
	double all = output_number(s->seen, "host.memory.total");
	char most[CELL], least[CELL];

	page_line(p, PAGE_TITLE);
	page_text(p, "drover top  %.63s  %s", text_of(s->seen, "host.name"),
		  s->clock);
	page_text(p, s->paused ? "  PAUSED" : "  every %g s", s->interval);
	page_line(p, PAGE_PLAIN);
	page_text(p, "%.0f machines  %zu moving  %zu waiting",
		  output_number(s->seen, "host.machines"),
		  count_kind(jobs, KIND_RUNS), count_kind(jobs, KIND_WAITS));
	progress_bytes(least, sizeof(least), left);
	progress_bytes(most, sizeof(most), all);
	page_line(p, PAGE_PLAIN);
	page_text(p, "memory left %s of %s  ", least, most);
	page_text(p, "processors of %.0f: guests %.2f  service %.2f",
		  output_number(s->seen, "host.cpus"),
		  output_number(s->seen, "processors.guests"),
		  output_number(s->seen, "processors.service"));
	if (!s->old)
		return;
	page_line(p, PAGE_ALARM);
	page_text(p, "OLD: %s", s->old);
}

static void put_help(struct page *p)
{
	static const char *const keys[] = {
		"q        leaves",
		"h ?      this text, and back",
		"s d      asks for the interval; + and - double and halve it",
		"< >      sorts by name, rate or time left; r: the other way",
		"b        cards in bits or bytes a second",
		"space    stands still, and goes on",
		"up down PgUp PgDn Home End   scroll",
		"",
		"CARD     what each card of the host carries: a bar of what",
		"         its link can do, and its past, all on one axis",
		"MOVE     what moves now; under it why it is as it is",
		"WAITS    what waits for its turn, and for what",
		"HOST     this host (*) and its peers, as they told last",
	};

	page_line(p, PAGE_HEAD);
	page_text(p, "KEYS");
	page_cell(p, -page_left(p), "");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		page_line(p, PAGE_PLAIN);
		page_text(p, "%s", keys[i]);
	}
}

static void put_keys(struct page *p, const struct top_state *s, size_t below)
{
	page_line(p, PAGE_HEAD);
	if (s->asks)
		page_text(p, "%s", s->asks);
	else if (below > 0)
		page_text(p, "%zu more below  ", below);
	if (!s->asks)
		page_text(p,
			  "q quit  h help  s interval  <> by %s%s  b %s  "
			  "space %s",
			  top_sort_names[s->sort], s->reverse ? " (r)" : "",
			  s->bytes ? "bits" : "bytes",
			  s->paused ? "go on" : "pause");
	page_cell(p, -page_left(p), "");
}

/* What is not of now looks so. */
static void fade(struct page *p, size_t head)
{
	for (size_t i = head; i < p->count; i++)
		if (p->lines[i].look == PAGE_PLAIN)
			p->lines[i].look = PAGE_FAINT;
}

size_t top_draw(struct page *p, const struct top_state *s, int rows)
{
	size_t head, room, all, end, first;

	put_title(p, s);
	head = p->count;
	if (s->help) {
		put_help(p);
	} else {
		put_cards(p, s);
		put_moves(p, s);
		put_hosts(p, s);
	}
	if (s->old)
		fade(p, head);
	if (rows <= 0)
		return 0;
	room = (size_t)rows > head + 1 ? (size_t)rows - head - 1 : 0;
	all = p->count - head;
	end = all > room ? all - room : 0;
	first = s->first < end ? s->first : end;
	page_window(p, head, first, room);
	if (p->count >= (size_t)rows)
		p->count = (size_t)rows - 1;
	while (p->count < (size_t)rows - 1 && !p->failed)
		page_line(p, PAGE_PLAIN);
	put_keys(p, s, end - first);
	return end;
}
