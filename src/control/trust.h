/* SPDX-License-Identifier: MIT */

/* The part of the control API about hosts that know each other. */
#pragma once

#include "base/shape.h"

struct api_call;
struct error;
struct host;

extern const struct shape trust_view_shape, invitation_view_shape;
extern const struct shape inviting_shape, joining_shape;
extern const struct shape member_view_shape, member_views_shape;

int trust_show(struct host *h, const struct api_call *c, char **ret,
	       struct error *e);
int trust_make(struct host *h, const struct api_call *c, char **ret,
	       struct error *e);
int trust_ask_in(struct host *h, const struct api_call *c, char **ret,
		 struct error *e);
int trust_enter(struct host *h, const struct api_call *c, char **ret,
		struct error *e);
int trust_list_members(struct host *h, const struct api_call *c, char **ret,
		       struct error *e);
int trust_drop_member(struct host *h, const struct api_call *c, char **ret,
		      struct error *e);
int trust_make_anew(struct host *h, const struct api_call *c, char **ret,
		    struct error *e);
int trust_copy_key(struct host *h, const struct api_call *c, char **ret,
		   struct error *e);
int trust_drop_key(struct host *h, const struct api_call *c, char **ret,
		   struct error *e);
int trust_take_key(struct host *h, const struct api_call *c, char **ret,
		   struct error *e);
