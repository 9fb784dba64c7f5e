/* SPDX-License-Identifier: MIT */
#include "nic/networks.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/setting.h"
#include "base/text.h"
#include "base/words.h"
#include "nic/address.h"

const char *const rdma_uses[] = { "prefer", "require", "off", NULL };

static const char separators[] = " \t\r\n,";

enum {
	MEMBER_MAX = NIC_ADDRESS_TEXT,
	LINE_MAX_LEN = NETWORKS_MAX * (MEMBER_MAX + 2),
};

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

/* At the rank that is being filled. */
static int join(struct networks *n, const struct network *w, struct error *e)
{
	if (n->count == NETWORKS_MAX)
		return error_set(e, EINVAL, "more than %d networks",
				 NETWORKS_MAX);
	n->at[n->count] = *w;
	n->at[n->count++].rank = n->ranks;
	return 0;
}

static int add_member(struct networks *n, const char *text, size_t len,
		      struct error *e)
{
	char member[MEMBER_MAX];
	struct network w;

	if (len >= sizeof(member))
		return error_set(e, EINVAL,
				 "'%.*s...' is too long for a network",
				 MEMBER_MAX, text);
	snprintf(member, sizeof(member), "%.*s", (int)len, text);
	if (parse_member(&w, member, e) < 0)
		return error_code(e);
	return join(n, &w, e);
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

bool networks_have(const struct networks *n, const char *nic,
		   const struct nic_address *a)
{
	return n->count > 0 && networks_rank(n, nic, a) != RANK_NONE;
}

static void rank_text(char line[static LINE_MAX_LEN], const struct networks *n,
		      int rank)
{
	char text[NIC_ADDRESS_TEXT];
	size_t at = 0;

	line[0] = '\0';
	for (size_t i = 0; i < n->count; i++) {
		const struct network *w = &n->at[i];

		if (w->rank != rank)
			continue;
		if (w->prefix.family)
			nic_address_text(text, &w->prefix);
		else
			snprintf(text, sizeof(text), "%s", w->nic);
		at += (size_t)snprintf(line + at, LINE_MAX_LEN - at, "%s%s",
				       at ? ", " : "", text);
	}
}

int networks_words(struct words *ret, const struct networks *n, struct error *e)
{
	char line[LINE_MAX_LEN];

	for (int rank = 0; rank < n->ranks; rank++) {
		rank_text(line, n, rank);
		if (words_add(ret, line, e) < 0)
			return error_code(e);
	}
	return 0;
}

/* --- as settings */

static int parse_line(void *at, const struct ini_key *k, const char *value,
		      struct error *e)
{
	struct networks *n = at;
	size_t before = n->count;

	if (networks_add(n, value, e) < 0)
		return error_code(e);
	/* An empty list would allow what somebody meant to restrict. */
	if (n->count == before)
		return error_set(e, EINVAL, "'%s' needs a value", k->key);
	return 0;
}

static int show_lines(struct words *ret, const void *at,
		      const struct ini_key *k, struct error *e)
{
	(void)k;
	return networks_words(ret, at, e);
}

static void clear_networks(void *at)
{
	*(struct networks *)at = (struct networks){ 0 };
}

const struct ini_kind networks_kind = { parse_line, show_lines,
					clear_networks };

static int parse_prefixes(void *at, const struct ini_key *k, const char *value,
			  struct error *e)
{
	struct networks *n = at;

	if (parse_line(at, k, value, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < n->count; i++)
		if (n->at[i].prefix.family == 0)
			return error_set(e, EINVAL,
					 "'%s' is not a network: write "
					 "10.0.0.0/24 or fd00::/64, and names "
					 "of cards as 'cards'",
					 n->at[i].nic);
	return 0;
}

static int parse_cards(void *at, const struct ini_key *k, const char *value,
		       struct error *e)
{
	struct networks *n = at;
	char text[NIC_ADDRESS_TEXT];

	if (parse_line(at, k, value, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < n->count; i++) {
		if (n->at[i].prefix.family == 0)
			continue;
		nic_address_text(text, &n->at[i].prefix);
		return error_set(e, EINVAL,
				 "'%s' is not the name of a card: write "
				 "networks as 'addresses'",
				 text);
	}
	return 0;
}

static const struct ini_kind prefixes_kind = { parse_prefixes, show_lines,
					       clear_networks };
static const struct ini_kind cards_kind = { parse_cards, show_lines,
					    clear_networks };

/* "500Mbit", "50%" */
static int parse_amount(void *at, const struct ini_key *k, const char *value,
			struct error *e)
{
	struct network_amount *to = at;
	size_t len = strcspn(value, "%");
	uint64_t percent = 0;
	char number[8];

