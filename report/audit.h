/* swarmwitness audit: somebody's claims, held against a case. */
#ifndef REPORT_AUDIT_H
#define REPORT_AUDIT_H

int audit_main(int argc, char **argv);

#endif
