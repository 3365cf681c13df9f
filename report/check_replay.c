#include "report/check_replay.h"

#include "capture/replay.h"
#include "report/checkpart.h"

static void hear(void *ctx, bool wrong, const char *text)
{
	check_tell(ctx, wrong, "%s", text);
}

void check_replay(struct check *c, sqlite3 *db, const char *path)
{
	struct replay r = { .tell = hear, .ctx = c };

	if (replay_case(&r, db, path) < 0)
		check_tell(c, true, "the packets cannot be read again");
	c->replay = r;
	c->replayed = true;
}
