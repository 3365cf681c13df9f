/*
 * Texts of the command line as records about the run may show them: those
 * records go into everybody's excerpt, so they name no peer. What is left out
 * stands in table `named`.
 */
#ifndef SCHEMA_REDACT_H
#define SCHEMA_REDACT_H

/* An argument with the peers that a magnet link names (x.pe), or the
 * `ip:port` that it is ("--dht-node 192.0.2.1:6881"), as "*". To be freed;
 * dies on out of memory. */
char *redact(const char *arg);

#endif
