/*
 * err.c: codes and their texts.
 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
err_fill(FhaError *err, FhaCode code, const char *format, va_list args)
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
		err_fill(err, code, format, args);
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
		err_fill(err, code, format, args);
		va_end(args);
		used = strlen(err->text);
		(void) snprintf(err->text + used, sizeof(err->text) - used, ": %s",
						strerror_r(saved, reason, sizeof(reason)));
	}
	return code;
}
