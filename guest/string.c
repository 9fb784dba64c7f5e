/* SPDX-License-Identifier: MIT */
/* What a compiler may call of its own accord, also in a freestanding program.
 */
#include <stddef.h>

void *memset(void *to, int value, size_t len);
void *memcpy(void *restrict to, const void *restrict from, size_t len);

void *memset(void *to, int value, size_t len)
{
	void *at = to;

	__asm__ volatile("rep stosb"
			 : "+D"(at), "+c"(len)
			 : "a"(value)
			 : "memory");
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	void *at = to;

	__asm__ volatile("rep movsb"
			 : "+D"(at), "+S"(from), "+c"(len)
			 :
			 : "memory");
	return to;
}
