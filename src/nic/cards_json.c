/* SPDX-License-Identifier: MIT */

/*
 * Cards as JSON, written and read.  docs/wire.md, "Cards", says what each
 * member means; what has its default value (0, false, the name for the wire) is
 * not written.
 *
 * An indirection table mostly repeats the first few queues, so only what is
 * repeated is written, and how long the table is.
 */
#include <ctype.h>
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

/* --- writing */

static json_t *text_json(const char *text)
{
	char plain[NIC_REASON];

	text_printable(plain, sizeof(plain), text, strlen(text));
	return json_string(plain);
}

static json_t *hex_json(const uint8_t *bytes, size_t len)
{
	char text[2 * CARD_KEY_MAX + 1] = "";

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

static void put_number(json_t *o, const char *key, unsigned v, unsigned most)
{
	if (v)
		json_object_set_new(o, key, json_integer(v < most ? v : most));
}

static void put_true(json_t *o, const char *key, bool v)
{
	if (v)
		json_object_set_new(o, key, json_true());
}

static json_t *addresses_json(const struct card *c)
{
	json_t *all = json_array();
	char text[NIC_ADDRESS_TEXT];

	for (size_t i = 0; i < c->addresses; i++) {
		nic_address_text(text, &c->address[i].address);
		json_array_append_new(all, json_pack("[s,i]", text,
						     c->address[i].rank));
	}
	return all;
}

static json_t *bond_json(const struct nic_bond *b)
{
	json_t *o = json_object();

	json_object_set_new(o, "mode", json_string(bond_mode_name(b->mode)));
	json_object_set_new(o, "policy",
			    json_string(bond_policy_name(b->policy)));
	put_true(o, "dynamic", b->tlb_dynamic);
	put_number(o, "members", b->members, MEMBERS_MAX);
	return o;
}

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

static json_t *hash_json(const struct nic_rss *h)
{
	unsigned period = table_period(h);
	json_t *table = json_array();

	for (unsigned i = 0; i < period; i++)
		json_array_append_new(table, json_integer(h->table[i]));
	return json_pack("{s:b,s:o,s:i,s:o}", "toeplitz", h->toeplitz, "key",
			 hex_json(h->key, h->key_bytes), "entries",
			 (int)h->table_size, "table", table);
}

static json_t *card_json(const struct card *c)
{
	json_t *o = json_object();

	json_object_set_new(o, "name", text_json(c->name));
	if (strcmp(c->wire, c->name) != 0)
		json_object_set_new(o, "wire", text_json(c->wire));
	if (c->has_mac)
		json_object_set_new(o, "mac", hex_json(c->mac, sizeof(c->mac)));
	put_number(o, "speed", c->speed_mbit, SPEED_MAX);
	put_number(o, "mtu", c->mtu, MTU_MAX);
	put_number(o, "vlan", c->vlan, VLAN_MAX);
	put_true(o, "rss", c->rss);
	if (c->bonded)
		json_object_set_new(o, "bond", bond_json(&c->bond));
	if (c->addresses)
		json_object_set_new(o, "addresses", addresses_json(c));
	if (c->why_not[0])
		json_object_set_new(o, "why_not", text_json(c->why_not));
	put_true(o, "down", c->down);
	return o;
}

static size_t bytes_of(const json_t *j)
{
	return json_dumpb(j, NULL, 0, JSON_COMPACT);
}

/* Without its table a key is of no use, so both go together or not at all. */
static void add_hashes(json_t *all, const struct cards *c)
{
	static const char around[] = ",\"hash\":";
	size_t bytes = bytes_of(all);

	for (size_t i = 0; i < c->count; i++) {
		const struct nic_rss *h = &c->at[i].hash;
		json_t *hash = h->table && h->key ? hash_json(h) : NULL;
		size_t more = hash ? bytes_of(hash) + strlen(around) : 0;

		if (hash && bytes + more <= CARDS_BYTES) {
			bytes += more;
			json_object_set(json_array_get(all, i), "hash", hash);
		}
		json_decref(hash);
	}
}

json_t *cards_json(const struct cards *c)
{
	json_t *all = json_array();

	for (size_t i = 0; i < c->count; i++)
		json_array_append_new(all, card_json(&c->at[i]));
	add_hashes(all, c);
	return all;
}

/* --- reading */

static int bad(struct error *e, const char *what)
{
	return error_set(e, EBADMSG, "'%s' is not what it should be", what);
}

/* Each of these leaves @ret alone where the member is missing. */
static int get_number(unsigned *ret, const json_t *o, const char *key,
		      unsigned most, struct error *e)
{
	const json_t *j = json_object_get(o, key);
	json_int_t v = json_integer_value(j);

	if (!j)
		return 0;
	if (!json_is_integer(j) || v < 0 || v > most)
		return bad(e, key);
	*ret = (unsigned)v;
	return 0;
}

static int get_switch(bool *ret, const json_t *o, const char *key,
		      struct error *e)
{
	const json_t *j = json_object_get(o, key);

	if (!j)
		return 0;
	if (!json_is_boolean(j))
		return bad(e, key);
	*ret = json_is_true(j);
	return 0;
}

/* Printable, not empty, and with room for its end in @cap. */
static int get_text(char *ret, size_t cap, const json_t *o, const char *key,
		    struct error *e)
{
	const json_t *j = json_object_get(o, key);
	size_t len = json_string_length(j);
	const char *text = json_string_value(j);

	if (!j)
		return 0;
	if (!text || len == 0 || len >= cap)
		return bad(e, key);
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return bad(e, key);
	memcpy(ret, text, len + 1);
	return 0;
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* From 1 to @cap bytes. */
static int get_hex(uint8_t *ret, size_t cap, unsigned *ret_len, const json_t *o,
		   const char *key, struct error *e)
{
	const json_t *j = json_object_get(o, key);
	size_t len = json_string_length(j);
	const char *text = json_string_value(j);

	if (!text || len < 2 || len % 2 || len / 2 > cap)
		return bad(e, key);
	for (size_t i = 0; i < len / 2; i++) {
		int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return bad(e, key);
		ret[i] = (uint8_t)(high << 4 | low);
	}
	*ret_len = (unsigned)(len / 2);
	return 0;
}

/* The number of the name, below @count; or -EBADMSG. */
static int get_name(const json_t *o, const char *key, int count,
		    const char *(*name_of)(int), struct error *e)
{
	const char *text = json_string_value(json_object_get(o, key));

	for (int i = 0; text && i < count; i++)
		if (!strcmp(text, name_of(i)))
			return i;
	return bad(e, key);
}

static const char *mode_name(int mode)
{
	return bond_mode_name((enum bond_mode)mode);
}

static const char *policy_name(int policy)
{
	return bond_policy_name((enum bond_policy)policy);
}

static int parse_bond(struct card *c, const json_t *o, struct error *e)
{
	const json_t *j = json_object_get(o, "bond");
	int mode, policy;

	if (!j)
		return 0;
	if ((mode = get_name(j, "mode", BOND_MODES, mode_name, e)) < 0)
		return mode;
	policy = get_name(j, "policy", BOND_POLICIES, policy_name, e);
	if (policy < 0)
		return policy;
	c->bonded = true;
	c->bond.mode = (enum bond_mode)mode;
	c->bond.policy = (enum bond_policy)policy;
	if (get_switch(&c->bond.tlb_dynamic, j, "dynamic", e) < 0)
		return error_code(e);
	return get_number(&c->bond.members, j, "members", MEMBERS_MAX, e);
}

static int parse_mac(struct card *c, const json_t *o, struct error *e)
{
	unsigned len;

	if (!json_object_get(o, "mac"))
		return 0;
	if (get_hex(c->mac, sizeof(c->mac), &len, o, "mac", e) < 0)
		return error_code(e);
	if (len != sizeof(c->mac))
		return bad(e, "mac");
	c->has_mac = true;
	return 0;
}

static int parse_address(struct card_address *ret, const json_t *j)
{
	const char *text = json_string_value(json_array_get(j, 0));
	const json_t *rank = json_array_get(j, 1);
	json_int_t v = json_integer_value(rank);

	if (!text || !json_is_integer(rank) || v < 0 || v >= NETWORKS_MAX ||
	    nic_address_parse(&ret->address, text) < 0 ||
	    !nic_address_is_host(&ret->address))
		return -EBADMSG;
	ret->rank = (int)v;
	return 0;
}

static int parse_addresses(struct card *c, const json_t *o, struct error *e)
{
	const json_t *all = json_object_get(o, "addresses");
	const json_t *j;
	size_t i;

	if (!all)
		return 0;
	if (!json_is_array(all) || json_array_size(all) > CARD_ADDRESSES_MAX)
		return bad(e, "addresses");
	json_array_foreach (all, i, j)
		if (parse_address(&c->address[i], j) < 0)
			return bad(e, "addresses");
	c->addresses = json_array_size(all);
	return 0;
}

/* Of @h->table_size entries, as often as they fit. */
static int parse_table(struct nic_rss *h, const json_t *table, struct error *e)
{
	size_t period = json_array_size(table);

	if (period == 0 || period > h->table_size)
		return bad(e, "table");
	h->table = calloc(h->table_size, sizeof(*h->table));
	if (!h->table)
		return error_set(e, ENOMEM, "no memory for its table");
	for (unsigned i = 0; i < h->table_size; i++) {
		const json_t *j = json_array_get(table, i % period);
		json_int_t queue = json_integer_value(j);

		if (!json_is_integer(j) || queue < 0 || queue > QUEUE_MAX)
			return bad(e, "table");
		h->table[i] = (uint32_t)queue;
	}
	return 0;
}

static int parse_hash(struct nic_rss *h, const json_t *o, struct error *e)
{
	const json_t *j = json_object_get(o, "hash");

	if (!j)
		return 0;
	h->key = malloc(CARD_KEY_MAX);
	if (!h->key)
		return error_set(e, ENOMEM, "no memory for its key");
	if (get_hex(h->key, CARD_KEY_MAX, &h->key_bytes, j, "key", e) < 0 ||
	    get_number(&h->table_size, j, "entries", CARD_TABLE_MAX, e) < 0 ||
	    get_switch(&h->toeplitz, j, "toeplitz", e) < 0)
		return error_code(e);
	return parse_table(h, json_object_get(j, "table"), e);
}

static int parse_names(struct card *c, const json_t *o, struct error *e)
{
	if (get_text(c->name, sizeof(c->name), o, "name", e) < 0)
		return error_code(e);
	if (!c->name[0])
		return bad(e, "name");
	memcpy(c->wire, c->name, sizeof(c->wire));
	if (get_text(c->wire, sizeof(c->wire), o, "wire", e) < 0 ||
	    get_text(c->why_not, sizeof(c->why_not), o, "why_not", e) < 0 ||
	    get_switch(&c->down, o, "down", e) < 0)
		return error_code(e);
	if (c->down && !c->why_not[0])
		return bad(e, "down");
	return 0;
}

static int parse_card(struct card *c, const json_t *o, struct error *e)
{
	if (parse_names(c, o, e) < 0 || parse_mac(c, o, e) < 0 ||
	    get_number(&c->speed_mbit, o, "speed", SPEED_MAX, e) < 0 ||
	    get_number(&c->mtu, o, "mtu", MTU_MAX, e) < 0 ||
	    get_number(&c->vlan, o, "vlan", VLAN_MAX, e) < 0 ||
	    get_switch(&c->rss, o, "rss", e) < 0 || parse_bond(c, o, e) < 0 ||
	    parse_addresses(c, o, e) < 0)
		return error_code(e);
	return parse_hash(&c->hash, o, e);
}

static void drop_cards(struct cards **c)
{
	cards_free(*c);
}

int cards_parse(struct cards **ret, const json_t *j, struct error *e)
{
	SCOPED(drop_cards) struct cards *c = NULL;
	const json_t *card;
	size_t i;

	if (!json_is_array(j) || json_array_size(j) > CARDS_MAX)
		return error_set(e, EBADMSG,
				 "the peer's cards: not a list of at most %d",
				 CARDS_MAX);
	c = calloc(1, sizeof(*c));
	if (!c)
		return error_set(e, ENOMEM, "no memory for the peer's cards");
	json_array_foreach (j, i, card) {
		c->count++; /* before it is whole: what it has is freed */
		if (parse_card(&c->at[i], card, e) < 0)
			return error_in(e, "the peer's card %zu", i + 1);
	}
	*ret = take_ptr(&c);
	return 0;
}
