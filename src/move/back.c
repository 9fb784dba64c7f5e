/* SPDX-License-Identifier: MIT */
#include "move/back.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/scope.h"
#include "frames/outbox.h"
#include "pages/history.h"
#include "pages/kept.h"
#include "pages/memory.h"
#include "relay/relay.h"
#include "session/session.h"
#include "wire/message.h"

enum {
	DIGITS = 16,
	AT_ONCE = 8, /* messages, before all of them are waited for */
	WAIT_US = 30000000,
	/* A disk may be slow: what was not read by then is sent. */
	READ_US = 45000000,
};

/* false: there is nothing to tell. */
static bool write_sums(char *to, const uint64_t *sums, unsigned n)
{
	bool any = false;

	for (unsigned i = 0; i < n; i++) {
		sprintf(to + (size_t)i * DIGITS, "%016" PRIx64, sums[i]);
		any |= sums[i] != 0;
	}
	return any;
}

struct telling {
	struct session *session;
	struct kept *kept;
	uint64_t until_us;
	unsigned sent;
	uint64_t sums[MESSAGE_SUMS_MAX];
	char text[MESSAGE_SUMS_MAX * DIGITS + 1];
};

static int tell_some(struct telling *t, unsigned block,
		     const struct memory_block *b, uint64_t first,
		     struct error *e)
{
	const uint64_t rest = b->len_bytes / MEMORY_PAGE - first;
	const unsigned n =
		rest < MESSAGE_SUMS_MAX ? (unsigned)rest : MESSAGE_SUMS_MAX;
	struct message m = { .type = MESSAGE_COPY };

	if (!kept_sums(t->kept, b->name, first, n, t->sums) ||
	    !write_sums(t->text, t->sums, n))
		return 0;
	m.copy.block = block;
	m.copy.first = first;
	m.copy.sums = t->text;
	snprintf(m.copy.seed, sizeof(m.copy.seed), "%016" PRIx64,
		 kept_seed(t->kept));
	if (session_send(t->session, &m, e) < 0)
		return error_code(e);
	if (++t->sent % AT_ONCE == 0 &&
	    outbox_wait_empty(session_outbox(t->session),
			      clock_us() + WAIT_US) < 0)
		return error_set(e, ETIMEDOUT,
				 "the source does not take the sums of what "
				 "was kept here");
	return 0;
}

int back_tell(struct session *s, struct kept *k, const struct guest_memory *m,
	      const char *machine, struct error *e)
{
	struct message last = { .type = MESSAGE_COPY, .copy.last = true };
	AUTO_FREE struct telling *t = calloc(1, sizeof(*t));

	if (!t)
		return error_set(e, ENOMEM, "no memory for sums");
	t->session = s;
	t->kept = k;
	t->until_us = clock_us() + READ_US;
	for (unsigned i = 0; i < memory_blocks(m); i++) {
		const struct memory_block *b = memory_block(m, i);

		for (uint64_t p = 0;
		     p < b->len_bytes / MEMORY_PAGE && clock_us() < t->until_us;
		     p += MESSAGE_SUMS_MAX)
			if (tell_some(t, i, b, p, e) < 0)
				return error_code(e);
	}
	if (kept_changed(k) > 0)
		log_warning("move %s: %" PRIu64 " pages of the copy that was "
			    "kept here are not what was written: they are sent "
			    "anew; somebody changed the file, or the disk is "
			    "failing",
			    machine, kept_changed(k));
	return session_send(s, &last, e);
}

/* --- the source */

static bool read_hex(uint64_t *ret, const char *text)
{
	char one[DIGITS + 1] = "";

	memcpy(one, text, DIGITS);
	if (strspn(one, "0123456789abcdef") != DIGITS)
		return false;
	*ret = strtoull(one, NULL, 16);
	return true;
}

static int wrong(struct error *e, const char *what)
{
	return error_set(e, EBADMSG, "message 'copy': %s", what);
}

/* One copy has one seed. */
static int check_seed(struct history_known *known,
		      const struct message_copy *told, struct error *e)
{
	uint64_t seed;

	if (strlen(told->seed) != DIGITS || !read_hex(&seed, told->seed))
		return wrong(e, "'seed' is none");
	for (unsigned i = 0; i < HISTORY_BLOCKS_MAX; i++)
		if (known->block[i].sum && known->seed != seed)
			return wrong(e, "another 'seed' than before");
	known->seed = seed;
	return 0;
}

int back_take(struct history_known *known, const struct message_copy *told,
	      const struct relay_blocks *blocks, struct error *e)
{
	const size_t len = told->sums ? strlen(told->sums) : 0;
	const uint64_t n = len / DIGITS;
	uint64_t pages;

	if (len == 0)
		return 0;
	if (len % DIGITS)
		return wrong(e, "'sums' are not whole");
	if (told->block >= blocks->n || told->block >= HISTORY_BLOCKS_MAX)
		return wrong(e, "there is no such block");
	pages = blocks->at[told->block].len_bytes / WIRE_PAGE;
	if (told->first > pages || n > pages - told->first)
		return wrong(e, "pages beyond the block");
	if (check_seed(known, told, e) < 0)
		return error_code(e);
	if (!known->block[told->block].sum) {
		known->block[told->block].sum = calloc(pages, sizeof(uint64_t));
		known->block[told->block].pages = pages;
	}
	if (!known->block[told->block].sum)
		return error_set(e, ENOMEM, "no memory for sums");
	for (uint64_t i = 0; i < n; i++)
		if (!read_hex(&known->block[told->block].sum[told->first + i],
			      told->sums + i * DIGITS))
			return wrong(e, "'sums' are none");
	return 0;
}
