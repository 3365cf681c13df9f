#include "monitor/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "schema/log.h"
#include "schema/now.h"

#define SETTLE_MS 1000		/* files are copied in */
#define UNREST_MS 5000		/* but whoever writes there all the time ... */
#define LOOK_MS 60000		/* if the kernel told nothing */

/* A file as it lay when it was read. */
struct file {
	char *name;
	int64_t changed_ns, bytes;
	uint64_t inode;
	uint8_t infohash[20];
	bool holds;		/* a swarm, of that infohash */
};

struct folder {
	struct folder_conf conf;
	uv_fs_event_t event;
	uv_timer_t look;
	struct file *file;	/* sorted by name */
	size_t files;
	struct wanted came;	/* by this look */
	uint64_t unrest_ms;	/* since when something changes; 0: does not */
	unsigned handles;
	bool told;		/* that it cannot be read */
};

static bool ends_in(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	return n > k && strcmp(name + n - k, end) == 0;
}

/* The first line of a .magnet file; false, logged. */
static bool read_link(const char *path, char *line, size_t room)
{
	FILE *in = fopen(path, "re");
	bool ok = in && fgets(line, (int)room, in) != NULL;
	char safe[200];

	if (in)
		fclose(in);
	if (ok) {
		line[strcspn(line, "\r\n")] = '\0';
		ok = swarm_is_link(line);
	}
	if (!ok)
		log_warn("%s: its first line is no magnet link or infohash",
		    log_safe(span_str(path), safe, sizeof(safe)));
	return ok;
}

static struct swarm *read_file(const char *path)
{
	struct wanted one = { 0 };
	struct swarm *s;
	char line[8192];

	if (ends_in(path, ".magnet")) {
		if (read_link(path, line, sizeof(line)))
			wanted_add(&one, line, SWARM_WATCHED);
	} else {
		wanted_add(&one, path, SWARM_WATCHED);
	}
	s = wanted_take(&one);
	wanted_fini(&one);
	return s;
}

/* A file that is there, as it was before if it was: read if it changed. */
static void take(struct folder *f, struct file *file, const struct stat *st)
{
	/* Nobody sets that one; and it is another when it may be read now. */
	int64_t changed = (int64_t)st->st_ctim.tv_sec * NS_PER_S +
	    st->st_ctim.tv_nsec;
	struct swarm *s;
	char *path;

	if (file->changed_ns == changed && file->bytes == st->st_size &&
	    file->inode == st->st_ino)
		return;
	file->changed_ns = changed;
	file->bytes = st->st_size;
	file->inode = st->st_ino;
	if (asprintf(&path, "%s/%s", f->conf.path, file->name) < 0)
		log_die("out of memory");
	s = read_file(path);
	free(path);
	if (!s)
		return;
	if (file->holds &&
	    memcmp(file->infohash, s->ref.wire_hash[0], 20) != 0)
		f->conf.gone(f->conf.ctx, file->infohash);
	memcpy(file->infohash, s->ref.wire_hash[0], 20);
	file->holds = true;
	wanted_put(&f->came, s);
}

static void drop(struct folder *f, struct file *file)
{
	if (file->holds)
		f->conf.gone(f->conf.ctx, file->infohash);
	free(file->name);
}

static int of_interest(const struct dirent *e)
{
	return e->d_name[0] != '.' && (ends_in(e->d_name, ".torrent") ||
	    ends_in(e->d_name, ".magnet"));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Both lists are sorted by name. What is gone goes first, so that a file that
 * was renamed is not missed. */
static void compare(struct folder *f, struct dirent **now, size_t n)
{
	struct file *made = calloc(n ? n : 1, sizeof(*made));
	size_t was = 0;

	if (!made)
		log_die("out of memory");
	for (size_t i = 0; i < n; i++) {
		while (was < f->files &&
		    strcmp(f->file[was].name, now[i]->d_name) < 0)
			drop(f, &f->file[was++]);
		if (was < f->files &&
		    strcmp(f->file[was].name, now[i]->d_name) == 0)
			made[i] = f->file[was++];
		else if (!(made[i].name = strdup(now[i]->d_name)))
			log_die("out of memory");
	}
	while (was < f->files)
		drop(f, &f->file[was++]);
	free(f->file);
	f->file = made;
	f->files = n;
}

static int look(struct folder *f)
{
	struct dirent **now;
	int n = scandir(f->conf.path, &now, of_interest, by_name);
	struct stat st;
	int dir;

	dir = n < 0 ? -1 : open(f->conf.path, O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	if (n < 0) {
		if (!f->told)
			log_warn("%s: %s; what is watched stays", f->conf.path,
			    strerror(errno));
		f->told = true;
		return -1;
	}
	f->told = false;
	compare(f, now, (size_t)n);
	for (int i = 0; i < n; i++) {
		if (fstatat(dir, now[i]->d_name, &st, 0) == 0 &&
		    S_ISREG(st.st_mode))
			take(f, &f->file[i], &st);
		free(now[i]);
	}
	free(now);
	close(dir);
	if (f->came.first)
		f->conf.come(f->conf.ctx, &f->came);
	return 0;
}

static void on_look(uv_timer_t *timer)
{
	struct folder *f = timer->data;

	f->unrest_ms = 0;
	look(f);
	uv_timer_start(timer, on_look, LOOK_MS, LOOK_MS);
}

static void on_event(uv_fs_event_t *event, const char *name, int events,
    int status)
{
	struct folder *f = event->data;

	(void)name;
	(void)events;
	(void)status;
	if (f->unrest_ms == 0)
		f->unrest_ms = uv_now(f->conf.loop);
	if (uv_now(f->conf.loop) - f->unrest_ms < UNREST_MS)
		uv_timer_start(&f->look, on_look, SETTLE_MS, LOOK_MS);
}

struct folder *folder_open(const struct folder_conf *conf)
{
	struct folder *f = calloc(1, sizeof(*f));

	if (!f)
		log_die("out of memory");
	f->conf = *conf;
	if (look(f) < 0) {
		free(f);
		return NULL;
	}
	uv_fs_event_init(conf->loop, &f->event);
	uv_timer_init(conf->loop, &f->look);
	f->event.data = f->look.data = f;
	f->handles = 2;
	if (uv_fs_event_start(&f->event, on_event, conf->path, 0) < 0)
		log_info("%s: the kernel does not tell of changes: it is "
		    "looked at once a minute", conf->path);
	uv_timer_start(&f->look, on_look, LOOK_MS, LOOK_MS);
	return f;
}

static void on_closed(uv_handle_t *h)
{
	struct folder *f = h->data;

	if (--f->handles > 0)
		return;
	for (size_t i = 0; i < f->files; i++)
		free(f->file[i].name);
	free(f->file);
	free(f);
}

void folder_close(struct folder *f)
{
	if (!f)
		return;
	uv_close((uv_handle_t *)&f->event, on_closed);
	uv_close((uv_handle_t *)&f->look, on_closed);
}
