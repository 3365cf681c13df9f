/*
 * Lines for operators, on standard error. Evidence never depends on them.
 * Whatever text is put into one, it stays one line and moves no cursor: bytes
 * that are no UTF-8, control characters and those that turn text around are
 * written as \xNN. Text of strangers that must also be short, or that goes
 * elsewhere, is escaped by log_safe.
 */
#ifndef SCHEMA_LOG_H
#define SCHEMA_LOG_H

#include "wire/cur.h"

/* One line: what goes on; what is amiss. */
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The line, then exit status 1: only where going on would lose evidence, as it
 * would without memory. */
void log_die(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), noreturn));
/* Rows of status, a newline between two, that the next line overwrites; only
 * when stderr is a terminal. */
void log_status(const char *rows);

/* text with everything but printable ASCII as \xNN, cut to fit n. */
const char *log_safe(struct span text, char *buf, size_t n);

#endif
