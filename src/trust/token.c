/* SPDX-License-Identifier: MIT */
#include "trust/token.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/error.h"

enum {
	HASH_BYTES = 32,
	TOKEN_BYTES = TOKEN_SECRET + HASH_BYTES,
	TOKEN_DIGITS = TOKEN_BYTES / 3 * 4, /* without padding */
};

_Static_assert(TOKEN_BYTES % 3 == 0, "base64 without padding");

static const char head[] = "drover1-";

_Static_assert(sizeof(head) + TOKEN_DIGITS <= TOKEN_CAP, "room for a token");

static void to_hex(char *buf, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		snprintf(buf + 2 * i, 3, "%02x", bytes[i]);
}

/* Of digits that to_hex() made. */
static void from_hex(uint8_t *bytes, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		const char digits[3] = { text[2 * i], text[2 * i + 1] };

		bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
}

int token_new(struct token *ret, const char authority[static CERTIFICATE_HASH],
	      struct error *e)
{
	if (RAND_bytes(ret->secret, TOKEN_SECRET) != 1)
		return error_set(e, EIO, "no random bytes for a token");
	snprintf(ret->authority, sizeof(ret->authority), "%s", authority);
	return 0;
}

void token_text(char buf[static TOKEN_CAP], const struct token *t)
{
	uint8_t bytes[TOKEN_BYTES] = { 0 };
	char *digits = buf + sizeof(head) - 1;

	memcpy(bytes, t->secret, TOKEN_SECRET);
	from_hex(bytes + TOKEN_SECRET, t->authority, HASH_BYTES);
	memcpy(buf, head, sizeof(head));
	EVP_EncodeBlock((unsigned char *)digits, bytes, TOKEN_BYTES);
	for (char *c = digits; *c; c++) {
		if (*c == '+')
			*c = '-';
		else if (*c == '/')
			*c = '_';
	}
}

int token_parse(struct token *ret, const char *text, struct error *e)
{
	uint8_t bytes[TOKEN_BYTES];
	char digits[TOKEN_DIGITS + 1];
	size_t len = strlen(text);

	if (strncmp(text, head, strlen(head)) != 0 ||
	    len != strlen(head) + TOKEN_DIGITS)
		return error_set(e, EINVAL,
				 "this is not a whole token: it begins with "
				 "'%s' and has %zu letters",
				 head, strlen(head) + TOKEN_DIGITS);
	memcpy(digits, text + strlen(head), sizeof(digits));
	for (char *c = digits; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			return error_set(e, EINVAL,
					 "this is not a token: it has letters "
					 "that none has");
		if (*c == '-')
			*c = '+';
		else if (*c == '_')
			*c = '/';
	}
	if (EVP_DecodeBlock(bytes, (unsigned char *)digits, TOKEN_DIGITS) !=
	    TOKEN_BYTES)
		return error_set(e, EINVAL, "this is not a token");
	memcpy(ret->secret, bytes, TOKEN_SECRET);
	to_hex(ret->authority, bytes + TOKEN_SECRET, HASH_BYTES);
	return 0;
}

static int hash_secret(char buf[static CERTIFICATE_HASH],
		       const uint8_t secret[TOKEN_SECRET], struct error *e)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!EVP_Digest(secret, TOKEN_SECRET, hash, &len, EVP_sha256(), NULL))
		return error_set(e, EIO, "no SHA-256 of a token");
	to_hex(buf, hash, len);
	return 0;
}

int invitation_add(struct invitations *all, const struct token *t,
		   int64_t now_s, struct error *e)
{
	struct invitation made = { .until_s = now_s + INVITATION_S };

	if (hash_secret(made.secret_hash, t->secret, e) < 0)
		return error_code(e);
	if (all->count == INVITATIONS_MAX) {
		memmove(&all->at[0], &all->at[1],
			(INVITATIONS_MAX - 1) * sizeof(all->at[0]));
		all->count--;
	}
	all->at[all->count++] = made;
	return 0;
}

static void text_of_time(char buf[static 32], int64_t at_s)
{
	const time_t t = at_s;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || !strftime(buf, 32, "%F %H:%M:%S UTC", &tm))
		snprintf(buf, 32, "an unknown time");
}

int invitation_use(struct invitations *all, const uint8_t secret[TOKEN_SECRET],
		   const char *name, int64_t now_s, struct error *e)
{
	char hash[CERTIFICATE_HASH], when[32];

	if (hash_secret(hash, secret, e) < 0)
		return error_code(e);
	for (size_t i = 0; i < all->count; i++) {
		struct invitation *v = &all->at[i];

		if (strcmp(v->secret_hash, hash) != 0)
			continue;
		if (v->used_by[0]) {
			text_of_time(when, v->used_s);
			return error_set(e, EACCES,
					 "the token of host %s was used by "
					 "host %s at %s: ask for another one",
					 name, v->used_by, when);
		}
		if (now_s > v->until_s) {
			text_of_time(when, v->until_s);
			return error_set(e, EACCES,
					 "the token of host %s expired at %s: "
					 "ask for another one",
					 name, when);
		}
		snprintf(v->used_by, sizeof(v->used_by), "%s", name);
		v->used_s = now_s;
		return 0;
	}
	return error_set(e, EACCES,
			 "the token of host %s is not one of this host's",
			 name);
}
