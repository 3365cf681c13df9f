/*
 * What a process may still do once it has what it needs: a seccomp filter and
 * Landlock rules, for good, so that whoever takes it over through a peer's
 * bytes gets neither the host's files nor another program.
 */
#ifndef CAPTURE_SANDBOX_H
#define CAPTURE_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

enum sandbox_role {
	SANDBOX_NETWORK,	/* TCP and UDP over IPv4, IPv6; threads */
	SANDBOX_FILES,		/* no socket at all; threads */
	SANDBOX_RECORDER	/* writes what an open capture gives it; no
				 * socket, no thread */
};

/* A file, or a folder and all beneath it. What is not there is passed over. */
struct sandbox_path {
	const char *path;
	bool write;		/* and make, rename and remove in it */
};

struct sandbox {
	bool seccomp;
	int landlock;		/* its ABI; 0: this kernel has none */
};

/*
 * Confines the calling thread and every thread it starts from here on; so call
 * it before there are others. Afterwards nothing can be executed, and only
 * paths can be opened, besides what the role needs of the system (libraries,
 * the resolver's and TLS' files: of /etc just these, if this user may read the
 * passwords there; else any file of it by name). What is open stays open. A
 * forbidden call fails with EACCES, EPERM or ENOSYS; one that only an intruder
 * would try (another program, another process' memory) ends the process. 0, or
 * -1 with errno: then the caller must not go on as if it were confined.
 */
int sandbox_enter(enum sandbox_role role, const struct sandbox_path *paths,
    size_t n, struct sandbox *got);

/* The same, and what is not in force is logged. */
int sandbox_confine(enum sandbox_role role, const struct sandbox_path *paths,
    size_t n, struct sandbox *got);

#endif
