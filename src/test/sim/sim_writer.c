/*
 * sim_writer.c: in place of base/writer.c: a disk that takes its time, without a thread.
 *
 * A loop that waits for it is busy until then: its clock goes on, and what comes meanwhile waits.
 */
#include "base/writer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "test/sim/sim.h"

struct FhaWriter
{
	int fd;
	SimHost *host;
	bool busy;
	int64_t done_at_us;
	char *path;
	char *text;
};

FhaCode
fha_writer_open(FhaWriter **out, FhaError *err)
{
	FhaWriter *writer = sim_alloc(sizeof(*writer));

	memset(writer, 0, sizeof(*writer));
	writer->host = sim_here;
	writer->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	*out = writer;
	if (writer->fd < 0)
		return fha_error_errno(err, FHA_IO, "eventfd");
	return FHA_OK;
}

static FhaCode
finish(FhaWriter *writer, bool written, FhaError *err)
{
	FhaCode code = FHA_OK;

	if (written)
		code = fha_file_replace(writer->path, writer->text, strlen(writer->text), err);
	free(writer->path);
	free(writer->text);
	writer->path = writer->text = NULL;
	writer->busy = false;
	return code;
}

void
fha_writer_close(FhaWriter *writer)
{
	if (writer == NULL)
		return;
	if (writer->busy && writer->host->killed)
		(void) finish(writer, sim_chance(50), NULL);
	else if (writer->busy)
	{
		if (writer->done_at_us > sim_host_us(writer->host))
			writer->host->busy_until = writer->done_at_us;
		(void) finish(writer, true, NULL);
	}
	(void) close(writer->fd);
	free(writer);
}

int
fha_writer_fd(const FhaWriter *writer)
{
	return writer->fd;
}

static void
wake(void *argument)
{
	sim_host_wake(&sim_hosts[*(int *) argument]);
}

FhaCode
fha_writer_start(FhaWriter *writer, const char *path, const char *text, FhaError *err)
{
	int *index;

	if (writer->busy)
		return fha_error(err, FHA_CONFLICT, "another file is being written");
	writer->path = strdup(path);
	writer->text = strdup(text);
	if (writer->path == NULL || writer->text == NULL)
		abort();
	writer->busy = true;
	writer->done_at_us =
		sim_host_us(writer->host) + (writer->host->slow_disk || sim_chance(sim_habits.slow_writes)
										 ? sim_between(20 * SIM_MS, sim_habits.slow_us)
										 : sim_between(100, 5 * SIM_MS));
	index = sim_alloc(sizeof(*index));
	*index = writer->host->index;
	sim_at(writer->done_at_us, writer->host->index, wake, index);
	return FHA_OK;
}

FhaCode
fha_writer_step(FhaWriter *writer, int64_t wait_ms, FhaError *err)
{
	int64_t ends_at_us = sim_host_us(writer->host) + wait_ms * SIM_MS;

	if (!writer->busy)
		return FHA_AGAIN;
	if (wait_ms > 0)
		writer->host->busy_until =
			writer->done_at_us < ends_at_us ? writer->done_at_us : ends_at_us;
	return writer->done_at_us <= ends_at_us ? finish(writer, true, err) : FHA_AGAIN;
}
