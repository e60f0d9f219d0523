/*
 * err.h: how the library says what went wrong.
 *
 * A code is for the caller to branch on, the text is for a person.  Nothing to
 * free, nothing logged here: the host prints.
 */
#ifndef FHA_BASE_ERR_H
#define FHA_BASE_ERR_H

#include "core/api.h"

typedef enum FhaCode
{
	FHA_OK,
	FHA_AGAIN,     /* nothing yet: wait for the descriptor */
	FHA_CONFLICT,  /* a conditional write came second: it was certainly not applied */
	FHA_NOT_FOUND, /* no such record */
	FHA_UNKNOWN,   /* nobody knows whether the write was applied: read back before deciding */
	FHA_DENIED,    /* not allowed; trying again will not help */
	FHA_INVALID,   /* the caller's argument, a setting or a file is wrong */
	FHA_TIMEOUT,   /* a read got no answer before its deadline */
	FHA_IO,        /* the system refused: disk full, no such directory, ... */
	FHA_PROTOCOL,  /* the other side said something that makes no sense */
	FHA_NO_MEMORY,
	FHA_FULL /* a disk, a quota or a bucket; it will not get better by itself */
} FhaCode;

typedef struct FhaError
{
	FhaCode code;
	char text[240];
} FhaError;

/* Fill *err (which may be NULL) and return code, so that callers can return in one line. */
FHA_API FhaCode fha_error(FhaError *err, FhaCode code, const char *format, ...) FHA_PRINTF(3, 4);

/* As fha_error, with ": " and the text of errno at the end. */
FHA_API FhaCode fha_error_errno(FhaError *err, FhaCode code, const char *format, ...)
	FHA_PRINTF(3, 4);

#endif
