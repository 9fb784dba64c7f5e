/* SPDX-License-Identifier: MIT */

/*
 * Shapes: how a struct stands in JSON, described once by a table and read and
 * written from there.  Messages between hosts, bodies of the control API,
 * entries of the journal and files of machines are shapes; nobody else takes
 * JSON apart or puts it together (QMP, which is QEMU's, excepted).
 *
 *     struct answer { char host[64]; uint64_t bytes; };
 *
 *     static const struct shape_field answer_fields[] = {
 *         { "host", SHAPE_TEXT, SHAPE_NEEDED, SHAPE_AT(struct answer, host) },
 *         { "bytes", SHAPE_NUMBER, 0, SHAPE_AT(struct answer, bytes),
 *           .most = 1ULL << 40 },
 *     };
 *     const struct shape answer_shape = SHAPE(struct answer, answer_fields);
 *
 * A table is a constant; a shape may contain others, but never itself.  All
 * functions may be called from any thread.
 *
 * A member that is "unset" is left out or null where its flags say so: false,
 * 0, "", NULL, a signed number below 0, a real number that is NAN, a list
 * without elements, or, where SHAPE_HAS names a bool, what that says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum shape_kind {
	SHAPE_BOOL,    /* bool */
	SHAPE_NUMBER,  /* unsigned, of 1, 2, 4 or 8 bytes */
	SHAPE_SIGNED,  /* int or int64_t */
	SHAPE_REAL,    /* double */
	SHAPE_SECONDS, /* uint64_t in microseconds, written as seconds */
	SHAPE_TEXT,    /* char[] */
	SHAPE_STRING,  /* char *, on the heap */
	SHAPE_NAME,    /* an enum, by its name */
	SHAPE_CODE,    /* whatever .code writes as a string */
	SHAPE_WORDS,   /* struct words: a list of strings */
	SHAPE_OBJECT,  /* a struct of the shape .of */
	SHAPE_LIST,    /* of structs of the shape .of */
};

enum shape_flag {
	SHAPE_NEEDED = 1,    /* reading fails without it */
	SHAPE_OMIT = 2,      /* left out when unset */
	SHAPE_NULL = 4,      /* null when unset */
	SHAPE_PRINTABLE = 8, /* SHAPE_TEXT: ASCII only, and not empty */
	/* SHAPE_LIST: the elements stand in the struct, .most of them, not on
	 * the heap behind a pointer. */
	SHAPE_INSIDE = 16,
};

/* For what is a string in JSON and something else here. */
struct shape_code {
	void (*show)(char *buf, size_t cap, const void *at);
	/* -EINVAL when it is not one; @e need not be filled in. */
	int (*parse)(void *at, const char *text, struct error *e);
};

/* Of a const char *, which nobody frees; only to be shown. */
extern const struct shape_code shape_constant;

enum { SHAPE_CODE_MAX = 2048 }; /* bytes of a string of SHAPE_CODE */

struct shape;

struct shape_field {
	const char *name; /* NULL in a SHAPE_BARE */
	enum shape_kind kind;
	unsigned flags;
	size_t offset, bytes;
	size_t has;   /* 1 + offset of a bool; 0: none */
	size_t count; /* SHAPE_LIST: offset of its length, a size_t */
	/* Numbers, real ones too: limits, where .most is not 0.  SHAPE_STRING:
	 * bytes. Lists: elements. */
	int64_t least;
	uint64_t most;
	const struct shape *of;
	const char *const *names; /* SHAPE_NAME: .most of them; NULL: a gap */
	const struct shape_code *code;
};

enum shape_form {
	SHAPE_MEMBERS, /* an object */
	SHAPE_TUPLE,   /* an array, by position: all are needed */
	SHAPE_BARE,    /* as its only field */
};

struct shape {
	size_t bytes;
	const struct shape_field *fields;
	unsigned count;
	enum shape_form form;
};

#define SHAPE_AT(type, member) \
	.offset = offsetof(type, member), \
	.bytes = sizeof(__typeof__(((type *)0)->member))
#define SHAPE_HAS(type, member) .has = (1 + offsetof(type, member))
#define SHAPE_COUNT(type, member) .count = offsetof(type, member)
#define SHAPE(type, table) \
	{ \
		.bytes = sizeof(type), .fields = (table), \
		.count = sizeof(table) / sizeof((table)[0]) \
	}

enum shape_source {
	SHAPE_REQUEST, /* a person's: what is not known is refused (EINVAL) */
	SHAPE_MESSAGE, /* a program's, maybe newer: it is skipped (EBADMSG) */
};

/* NULL: no memory.  Text that is not UTF-8 is made printable. */
char *shape_text(const struct shape *s, const void *object);
/* The same over several lines, for files that people look into. */
char *shape_file_text(const struct shape *s, const void *object);

/* One member for people, strings without quotes.  NULL: it is not one, or need
 * not be given and is unset. */
char *shape_member_text(const struct shape *s, const void *object,
			const char *name);

/* Fills in @object, whose members have their defaults already and keep those
 * that are not given.  When it fails, what it took for them has been freed. */
int shape_parse(const struct shape *s, void *object, const char *text,
		size_t len, enum shape_source from, struct error *e);

/* @to, which has nothing to be freed, becomes the same as @from and shares
 * nothing with it.  Members that are not in the table are copied as they are.
 */
int shape_copy(const struct shape *s, void *to, const void *from,
	       struct error *e);

/* Frees strings and lists, and leaves zeros in their place. */
void shape_done(const struct shape *s, void *object);
