/*
 * extract.c: an archive of a base backup as files.  See extract.h.
 */
#include "backup/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/tar.h"
#include "backup/unpack.h"
#include "base/clock.h"

struct FhaExtract
{
	FhaStore *store;
	FhaStoreCall *call;
	FhaStream *stream;
	FhaTar *tar;
	int directory;
	int file;           /* -1: what comes is held or dropped */
	FhaHeldFile *holds; /* what comes goes there; NULL: not */
	FhaHeldFile control, label, conf;
	uint64_t stored, written;
	bool is_ended;
	FhaError error;
};

/* --- entries */

/* The directories above a path. */
static FhaCode
extract_make_parents(FhaExtract *extract, const char *path, FhaError *err)
{
	char parent[FHA_TAR_PATH_SIZE];

	for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
	{
		(void) snprintf(parent, sizeof(parent), "%.*s", (int) (slash - path), path);
		if (mkdirat(extract->directory, parent, 0700) != 0 && errno != EEXIST)
			return fha_error_errno(err, FHA_IO, "could not make \"%.150s\"", parent);
	}
	return FHA_OK;
}

/* Where the content of a file goes that is not written.  False: it is written. */
static bool
extract_is_held(FhaExtract *extract, const char *path)
{
	static const char *const dropped[] = {"tablespace_map", "standby.signal", "recovery.signal",
										  "postmaster.pid"};

	extract->holds = NULL;
	if (strcmp(path, "global/pg_control") == 0)
		extract->holds = &extract->control;
	else if (strcmp(path, "backup_label") == 0)
		extract->holds = &extract->label;
	else if (strcmp(path, "postgresql.conf") == 0)
		extract->holds = &extract->conf;
	if (extract->holds != NULL)
		return true;
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		if (strcmp(path, dropped[i]) == 0)
			return true;
	return false;
}

