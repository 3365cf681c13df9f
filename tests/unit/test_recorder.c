/*
 * The recorder on the loopback of a network namespace of our own, so that it
 * sees nothing but what the test sends. Without the right to make one, it must
 * say why it cannot record, and that is all that can be tested.
 */
#include "capture/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "schema/casedir.h"

#define FILES 64

static bool able;
static char folder[] = "/tmp/sw-recorder-XXXXXX/packets";

static int set_up(void **state)
{
	struct ifreq lo = { .ifr_name = "lo" };
	int fd;

	(void)state;
	able = unshare(CLONE_NEWNET) == 0;
	if (!able)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &lo) < 0)
		return -1;
	lo.ifr_flags = (short)(lo.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return -1;
	return close(fd);
}

static int new_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/sw-recorder-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(folder + strlen(folder), sizeof(folder) - strlen(folder),
	    "/packets");
	return mkdir(folder, 0700);
}

static int remove_folder(void **state)
{
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		folder[strlen(folder) - strlen("/packets")] = '\0';
		execlp("rm", "rm", "-r", "--", folder, (char *)NULL);
		_exit(1);
	}
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

/* Sends datagrams of size bytes from one loopback port to another, nobody
 * listening: each is answered with an ICMP error. */
static void send_some(unsigned from, unsigned to, int n, size_t size)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)from),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static char bytes[60000];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	at.sin_port = htons((uint16_t)to);
	for (int i = 0; i < n; i++)
		assert_int_equal(sendto(fd, bytes, size, 0,
		    (struct sockaddr *)&at, sizeof(at)), (ssize_t)size);
	close(fd);
}

/* Files until the child is gone, or until want have come. */
static size_t collect(struct recorder *r, struct recorder_file *files,
    size_t want)
{
	struct pollfd fd = { .fd = recorder_fd(r), .events = POLLIN };
	size_t n = 0;
	int got;

	while (n < want) {
		while ((got = recorder_next(r, &files[n])) == 1)
			if (++n == want)
				return n;
		if (got < 0)
			break;
		assert_true(poll(&fd, 1, 10000) > 0);
	}
	return n;
}

/* What we are told of a file is what lies there. */
static void check_file(const struct recorder_file *f)
{
	char path[256], hex[65], err[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *h;
	const unsigned char *bytes;
	int64_t size, packets = 0, first = 0, last = 0;
	unsigned char magic[4];
	int fd, got;
	pcap_t *p;

	assert_memory_equal(f->file, "packets/", 8);
	snprintf(path, sizeof(path), "%s/%s", folder, f->file + 8);
	assert_int_equal(casedir_digest(path, hex, &size), 0);
	assert_string_equal(f->sha256, hex);
	assert_true(f->bytes == size);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, magic, 4), 4);
	close(fd);
	assert_memory_equal(magic, "\x4d\x3c\xb2\xa1", 4);	/* ns */
	p = pcap_open_offline_with_tstamp_precision(path,
	    PCAP_TSTAMP_PRECISION_NANO, err);
	assert_non_null(p);
	while ((got = pcap_next_ex(p, &h, &bytes)) == 1) {
		int64_t at = (int64_t)h->ts.tv_sec * 1000000000 +
		    h->ts.tv_usec;

		if (packets++ == 0)
			first = last = at;
		first = at < first ? at : first;
		last = at > last ? at : last;
	}
	assert_int_equal(got, PCAP_ERROR_BREAK);	/* its very end */
	pcap_close(p);
	assert_true(packets == f->packets);
	assert_true(first == f->first_utc_ns && last == f->last_utc_ns);
}

static struct recorder *start(const struct recorder_conf *conf)
{
	char why[256];
	struct recorder *r = recorder_start(conf, why);

	if (r == NULL)
		fail_msg("%s", why);
	return r;
}

