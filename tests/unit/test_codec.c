/* SPDX-License-Identifier: MIT */

/* Units go through every codec and come back; what is wrong is refused, and
 * nothing is written outside of the output. */
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/error.h"
#include "base/text.h"
#include "codec/codec.h"
#include "codec/same.h"

enum { GUARD = 64, GUARD_BYTE = 0xa5, PIECES_MAX = 1024 };

/* A buffer with bytes around it that nobody may change. */
struct fenced {
	uint8_t before[GUARD];
	uint8_t room[CODEC_UNIT_MAX];
	uint8_t after[GUARD];
};

static struct codec_state *state;
static uint8_t pages[CODEC_UNIT_MAX];
static uint8_t pressed[CODEC_UNIT_MAX + GUARD];
static struct fenced output;

static int make_state(void **unused)
{
	struct error e;

	(void)unused;
	return codec_state_new(&state, &e);
}

static int drop_state(void **unused)
{
	(void)unused;
	codec_state_free(state);
	return 0;
}

static void fill_fence(uint8_t *to, size_t len)
{
	memset(to, GUARD_BYTE, len);
}

/* Whatever stands behind the first @len bytes of the room is fence, too: as
 * far as a decoder could stray. */
static size_t fence_end(size_t len)
{
	return len + WIRE_PAGE < CODEC_UNIT_MAX ? len + WIRE_PAGE
						: CODEC_UNIT_MAX;
}

static void fence(size_t len)
{
	fill_fence(output.before, GUARD);
	fill_fence(output.room + len, fence_end(len) - len);
	fill_fence(output.after, GUARD);
}

static void assert_fence_stands(size_t len)
{
	static uint8_t intact[WIRE_PAGE];

	fill_fence(intact, sizeof(intact));
	assert_memory_equal(output.before, intact, GUARD);
	assert_memory_equal(output.room + len, intact, fence_end(len) - len);
	assert_memory_equal(output.after, intact, GUARD);
}

/* --- data */

static uint64_t dice = 1;

static uint32_t roll(void)
{
	dice = dice * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(dice >> 32);
}

static void fill_zero(uint8_t *to, size_t len)
{
	memset(to, 0, len);
}

static void fill_random(uint8_t *to, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)roll();
}

static void fill_text(uint8_t *to, size_t len)
{
	static const char *const words[] = { "stone ", "over ", "the river\n",
					     "light, ", "a " };

	for (size_t i = 0; i < len;) {
		const char *word = words[roll() % ARRAY_SIZE(words)];

		while (*word && i < len)
			to[i++] = (uint8_t)*word++;
	}
}

static void fill_mixed(uint8_t *to, size_t len)
{
	static void (*const kinds[])(uint8_t *, size_t) = { fill_text,
							    fill_random,
							    fill_zero };

	for (size_t i = 0; i < len; i += WIRE_PAGE)
		kinds[i / WIRE_PAGE % ARRAY_SIZE(kinds)](to + i,
							 len - i < WIRE_PAGE
								 ? len - i
								 : WIRE_PAGE);
}

static void (*const fills[])(uint8_t *, size_t) = { fill_zero, fill_text,
						    fill_mixed, fill_random };

/* Pieces of @size bytes, and what is left over; 0: of all sizes. */
static int cut(struct iovec iov[PIECES_MAX], size_t len, size_t size)
{
	int n = 0;

	for (size_t at = 0; at < len; n++) {
		size_t some = size ? size : roll() % 9000;

		assert_in_range(n, 0, PIECES_MAX - 1);
		if (some > len - at)
			some = len - at;
		iov[n].iov_base = pages + at;
		iov[n].iov_len = some;
		at += some;
	}
	return n;
}

static size_t press_at_all(enum codec_id id, const struct iovec *iov, int n)
{
	return codec_press(state, (struct codec_choice){ id, id > 0 }, iov, n,
			   pressed, CODEC_UNIT_MAX);
}

