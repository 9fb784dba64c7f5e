/* SPDX-License-Identifier: MIT */

/*
 * The line is made of fields of fixed width, so that nothing jumps while the
 * numbers change; the bar takes what is left.  Each field has a rank: on a
 * narrow terminal those of the highest rank are left out first.
 */
#include "cmd/progress.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "cmd/output.h"

enum {
	FIELD_CAP = 48,
	FIELDS = 7,
	BAR_LEAST = 5,
	BAR_FRAME = 3, /* two brackets and a blank */
	BAR_MOST = 40,
	RANKS = 6,
};

struct field {
	int rank; /* 0: always there */
	char text[FIELD_CAP];
};

struct line {
	struct field fields[FIELDS];
	int count;
};

/* @units: a letter for each power of @step; a blank is none. */
static void scale(char *buf, size_t cap, double value, double step,
		  const char *units)
{
	size_t i = 0;

	if (!(value > 0))
		value = 0;
	while (value >= 999.5 && units[i + 1]) {
		value /= step;
		i++;
	}
	if (value > 999)
		value = 999;
	snprintf(buf, cap, i > 0 && value < 9.95 ? "%.1f%.*s" : "%.0f%.*s",
		 value, units[i] != ' ', units + i);
}

void progress_bytes(char *buf, size_t cap, double bytes)
{
	scale(buf, cap, bytes, 1024, "BKMGTP");
}

void progress_bits(char *buf, size_t cap, double rate)
{
	scale(buf, cap, rate * 8, 1000, " KMGTP");
}

void progress_time(char *buf, size_t cap, double ms)
{
	double s = ms / 1000;
	int min = s < 360000 ? (int)s / 60 : 6000;

	if (!(ms > 0))
		snprintf(buf, cap, "0ms");
	else if (ms < 999.5)
		snprintf(buf, cap, "%.0fms", ms);
	else if (s < 9.95)
		snprintf(buf, cap, "%.1fs", s);
	else if (s < 99.5)
		snprintf(buf, cap, "%.0fs", s);
	else if (min < 10)
		snprintf(buf, cap, "%dm%02ds", min, (int)s % 60);
	else if (min < 100)
		snprintf(buf, cap, "%dm", min);
	else if (min < 600)
		snprintf(buf, cap, "%dh%02dm", min / 60, min % 60);
	else
		snprintf(buf, cap, min < 6000 ? "%dh" : ">%dh", min / 60);
}

