/*
 * exporter.h: the worker that shows metrics over HTTP.
 */
#ifndef FAWKES_EXPORTER_H
#define FAWKES_EXPORTER_H

/* In the postmaster, from _PG_init. */
extern void exporter_register(void);

#endif
