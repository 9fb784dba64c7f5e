/* SPDX-License-Identifier: MIT */
#include "disks/flight.h"

#include <assert.h>

static bool overlaps(const struct flight_request *r, uint64_t offset,
		     uint64_t len)
{
	return r->used && offset < r->offset + r->len &&
	       r->offset < offset + len;
}

bool flight_has_room(const struct flight *f, uint64_t offset, uint64_t len)
{
	if (f->count == FLIGHT_MOST)
		return false;
	for (unsigned i = 0; i < FLIGHT_MOST; i++)
		if (overlaps(&f->request[i], offset, len))
			return false;
	return true;
}

struct flight_request *flight_begin(struct flight *f,
				    const struct nbd_request *q)
{
	unsigned at = 0;

	while (at < FLIGHT_MOST && f->request[at].used)
		at++;
	assert(at < FLIGHT_MOST);
	f->count++;
	f->request[at] = (struct flight_request){ .used = true,
						  .cookie = q->cookie,
						  .offset = q->offset,
						  .len = q->len };
	return &f->request[at];
}

void flight_frame(struct flight_request *r, uint64_t seq)
{
	assert(r->frames < FLIGHT_FRAMES_MOST && !r->whole);
	r->frame[r->frames++] = seq;
}

void flight_end(struct flight_request *r)
{
	r->whole = true;
}

bool flight_next_done(struct flight *f,
		      bool (*is_acked)(void *context, uint64_t seq),
		      void *context, uint64_t *ret_cookie)
{
	for (unsigned i = 0; i < FLIGHT_MOST; i++) {
		struct flight_request *r = &f->request[i];

		while (r->used && r->acked < r->frames &&
		       is_acked(context, r->frame[r->acked]))
			r->acked++;
		if (!r->used || !r->whole || r->acked < r->frames)
			continue;
		*ret_cookie = r->cookie;
		r->used = false;
		f->count--;
		return true;
	}
	return false;
}