static size_t press_whole(enum codec_id id, int level, size_t len)
{
	struct iovec iov = { .iov_base = pages, .iov_len = len };
	size_t used = codec_press(state, (struct codec_choice){ id, level },
				  &iov, 1, pressed, CODEC_UNIT_MAX);

	assert_true(used > 0);
	return used;
}

static int expand(unsigned id, const uint8_t *in, size_t len, size_t out_len,
		  struct error *e)
{
	int r;

	fence(out_len);
	*e = (struct error){ 0 };
	r = codec_expand(state, (struct codec_unit){ id, in, len }, output.room,
			 out_len, e);
	assert_fence_stands(out_len);
	if (r < 0) {
		assert_int_equal(r, -EBADMSG);
		assert_int_equal(e->code, EBADMSG);
		assert_true(e->text[0]);
	}
	return r;
}

/* --- there and back */

static void round_trip(enum codec_id id, int level, size_t len, size_t piece)
{
	struct iovec iov[PIECES_MAX];
	int n = cut(iov, len, piece);
	size_t used = codec_press(state, (struct codec_choice){ id, level },
				  iov, n, pressed, CODEC_UNIT_MAX);
	struct error e;

	if (used == 0)
		return;
	assert_in_range(used, 1, id == CODEC_NONE ? len : len - 1);
	assert_int_equal(expand(id, pressed, used, len, &e), 0);
	assert_memory_equal(output.room, pages, len);
}

static void every_level_gives_back_what_it_was_given(void **unused)
{
	static const size_t sizes[] = { WIRE_PAGE, 3 * WIRE_PAGE,
					CODEC_UNIT_MAX };
	static const size_t pieces[] = { WIRE_PAGE, 1000, CODEC_UNIT_MAX, 0 };

	(void)unused;
	for (unsigned id = 0; id < CODECS; id++)
		for (int level = codec_get(id)->lowest;
		     level <= codec_get(id)->highest; level++)
			for (size_t i = 0;
			     i < ARRAY_SIZE(fills) * ARRAY_SIZE(sizes) *
					 ARRAY_SIZE(pieces);
			     i++) {
				size_t len = sizes[i % 3];

				fills[i / 12](pages, len);
				round_trip(id, level, len, pieces[i / 3 % 4]);
			}
}

static void text_gets_smaller_and_random_bytes_do_not(void **unused)
{
	struct iovec iov = { .iov_base = pages, .iov_len = CODEC_UNIT_MAX };

	(void)unused;
	for (int id = CODEC_LZ4; id < CODECS; id++) {
		fill_text(pages, CODEC_UNIT_MAX);
		assert_in_range(press_whole(id, 1, CODEC_UNIT_MAX), 1,
				CODEC_UNIT_MAX / 2);
		fill_random(pages, CODEC_UNIT_MAX);
		assert_int_equal(press_at_all(id, &iov, 1), 0);
	}
}

static void a_repeat_in_another_piece_is_found(void **unused)
{
	struct iovec iov[PIECES_MAX];

	(void)unused;
	fill_random(pages, WIRE_PAGE);
	memcpy(pages + WIRE_PAGE, pages, WIRE_PAGE);
	for (int id = CODEC_LZ4; id < CODECS; id++) {
		int n = cut(iov, (size_t)2 * WIRE_PAGE, WIRE_PAGE);

		size_t used = press_at_all(id, iov, n);
		assert_in_range(used, WIRE_PAGE, WIRE_PAGE + 200);
	}
}

/* How little room is enough is the library's: zstd wants a little more than it
 * uses in the end. */
static void too_little_room_is_no_error_and_is_not_overrun(void **unused)
{
	struct iovec iov = { .iov_base = pages, .iov_len = WIRE_PAGE };

	(void)unused;
	fill_text(pages, WIRE_PAGE);
	for (unsigned id = 0; id < CODECS; id++) {
		size_t whole = press_whole(id, id > 0, WIRE_PAGE);

		for (size_t cap = 0; cap <= whole + GUARD; cap++) {
			size_t used;

			fence(cap);
			used = codec_press(state,
					   (struct codec_choice){ id, id > 0 },
					   &iov, 1, output.room, cap);
			assert_fence_stands(cap);
			assert_in_range(used, 0, cap);
			if (cap < whole)
				assert_int_equal(used, 0);
			if (cap == whole + GUARD)
				assert_int_equal(used, whole);
		}
	}
}

