/*
 * Giving up privilege for good.
 */
#ifndef CAPTURE_PRIVILEGE_H
#define CAPTURE_PRIVILEGE_H

/*
 * All capabilities go, and with PR_SET_NO_NEW_PRIVS none comes back through
 * an exec. Root who works in a folder (an open descriptor) of somebody else's
 * becomes that user and group, because without CAP_DAC_OVERRIDE only the owner
 * may write there; otherwise the user stays who it is, so that root's own case
 * stays writable. folder -1: the user stays. 0, or -1 with errno; then some
 * privilege may be left and the caller must not go on.
 */
int privilege_drop(int folder);

#endif