	*to = (struct network_amount){ 0 };
	if (!value[len])
		return text_parse_rate(&to->rate, value, e);
	snprintf(number, sizeof(number), "%.*s", (int)(len < 7 ? len : 7),
		 value);
	if (strcmp(value + len, "%") != 0 ||
	    text_parse_number(&percent, number, 1, 100, e) < 0)
		return error_set(e, EINVAL,
				 "'%.80s' is no part of a card, for '%s': "
				 "write 50%%, 500Mbit or 0",
				 value, k->key);
	to->percent = (unsigned)percent;
	return 0;
}

static int show_amount(struct words *ret, const void *at,
		       const struct ini_key *k, struct error *e)
{
	const struct network_amount *a = at;
	char text[32];

	(void)k;
	if (a->percent)
		return words_addf(ret, e, "%u%%", a->percent);
	text_exact_rate(text, sizeof(text), a->rate);
	return words_add(ret, text, e);
}

static const struct ini_kind amount_kind = { parse_amount, show_amount, NULL };

/* "none", "5", "0x10010" of tc's "1:10" */
static int parse_priority(void *at, const struct ini_key *k, const char *value,
			  struct error *e)
{
	unsigned long major, minor;
	uint64_t n;
	char *end;

	(void)k;
	if (!strcmp(value, "none")) {
		*(int *)at = -1;
		return 0;
	}
	major = strtoul(value, &end, 16);
	minor = *end == ':' && isxdigit((unsigned char)end[1])
			? strtoul(end + 1, &end, 16)
			: ULONG_MAX;
	if (!*end && major > 0 && major < 0x8000 && minor <= 0xffff) {
		*(int *)at = (int)(major << 16 | minor);
		return 0;
	}
	if (text_parse_number(&n, value, 0, 15, e) < 0)
		return error_set(e, EINVAL,
				 "'%.80s' is no priority: write a number from "
				 "0 to 15, a class of tc's such as 1:10, or "
				 "none",
				 value);
	*(int *)at = (int)n;
	return 0;
}

static int show_priority(struct words *ret, const void *at,
			 const struct ini_key *k, struct error *e)
{
	const int p = *(const int *)at;

	(void)k;
	if (p < 0)
		return words_add(ret, "none", e);
	if (p > 15)
		return words_addf(ret, e, "%x:%x", (unsigned)p >> 16,
				  (unsigned)p & 0xffff);
	return words_addf(ret, e, "%d", p);
}

static const struct ini_kind priority_kind = { parse_priority, show_priority,
					       NULL };

static const struct {
	const char *name;
	int dscp;
} dscp_names[] = {
	{ "none", -1 }, { "le", 1 },    { "cs1", 8 },  { "af11", 10 },
	{ "af12", 12 }, { "af13", 14 }, { "cs2", 16 }, { "af21", 18 },
	{ "af22", 20 }, { "af23", 22 }, { "cs3", 24 }, { "af31", 26 },
	{ "af32", 28 }, { "af33", 30 }, { "cs4", 32 }, { "af41", 34 },
	{ "af42", 36 }, { "af43", 38 }, { "cs5", 40 }, { "ef", 46 },
	{ "cs6", 48 },  { "cs7", 56 },
};

static int parse_dscp(void *at, const struct ini_key *k, const char *value,
		      struct error *e)
{
	uint64_t n;

	(void)k;
	for (size_t i = 0; i < ARRAY_SIZE(dscp_names); i++)
		if (!strcmp(value, dscp_names[i].name)) {
			*(int *)at = dscp_names[i].dscp;
			return 0;
		}
	if (text_parse_number(&n, value, 0, 63, e) < 0)
		return error_set(e, EINVAL,
				 "'%.80s' is no DSCP: write a number from 0 to "
				 "63, a name such as cs1 or af11, or none",
				 value);
	*(int *)at = (int)n;
	return 0;
}

static int show_dscp(struct words *ret, const void *at, const struct ini_key *k,
		     struct error *e)
{
	(void)k;
	for (size_t i = 0; i < ARRAY_SIZE(dscp_names); i++)
		if (dscp_names[i].dscp == *(const int *)at)
			return words_add(ret, dscp_names[i].name, e);
	return words_addf(ret, e, "%d", *(const int *)at);
}

static const struct ini_kind dscp_kind = { parse_dscp, show_dscp, NULL };

/* Names are the kernel's, which has more of them when a module is loaded. */
static int parse_congestion(void *at, const struct ini_key *k,
			    const char *value, struct error *e)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
	const size_t len = strlen(value);

