/* SPDX-License-Identifier: MIT */

/*
 * The terminal while a command has all of it: its other screen, keys one by
 * one, and its old state again whatever ends the program.  By terminfo; there
 * is one terminal, so all of this is the program's one thread's.
 */
#pragma once

#include <stdbool.h>

struct error;
struct page;

/* Can it be had?  Both ends are terminals that can place the cursor. */
bool screen_is_there(void);
/* The columns, and lines, by $COLUMNS and $LINES where they are set. */
void screen_size(int *ret_columns, int *ret_rows);
/* Does the locale have what we draw? */
bool screen_is_utf8(void);

/* Once screen_is_there(). */
int screen_open(struct error *e);
void screen_close(void);
void screen_show(const struct page *p);

enum typed {
	TYPED_NONE = 256, /* below: a character */
	TYPED_SIZE,       /* the terminal has another size, or was another's */
	TYPED_GONE,       /* nobody will type any more */
	TYPED_UP,
	TYPED_DOWN,
	TYPED_PAGE_UP,
	TYPED_PAGE_DOWN,
	TYPED_HOME,
	TYPED_END,
	TYPED_ESCAPE,
};

/* Waits for one for so long. */
int screen_key(int timeout_ms);
