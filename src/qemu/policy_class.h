/* SPDX-License-Identifier: MIT */

/* What is thought of an option, or of a kind of device. */
#pragma once

enum policy_class {
	POLICY_UNKNOWN, /* in no list, and so refused */
	POLICY_ALLOWED,
	POLICY_FILES, /* allowed for files in the image directories */
	POLICY_REFUSED,
};
