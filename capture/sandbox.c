#include "capture/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "schema/log.h"

/* --- Landlock: which files ----------------------------------------------------- */

/* Rights that came with ABI 2 and 3; Debian 12's headers know but the first. */
#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_FIRST ((UINT64_C(1) << 13) - 1)

#define OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | \
	LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING (READING | LANDLOCK_ACCESS_FS_WRITE_FILE | \
	LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	FS_REFER | FS_TRUNCATE)

/*
 * What the system's own libraries open. A rule names a file, not its name, and
 * /etc/resolv.conf may be replaced while a run goes on: so whoever cannot read
 * the host's passwords there anyway may read files of /etc by their names, and
 * not list it. Whoever can, as root, gets the files alone that are there now.
 */
static const char passwords[] = "/etc/shadow";
static const char *const of_etc[] = { "/etc/resolv.conf", "/etc/hosts",
	"/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf",
	"/etc/services", "/etc/protocols", "/etc/localtime",
	"/etc/ld.so.cache", "/etc/ssl/openssl.cnf", "/etc/ssl/certs",
	"/etc/pki/tls/certs", "/etc/crypto-policies" };
static const char *const of_network[] = { "/usr/lib", "/lib", "/lib64",
	"/usr/share", "/usr/local/share/ca-certificates", "/run/systemd/resolve",
	"/run/resolvconf", "/run/NetworkManager", "/run/nscd", "/dev/urandom",
	"/dev/null", "/proc/self", "/proc/self/exe", "/proc/sys/kernel/random",
	"/proc/net",
	"/sys/devices/system/cpu" };
static const char *const of_files[] = { "/etc/localtime", "/usr/lib", "/lib",
	"/lib64", "/usr/share/zoneinfo", "/dev/urandom", "/dev/null",
	"/proc/self", "/proc/self/exe", "/proc/sys/kernel/random",
	"/sys/devices/system/cpu" };
/* libpcap reads the interface's own drop counter. */
static const char *const of_recorder[] = { "/sys/class/net", "/sys/devices",
	"/proc/net" };

static int allow(int rules, uint64_t access, const char *path)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };
	struct stat st;
	int rc, saved;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ?
		    0 : -1;
	if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed_access &= OF_FILES;
	rc = (int)syscall(SYS_landlock_add_rule, rules,
	    LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	saved = errno;
	close(rule.parent_fd);
	errno = saved;
	return rc;
}

static int allow_all(int rules, uint64_t known, const char *const *list,
    size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (allow(rules, READING & known, list[i]) < 0)
			return -1;
	return 0;
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static int allow_system(int rules, uint64_t known, enum sandbox_role role)
{
	switch (role) {
	case SANDBOX_NETWORK:
		if (access(passwords, R_OK) == 0 ? allow_all(rules, known,
		    of_etc, COUNT(of_etc)) < 0 : allow(rules,
		    LANDLOCK_ACCESS_FS_READ_FILE, "/etc") < 0)
			return -1;
		return allow_all(rules, known, of_network, COUNT(of_network));
	case SANDBOX_FILES:
		return allow_all(rules, known, of_files, COUNT(of_files));
	case SANDBOX_RECORDER:
		return allow_all(rules, known, of_recorder,
		    COUNT(of_recorder));
	}
	return 0;
}

static int enter_landlock(enum sandbox_role role,
    const struct sandbox_path *paths, size_t n, int *abi)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = FS_FIRST };
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
	int rules, rc = 0, saved;

	*abi = 0;
	if (version < 1)	/* not built in, or switched off */
		return 0;
	if (version >= 2)
		attr.handled_access_fs |= FS_REFER;
	if (version >= 3)
		attr.handled_access_fs |= FS_TRUNCATE;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr),
	    0);
	if (rules < 0)
		return -1;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = allow(rules, attr.handled_access_fs &
		    (paths[i].write ? WRITING : READING), paths[i].path);
	if (rc == 0)
		rc = allow_system(rules, attr.handled_access_fs, role);
	if (rc == 0)
		rc = (int)syscall(SYS_landlock_restrict_self, rules, 0);
	saved = errno;
	close(rules);
	errno = saved;
	if (rc == 0)
		*abi = (int)version;
	return rc;
}

/* --- seccomp: which calls ------------------------------------------------------- */

