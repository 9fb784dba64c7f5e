/* SPDX-License-Identifier: MIT */
#include "trust/members.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/shape.h"
#include "base/text.h"
#include "trust/date.h"

static const struct shape_field member_fields[] = {
	{ "name", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE,
	  SHAPE_AT(struct member, name) },
	{ "addresses", SHAPE_WORDS, SHAPE_NEEDED,
	  SHAPE_AT(struct member, addresses), .most = MEMBER_ADDRESSES_MAX },
	{ "port", SHAPE_NUMBER, SHAPE_NEEDED, SHAPE_AT(struct member, port),
	  .least = 1, .most = UINT16_MAX },
	{ "serial", SHAPE_NUMBER, SHAPE_NEEDED,
	  SHAPE_AT(struct member, serial) },
	{ "until", SHAPE_SIGNED, SHAPE_NEEDED,
	  SHAPE_AT(struct member, until_s) },
	{ "removed", SHAPE_SIGNED, 0, SHAPE_AT(struct member, removed_s) },
};
static const struct shape member_shape = SHAPE(struct member, member_fields);

static const struct shape_field members_fields[] = {
	{ "version", SHAPE_NUMBER, SHAPE_NEEDED,
	  SHAPE_AT(struct members, version), .least = 1, .most = INT64_MAX },
	{ "made", SHAPE_SIGNED, SHAPE_NEEDED,
	  SHAPE_AT(struct members, made_s) },
	{ "host", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE,
	  SHAPE_AT(struct members, host) },
	{ "members", SHAPE_LIST, SHAPE_NEEDED, SHAPE_AT(struct members, at),
	  SHAPE_COUNT(struct members, count), .most = MEMBERS_MAX,
	  .of = &member_shape },
};
const struct shape members_shape = SHAPE(struct members, members_fields);

void member_done(struct member *m)
{
	words_done(&m->addresses);
}

void members_done(struct members *m)
{
	shape_done(&members_shape, m);
	*m = (struct members){ 0 };
}

static struct member *find(const struct members *m, const char *name)
{
	for (size_t i = 0; i < m->count; i++)
		if (!strcmp(m->at[i].name, name))
			return &m->at[i];
	return NULL;
}

const struct member *members_find(const struct members *m, const char *name)
{
	return find(m, name);
}

/* --- changes */

int members_put(struct members *m, const struct member *one, struct error *e)
{
	struct member *there = find(m, one->name), *more;
	struct member fresh;

	if (!there && m->count == MEMBERS_MAX)
		return error_set(e, EBUSY,
				 "the list has %d hosts and takes no more",
				 MEMBERS_MAX);
	if (shape_copy(&member_shape, &fresh, one, e) < 0)
		return error_code(e);
	if (there) {
		member_done(there);
		*there = fresh;
		return 0;
	}
	more = reallocarray(m->at, m->count + 1, sizeof(*more));
	if (!more) {
		member_done(&fresh);
		return error_set(e, ENOMEM, "no memory for the list of hosts");
	}
	m->at = more;
	m->at[m->count++] = fresh;
	return 0;
}

int members_remove(struct members *m, const char *name, uint64_t serial,
		   int64_t now_s, struct error *e)
{
	struct member *there = find(m, name);

	if (!there || there->removed_s)
		return error_set(e, ENOENT,
				 "there is no host %s to remove: see 'drover "
				 "trust list'",
				 name);
	words_done(&there->addresses);
	there->serial = serial;
	there->removed_s = now_s;
	return 0;
}

void members_forget_old(struct members *m, int64_t now_s)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->count; i++) {
		if (m->at[i].removed_s && m->at[i].until_s < now_s)
			member_done(&m->at[i]);
		else
			m->at[kept++] = m->at[i];
	}
	m->count = kept;
}

/* 1: @there has changed. */
static int learn(struct members *m, struct member *there,
		 const struct member *one, struct error *e)
{
	const int64_t until_s =
		there->until_s > one->until_s ? there->until_s : one->until_s;
	const bool newer = one->serial > there->serial;

	if (!newer && until_s == there->until_s)
		return 0;
	if (newer && members_put(m, one, e) < 0)
		return error_code(e);
	there->until_s = until_s;
	return 1;
}

int members_merge(struct members *m, const struct members *other,
		  struct error *e)
{
	int changed = 0, r;

	for (size_t i = 0; i < other->count; i++) {
		const struct member *one = &other->at[i];
		struct member *there = find(m, one->name);

		/* A full list must not keep hosts from the newest one. */
		if (!there &&
		    (one->until_s < m->made_s || m->count == MEMBERS_MAX))
			continue;
		r = there ? learn(m, there, one, e) : members_put(m, one, e);
		if (r < 0)
			return r;
		changed |= !there || r;
	}
	return changed;
}

uint64_t members_serial(const struct members *m)
{
	uint64_t highest = 0;

	for (size_t i = 0; i < m->count; i++)
		if (m->at[i].serial > highest)
			highest = m->at[i].serial;
	return highest;
}

/* --- questions */

int members_check(const struct members *m, const char *name, uint64_t serial,
		  struct error *e)
{
	const struct member *there = find(m, name);
	char when[DATE_CAP];

	if (!there || (!there->removed_s && serial >= there->serial))
		return 0;
	if (!there->removed_s)
		return error_set(e, EACCES,
				 "the certificate of host %s is from before it "
				 "was removed: have it join anew",
				 name);
	date_text(when, there->removed_s);
	return error_set(e, EACCES,
			 "host %s was removed at %s, as host %s says, which "
			 "has the CA's key: have it join anew",
			 name, when, m->host);
}

bool member_same_place(const struct member *a, const struct member *b)
{
	if (a->port != b->port || a->addresses.count != b->addresses.count)
		return false;
	for (size_t i = 0; i < a->addresses.count; i++)
		if (strcmp(a->addresses.at[i], b->addresses.at[i]) != 0)
			return false;
	return true;
}

/* --- text */

int members_text(char **ret, const struct members *m, struct error *e)
{
	AUTO_FREE char *text = shape_text(&members_shape, m);

	if (!text)
		return error_set(e, ENOMEM, "no memory for the list of hosts");
	if (strlen(text) > MEMBERS_TEXT_MAX)
		return error_set(e, EMSGSIZE,
				 "the list of hosts would have %zu bytes, and "
				 "may have %d",
				 strlen(text), MEMBERS_TEXT_MAX);
	*ret = take_ptr(&text);
	return 0;
}

static int check(const struct members *m, struct error *e)
{
	if (text_check_name("host", m->host, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < m->count; i++) {
		if (text_check_name("host", m->at[i].name, e) < 0)
			return error_code(e);
		if (find(m, m->at[i].name) != &m->at[i])
			return error_set(e, EBADMSG, "host %s is there twice",
					 m->at[i].name);
	}
	return 0;
}

int members_parse(struct members *ret, const char *text, struct error *e)
{
	struct members m = { 0 };

	if (shape_parse(&members_shape, &m, text, strlen(text), SHAPE_MESSAGE,
			e) < 0 ||
	    check(&m, e) < 0) {
		members_done(&m);
		error_in(e, "the list of hosts");
		return error_as(e, EBADMSG);
	}
	*ret = m;
	return 0;
}
