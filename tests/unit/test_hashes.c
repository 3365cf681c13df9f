/*
 * BEP 52 hashes and their proofs: every range of every layer of small trees,
 * each message with a byte wrong anywhere, and messages that cannot be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "schema/proven.h"

#define LAYERS 7

/* A whole tree, layer by layer; leaves beyond blocks are zero. */
struct tree {
	uint32_t blocks, top;
	uint8_t node[LAYERS][1u << (LAYERS - 1)][32];
};

static struct tree *plant(uint32_t blocks)
{
	struct tree *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	t->blocks = blocks;
	while (1u << t->top < blocks)
		t->top++;
	assert_true(t->top < LAYERS);
	for (uint32_t i = 0; i < blocks; i++)
		SHA256((const uint8_t *)&i, sizeof(i), t->node[0][i]);
	for (uint32_t l = 1; l <= t->top; l++)
		for (uint32_t i = 0; i < 1u << (t->top - l); i++)
			SHA256(t->node[l - 1][2 * i], 64, t->node[l][i]);
	return t;
}

static struct hashes_tree tree_of(const struct tree *t, uint32_t piece_blocks)
{
	return (struct hashes_tree){ .root = span_of(t->node[t->top][0], 32),
		.blocks = t->blocks, .piece_blocks = piece_blocks };
}

/* The message with so many uncles; *heap to be freed. */
static struct pw_msg message(const struct tree *t, uint32_t base, uint32_t at,
    uint32_t count, uint32_t uncles, uint8_t **heap)
{
	struct pw_msg m = { .id = PW_HASHES, .base = base, .at = at,
		.count = count, .root = span_of(t->node[t->top][0], 32),
		.payload = { NULL, 32 * (size_t)(count + uncles) } };
	uint32_t l = base, i = at / count;
	uint8_t *p = malloc(m.payload.n);

	assert_non_null(p);
	memcpy(p, t->node[base][at], 32 * (size_t)count);
	for (uint32_t n = count; n > 1; n /= 2)
		l++;
	for (uint32_t u = 0; u < uncles; u++, l++, i /= 2)
		memcpy(p + 32 * (size_t)(count + u), t->node[l][i ^ 1], 32);
	m.payload.p = *heap = p;
	return m;
}

static uint32_t log_of(uint32_t n)
{
	uint32_t l = 0;

	while (n >>= 1)
		l++;
	return l;
}

static void every_range(void **state)
{
	static const uint32_t blocks[] = { 2, 3, 4, 5, 8, 13, 33, 64 };
	unsigned proofs = 0;

	(void)state;
	for (size_t b = 0; b < sizeof(blocks) / sizeof(blocks[0]); b++) {
		struct tree *t = plant(blocks[b]);
		struct hashes_tree h = tree_of(t, 1);

		for (uint32_t base = 0; base < t->top; base++)
		for (uint32_t n = 2; n <= 1u << (t->top - base); n *= 2)
		for (uint32_t at = 0; at < 1u << (t->top - base); at += n) {
			uint32_t all = t->top - base - log_of(n);

			for (uint32_t u = 0; u <= all; u++) {
				const char *why = "";
				uint8_t *heap;
				struct pw_msg m = message(t, base, at, n, u,
				    &heap);

				assert_int_equal(hashes_check(&m, &h, &why),
				    u == all ? HASHES_PROVEN : HASHES_OPEN);
				assert_true((why == NULL) == (u == all));
				proofs += u == all;
				for (size_t i = 0; u == all &&
				    i < m.payload.n; i += 29) {
					heap[i] ^= 4;
					assert_int_equal(hashes_check(&m, &h,
					    &why), HASHES_WRONG);
					assert_string_equal(why,
					    "does not lead to the root");
					heap[i] ^= 4;
				}
				free(heap);
			}
		}
		free(t);
	}
	assert_true(proofs > 100);
}

/* A proof may end at a piece's hash that the torrent has. */
static void to_the_layer(void **state)
{
	struct tree *t = plant(13);	/* pieces of 4: 4, 4, 4, 1 */
	struct hashes_tree h = tree_of(t, 4);
	const char *why;
	uint8_t *heap;
	struct pw_msg m;

	(void)state;
	h.layer = span_of(t->node[2][0], 4 * 32);
	for (uint32_t at = 0; at < 16; at += 2) {
		m = message(t, 0, at, 2, 1, &heap);
		assert_int_equal(hashes_check(&m, &h, &why), HASHES_PROVEN);
		heap[40] ^= 1;
		assert_int_equal(hashes_check(&m, &h, &why), HASHES_WRONG);
		assert_string_equal(why, "does not lead to the piece's hash");
		free(heap);
	}
	m = message(t, 0, 12, 2, 1, &heap);
	h.layer.n = 3 * 32;
	assert_int_equal(hashes_check(&m, &h, &why), HASHES_OPEN);
	free(heap);
	free(t);
}

