/*
 * `swarmwitness torrent [--json] FILE|MAGNET...`: what a torrent says.
 */
#ifndef REPORT_TORRENT_H
#define REPORT_TORRENT_H

/* argv[0] is "torrent". Exit status: 0 all read, 1 some refused, 2 misuse. */
int torrent_main(int argc, char **argv);

#endif
