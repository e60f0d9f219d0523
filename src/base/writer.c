/*
 * writer.c: replace a small file while the loop goes on.  See writer.h.
 */
#include "base/writer.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/file.h"

struct FhaWriter
{
	int ended; /* eventfd: the thread has nothing more to do */
	bool busy; /* a thread was started and is not joined */
	pthread_t thread;
	/* The thread's while it runs. */
	char *path;
	char *text;
	FhaCode code;
	FhaError error;
};

FhaCode
fha_writer_open(FhaWriter **out, FhaError *err)
{
	FhaWriter *writer = calloc(1, sizeof(*writer));

	*out = NULL;
	if (writer == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	writer->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (writer->ended < 0)
	{
		/* LCOV_EXCL_START: the kernel refuses */
		free(writer);
		return fha_error_errno(err, FHA_IO, "eventfd");
		/* LCOV_EXCL_STOP */
	}
	*out = writer;
	return FHA_OK;
}

static void
writer_join(FhaWriter *writer)
{
	(void) pthread_join(writer->thread, NULL);
	free(writer->path);
	free(writer->text);
	writer->path = NULL;
	writer->text = NULL;
	writer->busy = false;
}

void
fha_writer_close(FhaWriter *writer)
{
	if (writer == NULL)
		return;
	if (writer->busy)
		writer_join(writer);
	(void) close(writer->ended);
	free(writer);
}

int
fha_writer_fd(const FhaWriter *writer)
{
	return writer->ended;
}

static void *
writer_work(void *argument)
{
	FhaWriter *writer = argument;

	writer->code =
		fha_file_replace(writer->path, writer->text, strlen(writer->text), &writer->error);
	(void) eventfd_write(writer->ended, 1);
	return NULL;
}

FhaCode
fha_writer_start(FhaWriter *writer, const char *path, const char *text, FhaError *err)
{
	sigset_t all;
	sigset_t before;

	if (writer->busy)
		return fha_error(err, FHA_CONFLICT, "another file is being written");
	writer->path = strdup(path);
	writer->text = strdup(text);
	writer->error = (FhaError){.code = FHA_OK};
	if (writer->path != NULL && writer->text != NULL)
	{
		/* The host's signals are the host's. */
		(void) sigfillset(&all);
		(void) pthread_sigmask(SIG_SETMASK, &all, &before);
		writer->busy = pthread_create(&writer->thread, NULL, writer_work, writer) == 0;
		(void) pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (writer->busy)
		return FHA_OK;
	free(writer->path);
	free(writer->text);
	writer->path = NULL;
	writer->text = NULL;
	return fha_error(err, FHA_IO, "no thread to write \"%.100s\"", path);
}

FhaCode
fha_writer_step(FhaWriter *writer, int64_t wait_ms, FhaError *err)
{
	struct pollfd ended = {.fd = writer->ended, .events = POLLIN};
	eventfd_t count;

	if (!writer->busy || poll(&ended, 1, (int) wait_ms) != 1)
		return FHA_AGAIN;
	(void) eventfd_read(writer->ended, &count);
	writer_join(writer);
	if (writer->code != FHA_OK && err != NULL)
		*err = writer->error;
	return writer->code;
}
