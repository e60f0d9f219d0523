/*
 * supervisor_log.c: the lines that the supervisor writes to its standard error.
 *
 * That is PostgreSQL's log as well. When the program that reads it stops, the pipe fills up. PostgreSQL
 * then waits; the supervisor does not, because it has to stop, restart and speak for the node.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_limit.h"
#include "base/tame.h"
#include "cli/supervisor.h"

#define TEXT_SIZE 1024
#define NOTE_SIZE 128
/* Below PIPE_BUF: a pipe takes all of a line, or nothing. */
#define LINE_SIZE (TEXT_SIZE + CLI_LOG_BEGIN_SIZE + 2 * NOTE_SIZE)
/* A reader that is only slow gets its line. */
#define READER_MS 100

/*
 * A description of our own for a pipe or a terminal: PostgreSQL shares the one of standard error, and
 * would lose lines if that did not block.  -1: there is none, as for a pipe of another user.
 */
static int
own_description(void)
{
	static int own = -1;
	static bool looked;
	struct stat status;

	if (!looked && fstat(STDERR_FILENO, &status) == 0 &&
		(S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)))
		own = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	looked = true;
	return own;
}

/* In no more than wait_ms; false: there is no room for the line. */
static bool
log_put(const char *line, size_t size, int wait_ms)
{
	struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
	int own = own_description();
	ssize_t done;

	if (poll(&room, 1, wait_ms) != 1)
		return false;
	done = send(STDERR_FILENO, line, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (done < 0 && errno == ENOTSOCK)
		done = write(own >= 0 ? own : STDERR_FILENO, line, size);
	return done >= 0;
}

/* Tames the text. */
static void
log_text(const Supervisor *self, const char *level, const char *id, char *text)
{
	static FhaLogLimit limit;
	static uint64_t lost;
	char begin[CLI_LOG_BEGIN_SIZE];
	char since[NOTE_SIZE] = "";
	char gap[NOTE_SIZE] = "";
	char line[LINE_SIZE];
	uint64_t withheld = 0;

	if (!fha_log_may(&limit, text, fha_now_ms(), &withheld))
		return;
	fha_tame(text);
	if (withheld > 0)
		(void) snprintf(since, sizeof(since), " (and %" PRIu64 " times since the last line)",
						withheld);
	if (lost > 0)
		(void) snprintf(
			gap, sizeof(gap),
			" (%" PRIu64 " lines before this one were lost: the log's reader did not read)", lost);
	(void) snprintf(line, sizeof(line), "%s%s%s%s\n",
					cli_log_begin(begin, self->config.member_name, level, id), text, since, gap);
	if (log_put(line, strlen(line), lost > 0 ? 0 : READER_MS))
		lost = 0;
	else
		lost++;
}

void
supervisor_say(const Supervisor *self, const char *id, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_text(self, "LOG", id, text);
}

void
supervisor_warn(const Supervisor *self, const char *id, const char *format, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	va_start(args, format);
	(void) vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_text(self, "WARNING", id, text);
}

void
supervisor_pass(const Supervisor *self, const char *news)
{
	char text[FHA_NEWS_SIZE];

	(void) snprintf(text, sizeof(text), "%s", news);
	log_text(self, "LOG", NULL, text);
}
