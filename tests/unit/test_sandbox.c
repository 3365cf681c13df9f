/* What a confined process can do and cannot, by trying it. */
#include "capture/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char top[] = "/tmp/sandbox-XXXXXX";	/* top/case is ours */
static char inside[64], outside[64], given[64];
static struct sockaddr_un service = { .sun_family = AF_UNIX };
static int open_socket, listening;

/* Each: 0 if it could be done, else the errno. */

static int result(long rc)
{
	return rc < 0 ? errno : 0;
}

static int close_of(int fd)
{
	int e = result(fd);

	if (fd >= 0)
		close(fd);
	return e;
}

static int write_inside(void)
{
	return close_of(open(inside, O_RDWR | O_CREAT, 0600));
}

static int rename_inside(void)
{
	char to[80];

	snprintf(to, sizeof(to), "%s.new", inside);
	write_inside();
	return result(rename(inside, to));
}

static int write_outside(void)
{
	return close_of(open(outside, O_RDWR | O_CREAT, 0600));
}

static int read_outside(void)
{
	return close_of(open(given, O_RDONLY));
}

static int read_passwords(void)
{
	return close_of(open("/root/.bashrc", O_RDONLY));
}

/* Only root may read it, and the tests are run as root. */
static int read_shadow(void)
{
	return close_of(open("/etc/shadow", O_RDONLY));
}

static int read_users(void)
{
	return close_of(open("/etc/passwd", O_RDONLY));
}

static int list_system(void)
{
	return close_of(open("/etc", O_RDONLY | O_DIRECTORY));
}

static int read_names(void)
{
	return close_of(open("/etc/hosts", O_RDONLY));
}

static int write_system(void)
{
	return close_of(open("/etc/hosts", O_WRONLY | O_APPEND));
}

static int random_bytes(void)
{
	uint8_t b[8];
	int fd = open("/dev/urandom", O_RDONLY);
	int e = result(fd < 0 ? -1 : read(fd, b, sizeof(b)));

	close(fd);
	return e;
}

static int execute(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return errno;
}

static int another_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static void *nothing(void *ctx)
{
	return ctx;
}

static int thread(void)
{
	pthread_t t;
	int e = pthread_create(&t, NULL, nothing, NULL);

	if (e == 0)
		pthread_join(t, NULL);
	return e;
}

static int socket_inet(void)
{
	return close_of(socket(AF_INET6, SOCK_DGRAM, 0));
}

static int socket_packet(void)
{
	return close_of(socket(AF_PACKET, SOCK_RAW, 0));
}

static int socket_netlink(void)
{
	return close_of(socket(AF_NETLINK, SOCK_RAW, 12 /* netfilter */));
}

static int socket_raw(void)
{
	return close_of(socket(AF_INET, SOCK_RAW, 17));
}

static int socket_crypto(void)
{
	return close_of(socket(38 /* AF_ALG */, SOCK_SEQPACKET, 0));
}

static int pair_of(int type)
{
	int pair[2], e = result(socketpair(AF_UNIX, type, 0, pair));

	if (e == 0) {
		close(pair[0]);
		close(pair[1]);
	}
	return e;
}

static int pair_connected(void)
{
	return pair_of(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Its ends could be connected elsewhere. */
static int pair_datagram(void)
{
	return pair_of(SOCK_DGRAM);
}

/* A service of this user's, as docker.sock is one of root's. */
static int connect_service(void)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0), e;

	if (s < 0)
		return errno;
	e = result(connect(s, (struct sockaddr *)&service, sizeof(service)));
	close(s);
	return e;
}

static int connect_pair(void)
{
	int pair[2], e;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return errno;
	e = result(connect(pair[0], (struct sockaddr *)&service,
	    sizeof(service)));
	close(pair[0]);
	close(pair[1]);
	return e;
}

static int send_given(void)
{
	return result(send(open_socket, "x", 1, MSG_NOSIGNAL));
}

static int kill_other(void)
{
	return result(kill(getppid(), 0));
}

static int trace(void)
{
	return result(syscall(SYS_ptrace, 16, getppid(), 0, 0));
}

static int read_memory(void)
{
	return result(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL,
	    0, 0));
}

static int mount_something(void)
{
	return result(mount("none", "/mnt", "tmpfs", 0, NULL));
}

static int set_clock(void)
{
	struct timespec t = { 0 };

	return result(clock_settime(CLOCK_REALTIME, &t));
}

static int type_into_terminal(void)
{
	char c = 'x';

	return result(ioctl(0, TIOCSTI, &c));
}

static int io_ring(void)
{
	return result(syscall(425 /* io_uring_setup */, 8, NULL));
}

static int become_nobody(void)
{
	return result(syscall(SYS_setuid, 65534));
}

static int own_memory(void)
{
	return close_of(open("/proc/self/mem", O_RDWR));
}

static int others_files(void)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/%d/environ", (int)getppid());
	return close_of(open(name, O_RDONLY));
}

