/*
 * err.c: codes and their texts.
 */
#include "err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
fill(FhaError *err, FhaCode code, const char *format, va_list args)
{
	err->code = code;
	(void) vsnprintf(err->text, sizeof(err->text), format, args);
}

FhaCode
fha_error(FhaError *err, FhaCode code, const char *format, ...)
{
	if (err != NULL)
	{
		va_list args;

		va_start(args, format);
		fill(err, code, format, args);
		va_end(args);
	}
	return code;
}

FhaCode
fha_error_errno(FhaError *err, FhaCode code, const char *format, ...)
{
	int saved = errno;

	if (err != NULL)
	{
		char reason[80];
		size_t used;
		va_list args;

		va_start(args, format);
		fill(err, code, format, args);
		va_end(args);
		used = strlen(err->text);
		(void) snprintf(err->text + used, sizeof(err->text) - used, ": %s",
						strerror_r(saved, reason, sizeof(reason)));
	}
	return code;
}

const char *
fha_code_name(FhaCode code)
{
	switch (code)
	{
		case FHA_OK:
			return "ok";
		case FHA_AGAIN:
			return "again";
		case FHA_CONFLICT:
			return "conflict";
		case FHA_NOT_FOUND:
			return "not found";
		case FHA_UNKNOWN:
			return "unknown";
		case FHA_DENIED:
			return "denied";
		case FHA_INVALID:
			return "invalid";
		case FHA_TIMEOUT:
			return "timeout";
		case FHA_IO:
			return "input/output error";
		case FHA_PROTOCOL:
			return "protocol error";
		case FHA_NO_MEMORY:
			return "out of memory";
	}
	return "unnamed";
}
