/* Files that operators name, a line an entry: the first byte says which. */
#include <string.h>

#include "capture/secrets.h"
#include "monitor/blocklist.h"
#include "monitor/swarm.h"
#include "tests/fuzz/fuzz_file.h"

static void blocklist(const char *file)
{
	static const struct endpoint zero = { .family = 4 };
	struct blocklist b = { 0 };
	struct endpoint at = { .family = 6 };

	blocklist_read(&b, file);
	blocklist_ready(&b);
	/* In order, apart from one another, and each holds its ends. */
	for (size_t i = 0; i < b.ranges; i++) {
		demand(memcmp(b.range[i].from, b.range[i].to, 16) <= 0);
		demand(i == 0 || memcmp(b.range[i - 1].to, b.range[i].from,
		    16) < 0);
		memcpy(at.addr, b.range[i].from, 16);
		demand(blocklist_has(&b, &at));
		memcpy(at.addr, b.range[i].to, 16);
		demand(blocklist_has(&b, &at));
	}
	blocklist_has(&b, &zero);
	blocklist_fini(&b);
}

/* Any public key that the file names, it has. */
static void secrets(const char *file)
{
	static const uint8_t none[MSE_KEY] = { 0 };
	struct secrets *s = secrets_new();
	struct dissect_secret got;

	secrets_file(s, file);
	secrets_find(s, none, &got);
	secrets_free(s);
}

static int line(void *ctx, const char *path)
{
	size_t *most = ctx, n = strlen(path);

	demand(n > 0 && n <= *most && path[0] != '#' && path[0] != ' ' &&
	    path[n - 1] != '\n' && path[n - 1] != ' ');
	if (swarm_is_link(path))
		swarm_free(swarm_new_magnet(path));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *file;

	if (n == 0)
		return 0;
	file = fuzz_file(data + 1, n - 1);
	switch (data[0]) {
	case 'b':
		blocklist(file);
		break;
	case 's':
		secrets(file);
		break;
	case 'l':
		swarm_list(file, line, &n);
		break;
	}
	return 0;
}
