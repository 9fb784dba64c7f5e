/* SPDX-License-Identifier: MIT */

/* A peer's list of cards.  What is read is within the limits that the program
 * relies on, and is the same when it is written and read again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "nic/address.h"
#include "nic/cards.h"
#include "nic/toeplitz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_card(const struct card *c)
{
	assert(c->name[0] && c->wire[0]);
	assert(c->addresses <= CARD_ADDRESSES_MAX);
	for (size_t i = 0; i < c->addresses; i++) {
		assert(nic_address_is_host(&c->address[i].address));
		assert(c->address[i].rank >= 0 &&
		       c->address[i].rank < NETWORKS_MAX);
	}
	assert(c->hash.table_size <= CARD_TABLE_MAX);
	for (unsigned i = 0; i < c->hash.table_size; i++)
		assert(c->hash.table[i] <= UINT16_MAX);
	assert(c->hash.key_bytes <= CARD_KEY_MAX);
	assert(!c->down || c->why_not[0]);
}

/* Parsed and written: the text, on the heap. */
static char *round_trip(const json_t *j)
{
	struct cards *c = NULL;
	struct error e = { 0 };
	json_t *again;
	char *text;

	if (cards_parse(&c, j, &e) < 0) {
		assert(e.code > 0 && e.text[0]);
		return NULL;
	}
	assert(c->count == json_array_size(j) && c->count <= CARDS_MAX);
	for (size_t i = 0; i < c->count; i++)
		check_card(&c->at[i]);
	again = cards_json(c);
	text = json_dumps(again, JSON_COMPACT | JSON_SORT_KEYS);
	assert(text && strlen(text) <= CARDS_BYTES);
	json_decref(again);
	cards_free(c);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *j = json_loadb((const char *)data, len, 0, NULL);
	char *once = j ? round_trip(j) : NULL;

	json_decref(j);
	if (once) {
		char *twice;

		j = json_loads(once, 0, NULL);
		assert(j);
		twice = round_trip(j);
		assert(twice && !strcmp(once, twice));
		free(twice);
		json_decref(j);
	}
	free(once);
	return 0;
}