/* What files, memory, time and the end need. */
static const char *const basic[] = { "read", "write", "readv", "writev",
	"pread64", "pwrite64", "preadv", "pwritev", "open", "openat", "close",
	"fstat", "stat", "lstat", "newfstatat", "statx", "statfs", "fstatfs",
	"lseek", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
	"getcwd", "getdents64", "fsync", "fdatasync", "syncfs", "sync_file_range",
	"ftruncate", "fallocate", "fadvise64", "rename", "renameat",
	"renameat2", "unlink", "unlinkat", "fcntl", "flock", "poll", "ppoll",
	"mmap", "munmap", "mremap", "mprotect", "madvise", "brk", "exit",
	"exit_group", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	"sigaltstack", "restart_syscall", "getpid", "gettid", "getuid",
	"geteuid", "getgid", "getegid", "getrandom", "clock_gettime",
	"clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
	"futex", "sched_yield", "sched_getaffinity", "getrusage", "sysinfo",
	"uname", "prlimit64", "getrlimit", "set_robust_list", "rseq",
	"membarrier" };
/* What a program with a loop, threads and a database needs besides. */
static const char *const program[] = { "mkdir", "mkdirat", "rmdir", "link",
	"linkat", "fchmod", "chmod", "fchmodat", "fchown", "utimensat",
	"umask", "dup", "dup2", "dup3", "pipe", "pipe2", "eventfd2",
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
	"epoll_pwait2", "select", "pselect6", "setrlimit", "getppid", "wait4",
	"waitid", "get_robust_list", "sched_getparam", "sched_getscheduler",
	"sched_get_priority_max", "sched_get_priority_min", "copy_file_range",
	"sendfile", "capget", "inotify_init1", "inotify_add_watch",
	"inotify_rm_watch", "timerfd_create", "timerfd_settime" };
#ifdef SW_SANITIZED
static const char *const of_sanitizer[] = { "clone", "ptrace", "getdents",
	"prctl" };
#endif
/* Of sockets, which these make or were given. */
static const char *const sockets[] = { "bind", "connect", "listen", "accept",
	"accept4", "getsockname", "getpeername", "getsockopt", "setsockopt",
	"sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg",
	"shutdown" };
static const char *const given[] = { "getsockname", "getsockopt", "setsockopt", "sendto",
	"sendmsg", "recvfrom", "recvmsg", "shutdown" };
/* No part of this program tries these. */
static const char *const deadly[] = { "execve", "execveat",
#ifndef SW_SANITIZED
	"ptrace",	/* leaks are looked for by a process that traces */
#endif
	"process_vm_readv", "process_vm_writev", "mount", "umount2",
	"pivot_root", "chroot", "setns", "unshare", "bpf", "init_module",
	"finit_module", "delete_module", "kexec_load", "kexec_file_load",
	"reboot", "swapon", "open_by_handle_at", "add_key", "keyctl",
	"request_key", "personality", "perf_event_open", "userfaultfd" };

/* A call that this architecture or libseccomp does not know is no rule. */
static int rule(scmp_filter_ctx ctx, uint32_t action, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name), rc;

	if (nr == __NR_SCMP_ERROR)
		return 0;
	rc = seccomp_rule_add(ctx, action, nr, 0);
	return rc == -EDOM || rc == -EOPNOTSUPP ? 0 : rc;
}

static int rules(scmp_filter_ctx ctx, uint32_t action, const char *const *list,
    size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = rule(ctx, action, list[i]);
	return rc;
}

static struct scmp_arg_cmp is(unsigned arg, uint64_t value)
{
	return (struct scmp_arg_cmp){ .arg = arg, .op = SCMP_CMP_EQ,
		.datum_a = value };
}

static int one(scmp_filter_ctx ctx, int nr, unsigned arg, uint64_t value)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1, is(arg, value));
}

/* Terminals are asked, sockets set; nothing is typed into a terminal. */
static int allow_ioctls(scmp_filter_ctx ctx)
{
	static const uint64_t asked[] = { 0x5401 /* TCGETS */,
		0x5413 /* TIOCGWINSZ */, 0x541b /* FIONREAD */,
		0x5421 /* FIONBIO */, 0x5450 /* FIONCLEX */,
		0x5451 /* FIOCLEX */, 0x8910 /* SIOCGIFNAME */,
		0x8912 /* SIOCGIFCONF */, 0x8913 /* SIOCGIFFLAGS */,
		0x8933 /* SIOCGIFINDEX */ };
	int rc = 0;

	for (size_t i = 0; i < COUNT(asked) && rc == 0; i++)
		rc = one(ctx, SCMP_SYS(ioctl), 1, asked[i]);
	return rc;
}

/* New threads, no new process; the kernel's clock is read, not set. Of clone3
 * no argument can be seen: ENOSYS, and libc takes clone. */
