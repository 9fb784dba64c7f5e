/* SPDX-License-Identifier: MIT */
#include "unit.h"

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/pool.h"

static struct pool *pool_of(size_t n)
{
	struct pool *p;
	struct error e;

	assert_int_equal(pool_new(&p, n, 4096, &e), 0);
	return p;
}

static void buffers_do_not_overlap(void **state)
{
	struct pool *p = pool_of(3);
	struct buffer *b[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		b[i] = pool_take(p);
		memset(b[i]->data, i, pool_buffer_bytes(p));
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(b[i]->data[0], i);
		assert_int_equal(b[i]->data[4095], i);
		buffer_drop(b[i]);
	}
	pool_free(p);
}

static void *take_one(void *pool)
{
	return pool_take(pool);
}

static void taking_waits_until_the_last_holder_drops(void **state)
{
	struct pool *p = pool_of(1);
	struct buffer *b = pool_take(p);
	pthread_t taker;
	void *got;

	(void)state;
	buffer_hold(b);
	pthread_create(&taker, NULL, take_one, p);
	buffer_drop(b);
	memset(b->data, 7, 4096); /* still ours */
	buffer_drop(b);
	pthread_join(taker, &got);
	assert_ptr_equal(got, b);
	buffer_drop(b);
	pool_free(p);
}

static void closing_wakes_whoever_waits(void **state)
{
	struct pool *p = pool_of(1);
	struct buffer *b = pool_take(p);
	pthread_t taker;
	void *got = p;

	(void)state;
	pthread_create(&taker, NULL, take_one, p);
	pool_close(p);
	pthread_join(taker, &got);
	assert_null(got);
	assert_null(pool_take(p));
	buffer_drop(b);
	pool_free(p);
}

static void *churn(void *pool)
{
	for (int i = 0; i < 20000; i++) {
		struct buffer *b = pool_take(pool);

		(*(volatile unsigned *)b->data)++;
		buffer_drop(buffer_hold(b));
		buffer_drop(b);
	}
	return NULL;
}

static void many_threads_share_few_buffers(void **state)
{
	struct pool *p = pool_of(2);
	struct buffer *a, *b;
	pthread_t t[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, churn, p);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	a = pool_take(p);
	b = pool_take(p);
	assert_int_equal(*(unsigned *)a->data + *(unsigned *)b->data, 80000);
	buffer_drop(a);
	buffer_drop(b);
	pool_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_do_not_overlap),
		cmocka_unit_test(taking_waits_until_the_last_holder_drops),
		cmocka_unit_test(closing_wakes_whoever_waits),
		cmocka_unit_test(many_threads_share_few_buffers),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
