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
static char *round_trip(const char *from, size_t len)
{
	struct cards *c = NULL;
	struct error e = { 0 };
	char *text;

	if (cards_parse(&c, from, len, &e) < 0) {
		assert(e.code > 0 && e.text[0]);
		return NULL;
	}
	assert(c->count <= CARDS_MAX);
	for (size_t i = 0; i < c->count; i++)
		check_card(&c->at[i]);
	text = cards_text(c);
	assert(text && strlen(text) <= CARDS_BYTES);
	cards_free(c);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *once = round_trip((const char *)data, len);

	if (once) {
		char *twice = round_trip(once, strlen(once));

		assert(twice && !strcmp(once, twice));
		free(twice);
	}
	free(once);
	return 0;
}
