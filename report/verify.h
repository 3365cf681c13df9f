/*
 * `swarmwitness verify`: does a case hold? Everything is recomputed from the
 * rows; nothing the database says of itself is believed.
 */
#ifndef REPORT_VERIFY_H
#define REPORT_VERIFY_H

int verify_main(int argc, char **argv);

#endif