static int load_bpf(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int fault_handler(void)
{
	return result(syscall(SYS_userfaultfd, 0));
}

static int change_root(void)
{
	return result(chroot(top));
}

static int new_namespace(void)
{
	return result(syscall(SYS_unshare, 0));
}

static int kernel_key(void)
{
	return result(syscall(SYS_keyctl, 0, 0, 0));
}

static int another_descriptor(void)
{
	return close_of((int)syscall(434 /* pidfd_open */, getppid(), 0));
}

static int symbolic_link(void)
{
	char name[80];

	snprintf(name, sizeof(name), "%s.link", inside);
	if (symlink("/etc/shadow", name) < 0)
		return errno;
	return result(unlink(name));
}

static int device(void)
{
	char name[80];

	snprintf(name, sizeof(name), "%s.device", inside);
	if (mknod(name, S_IFCHR | 0600, 1 << 8 | 3) < 0)
		return errno;
	return result(unlink(name));
}

enum { DONE, REFUSED, DEADLY };

static const struct row {
	const char *what;
	int (*try)(void);
	int network, files, recorder;	/* by role */
} rows[] = {
	{ "write in the case", write_inside, DONE, DONE, DONE },
	{ "rename in the case", rename_inside, DONE, DONE, DONE },
	{ "write beside it", write_outside, REFUSED, REFUSED, REFUSED },
	{ "read beside it", read_outside, REFUSED, REFUSED, REFUSED },
	{ "read a home", read_passwords, REFUSED, REFUSED, REFUSED },
	{ "read the passwords", read_shadow, REFUSED, REFUSED, REFUSED },
	{ "read the users", read_users, REFUSED, REFUSED, REFUSED },
	{ "list /etc", list_system, REFUSED, REFUSED, REFUSED },
	{ "read the names of hosts", read_names, DONE, REFUSED, REFUSED },
	{ "write /etc", write_system, REFUSED, REFUSED, REFUSED },
	{ "random bytes", random_bytes, DONE, DONE, REFUSED },
	{ "execute", execute, DEADLY, DEADLY, DEADLY },
	{ "fork", another_process, REFUSED, REFUSED, REFUSED },
	{ "a thread", thread, DONE, DONE, REFUSED },
	{ "a socket", socket_inet, DONE, REFUSED, REFUSED },
	{ "a packet socket", socket_packet, REFUSED, REFUSED, REFUSED },
	{ "a firewall socket", socket_netlink, REFUSED, REFUSED, REFUSED },
	{ "send on a given socket", send_given, DONE, REFUSED, DONE },
	{ "a signal to another", kill_other, REFUSED, REFUSED, REFUSED },
	{ "trace", trace, DEADLY, DEADLY, DEADLY },
	{ "another's memory", read_memory, DEADLY, DEADLY, DEADLY },
	{ "mount", mount_something, DEADLY, DEADLY, DEADLY },
	{ "set the clock", set_clock, REFUSED, REFUSED, REFUSED },
	{ "type into a terminal", type_into_terminal, REFUSED, REFUSED, REFUSED },
	{ "io_uring", io_ring, REFUSED, REFUSED, REFUSED },
	{ "a raw socket", socket_raw, REFUSED, REFUSED, REFUSED },
	{ "a socket of the kernel's ciphers", socket_crypto, REFUSED, REFUSED,
		REFUSED },
	{ "two connected ends", pair_connected, DONE, REFUSED, REFUSED },
	{ "two that could be connected", pair_datagram, REFUSED, REFUSED,
		REFUSED },
	{ "connect to a local service", connect_service, REFUSED, REFUSED,
		REFUSED },
	{ "the same with an end of a pair", connect_pair, REFUSED, REFUSED,
		REFUSED },
	{ "another user", become_nobody, REFUSED, REFUSED, REFUSED },
	{ "write to its own memory's file", own_memory, REFUSED, REFUSED,
		REFUSED },
	{ "another's environment", others_files, REFUSED, REFUSED, REFUSED },
	{ "bpf", load_bpf, DEADLY, DEADLY, DEADLY },
	{ "userfaultfd", fault_handler, DEADLY, DEADLY, DEADLY },
	{ "chroot", change_root, DEADLY, DEADLY, DEADLY },
	{ "unshare", new_namespace, DEADLY, DEADLY, DEADLY },
	{ "the kernel's keys", kernel_key, DEADLY, DEADLY, DEADLY },
	{ "a descriptor of another process", another_descriptor, REFUSED,
		REFUSED, REFUSED },
	{ "a symbolic link", symbolic_link, REFUSED, REFUSED, REFUSED },
	{ "a device", device, REFUSED, REFUSED, REFUSED }
};

static int expected(const struct row *row, enum sandbox_role role)
{
	switch (role) {
	case SANDBOX_NETWORK:
		return row->network;
	case SANDBOX_FILES:
		return row->files;
	case SANDBOX_RECORDER:
		return row->recorder;
	}
	return DONE;
}

/* Sanitizers need another process and its tracing. */
static bool not_here(const struct row *row)
{
#ifdef SW_SANITIZED
	return row->try == trace || row->try == another_process;
#else
	(void)row;
	return false;
#endif
}

static void check_row(const struct row *row, enum sandbox_role role)
{
	char folder[64];
	struct sandbox_path path = { folder, true };
	struct sandbox got;
	int status, want = expected(row, role);
	pid_t pid;

	snprintf(folder, sizeof(folder), "%s/case", top);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (sandbox_enter(role, &path, 1, &got) < 0 || !got.seccomp)
			_exit(250);
		if (got.landlock == 0)
			_exit(251);
		_exit(row->try() == 0 ? DONE : REFUSED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 251) {
		print_message("no Landlock here: not tried\n");
		skip();
	}
	if (want == DEADLY ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS :
	    !WIFEXITED(status) || WEXITSTATUS(status) != want)
		fail_msg("role %d, %s: status %x, expected %d", role, row->what,
		    (unsigned)status, want);
}

static void check_role(enum sandbox_role role)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!not_here(&rows[i]))
			check_row(&rows[i], role);
}

