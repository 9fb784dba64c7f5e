/* SPDX-License-Identifier: MIT */

/*
 * A page of a terminal as lines of which none is wider than it is: built from
 * the left to the right, what has no room is left out.  Text from outside loses
 * what is not printable ASCII, so that a character is a column; what we draw
 * ourselves may be UTF-8.  Nothing here knows a terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
	PAGE_COLUMNS = 400, /* at most */
	PAGE_LINE = PAGE_COLUMNS * 3 + 1,
};

enum page_look {
	PAGE_PLAIN,
	PAGE_TITLE,
	PAGE_HEAD,  /* of a table */
	PAGE_ALARM, /* something is wrong; its text says so, too */
	PAGE_FAINT, /* what is not of now */
	PAGE_LOOKS,
};

struct page_line {
	enum page_look look;
	int columns; /* that are taken */
	size_t len;
	char text[PAGE_LINE];
};

struct page {
	int width;
	bool ascii;
	bool failed; /* no memory: lines are missing */
	size_t count, room;
	struct page_line *lines;
};

void page_done(struct page *p);

/* Begins a line, into which all further text goes. */
void page_line(struct page *p, enum page_look look);
void page_text(struct page *p, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Exactly so wide, and cut where it is longer; negative: at the left. */
void page_cell(struct page *p, int width, const char *text);
/* "[####----]" of @width columns; @share from 0 to 1. */
void page_bar(struct page *p, int width, double share);
/* A column that is so high, from 0 to 1; NAN: nothing is known. */
void page_height(struct page *p, double share);
/* Columns that the line has left. */
int page_left(const struct page *p);

/* Leaves the first @head lines, then at most @room of the others from the
 * @first of those on; there are as many as @head and @first. */
void page_window(struct page *p, size_t head, size_t first, size_t room);
