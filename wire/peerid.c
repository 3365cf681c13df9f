#include "peerwire.h"

#include <stdio.h>

/* How an Azureus-style id's four version characters are meant. */
enum digits {
	DIGITS_3,	/* a.b.c, and .d unless it is zero or a letter */
	DIGITS_4,	/* a.b.c.d */
	DIGITS_HEX,	/* a.b.c, letters of either case from 10 */
	DIGITS_PAIR,	/* 0126: 1.26 */
	DIGITS_PAIR_LOOSE,	/* 0107: 1.7 */
	DIGITS_TRANSMISSION
};

struct client {
	char id[3];
	enum digits digits;
	const char *name;
};

/* BEP 20 and what the clients' sources and captures show. */
static const struct client azureus[] = {
	{ "7T", DIGITS_3, "aTorrent" },
	{ "AG", DIGITS_3, "Ares" },
	{ "AZ", DIGITS_4, "Vuze" },
	{ "BC", DIGITS_PAIR, "BitComet" },
	{ "BF", DIGITS_3, "Bitflu" },
	{ "BI", DIGITS_4, "BiglyBT" },
	{ "BN", DIGITS_3, "Baidu Netdisk" },
	{ "BT", DIGITS_HEX, "BitTorrent" },
	{ "BW", DIGITS_3, "BitTorrent Web" },
	{ "CD", DIGITS_PAIR, "Enhanced CTorrent" },
	{ "DE", DIGITS_3, "Deluge" },
	{ "FC", DIGITS_3, "FileCroc" },
	{ "FD", DIGITS_3, "Free Download Manager" },
	{ "FL", DIGITS_3, "Folx" },
	{ "FW", DIGITS_3, "FrostWire" },
	{ "FX", DIGITS_3, "Freebox BitTorrent" },
	{ "GT", DIGITS_3, "anacrolix/torrent" },
	{ "HL", DIGITS_3, "Halite" },
	{ "KG", DIGITS_3, "KGet" },
	{ "KT", DIGITS_3, "KTorrent" },
	{ "LC", DIGITS_3, "LeechCraft" },
	{ "LP", DIGITS_PAIR, "Lphant" },
	{ "LT", DIGITS_3, "libtorrent" },
	{ "LW", DIGITS_3, "LimeWire" },
	{ "MG", DIGITS_3, "MediaGet" },
	{ "MO", DIGITS_3, "MonoTorrent" },
	{ "MR", DIGITS_3, "Miro" },
	{ "NX", DIGITS_3, "Net Transport" },
	{ "OS", DIGITS_3, "OneSwarm" },
	{ "PD", DIGITS_3, "Pando" },
	{ "PI", DIGITS_3, "PicoTorrent" },
	{ "PT", DIGITS_3, "Popcorn Time" },
	{ "QD", DIGITS_3, "QQDownload" },
	{ "SD", DIGITS_3, "Thunder" },
	{ "SW", DIGITS_3, "swarmwitness" },
	{ "SZ", DIGITS_3, "Shareaza" },
	{ "TN", DIGITS_3, "Torrent.NET" },
	{ "TR", DIGITS_TRANSMISSION, "Transmission" },
	{ "TT", DIGITS_3, "TuoTu" },
	{ "UE", DIGITS_HEX, "uTorrent Embedded" },
	{ "UM", DIGITS_HEX, "uTorrent Mac" },
	{ "UT", DIGITS_HEX, "uTorrent" },
	{ "UW", DIGITS_HEX, "uTorrent Web" },
	{ "VG", DIGITS_3, "Vagaa" },
	{ "WD", DIGITS_PAIR_LOOSE, "WebTorrent Desktop" },
	{ "WW", DIGITS_PAIR_LOOSE, "WebTorrent" },
	{ "XF", DIGITS_3, "Xfplay" },
	{ "XL", DIGITS_4, "Xunlei" },
	{ "XT", DIGITS_3, "XanTorrent" },
	{ "ZO", DIGITS_3, "Zona" },
	{ "lt", DIGITS_3, "libtorrent (rTorrent)" },
	{ "qB", DIGITS_3, "qBittorrent" }
};

/* Shadow style: one letter. Mainline has M, and numbers between dashes. */
static const struct client shadow[] = {
	{ "A", DIGITS_3, "ABC" },
	{ "O", DIGITS_3, "Osprey Permaseed" },
	{ "Q", DIGITS_3, "BTQueue" },
	{ "R", DIGITS_3, "Tribler" },
	{ "S", DIGITS_3, "Shadow" },
	{ "T", DIGITS_3, "BitTornado" },
	{ "U", DIGITS_3, "UPnP NAT BitTorrent" }
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct client *find(const struct client *table, size_t n,
    const uint8_t *id, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(table[i].id, id, len) == 0)
			return &table[i];
	return NULL;
}

/* 0-9 A-Z a-z as 0 to 61; -1 for anything else. */
static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 36;
	return -1;
}