static FhaCode
extract_begin_file(FhaExtract *extract, const FhaTarEntry *entry, FhaError *err)
{
	FhaCode code;

	if (extract_is_held(extract, entry->path))
		return extract->holds == NULL || entry->size <= FHA_HELD_MAX
				   ? FHA_OK
				   : fha_error(err, FHA_INVALID, "\"%s\" is too large", entry->path);
	code = extract_make_parents(extract, entry->path, err);
	if (code != FHA_OK)
		return code;
	extract->file = openat(extract->directory, entry->path,
						   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (extract->file < 0)
		return fha_error_errno(err, errno == EEXIST ? FHA_INVALID : FHA_IO,
							   "could not create \"%.150s\"", entry->path);
	return FHA_OK;
}

static FhaCode
extract_begin(FhaExtract *extract, FhaError *err)
{
	const FhaTarEntry *entry = fha_tar_entry(extract->tar);
	FhaCode code = FHA_OK;

	if (entry->type == FHA_TAR_FILE)
		return extract_begin_file(extract, entry, err);
	if (entry->type == FHA_TAR_SYMLINK)
		/* Its tablespace is restored elsewhere, or is not there at all. */
		return strncmp(entry->path, "pg_tblspc/", 10) == 0
				   ? FHA_OK
				   : fha_error(err, FHA_INVALID, "the archive has a link, \"%.150s\"", entry->path);
	if (entry->path[0] == '\0')
		return FHA_OK;
	code = extract_make_parents(extract, entry->path, err);
	if (code == FHA_OK && mkdirat(extract->directory, entry->path, 0700) != 0 && errno != EEXIST)
		code = fha_error_errno(err, FHA_IO, "could not make \"%.150s\"", entry->path);
	return code;
}

static FhaCode
extract_hold(FhaHeldFile *held, const char *data, size_t size, FhaError *err)
{
	char *bigger = realloc(held->data, held->size + size + 1);

	if (bigger == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	held->data = bigger;
	memcpy(held->data + held->size, data, size);
	held->size += size;
	held->data[held->size] = '\0';
	return FHA_OK;
}

static FhaCode
extract_content(FhaExtract *extract, const char *data, size_t size, FhaError *err)
{
	if (extract->holds != NULL)
		return extract_hold(extract->holds, data, size, err);
	extract->written += extract->file >= 0 ? size : 0;
	while (extract->file >= 0 && size > 0)
	{
		ssize_t done = write(extract->file, data, size);

		if (done < 0 && errno == EINTR)
			continue; /* LCOV_EXCL_LINE: a signal in the middle */
		if (done < 0)
			return fha_error_errno(err, errno == ENOSPC || errno == EDQUOT ? FHA_FULL : FHA_IO,
								   "could not write \"%.150s\"", fha_tar_entry(extract->tar)->path);
		data += done;
		size -= (size_t) done;
	}
	return FHA_OK;
}

static FhaCode
extract_done(FhaExtract *extract, FhaError *err)
{
	int file = extract->file;

	extract->file = -1;
	extract->holds = NULL;
	if (file >= 0 && close(file) != 0)
		return fha_error_errno(err, FHA_IO, "could not write \"%.150s\"",
							   fha_tar_entry(extract->tar)->path);
	return FHA_OK;
}

/* --- the stream */

static FhaCode
extract_untar(FhaExtract *extract, const char *data, size_t size, FhaError *err)
{
	FhaTarEvent event = FHA_TAR_DATA;
	FhaCode code = FHA_OK;

	while (code == FHA_OK)
	{
		const char *part;
		size_t part_size;

		code = fha_tar_next(extract->tar, &data, &size, &event, &part, &part_size, err);
		if (code != FHA_OK || event == FHA_TAR_MORE)
			return code;
		if (event == FHA_TAR_ENTRY)
			code = extract_begin(extract, err);
		else if (event == FHA_TAR_DATA)
			code = extract_content(extract, part, part_size, err);
		else if (event == FHA_TAR_DONE)
			code = extract_done(extract, err);
		else if (size == 0)
			return FHA_OK; /* the archive's end */
	}
	return code;
}

static FhaCode
extract_drain(FhaExtract *extract, FhaError *err)
{
	for (;;)
	{
		const char *data;
		size_t size;
		FhaCode code = fha_stream_look(extract->stream, &data, &size, err);

		if (code != FHA_OK || size == 0)
			return code;
		code = extract_untar(extract, data, size, err);
		if (code != FHA_OK)
			return code;
		fha_stream_drop(extract->stream, size);
	}
}

static size_t
extract_take(const char *data, size_t size, void *owner)
{
	FhaExtract *extract = owner;
	FhaCode code = extract->error.code;
	size_t given = 0;

	while (code == FHA_OK && given < size)
	{
		size_t taken;

		code =
			fha_stream_write(extract->stream, data + given, size - given, &taken, &extract->error);
		if (code == FHA_OK)
			code = extract_drain(extract, &extract->error);
		if (code == FHA_AGAIN)
			code = FHA_OK;
		if (code == FHA_OK && taken == 0)
			code = fha_error(&extract->error, FHA_INVALID, "there is more behind the archive");
		given += taken;
	}
	extract->stored += given;
	extract->error.code = code;
	return code == FHA_OK ? size : 0;
}

static FhaCode
extract_finish(FhaExtract *extract, FhaError *err)
{
	FhaCode code = fha_stream_finish(extract->stream, err);

	if (code == FHA_OK)
		code = extract_drain(extract, err);
	if (code == FHA_AGAIN)
		code = fha_error(err, FHA_INVALID, "the archive ends too early");
	return code == FHA_OK ? fha_tar_finish(extract->tar, err) : code;
}

/* --- the interface */

FhaCode
fha_extract_open(FhaExtract **out, FhaStore *store, const FhaExtractSettings *settings,
				 FhaError *err)
{
	FhaExtract *extract = calloc(1, sizeof(*extract));
	FhaStoreRequest request = {.verb = FHA_STORE_GET,
							   .key = settings->key,
							   .take = extract_take,
							   .deadline_at_ms = fha_now_ms() + settings->patience_ms,
							   .owner = extract};
	FhaCode code;

	*out = NULL;
	if (extract == NULL)
		return fha_error(err, FHA_NO_MEMORY, "out of memory");
	extract->store = store;
	extract->file = -1;
	extract->directory = open(settings->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (extract->directory < 0)
		code = fha_error_errno(err, FHA_IO, "could not open \"%.150s\"", settings->directory);
	else
		code =
			fha_unpack_open(&extract->stream, settings->name, settings->keys, settings->key, err);
	if (code == FHA_OK)
		code = fha_tar_open(&extract->tar,
							FHA_TAR_FILE | FHA_TAR_DIRECTORY | FHA_TAR_SYMLINK | FHA_TAR_ANY_LINK,
							err);
	if (code == FHA_OK)
		code = fha_store_start(store, &request, &extract->call, err);
	if (code == FHA_OK)
		*out = extract;
	else
		fha_extract_close(extract);
	return code;
}

void
fha_extract_close(FhaExtract *extract)
{
	if (extract == NULL)
		return;
	if (extract->call != NULL)
		fha_store_cancel(extract->store, extract->call);
	fha_tar_close(extract->tar);
	fha_stream_close(extract->stream);
	if (extract->file >= 0)
		(void) close(extract->file);
	if (extract->directory >= 0)
		(void) close(extract->directory);
	free(extract->control.data);
	free(extract->label.data);
	free(extract->conf.data);
	free(extract);
}

FhaCode
fha_extract_step(FhaExtract *extract, FhaError *err)
{
	FhaStoreAnswer answer;
	FhaCode code = FHA_AGAIN;

	if (extract->is_ended)
		return FHA_OK;
	if (extract->error.code == FHA_OK && extract->call != NULL)
	{
		code = fha_store_step(extract->store, &answer);
		if (code == FHA_OK)
			extract->call = NULL;
		if (code == FHA_OK && extract->error.code == FHA_OK && answer.code != FHA_OK)
			extract->error = answer.error;
		if (code == FHA_OK && extract->error.code == FHA_OK)
			extract->error.code =
				answer.code != FHA_OK ? answer.code : extract_finish(extract, &extract->error);
	}
	if (extract->error.code != FHA_OK)
	{
		if (err != NULL)
			*err = extract->error;
		return extract->error.code;
	}
	extract->is_ended = code == FHA_OK;
	return code;
}

int
fha_extract_fd(const FhaExtract *extract)
{
	return fha_store_fd(extract->store);
}

int64_t
fha_extract_wake_at_ms(const FhaExtract *extract)
{
	return fha_store_wake_at_ms(extract->store);
}

uint64_t
fha_extract_stored(const FhaExtract *extract)
{
	return extract->stored;
}

uint64_t
fha_extract_written(const FhaExtract *extract)
{
	return extract->written;
}

FhaHeldFile
fha_extract_control(const FhaExtract *extract)
{
	return extract->control;
}

FhaHeldFile
fha_extract_label(const FhaExtract *extract)
{
	return extract->label;
}

FhaHeldFile
fha_extract_conf(const FhaExtract *extract)
{
	return extract->conf;
}
