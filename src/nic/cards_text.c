/* SPDX-License-Identifier: MIT */

/*
 * Cards as text, written and read.  docs/wire.md, "Cards", says what each
 * member means; what has its default value (0, false, the name for the wire) is
 * not written.
 *
 * An indirection table mostly repeats the first few queues, so only what is
 * repeated is written, and how long the table is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/scope.h"
#include "base/text.h"
#include "nic/address.h"
#include "nic/bond.h"
#include "nic/cards.h"

enum {
	SPEED_MAX = 10 * 1000 * 1000, /* Mbit/s */
	MTU_MAX = 1 << 30,
	VLAN_MAX = 4095,
	MEMBERS_MAX = 256,
	QUEUE_MAX = UINT16_MAX,
};

struct key {
	uint8_t bytes[CARD_KEY_MAX];
	unsigned len;
};

struct hash_message {
	bool toeplitz;
	unsigned entries;
	struct key key;
	uint32_t *table; /* that is repeated up to @entries */
	size_t period;
};

/* A card as it stands in a message: its wire is empty where it is the name. */
struct card_message {
	struct card card; /* without its hash */
	bool has_hash;
	struct hash_message hash;
};

struct cards_message {
	struct card_message *at;
	size_t count;
};

/* --- strings */

static void show_mac(char *buf, size_t cap, const void *at)
{
	text_hex(buf, cap, at, NIC_MAC_BYTES);
}

static int parse_mac(void *at, const char *text, struct error *e)
{
	if (text_parse_hex(at, NIC_MAC_BYTES, text) != NIC_MAC_BYTES)
		return error_set(e, EINVAL, "12 hex digits");
	return 0;
}

static void show_key(char *buf, size_t cap, const void *at)
{
	const struct key *k = at;

	text_hex(buf, cap, k->bytes, k->len);
}

static int parse_key(void *at, const char *text, struct error *e)
{
	struct key *k = at;
	int len = text_parse_hex(k->bytes, sizeof(k->bytes), text);

	if (len < 0)
		return error_set(e, EINVAL, "2 to %d hex digits",
				 2 * CARD_KEY_MAX);
	k->len = (unsigned)len;
	return 0;
}

static void show_address(char *buf, size_t cap, const void *at)
{
	char text[NIC_ADDRESS_TEXT];

	nic_address_text(text, at);
	snprintf(buf, cap, "%s", text);
}

static int parse_address(void *at, const char *text, struct error *e)
{
	if (nic_address_parse(at, text) < 0 || !nic_address_is_host(at))
		return error_set(e, EINVAL, "an address that can be dialled");
	return 0;
}

static const struct shape_code mac_code = { show_mac, parse_mac };
static const struct shape_code key_code = { show_key, parse_key };
static const struct shape_code address_code = { show_address, parse_address };

/* --- shapes */

static const struct shape_field queue_field = {
	NULL, SHAPE_NUMBER, 0, 0, sizeof(uint32_t), .most = QUEUE_MAX,
};

static const struct shape queue_shape = {
	sizeof(uint32_t),
	&queue_field,
	1,
	SHAPE_BARE,
};

#define AT(member) SHAPE_AT(struct hash_message, member)

static const struct shape_field hash_fields[] = {
	{ "toeplitz", SHAPE_BOOL, 0, AT(toeplitz) },
	{ "key", SHAPE_CODE, SHAPE_NEEDED, AT(key), .code = &key_code },
	{ "entries", SHAPE_NUMBER, 0, AT(entries), .most = CARD_TABLE_MAX },
	{ "table", SHAPE_LIST, SHAPE_NEEDED, AT(table),
	  SHAPE_COUNT(struct hash_message, period), .most = CARD_TABLE_MAX,
	  .of = &queue_shape },
};

static const struct shape hash_shape = SHAPE(struct hash_message, hash_fields);

#undef AT
#define AT(member) SHAPE_AT(struct nic_bond, member)

static const struct shape_field bond_fields[] = {
	{ "mode", SHAPE_NAME, SHAPE_NEEDED, AT(mode), .names = bond_mode_names,
	  .most = BOND_MODES },
	{ "policy", SHAPE_NAME, SHAPE_NEEDED, AT(policy),
	  .names = bond_policy_names, .most = BOND_POLICIES },
	{ "dynamic", SHAPE_BOOL, SHAPE_OMIT, AT(tlb_dynamic) },
	{ "members", SHAPE_NUMBER, SHAPE_OMIT, AT(members),
	  .most = MEMBERS_MAX },
};

static const struct shape bond_shape = SHAPE(struct nic_bond, bond_fields);

#undef AT
#define AT(member) SHAPE_AT(struct card_address, member)

