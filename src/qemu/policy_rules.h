/* SPDX-License-Identifier: MIT */

/*
 * The parts of the policy of qemu/policy.h, known to policy*.c alone: a value
 * is cut into properties, a table says by which rule each is judged.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/words.h"
#include "qemu/policy_class.h"

struct error;
struct policy;

/* One check that is under way. */
struct policy_run {
	const struct policy *policy;
	const char *option; /* what a sentence begins with: "-drive" */
	struct words *blame;
	struct error *error; /* set once @failed */
	bool failed;         /* no memory: the answer is worth nothing */
	/* Of the drive that is looked at: */
	bool read_only;
	bool raw;        /* its format is raw */
	bool guessed;    /* its format is not named */
	bool no_network; /* a word says what networks there are */
};

/* Adds "OPTION WORDS: why". */
void policy_blame(struct policy_run *r, const char *words, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Gives up. */
void policy_no_memory(struct policy_run *r);

/* --- where a path may lie */

enum policy_place {
	PLACE_IMAGE = 1, /* below one of the image directories */
	PLACE_DATA = 2,  /* what QEMU's packages bring: firmware, ROMs */
	PLACE_OWN = 4,   /* a plain name in the machine's own folder */
};

/* @words: what the sentence names.  False, and blamed, when @path is in none
 * of @places (or'ed). */
bool policy_path(struct policy_run *r, const char *words, const char *path,
		 unsigned places);

/* What an image, whose path is allowed, and those below it name in their turn.
 * @guessed: QEMU finds out its format by itself. */
void policy_image(struct policy_run *r, const char *words, const char *path,
		  bool guessed);

/* May a machine have @real open, a path without links? */
bool policy_is_inside(const struct policy *p, const char *real);

/* --- properties */

/* "a=b,c" or JSON: keys[i] has the value values[i].  Members of objects are
 * "object.member", those of lists "list.*". */
struct policy_properties {
	struct words keys, values;
};

/* -EINVAL, with a sentence, for what is no list of properties. */
int policy_properties(struct policy_properties *ret, const char *text,
		      const char *implied, struct error *e);
void policy_properties_done(struct policy_properties *p);

enum policy_rule {
	RULE_ANY,       /* data, which has no '/' in it */
	RULE_TEXT,      /* data for the guest, whatever it is */
	RULE_ID,        /* the name of another part of the machine */
	RULE_IMAGE,     /* a file below the image directories */
	RULE_ONE_IMAGE, /* as above, where QEMU takes lists of them */
	RULE_DISK,      /* as above, or QEMU's own data to be read only */
	RULE_READ,      /* as above; a plain name is one of QEMU's data */
	RULE_OWN,       /* a file or socket in the machine's own folder */
	RULE_OFF,       /* off and nothing else; more says why */
	RULE_ON,        /* on and nothing else */
	RULE_ONE_OF,    /* more has the values, parted by blanks */
	RULE_REFUSED,   /* more says why */
};

struct policy_key {
	const char *key; /* NULL ends a list */
	enum policy_rule rule;
	const char *more;
};

/* A backend, a device: something that one property names. */
struct policy_kind {
	const char *names; /* parted by blanks; NULL: for every kind */
	const char *any;   /* keys whose values are data, parted by blanks */
	const char *text;  /* keys whose values are any text, likewise */
	const struct policy_key *keys;
	const char *refused; /* why this kind is; the rest is unused then */
	const char *needed;  /* a key that has to be there, NULL: none */
};

/* The value of an option. */
struct policy_syntax {
	const char *implied;  /* key that may be left out of the first */
	const char *kind;     /* key that names the kind; NULL: one for all */
	const char *what;     /* "device": the kinds, in a sentence */
	const char *fallback; /* the kind where none is named, NULL: refused */
	const struct policy_kind *kinds;
	size_t kinds_count;
	bool nested; /* file.x and backing.x are judged as x */
	/* QEMU takes JSON as well.  Where it does not, what looks like it is
	 * cut at its commas. */
	bool json;
};

void policy_check_properties(struct policy_run *r,
			     const struct policy_syntax *s, const char *value);

/* One of them, of the only kind that @s has. */
void policy_check_property(struct policy_run *r, const struct policy_syntax *s,
			   const char *key, const char *value);

/* Is it, as a name of a part of the machine, one of Drover's?  Then it is
 * blamed. */
bool policy_is_drovers(struct policy_run *r, const char *words,
		       const char *value);

/* An image where QEMU would cut the value into several. */
void policy_check_one_image(struct policy_run *r, const char *words,
			    const char *value);

/* NULL when nothing is known of that name. */
const struct policy_kind *policy_find_kind(const struct policy_syntax *s,
					   const char *name);

extern const struct policy_syntax policy_device, policy_object, policy_chardev,
	policy_chardev_socket, policy_netdev, policy_nic, policy_net,
	policy_drive, policy_blockdev, policy_audiodev, policy_audio,
	policy_tpmdev, policy_machine, policy_accel, policy_smp, policy_memory,
	policy_boot, policy_numa, policy_fw_cfg, policy_smbios, policy_rtc,
	policy_icount, policy_overcommit, policy_action, policy_option_rom,
	policy_acpitable, policy_vnc, policy_spice, policy_display, policy_msg,
	policy_compat;

/* Keys of devices whose values are data, for -device and -global. */
extern const char policy_device_keys[];
extern const struct policy_key policy_device_special[];

/* --- options */

typedef void policy_value(struct policy_run *r, const char *value);

struct policy_option {
	const char *name;
	enum policy_class class;
	bool alone;                         /* takes no value */
	const char *why;                    /* it is refused */
	const struct policy_syntax *syntax; /* of the value, or */
	policy_value *check;                /* what else looks at it */
};

const struct policy_option *policy_find_option(const char *name);

/* A word that is no option: the name of an image. */
void policy_check_disk(struct policy_run *r, const char *path);
