/* SPDX-License-Identifier: MIT */

/* What a monitor sends, in two pieces: the first byte says where to cut. */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "qemu/qmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int drain(struct qmp_input *in)
{
	struct error e;
	json_t *o;
	int r;

	while ((r = qmp_input_next(in, &o, &e)) == 1)
		json_decref(o);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct qmp_input in = { 0 };
	struct error e;
	size_t cut;

	if (len == 0)
		return 0;
	cut = 1 + data[0] % len;
	if (qmp_input_add(&in, data + 1, cut - 1, &e) == 0 && drain(&in) == 0 &&
	    qmp_input_add(&in, data + cut, len - cut, &e) == 0)
		drain(&in);
	qmp_input_done(&in);
	return 0;
}