static void no_pages_are_not_pressed(void **unused)
{

	(void)unused;
	for (unsigned id = 0; id < CODECS; id++)
		assert_int_equal(press_at_all(id, NULL, 0), 0);
}

/* --- what a peer may send */

static void a_unit_cut_anywhere_is_refused(void **unused)
{
	struct error e;

	(void)unused;
	fill_mixed(pages, (size_t)2 * WIRE_PAGE);
	for (unsigned id = 0; id < CODECS; id++) {
		size_t whole = press_whole(id, id > 0, (size_t)2 * WIRE_PAGE);

		for (size_t len = 0; len < whole; len++) {
			/* Exactly as long, so that a checker sees what reads
			 * on. */
			uint8_t *piece = malloc(len ? len : 1);

			assert_non_null(piece);
			memcpy(piece, pressed, len);
			assert_int_not_equal(expand(id, piece, len,
						    (size_t)2 * WIRE_PAGE, &e),
					     0);
			free(piece);
		}
	}
}

static void bytes_behind_the_end_are_refused(void **unused)
{
	struct error e;

	(void)unused;
	fill_text(pages, WIRE_PAGE);
	for (unsigned id = 0; id < CODECS; id++)
		for (size_t more = 1; more < 20; more++) {
			size_t len = press_whole(id, id > 0, WIRE_PAGE);

			memset(pressed + len, 0, more);
			assert_int_not_equal(expand(id, pressed, len + more,
						    WIRE_PAGE, &e),
					     0);
		}
}

static void a_unit_of_another_size_is_refused(void **unused)
{
	static const size_t wrong[] = { WIRE_PAGE,         2 * WIRE_PAGE - 1,
					2 * WIRE_PAGE + 1, 3 * WIRE_PAGE,
					CODEC_UNIT_MAX,    0 };
	struct error e;

	(void)unused;
	fill_text(pages, (size_t)2 * WIRE_PAGE);
	for (unsigned id = 0; id < CODECS; id++) {
		size_t len = press_whole(id, id > 0, (size_t)2 * WIRE_PAGE);

		for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
			assert_int_not_equal(expand(id, pressed, len, wrong[i],
						    &e),
					     0);
	}
}

static void flipped_bits_never_write_outside_of_the_pages(void **unused)
{
	const size_t size = (size_t)2 * WIRE_PAGE;
	struct error e;

	(void)unused;
	fill_mixed(pages, size);
	for (int id = CODEC_LZ4; id < CODECS; id++) {
		size_t len = press_whole(id, 1, size);

		for (size_t bit = 0; bit < len * 8; bit += 1 + bit / 1024 * 3) {
			pressed[bit / 8] ^= (uint8_t)(1 << bit % 8);
			expand(id, pressed, len, size, &e);
			pressed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(expand(id, pressed, len, size, &e), 0);
	}
}

static void rubbish_never_writes_outside_of_the_pages(void **unused)
{
	struct error e;

	(void)unused;
	for (int id = CODEC_LZ4; id < CODECS; id++)
		for (int i = 0; i < 2000; i++) {
			size_t len = 1 + roll() % 300;

			fill_random(pressed, len);
			/* So that the decoder gets further than the head. */
			if (id == CODEC_ZSTD && i % 2)
				memcpy(pressed, "\x28\xb5\x2f\xfd\x60\x00\x0f",
				       len < 7 ? len : 7);
			expand(id, pressed, len, WIRE_PAGE, &e);
		}
}

static void an_unknown_codec_is_refused(void **unused)
{
	struct error e;

	(void)unused;
	assert_int_not_equal(expand(CODECS, pages, 9, WIRE_PAGE, &e), 0);
	assert_string_equal(e.text, "unknown codec 3");
	assert_int_not_equal(expand(255, pages, 9, WIRE_PAGE, &e), 0);
	assert_null(codec_get(CODECS));
}

static void a_zstd_bomb_is_refused_by_what_it_claims(void **unused)
{
	const size_t big = (size_t)64 << 20;
	uint8_t *zeros = calloc(1, big);
	struct error e;
	size_t len;

	(void)unused;
	assert_non_null(zeros);
	len = ZSTD_compress(pressed, sizeof(pressed), zeros, big, 1);
	free(zeros);
	assert_false(ZSTD_isError(len));
	assert_in_range(len, 1, CODEC_UNIT_MAX - 1);
	assert_int_not_equal(expand(CODEC_ZSTD, pressed, len, CODEC_UNIT_MAX,
				    &e),
			     0);
}

/* A library's own frame of @pages, made with one parameter changed. */
static size_t press_with(ZSTD_cParameter parameter, int value, size_t len,
			 size_t pledged)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_inBuffer in = { pages, len, 0 };
	ZSTD_outBuffer out = { pressed, sizeof(pressed), 0 };

	assert_non_null(c);
	assert_false(ZSTD_isError(ZSTD_CCtx_setParameter(c, parameter, value)));
	assert_false(ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(c, pledged)));
	assert_int_equal(ZSTD_compressStream2(c, &out, &in, ZSTD_e_end), 0);
	ZSTD_freeCCtx(c);
	return out.pos;
}