static void __attribute__((format(printf, 3, 4)))
add(struct line *l, int rank, const char *fmt, ...)
{
	struct field *f = &l->fields[l->count++];
	va_list ap;

	f->rank = rank;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

void progress_time_or_unknown(char *buf, size_t cap, const json_t *ms)
{
	if (json_is_number(ms))
		progress_time(buf, cap, json_number_value(ms));
	else
		snprintf(buf, cap, "?");
}

static void add_traffic(struct line *l, const json_t *p)
{
	char sent[16], rate[16];

	progress_bytes(sent, sizeof(sent), output_number(p, "bytes_sent"));
	progress_bytes(rate, sizeof(rate), output_number(p, "rate"));
	add(l, 4, "%4s", sent);
	add(l, 1, "%4s/s", rate);
}

/* "1m50s-2m30s"; "1m50s-?" where it may not come to its end; "never"; of a
 * service of before, which has no range, "2m10s". */
void progress_left(char *buf, size_t cap, const json_t *p)
{
	const char *ends = output_string(p, "ends");
	char least[16], most[16];

	if (ends && !strcmp(ends, "never")) {
		snprintf(buf, cap, "never");
		return;
	}
	progress_time_or_unknown(least, sizeof(least),
				 output_find(p, "time_left_least_ms"));
	progress_time_or_unknown(most, sizeof(most),
				 output_find(p, "time_left_most_ms"));
	if (!json_is_number(output_find(p, "time_left_least_ms")))
		progress_time_or_unknown(buf, cap,
					 output_find(p, "time_left_ms"));
	else if (!strcmp(least, most))
		snprintf(buf, cap, "%s", least);
	else
		snprintf(buf, cap, "%s-%s", least, most);
}

static void add_rounds(struct line *l, const json_t *p)
{
	char dirty[16], left[32], down[16];

	/* QEMU measures it at the end of a round. */
	if (output_number(p, "round") <= 1 &&
	    output_number(p, "dirty_rate") <= 0)
		snprintf(dirty, sizeof(dirty), "?");
	else
		progress_bytes(dirty, sizeof(dirty),
			       output_number(p, "dirty_rate"));
	progress_left(left, sizeof(left), p);
	progress_time_or_unknown(down, sizeof(down),
				 output_find(p, "downtime_estimate_ms"));
	add(l, 6, "round %2.0f", output_number(p, "round"));
	add(l, 5, "dirty %4s/s", dirty);
	add(l, 2, "left %11s", left);
	add(l, 3, "down %5s", down);
}

static double percent_of(const json_t *job)
{
	double percent = output_number(job, "progress.percent");

	if (!(percent > 0))
		return 0;
	return percent > 100 ? 100 : percent;
}

static void fill(struct line *l, const json_t *job)
{
	const json_t *p = output_find(job, "progress");
	const char *stage = output_string(job, "stage");

	l->count = 0;
	add(l, 0, "%3.0f%%", percent_of(job));
	if (!stage)
		stage = "-";
	if (output_number(p, "bytes_sent") > 0)
		add_traffic(l, p);
	if (json_is_true(output_find(p, "outage")))
		add(l, 1, "no path to %.24s, waiting",
		    output_string(job, "peer") ? output_string(job, "peer")
					       : "the peer");
	else if (json_is_object(output_find(job, "queue")))
		add(l, 1, "waiting, place %.0f of %.0f",
		    output_number(job, "queue.place"),
		    output_number(job, "queue.of"));
	else if (!strcmp(stage, "pre-copy"))
		add_rounds(l, p);
	else
		add(l, 1, "%s", stage);
}

/* Columns of all fields up to @rank, two blanks between them. */
static int width_of(const struct line *l, int rank)
{
	int width = -2;

	for (int i = 0; i < l->count; i++)
		if (l->fields[i].rank <= rank)
			width += 2 + (int)strlen(l->fields[i].text);
	return width;
}

static void join(char *buf, size_t cap, const struct line *l, int rank)
{
	size_t used = strlen(buf);
	bool first = true;

	for (int i = 0; i < l->count && used < cap; i++) {
		if (l->fields[i].rank > rank)
			continue;
		snprintf(buf + used, cap - used, "%s%s", first ? "" : "  ",
			 l->fields[i].text);
		used += strlen(buf + used);
		first = false;
	}
}

static void draw_bar(char *buf, int inner, double percent)
{
	int full = (int)(inner * percent / 100);

	*buf++ = '[';
	memset(buf, '#', (size_t)full);
	memset(buf + full, '-', (size_t)(inner - full));
	memcpy(buf + inner, "] ", 3);
}

/* The highest rank with which @l fits into @room columns. */
static int rank_for(const struct line *l, int room)
{
	int rank = RANKS;

	while (rank > 0 && width_of(l, rank) > room)
		rank--;
	return rank;
}

/* The bar is as wide as pre-copy leaves it, in all stages: it must not jump
 * from one to the next. */
static int bar_for(int room)
{
	struct line longest = { 0 };
	int bar;

	add(&longest, 0, "100%%");
	add_traffic(&longest, NULL);
	add_rounds(&longest, NULL);
	room -= BAR_FRAME;
	bar = room - width_of(&longest, rank_for(&longest, room - BAR_LEAST));
	return bar > BAR_MOST ? BAR_MOST : bar;
}

void progress_line(char *buf, size_t cap, const json_t *job, int width)
{
	int room = width - 1, bar = bar_for(room);
	struct line l;

	fill(&l, job);
	buf[0] = '\0';
	if (bar >= BAR_LEAST && bar + BAR_FRAME < (int)cap) {
		draw_bar(buf, bar, percent_of(job));
		room -= bar + BAR_FRAME;
	}
	join(buf, cap, &l, rank_for(&l, room));
	if (width > 0 && (size_t)width <= cap)
		buf[width - 1] = '\0';
}

void progress_plain(char *buf, size_t cap, const json_t *job)
{
	const char *machine = output_string(job, "machine");
	struct line l;

	fill(&l, job);
	snprintf(buf, cap, "%s: ", machine ? machine : "job");
	join(buf, cap, &l, RANKS);
}