static void impossible(void **state)
{
	static const struct {
		uint32_t base, at, count, extra;
		const char *why;
	} rows[] = {
		{ 0, 0, 0, 0, "the count is no power of two from 2 on" },
		{ 0, 0, 1, 0, "the count is no power of two from 2 on" },
		{ 0, 0, 3, 0, "the count is no power of two from 2 on" },
		{ 0, 0, 1024, 0, "more than 512 hashes" },
		{ 0, 1, 2, 0, "the index is no multiple of the count" },
		{ 0, 0, 16, 0, "beyond the file's tree" },
		{ 0, 8, 2, 0, "beyond the file's tree" },
		{ 0, UINT32_MAX - 1, 2, 0, "beyond the file's tree" },
		{ 4, 0, 2, 0, "beyond the file's tree" },
		{ UINT32_MAX, 0, 2, 0, "beyond the file's tree" },
		{ 3, 0, 2, 0, "beyond the file's tree" },
		{ 0, 0, 8, 1, "more uncles than layers" },
		{ 0, 0, 2, 3, "more uncles than layers" }
	};
	struct tree *t = plant(8);
	struct hashes_tree h = tree_of(t, 1);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t n = 32 * (size_t)(rows[i].count + rows[i].extra);
		uint8_t *zero = calloc(1, n ? n : 1);
		struct pw_msg m = { .base = rows[i].base, .at = rows[i].at,
			.count = rows[i].count, .root = h.root,
			.payload = span_of(zero, n) };
		const char *why = NULL;

		assert_int_equal(hashes_check(&m, &h, &why), HASHES_WRONG);
		assert_string_equal(why, rows[i].why);
		if (n) {
			m.payload.n -= 32 * (size_t)(rows[i].extra + 1);
			assert_int_equal(hashes_check(&m, &h, &why),
			    HASHES_WRONG);
		}
		free(zero);
	}
	free(t);
}

static void requests(void **state)
{
	struct tree *t = plant(33);
	struct hashes_tree h = tree_of(t, 4);
	uint8_t out[HASHES_REQUEST_BYTES];
	struct cur c = cur_of(span_of(out, sizeof(out)));
	struct wire_error err;
	struct pw_msg m;

	(void)state;
	assert_int_equal(hashes_put_request(out, &h, 2, 8, 4), sizeof(out));
	assert_memory_equal(out, "\0\0\0\x31\x15", 5);
	assert_int_equal(pw_next(&c, 1000, &m, &err), WIRE_OK);
	assert_int_equal(m.id, PW_HASH_REQUEST);
	assert_true(span_eq(m.root, h.root));
	assert_int_equal(m.base, 2);
	assert_int_equal(m.at, 8);
	assert_int_equal(m.count, 4);
	assert_int_equal(m.proofs, 3);	/* 64 leaves: 6 layers, 4 over base */
	assert_null(hashes_fault(&m));
	free(t);
}

static void kept(void **state)
{
	struct tree *t = plant(33), *other = plant(13);
	struct span root = span_of(t->node[t->top][0], 32);
	struct proven *p = proven_new();
	uint8_t *heap, got[32];
	struct pw_msg m;

	(void)state;
	assert_null(proven_block(p, root, 0));
	m = message(t, 0, 8, 8, 0, &heap);
	proven_add(p, &m);
	proven_add(p, &m);
	free(heap);
	assert_true(proven_memory(p) < 8 * 32 + 100);
	for (uint32_t i = 0; i < 64; i++) {
		const uint8_t *h = proven_block(p, root, i);

		assert_true((h != NULL) == (i >= 8 && i < 16));
		if (h)
			assert_memory_equal(h, t->node[0][i], 32);
	}
	assert_null(proven_block(p, span_of(other->node[4][0], 32), 8));
	for (uint32_t blocks = 1; blocks <= 8; blocks *= 2)
		for (uint32_t nth = 0; nth * blocks < 64; nth++) {
			bool known = proven_piece(p, root, nth, blocks, got);

			assert_int_equal(known, nth * blocks >= 8 &&
			    nth * blocks < 16);
			if (known)
				assert_memory_equal(got,
				    t->node[log_of(blocks)][nth], 32);
		}
	assert_false(proven_piece(p, root, 0, 16, got));
	m = message(t, 2, 4, 4, 0, &heap);
	proven_add(p, &m);
	free(heap);
	assert_true(proven_piece(p, root, 5, 4, got));
	assert_memory_equal(got, t->node[2][5], 32);
	assert_true(proven_piece(p, root, 2, 8, got));
	assert_memory_equal(got, t->node[3][2], 32);
	/* Many more: the oldest go, the newest stay. */
	m = message(t, 0, 0, 32, 0, &heap);
	for (uint32_t i = 0; i < 1500; i++) {
		m.at = 64 + 32 * i;
		proven_add(p, &m);
		assert_true(proven_memory(p) < 1200000);
	}
	assert_null(proven_block(p, root, 8));
	assert_non_null(proven_block(p, root, 64 + 32 * 1499));
	free(heap);
	free(t);
	free(other);
	proven_free(p);
	proven_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_range),
		cmocka_unit_test(to_the_layer),
		cmocka_unit_test(impossible),
		cmocka_unit_test(requests),
		cmocka_unit_test(kept)
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