static const struct shape_field address_fields[] = {
	{ "address", SHAPE_CODE, SHAPE_NEEDED, AT(address),
	  .code = &address_code },
	{ "rank", SHAPE_SIGNED, SHAPE_NEEDED, AT(rank),
	  .most = NETWORKS_MAX - 1 },
};

static const struct shape address_shape = {
	sizeof(struct card_address),
	address_fields,
	ARRAY_SIZE(address_fields),
	SHAPE_TUPLE,
};

#undef AT
#define AT(member) SHAPE_AT(struct card_arrival, member)

static const struct shape_field arrival_fields[] = {
	{ "port", SHAPE_NUMBER, SHAPE_NEEDED, AT(port), .least = 1,
	  .most = UINT16_MAX },
	{ "queue", SHAPE_NUMBER, SHAPE_NEEDED, AT(queue), .least = 1,
	  .most = UINT32_MAX },
};

static const struct shape arrival_shape = {
	sizeof(struct card_arrival),
	arrival_fields,
	ARRAY_SIZE(arrival_fields),
	SHAPE_TUPLE,
};

#undef AT
#define AT(member) SHAPE_AT(struct card_message, member)

static const struct shape_field card_fields[] = {
	{ "name", SHAPE_TEXT, SHAPE_NEEDED | SHAPE_PRINTABLE, AT(card.name) },
	{ "wire", SHAPE_TEXT, SHAPE_OMIT | SHAPE_PRINTABLE, AT(card.wire) },
	{ "mac", SHAPE_CODE, SHAPE_OMIT, AT(card.mac),
	  SHAPE_HAS(struct card_message, card.has_mac), .code = &mac_code },
	{ "speed", SHAPE_NUMBER, SHAPE_OMIT, AT(card.speed_mbit),
	  .most = SPEED_MAX },
	{ "mtu", SHAPE_NUMBER, SHAPE_OMIT, AT(card.mtu), .most = MTU_MAX },
	{ "vlan", SHAPE_NUMBER, SHAPE_OMIT, AT(card.vlan), .most = VLAN_MAX },
	{ "rss", SHAPE_BOOL, SHAPE_OMIT, AT(card.rss) },
	{ "queues", SHAPE_NUMBER, SHAPE_OMIT, AT(card.queues),
	  .most = QUEUE_MAX },
	{ "arrivals", SHAPE_LIST, SHAPE_OMIT | SHAPE_INSIDE, AT(card.arrival),
	  SHAPE_COUNT(struct card_message, card.arrivals),
	  .most = CARD_ARRIVALS_MAX, .of = &arrival_shape },
	{ "bond", SHAPE_OBJECT, SHAPE_OMIT, AT(card.bond),
	  SHAPE_HAS(struct card_message, card.bonded), .of = &bond_shape },
	{ "addresses", SHAPE_LIST, SHAPE_OMIT | SHAPE_INSIDE, AT(card.address),
	  SHAPE_COUNT(struct card_message, card.addresses),
	  .most = CARD_ADDRESSES_MAX, .of = &address_shape },
	{ "why_not", SHAPE_TEXT, SHAPE_OMIT | SHAPE_PRINTABLE,
	  AT(card.why_not) },
	{ "down", SHAPE_BOOL, SHAPE_OMIT, AT(card.down) },
	{ "hash", SHAPE_OBJECT, SHAPE_OMIT, AT(hash),
	  SHAPE_HAS(struct card_message, has_hash), .of = &hash_shape },
};

#undef AT

static const struct shape card_shape = SHAPE(struct card_message, card_fields);

static const struct shape_field cards_field = {
	.kind = SHAPE_LIST,
	SHAPE_AT(struct cards_message, at),
	SHAPE_COUNT(struct cards_message, count),
	.most = CARDS_MAX,
	.of = &card_shape,
};

const struct shape cards_shape = {
	sizeof(struct cards_message),
	&cards_field,
	1,
	SHAPE_BARE,
};

static void drop_message(struct cards_message *m)
{
	shape_done(&cards_shape, m);
}

/* --- writing */

/* After how many entries the table only repeats itself. */
static unsigned table_period(const struct nic_rss *h)
{
	unsigned period = 1, i = 1;

	while (i < h->table_size) {
		if (h->table[i] == h->table[i - period]) {
			i++;
		} else {
			period++;
			i = period;
		}
	}
	return period;
}

static void put_text(char *to, size_t cap, const char *text)
{
	text_printable(to, cap, text, strlen(text));
}

static unsigned at_most(unsigned v, unsigned most)
{
	return v < most ? v : most;
}

