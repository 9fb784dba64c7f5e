/* SPDX-License-Identifier: MIT */
#include "wire/hello.h"

#include <assert.h>
#include <errno.h>

#include "base/error.h"
#include "base/text.h"
#include "wire/reader.h"
#include "wire/sum.h"

/* The line end catches connections that translate text. */
static const char magic[8] = { 'D', 'R', 'O', 'V', 'E', 'R', '\r', '\n' };

size_t hello_write(const struct hello *h, void *buf)
{
	size_t text = strlen(h->text);
	struct writer w = writer_to(buf, HELLO_MAX);

	write_bytes(&w, magic, sizeof(magic));
	write_u16(&w, h->version);
	write_u16(&w, h->lowest);
	write_u16(&w, (uint16_t)h->kind);
	write_u16(&w, (uint16_t)text);
	write_u64(&w, h->session);
	write_bytes(&w, h->secret, SECRET_SIZE);
	write_bytes(&w, h->text, text);
	write_u64(&w, XXH3_64bits(buf, writer_used(&w)));
	assert(!w.bad);
	return writer_used(&w);
}

int hello_length(size_t *ret, const void *buf, struct error *e)
{
	struct reader r = reader_of(buf, HELLO_HEAD_SIZE);
	const void *m = reader_take(&r, sizeof(magic));
	uint16_t text;

	if (!m || memcmp(m, magic, sizeof(magic)) != 0)
		return error_set(e, EBADMSG,
				 "the other side does not speak Drover's "
				 "protocol");
	reader_take(&r, 6);
	text = read_u16(&r);
	if (text > HELLO_TEXT_MAX)
		return error_set(e, EBADMSG, "hello with a text of %u bytes",
				 text);
	*ret = (size_t)HELLO_HEAD_SIZE + text + HELLO_SUM_SIZE;
	return 0;
}

int hello_read(struct hello *ret, const void *buf, size_t len, struct error *e)
{
	struct reader r = reader_of(buf, len);
	const void *secret, *text;
	size_t whole;
	uint16_t n;

	if (len < HELLO_HEAD_SIZE)
		return error_set(e, EBADMSG, "hello of %zu bytes", len);
	if (hello_length(&whole, buf, e) < 0)
		return error_code(e);
	if (whole != len)
		return error_set(e, EBADMSG, "hello of %zu bytes, not %zu", len,
				 whole);
	reader_take(&r, sizeof(magic));
	ret->version = read_u16(&r);
	ret->lowest = read_u16(&r);
	ret->kind = read_u16(&r);
	n = read_u16(&r);
	ret->session = read_u64(&r);
	secret = reader_take(&r, SECRET_SIZE);
	text = reader_take(&r, n);
	if (read_u64(&r) != XXH3_64bits(buf, len - HELLO_SUM_SIZE))
		return error_set(e, EBADMSG, "hello with a wrong checksum");
	if (!reader_done(&r))
		return error_set(e, EBADMSG, "hello of %zu bytes", len);
	memcpy(ret->secret, secret, SECRET_SIZE);
	/* It goes into logs and errors, here and at the other side's. */
	text_printable(ret->text, sizeof(ret->text), text, n);
	if (memchr(text, '\0', n))
		return error_set(e, EBADMSG, "hello with a NUL in its text");
	if (ret->kind < HELLO_OPEN || ret->kind > HELLO_PAIR)
		return error_set(e, EBADMSG, "hello of kind %d", ret->kind);
	return 0;
}

int hello_common_version(uint16_t *ret, const struct hello *theirs,
			 struct error *e)
{
	uint16_t common = theirs->version < WIRE_VERSION
				  ? theirs->version
				  : (uint16_t)WIRE_VERSION;

	if (common < WIRE_LOWEST || common < theirs->lowest)
		return error_set(e, EPROTONOSUPPORT,
				 "speaks wire versions %u to %u, this host %d "
				 "to %d: install the same version of Drover on "
				 "both",
				 theirs->lowest, theirs->version, WIRE_LOWEST,
				 WIRE_VERSION);
	*ret = common;
	return 0;
}
