#include "schema/json.h"

#include <stdlib.h>

#include "schema/utf8.h"

void json_init(struct json *j, size_t most)
{
	*j = (struct json){ .most = most };
}

void json_fini(struct json *j)
{
	free(j->text);
	json_init(j, j->most);
}

void json_reset(struct json *j)
{
	j->n = 0;
	j->failed = j->comma = false;
	if (j->text)
		j->text[0] = '\0';
}

/* Room for n more bytes and the NUL. */
static bool fits(struct json *j, size_t n)
{
	size_t room = j->room ? j->room : 256;
	char *text;

	if (j->failed || n > j->most - j->n)
		goto fail;
	if (j->n + n < j->room)
		return true;
	while (room <= j->n + n)
		room *= 2;
	text = realloc(j->text, room);
	if (text == NULL)
		goto fail;
	j->text = text;
	j->room = room;
	return true;
fail:
	j->failed = true;
	return false;
}

static void put(struct json *j, const void *bytes, size_t n)
{
	if (!fits(j, n))
		return;
	memcpy(j->text + j->n, bytes, n);
	j->n += n;
	j->text[j->n] = '\0';
}

static void put_digits(struct json *j, uint64_t v, bool minus)
{
	char buf[21], *p = buf + sizeof(buf);

	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	if (minus)
		*--p = '-';
	put(j, p, (size_t)(buf + sizeof(buf) - p));
}

/* --- text ------------------------------------------------------------------ */

static const char hex_digits[] = "0123456789abcdef";

static void put_unit(struct json *j, uint32_t unit)
{
	char esc[6] = { '\\', 'u', hex_digits[unit >> 12 & 15],
		hex_digits[unit >> 8 & 15], hex_digits[unit >> 4 & 15],
		hex_digits[unit & 15] };

	put(j, esc, sizeof(esc));
}

static bool plain(uint8_t c)
{
	return c >= ' ' && c <= '~' && c != '"' && c != '\\';
}

/* Text that stands for itself, as nearly all does, in quotes. False: it does
 * not, or there is no room. */
static bool put_plain(struct json *j, struct span s)
{
	char *text;
	size_t i;

	if (!fits(j, s.n + 2))
		return false;
	text = j->text + j->n;
	*text++ = '"';
	for (i = 0; i < s.n && plain(s.p[i]); i++)
		text[i] = (char)s.p[i];
	if (i < s.n)
		return false;
	text[i] = '"';
	text[i + 1] = '\0';
	j->n += s.n + 2;
	return true;
}

static void put_quoted(struct json *j, struct span s)
{
	size_t i = 0, n;
	uint32_t v;

	if (put_plain(j, s) || j->failed)
		return;
	put(j, "\"", 1);
	while (i < s.n && !j->failed) {
		for (n = 0; i + n < s.n && plain(s.p[i + n]); n++)
			;
		if (n) {
			put(j, s.p + i, n);
			i += n;
			continue;
		}
		n = utf8_next(span_of(s.p + i, s.n - i), &v);
		if (n == 0 || v == 0)
			put_unit(j, 0xfffd);
		else if (v == '"' || v == '\\')
			put(j, v == '"' ? "\\\"" : "\\\\", 2);
		else if (v < 0x10000)
			put_unit(j, v);
		else {
			put_unit(j, 0xd800 + (v - 0x10000) / 0x400);
			put_unit(j, 0xdc00 + (v - 0x10000) % 0x400);
		}
		i += n ? n : 1;
	}
	put(j, "\"", 1);
}

/* --- values ---------------------------------------------------------------- */

/* What stands before a value. Keys are escaped too: some are a peer's. */
static void lead(struct json *j, const char *key)
{
	if (j->comma)
		put(j, ",", 1);
	if (key) {
		put_quoted(j, span_str(key));
		put(j, ":", 1);
	}
	j->comma = true;
}

void json_open(struct json *j, const char *key, char bracket)
{
	lead(j, key);
	put(j, &bracket, 1);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	put(j, &bracket, 1);
	j->comma = true;
}

void json_int(struct json *j, const char *key, int64_t v)
{
	lead(j, key);
	put_digits(j, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

void json_uint(struct json *j, const char *key, uint64_t v)
{
	lead(j, key);
	put_digits(j, v, false);
}

void json_bool(struct json *j, const char *key, bool v)
{
	lead(j, key);
	put(j, v ? "true" : "false", v ? 4 : 5);
}

void json_null(struct json *j, const char *key)
{
	lead(j, key);
	put(j, "null", 4);
}

void json_str(struct json *j, const char *key, const char *s)
{
	if (s)
		json_text(j, key, span_str(s));
	else
		json_null(j, key);
}

void json_text(struct json *j, const char *key, struct span s)
{
	lead(j, key);
	put_quoted(j, s);
}

void json_hex(struct json *j, const char *key, struct span s)
{
	lead(j, key);
	put(j, "\"", 1);
	for (size_t i = 0; i < s.n && !j->failed; i++) {
		char two[2] = { hex_digits[s.p[i] >> 4],
			hex_digits[s.p[i] & 15] };

		put(j, two, 2);
	}
	put(j, "\"", 1);
}

const char *json_done(struct json *j)
{
	put(j, "", 0);
	return j->failed ? NULL : j->text;
}

/* --- hex ------------------------------------------------------------------- */

char *hex_of(const void *bytes, size_t n, char *out)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = hex_digits[p[i] >> 4];
		out[2 * i + 1] = hex_digits[p[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_read(struct span text, uint8_t *out, size_t n)
{
	if (text.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		int hi = nibble(text.p[2 * i]), lo = nibble(text.p[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return true;
}