static void takes_what_the_filter_says(void **state)
{
	struct recorder_conf conf = { .folder = folder, .first = 3,
	    .filter = "udp portrange 40000-40009" };
	struct recorder_file files[2];
	struct recorder *r;

	(void)state;
	if (!able)
		skip();
	r = start(&conf);
	assert_non_null(strstr(recorder_describe(r), "LINUX_SLL2"));
	assert_non_null(strstr(recorder_describe(r), conf.filter));
	send_some(40000, 50000, 20, 100);
	send_some(39999, 50000, 20, 100);
	recorder_stop(r);
	assert_int_equal(collect(r, files, 2), 1);
	recorder_free(r);
	assert_string_equal(files[0].file, "packets/000003.pcap");
	/* On "any" what loopback carries is seen once. */
	assert_true(files[0].packets == 20);
	assert_true(files[0].dropped_kernel == 0);
	assert_true(files[0].dropped_interface == 0);
	check_file(&files[0]);
	assert_int_equal(recorder_number(folder), 4);
}

static void rotates_by_size_without_a_loss(void **state)
{
	struct recorder_conf conf = { .folder = folder, .first = 1,
	    .interface = "lo", .filter = "udp", .rotate_bytes = 100000 };
	struct recorder_file files[FILES];
	struct recorder *r;
	int64_t packets = 0, counted, dropped;
	char want[64];
	size_t n;

	(void)state;
	if (!able)
		skip();
	r = start(&conf);
	for (int i = 0; i < 10; i++)
		send_some(40000, 50000, 50, 2000);
	/* All but the last file, and a tick, and with it counts. */
	n = collect(r, files, 10);
	for (int i = 0; i < 300; i++) {
		usleep(100000);
		n += recorder_next(r, &files[n]) == 1;
		recorder_counts(r, &counted, &dropped);
		if (counted >= 500)
			break;
	}
	recorder_stop(r);
	n += collect(r, files + n, FILES - n);
	recorder_free(r);
	assert_in_range(n, 11, 12);
	for (size_t i = 0; i < n; i++) {
		snprintf(want, sizeof(want), "packets/%06zu.pcap", i + 1);
		assert_string_equal(files[i].file, want);
		check_file(&files[i]);
		assert_true(files[i].bytes <= 100024);
		packets += files[i].packets;
	}
	assert_true(packets == 500);
	assert_true(counted == 500 && dropped == 0);
}

static void rotates_by_time_empty_files_too(void **state)
{
	struct recorder_conf conf = { .folder = folder, .first = 1,
	    .rotate_s = 1 };
	struct recorder_file files[2];
	struct recorder *r;

	(void)state;
	if (!able)
		skip();
	r = start(&conf);
	assert_int_equal(collect(r, files, 2), 2);
	recorder_stop(r);
	while (collect(r, files, 2) == 2)
		;
	recorder_free(r);
	assert_true(files[0].packets == 0 && files[0].bytes == 24);
	check_file(&files[0]);
}

/* The recorder's process: our only child. */
static pid_t child_of_ours(void)
{
	char path[64], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return (pid_t)strtol(text, NULL, 10);
}

static void child_has_no_privilege(void **state)
{
	struct recorder_conf conf = { .folder = folder, .first = 1 };
	char path[64], text[4096] = "";
	struct recorder *r;
	pid_t child;
	int fd;

	(void)state;
	if (!able)
		skip();
	r = start(&conf);
	child = child_of_ours();
	if (child > 0) {
		snprintf(path, sizeof(path), "/proc/%d/status", (int)child);
		fd = open(path, O_RDONLY);
		assert_true(read(fd, text, sizeof(text) - 1) > 0);
		close(fd);
		assert_non_null(strstr(text, "CapPrm:\t0000000000000000"));
		assert_non_null(strstr(text, "CapEff:\t0000000000000000"));
		assert_non_null(strstr(text, "CapBnd:\t0000000000000000"));
		assert_non_null(strstr(text, "NoNewPrivs:\t1"));
	}
	recorder_free(r);
}

