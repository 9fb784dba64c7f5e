/* SPDX-License-Identifier: MIT */
#include "control/drains.h"

#include "base/error.h"
#include "control/api.h"
#include "host/host.h"

#define AT(member) SHAPE_AT(struct drain_request, member)

static const struct shape_field body_fields[] = {
	{ "to", SHAPE_WORDS, 0, AT(to), .most = 1024 },
	{ "stop_the_rest", SHAPE_BOOL, 0, AT(stop_the_rest) },
};

#undef AT

const struct shape drain_body_shape = SHAPE(struct drain_request, body_fields);

static int shown(char **ret, struct drain_record *r, int done, struct error *e)
{
	if (done < 0)
		return done;
	done = api_text(ret, &drain_shape, r, e);
	drain_record_done(r);
	return done;
}

int drain_show(struct host *h, const struct api_call *c, char **ret,
	       struct error *e)
{
	struct drain_record r;

	(void)c;
	return shown(ret, &r, host_drain_show(h, &r, e), e);
}

int drain_host(struct host *h, const struct api_call *c, char **ret,
	       struct error *e)
{
	struct drain_record r;

	return shown(ret, &r, host_drain(h, c->object, &r, e), e);
}

int drain_plan(struct host *h, const struct api_call *c, char **ret,
	       struct error *e)
{
	struct drain_record r;

	return shown(ret, &r, host_drain_plan(h, c->object, &r, e), e);
}

int drain_resume(struct host *h, const struct api_call *c, char **ret,
		 struct error *e)
{
	struct drain_record r;

	(void)c;
	return shown(ret, &r, host_drain_resume(h, &r, e), e);
}

int drain_cancel(struct host *h, const struct api_call *c, char **ret,
		 struct error *e)
{
	struct drain_record r;

	(void)c;
	return shown(ret, &r, host_drain_cancel(h, &r, e), e);
}

int drain_return(struct host *h, const struct api_call *c, char **ret,
		 struct error *e)
{
	struct drain_record r;

	(void)c;
	return shown(ret, &r, host_return(h, &r, e), e);
}

int drain_capacity(struct host *h, const struct api_call *c, char **ret,
		   struct error *e)
{
	struct drain_spare s;

	(void)c;
	if (host_capacity(h, &s, e) < 0)
		return error_code(e);
	return api_text(ret, &drain_spare_shape, &s, e);
}
