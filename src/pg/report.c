/*
 * report.c: the library's codes as SQLSTATEs.
 */
#include "postgres.h"

#include "base/log_line.h"
#include "pg/compat.h"
#include "pg/report.h"

int
fha_sqlstate(FhaCode code)
{
	switch (code)
	{
		case FHA_OK:
			return ERRCODE_SUCCESSFUL_COMPLETION;
		case FHA_AGAIN:
		case FHA_CONFLICT:
			return ERRCODE_OBJECT_IN_USE;
		case FHA_NOT_FOUND:
			return ERRCODE_UNDEFINED_OBJECT;
		case FHA_UNKNOWN:
			return ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN;
		case FHA_DENIED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case FHA_INVALID:
			return ERRCODE_INVALID_PARAMETER_VALUE;
		case FHA_TIMEOUT:
			return ERRCODE_QUERY_CANCELED;
		case FHA_IO:
			return ERRCODE_IO_ERROR;
		case FHA_PROTOCOL:
			return ERRCODE_PROTOCOL_VIOLATION;
		case FHA_NO_MEMORY:
			return ERRCODE_OUT_OF_MEMORY;
		case FHA_FULL:
			return ERRCODE_DISK_FULL;
	}
	return ERRCODE_INTERNAL_ERROR;
}

void
fha_report(int level, const FhaError *error)
{
	ereport(level, (errcode(fha_sqlstate(error->code)), errmsg("%s", error->text)));
}

void
fha_report_as(const char *id, const FhaError *error)
{
	ereport(LOG,
			(errcode(fha_sqlstate(error->code)), errmsg(FHA_LOG_ID_FORMAT "%s", id, error->text)));
}
