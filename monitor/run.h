/*
 * One run of the monitor, from its command line to the sealed case.
 */
#ifndef MONITOR_RUN_H
#define MONITOR_RUN_H

/* argv[0] is "monitor". The exit status: 0 done, 1 failed, 2 misused. */
int monitor_main(int argc, char **argv);

#endif
