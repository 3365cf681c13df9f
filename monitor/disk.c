#include "monitor/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOOK_MS 1000
#define SUM_EVERY 5u	/* looks: adding up reads a folder of many files */

static int64_t sum(int at, const char *name, bool deeper)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct stat st;
	int64_t bytes = 0;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((e = readdir(dir))) {
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode))
			bytes += (int64_t)st.st_blocks * 512;
		else if (S_ISDIR(st.st_mode) && deeper && e->d_name[0] != '.')
			bytes += sum(fd, e->d_name, false);
	}
	closedir(dir);
	return bytes;
}

static void look(struct disk *d)
{
	struct statvfs v;
	char why[128];

	if (d->looks++ % SUM_EVERY == 0)
		d->used = sum(AT_FDCWD, d->path, true);
	if (statvfs(d->path, &v) == 0)
		d->free = (int64_t)(v.f_bavail * v.f_frsize);
	else
		d->free = INT64_MAX;
	if (d->budget > 0 && d->used >= d->budget)
		snprintf(why, sizeof(why), "the case takes %lld MB: its "
		    "--disk-budget is used up", (long long)d->used / 1000000);
	else if (d->free < d->spare)
		snprintf(why, sizeof(why), "the disk has only %lld MB left "
		    "(--disk-spare)", (long long)d->free / 1000000);
	else
		return;
	uv_timer_stop(&d->timer);
	d->full(d->ctx, why);
}

static void on_timer(uv_timer_t *timer)
{
	look(timer->data);
}

void disk_watch(struct disk *d, uv_loop_t *loop)
{
	uv_timer_init(loop, &d->timer);
	d->timer.data = d;
	uv_timer_start(&d->timer, on_timer, 0, LOOK_MS);
}