static void test_network(void **state)
{
	(void)state;
	check_role(SANDBOX_NETWORK);
}

static void test_files(void **state)
{
	(void)state;
	check_role(SANDBOX_FILES);
}

static void test_recorder(void **state)
{
	(void)state;
	check_role(SANDBOX_RECORDER);
}

/* Not as root: files of /etc by name, a resolv.conf that is put there later
 * among them, but no list of them, and what permissions guard they guard. */
static void test_another_user(void **state)
{
	static const struct {
		int (*try)(void);
		int want;
	} tries[] = { { read_names, DONE }, { read_users, DONE },
		{ list_system, REFUSED }, { read_shadow, REFUSED },
		{ write_system, REFUSED }, { read_outside, REFUSED } };
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct sandbox got;

		if (setgid(65534) < 0 || setuid(65534) < 0 ||
		    sandbox_enter(SANDBOX_NETWORK, NULL, 0, &got) < 0)
			_exit(250);
		for (int i = 0; got.landlock && i < (int)(sizeof(tries) /
		    sizeof(tries[0])); i++)
			if ((tries[i].try() == 0 ? DONE : REFUSED) !=
			    tries[i].want)
				_exit(1 + i);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* What each row tries can be done, or fails otherwise, where nothing is
 * confined: else it would show nothing. */
static void test_unconfined(void **state)
{
	(void)state;
	assert_int_equal(write_inside(), 0);
	assert_int_equal(write_outside(), 0);
	assert_int_equal(read_outside(), 0);
	assert_int_equal(read_names(), 0);
	assert_int_equal(read_users(), 0);
	assert_int_equal(list_system(), 0);
	if (geteuid() == 0)
		assert_int_equal(read_shadow(), 0);
	assert_int_equal(thread(), 0);
	assert_int_equal(socket_inet(), 0);
	assert_int_equal(send_given(), 0);
	assert_int_equal(kill_other(), 0);
	assert_int_not_equal(io_ring(), ENOSYS);
	assert_int_equal(pair_connected(), 0);
	assert_int_equal(pair_datagram(), 0);
	assert_int_equal(connect_service(), 0);
	assert_int_equal(own_memory(), 0);
	assert_int_equal(symbolic_link(), 0);
	assert_int_equal(another_descriptor(), 0);
	assert_int_equal(others_files(), 0);
	if (geteuid() == 0) {
		assert_int_equal(socket_raw(), 0);
		assert_int_equal(device(), 0);
	}
}

static int set_up(void **state)
{
	int pair[2], fd;
	char folder[64];

	(void)state;
	if (!mkdtemp(top))
		return -1;
	snprintf(folder, sizeof(folder), "%s/case", top);
	snprintf(inside, sizeof(inside), "%s/case/file", top);
	snprintf(outside, sizeof(outside), "%s/other", top);
	snprintf(given, sizeof(given), "%s/given", top);
	fd = open(given, O_CREAT | O_WRONLY, 0600);
	close(fd);
	if (mkdir(folder, 0700) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return -1;
	open_socket = pair[0];
	snprintf(service.sun_path, sizeof(service.sun_path), "%s/service",
	    top);
	listening = socket(AF_UNIX, SOCK_STREAM, 0);
	return bind(listening, (struct sockaddr *)&service,
	    sizeof(service)) < 0 ? -1 : listen(listening, 64);
}

static int tear_down(void **state)
{
	char name[80];

	(void)state;
	unlink(inside);
	snprintf(name, sizeof(name), "%s.new", inside);
	unlink(name);
	unlink(outside);
	unlink(given);
	close(listening);
	unlink(service.sun_path);
	snprintf(name, sizeof(name), "%s/case", top);
	rmdir(name);
	return rmdir(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unconfined),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_recorder),
		cmocka_unit_test(test_another_user)
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
