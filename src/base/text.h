/* SPDX-License-Identifier: MIT */

/*
 * Quantities as people write them.  Everything here works on plain strings
 * and allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(p, type, member) \
	((type *)((char *)(p)-offsetof(type, member)))

/* "512", "4K", "64M", "4G", "1T" (powers of 1024, upper or lower case, an
 * optional "iB" behind the letter) into bytes. */
int text_parse_bytes(uint64_t *ret_bytes, const char *text, struct error *e);

/* "300ms", "5s", "5min", "2h"; a plain number is seconds. */
int text_parse_duration(uint64_t *ret_us, const char *text, struct error *e);

/* "500Mbit", "2Gbit", "0" into bytes a second. */
int text_parse_rate(uint64_t *ret_rate, const char *text, struct error *e);

/* As text_parse_bytes() and text_parse_duration() read them back: "256M",
 * "300ms", "0". */
void text_exact_bytes(char *buf, size_t cap, uint64_t bytes);
void text_exact_duration(char *buf, size_t cap, uint64_t us);
/* "500Mbit", of bytes a second that are whole kilobits. */
void text_exact_rate(char *buf, size_t cap, uint64_t rate);

/* A decimal number from @least to @most. */
int text_parse_number(uint64_t *ret, const char *text, uint64_t least,
		      uint64_t most, struct error *e);

/* "yes", "on", "true", "1" and their opposites; 1 or 0 into @ret. */
int text_parse_switch(int *ret, const char *text, struct error *e);

/* A name of a machine, host or relay: letters, digits, '-', '_' and '.', not
 * starting with '-' or '.', at most 63 characters. */
int text_check_name(const char *what, const char *name, struct error *e);

/* -EINVAL when @value, of the setting @key, does not start with '/'. */
int text_check_path(const char *key, const char *value, struct error *e);

/* "1.5 GiB", "20 MiB", "812 B" */
void text_bytes(char *buf, size_t cap, uint64_t bytes);

/* "812 ms", "3.4 s", "2 min 10 s" */
void text_duration(char *buf, size_t cap, uint64_t us);

/* @len bytes that came from outside as text: what is not printable ASCII
 * becomes '?'. */
void text_printable(char *buf, size_t cap, const void *from, size_t len);

/* Is @word in @list, whose words are parted by blanks?  NULL has none. */
bool text_listed(const char *list, const char *word);

/* Does @host, of a URL, name this host alone?  "127.0.0.1:9091", "localhost" */
bool text_is_loopback(const char *host);

/* How many of @len bytes are UTF-8 as RFC 3629 has it; @len when all are. */
size_t text_utf8_len(const char *text, size_t len);

/* The first line of the file at the path that is made from @fmt, without its
 * end; false when there is none. */
bool text_read_line(char *buf, size_t cap, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* @len bytes as hex digits; @cap counts the NUL. */
void text_hex(char *buf, size_t cap, const uint8_t *bytes, size_t len);
/* From 1 to @cap bytes; how many.  -EINVAL. */
int text_parse_hex(uint8_t *ret, size_t cap, const char *text);
