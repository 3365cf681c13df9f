/* swarmwitness erase: an address's records go for a stated ground, their
 * proofs stay. */
#ifndef REPORT_ERASE_H
#define REPORT_ERASE_H

int erase_main(int argc, char **argv);

#endif
