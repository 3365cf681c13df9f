/* `swarmwitness stamp`: asks authorities about a case's newest checkpoint. */
#ifndef MONITOR_STAMP_H
#define MONITOR_STAMP_H

int stamp_main(int argc, char **argv);

#endif