static void put_card(struct card *to, const struct card *c)
{
	*to = *c;
	to->hash = (struct nic_rss){ 0 };
	put_text(to->name, sizeof(to->name), c->name);
	put_text(to->wire, sizeof(to->wire),
		 strcmp(c->wire, c->name) != 0 ? c->wire : "");
	put_text(to->why_not, sizeof(to->why_not), c->why_not);
	to->speed_mbit = at_most(c->speed_mbit, SPEED_MAX);
	to->mtu = at_most(c->mtu, MTU_MAX);
	to->vlan = at_most(c->vlan, VLAN_MAX);
	to->queues = at_most(c->queues, QUEUE_MAX);
	to->bond.members = at_most(c->bond.members, MEMBERS_MAX);
}

/* False when it is not known, or without memory. */
static bool put_hash(struct hash_message *to, const struct nic_rss *h)
{
	if (!h->table || !h->key || h->key_bytes == 0 ||
	    h->key_bytes > CARD_KEY_MAX || h->table_size > CARD_TABLE_MAX)
		return false;
	to->toeplitz = h->toeplitz;
	to->entries = h->table_size;
	to->key.len = h->key_bytes;
	memcpy(to->key.bytes, h->key, to->key.len);
	to->period = table_period(h);
	to->table = calloc(to->period, sizeof(*to->table));
	if (!to->table) {
		to->period = 0;
		return false;
	}
	memcpy(to->table, h->table, to->period * sizeof(*to->table));
	return true;
}

static size_t bytes_of(const struct shape *s, const void *object)
{
	AUTO_FREE char *text = shape_text(s, object);

	return text ? strlen(text) : CARDS_BYTES;
}

/* Without its table a key is of no use, so both go together or not at all. */
static void put_hashes(struct cards_message *m, const struct cards *c)
{
	static const char around[] = ",\"hash\":";
	size_t bytes = bytes_of(&cards_shape, m);

	for (size_t i = 0; i < m->count; i++) {
		struct card_message *to = &m->at[i];
		size_t more;

		if (!put_hash(&to->hash, &c->at[i].hash))
			continue;
		more = bytes_of(&hash_shape, &to->hash) + strlen(around);
		to->has_hash = bytes + more <= CARDS_BYTES;
		bytes += to->has_hash ? more : 0;
	}
}

char *cards_text(const struct cards *c)
{
	SCOPED(drop_message) struct cards_message m = { 0 };

	m.at = calloc(c->count ? c->count : 1, sizeof(*m.at));
	if (!m.at)
		return NULL;
	m.count = c->count;
	for (size_t i = 0; i < c->count; i++)
		put_card(&m.at[i].card, &c->at[i]);
	put_hashes(&m, c);
	return shape_text(&cards_shape, &m);
}

/* --- reading */

/* Of @m->entries entries, as often as they fit. */
static int take_hash(struct nic_rss *h, const struct hash_message *m,
		     struct error *e)
{
	if (m->period == 0 || m->period > m->entries)
		return error_set(e, EBADMSG,
				 "'table' must have 1 to 'entries' numbers");
	h->toeplitz = m->toeplitz;
	h->key = malloc(m->key.len);
	h->table = calloc(m->entries, sizeof(*h->table));
	if (!h->key || !h->table)
		return error_set(e, ENOMEM, "no memory for its hash");
	memcpy(h->key, m->key.bytes, m->key.len);
	h->key_bytes = m->key.len;
	h->table_size = m->entries;
	for (unsigned i = 0; i < m->entries; i++)
		h->table[i] = m->table[i % m->period];
	return 0;
}

static int take_card(struct card *c, const struct card_message *m,
		     struct error *e)
{
	*c = m->card;
	if (!c->wire[0])
		memcpy(c->wire, c->name, sizeof(c->wire));
	if (c->down && !c->why_not[0])
		return error_set(e, EBADMSG, "'down' must have a 'why_not'");
	return m->has_hash ? take_hash(&c->hash, &m->hash, e) : 0;
}

static void drop_cards(struct cards **c)
{
	cards_free(*c);
}

int cards_parse(struct cards **ret, const char *text, size_t len,
		struct error *e)
{
	SCOPED(drop_message) struct cards_message m = { 0 };
	SCOPED(drop_cards) struct cards *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(e, ENOMEM, "no memory for the peer's cards");
	if (shape_parse(&cards_shape, &m, text, len, SHAPE_MESSAGE, e) < 0)
		return error_in(e, "the peer's cards");
	for (size_t i = 0; i < m.count; i++) {
		c->count++; /* before it is whole: what it has is freed */
		if (take_card(&c->at[i], &m.at[i], e) < 0)
			return error_in(e, "the peer's cards: number %zu",
					i + 1);
	}
	*ret = take_ptr(&c);
	return 0;
}
