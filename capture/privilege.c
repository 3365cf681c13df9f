#include "capture/privilege.h"

#include <grp.h>
#include <linux/capability.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int become_owner(int folder)
{
	struct stat st;

	if (folder < 0 || geteuid() != 0)
		return 0;
	if (fstat(folder, &st) < 0)
		return -1;
	if (st.st_uid == 0)
		return 0;
	if (setgroups(0, NULL) < 0 ||
	    setresgid(st.st_gid, st.st_gid, st.st_gid) < 0 ||
	    setresuid(st.st_uid, st.st_uid, st.st_uid) < 0)
		return -1;
	return 0;
}

int privilege_drop(int folder)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {
		{ 0, 0, 0 }, { 0, 0, 0 } };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	/* Ends with EINVAL past the last one the kernel knows; EPERM where we
	 * never had CAP_SETPCAP, and then NO_NEW_PRIVS serves. */
	for (unsigned long cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			break;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	if (become_owner(folder) < 0)
		return -1;
	return (int)syscall(SYS_capset, &head, none);
}