/* Killed at work: what lies hidden is described as it lies. */
static void salvage(void **state)
{
	struct recorder_conf conf = { .folder = folder, .first = 1,
	    .filter = "udp" };
	struct recorder_file f;
	struct recorder *r;
	struct stat st;
	char path[128];
	pid_t child;

	(void)state;
	if (!able)
		skip();
	r = start(&conf);
	child = child_of_ours();
	if (child <= 0)
		skip();
	send_some(40000, 50000, 7, 100);
	/* A tick flushes. */
	snprintf(path, sizeof(path), "%s/.000001.pcap.part", folder);
	for (int i = 0; i < 300; i++) {
		usleep(100000);
		if (stat(path, &st) == 0 &&
		    st.st_size == 24 + 7 * (16 + 20 + 128))
			break;
	}
	kill(child, SIGKILL);
	assert_int_equal(collect(r, &f, 1), 0);
	recorder_free(r);
	assert_int_equal(recorder_number(folder), 2);
	/* Cut within its last packet. */
	assert_int_equal(truncate(path, 24 + 7 * (16 + 20 + 128) - 5), 0);
	assert_int_equal(recorder_salvage(folder, &f), 1);
	assert_string_equal(f.file, "packets/000001.pcap");
	assert_true(f.packets == 6);
	assert_true(f.bytes == 24 + 7 * (16 + 20 + 128) - 5);
	assert_true(f.dropped_kernel == -1 && f.dropped_interface == -1);
	assert_true(f.first_utc_ns > 0 && f.last_utc_ns >= f.first_utc_ns);
	assert_int_equal(recorder_salvage(folder, &f), 0);
	/* One that never got its header. */
	snprintf(path, sizeof(path), "%s/.000002.pcap.part", folder);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(recorder_salvage(folder, &f), 1);
	assert_true(f.packets == 0 && f.bytes == 0);
}

/* The parent dies: the child finishes its file by itself. */
static void finishes_when_the_parent_is_gone(void **state)
{
	struct recorder_conf conf = { .folder = folder, .first = 1,
	    .filter = "udp" };
	char path[128];
	pid_t parent;
	struct stat st;
	int status;

	(void)state;
	if (!able)
		skip();
	parent = fork();
	if (parent == 0) {
		struct recorder *r = start(&conf);

		send_some(40000, 50000, 7, 100);
		raise(r ? SIGKILL : SIGTERM);
	}
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	snprintf(path, sizeof(path), "%s/000001.pcap", folder);
	for (int i = 0; i < 600 && stat(path, &st) < 0; i++)
		usleep(50000);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 24 + 7 * (16 + 20 + 128));
}

/* Who gets no time when it is to end takes what came all the same. */
static void ends_late_without_a_loss(void **state)
{
	struct recorder_conf conf = { .folder = folder, .first = 1,
	    .interface = "lo", .filter = "udp" };
	struct recorder_file files[FILES];
	struct recorder *r;
	int64_t packets = 0;
	struct stat st;
	char path[128];
	pid_t child;
	size_t n;

	(void)state;
	if (!able)
		skip();
	r = start(&conf);
	child = child_of_ours();
	if (child <= 0)
		skip();
	kill(child, SIGSTOP);
	send_some(40000, 50000, 20000, 1000);
	recorder_stop(r);
	kill(child, SIGCONT);
	/* It has seen that it is to end, and is far from it. */
	snprintf(path, sizeof(path), "%s/.000001.pcap.part", folder);
	while (stat(path, &st) == 0 && st.st_size < 8000000)
		usleep(200);
	kill(child, SIGSTOP);
	usleep(3500000);
	kill(child, SIGCONT);
	n = collect(r, files, FILES);
	recorder_free(r);
	for (size_t i = 0; i < n; i++) {
		check_file(&files[i]);
		packets += files[i].packets;
		assert_true(files[i].dropped_kernel == 0);
	}
	assert_true(packets == 20000);
}

static void says_why_not(void **state)
{
	static const struct {
		const char *interface, *filter, *folder, *want;
	} cases[] = {
		{ "no-such-if", NULL, folder, "no-such-if" },
		{ "lo", "udp porrt 3", folder, "filter" },
		{ "lo", NULL, "/no/such/folder", "/no/such/folder" },
	};
	char why[256];

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		why[0] = '\0';
		assert_null(recorder_start(&(struct recorder_conf){
		    .interface = cases[i].interface, .first = 1,
		    .filter = cases[i].filter, .folder = cases[i].folder },
		    why));
		assert_true(strlen(why) > 0);
		if (able)
			assert_non_null(strstr(why, cases[i].want));
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, new_folder, remove_folder)
	const struct CMUnitTest tests[] = {
		TEST(takes_what_the_filter_says),
		TEST(rotates_by_size_without_a_loss),
		TEST(rotates_by_time_empty_files_too),
		TEST(child_has_no_privilege),
		TEST(salvage),
		TEST(finishes_when_the_parent_is_gone),
		TEST(ends_late_without_a_loss),
		TEST(says_why_not),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
