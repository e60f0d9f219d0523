/*
 * backup_progress.h: how far a long transfer is: a bar on a terminal, a line now and then elsewhere; on standard error.
 */
#ifndef CLI_BACKUP_PROGRESS_H
#define CLI_BACKUP_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed, with `what`, it is good. */
typedef struct BackupProgress
{
	const char *what; /* "backed up" */
	int64_t began_at_ms;
	int64_t shown_at_ms;
	int shown_percent;
	bool is_shown; /* a bar stands on the terminal */
} BackupProgress;

/* May be called at each turn: shows what is worth it.  expected 0: it is not known how much it will be. */
void backup_progress_show(BackupProgress *progress, uint64_t done, uint64_t expected);

/* The bar goes, so that a sentence can follow. */
void backup_progress_end(BackupProgress *progress);

/* "1.2 GB", with units of 1024 as PostgreSQL has them. */
#define BACKUP_SIZE_TEXT_SIZE 24
void backup_size_print(uint64_t bytes, char out[BACKUP_SIZE_TEXT_SIZE]);

#endif
