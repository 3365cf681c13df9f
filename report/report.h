/* `swarmwitness report`: a case's evidence as pages, tables and JSON. */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

/* argv[0] is "report". The exit status. */
int report_main(int argc, char **argv);

#endif
