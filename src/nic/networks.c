/* SPDX-License-Identifier: MIT */
#include "nic/networks.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "nic/address.h"

static const char separators[] = " \t\r\n,";

enum { MEMBER_MAX = NIC_ADDRESS_TEXT };

/* Otherwise a slip of the pen in an address would be the name of an interface
 * that never appears. */
static bool looks_like_address(const char *text)
{
	return strpbrk(text, "/:") || !text[strspn(text, "0123456789.")];
}

static bool is_name(const char *text)
{
	if (strlen(text) >= IF_NAMESIZE)
		return false;
	for (; *text; text++)
		if (!isgraph((unsigned char)*text))
			return false;
	return true;
}

static int parse_member(struct network *ret, const char *text, struct error *e)
{
	struct network w = { 0 };

	if (looks_like_address(text)) {
		if (nic_address_parse(&w.prefix, text) < 0)
			return error_set(e, EINVAL,
					 "'%s' is not a network: write "
					 "10.0.0.0/24 or fd00::/64",
					 text);
		nic_address_mask(&w.prefix);
	} else if (is_name(text)) {
		snprintf(w.nic, sizeof(w.nic), "%s", text);
	} else {
		return error_set(e, EINVAL,
				 "'%s' is neither a network nor the name of "
				 "an interface",
				 text);
	}
	*ret = w;
	return 0;
}

static int add_member(struct networks *n, const char *text, size_t len,
		      struct error *e)
{
	char member[MEMBER_MAX];

	if (len >= sizeof(member))
		return error_set(e, EINVAL,
				 "'%.*s...' is too long for a network",
				 MEMBER_MAX, text);
	if (n->count == NETWORKS_MAX)
		return error_set(e, EINVAL, "more than %d networks",
				 NETWORKS_MAX);
	snprintf(member, sizeof(member), "%.*s", (int)len, text);
	if (parse_member(&n->at[n->count], member, e) < 0)
		return error_code(e);
	n->at[n->count++].rank = n->ranks;
	return 0;
}

int networks_add(struct networks *n, const char *line, struct error *e)
{
	struct networks more = *n;

	for (line += strspn(line, separators); *line;
	     line += strspn(line, separators)) {
		size_t len = strcspn(line, separators);

		if (add_member(&more, line, len, e) < 0)
			return error_code(e);
		line += len;
	}
	if (more.count > n->count)
		more.ranks++;
	*n = more;
	return 0;
}

static bool has(const struct network *w, const char *nic,
		const struct nic_address *a)
{
	if (w->prefix.family == 0)
		return !strcmp(w->nic, nic);
	return nic_address_within(a, &w->prefix);
}

int networks_rank(const struct networks *n, const char *nic,
		  const struct nic_address *a)
{
	if (n->count == 0)
		return 0;
	/* They stand in order of rank: the first is the best. */
	for (size_t i = 0; i < n->count; i++)
		if (has(&n->at[i], nic, a))
			return n->at[i].rank;
	return RANK_NONE;
}

static json_t *rank_json(const struct networks *n, int rank)
{
	char line[NETWORKS_MAX * (MEMBER_MAX + 2)] = "";
	char text[NIC_ADDRESS_TEXT];
	size_t at = 0;

	for (size_t i = 0; i < n->count; i++) {
		const struct network *w = &n->at[i];

		if (w->rank != rank)
			continue;
		if (w->prefix.family)
			nic_address_text(text, &w->prefix);
		else
			snprintf(text, sizeof(text), "%s", w->nic);
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%s%s",
				       at ? ", " : "", text);
	}
	return json_string(line);
}

json_t *networks_json(const struct networks *n)
{
	json_t *all = json_array();

	for (int rank = 0; rank < n->ranks; rank++)
		json_array_append_new(all, rank_json(n, rank));
	return all;
}