static void zstd_frames_of_another_form_are_refused(void **unused)
{
	const size_t size = (size_t)4 * WIRE_PAGE;
	struct error e;
	size_t len;

	(void)unused;
	fill_text(pages, size);
	len = press_with(ZSTD_c_checksumFlag, 1, size, size);
	assert_int_not_equal(expand(CODEC_ZSTD, pressed, len, size, &e), 0);
	len = press_with(ZSTD_c_contentSizeFlag, 0, size, size);
	assert_int_not_equal(expand(CODEC_ZSTD, pressed, len, size, &e), 0);
	/* A window that is smaller than the content, hence of its own. */
	len = press_with(ZSTD_c_windowLog, 10, size, size);
	assert_int_not_equal(expand(CODEC_ZSTD, pressed, len, size, &e), 0);
	len = press_with(ZSTD_c_compressionLevel, 9, size, size);
	assert_int_equal(expand(CODEC_ZSTD, pressed, len, size, &e), 0);
}

static void two_zstd_frames_are_not_one_unit(void **unused)
{
	struct error e;
	size_t half, len;

	(void)unused;
	fill_text(pages, (size_t)2 * WIRE_PAGE);
	half = press_whole(CODEC_ZSTD, 1, WIRE_PAGE);
	memcpy(pressed + half, pressed, half);
	len = 2 * half;
	assert_int_not_equal(expand(CODEC_ZSTD, pressed, len,
				    (size_t)2 * WIRE_PAGE, &e),
			     0);
	assert_int_not_equal(expand(CODEC_ZSTD, pressed, len, WIRE_PAGE, &e),
			     0);
}

static void an_error_leaves_the_state_usable(void **unused)
{
	struct error e;

	(void)unused;
	fill_text(pages, WIRE_PAGE);
	for (int id = CODEC_LZ4; id < CODECS; id++) {
		size_t len = press_whole(id, 1, WIRE_PAGE);

		assert_int_not_equal(expand(id, pressed, len - 1, WIRE_PAGE,
					    &e),
				     0);
		assert_int_equal(expand(id, pressed, len, WIRE_PAGE, &e), 0);
		assert_memory_equal(output.room, pages, WIRE_PAGE);
	}
}

static void codecs_are_found_by_their_names(void **unused)
{
	(void)unused;
	assert_int_equal(codec_find("none"), CODEC_NONE);
	assert_int_equal(codec_find("lz4"), CODEC_LZ4);
	assert_int_equal(codec_find("zstd"), CODEC_ZSTD);
	assert_int_equal(codec_find("gzip"), -1);
}

/* --- the probe */

static bool is_incompressible(size_t len, size_t piece)
{
	struct iovec iov[PIECES_MAX];

	return codec_is_incompressible(iov, cut(iov, len, piece));
}

