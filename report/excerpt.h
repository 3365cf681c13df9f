/* swarmwitness excerpt: one address's records out of a case, with proofs. */
#ifndef REPORT_EXCERPT_H
#define REPORT_EXCERPT_H

int excerpt_main(int argc, char **argv);

#endif
