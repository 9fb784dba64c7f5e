/* SPDX-License-Identifier: MIT */

/*
 * The networks that migrations may use, in order of preference.
 *
 * In the settings each is a section [network NAME] with addresses, cards and a
 * rank; or, in short, a line of the key `networks` is a rank: prefixes
 * ("10.0.0.0/24", "fd00::/64") and interface names, separated by blanks or
 * commas, all equally preferred.  The first line is rank 0, which is that of
 * `rank = 1`.  An empty list allows everything, at rank 0.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/ini.h"
#include "nic/inventory.h"

struct error;
struct words;

enum { NETWORKS_MAX = 64, RANK_NONE = -1, NETWORK_CONGESTION = 16 };

/* Of pages by RDMA. */
enum rdma_use { RDMA_PREFER, RDMA_REQUIRE, RDMA_OFF, RDMA_USES };

/* By their numbers; NULL at the end. */
extern const char *const rdma_uses[];

struct network {
	int rank;
	char nic[IF_NAMESIZE];     /* "": it is a prefix */
	struct nic_address prefix; /* family 0: it is a name */
};

struct networks {
	struct network at[NETWORKS_MAX];
	size_t count;
	int ranks; /* lines so far */
};

/* One more rank, or none when the line names nothing.  A prefix may have bits
 * behind its length, they do not count.  -EINVAL names the member that is
 * neither prefix nor name, and leaves @n as it was. */
int networks_add(struct networks *n, const char *line, struct error *e);

/* Of an address of the interface @nic, the best that fits; RANK_NONE: it is on
 * no network of the list. */
int networks_rank(const struct networks *n, const char *nic,
		  const struct nic_address *a);

/* The same of a list that allows nothing while it is empty. */
bool networks_have(const struct networks *n, const char *nic,
		   const struct nic_address *a);

/* All of @from, at the last rank. */
int networks_add_all(struct networks *n, const struct networks *from,
		     struct error *e);

/* Adds a string for each rank, which networks_add() reads back. */
int networks_words(struct words *ret, const struct networks *n,
		   struct error *e);

/* Of the lines of the key `networks`: a struct networks. */
extern const struct ini_kind networks_kind;

/* Bytes a second, or a part of what a card takes; both 0: none. */
struct network_amount {
	uint64_t rate;
	unsigned percent;
};

/* What migrations may have of each card in the network. */
struct network_share {
	struct network_amount limit, guarantee;
	bool yield;   /* they give way to others' traffic */
	int priority; /* SO_PRIORITY; -1: as it is */
	int dscp;     /* 0 to 63; -1: as it is */
	/* auto, host or a name: channel/congestion.h. */
	char congestion[NETWORK_CONGESTION];
};

/* A section [network NAME]. */
struct network_settings {
	char name[INI_NAME_CAP];
	struct networks addresses; /* prefixes only; the ranks do not count */
	struct networks cards;     /* names only */
	unsigned rank;             /* 1: the best */
	unsigned rdma;             /* enum rdma_use */
	bool rdma_plain;           /* also between peers that have TLS */
	struct network_share share;
};

extern const struct ini_section network_section;

/* The first of the sections that the card, or its address, is in; NULL: none.
 */
const struct network_settings *networks_section(const struct ini_list *sections,
						const char *nic,
						const struct nic_address *a);

/* The lines of `networks` and the sections, of network_section, as one list in
 * order of rank. */
int networks_compose(struct networks *ret, const struct networks *lines,
		     const struct ini_list *sections, struct error *e);