static int allow_program(scmp_filter_ctx ctx)
{
	static const int of_prctl[] = { PR_SET_NAME, PR_GET_NAME,
		PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_VMA };
	int rc = rules(ctx, SCMP_ACT_ALLOW, program, COUNT(program));

	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
		    SCMP_A0_64(SCMP_CMP_MASKED_EQ, 0x10000, 0x10000));
	if (rc == 0)
		rc = allow_ioctls(ctx);
	for (size_t i = 0; i < COUNT(of_prctl) && rc == 0; i++)
		rc = one(ctx, SCMP_SYS(prctl), 0, (uint64_t)of_prctl[i]);
	if (rc == 0)
		rc = rule(ctx, SCMP_ACT_ALLOW, "adjtimex");
	if (rc == 0)
		rc = rule(ctx, SCMP_ACT_ALLOW, "clock_adjtime");
#ifdef SW_SANITIZED
	if (rc == 0)
		rc = rules(ctx, SCMP_ACT_ALLOW, of_sanitizer,
		    COUNT(of_sanitizer));
#endif
	return rc;
}

/* One of these calls with this family, and a type with this one's bits. */
static int allow_type(scmp_filter_ctx ctx, int nr, uint64_t family,
    uint64_t type)
{
	static const uint64_t types = UINT32_MAX &
	    ~(uint64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC);

	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 2, is(0, family),
	    SCMP_CMP(1, SCMP_CMP_MASKED_EQ, types, type));
}

/*
 * TCP and UDP, and netlink for a host's interfaces. No UNIX socket that could be
 * connected: behind one may be a service that does anything for our user. The
 * resolver of libc asks over UDP where it cannot ask a daemon that way; a pair
 * of connected ends, by which libcurl's threads wake each other, stays one.
 */
static int allow_sockets(scmp_filter_ctx ctx)
{
	static const uint64_t families[] = { AF_INET, AF_INET6 };
	int rc = rules(ctx, SCMP_ACT_ALLOW, sockets, COUNT(sockets));

	for (size_t i = 0; i < COUNT(families) && rc == 0; i++) {
		rc = allow_type(ctx, SCMP_SYS(socket), families[i],
		    SOCK_STREAM);
		if (rc == 0)
			rc = allow_type(ctx, SCMP_SYS(socket), families[i],
			    SOCK_DGRAM);
	}
	if (rc == 0)
		rc = allow_type(ctx, SCMP_SYS(socketpair), AF_UNIX,
		    SOCK_STREAM);
	if (rc == 0)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
		    is(0, AF_NETLINK), is(2, 0 /* NETLINK_ROUTE */));
	return rc;
}

static int fill(scmp_filter_ctx ctx, enum sandbox_role role)
{
	int rc = rules(ctx, SCMP_ACT_ALLOW, basic, COUNT(basic));

	if (rc == 0)
		rc = rules(ctx, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));
	/* abort() and raise() reach this process alone. */
	if (rc == 0)
		rc = one(ctx, SCMP_SYS(tgkill), 0, (uint64_t)getpid());
	if (rc != 0)
		return rc;
	switch (role) {
	case SANDBOX_NETWORK:
		rc = allow_program(ctx);
		return rc ? rc : allow_sockets(ctx);
	case SANDBOX_FILES:
		return allow_program(ctx);
	case SANDBOX_RECORDER:
		rc = rules(ctx, SCMP_ACT_ALLOW, given, COUNT(given));
		/* Of an interface that went down libpcap asks whether it is
		 * up again, and goes on. */
		return rc ? rc : one(ctx, SCMP_SYS(ioctl), 1,
		    0x8913 /* SIOCGIFFLAGS */);
	}
	return 0;
}

static int enter_seccomp(enum sandbox_role role)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int rc;

	if (ctx == NULL) {
		errno = ENOMEM;
		return -1;
	}
	rc = fill(ctx, role);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc != 0)
		errno = -rc;
	return rc == 0 ? 0 : -1;
}

int sandbox_enter(enum sandbox_role role, const struct sandbox_path *paths,
    size_t n, struct sandbox *got)
{
	*got = (struct sandbox){ 0 };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    enter_landlock(role, paths, n, &got->landlock) < 0 ||
	    enter_seccomp(role) < 0)
		return -1;
	got->seccomp = true;
	return 0;
}

int sandbox_confine(enum sandbox_role role, const struct sandbox_path *paths,
    size_t n, struct sandbox *got)
{
	int rc = sandbox_enter(role, paths, n, got);

	if (rc < 0)
		log_warn("cannot confine this process: %s (--no-sandbox does "
		    "without)", strerror(errno));
	else if (got->landlock == 0)
		log_warn("this kernel has no Landlock: a seccomp filter alone "
		    "confines this process, and files are open to it");
	return rc;
}
