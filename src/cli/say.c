/*
 * say.c: the doors of what people read.  See cli.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/tame.h"
#include "cli/cli.h"

int
cli_write(FILE *out, const char *format, va_list args)
{
	char *text;
	int size = vasprintf(&text, format, args);

	if (size < 0)
		return 0;
	fha_tame(text);
	(void) fputs(text, out);
	free(text);
	return size;
}

void
cli_lines(FILE *out, const char *text)
{
	while (*text != '\0')
	{
		size_t length = strcspn(text, "\n");
		char *line = strndup(text, length);

		if (line == NULL)
			return;
		fha_tame(line);
		(void) fprintf(out, "%s\n", line);
		free(line);
		text += length + (text[length] == '\n');
	}
}

void
cli_complain(const char *format, ...)
{
	va_list args;

	(void) fputs("fawkes-ha: ", stderr);
	va_start(args, format);
	(void) cli_write(stderr, format, args);
	va_end(args);
	(void) fputc('\n', stderr);
}

int
cli_part(const char *format, ...)
{
	va_list args;
	int size;

	va_start(args, format);
	size = cli_write(stdout, format, args);
	va_end(args);
	return size;
}

const char *
cli_log_begin(char out[CLI_LOG_BEGIN_SIZE], const char *member, const char *level, const char *id)
{
	char now[FHA_TIME_SIZE];
	char shown[FHA_LOG_ID_SIZE] = "";

	fha_wall_time(now, sizeof(now));
	if (id != NULL)
		(void) snprintf(shown, sizeof(shown), FHA_LOG_ID_FORMAT, id);
	(void) snprintf(out, CLI_LOG_BEGIN_SIZE, "%s [%s] %s:  %s", now, member, level, shown);
	return out;
}

void
cli_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void) cli_write(stdout, format, args);
	va_end(args);
	(void) putchar('\n');
}
