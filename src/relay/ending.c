/* SPDX-License-Identifier: MIT */
#include "relay/ending.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "relay/endpoint.h"
#include "wire/reader.h"

enum {
	FIRST_PLAIN = 'Q', /* "QEVM" */
	FIRST_RESUMED = 8, /* post-copy goes on with a command */
	END_MARK = 0,
	DESCRIPTION = 6,
	FOOTER = 0x7e,
	/* Certificates are shorter, the smallest guest is longer. */
	HANDSHAKE_MOST = 64 * 1024,
	/* A QEMU that fails closes its connection, and then ends. */
	SOURCE_ENDS_MS = 200,
	DESTINATION_ENDS_MS = 1000,
};

void ending_init(struct ending *g)
{
	memset(g, 0, sizeof(*g));
	g->pidfd = -1;
	pthread_mutex_init(&g->lock, NULL);
}

void ending_done(struct ending *g)
{
	scope_close(&g->pidfd);
	pthread_mutex_destroy(&g->lock);
}

/* The last bytes of all that passed, in @last. */
static void keep_last(uint8_t *last, size_t cap, const uint8_t *data,
		      size_t len)
{
	if (len >= cap) {
		memcpy(last, data + len - cap, cap);
		return;
	}
	memmove(last, last + len, cap - len);
	memcpy(last + cap - len, data, len);
}

/* The six bytes in front of @data[@at]: an end mark, a description's type and
 * its length.  A later one counts: what looks like one may be device state. */
static void look_before(struct ending *g, const uint8_t *data, size_t at)
{
	uint8_t head[sizeof(g->last)];
	struct reader r = reader_of(head, sizeof(head));
	uint64_t start = g->sent + at;

	memcpy(head, g->last, sizeof(head));
	keep_last(head, sizeof(head), data, at);
	if (start < sizeof(head) || read_u8(&r) != END_MARK ||
	    read_u8(&r) != DESCRIPTION)
		return;
	g->description_end = start + read_u32(&r);
}

void ending_sent(struct ending *g, const uint8_t *data, size_t len)
{
	const uint8_t *at = data;

	if (len == 0)
		return;

	WITH_LOCK(&g->lock);

	if (g->sent == 0)
		g->first = data[0];
	while ((at = memchr(at, '{', len - (size_t)(at - data)))) {
		look_before(g, data, (size_t)(at - data));
		at++;
	}
	keep_last(g->last, sizeof(g->last), data, len);
	g->sent += len;
}

void ending_answered(struct ending *g, const uint8_t *data, size_t len)
{
	WITH_LOCK(&g->lock);

	keep_last(g->last_answer, sizeof(g->last_answer), data, len);
	g->answered += len;
}

static bool is_whole(const struct ending *g)
{
	if (g->description_end > 0 && g->description_end == g->sent)
		return true;
	return g->last[0] == FOOTER && g->last[sizeof(g->last) - 1] == END_MARK;
}

static enum ending_kind answer_of(const struct ending *g)
{
	static const uint8_t shut[] = { 0, 1, 0, 4 };
	static const uint8_t good[] = { 0, 0, 0, 0 };

	if (memcmp(g->last_answer, shut, sizeof(shut)) != 0)
		return ENDING_SHORT;
	return memcmp(g->last_answer + sizeof(shut), good, sizeof(good)) == 0
		       ? ENDING_LOADED
		       : ENDING_REFUSED;
}

enum ending_kind ending_of(struct ending *g)
{
	WITH_LOCK(&g->lock);

	if (g->sent == 0)
		return ENDING_SHORT;
	if (g->first != FIRST_PLAIN && g->first != FIRST_RESUMED)
		return g->sent > HANDSHAKE_MOST ? ENDING_SECRET : ENDING_SHORT;
	if (g->answered > 0)
		return answer_of(g);
	return is_whole(g) ? ENDING_WHOLE : ENDING_SHORT;
}

/* --- judging */

static int refused(struct error *e)
{
	return error_set(e, ECONNABORTED,
			 "the destination's QEMU says that it could not load "
			 "the guest: see its log");
}

int ending_judge_source(struct ending *g, struct error *e)
{
	enum ending_kind how = ending_of(g);
	bool ended;

	if (how == ENDING_LOADED || how == ENDING_WHOLE)
		return 0;
	if (how == ENDING_REFUSED)
		return refused(e);
	ended = endpoint_process_ended(g->pidfd, SOURCE_ENDS_MS);
	if (how == ENDING_SECRET && !ended)
		return 0;
	return error_set(e, ECONNABORTED,
			 ended ? "the source's QEMU ended before its migration "
				 "did"
			       : "the source's QEMU gave its migration up: it "
				 "was cancelled, or failed as query-migrate "
				 "says");
}

/* One that loaded the guest lives. */
int ending_judge_destination(struct ending *g, bool unread, struct error *e)
{
	enum ending_kind how = ending_of(g);
	bool ended;

	if (how == ENDING_LOADED)
		return 0;
	if (how == ENDING_REFUSED)
		return refused(e);
	ended = endpoint_process_ended(g->pidfd, DESTINATION_ENDS_MS);
	if (how != ENDING_SHORT && !unread && !ended)
		return 0;
	return error_set(e, ECONNABORTED,
			 "the destination's QEMU %s before it had loaded the "
			 "guest: see its log",
			 ended ? "ended" : "closed its connection");
}

int ending_judge_stream(struct ending *g, struct error *e)
{
	if (ending_of(g) != ENDING_SHORT)
		return 0;
	return error_set(e, ECONNABORTED,
			 "the source's QEMU closed its connection before the "
			 "end of the migration");
}