static bool is_number(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static void put_version(char *buf, enum digits digits, const char *name,
    const uint8_t v[4])
{
	int a = digit(v[0]), b = digit(v[1]), c = digit(v[2]), d = digit(v[3]);
	bool pair = false;

	switch (digits) {
	case DIGITS_TRANSMISSION:
		/* 2940: 2.94, 0072: 0.72, and from 4.0 on 4050: 4.0.5. A last
		 * X or Z is a build between releases. */
		if (a >= 4) {
			snprintf(buf, PW_CLIENT_MAX, "%s %d.%d.%d%s", name, a,
			    b, c, is_number(v[3]) ? "" : "+");
		} else if (a == 0 && b == 0) {
			snprintf(buf, PW_CLIENT_MAX, "%s 0.%d%d", name, c, d);
		} else {
			snprintf(buf, PW_CLIENT_MAX, "%s %d.%d%d%s", name, a,
			    b, c, is_number(v[3]) ? "" : "+");
		}
		return;
	case DIGITS_PAIR:
	case DIGITS_PAIR_LOOSE:
		pair = a < 10 && b < 10 && c < 10 && d < 10;
		if (pair && (digits == DIGITS_PAIR || c > 0))
			snprintf(buf, PW_CLIENT_MAX, "%s %d.%d%d", name,
			    10 * a + b, c, d);
		else if (pair)
			snprintf(buf, PW_CLIENT_MAX, "%s %d.%d", name,
			    10 * a + b, d);
		if (pair)
			return;
		break;
	case DIGITS_HEX:
		b = b >= 36 ? b - 26 : b;
		c = c >= 36 ? c - 26 : c;
		snprintf(buf, PW_CLIENT_MAX, "%s %d.%d.%d", name, a, b, c);
		return;
	case DIGITS_3:
		if (d == 0 || !is_number(v[3])) {
			snprintf(buf, PW_CLIENT_MAX, "%s %d.%d.%d", name, a, b,
			    c);
			return;
		}
		break;
	case DIGITS_4:
		break;
	}
	snprintf(buf, PW_CLIENT_MAX, "%s %d.%d.%d.%d", name, a, b, c, d);
}

/* -qB4520- */
static bool azureus_style(const uint8_t *id, char *buf)
{
	const struct client *k;

	if (id[0] != '-' || id[7] != '-')
		return false;
	for (size_t i = 3; i < 7; i++)
		if (digit(id[i]) < 0)
			return false;
	k = find(azureus, COUNT(azureus), id + 1, 2);
	if (k)
		put_version(buf, k->digits, k->name, id + 3);
	return k != NULL;
}

/* Numbers with dashes between them, as in M7-9-2-- and A2-1-36-0-. */
static bool dashed(const uint8_t *p, const char *name, char *buf)
{
	unsigned v[3];

	for (size_t i = 0, at = 0; i < 3; i++) {
		size_t from = at;

		for (v[i] = 0; at < 12 && is_number(p[at]); at++)
			v[i] = 10 * v[i] + (unsigned)(p[at] - '0');
		if (at == from || at - from > 3 || p[at++] != '-')
			return false;
	}
	snprintf(buf, PW_CLIENT_MAX, "%s %u.%u.%u", name, v[0], v[1], v[2]);
	return true;
}

/* T03I-----: a letter, up to five digits, three dashes. */
static bool shadow_style(const uint8_t *id, char *buf)
{
	const struct client *k = find(shadow, COUNT(shadow), id, 1);
	size_t n = 0;

	while (n < 5 && digit(id[1 + n]) >= 0)
		n++;
	if (!k || n < 2 || memcmp(id + 6, "---", 3) != 0)
		return false;
	for (size_t i = n; i < 5; i++)
		if (id[1 + i] != '-')
			return false;
	int len = snprintf(buf, PW_CLIENT_MAX, "%s %d", k->name, digit(id[1]));
	for (size_t i = 1; i < n; i++)
		len += snprintf(buf + len, PW_CLIENT_MAX - (size_t)len, ".%d",
		    digit(id[1 + i]));
	return true;
}

/* TIX0258-: Tixati 2.58 */
static bool tixati(const uint8_t *id, char *buf)
{
	if (memcmp(id, "TIX", 3) != 0)
		return false;
	for (size_t i = 3; i < 7; i++)
		if (!is_number(id[i]))
			return false;
	put_version(buf, DIGITS_PAIR, "Tixati", id + 3);
	return true;
}

const char *pw_client(const uint8_t peer_id[20], char buf[PW_CLIENT_MAX])
{
	size_t n = 0, most = 20;

	if (azureus_style(peer_id, buf) ||
	    (memcmp(peer_id, "A2-", 3) == 0 &&
	    dashed(peer_id + 3, "aria2", buf)) ||
	    (peer_id[0] == 'M' && dashed(peer_id + 1, "Mainline", buf)) ||
	    shadow_style(peer_id, buf) || tixati(peer_id, buf))
		return buf;
	if (peer_id[0] == '-' && peer_id[7] == '-')
		most = 8;	/* the rest of such an id is random */
	while (n < most && peer_id[n] >= ' ' && peer_id[n] <= '~') {
		buf[n] = (char)peer_id[n];
		n++;
	}
	buf[n] = '\0';
	if (n == 0)
		snprintf(buf, PW_CLIENT_MAX, "unknown");
	return buf;
}