	(void)k;
	if (len == 0 || len >= NETWORK_CONGESTION || strspn(value, good) != len)
		return error_set(e, EINVAL,
				 "'%.80s' is no congestion control: write "
				 "auto, host, or a name such as cubic",
				 value);
	memcpy(at, value, len + 1);
	return 0;
}

static int show_congestion(struct words *ret, const void *at,
			   const struct ini_key *k, struct error *e)
{
	(void)k;
	return words_add(ret, at, e);
}

static const struct ini_kind congestion_kind = { parse_congestion,
						 show_congestion, NULL };

#define AT(m) .offset = offsetof(struct network_settings, m)

static const struct ini_key keys[] = {
	{ "addresses", &prefixes_kind, AT(addresses), .repeatable = true,
	  .example = "10.0.0.0/24",
	  .help = "the network's addresses, such as 10.0.0.0/24" },
	{ "cards", &cards_kind, AT(cards), .repeatable = true,
	  .example = "eth1, eth2",
	  .help = "names of the cards that stand in it" },
	{ "rank", &setting_number, "1", AT(rank), .least = 1,
	  .most = NETWORKS_MAX, .example = "2",
	  .help = "1 is the most preferred" },
	{ "rdma", &setting_word, "prefer", AT(rdma), .words = rdma_uses,
	  .example = "off",
	  .help = "pages by RDMA over this network: prefer, require, off" },
	{ "rdma-plain", &setting_switch, "off", AT(rdma_plain), .example = "on",
	  .help = "it is private: RDMA, which is not encrypted, also between "
		  "peers that have TLS" },
	{ "limit", &amount_kind, "0", AT(share.limit), .example = "80%",
	  .help = "what moves send at most over each card, as 500Mbit or "
		  "50%; 0 for no limit" },
	{ "yield", &setting_switch, "off", AT(share.yield), .example = "on",
	  .help = "moves give way to others' traffic on a card that is full" },
	{ "guarantee", &amount_kind, "0", AT(share.guarantee), .example = "50%",
	  .help = "what they keep then, of each card" },
	{ "priority", &priority_kind, "none", AT(share.priority),
	  .example = "1:10",
	  .help = "of their packets here, 0 to 15, or a class of tc's" },
	{ "dscp", &dscp_kind, "none", AT(share.dscp), .example = "cs1",
	  .help = "what their packets are marked with in the network" },
	{ "congestion", &congestion_kind, "auto", AT(share.congestion),
	  .example = "host",
	  .help = "congestion control of moves: auto, the host's own, or a "
		  "name" },
};

static int check(const void *one, struct error *e)
{
	const struct network_settings *s = one;

	if (text_check_name("network", s->name, e) < 0)
		return error_code(e);
	if (s->addresses.count + s->cards.count == 0)
		return error_set(e, EINVAL,
				 "[network %s] has no addresses and no cards",
				 s->name);
	return 0;
}

const struct network_settings *networks_section(const struct ini_list *sections,
						const char *nic,
						const struct nic_address *a)
{
	for (size_t i = 0; i < sections->count; i++) {
		const struct network_settings *s = sections->at[i];

		for (size_t k = 0; k < s->cards.count; k++)
			if (has(&s->cards.at[k], nic, a))
				return s;
		for (size_t k = 0; k < s->addresses.count; k++)
			if (has(&s->addresses.at[k], nic, a))
				return s;
	}
	return NULL;
}

const struct ini_section network_section = { "network", keys, ARRAY_SIZE(keys),
					     sizeof(struct network_settings),
					     check };

int networks_add_all(struct networks *n, const struct networks *from,
		     struct error *e)
{
	for (size_t i = 0; i < from->count; i++)
		if (join(n, &from->at[i], e) < 0)
			return error_code(e);
	return 0;
}

/* The members of one rank of the settings; ranks that nobody has leave no
 * gap. */
static int join_rank(struct networks *n, const struct networks *lines,
		     const struct ini_list *sections, int rank, struct error *e)
{
	const size_t before = n->count;

	for (size_t i = 0; i < lines->count; i++)
		if (lines->at[i].rank == rank && join(n, &lines->at[i], e) < 0)
			return error_code(e);
	for (size_t i = 0; i < sections->count; i++) {
		const struct network_settings *s = sections->at[i];

		if (s->rank != (unsigned)rank + 1)
			continue;
		if (networks_add_all(n, &s->addresses, e) < 0 ||
		    networks_add_all(n, &s->cards, e) < 0)
			return error_in(e, "[network %s]", s->name);
	}
	n->ranks += n->count > before;
	return 0;
}

int networks_compose(struct networks *ret, const struct networks *lines,
		     const struct ini_list *sections, struct error *e)
{
	struct networks n = { 0 };

	for (int rank = 0; rank < NETWORKS_MAX; rank++)
		if (join_rank(&n, lines, sections, rank, e) < 0)
			return error_code(e);
	*ret = n;
	return 0;
}
