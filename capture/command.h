/*
 * `swarmwitness capture`: savefiles into a case, or listed.
 */
#ifndef CAPTURE_COMMAND_H
#define CAPTURE_COMMAND_H

/* argv[0] is "capture". The exit status: 0 done, 1 failed, 2 misused. */
int capture_main(int argc, char **argv);

#endif
