/* SPDX-License-Identifier: MIT */
#include "cmd/page.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { LINES_FIRST = 64 };

void page_done(struct page *p)
{
	free(p->lines);
	*p = (struct page){ 0 };
}

void page_line(struct page *p, enum page_look look)
{
	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : LINES_FIRST;
		struct page_line *more =
			reallocarray(p->lines, room, sizeof(*more));

		if (!more) {
			p->failed = true;
			return;
		}
		p->lines = more;
		p->room = room;
	}
	p->lines[p->count].look = look;
	p->lines[p->count].columns = 0;
	p->lines[p->count].len = 0;
	p->lines[p->count++].text[0] = '\0';
}

static struct page_line *last_of(const struct page *p)
{
	return p->count ? &p->lines[p->count - 1] : NULL;
}

int page_left(const struct page *p)
{
	const struct page_line *l = last_of(p);
	int width = p->width < PAGE_COLUMNS ? p->width : PAGE_COLUMNS;

	return l && l->columns < width ? width - l->columns : 0;
}

/* One column, of at most three bytes. */
static void put(struct page *p, const char *glyph)
{
	struct page_line *l = last_of(p);
	size_t len = strlen(glyph);

	if (page_left(p) <= 0)
		return;
	memcpy(l->text + l->len, glyph, len + 1);
	l->len += len;
	l->columns++;
}

static void put_plain(struct page *p, char c)
{
	const char glyph[] = { c, '\0' };

	put(p, c >= ' ' && c <= '~' ? glyph : "?");
}

void page_text(struct page *p, const char *fmt, ...)
{
	char text[PAGE_COLUMNS + 1];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (const char *c = text; *c; c++)
		put_plain(p, *c);
}

void page_cell(struct page *p, int width, const char *text)
{
	const int len = (int)strlen(text), most = abs(width);

	for (int i = len; width > 0 && i < most; i++)
		put_plain(p, ' ');
	for (int i = 0; i < len && i < most; i++)
		put_plain(p, text[i]);
	for (int i = len; width < 0 && i < most; i++)
		put_plain(p, ' ');
}

void page_bar(struct page *p, int width, double share)
{
	const int inner = width - 2;
	int full = share > 0 ? (int)(inner * fmin(share, 1) + 0.5) : 0;

	put_plain(p, '[');
	for (int i = 0; i < inner; i++)
		put_plain(p, i < full ? '#' : '-');
	put_plain(p, ']');
}

void page_height(struct page *p, double share)
{
	static const char *const blocks[] = { "▁", "▂", "▃", "▄",
					      "▅", "▆", "▇", "█" };
	static const char plain[] = "_.:-=+*#";
	const int steps = (int)ARRAY_SIZE(blocks);
	int step;

	if (isnan(share)) {
		put_plain(p, ' ');
		return;
	}
	/* What is more than nothing is seen. */
	step = share > 0 ? (int)ceil(fmin(share, 1) * (steps - 1)) : 0;
	if (p->ascii)
		put_plain(p, plain[step]);
	else
		put(p, blocks[step]);
}

void page_window(struct page *p, size_t head, size_t first, size_t room)
{
	const size_t left = p->count - head - first;
	const size_t most = left < room ? left : room;

	if (first > 0)
		memmove(p->lines + head, p->lines + head + first,
			most * sizeof(*p->lines));
	p->count = head + most;
}
