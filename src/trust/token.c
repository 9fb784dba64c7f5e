/* SPDX-License-Identifier: MIT */
#include "trust/token.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/error.h"
#include "trust/date.h"
#include "trust/hex.h"

enum {
	HASH_BYTES = 32,
	TOKEN_BYTES = TOKEN_SECRET + HASH_BYTES,
	TOKEN_DIGITS = TOKEN_BYTES / 3 * 4, /* without padding */
};

_Static_assert(TOKEN_BYTES % 3 == 0, "base64 without padding");

static const char head[] = "drover1-";

_Static_assert(sizeof(head) + TOKEN_DIGITS <= TOKEN_CAP, "room for a token");

int token_new(struct token *ret, const char host[static CERTIFICATE_HASH],
	      struct error *e)
{
	if (RAND_bytes(ret->secret, TOKEN_SECRET) != 1)
		return error_set(e, EIO, "no random bytes for a token");
	snprintf(ret->host, sizeof(ret->host), "%s", host);
	return 0;
}

void token_text(char buf[static TOKEN_CAP], const struct token *t)
{
	uint8_t bytes[TOKEN_BYTES] = { 0 };
	char *digits = buf + sizeof(head) - 1;

	memcpy(bytes, t->secret, TOKEN_SECRET);
	hex_bytes(bytes + TOKEN_SECRET, t->host, HASH_BYTES);
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
	hex_of(ret->host, bytes + TOKEN_SECRET, HASH_BYTES);
	return 0;
}

static int hash_secret(char buf[static CERTIFICATE_HASH],
		       const uint8_t secret[TOKEN_SECRET], struct error *e)
{
	uint8_t hash[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!EVP_Digest(secret, TOKEN_SECRET, hash, &len, EVP_sha256(), NULL))
		return error_set(e, EIO, "no SHA-256 of a token");
	hex_of(buf, hash, len);
	return 0;
}

int invitation_add(struct invitations *all, const struct token *t,
		   const char *name, int64_t now_s, struct error *e)
{
	struct invitation made = { .until_s = now_s + INVITATION_S };

	snprintf(made.name, sizeof(made.name), "%s", name);
	if (hash_secret(made.secret_hash, t->secret, e) < 0)
		return error_code(e);
	if (all->count == INVITATIONS_MAX) {
		memmove(&all->at[0], &all->at[1],
			(INVITATIONS_MAX - 1) * sizeof(all->at[0]));
		all->count--;
	}
	all->at[all->count++] = made;
	all->wrong = 0;
	return 0;
}

bool invitations_take(const struct invitations *all, int64_t now_s)
{
	if (all->wrong >= INVITATIONS_WRONG_MAX)
		return false;
	for (size_t i = 0; i < all->count; i++)
		if (now_s <= all->at[i].until_s + INVITATION_TELLS_S)
			return true;
	return false;
}

size_t invitations_open(const struct invitations *all, int64_t now_s)
{
	size_t n = 0;

	if (all->wrong >= INVITATIONS_WRONG_MAX)
		return 0;
	for (size_t i = 0; i < all->count; i++)
		n += !all->at[i].used_by[0] && now_s <= all->at[i].until_s;
	return n;
}

/* Looks at all of them, and takes as long for each secret. */
static struct invitation *find(struct invitations *all, const char *hash)
{
	struct invitation *found = NULL;

	for (size_t i = 0; i < all->count; i++)
		if (CRYPTO_memcmp(all->at[i].secret_hash, hash,
				  CERTIFICATE_HASH) == 0)
			found = &all->at[i];
	return found;
}

static int wrong_secret(struct invitations *all, const char *name,
			struct error *e)
{
	if (++all->wrong == INVITATIONS_WRONG_MAX)
		return error_set(e, EACCES,
				 "the token of host %s is not one of this "
				 "host's, and the last of %d wrong ones: all "
				 "invitations are closed, make a new one",
				 name, INVITATIONS_WRONG_MAX);
	return error_set(e, EACCES,
			 "the token of host %s is not one of this host's",
			 name);
}

static int check_invitation(const struct invitation *v, const char *name,
			    int64_t now_s, struct error *e)
{
	char when[DATE_CAP];

	if (v->used_by[0]) {
		date_text(when, v->used_s);
		return error_set(e, EACCES,
				 "the token of host %s was used by host %s at "
				 "%s: ask for another one",
				 name, v->used_by, when);
	}
	if (now_s > v->until_s) {
		date_text(when, v->until_s);
		return error_set(e, EACCES,
				 "the token of host %s expired at %s: ask for "
				 "another one",
				 name, when);
	}
	if (!v->name[0] || !strcmp(v->name, name))
		return 0;
	return error_set(e, EACCES,
			 "the token of host %s is for host %s: ask for another "
			 "one",
			 name, v->name);
}

int invitation_use(struct invitations *all, const uint8_t secret[TOKEN_SECRET],
		   const char *name, int64_t now_s, struct error *e)
{
	char hash[CERTIFICATE_HASH] = "";
	struct invitation *v;

	if (all->wrong >= INVITATIONS_WRONG_MAX)
		return error_set(e, EACCES,
				 "all invitations were closed after %d wrong "
				 "tokens: make a new one",
				 INVITATIONS_WRONG_MAX);
	if (hash_secret(hash, secret, e) < 0)
		return error_code(e);
	v = find(all, hash);
	if (!v)
		return wrong_secret(all, name, e);
	if (check_invitation(v, name, now_s, e) < 0)
		return error_code(e);
	snprintf(v->used_by, sizeof(v->used_by), "%s", name);
	v->used_s = now_s;
	return v->name[0] != '\0';
}