static void random_pages_are_incompressible_and_others_are_not(void **unused)
{
	int found = 0;

	(void)unused;
	for (int i = 0; i < 100; i++) {
		fill_random(pages, CODEC_UNIT_MAX);
		found += is_incompressible(CODEC_UNIT_MAX,
					   i % 2 ? WIRE_PAGE : 0);
	}
	/* It judges by a sample, and may be wrong now and then. */
	assert_in_range(found, 90, 100);
	for (size_t i = 0; i < 3; i++) {
		fills[i](pages, CODEC_UNIT_MAX);
		assert_false(is_incompressible(CODEC_UNIT_MAX, WIRE_PAGE));
		assert_false(is_incompressible(WIRE_PAGE, 0));
	}
}

static void a_quarter_of_text_is_compressible(void **unused)
{
	(void)unused;
	for (int i = 0; i < 100; i++) {
		fill_random(pages, CODEC_UNIT_MAX);
		fill_text(pages + i * WIRE_PAGE / 4, CODEC_UNIT_MAX / 4);
		assert_false(is_incompressible(CODEC_UNIT_MAX, WIRE_PAGE));
	}
}

static void too_little_to_judge_is_compressible(void **unused)
{
	(void)unused;
	fill_random(pages, 500);
	assert_false(is_incompressible(500, 7));
	assert_false(codec_is_incompressible(NULL, 0));
}

/* --- pages of one word */

static void a_page_of_one_word_is_found(void **unused)
{
	uint64_t word = 0x0102030405060708, got = 0;
	uint8_t *page = pages + 3; /* as it may stand in a stream */

	(void)unused;
	for (size_t i = 0; i < WIRE_PAGE; i += sizeof(word))
		memcpy(page + i, &word, sizeof(word));
	assert_true(page_is_filled(page, &got));
	assert_int_equal(got, word);
	memset(page, 0, WIRE_PAGE);
	assert_true(page_is_filled(page, &got));
	assert_int_equal(got, 0);
}

static void one_other_byte_anywhere_makes_a_page_of_its_own(void **unused)
{
	uint64_t got = 77;

	(void)unused;
	memset(pages, 0x11, WIRE_PAGE);
	for (size_t i = 0; i < WIRE_PAGE; i++) {
		pages[i] ^= 0x80;
		assert_false(page_is_filled(pages, &got));
		pages[i] ^= 0x80;
	}
	assert_int_equal(got, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_level_gives_back_what_it_was_given),
		cmocka_unit_test(text_gets_smaller_and_random_bytes_do_not),
		cmocka_unit_test(a_repeat_in_another_piece_is_found),
		cmocka_unit_test(
			too_little_room_is_no_error_and_is_not_overrun),
		cmocka_unit_test(no_pages_are_not_pressed),
		cmocka_unit_test(a_unit_cut_anywhere_is_refused),
		cmocka_unit_test(bytes_behind_the_end_are_refused),
		cmocka_unit_test(a_unit_of_another_size_is_refused),
		cmocka_unit_test(flipped_bits_never_write_outside_of_the_pages),
		cmocka_unit_test(rubbish_never_writes_outside_of_the_pages),
		cmocka_unit_test(an_unknown_codec_is_refused),
		cmocka_unit_test(a_zstd_bomb_is_refused_by_what_it_claims),
		cmocka_unit_test(zstd_frames_of_another_form_are_refused),
		cmocka_unit_test(two_zstd_frames_are_not_one_unit),
		cmocka_unit_test(an_error_leaves_the_state_usable),
		cmocka_unit_test(codecs_are_found_by_their_names),
		cmocka_unit_test(
			random_pages_are_incompressible_and_others_are_not),
		cmocka_unit_test(a_quarter_of_text_is_compressible),
		cmocka_unit_test(too_little_to_judge_is_compressible),
		cmocka_unit_test(a_page_of_one_word_is_found),
		cmocka_unit_test(
			one_other_byte_anywhere_makes_a_page_of_its_own),
	};

	return cmocka_run_group_tests(tests, make_state, drop_state);
}
